/* jini key and session: what stands for a user, for programs and for people who logged in. */
#include "command.h"
#include "layout.h"
#include "ledger_args.h"

#include <jini/keys.h>
#include <stdio.h>
#include <string.h>

enum { LISTED_AT_ONCE = 64, MS = 1000000, ARGUMENT_SHOWN_MAX = 32 };

/* Its id is shown as the text begins: the number does not fit those of JSON. */
static json_t *object_credential(const struct jini_credential *credential)
{
    bool has_limits = credential->limits[0] != '\0';
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "id", credential->shown, "user_id",
                     layout_number(credential->user_id), "name",
                     credential->name[0] != '\0' ? layout_text(credential->name) : json_null(),
                     "limits", has_limits ? layout_text(credential->limits) : json_null(),
                     "created", layout_time(credential->created_ms), "expires",
                     layout_time(credential->expires_ms), "revoked",
                     layout_time(credential->revoked_ms));
}

static void print_new(const struct jini_credential *credential, const char *text)
{
    json_t *object = object_credential(credential);
    if (object)
        json_object_set_new(object, "text", json_string(text));
    layout_object(object);
    output_note("the text is told this once: keep it where the program that shows it finds it");
}

/* ---- Making ---- */

static int copy_text(struct command *command, const char *option, size_t capacity, char *to)
{
    const char *text = args_text(&command->args, option);
    if (text && strlen(text) >= capacity)
        return command_fail(command, JINI_E_INVALID, option, "it is longer than %zu bytes",
                            capacity - 1);
    snprintf(to, capacity, "%s", text ? text : "");
    return 0;
}

/* Reads what both kinds have, and finds the user. */
static int take_new(struct command *command, struct jini_credential *out, struct jini_user *user)
{
    uint64_t expires_ns;
    int status = copy_text(command, "name", sizeof(out->name), out->name);
    if (status == 0)
        status = ledger_take_time(command, "expires", &expires_ns);
    if (status)
        return status;
    out->expires_ms = expires_ns / MS;
    status = command_open(command);
    if (status == 0)
        status = command_find_user(command, command_argument(command, 0), user);
    out->user_id = status ? 0 : user->id;
    return status;
}

int verb_key_add(struct command *command)
{
    struct jini_key_add add;
    struct jini_user user;
    jini_request_init(&add);
    int status = copy_text(command, "limits", sizeof(add.key.limits), add.key.limits);
    if (status == 0)
        status = take_new(command, &add.key, &user);
    if (status == 0)
        status = command_wait(command, &add.request, jini_key_add(command->jini, &add, wait_done));
    if (status == 0)
        print_new(&add.key, add.text);
    return status;
}

int verb_session_begin(struct command *command)
{
    struct jini_session_begin begin;
    struct jini_user user;
    jini_request_init(&begin);
    int status = take_new(command, &begin.session, &user);
    if (status)
        return status;
    begin.revocation_epoch = user.revocation_epoch;
    status =
        command_wait(command, &begin.request, jini_session_begin(command->jini, &begin, wait_done));
    if (status == 0)
        print_new(&begin.session, begin.text);
    return status;
}

/* ---- Listing ---- */

static const struct layout_column key_columns[] = {
    {"KEY", "id", LAYOUT_PLAIN},         {"NAME", "name", LAYOUT_PLAIN},
    {"LIMITS", "limits", LAYOUT_PLAIN},  {"CREATED", "created", LAYOUT_TIME},
    {"EXPIRES", "expires", LAYOUT_TIME}, {"REVOKED", "revoked", LAYOUT_TIME},
};

static const struct layout_column session_columns[] = {
    {"SESSION", "id", LAYOUT_PLAIN},
    {"NAME", "name", LAYOUT_PLAIN},
    {"CREATED", "created", LAYOUT_TIME},
    {"EXPIRES", "expires", LAYOUT_TIME},
};

static int list(struct command *command, enum jini_credential_kind kind)
{
    static struct jini_credential found[LISTED_AT_ONCE];
    struct jini_user user;
    struct layout_list list;
    size_t count = LISTED_AT_ONCE;
    uint64_t after = 0;
    int status = command_open(command);
    if (status == 0)
        status = command_find_user(command, command_argument(command, 0), &user);
    if (status)
        return status;
    if (kind == JINI_KEY)
        layout_list_begin(&list, key_columns);
    else
        layout_list_begin(&list, session_columns);
    while (status == 0 && count == LISTED_AT_ONCE && !command_is_over()) {
        status = jini_credential_list(command->jini, user.id, kind, after, found, LISTED_AT_ONCE,
                                      &count, &command->error);
        for (size_t i = 0; status == 0 && i < count; i++) {
            layout_list_add(&list, object_credential(&found[i]));
            after = found[i].id;
        }
    }
    layout_list_end(&list, status ? NULL : kind == JINI_KEY ? "no keys" : "no sessions");
    return status;
}

int verb_key_list(struct command *command)
{
    return list(command, JINI_KEY);
}

int verb_session_list(struct command *command)
{
    return list(command, JINI_SESSION);
}

/* ---- Revoking ---- */

static int revoke(struct command *command, const char *text)
{
    struct jini_credential_revoke request;
    jini_request_init(&request);
    if (jini_credential_parse_id(text, &request.id) != 0)
        return command_fail(command, JINI_E_INVALID, "ID",
                            "it does not begin as a key or a session does: jk_ or js_ and twelve "
                            "characters");
    return command_wait(command, &request.request,
                        jini_credential_revoke(command->jini, &request, wait_done));
}

/* What may be said of an argument: an id, without its secret; of what is none, which one it was. */
static void show_argument(const char *text, size_t index, char shown[ARGUMENT_SHOWN_MAX])
{
    uint64_t id;
    if (jini_credential_parse_id(text, &id) == 0)
        snprintf(shown, JINI_CREDENTIAL_SHOWN_MAX, "%s", text);
    else
        snprintf(shown, ARGUMENT_SHOWN_MAX, "argument %zu", index + 1);
}

/* Every id gets its line; the first that failed gives the status. */
static int revoke_all(struct command *command)
{
    struct jini_error first_error = {0};
    int first = command_open(command);
    if (first)
        return first;
    for (size_t i = 0; i < command->args.positional_count && !command_is_over(); i++) {
        char shown[ARGUMENT_SHOWN_MAX];
        show_argument(command_argument(command, i), i, shown);
        int status = revoke(command, command_argument(command, i));
        if (status == 0) {
            output_info("revoked %s", shown);
            output_json(json_pack("{s:s, s:s}", "id", shown, "status", jini_status_name(status)));
            continue;
        }
        output_json(json_pack("{s:o, s:s, s:o}", "id", layout_text(shown), "status",
                              jini_status_name(status), "error",
                              output_error_object(&command->error)));
        if (first)
            output_note("%s: %s", shown, command->error.message);
        first_error = first ? first_error : command->error;
        first = first ? first : status;
    }
    command->error = first_error;
    return first;
}

int verb_key_rm(struct command *command)
{
    return revoke_all(command);
}

static int end_all(struct command *command, const char *name)
{
    struct jini_user_set set;
    struct jini_user user;
    jini_request_init(&set);
    int status = command_open(command);
    if (status == 0)
        status = command_find_user(command, name, &user);
    if (status)
        return status;
    set.user.id = user.id;
    set.fields = JINI_USER_FIELD_REVOKE;
    status = command_wait(command, &set.request, jini_user_set(command->jini, &set, wait_done));
    if (status)
        return status;
    output_info("ended all sessions of user %llu", (unsigned long long)user.id);
    output_json(json_pack("{s:o, s:o}", "user_id", layout_number(user.id), "revocation_epoch",
                          layout_number(set.user.revocation_epoch)));
    return 0;
}

int verb_session_rm(struct command *command)
{
    const char *user = args_text(&command->args, "user");
    if ((user != NULL) == (command->args.positional_count > 0))
        return command_fail(command, JINI_E_INVALID, "ID",
                            "name sessions, or a user by --user to end all of that one's");
    return user ? end_all(command, user) : revoke_all(command);
}
