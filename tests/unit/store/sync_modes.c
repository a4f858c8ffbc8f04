/* Which sync modes may write side by side. */
#include "fixture.h"

static const char *const names[] = {"full", "meta", "none"};

struct other {
    struct fixture_flag ready;
    struct fixture_flag end;
    enum store_sync sync;
    bool read_only;
};

static struct store_options options_of(enum store_sync sync, bool read_only)
{
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    options.process_name = "service";
    options.sync = sync;
    options.read_only = read_only;
    options.create = !read_only;
    return options;
}

static void stay_open(void *argument)
{
    struct other *other = argument;
    struct store_options options = options_of(other->sync, other->read_only);
    struct store *store = fixture_open_with(&options);
    fixture_raise(other->ready);
    fixture_await(other->end);
    store_close(store);
}

static void check_beside(enum store_sync ours, bool read_only, const struct other *other, pid_t pid)
{
    struct store_options options = options_of(ours, read_only);
    bool goes_together = read_only || other->read_only ||
                         (ours == STORE_SYNC_NONE) == (other->sync == STORE_SYNC_NONE);
    struct jini_error error;
    char text[100];
    if (goes_together) {
        store_close(fixture_open_with(&options));
        return;
    }
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_LOCKED);
    CHECK_TEXT(error.field, "store.sync");
    snprintf(text, sizeof(text), "process %d (service) writes with store.sync=%s,", (int)pid,
             names[other->sync]);
    CHECK_CONTAINS(error.message, text);
    snprintf(text, sizeof(text), "\"%s\"", names[ours]);
    CHECK_CONTAINS(error.message, text);
}

TEST(modes_that_would_break_each_other_are_refused,
     "Beside a process that syncs one that does not is refused, and the other way round, with its "
     "pid, name and mode; full and meta go together, reading goes with all, and when the other has "
     "ended, however it did, each mode opens.")
{
    store_close(fixture_open(STORE_DRIVER_LMDB));
    for (int theirs = 0; theirs < 6; theirs++) {
        struct other other = {fixture_flag(), fixture_flag(), (enum store_sync)(theirs / 2),
                              theirs % 2 != 0};
        pid_t pid = fixture_spawn(stay_open, &other);
        fixture_await(other.ready);
        for (int ours = 0; ours < 6; ours++)
            check_beside((enum store_sync)(ours / 2), ours % 2 != 0, &other, pid);
        if (theirs % 2) {
            fixture_raise(other.end);
            harness_wait_exit(pid, 0);
        } else {
            fixture_kill(pid);
        }
        struct store_options options = options_of((enum store_sync)((theirs / 2 + 1) % 3), false);
        store_close(fixture_open_with(&options));
    }
}
