/*
 * Requests that wait for a commit of any process. One thread sleeps on the signal of events
 * (store.h), while anybody waits; a second one has each request look again when the signal came,
 * or its time did.
 *
 *     looks ---> nothing there: waits_park() ---> parked ---> its step runs: looks again
 *                                                   signal, look_at_ns, cancelled, closing
 *
 * No wake-up is lost. Who parks says which signal it had seen before it looked, and is ready as
 * soon as another one is there; and the second thread goes over all who are parked after each time
 * that the first one has read the signal on which it is about to sleep.
 */
#ifndef ENGINE_WAITS_H
#define ENGINE_WAITS_H

#include "engine/engine_private.h"

struct waits;

struct wait_item {
    struct jini_request *request;
    request_step_fn *step; /* on a thread of waits: must not block */
    uint32_t seen;         /* store_signal_seen(), before it looked */
    uint64_t look_at_ns;   /* boot time: then the step runs anyway, or after STORE_SIGNAL_LOOK_MS */
    struct wait_item *next;
};

/* NULL when out of memory. The threads are started by the first who parks. */
struct waits *waits_new(struct jini *jini, uint32_t waits_max);

/*
 * Parks a request; its step runs once, later. JINI_E_BUSY: waits_max are parked.
 * JINI_E_CANCELLED: it was cancelled, or the engine closes. JINI_E_NO_MEMORY: no thread.
 */
int waits_park(struct waits *waits, struct wait_item *item);

/* After a request was marked as cancelled. Any thread. */
void waits_cancel(struct waits *waits);

/* Runs the steps of all; nobody parks any more. Both take NULL. */
void waits_stop(struct waits *waits);
void waits_free(struct waits *waits);

#endif
