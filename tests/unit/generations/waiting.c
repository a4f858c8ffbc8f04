/* The queue for workers: its order, against an array, and its rows, against the jobs. */
#include "records.h"

#include "generations/check.h"
#include "generations/waiting.h"

enum { MODEL_JOBS = 600, USERS = 4, MODELS = 3, PRIORITIES = 3, AGING_MS = 1000, WAIT_MS = 100000 };

static const char *const model_names[MODELS] = {"sd-1.5", "sd-xl", ""};
static const uint32_t priorities[PRIORITIES] = {0, 1, 10};

/* ---- Steps ---- */

static struct generations_job waiting_job(uint64_t number, uint64_t user_id, const char *model,
                                          uint32_t priority)
{
    struct generations_job job = make_job(number, user_id);
    memset(job.parameters.model, 0, sizeof(job.parameters.model));
    memcpy(job.parameters.model, model, strlen(model));
    job.flags = GENERATIONS_JOB_COUNTED | GENERATIONS_JOB_QUEUED;
    if (user_id == 0)
        job.address = slice_of_text("\x7f\x01\x02");
    job.priority = priority;
    job.attempts_max = 3;
    job.wait_ms = WAIT_MS;
    job.created_ms = number;
    job.expires_ms = number + WAIT_MS;
    return job;
}

static int run_take(struct store_txn *txn, struct call *call)
{
    return generations_waiting_take(txn, call->out, &call->error);
}

static int take(struct store *store, struct generations_take *take)
{
    take->worker = "worker-1";
    take->lease_ms = 50;
    return change(store, &(struct call){.run = run_take, .out = take});
}

static int run_return(struct store_txn *txn, struct call *call)
{
    return generations_waiting_return(txn, call->out, &call->error);
}

static int give_back(struct store *store, struct generations_return *back)
{
    return change(store, &(struct call){.run = run_return, .out = back});
}

static void take_number(struct store *store, uint64_t number)
{
    struct generations_take taken = {.serves = {.now_ms = 5000}};
    CHECK_OK(take(store, &taken));
    CHECK_UINT(load_be64(taken.job.id.bytes + 8), ==, number);
}

/* ---- The rows ---- */

static void on_finding(void *context, const struct generations_finding *finding)
{
    uint32_t *count = context;
    if (++*count < 4)
        fprintf(stderr, "%s: %s: %s\n", finding->kind, finding->field, finding->rule);
}

static int visit_check(struct store *store, uint32_t *findings, enum store_space space,
                       struct slice key)
{
    struct store_txn *txn;
    uint8_t bytes[GENERATIONS_RESERVATION_MAX];
    struct buffer reservation = buffer_of(bytes, sizeof(bytes));
    struct jini_id id;
    CHECK_OK(store_read_begin(store, &txn));
    const struct generations_check check = {txn, on_finding, findings};
    int status = space == STORE_SPACE_WAITING
                     ? generations_check_waiting(&check, key)
                     : generations_check_job(&check, key, &id, &reservation);
    store_read_end(txn);
    return status;
}

struct checked {
    struct store *store;
    enum store_space space;
    uint32_t findings;
};

static int visit(void *argument, struct slice key, struct slice value)
{
    struct checked *checked = argument;
    (void)value;
    return visit_check(checked->store, &checked->findings, checked->space, key);
}

static uint32_t check_rows(struct store *store)
{
    struct checked checked = {store, STORE_SPACE_WAITING, 0};
    struct slice all = slice_of(NULL, 0);
    CHECK_OK(store_each(store, checked.space, all, all, visit, &checked));
    checked.space = STORE_SPACE_JOBS;
    CHECK_OK(store_each(store, checked.space, all, all, visit, &checked));
    return checked.findings;
}

/* ---- The model ---- */

struct model_job {
    struct jini_id id;
    uint64_t user;
    unsigned model;
    unsigned rank;
    uint64_t round;
    uint64_t created_ms;
    uint32_t attempt;
    char standing; /* 'r'eady, 'd'elayed, 't'aken, 'e'nded */
};

struct model {
    struct store *store;
    uint64_t now_ms;
    uint64_t count;
    uint64_t rounds[MODELS][PRIORITIES];
    struct model_job jobs[MODEL_JOBS];
};

static bool in_line(const struct model_job *job, unsigned model, unsigned rank)
{
    return job->standing != 'e' && job->model == model && job->rank == rank;
}

/* A line that has no job begins anew. */
static void forget_empty(struct model *m)
{
    for (unsigned line = 0; line < MODELS * PRIORITIES; line++) {
        bool any = false;
        for (uint64_t i = 0; i < m->count; i++)
            any |= in_line(&m->jobs[i], line / PRIORITIES, line % PRIORITIES);
        if (!any)
            m->rounds[line / PRIORITIES][line % PRIORITIES] = 0;
    }
}

static void model_create(struct model *m)
{
    struct model_job *job = &m->jobs[m->count];
    job->user = harness_random_below(USERS);
    job->model = (unsigned)harness_random_below(MODELS);
    job->rank = (unsigned)harness_random_below(PRIORITIES);
    job->created_ms = m->now_ms;
    job->round = m->rounds[job->model][job->rank];
    for (uint64_t i = 0; i < m->count; i++) {
        if (in_line(&m->jobs[i], job->model, job->rank) && m->jobs[i].user == job->user &&
            m->jobs[i].round > job->round)
            job->round = m->jobs[i].round;
    }
    job->round++;
    job->standing = 'r';
    struct generations_job made =
        waiting_job(m->count, job->user, model_names[job->model], priorities[job->rank]);
    made.created_ms = m->now_ms;
    made.expires_ms = m->now_ms + WAIT_MS;
    job->id = made.id;
    CHECK_OK(create_job(m->store, &made));
    m->count++;
}

static struct model_job *first_of_line(struct model *m, unsigned model, unsigned rank)
{
    struct model_job *best = NULL;
    for (uint64_t i = 0; i < m->count; i++) {
        struct model_job *job = &m->jobs[i];
        if (in_line(job, model, rank) && job->standing == 'r' &&
            (!best || job->round < best->round))
            best = job;
    }
    return best;
}

static struct model_job *model_next(struct model *m, uint32_t serves, uint64_t aging_ms)
{
    struct model_job *best = NULL;
    uint64_t best_rank = 0;
    for (unsigned line = 0; line < MODELS * PRIORITIES; line++) {
        struct model_job *job = first_of_line(m, line / PRIORITIES, line % PRIORITIES);
        if (!job || !(serves & 1u << job->model))
            continue;
        uint64_t rank = priorities[job->rank];
        if (aging_ms)
            rank += (m->now_ms - job->created_ms) / aging_ms;
        if (!best || rank > best_rank ||
            (rank == best_rank && job->created_ms < best->created_ms)) {
            best = job;
            best_rank = rank;
        }
    }
    return best;
}

static void model_take(struct model *m)
{
    uint32_t serves = (uint32_t)harness_random_below(1u << MODELS);
    const char *names[MODELS];
    struct generations_take taken = {
        .serves = {.models = names,
                   .now_ms = m->now_ms,
                   .aging_ms = harness_random_below(2) ? AGING_MS : 0}};
    for (unsigned i = 0; i < MODELS; i++) {
        if (serves & 1u << i)
            names[taken.serves.model_count++] = model_names[i];
    }
    uint32_t all = serves == 0 ? UINT32_MAX : serves;
    struct model_job *job = model_next(m, all, taken.serves.aging_ms);
    int status = take(m->store, &taken);
    CHECK_UINT(taken.damaged, ==, 0);
    if (!job) {
        CHECK_STATUS(status, JINI_E_NOT_FOUND);
        return;
    }
    CHECK_OK(status);
    CHECK_UINT(load_be64(taken.job.id.bytes + 8), ==, load_be64(job->id.bytes + 8));
    CHECK_UINT(taken.job.attempt, ==, ++job->attempt);
    CHECK_INT(taken.job.state, ==, JINI_JOB_IN_PROGRESS);
    CHECK_TEXT(taken.job.worker, "worker-1");
    job->standing = 't';
    uint64_t *round = &m->rounds[job->model][job->rank];
    *round = *round < job->round ? job->round : *round;
}

/* Any job is ended or put back, by who has it or by who has had it. */
static void model_change(struct model *m)
{
    struct model_job *job = &m->jobs[harness_random_below(m->count)];
    bool stale = harness_random_below(4) == 0;
    uint32_t attempt = job->attempt + stale;
    if (harness_random_below(2)) {
        struct generations_return back = {.id = job->id,
                                          .attempt = stale ? attempt : 0,
                                          .now_ms = m->now_ms,
                                          .ready_ms = harness_random_below(2) ? m->now_ms + 10 : 0,
                                          .failure = "again"};
        int status = give_back(m->store, &back);
        bool right = !stale && (job->standing == 't' || (job->standing == 'd' && !back.ready_ms));
        CHECK_STATUS(status, right ? 0 : JINI_E_CONFLICT);
        if (status == 0)
            job->standing = back.ready_ms ? 'd' : 'r';
        return;
    }
    bool completes = harness_random_below(2);
    struct generations_job_change end = {.id = job->id,
                                         .to = completes ? JINI_JOB_COMPLETED : JINI_JOB_CANCELLED,
                                         .now_ms = m->now_ms,
                                         .attempt = completes || stale ? attempt : 0};
    int status = change_job(m->store, &end);
    bool right = completes || stale ? job->standing == 't' && !stale : job->standing != 'e';
    CHECK_STATUS(status, right ? 0 : JINI_E_CONFLICT);
    if (status == 0)
        job->standing = 'e';
}

static void check_position(struct model *m)
{
    struct generations_position position;
    struct jini_error error;
    struct store_txn *txn;
    const struct model_job *job = &m->jobs[harness_random_below(m->count)];
    uint64_t ahead = 0;
    for (uint64_t i = 0; i < m->count; i++) {
        const struct model_job *other = &m->jobs[i];
        if (other->standing != 'r' || other->model != job->model)
            continue;
        ahead += other->rank > job->rank;
        ahead += other->rank == job->rank &&
                 (other->round < job->round || (other->round == job->round && other < job));
    }
    CHECK_OK(store_read_begin(m->store, &txn));
    int status = generations_waiting_position(txn, &job->id, MODEL_JOBS, &position, &error);
    store_read_end(txn);
    CHECK_STATUS(status, job->standing == 'r' ? 0 : JINI_E_CONFLICT);
    if (status == 0)
        CHECK_UINT(position.ahead, ==, ahead);
}

TEST(order_is_that_of_the_model,
     "Under random creations, takes by workers of any models, returns, delays and ends, each take "
     "gives the job that an array says, and all rows agree.")
{
    struct model *m = calloc(1, sizeof(*m));
    m->store = records_open(STORE_DRIVER_MEMORY);
    m->now_ms = 1000;
    unsigned steps = 900 * harness_scale();
    for (unsigned i = 0; i < steps; i++) {
        m->now_ms += harness_random_below(100);
        uint64_t what = harness_random_below(100);
        if (m->count == 0 || (what < 40 && m->count < MODEL_JOBS))
            model_create(m);
        else if (what < 75)
            model_take(m);
        else
            model_change(m);
        forget_empty(m);
        if (i % 16 == 0)
            check_position(m);
        if (i % 64 == 0)
            CHECK_UINT(check_rows(m->store), ==, 0);
    }
    CHECK_UINT(check_rows(m->store), ==, 0);
    for (uint64_t i = 0; i < m->count; i++) {
        struct generations_job_change end = {
            .id = m->jobs[i].id, .to = JINI_JOB_CANCELLED, .now_ms = m->now_ms};
        if (m->jobs[i].standing != 'e')
            CHECK_OK(change_job(m->store, &end));
    }
    CHECK_UINT(check_rows(m->store), ==, 0);
    CHECK_UINT(count_rows(m->store, STORE_SPACE_WAITING), <=, PRIORITIES);
    store_close(m->store);
    free(m);
}

TEST(a_user_with_many_jobs_holds_up_no_other,
     "Of one line, the job of a user who comes when another has many waiting is among the next "
     "two, and one who comes again and again keeps nobody from the front either.")
{
    struct store *store = records_open(STORE_DRIVER_MEMORY);
    uint64_t number = 1;
    for (; number <= 50; number++) {
        struct generations_job job = waiting_job(number, 1, "m", 0);
        CHECK_OK(create_job(store, &job));
    }
    take_number(store, 1);
    for (unsigned turn = 0; turn < 10; turn++, number++) {
        struct generations_job job = waiting_job(number, 2, "m", 0);
        CHECK_OK(create_job(store, &job));
        take_number(store, 2 + turn);
        take_number(store, number);
    }
    store_close(store);
}

TEST(a_low_priority_waits_but_not_for_ever,
     "Without aging the higher priority goes first; with it a job that has waited for so long for "
     "each step between them goes before one that came later.")
{
    struct store *store = records_open(STORE_DRIVER_MEMORY);
    for (uint64_t number = 1; number <= 4; number++) {
        struct generations_job job = waiting_job(number * 1000, 1, "m", number == 1 ? 0 : 2);
        CHECK_OK(create_job(store, &job));
    }
    take_number(store, 2000);
    struct generations_take taken = {.serves = {.now_ms = 4999, .aging_ms = 1000}};
    CHECK_OK(take(store, &taken));
    CHECK_UINT(load_be64(taken.job.id.bytes + 8), ==, 1000);
    store_close(store);
}

TEST(what_comes_back_is_first,
     "A job that is put back keeps its round and goes before all others of its line; one that is "
     "delayed is passed over until then, and keeps the time that it had to wait.")
{
    struct store *store = records_open(STORE_DRIVER_MEMORY);
    for (uint64_t number = 1; number <= 3; number++) {
        struct generations_job job = waiting_job(number, number, "m", 0);
        CHECK_OK(create_job(store, &job));
    }
    take_number(store, 1);
    struct generations_return back = {.id = make_id(1, 1), .attempt = 1, .now_ms = 700};
    CHECK_OK(give_back(store, &back));
    CHECK_INT(back.job.state, ==, JINI_JOB_IN_QUEUE);
    CHECK_UINT(back.job.expires_ms, ==, 700 + WAIT_MS);
    CHECK_UINT(back.job.started_ms, ==, 0);
    take_number(store, 1);
    back.attempt = 1;
    CHECK_STATUS(give_back(store, &back), JINI_E_CONFLICT);
    back.attempt = 2;
    back.ready_ms = 900;
    back.failure = "out of memory";
    CHECK_OK(give_back(store, &back));
    CHECK_UINT(back.job.flags, ==, JINI_JOB_FOR_WORKERS | JINI_JOB_DELAYED);
    CHECK_UINT(back.job.expires_ms, ==, 900);
    CHECK_TEXT(back.job.error, "out of memory");
    take_number(store, 2);
    back.attempt = 0;
    back.ready_ms = 0;
    CHECK_OK(give_back(store, &back));
    take_number(store, 1);
    CHECK_UINT(check_rows(store), ==, 0);
    store_close(store);
}

TEST(no_more_wait_than_may,
     "A job beyond the bound on those that wait is refused as busy, and taken ones do not count.")
{
    struct store *store = records_open(STORE_DRIVER_MEMORY);
    for (uint64_t number = 1; number <= 4; number++) {
        struct generations_job job = waiting_job(number, number, "m", (uint32_t)number);
        job.waiting_max = 3;
        CHECK_STATUS(create_job(store, &job), number < 4 ? 0 : JINI_E_BUSY);
    }
    take_number(store, 3);
    struct generations_job job = waiting_job(5, 1, "m", 0);
    job.waiting_max = 3;
    CHECK_OK(create_job(store, &job));
    store_close(store);
}

/* ---- Damage ---- */

static struct tuple turn_key(const char *model, uint32_t priority, uint64_t round, uint64_t number)
{
    struct tuple key;
    const struct jini_id id = make_id(1, number);
    tuple_begin(&key);
    tuple_add_text(&key, slice_of_text("turn"));
    tuple_add_text(&key, slice_of_text(model));
    tuple_add_uint(&key, JINI_QUEUE_PRIORITY_MAX - priority);
    tuple_add_uint(&key, round);
    tuple_add_id(&key, &id);
    return key;
}

TEST(a_row_that_leads_nowhere_holds_up_no_other,
     "A turn of a job that is not there is found, dropped by the next take, and the jobs behind it "
     "are taken.")
{
    struct store *store = records_open(STORE_DRIVER_MEMORY);
    struct generations_job job = waiting_job(7, 1, "m", 0);
    CHECK_OK(create_job(store, &job));
    struct raw_row row = {STORE_SPACE_WAITING, turn_key("m", 0, 0, 99),
                          slice_of("\0\0\0\0\0\0\0\0", 8)};
    put_raw(store, &row);
    CHECK_UINT(check_rows(store), ==, 3); /* the turn, the count, the first of the line */
    struct generations_take taken = {.serves = {.now_ms = 5000}};
    CHECK_OK(take(store, &taken));
    CHECK_UINT(taken.damaged, ==, 1);
    CHECK_UINT(load_be64(taken.job.id.bytes + 8), ==, 7);
    CHECK_UINT(check_rows(store), ==, 0);
    CHECK_STATUS(take(store, &taken), JINI_E_NOT_FOUND);
    store_close(store);
}

static const char *const kinds[] = {"flow", "turn", "line", "rank", "head"};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]), KINDS_WITH_VALUE = 4 };

/* The key of the one row of a kind. */
static struct tuple only_key(struct store *store, const char *kind)
{
    struct store_txn *txn;
    struct store_cursor cursor;
    struct tuple key;
    tuple_begin(&key);
    tuple_add_text(&key, slice_of_text(kind));
    struct tuple high = key;
    CHECK(tuple_after_prefix(&high));
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_OK(store_cursor_open(txn, STORE_SPACE_WAITING, tuple_key(&key), tuple_key(&high),
                               STORE_FORWARD, &cursor));
    CHECK_OK(store_cursor_next(&cursor, NULL));
    memcpy(key.bytes, cursor.key.data, cursor.key.length);
    key.length = cursor.key.length;
    CHECK_STATUS(store_cursor_next(&cursor, NULL), JINI_E_NOT_FOUND);
    store_cursor_close(&cursor);
    store_read_end(txn);
    return key;
}

TEST(rows_that_are_lost_are_found,
     "For each kind of row, that one is gone while its job waits is found, and the job can be "
     "cancelled.")
{
    for (size_t i = 0; i < KINDS; i++) {
        struct store *store = records_open(STORE_DRIVER_MEMORY);
        struct generations_job job = waiting_job(7, 1, "m", 5);
        CHECK_OK(create_job(store, &job));
        CHECK_UINT(check_rows(store), ==, 0);
        struct raw_row row = {.space = STORE_SPACE_WAITING, .key = only_key(store, kinds[i])};
        put_raw(store, &row);
        CHECK_UINT(check_rows(store), >, 0);
        CHECK_OK(set_job_state(store, job.id, JINI_JOB_CANCELLED));
        store_close(store);
    }
}

TEST(damaged_rows_are_found_and_end_no_job,
     "For each kind of row, one whose bytes are none is found, and the job that it is about can be "
     "cancelled.")
{
    for (size_t i = 0; i < KINDS_WITH_VALUE; i++) {
        struct store *store = records_open(STORE_DRIVER_MEMORY);
        struct generations_job job = waiting_job(7, 1, "m", 5);
        CHECK_OK(create_job(store, &job));
        struct raw_row row = {STORE_SPACE_WAITING, only_key(store, kinds[i]),
                              slice_of("\xc1 bad", 5)};
        put_raw(store, &row);
        CHECK_UINT(check_rows(store), >, 0);
        CHECK_OK(set_job_state(store, job.id, JINI_JOB_CANCELLED));
        store_close(store);
    }
}
