/* Why admissions fell as they did: with jobs, and in the ring of refusals. */
#include "engine/why.h"

#include "engine_fixture.h"
#include "lives.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static struct jini *open_with(const char *kept)
{
    struct jini_options options;
    struct jini_error error;
    fixture_options(&options);
    CHECK_OK(jini_options_set(&options, "decisions.kept", kept, &error));
    return fixture_open_with(&options);
}

static int admit(struct jini *jini, uint64_t user, struct jini_admit *out)
{
    jini_request_init(out);
    out->subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    out->parameters = (struct jini_parameters){
        .width = 640, .height = 480, .steps = 20, .count = 2, .model = "sd-xl"};
    return jini_admit(jini, out, NULL);
}

static void set_cost(struct jini *jini, uint64_t thousandths)
{
    struct jini_cost_set set;
    jini_request_init(&set);
    set.cost.per_image = thousandths;
    fixture_must(jini_cost_set(jini, &set, NULL), "cost", &set.request.error);
}

static void grant(struct jini *jini, uint64_t user, uint64_t credits)
{
    struct jini_grant_add add;
    jini_request_init(&add);
    jini_id_make(jini, &add.grant.id);
    add.grant.user_id = user;
    add.grant.granted = credits;
    add.grant.category = JINI_GRANT_PAID;
    fixture_must(jini_grant_add(jini, &add, NULL), "grant", &add.request.error);
}

static void set_limits(struct jini *jini, const char *tier, const char *limits)
{
    struct jini_tier_set set;
    jini_request_init(&set);
    snprintf(set.tier.name, sizeof(set.tier.name), "%s", tier);
    snprintf(set.tier.allowance.limits, sizeof(set.tier.allowance.limits), "%s", limits);
    set.fields = JINI_ALLOWANCE_LIMITS;
    fixture_must(jini_tier_set(jini, &set, NULL), "tier", &set.request.error);
}

static struct jini_decision why(struct jini *jini, const struct jini_id *id)
{
    struct jini_decision decision;
    struct jini_error error;
    fixture_must(jini_why(jini, id, &decision, &error), "why", &error);
    CHECK_INT(jini_id_compare(&decision.id, id), ==, 0);
    return decision;
}

static size_t last(struct jini *jini, uint64_t user, struct jini_decision *out, size_t capacity)
{
    struct jini_error error;
    size_t count;
    CHECK_OK(jini_why_last(jini, user, out, capacity, &count, &error));
    return count;
}

/* ---- Admitted ---- */

TEST(a_job_says_what_it_was_admitted_on,
     "A job's limits, parallel jobs, tier, credits and cost are told as they stood when it was "
     "admitted, whatever was changed and drawn since, and after it has ended.")
{
    struct jini *jini = open_with("64");
    uint64_t user = fixture_user(jini, "alice", "Free");
    struct jini_admit first;
    struct jini_admit second;
    set_limits(jini, "Free", "10/minute; 30/day");
    set_cost(jini, 1500);
    grant(jini, user, 10);
    fixture_must(admit(jini, user, &first), "admit", &first.request.error);
    CHECK_INT(jini_id_compare(&first.decision_id, &first.job.id), ==, 0);
    set_limits(jini, "Free", "20/minute; 60/day");
    fixture_must(admit(jini, user, &second), "admit", &second.request.error);
    fixture_settle(jini, &first.job.id);
    struct jini_decision decision = why(jini, &first.job.id);
    CHECK_INT(decision.status, ==, 0);
    CHECK_TEXT(decision.tier, "Free");
    CHECK_UINT(decision.tier_version, ==, 1);
    CHECK_TEXT(decision.model, "sd-xl");
    CHECK_UINT(decision.subject.number, ==, user);
    CHECK_UINT(decision.parallel, ==, 1);
    CHECK_UINT(decision.parallel_max, ==, 5);
    CHECK_UINT(decision.cost, ==, 3);
    CHECK_UINT(decision.cost_version, ==, 1);
    CHECK_UINT(decision.credits_before, ==, 10);
    CHECK_UINT(decision.credits_after, ==, 7);
    CHECK_UINT(decision.limit_count, ==, 2);
    CHECK_UINT(decision.decided, ==, JINI_LIMITS_MAX);
    CHECK_UINT(decision.limits[0].amount, ==, 10);
    CHECK_UINT(decision.limits[0].remaining, ==, 8);
    CHECK_UINT(decision.limits[0].unit, ==, JINI_UNIT_MINUTE);
    CHECK_UINT(decision.limits[1].amount, ==, 30);
    CHECK_UINT(decision.limits[1].remaining, ==, 28);
    CHECK_UINT(decision.limits[1].flags, ==, JINI_LIMIT_QUOTA);
    CHECK_UINT(decision.limits[1].reset_ms, >, 0);
    decision = why(jini, &second.job.id);
    CHECK_UINT(decision.tier_version, ==, 2);
    CHECK_UINT(decision.limits[1].remaining, ==, 56);
    CHECK_UINT(decision.credits_before, ==, 7);
    CHECK_UINT(decision.parallel, ==, 2);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Refused ---- */

TEST(a_refusal_is_explained_by_the_id_of_its_answer,
     "Rate limits, quotas, parallel jobs, credits and a size that the tier does not allow: each "
     "refusal is found by its id, with what it stood on, also by another process that comes later.")
{
    struct jini *jini = open_with("64");
    uint64_t user = fixture_user(jini, "alice", "Free");
    struct jini_decision newest[8];
    struct jini_admit request;
    struct jini_id ids[3];
    set_limits(jini, "Free", "100/minute; 3/day");
    CHECK_OK(admit(jini, user, &request));
    CHECK_STATUS(admit(jini, user, &request), JINI_E_LIMITED);
    ids[0] = request.decision_id;
    set_limits(jini, "Free", "100/minute");
    set_cost(jini, 2000);
    CHECK_STATUS(admit(jini, user, &request), JINI_E_FUNDS);
    ids[1] = request.decision_id;
    jini_request_init(&request);
    request.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    request.parameters =
        (struct jini_parameters){.width = 4000, .height = 480, .steps = 20, .count = 1};
    CHECK_STATUS(jini_admit(jini, &request, NULL), JINI_E_FORBIDDEN);
    ids[2] = request.decision_id;
    CHECK_OK(jini_close(jini, NULL, NULL));
    jini = open_with("1024");
    struct jini_decision decision = why(jini, &ids[0]);
    CHECK_INT(decision.status, ==, JINI_E_LIMITED);
    CHECK_TEXT(decision.field, "quota");
    CHECK_CONTAINS(decision.message, "3 per 1 day");
    CHECK_UINT(decision.decided, ==, 1);
    CHECK_UINT(decision.limits[1].remaining, ==, 1);
    CHECK_UINT(decision.limits[1].flags, ==, JINI_LIMIT_QUOTA | JINI_LIMIT_REFUSED);
    CHECK_UINT(decision.limits[0].remaining, ==, 98);
    decision = why(jini, &ids[1]);
    CHECK_INT(decision.status, ==, JINI_E_FUNDS);
    CHECK_UINT(decision.cost, ==, 4);
    CHECK_UINT(decision.credits_before, ==, 0);
    decision = why(jini, &ids[2]);
    CHECK_TEXT(decision.field, "width");
    CHECK_UINT(decision.width, ==, 4000);
    CHECK_TEXT(decision.tier, "Free");
    CHECK_UINT(last(jini, user, newest, 8), ==, 3);
    for (int i = 0; i < 3; i++)
        CHECK_INT(jini_id_compare(&newest[i].id, &ids[2 - i]), ==, 0);
    CHECK_UINT(last(jini, user + 1, newest, 8), ==, 0);
    CHECK_UINT(last(jini, 0, newest, 2), ==, 2);
    struct jini_error error;
    ids[0].bytes[15] ^= 1;
    CHECK_STATUS(jini_why(jini, &ids[0], &decision, &error), JINI_E_NOT_FOUND);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- The ring ---- */

static struct jini_decision made(uint64_t number)
{
    struct jini_decision decision = {.status = JINI_E_LIMITED,
                                     .time_ms = number,
                                     .subject = {.kind = JINI_SUBJECT_USER, .number = number % 7},
                                     .cost = number,
                                     .limit_count = 2,
                                     .decided = 1,
                                     .tier = "Free",
                                     .field = "rate"};
    if (number % 7 == 0)
        decision.subject.number = 7;
    store_be64(decision.id.bytes, number);
    store_be64(decision.id.bytes + 8, ~number);
    decision.limits[0].amount = decision.limits[1].remaining = number;
    return decision;
}

/* Every decision that is read was made as it is read. */
static void check_made(const struct jini_decision *decision)
{
    struct jini_decision expected = made(load_be64(decision->id.bytes));
    CHECK_INT(jini_id_compare(&decision->id, &expected.id), ==, 0);
    CHECK_UINT(decision->time_ms, ==, expected.time_ms);
    CHECK_UINT(decision->cost, ==, expected.cost);
    CHECK_UINT(decision->limits[0].amount, ==, expected.cost);
    CHECK_UINT(decision->limits[1].remaining, ==, expected.cost);
}

static size_t list(struct decisions *ring, struct jini_decision *out, size_t capacity)
{
    const struct decisions_wanted all = {0};
    return decisions_list(ring, &all, out, capacity);
}

static const char *directory(void)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s", harness_path("."));
    return path;
}

TEST(the_newest_take_the_place_of_the_oldest,
     "A ring of 64 keeps the last 64 of more, newest first, for those of one user too.")
{
    static struct jini_decision out[128];
    struct decisions *ring = decisions_new(directory(), 64);
    CHECK_UINT(list(ring, out, 128), ==, 0);
    CHECK(!decisions_add(ring, out, false));
    for (uint64_t number = 1; number <= 300; number++) {
        struct jini_decision decision = made(number);
        CHECK(decisions_add(ring, &decision, true));
    }
    CHECK_UINT(list(ring, out, 128), ==, 64);
    for (unsigned i = 0; i < 64; i++) {
        CHECK_UINT(out[i].time_ms, ==, 300 - i);
        check_made(&out[i]);
    }
    const struct decisions_wanted of_user = {.user_id = 3};
    size_t count = decisions_list(ring, &of_user, out, 128);
    CHECK_UINT(count, ==, 9);
    for (size_t i = 0; i < count; i++)
        CHECK_UINT(out[i].subject.number, ==, 3);
    decisions_free(ring);
}

struct writing {
    struct decisions *ring;
    uint64_t first;
    _Atomic bool *over;
    struct life *life; /* NULL: none is told */
};

static void *write_on(void *argument)
{
    const struct writing *writing = argument;
    for (uint64_t number = writing->first; !atomic_load(writing->over); number += 4) {
        struct jini_decision decision = made(number);
        if (writing->life)
            life_begin(writing->life);
        decisions_add(writing->ring, &decision, true);
        if (writing->life)
            life_end(writing->life);
    }
    return NULL;
}

TEST(readers_see_whole_decisions_while_others_write,
     "Beside writers that go round a small ring as fast as they can every decision that is read is "
     "one that was made.")
{
    static struct jini_decision out[128];
    static _Atomic bool over;
    struct decisions *ring = decisions_new(directory(), 64);
    struct writing writings[3];
    pthread_t threads[3];
    for (uint64_t i = 0; i < 3; i++) {
        writings[i] = (struct writing){ring, 1 + i, &over, NULL};
        CHECK_INT(pthread_create(&threads[i], NULL, write_on, &writings[i]), ==, 0);
    }
    size_t read = 0;
    while (read < 5000 * harness_scale()) {
        size_t count = list(ring, out, 128);
        for (size_t k = 0; k < count; k++)
            check_made(&out[k]);
        read += count;
    }
    atomic_store(&over, true);
    for (int i = 0; i < 3; i++)
        CHECK_INT(pthread_join(threads[i], NULL), ==, 0);
    decisions_free(ring);
}

TEST(a_writer_that_is_killed_tears_one_slot,
     "After each kill of a process in the middle of writing, what is read was made, at most one "
     "slot is missing, and who writes on takes that over.")
{
    static struct jini_decision out[128];
    static _Atomic bool over;
    struct decisions *ring = decisions_new(directory(), 64);
    struct lives lives = {.lives = 40, .pieces = 400, .done_min = 2000, .middle_min = 1};
    while (lives_go_on(&lives, true)) {
        fflush(NULL);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            struct writing writing = {decisions_new(directory(), 64), 1, &over, lives.told};
            write_on(&writing);
        }
        lives_kill(&lives, pid);
        size_t count = list(ring, out, 128);
        for (size_t i = 0; i < count; i++)
            check_made(&out[i]);
        for (uint64_t number = 1; number <= 64; number++) {
            struct jini_decision decision = made(number);
            CHECK(decisions_add(ring, &decision, true));
        }
        CHECK_UINT(list(ring, out, 128), ==, 64);
    }
    lives_check(&lives);
    decisions_free(ring);
}

/* ---- Hostile bytes ---- */

static const char *ring_path(void)
{
    return harness_path("decisions.shm");
}

static void overwrite(off_t offset, const void *bytes, size_t length)
{
    int file = open(ring_path(), O_WRONLY);
    CHECK(file >= 0);
    CHECK_INT(pwrite(file, bytes, length, offset), ==, length);
    close(file);
}

static void fill(struct decisions *ring)
{
    for (uint64_t number = 1; number <= 64; number++) {
        struct jini_decision decision = made(number);
        CHECK(decisions_add(ring, &decision, true));
    }
}

TEST(no_byte_of_the_file_is_believed,
     "Whatever stands in slots and in the counter, what is read was made; a file whose header or "
     "length is wrong is not used, and replaced by the next refusal.")
{
    static struct jini_decision out[128];
    static uint8_t noise[64 * DECISIONS_SLOT_BYTES];
    struct decisions *ring = decisions_new(directory(), 64);
    fill(ring);
    for (unsigned i = 0; i < 400 * harness_scale(); i++) {
        uint8_t byte = (uint8_t)harness_random();
        overwrite(64 + (off_t)harness_random_below(8), &byte, 1);
        overwrite(4096 + (off_t)harness_random_below(sizeof(noise)), &byte, 1);
        size_t count = list(ring, out, 128);
        CHECK_UINT(count, <=, 64);
        for (size_t k = 0; k < count; k++)
            check_made(&out[k]);
    }
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (uint8_t)harness_random();
    overwrite(4096, noise, sizeof(noise));
    CHECK_UINT(list(ring, out, 128), ==, 0);
    fill(ring);
    CHECK_UINT(list(ring, out, 128), ==, 64);
    decisions_free(ring);
    for (off_t offset = 0; offset < 32; offset++) {
        uint8_t byte = 0x5a;
        overwrite(offset, &byte, 1);
        ring = decisions_new(directory(), 64);
        CHECK_UINT(list(ring, out, 128), ==, 0);
        fill(ring);
        CHECK_UINT(list(ring, out, 128), ==, 64);
        decisions_free(ring);
    }
    CHECK_INT(truncate(ring_path(), 4096 + DECISIONS_SLOT_BYTES), ==, 0);
    ring = decisions_new(directory(), 64);
    CHECK_UINT(list(ring, out, 128), ==, 0);
    fill(ring);
    decisions_free(ring);
    CHECK_INT(unlink(ring_path()), ==, 0);
    CHECK_INT(mkfifo(ring_path(), 0600), ==, 0);
    ring = decisions_new(directory(), 64);
    fill(ring);
    CHECK_UINT(list(ring, out, 128), ==, 64);
    decisions_free(ring);
}

TEST(facts_are_read_as_they_were_written,
     "Any decision's facts come back; and of bytes cut, changed or added every one is refused or "
     "is some decision's.")
{
    for (unsigned i = 0; i < 2000 * harness_scale(); i++) {
        struct jini_decision decision = {.limit_count = (uint32_t)harness_random_below(9)};
        struct jini_decision read = {0};
        uint8_t bytes[FACTS_MAX + 1];
        struct buffer out = buffer_of(bytes, FACTS_MAX);
        unsigned shift = (unsigned)harness_random_below(64);
        decision.decided = decision.limit_count ? 0 : JINI_LIMITS_MAX;
        decision.cost = harness_random() >> shift;
        decision.credits_before = harness_random() >> shift;
        decision.tier_version = (uint32_t)(harness_random() >> shift);
        memset(decision.tier, 'x', harness_random_below(JINI_TIER_NAME_MAX));
        for (uint32_t k = 0; k < decision.limit_count; k++)
            decision.limits[k] =
                (struct jini_decision_limit){.amount = harness_random() >> shift,
                                             .multiples = (uint32_t)(harness_random() >> shift),
                                             .unit = JINI_UNIT_DAY,
                                             .flags = JINI_LIMIT_QUOTA,
                                             .remaining = harness_random() >> shift,
                                             .reset_ms = UINT64_MAX,
                                             .retry_after_ms = harness_random() >> shift};
        CHECK_OK(facts_write(&decision, &out));
        CHECK_OK(facts_read(buffer_slice(&out), &read));
        CHECK_BYTES(&read, &decision, sizeof(read));
        size_t cut = harness_random_below(out.length);
        CHECK_STATUS(facts_read(slice_of(bytes, cut), &read), JINI_E_CORRUPT);
        bytes[out.length] = 0;
        CHECK_STATUS(facts_read(slice_of(bytes, out.length + 1), &read), JINI_E_CORRUPT);
        bytes[harness_random_below(out.length)] = (uint8_t)harness_random();
        int status = facts_read(buffer_slice(&out), &read);
        CHECK(status == 0 || status == JINI_E_CORRUPT || status == JINI_E_FORMAT);
        CHECK_UINT(read.limit_count, <=, JINI_LIMITS_MAX);
    }
}
