/* What the figures were taken on, in words that name no maker. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <jansson.h>

/*
 * cores, memory_bytes, kernel, filesystem, hypervisor, compiler: of this machine and of the disk
 * that holds `directory`.
 */
json_t *machine_describe(const char *directory);

/*
 * The commit of the checkout in the current directory, "-dirty" behind it when a file of it was
 * changed; "unknown" without one, or without git.
 */
json_t *machine_commit(void);

#endif
