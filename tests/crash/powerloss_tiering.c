/*
 * Power loss in each arrow between the states of a pack (arrows.h): the run of tiering that takes
 * it is recorded from the opening of the database on, and of what a loss may leave images are
 * built:
 *
 *   - at every sync the one that has nothing but what is durable, which is all such images there
 *     are: between syncs nothing becomes durable. What is there when everything asked for has
 *     happened is what a kill leaves, see arrows.c;
 *   - at random points some that have a part of what was not synced.
 *
 * In each nothing is lost, the next runs finish what was begun, and then nothing is left that no
 * pack names.
 */
#include "arrows.h"
#include "at_home.h"
#include "faults.h"
#include "powerloss.h"

enum { MIXTURES = 8 };

static struct world *world; /* that children share */
static char database[600];
static char prepared_log[600];

static void act_in_child(const struct arrow *arrow)
{
    struct jini *jini = arrow_open(arrow, world);
    if (arrow->begin)
        arrow->begin(jini, world);
    arrow_act(jini, arrow);
    CHECK_OK(jini_close(jini, NULL, NULL));
    _exit(0);
}

/* Whoever looks at a recorded folder has none of its files open, for that would drop locks. */
static void record(const struct arrow *arrow, const char *swallow)
{
    const char *fast = harness_fast_directory(64 << 20);
    snprintf(database, sizeof(database), "%s/db", fast);
    snprintf(prepared_log, sizeof(prepared_log), "%s/log", fast);
    fixture_directory = database;
    world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(world != MAP_FAILED);
    fault_attach(harness_path("control"));
    arrow_prepare(arrow, world);
    fault_record_start(database, prepared_log);
    fault_swallow_syncs(swallow);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        act_in_child(arrow);
    harness_wait_exit(pid, 0);
    if (swallow)
        CHECK_UINT(fault_swallowed(), >, 0);
    fault_swallow_syncs(NULL);
    fault_record_stop();
}

/* Whether an image that stands at the place of the database is whole, and can be worked with. */
static bool is_whole(const struct arrow *arrow, unsigned acknowledged, bool quiet)
{
    struct world known = *world;
    int status;
    known.count = acknowledged;
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (quiet && !freopen("/dev/null", "w", stderr))
            _exit(3);
        at_home(database);
        arrow_recover(arrow, &known);
        _exit(0);
    }
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

struct look {
    const struct arrow *arrow;
    struct powerloss *loss;
    bool quiet;
    unsigned acknowledged; /* images, at the cut */
    unsigned images;
    unsigned lost;
};

/* A power loss is a new start of the machine; in some other ways to such an image it is not. */
static void look_at(struct look *look, size_t cut, uint64_t seed)
{
    powerloss_build(look->loss, cut, seed, database);
    fault_boot(look->images++ % 2);
    if (is_whole(look->arrow, look->acknowledged, look->quiet))
        return;
    look->lost++;
    if (!look->quiet)
        fprintf(stderr, "lost at cut %zu of %zu (%s), seed %" PRIu64 "\n", cut,
                powerloss_last_cut(look->loss), powerloss_describe(look->loss, cut), seed);
}

/* How many images of the record are damaged. Stops at the first when `planted` is set. */
static unsigned look_through(const struct arrow *arrow, bool planted)
{
    struct look look = {.arrow = arrow, .loss = powerloss_open(prepared_log), .quiet = planted};
    size_t first = powerloss_first_cut(look.loss);
    size_t last = powerloss_last_cut(look.loss);
    uint64_t mixtures = MIXTURES * harness_scale();
    uint64_t step = harness_step_of_long_sweep();
    uint64_t syncs = harness_random_below(step);
    look.acknowledged = world->prepared;
    for (size_t cut = first; cut <= last && !(planted && look.lost); cut++) {
        const char *mark = powerloss_mark(look.loss, cut);
        if (mark)
            CHECK_INT(sscanf(mark, "images %u", &look.acknowledged), ==, 1);
        bool is_sync = cut == first || powerloss_is_sync(look.loss, cut);
        if (is_sync && ++syncs % step == 0)
            look_at(&look, cut, POWERLOSS_NOTHING_MORE);
        else if (powerloss_is_event(look.loss, cut) &&
                 harness_random_below(last - first) < mixtures)
            look_at(&look, cut, harness_random());
    }
    printf("     %zu records, %u images, %u of them lost something\n", last - first, look.images,
           look.lost);
    powerloss_close(look.loss);
    return look.lost;
}

#define ARROW_TEST(name, sentence, ...)                                                            \
    TEST(name##_survives_a_power_loss, sentence ": whatever a power loss takes, nothing that was " \
                                                "acknowledged is lost, and it is finished.")       \
    {                                                                                              \
        record(&name, NULL);                                                                       \
        CHECK_UINT(look_through(&name, false), ==, 0);                                             \
    }
ARROWS(ARROW_TEST)

#define PLANTED(arrow, what, pattern, sentence)                                                    \
    TEST(arrow##_without_syncs_of_##what##_is_caught, sentence)                                    \
    {                                                                                              \
        record(&arrow, pattern);                                                                   \
        CHECK_UINT(look_through(&arrow, true), >, 0);                                              \
    }

PLANTED(compact_sealed, packs, "db/packs/*/*.pack",
        "With the syncs of a rewritten pack left out, some image has lost something.")
PLANTED(compact_cold, objects, "db/archive/.tmp/*",
        "With the syncs of the object of a pack that was cold left out, some image has lost "
        "something.")
PLANTED(compact_cold, months, "db/archive/packs/*/",
        "With the syncs of its month in the archive left out, some image has lost something.")
PLANTED(expire_sealed, commits, "db/data.mdb",
        "With the syncs of the data file left out, some image has lost something.")
