/* Closing beside work that has not come back, and calls from threads that must not wait. */
#include "engine_fixture.h"

#include <unistd.h>
#include <uv.h>

static int put_a(struct jini_txn *txn, void *argument)
{
    (void)argument;
    return jini_txn_put(txn, "a", 1, "x", 1);
}

static void count_end(struct jini_request *request)
{
    (*(unsigned *)request->data)++;
}

static void count_close(void *context)
{
    (*(unsigned *)context)++;
}

TEST(a_slow_loop_does_not_lose_the_store,
     "While closing waits for a loop that does not turn, the engine's timer meets a whole store.")
{
    uv_loop_t loop;
    struct jini_error error;
    unsigned ended = 0;
    unsigned closed = 0;
    struct jini *jini = fixture_open();
    CHECK_INT(uv_loop_init(&loop), ==, 0);
    CHECK_OK(jini_attach(jini, &loop, &error));
    struct jini_write write;
    jini_request_init(&write);
    write.request.data = &ended;
    write.function = put_a;
    CHECK_OK(jini_write(jini, &write, count_end));
    CHECK_OK(jini_close(jini, count_close, &closed));
    sleep(3); /* the timer's tick is a second */
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_UINT(ended, ==, 1);
    CHECK_UINT(closed, ==, 1);
    CHECK_INT(uv_loop_close(&loop), ==, 0);
}

struct inside {
    struct jini *jini;
    int status;
};

static int wait_inside(struct jini_txn *txn, void *argument)
{
    struct inside *inside = argument;
    struct jini_write write;
    jini_request_init(&write);
    write.function = put_a;
    (void)txn;
    inside->status = jini_write(inside->jini, &write, NULL);
    return 0;
}

TEST(a_function_of_a_transaction_may_not_wait,
     "A blocking call inside a function of jini_write() is refused; it would wait for itself.")
{
    struct inside inside = {.jini = fixture_open()};
    struct jini_write write;
    jini_request_init(&write);
    write.function = wait_inside;
    write.argument = &inside;
    CHECK_OK(jini_write(inside.jini, &write, NULL));
    CHECK_STATUS(inside.status, JINI_E_ON_LOOP);
    CHECK_OK(jini_close(inside.jini, NULL, NULL));
}

TEST(a_database_open_for_reading_admits_nothing,
     "Whatever writes or charges is refused by a handle that was opened read-only.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    CHECK_OK(jini_close(jini, NULL, NULL));
    struct jini_options options;
    fixture_options(&options);
    options.create = 0;
    options.read_only = 1;
    jini = fixture_open_with(&options);
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    admit.parameters.width = 64;
    admit.parameters.height = 64;
    admit.parameters.steps = 1;
    admit.parameters.count = 1;
    CHECK_STATUS(jini_admit(jini, &admit, NULL), JINI_E_READ_ONLY);
    struct jini_release release;
    jini_request_init(&release);
    release.state = JINI_JOB_FAILED;
    CHECK_STATUS(jini_release(jini, &release, NULL), JINI_E_READ_ONLY);
    struct jini_archive_run run;
    jini_request_init(&run);
    CHECK_STATUS(jini_archive_run(jini, &run, NULL), JINI_E_READ_ONLY);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static int admit_one(struct jini *jini, uint64_t user, uint32_t lease_ms, struct jini_admit *admit)
{
    jini_request_init(admit);
    admit->subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    admit->parameters.width = 64;
    admit->parameters.height = 64;
    admit->parameters.steps = 1;
    admit->parameters.count = 1;
    admit->lease_ms = lease_ms;
    return jini_admit(jini, admit, NULL);
}

TEST(an_admission_that_ends_given_up_jobs_gives_their_rates_back,
     "A job that timed out gives its rate units back, also when an admission finds it first.")
{
    struct jini *jini = fixture_open();
    struct jini_admit admit;
    uint64_t user = fixture_user(jini, "fay", "Free");
    for (int i = 0; i < 5; i++) {
        CHECK_OK(admit_one(jini, user, i < 4 ? 1 : 60000, &admit));
        usleep(5000);
    }
    CHECK_UINT(admit.answer.entries[0].remaining, >=, 3);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
