/* Credits by the public calls. */
#include "engine/engine_private.h"

#include "engine_fixture.h"

#include "base/tuple.h"

#include <unistd.h>

static struct jini_id number_id(uint64_t number)
{
    struct jini_id id = {{0}};
    for (int i = 0; i < 8; i++)
        id.bytes[15 - i] = (uint8_t)(number >> (8 * i));
    return id;
}

static struct jini_grant_add add_of(uint64_t number, uint64_t user_id, uint64_t granted)
{
    struct jini_grant_add add;
    jini_request_init(&add);
    add.grant.id = number_id(number);
    add.grant.user_id = user_id;
    add.grant.granted = granted;
    add.grant.category = JINI_GRANT_PROMOTIONAL;
    return add;
}

static struct jini_wallet wallet_of(struct jini *jini, uint64_t user_id)
{
    struct jini_wallet wallet;
    struct jini_error error;
    size_t count;
    CHECK_OK(jini_wallet_get(jini, user_id, &wallet, NULL, 0, &count, &error));
    return wallet;
}

TEST(credits_are_granted_once, "A grant that is sent again is answered as the first time.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Free");
    struct jini_grant grants[4];
    struct jini_wallet wallet;
    struct jini_error error;
    size_t count;
    for (int i = 0; i < 2; i++) {
        struct jini_grant_add add = add_of(77, user, 500);
        fixture_must(jini_grant_add(jini, &add, NULL), "grant", &add.request.error);
        CHECK_UINT(add.grant.remaining, ==, 500);
    }
    struct jini_grant_add other = add_of(77, user, 501);
    CHECK_STATUS(jini_grant_add(jini, &other, NULL), JINI_E_CONFLICT);
    CHECK_TEXT(other.request.error.field, "id");
    CHECK_OK(jini_wallet_get(jini, user, &wallet, grants, 4, &count, &error));
    CHECK_UINT(count, ==, 1);
    CHECK_UINT(wallet.available, ==, 500);
    CHECK_UINT(grants[0].granted, ==, 500);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_grant_breaks_no_rule, "What is wrong with a grant is named, and nothing is granted.")
{
    static const struct {
        const char *field;
        int status;
    } cases[] = {{"id", JINI_E_INVALID},         {"granted", JINI_E_INVALID},
                 {"granted", JINI_E_INVALID},    {"category", JINI_E_INVALID},
                 {"priority", JINI_E_INVALID},   {"effective_ms", JINI_E_INVALID},
                 {"expires_ms", JINI_E_INVALID}, {"expires_ms", JINI_E_INVALID},
                 {"user_id", JINI_E_NOT_FOUND},  {"expires_ms", JINI_E_INVALID}};
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Free");
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct jini_grant_add add = add_of(i == 0 ? 0 : 7, user, 5);
        struct jini_grant *grant = &add.grant;
        grant->granted = i == 1 ? 0 : i == 2 ? JINI_CREDITS_MAX + 1 : 5;
        grant->category = i == 3 ? 3 : grant->category;
        grant->priority = i == 4 ? 256 : 0;
        grant->effective_ms = i == 5 ? UINT64_MAX : i == 7 ? 5000 : 0;
        grant->expires_ms = i == 6 ? UINT64_C(1000) * UINT32_MAX : i == 7 ? 4000 : i == 9 ? 1 : 0;
        grant->user_id = i == 8 ? 12345678 : user;
        CHECK_STATUS(jini_grant_add(jini, &add, NULL), cases[i].status);
        CHECK_TEXT(add.request.error.field, cases[i].field);
    }
    CHECK_UINT(wallet_of(jini, user).grants, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_grant_expires_by_itself, "What is not drawn by then goes, also when nobody looks.")
{
    struct jini_options options;
    struct jini_account account = {0};
    struct jini_error error;
    fixture_options(&options);
    options.background_run = 1;
    struct jini *jini = fixture_open_with(&options);
    uint64_t user = fixture_user(jini, "ada", "Free");
    struct jini_grant_add add = add_of(5, user, 40);
    add.grant.expires_ms = fixture_wall_ns(NULL) / 1000000 + UINT64_C(86400) * 1000;
    fixture_must(jini_grant_add(jini, &add, NULL), "grant", &add.request.error);
    CHECK_UINT(wallet_of(jini, user).available, ==, 40);
    fixture_days_pass(2);
    CHECK_UINT(wallet_of(jini, user).available, ==, 0);
    for (int tries = 0; tries < 1500 && account.balance.debits_posted.low == 0; tries++) {
        usleep(10000);
        CHECK_OK(jini_account_get(jini, &add.grant.account_id, &account, &error));
    }
    CHECK_UINT(account.balance.debits_posted.low, ==, 40);
    CHECK_UINT(wallet_of(jini, user).grants, ==, 0);
    fixture_must(jini_grant_add(jini, &add, NULL), "the same again", &add.request.error);
    CHECK_UINT(add.grant.remaining, ==, 0);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Generations that cost credits ---- */

static void set_cost(struct jini *jini, const char *model, uint64_t credits)
{
    struct jini_cost_set set;
    jini_request_init(&set);
    snprintf(set.cost.model, sizeof(set.cost.model), "%s", model);
    set.cost.per_image = 1000 * credits;
    fixture_must(jini_cost_set(jini, &set, NULL), "cost", &set.request.error);
}

static void grant(struct jini *jini, uint64_t number, uint64_t user, uint64_t credits,
                  uint64_t expires_ms)
{
    struct jini_grant_add add = add_of(number, user, credits);
    add.grant.expires_ms = expires_ms;
    fixture_must(jini_grant_add(jini, &add, NULL), "grant", &add.request.error);
}

static int admit(struct jini *jini, uint64_t user, uint32_t count, struct jini_admit *out)
{
    jini_request_init(out);
    out->subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    out->parameters =
        (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = count};
    snprintf(out->parameters.model, sizeof(out->parameters.model), "sdxl");
    return jini_admit(jini, out, NULL);
}

static struct jini_id admitted(struct jini *jini, uint64_t user, uint32_t count)
{
    struct jini_admit request;
    fixture_must(admit(jini, user, count, &request), "admit", &request.request.error);
    return request.job.id;
}

static uint64_t charged(struct jini *jini, const struct jini_id *id)
{
    struct jini_job job;
    struct jini_error error;
    CHECK_OK(jini_job_get(jini, id, &job, &error));
    return job.cost_credits;
}

static void check_wallet(struct jini *jini, uint64_t user, uint64_t available, uint64_t reserved)
{
    struct jini_wallet wallet = wallet_of(jini, user);
    CHECK_UINT(wallet.available, ==, available);
    CHECK_UINT(wallet.reserved, ==, reserved);
}

TEST(an_admission_reserves_what_it_costs,
     "Credits are reserved with the job, drawn when it is settled, and given back when it is not.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    struct jini_admit request;
    set_cost(jini, "sdxl", 3);
    grant(jini, 1, user, 4, 0);
    grant(jini, 2, user, 20, 0);
    CHECK_OK(admit(jini, user, 2, &request));
    CHECK_UINT(request.cost, ==, 6);
    CHECK_UINT(request.credits, ==, 18);
    CHECK_UINT(request.cost_version, ==, 1);
    CHECK_UINT(request.job.cost_credits, ==, 6);
    check_wallet(jini, user, 18, 6);
    set_cost(jini, "sdxl", 100); /* the job keeps its price */
    fixture_settle(jini, &request.job.id);
    check_wallet(jini, user, 18, 0);
    CHECK_UINT(charged(jini, &request.job.id), ==, 6);

    set_cost(jini, "sdxl", 5);
    struct jini_id failed = admitted(jini, user, 1);
    check_wallet(jini, user, 13, 5);
    fixture_release(jini, &failed, JINI_JOB_FAILED);
    check_wallet(jini, user, 18, 0);
    CHECK_UINT(charged(jini, &failed), ==, 0);

    struct jini_settle settle;
    jini_request_init(&settle);
    settle.job_id = admitted(jini, user, 2);
    settle.unused_credits = 4;
    CHECK_OK(jini_settle(jini, &settle, NULL));
    check_wallet(jini, user, 12, 0);
    CHECK_UINT(charged(jini, &settle.job_id), ==, 6);
    CHECK_STATUS(jini_settle(jini, &settle, NULL), JINI_E_CONFLICT);
    check_wallet(jini, user, 12, 0);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(without_credits_nothing_is_written,
     "A generation that costs more than is there is refused in words, and takes nothing.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    struct jini_admit request;
    set_cost(jini, "", 3);
    grant(jini, 1, user, 5, 0);
    CHECK_STATUS(admit(jini, user, 2, &request), JINI_E_FUNDS);
    CHECK_TEXT(request.request.error.field, "credits");
    CHECK_CONTAINS(request.request.error.message, "it costs 6 credits, and the wallet has 5");
    CHECK_UINT(request.cost, ==, 6);
    CHECK_UINT(request.credits, ==, 5);
    CHECK_UINT(request.answer.entries[0].remaining, ==, 60); /* given back */
    CHECK_UINT(request.answer.entries[1].remaining, ==, 2000);
    check_wallet(jini, user, 5, 0);
    jini_request_init(&request);
    CHECK_OK(jini_subject_parse_address("192.0.2.7", &request.subject));
    request.parameters =
        (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    CHECK_STATUS(jini_admit(jini, &request, NULL), JINI_E_FUNDS);
    CHECK_CONTAINS(request.request.error.message, "only users have any");
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_job_that_is_given_up_gives_its_credits_back,
     "When the lease is over the credits are free again, or expire if their grant has.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    struct jini_admit request;
    set_cost(jini, "sdxl", 3);
    grant(jini, 1, user, 4, fixture_wall_ns(NULL) / 1000000 + UINT64_C(3600) * 1000);
    grant(jini, 2, user, 10, 0);
    struct jini_id job = admitted(jini, user, 2);
    check_wallet(jini, user, 8, 6);
    fixture_days_pass(1);
    CHECK_OK(admit(jini, user, 2, &request)); /* ends the one that was given up */
    CHECK_UINT(charged(jini, &job), ==, 0);
    check_wallet(jini, user, 4, 6);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- What verify finds ---- */

static void count_problem(void *context, const struct jini_verify_problem *problem)
{
    const char *wanted = *(const char **)context;
    if (strcmp(problem->kind, wanted) == 0)
        *(const char **)context = "";
}

static bool verify_finds(struct jini *jini, const char *kind)
{
    const char *wanted = kind;
    struct jini_verify verify;
    jini_request_init(&verify);
    verify.report = count_problem;
    verify.context = &wanted;
    CHECK_OK(jini_verify(jini, &verify, NULL));
    return verify.problems > 0 && wanted[0] == '\0';
}

struct plant {
    enum store_space space;
    struct tuple key;
    bool garbage;
};

static int op_plant(struct store_txn *txn, void *argument)
{
    const struct plant *plant = argument;
    if (plant->garbage)
        return store_put(txn, plant->space, tuple_key(&plant->key), slice_of_text("nonsense"));
    return store_delete(txn, plant->space, tuple_key(&plant->key));
}

TEST(credits_that_do_not_go_together_are_found,
     "A wallet without its grants, a job without its holds, holds without their job, a price.")
{
    static const char *const kinds[] = {"wallet_wrong", "wallet_damaged", "job_credits_wrong",
                                        "credits_held", "price_damaged"};
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct jini *jini = fixture_open();
        uint64_t user = fixture_user(jini, "ada", "Premium");
        set_cost(jini, "sdxl", 3);
        grant(jini, 1, user, 40, 0);
        struct jini_id job = admitted(jini, user, 2);
        struct jini_id hold = job;
        struct plant plant = {.garbage = i == 1 || i == 4};
        fixture_verify(jini);
        tuple_begin(&plant.key);
        hold.bytes[15] = 0;
        if (i < 2) {
            plant.space = STORE_SPACE_ACTIVITY;
            tuple_add_uint(&plant.key, user);
            tuple_add_text(&plant.key, slice_of_text("w"));
        } else if (i == 2) {
            plant.space = STORE_SPACE_TRANSFER_IDS;
            tuple_add_id(&plant.key, &hold);
        } else if (i == 3) {
            plant.space = STORE_SPACE_JOBS;
            tuple_add_id(&plant.key, &job);
        } else {
            plant.space = STORE_SPACE_PRICES;
            tuple_add_text(&plant.key, slice_of_text("cost"));
            tuple_add_bytes(&plant.key, slice_of_text("sdxl"));
            tuple_add_uint(&plant.key, 1);
        }
        CHECK_OK(store_write(jini->store, op_plant, &plant));
        CHECK(verify_finds(jini, kinds[i]));
        CHECK_OK(jini_close(jini, NULL, NULL));
        harness_remove(fixture_db());
    }
}
