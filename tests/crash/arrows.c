/*
 * Each arrow between the states of a pack, killed at every call: before each creation, write,
 * truncation, rename and deletion of a file, those of the store's commits among them. (A sync
 * changes nothing that a kill would leave; powerloss_tiering.c is about syncs.) After each kill
 * nothing is lost, the next runs of tiering finish, and nothing is left that no pack names.
 */
#include "arrows.h"
#include "at_home.h"
#include "faults.h"

#include <errno.h>

static struct world *world; /* that children share */
static char database[600];
static char prepared[600];

static void act_in_child(const struct arrow *arrow, uint64_t nth)
{
    struct fault_plan plan = {
        .kinds = FAULT_ALL_CHANGING, .effect = FAULT_KILL, .nth = nth, .pattern = "*/db*"};
    struct jini *jini = arrow_open(arrow, world);
    if (arrow->begin)
        arrow->begin(jini, world);
    fault_inject(&plan);
    uint32_t steps = arrow_act(jini, arrow);
    fault_inject_stop();
    CHECK(arrow->reports == 0 || (steps & UINT32_C(1) << arrow->reports));
    CHECK_OK(jini_close(jini, NULL, NULL));
    _exit(0);
}

/* True when the run came to its end before its nth call. */
static bool act_until(const struct arrow *arrow, uint64_t nth)
{
    int status;
    harness_remove(database);
    harness_copy(prepared, database);
    at_home(database);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        act_in_child(arrow, nth);
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    fault_inject_stop();
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return false;
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return true;
}

static void sweep(const struct arrow *arrow)
{
    const uint64_t step = harness_step_of_long_sweep();
    uint64_t nth = 1 + harness_random_below(step);
    const char *fast = harness_fast_directory(64 << 20);
    snprintf(database, sizeof(database), "%s/db", fast);
    snprintf(prepared, sizeof(prepared), "%s/prepared", fast);
    fixture_directory = database;
    world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(world != MAP_FAILED);
    fault_attach(harness_path("control"));
    arrow_prepare(arrow, world);
    CHECK_INT(rename(database, prepared), ==, 0);
    const struct world before = *world;
    for (bool ended = false; !ended; nth += step) {
        *world = before;
        ended = act_until(arrow, nth);
        arrow_recover(arrow, world);
    }
    printf("     %" PRIu64 " calls\n", nth / step - 1);
    CHECK_UINT(nth, >, 8);
}

#define ARROW_TEST(name, sentence, ...)                                                            \
    TEST(name##_is_repeatable, sentence ": killed at any call, it loses nothing and is finished.") \
    {                                                                                              \
        sweep(&name);                                                                              \
    }
ARROWS(ARROW_TEST)
