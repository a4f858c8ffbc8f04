/*
 * jini backup: a copy of the records, made under another name beside it, so that what has the name
 * that was asked for is whole. A thread copies, which takes as long as the disk does; the main thread
 * tells how far the file has grown.
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
    int status;
    struct jini_error error;
    struct jini_request ended; /* for wait_done(); never submitted */
};

static void *copy_main(void *argument)
{
    struct copying *copying = argument;
    copying->status = jini_copy(copying->jini, copying->path, &copying->error);
    wait_done(&copying->ended);
    return NULL;
}

static uint64_t size_of(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
}

/* What the copy will take: the file without the pages in it that are free. 0: not known. */
static uint64_t expected_bytes(struct command *command)
{
    char *metrics;
    if (figures_read(command, FIGURES_QUICK, &metrics) != 0)
        return 0;
    uint64_t used = figures_value(metrics, "jini_store_used_bytes");
    uint64_t unused =
        figures_value(metrics, "jini_store_free_pages") * (uint64_t)sysconf(_SC_PAGESIZE);
    free(metrics);
    return unused < used ? used - unused : 0;
}

static int copy_and_tell(struct command *command, const char *path)
{
    pthread_t thread;
    struct copying copying = {.jini = command->jini, .path = path};
    uint64_t expected = progress_is_wanted() ? expected_bytes(command) : 0;
    if (pthread_create(&thread, NULL, copy_main, &copying) != 0)
        return command_fail(command, JINI_E_NO_MEMORY, "thread", "no thread could be started");
    progress_begin("copying", NULL);
    bool ended;
    do {
        wait_sleep(TICK_MS);
        ended = wait_is_done(&copying.ended);
        progress_set(size_of(path), expected, 0);
        progress_tick();
    } while (!ended);
    pthread_join(thread, NULL);
    progress_end();
    command->error = copying.error;
    return copying.status;
}

static int copy_to(struct command *command, const char *path)
{
    char temporary[4096];
    int length = snprintf(temporary, sizeof(temporary), "%s.%d.partial", path, (int)getpid());
    if (length < 0 || (size_t)length >= sizeof(temporary))
        return command_fail(command, JINI_E_INVALID, "FILE", "the path is too long");
    int status = file_check_target(path, &command->error);
    if (status)
        return status;
    if (access(path, F_OK) == 0)
        return command_fail(command, JINI_E_EXISTS, "FILE", "%.300s is there already", path);
    status = copy_and_tell(command, temporary);
    if (status) {
        snprintf(command->error.field, sizeof(command->error.field), "%s", path);
        return status;
    }
    if (interrupt_signal()) {
        unlink(temporary);
        return command_fail(command, JINI_E_CANCELLED, "FILE", "interrupted");
    }
    return file_give_name(temporary, path, FILE_KEEP, &command->error);
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
