/*
 * Jobs and images as records, the lists of them that each user has, and what falls due when.
 *
 * Every function works inside a transaction of the store (store/store.h) and on any thread that may
 * use it; those that change something need a write transaction. Each reads and checks first and
 * writes after, takes time and ids from its arguments, and allocates nothing. What it wrote is
 * durable when the transaction is. `error` may be NULL; it is filled for what a function itself
 * refuses or finds damaged.
 *
 * Errors of all of them, beside their own and those of store_get() and store_put():
 *   JINI_E_CORRUPT  a stored row breaks its format: the op fails; `jini verify` tells the extent
 *   JINI_E_FORMAT   a row has more fields of a newer version than a change of it could keep
 *
 * Invariants of the rows, which every function here keeps. README.md has the keys and fields.
 *
 *  1. A job that has not ended is in the due queue at its expires_ms (unless 0), and in the running
 *     row of its user or address if it was created counted. A job that has ended is in neither, and
 *     has neither reservation nor address any more. It is in the due queue at its kept_until_ms
 *     (unless 0), but not while an image of it is there.
 *  2. An image in the trash is in the due queue for its purge; one that is not, for its expiry
 *     (unless 0).
 *  3. A user's list of images holds exactly the images of that user outside the trash, that of jobs
 *     exactly the jobs, each under a number that never changes and is never used again. No page of
 *     a list is stored empty.
 *  4. The counts of a user are those of the records.
 *  5. User 0 (anonymous) has no lists and counts: all requests would share them and rewrite them,
 *     and the lists would grow without end. Its running jobs are counted by address; the row of an
 *     address goes with its last job.
 *  6. The job of an image is there, in the trash or not, for as long as the image is.
 *  7. A QUEUED job that has not ended stands in the rows of waiting.h, one that has ended in none.
 */
#ifndef GENERATIONS_H
#define GENERATIONS_H

#include "store/store.h"

#include <jini/generations.h>

enum {
    GENERATIONS_RESERVATION_MAX = 512,
    GENERATIONS_FACTS_MAX = 560,
    GENERATIONS_ADDRESS_MAX = 16,           /* bytes that tell an address from others */
    GENERATIONS_RUNNING_MAX = 256,          /* counted jobs of one subject that run at once */
    GENERATIONS_METADATA_INLINE_MAX = 1024, /* longer metadata is kept in the pack */
    GENERATIONS_PROMPTS_INLINE_MAX = 1024,  /* both together; longer ones have rows of their own */
    GENERATIONS_DUE_VALUE_MAX = 64
};

/* ---- States: pure ---------------------------------------------------------------------------- */

/* True for the states that a job does not leave. */
bool generations_job_ended(enum jini_job_state state);

/* 0 when a job may go from one state to the other. JINI_E_CONFLICT: `error` names both states. */
int generations_job_check_change(enum jini_job_state from, enum jini_job_state to,
                                 struct jini_error *error);

/*
 * The same for where the bytes of an image are, which knows no trash. An image may stay as it is
 * (its pack was rewritten). It never loses its only copy: between HOT and COLD lies HOT_ARCHIVED.
 */
int generations_image_check_change(enum jini_image_state from, enum jini_image_state to,
                                   struct jini_error *error);

/* ---- Jobs ------------------------------------------------------------------------------------ */

enum generations_job_flag {
    GENERATIONS_JOB_COUNTED = 1 << 0, /* counts as running for its user or address until it ends */
    GENERATIONS_JOB_QUEUED = 1 << 1,  /* waits for workers: waiting.h. It is COUNTED too */
    GENERATIONS_JOB_DELAYED = 1 << 2  /* kept by waiting.c: it waits for its time, expires_ms */
};

struct generations_job {
    struct jini_id id;
    uint64_t user_id;     /* 0: anonymous */
    struct slice address; /* of an anonymous job that is COUNTED, see struct generations_subject */
    struct jini_parameters parameters;
    struct slice prompt; /* UTF-8, up to JINI_PROMPT_MAX - 1 bytes */
    struct slice negative;
    uint64_t created_ms;
    uint64_t expires_ms; /* 0: never given up */
    uint64_t cost_credits;
    struct slice reservation; /* opaque, up to 512 bytes: what the end of the job gives back */
    struct slice facts;       /* opaque, up to 560 bytes: why it was admitted */
    uint32_t flags;           /* enum generations_job_flag, without DELAYED */

    /* Of one that is QUEUED. */
    uint32_t priority;     /* up to JINI_QUEUE_PRIORITY_MAX; higher is taken first */
    uint32_t attempts_max; /* at least 1 */
    uint64_t wait_ms;      /* how long it waits each time; expires_ms is the end of the first */
    uint64_t waiting_max;  /* jobs that may wait at once; 0: any number */
};

/*
 * Creates a job in state IN_QUEUE, at the head of its user's list.
 *   JINI_E_INVALID  a member breaks its rule
 *   JINI_E_TOO_BIG  a prompt, the reservation or the facts are too long
 *   JINI_E_EXISTS   there is a job of this id
 *   JINI_E_BUSY     256 counted jobs of the user or address run already ("parallel"); or as many
 *                   wait as may ("queue")
 */
int generations_job_create(struct store_txn *txn, const struct generations_job *job,
                           struct jini_error *error);

/* JINI_E_NOT_FOUND. */
int generations_job_get(struct store_txn *txn, const struct jini_id *id, struct jini_job *out,
                        struct jini_error *error);

/*
 * Appends the prompt and the negative prompt to buffers, without NUL; either may be NULL.
 * JINI_E_NOT_FOUND. JINI_E_TOO_BIG: a buffer is too small; 16,384 bytes always do.
 */
int generations_job_prompts(struct store_txn *txn, const struct jini_id *id, struct buffer *prompt,
                            struct buffer *negative, struct jini_error *error);

/*
 * The images that were attached to a job, in that order, among them those that were deleted since.
 * JINI_E_NOT_FOUND. JINI_E_TOO_BIG: more than `capacity`; JINI_JOB_IMAGES_MAX is always enough.
 */
int generations_job_images(struct store_txn *txn, const struct jini_id *id, struct jini_id *out,
                           size_t capacity, size_t *count, struct jini_error *error);

/* Appends why it was admitted; nothing, when that was not kept. JINI_E_NOT_FOUND. */
int generations_job_facts(struct store_txn *txn, const struct jini_id *id, struct buffer *out,
                          struct jini_error *error);

/* A change of a job's state. */
struct generations_job_change {
    struct jini_id id;
    enum jini_job_state to;
    uint64_t now_ms;     /* of a clock that may be wrong: times of a job never run backwards */
    uint64_t expires_ms; /* to a state that is no end: when it is given up now; 0: as before */
    uint64_t uncharged;  /* to an end: credits of its cost that it was not charged */
    uint64_t keep_ms;    /* to an end: how long the record is kept; 0: for ever */
    const char *failure; /* why it did not complete, for job.error; cut at 256 bytes; or NULL */
    /*
     * Of a QUEUED job: who has it, by the attempt that was given out with it; 0: nobody, which ends
     * a job otherwise than as COMPLETED.
     */
    uint32_t attempt;

    /* Out. */
    enum jini_job_state from;
    struct jini_job job;         /* as it is now */
    uint32_t reservation_length; /* given out once, by the change that ends the job */
    uint8_t reservation[GENERATIONS_RESERVATION_MAX];
};

/*
 * Changes the state of a job, or renews its lease in the state that it is in. To end it takes it
 * from the running row and the due queue and hands its reservation to the caller, who gives back
 * what it says in the same transaction: nobody gets it again. JINI_E_NOT_FOUND. JINI_E_CONFLICT: it
 * cannot go there from the state that it is in; or it is QUEUED, and `attempt` is not the one that
 * has it.
 */
int generations_job_transition(struct store_txn *txn, struct generations_job_change *change,
                               struct jini_error *error);

/*
 * Deletes the record of a job that has ended. JINI_E_NOT_FOUND. JINI_E_CONFLICT: it has not ended.
 * JINI_E_IN_USE: an image of it is there.
 */
int generations_job_delete(struct store_txn *txn, const struct jini_id *id,
                           struct jini_error *error);

/* ---- Running jobs ---------------------------------------------------------------------------- */

/* Whose running jobs are counted together. */
struct generations_subject {
    uint64_t user_id;     /* 0: the address */
    struct slice address; /* 1 to 16 bytes; of a user it is not looked at */
};

struct generations_running_job {
    struct jini_id id;
    uint64_t expires_ms; /* 0: never */
};

/* The counted jobs of a subject that have not ended; those given up at `now_ms` come first. */
struct generations_running {
    uint32_t count;
    uint32_t expired; /* of them: end these in this transaction, they do not count */
    struct generations_running_job jobs[GENERATIONS_RUNNING_MAX];
};

int generations_running_get(struct store_txn *txn, const struct generations_subject *subject,
                            uint64_t now_ms, struct generations_running *out,
                            struct jini_error *error);

/*
 * Takes a job out of the running row that cannot be ended, since its record is gone or damaged or
 * says that it has ended. Does nothing when the row does not have it.
 */
int generations_running_drop(struct store_txn *txn, const struct generations_subject *subject,
                             const struct jini_id *id, struct jini_error *error);

/* ---- Images ---------------------------------------------------------------------------------- */

/* Where the bytes are, and until when. */
struct generations_place {
    enum jini_image_state state; /* not JINI_IMAGE_TRASH */
    uint32_t pack_sequence;      /* number of its record in the pack */
    struct jini_id pack_id;
    uint64_t stored_bytes; /* in the pack, metadata not counted */
    uint64_t expires_ms;   /* 0: kept. The end of a day, where packs are dropped by days */
};

struct generations_image {
    struct jini_image image;        /* with JINI_IMAGE_TRASHED while it is in the trash */
    struct generations_place place; /* where its bytes are, in the trash or not */
    uint64_t trashed_ms;            /* 0: not in the trash */
    uint64_t purge_ms;
    uint32_t metadata_inline; /* 1: the metadata is in the record; 0: in the pack, or none */
};

/* A new image. `place` gives state, expires_ms, stored_bytes and pack_id, not `image`. */
struct generations_image_new {
    struct jini_image image;
    struct generations_place place;
    /*
     * The raw metadata, to be kept in the record: image.metadata_bytes long, at most 1024. Empty
     * with metadata_bytes above 0: the caller keeps it in the pack.
     */
    struct slice metadata;
};

/*
 * Creates an image, at the head of its user's list, and attaches it to its job unless job_id is
 * zero.
 *   JINI_E_INVALID    a member breaks its rule, or the job is another user's
 *   JINI_E_EXISTS     there is an image of this id
 *   JINI_E_NOT_FOUND  there is no such job
 *   JINI_E_CONFLICT   the job has had as many images as its count says
 */
int generations_image_create(struct store_txn *txn, const struct generations_image_new *image,
                             struct jini_error *error);

/* JINI_E_NOT_FOUND. */
int generations_image_get(struct store_txn *txn, const struct jini_id *id,
                          struct generations_image *out, struct jini_error *error);

/*
 * Appends the metadata that lies in the record; nothing when it does not. JINI_E_NOT_FOUND.
 * JINI_E_TOO_BIG: 1,024 bytes are always enough.
 */
int generations_image_metadata(struct store_txn *txn, const struct jini_id *id, struct buffer *out,
                               struct jini_error *error);

/*
 * The bytes have moved or are kept for another time; also for an image in the trash.
 *   JINI_E_INVALID    place.state is no place
 *   JINI_E_NOT_FOUND  there is no such image: it was deleted meanwhile
 *   JINI_E_CONFLICT   the bytes cannot have got there from where they were
 */
int generations_image_update(struct store_txn *txn, const struct jini_id *id,
                             const struct generations_place *place, struct jini_error *error);

/*
 * Puts an image into the trash, to be purged at purge_ms (not 0). JINI_E_NOT_FOUND.
 * JINI_E_CONFLICT: it is there already, and was not to be purged `sooner`.
 */
struct generations_trash {
    struct jini_id id;
    uint64_t now_ms;
    uint64_t purge_ms;
    bool sooner; /* one that is there already gets this time, where its own is later */
};
int generations_image_trash(struct store_txn *txn, const struct generations_trash *trash,
                            struct jini_error *error);

/*
 * Takes an image out of the trash, to its old place in the list. JINI_E_NOT_FOUND.
 * JINI_E_CONFLICT: it is not in the trash.
 */
int generations_image_untrash(struct store_txn *txn, const struct jini_id *id,
                              struct jini_error *error);

/*
 * Deletes the record of an image, in the trash or not; `out` (may be NULL) is what it said.
 * JINI_E_NOT_FOUND.
 */
int generations_image_delete(struct store_txn *txn, const struct jini_id *id,
                             struct generations_image *out, struct jini_error *error);

/* ---- Lists ----------------------------------------------------------------------------------- */

/*
 * A user's images outside the trash and a user's jobs, newest first, as jini_image_list() and
 * jini_job_list() promise: `count` below `capacity` means no more, whatever is added and removed
 * between two calls. After an error the cursor stands where it stood. The work is bounded by
 * `capacity`; callers that list much do it in pieces and renew the snapshot between them.
 */
int generations_image_list(struct store_txn *txn, uint64_t user_id, struct jini_list_cursor *cursor,
                           struct jini_image *out, size_t capacity, size_t *count,
                           struct jini_error *error);
int generations_job_list(struct store_txn *txn, uint64_t user_id, struct jini_list_cursor *cursor,
                         struct jini_job *out, size_t capacity, size_t *count,
                         struct jini_error *error);

/* What a user has, without a scan. All zero for a user without anything. */
int generations_usage(struct store_txn *txn, uint64_t user_id, struct jini_usage *out,
                      struct jini_error *error);

/* ---- What falls due -------------------------------------------------------------------------- */

/* Rows of jobs and images are added and removed by the functions above. */
enum generations_due_kind {
    GENERATIONS_DUE_JOB,   /* a job is given up: end it as TIMED_OUT */
    GENERATIONS_DUE_ENDED, /* an ended job has been kept for as long as it was to be: delete it */
    GENERATIONS_DUE_IMAGE, /* an image's time is over: trash or delete it */
    GENERATIONS_DUE_PURGE, /* an image in the trash is to be deleted */
    GENERATIONS_DUE_ENGINE /* the engine's own; the value says what */
};

struct generations_due {
    enum generations_due_kind kind;
    uint32_t value_length;
    uint64_t due_ms;
    struct jini_id id;
    uint8_t value[GENERATIONS_DUE_VALUE_MAX]; /* empty for jobs and images */
};

/* Adds or replaces the row of (kind, due_ms, id). JINI_E_INVALID: the value is too long. */
int generations_due_add(struct store_txn *txn, const struct generations_due *due,
                        struct jini_error *error);

/* Removes the row of (kind, due_ms, id). JINI_E_NOT_FOUND. */
int generations_due_remove(struct store_txn *txn, const struct generations_due *due);

/*
 * Lists the rows of a kind that are due at `now_ms`, the longest due first, up to `capacity`.
 * Acting on them belongs into the same write transaction, where they still hold; deleting or ending
 * what they name removes them. A row whose record is not there, or fails its check, is the caller's
 * to remove, or it comes again.
 */
int generations_due_list(struct store_txn *txn, enum generations_due_kind kind, uint64_t now_ms,
                         struct generations_due *out, size_t capacity, size_t *count,
                         struct jini_error *error);

/* The same behind a row, for who only looks and lets the rows be. */
int generations_due_list_after(struct store_txn *txn, const struct generations_due *after,
                               uint64_t now_ms, struct generations_due *out, size_t capacity,
                               size_t *count, struct jini_error *error);

#endif
