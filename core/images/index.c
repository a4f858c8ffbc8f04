/* Keys and values of the index; the layout stands in index.h, field numbers and offsets here. */
#include "images/index.h"

#include "base/document.h"
#include "base/id.h"
#include "base/tuple.h"

#include <stdio.h>
#include <time.h>

/* Fields of a pack's document. Pinned. */
enum {
    PACK_STATE = 1,
    PACK_FLAGS = 2,
    PACK_TIER_GROUP = 3,
    PACK_EXPIRY_DAY = 4,
    PACK_OWNER_SLOT = 5,
    PACK_OWNER_INCARNATION = 6,
    PACK_CREATED = 7,
    PACK_SEALED = 8,
    PACK_ARCHIVED = 9,
    PACK_FILE_BYTES = 10,
    PACK_RECORDS = 11,
    PACK_PAYLOAD_BYTES = 12,
    PACK_ATTEMPT = 13,
    PACK_OBJECT_HASH = 14,
    PACK_REMOVALS = 15,
    PACK_COUNTED = 16,
};

enum { PACK_DOCUMENT_MAX = 512, PACKS_PAGE = 64 };

/*
 * A location, 96 bytes, little-endian:
 *      0   2  version, 1
 *      2   2  codec id
 *      4   2  codec version
 *      6   2  metadata codec id
 *      8   2  metadata codec version
 *     10   2  zero
 *     12   4  metadata stored length
 *     16   4  metadata original length
 *     20   4  zero
 *     24   8  offset
 *     32   8  stored length
 *     40   8  original length
 *     48  16  XXH3-128 of the original
 *     64      zero
 */
enum { LOCATION_VERSION = 1, LOCATION_BYTES = 96 };

/* ---- Names of objects ---- */

enum { OBJECT_MONTH_BYTES = 14, OBJECT_NAME_BYTES = OBJECT_MONTH_BYTES + 36 + 1 + 36 + 5 };

void index_object_name(const struct index_pack *pack, char out[INDEX_OBJECT_NAME_MAX])
{
    char id[JINI_ID_TEXT_MAX];
    char attempt[JINI_ID_TEXT_MAX];
    struct tm utc;
    time_t seconds = (time_t)(id_time_ms(&pack->id) / 1000);
    jini_id_format(&pack->id, id);
    jini_id_format(&pack->attempt, attempt);
    if (!gmtime_r(&seconds, &utc) || utc.tm_year > 8099)
        utc = (struct tm){.tm_year = 70};
    snprintf(out, INDEX_OBJECT_NAME_MAX, "packs/%04u-%02u/%s-%s.pack",
             (unsigned)utc.tm_year % 10000 + 1900, (unsigned)utc.tm_mon % 12 + 1, id, attempt);
}

int index_object_parse(struct slice name, struct jini_id *pack, struct jini_id *attempt)
{
    char text[OBJECT_NAME_BYTES + 1];
    if (name.length != OBJECT_NAME_BYTES || memcmp(name.data, "packs/", 6) != 0)
        return JINI_E_INVALID;
    memcpy(text, name.data, OBJECT_NAME_BYTES);
    text[OBJECT_NAME_BYTES] = '\0';
    char *id = text + OBJECT_MONTH_BYTES;
    char *second = id + 37;
    if (strcmp(second + 36, ".pack") != 0 || id[36] != '-')
        return JINI_E_INVALID;
    id[36] = '\0';
    second[36] = '\0';
    int status = jini_id_parse(id, pack);
    return status ? status : jini_id_parse(second, attempt);
}

/* ---- Packs ---- */

static struct tuple pack_key(const struct jini_id *id)
{
    struct tuple key;
    tuple_begin(&key);
    tuple_add_id(&key, id);
    return key;
}

static int encode_pack(const struct index_pack *pack, struct buffer *out)
{
    struct document_writer writer;
    document_begin(&writer, out);
    document_add_uint(&writer, PACK_STATE, pack->state);
    document_add_uint(&writer, PACK_FLAGS, pack->flags);
    document_add_uint(&writer, PACK_TIER_GROUP, pack->tier_group);
    document_add_uint(&writer, PACK_EXPIRY_DAY, pack->expiry_day);
    document_add_uint(&writer, PACK_OWNER_SLOT, pack->owner.slot);
    document_add_uint(&writer, PACK_OWNER_INCARNATION, pack->owner.incarnation);
    document_add_uint(&writer, PACK_CREATED, pack->created_ms);
    document_add_uint(&writer, PACK_SEALED, pack->sealed_ms);
    document_add_uint(&writer, PACK_ARCHIVED, pack->archived_ms);
    document_add_uint(&writer, PACK_FILE_BYTES, pack->file_bytes);
    document_add_uint(&writer, PACK_RECORDS, pack->records);
    document_add_uint(&writer, PACK_PAYLOAD_BYTES, pack->payload_bytes);
    document_add_bytes(&writer, PACK_ATTEMPT, slice_of(pack->attempt.bytes, JINI_ID_BYTES));
    document_add_bytes(&writer, PACK_OBJECT_HASH, slice_of(pack->object_hash.bytes, 16));
    document_add_uint(&writer, PACK_REMOVALS, pack->removals);
    document_add_uint(&writer, PACK_COUNTED, pack->counted);
    return document_end(&writer);
}

static bool take_bytes16(const struct document_field *field, uint8_t out[16])
{
    if (field->type != DOCUMENT_BYTES || field->bytes.length != 16)
        return false;
    memcpy(out, field->bytes.data, 16);
    return true;
}

/* Numbers of a pack, by field. False for a field that is none of them. */
static bool take_number(const struct document_field *field, struct index_pack *out)
{
    uint64_t number = field->number;
    switch (field->field) {
    case PACK_STATE:
        out->state = (enum index_pack_state)number;
        return number >= INDEX_PACK_OPEN && number <= INDEX_PACK_PURGING;
    case PACK_FLAGS:
        out->flags = (uint32_t)number;
        return number <= UINT32_MAX;
    case PACK_TIER_GROUP:
        out->tier_group = (uint32_t)number;
        return number <= UINT32_MAX;
    case PACK_EXPIRY_DAY:
        out->expiry_day = (uint32_t)number;
        return number <= UINT32_MAX;
    case PACK_OWNER_SLOT:
        out->owner.slot = (uint32_t)number;
        return number <= UINT32_MAX;
    case PACK_OWNER_INCARNATION:
        out->owner.incarnation = (uint32_t)number;
        return number <= UINT32_MAX;
    case PACK_CREATED:
        out->created_ms = number;
        return true;
    case PACK_SEALED:
        out->sealed_ms = number;
        return true;
    case PACK_ARCHIVED:
        out->archived_ms = number;
        return true;
    case PACK_FILE_BYTES:
        out->file_bytes = number;
        return true;
    case PACK_RECORDS:
        out->records = (uint32_t)number;
        return number <= UINT32_MAX;
    case PACK_PAYLOAD_BYTES:
        out->payload_bytes = number;
        return true;
    case PACK_REMOVALS:
        out->removals = number;
        return true;
    case PACK_COUNTED:
        out->counted = number;
        return true;
    default:
        return false;
    }
}

static int decode_pack(struct slice document, struct index_pack *out)
{
    struct document_reader reader;
    struct document_field field;
    int status = document_open(&reader, document);
    while (status == 0 && (status = document_next(&reader, &field)) == 0 &&
           field.type != DOCUMENT_END) {
        bool good = true;
        if (field.field == PACK_ATTEMPT)
            good = take_bytes16(&field, out->attempt.bytes);
        else if (field.field == PACK_OBJECT_HASH)
            good = take_bytes16(&field, out->object_hash.bytes);
        else if (field.field <= PACK_COUNTED)
            good = field.type == DOCUMENT_UINT && take_number(&field, out);
        if (!good)
            return JINI_E_CORRUPT;
    }
    if (status == 0 && out->state == 0)
        status = JINI_E_CORRUPT;
    return status;
}

int index_pack_get(struct store_txn *txn, const struct jini_id *id, struct index_pack *out)
{
    uint8_t bytes[PACK_DOCUMENT_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key = pack_key(id);
    memset(out, 0, sizeof(*out));
    int status = store_get(txn, STORE_SPACE_PACKS, tuple_key(&key), &value);
    if (status)
        return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
    out->id = *id;
    return decode_pack(buffer_slice(&value), out);
}

int index_pack_put(struct store_txn *txn, const struct index_pack *pack)
{
    uint8_t bytes[PACK_DOCUMENT_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key = pack_key(&pack->id);
    int status = encode_pack(pack, &value);
    JINI_ASSERT(status == 0);
    return store_put(txn, STORE_SPACE_PACKS, tuple_key(&key), buffer_slice(&value));
}

int index_pack_delete(struct store_txn *txn, const struct jini_id *id)
{
    struct tuple key = pack_key(id);
    return store_delete(txn, STORE_SPACE_PACKS, tuple_key(&key));
}

int index_pack_note_removal(struct store_txn *txn, const struct jini_id *id, uint32_t flags)
{
    struct index_pack pack;
    int status = index_pack_get(txn, id, &pack);
    if (status)
        return status;
    pack.flags |= flags;
    pack.removals++;
    return index_pack_put(txn, &pack);
}

/* The entry under the cursor. False for a key that names no pack. */
static bool read_pack(struct slice key, struct slice document, struct index_pack *out)
{
    struct jini_id id;
    struct tuple_reader reader = tuple_reader_of(key);
    if (tuple_next_id(&reader, &id) != 0 || reader.rest.length != 0)
        return false;
    memset(out, 0, sizeof(*out));
    if (decode_pack(document, out) != 0)
        *out = (struct index_pack){.state = INDEX_PACK_DAMAGED};
    out->id = id;
    return true;
}

int index_pack_list(struct store_txn *txn, const struct jini_id *after, struct index_pack *out,
                    size_t capacity, size_t *count)
{
    *count = 0;
    struct tuple low;
    tuple_begin(&low);
    if (after) {
        low = pack_key(after);
        tuple_after_prefix(&low);
    }
    struct store_cursor cursor;
    int status = store_cursor_open(txn, STORE_SPACE_PACKS, tuple_key(&low), slice_of(NULL, 0),
                                   STORE_FORWARD, &cursor);
    if (status)
        return status;
    uint8_t bytes[PACK_DOCUMENT_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    while (*count < capacity) {
        status = store_cursor_next(&cursor, &value);
        if (status && status != JINI_E_TOO_BIG)
            break;
        *count +=
            read_pack(cursor.key, status ? slice_of(NULL, 0) : buffer_slice(&value), &out[*count]);
    }
    store_cursor_close(&cursor);
    return status == JINI_E_NOT_FOUND || status == JINI_E_TOO_BIG ? 0 : status;
}

int index_pack_each(struct store *store, index_pack_visit_fn *visit, void *context)
{
    struct index_pack page[PACKS_PAGE];
    struct jini_id last = {{0}};
    size_t count = PACKS_PAGE;
    int status = 0;
    while (status == 0 && count == PACKS_PAGE) {
        struct store_txn *txn;
        status = store_read_begin(store, &txn);
        if (status)
            break;
        status = index_pack_list(txn, id_is_zero(&last) ? NULL : &last, page, PACKS_PAGE, &count);
        store_read_end(txn);
        for (size_t i = 0; status == 0 && i < count; i++) {
            last = page[i].id;
            status = visit(context, &page[i]);
        }
    }
    return status;
}

int index_pack_last(struct store_txn *txn, struct jini_id *out)
{
    struct store_cursor cursor;
    memset(out, 0, sizeof(*out));
    int status = store_cursor_open(txn, STORE_SPACE_PACKS, slice_of(NULL, 0), slice_of(NULL, 0),
                                   STORE_BACKWARD, &cursor);
    if (status)
        return status;
    uint8_t bytes[PACK_DOCUMENT_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct index_pack pack;
    bool found = false;
    while (!found && (status == 0 || status == JINI_E_TOO_BIG)) {
        status = store_cursor_next(&cursor, &value);
        found = (status == 0 || status == JINI_E_TOO_BIG) &&
                read_pack(cursor.key, slice_of(NULL, 0), &pack);
    }
    store_cursor_close(&cursor);
    if (found)
        *out = pack.id;
    return found ? 0 : status;
}

int index_pack_open(struct store_txn *txn, const struct index_pack *pack)
{
    struct index_pack found;
    int status = index_pack_get(txn, &pack->id, &found);
    if (status == JINI_E_NOT_FOUND)
        return index_pack_put(txn, pack);
    if (status)
        return status;
    bool mine = found.state == INDEX_PACK_OPEN && found.owner.slot == pack->owner.slot &&
                found.owner.incarnation == pack->owner.incarnation;
    return mine ? 0 : JINI_E_CONFLICT;
}

/* ---- Orphans ---- */

static struct tuple orphan_key(const struct index_orphan *orphan)
{
    struct tuple key;
    tuple_begin(&key);
    tuple_add_uint(&key, orphan->due_ms);
    tuple_add_id(&key, &orphan->pack);
    tuple_add_id(&key, &orphan->attempt);
    return key;
}

int index_orphan_put(struct store_txn *txn, const struct index_orphan *orphan)
{
    struct tuple key = orphan_key(orphan);
    return store_put(txn, STORE_SPACE_ORPHANS, tuple_key(&key), slice_of(NULL, 0));
}

int index_orphan_delete(struct store_txn *txn, const struct index_orphan *orphan)
{
    struct tuple key = orphan_key(orphan);
    return store_delete(txn, STORE_SPACE_ORPHANS, tuple_key(&key));
}

static bool read_orphan(struct slice key, struct index_orphan *out)
{
    struct tuple_reader reader = tuple_reader_of(key);
    return tuple_next_uint(&reader, &out->due_ms) == 0 && tuple_next_id(&reader, &out->pack) == 0 &&
           tuple_next_id(&reader, &out->attempt) == 0 && reader.rest.length == 0;
}

int index_orphan_read(struct slice key, struct slice value, struct index_orphan *out)
{
    return read_orphan(key, out) && value.length == 0 ? 0 : JINI_E_CORRUPT;
}

int index_orphan_list(struct store_txn *txn, uint64_t now_ms, struct index_orphan *out,
                      size_t capacity, size_t *count)
{
    *count = 0;
    struct tuple high;
    tuple_begin(&high);
    tuple_add_uint(&high, now_ms < UINT64_MAX ? now_ms + 1 : now_ms);
    struct store_cursor cursor;
    int status = store_cursor_open(txn, STORE_SPACE_ORPHANS, slice_of(NULL, 0), tuple_key(&high),
                                   STORE_FORWARD, &cursor);
    if (status)
        return status;
    while (*count < capacity) {
        status = store_cursor_next(&cursor, NULL);
        if (status)
            break;
        *count += read_orphan(cursor.key, &out[*count]);
    }
    store_cursor_close(&cursor);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

int index_orphan_find(struct store_txn *txn, const struct jini_id *attempt,
                      struct index_orphan *out)
{
    struct store_cursor cursor;
    struct slice all = slice_of(NULL, 0);
    int status = store_cursor_open(txn, STORE_SPACE_ORPHANS, all, all, STORE_FORWARD, &cursor);
    if (status)
        return status;
    do
        status = store_cursor_next(&cursor, NULL);
    while (status == 0 && !(read_orphan(cursor.key, out) && id_equal(&out->attempt, attempt)));
    store_cursor_close(&cursor);
    return status;
}

/* ---- Locations ---- */

static struct tuple location_key(const struct jini_id *pack, uint32_t sequence,
                                 const struct jini_id *image)
{
    struct tuple key = pack_key(pack);
    tuple_add_uint(&key, sequence);
    tuple_add_id(&key, image);
    return key;
}

int index_location_put(struct store_txn *txn, const struct index_location *location)
{
    uint8_t bytes[LOCATION_BYTES] = {0};
    store_le16(bytes, LOCATION_VERSION);
    store_le16(bytes + 2, location->codec_id);
    store_le16(bytes + 4, location->codec_version);
    store_le16(bytes + 6, location->metadata_codec_id);
    store_le16(bytes + 8, location->metadata_codec_version);
    store_le32(bytes + 12, location->metadata_stored_length);
    store_le32(bytes + 16, location->metadata_original_length);
    store_le64(bytes + 24, location->offset);
    store_le64(bytes + 32, location->stored_length);
    store_le64(bytes + 40, location->original_length);
    memcpy(bytes + 48, location->original_hash.bytes, 16);
    struct tuple key = location_key(&location->pack, location->sequence, &location->image);
    return store_put(txn, STORE_SPACE_LOCATIONS, tuple_key(&key), slice_of(bytes, sizeof(bytes)));
}

static int decode_location(struct slice value, struct index_location *out)
{
    if (value.length != LOCATION_BYTES)
        return JINI_E_CORRUPT;
    const uint8_t *bytes = value.data;
    if (load_le16(bytes) != LOCATION_VERSION)
        return load_le16(bytes) > LOCATION_VERSION ? JINI_E_FORMAT : JINI_E_CORRUPT;
    out->codec_id = load_le16(bytes + 2);
    out->codec_version = load_le16(bytes + 4);
    out->metadata_codec_id = load_le16(bytes + 6);
    out->metadata_codec_version = load_le16(bytes + 8);
    out->metadata_stored_length = load_le32(bytes + 12);
    out->metadata_original_length = load_le32(bytes + 16);
    out->offset = load_le64(bytes + 24);
    out->stored_length = load_le64(bytes + 32);
    out->original_length = load_le64(bytes + 40);
    memcpy(out->original_hash.bytes, bytes + 48, 16);
    return 0;
}

int index_location_get(struct store_txn *txn, const struct jini_id *pack, uint32_t sequence,
                       const struct jini_id *image, struct index_location *out)
{
    uint8_t bytes[LOCATION_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key = location_key(pack, sequence, image);
    memset(out, 0, sizeof(*out));
    int status = store_get(txn, STORE_SPACE_LOCATIONS, tuple_key(&key), &value);
    if (status)
        return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
    out->pack = *pack;
    out->sequence = sequence;
    out->image = *image;
    return decode_location(buffer_slice(&value), out);
}

int index_location_delete(struct store_txn *txn, const struct index_location *location)
{
    struct tuple key = location_key(&location->pack, location->sequence, &location->image);
    return store_delete(txn, STORE_SPACE_LOCATIONS, tuple_key(&key));
}

/* The entry under the cursor as a location. */
static int read_location(struct slice key, struct slice value, struct index_location *out)
{
    uint64_t sequence;
    struct tuple_reader reader = tuple_reader_of(key);
    memset(out, 0, sizeof(*out));
    int status = tuple_next_id(&reader, &out->pack);
    if (status == 0)
        status = tuple_next_uint(&reader, &sequence);
    if (status == 0)
        status = tuple_next_id(&reader, &out->image);
    if (status == 0 && sequence > UINT32_MAX)
        status = JINI_E_CORRUPT;
    if (status)
        return status;
    out->sequence = (uint32_t)sequence;
    return decode_location(value, out);
}

static int open_pack_range(struct store_txn *txn, const struct jini_id *pack,
                           const struct index_location *after, enum store_direction direction,
                           struct store_cursor *out)
{
    struct tuple low = pack_key(pack);
    struct tuple high = low;
    tuple_after_prefix(&high);
    if (after) {
        low = location_key(&after->pack, after->sequence, &after->image);
        tuple_after_prefix(&low);
    }
    return store_cursor_open(txn, STORE_SPACE_LOCATIONS, tuple_key(&low), tuple_key(&high),
                             direction, out);
}

int index_location_list(struct store_txn *txn, const struct jini_id *pack,
                        const struct index_location *after, struct index_location *out,
                        size_t capacity, size_t *count)
{
    *count = 0;
    struct store_cursor cursor;
    int status = open_pack_range(txn, pack, after, STORE_FORWARD, &cursor);
    if (status)
        return status;
    uint8_t bytes[LOCATION_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    while (*count < capacity && (status = store_cursor_next(&cursor, &value)) == 0) {
        status = read_location(cursor.key, buffer_slice(&value), &out[*count]);
        if (status)
            break;
        (*count)++;
    }
    store_cursor_close(&cursor);
    if (status == JINI_E_TOO_BIG)
        return JINI_E_CORRUPT;
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

int index_check_record(const struct index_location *location, const struct pack_record *record,
                       struct jini_error *error)
{
    bool same = hash128_equal(&record->original_hash, &location->original_hash) &&
                record->original_length == location->original_length &&
                record->stored_length == location->stored_length &&
                record->codec.id == location->codec_id &&
                record->codec.version == location->codec_version &&
                record->metadata_stored_length == location->metadata_stored_length;
    if (same)
        return 0;
    return pack_corrupt(error, &location->pack, location->offset,
                        "the record is not the one that the index means");
}

int index_location_last(struct store_txn *txn, const struct jini_id *pack,
                        struct index_location *out)
{
    struct store_cursor cursor;
    memset(out, 0, sizeof(*out));
    int status = open_pack_range(txn, pack, NULL, STORE_BACKWARD, &cursor);
    if (status)
        return status;
    uint8_t bytes[LOCATION_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    status = store_cursor_next(&cursor, &value);
    if (status == 0)
        status = read_location(cursor.key, buffer_slice(&value), out);
    store_cursor_close(&cursor);
    return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
}

int index_location_of_record(struct store_txn *txn, const struct jini_id *pack, uint32_t sequence,
                             struct index_location *out)
{
    struct tuple low = pack_key(pack);
    tuple_add_uint(&low, sequence);
    struct tuple high = low;
    tuple_after_prefix(&high);
    struct store_cursor cursor;
    memset(out, 0, sizeof(*out));
    int status = store_cursor_open(txn, STORE_SPACE_LOCATIONS, tuple_key(&low), tuple_key(&high),
                                   STORE_FORWARD, &cursor);
    if (status)
        return status;
    uint8_t bytes[LOCATION_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    status = store_cursor_next(&cursor, &value);
    if (status == 0)
        status = read_location(cursor.key, buffer_slice(&value), out);
    store_cursor_close(&cursor);
    return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
}

/* ---- Content ---- */

static struct tuple content_key(const struct index_content *content)
{
    struct tuple key;
    tuple_begin(&key);
    tuple_add_uint(&key, content->tier_group);
    tuple_add_uint(&key, content->expiry_day);
    tuple_add_bytes(&key, slice_of(content->hash.bytes, sizeof(content->hash.bytes)));
    tuple_add_uint(&key, content->length);
    return key;
}

static int read_content_place(struct slice value, struct index_content *out)
{
    uint64_t sequence;
    struct tuple_reader reader = tuple_reader_of(value);
    int status = tuple_next_id(&reader, &out->pack);
    if (status == 0)
        status = tuple_next_uint(&reader, &sequence);
    if (status == 0 && sequence > UINT32_MAX)
        status = JINI_E_CORRUPT;
    if (status == 0)
        out->sequence = (uint32_t)sequence;
    return status;
}

int index_content_get(struct store_txn *txn, struct index_content *content)
{
    struct tuple key = content_key(content);
    uint8_t bytes[64];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    int status = store_get(txn, STORE_SPACE_CONTENT, tuple_key(&key), &value);
    if (status)
        return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
    return read_content_place(buffer_slice(&value), content);
}

int index_content_read(struct slice key, struct slice value, struct index_content *out)
{
    uint64_t tier_group;
    uint64_t expiry_day;
    struct tuple_element hash;
    struct tuple_reader reader = tuple_reader_of(key);
    memset(out, 0, sizeof(*out));
    if (tuple_next_uint(&reader, &tier_group) != 0 || tier_group > UINT32_MAX ||
        tuple_next_uint(&reader, &expiry_day) != 0 || expiry_day > UINT32_MAX ||
        tuple_next(&reader, &hash) != 0 || hash.type != TUPLE_BYTES ||
        hash.length != sizeof(out->hash.bytes) || tuple_next_uint(&reader, &out->length) != 0 ||
        reader.rest.length != 0)
        return JINI_E_CORRUPT;
    out->tier_group = (uint32_t)tier_group;
    out->expiry_day = (uint32_t)expiry_day;
    memcpy(out->hash.bytes, hash.bytes, sizeof(out->hash.bytes));
    return read_content_place(value, out);
}

int index_content_put(struct store_txn *txn, const struct index_content *content)
{
    struct tuple key = content_key(content);
    struct tuple value = pack_key(&content->pack);
    tuple_add_uint(&value, content->sequence);
    return store_put(txn, STORE_SPACE_CONTENT, tuple_key(&key), tuple_key(&value));
}

int index_content_delete(struct store_txn *txn, const struct index_content *content)
{
    struct index_content found = *content;
    int status = index_content_get(txn, &found);
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (status)
        return status;
    if (!id_equal(&found.pack, &content->pack))
        return 0;
    struct tuple key = content_key(content);
    return store_delete(txn, STORE_SPACE_CONTENT, tuple_key(&key));
}
