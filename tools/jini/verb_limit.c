/* jini limit: charging, looking at, resetting and listing limits. */
#include "command.h"
#include "layout.h"
#include "object.h"

#include <stdlib.h>
#include <string.h>

/* The subject: a user, or an address by --address. */
static int find_subject(struct command *command, struct jini_subject *out)
{
    struct jini_user user;
    const char *address = args_text(&command->args, "address");
    const char *name = command_argument(command, 0);
    memset(out, 0, sizeof(*out));
    if ((address != NULL) == (name != NULL))
        return command_fail(command, JINI_E_INVALID, "USER",
                            "name a user, or an address by --address, and not both");
    if (address) {
        int status = jini_subject_parse_address(address, out);
        return status ? command_fail(command, status, "address",
                                     "\"%.100s\" is no IPv4 or IPv6 address", address)
                      : 0;
    }
    int status = command_find_user(command, name, &user);
    if (status == 0)
        *out = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user.id};
    return status;
}

static const struct layout_column limit_columns[] = {
    {"LIMIT", "limit", LAYOUT_PLAIN},
    {"KIND", "kind", LAYOUT_PLAIN},
    {"REMAINING", "remaining", LAYOUT_PLAIN},
    {"RESET IN", "reset_ms", LAYOUT_SPAN},
    {"AGAIN IN", "retry_after_ms", LAYOUT_SPAN},
    {"REFUSED", "refused", LAYOUT_PLAIN},
};

static void print_parallel(const struct jini_limit_answer *answer)
{
    if (answer->parallel_max == 0)
        output_line("%u running now, and any number of jobs may at once", answer->parallel);
    else
        output_line("%u running now, and %u jobs may at once", answer->parallel,
                    answer->parallel_max);
}

/* Null where no limit is: any number. */
static json_t *object_parallel(const struct jini_limit_answer *answer)
{
    return json_pack("{s:o, s:o}", "running", layout_number(answer->parallel), "max",
                     answer->parallel_max ? layout_number(answer->parallel_max) : json_null());
}

/*
 * A limit as a row. One in shadow mode says so, since it lets all pass. NULL: out of memory.
 */
static json_t *limit_row(const struct jini_limit_entry *entry)
{
    json_t *row = object_limit(entry);
    if (!row || !(entry->flags & JINI_LIMIT_SHADOW))
        return row;
    const char *kind = entry->flags & JINI_LIMIT_QUOTA ? "shadow quota" : "shadow rate";
    json_object_set_new(row, "kind", json_string(kind));
    if (entry->flags & JINI_LIMIT_REFUSED)
        json_object_set_new(row, "refused", json_string("would be"));
    return row;
}

/* `own`: a look at the subject's own limits, which knows its jobs. */
static void print_answer(const struct jini_subject *subject, const struct jini_limit_answer *answer,
                         int status, bool own)
{
    json_t *limits = json_array();
    if (!output_is_json()) {
        struct layout_list list;
        layout_list_begin(&list, limit_columns);
        for (uint32_t i = 0; i < answer->count && i < JINI_LIMITS_MAX; i++)
            layout_list_add(&list, limit_row(&answer->entries[i]));
        layout_list_end(&list, "no limits");
        json_decref(limits);
        if (own)
            print_parallel(answer);
        return;
    }
    for (uint32_t i = 0; i < answer->count && i < JINI_LIMITS_MAX; i++)
        json_array_append_new(limits, object_limit(&answer->entries[i]));
    bool refused = answer->decided < answer->count;
    output_json(json_pack("{s:o, s:b, s:I, s:o, s:o, s:o, s:o*}", "subject",
                          object_subject(subject), "admitted", status == 0, "cost",
                          (json_int_t)answer->cost, "decided",
                          refused ? json_integer(answer->decided) : json_null(), "retry_after_ms",
                          layout_number(answer->retry_after_ms), "limits", limits, "parallel",
                          own ? object_parallel(answer) : NULL));
}

static int check(struct command *command, uint32_t flags)
{
    struct jini_limit_answer answer;
    struct jini_limit_check limit_check = {
        .limits = args_text(&command->args, "limits"),
        .scope = args_text(&command->args, "scope"),
        .cost = (uint32_t)args_number(&command->args, "cost", 1),
        .flags = flags,
    };
    int status = command_open(command);
    if (status == 0)
        status = find_subject(command, &limit_check.subject);
    if (status)
        return status;
    memset(&answer, 0, sizeof(answer));
    status = jini_limit_check(command->jini, &limit_check, &answer, &command->error);
    if (status == 0 || status == JINI_E_LIMITED)
        print_answer(&limit_check.subject, &answer, status,
                     (flags & JINI_CHECK_PEEK) && !limit_check.limits);
    return status;
}

int verb_limit_check(struct command *command)
{
    return check(command, 0);
}

int verb_limit_peek(struct command *command)
{
    return check(command, JINI_CHECK_PEEK);
}

int verb_limit_reset(struct command *command)
{
    struct jini_limit_reset reset;
    jini_request_init(&reset);
    reset.limits = args_text(&command->args, "limits");
    reset.scope = args_text(&command->args, "scope");
    int status = command_open(command);
    if (status == 0)
        status = find_subject(command, &reset.subject);
    if (status == 0)
        status = command_wait(command, &reset.request,
                              jini_limit_reset(command->jini, &reset, wait_done));
    if (status)
        return status;
    output_info("the limits are reset");
    output_json(json_pack("{s:o, s:b}", "subject", object_subject(&reset.subject), "reset", 1));
    return 0;
}

/* ---- limit top ---- */

static const struct layout_column top_columns[] = {
    {"SUBJECT", "name", LAYOUT_PLAIN}, {"KIND", "subject.kind", LAYOUT_PLAIN},
    {"USED", "used", LAYOUT_PLAIN},    {"OF", "amount", LAYOUT_PLAIN},
    {"PER", "period_ms", LAYOUT_SPAN}, {"RESET IN", "reset_ms", LAYOUT_SPAN},
};

/* How people call a subject: a user's name, an address, else its number. */
static json_t *subject_name(struct command *command, const struct jini_subject *subject)
{
    struct jini_user user;
    struct jini_error ignored;
    char number[32];
    if (subject->kind == JINI_SUBJECT_USER &&
        jini_user_get(command->jini, subject->number, &user, &ignored) == 0)
        return layout_text(user.username);
    json_t *object = object_subject(subject);
    json_t *address = json_incref(json_object_get(object, "address"));
    json_decref(object);
    if (address)
        return address;
    snprintf(number, sizeof(number), "%llu", (unsigned long long)subject->number);
    return json_string(number);
}

int verb_limit_top(struct command *command)
{
    struct layout_list list;
    size_t count = 0;
    size_t capacity = (size_t)args_number(&command->args, "limit", 10);
    struct jini_limit_usage *usages = calloc(capacity, sizeof(*usages));
    int status = usages ? command_open(command)
                        : command_fail(command, JINI_E_NO_MEMORY, "limit", "out of memory");
    if (status == 0)
        status = jini_limit_top(command->jini, usages, capacity, &count, &command->error);
    if (status == 0) {
        layout_list_begin(&list, top_columns);
        for (size_t i = 0; i < count; i++)
            layout_list_add(&list, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "subject",
                                             object_subject(&usages[i].subject), "name",
                                             subject_name(command, &usages[i].subject), "used",
                                             layout_number(usages[i].used), "amount",
                                             layout_number(usages[i].amount), "period_ms",
                                             layout_number(usages[i].period_ms), "reset_ms",
                                             layout_number(usages[i].reset_ms)));
        layout_list_end(&list, "nobody is counted");
    }
    free(usages);
    return status;
}
