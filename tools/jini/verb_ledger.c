/* jini account, transfer and balance: the ledger. */
#include "command.h"
#include "layout.h"
#include "ledger_args.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LISTED_AT_ONCE = 256 };

/* ---- Flags ---- */

struct named_flag {
    const char *name; /* of the option, and in JSON */
    uint32_t flag;
};

static const struct named_flag account_flags[] = {
    {"linked", JINI_ACCOUNT_LINKED},
    {"debits-must-not-exceed-credits", JINI_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS},
    {"credits-must-not-exceed-debits", JINI_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS},
    {"history", JINI_ACCOUNT_HISTORY},
    {"imported", JINI_ACCOUNT_IMPORTED},
    {"closed", JINI_ACCOUNT_CLOSED},
    {0},
};
static const struct named_flag transfer_flags[] = {
    {"linked", JINI_TRANSFER_LINKED},
    {"pending", JINI_TRANSFER_PENDING},
    {"post", JINI_TRANSFER_POST_PENDING_TRANSFER},
    {"void", JINI_TRANSFER_VOID_PENDING_TRANSFER},
    {"balancing-debit", JINI_TRANSFER_BALANCING_DEBIT},
    {"balancing-credit", JINI_TRANSFER_BALANCING_CREDIT},
    {"closing-debit", JINI_TRANSFER_CLOSING_DEBIT},
    {"closing-credit", JINI_TRANSFER_CLOSING_CREDIT},
    {"imported", JINI_TRANSFER_IMPORTED},
    {"expired", JINI_TRANSFER_EXPIRED},
    {0},
};

/* The flags that were given as options. */
static uint16_t take_flags(struct command *command, const struct named_flag *named)
{
    uint32_t flags = 0;
    for (; named->name; named++) {
        if (args_has(&command->args, named->name))
            flags |= named->flag;
    }
    return (uint16_t)flags;
}

/* ---- Objects ---- */

static json_t *object_amount(struct jini_amount amount)
{
    char text[JINI_AMOUNT_TEXT_MAX];
    jini_amount_format(amount, text);
    return json_string(text); /* JSON's numbers end at 2^53 */
}

static json_t *object_balance(const struct jini_balance *balance)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "debits_pending",
                     object_amount(balance->debits_pending), "debits_posted",
                     object_amount(balance->debits_posted), "credits_pending",
                     object_amount(balance->credits_pending), "credits_posted",
                     object_amount(balance->credits_posted));
}

static json_t *object_flags(const struct named_flag *named, uint32_t flags)
{
    json_t *names = json_array();
    for (; named->name; named++) {
        if (flags & named->flag)
            json_array_append_new(names, json_string(named->name));
    }
    return names;
}

static json_t *object_time(uint64_t timestamp)
{
    return layout_time(timestamp / 1000000);
}

static json_t *object_account(const struct jini_account *account)
{
    return json_pack(
        "{s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", layout_id(&account->id),
        "ledger", (json_int_t)account->ledger, "code", (json_int_t)account->code, "flags",
        object_flags(account_flags, account->flags), "balance", object_balance(&account->balance),
        "user_data_128", layout_id(&account->user_data_128), "user_data_64",
        layout_number(account->user_data_64), "user_data_32", layout_number(account->user_data_32),
        "timestamp", layout_number(account->timestamp), "time", object_time(account->timestamp));
}

static json_t *object_transfer(const struct jini_transfer *transfer)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "id",
        layout_id(&transfer->id), "debit_account", layout_id(&transfer->debit_account_id),
        "credit_account", layout_id(&transfer->credit_account_id), "amount",
        object_amount(transfer->amount), "ledger", (json_int_t)transfer->ledger, "code",
        (json_int_t)transfer->code, "flags", object_flags(transfer_flags, transfer->flags),
        "pending", layout_id(&transfer->pending_id), "timeout_s", (json_int_t)transfer->timeout,
        "user_data_128", layout_id(&transfer->user_data_128), "user_data_64",
        layout_number(transfer->user_data_64), "user_data_32",
        layout_number(transfer->user_data_32), "timestamp", layout_number(transfer->timestamp),
        "time", object_time(transfer->timestamp));
}

/* ---- Results ---- */

/* What a result means to a caller of the command; 0: it stands as it was asked for. */
static int status_of_transfer(uint32_t result)
{
    switch (result) {
    case JINI_TRANSFER_RESULT_CREATED:
    case JINI_TRANSFER_RESULT_EXISTS:
        return 0;
    case JINI_TRANSFER_RESULT_DEBIT_ACCOUNT_NOT_FOUND:
    case JINI_TRANSFER_RESULT_CREDIT_ACCOUNT_NOT_FOUND:
    case JINI_TRANSFER_RESULT_PENDING_TRANSFER_NOT_FOUND:
        return JINI_E_NOT_FOUND;
    case JINI_TRANSFER_RESULT_PENDING_TRANSFER_EXPIRED:
        return JINI_E_EXPIRED;
    case JINI_TRANSFER_RESULT_PENDING_TRANSFER_ALREADY_POSTED:
    case JINI_TRANSFER_RESULT_PENDING_TRANSFER_ALREADY_VOIDED:
    case JINI_TRANSFER_RESULT_DEBIT_ACCOUNT_ALREADY_CLOSED:
    case JINI_TRANSFER_RESULT_CREDIT_ACCOUNT_ALREADY_CLOSED:
    case JINI_TRANSFER_RESULT_EXCEEDS_CREDITS:
    case JINI_TRANSFER_RESULT_EXCEEDS_DEBITS:
        return JINI_E_CONFLICT;
    default:
        break;
    }
    if (strncmp(jini_transfer_result_name(result), "exists_with_", 12) == 0 ||
        result == JINI_TRANSFER_RESULT_ID_ALREADY_FAILED)
        return JINI_E_EXISTS;
    return JINI_E_INVALID;
}

/* What was asked for as it stands, and whether it was made by this call. */
static void print_with_result(json_t *object, const char *result)
{
    if (object)
        json_object_set_new(object, "result", json_string(result));
    layout_object(object);
}

/* ---- account ---- */

int verb_account_create(struct command *command)
{
    struct jini_account account = {
        .user_data_64 = (uint64_t)args_number(&command->args, "user-data-64", 0),
        .user_data_32 = (uint32_t)args_number(&command->args, "user-data-32", 0),
        .ledger = (uint32_t)args_number(&command->args, "ledger", 0),
        .code = (uint16_t)args_number(&command->args, "code", 0),
        .flags = take_flags(command, account_flags),
    };
    struct jini_accounts_create create;
    uint32_t result = 0;
    jini_request_init(&create);
    create.accounts = &account;
    create.results = &result;
    create.count = 1;
    int status = command_open(command);
    if (status == 0)
        status = ledger_take_own_id(command, &account.id);
    if (status == 0)
        status = ledger_take_id(command, "user-data-128", &account.user_data_128);
    if (status == 0)
        status = command_wait(command, &create.request,
                              jini_accounts_create(command->jini, &create, wait_done));
    if (status)
        return status;
    if (result != JINI_ACCOUNT_RESULT_CREATED && result != JINI_ACCOUNT_RESULT_EXISTS)
        return command_fail(
            command,
            strncmp(jini_account_result_name(result), "exists_", 7) == 0 ? JINI_E_EXISTS
                                                                         : JINI_E_INVALID,
            "account", "the account was not made: %s", jini_account_result_name(result));
    struct jini_account made;
    status = jini_account_get(command->jini, &account.id, &made, &command->error);
    if (status == 0)
        print_with_result(object_account(&made), jini_account_result_name(result));
    return status;
}

int verb_account_show(struct command *command)
{
    struct jini_id id;
    struct jini_account account;
    int status = ledger_parse_id(command, "ID", command_argument(command, 0), &id);
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = jini_account_get(command->jini, &id, &account, &command->error);
    if (status == JINI_E_NOT_FOUND)
        return command_fail(command, status, "ID", "there is no account %s",
                            command_argument(command, 0));
    if (status == 0)
        layout_object(object_account(&account));
    return status;
}

/* ---- transfer ---- */

/* --amount, or all of what is posted. */
static int take_amount(struct command *command, struct jini_transfer *transfer)
{
    const char *text = args_text(&command->args, "amount");
    if (!text) {
        if (transfer->flags & JINI_TRANSFER_POST_PENDING_TRANSFER)
            transfer->amount = jini_amount_max();
        if (transfer->flags &
            (JINI_TRANSFER_POST_PENDING_TRANSFER | JINI_TRANSFER_VOID_PENDING_TRANSFER))
            return 0;
        return command_fail(command, JINI_E_INVALID, "amount", "--amount is needed");
    }
    if (jini_amount_parse(text, &transfer->amount) == 0)
        return 0;
    return command_fail(command, JINI_E_INVALID, "amount",
                        "--amount: \"%.100s\" is no whole number of the ledger's smallest unit, "
                        "below 2^128",
                        text);
}

/* What --post or --void ends. */
static int take_pending(struct command *command, struct jini_transfer *transfer)
{
    bool post = args_has(&command->args, "post");
    if (post && args_has(&command->args, "void"))
        return command_fail(command, JINI_E_INVALID, "post",
                            "--post and --void exclude each other");
    return ledger_take_id(command, post ? "post" : "void", &transfer->pending_id);
}

static int take_transfer(struct command *command, struct jini_transfer *transfer)
{
    *transfer = (struct jini_transfer){
        .user_data_64 = (uint64_t)args_number(&command->args, "user-data-64", 0),
        .user_data_32 = (uint32_t)args_number(&command->args, "user-data-32", 0),
        .timeout = (uint32_t)args_number(&command->args, "timeout", 0),
        .ledger = (uint32_t)args_number(&command->args, "ledger", 0),
        .code = (uint16_t)args_number(&command->args, "code", 0),
        .flags = take_flags(command, transfer_flags),
    };
    int status = ledger_take_own_id(command, &transfer->id);
    if (status == 0)
        status = ledger_take_id(command, "debit", &transfer->debit_account_id);
    if (status == 0)
        status = ledger_take_id(command, "credit", &transfer->credit_account_id);
    if (status == 0)
        status = ledger_take_id(command, "user-data-128", &transfer->user_data_128);
    if (status == 0)
        status = take_pending(command, transfer);
    return status ? status : take_amount(command, transfer);
}

int verb_transfer_create(struct command *command)
{
    struct jini_transfer transfer;
    struct jini_transfer_reply reply = {0};
    struct jini_transfers_create create;
    jini_request_init(&create);
    create.transfers = &transfer;
    create.replies = &reply;
    create.count = 1;
    int status = command_open(command);
    if (status == 0)
        status = take_transfer(command, &transfer);
    if (status == 0)
        status = command_wait(command, &create.request,
                              jini_transfers_create(command->jini, &create, wait_done));
    if (status)
        return status;
    const char *result = jini_transfer_result_name(reply.result);
    status = status_of_transfer(reply.result);
    if (status)
        return command_fail(command, status, "transfer", "nothing was moved: %s", result);
    struct jini_transfer made;
    status = jini_transfer_get(command->jini, &transfer.id, &made, &command->error);
    if (status)
        return status;
    json_t *object = object_transfer(&made);
    if (object && reply.result == JINI_TRANSFER_RESULT_CREATED) {
        json_object_set_new(object, "debit_balance", object_balance(&reply.debit));
        json_object_set_new(object, "credit_balance", object_balance(&reply.credit));
    }
    print_with_result(object, result);
    return 0;
}

int verb_transfer_show(struct command *command)
{
    struct jini_id id;
    struct jini_transfer transfer;
    int status = ledger_parse_id(command, "ID", command_argument(command, 0), &id);
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = jini_transfer_get(command->jini, &id, &transfer, &command->error);
    if (status == JINI_E_NOT_FOUND)
        return command_fail(command, status, "ID", "there is no transfer %s",
                            command_argument(command, 0));
    if (status == 0)
        layout_object(object_transfer(&transfer));
    return status;
}

/* ---- Lists ---- */

/* The times, the direction, and the account of the first argument. */
static int take_filter(struct command *command, struct jini_ledger_filter *filter)
{
    const char *account = command_argument(command, 0);
    memset(filter, 0, sizeof(*filter));
    if (args_has(&command->args, "reverse"))
        filter->flags |= JINI_LEDGER_REVERSED;
    int status = ledger_take_time(command, "from", &filter->timestamp_min);
    if (status == 0)
        status = ledger_take_time(command, "to", &filter->timestamp_max);
    if (status == 0 && filter->timestamp_max && filter->timestamp_min > filter->timestamp_max)
        return command_fail(command, JINI_E_INVALID, "to", "--to lies before --from");
    return status || !account ? status
                              : ledger_parse_id(command, "ACCOUNT", account, &filter->account_id);
}

static int take_transfer_filter(struct command *command, struct jini_ledger_filter *filter)
{
    static const struct named_flag flags[] = {
        {"debits", JINI_LEDGER_DEBITS},
        {"credits", JINI_LEDGER_CREDITS},
        {"expiries", JINI_LEDGER_EXPIRIES},
        {0},
    };
    int status = take_filter(command, filter);
    if (status == 0)
        status = ledger_take_id(command, "user-data-128", &filter->user_data_128);
    filter->flags |= take_flags(command, flags);
    if (status == 0 && !command_argument(command, 0) &&
        (filter->flags & (JINI_LEDGER_DEBITS | JINI_LEDGER_CREDITS)))
        return command_fail(command, JINI_E_INVALID, "ACCOUNT",
                            "--debits and --credits are of an account: name one");
    filter->user_data_64 = (uint64_t)args_number(&command->args, "user-data-64", 0);
    filter->user_data_32 = (uint32_t)args_number(&command->args, "user-data-32", 0);
    filter->ledger = (uint32_t)args_number(&command->args, "ledger", 0);
    filter->code = (uint16_t)args_number(&command->args, "code", 0);
    return status;
}

static const struct layout_column transfer_columns[] = {
    {"TIME", "time", LAYOUT_TIME},
    {"ID", "id", LAYOUT_PLAIN},
    {"DEBIT", "debit_account", LAYOUT_PLAIN},
    {"CREDIT", "credit_account", LAYOUT_PLAIN},
    {"AMOUNT", "amount", LAYOUT_PLAIN},
    {"CODE", "code", LAYOUT_PLAIN},
};

int verb_transfer_list(struct command *command)
{
    static struct jini_transfer found[LISTED_AT_ONCE];
    struct jini_ledger_filter filter;
    struct jini_ledger_cursor cursor = {0};
    struct layout_list list;
    uint64_t left = (uint64_t)args_number(&command->args, "limit", INT64_MAX);
    int status = take_transfer_filter(command, &filter);
    if (status == 0)
        status = command_open(command);
    if (status)
        return status;
    layout_list_begin(&list, transfer_columns);
    while (status == 0 && left > 0 && cursor.state != JINI_LEDGER_LISTING_ENDED &&
           !command_is_over()) {
        size_t count = 0;
        status = jini_transfer_list(command->jini, &filter, &cursor, found,
                                    left < LISTED_AT_ONCE ? left : LISTED_AT_ONCE, &count,
                                    &command->error);
        for (size_t i = 0; status == 0 && i < count; i++)
            layout_list_add(&list, object_transfer(&found[i]));
        left -= count;
    }
    layout_list_end(&list, status ? NULL : "no transfers");
    return status;
}

/* ---- balance ---- */

static json_t *object_moment(const struct jini_ledger_balance *moment)
{
    json_t *object = object_balance(&moment->balance);
    if (object) {
        json_object_set_new(object, "timestamp", layout_number(moment->timestamp));
        json_object_set_new(object, "time", object_time(moment->timestamp));
    }
    return object;
}

static const struct layout_column balance_columns[] = {
    {"TIME", "time", LAYOUT_TIME},
    {"DEBITS PENDING", "debits_pending", LAYOUT_PLAIN},
    {"DEBITS POSTED", "debits_posted", LAYOUT_PLAIN},
    {"CREDITS PENDING", "credits_pending", LAYOUT_PLAIN},
    {"CREDITS POSTED", "credits_posted", LAYOUT_PLAIN},
};

static int list_balances(struct command *command, const struct jini_ledger_filter *filter)
{
    static struct jini_ledger_balance found[LISTED_AT_ONCE];
    struct jini_ledger_cursor cursor = {0};
    struct layout_list list;
    uint64_t left = (uint64_t)args_number(&command->args, "limit", INT64_MAX);
    int status = 0;
    layout_list_begin(&list, balance_columns);
    while (status == 0 && left > 0 && cursor.state != JINI_LEDGER_LISTING_ENDED &&
           !command_is_over()) {
        size_t count = 0;
        status = jini_balance_list(command->jini, filter, &cursor, found,
                                   left < LISTED_AT_ONCE ? left : LISTED_AT_ONCE, &count,
                                   &command->error);
        for (size_t i = 0; status == 0 && i < count; i++)
            layout_list_add(&list, object_moment(&found[i]));
        left -= count;
    }
    layout_list_end(&list, status ? NULL : "no balances");
    return status;
}

static int balance_at(struct command *command, const struct jini_id *account, uint64_t at)
{
    struct jini_ledger_balance moment;
    int status = jini_balance_at(command->jini, account, at, &moment, &command->error);
    if (status == 0)
        layout_object(object_moment(&moment));
    return status;
}

static int refuse_list_options(struct command *command)
{
    static const char *const options[] = {"from", "to", "reverse", "limit"};
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (args_has(&command->args, options[i]))
            return command_fail(command, JINI_E_INVALID, options[i],
                                "--%s is of a list: --history asks for one", options[i]);
    }
    return 0;
}

int verb_balance(struct command *command)
{
    struct jini_ledger_filter filter;
    struct jini_account account;
    uint64_t at;
    bool list = args_has(&command->args, "history");
    int status = take_filter(command, &filter);
    if (status == 0)
        status = ledger_take_time(command, "at", &at);
    if (status == 0 && list && at)
        return command_fail(command, JINI_E_INVALID, "at", "--at and --history exclude each other");
    if (status == 0 && !list)
        status = refuse_list_options(command);
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = jini_account_get(command->jini, &filter.account_id, &account, &command->error);
    if (status == JINI_E_NOT_FOUND)
        return command_fail(command, status, "ACCOUNT", "there is no account %s",
                            command_argument(command, 0));
    if (status)
        return status;
    if (list || at)
        status =
            list ? list_balances(command, &filter) : balance_at(command, &filter.account_id, at);
    if (status == JINI_E_UNSUPPORTED)
        return command_fail(command, status, "ACCOUNT",
                            "account %s was made without --history: only its newest balance is "
                            "kept",
                            command_argument(command, 0));
    if (status || list || at)
        return status;
    layout_object(object_balance(&account.balance));
    return 0;
}
