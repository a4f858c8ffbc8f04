/*
 * Jobs and images as records: who generated what, with which parameters, and when.
 */
#ifndef JINI_GENERATIONS_H
#define JINI_GENERATIONS_H

#include <jini/id.h>
#include <jini/request.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    JINI_MODEL_MAX = 129,
    JINI_PROMPT_MAX = 16385, /* 16,384 bytes */
    JINI_JOB_ERROR_MAX = 257,
    JINI_JOB_IMAGES_MAX = 256, /* of one job */
    JINI_WORKER_NAME_MAX = 65, /* 64 bytes */
    JINI_QUEUE_PRIORITY_MAX = 1000,
    JINI_MEDIA_TYPE_MAX = 32
};

/* The states of a job, by Runpod's names. Those behind IN_PROGRESS are ends: no job leaves them. */
enum jini_job_state {
    JINI_JOB_IN_QUEUE = 1,
    JINI_JOB_IN_PROGRESS = 2,
    JINI_JOB_COMPLETED = 3,
    JINI_JOB_FAILED = 4,
    JINI_JOB_CANCELLED = 5,
    JINI_JOB_TIMED_OUT = 6
};

/* "IN_QUEUE" and so on; "UNKNOWN" for another value. Static. */
JINI_EXPORT const char *jini_job_state_name(enum jini_job_state state);

/* The parameters of a generation, as the services take them. */
struct jini_parameters {
    uint32_t width;  /* pixels */
    uint32_t height; /* pixels */
    uint32_t steps;
    uint32_t count;               /* images of this job, 1 to JINI_JOB_IMAGES_MAX: limits charge as
                                     many, and no more are taken. 0 is refused */
    int64_t seed;                 /* -1: chosen by the worker */
    uint64_t guidance_millionths; /* guidance scale 7.5 is 7,500,000 */
    char model[JINI_MODEL_MAX];
};

enum jini_job_flag {
    JINI_JOB_FOR_WORKERS = 1 << 0, /* it waits in the queue of jini/queue.h, or came from there */
    JINI_JOB_DELAYED = 1 << 1 /* IN_QUEUE after an attempt that failed: not before expires_ms */
};

struct jini_job {
    struct jini_id id;
    uint64_t user_id; /* 0: anonymous */
    enum jini_job_state state;
    struct jini_parameters parameters;
    uint64_t created_ms;
    uint64_t started_ms;    /* 0: not yet */
    uint64_t finished_ms;   /* 0: not yet */
    uint64_t expires_ms;    /* the end of its lease, when it is given up; jini_renew() puts it off.
                             Of one for workers: when it leaves the queue as TIMED_OUT; with
                             JINI_JOB_DELAYED when it may be taken again; IN_PROGRESS as above */
    uint64_t kept_until_ms; /* of a job that has ended: its record goes then, or later with its last
                               image; 0: kept */
    uint64_t cost_credits;  /* reserved while it runs; charged, once it has ended */
    uint32_t images;        /* attached to it so far, those among them that were removed since */
    uint32_t prompt_bytes;
    uint32_t negative_bytes;
    uint32_t flags;                    /* enum jini_job_flag */
    uint32_t priority;                 /* of one for workers: higher is taken first */
    uint32_t attempt;                  /* the number of times that a worker took it */
    uint32_t attempts_max;             /* when it was taken that often and not finished, it fails */
    char worker[JINI_WORKER_NAME_MAX]; /* who took it last */
    char error[JINI_JOB_ERROR_MAX];    /* of a job that failed, or the last attempt at it */
};

enum jini_image_flag {
    JINI_IMAGE_HAS_SEED = 1 << 0,
    /*
     * It came truncated, with wrong checksums inside, or with parts that its format does not allow,
     * and is kept as it came: no damage of what is stored. Bytes behind its end are none.
     */
    JINI_IMAGE_DAMAGED = 1 << 1,
    JINI_IMAGE_TRASHED = 1 << 2 /* removed, and can be restored until its purge */
};

/*
 * An image as its owner may see it: each member follows from what was put, when and by whom, and
 * none from what others have stored. Where its bytes are is told by jini_image_locate().
 */
struct jini_image {
    struct jini_id id;
    struct jini_id job_id; /* all zero: imported. The job is there as long as the image is */
    uint64_t user_id;      /* 0: anonymous */
    uint64_t created_ms;
    uint64_t expires_ms;     /* 0: kept */
    uint64_t bytes;          /* of the file as it was put */
    uint64_t metadata_bytes; /* of the raw metadata that it carries, inflated */
    int64_t seed;            /* with JINI_IMAGE_HAS_SEED */
    uint32_t width;
    uint32_t height;
    uint32_t flags;                       /* enum jini_image_flag */
    uint32_t texts_omitted;               /* of the file, which the raw metadata leaves out: over a
                                             bound, or broken */
    uint8_t hash[16];                     /* XXH3-128 of the file, canonical form */
    char media_type[JINI_MEDIA_TYPE_MAX]; /* "image/png" */
};

/* Reads a job. Any thread, on a snapshot. JINI_E_NOT_FOUND. */
JINI_EXPORT int jini_job_get(struct jini *jini, const struct jini_id *id, struct jini_job *out,
                             struct jini_error *error);

/*
 * Reads the prompt and the negative prompt of a job into `prompt` and `negative` (either may be
 * NULL), with NUL. JINI_E_NOT_FOUND. JINI_E_TOO_BIG: a capacity is too small; struct jini_job has
 * the lengths.
 */
JINI_EXPORT int jini_job_prompts(struct jini *jini, const struct jini_id *id, char *prompt,
                                 size_t prompt_capacity, char *negative, size_t negative_capacity,
                                 struct jini_error *error);

/*
 * Reads the ids of the images that were attached to a job, in that order, among them those that
 * were removed since. JINI_E_NOT_FOUND. JINI_E_TOO_BIG: more than `capacity`; struct jini_job has
 * the number, and JINI_JOB_IMAGES_MAX is always enough.
 */
JINI_EXPORT int jini_job_images(struct jini *jini, const struct jini_id *id, struct jini_id *out,
                                size_t capacity, size_t *count, struct jini_error *error);

/* Reads the record of an image. Any thread, on a snapshot. JINI_E_NOT_FOUND. */
JINI_EXPORT int jini_image_stat(struct jini *jini, const struct jini_id *id, struct jini_image *out,
                                struct jini_error *error);

/* Where the bytes of an image are. */
enum jini_image_state {
    JINI_IMAGE_HOT = 1,          /* in a local pack only */
    JINI_IMAGE_HOT_ARCHIVED = 2, /* in a local pack and in the archive */
    JINI_IMAGE_COLD = 3,         /* in the archive only */
    JINI_IMAGE_TRASH = 4         /* removed; its bytes go at the next purge */
};

JINI_EXPORT const char *jini_image_state_name(enum jini_image_state state);

struct jini_image_place {
    enum jini_image_state state;
    struct jini_id pack_id;
    uint64_t stored_bytes; /* of its record in the pack, metadata not counted */
    const char *codec;     /* "stored" or "zstd": how they are coded. Static */
};

/*
 * Tells where and how the bytes of an image are stored. For operators: images with the same bytes
 * share a record, so that a pack which is older than an image, or a state that it is too young for,
 * would tell its owner that somebody else had the bytes before. Any thread, on a snapshot.
 * JINI_E_NOT_FOUND. JINI_E_CORRUPT: the index does not say. JINI_E_FORMAT: by a newer codec.
 */
JINI_EXPORT int jini_image_locate(struct jini *jini, const struct jini_id *id,
                                  struct jini_image_place *out, struct jini_error *error);

/*
 * A place in a user's list, newest first. All zero is the beginning; each call moves it on. It
 * stays valid while entries are added and removed: what was there at the first call and is still
 * there when its turn comes is seen once, what is added later is not.
 */
struct jini_list_cursor {
    uint64_t next; /* private: entries of this number and above have been passed */
    uint32_t started;
    uint32_t reserved; /* zero */
};

/*
 * Lists a user's images, newest first, without those in the trash. `count` below `capacity`: no
 * more. After an error the cursor stands where it stood. The anonymous user 0 has no list.
 */
JINI_EXPORT int jini_image_list(struct jini *jini, uint64_t user_id,
                                struct jini_list_cursor *cursor, struct jini_image *out,
                                size_t capacity, size_t *count, struct jini_error *error);

/* Lists a user's jobs, newest first, under the same rules. */
JINI_EXPORT int jini_job_list(struct jini *jini, uint64_t user_id, struct jini_list_cursor *cursor,
                              struct jini_job *out, size_t capacity, size_t *count,
                              struct jini_error *error);

/* What a user has, kept up to date with every change. User 0 is not counted. */
struct jini_usage {
    uint64_t images; /* outside the trash */
    uint64_t bytes;  /* of their files as they were put */
    uint64_t trashed_images;
    uint64_t trashed_bytes;
    uint64_t jobs; /* in any state */
};

/* Reads what a user has. Any thread, on a snapshot. All zero for a user without anything. */
JINI_EXPORT int jini_usage_get(struct jini *jini, uint64_t user_id, struct jini_usage *out,
                               struct jini_error *error);

/* All of them inside a transaction: see jini_txn_fn. */
JINI_EXPORT int jini_txn_job_get(struct jini_txn *txn, const struct jini_id *id,
                                 struct jini_job *out, struct jini_error *error);
JINI_EXPORT int jini_txn_job_prompts(struct jini_txn *txn, const struct jini_id *id, char *prompt,
                                     size_t prompt_capacity, char *negative,
                                     size_t negative_capacity, struct jini_error *error);
JINI_EXPORT int jini_txn_job_images(struct jini_txn *txn, const struct jini_id *id,
                                    struct jini_id *out, size_t capacity, size_t *count,
                                    struct jini_error *error);
JINI_EXPORT int jini_txn_job_list(struct jini_txn *txn, uint64_t user_id,
                                  struct jini_list_cursor *cursor, struct jini_job *out,
                                  size_t capacity, size_t *count, struct jini_error *error);
JINI_EXPORT int jini_txn_image_stat(struct jini_txn *txn, const struct jini_id *id,
                                    struct jini_image *out, struct jini_error *error);
JINI_EXPORT int jini_txn_image_locate(struct jini_txn *txn, const struct jini_id *id,
                                      struct jini_image_place *out, struct jini_error *error);
JINI_EXPORT int jini_txn_image_list(struct jini_txn *txn, uint64_t user_id,
                                    struct jini_list_cursor *cursor, struct jini_image *out,
                                    size_t capacity, size_t *count, struct jini_error *error);
JINI_EXPORT int jini_txn_usage_get(struct jini_txn *txn, uint64_t user_id, struct jini_usage *out,
                                   struct jini_error *error);

#ifdef __cplusplus
}
#endif
#endif
