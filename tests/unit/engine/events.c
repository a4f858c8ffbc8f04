/* Events: what the engine and its callers append. */
#include "engine/due.h"

#include "engine_fixture.h"
#include "found.h"
#include "plant.h"

struct tail {
    struct jini_events_cursor cursor;
    struct jini_events_page page;
    struct jini_event events[64];
    char text[JINI_EVENT_PAYLOAD_MAX];
};

static struct tail tail;

/* What came since the last call. */
static uint32_t more(struct jini *jini)
{
    struct jini_error error;
    tail.page = (struct jini_events_page){.events = tail.events,
                                          .capacity = 64,
                                          .text = tail.text,
                                          .text_capacity = sizeof(tail.text)};
    fixture_must(jini_events_list(jini, NULL, &tail.cursor, &tail.page, &error), "list", &error);
    return tail.page.count;
}

static void check_event(uint32_t at, const char *type, uint64_t user, const struct jini_id *subject,
                        const char *payload)
{
    static const struct jini_id none;
    CHECK_TEXT(tail.events[at].type, type);
    CHECK_UINT(tail.events[at].user_id, ==, user);
    CHECK_BYTES(&tail.events[at].subject_id, subject ? subject : &none, sizeof(none));
    CHECK_TEXT(tail.events[at].payload, payload);
}

static int admit(struct jini *jini, uint64_t user, struct jini_admit *out)
{
    jini_request_init(out);
    out->subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    out->parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    return jini_admit(jini, out, NULL);
}

static struct jini_id admitted(struct jini *jini, uint64_t user)
{
    struct jini_admit request;
    fixture_must(admit(jini, user, &request), "admit", &request.request.error);
    return request.job.id;
}

static void renew(struct jini *jini, const struct jini_id *job, enum jini_job_state state)
{
    struct jini_renew request;
    jini_request_init(&request);
    request.job_id = *job;
    request.state = state;
    fixture_must(jini_renew(jini, &request, NULL), "renew", &request.request.error);
}

TEST(a_job_has_its_events_once,
     "Admitted, started by the first renewal at work and by no other, and ended in one way.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    CHECK_UINT(more(jini), ==, 1);
    check_event(0, "user.created", user, NULL, "{\"tier\":\"Premium\"}");
    struct jini_id job = admitted(jini, user);
    renew(jini, &job, JINI_JOB_IN_QUEUE);
    renew(jini, &job, JINI_JOB_IN_PROGRESS);
    renew(jini, &job, JINI_JOB_IN_PROGRESS);
    fixture_settle(jini, &job);
    CHECK_UINT(more(jini), ==, 3);
    check_event(0, "job.admitted", user, &job, "{}");
    check_event(1, "job.started", user, &job, "{}");
    check_event(2, "job.completed", user, &job, "{}");
    struct jini_id other = admitted(jini, user);
    fixture_release(jini, &other, JINI_JOB_CANCELLED);
    struct jini_settle late;
    jini_request_init(&late);
    late.job_id = other;
    CHECK_STATUS(jini_settle(jini, &late, NULL), JINI_E_CONFLICT);
    CHECK_UINT(more(jini), ==, 2);
    check_event(1, "job.cancelled", user, &other, "{}");
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_failure_says_why, "The reason of a release stands in the payload.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    struct jini_id job = admitted(jini, user);
    struct jini_release release;
    jini_request_init(&release);
    release.job_id = job;
    release.state = JINI_JOB_FAILED;
    release.reason = "CUDA: \"out of memory\"";
    CHECK_OK(jini_release(jini, &release, NULL));
    CHECK_UINT(more(jini), ==, 3);
    check_event(2, "job.failed", user, &job, "{\"reason\":\"CUDA: \\\"out of memory\\\"\"}");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(what_is_refused_has_no_event,
     "A rate limit, a size, credits, a disabled user, a request that is repeated: nothing is "
     "appended.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Free");
    struct jini_admit request;
    for (int i = 0; i < 2; i++) {
        CHECK_OK(admit(jini, user, &request));
        fixture_settle(jini, &request.job.id);
    }
    more(jini);
    for (int i = 0; i < 8; i++) {
        if (admit(jini, user, &request) == 0)
            fixture_settle(jini, &request.job.id);
    }
    CHECK_UINT(more(jini), ==, 6); /* of the three that 5/minute leaves */
    CHECK_STATUS(admit(jini, user, &request), JINI_E_LIMITED);
    struct jini_cost_set cost;
    jini_request_init(&cost);
    cost.cost.per_image = 1000;
    CHECK_OK(jini_cost_set(jini, &cost, NULL));
    uint64_t poor = fixture_user(jini, "eve", "Premium");
    CHECK_UINT(more(jini), ==, 1);
    CHECK_STATUS(admit(jini, poor, &request), JINI_E_FUNDS);
    CHECK_UINT(more(jini), ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(jobs_that_nobody_came_back_for_time_out,
     "The next admission of the user ends them, and so does the background; each has one event.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    struct jini_id first = admitted(jini, user);
    fixture_days_pass(1);
    struct jini_id second = admitted(jini, user);
    CHECK_UINT(more(jini), ==, 4);
    check_event(2, "job.timed_out", user, &first, "{}");
    check_event(3, "job.admitted", user, &second, "{}");
    fixture_days_pass(1);
    jobs_expire(jini);
    jobs_expire(jini);
    CHECK_UINT(more(jini), ==, 1);
    check_event(0, "job.timed_out", user, &second, "{}");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void set_tier(struct jini *jini, uint64_t user, const char *tier)
{
    struct jini_user_set set;
    jini_request_init(&set);
    set.user.id = user;
    snprintf(set.user.tier, sizeof(set.user.tier), "%s", tier);
    set.fields = JINI_USER_FIELD_TIER;
    fixture_must(jini_user_set(jini, &set, NULL), "set", &set.request.error);
}

TEST(another_tier_is_told, "With the one before it; the same tier again is no change.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Free");
    set_tier(jini, user, "premium");
    set_tier(jini, user, "Premium");
    CHECK_UINT(more(jini), ==, 2);
    check_event(1, "user.tier_changed", user, NULL,
                "{\"tier\":\"Premium\",\"tier_before\":\"Free\"}");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static struct jini_id grant(struct jini *jini, uint64_t user, uint8_t number, uint64_t expires_ms)
{
    struct jini_grant_add add;
    jini_request_init(&add);
    add.grant.id.bytes[0] = number;
    add.grant.user_id = user;
    add.grant.granted = 100;
    add.grant.category = JINI_GRANT_PROMOTIONAL;
    add.grant.expires_ms = expires_ms;
    fixture_must(jini_grant_add(jini, &add, NULL), "grant", &add.request.error);
    return add.grant.id;
}

TEST(credits_are_told_when_they_come_and_when_they_expire,
     "A grant that is made again has no second event; what was reserved and comes back too late "
     "has its own.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    uint64_t expires_ms = (fixture_wall_ns(NULL) / 1000000000 + 3600) * 1000;
    char payload[128];
    struct jini_cost_set cost;
    jini_request_init(&cost);
    cost.cost.per_image = 7000;
    CHECK_OK(jini_cost_set(jini, &cost, NULL));
    struct jini_id id = grant(jini, user, 3, expires_ms);
    grant(jini, user, 3, expires_ms);
    struct jini_id job = admitted(jini, user);
    CHECK_UINT(more(jini), ==, 3);
    snprintf(payload, sizeof(payload),
             "{\"credits\":100,\"category\":\"promotional\",\"expires_ms\":%llu}",
             (unsigned long long)expires_ms);
    check_event(1, "credits.granted", user, &id, payload);
    check_event(2, "job.admitted", user, &job, "{\"cost_credits\":7}");
    fixture_days_pass(1);
    due_tend(jini);
    due_tend(jini);
    fixture_release(jini, &job, JINI_JOB_CANCELLED);
    CHECK_UINT(more(jini), ==, 3);
    check_event(0, "credits.expired", user, NULL, "{\"credits\":93}");
    check_event(1, "credits.expired", user, NULL, "{\"credits\":7}");
    check_event(2, "job.cancelled", user, &job, "{}");
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- The caller's own ---- */

static int append_in(struct jini_txn *txn, void *argument)
{
    struct jini_events_append *append = argument;
    int status = jini_txn_events_append(txn, &append[0]);
    return status ? status : jini_txn_events_append(txn, &append[1]);
}

TEST(events_commit_with_the_transaction_that_appends_them,
     "Both or none; their positions come back, and a payload that is none fails the call.")
{
    struct jini *jini = fixture_open();
    struct jini_events_append append[2];
    struct jini_write write;
    jini_request_init(&write);
    for (int i = 0; i < 2; i++) {
        jini_request_init(&append[i]);
        append[i].type = "image.liked";
        append[i].user_id = 3;
        append[i].payload = i ? "{\"n\":2}" : NULL;
    }
    write.function = append_in;
    write.argument = append;
    CHECK_OK(jini_write(jini, &write, NULL));
    CHECK_UINT(more(jini), ==, 2);
    check_event(0, "image.liked", 3, NULL, "{}");
    check_event(1, "image.liked", 3, NULL, "{\"n\":2}");
    CHECK_UINT(tail.events[0].position, ==, append[0].position);
    CHECK_UINT(tail.events[1].position, ==, append[1].position);
    append[1].payload = "{";
    CHECK_STATUS(jini_write(jini, &write, NULL), JINI_E_INVALID);
    CHECK_TEXT(write.request.error.field, "payload");
    CHECK_UINT(more(jini), ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_clock_that_is_set_back_keeps_the_order,
     "Positions go on above the last one, and a listing from a time has all that came after it.")
{
    struct jini *jini = fixture_open();
    struct jini_events_append append;
    jini_request_init(&append);
    append.type = "a";
    fixture_days_pass(10);
    CHECK_OK(jini_events_append(jini, &append, NULL));
    uint64_t first = append.position;
    fixture_wall_offset_ns = 0;
    CHECK_OK(jini_events_append(jini, &append, NULL));
    CHECK_UINT(append.position, >, first);
    tail.cursor = jini_events_from_ms(first / 1000000);
    CHECK_UINT(more(jini), ==, 2);
    tail.cursor = jini_events_from_ms(first / 1000000 + 1);
    CHECK_UINT(more(jini), ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(wrong_listings_are_refused, "A page without room, a prefix that is empty or has no end.")
{
    struct jini *jini = fixture_open();
    struct jini_error error;
    struct jini_events_filter filter = {.prefix_count = 1};
    struct jini_events_page small = {
        .events = tail.events, .capacity = 1, .text = tail.text, .text_capacity = 10};
    CHECK_STATUS(jini_events_list(jini, NULL, &tail.cursor, &small, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "page");
    small.text_capacity = sizeof(tail.text);
    CHECK_STATUS(jini_events_list(jini, &filter, &tail.cursor, &small, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "prefixes");
    memset(filter.prefixes, 'a', sizeof(filter.prefixes));
    CHECK_STATUS(jini_events_list(jini, &filter, &tail.cursor, &small, &error), JINI_E_INVALID);
    filter.prefix_count = JINI_EVENT_PREFIXES_MAX + 1;
    CHECK_STATUS(jini_events_list(jini, &filter, &tail.cursor, &small, &error), JINI_E_INVALID);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_damaged_event_is_named, "By verify; a listing passes it over.")
{
    static struct found found;
    struct jini *jini = fixture_open();
    struct jini_events_append append;
    struct tuple key;
    jini_request_init(&append);
    append.type = "a";
    CHECK_OK(jini_events_append(jini, &append, NULL));
    tuple_begin(&key);
    tuple_add_uint(&key, append.position);
    plant_row(jini, STORE_SPACE_EVENTS, &key, "x", 1);
    found_run(jini, "event_damaged", 0, &found);
    CHECK_UINT(found.count, ==, 1);
    tuple_add_uint(&key, 1);
    plant_row(jini, STORE_SPACE_EVENTS, &key, "x", 1);
    found_run(jini, "event_key_damaged", 0, &found);
    CHECK_UINT(found.count, ==, 1);
    CHECK_UINT(more(jini), ==, 0);
    CHECK_UINT(tail.cursor.ended, ==, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
