/*
 * All that an engine does beside the main job, with single calls failing: images of every state are
 * removed and expire, packs are rewritten, archived, freed and purged, tiers change, everything is
 * verified, read from the archive and copied, while one call answers EIO or ENOSPC, a read fails,
 * a read or write is short, a close fails, or an allocation does. Whatever happens is an error that
 * says what failed; what was acknowledged is there afterwards, and nothing is left over.
 */
#include "arrows.h"
#include "at_home.h"
#include "faults.h"

#include <errno.h>

/* Of how many calls about one fails; all with JINI_TEST_SCALE. */
enum { SAMPLES = 40, SAMPLES_SANITIZED = 12 };

static struct world *world;
static char database[600];
static char prepared[600];

/* What becomes due by age is due at once. */
static const struct arrow everything = {.archives = true, .frees = true, .pack_age_max_s = 60};

/*
 * A pack of every state, in each of them one image that will be removed and one that will expire.
 */
static void make_all_states(struct jini *jini, struct world *out)
{
    static const uint32_t flags[] = {JINI_TIERING_FREE_HOT, 0};
    for (uint64_t pack = 0; pack < 3; pack++) {
        for (uint64_t i = 0; i < 3; i++)
            world_store(jini, out, out->user, 3 * pack + i);
        world_store(jini, out, out->guest, 100 + pack);
        if (pack < 2)
            tier_now(jini, flags[pack]);
    }
    CHECK_OK(appender_seal(jini->appender, NULL));
}

static const struct arrow all_states = {.prepare = make_all_states};

static void explained(int status, const struct jini_error *error)
{
    CHECK(status == 0 || (error->code == status && error->message[0] != '\0'));
}

/* ---- The work, which goes on after whatever fails ---- */

static struct jini *try_open(void)
{
    struct jini_options options;
    struct jini_error error;
    struct jini *jini;
    world_wait(world, 0);
    arrow_options(&everything, &options);
    explained(jini_open(&jini, fixture_db(), &options, &error), &error);
    return jini;
}

static void try_removals(struct jini *jini)
{
    for (unsigned i = 0; i < world->prepared; i += 4) {
        struct jini_image_remove remove;
        jini_request_init(&remove);
        remove.id = world->images[i].id;
        world->images[i].removing = true;
        int status = jini_image_remove(jini, &remove, NULL);
        explained(status, &remove.request.error);
        world->images[i].removed = status == 0;
    }
}

static void try_put(struct jini *jini)
{
    struct png_request png = {64, 64, 50, "made for a test", NULL};
    struct jini_image_put put;
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    put.user_id = world->user;
    int status = jini_image_put(jini, &put, NULL);
    explained(status, &put.request.error);
    free(file);
    if (status == 0)
        world->images[world->count++] = (struct known_image){.id = put.image.id, .content = 50};
}

static void try_changes(struct jini *jini)
{
    struct jini_tier_set tier;
    struct jini_user_set user;
    jini_request_init(&tier);
    snprintf(tier.tier.name, sizeof(tier.tier.name), "Gold");
    snprintf(tier.tier.allowance.limits, sizeof(tier.tier.allowance.limits), "9/minute; 90/day");
    explained(jini_tier_set(jini, &tier, NULL), &tier.request.error);
    jini_request_init(&user);
    user.user.id = world->user;
    user.fields = JINI_USER_FIELD_TIER;
    snprintf(user.user.tier, sizeof(user.user.tier), "Gold");
    explained(jini_user_set(jini, &user, NULL), &user.request.error);
}

static void try_tiering(struct jini *jini)
{
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT;
    explained(jini_archive_run(jini, &run, NULL), &run.request.error);
}

static void try_verify(struct jini *jini)
{
    struct jini_verify verify;
    jini_request_init(&verify);
    verify.flags = JINI_VERIFY_DEEP;
    explained(jini_verify(jini, &verify, NULL), &verify.request.error);
}

/* What comes back is what was stored; see fixture_get(). */
static void try_gets(struct jini *jini)
{
    for (unsigned i = 0; i < world->count; i++)
        fixture_get(jini, &world->images[i].id, world->images[i].content);
}

static void try_copy(struct jini *jini)
{
    struct jini_error error;
    char path[700];
    snprintf(path, sizeof(path), "%s/data.mdb", harness_path("dbcopy"));
    explained(jini_copy(jini, path, JINI_COPY_PLAIN, &error), &error);
}

static void work(void)
{
    struct jini *jini = try_open();
    if (!jini)
        return;
    try_changes(jini);
    try_removals(jini);
    try_put(jini);
    try_tiering(jini);
    try_gets(jini);
    try_verify(jini);
    try_copy(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Around it ---- */

static void prepare(void)
{
    const char *fast = harness_fast_directory(64 << 20);
    snprintf(database, sizeof(database), "%s/db", fast);
    snprintf(prepared, sizeof(prepared), "%s/prepared", fast);
    fixture_directory = database;
    world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(world != MAP_FAILED);
    arrow_prepare(&all_states, world);
    CHECK_INT(rename(database, prepared), ==, 0);
    world_wait(world, 3 * DAY_HOURS);
}

/* A copy that was acknowledged opens, and has the record of each image that was not removed. */
static void check_copy(void)
{
    struct jini_options options;
    struct jini_error error;
    struct jini *jini;
    if (access(harness_path("dbcopy/data.mdb"), F_OK) != 0)
        return;
    world_options(&options);
    options.read_only = 1;
    CHECK_OK(jini_open(&jini, harness_path("dbcopy"), &options, &error));
    for (unsigned i = 0; i < world->count; i++) {
        struct jini_image image;
        const struct known_image *known = &world->images[i];
        int status = jini_image_stat(jini, &known->id, &image, &error);
        if (!known->removing && known->expires_ms == 0)
            CHECK_STATUS(status, 0);
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void begin_again(const struct world *before)
{
    *world = *before;
    harness_remove(database);
    harness_copy(prepared, database);
    at_home(database);
    harness_remove(harness_path("dbcopy"));
    CHECK_INT(mkdir(harness_path("dbcopy"), 0700), ==, 0);
}

static uint64_t step_of(uint64_t total)
{
    uint64_t samples = harness_sanitized() ? SAMPLES_SANITIZED : SAMPLES;
    return harness_scale() > 1 || total <= samples ? 1 : total / samples;
}

static void check_afterwards(void)
{
    arrow_recover(&everything, world);
    check_copy();
}

static void fail_calls(uint32_t kinds, enum fault_effect effect, int error)
{
    struct fault_plan plan = {
        .kinds = kinds, .effect = effect, .error = error, .nth = UINT64_MAX, .pattern = "*/db*"};
    fault_attach(harness_path("control"));
    prepare();
    const struct world before = *world;
    begin_again(&before);
    fault_inject(&plan);
    work();
    uint64_t total = fault_calls();
    fault_inject_stop();
    check_afterwards();
    uint64_t step = step_of(total);
    uint64_t failed = 0;
    for (plan.nth = 1 + harness_random_below(step); plan.nth <= total; plan.nth += step) {
        begin_again(&before);
        fault_inject(&plan);
        work();
        failed += fault_injected();
        fault_inject_stop();
        check_afterwards();
    }
    printf("     %" PRIu64 " of %" PRIu64 " calls failed in turn\n", failed, total);
    CHECK_UINT(failed, >, 5);
}

TEST(failing_calls_lose_nothing, "With single calls that write failing with EIO, nothing that was "
                                 "acknowledged is lost, and nothing is left over.")
{
    fail_calls(FAULT_ALL_WRITING & ~(uint32_t)FAULT_CLOSE, FAULT_FAIL, EIO);
}

TEST(a_full_disk_loses_nothing, "The same with ENOSPC.")
{
    fail_calls(FAULT_ALL_WRITING & ~(uint32_t)FAULT_CLOSE, FAULT_FAIL, ENOSPC);
}

TEST(failing_reads_lose_nothing, "The same with single reads failing; no wrong byte comes back.")
{
    fail_calls(FAULT_READ, FAULT_FAIL, EIO);
}

TEST(short_calls_lose_nothing, "The same with single reads and writes that do half.")
{
    fail_calls(FAULT_READ | FAULT_WRITE, FAULT_SHORT, 0);
}

TEST(failing_closes_lose_nothing, "The same with single closes answering EIO.")
{
    fail_calls(FAULT_CLOSE, FAULT_FAIL, EIO);
}

TEST(failing_allocations_lose_nothing,
     "The same with single allocations of the library failing; and nothing leaks.")
{
    uint64_t total = 0;
    prepare();
    const struct world before = *world;
    begin_again(&before);
    harness_fail_allocation(UINT64_MAX);
    work();
    total = harness_allocations();
    harness_fail_allocation(0);
    check_afterwards();
    uint64_t step = step_of(total);
    uint64_t failed = 0;
    for (uint64_t nth = 1 + harness_random_below(step); nth <= total; nth += step) {
        begin_again(&before);
        harness_fail_allocation(nth);
        work();
        failed += harness_allocation_failed();
        harness_fail_allocation(0);
        check_afterwards();
    }
    printf("     %" PRIu64 " of %" PRIu64 " allocations failed in turn\n", failed, total);
    CHECK_UINT(failed, >, 5);
}
