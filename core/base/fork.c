/* Counts forks by a pthread_atfork handler that runs in the child. */
#include "base/fork.h"

#include <pthread.h>

_Atomic uint32_t fork_generation_now;

static void count_in_child(void)
{
    atomic_fetch_add_explicit(&fork_generation_now, 1, memory_order_relaxed);
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_in_child);
}
