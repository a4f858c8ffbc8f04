/* jini events: the log of what happened. */
#include "command.h"
#include "layout.h"
#include "ledger_args.h"

#include <stdlib.h>
#include <string.h>

enum { LISTED_AT_ONCE = 256, TEXT_BYTES = 256 * 1024, FOLLOW_MS = 200 };

/* ---- Filters ---- */

static int add_prefix(struct command *command, struct jini_events_filter *filter, const char *text,
                      size_t length)
{
    if (filter->prefix_count == JINI_EVENT_PREFIXES_MAX || length == 0 ||
        length >= JINI_EVENT_TYPE_MAX)
        return command_fail(command, JINI_E_INVALID, "type",
                            "--type: 1 to %d begins of types, parted by commas, each of 1 to %d "
                            "bytes",
                            JINI_EVENT_PREFIXES_MAX, JINI_EVENT_TYPE_MAX - 1);
    memcpy(filter->prefixes[filter->prefix_count++], text, length);
    return 0;
}

static int take_prefixes(struct command *command, struct jini_events_filter *filter)
{
    const char *text = args_text(&command->args, "type");
    int status = 0;
    while (text && status == 0) {
        size_t length = strcspn(text, ",");
        status = add_prefix(command, filter, text, length);
        text = text[length] == ',' ? text + length + 1 : NULL;
    }
    return status;
}

static int take_filter(struct command *command, struct jini_events_filter *filter)
{
    const char *name = args_text(&command->args, "user");
    struct jini_user user;
    memset(filter, 0, sizeof(*filter));
    int status = take_prefixes(command, filter);
    if (status || !name)
        return status;
    status = command_find_user(command, name, &user);
    filter->user_id = user.id;
    return status;
}

/* ---- tail ---- */

static const struct layout_column event_columns[] = {
    {"TIME", "time", LAYOUT_TIME},        {"TYPE", "type", LAYOUT_PLAIN},
    {"USER", "user_id", LAYOUT_PLAIN},    {"SUBJECT", "subject_id", LAYOUT_PLAIN},
    {"PAYLOAD", "payload", LAYOUT_PLAIN},
};

/* People see the payload as the text that it is, programs as an object. */
static json_t *object_event(const struct jini_event *event)
{
    json_t *payload = output_is_json()
                          ? json_loadb(event->payload, event->payload_length, 0, NULL)
                          : layout_text(strcmp(event->payload, "{}") == 0 ? "" : event->payload);
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o}", "position", layout_number(event->position),
                     "time", layout_time(event->position / 1000000), "type", event->type, "user_id",
                     event->user_id ? layout_number(event->user_id) : json_null(), "subject_id",
                     layout_id(&event->subject_id), "payload",
                     payload ? payload : layout_text(event->payload));
}

static void print_page(const struct jini_events_page *page, struct layout_list *list,
                       uint64_t *left)
{
    for (uint32_t i = 0; i<page->count && * left> 0; i++, (*left)--)
        layout_list_add(list, object_event(&page->events[i]));
}

/* Each part of what is followed stands below the one before it, as soon as it is known. */
static int print_events(struct command *command, const struct jini_events_filter *filter,
                        struct jini_events_cursor *cursor, struct jini_events_page *page)
{
    uint64_t left = (uint64_t)args_number(&command->args, "limit", INT64_MAX);
    bool follow = args_has(&command->args, "follow");
    struct layout_list list;
    layout_list_begin(&list, event_columns);
    while (left > 0 && !command_is_over()) {
        int status = jini_events_list(command->jini, filter, cursor, page, &command->error);
        if (status)
            return status;
        print_page(page, &list, &left);
        if (!cursor->ended)
            continue;
        if (!follow)
            break;
        layout_list_flush(&list);
        wait_sleep(FOLLOW_MS);
    }
    layout_list_end(&list, follow ? NULL : "no events");
    return 0;
}

int verb_events_tail(struct command *command)
{
    static struct jini_event events[LISTED_AT_ONCE];
    static char text[TEXT_BYTES];
    struct jini_events_page page = {
        .events = events, .capacity = LISTED_AT_ONCE, .text = text, .text_capacity = sizeof(text)};
    struct jini_events_filter filter;
    struct jini_events_cursor cursor = {0};
    int status = ledger_take_time(command, "from", &cursor.position);
    if (status == 0 && cursor.position > 0)
        cursor.position--;
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = take_filter(command, &filter);
    return status ? status : print_events(command, &filter, &cursor, &page);
}
