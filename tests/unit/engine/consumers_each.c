/* Consumers EACH: deliveries, and dead letters. */
#include "consume.h"
#include "found.h"
#include "full.h"
#include "plant.h"

#include "events/consumers.h"

static struct taken a;
static struct taken b;

static void append_many(struct jini *jini, uint64_t count)
{
    consume_append_many(jini, "a", count);
}

TEST(what_is_acked_is_done, "Workers get different events, and only what is held has rows.")
{
    struct jini *jini = fixture_open();
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    append_many(jini, 5);
    consume_begin(&a, "c", 2);
    consume_begin(&b, "c", 64);
    CHECK_UINT(consume_take(jini, &a), ==, 2);
    CHECK_UINT(consume_take(jini, &b), ==, 3);
    CHECK_UINT(a.events[0].user_id, ==, 1);
    CHECK_UINT(b.events[0].user_id, ==, 3);
    CHECK_UINT(b.events[0].delivery, ==, 1);
    CHECK_UINT(consume_look(jini, "c").held, ==, 5);
    CHECK_UINT(consume_look(jini, "c").lag_events, ==, 0);
    fixture_verify(jini);
    CHECK_OK(consume_ack(jini, &b));
    CHECK_UINT(consume_look(jini, "c").held, ==, 2);
    CHECK_STATUS(consume_ack(jini, &b), JINI_E_CONFLICT);
    CHECK_OK(consume_ack(jini, &a));
    CHECK_UINT(consume_look(jini, "c").held, ==, 0);
    CHECK_UINT(consume_take(jini, &a), ==, 0);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(what_is_not_answered_comes_back, "When its time is over, and the late answer is told so.")
{
    struct jini *jini = fixture_open();
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    append_many(jini, 3);
    consume_begin(&a, "c", 64);
    consume_begin(&b, "c", 2);
    a.take.lease_ms = b.take.lease_ms = 1000;
    CHECK_UINT(consume_take(jini, &a), ==, 3);
    CHECK_UINT(consume_take(jini, &b), ==, 0);
    consume_ms_pass(1001);
    CHECK_UINT(consume_take(jini, &b), ==, 2);
    CHECK_UINT(b.events[0].delivery, ==, 2);
    uint64_t positions[TAKEN_MAX];
    struct jini_events_answer late = consume_answer(&a, positions);
    CHECK_OK(jini_events_ack(jini, &late, NULL));
    CHECK_UINT(late.stale, ==, 2);
    CHECK_OK(consume_ack(jini, &b));
    CHECK_UINT(consume_look(jini, "c").held, ==, 0);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(what_is_given_back_waits_for_its_delay, "And not longer; others come meanwhile.")
{
    struct jini *jini = fixture_open();
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    append_many(jini, 2);
    consume_begin(&a, "c", 1);
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    CHECK_OK(consume_nack(jini, &a, 5000, NULL));
    CHECK_STATUS(consume_nack(jini, &a, 0, NULL), JINI_E_CONFLICT);
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    CHECK_UINT(a.events[0].user_id, ==, 2);
    CHECK_OK(consume_ack(jini, &a));
    CHECK_UINT(consume_take(jini, &a), ==, 0);
    fixture_verify(jini);
    consume_ms_pass(5001);
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    CHECK_UINT(a.events[0].user_id, ==, 1);
    CHECK_UINT(a.events[0].delivery, ==, 2);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

struct dead {
    struct jini_events_page page;
    struct jini_event events[TAKEN_MAX];
    struct jini_dead_letter letters[TAKEN_MAX];
    char text[JINI_EVENT_PAYLOAD_MAX];
};
static struct dead dead;

static uint32_t list_dead(struct jini *jini, const char *name, uint64_t after)
{
    struct jini_error error;
    dead.page = (struct jini_events_page){.events = dead.events,
                                          .capacity = TAKEN_MAX,
                                          .text = dead.text,
                                          .text_capacity = sizeof(dead.text)};
    fixture_must(jini_dead_list(jini, name, after, dead.letters, &dead.page, &error), "dead",
                 &error);
    return dead.page.count;
}

/* Has all that is there die. */
static void kill_all(struct jini *jini, const char *reason)
{
    consume_begin(&a, "c", 64);
    for (int i = 0; i < 3; i++) {
        if (consume_take(jini, &a) == 0)
            break;
        CHECK_OK(consume_nack(jini, &a, 0, reason));
        consume_ms_pass(1);
    }
}

static int resend(struct jini *jini, uint64_t position, uint64_t *count)
{
    struct jini_dead_change change;
    jini_request_init(&change);
    change.consumer = "c";
    change.position = position;
    int status = jini_dead_resend(jini, &change, NULL);
    *count = change.count;
    return status;
}

static int drop(struct jini *jini, uint64_t position, uint64_t *count)
{
    struct jini_dead_change change;
    jini_request_init(&change);
    change.consumer = "c";
    change.position = position;
    int status = jini_dead_drop(jini, &change, NULL);
    *count = change.count;
    return status;
}

TEST(after_the_last_delivery_it_is_a_dead_letter,
     "With the reason, listed with its event; sent again it begins anew, dropped it is gone.")
{
    struct jini *jini = fixture_open();
    uint64_t count;
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    append_many(jini, 3);
    kill_all(jini, "the printer is on fire");
    CHECK_UINT(consume_take(jini, &a), ==, 0);
    CHECK_UINT(consume_look(jini, "c").dead, ==, 3);
    CHECK_UINT(consume_look(jini, "c").held, ==, 0);
    fixture_verify(jini);
    CHECK_UINT(list_dead(jini, "c", 0), ==, 3);
    CHECK_TEXT(dead.letters[1].reason, "the printer is on fire");
    CHECK_UINT(dead.letters[1].deliveries, ==, 3);
    CHECK_UINT(dead.letters[1].position, ==, dead.events[1].position);
    CHECK_UINT(dead.events[1].user_id, ==, 2);
    uint64_t second = dead.letters[1].position;
    CHECK_UINT(list_dead(jini, "c", second), ==, 1);
    CHECK_OK(resend(jini, second, &count));
    CHECK_UINT(count, ==, 1);
    CHECK_STATUS(resend(jini, second, &count), JINI_E_NOT_FOUND);
    fixture_verify(jini);
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    CHECK_UINT(a.events[0].user_id, ==, 2);
    CHECK_UINT(a.events[0].delivery, ==, 1);
    CHECK_OK(consume_ack(jini, &a));
    CHECK_OK(resend(jini, 0, &count));
    CHECK_UINT(count, ==, 2);
    CHECK_UINT(consume_take(jini, &a), ==, 2);
    CHECK_OK(consume_nack(jini, &a, 0, NULL));
    kill_all(jini, NULL);
    CHECK_OK(drop(jini, 0, &count));
    CHECK_UINT(count, ==, 2);
    CHECK_UINT(consume_look(jini, "c").dead, ==, 0);
    CHECK_OK(drop(jini, 0, &count));
    CHECK_UINT(count, ==, 0);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_worker_that_dies_each_time_makes_a_dead_letter,
     "Deliveries that are never answered count as well.")
{
    struct jini *jini = fixture_open();
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    append_many(jini, 1);
    consume_begin(&a, "c", 64);
    for (int i = 0; i < 3; i++) {
        CHECK_UINT(consume_take(jini, &a), ==, 1);
        consume_ms_pass(60000);
    }
    CHECK_UINT(consume_take(jini, &a), ==, 0);
    CHECK_UINT(list_dead(jini, "c", 0), ==, 1);
    CHECK_TEXT(dead.letters[0].reason, "");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(what_is_held_is_bounded, "One more is busy, until some are answered; dead letters make room.")
{
    struct jini_options options;
    uint64_t count;
    fixture_options(&options);
    options.events_held_max = 4;
    options.events_dead_max = 2;
    struct jini *jini = fixture_open_with(&options);
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    append_many(jini, 9);
    consume_begin(&a, "c", 64);
    CHECK_UINT(consume_take(jini, &a), ==, 4);
    consume_begin(&b, "c", 64);
    CHECK_STATUS(jini_events_take(jini, &b.take, NULL), JINI_E_BUSY);
    CHECK_TEXT(b.take.request.error.field, "events.held_max");
    CHECK_OK(consume_ack(jini, &a));
    CHECK_UINT(consume_take(jini, &b), ==, 4);
    CHECK_OK(consume_nack(jini, &b, 0, NULL));
    consume_ms_pass(1);
    for (int i = 0; i < 2; i++) {
        CHECK_UINT(consume_take(jini, &a), ==, 4);
        CHECK_OK(consume_nack(jini, &a, 0, NULL));
        consume_ms_pass(1);
    }
    CHECK_UINT(consume_look(jini, "c").dead, ==, 2);
    CHECK_UINT(consume_look(jini, "c").dead_lost, ==, 2);
    fixture_verify(jini);
    CHECK_UINT(list_dead(jini, "c", 0), ==, 2);
    CHECK_UINT(dead.events[0].user_id, ==, 7);
    append_many(jini, 3);
    CHECK_UINT(consume_take(jini, &a), ==, 4);
    CHECK_STATUS(resend(jini, 0, &count), JINI_E_BUSY);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_replay_gives_nothing_twice_at_once,
     "What is held or waits is passed over; what was done comes again.")
{
    struct jini *jini = fixture_open();
    struct jini_consumer_seek seek;
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    append_many(jini, 4);
    consume_begin(&a, "c", 2);
    consume_begin(&b, "c", 64);
    CHECK_UINT(consume_take(jini, &a), ==, 2);
    CHECK_UINT(consume_take(jini, &b), ==, 2);
    CHECK_OK(consume_ack(jini, &b));
    jini_request_init(&seek);
    seek.name = "c";
    CHECK_OK(jini_consumer_seek(jini, &seek, NULL));
    CHECK_UINT(consume_take(jini, &b), ==, 2);
    CHECK_UINT(b.events[0].user_id, ==, 3);
    CHECK_OK(consume_ack(jini, &a)); /* it holds them still */
    CHECK_OK(consume_ack(jini, &b));
    CHECK_UINT(consume_look(jini, "c").held, ==, 0);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static int ack_and_put(struct jini_txn *txn, void *argument)
{
    struct jini_events_answer *ack = argument;
    int status = jini_txn_events_ack(txn, ack);
    return status ? status : jini_txn_put(txn, "k", 1, "v", 1);
}

TEST(an_answer_joins_a_transaction, "The caller's record and the ack commit as one.")
{
    struct jini *jini = fixture_open();
    uint64_t positions[TAKEN_MAX];
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    append_many(jini, 1);
    consume_begin(&a, "c", 64);
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    struct jini_events_answer ack = consume_answer(&a, positions);
    struct jini_write write;
    jini_request_init(&write);
    write.function = ack_and_put;
    write.argument = &ack;
    CHECK_OK(jini_write(jini, &write, NULL));
    CHECK_STATUS(jini_write(jini, &write, NULL), JINI_E_CONFLICT);
    CHECK_UINT(consume_look(jini, "c").held, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(each_way_is_its_own, "A consumer ONCE has no deliveries, and one EACH is not advanced.")
{
    struct jini *jini = fixture_open();
    uint64_t position = 1;
    struct jini_events_answer ack;
    consume_make(jini, "once", JINI_CONSUMER_ONCE, NULL);
    consume_make(jini, "each", JINI_CONSUMER_EACH, NULL);
    consume_begin(&a, "each", 1);
    CHECK_STATUS(consume_advance(jini, &a), JINI_E_INVALID);
    jini_request_init(&ack);
    ack.consumer = "once";
    CHECK_STATUS(jini_events_ack(jini, &ack, NULL), JINI_E_INVALID);
    CHECK_TEXT(ack.request.error.field, "positions");
    ack.positions = &position;
    ack.count = 1;
    CHECK_STATUS(jini_events_ack(jini, &ack, NULL), JINI_E_INVALID);
    ack.delay_ms = UINT64_MAX;
    CHECK_STATUS(jini_events_nack(jini, &ack, NULL), JINI_E_INVALID);
    CHECK_TEXT(ack.request.error.field, "delay_ms");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_clock_that_is_set_back_holds_no_delivery_back,
     "What is held or waits comes back after as long as it was to last.")
{
    struct jini *jini = fixture_open();
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    append_many(jini, 2);
    fixture_days_pass(10);
    consume_begin(&a, "c", 1);
    consume_begin(&b, "c", 64);
    a.take.lease_ms = 60000;
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    CHECK_OK(consume_nack(jini, &a, 120000, NULL));
    fixture_wall_offset_ns = 0;
    CHECK_UINT(consume_take(jini, &b), ==, 0);
    consume_ms_pass(60001);
    CHECK_UINT(consume_take(jini, &b), ==, 1);
    CHECK_UINT(b.events[0].user_id, ==, 1);
    CHECK_OK(consume_ack(jini, &b));
    consume_ms_pass(60000);
    CHECK_UINT(consume_take(jini, &b), ==, 1);
    CHECK_UINT(b.events[0].user_id, ==, 2);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(many_dead_letters_are_changed_in_parts, "Each call changes so many and no more.")
{
    struct jini *jini = fixture_open();
    uint64_t count;
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    append_many(jini, JINI_DEAD_CHANGED_MAX + 10);
    consume_begin(&a, "c", 64);
    while (consume_look(jini, "c").dead < JINI_DEAD_CHANGED_MAX + 10) {
        if (consume_take(jini, &a) > 0)
            CHECK_OK(consume_nack(jini, &a, 0, NULL));
        consume_ms_pass(1);
    }
    CHECK_OK(resend(jini, 0, &count));
    CHECK_UINT(count, ==, JINI_DEAD_CHANGED_MAX);
    CHECK_OK(drop(jini, 0, &count));
    CHECK_UINT(count, ==, 10);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(dead_letters_shrink_to_a_lower_bound, "With each one that comes more than one makes room.")
{
    struct jini *jini = fixture_open();
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    append_many(jini, 6);
    kill_all(jini, NULL);
    CHECK_UINT(consume_look(jini, "c").dead, ==, 6);
    jini->options.events_dead_max = 2;
    append_many(jini, 2);
    kill_all(jini, NULL);
    CHECK_UINT(consume_look(jini, "c").dead, ==, 2);
    CHECK_UINT(consume_look(jini, "c").dead_lost, ==, 6);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Retention ---- */

static uint64_t events_left(struct jini *jini)
{
    uint64_t count;
    CHECK_OK(store_count(jini->store, STORE_SPACE_EVENTS, &count));
    return count;
}

static struct jini *open_keeping(uint64_t keep_s, uint64_t keep_max_s, uint64_t bytes_max)
{
    struct jini_options options;
    fixture_options(&options);
    options.events_keep_s = keep_s;
    options.events_keep_max_s = keep_max_s;
    options.events_bytes_max = bytes_max;
    return fixture_open_with(&options);
}

TEST(events_go_when_they_are_old_and_done,
     "A consumer that is behind, or holds one, keeps what it needs until keep_max_s; then it goes "
     "on behind, and what it lost is counted.")
{
    struct jini *jini = open_keeping(86400, 10 * 86400, JINI_GIB(1));
    consume_make(jini, "once", JINI_CONSUMER_ONCE, "a");
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    append_many(jini, 10);
    consume_append(jini, "b", 1);
    events_tend(jini);
    CHECK_UINT(events_left(jini), ==, 11);
    fixture_days_pass(2);
    events_tend(jini);
    CHECK_UINT(events_left(jini), ==, 11);
    consume_begin(&a, "once", 4);
    CHECK_UINT(consume_take(jini, &a), ==, 4);
    CHECK_OK(consume_advance(jini, &a));
    consume_begin(&b, "c", 2);
    CHECK_UINT(consume_take(jini, &b), ==, 2);
    CHECK_OK(consume_ack(jini, &b));
    CHECK_UINT(consume_take(jini, &b), ==, 2); /* the third and the fourth, held */
    events_tend(jini);
    CHECK_UINT(events_left(jini), ==, 9);
    fixture_verify(jini);
    fixture_days_pass(9);
    append_many(jini, 1);
    events_tend(jini);
    CHECK_UINT(events_left(jini), ==, 1);
    CHECK_UINT(consume_look(jini, "once").lost, ==, 6);
    CHECK_UINT(consume_look(jini, "c").lost, ==, 9); /* two held, six of a, one of b */
    CHECK_UINT(consume_look(jini, "c").held, ==, 0);
    fixture_verify(jini);
    CHECK_STATUS(consume_advance(jini, &a), JINI_E_CONFLICT);
    consume_begin(&a, "once", 4);
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(the_log_is_bounded_by_bytes, "The oldest go whatever a dead consumer needs.")
{
    struct jini *jini = open_keeping(0, 0, JINI_KIB(64));
    consume_make(jini, "dead", JINI_CONSUMER_ONCE, NULL);
    append_many(jini, 3000);
    uint64_t before;
    uint64_t bytes;
    CHECK_OK(store_measure(jini->store, STORE_SPACE_EVENTS, &before, &bytes));
    CHECK_UINT(bytes, >, JINI_KIB(64));
    events_tend(jini);
    uint64_t left;
    CHECK_OK(store_measure(jini->store, STORE_SPACE_EVENTS, &left, &bytes));
    CHECK_UINT(bytes, <=, JINI_KIB(64));
    CHECK_UINT(left, >, 500);
    CHECK_UINT(consume_look(jini, "dead").lost, ==, 3000 - left);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(what_is_held_while_it_is_replayed_is_lost_once,
     "An event that goes before it comes again is counted once, and leaves no delivery.")
{
    struct jini *jini = open_keeping(0, 86400, JINI_GIB(1));
    struct jini_consumer_seek seek;
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    append_many(jini, 3);
    consume_begin(&a, "c", 1);
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    CHECK_OK(consume_ack(jini, &a));
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    jini_request_init(&seek);
    seek.name = "c";
    CHECK_OK(jini_consumer_seek(jini, &seek, NULL));
    fixture_days_pass(2);
    events_tend(jini);
    CHECK_UINT(consume_look(jini, "c").held, ==, 0);
    CHECK_UINT(consume_look(jini, "c").lost, ==, 3);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(dead_letters_outlive_the_log, "They are listed and sent again after their events went.")
{
    struct jini *jini = open_keeping(86400, 0, JINI_GIB(1));
    uint64_t count;
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    append_many(jini, 1);
    kill_all(jini, NULL);
    fixture_days_pass(2);
    events_tend(jini);
    CHECK_UINT(events_left(jini), ==, 0);
    CHECK_UINT(list_dead(jini, "c", 0), ==, 1);
    CHECK_OK(resend(jini, 0, &count));
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    CHECK_TEXT(a.events[0].type, "a");
    CHECK_OK(consume_ack(jini, &a));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Damage ---- */

static struct tuple row_key(unsigned kind, const char *name)
{
    struct tuple key;
    tuple_begin(&key);
    tuple_add_uint(&key, kind);
    tuple_add_text(&key, slice_of_text(name));
    return key;
}

static void check_found(struct jini *jini, const char *kind)
{
    static struct found found;
    found_run(jini, kind, 0, &found);
    if (found.count == 0)
        harness_fail(__FILE__, __LINE__, "no %s", kind);
}

TEST(damaged_rows_are_named, "Each kind by verify, and none holds up a take of others.")
{
    struct jini *jini = fixture_open();
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    append_many(jini, 3);
    consume_begin(&a, "c", 64);
    a.take.lease_ms = 1000;
    CHECK_UINT(consume_take(jini, &a), ==, 3);
    struct tuple key = row_key(1, "c");
    tuple_add_uint(&key, a.events[0].position);
    plant_row(jini, STORE_SPACE_CONSUMERS, &key, "x", 1);
    check_found(jini, "delivery_damaged");
    key = row_key(2, "c");
    tuple_add_uint(&key, 77);
    tuple_add_uint(&key, 78);
    plant_row(jini, STORE_SPACE_CONSUMERS, &key, "", 0);
    check_found(jini, "time_without_delivery");
    check_found(jini, "consumer_counts_wrong");
    key = row_key(3, "c");
    tuple_add_uint(&key, 5);
    plant_row(jini, STORE_SPACE_CONSUMERS, &key, "x", 1);
    check_found(jini, "dead_letter_damaged");
    consume_ms_pass(2000);
    CHECK_UINT(consume_take(jini, &a), ==, 2);
    CHECK_UINT(list_dead(jini, "c", 0), ==, 0);
    key = row_key(1, "nobody");
    tuple_add_uint(&key, 5);
    plant_row(jini, STORE_SPACE_CONSUMERS, &key, "x", 1);
    check_found(jini, "consumer_row_orphaned");
    key = row_key(9, "c");
    plant_row(jini, STORE_SPACE_CONSUMERS, &key, "x", 1);
    check_found(jini, "consumer_key_damaged");
    key = row_key(0, "c");
    plant_row(jini, STORE_SPACE_CONSUMERS, &key, "x", 1);
    check_found(jini, "consumer_damaged");
    CHECK_STATUS(jini_events_take(jini, &a.take, NULL), JINI_E_CORRUPT);
    struct jini_consumer_delete remove;
    jini_request_init(&remove);
    remove.name = "c";
    CHECK_OK(jini_consumer_delete(jini, &remove, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* A delivery that waits for nobody, as it is stored. */
static void plant_delivery(struct jini *jini, uint64_t position, uint64_t due_ms)
{
    uint8_t row[DELIVERY_HEADER] = {1};
    struct tuple key = row_key(1, "c");
    tuple_add_uint(&key, position);
    store_le64(row + 16, due_ms);
    plant_row(jini, STORE_SPACE_CONSUMERS, &key, (const char *)row, sizeof(row));
}

static void plant_due(struct jini *jini, uint64_t due_ms, uint64_t position, bool more)
{
    struct tuple key = row_key(2, "c");
    tuple_add_uint(&key, due_ms);
    tuple_add_uint(&key, position);
    if (more)
        tuple_add_uint(&key, 1);
    plant_row(jini, STORE_SPACE_CONSUMERS, &key, "", 0);
}

TEST(times_that_are_not_those_of_a_delivery_give_nothing_out,
     "Neither one that its delivery does not have, nor a key that is none.")
{
    struct jini *jini = fixture_open();
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    append_many(jini, 1);
    consume_begin(&a, "c", 64);
    consume_begin(&b, "c", 64);
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    plant_due(jini, 5, a.events[0].position, false);
    plant_due(jini, 6, a.events[0].position, true);
    CHECK_UINT(consume_take(jini, &b), ==, 0);
    CHECK_OK(consume_ack(jini, &a));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_delivery_of_no_position_keeps_no_event_from_others,
     "What a consumer that is behind needs stays in the log beside damage.")
{
    struct jini *jini = open_keeping(86400, 0, JINI_GIB(1));
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    append_many(jini, 3);
    consume_begin(&a, "c", 1);
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    plant_delivery(jini, 0, 1);
    fixture_days_pass(2);
    events_tend(jini);
    CHECK_UINT(events_left(jini), ==, 3);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void plant_dead(struct jini *jini, uint64_t position, const char *row, size_t length)
{
    struct tuple key = row_key(3, "c");
    tuple_add_uint(&key, position);
    plant_row(jini, STORE_SPACE_CONSUMERS, &key, row, length);
}

TEST(damaged_dead_letters_hold_up_no_others,
     "Whatever their keys and rows: the others are listed, sent again and dropped.")
{
    static const char long_row[DELIVERY_ROW_MAX + 1] = {1};
    struct jini *jini = fixture_open();
    uint64_t count;
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    append_many(jini, 2);
    kill_all(jini, NULL);
    plant_dead(jini, 5, long_row, sizeof(long_row));
    plant_dead(jini, 6, long_row, DELIVERY_ROW_MAX);
    plant_dead(jini, UINT64_MAX, "x", 1);
    struct tuple key = row_key(3, "c");
    tuple_add_uint(&key, 7);
    tuple_add_uint(&key, 7);
    plant_row(jini, STORE_SPACE_CONSUMERS, &key, "x", 1);
    key = row_key(3, "c");
    tuple_add_text(&key, slice_of_text("x"));
    plant_row(jini, STORE_SPACE_CONSUMERS, &key, "x", 1);
    CHECK_UINT(list_dead(jini, "c", 0), ==, 2);
    CHECK_OK(resend(jini, 0, &count));
    CHECK_UINT(count, ==, 2);
    kill_all(jini, NULL);
    CHECK_OK(drop(jini, 5, &count));
    CHECK_OK(drop(jini, 0, &count));
    CHECK_UINT(count, ==, 4);
    CHECK_UINT(list_dead(jini, "c", 0), ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_full_disk_keeps_nobody_from_answering,
     "What is taken ONCE, advanced, answered, dropped or removed works; a new delivery does not.")
{
    struct jini *jini = fixture_open();
    uint64_t count;
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    consume_make(jini, "once", JINI_CONSUMER_ONCE, NULL);
    append_many(jini, 3);
    consume_begin(&a, "c", 1);
    consume_begin(&b, "c", 1);
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    CHECK_UINT(consume_take(jini, &b), ==, 1);
    full_begin(jini);
    CHECK_OK(consume_ack(jini, &a));
    CHECK_OK(consume_nack(jini, &b, 0, NULL));
    CHECK_STATUS(jini_events_take(jini, &a.take, NULL), JINI_E_FULL);
    CHECK_OK(drop(jini, 0, &count));
    consume_begin(&a, "once", 2);
    CHECK_UINT(consume_take(jini, &a), ==, 2);
    CHECK_OK(consume_advance(jini, &a));
    fixture_days_pass(365);
    events_tend(jini);
    CHECK_UINT(events_left(jini), ==, 0);
    struct jini_consumer_delete remove;
    jini_request_init(&remove);
    remove.name = "c";
    CHECK_OK(jini_consumer_delete(jini, &remove, NULL));
    full_end(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
