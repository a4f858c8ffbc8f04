/* The holder among the processes of the database, and its state in /proc. */
#include "holder.h"

#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool holder_is_stopped(int32_t pid)
{
    char path[64];
    char line[512];
    snprintf(path, sizeof(path), "/proc/%" PRId32 "/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t length = fread(line, 1, sizeof(line) - 1, file);
    fclose(file);
    line[length] = '\0';
    const char *name_end = strrchr(line, ')'); /* proc(5): "pid (name) state" */
    return name_end && (strncmp(name_end, ") T", 3) == 0 || strncmp(name_end, ") t", 3) == 0);
}

/* Another process that writes now; NULL: none. */
static const struct jini_process *find_holder(const struct jini_process *processes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (processes[i].holds_write_lock && processes[i].pid != getpid())
            return &processes[i];
    }
    return NULL;
}

/* What the engine says of the holder is left out: less is known there. */
static void cut_holder(char *message, const struct jini_process *holder)
{
    char named[128];
    snprintf(named, sizeof(named), "process %" PRId32 " (%s) has held the write lock", holder->pid,
             holder->name);
    char *at = strstr(message, named);
    if (at)
        *at = '\0';
}

static bool ends_open(const char *message)
{
    size_t length = strlen(message);
    return length == 0 || message[length - 1] == ' ';
}

bool holder_explain(struct command *command)
{
    struct jini_process processes[JINI_PROCESSES_MAX];
    char span[WORDS_NUMBER_MAX];
    char message[JINI_ERROR_MESSAGE_MAX];
    size_t count = 0;
    struct jini_error *error = &command->error;
    if (!command->jini || jini_processes(command->jini, processes, JINI_PROCESSES_MAX, &count) != 0)
        return false;
    const struct jini_process *holder = find_holder(processes, count);
    snprintf(message, sizeof(message), "%s",
             error->message[0] != '\0' ? error->message : jini_status_text(error->code));
    if (!holder) {
        snprintf(error->message, sizeof(error->message),
                 "%.300s; nobody else holds the write lock now; see \"jini stat\"", message);
        return false;
    }
    words_span_ms(holder->lock_ms, span);
    cut_holder(message, holder);
    snprintf(error->message, sizeof(error->message),
             "%.240s%sprocess %" PRId32 " (%s) has held the write lock for %s%s; see \"jini stat\"",
             message, ends_open(message) ? "" : "; ", holder->pid, holder->name, span,
             holder_is_stopped(holder->pid) ? " and is stopped: continue or kill it" : "");
    return true;
}
