/*
 * limit-spread: a million subjects, two processes on one table, and a count of what each subject
 * was given.
 */
#include "cases/cases.h"
#include "database.h"
#include "engine.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    PROCESSES = 2,
    STRIDE = 1024,         /* checks between two looks at what is to be done */
    AIMED_USERS = 2000,    /* whom both processes crowd in the end */
    AIMED_CHECKS = 400000, /* of each process: far more than the limits of these users allow */
    WINDOW_S = 60,
    LIMIT = 60, /* of Premium */
    OVERRIDE_LIMIT = 20,
    OVERRIDE_EVERY = 10, /* every tenth user has one */
    SETS_IN_FLIGHT = 1024,
};

enum phase { PHASE_OPEN, PHASE_WARM, PHASE_CHECK, PHASE_ATOMIC, PHASE_AIM, PHASE_COUNT, PHASE_END };

/* Shared by the processes. */
struct board {
    _Atomic uint32_t phase;
    _Atomic uint32_t arrived[PHASE_END]; /* how many processes have come to the end of a phase */
    struct {
        _Atomic uint64_t checks;
        _Atomic uint64_t atomics;
        _Atomic uint64_t refused;
    } __attribute__((aligned(64))) done[PROCESSES];
    uint64_t users;
    _Atomic uint64_t *words;       /* of the ceiling: one a user, shared */
    uint32_t *refused[PROCESSES];  /* of each user, by each process */
    uint32_t *attempts[PROCESSES]; /* likewise; counted when all is done */
};

/* Draws users at random, and can draw the same ones again. */
struct draw {
    uint64_t seed;
    uint64_t random;
    uint64_t bound;
    uint64_t count;
};

struct worker {
    struct board *board;
    struct jini *jini;
    unsigned self;
    uint64_t refused;
    struct draw all;
    struct draw aimed;
    uint64_t random; /* of the ceiling */
};

/* ---- Before ---------------------------------------------------------------------------------- */

struct overriding {
    struct jini *jini;
    uint64_t users;
    uint64_t next;
};

static bool set_next(void *context, struct bench_flow_step *step)
{
    struct overriding *overriding = context;
    struct jini_user_set *set = (struct jini_user_set *)step->request;
    overriding->next += OVERRIDE_EVERY;
    if (overriding->next > overriding->users)
        return false;
    set->user.id = overriding->next;
    set->fields = JINI_USER_FIELD_OVERRIDES;
    set->user.override_mask = JINI_ALLOWANCE_LIMITS;
    snprintf(set->user.overrides.limits, sizeof(set->user.overrides.limits), "%d/minute; 2000/day",
             OVERRIDE_LIMIT);
    step->status = jini_user_set(overriding->jini, set, step->callback);
    return true;
}

static void set_overrides(const char *path, uint64_t users)
{
    struct jini_options options;
    bench_jini_options(&options);
    options.store_sync = JINI_SYNC_NONE;
    bench_progress("limit-spread: setting overrides");
    struct overriding overriding = {.jini = bench_jini_open(path, &options), .users = users};
    struct bench_flow flow = {sizeof(struct jini_user_set), SETS_IN_FLIGHT, set_next, &overriding};
    bench_flow_run(&flow);
    bench_jini_close(overriding.jini);
}

/* ---- In each process ------------------------------------------------------------------------- */

static void check_one(struct worker *worker, uint64_t user)
{
    struct jini_limit_check check = {.subject = {.kind = JINI_SUBJECT_USER, .number = user},
                                     .cost = 1};
    struct jini_limit_answer answer;
    struct jini_error error;
    int status = jini_limit_check(worker->jini, &check, &answer, &error);
    if (status == 0)
        return;
    if (status != JINI_E_LIMITED)
        bench_check(status, &error, "a check");
    worker->board->refused[worker->self][user]++;
    worker->refused++;
}

static void check_some(struct worker *worker, struct draw *draw)
{
    for (int i = 0; i < STRIDE; i++)
        check_one(worker, 1 + bench_random_below(&draw->random, draw->bound));
    draw->count += STRIDE;
    atomic_fetch_add(&worker->board->done[worker->self].checks, STRIDE);
    atomic_store(&worker->board->done[worker->self].refused, worker->refused);
}

/*
 * How often each user was asked for. To count while checks are timed would cost as much of the
 * memory's time as a check; instead the same users are drawn once more.
 */
static void count_attempts(struct worker *worker)
{
    uint32_t *attempts = worker->board->attempts[worker->self];
    struct draw draws[] = {worker->all, worker->aimed};
    for (uint64_t user = 1; user <= worker->board->users; user++)
        attempts[user] = 1; /* when they met */
    for (int i = 0; i < 2; i++) {
        draws[i].random = draws[i].seed;
        for (uint64_t j = 0; j < draws[i].count; j++)
            attempts[1 + bench_random_below(&draws[i].random, draws[i].bound)]++;
    }
}

static void swap_some(struct worker *worker)
{
    struct board *board = worker->board;
    struct timespec now;
    for (int i = 0; i < STRIDE; i++) {
        clock_gettime(CLOCK_BOOTTIME, &now);
        _Atomic uint64_t *word = &board->words[bench_random_below(&worker->random, board->users)];
        uint64_t old = atomic_load_explicit(word, memory_order_acquire);
        atomic_compare_exchange_strong(word, &old, old + 1 + ((uint64_t)now.tv_nsec & 1));
    }
    atomic_fetch_add(&board->done[worker->self].atomics, STRIDE);
}

/* Each user once, so that both processes know all of them. */
static void warm(struct worker *worker)
{
    uint64_t users = worker->board->users;
    uint64_t offset = users / PROCESSES * worker->self;
    for (uint64_t i = 0; i < users; i++)
        check_one(worker, 1 + (i + offset) % users);
}

static void arrive(struct worker *worker, enum phase phase)
{
    atomic_fetch_add(&worker->board->arrived[phase], 1);
    while (atomic_load(&worker->board->phase) == phase)
        sched_yield();
}

static void work(struct worker *worker)
{
    for (;;) {
        enum phase phase = (enum phase)atomic_load(&worker->board->phase);
        switch (phase) {
        case PHASE_CHECK:
            check_some(worker, &worker->all);
            continue;
        case PHASE_ATOMIC:
            swap_some(worker);
            continue;
        case PHASE_WARM:
            warm(worker);
            break;
        case PHASE_AIM:
            while (worker->aimed.count < AIMED_CHECKS)
                check_some(worker, &worker->aimed);
            break;
        case PHASE_COUNT:
            count_attempts(worker);
            break;
        case PHASE_END:
            return;
        default:
            break;
        }
        arrive(worker, phase);
    }
}

static struct draw draw_of(uint64_t seed, uint64_t bound)
{
    return (struct draw){.seed = seed, .random = seed, .bound = bound};
}

static void start(struct board *board, const char *path, const struct jini_options *options,
                  unsigned self)
{
    if (bench_fork() > 0)
        return;
    uint64_t aimed = board->users < AIMED_USERS ? board->users : AIMED_USERS;
    struct worker worker = {.board = board,
                            .jini = bench_jini_open(path, options),
                            .self = self,
                            .all = draw_of(self + 1, board->users),
                            .aimed = draw_of(self + 1001, aimed),
                            .random = self + 2001};
    work(&worker);
    bench_jini_close(worker.jini);
    _exit(0);
}

/* ---- In the process that watches ------------------------------------------------------------- */

static uint64_t total(struct board *board, bool atomics)
{
    uint64_t sum = 0;
    for (int i = 0; i < PROCESSES; i++)
        sum += atomic_load(atomics ? &board->done[i].atomics : &board->done[i].checks);
    return sum;
}

/* Lets the processes work on one phase for a while; per second, all of them together. */
static double watch(struct board *board, enum phase phase, double seconds)
{
    bool atomics = phase == PHASE_ATOMIC;
    atomic_store(&board->phase, phase);
    bench_sleep(seconds / 10);
    uint64_t begin_ns = bench_now_ns();
    uint64_t begin = total(board, atomics);
    bench_sleep(seconds);
    return (double)(total(board, atomics) - begin) / ((double)(bench_now_ns() - begin_ns) / 1e9);
}

/* Lets all come to the end of a phase. */
static void await(struct board *board, enum phase phase)
{
    atomic_store(&board->phase, phase);
    while (atomic_load(&board->arrived[phase]) < PROCESSES) {
        bench_fail_if_child_ended();
        bench_sleep(0.002);
    }
}

/* What each subject was given against what it was allowed to be given. */
static void judge(const struct board *board, double elapsed_s, struct bench_result *result)
{
    uint64_t windows = 1 + (uint64_t)(elapsed_s / WINDOW_S);
    uint64_t over = 0;
    uint64_t under = 0;
    uint64_t at_limit = 0;
    for (uint64_t user = 1; user <= board->users; user++) {
        uint64_t admitted = 0;
        uint64_t attempts = 0;
        uint64_t limit = user % OVERRIDE_EVERY == 0 ? OVERRIDE_LIMIT : LIMIT;
        for (int i = 0; i < PROCESSES; i++) {
            admitted += board->attempts[i][user] - board->refused[i][user];
            attempts += board->attempts[i][user];
        }
        over += admitted > limit * windows;
        under += windows == 1 && admitted < (attempts < limit ? attempts : limit);
        at_limit += attempts > limit;
    }
    result_count(result, "subjects_over_the_limit", over);
    result_count(result, "subjects_under_the_limit_yet_refused", under);
    result_count(result, "subjects_that_asked_for_more", at_limit);
    result_number(result, "elapsed_s", elapsed_s);
    if (over)
        result_broken(result, "%llu subjects were admitted more often than their limit allows",
                      (unsigned long long)over);
    if (under)
        result_broken(result, "%llu subjects were refused within their limit",
                      (unsigned long long)under);
}

static struct board *make_board(uint64_t users)
{
    struct board *board = bench_share(sizeof(*board));
    board->users = users;
    board->words = bench_share(users * sizeof(*board->words));
    for (int i = 0; i < PROCESSES; i++) {
        board->refused[i] = bench_share((users + 1) * sizeof(*board->refused[i]));
        board->attempts[i] = bench_share((users + 1) * sizeof(*board->attempts[i]));
    }
    return board;
}

static void measure_rounds(const struct bench_options *options, struct board *board,
                           struct bench_result *result)
{
    struct bench_series rates = {0};
    struct bench_series atomics = {0};
    uint64_t begin_ns = bench_now_ns();
    bench_progress("limit-spread: each process meets every user");
    await(board, PHASE_WARM);
    for (unsigned round = 0; round < bench_rounds(options); round++) {
        bench_progress("limit-spread: round %u", round + 1);
        series_add(&rates, watch(board, PHASE_CHECK, options->seconds));
        series_add(&atomics, watch(board, PHASE_ATOMIC, options->seconds / 2));
        bench_fail_if_child_ended();
    }
    uint64_t refused = 0;
    for (int i = 0; i < PROCESSES; i++)
        refused += atomic_load(&board->done[i].refused);
    result_value(result, series_median(&rates));
    result_ceiling(
        result, series_median(&atomics),
        "two processes: clock_gettime(CLOCK_BOOTTIME) and a compare-and-swap on one of as "
        "many words, chosen at random");
    result_number(result, "value_least", series_least(&rates));
    result_number(result, "value_most", series_most(&rates));
    result_number(result, "refused_share", (double)refused / (double)total(board, false));
    await(board, PHASE_AIM);
    double elapsed_s = (double)(bench_now_ns() - begin_ns) / 1e9;
    await(board, PHASE_COUNT);
    judge(board, elapsed_s, result);
    result_count(result, "subjects", board->users);
}

static void measure(const struct bench_options *options, struct bench_result *result)
{
    struct jini_options jini_options;
    uint64_t users = bench_scaled(options, 1000000, 1000);
    char *prepared = database_users(options, users);
    char *path = database_clone(options, prepared, "limit-spread");
    set_overrides(path, users);
    bench_jini_options(&jini_options);
    jini_options.create = 0;
    jini_options.limits_slots = DATABASE_SLOTS_PER_USER * users;
    jini_options.cache_users = users;
    struct board *board = make_board(users);
    for (unsigned i = 0; i < PROCESSES; i++)
        start(board, path, &jini_options, i);
    await(board, PHASE_OPEN);
    measure_rounds(options, board, result);
    atomic_store(&board->phase, PHASE_END);
    bench_wait_children(PROCESSES);
    database_remove(path);
    free(path);
    free(prepared);
}

const struct bench_case case_limit_spread = {
    .name = "limit-spread",
    .measures = "rate-limit checks over 1,000,000 subjects by two processes on one table, in total",
    .unit = "checks/s",
    .target = "5 million/s in total, never one over the limit",
    .method = "Two processes have one database open and call jini_limit_check() for users drawn at "
              "random from 1,000,000 on "
              "Premium (60/minute), every tenth of whom has an override (20/minute). Each process "
              "has met every user once before the "
              "rounds (cache.users is the number of users). What each user was given is counted "
              "beside the "
              "checks; in the end both processes crowd 2,000 users far over their limits. Then no "
              "user may have been "
              "admitted more often than the limit allows, nor, when all was done within one "
              "window, been refused below it; "
              "either fails the run.",
    .demands = {{"value", BENCH_AT_LEAST, 5e6}, {"subjects_over_the_limit", BENCH_AT_MOST, 0}},
    .run = measure,
};
