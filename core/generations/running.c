/*
 * The counted jobs of a user or of an address that have not ended: one row beside the subject's
 * other rows, so that an admission counts them in a leaf that it touches anyway.
 *
 * Space ACTIVITY, key (uint user, text "run"), or of an address (uint 0, text "q", bytes of the
 * address, text "run"): entries of 24 bytes, at most 256, in the order in which the jobs were
 * created; no row when there are none.
 *
 *    0  16  id of the job
 *   16   8  expires_ms, little-endian; 0: never
 */
#include "generations/generations_private.h"

#include "base/error.h"
#include "base/id.h"

enum { EXPIRES_OFFSET = 16 };

_Static_assert(EXPIRES_OFFSET == sizeof(struct jini_id), "the id comes first");
_Static_assert(EXPIRES_OFFSET + sizeof(uint64_t) == RUNNING_ENTRY_BYTES, "the time ends the entry");

static uint32_t find(const struct generations_running_job *jobs, uint32_t count,
                     const struct jini_id *id)
{
    for (uint32_t i = 0; i < count; i++) {
        if (id_equal(&jobs[i].id, id))
            return i;
    }
    return count;
}

int running_row_read(struct slice bytes, struct generations_running_job *out, uint32_t *count)
{
    *count = 0;
    if (bytes.length == 0 || bytes.length % RUNNING_ENTRY_BYTES != 0 ||
        bytes.length > RUNNING_BYTES_MAX)
        return JINI_E_CORRUPT;
    uint32_t entries = (uint32_t)(bytes.length / RUNNING_ENTRY_BYTES);
    for (uint32_t i = 0; i < entries; i++) {
        const uint8_t *from = bytes.data + (size_t)i * RUNNING_ENTRY_BYTES;
        memcpy(out[i].id.bytes, from, JINI_ID_BYTES);
        out[i].expires_ms = load_le64(from + EXPIRES_OFFSET);
    }
    *count = entries;
    return 0;
}

void running_row_write(const struct generations_running_job *jobs, uint32_t count,
                       struct buffer *out)
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *to = buffer_reserve(out, RUNNING_ENTRY_BYTES);
        JINI_ASSERT(to);
        memcpy(to, jobs[i].id.bytes, JINI_ID_BYTES);
        store_le64(to + EXPIRES_OFFSET, jobs[i].expires_ms);
    }
}

static int load(struct store_txn *txn, const struct generations_subject *subject,
                struct generations_running_job *out, uint32_t *count, struct jini_error *error)
{
    struct tuple key;
    *count = 0;
    key_running(&key, subject);
    uint8_t bytes[RUNNING_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    int status = store_get(txn, STORE_SPACE_ACTIVITY, tuple_key(&key), &value);
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (status == JINI_E_TOO_BIG)
        status = JINI_E_CORRUPT;
    if (status == 0)
        status = running_row_read(buffer_slice(&value), out, count);
    return status ? user_row_failed(error, status, "row of running jobs", subject->user_id) : 0;
}

int running_edit_begin(struct store_txn *txn, const struct generations_subject *subject,
                       struct running_edit *edit, struct jini_error *error)
{
    JINI_ASSERT(subject->user_id != 0 || subject->address.length > 0);
    edit->subject = *subject;
    return load(txn, subject, edit->jobs, &edit->count, error);
}

int running_edit_set(struct running_edit *edit, const struct jini_id *id, uint64_t expires_ms,
                     struct jini_error *error)
{
    uint32_t place = find(edit->jobs, edit->count, id);
    if (place == GENERATIONS_RUNNING_MAX)
        return error_set(error, JINI_E_BUSY, "parallel",
                         "%d jobs of this subject run, the most that are counted: wait for one to "
                         "end",
                         GENERATIONS_RUNNING_MAX);
    if (place == edit->count)
        edit->count++;
    edit->jobs[place] = (struct generations_running_job){*id, expires_ms};
    return 0;
}

void running_edit_remove(struct running_edit *edit, const struct jini_id *id)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < edit->count; i++) {
        if (!id_equal(&edit->jobs[i].id, id))
            edit->jobs[kept++] = edit->jobs[i];
    }
    edit->count = kept;
}

int running_edit_write(struct store_txn *txn, const struct running_edit *edit)
{
    struct tuple key;
    key_running(&key, &edit->subject);
    if (edit->count == 0) {
        int status = store_delete(txn, STORE_SPACE_ACTIVITY, tuple_key(&key));
        return status == JINI_E_NOT_FOUND ? 0 : status;
    }
    uint8_t bytes[RUNNING_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    running_row_write(edit->jobs, edit->count, &value);
    return store_put(txn, STORE_SPACE_ACTIVITY, tuple_key(&key), buffer_slice(&value));
}

int generations_running_drop(struct store_txn *txn, const struct generations_subject *subject,
                             const struct jini_id *id, struct jini_error *error)
{
    struct running_edit edit;
    int status = running_edit_begin(txn, subject, &edit, error);
    if (status || find(edit.jobs, edit.count, id) == edit.count)
        return status;
    running_edit_remove(&edit, id);
    return running_edit_write(txn, &edit);
}

static bool expired(const struct generations_running_job *job, uint64_t now_ms)
{
    return job->expires_ms != 0 && job->expires_ms <= now_ms;
}

int generations_running_get(struct store_txn *txn, const struct generations_subject *subject,
                            uint64_t now_ms, struct generations_running *out,
                            struct jini_error *error)
{
    out->expired = 0;
    int status = load(txn, subject, out->jobs, &out->count, error);
    if (status)
        return status;
    for (uint32_t i = 0; i < out->count; i++) {
        if (!expired(&out->jobs[i], now_ms))
            continue;
        struct generations_running_job job = out->jobs[i];
        out->jobs[i] = out->jobs[out->expired];
        out->jobs[out->expired++] = job;
    }
    return 0;
}
