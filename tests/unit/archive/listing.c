/* Conformance of drivers: listings. */
#include "conformance.h"

static void put_names(struct archive *archive, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CHECK_OK(test_put_text(archive, names[i], names[i]));
}

static const char *const tree[] = {"b",
                                   "a-b",
                                   "a/b",
                                   "a0",
                                   "a/b0",
                                   "a/c/d",
                                   "a/c-d",
                                   "a/c0",
                                   "a/bb/x",
                                   "\xc3\xa9",
                                   "z",
                                   "B",
                                   "a/c/d0",
                                   "a!",
                                   "packs/2026/x",
                                   "packs/2025/x",
                                   "packs/2025-x",
                                   "packs/20250"};
enum { TREE = sizeof(tree) / sizeof(tree[0]) };

static const char tree_in_order[] =
    "B a! a-b a/b a/b0 a/bb/x a/c-d a/c/d a/c/d0 a/c0 a0 b packs/2025-x packs/2025/x packs/20250 "
    "packs/2026/x z \xc3\xa9";

CONFORMS(list_is_in_byte_order,
         "Names come in the order of their bytes, whatever '/' means to the store.")
{
    put_names(archive, tree, TREE);
    CHECK_TEXT(test_list(archive, "")->text, tree_in_order);
}

CONFORMS(list_keeps_to_the_prefix,
         "Only names that begin with the prefix are listed, wherever the prefix ends.")
{
    put_names(archive, tree, TREE);
    CHECK_TEXT(test_list(archive, "a/c")->text, "a/c-d a/c/d a/c/d0 a/c0");
    CHECK_TEXT(test_list(archive, "a/c/")->text, "a/c/d a/c/d0");
    CHECK_TEXT(test_list(archive, "a/c/d")->text, "a/c/d a/c/d0");
    CHECK_TEXT(test_list(archive, "packs/2025")->text, "packs/2025-x packs/2025/x packs/20250");
    CHECK_TEXT(test_list(archive, "packs/2026/x")->text, "packs/2026/x");
    CHECK_TEXT(test_list(archive, "packs/2026/x/")->text, "");
    CHECK_TEXT(test_list(archive, "q")->text, "");
    CHECK_TEXT(test_list(archive, "B")->text, "B");
}

CONFORMS(list_of_nothing_is_empty, "An archive without objects lists none, and there is no more.")
{
    struct archive_request request = {
        .operation = ARCHIVE_LIST, .user = NULL, .list = {.entry = collect_name, .entries_max = 1}};
    CHECK_OK(archive_run(archive, &request, NULL));
    CHECK_UINT(request.entries, ==, 0);
    CHECK(!request.more);
}

CONFORMS(pages_join_to_the_list,
         "Pages of any size give every name once, in order, and end exactly.")
{
    put_names(archive, tree, TREE);
    for (uint32_t page = 1; page <= TREE + 1; page++) {
        static struct test_names names;
        struct archive_name cursor = {.length = 0};
        struct archive_request request = {
            .operation = ARCHIVE_LIST,
            .user = &names,
            .list = {.entry = collect_name, .entries_max = page, .cursor = &cursor}};
        unsigned pages = 0;
        memset(&names, 0, sizeof(names));
        do {
            CHECK_OK(archive_run(archive, &request, NULL));
            CHECK_UINT(request.entries, <=, page);
            pages++;
        } while (request.more);
        CHECK_TEXT(names.text, tree_in_order);
        CHECK_UINT(pages, ==, (TREE + page - 1) / page);
        CHECK_TEXT(cursor.text, "\xc3\xa9");
    }
}

CONFORMS(cursor_need_not_exist,
         "A page begins after its cursor, also when there is no such object any more.")
{
    static struct test_names names;
    struct archive_name cursor;
    put_names(archive, tree, TREE);
    CHECK_OK(test_delete(archive, "a/c/d"));
    archive_name_set(&cursor, slice_of_text("a/c/d"));
    struct archive_request request = {
        .operation = ARCHIVE_LIST,
        .user = &names,
        .list = {.entry = collect_name, .entries_max = 3, .cursor = &cursor}};
    CHECK_OK(archive_run(archive, &request, NULL));
    CHECK_TEXT(names.text, "a/c/d0 a/c0 a0");
    CHECK_TEXT(cursor.text, "a0");
    memset(&names, 0, sizeof(names));
    archive_name_set(&cursor, slice_of_text("\xf0\x9f\x98\x80"));
    CHECK_OK(archive_run(archive, &request, NULL));
    CHECK_UINT(names.count, ==, 0);
    memset(&names, 0, sizeof(names));
    archive_name_set(&cursor, slice_of_text("A"));
    request.name = slice_of_text("packs/");
    CHECK_OK(archive_run(archive, &request, NULL));
    CHECK_TEXT(names.text, "packs/2025-x packs/2025/x packs/20250");
}

enum { MANY = 1300, WINDOW = 26 };

/* Puts the objects of `many/`, several at a time, not in the order of their names. */
static void put_many(void)
{
    static struct archive_request requests[WINDOW];
    static struct archive_extent extents[WINDOW];
    static char names[WINDOW][64];
    struct archive_options options = test_options(ARCHIVE_OPEN_EXISTING);
    struct archive *archive = NULL;
    options.threads = 4;
    CHECK_OK(archive_open(subject_url, &options, &archive, NULL));
    for (unsigned begin = 0; begin < MANY; begin += WINDOW) {
        for (unsigned w = 0; w < WINDOW; w++) {
            unsigned i = begin + w;
            snprintf(names[w], sizeof(names[w]), i % 100 == 3 ? "many/%05u/x" : "many/%05u",
                     i * 7919 % MANY);
            extents[w] = archive_memory(names[w], i % 7);
            requests[w] = (struct archive_request){
                .operation = ARCHIVE_PUT, .name = slice_of_text(names[w]), .put = {&extents[w], 1}};
            CHECK_OK(archive_submit(archive, &requests[w]));
        }
        for (unsigned w = 0; w < WINDOW; w++)
            CHECK_OK(archive_wait(archive, &requests[w]));
    }
    archive_close(archive);
}

CONFORMS(long_lists_stay_in_order,
         "A directory of more entries than fit a page, or memory at once, lists whole.")
{
    put_many();
    struct order order = {.count = 0};
    CHECK_OK(test_walk(archive, slice_of_text("many/"), check_order, &order, NULL));
    CHECK_UINT(order.count, ==, MANY);
    memset(&order, 0, sizeof(order));
    CHECK_OK(test_walk(archive, slice_of_text("many/000"), check_order, &order, NULL));
    CHECK_UINT(order.count, ==, 100);
}

static int check_entry(struct archive_request *request, const struct archive_entry *entry)
{
    uint64_t now_ms = clock_wall_ns(&clock_system) / NS_PER_MS;
    CHECK_UINT(entry->size, ==, entry->name.length);
    CHECK_UINT(entry->modified_ms, <=, now_ms + 2000);
    CHECK_UINT(entry->modified_ms + 600000, >=, now_ms);
    ++*(unsigned *)request->user;
    return 0;
}

CONFORMS(entries_carry_size_and_time, "A listing gives the size and the time of each object.")
{
    unsigned count = 0;
    put_names(archive, tree, TREE);
    CHECK_OK(test_walk(archive, slice_of(NULL, 0), check_entry, &count, NULL));
    CHECK_UINT(count, ==, TREE);
}

static int stop_at_third(struct archive_request *request, const struct archive_entry *entry)
{
    (void)entry;
    return ++*(unsigned *)request->user == 3 ? JINI_E_LIMITED : 0;
}

CONFORMS(entry_function_ends_the_list,
         "A status from the entry function ends the LIST, and the cursor stays before that entry.")
{
    unsigned count = 0;
    struct archive_name cursor = {.length = 0};
    put_names(archive, tree, TREE);
    struct archive_request request = {
        .operation = ARCHIVE_LIST,
        .user = &count,
        .list = {.entry = stop_at_third, .entries_max = 10, .cursor = &cursor}};
    CHECK_STATUS(archive_run(archive, &request, NULL), JINI_E_LIMITED);
    CHECK_TEXT(cursor.text, "a!");
    CHECK_UINT(request.entries, ==, 2);
}

CONFORMS(malformed_lists_are_refused,
         "A LIST without a taker, of too many entries or behind a bad cursor is refused.")
{
    struct archive_name cursor = {.length = 2, .text = ".."};
    struct archive_request request = {.operation = ARCHIVE_LIST, .list = {.entries_max = 1}};
    CHECK_STATUS(archive_run(archive, &request, NULL), JINI_E_INVALID);
    request.list.entry = collect_name;
    request.list.entries_max = 0;
    CHECK_STATUS(archive_run(archive, &request, NULL), JINI_E_INVALID);
    request.list.entries_max = ARCHIVE_PAGE_MAX + 1;
    CHECK_STATUS(archive_run(archive, &request, NULL), JINI_E_INVALID);
    request.list.entries_max = 1;
    request.list.cursor = &cursor;
    CHECK_STATUS(archive_run(archive, &request, NULL), JINI_E_INVALID);
    request.operation = (enum archive_operation)99;
    CHECK_STATUS(archive_run(archive, &request, NULL), JINI_E_INVALID);
}
