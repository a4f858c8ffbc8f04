/* Names of objects. */
#include "archive/name.h"

#include "harness.h"

static int check_name(const char *name)
{
    return archive_name_check(slice_of_text(name), NULL);
}

static int check_prefix(const char *prefix)
{
    return archive_prefix_check(slice_of_text(prefix), NULL);
}

TEST(good_names_are_taken, "Names inside every rule are accepted.")
{
    static const char *const names[] = {
        "a",
        "packs/2026/08/01981c5e.pack",
        "a..b/c.",
        "~",
        "a b/%2e%2e",
        "lost+founds/a",
        "x/lost+found",
        "\xc2\xa0",
        "\xef\xbf\xbd",
        "\xef\xbf\xbc/\xf0\x9f\x98\x80",
        "CON",
        "-",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        CHECK_OK(check_name(names[i]));
}

TEST(names_that_could_escape_are_refused,
     "No name has an empty segment, or one that begins with a dot.")
{
    static const char *const names[] = {
        "",       "/",   "/a",    "a/",     "a//b", ".",   "..",       "../a", "a/..",
        "a/../b", "./a", "a/./b", ".tmp/a", "a/.b", "...", "a\\..\\b", "\\",   ".jini-archive"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        CHECK_STATUS(check_name(names[i]), JINI_E_INVALID);
}

TEST(
    characters_that_stores_cannot_carry_are_refused,
    "Control characters, broken UTF-8 and the two characters that XML lacks are no part of a name.")
{
    static const char *const names[] = {"a\x01",        "a\nb",          "\x7f",     "\xc2\x80",
                                        "\xc2\x9f",     "\xff",          "a\xc3",    "\xed\xa0\x80",
                                        "\xef\xbf\xbe", "x\xef\xbf\xbf", "\xc0\xaf", "lost+found",
                                        "lost+found/a"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        CHECK_STATUS(check_name(names[i]), JINI_E_INVALID);
    CHECK_STATUS(archive_name_check(slice_of("a\0b", 3), NULL), JINI_E_INVALID);
}

TEST(limits_are_exact,
     "512 bytes, segments of 255 bytes and 16 segments are taken, one more is not.")
{
    char name[600];
    memset(name, 'a', sizeof(name));
    name[255] = '/';
    name[400] = '/';
    CHECK_OK(archive_name_check(slice_of(name, 512), NULL));
    CHECK_STATUS(archive_name_check(slice_of(name, 513), NULL), JINI_E_INVALID);
    memset(name, 'a', sizeof(name));
    CHECK_OK(archive_name_check(slice_of(name, 255), NULL));
    CHECK_STATUS(archive_name_check(slice_of(name, 256), NULL), JINI_E_INVALID);
    CHECK_OK(check_name("1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16"));
    CHECK_STATUS(check_name("1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"), JINI_E_INVALID);
}

TEST(prefixes_may_end_anywhere,
     "A prefix is the beginning of a name, also of none or with a '/' at its end.")
{
    CHECK_OK(check_prefix(""));
    CHECK_OK(check_prefix("packs"));
    CHECK_OK(check_prefix("packs/"));
    CHECK_OK(check_prefix("packs/20"));
    CHECK_OK(check_prefix("lost+found"));
    CHECK_STATUS(check_prefix("lost+found/"), JINI_E_INVALID);
    CHECK_STATUS(check_prefix("/"), JINI_E_INVALID);
    CHECK_STATUS(check_prefix("a//"), JINI_E_INVALID);
    CHECK_STATUS(check_prefix(".."), JINI_E_INVALID);
    CHECK_STATUS(check_prefix("a/."), JINI_E_INVALID);
    CHECK_STATUS(check_prefix("\xc3"), JINI_E_INVALID);
}

TEST(errors_name_the_rule_and_the_byte, "A refusal says which byte breaks which rule.")
{
    struct jini_error error;
    CHECK_STATUS(archive_name_check(slice_of_text("packs/.hidden"), &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "name");
    CHECK_CONTAINS(error.message, "byte 6");
    CHECK_CONTAINS(error.message, "begins with '.'");
    CHECK_STATUS(archive_name_check(slice_of_text("a\x1b[31m"), &error), JINI_E_INVALID);
    CHECK_CONTAINS(error.message, "byte 1");
    CHECK(!strchr(error.message, '\x1b'));
}

TEST(segments_join_to_the_name,
     "Taking a name apart gives its segments in order, and nothing else.")
{
    struct slice rest = slice_of_text("packs/2026/a.pack");
    struct slice segment;
    CHECK(archive_name_next(&rest, &segment));
    CHECK(slice_equal(segment, slice_of_text("packs")));
    CHECK(archive_name_next(&rest, &segment));
    CHECK(slice_equal(segment, slice_of_text("2026")));
    CHECK(archive_name_next(&rest, &segment));
    CHECK(slice_equal(segment, slice_of_text("a.pack")));
    CHECK(!archive_name_next(&rest, &segment));
}
