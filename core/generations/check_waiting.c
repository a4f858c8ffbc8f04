/* Checks of the queue for workers: its rows against the jobs, the jobs against its rows. */
#include "generations/check_private.h"
#include "generations/waiting.h"

#include "base/id.h"

/* More rows are not counted: that would keep the snapshot for too long. */
enum { COUNTED_ROWS_MAX = 4096 };

/* ---- From a job to its rows ---- */

/* A flow's row names the job. JINI_E_NOT_FOUND: there is none, or it names another. */
static int find_flow(struct store_txn *txn, const struct jini_id *id, const struct job_row *row)
{
    struct tuple key;
    struct jini_id named;
    struct buffer value = buffer_of(named.bytes, sizeof(named.bytes));
    key_flow(&key, row);
    tuple_add_uint(&key, row->round);
    int status = store_get(txn, STORE_SPACE_WAITING, tuple_key(&key), &value);
    if (status == JINI_E_TOO_BIG || (status == 0 && value.length != sizeof(named.bytes)))
        return JINI_E_NOT_FOUND;
    return status == 0 && !id_equal(&named, id) ? JINI_E_NOT_FOUND : status;
}

int check_waits(const struct generations_check *check, const struct jini_id *id,
                const struct job_row *row)
{
    enum job_standing standing = job_row_standing(row);
    const struct line line = job_row_line(row);
    struct check_place place = {
        .kind = "job_not_waiting", .field = "flow", .job = id, .user_id = row->user_id};
    struct tuple key;
    if (standing == STANDING_OUT)
        return 0;
    int status = find_flow(check->txn, id, row);
    if (status == JINI_E_NOT_FOUND)
        check_report(check, &place, "it is for workers, and the queue has no row of it");
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    key_line(&key, &line);
    status = store_has(check->txn, STORE_SPACE_WAITING, tuple_key(&key));
    place.field = "line";
    if (status == JINI_E_NOT_FOUND)
        check_report(check, &place, "its model and priority have no row in the queue");
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    key_rank(&key, row->priority);
    status = store_has(check->txn, STORE_SPACE_WAITING, tuple_key(&key));
    place.field = "rank";
    if (status == JINI_E_NOT_FOUND)
        check_report(check, &place, "its priority has no row in the queue");
    if ((status && status != JINI_E_NOT_FOUND) || standing != STANDING_READY)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    key_turn(&key, &line, row->round, id);
    status = store_has(check->txn, STORE_SPACE_WAITING, tuple_key(&key));
    place.field = "turn";
    if (status == JINI_E_NOT_FOUND)
        check_report(check, &place, "it waits, and no worker would come to it");
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* ---- From rows to jobs ---- */

static bool same_line(const struct job_row *row, const struct waiting_key *key)
{
    return row->priority == key->line.priority && slice_equal(row->model, key->line.model) &&
           row->round == key->number;
}

static void differs(const struct generations_check *check, const char *field,
                    const struct jini_id *id, const struct job_row *row)
{
    const struct check_place place = {
        .kind = "waiting_differs", .field = field, .job = id, .user_id = row->user_id};
    check_report(check, &place,
                 "a row of the queue for workers does not agree with its job, which is %s",
                 jini_job_state_name((enum jini_job_state)row->state));
}

static void leads_nowhere(const struct generations_check *check, const char *field,
                          const struct jini_id *id)
{
    const struct check_place place = {.kind = "waiting_without_job", .field = field, .job = id};
    check_report(check, &place, "a row of the queue for workers names a job that is not there");
}

static void row_damaged(const struct generations_check *check, const char *field)
{
    const struct check_place place = {.kind = "waiting_damaged", .field = field};
    check_report(check, &place, "a row of the queue for workers cannot be read");
}

/* The job that a row names. JINI_E_NOT_FOUND: told, or damaged and found elsewhere. */
static int load_named(const struct generations_check *check, const char *field,
                      const struct jini_id *id, struct loaded_job *out)
{
    int status = job_load(check->txn, id, out, NULL);
    if (status == JINI_E_NOT_FOUND)
        leads_nowhere(check, field, id);
    return check_is_damage(status) ? JINI_E_NOT_FOUND : status;
}

static int check_flow(const struct generations_check *check, const struct waiting_key *key,
                      struct slice value)
{
    struct loaded_job job;
    struct jini_id id;
    if (value.length != JINI_ID_BYTES) {
        row_damaged(check, "flow");
        return 0;
    }
    memcpy(id.bytes, value.data, JINI_ID_BYTES);
    int status = load_named(check, "flow", &id, &job);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    struct slice address = slice_of(key->address, key->address_length);
    if (job_row_standing(&job.row) == STANDING_OUT || !same_line(&job.row, key) ||
        job.row.user_id != key->user_id || !slice_equal(job.row.address, address))
        differs(check, "flow", &id, &job.row);
    return 0;
}

static int check_turn(const struct generations_check *check, const struct waiting_key *key,
                      struct slice value)
{
    struct loaded_job job;
    if (value.length != TURN_ROW_BYTES) {
        row_damaged(check, "turn");
        return 0;
    }
    int status = load_named(check, "turn", &key->id, &job);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    if (job_row_standing(&job.row) != STANDING_READY || !same_line(&job.row, key) ||
        job.row.created_ms != load_le64(value.data))
        differs(check, "turn", &key->id, &job.row);
    return 0;
}

/* ---- Counts ---- */

/* JINI_E_TOO_BIG: they are too many. */
static int count_rows(struct store_txn *txn, const struct tuple *low, uint64_t *out)
{
    struct tuple high = *low;
    struct store_cursor cursor;
    *out = 0;
    tuple_after_prefix(&high);
    int status = store_cursor_open(txn, STORE_SPACE_WAITING, tuple_key(low), tuple_key(&high),
                                   STORE_FORWARD, &cursor);
    if (status)
        return status;
    while (*out <= COUNTED_ROWS_MAX && (status = store_cursor_next(&cursor, NULL)) == 0)
        ++*out;
    store_cursor_close(&cursor);
    return status == JINI_E_NOT_FOUND ? 0 : status ? status : JINI_E_TOO_BIG;
}

static void miscounted(const struct generations_check *check, const char *field, uint64_t found,
                       uint64_t said)
{
    const struct check_place place = {.kind = "waiting_miscounted", .field = field};
    if (found != said)
        check_report(check, &place, "%llu jobs stand there; the count says %llu",
                     (unsigned long long)found, (unsigned long long)said);
}

static int check_count(const struct generations_check *check, const char *kind,
                       const struct waiting_key *key, uint64_t said)
{
    struct tuple low;
    uint64_t found;
    key_waiting(&low, kind);
    tuple_add_text(&low, key->line.model);
    tuple_add_uint(&low, JINI_QUEUE_PRIORITY_MAX - key->line.priority);
    int status = count_rows(check->txn, &low, &found);
    if (status == 0)
        miscounted(check, kind, found, said);
    return status == JINI_E_TOO_BIG ? 0 : status;
}

static int check_head_of(const struct generations_check *check, const struct waiting_key *key,
                         const struct line_row *row)
{
    const struct check_place place = {.kind = "waiting_differs", .field = "head"};
    struct turn first = {0};
    struct tuple head;
    int status = line_first(check->txn, &key->line, NULL, &first);
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    if (first.round != row->head_round || first.created_ms != row->head_created_ms ||
        !id_equal(&first.id, &row->head))
        check_report(check, &place, "the first job of a line is not the one that its row says");
    if (id_is_zero(&row->head))
        return 0;
    key_head(&head, &key->line, row->head_created_ms);
    status = store_has(check->txn, STORE_SPACE_WAITING, tuple_key(&head));
    if (status == JINI_E_NOT_FOUND)
        check_report(check, &place,
                     "a line has jobs that wait, and workers of all models would "
                     "not come to it");
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static int check_line(const struct generations_check *check, const struct waiting_key *key,
                      struct slice value)
{
    struct line_row row;
    (void)value;
    int status = line_load(check->txn, &key->line, &row);
    if (check_is_damage(status))
        row_damaged(check, "line");
    if (status)
        return check_is_damage(status) ? 0 : status;
    status = check_count(check, "turn", key, row.count[STANDING_READY]);
    if (status == 0)
        status = check_count(check, "flow", key,
                             row.count[STANDING_READY] + row.count[STANDING_DELAYED] +
                                 row.count[STANDING_TAKEN]);
    return status ? status : check_head_of(check, key, &row);
}

static int check_head(const struct generations_check *check, const struct waiting_key *key,
                      struct slice value)
{
    const struct check_place place = {.kind = "waiting_differs", .field = "head"};
    struct line_row row;
    (void)value;
    int status = line_load(check->txn, &key->line, &row);
    if (status && status != JINI_E_NOT_FOUND)
        return check_is_damage(status) ? 0 : status;
    if (status || id_is_zero(&row.head) || row.head_created_ms != key->number)
        check_report(check, &place, "a row leads to a line whose first job is another");
    return 0;
}

static int check_rank(const struct generations_check *check, const struct waiting_key *key,
                      struct slice value)
{
    struct generations_line lines[32];
    const struct generations_line *last = NULL;
    struct rank_row row;
    uint64_t found[STANDINGS] = {0};
    size_t count = sizeof(lines) / sizeof(lines[0]);
    (void)value;
    int status = rank_load(check->txn, key->line.priority, &row);
    if (check_is_damage(status))
        row_damaged(check, "rank");
    for (size_t all = 0; status == 0 && count == sizeof(lines) / sizeof(lines[0]); all += count) {
        status = generations_lines(check->txn, last, lines, count, &count);
        for (size_t i = 0; status == 0 && i < count; i++) {
            if (lines[i].priority != key->line.priority)
                continue;
            found[STANDING_READY] += lines[i].ready;
            found[STANDING_DELAYED] += lines[i].delayed;
            found[STANDING_TAKEN] += lines[i].taken;
        }
        last = &lines[count - (count > 0)];
        if (all > COUNTED_ROWS_MAX)
            return 0;
    }
    if (status)
        return check_is_damage(status) ? 0 : status;
    miscounted(check, "ready", found[STANDING_READY], row.count[STANDING_READY]);
    miscounted(check, "delayed", found[STANDING_DELAYED], row.count[STANDING_DELAYED]);
    miscounted(check, "taken", found[STANDING_TAKEN], row.count[STANDING_TAKEN]);
    return 0;
}

int generations_check_waiting(const struct generations_check *check, struct slice key)
{
    static const struct {
        const char *kind;
        int (*check)(const struct generations_check *check, const struct waiting_key *key,
                     struct slice value);
    } kinds[] = {{"flow", check_flow},
                 {"turn", check_turn},
                 {"line", check_line},
                 {"head", check_head},
                 {"rank", check_rank}};
    uint8_t bytes[WAITING_ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct waiting_key read;
    int status = store_get(check->txn, STORE_SPACE_WAITING, key, &value);
    if (status == JINI_E_TOO_BIG)
        row_damaged(check, "row");
    if (status)
        return status == JINI_E_NOT_FOUND || status == JINI_E_TOO_BIG ? 0 : status;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (waiting_key_read(key, kinds[i].kind, &read) == 0)
            return kinds[i].check(check, &read, buffer_slice(&value));
    }
    return check_stray_key(check, STORE_SPACE_WAITING, key, "waiting_key_damaged");
}
