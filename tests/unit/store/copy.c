/* Copies of a database in use, and opening without writing. */
#include "fixture.h"

#include "store/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct store_options options_at(const char *directory)
{
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    options.directory = directory;
    return options;
}

static off_t size_of(const char *path)
{
    struct stat info;
    CHECK(stat(path, &info) == 0);
    return info.st_size;
}

TEST(a_copy_opens_elsewhere,
     "A hot copy, put into a directory as data.mdb, is a database of its own.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct jini_error error;
    fixture_put(store, "a", "1");
    CHECK(mkdir("copy", 0700) == 0);
    CHECK_OK(store_copy(store, "copy/data.mdb", &error));
    fixture_put(store, "a", "2");
    struct store_options options = options_at("copy");
    options.create = false;
    struct store *copy = fixture_open_with(&options);
    CHECK_TEXT(fixture_text(copy, "a"), "1");
    fixture_put(copy, "a", "3");
    CHECK_TEXT(fixture_text(copy, "a"), "3");
    CHECK_TEXT(fixture_text(store, "a"), "2");
    CHECK_OK(store_verify(copy, &error));
    store_close(copy);
    store_close(store);
}

TEST(a_copy_leaves_free_pages_behind, "A copy of a database that shrank is smaller than its file.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct jini_error error;
    struct fixture_fill most = {0, 1900, 0};
    CHECK_OK(fixture_fill(store, 0, 2000, 2000));
    CHECK_OK(store_write(store, fixture_op_clear, &most));
    CHECK_OK(store_copy(store, "copy", &error));
    CHECK_INT(size_of("copy") * 4, <, size_of("db/data.mdb"));
    store_close(store);
}

struct writing {
    struct store *store;
    _Atomic bool stop;
};

static int op_raise_both(struct store_txn *txn, void *argument)
{
    (void)argument;
    for (uint64_t key = 1; key <= 2; key++) {
        struct fixture_number number = {STORE_SPACE_APPLICATION, key * 1000000, 1};
        CHECK_OK(fixture_op_add(txn, &number));
    }
    return 0;
}

static void *write_all_the_time(void *argument)
{
    struct writing *writing = argument;
    while (!atomic_load(&writing->stop))
        CHECK_OK(store_write(writing->store, op_raise_both, NULL));
    return NULL;
}

TEST(a_copy_is_of_one_moment, "Copies made while a thread writes hold whole commits only.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct writing writing = {.store = store};
    pthread_t thread;
    CHECK_OK(fixture_fill(store, 0, 3000, 500));
    CHECK(pthread_create(&thread, NULL, write_all_the_time, &writing) == 0);
    for (int i = 0; i < 10; i++) {
        struct jini_error error;
        CHECK(mkdir("copy", 0700) == 0 || errno == EEXIST);
        (void)unlink("copy/data.mdb");
        CHECK_OK(store_copy(store, "copy/data.mdb", &error));
        struct store_options options = options_at("copy");
        struct store *copy = fixture_open_with(&options);
        CHECK_UINT(fixture_number(copy, 1000000), ==, fixture_number(copy, 2000000));
        CHECK_OK(store_verify(copy, &error));
        store_close(copy);
    }
    atomic_store(&writing.stop, true);
    pthread_join(thread, NULL);
    store_close(store);
}

TEST(a_copy_overwrites_nothing, "A copy onto a file that exists is refused and leaves it alone.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct jini_error error;
    int fd = open("there", O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0 && write(fd, "mine", 4) == 4);
    close(fd);
    CHECK_STATUS(store_copy(store, "there", &error), JINI_E_EXISTS);
    CHECK_CONTAINS(error.field, "there");
    CHECK_INT(size_of("there"), ==, 4);
    CHECK_STATUS(store_copy(store, "no/such/directory", &error), JINI_E_NOT_FOUND);
    store_close(store);
}

TEST(a_copy_that_finds_the_disk_full_leaves_no_file,
     "A copy that does not fit is JINI_E_FULL, and its file is gone.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct jini_error error;
    CHECK_OK(fixture_fill(store, 0, 1000, 2000));
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {100000, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK_STATUS(store_copy(store, "copy", &error), JINI_E_FULL);
    CHECK(access("copy", F_OK) != 0);
    limit.rlim_cur = RLIM_INFINITY;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK_OK(store_copy(store, "copy", &error));
    store_close(store);
}

struct grower {
    struct fixture_flag grow;
    struct fixture_flag grown;
    struct fixture_flag end;
};

static struct grower *grower; /* of the case that runs, for the driver that it changes */
static int copies;            /* that this driver was asked for */

static void grow_when_told(void *argument)
{
    (void)argument;
    fixture_await(grower->grow);
    struct store_options options = options_at("db");
    options.map_bytes = 1 << 20;
    struct store *store = fixture_open_with(&options);
    CHECK_OK(fixture_fill(store, 1000, 2000, 4000));
    fixture_raise(grower->grown);
    fixture_await(grower->end);
    store_close(store);
}

/* Another process grows the map between the snapshot of the first copy and the copy's own. */
static int copy_while_the_map_grows(struct driver *driver, int fd)
{
    if (copies++ == 0) {
        fixture_raise(grower->grow);
        fixture_await(grower->grown);
    }
    int status = driver_lmdb.copy(driver, fd);
    CHECK_INT(status, ==, copies == 1 ? DRIVER_MAP_RESIZED : 0);
    return status;
}

TEST(a_copy_adopts_a_map_that_another_process_grew,
     "A copy that begins just when another process has grown the map succeeds with its next "
     "attempt, and holds what made the map grow.")
{
    struct grower flags = {fixture_flag(), fixture_flag(), fixture_flag()};
    grower = &flags;
    pid_t pid = fixture_spawn(grow_when_told, NULL);
    struct store_options options = options_at("db");
    options.map_bytes = 1 << 20;
    struct store *store = fixture_open_with(&options);
    struct driver_ops ops = *store->ops;
    struct jini_error error;
    fixture_put(store, "a", "1");
    ops.copy = copy_while_the_map_grows;
    store->ops = &ops;
    CHECK(mkdir("copy", 0700) == 0);
    CHECK_OK(store_copy(store, "copy/data.mdb", &error));
    CHECK_INT(copies, ==, 2);
    fixture_raise(flags.end);
    harness_wait_exit(pid, 0);
    struct store_options copy_options = options_at("copy");
    struct store *copy = fixture_open_with(&copy_options);
    CHECK_TEXT(fixture_text(copy, "a"), "1");
    struct store_txn *txn;
    uint8_t key[8];
    CHECK_OK(store_read_begin(copy, &txn));
    CHECK_OK(store_has(txn, STORE_SPACE_APPLICATION, fixture_number_key(key, 2999)));
    store_read_end(txn);
    CHECK_OK(store_verify(copy, &error));
    store_close(copy);
    store_close(store);
}

static int copy_always_too_late(struct driver *driver, int fd)
{
    (void)driver;
    CHECK(write(fd, "half", 4) == 4);
    return DRIVER_MAP_RESIZED;
}

TEST(a_copy_that_never_catches_up_is_busy,
     "When the map grows before every attempt, a copy is JINI_E_BUSY and leaves no file.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct driver_ops ops = *store->ops;
    struct jini_error error;
    ops.copy = copy_always_too_late;
    store->ops = &ops;
    CHECK_STATUS(store_copy(store, "copy", &error), JINI_E_BUSY);
    CHECK_CONTAINS(error.field, "copy");
    CHECK(access("copy", F_OK) != 0);
    store_close(store);
}

TEST(the_memory_driver_makes_no_copies,
     "A store in memory answers JINI_E_UNSUPPORTED, without a file.")
{
    struct store *store = fixture_open(STORE_DRIVER_MEMORY);
    struct jini_error error;
    CHECK_STATUS(store_copy(store, "copy", &error), JINI_E_UNSUPPORTED);
    CHECK(access("copy", F_OK) != 0);
    store_close(store);
}

TEST(a_read_only_store_reads_and_refuses_writes,
     "Opened read-only, a database beside its writer shows new commits and takes no writes.")
{
    struct fixture_flag ready = fixture_flag();
    struct fixture_flag done = fixture_flag();
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    struct store *store = fixture_open_with(&options);
    fixture_put(store, "a", "1");
    store_close(store);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        options.read_only = true;
        store = fixture_open_with(&options);
        struct fixture_pair pair = fixture_pair("a", "3");
        struct fixture_write write;
        CHECK_TEXT(fixture_text(store, "a"), "1");
        CHECK_STATUS(store_write(store, fixture_op_put, &pair), JINI_E_READ_ONLY);
        fixture_prepare(&write, fixture_op_put, &pair);
        CHECK_STATUS(store_submit(store, &write.write), JINI_E_READ_ONLY);
        fixture_raise(ready);
        fixture_await(done);
        CHECK_TEXT(fixture_text(store, "a"), "2");
        store_tick(store);
        CHECK_OK(store_health(store, NULL));
        store_close(store);
        exit(0);
    }
    store = fixture_open_with(&options);
    fixture_await(ready);
    fixture_put(store, "a", "2");
    fixture_raise(done);
    harness_wait_exit(pid, 0);
    store_close(store);
}

TEST(reading_only_makes_nothing, "Opened read-only, a missing database stays missing.")
{
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    struct jini_error error;
    options.read_only = true;
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_NOT_FOUND);
    CHECK(access("db", F_OK) != 0);
    CHECK(mkdir("db", 0700) == 0);
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_NOT_FOUND);
    CHECK(access("db/data.mdb", F_OK) != 0);
}
