/*
 * What a process needs to know and to do because it may be forked: telling a process from the
 * parent that it was forked from, without a system call, and keeping files from its children.
 */
#ifndef BASE_FORK_H
#define BASE_FORK_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The number of forks between the first process that loaded the library and this one. A handle
 * keeps the value of the process that made it; in a child the values differ. Any thread.
 */
extern _Atomic uint32_t fork_generation_now; /* fork.c's own */
static inline uint32_t fork_generation(void)
{
    return atomic_load_explicit(&fork_generation_now, memory_order_relaxed);
}

/*
 * A file that no child inherits. A lock that belongs to an open file (flock(), fcntl() with
 * F_OFD_SETLK) lasts until the last descriptor of it is closed: with one in a child it would
 * outlive the process that took it. Such a file is opened here, before it is locked.
 *
 * fork() closes it in the child, where `descriptor` is -1 from then on. posix_spawn() and vfork()
 * begin another program, for which O_CLOEXEC does the same. A child made by clone() itself or by
 * _Fork() keeps the file: they run no handlers.
 */
struct fork_file {
    int descriptor; /* -1: none */

    /* Private; the place of an open file must not change. */
    struct fork_file *next;
    struct fork_file *previous;
};

/*
 * Opens as openat() does; O_CLOEXEC is added. Returns 0 or an errno, with `descriptor` -1 then. Any
 * thread. A fork waits while a file is opened or closed.
 */
int fork_file_open(struct fork_file *file, int directory, const char *path, int flags, mode_t mode);

/* Closes it; does nothing when `descriptor` is -1. Any thread. */
void fork_file_close(struct fork_file *file);

#endif
