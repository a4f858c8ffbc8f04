/* Waiting for events: woken, cancelled, over, closed. */
#include "consume.h"
#include "plant.h"

#include <pthread.h>
#include <unistd.h>

enum { SOON_MS = 3000, LONG_MS = 60000 };

static struct taken a;

static uint64_t boot_ms(void)
{
    return fixture_boot_ns(NULL) / 1000000;
}

struct waiter {
    struct jini *jini;
    struct taken *taken;
    int status;
    uint64_t took_ms;
};

static void *wait_main(void *argument)
{
    struct waiter *waiter = argument;
    uint64_t begin = boot_ms();
    waiter->status = jini_events_take(waiter->jini, &waiter->taken->take, NULL);
    waiter->took_ms = boot_ms() - begin;
    return NULL;
}

static pthread_t start(struct waiter *waiter, struct jini *jini, const char *name, uint32_t wait_ms)
{
    pthread_t thread;
    waiter->jini = jini;
    waiter->taken = &a;
    consume_begin(&a, name, 64);
    a.take.wait_ms = wait_ms;
    CHECK_INT(pthread_create(&thread, NULL, wait_main, waiter), ==, 0);
    usleep(50000);
    return thread;
}

static void wakes(enum jini_consumer_kind kind)
{
    struct jini *jini = fixture_open();
    struct waiter waiter;
    consume_make(jini, "c", kind, "a");
    pthread_t thread = start(&waiter, jini, "c", LONG_MS);
    consume_append(jini, "other", 1);
    usleep(20000);
    consume_append(jini, "a", 7);
    pthread_join(thread, NULL);
    CHECK_OK(waiter.status);
    CHECK_UINT(waiter.took_ms, <, SOON_MS);
    CHECK_UINT(a.take.page.count, ==, 1);
    CHECK_UINT(a.events[0].user_id, ==, 7);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(an_event_wakes_who_waits_for_once, "As soon as one comes that the consumer is to get.")
{
    wakes(JINI_CONSUMER_ONCE);
}

TEST(an_event_wakes_who_waits_for_each, "The same for deliveries.")
{
    wakes(JINI_CONSUMER_EACH);
}

TEST(waiting_ends_with_nothing, "After wait_ms, with success and an empty page.")
{
    struct jini *jini = fixture_open();
    consume_make(jini, "c", JINI_CONSUMER_ONCE, NULL);
    consume_begin(&a, "c", 64);
    a.take.wait_ms = 100;
    uint64_t begin = boot_ms();
    CHECK_UINT(consume_take(jini, &a), ==, 0);
    CHECK_UINT(boot_ms() - begin, >=, 99);
    CHECK_UINT(boot_ms() - begin, <, SOON_MS);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(waiting_takes_over_when_a_lease_ends, "And is locked out when it does not end in time.")
{
    static struct taken holder;
    struct jini *jini = fixture_open();
    consume_make(jini, "c", JINI_CONSUMER_ONCE, NULL);
    consume_append(jini, "a", 1);
    consume_begin(&holder, "c", 64);
    holder.take.lease_ms = 300;
    CHECK_UINT(consume_take(jini, &holder), ==, 1);
    consume_begin(&a, "c", 64);
    a.take.wait_ms = 20;
    CHECK_STATUS(jini_events_take(jini, &a.take, NULL), JINI_E_LOCKED);
    a.take.wait_ms = LONG_MS;
    uint64_t begin = boot_ms();
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    CHECK_UINT(boot_ms() - begin, <, SOON_MS);
    CHECK_STATUS(consume_advance(jini, &holder), JINI_E_CONFLICT);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(who_waits_keeps_its_lease, "A take that waits for longer than the lease is still the holder.")
{
    static struct taken other;
    struct jini *jini = fixture_open();
    struct waiter waiter;
    consume_make(jini, "c", JINI_CONSUMER_ONCE, NULL);
    pthread_t thread = start(&waiter, jini, "c", 600);
    (void)thread;
    pthread_join(thread, NULL);
    a.take.lease_ms = 200;
    a.take.wait_ms = 700;
    CHECK_UINT(consume_take(jini, &a), ==, 0);
    consume_begin(&other, "c", 64);
    CHECK_STATUS(jini_events_take(jini, &other.take, NULL), JINI_E_LOCKED);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(waiting_sees_what_comes_back, "A delivery that was given back comes when its delay is over.")
{
    struct jini *jini = fixture_open();
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    consume_append(jini, "a", 1);
    consume_begin(&a, "c", 64);
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    CHECK_OK(consume_nack(jini, &a, 200, NULL));
    a.take.wait_ms = LONG_MS;
    uint64_t begin = boot_ms();
    CHECK_UINT(consume_take(jini, &a), ==, 1);
    CHECK_UINT(boot_ms() - begin, >=, 150);
    CHECK_UINT(boot_ms() - begin, <, SOON_MS);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(waiting_is_cancelled, "By jini_cancel(), at once.")
{
    struct jini *jini = fixture_open();
    struct waiter waiter;
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    pthread_t thread = start(&waiter, jini, "c", LONG_MS);
    jini_cancel(jini, &a.take.request);
    pthread_join(thread, NULL);
    CHECK_STATUS(waiter.status, JINI_E_CANCELLED);
    CHECK_UINT(waiter.took_ms, <, SOON_MS);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(waiting_ends_with_its_consumer, "Who waits for one that is removed is told so.")
{
    struct jini *jini = fixture_open();
    struct waiter waiter;
    struct jini_consumer_delete remove;
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    pthread_t thread = start(&waiter, jini, "c", LONG_MS);
    jini_request_init(&remove);
    remove.name = "c";
    CHECK_OK(jini_consumer_delete(jini, &remove, NULL));
    pthread_join(thread, NULL);
    CHECK_STATUS(waiter.status, JINI_E_NOT_FOUND);
    CHECK_UINT(waiter.took_ms, <, SOON_MS);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static _Atomic int came_back;

static void on_back(struct jini_request *request)
{
    (void)request;
    atomic_fetch_add(&came_back, 1);
}

TEST(closing_ends_all_waiting, "Each comes back as cancelled, and closing takes no longer.")
{
    static struct taken many[8];
    static struct jini_events_wait waits[8];
    struct jini *jini = fixture_open();
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    for (int i = 0; i < 8; i++) {
        consume_begin(&many[i], "c", 64);
        many[i].take.wait_ms = LONG_MS;
        CHECK_OK(jini_events_take(jini, &many[i].take, on_back));
        jini_request_init(&waits[i]);
        waits[i].wait_ms = LONG_MS;
        waits[i].position = UINT64_MAX - 1;
        CHECK_OK(jini_events_wait(jini, &waits[i], on_back));
    }
    usleep(50000);
    uint64_t begin = boot_ms();
    CHECK_OK(jini_close(jini, NULL, NULL));
    CHECK_UINT(boot_ms() - begin, <, SOON_MS);
    CHECK_INT(atomic_load(&came_back), ==, 16);
    for (int i = 0; i < 8; i++) {
        CHECK_STATUS(many[i].take.request.status, JINI_E_CANCELLED);
        CHECK_STATUS(waits[i].request.status, JINI_E_CANCELLED);
    }
}

TEST(those_who_wait_are_bounded, "One more than events.waits_max is busy.")
{
    struct jini_options options;
    static struct jini_events_wait waits[3];
    fixture_options(&options);
    options.events_waits_max = 2;
    struct jini *jini = fixture_open_with(&options);
    for (int i = 0; i < 3; i++) {
        jini_request_init(&waits[i]);
        waits[i].wait_ms = i < 2 ? LONG_MS : 1;
        if (i < 2)
            CHECK_OK(jini_events_wait(jini, &waits[i], on_back));
        usleep(20000);
    }
    waits[2].wait_ms = LONG_MS;
    CHECK_STATUS(jini_events_wait(jini, &waits[2], NULL), JINI_E_BUSY);
    CHECK_TEXT(waits[2].request.error.field, "events.waits_max");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(who_lists_waits_for_more, "Behind a position; it times out where nothing comes.")
{
    struct jini *jini = fixture_open();
    struct jini_events_wait wait;
    jini_request_init(&wait);
    wait.position = consume_append(jini, "a", 1);
    wait.wait_ms = 30;
    CHECK_STATUS(jini_events_wait(jini, &wait, NULL), JINI_E_TIMEOUT);
    wait.position--;
    CHECK_OK(jini_events_wait(jini, &wait, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(an_event_whose_signal_was_lost_is_found, "After a few seconds: its process died before it.")
{
    static const uint8_t row[28] = {1, 0, 1};
    struct jini *jini = fixture_open();
    struct waiter waiter;
    struct tuple key;
    consume_make(jini, "c", JINI_CONSUMER_EACH, NULL);
    pthread_t thread = start(&waiter, jini, "c", LONG_MS);
    tuple_begin(&key);
    tuple_add_uint(&key, 7);
    plant_row(jini, STORE_SPACE_EVENTS, &key, row, sizeof(row));
    pthread_join(thread, NULL);
    CHECK_OK(waiter.status);
    CHECK_UINT(a.take.page.count, ==, 1);
    CHECK_UINT(waiter.took_ms, <, LONG_MS / 2);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
