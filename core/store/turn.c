/*
 * Whose turn it is to write: tickets in shared memory, first come, first served over all processes.
 * LMDB's own lock is neither fair nor timed; it is taken only by the process whose turn it is, and
 * so without waiting.
 *
 *  1. A process has the turn while `holder` names it. It takes it by swapping its name in for
 *     nobody's, or for the name of a process that is dead; whoever gives the turn clears its name.
 *  2. Only the process with the smallest ticket tries to. A process draws a ticket and enters it
 *     into its slot; in between it is not seen, and a later ticket may go first, once.
 *  3. A ticket is taken back by those behind it when its process is dead, or when the turn is free
 *     (nobody's, or a dead process's) and it has not been taken for PASS_OVER_MS: that process is
 *     stopped. It draws another one when it goes on.
 *  4. `turn` changes whenever somebody leaves the queue or the turn: those who wait sleep on it,
 *     for WAIT_STEP_MS at most.
 */
#include "store/registry_layout.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_STEP_MS = 5, PASS_OVER_MS = 100 };

/* The futex lies in shared memory, so it is not a private one. */
static void wait_for_change(_Atomic uint32_t *word, uint32_t seen)
{
    struct timespec step = {.tv_nsec = WAIT_STEP_MS * 1000000L};
    syscall(SYS_futex, word, FUTEX_WAIT, seen, &step, NULL, 0);
}

static void announce_change(struct registry_header *header)
{
    atomic_fetch_add(&header->turn, 1);
    syscall(SYS_futex, &header->turn, FUTEX_WAKE, REGISTRY_SLOTS, NULL, NULL, 0);
}

/* The slot of the smallest ticket before ours, or REGISTRY_SLOTS when it is our turn. */
static uint32_t first_before(struct registry *registry, uint64_t ticket)
{
    uint32_t first = REGISTRY_SLOTS;
    uint64_t smallest = ticket;
    for (uint32_t i = 0; i < REGISTRY_SLOTS; i++) {
        uint64_t other = atomic_load(&registry->map->slots[i].ticket);
        if (other != 0 && other < smallest) {
            smallest = other;
            first = i;
        }
    }
    return first;
}

/* False while `holder` names another process that is alive. */
static bool is_free(const struct registry *registry, uint32_t holder)
{
    bool names_other = holder != 0 && holder <= REGISTRY_SLOTS && holder != registry->self.slot + 1;
    return !names_other || !registry_slot_taken(registry, holder - 1);
}

static void take_back(struct registry *registry, uint32_t index, uint64_t ticket)
{
    struct registry_slot *slot = &registry->map->slots[index];
    if (atomic_compare_exchange_strong(&slot->ticket, &ticket, 0))
        announce_change(&registry->map->header);
}

/* Looks at the first in the queue after a wait in which nothing has changed. */
static void judge_first(struct registry *registry, uint32_t index, unsigned *idle_steps)
{
    uint64_t ticket = atomic_load(&registry->map->slots[index].ticket);
    bool free = is_free(registry, atomic_load(&registry->map->header.holder));
    *idle_steps = free ? *idle_steps + 1 : 0;
    if (ticket == 0)
        return;
    if (*idle_steps >= PASS_OVER_MS / WAIT_STEP_MS || !registry_slot_taken(registry, index))
        take_back(registry, index, ticket);
}

static bool take_holder(struct registry *registry)
{
    struct registry_header *header = &registry->map->header;
    uint32_t self = registry->self.slot + 1;
    uint32_t holder = 0;
    if (!atomic_compare_exchange_strong(&header->holder, &holder, self)) {
        if (!is_free(registry, holder))
            return false;
        if (!atomic_compare_exchange_strong(&header->holder, &holder, self))
            return false;
        registry->turn_broken = true;
    }
    atomic_store(&header->holder_since_ns, clock_boot_ns(&clock_system));
    return true;
}

static uint64_t draw_ticket(struct registry *registry)
{
    struct registry_slot *slot = &registry->map->slots[registry->self.slot];
    uint64_t ticket = atomic_fetch_add(&registry->map->header.next_ticket, 1) + 1;
    atomic_store(&slot->ticket, ticket);
    return ticket;
}

bool registry_turn_take(struct registry *registry, registry_wait_fn *on_wait, void *argument)
{
    struct registry_header *header = &registry->map->header;
    struct registry_slot *slot = &registry->map->slots[registry->self.slot];
    unsigned idle_steps = 0;
    atomic_store(&slot->wait_since_ns, clock_boot_ns(&clock_system));
    uint64_t ticket = draw_ticket(registry);
    for (;;) {
        uint32_t seen = atomic_load(&header->turn);
        if (atomic_load(&slot->ticket) != ticket)
            ticket = draw_ticket(registry); /* this process was passed over while it was stopped */
        uint32_t first = first_before(registry, ticket);
        if (first == REGISTRY_SLOTS && take_holder(registry))
            return true;
        wait_for_change(&header->turn, seen);
        if (atomic_load(&header->turn) != seen)
            idle_steps = 0;
        else if (first != REGISTRY_SLOTS)
            judge_first(registry, first, &idle_steps);
        if (!on_wait(argument)) {
            atomic_store(&slot->ticket, 0);
            announce_change(header);
            return false;
        }
    }
}

bool registry_turn_was_broken(struct registry *registry)
{
    bool broken = registry->turn_broken;
    registry->turn_broken = false;
    return broken;
}

void registry_turn_give(struct registry *registry)
{
    struct registry_header *header = &registry->map->header;
    struct registry_slot *slot = &registry->map->slots[registry->self.slot];
    uint32_t self = registry->self.slot + 1;
    atomic_compare_exchange_strong(&header->holder, &self, 0);
    atomic_store(&slot->ticket, 0);
    announce_change(header);
}
