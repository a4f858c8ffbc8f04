/* See money.h. */
#include "money.h"

#include <stdio.h>

static uint64_t unit_of(const struct jini_currency *currency)
{
    uint64_t unit = 1;
    for (unsigned i = 0; i < currency->digits; i++)
        unit *= 10;
    return unit;
}

/* Digits, of which there are some; more than JINI_MONEY_MAX has no place in an amount. */
static bool take_digits(const char **text, unsigned most, uint64_t *number, unsigned *count)
{
    for (*count = 0; **text >= '0' && **text <= '9'; (*text)++) {
        if (++*count > most || *number > JINI_MONEY_MAX)
            return false;
        *number = *number * 10 + (uint64_t)(**text - '0');
    }
    return *count > 0;
}

bool money_parse(const char *text, const struct jini_currency *currency, uint64_t *out)
{
    uint64_t number = 0;
    unsigned count;
    unsigned decimals = 0;
    *out = 0;
    if (!take_digits(&text, 20, &number, &count))
        return false;
    if (*text == '.') {
        text++;
        if (!take_digits(&text, currency->digits, &number, &decimals))
            return false;
    }
    for (; decimals < currency->digits; decimals++) {
        if (number > JINI_MONEY_MAX)
            return false;
        number *= 10;
    }
    *out = number;
    return *text == '\0' && number <= JINI_MONEY_MAX;
}

void money_format(int64_t amount, const char *currency, char out[MONEY_TEXT_MAX])
{
    struct jini_currency found = {0};
    uint64_t size = amount < 0 ? 0 - (uint64_t)amount : (uint64_t)amount;
    const char *sign = amount < 0 ? "-" : "";
    if (currency)
        jini_currency_find(currency, &found);
    uint64_t unit = unit_of(&found);
    int length = snprintf(out, MONEY_TEXT_MAX, "%s%llu%s", sign, (unsigned long long)(size / unit),
                          found.digits == 0 ? "" : ".");
    for (uint64_t place = unit / 10; place > 0; place /= 10)
        out[length++] = (char)('0' + size / place % 10);
    out[length] = '\0';
}
