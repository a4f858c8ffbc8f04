/* The table of rate limits under an engine: full regions, full disks, a file that is lost. */
#include "engine/engine_private.h"
#include "engine/rate_private.h"
#include "limits/table_internal.h"
#include "store/store_private.h"

#include "../limits/limits_file.h"
#include "engine_fixture.h"
#include "small_disk.h"

#include <pthread.h>

enum { SECOND_MS = 1000, WAIT_MS_MAX = 20000, METRICS_MAX = 65536 };

/* ---- Clock, log, figures ---- */

static _Atomic uint64_t boot_offset_ns;

static uint64_t moved_boot_ns(void *context)
{
    return fixture_boot_ns(context) + atomic_load(&boot_offset_ns);
}

static const struct jini_clock moved_clock = {fixture_wall_ns, moved_boot_ns, NULL};

static void pass_ms(uint64_t ms)
{
    atomic_fetch_add(&boot_offset_ns, ms * NS_PER_MS);
}

static _Atomic unsigned times_missing;
static _Atomic unsigned times_back;

static void on_log(void *context, enum jini_log_level level, const char *event,
                   const struct jini_log_field *fields, size_t count)
{
    (void)context;
    if (strcmp(event, "limits_table_missing") == 0) {
        CHECK_INT(level, ==, JINI_LOG_ERROR);
        CHECK_UINT(count, ==, 2);
        CHECK_TEXT(fields[0].text, "E_FULL");
        CHECK_CONTAINS(fields[1].text, "bytes of disk");
        atomic_fetch_add(&times_missing, 1);
    } else if (strcmp(event, "limits_table_back") == 0) {
        CHECK_INT(level, ==, JINI_LOG_INFO);
        atomic_fetch_add(&times_back, 1);
    }
}

/* The value of the sample that begins with these words; -1: there is none. */
static int64_t figure(struct jini *jini, const char *sample)
{
    static char text[METRICS_MAX];
    char wanted[128];
    struct jini_error error;
    size_t length;
    CHECK_OK(jini_metrics(jini, text, sizeof(text), &length, &error));
    snprintf(wanted, sizeof(wanted), "\n%s ", sample);
    const char *at = strstr(text, wanted);
    return at ? strtoll(at + strlen(wanted), NULL, 10) : -1;
}

/* ---- Checks ---- */

static struct jini_subject model(uint64_t number)
{
    return (struct jini_subject){.kind = JINI_SUBJECT_MODEL, .number = number};
}

static struct jini_subject address(uint64_t number)
{
    return (struct jini_subject){
        .kind = JINI_SUBJECT_ADDRESS,
        .address = {[10] = 0xff, 0xff, 10, 0, (uint8_t)(number >> 8), (uint8_t)number}};
}

static int check(struct jini *jini, struct jini_subject subject, struct jini_limit_answer *answer,
                 struct jini_error *error)
{
    struct jini_limit_check check = {.subject = subject, .limits = "5/minute", .cost = 1};
    return jini_limit_check(jini, &check, answer, error);
}

/* ---- Windows ---- */

TEST(a_window_is_no_longer_than_its_period,
     "The first charge of a limit is told its period, whatever the clock's fraction of a ms and "
     "however long finding a place took; and who comes back when told is admitted.")
{
    static const char *const texts[] = {"1/minute", "1/minute gcra"};
    struct jini_options options;
    fixture_options(&options);
    options.clock = &moved_clock;
    struct jini *jini = fixture_open_with(&options);
    for (uint64_t number = 1; number <= 40; number++) {
        struct jini_limit_check check = {
            .subject = model(number), .limits = texts[number % 2], .cost = 1};
        struct jini_limit_answer answer;
        struct jini_limit_usage usage;
        struct jini_error error;
        size_t count;
        CHECK_OK(jini_limit_check(jini, &check, &answer, &error));
        CHECK_UINT(answer.entries[0].reset_ms, ==, 60 * SECOND_MS);
        CHECK_OK(jini_limit_top(jini, &usage, 1, &count, &error));
        CHECK_UINT(usage.reset_ms, <=, 60 * SECOND_MS);
        CHECK_STATUS(jini_limit_check(jini, &check, &answer, &error), JINI_E_LIMITED);
        pass_ms(answer.retry_after_ms);
        CHECK_OK(jini_limit_check(jini, &check, &answer, &error));
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Full regions ---- */

/* Slots of the regions, in whole buckets, and more subjects than find a place in either. */
enum { USER_SLOTS = 93, ADDRESS_SLOTS = 155, SUBJECTS = 600 };

/* Which region refuses when it is full; the other one admits uncounted. */
static struct jini *open_with_closed(bool addresses)
{
    struct jini_options options;
    fixture_options(&options);
    options.clock = &moved_clock;
    options.limits_slots = 64;
    options.limits_slots_anonymous = 128;
    *(addresses ? &options.limits_when_full : &options.limits_when_full_anonymous) =
        JINI_WHEN_FULL_OPEN;
    return fixture_open_with(&options);
}

/* Checks all subjects of a region, and returns how many were refused. */
static unsigned crowd(struct jini *jini, struct jini_subject (*subject)(uint64_t))
{
    unsigned refused = 0;
    for (uint64_t i = 0; i < SUBJECTS; i++) {
        struct jini_limit_answer answer;
        struct jini_error error;
        int status = check(jini, subject(i), &answer, &error);
        CHECK(status == 0 || status == JINI_E_BUSY);
        refused += status != 0;
    }
    return refused;
}

/* A refusal for want of a place, with its words and numbers; returns when to come back. */
static uint64_t check_refusal(struct jini *jini, struct jini_subject subject, const char *option,
                              const char *fullness)
{
    struct jini_limit_answer answer;
    struct jini_error error;
    CHECK_STATUS(check(jini, subject, &answer, &error), JINI_E_BUSY);
    CHECK_TEXT(error.field, option);
    CHECK_CONTAINS(error.message, fullness);
    CHECK_CONTAINS(error.message, option);
    CHECK_CONTAINS(error.message, "come back in");
    CHECK_UINT(error.retry_after_ms, >, 0);
    CHECK_UINT(error.retry_after_ms, <=, 60 * SECOND_MS);
    CHECK_UINT(answer.count, ==, 1);
    CHECK_UINT(answer.decided, ==, 0);
    CHECK_UINT(answer.retry_after_ms, ==, error.retry_after_ms);
    CHECK_UINT(answer.entries[0].amount, ==, 5);
    CHECK_UINT(answer.entries[0].remaining, ==, 0);
    CHECK_UINT(answer.entries[0].retry_after_ms, ==, error.retry_after_ms);
    CHECK_UINT(answer.entries[0].flags, ==, JINI_LIMIT_REFUSED);
    return error.retry_after_ms;
}

TEST(
    a_full_region_answers_as_its_option_says,
    "With limits.when_full or limits.when_full_anonymous open, that region admits beyond its slots "
    "and the other one refuses, with its option, how full it is and when to come back; figures "
    "tell both.")
{
    for (int round = 0; round < 2; round++) {
        bool addresses = round == 1; /* are refused */
        struct jini *jini = open_with_closed(addresses);
        unsigned refused = crowd(jini, addresses ? address : model);
        CHECK_UINT(refused, ==, SUBJECTS - (addresses ? ADDRESS_SLOTS : USER_SLOTS));
        CHECK_UINT(crowd(jini, addresses ? model : address), ==, 0);
        CHECK_INT(figure(jini, "jini_limits_full_total"), ==, refused);
        CHECK_INT(figure(jini, "jini_limits_uncounted_total"), ==,
                  SUBJECTS - (addresses ? USER_SLOTS : ADDRESS_SLOTS));
        CHECK_INT(figure(jini, "jini_limits_slots{region=\"authenticated\"}"), ==, USER_SLOTS);
        CHECK_INT(figure(jini, "jini_limits_slots_live{region=\"authenticated\"}"), ==, USER_SLOTS);
        CHECK_INT(figure(jini, "jini_limits_slots{region=\"anonymous\"}"), ==, ADDRESS_SLOTS);
        CHECK_INT(figure(jini, "jini_limits_slots_live{region=\"anonymous\"}"), ==, ADDRESS_SLOTS);
        CHECK_INT(figure(jini, "jini_limits_table"), ==, 1);
        pass_ms(SECOND_MS); /* how full it is may be as old as this */
        struct jini_subject one = addresses ? address(SUBJECTS) : model(SUBJECTS);
        uint64_t after_ms =
            check_refusal(jini, one, addresses ? "limits.slots_anonymous" : "limits.slots",
                          addresses ? "155 of 155 slots" : "93 of 93 slots");
        struct jini_limit_answer answer;
        struct jini_error error;
        pass_ms(after_ms);
        CHECK_OK(check(jini, one, &answer, &error));
        CHECK_UINT(answer.decided, ==, JINI_LIMITS_MAX);
        CHECK_OK(jini_close(jini, NULL, NULL));
        CHECK_INT(unlink("db/limits.shm"), ==, 0);
    }
}

static int admit(struct jini *jini, uint64_t user, struct jini_admit *admit)
{
    jini_request_init(admit);
    admit->subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    admit->parameters =
        (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    return jini_admit(jini, admit, NULL);
}

TEST(an_admission_says_that_the_table_is_full,
     "An admission that finds no place says so as a check does, and shows the quota untouched.")
{
    struct jini *jini = open_with_closed(false);
    uint64_t user = fixture_user(jini, "alice", "Free");
    struct jini_admit refused;
    CHECK_UINT(crowd(jini, model), >, 0);
    CHECK_STATUS(admit(jini, user, &refused), JINI_E_BUSY);
    CHECK_TEXT(refused.request.error.field, "limits.slots");
    CHECK_UINT(refused.request.error.retry_after_ms, >, 0);
    CHECK_UINT(refused.answer.retry_after_ms, ==, refused.request.error.retry_after_ms);
    CHECK_UINT(refused.answer.count, ==, 2);
    CHECK_UINT(refused.answer.decided, ==, 0);
    CHECK_UINT(refused.answer.entries[1].remaining, ==, 30);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_place_that_is_held_is_explained,
     "A newcomer to buckets that a stopped process holds is refused by limits.claim_wait_ms.")
{
    struct jini *jini = open_with_closed(false);
    struct table *table = jini->rates->table;
    struct table_view_region *region = &atomic_load(&table->view)->regions[TABLE_AUTHENTICATED];
    struct jini_limit_answer answer;
    struct jini_error error;
    for (uint32_t i = 0; i < region->bucket_count; i++)
        atomic_store(&region->buckets[i].claim, table->claim);
    CHECK_STATUS(check(jini, model(1), &answer, &error), JINI_E_BUSY);
    CHECK_TEXT(error.field, "limits.claim_wait_ms");
    CHECK_CONTAINS(error.message, "20 ms");
    CHECK_UINT(error.retry_after_ms, ==, 20);
    CHECK_UINT(answer.retry_after_ms, ==, 20);
    CHECK_UINT(answer.decided, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Full disks ---- */

enum { DISK_KIB = 40 * 1024, MIB = 1 << 20 };

/* Takes the disk, but for so many bytes. */
static void fill_disk(off_t left)
{
    static const char block[1 << 16];
    int file = open(harness_path("disk/filler"), O_RDWR | O_CREAT | O_APPEND, 0600);
    CHECK_INT(file, >=, 0);
    while (write(file, block, sizeof(block)) > 0)
        ;
    CHECK_INT(errno, ==, ENOSPC);
    off_t bytes = lseek(file, 0, SEEK_END);
    CHECK_INT(bytes, >, left);
    CHECK_INT(ftruncate(file, bytes - left), ==, 0);
    close(file);
}

/* The default table, of 21 MB, on a disk of 40; the background thread looks all the time. */
static struct jini *open_on_disk(void)
{
    struct jini_options options;
    fixture_options(&options);
    options.store_reserve_bytes = 4 << 20;
    options.limits_when_full_anonymous = JINI_WHEN_FULL_OPEN;
    options.background_interval_ms = 10;
    options.log = on_log;
    return fixture_open_with(&options);
}

/* What gives room back: removing an image, and a run that moves the others to the archive. */
static void give_back(struct jini *jini, const struct jini_id *image)
{
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = *image;
    fixture_must(jini_image_remove(jini, &remove, NULL), "remove", &remove.request.error);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
}

static int check_user(struct jini *jini, uint64_t user, struct jini_limit_answer *answer,
                      struct jini_error *error)
{
    struct jini_limit_check check = {.subject = {.kind = JINI_SUBJECT_USER, .number = user},
                                     .cost = 1};
    return jini_limit_check(jini, &check, answer, error);
}

/* Closed users are refused and told why, open addresses pass, and quotas can be reset. */
static void check_without_table(struct jini *jini, uint64_t user)
{
    struct jini_limit_answer answer;
    struct jini_limit_usage usage;
    struct jini_limit_reset reset;
    struct jini_admit refused;
    struct jini_error error;
    size_t count;
    CHECK_STATUS(check_user(jini, user, &answer, &error), JINI_E_FULL);
    CHECK_TEXT(error.field, "limits.shm");
    CHECK_CONTAINS(error.message, "limits.when_full answers, which is closed");
    CHECK_CONTAINS(error.message, "bytes of disk");
    CHECK_UINT(answer.count, ==, 0);
    CHECK_UINT(answer.decided, ==, JINI_LIMITS_MAX);
    CHECK_STATUS(admit(jini, user, &refused), JINI_E_FULL);
    CHECK_TEXT(refused.request.error.field, "limits.shm");
    CHECK_OK(check(jini, address(1), &answer, &error));
    CHECK_UINT(answer.entries[0].remaining, ==, 5);
    CHECK_STATUS(jini_limit_top(jini, &usage, 1, &count, &error), JINI_E_FULL);
    CHECK_TEXT(error.field, "limits.shm");
    jini_request_init(&reset);
    reset.subject = refused.subject;
    fixture_must(jini_limit_reset(jini, &reset, NULL), "reset", &reset.request.error);
    CHECK_INT(figure(jini, "jini_limits_table"), ==, 0);
    CHECK_INT(figure(jini, "jini_limits_table_missing_total"), ==, 3);
    CHECK_INT(figure(jini, "jini_limits_admitted_total"), ==, -1);
}

/* The background makes it, without a charge that would ask for it. */
static void wait_for_table(void)
{
    for (unsigned ms = 0; atomic_load(&times_back) == 0; ms += 10) {
        CHECK_UINT(ms, <, WAIT_MS_MAX);
        nanosleep(&(struct timespec){.tv_nsec = 10 * (long)NS_PER_MS}, NULL);
    }
}

TEST(a_full_disk_and_a_reboot_keep_nothing_from_opening,
     "With 1 MB left the table of another boot is made anew in its own room; without that the "
     "database opens and gives room back, limits.when_full answers, and the table comes back.")
{
    struct jini_limit_answer answer;
    struct jini_error error;
    small_disk_mount(harness_path("disk"), DISK_KIB);
    fixture_directory = "disk/db";
    struct jini *jini = open_on_disk();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id first = fixture_put(jini, user, 1);
    struct jini_id second = fixture_put(jini, user, 2);
    CHECK_OK(check_user(jini, user, &answer, &error));
    CHECK_OK(jini_close(jini, NULL, NULL));
    limits_file_reboot("disk/db/limits.shm");
    fill_disk(MIB);
    jini = open_on_disk();
    CHECK_OK(check_user(jini, user, &answer, &error));
    give_back(jini, &first);
    CHECK_OK(jini_close(jini, NULL, NULL));
    CHECK_UINT(atomic_load(&times_missing), ==, 0);
    CHECK_INT(unlink("disk/db/limits.shm"), ==, 0);
    fill_disk(MIB);
    jini = open_on_disk();
    CHECK_UINT(atomic_load(&times_missing), ==, 1);
    check_without_table(jini, user);
    give_back(jini, &second);
    CHECK_UINT(atomic_load(&times_missing), ==, 1);
    CHECK_INT(unlink("disk/filler"), ==, 0);
    wait_for_table();
    CHECK_OK(check_user(jini, user, &answer, &error));
    CHECK_UINT(answer.entries[0].remaining, ==, answer.entries[0].amount - 1);
    CHECK_INT(figure(jini, "jini_limits_table"), ==, 1);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(the_reserve_is_not_spent_on_a_table,
     "What the store gives free for releases on a full disk is not taken for a table of rate "
     "limits, however often it is asked for.")
{
    struct jini_options options;
    struct jini_limit_answer answer;
    struct jini_error error;
    small_disk_mount(harness_path("disk"), DISK_KIB);
    fixture_directory = "disk/db";
    fixture_options(&options);
    options.clock = &moved_clock;
    options.store_reserve_bytes = 16 * MIB;
    options.limits_slots = 16384; /* 1 MiB, with those of addresses 5 */
    struct jini *jini = fixture_open_with(&options);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    CHECK_OK(jini_close(jini, NULL, NULL));
    CHECK_INT(unlink("disk/db/limits.shm"), ==, 0);
    CHECK_INT(truncate("disk/db/reserve", 0), ==, 0); /* as another process has cut it */
    fill_disk(10 * MIB);
    jini = fixture_open_with(&options);
    for (int i = 0; i < 3; i++) {
        CHECK_STATUS(check_user(jini, user, &answer, &error), JINI_E_FULL);
        CHECK_CONTAINS(error.message, "kept for releases");
        pass_ms(SECOND_MS);
    }
    CHECK_INT(access("disk/db/limits.shm", F_OK), ==, -1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Housekeeping ---- */

TEST(
    a_file_that_is_lost_is_made_again_in_a_minute,
    "Once a minute the engine looks whether the table's file is there, and makes it anew; not when "
    "it is poisoned, as one whose database was removed is.")
{
    struct jini_options options;
    fixture_options(&options);
    options.clock = &moved_clock;
    options.background_interval_ms = 3600000; /* the test does what the background thread does */
    struct jini *jini = fixture_open_with(&options);
    const char *path = harness_path("db/limits.shm");
    rates_tend(jini);
    CHECK_INT(unlink(path), ==, 0);
    pass_ms(59 * SECOND_MS);
    rates_tend(jini);
    CHECK_INT(access(path, F_OK), ==, -1);
    pass_ms(SECOND_MS);
    rates_tend(jini);
    CHECK_INT(access(path, F_OK), ==, 0);
    CHECK_INT(unlink(path), ==, 0);
    store_poison(jini->store, "for a test");
    pass_ms(60 * SECOND_MS);
    rates_tend(jini);
    CHECK_INT(access(path, F_OK), ==, -1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
