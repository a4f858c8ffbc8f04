/* Copies of a database that stand for it: core/store/home.c tells one from the other. */
#ifndef CRASH_AT_HOME_H
#define CRASH_AT_HOME_H

#include "harness.h"

#include "store/store.h"

static int at_home_op(struct store_txn *txn, void *argument)
{
    (void)argument;
    return store_make_home(txn);
}

/* The database in `directory`, which nobody has open, lies at home from now on. */
static inline void at_home(const char *directory)
{
    static const struct store_format format = {.version = 1, .version_min = 1};
    struct store_options options;
    struct store *store;
    struct jini_error error;
    store_options_init(&options);
    options.directory = directory;
    options.format = &format;
    options.reserve_bytes = 0;
    CHECK_OK(store_open(&options, &store, &error));
    CHECK_OK(store_write(store, at_home_op, NULL));
    store_close(store);
}

#endif
