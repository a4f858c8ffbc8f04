/* Telling a process from the parent that it was forked from, without a system call. */
#ifndef BASE_FORK_H
#define BASE_FORK_H

#include <stdint.h>

/*
 * The number of forks between the first process that loaded the library and this one. A handle
 * keeps the value of the process that made it; in a child the values differ. Any thread.
 */
uint32_t fork_generation(void);

#endif
