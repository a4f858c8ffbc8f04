/*
 * Writing a file whole or not at all, and the errors of files.
 *
 *   temporary beside it -> write -> fsync -> link or rename -> fsync of the folder
 *
 * A file that must not be replaced is linked to its name, which fails when somebody else made it
 * meanwhile.
 */
#include "file.h"
#include "file_error.h"

#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096 };

/* ---- Errors ---- */

int file_error(struct jini_error *error, int status, const char *path, const char *format, ...)
{
    va_list arguments;
    memset(error, 0, sizeof(*error));
    error->code = status;
    /* The end of a long path says more than its beginning. */
    size_t length = strlen(path);
    size_t room = sizeof(error->field) - 1;
    snprintf(error->field, sizeof(error->field), "%s", length > room ? path + length - room : path);
    va_start(arguments, format);
    vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return status;
}

int file_error_errno(struct jini_error *error, int number, const char *path, const char *what)
{
    int status = JINI_E_IO;
    if (number == ENOENT || number == ENOTDIR)
        status = JINI_E_NOT_FOUND;
    else if (number == ENOSPC || number == EDQUOT || number == EFBIG)
        status = JINI_E_FULL;
    else if (number == ENOMEM)
        status = JINI_E_NO_MEMORY;
    else if (number == EINTR)
        status = JINI_E_CANCELLED;
    return file_error(error, status, path, "it %s: %s", what,
                      number == EINTR ? "the command was ended first" : strerror(number));
}

/* ---- Writing ---- */

static int write_all(int descriptor, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(descriptor, bytes, length);
        if (written < 0 && errno == EINTR && !interrupt_signal())
            continue;
        if (written < 0)
            return errno;
        bytes += written;
        length -= (size_t)written;
    }
    return 0;
}

/* A device or a pipe: there is nothing to rename. */
static int write_through(const char *path, const void *bytes, size_t length,
                         struct jini_error *error)
{
    int descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0)
        return file_error_errno(error, errno, path, "cannot be opened");
    int failed = write_all(descriptor, bytes, length);
    if (close(descriptor) != 0 && !failed)
        failed = errno;
    return failed ? file_error_errno(error, failed, path, "cannot be written") : 0;
}

/* The folder of a path, opened. */
static int open_folder(const char *path)
{
    char copy[PATH_BYTES_MAX];
    snprintf(copy, sizeof(copy), "%s", path);
    return open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void choose_mode(int descriptor)
{
    mode_t mask = umask(0);
    umask(mask);
    if (fchmod(descriptor, 0666 & ~mask) != 0)
        return; /* it stays private to its owner, which is safe */
}

/* errno, or 0. */
static int rename_or_link(const char *temporary, const char *path, enum file_replace replace)
{
    if (replace == FILE_REPLACE)
        return rename(temporary, path) == 0 ? 0 : errno;
    if (link(temporary, path) == 0)
        return unlink(temporary) == 0 ? 0 : errno;
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
        return errno;
    /* A filesystem without links: the check and the rename are two steps. */
    if (access(path, F_OK) == 0)
        return EEXIST;
    return rename(temporary, path) == 0 ? 0 : errno;
}

int file_give_name(const char *temporary, const char *path, enum file_replace replace,
                   struct jini_error *error)
{
    int folder = open_folder(path);
    int failed = folder < 0 ? errno : rename_or_link(temporary, path, replace);
    if (failed)
        unlink(temporary);
    else if (fsync(folder) != 0)
        failed = errno;
    if (folder >= 0)
        close(folder);
    if (failed == EEXIST)
        return file_error(error, JINI_E_EXISTS, path, "it is there already");
    return failed ? file_error_errno(error, failed, path, "cannot be written") : 0;
}

/* Writes and syncs a temporary that was just made, and closes it. errno, or 0. */
static int fill(int descriptor, const void *bytes, size_t length)
{
    choose_mode(descriptor);
    int failed = write_all(descriptor, bytes, length);
    if (!failed && fsync(descriptor) != 0)
        failed = errno;
    if (close(descriptor) != 0 && !failed)
        failed = errno;
    return failed;
}

static int write_beside(const char *path, const void *bytes, size_t length,
                        enum file_replace replace, struct jini_error *error)
{
    char temporary[PATH_BYTES_MAX];
    const char *slash = strrchr(path, '/');
    int folder_length = slash ? (int)(slash - path) + 1 : 0;
    int written = snprintf(temporary, sizeof(temporary), "%.*s.jini-XXXXXX", folder_length, path);
    if (written < 0 || (size_t)written >= sizeof(temporary))
        return file_error(error, JINI_E_INVALID, path, "the path is too long");
    int descriptor = mkostemp(temporary, O_CLOEXEC);
    if (descriptor < 0)
        return file_error_errno(error, errno, path, "cannot be made in its folder");
    int failed = fill(descriptor, bytes, length);
    if (failed) {
        unlink(temporary);
        return file_error_errno(error, failed, path, "cannot be written");
    }
    return file_give_name(temporary, path, replace, error);
}

int file_write(const char *path, const void *bytes, size_t length, enum file_replace replace,
               struct jini_error *error)
{
    struct stat info;
    bool there = stat(path, &info) == 0;
    if (strlen(path) >= PATH_BYTES_MAX)
        return file_error(error, JINI_E_INVALID, path, "the path is too long");
    if (there && S_ISDIR(info.st_mode))
        return file_error(error, JINI_E_INVALID, path, "it is a folder");
    int status = file_check_target(path, error);
    if (status)
        return status;
    if (there && !S_ISREG(info.st_mode))
        return write_through(path, bytes, length, error);
    if (there && replace == FILE_KEEP)
        return file_error(error, JINI_E_EXISTS, path, "it is there already; --force replaces it");
    return write_beside(path, bytes, length, replace, error);
}
