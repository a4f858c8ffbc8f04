/* The table of cases. A new one is a file in cases/ and a line here. */
#include "cases/cases.h"

#include <string.h>

/* clang-format off */
const struct bench_case *const bench_cases[] = {
    &case_limit_hot,
    &case_limit_spread,
    &case_write_small,
    &case_read_user,
    &case_write_procs,
    &case_image_put,
    &case_image_get,
    &case_open,
    &case_growth,
    &case_memory,
    &case_transfer_batch,
    &case_transfer_spread,
    &case_transfer_single,
    &case_admit,
    &case_admit_uniform,
    &case_admit_mixed,
    NULL,
};
/* clang-format on */

const struct bench_case *bench_case_find(const char *name)
{
    for (int i = 0; bench_cases[i]; i++) {
        if (strcmp(bench_cases[i]->name, name) == 0)
            return bench_cases[i];
    }
    return NULL;
}
