/* jini verify: everything against everything. */
#include "layout.h"
#include "problem.h"
#include "progress.h"
#include "verb.h"
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* On a thread of the engine. */
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
            "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "type", "total", "users",
            layout_number(verify->users), "jobs", layout_number(verify->jobs), "images",
            layout_number(verify->images), "packs", layout_number(verify->packs), "objects",
            layout_number(verify->objects), "bytes_read", layout_number(verify->bytes_read),
            "problems", layout_number(verify->problems), "packs_unknown",
            layout_number(verify->packs_unknown), "objects_unknown",
            layout_number(verify->objects_unknown), "deep", deep));
        return;
    }
    words_bytes(verify->bytes_read, read);
    output_info("checked %" PRIu64 " users, %" PRIu64 " jobs, %" PRIu64 " images, %" PRIu64
                " packs, %" PRIu64 " objects in the archive; %s read%s",
                verify->users, verify->jobs, verify->images, verify->packs, verify->objects, read,
                deep ? "" : ", --deep reads every byte");
    if (verify->packs_unknown)
        output_info("%" PRIu64 " pack files that the index does not know, in packs/lost or soon "
                    "there: a crash leaves some, and so does a lost data.mdb",
                    verify->packs_unknown);
    if (verify->objects_unknown)
        output_info("%" PRIu64 " objects of the archive that the database has never named: of "
                    "another one that shares it, or of one whose data.mdb was lost",
                    verify->objects_unknown);
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
    verify.report = problem_print;
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
