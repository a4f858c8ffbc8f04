/* Payments in a test: a clock that stands still unless it is moved, and short ways to pay. */
#ifndef PAYING_TEST_H
#define PAYING_TEST_H

#include "engine/due.h"
#include "engine_fixture.h"

#define DAY_MS UINT64_C(86400000)

static uint64_t paying_now_ms = UINT64_C(1767225600000); /* 2026-01-01 */

static uint64_t paying_wall_ns(void *context)
{
    (void)context;
    return __atomic_load_n(&paying_now_ms, __ATOMIC_RELAXED) * 1000000;
}

static const struct jini_clock paying_clock = {paying_wall_ns, fixture_boot_ns, NULL};

static inline struct jini *paying_open(void)
{
    struct jini_options options;
    fixture_options(&options);
    options.clock = &paying_clock;
    return fixture_open_with(&options);
}

static inline void paying_pass_ms(uint64_t ms)
{
    __atomic_fetch_add(&paying_now_ms, ms, __ATOMIC_RELAXED);
}

static inline struct jini_id paying_id(uint64_t number)
{
    struct jini_id id = {{0}};
    for (int i = 0; i < 8; i++)
        id.bytes[15 - i] = (uint8_t)(number >> (8 * i));
    return id;
}

static inline struct jini_price paying_price(const char *name, const char *tier, uint64_t amount,
                                             uint32_t days, uint64_t credits)
{
    struct jini_price price = {.amount = amount, .days = days, .credits = credits};
    snprintf(price.name, sizeof(price.name), "%s", name);
    snprintf(price.tier, sizeof(price.tier), "%s", tier);
    snprintf(price.currency, sizeof(price.currency), "EUR");
    price.credits_amount = tier[0] == '\0' ? amount : 0;
    return price;
}

static inline int paying_set(struct jini *jini, struct jini_price price, struct jini_error *error)
{
    struct jini_price_set set;
    jini_request_init(&set);
    set.price = price;
    int status = jini_price_set(jini, &set, NULL);
    *error = set.request.error;
    return status;
}

static inline void paying_sell(struct jini *jini, struct jini_price price)
{
    struct jini_error error;
    fixture_must(paying_set(jini, price, &error), "price", &error);
}

/* Calls of which only the answer and the payment matter. */
struct paid {
    int status;
    uint32_t repeated;
    struct jini_error error;
    struct jini_payment payment;
};

static inline struct paid paying_intend(struct jini *jini, uint64_t number, uint64_t user,
                                        const char *price)
{
    struct jini_payment_intend intend;
    jini_request_init(&intend);
    intend.id = paying_id(number);
    intend.user_id = user;
    snprintf(intend.price, sizeof(intend.price), "%s", price);
    int status = jini_payment_intend(jini, &intend, NULL);
    return (struct paid){status, intend.repeated, intend.request.error, intend.payment};
}

static inline struct paid paying_settle(struct jini *jini, uint64_t number, uint64_t fee)
{
    struct jini_payment_settle settle;
    jini_request_init(&settle);
    settle.id = paying_id(number);
    settle.fee = fee;
    int status = jini_payment_settle(jini, &settle, NULL);
    return (struct paid){status, settle.repeated, settle.request.error, settle.payment};
}

typedef int paying_end_fn(struct jini *jini, struct jini_payment_end *end, jini_callback *callback);

static inline struct paid paying_end(struct jini *jini, paying_end_fn *call, uint64_t number,
                                     uint64_t amount, uint32_t outcome, uint64_t fee)
{
    struct jini_payment_end end;
    jini_request_init(&end);
    end.id = paying_id(number);
    end.amount = amount;
    end.outcome = outcome;
    end.fee = fee;
    int status = call(jini, &end, NULL);
    return (struct paid){status, end.repeated, end.request.error, end.payment};
}

static inline struct jini_payment paying_must(struct paid paid)
{
    fixture_must(paid.status, "payment", &paid.error);
    return paid.payment;
}

/* Intends and settles. */
static inline struct jini_payment paying_pay(struct jini *jini, uint64_t number, uint64_t user,
                                             const char *price)
{
    paying_must(paying_intend(jini, number, user, price));
    return paying_must(paying_settle(jini, number, 0));
}

static inline struct jini_payment paying_refund(struct jini *jini, uint64_t number, uint64_t amount)
{
    return paying_must(paying_end(jini, jini_payment_refund, number, amount, 0, 0));
}

static inline struct jini_payment paying_get(struct jini *jini, uint64_t number)
{
    struct jini_payment payment;
    struct jini_error error;
    struct jini_id id = paying_id(number);
    fixture_must(jini_payment_get(jini, &id, &payment, &error), "get", &error);
    return payment;
}

static inline struct jini_books paying_books(struct jini *jini)
{
    struct jini_books books;
    struct jini_error error;
    fixture_must(jini_books_get(jini, "EUR", &books, &error), "books", &error);
    CHECK_INT(books.cash + books.fees + books.disputed + books.refunds, ==,
              books.deferred + books.revenue + books.unmatched);
    return books;
}

static inline struct jini_user paying_user(struct jini *jini, uint64_t id)
{
    struct jini_user user;
    struct jini_error error;
    fixture_must(jini_user_get(jini, id, &user, &error), "user", &error);
    return user;
}

static inline struct jini_subscription paying_has(struct jini *jini, uint64_t user)
{
    struct jini_subscription out;
    struct jini_error error;
    fixture_must(jini_subscription_get(jini, user, &out, &error), "subscription", &error);
    return out;
}

static inline struct jini_wallet paying_wallet(struct jini *jini, uint64_t user)
{
    struct jini_wallet wallet;
    struct jini_error error;
    size_t count;
    fixture_must(jini_wallet_get(jini, user, &wallet, NULL, 0, &count, &error), "wallet", &error);
    return wallet;
}

#endif
