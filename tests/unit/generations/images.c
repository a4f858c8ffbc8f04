/* Images: their records, places, trash, and what hangs on them. */
#include "records.h"

STORE_TEST(an_image_is_read_back, "Every member of a new image is read back.")
{
    struct store *store = records_open(driver);
    struct generations_image_new new = make_image(5, 7);
    CHECK_OK(create_image(store, &new));
    struct generations_image out;
    CHECK_OK(get_image(store, new.image.id, &out));
    struct jini_image expected = new.image;
    expected.expires_ms = new.place.expires_ms;
    CHECK_INT(jini_id_compare(&out.image.id, &expected.id), ==, 0);
    CHECK_INT(jini_id_compare(&out.image.job_id, &expected.job_id), ==, 0);
    CHECK_INT(jini_id_compare(&out.place.pack_id, &new.place.pack_id), ==, 0);
    CHECK_BYTES(out.image.hash, expected.hash, sizeof(expected.hash));
    CHECK_TEXT(out.image.media_type, "image/png");
    CHECK_UINT(out.image.user_id, ==, 7);
    CHECK_UINT(out.image.created_ms, ==, 2005);
    CHECK_UINT(out.image.expires_ms, ==, 5000000);
    CHECK_UINT(out.image.bytes, ==, 100005);
    CHECK_UINT(out.place.stored_bytes, ==, 99000);
    CHECK_UINT(out.image.metadata_bytes, ==, 14);
    CHECK_INT(out.image.seed, ==, -77);
    CHECK_UINT(out.image.width, ==, 512);
    CHECK_UINT(out.image.height, ==, 768);
    CHECK_UINT(out.image.flags, ==, JINI_IMAGE_HAS_SEED);
    CHECK_INT(out.place.state, ==, JINI_IMAGE_HOT);
    CHECK_UINT(out.place.pack_sequence, ==, 5);
    CHECK_UINT(out.metadata_inline, ==, 1);
    CHECK_UINT(out.trashed_ms, ==, 0);
    CHECK_STATUS(get_image(store, make_id(2, 6), &out), JINI_E_NOT_FOUND);
    store_close(store);
}

static void check_refused(struct store *store, const struct generations_image_new *image,
                          int expected, const char *field)
{
    struct call call = {.run = run_image_create, .in = image};
    CHECK_STATUS(change(store, &call), expected);
    CHECK_TEXT(call.error.field, field);
}

STORE_TEST(bad_members_are_refused,
           "A member that breaks its rule is named, and nothing is stored.")
{
    struct store *store = records_open(driver);
    static const uint8_t long_metadata[GENERATIONS_METADATA_INLINE_MAX + 1];
    struct generations_image_new new = make_image(1, 7);
    memset(&new.image.id, 0, sizeof(new.image.id));
    check_refused(store, &new, JINI_E_INVALID, "id");
    new = make_image(1, 7);
    memset(new.image.media_type, 'x', sizeof(new.image.media_type));
    check_refused(store, &new, JINI_E_INVALID, "media_type");
    new = make_image(1, 7);
    new.image.flags = 1u << 7;
    check_refused(store, &new, JINI_E_INVALID, "flags");
    new = make_image(1, 7);
    new.image.bytes = UINT64_MAX;
    check_refused(store, &new, JINI_E_INVALID, "bytes");
    new = make_image(1, 7);
    new.image.metadata_bytes = 13;
    check_refused(store, &new, JINI_E_INVALID, "metadata_bytes");
    new.image.metadata_bytes = sizeof(long_metadata);
    new.metadata = slice_of(long_metadata, sizeof(long_metadata));
    check_refused(store, &new, JINI_E_INVALID, "metadata");
    new = make_image(1, 7);
    new.place.state = JINI_IMAGE_TRASH;
    check_refused(store, &new, JINI_E_INVALID, "state");
    new.place.state = (enum jini_image_state)0;
    check_refused(store, &new, JINI_E_INVALID, "state");
    new = make_image(1, 7);
    new.image.job_id = make_id(1, 1);
    check_refused(store, &new, JINI_E_NOT_FOUND, "job");
    CHECK_UINT(count_rows(store, STORE_SPACE_IMAGES), ==, 0);
    CHECK_UINT(count_rows(store, STORE_SPACE_ACTIVITY), ==, 0);
    new = make_image(1, 7);
    CHECK_OK(create_image(store, &new));
    check_refused(store, &new, JINI_E_EXISTS, "id");
    store_close(store);
}

static int run_metadata(struct store_txn *txn, struct call *call)
{
    struct buffer *out = call->out;
    buffer_reset(out);
    return generations_image_metadata(txn, &call->id, out, &call->error);
}

STORE_TEST(
    metadata_is_kept_verbatim,
    "Metadata of up to 1,024 bytes of any kind is read back; longer metadata is left to the pack.")
{
    struct store *store = records_open(driver);
    static uint8_t metadata[GENERATIONS_METADATA_INLINE_MAX];
    static uint8_t bytes[GENERATIONS_METADATA_INLINE_MAX];
    struct buffer out = buffer_of(bytes, sizeof(bytes));
    struct generations_image image;
    for (uint64_t length = 0; length <= sizeof(metadata); length += 128) {
        for (size_t i = 0; i < length; i++)
            metadata[i] = (uint8_t)harness_random();
        struct generations_image_new new = make_image(length, 7);
        new.image.metadata_bytes = length;
        new.metadata = slice_of(metadata, length);
        CHECK_OK(create_image(store, &new));
        struct call call = {.run = run_metadata, .id = new.image.id, .out = &out};
        CHECK_OK(look(store, &call));
        CHECK(slice_equal(buffer_slice(&out), new.metadata));
        CHECK_OK(get_image(store, new.image.id, &image));
        CHECK_UINT(image.metadata_inline, ==, length != 0);
        out.capacity = length ? length - 1 : 0;
        CHECK_STATUS(look(store, &call), length ? JINI_E_TOO_BIG : 0);
        out.capacity = sizeof(bytes);
    }
    struct generations_image_new new = make_image(1, 7);
    new.image.metadata_bytes = 2 << 20;
    new.metadata = slice_of(NULL, 0);
    CHECK_OK(create_image(store, &new));
    CHECK_OK(get_image(store, new.image.id, &image));
    CHECK_UINT(image.image.metadata_bytes, ==, 2 << 20);
    CHECK_UINT(image.metadata_inline, ==, 0);
    struct call call = {.run = run_metadata, .id = new.image.id, .out = &out};
    CHECK_OK(look(store, &call));
    CHECK_UINT(out.length, ==, 0);
    store_close(store);
}

struct images_call {
    struct jini_id out[JINI_JOB_IMAGES_MAX];
    size_t capacity;
    size_t count;
};

static int run_job_images(struct store_txn *txn, struct call *call)
{
    struct images_call *images = call->out;
    return generations_job_images(txn, &call->id, images->out, images->capacity, &images->count,
                                  &call->error);
}

STORE_TEST(a_job_knows_its_images, "A job tells up to 256 images in the order in which they came.")
{
    struct store *store = records_open(driver);
    static struct images_call images;
    struct generations_job job = make_job(1, 7);
    struct jini_job out;
    job.parameters.count = JINI_JOB_IMAGES_MAX;
    CHECK_OK(create_job(store, &job));
    struct call call = {.run = run_job_images, .id = job.id, .out = &images};
    images.capacity = 0;
    CHECK_OK(look(store, &call));
    for (uint64_t i = 0; i < JINI_JOB_IMAGES_MAX; i++) {
        struct generations_image_new new = make_image(i, 7);
        new.image.job_id = job.id;
        CHECK_OK(create_image(store, &new));
    }
    CHECK_OK(delete_image(store, make_id(2, 3)));
    CHECK_OK(set_job_state(store, job.id, JINI_JOB_IN_PROGRESS));
    CHECK_OK(get_job(store, job.id, &out));
    CHECK_UINT(out.images, ==, JINI_JOB_IMAGES_MAX);
    images.capacity = JINI_JOB_IMAGES_MAX;
    CHECK_OK(look(store, &call));
    CHECK_UINT(images.count, ==, JINI_JOB_IMAGES_MAX);
    for (uint64_t i = 0; i < JINI_JOB_IMAGES_MAX; i++) {
        struct jini_id id = make_id(2, i);
        CHECK_INT(jini_id_compare(&images.out[i], &id), ==, 0);
    }
    images.capacity = JINI_JOB_IMAGES_MAX - 1;
    CHECK_STATUS(look(store, &call), JINI_E_TOO_BIG);
    struct generations_image_new new = make_image(1000, 7);
    new.image.job_id = job.id;
    check_refused(store, &new, JINI_E_CONFLICT, "count");
    new.image.user_id = 8;
    check_refused(store, &new, JINI_E_INVALID, "job_id");
    call.id = make_id(1, 2);
    CHECK_STATUS(look(store, &call), JINI_E_NOT_FOUND);
    store_close(store);
}

STORE_TEST(a_job_takes_as_many_images_as_it_counts,
           "One image more than the count of a job is refused in numbers, also when others of it "
           "were deleted, and it is not stored.")
{
    struct store *store = records_open(driver);
    for (uint32_t count = 1; count <= 3; count++) {
        struct generations_job job = make_job(count, 7);
        struct generations_image_new new = make_image(count * 10, 7);
        struct generations_image out;
        job.parameters.count = count;
        new.image.job_id = job.id;
        CHECK_OK(create_job(store, &job));
        for (uint32_t i = 0; i < count; i++) {
            new.image.id = make_id(2, count * 10 + i);
            CHECK_OK(create_image(store, &new));
        }
        CHECK_OK(delete_image(store, new.image.id));
        new.image.id = make_id(2, count * 10 + count);
        struct call call = {.run = run_image_create, .in = &new};
        char numbers[64];
        snprintf(numbers, sizeof(numbers), "for %u images and has had %u", count, count);
        CHECK_STATUS(change(store, &call), JINI_E_CONFLICT);
        CHECK_TEXT(call.error.field, "count");
        CHECK_CONTAINS(call.error.message, numbers);
        CHECK_STATUS(get_image(store, new.image.id, &out), JINI_E_NOT_FOUND);
    }
    store_close(store);
}

STORE_TEST(
    an_image_moves_between_tiers,
    "Each allowed change of place is stored with its pack; one that skips a step changes nothing.")
{
    struct store *store = records_open(driver);
    static const enum jini_image_state way[] = {JINI_IMAGE_HOT,          JINI_IMAGE_HOT_ARCHIVED,
                                                JINI_IMAGE_COLD,         JINI_IMAGE_COLD,
                                                JINI_IMAGE_HOT_ARCHIVED, JINI_IMAGE_HOT};
    struct generations_image_new new = make_image(1, 7);
    CHECK_OK(create_image(store, &new));
    struct generations_image out;
    for (uint32_t i = 0; i < sizeof(way) / sizeof(way[0]); i++) {
        struct generations_place place = {.state = way[i],
                                          .pack_id = make_id(4, i),
                                          .pack_sequence = i,
                                          .stored_bytes = 1000 + i,
                                          .expires_ms = 6000000 + i};
        CHECK_OK(update_image(store, new.image.id, &place));
        CHECK_OK(get_image(store, new.image.id, &out));
        CHECK_INT(out.place.state, ==, way[i]);
        CHECK_INT(jini_id_compare(&out.place.pack_id, &place.pack_id), ==, 0);
        CHECK_UINT(out.place.pack_sequence, ==, i);
        CHECK_UINT(out.place.stored_bytes, ==, 1000 + i);
        CHECK_UINT(out.image.expires_ms, ==, 6000000 + i);
        CHECK_UINT(out.image.bytes, ==, 100001);
    }
    struct generations_place cold = {.state = JINI_IMAGE_COLD};
    CHECK_STATUS(update_image(store, new.image.id, &cold), JINI_E_CONFLICT);
    struct generations_place trash = {.state = JINI_IMAGE_TRASH};
    CHECK_STATUS(update_image(store, new.image.id, &trash), JINI_E_INVALID);
    CHECK_STATUS(update_image(store, make_id(2, 2), &cold), JINI_E_NOT_FOUND);
    struct generations_image again;
    CHECK_OK(get_image(store, new.image.id, &again));
    CHECK_INT(memcmp(&again, &out, sizeof(out)), ==, 0);
    store_close(store);
}

static void check_due(struct store *store, enum generations_due_kind kind, uint64_t due_ms)
{
    static struct generations_due due[DUE_LISTED_MAX];
    CHECK_UINT(count_rows(store, STORE_SPACE_QUEUE), ==, due_ms != 0);
    CHECK_UINT(list_due(store, kind, UINT64_MAX, due), ==, due_ms != 0);
    if (due_ms == 0)
        return;
    CHECK_UINT(due[0].due_ms, ==, due_ms);
    CHECK_UINT(list_due(store, kind, due_ms - 1, due), ==, 0);
    CHECK_UINT(list_due(store, kind, due_ms, due), ==, 1);
}

static void check_usage(struct store *store, uint64_t images, uint64_t trashed)
{
    struct jini_usage usage;
    CHECK_OK(get_usage(store, 7, &usage));
    CHECK_UINT(usage.images, ==, images);
    CHECK_UINT(usage.bytes, ==, images * 100001);
    CHECK_UINT(usage.trashed_images, ==, trashed);
    CHECK_UINT(usage.trashed_bytes, ==, trashed * 100001);
}

STORE_TEST(the_trash_keeps_what_was_there,
           "An image that comes out of the trash is as it was, and falls due as it was to.")
{
    struct store *store = records_open(driver);
    struct generations_image_new new = make_image(1, 7);
    struct generations_image before;
    struct generations_image out;
    CHECK_OK(create_image(store, &new));
    CHECK_OK(get_image(store, new.image.id, &before));
    check_due(store, GENERATIONS_DUE_IMAGE, 5000000);
    check_usage(store, 1, 0);
    CHECK_STATUS(untrash_image(store, new.image.id), JINI_E_CONFLICT);
    CHECK_STATUS(trash_image(store, new.image.id, 0), JINI_E_INVALID);
    CHECK_OK(trash_image(store, new.image.id, 777000));
    check_due(store, GENERATIONS_DUE_PURGE, 777000);
    check_usage(store, 0, 1);
    CHECK_STATUS(trash_image(store, new.image.id, 888000), JINI_E_CONFLICT);
    CHECK_OK(get_image(store, new.image.id, &out));
    CHECK(out.image.flags & JINI_IMAGE_TRASHED);
    CHECK_INT(out.place.state, ==, JINI_IMAGE_HOT);
    CHECK_UINT(out.trashed_ms, ==, 60000);
    CHECK_UINT(out.purge_ms, ==, 777000);
    CHECK_OK(untrash_image(store, new.image.id));
    check_due(store, GENERATIONS_DUE_IMAGE, 5000000);
    check_usage(store, 1, 0);
    CHECK_OK(get_image(store, new.image.id, &out));
    CHECK_INT(memcmp(&out, &before, sizeof(out)), ==, 0);
    CHECK_STATUS(trash_image(store, make_id(2, 2), 1), JINI_E_NOT_FOUND);
    CHECK_STATUS(untrash_image(store, make_id(2, 2)), JINI_E_NOT_FOUND);
    store_close(store);
}

STORE_TEST(
    tiering_goes_on_in_the_trash,
    "An image that moves while it is in the trash stays there, and comes out where it is by then.")
{
    struct store *store = records_open(driver);
    struct generations_image_new new = make_image(1, 7);
    struct generations_image out;
    CHECK_OK(create_image(store, &new));
    CHECK_OK(trash_image(store, new.image.id, 777000));
    struct generations_place place = {.state = JINI_IMAGE_HOT_ARCHIVED, .expires_ms = 0};
    CHECK_OK(update_image(store, new.image.id, &place));
    CHECK_OK(get_image(store, new.image.id, &out));
    CHECK(out.image.flags & JINI_IMAGE_TRASHED);
    check_due(store, GENERATIONS_DUE_PURGE, 777000);
    CHECK_OK(untrash_image(store, new.image.id));
    CHECK_OK(get_image(store, new.image.id, &out));
    CHECK(!(out.image.flags & JINI_IMAGE_TRASHED));
    CHECK_INT(out.place.state, ==, JINI_IMAGE_HOT_ARCHIVED);
    check_due(store, GENERATIONS_DUE_IMAGE, 0);
    place.expires_ms = 42;
    CHECK_OK(update_image(store, new.image.id, &place));
    check_due(store, GENERATIONS_DUE_IMAGE, 42);
    store_close(store);
}

STORE_TEST(a_deleted_image_leaves_only_its_number,
           "Deleting an image, in the trash or not, takes it from list, counts and queue, and says "
           "what it was.")
{
    struct store *store = records_open(driver);
    for (uint64_t user_id = 0; user_id <= 7; user_id += 7) {
        for (int trashed = 0; trashed <= 1; trashed++) {
            struct generations_image_new new = make_image(1, user_id);
            struct generations_image out;
            CHECK_OK(create_image(store, &new));
            if (trashed)
                CHECK_OK(trash_image(store, new.image.id, 777000));
            struct call call = {.run = run_image_delete, .id = new.image.id, .out = &out};
            CHECK_OK(change(store, &call));
            CHECK_UINT(out.image.bytes, ==, 100001);
            CHECK(!(out.image.flags & JINI_IMAGE_TRASHED) == !trashed);
            CHECK_STATUS(change(store, &call), JINI_E_NOT_FOUND);
            CHECK_UINT(count_rows(store, STORE_SPACE_IMAGES), ==, 0);
            CHECK_UINT(count_rows(store, STORE_SPACE_QUEUE), ==, 0);
            CHECK_UINT(count_rows(store, STORE_SPACE_ACTIVITY), ==, user_id != 0);
            check_usage(store, 0, 0);
        }
    }
    store_close(store);
}

TEST(an_image_that_memory_refused_is_not_there,
     "When any allocation fails, an image is not there and its job does not name it.")
{
    struct store *store = records_open(STORE_DRIVER_MEMORY);
    struct generations_job job = make_job(1, 7);
    job.parameters.count = JINI_JOB_IMAGES_MAX;
    CHECK_OK(create_job(store, &job));
    for (uint64_t nth = 1; nth <= JINI_JOB_IMAGES_MAX; nth++) {
        struct generations_image_new new = make_image(nth, 7);
        struct generations_image out;
        struct jini_job job_out;
        struct jini_usage usage;
        new.image.job_id = job.id;
        harness_fail_allocation(nth);
        int status = create_image(store, &new);
        bool failed = harness_allocation_failed();
        harness_fail_allocation(0);
        CHECK_STATUS(status, failed ? JINI_E_NO_MEMORY : 0);
        CHECK_STATUS(get_image(store, new.image.id, &out), status ? JINI_E_NOT_FOUND : 0);
        CHECK_OK(get_job(store, job.id, &job_out));
        CHECK_OK(get_usage(store, 7, &usage));
        CHECK_UINT(job_out.images, ==, usage.images);
        CHECK_UINT(count_due(store, GENERATIONS_DUE_IMAGE), ==, usage.images);
        CHECK_UINT(usage.images, ==, nth - (status ? 1 : 0));
        if (status)
            CHECK_OK(create_image(store, &new));
        if (!failed) {
            CHECK_UINT(nth, >, 10);
            store_close(store);
            return;
        }
    }
    CHECK(!"an allocation failed at every count");
}
