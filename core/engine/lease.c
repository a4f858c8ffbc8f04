/* Rows of space LEASES; the layout and the rules stand in lease.h. */
#include "engine/lease.h"

#include "engine/engine_private.h"

#include "base/tuple.h"

enum { ROW_BYTES = 32 };

static const uint32_t nobody = UINT32_MAX;

struct row {
    uint64_t epoch;
    struct store_process holder;
    uint64_t until_ns;
};

static struct tuple row_key(const char *name)
{
    struct tuple key;
    tuple_begin(&key);
    tuple_add_text(&key, slice_of_text(name));
    return key;
}

static int read_at(struct store_txn *txn, struct slice key, struct row *out)
{
    uint8_t bytes[ROW_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    *out = (struct row){.holder = {nobody, 0}};
    int status = store_get(txn, STORE_SPACE_LEASES, key, &value);
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (status == JINI_E_TOO_BIG || (status == 0 && value.length != ROW_BYTES))
        return JINI_E_CORRUPT;
    if (status)
        return status;
    *out = (struct row){
        load_le64(bytes), {load_le32(bytes + 8), load_le32(bytes + 12)}, load_le64(bytes + 16)};
    return 0;
}

static int read_row(struct store_txn *txn, const char *name, struct row *out)
{
    struct tuple key = row_key(name);
    return read_at(txn, tuple_key(&key), out);
}

static int write_row(struct store_txn *txn, const char *name, const struct row *row)
{
    uint8_t bytes[ROW_BYTES] = {0};
    struct tuple key = row_key(name);
    store_le64(bytes, row->epoch);
    store_le32(bytes + 8, row->holder.slot);
    store_le32(bytes + 12, row->holder.incarnation);
    store_le64(bytes + 16, row->until_ns);
    return store_put(txn, STORE_SPACE_LEASES, tuple_key(&key), slice_of(bytes, sizeof(bytes)));
}

struct change {
    const char *name;
    uint64_t expected;
    uint64_t until_ns_max; /* of a lease that lasts longer: it was renewed, and is not changed */
    struct row row;
};

static int op_change(struct store_txn *txn, void *argument)
{
    const struct change *change = argument;
    struct row found;
    int status = read_row(txn, change->name, &found);
    if (status)
        return status;
    bool held = found.holder.slot != nobody && found.until_ns > change->until_ns_max;
    return found.epoch == change->expected && !held ? write_row(txn, change->name, &change->row)
                                                    : JINI_E_CONFLICT;
}

static uint64_t length_ns(const struct jini *jini)
{
    return jini->options.background_lease_ms * NS_PER_MS;
}

static bool is_free(struct jini *jini, const struct row *row, uint64_t now_ns)
{
    struct store_process self = store_self(jini->store);
    if (row->holder.slot == nobody || row->until_ns <= now_ns)
        return true;
    bool mine = row->holder.slot == self.slot && row->holder.incarnation == self.incarnation;
    return mine || !store_process_alive(jini->store, row->holder);
}

/*
 * A lease is what gives room back: it may use the reserve. Later than its own time it is of no use.
 * `until_ns` bounds it further, unless it is 0.
 */
static int write_change(struct jini *jini, struct change *change, uint64_t until_ns)
{
    uint64_t own_ns = background_deadline(jini);
    return store_write_until(jini->store, op_change, change, STORE_RELEASE,
                             until_ns && until_ns < own_ns ? until_ns : own_ns);
}

static int load_row(struct jini *jini, const char *name, struct row *out)
{
    struct store_txn *txn;
    int status = store_read_begin(jini->store, &txn);
    if (status)
        return status;
    status = read_row(txn, name, out);
    store_read_end(txn);
    return status;
}

int lease_take(struct jini *jini, const char *name, uint64_t until_ns, struct lease *out)
{
    struct row row;
    int status = load_row(jini, name, &row);
    if (status)
        return status;
    uint64_t now = clock_boot_ns(jini->clock);
    if (!is_free(jini, &row, now))
        return JINI_E_LOCKED;
    struct change change = {
        .name = name,
        .expected = row.epoch,
        .until_ns_max = row.until_ns,
        .row = {row.epoch + 1, store_self(jini->store), now + length_ns(jini)},
    };
    status = write_change(jini, &change, until_ns);
    *out = (struct lease){jini, name, row.epoch + 1};
    return status == JINI_E_CONFLICT ? JINI_E_LOCKED : status;
}

static int change_mine(const struct lease *lease, struct store_process holder, uint64_t until_ns)
{
    struct change change = {
        lease->name, lease->epoch, UINT64_MAX, {lease->epoch, holder, until_ns}};
    return write_change(lease->jini, &change, 0);
}

/* True when the lease was renewed a moment ago, by this function or the timer. */
static bool is_fresh(const struct lease *lease, uint64_t now_ns)
{
    struct lease_keeper *keeper = &lease->jini->lease_keeper;
    pthread_mutex_lock(&keeper->lock);
    bool kept = keeper->lease.name == lease->name && keeper->lease.epoch == lease->epoch;
    bool fresh = kept && now_ns < keeper->renew_at_ns;
    if (kept && !fresh)
        keeper->renew_at_ns = now_ns + length_ns(lease->jini) / 3;
    pthread_mutex_unlock(&keeper->lock);
    return fresh;
}

int lease_renew(const struct lease *lease)
{
    if (is_fresh(lease, clock_boot_ns(lease->jini->clock)))
        return 0;
    const struct jini *jini = lease->jini;
    return change_mine(lease, store_self(jini->store),
                       clock_boot_ns(jini->clock) + length_ns(jini));
}

void lease_give(const struct lease *lease)
{
    change_mine(lease, (struct store_process){nobody, 0}, 0);
}

int lease_check(struct store_txn *txn, const struct lease *lease)
{
    struct row found;
    int status = read_row(txn, lease->name, &found);
    if (status)
        return status;
    return found.epoch == lease->epoch ? 0 : JINI_E_CONFLICT;
}

int lease_look(const struct lease *lease)
{
    struct store_txn *txn;
    int status = store_read_begin(lease->jini->store, &txn);
    if (status)
        return status;
    status = lease_check(txn, lease);
    store_read_end(txn);
    return status;
}

int lease_epoch(struct jini *jini, const char *name, uint64_t *out)
{
    struct row row;
    int status = load_row(jini, name, &row);
    *out = status ? 0 : row.epoch;
    return status;
}

int lease_check_row(struct store_txn *txn, struct slice key)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element name;
    struct row row;
    if (tuple_next(&reader, &name) != 0 || name.type != TUPLE_TEXT || reader.rest.length > 0)
        return JINI_E_INVALID;
    return read_at(txn, key, &row);
}

/* ---- Keeping ---- */

void lease_keeper_init(struct lease_keeper *keeper)
{
    *keeper = (struct lease_keeper){0};
    pthread_mutex_init(&keeper->lock, NULL);
}

void lease_keeper_destroy(struct lease_keeper *keeper)
{
    JINI_ASSERT(!keeper->under_way);
    pthread_mutex_destroy(&keeper->lock);
}

static bool claim(struct lease_keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    bool claimed = !keeper->taken;
    keeper->taken = true;
    pthread_mutex_unlock(&keeper->lock);
    return claimed;
}

static void keep_none(struct lease_keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    keeper->lease.name = NULL;
    pthread_mutex_unlock(&keeper->lock);
}

static void unclaim(struct lease_keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    keeper->taken = false;
    pthread_mutex_unlock(&keeper->lock);
}

static void keep(struct lease_keeper *keeper, const struct lease *lease)
{
    pthread_mutex_lock(&keeper->lock);
    keeper->lease = *lease;
    keeper->renew_at_ns = clock_boot_ns(lease->jini->clock) + length_ns(lease->jini) / 3;
    pthread_mutex_unlock(&keeper->lock);
}

int lease_hold(struct jini *jini, const char *name, uint64_t until_ns, struct lease *out)
{
    struct lease_keeper *keeper = &jini->lease_keeper;
    *out = (struct lease){0};
    if (!claim(keeper))
        return JINI_E_LOCKED;
    int status = lease_take(jini, name, until_ns, out);
    if (status)
        unclaim(keeper);
    else
        keep(keeper, out);
    return status;
}

void lease_let_go(const struct lease *lease)
{
    struct lease_keeper *keeper = &lease->jini->lease_keeper;
    keep_none(keeper);
    lease_give(lease);
    unclaim(keeper);
}

/*
 * A lease that was taken over is for its holder to find out, by the check in its next transaction.
 */
static int op_keep(struct store_txn *txn, void *argument)
{
    const struct lease_keeper *keeper = argument;
    struct row found;
    int status = read_row(txn, keeper->renewal.name, &found);
    if (status)
        return status;
    struct row row = {found.epoch, found.holder, keeper->until_ns};
    return found.epoch == keeper->renewal.epoch ? write_row(txn, keeper->renewal.name, &row)
                                                : JINI_E_CONFLICT;
}

static void on_kept(struct store_write *write)
{
    struct lease_keeper *keeper = write->argument;
    pthread_mutex_lock(&keeper->lock);
    keeper->under_way = false;
    pthread_mutex_unlock(&keeper->lock);
}

void lease_tick(struct jini *jini)
{
    struct lease_keeper *keeper = &jini->lease_keeper;
    uint64_t now_ns = clock_boot_ns(jini->clock);
    pthread_mutex_lock(&keeper->lock);
    if (keeper->lease.name && !keeper->under_way && now_ns >= keeper->renew_at_ns) {
        keeper->renewal = keeper->lease;
        keeper->until_ns = now_ns + length_ns(jini);
        keeper->renew_at_ns = now_ns + length_ns(jini) / 3;
        keeper->write = (struct store_write){.op = op_keep,
                                             .argument = keeper,
                                             .done = on_kept,
                                             .class = STORE_RELEASE,
                                             .deadline_ns = keeper->until_ns};
        keeper->under_way = store_submit(jini->store, &keeper->write) == 0;
    }
    pthread_mutex_unlock(&keeper->lock);
}
