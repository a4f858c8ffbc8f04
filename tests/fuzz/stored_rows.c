/*
 * Rows and records that no other target has: whatever the bytes are, they are refused, or what is
 * written from what was read is read as the same again. The first byte of the input chooses:
 *
 *   0  a subject's quotas           3  a location              6  a tier
 *   1  what a job has reserved      4  a content, key and row  7  a stored password hash
 *   2  a pack                       5  an orphan, its key
 *
 * Rows whose reading is a matter of a transaction are read in one, of a store in memory, that is
 * undone.
 */
#include "accounts/accounts.h"
#include "accounts/tier_record.h"
#include "base/text.h"
#include "base/tuple.h"
#include "engine/jobs.h"
#include "images/index.h"

#include "fuzz.h"

enum { USER = 7, VALUE_MAX = 4096, UNDO = JINI_E_CANCELLED };

static const struct jini_id pack_id = {{1, 2, 3}};
static const struct jini_id image_id = {{4, 5, 6}};

static bool is_refusal(int status)
{
    return status == JINI_E_CORRUPT || status == JINI_E_FORMAT;
}

/* ---- The store ---- */

static struct store *store;

static void open_store(void)
{
    static const struct store_format format = {.version = 1, .version_min = 1};
    struct store_options options;
    struct jini_error error;
    store_options_init(&options);
    options.driver = STORE_DRIVER_MEMORY;
    options.format = &format;
    FUZZ_CHECK(store_open(&options, &store, &error) == 0);
}

/* ---- Quotas ---- */

static void plan_of(struct quota_plan *plan)
{
    struct limit_list list;
    struct jini_error error;
    memset(plan, 0, sizeof(*plan));
    FUZZ_CHECK(limit_parse(slice_of_text("30/day; 9/month; 5/hour shadow"), &list, &error) == 0);
    for (uint32_t i = 0; i < list.count; i++)
        plan->limits[plan->count++] = list.limits[i];
}

static void check_outcomes(const struct quota_charge *charge)
{
    for (uint32_t i = 0; i < charge->plan->count; i++) {
        const struct quota_outcome *outcome = &charge->outcomes[i];
        FUZZ_CHECK(outcome->remaining <= charge->plan->limits[i].amount);
        FUZZ_CHECK(outcome->refused || outcome->retry_after_ns == 0);
    }
}

/* A row that is read can be charged, settled and reset, and is a row all the time. */
static void fuzz_quotas(struct store_txn *txn, struct slice bytes)
{
    const struct quota_subject subject = {.user_id = USER};
    struct quota_counter counters[QUOTA_COUNTERS_MAX];
    struct quota_plan plan;
    struct tuple key;
    uint32_t count;
    plan_of(&plan);
    struct quota_charge charge = {
        .subject = subject, .plan = &plan, .now_ns = UINT64_C(1795435200000000000), .cost = 3};
    tuple_begin(&key);
    tuple_add_uint(&key, USER);
    tuple_add_text(&key, slice_of_text("q"));
    FUZZ_CHECK(store_put(txn, STORE_SPACE_ACTIVITY, tuple_key(&key), bytes) == 0);
    int status = quota_list(txn, &subject, counters, &count);
    int peeked = quota_peek(txn, &charge);
    if (is_refusal(status)) {
        FUZZ_CHECK(peeked == status && quota_reserve(txn, &charge) == status);
        return;
    }
    FUZZ_CHECK(status == (count > 0 ? 0 : JINI_E_NOT_FOUND) && count <= QUOTA_COUNTERS_MAX);
    FUZZ_CHECK(peeked == 0 || peeked == JINI_E_BUSY);
    bool refused = charge.decided < plan.count;
    check_outcomes(&charge);
    status = quota_reserve(txn, &charge);
    FUZZ_CHECK(status == (refused ? JINI_E_LIMITED : peeked));
    check_outcomes(&charge);
    if (status == 0) {
        FUZZ_CHECK(quota_list(txn, &subject, counters, &count) == 0 && count >= plan.count);
        FUZZ_CHECK(quota_settle(txn, &subject, charge.receipts, plan.count, 2) == 0);
    }
    FUZZ_CHECK(quota_reset(txn, &subject) == 0);
    status = quota_list(txn, &subject, counters, &count);
    FUZZ_CHECK(status == (count > 0 ? 0 : JINI_E_NOT_FOUND));
    for (uint32_t i = 0; i < count; i++)
        FUZZ_CHECK(counters[i].used == 0);
}

/* ---- Reservations ---- */

static size_t encode(const struct reservation *from, uint8_t out[GENERATIONS_RESERVATION_MAX])
{
    struct quota_plan plan = {.count = from->quota_count};
    struct quota_charge quotas = {.plan = &plan};
    memcpy(quotas.receipts, from->quotas, sizeof(from->quotas));
    return reservation_encode(&from->subject, &quotas, &from->rates, from->holds, out);
}

static void fuzz_reservation(struct slice bytes)
{
    uint8_t written[2][GENERATIONS_RESERVATION_MAX];
    struct reservation read;
    int status = reservation_decode(bytes, &read);
    FUZZ_CHECK(read.quota_count + read.rates.count <= LIMITS_MAX);
    if (status) {
        FUZZ_CHECK(status == JINI_E_CORRUPT && read.quota_count + read.rates.count == 0);
        return;
    }
    if (bytes.length == 0)
        return;
    size_t length = encode(&read, written[0]);
    FUZZ_CHECK(length == bytes.length);
    FUZZ_CHECK(reservation_decode(slice_of(written[0], length), &read) == 0);
    FUZZ_CHECK(encode(&read, written[1]) == length);
    FUZZ_CHECK(memcmp(written[0], written[1], length) == 0);
}

/* ---- The index ---- */

static void fuzz_pack(struct store_txn *txn, struct slice bytes)
{
    static struct index_pack read;
    static struct index_pack again;
    static struct index_pack listed;
    struct tuple key;
    size_t count;
    tuple_begin(&key);
    tuple_add_id(&key, &pack_id);
    FUZZ_CHECK(store_put(txn, STORE_SPACE_PACKS, tuple_key(&key), bytes) == 0);
    int status = index_pack_get(txn, &pack_id, &read);
    FUZZ_CHECK(status == 0 || is_refusal(status));
    FUZZ_CHECK(index_pack_list(txn, NULL, &listed, 1, &count) == 0);
    FUZZ_CHECK(count == 1 && memcmp(&listed.id, &pack_id, sizeof(pack_id)) == 0);
    FUZZ_CHECK((listed.state == INDEX_PACK_DAMAGED) == (status != 0));
    if (status)
        return;
    FUZZ_CHECK(read.state >= INDEX_PACK_OPEN && read.state <= INDEX_PACK_PURGING);
    FUZZ_CHECK(memcmp(&listed, &read, sizeof(read)) == 0);
    FUZZ_CHECK(index_pack_put(txn, &read) == 0);
    FUZZ_CHECK(index_pack_get(txn, &pack_id, &again) == 0);
    FUZZ_CHECK(memcmp(&again, &read, sizeof(read)) == 0);
}

static void fuzz_location(struct store_txn *txn, struct slice bytes)
{
    enum { SEQUENCE = 3 };
    static struct index_location read;
    static struct index_location again;
    struct tuple key;
    size_t count;
    tuple_begin(&key);
    tuple_add_id(&key, &pack_id);
    tuple_add_uint(&key, SEQUENCE);
    tuple_add_id(&key, &image_id);
    FUZZ_CHECK(store_put(txn, STORE_SPACE_LOCATIONS, tuple_key(&key), bytes) == 0);
    int status = index_location_get(txn, &pack_id, SEQUENCE, &image_id, &read);
    FUZZ_CHECK(index_location_list(txn, &pack_id, NULL, &again, 1, &count) == status);
    FUZZ_CHECK(index_location_of_record(txn, &pack_id, SEQUENCE, &again) == status);
    FUZZ_CHECK(index_location_last(txn, &pack_id, &again) == status);
    FUZZ_CHECK(status == 0 || is_refusal(status));
    if (status)
        return;
    FUZZ_CHECK(memcmp(&again, &read, sizeof(read)) == 0);
    FUZZ_CHECK(index_location_put(txn, &read) == 0);
    FUZZ_CHECK(index_location_get(txn, &pack_id, SEQUENCE, &image_id, &again) == 0);
    FUZZ_CHECK(memcmp(&again, &read, sizeof(read)) == 0);
}

/* A byte with the length of the key, the key, the row. */
static void fuzz_content(struct store_txn *txn, struct slice bytes)
{
    static struct index_content read;
    if (bytes.length == 0)
        return;
    size_t length = bytes.data[0] < bytes.length ? bytes.data[0] : bytes.length - 1;
    struct slice value = slice_of(bytes.data + 1 + length, bytes.length - 1 - length);
    int status = index_content_read(slice_of(bytes.data + 1, length), value, &read);
    FUZZ_CHECK(status == 0 || status == JINI_E_CORRUPT);
    if (status)
        return;
    struct index_content again = read;
    memset(&again.pack, 0, sizeof(again.pack));
    again.sequence = 0;
    FUZZ_CHECK(index_content_put(txn, &read) == 0);
    FUZZ_CHECK(index_content_get(txn, &again) == 0);
    FUZZ_CHECK(memcmp(&again.pack, &read.pack, sizeof(read.pack)) == 0);
    FUZZ_CHECK(again.sequence == read.sequence);
    FUZZ_CHECK(index_content_delete(txn, &read) == 0);
    FUZZ_CHECK(index_content_get(txn, &again) == JINI_E_NOT_FOUND);
}

static void fuzz_orphan(struct store_txn *txn, struct slice bytes)
{
    struct index_orphan read;
    struct index_orphan listed;
    size_t count;
    FUZZ_CHECK(index_orphan_read(bytes, slice_of("x", 1), &read) == JINI_E_CORRUPT);
    int status = index_orphan_read(bytes, slice_of(NULL, 0), &read);
    FUZZ_CHECK(status == 0 || status == JINI_E_CORRUPT);
    if (status)
        return;
    FUZZ_CHECK(index_orphan_put(txn, &read) == 0);
    FUZZ_CHECK(index_orphan_list(txn, read.due_ms, &listed, 1, &count) == 0);
    FUZZ_CHECK(count == (read.due_ms < UINT64_MAX)); /* the end of all time does not come */
    if (count == 0)
        return;
    FUZZ_CHECK(listed.due_ms == read.due_ms);
    FUZZ_CHECK(memcmp(&listed.pack, &read.pack, sizeof(read.pack)) == 0);
    FUZZ_CHECK(memcmp(&listed.attempt, &read.attempt, sizeof(read.attempt)) == 0);
}

/* ---- Accounts ---- */

static void check_text(const char *text, size_t capacity)
{
    size_t length = strnlen(text, capacity);
    FUZZ_CHECK(length < capacity);
    FUZZ_CHECK(text_is_utf8(slice_of(text, length)));
}

static void fuzz_tier(struct slice bytes)
{
    static struct tier_record read;
    static struct tier_record again;
    uint8_t written[TIER_RECORD_MAX];
    struct buffer out = buffer_of(written, sizeof(written));
    int status = tier_record_read(bytes, &read);
    FUZZ_CHECK(status == 0 || is_refusal(status));
    if (status)
        return;
    check_text(read.tier.name, sizeof(read.tier.name));
    check_text(read.tier.currency, sizeof(read.tier.currency));
    check_text(read.tier.allowance.limits, sizeof(read.tier.allowance.limits));
    FUZZ_CHECK(read.tier.name[0] != '\0');
    FUZZ_CHECK(tier_record_write(&read, &out) == 0);
    FUZZ_CHECK(tier_record_read(buffer_slice(&out), &again) == 0);
    FUZZ_CHECK(memcmp(&again.tier, &read.tier, sizeof(read.tier)) == 0);
    FUZZ_CHECK(again.position == read.position);
    FUZZ_CHECK(again.rest.fields == read.rest.fields && again.rest.length == read.rest.length);
    FUZZ_CHECK(memcmp(again.rest.bytes, read.rest.bytes, read.rest.length) == 0);
}

/* What is of a known form is not verified here: that takes as long as it says. */
static void fuzz_password(struct slice bytes)
{
    char stored[2 * JINI_PASSWORD_HASH_MAX];
    struct jini_error error;
    size_t length = bytes.length < sizeof(stored) - 1 ? bytes.length : sizeof(stored) - 1;
    memcpy(stored, bytes.data, length);
    stored[length] = '\0';
    int status = accounts_password_check_hash(stored, &error);
    FUZZ_CHECK(status == 0 || (status == JINI_E_INVALID && error.code == status));
    bool known = crypto_password_check_form(stored) == 0;
    FUZZ_CHECK(known || status == JINI_E_INVALID);
    FUZZ_CHECK(status != 0 || strlen(stored) < JINI_PASSWORD_HASH_MAX);
    if (!known) {
        int verified = crypto_password_verify(slice_of_text("password"), stored);
        FUZZ_CHECK(verified == (stored[0] == '\0' ? JINI_E_DENIED : JINI_E_CORRUPT));
        FUZZ_CHECK(crypto_password_outdated(stored, (struct crypto_password_cost){64, 1}));
    }
}

/* ---- Any of them ---- */

static int op_read(struct store_txn *txn, void *argument)
{
    const struct slice *input = argument;
    struct slice row = slice_of(input->data + 1, input->length - 1);
    switch (input->data[0]) {
    case 0:
        fuzz_quotas(txn, row);
        break;
    case 2:
        fuzz_pack(txn, row);
        break;
    case 3:
        fuzz_location(txn, row);
        break;
    case 4:
        fuzz_content(txn, row);
        break;
    default:
        fuzz_orphan(txn, row);
    }
    return UNDO;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct slice input = slice_of(data, length);
    if (length == 0 || length > VALUE_MAX)
        return 0;
    struct slice row = slice_of(data + 1, length - 1);
    switch (data[0]) {
    case 1:
        fuzz_reservation(row);
        break;
    case 6:
        fuzz_tier(row);
        break;
    case 7:
        fuzz_password(row);
        break;
    case 0:
    case 2:
    case 3:
    case 4:
    case 5:
        if (!store)
            open_store();
        FUZZ_CHECK(store_write(store, op_read, &input) == UNDO);
        break;
    default:
        break;
    }
    return 0;
}
