/* See pay_args.h. */
#include "pay_args.h"

#include "money.h"

#include <string.h>

int pay_take_currency(struct command *command, struct jini_currency *out)
{
    const char *code = args_text(&command->args, "currency");
    if (jini_currency_find(code ? code : "EUR", out) == 0)
        return 0;
    return command_fail(command, JINI_E_INVALID, "--currency",
                        "\"%.100s\" is no currency of ISO 4217, as EUR is", code);
}

int pay_parse_amount(struct command *command, const char *name, const char *text,
                     const struct jini_currency *currency, uint64_t *out)
{
    if (money_parse(text, currency, out))
        return 0;
    return command_fail(command, JINI_E_INVALID, name,
                        "\"%.100s\" is no amount of %s: 15 is one%s, up to 10^12 of its smallest "
                        "unit",
                        text, currency->code, currency->digits == 0 ? "" : ", and so is 15.00");
}

int pay_take_amount(struct command *command, const char *option,
                    const struct jini_currency *currency, uint64_t *out)
{
    char name[32] = "--";
    const char *text = args_text(&command->args, option);
    *out = 0;
    if (!text)
        return 0;
    strncat(name, option, sizeof(name) - strlen(name) - 1);
    return pay_parse_amount(command, name, text, currency, out);
}

int pay_take_text(struct command *command, const char *option, char *out, size_t capacity)
{
    char name[32] = "--";
    const char *text = args_text(&command->args, option);
    out[0] = '\0';
    if (!text)
        return 0;
    strncat(name, option, sizeof(name) - strlen(name) - 1);
    if (strlen(text) >= capacity)
        return command_fail(command, JINI_E_INVALID, name, "it is longer than %zu bytes",
                            capacity - 1);
    memcpy(out, text, strlen(text) + 1);
    return 0;
}
