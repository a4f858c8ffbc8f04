/* Jobs and images for tests, and each function of the module as an op of its own. */
#ifndef GENERATIONS_RECORDS_H
#define GENERATIONS_RECORDS_H

#include "../store/fixture.h"

#include "base/tuple.h"
#include "generations/generations.h"

/* A store in which nothing waits for a disk. */
static inline struct store *records_open(enum store_driver driver)
{
    struct store_options options = fixture_options(driver);
    options.sync = STORE_SYNC_NONE;
    return fixture_open_with(&options);
}

static inline struct jini_id make_id(uint64_t high, uint64_t low)
{
    struct jini_id id;
    store_be64(id.bytes, high);
    store_be64(id.bytes + 8, low);
    return id;
}

static inline struct generations_job make_job(uint64_t number, uint64_t user_id)
{
    struct generations_job job = {
        .id = make_id(1, number),
        .user_id = user_id,
        .parameters = {.width = 512,
                       .height = 768,
                       .steps = 30,
                       .count = 4,
                       .seed = -1,
                       .guidance_millionths = 7500000,
                       .model = "stabilityai/stable-diffusion-2-1"},
        .prompt = slice_of_text("a lighthouse in the fog"),
        .negative = slice_of_text("people"),
        .created_ms = 1000 + number,
        .expires_ms = 900000 + number,
        .cost_credits = 3,
        .reservation = slice_of_text("day:1"),
        .flags = user_id ? GENERATIONS_JOB_COUNTED : 0,
    };
    return job;
}

static inline struct generations_image_new make_image(uint64_t number, uint64_t user_id)
{
    struct generations_image_new image = {
        .image = {.id = make_id(2, number),
                  .user_id = user_id,
                  .created_ms = 2000 + number,
                  .bytes = 100000 + number,
                  .metadata_bytes = 14,
                  .seed = -77,
                  .width = 512,
                  .height = 768,
                  .flags = JINI_IMAGE_HAS_SEED,
                  .media_type = "image/png"},
        .place = {.state = JINI_IMAGE_HOT,
                  .pack_sequence = (uint32_t)number,
                  .pack_id = make_id(3, 1),
                  .stored_bytes = 99000,
                  .expires_ms = 5000000},
        .metadata = slice_of("Steps: 30\0\xff\n\r\n", 14),
    };
    memset(image.image.hash, (int)number, sizeof(image.image.hash));
    return image;
}

/* One call inside an op: which function, its argument, and what it said. */
struct call {
    int (*run)(struct store_txn *txn, struct call *call);
    const void *in;
    void *out;
    struct jini_id id;
    struct jini_error error;
};

static inline int call_op(struct store_txn *txn, void *argument)
{
    struct call *call = argument;
    memset(&call->error, 0, sizeof(call->error));
    return call->run(txn, call);
}

/* Runs a call in a write transaction. A refusal of the module itself must explain itself. */
static inline int change(struct store *store, struct call *call)
{
    int status = store_write(store, call_op, call);
    if (call->error.code != 0 && call->error.code == status) {
        CHECK(call->error.field[0] != '\0');
        CHECK(call->error.message[0] != '\0');
    }
    return status;
}

/* Runs a call on a snapshot. */
static inline int look(struct store *store, struct call *call)
{
    struct store_txn *txn;
    CHECK_OK(store_read_begin(store, &txn));
    int status = call_op(txn, call);
    store_read_end(txn);
    return status;
}

static inline int run_job_create(struct store_txn *txn, struct call *call)
{
    return generations_job_create(txn, call->in, &call->error);
}

static inline int create_job(struct store *store, const struct generations_job *job)
{
    return change(store, &(struct call){.run = run_job_create, .in = job});
}

static inline int run_job_get(struct store_txn *txn, struct call *call)
{
    return generations_job_get(txn, &call->id, call->out, &call->error);
}

static inline int get_job(struct store *store, struct jini_id id, struct jini_job *out)
{
    return look(store, &(struct call){.run = run_job_get, .id = id, .out = out});
}

static inline int run_job_transition(struct store_txn *txn, struct call *call)
{
    return generations_job_transition(txn, call->out, &call->error);
}

static inline int change_job(struct store *store, struct generations_job_change *job)
{
    return change(store, &(struct call){.run = run_job_transition, .out = job});
}

static inline int set_job_state(struct store *store, struct jini_id id, enum jini_job_state to)
{
    struct generations_job_change job = {.id = id, .to = to, .now_ms = 50000};
    return change_job(store, &job);
}

static inline int run_job_delete(struct store_txn *txn, struct call *call)
{
    return generations_job_delete(txn, &call->id, &call->error);
}

static inline int delete_job(struct store *store, struct jini_id id)
{
    return change(store, &(struct call){.run = run_job_delete, .id = id});
}

static inline int run_image_create(struct store_txn *txn, struct call *call)
{
    return generations_image_create(txn, call->in, &call->error);
}

static inline int create_image(struct store *store, const struct generations_image_new *image)
{
    return change(store, &(struct call){.run = run_image_create, .in = image});
}

static inline int run_image_get(struct store_txn *txn, struct call *call)
{
    return generations_image_get(txn, &call->id, call->out, &call->error);
}

static inline int get_image(struct store *store, struct jini_id id, struct generations_image *out)
{
    return look(store, &(struct call){.run = run_image_get, .id = id, .out = out});
}

static inline int run_image_update(struct store_txn *txn, struct call *call)
{
    return generations_image_update(txn, &call->id, call->in, &call->error);
}

static inline int update_image(struct store *store, struct jini_id id,
                               const struct generations_place *place)
{
    return change(store, &(struct call){.run = run_image_update, .id = id, .in = place});
}

static inline int run_image_trash(struct store_txn *txn, struct call *call)
{
    return generations_image_trash(txn, call->in, &call->error);
}

static inline int trash_image(struct store *store, struct jini_id id, uint64_t purge_ms)
{
    struct generations_trash trash = {.id = id, .now_ms = 60000, .purge_ms = purge_ms};
    return change(store, &(struct call){.run = run_image_trash, .in = &trash});
}

static inline int run_image_untrash(struct store_txn *txn, struct call *call)
{
    return generations_image_untrash(txn, &call->id, &call->error);
}

static inline int untrash_image(struct store *store, struct jini_id id)
{
    return change(store, &(struct call){.run = run_image_untrash, .id = id});
}

static inline int run_image_delete(struct store_txn *txn, struct call *call)
{
    return generations_image_delete(txn, &call->id, call->out, &call->error);
}

static inline int delete_image(struct store *store, struct jini_id id)
{
    return change(store, &(struct call){.run = run_image_delete, .id = id});
}

static inline int run_usage(struct store_txn *txn, struct call *call)
{
    return generations_usage(txn, *(const uint64_t *)call->in, call->out, &call->error);
}

static inline int get_usage(struct store *store, uint64_t user_id, struct jini_usage *out)
{
    return look(store, &(struct call){.run = run_usage, .in = &user_id, .out = out});
}

struct running_call {
    struct generations_subject subject;
    uint64_t now_ms;
};

static inline int run_running(struct store_txn *txn, struct call *call)
{
    const struct running_call *in = call->in;
    return generations_running_get(txn, &in->subject, in->now_ms, call->out, &call->error);
}

static inline int get_running_of(struct store *store, const struct generations_subject *subject,
                                 uint64_t now_ms, struct generations_running *out)
{
    struct running_call in = {*subject, now_ms};
    return look(store, &(struct call){.run = run_running, .in = &in, .out = out});
}

static inline int get_running(struct store *store, uint64_t user_id, uint64_t now_ms,
                              struct generations_running *out)
{
    return get_running_of(store, &(struct generations_subject){.user_id = user_id}, now_ms, out);
}

enum { DUE_LISTED_MAX = 1024 };

struct due_call {
    enum generations_due_kind kind;
    uint64_t now_ms;
    size_t capacity;
    size_t count;
};

static inline int run_due(struct store_txn *txn, struct call *call)
{
    struct due_call *in = (struct due_call *)(uintptr_t)call->in;
    return generations_due_list(txn, in->kind, in->now_ms, call->out, in->capacity, &in->count,
                                &call->error);
}

static inline size_t list_due(struct store *store, enum generations_due_kind kind, uint64_t now_ms,
                              struct generations_due out[DUE_LISTED_MAX])
{
    struct due_call in = {kind, now_ms, DUE_LISTED_MAX, 0};
    CHECK_OK(look(store, &(struct call){.run = run_due, .in = &in, .out = out}));
    return in.count;
}

/* How many rows of a kind there are, whenever they fall due. */
static inline size_t count_due(struct store *store, enum generations_due_kind kind)
{
    static struct generations_due out[DUE_LISTED_MAX];
    return list_due(store, kind, UINT64_MAX, out);
}

struct list_call {
    uint64_t user_id;
    struct jini_list_cursor *cursor;
    size_t capacity;
    size_t count;
};

static inline int run_image_list(struct store_txn *txn, struct call *call)
{
    struct list_call *in = (struct list_call *)(uintptr_t)call->in;
    return generations_image_list(txn, in->user_id, in->cursor, call->out, in->capacity, &in->count,
                                  &call->error);
}

static inline size_t list_images(struct store *store, uint64_t user_id,
                                 struct jini_list_cursor *cursor, struct jini_image *out,
                                 size_t capacity)
{
    struct list_call in = {user_id, cursor, capacity, 0};
    CHECK_OK(look(store, &(struct call){.run = run_image_list, .in = &in, .out = out}));
    return in.count;
}

static inline int run_job_list(struct store_txn *txn, struct call *call)
{
    struct list_call *in = (struct list_call *)(uintptr_t)call->in;
    return generations_job_list(txn, in->user_id, in->cursor, call->out, in->capacity, &in->count,
                                &call->error);
}

static inline size_t list_jobs(struct store *store, uint64_t user_id,
                               struct jini_list_cursor *cursor, struct jini_job *out,
                               size_t capacity)
{
    struct list_call in = {user_id, cursor, capacity, 0};
    CHECK_OK(look(store, &(struct call){.run = run_job_list, .in = &in, .out = out}));
    return in.count;
}

/* Any row, as bytes. */
struct raw_row {
    enum store_space space;
    struct tuple key;
    struct slice value; /* no data: delete it */
};

static inline int run_raw_put(struct store_txn *txn, struct call *call)
{
    const struct raw_row *row = call->in;
    if (!row->value.data)
        return store_delete(txn, row->space, tuple_key(&row->key));
    return store_put(txn, row->space, tuple_key(&row->key), row->value);
}

static inline void put_raw(struct store *store, const struct raw_row *row)
{
    CHECK_OK(change(store, &(struct call){.run = run_raw_put, .in = row}));
}

static inline int get_raw(struct store *store, const struct raw_row *row, struct buffer *value)
{
    struct store_txn *txn;
    CHECK_OK(store_read_begin(store, &txn));
    int status = store_get(txn, row->space, tuple_key(&row->key), value);
    store_read_end(txn);
    return status;
}

static inline struct tuple key_of_id(struct jini_id id)
{
    struct tuple key;
    tuple_begin(&key);
    tuple_add_id(&key, &id);
    return key;
}

static inline struct tuple key_of_user(uint64_t user_id, const char *row)
{
    struct tuple key;
    tuple_begin(&key);
    tuple_add_uint(&key, user_id);
    tuple_add_text(&key, slice_of_text(row));
    return key;
}

static inline int visit_count(void *argument, struct slice key, struct slice value)
{
    (void)key;
    (void)value;
    (*(size_t *)argument)++;
    return 0;
}

/* How many rows a space has. */
static inline size_t count_rows(struct store *store, enum store_space space)
{
    size_t count = 0;
    CHECK_OK(store_each(store, space, slice_of(NULL, 0), slice_of(NULL, 0), visit_count, &count));
    return count;
}

#endif
