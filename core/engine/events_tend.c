/*
 * The old end of the log of events, removed in slices, and the figures of events.
 *
 * Each transaction looks again at what it removes, so several processes may do this at once.
 */
#include "engine/metrics.h"
#include "events/consumers.h"

#include "base/alloc.h"

enum { SLICES_MAX = 64 };

static int op_retire(struct store_txn *txn, void *argument)
{
    return events_retire(txn, argument);
}

/* Looks first, so that an idle engine commits nothing. */
static int is_due(struct jini *jini, struct events_retention *retention, bool *due)
{
    const struct jini_options *options = &jini->options;
    struct store_txn *txn;
    uint64_t entries;
    uint64_t bytes;
    int status = store_measure(jini->store, STORE_SPACE_EVENTS, &entries, &bytes);
    if (status)
        return status;
    *retention = (struct events_retention){
        .now_ms = clock_wall_ns(jini->clock) / NS_PER_MS,
        .keep_ms = options->events_keep_s * 1000,
        .keep_max_ms = options->events_keep_max_s * 1000,
        .over_bytes = bytes > options->events_bytes_max ? bytes - options->events_bytes_max : 0,
    };
    status = store_read_begin(jini->store, &txn);
    if (status)
        return status;
    status = events_retention_due(txn, retention, due);
    store_read_end(txn);
    return status;
}

static void log_lost(const struct jini *jini, const struct events_retention *retention)
{
    if (retention->lost > 0)
        log_record(&jini->log, JINI_LOG_WARNING, "events_lost",
                   LOG_NUMBER("events", retention->removed),
                   LOG_NUMBER("deliveries", retention->lost));
}

void events_tend(struct jini *jini)
{
    struct events_retention retention;
    bool due = true;
    int status = 0;
    for (int slice = 0; slice < SLICES_MAX && status == 0; slice++) {
        if (atomic_load(&jini->state) != ENGINE_OPEN)
            return;
        status = is_due(jini, &retention, &due);
        if (status || !due)
            break;
        status = store_write_until(jini->store, op_retire, &retention, STORE_RELEASE,
                                   background_deadline(jini));
        if (status)
            break;
        atomic_fetch_add_explicit(&jini->events_removed, retention.removed, memory_order_relaxed);
        log_lost(jini, &retention);
    }
    if (status && status != JINI_E_CLOSED && status != JINI_E_CANCELLED)
        log_record(&jini->log, JINI_LOG_WARNING, "events_not_removed",
                   LOG_TEXT("status", jini_status_name(status)));
}

/* ---- Figures ---- */

struct consumer_figure {
    const char *name;
    const char *type;
    const char *help;
    size_t offset;
};

static const struct consumer_figure figures[] = {
    {"events_consumer_lag_events", "gauge",
     "Events behind a consumer's position, counted up to 100,000.",
     offsetof(struct jini_consumer, lag_events)},
    {"events_consumer_lag_milliseconds", "gauge", "Age of the first of them.",
     offsetof(struct jini_consumer, lag_ms)},
    {"events_consumer_held", "gauge", "Deliveries that are held or wait.",
     offsetof(struct jini_consumer, held)},
    {"events_consumer_dead", "gauge", "Dead letters.", offsetof(struct jini_consumer, dead)},
    {"events_consumer_lost_total", "counter", "Events that were removed before it had them.",
     offsetof(struct jini_consumer, lost)},
};

static void consumer_metrics(struct metrics_page *page, const struct jini_consumer *consumers,
                             size_t count)
{
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        metrics_head(page, figures[i].name, figures[i].type, figures[i].help);
        for (size_t j = 0; j < count; j++) {
            uint64_t value;
            memcpy(&value, (const char *)&consumers[j] + figures[i].offset, sizeof(value));
            metrics_add(page, "jini_%s{consumer=\"%s\"} %llu\n", figures[i].name, consumers[j].name,
                        (unsigned long long)value);
        }
    }
}

void events_metrics(struct jini *jini, struct metrics_page *page)
{
    uint64_t entries;
    uint64_t bytes;
    size_t count = 0;
    if (store_measure(jini->store, STORE_SPACE_EVENTS, &entries, &bytes) == 0) {
        metrics_number(page, "events", "gauge", "Events in the log.", entries);
        metrics_number(page, "events_bytes", "gauge", "Bytes of the database that they take.",
                       bytes);
    }
    metrics_number(page, "events_removed_total", "counter",
                   "Events that this process removed, kept for long enough.",
                   atomic_load_explicit(&jini->events_removed, memory_order_relaxed));
    struct jini_consumer *consumers = base_malloc(JINI_CONSUMERS_MAX * sizeof(*consumers));
    if (consumers &&
        jini_consumer_list(jini, NULL, consumers, JINI_CONSUMERS_MAX, &count, NULL) == 0)
        consumer_metrics(page, consumers, count);
    base_free(consumers);
}
