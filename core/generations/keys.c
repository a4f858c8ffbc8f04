/* The keys of this module's rows, and the errors that name them. README.md lists them. */
#include "generations/generations_private.h"

#include "base/error.h"

#include <stdio.h>

static void key_of_user(struct tuple *key, uint64_t user_id, const char *row)
{
    tuple_begin(key);
    tuple_add_uint(key, user_id);
    tuple_add_text(key, slice_of_text(row));
}

void key_record(struct tuple *key, const struct jini_id *id)
{
    tuple_begin(key);
    tuple_add_id(key, id);
}

void key_prompt(struct tuple *key, const struct jini_id *job)
{
    key_record(key, job);
    tuple_add_text(key, slice_of_text("p"));
}

void key_negative(struct tuple *key, const struct jini_id *job)
{
    key_record(key, job);
    tuple_add_text(key, slice_of_text("n"));
}

void key_list_tail(struct tuple *key, uint64_t user_id, enum user_list_kind kind)
{
    key_of_user(key, user_id, kind == LIST_IMAGES ? "li" : "lj");
}

void key_list_page(struct tuple *key, uint64_t user_id, enum user_list_kind kind, uint64_t page)
{
    key_of_user(key, user_id, kind == LIST_IMAGES ? "i" : "j");
    tuple_add_uint(key, page);
}

/*
 * Of an address it begins with the whole key of the address's quotas (limits/quota.h), so that both
 * rows are neighbours and an admission writes one leaf.
 */
void key_running(struct tuple *key, const struct generations_subject *subject)
{
    if (subject->user_id != 0) {
        key_of_user(key, subject->user_id, "run");
        return;
    }
    key_of_user(key, 0, "q");
    tuple_add_bytes(key, subject->address);
    tuple_add_text(key, slice_of_text("run"));
}

void key_due(struct tuple *key, enum generations_due_kind kind, uint64_t due_ms)
{
    static const char *const names[] = {
        [GENERATIONS_DUE_JOB] = "job",       [GENERATIONS_DUE_ENDED] = "ended",
        [GENERATIONS_DUE_IMAGE] = "image",   [GENERATIONS_DUE_PURGE] = "purge",
        [GENERATIONS_DUE_ENGINE] = "engine",
    };
    JINI_ASSERT((unsigned)kind < sizeof(names) / sizeof(names[0]));
    tuple_begin(key);
    tuple_add_text(key, slice_of_text(names[kind]));
    tuple_add_uint(key, due_ms);
}

int record_failed(struct jini_error *error, int status, const char *what, const struct jini_id *id)
{
    char text[JINI_ID_TEXT_MAX];
    jini_id_format(id, text);
    switch (status) {
    case JINI_E_NOT_FOUND:
        return error_set(error, status, what, "there is no %s %s", what, text);
    case JINI_E_CORRUPT:
        return error_set(error, status, what,
                         "the stored record of %s %s is damaged: run `jini verify`", what, text);
    case JINI_E_FORMAT:
        return error_set(error, status, what,
                         "%s %s was written by a newer version: update this program", what, text);
    default:
        return error_set(error, status, what, "%s %s: %s", what, text, jini_status_text(status));
    }
}

int user_row_failed(struct jini_error *error, int status, const char *what, uint64_t user_id)
{
    char owner[32] = "an address";
    if (user_id != 0)
        snprintf(owner, sizeof(owner), "user %llu", (unsigned long long)user_id);
    if (status == JINI_E_CORRUPT)
        return error_set(error, status, what, "the stored %s of %s is damaged: run `jini verify`",
                         what, owner);
    return error_set(error, status, what, "%s of %s: %s", what, owner, jini_status_text(status));
}
