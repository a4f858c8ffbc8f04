/* Workers in other processes: they sleep until there is a job, and miss none. */
#include <jini/jini.h>

#include "harness.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 3, ROUNDS = 300, WAIT_MS = 60000, PATIENCE_MS = 20000 };

static struct jini *open_engine(void)
{
    struct jini_options options;
    struct jini_error error;
    struct jini *jini;
    jini_options_init(&options);
    options.create = 1;
    options.store_reserve_bytes = 1 << 20;
    options.background_run = 0;
    options.store_sync = JINI_SYNC_META;
    int status = jini_open(&jini, harness_path("db"), &options, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "jini_open: %s: %s", error.field, error.message);
    return jini;
}

static uint64_t add_user(struct jini *jini)
{
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "alice");
    add.user.flags = JINI_USER_ACTIVE;
    add.user.override_mask = JINI_ALLOWANCE_LIMITS | JINI_ALLOWANCE_PARALLEL;
    CHECK_OK(jini_user_add(jini, &add, NULL));
    return add.user.id;
}

static int finish(struct jini *jini, const struct jini_job *job)
{
    struct jini_job_finish request;
    jini_request_init(&request);
    request.job_id = job->id;
    request.attempt = job->attempt;
    return jini_job_finish(jini, &request, NULL);
}

/* Takes jobs until it is killed, and tells of each. */
static void work(int out)
{
    static struct jini_job_taken taken;
    struct jini *jini = open_engine();
    char ready = 'r';
    CHECK_INT(write(out, &ready, 1), ==, 1);
    for (;;) {
        struct jini_job_take take;
        jini_request_init(&take);
        take.worker = "gpu";
        take.taken = &taken;
        take.capacity = 1;
        take.wait_ms = WAIT_MS;
        CHECK_OK(jini_job_take(jini, &take, NULL));
        if (take.count == 0)
            continue;
        CHECK_OK(finish(jini, &taken.job));
        CHECK_INT(write(out, "j", 1), ==, 1);
    }
}

static bool hear(int from)
{
    struct pollfd ready = {.fd = from, .events = POLLIN};
    char byte;
    return poll(&ready, 1, PATIENCE_MS) == 1 && read(from, &byte, 1) == 1;
}

static int admit(struct jini *jini, uint64_t user)
{
    struct jini_admit request;
    jini_request_init(&request);
    request.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    request.parameters =
        (struct jini_parameters){.width = 64, .height = 64, .steps = 1, .count = 1};
    request.flags = JINI_ADMIT_QUEUE;
    return jini_admit(jini, &request, NULL);
}

TEST(a_job_wakes_a_worker_in_another_process,
     "Round after round a job that is admitted here is taken at once by one of the workers that "
     "sleep in other processes, whose waits are longer than the test.")
{
    struct jini *jini = open_engine();
    uint64_t user = add_user(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
    pid_t pids[WORKERS];
    int ends[2];
    CHECK_INT(pipe(ends), ==, 0);
    fflush(NULL);
    for (int i = 0; i < WORKERS; i++) {
        pids[i] = fork();
        CHECK(pids[i] >= 0);
        if (pids[i] == 0)
            work(ends[1]);
    }
    close(ends[1]);
    for (int i = 0; i < WORKERS; i++)
        CHECK(hear(ends[0]));
    jini = open_engine();
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned jobs = 1 + (unsigned)harness_random_below(WORKERS + 1);
        for (unsigned k = 0; k < jobs; k++)
            CHECK_OK(admit(jini, user));
        for (unsigned k = 0; k < jobs; k++)
            CHECK(hear(ends[0]));
    }
    for (int i = 0; i < WORKERS; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}
