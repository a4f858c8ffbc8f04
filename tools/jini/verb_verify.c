/* jini verify: everything against everything. */
#include "layout.h"
#include "progress.h"
#include "verb.h"
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Both callbacks run on threads of the engine. */
static void on_problem(void *context, const struct jini_verify_problem *problem)
{
    (void)context;
    if (output_is_json()) {
        output_json(json_pack(
            "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "type", "problem", "kind", problem->kind,
            "field", problem->field, "user_id", layout_number(problem->user_id), "job_id",
            layout_id(&problem->job_id), "image_id", layout_id(&problem->image_id), "pack_id",
            layout_id(&problem->pack_id), "message", layout_text(problem->message)));
    } else {
        static const struct jini_id none;
        char user[32] = "";
        char job[JINI_ID_TEXT_MAX] = "";
        char image[JINI_ID_TEXT_MAX] = "";
        char pack[JINI_ID_TEXT_MAX] = "";
        if (problem->user_id)
            snprintf(user, sizeof(user), ", user %" PRIu64, problem->user_id);
        if (jini_id_compare(&problem->job_id, &none) != 0)
            jini_id_format(&problem->job_id, job);
        if (jini_id_compare(&problem->image_id, &none) != 0)
            jini_id_format(&problem->image_id, image);
        if (jini_id_compare(&problem->pack_id, &none) != 0)
            jini_id_format(&problem->pack_id, pack);
        output_line("problem: %s%s%s%s%s%s%s%s: %s", problem->kind, user,
                    job[0] != '\0' ? ", job " : "", job, image[0] != '\0' ? ", image " : "", image,
                    pack[0] != '\0' ? ", pack " : "", pack, problem->message);
    }
    output_flush();
}

static void on_progress(void *context, const char *phase, uint64_t done, uint64_t total)
{
    (void)context;
    progress_phase(phase);
    progress_set(done, total, 0);
}

static void print_total(const struct jini_verify *verify, bool deep)
{
    char read[WORDS_NUMBER_MAX];
    if (output_is_json()) {
        output_json(json_pack(
            "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "type", "total", "users",
            layout_number(verify->users), "jobs", layout_number(verify->jobs), "images",
            layout_number(verify->images), "packs", layout_number(verify->packs), "objects",
            layout_number(verify->objects), "bytes_read", layout_number(verify->bytes_read),
            "problems", layout_number(verify->problems), "deep", deep));
        return;
    }
    words_bytes(verify->bytes_read, read);
    output_info("checked %" PRIu64 " users, %" PRIu64 " jobs, %" PRIu64 " images, %" PRIu64
                " packs, %" PRIu64 " objects in the archive; %s read%s",
                verify->users, verify->jobs, verify->images, verify->packs, verify->objects, read,
                deep ? "" : ", --deep reads every byte");
    if (verify->problems)
        output_line("%" PRIu64 " problem%s", verify->problems, verify->problems == 1 ? "" : "s");
    else
        output_line("clean");
}

int verb_verify(struct command *command)
{
    struct jini_verify verify;
    bool deep = args_has(&command->args, "deep");
    jini_request_init(&verify);
    verify.flags = deep ? JINI_VERIFY_DEEP : 0;
    verify.report = on_problem;
    verify.progress = on_progress;
    int status = command_open(command);
    if (status)
        return status;
    progress_begin("verifying", "checked");
    wait_on_tick(progress_tick);
    status = command_wait(command, &verify.request, jini_verify(command->jini, &verify, wait_done));
    wait_on_tick(NULL);
    progress_end();
    if (status)
        return status;
    print_total(&verify, deep);
    if (verify.problems)
        command->exit_code = EXIT_PROBLEMS;
    return 0;
}
