/*
 * The files of the database in use, which nothing may open by a name that a user gave: closing any
 * descriptor of a file drops the locks that the process holds on it by fcntl(2), and others would
 * then write beside it. They are known by device and inode, so that hard links, symbolic links and
 * bind mounts of them are known too.
 */
#ifndef JINI_CLI_GUARD_H
#define JINI_CLI_GUARD_H

#include <stdbool.h>
#include <sys/stat.h>

/* Names the directory of the database, which need not exist. Borrowed for ever. */
void guard_begin(const char *directory);

/* True for the directory of the database itself. */
bool guard_is_directory(const struct stat *info);

/* True for a file of the database. `info`: of stat(2) or fstat(2) on it. */
bool guard_is_file(const struct stat *info);

/* True for a path that is, or would be, a file of the database or one below its directory. */
bool guard_holds(const char *path);

#endif
