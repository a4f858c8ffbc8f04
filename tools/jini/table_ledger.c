/* The rows of table_ledger.h. */
#include "table_ledger.h"

#define NUMBER(name_, most_, text_)                                                                \
    {                                                                                              \
        .name = (name_), .kind = VALUE_NUMBER, .value = "N", .text = (text_), .most = (most_)      \
    }
#define ID(name_, text_)                                                                           \
    {                                                                                              \
        .name = (name_), .kind = VALUE_TEXT, .value = "ID", .text = (text_)                        \
    }
#define TIME(name_, text_)                                                                         \
    {                                                                                              \
        .name = (name_), .kind = VALUE_TEXT, .value = "TIME", .text = (text_)                      \
    }
#define USER_DATA                                                                                  \
    ID("user-data-128", "of the caller: an id"),                                                   \
        NUMBER("user-data-64", INT64_MAX, "of the caller: a number"),                              \
        NUMBER("user-data-32", UINT32_MAX, "of the caller: a number")
#define LISTED                                                                                     \
    TIME("from", "no older ones; 2026-11-30T12:00:00Z, or nanoseconds since 1970"),                \
        TIME("to", "no newer ones"), {.name = "reverse", .text = "the newest first"},              \
    {                                                                                              \
        .name = "limit", .kind = VALUE_NUMBER, .value = "N", .text = "at most so many",            \
        .least = 1, .most = INT64_MAX                                                              \
    }

const struct argument_row ledger_new_arguments[] = {
    {"ID", ARGUMENT_OPTIONAL, VALUE_TEXT,
     "the id, a UUID or a number below 2^128; without it one is made"},
    {0}};
const struct argument_row ledger_id_arguments[] = {
    {"ID", ARGUMENT_ONE, VALUE_TEXT, "the id, a UUID or a number"}, {0}};
const struct argument_row ledger_account_arguments[] = {
    {"ACCOUNT", ARGUMENT_ONE, VALUE_TEXT, "the id of the account, a UUID or a number"}, {0}};
const struct argument_row ledger_any_account_arguments[] = {
    {"ACCOUNT", ARGUMENT_OPTIONAL, VALUE_TEXT, "of this account; without it, of all"}, {0}};

const struct option_row ledger_account_create_options[] = {
    NUMBER("ledger", UINT32_MAX, "the ledger, a currency or kind of credit; 1 or more"),
    NUMBER("code", UINT16_MAX, "what kind of account it is; 1 or more"),
    {.name = "debits-must-not-exceed-credits", .text = "refuse what would overdraw it"},
    {.name = "credits-must-not-exceed-debits", .text = "the same the other way round"},
    {.name = "history", .text = "keep its balance after each transfer"},
    USER_DATA,
    {0},
};
const struct option_row ledger_transfer_create_options[] = {
    ID("debit", "the account that is debited"),
    ID("credit", "the account that is credited"),
    {.name = "amount",
     .kind = VALUE_TEXT,
     .value = "N",
     .text = "how much, in the ledger's smallest unit; with --post or --void all of it by default"},
    NUMBER("ledger", UINT32_MAX, "the ledger of both accounts"),
    NUMBER("code", UINT16_MAX, "what kind of transfer it is; 1 or more"),
    {.name = "pending", .text = "hold the amount until it is posted or voided"},
    NUMBER("timeout", UINT32_MAX, "seconds after which a pending one expires; 0: never"),
    ID("post", "post this pending transfer, as far as --amount"),
    ID("void", "give back this pending transfer"),
    {.name = "balancing-debit", .text = "move less where the debit account has less"},
    {.name = "balancing-credit", .text = "move less where the credit account can take less"},
    {.name = "closing-debit", .text = "close the debit account; with --pending"},
    {.name = "closing-credit", .text = "close the credit account; with --pending"},
    USER_DATA,
    {0},
};
const struct option_row ledger_transfer_list_options[] = {
    {.name = "debits", .text = "only those that debit the account"},
    {.name = "credits", .text = "only those that credit the account"},
    {.name = "expiries", .text = "also the ends of pending transfers that nobody ended"},
    NUMBER("ledger", UINT32_MAX, "only those of this ledger"),
    NUMBER("code", UINT16_MAX, "only those of this code"),
    USER_DATA,
    LISTED,
    {0},
};
const struct option_row ledger_balance_options[] = {
    TIME("at", "as it was then; the account needs --history since it was made"),
    {.name = "history", .text = "list it after each transfer; the account needs --history"},
    LISTED,
    {0},
};

const struct example_row ledger_account_create_examples[] = {
    {"jini account create 1 --ledger 978 --code 10", "an account of the bank, in euro cents"},
    {"jini account create --ledger 1 --code 20 --debits-must-not-exceed-credits --history",
     "a wallet that cannot be overdrawn and remembers its balances"},
    {0},
};
const struct example_row ledger_account_show_examples[] = {
    {"jini account show 1", "balances and flags"}, {0}};
const struct example_row ledger_transfer_create_examples[] = {
    {"jini transfer create --debit 1 --credit 2 --amount 999 --ledger 978 --code 1",
     "move 9.99 euro"},
    {"jini transfer create 7 --debit 2 --credit 3 --amount 10 --ledger 1 --code 2 --pending "
     "--timeout 300",
     "hold 10 for five minutes"},
    {"jini transfer create 8 --post 7 --amount 6", "post 6 of them, and give back 4"},
    {0},
};
const struct example_row ledger_transfer_show_examples[] = {
    {"jini transfer show 7 --json", "for programs"}, {0}};
const struct example_row ledger_transfer_list_examples[] = {
    {"jini transfer list 2 --reverse --limit 10", "the newest ten of account 2"},
    {"jini transfer list --code 1 --from 2026-11-01 --to 2026-12-01", "a month's, by their code"},
    {0},
};
const struct example_row ledger_balance_examples[] = {
    {"jini balance 2", "as it is now"},
    {"jini balance 2 --at 2026-11-30T12:00:00Z", "as it was then"},
    {"jini balance 2 --history --reverse", "after each of its transfers, the newest first"},
    {0},
};
