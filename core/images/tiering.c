/* The decisions of tiering.h. */
#include "images/tiering.h"

#include <stdio.h>

static uint64_t age_ms(uint64_t since_ms, uint64_t now_ms)
{
    return now_ms > since_ms ? now_ms - since_ms : 0;
}

static enum tiering_step because(char *reason, enum tiering_step step, const char *text)
{
    snprintf(reason, TIERING_REASON_MAX, "%s", text);
    return step;
}

static enum tiering_step because_of_age(char *reason, enum tiering_step step, const char *option,
                                        uint64_t age, uint64_t bound)
{
    snprintf(reason, TIERING_REASON_MAX, "%s has passed: %llu s of %llu s", option,
             (unsigned long long)(age / 1000), (unsigned long long)(bound / 1000));
    return step;
}

static enum tiering_step decide_open(const struct tiering_facts *facts,
                                     const struct tiering_policy *policy, char *reason)
{
    uint64_t age = age_ms(facts->pack->created_ms, facts->now_ms);
    if (!facts->owner_alive)
        return because(reason, TIERING_SEAL, "nobody appends to it any more");
    if (!facts->owned_here)
        return because(reason, TIERING_NOTHING, "another process writes it");
    if (policy->now)
        return because(reason, TIERING_SEAL, "asked for now");
    if (age >= policy->open_age_max_ms)
        return because_of_age(reason, TIERING_SEAL, "pack.age_max_s", age, policy->open_age_max_ms);
    return because(reason, TIERING_NOTHING, "it is being written");
}

static bool wants_compaction(const struct tiering_facts *facts, const struct tiering_policy *policy,
                             char *reason)
{
    const struct index_pack *pack = facts->pack;
    uint64_t garbage =
        pack->records > facts->live_records ? pack->records - facts->live_records : 0;
    if (garbage == 0)
        return false;
    if (pack->flags & INDEX_PACK_MUST_COMPACT) {
        because(reason, TIERING_COMPACT, "it holds bytes of purged images, or doubles");
        return true;
    }
    if (garbage * 100 < (uint64_t)policy->garbage_percent * pack->records)
        return false;
    snprintf(reason, TIERING_REASON_MAX, "%llu of %u records are garbage",
             (unsigned long long)garbage, pack->records);
    return true;
}

static enum tiering_step decide_sealed(const struct tiering_facts *facts,
                                       const struct tiering_policy *policy, char *reason)
{
    uint64_t age = age_ms(facts->pack->sealed_ms, facts->now_ms);
    if (facts->pack->state == INDEX_PACK_ARCHIVING)
        return because(reason, TIERING_ARCHIVE, "an archiving was interrupted");
    if (facts->pack->flags & INDEX_PACK_HAS_DAMAGE)
        return because(reason, TIERING_NOTHING, "its records are damaged");
    if (policy->now)
        return because(reason, TIERING_ARCHIVE, "asked for now");
    if (facts->pack->flags & INDEX_PACK_WAS_COLD)
        return because(reason, TIERING_ARCHIVE, "rewritten from cold packs");
    if (age >= policy->archive_age_ms)
        return because_of_age(reason, TIERING_ARCHIVE, "archive.age_min_s", age,
                              policy->archive_age_ms);
    return because(reason, TIERING_NOTHING, "younger than archive.age_min_s");
}

static enum tiering_step decide_archived(const struct tiering_facts *facts,
                                         const struct tiering_policy *policy, char *reason)
{
    uint64_t age = age_ms(facts->pack->archived_ms, facts->now_ms);
    if (policy->free_hot)
        return because(reason, TIERING_FREE, "asked for");
    if (facts->pack->flags & INDEX_PACK_WAS_COLD)
        return because(reason, TIERING_FREE, "rewritten from cold packs");
    if (age >= policy->hot_ms)
        return because_of_age(reason, TIERING_FREE, "archive.hot_s", age, policy->hot_ms);
    return because(reason, TIERING_NOTHING, "younger than archive.hot_s");
}

bool tiering_may_be_due(const struct tiering_facts *facts, const struct tiering_policy *policy)
{
    const struct index_pack *pack = facts->pack;
    bool uncounted = policy->now || pack->counted != pack->removals;
    bool was_cold = (pack->flags & INDEX_PACK_WAS_COLD) != 0;
    switch (pack->state) {
    case INDEX_PACK_DAMAGED:
        return false;
    case INDEX_PACK_OPEN:
        return !facts->owner_alive ||
               (facts->owned_here && (policy->now || age_ms(pack->created_ms, facts->now_ms) >=
                                                         policy->open_age_max_ms));
    case INDEX_PACK_SEALED:
        if (uncounted || !(pack->flags & INDEX_PACK_SHARED))
            return true;
        return !(pack->flags & INDEX_PACK_HAS_DAMAGE) &&
               (was_cold || age_ms(pack->sealed_ms, facts->now_ms) >= policy->archive_age_ms);
    case INDEX_PACK_ARCHIVED:
        return uncounted || was_cold || policy->free_hot ||
               age_ms(pack->archived_ms, facts->now_ms) >= policy->hot_ms;
    case INDEX_PACK_COLD:
        return uncounted;
    default: /* something was interrupted */
        return true;
    }
}

enum tiering_step tiering_decide(const struct tiering_facts *facts,
                                 const struct tiering_policy *policy,
                                 char reason[TIERING_REASON_MAX])
{
    const struct index_pack *pack = facts->pack;
    reason[0] = '\0';
    if (pack->state == INDEX_PACK_DAMAGED)
        return because(reason, TIERING_NOTHING, "its row cannot be read");
    if (pack->state == INDEX_PACK_PURGING)
        return because(reason, TIERING_PURGE, "it has no images");
    if (pack->state == INDEX_PACK_OPEN)
        return decide_open(facts, policy, reason);
    if (facts->live_images == 0)
        return because(reason, TIERING_PURGE_BEGIN, "it has no images");
    if (pack->state == INDEX_PACK_SEALED && !(pack->flags & INDEX_PACK_SHARED))
        return because(reason, TIERING_SHARE, "its images may be duplicates");
    if (pack->state != INDEX_PACK_ARCHIVING && wants_compaction(facts, policy, reason))
        return TIERING_COMPACT;
    if (pack->state == INDEX_PACK_SEALED || pack->state == INDEX_PACK_ARCHIVING)
        return decide_sealed(facts, policy, reason);
    if (pack->state == INDEX_PACK_ARCHIVED)
        return decide_archived(facts, policy, reason);
    return because(reason, TIERING_NOTHING, "it is where it belongs");
}
