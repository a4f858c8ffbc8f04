/*
 * What all drivers share: opening by URL, checks of requests, the contract of submit, wait, stop
 * and close, statistics.
 *
 * 1. `outstanding` counts the requests between a submit that was taken and the end of their
 *    callback.
 * 2. No request is taken once `stopping` is set, so `outstanding` then only falls, and 0 is
 *    final.
 * 3. A request is SUBMITTED before its driver sees it and FINISHED before its callback, so a
 *    callback may submit it again.
 */
#include "archive/driver.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fork.h"

#include <limits.h>
#include <stdio.h>

enum request_state { REQUEST_IDLE, REQUEST_SUBMITTED, REQUEST_FINISHED };

#define TEMPORARY_AGE_MS_MAX (UINT64_C(30) * 24 * 3600 * 1000)

static const struct archive_driver *const drivers[] = {&archive_dir_driver, &archive_fault_driver};
enum { DRIVERS = sizeof(drivers) / sizeof(drivers[0]) };

/* How many callbacks this thread is inside of. */
static _Thread_local unsigned callback_depth;

void archive_options_init(struct archive_options *options)
{
    *options = (struct archive_options){.clock = &clock_system,
                                        .mode = ARCHIVE_OPEN_EXISTING,
                                        .threads = 2,
                                        .queue_max = 64,
                                        .temporary_age_ms = 10 * 60 * 1000};
}

static int check_options(const struct archive_options *options, struct jini_error *error)
{
    if (!options->clock)
        return error_set(error, JINI_E_INVALID, "clock", "the archive needs a clock");
    if (options->mode != ARCHIVE_OPEN_EXISTING && options->mode != ARCHIVE_CREATE &&
        options->mode != ARCHIVE_CREATE_NEW)
        return error_set(error, JINI_E_INVALID, "mode", "%d is no mode to open an archive in",
                         (int)options->mode);
    if (options->threads < 1 || options->threads > 4)
        return error_set(error, JINI_E_INVALID, "threads", "%u threads; 1 to 4 are allowed",
                         options->threads);
    if (options->queue_max < 1 || options->queue_max > 4096)
        return error_set(error, JINI_E_INVALID, "queue_max", "%u requests; 1 to 4096 are allowed",
                         options->queue_max);
    if (options->temporary_age_ms > TEMPORARY_AGE_MS_MAX)
        return error_set(error, JINI_E_INVALID, "temporary_age_ms",
                         "%llu ms; at most 30 days are allowed",
                         (unsigned long long)options->temporary_age_ms);
    return 0;
}

static int unknown_scheme(struct slice scheme, struct jini_error *error)
{
    char known[128] = "";
    size_t length = 0;
    for (size_t i = 0; i < DRIVERS; i++)
        length += (size_t)snprintf(known + length, sizeof(known) - length, "%s%s:", i ? ", " : "",
                                   drivers[i]->scheme);
    return error_set(error, JINI_E_INVALID, "archive",
                     "\"%.*s\" is no kind of archive; a URL begins with one of %s",
                     (int)(scheme.length < 32 ? scheme.length : 32), (const char *)scheme.data,
                     known);
}

/* Splits "scheme:rest". */
static int find_driver(const char *url, const struct archive_driver **driver, const char **rest,
                       struct jini_error *error)
{
    if (!url || strnlen(url, ARCHIVE_URL_MAX + 1) > ARCHIVE_URL_MAX)
        return error_set(error, JINI_E_INVALID, "archive", "the URL has more than %d bytes",
                         ARCHIVE_URL_MAX);
    const char *colon = strchr(url, ':');
    struct slice scheme = slice_of(url, colon ? (size_t)(colon - url) : strlen(url));
    for (size_t i = 0; colon && i < DRIVERS; i++) {
        if (slice_equal(scheme, slice_of_text(drivers[i]->scheme))) {
            *driver = drivers[i];
            *rest = colon + 1;
            return 0;
        }
    }
    return unknown_scheme(scheme, error);
}

int archive_check_url(const char *url, struct jini_error *error)
{
    const struct archive_driver *driver;
    const char *rest;
    error_clear(error);
    return find_driver(url, &driver, &rest, error);
}

static void free_archive(struct archive *archive, bool forked)
{
    if (!forked) {
        pthread_cond_destroy(&archive->changed);
        pthread_mutex_destroy(&archive->lock);
    }
    base_free(archive->url);
    base_free(archive);
}

int archive_open(const char *url, const struct archive_options *options, struct archive **out,
                 struct jini_error *error)
{
    struct archive_options defaults;
    const struct archive_driver *driver = NULL;
    const char *rest = NULL;
    *out = NULL;
    error_clear(error);
    archive_options_init(&defaults);
    if (!options)
        options = &defaults;
    int status = check_options(options, error);
    if (status == 0)
        status = find_driver(url, &driver, &rest, error);
    if (status != 0)
        return status;
    struct archive *archive = base_calloc(1, driver->size);
    char *copy = base_strdup(url);
    if (!archive || !copy) {
        base_free(archive);
        base_free(copy);
        return error_set(error, JINI_E_NO_MEMORY, "archive", "out of memory");
    }
    archive->driver = driver;
    archive->options = *options;
    archive->url = copy;
    archive->fork_generation = fork_generation();
    pthread_mutex_init(&archive->lock, NULL);
    pthread_cond_init(&archive->changed, NULL);
    status = driver->open(archive, rest, error);
    if (status != 0) {
        free_archive(archive, false);
        return status;
    }
    *out = archive;
    return 0;
}

bool archive_is_forked(const struct archive *archive)
{
    return archive->fork_generation != fork_generation();
}

void archive_stop(struct archive *archive)
{
    if (archive_is_forked(archive))
        return;
    pthread_mutex_lock(&archive->lock);
    archive->stopping = true;
    pthread_mutex_unlock(&archive->lock);
    archive->driver->stop(archive);
}

void archive_close(struct archive *archive)
{
    if (!archive)
        return;
    JINI_ASSERT(callback_depth == 0);
    bool forked = archive_is_forked(archive);
    if (!forked) {
        archive_stop(archive);
        pthread_mutex_lock(&archive->lock);
        while (archive->outstanding > 0)
            pthread_cond_wait(&archive->changed, &archive->lock);
        pthread_mutex_unlock(&archive->lock);
    }
    archive->driver->close(archive);
    free_archive(archive, forked);
}

static int check_put(const struct archive_put *put, struct jini_error *error)
{
    if (put->extent_count > ARCHIVE_EXTENTS_MAX)
        return error_set(error, JINI_E_INVALID, "extents",
                         "%u pieces of a body; at most %d are allowed", put->extent_count,
                         ARCHIVE_EXTENTS_MAX);
    uint64_t size = 0;
    for (uint32_t i = 0; i < put->extent_count; i++) {
        const struct archive_extent *extent = &put->extents[i];
        bool file = extent->kind == ARCHIVE_EXTENT_FILE;
        if (file ? extent->fd < 0 : !extent->memory && extent->length > 0)
            return error_set(error, JINI_E_INVALID, "extents", "piece %u of the body is nowhere",
                             i);
        if (extent->length > ARCHIVE_OBJECT_BYTES_MAX - size)
            return error_set(error, JINI_E_TOO_BIG, "extents",
                             "the body is larger than %llu bytes, the most that an object may have",
                             (unsigned long long)ARCHIVE_OBJECT_BYTES_MAX);
        if (file && extent->offset > (uint64_t)INT64_MAX - extent->length)
            return error_set(error, JINI_E_INVALID, "extents",
                             "piece %u of the body lies beyond the end of any file", i);
        size += extent->length;
    }
    return 0;
}

static int check_get(const struct archive_get *get, struct jini_error *error)
{
    if (!get->buffer == !get->sink)
        return error_set(error, JINI_E_INVALID, "buffer", "give either a buffer or a sink");
    if (get->length == 0)
        return error_set(error, JINI_E_INVALID, "length",
                         "0 bytes; ask for at least 1, or for all up to the end");
    uint64_t length = get->length == ARCHIVE_TO_END ? 0 : get->length;
    if (get->offset > INT64_MAX || length > INT64_MAX - get->offset)
        return error_set(error, JINI_E_INVALID, "offset",
                         "the range lies beyond the end of any object");
    if (get->buffer && length > get->capacity)
        return error_set(error, JINI_E_TOO_BIG, "length",
                         "%llu bytes do not fit the buffer, which holds %zu",
                         (unsigned long long)length, get->capacity);
    return 0;
}

static int check_list(const struct archive_list *list, struct jini_error *error)
{
    if (!list->entry)
        return error_set(error, JINI_E_INVALID, "entry", "nobody takes the entries");
    if (list->entries_max < 1 || list->entries_max > ARCHIVE_PAGE_MAX)
        return error_set(error, JINI_E_INVALID, "entries_max", "%u entries; 1 to %d are allowed",
                         list->entries_max, ARCHIVE_PAGE_MAX);
    if (list->cursor && list->cursor->length > 0)
        return archive_name_check(archive_name_slice(list->cursor), error);
    return 0;
}

static int check_request(const struct archive_request *request, struct jini_error *error)
{
    int status = request->operation == ARCHIVE_LIST ? archive_prefix_check(request->name, error)
                                                    : archive_name_check(request->name, error);
    if (status != 0)
        return status;
    switch (request->operation) {
    case ARCHIVE_PUT:
        return check_put(&request->put, error);
    case ARCHIVE_GET:
        return check_get(&request->get, error);
    case ARCHIVE_LIST:
        return check_list(&request->list, error);
    case ARCHIVE_HEAD:
    case ARCHIVE_DELETE:
        return 0;
    default:
        return error_set(error, JINI_E_INVALID, "operation", "%d is no operation of an archive",
                         (int)request->operation);
    }
}

static void clear_results(struct archive_request *request)
{
    request->status = 0;
    request->more = false;
    request->entries = 0;
    request->size = 0;
    request->bytes = 0;
    request->modified_ms = 0;
    memset(&request->checksum, 0, sizeof(request->checksum));
    error_clear(&request->error);
}

static int enter(struct archive *archive, struct jini_error *error)
{
    pthread_mutex_lock(&archive->lock);
    bool stopping = archive->stopping;
    if (!stopping)
        archive->outstanding++;
    pthread_mutex_unlock(&archive->lock);
    return stopping ? error_set(error, JINI_E_CLOSED, "archive", "the archive is being closed") : 0;
}

static void leave(struct archive *archive)
{
    pthread_mutex_lock(&archive->lock);
    JINI_ASSERT(archive->outstanding > 0);
    archive->outstanding--;
    pthread_cond_broadcast(&archive->changed);
    pthread_mutex_unlock(&archive->lock);
}

static void fill_error(struct archive_request *request, int status)
{
    if (request->error.code == 0)
        error_set(&request->error, status, "archive", "%s", jini_status_text(status));
}

static int refuse(struct archive *archive, struct archive_request *request, int status)
{
    atomic_fetch_add_explicit(&archive->refused, 1, memory_order_relaxed);
    atomic_store(&request->internal.state, REQUEST_IDLE);
    fill_error(request, status);
    return status;
}

int archive_submit(struct archive *archive, struct archive_request *request)
{
    JINI_ASSERT(atomic_load(&request->internal.state) != REQUEST_SUBMITTED);
    clear_results(request);
    if (archive_is_forked(archive))
        return error_set(&request->error, JINI_E_FORKED, "archive",
                         "the archive was opened before fork; the child opens its own");
    int status = check_request(request, &request->error);
    if (status == 0)
        status = enter(archive, &request->error);
    if (status != 0)
        return refuse(archive, request, status);
    atomic_store(&request->internal.cancelled, false);
    atomic_store(&request->internal.state, REQUEST_SUBMITTED);
    request->internal.submitted_ns = clock_boot_ns(archive->options.clock);
    status = archive->driver->submit(archive, request);
    if (status != 0) {
        refuse(archive, request, status);
        leave(archive);
    }
    return status;
}

void archive_cancel(struct archive *archive, struct archive_request *request)
{
    if (archive_is_forked(archive) || atomic_load(&request->internal.state) != REQUEST_SUBMITTED)
        return;
    atomic_store(&request->internal.cancelled, true);
    archive->driver->cancel(archive, request);
}

static int blocking_forbidden(struct jini_error *error)
{
    return error_set(error, JINI_E_ON_LOOP, "archive",
                     "a callback of an archive must not wait for another request");
}

int archive_wait(struct archive *archive, struct archive_request *request)
{
    JINI_ASSERT(!request->done);
    if (callback_depth > 0)
        return JINI_E_ON_LOOP;
    if (archive_is_forked(archive))
        return JINI_E_FORKED;
    pthread_mutex_lock(&archive->lock);
    while (atomic_load(&request->internal.state) == REQUEST_SUBMITTED)
        pthread_cond_wait(&archive->changed, &archive->lock);
    pthread_mutex_unlock(&archive->lock);
    return request->status;
}

int archive_run(struct archive *archive, struct archive_request *request, struct jini_error *error)
{
    error_clear(error);
    if (callback_depth > 0)
        return blocking_forbidden(error);
    archive_done_fn *done = request->done;
    request->done = NULL;
    int status = archive_submit(archive, request);
    if (status == 0)
        status = archive_wait(archive, request);
    request->done = done;
    if (status != 0 && error)
        *error = request->error;
    return status;
}

int archive_interrupted(const struct archive *archive, struct archive_request *request)
{
    if (atomic_load_explicit(&request->internal.cancelled, memory_order_relaxed))
        return error_set(&request->error, JINI_E_CANCELLED, "archive", "the request was cancelled");
    if (request->deadline_ns && clock_boot_ns(archive->options.clock) >= request->deadline_ns)
        return error_set(&request->error, JINI_E_TIMEOUT, "deadline",
                         "the request's deadline passed before it was done");
    return 0;
}

int archive_give_piece(struct archive_request *request, struct slice piece)
{
    callback_depth++;
    int status = request->get.sink(request, piece);
    callback_depth--;
    return status;
}

int archive_give_entry(struct archive_request *request, const struct archive_entry *entry)
{
    JINI_ASSERT(request->entries < request->list.entries_max);
    callback_depth++;
    int status = request->list.entry(request, entry);
    callback_depth--;
    if (status != 0)
        return status;
    request->entries++;
    if (request->list.cursor)
        archive_name_set(request->list.cursor, entry->name);
    return 0;
}

static void count(struct archive *archive, const struct archive_request *request)
{
    struct archive_counter *counter = &archive->counters[request->operation];
    uint64_t now_ns = clock_boot_ns(archive->options.clock);
    uint64_t begin_ns = request->internal.submitted_ns;
    bool failed = request->status != 0 && request->status != JINI_E_NOT_FOUND &&
                  request->status != JINI_E_EXISTS && request->status != JINI_E_CANCELLED;
    uint64_t bytes = request->operation == ARCHIVE_PUT ? request->size : request->bytes;
    atomic_fetch_add_explicit(&counter->finished, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counter->failed, failed, memory_order_relaxed);
    atomic_fetch_add_explicit(&counter->bytes, request->status == 0 ? bytes : 0,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&counter->busy_ns, now_ns > begin_ns ? now_ns - begin_ns : 0,
                              memory_order_relaxed);
}

void archive_complete(struct archive *archive, struct archive_request *request, int status)
{
    JINI_ASSERT(atomic_load(&request->internal.state) == REQUEST_SUBMITTED);
    request->status = status;
    if (status != 0)
        fill_error(request, status);
    else
        error_clear(&request->error);
    count(archive, request);
    archive_done_fn *done = request->done;
    if (done) {
        atomic_store(&request->internal.state, REQUEST_FINISHED);
        callback_depth++;
        done(request);
        callback_depth--;
        leave(archive);
        return;
    }
    pthread_mutex_lock(&archive->lock);
    atomic_store(&request->internal.state, REQUEST_FINISHED);
    archive->outstanding--;
    pthread_cond_broadcast(&archive->changed);
    pthread_mutex_unlock(&archive->lock);
}

void archive_statistics(struct archive *archive, struct archive_statistics *out)
{
    memset(out, 0, sizeof(*out));
    if (archive_is_forked(archive))
        return;
    for (int i = 0; i < ARCHIVE_OPERATIONS; i++) {
        struct archive_counter *counter = &archive->counters[i];
        out->operations[i].finished = atomic_load(&counter->finished);
        out->operations[i].failed = atomic_load(&counter->failed);
        out->operations[i].bytes = atomic_load(&counter->bytes);
        out->operations[i].busy_ns = atomic_load(&counter->busy_ns);
    }
    out->refused = atomic_load(&archive->refused);
    out->temporaries_collected = atomic_load(&archive->temporaries_collected);
    pthread_mutex_lock(&archive->lock);
    out->outstanding = archive->outstanding;
    pthread_mutex_unlock(&archive->lock);
}

const char *archive_operation_name(enum archive_operation operation)
{
    static const char *const names[] = {"put", "get", "head", "list", "delete"};
    JINI_ASSERT(operation >= 0 && operation < ARCHIVE_OPERATIONS);
    return names[operation];
}

const char *archive_url(const struct archive *archive)
{
    return archive->url;
}
