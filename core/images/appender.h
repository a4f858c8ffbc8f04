/*
 * The appender: one thread per process that writes images to the open packs of this process, many
 * images to a sync, and seals packs that are large, old or asked for.
 *
 *   submit -> queued -> appended -> synced -> done() -> the caller commits the index -> released
 *
 *  1. done() runs after the record is durable, and before anything in the index names it.
 *  2. A pack is sealed only when every item of it has been released, so that no location is added
 *     to it later.
 *  3. A pack whose append or sync failed in a way that leaves doubt is not written to again.
 *  4. Per class (tier group, expiry day) at most one pack of this process takes new records.
 */
#ifndef IMAGES_APPENDER_H
#define IMAGES_APPENDER_H

#include "base/id.h"
#include "base/log.h"
#include "images/index.h"
#include "images/pack_prepare.h"

struct appender;

struct appender_options {
    struct store *store; /* borrowed, as all pointers here, until appender_free() */
    int directory;       /* descriptor of the database directory */
    const struct jini_clock *clock;
    struct id_source *ids;
    struct log log;
    struct jini_id instance; /* of this opening of the database */
    uint64_t pack_bytes_max;
    uint64_t pack_age_max_ms;
    uint64_t queue_bytes_max;
};

int appender_new(const struct appender_options *options, struct appender **out,
                 struct jini_error *error);

/*
 * Refuses new items, completes those that wait with JINI_E_CANCELLED and those that run as they
 * turn out, waits until all are released, seals the open packs, and ends the thread. Takes NULL.
 */
void appender_stop(struct appender *appender);
void appender_free(struct appender *appender);

struct appender_pack;

/* An image on its way to a pack. Owned by the caller, left alone from submit to done(). */
struct appender_item {
    struct pack_prepared *record; /* gets its offset and sequence number */
    uint32_t tier_group;
    uint32_t expiry_day;
    /*
     * On the appender's thread; must not block for long. After status 0 the caller calls
     * appender_release() or appender_abandon() later.
     */
    void (*done)(struct appender_item *item, int status);
    /* Checked when its turn comes: JINI_E_TIMEOUT, JINI_E_CANCELLED. */
    uint64_t deadline_ns;              /* boot time; 0: none */
    const _Atomic uint32_t *cancelled; /* may be NULL */

    /* Out. */
    struct index_pack pack; /* for index_pack_open() */
    struct jini_error error;

    /* Private. */
    struct appender_pack *place;
    struct appender_item *next;
    int status;
};

/*
 * JINI_E_BUSY: queue_bytes_max of records wait. JINI_E_CLOSED. JINI_E_NO_MEMORY: no thread. Any
 * thread.
 */
int appender_submit(struct appender *appender, struct appender_item *item);

/* The index names the record. Any thread. */
void appender_release(struct appender *appender, struct appender_item *item);

/*
 * The index does not name the record, and never will: its pack is to be rewritten soon after it is
 * sealed, for nothing else would ever find these bytes. Any thread.
 */
void appender_abandon(struct appender *appender, struct appender_item *item);

/*
 * Seals all packs that are open now, and waits for it. Not from done(). The first error; the other
 * packs are sealed all the same.
 */
int appender_seal(struct appender *appender, struct jini_error *error);

/*
 * Asks the appenders of all other processes to seal the packs that they have open now. Each looks
 * at least once a second, and seals a pack when its items are released. Does not wait. Any thread.
 */
void appender_ask_others(struct appender *appender);

/*
 * Whether the appender still has a pack of this process: appends to it, or is about to seal it. Any
 * thread.
 */
bool appender_holds(struct appender *appender, const struct jini_id *pack);

struct appender_figures {
    uint64_t queue_bytes;
    uint64_t records;
    uint64_t bytes;
    uint64_t syncs;
    uint32_t packs_open;
};
void appender_figures(struct appender *appender, struct appender_figures *out);

#endif
