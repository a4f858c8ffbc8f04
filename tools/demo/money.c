/*
 * Money: a user on Free pays, is upgraded, generates until her credits are gone, and is refunded.
 * Each step is one transaction: record, tier, credits, books and events change together.
 */
#include "demo/demo.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AMOUNT = 1500, FEE = 45, DAYS = 30, CREDITS = 12, COST = 5, SIDE = 512, EVENTS_MAX = 64 };

static const char model[] = "demo-xl";
static const char price_name[] = "premium-month";

struct payer {
    struct demo *demo;
    uint64_t id;
    size_t generated;
    struct jini_id refused; /* the decision that refused the last one */
};

static const struct jini_id payment_id = {.bytes = {0x01, [15] = 0x01}};

static void print_cents(const char *what, int64_t amount)
{
    printf("%s EUR %s%lld.%02lld", what, amount < 0 ? "-" : "", llabs(amount) / 100,
           llabs(amount) % 100);
}

/* What the operator sets: what is sold, and what a generation costs. */
static int set_prices(struct payer *payer)
{
    struct jini_price_set set;
    struct jini_cost_set cost;
    jini_request_init(&set);
    snprintf(set.price.name, sizeof(set.price.name), "%s", price_name);
    snprintf(set.price.currency, sizeof(set.price.currency), "EUR");
    snprintf(set.price.tier, sizeof(set.price.tier), "Premium");
    set.price.amount = AMOUNT;
    set.price.days = DAYS;
    set.price.credits = CREDITS;
    set.price.credits_amount = AMOUNT / 5;
    int status = jini_price_set(payer->demo->jini, &set, NULL);
    if (status)
        return demo_fail("setting a price", status, &set.request.error);
    jini_request_init(&cost);
    snprintf(cost.cost.model, sizeof(cost.cost.model), "%s", model);
    cost.cost.per_image = COST * 1000;
    status = jini_cost_set(payer->demo->jini, &cost, NULL);
    if (status)
        return demo_fail("setting a cost", status, &cost.request.error);
    printf("  the operator sells %s: Premium for %d days and %d credits", price_name, DAYS,
           CREDITS);
    print_cents(" at", AMOUNT);
    printf("; an image by %s costs %d credits\n", model, COST);
    return 0;
}

static int add_payer(struct payer *payer)
{
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "mia");
    snprintf(add.user.email, sizeof(add.user.email), "mia@example.com");
    snprintf(add.user.tier, sizeof(add.user.tier), "Free");
    add.user.flags = JINI_USER_ACTIVE;
    int status = jini_user_add(payer->demo->jini, &add, NULL);
    payer->id = add.user.id;
    return status ? demo_fail("adding a user", status, &add.request.error) : 0;
}

/* Shows tier and credits, which have to be these. */
static int show_user(const struct payer *payer, const char *tier, uint64_t credits)
{
    struct jini_user user;
    struct jini_wallet wallet;
    struct jini_error error;
    size_t count;
    int status = jini_user_get(payer->demo->jini, payer->id, &user, &error);
    if (status == 0)
        status = jini_wallet_get(payer->demo->jini, payer->id, &wallet, NULL, 0, &count, &error);
    if (status)
        return demo_fail("reading the user", status, &error);
    printf("  mia is on %s with %" PRIu64 " credits\n", user.tier, wallet.available);
    if (strcmp(user.tier, tier) == 0 && wallet.available == credits && wallet.reserved == 0)
        return 0;
    fprintf(stderr, "jini-demo: mia should be on %s with %" PRIu64 " credits\n", tier, credits);
    return 1;
}

static int pay(struct payer *payer)
{
    struct jini_payment_intend intend;
    struct jini_payment_settle settle;
    jini_request_init(&intend);
    intend.id = payment_id;
    intend.user_id = payer->id;
    snprintf(intend.price, sizeof(intend.price), "%s", price_name);
    int status = jini_payment_intend(payer->demo->jini, &intend, NULL);
    if (status)
        return demo_fail("beginning a payment", status, &intend.request.error);
    for (uint32_t i = 0; i < 2; i++) { /* as a provider may send it again */
        jini_request_init(&settle);
        settle.id = payment_id;
        settle.fee = FEE;
        snprintf(settle.provider, sizeof(settle.provider), "demo");
        snprintf(settle.reference, sizeof(settle.reference), "pi_0001");
        status = jini_payment_settle(payer->demo->jini, &settle, NULL);
        if (status)
            return demo_fail("settling a payment", status, &settle.request.error);
        if (settle.repeated != i || settle.payment.state != JINI_PAYMENT_SETTLED) {
            fprintf(stderr, "jini-demo: the payment is not settled once\n");
            return 1;
        }
    }
    print_cents("  mia pays", AMOUNT);
    printf("; the provider says so twice, and it counts once\n");
    return show_user(payer, "Premium", CREDITS);
}

/* ---- Generating ---- */

/* What a worker would have made: an image that was stored before. */
static const struct demo_image *made(const struct demo *demo)
{
    size_t i = 0;
    while (i + 1 < demo->image_count && demo->images[i].refused)
        i++;
    return &demo->images[i];
}

static int put_image(struct payer *payer, const struct jini_admit *admit)
{
    const struct demo_image *image = made(payer->demo);
    struct jini_image_put put;
    uint8_t *bytes;
    size_t length;
    int status = demo_image_read(payer->demo, image, &bytes, &length);
    if (status)
        return status;
    jini_request_init(&put);
    put.bytes = bytes;
    put.length = length;
    put.user_id = payer->id;
    put.job_id = admit->job.id;
    put.flags = JINI_PUT_SETTLES;
    status = jini_image_put(payer->demo->jini, &put, NULL);
    free(bytes);
    return status ? demo_fail("storing an image", status, &put.request.error) : 0;
}

static int print_why(struct payer *payer)
{
    struct jini_decision why;
    struct jini_error error;
    char id[JINI_ID_TEXT_MAX];
    int status = jini_why(payer->demo->jini, &payer->refused, &why, &error);
    if (status)
        return demo_fail("asking why", status, &error);
    jini_id_format(&payer->refused, id);
    printf("  refused; \"jini --db %s why %s\" says:\n", payer->demo->directory, id);
    printf("    %s: %s: %s\n", jini_status_name(why.status), why.field, why.message);
    printf("    on tier %s, %u jobs of at most %u at once, cost %" PRIu64 " of %" PRIu64
           " credits\n",
           why.tier, why.parallel, why.parallel_max, why.cost, why.credits_before);
    return 0;
}

/* Admits and stores; `*status` says how the admission fell. */
static int generate(struct payer *payer, int *status)
{
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = payer->id};
    admit.parameters =
        (struct jini_parameters){.width = SIDE, .height = SIDE, .steps = 20, .count = 1};
    snprintf(admit.parameters.model, sizeof(admit.parameters.model), "%s", model);
    admit.prompt = "a lighthouse at dusk";
    *status = jini_admit(payer->demo->jini, &admit, NULL);
    payer->refused = admit.decision_id;
    if (*status == JINI_E_FUNDS)
        return print_why(payer);
    if (*status)
        return demo_fail("admitting a generation", *status, &admit.request.error);
    payer->generated++;
    printf("  image %zu by %s: %" PRIu64 " credits, %" PRIu64 " left\n", payer->generated, model,
           admit.cost, admit.credits);
    return put_image(payer, &admit);
}

static int generate_all(struct payer *payer, size_t expected)
{
    int admitted = 0;
    int code = 0;
    size_t before = payer->generated;
    while (code == 0 && admitted == 0 && payer->generated - before <= expected)
        code = generate(payer, &admitted);
    if (code == 0 && payer->generated - before != expected) {
        fprintf(stderr, "jini-demo: the credits should be enough for %zu images\n", expected);
        return 1;
    }
    return code;
}

/* ---- The refund ---- */

static int refund(struct payer *payer)
{
    struct jini_payment_end end;
    jini_request_init(&end);
    end.id = payment_id;
    snprintf(end.reason, sizeof(end.reason), "asked for by the user");
    int status = jini_payment_refund(payer->demo->jini, &end, NULL);
    if (status)
        return demo_fail("refunding", status, &end.request.error);
    print_cents("  mia is refunded", (int64_t)end.payment.refunded);
    printf(": what she drew stays drawn, the rest goes with the tier\n");
    return show_user(payer, "Free", 0);
}

static int check_books(const struct payer *payer)
{
    struct jini_books books;
    struct jini_error error;
    int status = jini_books_get(payer->demo->jini, "EUR", &books, &error);
    if (status)
        return demo_fail("reading the books", status, &error);
    print_cents("  the books: cash", books.cash);
    print_cents(", fees", books.fees);
    print_cents(", deferred", books.deferred);
    print_cents(", revenue", books.revenue);
    print_cents(", refunds", books.refunds);
    bool even = books.cash + books.fees + books.disputed + books.refunds ==
                books.deferred + books.revenue + books.unmatched;
    printf(": %s\n", even ? "both sides are equal" : "THE SIDES DIFFER");
    return even && books.cash == -FEE && books.fees == FEE && books.deferred == 0 ? 0 : 1;
}

static int print_events(const struct payer *payer)
{
    static struct jini_event events[EVENTS_MAX];
    static char text[2 * JINI_EVENT_PAYLOAD_MAX];
    struct jini_events_filter filter = {.user_id = payer->id};
    struct jini_events_cursor cursor = {0};
    struct jini_error error;
    printf("  her events:");
    while (!cursor.ended) {
        struct jini_events_page page = {
            .events = events, .capacity = EVENTS_MAX, .text = text, .text_capacity = sizeof(text)};
        int status = jini_events_list(payer->demo->jini, &filter, &cursor, &page, &error);
        if (status)
            return demo_fail("reading events", status, &error);
        for (uint32_t i = 0; i < page.count; i++)
            printf(" %s", events[i].type);
    }
    printf("\n");
    return 0;
}

int demo_money(struct demo *demo)
{
    struct payer payer = {.demo = demo};
    int code = set_prices(&payer);
    if (code == 0)
        code = add_payer(&payer);
    if (code == 0)
        code = generate_all(&payer, 0);
    if (code == 0)
        code = pay(&payer);
    if (code == 0)
        code = generate_all(&payer, CREDITS / COST);
    if (code == 0)
        code = refund(&payer);
    if (code == 0)
        code = check_books(&payer);
    return code ? code : print_events(&payer);
}
