/* Records that were lost, and packs: what can be taken back is, and nothing is deleted. */
#include "engine/engine_private.h"
#include "images/pack_lost.h"
#include "images/pack_path.h"

#include "found.h"
#include "plant.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IMAGES = 6 };

static struct jini_id images[IMAGES];
static unsigned records[4]; /* of the log: set aside, dropped, regained, and of failed steps */

static void on_record(void *context, enum jini_log_level level, const char *event,
                      const struct jini_log_field *fields, size_t count)
{
    static const char *const events[] = {"pack_set_aside", "pack_dropped", "pack_regained",
                                         "tiering_step_failed"};
    (void)context;
    (void)level;
    (void)fields;
    (void)count;
    for (unsigned i = 0; i < 4; i++)
        records[i] += strcmp(event, events[i]) == 0;
}

static struct jini *open_keeping(uint64_t lost_s)
{
    struct jini_options options;
    fixture_options(&options);
    options.log = on_record;
    options.pack_lost_s = lost_s;
    return fixture_open_with(&options);
}

static struct jini *open_engine(void)
{
    return open_keeping(30 * 86400);
}

static void put(struct jini *jini, uint64_t user, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        images[i] = fixture_put(jini, user, i + 1);
}

static void check_images(struct jini *jini, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        CHECK_OK(fixture_get(jini, &images[i], i + 1));
}

static void keep_records(struct jini *jini, const char *name)
{
    struct jini_error error;
    CHECK_OK(jini_copy(jini, harness_path("%s", name), JINI_COPY_COMPACT, &error));
}

/* Takes the data file away to a name, or puts one in its place. */
static void move_records(const char *from, const char *to)
{
    char source[600];
    snprintf(source, sizeof(source), "%s", harness_path("%s", from));
    CHECK_INT(rename(source, harness_path("%s", to)), ==, 0);
}

static void close_engine(struct jini *jini)
{
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static const char *path_of(struct jini *jini, const struct jini_id *image)
{
    char path[PACK_PATH_MAX];
    struct jini_image_place place = fixture_locate(jini, image);
    pack_path(&place.pack_id, path);
    return harness_path("db/%s", path);
}

static unsigned files_in(const char *folder)
{
    unsigned count = 0;
    DIR *names = opendir(harness_path("%s", folder));
    const struct dirent *entry;
    while (names && (entry = readdir(names)))
        count += entry->d_name[0] != '.';
    if (names)
        closedir(names);
    return count;
}

struct events {
    unsigned count[JINI_TIERING_REGAIN + 1];
    char because[200];
};

static void on_event(void *context, const struct jini_tiering_event *event)
{
    struct events *events = context;
    events->count[event->step]++;
    snprintf(events->because, sizeof(events->because), "%s", event->because);
}

static struct events plan(struct jini *jini)
{
    struct events events = {0};
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = JINI_TIERING_DRY_RUN;
    run.report = on_event;
    run.report_context = &events;
    fixture_must(jini_archive_run(jini, &run, NULL), "plan", &run.request.error);
    CHECK_UINT(run.packs_set_aside + run.packs_dropped + run.packs_regained, ==, 0);
    return events;
}

static struct jini_archive_status status_of(struct jini *jini)
{
    struct jini_archive_status status;
    struct jini_error error;
    fixture_must(jini_archive_status(jini, &status, &error), "status", &error);
    return status;
}

static uint64_t unknown_packs(struct jini *jini)
{
    struct jini_verify verify;
    jini_request_init(&verify);
    fixture_must(jini_verify(jini, &verify, NULL), "verify", &verify.request.error);
    return verify.packs_unknown;
}

/* ---- Packs that the index does not know ---- */

/* An older data file in the place of one that knows of one more pack, with images 2 to 3. */
static struct jini *put_back_older(void)
{
    struct jini *jini = open_engine();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 2);
    fixture_tier(jini, 0, NULL);
    close_engine(jini);
    jini = open_engine();
    keep_records(jini, "older.mdb");
    put(jini, user, 2, 4);
    close_engine(jini);
    move_records("db/data.mdb", "newer.mdb");
    move_records("older.mdb", "db/data.mdb");
    return open_engine();
}

TEST(unknown_packs_are_set_aside,
     "A pack that the index does not know is moved, not deleted: run, plan, status, verify and the "
     "log tell of it, and it is there when the data file comes back that knows it.")
{
    struct jini_archive_run run;
    struct jini *jini = put_back_older();
    fixture_tier(jini, 0, &run); /* young: it may be about to get its row */
    CHECK_UINT(run.packs_set_aside, ==, 0);
    CHECK_UINT(unknown_packs(jini), ==, 0);
    fixture_days_pass(1);
    CHECK_UINT(unknown_packs(jini), ==, 1);
    struct events events = plan(jini);
    CHECK_UINT(events.count[JINI_TIERING_SET_ASIDE], ==, 1);
    CHECK_UINT(files_in("db/packs/lost"), ==, 0);
    fixture_tier(jini, 0, &run);
    CHECK_UINT(run.packs_set_aside, ==, 1);
    CHECK_UINT(records[0], ==, 1);
    CHECK_UINT(files_in("db/packs/lost"), ==, 1);
    CHECK_UINT(status_of(jini).packs_lost, ==, 1);
    CHECK_UINT(status_of(jini).bytes_lost, >, 4096);
    CHECK_UINT(unknown_packs(jini), ==, 1);
    CHECK_UINT(plan(jini).count[JINI_TIERING_SET_ASIDE], ==, 0);
    fixture_verify(jini);
    close_engine(jini);
    move_records("newer.mdb", "db/data.mdb");
    jini = open_engine();
    CHECK_STATUS(fixture_get(jini, &images[2], 3), JINI_E_CORRUPT);
    struct found found = find(jini, "pack_missing");
    CHECK_UINT(found.count, ==, 1);
    CHECK_CONTAINS(found.items[0].message, "packs/lost");
    fixture_days_pass(100); /* what the index knows is not dropped */
    fixture_tier(jini, 0, &run);
    CHECK_UINT(run.packs_regained, ==, 1);
    CHECK_UINT(run.packs_dropped, ==, 0);
    CHECK_UINT(records[2], ==, 1);
    CHECK_UINT(files_in("db/packs/lost"), ==, 0);
    check_images(jini, 0, 4);
    fixture_verify(jini);
    close_engine(jini);
}

TEST(what_was_set_aside_goes_after_a_long_time,
     "What lies in packs/lost is deleted pack.lost_s seconds after it was moved there, which the "
     "plan shows; with 0 it is kept.")
{
    struct jini_archive_run run;
    struct jini *jini = put_back_older();
    fixture_days_pass(1);
    fixture_tier(jini, 0, NULL);
    fixture_days_pass(29);
    fixture_tier(jini, 0, &run);
    CHECK_UINT(run.packs_dropped, ==, 0);
    CHECK_UINT(plan(jini).count[JINI_TIERING_DROP], ==, 0);
    fixture_days_pass(2);
    close_engine(jini);
    jini = open_keeping(0);
    fixture_tier(jini, 0, &run);
    CHECK_UINT(run.packs_dropped, ==, 0);
    close_engine(jini);
    jini = open_engine();
    struct events events = plan(jini);
    CHECK_UINT(events.count[JINI_TIERING_DROP], ==, 1);
    CHECK_CONTAINS(events.because, "pack.lost_s");
    fixture_tier(jini, 0, &run);
    CHECK_UINT(run.packs_dropped, ==, 1);
    CHECK_UINT(run.bytes_freed, >, 4096);
    CHECK_UINT(records[1], ==, 1);
    CHECK_UINT(files_in("db/packs/lost"), ==, 0);
    CHECK_UINT(status_of(jini).packs_lost, ==, 0);
    check_images(jini, 0, 2);
    close_engine(jini);
}

TEST(a_file_without_a_record_is_garbage,
     "What a crash left of a pack that no image had come to is deleted, as it holds nothing.")
{
    char path[PACK_PATH_MAX];
    struct jini_archive_run run;
    struct jini *jini = open_engine();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 1);
    struct jini_id unborn;
    jini_id_make(jini, &unborn);
    pack_path(&unborn, path);
    int fd = open(harness_path("db/%s", path), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    CHECK_INT(ftruncate(fd, 4096), ==, 0);
    close(fd);
    fixture_days_pass(1);
    fixture_tier(jini, 0, &run);
    CHECK_UINT(run.packs_set_aside, ==, 0);
    CHECK_INT(access(harness_path("db/%s", path), F_OK), ==, -1);
    CHECK_UINT(files_in("db/packs/lost"), ==, 0);
    check_images(jini, 0, 1);
    close_engine(jini);
}

TEST(no_records_are_begun_beside_packs, "Where packs are and no data file, opening is refused, "
                                        "whether it is to make a database or not, and "
                                        "says what to do; with the data file back all is there.")
{
    struct jini_options options;
    struct jini_error error;
    struct jini *jini = open_engine();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 2);
    close_engine(jini);
    move_records("db/data.mdb", "saved.mdb");
    fixture_options(&options);
    CHECK_STATUS(jini_open(&jini, fixture_db(), &options, &error), JINI_E_EXISTS);
    CHECK_TEXT(error.field, "packs");
    CHECK_CONTAINS(error.message, "Put data.mdb back");
    options.create = 0;
    CHECK_STATUS(jini_open(&jini, fixture_db(), &options, &error), JINI_E_NOT_FOUND);
    CHECK_TEXT(error.field, "packs");
    CHECK_INT(access(harness_path("db/data.mdb"), F_OK), ==, -1);
    move_records("saved.mdb", "db/data.mdb");
    jini = open_engine();
    check_images(jini, 0, 2);
    fixture_verify(jini);
    close_engine(jini);
    CHECK_INT(rename(harness_path("db/packs"), harness_path("elsewhere")), ==, 0);
    CHECK_INT(unlink(harness_path("db/data.mdb")), ==, 0);
    close_engine(open_engine());
}

/* ---- Packs whose files are gone ---- */

TEST(an_older_data_file_finds_its_packs_in_the_archive,
     "After an older data file was put back beside its own archive, packs that were archived and "
     "freed since are taken back from there, open ones and sealed ones.")
{
    struct jini_archive_run run;
    struct jini *jini = open_engine();
    uint64_t ada = fixture_user(jini, "ada", "Premium");
    uint64_t bob = fixture_user(jini, "bob", "Free"); /* whose packs do not merge with hers */
    put(jini, ada, 0, 2);
    close_engine(jini); /* sealed */
    jini = open_engine();
    put(jini, bob, 2, 4); /* open */
    keep_records(jini, "older.mdb");
    put(jini, bob, 4, 5); /* in the same pack, and nothing that the older records know */
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run);
    CHECK_UINT(run.packs_freed, ==, 2);
    close_engine(jini);
    move_records("older.mdb", "db/data.mdb");
    jini = open_engine();
    struct found found = find(jini, "pack_missing");
    CHECK_UINT(found.count, ==, 2);
    CHECK_CONTAINS(found.items[0].message, "the archive has it");
    fixture_tier(jini, 0, &run);
    CHECK_UINT(run.packs_regained, ==, 2);
    CHECK_UINT(records[2], ==, 2);
    check_images(jini, 0, 4);
    fixture_verify(jini);
    fixture_days_pass(2);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    check_images(jini, 0, 4);
    fixture_verify(jini);
    close_engine(jini);
}

/* One pack with an object in the archive; its row as it was before that. */
static struct jini *forget_archiving(bool free_hot)
{
    struct jini *jini = open_engine();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 3);
    close_engine(jini);
    jini = open_engine();
    fixture_tier(jini, 0, NULL);
    keep_records(jini, "older.mdb");
    fixture_tier(jini, JINI_TIERING_NOW | (free_hot ? JINI_TIERING_FREE_HOT : 0), NULL);
    close_engine(jini);
    move_records("older.mdb", "db/data.mdb");
    return open_engine();
}

TEST(a_cut_file_is_taken_back_from_the_archive,
     "A file that has lost its end is replaced by the object of its pack; verify says before that "
     "the run will do so.")
{
    struct jini_archive_run run;
    struct jini *jini = forget_archiving(false);
    CHECK_INT(truncate(path_of(jini, &images[0]), 6000), ==, 0);
    struct found found = find(jini, "pack_damaged");
    CHECK_UINT(found.count, >, 0);
    CHECK_CONTAINS(found.items[0].message, "the archive has it");
    fixture_tier(jini, 0, &run);
    CHECK_UINT(run.packs_regained, ==, 1);
    CHECK_INT(fixture_locate(jini, &images[0]).state, ==, JINI_IMAGE_COLD);
    CHECK_INT(access(path_of(jini, &images[0]), F_OK), ==, -1);
    check_images(jini, 0, 3);
    fixture_verify(jini);
    close_engine(jini);
}

static const char *only_object(void)
{
    static char path[1200];
    const struct dirent *entry;
    DIR *months = opendir(harness_path("db/archive/packs"));
    CHECK(months != NULL);
    while ((entry = readdir(months)) && entry->d_name[0] == '.')
        continue;
    snprintf(path, sizeof(path), "%s/%.20s", harness_path("db/archive/packs"), entry->d_name);
    closedir(months);
    DIR *objects = opendir(path);
    CHECK(objects != NULL);
    while ((entry = readdir(objects)) && entry->d_name[0] == '.')
        continue;
    size_t length = strlen(path);
    snprintf(path + length, sizeof(path) - length, "/%.200s", entry->d_name);
    closedir(objects);
    return path;
}

TEST(an_object_that_does_not_hold_is_not_taken,
     "A damaged object of the pack is left alone, and the pack is told of as lost; another attempt "
     "that holds is taken.")
{
    static const char rot[16] = "rot";
    char other[1300];
    struct jini_archive_run run;
    struct jini *jini = forget_archiving(true);
    const char *object = only_object();
    snprintf(other, sizeof(other), "%s", object);
    char *attempt = strrchr(other, '/') + 1 + 37;
    attempt[0] = attempt[0] == 'f' ? 'e' : 'f'; /* a later one */
    harness_copy(object, other);
    int fd = open(other, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_INT(pwrite(fd, rot, sizeof(rot), 6000), ==, sizeof(rot));
    close(fd);
    fixture_tier(jini, 0, &run);
    CHECK_UINT(run.packs_regained, ==, 1);
    check_images(jini, 0, 3);
    fixture_verify(jini);
    close_engine(jini);
}

TEST(a_pack_without_a_copy_is_one_condition,
     "Of a file that is gone, with no copy anywhere, run, read and verify all say that it is "
     "damage, "
     "and what to do; the pack is counted once, and all others are moved.")
{
    struct jini_archive_run run;
    struct jini *jini = open_engine();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 2);
    close_engine(jini);
    jini = open_engine();
    put(jini, user, 2, 4);
    CHECK_INT(unlink(path_of(jini, &images[0])), ==, 0);
    records[3] = 0;
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW;
    CHECK_STATUS(jini_archive_run(jini, &run, NULL), JINI_E_CORRUPT);
    CHECK_UINT(run.packs_failed, ==, 1);
    CHECK_UINT(records[3], ==, 1);
    CHECK_UINT(run.packs_archived, ==, 1);
    CHECK_CONTAINS(run.request.error.message, "put it back from a backup");
    CHECK_CONTAINS(run.request.error.message, "packs/");
    CHECK_STATUS(fixture_get(jini, &images[0], 1), JINI_E_CORRUPT);
    struct found found = find(jini, "pack_missing");
    CHECK_UINT(found.count, ==, 1);
    CHECK_CONTAINS(found.items[0].message, "put it back from a backup");
    check_images(jini, 2, 4);
    close_engine(jini);
}

TEST(an_archived_pack_without_its_file_is_cold,
     "A pack that is in the archive and whose local file somebody deleted is COLD after the next "
     "run, once its object has proved to be whole.")
{
    struct jini_archive_run run;
    struct jini *jini = open_engine();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 2);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    CHECK_INT(unlink(path_of(jini, &images[0])), ==, 0);
    fixture_tier(jini, 0, &run);
    CHECK_UINT(run.packs_regained, ==, 1);
    CHECK_INT(fixture_locate(jini, &images[0]).state, ==, JINI_IMAGE_COLD);
    check_images(jini, 0, 2);
    fixture_verify(jini);
    close_engine(jini);
}

TEST(an_object_that_was_to_go_stays_when_it_is_taken,
     "An attempt that was given up, and is due to be deleted, is not, once a pack has taken it.")
{
    struct jini_archive_run run;
    struct jini *jini = open_engine();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 2);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    char first[1200];
    snprintf(first, sizeof(first), "%s", only_object());
    CHECK_INT(rename(first, harness_path("hidden")), ==, 0);
    fixture_tier(jini, JINI_TIERING_NOW, &run); /* finds it missing, and archives anew */
    fixture_tier(jini, JINI_TIERING_NOW, &run);
    CHECK_UINT(status_of(jini).objects_due, ==, 1);
    CHECK_INT(unlink(only_object()), ==, 0);
    CHECK_INT(unlink(path_of(jini, &images[0])), ==, 0);
    CHECK_INT(rename(harness_path("hidden"), first), ==, 0);
    fixture_tier(jini, 0, &run);
    CHECK_UINT(run.packs_regained, ==, 1);
    fixture_days_pass(2);
    fixture_tier(jini, JINI_TIERING_NOW, &run);
    CHECK_UINT(status_of(jini).objects_due, ==, 0);
    check_images(jini, 0, 2);
    fixture_verify(jini);
    close_engine(jini);
}
