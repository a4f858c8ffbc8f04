/* jini queue: what waits for workers, and emptying it. */
#include "command.h"
#include "layout.h"

#include <string.h>
#include <time.h>

enum { LISTED_AT_ONCE = 64 };

static uint64_t age_ms(uint64_t since_ms)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    return since_ms != 0 && since_ms < now_ms ? now_ms - since_ms : 0;
}

static json_t *object_line(const struct jini_queue_line *line)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "model", layout_text(line->model), "priority",
        layout_number(line->priority), "waiting", layout_number(line->waiting), "delayed",
        layout_number(line->delayed), "in_progress", layout_number(line->in_progress), "oldest",
        layout_time(line->oldest_ms), "oldest_age_ms", layout_number(age_ms(line->oldest_ms)));
}

static const struct layout_column line_columns[] = {
    {"MODEL", "model", LAYOUT_PLAIN},       {"PRIORITY", "priority", LAYOUT_PLAIN},
    {"WAITING", "waiting", LAYOUT_PLAIN},   {"DELAYED", "delayed", LAYOUT_PLAIN},
    {"TAKEN", "in_progress", LAYOUT_PLAIN}, {"NEXT IS OF", "oldest", LAYOUT_TIME},
    {"AGE", "oldest_age_ms", LAYOUT_SPAN},
};

int verb_queue_status(struct command *command)
{
    static struct jini_queue_line lines[LISTED_AT_ONCE];
    struct jini_queue_line after;
    struct layout_list list;
    size_t count = LISTED_AT_ONCE;
    bool any = false;
    int status = command_open(command);
    if (status)
        return status;
    layout_list_begin(&list, line_columns);
    while (status == 0 && count == LISTED_AT_ONCE && !command_is_over()) {
        status = jini_queue_lines(command->jini, any ? &after : NULL, lines, LISTED_AT_ONCE, &count,
                                  &command->error);
        for (size_t i = 0; status == 0 && i < count; i++)
            layout_list_add(&list, object_line(&lines[i]));
        any = status == 0 && count > 0;
        if (any)
            after = lines[count - 1];
    }
    layout_list_end(&list, status ? NULL : "no jobs");
    return status;
}

int verb_queue_purge(struct command *command)
{
    struct jini_queue_purge request;
    struct jini_user user;
    const char *name = args_text(&command->args, "user");
    jini_request_init(&request);
    request.model = args_text(&command->args, "model");
    bool all = args_has(&command->args, "all");
    if (all == (name || request.model))
        return command_fail(command, JINI_E_INVALID, "all",
                            "name --user or --model, or --all for every job that waits");
    int status = command_open(command);
    if (status == 0 && name) {
        status = command_find_user(command, name, &user);
        request.user_id = status ? 0 : user.id;
    }
    if (status == 0)
        status = command_wait(command, &request.request,
                              jini_queue_purge(command->jini, &request, wait_done));
    if (status)
        return status;
    output_info("cancelled %llu jobs", (unsigned long long)request.removed);
    output_json(json_pack("{s:o}", "removed", layout_number(request.removed)));
    return 0;
}
