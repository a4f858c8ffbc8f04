/*
 * The test harness: cases that run each in a process and a directory of their own.
 *
 *     TEST(torn_tail_is_ignored,
 *          "A record that was cut by a crash is as if it had never been written.")
 *     {
 *         CHECK_OK(pack_open(...));
 *         CHECK_UINT(pack_count(pack), ==, 3);
 *     }
 *
 * A binary runs all its cases, or those whose names are given. A failure prints the line, both
 * sides and the seed; JINI_TEST_SEED=N repeats it. JINI_TEST_SCALE=N multiplies the loops of the
 * long cases.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct harness_case {
    const char *name;
    const char *sentence;
    const char *file;
    void (*run)(void);
    struct harness_case *next;
};

void harness_register(struct harness_case *test);

#define TEST(test_name, test_sentence)                                                             \
    static void test_name(void);                                                                   \
    __attribute__((constructor)) static void register_##test_name(void)                            \
    {                                                                                              \
        static struct harness_case test = {#test_name, test_sentence, __FILE__, test_name, NULL};  \
        harness_register(&test);                                                                   \
    }                                                                                              \
    static void test_name(void)

/*
 * The directory of this case: empty at its start, removed at its end. The case's working directory.
 */
const char *harness_directory(void);

/*
 * A second directory of this case, in memory when /dev/shm has so many bytes free, else on disk
 * like the first. For files that are made and removed by the thousand and whose durability does not
 * matter.
 */
const char *harness_fast_directory(uint64_t free_bytes_min);

/*
 * Of how many of its calls, bytes or cuts a sweep takes one: all. A sanitizer is many times slower:
 * there a sample, which begins at a random place below the step, since the code behind each is what
 * it looks at, and most meet the same.
 */
uint64_t harness_step_of_sweep(void);

/* The same of a sweep that takes a minute by itself: a third without a sanitizer, too. */
uint64_t harness_step_of_long_sweep(void);

/*
 * For cases that write by the thousand with store.run_twice. LMDB wants megabytes for the
 * transaction that each op is then: they come from what the heap keeps, and are not mapped and
 * faulted in anew. Cases that open databases by the thousand take longer with it: the zeros that
 * those want are free when they are mapped.
 */
void harness_keep_heap(void);

/* A path below harness_directory(), in one of eight rotating buffers. */
const char *harness_path(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The seed of this run, and a generator made from it (splitmix64). */
uint64_t harness_seed(void);
uint64_t harness_random(void);
uint64_t harness_random_below(uint64_t bound);

/* JINI_TEST_SCALE, 1 by default. */
unsigned harness_scale(void);

/* True in a build with AddressSanitizer or ThreadSanitizer, which is several times slower. */
bool harness_sanitized(void);

/* Ends the case as skipped. */
void harness_skip(const char *reason) __attribute__((noreturn));

void harness_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

/*
 * Heap failures. harness_fail_allocation(n) lets the nth allocation from now fail (1 is the next
 * one) and all later ones succeed; 0 switches it off. harness_allocation_failed() tells whether it
 * came to that.
 */
void harness_fail_allocation(uint64_t nth);
bool harness_allocation_failed(void);

/* How many allocations there were since, while none has failed. */
uint64_t harness_allocations(void);

/* Removes a file, or a folder with all that is in it. Nothing when there is none. */
void harness_remove(const char *path);

/* Copies a folder with all that is in it to `to`, which must not exist. Holes become zeros. */
void harness_copy(const char *from, const char *to);

/* True when a file at or below `path` holds these bytes. */
bool harness_tree_holds(const char *path, const void *bytes, size_t length);

/* Waits for a child; fails the case unless it exited with `code`. */
void harness_wait_exit(int pid, int code);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            harness_fail(__FILE__, __LINE__, "%s", #condition);                                    \
    } while (0)

#define CHECK_COMPARE(type, format, a, operator, b)                                                \
    do {                                                                                           \
        type check_a = (a);                                                                        \
        type check_b = (b);                                                                        \
        if (!(check_a operator check_b))                                                           \
            harness_fail(__FILE__, __LINE__, "%s %s %s: %" format " and %" format, #a, #operator,  \
                         #b, check_a, check_b);                                                    \
    } while (0)

#define CHECK_INT(a, operator, b)  CHECK_COMPARE(int64_t, PRId64, a, operator, b)
#define CHECK_UINT(a, operator, b) CHECK_COMPARE(uint64_t, PRIu64, a, operator, b)

#define CHECK_TEXT(a, b)                                                                           \
    do {                                                                                           \
        const char *check_a = (a);                                                                 \
        const char *check_b = (b);                                                                 \
        if (strcmp(check_a, check_b) != 0)                                                         \
            harness_fail(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #a, check_a, check_b);    \
    } while (0)

#define CHECK_CONTAINS(whole, part)                                                                \
    do {                                                                                           \
        const char *check_whole = (whole);                                                         \
        const char *check_part = (part);                                                           \
        if (!strstr(check_whole, check_part))                                                      \
            harness_fail(__FILE__, __LINE__, "%s is \"%s\", without \"%s\"", #whole, check_whole,  \
                         check_part);                                                              \
    } while (0)

#define CHECK_BYTES(a, b, length)                                                                  \
    do {                                                                                           \
        if (memcmp((a), (b), (length)) != 0)                                                       \
            harness_fail(__FILE__, __LINE__, "%s and %s differ in %zu bytes", #a, #b,              \
                         (size_t)(length));                                                        \
    } while (0)

/* A status, printed by name. */
void harness_check_status(const char *file, int line, const char *call, int status, int expected);
#define CHECK_STATUS(call, expected)                                                               \
    harness_check_status(__FILE__, __LINE__, #call, (call), (expected))
#define CHECK_OK(call) CHECK_STATUS(call, 0)

#endif
