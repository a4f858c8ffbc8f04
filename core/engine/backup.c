/* The request for a backup: who may make it, and in which order. */
#include "engine/backup_private.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdio.h>

enum { LOCK_POLL_MS = 20, LEASE_NAME_MAX = 64 };

bool backup_cancelled(const struct backup *backup)
{
    return atomic_load(&request_state(&backup->request->request)->cancelled) ||
           atomic_load(&backup->jini->state) != ENGINE_OPEN;
}

void backup_progress(struct backup *backup, uint64_t bytes)
{
    backup->done += bytes;
    if (backup->request->progress)
        backup->request->progress(backup->request->context, backup->phase, backup->done,
                                  backup->total);
}

/* Damage is what the whole answers, where there is any; else that something could not be read. */
void backup_problem(struct backup *backup, const struct jini_verify_problem *problem, int status)
{
    struct jini_backup *request = backup->request;
    struct jini_error *first = &backup->first_error;
    char id[JINI_ID_TEXT_MAX];
    jini_id_format(&problem->pack_id, id);
    log_record(&backup->jini->log, JINI_LOG_WARNING, problem->kind, LOG_TEXT("pack", id),
               LOG_TEXT("status", jini_status_name(status)), LOG_TEXT("message", problem->message));
    if (request->problems++ == 0 || (first->code == JINI_E_IO && status != JINI_E_IO))
        error_set(first, status == JINI_E_IO ? status : JINI_E_CORRUPT, problem->field, "%s",
                  problem->message);
    if (request->report)
        request->report(request->context, problem);
}

/* ---- Leases ---- */

static int explain_lease(struct backup *backup, int status, struct jini_error *error)
{
    if (status == JINI_E_LOCKED)
        return error_set(error, status, "tiering",
                         "a run of tiering is at it, or another backup; try again later");
    if (status == JINI_E_CONFLICT)
        return error_set(error, status, "background.lease_ms",
                         "it was held up for longer than %llu ms, and tiering went on meanwhile: "
                         "the backup is as it was before; make it again",
                         (unsigned long long)backup->jini->options.background_lease_ms);
    if (status == JINI_E_TIMEOUT)
        explain_write(backup->jini, status,
                      request_timeout_ms(backup->jini, &backup->request->request), error);
    return error_complete(error, status, "tiering", "the lease of tiering");
}

/* A regular run of tiering is short: worth waiting for, up to the request's deadline. */
static int hold_tiering(struct backup *backup, struct jini_error *error)
{
    struct jini *jini = backup->jini;
    const struct timespec pause = {.tv_nsec = LOCK_POLL_MS * 1000000L};
    uint64_t deadline_ns = request_state(&backup->request->request)->deadline_ns;
    for (;;) {
        if (backup_cancelled(backup))
            return JINI_E_CANCELLED;
        int status = lease_hold(jini, LEASE_OF_TIERING, deadline_ns, &backup->lease);
        if (status == 0)
            return 0;
        if (status != JINI_E_LOCKED || clock_boot_ns(jini->clock) > deadline_ns)
            return explain_lease(backup, status, error);
        nanosleep(&pause, NULL);
    }
}

static void name_of(const struct jini_id *id, char out[LEASE_NAME_MAX])
{
    char text[JINI_ID_TEXT_MAX];
    jini_id_format(id, text);
    snprintf(out, LEASE_NAME_MAX, "backup %s", text);
}

int backup_epoch(struct backup *backup, uint64_t *out, struct jini_error *error)
{
    char name[LEASE_NAME_MAX];
    name_of(&backup->marker.id, name);
    int status = lease_epoch(backup->jini, name, out);
    return status ? error_complete(error, status, "backup", "the row of the backup") : 0;
}

/*
 * Counts this backup, in the records that it is about to copy: a database that was put back to an
 * earlier state does not know the later backups.
 */
static int count_backup(struct backup *backup, struct jini_error *error)
{
    char name[LEASE_NAME_MAX];
    struct lease lease;
    name_of(&backup->marker.id, name);
    int status = lease_take(backup->jini, name,
                            request_state(&backup->request->request)->deadline_ns, &lease);
    if (status)
        return explain_lease(backup, status, error);
    lease_give(&lease);
    backup->epoch = lease.epoch;
    return 0;
}

/* ---- The records ---- */

static void on_finding(void *context, const struct jini_verify_problem *problem)
{
    backup_problem(context, problem, JINI_E_CORRUPT);
}

static void on_rows(void *context, const char *space, uint64_t done, uint64_t total)
{
    struct backup *backup = context;
    (void)space;
    if (backup->request->progress)
        backup->request->progress(backup->request->context, "check", done, total);
}

static int check_rows(struct backup *backup, struct jini_error *error)
{
    struct jini_verify verify = {.report = on_finding, .progress = on_rows, .context = backup};
    int status = verify_copy(backup->jini, backup->records, &backup->request->request, &verify);
    if (status == 0 || status == JINI_E_CANCELLED)
        return status;
    *error = verify.request.error;
    return error_complete(error, status, "backup", "the check of the records");
}

/* ---- The whole ---- */

static int copy_all(struct backup *backup, struct jini_error *error)
{
    int status = count_backup(backup, error);
    if (status == 0)
        status = backup_place_stage(backup, error);
    if (status == 0)
        status = check_rows(backup, error);
    if (status)
        return status;
    status = backup_files_copy(backup, error);
    if (status == 0)
        status = lease_look(&backup->lease);
    return status == JINI_E_CONFLICT ? explain_lease(backup, status, error) : status;
}

static int back_up(struct backup *backup, struct jini_error *error)
{
    int status = backup_place_open(backup, error);
    if (status == 0)
        status = hold_tiering(backup, error);
    if (status)
        return status;
    status = copy_all(backup, error);
    lease_let_go(&backup->lease);
    if (status == 0)
        status = backup_place_publish(backup, error);
    if (status == 0 && backup->request->problems == 0)
        status = backup_prune(backup, error);
    return status;
}

static int run(struct backup *backup, struct jini_error *error)
{
    backup->piece = base_malloc(BACKUP_PIECE_BYTES);
    backup->hash = hash_stream_new();
    int status = backup->piece && backup->hash
                     ? back_up(backup, error)
                     : error_set(error, JINI_E_NO_MEMORY, "backup", "out of memory");
    backup_place_close(backup);
    hash_stream_free(backup->hash);
    base_free(backup->piece);
    if (status || backup->request->problems == 0)
        return status;
    *error = backup->first_error;
    return error->code;
}

static void run_backup(struct worker_task *task, int status)
{
    struct jini_request *request = request_of_task(task);
    struct backup *backup = status == 0 ? base_calloc(1, sizeof(*backup)) : NULL;
    if (status == 0 && !backup)
        status = JINI_E_NO_MEMORY;
    if (status == 0) {
        backup->jini = request_state(request)->jini;
        backup->request = (struct jini_backup *)request;
        backup->directory.descriptor = -1;
        status = run(backup, &request->error);
    }
    base_free(backup);
    request_finish(request, status);
}

static int check(const struct jini_backup *backup, struct jini_error *error)
{
    int status = check_flags(backup->flags, JINI_BACKUP_DEEP, error);
    if (status)
        return status;
    if (!backup->path || backup->path[0] == '\0' || strlen(backup->path) >= BACKUP_PATH_MAX)
        return error_set(error, JINI_E_INVALID, "path", "a directory of 1 to %d bytes is needed",
                         BACKUP_PATH_MAX - 1);
    return 0;
}

int jini_backup(struct jini *jini, struct jini_backup *backup, jini_callback *callback)
{
    int status = request_begin(jini, &backup->request, sizeof(*backup), REQUEST_BACKUP, callback);
    if (status)
        return status;
    backup->record_bytes = backup->packs = backup->objects = 0;
    backup->files_copied = backup->bytes_copied = 0;
    backup->files_kept = backup->files_removed = backup->problems = 0;
    status = check(backup, &backup->request.error);
    if (status == 0 && jini->options.read_only)
        status = explain_read_only(&backup->request.error);
    if (status == 0)
        status = request_run_on(jini->copier, &backup->request, run_backup);
    if (status)
        return request_refuse(&backup->request, status);
    return callback ? 0 : request_wait(&backup->request);
}
