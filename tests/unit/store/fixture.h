/* Opening a store in a test, on either driver. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include "store/store.h"

#include "harness.h"

#include <stdio.h>

static const struct store_format fixture_format = {.version = 1, .version_min = 1};

static inline struct store_options fixture_options(enum store_driver driver)
{
    struct store_options options;
    store_options_init(&options);
    options.driver = driver;
    options.directory = harness_path("db");
    options.create = true;
    options.run_twice = true;
    options.process_name = "test";
    options.reserve_bytes = 1 << 20;
    options.format = &fixture_format;
    return options;
}

static inline struct store *fixture_open_with(const struct store_options *options)
{
    struct store *store;
    struct jini_error error;
    int status = store_open(options, &store, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "store_open answers %d: %s: %s", status, error.field,
                     error.message);
    return store;
}

static inline struct store *fixture_open(enum store_driver driver)
{
    struct store_options options = fixture_options(driver);
    return fixture_open_with(&options);
}

/* A case that must hold on every driver. */
#define STORE_TEST(name, sentence)                                                                 \
    static void name(enum store_driver driver);                                                    \
    TEST(name##_on_lmdb, sentence)                                                                 \
    {                                                                                              \
        name(STORE_DRIVER_LMDB);                                                                   \
    }                                                                                              \
    TEST(name##_in_memory, sentence)                                                               \
    {                                                                                              \
        name(STORE_DRIVER_MEMORY);                                                                 \
    }                                                                                              \
    static void name(enum store_driver driver)

#endif
