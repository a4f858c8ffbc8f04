/*
 * The table on a disk that has no room for it: who gives way, what is answered, what comes after.
 */
#include "table_fixture.h"

#include "base/hash.h"
#include "faults.h"
#include "limits_file.h"
#include "small_disk.h"

enum { DISK_KIB = 72, TABLE_BYTES = 40960, RETRY_MS = 100 };

/* Works from here on in a disk that holds one table of the fixture's and not two. */
static void work_in_small_disk(void)
{
    small_disk_mount(harness_path("disk"), DISK_KIB);
    CHECK_INT(chdir(harness_path("disk")), ==, 0);
    fixture_set_up();
}

/* The sizes that files of the table get fail from now on with `error`; 0: they are only counted. */
static void watch_sizes(int error)
{
    struct fault_plan plan = {.kinds = FAULT_SIZE,
                              .effect = FAULT_FAIL,
                              .repeat = FAULT_FROM_THEN_ON,
                              .error = error,
                              .nth = error ? 1 : UINT64_MAX,
                              .pattern = "limits.shm*"};
    fault_inject(&plan);
}

/* Takes all of the disk that is left. */
static void fill_disk(void)
{
    static const char block[1024];
    int file = open("filler", O_WRONLY | O_CREAT | O_APPEND, 0600);
    CHECK_INT(file, >=, 0);
    while (write(file, block, sizeof(block)) > 0)
        ;
    CHECK_INT(errno, ==, ENOSPC);
    close(file);
}

static void charge_user(struct table *table, int expected, uint64_t left)
{
    struct charge charge;
    struct table_answer answer;
    charge_init(&charge, "5/minute", 1);
    CHECK_STATUS(charge_once(table, &charge, &answer), expected);
    CHECK_UINT(answer.remaining, ==, left);
}

static uint64_t slots_of(struct table *table)
{
    struct table_occupancy occupancy;
    CHECK_OK(table_occupancy(table, TABLE_AUTHENTICATED, &occupancy));
    return occupancy.slots;
}

TEST(a_stale_table_gives_its_room,
     "On a full disk a table of another boot, or a damaged one, which "
     "nobody has open is replaced in its own room.")
{
    work_in_small_disk();
    for (int round = 0; round < 4; round++) {
        struct table *table = fixture_open();
        CHECK_OK(table_state(table, NULL));
        charge_user(table, 0, 4);
        table_close(table);
        struct stat info;
        CHECK_INT(stat("limits.shm", &info), ==, 0);
        CHECK_INT(info.st_size, ==, TABLE_BYTES);
        fill_disk();
        limits_file_reboot("limits.shm");
        if (round % 2)
            CHECK_INT(truncate("limits.shm", TABLE_BYTES - 1), ==, 0);
    }
}

TEST(a_table_that_is_in_use_is_not_removed,
     "Where a process still counts in a table that was damaged, a full disk leaves it to that "
     "process; who comes anew has none.")
{
    work_in_small_disk();
    struct table_options options = fixture_options(0);
    struct table *first = fixture_open_with(&options);
    struct jini_error error;
    charge_user(first, 0, 4);
    fill_disk();
    limits_file_reboot("limits.shm");
    CHECK_STATUS(table_check(first, &error), JINI_E_FULL);
    CHECK_OK(table_state(first, NULL));
    charge_user(first, 0, 3);
    CHECK_INT(access("limits.shm", F_OK), ==, 0);
    options.holder_slot = 1;
    struct table *second = fixture_open_with(&options);
    CHECK_STATUS(table_state(second, &error), JINI_E_FULL);
    charge_user(second, JINI_E_FULL, 0);
    charge_user(first, 0, 2);
    CHECK_INT(mount(NULL, ".", NULL, MS_REMOUNT, "size=1m"), ==, 0);
    CHECK_OK(table_check(second, &error));
    charge_user(second, 0, 4);
    charge_user(first, 0, 3);
    table_close(first);
    table_close(second);
}

TEST(new_sizes_wait_for_room, "A table of this boot whose sizes are to change goes on with those "
                              "that it has where both do not fit; either way nothing is forgotten.")
{
    work_in_small_disk();
    struct table_options options = fixture_options(0);
    struct table *table = fixture_open_with(&options);
    charge_user(table, 0, 4);
    table_close(table);
    options.regions[TABLE_AUTHENTICATED].slots = 620;
    table = fixture_open_with(&options);
    CHECK_OK(table_state(table, NULL));
    CHECK_UINT(slots_of(table), ==, 310);
    charge_user(table, 0, 3);
    table_close(table);
    CHECK_INT(access("limits.shm.new", F_OK), ==, -1);
    options.regions[TABLE_AUTHENTICATED].slots = 31;
    table = fixture_open_with(&options);
    CHECK_UINT(slots_of(table), ==, 31);
    charge_user(table, 0, 2);
    table_close(table);
}

/* An address under 5/minute, in the region that fails open. */
static void charge_address(struct table *table, uint32_t verdict, uint64_t left)
{
    static const uint8_t address[4] = {192, 0, 2, 1};
    struct charge charge;
    struct table_answer answer;
    charge_init(&charge, "5/minute", 1);
    CHECK_OK(table_subject_address(&charge.subject, slice_of(address, 4), 0, &charge.limit));
    CHECK_OK(charge_once(table, &charge, &answer));
    CHECK_UINT(answer.verdict, ==, verdict);
    CHECK_UINT(answer.remaining, ==, left);
    if (verdict == TABLE_ADMITTED)
        return;
    CHECK_UINT(answer.receipt.tag, ==, 0);
    CHECK_OK(table_peek(table, &charge.item, fixture_clock_ns(NULL), &answer));
    CHECK_UINT(answer.verdict, ==, verdict);
}

/* Everything but an open region answers that there is no table, and why. */
static void check_without_table(struct table *table)
{
    struct charge charge;
    struct table_answer answer;
    struct table_occupancy occupancy;
    struct table_entry entry;
    struct jini_error error;
    size_t count;
    charge_init(&charge, "5/minute", 1);
    CHECK_STATUS(table_state(table, &error), JINI_E_FULL);
    CHECK_TEXT(error.field, "limits.shm");
    CHECK_CONTAINS(error.message, "40960 bytes of disk");
    charge_user(table, JINI_E_FULL, 0);
    charge_address(table, TABLE_UNCOUNTED, 5);
    table_prefetch(table, &charge.subject);
    CHECK_STATUS(table_peek(table, &charge.item, 0, &answer), JINI_E_FULL);
    CHECK_STATUS(table_reset(table, &charge.subject), JINI_E_FULL);
    CHECK_STATUS(table_occupancy(table, TABLE_AUTHENTICATED, &occupancy), JINI_E_FULL);
    CHECK_STATUS(table_top(table, TABLE_AUTHENTICATED, &entry, 1, &count), JINI_E_FULL);
    struct table_receipt receipt = {.tag = 1, .generation = 1};
    CHECK_STATUS(table_refund(table, &receipt), JINI_E_NOT_FOUND);
    CHECK_STATUS(table_check(table, &error), JINI_E_FULL);
    CHECK_CONTAINS(error.message, "40960 bytes of disk");
    CHECK_INT(access("limits.shm.new", F_OK), ==, -1);
}

TEST(without_room_each_region_answers_by_its_policy,
     "A table opens without its file on a full disk: closed regions refuse and say why, open ones "
     "admit uncounted, and a moment after there is room all are counted.")
{
    fault_attach(harness_path("control"));
    work_in_small_disk();
    fill_disk();
    struct table_options options = fixture_options(0);
    options.regions[TABLE_ANONYMOUS].when_full = TABLE_FAIL_OPEN;
    watch_sizes(0);
    struct table *table = fixture_open_with(&options);
    struct table_counters counters;
    check_without_table(table);
    CHECK_UINT(fault_calls(), ==, 0); /* what is there is looked at, not taken and given back */
    fault_inject_stop();
    CHECK_STATUS(table_counters(table, &counters), JINI_E_FULL);
    CHECK_UINT(counters.missing, ==, 2);
    CHECK_INT(unlink("filler"), ==, 0);
    charge_user(table, JINI_E_FULL, 0); /* looked a moment ago */
    fixture_advance_ms(RETRY_MS);
    charge_user(table, 0, 4);
    charge_address(table, TABLE_ADMITTED, 4);
    CHECK_OK(table_state(table, NULL));
    CHECK_OK(table_counters(table, &counters));
    CHECK_UINT(counters.missing, ==, 3);
    CHECK_UINT(counters.admitted, ==, 2);
    table_close(table);
    /* The timer finds the room too, when nobody charges. */
    CHECK_INT(unlink("limits.shm"), ==, 0);
    fill_disk();
    table = fixture_open_with(&options);
    CHECK_STATUS(table_state(table, NULL), JINI_E_FULL);
    CHECK_INT(unlink("filler"), ==, 0);
    CHECK_OK(table_check(table, NULL));
    CHECK_OK(table_state(table, NULL));
    charge_user(table, 0, 4);
    table_close(table);
}

TEST(a_disk_that_is_full_at_the_last_moment,
     "Where the reservation itself meets a full disk the table opens without its file, and nothing "
     "is left behind; any other failure is one of opening.")
{
    fixture_set_up();
    fault_attach(harness_path("control"));
    struct table_options options = fixture_options(0);
    struct jini_error error;
    watch_sizes(ENOSPC);
    struct table *table = fixture_open_with(&options);
    CHECK_STATUS(table_state(table, &error), JINI_E_FULL);
    CHECK_INT(access("limits.shm.new", F_OK), ==, -1);
    watch_sizes(EDQUOT);
    fixture_advance_ms(RETRY_MS);
    charge_user(table, JINI_E_FULL, 0);
    CHECK_UINT(fault_injected(), ==, 1);
    watch_sizes(EIO);
    fixture_advance_ms(RETRY_MS);
    charge_user(table, JINI_E_IO, 0);
    fault_inject_stop();
    fixture_advance_ms(RETRY_MS);
    charge_user(table, 0, 4);
    table_close(table);
    CHECK_INT(unlink("limits.shm"), ==, 0);
    watch_sizes(EIO);
    CHECK_STATUS(table_open(&options, &table, &error), JINI_E_IO);
    CHECK_CONTAINS(error.field, "limits.shm");
    CHECK(table == NULL);
}

static bool room_is_free;

static bool may_take_room(void *context)
{
    CHECK(context == &room_is_free);
    return room_is_free;
}

TEST(room_that_is_kept_for_others_is_not_taken,
     "While what is free is meant for others no table is made, but in the room of the one before.")
{
    fixture_set_up();
    struct table_options options = fixture_options(0);
    options.may_take_room = may_take_room;
    options.context = &room_is_free;
    struct jini_error error;
    struct table *table = fixture_open_with(&options);
    CHECK_STATUS(table_state(table, &error), JINI_E_FULL);
    CHECK_CONTAINS(error.message, "kept for releases");
    room_is_free = true;
    fixture_advance_ms(RETRY_MS);
    charge_user(table, 0, 4);
    table_close(table);
    room_is_free = false;
    limits_file_reboot("limits.shm");
    table = fixture_open_with(&options);
    charge_user(table, 0, 4);
    table_close(table);
    limits_file_reboot("limits.shm");
    options.regions[TABLE_AUTHENTICATED].slots = 3100;
    table = fixture_open_with(&options);
    CHECK_STATUS(table_state(table, NULL), JINI_E_FULL);
    table_close(table);
}

TEST(who_has_no_table_uses_none,
     "A handle without a table does not keep others from replacing one of another version.")
{
    fixture_set_up();
    struct table_options options = fixture_options(0);
    options.may_take_room = may_take_room;
    options.context = &room_is_free;
    struct table *without = fixture_open_with(&options);
    CHECK_STATUS(table_state(without, NULL), JINI_E_FULL);
    uint8_t header[24] = "JINILIMT\2\0\0\0\30";
    uint64_t checksum = hash64(slice_of(header, sizeof(header)));
    memcpy(header + 16, &checksum, 8);
    int file = open("limits.shm", O_WRONLY | O_CREAT, 0600);
    CHECK_INT(write(file, header, sizeof(header)), ==, sizeof(header));
    CHECK_INT(ftruncate(file, 2 * TABLE_BYTES), ==, 0);
    close(file);
    room_is_free = true;
    options.holder_slot = 1;
    struct table *table = fixture_open_with(&options);
    charge_user(table, 0, 4);
    fixture_advance_ms(RETRY_MS);
    charge_user(without, 0, 3);
    table_close(table);
    table_close(without);
}
