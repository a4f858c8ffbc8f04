/*
 * What is to become of a pack: a pure function of what is known of it, the policy and the time.
 *
 *    OPEN --seal--> SEALED --share, archive--> ARCHIVING --verified--> ARCHIVED --free--> COLD
 *                     |                     |                       |                |
 *                     '-------------------- '----- compact ---------'----------------'
 *                                                     v
 *                              without images: PURGING --every copy deleted--> (gone)
 *
 * The caller carries the step out in a way that can be repeated after a crash at any point, and
 * asks again.
 */
#ifndef IMAGES_TIERING_H
#define IMAGES_TIERING_H

#include "images/index.h"

enum tiering_step {
    TIERING_NOTHING,
    TIERING_SEAL,        /* the owner is gone, or it is large, old or asked for */
    TIERING_SHARE,       /* look for duplicates of its images, once */
    TIERING_COMPACT,     /* move what lives to a new pack */
    TIERING_ARCHIVE,     /* put, read back, verify, commit */
    TIERING_FREE,        /* commit COLD, then delete the local file */
    TIERING_PURGE_BEGIN, /* no images: commit PURGING */
    TIERING_PURGE        /* delete object and file, then the row */
};

struct tiering_policy {
    uint64_t archive_age_ms;
    uint64_t hot_ms; /* from archiving to freeing */
    uint64_t open_age_max_ms;
    uint32_t garbage_percent; /* compact a sealed pack at this share of garbage */
    bool now;                 /* do not wait for any age; seal open packs of this process too */
    bool free_hot;            /* free as soon as it is archived */
};

struct tiering_facts {
    const struct index_pack *pack;
    uint64_t now_ms;
    uint64_t live_images;  /* locations */
    uint64_t live_records; /* records with at least one location */
    bool owner_alive;      /* of an OPEN pack */
    bool owned_here;       /* of an OPEN pack: by this process */
};

enum { TIERING_REASON_MAX = 160 };

/*
 * Whether a step may be due, told without the counts of `facts`, which cost a walk over the pack's
 * images: after false there is none.
 */
bool tiering_may_be_due(const struct tiering_facts *facts, const struct tiering_policy *policy);

/* The next step, and in words why: "archive.age_min_s is over (90000 s)". */
enum tiering_step tiering_decide(const struct tiering_facts *facts,
                                 const struct tiering_policy *policy,
                                 char reason[TIERING_REASON_MAX]);

#endif
