/* Consumers of events: the calls but those that take. The rules are those of events/consumers.h. */
#include "events/consumers.h"
#include "engine/txn.h"

#include "base/error.h"
#include "base/text.h"

enum {
    RECORD_BYTES = 512,
    DELIVERY_BYTES = 128,
    RESEND_BYTES = 4096,
};

/* ---- Making, removing, replaying ---- */

static int check_create(void *request, enum txn_place place)
{
    struct jini_consumer_create *create = request;
    (void)place;
    return consumer_check(&create->consumer, &create->request.error);
}

/* A run that follows on another one begins with what the first was given. */
static int op_create(struct jini_txn *txn, void *request)
{
    struct jini_consumer_create *create = request;
    struct jini_consumer consumer = create->consumer;
    bool existed;
    int status =
        consumers_create(txn->store, &consumer, txn->now_ms, &existed, &create->request.error);
    if (status)
        return status;
    create->existed = existed;
    create->consumer = consumer;
    return 0;
}

static const struct txn_form create_form = {
    .kind = REQUEST_CONSUMER_CREATE,
    .size = sizeof(struct jini_consumer_create),
    .bytes = RECORD_BYTES,
    .class = STORE_NEW_WORK,
    .check = check_create,
    .op = op_create,
};

int jini_consumer_create(struct jini *jini, struct jini_consumer_create *create,
                         jini_callback *callback)
{
    return txn_submit(jini, &create->request, &create_form, callback);
}

static int check_delete(void *request, enum txn_place place)
{
    struct jini_consumer_delete *remove = request;
    (void)place;
    return consumer_check_name(remove->name, &remove->request.error);
}

static int op_delete(struct jini_txn *txn, void *request)
{
    struct jini_consumer_delete *remove = request;
    return consumers_delete(txn->store, remove->name, &remove->request.error);
}

static const struct txn_form delete_form = {
    .kind = REQUEST_CONSUMER_DELETE,
    .size = sizeof(struct jini_consumer_delete),
    .bytes = RECORD_BYTES,
    .class = STORE_RELEASE,
    .check = check_delete,
    .op = op_delete,
};

int jini_consumer_delete(struct jini *jini, struct jini_consumer_delete *remove,
                         jini_callback *callback)
{
    return txn_submit(jini, &remove->request, &delete_form, callback);
}

static int check_seek(void *request, enum txn_place place)
{
    struct jini_consumer_seek *seek = request;
    (void)place;
    return consumer_check_name(seek->name, &seek->request.error);
}

static int op_seek(struct jini_txn *txn, void *request)
{
    struct jini_consumer_seek *seek = request;
    return consumers_seek(txn->store, seek->name, seek->position, &seek->request.error);
}

static const struct txn_form seek_form = {
    .kind = REQUEST_CONSUMER_SEEK,
    .size = sizeof(struct jini_consumer_seek),
    .bytes = RECORD_BYTES,
    .class = STORE_RELEASE,
    .check = check_seek,
    .op = op_seek,
};

int jini_consumer_seek(struct jini *jini, struct jini_consumer_seek *seek, jini_callback *callback)
{
    return txn_submit(jini, &seek->request, &seek_form, callback);
}

/* ---- Looking ---- */

static int list(struct store_txn *txn, const char *after, uint64_t now_ms,
                struct jini_consumer *out, size_t capacity, size_t *count)
{
    char name[JINI_CONSUMER_NAME_MAX];
    struct consumer found;
    size_t more = 1;
    int status = 0;
    while (status == 0 && *count < capacity) {
        status = consumers_list(txn, after, &found, 1, &more);
        if (status || more == 0)
            break;
        if (consumer_lease_is_over(&found, now_ms))
            found.is.leased_until_ms = 0;
        out[*count] = found.is;
        status = consumer_measure(txn, &out[(*count)++], now_ms);
        memcpy(name, found.is.name, sizeof(name));
        after = name;
    }
    return status;
}

int jini_consumer_list(struct jini *jini, const char *after, struct jini_consumer *out,
                       size_t capacity, size_t *count, struct jini_error *error)
{
    struct jini_txn txn;
    *count = 0;
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    if (after)
        status = consumer_check_name(after, error);
    if (status == 0)
        status =
            list(txn.store, after, clock_wall_ns(jini->clock) / NS_PER_MS, out, capacity, count);
    txn_snapshot_end(&txn);
    return txn_answer(&txn, status, error, "consumer", "consumers");
}

/* ---- Once ---- */

static int check_advance(void *request, enum txn_place place)
{
    struct jini_events_advance *advance = request;
    (void)place;
    return consumer_check_name(advance->consumer, &advance->request.error);
}

static int op_advance(struct jini_txn *txn, void *request)
{
    struct jini_events_advance *advance = request;
    return consumers_advance(txn->store, advance->consumer, &advance->batch, txn->now_ms,
                             &advance->request.error);
}

static const struct txn_form advance_form = {
    .kind = REQUEST_EVENTS_ADVANCE,
    .size = sizeof(struct jini_events_advance),
    .bytes = RECORD_BYTES,
    .class = STORE_RELEASE,
    .check = check_advance,
    .op = op_advance,
};

int jini_events_advance(struct jini *jini, struct jini_events_advance *advance,
                        jini_callback *callback)
{
    return txn_submit(jini, &advance->request, &advance_form, callback);
}

int jini_txn_events_advance(struct jini_txn *txn, struct jini_events_advance *advance)
{
    return txn_call(txn, &advance->request, &advance_form);
}

/* ---- Each ---- */

static uint32_t answer_bytes(const void *request)
{
    const struct jini_events_answer *answer = request;
    return answer->count * DELIVERY_BYTES;
}

static int check_answer(void *request, enum txn_place place)
{
    struct jini_events_answer *answer = request;
    struct jini_error *error = &answer->request.error;
    (void)place;
    int status = consumer_check_name(answer->consumer, error);
    if (status)
        return status;
    if (!answer->positions || answer->count == 0 || answer->count > JINI_EVENTS_ANSWERED_MAX)
        return error_set(error, JINI_E_INVALID, "positions", "they are 1 to %d",
                         JINI_EVENTS_ANSWERED_MAX);
    return 0;
}

static int check_nack(void *request, enum txn_place place)
{
    struct jini_events_answer *answer = request;
    struct jini_error *error = &answer->request.error;
    int status = check_answer(request, place);
    if (status)
        return status;
    if (answer->delay_ms > (uint64_t)30 * MS_PER_DAY)
        return error_set(error, JINI_E_INVALID, "delay_ms", "it is up to 30 days");
    if (answer->reason && !text_is_utf8(slice_of_text(answer->reason)))
        return error_set(error, JINI_E_INVALID, "reason", "it is not UTF-8");
    return 0;
}

static int answer_in(struct jini_txn *txn, struct jini_events_answer *request, bool back)
{
    struct deliveries_answer answer = {
        .name = request->consumer,
        .batch = &request->batch,
        .positions = request->positions,
        .count = request->count,
        .back = back,
        .delay_ms = request->delay_ms,
        .reason = request->reason,
        .now_ms = txn->now_ms,
        .dead_max = (uint32_t)txn->jini->options.events_dead_max,
    };
    int status = deliveries_answer(txn->store, &answer, &request->request.error);
    request->stale = answer.stale;
    return status;
}

static int op_ack(struct jini_txn *txn, void *request)
{
    return answer_in(txn, request, false);
}

static int op_nack(struct jini_txn *txn, void *request)
{
    return answer_in(txn, request, true);
}

static const struct txn_form ack_form = {
    .kind = REQUEST_EVENTS_ACK,
    .size = sizeof(struct jini_events_answer),
    .bytes = RECORD_BYTES,
    .more_bytes = answer_bytes,
    .class = STORE_RELEASE,
    .check = check_answer,
    .op = op_ack,
};

static const struct txn_form nack_form = {
    .kind = REQUEST_EVENTS_NACK,
    .size = sizeof(struct jini_events_answer),
    .bytes = RECORD_BYTES,
    .more_bytes = answer_bytes,
    .class = STORE_RELEASE,
    .check = check_nack,
    .op = op_nack,
};

int jini_events_ack(struct jini *jini, struct jini_events_answer *ack, jini_callback *callback)
{
    return txn_submit(jini, &ack->request, &ack_form, callback);
}

int jini_txn_events_ack(struct jini_txn *txn, struct jini_events_answer *ack)
{
    return txn_call(txn, &ack->request, &ack_form);
}

int jini_events_nack(struct jini *jini, struct jini_events_answer *nack, jini_callback *callback)
{
    return txn_submit(jini, &nack->request, &nack_form, callback);
}

int jini_txn_events_nack(struct jini_txn *txn, struct jini_events_answer *nack)
{
    return txn_call(txn, &nack->request, &nack_form);
}

/* ---- Dead letters ---- */

int jini_dead_list(struct jini *jini, const char *consumer, uint64_t after,
                   struct jini_dead_letter *letters, struct jini_events_page *page,
                   struct jini_error *error)
{
    struct jini_txn txn;
    page->count = 0;
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = dead_list(txn.store, consumer, after, letters, page, error);
    txn_snapshot_end(&txn);
    return txn_answer(&txn, status, error, "consumer", "dead letters");
}

static int check_dead(void *request, enum txn_place place)
{
    struct jini_dead_change *change = request;
    (void)place;
    return consumer_check_name(change->consumer, &change->request.error);
}

static struct dead_change change_of(const struct jini_txn *txn,
                                    const struct jini_dead_change *request)
{
    return (struct dead_change){.name = request->consumer,
                                .position = request->position,
                                .now_ms = txn->now_ms,
                                .held_max = (uint32_t)txn->jini->options.events_held_max};
}

static int op_resend(struct jini_txn *txn, void *request)
{
    struct jini_dead_change *resend = request;
    struct dead_change change = change_of(txn, resend);
    int status = dead_resend(txn->store, &change, &resend->request.error);
    resend->count = change.count;
    return status;
}

static int op_drop(struct jini_txn *txn, void *request)
{
    struct jini_dead_change *drop = request;
    struct dead_change change = change_of(txn, drop);
    int status = dead_drop(txn->store, &change, &drop->request.error);
    drop->count = change.count;
    return status;
}

static const struct txn_form resend_form = {
    .kind = REQUEST_DEAD_RESEND,
    .size = sizeof(struct jini_dead_change),
    .bytes = RESEND_BYTES,
    .class = STORE_NEW_WORK,
    .check = check_dead,
    .op = op_resend,
};

static const struct txn_form drop_form = {
    .kind = REQUEST_DEAD_DROP,
    .size = sizeof(struct jini_dead_change),
    .bytes = RESEND_BYTES,
    .class = STORE_RELEASE,
    .check = check_dead,
    .op = op_drop,
};

int jini_dead_resend(struct jini *jini, struct jini_dead_change *change, jini_callback *callback)
{
    return txn_submit(jini, &change->request, &resend_form, callback);
}

int jini_dead_drop(struct jini *jini, struct jini_dead_change *change, jini_callback *callback)
{
    return txn_submit(jini, &change->request, &drop_form, callback);
}
