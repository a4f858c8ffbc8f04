/* Cleaning the quotas of addresses in the background: what goes, what stays, and when it rests. */
#include "engine/engine_private.h"
#include "limits/quota.h"

#include "engine_fixture.h"

enum { ADDRESSES = QUOTA_SWEEP_ROWS + 40, RUNNING = (ADDRESSES + 9) / 10 };

#define REST_NS (UINT64_C(600) * NS_PER_S)

static _Atomic uint64_t boot_offset_ns;

static uint64_t moved_boot_ns(void *context)
{
    return fixture_boot_ns(context) + boot_offset_ns;
}

static const struct jini_clock moved_clock = {fixture_wall_ns, moved_boot_ns, NULL};

static struct jini_subject address_of(uint32_t number)
{
    return (struct jini_subject){
        .kind = JINI_SUBJECT_ADDRESS,
        .address = {[10] = 0xff, 0xff, 10, 0, (uint8_t)(number >> 8), (uint8_t)number}};
}

static void admit(struct jini *jini, uint32_t number, struct jini_admit *out)
{
    jini_request_init(out);
    out->subject = address_of(number);
    out->parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    fixture_must(jini_admit(jini, out, NULL), "admit", &out->request.error);
}

static bool has_row(struct jini *jini, uint32_t number)
{
    struct jini_subject address = address_of(number);
    struct quota_subject subject = {0};
    struct quota_counter counters[QUOTA_COUNTERS_MAX];
    struct store_txn *txn;
    uint32_t count;
    memcpy(subject.address, address.address, 16);
    CHECK_OK(store_read_begin(jini->store, &txn));
    int status = quota_list(txn, &subject, counters, &count);
    store_read_end(txn);
    return status == 0;
}

static uint32_t rows(struct jini *jini)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < ADDRESSES; i++)
        count += has_row(jini, i);
    return count;
}

/* Admits all addresses; every tenth job goes on running. */
static void use_all(struct jini *jini, struct jini_id running[RUNNING])
{
    for (uint32_t i = 0; i < ADDRESSES; i++) {
        struct jini_admit admission;
        admit(jini, i, &admission);
        if (i % 10)
            fixture_settle(jini, &admission.job.id);
        else
            running[i / 10] = admission.job.id;
    }
}

static struct jini *open_moved(uint32_t background)
{
    struct jini_options options;
    fixture_options(&options);
    options.clock = &moved_clock;
    options.background_run = background;
    options.background_interval_ms = 10;
    return fixture_open_with(&options);
}

TEST(quotas_of_addresses_go_in_slices,
     "A slice at a time what is over goes; what is reserved or used again stays and is counted on.")
{
    struct jini *jini = open_moved(0);
    struct jini_id running[RUNNING];
    struct jini_admit admission;
    use_all(jini, running);
    quotas_clean(jini);
    quotas_clean(jini);
    CHECK_UINT(rows(jini), ==, ADDRESSES);
    boot_offset_ns += REST_NS;
    fixture_days_pass(3);
    admit(jini, 1, &admission);
    fixture_settle(jini, &admission.job.id);
    quotas_clean(jini);
    uint32_t left = rows(jini);
    CHECK_UINT(left, <, ADDRESSES);
    CHECK_UINT(left, >, RUNNING + 1);
    quotas_clean(jini);
    CHECK_UINT(rows(jini), ==, RUNNING + 1);
    for (uint32_t i = 0; i < ADDRESSES; i++)
        CHECK_UINT(has_row(jini, i), ==, i % 10 == 0 || i == 1);
    admit(jini, 1, &admission);
    CHECK_UINT(admission.answer.entries[1].remaining, ==, 28);
    admit(jini, 2, &admission);
    CHECK_UINT(admission.answer.entries[1].remaining, ==, 29);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(cleaning_rests_after_a_turn_without_a_find,
     "After a whole turn that found nothing no row is looked at for ten minutes.")
{
    struct jini *jini = open_moved(0);
    struct jini_admit admission;
    admit(jini, 1, &admission);
    quotas_clean(jini);
    fixture_settle(jini, &admission.job.id);
    fixture_days_pass(3);
    quotas_clean(jini);
    CHECK(has_row(jini, 1));
    boot_offset_ns += REST_NS;
    quotas_clean(jini);
    CHECK(!has_row(jini, 1));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(the_background_cleans_quotas,
     "An engine left alone ends the jobs of the past and removes what their addresses counted.")
{
    struct jini *jini = open_moved(0);
    struct jini_id running[RUNNING];
    use_all(jini, running);
    CHECK_OK(jini_close(jini, NULL, NULL));
    fixture_days_pass(3);
    jini = open_moved(1);
    char text[65536] = "";
    struct jini_error error;
    size_t length;
    char line[64];
    snprintf(line, sizeof(line), "jini_limits_quota_rows_removed_total %d\n", ADDRESSES);
    for (int i = 0; i < 6000 && !strstr(text, line); i++) { /* counted once that has committed */
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        CHECK_OK(jini_metrics(jini, text, sizeof(text), &length, &error));
    }
    CHECK_UINT(rows(jini), ==, 0);
    CHECK_CONTAINS(text, line);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
