/* jini init, options: the database as a whole. */
#include "command.h"
#include "layout.h"
#include "object.h"
#include "wait.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- init ---- */

/* The directory as others would name it from elsewhere. To be freed. */
static char *whole_path(const char *directory)
{
    char *whole = realpath(directory, NULL);
    return whole ? whole : strdup(directory);
}

/* Objects of an archive in which the new database has none. 0 where it cannot be looked at, too. */
static uint64_t objects_of_others(struct command *command)
{
    struct jini_verify verify;
    jini_request_init(&verify);
    int status =
        command_wait(command, &verify.request, jini_verify(command->jini, &verify, wait_done));
    return status ? 0 : verify.objects_unknown;
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
    uint64_t others = created ? objects_of_others(command) : 0;
    json_t *names = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(names, layout_text(tiers[i].name));
    char *words = layout_words(names, LAYOUT_PLAIN);
    char *path = whole_path(command->directory);
    output_line("%s %s", created ? "made the database" : "there is a database already in",
                path ? path : "");
    output_info("tiers: %s", words ? words : "");
    if (others)
        output_note("the archive has %" PRIu64 " objects of another database already; if they are "
                    "of one that was here before, put its data.mdb back from a backup instead",
                    others);
    json_t *object = json_object();
    layout_set_path(object, "path", path ? path : "");
    json_object_set_new(object, "created", json_boolean(created));
    json_object_set_new(object, "tiers", names);
    if (created)
        json_object_set_new(object, "objects_unknown", layout_number(others));
    output_json(object);
    free(path);
    free(words);
    return 0;
}

/* ---- options ---- */

/* An option's value: a number, or a text as --set takes it. */
static json_t *option_value(const struct jini_options *options, const struct jini_option_info *info)
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
    if (text)
        return layout_text(text);
    if (!info->choices)
        return layout_number(number);
    const char *choice = info->choices;
    for (; number > 0 && strchr(choice, '|'); number--)
        choice = strchr(choice, '|') + 1;
    return json_stringn(choice, strcspn(choice, "|"));
}

static json_t *option_object(struct command *command, const struct jini_option_info *info)
{
    struct jini_options defaults;
    jini_options_init(&defaults);
    json_t *object = json_pack(
        "{s:s, s:o, s:s, s:o, s:s, s:s}", "name", info->name, "value",
        option_value(&command->options, info), "source", command_option_source(command, info->name),
        "default", option_value(&defaults, info), "kind", info->kind, "text", info->text);
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
