/* jini tier: what users of a tier are allowed. */
#include "command.h"
#include "layout.h"
#include "object.h"

#include <stdbool.h>
#include <string.h>

static const struct layout_column tier_columns[] = {
    {"NAME", "name", LAYOUT_PLAIN},          {"LIMITS", "limits", LAYOUT_PLAIN},
    {"WIDTH", "width_max", LAYOUT_BOUND},    {"HEIGHT", "height_max", LAYOUT_BOUND},
    {"STEPS", "steps_max", LAYOUT_BOUND},    {"AT ONCE", "parallel_max", LAYOUT_BOUND},
    {"KEPT", "retention_days", LAYOUT_DAYS}, {"PRICE (MINOR)", "price_minor", LAYOUT_PLAIN},
    {"CURRENCY", "currency", LAYOUT_PLAIN},
};

int verb_tier_list(struct command *command)
{
    static struct jini_tier tiers[JINI_TIERS_MAX];
    struct layout_list list;
    size_t count = 0;
    int status = command_open(command);
    if (status == 0)
        status = jini_tier_list(command->jini, tiers, JINI_TIERS_MAX, &count, &command->error);
    if (status)
        return status;
    layout_list_begin(&list, tier_columns);
    for (size_t i = 0; i < count; i++)
        layout_list_add(&list, object_tier(&tiers[i]));
    layout_list_end(&list, "no tiers");
    return 0;
}

static int no_such_tier(struct command *command, const char *name, const char *hint)
{
    return command_fail(command, JINI_E_NOT_FOUND, "tier",
                        "tier \"%.100s\": there is no such tier; %s", name, hint);
}

int verb_tier_show(struct command *command)
{
    struct jini_tier tier;
    int status = command_open(command);
    if (status == 0)
        status = jini_tier_get(command->jini, command_argument(command, 0), &tier, &command->error);
    if (status == JINI_E_NOT_FOUND)
        return no_such_tier(command, command_argument(command, 0), "\"jini tier list\" lists them");
    if (status == 0)
        layout_object(object_tier(&tier));
    return status;
}

static int take_text(struct command *command, const char *option, const char *value, char *out,
                     size_t capacity)
{
    if (!value)
        return 0;
    if (strlen(value) >= capacity)
        return command_fail(command, JINI_E_INVALID, option, "it is longer than %zu bytes",
                            capacity - 1);
    memcpy(out, value, strlen(value) + 1);
    return 0;
}

static void take_number(const struct command *command, const char *option, uint32_t *out)
{
    *out = (uint32_t)args_number(&command->args, option, *out);
}

/* Nobody takes all limits away by a variable that was empty. */
static int take_limits(struct command *command, char *out, size_t capacity)
{
    const char *limits = args_text(&command->args, "limits");
    bool none = args_has(&command->args, "no-limits");
    if (none && limits)
        return command_fail(command, JINI_E_INVALID, "limits",
                            "--limits and --no-limits exclude each other");
    if (limits && limits[strspn(limits, " \t\n")] == '\0')
        return command_fail(command, JINI_E_INVALID, "limits",
                            "--limits: the text is empty; --no-limits takes all limits away");
    if (none)
        out[0] = '\0';
    return take_text(command, "limits", limits, out, capacity);
}

static int take_options(struct command *command, struct jini_tier *tier)
{
    const struct args *args = &command->args;
    struct jini_allowance *allowance = &tier->allowance;
    take_number(command, "width-max", &allowance->width_max);
    take_number(command, "height-max", &allowance->height_max);
    take_number(command, "steps-max", &allowance->steps_max);
    take_number(command, "parallel-max", &allowance->parallel_max);
    take_number(command, "retention-days", &allowance->retention_days);
    tier->price_minor = (uint64_t)args_number(args, "price-minor", (int64_t)tier->price_minor);
    int status = take_text(command, "currency", args_text(args, "currency"), tier->currency,
                           sizeof(tier->currency));
    return status ? status : take_limits(command, allowance->limits, sizeof(allowance->limits));
}

/* The tier as it is, or a new one with --create. */
static int find_tier(struct command *command, const char *name, struct jini_tier *out)
{
    bool create = args_has(&command->args, "create");
    int status = jini_tier_get(command->jini, name, out, &command->error);
    if (status == 0 && create)
        return command_fail(command, JINI_E_EXISTS, "tier",
                            "tier \"%.100s\": it is there already; leave --create out to change it",
                            out->name);
    if (status == JINI_E_NOT_FOUND && !create)
        return no_such_tier(command, name, "--create adds it");
    if (status != JINI_E_NOT_FOUND)
        return status;
    memset(out, 0, sizeof(*out));
    return take_text(command, "name", name, out->name, sizeof(out->name));
}

int verb_tier_set(struct command *command)
{
    struct jini_tier_set set;
    const char *name = command_argument(command, 0);
    jini_request_init(&set);
    int status = command_open(command);
    if (status)
        return status;
    status = find_tier(command, name, &set.tier);
    if (status == 0)
        status = take_options(command, &set.tier);
    if (status == 0)
        status = command_wait(command, &set.request, jini_tier_set(command->jini, &set, wait_done));
    if (status == 0)
        layout_object(object_tier(&set.tier));
    return status;
}

int verb_tier_rm(struct command *command)
{
    struct jini_tier_remove remove;
    const char *name = command_argument(command, 0);
    jini_request_init(&remove);
    int status = take_text(command, "name", name, remove.name, sizeof(remove.name));
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = command_wait(command, &remove.request,
                              jini_tier_remove(command->jini, &remove, wait_done));
    if (status == JINI_E_NOT_FOUND)
        return no_such_tier(command, name, "\"jini tier list\" lists them");
    if (status)
        return status;
    output_info("the tier %s is deleted", name);
    output_json(json_pack("{s:s, s:b}", "name", name, "deleted", 1));
    return 0;
}
