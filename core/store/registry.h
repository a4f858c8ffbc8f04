/*
 * The registry: which processes have a database open, whose turn it is to write, and words that
 * they share.
 *
 * The file `processes` in the database directory, mapped by all of them:
 *
 *   offset 0      header: magic "JINIPROC", version, geometry, boot id, PID namespace, turn; then
 *                 the shared words
 *   offset 4096   64 slots of 256 bytes, one per process
 *   offset 20480  4096 change words of 8 bytes
 *
 * Nothing in it needs to survive a reboot, so it is never synced: another boot id makes it anew.
 *
 *  1. A process owns slot i while it holds the fcntl write lock on byte 4096 + i. The kernel drops
 *     the lock when the process dies, however it dies; a child does not inherit it. Alive is never
 *     judged otherwise.
 *  2. A slot's incarnation grows each time the slot is taken, and begins with a random number when
 *     the file is laid out, so (slot, incarnation) names a process for ever, also where it was
 *     written down before a reboot.
 *  3. Byte 0 is locked while the file is laid out, a slot is taken or the database is made.
 *  4. The file is opened once per process: closing any descriptor of a file drops all of a
 *     process's locks on it.
 *  5. The file is allocated in full before it is mapped.
 *  6. Turns to write are tickets, served in order of number (turn.c).
 *  7. A process that may only read the file takes no slot and looks on, as long as nobody else has
 *     one (onlooker.c).
 *  8. What a process announces stands in its own slot, is changed by it alone, and is void when the
 *     slot's lock is gone.
 */
#ifndef STORE_REGISTRY_H
#define STORE_REGISTRY_H

#include "store/store.h"

#include <stdatomic.h>

struct registry;

struct registry_options {
    const char *directory; /* NULL: shared with nobody, in anonymous memory */
    const char *process_name;
    const struct jini_clock *clock;
    uint32_t format_min; /* formats that this process can work with, or migrate */
    uint32_t format_max;
    bool read_only;
    bool look_on;         /* with read_only: also where the file could be written */
    enum store_sync sync; /* of its commits, unless read_only */
};

/*
 * Takes a slot; with `read_only`, where the file cannot be written, looks on. JINI_E_LOCKED: live
 * processes of another PID namespace have the database open, or one that writes with a sync mode
 * that does not go together with this one's. JINI_E_BUSY: all slots are taken, or another process
 * holds byte 0 for over 5 s. JINI_E_FORMAT: a migration to a format that this process cannot read
 * is under way, or live processes use another version of this file. JINI_E_CORRUPT: the file is
 * damaged while others use it. JINI_E_IO.
 */
int registry_open(const struct registry_options *options, struct registry **out,
                  struct jini_error *error);
void registry_close(struct registry *registry);

/*
 * Locks out other processes that open the database. JINI_E_BUSY: one of them has been at it for
 * over 5 s.
 */
int registry_setup_begin(struct registry *registry, struct jini_error *error);
void registry_setup_end(struct registry *registry);

struct store_process registry_self(const struct registry *registry);
bool registry_alive(struct registry *registry, struct store_process process);
_Atomic uint64_t *registry_shared_word(struct registry *registry, uint32_t index);
_Atomic uint64_t *registry_change_word(struct registry *registry, uint32_t index);
size_t registry_list(struct registry *registry, struct store_process_info *out, size_t capacity);

/* The live process whose turn it is. False: nobody's. */
bool registry_holder(struct registry *registry, struct store_process_info *out);

/* True for a process that has no slot and so is seen by nobody. */
bool registry_looks_on(const struct registry *registry);

/*
 * For one that looks on: true once another process has opened the database. What was read from it
 * before this answers false is sound.
 */
bool registry_disturbed(const struct registry *registry);

/* False when somebody deleted the file under us: then nobody who opens the database sees us. */
bool registry_file_present(const struct registry *registry);

/*
 * Waits for the turn to write, which one process has at a time. `on_wait` runs every few
 * milliseconds meanwhile and ends the wait by returning false. True when the turn is ours.
 */
typedef bool registry_wait_fn(void *argument);
bool registry_turn_take(struct registry *registry, registry_wait_fn *on_wait, void *argument);
void registry_turn_give(struct registry *registry);

/* True, once, when the process that had the turn before died with it. */
bool registry_turn_was_broken(struct registry *registry);

/*
 * Announces that this process moves the database to `format`, so that nobody who cannot read it
 * opens it any more; 0 ends that. Several processes may do so at once, each for itself. Then
 * registry_format_blocker() finds a live process that cannot work with the format; false when there
 * is none.
 */
void registry_format_target(struct registry *registry, uint32_t format);
bool registry_format_blocker(struct registry *registry, uint32_t format,
                             struct store_process_info *out);

#endif
