/* Packs beside what goes wrong with one of them. */
#include "base/tuple.h"
#include "engine/engine_private.h"
#include "images/index.h"

#include "engine_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int put_for_job(struct jini *jini, uint64_t user, const struct jini_id *job)
{
    struct png_request png = {64, 64, 1, "made for a test", NULL};
    struct jini_image_put put;
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    put.user_id = user;
    put.job_id = *job;
    int status = jini_image_put(jini, &put, NULL);
    free(file);
    return status;
}

TEST(a_pack_in_use_is_not_collected,
     "A pack of a live process that no image names yet is not taken for garbage, however old.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id nobody = {{1}};
    CHECK_STATUS(put_for_job(jini, user, &nobody), JINI_E_NOT_FOUND);
    fixture_days_pass(1);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    struct jini_id image = fixture_put(jini, user, 7);
    CHECK_OK(fixture_get(jini, &image, 7));
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    CHECK_OK(fixture_get(jini, &image, 7));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* Overwrites the middle of the pack that holds an image. */
static void damage_pack_of(struct jini *jini, const struct jini_id *id)
{
    struct jini_image_place place = fixture_locate(jini, id);
    char text[JINI_ID_TEXT_MAX];
    char command[512];
    jini_id_format(&place.pack_id, text);
    snprintf(command, sizeof(command), "%s/packs", fixture_db());
    DIR *months = opendir(command);
    CHECK(months != NULL);
    bool found = false;
    const struct dirent *month;
    while ((month = readdir(months)) != NULL) {
        char path[1024];
        snprintf(path, sizeof(path), "%s/%s/%s.pack", command, month->d_name, text);
        int descriptor = open(path, O_WRONLY | O_CLOEXEC);
        if (descriptor < 0)
            continue;
        static const char rot[512] = "rot";
        CHECK_INT(pwrite(descriptor, rot, sizeof(rot), 6000), ==, sizeof(rot));
        close(descriptor);
        found = true;
    }
    closedir(months);
    CHECK(found);
}

TEST(a_damaged_small_pack_holds_up_no_other,
     "A pack that cannot be rewritten is reported, and tiering of all others goes on.")
{
    struct jini *jini = fixture_open();
    uint64_t premium = fixture_user(jini, "pia", "Premium");
    uint64_t basic = fixture_user(jini, "bob", "Basic");
    struct jini_id bad = fixture_put(jini, premium, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
    jini = fixture_open();
    struct jini_id neighbour = fixture_put(jini, premium, 2);
    struct jini_id other = fixture_put(jini, basic, 3);
    CHECK_OK(jini_close(jini, NULL, NULL));
    jini = fixture_open();
    damage_pack_of(jini, &bad);
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT;
    CHECK_STATUS(jini_archive_run(jini, &run, NULL), JINI_E_CORRUPT);
    CHECK_INT(fixture_locate(jini, &other).state, ==, JINI_IMAGE_COLD);
    CHECK_OK(fixture_get(jini, &neighbour, 2));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

struct rot {
    enum store_space space;
    struct tuple key;
};

static int op_overwrite(struct store_txn *txn, void *argument)
{
    const struct rot *rot = argument;
    return store_put(txn, rot->space, tuple_key(&rot->key), slice_of("rot", 3));
}

/* Overwrites the row of a pack or an image. */
static void damage_row(struct jini *jini, enum store_space space, const struct jini_id *id)
{
    struct rot rot = {.space = space};
    tuple_begin(&rot.key);
    tuple_add_id(&rot.key, id);
    CHECK_OK(store_write(jini->store, op_overwrite, &rot));
}

TEST(a_damaged_row_of_a_pack_holds_up_no_other,
     "A pack whose row cannot be read is reported and let be: the images of others are archived "
     "and freed.")
{
    struct jini *jini = fixture_open();
    uint64_t premium = fixture_user(jini, "pia", "Premium");
    uint64_t basic = fixture_user(jini, "bob", "Basic");
    struct jini_id bad = fixture_put(jini, premium, 1);
    struct jini_id other = fixture_put(jini, basic, 2);
    CHECK_OK(jini_close(jini, NULL, NULL)); /* seals both */
    jini = fixture_open();
    struct jini_image_place place = fixture_locate(jini, &bad);
    damage_row(jini, STORE_SPACE_PACKS, &place.pack_id);
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT;
    CHECK_STATUS(jini_archive_run(jini, &run, NULL), JINI_E_CORRUPT);
    CHECK_UINT(run.packs_failed, ==, 1);
    CHECK_INT(fixture_locate(jini, &other).state, ==, JINI_IMAGE_COLD);
    CHECK_OK(fixture_get(jini, &other, 2));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_damaged_image_holds_up_no_others_expiry, "Images in the trash are purged when their time is "
                                                "over, also behind one whose record cannot be "
                                                "read.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id ids[3];
    struct jini_image_remove remove;
    for (uint64_t i = 0; i < 3; i++) {
        ids[i] = fixture_put(jini, user, i);
        jini_request_init(&remove);
        remove.id = ids[i];
        CHECK_OK(jini_image_remove(jini, &remove, NULL));
    }
    damage_row(jini, STORE_SPACE_IMAGES, &ids[0]);
    fixture_days_pass(8);
    struct jini_archive_run run;
    fixture_tier(jini, 0, &run);
    CHECK_UINT(run.images_purged, ==, 2);
    fixture_tier(jini, 0, &run);
    CHECK_UINT(run.images_purged, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(images_of_a_damaged_pack_expire, "Images whose pack's row cannot be read are purged when "
                                      "their time is over, and the run goes on "
                                      "to others.")
{
    struct jini *jini = fixture_open();
    uint64_t premium = fixture_user(jini, "pia", "Premium");
    uint64_t basic = fixture_user(jini, "bob", "Basic");
    struct jini_id doomed = fixture_put(jini, premium, 1);
    struct jini_id other = fixture_put(jini, basic, 2);
    CHECK_OK(jini_close(jini, NULL, NULL));
    jini = fixture_open();
    struct jini_image image;
    struct jini_error error;
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = doomed;
    CHECK_OK(jini_image_remove(jini, &remove, NULL));
    struct jini_image_place place = fixture_locate(jini, &doomed);
    damage_row(jini, STORE_SPACE_PACKS, &place.pack_id);
    fixture_days_pass(8);
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT;
    CHECK_STATUS(jini_archive_run(jini, &run, NULL), JINI_E_CORRUPT); /* of the pack */
    CHECK_UINT(run.images_purged, ==, 1);
    CHECK_STATUS(jini_image_stat(jini, &doomed, &image, &error), JINI_E_NOT_FOUND);
    CHECK_INT(fixture_locate(jini, &other).state, ==, JINI_IMAGE_COLD);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(an_image_belongs_to_whom_its_job_belongs,
     "An image for the job of another user is refused and leaves nothing.")
{
    struct jini *jini = fixture_open();
    uint64_t alice = fixture_user(jini, "alice", "Premium");
    uint64_t bob = fixture_user(jini, "bob", "Premium");
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject.kind = JINI_SUBJECT_USER;
    admit.subject.number = alice;
    admit.parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    admit.prompt = "a lighthouse";
    CHECK_OK(jini_admit(jini, &admit, NULL));
    CHECK_STATUS(put_for_job(jini, bob, &admit.job.id), JINI_E_FORBIDDEN);
    CHECK_OK(put_for_job(jini, alice, &admit.job.id));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void archive_and_close(uint64_t *user, struct jini_id *image)
{
    struct jini *jini = fixture_open();
    *user = fixture_user(jini, "alice", "Premium");
    *image = fixture_put(jini, *user, 1);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static int free_hot(struct jini *jini, struct jini_archive_run *run)
{
    jini_request_init(run);
    run->flags = JINI_TIERING_FREE_HOT;
    return jini_archive_run(jini, run, NULL);
}

static int run_all_now(struct jini *jini, struct jini_archive_run *run)
{
    jini_request_init(run);
    run->flags = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT;
    return jini_archive_run(jini, run, NULL);
}

TEST(nothing_is_freed_when_the_archive_is_not_there,
     "An empty directory where the archive was is no archive: it is refused and left empty, and "
     "the local copies stay.")
{
    uint64_t user;
    struct jini_id image;
    struct jini_archive_run run;
    archive_and_close(&user, &image);
    CHECK_INT(rename(harness_path("db/archive"), harness_path("away")), ==, 0);
    struct jini *jini = fixture_open();
    CHECK_STATUS(free_hot(jini, &run), JINI_E_ARCHIVE);
    CHECK_INT(mkdir(harness_path("db/archive"), 0700), ==, 0);
    CHECK_STATUS(free_hot(jini, &run), JINI_E_ARCHIVE);
    CHECK_UINT(run.packs_freed, ==, 0);
    CHECK_OK(fixture_get(jini, &image, 1));
    CHECK_INT(rmdir(harness_path("db/archive")), ==, 0);
    CHECK_INT(rename(harness_path("away"), harness_path("db/archive")), ==, 0);
    CHECK_OK(free_hot(jini, &run));
    CHECK_UINT(run.packs_freed, ==, 1);
    CHECK_OK(fixture_get(jini, &image, 1));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(
    an_archive_that_was_moved_meanwhile_is_told,
    "When its directory is renamed beneath an open engine, nothing goes there; put back, it is the "
    "archive again.")
{
    struct jini_archive_run run;
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id first = fixture_put(jini, user, 1);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    CHECK_INT(rename(harness_path("db/archive"), harness_path("away")), ==, 0);
    struct jini_id second = fixture_put(jini, user, 2);
    CHECK_STATUS(run_all_now(jini, &run), JINI_E_ARCHIVE);
    CHECK_UINT(run.packs_archived + run.packs_freed, ==, 0);
    CHECK_INT(access(harness_path("db/archive"), F_OK), ==, -1);
    CHECK_INT(rename(harness_path("away"), harness_path("db/archive")), ==, 0);
    CHECK_OK(run_all_now(jini, &run));
    CHECK_UINT(run.packs_freed, ==, 2);
    CHECK_OK(fixture_get(jini, &first, 1));
    CHECK_OK(fixture_get(jini, &second, 2));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(another_working_directory_is_no_other_archive,
     "A database that was opened by a relative path stays where it is when the process moves on.")
{
    struct jini_options options;
    struct jini *jini;
    struct jini_archive_run run;
    fixture_options(&options);
    CHECK_INT(mkdir("elsewhere", 0700), ==, 0);
    CHECK_OK(jini_open(&jini, "db", &options, NULL));
    CHECK_INT(chdir("elsewhere"), ==, 0);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id id = fixture_put(jini, user, 1);
    CHECK_OK(run_all_now(jini, &run));
    CHECK_UINT(run.packs_freed, ==, 1);
    CHECK_OK(fixture_get(jini, &id, 1));
    CHECK_OK(jini_close(jini, NULL, NULL));
    CHECK_INT(access("../db/archive/packs", F_OK), ==, 0);
    CHECK_INT(rmdir("../elsewhere"), ==, 0);
}

TEST(a_lost_object_is_put_again_from_the_local_copy,
     "A pack whose object is gone is not freed: the run reports it, and the next one archives it "
     "anew.")
{
    uint64_t user;
    struct jini_id image;
    struct jini_archive_run run;
    archive_and_close(&user, &image);
    harness_remove(harness_path("db/archive/packs"));
    struct jini *jini = fixture_open();
    CHECK_STATUS(free_hot(jini, &run), JINI_E_ARCHIVE);
    CHECK_UINT(run.packs_freed, ==, 0);
    CHECK_OK(fixture_get(jini, &image, 1));
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run);
    CHECK_UINT(run.packs_archived, ==, 1);
    CHECK_UINT(run.packs_freed, ==, 1);
    CHECK_OK(fixture_get(jini, &image, 1));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void lose_archive(void)
{
    harness_remove(harness_path("db/archive"));
}

TEST(a_lost_archive_is_made_anew_when_asked_for,
     "An archive that is gone is not made again by a run, which names what does; then one run "
     "brings back all that is on the local disk.")
{
    uint64_t user;
    struct jini_id image;
    struct jini_archive_run run;
    struct jini_error error;
    archive_and_close(&user, &image);
    lose_archive();
    struct jini *jini = fixture_open();
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW;
    CHECK_STATUS(jini_archive_run(jini, &run, NULL), JINI_E_ARCHIVE);
    CHECK_CONTAINS(run.request.error.message, "jini archive init");
    CHECK_OK(jini_archive_init(jini, &error));
    CHECK_STATUS(jini_archive_init(jini, &error), JINI_E_EXISTS);
    fixture_tier(jini, JINI_TIERING_NOW, &run);
    CHECK_UINT(run.packs_archived, ==, 1);
    CHECK_UINT(run.images_archived, ==, 1);
    fixture_verify(jini);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run);
    CHECK_UINT(run.packs_archived, ==, 0);
    CHECK_UINT(run.packs_freed, ==, 1);
    CHECK_OK(fixture_get(jini, &image, 1));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_lost_archive_is_told_of_when_all_is_cold,
     "A run for everything tells that the archive is gone, also when nothing is left to be moved "
     "there.")
{
    uint64_t user;
    struct jini_id image;
    struct jini_archive_run run;
    archive_and_close(&user, &image);
    struct jini *jini = fixture_open();
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run);
    CHECK_UINT(run.packs_freed, ==, 1);
    fixture_tier(jini, JINI_TIERING_NOW, &run);
    CHECK_OK(jini_close(jini, NULL, NULL));
    CHECK_INT(rename(harness_path("db/archive"), harness_path("away")), ==, 0);
    jini = fixture_open();
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW;
    CHECK_STATUS(jini_archive_run(jini, &run, NULL), JINI_E_ARCHIVE);
    CHECK_CONTAINS(run.request.error.message, "jini archive init");
    CHECK_UINT(run.packs_failed, ==, 0);
    CHECK_INT(rename(harness_path("away"), harness_path("db/archive")), ==, 0);
    fixture_tier(jini, JINI_TIERING_NOW, &run);
    CHECK_OK(fixture_get(jini, &image, 1));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(an_archive_is_lost_beneath_a_process_that_has_it_open,
     "What a process had opened before an archive was lost and made anew is let go of.")
{
    struct jini_archive_run run;
    struct jini_error error;
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id image = fixture_put(jini, user, 1);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    lose_archive();
    CHECK_OK(jini_archive_init(jini, &error));
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run);
    CHECK_UINT(run.packs_archived, ==, 1);
    CHECK_OK(fixture_get(jini, &image, 1));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_new_archive_is_refused_read_only, "Who may only read makes no archive.")
{
    uint64_t user;
    struct jini_id image;
    struct jini_error error;
    struct jini_options options;
    archive_and_close(&user, &image);
    lose_archive();
    fixture_options(&options);
    options.read_only = 1;
    struct jini *jini = fixture_open_with(&options);
    CHECK_STATUS(jini_archive_init(jini, &error), JINI_E_READ_ONLY);
    CHECK_INT(access(harness_path("db/archive"), F_OK), ==, -1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

struct told {
    unsigned count;
    char object[128];
    struct jini_id pack;
};

static void note_archive(void *context, const struct jini_tiering_event *event)
{
    struct told *told = context;
    if (event->step == JINI_TIERING_SEAL)
        CHECK(event->object[0] == '\0');
    if (event->step != JINI_TIERING_ARCHIVE)
        return;
    told->count++;
    told->pack = event->pack_id;
    snprintf(told->object, sizeof(told->object), "%s", event->object);
}

TEST(a_report_names_the_object_that_was_written,
     "The event of archiving has the name under which the object lies there, and a dry run none.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    fixture_put(jini, user, 1);
    struct told told = {0};
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW | JINI_TIERING_DRY_RUN;
    run.report = note_archive;
    run.report_context = &told;
    CHECK_OK(jini_archive_run(jini, &run, NULL));
    CHECK_UINT(told.count, ==, 1);
    CHECK(told.object[0] == '\0');
    run.flags = JINI_TIERING_NOW;
    CHECK_OK(jini_archive_run(jini, &run, NULL));
    CHECK_UINT(told.count, ==, 2);
    CHECK(told.object[0] != '\0');
    CHECK_INT(access(harness_path("db/archive/%s", told.object), F_OK), ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void note_seal(void *context, const struct jini_tiering_event *event)
{
    uint64_t *images = context;
    if (event->step == JINI_TIERING_SEAL)
        images[event->images == 1 ? 0 : 1]++;
}

TEST(each_pack_that_is_sealed_is_told, "The open packs of a process, which are sealed together, "
                                       "are reported one by one, as a dry run has them.")
{
    struct jini *jini = fixture_open();
    struct jini_archive_run run;
    fixture_put(jini, fixture_user(jini, "pia", "Premium"), 1);
    uint64_t bob = fixture_user(jini, "bob", "Basic");
    fixture_put(jini, bob, 2);
    fixture_put(jini, bob, 3);
    jini_request_init(&run);
    run.report = note_seal;
    for (int real = 0; real < 2; real++) {
        uint64_t seals[2] = {0};
        run.flags = JINI_TIERING_NOW | (real ? 0 : (uint32_t)JINI_TIERING_DRY_RUN);
        run.report_context = seals;
        CHECK_OK(jini_archive_run(jini, &run, NULL));
        CHECK_UINT(seals[0], ==, 1);
        CHECK_UINT(seals[1], ==, 1);
    }
    CHECK_UINT(run.packs_sealed, ==, 2);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_request_that_runs_again_counts_anew, "The counts of a run are its own: the open packs of "
                                            "all classes the first time, none the second.")
{
    struct jini *jini = fixture_open();
    fixture_put(jini, fixture_user(jini, "pia", "Premium"), 1);
    fixture_put(jini, fixture_user(jini, "bob", "Basic"), 2);
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW;
    CHECK_OK(jini_archive_run(jini, &run, NULL));
    CHECK_UINT(run.packs_sealed, ==, 2);
    CHECK_UINT(run.packs_archived, ==, 2);
    CHECK_UINT(run.packs_in_use, ==, 0);
    CHECK_OK(jini_archive_run(jini, &run, NULL));
    CHECK_UINT(run.packs_sealed, ==, 0);
    CHECK_UINT(run.packs_archived, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* A process that has put an image and keeps its pack open, until it is told to end. */
struct neighbour {
    pid_t pid;
    int ready[2];
    int done[2];
};

static void start_neighbour(struct neighbour *neighbour, uint64_t user)
{
    char byte = 0;
    CHECK_INT(pipe2(neighbour->ready, O_CLOEXEC), ==, 0);
    CHECK_INT(pipe2(neighbour->done, O_CLOEXEC), ==, 0);
    neighbour->pid = fork();
    if (neighbour->pid == 0) {
        fixture_put(fixture_open(), user, 1);
        CHECK_INT(write(neighbour->ready[1], &byte, 1), ==, 1);
        CHECK_INT(read(neighbour->done[0], &byte, 1), ==, 1);
        _exit(0);
    }
    CHECK_INT(read(neighbour->ready[0], &byte, 1), ==, 1);
}

static void end_neighbour(struct neighbour *neighbour)
{
    char byte = 0;
    CHECK_INT(write(neighbour->done[1], &byte, 1), ==, 1);
    harness_wait_exit(neighbour->pid, 0);
    for (int i = 0; i < 2; i++) {
        close(neighbour->ready[i]);
        close(neighbour->done[i]);
    }
}

static uint64_t add_alice(void)
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    CHECK_OK(jini_close(jini, NULL, NULL));
    return user;
}

TEST(packs_of_other_processes_are_asked_for,
     "A run for now has another live process seal its open pack, and archives it; a run by age "
     "leaves it alone.")
{
    struct neighbour neighbour;
    struct jini_archive_run run;
    start_neighbour(&neighbour, add_alice());
    struct jini *jini = fixture_open();
    fixture_tier(jini, 0, &run);
    CHECK_UINT(run.packs_in_use, ==, 1);
    fixture_tier(jini, JINI_TIERING_NOW, &run);
    CHECK_UINT(run.packs_in_use, ==, 0);
    CHECK_UINT(run.in_use_by_count, ==, 0);
    CHECK_UINT(run.packs_sealed, ==, 1);
    CHECK_UINT(run.packs_archived, ==, 1);
    end_neighbour(&neighbour);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(packs_of_stopped_processes_are_left_and_counted,
     "A run for now goes on without a process that does not answer, names it, and takes its pack "
     "when it is gone.")
{
    struct neighbour neighbour;
    struct jini_archive_run run;
    start_neighbour(&neighbour, add_alice());
    CHECK_INT(kill(neighbour.pid, SIGSTOP), ==, 0);
    struct jini *jini = fixture_open();
    fixture_tier(jini, JINI_TIERING_NOW, &run);
    CHECK_UINT(run.packs_in_use, ==, 1);
    CHECK_UINT(run.in_use_by_count, ==, 1);
    CHECK_INT(run.in_use_by[0], ==, neighbour.pid);
    CHECK_UINT(run.packs_archived, ==, 0);
    CHECK_INT(kill(neighbour.pid, SIGKILL), ==, 0);
    CHECK_INT(waitpid(neighbour.pid, NULL, 0), ==, neighbour.pid);
    fixture_tier(jini, JINI_TIERING_NOW, &run);
    CHECK_UINT(run.packs_in_use, ==, 0);
    CHECK_UINT(run.packs_sealed, ==, 1);
    CHECK_UINT(run.packs_archived, ==, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

enum { WRITERS = 2, WRITES_MAX = 20000, RUN_S_MAX = 60 };

struct steady {
    struct jini *jini;
    uint64_t user;
    _Atomic bool stop;
    _Atomic uint64_t puts;
};

static void *put_all_the_time(void *argument)
{
    struct steady *steady = argument;
    while (!atomic_load(&steady->stop)) {
        uint64_t number = atomic_fetch_add(&steady->puts, 1);
        if (number >= WRITES_MAX)
            break;
        fixture_put(steady->jini, steady->user, 1000 + number);
    }
    return NULL;
}

TEST(a_run_ends_beside_steady_writers,
     "A run for now moves what was there when it began, and does not chase what is put meanwhile.")
{
    pthread_t threads[WRITERS];
    struct jini_options options;
    fixture_options(&options);
    options.pack_bytes_max = 64 * 1024;
    struct steady steady = {.jini = fixture_open_with(&options)};
    steady.user = fixture_user(steady.jini, "alice", "Premium");
    struct jini_id before = fixture_put(steady.jini, steady.user, 1);
    for (int i = 0; i < WRITERS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, put_all_the_time, &steady), ==, 0);
    while (atomic_load(&steady.puts) < 50)
        usleep(1000);
    uint64_t began_ns = fixture_boot_ns(NULL);
    fixture_tier(steady.jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    uint64_t took_s = (fixture_boot_ns(NULL) - began_ns) / 1000000000u;
    CHECK(atomic_load(&steady.puts) < WRITES_MAX); /* it was beside them to the end */
    atomic_store(&steady.stop, true);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_UINT(took_s, <, RUN_S_MAX);
    CHECK_INT(fixture_locate(steady.jini, &before).state, ==, JINI_IMAGE_COLD);
    fixture_verify(steady.jini);
    CHECK_OK(jini_close(steady.jini, NULL, NULL));
}
