/* What the harness shares with its runner of faulty cases. */
#ifndef HARNESS_PRIVATE_H
#define HARNESS_PRIVATE_H

#include "harness.h"

#include <stdatomic.h>

/* The allocation that fails. */
struct harness_heap {
    uint64_t planned;
    _Atomic uint64_t left;
    _Atomic bool failed;
};

/* What all processes of a case share and tell, in memory that outlives them. */
struct harness_told {
    struct harness_heap heap;
    _Atomic bool failed;  /* a CHECK, after which all of them are killed */
    _Atomic bool crashed; /* a child ended otherwise than the case wants, and not by a CHECK */
};

/* What is done around a case: before it, in its own process, and behind it, in the runner's. */
struct harness_around {
    struct harness_told *told;
    void (*before)(void *context);
    void (*behind)(void *context); /* its directory is still there */
    void *context;
};

/* Runs a case; with `around` the answer is its process's status, as of waitpid(). */
int harness_run_case(const struct harness_case *test, const struct harness_around *around);

/* Runs a case and prints what fails: 0, or an exit code. */
typedef int harness_runner(const struct harness_case *test);

/* What --faulty runs cases with; NULL where a test is not linked with faulty.c. */
extern harness_runner *harness_faulty_runner;

/* Where harness_fail() would hide that a child has crashed. */
void harness_told_crash(void);

#endif
