/* Prices, payments and subscriptions as JSON objects. NULL: out of memory. */
#ifndef JINI_CLI_OBJECT_PAY_H
#define JINI_CLI_OBJECT_PAY_H

#include <jansson.h>
#include <jini/jini.h>

/* Amounts are texts, as "15.00". */
json_t *object_price(const struct jini_price *price);
json_t *object_payment(const struct jini_payment *payment);
json_t *object_books(const struct jini_books *books);

/* null where the user has none. */
json_t *object_subscription(const struct jini_subscription *subscription);

#endif
