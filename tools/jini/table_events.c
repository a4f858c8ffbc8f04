/* The rows of table_events.h. */
#include "table_events.h"

const struct option_row events_tail_options[] = {
    {.name = "from",
     .kind = VALUE_TEXT,
     .value = "TIME",
     .text = "no older ones; 2026-11-30T12:00:00Z, or a position: nanoseconds since 1970"},
    {.name = "follow", .letter = 'f', .text = "go on with what happens, until it is interrupted"},
    {.name = "type",
     .kind = VALUE_TEXT,
     .value = "PREFIXES",
     .text = "only types that begin so, up to 8 of them parted by commas: job.,user.created"},
    {.name = "user",
     .kind = VALUE_TEXT,
     .value = "USER",
     .text = "only of this user; an id, name or email address"},
    {.name = "limit",
     .kind = VALUE_NUMBER,
     .value = "N",
     .text = "at most so many",
     .least = 1,
     .most = INT64_MAX},
    {0},
};
const struct example_row events_tail_examples[] = {
    {"jini events tail --from 2026-11-30", "what happened since then"},
    {"jini events tail --follow --type job.,credits. --json", "jobs and credits, as they come"},
    {"jini events tail --user alice", "all that is kept of a user"},
    {0},
};
