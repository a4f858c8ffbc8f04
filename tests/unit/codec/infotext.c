/* The seed in an infotext. */
#include "codec/infotext.h"

#include "harness.h"

#include <stdlib.h>
#include <time.h>

static void check_seed(const char *text, uint64_t expected)
{
    uint64_t seed;
    if (!codec_infotext_seed(slice_of_text(text), &seed))
        harness_fail(__FILE__, __LINE__, "no seed in \"%s\"", text);
    CHECK_UINT(seed, ==, expected);
}

static void check_no_seed(const char *text)
{
    uint64_t seed = 1;
    if (codec_infotext_seed(slice_of_text(text), &seed))
        harness_fail(__FILE__, __LINE__, "seed %" PRIu64 " in \"%s\"", seed, text);
    CHECK_UINT(seed, ==, 0);
}

TEST(seed_of_the_last_line_is_found, "Whatever stands around it, the pair named Seed is found.")
{
    check_seed("a cat\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, "
               "Seed: 965400086, Size: 512x768, Model hash: 45dee52b",
               965400086);
    check_seed("Steps: 1, Sampler: X, Seed: 2", 2);
    check_seed("\n p\nSteps: 1, Sampler: X, Seed: 18446744073709551615 \r\n\n", UINT64_MAX);
    check_seed("p\nSteps: 1,Sampler: X,Seed:  3,", 3);
    check_seed("p\nSteps: 1, Sampler: X, Seed: 2, Bad: \"abc, Size: 8x8", 2);
    check_seed("p\nSteps: 1, Sampler: X, Seed: 4, Template: \"a\\nb: \\\"c, Seed: 9, d\\\"\"", 4);
    check_seed("p\nSteps: 1, Sampler: X, Seed: 2, Hashes: {\"model\": \"6ce0161689\", "
               "\"lora:foo\": \"0123456789\"}, Version: v1.7.0",
               2);
    check_seed("a cat Negative prompt: blurry Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5",
               5);
    check_seed("p\nSteps: 1, Seed: 1, Seed: 2", 2);
    check_seed("p\nSteps: 1, Sampler: X, Seed: \"77\"", 77);
    check_seed("p\nSteps: 1, Seed: 7, Seed: ", 7);
    check_seed("\xe7\x8c\xab\nSteps: 1, Sampler: \xc3\xa9, Seed: 6", 6);
}

TEST(what_is_no_seed_is_not_one, "A prompt, another key, a broken number: the seed stays unknown.")
{
    check_no_seed("");
    check_no_seed("\n\n");
    check_no_seed("a cat, Seed: 5");
    check_no_seed("p\nSteps: 1, Seed: 2");
    check_no_seed("Steps: 1, Sampler: X, Seed: 2\nthe line above is a prompt");
    check_no_seed("p\nSteps: 1, Sampler: X, Variation seed: 2");
    check_no_seed("p\nSteps: 1, Sampler: X, my Seed: 2");
    check_no_seed("p\nSteps: 1, Sampler: X, Seed: -1");
    check_no_seed("p\nSteps: 1, Sampler: X, Seed: 1e9");
    check_no_seed("p\nSteps: 1, Sampler: X, Seed: 18446744073709551616");
    check_no_seed("p\nSteps: 1, Sampler: X, Seed: 2, Seed: x");
    check_no_seed("p\nSteps: 1, Sampler: X, A: 1, Note: \"Seed: 3\"");
    check_no_seed("{\"prompt\": \"x\", \"steps\": 20, \"seed\": 5}");
}

TEST(pairs_are_those_of_the_pattern, "Keys and values come out as the regular expression has them.")
{
    struct slice line = slice_of_text(
        " Steps: 20, A: 6, TI hashes: \"x: 1, y: 2\", Bad: \"z\"!, Size: 8x8,,Empty: , -k/e y-:v");
    static const char *const expected[][2] = {
        {"Steps", "20"},   {"TI hashes", "\"x: 1, y: 2\""},
        {"Bad", "\"z\"!"}, {"Size", "8x8"},
        {"Empty", ""},     {"k/e y-", "v"},
    };
    struct codec_infotext_pair pair;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        CHECK(codec_infotext_next(&line, &pair));
        CHECK(slice_equal(pair.key, slice_of_text(expected[i][0])));
        CHECK(slice_equal(pair.value, slice_of_text(expected[i][1])));
    }
    CHECK(!codec_infotext_next(&line, &pair));
    CHECK(!codec_infotext_next(&line, &pair));
}

/* Seconds that the seed of `pattern`, repeated up to 4 MiB, takes. */
static double hostile_seconds(const char *pattern)
{
    size_t length = (size_t)4 << 20;
    char *text = malloc(length);
    CHECK(text != NULL);
    for (size_t i = 0; i < length; i++)
        text[i] = pattern[i % strlen(pattern)];
    struct timespec begin;
    struct timespec end;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    uint64_t seed;
    codec_infotext_seed(slice_of(text, length), &seed);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    free(text);
    return (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
}

TEST(hostile_text_takes_linear_time,
     "Four MiB of what makes a regular expression crawl take no second.")
{
    static const char *const patterns[] = {
        "a",    "a ",   " ",  "aa:\"",     "aa:\"\\", "aa: \"b", "aa:\"\\\",", "aa:\"\\\\\"x",
        "\"\\", "aa::", "\n", "aa:\" \\ ", "aa:,"};
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
        CHECK(hostile_seconds(patterns[i]) < (harness_sanitized() ? 5.0 : 1.0));
}
