/*
 * Filesystems of a test's own, in namespaces of its own: what needs a full disk or read-only media.
 */
#ifndef SMALL_DISK_H
#define SMALL_DISK_H

#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static inline bool small_disk_map_user(const char *file, unsigned id)
{
    char text[64];
    int length = snprintf(text, sizeof(text), "0 %u 1", id);
    int fd = open(file, O_WRONLY);
    bool done = fd >= 0 && write(fd, text, (size_t)length) == length;
    if (fd >= 0)
        close(fd);
    return done;
}

/* Gives this process mounts of its own. Skips the case where the machine does not allow it. */
static inline void small_disk_namespace(void)
{
    unsigned user = geteuid();
    unsigned group = getegid();
    int flags = CLONE_NEWNS | (user == 0 ? 0 : CLONE_NEWUSER);
    if (unshare(flags) != 0)
        harness_skip("this machine allows no mounts of a test's own");
    if (user != 0) {
        int fd = open("/proc/self/setgroups", O_WRONLY);
        if (fd >= 0 && write(fd, "deny", 4) != 4)
            harness_skip("no group map");
        close(fd);
        if (!small_disk_map_user("/proc/self/uid_map", user) ||
            !small_disk_map_user("/proc/self/gid_map", group))
            harness_skip("no user map");
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        harness_skip("this machine allows no mounts of a test's own");
}

/* Mounts a disk of `kib` at the new directory `path`. */
static inline void small_disk_mount(const char *path, unsigned kib)
{
    char options[64];
    snprintf(options, sizeof(options), "size=%uk,mode=0700", kib);
    small_disk_namespace();
    CHECK(mkdir(path, 0700) == 0);
    if (mount("tmpfs", path, "tmpfs", 0, options) != 0)
        harness_skip("this machine mounts no tmpfs for a test");
}

#endif
