/* Files of the command line: read whole, listed from folders, written whole or not at all. */
#ifndef JINI_CLI_FILE_H
#define JINI_CLI_FILE_H

#include <jini/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Reading ---- */

/*
 * Reads a regular file, or standard input for "-", into memory that the caller frees.
 * JINI_E_TOO_BIG: more than `bytes_max`. JINI_E_INVALID: a folder, a pipe, a device, or a file of
 * the database, which are not opened.
 * JINI_E_NOT_FOUND, JINI_E_IO, JINI_E_NO_MEMORY, JINI_E_CANCELLED (a signal).
 */
int file_read(const char *path, uint64_t bytes_max, uint8_t **out, size_t *length,
              struct jini_error *error);

/* ---- Listing ---- */

struct file_entry {
    char *path;
    struct jini_error *
        failure; /* NULL; else why there is nothing to read, as of a folder that cannot be listed */
};

struct file_list {
    struct file_entry *entries;
    size_t count;
    size_t capacity;
};

enum file_depth { FILE_FLAT, FILE_RECURSIVE };

/*
 * Adds a path: a folder's files by name, but those that begin with a dot, and with FILE_RECURSIVE
 * those of the folders in it, without following links to folders; anything else as it is, whether
 * it can be read or not. What is met in a folder and is neither a file nor a folder is passed over
 * with a note, and so is the directory of the database. A folder that cannot be listed becomes an
 * entry with a failure. JINI_E_NO_MEMORY.
 */
int file_list_add(struct file_list *list, const char *path, enum file_depth depth,
                  struct jini_error *error);
void file_list_free(struct file_list *list);

/* ---- Writing ---- */

enum file_replace { FILE_KEEP, FILE_REPLACE };

/*
 * Writes a file that appears whole or not at all: beside its name, synced, renamed, the folder
 * synced. Something that is no regular file (a device, a pipe) is written to as it is.
 * JINI_E_EXISTS: with FILE_KEEP, and nothing was changed. JINI_E_INVALID: a folder, or a place in
 * the directory of the database. JINI_E_NOT_FOUND: the folder.
 * JINI_E_FULL, JINI_E_IO.
 */
int file_write(const char *path, const void *bytes, size_t length, enum file_replace replace,
               struct jini_error *error);

/*
 * Gives a finished and synced file its name, in the same folder, and syncs the folder. Errors as of
 * file_write(); the temporary is removed by them.
 */
int file_give_name(const char *temporary, const char *path, enum file_replace replace,
                   struct jini_error *error);

/* JINI_E_INVALID for a path that is, or would be, in the directory of the database; else 0. */
int file_check_target(const char *path, struct jini_error *error);

bool file_is_folder(const char *path);

#endif
