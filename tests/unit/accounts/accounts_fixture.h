/* Accounts in a test: a store with the default tiers, and every function as a call of its own. */
#ifndef ACCOUNTS_FIXTURE_H
#define ACCOUNTS_FIXTURE_H

#include "accounts/accounts.h"
#include "accounts/keys.h"
#include "accounts/user_record.h"

#include "../store/fixture.h"

enum { WORLD_NOW_MS = 1700000000 };

struct world {
    struct store *store;
    struct accounts_ids ids;
    struct jini_error error; /* of the newest write */
    uint64_t suffix_seed;
    uint64_t now_ms;
};

/* Stands for the check that the engine gives: no text with "bad" in it is a limits text. */
static inline int world_check_limits(const char *text, struct jini_error *error)
{
    if (!strstr(text, "bad"))
        return 0;
    error->code = JINI_E_INVALID;
    snprintf(error->message, sizeof(error->message), "\"bad\" is no limit");
    return JINI_E_INVALID;
}

static inline int world_op_tiers(struct store_txn *txn, void *argument)
{
    (void)argument;
    return accounts_tiers_create(txn);
}

static inline void world_open_with(struct world *world, const struct store_options *options)
{
    memset(world, 0, sizeof(*world));
    world->store = fixture_open_with(options);
    world->now_ms = WORLD_NOW_MS;
    world->suffix_seed = 1;
    accounts_ids_init(&world->ids);
    CHECK_OK(store_write(world->store, world_op_tiers, NULL));
}

static inline void world_open(struct world *world, enum store_driver driver)
{
    struct store_options options = fixture_options(driver);
    world_open_with(world, &options);
}

static inline void world_close(struct world *world)
{
    store_close(world->store);
}

/* ---- Users ---- */

struct world_create {
    struct world *world;
    struct accounts_create create;
};

static inline int world_op_create(struct store_txn *txn, void *argument)
{
    struct world_create *op = argument;
    return accounts_user_create(txn, &op->create, &op->world->error);
}

/* An empty user name is made from the address, as the engine does it. */
static inline int world_create(struct world *world, struct jini_user *user, const char *hash)
{
    struct accounts_draw draw;
    struct world_create op = {.world = world,
                              .create = {.user = user,
                                         .derive_username = user->username[0] == '\0',
                                         .password_hash = hash,
                                         .now_ms = world->now_ms,
                                         .suffix_seed = world->suffix_seed,
                                         .draw = &draw,
                                         .check_limits = world_check_limits}};
    accounts_ids_draw(&world->ids, &draw);
    int status = store_write(world->store, world_op_create, &op);
    accounts_ids_settle(&world->ids, &draw, status);
    return status;
}

static inline struct jini_user world_user(const char *username, const char *email)
{
    struct jini_user user = {.flags = JINI_USER_ACTIVE};
    snprintf(user.username, sizeof(user.username), "%s", username);
    snprintf(user.email, sizeof(user.email), "%s", email);
    return user;
}

/* Creates a user who must come to be, and returns the id. */
static inline uint64_t world_add(struct world *world, const char *username, const char *email)
{
    struct jini_user user = world_user(username, email);
    int status = world_create(world, &user, NULL);
    if (status)
        harness_fail(__FILE__, __LINE__, "creating \"%s\" answers %s: %s: %s", username,
                     jini_status_name(status), world->error.field, world->error.message);
    return user.id;
}

struct world_update {
    struct world *world;
    struct accounts_update update;
};

static inline int world_op_update(struct store_txn *txn, void *argument)
{
    struct world_update *op = argument;
    return accounts_user_update(txn, &op->update, &op->world->error);
}

static inline int world_override(struct world *world, struct jini_user *user, uint32_t fields,
                                 uint32_t override_fields)
{
    struct world_update op = {.world = world,
                              .update = {.user = user,
                                         .fields = fields,
                                         .override_fields = override_fields,
                                         .check_limits = world_check_limits}};
    return store_write(world->store, world_op_update, &op);
}

static inline int world_update(struct world *world, struct jini_user *user, uint32_t fields)
{
    return world_override(world, user, fields, 0);
}

struct world_password {
    struct world *world;
    struct accounts_password_change change;
};

static inline int world_op_password(struct store_txn *txn, void *argument)
{
    struct world_password *op = argument;
    return accounts_password_set(txn, &op->change, &op->world->error);
}

static inline int world_password(struct world *world, uint64_t id, const char *hash)
{
    struct world_password op = {.world = world, .change = {.user_id = id, .password_hash = hash}};
    return store_write(world->store, world_op_password, &op);
}

struct world_login {
    struct world *world;
    struct accounts_login login;
};

static inline int world_op_login(struct store_txn *txn, void *argument)
{
    struct world_login *op = argument;
    return accounts_login_record(txn, &op->login, &op->world->error);
}

static inline int world_login(struct world *world, const struct accounts_credentials *verified,
                              const char *renewed_hash, struct jini_user *user)
{
    struct world_login op = {.world = world,
                             .login = {.verified = *verified,
                                       .renewed_hash = renewed_hash,
                                       .now_ms = world->now_ms,
                                       .user = user}};
    return store_write(world->store, world_op_login, &op);
}

static inline int world_get(struct world *world, uint64_t id, struct jini_user *out)
{
    struct store_txn *txn;
    CHECK_OK(store_read_begin(world->store, &txn));
    int status = accounts_user_get(txn, id, out);
    store_read_end(txn);
    return status;
}

static inline int world_find(struct world *world, const char *login, struct jini_user *out)
{
    struct store_txn *txn;
    CHECK_OK(store_read_begin(world->store, &txn));
    int status = accounts_user_find(txn, login, out);
    store_read_end(txn);
    return status;
}

static inline int world_credentials(struct world *world, const char *login,
                                    struct accounts_credentials *out)
{
    struct store_txn *txn;
    CHECK_OK(store_read_begin(world->store, &txn));
    int status = accounts_credentials_find(txn, login, out);
    store_read_end(txn);
    return status;
}

static inline int world_list(struct world *world, uint64_t after, struct jini_user *out,
                             size_t capacity, size_t *count)
{
    struct store_txn *txn;
    CHECK_OK(store_read_begin(world->store, &txn));
    int status = accounts_user_list(txn, after, out, capacity, count);
    store_read_end(txn);
    return status;
}

/* The id that a text finds, 0 for none. */
static inline uint64_t world_id_of(struct world *world, const char *login)
{
    struct jini_user user;
    int status = world_find(world, login, &user);
    if (status != JINI_E_NOT_FOUND)
        CHECK_OK(status);
    return user.id;
}

/* ---- Tiers ---- */

struct world_tier {
    struct world *world;
    struct accounts_tier_change change;
    const char *anonymous; /* of a removal; NULL: none */
};

static inline int world_op_tier_set(struct store_txn *txn, void *argument)
{
    struct world_tier *op = argument;
    return accounts_tier_set(txn, &op->change, &op->world->error);
}

static inline int world_tier_change(struct world *world, struct jini_tier *tier, uint32_t fields,
                                    enum jini_tier_set_mode mode)
{
    struct world_tier op = {
        .world = world,
        .change = {
            .tier = tier, .fields = fields, .mode = mode, .check_limits = world_check_limits}};
    return store_write(world->store, world_op_tier_set, &op);
}

static inline int world_tier_set(struct world *world, struct jini_tier *tier)
{
    return world_tier_change(world, tier, 0, JINI_TIER_ADD_OR_CHANGE);
}

static inline int world_op_tier_remove(struct store_txn *txn, void *argument)
{
    struct world_tier *op = argument;
    return accounts_tier_remove(txn, op->change.tier->name, op->anonymous, &op->world->error);
}

static inline int world_tier_remove_beside(struct world *world, const char *name,
                                           const char *anonymous)
{
    struct jini_tier tier = {0};
    struct world_tier op = {.world = world, .change = {.tier = &tier}, .anonymous = anonymous};
    snprintf(tier.name, sizeof(tier.name), "%s", name);
    return store_write(world->store, world_op_tier_remove, &op);
}

static inline int world_tier_remove(struct world *world, const char *name)
{
    return world_tier_remove_beside(world, name, NULL);
}

static inline int world_tier_get(struct world *world, const char *name, struct jini_tier *out)
{
    struct store_txn *txn;
    CHECK_OK(store_read_begin(world->store, &txn));
    int status = accounts_tier_get(txn, name, out);
    store_read_end(txn);
    return status;
}

static inline int world_tier_list(struct world *world, struct jini_tier *out, size_t capacity,
                                  size_t *count)
{
    struct store_txn *txn;
    CHECK_OK(store_read_begin(world->store, &txn));
    int status = accounts_tier_list(txn, out, capacity, count);
    store_read_end(txn);
    return status;
}

/* ---- Bytes on disk ---- */

struct world_put {
    enum store_space space;
    struct slice key;
    struct slice value; /* of length SIZE_MAX: delete */
};

static inline int world_op_put(struct store_txn *txn, void *argument)
{
    const struct world_put *put = argument;
    return put->value.length == SIZE_MAX ? store_delete(txn, put->space, put->key)
                                         : store_put(txn, put->space, put->key, put->value);
}

/* Puts any bytes in the place of a row. */
static inline void world_put(struct world *world, enum store_space space, const struct tuple *key,
                             struct slice value)
{
    struct world_put put = {space, tuple_key(key), value};
    CHECK_OK(store_write(world->store, world_op_put, &put));
}

static inline void world_delete(struct world *world, enum store_space space,
                                const struct tuple *key)
{
    world_put(world, space, key, slice_of(NULL, SIZE_MAX));
}

/* Reads a row; its length. */
static inline size_t world_read(struct world *world, enum store_space space,
                                const struct tuple *key, uint8_t *bytes, size_t capacity)
{
    struct store_txn *txn;
    struct buffer value = buffer_of(bytes, capacity);
    CHECK_OK(store_read_begin(world->store, &txn));
    CHECK_OK(store_get(txn, space, tuple_key(key), &value));
    store_read_end(txn);
    return value.length;
}

/* Counts the rows of a space from `low` to `high`. */
static inline uint64_t world_rows(struct world *world, enum store_space space, struct slice low,
                                  struct slice high)
{
    struct store_txn *txn;
    struct store_cursor cursor;
    uint64_t rows = 0;
    int status;
    CHECK_OK(store_read_begin(world->store, &txn));
    CHECK_OK(store_cursor_open(txn, space, low, high, STORE_FORWARD, &cursor));
    while ((status = store_cursor_next(&cursor, NULL)) == 0)
        rows++;
    CHECK_STATUS(status, JINI_E_NOT_FOUND);
    store_cursor_close(&cursor);
    store_read_end(txn);
    return rows;
}

#endif
