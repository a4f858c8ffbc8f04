/* jini user: adding, showing and changing accounts. */
#include "command.h"
#include "layout.h"
#include "object.h"
#include "object_pay.h"
#include "password.h"
#include "verb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Copies an option's value into a member of fixed size. */
static int copy_text(struct command *command, const char *field, const char *value, char *out,
                     size_t capacity)
{
    if (strlen(value) >= capacity)
        return command_fail(command, JINI_E_INVALID, field, "it is longer than %zu bytes",
                            capacity - 1);
    memcpy(out, value, strlen(value) + 1);
    return 0;
}

/* The options that are texts of a user; `fields` gets those that were given. */
static int take_texts(struct command *command, struct jini_user *user, uint32_t *fields)
{
    const struct {
        const char *option;
        const char *field;
        char *out;
        size_t capacity;
        uint32_t bit;
    } texts[] = {
        {"username", "username", user->username, sizeof(user->username), JINI_USER_FIELD_USERNAME},
        {"email", "email", user->email, sizeof(user->email), JINI_USER_FIELD_EMAIL},
        {"first-name", "first_name", user->first_name, sizeof(user->first_name),
         JINI_USER_FIELD_FIRST_NAME},
        {"last-name", "last_name", user->last_name, sizeof(user->last_name),
         JINI_USER_FIELD_LAST_NAME},
        {"tier", "tier", user->tier, sizeof(user->tier), JINI_USER_FIELD_TIER},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const char *value = args_text(&command->args, texts[i].option);
        if (!value)
            continue;
        int status = copy_text(command, texts[i].field, value, texts[i].out, texts[i].capacity);
        if (status)
            return status;
        *fields |= texts[i].bit;
    }
    return 0;
}

/* ---- user add ---- */

static enum password_source wanted_password(const struct args *args)
{
    if (args_has(args, "password-stdin"))
        return PASSWORD_STDIN;
    return args_has(args, "password") ? PASSWORD_TERMINAL : PASSWORD_NONE;
}

static int check_password_options(struct command *command)
{
    const struct args *args = &command->args;
    int ways = args_has(args, "password-stdin") + args_has(args, "password") +
               args_has(args, "password-hash");
    if (ways > 1)
        return command_fail(command, JINI_E_INVALID, "password",
                            "--password, --password-stdin and --password-hash exclude each other");
    return 0;
}

static void print_added(const struct jini_user *user, bool has_password)
{
    if (output_is_json()) {
        output_json(object_user(user));
        return;
    }
    output_line("user %llu is %s, tier %s", (unsigned long long)user->id, user->username,
                user->tier);
    if (!has_password)
        output_note("no password fits until \"jini user passwd %s\" sets one", user->username);
}

static int add_user(struct command *command, const char *password)
{
    struct jini_user_add add;
    const char *name = command_argument(command, 0);
    uint32_t fields = 0;
    jini_request_init(&add);
    int status = take_texts(command, &add.user, &fields);
    if (status == 0 && !name && add.user.email[0] == '\0')
        status = command_fail(
            command, JINI_E_INVALID, "NAME",
            "NAME is missing, and no --email to make one from; see \"jini user add --help\"");
    if (status == 0 && name)
        status = copy_text(command, "username", name, add.user.username, sizeof(add.user.username));
    if (status)
        return status;
    add.user.flags =
        JINI_USER_ACTIVE | (args_has(&command->args, "staff") ? (unsigned)JINI_USER_STAFF : 0);
    add.password = password[0] != '\0' ? password : NULL;
    add.password_hash = args_text(&command->args, "password-hash");
    status = command_open(command);
    if (status == 0)
        status = command_wait(command, &add.request, jini_user_add(command->jini, &add, wait_done));
    if (status == 0)
        print_added(&add.user, add.password || add.password_hash);
    return status;
}

int verb_user_add(struct command *command)
{
    char password[JINI_PASSWORD_MAX];
    int status = check_password_options(command);
    if (status == 0)
        status = password_read(command, wanted_password(&command->args), password);
    if (status)
        return status;
    status = add_user(command, password);
    password_wipe(password);
    return status;
}

/* ---- user show, list ---- */

static int print_user(struct command *command, const struct jini_user *user)
{
    struct jini_tier tier;
    struct jini_usage usage;
    struct jini_allowance allowance;
    struct jini_subscription subscription;
    int status = jini_tier_get(command->jini, user->tier, &tier, &command->error);
    if (status == 0)
        status = jini_usage_get(command->jini, user->id, &usage, &command->error);
    if (status == 0)
        status = jini_subscription_get(command->jini, user->id, &subscription, &command->error);
    if (status)
        return status;
    object_merge_allowance(user, &tier, &allowance);
    json_t *object = object_user(user);
    if (object) {
        json_object_set_new(object, "allowance", object_allowance(&allowance, JINI_ALLOWANCE_ALL));
        json_object_set_new(object, "usage", object_usage(&usage));
        json_object_set_new(object, "subscription", object_subscription(&subscription));
    }
    layout_object(object);
    return 0;
}

int verb_user_show(struct command *command)
{
    struct jini_user user;
    int status = command_open(command);
    if (status == 0)
        status = command_find_user(command, command_argument(command, 0), &user);
    return status ? status : print_user(command, &user);
}

static const struct layout_column user_columns[] = {
    {"ID", "id", LAYOUT_PLAIN},          {"NAME", "username", LAYOUT_PLAIN},
    {"EMAIL", "email", LAYOUT_PLAIN},    {"TIER", "tier", LAYOUT_PLAIN},
    {"ACTIVE", "active", LAYOUT_PLAIN},  {"STAFF", "staff", LAYOUT_PLAIN},
    {"CREATED", "created", LAYOUT_TIME}, {"LAST LOGIN", "last_login", LAYOUT_TIME},
};

enum { USERS_PAGE = 64 };

int verb_print_users(struct command *command, uint64_t after, uint64_t limit)
{
    struct layout_list list;
    struct jini_user *page = malloc(sizeof(*page) * USERS_PAGE);
    size_t count = USERS_PAGE;
    int status = 0;
    if (!page)
        return command_fail(command, JINI_E_NO_MEMORY, "users", "out of memory");
    layout_list_begin(&list, user_columns);
    while (status == 0 && count == USERS_PAGE && limit > 0 && !command_is_over()) {
        size_t wanted = limit < USERS_PAGE ? (size_t)limit : USERS_PAGE;
        status = jini_user_list(command->jini, after, page, wanted, &count, &command->error);
        for (size_t i = 0; i < count; i++) {
            layout_list_add(&list, object_user(&page[i]));
            after = page[i].id;
        }
        limit -= count;
    }
    if (status == 0 && limit == 0)
        status = jini_user_list(command->jini, after, page, 1, &count, &command->error);
    layout_list_end(&list, "no users");
    if (status == 0 && limit == 0 && count > 0)
        output_note("more with \"jini user list --after %llu\"", (unsigned long long)after);
    free(page);
    return status;
}

int verb_user_list(struct command *command)
{
    int64_t after = args_number(&command->args, "after", 0);
    int64_t limit = args_number(&command->args, "limit", INT64_MAX);
    int status = command_open(command);
    return status ? status : verb_print_users(command, (uint64_t)after, (uint64_t)limit);
}

/* ---- user set, disable, enable ---- */

struct override_row {
    const char *option;
    uint32_t bit;
    uint32_t *number; /* NULL: the limits text */
};

/* One override: "tier" takes it away, another value sets it. `fields` tells what was given. */
static int take_override(struct command *command, const struct override_row *row,
                         struct jini_user *user, uint32_t *fields)
{
    const char *value = args_text(&command->args, row->option);
    bool empty = value && value[strspn(value, " \t\n")] == '\0';
    bool none = !row->number && args_has(&command->args, "no-limits");
    if (none && value)
        return command_fail(command, JINI_E_INVALID, "limits",
                            "--limits and --no-limits exclude each other");
    if (!row->number && empty)
        return command_fail(command, JINI_E_INVALID, "limits",
                            "--limits: the text is empty; --no-limits lifts all limits, and "
                            "\"tier\" gives those of the tier");
    if (none)
        value = "";
    if (!value)
        return 0;
    *fields |= row->bit;
    if (strcmp(value, "tier") == 0)
        return 0;
    user->override_mask |= row->bit;
    if (!row->number)
        return copy_text(command, "limits", value, user->overrides.limits,
                         sizeof(user->overrides.limits));
    *row->number = (uint32_t)args_number(&command->args, row->option, 0);
    return 0;
}

static int take_overrides(struct command *command, struct jini_user_set *set)
{
    struct jini_allowance *over = &set->user.overrides;
    const struct override_row rows[] = {
        {"limits", JINI_ALLOWANCE_LIMITS, NULL},
        {"width-max", JINI_ALLOWANCE_WIDTH, &over->width_max},
        {"height-max", JINI_ALLOWANCE_HEIGHT, &over->height_max},
        {"steps-max", JINI_ALLOWANCE_STEPS, &over->steps_max},
        {"parallel-max", JINI_ALLOWANCE_PARALLEL, &over->parallel_max},
        {"retention-days", JINI_ALLOWANCE_RETENTION, &over->retention_days},
    };
    if (args_has(&command->args, "clear-overrides"))
        set->override_fields = JINI_ALLOWANCE_ALL;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int status = take_override(command, &rows[i], &set->user, &set->override_fields);
        if (status)
            return status;
    }
    if (set->override_fields)
        set->fields |= JINI_USER_FIELD_OVERRIDES;
    return 0;
}

/* A change of the user whom the first argument names; its members are set by the caller. */
static int begin_set(struct command *command, struct jini_user_set *out)
{
    struct jini_user user;
    jini_request_init(out);
    int status = command_open(command);
    if (status == 0)
        status = command_find_user(command, command_argument(command, 0), &user);
    if (status == 0)
        out->user.id = user.id;
    return status;
}

static int finish_set(struct command *command, struct jini_user_set *set)
{
    int status = command_wait(command, &set->request, jini_user_set(command->jini, set, wait_done));
    return status ? status : print_user(command, &set->user);
}

int verb_user_set(struct command *command)
{
    struct jini_user_set set;
    int status = begin_set(command, &set);
    if (status == 0)
        status = take_texts(command, &set.user, &set.fields);
    if (status == 0)
        status = take_overrides(command, &set);
    if (status)
        return status;
    const char *staff = args_text(&command->args, "staff");
    if (staff) {
        set.user.flags = strcmp(staff, "yes") == 0 ? (unsigned)JINI_USER_STAFF : 0;
        set.fields |= JINI_USER_FIELD_STAFF;
    }
    if (args_has(&command->args, "revoke"))
        set.fields |= JINI_USER_FIELD_REVOKE;
    if (set.fields == 0)
        return command_fail(command, JINI_E_INVALID, "options",
                            "nothing to change was named; see \"jini user set --help\"");
    return finish_set(command, &set);
}

enum activity { INACTIVE, ACTIVE };

static int set_activity(struct command *command, enum activity activity)
{
    struct jini_user_set set;
    int status = begin_set(command, &set);
    if (status)
        return status;
    set.user.flags = activity == ACTIVE ? (unsigned)JINI_USER_ACTIVE : 0;
    set.fields = JINI_USER_FIELD_ACTIVE;
    return finish_set(command, &set);
}

int verb_user_disable(struct command *command)
{
    return set_activity(command, INACTIVE);
}

int verb_user_enable(struct command *command)
{
    return set_activity(command, ACTIVE);
}

/* ---- user passwd ---- */

static int store_password(struct command *command, const struct jini_user *user,
                          const char *password)
{
    struct jini_password_set set;
    jini_request_init(&set);
    set.user_id = user->id;
    set.password = password;
    int status =
        command_wait(command, &set.request, jini_password_set(command->jini, &set, wait_done));
    if (status)
        return status;
    output_info("the password of %s is %s; all sessions have ended", user->username,
                password ? "set" : "taken away");
    output_json(json_pack("{s:I, s:s, s:b}", "id", (json_int_t)user->id, "username", user->username,
                          "has_password", password != NULL));
    return 0;
}

int verb_user_passwd(struct command *command)
{
    char password[JINI_PASSWORD_MAX];
    bool from_stdin = args_has(&command->args, "password-stdin");
    bool none = args_has(&command->args, "none");
    if (none && from_stdin)
        return command_fail(command, JINI_E_INVALID, "password",
                            "--none and --password-stdin exclude each other");
    enum password_source source = PASSWORD_TERMINAL;
    if (none)
        source = PASSWORD_NONE;
    else if (from_stdin)
        source = PASSWORD_STDIN;
    struct jini_user user;
    int status = command_open(command);
    if (status == 0)
        status = command_find_user(command, command_argument(command, 0), &user);
    if (status == 0)
        status = password_read(command, source, password);
    if (status == 0)
        status = store_password(command, &user, none ? NULL : password);
    password_wipe(password);
    return status;
}
