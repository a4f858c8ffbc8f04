/* Packs as files: append, sync, read, seal. */
#include "images/pack_file.h"
#include "images/pack_write.h"

#include "pack_support.h"

#include <stdio.h>

TEST(what_was_appended_is_read,
     "Payload and metadata come back identical, before and after sealing.")
{
    static const size_t lengths[][2] = {
        {0, 0},
        {1, 0},
        {0, 1},
        {63, 65},
        {65535, 7},
        {65536, 64},
        {65537, 100},
        {524288, 3},
        {1048576, 2000},
        {3000001, 5000},
        {5 << 20, 0},
        {1000, 2 << 20},
        {PACK_WRITE_BYTES - 256, 0},
        {PACK_WRITE_BYTES - 320, 1},
    };
    enum { COUNT = sizeof(lengths) / sizeof(lengths[0]) };
    struct pack_place places[COUNT];
    struct jini_id images[COUNT];
    int directory = support_directory();
    struct pack_file *file = support_create(directory);
    struct jini_id pack = pack_file_header(file)->pack;
    for (int i = 0; i < COUNT; i++) {
        places[i] = support_append(file, lengths[i][0], lengths[i][1], &images[i]);
        CHECK_UINT(places[i].sequence, ==, i);
        CHECK_UINT(places[i].offset % PACK_ALIGNMENT, ==, 0);
    }
    int descriptor = support_open(directory, &pack);
    struct pack_source source = pack_source_of_file(&pack, descriptor);
    for (int i = 0; i < COUNT; i++)
        CHECK_OK(support_check(&source, &places[i], &images[i]));
    uint64_t durable_end;
    CHECK_OK(pack_file_sync(file, &durable_end, NULL));
    CHECK_UINT(durable_end, ==, pack_file_end(file));
    CHECK_OK(pack_file_seal(file, NULL));
    CHECK_OK(pack_file_seal(file, NULL));
    CHECK_UINT(pack_file_records(file), ==, COUNT);
    for (int i = 0; i < COUNT; i++)
        CHECK_OK(support_check(&source, &places[i], &images[i]));
    pack_file_close(file);
    size_t length;
    uint8_t *bytes = support_load(directory, &pack, &length);
    struct pack_scan_result result = support_scan(&pack, bytes, length, PACK_STATE_SEALED, 0);
    CHECK(result.sealed);
    CHECK_UINT(result.records, ==, COUNT);
    CHECK_UINT(result.damaged, ==, 0);
    free(bytes);
    close(descriptor);
    close(directory);
}

TEST(a_batch_is_appended_in_order,
     "Many records in one call stand in their order, each with its place.")
{
    enum { COUNT = 200 };
    static struct support_image images[COUNT];
    struct pack_prepared *records[COUNT];
    struct jini_id ids[COUNT];
    int directory = support_directory();
    struct pack_file *file = support_create(directory);
    for (int i = 0; i < COUNT; i++) {
        ids[i] = support_id();
        support_image_make(&images[i], &ids[i], harness_random_below(20000),
                           harness_random_below(300));
        records[i] = &images[i].prepared;
    }
    size_t appended;
    CHECK_OK(pack_file_append(file, records, COUNT, &appended, NULL));
    CHECK_UINT(appended, ==, COUNT);
    CHECK_OK(pack_file_append(file, records, 0, &appended, NULL));
    int descriptor = support_open(directory, &pack_file_header(file)->pack);
    struct pack_source source = pack_source_of_file(&pack_file_header(file)->pack, descriptor);
    for (int i = 0; i < COUNT; i++) {
        struct pack_place place = {records[i]->offset, records[i]->record.sequence};
        CHECK_UINT(place.sequence, ==, i);
        CHECK_OK(support_check(&source, &place, &ids[i]));
        support_image_free(&images[i]);
    }
    close(descriptor);
    pack_file_close(file);
    close(directory);
}

TEST(a_range_is_read_and_checked,
     "Any range of a payload is read alone, and only damage within its blocks matters.")
{
    enum { LENGTH = 5 * PACK_BLOCK_BYTES + 1234 };
    static uint8_t expected[LENGTH];
    static uint8_t bytes[LENGTH];
    int directory = support_directory();
    struct pack_file *file = support_create(directory);
    struct jini_id pack = pack_file_header(file)->pack;
    struct jini_id image;
    struct pack_place place = support_append(file, LENGTH, 99, &image);
    support_fill(&image, 1, expected, LENGTH);
    pack_file_close(file);
    size_t length;
    uint8_t *copy = support_load(directory, &pack, &length);
    struct pack_source source = pack_source_of_bytes(&pack, slice_of(copy, length));
    struct pack_record record;
    for (int i = 0; i < 2000; i++) {
        uint64_t from = harness_random_below(LENGTH + 1);
        size_t wanted = (size_t)harness_random_below(LENGTH - from + 1);
        CHECK_OK(pack_read_range(&source, &place, from, bytes, wanted, &record, NULL));
        CHECK_BYTES(bytes, expected + from, wanted);
    }
    CHECK_STATUS(pack_read_range(&source, &place, 1, bytes, LENGTH, &record, NULL), JINI_E_INVALID);
    CHECK_STATUS(pack_read_range(&source, &place, UINT64_MAX, bytes, 2, &record, NULL),
                 JINI_E_INVALID);
    size_t payload_at = (size_t)(place.offset + pack_payload_at(LENGTH, 99));
    copy[payload_at + 2 * PACK_BLOCK_BYTES + 5] ^= 1;
    CHECK_OK(pack_read_range(&source, &place, 0, bytes, 2 * PACK_BLOCK_BYTES, &record, NULL));
    CHECK_OK(pack_read_range(&source, &place, 3 * PACK_BLOCK_BYTES, bytes, 1000, &record, NULL));
    CHECK_STATUS(
        pack_read_range(&source, &place, 3 * PACK_BLOCK_BYTES - 1, bytes, 1, &record, NULL),
        JINI_E_CORRUPT);
    CHECK_STATUS(pack_read_payload(&source, &place, bytes, LENGTH, &record, NULL), JINI_E_CORRUPT);
    copy[payload_at - 99 - 3] ^= 1;
    CHECK_STATUS(pack_read_range(&source, &place, 0, bytes, 1, &record, NULL), JINI_E_CORRUPT);
    free(copy);
    close(directory);
}

TEST(a_cut_pack_is_told_with_its_length,
     "Of a pack that ends before a record, the message has the length that the file has.")
{
    uint8_t bytes[5000];
    struct jini_error error;
    struct pack_record record;
    int directory = support_directory();
    struct pack_file *file = support_create(directory);
    struct pack_place first = support_append(file, sizeof(bytes), 0, NULL);
    struct pack_place second = support_append(file, sizeof(bytes), 0, NULL);
    struct jini_id pack = pack_file_header(file)->pack;
    int descriptor = support_open(directory, &pack);
    struct pack_source source = pack_source_of_file(&pack, descriptor);
    char path[PACK_PATH_MAX];
    pack_file_close(file);
    pack_path(&pack, path);
    CHECK_INT(truncate(harness_path("%s", path), 3000), ==, 0);
    CHECK_STATUS(pack_read_payload(&source, &first, bytes, sizeof(bytes), &record, &error),
                 JINI_E_CORRUPT);
    CHECK_CONTAINS(error.message, "the pack ends at 3000");
    CHECK_STATUS(pack_read_record(&source, &second, &record, &error), JINI_E_CORRUPT);
    CHECK_CONTAINS(error.message, "the pack ends at 3000");
    close(descriptor);
    close(directory);
}

TEST(a_small_buffer_is_told_the_length,
     "A payload that does not fit is not read, and its length is given.")
{
    uint8_t bytes[100];
    int directory = support_directory();
    struct pack_file *file = support_create(directory);
    struct pack_place place = support_append(file, 101, 102, NULL);
    int descriptor = support_open(directory, &pack_file_header(file)->pack);
    struct pack_source source = pack_source_of_file(&pack_file_header(file)->pack, descriptor);
    struct pack_record record;
    CHECK_STATUS(pack_read_payload(&source, &place, bytes, 100, &record, NULL), JINI_E_TOO_BIG);
    CHECK_UINT(record.stored_length, ==, 101);
    CHECK_STATUS(pack_read_metadata(&source, &place, bytes, 100, &record, NULL), JINI_E_TOO_BIG);
    CHECK_UINT(record.metadata_stored_length, ==, 102);
    struct pack_place wrong = {place.offset, place.sequence + 1};
    CHECK_STATUS(pack_read_record(&source, &wrong, &record, NULL), JINI_E_CORRUPT);
    wrong = (struct pack_place){place.offset + 64, place.sequence};
    CHECK_STATUS(pack_read_record(&source, &wrong, &record, NULL), JINI_E_CORRUPT);
    wrong = (struct pack_place){UINT64_MAX - 63, place.sequence};
    CHECK_STATUS(pack_read_record(&source, &wrong, &record, NULL), JINI_E_CORRUPT);
    close(descriptor);
    pack_file_close(file);
    close(directory);
}

TEST(a_known_hash_is_not_computed_again,
     "The hash that a caller gives of an uncoded image stands in the record.")
{
    struct jini_id id = support_id();
    uint8_t bytes[1000];
    support_fill(&id, 1, bytes, sizeof(bytes));
    struct hash128 hash = hash128(slice_of(bytes, sizeof(bytes)));
    struct pack_input input = {
        .image = id, .payload = slice_of(bytes, sizeof(bytes)), .original_hash = &hash};
    struct pack_prepared given;
    struct pack_prepared computed;
    CHECK_OK(pack_prepare(&input, &given, NULL));
    input.original_hash = NULL;
    CHECK_OK(pack_prepare(&input, &computed, NULL));
    CHECK(hash128_equal(&given.record.stored_hash, &computed.record.stored_hash));
    CHECK(hash128_equal(&given.record.original_hash, &computed.record.original_hash));
    input.codec.id = 3;
    CHECK_STATUS(pack_prepare(&input, &computed, NULL), JINI_E_INVALID);
    input.original_hash = &hash;
    input.original_length = 5000;
    CHECK_OK(pack_prepare(&input, &computed, NULL));
    CHECK_UINT(computed.record.original_length, ==, 5000);
    input.codec.id = PACK_CODEC_NONE;
    CHECK_STATUS(pack_prepare(&input, &computed, NULL), JINI_E_INVALID);
    input.key_id[3] = 1;
    CHECK_OK(pack_prepare(&input, &computed, NULL));
}

TEST(too_long_input_is_refused,
     "Payloads over 256 MiB and metadata over 16 MiB are refused before they are read.")
{
    struct jini_error error;
    struct pack_prepared prepared;
    uint8_t byte = 0;
    struct pack_input input = {.payload = slice_of(&byte, (size_t)PACK_PAYLOAD_BYTES_MAX + 1)};
    CHECK_STATUS(pack_prepare(&input, &prepared, &error), JINI_E_TOO_BIG);
    CHECK_TEXT(error.field, "image");
    input.payload.length = 1;
    input.metadata = slice_of(&byte, (size_t)PACK_METADATA_BYTES_MAX + 1);
    CHECK_STATUS(pack_prepare(&input, &prepared, &error), JINI_E_TOO_BIG);
    CHECK_TEXT(error.field, "metadata");
    pack_prepared_free(&prepared);
}

TEST(a_sealed_pack_takes_nothing, "After sealing an append is refused and the file stays as it is.")
{
    int directory = support_directory();
    struct pack_file *file = support_create(directory);
    support_append(file, 10, 10, NULL);
    CHECK_OK(pack_file_seal(file, NULL));
    struct support_image image;
    struct jini_id id = support_id();
    support_image_make(&image, &id, 10, 0);
    struct pack_prepared *records[1] = {&image.prepared};
    size_t appended = 7;
    CHECK_STATUS(pack_file_append(file, records, 1, &appended, NULL), JINI_E_READ_ONLY);
    CHECK_UINT(appended, ==, 0);
    support_image_free(&image);
    size_t length;
    struct jini_id pack = pack_file_header(file)->pack;
    uint8_t *bytes = support_load(directory, &pack, &length);
    CHECK_UINT(support_scan(&pack, bytes, length, PACK_STATE_SEALED, 0).records, ==, 1);
    free(bytes);
    pack_file_close(file);
    close(directory);
}

TEST(an_id_names_one_pack, "A pack whose file exists is not created again.")
{
    int directory = support_directory();
    struct pack_file *file = support_create(directory);
    struct pack_file *again;
    struct pack_header header = *pack_file_header(file);
    CHECK_STATUS(pack_file_create(directory, &header, &again, NULL), JINI_E_EXISTS);
    CHECK(again == NULL);
    pack_file_close(file);
    close(directory);
}

TEST(a_full_pack_asks_to_be_sealed,
     "The bound on records is kept, and nothing of a batch that breaks it is written.")
{
    enum { BATCH = 4096 };
    static struct pack_prepared *records[BATCH + 1];
    struct support_image image;
    struct jini_id id = support_id();
    support_image_make(&image, &id, 0, 0);
    for (int i = 0; i <= BATCH; i++) {
        records[i] = malloc(sizeof(struct pack_prepared));
        struct pack_input input = {.image = id};
        CHECK_OK(pack_prepare(&input, records[i], NULL));
    }
    int directory = support_directory();
    struct pack_file *file = support_create(directory);
    size_t appended;
    for (int i = 0; i < PACK_RECORDS_MAX / BATCH - 1; i++)
        CHECK_OK(pack_file_append(file, records, BATCH, &appended, NULL));
    uint64_t end = pack_file_end(file);
    CHECK_STATUS(pack_file_append(file, records, BATCH + 1, &appended, NULL), JINI_E_TOO_BIG);
    CHECK_UINT(appended, ==, 0);
    CHECK_UINT(pack_file_end(file), ==, end);
    CHECK_OK(pack_file_append(file, records, BATCH, &appended, NULL));
    CHECK_UINT(pack_file_records(file), ==, PACK_RECORDS_MAX);
    CHECK_OK(pack_file_seal(file, NULL));
    struct jini_id pack = pack_file_header(file)->pack;
    size_t length;
    uint8_t *bytes = support_load(directory, &pack, &length);
    CHECK_UINT(support_scan(&pack, bytes, length, PACK_STATE_SEALED, 0).records, ==,
               PACK_RECORDS_MAX);
    free(bytes);
    for (int i = 0; i <= BATCH; i++) {
        pack_prepared_free(records[i]);
        free(records[i]);
    }
    support_image_free(&image);
    pack_file_close(file);
    close(directory);
}

TEST(a_child_is_refused, "A pack that was opened before a fork takes nothing from the child.")
{
    int directory = support_directory();
    struct pack_file *file = support_create(directory);
    struct support_image image;
    struct jini_id id = support_id();
    support_image_make(&image, &id, 10, 0);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        struct pack_prepared *records[1] = {&image.prepared};
        size_t appended;
        CHECK_STATUS(pack_file_append(file, records, 1, &appended, NULL), JINI_E_FORKED);
        CHECK_STATUS(pack_file_sync(file, NULL, NULL), JINI_E_FORKED);
        CHECK_STATUS(pack_file_seal(file, NULL), JINI_E_FORKED);
        _exit(0);
    }
    harness_wait_exit(pid, 0);
    support_image_free(&image);
    pack_file_close(file);
    close(directory);
}

TEST(no_memory_is_an_error,
     "Whichever allocation fails, the call says so and the pack stays whole.")
{
    int directory = support_directory();
    bool failed = true;
    for (uint64_t nth = 1; failed; nth++) {
        CHECK_UINT(nth, <, 100);
        struct pack_header header = support_header();
        struct jini_id id = support_id();
        uint8_t *bytes = malloc(3 << 20);
        support_fill(&id, 1, bytes, 3 << 20);
        struct pack_input input = {.image = id, .payload = slice_of(bytes, 3 << 20)};
        struct pack_prepared prepared = {0};
        struct pack_prepared *records[1] = {&prepared};
        struct pack_file *file = NULL;
        size_t appended = 0;
        harness_fail_allocation(nth);
        int status = pack_file_create(directory, &header, &file, NULL);
        if (!status)
            status = pack_prepare(&input, &prepared, NULL);
        if (!status)
            status = pack_file_append(file, records, 1, &appended, NULL);
        if (!status)
            status = pack_file_seal(file, NULL);
        failed = harness_allocation_failed();
        harness_fail_allocation(0);
        CHECK_STATUS(status, failed ? JINI_E_NO_MEMORY : 0);
        if (file && appended)
            CHECK_OK(pack_file_seal(file, NULL));
        pack_prepared_free(&prepared);
        pack_file_close(file);
        free(bytes);
    }
    close(directory);
}

TEST(records_that_are_taken_back_are_gone, "Records that nobody was told of are cut off: the next "
                                           "one stands in their place, and the sealed "
                                           "pack is whole without them.")
{
    int directory = support_directory();
    struct pack_file *file = support_create(directory);
    struct jini_id pack = pack_file_header(file)->pack;
    struct jini_id first_id;
    struct jini_id last_id;
    struct pack_place first = support_append(file, 5000, 10, &first_id);
    struct pack_place second = support_append(file, 70000, 0, NULL);
    support_append(file, 10, 10, NULL);
    CHECK_OK(pack_file_sync(file, NULL, NULL));
    CHECK_OK(pack_file_cut(file, 3, NULL)); /* none are behind these */
    CHECK_OK(pack_file_cut(file, 1, NULL));
    CHECK_UINT(pack_file_records(file), ==, 1);
    CHECK_UINT(pack_file_end(file), ==, second.offset);
    struct pack_place last = support_append(file, 300, 20, &last_id);
    CHECK_UINT(last.offset, ==, second.offset);
    CHECK_UINT(last.sequence, ==, second.sequence);
    CHECK_OK(pack_file_seal(file, NULL));
    pack_file_close(file);
    size_t length;
    uint8_t *bytes = support_load(directory, &pack, &length);
    struct pack_scan_result result = support_scan(&pack, bytes, length, PACK_STATE_SEALED, 0);
    CHECK(result.sealed);
    CHECK_UINT(result.records, ==, 2);
    CHECK_UINT(result.damaged, ==, 0);
    struct pack_source source = pack_source_of_bytes(&pack, slice_of(bytes, length));
    CHECK_OK(support_check(&source, &first, &first_id));
    CHECK_OK(support_check(&source, &last, &last_id));
    free(bytes);
    close(directory);
}
