/* Backups: whole by themselves, and none is written over by mistake. */
#include "backing_up.h"
#include "plant.h"
#include "small_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(
    a_backup_is_a_database_by_itself,
    "Images of every state, in open packs, in the archive and in both, read back from a backup, in "
    "which tiering goes on; the original keeps all that it had.")
{
    struct jini *jini = open_at("db");
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 2);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL); /* cold */
    put(jini, user, 2, 4);
    fixture_tier(jini, JINI_TIERING_NOW, NULL); /* here and in the archive */
    put(jini, user, 4, 6);                      /* open */
    struct jini_backup backup = back_up(jini, "copy", 0);
    CHECK_UINT(backup.packs, ==, 2);
    CHECK_UINT(backup.objects, ==, 2);
    CHECK_UINT(backup.files_copied, ==, 4);
    CHECK_UINT(backup.files_kept, ==, 0);
    CHECK(backup.record_bytes > 0 && backup.bytes_copied > 0);
    check_images(jini, 0, 6);
    check_backup("copy", 0, 6, false);
    put(jini, user, 6, 8); /* the pack goes on beside its copy */
    check_backup("copy", 0, 6, true);
    check_images(jini, 0, 8);
    CHECK_OK(jini_close(jini, NULL, NULL));
    check_backup("db", 0, 8, true);
}

TEST(a_backup_is_brought_up_to_date,
     "What does not change is copied once; what tiering has merged, freed and purged since is gone "
     "from the backup, too, and all images of now are there.")
{
    struct jini *jini = open_at("db");
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 3);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    put(jini, user, 3, 5);
    back_up(jini, "copy", 0);
    struct jini_backup again = back_up(jini, "copy", 0);
    CHECK_UINT(again.files_copied, ==, 1); /* the open pack may have grown */
    CHECK_UINT(again.files_kept, ==, 2);
    put(jini, user, 5, 7);
    purge(jini, &images[0]);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    again = back_up(jini, "copy", JINI_BACKUP_DEEP);
    CHECK_UINT(again.files_removed, ==, 3);
    check_backup("copy", 1, 7, false);
    again = back_up(jini, "copy", JINI_BACKUP_DEEP);
    CHECK_UINT(again.files_copied, ==, 0);
    CHECK_UINT(again.files_removed, ==, 0);
    check_backup("copy", 1, 7, true);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(an_archive_elsewhere_is_copied_into_the_backup,
     "The objects of an archive outside of the database lie in the archive of the backup, and what "
     "is deleted on one side is there on the other.")
{
    struct jini_options options;
    fixture_directory = harness_path("db");
    fixture_options(&options);
    snprintf(options.archive_url, sizeof(options.archive_url), "dir:%s", harness_path("shared"));
    struct jini *jini = fixture_open_with(&options);
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 4);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    CHECK_UINT(back_up(jini, "copy", 0).objects, ==, 1);
    struct jini *copy = open_at("copy");
    purge(copy, &images[0]);
    fixture_tier(copy, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    fixture_days_pass(1);
    fixture_tier(copy, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    check_images(jini, 0, 4);
    purge(jini, &images[1]);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    fixture_days_pass(1);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    check_images(copy, 1, 4);
    CHECK_OK(jini_close(copy, NULL, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- What is not written over ---- */

TEST(what_is_no_backup_of_this_database_is_left_alone,
     "A folder with something in it, a file, the backup of another database, and a place in the "
     "database itself are refused, and nothing in them is changed.")
{
    struct jini_error error;
    struct jini *jini = open_at("db");
    struct jini *other = open_at("other");
    uint64_t user = fixture_user(other, "bob", "Premium");
    put(other, user, 0, 1);
    back_up(other, "theirs", 0);
    CHECK_STATUS(try_backup(jini, "theirs", &error), JINI_E_CONFLICT);
    CHECK_CONTAINS(error.message, "another database");
    check_backup("theirs", 0, 1, false);
    CHECK_STATUS(try_backup(jini, "other", &error), JINI_E_EXISTS);
    CHECK_CONTAINS(error.message, "neither empty nor a backup");
    CHECK_STATUS(try_backup(jini, "db/copy", &error), JINI_E_INVALID);
    CHECK_STATUS(try_backup(jini, "db", &error), JINI_E_INVALID);
    CHECK_INT(access(harness_path("db/copy"), F_OK), ==, -1);
    CHECK_STATUS(try_backup(jini, "no/copy", &error), JINI_E_NOT_FOUND);
    CHECK_INT(mkdir(harness_path("mounted"), 0700), ==, 0);
    CHECK_INT(mkdir(harness_path("mounted/lost+found"), 0700), ==, 0);
    back_up(jini, "mounted", 0);
    CHECK_OK(jini_close(other, NULL, NULL));
    CHECK_STATUS(try_backup(jini, "other/data.mdb", &error), JINI_E_EXISTS);
    struct jini_backup none = request_for(NULL);
    CHECK_STATUS(jini_backup(jini, &none, NULL), JINI_E_INVALID);
    none.path = harness_path("copy");
    none.flags = 8;
    CHECK_STATUS(jini_backup(jini, &none, NULL), JINI_E_INVALID);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(folders_of_others_are_left_alone,
     "A backup with a folder that is the database's own, its archive's, or linked to elsewhere is "
     "refused, and so is one in the archive of the database; nothing is deleted there.")
{
    struct jini_options options;
    struct jini_error error;
    fixture_directory = harness_path("db");
    fixture_options(&options);
    snprintf(options.archive_url, sizeof(options.archive_url), "fault::dir:%s",
             harness_path("shared"));
    struct jini *jini = fixture_open_with(&options);
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 2);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    put(jini, user, 2, 4);
    fixture_tier(jini, 0, NULL);
    CHECK_STATUS(try_backup(jini, "shared/copy", &error), JINI_E_INVALID);
    CHECK_INT(access(harness_path("shared/copy"), F_OK), ==, -1);
    CHECK_STATUS(try_backup(jini, "shared", &error), JINI_E_INVALID);
    CHECK_INT(mkdir(harness_path("elsewhere"), 0700), ==, 0);
    static const char *const links[][3] = {
        {"copy/archive", "../shared", "archive"},
        {"copy/archive/packs", "../../shared/packs", "archive"},
        {"copy/packs", "../db/packs", "database"},
        {"copy/packs", "../elsewhere", "link"},
        {"copy/archive", "../elsewhere", "link"},
    };
    back_up(jini, "copy", 0);
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        const char *name = harness_path("%s", links[i][0]);
        CHECK_INT(rename(name, harness_path("aside")), ==, 0);
        CHECK_INT(symlink(links[i][1], name), ==, 0);
        CHECK_STATUS(try_backup(jini, "copy", &error), JINI_E_INVALID);
        CHECK_CONTAINS(error.message, links[i][2]);
        CHECK_INT(unlink(name), ==, 0);
        CHECK_INT(rename(harness_path("aside"), name), ==, 0);
    }
    back_up(jini, "copy", 0);
    check_images(jini, 0, 4);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* The folder of the only month in a folder of packs. */
static void find_month(const char *packs, char out[512])
{
    const struct dirent *entry;
    DIR *names = opendir(packs);
    CHECK(names);
    while ((entry = readdir(names)) && strncmp(entry->d_name, "20", 2) != 0)
        ;
    CHECK(entry);
    snprintf(out, 512, "%s/%.100s", packs, entry->d_name);
    closedir(names);
}

TEST(mounts_and_links_in_a_backup_are_refused,
     "What is mounted in a backup, or linked, also in place of the folder of a month, is somebody "
     "else's: nothing is deleted there.")
{
    char month[512];
    char theirs[512];
    struct jini_error error;
    small_disk_namespace();
    struct jini *other = open_at("other");
    put(other, fixture_user(other, "bob", "Premium"), 0, 2);
    fixture_tier(other, JINI_TIERING_NOW, NULL);
    struct jini *jini = open_at("db");
    put(jini, fixture_user(jini, "ada", "Premium"), 2, 4);
    back_up(jini, "copy", 0);
    snprintf(theirs, sizeof(theirs), "%s", harness_path("other/packs"));
    find_month(harness_path("copy/packs"), month);
    const char *const places[][2] = {{harness_path("copy/packs"), theirs}, {month, theirs}};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        CHECK_INT(mount(places[i][1], places[i][0], NULL, MS_BIND, NULL), ==, 0);
        CHECK_STATUS(try_backup(jini, "copy", &error), JINI_E_INVALID);
        CHECK_CONTAINS(error.message, "mounted");
        CHECK_INT(umount(places[i][0]), ==, 0);
    }
    CHECK_INT(rename(month, harness_path("aside")), ==, 0);
    CHECK_INT(symlink(theirs, month), ==, 0);
    CHECK_STATUS(try_backup(jini, "copy", &error), JINI_E_INVALID);
    CHECK_CONTAINS(error.message, "link");
    CHECK_INT(mkdir(harness_path("mounted"), 0700), ==, 0);
    CHECK_INT(mount(harness_path("db/packs"), harness_path("mounted"), NULL, MS_BIND, NULL), ==, 0);
    CHECK_STATUS(try_backup(jini, "mounted/copy", &error), JINI_E_INVALID);
    CHECK_INT(umount(harness_path("mounted")), ==, 0);
    check_images(other, 0, 2);
    CHECK_OK(jini_close(other, NULL, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_backup_of_a_later_state_is_kept,
     "A database that was put back to an earlier state does not know the backups that were made "
     "after it, and writes over none of them, whatever it has done since.")
{
    struct jini_error error;
    struct jini *jini = open_at("db");
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 2);
    back_up(jini, "copy", 0);
    CHECK_OK(jini_copy(jini, harness_path("early.mdb"), JINI_COPY_COMPACT, &error));
    put(jini, user, 2, 4);
    back_up(jini, "copy", 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
    CHECK_INT(rename(harness_path("early.mdb"), harness_path("db/data.mdb")), ==, 0);
    jini = open_at("db");
    for (unsigned i = 0; i < 4; i++)
        fixture_tier(jini, JINI_TIERING_NOW, NULL);
    CHECK_STATUS(try_backup(jini, "copy", &error), JINI_E_CONFLICT);
    CHECK_CONTAINS(error.message, "later state");
    check_backup("copy", 0, 4, false);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(
    a_backup_in_use_is_a_database_of_its_own,
    "One that was opened and looked at is brought up to date; one that a process has open, or that "
    "was written to since, is not.")
{
    struct jini_error error;
    struct jini *jini = open_at("db");
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 2);
    back_up(jini, "copy", 0);
    check_backup("copy", 0, 2, false);
    put(jini, user, 2, 3);
    back_up(jini, "copy", 0);
    struct jini *copy = open_at("copy");
    CHECK_STATUS(try_backup(jini, "copy", &error), JINI_E_LOCKED);
    CHECK_OK(jini_close(copy, NULL, NULL));
    int ends[2];
    char byte = 0;
    CHECK_INT(pipe(ends), ==, 0);
    pid_t pid = fork();
    if (pid == 0) {
        open_at("copy");
        CHECK_INT(write(ends[1], &byte, 1), ==, 1);
        pause();
    }
    CHECK_INT(read(ends[0], &byte, 1), ==, 1);
    CHECK_STATUS(try_backup(jini, "copy", &error), JINI_E_IN_USE);
    CHECK_CONTAINS(error.message, "has this database open");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    back_up(jini, "copy", 0);
    copy = open_at("copy");
    fixture_user(copy, "bob", "Free");
    CHECK_OK(jini_close(copy, NULL, NULL));
    CHECK_STATUS(try_backup(jini, "copy", &error), JINI_E_CONFLICT);
    CHECK_CONTAINS(error.message, "changed since");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- What ends early ---- */

struct meddling {
    struct jini *jini;
    struct jini_backup *backup;
    const char *phase;
    void (*meddle)(struct meddling *meddling);
    bool done;
};

static void on_progress(void *context, const char *phase, uint64_t done, uint64_t total)
{
    struct meddling *meddling = context;
    CHECK(total == 0 || done <= total);
    if (meddling->done || strcmp(phase, meddling->phase) != 0)
        return;
    meddling->done = true;
    meddling->meddle(meddling);
}

static int back_up_meddled(struct jini *jini, struct meddling *meddling)
{
    struct jini_backup backup = request_for(harness_path("copy"));
    meddling->jini = jini;
    meddling->backup = &backup;
    backup.progress = on_progress;
    backup.context = meddling;
    backup.report = NULL;
    int status = jini_backup(jini, &backup, NULL);
    CHECK(meddling->done);
    return status;
}

static void cancel(struct meddling *meddling)
{
    jini_cancel(meddling->jini, &meddling->backup->request);
}

static void lose_lease(struct meddling *meddling)
{
    struct tuple key;
    uint8_t row[32] = {0};
    tuple_begin(&key);
    tuple_add_text(&key, slice_of_text(LEASE_OF_TIERING));
    store_le64(row, 1000); /* epoch */
    store_le32(row + 8, UINT32_MAX);
    plant_row(meddling->jini, STORE_SPACE_LEASES, &key, row, sizeof(row));
}

TEST(
    a_backup_that_ends_early_leaves_the_one_before,
    "Cancelled among packs or objects, or held up until tiering took over, a backup is what it was "
    "before; the next one goes on with what was copied.")
{
    static const struct meddling ways[] = {
        {.phase = "packs", .meddle = cancel},
        {.phase = "objects", .meddle = cancel},
        {.phase = "objects", .meddle = lose_lease},
    };
    struct jini *jini = open_at("db");
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 2);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    struct meddling first = ways[1];
    CHECK_STATUS(back_up_meddled(jini, &first), JINI_E_CANCELLED);
    CHECK_INT(access(harness_path("copy/data.mdb"), F_OK), ==, -1);
    CHECK_UINT(back_up(jini, "copy", 0).files_kept, ==, 1);
    for (unsigned i = 0; i < 3; i++) {
        put(jini, user, 2 + i, 3 + i);
        fixture_tier(jini, JINI_TIERING_NOW, NULL);
        struct meddling meddling = ways[i];
        CHECK_STATUS(back_up_meddled(jini, &meddling), i < 2 ? JINI_E_CANCELLED : JINI_E_CONFLICT);
        CHECK_INT(access(harness_path("copy/partial"), F_OK), ==, -1);
        check_backup("copy", 0, 2, false);
    }
    back_up(jini, "copy", 0);
    check_backup("copy", 0, 5, true);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* Another process, which runs tiering when it is told to. */
static pid_t runner;
static int tell_runner;

static void start_runner(void)
{
    int ends[2];
    char byte;
    CHECK_INT(pipe(ends), ==, 0);
    runner = fork();
    CHECK(runner >= 0);
    if (runner == 0) {
        struct jini_archive_run run;
        CHECK_INT(read(ends[0], &byte, 1), ==, 1);
        struct jini *jini = fixture_open();
        jini_request_init(&run);
        run.flags = JINI_TIERING_NOW;
        run.request.timeout_ms = 50;
        _exit(-jini_archive_run(jini, &run, NULL));
    }
    close(ends[0]);
    tell_runner = ends[1];
}

/* A run of this process, and one of another, while the backup is at its objects. */
static void run_tiering(struct meddling *meddling)
{
    char byte = 0;
    CHECK_INT(write(tell_runner, &byte, 1), ==, 1);
    harness_wait_exit(runner, -JINI_E_LOCKED);
    struct lease lease; /* as a run of this process would take it */
    CHECK_STATUS(lease_hold(meddling->jini, LEASE_OF_TIERING, 0, &lease), JINI_E_LOCKED);
}

TEST(tiering_waits_for_a_backup,
     "While a backup is made no process runs tiering, also not its own; tiering goes on when it is "
     "done.")
{
    fixture_directory = harness_path("db");
    start_runner();
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 2);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    put(jini, user, 2, 3);
    struct meddling meddling = {.phase = "objects", .meddle = run_tiering};
    CHECK_OK(back_up_meddled(jini, &meddling));
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    check_images(jini, 0, 3);
    CHECK_OK(jini_close(jini, NULL, NULL));
    check_backup("copy", 0, 3, true);
}

TEST(who_only_reads_makes_no_backup, "Only who may write keeps tiering from running.")
{
    struct jini_options options;
    struct jini_error error;
    CHECK_OK(jini_close(open_at("db"), NULL, NULL));
    fixture_options(&options);
    options.read_only = 1;
    struct jini *jini = fixture_open_with(&options);
    CHECK_STATUS(try_backup(jini, "copy", &error), JINI_E_READ_ONLY);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
