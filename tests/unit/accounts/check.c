/* What users and tiers may be: every rule, its bound, and the field that a refusal names. */
#include "accounts_fixture.h"

static const uint32_t all_fields = JINI_USER_FIELD_USERNAME | JINI_USER_FIELD_EMAIL |
                                   JINI_USER_FIELD_NAMES | JINI_USER_FIELD_FLAGS |
                                   JINI_USER_FIELD_TIER | JINI_USER_FIELD_OVERRIDES;

/* A text of `count` times `piece`. */
static const char *repeat(const char *piece, size_t count)
{
    static char texts[4][2048];
    static unsigned turn;
    char *text = texts[turn++ % 4];
    size_t length = strlen(piece);
    CHECK(count * length < sizeof(texts[0]));
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * length, piece, length);
    text[count * length] = '\0';
    return text;
}

static void put(char *member, size_t capacity, const char *text)
{
    size_t length = strlen(text);
    memset(member, 0, capacity);
    memcpy(member, text, length < capacity ? length : capacity);
}

static void check_refused(const struct jini_user *user, uint32_t fields, const char *field,
                          const char *part)
{
    struct jini_error error;
    CHECK_STATUS(accounts_user_check(user, fields, world_check_limits, &error), JINI_E_INVALID);
    CHECK_INT(error.code, ==, JINI_E_INVALID);
    CHECK_TEXT(error.field, field);
    CHECK_CONTAINS(error.message, part);
    CHECK_STATUS(accounts_user_check(user, fields, world_check_limits, NULL), JINI_E_INVALID);
}

static void check_taken(const struct jini_user *user, uint32_t fields)
{
    struct jini_error error = {0};
    int status = accounts_user_check(user, fields, world_check_limits, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "refused: %s: %s", error.field, error.message);
}

static void username_taken(const char *text)
{
    struct jini_user user = {0};
    put(user.username, sizeof(user.username), text);
    check_taken(&user, JINI_USER_FIELD_USERNAME);
}

static void username_refused(const char *text, const char *part)
{
    struct jini_user user = {0};
    put(user.username, sizeof(user.username), text);
    check_refused(&user, JINI_USER_FIELD_USERNAME, "username", part);
}

TEST(user_names_are_letters_digits_and_five_signs, "Every other character is named in the refusal.")
{
    username_taken("a");
    username_taken("Alice.Smith+x@home-1_2");
    username_taken("@.+-_");
    username_taken("\xce\xa9\xe5\xad\x97\xd8\xb9\xe0\xa4\x95"); /* Greek, Chinese, Arabic, Hindi */
    username_taken("x\xc2\xb2");                                /* superscript two, as Django's */
    username_taken(repeat("a", 150));
    username_taken(repeat("\xc3\xa9", 150));
    username_taken(repeat("\xe5\xad\x97", 100)); /* 300 bytes */
    username_refused("", "empty");
    username_refused("a b", "character 2 is U+0020");
    username_refused("ab!", "character 3 is U+0021");
    username_refused("a\tb", "U+0009");
    username_refused("a\xcc\x81", "U+0301");
    username_refused("\xf0\x9f\x98\x80", "U+1F600");
    username_refused("a\xe2\x80\x8b", "U+200B");
    username_refused("a\xff", "UTF-8");
    username_refused(repeat("a", 151), "151 characters");
    username_refused(repeat("\xe5\xad\x97", 101), "300 bytes");
    username_refused(repeat("a", 400), "300 bytes");
    username_refused(repeat("\xef\xb7\xba", 100), "written out"); /* 18 characters each */
}

static void email_taken(const char *text)
{
    struct jini_user user = {0};
    put(user.email, sizeof(user.email), text);
    check_taken(&user, JINI_USER_FIELD_EMAIL);
}

static void email_refused(const char *text, const char *part)
{
    struct jini_user user = {0};
    put(user.email, sizeof(user.email), text);
    check_refused(&user, JINI_USER_FIELD_EMAIL, "email", part);
}

TEST(addresses_that_are_right_are_taken, "RFC 5321's lengths, RFC 5322's characters, any script.")
{
    email_taken("");
    email_taken("a@b.c");
    email_taken("Alice.Smith+tag@Example.co.uk");
    email_taken("!#$%&'*+-/=?^_`{|}~@x-y.org");
    email_taken("root@localhost");
    email_taken("\xe7\x94\xa8\xe6\x88\xb7@\xe4\xbe\x8b\xe5\xad\x90.\xe5\xb9\xbf\xe5\x91\x8a");
    email_taken("zo\xc3\xab@m\xc3\xbcnchen.example");
    email_taken("a@1.2x");
    email_taken("a@xn--mnchen-3ya.de");
    char text[300];
    snprintf(text, sizeof(text), "%s@x.org", repeat("a", 64));
    email_taken(text);
    snprintf(text, sizeof(text), "a@%s.org", repeat("b", 63));
    email_taken(text);
    snprintf(text, sizeof(text), "a@%s.%s.%s.%s", repeat("b", 63), repeat("c", 63), repeat("d", 63),
             repeat("e", 60));
    CHECK_UINT(strlen(text), ==, 254);
    email_taken(text);
}

TEST(addresses_that_are_wrong_are_refused, "The refusal says which part breaks which rule.")
{
    char text[400];
    email_refused("alice", "no @");
    email_refused("@x.org", "nothing stands before");
    email_refused("a@", "empty");
    email_refused("a@b@c.org", "more than one @");
    email_refused("a@b", "no dot");
    email_refused("a@.org", "empty");
    email_refused("a@x..org", "empty");
    email_refused("a@x.org.", "empty");
    email_refused(".a@x.org", "dot");
    email_refused("a.@x.org", "dot");
    email_refused("a..b@x.org", "dot");
    email_refused("a b@x.org", "before the @");
    email_refused(" a@x.org", "before the @");
    email_refused("\"a\"@x.org", "before the @");
    email_refused("a\\b@x.org", "before the @");
    email_refused("a,b@x.org", "before the @");
    email_refused("<a@x.org>", "before the @");
    email_refused("a\n@x.org", "before the @");
    email_refused("a\xe2\x80\xae@x.org", "before the @");
    email_refused("a\xc2\xa0@x.org", "before the @");
    email_refused("a@x y.org", "the domain has a character");
    email_refused("a@x_y.org", "the domain has a character");
    email_refused("a@[1.2.3.4]", "the domain has a character");
    email_refused("a@x\xe3\x80\x82org", "the domain has a character"); /* ideographic full stop */
    email_refused("a@-x.org", "begins with -");
    email_refused("a@x-.org", "ends in -");
    email_refused("a@x.org-", "ends in -");
    email_refused("a@1.2.3.4", "ends in a number");
    email_refused("a\xef\xbc\xa0"
                  "b@x.org",
                  "another @"); /* full-width @ */
    email_refused("a\xff@x.org", "UTF-8");
    snprintf(text, sizeof(text), "%s@x.org", repeat("a", 65));
    email_refused(text, "64 bytes");
    snprintf(text, sizeof(text), "a@%s.org", repeat("b", 64));
    email_refused(text, "63 characters");
    snprintf(text, sizeof(text), "a@%s.%s.%s.%s", repeat("b", 63), repeat("c", 63), repeat("d", 63),
             repeat("e", 61));
    CHECK_UINT(strlen(text), ==, 255);
    email_refused(text, "254 bytes");
    snprintf(text, sizeof(text), "%s@x.org", repeat("\xef\xb7\xba", 21));
    email_refused(text, "written out");
}

TEST(names_of_persons_have_no_control_characters,
     "Any other text of up to 150 characters is a name.")
{
    struct jini_user user = {0};
    check_taken(&user, JINI_USER_FIELD_NAMES);
    put(user.first_name, sizeof(user.first_name), "Jos\xc3\xa9 \"Pepe\" (Jr.) \xf0\x9f\x98\x80");
    put(user.last_name, sizeof(user.last_name), repeat("\xc3\xa9", 150));
    check_taken(&user, JINI_USER_FIELD_NAMES);
    put(user.last_name, sizeof(user.last_name), "a\nb");
    check_refused(&user, JINI_USER_FIELD_NAMES, "last_name", "U+000A");
    put(user.last_name, sizeof(user.last_name), "a\xe2\x80\xa8");
    check_refused(&user, JINI_USER_FIELD_NAMES, "last_name", "U+2028");
    put(user.last_name, sizeof(user.last_name), repeat("a", 151));
    check_refused(&user, JINI_USER_FIELD_NAMES, "last_name", "151 characters");
    put(user.last_name, sizeof(user.last_name), repeat("a", 301));
    check_refused(&user, JINI_USER_FIELD_NAMES, "last_name", "300 bytes");
    put(user.first_name, sizeof(user.first_name), "\xc3");
    check_refused(&user, JINI_USER_FIELD_NAMES, "first_name", "UTF-8");
}

TEST(flags_and_masks_have_known_bits_only, "An unknown bit is refused with its value.")
{
    struct jini_user user = {.flags = JINI_USER_ACTIVE | JINI_USER_STAFF};
    check_taken(&user, JINI_USER_FIELD_FLAGS);
    user.flags = 1 << 2;
    check_refused(&user, JINI_USER_FIELD_FLAGS, "flags", "0x4");
    user.flags = 0;
    user.override_mask = JINI_ALLOWANCE_ALL;
    check_taken(&user, JINI_USER_FIELD_OVERRIDES);
    user.override_mask = 1u << 31;
    check_refused(&user, JINI_USER_FIELD_OVERRIDES, "override_mask", "0x80000000");
    check_refused(&user, 1u << 9, "fields", "0x200");
}

TEST(numbers_of_overrides_have_bounds,
     "What the mask names is checked, what it does not name is not.")
{
    static const struct {
        enum jini_allowance_field field;
        size_t offset;
        uint32_t max;
        const char *name;
    } rules[] = {
        {JINI_ALLOWANCE_WIDTH, offsetof(struct jini_allowance, width_max), 65536, "width_max"},
        {JINI_ALLOWANCE_HEIGHT, offsetof(struct jini_allowance, height_max), 65536, "height_max"},
        {JINI_ALLOWANCE_STEPS, offsetof(struct jini_allowance, steps_max), 100000, "steps_max"},
        {JINI_ALLOWANCE_PARALLEL, offsetof(struct jini_allowance, parallel_max), 10000,
         "parallel_max"},
        {JINI_ALLOWANCE_RETENTION, offsetof(struct jini_allowance, retention_days), 36500,
         "retention_days"},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        struct jini_user user = {.override_mask = (uint32_t)rules[i].field};
        char field[64];
        snprintf(field, sizeof(field), "overrides.%s", rules[i].name);
        uint32_t *member = (uint32_t *)((char *)&user.overrides + rules[i].offset);
        *member = rules[i].max;
        check_taken(&user, JINI_USER_FIELD_OVERRIDES);
        *member = rules[i].max + 1;
        check_refused(&user, JINI_USER_FIELD_OVERRIDES, field, "no bound");
        user.override_mask = (uint32_t)~rules[i].field & JINI_ALLOWANCE_ALL;
        check_taken(&user, JINI_USER_FIELD_OVERRIDES);
    }
}

TEST(limits_are_checked_by_the_callback, "Its reason stands in the error, under the owner's name.")
{
    struct jini_user user = {.override_mask = JINI_ALLOWANCE_LIMITS};
    put(user.overrides.limits, sizeof(user.overrides.limits), "5/minute");
    check_taken(&user, JINI_USER_FIELD_OVERRIDES);
    put(user.overrides.limits, sizeof(user.overrides.limits), "5/bad");
    check_refused(&user, JINI_USER_FIELD_OVERRIDES, "overrides.limits", "\"bad\" is no limit");
    memset(user.overrides.limits, '1', sizeof(user.overrides.limits));
    check_refused(&user, JINI_USER_FIELD_OVERRIDES, "overrides.limits", "256 bytes");
    put(user.overrides.limits, sizeof(user.overrides.limits), "\xff");
    check_refused(&user, JINI_USER_FIELD_OVERRIDES, "overrides.limits", "UTF-8");
    user.override_mask = 0;
    check_taken(&user, JINI_USER_FIELD_OVERRIDES);
}

TEST(only_named_members_are_checked, "A member that no field names may be anything.")
{
    struct jini_user user;
    memset(&user, 0xff, sizeof(user));
    check_taken(&user, JINI_USER_FIELD_REVOKE);
    CHECK_OK(accounts_user_check(&user, 0, world_check_limits, NULL));
    check_refused(&user, JINI_USER_FIELD_USERNAME, "username", "300 bytes");
    check_refused(&user, JINI_USER_FIELD_EMAIL, "email", "254 bytes");
    check_refused(&user, JINI_USER_FIELD_TIER, "tier", "32 bytes");
    memset(&user, 0, sizeof(user));
    check_taken(&user, all_fields & ~(uint32_t)JINI_USER_FIELD_USERNAME);
}

static struct jini_tier good_tier(void)
{
    struct jini_tier tier = {.currency = "EUR", .price_minor = 100};
    put(tier.name, sizeof(tier.name), "Gold-2_x");
    put(tier.allowance.limits, sizeof(tier.allowance.limits), "9/minute");
    return tier;
}

static void tier_refused(const struct jini_tier *tier, const char *field, const char *part)
{
    struct jini_error error;
    CHECK_STATUS(accounts_tier_check(tier, JINI_TIER_FIELD_ALL, world_check_limits, &error),
                 JINI_E_INVALID);
    CHECK_TEXT(error.field, field);
    CHECK_CONTAINS(error.message, part);
}

TEST(tiers_have_rules_of_their_own, "Name, currency, price and allowance are checked.")
{
    struct jini_tier tier = good_tier();
    CHECK_OK(accounts_tier_check(&tier, JINI_TIER_FIELD_ALL, world_check_limits, NULL));
    put(tier.name, sizeof(tier.name), "Gr\xc3\xbc\xc3\x9f");
    CHECK_OK(accounts_tier_check(&tier, JINI_TIER_FIELD_ALL, world_check_limits, NULL));
    put(tier.name, sizeof(tier.name), repeat("\xef\xb7\xba", 10)); /* the longest key there is */
    CHECK_OK(accounts_tier_check(&tier, JINI_TIER_FIELD_ALL, world_check_limits, NULL));
    put(tier.name, sizeof(tier.name), "a.b");
    tier_refused(&tier, "name", "U+002E");
    put(tier.name, sizeof(tier.name), "");
    tier_refused(&tier, "name", "empty");
    put(tier.name, sizeof(tier.name), repeat("a", 33));
    tier_refused(&tier, "name", "32 bytes");
    static const char *const currencies[] = {"", "EU", "eur", "E1R", "EURO"};
    for (size_t i = 0; i < sizeof(currencies) / sizeof(currencies[0]); i++) {
        tier = good_tier();
        put(tier.currency, sizeof(tier.currency), currencies[i]);
        tier_refused(&tier, "currency", "three capital letters");
    }
    tier = good_tier();
    tier.price_minor = 0;
    put(tier.currency, sizeof(tier.currency), "");
    CHECK_OK(accounts_tier_check(&tier, JINI_TIER_FIELD_ALL, world_check_limits, NULL));
    tier = good_tier();
    tier.price_minor = UINT64_C(1000000000001);
    tier_refused(&tier, "price_minor", "1000000000000");
    tier = good_tier();
    tier.allowance.width_max = 65537;
    tier_refused(&tier, "allowance.width_max", "65536");
    tier = good_tier();
    put(tier.allowance.limits, sizeof(tier.allowance.limits), "bad");
    tier_refused(&tier, "allowance.limits", "\"bad\" is no limit");
}

TEST(overrides_replace_what_they_name,
     "The allowance is the tier's but for the members of the mask.")
{
    struct jini_tier tier = {.allowance = {.limits = "5/minute",
                                           .width_max = 1,
                                           .height_max = 2,
                                           .steps_max = 3,
                                           .parallel_max = 4,
                                           .retention_days = 5}};
    struct jini_user user = {.overrides = {.limits = "9/hour",
                                           .width_max = 11,
                                           .height_max = 12,
                                           .steps_max = 13,
                                           .parallel_max = 0,
                                           .retention_days = 15}};
    for (uint32_t mask = 0; mask <= JINI_ALLOWANCE_ALL; mask++) {
        struct jini_allowance out;
        user.override_mask = mask;
        memset(&out, 0xee, sizeof(out));
        accounts_allowance(&tier, &user, &out);
        CHECK_TEXT(out.limits, mask & JINI_ALLOWANCE_LIMITS ? "9/hour" : "5/minute");
        CHECK_UINT(out.width_max, ==, mask & JINI_ALLOWANCE_WIDTH ? 11 : 1);
        CHECK_UINT(out.height_max, ==, mask & JINI_ALLOWANCE_HEIGHT ? 12 : 2);
        CHECK_UINT(out.steps_max, ==, mask & JINI_ALLOWANCE_STEPS ? 13 : 3);
        CHECK_UINT(out.parallel_max, ==, mask & JINI_ALLOWANCE_PARALLEL ? 0 : 4);
        CHECK_UINT(out.retention_days, ==, mask & JINI_ALLOWANCE_RETENTION ? 15 : 5);
    }
}

TEST(change_words_are_spread, "Users never share the tiers' word, and ids in a row spread evenly.")
{
    enum { IDS = 40950 };
    static unsigned uses[STORE_CHANGE_WORDS];
    for (uint64_t id = 1; id <= IDS; id++) {
        uint32_t word = accounts_user_word(id);
        CHECK_UINT(word, >, accounts_tier_word());
        CHECK_UINT(word, <, STORE_CHANGE_WORDS);
        uses[word]++;
    }
    for (uint32_t word = 1; word < STORE_CHANGE_WORDS; word++)
        CHECK_UINT(uses[word], <=, 30);
    CHECK_UINT(accounts_user_word(UINT64_MAX), <, STORE_CHANGE_WORDS);
    /* Pinned: processes of other versions use the same. */
    CHECK_UINT(accounts_user_word(1), ==, 3535);
}
