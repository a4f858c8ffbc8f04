/*
 * Killed in the middle of tiering: a child stores and removes images of one user who keeps them and
 * of one whose images expire, some of them with the same bytes, while the clock runs by hours and
 * everything due is sealed, shared, rewritten, archived, freed, expired and purged at once. After
 * each kill the parent holds the database to the promises P1, P5 and P6, and at the end nothing is
 * left on disk or in the archive that no row of a pack names.
 *
 * A piece of work is a step of tiering, so that lives end in steps; each kind of step must have
 * been seen often enough. arrows.c goes through the calls of one step after the other.
 */
#include "known.h"
#include "leftovers.h"
#include "lives.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LIVES = 100, STEPS = 24, WRITERS = 2, ACKED_MAX = 200000, CONTENTS = 40, RECENT = 16 };
enum { HOUR_MS = 3600 * 1000, HOURS_MAX = 12, SAMPLE = 50, DEEP_ONE_IN = 10 };

/* In memory that all lives share. */
struct shared {
    _Atomic uint64_t hours; /* that the clock has been moved by */
    _Atomic uint64_t steps[JINI_TIERING_REGAIN + 1];
};
static struct shared *shared;

enum said_kind { SAID_STORED, SAID_REMOVING, SAID_REMOVED };

/* What the child says, in one write of a pipe, so that it arrives whole. */
struct said {
    enum said_kind kind;
    struct known_image image;
};

static void set_clock(void)
{
    uint64_t ns = atomic_load(&shared->hours) * HOUR_MS * 1000000u;
    __atomic_store_n(&fixture_wall_offset_ns, ns, __ATOMIC_RELAXED);
}

static struct jini *open_engine(void)
{
    struct jini_options options;
    set_clock();
    fixture_options(&options);
    options.store_run_twice = 0;
    options.pack_bytes_max = 64 * 1024;
    options.cache_image_bytes = 1 << 20;
    options.trash_s = 0;
    options.pack_lost_s = 1;
    return fixture_open_with(&options);
}

/* ---- The child ---- */

struct writer {
    struct jini *jini;
    int pipe;
    uint64_t user;
    uint64_t random;
    struct known_image recent[RECENT];
};

static void say(const struct writer *writer, enum said_kind kind, const struct known_image *image)
{
    struct said said = {kind, *image};
    if (write(writer->pipe, &said, sizeof(said)) != sizeof(said))
        _exit(1);
}

static uint64_t draw(struct writer *writer, uint64_t bound)
{
    writer->random = writer->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (writer->random >> 33) % bound;
}

/* Each image replaces one of the last few; of those every second is removed. */
static void *write_for_ever(void *argument)
{
    struct writer *writer = argument;
    for (;;) {
        struct known_image *place = &writer->recent[draw(writer, RECENT)];
        if (place->id.bytes[0] && draw(writer, 2)) {
            say(writer, SAID_REMOVING, place);
            known_remove(writer->jini, place);
            say(writer, SAID_REMOVED, place);
        }
        *place = known_store(writer->jini, writer->user, draw(writer, CONTENTS));
        say(writer, SAID_STORED, place);
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
    return NULL;
}

static void count_step(void *context, const struct jini_tiering_event *event)
{
    struct life *life = context;
    atomic_fetch_add(&shared->steps[event->step], 1);
    life_end(life);
    life_begin(life);
}

static void tier_for_ever(struct jini *jini, struct life *life, struct writer *any)
{
    for (;;) {
        struct jini_archive_run run;
        atomic_fetch_add(&shared->hours, draw(any, HOURS_MAX + 1));
        set_clock();
        jini_request_init(&run);
        run.flags = JINI_TIERING_NOW | (draw(any, 3) ? JINI_TIERING_FREE_HOT : 0);
        run.report = count_step;
        run.report_context = life;
        life_begin(life);
        fixture_must(jini_archive_run(jini, &run, NULL), "tiering", &run.request.error);
        life_end(life);
    }
}

static void child_main(int pipe, const uint64_t users[WRITERS], uint64_t seed, struct life *life)
{
    static struct writer writers[WRITERS];
    struct writer any = {.random = seed};
    struct jini *jini = open_engine();
    for (unsigned i = 0; i < WRITERS; i++) {
        pthread_t thread;
        writers[i] =
            (struct writer){.jini = jini, .pipe = pipe, .user = users[i], .random = seed + i};
        CHECK_INT(pthread_create(&thread, NULL, write_for_ever, &writers[i]), ==, 0);
    }
    tier_for_ever(jini, life, &any);
}

/* ---- The parent ---- */

static struct known_image acked[ACKED_MAX];
static size_t acked_count;

static struct known_image *find(const struct jini_id *id)
{
    for (size_t i = acked_count; i > 0; i--) {
        if (jini_id_compare(&acked[i - 1].id, id) == 0)
            return &acked[i - 1];
    }
    harness_fail(__FILE__, __LINE__, "something was removed that was never stored");
}

static void take(const struct said *said)
{
    CHECK_UINT(acked_count, <, ACKED_MAX);
    switch (said->kind) {
    case SAID_STORED:
        acked[acked_count++] = said->image;
        break;
    case SAID_REMOVING:
        find(&said->image.id)->removing = true;
        break;
    case SAID_REMOVED:
        find(&said->image.id)->removed = true;
        break;
    }
}

static void live(struct lives *lives, const uint64_t users[WRITERS])
{
    int ends[2];
    uint64_t seed = harness_random();
    CHECK_INT(pipe(ends), ==, 0);
    fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        child_main(ends[1], users, seed, lives->told);
    }
    close(ends[1]);
    lives_kill(lives, pid);
    struct said said;
    while (read(ends[0], &said, sizeof(said)) == sizeof(said))
        take(&said);
    close(ends[0]);
}

static void check_database(size_t from, bool deep)
{
    struct jini *jini = open_engine();
    struct jini_verify verify;
    jini_request_init(&verify);
    verify.report = fixture_problem;
    verify.flags = deep ? JINI_VERIFY_DEEP : 0;
    CHECK_OK(jini_verify(jini, &verify, NULL));
    CHECK_UINT(verify.problems, ==, 0);
    for (size_t i = from; i < acked_count; i++)
        known_check(jini, &acked[i], false);
    for (unsigned i = 0; i < SAMPLE && from > 0; i++)
        known_check(jini, &acked[harness_random_below(from)], false);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* The second run deletes the objects of attempts that the first gave up. */
static void check_end(void)
{
    for (unsigned run = 0; run < 2; run++) {
        struct jini *jini = open_engine();
        fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
        fixture_verify(jini);
        for (size_t i = 0; i < acked_count; i++)
            known_check(jini, &acked[i], true);
        if (run == 1)
            leftovers_check(jini);
        CHECK_OK(jini_close(jini, NULL, NULL));
        atomic_fetch_add(&shared->hours, 2);
    }
}

static void add_users(uint64_t users[WRITERS])
{
    struct jini *jini = open_engine();
    users[0] = fixture_user(jini, "alice", "Premium");
    users[1] = known_guest(jini, "bob");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* Each step must have been seen as often as in every second life. */
static bool seen_enough(unsigned lives, bool say)
{
    bool enough = true;
    for (int step = JINI_TIERING_SEAL; step <= JINI_TIERING_EXPIRE; step++) {
        uint64_t count = atomic_load(&shared->steps[step]);
        enough &= count >= lives / 2;
        if (say)
            printf("     %s %" PRIu64 "\n", jini_tiering_step_name((enum jini_tiering_step)step),
                   count);
    }
    return enough;
}

TEST(tiering_loses_nothing_by_any_kill,
     "Killed in any step of tiering, no acknowledged image is lost or changed, none that was "
     "removed or has expired comes back, and nothing is left that is not collected.")
{
    uint64_t users[WRITERS];
    char directory[600];
    const unsigned count = LIVES * harness_scale() / (harness_sanitized() ? 8 : 1);
    struct lives lives = {
        .lives = count, .pieces = STEPS, .done_min = count * 4, .middle_min = count / 3};
    snprintf(directory, sizeof(directory), "%s/db", harness_fast_directory(256 << 20));
    fixture_directory = directory;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    add_users(users);
    while (lives_go_on(&lives, seen_enough(count, false))) {
        size_t from = acked_count;
        live(&lives, users);
        check_database(from, lives.lived % DEEP_ONE_IN == 0);
    }
    check_end();
    printf("     %zu images\n", acked_count);
    lives_check(&lives);
    CHECK(seen_enough(count, true));
}
