/* Keeping decisions, and showing them. */
#include "engine/why.h"

#include "base/error.h"
#include "base/text.h"
#include "engine/txn.h"
#include "generations/generations.h"

_Static_assert((int)FACTS_MAX <= (int)GENERATIONS_FACTS_MAX, "the facts fit into a job's record");

/* ---- Keeping ---- */

void why_fill(const struct jini_admit *admit, const struct allowed *allowed,
              const struct jini_limit_answer *answer, struct jini_decision *out)
{
    const struct jini_parameters *parameters = &admit->parameters;
    bool paid = admit->cost > 0 && admit->subject.kind == JINI_SUBJECT_USER;
    *out = (struct jini_decision){
        .subject = admit->subject,
        .parallel = answer->parallel,
        .parallel_max = allowed->allowance.parallel_max,
        .tier_version = allowed->tier_version,
        .cost = admit->cost,
        .cost_version = admit->cost_version,
        .credits_after = paid ? admit->credits : 0,
        .width = parameters->width,
        .height = parameters->height,
        .steps = parameters->steps,
        .count = parameters->count,
        .limit_count = answer->count,
        .decided = answer->decided,
    };
    memcpy(out->tier, allowed->tier, sizeof(out->tier));
    text_copy_utf8(out->model, sizeof(out->model), parameters->model);
    for (uint32_t i = 0; i < answer->count; i++) {
        const struct jini_limit_entry *entry = &answer->entries[i];
        out->limits[i] = (struct jini_decision_limit){.amount = entry->amount,
                                                      .multiples = entry->multiples,
                                                      .unit = entry->unit,
                                                      .flags = entry->flags,
                                                      .remaining = entry->remaining,
                                                      .reset_ms = entry->reset_ms,
                                                      .retry_after_ms = entry->retry_after_ms};
    }
}

/* What ended for another reason was not decided. */
static bool is_decision(int status)
{
    switch (status) {
    case JINI_E_LIMITED:
    case JINI_E_FUNDS:
    case JINI_E_FORBIDDEN:
    case JINI_E_INACTIVE:
    case JINI_E_NOT_FOUND:
    case JINI_E_BUSY:
    case JINI_E_FULL:
    case JINI_E_EXISTS:
    case JINI_E_EXPIRED:
    case JINI_E_CORRUPT:
        return true;
    default:
        return false;
    }
}

void why_keep(struct jini *jini, struct jini_admit *admit, const struct allowed *allowed,
              int status)
{
    const struct jini_error *error = &admit->request.error;
    struct jini_decision decision;
    if (!is_decision(status) || !jini->decisions)
        return;
    why_fill(admit, allowed, &admit->answer, &decision);
    decision.id = id_next(&jini->ids);
    decision.time_ms = clock_wall_ns(jini->clock) / NS_PER_MS;
    decision.status = status;
    decision.credits_before = decision.credits_after; /* nothing was drawn */
    bool said = error->code == status;
    text_copy_utf8(decision.field, sizeof(decision.field), said ? error->field : "");
    text_copy_utf8(decision.message, sizeof(decision.message),
                   said ? error->message : jini_status_text(status));
    if (decisions_add(jini->decisions, &decision, !store_is_full(jini->store)))
        admit->decision_id = decision.id;
}

/* ---- Showing ---- */

static int show_job(struct store_txn *txn, const struct jini_id *id, struct jini_decision *out,
                    struct jini_error *error)
{
    uint8_t bytes[GENERATIONS_FACTS_MAX];
    struct buffer facts = buffer_of(bytes, sizeof(bytes));
    struct jini_job job;
    int status = generations_job_get(txn, id, &job, error);
    if (status == 0)
        status = generations_job_facts(txn, id, &facts, error);
    if (status)
        return status;
    if (facts.length == 0)
        return error_set(error, JINI_E_NOT_FOUND, "id", "the job was admitted without keeping why");
    status = facts_read(buffer_slice(&facts), out);
    if (status)
        return error_set(error, status, "job", "why the job was admitted cannot be read: %s",
                         jini_status_text(status));
    out->id = *id;
    out->time_ms = job.created_ms;
    out->subject.kind = job.user_id ? JINI_SUBJECT_USER : 0;
    out->subject.number = job.user_id;
    out->width = job.parameters.width;
    out->height = job.parameters.height;
    out->steps = job.parameters.steps;
    out->count = job.parameters.count;
    text_copy_utf8(out->model, sizeof(out->model), job.parameters.model);
    return 0;
}

int jini_why(struct jini *jini, const struct jini_id *id, struct jini_decision *out,
             struct jini_error *error)
{
    const struct decisions_wanted wanted = {.id = id};
    struct jini_txn txn;
    memset(out, 0, sizeof(*out));
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    struct jini_error *said = txn_error(&txn, error);
    status = show_job(txn.store, id, out, said);
    txn_snapshot_end(&txn);
    if (status == JINI_E_NOT_FOUND && decisions_list(jini->decisions, &wanted, out, 1) > 0) {
        error_clear(said);
        return 0;
    }
    if (status)
        memset(out, 0, sizeof(*out));
    if (status == JINI_E_NOT_FOUND)
        error_set(said, status, "id",
                  "no job of which it is known, and none of the newest refusals, has this id");
    return txn_answer(&txn, status, said, "id", "decision");
}

int jini_why_last(struct jini *jini, uint64_t user_id, struct jini_decision *out, size_t capacity,
                  size_t *count, struct jini_error *error)
{
    const struct decisions_wanted wanted = {.user_id = user_id};
    *count = 0;
    error_clear(error);
    int status = engine_check(jini);
    if (status)
        return error_set(error, status, "jini", "%s", jini_status_text(status));
    *count = decisions_list(jini->decisions, &wanted, out, capacity);
    return 0;
}
