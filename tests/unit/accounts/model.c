/* Random operations beside a model that is too simple to be wrong. */
#include "accounts_fixture.h"

#include <ctype.h>

enum { USERS_MAX = 60, TIERS_MAX = 8, STEPS = 1500, WORDS = 12 };

struct model_user {
    struct jini_user user;
    char hash[JINI_PASSWORD_HASH_MAX];
};

struct model {
    struct model_user users[USERS_MAX]; /* the user with id i + 1 */
    uint64_t count;
    struct jini_tier tiers[TIERS_MAX]; /* in the order of addition */
    size_t tier_count;
};

static const char *const words[WORDS] = {"alice",
                                         "ALICE",
                                         "Alice",
                                         "bob",
                                         "Bob",
                                         "carol",
                                         "dave",
                                         "x.y",
                                         "X.Y",
                                         "erin+1",
                                         "\xc3\xa9"
                                         "a",
                                         "\xc3\x89"
                                         "A"};
static const char *const tier_words[] = {"Free", "FREE", "Basic", "bASIC", "Premium",
                                         "Gold", "gOLD", "Tin",   "Lead",  "Missing"};
static const char argon2[] = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$"
                             "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
static const char *const hashes[] = {
    argon2, "!none", "pbkdf2_sha256$260$n0tSoRandom$WdLPaK+wnF4yL95Q6MO18x4Q7KdhFTZeEVNC4SwsLIA="};

/* Small letters, for the few characters of the words above. */
static void lower(const char *from, char *to)
{
    for (; *from; from++, to++) {
        *to = (char)tolower((unsigned char)*from);
        if ((unsigned char)*from == 0x89)
            *to = (char)0xa9;
    }
    *to = '\0';
}

static bool same_text(const char *a, const char *b)
{
    char lower_a[JINI_USERNAME_MAX];
    char lower_b[JINI_USERNAME_MAX];
    lower(a, lower_a);
    lower(b, lower_b);
    return strcmp(lower_a, lower_b) == 0;
}

static const char *pick(const char *const *from, size_t count)
{
    return from[harness_random_below(count)];
}

static struct jini_tier *model_tier(struct model *model, const char *name)
{
    for (size_t i = 0; i < model->tier_count; i++) {
        if (same_text(model->tiers[i].name, name[0] ? name : "Free"))
            return &model->tiers[i];
    }
    return NULL;
}

/* The id of the user who has this name or address, or 0. */
static uint64_t model_owner(const struct model *model, const char *text, bool mail)
{
    for (uint64_t i = 0; i < model->count; i++) {
        const struct jini_user *user = &model->users[i].user;
        if (text[0] != '\0' && same_text(mail ? user->email : user->username, text))
            return i + 1;
    }
    return 0;
}

/* Whether another user than `id` has this text as the name or as the address. */
static bool model_taken(const struct model *model, const char *text, uint64_t id)
{
    for (uint64_t i = 0; i < model->count; i++) {
        const struct jini_user *user = &model->users[i].user;
        if (i + 1 != id && text[0] != '\0' &&
            (same_text(user->username, text) || same_text(user->email, text)))
            return true;
    }
    return false;
}

static void random_user(struct jini_user *user)
{
    memset(user, 0, sizeof(*user));
    snprintf(user->username, sizeof(user->username), "%s", pick(words, WORDS));
    if (harness_random_below(3))
        snprintf(user->email, sizeof(user->email), "%s@x%u.org", pick(words, WORDS),
                 (unsigned)harness_random_below(3));
    if (harness_random_below(2))
        snprintf(user->username, sizeof(user->username), "u%u",
                 (unsigned)harness_random_below(USERS_MAX));
    if (harness_random_below(3) == 0)
        snprintf(user->username, sizeof(user->username), "%s@x%u.org", pick(words, WORDS),
                 (unsigned)harness_random_below(3));
    snprintf(user->first_name, sizeof(user->first_name), "%s", pick(words, WORDS));
    snprintf(user->tier, sizeof(user->tier), "%s",
             harness_random_below(4) ? pick(tier_words, 10) : "");
    user->flags = (uint32_t)harness_random_below(4);
    user->override_mask = (uint32_t)harness_random_below(JINI_ALLOWANCE_ALL + 1);
    if (user->override_mask & JINI_ALLOWANCE_LIMITS)
        snprintf(user->overrides.limits, sizeof(user->overrides.limits), "%u/hour",
                 (unsigned)harness_random_below(9));
    if (user->override_mask & JINI_ALLOWANCE_STEPS)
        user->overrides.steps_max = (uint32_t)harness_random_below(100);
    if (user->override_mask & JINI_ALLOWANCE_RETENTION)
        user->overrides.retention_days = (uint32_t)harness_random_below(100);
}

static void check_equal(const struct jini_user *a, const struct jini_user *b)
{
    CHECK_UINT(a->id, ==, b->id);
    CHECK_TEXT(a->username, b->username);
    CHECK_TEXT(a->email, b->email);
    CHECK_TEXT(a->first_name, b->first_name);
    CHECK_TEXT(a->last_name, b->last_name);
    CHECK_TEXT(a->tier, b->tier);
    CHECK_UINT(a->flags, ==, b->flags);
    CHECK_UINT(a->created_ms, ==, b->created_ms);
    CHECK_UINT(a->last_login_ms, ==, b->last_login_ms);
    CHECK_UINT(a->revocation_epoch, ==, b->revocation_epoch);
    CHECK_UINT(a->override_mask, ==, b->override_mask);
    CHECK_TEXT(a->overrides.limits, b->overrides.limits);
    CHECK_UINT(a->overrides.steps_max, ==, b->overrides.steps_max);
    CHECK_UINT(a->overrides.retention_days, ==, b->overrides.retention_days);
}

static void step_create(struct world *world, struct model *model)
{
    struct jini_user user;
    if (model->count == USERS_MAX)
        return;
    random_user(&user);
    const char *hash = harness_random_below(2) ? pick(hashes, 3) : NULL;
    const struct jini_tier *tier = model_tier(model, user.tier);
    int expected = 0;
    if (!tier)
        expected = JINI_E_NOT_FOUND;
    else if (model_taken(model, user.username, 0) || model_taken(model, user.email, 0))
        expected = JINI_E_EXISTS;
    struct jini_user wanted = user;
    CHECK_STATUS(world_create(world, &user, hash), expected);
    if (expected)
        return;
    struct model_user *kept = &model->users[model->count++];
    kept->user = wanted;
    kept->user.id = model->count;
    kept->user.created_ms = world->now_ms;
    snprintf(kept->user.tier, sizeof(kept->user.tier), "%s", tier->name);
    snprintf(kept->hash, sizeof(kept->hash), "%s", hash ? hash : "");
    check_equal(&user, &kept->user);
}

static void override_in_model(struct jini_user *to, const struct jini_user *from, uint32_t fields)
{
    for (uint32_t bit = 1; bit <= JINI_ALLOWANCE_RETENTION; bit <<= 1) {
        if (fields && !(fields & bit))
            continue;
        bool set = from->override_mask & bit;
        to->override_mask = set ? to->override_mask | bit : to->override_mask & ~bit;
        if (bit == JINI_ALLOWANCE_LIMITS)
            snprintf(to->overrides.limits, sizeof(to->overrides.limits), "%s",
                     set ? from->overrides.limits : "");
        if (bit == JINI_ALLOWANCE_STEPS)
            to->overrides.steps_max = set ? from->overrides.steps_max : 0;
        if (bit == JINI_ALLOWANCE_RETENTION)
            to->overrides.retention_days = set ? from->overrides.retention_days : 0;
    }
}

static void apply_to_model(struct jini_user *to, const struct jini_user *from, uint32_t fields,
                           const struct jini_tier *tier)
{
    if (fields & JINI_USER_FIELD_USERNAME)
        memcpy(to->username, from->username, sizeof(to->username));
    if (fields & JINI_USER_FIELD_EMAIL)
        memcpy(to->email, from->email, sizeof(to->email));
    if (fields & JINI_USER_FIELD_FIRST_NAME)
        memcpy(to->first_name, from->first_name, sizeof(to->first_name));
    if (fields & JINI_USER_FIELD_LAST_NAME)
        memcpy(to->last_name, from->last_name, sizeof(to->last_name));
    if (fields & JINI_USER_FIELD_ACTIVE && (to->flags ^ from->flags) & JINI_USER_ACTIVE)
        to->flags ^= JINI_USER_ACTIVE;
    if (fields & JINI_USER_FIELD_STAFF && (to->flags ^ from->flags) & JINI_USER_STAFF)
        to->flags ^= JINI_USER_STAFF;
    if (fields & JINI_USER_FIELD_TIER)
        memcpy(to->tier, tier->name, sizeof(to->tier));
    if (fields & JINI_USER_FIELD_REVOKE)
        to->revocation_epoch++;
}

static void step_update(struct world *world, struct model *model)
{
    struct jini_user user;
    random_user(&user);
    user.id = 1 + harness_random_below(model->count + 1);
    uint32_t fields = 1 + (uint32_t)harness_random_below(2 * JINI_USER_FIELD_LAST_NAME - 1);
    const struct jini_tier *tier = model_tier(model, user.tier);
    int expected = 0;
    if (user.id > model->count || (fields & JINI_USER_FIELD_TIER && !tier))
        expected = JINI_E_NOT_FOUND;
    else if ((fields & JINI_USER_FIELD_USERNAME && model_taken(model, user.username, user.id)) ||
             (fields & JINI_USER_FIELD_EMAIL && model_taken(model, user.email, user.id)))
        expected = JINI_E_EXISTS;
    struct jini_user wanted = user;
    uint32_t override_fields = (uint32_t)harness_random_below(JINI_ALLOWANCE_ALL + 1);
    CHECK_STATUS(world_override(world, &user, fields, override_fields), expected);
    if (expected == 0) {
        struct jini_user *kept = &model->users[user.id - 1].user;
        apply_to_model(kept, &wanted, fields, tier);
        if (fields & JINI_USER_FIELD_OVERRIDES)
            override_in_model(kept, &wanted, override_fields);
        check_equal(&user, kept);
    }
}

static void step_credentials(struct world *world, struct model *model)
{
    uint64_t id = 1 + harness_random_below(model->count + 1);
    const char *hash = harness_random_below(3) ? pick(hashes, 3) : NULL;
    if (id > model->count) {
        CHECK_STATUS(world_password(world, id, hash), JINI_E_NOT_FOUND);
        return;
    }
    struct model_user *kept = &model->users[id - 1];
    if (harness_random_below(2)) {
        CHECK_OK(world_password(world, id, hash));
        snprintf(kept->hash, sizeof(kept->hash), "%s", hash ? hash : "");
        kept->user.revocation_epoch++;
        return;
    }
    struct accounts_credentials credentials;
    CHECK_OK(world_credentials(world, kept->user.username, &credentials));
    CHECK_UINT(credentials.user_id, ==, id);
    CHECK_TEXT(credentials.password_hash, kept->hash);
    bool stale = harness_random_below(4) == 0;
    credentials.revocation_epoch += stale;
    int expected = stale ? JINI_E_CONFLICT : 0;
    if (!stale && !(kept->user.flags & JINI_USER_ACTIVE))
        expected = JINI_E_INACTIVE;
    struct jini_user user;
    CHECK_STATUS(world_login(world, &credentials, hash, &user), expected);
    if (expected)
        return;
    kept->user.last_login_ms = world->now_ms;
    if (hash)
        snprintf(kept->hash, sizeof(kept->hash), "%s", hash);
    check_equal(&user, &kept->user);
}

static void step_tier(struct world *world, struct model *model)
{
    struct jini_tier tier = {.price_minor = harness_random_below(3), .currency = "EUR"};
    snprintf(tier.name, sizeof(tier.name), "%s", pick(tier_words, 9));
    struct jini_tier *kept = model_tier(model, tier.name);
    if (harness_random_below(2)) {
        if (!kept && model->tier_count == TIERS_MAX)
            return;
        CHECK_OK(world_tier_set(world, &tier));
        if (kept)
            snprintf(tier.name, sizeof(tier.name), "%s", kept->name);
        else
            kept = &model->tiers[model->tier_count++];
        *kept = tier;
        return;
    }
    int expected = kept ? 0 : JINI_E_NOT_FOUND;
    if (kept && same_text(tier.name, "Free"))
        expected = JINI_E_IN_USE;
    for (uint64_t i = 0; i < model->count && kept; i++) {
        if (same_text(model->users[i].user.tier, tier.name))
            expected = JINI_E_IN_USE;
    }
    CHECK_STATUS(world_tier_remove(world, tier.name), expected);
    if (expected == 0) {
        size_t place = (size_t)(kept - model->tiers);
        memmove(kept, kept + 1, (model->tier_count - place - 1) * sizeof(*kept));
        model->tier_count--;
    }
}

static void check_find(struct world *world, const struct model *model)
{
    char login[64];
    snprintf(login, sizeof(login), "%s", pick(words, WORDS));
    uint64_t expected = model_owner(model, login, false);
    if (harness_random_below(2)) {
        snprintf(login, sizeof(login), "%s@X%u.ORG", pick(words, WORDS),
                 (unsigned)harness_random_below(3));
        expected = model_owner(model, login, true);
        if (expected == 0)
            expected = model_owner(model, login, false);
    }
    CHECK_UINT(world_id_of(world, login), ==, expected);
}

static void check_all(struct world *world, const struct model *model)
{
    static struct jini_user users[USERS_MAX + 1];
    struct jini_tier tiers[JINI_TIERS_MAX];
    size_t count;
    uint64_t rows = model->count > 0; /* the counter */
    CHECK_OK(world_list(world, 0, users, USERS_MAX + 1, &count));
    CHECK_UINT(count, ==, model->count);
    for (size_t i = 0; i < count; i++) {
        const struct jini_user *user = &model->users[i].user;
        check_equal(&users[i], user);
        CHECK_UINT(world_id_of(world, user->username), ==, i + 1);
        if (user->email[0])
            CHECK_UINT(world_id_of(world, user->email), ==, i + 1);
        rows += user->email[0] ? 3 : 2;
        struct tuple member;
        CHECK_OK(keys_member(user->tier, user->id, &member));
        struct tuple after = member;
        CHECK(tuple_after_prefix(&after));
        CHECK_UINT(world_rows(world, STORE_SPACE_USER_KEYS, tuple_key(&member), tuple_key(&after)),
                   ==, 1);
    }
    struct slice none = slice_of(NULL, 0);
    CHECK_UINT(world_rows(world, STORE_SPACE_USER_KEYS, none, none), ==, rows);
    CHECK_OK(world_tier_list(world, tiers, JINI_TIERS_MAX, &count));
    CHECK_UINT(count, ==, model->tier_count);
    for (size_t i = 0; i < count; i++) {
        CHECK_TEXT(tiers[i].name, model->tiers[i].name);
        CHECK_UINT(tiers[i].price_minor, ==, model->tiers[i].price_minor);
    }
}

/* A refused create may burn an id; the model counts on ids in a row, so the rest is given back. */
static int op_give_back(struct store_txn *txn, void *argument)
{
    return accounts_ids_give_back(txn, argument);
}

static void keep_ids_dense(struct world *world, const struct model *model)
{
    struct accounts_id_range rest = accounts_ids_drain(&world->ids);
    if (rest.count) {
        rest.count += rest.first - (model->count + 1);
        rest.first = model->count + 1;
    }
    CHECK_OK(store_write(world->store, op_give_back, &rest));
}

STORE_TEST(random_operations_agree_with_a_model,
           "After any sequence of operations users, tiers and indexes are what the model says.")
{
    static struct model model;
    struct world world;
    size_t count;
    world_open(&world, driver);
    CHECK_OK(world_tier_list(&world, model.tiers, 3, &count));
    model.tier_count = count;
    unsigned steps = STEPS * harness_scale() / (harness_sanitized() ? 3 : 1);
    for (unsigned i = 0; i < steps; i++) {
        world.now_ms++;
        switch (harness_random_below(8)) {
        case 0:
            step_create(&world, &model);
            keep_ids_dense(&world, &model);
            break;
        case 1:
        case 2:
        case 3:
            step_update(&world, &model);
            break;
        case 4:
            step_credentials(&world, &model);
            break;
        case 5:
            step_tier(&world, &model);
            break;
        default:
            check_find(&world, &model);
        }
        if (i % 100 == 0)
            check_all(&world, &model);
    }
    check_all(&world, &model);
    CHECK_UINT(model.count, >, USERS_MAX / 4);
    world_close(&world);
}
