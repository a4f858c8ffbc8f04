/*
 * jini backup: a copy of the records. A thread copies, which takes as long as the disk does; the
 * main thread tells how far the file has grown that will get the name once it is whole.
 */
#include "command.h"
#include "figures.h"
#include "file.h"
#include "interrupt.h"
#include "layout.h"
#include "progress.h"
#include "words.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TICK_MS = 100 };

struct copying {
    struct jini *jini;
    const char *path;
    enum jini_copy_form form;
    int status;
    struct jini_error error;
    struct jini_request ended; /* for wait_done(); never submitted */
};

static void *copy_main(void *argument)
{
    struct copying *copying = argument;
    copying->status = jini_copy(copying->jini, copying->path, copying->form, &copying->error);
    wait_done(&copying->ended);
    return NULL;
}

static uint64_t size_of(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
}

/* What the copy will take: the file, without its free pages unless it is plain. 0: not known. */
static uint64_t expected_bytes(struct command *command, enum jini_copy_form form)
{
    char *metrics;
    if (figures_read(command, FIGURES_QUICK, &metrics) != 0)
        return 0;
    uint64_t used = figures_value(metrics, "jini_store_used_bytes");
    uint64_t unused =
        figures_value(metrics, "jini_store_free_pages") * (uint64_t)sysconf(_SC_PAGESIZE);
    free(metrics);
    if (form == JINI_COPY_PLAIN)
        return used;
    return unused < used ? used - unused : 0;
}

static int copy_and_tell(struct command *command, const char *path)
{
    pthread_t thread;
    char partial[4096];
    struct copying copying = {.jini = command->jini,
                              .path = path,
                              .form = args_has(&command->args, "plain") ? JINI_COPY_PLAIN
                                                                        : JINI_COPY_COMPACT};
    uint64_t expected = progress_is_wanted() ? expected_bytes(command, copying.form) : 0;
    snprintf(partial, sizeof(partial), "%s.jini-partial", path);
    if (pthread_create(&thread, NULL, copy_main, &copying) != 0)
        return command_fail(command, JINI_E_NO_MEMORY, "thread", "no thread could be started");
    progress_begin("copying", NULL);
    bool ended;
    do {
        wait_sleep(TICK_MS);
        ended = wait_is_done(&copying.ended);
        progress_set(size_of(partial), expected, 0);
        progress_tick();
    } while (!ended);
    pthread_join(thread, NULL);
    progress_end();
    command->error = copying.error;
    return copying.status;
}

static int copy_to(struct command *command, const char *path)
{
    int status = file_check_target(path, &command->error);
    if (status == 0)
        status = copy_and_tell(command, path);
    if (status || !interrupt_signal())
        return status;
    unlink(path);
    return command_fail(command, JINI_E_CANCELLED, "FILE", "interrupted");
}

int verb_backup(struct command *command)
{
    char size[WORDS_NUMBER_MAX];
    const char *path = command_argument(command, 0);
    int status = command_open(command);
    if (status == 0)
        status = copy_to(command, path);
    if (status)
        return status;
    uint64_t bytes = size_of(path);
    words_bytes(bytes, size);
    output_info("copied the records to %s, %s", path, size);
    json_t *object = json_object();
    layout_set_path(object, "file", path);
    json_object_set_new(object, "bytes", layout_number(bytes));
    output_json(object);
    return 0;
}
