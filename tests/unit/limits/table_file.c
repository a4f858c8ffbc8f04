/*
 * The file of the table: damage, deletion, other boots and versions, and failures of every system
 * call.
 *
 * The code under test is compiled into this file, with system calls that can be told to fail.
 */
#include "table_fixture.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"

#include <jini/id.h>
#include <stddef.h>

static int calls_left = -1; /* until one fails; -1: none does */
static bool call_failed;

static bool call_fails(void)
{
    if (calls_left < 0 || calls_left-- > 0)
        return false;
    calls_left = -1;
    call_failed = true;
    errno = EIO;
    return true;
}

#define open(...)                      (call_fails() ? -1 : open(__VA_ARGS__))
#define fstat(file, info)              (call_fails() ? -1 : fstat(file, info))
#define pread(file, to, length, at)    (call_fails() ? -1 : pread(file, to, length, at))
#define pwrite(file, from, length, at) (call_fails() ? -1 : pwrite(file, from, length, at))
#define posix_fallocate(file, at, length)                                                          \
    (call_fails() ? ENOSPC : posix_fallocate(file, at, length))
#define mmap(...)        (call_fails() ? MAP_FAILED : mmap(__VA_ARGS__))
#define rename(from, to) (call_fails() ? -1 : rename(from, to))
#define fcntl(...)       (call_fails() ? -1 : fcntl(__VA_ARGS__))

#include "limits/table_file.c" /* the code under test, with the macros above */

#undef open
#undef fstat
#undef pread
#undef pwrite
#undef posix_fallocate
#undef mmap
#undef rename
#undef fcntl

static uint64_t used_of(struct table *table, uint64_t user)
{
    struct charge charge;
    charge_init(&charge, "5/minute", user);
    return 5 - charge_peek(table, &charge).remaining;
}

static void spend(struct table *table, uint64_t user)
{
    struct charge charge;
    struct table_answer answer;
    charge_init(&charge, "5/minute", user);
    CHECK_OK(charge_once(table, &charge, &answer));
}

/* Changes the header's fields at the path, with a checksum that fits. */
static struct header read_header(void)
{
    struct header header;
    int file = open("limits.shm", O_RDONLY);
    CHECK_INT(read(file, &header, sizeof(header)), ==, sizeof(header));
    close(file);
    return header;
}

static void write_header(struct header *header)
{
    uint8_t page[PAGE_BYTES] = {0};
    memcpy(page, header, sizeof(*header));
    if (header->header_bytes <= PAGE_BYTES)
        header->checksum = header_checksum(page, header->header_bytes);
    int file = open("limits.shm", O_WRONLY);
    CHECK_INT(pwrite(file, header, sizeof(*header), 0), ==, sizeof(*header));
    close(file);
}

static void write_bytes(off_t at, const void *bytes, size_t length)
{
    int file = open("limits.shm", O_WRONLY);
    CHECK_INT(pwrite(file, bytes, length, at), ==, length);
    close(file);
}

TEST(a_table_outlives_its_processes,
     "What was counted is there when the table is opened again in the same boot.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    uint64_t generation = atomic_load(&fixture->generation);
    CHECK_UINT(generation, >, 0);
    spend(table, 1);
    table_close(table);
    table = fixture_open();
    CHECK_UINT(used_of(table, 1), ==, 1);
    CHECK_UINT(atomic_load(&fixture->generation), ==, generation);
    table_close(table);
    /* Also when the word is lost, which then takes the file's. */
    atomic_store(&fixture->generation, 0);
    table = fixture_open();
    CHECK_UINT(used_of(table, 1), ==, 1);
    CHECK_UINT(atomic_load(&fixture->generation), ==, generation);
    table_close(table);
}

TEST(another_boot_forgets_all, "A table of another boot is replaced: its times mean nothing now.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    uint64_t generation = atomic_load(&fixture->generation);
    spend(table, 1);
    table_close(table);
    struct header header = read_header();
    header.boot_id[0] ^= 1;
    write_header(&header);
    table = fixture_open();
    CHECK_UINT(used_of(table, 1), ==, 0);
    CHECK_UINT(atomic_load(&fixture->generation), >, generation);
    struct header fresh = read_header();
    CHECK(memcmp(fresh.key, header.key, sizeof(fresh.key)) != 0);
    table_close(table);
}

TEST(an_older_table_is_not_taken_back,
     "A file whose generation is behind the word is replaced, whoever put it there.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    spend(table, 1);
    uint64_t ahead = atomic_fetch_add(&fixture->generation, 9) + 9;
    CHECK_OK(table_check(table, NULL));
    CHECK_UINT(atomic_load(&fixture->generation), >, ahead);
    CHECK_UINT(read_header().generation, ==, atomic_load(&fixture->generation));
    CHECK_UINT(used_of(table, 1), ==, 0);
    /* A word at its very end begins anew. */
    atomic_store(&fixture->generation, UINT64_MAX);
    CHECK_OK(table_check(table, NULL));
    CHECK_UINT(atomic_load(&fixture->generation), <, UINT64_MAX / 2);
    spend(table, 1);
    CHECK_UINT(used_of(table, 1), ==, 1);
    table_close(table);
}

TEST(a_deleted_file_is_made_again,
     "Processes go on with a deleted table until one looks; then all move to the new one.")
{
    fixture_set_up();
    struct table_options options = fixture_options(0);
    struct table *first = fixture_open_with(&options);
    options.holder_slot = 1;
    struct table *second = fixture_open_with(&options);
    spend(first, 1);
    CHECK_UINT(used_of(second, 1), ==, 1);
    CHECK_INT(unlink("limits.shm"), ==, 0);
    spend(first, 1);
    CHECK_UINT(used_of(second, 1), ==, 2);
    CHECK_OK(table_check(second, NULL));
    CHECK_UINT(used_of(second, 1), ==, 0);
    spend(first, 1);
    CHECK_UINT(used_of(second, 1), ==, 1);
    CHECK_OK(table_check(first, NULL));
    CHECK_OK(table_check(second, NULL));
    CHECK_UINT(used_of(second, 1), ==, 1);
    CHECK_INT(unlink("limits.shm"), ==, 0);
    options.holder_slot = 2;
    struct table *third = fixture_open_with(&options);
    spend(third, 1);
    CHECK_UINT(used_of(first, 1), ==, 1);
    CHECK_UINT(used_of(second, 1), ==, 1);
    table_close(first);
    table_close(second);
    table_close(third);
}

TEST(word_and_file_may_be_lost_together,
     "When both are gone, a running process still notices the table that another one makes.")
{
    fixture_set_up();
    struct table_options options = fixture_options(0);
    struct table *first = fixture_open_with(&options);
    spend(first, 1);
    CHECK_INT(unlink("limits.shm"), ==, 0);
    atomic_store(&fixture->generation, 0);
    options.holder_slot = 1;
    struct table *second = fixture_open_with(&options);
    spend(second, 2);
    CHECK_UINT(used_of(first, 2), ==, 1);
    CHECK_UINT(used_of(first, 1), ==, 0);
    table_close(first);
    table_close(second);
}

TEST(a_damaged_header_is_noticed, "Any byte of the header that changes makes the next look replace "
                                  "the table; until then all goes on.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    for (size_t at = 0; at < sizeof(struct header); at++) {
        uint64_t before = atomic_load(&fixture->generation);
        uint8_t byte = ((uint8_t *)atomic_load(&table->view)->base)[at];
        uint8_t wrong = byte ^ (uint8_t)(1 + harness_random_below(255));
        spend(table, at);
        write_bytes((off_t)at, &wrong, 1);
        CHECK_UINT(used_of(table, at), ==, 1);
        CHECK_OK(table_check(table, NULL));
        CHECK_UINT(atomic_load(&fixture->generation), >, before);
        CHECK_UINT(used_of(table, at), ==, 0);
    }
    table_close(table);
}

TEST(a_hostile_header_maps_nothing_wrong,
     "Headers with a right checksum and wrong sizes are refused before anything is read by them.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    table_close(table);
    struct header right = read_header();
    for (unsigned i = 0; i < 300; i++) {
        struct header wrong = right;
        uint64_t odd = harness_random() >> harness_random_below(64);
        switch (i % 6) {
        case 0:
            wrong.bucket_counts[harness_random_below(TABLE_REGIONS)] = odd;
            break;
        case 1: /* the same sum of bytes */
            wrong.bucket_counts[0]++;
            wrong.bucket_counts[1]--;
            break;
        case 2:
            wrong.bucket_slots = (uint32_t)odd;
            break;
        case 3:
            wrong.region_count = (uint32_t)odd;
            break;
        case 4:
            wrong.header_bytes = (uint32_t)harness_random_below(5000);
            wrong.generation = 0;
            break;
        default:
            wrong.bucket_counts[1] = 0;
        }
        if (memcmp(&wrong, &right, sizeof(wrong)) == 0)
            continue;
        write_header(&wrong);
        table = fixture_open();
        spend(table, i);
        CHECK_UINT(used_of(table, i), ==, 1);
        table_close(table);
        right = read_header();
    }
}

TEST(a_file_of_another_size_is_replaced,
     "A file that was cut, extended or emptied while nobody had it open is made anew.")
{
    fixture_set_up();
    static const off_t sizes[] = {0, 1, 100, 4095, 4096, 8192, 100000000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct table *table = fixture_open();
        table_close(table);
        CHECK_INT(truncate("limits.shm", sizes[i]), ==, 0);
        table = fixture_open();
        spend(table, 1);
        CHECK_UINT(used_of(table, 1), ==, 1);
        table_close(table);
    }
}

TEST(another_version_is_not_disturbed,
     "A table of another version is replaced only when nobody has it open.")
{
    fixture_set_up();
    struct table_options options = fixture_options(0);
    struct table *user = fixture_open_with(&options);
    struct header header = read_header();
    uint32_t ours = header.version;
    header.version = 1000;
    write_header(&header);
    struct table *table;
    struct jini_error error;
    options.holder_slot = 1;
    CHECK_STATUS(table_open(&options, &table, &error), JINI_E_FORMAT);
    CHECK_CONTAINS(error.message, "version 1000");
    CHECK_STATUS(table_check(user, &error), JINI_E_FORMAT);
    spend(user, 1);
    CHECK_UINT(used_of(user, 1), ==, 1);
    table_close(user);
    table = fixture_open_with(&options);
    CHECK_UINT(read_header().version, ==, ours);
    table_close(table);
}

TEST(sizes_change_when_nobody_has_it_open,
     "A table of other sizes is used as it is beside others, and when alone replaced by one that "
     "counts all the same.")
{
    fixture_set_up();
    struct table_options options = fixture_options(0);
    struct table_occupancy occupancy;
    struct table *first = fixture_open_with(&options);
    spend(first, 1);
    options.holder_slot = 1;
    options.regions[TABLE_AUTHENTICATED].slots = 3100;
    struct table *second = fixture_open_with(&options);
    CHECK_UINT(used_of(second, 1), ==, 1);
    CHECK_OK(table_occupancy(second, TABLE_AUTHENTICATED, &occupancy));
    CHECK_UINT(occupancy.slots, ==, 310);
    table_close(first);
    table_close(second);
    second = fixture_open_with(&options);
    CHECK_UINT(used_of(second, 1), ==, 1);
    CHECK_OK(table_occupancy(second, TABLE_AUTHENTICATED, &occupancy));
    CHECK_UINT(occupancy.slots, ==, 3100);
    /* A process with other sizes that is running moves to whatever is current. */
    options.regions[TABLE_AUTHENTICATED].slots = 310;
    CHECK_INT(unlink("limits.shm"), ==, 0);
    first = fixture_open_with(&options);
    spend(first, 1);
    CHECK_UINT(used_of(second, 1), ==, 1);
    CHECK_OK(table_occupancy(second, TABLE_AUTHENTICATED, &occupancy));
    CHECK_UINT(occupancy.slots, ==, 310);
    table_close(first);
    table_close(second);
}

static void check_counts(const struct table_options *options, uint64_t users, uint32_t slots)
{
    static const char *const texts[] = {"7/59 minutes", "7/59 minutes sliding",
                                        "7/59 minutes gcra"};
    struct table_occupancy occupancy;
    struct table *table = fixture_open_with(options);
    CHECK_OK(table_occupancy(table, TABLE_AUTHENTICATED, &occupancy));
    CHECK_UINT(occupancy.slots, ==, slots);
    CHECK_UINT(occupancy.live, ==, users);
    for (uint64_t user = 0; user < users; user++) {
        struct charge charge;
        charge_init(&charge, texts[user % 3], user);
        uint64_t all = user % 3 == 2 ? charge.algorithm.burst : 7;
        CHECK_UINT(charge_peek(table, &charge).remaining, ==, all - 1);
    }
    table_close(table);
}

TEST(
    a_change_of_size_forgets_nothing,
    "Every subject of every algorithm is found again in a larger and in a smaller table, with what "
    "it used; windows that are over are not carried; and where one bucket has no place for all, "
    "the table stays as it is.")
{
    enum { LIVE = 90 };
    fixture_set_up();
    struct table_options options = fixture_options(0);
    struct table *table = fixture_open_with(&options);
    struct table_answer answer;
    struct charge charge;
    charge_init(&charge, "9/second", 1000);
    CHECK_OK(charge_once(table, &charge, &answer));
    fixture_advance_ms(2000);
    for (uint64_t user = 0; user < LIVE; user++) {
        static const char *const texts[] = {"7/59 minutes", "7/59 minutes sliding",
                                            "7/59 minutes gcra"};
        charge_init(&charge, texts[user % 3], user);
        CHECK_OK(charge_once(table, &charge, &answer));
    }
    table_close(table);
    options.regions[TABLE_AUTHENTICATED].slots = 31000;
    check_counts(&options, LIVE, 31000);
    options.regions[TABLE_AUTHENTICATED].slots = 217;
    check_counts(&options, LIVE, 217);
    options.regions[TABLE_AUTHENTICATED].slots = 31;
    check_counts(&options, LIVE, 217);
    CHECK_INT(access("limits.shm.new", F_OK), ==, -1);
    fixture_advance_ms(UINT64_C(2) * 60 * 60 * 1000);
    check_counts(&options, 0, 31);
}

TEST(what_stands_in_the_way,
     "Links, pipes and directories at the path are replaced or reported, and never followed.")
{
    fixture_set_up();
    struct table_options options = fixture_options(0);
    struct table *table;
    struct jini_error error;
    CHECK_INT(symlink("elsewhere", "limits.shm"), ==, 0);
    table = fixture_open_with(&options);
    spend(table, 1);
    table_close(table);
    CHECK_INT(access("elsewhere", F_OK), ==, -1);
    CHECK_INT(unlink("limits.shm"), ==, 0);
    CHECK_INT(mkfifo("limits.shm", 0600), ==, 0);
    table = fixture_open_with(&options);
    spend(table, 1);
    table_close(table);
    CHECK_INT(unlink("limits.shm"), ==, 0);
    CHECK_INT(mkdir("limits.shm", 0700), ==, 0);
    CHECK(table_open(&options, &table, &error) != 0);
    CHECK(table == NULL);
    CHECK_CONTAINS(error.field, "limits.shm");
    CHECK_INT(rmdir("limits.shm"), ==, 0);
    /* A temporary file that a crash left behind. */
    int left = open("limits.shm.new", O_WRONLY | O_CREAT, 0600);
    CHECK_INT(left, >=, 0);
    close(left);
    table = fixture_open_with(&options);
    spend(table, 1);
    table_close(table);
    CHECK_INT(access("limits.shm.new", F_OK), ==, -1);
}

TEST(a_handle_follows_so_many_tables,
     "A handle whose table is replaced again and again says so instead of growing without end.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    struct jini_error error;
    for (unsigned i = 1; i < TABLE_REMAPS_MAX; i++) {
        CHECK_INT(unlink("limits.shm"), ==, 0);
        CHECK_OK(table_check(table, &error));
    }
    CHECK_INT(unlink("limits.shm"), ==, 0);
    CHECK_STATUS(table_check(table, &error), JINI_E_CORRUPT);
    table_close(table);
    table = fixture_open();
    spend(table, 1);
    table_close(table);
}

TEST(a_view_that_was_left_is_empty,
     "Whoever still works on the table before finds zeros, and receipts of it give nothing back.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    struct charge charge;
    struct table_answer answer;
    charge_init(&charge, "5/minute", 1);
    CHECK_OK(charge_once(table, &charge, &answer));
    struct table_view *before = atomic_load(&table->view);
    CHECK_INT(unlink("limits.shm"), ==, 0);
    CHECK_OK(table_check(table, NULL));
    for (size_t i = 0; i < before->bytes; i++)
        CHECK_UINT(before->base[i], ==, 0);
    CHECK_STATUS(table_refund(table, &answer.receipt), JINI_E_NOT_FOUND);
    CHECK_OK(charge_once(table, &charge, &answer));
    CHECK_UINT(answer.remaining, ==, 4);
    table_close(table);
}

TEST(a_table_that_cannot_be_opened_answers_by_policy,
     "While the new table cannot be had, closed regions answer the error and open ones let pass.")
{
    fixture_set_up();
    struct table_options options = fixture_options(0);
    options.regions[TABLE_ANONYMOUS].when_full = TABLE_FAIL_OPEN;
    struct table *table = fixture_open_with(&options);
    struct charge charge;
    struct table_answer answer;
    charge_init(&charge, "5/minute", 1);
    CHECK_OK(charge_once(table, &charge, &answer));
    CHECK_INT(unlink("limits.shm"), ==, 0);
    CHECK_INT(mkdir("limits.shm", 0700), ==, 0);
    atomic_fetch_add(&fixture->generation, 1);
    int status = charge_once(table, &charge, &answer);
    CHECK(status != 0 && status != JINI_E_LIMITED);
    CHECK_INT(charge_once(table, &charge, &answer), ==, status);
    CHECK_INT(table_peek(table, &charge.item, 0, &answer), ==, status);
    CHECK_INT(table_reset(table, &charge.subject), ==, status);
    uint8_t address[4] = {10, 0, 0, 1};
    struct charge anonymous;
    charge_init(&anonymous, "5/minute", 1);
    CHECK_OK(table_subject_address(&anonymous.subject, slice_of(address, 4), 0, &anonymous.limit));
    CHECK_OK(charge_once(table, &anonymous, &answer));
    CHECK_UINT(answer.verdict, ==, TABLE_UNCOUNTED);
    /* It is tried again after a moment. */
    CHECK_INT(rmdir("limits.shm"), ==, 0);
    CHECK_INT(charge_once(table, &charge, &answer), ==, status);
    fixture_advance_ms(RETRY_MS);
    CHECK_OK(charge_once(table, &charge, &answer));
    CHECK_OK(charge_once(table, &anonymous, &answer));
    CHECK_UINT(answer.verdict, ==, TABLE_ADMITTED);
    table_close(table);
}

TEST(a_held_lock_is_waited_for_so_long,
     "Who makes a table while another is stopped at it gives up after 5 s.")
{
    if (harness_sanitized())
        harness_skip("a sanitizer learns nothing while a thread sleeps");
    fixture_set_up();
    struct table_options options = fixture_options(0);
    struct table *table;
    struct jini_error error;
    int file = open("limits.lock", O_RDWR | O_CREAT, 0600);
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_MAKING, .l_len = 1};
    CHECK_INT(fcntl(file, F_OFD_SETLK, &lock), ==, 0);
    CHECK_STATUS(table_open(&options, &table, &error), JINI_E_BUSY);
    CHECK_CONTAINS(error.message, "stopped");
    close(file);
    table = fixture_open_with(&options);
    table_close(table);
}

/* Moves the clock of the table on at every look, as a wait would. */
static uint64_t passing_clock_ns(void *context)
{
    (void)context;
    return atomic_fetch_add(&fixture->now_ns, 20 * NS_PER_MS);
}

TEST(a_charge_does_not_wait_for_a_stopped_maker,
     "While a process is stopped at making the table, a charge and the timer give up after the "
     "wait of a bucket, and charges answer by policy; for the moment after nobody waits at all.")
{
    static const struct jini_clock passing_clock = {passing_clock_ns, passing_clock_ns, NULL};
    struct charge charge;
    struct table_answer answer;
    fixture_set_up();
    struct table_options options = fixture_options(0);
    options.clock = &passing_clock;
    struct table *table = fixture_open_with(&options);
    charge_init(&charge, "5/minute", 1);
    int file = open("limits.lock", O_RDWR | O_CREAT, 0600);
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_MAKING, .l_len = 1};
    CHECK_INT(fcntl(file, F_OFD_SETLK, &lock), ==, 0);
    atomic_fetch_add(&fixture->generation, 1);
    struct timespec before;
    struct timespec after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    CHECK_STATUS(table_check(table, NULL), JINI_E_BUSY);
    fixture_advance_ms(RETRY_MS);
    uint64_t before_ns = atomic_load(&fixture->now_ns);
    CHECK_STATUS(charge_once(table, &charge, &answer), JINI_E_BUSY);
    clock_gettime(CLOCK_MONOTONIC, &after);
    CHECK_INT(after.tv_sec - before.tv_sec, <, 3);
    CHECK_UINT(table->retry_at_ns, >, before_ns + RETRY_MS * NS_PER_MS);
    close(file);
    CHECK_STATUS(charge_once(table, &charge, &answer), JINI_E_BUSY);
    fixture_advance_ms(RETRY_MS);
    CHECK_OK(charge_once(table, &charge, &answer));
    table_close(table);
}

TEST(any_system_call_may_fail, "Whichever call fails when a table is made, opened or replaced, it "
                               "is reported, nothing leaks, and the next try works.")
{
    fixture_set_up();
    for (unsigned round = 0; round < 3; round++) {
        unsigned failures = 0;
        for (int nth = 0;; nth++) {
            struct table_options options = fixture_options(0);
            struct table *table = NULL;
            struct jini_error error;
            call_failed = false;
            if (round == 0)
                unlink("limits.shm");
            if (round == 2) {
                table = fixture_open_with(&options);
                unlink("limits.shm");
            }
            calls_left = nth;
            int status = table ? table_check(table, &error) : table_open(&options, &table, &error);
            calls_left = -1;
            if (status) {
                CHECK(call_failed);
                CHECK(error.field[0] && error.message[0]);
                CHECK(round == 2 || table == NULL);
                failures++;
            }
            CHECK_INT(access("limits.shm.new", F_OK), ==, -1);
            if (table)
                table_close(table);
            table = fixture_open();
            spend(table, (uint64_t)nth);
            table_close(table);
            if (!call_failed)
                break;
        }
        CHECK_UINT(failures, >=, 4);
    }
    /* No file descriptor was left open. */
    int file = open("/dev/null", O_RDONLY);
    CHECK_INT(file, <, 10);
    close(file);
}

TEST(memory_may_run_out,
     "Whichever allocation fails, the table is not opened, says so, and opens at the next try.")
{
    fixture_set_up();
    for (uint64_t nth = 1;; nth++) {
        struct table_options options = fixture_options(0);
        struct table *table;
        struct jini_error error;
        harness_fail_allocation(nth);
        int status = table_open(&options, &table, &error);
        bool failed = harness_allocation_failed();
        harness_fail_allocation(0);
        CHECK_STATUS(status, failed ? JINI_E_NO_MEMORY : 0);
        table_close(table);
        if (!failed)
            break;
        CHECK(table == NULL);
    }
    struct table *table = fixture_open();
    struct charge charge;
    struct table_answer answer;
    charge_init(&charge, "5/minute", 1);
    unlink("limits.shm");
    atomic_fetch_add(&fixture->generation, 1);
    harness_fail_allocation(1);
    CHECK_STATUS(charge_once(table, &charge, &answer), JINI_E_NO_MEMORY);
    harness_fail_allocation(0);
    fixture_advance_ms(RETRY_MS);
    CHECK_OK(charge_once(table, &charge, &answer));
    table_close(table);
}
