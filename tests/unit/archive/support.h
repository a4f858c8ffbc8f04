/* What the archive's test programs share: short ways to put, get and list, and bytes made from a
 * name. */
#ifndef ARCHIVE_TEST_SUPPORT_H
#define ARCHIVE_TEST_SUPPORT_H

#include "archive/archive.h"

#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline struct archive_options test_options(enum archive_mode mode)
{
    struct archive_options options;
    archive_options_init(&options);
    options.mode = mode;
    return options;
}

/* Opens, and makes it if it is not there. */
static inline struct archive *test_open(const char *url)
{
    struct archive_options options = test_options(ARCHIVE_CREATE);
    struct archive *archive = NULL;
    struct jini_error error;
    int status = archive_open(url, &options, &archive, &error);
    if (status != 0)
        harness_fail(__FILE__, __LINE__, "%s: %s", url, error.message);
    return archive;
}

static inline int test_put(struct archive *archive, const char *name, const void *bytes,
                           size_t length)
{
    struct archive_extent extent = archive_memory(bytes, length);
    struct archive_request request = {.operation = ARCHIVE_PUT,
                                      .name = slice_of_text(name),
                                      .put = {.extents = &extent, .extent_count = 1}};
    return archive_run(archive, &request, NULL);
}

static inline int test_put_text(struct archive *archive, const char *name, const char *text)
{
    return test_put(archive, name, text, strlen(text));
}

/* Reads all of an object of at most `capacity` bytes; gives its length. */
static inline int test_get(struct archive *archive, const char *name, void *buffer, size_t capacity,
                           size_t *length)
{
    struct archive_request request = {
        .operation = ARCHIVE_GET,
        .name = slice_of_text(name),
        .get = {.length = ARCHIVE_TO_END, .buffer = buffer, .capacity = capacity}};
    int status = archive_run(archive, &request, NULL);
    *length = (size_t)request.bytes;
    return status;
}

static inline int test_head(struct archive *archive, const char *name, uint64_t *size)
{
    struct archive_request request = {.operation = ARCHIVE_HEAD, .name = slice_of_text(name)};
    int status = archive_run(archive, &request, NULL);
    *size = request.size;
    return status;
}

static inline int test_delete(struct archive *archive, const char *name)
{
    struct archive_request request = {.operation = ARCHIVE_DELETE, .name = slice_of_text(name)};
    return archive_run(archive, &request, NULL);
}

/* The object is there and holds this text. */
static inline void check_text(struct archive *archive, const char *name, const char *text)
{
    char buffer[4096];
    size_t length;
    CHECK_OK(test_get(archive, name, buffer, sizeof(buffer), &length));
    CHECK_UINT(length, ==, strlen(text));
    CHECK_BYTES(buffer, text, length);
}

/* Names, in the order in which they came, joined by spaces. */
struct test_names {
    char text[65536];
    size_t length;
    unsigned count;
    uint64_t bytes; /* sum of sizes */
};

static inline int collect_name(struct archive_request *request, const struct archive_entry *entry)
{
    struct test_names *names = request->user;
    int written =
        snprintf(names->text + names->length, sizeof(names->text) - names->length, "%s%.*s",
                 names->count ? " " : "", (int)entry->name.length, (const char *)entry->name.data);
    names->length += (size_t)written;
    CHECK_UINT(names->length, <, sizeof(names->text));
    names->count++;
    names->bytes += entry->size;
    return 0;
}

/* Hands every object under `prefix` to `entry`, page by page, as long as that answers 0. */
static inline int test_walk(struct archive *archive, struct slice prefix, archive_entry_fn *entry,
                            void *user, struct jini_error *error)
{
    struct archive_name cursor = {.length = 0};
    struct archive_request request = {
        .operation = ARCHIVE_LIST,
        .name = prefix,
        .user = user,
        .list = {.entry = entry, .entries_max = ARCHIVE_PAGE_MAX, .cursor = &cursor}};
    int status;
    do {
        status = archive_run(archive, &request, error);
    } while (status == 0 && request.more);
    return status;
}

/* All names under a prefix. Static memory, valid until the next call. */
static inline const struct test_names *test_list(struct archive *archive, const char *prefix)
{
    static struct test_names names;
    memset(&names, 0, sizeof(names));
    CHECK_OK(test_walk(archive, slice_of_text(prefix), collect_name, &names, NULL));
    return &names;
}

/* Checks that names only grow, and counts them. */
struct order {
    struct archive_name last;
    unsigned count;
};

static inline int check_order(struct archive_request *request, const struct archive_entry *entry)
{
    struct order *order = request->user;
    CHECK_INT(slice_compare(archive_name_slice(&order->last), entry->name), <, 0);
    archive_name_set(&order->last, entry->name);
    order->count++;
    return 0;
}

/* Bytes that follow from a key: splitmix64. */
static inline void fill_bytes(void *to, size_t length, uint64_t key)
{
    uint8_t *bytes = to;
    for (size_t i = 0; i < length; i += 8) {
        uint64_t z = key + (i / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        z ^= z >> 31;
        memcpy(bytes + i, &z, length - i < 8 ? length - i : 8);
    }
}

/* Memory until the end of the case; not for threads. */
static inline uint8_t *test_memory(size_t size)
{
    struct block {
        struct block *next;
        uint8_t bytes[];
    };
    static struct block *blocks;
    struct block *block = malloc(sizeof(*block) + size);
    CHECK(block);
    block->next = blocks;
    blocks = block;
    return block->bytes;
}

/* The bytes of a key, in such memory. */
static inline uint8_t *make_bytes(size_t length, uint64_t key)
{
    uint8_t *bytes = test_memory(length);
    fill_bytes(bytes, length, key);
    return bytes;
}

/* A file of these bytes, open for reading. */
static inline int make_file(const char *path, const void *bytes, size_t length)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(pwrite(fd, bytes, length, 0), ==, (ssize_t)length);
    return fd;
}

/* A gate that threads wait at until it is opened, and that tells how many came. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned arrived;
    bool open;
};

#define GATE_INITIALIZER                                                                           \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                     \
    }

static inline void gate_pass(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->arrived++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static inline void gate_await(struct gate *gate, unsigned arrived)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->arrived < arrived)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static inline void gate_open(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

/* A sink that drops what it gets, and waits at the gate that `user` is. */
static inline int gate_sink(struct archive_request *request, struct slice piece)
{
    (void)piece;
    gate_pass(request->user);
    return 0;
}

/* A GET that keeps a thread of the archive busy until the gate opens. */
static inline struct archive_request gate_request(const char *name, struct gate *gate)
{
    return (struct archive_request){.operation = ARCHIVE_GET,
                                    .name = slice_of_text(name),
                                    .user = gate,
                                    .get = {.length = ARCHIVE_TO_END, .sink = gate_sink}};
}

#endif
