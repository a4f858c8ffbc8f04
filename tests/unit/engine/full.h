/*
 * An engine that is down to its reserve for as long as a case wants, whatever room the disk has:
 * its own looks, which would find the room within a second, are kept away.
 */
#ifndef FULL_H
#define FULL_H

#include "engine/engine_private.h"
#include "store/store_private.h"

static inline void full_begin(struct jini *jini)
{
    pthread_mutex_lock(&jini->store->reserve_lock);
    reserve_enter(jini->store, RESERVE_DISK);
}

static inline void full_end(struct jini *jini)
{
    pthread_mutex_unlock(&jini->store->reserve_lock);
}

#endif
