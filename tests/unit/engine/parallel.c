/* The bound on parallel jobs of an address: who shares it, and what gives a place back. */
#include "engine/engine_private.h"
#include "generations/generations.h"
#include "limits/quota.h"

#include "engine_fixture.h"

enum { PARALLEL = 2 };

static void set_tier(struct jini *jini, const char *limits)
{
    struct jini_tier_set set;
    struct jini_error error;
    jini_request_init(&set);
    CHECK_OK(jini_tier_get(jini, "Free", &set.tier, &error));
    snprintf(set.tier.allowance.limits, sizeof(set.tier.allowance.limits), "%s", limits);
    set.tier.allowance.parallel_max = PARALLEL;
    fixture_must(jini_tier_set(jini, &set, NULL), "tier", &set.request.error);
}

static int admit_for(struct jini *jini, const char *address, uint32_t lease_ms,
                     struct jini_admit *out)
{
    jini_request_init(out);
    CHECK_OK(jini_subject_parse_address(address, &out->subject));
    out->parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    out->lease_ms = lease_ms;
    return jini_admit(jini, out, NULL);
}

static struct jini_id admitted(struct jini *jini, const char *address)
{
    struct jini_admit request;
    fixture_must(admit_for(jini, address, 0, &request), "admit", &request.request.error);
    return request.job.id;
}

static void check_refused(struct jini *jini, const char *address)
{
    struct jini_admit request;
    CHECK_STATUS(admit_for(jini, address, 0, &request), JINI_E_LIMITED);
    CHECK_TEXT(request.request.error.field, "parallel");
    CHECK_CONTAINS(request.request.error.message, "2 jobs are running, and 2 may at once");
    CHECK_UINT(request.request.error.retry_after_ms, >, 0);
    CHECK_UINT(request.answer.retry_after_ms, ==, request.request.error.retry_after_ms);
}

static uint32_t running(struct jini *jini, const char *address)
{
    static struct generations_running row;
    struct jini_subject public;
    struct quota_subject subject = {0};
    struct store_txn *txn;
    CHECK_OK(jini_subject_parse_address(address, &public));
    memcpy(subject.address, public.address, sizeof(subject.address));
    const struct generations_subject runner = {0, quota_address(&subject)};
    CHECK_OK(store_read_begin(jini->store, &txn));
    CHECK_OK(generations_running_get(txn, &runner, 0, &row, NULL));
    store_read_end(txn);
    return row.count;
}

static uint64_t left_of_quota(struct jini *jini, const char *address)
{
    struct jini_limit_check check = {.flags = JINI_CHECK_PEEK};
    struct jini_limit_answer answer;
    struct jini_error error;
    CHECK_OK(jini_subject_parse_address(address, &check.subject));
    CHECK_OK(jini_limit_check(jini, &check, &answer, &error));
    return answer.entries[1].remaining;
}

TEST(an_address_runs_as_many_jobs_as_the_tier_allows,
     "Of IPv4 each address, of IPv6 each /64 runs two jobs at once; a third is refused in numbers "
     "and charges nothing, and the loopback address counts like any other.")
{
    struct jini *jini = fixture_open();
    static const char *const addresses[] = {"192.0.2.1", "192.0.2.2", "2001:db8:1:2::1",
                                            "2001:db8:1:3::1", "::1"};
    set_tier(jini, "50/minute; 300/day");
    for (size_t i = 0; i < 5; i++) {
        for (int k = 0; k < PARALLEL; k++)
            admitted(jini, addresses[i]);
        check_refused(jini, addresses[i]);
        CHECK_UINT(running(jini, addresses[i]), ==, PARALLEL);
        CHECK_UINT(left_of_quota(jini, addresses[i]), ==, 300 - PARALLEL);
    }
    check_refused(jini, "2001:db8:1:2:ffff::7");
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(every_end_of_a_job_gives_an_address_its_place_back,
     "Settled, released, given up by the next admission or in the background: each gives the place "
     "back once, and with the last job the row of running jobs is gone.")
{
    static const char address[] = "2001:db8:1:2::1";
    struct jini *jini = fixture_open();
    struct jini_admit lost;
    set_tier(jini, "50/minute; 300/day");
    struct jini_id first = admitted(jini, address);
    struct jini_id second = admitted(jini, address);
    fixture_settle(jini, &first);
    first = admitted(jini, address);
    check_refused(jini, address);
    fixture_release(jini, &second, JINI_JOB_CANCELLED);
    CHECK_OK(admit_for(jini, address, 5000, &lost));
    check_refused(jini, address);
    fixture_wall_offset_ns += UINT64_C(6) * NS_PER_S;
    second = admitted(jini, address); /* ends the lost one */
    check_refused(jini, address);
    CHECK_UINT(left_of_quota(jini, address), ==, 300 - 3);
    fixture_settle(jini, &first);
    fixture_settle(jini, &second);
    CHECK_UINT(running(jini, address), ==, 0);
    CHECK_OK(admit_for(jini, address, 5000, &lost));
    fixture_wall_offset_ns += UINT64_C(6) * NS_PER_S;
    jobs_expire(jini);
    CHECK_UINT(running(jini, address), ==, 0);
    CHECK_UINT(left_of_quota(jini, address), ==, 300 - 3);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(an_address_without_quotas_is_counted_too,
     "Where the tier has no quota, the bound on parallel jobs holds, and no row is left behind.")
{
    struct jini *jini = fixture_open();
    set_tier(jini, "50/minute");
    struct jini_id first = admitted(jini, "192.0.2.1");
    struct jini_id second = admitted(jini, "192.0.2.1");
    check_refused(jini, "192.0.2.1");
    fixture_verify(jini);
    fixture_settle(jini, &first);
    fixture_release(jini, &second, JINI_JOB_CANCELLED);
    CHECK_UINT(running(jini, "192.0.2.1"), ==, 0);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static uint32_t counters_of(struct jini *jini, const char *address)
{
    struct jini_subject public;
    struct quota_subject subject = {0};
    struct quota_counter counters[QUOTA_COUNTERS_MAX];
    struct store_txn *txn;
    uint32_t count;
    CHECK_OK(jini_subject_parse_address(address, &public));
    memcpy(subject.address, public.address, sizeof(subject.address));
    CHECK_OK(store_read_begin(jini->store, &txn));
    int status = quota_list(txn, &subject, counters, &count);
    store_read_end(txn);
    CHECK(status == 0 || status == JINI_E_NOT_FOUND);
    return count;
}

TEST(cleaning_quotas_goes_past_running_jobs,
     "Quotas of addresses go when they are over, on either side of those whose jobs still run; the "
     "rows of running jobs stay until these end.")
{
    static const char *const addresses[] = {"::1", "192.0.2.1", "192.0.2.2", "2001:db8::1",
                                            "2001:db8:1::1"};
    struct jini *jini = fixture_open();
    struct jini_admit request;
    set_tier(jini, "50/minute; 300/day");
    for (size_t i = 0; i < 5; i++) {
        CHECK_OK(admit_for(jini, addresses[i], UINT32_MAX, &request));
        if (i % 2 == 0)
            fixture_settle(jini, &request.job.id);
    }
    fixture_days_pass(3);
    quotas_clean(jini);
    for (size_t i = 0; i < 5; i++) {
        CHECK_UINT(counters_of(jini, addresses[i]), ==, i % 2);
        CHECK_UINT(running(jini, addresses[i]), ==, i % 2);
    }
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
