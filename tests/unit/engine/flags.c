/* Flags: what no version of a call knows is refused. */
#include "engine_fixture.h"

/* A request of the kind whose flags have a bit that is none, beside `right` ones. */
#define CHECK_FLAGS(type, function, right, ...)                                                    \
    do {                                                                                           \
        struct type of_kind;                                                                       \
        jini_request_init(&of_kind);                                                               \
        __VA_ARGS__;                                                                               \
        for (int bit = 31; (right) >> bit == 0; bit--) {                                           \
            of_kind.flags = (right) | 1u << bit;                                                   \
            CHECK_STATUS(function(jini, &of_kind, NULL), JINI_E_INVALID);                          \
            CHECK_TEXT(of_kind.request.error.field, "flags");                                      \
        }                                                                                          \
    } while (0)

TEST(flags_that_are_unknown_are_refused, "Each call that takes flags is JINI_E_INVALID (\"flags\") "
                                         "when one of them is none of its kind, "
                                         "and does nothing.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    const struct jini_subject alice = {.kind = JINI_SUBJECT_USER, .number = user};
    struct png_request png = {16, 16, 7, "x", NULL};
    size_t length;
    uint8_t *file = png_make(&png, &length);
    CHECK_FLAGS(jini_admit, jini_admit, JINI_ADMIT_IN_ORDER | JINI_ADMIT_QUEUE,
                of_kind.subject = alice,
                of_kind.parameters =
                    ((struct jini_parameters){.width = 64, .height = 64, .steps = 1, .count = 1}));
    CHECK_FLAGS(jini_image_put, jini_image_put, JINI_PUT_SETTLES, of_kind.bytes = file,
                of_kind.length = length, of_kind.user_id = user);
    CHECK_FLAGS(jini_archive_run, jini_archive_run,
                JINI_TIERING_NOW | JINI_TIERING_FREE_HOT | JINI_TIERING_DRY_RUN, );
    CHECK_FLAGS(jini_image_remove, jini_image_remove, JINI_REMOVE_PURGE, );
    CHECK_FLAGS(jini_verify, jini_verify, JINI_VERIFY_DEEP, );
    free(file);
    struct jini_image_remove restore;
    jini_request_init(&restore);
    restore.flags = JINI_REMOVE_PURGE;
    CHECK_STATUS(jini_image_restore(jini, &restore, NULL), JINI_E_INVALID);
    const uint32_t right = JINI_CHECK_PEEK | JINI_CHECK_IN_ORDER;
    struct jini_limit_answer answer;
    struct jini_error error;
    for (int bit = 31; right >> bit == 0; bit--) {
        struct jini_limit_check check = {.subject = alice, .cost = 1, .flags = right | 1u << bit};
        CHECK_STATUS(jini_limit_check(jini, &check, &answer, &error), JINI_E_INVALID);
        CHECK_TEXT(error.field, "flags");
        CHECK_UINT(answer.count, ==, 0);
    }
    struct jini_usage usage;
    CHECK_OK(jini_usage_get(jini, user, &usage, &error));
    CHECK_UINT(usage.images + usage.jobs, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
