/* Limit plans: those that are shared, and those of the callers beyond the bound. */
#include "engine/plans.h"

#include "engine_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

enum { BEYOND = 40, USERS = PLANS_MAX + BEYOND, CHECKERS = 4, ROUNDS = 2, ADDED_AT_ONCE = 256 };

static void text_of(uint32_t index, char text[64])
{
    snprintf(text, 64, "%u/minute; %u/day calendar Europe/Berlin", 100 + index, 20000 + index);
}

/* A table that has no room for one more shared plan. */
static struct plans *full_table(void)
{
    struct plans *plans = plans_new();
    struct jini_error error;
    const struct plan *plan;
    char text[64];
    CHECK(plans != NULL);
    for (uint32_t i = 0; i < PLANS_MAX; i++) {
        snprintf(text, sizeof(text), "%u/minute", 1 + i);
        CHECK_OK(plans_get(plans, text, &plan, &error));
        CHECK(plan->shared);
    }
    return plans;
}

TEST(texts_beyond_the_bound_get_plans_of_their_own,
     "Up to the bound a text has one plan for all; beyond it each caller gets one, zones and all.")
{
    struct plans *plans = full_table();
    struct jini_error error;
    const struct plan *first;
    const struct plan *second;
    CHECK_OK(plans_get(plans, "7/minute", &first, &error));
    CHECK_OK(plans_get(plans, "7/minute", &second, &error));
    CHECK(first == second);
    plan_release(first);
    CHECK_UINT(second->entries[0].amount, ==, 7);
    char text[64];
    text_of(1, text);
    CHECK_OK(plans_get(plans, text, &first, &error));
    CHECK_OK(plans_get(plans, text, &second, &error));
    CHECK(first != second && !first->shared && !second->shared);
    plan_release(first);
    CHECK_TEXT(second->text, text);
    CHECK_UINT(second->rate_count, ==, 1);
    CHECK_UINT(second->quotas.count, ==, 1);
    CHECK(second->quotas.zones[0] != NULL);
    plan_release(second);
    plan_release(NULL);
    CHECK_STATUS(plans_get(plans, "5/fortnight", &first, &error), JINI_E_INVALID);
    CHECK(first == NULL);
    CHECK_STATUS(plans_get(plans, "5/day calendar Nowhere/Else", &first, &error), JINI_E_INVALID);
    CHECK(first == NULL);
    plans_free(plans);
}

TEST(a_plan_without_memory_is_refused_whole,
     "An allocation that fails leaves no plan, and the next call makes it, shared or not.")
{
    struct plans *tables[] = {plans_new(), full_table()};
    for (size_t i = 0; i < 2; i++) {
        struct jini_error error;
        const struct plan *plan;
        char text[64];
        text_of(2, text);
        harness_fail_allocation(1);
        CHECK_STATUS(plans_get(tables[i], text, &plan, &error), JINI_E_NO_MEMORY);
        CHECK(harness_allocation_failed() && plan == NULL);
        harness_fail_allocation(0);
        CHECK_OK(plans_get(tables[i], text, &plan, &error));
        CHECK_TEXT(plan->text, text);
        plan_release(plan);
        plans_free(tables[i]);
    }
}

/* ---- An engine whose users all have limits of their own ---- */

static atomic_uint added;

static void count_added(struct jini_request *request)
{
    fixture_must(request->status, "user", &request->error);
    atomic_fetch_add(&added, 1);
}

static void add_users(struct jini *jini, uint64_t ids[USERS])
{
    struct jini_user_add *adds = calloc(ADDED_AT_ONCE, sizeof(adds[0]));
    CHECK(adds != NULL);
    for (uint32_t from = 0; from < USERS; from += ADDED_AT_ONCE) {
        uint32_t count = USERS - from < ADDED_AT_ONCE ? USERS - from : ADDED_AT_ONCE;
        atomic_store(&added, 0);
        for (uint32_t i = 0; i < count; i++) {
            struct jini_user *user = &adds[i].user;
            jini_request_init(&adds[i]);
            memset(user, 0, sizeof(*user));
            snprintf(user->username, sizeof(user->username), "user%u", from + i);
            user->flags = JINI_USER_ACTIVE;
            user->override_mask = JINI_ALLOWANCE_LIMITS;
            text_of(from + i, user->overrides.limits);
            CHECK_OK(jini_user_add(jini, &adds[i], count_added));
        }
        while (atomic_load(&added) < count)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        for (uint32_t i = 0; i < count; i++)
            ids[from + i] = adds[i].user.id;
    }
    free(adds);
}

struct checker {
    struct jini *jini;
    const uint64_t *ids;
    uint32_t step; /* coprime to the count: each goes through all users in an order of its own */
};

static int check_one(struct jini *jini, uint64_t user, uint32_t flags,
                     struct jini_limit_answer *answer)
{
    struct jini_limit_check check = {
        .subject = {.kind = JINI_SUBJECT_USER, .number = user}, .cost = 1, .flags = flags};
    struct jini_error error;
    return jini_limit_check(jini, &check, answer, &error);
}

static void *check_all(void *argument)
{
    const struct checker *checker = argument;
    for (uint32_t i = 0; i < USERS; i++) {
        uint32_t index = (uint32_t)((uint64_t)i * checker->step % USERS);
        struct jini_limit_answer answer;
        CHECK_OK(check_one(checker->jini, checker->ids[index], 0, &answer));
        CHECK_UINT(answer.count, ==, 1);
        CHECK_UINT(answer.entries[0].amount, ==, 100 + index);
        CHECK_UINT(answer.entries[0].remaining, >=, 100 + index - ROUNDS * CHECKERS);
    }
    return NULL;
}

static void check_by_threads(struct jini *jini, const uint64_t ids[USERS])
{
    static const uint32_t steps[CHECKERS] = {1, 3001, 1009, 2003};
    struct checker checkers[CHECKERS];
    pthread_t threads[CHECKERS];
    for (int i = 0; i < CHECKERS; i++) {
        checkers[i] = (struct checker){jini, ids, steps[i]};
        CHECK_INT(pthread_create(&threads[i], NULL, check_all, &checkers[i]), ==, 0);
    }
    for (int i = 0; i < CHECKERS; i++)
        pthread_join(threads[i], NULL);
}

static int admit(struct jini *jini, uint64_t user, struct jini_admit *out)
{
    jini_request_init(out);
    out->subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    out->parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    return jini_admit(jini, out, NULL);
}

/* Whatever takes a plan, for a user whose plan is nobody else's. */
static void use_all_calls(struct jini *jini, uint64_t user, uint32_t index)
{
    struct jini_limit_answer answer;
    struct jini_admit first;
    struct jini_limit_reset reset;
    CHECK_OK(admit(jini, user, &first));
    CHECK_OK(check_one(jini, user, JINI_CHECK_PEEK, &answer));
    CHECK_UINT(answer.count, ==, 2);
    CHECK_UINT(answer.entries[1].amount, ==, 20000 + index);
    CHECK_UINT(answer.entries[1].remaining, ==, 20000 + index - 1);
    jini_request_init(&reset);
    reset.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    CHECK_OK(jini_limit_reset(jini, &reset, NULL));
    CHECK_OK(check_one(jini, user, JINI_CHECK_PEEK, &answer));
    CHECK_UINT(answer.entries[0].remaining, ==, 100 + index);
    fixture_put(jini, user, index);
    struct jini_limit_check texts = {
        .subject = {.kind = JINI_SUBJECT_GLOBAL}, .limits = "12345/minute", .cost = 1};
    struct jini_error error;
    CHECK_OK(jini_limit_check(jini, &texts, &answer, &error));
    CHECK_UINT(answer.entries[0].amount, ==, 12345);
    texts.limits = "12345/day";
    CHECK_STATUS(jini_limit_check(jini, &texts, &answer, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "limits");
}

struct changer {
    struct jini *jini;
    uint64_t user;
    atomic_bool stop;
};

/* Sets one override after the other, so that admissions have to begin anew. */
static void *change_limits(void *argument)
{
    struct changer *changer = argument;
    for (uint32_t i = 0; !atomic_load(&changer->stop); i++) {
        struct jini_user_set set;
        jini_request_init(&set);
        set.user.id = changer->user;
        set.user.override_mask = JINI_ALLOWANCE_LIMITS;
        text_of(USERS + 1 + i % 2, set.user.overrides.limits);
        set.fields = JINI_USER_FIELD_OVERRIDES;
        fixture_must(jini_user_set(changer->jini, &set, NULL), "set", &set.request.error);
    }
    return NULL;
}

static void admit_while_limits_change(struct jini *jini, uint64_t user)
{
    struct changer changer = {jini, user, false};
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, change_limits, &changer), ==, 0);
    for (int i = 0; i < (harness_sanitized() ? 30 : 100); i++) {
        struct jini_admit admission;
        struct jini_limit_answer answer;
        int status = admit(jini, user, &admission);
        CHECK(status == 0 || status == JINI_E_BUSY || status == JINI_E_LIMITED);
        status = check_one(jini, user, JINI_CHECK_PEEK, &answer);
        CHECK(status == 0 || status == JINI_E_LIMITED);
        CHECK_UINT(answer.entries[0].amount + 19900, ==, answer.entries[1].amount);
    }
    atomic_store(&changer.stop, true);
    pthread_join(thread, NULL);
}

TEST(every_user_may_have_limits_of_its_own,
     "More users with different overrides than there are shared plans are all answered by theirs.")
{
    struct jini_options options;
    static uint64_t ids[USERS];
    fixture_options(&options);
    options.store_run_twice = 0;
    struct jini *jini = fixture_open_with(&options);
    add_users(jini, ids);
    for (int round = 0; round < (harness_sanitized() ? 1 : ROUNDS); round++)
        check_by_threads(jini, ids);
    for (uint32_t i = 0; i < USERS; i++) {
        struct jini_limit_answer answer;
        CHECK_OK(check_one(jini, ids[i], JINI_CHECK_PEEK, &answer));
        CHECK_UINT(answer.entries[0].amount, ==, 100 + i);
    }
    use_all_calls(jini, ids[0], 0);
    use_all_calls(jini, ids[USERS - 1], USERS - 1);
    admit_while_limits_change(jini, ids[USERS - 2]);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
