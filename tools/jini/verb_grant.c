/* jini grant and cost: credits, and what generations cost. */
#include "command.h"
#include "layout.h"
#include "ledger_args.h"

#include <string.h>

enum { LISTED_AT_ONCE = 64, MS = 1000000 };

static json_t *object_grant(const struct jini_grant *grant)
{
    bool paid = grant->category == JINI_GRANT_PAID;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:s, s:I, s:o, s:o, s:o, s:o}", "account_id",
                     layout_id(&grant->account_id), "user_id", layout_number(grant->user_id),
                     "granted", layout_number(grant->granted), "remaining",
                     layout_number(grant->remaining), "reserved", layout_number(grant->reserved),
                     "category", paid ? "paid" : "promotional", "priority",
                     (json_int_t)grant->priority, "effective", layout_time(grant->effective_ms),
                     "expires", layout_time(grant->expires_ms), "created",
                     layout_time(grant->created_ms), "source_id", layout_id(&grant->source_id));
}

/* ---- Grants ---- */

static int take_credits(struct command *command, uint64_t *out)
{
    struct jini_amount amount;
    const char *text = command_argument(command, 1);
    int status = jini_amount_parse(text, &amount);
    *out = amount.low;
    if (status == 0 && amount.high == 0 && amount.low >= 1 && amount.low <= JINI_CREDITS_MAX)
        return 0;
    return command_fail(command, JINI_E_INVALID, "CREDITS",
                        "\"%.100s\" is no number of credits: a whole number from 1 to 2^62 is one",
                        text);
}

static int take_ms(struct command *command, const char *option, uint64_t *out)
{
    uint64_t ns;
    int status = ledger_take_time(command, option, &ns);
    *out = ns / MS;
    return status;
}

static int take_grant(struct command *command, struct jini_grant *grant)
{
    struct jini_user user;
    bool promotional = args_has(&command->args, "promotional");
    grant->category = promotional ? JINI_GRANT_PROMOTIONAL : JINI_GRANT_PAID;
    grant->priority = (uint32_t)args_number(&command->args, "priority", 0);
    int status = take_credits(command, &grant->granted);
    if (status == 0)
        status = ledger_take_id(command, "id", &grant->id);
    if (status == 0)
        status = ledger_take_id(command, "source", &grant->source_id);
    if (status == 0)
        status = take_ms(command, "effective", &grant->effective_ms);
    if (status == 0)
        status = take_ms(command, "expires", &grant->expires_ms);
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = command_find_user(command, command_argument(command, 0), &user);
    if (status)
        return status;
    grant->user_id = user.id;
    if (!args_has(&command->args, "id"))
        jini_id_make(command->jini, &grant->id);
    return 0;
}

int verb_grant_add(struct command *command)
{
    struct jini_grant_add add;
    jini_request_init(&add);
    int status = take_grant(command, &add.grant);
    if (status == 0)
        status =
            command_wait(command, &add.request, jini_grant_add(command->jini, &add, wait_done));
    if (status)
        return status;
    json_t *object = object_grant(&add.grant);
    if (object)
        json_object_set_new(object, "id", layout_id(&add.grant.id));
    layout_object(object);
    return 0;
}

static const struct layout_column grant_columns[] = {
    {"REMAINING", "remaining", LAYOUT_PLAIN}, {"RESERVED", "reserved", LAYOUT_PLAIN},
    {"GRANTED", "granted", LAYOUT_PLAIN},     {"CATEGORY", "category", LAYOUT_PLAIN},
    {"PRIORITY", "priority", LAYOUT_PLAIN},   {"EFFECTIVE", "effective", LAYOUT_TIME},
    {"EXPIRES", "expires", LAYOUT_TIME},      {"ACCOUNT", "account_id", LAYOUT_PLAIN},
};

int verb_grant_list(struct command *command)
{
    static struct jini_grant grants[4 * JINI_GRANTS_LIVE_MAX];
    struct jini_wallet wallet;
    struct jini_user user;
    struct layout_list list;
    size_t count = 0;
    int status = command_open(command);
    if (status == 0)
        status = command_find_user(command, command_argument(command, 0), &user);
    if (status == 0)
        status = jini_wallet_get(command->jini, user.id, &wallet, grants,
                                 sizeof(grants) / sizeof(grants[0]), &count, &command->error);
    if (status)
        return status;
    layout_list_begin(&list, grant_columns);
    for (size_t i = 0; i < count; i++)
        layout_list_add(&list, object_grant(&grants[i]));
    layout_list_end(&list, "no credits");
    output_info("%llu credits may be drawn now, %llu are reserved",
                (unsigned long long)wallet.available, (unsigned long long)wallet.reserved);
    return 0;
}

/* ---- Giving back, and taking away ---- */

int verb_grant_refund(struct command *command)
{
    struct jini_grant_refund refund;
    jini_request_init(&refund);
    refund.credits = JINI_CREDITS_MAX;
    int status = command_parse_id(command, command_argument(command, 0), &refund.job_id);
    if (status == 0 && command_argument(command, 1))
        status = take_credits(command, &refund.credits);
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = command_wait(command, &refund.request,
                              jini_grant_refund(command->jini, &refund, wait_done));
    if (status == 0)
        layout_object(json_pack("{s:o, s:o}", "job_id", layout_id(&refund.job_id), "refunded",
                                layout_number(refund.refunded)));
    return status;
}

int verb_grant_revoke(struct command *command)
{
    struct jini_grant_revoke revoke;
    jini_request_init(&revoke);
    int status = ledger_parse_id(command, "ID", command_argument(command, 0), &revoke.grant_id);
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = command_wait(command, &revoke.request,
                              jini_grant_revoke(command->jini, &revoke, wait_done));
    if (status)
        return status;
    json_t *object = object_grant(&revoke.grant);
    if (object)
        json_object_set_new(object, "revoked", layout_number(revoke.revoked));
    layout_object(object);
    return 0;
}

/* ---- The price list ---- */

static json_t *object_cost(const struct jini_cost *cost)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "model", layout_text(cost->model),
                     "per_image", layout_number(cost->per_image), "per_step",
                     layout_number(cost->per_step), "per_megapixel",
                     layout_number(cost->per_megapixel), "per_megapixel_step",
                     layout_number(cost->per_megapixel_step), "version",
                     layout_number(cost->version), "changed", layout_time(cost->changed_ms));
}

static int take_model(struct command *command, struct jini_cost *cost)
{
    const char *model = command_argument(command, 0);
    if (strlen(model) >= sizeof(cost->model))
        return command_fail(command, JINI_E_INVALID, "MODEL", "it is longer than %zu bytes",
                            sizeof(cost->model) - 1);
    memcpy(cost->model, model, strlen(model) + 1);
    return 0;
}

static int change_cost(struct command *command, struct jini_cost_set *set)
{
    int status = take_model(command, &set->cost);
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = command_wait(command, &set->request, jini_cost_set(command->jini, set, wait_done));
    return status;
}

int verb_cost_set(struct command *command)
{
    const struct args *args = &command->args;
    struct jini_cost_set set;
    jini_request_init(&set);
    set.cost.per_image = (uint64_t)args_number(args, "per-image", 0);
    set.cost.per_step = (uint64_t)args_number(args, "per-step", 0);
    set.cost.per_megapixel = (uint64_t)args_number(args, "per-megapixel", 0);
    set.cost.per_megapixel_step = (uint64_t)args_number(args, "per-megapixel-step", 0);
    int status = change_cost(command, &set);
    if (status == 0)
        layout_object(object_cost(&set.cost));
    return status;
}

int verb_cost_rm(struct command *command)
{
    struct jini_cost_set set;
    jini_request_init(&set);
    set.remove = 1;
    return change_cost(command, &set);
}

static const struct layout_column cost_columns[] = {
    {"MODEL", "model", LAYOUT_PLAIN},
    {"PER IMAGE", "per_image", LAYOUT_PLAIN},
    {"PER STEP", "per_step", LAYOUT_PLAIN},
    {"PER MEGAPIXEL", "per_megapixel", LAYOUT_PLAIN},
    {"PER MEGAPIXEL AND STEP", "per_megapixel_step", LAYOUT_PLAIN},
    {"VERSION", "version", LAYOUT_PLAIN},
    {"CHANGED", "changed", LAYOUT_TIME},
};

int verb_cost_list(struct command *command)
{
    static struct jini_cost costs[LISTED_AT_ONCE];
    struct layout_list list;
    const char *after = NULL;
    size_t count = LISTED_AT_ONCE;
    int status = command_open(command);
    if (status)
        return status;
    layout_list_begin(&list, cost_columns);
    while (count == LISTED_AT_ONCE && !command_is_over()) {
        status =
            jini_cost_list(command->jini, after, costs, LISTED_AT_ONCE, &count, &command->error);
        if (status)
            return status;
        for (size_t i = 0; i < count; i++)
            layout_list_add(&list, object_cost(&costs[i]));
        after = count ? costs[count - 1].model : after;
    }
    layout_list_end(&list, "generations cost nothing");
    return 0;
}
