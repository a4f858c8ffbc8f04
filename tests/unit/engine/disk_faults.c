/* A disk that fails a call: what cannot go on is given up, and the engine goes on. */
#include "faults.h"

#include "engine_fixture.h"

#include <errno.h>

static int try_put(struct jini *jini, uint64_t user, uint64_t seed)
{
    struct png_request png = {64, 64, seed, "made for a test", NULL};
    struct jini_image_put put;
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    put.user_id = user;
    int status = jini_image_put(jini, &put, NULL);
    free(file);
    return status;
}

/* The pack of the first image fails in the put of the second: that put fails, and nothing else. */
static void check_one_pack_is_given_up(const struct fault_plan *plan)
{
    struct jini_error error;
    fault_attach(harness_path("control"));
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id before = fixture_put(jini, user, 1);
    fault_inject(plan);
    CHECK_STATUS(try_put(jini, user, 2), JINI_E_IO);
    CHECK_UINT(fault_injected(), >, 0);
    fault_inject_stop();
    CHECK_OK(jini_health(jini, &error));
    struct jini_id after = fixture_put(jini, user, 3);
    struct jini_archive_run run;
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run);
    CHECK_UINT(run.packs_failed, ==, 0);
    fixture_verify(jini);
    CHECK_OK(fixture_get(jini, &before, 1));
    CHECK_OK(fixture_get(jini, &after, 3));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(
    a_pack_that_cannot_be_cut_back_is_given_up,
    "A write to a pack fails, and cutting off what it left fails too: the put fails, the engine is "
    "well, and the next image goes to another pack.")
{
    check_one_pack_is_given_up(&(struct fault_plan){.kinds = FAULT_WRITE | FAULT_SIZE,
                                                    .repeat = FAULT_FROM_THEN_ON,
                                                    .error = EIO,
                                                    .nth = 1,
                                                    .pattern = "*.pack"});
}

TEST(
    a_pack_that_cannot_be_synced_is_given_up,
    "A sync of a pack fails: the put fails, the engine is well, and the next image goes to another "
    "pack.")
{
    check_one_pack_is_given_up(
        &(struct fault_plan){.kinds = FAULT_SYNC, .error = EIO, .nth = 1, .pattern = "*.pack"});
}

TEST(an_archive_that_cannot_sync_a_directory_is_opened_anew,
     "One failed sync of a directory of the archive costs the pack that met it and the next one; "
     "the third is archived by the same run, and all by the next.")
{
    static const char *const tiers[] = {"Premium", "Basic", "Free"};
    enum { PACKS = 3 };
    struct jini_error error;
    struct jini_id images[PACKS];
    struct jini_archive_run run;
    fault_attach(harness_path("control"));
    struct jini *jini = fixture_open();
    for (int i = 0; i < PACKS; i++)
        images[i] = fixture_put(jini, fixture_user(jini, tiers[i], tiers[i]), i);
    fault_inject(&(struct fault_plan){
        .kinds = FAULT_SYNC, .error = EIO, .nth = 1, .pattern = "*/archive/packs/*"});
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW;
    CHECK_STATUS(jini_archive_run(jini, &run, NULL), JINI_E_IO);
    CHECK_UINT(fault_injected(), ==, 1);
    fault_inject_stop();
    CHECK_UINT(run.packs_failed, ==, 2);
    CHECK_UINT(run.packs_archived, ==, 1);
    CHECK_OK(jini_health(jini, &error));
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run);
    CHECK_UINT(run.packs_archived, ==, 2);
    for (int i = 0; i < PACKS; i++)
        CHECK_OK(fixture_get(jini, &images[i], i));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
