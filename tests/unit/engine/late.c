/*
 * Runs of tiering that were held up for longer than their lease: another process takes over, and
 * they change nothing any more, whatever step they come back to.
 *
 * A run is held where it asks for the time, in a process of its own, at each of these places:
 * before and behind each write of a step, PUT, GET and HEAD. The clock of the process that takes
 * over is a lease ahead, and so is that of the late one when it goes on.
 */
#include "engine/engine_private.h"

#include "base/hash.h"
#include "engine_fixture.h"
#include "plant.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEALTHY "fault::dir:archive"
#define REFUSES "fault:every=1,kinds=refuse,operations=put:dir:archive"

enum { IMAGES = 3, LEASE_MS = 30000, ORPHAN_HOURS = 2, ROOM_BYTES = 64 << 20 };
enum { TIMES_BEHIND_WRITES = 2 }; /* that a run asks for when it has nothing left to do */

/* What both processes see. */
struct meeting {
    uint32_t hold_at;       /* the time that the run asks for so often */
    _Atomic uint32_t asked; /* for the time */
    _Atomic bool held;
    _Atomic bool go_on;
    _Atomic bool ended;
    _Atomic int status;
    _Atomic uint64_t passed_ns; /* beyond the machine's boot time, for the late process */
};

static struct meeting *meeting;
static struct jini *_Atomic late_jini; /* in the late process, once it is open */
static uint64_t ahead_ns;              /* of the process that takes over */
static struct jini_id images[IMAGES];
static char made[4096]; /* the database that each case begins with */

/* True in a run that has come to the archive: what is before that is no step of a pack. */
static bool is_at_it(void)
{
    char name[16] = "";
    struct jini *jini = atomic_load(&late_jini);
    return jini && prctl(PR_GET_NAME, name, 0, 0, 0) == 0 && strcmp(name, "jini-background") == 0 &&
           jini->archives.handle;
}

static void pass(void)
{
    if (!is_at_it() || atomic_fetch_add(&meeting->asked, 1) + 1 != meeting->hold_at)
        return;
    atomic_store(&meeting->held, true);
    while (!atomic_load(&meeting->go_on))
        usleep(100);
}

static uint64_t wall_ns(void *context)
{
    pass();
    return fixture_wall_ns(context);
}

static uint64_t boot_ns(void *context)
{
    pass();
    return fixture_boot_ns(context) +
           (atomic_load(&late_jini) ? atomic_load(&meeting->passed_ns) : ahead_ns);
}

static const struct jini_clock late_clock = {wall_ns, boot_ns, NULL};

static struct jini *open_over(const char *archive)
{
    struct jini_options options;
    fixture_options(&options);
    snprintf(options.archive_url, sizeof(options.archive_url), "%s", archive);
    options.background_lease_ms = LEASE_MS;
    options.store_run_twice = 0;
    options.clock = &late_clock;
    return fixture_open_with(&options);
}

static int run(struct jini *jini)
{
    struct jini_archive_run request;
    jini_request_init(&request);
    request.request.timeout_ms = 2 * LEASE_MS; /* of waiting for the lease */
    request.flags = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT;
    return jini_archive_run(jini, &request, NULL);
}

static void late_main(void)
{
    struct jini *jini = open_over(HEALTHY);
    atomic_store(&late_jini, jini);
    atomic_store(&meeting->status, run(jini));
    atomic_store(&meeting->ended, true);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* A sealed pack of three images. */
static void make_database(void)
{
    struct jini *jini = open_over(HEALTHY);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    for (uint64_t i = 0; i < IMAGES; i++)
        images[i] = fixture_put(jini, user, i);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void check_whole(struct jini *jini)
{
    struct jini_verify verify;
    for (uint64_t i = 0; i < IMAGES; i++)
        CHECK_OK(fixture_get(jini, &images[i], i));
    jini_request_init(&verify);
    verify.flags = JINI_VERIFY_DEEP;
    verify.report = fixture_problem;
    fixture_must(jini_verify(jini, &verify, NULL), "verify", &verify.request.error);
    CHECK_UINT(verify.problems, ==, 0);
    CHECK_UINT(verify.objects_unknown, ==, 0);
}

static int add_row(void *context, struct slice key, struct slice value)
{
    hash_stream_add(context, key);
    hash_stream_add(context, value);
    return 0;
}

/* Of all rows but those of leases. */
static struct hash128 hash_of(struct jini *jini)
{
    struct slice all = slice_of(NULL, 0);
    struct hash_stream *stream = hash_stream_new();
    for (int space = STORE_SPACE_USERS; space < STORE_SPACES; space++)
        CHECK_OK(store_each(jini->store, (enum store_space)space, all, all, add_row, stream));
    struct hash128 hash = hash_stream_128(stream);
    hash_stream_free(stream);
    return hash;
}

/* Only an archive that refuses keeps a run from doing all that there is. */
static void run_instead(struct jini *jini, const char *archive)
{
    int status = run(jini);
    if (status == JINI_E_ARCHIVE)
        CHECK_TEXT(archive, REFUSES);
    else
        CHECK_OK(status);
}

/* Archives what it can; in time for objects that nothing names to be deleted, and their rows. */
static struct jini *take_over(const char *archive)
{
    ahead_ns = (LEASE_MS + 1000) * UINT64_C(1000000);
    struct jini *jini = open_over(archive);
    run_instead(jini, archive);
    fixture_wall_offset_ns += ORPHAN_HOURS * UINT64_C(3600) * 1000000000u;
    run_instead(jini, archive);
    return jini;
}

struct late {
    pid_t pid;
    bool held; /* false: it came to its end before */
};

static struct late start_late(uint32_t hold_at)
{
    struct late late;
    memset(meeting, 0, sizeof(*meeting));
    meeting->hold_at = hold_at;
    fflush(NULL);
    late.pid = fork();
    CHECK(late.pid >= 0);
    if (late.pid == 0) {
        late_main();
        _exit(0);
    }
    while (!atomic_load(&meeting->held) && !atomic_load(&meeting->ended)) {
        siginfo_t gone = {0};
        CHECK_INT(waitid(P_PID, (id_t)late.pid, &gone, WEXITED | WNOHANG | WNOWAIT), ==, 0);
        CHECK(gone.si_pid == 0 || atomic_load(&meeting->ended));
        usleep(100);
    }
    late.held = !atomic_load(&meeting->ended);
    return late;
}

/* Its clock is where that of the one that took over is. */
static int let_go_on(const struct late *late)
{
    atomic_store(&meeting->passed_ns, ahead_ns);
    atomic_store(&meeting->go_on, true);
    harness_wait_exit(late->pid, 0);
    return atomic_load(&meeting->status);
}

/* False when the run came to its end before it was held. Counts the conflicts. */
static bool take_over_at(uint32_t hold_at, const char *archive, unsigned *conflicts)
{
    harness_remove(fixture_db());
    harness_copy(made, fixture_db());
    struct jini *jini = open_over(HEALTHY);
    plant_home(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
    struct late late = start_late(hold_at);
    if (!late.held) {
        CHECK_OK(let_go_on(&late));
        return false;
    }
    jini = take_over(archive);
    struct hash128 before = hash_of(jini);
    int status = let_go_on(&late);
    struct hash128 after = hash_of(jini);
    CHECK(hash128_equal(&before, &after));
    if (status == JINI_E_CONFLICT)
        ++*conflicts;
    else
        CHECK_OK(status); /* it had nothing left to do */
    check_whole(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
    ahead_ns = 0;
    return true;
}

static void take_over_everywhere(const char *archive)
{
    static char directory[4096];
    const char *fast = harness_fast_directory(ROOM_BYTES);
    uint32_t step = (uint32_t)harness_step_of_sweep();
    uint32_t hold_at = 1 + (uint32_t)harness_random_below(step);
    unsigned tried = 0;
    unsigned conflicts = 0;
    meeting =
        mmap(NULL, sizeof(*meeting), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(meeting != MAP_FAILED);
    snprintf(directory, sizeof(directory), "%s/db", fast);
    snprintf(made, sizeof(made), "%s/made", fast);
    fixture_directory = directory;
    make_database();
    harness_copy(fixture_db(), made);
    for (; take_over_at(hold_at, archive, &conflicts); hold_at += step)
        tried++;
    CHECK_UINT(conflicts, >, 0);
    CHECK_UINT(tried - conflicts, <=, TIMES_BEHIND_WRITES);
}

TEST(a_late_run_changes_nothing_behind_one_that_did_its_work,
     "A run that lost its lease at any point, to a process that has archived, freed and collected "
     "all meanwhile, ends as JINI_E_CONFLICT: no image is lost, and no object is left behind.")
{
    take_over_everywhere(HEALTHY);
}

TEST(a_late_run_changes_nothing_behind_one_that_failed,
     "The same where the archive takes nothing from the process that took over: the late run does "
     "not finish what that one has begun anew.")
{
    take_over_everywhere(REFUSES);
}
