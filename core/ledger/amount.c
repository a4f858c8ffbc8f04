/* Amounts as text. */
#include "ledger/amount.h"

#include <string.h>

void jini_amount_format(struct jini_amount amount, char text[JINI_AMOUNT_TEXT_MAX])
{
    char digits[JINI_AMOUNT_TEXT_MAX];
    char *begin = digits + sizeof(digits) - 1;
    amount128 rest = amount_of(amount);
    *begin = '\0';
    do {
        *--begin = (char)('0' + (int)(rest % 10));
        rest /= 10;
    } while (rest > 0);
    memcpy(text, begin, (size_t)(digits + sizeof(digits) - begin));
}

int jini_amount_parse(const char *text, struct jini_amount *out)
{
    amount128 amount = 0;
    *out = jini_amount_of(0);
    if (*text == '\0')
        return JINI_E_INVALID;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return JINI_E_INVALID;
        amount128 digit = (amount128)(*text - '0');
        if (amount > amount_max / 10 || amount_overflows(amount * 10, digit))
            return JINI_E_INVALID;
        amount = amount * 10 + digit;
    }
    *out = amount_out(amount);
    return 0;
}

int jini_amount_compare(struct jini_amount a, struct jini_amount b)
{
    amount128 left = amount_of(a);
    amount128 right = amount_of(b);
    return (left > right) - (left < right);
}
