/*
 * Events and their consumers: two processes admit and end jobs, and take their events in both ways,
 * until both are killed at a random point. In the end each job has its events once and in order,
 * and each event its effect once, by either consumer.
 */
#include "engine/engine_private.h"

#include "engine_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 12, PROCESSES = 2, ADMITTERS = 2, PAGE = 16, LEASE_MS = 150, JOBS_MAX = 262144 };

static struct jini *open_engine(void)
{
    struct jini_options options;
    fixture_options(&options);
    options.store_run_twice = 0;
    options.store_sync = JINI_SYNC_NONE; /* processes are killed, and no power is lost */
    options.background_run = 1;
    options.background_interval_ms = 10;
    return fixture_open_with(&options);
}

/* ---- The children ---- */

static struct jini *child_engine;
static uint64_t child_user;

/* What fails in a child is said, and seen by its parent as an end that no signal brought. */
static void must(int status, const char *what, const struct jini_error *error)
{
    if (status == 0)
        return;
    fprintf(stderr, "%s: %s: %s: %s\n", what, jini_status_name(status), error->field,
            error->message);
    _exit(1);
}

static void *admit_forever(void *argument)
{
    for (uint64_t turn = 0;; turn++) {
        struct jini_admit admit;
        struct jini_settle settle;
        struct jini_release release;
        struct jini_renew renew;
        (void)argument;
        jini_request_init(&admit);
        admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = child_user};
        admit.parameters =
            (struct jini_parameters){.width = 64, .height = 64, .steps = 1, .count = 1};
        admit.lease_ms = turn % 5 == 4 ? 1 : 0;
        must(jini_admit(child_engine, &admit, NULL), "admit", &admit.request.error);
        jini_request_init(&renew);
        renew.job_id = admit.job.id;
        renew.state = JINI_JOB_IN_PROGRESS;
        if (turn % 2 == 0 && turn % 5 != 4)
            must(jini_renew(child_engine, &renew, NULL), "renew", &renew.request.error);
        jini_request_init(&settle);
        settle.job_id = admit.job.id;
        jini_request_init(&release);
        release.job_id = admit.job.id;
        release.state = turn % 3 ? JINI_JOB_FAILED : JINI_JOB_CANCELLED;
        if (turn % 5 < 3)
            must(jini_settle(child_engine, &settle, NULL), "settle", &settle.request.error);
        else if (turn % 5 == 3)
            must(jini_release(child_engine, &release, NULL), "release", &release.request.error);
    }
    return NULL;
}

struct effect {
    uint8_t key[9];
};

static struct effect effect_of(char consumer, uint64_t position)
{
    struct effect effect = {{(uint8_t)consumer}};
    store_be64(effect.key + 1, position);
    return effect;
}

/* Raises the count of an event's effects by one. */
static int do_effect(struct jini_txn *txn, char consumer, uint64_t position)
{
    struct effect effect = effect_of(consumer, position);
    uint8_t count = 0;
    size_t length;
    jini_txn_get(txn, effect.key, sizeof(effect.key), &count, 1, &length);
    count++;
    return jini_txn_put(txn, effect.key, sizeof(effect.key), &count, 1);
}

struct taken {
    struct jini_events_take take;
    struct jini_event events[PAGE];
    char text[JINI_EVENT_PAYLOAD_MAX];
};

static void begin(struct taken *taken, const char *consumer)
{
    jini_request_init(&taken->take);
    taken->take.consumer = consumer;
    taken->take.lease_ms = LEASE_MS;
    taken->take.wait_ms = 20;
    taken->take.page = (struct jini_events_page){.events = taken->events,
                                                 .capacity = PAGE,
                                                 .text = taken->text,
                                                 .text_capacity = sizeof(taken->text)};
}

struct once {
    const struct taken *taken;
    struct jini_events_advance advance;
};

static int do_once(struct jini_txn *txn, void *argument)
{
    struct once *once = argument;
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < once->taken->take.page.count; i++)
        status = do_effect(txn, 'o', once->taken->events[i].position);
    return status ? status : jini_txn_events_advance(txn, &once->advance);
}

/* One turn of a holder; false: there was nothing. */
static bool consume_once(struct jini *jini, struct taken *taken)
{
    struct once once = {.taken = taken};
    struct jini_write write;
    int status = jini_events_take(jini, &taken->take, NULL);
    if (status == JINI_E_LOCKED || status == JINI_E_CONFLICT) {
        begin(taken, "once"); /* it was followed by another */
        return true;
    }
    must(status, "take once", &taken->take.request.error);
    if (taken->take.page.count == 0)
        return false;
    jini_request_init(&once.advance);
    once.advance.consumer = "once";
    once.advance.batch = taken->take.batch;
    jini_request_init(&write);
    write.function = do_once;
    write.argument = &once;
    status = jini_write(jini, &write, NULL);
    if (status == JINI_E_CONFLICT)
        begin(taken, "once");
    else
        must(status, "effects", &write.request.error);
    return true;
}

struct each {
    const struct taken *taken;
    struct jini_events_answer ack;
};

/* The ack of one that is not held any more fails, and undoes its effect. */
static int do_each(struct jini_txn *txn, void *argument)
{
    struct each *each = argument;
    int status = do_effect(txn, 'e', each->ack.positions[0]);
    return status ? status : jini_txn_events_ack(txn, &each->ack);
}

/* Some are given back, and some forgotten. */
static bool consume_each(struct jini *jini, struct taken *taken, bool all)
{
    must(jini_events_take(jini, &taken->take, NULL), "take each", &taken->take.request.error);
    for (uint32_t i = 0; i < taken->take.page.count; i++) {
        struct each each = {.taken = taken};
        struct jini_write write;
        uint64_t position = taken->events[i].position;
        jini_request_init(&each.ack);
        each.ack.consumer = "each";
        each.ack.batch = taken->take.batch;
        each.ack.positions = &position;
        each.ack.count = 1;
        int status = 0;
        if (!all && position % 7 == 0 && taken->events[i].delivery == 1)
            continue;
        if (!all && position % 7 == 1 && taken->events[i].delivery == 1) {
            each.ack.delay_ms = 10;
            status = jini_events_nack(jini, &each.ack, NULL);
        } else {
            jini_request_init(&write);
            write.function = do_each;
            write.argument = &each;
            status = jini_write(jini, &write, NULL);
        }
        if (status != JINI_E_CONFLICT)
            must(status, "answer", &each.ack.request.error);
    }
    return taken->take.page.count > 0;
}

static void *consume_once_forever(void *argument)
{
    static struct taken taken;
    (void)argument;
    begin(&taken, "once");
    for (;;)
        consume_once(child_engine, &taken);
    return NULL;
}

static void *consume_each_forever(void *argument)
{
    static struct taken taken;
    (void)argument;
    begin(&taken, "each");
    for (;;)
        consume_each(child_engine, &taken, false);
    return NULL;
}

static void child_main(uint64_t user)
{
    pthread_t thread;
    child_user = user;
    child_engine = open_engine();
    for (int i = 0; i < ADMITTERS; i++)
        pthread_create(&thread, NULL, admit_forever, NULL);
    pthread_create(&thread, NULL, consume_each_forever, NULL);
    consume_once_forever(NULL);
}

/* ---- The parent ---- */

static void make_consumer(struct jini *jini, const char *name, enum jini_consumer_kind kind)
{
    struct jini_consumer_create create;
    jini_request_init(&create);
    snprintf(create.consumer.name, sizeof(create.consumer.name), "%s", name);
    create.consumer.kind = kind;
    create.consumer.deliveries_max = kind == JINI_CONSUMER_EACH ? JINI_DELIVERIES_MAX : 0;
    create.consumer.filter.prefix_count = 1;
    memcpy(create.consumer.filter.prefixes[0], "job.", 4);
    fixture_must(jini_consumer_create(jini, &create, NULL), "create", &create.request.error);
}

static uint64_t make_world(void)
{
    struct jini *jini = open_engine();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    struct jini_user_set set;
    jini_request_init(&set);
    set.user.id = user;
    set.fields = JINI_USER_FIELD_OVERRIDES;
    set.user.override_mask = JINI_ALLOWANCE_LIMITS | JINI_ALLOWANCE_PARALLEL;
    snprintf(set.user.overrides.limits, sizeof(set.user.overrides.limits), "1000000/day");
    fixture_must(jini_user_set(jini, &set, NULL), "limits", &set.request.error);
    make_consumer(jini, "once", JINI_CONSUMER_ONCE);
    make_consumer(jini, "each", JINI_CONSUMER_EACH);
    CHECK_OK(jini_close(jini, NULL, NULL));
    return user;
}

static void run_children(uint64_t user)
{
    pid_t pids[PROCESSES];
    fflush(NULL);
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        CHECK(pids[i] >= 0);
        if (pids[i] == 0)
            child_main(user);
    }
    uint64_t ms = 150 + harness_random_below(250);
    nanosleep(&(struct timespec){.tv_nsec = (long)(ms * NS_PER_MS)}, NULL);
    for (int i = 0; i < PROCESSES; i++)
        kill(pids[i], SIGKILL);
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        CHECK_INT(waitpid(pids[i], &status, 0), ==, pids[i]);
        CHECK(WIFSIGNALED(status)); /* else it met an error, and said so */
    }
}

/* Until there is nothing for as long as leases of the dead can last. */
static void drain(struct jini *jini)
{
    static struct taken once;
    static struct taken each;
    begin(&once, "once");
    begin(&each, "each");
    once.take.wait_ms = each.take.wait_ms = 2 * LEASE_MS;
    while (consume_once(jini, &once))
        continue;
    while (consume_each(jini, &each, true))
        continue;
}

static int read_effects(struct jini_txn *txn, void *argument)
{
    struct effect *effect = argument;
    uint8_t count = 0;
    size_t length;
    int status = jini_txn_get(txn, effect->key, sizeof(effect->key), &count, 1, &length);
    effect->key[0] = count;
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static unsigned effects(struct jini *jini, char consumer, uint64_t position)
{
    struct effect effect = effect_of(consumer, position);
    CHECK_OK(jini_read(jini, read_effects, &effect, NULL));
    return effect.key[0];
}

/* What a job has had of events, by its id. */
struct job_seen {
    struct jini_id id;
    unsigned admitted;
    unsigned started;
    unsigned ended;
};

static struct job_seen jobs[JOBS_MAX];
static size_t job_count;

static struct job_seen *find_job(const struct jini_id *id)
{
    size_t at = load_le32(id->bytes + 12) % JOBS_MAX;
    while (jobs[at].admitted && jini_id_compare(&jobs[at].id, id) != 0)
        at = (at + 1) % JOBS_MAX;
    return &jobs[at];
}

static void see(const struct jini_event *event)
{
    struct job_seen *job = find_job(&event->subject_id);
    if (strcmp(event->type, "job.admitted") == 0) {
        CHECK_UINT(job->admitted++, ==, 0);
        CHECK_UINT(++job_count, <, JOBS_MAX / 2);
        job->id = event->subject_id;
    } else if (strcmp(event->type, "job.started") == 0) {
        CHECK_UINT(job->admitted, ==, 1);
        CHECK_UINT(job->started++, ==, 0);
        CHECK_UINT(job->ended, ==, 0);
    } else {
        CHECK_UINT(job->admitted, ==, 1);
        CHECK_UINT(job->ended++, ==, 0);
    }
}

static uint64_t check_events(struct jini *jini)
{
    static struct taken page;
    struct jini_events_filter filter = {.prefix_count = 1, .prefixes = {"job."}};
    struct jini_events_cursor cursor = {0};
    struct jini_error error;
    uint64_t seen = 0;
    begin(&page, "");
    while (!cursor.ended) {
        fixture_must(jini_events_list(jini, &filter, &cursor, &page.take.page, &error), "list",
                     &error);
        for (uint32_t i = 0; i < page.take.page.count; i++) {
            see(&page.events[i]);
            CHECK_UINT(effects(jini, 'o', page.events[i].position), ==, 1);
            CHECK_UINT(effects(jini, 'e', page.events[i].position), ==, 1);
        }
        seen += page.take.page.count;
    }
    return seen;
}

/* The records of the jobs say what their events do. */
static void check_jobs(struct jini *jini)
{
    for (size_t i = 0; i < JOBS_MAX; i++) {
        struct jini_error error;
        struct jini_job job;
        if (!jobs[i].admitted)
            continue;
        CHECK_OK(jini_job_get(jini, &jobs[i].id, &job, &error));
        CHECK_UINT(jobs[i].ended, ==, job.finished_ms != 0);
        CHECK_UINT(jobs[i].started, <=, job.started_ms != 0);
    }
}

TEST(each_event_has_its_effect_once_whenever_processes_are_killed,
     "Of jobs that come and end in two processes that are killed again and again: by a consumer "
     "ONCE that advances with its writes, and by one EACH that acks with them.")
{
    uint64_t user = make_world();
    for (int round = 0; round < ROUNDS; round++)
        run_children(user);
    struct jini *jini = open_engine();
    drain(jini);
    uint64_t seen = check_events(jini);
    check_jobs(jini);
    printf("     %zu jobs, %llu events\n", job_count, (unsigned long long)seen);
    CHECK_UINT(seen, >, 0);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
