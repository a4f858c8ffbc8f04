/*
 * The format of a database, and moving it to a newer one.
 *
 * Space META, key "format": version (u32), version that a migration is moving to (u32, 0: none),
 * both little-endian. Key "migration": the cursor of the step that is to run next. Both change in
 * the transaction of each step, so a migration that was interrupted goes on where it stood, by
 * whoever opens next.
 */
#include "store/store_private.h"

#include "base/error.h"
#include "base/id.h"

#include <stdio.h>
#include <time.h>

static const char format_key[] = "format";
static const char cursor_key[] = "migration";

enum { FORMAT_BYTES = 8, CURSOR_MAX = 1024, BLOCKER_POLL_MS = 20 };

struct format_record {
    uint32_t version;
    uint32_t target;
};

static int read_record(struct store_txn *txn, struct format_record *out)
{
    uint8_t bytes[FORMAT_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    int status = store_get(txn, STORE_SPACE_META, slice_of_text(format_key), &value);
    if (status == JINI_E_TOO_BIG || (status == 0 && value.length != FORMAT_BYTES))
        return JINI_E_CORRUPT;
    if (status)
        return status;
    *out = (struct format_record){load_le32(bytes), load_le32(bytes + 4)};
    return 0;
}

static int write_record(struct store_txn *txn, struct format_record record)
{
    uint8_t bytes[FORMAT_BYTES];
    store_le32(bytes, record.version);
    store_le32(bytes + 4, record.target);
    return store_put(txn, STORE_SPACE_META, slice_of_text(format_key),
                     slice_of(bytes, sizeof(bytes)));
}

struct creation {
    uint32_t version;
    struct jini_id lineage;
};

static int op_create_record(struct store_txn *txn, void *argument)
{
    const struct creation *creation = argument;
    struct format_record record;
    int status = read_record(txn, &record);
    if (status != JINI_E_NOT_FOUND)
        return status;
    status = write_record(txn, (struct format_record){creation->version, 0});
    return status ? status : home_create(txn, &creation->lineage);
}

static int create_record(struct store *store, struct jini_error *error)
{
    struct creation creation = {.version = store->options.format->version};
    struct id_source ids;
    id_source_init(&ids, store->options.clock);
    creation.lineage = id_next(&ids);
    return store_write_at_open(store, op_create_record, &creation, error);
}

struct step {
    const struct store_migration *migration;
    bool finished;
};

static int op_step(struct store_txn *txn, void *argument)
{
    struct step *step = argument;
    uint32_t from = step->migration->from;
    struct format_record record;
    step->finished = false;
    int status = read_record(txn, &record);
    if (status)
        return status;
    if (record.version != from) {
        step->finished = true;
        return 0;
    }
    uint8_t in_bytes[CURSOR_MAX];
    uint8_t out_bytes[CURSOR_MAX];
    struct buffer in = buffer_of(in_bytes, sizeof(in_bytes));
    struct buffer out = buffer_of(out_bytes, sizeof(out_bytes));
    status = store_get(txn, STORE_SPACE_META, slice_of_text(cursor_key), &in);
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    status = step->migration->step(txn, buffer_slice(&in), &out);
    if (status)
        return status;
    if (out.overflow)
        return JINI_E_TOO_BIG;
    step->finished = out.length == 0;
    if (!step->finished) {
        status = store_put(txn, STORE_SPACE_META, slice_of_text(cursor_key), buffer_slice(&out));
        return status ? status : write_record(txn, (struct format_record){from, from + 1});
    }
    status = store_delete(txn, STORE_SPACE_META, slice_of_text(cursor_key));
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    return write_record(txn, (struct format_record){from + 1, 0});
}

static const struct store_migration *find_migration(const struct store_format *format,
                                                    uint32_t from)
{
    for (uint32_t i = 0; i < format->migration_count; i++) {
        if (format->migrations[i].from == from)
            return &format->migrations[i];
    }
    return NULL;
}

/* Waits until every live process can work with the format that comes. */
static int wait_for_old_processes(struct store *store, uint32_t target, struct jini_error *error)
{
    struct store_process_info blocker;
    uint64_t end = clock_boot_ns(&clock_system) + store->options.migrate_wait_ms * NS_PER_MS;
    while (registry_format_blocker(store->registry, target, &blocker)) {
        if (clock_boot_ns(&clock_system) >= end)
            return error_set(
                error, JINI_E_FORMAT_BUSY, "store.migrate_wait_ms",
                "process %d (%s) works with format %u and must end before the database "
                "can move to format %u",
                blocker.pid, blocker.name, blocker.format_version, target);
        struct timespec pause = {.tv_nsec = BLOCKER_POLL_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
    return 0;
}

static int run_steps(struct store *store, const struct store_migration *migration,
                     struct jini_error *error)
{
    struct step step = {.migration = migration};
    uint64_t steps = 0;
    int status;
    do {
        status = store_write_at_open(store, op_step, &step, error);
        steps++;
    } while (status == 0 && !step.finished);
    if (status) {
        char what[160];
        snprintf(what, sizeof(what), "migration \"%s\" from format %u failed at step %llu",
                 migration->name, migration->from, (unsigned long long)steps);
        return error_complete(error, status, "format", what);
    }
    log_record(&store->options.log, JINI_LOG_INFO, "store_migrated",
               LOG_TEXT("name", migration->name), LOG_NUMBER("from", migration->from),
               LOG_NUMBER("steps", steps));
    return 0;
}

static int migrate_one(struct store *store, uint32_t from, struct jini_error *error)
{
    const struct store_migration *migration = find_migration(store->options.format, from);
    if (!migration)
        return error_set(error, JINI_E_FORMAT, "format",
                         "this version has no migration from format %u to %u", from, from + 1);
    registry_format_target(store->registry, from + 1);
    int status = wait_for_old_processes(store, from + 1, error);
    if (status == 0)
        status = run_steps(store, migration, error);
    registry_format_target(store->registry, 0);
    return status;
}

static int load_record(struct store *store, struct format_record *out)
{
    struct store_txn *txn;
    int status = store_read_begin(store, &txn);
    if (status)
        return status;
    status = read_record(txn, out);
    store_read_end(txn);
    return status;
}

static int check_record(const struct store *store, struct format_record record,
                        struct jini_error *error)
{
    const struct store_format *format = store->options.format;
    uint32_t newest = record.target > record.version ? record.target : record.version;
    if (newest > format->version)
        return error_set(error, JINI_E_FORMAT, "format",
                         "the database has format %u, and this version of Jini reads up to format "
                         "%u; use a newer version",
                         newest, format->version);
    if (record.version < format->version_min)
        return error_set(error, JINI_E_FORMAT, "format",
                         "the database has format %u, and this version of Jini migrates from "
                         "format %u on; open it with a version in between first",
                         record.version, format->version_min);
    if (record.version < format->version && store->options.read_only)
        return error_set(error, JINI_E_FORMAT, "format",
                         "the database has format %u and must be migrated to %u; open it for "
                         "writing once",
                         record.version, format->version);
    return 0;
}

int format_prepare(struct store *store, struct jini_error *error)
{
    const struct store_format *format = store->options.format;
    struct format_record record;
    int status = load_record(store, &record);
    if (status == JINI_E_NOT_FOUND && !store->options.read_only) {
        status = create_record(store, error);
        if (status == 0)
            status = load_record(store, &record);
    }
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, JINI_E_NOT_FOUND, "format", "the directory holds no Jini database");
    if (status)
        return error_complete(error, status, "format", "cannot read the format of the database");
    status = check_record(store, record, error);
    for (uint32_t from = record.version; status == 0 && from < format->version; from++)
        status = migrate_one(store, from, error);
    return status;
}
