/* The rows of table_events.h. */
#include "table_events.h"

#define TYPES                                                                                      \
    {                                                                                              \
        .name = "type", .kind = VALUE_TEXT, .value = "PREFIXES",                                   \
        .text = "only types that begin so, up to 8 of them parted by commas: job.,user.created"    \
    }
#define USER                                                                                       \
    {                                                                                              \
        .name = "user", .kind = VALUE_TEXT, .value = "USER",                                       \
        .text = "only of this user; an id, name or email address"                                  \
    }

const struct argument_row events_consumer_arguments[] = {
    {"NAME", ARGUMENT_ONE, VALUE_TEXT, "the name of the consumer"}, {0}};

const struct option_row events_tail_options[] = {
    {.name = "from",
     .kind = VALUE_TEXT,
     .value = "TIME",
     .text = "no older ones; 2026-11-30T12:00:00Z, or a position: nanoseconds since 1970"},
    {.name = "follow", .letter = 'f', .text = "go on with what happens, until it is interrupted"},
    TYPES,
    USER,
    {.name = "limit",
     .kind = VALUE_NUMBER,
     .value = "N",
     .text = "at most so many",
     .least = 1,
     .most = INT64_MAX},
    {0},
};
const struct option_row events_create_options[] = {
    {.name = "each",
     .text = "deliveries that are held, acked or given back one by one; else one holder takes "
             "events in order, and advances"},
    {.name = "deliveries-max",
     .kind = VALUE_NUMBER,
     .value = "N",
     .text = "with --each: then it is a dead letter; 16",
     .least = 1,
     .most = 1000},
    TYPES,
    USER,
    {.name = "from",
     .kind = VALUE_TEXT,
     .value = "WHERE",
     .text = "where it begins: begin (the default), end, a time or a position"},
    {0},
};
const struct option_row events_replay_options[] = {
    {.name = "from",
     .kind = VALUE_TEXT,
     .value = "WHERE",
     .text = "where it goes on: begin, end, a time or a position"},
    {0},
};
const struct option_row events_dead_options[] = {
    {.name = "resend",
     .kind = VALUE_TEXT,
     .value = "POSITION",
     .text = "deliver this one again, or all"},
    {.name = "drop", .kind = VALUE_TEXT, .value = "POSITION", .text = "remove this one, or all"},
    {0},
};

const struct example_row events_tail_examples[] = {
    {"jini events tail --from 2026-11-30", "what happened since then"},
    {"jini events tail --follow --type job.,credits. --json", "jobs and credits, as they come"},
    {"jini events tail --user alice", "all that is kept of a user"},
    {0},
};
const struct example_row events_consumers_examples[] = {
    {"jini events consumers", "how far each is behind, and what it has lost"}, {0}};
const struct example_row events_create_examples[] = {
    {"jini events create mails --type user.created --from end", "effects once, from now on"},
    {"jini events create printer --each --deliveries-max 5 --type job.completed",
     "deliveries that may be tried five times"},
    {0},
};
const struct example_row events_rm_examples[] = {
    {"jini events rm printer", "with its deliveries and dead letters"}, {0}};
const struct example_row events_replay_examples[] = {
    {"jini events replay mails --from 2026-11-30T12:00:00Z", "what happened since then, again"},
    {"jini events replay mails --from end", "pass over all that it has not had"},
    {0},
};
const struct example_row events_dead_examples[] = {
    {"jini events dead printer", "what was given up, and why"},
    {"jini events dead printer --resend all", "try them anew"},
    {0},
};
