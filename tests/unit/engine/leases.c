/* Leases: who holds one keeps it, and who is gone keeps nobody waiting. */
#include "engine/lease.h"

#include "plant.h"

#include <pthread.h>
#include <unistd.h>

#define NAME "tiering"

enum { LONG_MS = 120000, SHORT_MS = 30000, ROW_BYTES = 32 };

/* Runs once, when this thread asks for the time next. */
static _Thread_local struct jini *renew_at_look;

static void plant_lease(struct jini *jini, uint64_t epoch, uint64_t until_ns)
{
    struct tuple key;
    uint8_t row[ROW_BYTES] = {0};
    tuple_begin(&key);
    tuple_add_text(&key, slice_of_text(NAME));
    store_le64(row, epoch);
    store_le32(row + 8, 3);   /* slot */
    store_le32(row + 12, 99); /* incarnation */
    store_le64(row + 16, until_ns);
    plant_row(jini, STORE_SPACE_LEASES, &key, row, sizeof(row));
}

static uint64_t boot_ns(void *context)
{
    struct jini *jini = renew_at_look;
    renew_at_look = NULL;
    if (jini)
        plant_lease(jini, 7, UINT64_C(1) << 62);
    return fixture_boot_ns(context);
}

static const struct jini_clock renewing_clock = {fixture_wall_ns, boot_ns, NULL};

static struct jini *open_with(uint64_t lease_ms)
{
    struct jini_options options;
    fixture_options(&options);
    options.background_lease_ms = lease_ms;
    options.clock = &renewing_clock;
    return fixture_open_with(&options);
}

/* Another process, that has the lease until it is told to go. */
struct holder {
    pid_t process;
    int ready[2];
    int go[2];
};

static void hold(struct holder *holder, uint64_t lease_ms)
{
    char byte = 0;
    CHECK_INT(pipe(holder->ready), ==, 0);
    CHECK_INT(pipe(holder->go), ==, 0);
    holder->process = fork();
    if (holder->process == 0) {
        struct lease lease;
        CHECK_OK(lease_take(open_with(lease_ms), NAME, 0, &lease));
        CHECK_INT(write(holder->ready[1], &byte, 1), ==, 1);
        CHECK_INT(read(holder->go[0], &byte, 1), ==, 1);
        _exit(0); /* without giving it back */
    }
    CHECK_INT(read(holder->ready[0], &byte, 1), ==, 1);
}

static void let_go(struct holder *holder)
{
    char byte = 0;
    CHECK_INT(write(holder->go[1], &byte, 1), ==, 1);
    harness_wait_exit(holder->process, 0);
    for (int i = 0; i < 2; i++) {
        close(holder->ready[i]);
        close(holder->go[i]);
    }
}

TEST(a_longer_lease_is_not_taken_from_the_living,
     "A process whose own leases are shorter leaves the lease of a live one alone, and has it as "
     "soon as that one is dead.")
{
    struct holder holder;
    struct lease lease;
    hold(&holder, LONG_MS);
    struct jini *jini = open_with(SHORT_MS);
    CHECK_STATUS(lease_take(jini, NAME, 0, &lease), JINI_E_LOCKED);
    let_go(&holder);
    CHECK_OK(lease_take(jini, NAME, 0, &lease));
    CHECK_UINT(lease.epoch, ==, 2);
    lease_give(&lease);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(
    a_lease_from_before_a_restart_is_free,
    "A lease whose end lies far ahead in boot time, of a process that is not there, is taken over.")
{
    struct jini *jini = open_with(SHORT_MS);
    plant_lease(jini, 7, UINT64_C(1) << 62);
    struct lease lease;
    CHECK_OK(lease_take(jini, NAME, 0, &lease));
    CHECK_UINT(lease.epoch, ==, 8);
    lease_give(&lease);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_lease_that_was_just_renewed_is_not_taken,
     "A lease whose time is up, and that its holder renews between the look at it and the commit, "
     "stays the holder's.")
{
    struct jini *jini = open_with(SHORT_MS);
    struct lease lease;
    plant_lease(jini, 7, 1);
    renew_at_look = jini;
    CHECK_STATUS(lease_take(jini, NAME, 0, &lease), JINI_E_LOCKED);
    CHECK(!renew_at_look);
    plant_lease(jini, 7, 1);
    CHECK_OK(lease_take(jini, NAME, 0, &lease));
    CHECK_UINT(lease.epoch, ==, 8);
    lease_give(&lease);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void *let_go_later(void *holder)
{
    usleep(300 * 1000);
    let_go(holder);
    return NULL;
}

TEST(a_run_tells_that_it_waited_for_another,
     "A run that finds another process at it waits, and says so, for what that one did is not in "
     "its counts; one that finds nobody says nothing.")
{
    struct holder holder;
    struct jini_archive_run run;
    pthread_t thread;
    hold(&holder, LONG_MS);
    struct jini *jini = open_with(LONG_MS);
    jini_request_init(&run);
    CHECK_INT(pthread_create(&thread, NULL, let_go_later, &holder), ==, 0);
    CHECK_OK(jini_archive_run(jini, &run, NULL));
    pthread_join(thread, NULL);
    CHECK_UINT(run.waited, ==, 1);
    CHECK_OK(jini_archive_run(jini, &run, NULL));
    CHECK_UINT(run.waited, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
