/* Reading and writing records of credentials. */
#include "accounts/credential_record.h"

#include "accounts/record.h"

enum field {
    FIELD_USER = 1,
    FIELD_KIND = 2,
    FIELD_DIGEST = 3,
    FIELD_CREATED = 4,
    FIELD_EXPIRES = 5,
    FIELD_REVOKED = 6,
    FIELD_NAME = 7,
    FIELD_LIMITS = 8,
    FIELD_EPOCH = 9,
    FIELD_LAST = FIELD_EPOCH
};

#define BIT(field) (UINT32_C(1) << (field))

static const uint32_t needed = BIT(FIELD_USER) | BIT(FIELD_KIND) | BIT(FIELD_DIGEST);

static int take_digest(const struct document_field *field, uint8_t out[CRYPTO_DIGEST_BYTES])
{
    if (field->type != DOCUMENT_BYTES || field->bytes.length != CRYPTO_DIGEST_BYTES)
        return JINI_E_CORRUPT;
    memcpy(out, field->bytes.data, CRYPTO_DIGEST_BYTES);
    return 0;
}

static int take_field(const struct document_field *field, struct credential_record *out)
{
    struct jini_credential *credential = &out->credential;
    switch (field->field) {
    case FIELD_USER:
        return record_take_number(field, &credential->user_id);
    case FIELD_KIND:
        return record_take_number32(field, &credential->kind);
    case FIELD_DIGEST:
        return take_digest(field, out->digest);
    case FIELD_CREATED:
        return record_take_number(field, &credential->created_ms);
    case FIELD_EXPIRES:
        return record_take_number(field, &credential->expires_ms);
    case FIELD_REVOKED:
        return record_take_number(field, &credential->revoked_ms);
    case FIELD_NAME:
        return record_take_text(field, credential->name, sizeof(credential->name));
    case FIELD_LIMITS:
        return record_take_text(field, credential->limits, sizeof(credential->limits));
    default:
        JINI_ASSERT(field->field == FIELD_EPOCH);
        return record_take_number(field, &out->epoch);
    }
}

int credential_record_read(struct slice bytes, uint64_t id, struct credential_record *out)
{
    struct document_reader reader;
    struct document_field field;
    uint32_t seen = 0;
    memset(out, 0, sizeof(*out));
    out->credential.id = id;
    int status = document_open(&reader, bytes);
    while (status == 0 && (status = document_next(&reader, &field)) == 0 &&
           field.type != DOCUMENT_END) {
        if (field.field == 0 || field.field > FIELD_LAST) {
            status = document_keep(&out->rest, &field);
            continue;
        }
        if (seen & BIT(field.field))
            return JINI_E_CORRUPT;
        seen |= BIT(field.field);
        status = take_field(&field, out);
    }
    if (status)
        return status;
    const struct jini_credential *credential = &out->credential;
    if ((seen & needed) != needed || credential->user_id == 0 ||
        (credential->kind != JINI_KEY && credential->kind != JINI_SESSION))
        return JINI_E_CORRUPT;
    credential_show((enum jini_credential_kind)credential->kind, id, out->credential.shown);
    return 0;
}

int credential_record_write(const struct credential_record *record, struct buffer *out)
{
    const struct jini_credential *credential = &record->credential;
    struct document_writer writer;
    document_begin(&writer, out);
    document_add_uint(&writer, FIELD_USER, credential->user_id);
    document_add_uint(&writer, FIELD_KIND, credential->kind);
    document_add_bytes(&writer, FIELD_DIGEST, slice_of(record->digest, sizeof(record->digest)));
    record_add_number(&writer, FIELD_CREATED, credential->created_ms);
    record_add_number(&writer, FIELD_EXPIRES, credential->expires_ms);
    record_add_number(&writer, FIELD_REVOKED, credential->revoked_ms);
    record_add_text(&writer, FIELD_NAME, credential->name);
    record_add_text(&writer, FIELD_LIMITS, credential->limits);
    record_add_number(&writer, FIELD_EPOCH, record->epoch);
    document_add_rest(&writer, &record->rest);
    return document_end(&writer);
}

int credential_record_load(struct store_txn *txn, uint64_t id, struct credential_record *out)
{
    uint8_t bytes[CREDENTIAL_RECORD_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    credentials_key(id, &key);
    int status = store_get(txn, STORE_SPACE_USER_KEYS, tuple_key(&key), &value);
    if (status)
        return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
    return credential_record_read(buffer_slice(&value), id, out);
}
