/*
 * One run of tiering over all packs, shared by its steps:
 *
 *   tiering_run.c      the run: what is done with all packs, in which order
 *   tiering_step.c     one pack: asks images/tiering.h what to do, and has it done
 *   tiering_foresee.c  what a run would do, for a dry one
 *   tiering_seal.c     open packs
 *   tiering_share.c    duplicates
 *   tiering_compact.c  rewriting packs without garbage
 *   tiering_record.c   single records, read to be copied or compared
 *   tiering_merge.c    small packs
 *   tiering_archive.c  archive, free, purge
 *   tiering_expire.c   images whose time is over, and the trash
 *   tiering_regain.c   packs whose file is gone or cut, from where else they lie
 *   tiering_collect.c  files that nothing refers to, and objects that nothing refers to any more
 *
 * Every step can be repeated after a crash at any point: what changes the index checks the lease in
 * the same transaction, and files and objects are deleted only after the index has let go of them.
 */
#ifndef ENGINE_TIERING_PRIVATE_H
#define ENGINE_TIERING_PRIVATE_H

#include "engine/engine_private.h"
#include "engine/owner.h"
#include "generations/generations.h"
#include "images/index.h"
#include "images/pack_copy.h"
#include "images/pack_files.h"
#include "images/tiering.h"

#include <jini/archive.h>

enum {
    TIERING_SLICE = 128,                 /* images of one transaction */
    TIERING_STEPS_MAX = 8,               /* of one pack in one run */
    TIERING_SOURCES_MAX = 16,            /* packs that are rewritten into one */
    TIERING_FAILED_MAX = 64,             /* packs that are known to have been counted as failed */
    TIERING_ORPHAN_AGE_MS = 3600 * 1000, /* a PUT or a put may still be under way before */
    TIERING_ADOPT = 1 << 30              /* beside enum jini_tiering_flag: see owner_adopt() */
};

struct tiering_run {
    struct jini *jini;
    struct lease lease; /* without a name: the run only looks */
    struct tiering_policy policy;
    struct jini_archive_run *request;  /* counts and reports; never NULL */
    const _Atomic uint32_t *stop;      /* set: end between two packs; NULL: never */
    const _Atomic uint32_t *cancelled; /* the same, by the caller who asked */
    uint64_t packs_made;               /* by compaction */
    uint64_t jobs_at_ns;               /* boot time: jobs are given up again */
    struct owner owner;                /* whether objects of the archive may be deleted */
    bool expires;                      /* of a dry run: some images would be deleted first */
    struct jini_id read_back;          /* the attempt whose object this run has proved last */
    uint32_t failed_count;             /* of those that are remembered */
    struct jini_id failed[TIERING_FAILED_MAX];
    int first_status; /* of a pack that could not be moved */
    struct jini_error first_error;
};

/* A run, on the background thread; a dry one on any. JINI_E_LOCKED: another process is at it. */
int tiering_run(struct jini *jini, struct jini_archive_run *request, struct jini_error *error);

/*
 * A look at the rows of packs, at the due lists and the orphans, on snapshots, without the lease
 * and its commits. After false a regular run would find nothing to do.
 */
bool tiering_may_have_work(struct jini *jini);

/* Reports a step that was done (or, in a dry run, would be). */
void tiering_report(const struct tiering_run *run, enum jini_tiering_step step,
                    const struct index_pack *pack, uint64_t images, uint64_t bytes,
                    const char *because);

/* Runs an op under the lease: it is called with `argument` after the epoch was checked. */
int tiering_write(const struct tiering_run *run, store_op_fn *op, void *argument);

/* Loads a pack, or up to TIERING_SLICE locations of it, on a snapshot of its own. */
int tiering_load_pack(const struct tiering_run *run, const struct jini_id *id,
                      struct index_pack *out);
int tiering_load_locations(const struct tiering_run *run, const struct jini_id *pack,
                           const struct index_location *after, struct index_location *out,
                           size_t *count);

/*
 * Moves an image from one record to another that holds the same bytes. Of an image whose own record
 * cannot be read the location moves alone: its bytes are kept, and verify tells of it.
 */
int tiering_move_location(struct store_txn *txn, const struct index_location *from,
                          const struct index_location *to);

/*
 * Writes down that the object of a pack's attempt, if it has one, is to go; with the row that lets
 * go of it.
 */
int tiering_orphan(struct store_txn *txn, const struct index_pack *pack, uint64_t now_ms);

/*
 * Stores a pack's row, if its state still is `from`. An attempt that it had becomes an orphan.
 * JINI_E_CONFLICT.
 */
int tiering_change_pack(const struct tiering_run *run, const struct index_pack *pack,
                        enum index_pack_state from);

/* Runs a request to the archive, which ends with the run's own cancelling. */
int tiering_ask(const struct tiering_run *run, struct archive_request *request,
                struct jini_error *error);

/* Closing and cancelling end a run between two packs: one over all of them may take hours. */
bool tiering_must_end(const struct tiering_run *run);

/*
 * A lost lease, a failing store or a cancelling ends the run; a pack that cannot be moved does not.
 */
bool tiering_ends_run(int status);

/* Logs what is wrong with a pack; the first is the run's result. */
void tiering_note_problem(struct tiering_run *run, const struct jini_id *pack, int status,
                          const struct jini_error *error);

/*
 * The same of a pack that could not be moved, which is counted, once. A file that is not there,
 * though the index says so, is JINI_E_CORRUPT, as it is for who reads.
 */
void tiering_note_failure(struct tiering_run *run, const struct jini_id *pack, int status,
                          const struct jini_error *error);

typedef int tiering_visit_fn(struct tiering_run *run, const struct index_pack *pack, void *context,
                             struct jini_error *error);

/*
 * Calls `visit` for every pack by age, also for those that the visits make, but not for ever for
 * those that writers make meanwhile. The lease, if the run has one, is renewed for each page of
 * them. What a visit answers ends the run or is noted, see above.
 */
int tiering_each(struct tiering_run *run, tiering_visit_fn *visit, void *context,
                 struct jini_error *error);

/* What the row of a pack and the table of processes tell, without counting its images. */
struct tiering_facts tiering_facts_of(const struct tiering_run *run, const struct index_pack *pack);

/*
 * Counts images and records of a pack into the facts, and adds up the images' bytes. A pack holds
 * at most 65,536 records; slices keep snapshots short.
 */
int tiering_count_live(const struct tiering_run *run, const struct index_pack *pack,
                       struct tiering_facts *facts, uint64_t *bytes);

/* Reports images of many packs, and why they go. */
void tiering_report_expiry(const struct tiering_run *run, enum generations_due_kind kind,
                           uint64_t images, uint64_t bytes);

/* Takes a pack through all steps that are due, or reports them in a dry run. */
int tiering_advance(struct tiering_run *run, const struct jini_id *id, struct jini_error *error);

/* The same for the report of a step: what it moves or frees, and its name where it is shown. */
uint64_t tiering_step_bytes(enum tiering_step step, const struct index_pack *pack,
                            uint64_t live_bytes);
void tiering_report_step(const struct tiering_run *run, enum tiering_step step,
                         const struct index_pack *pack, uint64_t images, uint64_t bytes,
                         const char *because);

/*
 * Of an archived pack whose object may be lost: see tiering_renew(). A damaged file is rewritten.
 */
int tiering_renew_if_lost(struct tiering_run *run, const struct index_pack *pack,
                          struct jini_error *error);

/* Does one step, if it is the one that is due. */
int tiering_step_if_due(struct tiering_run *run, const struct jini_id *id, enum tiering_step wanted,
                        struct jini_error *error);

/* True for an open pack of another live process: only that one can seal it. */
bool tiering_in_use(const struct tiering_run *run, const struct index_pack *pack);

/* Has other live processes seal their open packs; waits for it, some seconds at most. */
int tiering_seal_others(struct tiering_run *run, struct jini_error *error);

/* The steps. Each leaves the pack in a state from which it can go on. */
int tiering_seal(struct tiering_run *run, const struct tiering_facts *facts,
                 struct jini_error *error);
int tiering_archive(struct tiering_run *run, const struct index_pack *pack,
                    struct jini_error *error);
int tiering_free(struct tiering_run *run, const struct index_pack *pack, struct jini_error *error);

/*
 * Has an archived pack whose object is not there, or not in its length, archived again: its row is
 * SEALED then. JINI_E_CORRUPT: its file is damaged.
 */
int tiering_renew(struct tiering_run *run, const struct index_pack *pack, struct jini_error *error);

/* Reads every byte of the local file. JINI_E_CORRUPT: `error` names the first damage. */
int tiering_check_file(const struct tiering_run *run, const struct index_pack *pack,
                       struct jini_error *error);
int tiering_purge(struct tiering_run *run, const struct index_pack *pack, struct jini_error *error);
int tiering_compact(struct tiering_run *run, const struct index_pack *packs, size_t count,
                    struct jini_error *error);
int tiering_share(struct tiering_run *run, const struct index_pack *pack, struct jini_error *error);
int tiering_merge_small(struct tiering_run *run, struct jini_error *error);
int tiering_expire(struct tiering_run *run, struct jini_error *error);

/* What a dry run reports instead: first what tiering_expire() would delete, then each pack. */
int tiering_foresee_expiry(struct tiering_run *run, struct jini_error *error);
int tiering_foresee(struct tiering_run *run, const struct jini_id *id, struct jini_error *error);

/*
 * Visits a pack: one whose file is gone or cut is taken back from packs/lost or from the archive.
 * JINI_E_CORRUPT: from neither.
 */
int tiering_regain(struct tiering_run *run, const struct index_pack *pack, void *context,
                   struct jini_error *error);

/* JINI_E_CORRUPT, with what to do about a file that is not there. */
int tiering_explain_lost(const struct jini_id *id, struct jini_error *error);

/* What nothing refers to: removed, or set aside; in a dry run it is only reported. */
int tiering_collect(struct tiering_run *run, struct jini_error *error);

/*
 * True when the index has neither a row nor an image of the pack. Of a lost row the images tell,
 * and verify of both.
 */
bool tiering_is_unknown(struct jini *jini, const struct jini_id *id);

/*
 * Delete what the index does not name any more. A file or object that is gone already is no
 * failure, nor is an object that stays because it may be another database's: `run->owner` tells.
 */
int tiering_remove_file(struct tiering_run *run, const struct index_pack *pack,
                        struct jini_error *error);
int tiering_delete_object(struct tiering_run *run, const struct index_pack *pack,
                          struct jini_error *error);

/* ---- tiering_record.c: single records ---- */

/*
 * Reads a record and checks it: from the file of the pack, or else from its object. Free with
 * pack_copy_free(). JINI_E_CORRUPT: no copy that can be read holds.
 */
int tiering_record_read(const struct tiering_run *run, const struct index_pack *pack,
                        const struct index_location *location, struct pack_copy *out,
                        struct jini_error *error);

/*
 * Reads such a record once more, and as it is if no reading holds. Only if there is no doubt: its
 * own header, or the footer of the pack, says that it stands where the index means, and two
 * readings agree in every byte; of a pack that is here and in the archive two of each copy.
 * JINI_E_CORRUPT, JINI_E_IO and others: there is doubt, let it be where it is.
 */
int tiering_record_damaged(const struct tiering_run *run, const struct index_pack *pack,
                           const struct index_location *location, struct pack_copy *out,
                           struct jini_error *error);

/*
 * Whether a record that was copied to `location` stands there on the disk; see pack_copy_check().
 */
int tiering_record_check(const struct tiering_run *run, const struct index_location *location,
                         const struct hash128 *body, struct jini_error *error);

/* Deletes the content rows of a pack that has a local file; or of one with these contents. */
int tiering_forget_content(struct tiering_run *run, const struct index_pack *pack,
                           struct jini_error *error);
struct pack_contents;
int tiering_forget_records(struct tiering_run *run, const struct index_pack *pack,
                           const struct pack_contents *contents, struct jini_error *error);

#endif
