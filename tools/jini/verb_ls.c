/* jini ls, show, rm, restore: records of images and jobs. */
#include "command.h"
#include "layout.h"
#include "object.h"
#include "verb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- ls ---- */

enum { PAGE = 64 };

static const struct layout_column image_columns[] = {
    {"ID", "id", LAYOUT_PLAIN},       {"CREATED", "created", LAYOUT_TIME},
    {"STATE", "state", LAYOUT_PLAIN}, {"TYPE", "media_type", LAYOUT_PLAIN},
    {"WIDTH", "width", LAYOUT_PLAIN}, {"HEIGHT", "height", LAYOUT_PLAIN},
    {"SIZE", "bytes", LAYOUT_BYTES},  {"EXPIRES", "expires", LAYOUT_TIME},
};

static const struct layout_column job_columns[] = {
    {"ID", "id", LAYOUT_PLAIN},
    {"CREATED", "created", LAYOUT_TIME},
    {"STATE", "state", LAYOUT_PLAIN},
    {"MODEL", "parameters.model", LAYOUT_PLAIN},
    {"WIDTH", "parameters.width", LAYOUT_PLAIN},
    {"HEIGHT", "parameters.height", LAYOUT_PLAIN},
    {"STEPS", "parameters.steps", LAYOUT_PLAIN},
    {"IMAGES", "images", LAYOUT_PLAIN},
    {"ERROR", "error", LAYOUT_PLAIN},
};

/* A list of a user's images or jobs while it is read page by page. */
struct reading {
    struct command *command;
    uint64_t user_id;
    bool jobs;
    struct jini_list_cursor cursor;
    char go_on[17]; /* the cursor behind what --limit let through; "" when nothing is behind it */
    struct layout_list list;
    union {
        struct jini_image images[PAGE];
        struct jini_job jobs[PAGE];
    } page;
};

/* In text, a cursor is its number in hexadecimal digits. */
static int parse_cursor(struct command *command, struct jini_list_cursor *out)
{
    const char *text = args_text(&command->args, "cursor");
    char *end;
    memset(out, 0, sizeof(*out));
    if (!text)
        return 0;
    errno = 0;
    out->next = strtoull(text, &end, 16);
    out->started = 1;
    if (errno || strlen(text) > 16 || strspn(text, "0123456789abcdef") != strlen(text) ||
        end == text)
        return command_fail(command, JINI_E_INVALID, "cursor",
                            "\"%.40s\" is not what a list with --limit printed", text);
    return 0;
}

static json_t *row_of(const struct reading *reading, size_t index)
{
    return reading->jobs ? object_job(&reading->page.jobs[index])
                         : object_image(reading->command->jini, &reading->page.images[index]);
}

static int read_page(struct reading *reading, size_t capacity, size_t *count)
{
    struct command *command = reading->command;
    return reading->jobs ? jini_job_list(command->jini, reading->user_id, &reading->cursor,
                                         reading->page.jobs, capacity, count, &command->error)
                         : jini_image_list(command->jini, reading->user_id, &reading->cursor,
                                           reading->page.images, capacity, count, &command->error);
}

/* Keeps how to go on behind the last row that --limit lets through, if there is another one. */
static int look_behind(struct reading *reading)
{
    struct command *command = reading->command;
    struct jini_list_cursor behind = reading->cursor;
    struct jini_image image;
    struct jini_job job;
    size_t count = 0;
    int status = reading->jobs ? jini_job_list(command->jini, reading->user_id, &behind, &job, 1,
                                               &count, &command->error)
                               : jini_image_list(command->jini, reading->user_id, &behind, &image,
                                                 1, &count, &command->error);
    if (status == 0 && count > 0)
        snprintf(reading->go_on, sizeof(reading->go_on), "%llx",
                 (unsigned long long)reading->cursor.next);
    return status;
}

static int read_all(struct reading *reading, uint64_t limit)
{
    uint64_t left = limit;
    bool more = true;
    while (more && left > 0 && !command_is_over()) {
        size_t count = 0;
        size_t wanted = left < PAGE ? (size_t)left : PAGE;
        int status = read_page(reading, wanted, &count);
        if (status)
            return status;
        more = count == wanted;
        left -= count;
        if (more && left == 0)
            status = look_behind(reading);
        if (status)
            return status;
        for (size_t i = 0; i < count; i++) {
            json_t *row = row_of(reading, i);
            if (row && reading->go_on[0] != '\0' && i + 1 == count)
                json_object_set_new(row, "cursor", json_string(reading->go_on));
            layout_list_add(&reading->list, row);
        }
    }
    return 0;
}

static int print_user_list(struct command *command, const struct jini_user *user)
{
    struct reading *reading = calloc(1, sizeof(*reading));
    if (!reading)
        return command_fail(command, JINI_E_NO_MEMORY, "list", "out of memory");
    reading->command = command;
    reading->user_id = user->id;
    reading->jobs = args_has(&command->args, "jobs");
    if (reading->jobs)
        layout_list_begin(&reading->list, job_columns);
    else
        layout_list_begin(&reading->list, image_columns);
    int status = parse_cursor(command, &reading->cursor);
    if (status == 0)
        status = read_all(reading, (uint64_t)args_number(&command->args, "limit", INT64_MAX));
    layout_list_end(&reading->list, status ? NULL : reading->jobs ? "no jobs" : "no images");
    if (reading->go_on[0] != '\0')
        output_note("more with --cursor %s", reading->go_on);
    free(reading);
    return status;
}

int verb_ls(struct command *command)
{
    struct jini_user user;
    const char *name = command_argument(command, 0);
    bool of_user = args_has(&command->args, "jobs") || args_has(&command->args, "cursor");
    if (!name && of_user)
        return command_fail(command, JINI_E_INVALID, "USER", "--jobs and --cursor need a user");
    int status = command_open(command);
    if (status)
        return status;
    if (!name)
        return verb_print_users(command, 0,
                                (uint64_t)args_number(&command->args, "limit", INT64_MAX));
    status = command_find_user(command, name, &user);
    return status ? status : print_user_list(command, &user);
}

/* ---- show ---- */

int verb_add_prompts(struct command *command, const struct jini_job *job, json_t *object)
{
    char *prompt = malloc(JINI_PROMPT_MAX);
    char *negative = malloc(JINI_PROMPT_MAX);
    int status = JINI_E_NO_MEMORY;
    if (prompt && negative)
        status = jini_job_prompts(command->jini, &job->id, prompt, JINI_PROMPT_MAX, negative,
                                  JINI_PROMPT_MAX, &command->error);
    if (status == 0) {
        json_object_set_new(object, "prompt", layout_text(prompt));
        json_object_set_new(object, "negative", layout_text(negative));
    }
    free(prompt);
    free(negative);
    return status;
}

int verb_add_images(struct command *command, const struct jini_job *job, json_t *object)
{
    struct jini_id ids[JINI_JOB_IMAGES_MAX];
    size_t count = 0;
    int status =
        jini_job_images(command->jini, &job->id, ids, JINI_JOB_IMAGES_MAX, &count, &command->error);
    json_t *list = json_array();
    for (size_t i = 0; status == 0 && i < count; i++)
        json_array_append_new(list, layout_id(&ids[i]));
    json_object_set_new(object, "image_ids", list);
    return status;
}

/* The same object with its type in front. */
static json_t *typed(const char *type, json_t *members)
{
    json_t *object = json_pack("{s:s}", "type", type);
    if (object && members && json_object_update(object, members) == 0) {
        json_decref(members);
        return object;
    }
    json_decref(object);
    json_decref(members);
    return NULL;
}

static int show_job(struct command *command, const struct jini_id *id)
{
    struct jini_job job;
    int status = jini_job_get(command->jini, id, &job, &command->error);
    if (status == JINI_E_NOT_FOUND) {
        char text[JINI_ID_TEXT_MAX];
        jini_id_format(id, text);
        return command_fail(command, status, "ID", "there is no image and no job %s", text);
    }
    if (status)
        return status;
    json_t *object = typed("job", object_job(&job));
    if (!object)
        return command_fail(command, JINI_E_NO_MEMORY, "job", "out of memory");
    status = verb_add_prompts(command, &job, object);
    if (status == 0)
        status = verb_add_images(command, &job, object);
    if (status == 0)
        layout_object(object);
    else
        json_decref(object);
    return status;
}

int verb_show(struct command *command)
{
    struct jini_id id;
    struct jini_image image;
    int status = command_parse_id(command, command_argument(command, 0), &id);
    if (status == 0)
        status = command_open(command);
    if (status)
        return status;
    status = jini_image_stat(command->jini, &id, &image, &command->error);
    if (status == JINI_E_NOT_FOUND)
        return show_job(command, &id);
    if (status)
        return status;
    layout_object(typed("image", object_image(command->jini, &image)));
    return 0;
}

/* ---- rm, restore ---- */

typedef int change_fn(struct jini *jini, struct jini_image_remove *request,
                      jini_callback *callback);

/* Every id gets its line; the first that failed gives the status. */
static int change_images(struct command *command, change_fn *change, uint32_t flags,
                         const char *done)
{
    int first = 0;
    struct jini_error first_error = {0};
    for (size_t i = 0; i < command->args.positional_count && !command_is_over(); i++) {
        struct jini_image_remove request;
        const char *text = command_argument(command, i);
        jini_request_init(&request);
        request.flags = flags;
        int status = command_parse_id(command, text, &request.id);
        if (status == 0)
            status =
                command_wait(command, &request.request, change(command->jini, &request, wait_done));
        if (status == 0) {
            output_info("%s %s", done, text);
            output_json(json_pack("{s:s, s:s}", "id", text, "status", jini_status_name(status)));
            continue;
        }
        output_json(json_pack("{s:o, s:s, s:o}", "id", layout_text(text), "status",
                              jini_status_name(status), "error",
                              output_error_object(&command->error)));
        if (first)
            output_note("%s: %s", text, command->error.message);
        first_error = first ? first_error : command->error;
        first = first ? first : status;
    }
    command->error = first_error;
    return first;
}

int verb_rm(struct command *command)
{
    bool purge = args_has(&command->args, "purge");
    int status = command_open(command);
    if (status == 0 && purge)
        status = change_images(command, jini_image_remove, JINI_REMOVE_PURGE, "removed for good");
    else if (status == 0)
        status = change_images(command, jini_image_remove, 0, "removed");
    return status;
}

int verb_restore(struct command *command)
{
    int status = command_open(command);
    return status ? status : change_images(command, jini_image_restore, 0, "restored");
}
