/* Making events and appending them. */
#include "events/events.h"
#include "events/json.h"

#include "base/error.h"

#include <stdio.h>

enum { VERSION = 1 };

_Static_assert((int)EVENT_ROW_MAX <= (int)STORE_VALUE_MAX, "an event fits into a row");

void event_begin(struct event *event, enum event_type type, uint64_t user_id,
                 const struct jini_id *subject_id)
{
    static const struct jini_id none;
    event->type = type;
    event->name = NULL;
    event->json = slice_of(NULL, 0);
    event->user_id = user_id;
    event->subject_id = subject_id ? *subject_id : none;
    event->fields = 0;
    event->document = buffer_of(event->bytes, sizeof(event->bytes));
}

static struct document_writer *next_field(struct event *event)
{
    JINI_ASSERT(event->type != EVENT_BY_NAME);
    if (event->fields++ == 0)
        document_begin(&event->writer, &event->document);
    return &event->writer;
}

void event_add_uint(struct event *event, enum event_field field, uint64_t value)
{
    if (value)
        document_add_uint(next_field(event), field, value);
}

void event_add_text(struct event *event, enum event_field field, const char *text)
{
    if (text && text[0] != '\0')
        document_add_text(next_field(event), field, slice_of_text(text));
}

void event_add_id(struct event *event, enum event_field field, const struct jini_id *id)
{
    document_add_bytes(next_field(event), field, slice_of(id->bytes, sizeof(id->bytes)));
}

void event_key(uint64_t position, struct tuple *out)
{
    tuple_begin(out);
    tuple_add_uint(out, position);
}

int event_key_read(struct slice key, uint64_t *position)
{
    struct tuple_reader reader = tuple_reader_of(key);
    int status = tuple_next_uint(&reader, position);
    return status == 0 && reader.rest.length != 0 ? JINI_E_CORRUPT : status;
}

int events_append_at(struct store_txn *txn, struct event *event, uint64_t *position)
{
    uint8_t bytes[EVENT_ROW_HEADER + EVENT_DOCUMENT_MAX];
    uint8_t own[EVENT_ROW_MAX];
    struct slice name = slice_of_text(event->type == EVENT_BY_NAME ? event->name : "");
    struct slice payload = event->json;
    struct tuple key;
    int status = event->fields > 0 ? document_end(&event->writer) : 0;
    if (status)
        return status;
    if (event->fields > 0)
        payload = buffer_slice(&event->document);
    struct buffer row = event->type == EVENT_BY_NAME ? buffer_of(own, sizeof(own))
                                                     : buffer_of(bytes, sizeof(bytes));
    uint8_t header[EVENT_ROW_HEADER] = {VERSION, (uint8_t)name.length};
    JINI_ASSERT(name.length < JINI_EVENT_TYPE_MAX);
    store_le16(header + 2, (uint16_t)event->type);
    store_le64(header + 4, event->user_id);
    memcpy(header + 12, event->subject_id.bytes, JINI_ID_BYTES);
    buffer_append(&row, header, sizeof(header));
    buffer_append(&row, name.data, name.length);
    buffer_append(&row, payload.data, payload.length);
    if (row.overflow)
        return JINI_E_TOO_BIG;
    status = store_stamp(txn, position);
    if (status)
        return status;
    event_key(*position, &key);
    store_signal(txn, STORE_SHARED_EVENTS);
    return store_put(txn, STORE_SPACE_EVENTS, tuple_key(&key), buffer_slice(&row));
}

int events_append(struct store_txn *txn, struct event *event)
{
    uint64_t position;
    return events_append_at(txn, event, &position);
}

/* ---- Names ---- */

static const struct type_name {
    enum event_type type;
    const char *name;
} type_names[] = {
#define TYPE_NAME(name, number, text) {EVENT_##name, text},
    JINI_EVENT_TYPE_MAP(TYPE_NAME)
#undef TYPE_NAME
};

enum { TYPE_NAMES = sizeof(type_names) / sizeof(type_names[0]) };

static const char *name_of(uint16_t type)
{
    for (size_t i = 0; i < TYPE_NAMES; i++) {
        if (type_names[i].type == type)
            return type_names[i].name;
    }
    return "unknown";
}

static bool is_the_engines(const char *type)
{
    for (size_t i = 0; i < TYPE_NAMES; i++) {
        size_t length = strcspn(type_names[i].name, ".");
        if (strncmp(type, type_names[i].name, length) == 0 &&
            (type[length] == '.' || type[length] == '\0'))
            return true;
    }
    return false;
}

int events_check_own(const char *type, const char *payload, struct jini_error *error)
{
    size_t length = type ? strlen(type) : 0;
    if (length == 0 || length >= JINI_EVENT_TYPE_MAX ||
        strspn(type, "abcdefghijklmnopqrstuvwxyz0123456789_-.") != length)
        return error_set(error, JINI_E_INVALID, "type",
                         "a type is 1 to %d of a-z, 0-9, _, - and the point",
                         JINI_EVENT_TYPE_MAX - 1);
    if (is_the_engines(type))
        return error_set(error, JINI_E_INVALID, "type",
                         "\"%s\" begins as the engine's own types do; choose another word before "
                         "the point",
                         type);
    if (!payload)
        return 0;
    if (strlen(payload) >= JINI_EVENT_PAYLOAD_MAX)
        return error_set(error, JINI_E_TOO_BIG, "payload", "up to %d bytes are taken",
                         JINI_EVENT_PAYLOAD_MAX - 1);
    if (!json_is_object(slice_of_text(payload)))
        return error_set(error, JINI_E_INVALID, "payload",
                         "a JSON object in UTF-8 is taken, nested up to %d deep", JSON_DEPTH_MAX);
    return 0;
}

/* ---- Rows ---- */

int event_row_read(struct slice row, struct event_row *out)
{
    if (row.length < EVENT_ROW_HEADER || row.data[0] == 0)
        return JINI_E_CORRUPT;
    if (row.data[0] > VERSION)
        return JINI_E_FORMAT;
    size_t name_length = row.data[1];
    uint16_t type = load_le16(row.data + 2);
    bool by_name = type == EVENT_BY_NAME;
    if (by_name != (name_length > 0) || name_length >= JINI_EVENT_TYPE_MAX ||
        row.length < EVENT_ROW_HEADER + name_length)
        return JINI_E_CORRUPT;
    size_t begin = EVENT_ROW_HEADER + name_length;
    size_t most = by_name ? JINI_EVENT_PAYLOAD_MAX - 1 : EVENT_DOCUMENT_MAX;
    if (row.length - begin > most)
        return JINI_E_CORRUPT;
    out->type = (enum event_type)type;
    out->name =
        by_name ? slice_of(row.data + EVENT_ROW_HEADER, name_length) : slice_of_text(name_of(type));
    out->user_id = load_le64(row.data + 4);
    memcpy(out->subject_id.bytes, row.data + 12, JINI_ID_BYTES);
    out->payload = slice_of(row.data + begin, row.length - begin);
    return 0;
}
