/* What becomes of a pack: decisions as a table, and that the cheap look never hides one. */
#include "images/tiering.h"

#include "harness.h"

enum { NOW_MS = 100000000 };

static const struct tiering_policy patient = {
    .archive_age_ms = 1000, .hot_ms = 5000, .open_age_max_ms = 100, .garbage_percent = 20};

static struct index_pack pack_in(enum index_pack_state state)
{
    return (struct index_pack){.id = {{1}},
                               .state = state,
                               .flags = INDEX_PACK_SHARED,
                               .created_ms = NOW_MS,
                               .sealed_ms = NOW_MS,
                               .archived_ms = NOW_MS,
                               .records = 10};
}

static struct tiering_facts facts_of(const struct index_pack *pack)
{
    return (struct tiering_facts){
        .pack = pack, .now_ms = NOW_MS, .live_images = 10, .live_records = 10, .owner_alive = true};
}

static enum tiering_step step_of(const struct tiering_facts *facts,
                                 const struct tiering_policy *policy)
{
    char reason[TIERING_REASON_MAX];
    enum tiering_step step = tiering_decide(facts, policy, reason);
    CHECK(reason[0] != '\0');
    return step;
}

TEST(an_open_pack_is_sealed_by_its_owner_or_when_that_is_gone,
     "Age and asking seal a pack of this process; another's only after its death.")
{
    struct index_pack pack = pack_in(INDEX_PACK_OPEN);
    struct tiering_facts facts = facts_of(&pack);
    struct tiering_policy now = patient;
    now.now = true;
    facts.now_ms += 100;
    CHECK_INT(step_of(&facts, &now), ==, TIERING_NOTHING);
    facts.owned_here = true;
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_SEAL);
    facts.now_ms--;
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_NOTHING);
    CHECK_INT(step_of(&facts, &now), ==, TIERING_SEAL);
    facts.owned_here = false;
    facts.owner_alive = false;
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_SEAL);
}

TEST(a_sealed_pack_goes_to_the_archive_by_age_and_is_freed_by_age,
     "The bounds of the policy are met exactly; asking overrides each.")
{
    struct index_pack sealed = pack_in(INDEX_PACK_SEALED);
    struct tiering_facts facts = facts_of(&sealed);
    facts.now_ms += 999;
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_NOTHING);
    facts.now_ms++;
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_ARCHIVE);
    sealed.flags = 0;
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_SHARE);

    struct index_pack archived = pack_in(INDEX_PACK_ARCHIVED);
    struct tiering_policy freeing = patient;
    freeing.free_hot = true;
    facts = facts_of(&archived);
    facts.now_ms += 4999;
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_NOTHING);
    CHECK_INT(step_of(&facts, &freeing), ==, TIERING_FREE);
    facts.now_ms++;
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_FREE);
}

TEST(what_was_cold_becomes_cold_again_at_once,
     "A pack rewritten from cold ones is archived and freed without waiting for any age.")
{
    struct index_pack pack = pack_in(INDEX_PACK_SEALED);
    struct tiering_facts facts = facts_of(&pack);
    pack.flags |= INDEX_PACK_WAS_COLD;
    CHECK(tiering_may_be_due(&facts, &patient));
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_ARCHIVE);
    pack.state = INDEX_PACK_ARCHIVED;
    CHECK(tiering_may_be_due(&facts, &patient));
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_FREE);
    pack.state = INDEX_PACK_COLD;
    CHECK(!tiering_may_be_due(&facts, &patient));
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_NOTHING);
}

TEST(
    garbage_is_rewritten_from_its_share_on_and_purged_bytes_at_once,
    "Two records of ten are a fifth; one is enough when it was purged; without any, the pack goes.")
{
    struct index_pack pack = pack_in(INDEX_PACK_COLD);
    struct tiering_facts facts = facts_of(&pack);
    facts.live_records = 9;
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_NOTHING);
    facts.live_records = 8;
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_COMPACT);
    facts.live_records = 9;
    pack.flags |= INDEX_PACK_MUST_COMPACT;
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_COMPACT);
    facts.live_records = 10; /* it was rewritten already, or the purged bytes are another's too */
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_NOTHING);
    facts.live_images = 0;
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_PURGE_BEGIN);
    pack.state = INDEX_PACK_PURGING;
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_PURGE);
}

TEST(what_was_interrupted_goes_on_and_what_is_damaged_stays,
     "An interrupted archiving is taken up whatever the age; a row that cannot be read is let be.")
{
    struct index_pack pack = pack_in(INDEX_PACK_ARCHIVING);
    struct tiering_facts facts = facts_of(&pack);
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_ARCHIVE);
    pack.state = INDEX_PACK_DAMAGED;
    facts.live_images = 0;
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_NOTHING);
    CHECK(!tiering_may_be_due(&facts, &patient));
}

TEST(a_pack_of_damaged_records_stays_local, "It is not archived, whatever its age and whoever "
                                            "asks; without an image it goes like any other.")
{
    struct index_pack pack = pack_in(INDEX_PACK_SEALED);
    struct tiering_facts facts = facts_of(&pack);
    struct tiering_policy now = patient;
    now.now = true;
    pack.flags |= INDEX_PACK_HAS_DAMAGE;
    facts.now_ms += 5000;
    CHECK(!tiering_may_be_due(&facts, &patient));
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_NOTHING);
    CHECK_INT(step_of(&facts, &now), ==, TIERING_NOTHING);
    pack.removals++;
    pack.flags |= INDEX_PACK_MUST_COMPACT;
    facts.live_records = 9;
    CHECK(tiering_may_be_due(&facts, &patient));
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_COMPACT);
    facts.live_images = 0;
    CHECK_INT(step_of(&facts, &patient), ==, TIERING_PURGE_BEGIN);
}

/*
 * Counting garbage costs a walk over the images; packs from which nothing was taken since the last
 * count are spared.
 */
TEST(the_look_without_counting_hides_no_step,
     "Over random packs, counts and policies: what tiering_may_be_due() denies has nothing to do.")
{
    unsigned denied = 0;
    for (int i = 0; i < 200000; i++) {
        struct index_pack pack = pack_in(harness_random() % (INDEX_PACK_PURGING + 1));
        struct tiering_policy policy = patient;
        struct tiering_facts facts = facts_of(&pack);
        pack.flags = harness_random() % 16;
        pack.removals = harness_random() % 2;
        facts.now_ms += harness_random() % 6000;
        facts.owned_here = harness_random() % 2;
        facts.owner_alive = facts.owned_here || harness_random() % 2;
        policy.now = harness_random() % 4 == 0;
        policy.free_hot = harness_random() % 4 == 0;
        if (pack.removals != pack.counted || policy.now) {
            facts.live_records = harness_random() % 11;
            facts.live_images = facts.live_records;
        }
        if (tiering_may_be_due(&facts, &policy))
            continue;
        denied++;
        CHECK_INT(step_of(&facts, &policy), ==, TIERING_NOTHING);
    }
    CHECK(denied > 10000);
}
