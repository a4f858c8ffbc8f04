/* Subjects: who is counted, and what is no subject. */
#include "engine_fixture.h"

static const struct jini_subject nobody[] = {
    {.kind = JINI_SUBJECT_USER, .number = 0},
    {.kind = JINI_SUBJECT_USER, .number = 0, .address = {[10] = 0xff, 0xff, 192, 0, 2, 1}},
    {.kind = 0, .number = 1},
    {.kind = JINI_SUBJECT_GLOBAL + 1, .number = 1},
    {.kind = UINT32_MAX, .number = 1},
};

enum { NOBODIES = sizeof(nobody) / sizeof(nobody[0]) };

TEST(user_zero_is_nobody_to_a_check,
     "User 0 and unknown kinds are JINI_E_INVALID by field in every check, and charge nothing.")
{
    static const char *const texts[] = {NULL, "", "5/minute"};
    static const uint32_t flags[] = {0, JINI_CHECK_PEEK, JINI_CHECK_IN_ORDER};
    struct jini *jini = fixture_open();
    struct jini_limit_answer answer;
    struct jini_error error;
    for (size_t i = 0; i < NOBODIES * 9; i++) {
        struct jini_limit_check check = {
            .subject = nobody[i / 9], .limits = texts[i / 3 % 3], .flags = flags[i % 3], .cost = 1};
        CHECK_STATUS(jini_limit_check(jini, &check, &answer, &error), JINI_E_INVALID);
        CHECK_TEXT(error.field, "subject");
        CHECK_UINT(answer.count, ==, 0);
    }
    struct jini_limit_usage usage[4];
    size_t count;
    CHECK_OK(jini_limit_top(jini, usage, 4, &count, &error));
    CHECK_UINT(count, ==, 0);
    struct jini_limit_check model = {
        .subject = {.kind = JINI_SUBJECT_MODEL, .number = 0}, .limits = "5/minute", .cost = 1};
    CHECK_OK(jini_limit_check(jini, &model, &answer, &error));
    model.limits = NULL;
    CHECK_STATUS(jini_limit_check(jini, &model, &answer, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "limits");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(user_zero_is_nobody_to_a_reset_and_an_admission,
     "User 0 and unknown kinds are JINI_E_INVALID by field, and no address loses what it counted.")
{
    struct jini *jini = fixture_open();
    struct jini_admit admit;
    jini_request_init(&admit);
    CHECK_OK(jini_subject_parse_address("192.0.2.1", &admit.subject));
    admit.parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    CHECK_OK(jini_admit(jini, &admit, NULL));
    struct jini_settle settle;
    jini_request_init(&settle);
    settle.job_id = admit.job.id;
    CHECK_OK(jini_settle(jini, &settle, NULL));
    for (size_t i = 0; i < NOBODIES; i++) {
        struct jini_limit_reset reset;
        jini_request_init(&reset);
        reset.subject = nobody[i];
        CHECK_STATUS(jini_limit_reset(jini, &reset, NULL), JINI_E_INVALID);
        CHECK_TEXT(reset.request.error.field, "subject");
        struct jini_admit refused;
        jini_request_init(&refused);
        refused.subject = nobody[i];
        refused.parameters = admit.parameters;
        CHECK_STATUS(jini_admit(jini, &refused, NULL), JINI_E_INVALID);
        CHECK_TEXT(refused.request.error.field, "subject");
    }
    struct jini_limit_check check = {.subject = admit.subject, .flags = JINI_CHECK_PEEK, .cost = 1};
    struct jini_limit_answer answer;
    struct jini_error error;
    CHECK_OK(jini_limit_check(jini, &check, &answer, &error));
    for (uint32_t i = 0; i < answer.count; i++)
        CHECK_UINT(answer.entries[i].remaining, ==, answer.entries[i].amount - 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
