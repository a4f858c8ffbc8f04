/* The driver that injects faults: its grammar, each kind, and that it repeats itself. */
#include "archive/fault.h"

#include "support.h"

static int parse(const char *spec, struct fault_plan *plan)
{
    return fault_plan_parse(slice_of_text(spec), plan, NULL);
}

TEST(good_specs_are_read,
     "Every key of the grammar is read, and what is not given has its default.")
{
    struct fault_plan plan;
    CHECK_OK(parse("", &plan));
    CHECK_UINT(plan.seed, ==, 1);
    CHECK_UINT(plan.every, ==, 0);
    CHECK_UINT(plan.operations, ==, 31);
    CHECK_INT(plan.status, ==, JINI_E_ARCHIVE);
    CHECK_OK(
        parse("seed=18446744073709551615,every=5,skip=2,kinds=refuse+lost+hang,operations=put+get,"
              "status=E_IO,delay_ms=7",
              &plan));
    CHECK_UINT(plan.seed, ==, UINT64_MAX);
    CHECK_UINT(plan.every, ==, 5);
    CHECK_UINT(plan.skip, ==, 2);
    CHECK_UINT(plan.kinds, ==, 1 << FAULT_REFUSE | 1 << FAULT_LOST | 1 << FAULT_HANG);
    CHECK_UINT(plan.operations, ==, 1 << ARCHIVE_PUT | 1 << ARCHIVE_GET);
    CHECK_INT(plan.status, ==, JINI_E_IO);
    CHECK_UINT(plan.delay_ms, ==, 7);
    CHECK_OK(parse("script=pass+flip+short", &plan));
    CHECK_UINT(plan.script_count, ==, 3);
    CHECK_UINT(plan.script[2], ==, FAULT_SHORT);
}

TEST(bad_specs_are_refused, "A SPEC outside the grammar is refused by the name of its key.")
{
    static const struct {
        const char *spec;
        const char *part;
    } rows[] = {{"every", "every"},
                {"every=0", "1 to 1000000000"},
                {"every=x", "every"},
                {"every=-1", "every"},
                {"every=1000000001", "every"},
                {"rate=1001", "1 to 1000"},
                {"seed=18446744073709551616", "seed"},
                {"seed=", "seed"},
                {"delay_ms=60001", "delay_ms"},
                {"kinds=", "kinds"},
                {"kinds=pass", "kinds"},
                {"kinds=refuse+burn", "kinds"},
                {"operations=copy", "operations"},
                {"status=OK", "status"},
                {"status=E_UNKNOWN", "status"},
                {"status=E_IO2", "status"},
                {"script=", "script"},
                {"script=pass++pass", "script"},
                {"colour=red", "colour"},
                {"=1", "is no key"},
                {",", "is no key"},
                {"every=2,rate=3", "not several"},
                {"every=2,script=pass", "not several"}};
    struct fault_plan plan;
    struct jini_error error;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK_STATUS(fault_plan_parse(slice_of_text(rows[i].spec), &plan, &error), JINI_E_INVALID);
        CHECK_CONTAINS(error.message, rows[i].part);
    }
    char script[8 * (FAULT_SCRIPT_MAX + 2)] = "script=pass";
    for (int i = 0; i < FAULT_SCRIPT_MAX - 1; i++)
        strncat(script, "+pass", sizeof(script) - strlen(script) - 1);
    CHECK_OK(parse(script, &plan));
    strncat(script, "+pass", sizeof(script) - strlen(script) - 1);
    CHECK_STATUS(parse(script, &plan), JINI_E_INVALID);
}

TEST(
    decisions_follow_from_the_seed,
    "One seed makes the same decisions each time, another one makes others, at the rate asked for.")
{
    struct fault_plan plan;
    struct fault_plan other;
    uint64_t drawn;
    uint64_t again;
    unsigned hits = 0;
    unsigned different = 0;
    CHECK_OK(parse("seed=7,rate=100,kinds=refuse+lost+short+flip+delay+hang", &plan));
    CHECK_OK(parse("seed=8,rate=100,kinds=refuse+lost+short+flip+delay+hang", &other));
    for (uint64_t number = 0; number < 10000; number++) {
        enum fault_kind kind = fault_plan_decide(&plan, ARCHIVE_GET, number, &drawn);
        CHECK_INT(kind, ==, fault_plan_decide(&plan, ARCHIVE_GET, number, &again));
        CHECK_UINT(drawn, ==, again);
        hits += kind != FAULT_PASS;
        different += kind != fault_plan_decide(&other, ARCHIVE_GET, number, &drawn);
        kind = fault_plan_decide(&plan, ARCHIVE_PUT, number, &drawn);
        CHECK(kind != FAULT_SHORT && kind != FAULT_FLIP);
    }
    CHECK_UINT(hits, >, 850);
    CHECK_UINT(hits, <, 1150);
    CHECK_UINT(different, >, 1000);
}

TEST(every_nth_request_is_hit,
     "With every=N and skip=M, the Nth request after M is hit, and each Nth from there.")
{
    struct fault_plan plan;
    uint64_t drawn;
    CHECK_OK(parse("every=3,skip=4", &plan));
    for (uint64_t number = 0; number < 40; number++) {
        bool hit = number >= 4 && (number - 4 + 1) % 3 == 0;
        CHECK_INT(fault_plan_decide(&plan, ARCHIVE_PUT, number, &drawn), ==,
                  hit ? FAULT_REFUSE : FAULT_PASS);
    }
}

/* An open fault archive with the object "o" of `size` bytes; SPEC counts from there. */
static struct archive *open_fault(const char *spec, size_t size)
{
    struct archive *archive = test_open("fault::dir:archive");
    uint8_t *bytes = make_bytes(size, 1);
    CHECK_OK(test_put(archive, "o", bytes, size));
    CHECK_OK(archive_fault_set(archive, spec, NULL));
    return archive;
}

TEST(refused_request_is_not_done,
     "refuse answers the status given, and the archive behind never sees the request.")
{
    uint64_t size;
    struct archive *archive = open_fault("every=1,status=E_FULL", 10);
    CHECK_STATUS(test_put_text(archive, "new", "x"), JINI_E_FULL);
    CHECK_STATUS(test_delete(archive, "o"), JINI_E_FULL);
    CHECK_STATUS(test_head(archive, "o", &size), JINI_E_FULL);
    CHECK_OK(archive_fault_set(archive, "", NULL));
    CHECK_STATUS(test_head(archive, "new", &size), JINI_E_NOT_FOUND);
    CHECK_OK(test_head(archive, "o", &size));
    archive_close(archive);
}

TEST(lost_request_is_done, "lost does the work and answers the status given.")
{
    uint64_t size;
    char buffer[32];
    size_t length;
    struct archive *archive = open_fault("every=1,kinds=lost", 10);
    CHECK_STATUS(test_put_text(archive, "new", "x"), JINI_E_ARCHIVE);
    CHECK_STATUS(test_put_text(archive, "new", "x"), JINI_E_ARCHIVE);
    CHECK_STATUS(test_get(archive, "o", buffer, sizeof(buffer), &length), JINI_E_ARCHIVE);
    CHECK_STATUS(test_delete(archive, "o"), JINI_E_ARCHIVE);
    CHECK_OK(archive_fault_set(archive, "", NULL));
    check_text(archive, "new", "x");
    CHECK_STATUS(test_head(archive, "o", &size), JINI_E_NOT_FOUND);
    archive_close(archive);
}

enum { LARGE = 700 * 1024 };

/* Collects what comes through a sink. */
struct received {
    uint8_t bytes[LARGE];
    size_t length;
};

static int receive(struct archive_request *request, struct slice piece)
{
    struct received *received = request->user;
    memcpy(received->bytes + received->length, piece.data, piece.length);
    received->length += piece.length;
    return 0;
}

/* Gets all of "o" by buffer or by sink. */
static struct archive_request get_large(struct archive *archive, struct received *received,
                                        bool by_sink, uint64_t length, int expected)
{
    struct archive_request request = {.operation = ARCHIVE_GET,
                                      .name = slice_of_text("o"),
                                      .user = received,
                                      .get = {.length = length}};
    memset(received, 0, sizeof(*received));
    if (by_sink) {
        request.get.sink = receive;
    } else {
        request.get.buffer = received->bytes;
        request.get.capacity = sizeof(received->bytes);
    }
    CHECK_STATUS(archive_run(archive, &request, NULL), expected);
    if (by_sink)
        CHECK_UINT(received->length, ==, request.bytes);
    return request;
}

TEST(flip_changes_one_bit,
     "flip delivers every byte but one bit, and the checksum of what it delivered.")
{
    static struct received received;
    uint8_t *bytes = make_bytes(LARGE, 1);
    struct archive *archive = open_fault("every=1,kinds=flip", LARGE);
    for (int round = 0; round < 20; round++) {
        struct archive_request request =
            get_large(archive, &received, round % 2, ARCHIVE_TO_END, 0);
        unsigned bits = 0;
        CHECK_UINT(request.bytes, ==, LARGE);
        for (size_t i = 0; i < LARGE; i++)
            bits += (unsigned)__builtin_popcount(bytes[i] ^ received.bytes[i]);
        CHECK_UINT(bits, ==, 1);
        struct hash128 delivered = hash128(slice_of(received.bytes, LARGE));
        CHECK(hash128_equal(&request.checksum, &delivered));
    }
    archive_close(archive);
}

TEST(short_cuts_the_end_off,
     "short delivers a beginning: CORRUPT for a given range, fewer bytes to the end.")
{
    static struct received received;
    uint8_t *bytes = make_bytes(LARGE, 1);
    struct archive *archive = open_fault("every=1,kinds=short", LARGE);
    for (int round = 0; round < 20; round++) {
        struct archive_request request =
            get_large(archive, &received, round % 2, ARCHIVE_TO_END, 0);
        CHECK_UINT(request.bytes, <, LARGE);
        CHECK_UINT(request.size, ==, request.bytes);
        CHECK_BYTES(received.bytes, bytes, request.bytes);
        struct hash128 delivered = hash128(slice_of(bytes, (size_t)request.bytes));
        CHECK(hash128_equal(&request.checksum, &delivered));
        get_large(archive, &received, round % 2, LARGE, JINI_E_CORRUPT);
    }
    archive_close(archive);
}

TEST(faults_of_an_empty_object, "short and flip leave an object of no bytes as it is.")
{
    char buffer[4];
    size_t length;
    struct archive *archive = open_fault("every=1,kinds=flip+short", 0);
    for (int i = 0; i < 8; i++)
        CHECK_OK(test_get(archive, "o", buffer, sizeof(buffer), &length));
    archive_close(archive);
}

TEST(delayed_request_is_done_later, "delay does the request after its time.")
{
    struct archive *archive = open_fault("every=1,kinds=delay,delay_ms=40", 10);
    uint64_t before_ns = clock_boot_ns(&clock_system);
    CHECK_OK(test_put_text(archive, "late", "x"));
    CHECK_UINT(clock_boot_ns(&clock_system) - before_ns, >=, 40 * NS_PER_MS);
    CHECK_OK(archive_fault_set(archive, "", NULL));
    check_text(archive, "late", "x");
    archive_close(archive);
}

static struct archive_request hanging_put(const struct archive_extent *extent)
{
    return (struct archive_request){.operation = ARCHIVE_PUT,
                                    .name = slice_of_text("hung"),
                                    .put = {.extents = extent, .extent_count = 1}};
}

TEST(hanging_request_ends_by_cancel_deadline_or_stop,
     "hang answers CANCELLED, TIMEOUT or CANCELLED, and nothing is done.")
{
    struct archive_extent extent = archive_memory("x", 1);
    struct archive_request request = hanging_put(&extent);
    uint64_t size;
    struct archive *archive = open_fault("every=1,kinds=hang", 10);
    CHECK_OK(archive_submit(archive, &request));
    usleep(30000);
    struct archive_statistics statistics;
    archive_statistics(archive, &statistics);
    CHECK_UINT(statistics.outstanding, ==, 1);
    archive_cancel(archive, &request);
    CHECK_STATUS(archive_wait(archive, &request), JINI_E_CANCELLED);
    request.deadline_ns = clock_boot_ns(&clock_system) + 30 * NS_PER_MS;
    CHECK_STATUS(archive_run(archive, &request, NULL), JINI_E_TIMEOUT);
    CHECK_UINT(clock_boot_ns(&clock_system), >=, request.deadline_ns);
    request.deadline_ns = 0;
    CHECK_OK(archive_submit(archive, &request));
    archive_stop(archive);
    CHECK_STATUS(archive_wait(archive, &request), JINI_E_CANCELLED);
    archive_close(archive);
    archive = test_open("dir:archive");
    CHECK_STATUS(test_head(archive, "hung", &size), JINI_E_NOT_FOUND);
    archive_close(archive);
}

TEST(close_ends_hanging_requests, "Closing does not wait for what hangs.")
{
    static struct archive_request requests[20];
    struct archive_extent extent = archive_memory("x", 1);
    struct archive *archive = open_fault("rate=500,kinds=hang+delay,delay_ms=60000", 10);
    for (int i = 0; i < 20; i++) {
        requests[i] = hanging_put(&extent);
        CHECK_OK(archive_submit(archive, &requests[i]));
    }
    archive_close(archive);
    for (int i = 0; i < 20; i++)
        CHECK(requests[i].status == 0 || requests[i].status == JINI_E_CANCELLED ||
              requests[i].status == JINI_E_EXISTS);
}

TEST(script_is_followed, "A script decides request by request, and is over when it ends; other "
                         "operations are not numbered.")
{
    uint64_t size;
    uint64_t counts[FAULT_KINDS];
    struct archive *archive = open_fault("script=pass+refuse+lost,operations=put", 10);
    CHECK_OK(test_put_text(archive, "a", "x"));
    CHECK_OK(test_head(archive, "o", &size));
    CHECK_STATUS(test_put_text(archive, "b", "x"), JINI_E_ARCHIVE);
    CHECK_OK(test_head(archive, "o", &size));
    CHECK_STATUS(test_put_text(archive, "c", "x"), JINI_E_ARCHIVE);
    CHECK_OK(test_put_text(archive, "d", "x"));
    CHECK_TEXT(test_list(archive, "")->text, "a c d o");
    archive_fault_counts(archive, counts);
    CHECK_UINT(counts[FAULT_REFUSE], ==, 1);
    CHECK_UINT(counts[FAULT_LOST], ==, 1);
    CHECK_STATUS(archive_fault_set(archive, "nonsense", NULL), JINI_E_INVALID);
    CHECK_TEXT(archive_url(archive_fault_inner(archive)), "dir:archive");
    archive_close(archive);
}

/* A line of answers to a fixed sequence of requests. */
static void run_sequence(const char *url, char *out, size_t capacity)
{
    char buffer[64];
    size_t length;
    size_t end = 0;
    struct archive *archive = test_open(url);
    for (unsigned i = 0; i < 60; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s/%u", i / 3);
        int status = i % 3 == 0   ? test_put_text(archive, name, name)
                     : i % 3 == 1 ? test_get(archive, name, buffer, sizeof(buffer), &length)
                                  : test_delete(archive, name);
        end += (size_t)snprintf(out + end, capacity - end, "%d ", status);
    }
    archive_close(archive);
}

TEST(same_seed_same_answers,
     "A sequence of requests meets the same faults in every run, and others by another seed.")
{
    char first[1024];
    char second[1024];
    char third[1024];
    run_sequence("fault:seed=3,rate=300,kinds=refuse+lost+short:dir:one", first, sizeof(first));
    run_sequence("fault:seed=3,rate=300,kinds=refuse+lost+short:dir:two", second, sizeof(second));
    run_sequence("fault:seed=4,rate=300,kinds=refuse+lost+short:dir:three", third, sizeof(third));
    CHECK_TEXT(first, second);
    CHECK(strcmp(first, third) != 0);
}

/* A caller that copes, on a bad archive. */

struct coper {
    struct archive *archive;
    unsigned index;
};

/* The way to store an object on an archive that loses answers: again until it is there, then read
 * back. */
static void store_surely(struct archive *archive, const char *name, const uint8_t *bytes,
                         size_t length)
{
    struct hash128 expected = hash128(slice_of(bytes, length));
    uint8_t *buffer = malloc(length);
    bool good = false;
    for (int i = 0; i < 200 && !good; i++) {
        int status = test_put(archive, name, bytes, length);
        if (status != 0 && status != JINI_E_EXISTS)
            continue;
        struct archive_request request = {
            .operation = ARCHIVE_GET,
            .name = slice_of_text(name),
            .deadline_ns = clock_boot_ns(&clock_system) + 20 * NS_PER_MS,
            .get = {.length = length, .buffer = buffer, .capacity = length}};
        good = archive_run(archive, &request, NULL) == 0 &&
               hash128_equal(&request.checksum, &expected);
    }
    CHECK(good);
    free(buffer);
}

static void *cope(void *argument)
{
    struct coper *coper = argument;
    uint8_t bytes[3000];
    for (unsigned i = 0; i < 15; i++) {
        char name[32];
        snprintf(name, sizeof(name), "t/%u/%u", coper->index, i);
        fill_bytes(bytes, sizeof(bytes), coper->index * 100 + i);
        store_surely(coper->archive, name, bytes, sizeof(bytes));
    }
    return NULL;
}

TEST(patient_caller_loses_nothing,
     "Threads that try again and read back get every object stored through a third of faults.")
{
    enum { COPERS = 4 };
    struct coper copers[COPERS];
    pthread_t threads[COPERS];
    struct archive *archive =
        open_fault("seed=5,rate=330,kinds=refuse+lost+short+flip+delay,delay_ms=1", 10);
    for (unsigned i = 0; i < COPERS; i++) {
        copers[i] = (struct coper){archive, i};
        CHECK_INT(pthread_create(&threads[i], NULL, cope, &copers[i]), ==, 0);
    }
    for (unsigned i = 0; i < COPERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_OK(archive_fault_set(archive, "", NULL));
    CHECK_UINT(test_list(archive, "t/")->count, ==, COPERS * 15);
    for (unsigned t = 0; t < COPERS; t++) {
        for (unsigned i = 0; i < 15; i++) {
            char name[32];
            uint8_t expected[3000];
            uint8_t bytes[3000];
            size_t length;
            snprintf(name, sizeof(name), "t/%u/%u", t, i);
            fill_bytes(expected, sizeof(expected), t * 100 + i);
            CHECK_OK(test_get(archive, name, bytes, sizeof(bytes), &length));
            CHECK_BYTES(bytes, expected, sizeof(bytes));
        }
    }
    archive_close(archive);
}

TEST(cancels_race_with_faults,
     "Cancelling at any moment, of any kind of fault, gives one callback and no crash.")
{
    enum { ROUNDS = 200 };
    struct archive *archive =
        open_fault("seed=9,rate=700,kinds=refuse+lost+short+flip+delay+hang,delay_ms=1", LARGE);
    static struct received received;
    for (int i = 0; i < ROUNDS; i++) {
        struct archive_request request = {.operation = ARCHIVE_GET,
                                          .name = slice_of_text("o"),
                                          .user = &received,
                                          .get = {.length = ARCHIVE_TO_END, .sink = receive}};
        received.length = 0;
        CHECK_OK(archive_submit(archive, &request));
        if (harness_random_below(2))
            usleep((useconds_t)harness_random_below(1500));
        archive_cancel(archive, &request);
        int status = archive_wait(archive, &request);
        CHECK(status == 0 || status == JINI_E_CANCELLED || status == JINI_E_ARCHIVE);
    }
    archive_close(archive);
}
