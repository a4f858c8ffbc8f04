/*
 * The demo: three users, several hundred images, from admission to the archive and back, with a
 * report.
 *
 *   main.c    arguments and the order of things
 *   images.c  files of a folder, rendered into it or found there
 *   submit.c  admission and storage, many at once
 *   money.c   a payment, what it buys, and its refund
 *   report.c  progress and figures
 */
#ifndef DEMO_H
#define DEMO_H

#include <jini/jini.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { DEMO_USERS = 3, DEMO_THREADS = 4, DEMO_REASONS = 16, DEMO_ROUNDS = 6, DEMO_IMAGES = 320 };

/* An image on its way. Its bytes are read from its file when they are needed, and not kept. */
struct demo_image {
    char *name;     /* of its file, in demo.folder */
    unsigned owner; /* index of the user */
    uint64_t seed;  /* of a rendered one */
    uint64_t length;
    uint32_t width;
    uint32_t height;
    int status;   /* of the last try; 1: not yet tried */
    bool refused; /* for ever, whatever is lifted: no image, or too large */
    uint32_t refusals;
    struct jini_id id;
};

/* Why something was refused, and how often. One limit is one reason: lifted, it is another. */
struct demo_reason {
    int status;
    char what[JINI_ERROR_FIELD_MAX]; /* the limit that refused, or the field of the error */
    char example[JINI_ERROR_MESSAGE_MAX];
    uint64_t count;
    uint64_t shown; /* of them, by demo_new_refusals() */
};

struct demo_user {
    const char *name;
    const char *tier;
    unsigned long long per_minute; /* of the tier */
    unsigned long long per_day;
    uint32_t width_max; /* of the tier; 0: none */
    uint32_t height_max;
    uint32_t width_most; /* of the images */
    uint32_t height_most;
    uint64_t id;
    uint64_t images;
    uint64_t stored;
    uint64_t bytes;
    unsigned reason_count;
    struct demo_reason reasons[DEMO_REASONS];
};

struct demo {
    struct jini *jini;
    const char *folder; /* that the images are in */
    bool renders;       /* them first */
    size_t render_count;
    const char *before_reading; /* a command to run when everything is in the archive; NULL: none */
    char directory[4096];
    bool terminal;
    struct demo_user users[DEMO_USERS];
    struct demo_image *images;
    size_t image_count;
    pthread_mutex_t lock; /* guards the users' counts and the reasons */
    uint64_t bytes;

    double render_seconds;
    double store_seconds;
    double archive_seconds;
    double read_seconds;
    struct jini_archive_run archived;
    struct jini_archive_status before;
    struct jini_archive_status after;
    struct jini_verify verified;
    uint64_t differing;
};

double demo_seconds(void);

/*
 * directory.c: makes DATA/demo anew, which is this process's until it ends. 0, or the exit code
 * when it cannot, or when somebody has it open: then nothing was removed.
 */
int demo_directory_prepare(struct demo *demo, const char *data);

/* images.c: lists the images, then renders or probes their files on DEMO_THREADS threads. */
int demo_images_list(struct demo *demo);
int demo_images_load(struct demo *demo);

/* Reads the file of an image: 0 with bytes that the caller frees, or the status of the image. */
int demo_image_read(const struct demo *demo, const struct demo_image *image, uint8_t **out,
                    size_t *length);
void demo_images_free(struct demo *demo);
size_t demo_images_refused(const struct demo *demo); /* how many are refused for ever */

/*
 * submit.c: every image that is not stored goes through admission once. Returns how many are still
 * not stored.
 */
size_t demo_submit(struct demo *demo);
int demo_read_back(struct demo *demo);

/* money.c: a user who pays, runs out of credits, and is refunded. 0, or the exit code. */
int demo_money(struct demo *demo);

/* report.c: demo_fail() answers with the exit code. */
int demo_fail(const char *what, int status, const struct jini_error *error);
void demo_title(const char *text);
void demo_progress(const struct demo *demo, const char *what, size_t done, size_t total);
void demo_progress_end(const struct demo *demo);
void demo_new_refusals(struct demo *demo); /* since the last call */
void demo_report(const struct demo *demo);
void demo_name_refused(const struct demo *demo); /* "2 files were refused: a.txt, b.txt" */
/* A file's name as a terminal may see it. */
void demo_print_name(const char *name);

/*
 * Runs `work` on DEMO_THREADS threads, each taking the next index below `total`, with progress
 * shown.
 */
typedef void demo_work_fn(struct demo *demo, size_t index);
void demo_parallel(struct demo *demo, const char *what, size_t total, demo_work_fn *work);

#endif
