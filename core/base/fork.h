/* Telling a process from the parent that it was forked from, without a system call. */
#ifndef BASE_FORK_H
#define BASE_FORK_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * The number of forks between the first process that loaded the library and this one. A handle
 * keeps the value of the process that made it; in a child the values differ. Any thread.
 */
extern _Atomic uint32_t fork_generation_now; /* fork.c's own */
static inline uint32_t fork_generation(void)
{
    return atomic_load_explicit(&fork_generation_now, memory_order_relaxed);
}

#endif
