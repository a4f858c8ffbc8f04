/* The archive of an engine; the rules stand in archives.h. */
#include "engine/archives.h"

#include "base/alloc.h"
#include "base/error.h"
#include "engine/engine_private.h"
#include "images/index.h"

#include <jini/archive.h>
#include <stdio.h>

enum {
    SLOWEST_BYTES_PER_MS = 256,
    OTHER_REQUESTS_MAX = 64 /* that wait for it at once beside reads: tiering, verify */
};

/* A request under way. On the stack of the thread that waits for it. */
struct archive_call {
    struct archive_call *next;
    struct archive_handle *handle;
    struct archive_request *request;
    struct jini_request *asker; /* may be NULL */
};

void archives_init(struct archives *archives)
{
    *archives = (struct archives){0};
    pthread_mutex_init(&archives->opening, NULL);
    pthread_mutex_init(&archives->lock, NULL);
}

/* A callback of the archive may be the last who releases it, until it is closed. */
static void close_handle(struct archive_handle *handle)
{
    archive_close(handle->archive);
    JINI_ASSERT(handle->users == 0);
    base_free(handle);
}

void archives_destroy(struct archives *archives)
{
    JINI_ASSERT(!archives->calls);
    if (archives->handle)
        close_handle(archives->handle);
    while (archives->let_go) {
        struct archive_handle *handle = archives->let_go;
        archives->let_go = handle->next;
        close_handle(handle);
    }
    pthread_mutex_destroy(&archives->lock);
    pthread_mutex_destroy(&archives->opening);
}

/* ---- Opening ---- */

/* The path of a directory, also of that behind "fault:...:dir:"; NULL: the URL names none. */
static const char *path_in(const char *url)
{
    static const char scheme[] = ":dir:";
    const char *path =
        strncmp(url, scheme + 1, strlen(scheme + 1)) == 0 ? url + strlen(scheme + 1) : NULL;
    for (const char *inner = strstr(url, scheme); inner; inner = strstr(inner + 1, scheme))
        path = inner + strlen(scheme);
    return path;
}

/*
 * "dir:archive" means a directory beside the database's own files, wherever the process was
 * started; also as the inner archive of "fault:...:dir:archive".
 */
static int resolve_url(const struct jini *jini, char *out, size_t capacity,
                       struct jini_error *error)
{
    const char *url = jini->options.archive_url;
    const char *path = path_in(url);
    int length;
    if (path && path[0] != '/')
        length =
            snprintf(out, capacity, "%.*s%s/%s", (int)(path - url), url, jini->directory, path);
    else
        length = snprintf(out, capacity, "%s", url);
    if (length < 0 || (size_t)length >= capacity)
        return error_set(error, JINI_E_INVALID, "archive.url", "the path is too long");
    return 0;
}

int archives_directory(const struct jini *jini, char out[ARCHIVE_URL_MAX], struct jini_error *error)
{
    char url[ARCHIVE_URL_MAX];
    int status = resolve_url(jini, url, sizeof(url), error);
    const char *path = status == 0 ? path_in(url) : NULL;
    snprintf(out, ARCHIVE_URL_MAX, "%s", path ? path : "");
    return status;
}

int archives_check_option(const struct jini *jini, struct jini_error *error)
{
    struct jini_error said;
    int status = archive_check_url(jini->options.archive_url, &said);
    return status ? error_set(error, status, "archive.url", "%s", said.message) : 0;
}

enum { FOUND_OBJECT = 1 };

static int find_object(void *context, const struct index_pack *pack)
{
    (void)context;
    bool archived = pack->state == INDEX_PACK_ARCHIVED || pack->state == INDEX_PACK_COLD;
    return archived ? FOUND_OBJECT : 0;
}

static int open_archive_as(struct jini *jini, enum archive_mode mode, struct archive **out,
                           struct jini_error *error)
{
    char url[ARCHIVE_URL_MAX];
    struct archive_options options;
    archive_options_init(&options);
    options.clock = jini->clock;
    options.queue_max = (uint32_t)jini->options.archive_reads_max + OTHER_REQUESTS_MAX;
    options.mode = mode;
    int status = resolve_url(jini, url, sizeof(url), error);
    return status ? status : archive_open(url, &options, out, error);
}

/*
 * An archive is made for the first object only. Later an empty place is a disk that is not mounted,
 * or a wrong URL, and must not be taken for the archive, unless jini_archive_init() is asked for.
 */
static int open_archive(struct jini *jini, struct archive **out, struct jini_error *error)
{
    int found = index_pack_each(jini->store, find_object, NULL);
    if (found < 0)
        return error_set(error, found, "archive", "%s", jini_status_text(found));
    bool in_use = found == FOUND_OBJECT;
    return open_archive_as(
        jini, jini->options.read_only || in_use ? ARCHIVE_OPEN_EXISTING : ARCHIVE_CREATE, out,
        error);
}

static int open_handle(struct jini *jini, struct archive_handle **out, struct jini_error *error)
{
    struct archive_handle *handle = base_calloc(1, sizeof(*handle));
    if (!handle)
        return error_set(error, JINI_E_NO_MEMORY, "archive", "out of memory");
    handle->archives = &jini->archives;
    int status = open_archive(jini, &handle->archive, error);
    if (status)
        base_free(handle);
    else
        *out = handle;
    return status;
}

struct archive_handle *archives_find(struct jini *jini)
{
    struct archives *archives = &jini->archives;
    pthread_mutex_lock(&archives->lock);
    struct archive_handle *handle = archives->handle;
    if (handle)
        handle->users++;
    pthread_mutex_unlock(&archives->lock);
    return handle;
}

/* Closes what was let go of and has no users any more. */
static void reap(struct archives *archives)
{
    struct archive_handle *idle = NULL;
    pthread_mutex_lock(&archives->lock);
    for (struct archive_handle **link = &archives->let_go; *link;) {
        struct archive_handle *handle = *link;
        if (handle->users > 0) {
            link = &handle->next;
            continue;
        }
        *link = handle->next;
        handle->next = idle;
        idle = handle;
    }
    pthread_mutex_unlock(&archives->lock);
    while (idle) {
        struct archive_handle *handle = idle;
        idle = handle->next;
        close_handle(handle);
    }
}

/*
 * Opening may take its time: it holds up those who need the archive, and neither cancelling nor
 * closing.
 */
static int acquire(struct jini *jini, struct archive_handle **out, struct jini_error *error)
{
    struct archives *archives = &jini->archives;
    int status = 0;
    *out = archives_find(jini);
    if (*out)
        return 0;
    pthread_mutex_lock(&archives->opening);
    *out = archives_find(jini); /* another thread was faster */
    if (!*out) {
        reap(archives);
        status = open_handle(jini, out, error);
        if (status == 0) {
            pthread_mutex_lock(&archives->lock);
            (*out)->users = 1;
            archives->handle = *out;
            pthread_mutex_unlock(&archives->lock);
        }
    }
    pthread_mutex_unlock(&archives->opening);
    return status;
}

/* The next who needs the archive opens it anew. */
static void let_go(struct archive_handle *handle)
{
    struct archives *archives = handle->archives;
    pthread_mutex_lock(&archives->lock);
    if (archives->handle == handle) {
        archives->handle = NULL;
        handle->next = archives->let_go;
        archives->let_go = handle;
    }
    pthread_mutex_unlock(&archives->lock);
}

static int create(struct jini *jini, struct jini_error *error)
{
    struct archives *archives = &jini->archives;
    struct archive *archive = NULL;
    pthread_mutex_lock(&archives->opening);
    int status = open_archive_as(jini, ARCHIVE_CREATE_NEW, &archive, error);
    archive_close(archive);
    struct archive_handle *old = status == 0 ? archives_find(jini) : NULL;
    if (old) { /* of the one that is gone */
        let_go(old);
        archives_release(old);
    }
    pthread_mutex_unlock(&archives->opening);
    return status;
}

int jini_archive_init(struct jini *jini, struct jini_error *error)
{
    error_clear(error);
    int status = engine_check(jini);
    if (status)
        return error_set(error, status, "archive", "%s", jini_status_text(status));
    if (jini->options.read_only)
        return explain_read_only(error);
    if (loop_thread_must_not_block(jini))
        return error_set(error, JINI_E_ON_LOOP, "archive",
                         "this waits for the archive; call it on a thread that runs no loop");
    status = create(jini, error);
    return status ? status : jini_archive_adopt(jini, error);
}

/* What would mean something else of an object, or of the engine. */
static int of_the_archive(struct jini_error *error)
{
    error->code = JINI_E_ARCHIVE;
    return JINI_E_ARCHIVE;
}

int archives_answer(struct archive_handle *handle, int status, struct jini_error *error)
{
    if (status != JINI_E_POISONED)
        return status;
    let_go(handle);
    return of_the_archive(error);
}

int archives_acquire(struct jini *jini, struct archive_handle **out, struct jini_error *error)
{
    int status = acquire(jini, out, error);
    bool of_an_object =
        status == JINI_E_NOT_FOUND || status == JINI_E_IO || status_is_damage(status);
    return of_an_object ? of_the_archive(error) : status;
}

void archives_release(struct archive_handle *handle)
{
    struct archives *archives = handle->archives;
    pthread_mutex_lock(&archives->lock);
    JINI_ASSERT(handle->users > 0);
    handle->users--;
    pthread_mutex_unlock(&archives->lock);
}

int archives_open(struct jini *jini, struct jini_error *error)
{
    struct archive_handle *handle;
    int status = archives_acquire(jini, &handle, error);
    if (status == 0)
        archives_release(handle);
    return status;
}

/* ---- Requests ---- */

uint64_t archives_deadline(const struct jini *jini, uint64_t bytes)
{
    return background_deadline(jini) + bytes / SLOWEST_BYTES_PER_MS * NS_PER_MS;
}

/*
 * Under the lock, so that who cancels finds either the call, or the flag that keeps it from
 * beginning.
 */
static int begin(struct archives *archives, struct archive_call *call)
{
    struct archive_request *request = call->request;
    if (archives->stopped)
        return error_set(&request->error, JINI_E_CANCELLED, "archive",
                         "the engine is being closed");
    if (call->asker && atomic_load(&request_state(call->asker)->cancelled))
        return error_set(&request->error, JINI_E_CANCELLED, "archive", "the request was cancelled");
    int status = archive_submit(call->handle->archive, request);
    if (status)
        return status;
    call->next = archives->calls;
    archives->calls = call;
    return 0;
}

static void end(struct archives *archives, const struct archive_call *call)
{
    pthread_mutex_lock(&archives->lock);
    struct archive_call **link = &archives->calls;
    while (*link != call)
        link = &(*link)->next;
    *link = call->next;
    pthread_mutex_unlock(&archives->lock);
}

int archives_run(struct jini *jini, struct jini_request *asker, struct archive_request *request,
                 struct jini_error *error)
{
    struct archives *archives = &jini->archives;
    struct archive_call call = {.request = request, .asker = asker};
    JINI_ASSERT(request->deadline_ns > 0 && !request->done);
    error_clear(error);
    int status = archives_acquire(jini, &call.handle, error);
    if (status)
        return status;
    pthread_mutex_lock(&archives->lock);
    status = begin(archives, &call);
    pthread_mutex_unlock(&archives->lock);
    if (status == 0) {
        status = archive_wait(call.handle->archive, request);
        end(archives, &call);
    }
    if (status)
        *error = request->error;
    status = archives_answer(call.handle, status, error);
    archives_release(call.handle);
    return status;
}

int archives_walk(struct jini *jini, struct jini_request *asker, struct slice prefix,
                  archive_entry_fn *entry, void *user, struct jini_error *error)
{
    struct archive_name cursor = {.length = 0};
    struct archive_request request = {
        .operation = ARCHIVE_LIST,
        .name = prefix,
        .user = user,
        .list = {.entry = entry, .entries_max = ARCHIVE_PAGE_MAX, .cursor = &cursor}};
    int status;
    do {
        request.deadline_ns = archives_deadline(jini, 0);
        status = archives_run(jini, asker, &request, error);
    } while (status == 0 && request.more);
    return status;
}

/* ---- Ending ---- */

/* Under the lock: a call leaves the list before its request goes. */
static void cancel_calls(struct archives *archives, const struct jini_request *asker)
{
    for (struct archive_call *call = archives->calls; call; call = call->next) {
        if (!asker || call->asker == asker)
            archive_cancel(call->handle->archive, call->request);
    }
}

void archives_cancel(struct jini *jini, const struct jini_request *asker)
{
    pthread_mutex_lock(&jini->archives.lock);
    cancel_calls(&jini->archives, asker);
    pthread_mutex_unlock(&jini->archives.lock);
}

void archives_stop(struct jini *jini)
{
    struct archives *archives = &jini->archives;
    pthread_mutex_lock(&archives->lock);
    archives->stopped = true;
    cancel_calls(archives, NULL);
    pthread_mutex_unlock(&archives->lock);
}
