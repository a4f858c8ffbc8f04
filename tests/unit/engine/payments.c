/* Payments by the public calls: what they buy, and what is posted of them. */
#include "paying.h"

#include "engine/engine_private.h"

#define CHECK_BOOKS(jini_, cash_, deferred_, revenue_, refunds_, unmatched_)                       \
    do {                                                                                           \
        struct jini_books books_ = paying_books(jini_);                                            \
        CHECK_INT(books_.cash, ==, (cash_));                                                       \
        CHECK_INT(books_.deferred, ==, (deferred_));                                               \
        CHECK_INT(books_.revenue, ==, (revenue_));                                                 \
        CHECK_INT(books_.refunds, ==, (refunds_));                                                 \
        CHECK_INT(books_.unmatched, ==, (unmatched_));                                             \
    } while (0)

/* Premium for 30 days at 15.00, Basic at 6.00, Premium for ever, 100 credits at 10.01. */
static struct jini *open_shop(void)
{
    struct jini *jini = paying_open();
    struct jini_price pack = paying_price("pack", "", 1001, 30, 100);
    pack.credits_expire = 1;
    paying_sell(jini, paying_price("premium", "Premium", 1500, 30, 0));
    paying_sell(jini, paying_price("basic", "Basic", 600, 30, 0));
    paying_sell(jini, paying_price("forever", "Premium", 9900, JINI_FOREVER, 0));
    paying_sell(jini, pack);
    return jini;
}

static void leave(struct jini *jini)
{
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void check_tier(struct jini *jini, uint64_t user, const char *tier)
{
    CHECK_TEXT(paying_user(jini, user).tier, tier);
}

/* ---- Prices ---- */

TEST(a_price_breaks_no_rule, "What is wrong with a price is named, and nothing is sold.")
{
    static const char *const fields[] = {
        "name",     "name",           "currency",      "amount",         "amount",
        "days",     "tier",           "tier",          "credits_amount", "credits_amount",
        "priority", "credits_expire", "credits_expire"};
    struct jini *jini = paying_open();
    struct jini_price list[4];
    struct jini_error error;
    size_t count;
    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct jini_price price = paying_price("x", "Premium", 100, 30, 10);
        snprintf(price.name, sizeof(price.name), "%s", i == 0 ? "" : i == 1 ? "a b" : "x");
        snprintf(price.currency, sizeof(price.currency), "%s", i == 2 ? "eur" : "EUR");
        price.amount = i == 3 ? 0 : i == 4 ? JINI_MONEY_MAX + 1 : 100;
        price.days = i == 5 ? JINI_PERIOD_DAYS_MAX + 1 : i == 12 ? JINI_FOREVER : 30;
        if (i == 6)
            snprintf(price.tier, sizeof(price.tier), "Golden");
        if (i == 7)
            price.tier[0] = '\0';
        price.credits = i == 7 ? 0 : 10;
        price.credits_amount = i == 8 ? 101 : 0;
        if (i == 9)
            price.tier[0] = '\0';
        price.priority = i == 10 ? 256 : 0;
        price.credits_expire = i == 11 ? 2 : i == 12;
        CHECK_STATUS(paying_set(jini, price, &error), i == 6 ? JINI_E_NOT_FOUND : JINI_E_INVALID);
        CHECK_TEXT(error.field, fields[i]);
    }
    CHECK_OK(jini_price_list(jini, NULL, list, 4, &count, &error));
    CHECK_UINT(count, ==, 0);
    leave(jini);
}

TEST(a_price_is_versioned, "A payment keeps the price that it was begun with.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    struct jini_price_set remove;
    struct jini_price price;
    struct jini_error error;
    paying_must(paying_intend(jini, 1, user, "premium"));
    paying_sell(jini, paying_price("premium", "Basic", 2000, 7, 0));
    struct jini_payment paid = paying_must(paying_settle(jini, 1, 0));
    CHECK_TEXT(paid.tier, "Premium");
    CHECK_UINT(paid.amount, ==, 1500);
    CHECK_UINT(paid.ends_ms - paid.starts_ms, ==, 30 * DAY_MS);
    CHECK_OK(jini_price_get(jini, "premium", 1, &price, &error));
    CHECK_UINT(price.amount, ==, 1500);
    CHECK_OK(jini_price_get(jini, "premium", 0, &price, &error));
    CHECK_UINT(price.amount, ==, 2000);
    jini_request_init(&remove);
    snprintf(remove.price.name, sizeof(remove.price.name), "premium");
    remove.remove = 1;
    fixture_must(jini_price_set(jini, &remove, NULL), "remove", &remove.request.error);
    CHECK_STATUS(jini_price_get(jini, "premium", 0, &price, &error), JINI_E_NOT_FOUND);
    leave(jini);
}

TEST(a_tier_that_is_sold_stays, "A tier that a price buys is not removed.")
{
    struct jini *jini = open_shop();
    struct jini_tier_remove remove;
    jini_request_init(&remove);
    snprintf(remove.name, sizeof(remove.name), "basic");
    CHECK_STATUS(jini_tier_remove(jini, &remove, NULL), JINI_E_IN_USE);
    leave(jini);
}

/* ---- Settling ---- */

TEST(a_payment_gives_a_tier_for_a_period,
     "A settled payment gives the tier, which is over after the period and its grace, also when "
     "nobody writes that down.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    paying_must(paying_intend(jini, 1, user, "premium"));
    check_tier(jini, user, "Free");
    struct jini_payment paid = paying_must(paying_settle(jini, 1, 45));
    CHECK_UINT(paid.state, ==, JINI_PAYMENT_SETTLED);
    CHECK_UINT(paid.fee, ==, 45);
    CHECK_UINT(paid.starts_ms, ==, paying_now_ms);
    check_tier(jini, user, "Premium");
    CHECK_BOOKS(jini, 1455, 1500, 0, 0, 0);
    paying_pass_ms(30 * DAY_MS);
    check_tier(jini, user, "Premium");
    CHECK_UINT(paying_has(jini, user).state, ==, JINI_SUBSCRIPTION_PAST_DUE);
    paying_pass_ms(3 * DAY_MS - 1);
    check_tier(jini, user, "Premium");
    paying_pass_ms(1);
    check_tier(jini, user, "Free");
    CHECK_UINT(paying_has(jini, user).state, ==, JINI_SUBSCRIPTION_NONE);
    due_tend(jini);
    check_tier(jini, user, "Free");
    CHECK_UINT(paying_user(jini, user).tier_until_ms, ==, 0);
    CHECK_BOOKS(jini, 1455, 0, 1500, 0, 0);
    leave(jini);
}

TEST(a_period_that_is_over_counts_nowhere,
     "Limits and admission take the default tier from the moment on, though the user is at hand.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    paying_pay(jini, 1, user, "premium");
    for (int after = 0; after < 2; after++) {
        struct jini_limit_check check = {.cost = 1};
        struct jini_limit_answer answer;
        struct jini_error error;
        check.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
        CHECK_OK(jini_limit_check(jini, &check, &answer, &error));
        CHECK_UINT(answer.entries[0].amount, ==, after ? 5 : 60);
        struct jini_admit admit;
        jini_request_init(&admit);
        admit.subject = check.subject;
        admit.parameters =
            (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
        fixture_must(jini_admit(jini, &admit, NULL), "admit", &admit.request.error);
        CHECK_UINT(admit.answer.entries[0].amount, ==, after ? 5 : 60);
        paying_pass_ms(33 * DAY_MS);
    }
    leave(jini);
}

TEST(revenue_of_a_period_grows_by_the_day, "A part for each day that has passed, all at its end.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    paying_sell(jini, paying_price("odd", "Basic", 1000, 7, 0));
    paying_pay(jini, 1, user, "odd");
    for (uint64_t day = 1; day <= 7; day++) {
        paying_pass_ms(DAY_MS - 1);
        due_tend(jini);
        CHECK_INT(paying_books(jini).revenue, ==, (int64_t)(1000 * (day - 1) / 7));
        paying_pass_ms(1);
        due_tend(jini);
        CHECK_INT(paying_books(jini).revenue, ==, (int64_t)(1000 * day / 7));
        fixture_verify(jini);
    }
    CHECK_UINT(paying_get(jini, 1).deferred, ==, 0);
    leave(jini);
}

TEST(what_is_sent_again_is_answered_with_what_is,
     "Every call may be repeated; with other contents it is an error that names the member.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    uint64_t other = fixture_user(jini, "bob", "Free");
    paying_must(paying_intend(jini, 1, user, "premium"));
    CHECK_UINT(paying_intend(jini, 1, user, "premium").repeated, ==, 1);
    CHECK_STATUS(paying_intend(jini, 1, other, "premium").status, JINI_E_CONFLICT);
    CHECK_TEXT(paying_intend(jini, 1, other, "premium").error.field, "user_id");
    CHECK_TEXT(paying_intend(jini, 1, user, "basic").error.field, "price");
    paying_must(paying_settle(jini, 1, 5));
    CHECK_UINT(paying_settle(jini, 1, 5).repeated, ==, 1);
    CHECK_STATUS(paying_settle(jini, 1, 6).status, JINI_E_CONFLICT);
    CHECK_TEXT(paying_settle(jini, 1, 6).error.field, "fee");
    CHECK_UINT(paying_intend(jini, 1, user, "premium").payment.state, ==, JINI_PAYMENT_SETTLED);
    CHECK_TEXT(paying_end(jini, jini_payment_fail, 1, 0, 0, 0).error.field, "state");
    CHECK_TEXT(paying_end(jini, jini_payment_refund, 1, 1501, 0, 0).error.field, "amount");
    paying_refund(jini, 1, 500);
    CHECK_UINT(paying_end(jini, jini_payment_refund, 1, 500, 0, 0).repeated, ==, 1);
    CHECK_TEXT(paying_end(jini, jini_payment_refund, 1, 0, 0, 0).error.field, "amount");
    CHECK_TEXT(paying_end(jini, jini_payment_dispute, 1, 0, 0, 0).error.field, "state");
    CHECK_TEXT(paying_end(jini, jini_payment_resolve, 1, 0, 1, 0).error.field, "state");
    CHECK_STATUS(paying_settle(jini, 2, 0).status, JINI_E_NOT_FOUND);
    CHECK_STATUS(paying_intend(jini, 3, 999, "premium").status, JINI_E_NOT_FOUND);
    CHECK_UINT(paying_settle(jini, 1, 5).payment.state, ==, JINI_PAYMENT_REFUNDED);
    CHECK_BOOKS(jini, 995, 0, 1000, 0, 0);
    check_tier(jini, user, "Free");
    leave(jini);
}

TEST(the_same_price_at_once_is_one_payment,
     "Within payments.same_ms a second payment of a user for a price is the first one.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    uint64_t other = fixture_user(jini, "bob", "Free");
    paying_must(paying_intend(jini, 1, user, "premium"));
    paying_pass_ms(9999);
    struct paid second = paying_intend(jini, 2, user, "premium");
    CHECK_UINT(second.repeated, ==, 1);
    CHECK_UINT(second.payment.id.bytes[15], ==, 1);
    CHECK_UINT(paying_intend(jini, 3, user, "basic").repeated, ==, 0);
    CHECK_UINT(paying_intend(jini, 4, other, "premium").repeated, ==, 0);
    CHECK_UINT(paying_intend(jini, 2, user, "premium").repeated, ==, 1); /* behind another one */
    CHECK_STATUS(paying_settle(jini, 2, 0).status, JINI_E_NOT_FOUND);
    paying_must(paying_settle(jini, 1, 0));
    CHECK_UINT(paying_intend(jini, 5, user, "premium").payment.state, ==, JINI_PAYMENT_SETTLED);
    paying_pass_ms(1);
    CHECK_UINT(paying_intend(jini, 5, user, "premium").repeated, ==, 0);
    paying_must(paying_end(jini, jini_payment_fail, 5, 0, 0, 0));
    CHECK_UINT(paying_intend(jini, 6, user, "premium").repeated, ==, 0); /* that one has failed */
    leave(jini);
}

TEST(an_import_hides_no_payment, "One of the past that comes between two is none of them.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    struct jini_payment_intend intend;
    paying_must(paying_intend(jini, 1, user, "premium"));
    jini_request_init(&intend);
    intend.id = paying_id(2);
    intend.user_id = user;
    intend.at_ms = paying_now_ms - DAY_MS;
    intend.flags = JINI_PAYMENT_IMPORTED;
    snprintf(intend.price, sizeof(intend.price), "premium");
    fixture_must(jini_payment_intend(jini, &intend, NULL), "intend", &intend.request.error);
    CHECK_UINT(paying_intend(jini, 3, user, "premium").repeated, ==, 1);
    leave(jini);
}

TEST(a_reference_is_one_payments, "A provider's reference belongs to one payment.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    struct jini_payment_settle settle;
    struct jini_payment found;
    struct jini_error error;
    paying_must(paying_intend(jini, 1, user, "premium"));
    paying_must(paying_intend(jini, 2, user, "basic"));
    jini_request_init(&settle);
    settle.id = paying_id(1);
    snprintf(settle.provider, sizeof(settle.provider), "stripe");
    snprintf(settle.reference, sizeof(settle.reference), "pi_1");
    fixture_must(jini_payment_settle(jini, &settle, NULL), "settle", &settle.request.error);
    settle.id = paying_id(2);
    CHECK_STATUS(jini_payment_settle(jini, &settle, NULL), JINI_E_EXISTS);
    CHECK_TEXT(settle.request.error.field, "reference");
    snprintf(settle.provider, sizeof(settle.provider), "paypal");
    fixture_must(jini_payment_settle(jini, &settle, NULL), "settle", &settle.request.error);
    snprintf(settle.reference, sizeof(settle.reference), "pi_2");
    CHECK_STATUS(jini_payment_settle(jini, &settle, NULL), JINI_E_CONFLICT);
    CHECK_TEXT(settle.request.error.field, "reference");
    CHECK_OK(jini_payment_find(jini, "stripe", "pi_1", &found, &error));
    CHECK_UINT(found.id.bytes[15], ==, 1);
    CHECK_STATUS(jini_payment_find(jini, "stripe", "pi_2", &found, &error), JINI_E_NOT_FOUND);
    struct jini_payment_intend intend;
    jini_request_init(&intend);
    intend.id = paying_id(3);
    intend.user_id = user;
    snprintf(intend.price, sizeof(intend.price), "premium");
    snprintf(intend.provider, sizeof(intend.provider), "stripe");
    snprintf(intend.reference, sizeof(intend.reference), "pi_1");
    paying_pass_ms(DAY_MS);
    fixture_must(jini_payment_intend(jini, &intend, NULL), "intend", &intend.request.error);
    CHECK_UINT(intend.repeated, ==, 1);
    snprintf(intend.price, sizeof(intend.price), "basic");
    CHECK_STATUS(jini_payment_intend(jini, &intend, NULL), JINI_E_EXISTS);
    leave(jini);
}

TEST(what_buys_nothing_stands_apart,
     "Money that matches no price changes no tier, and stands apart until it is paid back.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    static const struct {
        const char *price;
        uint64_t amount;
        const char *currency;
        uint32_t refusal;
    } cases[] = {{"", 1499, "EUR", JINI_REFUSAL_NO_PRICE},
                 {"golden", 1500, "EUR", JINI_REFUSAL_NO_PRICE},
                 {"premium", 1, "EUR", JINI_REFUSAL_AMOUNT},
                 {"premium", 1500, "USD", JINI_REFUSAL_CURRENCY}};
    for (uint64_t i = 0; i < 4; i++) {
        struct jini_payment_intend intend;
        jini_request_init(&intend);
        intend.id = paying_id(10 + i);
        intend.user_id = user;
        intend.amount = cases[i].amount;
        snprintf(intend.price, sizeof(intend.price), "%s", cases[i].price);
        snprintf(intend.currency, sizeof(intend.currency), "%s", cases[i].currency);
        fixture_must(jini_payment_intend(jini, &intend, NULL), "intend", &intend.request.error);
        CHECK_UINT(intend.payment.state, ==, JINI_PAYMENT_REFUSED);
        CHECK_UINT(intend.payment.refusal, ==, cases[i].refusal);
        struct jini_payment paid = paying_must(paying_settle(jini, 10 + i, 0));
        CHECK_UINT(paid.state, ==, JINI_PAYMENT_REFUSED);
        CHECK_UINT(paying_settle(jini, 10 + i, 0).repeated, ==, 1);
    }
    paying_must(paying_intend(jini, 1, user, "premium"));
    struct jini_payment_settle settle;
    jini_request_init(&settle);
    settle.id = paying_id(1);
    settle.amount = 1;
    snprintf(settle.currency, sizeof(settle.currency), "EUR");
    fixture_must(jini_payment_settle(jini, &settle, NULL), "settle", &settle.request.error);
    CHECK_UINT(settle.payment.refusal, ==, JINI_REFUSAL_AMOUNT);
    paying_must(paying_intend(jini, 2, user, "basic"));
    paying_must(paying_end(jini, jini_payment_fail, 2, 0, 0, 0));
    CHECK_UINT(paying_must(paying_settle(jini, 2, 0)).refusal, ==, JINI_REFUSAL_FAILED_BEFORE);
    check_tier(jini, user, "Free");
    CHECK_BOOKS(jini, 1499 + 1500 + 1 + 1 + 600, 0, 0, 0, 1499 + 1500 + 1 + 1 + 600);
    CHECK_TEXT(paying_end(jini, jini_payment_refund, 10, 5, 0, 0).error.field, "amount");
    paying_refund(jini, 10, 0);
    paying_refund(jini, 2, 600);
    CHECK_BOOKS(jini, 1500 + 1 + 1, 0, 0, 0, 1500 + 1 + 1);
    leave(jini);
}

/* ---- Periods ---- */

TEST(a_second_payment_extends_the_period, "Inside the period, and in the grace, nothing is lost.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    uint64_t begin_ms = paying_now_ms;
    paying_pay(jini, 1, user, "premium");
    paying_pass_ms(10 * DAY_MS);
    CHECK_UINT(paying_pay(jini, 2, user, "premium").starts_ms, ==, begin_ms + 30 * DAY_MS);
    CHECK_UINT(paying_has(jini, user).paid_ms, ==, begin_ms + 60 * DAY_MS);
    CHECK_UINT(paying_has(jini, user).periods, ==, 2);
    paying_pass_ms(52 * DAY_MS);
    CHECK_UINT(paying_has(jini, user).state, ==, JINI_SUBSCRIPTION_PAST_DUE);
    CHECK_UINT(paying_pay(jini, 3, user, "premium").starts_ms, ==, begin_ms + 60 * DAY_MS);
    CHECK_UINT(paying_has(jini, user).paid_ms, ==, begin_ms + 90 * DAY_MS);
    paying_pass_ms(40 * DAY_MS);
    check_tier(jini, user, "Free");
    CHECK_UINT(paying_pay(jini, 4, user, "premium").starts_ms, ==, paying_now_ms);
    CHECK_INT(paying_books(jini).revenue, ==, 4500);
    leave(jini);
}

TEST(the_dearer_tier_goes_first,
     "A dearer tier begins at once and what is left of the other follows; a cheaper one waits.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    uint64_t begin_ms = paying_now_ms;
    paying_pay(jini, 1, user, "basic");
    paying_pass_ms(10 * DAY_MS);
    paying_pay(jini, 2, user, "premium");
    check_tier(jini, user, "Premium");
    CHECK_UINT(paying_user(jini, user).tier_until_ms, ==, begin_ms + 40 * DAY_MS);
    struct jini_payment first = paying_get(jini, 1);
    CHECK_UINT(first.starts_ms, ==, begin_ms + 40 * DAY_MS);
    CHECK_UINT(first.ends_ms, ==, begin_ms + 60 * DAY_MS);
    CHECK_UINT(first.revenue, ==, 200);
    paying_pay(jini, 3, user, "basic");
    CHECK_UINT(paying_get(jini, 3).starts_ms, ==, begin_ms + 60 * DAY_MS);
    fixture_verify(jini);
    paying_pass_ms(30 * DAY_MS); /* to the day where Premium ends */
    check_tier(jini, user, "Basic");
    CHECK_UINT(paying_has(jini, user).starts_ms, ==, begin_ms + 40 * DAY_MS);
    due_tend(jini);
    check_tier(jini, user, "Basic");
    CHECK_UINT(paying_user(jini, user).tier_until_ms, ==, begin_ms + 93 * DAY_MS);
    CHECK_INT(paying_books(jini).revenue, ==, 200 + 1500);
    fixture_verify(jini);
    paying_pass_ms(53 * DAY_MS);
    check_tier(jini, user, "Free");
    due_tend(jini);
    CHECK_BOOKS(jini, 2700, 0, 2700, 0, 0);
    leave(jini);
}

TEST(for_ever_has_no_end, "It is revenue at once, and nothing is sold behind it.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    paying_pay(jini, 1, user, "premium");
    CHECK_UINT(paying_pay(jini, 2, user, "forever").ends_ms, ==, UINT64_MAX);
    CHECK_UINT(paying_user(jini, user).tier_until_ms, ==, 0);
    CHECK_INT(paying_books(jini).revenue, ==, 9900);
    paying_pass_ms(1000 * DAY_MS);
    due_tend(jini);
    check_tier(jini, user, "Premium");
    struct jini_payment refused = paying_pay(jini, 3, user, "premium");
    CHECK_UINT(refused.refusal, ==, JINI_REFUSAL_OWNED);
    paying_refund(jini, 2, 0);
    check_tier(jini, user, "Free");
    CHECK_INT(paying_books(jini).refunds, ==, 9900);
    leave(jini);
}

TEST(a_cancelled_subscription_ends_without_grace, "And goes on again when it is resumed or paid.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    struct jini_subscription_cancel cancel;
    jini_request_init(&cancel);
    cancel.user_id = user;
    CHECK_STATUS(jini_subscription_cancel(jini, &cancel, NULL), JINI_E_NOT_FOUND);
    CHECK_TEXT(cancel.request.error.field, "subscription");
    paying_pay(jini, 1, user, "premium");
    fixture_must(jini_subscription_cancel(jini, &cancel, NULL), "cancel", &cancel.request.error);
    CHECK_UINT(cancel.subscription.cancelled, ==, 1);
    paying_pass_ms(10 * DAY_MS);
    check_tier(jini, user, "Premium");
    cancel.resume = 1;
    fixture_must(jini_subscription_cancel(jini, &cancel, NULL), "resume", &cancel.request.error);
    CHECK_UINT(paying_has(jini, user).grace_ms, ==, paying_has(jini, user).paid_ms + 3 * DAY_MS);
    cancel.resume = 0;
    fixture_must(jini_subscription_cancel(jini, &cancel, NULL), "cancel", &cancel.request.error);
    fixture_verify(jini);
    paying_pass_ms(20 * DAY_MS);
    check_tier(jini, user, "Free");
    due_tend(jini);
    fixture_verify(jini);
    paying_pay(jini, 2, user, "premium");
    CHECK_UINT(paying_has(jini, user).cancelled, ==, 0);
    leave(jini);
}

TEST(a_tier_that_is_set_by_hand_stays, "The end of the period takes it no more; a payment does.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    struct jini_user_set set;
    paying_pay(jini, 1, user, "premium");
    jini_request_init(&set);
    set.user.id = user;
    set.fields = JINI_USER_FIELD_TIER;
    snprintf(set.user.tier, sizeof(set.user.tier), "Basic");
    fixture_must(jini_user_set(jini, &set, NULL), "set", &set.request.error);
    CHECK_UINT(paying_has(jini, user).holds_tier, ==, 0);
    fixture_verify(jini);
    paying_pass_ms(60 * DAY_MS);
    due_tend(jini);
    check_tier(jini, user, "Basic");
    CHECK_INT(paying_books(jini).revenue, ==, 1500);
    paying_pay(jini, 2, user, "premium");
    check_tier(jini, user, "Premium");
    paying_pass_ms(60 * DAY_MS);
    check_tier(jini, user, "Free");
    leave(jini);
}

TEST(a_user_has_so_many_periods, "One more is refused, and its money stands apart.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    for (uint64_t i = 0; i < JINI_PERIODS_MAX; i++) {
        CHECK_UINT(paying_pay(jini, i + 1, user, "premium").state, ==, JINI_PAYMENT_SETTLED);
        paying_pass_ms(10000);
    }
    CHECK_UINT(paying_pay(jini, 100, user, "premium").refusal, ==, JINI_REFUSAL_PERIODS);
    CHECK_INT(paying_books(jini).unmatched, ==, 1500);
    leave(jini);
}

/* ---- Taking back ---- */

TEST(a_refund_takes_back_what_is_left, "Deferred money first, then revenue; the tier goes at once.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    uint64_t begin_ms = paying_now_ms;
    paying_pay(jini, 1, user, "premium");
    paying_pass_ms(DAY_MS / 2);
    paying_pay(jini, 2, user, "premium");
    paying_pass_ms(10 * DAY_MS);
    struct jini_payment back = paying_refund(jini, 1, 1200);
    CHECK_UINT(back.state, ==, JINI_PAYMENT_REFUNDED);
    CHECK_BOOKS(jini, 3000 - 1200, 1500, 500, 200, 0);
    check_tier(jini, user, "Premium"); /* by the second one, which begins now */
    CHECK_UINT(paying_get(jini, 2).starts_ms, ==, begin_ms + 10 * DAY_MS + DAY_MS / 2);
    fixture_verify(jini);
    paying_refund(jini, 2, 0);
    check_tier(jini, user, "Free");
    CHECK_BOOKS(jini, 300, 0, 500, 200, 0);
    leave(jini);
}

TEST(a_dispute_takes_back_and_gives_again,
     "While it is open the tier is gone; won, the rest of the period begins then; lost, all is.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    paying_pay(jini, 1, user, "premium");
    paying_pass_ms(10 * DAY_MS);
    paying_must(paying_end(jini, jini_payment_dispute, 1, 0, 0, 0));
    check_tier(jini, user, "Free");
    CHECK_BOOKS(jini, 0, 1000, 500, 0, 0);
    CHECK_INT(paying_books(jini).disputed, ==, 1500);
    CHECK_TEXT(paying_end(jini, jini_payment_refund, 1, 0, 0, 0).error.field, "state");
    paying_pass_ms(40 * DAY_MS);
    due_tend(jini);
    fixture_verify(jini);
    struct jini_payment won =
        paying_must(paying_end(jini, jini_payment_resolve, 1, 0, JINI_DISPUTE_WON, 15));
    CHECK_UINT(won.state, ==, JINI_PAYMENT_SETTLED);
    CHECK_UINT(won.ends_ms, ==, paying_now_ms + 20 * DAY_MS);
    check_tier(jini, user, "Premium");
    CHECK_BOOKS(jini, 1485, 1000, 500, 0, 0);
    CHECK_UINT(paying_end(jini, jini_payment_dispute, 1, 0, 0, 0).repeated, ==, 1);
    CHECK_TEXT(paying_end(jini, jini_payment_resolve, 1, 0, JINI_DISPUTE_LOST, 15).error.field,
               "outcome");
    paying_pay(jini, 2, user, "forever");
    paying_must(paying_end(jini, jini_payment_dispute, 2, 0, 0, 0));
    struct jini_payment lost =
        paying_must(paying_end(jini, jini_payment_resolve, 2, 0, JINI_DISPUTE_LOST, 20));
    CHECK_UINT(lost.state, ==, JINI_PAYMENT_REFUNDED);
    CHECK_UINT(lost.refunded, ==, 9900);
    CHECK_BOOKS(jini, 1465, 1000, 500 + 9900, 9900, 0);
    CHECK_TEXT(paying_end(jini, jini_payment_refund, 2, 0, 0, 0).error.field, "state");
    leave(jini);
}

/* ---- Credits ---- */

TEST(for_ever_takes_no_time_that_was_paid,
     "It begins behind the periods of other tiers, also in another currency, and goes alone.")
{
    struct jini *jini = open_shop();
    struct jini_price dollars = paying_price("dollars", "Premium", 9900, JINI_FOREVER, 0);
    uint64_t user = fixture_user(jini, "ada", "Free");
    snprintf(dollars.currency, sizeof(dollars.currency), "USD");
    paying_sell(jini, dollars);
    uint64_t ends_ms = paying_pay(jini, 1, user, "basic").ends_ms;
    CHECK_UINT(paying_pay(jini, 2, user, "dollars").starts_ms, ==, ends_ms);
    CHECK_UINT(paying_get(jini, 1).ends_ms, ==, ends_ms);
    check_tier(jini, user, "Basic");
    fixture_verify(jini);
    paying_refund(jini, 2, 0);
    CHECK_UINT(paying_get(jini, 1).ends_ms, ==, ends_ms);
    paying_pay(jini, 3, user, "dollars");
    paying_pass_ms(30 * DAY_MS);
    check_tier(jini, user, "Premium");
    due_tend(jini);
    leave(jini);
}

static void set_cost(struct jini *jini)
{
    struct jini_cost_set set;
    jini_request_init(&set);
    set.cost.per_image = 1000;
    fixture_must(jini_cost_set(jini, &set, NULL), "cost", &set.request.error);
}

/* Draws credits by a job, which is settled. */
static struct jini_id draw(struct jini *jini, uint64_t user, uint32_t credits, bool settle)
{
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    admit.parameters =
        (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = credits};
    fixture_must(jini_admit(jini, &admit, NULL), "admit", &admit.request.error);
    if (settle)
        fixture_settle(jini, &admit.job.id);
    return admit.job.id;
}

TEST(revenue_of_credits_follows_what_is_drawn,
     "A share for what was drawn, the last credit takes the rest, and what expires is revenue.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    set_cost(jini);
    struct jini_payment paid = paying_pay(jini, 1, user, "pack");
    CHECK_UINT(paid.credits, ==, 100);
    CHECK_UINT(paying_wallet(jini, user).available, ==, 100);
    CHECK_BOOKS(jini, 1001, 1001, 0, 0, 0);
    draw(jini, user, 3, true);
    draw(jini, user, 2, false);
    paying_pass_ms(DAY_MS);
    due_tend(jini);
    CHECK_BOOKS(jini, 1001, 1001 - 30, 30, 0, 0);
    fixture_verify(jini);
    paying_pass_ms(29 * DAY_MS);
    due_tend(jini);
    CHECK_UINT(paying_wallet(jini, user).available, ==, 0);
    CHECK_BOOKS(jini, 1001, 21, 980, 0, 0); /* 2 are reserved still */
    paying_pass_ms(40 * DAY_MS);
    due_tend(jini);
    leave(jini);
}

TEST(credits_go_with_their_payment, "What was drawn stays drawn; the rest goes, also when it comes "
                                    "free later, and comes again with a dispute that is won.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    set_cost(jini);
    paying_pay(jini, 1, user, "pack");
    draw(jini, user, 4, true);
    struct jini_id job = draw(jini, user, 5, false);
    paying_must(paying_end(jini, jini_payment_dispute, 1, 0, 0, 0));
    CHECK_UINT(paying_wallet(jini, user).available, ==, 0);
    CHECK_BOOKS(jini, 0, 1001 - 40, 40, 0, 0);
    fixture_release(jini, &job, JINI_JOB_FAILED);
    CHECK_UINT(paying_wallet(jini, user).available, ==, 5);
    paying_pass_ms(3600 * 1000);
    due_tend(jini);
    CHECK_UINT(paying_wallet(jini, user).available, ==, 0);
    fixture_verify(jini);
    paying_must(paying_end(jini, jini_payment_resolve, 1, 0, JINI_DISPUTE_WON, 0));
    CHECK_UINT(paying_wallet(jini, user).available, ==, 96);
    draw(jini, user, 6, true);
    paying_refund(jini, 1, 0);
    CHECK_UINT(paying_wallet(jini, user).available, ==, 0);
    CHECK_BOOKS(jini, 0, 0, 100, 100, 0);
    leave(jini);
}

TEST(what_a_job_gives_back_goes_with_its_payment,
     "Credits that are given back of a job whose payment was refunded are nobody's.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    struct jini_grant_refund refund;
    set_cost(jini);
    paying_pay(jini, 1, user, "pack");
    struct jini_id job = draw(jini, user, 10, true);
    paying_refund(jini, 1, 0);
    jini_request_init(&refund);
    refund.job_id = job;
    refund.credits = 10;
    fixture_must(jini_grant_refund(jini, &refund, NULL), "refund", &refund.request.error);
    CHECK_UINT(refund.refunded, ==, 10);
    CHECK_UINT(paying_wallet(jini, user).available, ==, 0);
    CHECK_BOOKS(jini, 0, 0, 100, 100, 0);
    leave(jini);
}

TEST(a_grant_is_given_back_and_taken, "By jobs, once; and by whoever revokes it.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    struct jini_grant_refund refund;
    struct jini_grant_revoke revoke;
    set_cost(jini);
    struct jini_payment paid = paying_pay(jini, 1, user, "pack");
    struct jini_id job = draw(jini, user, 4, true);
    struct jini_id open = draw(jini, user, 1, false);
    jini_request_init(&refund);
    refund.job_id = open;
    refund.credits = 9;
    CHECK_STATUS(jini_grant_refund(jini, &refund, NULL), JINI_E_CONFLICT);
    refund.job_id = paying_id(4);
    CHECK_STATUS(jini_grant_refund(jini, &refund, NULL), JINI_E_NOT_FOUND);
    refund.job_id = job;
    fixture_must(jini_grant_refund(jini, &refund, NULL), "refund", &refund.request.error);
    CHECK_UINT(refund.refunded, ==, 4);
    CHECK_STATUS(jini_grant_refund(jini, &refund, NULL), JINI_E_EXISTS);
    CHECK_UINT(paying_wallet(jini, user).available, ==, 99);
    jini_request_init(&revoke);
    revoke.grant_id = paid.grant_id;
    fixture_must(jini_grant_revoke(jini, &revoke, NULL), "revoke", &revoke.request.error);
    CHECK_UINT(revoke.revoked, ==, 99);
    CHECK_UINT(revoke.grant.reserved, ==, 1);
    fixture_must(jini_grant_revoke(jini, &revoke, NULL), "revoke", &revoke.request.error);
    CHECK_UINT(revoke.revoked, ==, 0);
    revoke.grant_id = paying_id(7);
    CHECK_STATUS(jini_grant_revoke(jini, &revoke, NULL), JINI_E_NOT_FOUND);
    paying_pass_ms(DAY_MS);
    due_tend(jini);
    CHECK_INT(paying_books(jini).revenue, ==, 1001 * 99 / 100);
    leave(jini);
}

TEST(a_full_wallet_refuses_the_payment, "It was paid, so its money stands apart; no tier comes.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    paying_sell(jini, paying_price("both", "Premium", 2000, 30, 10));
    for (uint64_t i = 0; i < JINI_GRANTS_LIVE_MAX; i++) {
        struct jini_grant_add add;
        jini_request_init(&add);
        add.grant.id = paying_id(1000 + i);
        add.grant.user_id = user;
        add.grant.granted = 1;
        add.grant.category = JINI_GRANT_PROMOTIONAL;
        fixture_must(jini_grant_add(jini, &add, NULL), "grant", &add.request.error);
    }
    CHECK_UINT(paying_pay(jini, 1, user, "both").refusal, ==, JINI_REFUSAL_GRANTS);
    check_tier(jini, user, "Free");
    CHECK_BOOKS(jini, 2000, 0, 0, 0, 2000);
    leave(jini);
}

/* ---- Time ---- */

TEST(a_clock_that_is_set_back_gives_nothing_twice, "Times of a user's payments never go back.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Free");
    uint64_t begin_ms = paying_now_ms;
    paying_pay(jini, 1, user, "premium");
    paying_pass_ms(20 * DAY_MS);
    paying_pay(jini, 2, user, "basic");
    due_tend(jini);
    int64_t revenue = paying_books(jini).revenue;
    paying_now_ms = begin_ms - 100 * DAY_MS;
    due_tend(jini);
    struct jini_payment third = paying_pay(jini, 3, user, "premium");
    CHECK_UINT(third.created_ms, ==, begin_ms + 20 * DAY_MS);
    CHECK_UINT(third.starts_ms, ==, begin_ms + 30 * DAY_MS);
    CHECK_INT(paying_books(jini).revenue, ==, revenue);
    struct jini_payment back = paying_refund(jini, 1, 0);
    CHECK_UINT(back.ended_ms, ==, begin_ms + 20 * DAY_MS);
    CHECK_INT(paying_books(jini).refunds, ==, 1000);
    leave(jini);
}

TEST(payments_of_the_past_are_taken, "At their own times, so that what is over is over at once.")
{
    struct jini *jini = open_shop();
    uint64_t user = fixture_user(jini, "ada", "Basic");
    uint64_t now_ms = paying_now_ms;
    static const uint64_t days_ago[] = {100, 70, 10};
    for (uint64_t i = 0; i < 3; i++) {
        struct jini_payment_intend intend;
        struct jini_payment_settle settle;
        jini_request_init(&intend);
        jini_request_init(&settle);
        intend.id = settle.id = paying_id(i + 1);
        intend.user_id = user;
        intend.at_ms = settle.at_ms = now_ms - days_ago[i] * DAY_MS;
        intend.flags = JINI_PAYMENT_IMPORTED;
        snprintf(intend.price, sizeof(intend.price), "premium");
        fixture_must(jini_payment_intend(jini, &intend, NULL), "intend", &intend.request.error);
        fixture_must(jini_payment_settle(jini, &settle, NULL), "settle", &settle.request.error);
        CHECK_UINT(settle.payment.received_ms, ==, intend.at_ms);
        CHECK_UINT(settle.payment.revenue, ==, i < 2 ? 1500 : 500);
        check_tier(jini, user, i < 2 ? "Basic" : "Premium");
        settle.at_ms = now_ms + 1;
        CHECK_STATUS(jini_payment_settle(jini, &settle, NULL), JINI_E_INVALID);
    }
    CHECK_UINT(paying_has(jini, user).ends_ms, ==, now_ms + 20 * DAY_MS);
    leave(jini);
}

TEST(payments_are_listed, "Those of a user from the newest back, all by their ids.")
{
    struct jini *jini = open_shop();
    uint64_t users[2] = {fixture_user(jini, "ada", "Free"), fixture_user(jini, "bob", "Free")};
    struct jini_payment list[8];
    struct jini_error error;
    size_t count;
    for (uint64_t i = 0; i < 6; i++) {
        paying_must(paying_intend(jini, i + 1, users[i % 2], "premium"));
        paying_pass_ms(DAY_MS);
    }
    CHECK_OK(jini_payment_list(jini, users[0], NULL, list, 2, &count, &error));
    CHECK_UINT(count, ==, 2);
    CHECK_UINT(list[0].id.bytes[15], ==, 5);
    CHECK_OK(jini_payment_list(jini, users[0], &list[1].id, list, 8, &count, &error));
    CHECK_UINT(count, ==, 1);
    CHECK_UINT(list[0].id.bytes[15], ==, 1);
    CHECK_OK(jini_payment_list(jini, 0, &list[0].id, list, 8, &count, &error));
    CHECK_UINT(count, ==, 5);
    CHECK_UINT(list[4].id.bytes[15], ==, 6);
    struct jini_id other = paying_id(2);
    CHECK_STATUS(jini_payment_list(jini, users[0], &other, list, 8, &count, &error),
                 JINI_E_NOT_FOUND);
    CHECK_STATUS(jini_payment_list(jini, 999, NULL, list, 8, &count, &error), JINI_E_NOT_FOUND);
    leave(jini);
}
