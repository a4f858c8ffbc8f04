/* jini events: the log of what happened, and its consumers. */
#include "command.h"
#include "layout.h"
#include "ledger_args.h"

#include <stdlib.h>
#include <string.h>

enum { LISTED_AT_ONCE = 256, TEXT_BYTES = 256 * 1024, FOLLOW_MS = 60000 };

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
    for (uint32_t i = 0; *left > 0 && i < page->count; i++) {
        layout_list_add(list, object_event(&page->events[i]));
        --*left;
    }
}

/* Waits for events behind the cursor; a signal ends it. */
static int follow_on(struct command *command, const struct jini_events_cursor *cursor)
{
    struct jini_events_wait wait;
    jini_request_init(&wait);
    wait.position = cursor->position;
    wait.wait_ms = FOLLOW_MS;
    int status =
        command_wait(command, &wait.request, jini_events_wait(command->jini, &wait, wait_done));
    return status == JINI_E_TIMEOUT || (status == JINI_E_CANCELLED && command_is_over()) ? 0
                                                                                         : status;
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
        if (!follow || left == 0)
            break;
        layout_list_flush(&list);
        status = follow_on(command, cursor);
        if (status)
            return status;
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

/* ---- Consumers ---- */

static const struct layout_column consumer_columns[] = {
    {"NAME", "name", LAYOUT_PLAIN},         {"KIND", "kind", LAYOUT_PLAIN},
    {"TYPES", "types", LAYOUT_PLAIN},       {"BEHIND", "lag_events", LAYOUT_PLAIN},
    {"FOR", "lag_ms", LAYOUT_SPAN},         {"HELD", "held", LAYOUT_PLAIN},
    {"DEAD", "dead", LAYOUT_PLAIN},         {"LOST", "lost", LAYOUT_PLAIN},
    {"POSITION", "position", LAYOUT_PLAIN},
};

static json_t *object_types(const struct jini_events_filter *filter)
{
    json_t *types = json_array();
    for (uint32_t i = 0; i < filter->prefix_count; i++)
        json_array_append_new(types, json_string(filter->prefixes[i]));
    return types;
}

static json_t *object_consumer(const struct jini_consumer *consumer)
{
    return json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
        consumer->name, "kind", consumer->kind == JINI_CONSUMER_ONCE ? "once" : "each", "types",
        object_types(&consumer->filter), "user_id",
        consumer->filter.user_id ? layout_number(consumer->filter.user_id) : json_null(),
        "deliveries_max", layout_number(consumer->deliveries_max), "position",
        layout_number(consumer->position), "created", layout_time(consumer->created_ms),
        "lag_events", layout_number(consumer->lag_events), "lag_ms",
        layout_number(consumer->lag_ms), "held", layout_number(consumer->held), "dead",
        layout_number(consumer->dead), "lost", layout_number(consumer->lost), "dead_lost",
        layout_number(consumer->dead_lost), "leased_until", layout_time(consumer->leased_until_ms));
}

int verb_events_consumers(struct command *command)
{
    static struct jini_consumer consumers[JINI_CONSUMERS_MAX];
    struct layout_list list;
    size_t count = 0;
    int status = command_open(command);
    if (status == 0)
        status = jini_consumer_list(command->jini, NULL, consumers, JINI_CONSUMERS_MAX, &count,
                                    &command->error);
    if (status)
        return status;
    layout_list_begin(&list, consumer_columns);
    for (size_t i = 0; i < count; i++)
        layout_list_add(&list, object_consumer(&consumers[i]));
    layout_list_end(&list, "no consumers");
    return 0;
}

/* --from as a position: "begin", "end", a time or a position. */
static int take_position(struct command *command, uint64_t *out)
{
    const char *text = args_text(&command->args, "from");
    *out = JINI_EVENTS_BEGIN;
    if (!text || strcmp(text, "begin") == 0)
        return 0;
    if (strcmp(text, "end") == 0) {
        *out = JINI_EVENTS_END;
        return 0;
    }
    int status = ledger_take_time(command, "from", out);
    *out -= status == 0; /* those behind it are next */
    return status;
}

int verb_events_create(struct command *command)
{
    const char *name = command_argument(command, 0);
    struct jini_consumer_create create;
    jini_request_init(&create);
    struct jini_consumer *consumer = &create.consumer;
    consumer->kind = args_has(&command->args, "each") ? JINI_CONSUMER_EACH : JINI_CONSUMER_ONCE;
    consumer->deliveries_max = (uint32_t)args_number(&command->args, "deliveries-max", 0);
    if (strlen(name) >= sizeof(consumer->name))
        return command_fail(command, JINI_E_INVALID, "NAME", "it is longer than %zu bytes",
                            sizeof(consumer->name) - 1);
    memcpy(consumer->name, name, strlen(name) + 1);
    int status = take_position(command, &consumer->position);
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = take_filter(command, &consumer->filter);
    if (status == 0)
        status = command_wait(command, &create.request,
                              jini_consumer_create(command->jini, &create, wait_done));
    if (status == 0)
        layout_object(object_consumer(consumer));
    return status;
}

int verb_events_rm(struct command *command)
{
    struct jini_consumer_delete remove;
    jini_request_init(&remove);
    remove.name = command_argument(command, 0);
    int status = command_open(command);
    return status ? status
                  : command_wait(command, &remove.request,
                                 jini_consumer_delete(command->jini, &remove, wait_done));
}

int verb_events_replay(struct command *command)
{
    struct jini_consumer_seek seek;
    jini_request_init(&seek);
    seek.name = command_argument(command, 0);
    if (!args_text(&command->args, "from"))
        return command_fail(command, JINI_E_INVALID, "from",
                            "--from is needed: begin, end, a time or a position");
    int status = take_position(command, &seek.position);
    if (status == 0)
        status = command_open(command);
    return status ? status
                  : command_wait(command, &seek.request,
                                 jini_consumer_seek(command->jini, &seek, wait_done));
}

/* ---- Dead letters ---- */

static const struct layout_column dead_columns[] = {
    {"TIME", "time", LAYOUT_TIME},        {"TYPE", "type", LAYOUT_PLAIN},
    {"USER", "user_id", LAYOUT_PLAIN},    {"SUBJECT", "subject_id", LAYOUT_PLAIN},
    {"DEAD SINCE", "dead", LAYOUT_TIME},  {"DELIVERIES", "deliveries", LAYOUT_PLAIN},
    {"REASON", "reason", LAYOUT_PLAIN},   {"POSITION", "position", LAYOUT_PLAIN},
    {"PAYLOAD", "payload", LAYOUT_PLAIN},
};

static json_t *object_dead(const struct jini_event *event, const struct jini_dead_letter *letter)
{
    json_t *object = object_event(event);
    if (!object)
        return NULL;
    json_object_set_new(object, "dead", layout_time(letter->dead_ms));
    json_object_set_new(object, "deliveries", layout_number(letter->deliveries));
    json_object_set_new(object, "reason", layout_text(letter->reason));
    return object;
}

static int list_dead(struct command *command)
{
    static struct jini_event events[LISTED_AT_ONCE];
    static struct jini_dead_letter letters[LISTED_AT_ONCE];
    static char text[TEXT_BYTES];
    struct jini_events_page page = {
        .events = events, .capacity = LISTED_AT_ONCE, .text = text, .text_capacity = sizeof(text)};
    struct layout_list list;
    uint64_t after = 0;
    layout_list_begin(&list, dead_columns);
    do {
        int status = jini_dead_list(command->jini, command_argument(command, 0), after, letters,
                                    &page, &command->error);
        if (status)
            return status;
        for (uint32_t i = 0; i < page.count; i++)
            layout_list_add(&list, object_dead(&events[i], &letters[i]));
        after = page.count > 0 ? letters[page.count - 1].position : after;
    } while (page.count > 0 && !command_is_over());
    layout_list_end(&list, "no dead letters");
    return 0;
}

/* "all" or a position. */
static int take_letters(struct command *command, const char *option,
                        struct jini_dead_change *change)
{
    const char *text = args_text(&command->args, option);
    change->position = 0;
    if (strcmp(text, "all") == 0)
        return 0;
    return ledger_take_time(command, option, &change->position);
}

typedef int change_fn(struct jini *jini, struct jini_dead_change *change, jini_callback *callback);

/* All of them takes several calls, and ends where the consumer has no room for more. */
static int change_letters(struct command *command, struct jini_dead_change *change, change_fn *run,
                          uint64_t *count)
{
    int status;
    *count = 0;
    do {
        status = command_wait(command, &change->request, run(command->jini, change, wait_done));
        if (status == JINI_E_BUSY && *count > 0)
            return 0;
        *count += status == 0 ? change->count : 0;
    } while (status == 0 && change->position == 0 && change->count == JINI_DEAD_CHANGED_MAX);
    return status;
}

int verb_events_dead(struct command *command)
{
    struct jini_dead_change change;
    bool resend = args_text(&command->args, "resend") != NULL;
    bool drop = args_text(&command->args, "drop") != NULL;
    jini_request_init(&change);
    change.consumer = command_argument(command, 0);
    if (resend && drop)
        return command_fail(command, JINI_E_INVALID, "drop",
                            "--resend and --drop exclude each other");
    int status = resend || drop ? take_letters(command, resend ? "resend" : "drop", &change) : 0;
    if (status == 0)
        status = command_open(command);
    if (status)
        return status;
    if (!resend && !drop)
        return list_dead(command);
    uint64_t count;
    status = change_letters(command, &change, resend ? jini_dead_resend : jini_dead_drop, &count);
    if (status == 0)
        layout_object(json_pack("{s:o}", resend ? "sent_again" : "dropped", layout_number(count)));
    return status;
}
