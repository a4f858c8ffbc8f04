/*
 * Readers in processes of their own, beside one that puts, shares, rewrites, archives, frees,
 * expires and purges: what lives is read whole by everybody, at any time. The readers are held up
 * for a moment wherever files and objects may go while they are: before they open a pack, and with
 * a GET on its way.
 */
#include "engine_fixture.h"
#include "faults.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    READERS = 3,
    AT_ONCE = 8,
    HELD_UP_US = 120000,
    KEPT_MAX = 2000,
    PASSING_MAX = 4000,
    WAIT_S_MAX = 60
};

/* What the processes share. An image may be read once it is counted. */
struct scene {
    _Atomic uint32_t kept_count;
    struct jini_id kept[KEPT_MAX]; /* each the picture of its number */
    _Atomic uint32_t passing_count;
    struct jini_id passing[PASSING_MAX]; /* to be removed or to expire */
    _Atomic uint32_t stop;
    _Atomic uint64_t reads[READERS];
    _Atomic uint64_t cached[READERS]; /* bytes from the archive, at the end */
};

enum { PASSING_SEED = 100000 };

static struct jini *open_engine(const char *archive)
{
    struct jini_options options;
    fixture_options(&options);
    options.store_run_twice = 0;
    options.pack_bytes_max = 64 * 1024;
    options.cache_image_bytes = 32 * 1024; /* so that cold images are got again and again */
    options.trash_s = 0;
    snprintf(options.archive_url, sizeof(options.archive_url), "%s", archive);
    return fixture_open_with(&options);
}

/* ---- The readers ---- */

static void on_read(struct jini_request *request)
{
    _Atomic uint32_t *back = request->data;
    atomic_fetch_add(back, 1);
}

/* Some images at once, by callbacks. */
static void read_some(struct jini *jini, struct scene *scene, uint32_t count)
{
    static uint8_t rooms[AT_ONCE][8192];
    static struct jini_image_get gets[AT_ONCE];
    uint32_t numbers[AT_ONCE];
    _Atomic uint32_t back = 0;
    for (unsigned i = 0; i < AT_ONCE; i++) {
        numbers[i] = (uint32_t)harness_random_below(count);
        jini_request_init(&gets[i]);
        gets[i].request.data = &back;
        gets[i].request.timeout_ms = WAIT_S_MAX * 1000;
        gets[i].id = scene->kept[numbers[i]];
        gets[i].buffer = rooms[i];
        gets[i].capacity = sizeof(rooms[i]);
        fixture_must(jini_image_get(jini, &gets[i], on_read), "submit", &gets[i].request.error);
    }
    while (atomic_load(&back) < AT_ONCE)
        usleep(200);
    for (unsigned i = 0; i < AT_ONCE; i++) {
        struct png_request png = {64, 64, numbers[i], "made for a test", NULL};
        size_t length;
        uint8_t *file = png_make(&png, &length);
        fixture_must(gets[i].request.status, "a reader by callback", &gets[i].request.error);
        CHECK_UINT(gets[i].length, ==, length);
        CHECK_BYTES(rooms[i], file, length);
        free(file);
    }
}

static void read_one(struct jini *jini, struct scene *scene, uint32_t count)
{
    uint32_t number = (uint32_t)harness_random_below(count);
    CHECK_OK(fixture_get(jini, &scene->kept[number], number));
}

/* One that may be gone, by then or in a moment. */
static void read_passing(struct jini *jini, struct scene *scene)
{
    uint32_t count = atomic_load(&scene->passing_count);
    if (count == 0)
        return;
    uint32_t number = (uint32_t)harness_random_below(count);
    int status = fixture_get(jini, &scene->passing[number], PASSING_SEED + number);
    if (status != 0)
        CHECK_STATUS(status, JINI_E_NOT_FOUND);
}

static void be_held_up(void *context)
{
    (void)context;
    usleep((useconds_t)harness_random_below(HELD_UP_US));
}

static void read_until_stopped(struct scene *scene, unsigned self)
{
    struct jini *jini =
        open_engine("fault:rate=300,kinds=delay,delay_ms=60,operations=get:dir:archive");
    fault_before(FAULT_OPEN, "*.pack", be_held_up, NULL);
    while (!atomic_load(&scene->stop)) {
        uint32_t count = atomic_load(&scene->kept_count);
        if (self == 0)
            read_some(jini, scene, count);
        else
            read_one(jini, scene, count);
        read_passing(jini, scene);
        atomic_fetch_add(&scene->reads[self], 1);
    }
    struct jini_archive_status status;
    struct jini_error error;
    CHECK_OK(jini_archive_status(jini, &status, &error));
    atomic_store(&scene->cached[self], status.bytes_cached);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- The one that moves everything ---- */

static void keep(struct jini *jini, struct scene *scene, uint64_t user)
{
    uint32_t number = atomic_load(&scene->kept_count);
    CHECK_UINT(number, <, KEPT_MAX);
    scene->kept[number] = fixture_put(jini, user, number);
    atomic_store(&scene->kept_count, number + 1);
}

static struct jini_id pass(struct jini *jini, struct scene *scene, uint64_t user)
{
    uint32_t number = atomic_load(&scene->passing_count);
    CHECK_UINT(number, <, PASSING_MAX);
    struct jini_id id = fixture_put(jini, user, PASSING_SEED + number);
    scene->passing[number] = id;
    atomic_store(&scene->passing_count, number + 1);
    return id;
}

static void put_double(struct jini *jini, const struct scene *scene, uint64_t user)
{
    fixture_put(jini, user, harness_random_below(atomic_load(&scene->kept_count)));
}

/* Neighbours that come and go, doubles that are shared, images that expire, one step down. */
static void turn_over(struct jini *jini, struct scene *scene, unsigned round)
{
    static uint64_t premium;
    static uint64_t basic;
    if (round == 0) {
        premium = fixture_user(jini, "pia", "Premium");
        basic = fixture_user(jini, "fay", "Free");
    }
    for (unsigned i = 0; i < 4; i++) {
        struct jini_image_remove remove;
        jini_request_init(&remove);
        keep(jini, scene, premium);
        remove.id = pass(jini, scene, premium);
        put_double(jini, scene, premium);
        pass(jini, scene, basic);
        CHECK_OK(jini_image_remove(jini, &remove, NULL));
    }
    struct jini_archive_run run;
    fixture_tier(jini, JINI_TIERING_NOW | (round % 2 ? JINI_TIERING_FREE_HOT : 0), &run);
    fixture_days_pass(32); /* over the retention of the Free tier, for this process */
}

static void wait_for_reads(const struct scene *scene, const pid_t readers[READERS], uint64_t wanted)
{
    for (unsigned i = 0; i < READERS; i++) {
        for (unsigned ms = 0; atomic_load(&scene->reads[i]) < wanted; ms++) {
            siginfo_t ended = {.si_pid = 0};
            CHECK_UINT(ms, <, WAIT_S_MAX * 1000);
            waitid(P_PID, (id_t)readers[i], &ended, WEXITED | WNOHANG | WNOWAIT);
            if (ended.si_pid != 0)
                harness_wait_exit(readers[i], 0); /* which it has not, by itself */
            usleep(1000);
        }
    }
}

TEST(readers_of_other_processes_meet_no_error,
     "Readers in other processes than the one that archives, frees, rewrites, shares, expires and "
     "purges get every image that lives, every time.")
{
    enum { ROUNDS = 12, READS_A_ROUND = 3 };
    struct scene *scene =
        mmap(NULL, sizeof(*scene), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t readers[READERS];
    CHECK(scene != MAP_FAILED);
    CHECK_OK(
        jini_close(open_engine("dir:archive"), NULL, NULL)); /* is there before anybody reads */
    fflush(NULL);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = fork();
        CHECK(readers[i] >= 0);
        if (readers[i] > 0)
            continue;
        while (atomic_load(&scene->kept_count) == 0)
            usleep(1000);
        read_until_stopped(scene, i);
        _exit(0);
    }
    struct jini *jini = open_engine("dir:archive");
    for (unsigned round = 0; round < ROUNDS * harness_scale(); round++) {
        turn_over(jini, scene, round);
        wait_for_reads(scene, readers, (round + 1) * READS_A_ROUND);
    }
    atomic_store(&scene->stop, 1);
    uint64_t cached = 0;
    for (unsigned i = 0; i < READERS; i++) {
        harness_wait_exit(readers[i], 0);
        cached += atomic_load(&scene->cached[i]);
    }
    CHECK_UINT(cached, >, 0); /* they went to the archive as well */
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
