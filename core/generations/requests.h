/*
 * Requests that were admitted: for a day at least, who sends one again gets the job that it led to.
 *
 *   REQUESTS (uint day, id request)   0 version u8, 1 | 1 zero u8 x 7 | 8 job id | 24 digest of
 *                                     what was asked for, 16 bytes (40 bytes)
 *
 * `day` is that of the admission, in days since 1970; rows go by whole days. So a request is known
 * for one to two days, and an id that grows with time is appended. It is looked for on the day
 * before and after as well: a clock that is set back by up to a day admits nothing twice.
 */
#ifndef GENERATIONS_REQUESTS_H
#define GENERATIONS_REQUESTS_H

#include "base/hash.h"
#include "generations/check.h"

struct generations_request {
    struct jini_id id;
    struct jini_id job_id;
    struct hash128 digest;
};

/* JINI_E_NOT_FOUND: no such request was admitted lately. JINI_E_CORRUPT, JINI_E_FORMAT. */
int generations_request_find(struct store_txn *txn, const struct jini_id *id, uint64_t now_ms,
                             struct generations_request *out);

int generations_request_add(struct store_txn *txn, const struct generations_request *request,
                            uint64_t now_ms);

/* Removes up to `most` requests that are over. */
int generations_requests_sweep(struct store_txn *txn, uint64_t now_ms, uint32_t most,
                               uint32_t *removed);

/* Whether there is one to be removed. */
int generations_requests_due(struct store_txn *txn, uint64_t now_ms, bool *due);

/* For verify: a key of space REQUESTS. */
int generations_check_request(const struct generations_check *check, struct slice key);

#endif
