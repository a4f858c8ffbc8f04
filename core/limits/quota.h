/*
 * Quotas: durable counters of long periods, charged inside the transaction of an admission.
 *
 * One row per subject in space ACTIVITY, beside the rest of what a user does:
 *
 *   (uint user id, text "q")                         of a user
 *   (uint 0, text "q", bytes of the address)         of an anonymous address; IPv6 by its /64
 *
 * Next to that of an address, under a longer key, stands the row of its running jobs (generations),
 * which sweeps pass over.
 *
 *   offset  size  (little-endian)
 *        0     2  version, 1
 *        2     2  count of counters, at most 32
 *        4     4  zero
 *   then for each counter 40 bytes:
 *        0     8  identity: what it counts, see below
 *        8     8  begin of its window, wall time in ns since 1970
 *       16     8  end of its window
 *       24     8  used
 *       32     8  reserved
 *
 * The identity is the XXH3-64 of the text "MULTIPLES/UNIT/KIND/ORDINAL/ZONE": the period in its
 * largest unit (limit_span()), so that 3/day and 3/24 hours are one counter; unit and kind of
 * period as numbers of their enums; which of several alike limits it is; the zone as it is named,
 * empty for first-hit periods. The amount is not in it.
 *
 *  1. used + reserved never exceeds the amount of the limit under which they were charged.
 *  2. A reservation belongs to the window in which it was made: what is settled or released after
 *     the window has ended changes nothing.
 *  3. A change of tier that keeps the period, in whatever unit it is written, keeps the counts.
 *     Another kind of period or another name of a zone is another counter.
 *  4. A counter leaves a full row only when it counts nothing any more (nothing is reserved, and
 *     its window is over or nothing was used), and never for one of the same charge. Where none may
 *     leave, the charge is refused as JINI_E_BUSY: forgetting a live count would admit too much.
 *  5. Time comes in as an argument. A clock set back neither opens a window nor loses counts
 *     (period.h).
 */
#ifndef LIMITS_QUOTA_H
#define LIMITS_QUOTA_H

#include "limits/period.h"
#include "store/store.h"

enum { QUOTA_COUNTERS_MAX = 32 };

struct quota_subject {
    uint64_t user_id;    /* 0: the address */
    uint8_t address[16]; /* IPv6, or IPv4 as ::ffff:a.b.c.d */
};

/*
 * What tells one address from another: all of IPv4, the /64 of IPv6. Empty for a user. Borrowed
 * from `subject`.
 */
struct slice quota_address(const struct quota_subject *subject);

/* The quotas of a subject, made ready: time zones are opened outside of transactions. */
struct quota_plan {
    uint32_t count;
    uint64_t anchor_ns; /* wall time from which anchor periods count */
    struct limit limits[LIMITS_MAX];
    const struct period_zone *zones[LIMITS_MAX]; /* NULL: UTC */
};

/* What one quota says, at the time that was passed in. */
struct quota_outcome {
    bool refused;
    uint64_t remaining; /* after the charge */
    uint64_t reset_ns;  /* until its window ends */
    uint64_t
        retry_after_ns; /* until the same cost may fit; 0: it fitted; UINT64_MAX: it never does */
};

/* What was reserved, for its settlement or release. */
struct quota_receipt {
    uint64_t identity;
    uint64_t start_ns;
    uint64_t cost;
};

struct quota_charge {
    struct quota_subject subject;
    const struct quota_plan *plan;
    uint64_t now_ns; /* wall time */
    uint64_t cost;   /* 1 or more; 0 in a peek */
    /* Of a peek: reservations that it takes as given back. */
    const struct quota_receipt *released;
    uint32_t released_count;

    /* Out; one for each quota of the plan. */
    uint32_t decided; /* the first that refused; plan->count: none */
    struct quota_outcome outcomes[LIMITS_MAX];
    struct quota_receipt receipts[LIMITS_MAX];
};

/*
 * Reserves `cost` of every quota of the plan, or nothing. Shadow quotas count up to their amount
 * and never refuse. JINI_E_LIMITED: `decided` names the quota. JINI_E_BUSY: the row is full of
 * counters of other periods that are still needed; the outcome of a quota without a place says when
 * the first of them ends, and quota_reset() frees those with nothing reserved. JINI_E_CORRUPT: the
 * row is damaged. Errors of the store.
 */
int quota_reserve(struct store_txn *txn, struct quota_charge *charge);

/*
 * Answers what quota_reserve() would once `released` were given back, and writes nothing; in a
 * snapshot too. 0 where a quota would
 * refuse too (`decided`); JINI_E_BUSY, with all outcomes, and the other errors as quota_reserve().
 */
int quota_peek(struct store_txn *txn, struct quota_charge *charge);

/*
 * Ends reservations: `used` units of each (at most its cost) count as used, the rest is given back.
 */
int quota_settle(struct store_txn *txn, const struct quota_subject *subject,
                 const struct quota_receipt *receipts, uint32_t count, uint64_t used);

/* Sets what is used to 0; what is reserved stays. */
int quota_reset(struct store_txn *txn, const struct quota_subject *subject);

/* The counters of a subject as they stand, for checks. JINI_E_NOT_FOUND: it has none. */
struct quota_counter {
    uint64_t identity;
    uint64_t start_ns;
    uint64_t end_ns;
    uint64_t used;
    uint64_t reserved;
};
int quota_list(struct store_txn *txn, const struct quota_subject *subject,
               struct quota_counter out[QUOTA_COUNTERS_MAX], uint32_t *count);

/* What the counter of a limit that was checked is told by. Pure. */
uint64_t quota_identity(const struct limit *limit);

/*
 * Sweeping. Nobody removes an address, so its row would stay for ever: rows of addresses go once
 * all of their windows have been over for QUOTA_GRACE_NS and nothing is reserved. Without the row
 * the next charge opens the windows that it would have gone on to with it. The grace is for wall
 * clocks: one that ran ahead by less loses no counts when it is set right.
 */
#define QUOTA_GRACE_NS (UINT64_C(86400) * UINT64_C(1000000000))

enum { QUOTA_SWEEP_ROWS = 256 };

/* A turn over the rows of all addresses, a slice at a time. All zero at its begin. */
struct quota_sweep {
    size_t last_length; /* of the key that was looked at last; 0: none was */
    uint8_t last[STORE_KEY_MAX];
    bool at_end; /* no row is left to look at */

    /* Of the last slice: whose rows may go. */
    uint32_t count;
    struct quota_subject ended[QUOTA_SWEEP_ROWS];
};

/*
 * Looks at up to QUOTA_SWEEP_ROWS rows after those that were looked at before; a snapshot will do.
 * Damaged rows are passed over: verify reports them. Errors of the store: the rows before the error
 * were looked at.
 */
int quota_sweep_next(struct store_txn *txn, struct quota_sweep *sweep, uint64_t now_ns);

/*
 * Removes the row of an address if it may go, as read in this transaction. JINI_E_NOT_FOUND: it is
 * in use again, or gone.
 */
int quota_remove_ended(struct store_txn *txn, const struct quota_subject *subject, uint64_t now_ns);

#endif
