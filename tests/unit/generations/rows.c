/* Rows as bytes: what damaged, foreign and newer ones lead to. */
#include "generations/generations_private.h"
#include "records.h"

#include <stdio.h>

enum { ROW_MAX = 16384 };

static uint8_t row_bytes[ROW_MAX];

/* A database with one user who has every kind of row. */
static struct store *open_full(enum store_driver driver)
{
    struct store *store = records_open(driver);
    static uint8_t prompt[2000];
    memset(prompt, 'p', sizeof(prompt));
    for (uint64_t i = 1; i <= 20; i++) {
        struct generations_job job = make_job(i, 7);
        struct generations_image_new image = make_image(i, 7);
        if (i == 2)
            job.prompt = slice_of(prompt, sizeof(prompt));
        image.image.job_id = job.id;
        CHECK_OK(create_job(store, &job));
        CHECK_OK(create_image(store, &image));
    }
    CHECK_OK(trash_image(store, make_id(2, 3), 777000));
    return store;
}

static struct tuple page_key(const char *kind)
{
    struct tuple key = key_of_user(7, kind);
    tuple_add_uint(&key, 0);
    return key;
}

/* The rows of open_full() that a test damages. */
static size_t all_rows(struct raw_row out[8])
{
    const struct raw_row rows[] = {
        {.space = STORE_SPACE_JOBS, .key = key_of_id(make_id(1, 1))},
        {.space = STORE_SPACE_JOBS, .key = key_of_id(make_id(1, 2))},
        {.space = STORE_SPACE_IMAGES, .key = key_of_id(make_id(2, 3))},
        {.space = STORE_SPACE_ACTIVITY, .key = key_of_user(7, "li")},
        {.space = STORE_SPACE_ACTIVITY, .key = key_of_user(7, "lj")},
        {.space = STORE_SPACE_ACTIVITY, .key = key_of_user(7, "run")},
        {.space = STORE_SPACE_LISTS, .key = page_key("i")},
        {.space = STORE_SPACE_LISTS, .key = page_key("j")},
    };
    memcpy(out, rows, sizeof(rows));
    return sizeof(rows) / sizeof(rows[0]);
}

static struct buffer read_row(struct store *store, const struct raw_row *row)
{
    struct buffer value = buffer_of(row_bytes, sizeof(row_bytes));
    CHECK_OK(get_raw(store, row, &value));
    return value;
}

static void check_answer(int status)
{
    switch (status) {
    case 0:
    case JINI_E_CORRUPT:
    case JINI_E_FORMAT:
    case JINI_E_NOT_FOUND:
    case JINI_E_CONFLICT:
    case JINI_E_INVALID:
    case JINI_E_TOO_BIG:
    case JINI_E_BUSY:
    case JINI_E_EXISTS:
        return;
    default:
        CHECK_STATUS(status, JINI_E_CORRUPT);
    }
}

/* Everything that reads or changes what belongs to user 7. */
static int run_everything(struct store_txn *txn, struct call *call)
{
    static struct jini_image images[32];
    static struct jini_job jobs[32];
    static struct generations_running running;
    struct jini_list_cursor cursor = {0};
    struct jini_usage usage;
    size_t count;
    (void)call;
    check_answer(generations_image_list(txn, 7, &cursor, images, 32, &count, NULL));
    cursor = (struct jini_list_cursor){0};
    check_answer(generations_job_list(txn, 7, &cursor, jobs, 32, &count, NULL));
    check_answer(generations_usage(txn, 7, &usage, NULL));
    const struct generations_subject subject = {.user_id = 7};
    check_answer(generations_running_get(txn, &subject, 1000, &running, NULL));
    for (uint64_t i = 1; i <= 3; i++) {
        struct jini_id job = make_id(1, i);
        struct jini_id image = make_id(2, i);
        static uint8_t text[JINI_PROMPT_MAX];
        struct buffer out = buffer_of(text, sizeof(text));
        static struct jini_id ids[JINI_JOB_IMAGES_MAX];
        check_answer(generations_job_prompts(txn, &job, &out, &out, NULL));
        check_answer(generations_job_images(txn, &job, ids, JINI_JOB_IMAGES_MAX, &count, NULL));
        out = buffer_of(text, sizeof(text));
        check_answer(generations_image_metadata(txn, &image, &out, NULL));
    }
    return 0;
}

enum { CHANGES = 7 };

/* One change of each kind, in ops of their own, because a failed one takes its op with it. */
static int run_one_change(struct store_txn *txn, struct call *call)
{
    const uint64_t *which = call->in;
    struct generations_job job = make_job(100, 7);
    struct generations_image_new image = make_image(100, 7);
    struct generations_job_change to = {.id = make_id(1, 1 + *which % 2), .to = JINI_JOB_FAILED};
    struct generations_trash trash = {.id = make_id(2, 1), .now_ms = 5, .purge_ms = 9};
    struct generations_place place = {.state = JINI_IMAGE_HOT_ARCHIVED};
    struct jini_id trashed = make_id(2, 3);
    image.image.job_id = make_id(1, 1);
    switch (*which % CHANGES) {
    case 0:
        return generations_job_create(txn, &job, &call->error);
    case 1:
    case 2:
        return generations_job_transition(txn, &to, &call->error);
    case 3:
        return generations_image_create(txn, &image, &call->error);
    case 4:
        return generations_image_trash(txn, &trash, &call->error);
    case 5:
        return generations_image_update(txn, &trashed, &place, &call->error);
    default:
        return *which % 2 ? generations_image_untrash(txn, &trashed, &call->error)
                          : generations_image_delete(txn, &trashed, NULL, &call->error);
    }
}

/* Runs a change, and puts back everything that it did. */
static int run_undone(struct store_txn *txn, struct call *call)
{
    int status = store_overlay_begin(txn);
    if (status)
        return status;
    check_answer(run_one_change(txn, call));
    store_overlay_discard(txn);
    return 0;
}

static void damage(struct buffer *value)
{
    uint64_t times = 1 + harness_random_below(3);
    while (times-- > 0 && value->length > 0) {
        size_t at = (size_t)harness_random_below(value->length);
        switch (harness_random_below(4)) {
        case 0:
            value->length = at;
            break;
        case 1:
            memmove(value->data + at, value->data + at + 1, value->length - at - 1);
            value->length--;
            break;
        case 2:
            value->data[at] = (uint8_t)harness_random();
            break;
        default:
            value->data[at] ^= (uint8_t)(1u << harness_random_below(8));
        }
    }
}

STORE_TEST(damaged_rows_are_refused,
           "With any row damaged in any way every function answers, and none breaks the process.")
{
    struct store *store = open_full(driver);
    struct raw_row rows[8];
    size_t count = all_rows(rows);
    static uint8_t original_bytes[ROW_MAX];
    for (unsigned i = 0; i < 1500 * harness_scale(); i++) {
        struct raw_row *row = &rows[harness_random_below(count)];
        struct buffer value = read_row(store, row);
        memcpy(original_bytes, value.data, value.length);
        struct slice original = slice_of(original_bytes, value.length);
        damage(&value);
        row->value = buffer_slice(&value);
        put_raw(store, row);
        CHECK_OK(look(store, &(struct call){.run = run_everything}));
        uint64_t which = i;
        CHECK_OK(change(store, &(struct call){.run = run_undone, .in = &which}));
        row->value = original;
        put_raw(store, row);
    }
    store_close(store);
}

/* Makes a document of fields; a field is added by the caller's function. */
struct made {
    uint8_t bytes[4096];
    struct buffer out;
    struct document_writer writer;
};

static void begin(struct made *made)
{
    made->out = buffer_of(made->bytes, sizeof(made->bytes));
    document_begin(&made->writer, &made->out);
}

static struct slice end(struct made *made)
{
    CHECK_OK(document_end(&made->writer));
    return buffer_slice(&made->out);
}

static void put_made(struct store *store, enum store_space space, struct tuple key,
                     struct made *made)
{
    put_raw(store, &(struct raw_row){.space = space, .key = key, .value = end(made)});
}

static void check_job_corrupt(struct store *store, struct made *made)
{
    struct jini_job out;
    put_made(store, STORE_SPACE_JOBS, key_of_id(make_id(1, 1)), made);
    CHECK_STATUS(get_job(store, make_id(1, 1), &out), JINI_E_CORRUPT);
}

STORE_TEST(jobs_that_contradict_themselves_are_corrupt,
           "A record of a job whose fields do not fit together answers JINI_E_CORRUPT.")
{
    struct store *store = open_full(driver);
    struct made made;
    begin(&made);
    document_add_uint(&made.writer, 2, JINI_JOB_TIMED_OUT + 1);
    check_job_corrupt(store, &made);
    begin(&made); /* a prompt in the record and one outside */
    document_add_uint(&made.writer, 2, JINI_JOB_IN_QUEUE);
    document_add_text(&made.writer, 15, slice_of_text("here"));
    document_add_uint(&made.writer, 17, 2000);
    check_job_corrupt(store, &made);
    begin(&made); /* half an id */
    document_add_uint(&made.writer, 2, JINI_JOB_IN_QUEUE);
    document_add_bytes(&made.writer, 19, slice_of("12345678", 8));
    check_job_corrupt(store, &made);
    begin(&made); /* more images than any job has */
    document_add_uint(&made.writer, 2, JINI_JOB_IN_QUEUE);
    document_add_uint(&made.writer, 11, JINI_JOB_IMAGES_MAX + 1);
    check_job_corrupt(store, &made);
    begin(&made); /* a field twice */
    document_add_uint(&made.writer, 2, JINI_JOB_IN_QUEUE);
    document_add_uint(&made.writer, 2, JINI_JOB_FAILED);
    check_job_corrupt(store, &made);
    begin(&made); /* counted for nobody */
    document_add_uint(&made.writer, 2, JINI_JOB_IN_QUEUE);
    document_add_uint(&made.writer, 23, GENERATIONS_JOB_COUNTED);
    check_job_corrupt(store, &made);
    begin(&made); /* an address, and not counted */
    document_add_uint(&made.writer, 2, JINI_JOB_IN_QUEUE);
    document_add_bytes(&made.writer, 24, slice_of("address", 7));
    check_job_corrupt(store, &made);
    begin(&made); /* an address, and ended */
    document_add_uint(&made.writer, 2, JINI_JOB_FAILED);
    document_add_uint(&made.writer, 23, GENERATIONS_JOB_COUNTED);
    document_add_bytes(&made.writer, 24, slice_of("address", 7));
    check_job_corrupt(store, &made);
    begin(&made); /* counted for a user and for an address */
    document_add_uint(&made.writer, 1, 7);
    document_add_uint(&made.writer, 2, JINI_JOB_IN_QUEUE);
    document_add_uint(&made.writer, 23, GENERATIONS_JOB_COUNTED);
    document_add_bytes(&made.writer, 24, slice_of("address", 7));
    check_job_corrupt(store, &made);
    store_close(store);
}

static void check_image_corrupt(struct store *store, struct made *made)
{
    struct generations_image out;
    put_made(store, STORE_SPACE_IMAGES, key_of_id(make_id(2, 1)), made);
    CHECK_STATUS(get_image(store, make_id(2, 1), &out), JINI_E_CORRUPT);
}

STORE_TEST(images_that_contradict_themselves_are_corrupt,
           "A record of an image whose fields do not fit together answers JINI_E_CORRUPT.")
{
    struct store *store = open_full(driver);
    struct made made;
    begin(&made); /* no place */
    check_image_corrupt(store, &made);
    begin(&made); /* metadata of another length than its own */
    document_add_uint(&made.writer, 13, JINI_IMAGE_HOT);
    document_add_uint(&made.writer, 18, 5);
    document_add_bytes(&made.writer, 19, slice_of("1234", 4));
    check_image_corrupt(store, &made);
    begin(&made); /* in the trash for ever */
    document_add_uint(&made.writer, 13, JINI_IMAGE_HOT);
    document_add_uint(&made.writer, 14, 60000);
    check_image_corrupt(store, &made);
    store_close(store);
}

STORE_TEST(
    user_rows_that_contradict_themselves_are_corrupt,
    "A list that has more than was added and a running row of odd length answer JINI_E_CORRUPT.")
{
    struct store *store = open_full(driver);
    struct made made;
    struct jini_usage usage;
    begin(&made); /* an item in a slot that was never given */
    document_add_uint(&made.writer, 1, 3);
    document_add_uint(&made.writer, 2, 1u << 3);
    document_add_bytes(&made.writer, 3, slice_of("0123456789abcdef", 16));
    document_add_uint(&made.writer, 4, 1);
    put_made(store, STORE_SPACE_ACTIVITY, key_of_user(7, "li"), &made);
    CHECK_STATUS(get_usage(store, 7, &usage), JINI_E_CORRUPT);
    begin(&made); /* more items than were added */
    document_add_uint(&made.writer, 1, 3);
    document_add_uint(&made.writer, 4, 2);
    document_add_uint(&made.writer, 6, 2);
    put_made(store, STORE_SPACE_ACTIVITY, key_of_user(7, "li"), &made);
    CHECK_STATUS(get_usage(store, 7, &usage), JINI_E_CORRUPT);

    static const size_t lengths[] = {0, 23, 25, 257 * 24};
    static const uint8_t zeros[257 * 24];
    struct generations_running running;
    struct raw_row row = {.space = STORE_SPACE_ACTIVITY, .key = key_of_user(7, "run")};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        row.value = slice_of(zeros, lengths[i]);
        put_raw(store, &row);
        CHECK_STATUS(get_running(store, 7, 0, &running), JINI_E_CORRUPT);
    }
    store_close(store);
}

STORE_TEST(
    a_listed_id_without_its_record_is_corrupt,
    "A list that names a record which is gone or another user's is reported, and the cursor stays.")
{
    struct store *store = open_full(driver);
    static struct jini_image out[32];
    struct raw_row row = {.space = STORE_SPACE_IMAGES, .key = key_of_id(make_id(2, 18))};
    put_raw(store, &row);
    struct jini_list_cursor cursor = {0};
    CHECK_UINT(list_images(store, 7, &cursor, out, 2), ==, 2);
    struct jini_list_cursor before = cursor;
    struct list_call in = {7, &cursor, 5, 99};
    struct call call = {.run = run_image_list, .in = &in, .out = out};
    CHECK_STATUS(look(store, &call), JINI_E_CORRUPT);
    CHECK_UINT(in.count, ==, 0);
    CHECK_INT(memcmp(&cursor, &before, sizeof(cursor)), ==, 0);
    CHECK_CONTAINS(call.error.message, "verify");
    struct made made;
    begin(&made);
    document_add_uint(&made.writer, 1, 8);
    document_add_uint(&made.writer, 13, JINI_IMAGE_HOT);
    row.value = end(&made);
    put_raw(store, &row);
    CHECK_STATUS(look(store, &call), JINI_E_CORRUPT);
    store_close(store);
}

STORE_TEST(the_newest_page_is_read_from_the_tail_only,
           "A row of space LISTS with the number of the page that lies in the tail is not listed.")
{
    struct store *store = open_full(driver);
    static struct jini_image out[32];
    struct jini_id id = make_id(2, 1);
    struct made made;
    for (uint64_t i = 17; i <= 20; i++)
        CHECK_OK(delete_image(store, make_id(2, i)));
    begin(&made);
    document_add_uint(&made.writer, 2, 1);
    document_add_bytes(&made.writer, 3, slice_of(id.bytes, sizeof(id.bytes)));
    struct tuple key = key_of_user(7, "i");
    tuple_add_uint(&key, 1);
    put_made(store, STORE_SPACE_LISTS, key, &made);
    struct jini_list_cursor cursor = {0};
    CHECK_UINT(list_images(store, 7, &cursor, out, 32), ==, 15);
    store_close(store);
}

/* Appends a field that this version does not know: a byte string of `length` bytes. */
static void add_foreign(struct store *store, struct raw_row *row, uint32_t field, size_t length)
{
    static const uint8_t foreign[512];
    struct buffer value = read_row(store, row);
    value.capacity = sizeof(row_bytes);
    uint16_t fields = (uint16_t)(value.data[1] << 8 | value.data[2]);
    CHECK_UINT(value.data[0], ==, 0xde);
    static uint8_t extra_bytes[1024];
    struct buffer extra = buffer_of(extra_bytes, sizeof(extra_bytes));
    struct document_writer writer;
    document_begin(&writer, &extra);
    document_add_bytes(&writer, field, slice_of(foreign, length));
    CHECK_OK(document_end(&writer));
    buffer_append(&value, extra.data + 3, extra.length - 3);
    value.data[1] = (uint8_t)((fields + 1) >> 8);
    value.data[2] = (uint8_t)(fields + 1);
    row->value = buffer_slice(&value);
    put_raw(store, row);
}

/* How long field `field` of a row is; 0 when it is not there. */
static size_t foreign_length(struct store *store, const struct raw_row *row, uint32_t field)
{
    struct buffer value = read_row(store, row);
    struct document_reader reader;
    struct document_field found;
    CHECK_OK(document_open(&reader, buffer_slice(&value)));
    do {
        CHECK_OK(document_next(&reader, &found));
        if (found.type == DOCUMENT_BYTES && found.field == field)
            return found.bytes.length;
    } while (found.type != DOCUMENT_END);
    return 0;
}

STORE_TEST(fields_of_a_newer_version_are_kept,
           "Fields that this version does not know are still there after every kind of change.")
{
    struct store *store = open_full(driver);
    struct raw_row rows[] = {
        {.space = STORE_SPACE_JOBS, .key = key_of_id(make_id(1, 20))},
        {.space = STORE_SPACE_IMAGES, .key = key_of_id(make_id(2, 1))},
        {.space = STORE_SPACE_ACTIVITY, .key = key_of_user(7, "li")},
        {.space = STORE_SPACE_ACTIVITY, .key = key_of_user(7, "lj")},
        {.space = STORE_SPACE_LISTS, .key = page_key("i")},
    };
    enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
    for (size_t i = 0; i < ROWS; i++) {
        add_foreign(store, &rows[i], 60, 10);
        add_foreign(store, &rows[i], 70000, 200);
    }
    struct generations_place place = {.state = JINI_IMAGE_HOT_ARCHIVED};
    struct generations_job job = make_job(50, 7);
    struct generations_image_new image = make_image(50, 7);
    image.image.job_id = make_id(1, 20);
    CHECK_OK(set_job_state(store, make_id(1, 20), JINI_JOB_IN_PROGRESS));
    CHECK_OK(update_image(store, make_id(2, 1), &place));
    CHECK_OK(trash_image(store, make_id(2, 1), 9));
    CHECK_OK(untrash_image(store, make_id(2, 1)));
    CHECK_OK(create_job(store, &job));
    CHECK_OK(create_image(store, &image));
    for (size_t i = 0; i < ROWS; i++) {
        CHECK_UINT(foreign_length(store, &rows[i], 60), ==, 10);
        CHECK_UINT(foreign_length(store, &rows[i], 70000), ==, 200);
    }
    store_close(store);
}

STORE_TEST(more_of_a_newer_version_than_can_be_kept_is_left_alone,
           "A record with very many unknown fields can be read, and a change of it is refused.")
{
    struct store *store = open_full(driver);
    struct raw_row job_row = {.space = STORE_SPACE_JOBS, .key = key_of_id(make_id(1, 1))};
    struct raw_row image_row = {.space = STORE_SPACE_IMAGES, .key = key_of_id(make_id(2, 1))};
    struct raw_row tail = {.space = STORE_SPACE_ACTIVITY, .key = key_of_user(7, "lj")};
    struct jini_job job;
    struct generations_image image;
    add_foreign(store, &job_row, 60, 300);
    add_foreign(store, &image_row, 60, 300);
    add_foreign(store, &tail, 60, 300);
    CHECK_OK(get_job(store, make_id(1, 1), &job));
    CHECK_OK(get_image(store, make_id(2, 1), &image));
    CHECK_STATUS(set_job_state(store, make_id(1, 1), JINI_JOB_FAILED), JINI_E_FORMAT);
    CHECK_STATUS(trash_image(store, make_id(2, 1), 5), JINI_E_FORMAT);
    struct generations_job new = make_job(50, 7);
    CHECK_STATUS(create_job(store, &new), JINI_E_FORMAT);
    CHECK_STATUS(get_job(store, new.id, &job), JINI_E_NOT_FOUND);
    CHECK_UINT(foreign_length(store, &job_row, 60), ==, 300);
    store_close(store);
}

static void check_row(struct store *store, struct raw_row row, const char *expected, size_t length)
{
    struct buffer value = read_row(store, &row);
    CHECK_UINT(value.length, ==, length);
    CHECK_BYTES(value.data, expected, length);
}

#define CHECK_ROW(store, row_space, row_key, expected)                                             \
    check_row(store, (struct raw_row){.space = STORE_SPACE_##row_space, .key = (row_key)},         \
              expected, sizeof(expected) - 1)

TEST(rows_stay_as_they_were_pinned,
     "Rows of known content have the bytes that earlier versions wrote and later ones must read.")
{
    struct store *store = records_open(STORE_DRIVER_MEMORY);
    struct generations_job job = make_job(1, 7);
    job.parameters.model[1] = '\0';
    job.prompt = slice_of_text("hi");
    job.negative = slice_of_text("no");
    CHECK_OK(create_job(store, &job));
    CHECK_ROW(store, JOBS, key_of_id(job.id),
              "\xde\x00\x10"
              "\x01\x07\x02\x01\x03\xcd\x03\xe9\x06\xce\x00\x0d\xbb\xa1"
              "\x07\x03\x08\xcd\x02\x00\x09\xcd\x03\x00\x0a\x1e\x0b\x04"
              "\x0c\xff\x0d\xce\x00\x72\x70\xe0\x0e\xa1s\x0f\xa2hi\x10\xa2no"
              "\x14\xc4\x05"
              "day:1"
              "\x17\x01");
    CHECK_ROW(store, ACTIVITY, key_of_user(7, "lj"),
              "\xde\x00\x04\x01\x01\x02\x01\x03\xc4\x10"
              "\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01"
              "\x04\x01");
    CHECK_ROW(store, ACTIVITY, key_of_user(7, "run"),
              "\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01"
              "\xa1\xbb\x0d\x00\x00\x00\x00\x00");
    struct generations_image_new image = make_image(1, 7);
    image.image.job_id = job.id;
    CHECK_OK(create_image(store, &image));
    CHECK_OK(trash_image(store, image.image.id, 777000));
    CHECK_ROW(store, IMAGES, key_of_id(image.image.id),
              "\xde\x00\x13\x01\x07\x02\xc4\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"
              "\x00\x00\x00\x01\x03\xcd\x07\xd1\x04\xce\x00\x4c\x4b\x40\x05\xce\x00\x01\x86\xa1"
              "\x06\xce\x00\x01\x82\xb8\x07\xc4\x10\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
              "\x01\x01\x01\x01\x01\x08\xa9\x69\x6d\x61\x67\x65\x2f\x70\x6e\x67\x09\xcd\x02\x00"
              "\x0a\xcd\x03\x00\x0b\xd0\xb3\x0c\x01\x0d\x01\x0e\xcd\xea\x60\x0f\xce\x00\x0b\xdb"
              "\x28\x10\xc4\x10\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x01"
              "\x11\x01\x12\x0e\x13\xc4\x0e\x53\x74\x65\x70\x73\x3a\x20\x33\x30\x00\xff\x0a\x0d"
              "\x0a");
    CHECK_ROW(store, ACTIVITY, key_of_user(7, "li"),
              "\xde\x00\x03\x01\x01\x06\x01\x07\xce\x00\x01\x86\xa1");
    job = make_job(2, 0);
    job.flags = GENERATIONS_JOB_COUNTED;
    job.address = slice_of("\x00\x01\x02\x03\x04\x05\x06\x07", 8);
    CHECK_OK(create_job(store, &job));
    struct tuple key = key_of_user(0, "q");
    tuple_add_bytes(&key, job.address);
    tuple_add_text(&key, slice_of_text("run"));
    CHECK_ROW(store, ACTIVITY, key,
              "\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02"
              "\xa2\xbb\x0d\x00\x00\x00\x00\x00");
    store_close(store);
}
