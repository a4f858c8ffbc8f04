/*
 * The `jini` command.
 *
 *   descriptors, locale, signals -> command line -> the verb -> close -> output -> exit status
 *
 * The exit status is 0, that of the status table (jini help --man lists it), 1 when a check found
 * problems, 128 and the signal's number after a signal, 141 when the reader of standard output went
 * away.
 */
#include "command.h"
#include "guard.h"
#include "help.h"
#include "holder.h"
#include "interrupt.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *directory_of(const struct args *args)
{
    const char *given = args_text(args, "db");
    const char *environment = getenv("JINI_DB");
    if (given)
        return given;
    return environment && environment[0] != '\0' ? environment : "./data";
}

static int print_version(void)
{
    if (output_is_json())
        output_json(json_pack("{s:s}", "version", jini_version()));
    else
        output_line("jini %s", jini_version());
    return 0;
}

static int run(struct command *command)
{
    const struct args *args = &command->args;
    if (args_has(args, "version"))
        return print_version();
    if (args_has(args, "help")) {
        if (args->verb)
            help_verb(args->verb);
        else if (args->group)
            help_group(args->group);
        else
            help_all();
        return 0;
    }
    if (!args->verb)
        return command_fail(command, JINI_E_INVALID, "verb",
                            "a verb is needed; \"jini help\" lists them");
    if (wait_begin())
        return command_fail(command, JINI_E_IO, "descriptor", "no descriptor could be opened");
    return args->verb->run(command);
}

/* Ends what the verb left open, and finds the exit status. */
static int finish(struct command *command, int status)
{
    bool closed_pipe;
    int signal_number = interrupt_signal();
    if (status)
        command_name_options(command);
    command->stuck = status == JINI_E_TIMEOUT && holder_explain(command);
    if (status == 0 && output_is_broken())
        status = JINI_E_IO; /* said below */
    else if (status && !signal_number && !output_is_broken())
        output_error(&command->error);
    int closed = command->stuck ? 0 : jini_close(command->jini, NULL, NULL);
    int ended = output_end(&closed_pipe, &command->error);
    if (signal_number) {
        command_fail(command, JINI_E_CANCELLED, "signal", "ended by the signal SIG%s",
                     sigabbrev_np(signal_number));
        output_error(&command->error);
        return 128 + signal_number;
    }
    if (closed_pipe)
        return 128 + SIGPIPE;
    if (ended) {
        output_error(&command->error);
        return jini_status_exit_code(ended);
    }
    if (closed) {
        command_fail(command, closed, "db", "%s", jini_status_text(closed));
        output_error(&command->error);
        status = status ? status : closed;
    }
    return command->exit_code ? command->exit_code : jini_status_exit_code(status);
}

int main(int count, char **values)
{
    static struct command command;
    output_guard_descriptors();
    setlocale(LC_CTYPE, "C.UTF-8");
    interrupt_install();
    output_begin(&(struct output_settings){.json = args_wants_json(count, values)});
    int status = args_parse(count, values, &command.args, &command.error);
    if (status == 0) {
        output_begin(&(struct output_settings){
            .json = args_has(&command.args, "json"),
            .quiet = args_has(&command.args, "quiet"),
            .verbose = args_has(&command.args, "verbose"),
        });
        command.directory = directory_of(&command.args);
        guard_begin(command.directory);
        status = run(&command);
    }
    int code = finish(&command, status);
    /*
     * Threads of the engine still wait. What was acknowledged is durable; the rest is recovered as
     * after a crash.
     */
    if (command.stuck)
        _exit(code);
    return code;
}
