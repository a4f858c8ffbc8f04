/* Currencies of ISO 4217: the number of a currency is that of its ledger. Pure. */
#ifndef LEDGER_CURRENCY_H
#define LEDGER_CURRENCY_H

#include <jini/payments.h>

/* JINI_E_INVALID ("currency"): it is none. */
int currency_check(const char code[JINI_CURRENCY_MAX], struct jini_currency *out,
                   struct jini_error *error);

#endif
