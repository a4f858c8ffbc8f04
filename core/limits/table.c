/* Opening and closing the table, and naming subjects. */
#include "limits/table.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/hash.h"
#include "limits/table_internal.h"

#include <stdio.h>
#include <unistd.h>

void table_options_init(struct table_options *options)
{
    *options =
        (struct table_options){.wait_ms = TABLE_WAIT_MS_DEFAULT,
                               .regions = {[TABLE_ANONYMOUS] = {1 << 16, TABLE_FAIL_CLOSED},
                                           [TABLE_AUTHENTICATED] = {1 << 20, TABLE_FAIL_CLOSED}}};
}

static int check_options(const struct table_options *options, struct jini_error *error)
{
    if (!options->directory || !options->clock || !options->generation || !options->alive)
        return error_set(error, JINI_E_INVALID, "directory",
                         "The table needs a directory, a clock, a generation word and a way to "
                         "tell whether a process lives.");
    if (options->holder_incarnation == 0)
        return error_set(error, JINI_E_INVALID, "holder_incarnation",
                         "An incarnation of 0 names no process; count from 1.");
    if (options->wait_ms > TABLE_WAIT_MS_MAX)
        return error_set(error, JINI_E_INVALID, "wait_ms", "A wait of %u ms is longer than %d ms.",
                         options->wait_ms, TABLE_WAIT_MS_MAX);
    for (unsigned r = 0; r < TABLE_REGIONS; r++) {
        if (options->regions[r].slots < TABLE_SLOTS_MIN ||
            options->regions[r].slots > TABLE_SLOTS_MAX)
            return error_set(error, JINI_E_INVALID, "slots", "%u slots are not within %d and %d.",
                             options->regions[r].slots, TABLE_SLOTS_MIN, TABLE_SLOTS_MAX);
        if (options->regions[r].when_full > TABLE_FAIL_OPEN)
            return error_set(error, JINI_E_INVALID, "when_full",
                             "A full region fails closed or open, nothing else.");
    }
    return 0;
}

static char *path_in(const char *directory, const char *name)
{
    size_t bytes = strlen(directory) + strlen(name) + 2;
    char *path = base_malloc(bytes);
    if (path)
        snprintf(path, bytes, "%s/%s", directory, name);
    return path;
}

int table_open(const struct table_options *options, struct table **out, struct jini_error *error)
{
    *out = NULL;
    error_clear(error);
    int status = check_options(options, error);
    if (status)
        return status;
    struct table *table = base_calloc(1, sizeof(*table));
    if (!table)
        return error_set(error, JINI_E_NO_MEMORY, "table",
                         "No memory for the table of rate limits.");
    table->options = *options;
    table->clock = options->clock;
    table->generation = options->generation;
    table->claim = (uint64_t)options->holder_incarnation << 32 | options->holder_slot;
    table->fork_generation = fork_generation();
    table->lock_file.descriptor = -1;
    pthread_mutex_init(&table->mutex, NULL);
    table->path = path_in(options->directory, "limits.shm");
    table->temporary_path = path_in(options->directory, "limits.shm.new");
    if (table->path && table->temporary_path)
        status = table_file_open(table, error);
    else
        status =
            error_set(error, JINI_E_NO_MEMORY, "table", "No memory for the table of rate limits.");
    table->options.directory = NULL; /* the caller's */
    if (status) {
        table_close(table);
        return status;
    }
    *out = table;
    return 0;
}

void table_close(struct table *table)
{
    if (!table)
        return;
    table_file_close(table);
    pthread_mutex_destroy(&table->mutex);
    base_free(table->path);
    base_free(table->temporary_path);
    base_free(table);
}

int table_check(struct table *table, struct jini_error *error)
{
    if (table_is_forked(table))
        return error_set(error, JINI_E_FORKED, "table", "The table was opened before a fork.");
    return table_file_refresh(table, TABLE_REFRESH_VERIFY, error);
}

int table_state(struct table *table, struct jini_error *error)
{
    if (table_is_forked(table))
        return error_set(error, JINI_E_FORKED, "table", "The table was opened before a fork.");
    return table_file_state(table, error);
}

int table_view_slow(struct table *table, struct table_view **out)
{
    int status = table_file_refresh(table, TABLE_REFRESH_CHANGED, NULL);
    *out = atomic_load(&table->view);
    return status;
}

void table_count(struct table_view *view, enum table_counter counter, uint64_t by)
{
    static _Atomic uint32_t threads;
    static _Thread_local uint32_t shard = UINT32_MAX;
    if (__builtin_expect(shard == UINT32_MAX, 0))
        shard = (atomic_fetch_add(&threads, 1) + (uint32_t)getpid() * 7) % TABLE_COUNTER_SHARDS;
    atomic_fetch_add_explicit(&view->shards[shard].counts[counter], by, memory_order_relaxed);
}

/* Subjects. */

/*
 * All members but the length and the bytes of the value, one by one, since this is made anew for
 * each check.
 */
static inline void name_subject(struct table_subject *subject, enum table_region region,
                                enum table_kind kind, uint64_t scope, const struct limit *limit)
{
    subject->generation = 0;
    subject->tag = 0;
    subject->bucket = 0;
    subject->first = 0;
    subject->slot = 0;
    subject->region = region;
    subject->algorithm = limit->algorithm;
    subject->period_ms = (uint32_t)limit->period_ms;
    subject->ordinal = limit->ordinal;
    subject->kind = (uint8_t)kind;
    subject->scope = scope;
    memset(subject->value, 0, sizeof(subject->value));
}

int table_subject_init(struct table_subject *subject, enum table_region region,
                       enum table_kind kind, struct slice value, uint64_t scope,
                       const struct limit *limit)
{
    if (value.length > TABLE_VALUE_MAX || limit_is_quota(limit) || region >= TABLE_REGIONS ||
        kind > TABLE_GLOBAL) {
        memset(subject, 0, sizeof(*subject));
        return JINI_E_INVALID;
    }
    name_subject(subject, region, kind, scope, limit);
    subject->length = (uint8_t)value.length;
    if (value.length)
        memcpy(subject->value, value.data, value.length);
    return 0;
}

int table_subject_user(struct table_subject *subject, uint64_t user, uint64_t scope,
                       const struct limit *limit)
{
    if (limit_is_quota(limit)) {
        memset(subject, 0, sizeof(*subject));
        return JINI_E_INVALID;
    }
    name_subject(subject, TABLE_AUTHENTICATED, TABLE_USER, scope, limit);
    subject->length = sizeof(user);
    store_le64(subject->value, user);
    return 0;
}

int table_subject_address(struct table_subject *subject, struct slice address, uint64_t scope,
                          const struct limit *limit)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    if (address.length != 4 && address.length != 16)
        return JINI_E_INVALID;
    enum table_kind kind = TABLE_IPV4;
    if (slice_has_prefix(address, slice_of(mapped, sizeof(mapped)))) {
        address = slice_of(address.data + sizeof(mapped), 4);
    } else if (address.length == 16) {
        kind = TABLE_IPV6;
        address.length = 8;
    }
    return table_subject_init(subject, TABLE_ANONYMOUS, kind, address, scope, limit);
}

/* What callers choose, addresses and keys: nobody can tell which of them share a bucket. */
static struct crypto_hash hash_chosen(const struct table_view *view,
                                      const struct table_subject *subject)
{
    uint8_t bytes[32 + TABLE_VALUE_MAX] = {(uint8_t)subject->region, subject->kind,
                                           (uint8_t)subject->algorithm, subject->length};
    store_le32(bytes + 4, subject->period_ms);
    store_le32(bytes + 8, subject->ordinal);
    store_le64(bytes + 12, subject->scope);
    memcpy(bytes + 20, subject->value, subject->length);
    return crypto_keyed_hash(view->key, slice_of(bytes, 20 + (size_t)subject->length));
}

/* Users: their numbers are nobody's choice, and a faster hash is a fifth of a check. */
static struct crypto_hash hash_user(const struct table_view *view,
                                    const struct table_subject *subject)
{
    uint64_t words[4] = {(uint64_t)subject->region << 32 | (uint64_t)subject->algorithm,
                         (uint64_t)subject->ordinal << 32 | subject->period_ms, subject->scope};
    memcpy(&words[3], subject->value, sizeof(words[3]));
    uint64_t hash = hash64_seeded(slice_of(words, sizeof(words)), load_le64(view->key));
    return (struct crypto_hash){hash, hash};
}

void table_place(const struct table_view *view, struct table_subject *subject)
{
    struct crypto_hash hash = subject->kind == TABLE_USER && subject->length == sizeof(uint64_t)
                                  ? hash_user(view, subject)
                                  : hash_chosen(view, subject);
    uint32_t line = (uint32_t)hash.high % (TABLE_BUCKET_BYTES / 64);
    subject->tag = hash.low ? hash.low : 1;
    subject->bucket = table_bucket_of_tag(&view->regions[subject->region], subject->tag);
    subject->first = line ? line * TABLE_LINE_SLOTS - 1
                          : 0; /* the claim takes a slot's place in the first line */
    subject->slot = subject->first;
    subject->generation = view->generation;
}

void table_prefetch(struct table *table, struct table_subject *subject)
{
    struct table_view *view;
    if (table_is_forked(table) || table_view_of(table, &view) != 0)
        return;
    table_place_if_new(view, subject);
    __builtin_prefetch(&table_bucket_of(view, subject)->slots[subject->slot], 1);
}
