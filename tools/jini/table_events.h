/* What the verbs of events take: rows of the table (table.h). */
#ifndef JINI_CLI_TABLE_EVENTS_H
#define JINI_CLI_TABLE_EVENTS_H

#include "table.h"

extern const struct argument_row events_consumer_arguments[];
extern const struct option_row events_tail_options[];
extern const struct option_row events_create_options[];
extern const struct option_row events_replay_options[];
extern const struct option_row events_dead_options[];
extern const struct example_row events_tail_examples[];
extern const struct example_row events_consumers_examples[];
extern const struct example_row events_create_examples[];
extern const struct example_row events_rm_examples[];
extern const struct example_row events_replay_examples[];
extern const struct example_row events_dead_examples[];

#endif
