/* Full queues: who comes beyond a bound is told which, how much waits, and what the bound is. */
#include "engine/engine_private.h"

#include "engine_fixture.h"

#include <pthread.h>

/* Work that stands still until the test lets it go. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool entered;
    bool open;
};

static struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void gate_pass(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.entered = true;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void gate_wait_entered(void)
{
    pthread_mutex_lock(&gate.lock);
    while (!gate.entered)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void gate_open(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void run_behind_gate(struct worker_task *task, int status)
{
    (void)task;
    (void)status;
    gate_pass();
}

static void run_nothing(struct worker_task *task, int status)
{
    (void)task;
    (void)status;
}

/* Keeps the one thread busy, and lets `count` tasks wait for it. */
static void crowd(struct workers *workers, struct worker_task *tasks, unsigned count)
{
    static _Atomic uint32_t never;
    static struct worker_task running = {
        .run = run_behind_gate, .deadline_ns = UINT64_MAX, .cancelled = &never};
    CHECK_OK(workers_submit(workers, &running, NULL));
    gate_wait_entered();
    for (unsigned i = 0; i < count; i++) {
        tasks[i] = (struct worker_task){
            .run = run_nothing, .deadline_ns = UINT64_MAX, .cancelled = &never};
        CHECK_OK(workers_submit(workers, &tasks[i], NULL));
    }
}

TEST(a_full_queue_of_cpu_work_is_explained,
     "An image beyond cpu.queue_max is busy, by the option, its bound and what waits.")
{
    enum { WAITING = 3 };
    struct worker_task tasks[WAITING];
    struct jini_options options;
    fixture_options(&options);
    options.cpu_threads = 1;
    options.cpu_queue_max = WAITING;
    struct jini *jini = fixture_open_with(&options);
    struct jini_image_put put;
    crowd(jini->cpu, tasks, WAITING);
    jini_request_init(&put);
    put.bytes = "x";
    put.length = 1;
    CHECK_STATUS(jini_image_put(jini, &put, NULL), JINI_E_BUSY);
    CHECK_TEXT(put.request.error.field, "cpu.queue_max");
    CHECK_CONTAINS(put.request.error.message, "3 tasks wait");
    gate_open();
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_full_queue_of_logins_is_explained,
     "A login beyond password.queue_max is busy, by the option, its bound and what waits.")
{
    struct worker_task tasks[1];
    struct jini_options options;
    fixture_options(&options);
    options.password_queue_max = 1;
    struct jini *jini = fixture_open_with(&options);
    struct jini_login login;
    crowd(jini->passwords, tasks, 1);
    jini_request_init(&login);
    login.login = "alice";
    login.password = "secret";
    CHECK_STATUS(jini_login(jini, &login, NULL), JINI_E_BUSY);
    CHECK_TEXT(login.request.error.field, "password.queue_max");
    CHECK_CONTAINS(login.request.error.message, "1 tasks wait");
    gate_open();
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Writes ---- */

enum { WRITES = 16 };

static int write_behind_gate(struct jini_txn *txn, void *argument)
{
    (void)argument;
    gate_pass();
    return jini_txn_put(txn, "gate", 4, "passed", 6);
}

static int write_nothing(struct jini_txn *txn, void *argument)
{
    (void)txn;
    (void)argument;
    return 0;
}

static void on_write(struct jini_request *request)
{
    CHECK(request->status == 0 || request->status == JINI_E_CANCELLED); /* by the close */
}

static void prepare(struct jini_write *write, jini_txn_fn *function, uint32_t bytes)
{
    jini_request_init(write);
    write->function = function;
    write->bytes = bytes;
}

/* Keeps the writer busy, and lets `count` writes of `bytes` wait for it. */
static void crowd_writer(struct jini *jini, struct jini_write *writes, unsigned count,
                         uint32_t bytes)
{
    static struct jini_write running;
    prepare(&running, write_behind_gate, 0);
    CHECK_OK(jini_write(jini, &running, on_write));
    gate_wait_entered();
    for (unsigned i = 0; i < count; i++) {
        prepare(&writes[i], write_nothing, bytes);
        CHECK_OK(jini_write(jini, &writes[i], on_write));
    }
}

TEST(a_full_queue_of_writes_is_explained,
     "A write or admission beyond store.queue_ops_max is busy, by the option, its bound and what "
     "waits; the admission gives its rate limit back.")
{
    static struct jini_write writes[WRITES];
    struct jini_write beyond;
    struct jini_options options;
    fixture_options(&options);
    options.store_queue_ops_max = WRITES;
    struct jini *jini = fixture_open_with(&options);
    uint64_t user = fixture_user(jini, "alice", "Free");
    crowd_writer(jini, writes, WRITES, 0);
    prepare(&beyond, write_nothing, 0);
    CHECK_STATUS(jini_write(jini, &beyond, NULL), JINI_E_BUSY);
    CHECK_TEXT(beyond.request.error.field, "store.queue_ops_max");
    CHECK_CONTAINS(beyond.request.error.message, "16 writes wait, and 16 may");
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    admit.parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    CHECK_STATUS(jini_admit(jini, &admit, NULL), JINI_E_BUSY);
    CHECK_TEXT(admit.request.error.field, "store.queue_ops_max");
    CHECK_UINT(admit.answer.entries[0].remaining, ==, 5);
    gate_open();
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_queue_full_of_bytes_is_explained,
     "A write beyond store.queue_bytes_max is busy, or too big where it alone is more, by the "
     "option, its bound and what waits.")
{
    static struct jini_write writes[2];
    struct jini_write beyond;
    struct jini_options options;
    fixture_options(&options);
    options.store_queue_bytes_max = 1 << 20;
    struct jini *jini = fixture_open_with(&options);
    crowd_writer(jini, writes, 2, 500000);
    prepare(&beyond, write_nothing, 100000);
    CHECK_STATUS(jini_write(jini, &beyond, NULL), JINI_E_BUSY);
    CHECK_TEXT(beyond.request.error.field, "store.queue_bytes_max");
    CHECK_CONTAINS(beyond.request.error.message, "1000000 bytes wait");
    CHECK_CONTAINS(beyond.request.error.message, "100000 more");
    CHECK_CONTAINS(beyond.request.error.message, "1048576 may");
    prepare(&beyond, write_nothing, 2 << 20);
    CHECK_STATUS(jini_write(jini, &beyond, NULL), JINI_E_TOO_BIG);
    CHECK_TEXT(beyond.request.error.field, "store.queue_bytes_max");
    CHECK_CONTAINS(beyond.request.error.message, "2097152");
    gate_open();
    CHECK_OK(jini_close(jini, NULL, NULL));
}
