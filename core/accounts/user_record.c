/* Reading and writing user records; the format stands in user_record.h. */
#include "accounts/user_record.h"

#include "accounts/record.h"

enum user_field {
    FIELD_USERNAME = 1,
    FIELD_EMAIL = 2,
    FIELD_FIRST_NAME = 3,
    FIELD_LAST_NAME = 4,
    FIELD_FLAGS = 5,
    FIELD_TIER = 6,
    FIELD_CREATED = 7,
    FIELD_LAST_LOGIN = 8,
    FIELD_EPOCH = 9,
    FIELD_PASSWORD = 10,
    FIELD_OVERRIDE_MASK = 11,
    FIELD_LIMITS = 12,
    FIELD_WIDTH = 13,
    FIELD_HEIGHT = 14,
    FIELD_STEPS = 15,
    FIELD_PARALLEL = 16,
    FIELD_RETENTION = 17,
    FIELD_TIER_UNTIL = 18,
    FIELD_LAST = FIELD_TIER_UNTIL
};

#define BIT(field) (UINT32_C(1) << (field))

enum { FLAGS_KNOWN = JINI_USER_ACTIVE | JINI_USER_STAFF };

static const uint32_t needed = BIT(FIELD_USERNAME) | BIT(FIELD_TIER) | BIT(FIELD_CREATED);

static const uint32_t override_fields = BIT(FIELD_LIMITS) | BIT(FIELD_WIDTH) | BIT(FIELD_HEIGHT) |
                                        BIT(FIELD_STEPS) | BIT(FIELD_PARALLEL) |
                                        BIT(FIELD_RETENTION);

_Static_assert(JINI_ALLOWANCE_LIMITS << FIELD_LIMITS == BIT(FIELD_LIMITS) &&
                   JINI_ALLOWANCE_RETENTION << FIELD_LIMITS == BIT(FIELD_RETENTION),
               "the fields of overrides are numbered as the bits of the mask");

static int take_override(const struct document_field *field, struct jini_allowance *to)
{
    switch (field->field) {
    case FIELD_LIMITS:
        return record_take_text(field, to->limits, sizeof(to->limits));
    case FIELD_WIDTH:
        return record_take_number32(field, &to->width_max);
    case FIELD_HEIGHT:
        return record_take_number32(field, &to->height_max);
    case FIELD_STEPS:
        return record_take_number32(field, &to->steps_max);
    case FIELD_PARALLEL:
        return record_take_number32(field, &to->parallel_max);
    default:
        return record_take_number32(field, &to->retention_days);
    }
}

/* A damaged hash is damage to every reader, also to one that does not want it. */
static int take_password(const struct document_field *field, struct user_extra *extra)
{
    if (extra)
        return record_take_text(field, extra->password_hash, sizeof(extra->password_hash));
    return record_check_text(field, sizeof(extra->password_hash));
}

static int take_field(const struct document_field *field, struct jini_user *user,
                      struct user_extra *extra)
{
    switch (field->field) {
    case FIELD_USERNAME:
        return record_take_text(field, user->username, sizeof(user->username));
    case FIELD_EMAIL:
        return record_take_text(field, user->email, sizeof(user->email));
    case FIELD_FIRST_NAME:
        return record_take_text(field, user->first_name, sizeof(user->first_name));
    case FIELD_LAST_NAME:
        return record_take_text(field, user->last_name, sizeof(user->last_name));
    case FIELD_FLAGS:
        return record_take_number32(field, &user->flags);
    case FIELD_TIER:
        return record_take_text(field, user->tier, sizeof(user->tier));
    case FIELD_CREATED:
        return record_take_number(field, &user->created_ms);
    case FIELD_LAST_LOGIN:
        return record_take_number(field, &user->last_login_ms);
    case FIELD_EPOCH:
        return record_take_number(field, &user->revocation_epoch);
    case FIELD_PASSWORD:
        return take_password(field, extra);
    case FIELD_OVERRIDE_MASK:
        return record_take_number32(field, &user->override_mask);
    case FIELD_TIER_UNTIL:
        return record_take_number(field, &user->tier_until_ms);
    default:
        return take_override(field, &user->overrides);
    }
}

/* Everything but the bytes behind the NUL of a text. */
static void clear_user(uint64_t id, struct jini_user *user)
{
    user->id = id;
    user->flags = 0;
    user->override_mask = 0;
    user->created_ms = 0;
    user->last_login_ms = 0;
    user->revocation_epoch = 0;
    user->tier_until_ms = 0;
    user->tier[0] = '\0';
    user->username[0] = '\0';
    user->email[0] = '\0';
    user->first_name[0] = '\0';
    user->last_name[0] = '\0';
    user->overrides.limits[0] = '\0';
    user->overrides.width_max = 0;
    user->overrides.height_max = 0;
    user->overrides.steps_max = 0;
    user->overrides.parallel_max = 0;
    user->overrides.retention_days = 0;
}

/* A value that the mask does not name would come to life with the next change of the mask. */
static bool overrides_agree(uint32_t seen, uint32_t mask)
{
    uint32_t stored = (seen & override_fields) >> FIELD_LIMITS;
    return (stored & ~mask) == 0;
}

static void split_bits(uint32_t *bits, uint32_t known, uint32_t *unknown)
{
    if (unknown)
        *unknown = *bits & ~known;
    *bits &= known;
}

int user_record_read(struct slice record, uint64_t id, struct jini_user *user,
                     struct user_extra *extra)
{
    struct document_reader reader;
    struct document_field field;
    uint32_t seen = 0;
    clear_user(id, user);
    if (extra) {
        extra->password_hash[0] = '\0';
        extra->rest.fields = 0;
        extra->rest.length = 0;
    }
    int status = document_open(&reader, record);
    while (status == 0 && (status = document_next(&reader, &field)) == 0 &&
           field.type != DOCUMENT_END) {
        if (field.field == 0 || field.field > FIELD_LAST) {
            status = extra ? document_keep(&extra->rest, &field) : 0;
            continue;
        }
        if (seen & BIT(field.field))
            return JINI_E_CORRUPT;
        seen |= BIT(field.field);
        status = take_field(&field, user, extra);
    }
    if (status)
        return status;
    if ((seen & needed) != needed || user->username[0] == '\0' || user->tier[0] == '\0' ||
        !overrides_agree(seen, user->override_mask))
        return JINI_E_CORRUPT;
    split_bits(&user->flags, FLAGS_KNOWN, extra ? &extra->flags_unknown : NULL);
    split_bits(&user->override_mask, JINI_ALLOWANCE_ALL, extra ? &extra->overrides_unknown : NULL);
    return 0;
}

static void add_overrides(struct document_writer *writer, const struct jini_user *user)
{
    const uint32_t mask = user->override_mask;
    const struct jini_allowance *overrides = &user->overrides;
    if (mask & JINI_ALLOWANCE_LIMITS)
        record_add_text(writer, FIELD_LIMITS, overrides->limits);
    if (mask & JINI_ALLOWANCE_WIDTH)
        record_add_number(writer, FIELD_WIDTH, overrides->width_max);
    if (mask & JINI_ALLOWANCE_HEIGHT)
        record_add_number(writer, FIELD_HEIGHT, overrides->height_max);
    if (mask & JINI_ALLOWANCE_STEPS)
        record_add_number(writer, FIELD_STEPS, overrides->steps_max);
    if (mask & JINI_ALLOWANCE_PARALLEL)
        record_add_number(writer, FIELD_PARALLEL, overrides->parallel_max);
    if (mask & JINI_ALLOWANCE_RETENTION)
        record_add_number(writer, FIELD_RETENTION, overrides->retention_days);
}

int user_record_write(const struct user_record *record, struct buffer *out)
{
    const struct jini_user *user = &record->user;
    const struct user_extra *extra = &record->extra;
    struct document_writer writer;
    JINI_ASSERT(user->username[0] != '\0' && user->tier[0] != '\0');
    document_begin(&writer, out);
    record_add_text(&writer, FIELD_USERNAME, user->username);
    record_add_text(&writer, FIELD_EMAIL, user->email);
    record_add_text(&writer, FIELD_FIRST_NAME, user->first_name);
    record_add_text(&writer, FIELD_LAST_NAME, user->last_name);
    record_add_number(&writer, FIELD_FLAGS, user->flags | extra->flags_unknown);
    record_add_text(&writer, FIELD_TIER, user->tier);
    document_add_uint(&writer, FIELD_CREATED, user->created_ms);
    record_add_number(&writer, FIELD_LAST_LOGIN, user->last_login_ms);
    record_add_number(&writer, FIELD_EPOCH, user->revocation_epoch);
    record_add_text(&writer, FIELD_PASSWORD, extra->password_hash);
    record_add_number(&writer, FIELD_OVERRIDE_MASK, user->override_mask | extra->overrides_unknown);
    add_overrides(&writer, user);
    record_add_number(&writer, FIELD_TIER_UNTIL, user->tier_until_ms);
    document_add_rest(&writer, &extra->rest);
    return document_end(&writer);
}
