/*
 * The arrows between the states of a pack (core/images/README.md): for each a world in which it is
 * due and little else is, and the run of tiering that takes it. arrows.c kills that run at every
 * call, powerloss_tiering.c takes the power at every sync.
 */
#ifndef CRASH_ARROWS_H
#define CRASH_ARROWS_H

#include "known.h"
#include "leftovers.h"

#include "faults.h"

#include "engine/engine_private.h"
#include "images/appender.h"
#include "images/pack_file.h"

#include <ftw.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORLD_IMAGES_MAX = 32, NEVER_S = 1000000000, HOUR_S = 3600, DAY_HOURS = 24 };

/* A database and what is known of it, in memory that a child shares. */
struct world {
    uint64_t user;
    uint64_t guest; /* whose images expire */
    uint64_t hours; /* that the clock has been moved by */
    unsigned count;
    unsigned prepared; /* of these, that were there before the arrow's own process began */
    struct known_image images[WORLD_IMAGES_MAX];
};

struct arrow {
    const char *sentence;
    void (*prepare)(struct jini *jini, struct world *world);
    const char *prepare_archive;                           /* its URL meanwhile; NULL: as always */
    bool dies;                                             /* before it closes the database */
    void (*begin)(struct jini *jini, struct world *world); /* in the process that acts; or NULL */

    /* What is due by age when it acts, at any age; open packs at this one. */
    uint64_t pack_age_max_s;
    bool archives;
    bool frees;

    bool fails_once;                /* the first of two runs answers JINI_E_ARCHIVE */
    enum jini_tiering_step reports; /* one of the steps that it is about; 0: none is reported */
};

static const char lost_puts[] = "fault:every=1,operations=put,kinds=lost:dir:archive";

static inline void world_wait(struct world *world, unsigned hours)
{
    world->hours += hours;
    __atomic_store_n(&fixture_wall_offset_ns, world->hours * HOUR_S * 1000000000u,
                     __ATOMIC_RELAXED);
}

/* The options of a world in which nothing becomes due by age. */
static inline void world_options(struct jini_options *options)
{
    fixture_options(options);
    options->store_run_twice = 0;
    options->store_reserve_bytes = 64 * 1024;
    options->store_map_bytes = 64 << 20;
    options->limits_slots = 64;
    options->limits_slots_anonymous = 64;
    options->cache_users = 16;
    options->cache_image_bytes = 1 << 20;
    options->store_readers_max = 16;
    options->store_queue_ops_max = 64;
    options->cpu_queue_max = 16;
    options->password_queue_max = 16;
    options->cpu_threads = 1;
    options->pack_bytes_max = 64 * 1024;
    options->pack_age_max_s = 31536000;
    options->archive_age_min_s = NEVER_S;
    options->archive_hot_s = NEVER_S;
    options->trash_s = 0;
}

/* The options of one who acts. */
static inline void arrow_options(const struct arrow *arrow, struct jini_options *options)
{
    world_options(options);
    if (arrow->pack_age_max_s)
        options->pack_age_max_s = arrow->pack_age_max_s;
    if (arrow->archives)
        options->archive_age_min_s = 0;
    if (arrow->frees)
        options->archive_hot_s = 0;
}

static inline struct jini *arrow_open(const struct arrow *arrow, struct world *world)
{
    struct jini_options options;
    world_wait(world, 0);
    arrow_options(arrow, &options);
    return fixture_open_with(&options);
}

static inline void world_store(struct jini *jini, struct world *world, uint64_t user,
                               uint64_t content)
{
    CHECK_UINT(world->count, <, WORLD_IMAGES_MAX);
    world->images[world->count] = known_store(jini, user, content);
    fault_mark("images %u", ++world->count);
}

static inline void world_remove(struct jini *jini, struct world *world, unsigned index)
{
    world->images[index].removing = true;
    known_remove(jini, &world->images[index]);
    world->images[index].removed = true;
}

/* Fails the case unless all images are as they must be. */
static inline void world_check(struct jini *jini, const struct world *world, bool collected)
{
    for (unsigned i = 0; i < world->count; i++)
        known_check(jini, &world->images[i], collected);
}

static inline void arrow_report(void *context, const struct jini_tiering_event *event)
{
    *(uint32_t *)context |= UINT32_C(1) << event->step;
}

/* One run of tiering; returns the steps that it reported, a bit each. */
static inline uint32_t arrow_run(struct jini *jini, int expected)
{
    struct jini_archive_run run;
    uint32_t steps = 0;
    jini_request_init(&run);
    run.report = arrow_report;
    run.report_context = &steps;
    int status = jini_archive_run(jini, &run, NULL);
    if (status != expected)
        fixture_must(status, "tiering", &run.request.error);
    return steps;
}

static inline uint32_t arrow_act(struct jini *jini, const struct arrow *arrow)
{
    uint32_t steps = arrow_run(jini, arrow->fails_once ? JINI_E_ARCHIVE : 0);
    return arrow->fails_once ? steps | arrow_run(jini, 0) : steps;
}

/*
 * After a crash in an arrow: nothing is lost, the next runs finish what was begun, and then nothing
 * is left that no pack names.
 */
static inline void arrow_recover(const struct arrow *arrow, struct world *world)
{
    struct jini *jini = arrow_open(arrow, world);
    world_check(jini, world, false);
    /* An object may be found lost once more, and be archived again by the next run. */
    struct jini_archive_run run;
    jini_request_init(&run);
    int status = jini_archive_run(jini, &run, NULL);
    if (status != 0 && !(arrow->fails_once && status == JINI_E_ARCHIVE))
        fixture_must(status, "tiering", &run.request.error);
    world_check(jini, world, true);
    world_wait(world, 2); /* orphans are due */
    arrow_run(jini, 0);
    fixture_verify(jini);
    world_check(jini, world, true);
    leftovers_check(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* Makes the world of an arrow, in a process of its own, so that its death can be part of it. */
static inline void arrow_prepare(const struct arrow *arrow, struct world *world)
{
    struct jini_options options;
    memset(world, 0, sizeof(*world));
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        world_options(&options);
        if (arrow->prepare_archive)
            snprintf(options.archive_url, sizeof(options.archive_url), "%s",
                     arrow->prepare_archive);
        struct jini *jini = fixture_open_with(&options);
        world->user = fixture_user(jini, "alice", "Premium");
        world->guest = known_guest(jini, "bob");
        arrow->prepare(jini, world);
        world->prepared = world->count;
        if (!arrow->dies)
            CHECK_OK(jini_close(jini, NULL, NULL));
        _exit(0);
    }
    harness_wait_exit(pid, 0);
}

/* ---- Worlds ---- */

static void store_some(struct jini *jini, struct world *world)
{
    for (uint64_t content = 0; content < 4; content++)
        world_store(jini, world, world->user, content);
}

static void tier_now(struct jini *jini, uint32_t flags)
{
    fixture_tier(jini, JINI_TIERING_NOW | flags, NULL);
}

static void make_nothing(struct jini *jini, struct world *world)
{
    (void)jini;
    (void)world;
}

static void make_sealed(struct jini *jini, struct world *world)
{
    store_some(jini, world);
    CHECK_OK(appender_seal(jini->appender, NULL));
}

static void make_archived(struct jini *jini, struct world *world)
{
    store_some(jini, world);
    tier_now(jini, 0);
}

static void make_cold(struct jini *jini, struct world *world)
{
    store_some(jini, world);
    tier_now(jini, JINI_TIERING_FREE_HOT);
}

/* The answer to each PUT was lost (prepare_archive): the object is there, and the row names it. */
static void make_archiving(struct jini *jini, struct world *world)
{
    struct jini_archive_run run;
    make_sealed(jini, world);
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW;
    CHECK_STATUS(jini_archive_run(jini, &run, NULL), JINI_E_ARCHIVE);
}

static int remove_object(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)where;
    return type == FTW_F ? unlink(path) : 0;
}

static void make_archived_and_lost(struct jini *jini, struct world *world)
{
    char path[700];
    make_archived(jini, world);
    snprintf(path, sizeof(path), "%s/archive/packs", fixture_db());
    CHECK_INT(nftw(path, remove_object, 16, FTW_PHYS), ==, 0);
}

static void make_doubles(struct jini *jini, struct world *world)
{
    make_sealed(jini, world);
    world_store(jini, world, world->user, 0);
    world_store(jini, world, world->guest, 1);
    world_store(jini, world, world->user, 4);
    world_store(jini, world, world->user, 3);
    CHECK_OK(appender_seal(jini->appender, NULL));
}

static void make_sealed_garbage(struct jini *jini, struct world *world)
{
    make_sealed(jini, world);
    world_remove(jini, world, 1);
}

static void make_archived_garbage(struct jini *jini, struct world *world)
{
    make_archived(jini, world);
    world_remove(jini, world, 1);
}

static void make_cold_garbage(struct jini *jini, struct world *world)
{
    make_cold(jini, world);
    world_remove(jini, world, 1);
}

static void make_small(struct jini *jini, struct world *world)
{
    for (uint64_t content = 0; content < 3; content++) {
        world_store(jini, world, world->user, content);
        CHECK_OK(appender_seal(jini->appender, NULL));
    }
}

/* Packs of images that will have expired, beside one that stays. */
static void make_guests(struct jini *jini, struct world *world)
{
    world_store(jini, world, world->guest, 0);
    world_store(jini, world, world->guest, 1);
    world_store(jini, world, world->user, 2);
    CHECK_OK(appender_seal(jini->appender, NULL));
}

static void make_archived_guests(struct jini *jini, struct world *world)
{
    make_guests(jini, world);
    tier_now(jini, 0);
}

static void make_cold_guests(struct jini *jini, struct world *world)
{
    make_guests(jini, world);
    tier_now(jini, JINI_TIERING_FREE_HOT);
}

/* The object of an attempt that was given up, and a file that never got its row. */
static void make_orphans(struct jini *jini, struct world *world)
{
    struct pack_file *file;
    make_archiving(jini, world);
    struct pack_header header = {.pack = id_next(&jini->ids), .instance = jini->instance};
    CHECK_OK(pack_file_create(jini->directory_fd, &header, &file, NULL));
    CHECK_OK(pack_file_sync(file, NULL, NULL));
    pack_file_close(file);
}

static void wait_for_pack_age(struct jini *jini, struct world *world)
{
    store_some(jini, world);
    world_wait(world, 1);
}

static void wait_for_expiry(struct jini *jini, struct world *world)
{
    (void)jini;
    world_wait(world, 3 * DAY_HOURS);
}

/* By then the attempt has been given up for another, whose orphan is due. */
static void wait_for_orphans(struct jini *jini, struct world *world)
{
    arrow_run(jini, 0);
    world_wait(world, 2);
}

#define ARROWS(ARROW)                                                                              \
    ARROW(seal_open, "OPEN to SEALED, by its owner", .prepare = make_nothing,                      \
          .begin = wait_for_pack_age, .pack_age_max_s = 60, .reports = JINI_TIERING_SEAL)          \
    ARROW(seal_orphaned, "OPEN to SEALED, when its owner is dead", .prepare = store_some,          \
          .dies = true, .reports = JINI_TIERING_SEAL)                                              \
    ARROW(share_doubles, "SEALED to shared, and the younger pack rewritten without its doubles",   \
          .prepare = make_doubles, .reports = JINI_TIERING_COMPACT)                                \
    ARROW(archive_sealed, "SEALED to ARCHIVED", .prepare = make_sealed, .archives = true,          \
          .reports = JINI_TIERING_ARCHIVE)                                                         \
    ARROW(archive_begun, "ARCHIVING to ARCHIVED by a new attempt", .prepare = make_archiving,      \
          .prepare_archive = lost_puts, .archives = true, .reports = JINI_TIERING_ARCHIVE)         \
    ARROW(free_archived, "ARCHIVED to COLD", .prepare = make_archived, .frees = true,              \
          .reports = JINI_TIERING_FREE)                                                            \
    ARROW(free_lost, "ARCHIVED to SEALED, the object being lost, and to COLD",                     \
          .prepare = make_archived_and_lost, .archives = true, .frees = true, .fails_once = true,  \
          .reports = JINI_TIERING_FREE)                                                            \
    ARROW(compact_sealed, "a SEALED pack rewritten", .prepare = make_sealed_garbage,               \
          .reports = JINI_TIERING_COMPACT)                                                         \
    ARROW(compact_archived, "an ARCHIVED pack rewritten", .prepare = make_archived_garbage,        \
          .reports = JINI_TIERING_COMPACT)                                                         \
    ARROW(compact_cold, "a COLD pack rewritten, and the new one to COLD at once",                  \
          .prepare = make_cold_garbage, .reports = JINI_TIERING_COMPACT)                           \
    ARROW(merge_small, "small packs become one, which is archived", .prepare = make_small,         \
          .archives = true, .reports = JINI_TIERING_COMPACT)                                       \
    ARROW(expire_sealed, "SEALED to PURGING and gone, by expiry", .prepare = make_guests,          \
          .begin = wait_for_expiry, .reports = JINI_TIERING_EXPIRE)                                \
    ARROW(expire_archived, "ARCHIVED to PURGING and gone", .prepare = make_archived_guests,        \
          .begin = wait_for_expiry, .reports = JINI_TIERING_PURGE)                                 \
    ARROW(expire_cold, "COLD to PURGING and gone", .prepare = make_cold_guests,                    \
          .begin = wait_for_expiry, .reports = JINI_TIERING_PURGE)                                 \
    ARROW(collect_orphans, "an orphaned object and an orphaned file deleted",                      \
          .prepare = make_orphans, .prepare_archive = lost_puts, .begin = wait_for_orphans,        \
          .archives = true)

#define ARROW_DEFINITION(name, text, ...)                                                          \
    static const struct arrow name = {.sentence = text, __VA_ARGS__};
ARROWS(ARROW_DEFINITION)

#endif
