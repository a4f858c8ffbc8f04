/* Reading the log into pages, and checking its rows. */
#include "events/events.h"
#include "events/json.h"

#include "base/alloc.h"
#include "base/error.h"

enum { LOOK_MAX = 4096 };

/* ---- Filters ---- */

int events_filter_check(const struct jini_events_filter *filter, struct jini_error *error)
{
    if (!filter)
        return 0;
    if (filter->prefix_count > JINI_EVENT_PREFIXES_MAX)
        return error_set(error, JINI_E_INVALID, "prefixes", "there are up to %d",
                         JINI_EVENT_PREFIXES_MAX);
    for (uint32_t i = 0; i < filter->prefix_count; i++) {
        if (filter->prefixes[i][0] == '\0' ||
            !memchr(filter->prefixes[i], '\0', sizeof(filter->prefixes[i])))
            return error_set(error, JINI_E_INVALID, "prefixes",
                             "each is the begin of a type, of 1 to %d bytes",
                             JINI_EVENT_TYPE_MAX - 1);
    }
    return 0;
}

bool events_filter_takes(const struct jini_events_filter *filter, const struct event_row *row)
{
    if (!filter)
        return true;
    if (filter->user_id != 0 && filter->user_id != row->user_id)
        return false;
    for (uint32_t i = 0; i < filter->prefix_count; i++) {
        if (slice_has_prefix(row->name, slice_of_text(filter->prefixes[i])))
            return true;
    }
    return filter->prefix_count == 0;
}

/* ---- Pages ---- */

int events_page_begin(struct jini_events_page *page, struct jini_error *error)
{
    page->count = 0;
    page->text_length = 0;
    if (page->events && page->capacity > 0 && page->text &&
        page->text_capacity >= JINI_EVENT_PAYLOAD_MAX)
        return 0;
    return error_set(error, JINI_E_INVALID, "page",
                     "it has room for an event and %d bytes of text at least",
                     JINI_EVENT_PAYLOAD_MAX);
}

int event_payload_json(const struct event_row *row, struct buffer *out)
{
    int status = 0;
    if (row->type == EVENT_BY_NAME && row->payload.length > 0)
        buffer_append(out, row->payload.data, row->payload.length);
    else
        status = json_add_document(out, row->payload);
    return status == 0 && out->overflow ? JINI_E_TOO_BIG : status;
}

int events_page_add(struct jini_events_page *page, uint64_t position, const struct event_row *row)
{
    if (page->count == page->capacity)
        return JINI_E_TOO_BIG;
    struct buffer text =
        buffer_of(page->text + page->text_length, page->text_capacity - page->text_length);
    int status = event_payload_json(row, &text);
    buffer_append_byte(&text, '\0');
    if (status == 0 && text.overflow)
        status = JINI_E_TOO_BIG;
    if (status)
        return status;
    struct jini_event *event = &page->events[page->count++];
    memset(event, 0, sizeof(*event));
    event->position = position;
    event->user_id = row->user_id;
    event->subject_id = row->subject_id;
    event->payload = page->text + page->text_length;
    event->payload_length = (uint32_t)text.length - 1;
    memcpy(event->type, row->name.data, row->name.length);
    page->text_length += text.length;
    return 0;
}

/* ---- Listing ---- */

/* Takes a row that the scan has come to. JINI_E_TOO_BIG: the page is full, and it is not taken. */
static int take_row(const struct jini_events_filter *filter, struct jini_events_page *page,
                    uint64_t position, struct slice value)
{
    struct event_row row;
    int status = event_row_read(value, &row);
    if (status == 0 && events_filter_takes(filter, &row))
        status = events_page_add(page, position, &row);
    return status_is_damage(status) ? 0 : status;
}

/* A row with a key that is none is passed over, as one that cannot be read. */
static int scan(struct store_cursor *rows, const struct jini_events_filter *filter,
                struct jini_events_cursor *cursor, struct jini_events_page *page,
                struct buffer *value)
{
    while (cursor->looked < LOOK_MAX && page->count < page->capacity) {
        uint64_t position;
        int status = store_cursor_next(rows, value);
        if (status == JINI_E_NOT_FOUND) {
            cursor->ended = 1;
            return 0;
        }
        if (status && status != JINI_E_TOO_BIG)
            return status;
        if (event_key_read(rows->key, &position) != 0)
            continue;
        if (status == 0)
            status = take_row(filter, page, position, buffer_slice(value));
        if (status == JINI_E_TOO_BIG && page->count > 0)
            return 0;
        cursor->position = position;
        cursor->looked++;
    }
    return 0;
}

int events_list(struct store_txn *txn, const struct jini_events_filter *filter,
                struct jini_events_cursor *cursor, struct jini_events_page *page,
                struct jini_error *error)
{
    struct store_cursor rows;
    struct tuple low;
    int status = events_filter_check(filter, error);
    if (status == 0)
        status = events_page_begin(page, error);
    if (status)
        return status;
    cursor->looked = 0;
    cursor->ended = cursor->position == UINT64_MAX;
    if (cursor->ended)
        return 0;
    uint8_t *bytes = base_malloc(EVENT_ROW_MAX);
    if (!bytes)
        return JINI_E_NO_MEMORY;
    struct buffer value = buffer_of(bytes, EVENT_ROW_MAX);
    event_key(cursor->position + 1, &low);
    status = store_cursor_open(txn, STORE_SPACE_EVENTS, tuple_key(&low), slice_of(NULL, 0),
                               STORE_FORWARD, &rows);
    if (status == 0) {
        status = scan(&rows, filter, cursor, page, &value);
        store_cursor_close(&rows);
    }
    base_free(bytes);
    return status;
}

/* ---- Verify ---- */

int events_check_row(struct store_txn *txn, struct slice key, const char **kind, const char **what)
{
    struct event_row row;
    uint64_t position;
    *kind = NULL;
    if (event_key_read(key, &position) != 0) {
        *kind = "event_key_damaged";
        *what = NULL;
        return 0;
    }
    uint8_t *bytes = base_malloc(EVENT_ROW_MAX + JINI_EVENT_PAYLOAD_MAX);
    if (!bytes)
        return JINI_E_NO_MEMORY;
    struct buffer value = buffer_of(bytes, EVENT_ROW_MAX);
    struct buffer text = buffer_of(bytes + EVENT_ROW_MAX, JINI_EVENT_PAYLOAD_MAX);
    int status = store_get(txn, STORE_SPACE_EVENTS, key, &value);
    if (status == JINI_E_TOO_BIG)
        status = JINI_E_CORRUPT;
    if (status == 0)
        status = event_row_read(buffer_slice(&value), &row);
    if (status == 0)
        status = event_payload_json(&row, &text);
    if (status == 0 && row.type == EVENT_BY_NAME && row.payload.length > 0 &&
        !json_is_object(row.payload))
        status = JINI_E_CORRUPT;
    base_free(bytes);
    if (status_is_damage(status) || status == JINI_E_TOO_BIG) {
        *kind = "event_damaged";
        *what = "an event cannot be read; who lists or takes events does not see it";
        return 0;
    }
    return status == JINI_E_NOT_FOUND ? 0 : status;
}
