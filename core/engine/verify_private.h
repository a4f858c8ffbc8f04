/*
 * The parts of a check of everything.
 *
 *   verify.c          the run, and how findings reach the caller
 *   verify_records.c  jobs, images, lists, the due queue, leases, the home; the other rows of users
 *   verify_accounts.c users, the rows by which they are found, tiers
 *   verify_quotas.c   quotas and the jobs that run
 *   verify_places.c   images and locations; locations and the records of a pack
 *   verify_shared.c   records that others may share, objects that are to go
 *   verify_packs.c    rows of packs, their files
 *   verify_objects.c  packs and the archive
 *   verify_ledger.c   accounts and transfers
 *   verify_credits.c  wallets, the credits that jobs hold, what generations cost
 *   verify_payments.c prices, payments and their books, what users have paid for
 *
 *  1. Keys come from scans that renew their snapshot every few hundred rows; what is said of a key
 *     is read anew, with all that must agree with it, in one snapshot. So a change that was under
 *     way is no finding.
 *  2. A finding about a file or an object holds only if the index, read again after that, still
 *     says that it should be there.
 *  3. No snapshot is open while a pack is scanned, the archive is asked, or the caller's report
 *     runs. Only when a single snapshot finds more than VERIFY_PENDING_MAX do the first of them go
 *     out before it ends.
 */
#ifndef ENGINE_VERIFY_PRIVATE_H
#define ENGINE_VERIFY_PRIVATE_H

#include "engine/engine_private.h"

#include "base/error.h"
#include "base/id.h"
#include "images/index.h"

#include <jini/archive.h>

enum { VERIFY_PENDING_MAX = 32, VERIFY_MESSAGE_MAX = 512, VERIFY_PROGRESS_EVERY = 1024 };

/* Something found while a snapshot is open. */
struct verify_finding {
    struct jini_verify_problem problem;
    char message[VERIFY_MESSAGE_MAX];
};

struct verifying {
    struct jini *jini;
    struct store *store;        /* the engine's, or a copy of it */
    struct jini_request *asker; /* who may cancel it */
    struct jini_verify *request;
    bool rows_only; /* of a copy: files and objects are the caller's to look at */
    const char *phase;
    uint64_t phase_rows; /* when the phase began; 0: not known */
    bool in_snapshot;
    bool has_archive;    /* one of its packs has an object, and it could be opened */
    bool archive_lost;   /* it cannot be opened or does not answer: it is asked no more */
    uint32_t unanswered; /* requests to it in a row that met their deadline */
    uint32_t pending;
    struct verify_finding *findings; /* VERIFY_PENDING_MAX of them */
};

/* What a finding is about; members that do not apply are zero. */
struct verify_place {
    const char *kind;
    const char *field;
    const struct jini_id *image;
    const struct jini_id *pack;
    const struct jini_id *job;
    uint64_t user_id;
};

/* Reports a finding, or keeps it until the snapshot ends. */
void verify_problem(struct verifying *v, const struct verify_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

int verify_snapshot(struct verifying *v, struct store_txn **out);
void verify_snapshot_end(struct verifying *v, struct store_txn *txn);

/* Begins a phase over the rows of a space, and tells from time to time how far it is. */
void verify_phase(struct verifying *v, const char *phase, enum store_space space);
void verify_progress(struct verifying *v, uint64_t done);
bool verify_cancelled(const struct verifying *v);

/*
 * Visits the rows of a phase's space. A row that the store cannot give ends it: that is a problem,
 * which names the space, and 0.
 */
int verify_each(struct verifying *v, enum store_space space, store_visit_fn *visit, void *argument);

/* After the data file, space by space; 0, or why the check could not go on. */
int verify_records(struct verifying *v);
int verify_locations(struct verifying *v);
int verify_shared(struct verifying *v);
int verify_packs(struct verifying *v);
int verify_pack_rows(struct verifying *v);
int verify_ledger(struct verifying *v);

/*
 * Parts of the check of records, each in its snapshot: a user's record, a key of USER_KEYS, and one
 * of TIERS. The counter of user ids has a snapshot of its own.
 */
int verify_user(struct verifying *v, struct store_txn *txn, uint64_t id);
int verify_user_key(struct verifying *v, struct store_txn *txn, struct slice key);
int verify_tier(struct verifying *v, struct store_txn *txn, struct slice key);
int verify_user_ids(struct verifying *v);

/* Part of the check of a user's or an address's rows, in their snapshot: its quotas. */
struct quota_subject;
int verify_quotas(struct verifying *v, struct store_txn *txn, const struct quota_subject *subject);

/*
 * Credits, each in its snapshot: the row of a wallet; a key of an account of a user; what
 * a job holds; a key of PENDING, and one of PRICES.
 */
int verify_wallet(struct verifying *v, struct store_txn *txn, uint64_t user_id);
int verify_grant(struct verifying *v, struct store_txn *txn, struct slice key);
int verify_job_credits(struct verifying *v, struct store_txn *txn, const struct jini_id *job_id,
                       uint32_t holds);
int verify_hold(struct verifying *v, struct store_txn *txn, struct slice key);
int verify_cost(struct verifying *v, struct store_txn *txn, struct slice key);

/*
 * Payments, each in its snapshot: a key of PRICES, whichever it is; one of PAYMENTS; what a user
 * has paid for. And the books, with a snapshot of their own: what is deferred is some payment's.
 */
int verify_price(struct verifying *v, struct store_txn *txn, struct slice key);
int verify_payment(struct verifying *v, struct store_txn *txn, struct slice key);
int verify_subscription(struct verifying *v, struct store_txn *txn, uint64_t user_id);
int verify_books(struct verifying *v);

/* Part of the check of an image, in its snapshot: the index says where its bytes are. */
int verify_image_place(struct verifying *v, struct store_txn *txn, const struct jini_id *id);

/*
 * Compares a pack's records, as a scan meets them, with its locations. Begun zero but for `v` and
 * `pack`.
 */
enum { VERIFY_LOCATIONS = 64 };
struct verify_merge {
    struct verifying *v;
    const struct jini_id *pack;
    bool ended;   /* there are no more locations */
    bool blocked; /* by a damaged row: to be gone round from the next record on */
    bool any;
    struct index_location last; /* of those that were listed */
    size_t at;
    size_t count;
    struct index_location page[VERIFY_LOCATIONS];
};
struct pack_entry;
int verify_merge_record(struct verify_merge *merge, const struct pack_entry *entry);
int verify_merge_end(struct verify_merge *merge);

/*
 * An ARCHIVED or COLD pack; in depth its bytes too. That the archive cannot be reached is told
 * once, and then nothing more is said of objects.
 */
int verify_object(struct verifying *v, const struct index_pack *pack);

/*
 * Counts the objects that nothing here names, where verify_object() has met an archive that
 * answers.
 */
int verify_unknown_objects(struct verifying *v);

/*
 * True when a pack is gone or in another state than it was found in: then what was found says
 * nothing.
 */
bool verify_pack_changed(struct verifying *v, const struct index_pack *pack);

#endif
