/* Copies of a database in use, and opening without writing. */
#include "fixture.h"

#include "store/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct store_options options_at(const char *directory)
{
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    options.directory = directory;
    return options;
}

/* Both forms, for what holds of each. */
static const enum store_copy_form forms[] = {STORE_COPY_COMPACT, STORE_COPY_PLAIN};

static off_t size_of(const char *path)
{
    struct stat info;
    CHECK(stat(path, &info) == 0);
    return info.st_size;
}

TEST(a_copy_opens_elsewhere,
     "A hot copy of either form, put into a directory as data.mdb, is a database of its own.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct jini_error error;
    for (int i = 0; i < 2; i++) {
        const char *directory = i ? "plain" : "compact";
        char path[64];
        fixture_put(store, "a", "1");
        CHECK_OK(fixture_fill(store, 0, 1000, 300));
        CHECK(mkdir(directory, 0700) == 0);
        snprintf(path, sizeof(path), "%s/data.mdb", directory);
        CHECK_OK(store_copy(store, path, forms[i], &error));
        fixture_put(store, "a", "2");
        struct store_options options = options_at(directory);
        options.create = false;
        struct store *copy = fixture_open_with(&options);
        CHECK_TEXT(fixture_text(copy, "a"), "1");
        for (uint64_t k = 0; k < 5; k++) { /* goes over both meta pages */
            CHECK_OK(fixture_fill(copy, k * 100, 200, 500));
            CHECK_OK(store_verify(copy, NULL, &error));
        }
        fixture_put(copy, "a", "3");
        CHECK_TEXT(fixture_text(copy, "a"), "3");
        CHECK_TEXT(fixture_text(store, "a"), "2");
        store_close(copy);
        copy = fixture_open_with(&options);
        CHECK_TEXT(fixture_text(copy, "a"), "3");
        store_close(copy);
    }
    store_close(store);
}

/* ---- The home ---- */

static enum store_place place_of(struct store *store)
{
    struct store_home home;
    CHECK_OK(store_home(store, &home));
    return home.place;
}

static int op_make_home(struct store_txn *txn, void *argument)
{
    (void)argument;
    return store_make_home(txn);
}

enum { HOME_BYTES = 56, HOME_LINEAGE = 8, HOME_MACHINE = 24, HOME_NUMBER = 40, HOME_BIRTH = 48 };

/* The row of the home, as home.c describes it. */
struct home_row {
    uint8_t bytes[HOME_BYTES + 1];
    size_t length; /* 0: none */
};

static int op_put_home(struct store_txn *txn, void *argument)
{
    const struct home_row *row = argument;
    struct slice key = slice_of_text("home");
    return row->length ? store_put(txn, STORE_SPACE_META, key, slice_of(row->bytes, row->length))
                       : store_delete(txn, STORE_SPACE_META, key);
}

static struct home_row home_row(struct store *store)
{
    struct home_row row;
    struct buffer value = buffer_of(row.bytes, sizeof(row.bytes));
    struct store_txn *txn;
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_OK(store_get(txn, STORE_SPACE_META, slice_of_text("home"), &value));
    store_read_end(txn);
    CHECK_UINT(value.length, ==, HOME_BYTES);
    row.length = value.length;
    return row;
}

/* Where the database lies by a row that differs from its own. */
static enum store_place place_by(struct store *store, struct home_row row)
{
    CHECK_OK(store_write(store, op_put_home, &row));
    return place_of(store);
}

static int check_home(struct store *store)
{
    struct store_txn *txn;
    CHECK_OK(store_read_begin(store, &txn));
    int status = store_home_check(txn);
    store_read_end(txn);
    return status;
}

TEST(an_original_is_told_from_its_copies,
     "The file that a database was made in is its home, also after it was moved; a copy of either "
     "form is not, until it is made one. All have one lineage.")
{
    struct jini_error error;
    for (int i = 0; i < 2; i++) {
        struct store *store = fixture_open(STORE_DRIVER_LMDB);
        struct store_options moved = options_at("moved");
        struct store_options copied = options_at("copied");
        struct store_home home;
        struct store_home copy;
        CHECK_OK(store_home(store, &home));
        CHECK_INT(home.place, ==, STORE_PLACE_HOME);
        CHECK(mkdir("copied", 0700) == 0);
        CHECK_OK(store_copy(store, "copied/data.mdb", forms[i], &error));
        store_close(store);
        CHECK(rename("db", "moved") == 0);
        store = fixture_open_with(&moved);
        CHECK_INT(place_of(store), ==, STORE_PLACE_HOME);
        store_close(store);
        copied.read_only = true;
        store = fixture_open_with(&copied);
        CHECK_INT(place_of(store), ==, STORE_PLACE_OTHER);
        store_close(store);
        copied.read_only = false;
        store = fixture_open_with(&copied);
        CHECK_INT(place_of(store), ==, STORE_PLACE_OTHER);
        CHECK_OK(store_write(store, op_make_home, NULL));
        CHECK_OK(store_home(store, &copy));
        CHECK_INT(copy.place, ==, STORE_PLACE_HOME);
        CHECK_BYTES(copy.lineage.bytes, home.lineage.bytes, JINI_ID_BYTES);
        store_close(store);
        store = fixture_open_with(&moved);
        CHECK_INT(place_of(store), ==, STORE_PLACE_HOME);
        store_close(store);
        CHECK(i == 1 || (rename("moved", "moved-0") == 0 && rename("copied", "copied-0") == 0));
    }
}

TEST(a_home_is_a_machine_a_number_and_a_birth,
     "A database is not at home where one of the three is another. Machine and birth are compared "
     "where both sides know them, the number always.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    const struct home_row own = home_row(store);
    const struct store_file file = store->file;
    struct home_row row = own;
    row.bytes[HOME_NUMBER] ^= 1;
    CHECK_INT(place_by(store, row), ==, STORE_PLACE_OTHER);
    for (int i = 0; i < 2; i++) {
        size_t at = i ? HOME_BIRTH : HOME_MACHINE;
        size_t length = i ? 8 : STORE_MACHINE_BYTES;
        row = own;
        memset(row.bytes + at, 0x5a, length);
        memset(store->file.machine, 1, STORE_MACHINE_BYTES); /* as on a machine that has an id */
        store->file.born_ns = 1;                             /* and a file system that knows it */
        memset(row.bytes + (i ? HOME_MACHINE : HOME_BIRTH), 0, i ? STORE_MACHINE_BYTES : 8);
        CHECK_INT(place_by(store, row), ==, STORE_PLACE_OTHER);
        memset(row.bytes + at, 0, length);
        CHECK_INT(place_by(store, row), ==, STORE_PLACE_HOME);
        memset(row.bytes + at, 0x5a, length);
        store->file.born_ns = 0;
        memset(store->file.machine, 0, STORE_MACHINE_BYTES);
        CHECK_INT(place_by(store, row), ==, STORE_PLACE_HOME);
        store->file = file;
    }
    CHECK_INT(place_by(store, own), ==, STORE_PLACE_HOME);
    store_close(store);
}

TEST(a_home_that_is_not_written_down_is_not_known,
     "A row that is missing, damaged, of a newer version or of an earlier one, which gave it to "
     "whoever opened first, makes nobody at home, and opening writes none. Making it home does.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct store_options options = options_at("db");
    const struct home_row own = home_row(store);
    for (int i = 0; i < 5; i++) {
        struct home_row row = own;
        row.bytes[0] = i == 4 ? 2 : row.bytes[0];
        row.length = (const size_t[]){0, 16, HOME_BYTES - 1, HOME_BYTES + 1, HOME_BYTES}[i];
        CHECK_INT(place_by(store, row), ==, STORE_PLACE_UNKNOWN);
        CHECK_INT(check_home(store), ==, i < 2 ? 0 : JINI_E_CORRUPT);
        store_close(store);
        store = fixture_open_with(&options);
        CHECK_INT(place_of(store), ==, STORE_PLACE_UNKNOWN);
        CHECK_OK(store_write(store, op_make_home, NULL));
        CHECK_INT(place_of(store), ==, STORE_PLACE_HOME);
        CHECK_INT(check_home(store), ==, 0);
    }
    store_close(store);
}

TEST(a_home_is_the_file_that_is_open,
     "Where the database was opened by a relative path, and the process has gone elsewhere or the "
     "file was replaced under its name, the file that is open stays its home.")
{
    struct store_options options = options_at("db");
    struct store *store = fixture_open_with(&options);
    struct jini_error error;
    struct statx info;
    CHECK(statx(AT_FDCWD, "db/data.mdb", 0, STATX_INO | STATX_BTIME, &info) == 0);
    CHECK_UINT(store->file.number, ==, info.stx_ino);
    CHECK((store->file.born_ns != 0) == ((info.stx_mask & STATX_BTIME) != 0));
    CHECK(mkdir("elsewhere", 0700) == 0 && chdir("elsewhere") == 0);
    CHECK_INT(place_of(store), ==, STORE_PLACE_HOME);
    CHECK_OK(store_write(store, op_make_home, NULL));
    CHECK(chdir("..") == 0);
    CHECK_OK(store_copy(store, "copy", STORE_COPY_COMPACT, &error));
    CHECK(rename("copy", "db/data.mdb") == 0);
    CHECK_OK(store_write(store, op_make_home, NULL));
    CHECK_INT(place_of(store), ==, STORE_PLACE_HOME);
    store_close(store);
    store = fixture_open_with(&options);
    CHECK_INT(place_of(store), ==, STORE_PLACE_OTHER);
    store_close(store);
}

TEST(a_compact_copy_leaves_free_pages_behind,
     "Of a database that shrank a compact copy is smaller than its file, a plain one is as large.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct jini_error error;
    struct fixture_fill most = {0, 1900, 0};
    CHECK_OK(fixture_fill(store, 0, 2000, 2000));
    CHECK_OK(store_write(store, fixture_op_clear, &most));
    CHECK_OK(store_copy(store, "compact", STORE_COPY_COMPACT, &error));
    CHECK_OK(store_copy(store, "plain", STORE_COPY_PLAIN, &error));
    CHECK_INT(size_of("compact") * 4, <, size_of("db/data.mdb"));
    CHECK_INT(size_of("plain"), ==, size_of("db/data.mdb"));
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

TEST(a_copy_is_of_one_moment,
     "Copies of both forms made while a thread writes hold whole commits only.")
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
        CHECK_OK(store_copy(store, "copy/data.mdb", forms[i % 2], &error));
        struct store_options options = options_at("copy");
        struct store *copy = fixture_open_with(&options);
        CHECK_UINT(fixture_number(copy, 1000000), ==, fixture_number(copy, 2000000));
        CHECK_OK(store_verify(copy, NULL, &error));
        store_close(copy);
    }
    atomic_store(&writing.stop, true);
    pthread_join(thread, NULL);
    store_close(store);
}

TEST(a_copy_overwrites_nothing, "A copy onto something that exists is refused and leaves it alone.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct jini_error error;
    int fd = open("there", O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0 && write(fd, "mine", 4) == 4);
    close(fd);
    CHECK(symlink("nowhere", "link") == 0);
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(store_copy(store, "there", forms[i], &error), JINI_E_EXISTS);
        CHECK_CONTAINS(error.field, "there");
        CHECK_INT(size_of("there"), ==, 4);
        CHECK_STATUS(store_copy(store, "link", forms[i], &error), JINI_E_EXISTS);
        CHECK_STATUS(store_copy(store, "no/such/directory", forms[i], &error), JINI_E_NOT_FOUND);
    }
    CHECK(access("there.jini-partial", F_OK) != 0 && access("link.jini-partial", F_OK) != 0);
    store_close(store);
}

TEST(a_copy_that_finds_the_disk_full_leaves_no_file,
     "A copy that does not fit is JINI_E_FULL, and no file of it is left.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct jini_error error;
    CHECK_OK(fixture_fill(store, 0, 1000, 2000));
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {100000, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(store_copy(store, "copy", forms[i], &error), JINI_E_FULL);
        CHECK(access("copy", F_OK) != 0 && access("copy.jini-partial", F_OK) != 0);
    }
    limit.rlim_cur = RLIM_INFINITY;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK_OK(store_copy(store, "copy", STORE_COPY_COMPACT, &error));
    store_close(store);
}

/* ---- Copies that are interrupted ---- */

static struct fixture_flag half_way; /* raised by a copy that has written its first half */

static int copy_half_way(struct driver_txn *reader, enum store_copy_form form, int fd)
{
    (void)reader;
    (void)form;
    CHECK(write(fd, "half of it", 10) == 10);
    fixture_raise(half_way);
    pause();
    return 0;
}

static void copy_until_killed(void *argument)
{
    (void)argument;
    struct store_options options = options_at("db");
    struct store *store = fixture_open_with(&options);
    struct driver_ops ops = *store->ops;
    struct jini_error error;
    ops.copy = copy_half_way;
    store->ops = &ops;
    (void)store_copy(store, "copy/data.mdb", STORE_COPY_COMPACT, &error);
}

TEST(an_interrupted_copy_has_no_name_and_is_cleaned_up,
     "While a copy is under way its name is not there, and another to the same path is "
     "JINI_E_BUSY. A process killed over it leaves a partial file, which the next copy takes over.")
{
    struct jini_error error;
    half_way = fixture_flag();
    CHECK(mkdir("copy", 0700) == 0);
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    fixture_put(store, "a", "1");
    for (int i = 0; i < 2; i++) {
        pid_t pid = fixture_spawn(copy_until_killed, NULL);
        fixture_await(half_way);
        CHECK(access("copy/data.mdb", F_OK) != 0);
        CHECK_INT(size_of("copy/data.mdb.jini-partial"), ==, 10);
        CHECK_STATUS(store_copy(store, "copy/data.mdb", forms[i], &error), JINI_E_BUSY);
        CHECK_CONTAINS(error.message, "under way");
        fixture_kill(pid);
        CHECK_INT(size_of("copy/data.mdb.jini-partial"), ==, 10);
        CHECK_OK(store_copy(store, "copy/data.mdb", forms[i], &error));
        CHECK(access("copy/data.mdb.jini-partial", F_OK) != 0);
        struct store_options options = options_at("copy");
        struct store *copy = fixture_open_with(&options);
        CHECK_TEXT(fixture_text(copy, "a"), "1");
        store_close(copy);
        CHECK(unlink("copy/data.mdb") == 0);
    }
    store_close(store);
}

static int copy_beaten_to_it(struct driver_txn *reader, enum store_copy_form form, int fd)
{
    int other = open("copy", O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(other >= 0 && write(other, "mine", 4) == 4);
    close(other);
    return driver_lmdb.copy(reader, form, fd);
}

TEST(a_name_that_is_taken_meanwhile_is_kept,
     "A file that somebody makes under the name while the copy is written stays as it is.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct driver_ops ops = *store->ops;
    struct jini_error error;
    ops.copy = copy_beaten_to_it;
    store->ops = &ops;
    CHECK_STATUS(store_copy(store, "copy", STORE_COPY_PLAIN, &error), JINI_E_EXISTS);
    CHECK_INT(size_of("copy"), ==, 4);
    CHECK(access("copy.jini-partial", F_OK) != 0);
    store_close(store);
}

static void refuse_partial(struct store *store)
{
    struct jini_error error;
    CHECK_STATUS(store_copy(store, "copy", STORE_COPY_PLAIN, &error), JINI_E_EXISTS);
    CHECK_TEXT(error.field, "copy.jini-partial");
    CHECK(access("copy", F_OK) != 0);
}

static void make_file(const char *path, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && write(fd, "mine", 4) == 4 && fchmod(fd, mode) == 0);
    close(fd);
}

TEST(what_is_no_file_of_a_copy_is_left_alone,
     "Something under the name of the partial file that no copy has left there is refused by name "
     "and not written to: a link, a directory, a pipe, a file that others may open.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct jini_error error;
    CHECK(symlink("elsewhere", "copy.jini-partial") == 0);
    refuse_partial(store);
    CHECK(access("elsewhere", F_OK) != 0);
    CHECK(unlink("copy.jini-partial") == 0 && mkdir("copy.jini-partial", 0700) == 0);
    refuse_partial(store);
    CHECK(rmdir("copy.jini-partial") == 0 && mkfifo("copy.jini-partial", 0600) == 0);
    refuse_partial(store);
    CHECK(unlink("copy.jini-partial") == 0);
    static const mode_t modes[] = {0666, 0640, 0604, 02600, 0700};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        make_file("copy.jini-partial", modes[i]);
        refuse_partial(store);
        CHECK_INT(size_of("copy.jini-partial"), ==, 4);
        CHECK(unlink("copy.jini-partial") == 0);
    }
    CHECK_OK(store_copy(store, "copy", STORE_COPY_PLAIN, &error));
    store_close(store);
}

TEST(a_file_of_another_user_is_no_file_of_a_copy,
     "A file of another user under the name of the partial file is refused and not written to.")
{
    if (geteuid() != 0)
        harness_skip("only root gives files away");
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    make_file("copy.jini-partial", 0600);
    CHECK(chown("copy.jini-partial", 1, (gid_t)-1) == 0);
    refuse_partial(store);
    CHECK_INT(size_of("copy.jini-partial"), ==, 4);
    store_close(store);
}

TEST(a_copy_that_was_interrupted_with_two_names_is_not_written_over,
     "A copy that was killed after it had got its name and before it had lost the other one stays "
     "whole when it is moved away and the next copy is made.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct jini_error error;
    struct stat first;
    struct stat second;
    fixture_put(store, "a", "1");
    CHECK(mkdir("first", 0700) == 0);
    CHECK_OK(store_copy(store, "copy", STORE_COPY_PLAIN, &error));
    CHECK(link("copy", "copy.jini-partial") == 0 && rename("copy", "first/data.mdb") == 0);
    fixture_put(store, "a", "2");
    CHECK_OK(store_copy(store, "copy", STORE_COPY_PLAIN, &error));
    CHECK(stat("first/data.mdb", &first) == 0 && stat("copy", &second) == 0);
    CHECK_UINT(first.st_ino, !=, second.st_ino);
    CHECK_UINT(first.st_nlink, ==, 1);
    CHECK(access("copy.jini-partial", F_OK) != 0);
    store_close(store);
    struct store_options options = options_at("first");
    store = fixture_open_with(&options);
    CHECK_TEXT(fixture_text(store, "a"), "1");
    store_close(store);
}

/* ---- Beside others ---- */

static int copies; /* that the driver of a case was asked for */

/* Between the snapshot of a plain copy and its look at the meta pages. */
static struct store *committing;

static int copy_behind_commits(struct driver_txn *reader, enum store_copy_form form, int fd)
{
    for (int i = 0; i < 3 && copies == 0; i++)
        fixture_put(committing, "a", "2");
    copies++;
    int status = driver_lmdb.copy(reader, form, fd);
    CHECK_INT(status, ==, copies == 1 ? DRIVER_MOVED_ON : 0);
    return status;
}

TEST(a_plain_copy_begins_anew_when_its_commit_is_gone_over,
     "A plain copy whose meta page has been written over by later commits is made of a new one.")
{
    struct store_options options = options_at("db");
    struct store *store = fixture_open_with(&options);
    struct driver_ops ops = *store->ops;
    struct jini_error error;
    committing = store;
    fixture_put(store, "a", "1");
    ops.copy = copy_behind_commits;
    store->ops = &ops;
    CHECK(mkdir("copy", 0700) == 0);
    CHECK_OK(store_copy(store, "copy/data.mdb", STORE_COPY_PLAIN, &error));
    CHECK_INT(copies, ==, 2);
    store_close(store);
    options = options_at("copy");
    store = fixture_open_with(&options);
    CHECK_TEXT(fixture_text(store, "a"), "2");
    CHECK_OK(store_verify(store, NULL, &error));
    store_close(store);
}

struct lock_holder {
    struct fixture_flag hold;
    struct fixture_flag held;
};

static void hold_when_told(void *argument)
{
    const struct lock_holder *holder = argument;
    fixture_await(holder->hold);
    struct store_options options = options_at("db");
    struct store *store = fixture_open_with(&options);
    struct driver_txn *txn;
    CHECK_OK(store->ops->write_begin(store->driver, &txn));
    fixture_raise(holder->held);
    pause();
}

TEST(a_copy_waits_for_no_writer,
     "Copies of both forms are made beside a process that stands still with LMDB's write lock.")
{
    struct lock_holder holder = {fixture_flag(), fixture_flag()};
    struct jini_error error;
    pid_t pid = fixture_spawn(hold_when_told, &holder); /* before there are threads */
    struct store_options options = options_at("db");
    options.run_twice = false;
    struct store *store = fixture_open_with(&options);
    fixture_put(store, "a", "1");
    fixture_raise(holder.hold);
    fixture_await(holder.held);
    fixture_stop(pid);
    CHECK_OK(store_copy(store, "compact", STORE_COPY_COMPACT, &error));
    CHECK_OK(store_copy(store, "plain", STORE_COPY_PLAIN, &error));
    fixture_kill(pid);
    store_close(store);
}

struct grower {
    struct fixture_flag grow;
    struct fixture_flag grown;
    struct fixture_flag end;
};

static struct grower *grower; /* of the case that runs, for the driver that it changes */

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
static int copy_while_the_map_grows(struct driver_txn *reader, enum store_copy_form form, int fd)
{
    if (copies++ == 0) {
        fixture_raise(grower->grow);
        fixture_await(grower->grown);
    }
    int status = driver_lmdb.copy(reader, form, fd);
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
    CHECK_OK(store_copy(store, "copy/data.mdb", STORE_COPY_COMPACT, &error));
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
    CHECK_OK(store_verify(copy, NULL, &error));
    store_close(copy);
    store_close(store);
}

static int copy_always_too_late(struct driver_txn *reader, enum store_copy_form form, int fd)
{
    (void)reader;
    (void)form;
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
    CHECK_STATUS(store_copy(store, "copy", STORE_COPY_COMPACT, &error), JINI_E_BUSY);
    CHECK_CONTAINS(error.field, "copy");
    CHECK(access("copy", F_OK) != 0);
    store_close(store);
}

TEST(the_memory_driver_makes_no_copies,
     "A store in memory answers JINI_E_UNSUPPORTED, without a file.")
{
    struct store *store = fixture_open(STORE_DRIVER_MEMORY);
    struct jini_error error;
    CHECK_STATUS(store_copy(store, "copy", STORE_COPY_COMPACT, &error), JINI_E_UNSUPPORTED);
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

/* ---- In the place of a data file ---- */

static bool say(void *context)
{
    return *(bool *)context;
}

/* A directory with a copy of the store beside its data file. */
static void make_copy(struct store *store, const char *directory)
{
    char path[64];
    struct jini_error error;
    CHECK(mkdir(directory, 0700) == 0 || errno == EEXIST);
    snprintf(path, sizeof(path), "%s/new", directory);
    CHECK_OK(store_copy(store, path, STORE_COPY_COMPACT, &error));
}

static int replace(const char *directory, bool known, struct jini_error *error)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/new", directory);
    return store_replace(directory, path, say, &known, error);
}

static void check_text(const char *directory, const char *text)
{
    struct store_options options = options_at(directory);
    options.create = false;
    struct store *store = fixture_open_with(&options);
    CHECK_TEXT(fixture_text(store, "a"), text);
    store_close(store);
}

TEST(a_copy_takes_the_place_of_a_data_file,
     "A copy becomes the first data file of a directory, or replaces the one that is known; one "
     "that is not known, and one that a process has open, is kept.")
{
    struct jini_error error;
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    fixture_put(store, "a", "1");
    make_copy(store, "there");
    CHECK_OK(replace("there", false, &error)); /* nobody is asked: there is none to know */
    check_text("there", "1");
    fixture_put(store, "a", "2");
    make_copy(store, "there");
    CHECK_STATUS(replace("there", false, &error), JINI_E_CONFLICT);
    check_text("there", "1");
    struct store_options options = options_at("there");
    struct store *open = fixture_open_with(&options);
    CHECK_STATUS(replace("there", true, &error), JINI_E_LOCKED);
    store_close(open);
    check_text("there", "1");
    CHECK_OK(replace("there", true, &error));
    check_text("there", "2");
    store_close(store);
}

TEST(a_copy_at_rest_is_read_without_a_trace,
     "A copy that nobody else knows of is read without locks: nothing is made beside it.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct jini_error error;
    fixture_put(store, "a", "1");
    CHECK(mkdir("copy", 0700) == 0);
    CHECK_OK(store_copy(store, "copy/data.mdb", STORE_COPY_COMPACT, &error));
    struct store_options options = options_at("copy");
    options.create = false;
    options.read_only = true;
    options.at_rest = true;
    struct store *copy = fixture_open_with(&options);
    CHECK_TEXT(fixture_text(copy, "a"), "1");
    CHECK_OK(store_verify(copy, NULL, &error));
    CHECK_INT(access("copy/lock.mdb", F_OK), ==, -1);
    CHECK_INT(access("copy/processes", F_OK), ==, -1);
    store_close(copy);
    store_close(store);
}
