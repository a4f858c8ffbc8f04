/* jini tier: what users of a tier are allowed. */
#include "command.h"
#include "layout.h"
#include "object.h"

#include <stdbool.h>
#include <string.h>

static const struct layout_column tier_columns[] = {
    {"NAME", "name", LAYOUT_PLAIN},
    {"LIMITS", "limits", LAYOUT_PLAIN},
    {"WIDTH", "width_max", LAYOUT_BOUND},
    {"HEIGHT", "height_max", LAYOUT_BOUND},
    {"STEPS", "steps_max", LAYOUT_BOUND},
    {"AT ONCE", "parallel_max", LAYOUT_BOUND},
    {"KEPT", "retention_days", LAYOUT_DAYS},
    {"PRIORITY", "queue_priority", LAYOUT_PLAIN},
    {"PRICE (MINOR)", "price_minor", LAYOUT_PLAIN},
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
    if (strlen(value) >= capacity)
        return command_fail(command, JINI_E_INVALID, option, "it is longer than %zu bytes",
                            capacity - 1);
    memcpy(out, value, strlen(value) + 1);
    return 0;
}

/* Nobody takes all limits away by a variable that was empty. */
static int take_limits(struct command *command, struct jini_tier_set *set)
{
    char *out = set->tier.allowance.limits;
    const char *limits = args_text(&command->args, "limits");
    bool none = args_has(&command->args, "no-limits");
    if (none && limits)
        return command_fail(command, JINI_E_INVALID, "limits",
                            "--limits and --no-limits exclude each other");
    if (limits && limits[strspn(limits, " \t\n")] == '\0')
        return command_fail(command, JINI_E_INVALID, "limits",
                            "--limits: the text is empty; --no-limits takes all limits away");
    if (!none && !limits)
        return 0;
    set->fields |= JINI_ALLOWANCE_LIMITS;
    return none ? 0 : take_text(command, "limits", limits, out, sizeof(set->tier.allowance.limits));
}

/* Only what was named goes into the request: the rest stays as it is when the change is made. */
static int take_options(struct command *command, struct jini_tier_set *set)
{
    const struct args *args = &command->args;
    struct jini_allowance *allowance = &set->tier.allowance;
    const struct {
        const char *option;
        uint32_t *out;
        uint32_t field;
    } numbers[] = {
        {"width-max", &allowance->width_max, JINI_ALLOWANCE_WIDTH},
        {"height-max", &allowance->height_max, JINI_ALLOWANCE_HEIGHT},
        {"steps-max", &allowance->steps_max, JINI_ALLOWANCE_STEPS},
        {"parallel-max", &allowance->parallel_max, JINI_ALLOWANCE_PARALLEL},
        {"retention-days", &allowance->retention_days, JINI_ALLOWANCE_RETENTION},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (!args_has(args, numbers[i].option))
            continue;
        *numbers[i].out = (uint32_t)args_number(args, numbers[i].option, 0);
        set->fields |= numbers[i].field;
    }
    if (args_has(args, "queue-priority")) {
        set->tier.queue_priority = (uint32_t)args_number(args, "queue-priority", 0);
        set->fields |= JINI_TIER_FIELD_QUEUE_PRIORITY;
    }
    if (args_has(args, "price-minor")) {
        set->tier.price_minor = (uint64_t)args_number(args, "price-minor", 0);
        set->fields |= JINI_TIER_FIELD_PRICE;
    }
    int status = 0;
    if (args_has(args, "currency")) {
        status = take_text(command, "currency", args_text(args, "currency"), set->tier.currency,
                           sizeof(set->tier.currency));
        set->fields |= JINI_TIER_FIELD_CURRENCY;
    }
    return status ? status : take_limits(command, set);
}

int verb_tier_set(struct command *command)
{
    struct jini_tier_set set;
    const char *name = command_argument(command, 0);
    bool create = args_has(&command->args, "create");
    jini_request_init(&set);
    set.mode = create ? JINI_TIER_ADD : JINI_TIER_CHANGE;
    int status = command_open(command);
    if (status == 0)
        status = take_text(command, "name", name, set.tier.name, sizeof(set.tier.name));
    if (status == 0)
        status = take_options(command, &set);
    if (status == 0 && set.fields == 0 && !create)
        return command_fail(command, JINI_E_INVALID, "options",
                            "nothing to change was named; see \"jini tier set --help\"");
    if (status == 0)
        status = command_wait(command, &set.request, jini_tier_set(command->jini, &set, wait_done));
    if (status == JINI_E_EXISTS)
        return command_fail(command, status, "tier",
                            "tier \"%.100s\": it is there already; leave --create out to change it",
                            name);
    if (status == JINI_E_NOT_FOUND)
        return no_such_tier(command, name, "--create adds it");
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
