/* jini why: what an admission stood on. */
#include "command.h"
#include "layout.h"
#include "object.h"

#include <stdlib.h>

static json_t *object_decision_limit(const struct jini_decision_limit *limit)
{
    const struct jini_limit_entry entry = {.amount = limit->amount,
                                           .multiples = limit->multiples,
                                           .unit = limit->unit,
                                           .flags = limit->flags,
                                           .remaining = limit->remaining,
                                           .reset_ms = limit->reset_ms,
                                           .retry_after_ms = limit->retry_after_ms};
    return object_limit(&entry);
}

static json_t *object_decision(const struct jini_decision *decision)
{
    json_t *object = json_pack(
        "{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
        layout_id(&decision->id), "time", layout_time(decision->time_ms), "status",
        jini_status_name(decision->status), "field",
        decision->field[0] != '\0' ? layout_text(decision->field) : json_null(), "message",
        decision->message[0] != '\0' ? layout_text(decision->message) : json_null(), "subject",
        object_subject(&decision->subject), "tier", layout_text(decision->tier), "tier_version",
        layout_number(decision->tier_version), "parallel", layout_number(decision->parallel),
        "parallel_max", layout_number(decision->parallel_max), "cost",
        layout_number(decision->cost), "cost_version", layout_number(decision->cost_version),
        "credits_before", layout_number(decision->credits_before), "credits_after",
        layout_number(decision->credits_after), "model", layout_text(decision->model), "count",
        layout_number(decision->count));
    json_t *size =
        json_pack("{s:o, s:o, s:o}", "width", layout_number(decision->width), "height",
                  layout_number(decision->height), "steps", layout_number(decision->steps));
    json_t *limits = json_array();
    for (uint32_t i = 0; i < decision->limit_count; i++)
        json_array_append_new(limits, object_decision_limit(&decision->limits[i]));
    if (object) {
        json_object_update(object, size);
        json_object_set_new(object, "limits", limits);
        json_object_set_new(object, "decided",
                            decision->decided < decision->limit_count
                                ? layout_number(decision->decided)
                                : json_null());
    } else {
        json_decref(limits);
    }
    json_decref(size);
    return object;
}

static const struct layout_column limit_columns[] = {
    {"LIMIT", "limit", LAYOUT_PLAIN},
    {"KIND", "kind", LAYOUT_PLAIN},
    {"LEFT", "remaining", LAYOUT_PLAIN},
    {"RESET IN", "reset_ms", LAYOUT_SPAN},
    {"RETRY AFTER", "retry_after_ms", LAYOUT_SPAN},
    {"REFUSED", "refused", LAYOUT_PLAIN},
};

static const struct layout_column decision_columns[] = {
    {"ID", "id", LAYOUT_PLAIN},           {"TIME", "time", LAYOUT_TIME},
    {"STATUS", "status", LAYOUT_PLAIN},   {"USER", "subject.id", LAYOUT_PLAIN},
    {"TIER", "tier", LAYOUT_PLAIN},       {"FIELD", "field", LAYOUT_PLAIN},
    {"MESSAGE", "message", LAYOUT_PLAIN},
};

/* With --json one object; else its members, and the limits as a list below them. */
static void print_decision(const struct jini_decision *decision)
{
    struct layout_list list;
    json_t *object = object_decision(decision);
    if (!output_is_json() && object)
        json_object_del(object, "limits");
    layout_object(object);
    if (output_is_json())
        return;
    layout_list_begin(&list, limit_columns);
    for (uint32_t i = 0; i < decision->limit_count; i++)
        layout_list_add(&list, object_decision_limit(&decision->limits[i]));
    layout_list_end(&list, NULL);
}

static int explain_one(struct command *command, const char *text)
{
    struct jini_decision decision;
    struct jini_id id;
    int status = command_parse_id(command, text, &id);
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = jini_why(command->jini, &id, &decision, &command->error);
    if (status == 0)
        print_decision(&decision);
    return status;
}

static int list_last(struct command *command, size_t most)
{
    struct jini_user user = {0};
    struct layout_list list;
    size_t count = 0;
    const char *name = args_text(&command->args, "user");
    int status = command_open(command);
    if (status == 0 && name)
        status = command_find_user(command, name, &user);
    if (status)
        return status;
    struct jini_decision *decisions = calloc(most, sizeof(*decisions));
    if (!decisions)
        return command_fail(command, JINI_E_NO_MEMORY, "last", "out of memory");
    status = jini_why_last(command->jini, user.id, decisions, most, &count, &command->error);
    if (status == 0) {
        layout_list_begin(&list, decision_columns);
        for (size_t i = 0; i < count; i++)
            layout_list_add(&list, object_decision(&decisions[i]));
        layout_list_end(&list, "no refusals");
    }
    free(decisions);
    return status;
}

int verb_why(struct command *command)
{
    const char *id = command_argument(command, 0);
    bool last = args_has(&command->args, "last");
    if (!id == !last)
        return command_fail(command, JINI_E_INVALID, "ID",
                            "name the id of a job or of a refusal, or --last N for the newest");
    if (!last && args_has(&command->args, "user"))
        return command_fail(command, JINI_E_INVALID, "user", "--user goes with --last");
    return last ? list_last(command, (size_t)args_number(&command->args, "last", 1))
                : explain_one(command, id);
}
