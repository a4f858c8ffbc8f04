/*
 * jini backup: the whole database to a directory, or the records alone to a file.
 *
 * For a file a thread copies, which takes as long as the disk does; the main thread tells how far
 * the file has grown that will get the name once it is whole.
 */
#include "command.h"
#include "figures.h"
#include "file.h"
#include "interrupt.h"
#include "layout.h"
#include "problem.h"
#include "progress.h"
#include "words.h"

#include <inttypes.h>
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

static int back_up_records(struct command *command, const char *path)
{
    char size[WORDS_NUMBER_MAX];
    int status = copy_to(command, path);
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

/* ---- The whole ---- */

/* On a thread of the engine. */
static void on_progress(void *context, const char *phase, uint64_t done, uint64_t total)
{
    (void)context;
    progress_phase(phase);
    progress_set(done, total, 0);
}

static void print_backup(const struct jini_backup *backup)
{
    char copied[WORDS_NUMBER_MAX];
    char records[WORDS_NUMBER_MAX];
    if (output_is_json()) {
        json_t *object = json_pack(
            "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "type", "total", "packs",
            layout_number(backup->packs), "objects", layout_number(backup->objects), "record_bytes",
            layout_number(backup->record_bytes), "files_copied",
            layout_number(backup->files_copied), "bytes_copied",
            layout_number(backup->bytes_copied), "files_kept", layout_number(backup->files_kept),
            "files_removed", layout_number(backup->files_removed), "problems",
            layout_number(backup->problems));
        if (object)
            layout_set_path(object, "directory", backup->path);
        output_json(object);
        return;
    }
    words_bytes(backup->bytes_copied, copied);
    words_bytes(backup->record_bytes, records);
    output_info("backup    %s", backup->path);
    output_info("holds     %" PRIu64 " packs, %" PRIu64 " objects of the archive, %s of records",
                backup->packs, backup->objects, records);
    output_info("copied    %" PRIu64 " of these, %s", backup->files_copied, copied);
    output_info("kept      %" PRIu64 " of the backup before", backup->files_kept);
    if (backup->files_removed)
        output_info("removed   %" PRIu64 " of the backup before", backup->files_removed);
    if (backup->problems)
        output_line("problems  %" PRIu64 "; what they are about is damaged, missing or not to be "
                    "read in the database",
                    backup->problems);
}

static int back_up_all(struct command *command, const char *path)
{
    struct jini_backup backup;
    jini_request_init(&backup);
    backup.path = path;
    backup.flags = args_has(&command->args, "deep") ? JINI_BACKUP_DEEP : 0;
    backup.report = problem_print;
    backup.progress = on_progress;
    int status = file_check_target(path, &command->error);
    if (status)
        return status;
    progress_begin("copying", NULL);
    wait_on_tick(progress_tick);
    status = command_wait(command, &backup.request, jini_backup(command->jini, &backup, wait_done));
    wait_on_tick(NULL);
    progress_end();
    if (status == 0 || backup.problems)
        print_backup(&backup);
    return status;
}

/* ---- The verb ---- */

/* What is there tells; of a name that is not, its end. */
static bool is_file(const char *path)
{
    static const char end[] = ".mdb";
    struct stat info;
    size_t length = strlen(path);
    if (lstat(path, &info) == 0 && !S_ISLNK(info.st_mode))
        return !S_ISDIR(info.st_mode);
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return false;
    return length >= sizeof(end) && strcmp(path + length - (sizeof(end) - 1), end) == 0;
}

static int check_option(struct command *command, const char *option, bool fits, const char *words)
{
    if (fits || !args_has(&command->args, option))
        return 0;
    return command_fail(command, JINI_E_INVALID, option, "%s", words);
}

int verb_backup(struct command *command)
{
    const char *path = command_argument(command, 0);
    bool file = is_file(path);
    int status =
        check_option(command, "plain", file, "\"--plain\" is of a copy of the records, to a FILE");
    if (status == 0)
        status =
            check_option(command, "deep", !file, "\"--deep\" is of a whole backup, to a directory");
    if (status == 0)
        status = command_open(command);
    if (status)
        return status;
    return file ? back_up_records(command, path) : back_up_all(command, path);
}
