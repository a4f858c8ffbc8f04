/* Opening the database by options from four places, and small helps for verbs. */
#include "command.h"

#include "diagnose.h"
#include "interrupt.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES_MAX = 4200 };

int command_fail(struct command *command, int status, const char *field, const char *format, ...)
{
    va_list arguments;
    struct jini_error *error = &command->error;
    memset(error, 0, sizeof(*error));
    error->code = status;
    snprintf(error->field, sizeof(error->field), "%s", field);
    va_start(arguments, format);
    vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return status;
}

/* ---- Options ---- */

static int load_file(struct command *command, struct jini_options *options)
{
    char path[PATH_BYTES_MAX];
    int length = snprintf(path, sizeof(path), "%s/jini.conf", command->directory);
    if (length < 0 || (size_t)length >= sizeof(path))
        return command_fail(command, JINI_E_INVALID, "db", "the path is longer than %d bytes",
                            PATH_BYTES_MAX - 12);
    int status = jini_options_load(options, path, &command->error);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* The name of a setting, before its "=". False: too long for any. */
static bool setting_name(const char *setting, char *name, size_t capacity)
{
    size_t length = strcspn(setting, "=");
    if (length >= capacity)
        return false;
    memcpy(name, setting, length);
    name[length] = '\0';
    return true;
}

static int load_settings(struct command *command)
{
    for (size_t i = 0; i < command->args.given_count; i++) {
        char name[64];
        const char *setting = command->args.given[i].value;
        if (command->args.given[i].row->kind != VALUE_SETTING)
            continue;
        if (!setting_name(setting, name, sizeof(name)))
            return command_fail(command, JINI_E_INVALID, "set", "there is no option \"%s\"",
                                setting);
        int status =
            jini_options_set(&command->options, name, strchr(setting, '=') + 1, &command->error);
        if (status)
            return status;
    }
    return 0;
}

int command_load_options(struct command *command)
{
    struct jini_options *options = &command->options;
    jini_options_init(options);
    options->background_run = 0;
    int status = load_file(command, options);
    if (status == 0)
        status = jini_options_environment(options, &command->error);
    if (status == 0)
        status = load_settings(command);
    if (status)
        return status;
    options->read_only = args_has(&command->args, "read-only");
    options->log = output_log;
    options->log_level = args_has(&command->args, "verbose") ? JINI_LOG_DEBUG : JINI_LOG_ERROR;
    snprintf(options->process_name, sizeof(options->process_name), "jini %s",
             command->args.verb ? command->args.verb->name : "");
    return 0;
}

static bool is_in_settings(const struct command *command, const char *name)
{
    for (size_t i = 0; i < command->args.given_count; i++) {
        char given[64];
        if (command->args.given[i].row->kind == VALUE_SETTING &&
            setting_name(command->args.given[i].value, given, sizeof(given)) &&
            strcmp(given, name) == 0)
            return true;
    }
    return false;
}

static bool is_in_environment(const char *name)
{
    char variable[96];
    int length = snprintf(variable, sizeof(variable), "JINI_%s", name);
    for (int i = 0; i < length; i++)
        variable[i] = variable[i] == '.' ? '_' : (char)toupper((unsigned char)variable[i]);
    return getenv(variable) != NULL;
}

/*
 * The file sets an option exactly when two structs that differed in it agree after loading. `other`
 * holds, for each kind of option, a value that the first never has before the file is read.
 */
static bool is_in_file(struct command *command, const char *name)
{
    struct jini_options plain;
    struct jini_options other;
    bool differs = true;
    jini_options_init(&plain);
    jini_options_init(&other);
#define UNSET_NUMBER(member, ...) other.member = ~plain.member;
#define UNSET_TEXT(member, ...)   memset(other.member, 1, sizeof(other.member) - 1);
    JINI_OPTION_MAP(UNSET_NUMBER, UNSET_NUMBER, UNSET_NUMBER, UNSET_TEXT)
    if (load_file(command, &plain) != 0 || load_file(command, &other) != 0)
        return false;
#define COMPARE_NUMBER(member, option, ...)                                                        \
    if (strcmp(option, name) == 0)                                                                 \
        differs = plain.member != other.member;
#define COMPARE_TEXT(member, option, ...)                                                          \
    if (strcmp(option, name) == 0)                                                                 \
        differs = strcmp(plain.member, other.member) != 0;
    JINI_OPTION_MAP(COMPARE_NUMBER, COMPARE_NUMBER, COMPARE_NUMBER, COMPARE_TEXT)
    return !differs;
}

const char *command_option_source(struct command *command, const char *name)
{
    if (is_in_settings(command, name))
        return "--set";
    if (is_in_environment(name))
        return "environment";
    if (is_in_file(command, name))
        return "jini.conf";
    return strcmp(name, "background.run") == 0 ? "command" : "default";
}

/* ---- Opening ---- */

int command_open(struct command *command)
{
    int status = command_load_options(command);
    if (status == 0)
        status = jini_open(&command->jini, command->directory, &command->options, &command->error);
    if (status == JINI_E_NOT_FOUND && strcmp(command->error.field, "packs") != 0)
        return command_fail(command, status, "db",
                            "there is no database in \"%.200s\"; make one with \"jini --db %.100s "
                            "init\", or name another one by --db or JINI_DB",
                            command->directory, command->directory);
    return diagnose_open(command, status);
}

int command_create(struct command *command)
{
    int status = command_load_options(command);
    if (status == 0) {
        command->options.create = 1;
        status = jini_open(&command->jini, command->directory, &command->options, &command->error);
    }
    return diagnose_open(command, status);
}

/* ---- Errors ---- */

/* The name of an option as a member of a struct would be called, without what it stands in. */
static void option_of_field(const char *field, char *out, size_t capacity)
{
    static const char *const structs[] = {"allowance.", "overrides."};
    for (size_t i = 0; i < sizeof(structs) / sizeof(structs[0]); i++) {
        if (strncmp(field, structs[i], strlen(structs[i])) == 0)
            field += strlen(structs[i]);
    }
    snprintf(out, capacity, "%s", field);
    for (char *at = out; *at; at++)
        *at = *at == '_' ? '-' : *at;
}

static bool is_about_input(int status)
{
    return status == JINI_E_INVALID || status == JINI_E_NOT_FOUND || status == JINI_E_EXISTS;
}

static void replace_words(char *text, size_t capacity, const char *words, const char *other)
{
    char copy[JINI_ERROR_MESSAGE_MAX];
    char *at = strstr(text, words);
    if (!at)
        return;
    snprintf(copy, sizeof(copy), "%.*s%s%s", (int)(at - text), text, other, at + strlen(words));
    snprintf(text, capacity, "%s", copy);
}

void command_name_options(struct command *command)
{
    struct jini_error *error = &command->error;
    char name[JINI_ERROR_FIELD_MAX];
    if (!is_about_input(error->code) || error->field[0] == '-')
        return;
    option_of_field(error->field, name, sizeof(name));
    /* A limits text that is wrong is named by its part. */
    if (strncmp(error->message, "Limit ", 6) == 0 && args_has(&command->args, "limits"))
        snprintf(name, sizeof(name), "limits");
    bool says_so = strncmp(error->message, "--", 2) == 0 &&
                   strncmp(error->message + 2, name, strlen(name)) == 0;
    if (name[0] != '\0' && (says_so || args_has(&command->args, name)))
        snprintf(error->field, sizeof(error->field), "--%.60s", name);
    replace_words(error->message, sizeof(error->message), "jini_admit()", "admissions");
}

/* ---- Requests and arguments ---- */

int command_wait(struct command *command, struct jini_request *request, int submitted)
{
    int status = wait_for(command->jini, request, submitted);
    if (status)
        command->error = request->error;
    return status;
}

const char *command_argument(const struct command *command, size_t index)
{
    return index < command->args.positional_count ? command->args.positionals[index] : NULL;
}

enum { USER_ID_DIGITS_MAX = 15 }; /* of 2^48 - 1 */

static bool is_all_digits(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

static int user_not_found(struct command *command, const char *what, const char *text)
{
    return command_fail(command, JINI_E_NOT_FOUND, "USER",
                        "no user has the %s \"%.200s\"; \"jini user list\" lists them", what, text);
}

static int find_user_by_id(struct command *command, const char *digits, struct jini_user *out)
{
    if (!is_all_digits(digits))
        return command_fail(command, JINI_E_INVALID, "USER",
                            "\"%.200s\" behind \"id:\" is no id of a user: digits are one", digits);
    const char *number = digits + strspn(digits, "0");
    int status = JINI_E_NOT_FOUND;
    if (strlen(number) <= USER_ID_DIGITS_MAX)
        status = jini_user_get(command->jini, strtoull(number, NULL, 10), out, &command->error);
    return status == JINI_E_NOT_FOUND ? user_not_found(command, "id", digits) : status;
}

static int find_user_by_name(struct command *command, const char *name, struct jini_user *out)
{
    int status = jini_user_find(command->jini, name, out, &command->error);
    return status == JINI_E_NOT_FOUND ? user_not_found(command, "name or email address", name)
                                      : status;
}

/*
 * Digits that are one user's id and another's name could change the wrong one: the caller says
 * which.
 */
static int find_user_by_digits(struct command *command, const char *text, struct jini_user *out)
{
    struct jini_user named;
    int by_name = find_user_by_name(command, text, &named);
    if (by_name != 0 && by_name != JINI_E_NOT_FOUND)
        return by_name;
    int by_id = find_user_by_id(command, text, out);
    if (by_id == JINI_E_NOT_FOUND && by_name == 0) {
        *out = named;
        return 0;
    }
    if (by_id == JINI_E_NOT_FOUND)
        return user_not_found(command, "id, name or email address", text);
    if (by_id == 0 && by_name == 0 && named.id != out->id)
        return command_fail(command, JINI_E_INVALID, "USER",
                            "ambiguous: %.100s is the id of one user and the name of another; "
                            "\"id:%.100s\" means the one, \"name:%.100s\" the other",
                            text, text, text);
    return by_id;
}

/* A colon is in no name and in no address, so the two forms hide nobody. */
int command_find_user(struct command *command, const char *text, struct jini_user *out)
{
    if (strncmp(text, "id:", 3) == 0)
        return find_user_by_id(command, text + 3, out);
    if (strncmp(text, "name:", 5) == 0)
        return find_user_by_name(command, text + 5, out);
    return is_all_digits(text) ? find_user_by_digits(command, text, out)
                               : find_user_by_name(command, text, out);
}

int command_parse_id(struct command *command, const char *text, struct jini_id *out)
{
    if (jini_id_parse(text, out) == 0)
        return 0;
    return command_fail(
        command, JINI_E_INVALID, "ID",
        "\"%.200s\" is no id: 32 hexadecimal digits in groups of 8-4-4-4-12 are one", text);
}

bool command_is_over(void)
{
    return interrupt_signal() != 0 || output_is_broken();
}
