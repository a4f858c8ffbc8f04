/*
 * The table of records that somebody waits for, under one lock, which is taken before the locks of
 * the archive and of the opener's queue: requests are submitted and cancelled under it, so that a
 * cancel meets a request that is submitted or none. The archive calls back with no lock held, and
 * so are readers told.
 */
#include "engine/cold_reads.h"

#include "base/alloc.h"
#include "base/error.h"

/* A record, and those who wait for it. Freed by the last one who holds it. */
struct cold_flight {
    struct cold_get get;
    struct cold_reads *reads;
    struct archive_handle *archive; /* held while the GET runs */
    struct index_pack pack;
    struct index_location location;
    uint32_t holders; /* one while it is listed or its GET runs, and its readers until they end */
    bool sent;        /* the GET runs, or has run */
    struct cold_flight *next;
    struct cold_read *waiting;
};

struct cold_reads {
    struct jini *jini;
    struct cold_reads_options options;
    struct worker_task opening_task;
    _Atomic uint32_t opening_cancelled; /* never */
    pthread_mutex_t lock;
    bool stopping;
    bool opening; /* the archive; nothing is sent before */
    struct cold_reads_figures figures;
    struct cold_flight *flights; /* that can be waited for, in the order in which they came */
};

static void open_archive(struct worker_task *task, int status);

struct cold_reads *cold_reads_new(struct jini *jini, const struct cold_reads_options *options)
{
    struct cold_reads *reads = base_calloc(1, sizeof(*reads));
    if (!reads)
        return NULL;
    reads->jini = jini;
    reads->options = *options;
    reads->opening_task.run = open_archive;
    reads->opening_task.deadline_ns = UINT64_MAX;
    reads->opening_task.cancelled = &reads->opening_cancelled;
    pthread_mutex_init(&reads->lock, NULL);
    return reads;
}

void cold_reads_free(struct cold_reads *reads)
{
    if (!reads)
        return;
    JINI_ASSERT(!reads->flights && reads->figures.readers == 0 && reads->figures.bytes == 0);
    pthread_mutex_destroy(&reads->lock);
    base_free(reads);
}

/* ---- Without the lock ---- */

/* Takes NULL. Giving large memory back takes its time. */
static void discard(struct cold_flight *flight)
{
    if (!flight)
        return;
    if (flight->get.entry)
        cache_entry_release(flight->get.entry);
    base_free(flight);
}

/* Each may be gone as soon as it was told. */
static void tell(struct cold_read *reads)
{
    while (reads) {
        struct cold_read *next = reads->next;
        reads->done(reads);
        reads = next;
    }
}

/* ---- Under the lock ---- */

/* Returns the flight when nobody holds it any more, to be given to discard(). */
static struct cold_flight *let_go(struct cold_flight *flight)
{
    JINI_ASSERT(flight->holders > 0);
    if (--flight->holders > 0)
        return NULL;
    JINI_ASSERT(!flight->waiting);
    if (flight->sent)
        flight->reads->figures.bytes -= cold_length(&flight->location);
    return flight;
}

static void unlist(struct cold_flight *flight)
{
    struct cold_flight **link = &flight->reads->flights;
    while (*link && *link != flight)
        link = &(*link)->next;
    if (*link)
        *link = flight->next;
}

/* Takes a reader out of its flight and puts it before `told`, which it returns. */
static struct cold_read *take(struct cold_read **link, int status, struct cold_read *told)
{
    struct cold_read *read = *link;
    *link = read->next;
    read->asked = read->flight->sent || read->flight->reads->opening;
    read->status = error_set(&read->error, status, "image", "%s", jini_status_text(status));
    read->next = told;
    return read;
}

/*
 * Nobody waits any more: a GET that runs is hurried, and holds the flight until it has ended. So do
 * the readers that were taken out.
 */
static void abandon(struct cold_flight *flight)
{
    unlist(flight);
    if (flight->sent) {
        archive_cancel(flight->archive->archive, &flight->get.request);
        return;
    }
    let_go(flight);
}

/* What was not sent ends with this error. */
static struct cold_read *refuse(struct cold_flight *flight, const struct jini_error *error,
                                struct cold_read *told)
{
    while (flight->waiting) {
        told = take(&flight->waiting, error->code, told);
        told->error = *error;
    }
    abandon(flight);
    return told;
}

static void answered(struct archive_request *request);

/* A GET runs as long as the last of those who wait when it is sent can. */
static uint64_t deadline_of(const struct cold_flight *flight)
{
    uint64_t deadline_ns = 0;
    for (const struct cold_read *read = flight->waiting; read; read = read->next)
        deadline_ns = read->deadline_ns > deadline_ns ? read->deadline_ns : deadline_ns;
    return deadline_ns;
}

/* A system that hangs in it holds the opener alone. */
static int begin_opening(struct cold_reads *reads, struct jini_error *error)
{
    int status = workers_submit(reads->jini->opener, &reads->opening_task, error);
    reads->opening = status == 0;
    return status ? error_set(error, status, "archive", "%s", jini_status_text(status)) : 0;
}

/* Sends it, or has the archive opened. */
static int send_get(struct cold_flight *flight, struct jini_error *error)
{
    struct archive_request *request = &flight->get.request;
    struct archive_handle *archive = archives_find(flight->reads->jini);
    if (!archive)
        return begin_opening(flight->reads, error);
    int status = cold_get_init(&flight->get, &flight->pack, &flight->location, error);
    if (status == 0) {
        request->done = answered;
        request->user = flight;
        request->deadline_ns = deadline_of(flight);
        flight->archive = archive; /* before an answer */
        status = archive_submit(archive->archive, request);
        if (status)
            *error = request->error;
    }
    if (status) {
        archives_release(archive);
        return status;
    }
    flight->sent = true;
    flight->reads->figures.bytes += cold_length(&flight->location);
    return 0;
}

static bool fits(const struct cold_reads *reads, const struct cold_flight *flight)
{
    uint64_t bytes = reads->figures.bytes;
    return bytes == 0 || bytes + cold_length(&flight->location) <= reads->options.bytes_max;
}

/* Sends what may be on its way by now. What could not be sent has its readers put before `told`. */
static struct cold_read *send_more(struct cold_reads *reads, struct cold_read *told)
{
    struct cold_flight *next;
    for (struct cold_flight *flight = reads->flights; flight; flight = next) {
        struct jini_error error;
        next = flight->next;
        if (flight->sent)
            continue;
        if (reads->opening || !fits(reads, flight))
            break;
        if (send_get(flight, &error) != 0)
            told = refuse(flight, &error, told);
    }
    return told;
}

static struct cold_read *refuse_all(struct cold_reads *reads, const struct jini_error *error)
{
    struct cold_read *told = NULL;
    struct cold_flight *next;
    for (struct cold_flight *flight = reads->flights; flight; flight = next) {
        next = flight->next;
        if (!flight->sent)
            told = refuse(flight, error, told);
    }
    return told;
}

/* True when one GET serves both: images that share a record may differ in rows that are damaged. */
static bool same_range(const struct index_location *a, const struct index_location *b)
{
    return id_equal(&a->pack, &b->pack) && a->sequence == b->sequence && a->offset == b->offset &&
           cold_length(a) == cold_length(b);
}

/* What has the record on its way or will; or NULL. */
static struct cold_flight *find(struct cold_reads *reads, const struct index_location *location)
{
    struct cold_flight *flight = reads->flights;
    while (flight && !same_range(&flight->location, location))
        flight = flight->next;
    return flight;
}

static int check_bounds(const struct cold_reads *reads, const struct cold_read *read,
                        struct jini_error *error)
{
    if (reads->stopping || atomic_load(read->cancelled))
        return error_set(error, JINI_E_CANCELLED, "image", "%s",
                         jini_status_text(JINI_E_CANCELLED));
    if (reads->figures.readers < reads->options.readers_max)
        return 0;
    return error_set(error, JINI_E_BUSY, "archive.reads_max",
                     "%u reads of cold images wait for the archive; slow down",
                     reads->figures.readers);
}

static struct cold_flight *new_flight(struct cold_reads *reads, const struct index_pack *pack,
                                      const struct index_location *location)
{
    struct cold_flight *flight = base_calloc(1, sizeof(*flight));
    struct cold_flight **link = &reads->flights;
    if (!flight)
        return NULL;
    flight->reads = reads;
    flight->pack = *pack;
    flight->location = *location;
    flight->holders = 1;
    while (*link)
        link = &(*link)->next;
    *link = flight;
    return flight;
}

/* ---- The archive ---- */

/* On the opener. The archive stays open until it is let go of; then it is opened again. */
static void open_archive(struct worker_task *task, int status)
{
    struct cold_reads *reads =
        (struct cold_reads *)(void *)((char *)task - offsetof(struct cold_reads, opening_task));
    struct archive_handle *archive;
    struct jini_error error;
    if (status)
        error_set(&error, status, "archive", "%s", jini_status_text(status));
    else
        status = archives_acquire(reads->jini, &archive, &error);
    pthread_mutex_lock(&reads->lock);
    reads->opening = false;
    struct cold_read *told = status ? refuse_all(reads, &error) : send_more(reads, NULL);
    pthread_mutex_unlock(&reads->lock);
    if (status == 0)
        archives_release(archive);
    tell(told);
}

/* On a thread of the archive. */
static void answered(struct archive_request *request)
{
    struct cold_flight *flight = request->user;
    struct cold_reads *reads = flight->reads;
    struct archive_handle *archive = flight->archive;
    int status = archives_answer(archive, request->status, &request->error);
    pthread_mutex_lock(&reads->lock);
    struct cold_read *told = flight->waiting;
    flight->waiting = NULL;
    unlist(flight);
    for (struct cold_read *read = told; read; read = read->next) {
        read->asked = true;
        read->status = status;
        read->error = request->error;
        read->entry = flight->get.entry;
    }
    flight = let_go(flight);
    if (flight)
        told = send_more(reads, told);
    pthread_mutex_unlock(&reads->lock);
    archives_release(archive);
    discard(flight);
    tell(told);
}

/* ---- The interface ---- */

int cold_reads_begin(struct cold_reads *reads, const struct index_pack *pack,
                     const struct index_location *location, struct cold_read *read,
                     struct jini_error *error)
{
    struct cold_read *told = NULL;
    read->entry = NULL;
    pthread_mutex_lock(&reads->lock);
    int status = check_bounds(reads, read, error);
    struct cold_flight *flight = status ? NULL : find(reads, location);
    if (status == 0 && !flight) {
        flight = new_flight(reads, pack, location);
        if (!flight)
            status = error_set(error, JINI_E_NO_MEMORY, "image", "out of memory");
    }
    if (status == 0) {
        read->flight = flight;
        read->next = flight->waiting;
        flight->waiting = read;
        flight->holders++;
        reads->figures.readers++;
        told = send_more(reads, NULL);
    }
    pthread_mutex_unlock(&reads->lock);
    tell(told);
    return status;
}

void cold_reads_end(struct cold_reads *reads, struct cold_read *read)
{
    struct cold_read *told = NULL;
    pthread_mutex_lock(&reads->lock);
    JINI_ASSERT(reads->figures.readers > 0);
    reads->figures.readers--;
    struct cold_flight *flight = let_go(read->flight);
    if (flight)
        told = send_more(reads, NULL);
    pthread_mutex_unlock(&reads->lock);
    discard(flight);
    tell(told);
}

/* Takes out those of a flight that `leaves` names; the flight goes when nobody is left. */
typedef bool leaves_fn(const struct cold_read *read, const void *context);

static struct cold_read *take_those(struct cold_flight *flight, leaves_fn *leaves,
                                    const void *context, int status, struct cold_read *told)
{
    struct cold_read **link = &flight->waiting;
    while (*link) {
        if (leaves(*link, context))
            told = take(link, status, told);
        else
            link = &(*link)->next;
    }
    if (!flight->waiting)
        abandon(flight);
    return told;
}

/* The same of all flights. */
static void end_those(struct cold_reads *reads, leaves_fn *leaves, const void *context, int status)
{
    struct cold_read *told = NULL;
    struct cold_flight *next;
    pthread_mutex_lock(&reads->lock);
    for (struct cold_flight *flight = reads->flights; flight; flight = next) {
        next = flight->next;
        told = take_those(flight, leaves, context, status, told);
    }
    told = send_more(reads, told);
    pthread_mutex_unlock(&reads->lock);
    tell(told);
}

static bool is_of(const struct cold_read *read, const void *request)
{
    return read->request == request;
}

void cold_reads_cancel(struct cold_reads *reads, const struct jini_request *request)
{
    end_those(reads, is_of, request, JINI_E_CANCELLED);
}

/*
 * Also who waits, with time left, for a GET that is late itself: a thread of the archive that a
 * call of the system holds does not notice.
 */
static bool is_late(const struct cold_read *read, const void *context)
{
    const struct cold_flight *flight = read->flight;
    uint64_t now_ns = *(const uint64_t *)context;
    return read->deadline_ns < now_ns || (flight->sent && flight->get.request.deadline_ns < now_ns);
}

void cold_reads_sweep(struct cold_reads *reads, uint64_t now_ns)
{
    end_those(reads, is_late, &now_ns, JINI_E_TIMEOUT);
}

static bool is_any(const struct cold_read *read, const void *context)
{
    (void)read;
    (void)context;
    return true;
}

void cold_reads_stop(struct cold_reads *reads)
{
    if (!reads)
        return;
    pthread_mutex_lock(&reads->lock);
    reads->stopping = true;
    pthread_mutex_unlock(&reads->lock);
    end_those(reads, is_any, NULL, JINI_E_CANCELLED);
}

void cold_reads_figures(struct cold_reads *reads, struct cold_reads_figures *out)
{
    pthread_mutex_lock(&reads->lock);
    *out = reads->figures;
    pthread_mutex_unlock(&reads->lock);
}
