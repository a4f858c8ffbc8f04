/* limit-hot: one subject, one thread. */
#include "cases/cases.h"
#include "database.h"
#include "engine.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CHECKS_MAX = 7000000,       /* less than what the subject's window admits */
    CHECKS_PER_SECOND = 8000000 /* about: a round takes as long as it was asked to */
};

/*
 * The kinds of subjects. Each has an override of its tier's limits, but the one that is over the
 * limits of its tier.
 */
enum subject { FIXED_WINDOW, GCRA, TWO_LIMITS, OVER_THE_LIMIT, SUBJECTS };

static const char *const limits[SUBJECTS] = {
    [FIXED_WINDOW] = "8000000/minute; 2000/day",
    [GCRA] = "1000000/second gcra burst 60000000; 2000/day",
    [TWO_LIMITS] = "8000000/minute; 8000000/30 minute; 2000/day",
    [OVER_THE_LIMIT] = NULL,
};

static uint64_t add_subject(struct jini *jini, enum subject subject)
{
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "subject%d", subject);
    snprintf(add.user.tier, sizeof(add.user.tier), "Premium");
    add.user.flags = JINI_USER_ACTIVE;
    if (limits[subject]) {
        add.user.override_mask = JINI_ALLOWANCE_LIMITS;
        snprintf(add.user.overrides.limits, sizeof(add.user.overrides.limits), "%s",
                 limits[subject]);
    }
    bench_check(jini_user_add(jini, &add, NULL), &add.request.error, "adding a user");
    return add.user.id;
}

static void reset(struct jini *jini, uint64_t user)
{
    struct jini_limit_reset request;
    jini_request_init(&request);
    request.subject.kind = JINI_SUBJECT_USER;
    request.subject.number = user;
    bench_check(jini_limit_reset(jini, &request, NULL), &request.request.error, "resetting");
}

/* Checks per second. All must have the same status. */
static double run(struct jini *jini, uint64_t user, uint64_t checks, int expected)
{
    struct jini_limit_check check = {.subject = {.kind = JINI_SUBJECT_USER, .number = user},
                                     .cost = 1};
    struct jini_limit_answer answer;
    struct jini_error error;
    uint64_t begin = bench_now_ns();
    for (uint64_t i = 0; i < checks; i++) {
        int status = jini_limit_check(jini, &check, &answer, &error);
        if (status != expected)
            bench_fail("check %llu answered %s, not %s", (unsigned long long)i,
                       jini_status_name(status), jini_status_name(expected));
    }
    return (double)checks / ((double)(bench_now_ns() - begin) / 1e9);
}

/*
 * What no counter on a clock can do without: the clock that counts through suspends, and one
 * compare-and-swap.
 */
static double run_atomic(uint64_t count, bool with_clock)
{
    static _Atomic uint64_t word __attribute__((aligned(64)));
    struct timespec now = {0};
    uint64_t begin = bench_now_ns();
    for (uint64_t i = 0; i < count; i++) {
        if (with_clock)
            clock_gettime(CLOCK_BOOTTIME, &now);
        uint64_t old = atomic_load_explicit(&word, memory_order_acquire);
        atomic_compare_exchange_strong(&word, &old, old + 1 + ((uint64_t)now.tv_nsec & 1));
    }
    return (double)count / ((double)(bench_now_ns() - begin) / 1e9);
}

static void measure(const struct bench_options *options, struct bench_result *result)
{
    static const char *const fields[SUBJECTS] = {
        [GCRA] = "gcra_per_s",
        [TWO_LIMITS] = "two_limits_per_s",
        [OVER_THE_LIMIT] = "refused_with_words_per_s",
    };
    struct jini_options jini_options;
    bench_jini_options(&jini_options);
    char *path = database_fresh(options, "limit-hot");
    struct jini *jini = bench_jini_open(path, &jini_options);
    struct bench_series rates[SUBJECTS] = {0};
    struct bench_series atomic = {0};
    struct bench_series bare = {0};
    double wanted = CHECKS_PER_SECOND * options->seconds;
    uint64_t checks = wanted < CHECKS_MAX ? (uint64_t)wanted : CHECKS_MAX;
    uint64_t users[SUBJECTS];
    for (int i = 0; i < SUBJECTS; i++)
        users[i] = add_subject(jini, (enum subject)i);
    for (unsigned round = 0; round < bench_rounds(options); round++) {
        for (int i = 0; i < SUBJECTS; i++) {
            uint64_t count = i == FIXED_WINDOW ? checks : checks / 8;
            bench_progress("limit-hot: round %u, %s", round + 1, limits[i] ? limits[i] : "refused");
            reset(jini, users[i]);
            if (i == OVER_THE_LIMIT)
                run(jini, users[i], 60, 0);
            series_add(&rates[i],
                       run(jini, users[i], count, i == OVER_THE_LIMIT ? JINI_E_LIMITED : 0));
        }
        series_add(&atomic, run_atomic(checks, true));
        series_add(&bare, run_atomic(checks, false));
    }
    bench_jini_close(jini);
    database_remove(path);
    free(path);
    result_value(result, series_median(&rates[FIXED_WINDOW]));
    result_ceiling(result, series_median(&atomic),
                   "clock_gettime(CLOCK_BOOTTIME) and one compare-and-swap");
    result_number(result, "compare_and_swap_per_s", series_median(&bare));
    result_number(result, "value_least", series_least(&rates[FIXED_WINDOW]));
    result_number(result, "value_most", series_most(&rates[FIXED_WINDOW]));
    for (int i = 1; i < SUBJECTS; i++)
        result_number(result, fields[i], series_median(&rates[i]));
}

const struct bench_case case_limit_hot = {
    .name = "limit-hot",
    .measures = "rate-limit checks of one hot subject by one thread",
    .unit = "checks/s",
    .target = "10 million/s",
    .method = "jini_limit_check() with the id of a user on Premium whose limits are an override, "
              "\"8000000/minute; "
              "2000/day\"; all checks are admitted, the whole answer is filled in, and an error "
              "struct is given. The window is "
              "reset before each round. Further fields: GCRA, two rate limits at once, and a user "
              "over the "
              "limits of Premium, where each refusal also says in words what refused and when to "
              "come back.",
    .demands = {{"value", BENCH_AT_LEAST, 10e6}},
    .run = measure,
};
