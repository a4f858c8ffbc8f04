/* The table of rate limits in one process. */
#include "table_fixture.h"

#include <pthread.h>

TEST(a_limit_is_kept_and_explained,
     "Charges are admitted up to the amount, and the answer says what is left and until when.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    struct charge charge;
    struct table_answer answer;
    charge_init(&charge, "3/minute", 42);
    for (uint64_t left = 3; left-- > 0;) {
        CHECK_OK(charge_once(table, &charge, &answer));
        CHECK_UINT(answer.verdict, ==, TABLE_ADMITTED);
        CHECK_UINT(answer.remaining, ==, left);
        CHECK_UINT(answer.reset_ns, ==, (58 + left) * NS_PER_S);
        CHECK_UINT(answer.retry_after_ns, ==, 0);
        fixture_advance_ms(1000);
    }
    CHECK_STATUS(charge_once(table, &charge, &answer), JINI_E_LIMITED);
    CHECK_UINT(answer.verdict, ==, TABLE_REFUSED);
    CHECK_UINT(answer.remaining, ==, 0);
    CHECK_UINT(answer.retry_after_ns, ==, 57 * NS_PER_S);
    CHECK_UINT(answer.receipt.tag, ==, 0);
    charge.item.cost = 4;
    CHECK_STATUS(charge_once(table, &charge, &answer), JINI_E_LIMITED);
    CHECK_UINT(answer.retry_after_ns, ==, ALGORITHM_NEVER);
    charge.item.cost = 2;
    fixture_advance_ms(57000);
    CHECK_UINT(charge_peek(table, &charge).remaining, ==, 3);
    CHECK_OK(charge_once(table, &charge, &answer));
    CHECK_UINT(charge_peek(table, &charge).remaining, ==, 1);
    CHECK_UINT(charge_peek(table, &charge).reset_ns, ==, 60 * NS_PER_S);
    CHECK_UINT(charge_peek(table, &charge).verdict, ==, TABLE_REFUSED);
    struct table_counters counters;
    CHECK_OK(table_counters(table, &counters));
    CHECK_UINT(counters.admitted, ==, 4);
    CHECK_UINT(counters.refused, ==, 2);
    CHECK_UINT(counters.taken, ==, 1);
    table_close(table);
}

TEST(a_cost_above_the_limit_takes_no_slot, "What can never be admitted leaves the table as it is.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    static const char *const texts[] = {"3/minute", "0/minute", "3/minute sliding",
                                        "9/minute gcra burst 3"};
    for (unsigned i = 0; i < 4; i++) {
        struct charge charge;
        struct table_answer answer;
        charge_init(&charge, texts[i], 42);
        charge.item.cost = 4;
        CHECK_STATUS(charge_once(table, &charge, &answer), JINI_E_LIMITED);
        CHECK_UINT(answer.retry_after_ns, ==, ALGORITHM_NEVER);
    }
    struct table_occupancy occupancy;
    CHECK_OK(table_occupancy(table, TABLE_AUTHENTICATED, &occupancy));
    CHECK_UINT(occupancy.live, ==, 0);
    table_close(table);
}

TEST(a_refund_names_its_window,
     "A charge is taken back in its own window, and never in a later one.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    static const char *const texts[] = {"2/minute", "2/minute sliding", "2/minute gcra burst 2"};
    for (unsigned i = 0; i < 3; i++) {
        struct charge charge;
        struct table_answer first;
        struct table_answer second;
        charge_init(&charge, texts[i], 7);
        CHECK_OK(charge_once(table, &charge, &first));
        CHECK_OK(charge_once(table, &charge, &second));
        CHECK_OK(table_refund(table, &second.receipt));
        CHECK_UINT(charge_peek(table, &charge).remaining, ==, 1);
        CHECK_OK(charge_once(table, &charge, &second));
        fixture_advance_ms(130000);
        CHECK_STATUS(table_refund(table, &second.receipt), JINI_E_NOT_FOUND);
        CHECK_OK(charge_once(table, &charge, &second));
        CHECK_STATUS(table_refund(table, &first.receipt), JINI_E_NOT_FOUND);
        CHECK_UINT(charge_peek(table, &charge).remaining, ==, 1);
        struct table_receipt empty = {0};
        CHECK_STATUS(table_refund(table, &empty), JINI_E_NOT_FOUND);
        struct table_receipt wrong = second.receipt;
        wrong.bucket = UINT32_MAX;
        CHECK_STATUS(table_refund(table, &wrong), JINI_E_NOT_FOUND);
        wrong = second.receipt;
        wrong.slot = TABLE_BUCKET_SLOTS;
        CHECK_STATUS(table_refund(table, &wrong), JINI_E_NOT_FOUND);
        wrong = second.receipt;
        wrong.region = TABLE_REGIONS;
        CHECK_STATUS(table_refund(table, &wrong), JINI_E_NOT_FOUND);
        wrong = second.receipt;
        wrong.generation++;
        CHECK_STATUS(table_refund(table, &wrong), JINI_E_NOT_FOUND);
        CHECK_UINT(charge_peek(table, &charge).remaining, ==, 1);
    }
    table_close(table);
}

TEST(a_reset_forgets_a_subject,
     "After a reset all of the amount is there, and old receipts give nothing back.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    static const char *const texts[] = {"2/minute", "2/minute sliding", "2/minute gcra burst 2"};
    for (unsigned i = 0; i < 3; i++) {
        struct charge charge;
        struct table_answer before[2];
        struct table_answer after;
        charge_init(&charge, texts[i], 7);
        CHECK_STATUS(table_reset(table, &charge.subject), JINI_E_NOT_FOUND);
        CHECK_OK(charge_once(table, &charge, &before[0]));
        CHECK_OK(charge_once(table, &charge, &before[1]));
        CHECK_OK(table_reset(table, &charge.subject));
        CHECK_UINT(charge_peek(table, &charge).remaining, ==, 2);
        CHECK_OK(charge_once(table, &charge, &after));
        CHECK_STATUS(table_refund(table, &before[0].receipt), JINI_E_NOT_FOUND);
        CHECK_STATUS(table_refund(table, &before[1].receipt), JINI_E_NOT_FOUND);
        CHECK_OK(charge_once(table, &charge, &after));
        CHECK_STATUS(charge_once(table, &charge, &after), JINI_E_LIMITED);
    }
    table_close(table);
}

TEST(what_makes_a_subject, "Kind, value, region, scope, period, algorithm and ordinal set counters "
                           "apart; the amount does not.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    struct charge base;
    struct table_answer answer;
    charge_init(&base, "5/minute", 42);
    for (int i = 0; i < 3; i++)
        CHECK_OK(charge_once(table, &base, &answer));
    struct charge other;
    static const char *const texts[] = {"5/2 minutes", "5/minute sliding", "5/minute gcra burst 5"};
    for (unsigned i = 0; i < 3; i++) {
        charge_init(&other, texts[i], 42);
        CHECK_UINT(charge_peek(table, &other).remaining, ==, 5);
    }
    charge_init(&other, "5/minute", 43);
    CHECK_UINT(charge_peek(table, &other).remaining, ==, 5);
    CHECK_OK(table_subject_user(&other.subject, 42, 1, &other.limit));
    CHECK_UINT(charge_peek(table, &other).remaining, ==, 5);
    other.limit.ordinal = 1;
    CHECK_OK(table_subject_user(&other.subject, 42, 0, &other.limit));
    CHECK_UINT(charge_peek(table, &other).remaining, ==, 5);
    other.limit.ordinal = 0;
    uint8_t value[8] = {42};
    for (enum table_kind kind = TABLE_API_KEY; kind <= TABLE_GLOBAL; kind++) {
        CHECK_OK(table_subject_init(&other.subject, TABLE_AUTHENTICATED, kind, slice_of(value, 8),
                                    0, &other.limit));
        CHECK_UINT(charge_peek(table, &other).remaining, ==, 5);
    }
    CHECK_OK(table_subject_init(&other.subject, TABLE_ANONYMOUS, TABLE_USER, slice_of(value, 8), 0,
                                &other.limit));
    CHECK_UINT(charge_peek(table, &other).remaining, ==, 5);
    charge_init(&other, "60/minute", 42); /* a better tier */
    CHECK_UINT(charge_peek(table, &other).remaining, ==, 57);
    charge_init(&other, "2/60 seconds", 42); /* a worse one */
    CHECK_UINT(charge_peek(table, &other).remaining, ==, 0);
    CHECK_STATUS(charge_once(table, &other, &answer), JINI_E_LIMITED);
    table_close(table);
}

static uint64_t peek_address(struct table *table, struct charge *charge, const void *bytes,
                             size_t length)
{
    CHECK_OK(table_subject_address(&charge->subject, slice_of(bytes, length), 0, &charge->limit));
    return charge_peek(table, charge).remaining;
}

TEST(addresses_count_by_customer,
     "IPv6 addresses of one /64 are one subject, and IPv4 in IPv6 form is IPv4.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    struct charge charge;
    struct table_answer answer;
    charge_init(&charge, "5/minute", 0);
    uint8_t six[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8};
    uint8_t four[4] = {192, 0, 2, 1};
    uint8_t mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 0, 2, 1};
    CHECK_UINT(peek_address(table, &charge, six, 16), ==, 5);
    CHECK_OK(charge_once(table, &charge, &answer));
    six[15] = 99;
    CHECK_UINT(peek_address(table, &charge, six, 16), ==, 4);
    six[7] = 8;
    CHECK_UINT(peek_address(table, &charge, six, 16), ==, 5);
    CHECK_UINT(peek_address(table, &charge, four, 4), ==, 5);
    CHECK_OK(charge_once(table, &charge, &answer));
    CHECK_UINT(peek_address(table, &charge, mapped, 16), ==, 4);
    CHECK_STATUS(table_subject_address(&charge.subject, slice_of(six, 8), 0, &charge.limit),
                 JINI_E_INVALID);
    table_close(table);
}

TEST(a_full_region_answers_by_its_policy, "When every slot counts somebody, newcomers are refused "
                                          "or pass uncounted, and the others stay.")
{
    fixture_set_up();
    struct table_options options = fixture_options(0);
    options.regions[TABLE_ANONYMOUS] = (struct table_region_options){31, TABLE_FAIL_OPEN};
    options.regions[TABLE_AUTHENTICATED] = (struct table_region_options){31, TABLE_FAIL_CLOSED};
    struct table *table = fixture_open_with(&options);
    struct charge charge;
    struct table_answer answer;
    for (uint64_t user = 0; user < 31; user++) {
        charge_init(&charge, "5/minute", user);
        CHECK_OK(charge_once(table, &charge, &answer));
        fixture_advance_ms(100);
    }
    charge_init(&charge, "5/minute", 31);
    CHECK_STATUS(charge_once(table, &charge, &answer), JINI_E_BUSY);
    CHECK_UINT(answer.verdict, ==, TABLE_FULL);
    CHECK_UINT(answer.retry_after_ns, ==, 60 * NS_PER_S - 3100 * NS_PER_MS);
    /* Whoever is counted is not touched by it. */
    charge_init(&charge, "5/minute", 7);
    CHECK_OK(charge_once(table, &charge, &answer));
    CHECK_UINT(answer.remaining, ==, 3);
    struct table_occupancy occupancy;
    CHECK_OK(table_occupancy(table, TABLE_AUTHENTICATED, &occupancy));
    CHECK_UINT(occupancy.live, ==, 31);
    CHECK_UINT(occupancy.slots, ==, 31);
    /* The other region has its own slots, and its own answer. */
    for (uint32_t address = 0; address < 40; address++) {
        uint8_t bytes[4];
        store_le32(bytes, address);
        CHECK_OK(table_subject_address(&charge.subject, slice_of(bytes, 4), 0, &charge.limit));
        CHECK_OK(charge_once(table, &charge, &answer));
        CHECK_UINT(answer.verdict, ==, address < 31 ? TABLE_ADMITTED : TABLE_UNCOUNTED);
    }
    CHECK_UINT(answer.receipt.tag, ==, 0);
    /* As all-or-none, a full region takes back what came before it. */
    struct charge two[2];
    charge_init(&two[0], "5/minute", 7);
    charge_init(&two[1], "5/minute", 32);
    struct table_item items[2] = {two[0].item, two[1].item};
    struct table_answer answers[2];
    CHECK_STATUS(table_charge(table, items, 2, TABLE_ALL_OR_NONE, fixture_clock_ns(NULL), answers),
                 JINI_E_BUSY);
    CHECK_UINT(answers[0].verdict, ==, TABLE_TAKEN_BACK);
    CHECK_UINT(charge_peek(table, &two[0]).remaining, ==, 3);
    /* And what stands behind is looked at. */
    struct table_item turned[2] = {items[1], items[0]};
    CHECK_STATUS(table_charge(table, turned, 2, TABLE_ALL_OR_NONE, fixture_clock_ns(NULL), answers),
                 JINI_E_BUSY);
    CHECK_UINT(answers[0].verdict, ==, TABLE_FULL);
    CHECK_UINT(answers[1].verdict, ==, TABLE_UNTRIED);
    CHECK_UINT(answers[1].remaining, ==, 3);
    /* Shadow limits pass. */
    items[1].shadow = true;
    CHECK_OK(table_charge(table, items, 2, TABLE_ALL_OR_NONE, fixture_clock_ns(NULL), answers));
    CHECK_UINT(answers[1].verdict, ==, TABLE_UNCOUNTED);
    /* And when the first has expired, there is room for one. */
    fixture_advance_ms(60000 - 3100);
    charge_init(&charge, "5/minute", 33);
    CHECK_OK(charge_once(table, &charge, &answer));
    charge_init(&charge, "5/minute", 34);
    CHECK_STATUS(charge_once(table, &charge, &answer), JINI_E_BUSY);
    struct table_counters counters;
    CHECK_OK(table_counters(table, &counters));
    CHECK_UINT(counters.full, ==, 4);
    CHECK_UINT(counters.uncounted, ==, 10);
    CHECK_UINT(counters.busy, ==, 0);
    table_close(table);
}

TEST(slots_follow_their_subjects,
     "Many more subjects than slots come and go, each with its own count, at any time.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    enum { USERS = 2000 };
    static struct charge charges[USERS];
    static uint64_t windows[USERS];
    static uint64_t used[USERS];
    for (uint64_t user = 0; user < USERS; user++)
        charge_init(&charges[user], user % 2 ? "3/2 seconds" : "3/5 seconds", user);
    uint64_t full = 0;
    for (unsigned i = 0; i < 200000 * harness_scale(); i++) {
        /* A part of the users at a time, so that most find room. */
        uint64_t now = fixture_clock_ns(NULL);
        uint64_t user = (now / NS_PER_S * 7 + harness_random_below(40)) % USERS;
        struct table_answer answer;
        int status = charge_once(table, &charges[user], &answer);
        if (now >= windows[user]) {
            used[user] = 0;
            windows[user] = now + charges[user].algorithm.period_ns;
        }
        if (status == JINI_E_BUSY) {
            full++;
            windows[user] = 0;
        } else {
            CHECK_INT(status, ==, used[user] < 3 ? 0 : JINI_E_LIMITED);
            used[user] += status == 0;
            CHECK_UINT(answer.remaining, ==, 3 - used[user]);
            CHECK_UINT(answer.reset_ns, ==, windows[user] - now);
        }
        fixture_advance_ms(harness_random_below(20));
    }
    CHECK_UINT(full, <, 2000);
    struct table_counters counters;
    CHECK_OK(table_counters(table, &counters));
    CHECK_UINT(counters.taken, >, 10000);
    CHECK_UINT(counters.corrupt, ==, 0);
    table_close(table);
}

TEST(the_top_list_ranks_by_share, "Those who used the largest share come first, with their names.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    struct charge charge;
    struct table_answer answer;
    for (uint64_t user = 1; user <= 60; user++) {
        static const char *const texts[] = {"60/minute", "61/minute sliding",
                                            "1/second gcra burst 60"};
        charge_init(&charge, texts[user % 3], user);
        charge.item.cost = user;
        CHECK_OK(charge_once(table, &charge, &answer));
    }
    struct table_entry entries[10];
    size_t count;
    CHECK_OK(table_top(table, TABLE_AUTHENTICATED, entries, 10, &count));
    CHECK_UINT(count, ==, 10);
    for (uint64_t i = 0; i < count; i++) {
        char text[TABLE_SUBJECT_TEXT_MAX];
        char expected[32];
        snprintf(expected, sizeof(expected), "user %d", 60 - (int)i);
        CHECK_UINT(table_subject_text(&entries[i].subject, text), ==, strlen(text));
        CHECK_TEXT(text, expected);
        CHECK_UINT(entries[i].used, ==, 60 - i);
        CHECK_UINT(entries[i].algorithm, ==, (60 - i) % 3);
        CHECK_UINT(entries[i].reset_ns, >, 0);
    }
    CHECK_OK(table_top(table, TABLE_AUTHENTICATED, entries, 0, &count));
    CHECK_UINT(count, ==, 0);
    CHECK_OK(table_top(table, TABLE_ANONYMOUS, entries, 10, &count));
    CHECK_UINT(count, ==, 0);
    CHECK_STATUS(table_top(table, TABLE_REGIONS, entries, 10, &count), JINI_E_INVALID);
    CHECK_STATUS(table_top(table, TABLE_ANONYMOUS, entries, TABLE_TOP_MAX + 1, &count),
                 JINI_E_INVALID);
    fixture_advance_ms(200000);
    CHECK_OK(table_top(table, TABLE_AUTHENTICATED, entries, 10, &count));
    CHECK_UINT(count, ==, 0);
    table_close(table);
}

static void check_text(enum table_kind kind, const void *value, size_t length, const char *expected)
{
    struct slot_description description = {.kind = (uint8_t)kind,
                                           .value_length = (uint8_t)(length < 31 ? length : 31)};
    char text[TABLE_SUBJECT_TEXT_MAX];
    memcpy(description.value, value, length < SLOT_VALUE_MAX ? length : SLOT_VALUE_MAX);
    table_subject_text(&description, text);
    CHECK_TEXT(text, expected);
}

TEST(subjects_have_names, "Every kind of subject prints, and odd bytes do no harm.")
{
    check_text(TABLE_USER, "\x2a\0\0\0\0\0\0\0", 8, "user 42");
    check_text(TABLE_IPV4, "\xc0\x00\x02\x01", 4, "ip 192.0.2.1");
    check_text(TABLE_IPV6, "\x20\x01\x0d\xb8\0\0\0\7", 8, "ip 2001:db8:0:7::/64");
    check_text(TABLE_API_KEY, "\x01\x02\xff", 3, "key 0102ff");
    check_text(TABLE_MODEL, "CompVis/stable-diffusion-v1-4", 29, "model CompVis/stable-d...");
    check_text(TABLE_TIER, "Free", 4, "tier Free");
    check_text(TABLE_TIER, "a b\n\xff", 5, "tier a?b??");
    check_text(TABLE_GLOBAL, "", 0, "global");
    check_text((enum table_kind)15, "x", 1, "unknown x");
    for (int i = 0; i < 100000; i++) {
        uint64_t words[SLOT_DETAIL_WORDS];
        char text[TABLE_SUBJECT_TEXT_MAX];
        for (unsigned w = 0; w < SLOT_DETAIL_WORDS; w++)
            words[w] = harness_random();
        struct slot_description description = slot_described(words);
        CHECK_UINT(table_subject_text(&description, text), <, TABLE_SUBJECT_TEXT_MAX);
        uint64_t again[SLOT_DETAIL_WORDS];
        slot_describe(&description, again);
        CHECK_BYTES(words, again, sizeof(words));
    }
}

TEST(wrong_arguments_charge_nothing,
     "A cost of 0, another limit than the subject's, or no items are refused.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    struct charge charges[2];
    struct table_answer answers[2];
    charge_init(&charges[0], "5/minute", 1);
    charge_init(&charges[1], "5/minute sliding", 1);
    struct table_item items[2] = {charges[0].item, charges[1].item};
    CHECK_STATUS(table_charge(table, items, 0, TABLE_ALL_OR_NONE, 0, answers), JINI_E_INVALID);
    CHECK_STATUS(table_charge(table, items, TABLE_ITEMS_MAX + 1, TABLE_ALL_OR_NONE, 0, answers),
                 JINI_E_INVALID);
    items[1].cost = 0;
    CHECK_STATUS(table_charge(table, items, 2, TABLE_ALL_OR_NONE, 0, answers), JINI_E_INVALID);
    items[1] = charges[1].item;
    items[1].limit = charges[0].item.limit;
    CHECK_STATUS(table_charge(table, items, 2, TABLE_ALL_OR_NONE, 0, answers), JINI_E_INVALID);
    CHECK_STATUS(table_peek(table, &items[1], 0, answers), JINI_E_INVALID);
    CHECK_UINT(charge_peek(table, &charges[0]).remaining, ==, 5);
    struct limit_list day;
    CHECK_OK(limit_parse(slice_of_text("5/day"), &day, NULL));
    CHECK_STATUS(table_subject_user(&charges[0].subject, 1, 0, &day.limits[0]), JINI_E_INVALID);
    uint8_t value[TABLE_VALUE_MAX + 1] = {0};
    CHECK_STATUS(table_subject_init(&charges[0].subject, TABLE_ANONYMOUS, TABLE_MODEL,
                                    slice_of(value, sizeof(value)), 0, &charges[1].limit),
                 JINI_E_INVALID);
    CHECK_OK(table_subject_init(&charges[0].subject, TABLE_ANONYMOUS, TABLE_MODEL,
                                slice_of(value, sizeof(value) - 1), 0, &charges[1].limit));
    table_close(table);
    table_close(NULL);
}

TEST(options_are_checked, "Options outside of their ranges are refused by name.")
{
    fixture_set_up();
    struct table_options right = fixture_options(0);
    struct table_options wrong;
    struct table *table;
    struct jini_error error;
    wrong = right;
    wrong.directory = NULL;
    CHECK_STATUS(table_open(&wrong, &table, &error), JINI_E_INVALID);
    CHECK(table == NULL);
    wrong = right;
    wrong.holder_incarnation = 0;
    CHECK_STATUS(table_open(&wrong, &table, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "holder_incarnation");
    wrong = right;
    wrong.wait_ms = 1001;
    CHECK_STATUS(table_open(&wrong, &table, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "wait_ms");
    wrong = right;
    wrong.regions[1].slots = TABLE_SLOTS_MIN - 1;
    CHECK_STATUS(table_open(&wrong, &table, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "slots");
    wrong.regions[1].slots = TABLE_SLOTS_MAX + 1;
    CHECK_STATUS(table_open(&wrong, &table, &error), JINI_E_INVALID);
    wrong = right;
    wrong.regions[1].when_full = (enum table_policy)2;
    CHECK_STATUS(table_open(&wrong, &table, &error), JINI_E_INVALID);
    wrong = right;
    wrong.directory = "missing";
    CHECK_STATUS(table_open(&wrong, &table, &error), JINI_E_NOT_FOUND);
}

/* Children and threads. */

TEST(a_forked_child_is_refused,
     "A table that was opened before a fork answers nothing else in the child.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    struct charge charge;
    struct table_answer answer;
    charge_init(&charge, "5/minute", 1);
    CHECK_OK(charge_once(table, &charge, &answer));
    pid_t pid = fork();
    if (pid == 0) {
        struct table_counters counters;
        struct table_occupancy occupancy;
        struct table_entry entry;
        size_t count;
        CHECK_STATUS(charge_once(table, &charge, &answer), JINI_E_FORKED);
        CHECK_STATUS(table_peek(table, &charge.item, 0, &answer), JINI_E_FORKED);
        CHECK_STATUS(table_refund(table, &answer.receipt), JINI_E_FORKED);
        CHECK_STATUS(table_reset(table, &charge.subject), JINI_E_FORKED);
        CHECK_STATUS(table_check(table, NULL), JINI_E_FORKED);
        CHECK_STATUS(table_counters(table, &counters), JINI_E_FORKED);
        CHECK_STATUS(table_occupancy(table, TABLE_ANONYMOUS, &occupancy), JINI_E_FORKED);
        CHECK_STATUS(table_top(table, TABLE_ANONYMOUS, &entry, 1, &count), JINI_E_FORKED);
        table_prefetch(table, &charge.subject);
        table_close(table);
        struct table_options options = fixture_options(1);
        table = fixture_open_with(&options);
        CHECK_OK(charge_once(table, &charge, &answer));
        CHECK_UINT(answer.remaining, ==, 3);
        _exit(0);
    }
    harness_wait_exit(pid, 0);
    CHECK_UINT(charge_peek(table, &charge).remaining, ==, 3);
    table_close(table);
}

struct thread_work {
    struct table *table;
    uint64_t seed;
    uint64_t admitted[16];
};

static void *charge_in_thread(void *argument)
{
    struct thread_work *work = argument;
    static const char *const texts[] = {"500/59 minutes", "500/59 minutes sliding"};
    struct charge charges[16];
    for (uint64_t user = 0; user < 16; user++)
        charge_init(&charges[user], texts[user % 2], user);
    uint64_t random = work->seed;
    for (int i = 0; i < 30000; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t user = random >> 33 & 15;
        struct table_answer answer;
        int status = charge_once(work->table, &charges[user], &answer);
        CHECK(status == 0 || status == JINI_E_LIMITED);
        if (status == 0 && (random >> 40) % 5 == 0) {
            CHECK_OK(table_refund(work->table, &answer.receipt));
            continue;
        }
        work->admitted[user] += status == 0;
        if (i % 1024 == 0)
            table_top(work->table, TABLE_AUTHENTICATED, (struct table_entry[4]){{{0}, 0, 0, 0, 0}},
                      4, &(size_t){0});
    }
    return NULL;
}

TEST(threads_share_a_table,
     "Threads that charge and refund the same users never exceed a limit by one unit.")
{
    fixture_set_up();
    struct table_options options = fixture_options(0);
    options.regions[TABLE_AUTHENTICATED].slots = 31;
    struct table *table = fixture_open_with(&options);
    struct thread_work work[4];
    pthread_t threads[4];
    for (unsigned t = 0; t < 4; t++) {
        work[t] = (struct thread_work){.table = table, .seed = harness_random()};
        CHECK_INT(pthread_create(&threads[t], NULL, charge_in_thread, &work[t]), ==, 0);
    }
    for (unsigned t = 0; t < 4; t++)
        pthread_join(threads[t], NULL);
    for (uint64_t user = 0; user < 16; user++) {
        uint64_t admitted = 0;
        for (unsigned t = 0; t < 4; t++)
            admitted += work[t].admitted[user];
        CHECK_UINT(admitted, ==, 500);
    }
    table_close(table);
}

/* Memory that somebody else wrote. */

TEST(garbage_in_the_table_does_no_harm,
     "Random words in slots, claims and details end in answers, never in a crash or a loop.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    struct table_view *view = atomic_load(&table->view);
    enum { USERS = 60 };
    struct charge charges[USERS];
    static const char *const texts[] = {"5/minute", "5/minute sliding", "5/minute gcra burst 3"};
    for (uint64_t user = 0; user < USERS; user++)
        charge_init(&charges[user], texts[user % 3], user);
    struct table_receipt receipt = {0};
    for (unsigned i = 0; i < 60000; i++) {
        struct table_view_region *region = &view->regions[TABLE_AUTHENTICATED];
        uint64_t bucket = harness_random_below(region->bucket_count);
        uint64_t slot = harness_random_below(TABLE_BUCKET_SLOTS);
        uint64_t word = harness_random() >> harness_random_below(64);
        switch (harness_random_below(5)) {
        case 0:
            atomic_store(&region->buckets[bucket].slots[slot].state, word);
            break;
        case 1:
            atomic_store(&region->buckets[bucket].slots[slot].state, harness_random_below(3));
            break;
        case 2:
            atomic_store(&region->details[bucket * TABLE_BUCKET_SLOTS + slot].floor_ns, word);
            break;
        case 3:
            atomic_store(&region->details[bucket * TABLE_BUCKET_SLOTS + slot]
                              .words[harness_random_below(SLOT_DETAIL_WORDS)],
                         word);
            break;
        default:
            if (i % 200 == 0) /* each costs somebody a wait */
                atomic_store(&region->buckets[bucket].claim, word);
        }
        struct charge *charge = &charges[harness_random_below(USERS)];
        struct table_answer answer;
        int status = charge_once(table, charge, &answer);
        CHECK(status == 0 || status == JINI_E_LIMITED || status == JINI_E_BUSY);
        if (status == 0)
            receipt = answer.receipt;
        if (i % 3 == 0)
            table_refund(table, &receipt);
        if (i % 7 == 0)
            table_reset(table, &charge->subject);
        charge_peek(table, charge);
        if (i % 1000 == 0) {
            struct table_entry entries[5];
            size_t count;
            CHECK_OK(table_top(table, TABLE_AUTHENTICATED, entries, 5, &count));
            fixture_advance_ms(5000);
        }
    }
    struct table_counters counters;
    CHECK_OK(table_counters(table, &counters));
    CHECK_UINT(counters.corrupt, >, 100);
    CHECK_UINT(counters.broken, >, 10);
    /* And all of it is over when the windows are. */
    fixture_advance_ms(3700000);
    for (uint64_t user = 0; user < USERS; user++) {
        struct table_answer answer;
        for (unsigned i = 0; i < 3; i++)
            CHECK_OK(charge_once(table, &charges[user], &answer));
        CHECK_UINT(answer.remaining, ==, charges[user].algorithm.kind == LIMIT_GCRA ? 0 : 2);
    }
    table_close(table);
}

TEST(a_corrupt_word_is_counted_and_renewed,
     "A word that no charge can have written is taken as expired, once.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    struct charge charge;
    struct table_answer answer;
    charge_init(&charge, "2/minute", 1);
    CHECK_OK(charge_once(table, &charge, &answer));
    struct table_view *view = atomic_load(&table->view);
    struct slot *slot = &table_bucket_of(view, &charge.subject)->slots[answer.receipt.slot];
    atomic_store(&slot->state, UINT64_MAX);
    CHECK_UINT(charge_peek(table, &charge).remaining, ==, 2);
    CHECK_OK(charge_once(table, &charge, &answer));
    CHECK_OK(charge_once(table, &charge, &answer));
    CHECK_STATUS(charge_once(table, &charge, &answer), JINI_E_LIMITED);
    struct table_counters counters;
    CHECK_OK(table_counters(table, &counters));
    CHECK_UINT(counters.corrupt, ==, 1);
    table_close(table);
}

TEST(an_old_reading_of_the_clock_is_mended,
     "A caller that read the clock long ago does not take a good word for a corrupt one.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    struct charge charge;
    struct table_answer answer;
    charge_init(&charge, "2/minute", 1);
    uint64_t old_ns = fixture_clock_ns(NULL);
    fixture_advance_ms(100000);
    CHECK_OK(charge_once(table, &charge, &answer));
    CHECK_OK(charge_once(table, &charge, &answer));
    CHECK_STATUS(table_charge(table, &charge.item, 1, TABLE_ALL_OR_NONE, old_ns, &answer),
                 JINI_E_LIMITED);
    CHECK_UINT(answer.retry_after_ns, ==, 60 * NS_PER_S); /* by the clock that decided */
    CHECK_OK(table_peek(table, &charge.item, old_ns, &answer));
    CHECK_UINT(answer.remaining, ==, 0);
    CHECK_UINT(answer.reset_ns, ==, 60 * NS_PER_S);
    struct table_counters counters;
    CHECK_OK(table_counters(table, &counters));
    CHECK_UINT(counters.corrupt, ==, 0);
    table_close(table);
}

TEST(a_home_line_holds_most_subjects,
     "At the documented load, few subjects find no slot: less than one in 10,000.")
{
    fixture_set_up();
    struct table_options options = fixture_options(0);
    options.regions[TABLE_AUTHENTICATED].slots = 310000;
    struct table *table = fixture_open_with(&options);
    uint64_t full = 0;
    uint64_t users = 310000 / 2;
    struct charge charge;
    charge_init(&charge, "5/minute", 0);
    for (uint64_t user = 0; user < users; user++) {
        struct table_answer answer;
        CHECK_OK(table_subject_user(&charge.subject, user, 0, &charge.limit));
        full += charge_once(table, &charge, &answer) == JINI_E_BUSY;
    }
    CHECK_UINT(full * 10000, <, users);
    struct table_occupancy occupancy;
    CHECK_OK(table_occupancy(table, TABLE_AUTHENTICATED, &occupancy));
    CHECK_UINT(occupancy.examined, <, occupancy.slots);
    CHECK_UINT(occupancy.live, >, users * 98 / 100);
    CHECK_UINT(occupancy.live, <, users * 102 / 100);
    table_close(table);
}
