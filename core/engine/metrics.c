/* Figures as Prometheus text (exposition format 0.0.4). */
#include "engine/metrics.h"

#include "base/error.h"
#include "engine/cold_reads.h"
#include "engine/queue.h"
#include "engine/rate.h"
#include "images/appender.h"
#include "images/cache.h"
#include "images/pack_files.h"

#include <stdarg.h>
#include <stdio.h>

void metrics_add(struct metrics_page *page, const char *format, ...)
{
    va_list arguments;
    size_t room = page->length < page->capacity ? page->capacity - page->length : 0;
    va_start(arguments, format);
    int length = vsnprintf(room ? page->text + page->length : NULL, room, format, arguments);
    va_end(arguments);
    if (length > 0)
        page->length += (size_t)length;
}

void metrics_head(struct metrics_page *page, const char *name, const char *type, const char *help)
{
    metrics_add(page, "# HELP jini_%s %s\n# TYPE jini_%s %s\n", name, help, name, type);
}

void metrics_number(struct metrics_page *page, const char *name, const char *type, const char *help,
                    uint64_t value)
{
    metrics_head(page, name, type, help);
    metrics_add(page, "jini_%s %llu\n", name, (unsigned long long)value);
}

/* Buckets of 2^i units, counted one by one, as the cumulative ones that Prometheus wants. */
static void histogram(struct metrics_page *page, const char *name, const char *help,
                      const uint64_t *buckets, size_t count, double unit, uint64_t sum)
{
    uint64_t total = 0;
    metrics_head(page, name, "histogram", help);
    for (size_t i = 0; i < count; i++) {
        total += buckets[i];
        if (i + 1 < count)
            metrics_add(page, "jini_%s_bucket{le=\"%.9g\"} %llu\n", name,
                        unit * (double)(UINT64_C(1) << i), (unsigned long long)total);
    }
    metrics_add(page, "jini_%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)total);
    metrics_add(page, "jini_%s_sum %.9g\njini_%s_count %llu\n", name, unit * (double)sum, name,
                (unsigned long long)total);
}

static void store_part(struct metrics_page *page, const struct store_figures *f)
{
    metrics_number(page, "store_map_bytes", "gauge", "Address space of the database.",
                   f->map_bytes);
    metrics_number(page, "store_used_bytes", "gauge",
                   "Bytes of the database file in use or free inside it.", f->used_bytes);
    metrics_number(page, "store_free_pages", "gauge", "Pages of the file that can be used again.",
                   f->free_pages);
    metrics_number(page, "store_readers", "gauge", "Snapshots open now, in all processes.",
                   f->readers);
    metrics_number(page, "store_oldest_reader_lag_commits", "gauge",
                   "Commits since the oldest open snapshot.", f->oldest_reader_lag);
    metrics_number(page, "store_commits_total", "counter", "Commits of this process.", f->commits);
    metrics_number(page, "store_ops_total", "counter", "Writes of this process.", f->ops);
    metrics_number(page, "store_op_failures_total", "counter",
                   "Writes that were refused or failed.", f->op_failures);
    metrics_number(page, "store_pages_written_total", "counter",
                   "Pages written by commits of this process.", f->pages_written);
    metrics_head(page, "store_pages_per_op", "gauge", "Pages written for each write, on average.");
    metrics_add(page, "jini_store_pages_per_op %.6g\n",
                f->ops ? (double)f->pages_written / (double)f->ops : 0.0);
    metrics_number(page, "store_batches_rerun_total", "counter",
                   "Batches that were rolled back and run again.", f->batches_rerun);
    metrics_number(page, "store_map_growths_total", "counter", "Times the map was resized.",
                   f->map_growths);
    metrics_number(page, "store_queue_ops", "gauge", "Writes that wait.", f->queue_ops);
    metrics_number(page, "store_queue_bytes", "gauge", "Bytes of the writes that wait.",
                   f->queue_bytes);
    metrics_number(page, "store_full", "gauge", "1: disk or map are down to the reserve.", f->full);
    metrics_number(
        page, "store_reserve_errno", "gauge",
        "Why the file `reserve` cannot be made though the disk has room, an errno; 0: it "
        "is there, or the disk is full.",
        (uint64_t)f->reserve_errno);
    metrics_number(page, "store_lock_wait_microseconds_total", "counter",
                   "Time that this process waited for its turn to write.", f->lock_wait_us_sum);
    metrics_number(page, "store_lock_wait_microseconds_max", "gauge", "The longest of these waits.",
                   f->lock_wait_us_max);
    histogram(page, "store_commit_seconds", "Time that commits took, sync included.",
              f->commit_buckets, STORE_LATENCY_BUCKETS, 1e-6, f->commit_us_sum);
    histogram(page, "store_batch_ops", "Writes that succeeded in one commit.", f->batch_buckets,
              STORE_BATCH_BUCKETS, 1.0, f->batch_ops_sum);
}

/* Every kind stands there from the beginning, with its successes; other ends once they came. */
static void request_part(struct metrics_page *page, struct jini *jini)
{
    metrics_head(page, "requests_total", "counter",
                 "Requests to this process that ended, by kind and status.");
    for (int kind = 0; kind < REQUEST_KINDS; kind++) {
        for (int status = 0; status < REQUEST_STATUSES; status++) {
            uint64_t count = atomic_load_explicit(&jini->ended[kind][status], memory_order_relaxed);
            if (count > 0 || status == 0)
                metrics_add(page, "jini_requests_total{kind=\"%s\",status=\"%s\"} %llu\n",
                            request_kind_name((enum request_kind)kind), jini_status_name(-status),
                            (unsigned long long)count);
        }
    }
    metrics_number(page, "jobs_removed_total", "counter",
                   "Ended jobs that this process removed, kept for long enough.",
                   atomic_load_explicit(&jini->jobs_removed, memory_order_relaxed));
    metrics_number(page, "requests_active", "gauge", "Requests of this process under way.",
                   atomic_load(&jini->active));
}

static void process_part(struct metrics_page *page, struct jini *jini)
{
    struct jini_process processes[JINI_PROCESSES_MAX];
    size_t count = 0;
    jini_processes(jini, processes, JINI_PROCESSES_MAX, &count);
    metrics_number(page, "processes", "gauge", "Live processes that have the database open.",
                   count);
    metrics_head(page, "write_lock_held_seconds", "gauge",
                 "How long the process that writes has the lock.");
    for (size_t i = 0; i < count; i++) {
        if (processes[i].holds_write_lock)
            metrics_add(page, "jini_write_lock_held_seconds{pid=\"%d\"} %.3f\n", processes[i].pid,
                        (double)processes[i].lock_ms / 1e3);
    }
    metrics_head(page, "write_lock_waiting_seconds", "gauge",
                 "How long processes wait for the lock.");
    for (size_t i = 0; i < count; i++) {
        if (processes[i].waits_for_write_lock)
            metrics_add(page, "jini_write_lock_waiting_seconds{pid=\"%d\"} %.3f\n",
                        processes[i].pid, (double)processes[i].lock_ms / 1e3);
    }
}

static void image_part(struct metrics_page *page, struct jini *jini)
{
    struct cache_figures cache;
    struct cold_reads_figures reads;
    struct appender_figures appender = {0};
    cache_figures(jini->image_cache, &cache);
    cold_reads_figures(jini->cold_reads, &reads);
    if (jini->appender)
        appender_figures(jini->appender, &appender);
    struct pack_files_stats files = pack_files_stats(jini->pack_files);
    metrics_number(page, "image_cache_bytes", "gauge", "Bytes of cold images at hand.",
                   cache.bytes);
    metrics_number(page, "image_cache_hits_total", "counter", "Cold reads answered from memory.",
                   cache.hits);
    metrics_number(page, "image_cache_misses_total", "counter",
                   "Cold reads that waited for the archive.", cache.misses);
    metrics_number(page, "archive_reads", "gauge", "Cold reads that wait for the archive.",
                   reads.readers);
    metrics_number(page, "archive_read_bytes", "gauge",
                   "Bytes of cold images on their way from it.", reads.bytes);
    metrics_number(page, "pack_queue_bytes", "gauge", "Image bytes that wait to be written.",
                   appender.queue_bytes);
    metrics_number(page, "pack_records_total", "counter", "Images written by this process.",
                   appender.records);
    metrics_number(page, "pack_bytes_total", "counter", "Bytes written to packs by this process.",
                   appender.bytes);
    metrics_number(page, "pack_syncs_total", "counter", "Syncs of packs by this process.",
                   appender.syncs);
    metrics_number(page, "packs_open", "gauge", "Packs that this process appends to.",
                   appender.packs_open);
    metrics_number(page, "pack_files_open", "gauge", "Packs open for reading.", files.open);
    metrics_number(page, "cpu_queue", "gauge", "Tasks that wait for a CPU thread.",
                   workers_waiting(jini->cpu));
    metrics_number(page, "password_queue", "gauge", "Logins that wait for a password thread.",
                   workers_waiting(jini->passwords));
}

int jini_metrics(struct jini *jini, char *text, size_t capacity, size_t *length,
                 struct jini_error *error)
{
    struct store_figures figures;
    struct metrics_page page = {text, capacity, 0};
    *length = 0;
    error_clear(error);
    int status = engine_check(jini);
    if (status == 0)
        status = store_figures(jini->store, &figures);
    if (status)
        return error_set(error, status, "metrics", "%s", jini_status_text(status));
    store_part(&page, &figures);
    request_part(&page, jini);
    process_part(&page, jini);
    image_part(&page, jini);
    queue_metrics(jini, &page);
    if (jini->rates)
        rates_metrics(jini, &page);
    events_metrics(jini, &page);
    *length = page.length;
    if (page.length >= capacity)
        return error_set(error, JINI_E_TOO_BIG, "capacity", "%zu bytes are needed",
                         page.length + 1);
    return 0;
}

int jini_processes(struct jini *jini, struct jini_process *out, size_t capacity, size_t *count)
{
    struct store_process_info infos[JINI_PROCESSES_MAX];
    *count = 0;
    int status = engine_check(jini);
    if (status)
        return status;
    size_t found = store_processes(jini->store, infos, JINI_PROCESSES_MAX);
    for (size_t i = 0; i < found && i < capacity; i++) {
        out[i] = (struct jini_process){
            .pid = infos[i].pid,
            .holds_write_lock = infos[i].holds_write_lock,
            .waits_for_write_lock = infos[i].waits_for_write_lock,
            .lock_ms = infos[i].lock_ns / NS_PER_MS,
            .started_ms = infos[i].started_ns / NS_PER_MS,
        };
        memcpy(out[i].name, infos[i].name, sizeof(out[i].name));
        *count = i + 1;
    }
    return 0;
}

int jini_copy(struct jini *jini, const char *path, enum jini_copy_form form,
              struct jini_error *error)
{
    error_clear(error);
    int status = engine_check(jini);
    if (status)
        return error_set(error, status, "jini", "%s", jini_status_text(status));
    if (!path || path[0] == '\0')
        return error_set(error, JINI_E_INVALID, "path", "a path is needed");
    if (form != JINI_COPY_COMPACT && form != JINI_COPY_PLAIN)
        return error_set(error, JINI_E_INVALID, "form", "%d is no form of a copy", (int)form);
    if (loop_thread_must_not_block(jini))
        return error_set(error, JINI_E_ON_LOOP, "path",
                         "copying the database takes as long as the disk does; call it on a thread "
                         "that runs no loop");
    return store_copy(jini->store, path,
                      form == JINI_COPY_PLAIN ? STORE_COPY_PLAIN : STORE_COPY_COMPACT, error);
}
