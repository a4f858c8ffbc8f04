/* Amounts of money as people write them: "15.00", with as many digits as the currency has. */
#ifndef JINI_CLI_MONEY_H
#define JINI_CLI_MONEY_H

#include <jini/payments.h>
#include <stdbool.h>

enum { MONEY_TEXT_MAX = 32 };

/* False: no amount of the currency; a sign, an exponent and too many digits are none. */
bool money_parse(const char *text, const struct jini_currency *currency, uint64_t *out);

/* `currency` NULL or unknown: the number of its smallest unit. */
void money_format(int64_t amount, const char *currency, char out[MONEY_TEXT_MAX]);

#endif
