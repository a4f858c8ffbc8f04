/* The rows of table_payments.h. */
#include "table_payments.h"

#include <jini/payments.h>

#define TEXT(name_, value_, text_)                                                                 \
    {                                                                                              \
        .name = (name_), .kind = VALUE_TEXT, .value = (value_), .text = (text_)                    \
    }
#define NUMBER(name_, least_, most_, text_)                                                        \
    {                                                                                              \
        .name = (name_), .kind = VALUE_NUMBER, .value = "N", .text = (text_), .least = (least_),   \
        .most = (most_)                                                                            \
    }
#define CURRENCY TEXT("currency", "CODE", "of the amounts, by ISO 4217; EUR by default")
#define REFERENCE                                                                                  \
    TEXT("provider", "NAME", "who takes the money, as stripe"),                                    \
        TEXT("reference", "TEXT", "the provider's id of the payment, which is one payment's only")

/* ---- price ---- */

const struct argument_row price_set_arguments[] = {
    {"NAME", ARGUMENT_ONE, VALUE_TEXT, "1 to 32 letters, digits, -, _ and ."},
    {"AMOUNT", ARGUMENT_ONE, VALUE_TEXT, "what it costs, as 15 or 15.00"},
    {0}};
const struct argument_row price_arguments[] = {
    {"NAME", ARGUMENT_ONE, VALUE_TEXT, "the name of the price"}, {0}};
const struct option_row price_set_options[] = {
    CURRENCY,
    TEXT("tier", "TIER", "the tier that it buys"),
    NUMBER("days", 1, JINI_PERIOD_DAYS_MAX, "how long; 30 by default"),
    {.name = "forever", .text = "the tier does not end"},
    NUMBER("credits", 1, INT64_MAX / 2, "the credits that it buys"),
    TEXT("credits-amount", "AMOUNT",
         "what of the amount is for the credits and becomes revenue as they are drawn, the rest "
         "being for the tier; nothing by default, and all where there is no tier"),
    {.name = "credits-expire", .text = "the credits end with the period; without it they stay"},
    NUMBER("priority", 0, JINI_PRIORITY_MAX, "of the grant of credits; 0 by default"),
    {0},
};
const struct example_row price_set_examples[] = {
    {"jini price set premium 15 --tier Premium", "Premium for 30 days"},
    {"jini price set pack 9.99 --credits 500 --days 365 --credits-expire",
     "five hundred credits for a year"},
    {"jini price set lifetime 300 --tier Premium --forever", "for ever"},
    {0},
};
const struct example_row price_list_examples[] = {{"jini price list", "what is sold"}, {0}};
const struct example_row price_rm_examples[] = {
    {"jini price rm pack", "payments that were begun keep it"}, {0}};

/* ---- pay ---- */

const struct argument_row pay_intend_arguments[] = {
    {"USER", ARGUMENT_ONE, VALUE_TEXT, "a user name, an email address or an id"},
    {"PRICE", ARGUMENT_OPTIONAL, VALUE_TEXT,
     "the name of the price; without it the one of --amount"},
    {0}};
const struct argument_row pay_id_arguments[] = {
    {"ID", ARGUMENT_ONE, VALUE_TEXT, "the payment's, a UUID or a number"}, {0}};
const struct argument_row pay_resolve_arguments[] = {
    {"ID", ARGUMENT_ONE, VALUE_TEXT, "the payment's, a UUID or a number"},
    {"OUTCOME", ARGUMENT_ONE, VALUE_TEXT, "won or lost"},
    {0}};
const struct argument_row pay_list_arguments[] = {
    {"USER", ARGUMENT_OPTIONAL, VALUE_TEXT, "a user name, an email address or an id"}, {0}};
const struct argument_row pay_user_arguments[] = {
    {"USER", ARGUMENT_ONE, VALUE_TEXT, "a user name, an email address or an id"}, {0}};

const struct option_row pay_intend_options[] = {
    TEXT("id", "ID", "the payment's, a UUID or a number: the same one again is the same payment"),
    TEXT("amount", "AMOUNT", "as 15 or 15.00; that of the price by default"),
    CURRENCY,
    REFERENCE,
    {0},
};
const struct option_row pay_settle_options[] = {
    TEXT("amount", "AMOUNT", "what arrived; what was intended by default"),
    TEXT("currency", "CODE", "of what arrived; that of the payment by default"),
    TEXT("fee", "AMOUNT", "what the provider keeps"),
    REFERENCE,
    {0},
};
const struct option_row pay_reason_options[] = {TEXT("reason", "TEXT", "why, up to 128 bytes"),
                                                {0}};
const struct option_row pay_refund_options[] = {
    TEXT("amount", "AMOUNT", "what is paid back; all by default"),
    TEXT("reason", "TEXT", "why, up to 128 bytes"),
    {0},
};
const struct option_row pay_resolve_options[] = {
    TEXT("fee", "AMOUNT", "what the bank keeps beside the amount"),
    TEXT("reason", "TEXT", "why, up to 128 bytes"),
    {0},
};
const struct option_row pay_cancel_options[] = {{.name = "resume", .text = "have it go on again"},
                                                {0}};
const struct option_row pay_books_options[] = {
    TEXT("currency", "CODE", "by ISO 4217; EUR by default"), {0}};

const struct example_row pay_intend_examples[] = {
    {"jini pay intend alice premium --id 7", "she wants to pay for Premium"},
    {"jini pay intend alice --amount 15 --currency EUR", "by the amount"},
    {0},
};
const struct example_row pay_settle_examples[] = {
    {"jini pay settle 7 --fee 0.45 --provider stripe --reference pi_3",
     "it was paid, and she has Premium"},
    {0},
};
const struct example_row pay_fail_examples[] = {
    {"jini pay fail 7 --reason 'card declined'", "nothing arrived"}, {0}};
const struct example_row pay_refund_examples[] = {
    {"jini pay refund 7", "all of it"},
    {"jini pay refund 7 --amount 5", "a part; the tier goes all the same"},
    {0},
};
const struct example_row pay_dispute_examples[] = {
    {"jini pay dispute 7", "the bank holds the money"}, {0}};
const struct example_row pay_resolve_examples[] = {
    {"jini pay resolve 7 lost --fee 15", "the money is gone, and a fee with it"}, {0}};
const struct example_row pay_show_examples[] = {{"jini pay show 7", "where its money is"}, {0}};
const struct example_row pay_list_examples[] = {{"jini pay list alice", "what she has paid"}, {0}};
const struct example_row pay_cancel_examples[] = {
    {"jini pay cancel alice", "her tier ends with what is paid"},
    {"jini pay cancel alice --resume", "and does not"},
    {0},
};
const struct example_row pay_books_examples[] = {
    {"jini pay books --currency USD", "where the dollars are"}, {0}};

/* ---- import ---- */

const struct argument_row import_arguments[] = {
    {"FILE", ARGUMENT_ONE, VALUE_FILE, "the file, with the header id,user,amount,date"}, {0}};
const struct option_row import_options[] = {
    CURRENCY,
    TEXT("price", "NAME", "what was paid for; the price of each amount by default"),
    {.name = "dry-run", .text = "check the file and write nothing"},
    {0},
};
const struct example_row import_examples[] = {
    {"jini import payments payments.csv --dry-run", "is every row right?"},
    {"jini import payments payments.csv --price lifetime", "all of them bought the same"},
    {0},
};
