/* Opening what is missing, taken, damaged or wrong; and the poisoned state. */
#include "fixture.h"

#include "store/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static struct store_options lmdb_options(void)
{
    return fixture_options(STORE_DRIVER_LMDB);
}

/* ---- Directories ---- */

STORE_TEST(a_store_opens_and_closes,
           "A store that was opened is healthy, and closing NULL is allowed.")
{
    struct store *store = fixture_open(driver);
    struct jini_error error;
    CHECK_OK(store_health(store, &error));
    store_tick(store);
    store_close(store);
    store_close(NULL);
}

TEST(what_was_written_is_there_after_reopening, "A database that is opened again has all its keys.")
{
    for (unsigned i = 0; i < 5; i++) {
        struct store *store = fixture_open(STORE_DRIVER_LMDB);
        CHECK_UINT(fixture_number(store, 1), ==, i);
        struct fixture_number one = {STORE_SPACE_APPLICATION, 1, 1};
        CHECK_OK(store_write(store, fixture_op_add, &one));
        store_close(store);
    }
}

TEST(a_missing_database_is_not_found, "Without `create` a missing directory or file is told.")
{
    struct store_options options = lmdb_options();
    struct jini_error error;
    options.create = false;
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_NOT_FOUND);
    CHECK(mkdir("db", 0700) == 0);
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_NOT_FOUND);
    CHECK_CONTAINS(error.message, "create");
    options.create = true;
    options.directory = harness_path("no/such/parent");
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_NOT_FOUND);
}

TEST(a_file_is_no_directory, "A path that is a file, or leads through one, is invalid.")
{
    struct store_options options = lmdb_options();
    struct jini_error error;
    int fd = open("file", O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0);
    close(fd);
    options.directory = harness_path("file");
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_INVALID);
    options.directory = harness_path("file/db");
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_INVALID);
}

TEST(a_directory_that_may_not_be_written_is_told,
     "Missing rights are an error that names the path.")
{
    struct jini_error error;
    struct store_options options = lmdb_options();
    CHECK(chmod(".", 0755) == 0 && mkdir("db", 0555) == 0);
    if (geteuid() == 0 && seteuid(65534) != 0)
        harness_skip("root, and cannot become anybody else");
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_IO);
    CHECK_CONTAINS(error.message, "Permission denied");
    CHECK_CONTAINS(error.field, "db");
    options.directory = harness_path("other");
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_IO);
    CHECK(seteuid(getuid()) == 0);
}

TEST(a_second_open_in_a_process_is_refused,
     "The same directory, under whatever name, is JINI_E_LOCKED until the first handle is closed.")
{
    struct store_options options = lmdb_options();
    struct jini_error error;
    struct store *store = fixture_open_with(&options);
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_LOCKED);
    CHECK(symlink("db", "alias") == 0);
    options.directory = "./alias/";
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_LOCKED);
    options.read_only = true;
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_LOCKED);
    fixture_put(store, "a", "1"); /* the refusals took no lock away */
    struct store_process_info infos[4];
    CHECK_UINT(store_processes(store, infos, 4), ==, 1);
    store_close(store);
    store = fixture_open_with(&options);
    CHECK_TEXT(fixture_text(store, "a"), "1");
    store_close(store);
}

STORE_TEST(options_out_of_range_are_refused,
           "Each option outside its range is invalid, by its name.")
{
    const struct {
        const char *name;
        size_t offset;
        size_t bytes;
        uint64_t value;
    } rows[] = {
        {"store.map_bytes", offsetof(struct store_options, map_bytes), 8, 1000},
        {"store.map_bytes", offsetof(struct store_options, map_bytes), 8, UINT64_MAX},
        {"store.map_bytes_max", offsetof(struct store_options, map_bytes_max), 8, 1000},
        {"store.map_bytes_max", offsetof(struct store_options, map_bytes_max), 8, UINT64_MAX},
        {"store.reserve_bytes", offsetof(struct store_options, reserve_bytes), 8, UINT64_MAX},
        {"store.readers_max", offsetof(struct store_options, readers_max), 4, 0},
        {"store.readers_max", offsetof(struct store_options, readers_max), 4, 100000},
        {"store.queue_ops_max", offsetof(struct store_options, queue_ops_max), 4, 0},
        {"store.queue_bytes_max", offsetof(struct store_options, queue_bytes_max), 8, 0},
        {"store.batch_ops_max", offsetof(struct store_options, batch_ops_max), 4, 0},
        {"store.batch_bytes_max", offsetof(struct store_options, batch_bytes_max), 8, 0},
        {"store.batch_run_ms", offsetof(struct store_options, batch_run_ms), 4, 0},
        {"store.batch_run_ms", offsetof(struct store_options, batch_run_ms), 4, UINT32_MAX},
        {"store.gate_wait_ms", offsetof(struct store_options, gate_wait_ms), 4, 0},
        {"store.migrate_wait_ms", offsetof(struct store_options, migrate_wait_ms), 4, UINT32_MAX},
        {"store.sync", offsetof(struct store_options, sync), 4, 7},
        {"store.driver", offsetof(struct store_options, driver), 4, 7},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct store_options options = fixture_options(driver);
        struct jini_error error;
        memcpy((char *)&options + rows[i].offset, &rows[i].value, rows[i].bytes);
        CHECK_STATUS(fixture_refused(&options, &error), JINI_E_INVALID);
        CHECK_TEXT(error.field, rows[i].name);
    }
    struct store_options options = fixture_options(driver);
    struct jini_error error;
    options.format = NULL;
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_INVALID);
    options = fixture_options(STORE_DRIVER_LMDB);
    options.directory = "";
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_INVALID);
    options.directory = NULL;
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_INVALID);
}

TEST(the_map_is_large_by_default,
     "Without map_bytes 256 GiB of address space are reserved, 1 GiB in a build with a sanitizer, "
     "and no more than map_bytes_max; more than that is refused.")
{
    struct store_options options = lmdb_options();
    struct store_figures figures;
    struct jini_error error;
    struct store *store = fixture_open_with(&options);
    CHECK_OK(store_figures(store, &figures));
    CHECK_UINT(figures.map_bytes, ==, UINT64_C(1) << (harness_sanitized() ? 30 : 38));
    store_close(store);
    options.map_bytes_max = 64 << 20;
    store = fixture_open_with(&options);
    CHECK_OK(store_figures(store, &figures));
    CHECK_UINT(figures.map_bytes, ==, (64 << 20) - options.reserve_bytes);
    store_close(store);
    options.map_bytes = (64 << 20) + 1;
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "store.map_bytes");
    CHECK_CONTAINS(error.message, "store.map_bytes_max");
}

/* ---- Damage ---- */

/* Values on pages of their own, many small ones, and pages that are free again. */
static void make_database(uint64_t small)
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct fixture_fill some = {100, 30, 0};
    CHECK_OK(fixture_fill(store, 0, small, 200));
    CHECK_OK(fixture_fill(store, 1000000, 5, 20000));
    CHECK_OK(store_write(store, fixture_op_clear, &some));
    fixture_put(store, "last", "1");
    store_close(store);
}

static uint8_t *read_file(size_t *length)
{
    struct stat info;
    int fd = open("db/data.mdb", O_RDONLY);
    CHECK(fd >= 0 && fstat(fd, &info) == 0);
    *length = (size_t)info.st_size;
    uint8_t *bytes = malloc(*length);
    CHECK(bytes && read(fd, bytes, *length) == (ssize_t)*length);
    close(fd);
    return bytes;
}

static void write_file(const uint8_t *bytes, size_t length)
{
    int fd = open("db/data.mdb", O_WRONLY | O_TRUNC);
    CHECK(fd >= 0 && write(fd, bytes, length) == (ssize_t)length);
    close(fd);
}

/*
 * Opens, and if that succeeds reads everything and writes. Whatever the answers, nothing may crash.
 */
static int visit_anything(void *argument, struct slice key, struct slice value)
{
    *(uint64_t *)argument += key.length + value.length;
    return 0;
}

static unsigned named_ends;

/* An end of the file that a message names is the one that it has. */
static void check_named_end(const char *message)
{
    static const char words[] = "the data file ends at byte ";
    const char *named = strstr(message, words);
    struct stat info;
    CHECK(stat("db/data.mdb", &info) == 0);
    named_ends += named != NULL;
    if (named)
        CHECK_INT(strtoll(named + sizeof(words) - 1, NULL, 10), ==, info.st_size);
}

static int use_database(void)
{
    struct store_options options = lmdb_options();
    struct store *store;
    struct jini_error error;
    uint64_t sum = 0;
    options.create = false;
    options.run_twice = false;
    int status = store_open(&options, &store, &error);
    if (status) {
        CHECK(error.message[0] != '\0');
        check_named_end(error.message);
        return status;
    }
    for (int space = 0; space < STORE_SPACES; space++)
        (void)store_each(store, (enum store_space)space, slice_of(NULL, 0), slice_of(NULL, 0),
                         visit_anything, &sum);
    for (uint64_t i = 0; i < 20; i++)
        (void)fixture_fill(store, harness_random_below(300), 1, 100);
    store_close(store);
    return 0;
}

TEST(a_cut_file_is_told,
     "A data file cut at any length is JINI_E_CORRUPT, in a small database and in a large one, and "
     "the message has its length.")
{
    named_ends = 0;
    for (int large = 0; large < 2; large++) {
        (void)unlink("db/data.mdb");
        make_database(large ? 20000 : 500);
        size_t length;
        uint8_t *bytes = read_file(&length);
        size_t cuts[] = {
            0,    1,     100,        4095,       4096,           4097,       8191,          8192,
            8193, 12288, length / 4, length / 3, length / 2 + 1, length / 2, length - 70000};
        for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
            write_file(bytes, cuts[i]);
            CHECK_STATUS(use_database(), JINI_E_CORRUPT);
        }
        for (int i = 0; i < 20; i++) {
            write_file(bytes, harness_random_below(length - 70000));
            CHECK_STATUS(use_database(), JINI_E_CORRUPT);
        }
        write_file(bytes, length);
        CHECK_OK(use_database());
        free(bytes);
    }
    CHECK_UINT(named_ends, >, 20); /* the shortest have no pages, of which an end could be told */
}

TEST(a_file_of_garbage_is_told, "A data file of random bytes, zeros or text is refused.")
{
    uint8_t bytes[40000];
    make_database(10);
    for (int i = 0; i < 20; i++) {
        for (size_t k = 0; k < sizeof(bytes); k++)
            bytes[k] = i == 0 ? 0 : i == 1 ? 'a' : (uint8_t)harness_random();
        write_file(bytes, sizeof(bytes));
        CHECK_STATUS(use_database(), JINI_E_CORRUPT);
    }
}

TEST(a_page_of_garbage_is_told,
     "In a small database, any page overwritten by garbage is refused, or was not in use.")
{
    make_database(500);
    size_t length;
    uint8_t *good = read_file(&length);
    uint8_t *bad = malloc(length);
    unsigned refused = 0;
    for (size_t page = 0; page < length / 4096; page++) {
        memcpy(bad, good, length);
        for (size_t k = 0; k < 4096; k++)
            bad[page * 4096 + k] = (uint8_t)harness_random();
        write_file(bad, length);
        int status = use_database();
        CHECK(status == 0 || status == JINI_E_CORRUPT);
        refused += status != 0;
    }
    CHECK_UINT(refused, >=, 30);
    free(good);
    free(bad);
}

TEST(a_changed_byte_crashes_nothing,
     "With single bytes changed anywhere, opening, reading all and writing give answers, no crash.")
{
    CHECK(symlink(harness_fast_directory(64 << 20), "db") == 0);
    make_database(300);
    size_t length;
    uint8_t *good = read_file(&length);
    uint8_t *bad = malloc(length);
    unsigned rounds = (harness_sanitized() ? 40 : 400) * harness_scale();
    for (unsigned i = 0; i < rounds; i++) {
        memcpy(bad, good, length);
        for (uint64_t k = 1 + harness_random_below(3); k > 0; k--) {
            /* Mostly at the beginnings of pages, where the structure is. */
            size_t at = harness_random_below(4)
                            ? harness_random_below(length / 4096) * 4096 + harness_random_below(128)
                            : harness_random_below(length);
            bad[at] = (uint8_t)harness_random();
        }
        write_file(bad, length);
        (void)use_database();
    }
    free(good);
    free(bad);
}

enum { PAGE = 4096, CHILDREN = 150 };

/* A page, `number`, whose nodes all have the same data, or lead to the same page. */
static void make_page(uint8_t *page, uint64_t number, bool leaf, uint64_t target)
{
    size_t data = leaf ? 8 : 0;
    size_t at = PAGE;
    memset(page, 0, PAGE);
    store_le64(page, number);
    store_le16(page + 10, leaf ? 2 : 1);
    store_le16(page + 12, 16 + 2 * CHILDREN);
    for (unsigned i = 0; i < CHILDREN; i++) {
        at -= 8 + 2 + data;
        store_le16(page + 16 + 2 * i, (uint16_t)at);
        store_le16(page + at, leaf ? 100 : (uint16_t)target); /* bytes of the value, or the child */
        store_le16(page + at + 4, leaf ? 1 : 0);              /* the value is on another page */
        store_le16(page + at + 6, 2);
        page[at + 8] = (uint8_t)(i >> 8);
        page[at + 9] = (uint8_t)i;
        if (leaf)
            store_le64(page + at + 10, target);
    }
    store_le16(page + 14, (uint16_t)at);
}

static size_t newest_meta(const uint8_t *file)
{
    uint64_t transactions[] = {load_le64(file + 16 + 128), load_le64(file + PAGE + 16 + 128)};
    return 16 + (transactions[1] > transactions[0] ? PAGE : 0);
}

/* Puts a page that is in use into the first list of free pages, in the place of a neighbour. */
static void free_page(uint8_t *bytes, uint64_t in_use)
{
    uint8_t *page = bytes + load_le64(bytes + newest_meta(bytes) + 24 + 40) * PAGE;
    uint8_t *list = page + load_le16(page + 16) + 8 + 8; /* a count, then pages from above */
    uint64_t count = load_le64(list);
    uint64_t place = 1;
    CHECK_UINT(count, >, 0);
    CHECK_UINT(load_le16(page + 10), ==, 2);
    while (place < count && load_le64(list + 8 * place) > in_use)
        place++;
    store_le64(list + 8 * place, in_use);
}

/* The page of the root of a space. */
static uint8_t *root_of(uint8_t *bytes, const char *space)
{
    uint8_t *spaces = bytes + load_le64(bytes + newest_meta(bytes) + 24 + 48 + 40) * PAGE;
    uint8_t *name = memmem(spaces, PAGE, space, strlen(space));
    CHECK(name != NULL);
    return bytes + load_le64(name + strlen(space) + 40) * PAGE;
}

TEST(a_page_that_is_free_and_in_use_is_told,
     "A list of free pages with one that is in use is damage: LMDB would end the process that "
     "writes.")
{
    make_database(300);
    size_t length;
    uint8_t *bytes = read_file(&length);
    free_page(bytes, load_le64(bytes + newest_meta(bytes) + 24 + 48 + 40)); /* of all spaces */
    write_file(bytes, length);
    CHECK_STATUS(use_database(), JINI_E_CORRUPT);
    free(bytes);
}

TEST(verify_finds_a_free_page_of_a_space,
     "A page below the root of a space of a large file that is free, too, passes the check at open "
     "and not store_verify().")
{
    struct store_options options = lmdb_options();
    struct store *store;
    struct jini_error error;
    make_database(20000);
    size_t length;
    uint8_t *bytes = read_file(&length);
    uint8_t *root = root_of(bytes, "application");
    uint8_t *node = root + load_le16(root + 16); /* its first: the number of the page below */
    CHECK_UINT(load_le16(root + 10), ==, 1);
    free_page(bytes, load_le16(node) | (uint64_t)load_le16(node + 2) << 16);
    write_file(bytes, length);
    CHECK_OK(store_open(&options, &store, &error));
    CHECK_STATUS(store_verify(store, NULL, &error), JINI_E_CORRUPT);
    CHECK_CONTAINS(error.message, "more than once");
    store_close(store);
    free(bytes);
}

TEST(verify_finds_a_page_of_two_spaces,
     "A leaf of a large space that is another space's as well passes the check at open and not "
     "store_verify().")
{
    struct store_options options = lmdb_options();
    struct store *store;
    struct jini_error error;
    make_database(20000);
    size_t length;
    uint8_t *bytes = read_file(&length);
    uint8_t *page = root_of(bytes, "application");
    uint8_t *node = NULL;
    while (load_le16(page + 10) == 1) {
        node = page + load_le16(page + 16);
        page = bytes + (load_le16(node) | (uint64_t)load_le16(node + 2) << 16) * PAGE;
    }
    CHECK(node != NULL);
    uint64_t other = load_le64(root_of(bytes, "meta"));
    store_le16(node, (uint16_t)other);
    store_le16(node + 2, (uint16_t)(other >> 16));
    write_file(bytes, length);
    CHECK_OK(store_open(&options, &store, &error));
    CHECK_STATUS(store_verify(store, NULL, &error), JINI_E_CORRUPT);
    CHECK_CONTAINS(error.message, "more than once");
    store_close(store);
    free(bytes);
}

/* Two values of two pages each, one behind the other. */
static int op_put_long(struct store_txn *txn, void *argument)
{
    (void)argument;
    static uint8_t value[5000];
    memset(value, 0x5a, sizeof(value));
    int status = store_put(txn, STORE_SPACE_APPLICATION, slice_of_text("long"),
                           slice_of(value, sizeof(value)));
    return status ? status
                  : store_put(txn, STORE_SPACE_APPLICATION, slice_of_text("long too"),
                              slice_of(value, sizeof(value)));
}

TEST(a_value_with_pages_of_others_is_told,
     "A value whose first page claims pages behind its own is damage: LMDB would free them with "
     "it.")
{
    make_database(300);
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    CHECK_OK(store_write(store, op_put_long, NULL));
    store_close(store);
    CHECK_OK(use_database());
    size_t length;
    uint8_t *bytes = read_file(&length);
    uint64_t claimed = 0;
    for (uint64_t page = 2; page + 2 < length / PAGE && claimed == 0; page++) {
        uint8_t *header = bytes + page * PAGE;
        if (load_le64(header) == page && load_le16(header + 10) == 4 &&
            load_le64(header + 2 * PAGE) == page + 2)
            store_le32(header + 12, (uint32_t)(claimed = load_le32(header + 12) + 1));
    }
    CHECK_UINT(claimed, ==, 3);
    write_file(bytes, length);
    CHECK_STATUS(use_database(), JINI_E_CORRUPT);
    free(bytes);
}

/*
 * Gives a space a tree of `depth` pages behind the end of the file: one branch below the other, all
 * children of each the same page, down to a leaf whose values are all on one page.
 */
static uint8_t *make_bomb(const uint8_t *good, size_t *length, unsigned depth)
{
    size_t meta = newest_meta(good);
    uint64_t first = load_le64(good + meta + 120) + 1;
    size_t size = (first + depth + 1) * PAGE;
    uint8_t *bytes = calloc(1, size);
    CHECK(bytes != NULL);
    memcpy(bytes, good, *length < first * PAGE ? *length : first * PAGE);
    uint8_t *root = bytes + load_le64(bytes + meta + 24 + 48 + 40) * PAGE;
    uint8_t *name = memmem(root, PAGE, "user_keys", 9);
    CHECK(name != NULL);
    store_le16(name + 9 + 6, (uint16_t)depth);
    store_le64(name + 9 + 40, first);
    for (unsigned i = 0; i < depth; i++)
        make_page(bytes + (first + i) * PAGE, first + i, i + 1 == depth, first + i + 1);
    uint8_t *value = bytes + (first + depth) * PAGE;
    store_le64(value, first + depth);
    store_le16(value + 10, 4);
    store_le32(value + 12, 1);
    store_le64(bytes + meta + 120, first + depth);
    *length = size;
    return bytes;
}

TEST(a_page_that_many_refer_to_ends_the_check,
     "A small file in which pages, or values of a leaf, name the same page again and again is "
     "damaged, and told so at once, also where following them all would take years.")
{
    make_database(10);
    size_t length;
    uint8_t *good = read_file(&length);
    for (unsigned depth = 1; depth <= 9; depth += 2) {
        size_t size = length;
        uint8_t *bomb = make_bomb(good, &size, depth);
        CHECK_UINT(size, <, 256 * PAGE);
        write_file(bomb, size);
        CHECK_STATUS(use_database(), JINI_E_CORRUPT);
        free(bomb);
    }
    free(good);
}

TEST(a_foreign_database_is_refused,
     "A data file that LMDB knows but Jini does not is JINI_E_FORMAT.")
{
    static const char *const names[] = {
#define SPACE_NAME(name, number, text) text,
        STORE_SPACE_MAP(SPACE_NAME)
#undef SPACE_NAME
    };
    store_close(fixture_open(STORE_DRIVER_LMDB));
    size_t length;
    uint8_t *bytes = read_file(&length);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t size = strlen(names[i]);
        for (size_t at = 0; at + size <= length; at++) {
            if (memcmp(bytes + at, names[i], size) == 0)
                bytes[at + size - 1] = '~'; /* keeps the names in order */
        }
    }
    write_file(bytes, length);
    free(bytes);
    CHECK_STATUS(use_database(), JINI_E_FORMAT);
}

TEST(verify_finds_damage_in_a_large_database,
     "store_verify() reads every page: it passes a sound database and names a damaged page.")
{
    struct jini_error error;
    make_database(20000);
    struct store_options options = lmdb_options();
    struct store *store = fixture_open_with(&options);
    CHECK_OK(store_verify(store, NULL, &error));
    CHECK_INT(error.code, ==, 0);
    size_t length;
    uint8_t *bytes = read_file(&length);
    store_close(store);
    unsigned found = 0;
    unsigned rounds = (harness_sanitized() ? 6 : 20) * harness_scale();
    for (unsigned i = 0; i < rounds; i++) {
        uint8_t *bad = malloc(length);
        memcpy(bad, bytes, length);
        size_t page = 300 + harness_random_below(length / 4096 - 300);
        memset(bad + page * 4096 + 8, 0xff, 64);
        write_file(bad, length);
        free(bad);
        store = NULL;
        if (store_open(&options, &store, &error) == 0 && store_verify(store, NULL, &error) != 0) {
            CHECK_INT(error.code, ==, JINI_E_CORRUPT);
            CHECK_CONTAINS(error.message, "page ");
            found++;
        }
        store_close(store);
    }
    CHECK_UINT(found, >=, rounds / 2);
    free(bytes);
}

/* ---- Poison ---- */

STORE_TEST(a_poisoned_store_only_closes,
           "After store_poison() everything answers JINI_E_POISONED and the reason is told.")
{
    struct store *store = fixture_open(driver);
    struct store_txn *txn;
    struct jini_error error;
    struct fixture_pair pair = fixture_pair("a", "1");
    struct fixture_write write;
    struct fixture_blocker blocker;
    struct store_figures figures;
    fixture_block(store, &blocker);
    fixture_prepare(&write, fixture_op_put, &pair);
    CHECK_OK(store_submit(store, &write.write));
    store_poison(store, "the moon fell down");
    store_poison(store, "another reason");
    atomic_store(&blocker.released, true);
    CHECK_STATUS(fixture_wait(&write), JINI_E_POISONED); /* it was queued */
    CHECK_STATUS(store_health(store, &error), JINI_E_POISONED);
    CHECK_CONTAINS(error.message, "the moon fell down");
    CHECK_STATUS(store_write(store, fixture_op_put, &pair), JINI_E_POISONED);
    CHECK_STATUS(store_submit(store, &write.write), JINI_E_POISONED);
    CHECK_STATUS(store_read_begin(store, &txn), JINI_E_POISONED);
    CHECK_STATUS(store_figures(store, &figures), JINI_E_POISONED);
    CHECK_STATUS(store_copy(store, "copy", STORE_COPY_PLAIN, &error), JINI_E_POISONED);
    store_tick(store);
    store_close(store);
}
