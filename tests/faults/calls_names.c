/* The calls on names: opening, creating, renaming, linking, removing. */
#include "real.h"
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool makes_unnamed(int flags)
{
    return (flags & O_TMPFILE) == O_TMPFILE;
}

/* Opens and records what that made or emptied. With the lock held. */
static int open_recorded(int directory, const char *path, int flags, mode_t mode)
{
    struct stat before;
    struct stat info;
    bool existed = fstatat(directory, path, &before, 0) == 0;
    int fd = REAL(openat)(directory, path, flags, mode);
    if (fd < 0 || !record_inode(fd, &info))
        return fd;
    if (makes_unnamed(flags)) {
        record_new_file(&info);
    } else if (!existed && (flags & O_CREAT)) {
        struct record_place place = record_place_of(directory, path);
        record_new_entry(&place, &info, true);
    } else if (existed && (flags & O_TRUNC) && before.st_size > 0) {
        record_size(&info);
    }
    return fd;
}

/* A file that tells another boot id, or -1 where the machine's own is wanted. */
static int open_boot_id(const char *path)
{
    struct fault_block *block = fault_block();
    uint64_t boot = block ? atomic_load_explicit(&block->boot, memory_order_acquire) : 0;
    char text[64];
    if (boot == 0 || strcmp(path, "/proc/sys/kernel/random/boot_id") != 0)
        return -1;
    int length = snprintf(text, sizeof(text), "b0070000-0000-4000-8000-%012llx\n",
                          (unsigned long long)boot & 0xffffffffffff);
    int fd = memfd_create("boot_id", MFD_CLOEXEC);
    if (fd < 0 || REAL(pwrite)(fd, text, (size_t)length, 0) != length)
        fault_give_up("cannot make", "a boot id");
    return fd;
}

static int open_at(int directory, const char *path, int flags, mode_t mode)
{
    if (!fault_watching())
        return REAL(openat)(directory, path, flags, mode);
    bool makes = (flags & (O_CREAT | O_TRUNC)) || makes_unnamed(flags);
    uint32_t kind = FAULT_OPEN | (makes ? FAULT_CREATE : 0);
    if (fault_decide_name(kind, directory, path) == VERDICT_FAIL)
        return -1;
    int boot_id = open_boot_id(path);
    if (boot_id >= 0)
        return boot_id;
    if (!makes)
        return REAL(openat)(directory, path, flags, mode);
    if (!record_begin())
        return REAL(openat)(directory, path, flags, mode);
    int fd = open_recorded(directory, path, flags, mode);
    record_end();
    return fd;
}

static mode_t mode_argument(int flags, va_list arguments)
{
    return (flags & O_CREAT) || makes_unnamed(flags) ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_argument(flags, arguments);
    va_end(arguments);
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_argument(flags, arguments);
    va_end(arguments);
    return open_at(directory, path, flags, mode);
}

int creat(const char *path, mode_t mode)
{
    return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

static int make_temporary(char *template, int flags)
{
    if (!fault_watching())
        return REAL(mkostemp)(template, flags);
    if (fault_decide_name(FAULT_OPEN | FAULT_CREATE, AT_FDCWD, template) == VERDICT_FAIL)
        return -1;
    if (!record_begin())
        return REAL(mkostemp)(template, flags);
    struct stat info;
    int fd = REAL(mkostemp)(template, flags);
    if (fd >= 0 && record_inode(fd, &info)) {
        struct record_place place = record_place_of(AT_FDCWD, template);
        record_new_entry(&place, &info, true);
    }
    record_end();
    return fd;
}

int mkstemp(char *template)
{
    return make_temporary(template, 0);
}

int mkostemp(char *template, int flags)
{
    return make_temporary(template, flags);
}

int renameat2(int from, const char *path, int to, const char *new_path, unsigned flags)
{
    if (!fault_watching())
        return REAL(renameat2)(from, path, to, new_path, flags);
    if (fault_decide_names(FAULT_RENAME, from, path, to, new_path) == VERDICT_FAIL)
        return -1;
    if (!record_begin())
        return REAL(renameat2)(from, path, to, new_path, flags);
    struct record_place old_place = record_place_of(from, path);
    struct record_place new_place = record_place_of(to, new_path);
    int result = REAL(renameat2)(from, path, to, new_path, flags);
    if (result == 0)
        record_rename(&old_place, &new_place, (flags & RENAME_EXCHANGE) != 0);
    record_end();
    return result;
}

int renameat(int from, const char *path, int to, const char *new_path)
{
    return fault_watching() ? renameat2(from, path, to, new_path, 0)
                            : REAL(renameat)(from, path, to, new_path);
}

int rename(const char *path, const char *new_path)
{
    return fault_watching() ? renameat2(AT_FDCWD, path, AT_FDCWD, new_path, 0)
                            : REAL(rename)(path, new_path);
}

int linkat(int from, const char *path, int to, const char *new_path, int flags)
{
    if (!fault_watching())
        return REAL(linkat)(from, path, to, new_path, flags);
    if (fault_decide_names(FAULT_LINK, from, path, to, new_path) == VERDICT_FAIL)
        return -1;
    if (!record_begin())
        return REAL(linkat)(from, path, to, new_path, flags);
    struct stat info;
    struct record_place place = record_place_of(to, new_path);
    int result = REAL(linkat)(from, path, to, new_path, flags);
    if (result == 0 && fstatat(to, new_path, &info, AT_SYMLINK_NOFOLLOW) == 0)
        record_new_entry(&place, &info, false);
    record_end();
    return result;
}

int link(const char *path, const char *new_path)
{
    return fault_watching() ? linkat(AT_FDCWD, path, AT_FDCWD, new_path, 0)
                            : REAL(link)(path, new_path);
}

int unlinkat(int directory, const char *path, int flags)
{
    if (!fault_watching())
        return REAL(unlinkat)(directory, path, flags);
    if (fault_decide_name(FAULT_UNLINK, directory, path) == VERDICT_FAIL)
        return -1;
    if (!record_begin())
        return REAL(unlinkat)(directory, path, flags);
    struct record_place place = record_place_of(directory, path);
    int result = REAL(unlinkat)(directory, path, flags);
    if (result == 0)
        record_remove(&place);
    record_end();
    return result;
}

int unlink(const char *path)
{
    return fault_watching() ? unlinkat(AT_FDCWD, path, 0) : REAL(unlink)(path);
}

int rmdir(const char *path)
{
    return fault_watching() ? unlinkat(AT_FDCWD, path, AT_REMOVEDIR) : REAL(rmdir)(path);
}

int remove(const char *path)
{
    struct stat info;
    if (!fault_watching())
        return REAL(remove)(path);
    bool is_directory = lstat(path, &info) == 0 && S_ISDIR(info.st_mode);
    return unlinkat(AT_FDCWD, path, is_directory ? AT_REMOVEDIR : 0);
}

int mkdirat(int directory, const char *path, mode_t mode)
{
    if (!fault_watching())
        return REAL(mkdirat)(directory, path, mode);
    if (fault_decide_name(FAULT_MKDIR, directory, path) == VERDICT_FAIL)
        return -1;
    if (!record_begin())
        return REAL(mkdirat)(directory, path, mode);
    struct stat info;
    struct record_place place = record_place_of(directory, path);
    int result = REAL(mkdirat)(directory, path, mode);
    if (result == 0 && fstatat(directory, path, &info, AT_SYMLINK_NOFOLLOW) == 0)
        record_new_entry(&place, &info, true);
    record_end();
    return result;
}

int mkdir(const char *path, mode_t mode)
{
    return fault_watching() ? mkdirat(AT_FDCWD, path, mode) : REAL(mkdir)(path, mode);
}

/* The names that libc's headers give the same calls: for large files, and with flags checked. */

int open64(const char *, int, ...) __attribute__((alias("open")));
int openat64(int, const char *, int, ...) __attribute__((alias("openat")));
int creat64(const char *, mode_t) __attribute__((alias("creat")));
int mkstemp64(char *) __attribute__((alias("mkstemp")));
int mkostemp64(char *, int) __attribute__((alias("mkostemp")));

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
    return open_at(AT_FDCWD, path, flags, 0);
}
int __open64_2(const char *, int) __attribute__((alias("__open_2")));

int __openat_2(int directory, const char *path, int flags);
int __openat_2(int directory, const char *path, int flags)
{
    return open_at(directory, path, flags, 0);
}
int __openat64_2(int, const char *, int) __attribute__((alias("__openat_2")));
