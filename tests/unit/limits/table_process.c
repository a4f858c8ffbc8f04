/*
 * The table of rate limits under several processes, which are killed, stopped, and lose their file.
 */
#include "table_fixture.h"

enum { PROCESSES = 4, HOT_AMOUNT = 5000, WINDOWS = 1024, USERS = 100000, USER_AMOUNT = 2 };

/* Shared by the test and its children. */
struct ledger {
    _Atomic uint64_t hot[WINDOWS]; /* units admitted in each window of the hot subject */
    _Atomic uint64_t
        users[USERS]; /* window << 16 | units admitted in it, of the newest window seen */
    _Atomic uint64_t admitted;
    _Atomic uint64_t answered; /* admitted or limited */
    _Atomic uint64_t busy;
    _Atomic uint64_t over; /* what may never be */
    _Atomic uint64_t started;
    _Atomic uint32_t stop;
    uint64_t base_ms;
};

static struct ledger *ledger;

static void set_up(void)
{
    fixture_set_up();
    ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(ledger != MAP_FAILED);
    ledger->base_ms = clock_boot_ns(&clock_system) / NS_PER_MS;
}

static struct table_options child_options(uint32_t slot, uint32_t slots)
{
    struct table_options options = fixture_options(slot);
    options.clock = &clock_system;
    options.regions[TABLE_AUTHENTICATED].slots = slots;
    return options;
}

static void note_hot(uint64_t window_ms)
{
    uint64_t index = (window_ms - ledger->base_ms) / 1000;
    CHECK_UINT(index, <, WINDOWS);
    if (atomic_fetch_add(&ledger->hot[index], 1) + 1 > HOT_AMOUNT)
        atomic_fetch_add(&ledger->over, 1);
}

static void note_user(uint64_t user, uint64_t window_ms)
{
    uint64_t seen = atomic_load(&ledger->users[user]);
    uint64_t next;
    do {
        if (seen >> 16 > window_ms)
            return;
        next = seen >> 16 == window_ms ? seen + 1 : window_ms << 16 | 1;
    } while (!atomic_compare_exchange_weak(&ledger->users[user], &seen, next));
    if ((next & 0xFFFF) > USER_AMOUNT)
        atomic_fetch_add(&ledger->over, 1);
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Charges one hot subject, or random ones, until it is killed or told to stop. */
static void hammer(uint32_t slot, uint32_t slots, uint64_t users, uint64_t seed)
{
    struct table_options options = child_options(slot, slots);
    struct table *table = fixture_open_with(&options);
    char text[32];
    snprintf(text, sizeof(text), "%d/second", users == 1 ? HOT_AMOUNT : USER_AMOUNT);
    struct charge charge;
    charge_init(&charge, text, 0);
    atomic_fetch_add(&ledger->started, 1);
    while (!atomic_load(&ledger->stop)) {
        uint64_t user = next_random(&seed) % users;
        struct table_answer answer;
        if (users > 1)
            CHECK_OK(table_subject_user(&charge.subject, user, 0, &charge.limit));
        int status = table_charge(table, &charge.item, 1, TABLE_ALL_OR_NONE,
                                  clock_boot_ns(&clock_system), &answer);
        if (status == JINI_E_LIMITED || status == JINI_E_BUSY)
            continue;
        CHECK_OK(status);
        if (next_random(&seed) % 8 == 0 && table_refund(table, &answer.receipt) == 0)
            continue;
        atomic_fetch_add_explicit(&ledger->admitted, 1, memory_order_relaxed);
        if (users == 1)
            note_hot(answer.receipt.charge.window);
        else
            note_user(user, answer.receipt.charge.window);
    }
    _exit(0);
}

static pid_t start(uint32_t slot, uint32_t slots, uint64_t users)
{
    uint64_t seed = harness_random();
    pid_t pid = fork();
    CHECK_INT(pid, >=, 0);
    if (pid == 0)
        hammer(slot, slots, users, seed);
    return pid;
}

static void sleep_us(uint64_t us)
{
    nanosleep(&(struct timespec){.tv_sec = (time_t)(us / 1000000),
                                 .tv_nsec = (long)(us % 1000000) * 1000},
              NULL);
}

/*
 * Lets processes charge while they are killed and replaced at random moments. A sanitizer sees one
 * process, not what is between two, and so gets a quarter of the kills.
 */
static void kill_and_replace(unsigned kills, uint32_t slots, uint64_t users)
{
    kills *= harness_scale();
    if (harness_sanitized())
        kills /= 4;
    pid_t pids[PROCESSES];
    for (uint32_t slot = 0; slot < PROCESSES; slot++)
        pids[slot] = start(slot, slots, users);
    for (unsigned i = 0; i < kills; i++) {
        uint32_t slot = (uint32_t)harness_random_below(PROCESSES);
        sleep_us(2000 + harness_random_below(harness_sanitized() ? 60000 : 12000));
        CHECK_INT(kill(pids[slot], SIGKILL), ==, 0);
        int status;
        CHECK_INT(waitpid(pids[slot], &status, 0), ==, pids[slot]);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
            harness_fail(__FILE__, __LINE__, "a child ended with %d before it was killed", status);
        pids[slot] = start(slot, slots, users);
    }
    atomic_store(&ledger->stop, 1);
    for (uint32_t slot = 0; slot < PROCESSES; slot++)
        harness_wait_exit(pids[slot], 0);
}

TEST(killed_processes_never_exceed_a_hot_limit,
     "Four processes that charge one subject and are killed hundreds of times never admit one unit "
     "too many.")
{
    set_up();
    kill_and_replace(240, 310, 1);
    unsigned windows = 0;
    for (unsigned i = 0; i < WINDOWS; i++) {
        CHECK_UINT(atomic_load(&ledger->hot[i]), <=, HOT_AMOUNT);
        windows += atomic_load(&ledger->hot[i]) > HOT_AMOUNT / 2;
    }
    CHECK_UINT(atomic_load(&ledger->over), ==, 0);
    CHECK_UINT(windows, >=, 2);
    printf("     %llu units in %u windows, %llu processes\n",
           (unsigned long long)atomic_load(&ledger->admitted), windows,
           (unsigned long long)atomic_load(&ledger->started));
}

static void check_spread(uint32_t slots, unsigned kills)
{
    set_up();
    kill_and_replace(kills, slots, USERS);
    CHECK_UINT(atomic_load(&ledger->over), ==, 0);
    CHECK_UINT(atomic_load(&ledger->admitted), >, 10000);
    /* Nothing is left behind: all slots come free, and nobody holds a claim that is not broken. */
    struct table_options options = child_options(PROCESSES, slots);
    struct table *table = fixture_open_with(&options);
    sleep_us(1100000);
    struct table_occupancy occupancy;
    struct table_counters counters;
    CHECK_OK(table_occupancy(table, TABLE_AUTHENTICATED, &occupancy));
    CHECK_UINT(occupancy.live, ==, 0);
    CHECK_OK(table_counters(table, &counters));
    CHECK_UINT(counters.corrupt, ==, 0);
    printf("     %llu units, %llu slots taken, %llu claims broken, %llu times full\n",
           (unsigned long long)counters.admitted, (unsigned long long)counters.taken,
           (unsigned long long)counters.broken, (unsigned long long)counters.full);
    table_close(table);
}

TEST(killed_processes_never_exceed_a_spread_limit,
     "The same over 100,000 subjects, whose slots go from one to another all the time.")
{
    check_spread(200000, 100);
}

TEST(killed_processes_leave_a_crowded_table_whole,
     "The same with far fewer slots than subjects, so that nearly every charge fights for a claim.")
{
    check_spread(9300, 150);
}

/* Deaths and stops at known places. */

/* Steps a charge of this user by hand until it is about to do `last`; false when it ends before. */
static bool step_until(struct table *table, struct charge *charge, enum slot_step last)
{
    struct table_view *view = atomic_load(&table->view);
    struct table_subject *subject = &charge->subject;
    table_place_if_new(view, subject);
    struct table_view_region *region = &view->regions[subject->region];
    struct table_bucket *bucket = &region->buckets[subject->bucket];
    struct slot_bucket place = {&bucket->claim, bucket->slots,
                                region->details + (size_t)subject->bucket * TABLE_BUCKET_SLOTS,
                                TABLE_BUCKET_SLOTS, subject->first};
    struct slot_process process = {.claim = table->claim, .clock = table->clock};
    struct slot_job job = {.operation = SLOT_CHARGE,
                           .tag = subject->tag,
                           .limit = &charge->algorithm,
                           .cost = 1,
                           .denied = ALGORITHM_DENIED_FREE};
    struct slot_actor actor;
    job.description[SLOT_DETAIL_WORDS - 1] = charge->algorithm.period_ms << 9;
    slot_begin(&actor, &process, &place, &job, SLOT_NONE, clock_boot_ns(table->clock));
    while (actor.result == SLOT_RUNNING && actor.step != last)
        slot_step(&actor);
    return actor.result == SLOT_RUNNING;
}

/* A child that begins to charge `user` and gets `signal` before its step `last`. */
static pid_t interrupted_child(uint64_t user, enum slot_step last, int signal)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct table_options options = fixture_options(1);
        options.regions[TABLE_AUTHENTICATED].slots = 31;
        struct table *table = fixture_open_with(&options);
        struct charge charge;
        charge_init(&charge, "3/minute", user);
        if (step_until(table, &charge, last))
            raise(signal);
        _exit(0);
    }
    int status;
    CHECK_INT(waitpid(pid, &status, WUNTRACED), ==, pid);
    return WIFEXITED(status) ? 0 : pid;
}

TEST(a_death_at_any_step_leaves_the_bucket_usable,
     "Wherever a process dies in a charge, the next one charges at once, and at most the dead "
     "one's unit is gone.")
{
    fixture_set_up();
    struct table_options options = fixture_options(0);
    options.regions[TABLE_AUTHENTICATED].slots = 31;
    unsigned deaths = 0;
    for (enum slot_step step = SLOT_STEP_FIND; step < SLOT_STEP_END; step++) {
        struct table *table = fixture_open_with(&options);
        struct table_counters before;
        struct table_counters after;
        CHECK_OK(table_counters(table, &before));
        uint64_t user = 1000 + step;
        if (interrupted_child(user, step, SIGKILL) != 0) {
            struct charge charge;
            struct table_answer answer;
            deaths++;
            charge_init(&charge, "3/minute", user);
            CHECK_OK(charge_once(table, &charge, &answer));
            CHECK_UINT(answer.remaining, ==, step == SLOT_STEP_RELEASE ? 1 : 2);
            charge_init(&charge, "3/minute", 2000 + step);
            CHECK_OK(charge_once(table, &charge, &answer));
            CHECK_UINT(answer.remaining, ==, 2);
            CHECK_OK(table_counters(table, &after));
            CHECK_UINT(after.busy, ==, before.busy);
            CHECK_UINT(after.broken, ==,
                       before.broken + (step >= SLOT_STEP_HELD_CLOCK && step <= SLOT_STEP_RELEASE));
        }
        fixture_advance_ms(61000); /* all 31 slots are free again */
        table_close(table);
    }
    CHECK_UINT(deaths, >=, 10);
}

TEST(a_stopped_process_holds_up_newcomers_only,
     "While the holder of a claim is stopped, present subjects are charged at once, newcomers wait "
     "20 ms and are told; its death ends that.")
{
    fixture_set_up();
    struct table_options options = fixture_options(0);
    options.regions[TABLE_AUTHENTICATED].slots = 31;
    struct table *table = fixture_open_with(&options);
    struct charge present;
    struct charge newcomer;
    struct table_answer answer;
    charge_init(&present, "9/minute", 1);
    charge_init(&newcomer, "9/minute", 2);
    CHECK_OK(charge_once(table, &present, &answer));
    pid_t pid = interrupted_child(3, SLOT_STEP_PUBLISH, SIGSTOP);
    CHECK_INT(pid, >, 0);
    uint32_t asked = atomic_load(&fixture->asked);
    CHECK_OK(charge_once(table, &present, &answer));
    CHECK_OK(table_refund(table, &answer.receipt));
    CHECK_UINT(charge_peek(table, &present).remaining, ==, 8);
    CHECK_UINT(atomic_load(&fixture->asked), ==, asked);
    uint64_t before_ns = clock_boot_ns(&clock_system);
    CHECK_STATUS(charge_once(table, &newcomer, &answer), JINI_E_BUSY);
    uint64_t waited_ns = clock_boot_ns(&clock_system) - before_ns;
    CHECK_UINT(waited_ns, >=, 20 * NS_PER_MS);
    CHECK_UINT(waited_ns, <, 2000 * NS_PER_MS);
    CHECK_UINT(answer.verdict, ==, TABLE_BUSY);
    CHECK_UINT(answer.retry_after_ns, >, 0);
    CHECK_STATUS(table_reset(table, &present.subject), JINI_E_BUSY);
    newcomer.item.shadow = true;
    CHECK_OK(charge_once(table, &newcomer, &answer));
    CHECK_UINT(answer.verdict, ==, TABLE_UNCOUNTED);
    newcomer.item.shadow = false;
    struct table_counters counters;
    CHECK_OK(table_counters(table, &counters));
    CHECK_UINT(counters.busy, ==, 2);
    CHECK_UINT(counters.broken, ==, 0);
    kill(pid, SIGKILL);
    CHECK_INT(waitpid(pid, NULL, 0), ==, pid);
    CHECK_OK(charge_once(table, &newcomer, &answer));
    CHECK_UINT(answer.remaining, ==, 8);
    CHECK_OK(table_counters(table, &counters));
    CHECK_UINT(counters.broken, ==, 1);
    table_close(table);
}

/* Sizes that change under way. */

enum { RESIZED_USERS = 40, RESIZED_AMOUNT = 20, RESIZED_CHARGES = 60 };

/* Opens the table with a size of its own, again and again, and charges once each time. */
static void charge_in_any_size(uint32_t slot, uint64_t seed)
{
    for (unsigned i = 0; i < RESIZED_CHARGES * RESIZED_USERS / PROCESSES / 2; i++) {
        struct table_options options =
            child_options(slot, 310 + (uint32_t)(next_random(&seed) % 10) * 310);
        struct table *table = fixture_open_with(&options);
        uint64_t user = next_random(&seed) % RESIZED_USERS;
        struct charge charge;
        struct table_answer answer;
        charge_init(&charge, "20/59 minutes", user);
        int status = table_charge(table, &charge.item, 1, TABLE_ALL_OR_NONE,
                                  clock_boot_ns(&clock_system), &answer);
        if (status == 0 && atomic_fetch_add(&ledger->users[user], 1) + 1 > RESIZED_AMOUNT)
            atomic_fetch_add(&ledger->over, 1);
        if (status != JINI_E_LIMITED && status != JINI_E_BUSY)
            CHECK_OK(status);
        table_close(table);
    }
    _exit(0);
}

TEST(
    sizes_change_between_processes,
    "Processes that open the table with sizes of their own, at once and after another, never admit "
    "more than the limit.")
{
    set_up();
    pid_t pids[PROCESSES];
    for (uint32_t slot = 0; slot < PROCESSES; slot++) {
        uint64_t seed = harness_random();
        pids[slot] = fork();
        CHECK_INT(pids[slot], >=, 0);
        if (pids[slot] == 0)
            charge_in_any_size(slot, seed);
    }
    for (uint32_t slot = 0; slot < PROCESSES; slot++) {
        int how;
        CHECK_INT(waitpid(pids[slot], &how, 0), ==, pids[slot]);
        CHECK(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    }
    CHECK_UINT(atomic_load(&ledger->over), ==, 0);
    struct table_options options = child_options(0, 310);
    struct table *table = fixture_open_with(&options);
    for (uint64_t user = 0; user < RESIZED_USERS; user++) {
        struct charge charge;
        struct table_answer answer;
        charge_init(&charge, "20/59 minutes", user);
        CHECK_OK(table_peek(table, &charge.item, clock_boot_ns(&clock_system), &answer));
        CHECK_UINT(RESIZED_AMOUNT - answer.remaining, ==, atomic_load(&ledger->users[user]));
    }
    table_close(table);
}

/* The file under running processes. */

/* Another process may be at it, for longer than is waited on a machine that is busy itself. */
static void check_when_free(struct table *table)
{
    int status;
    do {
        status = table_check(table, NULL);
    } while (status == JINI_E_BUSY);
    CHECK_OK(status);
}

static void run_beside_damage(uint32_t slot, uint64_t seed)
{
    struct table_options options = child_options(slot, 3100);
    struct table *table = fixture_open_with(&options);
    struct charge charge;
    charge_init(&charge, "1000/minute", 0);
    for (uint64_t i = 0; !atomic_load(&ledger->stop); i++) {
        struct table_answer answer;
        CHECK_OK(table_subject_user(&charge.subject, next_random(&seed) % 500, 0, &charge.limit));
        int status = table_charge(table, &charge.item, 1, TABLE_ALL_OR_NONE,
                                  clock_boot_ns(&clock_system), &answer);
        if (status != JINI_E_LIMITED && status != JINI_E_BUSY)
            CHECK_OK(status);
        atomic_fetch_add(status == JINI_E_BUSY ? &ledger->busy : &ledger->answered, 1);
        if (i % 256 == slot)
            check_when_free(table);
    }
    /* All have come to the same table. */
    check_when_free(table);
    charge_init(&charge, "9/59 minutes", 777);
    struct table_answer answer;
    int status;
    do {
        status = table_charge(table, &charge.item, 1, TABLE_ALL_OR_NONE,
                              clock_boot_ns(&clock_system), &answer);
    } while (status == JINI_E_BUSY); /* another's claim, on a machine that is busy itself */
    CHECK_OK(status);
    table_close(table);
    _exit(0);
}

TEST(the_file_is_lost_under_running_processes,
     "The table is deleted, replaced and overwritten in its header while processes charge: they go "
     "on, and end on one table.")
{
    set_up();
    pid_t pids[PROCESSES - 1];
    for (uint32_t slot = 0; slot < PROCESSES - 1; slot++) {
        uint64_t seed = harness_random();
        pids[slot] = fork();
        if (pids[slot] == 0)
            run_beside_damage(slot, seed);
    }
    uint64_t generation = 0;
    unsigned tables = 0;
    for (unsigned i = 0; i < 150; i++) {
        uint8_t junk[88];
        tables += generation != atomic_load(&fixture->generation);
        generation = atomic_load(&fixture->generation);
        sleep_us(2000 + harness_random_below(6000));
        for (size_t b = 0; b < sizeof(junk); b++)
            junk[b] = (uint8_t)harness_random();
        int file = open("limits.shm", O_WRONLY);
        switch (harness_random_below(3)) {
        case 0:
            unlink("limits.shm");
            break;
        case 1:
            if (file >= 0)
                CHECK_INT(pwrite(file, junk, sizeof(junk), 0), ==, sizeof(junk));
            break;
        default:
            rename("limits.shm", "limits.old");
        }
        if (file >= 0)
            close(file);
    }
    uint64_t answered = atomic_load(&ledger->answered);
    for (unsigned waits = 0; atomic_load(&ledger->answered) < answered + 100; waits++) {
        CHECK_UINT(waits, <, 10000);
        sleep_us(1000);
    }
    printf("     %llu answers, %llu busy\n", (unsigned long long)atomic_load(&ledger->answered),
           (unsigned long long)atomic_load(&ledger->busy));
    CHECK_UINT(tables, >, 10);
    atomic_store(&ledger->stop, 1);
    for (uint32_t slot = 0; slot < PROCESSES - 1; slot++)
        harness_wait_exit(pids[slot], 0);
    struct table_options options = child_options(PROCESSES, 3100);
    struct table *table = fixture_open_with(&options);
    struct charge charge;
    struct table_answer answer;
    charge_init(&charge, "9/59 minutes", 777);
    CHECK_OK(table_peek(table, &charge.item, clock_boot_ns(&clock_system), &answer));
    CHECK_UINT(answer.remaining, ==, 9 - (PROCESSES - 1));
    table_close(table);
}
