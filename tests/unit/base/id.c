/* Ids that are ordered by the time they were made, and their text form. */
#include "base/id.h"

#include "harness.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* A clock that a case sets by hand. */
static _Atomic uint64_t wall_ns;

static uint64_t read_wall(void *context)
{
    (void)context;
    return atomic_load(&wall_ns);
}

static const struct jini_clock hand_clock = {read_wall, read_wall, NULL};

enum { YEAR_2026_MS = 1767225600 };

TEST(the_layout_is_uuid_version_7,
     "Milliseconds, version, fraction and variant stand where RFC 9562 puts them.")
{
    struct id_source source;
    id_source_init(&source, &hand_clock);
    /* Half a millisecond: the 12 bits of the fraction (section 6.2, method 3) are 0x800. */
    atomic_store(&wall_ns, UINT64_C(0x017f22e279b0) * NS_PER_MS + NS_PER_MS / 2);
    struct jini_id id = id_next(&source);
    CHECK_BYTES(id.bytes, "\x01\x7f\x22\xe2\x79\xb0\x78\x00", 8);
    CHECK_UINT(id.bytes[8] >> 6, ==, 2);
    CHECK_UINT(id_time_ms(&id), ==, UINT64_C(0x017f22e279b0));
    CHECK(!id_is_zero(&id));
    CHECK(id_equal(&id, &id));
}

TEST(ids_grow_when_the_clock_is_set_back,
     "However the clock jumps, every id is larger than the one before.")
{
    struct id_source source;
    id_source_init(&source, &hand_clock);
    struct jini_id last = {{0}};
    uint64_t newest_ms = 0;
    for (int i = 0; i < 200000; i++) {
        uint64_t second = (uint64_t)YEAR_2026_MS + harness_random_below(1000);
        if (harness_random_below(100) == 0 || i == 0)
            atomic_store(&wall_ns, second * NS_PER_S);
        else
            atomic_fetch_add(&wall_ns, harness_random_below(400));
        struct jini_id id = id_next(&source);
        CHECK_INT(jini_id_compare(&last, &id), <, 0);
        CHECK_UINT(id_time_ms(&id), >=, newest_ms);
        newest_ms = id_time_ms(&id);
        last = id;
    }
}

TEST(a_stopped_clock_counts_on, "More ids than a millisecond holds run over into the next one.")
{
    struct id_source source;
    id_source_init(&source, &hand_clock);
    atomic_store(&wall_ns, UINT64_C(1000) * NS_PER_MS);
    struct jini_id id = {{0}};
    for (int i = 0; i < 4096 + 1; i++)
        id = id_next(&source);
    CHECK_UINT(id_time_ms(&id), ==, 1001);
}

enum { THREADS = 4, IDS_EACH = 50000 };

struct maker {
    struct id_source *source;
    struct jini_id *ids;
};

static void *make_ids(void *argument)
{
    struct maker *maker = argument;
    for (int i = 0; i < IDS_EACH; i++)
        maker->ids[i] = id_next(maker->source);
    return NULL;
}

static int compare_ids(const void *a, const void *b)
{
    return jini_id_compare(a, b);
}

TEST(
    threads_never_make_one_id_twice,
    "Ids that four threads draw from one source all differ in their time, and grow in each thread.")
{
    static struct jini_id ids[THREADS * IDS_EACH];
    struct id_source source;
    id_source_init(&source, &clock_system);
    pthread_t threads[THREADS];
    struct maker makers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        makers[i] = (struct maker){&source, ids + i * IDS_EACH};
        CHECK_INT(pthread_create(&threads[i], NULL, make_ids, &makers[i]), ==, 0);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_join(threads[i], NULL), ==, 0);
    for (int i = 0; i < THREADS * IDS_EACH; i++) {
        if (i % IDS_EACH)
            CHECK_INT(jini_id_compare(&ids[i - 1], &ids[i]), <, 0);
    }
    qsort(ids, THREADS * IDS_EACH, sizeof(ids[0]), compare_ids);
    for (int i = 1; i < THREADS * IDS_EACH; i++)
        CHECK_INT(memcmp(ids[i - 1].bytes, ids[i].bytes, 8), <, 0);
}

TEST(a_child_draws_other_ids_than_its_parent,
     "After fork the same source at the same time gives parent and child different random bits.")
{
    enum { CHILDREN = 8, EACH = 100 };
    size_t bytes = sizeof(struct jini_id) * (CHILDREN + 1) * EACH;
    struct jini_id *shared =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    struct id_source source;
    id_source_init(&source, &hand_clock);
    atomic_store(&wall_ns, UINT64_C(5000) * NS_PER_MS);
    id_next(&source); /* the pool holds random bytes now, which the children inherit */
    for (int child = 0; child < CHILDREN; child++) {
        int pid = fork();
        CHECK_INT(pid, >=, 0);
        if (pid == 0) {
            for (int i = 0; i < EACH; i++)
                shared[child * EACH + i] = id_next(&source);
            _exit(0);
        }
        harness_wait_exit(pid, 0);
    }
    for (int i = 0; i < EACH; i++)
        shared[CHILDREN * EACH + i] = id_next(&source);
    /* All made the same times; only the random half can tell them apart. */
    CHECK_BYTES(shared[0].bytes, shared[EACH].bytes, 8);
    qsort(shared, (CHILDREN + 1) * EACH, sizeof(shared[0]), compare_ids);
    for (int i = 1; i < (CHILDREN + 1) * EACH; i++)
        CHECK_INT(jini_id_compare(&shared[i - 1], &shared[i]), <, 0);
}

TEST(text_and_id_say_the_same, "Formatting and parsing give the id back, in upper case too.")
{
    for (int i = 0; i < 10000; i++) {
        struct jini_id id;
        struct jini_id again;
        char text[JINI_ID_TEXT_MAX];
        for (int b = 0; b < JINI_ID_BYTES; b++)
            id.bytes[b] = (uint8_t)harness_random();
        jini_id_format(&id, text);
        CHECK_UINT(strlen(text), ==, JINI_ID_TEXT_MAX - 1);
        CHECK_OK(jini_id_parse(text, &again));
        CHECK(id_equal(&id, &again));
        for (char *c = text; *c; c++)
            *c = *c >= 'a' && *c <= 'f' ? (char)(*c - 'a' + 'A') : *c;
        CHECK_OK(jini_id_parse(text, &again));
        CHECK(id_equal(&id, &again));
    }
    struct jini_id id;
    char text[JINI_ID_TEXT_MAX];
    CHECK_OK(jini_id_parse("01890A5D-AC96-774B-BCCE-B302099A8057", &id));
    CHECK_BYTES(id.bytes, "\x01\x89\x0a\x5d\xac\x96\x77\x4b\xbc\xce\xb3\x02\x09\x9a\x80\x57", 16);
    jini_id_format(&id, text);
    CHECK_TEXT(text, "01890a5d-ac96-774b-bcce-b302099a8057");
}

TEST(other_texts_are_no_id,
     "Whatever is not 8-4-4-4-12 hexadecimal digits is refused and leaves no id.")
{
    static const char good[] = "01890a5d-ac96-774b-bcce-b302099a8057";
    static const char *const bad[] = {
        "",
        "0",
        "01890a5d",
        "01890a5dac96774bbcceb302099a8057",
        "{01890a5d-ac96-774b-bcce-b302099a8057}",
        "01890a5d-ac96-774b-bcce-b302099a80570",
        "01890a5d-ac96-774b-bcce-b302099a805",
        "01890a5d-ac96-774b-bcce-b302099a805 ",
        "01890a5dac-96-774b-bcce-b302099a8057",
    };
    struct jini_id id;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memset(&id, 0xAA, sizeof(id));
        CHECK_STATUS(jini_id_parse(bad[i], &id), JINI_E_INVALID);
        CHECK(id_is_zero(&id));
    }
    for (size_t at = 0; at < sizeof(good) - 1; at++) {
        char text[JINI_ID_TEXT_MAX];
        memcpy(text, good, sizeof(good));
        text[at] = good[at] == '-' ? '0' : 'g';
        CHECK_STATUS(jini_id_parse(text, &id), JINI_E_INVALID);
        text[at] = '\0';
        CHECK_STATUS(jini_id_parse(text, &id), JINI_E_INVALID);
    }
}
