/*
 * Several processes on one database: limits hold over all of them, and what one changes holds for
 * the others' next request.
 */
#include <jini/jini.h>

#include "harness.h"
#include "lives.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES = 4 };

static struct jini *open_engine(void)
{
    struct jini_options options;
    struct jini_error error;
    struct jini *jini;
    jini_options_init(&options);
    options.create = 1;
    options.password_memory_kib = 64;
    options.store_reserve_bytes = 1 << 20;
    int status = jini_open(&jini, harness_path("db"), &options, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "jini_open: %s: %s", error.field, error.message);
    return jini;
}

static uint64_t add_user(const char *limits)
{
    struct jini *jini = open_engine();
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "alice");
    snprintf(add.user.overrides.limits, sizeof(add.user.overrides.limits), "%s", limits);
    add.user.flags = JINI_USER_ACTIVE;
    add.user.override_mask = JINI_ALLOWANCE_LIMITS | JINI_ALLOWANCE_PARALLEL;
    CHECK_OK(jini_user_add(jini, &add, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
    return add.user.id;
}

static int check_once(struct jini *jini, uint64_t user, struct jini_limit_answer *answer)
{
    struct jini_error error;
    struct jini_limit_check check = {.subject = {.kind = JINI_SUBJECT_USER, .number = user},
                                     .cost = 1};
    return jini_limit_check(jini, &check, answer, &error);
}

static int admit_once(struct jini *jini, uint64_t user, struct jini_id *job)
{
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    admit.parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 1, .count = 1};
    int status = jini_admit(jini, &admit, NULL);
    *job = admit.job.id;
    return status;
}

static pid_t start(void (*run)(uint64_t user, int out), uint64_t user, int *from)
{
    int ends[2];
    CHECK_INT(pipe(ends), ==, 0);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        run(user, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    *from = ends[0];
    return pid;
}

static uint64_t collect(pid_t pid, int from)
{
    uint64_t count = 0;
    CHECK_INT(read(from, &count, sizeof(count)), ==, sizeof(count));
    close(from);
    harness_wait_exit(pid, 0);
    return count;
}

static void hammer_rate(uint64_t user, int out)
{
    struct jini *jini = open_engine();
    struct jini_limit_answer answer;
    uint64_t admitted = 0;
    for (int i = 0; i < 20000; i++)
        admitted += check_once(jini, user, &answer) == 0;
    CHECK_INT(write(out, &admitted, sizeof(admitted)), ==, sizeof(admitted));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_rate_limit_holds_over_processes, "Four processes that check one user as fast as they can "
                                        "admit its limit together, and not one more.")
{
    uint64_t user = add_user("5000/minute");
    pid_t pids[PROCESSES];
    int from[PROCESSES];
    uint64_t total = 0;
    for (int i = 0; i < PROCESSES; i++)
        pids[i] = start(hammer_rate, user, &from[i]);
    for (int i = 0; i < PROCESSES; i++)
        total += collect(pids[i], from[i]);
    CHECK_UINT(total, ==, 5000);
}

static void settle(struct jini *jini, const struct jini_id *job)
{
    struct jini_settle request;
    jini_request_init(&request);
    request.job_id = *job;
    CHECK_OK(jini_settle(jini, &request, NULL));
}

static void hammer_quota(uint64_t user, int out)
{
    struct jini *jini = open_engine();
    uint64_t admitted = 0;
    for (int i = 0; i < 60; i++) {
        struct jini_id job;
        int status = admit_once(jini, user, &job);
        CHECK(status == 0 || status == JINI_E_LIMITED);
        if (status)
            continue;
        admitted++;
        settle(jini, &job);
    }
    CHECK_INT(write(out, &admitted, sizeof(admitted)), ==, sizeof(admitted));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_quota_holds_over_processes,
     "Four processes that admit one user share its quota to the last unit.")
{
    uint64_t user = add_user("100000/minute; 130/day");
    pid_t pids[PROCESSES];
    int from[PROCESSES];
    uint64_t total = 0;
    for (int i = 0; i < PROCESSES; i++)
        pids[i] = start(hammer_quota, user, &from[i]);
    for (int i = 0; i < PROCESSES; i++)
        total += collect(pids[i], from[i]);
    CHECK_UINT(total, ==, 130);
}

static void admit_until_killed(uint64_t user, struct life *life)
{
    struct jini *jini = open_engine();
    for (;;) {
        struct jini_id job;
        life_begin(life);
        CHECK_OK(admit_once(jini, user, &job));
        life_end(life);
        settle(jini, &job); /* only so many may run at once */
    }
}

TEST(kill_and_a_deleted_table_leave_the_days_count,
     "Admissions that were acknowledged count for the day, whatever dies and whatever becomes of "
     "limits.shm.")
{
    enum { LIVES = 12, ADMISSIONS = 40, DAY = 20000 };
    uint64_t user = add_user("100000/minute; 20000/day");
    struct lives lives = {
        .lives = LIVES, .pieces = ADMISSIONS, .done_min = LIVES * 8, .middle_min = LIVES / 3};
    while (lives_go_on(&lives, true)) {
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0)
            admit_until_killed(user, lives.told);
        lives_kill(&lives, pid);
        unlink(harness_path("db/limits.shm"));
    }
    lives_check(&lives);
    struct jini *jini = open_engine();
    struct jini_error error;
    struct jini_limit_answer answer;
    struct jini_limit_check check = {.subject = {.kind = JINI_SUBJECT_USER, .number = user},
                                     .flags = JINI_CHECK_PEEK};
    CHECK_OK(jini_limit_check(jini, &check, &answer, &error));
    CHECK_UINT(answer.count, ==, 2);
    CHECK(answer.entries[1].flags & JINI_LIMIT_QUOTA);
    uint64_t counted = DAY - answer.entries[1].remaining;
    CHECK_UINT(counted, >=, lives.done);
    CHECK_UINT(counted, <=, lives.done + lives.lived);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* Answers each byte it gets with the amount of the first limit as it sees it. */
static void answer_amounts(uint64_t user, int in, int out)
{
    struct jini *jini = open_engine();
    char byte;
    while (read(in, &byte, 1) == 1) {
        struct jini_limit_answer answer;
        int status = check_once(jini, user, &answer);
        uint64_t amount = status == JINI_E_INACTIVE ? 0 : answer.entries[0].amount;
        CHECK_INT(write(out, &amount, sizeof(amount)), ==, sizeof(amount));
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static uint64_t ask(int to, int from)
{
    uint64_t amount;
    CHECK_INT(write(to, "?", 1), ==, 1);
    CHECK_INT(read(from, &amount, sizeof(amount)), ==, sizeof(amount));
    return amount;
}

TEST(a_change_holds_for_the_next_request_of_every_process,
     "A change of a user's override, tier or flag in one process is what another process decides "
     "by at its next check.")
{
    uint64_t user = add_user("100000/minute");
    int to[2];
    int from[2];
    CHECK_INT(pipe(to), ==, 0);
    CHECK_INT(pipe(from), ==, 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(to[1]);
        answer_amounts(user, to[0], from[1]);
        _exit(0);
    }
    close(to[0]);
    struct jini *jini = open_engine();
    CHECK_UINT(ask(to[1], from[0]), ==, 100000);
    for (unsigned i = 1; i <= 200; i++) {
        struct jini_user_set set;
        jini_request_init(&set);
        set.user.id = user;
        set.fields = JINI_USER_FIELD_OVERRIDES;
        set.user.override_mask = JINI_ALLOWANCE_LIMITS;
        snprintf(set.user.overrides.limits, sizeof(set.user.overrides.limits), "%u/minute",
                 100000 + i);
        CHECK_OK(jini_user_set(jini, &set, NULL));
        CHECK_UINT(ask(to[1], from[0]), ==, 100000 + i);
        CHECK_UINT(ask(to[1], from[0]), ==, 100000 + i);
    }
    struct jini_user_set set;
    jini_request_init(&set);
    set.user.id = user;
    set.fields = JINI_USER_FIELD_OVERRIDES; /* none: now the tier's own limits count */
    CHECK_OK(jini_user_set(jini, &set, NULL));
    for (unsigned i = 0; i < 20; i++) {
        snprintf(set.user.tier, sizeof(set.user.tier), "%s", i % 2 ? "Basic" : "Premium");
        set.fields = JINI_USER_FIELD_TIER;
        CHECK_OK(jini_user_set(jini, &set, NULL));
        CHECK_UINT(ask(to[1], from[0]), ==, i % 2 ? 5 : 60);
    }
    set.fields = JINI_USER_FIELD_FLAGS;
    set.user.flags = 0;
    CHECK_OK(jini_user_set(jini, &set, NULL));
    CHECK_UINT(ask(to[1], from[0]), ==, 0);
    close(to[1]);
    harness_wait_exit(pid, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_tier_changed_by_one_process_holds_in_another,
     "Changing a tier's limits changes what every user of it may, in every process, at the next "
     "check.")
{
    struct jini *jini = open_engine();
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "bob");
    add.user.flags = JINI_USER_ACTIVE;
    CHECK_OK(jini_user_add(jini, &add, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
    int to[2];
    int from[2];
    CHECK_INT(pipe(to), ==, 0);
    CHECK_INT(pipe(from), ==, 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(to[1]);
        answer_amounts(add.user.id, to[0], from[1]);
        _exit(0);
    }
    close(to[0]);
    jini = open_engine();
    CHECK_UINT(ask(to[1], from[0]), ==, 5);
    struct jini_tier_set set;
    struct jini_error error;
    jini_request_init(&set);
    CHECK_OK(jini_tier_get(jini, "free", &set.tier, &error));
    snprintf(set.tier.allowance.limits, sizeof(set.tier.allowance.limits), "77/minute; 30/day");
    CHECK_OK(jini_tier_set(jini, &set, NULL));
    CHECK_UINT(ask(to[1], from[0]), ==, 77);
    close(to[1]);
    harness_wait_exit(pid, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
