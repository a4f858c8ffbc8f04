/*
 * Opening a database with something to write beside a process that stands still with the turn to
 * write: it ends with a bound. The clock of the opener is moved by the case, so that nobody waits
 * for real.
 */
#include "fixture.h"

#include "store/registry.h"

#include <lmdb.h>
#include <pthread.h>

static _Atomic uint64_t passed_ns; /* beyond the machine's time */

static uint64_t moved_boot_ns(void *context)
{
    (void)context;
    return clock_boot_ns(&clock_system) + atomic_load(&passed_ns);
}

static uint64_t real_wall_ns(void *context)
{
    (void)context;
    return clock_wall_ns(&clock_system);
}

static const struct jini_clock moved_clock = {real_wall_ns, moved_boot_ns, NULL};

static int step_nothing(struct store_txn *txn, struct slice cursor_in, struct buffer *cursor_out)
{
    (void)txn;
    (void)cursor_in;
    (void)cursor_out;
    return 0;
}

static const struct store_migration migrations[] = {{1, "nothing", step_nothing}};
static const struct store_format format_2 = {2, 1, migrations, 1};

/* ---- The one that stands still ---- */

static bool wait_on(void *argument)
{
    (void)argument;
    return true;
}

static void hold_the_turn(void *argument)
{
    const struct fixture_flag *held = argument;
    struct registry *registry;
    struct jini_error error;
    struct registry_options options = {.directory = harness_path("db"),
                                       .process_name = "holder",
                                       .clock = &clock_system,
                                       .format_min = 1,
                                       .format_max = 2,
                                       .sync = STORE_SYNC_NONE};
    CHECK_OK(registry_open(&options, &registry, &error));
    CHECK(registry_turn_take(registry, wait_on, NULL));
    fixture_raise(*held);
    pause();
}

/* ---- The one that opens ---- */

struct opener {
    const struct store_format *format;
    struct jini_error error;
    int status;
    _Atomic bool ended;
};

static void *open_beside(void *argument)
{
    struct opener *opener = argument;
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    struct store *store;
    options.format = opener->format;
    options.clock = &moved_clock;
    opener->status = store_open(&options, &store, &opener->error);
    store_close(store);
    atomic_store(&opener->ended, true);
    return NULL;
}

static void check_bounded(const struct store_format *format)
{
    struct fixture_flag held = fixture_flag();
    struct opener opener = {.format = format};
    pthread_t thread;
    char text[64];
    pid_t pid = fixture_spawn(hold_the_turn, &held);
    fixture_await(held);
    uint64_t end = fixture_ms() + 60000;
    CHECK(pthread_create(&thread, NULL, open_beside, &opener) == 0);
    while (!atomic_load(&opener.ended) && fixture_ms() < end) {
        atomic_fetch_add(&passed_ns, NS_PER_S);
        fixture_sleep_ms(5);
    }
    CHECK(atomic_load(&opener.ended));
    pthread_join(thread, NULL);
    CHECK_STATUS(opener.status, JINI_E_BUSY);
    snprintf(text, sizeof(text), "process %d (holder) has held the write lock", (int)pid);
    CHECK_CONTAINS(opener.error.message, text);
    fixture_kill(pid);
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    options.format = format;
    store_close(fixture_open_with(&options));
}

static int op_forget_format(struct store_txn *txn, void *argument)
{
    (void)argument;
    return store_delete(txn, STORE_SPACE_META, slice_of_text("format"));
}

TEST(a_database_whose_making_was_cut_short_opens_with_a_bound,
     "Where the format has still to be written and a process stands still with the write lock, "
     "opening is JINI_E_BUSY and names it; behind it the database opens.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    CHECK_OK(store_write(store, op_forget_format, NULL));
    store_close(store);
    check_bounded(&fixture_format);
}

TEST(a_migration_waits_for_its_turn_with_a_bound,
     "The same holds where a step of a migration has still to be written.")
{
    store_close(fixture_open(STORE_DRIVER_LMDB));
    check_bounded(&format_2);
}

/* As an older version leaves it, that did not know the last space. */
static void forget_a_space(void *argument)
{
    (void)argument;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    CHECK(mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 64) == 0);
    CHECK(mdb_env_open(env, harness_path("db"), 0, 0600) == 0);
    CHECK(mdb_txn_begin(env, NULL, 0, &txn) == 0);
    CHECK(mdb_dbi_open(txn, "orphans", 0, &dbi) == 0 && mdb_drop(txn, dbi, 1) == 0);
    CHECK(mdb_txn_commit(txn) == 0);
    mdb_env_close(env);
}

TEST(missing_spaces_are_made_with_a_bound,
     "The same holds where a space has still to be made, that an older version did not know.")
{
    store_close(fixture_open(STORE_DRIVER_LMDB));
    harness_wait_exit(fixture_spawn(forget_a_space, NULL), 0);
    check_bounded(&fixture_format);
}
