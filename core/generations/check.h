/*
 * Checking the rows of jobs and images against each other, for `jini verify`: the invariants of
 * generations.h, row by row.
 *
 * Each function looks at one row and at those that must agree with it, all in the one snapshot that
 * it is given, so that what it finds is no change that was under way. It says nothing of a row that
 * is not there, since that may have gone before the snapshot was opened, nor of a damaged one that
 * it only came to from another: that one is found when its own turn comes. Bounded work and memory;
 * no heap.
 *
 * They return 0, however much was found, or what the store answers when it cannot be read.
 */
#ifndef GENERATIONS_CHECK_H
#define GENERATIONS_CHECK_H

#include "generations/generations.h"

/* What does not hold. Borrowed for the callback. */
struct generations_finding {
    const char *kind;  /* fixed, for tools */
    const char *field; /* of the row that was looked at */
    struct jini_id job_id;
    struct jini_id image_id;
    uint64_t user_id;
    const char *rule; /* a sentence: what is there, and what should be */
};

struct generations_check {
    struct store_txn *txn;
    void (*report)(void *context, const struct generations_finding *finding);
    void *context;
};

/*
 * A key of space JOBS: the record, its place in the user's list, in the due queue and in the row of
 * running jobs; or a prompt that lies outside of its record. What an unended job reserved is
 * appended to `reservation`, which takes GENERATIONS_RESERVATION_MAX bytes, and its id stands in
 * `id`; only the engine knows its format.
 */
int generations_check_job(const struct generations_check *check, struct slice key,
                          struct jini_id *id, struct buffer *reservation);

/*
 * Appends what a job that has not ended reserved, as generations_check_job() does; nothing when it
 * has ended, is not there, or cannot be read.
 */
int generations_check_reservation(struct store_txn *txn, const struct jini_id *id,
                                  struct buffer *reservation);

/* A key of space IMAGES: the record, its place in the user's list and in the due queue. */
int generations_check_image(const struct generations_check *check, struct slice key);

/* A key of space QUEUE: what it names is there and falls due at that time. */
int generations_check_due(const struct generations_check *check, struct slice key);

/* A subject's row of running jobs: each is there, is the subject's, counts, and has not ended. */
int generations_check_running(const struct generations_check *check,
                              const struct generations_subject *subject);

/*
 * The tail of a user's list of images or jobs: the items on its page, and the count of all items of
 * the list, when they are not too many to count in one snapshot.
 */
int generations_check_images_of(const struct generations_check *check, uint64_t user_id);
int generations_check_jobs_of(const struct generations_check *check, uint64_t user_id);

/* A key of space LISTS: a full page, and the items on it. */
int generations_check_page(const struct generations_check *check, struct slice key);

#endif
