/* Options from code, files and the environment; what jini_open() makes of them. */
#include "engine_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

static struct jini_options options;
static struct jini_error error;

static const char *write_file(const char *text, size_t length)
{
    const char *path = harness_path("options.conf");
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    CHECK_UINT(fwrite(text, 1, length, file), ==, length);
    CHECK_INT(fclose(file), ==, 0);
    return path;
}

static int load(const char *text)
{
    jini_options_init(&options);
    return jini_options_load(&options, write_file(text, strlen(text)), &error);
}

static int set(const char *name, const char *value)
{
    int status = jini_options_set(&options, name, value, &error);
    CHECK_INT(error.code, ==, status);
    if (status) {
        CHECK_STATUS(status, JINI_E_INVALID);
        CHECK_TEXT(error.field, name);
        CHECK(error.message[0] != '\0');
    }
    return status;
}

TEST(each_kind_is_set_from_code, "Numbers, switches, choices and texts are read from text.")
{
    jini_options_init(&options);
    CHECK_OK(set("store.sync", "none"));
    CHECK_UINT(options.store_sync, ==, JINI_SYNC_NONE);
    CHECK_OK(set("background.run", "no"));
    CHECK_UINT(options.background_run, ==, 0);
    CHECK_OK(set("background.run", "yes"));
    CHECK_UINT(options.background_run, ==, 1);
    CHECK_OK(set("cpu.threads", "007"));
    CHECK_UINT(options.cpu_threads, ==, 7);
    CHECK_OK(set("anonymous.tier", "Grüße"));
    CHECK_TEXT(options.anonymous_tier, "Grüße");
    CHECK_OK(set("archive.url", ""));
    CHECK_TEXT(options.archive_url, "");
}

TEST(bytes_take_units, "KiB, MiB, GiB and TiB multiply by powers of 1024; other words are refused.")
{
    jini_options_init(&options);
    CHECK_OK(set("store.map_bytes", "64KiB"));
    CHECK_UINT(options.store_map_bytes, ==, JINI_KIB(64));
    CHECK_OK(set("store.map_bytes", "64MiB"));
    CHECK_UINT(options.store_map_bytes, ==, JINI_MIB(64));
    CHECK_OK(set("store.map_bytes", "3GiB"));
    CHECK_UINT(options.store_map_bytes, ==, JINI_GIB(3));
    CHECK_OK(set("store.map_bytes", "64TiB"));
    CHECK_UINT(options.store_map_bytes, ==, JINI_GIB(65536));
    static const char *const wrong[] = {"64MB", "64 MiB", "64mib", "64M", "MiB", "6.5MiB", "0x40"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK_STATUS(set("store.map_bytes", wrong[i]), JINI_E_INVALID);
        CHECK_CONTAINS(error.message, wrong[i]);
        CHECK_UINT(options.store_map_bytes, ==, JINI_GIB(65536));
    }
}

TEST(no_number_overflows,
     "Numbers beyond 64 bits, negative ones, signs, blanks and nothing are refused.")
{
    jini_options_init(&options);
    uint64_t before = options.store_map_bytes;
    static const char *const wrong[] = {"18446744073709551616",
                                        "18446744073709551615KiB",
                                        "16777216TiB",
                                        "16777217TiB",
                                        "99999999999999999999999999",
                                        "-1",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "",
                                        "one"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK_STATUS(set("store.map_bytes", wrong[i]), JINI_E_INVALID);
        CHECK_UINT(options.store_map_bytes, ==, before);
    }
}

TEST(the_ends_of_every_range_are_taken,
     "Each number takes its least and its most, and refuses one less and one more.")
{
    const struct jini_option_info *info;
    char text[32];
    jini_options_init(&options);
    for (size_t i = 0; (info = jini_options_info(i)) != NULL; i++) {
        if (strcmp(info->kind, "number") != 0)
            continue;
        snprintf(text, sizeof(text), "%" PRIu64, info->least);
        CHECK_OK(set(info->name, text));
        snprintf(text, sizeof(text), "%" PRIu64, info->most);
        CHECK_OK(set(info->name, text));
        snprintf(text, sizeof(text), "%" PRIu64, info->most + 1);
        CHECK_STATUS(set(info->name, text), JINI_E_INVALID);
        if (info->least > 0) {
            snprintf(text, sizeof(text), "%" PRIu64, info->least - 1);
            CHECK_STATUS(set(info->name, text), JINI_E_INVALID);
        }
    }
}

TEST(words_are_taken_whole,
     "A choice or switch takes one of its words and no part or list of them.")
{
    static const char *const wrong[] = {"", "ful", "fulll", "FULL", "full|meta", "|", "1"};
    jini_options_init(&options);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK_STATUS(set("store.sync", wrong[i]), JINI_E_INVALID);
        CHECK_CONTAINS(error.message, "full|meta|none");
        CHECK_STATUS(set("background.run", wrong[i]), JINI_E_INVALID);
    }
    CHECK_UINT(options.store_sync, ==, JINI_SYNC_FULL);
    CHECK_UINT(options.background_run, ==, 1);
}

TEST(texts_have_a_bound, "A text takes 511 bytes of UTF-8; a longer or broken one changes nothing.")
{
    char text[JINI_OPTION_TEXT_MAX + 1];
    memset(text, 'x', sizeof(text));
    text[JINI_OPTION_TEXT_MAX - 1] = '\0';
    jini_options_init(&options);
    CHECK_OK(set("archive.url", text));
    CHECK_TEXT(options.archive_url, text);
    text[JINI_OPTION_TEXT_MAX - 1] = 'x';
    text[JINI_OPTION_TEXT_MAX] = '\0';
    CHECK_STATUS(set("archive.url", text), JINI_E_INVALID);
    CHECK_STATUS(set("archive.url", "dir:\xff"), JINI_E_INVALID);
    CHECK_UINT(strlen(options.archive_url), ==, JINI_OPTION_TEXT_MAX - 1);
}

TEST(an_unknown_name_is_answered_with_the_nearest,
     "A misspelt option is refused with the name that was meant; one like nothing without a guess.")
{
    jini_options_init(&options);
    CHECK_STATUS(set("store.sink", "full"), JINI_E_INVALID);
    CHECK_CONTAINS(error.message, "did you mean store.sync?");
    CHECK_STATUS(set("cpu.thread", "2"), JINI_E_INVALID);
    CHECK_CONTAINS(error.message, "did you mean cpu.threads?");
    CHECK_STATUS(set("completely.different.thing", "2"), JINI_E_INVALID);
    CHECK(!strstr(error.message, "did you mean"));
    CHECK_STATUS(set("", "2"), JINI_E_INVALID);
    char name[8192];
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    CHECK_STATUS(jini_options_set(&options, name, "2", &error), JINI_E_INVALID);
    CHECK(memchr(error.message, '\0', sizeof(error.message)) != NULL);
}

TEST(a_file_is_read_line_by_line,
     "Comments, empty lines, blanks around names and values, CRLF and a last line without end.")
{
    CHECK_OK(load("# a comment\n\n  \t\n   # another, indented\nstore.sync = meta\r\n"
                  "\tcpu.threads\t=\t3  \r\n\r\nbackground.run=no\narchive.url = dir:a = b # c\n"
                  "cpu.threads = 4"));
    CHECK_UINT(options.store_sync, ==, JINI_SYNC_META);
    CHECK_UINT(options.cpu_threads, ==, 4);
    CHECK_UINT(options.background_run, ==, 0);
    CHECK_TEXT(options.archive_url, "dir:a = b # c");
    CHECK_OK(load(""));
    CHECK_OK(load("\n"));
}

TEST(a_bad_line_is_named,
     "What stood before a wrong line is set, the line is named, and what follows is not set.")
{
    CHECK_STATUS(load("cpu.threads = 3\n\n# x\nstore.sync = maybe\npassword.threads = 9\n"),
                 JINI_E_INVALID);
    CHECK_TEXT(error.field, "store.sync");
    CHECK_CONTAINS(error.message, "line 4");
    CHECK_CONTAINS(error.message, "maybe");
    CHECK_UINT(options.cpu_threads, ==, 3);
    CHECK_UINT(options.password_threads, ==, 1);
    CHECK_STATUS(load("cpu.threads 3\n"), JINI_E_INVALID);
    CHECK_CONTAINS(error.message, "line 1");
    CHECK_STATUS(load("\r\n= 3\n"), JINI_E_INVALID);
    CHECK_CONTAINS(error.message, "line 2");
    CHECK_STATUS(load("\xef\xbb\xbf"
                      "cpu.threads = 3\n"),
                 JINI_E_INVALID);
    CHECK_CONTAINS(error.message, "line 1");
}

TEST(files_that_are_no_text_are_refused,
     "Bytes that are not UTF-8 and NUL bytes are errors, never the end of the options.")
{
    static const char nul[] = "cpu.threads = 3\n\0password.threads = 9\n";
    CHECK_STATUS(load("cpu.threads = 3\n# \xc3\x28\n"), JINI_E_INVALID);
    CHECK_UINT(options.cpu_threads, ==, 0);
    jini_options_init(&options);
    CHECK_STATUS(jini_options_load(&options, write_file(nul, sizeof(nul) - 1), &error),
                 JINI_E_INVALID);
    CHECK_UINT(options.cpu_threads, ==, 0);
}

TEST(a_file_has_a_bound, "64 KiB of options are read; one byte more is JINI_E_TOO_BIG.")
{
    enum { MOST = 64 * 1024 };
    static char text[MOST + 1];
    memset(text, '#', sizeof(text));
    jini_options_init(&options);
    CHECK_OK(jini_options_load(&options, write_file(text, MOST), &error));
    CHECK_STATUS(jini_options_load(&options, write_file(text, MOST + 1), &error), JINI_E_TOO_BIG);
    CHECK(error.message[0] != '\0');
}

TEST(a_missing_file_changes_nothing, "No file is JINI_E_NOT_FOUND; a folder is an error too.")
{
    struct jini_options before;
    jini_options_init(&before);
    jini_options_init(&options);
    CHECK_STATUS(jini_options_load(&options, harness_path("nothing.conf"), &error),
                 JINI_E_NOT_FOUND);
    CHECK(jini_options_load(&options, harness_directory(), &error) < 0);
    CHECK_BYTES(&options, &before, sizeof(before));
}

TEST(reading_without_memory_fails_cleanly, "A failing allocation is an error that changes nothing.")
{
    const char *path = write_file("cpu.threads = 3\n", 16);
    jini_options_init(&options);
    harness_fail_allocation(1);
    CHECK_STATUS(jini_options_load(&options, path, &error), JINI_E_NO_MEMORY);
    CHECK(harness_allocation_failed());
    harness_fail_allocation(0);
    CHECK_UINT(options.cpu_threads, ==, 0);
}

TEST(the_environment_sets_options,
     "Each option has a variable; a wrong value names option and variable; others are not touched.")
{
    const struct jini_option_info *info;
    jini_options_init(&options);
    CHECK_INT(setenv("JINI_STORE_SYNC", "meta", 1), ==, 0);
    CHECK_INT(setenv("JINI_STORE_MAP_BYTES", "64MiB", 1), ==, 0);
    CHECK_INT(setenv("JINI_NO_SUCH_OPTION", "1", 1), ==, 0);
    CHECK_OK(jini_options_environment(&options, &error));
    CHECK_UINT(options.store_sync, ==, JINI_SYNC_META);
    CHECK_UINT(options.store_map_bytes, ==, JINI_MIB(64));
    for (size_t i = 0; (info = jini_options_info(i)) != NULL; i++) {
        char name[96] = "JINI_";
        for (size_t c = 0; info->name[c]; c++)
            name[5 + c] = info->name[c] == '.'   ? '_'
                          : info->name[c] == '_' ? '_'
                                                 : (char)(info->name[c] - 'a' + 'A');
        CHECK_INT(setenv(name, "\xff", 1), ==, 0);
        CHECK_STATUS(jini_options_environment(&options, &error), JINI_E_INVALID);
        CHECK_TEXT(error.field, info->name);
        CHECK_CONTAINS(error.message, name);
        CHECK_INT(unsetenv(name), ==, 0);
    }
    CHECK_OK(jini_options_environment(&options, &error));
}

TEST(the_table_covers_the_struct, "Every row has name, kind, text and its default in the struct.")
{
#define OFFSET(member, ...) offsetof(struct jini_options, member),
    static const size_t offsets[] = {JINI_OPTION_MAP(OFFSET, OFFSET, OFFSET, OFFSET)};
#undef OFFSET
    const struct jini_option_info *info;
    size_t count = 0;
    jini_options_init(&options);
    for (; (info = jini_options_info(count)) != NULL; count++) {
        CHECK_UINT(count, <, sizeof(offsets) / sizeof(offsets[0]));
        const char *member = (const char *)&options + offsets[count];
        CHECK(info->name[0] != '\0' && info->text[0] != '\0' && strchr(info->name, '.'));
        if (strcmp(info->kind, "text") == 0) {
            CHECK_TEXT(member, info->default_text);
            continue;
        }
        CHECK_BYTES(member, &info->default_number, sizeof(uint64_t));
        CHECK(info->default_text == NULL);
        if (strcmp(info->kind, "number") == 0) {
            CHECK(info->choices == NULL);
            CHECK_UINT(info->default_number, >=, info->least);
            CHECK_UINT(info->default_number, <=, info->most);
        } else {
            CHECK(strcmp(info->kind, "switch") == 0 || strcmp(info->kind, "choice") == 0);
            CHECK(info->choices != NULL);
        }
    }
    CHECK_UINT(count, ==, sizeof(offsets) / sizeof(offsets[0]));
    CHECK(jini_options_info(SIZE_MAX) == NULL);
}

static int count_runs(struct jini_txn *txn, void *argument)
{
    (void)txn;
    ++*(int *)argument;
    return 0;
}

TEST(writes_run_twice_by_default_where_faults_are_looked_for,
     "In a build without NDEBUG the table has store.run_twice on, and an engine with the defaults "
     "runs every write twice; in a release build it is off.")
{
#ifdef NDEBUG
    const int expected = 1;
#else
    const int expected = 2;
#endif
    int runs = 0;
    const struct jini_option_info *info = NULL;
    for (size_t i = 0; (info = jini_options_info(i)) && strcmp(info->name, "store.run_twice"); i++)
        continue;
    CHECK(info != NULL);
    CHECK_UINT(info->default_number, ==, (uint64_t)expected - 1);
    jini_options_init(&options);
    options.create = 1;
    struct jini *jini = fixture_open_with(&options);
    struct jini_write write;
    jini_request_init(&write);
    write.function = count_runs;
    write.argument = &runs;
    CHECK_OK(jini_write(jini, &write, NULL));
    CHECK_INT(runs, ==, expected);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void write_conf(const char *text)
{
    FILE *file = fopen(harness_path("db/jini.conf"), "w");
    CHECK(file != NULL);
    fputs(text, file);
    CHECK_INT(fclose(file), ==, 0);
}

/* What an engine opened without options has for store.map_bytes, told by its figures. */
static uint64_t map_bytes_of_open(void)
{
    static char text[1 << 17];
    size_t length;
    struct jini *jini;
    int status = jini_open(&jini, harness_path("db"), NULL, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "jini_open: %s: %s", error.field, error.message);
    CHECK_OK(jini_metrics(jini, text, sizeof(text), &length, &error));
    CHECK_OK(jini_close(jini, NULL, NULL));
    const char *line = strstr(text, "\njini_store_map_bytes ");
    CHECK(line != NULL);
    return strtoull(line + strlen("\njini_store_map_bytes "), NULL, 10);
}

TEST(the_environment_comes_after_the_file,
     "Without options: defaults, then jini.conf, then the environment; with options: these alone.")
{
    CHECK_OK(jini_close(fixture_open(), NULL, NULL));
    uint64_t by_default = map_bytes_of_open();
    CHECK_UINT(by_default, >, JINI_MIB(128));
    write_conf("store.map_bytes = 64MiB\n");
    CHECK_UINT(map_bytes_of_open(), ==, JINI_MIB(64));
    CHECK_INT(setenv("JINI_STORE_MAP_BYTES", "128MiB", 1), ==, 0);
    CHECK_UINT(map_bytes_of_open(), ==, JINI_MIB(128));
    CHECK_INT(setenv("JINI_STORE_MAP_BYTES", "much", 1), ==, 0);
    struct jini *jini;
    CHECK_STATUS(jini_open(&jini, harness_path("db"), NULL, &error), JINI_E_INVALID);
    CHECK(jini == NULL);
    CHECK_TEXT(error.field, "store.map_bytes");
    CHECK_OK(jini_close(fixture_open(), NULL, NULL));
    CHECK_INT(unsetenv("JINI_STORE_MAP_BYTES"), ==, 0);
    write_conf("store.map_bytes = 64MiB\nstore.sink = full\n");
    CHECK_STATUS(jini_open(&jini, harness_path("db"), NULL, &error), JINI_E_INVALID);
    CHECK_CONTAINS(error.message, "line 2");
}

TEST(members_out_of_range_are_refused_at_open,
     "A value that code has put into the struct is held to the range of the table by jini_open().")
{
    struct jini *jini;
    fixture_options(&options);
    options.limits_slots = 0;
    CHECK_STATUS(jini_open(&jini, fixture_db(), &options, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "limits.slots");
    fixture_options(&options);
    options.store_sync = 99;
    CHECK_STATUS(jini_open(&jini, fixture_db(), &options, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "store.sync");
    fixture_options(&options);
    options.cpu_threads = 100000;
    CHECK_STATUS(jini_open(&jini, fixture_db(), &options, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "cpu.threads");
    fixture_options(&options);
    memset(options.archive_url, 'x', sizeof(options.archive_url));
    CHECK_STATUS(jini_open(&jini, fixture_db(), &options, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "archive.url");
    CHECK(access(fixture_db(), F_OK) != 0);
}

TEST(a_password_hash_has_a_bound_of_work,
     "Memory times passes is taken up to 4 GiB, and refused beyond it when the database is opened.")
{
    struct jini *jini;
    fixture_options(&options);
    options.password_memory_kib = 1048576;
    options.password_passes = 5;
    CHECK_STATUS(jini_open(&jini, fixture_db(), &options, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "password.passes");
    CHECK(access(fixture_db(), F_OK) != 0);
    CHECK_INT(setenv("JINI_PASSWORD_MEMORY_KIB", "1048576", 1), ==, 0);
    CHECK_INT(setenv("JINI_PASSWORD_PASSES", "5", 1), ==, 0);
    CHECK_STATUS(jini_open(&jini, fixture_db(), NULL, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "password.passes");
    unsetenv("JINI_PASSWORD_MEMORY_KIB");
    unsetenv("JINI_PASSWORD_PASSES");
    options.password_passes = 4;
    CHECK_OK(jini_open(&jini, fixture_db(), &options, &error));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(the_longest_wait_for_a_claim_is_taken,
     "A database opens with the most that limits.claim_wait_ms takes.")
{
    struct jini *jini;
    fixture_options(&options);
    CHECK_OK(set("limits.claim_wait_ms", "1000"));
    CHECK_STATUS(set("limits.claim_wait_ms", "1001"), JINI_E_INVALID);
    CHECK_OK(jini_open(&jini, fixture_db(), &options, &error));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(options_of_another_size_are_refused,
     "A struct that was built against another release is told.")
{
    struct jini *jini;
    fixture_options(&options);
    options.size--;
    CHECK_STATUS(jini_open(&jini, fixture_db(), &options, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "options");
    CHECK(jini == NULL);
}

TEST(options_are_read_as_an_open_without_any_reads_them,
     "The defaults, above them the file of the directory, above it the environment; without a file "
     "the other two; what is wrong in either is told.")
{
    static const char text[] = "cpu.threads = 3\ncache.users = 4096\n";
    CHECK_INT(mkdir(harness_path("read"), 0700), ==, 0);
    CHECK_STATUS(jini_options_read(&options, NULL, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "directory");
    CHECK_STATUS(jini_options_read(&options, "", &error), JINI_E_INVALID);
    CHECK_OK(jini_options_read(&options, harness_path("read"), &error));
    CHECK_UINT(options.cache_users, ==, 262144);
    FILE *file = fopen(harness_path("read/jini.conf"), "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
    CHECK_INT(setenv("JINI_CPU_THREADS", "5", 1), ==, 0);
    CHECK_OK(jini_options_read(&options, harness_path("read"), &error));
    CHECK_UINT(options.cache_users, ==, 4096);
    CHECK_UINT(options.cpu_threads, ==, 5);
    CHECK_INT(setenv("JINI_CPU_THREADS", "many", 1), ==, 0);
    CHECK_STATUS(jini_options_read(&options, harness_path("read"), &error), JINI_E_INVALID);
    CHECK_INT(unsetenv("JINI_CPU_THREADS"), ==, 0);
    file = fopen(harness_path("read/jini.conf"), "w");
    CHECK(file && fputs("cpu.treads = 3\n", file) >= 0 && fclose(file) == 0);
    CHECK_STATUS(jini_options_read(&options, harness_path("read"), &error), JINI_E_INVALID);
    CHECK_CONTAINS(error.message, "cpu.threads");
}
