/* User names made from addresses. */
#include "accounts_fixture.h"

static void check_base(const char *email, const char *expected)
{
    struct accounts_candidates candidates;
    accounts_username_from_email(email, 1, &candidates);
    CHECK_TEXT(candidates.names[0], expected);
}

TEST(the_local_part_becomes_the_name, "Lower case, plain ASCII, the signs that a name may have.")
{
    check_base("Alice.Smith@example.com", "alice.smith");
    check_base("a+b-c_d.e@x.org", "a+b-c_d.e");
    check_base("O'Neil!#$%&*/=?^`{|}~@x.org", "oneil");
    check_base("Zo\xc3\xab.\xc3\x89@x.org", "zoe.e");
    check_base("a b  c\td@x.org", "a_b_c_d");
    check_base("  a  @x.org", "a");
    check_base("!a ! b!@x.org", "a_b");
    check_base("\xef\xbc\xa1\xef\xac\x81@x.org", "afi");
    check_base("noat", "noat");
    check_base("a@b@c", "a");
}

TEST(an_address_without_ascii_gives_user, "When nothing is left the name is \"user\".")
{
    check_base("", "user");
    check_base("@x.org", "user");
    check_base("\xe7\x94\xa8\xe6\x88\xb7@x.org", "user");
    check_base("!!!@x.org", "user");
    check_base("   @x.org", "user");
    check_base("\xff@x.org", "user");
}

TEST(candidates_add_digits_and_then_letters,
     "Candidate n is the name with n more characters, the first four of them digits.")
{
    struct accounts_candidates candidates;
    accounts_username_from_email("bob@x.org", 7, &candidates);
    for (unsigned n = 0; n < ACCOUNTS_CANDIDATES; n++) {
        const char *name = candidates.names[n];
        CHECK_UINT(strlen(name), ==, 3 + n);
        CHECK_BYTES(name, "bob", 3);
        for (unsigned i = 0; i < n; i++) {
            char low = i < 4 ? '0' : 'a';
            char high = i < 4 ? '9' : 'z';
            CHECK(name[3 + i] >= low && name[3 + i] <= high);
        }
    }
}

TEST(candidates_follow_from_the_seed, "The same seed gives the same names, another seed others.")
{
    struct accounts_candidates a;
    struct accounts_candidates b;
    accounts_username_from_email("bob@x.org", 7, &a);
    accounts_username_from_email("bob@x.org", 7, &b);
    CHECK_BYTES(&a, &b, sizeof(a));
    accounts_username_from_email("bob@x.org", 8, &b);
    CHECK_TEXT(a.names[0], b.names[0]);
    CHECK(strcmp(a.names[6], b.names[6]) != 0);
}

TEST(every_candidate_is_a_right_name, "Whatever the address is, what comes out passes the check.")
{
    for (int i = 0; i < 20000; i++) {
        static const char *const pieces[] = {
            "a",    "Z", "9", ".", "@", "+", " ", "\t", "\"", "\xc3\xa9", "\xef\xb7\xba",
            "\xff", "_", "!"};
        char email[JINI_EMAIL_MAX] = "";
        size_t length = 0;
        unsigned count = (unsigned)harness_random_below(200);
        for (unsigned p = 0; p < count; p++) {
            const char *piece = pieces[harness_random_below(sizeof(pieces) / sizeof(pieces[0]))];
            if (length + strlen(piece) >= sizeof(email))
                break;
            memcpy(email + length, piece, strlen(piece) + 1);
            length += strlen(piece);
        }
        struct accounts_candidates candidates;
        accounts_username_from_email(email, harness_random(), &candidates);
        for (unsigned n = 0; n < ACCOUNTS_CANDIDATES; n++) {
            struct jini_user user = {0};
            memcpy(user.username, candidates.names[n], sizeof(user.username));
            CHECK_OK(
                accounts_user_check(&user, JINI_USER_FIELD_USERNAME, world_check_limits, NULL));
        }
    }
}
