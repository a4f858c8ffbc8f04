/* Checking and hashing a record before it is appended. */
#include "images/pack_prepare.h"

#include "base/alloc.h"
#include "base/error.h"

static bool is_encrypted(const struct pack_input *input)
{
    static const uint8_t no_key[PACK_KEY_ID_BYTES];
    return memcmp(input->key_id, no_key, sizeof(no_key)) != 0;
}

static bool is_original(const struct pack_input *input)
{
    return input->codec.id == PACK_CODEC_NONE && !is_encrypted(input);
}

static bool metadata_is_original(const struct pack_input *input)
{
    return input->metadata_codec.id == PACK_CODEC_NONE && !is_encrypted(input);
}

static int check_bounds(const struct pack_input *input, struct jini_error *error)
{
    if (input->payload.length > PACK_PAYLOAD_BYTES_MAX ||
        input->original_length > PACK_PAYLOAD_BYTES_MAX)
        return error_set(error, JINI_E_TOO_BIG, "image",
                         "the image is %llu bytes long and stored in %zu, and the bound is %d",
                         (unsigned long long)input->original_length, input->payload.length,
                         PACK_PAYLOAD_BYTES_MAX);
    if (input->metadata.length > PACK_METADATA_BYTES_MAX ||
        input->metadata_original_length > PACK_METADATA_BYTES_MAX)
        return error_set(error, JINI_E_TOO_BIG, "metadata",
                         "the metadata is %u bytes long and stored in %zu, and the bound is %d",
                         input->metadata_original_length, input->metadata.length,
                         PACK_METADATA_BYTES_MAX);
    return 0;
}

static int check_originals(const struct pack_input *input, struct jini_error *error)
{
    if (!is_original(input) && !input->original_hash)
        return error_set(error, JINI_E_INVALID, "original_hash",
                         "a coded or encrypted payload needs the hash of the original");
    if (is_original(input) && input->original_length != 0 &&
        input->original_length != input->payload.length)
        return error_set(error, JINI_E_INVALID, "original_length",
                         "the payload is the original and has %zu bytes, not %llu",
                         input->payload.length, (unsigned long long)input->original_length);
    if (metadata_is_original(input) && input->metadata_original_length != 0 &&
        input->metadata_original_length != input->metadata.length)
        return error_set(error, JINI_E_INVALID, "metadata_original_length",
                         "the metadata is the original and has %zu bytes, not %u",
                         input->metadata.length, input->metadata_original_length);
    return 0;
}

static void fill_record(const struct pack_input *input, const uint8_t *table,
                        struct pack_record *record)
{
    record->image = input->image;
    record->kind = PACK_KIND_IMAGE;
    record->codec = input->codec;
    record->metadata_codec = input->metadata_codec;
    record->stored_length = input->payload.length;
    record->metadata_stored_length = (uint32_t)input->metadata.length;
    record->original_length = is_original(input) ? input->payload.length : input->original_length;
    record->metadata_original_length = metadata_is_original(input)
                                           ? (uint32_t)input->metadata.length
                                           : input->metadata_original_length;
    if (is_original(input) && input->original_hash)
        record->stored_hash = *input->original_hash;
    else
        record->stored_hash = hash128(input->payload);
    record->original_hash = is_original(input) ? record->stored_hash : *input->original_hash;
    record->table_checksum = hash64(slice_of(table, pack_table_bytes(input->payload.length)));
    record->metadata_checksum = hash64(input->metadata);
    memcpy(record->key_id, input->key_id, sizeof(record->key_id));
    memcpy(record->nonce, input->nonce, sizeof(record->nonce));
    memcpy(record->metadata_nonce, input->metadata_nonce, sizeof(record->metadata_nonce));
}

int pack_prepare(const struct pack_input *input, struct pack_prepared *out,
                 struct jini_error *error)
{
    memset(out, 0, sizeof(*out));
    int status = check_bounds(input, error);
    if (!status)
        status = check_originals(input, error);
    if (status)
        return status;
    size_t head_bytes = PACK_RECORD_HEADER_BYTES + (size_t)pack_table_bytes(input->payload.length);
    uint8_t *head = out->inline_head;
    if (head_bytes > sizeof(out->inline_head))
        head = base_malloc(head_bytes);
    if (!head)
        return error_set(error, JINI_E_NO_MEMORY, "image",
                         "no memory for the checksums of %zu bytes; try later",
                         input->payload.length);
    out->head = head;
    out->head_bytes = head_bytes;
    out->metadata = input->metadata;
    out->payload = input->payload;
    out->length = pack_record_length(input->payload.length, (uint32_t)input->metadata.length);
    pack_table_fill(input->payload, head + PACK_RECORD_HEADER_BYTES);
    fill_record(input, head + PACK_RECORD_HEADER_BYTES, &out->record);
    return 0;
}

void pack_prepared_free(struct pack_prepared *prepared)
{
    if (prepared->head != prepared->inline_head)
        base_free(prepared->head);
    prepared->head = NULL;
}
