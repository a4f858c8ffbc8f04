/*
 * Backups beside processes that put, purge, share, merge, rewrite, archive and free: each is a
 * whole database, with every image that was acknowledged before it began.
 */
#include "engine_fixture.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DAWDLE_US = 150000, DAWDLES_MAX = 8, PAUSE_US = 40000, PASSING = 16 };
enum { WRITERS = 2, KEPT_MAX = 1000, CONTENTS = 100, ROUNDS = 3, ROUNDS_SANITIZED = 2 };

/* What the processes share. */
struct scene {
    _Atomic uint32_t count[WRITERS];
    struct jini_id kept[WRITERS][KEPT_MAX]; /* each the picture of its number, as content_of() */
    _Atomic uint32_t stop;
    _Atomic uint32_t runs; /* of tiering */
};

static struct jini *open_at(const char *directory)
{
    struct jini_options options;
    fixture_directory = harness_path("%s", directory);
    fixture_options(&options);
    options.store_run_twice = 0;
    options.pack_bytes_max = 128 * 1024;
    options.trash_s = 0;
    return fixture_open_with(&options);
}

/* Many images of both writers are the same. */
static uint64_t content_of(uint32_t number)
{
    return number % CONTENTS;
}

static void purge(struct jini *jini, const struct jini_id *image)
{
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = *image;
    remove.flags = JINI_REMOVE_PURGE;
    fixture_must(jini_image_remove(jini, &remove, NULL), "remove", &remove.request.error);
}

/*
 * Of three images one is purged again, some time later: then it lies in the archive, and its pack
 * is rewritten.
 */
static void write_until_stopped(struct scene *scene, unsigned writer, uint64_t user)
{
    struct jini *jini = open_at("db");
    struct jini_id passing[PASSING];
    for (uint32_t i = 0; i < KEPT_MAX && !atomic_load(&scene->stop); i++) {
        scene->kept[writer][i] = fixture_put(jini, user, content_of(i));
        atomic_store(&scene->count[writer], i + 1);
        if (i % 2 == 0) {
            struct jini_id *place = &passing[i / 2 % PASSING];
            if (i / 2 >= PASSING)
                purge(jini, place);
            *place = fixture_put(jini, user, content_of(i) + CONTENTS);
        }
        usleep(PAUSE_US);
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void tier_until_stopped(struct scene *scene)
{
    struct jini *jini = open_at("db");
    while (!atomic_load(&scene->stop)) {
        struct jini_archive_run run;
        jini_request_init(&run);
        run.flags = atomic_load(&scene->runs) % 4 ? JINI_TIERING_NOW | JINI_TIERING_FREE_HOT
                                                  : JINI_TIERING_NOW;
        int status = jini_archive_run(jini, &run, NULL);
        if (status != JINI_E_LOCKED) /* behind a backup for long */
            fixture_must(status, "tiering", &run.request.error);
        atomic_fetch_add(&scene->runs, 1);
        usleep(PAUSE_US * 2); /* in which a backup may begin */
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static pid_t start(struct scene *scene, unsigned writer, uint64_t user)
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid != 0)
        return pid;
    if (writer < WRITERS)
        write_until_stopped(scene, writer, user);
    else
        tier_until_stopped(scene);
    _exit(0);
}

static void check_at(const char *directory, const struct scene *scene,
                     const uint32_t counts[WRITERS])
{
    struct jini *jini = open_at(directory);
    fixture_verify(jini);
    for (unsigned writer = 0; writer < WRITERS; writer++) {
        for (uint32_t i = 0; i < counts[writer]; i++)
            CHECK_OK(fixture_get(jini, &scene->kept[writer][i], content_of(i)));
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* A disk that takes its time: whoever does not wait for the backup comes in between. */
static void dawdle(void *context, const char *phase, uint64_t done, uint64_t total)
{
    unsigned *times = context;
    (void)phase;
    (void)done;
    (void)total;
    if (*times < DAWDLES_MAX)
        usleep(DAWDLE_US);
    (*times)++;
}

static void back_up(struct jini *jini, struct scene *scene, unsigned round)
{
    struct jini_backup backup;
    unsigned times = 0;
    uint32_t counts[WRITERS];
    for (unsigned i = 0; i < WRITERS; i++)
        counts[i] = atomic_load(&scene->count[i]);
    jini_request_init(&backup);
    backup.path = harness_path("copy");
    backup.report = fixture_problem;
    backup.progress = dawdle;
    backup.context = &times;
    backup.flags = round % 3 == 2 ? JINI_BACKUP_DEEP : 0;
    backup.request.timeout_ms = 60000;
    fixture_must(jini_backup(jini, &backup, NULL), "backup", &backup.request.error);
    CHECK_UINT(backup.problems, ==, 0);
    check_at("copy", scene, counts);
}

TEST(a_backup_beside_all_others_is_whole,
     "While two processes put and purge images and a third runs tiering, each backup holds every "
     "image that was acknowledged before its start, and verify in depth finds nothing wrong in it.")
{
    struct scene *scene =
        mmap(NULL, sizeof(*scene), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(scene != MAP_FAILED);
    struct jini *jini = open_at("db");
    uint64_t user = fixture_user(jini, "ada", "Premium");
    CHECK_OK(jini_close(jini, NULL, NULL));
    pid_t pids[WRITERS + 1];
    for (unsigned i = 0; i <= WRITERS; i++)
        pids[i] = start(scene, i, user);
    jini = open_at("db");
    unsigned rounds = (harness_sanitized() ? ROUNDS_SANITIZED : ROUNDS) * harness_scale();
    for (unsigned round = 0; round < rounds; round++) {
        uint32_t runs = atomic_load(&scene->runs); /* there is something new in the archive */
        for (unsigned i = 0; i < 3000 && atomic_load(&scene->runs) < runs + 1; i++)
            usleep(10000);
        back_up(jini, scene, round);
    }
    atomic_store(&scene->stop, 1);
    for (unsigned i = 0; i <= WRITERS; i++)
        harness_wait_exit(pids[i], 0);
    uint32_t counts[WRITERS];
    for (unsigned i = 0; i < WRITERS; i++)
        counts[i] = atomic_load(&scene->count[i]);
    CHECK_OK(jini_close(jini, NULL, NULL));
    printf("     %u and %u images, %u runs of tiering\n", counts[0], counts[1],
           atomic_load(&scene->runs));
    CHECK_UINT(atomic_load(&scene->runs), >=, rounds);
    check_at("db", scene, counts);
}
