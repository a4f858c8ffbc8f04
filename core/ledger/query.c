/*
 * Listing events. One list leads, that of the field of the filter that most likely has the fewest:
 * postings, or the chains of an account. Each event in it is read and held against the whole
 * filter. Without such a field the blocks themselves lead.
 */
#include "ledger/ledger.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/id.h"
#include "ledger/chains.h"
#include "ledger/postings.h"

enum {
    FLAGS = JINI_LEDGER_DEBITS | JINI_LEDGER_CREDITS | JINI_LEDGER_REVERSED | JINI_LEDGER_EXPIRIES,
    LEADS_MAX = 2,        /* debits and credits of an account */
    LOOKS_MAX = 64 * 1024 /* events of one call */
};

/* A list that leads, and the time in it that comes next. */
struct lead {
    enum { LEAD_POSTINGS, LEAD_CHAIN } kind;
    union {
        struct postings_walk postings;
        struct chain_walk chain;
    } walk;
    bool ended;
    uint64_t time;
};

struct query {
    struct store_txn *txn;
    const struct jini_ledger_filter *filter;
    enum store_direction direction;
    uint64_t min;
    uint64_t max;
    uint32_t lead_count; /* 0: the blocks lead */
    struct lead leads[LEADS_MAX];
    struct lead *led_by; /* to the event at hand */
    uint32_t looks;
    uint32_t event; /* the one found, in `block` */
    struct block block;
};

/* ---- Which events come into question ---- */

static bool is_earlier(const struct query *query, uint64_t a, uint64_t b)
{
    return query->direction == STORE_FORWARD ? a < b : a > b;
}

static void arrive(struct lead *lead)
{
    lead->time = lead->walk.chain.time;
    lead->ended = lead->time == 0;
}

/* The event at hand is the one that the lead has led to. */
static int lead_next(struct query *query, struct lead *lead, struct jini_error *error)
{
    if (lead->kind == LEAD_CHAIN) {
        int status = chain_next(&lead->walk.chain, &query->block, query->event, error);
        arrive(lead);
        return status;
    }
    int status = postings_next(&lead->walk.postings, &lead->time, error);
    lead->ended = status == JINI_E_NOT_FOUND;
    return lead->ended ? 0 : status;
}

static int add_lead(struct query *query, const struct postings_term *term, struct jini_error *error)
{
    struct lead *lead = &query->leads[query->lead_count++];
    lead->kind = LEAD_POSTINGS;
    postings_open(&lead->walk.postings, query->txn, term, query->min, query->max, query->direction);
    return lead_next(query, lead, error);
}

static int add_chain(struct query *query, enum block_side side, struct jini_error *error)
{
    struct lead *lead = &query->leads[query->lead_count++];
    struct chain_walk *walk = &lead->walk.chain;
    lead->kind = LEAD_CHAIN;
    walk->txn = query->txn;
    walk->account_id = query->filter->account_id;
    walk->side = side;
    walk->direction = query->direction;
    walk->min = query->min;
    walk->max = query->max;
    int status = chain_open(walk, &query->block, error);
    arrive(lead);
    return status;
}

static int add_number(struct query *query, enum postings_field field, uint64_t number,
                      struct jini_error *error)
{
    struct postings_term term = postings_number(field, number);
    return add_lead(query, &term, error);
}

static int add_account(struct query *query, struct jini_error *error)
{
    uint32_t sides = query->filter->flags & (JINI_LEDGER_DEBITS | JINI_LEDGER_CREDITS);
    int status = 0;
    if (sides != JINI_LEDGER_CREDITS)
        status = add_chain(query, BLOCK_DEBIT, error);
    if (status == 0 && sides != JINI_LEDGER_DEBITS)
        status = add_chain(query, BLOCK_CREDIT, error);
    return status;
}

static int choose_leads(struct query *query, struct jini_error *error)
{
    const struct jini_ledger_filter *filter = query->filter;
    query->lead_count = 0;
    if (!id_is_zero(&filter->user_data_128))
        return add_lead(
            query, &(struct postings_term){POSTINGS_USER_DATA_128, filter->user_data_128}, error);
    if (filter->user_data_64 != 0)
        return add_number(query, POSTINGS_USER_DATA_64, filter->user_data_64, error);
    if (filter->user_data_32 != 0)
        return add_number(query, POSTINGS_USER_DATA_32, filter->user_data_32, error);
    if (!id_is_zero(&filter->account_id))
        return add_account(query, error);
    if (filter->code != 0)
        return add_number(query, POSTINGS_CODE, filter->code, error);
    return filter->ledger ? add_number(query, POSTINGS_LEDGER, filter->ledger, error) : 0;
}

/*
 * A lead goes on only when its event has been taken: going back along a chain takes the link of the
 * event, and going forward may leave its block.
 */
static int next_of_leads(struct query *query, struct jini_error *error)
{
    struct lead *first = NULL;
    if (query->led_by) {
        int status = lead_next(query, query->led_by, error);
        query->led_by = NULL;
        if (status)
            return status;
    }
    for (uint32_t i = 0; i < query->lead_count; i++) {
        struct lead *lead = &query->leads[i];
        if (!lead->ended && (!first || is_earlier(query, lead->time, first->time)))
            first = lead;
    }
    if (!first)
        return JINI_E_NOT_FOUND;
    query->led_by = first;
    return blocks_seek(query->txn, first->time, &query->block, &query->event, error);
}

/* The first event from `min` on, or the last up to `max`; the range then begins behind it. */
static int next_of_blocks(struct query *query, struct jini_error *error)
{
    struct block *block = &query->block;
    bool forward = query->direction == STORE_FORWARD;
    uint64_t from = forward ? query->min : query->max;
    if (query->min > query->max)
        return JINI_E_NOT_FOUND;
    if (block->first_ns == 0 || from < block->first_ns ||
        from > block_time(block, block->events - 1)) {
        int status = blocks_read(query->txn, from, STORE_BACKWARD, block, error);
        if (forward && (status == JINI_E_NOT_FOUND ||
                        (status == 0 && from > block_time(block, block->events - 1))))
            status = blocks_read(query->txn, from, STORE_FORWARD, block, error);
        if (status)
            return status;
    }
    uint32_t at = block_find(block, from);
    if (!forward && (at == block->events || block_time(block, at) > from))
        at--; /* the block begins at `from` or before */
    uint64_t time = block_time(block, at);
    if (time < query->min || time > query->max)
        return JINI_E_NOT_FOUND;
    query->event = at;
    if (forward)
        query->min = time + 1;
    else
        query->max = time - 1;
    return 0;
}

static int next_event(struct query *query, struct jini_error *error)
{
    query->looks++;
    return query->lead_count ? next_of_leads(query, error) : next_of_blocks(query, error);
}

/* ---- Which are wanted ---- */

static bool account_matches(const struct jini_ledger_filter *filter,
                            const struct jini_transfer *transfer)
{
    uint32_t sides = filter->flags & (JINI_LEDGER_DEBITS | JINI_LEDGER_CREDITS);
    if (id_is_zero(&filter->account_id))
        return true;
    return (sides != JINI_LEDGER_CREDITS &&
            id_equal(&filter->account_id, &transfer->debit_account_id)) ||
           (sides != JINI_LEDGER_DEBITS &&
            id_equal(&filter->account_id, &transfer->credit_account_id));
}

static bool matches(const struct jini_ledger_filter *filter, const struct jini_transfer *transfer)
{
    if ((transfer->flags & JINI_TRANSFER_EXPIRED) && !(filter->flags & JINI_LEDGER_EXPIRIES))
        return false;
    return account_matches(filter, transfer) &&
           (id_is_zero(&filter->user_data_128) ||
            id_equal(&filter->user_data_128, &transfer->user_data_128)) &&
           (filter->user_data_64 == 0 || filter->user_data_64 == transfer->user_data_64) &&
           (filter->user_data_32 == 0 || filter->user_data_32 == transfer->user_data_32) &&
           (filter->ledger == 0 || filter->ledger == transfer->ledger) &&
           (filter->code == 0 || filter->code == transfer->code);
}

/* ---- Listings ---- */

static int check_filter(const struct jini_ledger_filter *filter, struct jini_error *error)
{
    if (filter->flags & ~(uint32_t)FLAGS)
        return error_set(error, JINI_E_INVALID, "flags", "0x%x has flags that are not known",
                         filter->flags);
    if (filter->reserved != 0)
        return error_set(error, JINI_E_INVALID, "reserved", "it must be 0");
    if (filter->timestamp_max != 0 && filter->timestamp_max < filter->timestamp_min)
        return error_set(error, JINI_E_INVALID, "timestamp_max",
                         "it is before timestamp_min: nothing lies between");
    return 0;
}

static int query_begin(struct query *query, struct store_txn *txn,
                       const struct jini_ledger_filter *filter,
                       const struct jini_ledger_cursor *cursor, struct jini_error *error)
{
    query->txn = txn;
    query->filter = filter;
    query->direction = filter->flags & JINI_LEDGER_REVERSED ? STORE_BACKWARD : STORE_FORWARD;
    query->min = filter->timestamp_min;
    query->max = filter->timestamp_max ? filter->timestamp_max : UINT64_MAX - 1;
    query->looks = 0;
    query->led_by = NULL;
    query->block.first_ns = 0;
    if (cursor->state == JINI_LEDGER_LISTING_GOES_ON && query->direction == STORE_FORWARD)
        query->min = cursor->timestamp;
    else if (cursor->state == JINI_LEDGER_LISTING_GOES_ON)
        query->max = cursor->timestamp;
    return choose_leads(query, error);
}

/* One entry of a listing. False: the event is none. */
typedef bool take_fn(const struct query *query, void *out, size_t place);

static bool take_transfer(const struct query *query, void *out, size_t place)
{
    struct jini_transfer *transfer = (struct jini_transfer *)out + place;
    block_transfer(&query->block, query->event, transfer);
    return matches(query->filter, transfer);
}

static bool take_balance(const struct query *query, void *out, size_t place)
{
    struct jini_ledger_balance *row = (struct jini_ledger_balance *)out + place;
    struct jini_transfer transfer;
    block_transfer(&query->block, query->event, &transfer);
    row->timestamp = transfer.timestamp;
    bool debited = id_equal(&transfer.debit_account_id, &query->filter->account_id);
    return block_balance(&query->block, query->event, debited ? BLOCK_DEBIT : BLOCK_CREDIT,
                         &row->balance);
}

static int query_run(struct query *query, struct jini_ledger_cursor *cursor, take_fn *take,
                     void *out, size_t capacity, size_t *count, struct jini_error *error)
{
    while (*count < capacity && query->looks < LOOKS_MAX) {
        int status = next_event(query, error);
        if (status == JINI_E_NOT_FOUND) {
            cursor->state = JINI_LEDGER_LISTING_ENDED;
            error_clear(error);
            return 0;
        }
        if (status)
            return status;
        if (take(query, out, *count))
            (*count)++;
        uint64_t time = block_time(&query->block, query->event);
        cursor->timestamp = query->direction == STORE_FORWARD ? time + 1 : time - 1;
        cursor->state = JINI_LEDGER_LISTING_GOES_ON;
    }
    return 0;
}

static int list(struct store_txn *txn, const struct jini_ledger_filter *filter,
                struct jini_ledger_cursor *cursor, take_fn *take, void *out, size_t capacity,
                size_t *count, struct jini_error *error)
{
    *count = 0;
    int status = check_filter(filter, error);
    if (status || cursor->state == JINI_LEDGER_LISTING_ENDED)
        return status;
    struct query *query = base_malloc(sizeof(*query));
    if (!query)
        return error_set(error, JINI_E_NO_MEMORY, "ledger", "out of memory");
    status = query_begin(query, txn, filter, cursor, error);
    if (status == 0)
        status = query_run(query, cursor, take, out, capacity, count, error);
    base_free(query);
    if (status)
        *count = 0;
    return status;
}

int ledger_transfers_list(struct store_txn *txn, const struct jini_ledger_filter *filter,
                          struct jini_ledger_cursor *cursor, struct jini_transfer *out,
                          size_t capacity, size_t *count, struct jini_error *error)
{
    return list(txn, filter, cursor, take_transfer, out, capacity, count, error);
}

/* ---- History ---- */

static int check_history(struct store_txn *txn, const struct jini_id *account_id,
                         struct jini_error *error)
{
    struct jini_account account;
    int status = ledger_account_get(txn, account_id, &account, error);
    if (status == 0 && !(account.flags & JINI_ACCOUNT_HISTORY))
        status = error_set(error, JINI_E_UNSUPPORTED, "account_id",
                           "the account was made without the flag history: no balances of it are "
                           "kept but the newest");
    return status;
}

/* Of the filter, what the history of an account heeds. */
static struct jini_ledger_filter history_filter(const struct jini_ledger_filter *filter)
{
    return (struct jini_ledger_filter){.account_id = filter->account_id,
                                       .timestamp_min = filter->timestamp_min,
                                       .timestamp_max = filter->timestamp_max,
                                       .flags = filter->flags & JINI_LEDGER_REVERSED};
}

int ledger_balances_list(struct store_txn *txn, const struct jini_ledger_filter *filter,
                         struct jini_ledger_cursor *cursor, struct jini_ledger_balance *out,
                         size_t capacity, size_t *count, struct jini_error *error)
{
    struct jini_ledger_filter history = history_filter(filter);
    *count = 0;
    int status = check_filter(filter, error);
    if (status == 0)
        status = check_history(txn, &filter->account_id, error);
    return status ? status : list(txn, &history, cursor, take_balance, out, capacity, count, error);
}

int ledger_balance_at(struct store_txn *txn, const struct jini_id *account_id, uint64_t timestamp,
                      struct jini_ledger_balance *out, struct jini_error *error)
{
    struct jini_ledger_filter filter = {
        .account_id = *account_id, .timestamp_max = timestamp, .flags = JINI_LEDGER_REVERSED};
    struct jini_ledger_cursor cursor = {0};
    size_t count = 0;
    int status = check_history(txn, account_id, error);
    memset(out, 0, sizeof(*out));
    if (status == 0 && timestamp > 0)
        status = list(txn, &filter, &cursor, take_balance, out, 1, &count, error);
    if (status == 0 && count == 0)
        memset(out, 0, sizeof(*out));
    return status;
}
