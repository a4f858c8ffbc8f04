/* Calls that need no database: limits texts, the words of a limit, and what a file is. */
#include "engine_fixture.h"

TEST(a_limits_text_is_validated_without_a_database,
     "A valid text and the empty one, which is no limit, answer 0; any other says by field what is "
     "wrong.")
{
    static const char *const valid[] = {"", "5/minute", "5/minute; 30/day calendar Europe/Berlin",
                                        "9/second gcra burst 20 shadow | 1000/month anchor"};
    static const struct {
        const char *text;
        const char *field;
    } wrong[] = {
        {"5", "period"},
        {"5/fortnight", "period"},
        {"many/minute", "amount"},
        {"5/day sliding", "algorithm"},
        {"5/day calendar Europe/Atlantis", "zone"},
        {"1/day;2/day;3/day;4/day;5/day;6/day;7/day;8/day;9/day", "text"},
    };
    struct jini_error error;
    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        memset(&error, 0xa5, sizeof(error));
        CHECK_OK(jini_limits_validate(valid[i], &error));
        CHECK_INT(error.code, ==, 0);
        CHECK_OK(jini_limits_validate(valid[i], NULL));
    }
    char spaced[JINI_LIMITS_TEXT_MAX + 1]; /* valid, but longer than a tier can keep */
    memset(spaced, ' ', sizeof(spaced));
    memcpy(spaced, "5/minute", 8);
    spaced[sizeof(spaced) - 1] = '\0';
    CHECK_STATUS(jini_limits_validate(spaced, &error), JINI_E_INVALID);
    CHECK_CONTAINS(error.message, "up to 256 bytes");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK_STATUS(jini_limits_validate(wrong[i].text, &error), JINI_E_INVALID);
        CHECK_INT(error.code, ==, JINI_E_INVALID);
        CHECK_TEXT(error.field, wrong[i].field);
        CHECK(error.message[0] != '\0');
    }
}

TEST(a_limit_is_described_within_the_capacity,
     "The words of an entry name amount, multiples and unit, are cut at the capacity, and take an "
     "entry of any unit.")
{
    struct jini_limit_entry entry = {.amount = 5, .multiples = 1, .unit = JINI_UNIT_MINUTE};
    char text[64];
    jini_limit_describe(&entry, text, sizeof(text));
    CHECK_TEXT(text, "5 per 1 minute");
    for (size_t capacity = 0; capacity < 20; capacity++) {
        memset(text, '#', sizeof(text));
        jini_limit_describe(&entry, text, capacity);
        if (capacity > 0)
            CHECK_UINT(strlen(text), ==, capacity < 15 ? capacity - 1 : 14);
        CHECK_INT(text[capacity], ==, '#');
    }
    entry = (struct jini_limit_entry){
        .amount = UINT64_MAX, .multiples = UINT32_MAX, .unit = JINI_UNIT_YEAR};
    jini_limit_describe(&entry, text, sizeof(text));
    CHECK_TEXT(text, "18446744073709551615 per 4294967295 year");
    entry.unit = UINT16_MAX;
    jini_limit_describe(&entry, text, sizeof(text));
    CHECK_TEXT(text, "18446744073709551615 per 4294967295 unit");
}

TEST(a_probe_says_what_a_put_will,
     "Probing a file describes it as storing it does, and nothing else of the record is set.")
{
    struct png_request png = {48, 32, 1, "p\nSteps: 1, Sampler: X, Seed: 42, Size: 48x32", "{}"};
    struct jini *jini = fixture_open();
    struct jini_error error;
    struct jini_image found;
    struct jini_image expected;
    struct jini_image_put put;
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    put.user_id = fixture_user(jini, "alice", "Premium");
    memset(&found, 0xa5, sizeof(found));
    CHECK_OK(jini_image_probe(file, put.length, &found, &error));
    fixture_must(jini_image_put(jini, &put, NULL), "put", &put.request.error);
    CHECK_TEXT(found.media_type, "image/png");
    CHECK_UINT(found.width, ==, 48);
    CHECK_UINT(found.height, ==, 32);
    CHECK_INT(found.seed, ==, 42);
    CHECK_UINT(found.flags, ==, JINI_IMAGE_HAS_SEED);
    memset(&expected, 0, sizeof(expected)); /* what is between the members, too */
    expected.bytes = put.length;
    expected.metadata_bytes = put.image.metadata_bytes;
    expected.seed = put.image.seed;
    expected.width = put.image.width;
    expected.height = put.image.height;
    expected.flags = put.image.flags;
    memcpy(expected.media_type, put.image.media_type, sizeof(expected.media_type));
    CHECK_BYTES(&found, &expected, sizeof(found));
    free(file);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_probe_refuses_what_is_no_image,
     "Bytes that are no image, and none at all, are JINI_E_NOT_IMAGE with words and an empty "
     "record.")
{
    static const char *const texts[] = {"", "no image", "\x89PNG\r\n\x1a\n"};
    static const struct jini_image nothing;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct jini_error error;
        struct jini_image found;
        memset(&found, 0xa5, sizeof(found));
        CHECK_STATUS(jini_image_probe(texts[i], strlen(texts[i]), &found, &error),
                     JINI_E_NOT_IMAGE);
        CHECK(error.message[0] != '\0');
        CHECK_BYTES(&found, &nothing, sizeof(found));
    }
}
