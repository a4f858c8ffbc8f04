/*
 * A program on LMDB alone that makes the puts of a service's generations: what an admission and its
 * settling write, in rows of the same sizes, without any of the checks.
 *
 *     users      (number, "u") 81 bytes
 *     activity   (number, "l") 45 bytes, (number, "q") 48, (number, "r") 32 while a job runs
 *     jobs       (16 bytes that grow, 1) 230 bytes while the job runs, 129 afterwards
 *     queue      (8 bytes that grow, the job, 8 more) without a value, while the job runs
 *     events     (8 bytes that grow) 33 bytes
 *
 * and where generations cost credits
 *
 *     activity   (number, "w") 96 bytes, of all users beforehand
 *     transfers  ("head") 88 bytes; (8 bytes that grow) 192
 *     ids        (16 bytes that grow) 8 bytes
 *     pending    (9 bytes that grow) 152 bytes
 *     accounts   one row of 68 bytes
 *     postings   three rows of 70 bytes, for each 32nd transfer three others of 120
 */
#ifndef PEERS_SERVICE_H
#define PEERS_SERVICE_H

#include "peers/lmdb.h"

struct service;

/*
 * Makes a database of `users` users and so many generations that have ended, spread evenly over
 * them, without syncs.
 */
struct service *service_new(const char *directory, uint64_t users, uint64_t generations);
void service_free(struct service *service);

/*
 * Runs `count` generations of users drawn at random, an admission and a settling each, in commits
 * of `batch` of these writes: half admissions, half settlings of those of the commit before. With a
 * batch of 1 they alternate.
 */
void service_run(struct service *service, uint64_t count, uint64_t batch);

/* Has generations cost credits from now on. */
void service_charge(struct service *service);

/* Syncs every commit from now on. */
void service_sync_from_now(struct service *service);

/* The two halves by themselves: up to SERVICE_RUNNING_MAX jobs run at a time. */
enum { SERVICE_RUNNING_MAX = 1 << 20 };
void service_admit(struct service *service, uint64_t count, uint64_t batch);
void service_settle_all(struct service *service, uint64_t batch);

#endif
