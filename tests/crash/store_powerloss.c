/*
 * A database after a power loss: every image that the recorded input and output allows has all that
 * was acknowledged, and opens, also when the power went while it was being made. Each sync that is
 * left out is found.
 *
 * Every cut is looked at: four images of it, or one in a build with a sanitizer, which is many
 * times slower and looks for nothing that more images of the same cut would show.
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

enum { OPS = 40, KEYS = 7, SEEDS = 4 };

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

static void record_work(const char *swallow)
{
    struct store_options options = options_at("root/db");
    struct store *store;
    struct jini_error error;
    fault_record_start("root", "log");
    fault_swallow_syncs(swallow);
    CHECK_OK(store_open(&options, &store, &error));
    for (uint64_t n = 1; n <= OPS; n++) {
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

/* In a child, since an image that is damaged may be worse than a status. */
static bool image_is_whole(const char *directory, int acknowledged)
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
        bool whole = store_verify(store, &error) == 0 && store_read_begin(store, &txn) == 0;
        int newest = whole ? newest_whole(txn) : -1;
        uint64_t next = 100;
        whole = newest >= acknowledged && newest <= acknowledged + 1;
        if (whole)
            store_read_end(txn);
        whole = whole && store_write(store, op_number, &next) == 0;
        _exit(whole ? 0 : 1);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/*
 * The seed of an image of a cut. With one image a cut, that of what was acknowledged just now is
 * the one that has nothing else, which a missing sync cannot hide from.
 */
static uint64_t choose_seed(unsigned turn, bool only_one, bool acknowledged_now)
{
    if (only_one)
        return acknowledged_now ? POWERLOSS_NOTHING_MORE : harness_random();
    return turn < 2 ? turn : harness_random();
}

/* Looks at images of all cuts, or until one is damaged; returns how many were. */
static unsigned count_damaged(unsigned *images, bool first_only)
{
    char target[600];
    char directory[620];
    struct powerloss *loss = powerloss_open("log");
    unsigned damaged = 0;
    int acknowledged = 0;
    const unsigned seeds = harness_sanitized() && harness_scale() == 1 ? 1 : SEEDS;
    snprintf(target, sizeof(target), "%s/image", harness_fast_directory(64 << 20));
    snprintf(directory, sizeof(directory), "%s/db", target);
    for (size_t cut = powerloss_first_cut(loss); cut <= powerloss_last_cut(loss); cut++) {
        const char *mark = powerloss_mark(loss, cut);
        if (mark)
            acknowledged = (int)strtol(mark, NULL, 10);
        if (!powerloss_is_event(loss, cut))
            continue;
        for (unsigned i = 0; i < seeds; i++) {
            uint64_t chosen = choose_seed(i, seeds == 1, mark != NULL);
            powerloss_build(loss, cut, chosen, target);
            ++*images;
            fault_boot((cut + i) % 2); /* a power loss is a new start; a process may die, too */
            if (image_is_whole(directory, acknowledged))
                continue;
            damaged++;
            if (!first_only)
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
            whole &= image_is_whole(directory, OPS);
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
    const unsigned seeds = harness_sanitized() && harness_scale() == 1 ? 1 : SEEDS;
    bool damaged = false;
    int acknowledged = 0;
    snprintf(target, sizeof(target), "%s/image", harness_fast_directory(64 << 20));
    for (size_t cut = powerloss_first_cut(loss); cut <= powerloss_last_cut(loss); cut++) {
        const char *mark = powerloss_mark(loss, cut);
        if (mark)
            acknowledged = (int)strtol(mark, NULL, 10);
        for (unsigned i = 0; i < seeds && !damaged; i++) {
            powerloss_build(loss, cut, choose_seed(i, seeds == 1, mark != NULL), target);
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
    record_work(NULL);
    CHECK_UINT(count_damaged(&images, false), ==, 0);
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
    record_work(pattern);
    CHECK_UINT(fault_swallowed(), >, 0);
    CHECK_UINT(count_damaged(&images, true), ==, 1);
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
