/* Consumers of events in a test: making them, appending, taking, answering. */
#ifndef CONSUME_H
#define CONSUME_H

#include "engine/engine_private.h"

#include "engine_fixture.h"

enum { TAKEN_MAX = 64 };

struct taken {
    struct jini_events_take take;
    struct jini_event events[TAKEN_MAX];
    char text[JINI_EVENT_PAYLOAD_MAX];
};

static inline void consume_make(struct jini *jini, const char *name, enum jini_consumer_kind kind,
                                const char *prefix)
{
    struct jini_consumer_create create;
    jini_request_init(&create);
    snprintf(create.consumer.name, sizeof(create.consumer.name), "%s", name);
    create.consumer.kind = kind;
    create.consumer.deliveries_max = kind == JINI_CONSUMER_EACH ? 3 : 0;
    if (prefix) {
        create.consumer.filter.prefix_count = 1;
        snprintf(create.consumer.filter.prefixes[0], JINI_EVENT_TYPE_MAX, "%s", prefix);
    }
    fixture_must(jini_consumer_create(jini, &create, NULL), "create", &create.request.error);
}

static inline uint64_t consume_append(struct jini *jini, const char *type, uint64_t number)
{
    struct jini_events_append append;
    jini_request_init(&append);
    append.type = type;
    append.user_id = number;
    fixture_must(jini_events_append(jini, &append, NULL), "append", &append.request.error);
    return append.position;
}

struct consume_many {
    const char *type;
    uint64_t count;
};

static int consume_append_in(struct jini_txn *txn, void *argument)
{
    const struct consume_many *many = argument;
    int status = 0;
    for (uint64_t i = 1; status == 0 && i <= many->count; i++) {
        struct jini_events_append append;
        jini_request_init(&append);
        append.type = many->type;
        append.user_id = i;
        status = jini_txn_events_append(txn, &append);
    }
    return status;
}

/* In one transaction; of the users from 1 on. */
static inline void consume_append_many(struct jini *jini, const char *type, uint64_t count)
{
    struct consume_many many = {type, count};
    struct jini_write write;
    jini_request_init(&write);
    write.function = consume_append_in;
    write.argument = &many;
    write.bytes = (uint32_t)count * 128;
    fixture_must(jini_write(jini, &write, NULL), "append", &write.request.error);
}

static inline void consume_begin(struct taken *taken, const char *name, uint32_t most)
{
    jini_request_init(&taken->take);
    taken->take.consumer = name;
    taken->take.page = (struct jini_events_page){.events = taken->events,
                                                 .capacity = most,
                                                 .text = taken->text,
                                                 .text_capacity = sizeof(taken->text)};
}

/* Takes what there is; returns how many. */
static inline uint32_t consume_take(struct jini *jini, struct taken *taken)
{
    fixture_must(jini_events_take(jini, &taken->take, NULL), "take", &taken->take.request.error);
    return taken->take.page.count;
}

static inline int consume_advance(struct jini *jini, const struct taken *taken)
{
    struct jini_events_advance advance;
    jini_request_init(&advance);
    advance.consumer = taken->take.consumer;
    advance.batch = taken->take.batch;
    return jini_events_advance(jini, &advance, NULL);
}

/* Answers all that were taken. */
static inline struct jini_events_answer consume_answer(const struct taken *taken,
                                                       uint64_t positions[TAKEN_MAX])
{
    struct jini_events_answer answer;
    jini_request_init(&answer);
    answer.consumer = taken->take.consumer;
    answer.batch = taken->take.batch;
    answer.positions = positions;
    answer.count = taken->take.page.count;
    for (uint32_t i = 0; i < answer.count; i++)
        positions[i] = taken->events[i].position;
    return answer;
}

static inline int consume_ack(struct jini *jini, const struct taken *taken)
{
    uint64_t positions[TAKEN_MAX];
    struct jini_events_answer answer = consume_answer(taken, positions);
    return jini_events_ack(jini, &answer, NULL);
}

static inline int consume_nack(struct jini *jini, const struct taken *taken, uint64_t delay_ms,
                               const char *reason)
{
    uint64_t positions[TAKEN_MAX];
    struct jini_events_answer answer = consume_answer(taken, positions);
    answer.delay_ms = delay_ms;
    answer.reason = reason;
    return jini_events_nack(jini, &answer, NULL);
}

static inline struct jini_consumer consume_look(struct jini *jini, const char *name)
{
    static struct jini_consumer consumers[JINI_CONSUMERS_MAX];
    struct jini_error error;
    size_t count;
    fixture_must(jini_consumer_list(jini, NULL, consumers, JINI_CONSUMERS_MAX, &count, &error),
                 "list", &error);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(consumers[i].name, name) == 0)
            return consumers[i];
    }
    harness_fail(__FILE__, __LINE__, "there is no consumer %s", name);
}

static inline void consume_ms_pass(uint64_t ms)
{
    __atomic_fetch_add(&fixture_wall_offset_ns, ms * 1000000, __ATOMIC_RELAXED);
}

#endif
