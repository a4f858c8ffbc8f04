/* What the verbs of keys and sessions take: rows of the table (table.h). */
#ifndef JINI_CLI_TABLE_KEY_H
#define JINI_CLI_TABLE_KEY_H

#include "table.h"

extern const struct argument_row key_user_arguments[];
extern const struct argument_row key_arguments[];
extern const struct argument_row session_arguments[];
extern const struct option_row key_add_options[];
extern const struct option_row session_begin_options[];
extern const struct option_row session_rm_options[];
extern const struct example_row key_add_examples[];
extern const struct example_row key_list_examples[];
extern const struct example_row key_rm_examples[];
extern const struct example_row session_begin_examples[];
extern const struct example_row session_list_examples[];
extern const struct example_row session_rm_examples[];

#endif
