/* Dry runs of tiering: what they foresee is what a run does, also of images whose time is over. */
#include "engine_fixture.h"

#include <jini/archive.h>

enum { IMAGES = 6, STEPS = JINI_TIERING_REGAIN + 1, RETENTION_DAYS = 30 };

/* Images by step. */
struct told {
    unsigned steps[STEPS];
    uint64_t images[STEPS];
};

static void note(void *context, const struct jini_tiering_event *event)
{
    struct told *told = context;
    told->steps[event->step]++;
    told->images[event->step] += event->images;
}

static struct told tier(struct jini *jini, uint32_t flags)
{
    struct told told = {0};
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = flags;
    run.report = note;
    run.report_context = &told;
    fixture_must(jini_archive_run(jini, &run, NULL), "tiering", &run.request.error);
    return told;
}

static struct jini *open_some(const char *tier_name, struct jini_id *images)
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", tier_name);
    for (uint64_t i = 0; i < IMAGES; i++)
        images[i] = fixture_put(jini, user, i);
    return jini;
}

static void trash(struct jini *jini, const struct jini_id *images, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct jini_image_remove remove;
        jini_request_init(&remove);
        remove.id = images[i];
        CHECK_OK(jini_image_remove(jini, &remove, NULL));
    }
}

/* A dry run with the flags, then the run: both tell the same of all steps. */
static struct told foresee_and_do(struct jini *jini, uint32_t flags)
{
    struct told plan = tier(jini, flags | JINI_TIERING_DRY_RUN);
    struct told run = tier(jini, flags);
    for (int step = 0; step < STEPS; step++) {
        CHECK_UINT(plan.steps[step], ==, run.steps[step]);
        CHECK_UINT(plan.images[step], ==, run.images[step]);
    }
    return run;
}

TEST(a_purge_is_foreseen,
     "Of images whose time in the trash is over a dry run tells that they go, how many they are, "
     "and that their pack goes with them.")
{
    struct jini_id images[IMAGES];
    struct jini *jini = open_some("Premium", images);
    trash(jini, images, IMAGES);
    fixture_days_pass(8);
    struct told run = foresee_and_do(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT);
    CHECK_UINT(run.images[JINI_TIERING_EXPIRE], ==, IMAGES);
    CHECK_UINT(run.steps[JINI_TIERING_PURGE], ==, 1);
    CHECK_UINT(run.steps[JINI_TIERING_ARCHIVE], ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(the_end_of_retention_is_foreseen,
     "Of images whose retention is over a dry run does not say that they would be archived: it "
     "says that they go, also where they are cold already.")
{
    for (int cold = 0; cold < 2; cold++) {
        struct jini_id images[IMAGES];
        harness_remove(fixture_db());
        struct jini *jini = open_some("Free", images);
        if (cold)
            tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT);
        fixture_days_pass(RETENTION_DAYS + 1);
        struct told run = foresee_and_do(jini, JINI_TIERING_NOW);
        CHECK_UINT(run.images[JINI_TIERING_EXPIRE], ==, IMAGES);
        CHECK_UINT(run.steps[JINI_TIERING_PURGE], ==, 1);
        CHECK_UINT(run.steps[JINI_TIERING_ARCHIVE], ==, 0);
        CHECK_OK(jini_close(jini, NULL, NULL));
    }
}

TEST(what_stays_is_foreseen_without_what_goes,
     "Where some images of a pack go, a dry run tells of the rewriting, and of archiving and "
     "freeing with the images that stay.")
{
    struct jini_id images[IMAGES];
    struct jini *jini = open_some("Premium", images);
    trash(jini, images, 2);
    fixture_days_pass(8);
    uint32_t flags = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT;
    struct told plan = tier(jini, flags | JINI_TIERING_DRY_RUN);
    struct told run = tier(jini, flags);
    CHECK_UINT(plan.images[JINI_TIERING_EXPIRE], ==, 2);
    CHECK_UINT(plan.images[JINI_TIERING_COMPACT], ==, IMAGES - 2);
    CHECK_UINT(plan.images[JINI_TIERING_ARCHIVE], ==, IMAGES - 2);
    CHECK_UINT(plan.images[JINI_TIERING_FREE], ==, IMAGES - 2);
    for (int step = 0; step < STEPS; step++)
        CHECK_UINT(plan.images[step], ==, run.images[step]);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(what_is_not_over_stays_out_of_a_plan,
     "Images in the trash whose time is not over, and images within their retention, are no part "
     "of what a dry run says goes.")
{
    struct jini_id images[IMAGES];
    struct jini *jini = open_some("Free", images);
    trash(jini, images, 1);
    struct told run = foresee_and_do(jini, JINI_TIERING_NOW);
    CHECK_UINT(run.steps[JINI_TIERING_EXPIRE], ==, 0);
    CHECK_UINT(run.images[JINI_TIERING_ARCHIVE], ==, IMAGES);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_purge_can_be_made_due_at_once,
     "An image that is removed for good goes with the next run, also one that was in the trash; "
     "until then it can be restored, and another in the trash stays there.")
{
    struct jini_id images[IMAGES];
    struct jini_image_remove remove;
    struct jini *jini = open_some("Premium", images);
    trash(jini, images, 2);
    jini_request_init(&remove);
    remove.id = images[0];
    CHECK_STATUS(jini_image_remove(jini, &remove, NULL), JINI_E_NOT_FOUND);
    for (unsigned i = 1; i < 4; i++) {
        remove.id = images[i];
        remove.flags = JINI_REMOVE_PURGE;
        CHECK_OK(jini_image_remove(jini, &remove, NULL));
        CHECK_OK(jini_image_remove(jini, &remove, NULL));
    }
    remove.flags = 0;
    CHECK_OK(jini_image_restore(jini, &remove, NULL));
    struct told run = tier(jini, 0);
    CHECK_UINT(run.images[JINI_TIERING_EXPIRE], ==, 2);
    CHECK_OK(fixture_get(jini, &images[3], 3));
    for (unsigned i = 0; i < 3; i++) {
        remove.id = images[i];
        CHECK_STATUS(jini_image_restore(jini, &remove, NULL), i == 0 ? 0 : JINI_E_NOT_FOUND);
    }
    CHECK_OK(fixture_get(jini, &images[0], 0));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
