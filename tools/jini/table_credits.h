/* What the verbs of credits take: rows of the table (table.h). */
#ifndef JINI_CLI_TABLE_CREDITS_H
#define JINI_CLI_TABLE_CREDITS_H

#include "table.h"

extern const struct argument_row grant_add_arguments[];
extern const struct argument_row grant_user_arguments[];
extern const struct argument_row grant_refund_arguments[];
extern const struct argument_row grant_revoke_arguments[];
extern const struct argument_row cost_arguments[];
extern const struct option_row grant_add_options[];
extern const struct option_row cost_set_options[];
extern const struct example_row grant_add_examples[];
extern const struct example_row grant_list_examples[];
extern const struct example_row grant_refund_examples[];
extern const struct example_row grant_revoke_examples[];
extern const struct example_row cost_set_examples[];
extern const struct example_row cost_list_examples[];
extern const struct example_row cost_rm_examples[];

#endif
