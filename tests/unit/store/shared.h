/* Several processes on one database; one may keep the lock of writers as long as a test likes. */
#ifndef TESTS_STORE_SHARED_H
#define TESTS_STORE_SHARED_H

#include "fixture.h"

static inline struct store_options shared_options(void)
{
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    options.run_twice = false;
    return options;
}

static inline struct store *open_shared(void)
{
    struct store_options options = shared_options();
    return fixture_open_with(&options);
}

struct holder {
    struct fixture_flag inside; /* raised by the op when it runs */
    struct fixture_flag go_on;
    struct fixture_flag completed;
};

static inline struct holder new_holder(void)
{
    return (struct holder){fixture_flag(), fixture_flag(), fixture_flag()};
}

static inline int op_hold(struct store_txn *txn, void *argument)
{
    struct holder *holder = argument;
    CHECK_OK(fixture_put_number(txn, STORE_SPACE_APPLICATION, 1, 111));
    fixture_raise(holder->inside);
    fixture_await(holder->go_on);
    return 0;
}

static inline void hold_the_lock(void *argument)
{
    struct holder *holder = argument;
    struct store_options options = shared_options();
    options.process_name = "holder";
    struct store *store = fixture_open_with(&options);
    CHECK_OK(store_write(store, op_hold, holder));
    fixture_raise(holder->completed);
    store_close(store);
}

static inline struct store_process_info info_of(struct store *store, pid_t pid)
{
    struct store_process_info infos[16];
    size_t count = store_processes(store, infos, 16);
    for (size_t i = 0; i < count; i++) {
        if (infos[i].pid == pid)
            return infos[i];
    }
    harness_fail(__FILE__, __LINE__, "process %d is not in the list", (int)pid);
}

#endif
