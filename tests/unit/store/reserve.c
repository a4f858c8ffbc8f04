/* Full disks and full maps: new work is refused, what gives back goes on. */
#include "fixture.h"
#include "small_disk.h"

#include "store/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A sanitizer, which takes its time with each write, sees in two all that there is. */
static int rounds_of(int rounds)
{
    return harness_sanitized() && harness_scale() == 1 ? 2 : rounds;
}

/* Runs an op of the class that may use the reserve. */
static int release(struct store *store, store_op_fn *op, void *argument)
{
    return store_write_class(store, op, argument, STORE_RELEASE);
}

static bool is_full(struct store *store)
{
    struct store_figures figures;
    CHECK_OK(store_figures(store, &figures));
    return figures.full;
}

/*
 * Puts new values until the store is full; returns the number behind the last key that was taken.
 */
static uint64_t fill_up(struct store *store, uint64_t first)
{
    int status = 0;
    while (status == 0) {
        status = fixture_fill(store, first, 1, 3000);
        first += status == 0;
    }
    CHECK_STATUS(status, JINI_E_FULL);
    CHECK(is_full(store));
    return first;
}

/* Releases that delete, settle and expire: some write more than they free. */
static void release_much(struct store *store, uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct fixture_fill gone = {first + i, 1, 0};
        struct fixture_number settled = {STORE_SPACE_LEASES, i % 10, i};
        CHECK_OK(release(store, fixture_op_clear, &gone));
        CHECK_OK(release(store, fixture_op_put_number, &settled));
    }
}

/* The next write looks for room, as it would a second later. */
static void let_a_second_pass(struct store *store)
{
    atomic_fetch_sub(&store->reserve_checked_ns, NS_PER_S);
}

/* New work is taken again within a few seconds, without anybody calling anything but writes. */
static void wait_for_room(struct store *store)
{
    uint64_t end = fixture_ms() + 20000;
    int status;
    while ((status = fixture_fill(store, 1, 1, 10)) == JINI_E_FULL && fixture_ms() < end)
        fixture_sleep_ms(20);
    CHECK_OK(status);
    CHECK(!is_full(store));
}

static struct store_options bounded_map(void)
{
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    options.map_bytes = 1 << 20;
    options.map_bytes_max = 8 << 20;
    options.reserve_bytes = 1 << 20;
    return options;
}

struct reliever {
    struct store *store;
    unsigned runs;
};

/* In its second run there is room again, as when a tick has found it just then. */
static int op_relieve(struct store_txn *txn, void *argument)
{
    struct reliever *reliever = argument;
    (void)txn;
    if (++reliever->runs == 2)
        atomic_store(&reliever->store->full, 0);
    return 0;
}

STORE_TEST(room_that_comes_between_two_runs_confuses_nobody,
           "When the store stops being full between the two runs of a batch, new work in it is "
           "JINI_E_FULL, and not found to be unrepeatable.")
{
    struct store *store = fixture_open(driver);
    struct reliever reliever = {store, 0};
    struct fixture_pair pair = fixture_pair("a", "1");
    struct fixture_blocker blocker;
    struct fixture_write first;
    struct fixture_write second;
    fixture_block(store, &blocker);
    fixture_prepare(&first, op_relieve, &reliever);
    first.write.class = STORE_RELEASE;
    fixture_prepare(&second, fixture_op_put, &pair);
    CHECK_OK(store_submit(store, &first.write));
    CHECK_OK(store_submit(store, &second.write));
    reserve_enter(store, RESERVE_DISK);
    fixture_release(&blocker);
    CHECK_OK(fixture_wait(&first));
    CHECK_STATUS(fixture_wait(&second), JINI_E_FULL);
    CHECK_UINT(reliever.runs, ==, 2);
    CHECK_OK(store_write(store, fixture_op_put, &pair));
    store_close(store);
}

static struct store *filling; /* of the case that runs, for the driver that it changes */
static enum reserve_cause cause;
static int answer;
static unsigned commits;

/* The first commit finds no room, just when a tick has found out that there is none. */
static int commit_without_room(struct driver_txn *txn)
{
    if (commits++ > 0)
        return driver_lmdb.write_commit(txn);
    reserve_enter(filling, cause);
    driver_lmdb.write_abort(txn);
    return answer;
}

TEST(a_tick_that_finds_the_store_full_first_leaves_releases_their_run,
     "When a tick finds disk or map full while a batch runs that then finds it too, the batch runs "
     "again without its new work, and what gives back is written.")
{
    for (int i = 0; i < 2; i++) {
        struct store_options options = bounded_map();
        options.directory = harness_path("db-%d", i);
        options.map_bytes = options.map_bytes_max;
        struct store *store = fixture_open_with(&options);
        struct driver_ops ops = *store->ops;
        struct fixture_pair pairs[2] = {fixture_pair("back", "1"), fixture_pair("new", "1")};
        struct fixture_blocker blocker;
        struct fixture_write writes[2];
        filling = store;
        cause = i ? RESERVE_MAP : RESERVE_DISK;
        answer = i ? DRIVER_MAP_FULL : JINI_E_FULL;
        commits = 0;
        ops.write_commit = commit_without_room;
        fixture_block(store, &blocker);
        for (int k = 0; k < 2; k++) {
            fixture_prepare(&writes[k], fixture_op_put, &pairs[k]);
            writes[k].write.class = k ? STORE_NEW_WORK : STORE_RELEASE;
            CHECK_OK(store_submit(store, &writes[k].write));
        }
        store->ops = &ops;
        fixture_release(&blocker);
        CHECK_OK(fixture_wait(&writes[0]));
        CHECK_STATUS(fixture_wait(&writes[1]), JINI_E_FULL);
        CHECK_UINT(commits, ==, 2);
        CHECK_TEXT(fixture_text(store, "back"), "1");
        CHECK_TEXT(fixture_text(store, "new"), "-");
        store_close(store);
    }
}

TEST(a_full_map_refuses_new_work_only,
     "At map_bytes_max less the reserve new work is JINI_E_FULL and releases go on; with room "
     "again, new work is taken.")
{
    struct store_options options = bounded_map();
    struct store *store = fixture_open_with(&options);
    uint64_t count = fill_up(store, 0);
    CHECK_STATUS(fixture_fill(store, count, 1, 10), JINI_E_FULL);
    release_much(store, 0, 200);
    CHECK_STATUS(fixture_fill(store, count, 1, 10), JINI_E_FULL);
    release_much(store, 200, 500);
    wait_for_room(store);
    store_close(store);
}

TEST(the_maps_reserve_is_kept_again_and_again,
     "However often a map runs full and gets room again, releases find their reserve.")
{
    struct store_options options = bounded_map();
    struct store *store = fixture_open_with(&options);
    uint64_t first = 0;
    for (int round = 0; round < rounds_of(4); round++) {
        uint64_t end = fill_up(store, first + 10000);
        CHECK_UINT(end, >, first + 10000 + 50);
        for (uint64_t i = 0; i < 50; i++) { /* releases that only write */
            struct fixture_number settled = {STORE_SPACE_LEASES, i, i};
            CHECK_OK(release(store, fixture_op_put_number, &settled));
        }
        release_much(store, first + 10000, end - first - 10000);
        let_a_second_pass(store);
        wait_for_room(store);
        first = end;
    }
    store_close(store);
    store = fixture_open_with(&options); /* the file is in the reserve by now */
    fixture_put(store, "a", "1");
    store_close(store);
}

TEST(a_map_filled_by_releases_is_full_for_all,
     "When releases have used up the reserve too, they are JINI_E_FULL, and the store still works.")
{
    struct store_options options = bounded_map();
    struct store *store = fixture_open_with(&options);
    uint64_t count = fill_up(store, 0);
    int status = 0;
    for (uint64_t i = 0; status == 0 && i < 10000; i++) {
        struct fixture_fill fill = {1000000 + i, 1, 3000};
        status = release(store, fixture_op_fill, &fill);
    }
    CHECK_STATUS(status, JINI_E_FULL);
    CHECK_OK(store_health(store, NULL));
    struct store_txn *txn;
    uint8_t key[8];
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_OK(store_has(txn, STORE_SPACE_APPLICATION, fixture_number_key(key, count - 1)));
    store_read_end(txn);
    store_close(store);
}

TEST(a_map_as_large_as_its_bound_has_a_reserve_too,
     "With map_bytes equal to map_bytes_max, releases still find the reserve.")
{
    struct store_options options = bounded_map();
    options.map_bytes = options.map_bytes_max;
    struct store *store = fixture_open_with(&options);
    fill_up(store, 0);
    release_much(store, 0, 300);
    store_close(store);
}

/* Puts values, `step` in each write, until the store is full; deletes all but 500 of them. */
static void fill_and_release(struct store *store, uint64_t *first, uint64_t *end, uint64_t step)
{
    int status;
    while ((status = fixture_fill(store, *end, step, 3000)) == 0)
        *end += step;
    CHECK_STATUS(status, JINI_E_FULL);
    CHECK_UINT(*end - *first, >, 700);
    CHECK_STATUS(fixture_fill(store, *end, 1, 10), JINI_E_FULL);
    for (; *end - *first > 500; (*first)++) {
        struct fixture_fill gone = {*first, 1, 0};
        CHECK_OK(release(store, fixture_op_clear, &gone));
    }
}

TEST(a_map_of_about_twice_its_reserve_gets_room_again,
     "Where the reserve is half of the map, or more than that, of which a part is kept back then, "
     "deletions go on when it is full, and new work is taken again after them without opening it "
     "anew.")
{
    const uint64_t reserves[] = {(4 << 20) - 4096, 4 << 20, 64 << 20};
    for (int i = 0; i < 3; i++) {
        struct store_options options = bounded_map();
        options.directory = harness_path("db-%d", i);
        options.reserve_bytes = reserves[i];
        struct store *store = fixture_open_with(&options);
        uint64_t first = 100;
        uint64_t end = first;
        for (int round = 0; round < rounds_of(3); round++) {
            fill_and_release(store, &first, &end, 1);
            let_a_second_pass(store);
            wait_for_room(store);
        }
        store_close(store);
    }
}

TEST(a_map_without_a_reserve_gets_room_again,
     "Where nothing is kept back, a map that was too full for a large write takes new work again "
     "after deletions, without being opened anew.")
{
    struct store_options options = bounded_map();
    options.reserve_bytes = 0;
    struct store *store = fixture_open_with(&options);
    uint64_t first = 100;
    uint64_t end = first;
    for (int round = 0; round < rounds_of(3); round++) {
        fill_and_release(store, &first, &end, 100);
        let_a_second_pass(store);
        wait_for_room(store);
    }
    store_close(store);
}

TEST(what_is_full_is_told,
     "In words JINI_E_FULL names the map and its bound, or the disk and what it has to have, which "
     "without a reserve is not told as 0; and where there is room again, only that.")
{
    struct store_options options = bounded_map();
    for (int i = 0; i < 2; i++) {
        struct jini_error error;
        options.directory = harness_path("db-%d", i);
        options.reserve_bytes = i ? 0 : 1 << 20;
        struct store *store = fixture_open_with(&options);
        reserve_enter(store, RESERVE_DISK);
        CHECK_STATUS(store_explain_full(store, &error), JINI_E_FULL);
        CHECK_TEXT(error.field, "disk");
        if (i == 0)
            CHECK_CONTAINS(error.message, "until it has 2097152");
        else
            CHECK(!strstr(error.message, "until") && !strstr(error.message, " 0"));
        reserve_enter(store, RESERVE_MAP);
        CHECK_STATUS(store_explain_full(store, &error), JINI_E_FULL);
        CHECK_TEXT(error.field, "store.map_bytes_max");
        CHECK_CONTAINS(error.message, "8388608");
        atomic_store(&store->full, 0);
        CHECK_STATUS(store_explain_full(store, &error), JINI_E_FULL);
        CHECK_TEXT(error.field, "store");
        CHECK_CONTAINS(error.message, "try again");
        store_close(store);
    }
}

/* ---- Disks ---- */

static void limit_file_size(uint64_t bytes)
{
    struct rlimit limit = {bytes ? bytes : RLIM_INFINITY, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static uint64_t file_size(const char *path)
{
    struct stat info;
    CHECK(stat(path, &info) == 0);
    return (uint64_t)info.st_size;
}

STORE_TEST(the_reserve_is_on_disk_while_the_store_is_not_full,
           "The file `reserve` has its size, is cut when the disk is full, and comes back.")
{
    struct store_options options = fixture_options(driver);
    struct store *store = fixture_open_with(&options);
    if (driver == STORE_DRIVER_LMDB)
        CHECK_UINT(file_size("db/reserve"), ==, options.reserve_bytes);
    else
        CHECK(access("db", F_OK) != 0);
    store_close(store);
}

/* Opening a database that lacks nothing but its reserve. */
static void check_not_made(const char *words, const char *advice)
{
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    struct jini_error error;
    struct store *store;
    CHECK_STATUS(store_open(&options, &store, &error), JINI_E_IO);
    CHECK_CONTAINS(error.field, "/reserve");
    CHECK_CONTAINS(error.message, words);
    CHECK_CONTAINS(error.message, advice);
    options.reserve_bytes = 0;
    store = fixture_open_with(&options);
    fixture_put(store, "a", "1");
    store_close(store);
}

TEST(a_reserve_that_cannot_be_made_is_told,
     "Where the file `reserve` cannot be made for another reason than a full disk, opening is "
     "JINI_E_IO with its name, the reason and what to do, and works without a reserve.")
{
    store_close(fixture_open(STORE_DRIVER_LMDB));
    CHECK_INT(unlink("db/reserve"), ==, 0);
    CHECK_INT(mkdir("db/reserve", 0700), ==, 0);
    check_not_made("Is a directory", "move it away");
    CHECK_INT(rmdir("db/reserve"), ==, 0);
    signal(SIGXFSZ, SIG_IGN);
    limit_file_size(fixture_options(STORE_DRIVER_LMDB).reserve_bytes - 4096);
    check_not_made("File too large", "ulimit -f");
    limit_file_size(0);
    store_close(fixture_open(STORE_DRIVER_LMDB));
}

struct reserve_log {
    unsigned failed;
    unsigned made;
    unsigned full;
};

static void on_record(void *context, enum jini_log_level level, const char *event,
                      const struct jini_log_field *fields, size_t count)
{
    struct reserve_log *log = context;
    (void)level;
    (void)fields;
    (void)count;
    log->failed += strcmp(event, "store_reserve_failed") == 0;
    log->made += strcmp(event, "store_reserve_made") == 0;
    log->full += strcmp(event, "store_full") == 0;
}

static int reserve_errno(struct store *store)
{
    struct store_figures figures;
    let_a_second_pass(store);
    store_tick(store);
    CHECK_OK(store_figures(store, &figures));
    CHECK(!figures.full);
    return figures.reserve_errno;
}

TEST(a_reserve_that_is_lost_later_holds_up_nobody,
     "When the file `reserve` is used up and cannot be made again although the disk has room, log "
     "and figures say why, once, and new work goes on; they say also that it is there again.")
{
    struct reserve_log log = {0};
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    options.log = (struct log){on_record, &log, JINI_LOG_DEBUG};
    struct store *store = fixture_open_with(&options);
    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(reserve_errno(store), ==, 0);
    CHECK_INT(truncate("db/reserve", 0), ==, 0); /* as another process does on a full disk */
    limit_file_size(options.reserve_bytes - 4096);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(reserve_errno(store), ==, EFBIG);
        fixture_put(store, "a", "1");
    }
    CHECK_UINT(log.failed, ==, 1);
    limit_file_size(0);
    CHECK_INT(reserve_errno(store), ==, 0);
    CHECK_UINT(log.made, ==, 1);
    CHECK_UINT(log.full, ==, 0);
    CHECK_UINT(file_size("db/reserve"), ==, options.reserve_bytes);
    store_close(store);
}

TEST(a_file_that_may_not_grow_refuses_new_work_only,
     "When the data file cannot grow, short writes included, new work is JINI_E_FULL and the store "
     "is not poisoned; releases go on with what the reserve gives back; without the limit all is "
     "as before.")
{
    for (uint64_t odd = 0; odd < 3; odd++) {
        struct store_options options = fixture_options(STORE_DRIVER_LMDB);
        options.directory = harness_path("db-%d", (int)odd);
        options.sync = odd == 1 ? STORE_SYNC_FULL : STORE_SYNC_NONE;
        struct store *store = fixture_open_with(&options);
        signal(SIGXFSZ, SIG_IGN);
        CHECK_OK(fixture_fill(store, 0, 300, 3000));
        /* The limit lies at the border of a page, and within one: a write that is cut short. */
        uint64_t limit = file_size(harness_path("db-%d/data.mdb", (int)odd)) + 500000 / 4096 * 4096;
        limit += odd * 1000;
        limit_file_size(limit);
        uint64_t count = fill_up(store, 1000);
        CHECK_OK(store_health(store, NULL));
        CHECK_STATUS(fixture_fill(store, count, 1, 3000), JINI_E_FULL);
        CHECK_UINT(file_size(harness_path("db-%d/reserve", (int)odd)), ==, 0);
        limit_file_size(limit + options.reserve_bytes);
        release_much(store, 0, 100);
        limit_file_size(0);
        let_a_second_pass(store);
        wait_for_room(store);
        CHECK_UINT(file_size(harness_path("db-%d/reserve", (int)odd)), ==, options.reserve_bytes);
        struct jini_error error;
        CHECK_OK(store_verify(store, NULL, &error));
        store_close(store);
    }
}

TEST(a_full_disk_refuses_new_work_only,
     "On a disk that is really full, new work is JINI_E_FULL, releases go on with the reserve, "
     "reopening works, and new work is taken again when there is room.")
{
    small_disk_mount("small", 12 * 1024);
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    options.directory = harness_path("small/db");
    struct store *store = fixture_open_with(&options);
    CHECK_OK(fixture_fill(store, 0, 300, 3000));
    int fd = open("small/ballast", O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && posix_fallocate(fd, 0, 4 << 20) == 0);
    uint64_t count = fill_up(store, 1000);
    CHECK_OK(store_health(store, NULL));
    CHECK_STATUS(fixture_fill(store, count, 1, 3000), JINI_E_FULL);
    release_much(store, 0, 100);
    CHECK_STATUS(fixture_fill(store, count, 1, 3000), JINI_E_FULL);
    let_a_second_pass(store);
    CHECK_STATUS(fixture_fill(store, count, 1, 3000), JINI_E_FULL);
    release_much(store, 100, 100);
    store_close(store);

    store = fixture_open_with(&options); /* on a full disk */
    struct store_txn *txn;
    uint8_t key[8];
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_OK(store_has(txn, STORE_SPACE_APPLICATION, fixture_number_key(key, count - 1)));
    store_read_end(txn);
    release_much(store, 200, 50);
    CHECK(ftruncate(fd, 0) == 0);
    wait_for_room(store);
    CHECK_UINT(file_size("small/db/reserve"), ==, options.reserve_bytes);
    struct jini_error error;
    CHECK_OK(store_verify(store, NULL, &error));
    store_close(store);
    close(fd);
}

TEST(a_disk_without_room_for_a_database_is_told,
     "Creating one on a full disk is JINI_E_FULL, not a crash.")
{
    enum { DISK_KIB = 6 * 1024, MOST_LEFT_KIB = 2600, STEP_KIB = 40 };
    small_disk_mount("small", DISK_KIB);
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    struct jini_error error;
    options.directory = harness_path("small/db");
    int fd = open("small/ballast", O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0);
    for (off_t left = 0; left < MOST_LEFT_KIB; left += STEP_KIB) {
        CHECK(ftruncate(fd, 0) == 0);
        CHECK(posix_fallocate(fd, 0, (DISK_KIB - 16 - left) * 1024) == 0);
        struct store *store;
        int status = store_open(&options, &store, &error);
        if (status)
            CHECK_STATUS(status, JINI_E_FULL);
        else
            CHECK(is_full(store)); /* not even the reserve has room */
        store_close(store);
    }
    CHECK(ftruncate(fd, 0) == 0);
    struct store *store = fixture_open_with(&options);
    wait_for_room(store);
    store_close(store);
    close(fd);
}
