/*
 * The driver that injects faults, "fault:SPEC:URL": everything goes to the archive at URL, but for
 * the requests that SPEC picks. For tests of what stands on an archive: it behaves as the contract
 * in archive.h allows a bad day to behave, and in two ways (flip, short) as damaged storage does.
 *
 *     fault::dir:archive                                     no faults
 *     fault:every=5,kinds=refuse+lost:dir:archive            every fifth request
 *     fault:seed=7,rate=100,operations=get:dir:archive       one of ten GETs, drawn from the seed
 *     fault:script=pass+lost+pass+hang:dir:archive           the second and the fourth request
 *
 * SPEC is a list of KEY=VALUE, separated by ',':
 *
 *     seed=N          0 to 2^64 - 1 (1): from it and a request's number everything random is drawn
 *     every=N         1 to 1,000,000,000: the Nth, 2Nth, 3Nth ... request
 *     rate=N          1 to 1000: so many of 1000 requests, drawn
 *     skip=N          0 to 1,000,000,000 (0): the first N requests pass and are not counted
 *     script=K+K+...  up to 256 kinds or "pass", one a request; after the last one, all pass
 *     kinds=K+K+...   what `every` and `rate` do, drawn among those that fit the operation (refuse)
 *     operations=O+O  put, get, head, list, delete (all): others pass and are not numbered
 *     status=NAME     what refuse and lost answer, a name of the status table (E_ARCHIVE)
 *     delay_ms=N      0 to 60,000 (10): how long delay takes
 *
 * One of `every`, `rate` and `script` may be given. Kinds:
 *
 *     refuse   the request is not done and answers `status`
 *     lost     the request is done and answers `status` (the answer was lost on the way)
 *     short    GET: the object is as if its end were cut off
 *     flip     GET: one bit of what is delivered is wrong
 *     delay    the request is done after `delay_ms`
 *     hang     the request is not done, and ends by cancel, deadline or the archive's stop
 *
 * short answers JINI_E_CORRUPT for a range that was given, and fewer bytes with status 0 up to the
 * end. The checksum of a GET is always of what was delivered.
 *
 * A kind that does not fit the operation (short or flip for a PUT) is a pass. Requests are numbered
 * as they are submitted, so a sequential caller meets the same faults in every run.
 */
#ifndef ARCHIVE_FAULT_H
#define ARCHIVE_FAULT_H

#include "archive/archive.h"

enum fault_kind {
    FAULT_PASS,
    FAULT_REFUSE,
    FAULT_LOST,
    FAULT_SHORT,
    FAULT_FLIP,
    FAULT_DELAY,
    FAULT_HANG,
    FAULT_KINDS
};

enum { FAULT_SCRIPT_MAX = 256 };

/* A SPEC, read. */
struct fault_plan {
    uint64_t seed;
    uint64_t every; /* 0: not given */
    uint64_t rate;  /* 0: not given */
    uint64_t skip;
    uint64_t delay_ms;
    int status;
    uint32_t kinds;      /* bit of each */
    uint32_t operations; /* bit of each */
    uint32_t script_count;
    uint8_t script[FAULT_SCRIPT_MAX];
};

/* JINI_E_INVALID: `spec` breaks the grammar; `error` names the key. */
int fault_plan_parse(struct slice spec, struct fault_plan *out, struct jini_error *error);

/* What happens to the request of this number (0 is the first), and the number drawn for its
 * details. */
enum fault_kind fault_plan_decide(const struct fault_plan *plan, enum archive_operation operation,
                                  uint64_t number, uint64_t *drawn);

/* Replaces the SPEC of an open fault archive, for the requests submitted from now on; numbering
 * begins anew. */
int archive_fault_set(struct archive *archive, const char *spec, struct jini_error *error);

/* How many requests met each kind, since the archive was opened. */
void archive_fault_counts(struct archive *archive, uint64_t counts[FAULT_KINDS]);

/* The archive behind it. Lives as long as the fault archive; do not close it. */
struct archive *archive_fault_inner(struct archive *archive);

#endif
