/*
 * Power loss in the middle of the main job. One life of an engine is recorded: every write, sync,
 * truncation, rename and directory sync of all its files, in one log with marks for what was
 * acknowledged, and before each mark what mappings hold. From the log images are built of what a
 * loss of power at any point may leave, each is opened, everything acknowledged by then must be
 * there, and quotas must agree with the jobs.
 *
 * The same is done with the syncs of one kind of file or directory left out: then some image must
 * be found to have lost something, or the test proves nothing.
 */
#include "powerloss.h"
#include "faults.h"
#include "quotas.h"

#include "harness.h"
#include "png.h"

#include <jini/jini.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* CUTS and those of marks are looked at, SEEDS images of each. */
enum { OPS = 16, JOBS = 2 * OPS, CUTS = 60, SEEDS = 3 };

static const char address[] = "192.0.2.7"; /* of every fourth image */

/*
 * How closely is looked. A planted loss shows at the mark of what is lost, in the image that has
 * nothing but what is durable, and is enough. But what is made only once, and synced under another
 * name later, is in danger for a few records: then every one of the first cuts is looked at, with
 * more images.
 */
enum looking { LOOK_AT_ALL, LOOK_FOR_LOSS, LOOK_AT_MAKING };
enum { CUTS_OF_MAKING = 40, SEEDS_OF_MAKING = 8 };

/* A sanitizer is many times slower, and finds nothing by more images of the same files. */
enum { CUTS_SANITIZED = 20, SEEDS_SANITIZED = 2 };

static struct jini *open_at(const char *directory)
{
    struct jini_options options;
    struct jini_error error;
    struct jini *jini;
    jini_options_init(&options);
    options.create = 1;
    options.background_run = 0;
    options.pack_bytes_max = 64 * 1024;
    options.store_reserve_bytes = 64 * 1024;
    options.store_map_bytes = 64 << 20;
    options.limits_slots = 64;
    options.limits_slots_anonymous = 64;
    options.cache_users = 16;
    options.store_readers_max = 16;
    options.cpu_threads = 1;
    int status = jini_open(&jini, directory, &options, &error);
    if (status) {
        fprintf(stderr, "jini_open: %s: %s\n", error.field, error.message);
        return NULL;
    }
    return jini;
}

static uint8_t *picture(unsigned seed, size_t *length)
{
    char text[1600];
    struct png_request png = {24 + seed % 5 * 16, 24, seed, text, NULL};
    memset(text, 'a' + (int)(seed % 26), sizeof(text));
    text[seed % 3 == 0 ? 1500 : 100] = '\0';
    return png_make(&png, length);
}

/* ---- The life that is recorded ---- */

static void mark_job(const char *what, const struct jini_id *id)
{
    char text[JINI_ID_TEXT_MAX];
    jini_id_format(id, text);
    fault_mark("%s %s", what, text);
}

static struct jini_id admit_one(struct jini *jini, uint64_t user, bool anonymous)
{
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    if (anonymous)
        CHECK_OK(jini_subject_parse_address(address, &admit.subject));
    admit.parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 1, .count = 1};
    CHECK_OK(jini_admit(jini, &admit, NULL));
    mark_job("admitted", &admit.job.id);
    return admit.job.id;
}

static void remove_one(struct jini *jini, unsigned seed, const struct jini_id *id)
{
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = *id;
    fault_mark("removing %u", seed);
    CHECK_OK(jini_image_remove(jini, &remove, NULL));
    fault_mark("removed %u", seed);
}

static void store_one(struct jini *jini, uint64_t user, unsigned seed)
{
    struct jini_image_put put;
    char id[JINI_ID_TEXT_MAX];
    char job[JINI_ID_TEXT_MAX];
    size_t length;
    bool anonymous = seed % 4 == 3;
    uint8_t *file = picture(seed, &length);
    jini_request_init(&put);
    put.job_id = admit_one(jini, user, anonymous);
    put.bytes = file;
    put.length = length;
    put.user_id = anonymous ? 0 : user;
    put.flags = JINI_PUT_SETTLES;
    CHECK_OK(jini_image_put(jini, &put, NULL));
    jini_id_format(&put.image.id, id);
    jini_id_format(&put.job_id, job);
    fault_mark("stored %u %s %s", seed, id, job);
    free(file);
    if (seed % 6 == 5)
        remove_one(jini, seed, &put.image.id);
}

static void release_one(struct jini *jini, uint64_t user)
{
    struct jini_release release;
    jini_request_init(&release);
    release.job_id = admit_one(jini, user, false);
    release.state = JINI_JOB_CANCELLED;
    CHECK_OK(jini_release(jini, &release, NULL));
    mark_job("cancelled", &release.job_id);
}

static void live(const char *directory)
{
    struct jini *jini = open_at(directory);
    CHECK(jini != NULL);
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "alice");
    snprintf(add.user.tier, sizeof(add.user.tier), "Premium");
    add.user.flags = JINI_USER_ACTIVE;
    CHECK_OK(jini_user_add(jini, &add, NULL));
    fault_mark("user %llu", (unsigned long long)add.user.id);
    for (unsigned i = 0; i < OPS; i++) {
        store_one(jini, add.user.id, i);
        if (i % 5 == 1)
            release_one(jini, add.user.id);
        if (i % 8 == 2)
            admit_one(jini, add.user.id, i > 8); /* and nobody comes back for it */
        if (i % 6 == 5) {
            struct jini_archive_run run;
            jini_request_init(&run);
            run.flags = JINI_TIERING_NOW | (i > 6 ? JINI_TIERING_FREE_HOT : 0);
            CHECK_OK(jini_archive_run(jini, &run, NULL));
        }
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- What an image must hold ---- */

struct stored {
    unsigned seed;
    struct jini_id id;
    bool removing;
    bool removed;
};

struct known_job {
    struct jini_id id;
    enum jini_job_state state; /* IN_QUEUE: its end was not acknowledged */
};

struct acknowledged {
    uint64_t user;
    unsigned count;
    struct stored images[OPS];
    unsigned job_count;
    struct known_job jobs[JOBS];
};

static void end_job(struct acknowledged *acknowledged, const char *text, enum jini_job_state state)
{
    struct known_job *last = &acknowledged->jobs[acknowledged->job_count - 1];
    struct jini_id id;
    CHECK_OK(jini_id_parse(text, &id));
    CHECK_INT(jini_id_compare(&id, &last->id), ==, 0);
    last->state = state;
}

static struct stored *find_stored(struct acknowledged *acknowledged, unsigned seed)
{
    for (unsigned i = 0; i < acknowledged->count; i++) {
        if (acknowledged->images[i].seed == seed)
            return &acknowledged->images[i];
    }
    harness_fail(__FILE__, __LINE__, "image %u is removed and was never stored", seed);
}

static void take_mark(struct acknowledged *acknowledged, const char *mark)
{
    struct stored stored = {0};
    char id[JINI_ID_TEXT_MAX];
    char settled[JINI_ID_TEXT_MAX];
    unsigned long long user;
    unsigned seed;
    if (sscanf(mark, "removing %u", &seed) == 1) {
        find_stored(acknowledged, seed)->removing = true;
    } else if (sscanf(mark, "removed %u", &seed) == 1) {
        find_stored(acknowledged, seed)->removed = true;
    } else if (sscanf(mark, "user %llu", &user) == 1) {
        acknowledged->user = user;
    } else if (sscanf(mark, "admitted %36s", id) == 1) {
        CHECK_UINT(acknowledged->job_count, <, JOBS);
        struct known_job *job = &acknowledged->jobs[acknowledged->job_count++];
        CHECK_OK(jini_id_parse(id, &job->id));
        job->state = JINI_JOB_IN_QUEUE;
    } else if (sscanf(mark, "cancelled %36s", id) == 1) {
        end_job(acknowledged, id, JINI_JOB_CANCELLED);
    } else if (sscanf(mark, "stored %u %36s %36s", &stored.seed, id, settled) == 3) {
        end_job(acknowledged, settled, JINI_JOB_COMPLETED);
        CHECK_OK(jini_id_parse(id, &stored.id));
        acknowledged->images[acknowledged->count++] = stored;
    }
}

/* Every acknowledged job is there and as it was; quotas are what the jobs on record make them. */
static int check_jobs(struct jini *jini, const struct acknowledged *acknowledged)
{
    struct quotas quotas = {.user = acknowledged->user};
    struct jini_subject subject;
    int lost = 0;
    for (unsigned i = 0; i < acknowledged->job_count; i++) {
        const struct known_job *known = &acknowledged->jobs[i];
        struct jini_job job;
        struct jini_error error;
        int status = jini_job_get(jini, &known->id, &job, &error);
        bool wrong =
            status != 0 || (known->state != JINI_JOB_IN_QUEUE && job.state != known->state);
        if (wrong)
            fprintf(stderr, "job %u: %s, %s\n", i, jini_status_name(status),
                    jini_job_state_name(job.state));
        lost |= wrong;
    }
    CHECK_OK(jini_subject_parse_address(address, &subject));
    memcpy(quotas.address, subject.address, sizeof(quotas.address));
    return lost | (acknowledged->user != 0 && quotas_check(jini, &quotas) != 0);
}

static int check_one(struct jini *jini, const struct stored *stored)
{
    struct jini_image_get get;
    size_t length;
    uint8_t *file = picture(stored->seed, &length);
    uint8_t *bytes = malloc(length);
    jini_request_init(&get);
    get.id = stored->id;
    get.buffer = bytes;
    get.capacity = length;
    int status = jini_image_get(jini, &get, NULL);
    bool gone = status == JINI_E_NOT_FOUND && stored->removing;
    int lost = status != 0 || get.length != length || memcmp(bytes, file, length) != 0;
    lost = (lost && !gone) || (stored->removed && !gone);
    if (lost)
        fprintf(stderr, "image %u: %s: %s\n", stored->seed, jini_status_name(status),
                get.request.error.message);
    free(bytes);
    free(file);
    return lost;
}

static void on_problem(void *context, const struct jini_verify_problem *problem)
{
    (void)context;
    fprintf(stderr, "verify: %s: %s\n", problem->kind, problem->message);
}

/* In a child: 0 when everything acknowledged is there and verify finds nothing. */
static int check_image(const char *directory, const struct acknowledged *acknowledged)
{
    struct jini *jini = open_at(directory);
    if (!jini)
        return 1;
    int lost = 0;
    struct jini_user user;
    struct jini_error error;
    if (acknowledged->user)
        lost |= jini_user_get(jini, acknowledged->user, &user, &error) != 0;
    for (unsigned i = 0; i < acknowledged->count; i++)
        lost |= check_one(jini, &acknowledged->images[i]);
    lost |= check_jobs(jini, acknowledged);
    struct jini_verify verify;
    jini_request_init(&verify);
    verify.flags = JINI_VERIFY_DEEP;
    verify.report = on_problem;
    lost |= jini_verify(jini, &verify, NULL) != 0 || verify.problems != 0;
    lost |= jini_close(jini, NULL, NULL) != 0;
    return lost;
}

static int check_in_child(const char *directory, const struct acknowledged *acknowledged,
                          bool quiet)
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (quiet && !freopen("/dev/null", "w", stderr))
            _exit(3);
        _exit(check_image(directory, acknowledged) ? 2 : 0);
    }
    int status;
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

/* ---- Recording and looking ---- */

/* A child lives and ends, so that no handle of its is open in whoever looks. */
static void record(const char *swallow)
{
    fault_attach(harness_path("control"));
    CHECK_INT(mkdir(harness_path("db"), 0700), ==, 0);
    fault_record_start(harness_path("db"), harness_path("log"));
    fault_swallow_syncs(swallow);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        live(harness_path("db"));
        _exit(0);
    }
    harness_wait_exit(pid, 0);
    if (swallow)
        CHECK_UINT(fault_swallowed(), >, 0);
    fault_swallow_syncs(NULL);
    fault_record_stop();
}

/* Returns how many of `seeds` images of a cut have lost something. */
static unsigned look_at_cut(struct powerloss *loss, size_t cut, unsigned seeds,
                            const struct acknowledged *acknowledged, bool quiet)
{
    char image[600];
    unsigned lost = 0;
    snprintf(image, sizeof(image), "%s/image", harness_fast_directory(64 << 20));
    for (unsigned i = 0; i < seeds; i++) {
        uint64_t seed = i == 0 ? POWERLOSS_NOTHING_MORE : harness_random();
        fault_boot((cut + i) % 2); /* a power loss is a new start; a process may die, too */
        powerloss_build(loss, cut, seed, image);
        if (check_in_child(image, acknowledged, quiet) == 0)
            continue;
        lost++;
        if (!quiet)
            fprintf(stderr, "lost at cut %zu of %zu (%s), seed %llu\n", cut,
                    powerloss_last_cut(loss), powerloss_describe(loss, cut),
                    (unsigned long long)seed);
    }
    return lost;
}

/* How many images of a cut are looked at. */
static unsigned seeds_of(const struct powerloss *loss, size_t cut, enum looking looking)
{
    if (looking == LOOK_AT_MAKING && cut - powerloss_first_cut(loss) < CUTS_OF_MAKING)
        return SEEDS_OF_MAKING;
    if (looking == LOOK_FOR_LOSS)
        return 1;
    return harness_sanitized() ? SEEDS_SANITIZED : SEEDS;
}

/*
 * How many of the images that are built have lost something; of a planted loss, of one cut. Of the
 * cuts whose images are not those of the next, too, these are looked at: the first behind each
 * mark, which a missing sync shows at, others in even distances, and the last.
 */
static unsigned look(enum looking looking)
{
    struct powerloss *loss = powerloss_open(harness_path("log"));
    struct acknowledged acknowledged = {0};
    const bool planted = looking != LOOK_AT_ALL;
    size_t cuts = (harness_sanitized() ? CUTS_SANITIZED : CUTS) * harness_scale();
    size_t from = powerloss_first_cut(loss);
    size_t last = powerloss_last_cut(loss);
    size_t distance = (last - from) / cuts;
    size_t next = from;
    unsigned lost = 0;
    unsigned images = 0;
    for (size_t cut = from; cut <= last && !(planted && lost); cut++) {
        const char *mark = powerloss_mark(loss, cut);
        if (mark) {
            take_mark(&acknowledged, mark);
            next = cut;
        }
        unsigned seeds = seeds_of(loss, cut, looking);
        if (powerloss_is_covered(loss, cut) ||
            (cut < next && cut < last && seeds < SEEDS_OF_MAKING))
            continue;
        next = cut + distance;
        lost += look_at_cut(loss, cut, seeds, &acknowledged, planted);
        images += seeds;
    }
    printf("     %zu records, %u images, %u of them lost something\n", last - from, images, lost);
    powerloss_close(loss);
    return lost;
}

TEST(a_power_loss_takes_nothing_that_was_acknowledged,
     "Whatever subset of the unsynced writes a power loss leaves, every acknowledged op is there "
     "and verify is clean.")
{
    record(NULL);
    CHECK_UINT(look(LOOK_AT_ALL), ==, 0);
}

#define PLANTED(name, looking, pattern, sentence)                                                  \
    TEST(name, sentence)                                                                           \
    {                                                                                              \
        record(pattern);                                                                           \
        CHECK_UINT(look(looking), >, 0);                                                           \
    }

/*
 * One for each kind of file and directory that is synced in a life. Two have none on purpose:
 * limits.shm is made anew from the database when it is missing or of an older start of the machine,
 * and archive/.tmp holds only what an interrupted PUT may lose.
 */
PLANTED(a_missing_sync_of_the_data_file_is_caught, LOOK_FOR_LOSS, "db/data.mdb",
        "With the syncs of the data file left out, some image has lost something.")
PLANTED(a_missing_sync_of_the_new_data_file_is_caught, LOOK_AT_MAKING, "db/data.mdb.new",
        "With the syncs of the data file left out while it is made, some image does not open.")
PLANTED(a_missing_sync_of_the_database_directory_is_caught, LOOK_FOR_LOSS, "db/",
        "With the syncs of the database's directory left out, some image has lost something.")
PLANTED(a_missing_sync_of_packs_is_caught, LOOK_FOR_LOSS, "db/packs/*/*.pack",
        "With the syncs of packs left out, some image has lost something.")
PLANTED(a_missing_sync_of_a_month_of_packs_is_caught, LOOK_FOR_LOSS, "db/packs/*/",
        "With the syncs of the months of packs left out, some image has lost something.")
PLANTED(a_missing_sync_of_the_packs_directory_is_caught, LOOK_FOR_LOSS, "db/packs/",
        "With the syncs of the directory of the months left out, some image has lost something.")
PLANTED(a_missing_sync_of_archive_objects_is_caught, LOOK_FOR_LOSS, "db/archive/.tmp/*",
        "With the syncs of objects left out, which are made in .tmp, some image has lost "
        "something.")
PLANTED(a_missing_sync_of_a_month_of_the_archive_is_caught, LOOK_FOR_LOSS, "db/archive/packs/*/",
        "With the syncs of the months of the archive left out, some image has lost something.")
PLANTED(a_missing_sync_of_the_archives_packs_is_caught, LOOK_FOR_LOSS, "db/archive/packs/",
        "With the syncs of the archive's directory of months left out, some image has lost "
        "something.")
PLANTED(a_missing_sync_of_the_archive_root_is_caught, LOOK_FOR_LOSS, "db/archive/",
        "With the syncs of the archive's root left out, some image has lost something.")
