/* What verify finds, in tests that plant it. */
#ifndef FOUND_H
#define FOUND_H

#include "engine_fixture.h"

enum { FOUND_MAX = 64 };

/* A problem, with its texts kept. */
struct found_item {
    char kind[48];
    char field[48];
    char message[512];
    struct jini_id image;
    struct jini_id job;
    struct jini_id pack;
    uint64_t user;
};

/* What a run found: the first FOUND_MAX of one kind, or of all. */
struct found {
    const char *kind; /* NULL: of all */
    unsigned count;
    struct found_item items[FOUND_MAX];
};

static inline void found_note(void *context, const struct jini_verify_problem *problem)
{
    struct found *found = context;
    CHECK(problem->kind && problem->field && problem->message);
    if (found->count == FOUND_MAX || (found->kind && strcmp(problem->kind, found->kind) != 0))
        return;
    struct found_item *item = &found->items[found->count++];
    *item = (struct found_item){.image = problem->image_id,
                                .job = problem->job_id,
                                .pack = problem->pack_id,
                                .user = problem->user_id};
    snprintf(item->kind, sizeof(item->kind), "%s", problem->kind);
    snprintf(item->field, sizeof(item->field), "%s", problem->field);
    snprintf(item->message, sizeof(item->message), "%s", problem->message);
}

static inline void found_print(const struct found *found)
{
    for (unsigned i = 0; i < found->count; i++)
        fprintf(stderr, "found %s, %s: %s\n", found->items[i].kind, found->items[i].field,
                found->items[i].message);
}

/* Runs a verify, which must come to its end. */
static inline void found_run(struct jini *jini, const char *kind, uint32_t flags,
                             struct found *found)
{
    struct jini_verify request;
    memset(found, 0, sizeof(*found));
    found->kind = kind;
    jini_request_init(&request);
    request.flags = flags;
    request.report = found_note;
    request.context = found;
    fixture_must(jini_verify(jini, &request, NULL), "verify", &request.request.error);
    CHECK_UINT(request.problems, >=, found->count);
}

static inline struct found find(struct jini *jini, const char *kind)
{
    struct found found;
    found_run(jini, kind, 0, &found);
    return found;
}

/* A run must find this, once, about the user (0: none), and say so in these words. */
static inline void check_one(struct jini *jini, const char *kind, const char *field, uint64_t user,
                             const char *words)
{
    struct found found = find(jini, kind);
    if (found.count != 1)
        harness_fail(__FILE__, __LINE__, "%u findings %s", found.count, kind);
    CHECK_TEXT(found.items[0].field, field);
    CHECK_UINT(found.items[0].user, ==, user);
    CHECK_CONTAINS(found.items[0].message, words);
}

#endif
