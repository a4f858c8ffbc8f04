/*
 * Payments beside a model of them. The model knows no intervals: a user has spans of tiers that are
 * used up, the first one first, as time passes. Random operations with a clock that moves go to
 * both; each state, tier, share of revenue and balance must be the same, to the cent.
 */
#include "paying.h"

#include "engine/engine_private.h"

__extension__ typedef unsigned __int128 wide;

enum { USERS = 3, PAYMENTS = 400, PRICES = 6, SPANS = JINI_PERIODS_MAX, STEPS = 350 };

#define GRACE_MS (3 * DAY_MS)
#define FOREVER  UINT64_MAX
#define LOOK_MS  (31 * DAY_MS) /* credits are looked at that often at least */

struct model_price {
    const char *name;
    const char *tier; /* "": none */
    uint64_t amount;
    uint32_t days;
    uint64_t credits;
    uint64_t credits_amount;
    bool credits_expire;
};

static const struct model_price prices[PRICES] = {
    {"premium", "Premium", 1499, 30, 0, 0, false}, {"basic", "Basic", 601, 30, 0, 0, false},
    {"week", "Premium", 449, 7, 0, 0, false},      {"forever", "Premium", 9901, 0, 0, 0, false},
    {"pack", "", 1003, 30, 97, 1003, true},        {"both", "Basic", 1999, 30, 53, 700, true},
};

struct model_payment {
    uint64_t user;
    const struct model_price *price;
    uint32_t state;
    uint32_t refusal;
    uint32_t outcome;
    bool arrived;
    uint64_t fee;
    uint64_t lost_fee;
    uint64_t refunded;
    uint64_t served_ms;
    uint64_t revenue_end; /* what it came to when it was paid back */
    uint64_t left;        /* credits of its grant that are not drawn, while it lives */
    uint64_t gone;        /* drawn or expired */
    uint64_t expires_ms;  /* of its grant; 0: never */
    uint64_t sequence;
    uint64_t gone_before; /* LOOK_MS ago, or more */
    uint64_t gone_mark;
    uint64_t mark_ms;
};

struct model_span {
    unsigned payment;
    uint64_t left_ms;
};

struct model_user {
    uint64_t id;
    uint64_t last_ms;
    unsigned count;
    struct model_span spans[SPANS];
    bool held;
    bool cancelled;
    char tier[JINI_TIER_NAME_MAX];
    const char *grace_tier;
    unsigned grace_payment;
    uint64_t ended_ms; /* when the last span was used up */
    uint64_t grace_ms;
};

struct model {
    struct jini *jini;
    struct model_user users[USERS];
    struct model_payment payments[PAYMENTS];
    unsigned count;
    uint64_t sequence;
};

static uint64_t share(uint64_t amount, uint64_t gone, uint64_t whole)
{
    return gone >= whole ? amount : (uint64_t)((wide)amount * gone / whole);
}

static const struct model_price *price_of(const struct model *model, const struct model_span *span)
{
    return model->payments[span->payment].price;
}

static uint64_t tier_amount(const struct model_payment *payment)
{
    return payment->price->amount - payment->price->credits_amount;
}

/* What of its tier's part is revenue, were it looked at now. */
static uint64_t by_time(const struct model_payment *payment)
{
    uint32_t days = payment->price->days;
    if (payment->price->tier[0] == '\0' || days == 0)
        return tier_amount(payment);
    return share(tier_amount(payment), payment->served_ms / DAY_MS, days);
}

static uint64_t by_credits(const struct model_payment *payment, uint64_t gone)
{
    return payment->price->credits == 0
               ? 0
               : share(payment->price->credits_amount, gone, payment->price->credits);
}

/* ---- Time ---- */

static void set_tier(struct model *model, struct model_user *user)
{
    const char *tier = user->count > 0                  ? price_of(model, &user->spans[0])->tier
                       : user->last_ms < user->grace_ms ? user->grace_tier
                                                        : NULL;
    if (user->held)
        snprintf(user->tier, sizeof(user->tier), "%s", tier ? tier : "Free");
    if (!tier) {
        user->held = false;
        user->cancelled = false;
    }
}

static void use_up(struct model *model, struct model_user *user, uint64_t now_ms)
{
    while (user->count > 0 && user->last_ms < now_ms) {
        struct model_span *first = &user->spans[0];
        uint64_t step_ms = now_ms - user->last_ms;
        if (first->left_ms == FOREVER)
            break;
        if (step_ms > first->left_ms)
            step_ms = first->left_ms;
        model->payments[first->payment].served_ms += step_ms;
        first->left_ms -= step_ms;
        user->last_ms += step_ms;
        if (first->left_ms > 0)
            continue;
        user->grace_tier = price_of(model, first)->tier;
        user->grace_payment = first->payment;
        user->ended_ms = user->last_ms;
        user->grace_ms = user->last_ms + (user->cancelled ? 0 : GRACE_MS);
        memmove(user->spans, user->spans + 1, --user->count * sizeof(*user->spans));
    }
    if (user->last_ms < now_ms)
        user->last_ms = now_ms;
    set_tier(model, user);
}

static void expire(struct model *model, uint64_t now_ms)
{
    for (unsigned i = 0; i < model->count; i++) {
        struct model_payment *payment = &model->payments[i];
        if (payment->left > 0 && payment->expires_ms != 0 && payment->expires_ms <= now_ms) {
            payment->gone += payment->left;
            payment->left = 0;
        }
        if (now_ms >= payment->mark_ms + LOOK_MS) {
            payment->gone_before = payment->gone_mark;
            payment->gone_mark = payment->gone;
            payment->mark_ms = now_ms;
        }
    }
}

/* ---- Giving and taking ---- */

static bool dearer(const struct model_price *a, const struct model_price *b)
{
    uint64_t rate_a = a->days ? (a->amount - a->credits_amount) * 1000 / a->days : 0;
    uint64_t rate_b = b->days ? (b->amount - b->credits_amount) * 1000 / b->days : 0;
    return strcmp(a->tier, b->tier) != 0 && rate_a > rate_b;
}

/* How many spans there are for the engine, which keeps the last one until its grace is over. */
static unsigned kept(const struct model_user *user)
{
    return user->count == 0 && user->last_ms < user->grace_ms ? 1 : user->count;
}

static uint32_t give_tier(struct model *model, struct model_user *user, unsigned index)
{
    struct model_payment *payment = &model->payments[index];
    const struct model_price *price = payment->price;
    uint64_t length_ms = price->days * DAY_MS - payment->served_ms;
    unsigned place = 0;
    if (price->tier[0] == '\0' || (price->days && length_ms == 0))
        return 0;
    if (kept(user) == SPANS)
        return JINI_REFUSAL_PERIODS;
    while (place < user->count && !dearer(price, price_of(model, &user->spans[place])))
        place++;
    if (place > 0 && user->spans[place - 1].left_ms == FOREVER)
        return JINI_REFUSAL_OWNED;
    if (price->days == 0)
        length_ms = FOREVER;
    bool in_grace = user->count == 0 && user->last_ms < user->grace_ms &&
                    strcmp(user->grace_tier, price->tier) == 0;
    uint64_t late_ms = user->last_ms - user->ended_ms;
    if (in_grace && length_ms == FOREVER)
        late_ms = 0;
    if (in_grace && late_ms < length_ms) {
        payment->served_ms += late_ms;
        length_ms -= length_ms == FOREVER ? 0 : late_ms;
    }
    memmove(user->spans + place + 1, user->spans + place,
            (user->count - place) * sizeof(*user->spans));
    user->spans[place] = (struct model_span){index, length_ms};
    user->count++;
    user->cancelled = false;
    user->grace_ms = 0;
    user->held = true;
    return 0;
}

/* When a span ends, were nothing to happen. */
static uint64_t end_of(const struct model_user *user, unsigned payment)
{
    uint64_t ends_ms = user->last_ms;
    for (unsigned i = 0; i < user->count; i++) {
        bool forever = user->spans[i].left_ms == FOREVER;
        ends_ms = forever ? FOREVER : ends_ms + user->spans[i].left_ms;
        if (user->spans[i].payment == payment)
            return ends_ms;
    }
    return 0;
}

static uint32_t give(struct model *model, struct model_user *user, unsigned index)
{
    struct model_payment *payment = &model->payments[index];
    uint32_t refusal = give_tier(model, user, index);
    if (refusal)
        return refusal;
    payment->left = payment->price->credits - payment->gone;
    if (payment->left > 0) {
        uint64_t ends_ms = end_of(user, index);
        payment->sequence = model->sequence++;
        payment->expires_ms = !payment->price->credits_expire ? 0
                              : ends_ms                       ? ends_ms
                                        : user->last_ms + payment->price->days * DAY_MS;
    }
    set_tier(model, user);
    return 0;
}

static void take_back(struct model *model, struct model_user *user, unsigned index)
{
    for (unsigned i = 0; i < user->count; i++) {
        if (user->spans[i].payment != index)
            continue;
        memmove(user->spans + i, user->spans + i + 1, (--user->count - i) * sizeof(*user->spans));
        user->grace_ms = 0;
    }
    /* The grace is the last one's, and goes with it. */
    if (user->count == 0 && user->grace_payment == index)
        user->grace_ms = 0;
    model->payments[index].left = 0;
    set_tier(model, user);
}

/* ---- Comparing ---- */

static uint64_t rounded(uint64_t ms)
{
    return (ms + 999) / 1000 * 1000;
}

static void check_payment(const struct model *model, unsigned index, struct jini_books *sums)
{
    const struct model_payment *expected = &model->payments[index];
    struct jini_payment got = paying_get(model->jini, index + 1);
    bool open = got.state == JINI_PAYMENT_SETTLED || got.state == JINI_PAYMENT_DISPUTED;
    CHECK_UINT(got.state, ==, expected->state);
    CHECK_UINT(got.refusal, ==, expected->refusal);
    CHECK_UINT(got.refunded, ==, expected->refunded);
    CHECK_UINT(got.received, ==, expected->arrived ? expected->price->amount : 0);
    CHECK_UINT(got.fee, ==, expected->fee + expected->lost_fee);
    CHECK_UINT(got.deferred, ==, open ? got.received - got.revenue : 0);
    if (got.state == JINI_PAYMENT_REFUNDED && expected->refusal == 0) {
        CHECK_UINT(got.revenue, ==, expected->revenue_end);
    } else if (open) {
        uint64_t time = by_time(expected);
        CHECK_UINT(got.revenue, >=, time + by_credits(expected, expected->gone_before));
        CHECK_UINT(got.revenue, <=, time + by_credits(expected, expected->gone));
    } else {
        CHECK_UINT(got.revenue, ==, 0);
    }
    bool disputed = got.state == JINI_PAYMENT_DISPUTED;
    bool refused = got.state == JINI_PAYMENT_REFUSED;
    sums->cash += (int64_t)(got.received - got.refunded) - (int64_t)got.fee -
                  (disputed ? (int64_t)got.received : 0);
    sums->fees += (int64_t)got.fee;
    sums->disputed += disputed ? (int64_t)got.received : 0;
    sums->deferred += (int64_t)got.deferred;
    sums->revenue += (int64_t)got.revenue;
    sums->unmatched += refused ? (int64_t)got.received : 0;
}

static void check_user(const struct model *model, const struct model_user *user)
{
    uint64_t available = 0;
    CHECK_TEXT(paying_user(model->jini, user->id).tier, user->tier);
    for (unsigned i = 0; i < model->count; i++)
        available += model->payments[i].user == user->id ? model->payments[i].left : 0;
    CHECK_UINT(paying_wallet(model->jini, user->id).available, ==, available);
    struct jini_subscription has = paying_has(model->jini, user->id);
    bool in_grace = user->count == 0 && user->last_ms < user->grace_ms;
    CHECK_UINT(has.state, ==,
               user->count ? JINI_SUBSCRIPTION_ACTIVE
               : in_grace  ? JINI_SUBSCRIPTION_PAST_DUE
                           : JINI_SUBSCRIPTION_NONE);
    if (user->count > 0) {
        CHECK_UINT(has.periods, ==, user->count);
        CHECK_UINT(has.paid_ms, ==, end_of(user, user->spans[user->count - 1].payment));
        CHECK_UINT(has.cancelled, ==, user->cancelled);
    }
}

static void compare(struct model *model)
{
    struct jini_books sums = {{0}, 0, 0, 0, 0, 0, 0, 0, 0};
    struct jini_books books;
    due_tend(model->jini);
    expire(model, paying_now_ms);
    for (unsigned i = 0; i < USERS; i++)
        use_up(model, &model->users[i], paying_now_ms);
    for (unsigned i = 0; i < model->count; i++)
        check_payment(model, i, &sums);
    for (unsigned i = 0; i < USERS; i++)
        check_user(model, &model->users[i]);
    books = paying_books(model->jini);
    CHECK_INT(books.cash, ==, sums.cash);
    CHECK_INT(books.fees, ==, sums.fees);
    CHECK_INT(books.disputed, ==, sums.disputed);
    CHECK_INT(books.deferred, ==, sums.deferred);
    CHECK_INT(books.revenue, ==, sums.revenue);
    CHECK_INT(books.unmatched, ==, sums.unmatched);
}

/* ---- Operations ---- */

static struct model_user *user_of(struct model *model, const struct model_payment *payment)
{
    struct model_user *user = model->users;
    while (user->id != payment->user)
        user++;
    return user;
}

static void do_intend(struct model *model)
{
    struct model_user *user = &model->users[harness_random_below(USERS)];
    if (model->count == PAYMENTS)
        return;
    struct model_payment *payment = &model->payments[model->count++];
    *payment = (struct model_payment){.user = user->id,
                                      .price = &prices[harness_random_below(PRICES)],
                                      .state = JINI_PAYMENT_INTENT};
    paying_must(paying_intend(model->jini, model->count, user->id, payment->price->name));
}

static void settle(struct model *model, unsigned index)
{
    struct model_payment *payment = &model->payments[index];
    struct model_user *user = user_of(model, payment);
    uint64_t fee = harness_random_below(50);
    if (payment->arrived)
        fee = payment->fee;
    CHECK_UINT(paying_settle(model->jini, index + 1, fee).status, ==, 0);
    if (payment->arrived)
        return;
    payment->arrived = true;
    payment->fee = fee;
    payment->refusal = payment->state == JINI_PAYMENT_FAILED ? JINI_REFUSAL_FAILED_BEFORE
                                                             : give(model, user, index);
    payment->state = payment->refusal ? JINI_PAYMENT_REFUSED : JINI_PAYMENT_SETTLED;
}

static void refund(struct model *model, unsigned index)
{
    struct model_payment *payment = &model->payments[index];
    bool settled = payment->state == JINI_PAYMENT_SETTLED;
    bool refused = payment->state == JINI_PAYMENT_REFUSED && payment->arrived;
    uint64_t amount = refused ? 0 : harness_random_below(payment->price->amount + 1);
    struct paid paid = paying_end(model->jini, jini_payment_refund, index + 1, amount, 0, 0);
    if (payment->state == JINI_PAYMENT_REFUNDED)
        return; /* the same again, or another amount */
    CHECK_STATUS(paid.status, settled || refused ? 0 : JINI_E_CONFLICT);
    if (paid.status)
        return;
    payment->refunded = amount ? amount : payment->price->amount;
    payment->state = JINI_PAYMENT_REFUNDED;
    if (refused)
        return;
    uint64_t revenue = by_time(payment) + by_credits(payment, payment->gone);
    uint64_t deferred = payment->price->amount - revenue;
    payment->revenue_end =
        payment->refunded < deferred ? payment->price->amount - payment->refunded : revenue;
    take_back(model, user_of(model, payment), index);
}

static void dispute(struct model *model, unsigned index)
{
    struct model_payment *payment = &model->payments[index];
    bool settled = payment->state == JINI_PAYMENT_SETTLED && payment->outcome == 0;
    struct paid paid = paying_end(model->jini, jini_payment_dispute, index + 1, 0, 0, 0);
    if (settled) {
        CHECK_STATUS(paid.status, 0);
        payment->gone_before = payment->gone; /* it was looked at */
        payment->state = JINI_PAYMENT_DISPUTED;
        take_back(model, user_of(model, payment), index);
    }
}

static void resolve(struct model *model, unsigned index)
{
    struct model_payment *payment = &model->payments[index];
    uint32_t outcome = harness_random_below(2) ? JINI_DISPUTE_WON : JINI_DISPUTE_LOST;
    uint64_t fee = harness_random_below(2000);
    bool disputed = payment->state == JINI_PAYMENT_DISPUTED;
    struct paid paid = paying_end(model->jini, jini_payment_resolve, index + 1, 0, outcome, fee);
    if (!disputed)
        return;
    CHECK_STATUS(paid.status, 0);
    payment->outcome = outcome;
    payment->lost_fee = fee;
    if (outcome == JINI_DISPUTE_LOST) {
        payment->state = JINI_PAYMENT_REFUNDED;
        payment->refunded = payment->price->amount;
        payment->revenue_end = by_time(payment) + by_credits(payment, payment->gone);
        return;
    }
    payment->state = JINI_PAYMENT_SETTLED;
    if (give(model, user_of(model, payment), index) != 0) { /* the user has it */
        payment->served_ms = payment->price->days * DAY_MS;
        if (payment->price->days > 0)
            CHECK_UINT(give(model, user_of(model, payment), index), ==, 0);
    }
}

static void fail(struct model *model, unsigned index)
{
    struct model_payment *payment = &model->payments[index];
    struct paid paid = paying_end(model->jini, jini_payment_fail, index + 1, 0, 0, 0);
    bool may = payment->state == JINI_PAYMENT_INTENT || payment->state == JINI_PAYMENT_FAILED;
    CHECK_STATUS(paid.status, may ? 0 : JINI_E_CONFLICT);
    payment->state = may ? JINI_PAYMENT_FAILED : payment->state;
}

static void do_cancel(struct model *model)
{
    struct model_user *user = &model->users[harness_random_below(USERS)];
    struct jini_subscription_cancel cancel;
    jini_request_init(&cancel);
    cancel.user_id = user->id;
    cancel.resume = (uint32_t)harness_random_below(2);
    bool has = kept(user) > 0;
    CHECK_STATUS(jini_subscription_cancel(model->jini, &cancel, NULL), has ? 0 : JINI_E_NOT_FOUND);
    if (!has)
        return;
    user->cancelled = !cancel.resume;
    if (user->count == 0)
        user->grace_ms = user->ended_ms + (cancel.resume ? GRACE_MS : 0);
    set_tier(model, user);
}

static void do_hand(struct model *model)
{
    struct model_user *user = &model->users[harness_random_below(USERS)];
    struct jini_user_set set;
    jini_request_init(&set);
    set.user.id = user->id;
    set.fields = JINI_USER_FIELD_TIER;
    snprintf(set.user.tier, sizeof(set.user.tier), "%s",
             harness_random_below(2) ? "Basic" : "Free");
    fixture_must(jini_user_set(model->jini, &set, NULL), "set", &set.request.error);
    snprintf(user->tier, sizeof(user->tier), "%s", set.user.tier);
    user->held = false;
}

/* The grant that is drawn first: the one that expires first, then the oldest. */
static struct model_payment *first_grant(struct model *model, uint64_t user)
{
    struct model_payment *best = NULL;
    for (unsigned i = 0; i < model->count; i++) {
        struct model_payment *payment = &model->payments[i];
        if (payment->user != user || payment->left == 0)
            continue;
        uint64_t expires_ms = payment->expires_ms ? rounded(payment->expires_ms) : FOREVER;
        uint64_t best_ms = !best ? 0 : best->expires_ms ? rounded(best->expires_ms) : FOREVER;
        if (!best || expires_ms < best_ms ||
            (expires_ms == best_ms && payment->sequence < best->sequence))
            best = payment;
    }
    return best;
}

static void do_draw(struct model *model)
{
    struct model_user *user = &model->users[harness_random_below(USERS)];
    uint32_t wanted = 1 + (uint32_t)harness_random_below(20);
    uint64_t available = paying_wallet(model->jini, user->id).available;
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user->id};
    admit.parameters =
        (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = wanted};
    int status = jini_admit(model->jini, &admit, NULL);
    CHECK_STATUS(status, available < wanted ? JINI_E_FUNDS : 0);
    if (status)
        return;
    fixture_settle(model->jini, &admit.job.id);
    while (wanted > 0) {
        struct model_payment *grant = first_grant(model, user->id);
        CHECK(grant != NULL);
        uint32_t part = grant->left < wanted ? (uint32_t)grant->left : wanted;
        grant->left -= part;
        grant->gone += part;
        wanted -= part;
    }
}

static void do_pass(void)
{
    static const uint64_t steps_s[] = {11, 3600, 86400, 90000, 5 * 86400, 31 * 86400};
    paying_pass_ms(steps_s[harness_random_below(6)] * 1000 * (1 + harness_random_below(2)));
}

/* One of those that were begun last, most of the time. */
static unsigned any_payment(const struct model *model)
{
    unsigned recent = model->count < 8 || harness_random_below(8) == 0 ? model->count : 8;
    return model->count - 1 - (unsigned)harness_random_below(recent);
}

static void step(struct model *model)
{
    unsigned what = (unsigned)harness_random_below(20);
    if (model->count == 0 || what < 4) {
        do_pass(); /* so that none is the same as the one before */
        compare(model);
        do_intend(model);
        if (harness_random_below(4) > 0)
            settle(model, model->count - 1);
    } else if (what < 7) {
        do_pass();
    } else if (what < 9) {
        settle(model, any_payment(model));
    } else if (what < 10) {
        fail(model, any_payment(model));
    } else if (what < 12) {
        refund(model, any_payment(model));
    } else if (what < 13) {
        dispute(model, any_payment(model));
    } else if (what < 15) {
        resolve(model, any_payment(model));
    } else if (what < 16) {
        do_cancel(model);
    } else if (what < 17) {
        do_hand(model);
    } else {
        do_draw(model);
    }
    compare(model);
}

static void sell(struct jini *jini)
{
    struct jini_cost_set cost;
    static const char *const tiers[] = {"Free", "Basic", "Premium"};
    for (unsigned i = 0; i < 3; i++) {
        struct jini_tier_set set;
        jini_request_init(&set);
        snprintf(set.tier.name, sizeof(set.tier.name), "%s", tiers[i]);
        set.fields = JINI_ALLOWANCE_LIMITS;
        fixture_must(jini_tier_set(jini, &set, NULL), "tier", &set.request.error);
    }
    jini_request_init(&cost);
    cost.cost.per_image = 1000;
    fixture_must(jini_cost_set(jini, &cost, NULL), "cost", &cost.request.error);
    for (unsigned i = 0; i < PRICES; i++) {
        struct jini_price price = paying_price(prices[i].name, prices[i].tier, prices[i].amount,
                                               prices[i].days, prices[i].credits);
        price.credits_amount = prices[i].credits_amount;
        price.credits_expire = prices[i].credits_expire;
        paying_sell(jini, price);
    }
}

TEST(payments_are_as_a_model_of_them,
     "Random payments, refunds and disputes with a clock that moves come to the same in both.")
{
    static struct model model;
    static const char *const names[USERS] = {"ada", "bob", "eve"};
    harness_keep_heap();
    model.jini = paying_open();
    sell(model.jini);
    for (unsigned i = 0; i < USERS; i++) {
        model.users[i].id = fixture_user(model.jini, names[i], "Free");
        model.users[i].last_ms = paying_now_ms;
        snprintf(model.users[i].tier, sizeof(model.users[i].tier), "Free");
    }
    for (unsigned i = 0; i < STEPS * harness_scale(); i++)
        step(&model);
    fixture_verify(model.jini);
    CHECK_OK(jini_close(model.jini, NULL, NULL));
}
