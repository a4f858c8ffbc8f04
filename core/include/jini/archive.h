/*
 * Tiering: packs of images move from the local disk to the archive, and their local copies go. And
 * the check of everything against everything.
 */
#ifndef JINI_ARCHIVE_H
#define JINI_ARCHIVE_H

#include <jini/engine.h>
#include <jini/generations.h>

#ifdef __cplusplus
extern "C" {
#endif

enum jini_tiering_step {
    JINI_TIERING_SEAL = 1,    /* an open pack becomes immutable */
    JINI_TIERING_COMPACT = 2, /* live images move to a new pack, without what was purged or is
                                 double */
    JINI_TIERING_ARCHIVE = 3, /* copy to the archive, read back, verify, commit */
    JINI_TIERING_FREE = 4,    /* delete the local file of an archived pack */
    JINI_TIERING_PURGE = 5,   /* delete every copy of a pack without live images */
    JINI_TIERING_EXPIRE = 6,  /* delete images whose retention, or whose time in the trash, is over;
                                 their bytes go with their packs, or when these are compacted */
    JINI_TIERING_SET_ASIDE = 7, /* move a pack file that the index does not know to packs/lost */
    JINI_TIERING_DROP = 8,      /* delete one that has been there for longer than pack.lost_s */
    JINI_TIERING_REGAIN = 9 /* take back a pack whose file is gone or cut: from packs/lost, or its
                               object into the index */
};

JINI_EXPORT const char *jini_tiering_step_name(enum jini_tiering_step step);

/*
 * One step that was done or would be, and why. Borrowed for the callback. Small packs that become
 * one are one COMPACT, in the name of the first; EXPIRE is of many images and of no pack.
 */
struct jini_tiering_event {
    enum jini_tiering_step step;
    struct jini_id pack_id; /* zero for EXPIRE */
    uint64_t images;        /* 0 where small packs become one */
    uint64_t bytes;         /* that move or are freed */
    const char
        *object; /* name in the archive after the step, of PURGE the one that went; "" where there
                               is none, and for ARCHIVE in a dry run */
    const char *because; /* "archive.age_min_s has passed: 90000 s of 86400 s" */
};

typedef void jini_tiering_fn(void *context, const struct jini_tiering_event *event);

enum jini_tiering_flag {
    JINI_TIERING_NOW = 1 << 0, /* regardless of age to the archive; open packs are sealed first.
                                       Other processes are asked to seal theirs, which takes them a
                                       second; after three the run goes on: see `packs_in_use`.
                                       Packs whose object is missing are archived again. An
                                       archive that is gone is told of, also when nothing is to be
                                       moved there: JINI_E_ARCHIVE */
    JINI_TIERING_FREE_HOT = 1 << 1, /* free local copies of archived packs at once */
    JINI_TIERING_DRY_RUN = 1 << 2   /* report the steps that are due, and write nothing: beside
                                       other runs, and in a database that is opened read-only. What
                                       follows the end of an image's time is foreseen; what follows
                                       a COMPACT has the pack that is rewritten for the one that
                                       would be made; duplicates, small packs that would become
                                       one, and what files and objects turn out to hold are not
                                       foreseen */
};

/*
 * Why a database deletes nothing from the archive: what it no longer needs there, another database
 * may. Each lasts until jini_archive_adopt().
 */
enum jini_keeping {
    JINI_KEEPING_NOTHING = 0, /* it does delete */
    JINI_KEEPING_COPY = 1, /* it lies in another file, or on another machine, than the one that it
                                 was made in: it is a copy, or was moved */
    JINI_KEEPING_UNKNOWN = 2, /* that cannot be known: an earlier version made the database, what
                                 tells it is damaged, the archive has lost what tells its owner, or
                                 a newer version owns it */
    JINI_KEEPING_TAKEN = 3    /* another database of the same origin, or a later state of this one,
                                 has deleted from the archive since, or adopted it */
};

/* "nothing", "copy", "unknown", "taken"; and a clause that says why objects stay. Both static. */
JINI_EXPORT const char *jini_keeping_name(enum jini_keeping keeping);
JINI_EXPORT const char *jini_keeping_text(enum jini_keeping keeping);

/*
 * Runs tiering once over all packs, here and now, beside the background's. Each pack goes through
 * copy, verify by reading back, commit of the index, and only then deletion; a crash anywhere is
 * picked up by the next run. `report` is called for each step, on a thread of the engine. One run
 * at a time over all processes; a dry run waits for none.
 *
 * A pack whose local file is gone or cut is taken back first, where a whole copy of it lies in
 * packs/lost or in the archive. Pack files that the index does not know are set aside there: their
 * records may have been lost.
 *
 * Out: the counts of this run, also after an error; a dry run counts `packs_in_use` alone.
 *   JINI_E_LOCKED     another process was at it, or a backup, until the request's time was up; try
 *                     again later
 *   JINI_E_CONFLICT   the run was held up for longer than background.lease_ms, and another process
 *                     took over; nothing is lost, what is left is done by that one or a later run
 *   JINI_E_CANCELLED  it ended between two packs, or with the request to the archive that was under
 *                     way: what was being moved is moved by a later run
 *   JINI_E_TIMEOUT    it waited behind other runs for too long; nothing was done
 *   JINI_E_BUSY       background.queue_max of this process wait already
 *   others            JINI_E_ARCHIVE, JINI_E_FULL, JINI_E_CORRUPT and more: some packs could not be
 *                     moved (`packs_failed`); they stay as they are, `error` names the first, and
 *                     all others were moved. JINI_E_CORRUPT is also a file that is gone, with no
 *                     copy left; and it tells, once, of damaged records that were put apart when
 *                     their pack was rewritten; jini_verify() names them
 */
struct jini_archive_run {
    struct jini_request request;
    uint32_t flags;          /* enum jini_tiering_flag */
    uint32_t waited;         /* out: 1 after another run, whose work is not counted here */
    jini_tiering_fn *report; /* may be NULL */
    void *report_context;
    uint64_t packs_sealed; /* that were open; not those that compaction makes */
    uint64_t packs_archived;
    uint64_t packs_freed;
    uint64_t packs_purged;
    uint64_t images_archived;
    uint64_t images_purged; /* by EXPIRE */
    uint64_t bytes_archived;
    uint64_t bytes_freed;
    uint64_t packs_failed;
    uint64_t objects_kept;    /* that this database no longer needs, and that stay: see `keeping` */
    uint64_t packs_set_aside; /* files that the index does not know, to packs/lost */
    uint64_t packs_dropped;   /* and from there, for good */
    uint64_t packs_regained;
    uint64_t
        packs_in_use; /* open packs of other live processes: only these can seal them, and do so
                              when they are full, old or closed, and when JINI_TIERING_NOW asks */
    uint32_t keeping; /* enum jini_keeping: why nothing was deleted from the archive */
    uint32_t in_use_by_count;
    int32_t in_use_by[JINI_PROCESSES_MAX]; /* pids of these; jini_processes() has their names */
};
JINI_EXPORT int jini_archive_run(struct jini *jini, struct jini_archive_run *run,
                                 jini_callback *callback);

/*
 * Makes the archive that archive.url names, empty, where none is: the first run does so by itself,
 * but once there are objects an empty place is taken for a disk that is not mounted. For an archive
 * that is lost for good. A run with JINI_TIERING_NOW then archives again what is on the local disk;
 * images that were in the archive alone are lost. Adopts what it has made. Blocks; not on a loop.
 * Durable.
 *   JINI_E_EXISTS     there is an archive
 *   JINI_E_INVALID    something else is there
 *   JINI_E_READ_ONLY  the database is opened so, or the file system is
 *   JINI_E_ON_LOOP, JINI_E_IO, JINI_E_FULL, JINI_E_NO_MEMORY
 *   others            of jini_archive_adopt(): the archive is made, and is to be adopted
 */
JINI_EXPORT int jini_archive_init(struct jini *jini, struct jini_error *error);

/*
 * Says that what this database names in the archive is its own from now on.
 *
 * Of a database and its copies at most one deletes from an archive that they share. A copy that was
 * made as a file, by jini_copy() or by any other tool, deletes nothing, wherever the archive lies:
 * it is told by the file and the machine that the database was made on. A database that was moved
 * within its file system stays the original; one that was moved to another file system or machine
 * counts as a copy. What was copied below the files (a snapshot of a disk, a clone of a machine)
 * looks like the original. Of these, the first that deletes goes on, for it leaves a new token in
 * the archive and in its records; the other ones find that and delete nothing any more. So a
 * snapshot that is older than the last run that deleted does no harm. A clone that is equal in all,
 * used beside its original, may be the one that deletes first: then the original loses what the
 * clone deletes. Adopt an archive of its own for each before both are used.
 *
 * This is for a copy that takes the place of its original, which is gone, or for which the archive
 * was copied, too. The original, if it goes on, deletes nothing any more, and loses what the copy
 * deletes or rewrites. Nor does an original know of its copies: what it deletes or rewrites, those
 * lose that share its archive.
 *
 * Waits for a run that is under way. Blocks; not on a loop. Durable.
 *   JINI_E_LOCKED     the run of another process went on until the request's time was up
 *   JINI_E_CONFLICT   another database adopts the archive at this moment, or another process took
 *                     over for being held up: try again
 *   JINI_E_FORMAT     a newer version owns the archive
 *   JINI_E_ARCHIVE    it is not there (jini_archive_init()), or does not answer
 *   JINI_E_READ_ONLY, JINI_E_ON_LOOP, JINI_E_BUSY, JINI_E_TIMEOUT, errors of a write
 */
JINI_EXPORT int jini_archive_adopt(struct jini *jini, struct jini_error *error);

/* How images and packs are spread over the tiers. */
struct jini_archive_status {
    uint64_t images_hot; /* local only */
    uint64_t images_hot_archived;
    uint64_t images_cold;
    uint64_t images_trash;
    uint64_t bytes_original; /* of all images as they were put */
    uint64_t bytes_local;    /* of local packs; of open ones as far as they are written */
    uint64_t bytes_archived; /* of objects in the archive */
    uint64_t packs_open;
    uint64_t packs_sealed;
    uint64_t packs_archived;
    uint64_t packs_cold;
    uint64_t bytes_cached;
    uint64_t objects_due; /* that are to be deleted from the archive */
    uint32_t keeping;     /* enum jini_keeping: why none is, as far as known without the archive */
    uint32_t reserved;
    uint64_t packs_lost; /* files that the index does not know, in packs/lost */
    uint64_t bytes_lost;
};
JINI_EXPORT int jini_archive_status(struct jini *jini, struct jini_archive_status *out,
                                    struct jini_error *error);

/* Something that verify found wrong. Borrowed for the callback. */
struct jini_verify_problem {
    const char *kind;        /* fixed, for tools: "image_without_bytes" */
    struct jini_id image_id; /* this and other ids: zero when it is about none */
    struct jini_id pack_id;
    const char *message; /* a sentence: the field, what is there, the rule that it breaks */
    const char *field;   /* of the row, record or file that is wrong */
    struct jini_id job_id;
    uint64_t user_id;
};
typedef void jini_verify_fn(void *context, const struct jini_verify_problem *problem);

/* How far a phase is. `total`: the rows that there were when it began; 0: not known. */
typedef void jini_progress_fn(void *context, const char *phase, uint64_t done, uint64_t total);

enum jini_verify_flag {
    JINI_VERIFY_DEEP = 1 << 0 /* read and check every stored byte, local and in the archive */
};

/*
 * Checks all that is stored against all else:
 *   the file    the structure of every page of the data file, and that no page is in two places
 *               or free as well. Where one is damaged, one problem of the kind "data_file_damaged"
 *               names it, and nothing else is checked. Where a row of a space cannot be read at
 *               all, one of the kind "space_damaged" names the space, and what stands behind the
 *               row there is not checked
 *   records     users against the rows of names, addresses and tiers, in both directions; tiers;
 *               the counter of user ids; jobs and images against the due queue, the users' lists
 *               with their counts of items, and the rows of running jobs, in both directions; what
 *               quotas have reserved against the jobs that run; images against their jobs; prompts;
 *               leases; what tells whether the database owns its archive
 *   the ledger  the chain of its blocks, and the first that was altered; balances, histories, ids,
 *               lists and pending transfers against the transfers that they follow from
 *   the index   images against locations, in both directions; rows of packs; rows of shared content
 *               against the records that they name; objects that are down to be deleted, which must
 *               be nobody's; keys that are none of their space
 *   packs       each file from record to record, and each location against the record that it
 *               names; images with the same bytes share a record, so its image id alone proves
 *               nothing
 *   the archive objects by presence and length; in depth by the checksum of their bytes
 *
 * Not checked: the sums of bytes and the counts of the trash of a user, the items of lists beyond
 * some 65,000, the records inside of objects whose pack is not on the local disk, used units of
 * quotas, rate limits; of the caller's own records (jini_txn_put()) anything but the pages of the
 * data file that hold them.
 *
 * Runs beside other work, on a thread of its own, and gives no false alarm for what changes
 * meanwhile: what is found is read again, in one snapshot, before it is reported. Memory is
 * bounded. The data file is read on one snapshot, as jini_copy() does: its pages are not used again
 * for as long as that takes. Later no snapshot is open for long. Changes nothing. `report` is
 * called on a thread of the engine, one finding at a time, and may take its time.
 *
 * Each request to the archive has background.lease_ms and a millisecond for each 256 bytes to be
 * answered. After three in a row that were not, or where the archive cannot be opened, the objects
 * of the other packs are not checked, and one problem of the kind "archive_unreachable" says so and
 * why; all else is checked.
 *
 * Result: 0 also when problems were found; `problems` counts them. JINI_E_CANCELLED: by
 * jini_cancel() or jini_close(), wherever it was. JINI_E_BUSY: another verify of this engine is
 * under way.
 */
struct jini_verify {
    struct jini_request request;
    uint32_t flags; /* enum jini_verify_flag */
    uint32_t reserved;
    jini_verify_fn *report;     /* may be NULL */
    jini_progress_fn *progress; /* may be NULL */
    void *context;              /* of both */
    uint64_t users;
    uint64_t jobs;
    uint64_t images;
    uint64_t packs;
    uint64_t objects;
    uint64_t bytes_read;
    uint64_t problems;
    uint64_t objects_unknown; /* packs in the archive that this database has never named, of another
                                 one that shares it or is gone: no problem, and never deleted */
    uint64_t packs_unknown;   /* files that the index does not know: in packs/lost, or about to be
                               moved there. No problem by themselves: a crash leaves some */
};
JINI_EXPORT int jini_verify(struct jini *jini, struct jini_verify *verify, jini_callback *callback);

#ifdef __cplusplus
}
#endif
#endif
