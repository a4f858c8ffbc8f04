/* The cases, each defined in the file of its name. */
#ifndef CASES_H
#define CASES_H

#include "bench.h"

extern const struct bench_case case_limit_hot;
extern const struct bench_case case_limit_spread;
extern const struct bench_case case_write_small;
extern const struct bench_case case_read_user;
extern const struct bench_case case_write_procs;
extern const struct bench_case case_image_put;
extern const struct bench_case case_image_get;
extern const struct bench_case case_open;
extern const struct bench_case case_growth;
extern const struct bench_case case_memory;
extern const struct bench_case case_transfer_batch;
extern const struct bench_case case_transfer_spread;
extern const struct bench_case case_transfer_single;
extern const struct bench_case case_admit;
extern const struct bench_case case_admit_uniform;
extern const struct bench_case case_admit_mixed;

#endif
