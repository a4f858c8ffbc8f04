/* jini pay: payments, what they bought, and the books. */
#include "layout.h"
#include "ledger_args.h"
#include "object_pay.h"
#include "pay_args.h"

#include <stdlib.h>
#include <string.h>

enum { LISTED_AT_ONCE = 64 };

static void print(const struct jini_payment *payment, uint32_t repeated)
{
    json_t *object = object_payment(payment);
    if (object)
        json_object_set_new(object, "repeated", json_boolean(repeated));
    layout_object(object);
}

/* ---- intend, settle ---- */

static int take_intent(struct command *command, struct jini_payment_intend *intend)
{
    const char *price = command_argument(command, 1);
    struct jini_currency currency;
    struct jini_user user;
    if (price && strlen(price) >= sizeof(intend->price))
        return command_fail(command, JINI_E_INVALID, "PRICE", "it is longer than %zu bytes",
                            sizeof(intend->price) - 1);
    if (price)
        memcpy(intend->price, price, strlen(price) + 1);
    int status = pay_take_currency(command, &currency);
    if (status == 0)
        status = pay_take_amount(command, "amount", &currency, &intend->amount);
    if (status == 0 && (args_has(&command->args, "amount") || !price))
        memcpy(intend->currency, currency.code, sizeof(intend->currency));
    if (status == 0)
        status = pay_take_text(command, "provider", intend->provider, sizeof(intend->provider));
    if (status == 0)
        status = pay_take_text(command, "reference", intend->reference, sizeof(intend->reference));
    if (status == 0)
        status = ledger_take_id(command, "id", &intend->id);
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = command_find_user(command, command_argument(command, 0), &user);
    if (status)
        return status;
    intend->user_id = user.id;
    if (!args_has(&command->args, "id"))
        jini_id_make(command->jini, &intend->id);
    return 0;
}

int verb_pay_intend(struct command *command)
{
    struct jini_payment_intend intend;
    jini_request_init(&intend);
    int status = take_intent(command, &intend);
    if (status == 0)
        status = command_wait(command, &intend.request,
                              jini_payment_intend(command->jini, &intend, wait_done));
    if (status == 0)
        print(&intend.payment, intend.repeated);
    return status;
}

/* Amounts of a payment are in its own currency, unless another one is said. */
static int open_payment(struct command *command, struct jini_id *id, struct jini_currency *currency)
{
    struct jini_payment payment;
    int status = ledger_parse_id(command, "ID", command_argument(command, 0), id);
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = jini_payment_get(command->jini, id, &payment, &command->error);
    if (status == 0)
        status = jini_currency_find(
            payment.received_ms ? payment.received_currency : payment.currency, currency);
    return status;
}

int verb_pay_settle(struct command *command)
{
    struct jini_payment_settle settle;
    struct jini_currency currency;
    jini_request_init(&settle);
    int status = open_payment(command, &settle.id, &currency);
    if (status == 0 && args_has(&command->args, "currency"))
        status = pay_take_currency(command, &currency);
    if (status == 0)
        status = pay_take_amount(command, "amount", &currency, &settle.amount);
    if (status == 0 && args_has(&command->args, "amount"))
        memcpy(settle.currency, currency.code, sizeof(settle.currency));
    if (status == 0)
        status = pay_take_amount(command, "fee", &currency, &settle.fee);
    if (status == 0)
        status = pay_take_text(command, "provider", settle.provider, sizeof(settle.provider));
    if (status == 0)
        status = pay_take_text(command, "reference", settle.reference, sizeof(settle.reference));
    if (status == 0)
        status = command_wait(command, &settle.request,
                              jini_payment_settle(command->jini, &settle, wait_done));
    if (status == 0)
        print(&settle.payment, settle.repeated);
    return status;
}

/* ---- fail, refund, dispute, resolve ---- */

typedef int end_fn(struct jini *jini, struct jini_payment_end *end, jini_callback *callback);

static int run_end(struct command *command, end_fn *call, struct jini_payment_end *end)
{
    int status = pay_take_text(command, "reason", end->reason, sizeof(end->reason));
    if (status == 0)
        status = command_wait(command, &end->request, call(command->jini, end, wait_done));
    if (status == 0)
        print(&end->payment, end->repeated);
    return status;
}

static int end_payment(struct command *command, end_fn *call, const char *amount_option)
{
    struct jini_payment_end end;
    struct jini_currency currency;
    jini_request_init(&end);
    int status = open_payment(command, &end.id, &currency);
    if (status == 0 && amount_option)
        status = pay_take_amount(command, amount_option, &currency, &end.amount);
    return status ? status : run_end(command, call, &end);
}

int verb_pay_fail(struct command *command)
{
    return end_payment(command, jini_payment_fail, NULL);
}

int verb_pay_refund(struct command *command)
{
    return end_payment(command, jini_payment_refund, "amount");
}

int verb_pay_dispute(struct command *command)
{
    return end_payment(command, jini_payment_dispute, NULL);
}

int verb_pay_resolve(struct command *command)
{
    const char *outcome = command_argument(command, 1);
    struct jini_payment_end end;
    struct jini_currency currency;
    jini_request_init(&end);
    end.outcome = strcmp(outcome, "won") == 0 ? JINI_DISPUTE_WON : JINI_DISPUTE_LOST;
    if (end.outcome == JINI_DISPUTE_LOST && strcmp(outcome, "lost") != 0)
        return command_fail(command, JINI_E_INVALID, "OUTCOME", "a dispute is won or lost");
    int status = open_payment(command, &end.id, &currency);
    if (status == 0)
        status = pay_take_amount(command, "fee", &currency, &end.fee);
    return status ? status : run_end(command, jini_payment_resolve, &end);
}

/* ---- show, list ---- */

int verb_pay_show(struct command *command)
{
    struct jini_payment payment;
    struct jini_id id;
    int status = ledger_parse_id(command, "ID", command_argument(command, 0), &id);
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = jini_payment_get(command->jini, &id, &payment, &command->error);
    if (status == 0)
        layout_object(object_payment(&payment));
    return status;
}

static const struct layout_column columns[] = {
    {"ID", "id", LAYOUT_PLAIN},
    {"USER", "user_id", LAYOUT_PLAIN},
    {"STATE", "state", LAYOUT_PLAIN},
    {"PRICE", "price", LAYOUT_PLAIN},
    {"AMOUNT", "amount", LAYOUT_PLAIN},
    {"CURRENCY", "currency", LAYOUT_PLAIN},
    {"REFUNDED", "refunded", LAYOUT_PLAIN},
    {"CREATED", "created", LAYOUT_TIME},
    {"ARRIVED", "arrived", LAYOUT_TIME},
    {"ENDS", "ends", LAYOUT_TIME},
};

int verb_pay_list(struct command *command)
{
    struct jini_payment *page = malloc(sizeof(*page) * LISTED_AT_ONCE);
    const char *name = command_argument(command, 0);
    struct jini_user user = {.id = 0};
    struct layout_list list;
    struct jini_id last;
    size_t count = LISTED_AT_ONCE;
    bool first = true;
    int status = page ? command_open(command) : JINI_E_NO_MEMORY;
    if (status == 0 && name)
        status = command_find_user(command, name, &user);
    if (status) {
        free(page);
        return status;
    }
    layout_list_begin(&list, columns);
    while (status == 0 && count == LISTED_AT_ONCE && !command_is_over()) {
        status = jini_payment_list(command->jini, user.id, first ? NULL : &last, page,
                                   LISTED_AT_ONCE, &count, &command->error);
        for (size_t i = 0; i < count; i++) {
            layout_list_add(&list, object_payment(&page[i]));
            last = page[i].id;
        }
        first = false;
    }
    layout_list_end(&list, "no payments");
    free(page);
    return status;
}

/* ---- cancel, books ---- */

int verb_pay_cancel(struct command *command)
{
    struct jini_subscription_cancel cancel;
    struct jini_user user;
    jini_request_init(&cancel);
    cancel.resume = args_has(&command->args, "resume");
    int status = command_open(command);
    if (status == 0)
        status = command_find_user(command, command_argument(command, 0), &user);
    if (status)
        return status;
    cancel.user_id = user.id;
    status = command_wait(command, &cancel.request,
                          jini_subscription_cancel(command->jini, &cancel, wait_done));
    if (status == 0 && cancel.subscription.state == JINI_SUBSCRIPTION_NONE)
        output_line("the subscription has ended");
    else if (status == 0)
        layout_object(object_subscription(&cancel.subscription));
    return status;
}

int verb_pay_books(struct command *command)
{
    struct jini_currency currency;
    struct jini_books books;
    int status = pay_take_currency(command, &currency);
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = jini_books_get(command->jini, currency.code, &books, &command->error);
    if (status == 0)
        layout_object(object_books(&books));
    return status;
}
