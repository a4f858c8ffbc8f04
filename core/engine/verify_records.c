/*
 * Records and the rows beside them: users, tiers, jobs, images, lists, running jobs, the due queue,
 * the queue for workers, leases, events, payments, the home of the database.
 */
#include "engine/verify_private.h"

#include "base/tuple.h"
#include "engine/facts.h"
#include "engine/jobs.h"
#include "engine/owner.h"
#include "events/consumers.h"
#include "generations/check.h"
#include "generations/requests.h"
#include "generations/waiting.h"
#include "ledger/grants.h"
#include "ledger/place.h"
#include "ledger/subscriptions.h"
#include "limits/quota.h"

/* ---- What generations finds ---- */

static void on_finding(void *context, const struct generations_finding *finding)
{
    const struct verify_place place = {.kind = finding->kind,
                                       .field = finding->field,
                                       .image = &finding->image_id,
                                       .job = &finding->job_id,
                                       .user_id = finding->user_id};
    verify_problem(context, &place, "%s: %s", finding->field, finding->rule);
}

static struct generations_check check_in(struct verifying *v, struct store_txn *txn)
{
    return (struct generations_check){.txn = txn, .report = on_finding, .context = v};
}

/* ---- Users ---- */

static void report_stray(struct verifying *v, const char *kind, uint64_t user_id, size_t length)
{
    const struct verify_place place = {.kind = kind, .field = "key", .user_id = user_id};
    verify_problem(v, &place, "key: " STORE_STRAY_KEY, length);
}

/* A row of an address, whose bytes follow in the key: its quotas, or its running jobs. */
static int check_address_row(struct verifying *v, struct store_txn *txn, struct tuple_reader *rest,
                             size_t key_length)
{
    const struct generations_check check = check_in(v, txn);
    struct quota_subject subject = {0};
    struct tuple_element address;
    struct tuple_element row;
    if (tuple_next(rest, &address) == 0 && address.type == TUPLE_BYTES &&
        address.length <= sizeof(subject.address) && tuple_next(rest, &row) == 0 &&
        rest->rest.length == 0) {
        memcpy(subject.address, address.bytes, address.length);
        const struct generations_subject runner = {0, quota_address(&subject)};
        bool right = slice_equal(runner.address, slice_of(address.bytes, address.length));
        if (right && row.type == TUPLE_END)
            return verify_quotas(v, txn, &subject);
        if (right && tuple_is_text(&row, "run"))
            return generations_check_running(&check, &runner);
    }
    report_stray(v, "quota_key_damaged", 0, key_length);
    return 0;
}

/* The front of a key: whose the row is, and its name. False: it is no such key. */
static bool read_user_key(struct slice key, struct tuple_reader *rest, uint64_t *id,
                          struct tuple_element *row)
{
    *rest = tuple_reader_of(key);
    *id = 0;
    return tuple_next_uint(rest, id) == 0 && tuple_next(rest, row) == 0;
}

static int check_user_row(struct verifying *v, struct store_txn *txn, struct slice key)
{
    struct tuple_reader rest;
    struct tuple_element row;
    uint64_t id;
    int status = store_has(txn, STORE_SPACE_USERS, key);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    if (read_user_key(key, &rest, &id, &row) && id != 0 && rest.rest.length == 0) {
        if (tuple_is_text(&row, "u"))
            return verify_user(v, txn, id);
        if (tuple_is_text(&row, SUBSCRIPTION_ROW))
            return verify_subscription(v, txn, id);
    }
    report_stray(v, "user_key_damaged", id, key.length);
    return 0;
}

static int check_activity(struct verifying *v, struct store_txn *txn, struct slice key)
{
    const struct generations_check check = check_in(v, txn);
    struct tuple_reader rest;
    struct tuple_element row;
    uint64_t id;
    int status = store_has(txn, STORE_SPACE_ACTIVITY, key);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    if (read_user_key(key, &rest, &id, &row)) {
        if (id == 0 && tuple_is_text(&row, "q"))
            return check_address_row(v, txn, &rest, key.length);
        if (id != 0 && tuple_is_text(&row, PLACE_ACCOUNT_ROW))
            return verify_grant(v, txn, key);
        const struct generations_subject runner = {.user_id = id};
        const struct quota_subject subject = {.user_id = id};
        bool last = rest.rest.length == 0 && id != 0;
        if (last && tuple_is_text(&row, "q"))
            return verify_quotas(v, txn, &subject);
        if (last && tuple_is_text(&row, GRANTS_WALLET_ROW))
            return verify_wallet(v, txn, id);
        if (last && tuple_is_text(&row, "li"))
            return generations_check_images_of(&check, id);
        if (last && tuple_is_text(&row, "lj"))
            return generations_check_jobs_of(&check, id);
        if (last && tuple_is_text(&row, "run"))
            return generations_check_running(&check, &runner);
    }
    report_stray(v, "activity_key_damaged", id, key.length);
    return 0;
}

/* ---- Jobs, images, the queue ---- */

/* Why a job was admitted, which jini_why() reads. */
static int check_facts(struct verifying *v, struct store_txn *txn, const struct jini_id *id)
{
    uint8_t bytes[GENERATIONS_FACTS_MAX];
    struct buffer facts = buffer_of(bytes, sizeof(bytes));
    struct jini_decision decision = {0};
    struct jini_error ignored;
    const struct verify_place place = {.kind = "facts_damaged", .field = "facts", .job = id};
    int status = generations_job_facts(txn, id, &facts, &ignored);
    if (status)
        return status == JINI_E_NOT_FOUND || status_is_damage(status) ? 0 : status;
    if (facts.length > 0 && facts_read(buffer_slice(&facts), &decision) != 0)
        verify_problem(v, &place, "facts: its %zu bytes do not tell why it was admitted",
                       facts.length);
    return 0;
}

static int check_job(struct verifying *v, struct store_txn *txn, struct slice key)
{
    const struct generations_check check = check_in(v, txn);
    uint8_t bytes[GENERATIONS_RESERVATION_MAX];
    struct buffer reservation = buffer_of(bytes, sizeof(bytes));
    struct jini_id id;
    int status = generations_check_job(&check, key, &id, &reservation);
    struct reservation reserved;
    if (status == 0 && reservation_decode(buffer_slice(&reservation), &reserved) != 0) {
        const struct verify_place place = {
            .kind = "reservation_damaged", .field = "reservation", .job = &id};
        verify_problem(v, &place,
                       "reservation: its %zu bytes are none; when the job ends nothing is given "
                       "back",
                       reservation.length);
    } else if (status == 0 && reserved.holds > 0) {
        status = verify_job_credits(v, txn, &id, reserved.holds);
    }
    struct tuple plain;
    tuple_begin(&plain);
    tuple_add_id(&plain, &id);
    if (slice_compare(tuple_key(&plain), key) != 0)
        return status;
    v->request->jobs++;
    return status ? status : check_facts(v, txn, &id);
}

static int check_image(struct verifying *v, struct store_txn *txn, struct slice key)
{
    const struct generations_check check = check_in(v, txn);
    struct tuple_reader reader = tuple_reader_of(key);
    struct jini_id id;
    v->request->images++;
    int status = generations_check_image(&check, key);
    if (status || tuple_next_id(&reader, &id) != 0 || reader.rest.length != 0)
        return status;
    return verify_image_place(v, txn, &id);
}

static int check_due(struct verifying *v, struct store_txn *txn, struct slice key)
{
    const struct generations_check check = check_in(v, txn);
    return generations_check_due(&check, key);
}

static int check_page(struct verifying *v, struct store_txn *txn, struct slice key)
{
    const struct generations_check check = check_in(v, txn);
    return generations_check_page(&check, key);
}

static int check_request(struct verifying *v, struct store_txn *txn, struct slice key)
{
    const struct generations_check check = check_in(v, txn);
    return generations_check_request(&check, key);
}

static int check_waiting(struct verifying *v, struct store_txn *txn, struct slice key)
{
    const struct generations_check check = check_in(v, txn);
    return generations_check_waiting(&check, key);
}

/* A row that nobody can read keeps all processes from the work that it stands for. */
static int check_lease(struct verifying *v, struct store_txn *txn, struct slice key)
{
    const struct verify_place place = {.kind = "lease_damaged", .field = "row"};
    int status = lease_check_row(txn, key);
    if (status == JINI_E_INVALID)
        report_stray(v, "lease_key_damaged", 0, key.length);
    else if (status_is_damage(status))
        verify_problem(v, &place,
                       "row: a lease cannot be read, so no process can take it; the background's "
                       "work stands still");
    return status_is_damage(status) || status == JINI_E_INVALID ? 0 : status;
}

/* What the log or its consumers find in a row; without words it is a stray key. */
static int tell_of_events(struct verifying *v, int status, const struct verify_place *place,
                          const char *what, size_t key_length)
{
    if (status || !place->kind)
        return status;
    if (what)
        verify_problem(v, place, "%s: %s", place->field, what);
    else
        report_stray(v, place->kind, 0, key_length);
    return 0;
}

static int check_event(struct verifying *v, struct store_txn *txn, struct slice key)
{
    const char *what;
    struct verify_place place = {.field = "event"};
    int status = events_check_row(txn, key, &place.kind, &what);
    return tell_of_events(v, status, &place, what, key.length);
}

static int check_consumer(struct verifying *v, struct store_txn *txn, struct slice key)
{
    const char *what;
    struct verify_place place = {.field = "consumer"};
    int status = consumers_check_row(txn, key, &place.kind, &what);
    return tell_of_events(v, status, &place, what, key.length);
}

/* ---- What tells the original from its copies ---- */

static int check_home(struct verifying *v, struct store_txn *txn)
{
    static const struct {
        int (*check)(struct store_txn *txn);
        struct verify_place place;
        const char *what;
    } rows[] = {
        {store_home_check, {.kind = "home_damaged", .field = "home"}, "in which file it was made"},
        {owner_check_row, {.kind = "owner_damaged", .field = "owner"}, "that it owns its archive"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int status = rows[i].check(txn);
        if (status_is_damage(status))
            verify_problem(v, &rows[i].place,
                           "%s: what tells of the database %s cannot be read; nothing is deleted "
                           "from the archive until \"jini archive adopt\" mends it",
                           rows[i].place.field, rows[i].what);
        else if (status)
            return status;
    }
    return 0;
}

static int verify_home(struct verifying *v)
{
    struct store_txn *txn;
    int status = verify_snapshot(v, &txn);
    if (status)
        return status;
    status = check_home(v, txn);
    verify_snapshot_end(v, txn);
    return status;
}

/* ---- Space by space ---- */

struct space_check {
    enum store_space space;
    const char *phase;
    int (*check)(struct verifying *v, struct store_txn *txn, struct slice key);
};

struct space_run {
    struct verifying *v;
    const struct space_check *space;
    uint64_t rows;
};

static int visit(void *context, struct slice key, struct slice value)
{
    struct space_run *run = context;
    struct verifying *v = run->v;
    struct store_txn *txn;
    (void)value;
    if (verify_cancelled(v))
        return JINI_E_CANCELLED;
    if (run->rows++ % VERIFY_PROGRESS_EVERY == 0)
        verify_progress(v, run->rows);
    int status = verify_snapshot(v, &txn);
    if (status)
        return status;
    status = run->space->check(v, txn, key);
    verify_snapshot_end(v, txn);
    return status;
}

int verify_records(struct verifying *v)
{
    static const struct space_check spaces[] = {
        {STORE_SPACE_USERS, "users", check_user_row},
        {STORE_SPACE_ACTIVITY, "activity", check_activity},
        {STORE_SPACE_USER_KEYS, "user_keys", verify_user_key},
        {STORE_SPACE_TIERS, "tiers", verify_tier},
        {STORE_SPACE_JOBS, "jobs", check_job},
        {STORE_SPACE_IMAGES, "images", check_image},
        {STORE_SPACE_LISTS, "lists", check_page},
        {STORE_SPACE_QUEUE, "queue", check_due},
        {STORE_SPACE_LEASES, "leases", check_lease},
        {STORE_SPACE_REQUESTS, "requests", check_request},
        {STORE_SPACE_WAITING, "waiting", check_waiting},
        {STORE_SPACE_PENDING, "holds", verify_hold},
        {STORE_SPACE_PRICES, "prices", verify_price},
        {STORE_SPACE_EVENTS, "events", check_event},
        {STORE_SPACE_CONSUMERS, "consumers", check_consumer},
        {STORE_SPACE_PAYMENTS, "payments", verify_payment},
    };
    int status = verify_home(v);
    if (status == 0)
        status = verify_user_ids(v);
    for (size_t i = 0; status == 0 && i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        struct space_run run = {v, &spaces[i], 0};
        verify_phase(v, spaces[i].phase, spaces[i].space);
        status = verify_each(v, spaces[i].space, visit, &run);
    }
    return status;
}
