/*
 * Admissions as a service makes them with PostgreSQL and Redis: the rate limit by one call to
 * Redis, and all else by one transaction of PostgreSQL. Errors end the process.
 *
 *     users   id bigint primary key, tier, active, credits, reserved, running, used, day; half of
 *             each page is left free, so that an update stays on it
 *     tiers   name, width, height, steps, parallel, quota
 *     jobs    id uuid primary key, user, parameters, prompt, cost, state, time; index by (user,
 *             time)
 *     events  id bigserial primary key, type, user, subject, time
 */
#ifndef PEERS_ADMISSION_STACK_H
#define PEERS_ADMISSION_STACK_H

#include <stdbool.h>
#include <stdint.h>

/* What an admission is, in words. */
#define ADMISSION_STACK                                                                            \
    "a prepared call of a function that takes quota, parallel job and credits from the user's "    \
    "row where all of them suffice, inserts the job and an event, and commits; before it one "     \
    "call to Redis 7, which keeps nothing on the disk, for the rate limit"

/* Why there can be none; NULL: there can. Static. */
const char *admission_stack_missing(const char *directory);

/* In an empty directory, with so many users. */
struct admission_stack;
struct admission_stack *admission_stack_new(const char *directory, uint64_t users, bool small);
void admission_stack_free(struct admission_stack *stack);

/* One connection of many to both, each for a thread of its own. */
struct admission_client;
struct admission_client *admission_client_new(struct admission_stack *stack, uint32_t number);
void admission_client_free(struct admission_client *client);
void admission_client_admit(struct admission_client *client, uint64_t user);

#endif
