/* Checks that begin at a record or at a row of the due queue. */
#include "generations/check_private.h"

#include "base/error.h"
#include "base/id.h"

#include <stdarg.h>
#include <stdio.h>

void check_report(const struct generations_check *check, const struct check_place *place,
                  const char *format, ...)
{
    char rule[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(rule, sizeof(rule), format, arguments);
    va_end(arguments);
    struct generations_finding finding = {
        .kind = place->kind, .field = place->field, .user_id = place->user_id, .rule = rule};
    if (place->job)
        finding.job_id = *place->job;
    if (place->image)
        finding.image_id = *place->image;
    check->report(check->context, &finding);
}

static struct tuple due_key(struct due_time due, const struct jini_id *id)
{
    struct tuple key;
    key_due(&key, due.kind, due.due_ms);
    tuple_add_id(&key, id);
    return key;
}

/* Reports a record without the row that makes it fall due. */
static int check_is_due(const struct generations_check *check, const struct check_place *place,
                        const struct jini_id *id, struct due_time due)
{
    if (due.due_ms == 0)
        return 0;
    struct tuple key = due_key(due, id);
    int status = store_has(check->txn, STORE_SPACE_QUEUE, tuple_key(&key));
    if (status != JINI_E_NOT_FOUND)
        return status;
    check_report(check, place, "the due queue has no row of it at %llu",
                 (unsigned long long)due.due_ms);
    return 0;
}

/* ---- Jobs ---- */

static int check_is_running(const struct generations_check *check, const struct jini_id *id,
                            const struct job_row *row)
{
    struct generations_running running;
    struct generations_subject subject = job_row_subject(row);
    if (!job_row_runs(row))
        return 0;
    int status = generations_running_get(check->txn, &subject, 0, &running, NULL);
    if (status)
        return check_is_damage(status) ? 0 : status;
    for (uint32_t i = 0; i < running.count; i++) {
        if (id_equal(&running.jobs[i].id, id))
            return 0;
    }
    const struct check_place place = {
        .kind = "job_not_running", .field = "flags", .job = id, .user_id = row->user_id};
    check_report(check, &place, "it counts and has not ended, but is no running job of its %s",
                 row->user_id ? "user" : "address");
    return 0;
}

static int check_prompt(const struct generations_check *check, const struct jini_id *id,
                        const char *field, struct tuple *key, uint32_t length)
{
    const struct check_place place = {.kind = "job_without_prompt", .field = field, .job = id};
    if (length == 0)
        return 0;
    int status = store_has(check->txn, STORE_SPACE_JOBS, tuple_key(key));
    if (status != JINI_E_NOT_FOUND)
        return status;
    check_report(check, &place, "its %u bytes are not in the row beside the record", length);
    return 0;
}

static int check_prompts(const struct generations_check *check, const struct jini_id *id,
                         const struct job_row *row)
{
    struct tuple key;
    key_prompt(&key, id);
    int status = check_prompt(check, id, "prompt", &key, row->prompt_bytes);
    key_negative(&key, id);
    return status ? status : check_prompt(check, id, "negative", &key, row->negative_bytes);
}

static int check_job_row(const struct generations_check *check, const struct jini_id *id,
                         const struct job_row *row)
{
    bool ended = generations_job_ended((enum jini_job_state)row->state);
    const struct check_place due = {.kind = "job_not_due",
                                    .field = ended ? "kept_until_ms" : "expires_ms",
                                    .job = id,
                                    .user_id = row->user_id};
    const struct check_item item = {LIST_JOBS, row->user_id, row->number, id};
    if (ended && row->reservation.length != 0) {
        const struct check_place place = {.kind = "job_keeps_reservation",
                                          .field = "reservation",
                                          .job = id,
                                          .user_id = row->user_id};
        check_report(check, &place, "a job that has ended reserves nothing any more");
    }
    if (row->images.length / JINI_ID_BYTES > row->count) {
        const struct check_place place = {
            .kind = "job_over_count", .field = "images", .job = id, .user_id = row->user_id};
        check_report(check, &place, "it has had %zu images and was admitted for %u",
                     row->images.length / JINI_ID_BYTES, (unsigned)row->count);
    }
    struct due_time time;
    int status = job_row_due(check->txn, row, NULL, &time);
    if (status == 0)
        status = check_is_due(check, &due, id, time);
    if (status == 0)
        status = check_is_running(check, id, row);
    if (status == 0)
        status = check_waits(check, id, row);
    if (status == 0)
        status = check_prompts(check, id, row);
    return status ? status : check_is_listed(check, &item);
}

static int check_job_record(const struct generations_check *check, const struct jini_id *id,
                            struct buffer *reservation)
{
    struct loaded_job job;
    int status = job_load(check->txn, id, &job, NULL);
    if (check_is_damage(status)) {
        const struct check_place place = {.kind = "job_damaged", .field = "record", .job = id};
        check_report(check, &place, "the record of the job cannot be read (%s)",
                     jini_status_name(status));
    }
    if (status)
        return check_is_damage(status) || status == JINI_E_NOT_FOUND ? 0 : status;
    if (!generations_job_ended((enum jini_job_state)job.row.state))
        buffer_append(reservation, job.row.reservation.data, job.row.reservation.length);
    return check_job_row(check, id, &job.row);
}

int generations_check_reservation(struct store_txn *txn, const struct jini_id *id,
                                  struct buffer *reservation)
{
    struct loaded_job job;
    int status = job_load(txn, id, &job, NULL);
    if (status == 0 && !generations_job_ended((enum jini_job_state)job.row.state))
        buffer_append(reservation, job.row.reservation.data, job.row.reservation.length);
    return check_is_damage(status) || status == JINI_E_NOT_FOUND ? 0 : status;
}

/* A row beside a record: a prompt, which the record must know of. */
static int check_prompt_row(const struct generations_check *check, const struct jini_id *id,
                            struct slice key, struct slice which)
{
    struct loaded_job job;
    uint32_t length = 0;
    int present = store_has(check->txn, STORE_SPACE_JOBS, key);
    if (present)
        return present == JINI_E_NOT_FOUND ? 0 : present;
    int status = job_load(check->txn, id, &job, NULL);
    if (status && status != JINI_E_NOT_FOUND)
        return check_is_damage(status) ? 0 : status;
    if (status == 0 && which.length == 1 && which.data[0] == 'p')
        length = job.row.prompt_bytes;
    if (status == 0 && which.length == 1 && which.data[0] == 'n')
        length = job.row.negative_bytes;
    if (length != 0)
        return 0;
    const struct check_place place = {.kind = "prompt_without_job", .field = "key", .job = id};
    check_report(check, &place, "a row beside a job's record that the record does not know of");
    return 0;
}

/* A key that is none of its space, if it still is there. */
int check_stray_key(const struct generations_check *check, enum store_space space, struct slice key,
                    const char *kind)
{
    const struct check_place place = {.kind = kind, .field = "key"};
    int status = store_has(check->txn, space, key);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    check_report(check, &place, STORE_STRAY_KEY, key.length);
    return 0;
}

int generations_check_job(const struct generations_check *check, struct slice key,
                          struct jini_id *id, struct buffer *reservation)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element second = {.type = TUPLE_END};
    memset(id, 0, sizeof(*id));
    int status = tuple_next_id(&reader, id);
    if (status == 0)
        status = tuple_next(&reader, &second);
    if (status || reader.rest.length != 0 ||
        (second.type != TUPLE_END && second.type != TUPLE_TEXT))
        return check_stray_key(check, STORE_SPACE_JOBS, key, "job_key_damaged");
    if (second.type == TUPLE_TEXT)
        return check_prompt_row(check, id, key, slice_of(second.bytes, second.length));
    return check_job_record(check, id, reservation);
}

/* ---- Images ---- */

static struct due_time due_of_image(const struct image_row *row)
{
    if (row->purge_ms != 0)
        return (struct due_time){GENERATIONS_DUE_PURGE, row->purge_ms};
    return (struct due_time){GENERATIONS_DUE_IMAGE, row->expires_ms};
}

/* An image never outlives its job. */
static int check_has_job(const struct generations_check *check, const struct jini_id *id,
                         const struct image_row *row)
{
    struct tuple key;
    if (id_is_zero(&row->job_id))
        return 0;
    key_record(&key, &row->job_id);
    int status = store_has(check->txn, STORE_SPACE_JOBS, tuple_key(&key));
    if (status != JINI_E_NOT_FOUND)
        return status;
    const struct check_place place = {.kind = "image_without_job",
                                      .field = "job_id",
                                      .image = id,
                                      .job = &row->job_id,
                                      .user_id = row->user_id};
    check_report(check, &place, "the job that made it is not there");
    return 0;
}

int generations_check_image(const struct generations_check *check, struct slice key)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct jini_id id;
    if (tuple_next_id(&reader, &id) != 0 || reader.rest.length != 0)
        return check_stray_key(check, STORE_SPACE_IMAGES, key, "image_key_damaged");
    struct loaded_image image;
    struct check_place place = {.kind = "image_damaged", .field = "record", .image = &id};
    int status = image_load(check->txn, &id, &image, NULL);
    if (check_is_damage(status))
        check_report(check, &place, "the record of the image cannot be read (%s)",
                     jini_status_name(status));
    if (status)
        return check_is_damage(status) || status == JINI_E_NOT_FOUND ? 0 : status;
    bool trashed = image.row.purge_ms != 0;
    place.kind = "image_not_due";
    place.field = trashed ? "purge_ms" : "expires_ms";
    place.user_id = image.row.user_id;
    status = check_is_due(check, &place, &id, due_of_image(&image.row));
    if (status == 0)
        status = check_has_job(check, &id, &image.row);
    const struct check_item item = {LIST_IMAGES, image.row.user_id, image.row.number, &id};
    return status || trashed ? status : check_is_listed(check, &item);
}

/* ---- The due queue ---- */

/*
 * Reads a key as what key_due() and an id make; whatever differs from that is no key of the queue.
 */
static bool read_due_key(struct slice key, struct due_time *due, struct jini_id *id)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element name;
    if (tuple_next(&reader, &name) != 0 || tuple_next_uint(&reader, &due->due_ms) != 0 ||
        tuple_next_id(&reader, id) != 0)
        return false;
    for (int kind = GENERATIONS_DUE_JOB; kind <= GENERATIONS_DUE_ENGINE; kind++) {
        due->kind = (enum generations_due_kind)kind;
        struct tuple same = due_key(*due, id);
        if (slice_compare(tuple_key(&same), key) == 0)
            return true;
    }
    return false;
}

/* When the record of a due row falls due. JINI_E_NOT_FOUND: there is none. */
static int load_due(struct store_txn *txn, enum generations_due_kind kind, const struct jini_id *id,
                    struct due_time *out)
{
    if (kind == GENERATIONS_DUE_JOB || kind == GENERATIONS_DUE_ENDED) {
        struct loaded_job job;
        int status = job_load(txn, id, &job, NULL);
        return status ? status : job_row_due(txn, &job.row, NULL, out);
    }
    struct loaded_image image;
    int status = image_load(txn, id, &image, NULL);
    if (status == 0)
        *out = due_of_image(&image.row);
    return status;
}

int generations_check_due(const struct generations_check *check, struct slice key)
{
    struct due_time due;
    struct due_time right;
    struct jini_id id;
    if (!read_due_key(key, &due, &id))
        return check_stray_key(check, STORE_SPACE_QUEUE, key, "due_key_damaged");
    int status = store_has(check->txn, STORE_SPACE_QUEUE, key);
    if (status || due.kind == GENERATIONS_DUE_ENGINE)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    struct check_place place = {.kind = "due_without_record", .field = "id"};
    if (due.kind == GENERATIONS_DUE_JOB || due.kind == GENERATIONS_DUE_ENDED)
        place.job = &id;
    else
        place.image = &id;
    status = load_due(check->txn, due.kind, &id, &right);
    if (status == JINI_E_NOT_FOUND) {
        check_report(check, &place, "a row of the due queue at %llu names what is not there",
                     (unsigned long long)due.due_ms);
    } else if (status == 0 && (right.due_ms != due.due_ms || right.kind != due.kind)) {
        place.kind = "due_differs";
        place.field = "due_ms";
        check_report(check, &place,
                     "a row of the due queue stands at %llu; by its record it falls due at %llu "
                     "(0: never)",
                     (unsigned long long)due.due_ms,
                     (unsigned long long)(right.kind == due.kind ? right.due_ms : 0));
    }
    return check_is_damage(status) || status == JINI_E_NOT_FOUND ? 0 : status;
}
