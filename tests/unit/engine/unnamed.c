/*
 * Records that were appended to a pack and that no image has, because their transaction never came:
 * they do not outlive the image whose bytes they hold.
 */
#include "faults.h"

#include "held.h"

#include <glob.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { MANY = 135, FEW = 8, LAST = MANY - 1, SAMPLE_AT = 200, SAMPLE_BYTES = 1000 };

static struct jini_id images[MANY];

/* Files in memory: what a sync is worth is no subject here. */
static void work_in_memory(void)
{
    static char path[600];
    snprintf(path, sizeof(path), "%s/db", harness_fast_directory(64 << 20));
    fixture_directory = path;
}

static void options_of(struct jini_options *options)
{
    fixture_options(options);
    options->pack_bytes_max = 1 << 20; /* all images in one pack, which is not small */
    options->store_run_twice = 0;
}

static struct jini *open_with(const struct jini_clock *clock)
{
    struct jini_options options;
    options_of(&options);
    options.clock = clock;
    return fixture_open_with(&options);
}

static void reopen(struct jini **jini)
{
    CHECK_OK(jini_close(*jini, NULL, NULL));
    *jini = open_with(&fixture_clock);
}

static bool is_somewhere(uint64_t seed)
{
    struct png_request png = {64, 64, seed, "made for a test", NULL};
    size_t length;
    uint8_t *file = png_make(&png, &length);
    bool found = harness_tree_holds(fixture_db(), file + SAMPLE_AT, SAMPLE_BYTES);
    free(file);
    return found;
}

static void trash(struct jini *jini, const struct jini_id *id)
{
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = *id;
    CHECK_OK(jini_image_remove(jini, &remove, NULL));
    fixture_days_pass(8);
}

static int tier(struct jini *jini)
{
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW;
    return jini_archive_run(jini, &run, NULL);
}

/* An image is purged, and its bytes with it. */
static void check_purged(struct jini *jini, const struct jini_id *id, uint64_t seed)
{
    CHECK_OK(fixture_get(jini, id, seed));
    trash(jini, id);
    CHECK_OK(tier(jini));
    CHECK_STATUS(fixture_get(jini, id, seed), JINI_E_NOT_FOUND);
    CHECK(!is_somewhere(seed));
    fixture_verify(jini);
}

/* One sealed pack of more images than one transaction moves; the first is in the trash. */
static struct jini *make_due(void)
{
    harness_remove(fixture_db());
    struct jini *jini = open_with(&fixture_clock);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    for (uint64_t i = 0; i < MANY; i++)
        images[i] = fixture_put(jini, user, i);
    reopen(&jini);
    trash(jini, &images[0]);
    return jini;
}

/* ---- Rewriting ---- */

/* A run is killed before its nth sync of a pack. False: there were not so many. */
static bool killed_at_sync(uint64_t nth)
{
    struct jini *jini = make_due();
    CHECK_OK(jini_close(jini, NULL, NULL));
    fault_inject(&(struct fault_plan){
        .kinds = FAULT_SYNC, .effect = FAULT_KILL, .nth = nth, .pattern = "*/packs/*.pack"});
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        tier(open_with(&fixture_clock));
        _exit(0);
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), ==, child);
    fault_inject_stop();
    jini = open_with(&fixture_clock);
    CHECK_OK(tier(jini));
    CHECK(!is_somewhere(0));
    check_purged(jini, &images[LAST], LAST);
    CHECK_OK(jini_close(jini, NULL, NULL));
    return WIFSIGNALED(status);
}

TEST(a_rewriting_that_is_killed_leaves_nothing_for_ever,
     "Whenever a run is killed between appending a slice and moving its images, an image of that "
     "slice goes with all its bytes when it is purged.")
{
    uint64_t nth = 1;
    fault_attach(harness_path("control"));
    work_in_memory();
    if (harness_sanitized()) {
        CHECK(killed_at_sync(2)); /* in the second slice */
        return;
    }
    while (killed_at_sync(nth))
        nth++;
    CHECK_UINT(nth, >, 2); /* one slice each */
}

static uint64_t packs_bytes(void)
{
    char pattern[700];
    glob_t found;
    uint64_t bytes = 0;
    snprintf(pattern, sizeof(pattern), "%s/packs/*/*.pack", fixture_db());
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            struct stat info;
            if (stat(found.gl_pathv[i], &info) == 0)
                bytes += (uint64_t)info.st_size;
        }
        globfree(&found);
    }
    return bytes;
}

/* So much in packs, and the next deadline that a run computes is over already. */
static _Atomic uint64_t late_at_bytes;
static _Atomic unsigned late;

static uint64_t late_boot_ns(void *context)
{
    char name[16] = "";
    if (late_at_bytes > 0 && prctl(PR_GET_NAME, name, 0, 0, 0) == 0 &&
        strcmp(name, "jini-background") == 0 && packs_bytes() >= late_at_bytes) {
        late_at_bytes = 0;
        late++;
        return 1;
    }
    return fixture_boot_ns(context);
}

static const struct jini_clock late_clock = {fixture_wall_ns, late_boot_ns, NULL};

TEST(a_rewriting_whose_transaction_is_late_leaves_nothing_for_ever,
     "The same when the transaction that moves the images of the second slice is not done in time.")
{
    work_in_memory();
    struct jini *jini = make_due();
    CHECK_OK(jini_close(jini, NULL, NULL));
    late_at_bytes = packs_bytes() / MANY * (2 * MANY - 4); /* in the second slice */
    jini = open_with(&late_clock);
    CHECK_STATUS(tier(jini), JINI_E_TIMEOUT);
    CHECK_UINT(late, ==, 1);
    for (uint64_t i = 1; i < MANY; i++)
        CHECK_OK(fixture_get(jini, &images[i], i));
    CHECK_OK(tier(jini));
    CHECK(!is_somewhere(0));
    check_purged(jini, &images[LAST], LAST);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Puts ---- */

static uint64_t put_few(struct jini *jini)
{
    uint64_t user = fixture_user(jini, "alice", "Premium");
    for (uint64_t i = 0; i < FEW; i++)
        images[i] = fixture_put(jini, user, i);
    return user;
}

TEST(
    a_put_that_is_killed_leaves_nothing_for_ever,
    "The bytes of an image whose put was killed before its commit go when the same image, put once "
    "more, is purged.")
{
    enum { SEED = 100 };
    fault_attach(harness_path("control"));
    work_in_memory();
    struct jini *jini = open_with(&fixture_clock);
    uint64_t user = fixture_user(jini, "bob", "Premium");
    CHECK_OK(jini_close(jini, NULL, NULL));
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        jini = open_with(&fixture_clock);
        put_few(jini);
        fault_inject(&(struct fault_plan){
            .kinds = FAULT_SYNC, .effect = FAULT_KILL, .nth = 1, .pattern = "data.mdb"});
        fixture_put(jini, user, SEED);
        _exit(0);
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), ==, child);
    CHECK(WIFSIGNALED(status));
    fault_inject_stop();
    jini = open_with(&fixture_clock);
    CHECK(is_somewhere(SEED));
    struct jini_id again = fixture_put(jini, user, SEED);
    check_purged(jini, &again, SEED);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static struct jini_id admit(struct jini *jini, uint64_t user)
{
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    admit.parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    fixture_must(jini_admit(jini, &admit, NULL), "admit", &admit.request.error);
    return admit.job.id;
}

static int pass_gate(struct jini_txn *txn, void *argument)
{
    gate_pass(argument);
    return jini_txn_put(txn, "gate", 4, "passed", 6);
}

static void came_back(struct jini_request *request)
{
    atomic_fetch_add((_Atomic unsigned *)request->data, 1);
}

TEST(
    a_put_that_is_refused_leaves_nothing_for_ever,
    "The bytes of an image whose job ends while it is written go when the pack is sealed; of a job "
    "that has ended nothing is written.")
{
    enum { SEED = 100, OTHER = 101 };
    struct gate gate = {0};
    _Atomic unsigned returned = 0;
    struct jini_write held;
    struct jini_release release;
    struct jini_image_put put;
    struct png_request png = {64, 64, SEED, "made for a test", NULL};
    work_in_memory();
    struct jini *jini = open_with(&fixture_clock);
    uint64_t user = put_few(jini);
    jini_request_init(&held);
    jini_request_init(&release);
    jini_request_init(&put);
    held.request.data = release.request.data = put.request.data = &returned;
    held.function = pass_gate;
    held.argument = &gate;
    release.job_id = put.job_id = admit(jini, user);
    release.state = JINI_JOB_FAILED;
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    put.user_id = user;
    CHECK_OK(jini_write(jini, &held, came_back));
    gate_await(&gate);
    CHECK_OK(jini_release(jini, &release, came_back));
    CHECK_OK(jini_image_put(jini, &put, came_back));
    while (!is_somewhere(SEED))
        usleep(1000);
    atomic_store(&gate.open, 1);
    while (atomic_load(&returned) < 3)
        usleep(1000);
    CHECK_OK(release.request.status);
    CHECK_STATUS(put.request.status, JINI_E_CONFLICT);
    free(file);

    png.seed = OTHER;
    file = png_make(&png, &put.length);
    put.bytes = file;
    CHECK_STATUS(jini_image_put(jini, &put, NULL), JINI_E_CONFLICT);
    free(file);
    CHECK(!is_somewhere(OTHER));

    CHECK_OK(tier(jini));
    CHECK(!is_somewhere(SEED));
    for (uint64_t i = 0; i < FEW; i++)
        CHECK_OK(fixture_get(jini, &images[i], i));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
