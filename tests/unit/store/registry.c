/* The table of processes: who is alive, who they are, and what damage to it does. */
#include "fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

enum {
    AT_VERSION = 8,
    AT_BOOT_ID = 16,
    AT_NAMESPACE = 32,
    SLOTS = 64,
    AT_SLOTS = 4096,
};

static void patch(const char *path, off_t at, const void *bytes, size_t length)
{
    int fd = open(path, O_WRONLY);
    CHECK(fd >= 0 && pwrite(fd, bytes, length, at) == (ssize_t)length);
    close(fd);
}

struct other {
    struct fixture_flag ready;
    struct fixture_flag end;
    struct fixture_flag told; /* carries a struct store_process */
    const char *name;
    uint32_t snapshots; /* that it keeps open */
};

static struct other other_process(const char *name)
{
    return (struct other){fixture_flag(), fixture_flag(), fixture_flag(), name, 0};
}

static void open_snapshots(struct store *store, uint32_t count, struct store_txn **txns)
{
    for (uint32_t i = 0; i < count; i++)
        CHECK_OK(store_read_begin(store, &txns[i]));
}

static void end_snapshots(uint32_t count, struct store_txn **txns)
{
    for (uint32_t i = 0; i < count; i++)
        store_read_end(txns[i]);
}

static void run_other(void *argument)
{
    static struct store_txn *txns[STORE_READERS_MAX];
    struct other *other = argument;
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    options.process_name = other->name;
    options.map_bytes = 1 << 20;
    struct store *store = fixture_open_with(&options);
    struct store_process self = store_self(store);
    CHECK(write(other->told.ends[1], &self, sizeof(self)) == sizeof(self));
    open_snapshots(store, other->snapshots, txns);
    fixture_raise(other->ready);
    fixture_await(other->end);
    end_snapshots(other->snapshots, txns);
    store_close(store);
}

static struct store_process told(const struct other *other)
{
    struct store_process process;
    CHECK(read(other->told.ends[0], &process, sizeof(process)) == sizeof(process));
    return process;
}

STORE_TEST(a_process_is_listed, "A store lists its own process: alive, with pid, name and format.")
{
    struct store_options options = fixture_options(driver);
    options.process_name = "a name that is longer than the forty-seven bytes that are kept of it";
    struct store *store = fixture_open_with(&options);
    struct store_process_info infos[4];
    CHECK_UINT(store_processes(store, infos, 4), ==, 1);
    CHECK_UINT(store_processes(store, infos, 0), ==, 0);
    CHECK_INT(infos[0].pid, ==, getpid());
    CHECK_UINT(infos[0].process.slot, ==, store_self(store).slot);
    CHECK_UINT(infos[0].format_version, ==, 1);
    CHECK_UINT(strlen(infos[0].name), ==, STORE_NAME_MAX - 1);
    CHECK(!infos[0].holds_write_lock && !infos[0].waits_for_write_lock);
    uint64_t now = clock_wall_ns(&clock_system);
    CHECK(infos[0].started_ns <= now && now - infos[0].started_ns < 60 * NS_PER_S);
    CHECK(store_process_alive(store, store_self(store)));
    store_close(store);
}

TEST(processes_see_each_other, "Each process is listed and alive for the others until it ends.")
{
    struct other other = other_process("the other");
    store_close(fixture_open(STORE_DRIVER_LMDB));
    pid_t pid = fixture_spawn(run_other, &other);
    fixture_await(other.ready);
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct store_process process = told(&other);
    struct store_process_info infos[4];
    CHECK_UINT(store_processes(store, infos, 4), ==, 2);
    unsigned index = infos[0].pid == pid ? 0 : 1;
    CHECK_INT(infos[index].pid, ==, pid);
    CHECK_TEXT(infos[index].name, "the other");
    CHECK(store_process_alive(store, process));
    fixture_raise(other.end);
    harness_wait_exit(pid, 0);
    CHECK(!store_process_alive(store, process));
    CHECK_UINT(store_processes(store, infos, 4), ==, 1);
    store_close(store);
}

TEST(a_killed_process_is_dead_at_once, "Nobody has to notice or clean up after kill -9.")
{
    struct other other = other_process("doomed");
    store_close(fixture_open(STORE_DRIVER_LMDB));
    pid_t pid = fixture_spawn(run_other, &other);
    fixture_await(other.ready);
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct store_process process = told(&other);
    CHECK(store_process_alive(store, process));
    fixture_kill(pid);
    CHECK(!store_process_alive(store, process));
    store_close(store);
}

TEST(a_name_is_never_given_again,
     "Slots are used again, but (slot, incarnation) of a process that ended stays dead: after "
     "others took its slot, after a reboot, and after somebody deleted the table.")
{
    struct store_process ended[40];
    unsigned count = 0;
    for (unsigned i = 0; i < 40; i++) {
        if (i == 20) {
            static const uint8_t another_boot[16] = {1, 2, 3};
            patch("db/processes", AT_BOOT_ID, another_boot, sizeof(another_boot));
        }
        if (i == 30)
            CHECK(unlink("db/processes") == 0);
        struct store *store = fixture_open(STORE_DRIVER_LMDB);
        struct store_process self = store_self(store);
        CHECK(store_process_alive(store, self));
        for (unsigned k = 0; k < count; k++) {
            CHECK(ended[k].slot != self.slot || ended[k].incarnation != self.incarnation);
            CHECK(!store_process_alive(store, ended[k]));
        }
        ended[count++] = self;
        store_close(store);
    }
}

TEST(a_process_that_never_was_is_dead, "Numbers from a damaged record name nobody.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct store_process self = store_self(store);
    CHECK(!store_process_alive(store, (struct store_process){self.slot, self.incarnation + 1}));
    CHECK(!store_process_alive(store, (struct store_process){self.slot + 1, 0}));
    CHECK(!store_process_alive(store, (struct store_process){SLOTS, 1}));
    CHECK(!store_process_alive(store, (struct store_process){UINT32_MAX, UINT32_MAX}));
    store_close(store);
}

TEST(the_table_is_bounded,
     "One process more than there are slots is JINI_E_BUSY, until one ends; and each may have as "
     "many snapshots open as it may by default, all at once.")
{
    struct other other = other_process("one of many");
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    struct jini_error error;
    struct store_figures figures;
    static struct store_txn *txns[STORE_READERS_MAX];
    pid_t pids[SLOTS];
    other.snapshots = harness_sanitized() ? 4 : options.readers_max;
    store_close(fixture_open_with(&options));
    for (int i = 0; i < SLOTS; i++) {
        pids[i] = fixture_spawn(run_other, &other);
        fixture_await(other.ready);
    }
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_BUSY);
    CHECK_CONTAINS(error.message, "64 processes");
    fixture_kill(pids[17]);
    struct store *store = fixture_open_with(&options);
    CHECK_UINT(store_self(store).slot, ==, 17);
    fixture_put(store, "a", "1");
    open_snapshots(store, options.readers_max - 1, txns);
    CHECK_OK(store_figures(store, &figures));
    CHECK_UINT(figures.readers, ==, (SLOTS - 1) * other.snapshots + options.readers_max - 1);
    end_snapshots(options.readers_max - 1, txns);
    store_close(store);
    for (int i = 0; i < SLOTS; i++) {
        if (i != 17)
            fixture_kill(pids[i]);
    }
}

static void change_shared_word(void *argument)
{
    (void)argument;
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    atomic_fetch_add(store_shared_word(store, 3), 5);
    store_close(store);
}

TEST(shared_words_are_shared, "A shared word is zero at first, and one for all processes.")
{
    store_close(fixture_open(STORE_DRIVER_LMDB));
    pid_t pid = fixture_spawn(change_shared_word, NULL);
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    harness_wait_exit(pid, 0);
    CHECK_UINT(atomic_load(store_shared_word(store, 3)), ==, 5);
    CHECK_UINT(atomic_load(store_shared_word(store, 4)), ==, 0);
    store_close(store);
}

/* ---- Damage ---- */

static void spoil_header(void)
{
    patch("db/processes", 0, "garbage!", 8);
}

static void spoil_all(void)
{
    uint8_t bytes[4096];
    for (off_t at = 0; at < 53248; at += (off_t)sizeof(bytes)) {
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)harness_random();
        patch("db/processes", at, bytes, sizeof(bytes));
    }
}

static void cut_to_nothing(void)
{
    CHECK(truncate("db/processes", 0) == 0);
}

static void cut_in_the_middle(void)
{
    CHECK(truncate("db/processes", 5000) == 0);
}

static void spoil_slots(void)
{
    uint8_t bytes[256 * SLOTS];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)harness_random();
    patch("db/processes", AT_SLOTS, bytes, sizeof(bytes));
}

static void delete_it(void)
{
    CHECK(unlink("db/processes") == 0);
}

TEST(a_damaged_table_is_made_anew_when_nobody_uses_it,
     "Whatever became of the file while no process had it open, the database opens and works.")
{
    void (*const damages[])(void) = {spoil_header,      spoil_all,   cut_to_nothing,
                                     cut_in_the_middle, spoil_slots, delete_it};
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        store_close(fixture_open(STORE_DRIVER_LMDB));
        damages[i]();
        struct store *store = fixture_open(STORE_DRIVER_LMDB);
        struct fixture_number one = {STORE_SPACE_APPLICATION, 1, 1};
        CHECK_OK(store_write(store, fixture_op_add, &one));
        CHECK_UINT(fixture_number(store, 1), ==, i + 1);
        struct store_process_info infos[SLOTS];
        CHECK_UINT(store_processes(store, infos, SLOTS), ==, 1);
        store_close(store);
    }
}

TEST(a_damaged_table_in_use_is_told,
     "A table that is damaged while a process uses it is JINI_E_CORRUPT.")
{
    struct other other = other_process("user");
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    struct jini_error error;
    store_close(fixture_open_with(&options));
    pid_t pid = fixture_spawn(run_other, &other);
    fixture_await(other.ready);
    spoil_header();
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_CORRUPT);
    CHECK_CONTAINS(error.message, "stop them all");
    fixture_raise(other.end);
    harness_wait_exit(pid, 0);
    store_close(fixture_open_with(&options));
}

TEST(a_table_of_another_version_in_use_is_told,
     "Beside live processes whose table has another version, opening is JINI_E_FORMAT; without "
     "them the table is made anew.")
{
    struct other other = other_process("of another version");
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    struct jini_error error;
    uint32_t version = 77;
    store_close(fixture_open_with(&options));
    pid_t pid = fixture_spawn(run_other, &other);
    fixture_await(other.ready);
    patch("db/processes", AT_VERSION, &version, sizeof(version));
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_FORMAT);
    CHECK_CONTAINS(error.message, "version 77");
    fixture_raise(other.end);
    harness_wait_exit(pid, 0);
    store_close(fixture_open_with(&options));
}

TEST(a_table_that_is_deleted_in_use_poisons,
     "A process whose table was deleted finds out at its next write or tick, and stops working, "
     "since those who open the database after that do not see it.")
{
    struct jini_error error;
    struct fixture_pair pair = fixture_pair("a", "1");
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    delete_it();
    store_tick(store);
    CHECK_STATUS(store_health(store, &error), JINI_E_POISONED);
    CHECK_CONTAINS(error.message, "processes");
    store_close(store);
    store = fixture_open(STORE_DRIVER_LMDB);
    delete_it();
    CHECK_STATUS(store_write(store, fixture_op_put, &pair), JINI_E_POISONED);
    CHECK_STATUS(store_health(store, &error), JINI_E_POISONED);
    store_close(store);
}

TEST(another_pid_namespace_is_refused, "With live processes of another PID namespace, opening is "
                                       "JINI_E_LOCKED; without them it works.")
{
    struct other other = other_process("elsewhere");
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    struct jini_error error;
    uint64_t namespace = 12345;
    store_close(fixture_open_with(&options));
    pid_t pid = fixture_spawn(run_other, &other);
    fixture_await(other.ready);
    patch("db/processes", AT_NAMESPACE, &namespace, sizeof(namespace));
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_LOCKED);
    CHECK_CONTAINS(error.message, "PID namespace");
    fixture_raise(other.end);
    harness_wait_exit(pid, 0);
    store_close(fixture_open_with(&options));
}

static void stop_while_opening(void *argument)
{
    struct other *other = argument;
    int fd = open("db/processes", O_RDWR);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    CHECK(fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0);
    fixture_raise(other->ready);
    fixture_await(other->end);
}

/* A clock by which a second passes with every look. */
static _Atomic uint64_t seconds;

static uint64_t passing_boot_ns(void *context)
{
    (void)context;
    return clock_boot_ns(&clock_system) + atomic_fetch_add(&seconds, 1) * NS_PER_S;
}

static uint64_t real_wall_ns(void *context)
{
    (void)context;
    return clock_wall_ns(&clock_system);
}

static const struct jini_clock passing_clock = {real_wall_ns, passing_boot_ns, NULL};

TEST(a_process_stopped_while_opening_is_waited_for_with_a_bound,
     "Opening beside a process that stands still in its own opening is JINI_E_BUSY after 5 s.")
{
    struct other other = other_process("");
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    struct jini_error error;
    store_close(fixture_open_with(&options));
    pid_t pid = fixture_spawn(stop_while_opening, &other);
    fixture_await(other.ready);
    struct store_options refused = options;
    refused.clock = &passing_clock;
    CHECK_STATUS(fixture_refused(&refused, &error), JINI_E_BUSY);
    CHECK_CONTAINS(error.message, "over 5000 ms");
    CHECK_UINT(atomic_load(&seconds), >=, 5);
    CHECK_UINT(atomic_load(&seconds), <=, 7);
    fixture_kill(pid);
    store_close(fixture_open_with(&options));
}
