/*
 * Ids, postings and pending transfers: rows that follow from the events. Each kind is a set; what
 * the events make of it and what the rows hold must have the same sum.
 */
#include "ledger/check_private.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/id.h"
#include "ledger/batch.h"

void check_add(const struct checking *checking, struct check_sum *sum, const void *member,
               size_t length)
{
    sum->count++;
    sum->sum += hash64_seeded(slice_of(member, length), checking->seed);
}

/* ---- Members ---- */

static void add_posting(const struct checking *checking, struct check_sum *sums,
                        const struct postings_term *term, uint64_t timestamp)
{
    uint8_t member[JINI_ID_BYTES + 9];
    memcpy(member, term->value.bytes, JINI_ID_BYTES);
    store_le64(member + JINI_ID_BYTES, timestamp);
    member[JINI_ID_BYTES + 8] = (uint8_t)term->field;
    check_add(checking, &sums[term->field], member, sizeof(member));
}

void check_add_mark(const struct checking *checking, struct check_sum *sums,
                    const struct jini_id *account_id, enum block_side side, uint64_t timestamp)
{
    enum postings_field field = side == BLOCK_DEBIT ? POSTINGS_DEBITS : POSTINGS_CREDITS;
    add_posting(checking, sums, &(struct postings_term){field, *account_id}, timestamp);
}

static void add_number(struct checking *checking, enum postings_field field, uint64_t number,
                       uint64_t timestamp)
{
    struct postings_term term = postings_number(field, number);
    if (number != 0)
        add_posting(checking, checking->of_events, &term, timestamp);
}

static void add_id(const struct checking *checking, struct check_sum *sum, const struct jini_id *id,
                   uint64_t timestamp, uint8_t what)
{
    uint8_t member[JINI_ID_BYTES + 9];
    memcpy(member, id->bytes, JINI_ID_BYTES);
    store_le64(member + JINI_ID_BYTES, timestamp);
    member[JINI_ID_BYTES + 8] = what;
    check_add(checking, sum, member, sizeof(member));
}

static void add_pending(const struct checking *checking, struct check_sum *sum,
                        const struct jini_transfer *transfer)
{
    uint8_t member[RECORD_TRANSFER_BYTES];
    record_write_transfer(transfer, member);
    check_add(checking, sum, member, sizeof(member));
}

static enum pending_state state_of_end(const struct jini_transfer *event)
{
    if (event->flags & JINI_TRANSFER_EXPIRED)
        return PENDING_EXPIRED;
    return event->flags & JINI_TRANSFER_POST_PENDING_TRANSFER ? PENDING_POSTED : PENDING_VOIDED;
}

void check_add_event(struct checking *checking, const struct jini_transfer *event)
{
    struct check_sum *sums = checking->of_events;
    uint64_t time = event->timestamp;
    add_number(checking, POSTINGS_CODE, event->code, time);
    add_number(checking, POSTINGS_LEDGER, event->ledger, time);
    add_number(checking, POSTINGS_USER_DATA_64, event->user_data_64, time);
    add_number(checking, POSTINGS_USER_DATA_32, event->user_data_32, time);
    if (!id_is_zero(&event->user_data_128))
        add_posting(checking, sums,
                    &(struct postings_term){POSTINGS_USER_DATA_128, event->user_data_128}, time);
    if (!id_is_zero(&event->id))
        add_id(checking, &sums[CHECK_IDS], &event->id, time, 0);
    if (event->flags & JINI_TRANSFER_PENDING)
        add_pending(checking, &sums[CHECK_PENDING], event);
    if (!id_is_zero(&event->pending_id))
        add_id(checking, &sums[CHECK_ENDS], &event->pending_id, time, state_of_end(event));
}

/* ---- Rows ---- */

static void stray(struct checking *checking, enum store_space space, size_t length)
{
    check_found(checking, "ledger_row_damaged", "key",
                "a row of the space \"%s\" cannot be read (its key has %zu bytes)",
                store_space_name(space), length);
}

static bool goes_on(const struct checking *checking)
{
    return checking->check->goes_on(checking->check->context, UINT64_MAX);
}

static int visit_id(void *argument, struct slice key, struct slice value)
{
    struct checking *checking = argument;
    struct tuple_reader reader = tuple_reader_of(key);
    struct jini_id id;
    if (tuple_next_id(&reader, &id) != 0 || reader.rest.length != 0 || value.length != 8) {
        stray(checking, STORE_SPACE_TRANSFER_IDS, key.length);
        return 0;
    }
    uint64_t timestamp = load_le64(value.data);
    if (timestamp != 0 && timestamp <= checking->last_ns)
        add_id(checking, &checking->of_rows[CHECK_IDS], &id, timestamp, 0);
    return 0;
}

/* A list from its first time to its last, on a snapshot of its own: a chunk may come meanwhile. */
static int sum_list(struct checking *checking, const struct postings_term *term)
{
    struct postings_walk walk;
    struct store_txn *txn;
    uint64_t time = 0;
    int status = store_read_begin_explained(checking->check->store, &txn, checking->error);
    if (status)
        return status;
    postings_open(&walk, txn, term, 0, checking->last_ns, STORE_FORWARD);
    while ((status = postings_next(&walk, &time, checking->error)) == 0)
        add_posting(checking, checking->of_rows, term, time);
    store_read_end(txn);
    if (status_is_damage(status))
        check_found(checking, "ledger_list_damaged", checking->error->field, "%s",
                    checking->error->message);
    return status_is_damage(status) || status == JINI_E_NOT_FOUND ? 0 : status;
}

static int visit_posting(void *argument, struct slice key, struct slice value)
{
    struct checking *checking = argument;
    struct postings_key parsed;
    uint64_t times[POSTINGS_ROW_TIMES_MAX];
    uint32_t count;
    if (postings_read_key(key, &parsed) != 0) {
        stray(checking, STORE_SPACE_POSTINGS, key.length);
        return 0;
    }
    if (!goes_on(checking))
        return JINI_E_CANCELLED;
    if (parsed.row == POSTINGS_TAIL)
        return sum_list(checking, &parsed.term);
    /* A chunk is read with its list; one that no tail leads to is found by the counts. */
    if (parsed.row == POSTINGS_MARK
            ? value.length != 0
            : postings_read_row(value, times, &count) != 0 || times[0] != parsed.first_ns)
        stray(checking, STORE_SPACE_POSTINGS, key.length);
    if (parsed.row == POSTINGS_MARK && parsed.first_ns <= checking->last_ns)
        add_posting(checking, checking->of_rows, &parsed.term, parsed.first_ns);
    return 0;
}

/* Rows of users that are none of the ledger's are left to those who keep them. */
static int visit_user(void *argument, struct slice key, struct slice value)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct jini_id id;
    (void)value; /* that of an account was looked at in its pass */
    int status = place_read(STORE_SPACE_ACTIVITY, &reader, &id);
    if (status != JINI_E_NOT_FOUND && (status || reader.rest.length != 0))
        stray(argument, STORE_SPACE_ACTIVITY, key.length);
    return goes_on(argument) ? 0 : JINI_E_CANCELLED;
}

/* ---- Pending transfers ---- */

static int check_due(struct checking *checking, const struct pending *pending)
{
    struct tuple key;
    struct tuple row;
    struct store_txn *txn;
    struct batch_pending now;
    pending_due_key(pending->expires_ns, pending->transfer.timestamp, &key);
    pending_key(pending->transfer.timestamp, &row);
    int status = store_read_begin_explained(checking->check->store, &txn, checking->error);
    if (status)
        return status;
    status = store_has(txn, STORE_SPACE_PENDING, tuple_key(&key));
    if (status == JINI_E_NOT_FOUND && pending_read(txn, pending->transfer.timestamp, &now) == 0 &&
        now.pending.state != PENDING_OPEN)
        status = 0; /* it ended meanwhile */
    store_read_end(txn);
    if (status == JINI_E_NOT_FOUND)
        check_found(checking, "ledger_pending_wrong", "expires",
                    "the pending transfer of %llu ns has a timeout and is not in the queue of "
                    "expiries",
                    (unsigned long long)pending->transfer.timestamp);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static int visit_pending_row(struct checking *checking, uint64_t timestamp, struct slice key,
                             struct slice value)
{
    struct pending pending;
    if (record_read_pending(value, &pending) != 0 || pending.transfer.timestamp != timestamp) {
        stray(checking, STORE_SPACE_PENDING, key.length);
        return 0;
    }
    if (timestamp > checking->last_ns)
        return 0;
    add_pending(checking, &checking->of_rows[CHECK_PENDING], &pending.transfer);
    if (pending.state != PENDING_OPEN && pending.ended_ns <= checking->last_ns)
        add_id(checking, &checking->of_rows[CHECK_ENDS], &pending.transfer.id, pending.ended_ns,
               (uint8_t)pending.state);
    return pending.state == PENDING_OPEN && pending.expires_ns != 0 ? check_due(checking, &pending)
                                                                    : 0;
}

static int visit_due_row(struct checking *checking, uint64_t expires_ns, uint64_t timestamp)
{
    struct batch_pending pending;
    struct tuple key;
    struct store_txn *txn;
    int status = store_read_begin_explained(checking->check->store, &txn, checking->error);
    if (status)
        return status;
    pending_due_key(expires_ns, timestamp, &key);
    bool there = store_has(txn, STORE_SPACE_PENDING, tuple_key(&key)) == 0;
    status = pending_read(txn, timestamp, &pending);
    store_read_end(txn);
    bool wrong = status_is_damage(status) || pending.pending.state != PENDING_OPEN ||
                 pending.pending.expires_ns != expires_ns;
    if (there && wrong)
        check_found(checking, "ledger_pending_wrong", "expires",
                    "the queue of expiries names the transfer of %llu ns, which is not open or "
                    "expires at another time",
                    (unsigned long long)timestamp);
    return status_is_damage(status) ? 0 : status;
}

static int visit_pending(void *argument, struct slice key, struct slice value)
{
    struct checking *checking = argument;
    struct tuple_reader reader = tuple_reader_of(key);
    uint64_t kind = 2;
    uint64_t numbers[2] = {0};
    int status = tuple_next_uint(&reader, &kind);
    for (uint64_t i = 0; status == 0 && i <= kind && i < 2; i++)
        status = tuple_next_uint(&reader, &numbers[i]);
    if (status || kind > 1 || reader.rest.length != 0) {
        stray(checking, STORE_SPACE_PENDING, key.length);
        return 0;
    }
    if (!goes_on(checking))
        return JINI_E_CANCELLED;
    return kind == 0 ? visit_pending_row(checking, numbers[0], key, value)
                     : visit_due_row(checking, numbers[0], numbers[1]);
}

/* ---- Both sides ---- */

static void compare(struct checking *checking)
{
    static const char *const names[CHECK_SETS] = {
        "",
        "debit_account_id",
        "credit_account_id",
        "code",
        "ledger",
        "user_data_128",
        "user_data_64",
        "user_data_32",
        "id",
        "pending transfers",
        "ends of pending transfers",
    };
    /* Which marks there are to be is known of accounts that could be read. */
    for (int set = checking->accounts_missed ? POSTINGS_CODE : POSTINGS_DEBITS; set < CHECK_SETS;
         set++) {
        const struct check_sum *events = &checking->of_events[set];
        const struct check_sum *rows = &checking->of_rows[set];
        if (events->count == rows->count && events->sum == rows->sum)
            continue;
        check_found(checking, "ledger_index_wrong", names[set],
                    "the rows of \"%s\" are not those that the transfers make: %llu, of %llu",
                    names[set], (unsigned long long)rows->count, (unsigned long long)events->count);
    }
}

static int visit_space(struct checking *checking, enum store_space space, store_visit_fn *visit)
{
    int status = store_each(checking->check->store, space, slice_of(NULL, 0), slice_of(NULL, 0),
                            visit, checking);
    if (!status_is_damage(status))
        return status;
    /* That of the users was told when their balances were checked. */
    if (space != STORE_SPACE_ACTIVITY)
        check_space_damaged(checking, space, status);
    checking->events_missed = true;
    return 0;
}

static int visit_block(void *argument, struct slice key, struct slice value)
{
    struct checking *checking = argument;
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element element;
    (void)value; /* read along the chain */
    bool known = tuple_next(&reader, &element) == 0 && reader.rest.length == 0 &&
                 (element.type == TUPLE_UINT || tuple_is_text(&element, "head"));
    if (!known)
        stray(checking, STORE_SPACE_TRANSFERS, key.length);
    return goes_on(checking) ? 0 : JINI_E_CANCELLED;
}

int check_rows(struct checking *checking)
{
    int status = visit_space(checking, STORE_SPACE_TRANSFERS, visit_block);
    if (status == 0)
        status = visit_space(checking, STORE_SPACE_TRANSFER_IDS, visit_id);
    if (status == 0)
        status = visit_space(checking, STORE_SPACE_ACTIVITY, visit_user);
    if (status == 0)
        status = visit_space(checking, STORE_SPACE_POSTINGS, visit_posting);
    if (status == 0)
        status = visit_space(checking, STORE_SPACE_PENDING, visit_pending);
    if (status == 0 && !checking->events_missed)
        compare(checking);
    return status;
}
