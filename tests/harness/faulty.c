/*
 * Cases with single faults: each is run some times more, and each time a random call of all its
 * processes fails (EIO, a full disk, half of the bytes) or a random allocation of the library. The
 * case may notice, by a failing CHECK; but no process of it may crash or hang, and the database
 * that it leaves in its directory opens, works, and verify in depth finds nothing.
 *
 *     test-integration-engine --faulty [SUBJECT|CASE]...
 */
#include "faults.h"
#include "harness_private.h"

#include <errno.h>
#include <jini/jini.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RUNS = 4, RUNS_SANITIZED = 2, RUNS_MORE = 8, HANGS_AFTER_S = 60 };

/* What fails, by turns. */
static const struct fault_plan plans[] = {
    {.kinds = FAULT_ALL, .effect = FAULT_FAIL, .error = EIO},
    {.kinds = 0}, /* an allocation */
    {.kinds = FAULT_READ | FAULT_WRITE, .effect = FAULT_SHORT},
    {.kinds = FAULT_ALL, .effect = FAULT_FAIL, .error = ENOSPC},
};

enum { PLANS = sizeof(plans) / sizeof(plans[0]) };

struct faulty_run {
    struct harness_told *told;
    struct fault_plan plan;
    uint64_t nth_allocation; /* UINT64_MAX: counts them */
    bool whole;              /* the database that was left */
    int messages;            /* stderr, which the case does without */
};

static void before(void *context)
{
    const struct faulty_run *run = context;
    signal(SIGPIPE, SIG_IGN); /* whoever read may have failed */
    alarm(HANGS_AFTER_S * (harness_sanitized() ? 5 : 1));
    harness_fail_allocation(run->nth_allocation);
    fault_inject(&run->plan);
}

static void on_problem(void *context, const struct jini_verify_problem *problem)
{
    (void)context;
    fprintf(stderr, "verify: %s: %s\n", problem->kind, problem->message);
}

/* In a child: 0 when the database is whole and takes a user. */
static int look_at_database(void)
{
    struct jini_options options;
    struct jini_error error;
    struct jini *jini;
    struct jini_user_add add;
    struct jini_verify verify;
    jini_options_init(&options);
    options.create = 1;
    options.background_run = 0;
    int status = jini_open(&jini, harness_path("db"), &options, &error);
    if (status) {
        fprintf(stderr, "jini_open: %s: %s\n", error.field, error.message);
        return 1;
    }
    jini_request_init(&verify);
    verify.flags = JINI_VERIFY_DEEP;
    verify.report = on_problem;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "afterwards");
    int verified = jini_verify(jini, &verify, NULL);
    int added = jini_user_add(jini, &add, NULL);
    int closed = jini_close(jini, NULL, NULL);
    if (verified || added || closed)
        fprintf(stderr, "afterwards verify answers %s, adding a user %s, close %s\n",
                jini_status_name(verified), jini_status_name(added), jini_status_name(closed));
    return verified || verify.problems || added || closed;
}

static void behind(void *context)
{
    struct faulty_run *run = context;
    fault_inject_stop();
    while (waitpid(-1, NULL, 0) > 0) /* all of them have been killed, and become ours */
        continue;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(run->messages, STDERR_FILENO);
        setvbuf(stderr, NULL, _IONBF, 0);
        _exit(access(harness_path("db"), F_OK) == 0 ? look_at_database() : 0);
    }
    int status;
    run->whole =
        pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/*
 * One run. False, and a line that says so, when something else happened than a CHECK that failed.
 */
static bool run_once(const struct harness_case *test, struct faulty_run *run)
{
    const struct harness_around around = {run->told, before, behind, run};
    atomic_store(&run->told->failed, false);
    atomic_store(&run->told->crashed, false);
    fflush(NULL);
    run->messages = dup(STDERR_FILENO);
    if (run->messages < 0 || !freopen("/dev/null", "w", stderr))
        exit(1);
    int status = harness_run_case(test, &around);
    fflush(stderr);
    dup2(run->messages, STDERR_FILENO);
    close(run->messages);
    bool noticed = atomic_load(&run->told->failed);
    bool good = run->whole && !atomic_load(&run->told->crashed) &&
                (noticed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    if (!good)
        fprintf(stderr,
                "%s with call %" PRIu64 " or allocation %" PRIu64 " failing: status %x%s%s\n"
                "    JINI_TEST_SEED=%" PRIu64 " repeats it\n",
                test->name, run->plan.nth, run->nth_allocation, (unsigned)status,
                atomic_load(&run->told->crashed) ? ", a child crashed" : "",
                run->whole ? "" : ", the database is damaged", harness_seed());
    return good;
}

static struct harness_told *attach(void)
{
    static struct harness_told *told;
    char control[] = "/tmp/jini-faulty-XXXXXX";
    if (told)
        return told;
    told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (told == MAP_FAILED || close(mkstemp(control)) != 0 || unlink(control) != 0)
        exit(1);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    fault_attach(control);
    unlink(control);
    unsetenv("JINI_FAULT_FILE"); /* it is nowhere any more */
    return told;
}

/* One of the first `count`, or of the first part of them. */
static uint64_t any_of(uint64_t count, unsigned halvings)
{
    uint64_t range = count >> halvings;
    return 1 + harness_random_below(range ? range : 1);
}

/* Runs in which a call or an allocation was to fail, and in which it did. */
struct met {
    unsigned tried[2];
    unsigned met[2]; /* by whether it was an allocation */
};

static bool is_met(const struct met *met)
{
    return (met->tried[0] == 0 || met->met[0] > 0) && (met->tried[1] == 0 || met->met[1] > 0);
}

/*
 * A run whose plan comes to nothing, since it makes fewer of the calls than the one that was
 * counted, proves nothing. When all of a kind do, more are made, whose fault comes earlier and
 * earlier; a case that meets none in these fails, for faults then reach it no more.
 */
static int run_faulty(const struct harness_case *test)
{
    unsigned runs = (harness_sanitized() ? RUNS_SANITIZED : RUNS) * harness_scale();
    struct harness_told *told = attach();
    struct faulty_run run = {.told = told, .nth_allocation = UINT64_MAX};
    run.plan = (struct fault_plan){.kinds = FAULT_ALL, .nth = UINT64_MAX, .pattern = "*/db*"};
    if (!run_once(test, &run) || atomic_load(&told->failed))
        return 1;
    uint64_t calls = fault_calls();
    uint64_t allocations = told->heap.planned - atomic_load(&told->heap.left);
    unsigned noticed = 0;
    struct met met = {{0}, {0}};
    unsigned first = (unsigned)harness_random_below(PLANS);
    for (unsigned i = 0; i < runs || (!is_met(&met) && i < runs + RUNS_MORE); i++) {
        unsigned halvings = i < runs ? 0 : i - runs + 1;
        run.plan = plans[(first + i) % PLANS];
        bool of_heap = run.plan.kinds == 0;
        run.plan.pattern = "*/db*";
        run.plan.nth = any_of(calls, halvings);
        run.nth_allocation = of_heap ? any_of(allocations, halvings) : 0;
        if (!run_once(test, &run))
            return 1;
        met.tried[of_heap]++;
        met.met[of_heap] += fault_injected() > 0 || atomic_load(&told->heap.failed);
        noticed += atomic_load(&told->failed);
    }
    printf("     %" PRIu64 " calls and %" PRIu64
           " allocations, of which %u failed in turn, %u of them "
           "noticed\n",
           calls, allocations, met.met[0] + met.met[1], noticed);
    if (is_met(&met))
        return 0;
    fprintf(stderr, "%s met no %s that failed\n", test->name,
            met.met[0] == 0 ? "call" : "allocation");
    return 1;
}

__attribute__((constructor)) static void register_runner(void)
{
    harness_faulty_runner = run_faulty;
}
