/*
 * Killed in the middle of backups: a child stores and removes images, runs tiering and backs up,
 * again and again. After each kill the backup is a whole database, with every image that was
 * acknowledged before the last backup began that was done; and the database itself is whole.
 */
#include "known.h"

#include "lives.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LIVES = 40, STEPS = 60, IMAGES_EACH = 12, KEPT = 60, IMAGES_MAX = 100000, CONTENTS = 60 };

/* In memory that all lives share. */
struct shared {
    _Atomic uint32_t stored;
    _Atomic uint32_t backed_up; /* of these, when the last backup began that was done */
    _Atomic uint32_t backups;
    struct known_image images[IMAGES_MAX];
};
static struct shared *shared;

static const char *path_of(const char *name)
{
    static char paths[2][700];
    static unsigned next;
    char *path = paths[next++ % 2];
    snprintf(path, sizeof(paths[0]), "%s/%s", harness_fast_directory(256 << 20), name);
    return path;
}

static struct jini *open_at(const char *name)
{
    struct jini_options options;
    fixture_directory = path_of(name);
    fixture_options(&options);
    options.store_run_twice = 0;
    options.pack_bytes_max = 64 * 1024;
    options.trash_s = 0;
    return fixture_open_with(&options);
}

/* ---- The child ---- */

static void remove_one(struct jini *jini, struct known_image *image)
{
    if (image->removing)
        return;
    image->removing = true;
    known_remove(jini, image);
}

/* Few are kept, so that a backup is short beside a life. */
static void store_some(struct jini *jini, uint64_t user)
{
    for (unsigned i = 0; i < IMAGES_EACH; i++) {
        uint32_t number = atomic_load(&shared->stored);
        CHECK_UINT(number, <, IMAGES_MAX);
        shared->images[number] = known_store(jini, user, number % CONTENTS);
        atomic_store(&shared->stored, number + 1);
        if (number >= KEPT)
            remove_one(jini, &shared->images[number - KEPT]);
        if (number % 3 == 0 && number >= IMAGES_EACH)
            remove_one(jini, &shared->images[number - IMAGES_EACH]);
    }
}

/* Each part of a backup is a piece of work, so that lives end in all of them. */
static void on_progress(void *context, const char *phase, uint64_t done, uint64_t total)
{
    struct life *life = context;
    (void)phase;
    (void)done;
    (void)total;
    life_end(life);
    life_begin(life);
}

static void back_up(struct jini *jini, struct life *life)
{
    struct jini_backup backup;
    uint32_t stored = atomic_load(&shared->stored);
    jini_request_init(&backup);
    backup.path = path_of("copy");
    backup.report = fixture_problem;
    backup.progress = on_progress;
    backup.context = life;
    fixture_must(jini_backup(jini, &backup, NULL), "backup", &backup.request.error);
    atomic_store(&shared->backed_up, stored);
    atomic_fetch_add(&shared->backups, 1);
}

static void work_for_ever(uint64_t user, struct life *life)
{
    struct jini *jini = open_at("db");
    for (unsigned turn = 0;; turn++) {
        life_begin(life);
        store_some(jini, user);
        fixture_tier(jini, turn % 2 ? JINI_TIERING_NOW : JINI_TIERING_NOW | JINI_TIERING_FREE_HOT,
                     NULL);
        back_up(jini, life);
        life_end(life);
    }
}

/* ---- The parent ---- */

static void check_at(const char *name, uint32_t count)
{
    struct jini *jini = open_at(name);
    fixture_verify(jini);
    for (uint32_t i = 0; i < count; i++)
        known_check(jini, &shared->images[i], false);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_backup_is_whole_after_any_kill,
     "Killed anywhere in a backup, its directory holds the backup of before or the new one, with "
     "all "
     "that was acknowledged, and the next backup goes on from there.")
{
    const unsigned count = LIVES * harness_scale() / (harness_sanitized() ? 4 : 1);
    struct lives lives = {
        .lives = count, .pieces = STEPS, .done_min = count * 4, .middle_min = count / 3};
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    struct jini *jini = open_at("db");
    uint64_t user = fixture_user(jini, "ada", "Premium");
    CHECK_OK(jini_close(jini, NULL, NULL));
    while (lives_go_on(&lives, atomic_load(&shared->backups) >= count / 4)) {
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0)
            work_for_ever(user, lives.told);
        lives_kill(&lives, pid);
        if (access(path_of("copy/data.mdb"), F_OK) == 0)
            check_at("copy", atomic_load(&shared->backed_up));
    }
    check_at("db", atomic_load(&shared->stored));
    printf("     %u images, %u backups\n", atomic_load(&shared->stored),
           atomic_load(&shared->backups));
    lives_check(&lives);
    CHECK_UINT(atomic_load(&shared->backups), >=, count / 4);
}
