/*
 * User records: whatever the bytes are, they are refused or are a user whose texts end in NUL, with
 * or without the members that only a change needs; and what is written from that user reads the
 * same.
 */
#include "accounts/user_record.h"
#include "base/text.h"

#include "fuzz.h"

#include <jini/status.h>

enum { ID = 7 };

static void check_text(const char *text, size_t capacity)
{
    size_t length = strnlen(text, capacity);
    FUZZ_CHECK(length < capacity);
    FUZZ_CHECK(text_is_utf8(slice_of(text, length)));
}

static void check_user(const struct jini_user *user)
{
    const struct jini_allowance *overrides = &user->overrides;
    const uint32_t mask = user->override_mask;
    check_text(user->username, sizeof(user->username));
    check_text(user->email, sizeof(user->email));
    check_text(user->first_name, sizeof(user->first_name));
    check_text(user->last_name, sizeof(user->last_name));
    check_text(user->tier, sizeof(user->tier));
    check_text(overrides->limits, sizeof(overrides->limits));
    FUZZ_CHECK(user->id == ID);
    FUZZ_CHECK(user->username[0] != '\0' && user->tier[0] != '\0');
    FUZZ_CHECK((user->flags & ~(uint32_t)(JINI_USER_ACTIVE | JINI_USER_STAFF)) == 0);
    FUZZ_CHECK((mask & ~(uint32_t)JINI_ALLOWANCE_ALL) == 0);
    FUZZ_CHECK(mask & JINI_ALLOWANCE_LIMITS || overrides->limits[0] == '\0');
    FUZZ_CHECK(mask & JINI_ALLOWANCE_WIDTH || overrides->width_max == 0);
    FUZZ_CHECK(mask & JINI_ALLOWANCE_RETENTION || overrides->retention_days == 0);
}

/* Both structs were cleared before they were filled, so all of their bytes are comparable. */
static bool same(const struct user_record *a, const struct user_record *b)
{
    const struct user_extra *one = &a->extra;
    const struct user_extra *two = &b->extra;
    return memcmp(&a->user, &b->user, sizeof(a->user)) == 0 &&
           one->flags_unknown == two->flags_unknown &&
           one->overrides_unknown == two->overrides_unknown &&
           strcmp(one->password_hash, two->password_hash) == 0 &&
           one->rest.fields == two->rest.fields && one->rest.length == two->rest.length &&
           memcmp(one->rest.bytes, two->rest.bytes, one->rest.length) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    static struct user_record record;
    static struct user_record again;
    static struct jini_user user;
    memset(&record, 0, sizeof(record));
    memset(&again, 0, sizeof(again));
    memset(&user, 0, sizeof(user));
    struct slice bytes = slice_of(data, length);
    int status = user_record_read(bytes, ID, &record.user, &record.extra);
    int alone = user_record_read(bytes, ID, &user, NULL);
    FUZZ_CHECK(status == 0 || status == JINI_E_CORRUPT || status == JINI_E_FORMAT);
    FUZZ_CHECK(alone == 0 || alone == JINI_E_CORRUPT);
    FUZZ_CHECK(status == alone || status == JINI_E_FORMAT);
    if (alone == 0)
        check_user(&user);
    if (status)
        return 0;
    FUZZ_CHECK(memcmp(&user, &record.user, sizeof(user)) == 0);
    check_text(record.extra.password_hash, sizeof(record.extra.password_hash));
    uint8_t written[USER_RECORD_MAX];
    struct buffer out = buffer_of(written, sizeof(written));
    FUZZ_CHECK(user_record_write(&record, &out) == 0);
    FUZZ_CHECK(user_record_read(buffer_slice(&out), ID, &again.user, &again.extra) == 0);
    FUZZ_CHECK(same(&record, &again));
    return 0;
}
