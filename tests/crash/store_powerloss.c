/*
 * A database after a power loss: every image that the recorded input and output allows has all that
 * was acknowledged, and opens, also when the power went while it was being made. Each sync that is
 * left out is found.
 *
 * While the database is made every cut is looked at, and then each whose images are not those of
 * the next cut, too.
 */
#include "store/store.h"

#include "faults.h"
#include "harness.h"
#include "powerloss.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPS = 40, FEW_OPS = 8, KEYS = 7, COPY_IMAGES = 8 };

static const struct store_format format = {.version = 1, .version_min = 1};
static const enum store_space spaces[] = {STORE_SPACE_APPLICATION, STORE_SPACE_USERS};

static struct store_options options_at(const char *directory)
{
    struct store_options options;
    store_options_init(&options);
    options.directory = directory;
    options.create = true;
    options.run_twice = false;
    options.map_bytes = 1 << 20;
    options.map_bytes_max = UINT64_C(1) << 30;
    options.reserve_bytes = 1 << 16;
    options.format = &format;
    return options;
}

/*
 * Op n puts n under key n % KEYS in two spaces, and a value on pages of its own under key 1000 + n.
 */
static int op_number(struct store_txn *txn, void *argument)
{
    static uint8_t filler[20000];
    const uint64_t *number = argument;
    uint8_t key[8];
    uint8_t value[8];
    store_le64(value, *number);
    store_be64(key, *number % KEYS);
    for (int i = 0; i < 2; i++) {
        int status = store_put(txn, spaces[i], slice_of(key, 8), slice_of(value, 8));
        if (status)
            return status;
    }
    memset(filler, (int)*number, sizeof(filler));
    store_be64(key, 1000 + *number);
    return store_put(txn, STORE_SPACE_JOBS, slice_of(key, 8), slice_of(filler, sizeof(filler)));
}

struct work {
    enum store_sync sync;
    uint64_t ops;
    const char *swallow; /* syncs that are left out; NULL: none */
};

static void record_work(struct work work)
{
    struct store_options options = options_at("root/db");
    struct store *store;
    struct jini_error error;
    options.sync = work.sync;
    fault_record_start("root", "log");
    fault_swallow_syncs(work.swallow);
    CHECK_OK(store_open(&options, &store, &error));
    for (uint64_t n = 1; n <= work.ops; n++) {
        CHECK_OK(store_write(store, op_number, &n));
        fault_mark("%d", (int)n);
    }
    store_close(store);
    fault_swallow_syncs(NULL);
    fault_record_stop();
}

static bool value_is(struct store_txn *txn, enum store_space space, uint64_t key, uint64_t number)
{
    uint8_t key_bytes[8];
    uint8_t value[8] = {0};
    struct buffer buffer = buffer_of(value, sizeof(value));
    store_be64(key_bytes, key);
    (void)store_get(txn, space, slice_of(key_bytes, 8), &buffer);
    return load_le64(value) == number;
}

/*
 * The newest op that is there as a whole, 0 when there is none, or -1 when the halves do not fit.
 */
static int newest_whole(struct store_txn *txn)
{
    static uint8_t bytes[STORE_VALUE_MAX];
    struct buffer filler = buffer_of(bytes, sizeof(bytes));
    uint8_t key[8];
    int newest = 0;
    for (int n = 1; n <= OPS; n++) {
        store_be64(key, 1000 + (uint64_t)n);
        int status = store_get(txn, STORE_SPACE_JOBS, slice_of(key, 8), &filler);
        if (status == JINI_E_NOT_FOUND)
            break;
        if (status || filler.length != 20000 || bytes[0] != (uint8_t)n ||
            bytes[19999] != (uint8_t)n)
            return -1;
        newest = n;
    }
    for (uint64_t key_number = 0; key_number < KEYS; key_number++) {
        uint64_t last = 0;
        for (uint64_t n = 1; n <= (uint64_t)newest; n++)
            last = n % KEYS == key_number ? n : last;
        for (int i = 0; i < 2; i++) {
            if (!value_is(txn, spaces[i], key_number, last))
                return -1;
        }
    }
    return newest;
}

/* How many ops an image may have beside those that were acknowledged. */
struct tolerance {
    int fewer;
    int more;
};

static const struct tolerance strict = {0, 1};

/* In a child, since an image that is damaged may be worse than a status. */
static bool image_is_whole(const char *directory, int acknowledged, struct tolerance tolerance)
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        struct store_options options = options_at(directory);
        options.sync = STORE_SYNC_NONE;
        struct store *store;
        struct store_txn *txn;
        struct jini_error error;
        int status = store_open(&options, &store, &error);
        if (status) {
            fprintf(stderr, "     open: %s\n", error.message);
            _exit(1);
        }
        bool whole = store_verify(store, NULL, &error) == 0 && store_read_begin(store, &txn) == 0;
        int newest = whole ? newest_whole(txn) : -1;
        uint64_t next = 100;
        whole = newest >= 0 && newest >= acknowledged - tolerance.fewer &&
                newest <= acknowledged + tolerance.more;
        if (whole)
            store_read_end(txn);
        whole = whole && store_write(store, op_number, &next) == 0;
        _exit(whole ? 0 : 1);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* How images are looked at: all of them, or up to one that is damaged. */
struct hunt {
    bool first_only;
    struct tolerance tolerance;
};

/*
 * The seed of an image of a cut. A missing sync cannot hide from the first, and the second is what
 * a process leaves that is killed.
 */
static uint64_t choose_seed(unsigned turn)
{
    static const uint64_t fixed[] = {POWERLOSS_NOTHING_MORE, POWERLOSS_EVERYTHING};
    return turn < 2 ? fixed[turn] : harness_random();
}

static unsigned images_of_a_cut(void)
{
    return 2 + harness_scale();
}

/* Looks at images of the cuts, or until one is damaged; returns how many were. */
static unsigned count_damaged(unsigned *images, struct hunt hunt)
{
    char target[600];
    char directory[620];
    struct powerloss *loss = powerloss_open("log");
    unsigned damaged = 0;
    int acknowledged = 0;
    snprintf(target, sizeof(target), "%s/image", harness_fast_directory(64 << 20));
    snprintf(directory, sizeof(directory), "%s/db", target);
    for (size_t cut = powerloss_first_cut(loss); cut <= powerloss_last_cut(loss); cut++) {
        const char *mark = powerloss_mark(loss, cut);
        if (mark)
            acknowledged = (int)strtol(mark, NULL, 10);
        if (!powerloss_is_event(loss, cut) || (acknowledged > 0 && powerloss_is_covered(loss, cut)))
            continue;
        for (unsigned i = 0; i < images_of_a_cut(); i++) {
            uint64_t chosen = choose_seed(i);
            powerloss_build(loss, cut, chosen, target);
            ++*images;
            fault_boot((cut + i) % 2); /* a power loss is a new start; a process may die, too */
            if (image_is_whole(directory, acknowledged, hunt.tolerance))
                continue;
            damaged++;
            if (!hunt.first_only)
                harness_fail(__FILE__, __LINE__,
                             "cut %zu, seed %" PRIu64 ", behind %s: op %d is lost", cut, chosen,
                             powerloss_describe(loss, cut), acknowledged);
            powerloss_close(loss);
            return damaged;
        }
    }
    powerloss_close(loss);
    return damaged;
}

static int visit_nothing(void *argument, struct slice key, struct slice value)
{
    *(uint64_t *)argument += key.length + value.length;
    return 0;
}

/* Opens an image that may be damaged, and reads all of it where verify finds nothing. */
static void use_anything(const char *directory)
{
    struct store_options options = options_at(directory);
    struct store *store;
    struct jini_error error;
    uint64_t sum = 0;
    options.sync = STORE_SYNC_NONE;
    int status = store_open(&options, &store, &error);
    if (status == 0)
        status = store_verify(store, NULL, &error);
    for (int space = 0; status == 0 && space < STORE_SPACES; space++)
        status = store_each(store, (enum store_space)space, slice_of(NULL, 0), slice_of(NULL, 0),
                            visit_nothing, &sum);
    CHECK(status == 0 || status == JINI_E_CORRUPT || status == JINI_E_NOT_FOUND ||
          status == JINI_E_FORMAT);
    store_close(store);
}

static void check_that_nothing_crashes(void)
{
    char target[600];
    char directory[620];
    struct powerloss *loss = powerloss_open("log");
    snprintf(target, sizeof(target), "%s/image", harness_fast_directory(64 << 20));
    snprintf(directory, sizeof(directory), "%s/db", target);
    for (size_t cut = powerloss_first_cut(loss); cut <= powerloss_last_cut(loss); cut++) {
        if (!powerloss_is_event(loss, cut))
            continue;
        powerloss_build(loss, cut, harness_random(), target);
        fflush(NULL);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            use_anything(directory);
            _exit(0);
        }
        harness_wait_exit(pid, 0);
    }
    powerloss_close(loss);
}

/* ---- Copies ---- */

static const char *const copies[] = {"compact", "plain"};

static void record_copies(const char *swallow)
{
    struct store_options options = options_at("root/db");
    struct store *store;
    struct jini_error error;
    CHECK_OK(store_open(&options, &store, &error));
    for (uint64_t n = 1; n <= OPS; n++)
        CHECK_OK(store_write(store, op_number, &n));
    fault_record_start("root", "log");
    fault_swallow_syncs(swallow);
    for (int form = 0; form < 2; form++) {
        char path[64];
        snprintf(path, sizeof(path), "root/%s", copies[form]);
        CHECK_OK(store_copy(store, path, (enum store_copy_form)form, &error));
        fault_mark("%d", form + 1);
    }
    fault_swallow_syncs(NULL);
    fault_record_stop();
    store_close(store);
}

/* Whether a copy that has its name is whole, and each that was acknowledged has its name. */
static bool copies_are_whole(const char *image, int acknowledged)
{
    char directory[620];
    char from[640];
    char to[640];
    bool whole = true;
    snprintf(directory, sizeof(directory), "%s/opened", image);
    snprintf(to, sizeof(to), "%s/data.mdb", directory);
    for (int form = 0; form < 2; form++) {
        CHECK(mkdir(directory, 0700) == 0);
        snprintf(from, sizeof(from), "%s/%s", image, copies[form]);
        if (rename(from, to) == 0)
            whole &= image_is_whole(directory, OPS, strict);
        else
            whole &= form >= acknowledged;
        harness_remove(directory);
    }
    return whole;
}

/* True when the copies in some image are not as they must be. */
static bool some_copy_is_damaged(void)
{
    char target[600];
    struct powerloss *loss = powerloss_open("log");
    bool damaged = false;
    int acknowledged = 0;
    snprintf(target, sizeof(target), "%s/image", harness_fast_directory(64 << 20));
    for (size_t cut = powerloss_first_cut(loss); cut <= powerloss_last_cut(loss); cut++) {
        const char *mark = powerloss_mark(loss, cut);
        if (mark)
            acknowledged = (int)strtol(mark, NULL, 10);
        if (powerloss_is_covered(loss, cut))
            continue;
        for (unsigned i = 0; i < COPY_IMAGES && !damaged; i++) {
            powerloss_build(loss, cut, choose_seed(i), target);
            damaged = !copies_are_whole(target, acknowledged);
        }
    }
    powerloss_close(loss);
    return damaged;
}

static void prepare(void)
{
    fault_attach(harness_path("control"));
    CHECK(mkdir("root", 0700) == 0);
}

TEST(what_was_acknowledged_survives_a_power_loss,
     "In every image of every cut, from the making of the database on, each acknowledged op is "
     "there, at most one more is, and the database opens and takes writes.")
{
    unsigned images = 0;
    prepare();
    record_work((struct work){STORE_SYNC_FULL, OPS, NULL});
    CHECK_UINT(count_damaged(&images, (struct hunt){false, strict}), ==, 0);
    printf("     %u images\n", images);
}

TEST(mode_meta_loses_the_newest_commit_and_nothing_else,
     "With store.sync=meta every image is whole and lacks the last acknowledged op at most; some "
     "image does lack it.")
{
    unsigned images = 0;
    prepare();
    record_work((struct work){STORE_SYNC_META, FEW_OPS, NULL});
    CHECK_UINT(count_damaged(&images, (struct hunt){false, {1, 1}}), ==, 0);
    printf("     %u images\n", images);
    CHECK_UINT(count_damaged(&images, (struct hunt){true, strict}), ==, 1);
}

TEST(mode_none_may_lose_everything_but_is_told,
     "With store.sync=none an image that is damaged is found to be so at open or by verify, and "
     "crashes nobody; some image has lost an op.")
{
    unsigned images = 0;
    prepare();
    record_work((struct work){STORE_SYNC_NONE, FEW_OPS, NULL});
    CHECK_UINT(count_damaged(&images, (struct hunt){true, strict}), ==, 1);
    check_that_nothing_crashes();
}

/* ---- Two processes ---- */

struct helper {
    int asked[2];
    int answered[2];
};

/* Writes the ops whose numbers come through the pipe, in mode meta. */
static void help(const struct helper *helper)
{
    struct store_options options = options_at("root/db");
    struct store *store;
    struct jini_error error;
    uint64_t n = 0;
    options.sync = STORE_SYNC_META;
    CHECK_OK(store_open(&options, &store, &error));
    do {
        if (n > 0)
            CHECK_OK(store_write(store, op_number, &n));
        CHECK(write(helper->answered[1], &n, sizeof(n)) == sizeof(n));
    } while (read(helper->asked[0], &n, sizeof(n)) == sizeof(n));
    _exit(0);
}

static void ask(const struct helper *helper, uint64_t n)
{
    uint64_t answer;
    CHECK(n == 0 || write(helper->asked[1], &n, sizeof(n)) == sizeof(n));
    CHECK(read(helper->answered[0], &answer, sizeof(answer)) == sizeof(answer) && answer == n);
}

/* Every third op is of this process, in mode full, and is the one that is acknowledged. */
static void record_two(void)
{
    struct store_options options = options_at("root/db");
    struct store *store;
    struct jini_error error;
    struct helper helper;
    CHECK(pipe(helper.asked) == 0 && pipe(helper.answered) == 0);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(helper.asked[1]);
        help(&helper);
    }
    close(helper.asked[0]);
    ask(&helper, 0); /* it is open */
    CHECK_OK(store_open(&options, &store, &error));
    fault_record_start("root", "log");
    for (uint64_t n = 1; n <= FEW_OPS + 1; n++) {
        if (n % 3) {
            ask(&helper, n);
            continue;
        }
        CHECK_OK(store_write(store, op_number, &n));
        fault_mark("%d", (int)n);
    }
    fault_record_stop();
    store_close(store);
    close(helper.asked[1]);
    harness_wait_exit(pid, 0);
}

TEST(what_mode_full_acknowledged_survives_beside_mode_meta,
     "While another process writes to the same database with store.sync=meta, every image has all "
     "that a process with full was told, and is whole.")
{
    unsigned images = 0;
    prepare();
    record_two();
    CHECK_UINT(count_damaged(&images, (struct hunt){false, {0, 3}}), ==, 0);
    printf("     %u images\n", images);
}

TEST(a_copy_has_its_name_when_it_is_whole,
     "In every image of every cut, a copy that has its name is whole, and one that was "
     "acknowledged has its name.")
{
    prepare();
    record_copies(NULL);
    CHECK(!some_copy_is_damaged());
}

TEST(a_missing_sync_of_a_copy_is_found,
     "Without syncs of the file of a copy, or of the directory, some image has lost it.")
{
    prepare();
    record_copies("*.jini-partial");
    CHECK(some_copy_is_damaged());
    harness_remove("root");
    harness_remove("log");
    CHECK(mkdir("root", 0700) == 0);
    record_copies("root/");
    CHECK(some_copy_is_damaged());
}

static void check_missing_sync_is_found(const char *pattern)
{
    unsigned images = 0;
    prepare();
    record_work((struct work){STORE_SYNC_FULL, OPS, pattern});
    CHECK_UINT(fault_swallowed(), >, 0);
    CHECK_UINT(count_damaged(&images, (struct hunt){true, strict}), ==, 1);
    printf("     found in image %u\n", images);
}

TEST(a_missing_sync_of_the_data_file_is_found,
     "Without syncs of data.mdb, some image has lost an op.")
{
    check_missing_sync_is_found("db/data.mdb");
}

TEST(a_missing_sync_of_the_new_data_file_is_found,
     "Without syncs of data.mdb while it is made, some image does not open.")
{
    check_missing_sync_is_found("db/data.mdb.new");
}

TEST(a_missing_sync_of_the_directory_is_found,
     "Without syncs of the database's directory, some image has lost the whole file.")
{
    check_missing_sync_is_found("db/");
}

TEST(a_missing_sync_of_the_directory_above_is_found,
     "Without syncs of the directory above, some image has lost the database.")
{
    check_missing_sync_is_found("root/");
}
