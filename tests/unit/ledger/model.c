/*
 * The ledger beside a model of it: arrays that are searched from one end to the other, and rules
 * written down once more, from TigerBeetle's pages. Random requests go to both; each answer, each
 * balance and each listing must be the same.
 */
#include "fixture.h"

#include "base/id.h"

#define R(name) JINI_TRANSFER_RESULT_##name
#define A(name) JINI_ACCOUNT_RESULT_##name

enum {
    ACCOUNTS = 12,
    IDS = 4000, /* of transfers, so that they come again */
    EVENTS_MAX = 200 * 1000,
    BATCH_MAX = 40
};

static const amount128 all = ~(amount128)0;

struct model_account {
    struct jini_account account;
    struct balance balance;
};

enum model_state { NOT_PENDING, OPEN, POSTED, VOIDED, EXPIRED };

struct model_event {
    struct jini_transfer transfer;
    amount128 amount;
    enum model_state state;
    uint64_t expires_ns;
    struct balance debit; /* after it */
    struct balance credit;
};

struct model {
    struct model_account accounts[ACCOUNTS];
    unsigned account_count;
    struct model_event *events;
    unsigned event_count;
    uint64_t failed[IDS + 1]; /* ids that are used up */
    uint64_t last_ns;
    uint64_t now_ns;
};

static struct model_account *model_account(struct model *model, const struct jini_id *id)
{
    for (unsigned i = 0; i < model->account_count; i++) {
        if (id_equal(&model->accounts[i].account.id, id))
            return &model->accounts[i];
    }
    return NULL;
}

static struct model_event *model_event(struct model *model, const struct jini_id *id)
{
    for (unsigned i = 0; i < model->event_count && !id_is_zero(id); i++) {
        if (id_equal(&model->events[i].transfer.id, id))
            return &model->events[i];
    }
    return NULL;
}

static uint64_t number_of(const struct jini_id *id)
{
    return load_be64(id->bytes + 8);
}

static uint64_t next_ns(const struct model *model)
{
    return model->now_ns > model->last_ns + 1 ? model->now_ns : model->last_ns + 1;
}

/* ---- Accounts ---- */

static enum jini_account_result model_add(struct model *model, const struct jini_account *account)
{
    const struct model_account *old = model_account(model, &account->id);
    const unsigned both =
        JINI_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS | JINI_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS;
    if (id_is_zero(&account->id))
        return A(ID_MUST_NOT_BE_ZERO);
    if (old) {
        if ((old->account.flags | JINI_ACCOUNT_CLOSED) != (account->flags | JINI_ACCOUNT_CLOSED))
            return A(EXISTS_WITH_DIFFERENT_FLAGS);
        if (old->account.ledger != account->ledger)
            return A(EXISTS_WITH_DIFFERENT_LEDGER);
        return old->account.code == account->code ? A(EXISTS) : A(EXISTS_WITH_DIFFERENT_CODE);
    }
    if ((account->flags & both) == both)
        return A(FLAGS_ARE_MUTUALLY_EXCLUSIVE);
    if (account->ledger == 0)
        return A(LEDGER_MUST_NOT_BE_ZERO);
    if (account->code == 0)
        return A(CODE_MUST_NOT_BE_ZERO);
    struct model_account *new = &model->accounts[model->account_count++];
    memset(new, 0, sizeof(*new));
    new->account = *account;
    model->last_ns = new->account.timestamp = next_ns(model);
    return A(CREATED);
}

/* ---- Transfers ---- */

static bool over(amount128 a, amount128 b)
{
    return a > all - b;
}

static enum jini_transfer_result model_same(const struct jini_transfer *t,
                                            const struct model_event *old,
                                            const struct model_event *ended)
{
    const struct jini_transfer *o = &old->transfer;
    const unsigned balancing = JINI_TRANSFER_BALANCING_DEBIT | JINI_TRANSFER_BALANCING_CREDIT;
    amount128 wanted = amount_of(t->amount);
    bool may_default = ended != NULL;
    if (t->flags != o->flags)
        return R(EXISTS_WITH_DIFFERENT_FLAGS);
    if (!id_equal(&t->pending_id, &o->pending_id))
        return R(EXISTS_WITH_DIFFERENT_PENDING_ID);
    if (t->timeout != o->timeout)
        return R(EXISTS_WITH_DIFFERENT_TIMEOUT);
    if (!(may_default && id_is_zero(&t->debit_account_id)) &&
        !id_equal(&t->debit_account_id, &o->debit_account_id))
        return R(EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID);
    if (!(may_default && id_is_zero(&t->credit_account_id)) &&
        !id_equal(&t->credit_account_id, &o->credit_account_id))
        return R(EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT_ID);
    if (may_default && wanted == (t->flags & JINI_TRANSFER_POST_PENDING_TRANSFER ? all : 0))
        wanted = ended->amount;
    if (t->flags & balancing ? wanted < old->amount : wanted != old->amount)
        return R(EXISTS_WITH_DIFFERENT_AMOUNT);
    uint64_t user_data =
        may_default && t->user_data_64 == 0 ? ended->transfer.user_data_64 : t->user_data_64;
    if (user_data != o->user_data_64)
        return R(EXISTS_WITH_DIFFERENT_USER_DATA_64);
    if (!(may_default && t->ledger == 0) && t->ledger != o->ledger)
        return R(EXISTS_WITH_DIFFERENT_LEDGER);
    if (!(may_default && t->code == 0) && t->code != o->code)
        return R(EXISTS_WITH_DIFFERENT_CODE);
    return R(EXISTS);
}

static struct model_event *model_append(struct model *model, const struct jini_transfer *t,
                                        amount128 amount)
{
    struct model_event *event = &model->events[model->event_count++];
    CHECK_UINT(model->event_count, <, EVENTS_MAX);
    memset(event, 0, sizeof(*event));
    event->transfer = *t;
    event->transfer.amount = amount_out(amount);
    event->amount = amount;
    event->debit = model_account(model, &t->debit_account_id)->balance;
    event->credit = model_account(model, &t->credit_account_id)->balance;
    model->last_ns = t->timestamp;
    return event;
}

/* What was held is held no more; `amount` of it was posted. */
static void model_release(struct model *model, struct model_event *held, amount128 posted,
                          bool reopens)
{
    struct model_account *debit = model_account(model, &held->transfer.debit_account_id);
    struct model_account *credit = model_account(model, &held->transfer.credit_account_id);
    debit->balance.debits_pending -= held->amount;
    debit->balance.debits_posted += posted;
    credit->balance.credits_pending -= held->amount;
    credit->balance.credits_posted += posted;
    if (reopens && (held->transfer.flags & JINI_TRANSFER_CLOSING_DEBIT))
        debit->account.flags &= (uint16_t)~JINI_ACCOUNT_CLOSED;
    if (reopens && (held->transfer.flags & JINI_TRANSFER_CLOSING_CREDIT))
        credit->account.flags &= (uint16_t)~JINI_ACCOUNT_CLOSED;
}

static bool is_closed(const struct model_account *account)
{
    return account->account.flags & JINI_ACCOUNT_CLOSED;
}

static enum jini_transfer_result model_end(struct model *model, struct jini_transfer *t)
{
    bool posts = t->flags & JINI_TRANSFER_POST_PENDING_TRANSFER;
    bool voids = t->flags & JINI_TRANSFER_VOID_PENDING_TRANSFER;
    const unsigned ends = JINI_TRANSFER_POST_PENDING_TRANSFER | JINI_TRANSFER_VOID_PENDING_TRANSFER;
    if ((posts && voids) || (t->flags & ~(ends | JINI_TRANSFER_LINKED)))
        return R(FLAGS_ARE_MUTUALLY_EXCLUSIVE);
    if (id_is_zero(&t->pending_id))
        return R(PENDING_ID_MUST_NOT_BE_ZERO);
    if (id_equal(&t->pending_id, &t->id))
        return R(PENDING_ID_MUST_BE_DIFFERENT);
    if (t->timeout)
        return R(TIMEOUT_RESERVED_FOR_PENDING_TRANSFER);
    struct model_event *held = model_event(model, &t->pending_id);
    if (!held)
        return R(PENDING_TRANSFER_NOT_FOUND);
    const struct jini_transfer *p = &held->transfer;
    if (held->state == NOT_PENDING)
        return R(PENDING_TRANSFER_NOT_PENDING);
    if (!id_is_zero(&t->debit_account_id) && !id_equal(&t->debit_account_id, &p->debit_account_id))
        return R(PENDING_TRANSFER_HAS_DIFFERENT_DEBIT_ACCOUNT_ID);
    if (!id_is_zero(&t->credit_account_id) &&
        !id_equal(&t->credit_account_id, &p->credit_account_id))
        return R(PENDING_TRANSFER_HAS_DIFFERENT_CREDIT_ACCOUNT_ID);
    if (t->ledger && t->ledger != p->ledger)
        return R(PENDING_TRANSFER_HAS_DIFFERENT_LEDGER);
    if (t->code && t->code != p->code)
        return R(PENDING_TRANSFER_HAS_DIFFERENT_CODE);
    amount128 amount = amount_of(t->amount);
    if (amount == (posts ? all : 0))
        amount = held->amount;
    if (amount > held->amount)
        return R(EXCEEDS_PENDING_TRANSFER_AMOUNT);
    if (voids && amount < held->amount)
        return R(PENDING_TRANSFER_HAS_DIFFERENT_AMOUNT);
    if (held->state == POSTED)
        return R(PENDING_TRANSFER_ALREADY_POSTED);
    if (held->state == VOIDED)
        return R(PENDING_TRANSFER_ALREADY_VOIDED);
    if (held->state == EXPIRED || (held->expires_ns && held->expires_ns <= t->timestamp))
        return R(PENDING_TRANSFER_EXPIRED);
    if (posts && is_closed(model_account(model, &p->debit_account_id)))
        return R(DEBIT_ACCOUNT_ALREADY_CLOSED);
    if (posts && is_closed(model_account(model, &p->credit_account_id)))
        return R(CREDIT_ACCOUNT_ALREADY_CLOSED);
    t->debit_account_id = p->debit_account_id;
    t->credit_account_id = p->credit_account_id;
    t->ledger = p->ledger;
    t->code = p->code;
    t->user_data_64 = t->user_data_64 ? t->user_data_64 : p->user_data_64;
    held->state = posts ? POSTED : VOIDED;
    model_release(model, held, posts ? amount : 0, voids);
    model_append(model, t, amount);
    return R(CREATED);
}

static enum jini_transfer_result model_fields(const struct jini_transfer *t)
{
    bool pends = t->flags & JINI_TRANSFER_PENDING;
    if (id_is_zero(&t->debit_account_id))
        return R(DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO);
    if (id_is_zero(&t->credit_account_id))
        return R(CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO);
    if (id_equal(&t->debit_account_id, &t->credit_account_id))
        return R(ACCOUNTS_MUST_BE_DIFFERENT);
    if (!id_is_zero(&t->pending_id))
        return R(PENDING_ID_MUST_BE_ZERO);
    if (!pends && t->timeout)
        return R(TIMEOUT_RESERVED_FOR_PENDING_TRANSFER);
    if (!pends && (t->flags & (JINI_TRANSFER_CLOSING_DEBIT | JINI_TRANSFER_CLOSING_CREDIT)))
        return R(CLOSING_TRANSFER_MUST_BE_PENDING);
    if (t->ledger == 0)
        return R(LEDGER_MUST_NOT_BE_ZERO);
    return t->code == 0 ? R(CODE_MUST_NOT_BE_ZERO) : R(CREATED);
}

static enum jini_transfer_result model_sums(const struct jini_transfer *t, amount128 amount,
                                            const struct balance *d, const struct balance *c)
{
    bool pends = t->flags & JINI_TRANSFER_PENDING;
    if (pends && over(amount, d->debits_pending))
        return R(OVERFLOWS_DEBITS_PENDING);
    if (pends && over(amount, c->credits_pending))
        return R(OVERFLOWS_CREDITS_PENDING);
    if (over(amount, d->debits_posted))
        return R(OVERFLOWS_DEBITS_POSTED);
    if (over(amount, c->credits_posted))
        return R(OVERFLOWS_CREDITS_POSTED);
    if (over(amount, d->debits_pending + d->debits_posted))
        return R(OVERFLOWS_DEBITS);
    return over(amount, c->credits_pending + c->credits_posted) ? R(OVERFLOWS_CREDITS) : R(CREATED);
}

static amount128 spare(amount128 has, amount128 taken)
{
    return has > taken ? has - taken : 0;
}

static enum jini_transfer_result model_move(struct model *model, struct jini_transfer *t)
{
    enum jini_transfer_result result = model_fields(t);
    if (result != R(CREATED))
        return result;
    struct model_account *debit = model_account(model, &t->debit_account_id);
    struct model_account *credit = model_account(model, &t->credit_account_id);
    if (!debit)
        return R(DEBIT_ACCOUNT_NOT_FOUND);
    if (!credit)
        return R(CREDIT_ACCOUNT_NOT_FOUND);
    if (debit->account.ledger != credit->account.ledger)
        return R(ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER);
    if (t->ledger != debit->account.ledger)
        return R(TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS);
    if (is_closed(debit))
        return R(DEBIT_ACCOUNT_ALREADY_CLOSED);
    if (is_closed(credit))
        return R(CREDIT_ACCOUNT_ALREADY_CLOSED);
    struct balance *d = &debit->balance;
    struct balance *c = &credit->balance;
    amount128 amount = amount_of(t->amount);
    amount128 of_debit = spare(d->credits_posted, d->debits_posted + d->debits_pending);
    amount128 of_credit = spare(c->debits_posted, c->credits_posted + c->credits_pending);
    if ((t->flags & JINI_TRANSFER_BALANCING_DEBIT) && amount > of_debit)
        amount = of_debit;
    if ((t->flags & JINI_TRANSFER_BALANCING_CREDIT) && amount > of_credit)
        amount = of_credit;
    result = model_sums(t, amount, d, c);
    if (result != R(CREATED))
        return result;
    if ((debit->account.flags & JINI_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS) && amount > of_debit)
        return R(EXCEEDS_CREDITS);
    if ((credit->account.flags & JINI_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS) && amount > of_credit)
        return R(EXCEEDS_DEBITS);
    bool pends = t->flags & JINI_TRANSFER_PENDING;
    *(pends ? &d->debits_pending : &d->debits_posted) += amount;
    *(pends ? &c->credits_pending : &c->credits_posted) += amount;
    if (t->flags & JINI_TRANSFER_CLOSING_DEBIT)
        debit->account.flags |= JINI_ACCOUNT_CLOSED;
    if (t->flags & JINI_TRANSFER_CLOSING_CREDIT)
        credit->account.flags |= JINI_ACCOUNT_CLOSED;
    struct model_event *event = model_append(model, t, amount);
    event->state = pends ? OPEN : NOT_PENDING;
    event->expires_ns = pends && t->timeout ? t->timestamp + t->timeout * NS_PER_S : 0;
    return R(CREATED);
}

static enum jini_transfer_result model_transfer(struct model *model, struct jini_transfer t)
{
    enum jini_transfer_result result;
    if (id_is_zero(&t.id))
        return R(ID_MUST_NOT_BE_ZERO);
    const struct model_event *old = model_event(model, &t.id);
    if (old)
        return model_same(&t, old, model_event(model, &old->transfer.pending_id));
    if (model->failed[number_of(&t.id)])
        return R(ID_ALREADY_FAILED);
    t.timestamp = next_ns(model);
    if (t.flags & (JINI_TRANSFER_POST_PENDING_TRANSFER | JINI_TRANSFER_VOID_PENDING_TRANSFER))
        result = model_end(model, &t);
    else
        result = model_move(model, &t);
    switch (result) {
    case R(DEBIT_ACCOUNT_NOT_FOUND):
    case R(CREDIT_ACCOUNT_NOT_FOUND):
    case R(PENDING_TRANSFER_NOT_FOUND):
    case R(DEBIT_ACCOUNT_ALREADY_CLOSED):
    case R(CREDIT_ACCOUNT_ALREADY_CLOSED):
    case R(EXCEEDS_CREDITS):
    case R(EXCEEDS_DEBITS):
        model->failed[number_of(&t.id)] = 1;
        break;
    default:
        break;
    }
    return result;
}

/* A chain is tried on a copy of the accounts and of what pends. */
struct savepoint {
    struct model_account accounts[ACCOUNTS];
    unsigned account_count;
    unsigned event_count;
    uint64_t last_ns;
    enum model_state *states;
};

static void save(const struct model *model, struct savepoint *out)
{
    memcpy(out->accounts, model->accounts, sizeof(out->accounts));
    out->account_count = model->account_count;
    out->event_count = model->event_count;
    out->last_ns = model->last_ns;
    out->states = malloc(sizeof(*out->states) * (model->event_count + 1));
    for (unsigned i = 0; i < model->event_count; i++)
        out->states[i] = model->events[i].state;
}

static void restore(struct model *model, const struct savepoint *saved)
{
    memcpy(model->accounts, saved->accounts, sizeof(saved->accounts));
    model->account_count = saved->account_count;
    model->event_count = saved->event_count;
    model->last_ns = saved->last_ns;
    for (unsigned i = 0; i < model->event_count; i++)
        model->events[i].state = saved->states[i];
}

/* The chain that begins at `first`, or the single event there; returns the event behind it. */
static uint32_t model_chain(struct model *model, const struct jini_transfer *transfers,
                            uint32_t first, uint32_t count, uint32_t *results)
{
    struct savepoint saved;
    uint32_t last = first;
    uint32_t bad;
    while (last < count && (transfers[last].flags & JINI_TRANSFER_LINKED))
        last++;
    save(model, &saved);
    for (bad = first; bad <= last && bad < count; bad++) {
        bool open = bad == count - 1 && (transfers[bad].flags & JINI_TRANSFER_LINKED);
        results[bad] = open ? R(LINKED_EVENT_CHAIN_OPEN) : model_transfer(model, transfers[bad]);
        if (results[bad] != R(CREATED))
            break;
    }
    if (last > first && bad <= last && bad < count) {
        restore(model, &saved);
        for (uint32_t i = first; i <= last && i < count; i++) {
            if (i != bad)
                results[i] = i == count - 1 && (transfers[i].flags & JINI_TRANSFER_LINKED)
                                 ? R(LINKED_EVENT_CHAIN_OPEN)
                                 : R(LINKED_EVENT_FAILED);
        }
    }
    free(saved.states);
    return last + 1;
}

/* What is due, in the order of the times at which it expires, then of the times of its making. */
static void model_expire(struct model *model)
{
    for (;;) {
        struct model_event *due = NULL;
        for (unsigned i = 0; i < model->event_count; i++) {
            struct model_event *event = &model->events[i];
            if (event->state == OPEN && event->expires_ns && event->expires_ns <= model->now_ns &&
                (!due || event->expires_ns < due->expires_ns))
                due = event;
        }
        if (!due)
            return;
        struct jini_transfer end = due->transfer;
        due->state = EXPIRED;
        model_release(model, due, 0, true);
        end.pending_id = end.id;
        end.id = ledger_id(0);
        end.flags = JINI_TRANSFER_EXPIRED;
        end.timeout = 0;
        end.timestamp = next_ns(model);
        model_append(model, &end, due->amount);
    }
}

/* ---- Random requests ---- */

static bool chance(unsigned one_in)
{
    return harness_random_below(one_in) == 0;
}

static uint64_t random_account(void)
{
    return chance(60) ? 0 : 1 + harness_random_below(ACCOUNTS + (chance(30) ? 1 : 0));
}

static struct jini_account make_account(void)
{
    static const uint16_t flags[] = {0, 0, JINI_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS,
                                     JINI_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS,
                                     JINI_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS |
                                         JINI_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS};
    uint64_t number = chance(40) ? 0 : 1 + harness_random_below(ACCOUNTS);
    struct jini_account account = ledger_account(number, flags[harness_random_below(5)]);
    if (number % 2)
        account.flags |= JINI_ACCOUNT_HISTORY;
    account.ledger = chance(30) ? 0 : number > ACCOUNTS - 3 ? 2 : 1;
    account.code = chance(30) ? 0 : 10;
    return account;
}

static struct jini_amount random_amount(void)
{
    if (chance(40))
        return amount_out(all - harness_random_below(3));
    if (chance(40))
        return (struct jini_amount){0, UINT64_C(1) << 63};
    return jini_amount_of(harness_random_below(chance(4) ? 100000 : 100));
}

static uint16_t random_flags(void)
{
    static const uint16_t flags[] = {0,
                                     0,
                                     0,
                                     JINI_TRANSFER_PENDING,
                                     JINI_TRANSFER_PENDING,
                                     JINI_TRANSFER_BALANCING_DEBIT,
                                     JINI_TRANSFER_BALANCING_CREDIT,
                                     JINI_TRANSFER_PENDING | JINI_TRANSFER_BALANCING_DEBIT |
                                         JINI_TRANSFER_BALANCING_CREDIT};
    uint16_t out = flags[harness_random_below(8)];
    if (chance(100))
        out |= JINI_TRANSFER_PENDING | JINI_TRANSFER_CLOSING_DEBIT;
    if (chance(100))
        out |= JINI_TRANSFER_PENDING | JINI_TRANSFER_CLOSING_CREDIT;
    return chance(80) ? (uint16_t)harness_random_below(256) : out;
}

static void maybe_name_all(struct jini_transfer *t)
{
    if (chance(4)) {
        t->debit_account_id = ledger_account_id(random_account());
        t->ledger = (uint32_t)harness_random_below(3);
        t->code = (uint16_t)harness_random_below(3);
    }
    if (chance(4))
        t->credit_account_id = ledger_account_id(random_account());
}

static struct jini_transfer make_transfer(void)
{
    uint64_t number = chance(100) ? 0 : 1 + harness_random_below(IDS);
    if (chance(3)) {
        bool posts = chance(2);
        struct jini_transfer t = ledger_end(number, harness_random_below(IDS + 1),
                                            posts ? JINI_TRANSFER_POST_PENDING_TRANSFER
                                                  : JINI_TRANSFER_VOID_PENDING_TRANSFER,
                                            chance(3) ? random_amount()
                                            : posts   ? amount_out(all)
                                                      : jini_amount_of(0));
        maybe_name_all(&t);
        t.user_data_64 = harness_random_below(3);
        return t;
    }
    struct jini_transfer t = ledger_move(number, random_account(), random_account(), 0);
    t.amount = random_amount();
    t.flags = random_flags();
    t.user_data_64 = harness_random_below(4);
    t.code = (uint16_t)(chance(50) ? 0 : 1 + harness_random_below(3));
    t.ledger = chance(50) ? 0 : chance(8) ? 2 : 1;
    t.timeout = t.flags & JINI_TRANSFER_PENDING ? (uint32_t)harness_random_below(20) : chance(90);
    if (chance(100))
        t.pending_id = ledger_id(number);
    return t;
}

/* ---- Side by side ---- */

static void check_balance(const struct jini_balance *balance, const struct balance *expected)
{
    struct balance got = balance_of(balance);
    CHECK(got.debits_pending == expected->debits_pending);
    CHECK(got.debits_posted == expected->debits_posted);
    CHECK(got.credits_pending == expected->credits_pending);
    CHECK(got.credits_posted == expected->credits_posted);
}

static void run_accounts(struct fixture_ledger *ledger, struct model *model)
{
    struct jini_account accounts[BATCH_MAX];
    uint32_t results[BATCH_MAX];
    uint32_t count = 1 + (uint32_t)harness_random_below(8);
    for (uint32_t i = 0; i < count; i++)
        accounts[i] = make_account();
    ledger_accounts(ledger, accounts, count, results);
    for (uint32_t i = 0; i < count; i++)
        CHECK_ACCOUNT_RESULT(results[i], model_add(model, &accounts[i]));
}

static void check_reply(struct model *model, const struct jini_transfer *t,
                        const struct jini_transfer_reply *reply)
{
    const struct model_event *event = model_event(model, &t->id);
    if (reply->result != R(CREATED))
        return;
    CHECK(event != NULL);
    CHECK_UINT(reply->timestamp, ==, event->transfer.timestamp);
    CHECK(amount_of(reply->amount) == event->amount);
    check_balance(&reply->debit, &event->debit);
    check_balance(&reply->credit, &event->credit);
}

static uint32_t run_transfers(struct fixture_ledger *ledger, struct model *model)
{
    struct jini_transfer transfers[BATCH_MAX];
    struct jini_transfer_reply replies[BATCH_MAX];
    uint32_t expected[BATCH_MAX];
    uint32_t count = 1 + (uint32_t)harness_random_below(BATCH_MAX);
    bool chains = chance(3);
    for (uint32_t i = 0; i < count; i++) {
        transfers[i] = make_transfer();
        if (chains && chance(3))
            transfers[i].flags |= JINI_TRANSFER_LINKED;
        if (i > 0 && chance(20))
            transfers[i] = transfers[i - 1];
    }
    ledger_transfers(ledger, transfers, count, replies);
    model_expire(model);
    for (uint32_t i = 0; i < count;)
        i = model_chain(model, transfers, i, count, expected);
    for (uint32_t i = 0; i < count; i++) {
        CHECK_RESULT(replies[i], expected[i]);
        check_reply(model, &transfers[i], &replies[i]);
    }
    return count;
}

static void check_accounts(struct fixture_ledger *ledger, struct model *model)
{
    struct balance sum = {0};
    for (unsigned i = 0; i < model->account_count; i++) {
        const struct model_account *expected = &model->accounts[i];
        struct jini_account account = ledger_look(ledger, number_of(&expected->account.id));
        check_balance(&account.balance, &expected->balance);
        CHECK_UINT(account.flags, ==, expected->account.flags);
        CHECK_UINT(account.timestamp, ==, expected->account.timestamp);
        sum.debits_pending += expected->balance.debits_pending;
        sum.credits_pending += expected->balance.credits_pending;
        sum.debits_posted += expected->balance.debits_posted;
        sum.credits_posted += expected->balance.credits_posted;
    }
    CHECK(sum.debits_pending == sum.credits_pending);
    CHECK(sum.debits_posted == sum.credits_posted);
}

/* ---- Listings ---- */

static struct jini_ledger_filter random_filter(const struct model *model)
{
    struct jini_ledger_filter filter = {0};
    if (chance(2))
        filter.account_id = ledger_account_id(1 + harness_random_below(ACCOUNTS));
    if (chance(3))
        filter.user_data_64 = harness_random_below(4);
    if (chance(3))
        filter.code = (uint16_t)harness_random_below(4);
    if (chance(3))
        filter.ledger = (uint32_t)harness_random_below(3);
    if (chance(2) && model->event_count > 0)
        filter.timestamp_min =
            model->events[harness_random_below(model->event_count)].transfer.timestamp;
    if (chance(2) && model->event_count > 0)
        filter.timestamp_max =
            model->events[harness_random_below(model->event_count)].transfer.timestamp;
    if (filter.timestamp_max < filter.timestamp_min)
        filter.timestamp_max = 0;
    filter.flags = (uint32_t)harness_random_below(16);
    return filter;
}

static bool model_matches(const struct jini_ledger_filter *f, const struct jini_transfer *t)
{
    bool debits = f->flags & JINI_LEDGER_DEBITS || !(f->flags & JINI_LEDGER_CREDITS);
    bool credits = f->flags & JINI_LEDGER_CREDITS || !(f->flags & JINI_LEDGER_DEBITS);
    if (!id_is_zero(&f->account_id) &&
        !(debits && id_equal(&f->account_id, &t->debit_account_id)) &&
        !(credits && id_equal(&f->account_id, &t->credit_account_id)))
        return false;
    return (f->user_data_64 == 0 || f->user_data_64 == t->user_data_64) &&
           (f->code == 0 || f->code == t->code) && (f->ledger == 0 || f->ledger == t->ledger) &&
           t->timestamp >= f->timestamp_min &&
           (f->timestamp_max == 0 || t->timestamp <= f->timestamp_max) &&
           ((f->flags & JINI_LEDGER_EXPIRIES) || !(t->flags & JINI_TRANSFER_EXPIRED));
}

static const struct model_event *nth(const struct model *model, const struct jini_ledger_filter *f,
                                     unsigned i)
{
    return &model->events[f->flags & JINI_LEDGER_REVERSED ? model->event_count - 1 - i : i];
}

static void check_listing(struct fixture_ledger *ledger, const struct model *model)
{
    struct jini_ledger_filter filter = random_filter(model);
    struct jini_ledger_cursor cursor = {0};
    struct jini_transfer page[7];
    struct jini_error error;
    struct store_txn *txn;
    unsigned at = 0;
    CHECK_OK(store_read_begin(ledger->store, &txn));
    while (cursor.state != JINI_LEDGER_LISTING_ENDED) {
        size_t count;
        size_t capacity = 1 + harness_random_below(7);
        CHECK_OK(ledger_transfers_list(txn, &filter, &cursor, page, capacity, &count, &error));
        for (size_t i = 0; i < count; i++) {
            while (at < model->event_count &&
                   !model_matches(&filter, &nth(model, &filter, at)->transfer))
                at++;
            CHECK_UINT(at, <, model->event_count);
            const struct jini_transfer *expected = &nth(model, &filter, at++)->transfer;
            CHECK(memcmp(&page[i], expected, sizeof(page[i])) == 0);
        }
    }
    for (; at < model->event_count; at++)
        CHECK(!model_matches(&filter, &nth(model, &filter, at)->transfer));
    store_read_end(txn);
}

static void check_history(struct fixture_ledger *ledger, const struct model *model)
{
    struct jini_id id = ledger_account_id(1 + 2 * harness_random_below(ACCOUNTS / 2));
    struct jini_ledger_balance row;
    struct jini_error error;
    struct store_txn *txn;
    struct balance expected = {0};
    uint64_t when = 0;
    uint64_t until =
        model->event_count
            ? model->events[harness_random_below(model->event_count)].transfer.timestamp
            : 1;
    for (unsigned i = 0; i < model->event_count; i++) {
        const struct model_event *event = &model->events[i];
        bool debits = id_equal(&event->transfer.debit_account_id, &id);
        if (event->transfer.timestamp > until ||
            (!debits && !id_equal(&event->transfer.credit_account_id, &id)))
            continue;
        expected = debits ? event->debit : event->credit;
        when = event->transfer.timestamp;
    }
    CHECK_OK(store_read_begin(ledger->store, &txn));
    int status = ledger_balance_at(txn, &id, until, &row, &error);
    store_read_end(txn);
    if (status == JINI_E_NOT_FOUND) /* no such account yet */
        return;
    CHECK_OK(status);
    CHECK_UINT(row.timestamp, ==, when);
    check_balance(&row.balance, &expected);
}

static void run(enum store_driver driver, uint64_t operations)
{
    struct fixture_ledger ledger = ledger_open(driver);
    struct model *model = calloc(1, sizeof(*model));
    model->events = calloc(EVENTS_MAX, sizeof(*model->events));
    unsigned requests = 0;
    for (uint64_t done = 0; done < operations; requests++) {
        if (harness_random_below(3) == 0)
            ledger.now_ns += harness_random_below(4 * NS_PER_S);
        else if (chance(50))
            ledger.now_ns -= harness_random_below(2 * NS_PER_S);
        model->now_ns = ledger.now_ns;
        if (chance(10) || requests < 10)
            run_accounts(&ledger, model);
        else
            done += run_transfers(&ledger, model);
        if (chance(20))
            check_accounts(&ledger, model);
        if (chance(8))
            check_listing(&ledger, model);
        if (chance(8))
            check_history(&ledger, model);
    }
    check_accounts(&ledger, model);
    printf("     %u events of %u requests\n", model->event_count, requests);
    free(model->events);
    free(model);
    ledger_close(&ledger);
}

/* Ids are used up in time, so it begins anew again and again. */
TEST(the_ledger_does_what_its_model_does,
     "For random requests, each result, balance, listing and balance of the past is the model's.")
{
    uint64_t operations = (harness_sanitized() ? 6000 : 50000) * (uint64_t)harness_scale();
    for (uint64_t done = 0; done < operations; done += 10000) {
        run(chance(2) ? STORE_DRIVER_LMDB : STORE_DRIVER_MEMORY,
            operations < 10000 ? operations : 10000);
        harness_remove("db");
    }
}
