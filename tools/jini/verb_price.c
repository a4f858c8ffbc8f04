/* jini price: what money buys. */
#include "layout.h"
#include "object_pay.h"
#include "pay_args.h"

#include <string.h>

enum { LISTED_AT_ONCE = 64, DAYS_DEFAULT = 30 };

static int take_name(struct command *command, struct jini_price *price)
{
    const char *name = command_argument(command, 0);
    if (strlen(name) >= sizeof(price->name))
        return command_fail(command, JINI_E_INVALID, "NAME", "it is longer than %zu bytes",
                            sizeof(price->name) - 1);
    memcpy(price->name, name, strlen(name) + 1);
    return 0;
}

static int take_period(struct command *command, struct jini_price *price)
{
    const struct args *args = &command->args;
    bool forever = args_has(args, "forever");
    if (forever && args_has(args, "days"))
        return command_fail(command, JINI_E_INVALID, "--days",
                            "--days and --forever exclude each other");
    price->days = forever ? JINI_FOREVER : (uint32_t)args_number(args, "days", DAYS_DEFAULT);
    return 0;
}

static int take_price(struct command *command, struct jini_price *price)
{
    const struct args *args = &command->args;
    struct jini_currency currency;
    int status = take_name(command, price);
    if (status == 0)
        status = pay_take_currency(command, &currency);
    if (status == 0)
        status = pay_parse_amount(command, "AMOUNT", command_argument(command, 1), &currency,
                                  &price->amount);
    if (status == 0)
        status = pay_take_text(command, "tier", price->tier, sizeof(price->tier));
    if (status == 0)
        status = take_period(command, price);
    if (status == 0)
        status = pay_take_amount(command, "credits-amount", &currency, &price->credits_amount);
    if (status)
        return status;
    memcpy(price->currency, currency.code, sizeof(price->currency));
    price->credits = (uint64_t)args_number(args, "credits", 0);
    price->priority = (uint32_t)args_number(args, "priority", 0);
    price->credits_expire = args_has(args, "credits-expire");
    if (price->tier[0] == '\0' && !args_has(args, "credits-amount") && price->credits > 0)
        price->credits_amount = price->amount;
    return 0;
}

static int change(struct command *command, struct jini_price_set *set)
{
    int status = command_open(command);
    return status ? status
                  : command_wait(command, &set->request,
                                 jini_price_set(command->jini, set, wait_done));
}

int verb_price_set(struct command *command)
{
    struct jini_price_set set;
    jini_request_init(&set);
    int status = take_price(command, &set.price);
    if (status == 0)
        status = change(command, &set);
    if (status == 0)
        layout_object(object_price(&set.price));
    return status;
}

int verb_price_rm(struct command *command)
{
    struct jini_price_set set;
    jini_request_init(&set);
    set.remove = 1;
    int status = take_name(command, &set.price);
    return status ? status : change(command, &set);
}

static const struct layout_column columns[] = {
    {"NAME", "name", LAYOUT_PLAIN},         {"AMOUNT", "amount", LAYOUT_PLAIN},
    {"CURRENCY", "currency", LAYOUT_PLAIN}, {"TIER", "tier", LAYOUT_PLAIN},
    {"DAYS", "days", LAYOUT_PLAIN},         {"CREDITS", "credits", LAYOUT_PLAIN},
    {"VERSION", "version", LAYOUT_PLAIN},   {"CHANGED", "changed", LAYOUT_TIME},
};

int verb_price_list(struct command *command)
{
    static struct jini_price prices[LISTED_AT_ONCE];
    struct layout_list list;
    const char *after = NULL;
    size_t count = LISTED_AT_ONCE;
    char last[JINI_PRICE_NAME_MAX];
    int status = command_open(command);
    if (status)
        return status;
    layout_list_begin(&list, columns);
    while (count == LISTED_AT_ONCE && !command_is_over()) {
        status =
            jini_price_list(command->jini, after, prices, LISTED_AT_ONCE, &count, &command->error);
        if (status)
            return status;
        for (size_t i = 0; i < count; i++)
            layout_list_add(&list, object_price(&prices[i]));
        if (count > 0)
            memcpy(last, prices[count - 1].name, sizeof(last));
        after = last;
    }
    layout_list_end(&list, "nothing is sold");
    return 0;
}
