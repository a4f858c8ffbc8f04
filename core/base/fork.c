/* Counts forks by a pthread_atfork handler that runs in the child. */
#include "base/fork.h"

#include <pthread.h>
#include <stdatomic.h>

static _Atomic uint32_t generation;

static void count_in_child(void)
{
    atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_in_child);
}

uint32_t fork_generation(void)
{
    return atomic_load_explicit(&generation, memory_order_relaxed);
}
