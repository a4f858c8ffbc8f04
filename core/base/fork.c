/*
 * The handlers of pthread_atfork(), and the files that they close.
 *
 *  1. The list holds the files that fork_file_open() has open. A descriptor enters it before any
 *     fork can copy it, and leaves it in the same step as it is closed: both are done under `lock`,
 *     which a fork holds.
 *  2. The list of a child is empty. It touches the parent's files by close() alone, which a child
 *     of a process with threads may call.
 */
#include "base/fork.h"

#include "base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

_Atomic uint32_t fork_generation_now;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fork_file *first;

static void hold_files(void)
{
    pthread_mutex_lock(&lock);
}

static void go_on_in_parent(void)
{
    pthread_mutex_unlock(&lock);
}

static void begin_in_child(void)
{
    atomic_fetch_add_explicit(&fork_generation_now, 1, memory_order_relaxed);
    for (struct fork_file *file = first; file; file = file->next) {
        close(file->descriptor);
        file->descriptor = -1;
    }
    first = NULL;
    pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(hold_files, go_on_in_parent, begin_in_child);
}

int fork_file_open(struct fork_file *file, int directory, const char *path, int flags, mode_t mode)
{
    int failed = 0;
    pthread_mutex_lock(&lock);
    file->descriptor = openat(directory, path, flags | O_CLOEXEC, mode);
    if (file->descriptor < 0) {
        failed = errno;
    } else {
        file->previous = NULL;
        file->next = first;
        if (first)
            first->previous = file;
        first = file;
    }
    pthread_mutex_unlock(&lock);
    return failed;
}

void fork_file_close(struct fork_file *file)
{
    pthread_mutex_lock(&lock);
    if (file->descriptor >= 0) {
        JINI_ASSERT(first != NULL);
        *(file->previous ? &file->previous->next : &first) = file->next;
        if (file->next)
            file->next->previous = file->previous;
        close(file->descriptor);
        file->descriptor = -1;
    }
    pthread_mutex_unlock(&lock);
}
