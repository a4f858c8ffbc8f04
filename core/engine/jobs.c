/* Jobs after their admission: renewed, settled, released; and what ends with them. */
#include "engine/jobs.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/grants.h"
#include "engine/txn.h"
#include "events/events.h"
#include "generations/waiting.h"

#include <jini/admission.h>

enum {
    RESERVATION_WITHOUT_HOLDS = 1,
    RESERVATION_WITH_HOLDS = 2,
    RESERVATION_HEADER = 28,
    RESERVATION_HOLDS = 4, /* behind the header */
    RESERVATION_QUOTA = 24,
    RESERVATION_RATE = 48,
    END_OP_BYTES = 512 + EVENT_BYTES,
};

_Static_assert(RESERVATION_HEADER + RESERVATION_HOLDS + RATE_RECEIPTS_MAX * RESERVATION_RATE <=
                   GENERATIONS_RESERVATION_MAX,
               "a reservation, of up to 8 limits of either kind and those of a key, fits into a "
               "job's record");

size_t reservation_encode(const struct jini_subject *subject, const struct quota_charge *quotas,
                          const struct rate_receipts *rates, uint32_t holds,
                          uint8_t out[GENERATIONS_RESERVATION_MAX])
{
    uint8_t *to = out;
    memset(out, 0, GENERATIONS_RESERVATION_MAX);
    to[0] = holds ? RESERVATION_WITH_HOLDS : RESERVATION_WITHOUT_HOLDS;
    to[1] = (uint8_t)quotas->plan->count;
    to[2] = (uint8_t)rates->count;
    to[3] = (uint8_t)subject->kind;
    store_le64(to + 4, subject->number);
    memcpy(to + 12, subject->address, sizeof(subject->address));
    to += RESERVATION_HEADER;
    if (holds) {
        to[0] = (uint8_t)holds;
        to += RESERVATION_HOLDS;
    }
    for (uint32_t i = 0; i < quotas->plan->count; i++, to += RESERVATION_QUOTA) {
        store_le64(to, quotas->receipts[i].identity);
        store_le64(to + 8, quotas->receipts[i].start_ns);
        store_le64(to + 16, quotas->receipts[i].cost);
    }
    for (uint32_t i = 0; i < rates->count; i++, to += RESERVATION_RATE) {
        const struct table_receipt *rate = &rates->items[i];
        to[0] = (uint8_t)rate->charge.kind;
        to[1] = (uint8_t)rate->region;
        to[2] = (uint8_t)rate->slot;
        store_le32(to + 4, rate->charge.period_ms);
        store_le32(to + 8, rate->bucket);
        store_le64(to + 16, rate->charge.window);
        store_le64(to + 24, rate->charge.cost);
        store_le64(to + 32, rate->generation);
        store_le64(to + 40, rate->tag);
    }
    return (size_t)(to - out);
}

static int decode_rate(const uint8_t *from, struct table_receipt *out)
{
    if (from[0] > LIMIT_GCRA || from[1] >= TABLE_REGIONS)
        return JINI_E_CORRUPT;
    *out = (struct table_receipt){
        .charge = {(enum limit_algorithm)from[0], load_le32(from + 4), load_le64(from + 16),
                   load_le64(from + 24)},
        .generation = load_le64(from + 32),
        .tag = load_le64(from + 40),
        .region = from[1],
        .bucket = load_le32(from + 8),
        .slot = from[2],
    };
    return 0;
}

/* The count of holds of version 2. */
static int decode_holds(const uint8_t *from, uint32_t *out)
{
    *out = from[0];
    bool right = from[0] >= 1 && from[0] <= GRANTS_HELD_MAX && load_le32(from) >> 8 == 0;
    return right ? 0 : JINI_E_CORRUPT;
}

/* Bytes from disk: nothing is believed. */
static int decode(struct slice bytes, struct reservation *out)
{
    if (bytes.length < RESERVATION_HEADER)
        return JINI_E_CORRUPT;
    size_t header = RESERVATION_HEADER;
    if (bytes.data[0] == RESERVATION_WITH_HOLDS)
        header += RESERVATION_HOLDS;
    else if (bytes.data[0] != RESERVATION_WITHOUT_HOLDS)
        return JINI_E_CORRUPT;
    uint32_t quotas = bytes.data[1];
    uint32_t rates = bytes.data[2];
    if (quotas > LIMITS_MAX || quotas + rates > RATE_RECEIPTS_MAX ||
        bytes.length !=
            header + quotas * (size_t)RESERVATION_QUOTA + rates * (size_t)RESERVATION_RATE)
        return JINI_E_CORRUPT;
    out->subject.kind = bytes.data[3];
    out->subject.number = load_le64(bytes.data + 4);
    memcpy(out->subject.address, bytes.data + 12, sizeof(out->subject.address));
    int status = subject_check(&out->subject, NULL) ? JINI_E_CORRUPT : 0;
    if (status == 0 && header > RESERVATION_HEADER)
        status = decode_holds(bytes.data + RESERVATION_HEADER, &out->holds);
    const uint8_t *from = bytes.data + header;
    for (; out->quota_count < quotas; out->quota_count++, from += RESERVATION_QUOTA)
        out->quotas[out->quota_count] =
            (struct quota_receipt){load_le64(from), load_le64(from + 8), load_le64(from + 16)};
    for (; status == 0 && out->rates.count < rates; out->rates.count++, from += RESERVATION_RATE)
        status = decode_rate(from, &out->rates.items[out->rates.count]);
    return status;
}

int reservation_decode(struct slice bytes, struct reservation *out)
{
    memset(out, 0, sizeof(*out));
    int status = bytes.length == 0 ? 0 : decode(bytes, out);
    if (status)
        memset(out, 0, sizeof(*out));
    return status;
}

/* A job that nobody took from the queue was done all the same, by whoever settles it. */
static int pass_through_progress(struct store_txn *txn, const struct job_end *end,
                                 const struct jini_job *job, struct jini_error *error)
{
    if (job->state != JINI_JOB_IN_QUEUE || end->to != JINI_JOB_COMPLETED || end->attempt != 0)
        return 0;
    struct generations_job_change change = {
        .id = end->id, .to = JINI_JOB_IN_PROGRESS, .now_ms = end->now_ms};
    return generations_job_transition(txn, &change, error);
}

static uint64_t retention_ms(const struct jini_options *options, uint64_t user_id)
{
    return 1000 * (user_id ? options->job_retention_s : options->job_retention_anonymous_s);
}

static int give_credits_back(struct store_txn *txn, const struct job_end *end,
                             const struct reservation *reservation, struct jini_error *error)
{
    struct grants_txn grants;
    struct grants_news news = {0};
    uint64_t user_id = reservation->subject.number;
    if (reservation->holds == 0)
        return 0;
    int status = grants_txn_in(txn, end->jini, end->now_ms, error, &grants);
    grants.news = &news;
    if (status == 0)
        status =
            grants_settle(&grants, user_id, &end->id, reservation->holds, end->job.cost_credits);
    return status ? status : grants_tell_expired(&grants, user_id);
}

static int give_back(struct store_txn *txn, const struct generations_job_change *change,
                     struct job_end *end, struct jini_error *error)
{
    struct reservation reservation;
    struct slice bytes = slice_of(change->reservation, change->reservation_length);
    int status = reservation_decode(bytes, &reservation);
    if (status)
        return error_set(error, status, "job", "the job's reservation is damaged");
    end->rates = reservation.rates;
    if (reservation.quota_count > 0) {
        struct quota_subject subject = quota_subject_of(&reservation.subject);
        uint64_t used = end->to == JINI_JOB_COMPLETED ? UINT64_MAX : 0;
        status = quota_settle(txn, &subject, reservation.quotas, reservation.quota_count, used);
    }
    return status ? status : give_credits_back(txn, end, &reservation, error);
}

/* Wholly or not at all: of credits that are moved in part, somebody would have too many. */
static int give_back_apart(struct store_txn *txn, const struct generations_job_change *change,
                           struct job_end *end, struct jini_error *error)
{
    int status = store_overlay_begin(txn);
    if (status)
        return status;
    status = give_back(txn, change, end, error);
    if (status == 0)
        return store_overlay_keep(txn);
    store_overlay_discard(txn);
    if (!status_is_damage(status))
        return status;
    end->lost = true;
    return 0;
}

static enum event_type event_of_end(enum jini_job_state to)
{
    switch (to) {
    case JINI_JOB_COMPLETED:
        return EVENT_JOB_COMPLETED;
    case JINI_JOB_FAILED:
        return EVENT_JOB_FAILED;
    case JINI_JOB_CANCELLED:
        return EVENT_JOB_CANCELLED;
    default:
        return EVENT_JOB_TIMED_OUT;
    }
}

static int tell_end(struct store_txn *txn, const struct job_end *end)
{
    struct event event;
    event_begin(&event, event_of_end(end->to), end->job.user_id, &end->id);
    if (end->to == JINI_JOB_COMPLETED)
        event_add_uint(&event, EVENT_FIELD_COST_CREDITS, end->job.cost_credits);
    else
        event_add_text(&event, EVENT_FIELD_REASON, end->job.error);
    return events_append(txn, &event);
}

int job_tell_started(struct store_txn *txn, const struct jini_job *job)
{
    struct event event;
    event_begin(&event, EVENT_JOB_STARTED, job->user_id, &job->id);
    event_add_uint(&event, EVENT_FIELD_ATTEMPT, job->attempt);
    return events_append(txn, &event);
}

int job_tell_retried(struct store_txn *txn, const struct jini_job *job, uint32_t attempt)
{
    struct event event;
    event_begin(&event, EVENT_JOB_RETRIED, job->user_id, &job->id);
    event_add_uint(&event, EVENT_FIELD_ATTEMPT, attempt);
    event_add_text(&event, EVENT_FIELD_REASON, job->error);
    return events_append(txn, &event);
}

bool job_is_held(const struct jini_job *job, uint64_t now_ms)
{
    return !generations_job_ended((enum jini_job_state)job->state) &&
           (job->expires_ms == 0 || job->expires_ms > now_ms);
}

int job_end_in(struct store_txn *txn, struct job_end *end, struct jini_error *error)
{
    struct jini_job job;
    end->rates.count = 0;
    end->lost = false;
    int status = generations_job_get(txn, &end->id, &job, error);
    if (status == 0 && end->flags & JOB_END_GIVEN_UP && job_is_held(&job, end->now_ms))
        return error_set(error, JINI_E_IN_USE, "job", "its lease still runs");
    if (status == 0)
        status = pass_through_progress(txn, end, &job, error);
    struct generations_job_change change = {
        .id = end->id,
        .to = end->to,
        .now_ms = end->now_ms,
        .keep_ms = retention_ms(&end->jini->options, job.user_id),
        .uncharged = end->to == JINI_JOB_COMPLETED ? end->unused : UINT64_MAX,
        .failure = end->reason,
        .attempt = end->attempt};
    if (status == 0)
        status = generations_job_transition(txn, &change, error);
    if (status)
        return status;
    end->job = change.job;
    status = end->flags & JOB_END_DESPITE_DAMAGE ? give_back_apart(txn, &change, end, error)
                                                 : give_back(txn, &change, end, error);
    return status ? status : tell_end(txn, end);
}

/* Why a job for workers is given up. */
static const char *lost_reason(const struct jini_job *job)
{
    if (!(job->flags & JINI_JOB_FOR_WORKERS))
        return NULL;
    return job->state == JINI_JOB_IN_PROGRESS ? "the worker was lost, at the last attempt"
                                              : "no worker took it in time";
}

/* A job that has attempts left, or was delayed, waits for workers again. */
static int put_back(struct store_txn *txn, struct job_end *end, const struct jini_job *job)
{
    struct jini_error ignored;
    struct generations_return back = {.id = end->id, .now_ms = end->now_ms};
    bool failed = job->state == JINI_JOB_IN_PROGRESS;
    if (failed)
        back.failure = "the worker was lost";
    int status = generations_waiting_return(txn, &back, &ignored);
    end->returned = status == 0;
    end->job = back.job;
    return status == 0 && failed ? job_tell_retried(txn, &back.job, job->attempt) : status;
}

static int give_up(struct store_txn *txn, struct job_end *end)
{
    struct jini_error ignored;
    struct jini_job job;
    end->to = JINI_JOB_TIMED_OUT;
    end->flags |= JOB_END_DESPITE_DAMAGE | JOB_END_GIVEN_UP;
    end->returned = end->lost = false;
    end->rates.count = 0;
    int status = generations_job_get(txn, &end->id, &job, &ignored);
    if (status)
        return status;
    if (!generations_comes_back(&job)) {
        end->reason = lost_reason(&job);
        return job_end_in(txn, end, &ignored);
    }
    return job_is_held(&job, end->now_ms) ? JINI_E_IN_USE : put_back(txn, end, &job);
}

int job_give_up_in(struct store_txn *txn, struct job_end *end, struct job_damage *damage)
{
    int status = give_up(txn, end);
    bool unreadable = status_is_damage(status);
    damage->records += unreadable;
    damage->reservations += status == 0 && end->lost;
    if (unreadable || (status == 0 && end->lost))
        damage->last = end->id;
    return unreadable || status == JINI_E_CONFLICT ? JINI_E_NOT_FOUND : status;
}

void job_log_damage(const struct jini *jini, const struct job_damage *damage)
{
    char id[JINI_ID_TEXT_MAX];
    if (damage->records == 0 && damage->reservations == 0)
        return;
    jini_id_format(&damage->last, id);
    log_record(&jini->log, JINI_LOG_ERROR, "jobs_damaged",
               LOG_NUMBER("reservations", damage->reservations),
               LOG_NUMBER("records", damage->records), LOG_TEXT("job", id));
}

int settle_job(struct store_txn *txn, struct jini *jini, const struct jini_id *id, uint32_t attempt,
               uint64_t unused, uint64_t now_ms, struct jini_job *out, struct jini_error *error)
{
    struct job_end end = {.jini = jini,
                          .id = *id,
                          .to = JINI_JOB_COMPLETED,
                          .now_ms = now_ms,
                          .unused = unused,
                          .attempt = attempt};
    int status = job_end_in(txn, &end, error);
    if (status == 0 && out)
        *out = end.job;
    return status;
}

/* ---- Requests ---- */

int job_conflict(struct store_txn *txn, const struct jini_id *id, struct jini_job *out)
{
    struct jini_error ignored;
    generations_job_get(txn, id, out, &ignored);
    return JINI_E_CONFLICT;
}

static int check_renew(void *request, enum txn_place place)
{
    struct jini_renew *renew = request;
    (void)place;
    if (renew->state == JINI_JOB_IN_QUEUE || renew->state == JINI_JOB_IN_PROGRESS)
        return 0;
    return error_set(&renew->request.error, JINI_E_INVALID, "state",
                     "a job is renewed as IN_QUEUE or IN_PROGRESS");
}

static int op_renew(struct jini_txn *txn, void *request)
{
    struct jini_renew *renew = request;
    uint64_t lease_ms = renew->lease_ms ? renew->lease_ms : txn->jini->options.admission_lease_ms;
    struct generations_job_change change = {.id = renew->job_id,
                                            .to = renew->state,
                                            .now_ms = txn->now_ms,
                                            .expires_ms = txn->now_ms + lease_ms};
    int status = generations_job_transition(txn->store, &change, &renew->request.error);
    if (status == 0)
        renew->job = change.job;
    if (status == 0 && change.from != change.to && change.to == JINI_JOB_IN_PROGRESS)
        status = job_tell_started(txn->store, &change.job);
    return status == JINI_E_CONFLICT ? job_conflict(txn->store, &renew->job_id, &renew->job)
                                     : status;
}

static const struct txn_form renew_form = {
    .kind = REQUEST_RENEW,
    .size = sizeof(struct jini_renew),
    .bytes = END_OP_BYTES,
    .class = STORE_RELEASE,
    .check = check_renew,
    .op = op_renew,
};

int jini_renew(struct jini *jini, struct jini_renew *renew, jini_callback *callback)
{
    return txn_submit(jini, &renew->request, &renew_form, callback);
}

int jini_txn_renew(struct jini_txn *txn, struct jini_renew *renew)
{
    return txn_call(txn, &renew->request, &renew_form);
}

static int op_settle(struct jini_txn *txn, void *request)
{
    struct jini_settle *settle = request;
    int status = settle_job(txn->store, txn->jini, &settle->job_id, 0, settle->unused_credits,
                            txn->now_ms, &settle->job, &settle->request.error);
    return status == JINI_E_CONFLICT ? job_conflict(txn->store, &settle->job_id, &settle->job)
                                     : status;
}

static const struct txn_form settle_form = {
    .kind = REQUEST_SETTLE,
    .size = sizeof(struct jini_settle),
    .bytes = END_OP_BYTES,
    .class = STORE_RELEASE,
    .op = op_settle,
};

int jini_settle(struct jini *jini, struct jini_settle *settle, jini_callback *callback)
{
    return txn_submit(jini, &settle->request, &settle_form, callback);
}

int jini_txn_settle(struct jini_txn *txn, struct jini_settle *settle)
{
    return txn_call(txn, &settle->request, &settle_form);
}

static int check_release(void *request, enum txn_place place)
{
    struct jini_release *release = request;
    struct jini_error *error = &release->request.error;
    (void)place;
    if (release->state != JINI_JOB_FAILED && release->state != JINI_JOB_CANCELLED)
        return error_set(error, JINI_E_INVALID, "state",
                         "a job is released as FAILED or CANCELLED");
    if (release->reason && !text_is_utf8(slice_of_text(release->reason)))
        return error_set(error, JINI_E_INVALID, "reason", "it is not UTF-8");
    return 0;
}

void job_refund(struct jini *jini, const void *receipts)
{
    rate_refund(jini, receipts);
}

static int op_release(struct jini_txn *txn, void *request)
{
    struct jini_release *release = request;
    struct job_end end = {.jini = txn->jini,
                          .id = release->job_id,
                          .to = release->state,
                          .now_ms = txn->now_ms,
                          .reason = release->reason};
    int status = job_end_in(txn->store, &end, &release->request.error);
    if (status == JINI_E_CONFLICT)
        return job_conflict(txn->store, &release->job_id, &release->job);
    if (status == 0)
        release->job = end.job;
    if (status || end.rates.count == 0)
        return status;
    return txn_after_commit(txn, job_refund, &end.rates, sizeof(end.rates));
}

static const struct txn_form release_form = {
    .kind = REQUEST_RELEASE,
    .size = sizeof(struct jini_release),
    .bytes = END_OP_BYTES,
    .class = STORE_RELEASE,
    .check = check_release,
    .op = op_release,
};

int jini_release(struct jini *jini, struct jini_release *release, jini_callback *callback)
{
    return txn_submit(jini, &release->request, &release_form, callback);
}

int jini_txn_release(struct jini_txn *txn, struct jini_release *release)
{
    return txn_call(txn, &release->request, &release_form);
}
