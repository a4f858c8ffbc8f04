/*
 * The ledger: accounts, and transfers between them, by double entry. The data model, the terms and
 * the result codes are TigerBeetle's (release 0.16.67; core/ledger/README.md names the pages).
 *
 * An amount is an integer of 128 bits in the smallest unit of its ledger, a currency or a kind of
 * credit: cents, or thousandths of a credit. A transfer debits one account and credits another of
 * the same ledger. It is immutable; a mistake is put right by another transfer.
 *
 * Ids are chosen by the caller, so that a request that is sent again is known again: the second
 * answer is JINI_TRANSFER_EXISTS, and nothing is moved twice. Ids made by jini_id_make(), or others
 * that grow with time, cost less than random ones.
 */
#ifndef JINI_LEDGER_H
#define JINI_LEDGER_H

#include <jini/id.h>
#include <jini/request.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    JINI_LEDGER_BATCH_MAX = 8190, /* accounts or transfers of one request */
    JINI_AMOUNT_TEXT_MAX = 40     /* the digits of the largest amount and NUL */
};

/* ---- Amounts --------------------------------------------------------------------------------- */

/* An unsigned integer of 128 bits. */
struct jini_amount {
    uint64_t low;
    uint64_t high;
};

static inline struct jini_amount jini_amount_of(uint64_t amount)
{
    struct jini_amount out = {amount, 0};
    return out;
}

/* The largest amount. A post with it posts all that its pending transfer holds. */
static inline struct jini_amount jini_amount_max(void)
{
    struct jini_amount out = {UINT64_MAX, UINT64_MAX};
    return out;
}

/* Writes the decimal digits. Any thread. */
JINI_EXPORT void jini_amount_format(struct jini_amount amount, char text[JINI_AMOUNT_TEXT_MAX]);

/*
 * Reads decimal digits and nothing else. JINI_E_INVALID: no digits, a sign, a point, anything else,
 * or more than 2^128 - 1; `out` is then zero. Any thread.
 */
JINI_EXPORT int jini_amount_parse(const char *text, struct jini_amount *out);

/* Negative, zero or positive, as `a` is less than, equal to or more than `b`. Any thread. */
JINI_EXPORT int jini_amount_compare(struct jini_amount a, struct jini_amount b);

/* ---- Accounts -------------------------------------------------------------------------------- */

enum jini_account_flag {
    JINI_ACCOUNT_LINKED = 1 << 0, /* made only if the next one of the request is */
    JINI_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS = 1 << 1,
    JINI_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS = 1 << 2,
    JINI_ACCOUNT_HISTORY = 1 << 3,  /* its balance after each transfer is kept */
    JINI_ACCOUNT_IMPORTED = 1 << 4, /* `timestamp` is the caller's; so of the whole request */
    JINI_ACCOUNT_CLOSED = 1 << 5    /* no transfer is taken but the void of what closed it */
};

struct jini_balance {
    struct jini_amount debits_pending;
    struct jini_amount debits_posted;
    struct jini_amount credits_pending;
    struct jini_amount credits_posted;
};

struct jini_account {
    struct jini_id id; /* neither zero nor all ones */
    struct jini_balance balance;
    struct jini_id user_data_128;
    uint64_t user_data_64;
    uint32_t user_data_32;
    uint32_t ledger; /* not 0 */
    uint16_t code;   /* of the caller's chart of accounts; not 0 */
    uint16_t flags;  /* enum jini_account_flag */
    uint32_t reserved;
    uint64_t timestamp; /* when it was made, ns since 1970; given only with IMPORTED */
};

/*
 * What became of an account of a request. X(name, number, text), by precedence: where several rules
 * are broken, the first is told.
 */
#define JINI_ACCOUNT_RESULT_MAP(X)                                                                 \
    X(CREATED, 0, "created")                                                                       \
    X(LINKED_EVENT_FAILED, 1, "linked_event_failed")                                               \
    X(LINKED_EVENT_CHAIN_OPEN, 2, "linked_event_chain_open")                                       \
    X(IMPORTED_EVENT_EXPECTED, 22, "imported_event_expected")                                      \
    X(IMPORTED_EVENT_NOT_EXPECTED, 23, "imported_event_not_expected")                              \
    X(TIMESTAMP_MUST_BE_ZERO, 3, "timestamp_must_be_zero")                                         \
    X(IMPORTED_EVENT_TIMESTAMP_OUT_OF_RANGE, 24, "imported_event_timestamp_out_of_range")          \
    X(IMPORTED_EVENT_TIMESTAMP_MUST_NOT_ADVANCE, 25, "imported_event_timestamp_must_not_advance")  \
    X(RESERVED_FIELD, 4, "reserved_field")                                                         \
    X(RESERVED_FLAG, 5, "reserved_flag")                                                           \
    X(ID_MUST_NOT_BE_ZERO, 6, "id_must_not_be_zero")                                               \
    X(ID_MUST_NOT_BE_INT_MAX, 7, "id_must_not_be_int_max")                                         \
    X(EXISTS_WITH_DIFFERENT_FLAGS, 15, "exists_with_different_flags")                              \
    X(EXISTS_WITH_DIFFERENT_USER_DATA_128, 16, "exists_with_different_user_data_128")              \
    X(EXISTS_WITH_DIFFERENT_USER_DATA_64, 17, "exists_with_different_user_data_64")                \
    X(EXISTS_WITH_DIFFERENT_USER_DATA_32, 18, "exists_with_different_user_data_32")                \
    X(EXISTS_WITH_DIFFERENT_LEDGER, 19, "exists_with_different_ledger")                            \
    X(EXISTS_WITH_DIFFERENT_CODE, 20, "exists_with_different_code")                                \
    X(EXISTS, 21, "exists")                                                                        \
    X(FLAGS_ARE_MUTUALLY_EXCLUSIVE, 8, "flags_are_mutually_exclusive")                             \
    X(DEBITS_PENDING_MUST_BE_ZERO, 9, "debits_pending_must_be_zero")                               \
    X(DEBITS_POSTED_MUST_BE_ZERO, 10, "debits_posted_must_be_zero")                                \
    X(CREDITS_PENDING_MUST_BE_ZERO, 11, "credits_pending_must_be_zero")                            \
    X(CREDITS_POSTED_MUST_BE_ZERO, 12, "credits_posted_must_be_zero")                              \
    X(LEDGER_MUST_NOT_BE_ZERO, 13, "ledger_must_not_be_zero")                                      \
    X(CODE_MUST_NOT_BE_ZERO, 14, "code_must_not_be_zero")                                          \
    X(IMPORTED_EVENT_TIMESTAMP_MUST_NOT_REGRESS, 26, "imported_event_timestamp_must_not_regress")

enum jini_account_result {
#define JINI_ACCOUNT_RESULT_ENUM(name, number, text) JINI_ACCOUNT_RESULT_##name = (number),
    JINI_ACCOUNT_RESULT_MAP(JINI_ACCOUNT_RESULT_ENUM)
#undef JINI_ACCOUNT_RESULT_ENUM
};

/* "created" and so on; "unknown" for another number. Static. Any thread. */
JINI_EXPORT const char *jini_account_result_name(uint32_t result);

/* ---- Transfers ------------------------------------------------------------------------------- */

enum jini_transfer_flag {
    JINI_TRANSFER_LINKED = 1 << 0,  /* made only if the next one of the request is */
    JINI_TRANSFER_PENDING = 1 << 1, /* holds the amount until it is posted, voided, or expires */
    JINI_TRANSFER_POST_PENDING_TRANSFER = 1 << 2,
    JINI_TRANSFER_VOID_PENDING_TRANSFER = 1 << 3,
    JINI_TRANSFER_BALANCING_DEBIT = 1 << 4,  /* `amount` at most, as far as the debit account has */
    JINI_TRANSFER_BALANCING_CREDIT = 1 << 5, /* the same of the credit account */
    JINI_TRANSFER_CLOSING_DEBIT = 1 << 6,    /* closes the debit account, while it is pending */
    JINI_TRANSFER_CLOSING_CREDIT = 1 << 7,
    JINI_TRANSFER_IMPORTED = 1 << 8, /* `timestamp` is the caller's; so of the whole request */
    JINI_TRANSFER_EXPIRED = 1 << 15  /* only read: no transfer, but the end of a pending one that
                                        nobody posted or voided. It has no id, and `pending_id` */
};

struct jini_transfer {
    struct jini_id id; /* neither zero nor all ones */
    struct jini_id debit_account_id;
    struct jini_id credit_account_id;
    struct jini_amount amount;
    struct jini_id pending_id; /* of a post or a void: what it ends */
    struct jini_id user_data_128;
    uint64_t user_data_64;
    uint32_t user_data_32;
    uint32_t timeout;   /* of a pending one, in seconds; 0: none */
    uint32_t ledger;    /* not 0, but of a post or a void, which take it from what they end */
    uint16_t code;      /* the same */
    uint16_t flags;     /* enum jini_transfer_flag */
    uint64_t timestamp; /* ns since 1970, larger than of all before; given only with IMPORTED */
};

/* What became of a transfer of a request. X(name, number, text), by precedence. */
#define JINI_TRANSFER_RESULT_MAP(X)                                                                \
    X(CREATED, 0, "created")                                                                       \
    X(LINKED_EVENT_FAILED, 1, "linked_event_failed")                                               \
    X(LINKED_EVENT_CHAIN_OPEN, 2, "linked_event_chain_open")                                       \
    X(IMPORTED_EVENT_EXPECTED, 56, "imported_event_expected")                                      \
    X(IMPORTED_EVENT_NOT_EXPECTED, 57, "imported_event_not_expected")                              \
    X(TIMESTAMP_MUST_BE_ZERO, 3, "timestamp_must_be_zero")                                         \
    X(IMPORTED_EVENT_TIMESTAMP_OUT_OF_RANGE, 58, "imported_event_timestamp_out_of_range")          \
    X(IMPORTED_EVENT_TIMESTAMP_MUST_NOT_ADVANCE, 59, "imported_event_timestamp_must_not_advance")  \
    X(RESERVED_FLAG, 4, "reserved_flag")                                                           \
    X(ID_MUST_NOT_BE_ZERO, 5, "id_must_not_be_zero")                                               \
    X(ID_MUST_NOT_BE_INT_MAX, 6, "id_must_not_be_int_max")                                         \
    X(EXISTS_WITH_DIFFERENT_FLAGS, 36, "exists_with_different_flags")                              \
    X(EXISTS_WITH_DIFFERENT_PENDING_ID, 40, "exists_with_different_pending_id")                    \
    X(EXISTS_WITH_DIFFERENT_TIMEOUT, 44, "exists_with_different_timeout")                          \
    X(EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID, 37, "exists_with_different_debit_account_id")        \
    X(EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT_ID, 38, "exists_with_different_credit_account_id")      \
    X(EXISTS_WITH_DIFFERENT_AMOUNT, 39, "exists_with_different_amount")                            \
    X(EXISTS_WITH_DIFFERENT_USER_DATA_128, 41, "exists_with_different_user_data_128")              \
    X(EXISTS_WITH_DIFFERENT_USER_DATA_64, 42, "exists_with_different_user_data_64")                \
    X(EXISTS_WITH_DIFFERENT_USER_DATA_32, 43, "exists_with_different_user_data_32")                \
    X(EXISTS_WITH_DIFFERENT_LEDGER, 67, "exists_with_different_ledger")                            \
    X(EXISTS_WITH_DIFFERENT_CODE, 45, "exists_with_different_code")                                \
    X(EXISTS, 46, "exists")                                                                        \
    X(ID_ALREADY_FAILED, 68, "id_already_failed")                                                  \
    X(FLAGS_ARE_MUTUALLY_EXCLUSIVE, 7, "flags_are_mutually_exclusive")                             \
    X(DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO, 8, "debit_account_id_must_not_be_zero")                   \
    X(DEBIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX, 9, "debit_account_id_must_not_be_int_max")             \
    X(CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO, 10, "credit_account_id_must_not_be_zero")                \
    X(CREDIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX, 11, "credit_account_id_must_not_be_int_max")          \
    X(ACCOUNTS_MUST_BE_DIFFERENT, 12, "accounts_must_be_different")                                \
    X(PENDING_ID_MUST_BE_ZERO, 13, "pending_id_must_be_zero")                                      \
    X(PENDING_ID_MUST_NOT_BE_ZERO, 14, "pending_id_must_not_be_zero")                              \
    X(PENDING_ID_MUST_NOT_BE_INT_MAX, 15, "pending_id_must_not_be_int_max")                        \
    X(PENDING_ID_MUST_BE_DIFFERENT, 16, "pending_id_must_be_different")                            \
    X(TIMEOUT_RESERVED_FOR_PENDING_TRANSFER, 17, "timeout_reserved_for_pending_transfer")          \
    X(CLOSING_TRANSFER_MUST_BE_PENDING, 64, "closing_transfer_must_be_pending")                    \
    X(LEDGER_MUST_NOT_BE_ZERO, 19, "ledger_must_not_be_zero")                                      \
    X(CODE_MUST_NOT_BE_ZERO, 20, "code_must_not_be_zero")                                          \
    X(DEBIT_ACCOUNT_NOT_FOUND, 21, "debit_account_not_found")                                      \
    X(CREDIT_ACCOUNT_NOT_FOUND, 22, "credit_account_not_found")                                    \
    X(ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER, 23, "accounts_must_have_the_same_ledger")                \
    X(TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS, 24,                                          \
      "transfer_must_have_the_same_ledger_as_accounts")                                            \
    X(PENDING_TRANSFER_NOT_FOUND, 25, "pending_transfer_not_found")                                \
    X(PENDING_TRANSFER_NOT_PENDING, 26, "pending_transfer_not_pending")                            \
    X(PENDING_TRANSFER_HAS_DIFFERENT_DEBIT_ACCOUNT_ID, 27,                                         \
      "pending_transfer_has_different_debit_account_id")                                           \
    X(PENDING_TRANSFER_HAS_DIFFERENT_CREDIT_ACCOUNT_ID, 28,                                        \
      "pending_transfer_has_different_credit_account_id")                                          \
    X(PENDING_TRANSFER_HAS_DIFFERENT_LEDGER, 29, "pending_transfer_has_different_ledger")          \
    X(PENDING_TRANSFER_HAS_DIFFERENT_CODE, 30, "pending_transfer_has_different_code")              \
    X(EXCEEDS_PENDING_TRANSFER_AMOUNT, 31, "exceeds_pending_transfer_amount")                      \
    X(PENDING_TRANSFER_HAS_DIFFERENT_AMOUNT, 32, "pending_transfer_has_different_amount")          \
    X(PENDING_TRANSFER_ALREADY_POSTED, 33, "pending_transfer_already_posted")                      \
    X(PENDING_TRANSFER_ALREADY_VOIDED, 34, "pending_transfer_already_voided")                      \
    X(PENDING_TRANSFER_EXPIRED, 35, "pending_transfer_expired")                                    \
    X(IMPORTED_EVENT_TIMESTAMP_MUST_NOT_REGRESS, 60, "imported_event_timestamp_must_not_regress")  \
    X(IMPORTED_EVENT_TIMESTAMP_MUST_POSTDATE_DEBIT_ACCOUNT, 61,                                    \
      "imported_event_timestamp_must_postdate_debit_account")                                      \
    X(IMPORTED_EVENT_TIMESTAMP_MUST_POSTDATE_CREDIT_ACCOUNT, 62,                                   \
      "imported_event_timestamp_must_postdate_credit_account")                                     \
    X(IMPORTED_EVENT_TIMEOUT_MUST_BE_ZERO, 63, "imported_event_timeout_must_be_zero")              \
    X(DEBIT_ACCOUNT_ALREADY_CLOSED, 65, "debit_account_already_closed")                            \
    X(CREDIT_ACCOUNT_ALREADY_CLOSED, 66, "credit_account_already_closed")                          \
    X(OVERFLOWS_DEBITS_PENDING, 47, "overflows_debits_pending")                                    \
    X(OVERFLOWS_CREDITS_PENDING, 48, "overflows_credits_pending")                                  \
    X(OVERFLOWS_DEBITS_POSTED, 49, "overflows_debits_posted")                                      \
    X(OVERFLOWS_CREDITS_POSTED, 50, "overflows_credits_posted")                                    \
    X(OVERFLOWS_DEBITS, 51, "overflows_debits")                                                    \
    X(OVERFLOWS_CREDITS, 52, "overflows_credits")                                                  \
    X(OVERFLOWS_TIMEOUT, 53, "overflows_timeout")                                                  \
    X(EXCEEDS_CREDITS, 54, "exceeds_credits")                                                      \
    X(EXCEEDS_DEBITS, 55, "exceeds_debits")

enum jini_transfer_result {
#define JINI_TRANSFER_RESULT_ENUM(name, number, text) JINI_TRANSFER_RESULT_##name = (number),
    JINI_TRANSFER_RESULT_MAP(JINI_TRANSFER_RESULT_ENUM)
#undef JINI_TRANSFER_RESULT_ENUM
};

/* "created" and so on; "unknown" for another number. Static. Any thread. */
JINI_EXPORT const char *jini_transfer_result_name(uint32_t result);

/* What became of a transfer. */
struct jini_transfer_reply {
    uint32_t result; /* enum jini_transfer_result */
    uint32_t reserved;
    uint64_t timestamp;        /* of the transfer, CREATED or EXISTS; else 0 */
    struct jini_amount amount; /* CREATED: what was moved, held or given back */
    struct jini_balance debit; /* CREATED: of its accounts, right after it */
    struct jini_balance credit;
};

/* ---- Requests -------------------------------------------------------------------------------- */

/*
 * Makes accounts, in the order of the request. Each has a result, and what is wrong with one does
 * not touch the others, unless they are linked.
 *
 * Result: 0 when each has its result. JINI_E_INVALID: "count" (0, or over JINI_LEDGER_BATCH_MAX),
 * "accounts", "results". JINI_E_CORRUPT, JINI_E_FORMAT: the ledger is damaged, or of a later
 * version; nothing was made.
 */
struct jini_accounts_create {
    struct jini_request request;
    const struct jini_account *accounts; /* borrowed until it comes back, as `results` */
    uint32_t *results;                   /* one for each; enum jini_account_result */
    uint32_t count;
    uint32_t created; /* how many of them are CREATED */
};
JINI_EXPORT int jini_accounts_create(struct jini *jini, struct jini_accounts_create *create,
                                     jini_callback *callback);
JINI_EXPORT int jini_txn_accounts_create(struct jini_txn *txn, struct jini_accounts_create *create);

/*
 * Makes transfers, in the order of the request: the same with `transfers` and `replies`. Before
 * them pending transfers expire that are due. A request of nothing but posts and voids works also
 * where others are JINI_E_FULL.
 */
struct jini_transfers_create {
    struct jini_request request;
    const struct jini_transfer *transfers;
    struct jini_transfer_reply *replies;
    uint32_t count;
    uint32_t created;
};
JINI_EXPORT int jini_transfers_create(struct jini *jini, struct jini_transfers_create *create,
                                      jini_callback *callback);
JINI_EXPORT int jini_txn_transfers_create(struct jini_txn *txn,
                                          struct jini_transfers_create *create);

/* ---- Queries --------------------------------------------------------------------------------- */

/*
 * What the ledger holds, right after each request that changed it. JINI_E_NOT_FOUND: "id".
 * JINI_E_CORRUPT, JINI_E_FORMAT. Any thread; those of a transaction read what it has written.
 */
JINI_EXPORT int jini_account_get(struct jini *jini, const struct jini_id *id,
                                 struct jini_account *out, struct jini_error *error);
JINI_EXPORT int jini_txn_account_get(struct jini_txn *txn, const struct jini_id *id,
                                     struct jini_account *out, struct jini_error *error);
JINI_EXPORT int jini_transfer_get(struct jini *jini, const struct jini_id *id,
                                  struct jini_transfer *out, struct jini_error *error);
JINI_EXPORT int jini_txn_transfer_get(struct jini_txn *txn, const struct jini_id *id,
                                      struct jini_transfer *out, struct jini_error *error);

enum jini_ledger_filter_flag {
    JINI_LEDGER_DEBITS = 1 << 0, /* of the account: neither this nor the next is both */
    JINI_LEDGER_CREDITS = 1 << 1,
    JINI_LEDGER_REVERSED = 1 << 2, /* the newest first */
    JINI_LEDGER_EXPIRIES = 1 << 3  /* and the ends of pending transfers that nobody ended */
};

/* Which transfers are wanted: those to which all that is not 0 applies. */
struct jini_ledger_filter {
    struct jini_id account_id;
    struct jini_id user_data_128;
    uint64_t user_data_64;
    uint64_t timestamp_min; /* included */
    uint64_t timestamp_max; /* included; 0: no end */
    uint32_t user_data_32;
    uint32_t ledger;
    uint16_t code;
    uint16_t reserved;
    uint32_t flags; /* enum jini_ledger_filter_flag */
};

/* Where a listing goes on. All zero: at its beginning. */
struct jini_ledger_cursor {
    uint64_t timestamp;
    uint32_t state; /* JINI_LEDGER_LISTING_... */
    uint32_t reserved;
};
enum { JINI_LEDGER_LISTING_BEGINS, JINI_LEDGER_LISTING_GOES_ON, JINI_LEDGER_LISTING_ENDED };

/* A balance of an account with history: after the event of that time. */
struct jini_ledger_balance {
    uint64_t timestamp;
    struct jini_balance balance;
};

/*
 * Lists transfers in the order of their times, or against it, from where the cursor is, and moves
 * it on. There may be fewer than `capacity`, and none, though the cursor goes on: one call looks at
 * so many and no more; call again until the cursor has ended. JINI_E_INVALID: a field of the
 * filter.
 */
JINI_EXPORT int jini_transfer_list(struct jini *jini, const struct jini_ledger_filter *filter,
                                   struct jini_ledger_cursor *cursor, struct jini_transfer *out,
                                   size_t capacity, size_t *count, struct jini_error *error);
JINI_EXPORT int jini_txn_transfer_list(struct jini_txn *txn,
                                       const struct jini_ledger_filter *filter,
                                       struct jini_ledger_cursor *cursor, struct jini_transfer *out,
                                       size_t capacity, size_t *count, struct jini_error *error);

/*
 * Lists the balances of an account with history, one for each event of it, ends of pending
 * transfers included. Of the filter the account, the times and the direction count.
 * JINI_E_UNSUPPORTED: the account has no history.
 */
JINI_EXPORT int jini_balance_list(struct jini *jini, const struct jini_ledger_filter *filter,
                                  struct jini_ledger_cursor *cursor,
                                  struct jini_ledger_balance *out, size_t capacity, size_t *count,
                                  struct jini_error *error);
JINI_EXPORT int jini_txn_balance_list(struct jini_txn *txn, const struct jini_ledger_filter *filter,
                                      struct jini_ledger_cursor *cursor,
                                      struct jini_ledger_balance *out, size_t capacity,
                                      size_t *count, struct jini_error *error);

/*
 * The balance of an account with history after all events up to `timestamp`: also the row that a
 * listing from the next nanosecond on opens with. Its time is that of the last of them, or 0 and
 * the balance zero where there was none. JINI_E_UNSUPPORTED.
 */
JINI_EXPORT int jini_balance_at(struct jini *jini, const struct jini_id *account_id,
                                uint64_t timestamp, struct jini_ledger_balance *out,
                                struct jini_error *error);
JINI_EXPORT int jini_txn_balance_at(struct jini_txn *txn, const struct jini_id *account_id,
                                    uint64_t timestamp, struct jini_ledger_balance *out,
                                    struct jini_error *error);

#ifdef __cplusplus
}
#endif
#endif
