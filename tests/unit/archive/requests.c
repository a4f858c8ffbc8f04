/* Conformance of drivers: the contract of requests, and what several threads and processes may do
 * at once. */
#include "conformance.h"

#include "base/alloc.h"

#include <sys/wait.h>

/* Counts callbacks, and remembers the last. */
struct calls {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count;
    pthread_t thread;
    bool submitting; /* set around submit by the submitter */
    bool inside;     /* a callback came while it was set, on the same thread */
};

#define CALLS_INITIALIZER                                                                          \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                     \
    }

static void count_call(struct archive_request *request)
{
    struct calls *calls = request->user;
    pthread_mutex_lock(&calls->lock);
    calls->count++;
    calls->inside |= calls->submitting && pthread_equal(calls->thread, pthread_self());
    pthread_cond_broadcast(&calls->changed);
    pthread_mutex_unlock(&calls->lock);
}

static void await_calls(struct calls *calls, unsigned count)
{
    pthread_mutex_lock(&calls->lock);
    while (calls->count < count)
        pthread_cond_wait(&calls->changed, &calls->lock);
    pthread_mutex_unlock(&calls->lock);
}

static struct archive_request head_request(const char *name, struct calls *calls)
{
    return (struct archive_request){.operation = ARCHIVE_HEAD,
                                    .name = slice_of_text(name),
                                    .done = calls ? count_call : NULL,
                                    .user = calls};
}

CONFORMS(callback_comes_once_and_later,
         "Each request that was taken calls back once, not from inside submit.")
{
    enum { COUNT = 60 };
    static struct archive_request requests[COUNT];
    struct calls calls = CALLS_INITIALIZER;
    CHECK_OK(test_put_text(archive, "o", "x"));
    calls.thread = pthread_self();
    for (unsigned i = 0; i < COUNT; i++) {
        requests[i] = head_request(i % 2 ? "o" : "none", &calls);
        pthread_mutex_lock(&calls.lock);
        calls.submitting = true;
        pthread_mutex_unlock(&calls.lock);
        CHECK_OK(archive_submit(archive, &requests[i]));
        pthread_mutex_lock(&calls.lock);
        calls.submitting = false;
        pthread_mutex_unlock(&calls.lock);
    }
    await_calls(&calls, COUNT);
    usleep(20000);
    await_calls(&calls, COUNT);
    CHECK_UINT(calls.count, ==, COUNT);
    CHECK(!calls.inside);
    for (unsigned i = 0; i < COUNT; i++)
        CHECK_STATUS(requests[i].status, i % 2 ? 0 : JINI_E_NOT_FOUND);
}

CONFORMS(refused_submit_never_calls_back, "A submit that fails says why, and there is no callback.")
{
    struct calls calls = CALLS_INITIALIZER;
    struct archive_request request = head_request("../x", &calls);
    CHECK_STATUS(archive_submit(archive, &request), JINI_E_INVALID);
    CHECK_INT(request.error.code, ==, JINI_E_INVALID);
    usleep(20000);
    CHECK_UINT(calls.count, ==, 0);
    struct archive_statistics statistics;
    archive_statistics(archive, &statistics);
    CHECK_UINT(statistics.refused, ==, 1);
}

CONFORMS(errors_are_told,
         "The error of a request names what it was about, and is empty after success.")
{
    struct jini_error error;
    struct archive_request request = head_request("packs/none", NULL);
    CHECK_STATUS(archive_run(archive, &request, &error), JINI_E_NOT_FOUND);
    CHECK_INT(error.code, ==, JINI_E_NOT_FOUND);
    CHECK_CONTAINS(error.message, "packs/none");
    CHECK_OK(test_put_text(archive, "packs/none", "x"));
    CHECK_OK(archive_run(archive, &request, &error));
    CHECK_INT(error.code, ==, 0);
    CHECK_INT(request.error.code, ==, 0);
    CHECK_TEXT(error.message, "");
}

CONFORMS(full_queue_is_busy,
         "Beyond the queue's bound a submit answers BUSY; once there is room it is taken.")
{
    struct gate gate = GATE_INITIALIZER;
    struct archive *narrow = open_narrow();
    CHECK_OK(test_put_text(archive, "o", "x"));
    struct archive_request running = gate_request("o", &gate);
    CHECK_OK(archive_submit(narrow, &running));
    gate_await(&gate, 1);
    struct archive_request waiting[2] = {head_request("o", NULL), head_request("o", NULL)};
    struct archive_request refused = head_request("o", NULL);
    CHECK_OK(archive_submit(narrow, &waiting[0]));
    CHECK_OK(archive_submit(narrow, &waiting[1]));
    CHECK_STATUS(archive_submit(narrow, &refused), JINI_E_BUSY);
    CHECK_TEXT(refused.error.field, "queue_max");
    gate_open(&gate);
    CHECK_OK(archive_wait(narrow, &running));
    CHECK_OK(archive_wait(narrow, &waiting[0]));
    CHECK_OK(archive_wait(narrow, &waiting[1]));
    CHECK_OK(archive_run(narrow, &refused, NULL));
    archive_close(narrow);
}

/* Submits a PUT that has to wait, does something to it, and gives its status. */
static int queued_put(struct archive *archive, uint64_t deadline_ns,
                      void (*act)(struct archive *, struct archive_request *))
{
    struct gate gate = GATE_INITIALIZER;
    struct archive *narrow = open_narrow();
    struct archive_extent extent = archive_memory("x", 1);
    CHECK_OK(test_put_text(archive, "o", "x"));
    struct archive_request running = gate_request("o", &gate);
    struct archive_request put = {.operation = ARCHIVE_PUT,
                                  .name = slice_of_text("queued"),
                                  .deadline_ns = deadline_ns,
                                  .put = {.extents = &extent, .extent_count = 1}};
    CHECK_OK(archive_submit(narrow, &running));
    gate_await(&gate, 1);
    CHECK_OK(archive_submit(narrow, &put));
    act(narrow, &put);
    gate_open(&gate);
    CHECK_OK(archive_wait(narrow, &running));
    int status = archive_wait(narrow, &put);
    archive_close(narrow);
    return status;
}

static void sleep_over_deadline(struct archive *archive, struct archive_request *request)
{
    (void)archive;
    (void)request;
    usleep(20000);
}

CONFORMS(queued_request_is_cancelled,
         "Cancelling a request that waits ends it with CANCELLED and nothing is done.")
{
    uint64_t size;
    CHECK_STATUS(queued_put(archive, 0, archive_cancel), JINI_E_CANCELLED);
    CHECK_STATUS(test_head(archive, "queued", &size), JINI_E_NOT_FOUND);
}

CONFORMS(deadline_passes_in_the_queue,
         "A request past its deadline answers TIMEOUT and nothing is done.")
{
    uint64_t size;
    uint64_t deadline_ns = clock_boot_ns(&clock_system) + 10 * NS_PER_MS;
    CHECK_STATUS(queued_put(archive, deadline_ns, sleep_over_deadline), JINI_E_TIMEOUT);
    CHECK_STATUS(test_head(archive, "queued", &size), JINI_E_NOT_FOUND);
}

CONFORMS(deadline_in_time_is_kept, "A deadline that lies ahead changes nothing.")
{
    struct archive_request request = head_request("o", NULL);
    CHECK_OK(test_put_text(archive, "o", "x"));
    request.deadline_ns = clock_boot_ns(&clock_system) + 60 * NS_PER_S;
    CHECK_OK(archive_run(archive, &request, NULL));
}

CONFORMS(running_request_is_cancelled_or_done,
         "Cancelling a PUT that runs leaves the whole object or none, as it answers.")
{
    enum { SIZE = 8 * 1024 * 1024 };
    uint8_t *bytes = make_bytes(SIZE, 1);
    struct archive_extent extent = archive_memory(bytes, SIZE);
    unsigned cancelled = 0;
    for (unsigned i = 0; i < 20; i++) {
        char name[32];
        uint64_t size = 0;
        snprintf(name, sizeof(name), "c/%u", i);
        struct archive_request put = {.operation = ARCHIVE_PUT,
                                      .name = slice_of_text(name),
                                      .put = {.extents = &extent, .extent_count = 1}};
        CHECK_OK(archive_submit(archive, &put));
        usleep((useconds_t)harness_random_below(25000));
        archive_cancel(archive, &put);
        int status = archive_wait(archive, &put);
        archive_cancel(archive, &put); /* too late, and no harm */
        CHECK(status == 0 || status == JINI_E_CANCELLED);
        CHECK_STATUS(test_head(archive, name, &size), status ? JINI_E_NOT_FOUND : 0);
        CHECK_UINT(size, ==, status ? 0 : SIZE);
        cancelled += status != 0;
    }
    printf("     %u of 20 cancelled\n", cancelled);
}

/* A callback that submits the next request. */
struct chain {
    struct archive *archive;
    struct archive_request request;
    struct gate gate;
    unsigned left;
};

static void submit_next(struct archive_request *request)
{
    struct chain *chain = request->user;
    CHECK_OK(request->status);
    if (chain->left-- > 0) {
        CHECK_OK(archive_submit(chain->archive, request));
        return;
    }
    gate_open(&chain->gate);
}

CONFORMS(callback_may_submit, "A callback may submit another request, and the same one again.")
{
    struct chain chain = {.archive = archive, .gate = GATE_INITIALIZER, .left = 100};
    CHECK_OK(test_put_text(archive, "o", "x"));
    chain.request = head_request("o", NULL);
    chain.request.done = submit_next;
    chain.request.user = &chain;
    CHECK_OK(archive_submit(archive, &chain.request));
    gate_pass(&chain.gate);
    struct archive_statistics statistics;
    /* The last callback opens the gate before it ends. */
    do {
        archive_statistics(archive, &statistics);
    } while (statistics.outstanding > 0);
    CHECK_UINT(statistics.operations[ARCHIVE_HEAD].finished, ==, 101);
}

struct blocker {
    struct archive *archive;
    struct gate gate;
    struct archive_request other;
    int run_status;
    int wait_status;
};

static void block(struct archive_request *request)
{
    struct blocker *blocker = request->user;
    uint64_t size;
    blocker->run_status = test_head(blocker->archive, "o", &size);
    CHECK_OK(archive_submit(blocker->archive, &blocker->other));
    blocker->wait_status = archive_wait(blocker->archive, &blocker->other);
    gate_open(&blocker->gate);
}

CONFORMS(blocking_in_a_callback_is_refused,
         "A callback that waits for another request is told ON_LOOP.")
{
    struct blocker blocker = {.archive = archive, .gate = GATE_INITIALIZER};
    struct archive_request request = head_request("o", NULL);
    blocker.other = head_request("o", NULL);
    request.done = block;
    request.user = &blocker;
    CHECK_OK(archive_submit(archive, &request));
    gate_pass(&blocker.gate);
    CHECK_STATUS(blocker.run_status, JINI_E_ON_LOOP);
    CHECK_STATUS(blocker.wait_status, JINI_E_ON_LOOP);
    CHECK_STATUS(archive_wait(archive, &blocker.other), JINI_E_NOT_FOUND);
    struct archive_statistics statistics;
    do {
        archive_statistics(archive, &statistics);
    } while (statistics.outstanding > 0);
}

CONFORMS(stop_cancels_what_waits,
         "Stopping refuses new requests, cancels those that wait, lets the running one finish.")
{
    struct gate gate = GATE_INITIALIZER;
    struct archive *narrow = open_narrow();
    CHECK_OK(test_put_text(archive, "o", "x"));
    struct archive_request running = gate_request("o", &gate);
    struct archive_request waiting[2] = {head_request("o", NULL), head_request("o", NULL)};
    struct archive_request late = head_request("o", NULL);
    CHECK_OK(archive_submit(narrow, &running));
    gate_await(&gate, 1);
    CHECK_OK(archive_submit(narrow, &waiting[0]));
    CHECK_OK(archive_submit(narrow, &waiting[1]));
    archive_stop(narrow);
    archive_stop(narrow);
    CHECK_STATUS(archive_submit(narrow, &late), JINI_E_CLOSED);
    gate_open(&gate);
    CHECK_OK(archive_wait(narrow, &running));
    CHECK_STATUS(archive_wait(narrow, &waiting[0]), JINI_E_CANCELLED);
    CHECK_STATUS(archive_wait(narrow, &waiting[1]), JINI_E_CANCELLED);
    archive_close(narrow);
}

static void *open_late(void *gate)
{
    usleep(30000);
    gate_open(gate);
    return NULL;
}

CONFORMS(close_waits_for_the_last_callback, "Close returns when every request has called back.")
{
    struct gate gate = GATE_INITIALIZER;
    struct calls calls = CALLS_INITIALIZER;
    struct archive *narrow = open_narrow();
    pthread_t thread;
    CHECK_OK(test_put_text(archive, "o", "x"));
    struct archive_request running = gate_request("o", &gate);
    struct archive_request waiting = head_request("o", &calls);
    CHECK_OK(archive_submit(narrow, &running));
    gate_await(&gate, 1);
    CHECK_OK(archive_submit(narrow, &waiting));
    CHECK_INT(pthread_create(&thread, NULL, open_late, &gate), ==, 0);
    archive_close(narrow);
    CHECK_STATUS(running.status, 0);
    CHECK_UINT(calls.count, ==, 1);
    pthread_join(thread, NULL);
    archive_close(NULL);
}

CONFORMS(unused_archive_closes,
         "An archive that never had a request, or was stopped before, closes.")
{
    struct archive *second = open_narrow();
    archive_close(second);
    second = open_narrow();
    archive_stop(second);
    archive_close(second);
    (void)archive;
}

CONFORMS(requests_are_counted, "Statistics tell requests, failures and bytes by operation.")
{
    char buffer[16];
    size_t length;
    uint64_t size;
    struct archive_statistics statistics;
    CHECK_OK(test_put_text(archive, "o", "0123456789"));
    CHECK_STATUS(test_put_text(archive, "o", "0123456789"), JINI_E_EXISTS);
    CHECK_OK(test_get(archive, "o", buffer, sizeof(buffer), &length));
    CHECK_STATUS(test_get(archive, "o", buffer, 5, &length), JINI_E_TOO_BIG);
    CHECK_STATUS(test_head(archive, "none", &size), JINI_E_NOT_FOUND);
    test_list(archive, "");
    CHECK_OK(test_delete(archive, "o"));
    archive_statistics(archive, &statistics);
    CHECK_UINT(statistics.operations[ARCHIVE_PUT].finished, ==, 2);
    CHECK_UINT(statistics.operations[ARCHIVE_PUT].failed, ==, 0);
    CHECK_UINT(statistics.operations[ARCHIVE_PUT].bytes, ==, 10);
    CHECK_UINT(statistics.operations[ARCHIVE_PUT].busy_ns, >, 0);
    CHECK_UINT(statistics.operations[ARCHIVE_GET].finished, ==, 2);
    CHECK_UINT(statistics.operations[ARCHIVE_GET].failed, ==, 1);
    CHECK_UINT(statistics.operations[ARCHIVE_GET].bytes, ==, 10);
    CHECK_UINT(statistics.operations[ARCHIVE_HEAD].failed, ==, 0);
    CHECK_UINT(statistics.operations[ARCHIVE_LIST].finished, ==, 1);
    CHECK_UINT(statistics.operations[ARCHIVE_DELETE].finished, ==, 1);
    CHECK_UINT(statistics.outstanding, ==, 0);
    CHECK_TEXT(archive_url(archive), subject_url);
}

/* Several threads. */

enum { THREADS = 8, RACES = 20 };

struct racer {
    struct archive *archive;
    unsigned index;
    pthread_barrier_t *start;
    unsigned wins[RACES];
};

static void race_bytes(unsigned index, unsigned race, uint8_t bytes[2000])
{
    fill_bytes(bytes, 2000, index * 1000 + race);
}

static void *race(void *argument)
{
    struct racer *racer = argument;
    uint8_t bytes[2000];
    for (unsigned i = 0; i < RACES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "race/%u/x", i);
        race_bytes(racer->index, i, bytes);
        pthread_barrier_wait(racer->start);
        int status = test_put(racer->archive, name, bytes, sizeof(bytes));
        CHECK(status == 0 || status == JINI_E_EXISTS);
        racer->wins[i] = status == 0;
    }
    return NULL;
}

CONFORMS(
    one_of_eight_threads_wins,
    "Of eight threads that put one name, exactly one is told that it did, and its bytes stand.")
{
    static struct racer racers[THREADS];
    pthread_t threads[THREADS];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){.archive = archive, .index = i, .start = &start};
        CHECK_INT(pthread_create(&threads[i], NULL, race, &racers[i]), ==, 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < RACES; i++) {
        unsigned winners = 0;
        unsigned winner = 0;
        char name[32];
        uint8_t expected[2000];
        uint8_t bytes[2000];
        size_t length;
        for (unsigned t = 0; t < THREADS; t++) {
            winners += racers[t].wins[i];
            winner = racers[t].wins[i] ? t : winner;
        }
        CHECK_UINT(winners, ==, 1);
        snprintf(name, sizeof(name), "race/%u/x", i);
        CHECK_OK(test_get(archive, name, bytes, sizeof(bytes), &length));
        race_bytes(winner, i, expected);
        CHECK_BYTES(bytes, expected, sizeof(bytes));
    }
}

struct putter {
    struct archive *archive;
    unsigned index;
    _Atomic unsigned *done;
};

enum { OBJECTS = 30 };

static void *put_many(void *argument)
{
    struct putter *putter = argument;
    for (unsigned i = 0; i < OBJECTS; i++) {
        char name[64];
        int length = snprintf(name, sizeof(name), "t/%u/%03u-%u", i % 3, i, putter->index);
        CHECK_OK(test_put(putter->archive, name, name, (size_t)length));
    }
    atomic_fetch_add(putter->done, 1);
    return NULL;
}

/* The object of each name that is listed holds that name. */
static int check_whole(struct archive_request *request, const struct archive_entry *entry)
{
    CHECK_UINT(entry->size, ==, entry->name.length);
    return check_order(request, entry);
}

CONFORMS(lists_see_whole_objects,
         "Listings while eight threads put see only whole objects, in order, and never lose one.")
{
    struct putter putters[THREADS];
    pthread_t threads[THREADS];
    _Atomic unsigned done = 0;
    unsigned seen = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        putters[i] = (struct putter){archive, i, &done};
        CHECK_INT(pthread_create(&threads[i], NULL, put_many, &putters[i]), ==, 0);
    }
    bool last;
    do {
        last = atomic_load(&done) == THREADS;
        struct order order = {.count = 0};
        CHECK_OK(test_walk(archive, slice_of_text("t/"), check_whole, &order, NULL));
        CHECK_UINT(order.count, >=, seen);
        seen = order.count;
    } while (!last);
    CHECK_UINT(seen, ==, THREADS * OBJECTS);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* Several processes. */

enum { PROCESSES = 3 };

/* Puts every name; the bytes of the winner say who it was. Exits with the number of wins. */
static void race_in_child(unsigned index)
{
    unsigned wins = 0;
    struct archive *archive = test_open(subject_url);
    for (unsigned i = 0; i < RACES; i++) {
        char name[32];
        uint8_t bytes[2000];
        snprintf(name, sizeof(name), "race/%u/x", i);
        race_bytes(index, i, bytes);
        int status = test_put(archive, name, bytes, sizeof(bytes));
        CHECK(status == 0 || status == JINI_E_EXISTS);
        wins += status == 0;
    }
    archive_close(archive);
    _exit((int)wins);
}

CONFORMS(one_of_three_processes_wins,
         "Of several processes that put the same names, each name has one winner.")
{
    pid_t children[PROCESSES];
    unsigned wins = 0;
    for (unsigned i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        CHECK_INT(children[i], >=, 0);
        if (children[i] == 0)
            race_in_child(i);
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status;
        CHECK_INT(waitpid(children[i], &status, 0), ==, children[i]);
        CHECK(WIFEXITED(status));
        wins += (unsigned)WEXITSTATUS(status);
    }
    CHECK_UINT(wins, ==, RACES);
    CHECK_UINT(test_list(archive, "race/")->bytes, ==, RACES * 2000);
}

static void use_own_archive(void)
{
    struct archive *own = test_open(subject_url);
    check_text(own, "o", "x");
    archive_close(own);
}

CONFORMS(child_is_told_that_it_was_forked,
         "In a child the inherited archive answers FORKED; it closes, and opens anew.")
{
    CHECK_OK(test_put_text(archive, "o", "x"));
    pid_t child = fork();
    CHECK_INT(child, >=, 0);
    if (child == 0) {
        struct archive_request request = head_request("o", NULL);
        CHECK_STATUS(archive_submit(archive, &request), JINI_E_FORKED);
        CHECK_STATUS(archive_run(archive, &request, NULL), JINI_E_FORKED);
        CHECK_STATUS(archive_wait(archive, &request), JINI_E_FORKED);
        archive_stop(archive);
        archive_close(archive);
        use_own_archive();
        _exit(0);
    }
    harness_wait_exit(child, 0);
    check_text(archive, "o", "x");
}

/* Opening. */

CONFORMS(options_are_checked, "Options outside their range, and no archive, are refused by name.")
{
    struct archive_options options;
    struct archive *none = NULL;
    struct jini_error error;
    static const uint32_t bad_threads[] = {0, 5};
    static const uint32_t bad_queues[] = {0, 4097};
    (void)archive;
    for (int i = 0; i < 2; i++) {
        archive_options_init(&options);
        options.threads = bad_threads[i];
        CHECK_STATUS(archive_open(subject_url, &options, &none, &error), JINI_E_INVALID);
        CHECK_TEXT(error.field, "threads");
        archive_options_init(&options);
        options.queue_max = bad_queues[i];
        CHECK_STATUS(archive_open(subject_url, &options, &none, &error), JINI_E_INVALID);
        CHECK_TEXT(error.field, "queue_max");
    }
    archive_options_init(&options);
    options.temporary_age_ms = UINT64_MAX;
    CHECK_STATUS(archive_open(subject_url, &options, &none, &error), JINI_E_INVALID);
    archive_options_init(&options);
    options.clock = NULL;
    CHECK_STATUS(archive_open(subject_url, &options, &none, &error), JINI_E_INVALID);
    archive_options_init(&options);
    options.mode = (enum archive_mode)7;
    CHECK_STATUS(archive_open(subject_url, &options, &none, &error), JINI_E_INVALID);
    CHECK(!none);
}
