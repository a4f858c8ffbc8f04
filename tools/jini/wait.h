/*
 * Waiting for requests: they are submitted with wait_done() as their callback, and the main thread
 * sleeps until one came back, a signal came, or a moment passed in which a progress bar wants to
 * move.
 *
 *     jini_request_init(&set);
 *     status = wait_for(jini, &set.request, jini_tier_set(jini, &set, wait_done));
 */
#ifndef JINI_CLI_WAIT_H
#define JINI_CLI_WAIT_H

#include <jini/request.h>
#include <stdbool.h>

/* Makes the descriptor that wakes the main thread. 0, or JINI_E_IO. */
int wait_begin(void);

/*
 * The callback. It marks the request by its member `data`, which must be NULL when it is submitted.
 */
void wait_done(struct jini_request *request);

/* True once the request came back. */
bool wait_is_done(const struct jini_request *request);

/*
 * Sleeps until a request comes back, a signal comes that has not been seen yet, or `timeout_ms`
 * pass (-1: no bound). May return early.
 */
void wait_sleep(int timeout_ms);

/*
 * Waits for one request, of which `submitted` is what its function returned, and returns its
 * result. A signal cancels it; it is waited for all the same. The request may then be submitted
 * again.
 */
int wait_for(struct jini *jini, struct jini_request *request, int submitted);

/* Called by wait_for() every 100 ms on the main thread; NULL: nobody. */
void wait_on_tick(void (*tick)(void));

#endif
