/*
 * What the tests of packs share: images whose bytes follow from their id, and packs made of them.
 */
#ifndef PACK_SUPPORT_H
#define PACK_SUPPORT_H

#include "base/clock.h"
#include "base/id.h"
#include "images/pack_file.h"
#include "images/pack_path.h"
#include "images/pack_read.h"
#include "images/pack_recover.h"
#include "images/pack_scan.h"

#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <jini/error.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUPPORT static __attribute__((unused))

/* Ids from the case's seed, so that a run can be repeated. */
SUPPORT struct jini_id support_id(void)
{
    struct jini_id id;
    for (int i = 0; i < JINI_ID_BYTES; i++)
        id.bytes[i] = (uint8_t)harness_random();
    id.bytes[0] = 1; /* a year in this century */
    id.bytes[1] = 0x90;
    return id;
}

SUPPORT int support_directory(void)
{
    int directory = open(harness_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(directory >= 0);
    return directory;
}

/* Fills `to` with bytes that follow from the id: payload and metadata differ by `salt`. */
SUPPORT void support_fill(const struct jini_id *id, uint8_t salt, uint8_t *to, size_t length)
{
    uint64_t state = load_le64(id->bytes + 8) ^ ((uint64_t)salt << 32);
    for (size_t i = 0; i < length; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        to[i] = (uint8_t)(state >> 56);
    }
}

/* One image to be appended, with its own bytes. */
struct support_image {
    struct pack_prepared prepared;
    uint8_t *payload;
    uint8_t *metadata;
};

SUPPORT void support_image_make(struct support_image *image, const struct jini_id *id,
                                size_t payload_length, size_t metadata_length)
{
    image->payload = malloc(payload_length + 1);
    image->metadata = malloc(metadata_length + 1);
    CHECK(image->payload && image->metadata);
    support_fill(id, 1, image->payload, payload_length);
    support_fill(id, 2, image->metadata, metadata_length);
    struct pack_input input = {
        .image = *id,
        .payload = slice_of(image->payload, payload_length),
        .metadata = slice_of(image->metadata, metadata_length),
    };
    CHECK_OK(pack_prepare(&input, &image->prepared, NULL));
}

SUPPORT void support_image_free(struct support_image *image)
{
    pack_prepared_free(&image->prepared);
    free(image->payload);
    free(image->metadata);
}

SUPPORT struct pack_header support_header(void)
{
    return (struct pack_header){
        .pack = support_id(),
        .instance = support_id(),
        .created_ns = UINT64_C(1700000000000000000),
        .tier_group = 2,
        .expiry_day = 20000,
    };
}

SUPPORT struct pack_file *support_create(int directory)
{
    struct pack_header header = support_header();
    struct pack_file *file;
    struct jini_error error = {0};
    int status = pack_file_create(directory, &header, &file, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "create: %s", error.message);
    return file;
}

/* Appends one image with a random id. */
SUPPORT struct pack_place support_append(struct pack_file *file, size_t payload_length,
                                         size_t metadata_length, struct jini_id *image_id)
{
    struct support_image image;
    struct jini_id id = support_id();
    support_image_make(&image, &id, payload_length, metadata_length);
    struct pack_prepared *records[1] = {&image.prepared};
    size_t appended;
    CHECK_OK(pack_file_append(file, records, 1, &appended, NULL));
    CHECK_UINT(appended, ==, 1);
    struct pack_place place = {image.prepared.offset, image.prepared.record.sequence};
    support_image_free(&image);
    if (image_id)
        *image_id = id;
    return place;
}

/* Reads payload and metadata of an image, and compares them with what follows from its id. */
SUPPORT int support_check(const struct pack_source *source, const struct pack_place *place,
                          const struct jini_id *id)
{
    struct pack_record record;
    int status = pack_read_record(source, place, &record, NULL);
    if (status)
        return status;
    size_t length = (size_t)record.stored_length;
    size_t metadata_length = record.metadata_stored_length;
    uint8_t *bytes = malloc(2 * (length + metadata_length) + 1);
    CHECK(bytes);
    status = pack_read_payload(source, place, bytes, length, &record, NULL);
    if (!status)
        status = pack_read_metadata(source, place, bytes + length, metadata_length, &record, NULL);
    if (!status) {
        uint8_t *expected = bytes + length + metadata_length;
        support_fill(id, 1, expected, length);
        support_fill(id, 2, expected + length, metadata_length);
        CHECK(memcmp(record.image.bytes, id->bytes, JINI_ID_BYTES) == 0);
        CHECK_BYTES(bytes, expected, length + metadata_length);
    }
    free(bytes);
    return status;
}

/* A whole file in memory. */
SUPPORT uint8_t *support_load(int directory, const struct jini_id *pack, size_t *length)
{
    char path[PACK_PATH_MAX];
    pack_path(pack, path);
    int descriptor = openat(directory, path, O_RDONLY | O_CLOEXEC);
    CHECK(descriptor >= 0);
    struct stat info;
    CHECK(fstat(descriptor, &info) == 0);
    *length = (size_t)info.st_size;
    uint8_t *bytes = malloc(*length + 1);
    CHECK(bytes);
    CHECK_INT(pread(descriptor, bytes, *length, 0), ==, (int64_t)*length);
    close(descriptor);
    return bytes;
}

/* Puts these bytes where the file of the pack lies, and makes its directories. */
SUPPORT void support_save(int directory, const struct jini_id *pack, const uint8_t *bytes,
                          size_t length)
{
    char path[PACK_PATH_MAX];
    pack_path(pack, path);
    CHECK_OK(pack_path_prepare(directory, pack, NULL));
    int descriptor = openat(directory, path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(descriptor >= 0);
    CHECK_INT(pwrite(descriptor, bytes, length, 0), ==, (int64_t)length);
    close(descriptor);
}

SUPPORT int support_open(int directory, const struct jini_id *pack)
{
    char path[PACK_PATH_MAX];
    pack_path(pack, path);
    return openat(directory, path, O_RDONLY | O_CLOEXEC);
}

/*
 * A small sealed pack in memory: some records with and without metadata, of all kinds of lengths.
 */
struct support_pack {
    struct jini_id id;
    uint8_t *bytes;
    size_t length;
    size_t record_end; /* where the footer begins */
    unsigned count;
    struct pack_place places[8];
    struct jini_id images[8];
    uint64_t ends[8];
};

SUPPORT void support_pack_make(int directory, struct support_pack *pack)
{
    static const size_t lengths[][2] = {{100, 0}, {0, 30}, {70000, 12}, {64, 64}, {1, 1}};
    struct pack_file *file = support_create(directory);
    pack->id = pack_file_header(file)->pack;
    pack->count = sizeof(lengths) / sizeof(lengths[0]);
    for (unsigned i = 0; i < pack->count; i++) {
        pack->places[i] = support_append(file, lengths[i][0], lengths[i][1], &pack->images[i]);
        pack->ends[i] = pack_file_end(file);
    }
    pack->record_end = (size_t)pack_file_end(file);
    CHECK_OK(pack_file_seal(file, NULL));
    pack_file_close(file);
    pack->bytes = support_load(directory, &pack->id, &pack->length);
}

/* Scans bytes as those of a pack of which the index knows this. */
SUPPORT struct pack_scan_result support_scan(const struct jini_id *id, const uint8_t *bytes,
                                             size_t length, enum pack_state expected,
                                             uint64_t acknowledged_end)
{
    struct pack_source source = pack_source_of_bytes(id, slice_of(bytes, length));
    struct pack_scan_options options = {PACK_SCAN_EVERYTHING, expected, acknowledged_end};
    struct pack_scan_result result;
    struct jini_error error = {0};
    int status = pack_scan(&source, &options, NULL, NULL, &result, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "scan: %s: %s", jini_status_name(status), error.message);
    return result;
}

#endif
