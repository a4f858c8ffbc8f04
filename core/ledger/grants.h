/*
 * Grants of credits, and wallets: inside of a store transaction.
 *
 * A grant is an account of its user (place.h) in the ledger of credits, a wallet the sum of its
 * user's grants. What happens to credits are transfers:
 *
 *   granted    issued -> grant            id: the grant's, as its caller chose it
 *   reserved   grant -> used, pending     id: the job's with 0x00 + n as its last byte, n-th hold
 *   settled    post of the hold           id: ... 0x40 + n; less than was held draws from the
 *                                         first holds on
 *   released   void of the hold           id: ... 0x40 + n
 *   refunded   used -> grant              id: ... 0x80 + n
 *   expired    grant -> expired           id: made from the grant's, see grants.c
 *   revoked    grant -> revoked
 *
 * So over all grants: granted = what is left + used + reserved + expired + revoked, less refunded;
 * and a job is charged once, since its ids are used up.
 *
 * The number of a grant in its account's id is its place in the drawing order:
 *
 *   56 priority u8, the smallest first | 24 expiry in s u32, all ones: never | 0 sequence u24
 *
 * The account says the rest: code, its category; user data 128, where it comes from; user data 64,
 * how much was granted; user data 32, when it takes effect, in s.
 *
 *   ACTIVITY (uint user, text "w")   0 version u8, 1 | 1 zero u8 | 2 count u16 |
 *                                    4 next sequence u32 | 8 numbers of the grants that have or may
 *                                    get something, u64 each, ascending
 *
 *  1. A grant that has credits, or of which some are reserved, is in the row of its wallet.
 *  2. A reservation holds credits of up to GRANTS_HELD_MAX grants; it outlives their expiry, and
 *     what of it is given back later expires at once.
 *  3. What a refund gives back to a grant that has expired expires at once, as a transfer of its
 *     own.
 */
#ifndef LEDGER_GRANTS_H
#define LEDGER_GRANTS_H

#include "ledger/check.h"
#include "ledger/ledger.h"

#include <jini/grants.h>

enum {
    GRANTS_HELD_MAX = 64,
    GRANTS_ROW_MAX = 256,              /* refunds bring grants back beyond JINI_GRANTS_LIVE_MAX */
    GRANTS_BATCH = GRANTS_HELD_MAX + 2 /* what a ledger_batch for these calls has room for */
};

/* What became of credits beside what a call was asked for; it begins zero. */
struct grants_news {
    uint64_t granted; /* by grants_add(), unless it was made before */
    uint64_t expired;
};

/* What all calls here need. */
struct grants_txn {
    struct store_txn *store;
    struct ledger_batch *batch;
    uint64_t now_ms;
    struct jini_error *error;
    struct grants_news *news; /* NULL: nobody wants to know */
};

/* The text in the key of a wallet's row. */
#define GRANTS_WALLET_ROW "w"

/* The grants of a wallet that are in its row, in drawing order. */
struct wallet {
    uint64_t user_id;
    uint32_t next_sequence;
    uint32_t count;
    struct jini_grant grants[GRANTS_ROW_MAX];
};

/* All zero for a user who never had a grant. JINI_E_CORRUPT, JINI_E_FORMAT. */
int grants_read(struct store_txn *txn, uint64_t user_id, struct wallet *out,
                struct jini_error *error);

/* One grant, by its account. JINI_E_CORRUPT: there is none. */
int grants_get(struct store_txn *txn, const struct jini_id *account_id, struct jini_grant *out,
               struct jini_error *error);

/* What may be drawn now. */
uint64_t grants_available(const struct wallet *wallet, uint64_t now_ms);

/*
 * Grants credits; `grant` gives what struct jini_grant_add says, and comes back whole. 0 also for
 * one that was made before by the same call. JINI_E_CONFLICT: its id stands for another one.
 * JINI_E_BUSY: the wallet has JINI_GRANTS_LIVE_MAX grants.
 */
int grants_add(const struct grants_txn *txn, struct jini_grant *grant);

/*
 * Holds `amount` credits for a job, of `*holds` grants; `*left` is what may be drawn after that, or
 * as it stands where there are not so many: JINI_E_FUNDS. JINI_E_BUSY: they lie in more than
 * GRANTS_HELD_MAX grants.
 */
int grants_reserve(const struct grants_txn *txn, uint64_t user_id, const struct jini_id *job_id,
                   uint64_t amount, uint32_t *holds, uint64_t *left);

/* Ends what a job holds: `used` credits are drawn, as far as they are held; the rest is free. */
int grants_settle(const struct grants_txn *txn, uint64_t user_id, const struct jini_id *job_id,
                  uint32_t holds, uint64_t used);

/*
 * Gives up to `amount` credits that a job drew back to the grants that they came from, the last one
 * first; `*refunded` says how many. Once for each job: JINI_E_EXISTS.
 */
int grants_refund(const struct grants_txn *txn, uint64_t user_id, const struct jini_id *job_id,
                  uint64_t amount, uint64_t *refunded);

/* Of which user a job has reserved credits. JINI_E_NOT_FOUND: of none. */
int grants_user_of(struct store_txn *txn, const struct jini_id *job_id, uint64_t *user_id,
                   struct jini_error *error);

/* Takes what is free of the grants of a wallet that have expired. */
int grants_expire(const struct grants_txn *txn, uint64_t user_id, uint64_t *expired);

/*
 * Takes what is free of one grant, as its payment is taken back. JINI_E_NOT_FOUND. `*revoked` says
 * how much.
 */
int grants_revoke(const struct grants_txn *txn, const struct jini_id *grant_id, uint64_t *revoked);

/*
 * For verify, on one snapshot: what is wrong with the row of a wallet, and with an account of a
 * user as a grant. out->kind is NULL where nothing is, or the thing is gone.
 */
int grants_check_wallet(struct store_txn *txn, uint64_t user_id, struct ledger_finding *out);
int grants_check_account(struct store_txn *txn, const struct jini_id *id,
                         struct ledger_finding *out);

/* The same of what a job that runs holds: so many open holds, of `amount` credits together. */
int grants_check_holds(struct store_txn *txn, const struct jini_id *job_id, uint32_t holds,
                       uint64_t amount, struct ledger_finding *out);

/*
 * The job whose open hold a key of PENDING names. JINI_E_NOT_FOUND: it names none; what is damaged
 * is the ledger's to tell.
 */
int grants_read_hold(struct store_txn *txn, struct slice key, struct jini_id *job_id);

#endif
