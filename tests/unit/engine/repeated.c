/* Admissions that are sent again under the same request id. */
#include "engine/engine_private.h"

#include "engine_fixture.h"

#include <pthread.h>
#include <unistd.h>

static struct jini_admit asked(uint64_t user, uint8_t number)
{
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    admit.parameters =
        (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1, .seed = -1};
    admit.prompt = "a harbour";
    admit.request_id.bytes[15] = number;
    return admit;
}

static uint64_t left(const struct jini_admit *admit, unsigned entry)
{
    CHECK_UINT(admit->answer.count, ==, 2);
    return admit->answer.entries[entry].remaining;
}

TEST(a_request_is_admitted_once,
     "Sent again it is answered with its job, as it is then, and charges nothing; also of a user "
     "who may not ask for more.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Free");
    struct jini_admit first = asked(user, 1);
    fixture_must(jini_admit(jini, &first, NULL), "admit", &first.request.error);
    CHECK_UINT(first.repeated, ==, 0);
    for (int i = 0; i < 8; i++) { /* more often than 5/minute allows */
        struct jini_admit again = asked(user, 1);
        fixture_must(jini_admit(jini, &again, NULL), "again", &again.request.error);
        CHECK_UINT(again.repeated, ==, 1);
        CHECK_INT(jini_id_compare(&again.job.id, &first.job.id), ==, 0);
        CHECK_UINT(left(&again, 0), ==, 4);
        CHECK_UINT(left(&again, 1), ==, 29);
        CHECK_UINT(again.answer.parallel, ==, 1);
    }
    fixture_settle(jini, &first.job.id);
    struct jini_admit again = asked(user, 1);
    fixture_must(jini_admit(jini, &again, NULL), "again", &again.request.error);
    CHECK_INT(again.job.state, ==, JINI_JOB_COMPLETED);
    struct jini_admit other = asked(user, 2);
    fixture_must(jini_admit(jini, &other, NULL), "other", &other.request.error);
    CHECK(jini_id_compare(&other.job.id, &first.job.id) != 0);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_request_that_asks_for_something_else_is_refused,
     "Whatever differs under an id that was admitted is an error, and nothing is charged.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    uint64_t eve = fixture_user(jini, "eve", "Premium");
    struct jini_admit first = asked(user, 1);
    CHECK_OK(jini_admit(jini, &first, NULL));
    for (int i = 0; i < 9; i++) {
        struct jini_admit again = asked(i == 0 ? eve : user, 1);
        struct jini_parameters *parameters = &again.parameters;
        again.prompt = i == 1 ? "a harbour by night" : i == 2 ? NULL : again.prompt;
        again.negative = i == 3 ? "fog" : NULL;
        parameters->width += i == 4;
        parameters->steps += i == 5;
        parameters->count += i == 6;
        parameters->seed += i == 7;
        parameters->model[0] = i == 8 ? 'm' : '\0';
        CHECK_STATUS(jini_admit(jini, &again, NULL), JINI_E_EXISTS);
        CHECK_TEXT(again.request.error.field, "request_id");
    }
    struct jini_admit last = asked(user, 2);
    CHECK_OK(jini_admit(jini, &last, NULL));
    CHECK_UINT(left(&last, 0), ==, 58);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_refusal_is_decided_afresh, "What was refused under an id may be admitted under it later.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Free");
    struct jini_tier_set set;
    jini_request_init(&set);
    snprintf(set.tier.name, sizeof(set.tier.name), "Free");
    snprintf(set.tier.allowance.limits, sizeof(set.tier.allowance.limits), "1/day");
    set.fields = JINI_ALLOWANCE_LIMITS;
    fixture_must(jini_tier_set(jini, &set, NULL), "tier", &set.request.error);
    struct jini_admit admit = asked(user, 1);
    CHECK_OK(jini_admit(jini, &admit, NULL));
    admit = asked(user, 6);
    CHECK_STATUS(jini_admit(jini, &admit, NULL), JINI_E_LIMITED);
    fixture_days_pass(1);
    admit = asked(user, 6);
    fixture_must(jini_admit(jini, &admit, NULL), "later", &admit.request.error);
    CHECK_UINT(admit.repeated, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

enum { SENDERS = 16, ROUNDS = 20 };

struct sender {
    struct jini *jini;
    uint64_t user;
    uint8_t number;
    struct jini_admit admit;
    pthread_t thread;
};

static void *send_it(void *argument)
{
    struct sender *sender = argument;
    sender->admit = asked(sender->user, sender->number);
    fixture_must(jini_admit(sender->jini, &sender->admit, NULL), "admit",
                 &sender->admit.request.error);
    return NULL;
}

TEST(a_request_that_comes_many_times_at_once_is_admitted_once,
     "Of all that send it one has it admitted; the others get that job, and one image is charged.")
{
    static struct sender senders[SENDERS];
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    for (uint8_t round = 1; round <= ROUNDS; round++) {
        unsigned admitted = 0;
        for (int i = 0; i < SENDERS; i++) {
            senders[i] = (struct sender){.jini = jini, .user = user, .number = round};
            CHECK_INT(pthread_create(&senders[i].thread, NULL, send_it, &senders[i]), ==, 0);
        }
        for (int i = 0; i < SENDERS; i++)
            CHECK_INT(pthread_join(senders[i].thread, NULL), ==, 0);
        for (int i = 0; i < SENDERS; i++) {
            admitted += !senders[i].admit.repeated;
            CHECK_INT(jini_id_compare(&senders[i].admit.job.id, &senders[0].admit.job.id), ==, 0);
        }
        CHECK_UINT(admitted, ==, 1);
        fixture_settle(jini, &senders[0].admit.job.id);
    }
    struct jini_admit last = asked(user, ROUNDS + 1);
    CHECK_OK(jini_admit(jini, &last, NULL));
    CHECK_UINT(left(&last, 0), ==, 60 - ROUNDS - 1);
    CHECK_UINT(left(&last, 1), ==, 2000 - ROUNDS - 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static uint64_t known(struct jini *jini)
{
    uint64_t count;
    CHECK_OK(store_count(jini->store, STORE_SPACE_REQUESTS, &count));
    return count;
}

TEST(a_request_is_known_for_a_day, "After 24 hours it is still known; after two days it is gone.")
{
    struct jini_options options;
    fixture_options(&options);
    options.background_run = 1;
    options.background_interval_ms = 20;
    struct jini *jini = fixture_open_with(&options);
    uint64_t user = fixture_user(jini, "ada", "Premium");
    struct jini_admit first = asked(user, 1);
    CHECK_OK(jini_admit(jini, &first, NULL));
    fixture_settle(jini, &first.job.id);
    fixture_days_pass(1);
    usleep(200000);
    struct jini_admit again = asked(user, 1);
    CHECK_OK(jini_admit(jini, &again, NULL));
    CHECK_UINT(again.repeated, ==, 1);
    fixture_days_pass(1);
    for (int i = 0; i < 500 && known(jini) > 0; i++)
        usleep(10000);
    CHECK_UINT(known(jini), ==, 0);
    again = asked(user, 1);
    CHECK_OK(jini_admit(jini, &again, NULL));
    CHECK_UINT(again.repeated, ==, 0);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
