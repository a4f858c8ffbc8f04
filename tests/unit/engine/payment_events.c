/* Events of payments: each change has its own, in the order in which they follow, and once. */
#include "paying.h"

static struct jini_events_cursor cursor;

static struct jini *open_shop(uint64_t *user)
{
    struct jini *jini = paying_open();
    *user = fixture_user(jini, "ada", "Free");
    paying_sell(jini, paying_price("month", "Basic", 500, 30, 0));
    paying_sell(jini, paying_price("more", "Premium", 1500, 30, 100));
    paying_sell(jini, paying_price("credits", "", 300, 30, 60));
    return jini;
}

/* The types and payloads of what came since the last call, a line each. */
static const char *news(struct jini *jini)
{
    static char lines[8192];
    static char text[JINI_EVENT_PAYLOAD_MAX];
    struct jini_event events[64];
    struct jini_events_page page = {
        .events = events, .capacity = 64, .text = text, .text_capacity = sizeof(text)};
    struct jini_error error;
    size_t length = 0;
    fixture_must(jini_events_list(jini, NULL, &cursor, &page, &error), "list", &error);
    lines[0] = '\0';
    for (uint32_t i = 0; i < page.count; i++)
        length += (size_t)snprintf(lines + length, sizeof(lines) - length, "%s %s\n",
                                   events[i].type, events[i].payload);
    return lines;
}

TEST(a_life_is_told, "From the first payment to the end of what was paid for.")
{
    uint64_t user;
    struct jini *jini = open_shop(&user);
    news(jini);
    paying_must(paying_intend(jini, 1, user, "month"));
    CHECK_TEXT(news(jini), "");
    paying_must(paying_settle(jini, 1, 0));
    CHECK_TEXT(news(jini),
               "payment.settled {\"price\":\"month\",\"amount\":500,\"currency\":\"EUR\","
               "\"tier\":\"Basic\"}\n"
               "subscription.started {\"tier\":\"Basic\",\"paid_ms\":1769817600000}\n"
               "user.tier_changed {\"tier\":\"Basic\",\"tier_before\":\"Free\"}\n");
    paying_must(paying_settle(jini, 1, 0));
    CHECK_TEXT(news(jini), "");
    paying_pass_ms(DAY_MS);
    paying_pay(jini, 2, user, "month");
    CHECK_TEXT(news(jini),
               "payment.settled {\"price\":\"month\",\"amount\":500,\"currency\":\"EUR\","
               "\"tier\":\"Basic\"}\n"
               "subscription.renewed {\"tier\":\"Basic\",\"paid_ms\":1772409600000}\n");
    paying_pass_ms(58 * DAY_MS);
    due_tend(jini);
    CHECK_TEXT(news(jini), "");
    paying_pass_ms(DAY_MS);
    due_tend(jini);
    CHECK_TEXT(news(jini), "subscription.past_due {\"tier\":\"Basic\",\"paid_ms\":1772409600000,"
                           "\"grace_ms\":1772668800000}\n");
    due_tend(jini);
    CHECK_TEXT(news(jini), "");
    paying_pass_ms(3 * DAY_MS);
    due_tend(jini);
    CHECK_TEXT(news(jini), "subscription.ended {\"tier\":\"Basic\",\"paid_ms\":1772409600000}\n"
                           "user.tier_changed {\"tier\":\"Free\",\"tier_before\":\"Basic\"}\n");
    due_tend(jini);
    CHECK_TEXT(news(jini), "");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(what_goes_back_is_told, "A refund ends the subscription and takes the credits that are left.")
{
    uint64_t user;
    struct jini *jini = open_shop(&user);
    paying_pay(jini, 1, user, "more");
    CHECK_TEXT(news(jini),
               "user.created {\"tier\":\"Free\"}\n"
               "payment.settled {\"price\":\"more\",\"amount\":1500,\"currency\":\"EUR\","
               "\"tier\":\"Premium\",\"credits\":100}\n"
               "subscription.started {\"tier\":\"Premium\",\"paid_ms\":1769817600000}\n"
               "user.tier_changed {\"tier\":\"Premium\",\"tier_before\":\"Free\"}\n"
               "credits.granted {\"credits\":100,\"category\":\"paid\"}\n");
    paying_refund(jini, 1, 1000);
    CHECK_TEXT(news(jini),
               "payment.refunded {\"price\":\"more\",\"amount\":1000,\"currency\":\"EUR\"}\n"
               "subscription.ended {\"tier\":\"Premium\",\"paid_ms\":1769817600000}\n"
               "user.tier_changed {\"tier\":\"Free\",\"tier_before\":\"Premium\"}\n"
               "credits.revoked {\"credits\":100}\n");
    paying_refund(jini, 1, 1000);
    CHECK_TEXT(news(jini), "");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_dispute_is_told, "When it begins, and how it ended.")
{
    uint64_t user;
    struct jini *jini = open_shop(&user);
    paying_pay(jini, 1, user, "month");
    paying_pay(jini, 2, user, "credits");
    news(jini);
    paying_must(paying_end(jini, jini_payment_dispute, 1, 0, 0, 0));
    CHECK_TEXT(news(jini),
               "payment.disputed {\"price\":\"month\",\"amount\":500,\"currency\":\"EUR\"}\n"
               "subscription.ended {\"tier\":\"Basic\",\"paid_ms\":1769817600000}\n"
               "user.tier_changed {\"tier\":\"Free\",\"tier_before\":\"Basic\"}\n");
    paying_must(paying_end(jini, jini_payment_resolve, 1, 0, JINI_DISPUTE_WON, 0));
    CHECK_TEXT(news(jini),
               "payment.dispute_won {\"price\":\"month\",\"amount\":500,\"currency\":\"EUR\"}\n"
               "subscription.started {\"tier\":\"Basic\",\"paid_ms\":1769817600000}\n"
               "user.tier_changed {\"tier\":\"Basic\",\"tier_before\":\"Free\"}\n");
    paying_must(paying_end(jini, jini_payment_dispute, 2, 0, 0, 0));
    paying_must(paying_end(jini, jini_payment_resolve, 2, 0, JINI_DISPUTE_LOST, 0));
    paying_must(paying_end(jini, jini_payment_resolve, 2, 0, JINI_DISPUTE_LOST, 0));
    CHECK_TEXT(
        news(jini),
        "payment.disputed {\"price\":\"credits\",\"amount\":300,\"currency\":\"EUR\"}\n"
        "credits.revoked {\"credits\":60}\n"
        "payment.dispute_lost {\"price\":\"credits\",\"amount\":300,\"currency\":\"EUR\"}\n");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(what_buys_nothing_is_told, "Refused at once, refused when its money arrives, or failed.")
{
    uint64_t user;
    struct jini *jini = open_shop(&user);
    struct jini_payment_settle settle;
    news(jini);
    paying_must(paying_intend(jini, 1, user, "month"));
    jini_request_init(&settle);
    settle.id = paying_id(1);
    settle.amount = 400;
    snprintf(settle.currency, sizeof(settle.currency), "EUR");
    fixture_must(jini_payment_settle(jini, &settle, NULL), "settle", &settle.request.error);
    CHECK_TEXT(news(jini),
               "payment.refused {\"price\":\"month\",\"amount\":400,\"currency\":\"EUR\","
               "\"reason\":\"another amount than that of the price\"}\n");
    struct jini_payment_intend intend;
    jini_request_init(&intend);
    intend.id = paying_id(2);
    intend.user_id = user;
    intend.amount = 77;
    snprintf(intend.currency, sizeof(intend.currency), "EUR");
    fixture_must(jini_payment_intend(jini, &intend, NULL), "intend", &intend.request.error);
    CHECK_TEXT(news(jini), "payment.refused {\"amount\":77,\"currency\":\"EUR\","
                           "\"reason\":\"there is no such price\"}\n");
    paying_must(paying_intend(jini, 3, user, "month"));
    paying_must(paying_end(jini, jini_payment_fail, 3, 0, 0, 0));
    paying_must(paying_end(jini, jini_payment_fail, 3, 0, 0, 0));
    CHECK_TEXT(news(jini),
               "payment.failed {\"price\":\"month\",\"amount\":500,\"currency\":\"EUR\"}\n");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_cancellation_is_told, "Once, and that it was taken back; a payment does that as well.")
{
    uint64_t user;
    struct jini *jini = open_shop(&user);
    struct jini_subscription_cancel cancel;
    jini_request_init(&cancel);
    cancel.user_id = user;
    paying_pay(jini, 1, user, "month");
    news(jini);
    for (int i = 0; i < 4; i++) {
        cancel.resume = i / 2 % 2;
        fixture_must(jini_subscription_cancel(jini, &cancel, NULL), "cancel",
                     &cancel.request.error);
    }
    CHECK_TEXT(news(jini), "subscription.cancelled {\"tier\":\"Basic\",\"paid_ms\":1769817600000}\n"
                           "subscription.resumed {\"tier\":\"Basic\",\"paid_ms\":1769817600000}\n");
    cancel.resume = 0;
    fixture_must(jini_subscription_cancel(jini, &cancel, NULL), "cancel", &cancel.request.error);
    news(jini);
    paying_pass_ms(DAY_MS);
    paying_pay(jini, 2, user, "month");
    CHECK_TEXT(news(jini),
               "payment.settled {\"price\":\"month\",\"amount\":500,\"currency\":\"EUR\","
               "\"tier\":\"Basic\"}\n"
               "subscription.renewed {\"tier\":\"Basic\",\"paid_ms\":1772409600000}\n"
               "subscription.resumed {\"tier\":\"Basic\",\"paid_ms\":1772409600000}\n");
    CHECK_OK(jini_close(jini, NULL, NULL));
}
