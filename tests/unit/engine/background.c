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

enum { INTERVAL_MS = 10, PATIENCE_MS = 20000 };

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

static enum jini_image_state state_of(struct jini *jini, const struct jini_id *id)
{
    struct jini_image image;
    struct jini_error error;
    CHECK_OK(jini_image_stat(jini, id, &image, &error));
    return image.state;
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

/* The path of an object that an attempt of a pack would have written, as old as the ids say. */
static const char *object_path(struct jini *jini)
{
    char name[INDEX_OBJECT_NAME_MAX];
    struct index_pack pack = {.id = id_next(&jini->ids), .attempt = id_next(&jini->ids)};
    index_object_name(&pack, name);
    return harness_path("db/archive/%s", name);
}

TEST(orphaned_objects_go_after_a_while, "Objects that no pack names are deleted by the regular "
                                        "work, more than one walk holds, and what is "
                                        "not Jini's is left.")
{
    enum { ORPHANS = 100 };
    struct jini *jini = open_with_background();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id image = fixture_put(jini, user, 1);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    char paths[ORPHANS][512];
    for (int i = 0; i < ORPHANS; i++) {
        snprintf(paths[i], sizeof(paths[i]), "%s", object_path(jini));
        plant(paths[i]);
    }
    const char *foreign = harness_path("db/archive/packs/notes.txt");
    plant(foreign);
    hours_pass(2);
    int left = ORPHANS;
    for (int i = 0; i < PATIENCE_MS && left > 0; i += INTERVAL_MS) {
        left = 0;
        for (int j = 0; j < ORPHANS; j++)
            left += access(paths[j], F_OK) == 0;
        usleep(INTERVAL_MS * 1000);
    }
    CHECK_INT(left, ==, 0);
    CHECK_INT(access(foreign, F_OK), ==, 0);
    CHECK_OK(fixture_get(jini, &image, 1));
    CHECK_OK(jini_close(jini, NULL, NULL));
}
