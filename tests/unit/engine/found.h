/* What verify finds of one kind, in tests that plant it. */
#ifndef FOUND_H
#define FOUND_H

#include "engine_fixture.h"

/* What the last run found of one kind. */
struct found {
    const char *kind;
    unsigned count;
    struct jini_verify_problem problem;
    char field[48];
    char message[512];
};

static inline void found_note(void *context, const struct jini_verify_problem *problem)
{
    struct found *found = context;
    if (strcmp(problem->kind, found->kind) != 0)
        return;
    found->count++;
    found->problem = *problem;
    snprintf(found->field, sizeof(found->field), "%s", problem->field);
    snprintf(found->message, sizeof(found->message), "%s", problem->message);
}

static inline struct found find(struct jini *jini, const char *kind)
{
    struct found found = {.kind = kind};
    struct jini_verify request;
    jini_request_init(&request);
    request.report = found_note;
    request.context = &found;
    fixture_must(jini_verify(jini, &request, NULL), "verify", &request.request.error);
    return found;
}

/* A run must find this, once, about the user (0: none), and say so in these words. */
static inline void check_one(struct jini *jini, const char *kind, const char *field, uint64_t user,
                             const char *words)
{
    struct found found = find(jini, kind);
    if (found.count != 1)
        harness_fail(__FILE__, __LINE__, "%u findings %s", found.count, kind);
    CHECK_TEXT(found.field, field);
    CHECK_UINT(found.problem.user_id, ==, user);
    CHECK_CONTAINS(found.message, words);
}

#endif
