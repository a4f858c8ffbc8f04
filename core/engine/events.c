/* Events: the calls that append and list them. The log itself is events/. */
#include "events/events.h"
#include "engine/txn.h"

#include "base/error.h"

static uint32_t payload_bytes(const void *request)
{
    const struct jini_events_append *append = request;
    return append->payload ? (uint32_t)strlen(append->payload) : 0;
}

static int check_append(void *request, enum txn_place place)
{
    struct jini_events_append *append = request;
    (void)place;
    return events_check_own(append->type, append->payload, &append->request.error);
}

static int op_append(struct jini_txn *txn, void *request)
{
    struct jini_events_append *append = request;
    struct event event;
    event_begin(&event, EVENT_BY_NAME, append->user_id, &append->subject_id);
    event.name = append->type;
    event.json = slice_of_text(append->payload ? append->payload : "");
    return events_append_at(txn->store, &event, &append->position);
}

static const struct txn_form append_form = {
    .kind = REQUEST_EVENTS_APPEND,
    .size = sizeof(struct jini_events_append),
    .bytes = EVENT_BYTES + JINI_EVENT_TYPE_MAX,
    .more_bytes = payload_bytes,
    .class = STORE_NEW_WORK,
    .check = check_append,
    .op = op_append,
};

int jini_events_append(struct jini *jini, struct jini_events_append *append,
                       jini_callback *callback)
{
    return txn_submit(jini, &append->request, &append_form, callback);
}

int jini_txn_events_append(struct jini_txn *txn, struct jini_events_append *append)
{
    return txn_call(txn, &append->request, &append_form);
}

int jini_txn_events_list(struct jini_txn *txn, const struct jini_events_filter *filter,
                         struct jini_events_cursor *cursor, struct jini_events_page *page,
                         struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    int status = events_list(txn->store, filter, cursor, page, said);
    return txn_answer(txn, status, said, "events", "events");
}

int jini_events_list(struct jini *jini, const struct jini_events_filter *filter,
                     struct jini_events_cursor *cursor, struct jini_events_page *page,
                     struct jini_error *error)
{
    struct jini_txn txn;
    page->count = 0;
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_events_list(&txn, filter, cursor, page, error);
    txn_snapshot_end(&txn);
    return status;
}
