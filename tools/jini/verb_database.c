/* jini init, backup, options: the database as a whole. */
#include "command.h"
#include "file.h"
#include "interrupt.h"
#include "layout.h"
#include "object.h"
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- init ---- */

/* The directory as others would name it from elsewhere. To be freed. */
static char *whole_path(const char *directory)
{
    char *whole = realpath(directory, NULL);
    return whole ? whole : strdup(directory);
}

int verb_init(struct command *command)
{
    static struct jini_tier tiers[JINI_TIERS_MAX];
    size_t count = 0;
    int status = command_open(command);
    bool created = status == JINI_E_NOT_FOUND;
    if (created)
        status = command_create(command);
    if (status == 0)
        status = jini_tier_list(command->jini, tiers, JINI_TIERS_MAX, &count, &command->error);
    if (status)
        return status;
    json_t *names = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(names, layout_text(tiers[i].name));
    char *words = layout_words(names, LAYOUT_PLAIN);
    char *path = whole_path(command->directory);
    output_line("%s %s", created ? "made the database" : "there is a database already in",
                path ? path : "");
    output_info("tiers: %s", words ? words : "");
    json_t *object = json_object();
    layout_set_path(object, "path", path ? path : "");
    json_object_set_new(object, "created", json_boolean(created));
    json_object_set_new(object, "tiers", names);
    output_json(object);
    free(path);
    free(words);
    return 0;
}

/* ---- backup ---- */

static int copy_to(struct command *command, const char *path)
{
    bool plain = args_has(&command->args, "plain");
    int status = file_check_target(path, &command->error);
    if (status)
        return status;
    status = jini_copy(command->jini, path, plain ? JINI_COPY_PLAIN : JINI_COPY_COMPACT,
                       &command->error);
    if (status || !interrupt_signal())
        return status;
    unlink(path);
    return command_fail(command, JINI_E_CANCELLED, "FILE", "interrupted");
}

int verb_backup(struct command *command)
{
    struct stat info;
    char size[WORDS_NUMBER_MAX];
    const char *path = command_argument(command, 0);
    int status = command_open(command);
    if (status == 0)
        status = copy_to(command, path);
    if (status)
        return status;
    uint64_t bytes = stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
    words_bytes(bytes, size);
    output_info("copied the records to %s, %s", path, size);
    json_t *object = json_object();
    layout_set_path(object, "file", path);
    json_object_set_new(object, "bytes", layout_number(bytes));
    output_json(object);
    return 0;
}

/* ---- options ---- */

/* An option's value as --set takes it. */
static void value_text(const struct jini_options *options, const struct jini_option_info *info,
                       char *out, size_t capacity)
{
    uint64_t number = 0;
    const char *text = NULL;
#define TAKE_NUMBER(member, option, ...)                                                           \
    if (strcmp(option, info->name) == 0)                                                           \
        number = options->member;
#define TAKE_TEXT(member, option, ...)                                                             \
    if (strcmp(option, info->name) == 0)                                                           \
        text = options->member;
    JINI_OPTION_MAP(TAKE_NUMBER, TAKE_NUMBER, TAKE_NUMBER, TAKE_TEXT)
    if (text) {
        snprintf(out, capacity, "%s", text);
        return;
    }
    if (!info->choices) {
        snprintf(out, capacity, "%" PRIu64, number);
        return;
    }
    const char *choice = info->choices;
    for (; number > 0 && strchr(choice, '|'); number--)
        choice = strchr(choice, '|') + 1;
    snprintf(out, capacity, "%.*s", (int)strcspn(choice, "|"), choice);
}

static json_t *option_object(struct command *command, const struct jini_option_info *info)
{
    struct jini_options defaults;
    char value[JINI_OPTION_TEXT_MAX];
    char standard[JINI_OPTION_TEXT_MAX];
    jini_options_init(&defaults);
    value_text(&command->options, info, value, sizeof(value));
    value_text(&defaults, info, standard, sizeof(standard));
    json_t *object =
        json_pack("{s:s, s:o, s:s, s:o, s:s, s:s}", "name", info->name, "value", layout_text(value),
                  "source", command_option_source(command, info->name), "default",
                  layout_text(standard), "kind", info->kind, "text", info->text);
    if (object && info->choices)
        json_object_set_new(object, "choices", json_string(info->choices));
    if (object && strcmp(info->kind, "number") == 0) {
        json_object_set_new(object, "least", layout_number(info->least));
        json_object_set_new(object, "most", layout_number(info->most));
    }
    return object;
}

int verb_options(struct command *command)
{
    static const struct layout_column columns[] = {
        {"NAME", "name", LAYOUT_PLAIN},
        {"VALUE", "value", LAYOUT_PLAIN},
        {"FROM", "source", LAYOUT_PLAIN},
        {"MEANING", "text", LAYOUT_PLAIN},
    };
    struct layout_list list;
    int status = command_load_options(command);
    if (status)
        return status;
    layout_list_begin(&list, columns);
    for (size_t i = 0; jini_options_info(i); i++)
        layout_list_add(&list, option_object(command, jini_options_info(i)));
    layout_list_end(&list, NULL);
    return 0;
}
