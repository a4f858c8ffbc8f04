/* The cache between reads of cold images and the archive. */
#include "cold_fixture.h"

#include "engine/cold.h"
#include "generations/generations.h"
#include "images/cache.h"
#include "images/index.h"

enum { IMAGES = 10 };

/* The place of an image as the index has it. */
static struct index_location location_of(struct jini *jini, const struct jini_id *id)
{
    struct store_txn *txn;
    struct generations_image image;
    struct index_location location;
    CHECK_OK(store_read_begin(jini->store, &txn));
    CHECK_OK(generations_image_get(txn, id, &image, NULL));
    CHECK_OK(
        index_location_get(txn, &image.place.pack_id, image.place.pack_sequence, id, &location));
    store_read_end(txn);
    return location;
}

/* The cached record of a place, held, or NULL. */
static struct cache_entry *cached(struct jini *jini, const struct index_location *location)
{
    struct cache_key key = {location->pack, location->sequence};
    return cache_get(jini->image_cache, &key);
}

static uint64_t bytes_cached(struct jini *jini)
{
    struct jini_archive_status status;
    struct jini_error error;
    CHECK_OK(jini_archive_status(jini, &status, &error));
    return status.bytes_cached;
}

static struct jini *open_with_cache(uint64_t bytes)
{
    struct jini_options options;
    cold_options(&options);
    options.cache_image_bytes = bytes;
    return fixture_open_with(&options);
}

TEST(a_cold_record_is_got_once, "The first read of a cold image is one GET, of its record alone; "
                                "those that follow, also of its metadata, are none.")
{
    struct png_request png = {64, 64, 0, NULL, NULL};
    char text[3000];
    struct jini_image_put put;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    png.parameters = text;
    struct jini *jini = open_with_cache(1 << 20);
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    fixture_must(jini_image_put(jini, &put, NULL), "put", &put.request.error);
    struct jini_id others[IMAGES];
    cold_images(jini, 0, others, IMAGES);
    struct archive_statistics before;
    struct archive_statistics after;
    static uint8_t bytes[16384];
    archive_statistics(cold_archive(jini), &before);
    for (int i = 0; i < 6; i++) {
        struct jini_image_get get;
        jini_request_init(&get);
        get.id = put.image.id;
        get.what = i % 2 ? JINI_GET_METADATA : JINI_GET_BYTES;
        get.buffer = bytes;
        get.capacity = sizeof(bytes);
        fixture_must(jini_image_get(jini, &get, NULL), "get", &get.request.error);
        if (get.what == JINI_GET_BYTES)
            CHECK_BYTES(bytes, file, put.length);
        CHECK_UINT(get.length, ==, i % 2 ? put.image.metadata_bytes : put.length);
    }
    archive_statistics(cold_archive(jini), &after);
    const struct archive_operation_statistics *gets = after.operations + ARCHIVE_GET;
    CHECK_UINT(gets->finished - before.operations[ARCHIVE_GET].finished, ==, 1);
    CHECK_UINT(gets->bytes - before.operations[ARCHIVE_GET].bytes, <, put.length + 1000);
    free(file);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(the_cache_is_bounded,
     "A cache with room for three records holds no more: each image beyond that is a GET again, "
     "and one that was just read is none.")
{
    struct jini_id ids[IMAGES];
    struct jini *jini = open_with_cache(3 * 5000);
    cold_images(jini, 0, ids, IMAGES);
    uint64_t before = cold_gets(jini);
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < IMAGES; i++) {
            CHECK_OK(fixture_get(jini, &ids[i], i));
            CHECK_UINT(bytes_cached(jini), <=, 3 * 5000);
            uint64_t gets = cold_gets(jini);
            CHECK_OK(fixture_get(jini, &ids[i], i));
            CHECK_UINT(cold_gets(jini), ==, gets);
        }
    }
    CHECK_UINT(bytes_cached(jini), >, 2 * 4000);
    CHECK_UINT(cold_gets(jini) - before, >=, IMAGES + 2 * (IMAGES - 3));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(without_a_cache_each_read_is_a_get, "With cache.image_bytes 0 nothing is kept.")
{
    struct jini_id id;
    struct jini *jini = open_with_cache(0);
    cold_images(jini, 0, &id, 1);
    uint64_t before = cold_gets(jini);
    for (int i = 0; i < 4; i++)
        CHECK_OK(fixture_get(jini, &id, 0));
    CHECK_UINT(cold_gets(jini) - before, ==, 4);
    CHECK_UINT(bytes_cached(jini), ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_cached_copy_is_checked_each_time,
     "A copy that rotted in memory, wherever in the record, is thrown away, and the image is got "
     "anew and right.")
{
    struct jini_id id;
    struct jini *jini = open_with_cache(1 << 20);
    cold_images(jini, 0, &id, 1);
    CHECK_OK(fixture_get(jini, &id, 0));
    struct index_location location = location_of(jini, &id);
    uint64_t length = pack_record_length(location.stored_length, location.metadata_stored_length);
    for (uint64_t place = 0; place < length; place += 1 + harness_random_below(200)) {
        uint64_t before = cold_gets(jini);
        struct cache_entry *entry = cached(jini, &location);
        CHECK(entry != NULL);
        cache_entry_bytes(entry)[place] ^= 1;
        cache_entry_release(entry);
        CHECK_OK(fixture_get(jini, &id, 0));
        CHECK_UINT(cold_gets(jini) - before, ==, 1);
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static int op_put_location(struct store_txn *txn, void *argument)
{
    return index_location_put(txn, argument);
}

TEST(a_damaged_row_harms_no_image_beside_it,
     "Of two images that share a record, one whose row has a wrong length is damaged, and the "
     "other is read as if that were not there: it does not wait for the same GET.")
{
    static struct cold_get_later reads[2];
    struct jini_id ids[2];
    struct jini *jini = open_with_cache(1 << 20);
    uint64_t user = fixture_user(jini, "bob", "Premium");
    for (unsigned i = 0; i < 2; i++)
        ids[i] = fixture_put(jini, user, 0);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    struct index_location damaged = location_of(jini, &ids[0]);
    CHECK_UINT(location_of(jini, &ids[1]).sequence, ==, damaged.sequence);
    damaged.stored_length -= 200;
    CHECK_OK(store_write(jini->store, op_put_location, &damaged));
    cold_faults(jini, "script=hang+pass,operations=get");
    CHECK_OK(cold_submit(jini, &reads[0], &ids[0], 0, 0));
    cold_wait_for(jini, "jini_archive_reads 1");
    CHECK_OK(cold_submit(jini, &reads[1], &ids[1], 0, 0));
    CHECK_OK(cold_result(&reads[1]));
    jini_cancel(jini, &reads[0].get.request);
    CHECK_STATUS(cold_result(&reads[0]), JINI_E_CANCELLED);
    CHECK_STATUS(fixture_get(jini, &ids[0], 0), JINI_E_CORRUPT);
    CHECK_OK(fixture_get(jini, &ids[1], 0));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_short_entry_is_not_read_past_its_end,
     "A record that was fetched by a row with too small a length is refused as cut by a row that "
     "says more.")
{
    struct jini_id id;
    struct jini_error error;
    struct cold_record record;
    struct jini *jini = open_with_cache(1 << 20);
    cold_images(jini, 0, &id, 1);
    CHECK_OK(fixture_get(jini, &id, 0));
    struct index_location location = location_of(jini, &id);
    struct cache_key key = {location.pack, location.sequence};
    struct cache_entry *whole = cached(jini, &location);
    size_t length = cache_entry_length(whole) - 200;
    record.entry = cache_entry_new(&key, length);
    memcpy(cache_entry_bytes(record.entry), cache_entry_bytes(whole), length);
    CHECK_STATUS(cold_record_check(&location, &record, &error), JINI_E_CORRUPT);
    CHECK(strstr(error.message, "is cut after") != NULL);
    cache_entry_release(record.entry);
    cache_entry_release(whole);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(nothing_purged_is_served_from_memory,
     "A purged image is not found, however fresh its bytes are in the cache, and a double of it "
     "that lives is still read.")
{
    struct jini_id ids[2];
    struct jini_id double_of_first;
    struct jini *jini = open_with_cache(1 << 20);
    uint64_t user = fixture_user(jini, "bob", "Premium");
    double_of_first = fixture_put(jini, user, 0);
    cold_images(jini, 0, ids, 2);
    struct index_location shared = location_of(jini, &ids[0]);
    struct index_location alone = location_of(jini, &ids[1]);
    CHECK_UINT(location_of(jini, &double_of_first).sequence, ==, shared.sequence);
    for (unsigned i = 0; i < 2; i++) {
        struct jini_image_remove remove;
        jini_request_init(&remove);
        CHECK_OK(fixture_get(jini, &ids[i], i));
        remove.id = ids[i];
        CHECK_OK(jini_image_remove(jini, &remove, NULL));
        CHECK_STATUS(fixture_get(jini, &ids[i], i), JINI_E_NOT_FOUND);
    }
    fixture_days_pass(1);
    struct jini_archive_run run;
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run);
    CHECK_UINT(run.images_purged, ==, 2);
    struct cache_entry *entry = cached(jini, &alone);
    CHECK(entry != NULL); /* the bytes are at hand, and nothing leads to them */
    cache_entry_release(entry);
    uint64_t before = cold_gets(jini);
    for (unsigned i = 0; i < 2; i++)
        CHECK_STATUS(fixture_get(jini, &ids[i], i), JINI_E_NOT_FOUND);
    CHECK_UINT(cold_gets(jini), ==, before);
    CHECK_OK(fixture_get(jini, &double_of_first, 0));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
