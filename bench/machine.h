/* What the figures were taken on, in words that name no maker. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <jansson.h>

/* cores, memory_bytes, kernel, filesystem, hypervisor, compiler: of this machine and of the disk that holds `directory`. */
json_t *machine_describe(const char *directory);

#endif
