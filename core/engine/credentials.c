/* Keys and sessions: the calls. Rows and rules are those of accounts (accounts/credentials.h). */
#include "engine/credentials.h"

#include "base/alloc.h"
#include "base/error.h"
#include "engine/txn.h"
#include "limits/text.h"

enum { CREDENTIAL_OP_BYTES = 768 };

/* Whether a key may have these limits. */
static int check_key_limits(const char *text, struct jini_error *error)
{
    struct limit_list list;
    int status = text[0] == '\0' ? 0 : limit_parse(slice_of_text(text), &list, error);
    if (status || text[0] == '\0')
        return status;
    for (uint32_t i = 0; i < list.count; i++) {
        if (limit_is_quota(&list.limits[i]))
            return error_set(error, JINI_E_INVALID, "limits",
                             "a key has rate limits, of less than an hour; quotas are its user's");
    }
    if (list.count > JINI_KEY_LIMITS_MAX)
        return error_set(error, JINI_E_INVALID, "limits", "%u limits: a key has up to %d",
                         list.count, JINI_KEY_LIMITS_MAX);
    return 0;
}

/* ---- Adding ---- */

/* Drawn before the op, which runs more than once. */
struct made {
    struct credential_text text;
    char told[JINI_CREDENTIAL_TEXT_MAX];
    struct jini_credential wanted;
};

static struct made *make(enum jini_credential_kind kind, const struct jini_credential *wanted)
{
    uint8_t random[CREDENTIAL_RANDOM_BYTES];
    struct made *made = base_calloc(1, sizeof(*made));
    if (!made)
        return NULL;
    crypto_random(random, sizeof(random));
    credential_make(kind, random, made->told, &made->text);
    crypto_wipe(random, sizeof(random));
    made->wanted = *wanted;
    made->wanted.id = made->text.id;
    made->wanted.kind = kind;
    return made;
}

static void finish_made(struct jini_request *request, int status)
{
    struct request_state *state = request_state(request);
    struct made *made = state->work;
    state->work = NULL;
    crypto_wipe(made, sizeof(*made));
    base_free(made);
    request_finish(request, status);
}

/* Draws, and writes what was drawn. */
static int start(struct jini_request *request, enum jini_credential_kind kind,
                 const struct jini_credential *wanted, txn_op_fn *op, request_step_fn *after)
{
    struct request_state *state = request_state(request);
    struct made *made = make(kind, wanted);
    if (!made)
        return JINI_E_NO_MEMORY;
    state->work = made;
    int status = request_write(request, op, STORE_NEW_WORK, CREDENTIAL_OP_BYTES, after);
    if (status) {
        state->work = NULL;
        crypto_wipe(made, sizeof(*made));
        base_free(made);
    }
    return status;
}

static int past(struct jini_error *error)
{
    return error_set(error, JINI_E_INVALID, "expires_ms", "it lies in the past");
}

static int op_key_add(struct jini_txn *txn, void *request)
{
    struct jini_key_add *add = request;
    const struct made *made = request_state(&add->request)->work;
    add->key = made->wanted;
    if (add->key.expires_ms != 0 && add->key.expires_ms <= txn->now_ms)
        return past(&add->request.error);
    const struct credential_add one = {
        .credential = &add->key,
        .digest = made->text.digest,
        .now_ms = txn->now_ms,
        .most = (uint32_t)txn->jini->options.keys_per_user_max,
    };
    return credentials_add(txn->store, &one, &add->request.error);
}

static void after_key_add(struct jini_request *request)
{
    const struct made *made = request_state(request)->work;
    struct jini_key_add *add = (struct jini_key_add *)request;
    if (request->status == 0)
        memcpy(add->text, made->told, sizeof(add->text));
    finish_made(request, request->status);
}

int jini_key_add(struct jini *jini, struct jini_key_add *add, jini_callback *callback)
{
    struct jini_request *request = &add->request;
    int status = request_begin(jini, request, sizeof(*add), REQUEST_KEY_ADD, callback);
    if (status)
        return status;
    memset(add->text, 0, sizeof(add->text));
    add->key.kind = JINI_KEY;
    status = credential_check_new(&add->key, check_key_limits, &request->error);
    if (status == 0)
        status = start(request, JINI_KEY, &add->key, op_key_add, after_key_add);
    if (status)
        return request_refuse(request, status);
    return callback ? 0 : request_wait(request);
}

static int op_session_begin(struct jini_txn *txn, void *request)
{
    struct jini_session_begin *begin = request;
    const struct made *made = request_state(&begin->request)->work;
    const struct jini_options *options = &txn->jini->options;
    begin->session = made->wanted;
    if (begin->session.expires_ms == 0)
        begin->session.expires_ms = txn->now_ms + options->session_ttl_s * 1000;
    if (begin->session.expires_ms <= txn->now_ms)
        return past(&begin->request.error);
    const struct credential_add one = {
        .credential = &begin->session,
        .digest = made->text.digest,
        .epoch = begin->revocation_epoch,
        .now_ms = txn->now_ms,
        .most = (uint32_t)options->sessions_per_user_max,
    };
    return credentials_add(txn->store, &one, &begin->request.error);
}

static void after_session_begin(struct jini_request *request)
{
    const struct made *made = request_state(request)->work;
    struct jini_session_begin *begin = (struct jini_session_begin *)request;
    if (request->status == 0)
        memcpy(begin->text, made->told, sizeof(begin->text));
    finish_made(request, request->status);
}

int jini_session_begin(struct jini *jini, struct jini_session_begin *begin, jini_callback *callback)
{
    struct jini_request *request = &begin->request;
    int status = request_begin(jini, request, sizeof(*begin), REQUEST_SESSION_BEGIN, callback);
    if (status)
        return status;
    memset(begin->text, 0, sizeof(begin->text));
    begin->session.kind = JINI_SESSION;
    begin->session.limits[0] = '\0';
    status = credential_check_new(&begin->session, check_key_limits, &request->error);
    if (status == 0)
        status =
            start(request, JINI_SESSION, &begin->session, op_session_begin, after_session_begin);
    if (status)
        return request_refuse(request, status);
    return callback ? 0 : request_wait(request);
}

/* ---- Revoking ---- */

static int check_revoke(void *request, enum txn_place place)
{
    struct jini_credential_revoke *revoke = request;
    (void)place;
    return revoke->id ? 0
                      : error_set(&revoke->request.error, JINI_E_INVALID, "id",
                                  "0 is the id of no key and of no session");
}

static int op_revoke(struct jini_txn *txn, void *request)
{
    struct jini_credential_revoke *revoke = request;
    return credentials_revoke(txn->store, revoke, txn->now_ms, &revoke->request.error);
}

static const struct txn_form revoke_form = {
    .kind = REQUEST_CREDENTIAL_REVOKE,
    .size = sizeof(struct jini_credential_revoke),
    .bytes = CREDENTIAL_OP_BYTES,
    .class = STORE_RELEASE,
    .check = check_revoke,
    .op = op_revoke,
};

int jini_credential_revoke(struct jini *jini, struct jini_credential_revoke *revoke,
                           jini_callback *callback)
{
    return txn_submit(jini, &revoke->request, &revoke_form, callback);
}

int jini_txn_credential_revoke(struct jini_txn *txn, struct jini_credential_revoke *revoke)
{
    return txn_call(txn, &revoke->request, &revoke_form);
}

/* ---- Reading ---- */

int credential_find(struct jini *jini, const struct credential_text *text,
                    struct jini_credential *out, struct jini_user *user, struct jini_error *error)
{
    struct store_txn *txn;
    memset(out, 0, sizeof(*out));
    memset(user, 0, sizeof(*user));
    int status = store_read_begin_explained(jini->store, &txn, error);
    if (status)
        return status;
    status = credentials_check(txn, text, clock_wall_ns(jini->clock) / NS_PER_MS, out, user, error);
    store_read_end(txn);
    return status;
}

int credential_take(const char *text, struct credential_text *out, struct jini_error *error)
{
    int status = credential_read(text, out);
    return status ? error_set(error, status, "credential",
                              "it is no text of a key and none of a session")
                  : 0;
}

int jini_credential_check(struct jini *jini, const char *text, struct jini_credential *out,
                          struct jini_user *user, struct jini_error *error)
{
    struct credential_text taken;
    struct jini_user ignored;
    error_clear(error);
    memset(out, 0, sizeof(*out));
    if (user)
        memset(user, 0, sizeof(*user));
    int status = engine_check(jini);
    if (status)
        return error_set(error, status, "jini", "%s", jini_status_text(status));
    status = credential_take(text, &taken, error);
    return status ? status : credential_find(jini, &taken, out, user ? user : &ignored, error);
}

int jini_credential_get(struct jini *jini, uint64_t id, struct jini_credential *out,
                        struct jini_error *error)
{
    struct jini_txn txn;
    memset(out, 0, sizeof(*out));
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    struct jini_error *said = txn_error(&txn, error);
    status = credentials_get(txn.store, id, out);
    if (status == JINI_E_NOT_FOUND)
        error_set(said, status, "id", "there is no such key and no such session");
    status = txn_answer(&txn, status, said, "id", "credential");
    txn_snapshot_end(&txn);
    return status;
}

int jini_credential_list(struct jini *jini, uint64_t user_id, enum jini_credential_kind kind,
                         uint64_t after, struct jini_credential *out, size_t capacity,
                         size_t *count, struct jini_error *error)
{
    struct jini_txn txn;
    *count = 0;
    if (kind != JINI_KEY && kind != JINI_SESSION)
        return error_set(error, JINI_E_INVALID, "kind", "keys are listed, or sessions");
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    struct jini_error *said = txn_error(&txn, error);
    status = credentials_list(txn.store, user_id, kind, after, out, capacity, count);
    if (status == JINI_E_NOT_FOUND)
        error_set(said, status, "user_id", "there is no user of this id");
    status = txn_answer(&txn, status, said, "user_id", "list of keys and sessions");
    txn_snapshot_end(&txn);
    return status;
}

int jini_credential_parse_id(const char *text, uint64_t *id)
{
    return credential_read_id(text, id);
}
