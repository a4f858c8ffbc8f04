/*
 * Looking at the directory again after an open that failed. Nothing is opened but the directory
 * itself.
 */
#include "diagnose.h"

#include "file_error.h"
#include "words.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4400 };

/* Whether all that is missing is the right to write, which reading alone does not need. */
static bool may_only_read(const struct command *command, const char *path, const struct stat *info)
{
    int needed = S_ISDIR(info->st_mode) ? R_OK | X_OK : R_OK;
    return !command->options.create && !command->options.read_only &&
           faccessat(AT_FDCWD, path, needed, AT_EACCESS) == 0;
}

/* Says whose a file is that this process may not use. */
static void blame(struct command *command, int status, const char *path, const struct stat *info,
                  const char *what)
{
    file_error(&command->error, status, path,
               "%.200s cannot be %s: it belongs to user %u with mode %03o, and this is user %u; "
               "run as its owner, or give this user the right to read and write it%s",
               path, what, (unsigned)info->st_uid, (unsigned)(info->st_mode & 0777),
               (unsigned)geteuid(),
               may_only_read(command, path, info)
                   ? "; --read-only (jini_options.read_only) opens it for what only reads"
                   : "");
}

/* The first file in the directory that may not be both read and written. */
static bool blame_file(struct command *command, int status)
{
    bool found = false;
    DIR *folder = opendir(command->directory);
    const struct dirent *entry;
    while (folder && !found && (entry = readdir(folder))) {
        char path[PATH_BYTES_MAX];
        struct stat info;
        snprintf(path, sizeof(path), "%.4096s/%s", command->directory, entry->d_name);
        if (stat(path, &info) != 0 || !S_ISREG(info.st_mode) ||
            faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0)
            continue;
        blame(command, status, path, &info, "read and written");
        found = true;
    }
    if (folder)
        closedir(folder);
    return found;
}

/* What is missing cannot be made where its folder may not be written. */
static bool blame_folder(struct command *command, int status)
{
    char folder[PATH_BYTES_MAX];
    struct stat info;
    snprintf(folder, sizeof(folder), "%.4096s", command->directory);
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        folder[--length] = '\0';
    char *slash = strrchr(folder, '/');
    if (!slash)
        snprintf(folder, sizeof(folder), ".");
    else
        slash[slash == folder] = '\0';
    if (stat(folder, &info) != 0 || faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0)
        return false;
    blame(command, status, folder, &info, "written");
    return true;
}

static void explain_denial(struct command *command, int status)
{
    struct stat info;
    const char *directory = command->directory;
    if (stat(directory, &info) != 0) {
        if (errno == ENOENT && blame_folder(command, status))
            return;
        file_error(&command->error, status, directory, "the directory %.200s cannot be reached: %s",
                   directory, strerror(errno));
        return;
    }
    if (faccessat(AT_FDCWD, directory, R_OK | W_OK | X_OK, AT_EACCESS) != 0 &&
        (faccessat(AT_FDCWD, directory, R_OK | X_OK, AT_EACCESS) != 0 ||
         !blame_file(command, status))) {
        blame(command, status, directory, &info, "used");
        return;
    }
    blame_file(command, status);
}

static void explain_full(struct command *command, int status)
{
    struct statvfs disk;
    char free_text[WORDS_NUMBER_MAX];
    char reserve[WORDS_NUMBER_MAX];
    if (statvfs(command->directory, &disk) != 0)
        return;
    words_bytes((uint64_t)disk.f_bavail * disk.f_frsize, free_text);
    words_bytes(command->options.store_reserve_bytes, reserve);
    file_error(
        &command->error, status, command->directory,
        "the disk of %.160s is full: %s are left, and the database needs room for its records, for "
        "the table of rate limits (limits.slots) and for its reserve of %s (store.reserve_bytes)",
        command->directory, free_text, reserve);
}

static void explain_read_only(struct command *command, int status)
{
    file_error(
        &command->error, status, command->directory,
        "%.200s is on a read-only file system: --read-only opens the database for verbs that "
        "only read",
        command->directory);
}

int diagnose_open(struct command *command, int status)
{
    if (status == JINI_E_FULL)
        explain_full(command, status);
    else if (status == JINI_E_READ_ONLY)
        explain_read_only(command, status);
    else if (status && strstr(command->error.message, strerror(EACCES)))
        explain_denial(command, status);
    return status;
}
