/* Small packs of one class, collected and rewritten together as soon as they fill a pack. */
#include "engine/tiering_private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "images/pack_format.h"

enum { SMALL_PARTS = 4, CLASSES_MAX = 32 };

/* Packs of one class that are to become one. */
struct merge {
    struct index_pack members[TIERING_SOURCES_MAX];
    size_t count;
    uint64_t bytes;
    uint64_t records;
};

struct merges {
    struct merge open[CLASSES_MAX];
    size_t count;
};

static bool is_small(const struct tiering_run *run, const struct index_pack *pack)
{
    uint64_t now_ms = clock_wall_ns(run->jini->clock) / NS_PER_MS;
    uint64_t age_ms = now_ms > pack->sealed_ms ? now_ms - pack->sealed_ms : 0;
    return pack->state == INDEX_PACK_SEALED && !(pack->flags & INDEX_PACK_HAS_DAMAGE) &&
           pack->file_bytes < run->jini->options.pack_bytes_max / SMALL_PARTS &&
           (run->policy.now || age_ms >= run->policy.archive_age_ms);
}

static int merge_now(struct tiering_run *run, struct merge *merge, struct jini_error *error)
{
    int status = 0;
    if (merge->count > 1) {
        status = tiering_compact(run, merge->members, merge->count, error);
        if (status == 0)
            tiering_report(run, JINI_TIERING_COMPACT, &merge->members[0], 0, merge->bytes,
                           "small packs of one class become one");
    }
    merge->count = 0;
    merge->bytes = 0;
    merge->records = 0;
    return status;
}

/* What was cold is kept apart: among others it would wait once more to be freed. */
static bool same_class(const struct index_pack *a, const struct index_pack *b)
{
    return a->tier_group == b->tier_group && a->expiry_day == b->expiry_day &&
           ((a->flags ^ b->flags) & INDEX_PACK_WAS_COLD) == 0;
}

static struct merge *merge_of_class(struct merges *merges, const struct index_pack *pack)
{
    for (size_t i = 0; i < merges->count; i++) {
        struct merge *merge = &merges->open[i];
        if (merge->count == 0 || same_class(&merge->members[0], pack))
            return merge;
    }
    return merges->count < CLASSES_MAX ? &merges->open[merges->count++] : NULL;
}

static int add_small(struct tiering_run *run, const struct index_pack *pack, void *context,
                     struct jini_error *error)
{
    struct merge *merge = is_small(run, pack) ? merge_of_class(context, pack) : NULL;
    if (!merge)
        return 0; /* not small, or left for the next run */
    int status = 0;
    if (merge->count == TIERING_SOURCES_MAX || merge->records + pack->records > PACK_RECORDS_MAX ||
        merge->bytes + pack->file_bytes > run->jini->options.pack_bytes_max)
        status = merge_now(run, merge, error);
    merge->members[merge->count++] = *pack;
    merge->bytes += pack->file_bytes;
    merge->records += pack->records;
    return status;
}

int tiering_merge_small(struct tiering_run *run, struct jini_error *error)
{
    struct merges *merges = base_calloc(1, sizeof(*merges));
    if (!merges)
        return error_set(error, JINI_E_NO_MEMORY, "pack", "out of memory");
    int status = tiering_each(run, add_small, merges, error);
    for (size_t i = 0; status == 0 && i < merges->count; i++) {
        struct merge *merge = &merges->open[i];
        struct jini_id first = merge->members[0].id;
        int failed = merge_now(run, merge, error);
        if (failed && tiering_ends_run(failed))
            status = failed;
        else if (failed)
            tiering_note_failure(run, &first, failed, error);
    }
    base_free(merges);
    return status;
}
