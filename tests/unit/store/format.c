/* Formats: newer ones are refused, older ones migrated in steps that can be resumed. */
#include "fixture.h"

#include "store/registry.h"

enum { ITEMS = 25, PER_STEP = 4 };

/*
 * Format 2 has 100 added to each number; it is done once for each, however often it is interrupted.
 */
static int step_add(struct store_txn *txn, struct slice cursor_in, struct buffer *cursor_out)
{
    uint64_t from = cursor_in.length ? load_le64(cursor_in.data) : 0;
    for (uint64_t i = from; i < ITEMS && i < from + PER_STEP; i++) {
        struct fixture_number number = {STORE_SPACE_APPLICATION, i, 100};
        int status = fixture_op_add(txn, &number);
        if (status)
            return status;
    }
    if (from + PER_STEP < ITEMS) {
        uint8_t bytes[8];
        store_le64(bytes, from + PER_STEP);
        buffer_append(cursor_out, bytes, sizeof(bytes));
    }
    return 0;
}

static int step_add_slowly(struct store_txn *txn, struct slice cursor_in, struct buffer *cursor_out)
{
    fixture_sleep_ms(30);
    return step_add(txn, cursor_in, cursor_out);
}

/* Format 3 has each number doubled, in one step. */
static int step_double(struct store_txn *txn, struct slice cursor_in, struct buffer *cursor_out)
{
    (void)cursor_out;
    CHECK_UINT(cursor_in.length, ==, 0);
    for (uint64_t i = 0; i < ITEMS; i++) {
        uint64_t value;
        CHECK_OK(fixture_get_number(txn, STORE_SPACE_APPLICATION, i, &value));
        CHECK_OK(fixture_put_number(txn, STORE_SPACE_APPLICATION, i, value * 2));
    }
    return 0;
}

static int step_fail(struct store_txn *txn, struct slice cursor_in, struct buffer *cursor_out)
{
    (void)cursor_in;
    (void)cursor_out;
    CHECK_OK(fixture_put_number(txn, STORE_SPACE_APPLICATION, 0, 12345));
    return JINI_E_CONFLICT;
}

static const struct store_migration both[] = {{1, "add a hundred", step_add},
                                              {2, "double", step_double}};
static const struct store_migration slow[] = {{1, "add a hundred", step_add_slowly},
                                              {2, "double", step_double}};
static const struct store_migration failing[] = {{1, "fail", step_fail}};

static const struct store_format format_2 = {2, 1, both, 1};
static const struct store_format format_2_slow = {2, 1, slow, 1};
static const struct store_format format_3 = {3, 1, both, 2};
static const struct store_format format_3_from_2 = {3, 2, both + 1, 1};
static const struct store_format format_2_failing = {2, 1, failing, 1};
static const struct store_format format_2_without = {2, 1, NULL, 0};

static struct store_options options_of(const struct store_format *format)
{
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    options.format = format;
    options.migrate_wait_ms = 100;
    return options;
}

static struct store *open_as(const struct store_format *format)
{
    struct store_options options = options_of(format);
    return fixture_open_with(&options);
}

static int refused_as(const struct store_format *format, struct jini_error *error)
{
    struct store_options options = options_of(format);
    return fixture_refused(&options, error);
}

/* A database of format 1 whose numbers are their keys. */
static void make_format_1(void)
{
    struct store *store = open_as(&fixture_format);
    for (uint64_t i = 0; i < ITEMS; i++) {
        struct fixture_number number = {STORE_SPACE_APPLICATION, i, i};
        CHECK_OK(store_write(store, fixture_op_put_number, &number));
    }
    store_close(store);
}

static void check_items(struct store *store, uint64_t add, uint64_t times)
{
    for (uint64_t i = 0; i < ITEMS; i++)
        CHECK_UINT(fixture_number(store, i), ==, (i + add) * times);
}

TEST(an_older_format_is_migrated_in_steps,
     "A database two formats behind goes through both migrations, each in all of its steps.")
{
    make_format_1();
    struct store *store = open_as(&format_3);
    check_items(store, 100, 2);
    store_close(store);
    store = open_as(&format_3);
    check_items(store, 100, 2);
    store_close(store);
}

STORE_TEST(a_new_database_has_the_newest_format, "A database that is made new runs no migration.")
{
    struct store_options options = options_of(&format_2_failing);
    options.driver = driver;
    struct store *store = fixture_open_with(&options);
    CHECK_UINT(fixture_number(store, 0), ==, 0);
    store_close(store);
}

TEST(a_newer_format_is_refused, "A database of a newer format is JINI_E_FORMAT, and says so.")
{
    struct jini_error error;
    store_close(open_as(&format_3));
    CHECK_STATUS(refused_as(&fixture_format, &error), JINI_E_FORMAT);
    CHECK_CONTAINS(error.message, "format 3");
    CHECK_STATUS(refused_as(&format_2, &error), JINI_E_FORMAT);
    store_close(open_as(&format_3));
}

TEST(a_format_that_is_too_old_is_refused, "A format below version_min is refused, and says so.")
{
    struct jini_error error;
    make_format_1();
    CHECK_STATUS(refused_as(&format_3_from_2, &error), JINI_E_FORMAT);
    CHECK_CONTAINS(error.message, "format 1");
    CHECK_STATUS(refused_as(&format_2_without, &error), JINI_E_FORMAT);
    struct store *store = open_as(&fixture_format);
    check_items(store, 0, 1);
    store_close(store);
}

TEST(a_step_that_fails_leaves_the_old_format,
     "A failing step is rolled back and named; the old version still opens the database.")
{
    struct jini_error error;
    make_format_1();
    CHECK_STATUS(refused_as(&format_2_failing, &error), JINI_E_CONFLICT);
    CHECK_CONTAINS(error.message, "\"fail\"");
    struct store *store = open_as(&fixture_format);
    check_items(store, 0, 1);
    store_close(store);
}

TEST(reading_only_migrates_nothing, "A database that must be migrated does not open read-only.")
{
    struct jini_error error;
    make_format_1();
    struct store_options options = options_of(&format_2);
    options.read_only = true;
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_FORMAT);
    CHECK_CONTAINS(error.message, "writing once");
    store_close(open_as(&format_2));
    struct store *store = fixture_open_with(&options);
    check_items(store, 100, 1);
    store_close(store);
}

static void migrate_slowly(void *argument)
{
    (void)argument;
    store_close(open_as(&format_2_slow));
}

TEST(a_migration_that_was_killed_goes_on,
     "A process killed between the steps of a migration loses at most the step that ran; the next "
     "one goes on there, and nothing is done twice.")
{
    make_format_1();
    /* Seven steps of 60 ms or more: killed again and again, it still comes to its end. */
    for (unsigned i = 0; i < 6; i++) {
        pid_t pid = fixture_spawn(migrate_slowly, NULL);
        fixture_sleep_ms(20 + (unsigned)harness_random_below(150));
        int status;
        kill(pid, SIGKILL);
        CHECK(waitpid(pid, &status, 0) == pid);
    }
    struct store *store = open_as(&format_3);
    check_items(store, 100, 2);
    store_close(store);
}

TEST(a_half_migrated_database_is_refused_by_the_old_version,
     "While a migration is unfinished, a version that knows only the old format stays out.")
{
    struct jini_error error;
    make_format_1();
    pid_t pid = fixture_spawn(migrate_slowly, NULL);
    fixture_sleep_ms(130);
    fixture_kill(pid);
    struct store_options options = options_of(&fixture_format);
    struct store *store;
    int status = store_open(&options, &store, &error);
    CHECK(status == JINI_E_FORMAT || status == 0); /* it may not have come to its first step */
    store_close(store);
    store = open_as(&format_2);
    check_items(store, 100, 1);
    store_close(store);
}

/* ---- Beside processes of the old version ---- */

struct old_process {
    struct fixture_flag ready;
    struct fixture_flag end;
};

static void run_old(void *argument)
{
    struct old_process *old = argument;
    struct store *store = open_as(&fixture_format);
    fixture_raise(old->ready);
    fixture_await(old->end);
    store_close(store);
}

TEST(
    a_migration_refuses_beside_an_old_process,
    "While a process of the old version is alive, opening answers JINI_E_FORMAT_BUSY with its pid.")
{
    struct jini_error error;
    struct old_process old = {fixture_flag(), fixture_flag()};
    char pid_text[32];
    make_format_1();
    pid_t pid = fixture_spawn(run_old, &old);
    fixture_await(old.ready);
    uint64_t begin = fixture_ms();
    CHECK_STATUS(refused_as(&format_2, &error), JINI_E_FORMAT_BUSY);
    CHECK_UINT(fixture_ms() - begin, >=, 100);
    snprintf(pid_text, sizeof(pid_text), "process %d (test)", (int)pid);
    CHECK_CONTAINS(error.message, pid_text);
    fixture_raise(old.end);
    harness_wait_exit(pid, 0);
    struct store *store = open_as(&format_2);
    check_items(store, 100, 1);
    store_close(store);
}

TEST(a_migration_waits_for_an_old_process,
     "An old process that ends within migrate_wait_ms is waited for; killed counts as ended.")
{
    struct old_process old = {fixture_flag(), fixture_flag()};
    make_format_1();
    pid_t pid = fixture_spawn(run_old, &old);
    fixture_await(old.ready);
    pid_t killer = fork();
    if (killer == 0) {
        fixture_sleep_ms(200);
        kill(pid, SIGKILL);
        _exit(0);
    }
    struct store_options options = options_of(&format_2);
    options.migrate_wait_ms = 60000;
    struct store *store = fixture_open_with(&options);
    check_items(store, 100, 1);
    store_close(store);
    harness_wait_exit(killer, 0);
}

static void wait_as_format_2(void *argument)
{
    (void)argument;
    struct store_options options = options_of(&format_2);
    struct store *store;
    struct jini_error error;
    options.migrate_wait_ms = 60000;
    (void)store_open(&options, &store, &error);
}

TEST(an_old_version_may_not_come_in_while_a_migration_waits,
     "Once a migration is announced, a process of the old version is refused; when the one that "
     "announced it dies, it is let in again.")
{
    struct jini_error error;
    struct old_process old = {fixture_flag(), fixture_flag()};
    make_format_1();
    pid_t first = fixture_spawn(run_old, &old);
    fixture_await(old.ready);
    pid_t migrator = fixture_spawn(wait_as_format_2, NULL);
    struct store_options options = options_of(&fixture_format);
    struct store *store = NULL;
    int status = 0;
    for (int i = 0; i < 1000 && status == 0; i++) {
        store_close(store);
        status = store_open(&options, &store, &error);
        fixture_sleep_ms(2);
    }
    CHECK_STATUS(status, JINI_E_FORMAT);
    CHECK_CONTAINS(error.message, "being migrated to format 2");
    fixture_kill(migrator);
    store_close(fixture_open_with(&options));
    fixture_raise(old.end);
    harness_wait_exit(first, 0);
}

struct announcer {
    struct fixture_flag announced;
    struct fixture_flag end;
};

/* Announces a migration as a process does that waits for old ones, and stands still there. */
static void announce_format_2(void *argument)
{
    struct announcer *announcer = argument;
    struct registry *registry;
    struct jini_error error;
    struct registry_options options = {.directory = harness_path("db"),
                                       .process_name = "migrator",
                                       .clock = &clock_system,
                                       .format_min = 1,
                                       .format_max = 2,
                                       .sync = STORE_SYNC_NONE};
    CHECK_OK(registry_open(&options, &registry, &error));
    registry_format_target(registry, 2);
    fixture_raise(announcer->announced);
    fixture_await(announcer->end);
    registry_format_target(registry, 0);
    registry_close(registry);
}

static void start_announcers(struct announcer *announcers, pid_t *pids, int count)
{
    for (int i = 0; i < count; i++) {
        announcers[i] = (struct announcer){fixture_flag(), fixture_flag()};
        pids[i] = fixture_spawn(announce_format_2, &announcers[i]);
        fixture_await(announcers[i].announced);
    }
}

TEST(the_last_of_several_migrators_keeps_old_versions_out,
     "While one of several processes that announced a migration goes on, whichever of the others "
     "has died, timed out or ended meanwhile, the old version is refused; behind the last one it "
     "is let in again.")
{
    struct jini_error error;
    struct announcer announcers[3];
    struct old_process old = {fixture_flag(), fixture_flag()};
    pid_t pids[3];
    char pid_text[32];
    make_format_1();
    pid_t first = fixture_spawn(run_old, &old);
    fixture_await(old.ready);
    start_announcers(announcers, pids, 3);

    CHECK_STATUS(refused_as(&format_2, &error), JINI_E_FORMAT_BUSY); /* a fourth, which times out */
    CHECK_STATUS(refused_as(&fixture_format, &error), JINI_E_FORMAT);
    fixture_kill(pids[2]); /* the last that announced it */
    CHECK_STATUS(refused_as(&fixture_format, &error), JINI_E_FORMAT);
    fixture_raise(announcers[0].end);
    harness_wait_exit(pids[0], 0);
    CHECK_STATUS(refused_as(&fixture_format, &error), JINI_E_FORMAT);
    snprintf(pid_text, sizeof(pid_text), "by process %d", (int)pids[1]);
    CHECK_CONTAINS(error.message, pid_text);

    fixture_kill(pids[1]);
    store_close(open_as(&fixture_format));
    fixture_raise(old.end);
    harness_wait_exit(first, 0);
}

/* Several processes of the new version open at once. */
static void migrate(void *argument)
{
    (void)argument;
    struct store_options options = options_of(&format_3);
    options.migrate_wait_ms = 60000;
    struct store *store = fixture_open_with(&options);
    check_items(store, 100, 2);
    store_close(store);
}

TEST(two_migrators_do_the_work_once, "Processes that open together migrate once, and all come in.")
{
    make_format_1();
    pid_t pids[4];
    for (int i = 0; i < 4; i++)
        pids[i] = fixture_spawn(migrate, NULL);
    for (int i = 0; i < 4; i++)
        harness_wait_exit(pids[i], 0);
}

static int op_spoil_format(struct store_txn *txn, void *argument)
{
    const struct slice *value = argument;
    return store_put(txn, STORE_SPACE_META, slice_of_text("format"), *value);
}

TEST(a_damaged_format_record_is_told, "A format record of the wrong length is JINI_E_CORRUPT.")
{
    struct jini_error error;
    for (size_t length = 0; length <= 9; length++) {
        struct slice value = slice_of("\1\0\0\0\0\0\0\0\0", length);
        struct store_options options = options_of(&fixture_format);
        options.directory = harness_path("db-%zu", length);
        struct store *store = fixture_open_with(&options);
        CHECK_OK(store_write(store, op_spoil_format, &value));
        store_close(store);
        if (length == 8)
            store_close(fixture_open_with(&options));
        else
            CHECK_STATUS(fixture_refused(&options, &error), JINI_E_CORRUPT);
    }
}
