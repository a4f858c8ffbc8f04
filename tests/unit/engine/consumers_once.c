/* Consumers ONCE: effects once. */
#include "consume.h"

static struct taken a;
static struct taken b;

struct effect {
    struct jini_events_advance advance;
    const struct taken *taken;
    int then; /* what the function answers after all */
};

/* Counts events under the key of their user, with the advance. */
static int do_effects(struct jini_txn *txn, void *argument)
{
    struct effect *effect = argument;
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < effect->taken->take.page.count; i++) {
        const struct jini_event *event = &effect->taken->events[i];
        uint64_t count = 0;
        size_t length;
        jini_txn_get(txn, &event->user_id, sizeof(event->user_id), &count, sizeof(count), &length);
        count++;
        status = jini_txn_put(txn, &event->user_id, sizeof(event->user_id), &count, sizeof(count));
    }
    if (status == 0)
        status = jini_txn_events_advance(txn, &effect->advance);
    return status ? status : effect->then;
}

static int run_effects(struct jini *jini, const struct taken *taken, int then)
{
    struct effect effect = {.taken = taken, .then = then};
    struct jini_write write;
    jini_request_init(&effect.advance);
    effect.advance.consumer = taken->take.consumer;
    effect.advance.batch = taken->take.batch;
    jini_request_init(&write);
    write.function = do_effects;
    write.argument = &effect;
    return jini_write(jini, &write, NULL);
}

static int read_count(struct jini_txn *txn, void *argument)
{
    uint64_t *number = argument;
    uint64_t key = *number;
    size_t length;
    *number = 0;
    int status = jini_txn_get(txn, &key, sizeof(key), number, sizeof(*number), &length);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static uint64_t effects_of(struct jini *jini, uint64_t user)
{
    CHECK_OK(jini_read(jini, read_count, &user, NULL));
    return user;
}

TEST(effects_come_once,
     "In the order of the log; what is undone comes again, and what is done does not.")
{
    struct jini *jini = fixture_open();
    consume_make(jini, "mails", JINI_CONSUMER_ONCE, "a.");
    for (uint64_t i = 1; i <= 10; i++) {
        consume_append(jini, "a.b", i);
        consume_append(jini, "other", i);
    }
    consume_begin(&a, "mails", 4);
    CHECK_UINT(consume_take(jini, &a), ==, 4);
    CHECK_STATUS(run_effects(jini, &a, JINI_E_FORBIDDEN), JINI_E_FORBIDDEN);
    CHECK_UINT(effects_of(jini, 1), ==, 0);
    for (int round = 0; round < 3; round++) {
        CHECK_UINT(consume_take(jini, &a), ==, round < 2 ? 4 : 2);
        CHECK_UINT(a.events[0].user_id, ==, 1 + 4 * (uint64_t)round);
        CHECK_OK(run_effects(jini, &a, 0));
        CHECK_STATUS(run_effects(jini, &a, 0), JINI_E_CONFLICT);
    }
    CHECK_UINT(consume_take(jini, &a), ==, 0);
    for (uint64_t i = 1; i <= 10; i++)
        CHECK_UINT(effects_of(jini, i), ==, 1);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_batch_may_be_done_in_part, "Up to a position of it; the rest comes again.")
{
    struct jini *jini = fixture_open();
    consume_make(jini, "c", JINI_CONSUMER_ONCE, NULL);
    for (uint64_t i = 1; i <= 3; i++)
        consume_append(jini, "a", i);
    consume_begin(&a, "c", 64);
    CHECK_UINT(consume_take(jini, &a), ==, 3);
    a.take.batch.upto = a.events[0].position;
    CHECK_OK(consume_advance(jini, &a));
    CHECK_UINT(consume_take(jini, &a), ==, 2);
    CHECK_UINT(a.events[0].user_id, ==, 2);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(one_holder_at_a_time,
     "Others are refused while the lease runs; after it one takes over, and the former holder "
     "changes nothing any more.")
{
    struct jini *jini = fixture_open();
    consume_make(jini, "c", JINI_CONSUMER_ONCE, NULL);
    consume_append(jini, "a", 1);
    consume_begin(&a, "c", 64);
    consume_begin(&b, "c", 64);
    a.take.lease_ms = b.take.lease_ms = 1000;
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    CHECK_STATUS(jini_events_take(jini, &b.take, NULL), JINI_E_LOCKED);
    CHECK_UINT(b.take.request.error.retry_after_ms, >, 0);
    CHECK_UINT(b.take.request.error.retry_after_ms, <=, 1000);
    consume_ms_pass(900);
    CHECK_UINT(consume_take(jini, &a), ==, 1); /* and lasts anew */
    consume_ms_pass(900);
    CHECK_STATUS(jini_events_take(jini, &b.take, NULL), JINI_E_LOCKED);
    consume_ms_pass(200);
    CHECK_UINT(consume_take(jini, &b), ==, 1);
    CHECK_STATUS(run_effects(jini, &a, 0), JINI_E_CONFLICT);
    CHECK_STATUS(jini_events_take(jini, &a.take, NULL), JINI_E_CONFLICT);
    CHECK_OK(run_effects(jini, &b, 0));
    CHECK_UINT(effects_of(jini, 1), ==, 1);
    CHECK_UINT(consume_look(jini, "c").epoch, ==, 2);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_clock_that_is_set_back_locks_nobody_out,
     "A lease that lies farther ahead than it was to last is over.")
{
    struct jini *jini = fixture_open();
    consume_make(jini, "c", JINI_CONSUMER_ONCE, NULL);
    consume_append(jini, "a", 1);
    fixture_days_pass(10);
    consume_begin(&a, "c", 64);
    consume_begin(&b, "c", 64);
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    fixture_wall_offset_ns = 0;
    CHECK_UINT(consume_take(jini, &b), ==, 1);
    CHECK_STATUS(consume_advance(jini, &a), JINI_E_CONFLICT);
    CHECK_OK(consume_advance(jini, &b));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* A second later each time that it is read. */
static uint64_t hasty_wall_ns(void *context)
{
    consume_ms_pass(1000);
    return fixture_wall_ns(context);
}

static const struct jini_clock hasty_clock = {hasty_wall_ns, fixture_boot_ns, NULL};

TEST(a_lease_that_is_over_at_once_is_used,
     "Who waits for none gets the events; one that is too short is refused.")
{
    struct jini_options options;
    fixture_options(&options);
    options.clock = &hasty_clock;
    struct jini *jini = fixture_open_with(&options);
    consume_make(jini, "c", JINI_CONSUMER_ONCE, NULL);
    consume_append(jini, "a", 1);
    consume_begin(&a, "c", 64);
    a.take.lease_ms = 9;
    CHECK_STATUS(jini_events_take(jini, &a.take, NULL), JINI_E_INVALID);
    CHECK_TEXT(a.take.request.error.field, "lease_ms");
    a.take.lease_ms = 10;
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    CHECK_OK(consume_advance(jini, &a));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static int seek(struct jini *jini, const char *name, uint64_t position)
{
    struct jini_consumer_seek request;
    jini_request_init(&request);
    request.name = name;
    request.position = position;
    return jini_consumer_seek(jini, &request, NULL);
}

TEST(a_replay_brings_events_again, "From a position, from the begin, or from the end on.")
{
    struct jini *jini = fixture_open();
    uint64_t positions[3];
    consume_make(jini, "c", JINI_CONSUMER_ONCE, NULL);
    for (uint64_t i = 0; i < 3; i++)
        positions[i] = consume_append(jini, "a", i);
    consume_begin(&a, "c", 64);
    CHECK_UINT(consume_take(jini, &a), ==, 3);
    CHECK_OK(consume_advance(jini, &a));
    CHECK_OK(seek(jini, "c", positions[1]));
    CHECK_STATUS(jini_events_take(jini, &a.take, NULL), JINI_E_CONFLICT);
    consume_begin(&a, "c", 64);
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    CHECK_OK(seek(jini, "c", JINI_EVENTS_BEGIN));
    CHECK_STATUS(consume_advance(jini, &a), JINI_E_CONFLICT);
    consume_begin(&a, "c", 64);
    CHECK_UINT(consume_take(jini, &a), ==, 3);
    CHECK_OK(seek(jini, "c", JINI_EVENTS_END));
    consume_begin(&a, "c", 64);
    CHECK_UINT(consume_take(jini, &a), ==, 0);
    CHECK_STATUS(seek(jini, "d", 0), JINI_E_NOT_FOUND);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(consumers_are_made_listed_and_removed,
     "The same again is found; another kind or filter is refused; lag is told.")
{
    struct jini *jini = fixture_open();
    struct jini_consumer_create create;
    consume_append(jini, "a", 1);
    consume_make(jini, "c", JINI_CONSUMER_ONCE, "a");
    jini_request_init(&create);
    snprintf(create.consumer.name, sizeof(create.consumer.name), "c");
    create.consumer.kind = JINI_CONSUMER_ONCE;
    CHECK_STATUS(jini_consumer_create(jini, &create, NULL), JINI_E_EXISTS);
    create.consumer.filter.prefix_count = 1;
    create.consumer.filter.prefixes[0][0] = 'a';
    CHECK_OK(jini_consumer_create(jini, &create, NULL));
    CHECK_UINT(create.existed, ==, 1);
    snprintf(create.consumer.name, sizeof(create.consumer.name), "d");
    create.consumer.position = JINI_EVENTS_END;
    CHECK_OK(jini_consumer_create(jini, &create, NULL));
    consume_append(jini, "b", 1);
    CHECK_UINT(consume_look(jini, "c").lag_events, ==, 2);
    CHECK_UINT(consume_look(jini, "d").lag_events, ==, 1);
    consume_ms_pass(5000);
    CHECK_UINT(consume_look(jini, "d").lag_ms, >=, 5000);
    struct jini_consumer_delete remove;
    jini_request_init(&remove);
    remove.name = "c";
    CHECK_OK(jini_consumer_delete(jini, &remove, NULL));
    CHECK_STATUS(jini_consumer_delete(jini, &remove, NULL), JINI_E_NOT_FOUND);
    consume_begin(&a, "c", 64);
    CHECK_STATUS(jini_events_take(jini, &a.take, NULL), JINI_E_NOT_FOUND);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(wrong_consumers_are_refused, "Names, kinds, prefixes and counts, each by its field.")
{
    static const struct {
        const char *name;
        uint32_t kind;
        uint32_t deliveries_max;
        const char *prefix;
        const char *field;
    } wrong[] = {
        {"", 1, 0, NULL, "consumer"},
        {"a b", 1, 0, NULL, "consumer"},
        {"\xc3\xa9", 1, 0, NULL, "consumer"},
        {"a", 0, 0, NULL, "kind"},
        {"a", 3, 0, NULL, "kind"},
        {"a", 1, 1, NULL, "deliveries_max"},
        {"a", 2, 1001, NULL, "deliveries_max"},
        {"a", 1, 0, "a b", "prefixes"},
        {"a", 1, 0, "", "prefixes"},
    };
    struct jini *jini = fixture_open();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct jini_consumer_create create;
        jini_request_init(&create);
        snprintf(create.consumer.name, sizeof(create.consumer.name), "%s", wrong[i].name);
        create.consumer.kind = wrong[i].kind;
        create.consumer.deliveries_max = wrong[i].deliveries_max;
        create.consumer.filter.prefix_count = wrong[i].prefix != NULL;
        if (wrong[i].prefix)
            snprintf(create.consumer.filter.prefixes[0], JINI_EVENT_TYPE_MAX, "%s",
                     wrong[i].prefix);
        CHECK_STATUS(jini_consumer_create(jini, &create, NULL), JINI_E_INVALID);
        CHECK_TEXT(create.request.error.field, wrong[i].field);
    }
    consume_begin(&a, "a", 64);
    a.take.page.text_capacity = 1;
    CHECK_STATUS(jini_events_take(jini, &a.take, NULL), JINI_E_INVALID);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(many_events_that_are_not_wanted_are_passed_once,
     "The consumer stands behind them afterwards, without having been given any.")
{
    struct jini *jini = fixture_open();
    uint64_t last = 0;
    consume_make(jini, "c", JINI_CONSUMER_ONCE, "wanted");
    consume_append_many(jini, "other", 600);
    last = consume_append(jini, "other", 1);
    consume_begin(&a, "c", 64);
    CHECK_UINT(consume_take(jini, &a), ==, 0);
    CHECK_UINT(consume_look(jini, "c").position, ==, last);
    consume_append(jini, "wanted", 7);
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    CHECK_UINT(a.events[0].user_id, ==, 7);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
