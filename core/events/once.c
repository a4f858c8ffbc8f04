/* Consumers ONCE: who holds one, and how far it came. */
#include "events/consumers.h"

#include "base/error.h"

bool consumer_lease_is_over(const struct consumer *consumer, uint64_t now_ms)
{
    uint64_t until_ms = consumer->is.leased_until_ms;
    return until_ms <= now_ms || until_ms - now_ms > consumer->lease_ms;
}

static int explain_followed(const char *name, struct jini_error *error)
{
    return error_set(error, JINI_E_CONFLICT, "batch",
                     "another has taken consumer \"%s\" over, or it was set to another position",
                     name);
}

int consumers_claim(struct store_txn *txn, struct consumer *consumer, uint64_t *epoch,
                    uint32_t lease_ms, uint64_t now_ms, struct jini_error *error)
{
    struct jini_consumer *is = &consumer->is;
    if (*epoch != 0 && *epoch != is->epoch)
        return explain_followed(is->name, error);
    if (*epoch == 0) {
        if (!consumer_lease_is_over(consumer, now_ms)) {
            error_set(error, JINI_E_LOCKED, "consumer", "another holds consumer \"%s\"", is->name);
            if (error)
                error->retry_after_ms = is->leased_until_ms - now_ms;
            return JINI_E_LOCKED;
        }
        is->epoch++;
    }
    *epoch = is->epoch;
    consumer->lease_ms = lease_ms;
    is->leased_until_ms = now_ms + lease_ms;
    return consumer_save(txn, consumer);
}

int consumers_advance(struct store_txn *txn, const char *name,
                      const struct jini_events_batch *batch, uint64_t now_ms,
                      struct jini_error *error)
{
    struct consumer consumer;
    int status = consumer_load(txn, name, &consumer, error);
    if (status)
        return status;
    if (consumer.is.kind != JINI_CONSUMER_ONCE)
        return error_set(error, JINI_E_INVALID, "consumer",
                         "deliveries of a consumer EACH are answered one by one");
    if (batch->epoch == 0 || batch->epoch != consumer.is.epoch)
        return explain_followed(name, error);
    if (batch->from != consumer.is.position || batch->upto <= batch->from)
        return error_set(error, JINI_E_CONFLICT, "batch",
                         "consumer \"%s\" does not stand where the batch begins any more", name);
    consumer.is.position = batch->upto;
    consumer.is.leased_until_ms = now_ms + consumer.lease_ms;
    return consumer_save(txn, &consumer);
}
