/* Subjects: who is counted, and what is no subject. */
#include "plant.h"

#include "accounts/keys.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

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

static const struct jini_limit_usage *usage_of(const struct jini_limit_usage *all, size_t count,
                                               uint32_t kind, uint64_t number)
{
    for (size_t i = 0; i < count; i++) {
        if (all[i].subject.kind == kind && all[i].subject.number == number)
            return &all[i];
    }
    return NULL;
}

TEST(each_kind_of_subject_counts_apart,
     "One number as user, API key, tier, model and global, and another number, have a count each "
     "under one text, and the top list names them as they were checked.")
{
    static const uint32_t kinds[] = {JINI_SUBJECT_USER, JINI_SUBJECT_API_KEY, JINI_SUBJECT_TIER,
                                     JINI_SUBJECT_MODEL, JINI_SUBJECT_GLOBAL};
    enum { KINDS = sizeof(kinds) / sizeof(kinds[0]), AMOUNT = KINDS + 1 };
    struct jini *jini = fixture_open();
    struct jini_limit_answer answer;
    struct jini_limit_usage usage[64];
    struct jini_error error;
    size_t count;
    for (uint32_t i = 0; i < KINDS * 2; i++) {
        struct jini_limit_check check = {.subject = {.kind = kinds[i / 2], .number = 7 + i % 2},
                                         .limits = "6/minute",
                                         .cost = 1};
        for (uint32_t used = 1; used <= i / 2 + 1; used++) {
            CHECK_OK(jini_limit_check(jini, &check, &answer, &error));
            CHECK_UINT(answer.entries[0].remaining, ==, AMOUNT - used);
        }
        check.scope = "elsewhere";
        CHECK_OK(jini_limit_check(jini, &check, &answer, &error));
        CHECK_UINT(answer.entries[0].remaining, ==, AMOUNT - 1);
        CHECK_OK(jini_limit_refund(jini, &answer, &error));
    }
    CHECK_OK(jini_limit_top(jini, usage, 64, &count, &error));
    for (uint32_t i = 0; i < KINDS * 2; i++) {
        const struct jini_limit_usage *found = usage_of(usage, count, kinds[i / 2], 7 + i % 2);
        CHECK(found != NULL);
        CHECK_UINT(found->used, ==, i / 2 + 1);
        CHECK_UINT(found->amount, ==, AMOUNT);
    }
    struct jini_limit_check last = {
        .subject = {.kind = JINI_SUBJECT_GLOBAL, .number = 7}, .limits = "6/minute", .cost = 2};
    CHECK_STATUS(jini_limit_check(jini, &last, &answer, &error), JINI_E_LIMITED);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(the_top_list_ends_at_its_bound,
     "However many are counted and asked for, the list holds the JINI_LIMIT_TOP_MAX that have used "
     "most, of users and addresses together.")
{
    enum { EACH = JINI_LIMIT_TOP_MAX, ALL = 2 * EACH };
    static struct jini_limit_usage usage[ALL];
    struct jini *jini = fixture_open();
    struct jini_error error;
    size_t count;
    for (uint32_t i = 0; i < ALL; i++) {
        struct jini_limit_answer answer;
        struct jini_limit_check check = {.subject = {.kind = JINI_SUBJECT_MODEL, .number = i},
                                         .limits = "1000/minute"};
        if (i % 2)
            check.subject = (struct jini_subject){
                .kind = JINI_SUBJECT_ADDRESS, .address = {[10] = 0xff, 0xff, 10, 0, 0, (uint8_t)i}};
        check.cost = 1 + i;
        CHECK_OK(jini_limit_check(jini, &check, &answer, &error));
    }
    CHECK_OK(jini_limit_top(jini, usage, ALL, &count, &error));
    CHECK_UINT(count, ==, JINI_LIMIT_TOP_MAX);
    for (uint32_t i = 0; i < count; i++)
        CHECK_UINT(usage[i].used, ==, ALL - i);
    CHECK_OK(jini_limit_top(jini, usage, 7, &count, &error));
    CHECK_UINT(count, ==, 7);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static uint64_t remaining_of(struct jini *jini, const struct jini_limit_check *check)
{
    struct jini_limit_check peek = *check;
    struct jini_limit_answer answer;
    struct jini_error error;
    peek.flags = JINI_CHECK_PEEK;
    peek.cost = 1;
    CHECK_OK(jini_limit_check(jini, &peek, &answer, &error));
    return answer.entries[0].remaining;
}

static int reset(struct jini *jini, const struct jini_limit_check *counted,
                 struct jini_error *error)
{
    struct jini_limit_reset reset;
    jini_request_init(&reset);
    reset.subject = counted->subject;
    reset.limits = counted->limits;
    reset.scope = counted->scope;
    int status = jini_limit_reset(jini, &reset, NULL);
    *error = reset.request.error;
    return status;
}

TEST(whatever_can_be_checked_can_be_reset,
     "A reset forgets what checks with its subject, text and scope have counted, for each kind of "
     "subject, and nothing that was counted otherwise.")
{
    static const char *const scopes[] = {NULL, "api/login", "api/generate"};
    enum { SCOPES = sizeof(scopes) / sizeof(scopes[0]), OWN = SCOPES, COUNTS };
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    for (uint32_t kind = JINI_SUBJECT_USER; kind <= JINI_SUBJECT_GLOBAL; kind++) {
        struct jini_limit_check checks[COUNTS];
        struct jini_limit_answer answer;
        struct jini_error error;
        uint32_t count = kind == JINI_SUBJECT_USER || kind == JINI_SUBJECT_ADDRESS ? COUNTS : OWN;
        for (uint32_t i = 0; i < count; i++) {
            checks[i] =
                (struct jini_limit_check){.subject = {.kind = kind, .number = user}, .cost = 3};
            checks[i].limits = i == OWN ? NULL : "9/minute; 5/second gcra burst 5";
            checks[i].scope = i == OWN ? NULL : scopes[i];
            CHECK_OK(jini_limit_check(jini, &checks[i], &answer, &error));
        }
        for (uint32_t i = 0; i < count; i++) {
            uint64_t full = remaining_of(jini, &checks[i]) + 3;
            for (uint32_t other = i + 1; other < count && other < OWN; other++)
                CHECK_UINT(remaining_of(jini, &checks[other]), ==, 6);
            CHECK_OK(reset(jini, &checks[i], &error));
            CHECK_UINT(remaining_of(jini, &checks[i]), ==, full);
        }
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static _Atomic int resets_done;

static void count_reset(struct jini_request *request)
{
    CHECK_OK(request->status);
    atomic_fetch_add(&resets_done, 1);
}

TEST(a_reset_by_text_comes_back_by_its_callback,
     "A reset that has nothing durable to do calls its callback once.")
{
    struct jini *jini = fixture_open();
    struct jini_limit_reset reset;
    jini_request_init(&reset);
    reset.subject.kind = JINI_SUBJECT_GLOBAL;
    reset.limits = "5/minute";
    CHECK_OK(jini_limit_reset(jini, &reset, count_reset));
    CHECK_OK(jini_close(jini, NULL, NULL));
    CHECK_INT(resets_done, ==, 1);
}

TEST(a_reset_takes_what_a_check_takes,
     "What no check would count by, a reset refuses by the same field.")
{
    static const struct {
        struct jini_subject subject;
        const char *limits;
        const char *scope;
        const char *field;
    } wrong[] = {
        {{.kind = JINI_SUBJECT_GLOBAL}, NULL, NULL, "limits"},
        {{.kind = JINI_SUBJECT_MODEL, .number = 1}, "5/day", NULL, "limits"},
        {{.kind = JINI_SUBJECT_MODEL, .number = 1}, "5/minute; 5/fortnight", NULL, "period"},
        {{.kind = JINI_SUBJECT_ADDRESS}, NULL, "api/login", "scope"},
        {{.kind = JINI_SUBJECT_GLOBAL},
         "5/minute",
         "0123456789012345678901234567890123456789012345678901234567890123",
         "scope"},
    };
    struct jini *jini = fixture_open();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct jini_limit_answer answer;
        struct jini_error error;
        struct jini_limit_check check = {.subject = wrong[i].subject,
                                         .limits = wrong[i].limits,
                                         .scope = wrong[i].scope,
                                         .cost = 1};
        CHECK_STATUS(jini_limit_check(jini, &check, &answer, &error), JINI_E_INVALID);
        CHECK_TEXT(error.field, wrong[i].field);
        CHECK_STATUS(reset(jini, &check, &error), JINI_E_INVALID);
        CHECK_TEXT(error.field, wrong[i].field);
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

enum { CHECKERS = 4, DISABLINGS = 5000 };

struct checkers {
    struct jini *jini;
    uint64_t user;
    _Atomic bool stop;
};

static int check_once(struct jini *jini, uint64_t user)
{
    struct jini_error error;
    struct jini_limit_answer answer;
    struct jini_limit_check check = {.subject = {.kind = JINI_SUBJECT_USER, .number = user},
                                     .cost = 1};
    return jini_limit_check(jini, &check, &answer, &error);
}

static void *check_all_the_time(void *argument)
{
    struct checkers *checkers = argument;
    while (!atomic_load(&checkers->stop))
        check_once(checkers->jini, checkers->user);
    return NULL;
}

static void set_active(struct jini *jini, uint64_t user, uint32_t flags)
{
    struct jini_user_set set;
    jini_request_init(&set);
    set.user.id = user;
    set.user.flags = flags;
    set.fields = JINI_USER_FIELD_ACTIVE;
    fixture_must(jini_user_set(jini, &set, NULL), "set", &set.request.error);
}

TEST(a_disabled_user_is_refused_from_then_on,
     "Beside threads that check all the time no check finds the user active after the change was "
     "answered.")
{
    pthread_t threads[CHECKERS];
    struct jini_options options;
    fixture_options(&options);
    options.store_sync = JINI_SYNC_NONE;
    struct checkers checkers = {.jini = fixture_open_with(&options)};
    checkers.user = fixture_user(checkers.jini, "alice", "Premium");
    for (int i = 0; i < CHECKERS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, check_all_the_time, &checkers), ==, 0);
    for (int i = 0; i < DISABLINGS; i++) {
        set_active(checkers.jini, checkers.user, JINI_USER_ACTIVE);
        set_active(checkers.jini, checkers.user, 0);
        CHECK_STATUS(check_once(checkers.jini, checkers.user), JINI_E_INACTIVE);
    }
    atomic_store(&checkers.stop, true);
    for (int i = 0; i < CHECKERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_OK(jini_close(checkers.jini, NULL, NULL));
}

/* A check and a peek of the user are refused by this field, in these words. */
static void check_damaged(struct jini *jini, uint64_t user, const char *field, const char *words)
{
    struct jini_limit_check check = {.subject = {.kind = JINI_SUBJECT_USER, .number = user},
                                     .cost = 1};
    struct jini_limit_answer answer;
    struct jini_error error;
    for (check.flags = 0; check.flags <= JINI_CHECK_PEEK; check.flags += JINI_CHECK_PEEK) {
        CHECK_STATUS(jini_limit_check(jini, &check, &answer, &error), JINI_E_CORRUPT);
        CHECK_UINT(answer.count, ==, 0);
        CHECK_TEXT(error.field, field);
        CHECK_CONTAINS(error.message, words);
    }
}

TEST(what_of_a_user_is_damaged_is_told,
     "A check says whether the user's record or the tier cannot be read, or the tier is not there.")
{
    struct jini *jini = fixture_open();
    uint64_t alice = fixture_user(jini, "alice", "Premium");
    uint64_t bob = fixture_user(jini, "bob", "Premium");
    struct tuple key = plant_key_user(alice, "u");
    plant_row(jini, STORE_SPACE_USERS, &key, "rot", 3);
    check_damaged(jini, alice, "user", "the record of user 1 cannot be read");
    CHECK_OK(keys_tier("Premium", &key));
    plant_row(jini, STORE_SPACE_TIERS, &key, "rot", 3);
    check_damaged(jini, bob, "tier", "the tier \"Premium\" of user 2 cannot be read");
    plant_row(jini, STORE_SPACE_TIERS, &key, NULL, 0);
    check_damaged(jini, bob, "tier", "user 2 has the tier \"Premium\", which is not there");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Where a user is counted ---- */

static void *check_elsewhere(void *context)
{
    struct jini *jini = context;
    struct jini_limit_check check = {.subject = {.kind = JINI_SUBJECT_USER, .number = 1},
                                     .cost = 1};
    struct jini_limit_answer answer;
    struct jini_error error;
    int status = jini_limit_check(jini, &check, &answer, &error);
    return (void *)(uintptr_t)(status ? UINT64_MAX : answer.entries[0].remaining);
}

/* What is left of user 1's first rate limit after one more check, by this thread or another. */
static uint64_t left_after_one(struct jini *jini, bool by_another)
{
    pthread_t thread;
    void *left;
    if (!by_another)
        return (uint64_t)(uintptr_t)check_elsewhere(jini);
    CHECK_INT(pthread_create(&thread, NULL, check_elsewhere, jini), ==, 0);
    CHECK_INT(pthread_join(thread, &left), ==, 0);
    return (uint64_t)(uintptr_t)left;
}

static void give_other_limits(struct jini *jini, const char *limits)
{
    struct jini_user_set set;
    jini_request_init(&set);
    set.user.id = 1;
    set.fields = JINI_USER_FIELD_OVERRIDES;
    set.user.override_mask = JINI_ALLOWANCE_LIMITS;
    snprintf(set.user.overrides.limits, sizeof(set.user.overrides.limits), "%s", limits);
    CHECK_OK(jini_user_set(jini, &set, NULL));
}

static struct jini *open_at(const char *directory)
{
    fixture_directory = harness_path("%s", directory);
    return fixture_open();
}

TEST(threads_agree_where_a_user_is_counted,
     "A user who is checked by one thread in two databases by turns, and after each of them lost "
     "its "
     "table, was opened anew and got other limits, has one count there for all threads.")
{
    static const char *const names[] = {"one", "two"};
    struct jini *jini[2];
    for (int i = 0; i < 2; i++) {
        jini[i] = open_at(names[i]);
        CHECK_UINT(fixture_user(jini[i], "ada", "Free"), ==, 1);
    }
    for (unsigned turn = 0; turn < 4; turn++) {
        for (int i = 0; i < 2; i++)
            CHECK_UINT(left_after_one(jini[i], turn % 2), ==, 4 - turn);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_OK(jini_close(jini[i], NULL, NULL));
        CHECK_INT(unlink(harness_path("%s/limits.shm", names[i])), ==, 0);
        jini[i] = open_at(names[i]);
        CHECK_UINT(left_after_one(jini[i], false), ==, 4);
        CHECK_UINT(left_after_one(jini[i], true), ==, 3);
        CHECK_UINT(left_after_one(jini[i], false), ==, 2);
        give_other_limits(jini[i], "7 per 2 minutes; 30/day");
        CHECK_UINT(left_after_one(jini[i], false), ==, 6);
        CHECK_UINT(left_after_one(jini[i], true), ==, 5);
        CHECK_UINT(left_after_one(jini[i], false), ==, 4);
    }
    for (int i = 0; i < 2; i++)
        CHECK_OK(jini_close(jini[i], NULL, NULL));
}
