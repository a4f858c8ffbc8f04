/*
 * The table of GETs under way, under one lock, which is taken before the locks of the archive:
 * requests are submitted and cancelled under it, so that a cancel meets a request that is submitted
 * or none. The archive calls back with no lock held.
 */
#include "engine/cold_reads.h"

#include "base/alloc.h"
#include "base/error.h"

/* A GET, and those who wait for it. Freed by the last one who holds it. */
struct cold_flight {
    struct cold_get get;
    struct cold_reads *reads;
    struct archive *archive;
    struct cache_key key;
    uint64_t bytes;
    uint32_t holders; /* the GET until it is answered, and its readers until they have ended */
    bool listed;      /* it is on its way, and others may join */
    struct cold_flight *next;
    struct cold_read *waiting;
};

struct cold_reads {
    struct cold_reads_options options;
    pthread_mutex_t lock;
    bool stopping;
    struct cold_reads_figures figures;
    struct cold_flight *flights; /* those that are listed */
};

struct cold_reads *cold_reads_new(const struct cold_reads_options *options)
{
    struct cold_reads *reads = base_calloc(1, sizeof(*reads));
    if (!reads)
        return NULL;
    reads->options = *options;
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

/* Takes NULL. Without the lock, since giving large memory back takes its time. */
static void discard(struct cold_flight *flight)
{
    if (!flight)
        return;
    if (flight->get.entry)
        cache_entry_release(flight->get.entry);
    base_free(flight);
}

/* ---- Under the lock ---- */

static void unlist(struct cold_flight *flight)
{
    struct cold_flight **link = &flight->reads->flights;
    if (!flight->listed)
        return;
    while (*link != flight)
        link = &(*link)->next;
    *link = flight->next;
    flight->listed = false;
}

/* Returns the flight when nobody holds it any more, to be given to discard(). */
static struct cold_flight *let_go(struct cold_flight *flight)
{
    JINI_ASSERT(flight->holders > 0);
    if (--flight->holders > 0)
        return NULL;
    JINI_ASSERT(!flight->listed && !flight->waiting);
    flight->reads->figures.bytes -= flight->bytes;
    return flight;
}

/* The GET of this record that ends by the deadline, or NULL. */
static struct cold_flight *find(struct cold_reads *reads, const struct cache_key *key,
                                uint64_t deadline_ns)
{
    struct cold_flight *flight = reads->flights;
    for (; flight; flight = flight->next) {
        if (flight->get.request.deadline_ns <= deadline_ns &&
            flight->key.sequence == key->sequence && id_equal(&flight->key.pack, &key->pack))
            break;
    }
    return flight;
}

static void answered(struct archive_request *request);

/* Sends a GET on its way. */
static int launch(struct cold_reads *reads, struct archive *archive, const struct index_pack *pack,
                  const struct index_location *location, uint64_t deadline_ns,
                  struct cold_flight **out, struct jini_error *error)
{
    uint64_t bytes = cold_length(location);
    if (reads->figures.bytes > 0 && reads->figures.bytes + bytes > reads->options.bytes_max)
        return error_set(error, JINI_E_BUSY, "archive.read_bytes_max",
                         "%llu bytes of cold images are on their way from the archive; slow down",
                         (unsigned long long)reads->figures.bytes);
    struct cold_flight *flight = base_calloc(1, sizeof(*flight));
    if (!flight)
        return error_set(error, JINI_E_NO_MEMORY, "image", "out of memory");
    *flight = (struct cold_flight){.reads = reads,
                                   .archive = archive,
                                   .key = cold_key(location),
                                   .bytes = bytes,
                                   .holders = 1};
    struct archive_request *request = &flight->get.request;
    int status = cold_get_init(&flight->get, pack, location, error);
    if (status == 0) {
        request->done = answered;
        request->user = flight;
        request->deadline_ns = deadline_ns;
        status = archive_submit(archive, request);
        if (status)
            *error = request->error;
    }
    if (status) {
        discard(flight);
        return status;
    }
    flight->listed = true; /* it is looked at under the lock only, also by its answer */
    flight->next = reads->flights;
    reads->flights = flight;
    reads->figures.bytes += bytes;
    *out = flight;
    return 0;
}

static void join(struct cold_flight *flight, struct cold_read *read)
{
    read->flight = flight;
    read->next = flight->waiting;
    flight->waiting = read;
    flight->holders++;
    flight->reads->figures.readers++;
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

/* Ends waiting for a GET, which goes on only if others wait for it. */
static void leave(struct cold_read **link)
{
    struct cold_read *read = *link;
    struct cold_flight *flight = read->flight;
    *link = read->next;
    read->status = error_set(&read->error, JINI_E_CANCELLED, "image", "%s",
                             jini_status_text(JINI_E_CANCELLED));
    if (flight->waiting)
        return;
    unlist(flight);
    archive_cancel(flight->archive, &flight->get.request);
}

/* ---- Without the lock ---- */

/* Each may be gone as soon as it was told. */
static void tell(struct cold_read *reads)
{
    while (reads) {
        struct cold_read *next = reads->next;
        reads->done(reads);
        reads = next;
    }
}

/* ---- The interface ---- */

/* On a thread of the archive. */
static void answered(struct archive_request *request)
{
    struct cold_flight *flight = request->user;
    struct cold_reads *reads = flight->reads;
    pthread_mutex_lock(&reads->lock);
    struct cold_read *waiting = flight->waiting;
    flight->waiting = NULL;
    unlist(flight);
    for (struct cold_read *read = waiting; read; read = read->next) {
        read->status = request->status;
        read->error = request->error;
        read->entry = flight->get.entry;
    }
    flight = let_go(flight);
    pthread_mutex_unlock(&reads->lock);
    discard(flight);
    tell(waiting);
}

int cold_reads_begin(struct cold_reads *reads, struct archive *archive,
                     const struct index_pack *pack, const struct index_location *location,
                     struct cold_read *read, struct jini_error *error)
{
    struct cache_key key = cold_key(location);
    read->entry = NULL;
    pthread_mutex_lock(&reads->lock);
    int status = check_bounds(reads, read, error);
    struct cold_flight *flight = status ? NULL : find(reads, &key, read->deadline_ns);
    if (status == 0 && !flight)
        status = launch(reads, archive, pack, location, read->deadline_ns, &flight, error);
    if (status == 0)
        join(flight, read);
    pthread_mutex_unlock(&reads->lock);
    return status;
}

void cold_reads_end(struct cold_reads *reads, struct cold_read *read)
{
    pthread_mutex_lock(&reads->lock);
    JINI_ASSERT(reads->figures.readers > 0);
    reads->figures.readers--;
    struct cold_flight *flight = let_go(read->flight);
    pthread_mutex_unlock(&reads->lock);
    discard(flight);
}

void cold_reads_cancel(struct cold_reads *reads, const struct jini_request *request)
{
    struct cold_read *found = NULL;
    pthread_mutex_lock(&reads->lock);
    for (struct cold_flight *flight = reads->flights; flight && !found; flight = flight->next) {
        struct cold_read **link = &flight->waiting;
        while (*link && (*link)->request != request)
            link = &(*link)->next;
        found = *link;
        if (!found)
            continue;
        leave(link);
        found->next = NULL;
    }
    pthread_mutex_unlock(&reads->lock);
    tell(found);
}

void cold_reads_stop(struct cold_reads *reads)
{
    struct cold_read *stopped = NULL;
    if (!reads)
        return;
    pthread_mutex_lock(&reads->lock);
    reads->stopping = true;
    while (reads->flights) {
        struct cold_flight *flight = reads->flights;
        struct cold_read *read = flight->waiting; /* a listed flight has at least one */
        leave(&flight->waiting);
        read->next = stopped;
        stopped = read;
    }
    pthread_mutex_unlock(&reads->lock);
    tell(stopped);
}

void cold_reads_figures(struct cold_reads *reads, struct cold_reads_figures *out)
{
    pthread_mutex_lock(&reads->lock);
    *out = reads->figures;
    pthread_mutex_unlock(&reads->lock);
}
