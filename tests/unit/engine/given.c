/* Texts that must be given: NULL is refused, and not read. */
#include "engine_fixture.h"

static int find_nobody(struct jini_txn *txn, void *argument)
{
    struct jini_user user;
    struct jini_tier tier;
    struct jini_error error;
    (void)argument;
    CHECK_STATUS(jini_txn_user_find(txn, NULL, &user, &error), JINI_E_INVALID);
    CHECK_STATUS(jini_txn_tier_get(txn, NULL, &tier, &error), JINI_E_INVALID);
    return 0;
}

TEST(texts_that_are_null_are_refused,
     "Each call that needs a text is JINI_E_INVALID without one, and names it.")
{
    struct jini *jini = fixture_open();
    struct jini_user user;
    struct jini_tier tier;
    struct jini_subject subject;
    struct jini_id id;
    struct jini_options options;
    struct jini_error error;
    CHECK_STATUS(jini_user_find(jini, NULL, &user, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "login");
    CHECK_STATUS(jini_user_find(jini, NULL, &user, NULL), JINI_E_INVALID);
    CHECK_STATUS(jini_tier_get(jini, NULL, &tier, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "tier");
    CHECK_STATUS(jini_limits_validate(NULL, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "limits");
    CHECK_STATUS(jini_subject_parse_address(NULL, &subject), JINI_E_INVALID);
    CHECK_STATUS(jini_id_parse(NULL, &id), JINI_E_INVALID);
    jini_options_init(&options);
    CHECK_STATUS(jini_options_set(&options, NULL, "1", &error), JINI_E_INVALID);
    CHECK_STATUS(jini_options_set(&options, "trash.s", NULL, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "trash.s");
    CHECK_STATUS(jini_options_set(&options, "trash.s", "", &error), JINI_E_INVALID);
    CHECK(!strstr(error.message, "KiB"));
    CHECK_STATUS(jini_options_set(&options, "image.bytes_max", "", &error), JINI_E_INVALID);
    CHECK_CONTAINS(error.message, "KiB");
    CHECK_STATUS(jini_options_load(&options, NULL, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "path");
    CHECK_STATUS(jini_copy(jini, NULL, JINI_COPY_PLAIN, &error), JINI_E_INVALID);
    struct jini_write write;
    jini_request_init(&write);
    write.function = find_nobody;
    CHECK_OK(jini_write(jini, &write, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
}
