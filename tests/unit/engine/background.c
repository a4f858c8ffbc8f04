/*
 * What the background does by itself: nothing while nothing is due, and its work when something is.
 */
#include "engine/engine_private.h"
#include "images/index.h"

#include "engine_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A look for work that the machine holds up is followed by a rest of a hundred times as long. */
enum { INTERVAL_MS = 10, PATIENCE_MS = 180000 };

/* Boot time that a test moves, beside the wall clock of the fixture. */
static _Atomic uint64_t boot_offset_ns;

static uint64_t moved_boot_ns(void *context)
{
    return fixture_boot_ns(context) + atomic_load(&boot_offset_ns);
}

static const struct jini_clock moved_clock = {fixture_wall_ns, moved_boot_ns, NULL};

static void hours_pass(unsigned hours)
{
    uint64_t ns = hours * UINT64_C(3600000000000);
    atomic_fetch_add(&boot_offset_ns, ns);
    __atomic_fetch_add(&fixture_wall_offset_ns, ns, __ATOMIC_RELAXED);
}

static struct jini *open_with_background(void)
{
    struct jini_options options;
    fixture_options(&options);
    options.background_run = 1;
    options.background_interval_ms = INTERVAL_MS;
    options.clock = &moved_clock;
    return fixture_open_with(&options);
}

static uint64_t commits(struct jini *jini)
{
    struct store_figures figures;
    CHECK_OK(store_figures(jini->store, &figures));
    return figures.commits;
}

TEST(an_idle_engine_commits_nothing, "Background work that finds nothing due takes no lease and "
                                     "writes nothing, with packs in place.")
{
    struct jini *jini = open_with_background();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    fixture_put(jini, user, 1);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    fixture_put(jini, user, 2);
    usleep(20 * INTERVAL_MS * 1000); /* counts garbage once, after the merge of the run above */
    uint64_t before = commits(jini);
    usleep(50 * INTERVAL_MS * 1000);
    CHECK_UINT(commits(jini), ==, before);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void count_event(void *context, const struct jini_tiering_event *event)
{
    (void)event;
    (*(unsigned *)context)++;
}

/* The number of steps that a dry run foresees for now. */
static unsigned foresee(struct jini *jini)
{
    unsigned steps = 0;
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT | JINI_TIERING_DRY_RUN;
    run.report = count_event;
    run.report_context = &steps;
    fixture_must(jini_archive_run(jini, &run, NULL), "a dry run", &run.request.error);
    return steps;
}

TEST(a_dry_run_writes_nothing,
     "A dry run foresees what a run would do without a commit, and in a database that is opened "
     "read-only, where a run is refused.")
{
    struct jini_options options;
    struct jini_archive_run run;
    struct jini *jini = fixture_open();
    fixture_put(jini, fixture_user(jini, "alice", "Premium"), 1);
    uint64_t before = commits(jini);
    CHECK_UINT(foresee(jini), ==, 3); /* seal, archive, free */
    CHECK_UINT(commits(jini), ==, before);
    CHECK_OK(jini_close(jini, NULL, NULL));
    fixture_options(&options);
    options.read_only = 1;
    jini = fixture_open_with(&options);
    CHECK_UINT(foresee(jini), ==, 2); /* closing has sealed it */
    jini_request_init(&run);
    CHECK_STATUS(jini_archive_run(jini, &run, NULL), JINI_E_READ_ONLY);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static enum jini_image_state state_of(struct jini *jini, const struct jini_id *id)
{
    return fixture_locate(jini, id).state;
}

TEST(an_image_goes_down_by_itself,
     "Past the ages of the options an image is sealed, archived and freed without being asked.")
{
    struct jini *jini = open_with_background();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id image = fixture_put(jini, user, 1);
    hours_pass(25);
    for (int i = 0; i < PATIENCE_MS && state_of(jini, &image) != JINI_IMAGE_COLD;
         i += INTERVAL_MS) {
        if (state_of(jini, &image) == JINI_IMAGE_HOT_ARCHIVED)
            hours_pass(1);
        else if (i % 1000 == 0)
            hours_pass(25);
        usleep(INTERVAL_MS * 1000);
    }
    CHECK_INT(state_of(jini, &image), ==, JINI_IMAGE_COLD);
    CHECK_OK(fixture_get(jini, &image, 1));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void plant(const char *path)
{
    char copy[512];
    snprintf(copy, sizeof(copy), "%s", path);
    for (char *at = strchr(copy + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        CHECK(mkdir(copy, 0700) == 0 || errno == EEXIST);
        *at = '/';
    }
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK(descriptor >= 0);
    CHECK_INT(write(descriptor, "x", 1), ==, 1);
    close(descriptor);
}

/* ---- Objects that no pack names ---- */

enum { OBJECTS = 100 };

struct orphans {
    struct index_orphan rows[OBJECTS];
    size_t count;
};

static int op_put_orphans(struct store_txn *txn, void *argument)
{
    const struct orphans *orphans = argument;
    for (size_t i = 0; i < orphans->count; i++)
        CHECK_OK(index_orphan_put(txn, &orphans->rows[i]));
    return 0;
}

/* All orphans, due or not. */
static void list_orphans(struct jini *jini, struct orphans *out)
{
    struct store_txn *txn;
    CHECK_OK(store_read_begin(jini->store, &txn));
    CHECK_OK(index_orphan_list(txn, UINT64_MAX, out->rows, OBJECTS, &out->count));
    store_read_end(txn);
}

static void object_path(const struct jini_id *pack, const struct jini_id *attempt, char out[512])
{
    char name[INDEX_OBJECT_NAME_MAX];
    struct index_pack named = {.id = *pack, .attempt = *attempt};
    index_object_name(&named, name);
    snprintf(out, 512, "%s", harness_path("db/archive/%s", name));
}

/* Waits until the background has deleted all objects of `orphans`. */
static void wait_until_gone(const struct orphans *orphans)
{
    size_t left = orphans->count;
    for (int i = 0; i < PATIENCE_MS && left > 0; i += INTERVAL_MS) {
        left = 0;
        for (size_t j = 0; j < orphans->count; j++) {
            char path[512];
            object_path(&orphans->rows[j].pack, &orphans->rows[j].attempt, path);
            left += access(path, F_OK) == 0;
        }
        usleep(INTERVAL_MS * 1000);
    }
    CHECK_UINT(left, ==, 0);
}

static uint64_t unknown_objects(struct jini *jini)
{
    struct jini_verify verify;
    jini_request_init(&verify);
    CHECK_OK(jini_verify(jini, &verify, NULL));
    CHECK_UINT(verify.problems, ==, 0);
    return verify.objects_unknown;
}

static void wait_until_forgotten(struct jini *jini)
{
    struct orphans orphans = {.count = 1};
    for (int i = 0; i < PATIENCE_MS && orphans.count > 0; i += INTERVAL_MS) {
        list_orphans(jini, &orphans);
        usleep(INTERVAL_MS * 1000);
    }
    CHECK_UINT(orphans.count, ==, 0);
}

TEST(
    orphaned_objects_go_after_a_while,
    "Objects of orphan rows are deleted by the regular work when they are due, more than one slice "
    "holds and also when one is gone already; what no row names is left, however old.")
{
    struct jini *jini = open_with_background();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id image = fixture_put(jini, user, 1);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    static char foreign[OBJECTS][512];
    struct orphans orphans = {.count = OBJECTS};
    uint64_t due_ms = clock_wall_ns(jini->clock) / NS_PER_MS + 3600 * 1000;
    for (int i = 0; i < OBJECTS; i++) {
        char path[512];
        struct jini_id other = id_next(&jini->ids);
        struct index_orphan *row = &orphans.rows[i];
        *row = (struct index_orphan){due_ms, id_next(&jini->ids), id_next(&jini->ids)};
        object_path(&row->pack, &row->attempt, path);
        if (i != 7)
            plant(path);
        object_path(&row->pack, &other, foreign[i]);
        plant(foreign[i]);
    }
    CHECK_OK(store_write(jini->store, op_put_orphans, &orphans));
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    char first[512];
    object_path(&orphans.rows[0].pack, &orphans.rows[0].attempt, first);
    CHECK_INT(access(first, F_OK), ==, 0); /* not due yet */
    CHECK_UINT(unknown_objects(jini), ==, OBJECTS);
    hours_pass(2);
    wait_until_gone(&orphans);
    wait_until_forgotten(jini);
    hours_pass(48);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    for (int i = 0; i < OBJECTS; i++)
        CHECK_INT(access(foreign[i], F_OK), ==, 0);
    CHECK_OK(fixture_get(jini, &image, 1));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

struct interrupted {
    struct jini_id pack;
    struct jini_id attempt;
};

/* As if a process had died in the PUT of the only sealed pack. */
static int op_interrupt(struct store_txn *txn, void *argument)
{
    struct interrupted *interrupted = argument;
    struct index_pack pack;
    size_t count;
    CHECK_OK(index_pack_list(txn, NULL, &pack, 1, &count));
    CHECK_UINT(count, ==, 1);
    CHECK_INT(pack.state, ==, INDEX_PACK_SEALED);
    interrupted->pack = pack.id;
    pack.state = INDEX_PACK_ARCHIVING;
    pack.attempt = interrupted->attempt;
    return index_pack_put(txn, &pack);
}

/* The orphans are exactly these; their objects, written late, go in time. */
static void check_late_objects_go(struct jini *jini, const struct orphans *expected)
{
    struct orphans found;
    list_orphans(jini, &found);
    CHECK_UINT(found.count, ==, expected->count);
    for (size_t i = 0; i < expected->count; i++) {
        char path[512];
        CHECK(id_equal(&found.rows[i].pack, &expected->rows[i].pack));
        CHECK(id_equal(&found.rows[i].attempt, &expected->rows[i].attempt));
        object_path(&found.rows[i].pack, &found.rows[i].attempt, path);
        CHECK_INT(access(path, F_OK), !=, 0);
        plant(path);
    }
    hours_pass(2);
    wait_until_gone(expected);
    wait_until_forgotten(jini);
}

static struct jini_id attempt_of(struct jini *jini, const struct jini_id *id)
{
    struct store_txn *txn;
    struct index_pack pack;
    CHECK_OK(store_read_begin(jini->store, &txn));
    CHECK_OK(index_pack_get(txn, id, &pack));
    store_read_end(txn);
    return pack.attempt;
}

TEST(no_attempt_is_forgotten,
     "Whatever takes an attempt out of a pack's row makes an orphan of it, so that a PUT that ends "
     "late leaves nothing: archiving anew after an interruption, a lost object, and a purge.")
{
    struct jini *jini = open_with_background();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id image = fixture_put(jini, user, 1);
    CHECK_OK(jini_close(jini, NULL, NULL)); /* seals */
    jini = open_with_background();
    struct interrupted first = {.attempt = id_next(&jini->ids)};
    CHECK_OK(store_write(jini->store, op_interrupt, &first));
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    struct orphans expected = {.rows = {{0, first.pack, first.attempt}}, .count = 1};
    check_late_objects_go(jini, &expected);

    char path[512];
    expected.rows[0].attempt = attempt_of(jini, &first.pack);
    object_path(&first.pack, &expected.rows[0].attempt, path);
    CHECK_INT(unlink(path), ==, 0);
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = JINI_TIERING_FREE_HOT;
    CHECK_STATUS(jini_archive_run(jini, &run, NULL), JINI_E_ARCHIVE);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    CHECK_OK(fixture_get(jini, &image, 1));
    check_late_objects_go(jini, &expected);

    expected.rows[0].attempt = attempt_of(jini, &first.pack);
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = image;
    CHECK_OK(jini_image_remove(jini, &remove, NULL));
    hours_pass(8 * 24);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    check_late_objects_go(jini, &expected);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

enum { SHARERS = 2, SHARED_IMAGES = 6 };

static struct jini *open_sharer(int number)
{
    static char directories[SHARERS][512];
    struct jini_options options;
    fixture_options(&options);
    options.background_run = 1;
    options.background_interval_ms = INTERVAL_MS;
    options.clock = &moved_clock;
    snprintf(options.archive_url, sizeof(options.archive_url), "dir:%s", harness_path("shared"));
    snprintf(directories[number], 512, "%s", harness_path("db%d", number));
    fixture_directory = directories[number];
    return fixture_open_with(&options);
}

TEST(databases_may_share_an_archive,
     "Two databases with one archive keep all their images over days of background work, and "
     "neither finds fault with the other's objects.")
{
    struct jini *sharers[SHARERS];
    uint64_t users[SHARERS];
    struct jini_id images[SHARERS][SHARED_IMAGES];
    for (int i = 0; i < SHARERS; i++) {
        sharers[i] = open_sharer(i);
        users[i] = fixture_user(sharers[i], "alice", "Premium");
    }
    for (int j = 0; j < SHARED_IMAGES; j++) {
        for (int i = 0; i < SHARERS; i++) {
            images[i][j] = fixture_put(sharers[i], users[i], 100 * i + j);
            fixture_tier(sharers[i], JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
        }
        hours_pass(26);
        usleep(5 * INTERVAL_MS * 1000);
    }
    for (int i = 0; i < SHARERS; i++) {
        fixture_tier(sharers[i], JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
        for (int j = 0; j < SHARED_IMAGES; j++)
            CHECK_OK(fixture_get(sharers[i], &images[i][j], 100 * i + j));
        fixture_verify(sharers[i]);
        CHECK_UINT(unknown_objects(sharers[i]), >, 0);
    }
    for (int i = 0; i < SHARERS; i++)
        CHECK_OK(jini_close(sharers[i], NULL, NULL));
    fixture_directory = NULL;
}
