/* What the verbs of users, tiers and limits take: rows of the table (table.h). */
#ifndef JINI_CLI_TABLE_ACCOUNTS_H
#define JINI_CLI_TABLE_ACCOUNTS_H

#include "table.h"

extern const struct argument_row user_argument[];
extern const struct argument_row subject_argument[];
extern const struct argument_row tier_argument[];
extern const struct argument_row user_add_arguments[];
extern const struct option_row user_add_options[];
extern const struct example_row user_add_examples[];
extern const struct example_row user_show_examples[];
extern const struct option_row user_list_options[];
extern const struct example_row user_list_examples[];
extern const struct option_row user_set_options[];
extern const struct example_row user_set_examples[];
extern const struct option_row user_passwd_options[];
extern const struct example_row user_passwd_examples[];
extern const struct example_row user_disable_examples[];
extern const struct example_row user_enable_examples[];
extern const struct option_row tier_set_options[];
extern const struct example_row tier_list_examples[];
extern const struct example_row tier_show_examples[];
extern const struct example_row tier_set_examples[];
extern const struct example_row tier_rm_examples[];
extern const struct option_row limit_check_options[];
extern const struct option_row limit_reset_options[];
extern const struct option_row limit_top_options[];
extern const struct example_row limit_check_examples[];
extern const struct example_row limit_peek_examples[];
extern const struct example_row limit_reset_examples[];
extern const struct example_row limit_top_examples[];

#endif
