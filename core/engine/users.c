/* Users: adding, changing, logging in, reading. Passwords are hashed on threads of their own. */
#include "engine/paying.h"
#include "engine/txn.h"

#include "accounts/accounts.h"
#include "base/alloc.h"
#include "base/crypto.h"
#include "base/error.h"
#include "events/events.h"

enum { USER_OP_BYTES = 1024 + EVENT_BYTES, LOGIN_TRIES = 3 };

static struct crypto_password_cost password_cost(const struct jini *jini)
{
    return (struct crypto_password_cost){(uint32_t)jini->options.password_memory_kib,
                                         (uint32_t)jini->options.password_passes};
}

static struct slice text_slice(const char *text)
{
    return slice_of_text(text);
}

/* The tier as it is now; one that was paid for ends by itself. Else `user` is all zero. */
static int user_tier_now(struct jini_txn *txn, struct jini_user *user, struct jini_error *error)
{
    uint64_t now_ms = txn->now_ms ? txn->now_ms : clock_wall_ns(txn->jini->clock) / NS_PER_MS;
    int status = user_tier_at(txn->store, now_ms, user, error);
    if (status)
        memset(user, 0, sizeof(*user));
    return status;
}

/* Frees what a request kept beside itself, and ends it. */
static void finish_with_work(struct jini_request *request, int status)
{
    struct request_state *state = request_state(request);
    void *work = state->work;
    state->work = NULL;
    base_free(work);
    request_finish(request, status);
}

static int refuse_with_work(struct jini_request *request, int status)
{
    struct request_state *state = request_state(request);
    base_free(state->work);
    state->work = NULL;
    return request_refuse(request, status);
}

/* ---- Adding ---------------------------------------------------------------------------------- */

struct add_work {
    struct accounts_draw draw;
    uint64_t suffix_seed;
    bool derive_username;
    const char *hash; /* the caller's, or `made` */
    char made[CRYPTO_PASSWORD_HASH_MAX];
};

static int create_user(struct jini_txn *txn, struct jini_user_add *add, struct add_work *work)
{
    struct accounts_create create = {
        .user = &add->user,
        .derive_username = work->derive_username,
        .password_hash = work->hash,
        .now_ms = txn->now_ms,
        .suffix_seed = work->suffix_seed,
        .draw = &work->draw,
        .check_limits = limits_text_is_checked,
    };
    struct event event;
    int status = accounts_user_create(txn->store, &create, &add->request.error);
    if (status)
        return status;
    event_begin(&event, EVENT_USER_CREATED, add->user.id, NULL);
    event_add_text(&event, EVENT_FIELD_TIER, add->user.tier);
    return events_append(txn->store, &event);
}

static int op_user_add(struct jini_txn *txn, void *request)
{
    struct jini_user_add *add = request;
    return create_user(txn, add, request_state(&add->request)->work);
}

static void after_user_add(struct jini_request *request)
{
    struct request_state *state = request_state(request);
    struct add_work *work = state->work;
    accounts_ids_settle(&state->jini->user_ids, &work->draw, request->status);
    crypto_wipe(work->made, sizeof(work->made));
    finish_with_work(request, request->status);
}

static int write_user_add(struct jini_request *request)
{
    struct request_state *state = request_state(request);
    struct add_work *work = state->work;
    accounts_ids_draw(&state->jini->user_ids, &work->draw);
    int status = request_write(request, op_user_add, STORE_NEW_WORK, USER_OP_BYTES, after_user_add);
    if (status)
        accounts_ids_settle(&state->jini->user_ids, &work->draw, status);
    return status;
}

static void hash_for_add(struct worker_task *task, int status)
{
    struct jini_request *request = request_of_task(task);
    struct request_state *state = request_state(request);
    struct add_work *work = state->work;
    const struct jini_user_add *add = (const struct jini_user_add *)request;
    if (status == 0)
        status =
            crypto_password_hash(text_slice(add->password), password_cost(state->jini), work->made);
    work->hash = work->made;
    if (status == 0)
        status = write_user_add(request);
    if (status)
        finish_with_work(request, status);
}

static int check_add(struct jini_user_add *add, enum txn_place place)
{
    struct jini_error *error = &add->request.error;
    uint32_t fields = JINI_USER_FIELD_EMAIL | JINI_USER_FIELD_NAMES | JINI_USER_FIELD_FLAGS |
                      JINI_USER_FIELD_TIER | JINI_USER_FIELD_OVERRIDES;
    if (add->user.username[0] != '\0' || add->user.email[0] == '\0')
        fields |= JINI_USER_FIELD_USERNAME;
    int status = accounts_user_check(&add->user, fields, txn_limits_check(place), error);
    if (status)
        return status;
    if (add->password && add->password_hash)
        return error_set(error, JINI_E_INVALID, "password_hash",
                         "give a password or a hash, not both");
    if (add->password)
        return accounts_password_check_rules(add->password, error);
    return add->password_hash ? accounts_password_check_hash(add->password_hash, error) : 0;
}

int jini_user_add(struct jini *jini, struct jini_user_add *add, jini_callback *callback)
{
    struct jini_request *request = &add->request;
    int status = request_begin(jini, request, sizeof(*add), REQUEST_USER_ADD, callback);
    if (status)
        return status;
    status = check_add(add, TXN_ALONE);
    if (status)
        return request_refuse(request, status);
    struct add_work *work = base_calloc(1, sizeof(*work));
    if (!work)
        return request_refuse(request, JINI_E_NO_MEMORY);
    work->derive_username = add->user.username[0] == '\0';
    work->hash = add->password_hash;
    crypto_random(&work->suffix_seed, sizeof(work->suffix_seed));
    request_state(request)->work = work;
    status = add->password ? request_run_on(jini->passwords, request, hash_for_add)
                           : write_user_add(request);
    if (status)
        return refuse_with_work(request, status);
    return callback ? 0 : request_wait(request);
}

/*
 * Inside a transaction nothing is hashed, and the id comes from the counter itself, since an id of
 * the pool would have to be drawn before. A name that is made from the address would be drawn anew
 * at each run.
 */
static int check_add_inside(void *request, enum txn_place place)
{
    struct jini_user_add *add = request;
    struct jini_error *error = &add->request.error;
    if (add->password)
        return error_set(error, JINI_E_INVALID, "password",
                         "hashing takes too long for a transaction; give password_hash, or set the "
                         "password by jini_password_set()");
    if (add->user.username[0] == '\0')
        return error_set(error, JINI_E_INVALID, "username",
                         "empty; a transaction makes no names, so give one");
    return check_add(add, place);
}

static int op_user_add_inside(struct jini_txn *txn, void *request)
{
    struct jini_user_add *add = request;
    struct add_work work = {.draw = {.take = 1}, .hash = add->password_hash};
    return create_user(txn, add, &work);
}

static const struct txn_form add_inside_form = {
    .kind = REQUEST_USER_ADD,
    .size = sizeof(struct jini_user_add),
    .check = check_add_inside,
    .op = op_user_add_inside,
};

int jini_txn_user_add(struct jini_txn *txn, struct jini_user_add *add)
{
    return txn_call(txn, &add->request, &add_inside_form);
}

/* ---- Changing -------------------------------------------------------------------------------- */

static struct accounts_update update_of(struct jini_user_set *set,
                                        accounts_check_limits_fn *check_limits)
{
    return (struct accounts_update){
        .user = &set->user,
        .fields = set->fields,
        .override_fields = set->override_fields,
        .check_limits = check_limits,
    };
}

static int check_user_set(void *request, enum txn_place place)
{
    struct jini_user_set *set = request;
    struct accounts_update update = update_of(set, txn_limits_check(place));
    return accounts_update_check(&update, &set->request.error);
}

static int op_user_set(struct jini_txn *txn, void *request)
{
    struct jini_user_set *set = request;
    struct accounts_update update = update_of(set, limits_text_is_checked);
    char before[JINI_TIER_NAME_MAX];
    update.tier_before = before;
    int status = accounts_user_update(txn->store, &update, &set->request.error);
    if (status == 0 && set->fields & JINI_USER_FIELD_TIER)
        status = subscription_let_go(txn->store, set->user.id, &set->request.error);
    if (status == 0)
        status = tell_tier(txn->store, set->user.id, set->user.tier, before);
    return status ? status : user_tier_now(txn, &set->user, &set->request.error);
}

static const struct txn_form user_set_form = {
    .kind = REQUEST_USER_SET,
    .size = sizeof(struct jini_user_set),
    .bytes = USER_OP_BYTES,
    .class = STORE_NEW_WORK,
    .check = check_user_set,
    .op = op_user_set,
};

int jini_user_set(struct jini *jini, struct jini_user_set *set, jini_callback *callback)
{
    return txn_submit(jini, &set->request, &user_set_form, callback);
}

int jini_txn_user_set(struct jini_txn *txn, struct jini_user_set *set)
{
    return txn_call(txn, &set->request, &user_set_form);
}

/* ---- Passwords ------------------------------------------------------------------------------- */

struct password_work {
    bool has_password;
    char hash[CRYPTO_PASSWORD_HASH_MAX];
};

static int op_password_set(struct jini_txn *txn, void *request)
{
    struct jini_password_set *set = request;
    const struct password_work *work = request_state(&set->request)->work;
    struct accounts_password_change change = {set->user_id, work->has_password ? work->hash : NULL};
    return accounts_password_set(txn->store, &change, &set->request.error);
}

static void after_password_set(struct jini_request *request)
{
    struct password_work *work = request_state(request)->work;
    crypto_wipe(work->hash, sizeof(work->hash));
    finish_with_work(request, request->status);
}

static void hash_for_set(struct worker_task *task, int status)
{
    struct jini_request *request = request_of_task(task);
    struct request_state *state = request_state(request);
    struct password_work *work = state->work;
    const struct jini_password_set *set = (const struct jini_password_set *)request;
    if (status == 0)
        status =
            crypto_password_hash(text_slice(set->password), password_cost(state->jini), work->hash);
    if (status == 0)
        status = request_write(request, op_password_set, STORE_NEW_WORK, USER_OP_BYTES,
                               after_password_set);
    if (status)
        finish_with_work(request, status);
}

int jini_password_set(struct jini *jini, struct jini_password_set *set, jini_callback *callback)
{
    struct jini_request *request = &set->request;
    int status = request_begin(jini, request, sizeof(*set), REQUEST_PASSWORD_SET, callback);
    if (status)
        return status;
    if (set->password)
        status = accounts_password_check_rules(set->password, &request->error);
    if (status)
        return request_refuse(request, status);
    struct password_work *work = base_calloc(1, sizeof(*work));
    if (!work)
        return request_refuse(request, JINI_E_NO_MEMORY);
    work->has_password = set->password != NULL;
    request_state(request)->work = work;
    status = set->password ? request_run_on(jini->passwords, request, hash_for_set)
                           : request_write(request, op_password_set, STORE_NEW_WORK, USER_OP_BYTES,
                                           after_password_set);
    if (status)
        return refuse_with_work(request, status);
    return callback ? 0 : request_wait(request);
}

/* ---- Logging in ------------------------------------------------------------------------------ */

struct login_work {
    struct accounts_credentials credentials;
    unsigned tries;
    bool renewed;
    char hash[CRYPTO_PASSWORD_HASH_MAX];
};

static void check_login(struct worker_task *task, int status);

static int op_login(struct jini_txn *txn, void *request)
{
    struct jini_login *login = request;
    const struct login_work *work = request_state(&login->request)->work;
    struct accounts_login record = {
        .verified = work->credentials,
        .renewed_hash = work->renewed ? work->hash : NULL,
        .now_ms = txn->now_ms,
        .user = &login->user,
    };
    int status = accounts_login_record(txn->store, &record, &login->request.error);
    return status ? status : user_tier_now(txn, &login->user, &login->request.error);
}

/* A password that was changed between the check and its record is checked again. */
static void after_login(struct jini_request *request)
{
    struct request_state *state = request_state(request);
    struct login_work *work = state->work;
    int status = request->status;
    if (status == JINI_E_CONFLICT && ++work->tries < LOGIN_TRIES) {
        status = request_run_on(state->jini->passwords, request, check_login);
        if (status == 0)
            return;
    }
    crypto_wipe(work, sizeof(*work));
    finish_with_work(request, status == JINI_E_NOT_FOUND ? JINI_E_DENIED : status);
}

static int find_credentials(struct jini *jini, const char *login, struct accounts_credentials *out,
                            struct jini_error *error)
{
    struct store_txn *txn;
    int status = store_read_begin_explained(jini->store, &txn, error);
    if (status)
        return status;
    status = accounts_credentials_find(txn, login, out);
    store_read_end(txn);
    return status;
}

static int verify_login(struct jini *jini, struct jini_login *login, struct login_work *work)
{
    struct crypto_password_cost cost = password_cost(jini);
    int status = find_credentials(jini, login->login, &work->credentials, &login->request.error);
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    const char *stored = status == 0 ? work->credentials.password_hash : NULL;
    status = accounts_password_verify(login->password, stored, cost);
    if (status)
        return status;
    work->renewed = crypto_password_outdated(stored, cost);
    return work->renewed ? crypto_password_hash(text_slice(login->password), cost, work->hash) : 0;
}

static void check_login(struct worker_task *task, int status)
{
    struct jini_request *request = request_of_task(task);
    struct request_state *state = request_state(request);
    struct login_work *work = state->work;
    struct jini_login *login = (struct jini_login *)request;
    if (status == 0)
        status = verify_login(state->jini, login, work);
    if (status == 0)
        status = request_write(request, op_login, STORE_NEW_WORK, USER_OP_BYTES, after_login);
    if (status) {
        crypto_wipe(work, sizeof(*work));
        finish_with_work(request, status);
    }
}

int jini_login(struct jini *jini, struct jini_login *login, jini_callback *callback)
{
    struct jini_request *request = &login->request;
    int status = request_begin(jini, request, sizeof(*login), REQUEST_LOGIN, callback);
    if (status)
        return status;
    if (!login->login || !login->password || strlen(login->password) >= JINI_PASSWORD_MAX) {
        status = error_set(&request->error, JINI_E_INVALID, login->login ? "password" : "login",
                           "a login and a password of up to 1,024 bytes are needed");
        return request_refuse(request, status);
    }
    request_state(request)->work = base_calloc(1, sizeof(struct login_work));
    if (!request_state(request)->work)
        return request_refuse(request, JINI_E_NO_MEMORY);
    status = request_run_on(jini->passwords, request, check_login);
    if (status)
        return refuse_with_work(request, status);
    return callback ? 0 : request_wait(request);
}

/* ---- Reading --------------------------------------------------------------------------------- */

int jini_txn_user_get(struct jini_txn *txn, uint64_t id, struct jini_user *out,
                      struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    int status = accounts_user_get(txn->store, id, out);
    if (status)
        error_set(said, status, "id", "user %llu: %s", (unsigned long long)id,
                  jini_status_text(status));
    if (status == 0)
        status = user_tier_now(txn, out, said);
    return txn_answer(txn, status, said, "id", "user");
}

int jini_user_get(struct jini *jini, uint64_t id, struct jini_user *out, struct jini_error *error)
{
    struct jini_txn txn;
    int status = txn_snapshot(jini, &txn, error);
    if (status) {
        memset(out, 0, sizeof(*out));
        return status;
    }
    status = jini_txn_user_get(&txn, id, out, error);
    txn_snapshot_end(&txn);
    return status;
}

int jini_txn_user_find(struct jini_txn *txn, const char *login, struct jini_user *out,
                       struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    memset(out, 0, sizeof(*out));
    int status = check_given(login, "login", said);
    if (status)
        return txn_answer(txn, status, said, "login", "user");
    status = accounts_user_find(txn->store, login, out);
    if (status)
        error_set(said, status, "login", "user \"%s\": %s", login, jini_status_text(status));
    if (status == 0)
        status = user_tier_now(txn, out, said);
    return txn_answer(txn, status, said, "login", "user");
}

int jini_user_find(struct jini *jini, const char *login, struct jini_user *out,
                   struct jini_error *error)
{
    struct jini_txn txn;
    int status = txn_snapshot(jini, &txn, error);
    if (status) {
        memset(out, 0, sizeof(*out));
        return status;
    }
    status = jini_txn_user_find(&txn, login, out, error);
    txn_snapshot_end(&txn);
    return status;
}

int jini_txn_user_list(struct jini_txn *txn, uint64_t after, struct jini_user *out, size_t capacity,
                       size_t *count, struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    *count = 0;
    int status = accounts_user_list(txn->store, after, out, capacity, count);
    for (size_t i = 0; status == 0 && i < *count; i++) {
        status = user_tier_now(txn, &out[i], said);
        *count = status ? i : *count;
    }
    return txn_answer(txn, status, said, "user", "users");
}

int jini_user_list(struct jini *jini, uint64_t after, struct jini_user *out, size_t capacity,
                   size_t *count, struct jini_error *error)
{
    struct jini_txn txn;
    *count = 0;
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_user_list(&txn, after, out, capacity, count, error);
    txn_snapshot_end(&txn);
    return status;
}
