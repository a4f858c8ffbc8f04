/* Opening an engine: beside others that stand still, and the map that it asks for. */
#include "found.h"
#include "plant.h"

#include "accounts/keys.h"
#include "base/clock.h"
#include "engine/engine_private.h"
#include "store/registry.h"
#include "store/store.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Beside a process that stands still with the write lock ---- */

static _Atomic uint64_t passed_ns; /* beyond the machine's time */

static uint64_t moved_boot_ns(void *context)
{
    return fixture_boot_ns(context) + atomic_load(&passed_ns);
}

static const struct jini_clock moved_clock = {fixture_wall_ns, moved_boot_ns, NULL};

static bool wait_on(void *argument)
{
    (void)argument;
    return true;
}

/* In a process of its own, until it is killed. */
static pid_t hold_the_turn(void)
{
    int ready[2];
    char byte;
    CHECK(pipe(ready) == 0);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        struct registry *registry;
        struct jini_error error;
        struct registry_options options = {.directory = fixture_db(),
                                           .process_name = "holder",
                                           .clock = &clock_system,
                                           .format_min = 1,
                                           .format_max = 1};
        CHECK_OK(registry_open(&options, &registry, &error));
        CHECK(registry_turn_take(registry, wait_on, NULL));
        CHECK(write(ready[1], "x", 1) == 1);
        pause();
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    return pid;
}

static int op_forget_tiers(struct store_txn *txn, void *argument)
{
    struct store_cursor cursor;
    int status = store_cursor_open(txn, STORE_SPACE_TIERS, slice_of(NULL, 0), slice_of(NULL, 0),
                                   STORE_FORWARD, &cursor);
    (void)argument;
    while (status == 0 && (status = store_cursor_next(&cursor, NULL)) == 0)
        status = store_delete(txn, STORE_SPACE_TIERS, cursor.key);
    store_cursor_close(&cursor);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* As a process leaves it that was killed before it made the tiers. */
static void forget_tiers(void)
{
    static const struct store_format format = {.version = 1, .version_min = 1};
    struct store_options options;
    struct store *store;
    struct jini_error error;
    store_options_init(&options);
    options.directory = fixture_db();
    options.format = &format;
    CHECK_OK(store_open(&options, &store, &error));
    CHECK_OK(store_write(store, op_forget_tiers, NULL));
    store_close(store);
}

struct opener {
    struct jini_error error;
    int status;
    _Atomic bool ended;
};

static void *open_beside(void *argument)
{
    struct opener *opener = argument;
    struct jini_options options;
    struct jini *jini;
    fixture_options(&options);
    options.clock = &moved_clock;
    opener->status = jini_open(&jini, fixture_db(), &options, &opener->error);
    jini_close(jini, NULL, NULL);
    atomic_store(&opener->ended, true);
    return NULL;
}

TEST(a_database_without_tiers_opens_with_a_bound,
     "Where the tiers have still to be made and a process stands still with the write lock, "
     "opening is JINI_E_BUSY and names it; behind it the database opens.")
{
    struct opener opener = {.status = 0};
    struct timespec pause = {.tv_nsec = 5000000};
    pthread_t thread;
    char text[64];
    CHECK_OK(jini_close(fixture_open(), NULL, NULL));
    forget_tiers();
    pid_t pid = hold_the_turn();
    CHECK(pthread_create(&thread, NULL, open_beside, &opener) == 0);
    for (int i = 0; i < 10000 && !atomic_load(&opener.ended); i++) {
        atomic_fetch_add(&passed_ns, NS_PER_S);
        nanosleep(&pause, NULL);
    }
    CHECK(atomic_load(&opener.ended));
    pthread_join(thread, NULL);
    CHECK_STATUS(opener.status, JINI_E_BUSY);
    snprintf(text, sizeof(text), "process %d (holder) has held the write lock", (int)pid);
    CHECK_CONTAINS(opener.error.message, text);
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    struct jini *jini = fixture_open();
    fixture_user(jini, "alice", "Premium");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Formats ---- */

static int op_set_format(struct store_txn *txn, void *argument)
{
    uint8_t record[8] = {0}; /* version, and the one that a migration is moving to */
    store_le32(record, *(const uint32_t *)argument);
    return store_put(txn, STORE_SPACE_META, slice_of_text("format"),
                     slice_of(record, sizeof(record)));
}

/* Makes the database one of format `to`, as a program that works with `from` opens it. */
static void change_format(uint32_t from, uint32_t to)
{
    const struct store_format format = {.version = from, .version_min = from};
    struct store_options options;
    struct store *store;
    struct jini_error error;
    store_options_init(&options);
    options.directory = fixture_db();
    options.format = &format;
    CHECK_OK(store_open(&options, &store, &error));
    CHECK_OK(store_write(store, op_set_format, &to));
    store_close(store);
}

static void check_format_refused(uint32_t read_only, const char *words)
{
    struct jini_options options;
    struct jini_error error;
    struct jini *jini;
    fixture_options(&options);
    options.read_only = read_only;
    CHECK_STATUS(jini_open(&jini, fixture_db(), &options, &error), JINI_E_FORMAT);
    CHECK(!jini);
    CHECK_TEXT(error.field, "format");
    CHECK_TEXT(error.message, words);
}

TEST(another_format_is_refused_in_words,
     "A whole database of a newer or an older format is refused with its format, the one that this "
     "version works with, and what to do; where it is of ours again it opens whole.")
{
    static const char newer[] = "the database has format 2, and this version of Jini reads up to "
                                "format 1; use a newer version";
    static const char older[] = "the database has format 0, and this version of Jini migrates from "
                                "format 1 on; open it with a version in between first";
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id image = fixture_put(jini, user, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
    change_format(1, 2);
    check_format_refused(0, newer);
    check_format_refused(1, newer);
    change_format(2, 1);
    harness_copy(fixture_db(), harness_path("whole"));
    change_format(1, 0);
    check_format_refused(0, older);
    check_format_refused(1, older);
    harness_remove(fixture_db());
    harness_copy(harness_path("whole"), fixture_db());
    jini = fixture_open();
    CHECK_OK(fixture_get(jini, &image, 1));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- The map ---- */

static int op_fill(struct jini_txn *txn, void *argument)
{
    static const uint8_t value[60000];
    return jini_txn_put(txn, argument, sizeof(uint64_t), value, sizeof(value));
}

TEST(the_most_of_the_map_holds_whatever_is_reserved,
     "With store.map_bytes_max alone, the database never grows beyond it: what does not fit is "
     "JINI_E_FULL.")
{
    static char text[1 << 17];
    struct jini_options options;
    struct jini_error error;
    size_t length;
    int status = 0;
    uint64_t key = 0;
    fixture_options(&options);
    options.store_map_bytes_max = JINI_MIB(8);
    struct jini *jini = fixture_open_with(&options);
    for (; status == 0 && key < 1000; key++) {
        struct jini_write write;
        jini_request_init(&write);
        write.function = op_fill;
        write.argument = &key;
        status = jini_write(jini, &write, NULL);
    }
    CHECK_STATUS(status, JINI_E_FULL);
    CHECK_UINT(key, >, 50);
    CHECK_OK(jini_metrics(jini, text, sizeof(text), &length, &error));
    static const char figure[] = "\njini_store_map_bytes ";
    const char *line = strstr(text, figure);
    CHECK(line != NULL);
    CHECK_UINT(strtoull(line + strlen(figure), NULL, 10), <=, JINI_MIB(8));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_map_that_is_larger_than_its_most_is_refused,
     "store.map_bytes above store.map_bytes_max is invalid, and the error has both.")
{
    struct jini_options options;
    struct jini_error error;
    struct jini *jini;
    fixture_options(&options);
    options.store_map_bytes = JINI_MIB(64);
    options.store_map_bytes_max = JINI_MIB(32);
    CHECK_STATUS(jini_open(&jini, fixture_db(), &options, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "store.map_bytes");
    CHECK_CONTAINS(error.message, "67108864 is more than store.map_bytes_max, which is 33554432");
    options.store_map_bytes_max = JINI_MIB(64);
    CHECK_OK(jini_close(fixture_open_with(&options), NULL, NULL));
}

/* ---- Options that name what is not there ---- */

static void check_refused(const struct jini_options *options, const char *field, const char *words)
{
    struct jini *jini;
    struct jini_error error;
    CHECK_STATUS(jini_open(&jini, fixture_db(), options, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, field);
    CHECK_CONTAINS(error.message, words);
}

TEST(an_archive_of_no_known_kind_is_refused,
     "archive.url of no kind that is known is refused at open, before a database is made.")
{
    static const char *const urls[] = {"", "nonsense:x", "archive", "s3"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct jini_options options;
        fixture_options(&options);
        snprintf(options.archive_url, sizeof(options.archive_url), "%s", urls[i]);
        check_refused(&options, "archive.url", "a URL begins with one of dir:");
        CHECK(access(fixture_db(), F_OK) != 0);
    }
}

/* Whatever asks for the allowance of an address is told what is wrong with the tier. */
static void check_no_anonymous_tier(struct jini *jini, const char *words)
{
    struct png_request png = {64, 64, 7, "x", NULL};
    struct jini_limit_check check = {.cost = 1};
    struct jini_limit_answer answer;
    struct jini_error error;
    struct jini_admit admit;
    struct jini_image_put put;
    jini_request_init(&admit);
    jini_request_init(&put);
    CHECK_OK(jini_subject_parse_address("192.0.2.1", &check.subject));
    CHECK_STATUS(jini_limit_check(jini, &check, &answer, &error), JINI_E_CORRUPT);
    CHECK_TEXT(error.field, "anonymous.tier");
    CHECK_CONTAINS(error.message, words);
    admit.subject = check.subject;
    admit.parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    CHECK_STATUS(jini_admit(jini, &admit, NULL), JINI_E_CORRUPT);
    CHECK_TEXT(admit.request.error.field, "anonymous.tier");
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    CHECK_STATUS(jini_image_put(jini, &put, NULL), JINI_E_CORRUPT);
    CHECK_TEXT(put.request.error.field, "anonymous.tier");
    free(file);
}

TEST(the_tier_of_anonymous_clients_must_be_there,
     "anonymous.tier that is no tier is refused at open; one that is cannot be removed here; and "
     "when another process has removed it, checks say so.")
{
    struct jini_options options;
    struct jini_tier_set set;
    struct jini_tier_remove remove;
    struct jini_error error;
    fixture_options(&options);
    struct jini *jini = fixture_open();
    jini_request_init(&set);
    CHECK_OK(jini_tier_get(jini, "Free", &set.tier, &error));
    snprintf(set.tier.name, sizeof(set.tier.name), "Guests");
    set.mode = JINI_TIER_ADD;
    fixture_must(jini_tier_set(jini, &set, NULL), "tier_set", &set.request.error);
    CHECK_OK(jini_close(jini, NULL, NULL));

    snprintf(options.anonymous_tier, sizeof(options.anonymous_tier), "Gusts");
    check_refused(&options, "anonymous.tier", "there is no tier \"Gusts\"");

    snprintf(options.anonymous_tier, sizeof(options.anonymous_tier), "guests");
    jini = fixture_open_with(&options);
    jini_request_init(&remove);
    snprintf(remove.name, sizeof(remove.name), "GUESTS");
    CHECK_STATUS(jini_tier_remove(jini, &remove, NULL), JINI_E_IN_USE);
    CHECK_CONTAINS(remove.request.error.message, "anonymous.tier");

    snprintf(jini->options.anonymous_tier, sizeof(jini->options.anonymous_tier), "Free");
    CHECK_OK(jini_tier_remove(jini, &remove, NULL));
    snprintf(jini->options.anonymous_tier, sizeof(jini->options.anonymous_tier), "Guests");
    check_no_anonymous_tier(jini, "\"Guests\", which was removed meanwhile; add it again");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_damaged_tier_holds_up_no_opening,
     "A database in which the tiers of anonymous clients and of new users cannot be read opens; "
     "what needs the tier says so, and verify names it.")
{
    struct jini_options options;
    struct tuple key;
    fixture_options(&options);
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    CHECK_OK(keys_tier("Free", &key));
    plant_row(jini, STORE_SPACE_TIERS, &key, "rot", 3);
    CHECK_OK(jini_close(jini, NULL, NULL));
    for (options.read_only = 0; options.read_only < 2; options.read_only++) {
        jini = fixture_open_with(&options);
        check_one(jini, "tier_damaged", "record", 0, "\"free\"");
        if (!options.read_only) {
            check_no_anonymous_tier(jini, "\"Free\", which cannot be read");
            fixture_put(jini, user, 1);
        }
        CHECK_OK(jini_close(jini, NULL, NULL));
    }
}
