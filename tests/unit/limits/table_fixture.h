/*
 * Tables for tests: a clock that the test moves, a generation word and processes that are
 * registered in shared memory.
 */
#ifndef TABLE_FIXTURE_H
#define TABLE_FIXTURE_H

#include "harness.h"
#include "limits/table.h"
#include "limits/table_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <jini/status.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FIXTURE_HOLDERS = 16 };

/* Shared by a test and its children. */
struct fixture {
    _Atomic uint64_t generation;
    _Atomic uint64_t now_ns; /* of the clock that the test moves */
    _Atomic uint32_t incarnations[FIXTURE_HOLDERS];
    _Atomic uint32_t asked; /* how often somebody asked whether a process lives */
};

static struct fixture *fixture;
static int fixture_lock_file = -1; /* opened anew by every process */
static uint32_t fixture_own_slot = UINT32_MAX;

static uint64_t fixture_clock_ns(void *context)
{
    (void)context;
    return atomic_load(&fixture->now_ns);
}

static const struct jini_clock fixture_clock = {fixture_clock_ns, fixture_clock_ns, NULL};

/*
 * A process lives while it holds the lock on its byte and its incarnation is the last of its slot.
 */
static bool fixture_alive(void *context, uint32_t slot, uint32_t incarnation)
{
    (void)context;
    atomic_fetch_add(&fixture->asked, 1);
    if (slot >= FIXTURE_HOLDERS || atomic_load(&fixture->incarnations[slot]) != incarnation)
        return false;
    if (slot == fixture_own_slot)
        return true;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1};
    CHECK_INT(fcntl(fixture_lock_file, F_GETLK, &lock), ==, 0);
    return lock.l_type != F_UNLCK;
}

__attribute__((unused)) static void fixture_set_up(void)
{
    fixture =
        mmap(NULL, sizeof(*fixture), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(fixture != MAP_FAILED);
    atomic_store(&fixture->now_ns, 1000 * NS_PER_S);
}

/* Registers this process; its slot's last process must be dead. */
static uint32_t fixture_register(uint32_t slot)
{
    if (fixture_lock_file >= 0)
        close(fixture_lock_file);
    fixture_lock_file = open("processes.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK_INT(fixture_lock_file, >=, 0);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1};
    CHECK_INT(fcntl(fixture_lock_file, F_SETLK, &lock), ==, 0);
    fixture_own_slot = slot;
    return atomic_fetch_add(&fixture->incarnations[slot], 1) + 1;
}

static struct table_options fixture_options(uint32_t slot)
{
    struct table_options options;
    table_options_init(&options);
    options.directory = ".";
    options.clock = &fixture_clock;
    options.generation = &fixture->generation;
    options.holder_slot = slot;
    options.holder_incarnation = fixture_register(slot);
    options.alive = fixture_alive;
    options.regions[TABLE_ANONYMOUS].slots = 31;
    options.regions[TABLE_AUTHENTICATED].slots = 310;
    return options;
}

static struct table *fixture_open_with(const struct table_options *options)
{
    struct table *table;
    struct jini_error error;
    int status = table_open(options, &table, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "table_open(): %s %s: %s", jini_status_name(status),
                     error.field, error.message);
    return table;
}

__attribute__((unused)) static struct table *fixture_open(void)
{
    struct table_options options = fixture_options(0);
    return fixture_open_with(&options);
}

/* A limit, ready to be charged for one user. */
struct charge {
    struct limit limit;
    struct algorithm algorithm;
    struct table_subject subject;
    struct table_item item;
};

static void charge_init(struct charge *charge, const char *text, uint64_t user)
{
    struct limit_list list;
    struct jini_error error;
    if (limit_parse(slice_of_text(text), &list, &error) != 0)
        harness_fail(__FILE__, __LINE__, "%s: %s", text, error.message);
    charge->limit = list.limits[0];
    CHECK_OK(algorithm_prepare(&charge->limit, &charge->algorithm, &error));
    CHECK_OK(table_subject_user(&charge->subject, user, 0, &charge->limit));
    charge->item =
        (struct table_item){&charge->algorithm, &charge->subject, 1, charge->limit.shadow};
}

__attribute__((unused)) static int charge_once(struct table *table, struct charge *charge,
                                               struct table_answer *answer)
{
    return table_charge(table, &charge->item, 1, TABLE_ALL_OR_NONE, fixture_clock_ns(NULL), answer);
}

__attribute__((unused)) static struct table_answer charge_peek(struct table *table,
                                                               struct charge *charge)
{
    struct table_answer answer;
    CHECK_OK(table_peek(table, &charge->item, fixture_clock_ns(NULL), &answer));
    return answer;
}

__attribute__((unused)) static void fixture_advance_ms(uint64_t ms)
{
    atomic_fetch_add(&fixture->now_ns, ms * NS_PER_MS);
}

#endif
