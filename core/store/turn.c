/*
 * Whose turn it is to write: tickets in shared memory, first come, first served over all processes.
 * LMDB's own lock is neither fair nor timed; it is taken only by the process whose turn it is, and
 * so without waiting.
 *
 * A process draws a ticket, enters it into its slot and waits until no live process has a smaller
 * one. Between drawing and entering it is not seen, and a later ticket may go first: that costs
 * order once, never exclusion, which is the driver's lock.
 */
#include "store/registry_layout.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_STEP_MS = 5 };

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

/* Takes back the ticket of a slot whose process is gone. */
static void collect_ticket(struct registry *registry, uint32_t index)
{
    struct registry_slot *slot = &registry->map->slots[index];
    uint64_t ticket = atomic_load(&slot->ticket);
    struct store_process process = {index, atomic_load(&slot->incarnation)};
    if (ticket == 0 || registry_alive(registry, process))
        return;
    if (atomic_compare_exchange_strong(&slot->ticket, &ticket, 0))
        announce_change(&registry->map->header);
}

bool registry_turn_take(struct registry *registry, registry_wait_fn *on_wait, void *argument)
{
    struct registry_header *header = &registry->map->header;
    struct registry_slot *slot = &registry->map->slots[registry->self.slot];
    uint64_t ticket = atomic_fetch_add(&header->next_ticket, 1) + 1;
    atomic_store(&slot->wait_since_ns, clock_boot_ns(&clock_system));
    atomic_store(&slot->ticket, ticket);
    for (;;) {
        uint32_t seen = atomic_load(&header->turn);
        uint32_t first = first_before(registry, ticket);
        if (first == REGISTRY_SLOTS)
            break;
        wait_for_change(&header->turn, seen);
        if (atomic_load(&header->turn) == seen)
            collect_ticket(registry, first);
        if (!on_wait(argument)) {
            atomic_store(&slot->ticket, 0);
            announce_change(header);
            return false;
        }
    }
    atomic_store(&header->holder_since_ns, clock_boot_ns(&clock_system));
    /*
     * Whoever gives the turn clears its name: one that still stands is of a process that died with
     * the turn.
     */
    if (atomic_exchange(&header->holder, registry->self.slot + 1) != 0)
        registry->turn_broken = true;
    return true;
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
