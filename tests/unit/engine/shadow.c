/* Limits in shadow mode through the public calls: counted, told of, and in nobody's way. */
#include "engine_fixture.h"

static uint64_t add_user(struct jini *jini, const char *name, const char *limits)
{
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "%s", name);
    snprintf(add.user.overrides.limits, sizeof(add.user.overrides.limits), "%s", limits);
    add.user.flags = JINI_USER_ACTIVE;
    add.user.override_mask = JINI_ALLOWANCE_LIMITS | JINI_ALLOWANCE_PARALLEL;
    fixture_must(jini_user_add(jini, &add, NULL), "user", &add.request.error);
    return add.user.id;
}

static int ask(struct jini *jini, uint64_t user, uint32_t flags, struct jini_limit_answer *answer)
{
    struct jini_limit_check check = {
        .subject = {.kind = JINI_SUBJECT_USER, .number = user}, .cost = 1, .flags = flags};
    struct jini_error error;
    return jini_limit_check(jini, &check, answer, &error);
}

static int admit(struct jini *jini, uint64_t user, struct jini_admit *out)
{
    jini_request_init(out);
    out->subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    out->parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    return jini_admit(jini, out, NULL);
}

/* One entry: what is left of it, and whether it would have refused. */
static void check_shadow(const struct jini_limit_entry *entry, uint64_t remaining, bool refused)
{
    CHECK(entry->flags & JINI_LIMIT_SHADOW);
    CHECK_UINT(entry->remaining, ==, remaining);
    CHECK_INT((entry->flags & JINI_LIMIT_REFUSED) != 0, ==, refused);
    CHECK_INT(entry->retry_after_ms > 0, ==, refused);
}

TEST(a_shadow_rate_limit_never_refuses_a_check,
     "Over its amount a shadow limit lets checks and peeks pass and is told of as what would have "
     "refused; the other limits count on and decide.")
{
    struct jini *jini = fixture_open();
    uint64_t user = add_user(jini, "alice", "2/30 minute shadow; 5/59 minute");
    struct jini_limit_answer answer;
    struct jini_error error;
    for (uint32_t i = 0; i < 5; i++) {
        CHECK_OK(ask(jini, user, 0, &answer));
        CHECK_UINT(answer.decided, ==, JINI_LIMITS_MAX);
        CHECK_UINT(answer.retry_after_ms, ==, 0);
        check_shadow(&answer.entries[0], i < 2 ? 1 - i : 0, i >= 2);
        CHECK_UINT(answer.entries[1].remaining, ==, 4 - i);
    }
    CHECK_OK(jini_limit_refund(jini, &answer, &error)); /* of which the shadow limit counted none */
    CHECK_OK(ask(jini, user, JINI_CHECK_PEEK, &answer));
    CHECK_UINT(answer.decided, ==, JINI_LIMITS_MAX);
    check_shadow(&answer.entries[0], 0, true);
    CHECK_UINT(answer.entries[1].remaining, ==, 1);
    CHECK_OK(ask(jini, user, 0, &answer));
    CHECK_STATUS(ask(jini, user, 0, &answer), JINI_E_LIMITED);
    CHECK_UINT(answer.decided, ==, 1);
    CHECK_STATUS(ask(jini, user, JINI_CHECK_PEEK, &answer), JINI_E_LIMITED);
    CHECK_UINT(answer.decided, ==, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(shadow_limits_never_refuse_an_admission,
     "Over their amounts a shadow rate limit and a shadow quota let admissions pass and are told "
     "of as what would have refused; what a release gives back to them is what was counted.")
{
    enum { JOBS = 5 };
    struct jini *jini = fixture_open();
    uint64_t user = add_user(jini, "alice", "2/59 minute shadow; 3/day shadow; 9/month");
    struct jini_admit jobs[JOBS];
    struct jini_limit_answer answer;
    for (uint32_t i = 0; i < JOBS; i++) {
        const struct jini_limit_entry *entries = jobs[i].answer.entries;
        fixture_must(admit(jini, user, &jobs[i]), "admit", &jobs[i].request.error);
        CHECK_UINT(jobs[i].answer.decided, ==, JINI_LIMITS_MAX);
        check_shadow(&entries[0], i < 2 ? 1 - i : 0, i >= 2);
        check_shadow(&entries[1], i < 3 ? 2 - i : 0, i >= 3);
        CHECK_UINT(entries[2].remaining, ==, 8 - i);
    }
    for (uint32_t i = 1; i < JOBS - 1; i++)
        fixture_settle(jini, &jobs[i].job.id);
    fixture_release(jini, &jobs[JOBS - 1].job.id,
                    JINI_JOB_FAILED); /* beyond both shadows, which counted none of it */
    CHECK_OK(ask(jini, user, JINI_CHECK_PEEK, &answer));
    check_shadow(&answer.entries[0], 0, true);
    check_shadow(&answer.entries[1], 0, true);
    CHECK_UINT(answer.entries[2].remaining, ==, 5);
    fixture_release(jini, &jobs[0].job.id, JINI_JOB_FAILED); /* counted by all */
    CHECK_OK(ask(jini, user, JINI_CHECK_PEEK, &answer));
    check_shadow(&answer.entries[0], 1, false);
    check_shadow(&answer.entries[1], 1, false);
    CHECK_UINT(answer.entries[2].remaining, ==, 6);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
