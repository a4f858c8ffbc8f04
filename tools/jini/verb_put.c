/* jini put: what is to be stored, a line for each file, and the explanation of what was refused. */
#include "command.h"
#include "layout.h"
#include "object.h"
#include "progress.h"
#include "put_window.h"
#include "words.h"
#include "worst.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WINDOW_DEFAULT = 32,
    WINDOW_MAX = 64,
    STEPS_DEFAULT = 20,
    REASONS_MAX = 16,
    GUIDANCE_DEFAULT = 7500000,
    LEASE_MS = 60000
};

/* Files that were not stored for one reason. */
struct reason {
    int status;
    char field[JINI_ERROR_FIELD_MAX];
    uint64_t count;
    struct jini_error first;
    char *first_path;
};

/* An image that was stored, and whose line standard output did not take. */
struct unprinted {
    struct jini_id id;
    const char *path;
};

struct putting {
    struct command *command;
    size_t file_count;
    uint64_t stored;
    uint64_t stored_bytes;
    uint64_t not_stored;
    struct worst worst; /* of the files that were not stored */
    size_t reason_count;
    struct reason reasons[REASONS_MAX];
    size_t unprinted_count; /* at most what was under way when the output broke */
    struct unprinted unprinted[WINDOW_MAX];
};

/* ---- Reports ---- */

/* Errors of files carry their path as field; those of limits and rules the limit or the rule. */
static const char *reason_field(const struct put_outcome *outcome)
{
    const struct jini_error *error = &outcome->error;
    return jini_status_retry(outcome->status) == JINI_RETRY_AFTER ||
                   outcome->status == JINI_E_FORBIDDEN || outcome->status == JINI_E_INVALID
               ? error->field
               : "";
}

static void count_reason(struct putting *putting, const struct put_outcome *outcome)
{
    const char *field = reason_field(outcome);
    for (size_t i = 0; i < putting->reason_count; i++) {
        struct reason *reason = &putting->reasons[i];
        bool last = i + 1 == REASONS_MAX; /* takes all that find no room */
        if (last || (reason->status == outcome->status && strcmp(reason->field, field) == 0)) {
            reason->count++;
            return;
        }
    }
    struct reason *reason = &putting->reasons[putting->reason_count++];
    reason->status = outcome->status;
    snprintf(reason->field, sizeof(reason->field), "%s", field);
    reason->count = 1;
    reason->first = outcome->error;
    reason->first_path = strdup(outcome->path);
}

static void count_outcome(struct putting *putting, const struct put_outcome *outcome)
{
    if (outcome->status == 0) {
        putting->stored++;
        putting->stored_bytes += outcome->bytes;
        return;
    }
    putting->not_stored++;
    count_reason(putting, outcome);
    if (outcome->status != JINI_E_CANCELLED) /* which follows from another failure, or a signal */
        worst_add(&putting->worst, outcome->index, outcome->status, &outcome->error);
}

static bool came_damaged(const struct put_outcome *outcome)
{
    return outcome->image.flags & JINI_IMAGE_DAMAGED;
}

static void print_json(const struct put_outcome *outcome)
{
    const struct jini_image *image = &outcome->image;
    json_t *object = json_object();
    layout_set_path(object, "file", outcome->path);
    json_object_set_new(object, "id", layout_id(&image->id));
    json_object_set_new(object, "bytes", layout_number(outcome->bytes));
    json_object_set_new(object, "status", json_string(jini_status_name(outcome->status)));
    json_object_set_new(object, "job_id", layout_id(&outcome->job_id));
    if (object && outcome->status == 0)
        json_object_set_new(object, "came_damaged", json_boolean(came_damaged(outcome)));
    if (object && image->width) {
        json_object_set_new(object, "media_type", layout_text(image->media_type));
        json_object_set_new(object, "width", layout_number(image->width));
        json_object_set_new(object, "height", layout_number(image->height));
    }
    if (object && outcome->status)
        json_object_set_new(object, "error", output_error_object(&outcome->error));
    output_json(object);
}

/* Refused by a rule; else something went wrong. */
static bool is_refusal(int status)
{
    return jini_status_retry(status) == JINI_RETRY_AFTER || status == JINI_E_NOT_IMAGE ||
           status == JINI_E_FORBIDDEN || status == JINI_E_TOO_BIG || status == JINI_E_INVALID ||
           status == JINI_E_INACTIVE || status == JINI_E_FUNDS;
}

static void print_line(const struct put_outcome *outcome)
{
    char id[JINI_ID_TEXT_MAX];
    char size[WORDS_NUMBER_MAX];
    if (outcome->status) {
        output_line("%s %s: %s", is_refusal(outcome->status) ? "refused " : "failed  ",
                    outcome->path, outcome->error.message);
        return;
    }
    if (came_damaged(outcome))
        output_line("damaged  %s: it came truncated, or with wrong checksums or parts inside, and "
                    "is stored as it came",
                    outcome->path);
    jini_id_format(&outcome->image.id, id);
    words_bytes(outcome->bytes, size);
    output_line("stored   %s  %10s  %s", id, size, outcome->path);
}

static void on_outcome(void *context, const struct put_outcome *outcome)
{
    struct putting *putting = context;
    count_outcome(putting, outcome);
    if (output_is_json())
        print_json(outcome);
    else
        print_line(outcome);
    output_flush();
    if (outcome->status == 0 && output_is_broken() && putting->unprinted_count < WINDOW_MAX)
        putting->unprinted[putting->unprinted_count++] =
            (struct unprinted){outcome->image.id, outcome->path};
    progress_set(putting->stored + putting->not_stored, putting->file_count, putting->stored_bytes);
}

static void on_tick(void *context)
{
    (void)context;
    progress_tick();
}

/* ---- The end ---- */

static void print_summary(const struct putting *putting, uint64_t elapsed_ms)
{
    char bytes[WORDS_NUMBER_MAX];
    char span[WORDS_NUMBER_MAX];
    char rate[WORDS_NUMBER_MAX];
    uint64_t ended = putting->stored + putting->not_stored;
    words_bytes(putting->stored_bytes, bytes);
    words_span_ms(elapsed_ms, span);
    words_bytes(elapsed_ms ? putting->stored_bytes * 1000 / elapsed_ms : 0, rate);
    output_info("%" PRIu64 " of %zu files stored, %s in %s (%s/s)", putting->stored,
                putting->file_count, bytes, span, rate);
    if (putting->file_count == 1 && ended == 1)
        return; /* its line says why */
    for (size_t i = 0; i < putting->reason_count; i++) {
        const struct reason *reason = &putting->reasons[i];
        output_line("%" PRIu64 " not stored: %s%s%s%s", reason->count,
                    jini_status_text(reason->status), reason->field[0] != '\0' ? " (" : "",
                    reason->field, reason->field[0] != '\0' ? ")" : "");
        output_line("    %s%s: %s", reason->count > 1 ? "first " : "",
                    reason->first_path ? reason->first_path : "", reason->first.message);
    }
    if (ended < putting->file_count)
        output_line("%zu not tried", putting->file_count - (size_t)ended);
}

/* Nobody would know the ids of these. */
static void print_unprinted(const struct putting *putting)
{
    for (size_t i = 0; i < putting->unprinted_count; i++) {
        const struct unprinted *unprinted = &putting->unprinted[i];
        char id[JINI_ID_TEXT_MAX];
        json_t *object = json_pack("{s:o}", "id", layout_id(&unprinted->id));
        jini_id_format(&unprinted->id, id);
        if (object)
            layout_set_path(object, "file", unprinted->path);
        output_unprinted(object, "jini: standard output did not take: stored %s  %s", id,
                         unprinted->path);
    }
}

static int conclude(struct putting *putting, int status, const struct jini_error *error)
{
    struct command *command = putting->command;
    print_summary(putting, progress_elapsed_ms());
    print_unprinted(putting);
    if (status == JINI_E_CANCELLED || (status && putting->worst.status == 0)) {
        command->error = *error;
        return status;
    }
    if (putting->worst.status == 0)
        return 0;
    return worst_conclude(&putting->worst, putting->file_count - (size_t)putting->stored,
                          putting->file_count, "files were not stored", &command->error);
}

/* ---- What is asked for ---- */

/* "7.5" as 7,500,000 millionths. */
static bool parse_millionths(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    int decimals = -1;
    for (; *text; text++) {
        if (*text == '.' && decimals < 0) {
            decimals = 0;
            continue;
        }
        if (*text < '0' || *text > '9' || decimals == 6 || value > UINT64_C(100000000000))
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
        decimals += decimals >= 0;
    }
    for (int i = decimals < 0 ? 0 : decimals; i < 6; i++)
        value *= 10;
    *out = value;
    return decimals != 0;
}

/* What is longer is refused before any file is read. */
static int check_length(struct command *command, const char *option, const char *text,
                        size_t bytes_max)
{
    if (!text || strlen(text) <= bytes_max)
        return 0;
    return command_fail(command, JINI_E_INVALID, option,
                        "--%s: %zu bytes are given, and up to %zu are taken", option, strlen(text),
                        bytes_max);
}

static int take_parameters(struct command *command, struct put_plan *plan)
{
    const struct args *args = &command->args;
    struct jini_parameters *parameters = &plan->parameters;
    const char *model = args_text(args, "model");
    const char *guidance = args_text(args, "guidance");
    parameters->width = (uint32_t)args_number(args, "width", 0);
    parameters->height = (uint32_t)args_number(args, "height", 0);
    parameters->steps = (uint32_t)args_number(args, "steps", STEPS_DEFAULT);
    parameters->count = 1;
    parameters->seed = args_number(args, "seed", -1);
    parameters->guidance_millionths = GUIDANCE_DEFAULT;
    plan->seed_of_file = !args_has(args, "seed");
    plan->prompt = args_text(args, "prompt");
    plan->negative = args_text(args, "negative");
    if (guidance &&
        (guidance[0] == '\0' || !parse_millionths(guidance, &parameters->guidance_millionths)))
        return command_fail(command, JINI_E_INVALID, "guidance",
                            "--guidance: \"%.40s\" is not a number like 7.5", guidance);
    int status = check_length(command, "model", model, JINI_MODEL_MAX - 1);
    if (status == 0)
        status = check_length(command, "prompt", plan->prompt, JINI_PROMPT_MAX - 1);
    if (status == 0)
        status = check_length(command, "negative", plan->negative, JINI_PROMPT_MAX - 1);
    if (status == 0 && model)
        memcpy(parameters->model, model, strlen(model) + 1);
    return status;
}

static int list_files(struct command *command, struct file_list *files)
{
    enum file_depth depth = args_has(&command->args, "recursive") ? FILE_RECURSIVE : FILE_FLAT;
    for (size_t i = 1; i < command->args.positional_count; i++) {
        int status = file_list_add(files, command_argument(command, i), depth, &command->error);
        if (status)
            return status;
    }
    return 0;
}

/* More at once than the user may run would only be refused. */
static int choose_window(struct command *command, const struct jini_user *user,
                         struct put_plan *plan)
{
    struct jini_tier tier;
    struct jini_allowance allowance;
    plan->window = (unsigned)args_number(&command->args, "parallel", WINDOW_DEFAULT);
    if (!plan->admits)
        return 0;
    int status = jini_tier_get(command->jini, user->tier, &tier, &command->error);
    if (status)
        return status;
    object_merge_allowance(user, &tier, &allowance);
    if (allowance.parallel_max && allowance.parallel_max < plan->window)
        plan->window = allowance.parallel_max;
    return 0;
}

/*
 * A job of this command is done at once, so that its lease only says for how long kill -9 holds up
 * the user: not for as long as a worker's, unless somebody has said so.
 */
static uint32_t choose_lease_ms(struct command *command)
{
    bool is_given = strcmp(command_option_source(command, "admission.lease_ms"), "default") != 0;
    uint64_t patient_ms = 2 * command->options.request_timeout_ms;
    return is_given ? 0 : (uint32_t)(patient_ms > LEASE_MS ? patient_ms : LEASE_MS);
}

static int put_files(struct command *command, struct put_plan *plan)
{
    struct putting putting = {.command = command, .file_count = plan->files->count};
    struct jini_error error;
    plan->report = on_outcome;
    plan->tick = on_tick;
    plan->context = &putting;
    progress_begin("putting", "files");
    progress_set(0, putting.file_count, 0);
    int status = put_window_run(plan, &error);
    uint64_t ended = putting.stored + putting.not_stored;
    progress_set(ended, putting.file_count, putting.stored_bytes);
    progress_end();
    int result = conclude(&putting, status, &error);
    for (size_t i = 0; i < putting.reason_count; i++)
        free(putting.reasons[i].first_path);
    return result;
}

int verb_put(struct command *command)
{
    struct jini_user user;
    struct file_list files = {0};
    struct put_plan plan = {.files = &files, .admits = !args_has(&command->args, "no-limits")};
    int status = take_parameters(command, &plan);
    if (status == 0)
        status = list_files(command, &files);
    if (status == 0 && files.count == 0)
        status = command_fail(
            command, JINI_E_NOT_FOUND, "FILE|DIR", "there is no file in what was named%s",
            args_has(&command->args, "recursive") ? "" : "; --recursive goes down into folders");
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = command_find_user(command, command_argument(command, 0), &user);
    if (status == 0) {
        plan.jini = command->jini;
        plan.user_id = user.id;
        plan.image_bytes_max = command->options.image_bytes_max;
        plan.lease_ms = choose_lease_ms(command);
        status = choose_window(command, &user, &plan);
    }
    if (status == 0)
        status = put_files(command, &plan);
    file_list_free(&files);
    return status;
}
