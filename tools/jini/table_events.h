/* What the verbs of events take: rows of the table (table.h). */
#ifndef JINI_CLI_TABLE_EVENTS_H
#define JINI_CLI_TABLE_EVENTS_H

#include "table.h"

extern const struct option_row events_tail_options[];
extern const struct example_row events_tail_examples[];

#endif
