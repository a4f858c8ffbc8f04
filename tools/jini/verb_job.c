/* jini job: jobs, as their users, their workers and operators see them. */
#include "command.h"
#include "layout.h"
#include "object.h"
#include "verb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 64 };

/* ---- Admitting ---- */

static int copy_model(struct command *command, const char *model, struct jini_parameters *out)
{
    if (strlen(model) >= sizeof(out->model))
        return command_fail(command, JINI_E_INVALID, "model", "it is longer than %zu bytes",
                            sizeof(out->model) - 1);
    memcpy(out->model, model, strlen(model) + 1);
    return 0;
}

static int take_request_id(struct command *command, struct jini_id *out)
{
    const char *text = args_text(&command->args, "request-id");
    return text ? command_parse_id(command, text, out) : 0;
}

/* How to learn more of a refusal. */
static void say_why(const struct jini_id *decision)
{
    static const struct jini_id none;
    char text[JINI_ID_TEXT_MAX];
    if (jini_id_compare(decision, &none) == 0)
        return;
    jini_id_format(decision, text);
    output_note("\"jini why %s\" shows what this stood on", text);
}

static int admit(struct command *command, struct jini_admit *request)
{
    request->flags = JINI_ADMIT_QUEUE;
    int status =
        command_wait(command, &request->request, jini_admit(command->jini, request, wait_done));
    if (status == 0)
        layout_object(object_job(&request->job));
    else
        say_why(&request->decision_id);
    return status;
}

int verb_job_add(struct command *command)
{
    const struct args *args = &command->args;
    struct jini_admit request;
    struct jini_user user;
    const char *model = args_text(args, "model");
    jini_request_init(&request);
    request.parameters = (struct jini_parameters){
        .width = (uint32_t)args_number(args, "width", 512),
        .height = (uint32_t)args_number(args, "height", 512),
        .steps = (uint32_t)args_number(args, "steps", 20),
        .count = (uint32_t)args_number(args, "count", 1),
        .seed = args_number(args, "seed", -1),
        .guidance_millionths = 7500000,
    };
    request.prompt = args_text(args, "prompt");
    request.negative = args_text(args, "negative");
    request.queue_ttl_ms = (uint64_t)args_number(args, "ttl-ms", 0);
    int status = copy_model(command, model ? model : "", &request.parameters);
    if (status == 0)
        status = take_request_id(command, &request.request_id);
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = command_find_user(command, command_argument(command, 0), &user);
    if (status)
        return status;
    request.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user.id};
    return admit(command, &request);
}

/* A job and its prompts, as they were asked for. */
struct asked {
    struct jini_job job;
    char prompt[JINI_PROMPT_MAX];
    char negative[JINI_PROMPT_MAX];
};

static int read_asked(struct command *command, const struct jini_id *id, struct asked *out)
{
    int status = jini_job_get(command->jini, id, &out->job, &command->error);
    if (status)
        return status;
    if (out->job.state != JINI_JOB_FAILED && out->job.state != JINI_JOB_TIMED_OUT)
        return command_fail(command, JINI_E_CONFLICT, "ID",
                            "the job is %s: one that is FAILED or TIMED_OUT is admitted once more",
                            jini_job_state_name(out->job.state));
    if (out->job.user_id == 0)
        return command_fail(command, JINI_E_INVALID, "ID",
                            "it was of an anonymous client, whose address is not kept");
    return jini_job_prompts(command->jini, id, out->prompt, sizeof(out->prompt), out->negative,
                            sizeof(out->negative), &command->error);
}

static int retry(struct command *command, const struct jini_id *id, struct asked *asked)
{
    struct jini_admit request;
    jini_request_init(&request);
    int status = take_request_id(command, &request.request_id);
    if (status == 0)
        status = read_asked(command, id, asked);
    if (status)
        return status;
    request.subject =
        (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = asked->job.user_id};
    request.parameters = asked->job.parameters;
    request.prompt = asked->prompt;
    request.negative = asked->negative;
    return admit(command, &request);
}

int verb_job_retry(struct command *command)
{
    struct jini_id id;
    int status = command_parse_id(command, command_argument(command, 0), &id);
    if (status == 0)
        status = command_open(command);
    if (status)
        return status;
    struct asked *asked = malloc(sizeof(*asked));
    if (!asked)
        return command_fail(command, JINI_E_NO_MEMORY, "job", "out of memory");
    status = retry(command, &id, asked);
    free(asked);
    return status;
}

/* ---- Looking ---- */

static const struct layout_column job_columns[] = {
    {"ID", "id", LAYOUT_PLAIN},
    {"CREATED", "created", LAYOUT_TIME},
    {"STATE", "state", LAYOUT_PLAIN},
    {"USER", "user_id", LAYOUT_PLAIN},
    {"PRIORITY", "priority", LAYOUT_PLAIN},
    {"MODEL", "parameters.model", LAYOUT_PLAIN},
    {"ATTEMPT", "attempt", LAYOUT_PLAIN},
    {"WORKER", "worker", LAYOUT_PLAIN},
    {"ERROR", "error", LAYOUT_PLAIN},
};

/* A list of jobs while it is read page by page, of a user or of the queue. */
struct listing {
    struct command *command;
    uint64_t user_id; /* 0: of the queue */
    const char *model;
    enum jini_job_state state; /* 0: any */
    struct jini_list_cursor of_user;
    struct jini_queue_cursor of_queue;
};

static int read_page(struct listing *listing, struct jini_job *jobs, size_t *count)
{
    struct command *command = listing->command;
    if (listing->user_id)
        return jini_job_list(command->jini, listing->user_id, &listing->of_user, jobs, PAGE, count,
                             &command->error);
    return jini_queue_list(command->jini, listing->model, listing->state, &listing->of_queue, jobs,
                           PAGE, count, &command->error);
}

static bool is_meant(const struct listing *listing, const struct jini_job *job)
{
    return (listing->state == 0 || job->state == listing->state) &&
           (!listing->model || strcmp(job->parameters.model, listing->model) == 0);
}

static int print_listing(struct listing *listing, uint64_t limit)
{
    static struct jini_job jobs[PAGE];
    struct layout_list list;
    size_t count = 1;
    int status = 0;
    layout_list_begin(&list, job_columns);
    while (status == 0 && count > 0 && limit > 0 && !command_is_over()) {
        status = read_page(listing, jobs, &count);
        for (size_t i = 0; status == 0 && i < count && limit > 0; i++) {
            if (!is_meant(listing, &jobs[i]))
                continue;
            layout_list_add(&list, object_job(&jobs[i]));
            limit--;
        }
    }
    layout_list_end(&list, status ? NULL : "no jobs");
    return status;
}

static enum jini_job_state state_of(const char *name)
{
    for (int state = JINI_JOB_IN_QUEUE; name && state <= JINI_JOB_TIMED_OUT; state++) {
        if (strcmp(jini_job_state_name((enum jini_job_state)state), name) == 0)
            return (enum jini_job_state)state;
    }
    return (enum jini_job_state)0;
}

int verb_job_list(struct command *command)
{
    const char *name = command_argument(command, 0);
    struct listing listing = {.command = command,
                              .model = args_text(&command->args, "model"),
                              .state = state_of(args_text(&command->args, "state"))};
    struct jini_user user;
    if (!name && listing.state > JINI_JOB_IN_PROGRESS)
        return command_fail(command, JINI_E_INVALID, "USER",
                            "jobs that have ended are listed by user: name one");
    int status = command_open(command);
    if (status == 0 && name) {
        status = command_find_user(command, name, &user);
        listing.user_id = status ? 0 : user.id;
    }
    return status
               ? status
               : print_listing(&listing, (uint64_t)args_number(&command->args, "limit", INT64_MAX));
}

static void add_place(struct command *command, const struct jini_job *job, json_t *object)
{
    struct jini_job_position position;
    struct jini_error ignored;
    if (job->state != JINI_JOB_IN_QUEUE || !(job->flags & JINI_JOB_FOR_WORKERS) ||
        jini_job_position(command->jini, &job->id, &position, &ignored) != 0)
        return;
    json_object_set_new(object, "jobs_ahead", layout_number(position.ahead));
    json_object_set_new(object, "more_ahead", json_boolean(position.more));
}

int verb_job_show(struct command *command)
{
    struct jini_job job;
    struct jini_id id;
    int status = command_parse_id(command, command_argument(command, 0), &id);
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = jini_job_get(command->jini, &id, &job, &command->error);
    if (status)
        return status;
    json_t *object = object_job(&job);
    if (!object)
        return command_fail(command, JINI_E_NO_MEMORY, "job", "out of memory");
    add_place(command, &job, object);
    status = verb_add_prompts(command, &job, object);
    if (status == 0)
        status = verb_add_images(command, &job, object);
    if (status == 0)
        layout_object(object);
    else
        json_decref(object);
    return status;
}

/* ---- Cancelling ---- */

static int cancel(struct command *command, const char *text)
{
    struct jini_release release;
    jini_request_init(&release);
    release.state = JINI_JOB_CANCELLED;
    int status = command_parse_id(command, text, &release.job_id);
    if (status == 0)
        status = command_wait(command, &release.request,
                              jini_release(command->jini, &release, wait_done));
    return status;
}

/* Every id gets its line; the first that failed gives the status. */
int verb_job_cancel(struct command *command)
{
    struct jini_error first_error = {0};
    int first = command_open(command);
    if (first)
        return first;
    for (size_t i = 0; i < command->args.positional_count && !command_is_over(); i++) {
        const char *text = command_argument(command, i);
        int status = cancel(command, text);
        if (status == 0) {
            output_info("cancelled %s", text);
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

/* ---- Workers ---- */

static void print_taken(const struct jini_job_taken *taken)
{
    json_t *object = object_job(&taken->job);
    if (object) {
        json_object_set_new(object, "prompt", layout_text(taken->prompt));
        json_object_set_new(object, "negative", layout_text(taken->negative));
    }
    layout_object(object);
}

/* Parts a list in place. Returns how many there are, or one more than there may be. */
static uint32_t part(char *list, const char *models[JINI_TAKE_MODELS_MAX])
{
    uint32_t count = 0;
    char *rest;
    for (char *model = strtok_r(list, ",", &rest); model; model = strtok_r(NULL, ",", &rest)) {
        if (count == JINI_TAKE_MODELS_MAX)
            return JINI_TAKE_MODELS_MAX + 1;
        models[count++] = model;
    }
    return count;
}

static int take(struct command *command, char *list)
{
    static struct jini_job_taken taken;
    static char machine[JINI_WORKER_NAME_MAX];
    const char *models[JINI_TAKE_MODELS_MAX];
    const char *worker = args_text(&command->args, "worker");
    struct jini_job_take request;
    jini_request_init(&request);
    if (!worker && gethostname(machine, sizeof(machine) - 1) != 0)
        machine[0] = '\0';
    request.worker = worker ? worker : machine[0] ? machine : "jini";
    request.models = models;
    request.model_count = list ? part(list, models) : 0;
    request.wait_ms = (uint32_t)args_number(&command->args, "wait-ms", 0);
    request.lease_ms = (uint32_t)args_number(&command->args, "lease-ms", 0);
    request.taken = &taken;
    request.capacity = 1;
    int status =
        command_wait(command, &request.request, jini_job_take(command->jini, &request, wait_done));
    if (status)
        return status;
    if (request.count == 0)
        return command_fail(command, JINI_E_NOT_FOUND, "queue", "no job waits for this worker");
    print_taken(&taken);
    return 0;
}

int verb_job_take(struct command *command)
{
    const char *models = args_text(&command->args, "models");
    char *list = models ? strdup(models) : NULL;
    if (models && !list)
        return command_fail(command, JINI_E_NO_MEMORY, "models", "out of memory");
    int status = command_open(command);
    if (status == 0)
        status = take(command, list);
    free(list);
    return status;
}

/* Opens the database and reads what each word of a worker's names. */
static int take_attempt(struct command *command, struct jini_id *id, uint32_t *attempt)
{
    int status = command_parse_id(command, command_argument(command, 0), id);
    *attempt = (uint32_t)args_number(&command->args, "attempt", 0);
    if (status == 0 && *attempt == 0)
        return command_fail(command, JINI_E_INVALID, "attempt",
                            "--attempt is needed: the number that came with the job");
    return status ? status : command_open(command);
}

int verb_job_extend(struct command *command)
{
    struct jini_job_extend request;
    jini_request_init(&request);
    request.lease_ms = (uint32_t)args_number(&command->args, "lease-ms", 0);
    int status = take_attempt(command, &request.job_id, &request.attempt);
    if (status == 0)
        status = command_wait(command, &request.request,
                              jini_job_extend(command->jini, &request, wait_done));
    if (status == 0)
        layout_object(object_job(&request.job));
    return status;
}

int verb_job_finish(struct command *command)
{
    struct jini_job_finish request;
    jini_request_init(&request);
    request.unused_credits = (uint64_t)args_number(&command->args, "unused-credits", 0);
    int status = take_attempt(command, &request.job_id, &request.attempt);
    if (status == 0)
        status = command_wait(command, &request.request,
                              jini_job_finish(command->jini, &request, wait_done));
    if (status == 0)
        layout_object(object_job(&request.job));
    return status;
}

int verb_job_fail(struct command *command)
{
    struct jini_job_fail request;
    jini_request_init(&request);
    request.reason = args_text(&command->args, "reason");
    request.retry = args_has(&command->args, "retry");
    int status = take_attempt(command, &request.job_id, &request.attempt);
    if (status == 0)
        status = command_wait(command, &request.request,
                              jini_job_fail(command->jini, &request, wait_done));
    if (status == 0)
        layout_object(object_job(&request.job));
    return status;
}
