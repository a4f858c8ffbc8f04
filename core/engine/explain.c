/*
 * What ended a request, or refused it, in words: what it waited for or which option bounds it, the
 * numbers, and what to do. Whoever fails for a reason of its own says so itself.
 */
#include "engine/engine_private.h"

#include "base/error.h"

#include <stdio.h>
#include <unistd.h>

/* A lock that is held for longer than this is what a write waited for. */
#define HELD_LONG_NS (NS_PER_S / 4)

static const char late_field[] = "request.timeout_ms";

const char *request_kind_name(enum request_kind kind)
{
    static const char *const names[] = {
#define KIND_NAME(name, text) text,
        REQUEST_KIND_MAP(KIND_NAME)
#undef KIND_NAME
    };
    JINI_ASSERT(kind < REQUEST_KINDS);
    return names[kind];
}

uint64_t request_timeout_ms(const struct jini *jini, const struct jini_request *request)
{
    return request->timeout_ms ? request->timeout_ms : jini->options.request_timeout_ms;
}

/* ---- Writes ---- */

/* Why the writer did not come to a write. */
static void describe_holder(struct jini *jini, char *text, size_t capacity)
{
    struct store_process_info holder;
    bool held = store_lock_holder(jini->store, &holder) && holder.lock_ns >= HELD_LONG_NS;
    unsigned long long held_ms = held ? holder.lock_ns / NS_PER_MS : 0;
    if (!held)
        snprintf(text, capacity, "too many came at once; send fewer, or allow more time");
    else if (holder.pid == getpid())
        snprintf(text, capacity,
                 "a write of this process has been running for %llu ms; make such writes smaller",
                 held_ms);
    else
        snprintf(text, capacity,
                 "process %d (%s) has held the write lock for %llu ms; if it is stopped, continue "
                 "or end it",
                 holder.pid, holder.name, held_ms);
}

static int explain_late_write(struct jini *jini, uint64_t waited_ms, struct jini_error *error)
{
    char reason[200];
    describe_holder(jini, reason, sizeof(reason));
    return error_set(error, JINI_E_TIMEOUT, late_field,
                     "it waited for its turn to be written for %llu ms, and nothing of it was "
                     "done: %s",
                     (unsigned long long)waited_ms, reason);
}

void explain_write(struct jini *jini, int status, uint64_t waited_ms, struct jini_error *error)
{
    if (status == JINI_E_TIMEOUT)
        explain_late_write(jini, waited_ms, error);
    else if (status == JINI_E_FULL && store_is_full(jini->store))
        store_explain_full(jini->store, error);
    else if (status == JINI_E_BUSY)
        error_set(error, status, "store.gate_wait_ms",
                  "the database has to grow for it, and a snapshot stayed open for longer than "
                  "%llu ms (store.gate_wait_ms); keep snapshots short, and try again",
                  (unsigned long long)jini->options.store_gate_wait_ms);
    else if (status == JINI_E_UNREPEATABLE)
        error_set(error, status, "store.run_twice",
                  "run again it wrote or answered something else; take time, ids and random values "
                  "from the argument");
    else if (status == JINI_E_POISONED)
        store_health(jini->store, error);
    else
        error_clear(error);
}

void explain_queue(struct jini_request *request, int status)
{
    const struct request_state *state = request_state(request);
    const struct store_write *write = &state->write;
    const struct jini_options *options = &state->jini->options;
    unsigned long long ops_max = options->store_queue_ops_max;
    unsigned long long bytes_max = options->store_queue_bytes_max;
    if (status == JINI_E_TOO_BIG)
        error_set(&request->error, status, "store.queue_bytes_max",
                  "a write of %u bytes is more than the %llu that may wait", write->bytes,
                  bytes_max);
    else if (status == JINI_E_BUSY && write->queue_ops >= ops_max)
        error_set(&request->error, status, "store.queue_ops_max",
                  "%u writes wait, and %llu may; come back when some are done, or raise it",
                  write->queue_ops, ops_max);
    else if (status == JINI_E_BUSY)
        error_set(&request->error, status, "store.queue_bytes_max",
                  "writes of %llu bytes wait, one of %u more came, and %llu may; come back when "
                  "some are done, or raise it",
                  (unsigned long long)write->queue_bytes, write->bytes, bytes_max);
}

/* ---- Requests ---- */

static void explain_late(const struct jini *jini, struct jini_request *request)
{
    const struct task_queue *queue = request_state(request)->task.late_in;
    unsigned long long waited_ms = request_timeout_ms(jini, request);
    struct jini_error *error = &request->error;
    if (!queue)
        error_set(error, JINI_E_TIMEOUT, late_field,
                  "it waited for %llu ms, and nothing of it was done; send fewer at once, or allow "
                  "more time",
                  waited_ms);
    else if (queue->options.threads_option)
        error_set(
            error, JINI_E_TIMEOUT, late_field,
            "it waited for a thread of %s for %llu ms, and nothing of it was done; send fewer "
            "at once, raise %s, or allow more time",
            queue->options.threads, waited_ms, queue->options.threads_option);
    else
        error_set(
            error, JINI_E_TIMEOUT, late_field,
            "it waited for %s, which does one thing after the other, for %llu ms, and nothing "
            "of it was done; try again later, or allow more time",
            queue->options.threads, waited_ms);
}

void explain_late_read(struct jini_request *request, bool asked)
{
    const struct jini *jini = request_state(request)->jini;
    unsigned long long waited_ms = request_timeout_ms(jini, request);
    if (asked)
        error_set(&request->error, JINI_E_TIMEOUT, late_field,
                  "it waited for the archive for %llu ms, and no answer came: see whether the "
                  "archive answers at all, try again later, or allow more time",
                  waited_ms);
    else
        error_set(&request->error, JINI_E_TIMEOUT, late_field,
                  "it waited for its turn to be read from the archive for %llu ms, behind reads of "
                  "as many bytes as archive.read_bytes_max allows (%llu): see whether the archive "
                  "answers at all, send fewer at once, raise it, or allow more time",
                  waited_ms, (unsigned long long)jini->options.archive_read_bytes_max);
}

int explain_function(struct jini_error *error, int status)
{
    return error_set(error, status, "function", "the function of the transaction answered %s",
                     jini_status_name(status));
}

int explain_read_only(struct jini_error *error)
{
    return error_set(error, JINI_E_READ_ONLY, "read_only",
                     "the database was opened read-only; this needs it open for writing");
}

int check_given(const char *text, const char *field, struct jini_error *error)
{
    return text ? 0 : error_set(error, JINI_E_INVALID, field, "a text is needed, and not NULL");
}

int check_flags(uint32_t flags, uint32_t known, struct jini_error *error)
{
    if ((flags & ~known) == 0)
        return 0;
    return error_set(error, JINI_E_INVALID, "flags", "has the unknown bits 0x%x; take them out",
                     flags & ~known);
}

void explain_end(struct jini_request *request, int status)
{
    const struct request_state *state = request_state(request);
    struct jini_error *error = &request->error;
    enum request_kind kind = (enum request_kind)state->kind;
    if (status == JINI_E_TIMEOUT)
        explain_late(state->jini, request);
    else if (status == JINI_E_CANCELLED)
        error_set(error, status, request_kind_name(kind),
                  "it was taken back, by jini_cancel() or by closing, before it was done");
    else if (status == JINI_E_READ_ONLY)
        explain_read_only(error);
    else if (status == JINI_E_CLOSED)
        error_set(error, status, "jini", "%s", jini_status_text(status));
    else if (kind == REQUEST_WRITE && (status == JINI_E_FULL || status == JINI_E_TOO_BIG))
        explain_function(error, status); /* and not the store: that has said so */
    else
        error_set(error, status, request_kind_name(kind), "%s", jini_status_text(status));
}
