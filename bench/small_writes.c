/* See small_writes.h. */
#include "small_writes.h"

#include <stdlib.h>
#include <string.h>

struct small_writes {
    struct jini *jini;
    struct submitters *submitters;
    struct small_source sources[SUBMITTERS_MAX];
};

struct small_request {
    struct jini_write write;
    struct small_write record;
};

static void put_be(uint8_t *to, uint64_t number, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(number >> 8 * (bytes - 1 - i));
}

void small_record(uint64_t number, struct small_write *out)
{
    memset(out, 0, sizeof(*out));
    put_be(out->key + SMALL_KEY_BYTES - 8, number, 8);
}

void small_next(struct small_source *source, struct small_write *out)
{
    uint64_t number = ++source->next;
    if (source->keys == SMALL_KEYS_STREAMS) {
        put_be(out->key, source->stream, 4);
        put_be(out->key + 4, number, 8);
    } else {
        put_be(out->key, 0, 4);
        put_be(out->key + 4, bench_random_below(&source->random, source->records), 8);
    }
    for (unsigned i = 0; i < SMALL_VALUE_BYTES; i += 8)
        put_be(out->value + i, number * 0x9e3779b97f4a7c15 + i, 8);
}

static int put(struct jini_txn *txn, void *argument)
{
    const struct small_write *write = argument;
    return jini_txn_put(txn, write->key, sizeof(write->key), write->value, sizeof(write->value));
}

static void init(void *context, struct jini_request *request)
{
    struct small_request *small = (struct small_request *)request;
    (void)context;
    jini_request_init(&small->write);
    small->write.function = put;
    small->write.argument = &small->record;
}

static int submit(void *context, unsigned submitter, struct jini_request *request,
                  jini_callback *callback)
{
    struct small_writes *writes = context;
    struct small_request *small = (struct small_request *)request;
    small_next(&writes->sources[submitter], &small->record);
    return jini_write(writes->jini, &small->write, callback);
}

struct small_writes *small_writes_new(struct jini *jini, const struct small_options *options)
{
    struct small_writes *writes = bench_alloc(1, sizeof(*writes));
    struct submitters_options submitters = {
        .threads = options->threads,
        .in_flight = options->in_flight,
        .work = {sizeof(struct small_request), init, submit, writes}};
    writes->jini = jini;
    for (unsigned i = 0; i < options->threads; i++)
        writes->sources[i] = (struct small_source){.keys = options->keys,
                                                   .stream = options->stream_first + i,
                                                   .records = options->records,
                                                   .random = options->stream_first + i};
    writes->submitters = submitters_new(&submitters);
    return writes;
}

void small_writes_free(struct small_writes *writes)
{
    submitters_free(writes->submitters);
    free(writes);
}

struct submitters *small_writes_submitters(struct small_writes *writes)
{
    return writes->submitters;
}
