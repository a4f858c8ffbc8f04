/* Opening a store in a test, on either driver, and short ways to write, read and wait. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include "base/clock.h"
#include "store/store.h"

#include "harness.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A case that must hold on every driver. */
#define STORE_TEST(name, sentence)                                                                 \
    static void name(enum store_driver driver);                                                    \
    TEST(name##_on_lmdb, sentence)                                                                 \
    {                                                                                              \
        name(STORE_DRIVER_LMDB);                                                                   \
    }                                                                                              \
    TEST(name##_in_memory, sentence)                                                               \
    {                                                                                              \
        name(STORE_DRIVER_MEMORY);                                                                 \
    }                                                                                              \
    static void name(enum store_driver driver)

static const struct store_format fixture_format = {.version = 1, .version_min = 1};

static inline struct store_options fixture_options(enum store_driver driver)
{
    struct store_options options;
    store_options_init(&options);
    options.driver = driver;
    options.directory = harness_path("db");
    options.create = true;
    options.run_twice = true;
    options.sync = STORE_SYNC_NONE;
    options.process_name = "test";
    options.reserve_bytes = 1 << 20;
    options.format = &fixture_format;
    return options;
}

static inline struct store *fixture_open_with(const struct store_options *options)
{
    struct store *store;
    struct jini_error error;
    int status = store_open(options, &store, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "store_open answers %d: %s: %s", status, error.field,
                     error.message);
    return store;
}

static inline struct store *fixture_open(enum store_driver driver)
{
    struct store_options options = fixture_options(driver);
    return fixture_open_with(&options);
}

/* Opens with options that must be refused, and returns the status. */
static inline int fixture_refused(const struct store_options *options, struct jini_error *error)
{
    struct store *store;
    int status = store_open(options, &store, error);
    CHECK(status != 0 && store == NULL);
    CHECK_INT(error->code, ==, status);
    CHECK(error->message[0] != '\0');
    return status;
}

/* ---- One key ---- */

struct fixture_pair {
    enum store_space space;
    struct slice key;
    struct slice value;
};

static inline struct fixture_pair fixture_pair(const char *key, const char *value)
{
    return (struct fixture_pair){STORE_SPACE_APPLICATION, slice_of_text(key), slice_of_text(value)};
}

static inline int fixture_op_put(struct store_txn *txn, void *argument)
{
    const struct fixture_pair *pair = argument;
    return store_put(txn, pair->space, pair->key, pair->value);
}

static inline int fixture_op_delete(struct store_txn *txn, void *argument)
{
    const struct fixture_pair *pair = argument;
    return store_delete(txn, pair->space, pair->key);
}

static inline void fixture_put(struct store *store, const char *key, const char *value)
{
    struct fixture_pair pair = fixture_pair(key, value);
    CHECK_OK(store_write(store, fixture_op_put, &pair));
}

static inline int fixture_delete(struct store *store, const char *key)
{
    struct fixture_pair pair = fixture_pair(key, "");
    return store_write(store, fixture_op_delete, &pair);
}

/* The text under a key, in a buffer of this thread; "-" when there is none. */
static inline const char *fixture_read_text(struct store_txn *txn, const char *key)
{
    static _Thread_local char text[256];
    struct buffer value = buffer_of(text, sizeof(text) - 1);
    int status = store_get(txn, STORE_SPACE_APPLICATION, slice_of_text(key), &value);
    if (status == JINI_E_NOT_FOUND)
        return "-";
    CHECK_OK(status);
    text[value.length] = '\0';
    return text;
}

static inline const char *fixture_text(struct store *store, const char *key)
{
    struct store_txn *txn;
    CHECK_OK(store_read_begin(store, &txn));
    const char *text = fixture_read_text(txn, key);
    store_read_end(txn);
    return text;
}

/* ---- Numbers under keys that are numbers ---- */

struct fixture_number {
    enum store_space space;
    uint64_t key;
    uint64_t value;
};

static inline struct slice fixture_number_key(uint8_t bytes[8], uint64_t key)
{
    store_be64(bytes, key);
    return slice_of(bytes, 8);
}

static inline int fixture_get_number(struct store_txn *txn, enum store_space space, uint64_t key,
                                     uint64_t *out)
{
    uint8_t key_bytes[8];
    uint8_t bytes[8] = {0};
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    int status = store_get(txn, space, fixture_number_key(key_bytes, key), &value);
    *out = load_le64(bytes);
    return status;
}

static inline int fixture_put_number(struct store_txn *txn, enum store_space space, uint64_t key,
                                     uint64_t value)
{
    uint8_t key_bytes[8];
    uint8_t bytes[8];
    store_le64(bytes, value);
    return store_put(txn, space, fixture_number_key(key_bytes, key), slice_of(bytes, 8));
}

static inline int fixture_op_put_number(struct store_txn *txn, void *argument)
{
    const struct fixture_number *number = argument;
    return fixture_put_number(txn, number->space, number->key, number->value);
}

/* Adds `value` to the number under the key. */
static inline int fixture_op_add(struct store_txn *txn, void *argument)
{
    const struct fixture_number *number = argument;
    uint64_t sum;
    int status = fixture_get_number(txn, number->space, number->key, &sum);
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    return fixture_put_number(txn, number->space, number->key, sum + number->value);
}

static inline uint64_t fixture_number(struct store *store, uint64_t key)
{
    struct store_txn *txn;
    uint64_t value;
    CHECK_OK(store_read_begin(store, &txn));
    int status = fixture_get_number(txn, STORE_SPACE_APPLICATION, key, &value);
    store_read_end(txn);
    if (status != JINI_E_NOT_FOUND)
        CHECK_OK(status);
    return value;
}

/* ---- Many keys ---- */

/* Puts `count` values of `bytes` bytes under the keys from `first` on. */
struct fixture_fill {
    uint64_t first;
    uint64_t count;
    size_t bytes;
};

static inline int fixture_op_fill(struct store_txn *txn, void *argument)
{
    static const uint8_t zeros[STORE_VALUE_MAX];
    const struct fixture_fill *fill = argument;
    int status = 0;
    for (uint64_t i = 0; status == 0 && i < fill->count; i++) {
        uint8_t key[8];
        status = store_put(txn, STORE_SPACE_APPLICATION, fixture_number_key(key, fill->first + i),
                           slice_of(zeros, fill->bytes));
    }
    return status;
}

static inline int fixture_fill(struct store *store, uint64_t first, uint64_t count, size_t bytes)
{
    struct fixture_fill fill = {first, count, bytes};
    return store_write(store, fixture_op_fill, &fill);
}

static inline int fixture_op_clear(struct store_txn *txn, void *argument)
{
    const struct fixture_fill *fill = argument;
    for (uint64_t i = 0; i < fill->count; i++) {
        uint8_t key[8];
        int status =
            store_delete(txn, STORE_SPACE_APPLICATION, fixture_number_key(key, fill->first + i));
        if (status && status != JINI_E_NOT_FOUND)
            return status;
    }
    return 0;
}

/* ---- Writes that are not waited for ---- */

struct fixture_write {
    struct store_write write;
    _Atomic int calls; /* of done */
};

static inline void fixture_done(struct store_write *write)
{
    atomic_fetch_add(&((struct fixture_write *)write)->calls, 1);
}

static inline void fixture_prepare(struct fixture_write *write, store_op_fn *op, void *argument)
{
    memset(write, 0, sizeof(*write));
    write->write = (struct store_write){.op = op, .argument = argument, .done = fixture_done};
}

static inline void fixture_sleep_ms(unsigned ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&pause, NULL);
}

static inline uint64_t fixture_ms(void)
{
    return clock_boot_ns(&clock_system) / NS_PER_MS;
}

/* Waits for `done` and returns the status. */
static inline int fixture_wait(struct fixture_write *write)
{
    struct timespec pause = {.tv_nsec = 20000};
    while (!atomic_load(&write->calls))
        nanosleep(&pause, NULL);
    CHECK_INT(atomic_load(&write->calls), ==, 1);
    return write->write.status;
}

/*
 * An op that stays in the writer thread until it is released. It breaks the rules of ops, for tests
 * only.
 */
struct fixture_blocker {
    struct fixture_write write;
    _Atomic bool entered;
    _Atomic bool released;
};

static inline int fixture_op_block(struct store_txn *txn, void *argument)
{
    (void)txn;
    struct fixture_blocker *blocker = argument;
    atomic_store(&blocker->entered, true);
    while (!atomic_load(&blocker->released))
        fixture_sleep_ms(1);
    return 0;
}

/* Returns when the writer thread is held up. */
static inline void fixture_block(struct store *store, struct fixture_blocker *blocker)
{
    atomic_store(&blocker->entered, false);
    atomic_store(&blocker->released, false);
    fixture_prepare(&blocker->write, fixture_op_block, blocker);
    CHECK_OK(store_submit(store, &blocker->write.write));
    while (!atomic_load(&blocker->entered))
        fixture_sleep_ms(1);
}

static inline void fixture_release(struct fixture_blocker *blocker)
{
    atomic_store(&blocker->released, true);
    CHECK_OK(fixture_wait(&blocker->write));
}

/* ---- Processes ---- */

/*
 * ThreadSanitizer cannot follow a child that was forked beside threads and starts threads itself.
 */
static inline void fixture_skip_fork_beside_threads(void)
{
    bool followed = true;
#if defined(__SANITIZE_THREAD__)
    followed = false;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
    followed = false;
#endif
#endif
    if (!followed)
        harness_skip("ThreadSanitizer cannot follow a fork beside threads");
}

/* Runs `main` in a child, which exits with 0 when it returns. */
static inline pid_t fixture_spawn(void (*main)(void *), void *argument)
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        main(argument);
        exit(0);
    }
    return pid;
}

static inline void fixture_kill(pid_t pid)
{
    int status;
    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Returns when all threads of the child stand still. */
static inline void fixture_stop(pid_t pid)
{
    int status;
    CHECK(kill(pid, SIGSTOP) == 0);
    CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
}

/* A pipe over which one process tells another to go on. */
struct fixture_flag {
    int ends[2];
};

static inline struct fixture_flag fixture_flag(void)
{
    struct fixture_flag flag;
    CHECK(pipe(flag.ends) == 0);
    return flag;
}

static inline void fixture_raise(struct fixture_flag flag)
{
    CHECK(write(flag.ends[1], "x", 1) == 1);
}

/* False when nobody raises the flag within the time. */
static inline bool fixture_await_ms(struct fixture_flag flag, int ms)
{
    struct pollfd poller = {.fd = flag.ends[0], .events = POLLIN};
    char byte;
    return poll(&poller, 1, ms) == 1 && read(flag.ends[0], &byte, 1) == 1;
}

/* Fails the case where the other process has died. */
static inline void fixture_await(struct fixture_flag flag)
{
    CHECK(fixture_await_ms(flag, 60000));
}

#endif
