/* What the verbs of jobs and their queue take: rows of the table (table.h). */
#ifndef JINI_CLI_TABLE_QUEUE_H
#define JINI_CLI_TABLE_QUEUE_H

#include "table.h"

extern const struct argument_row queue_user_arguments[];
extern const struct argument_row job_list_arguments[];
extern const struct argument_row job_argument[];
extern const struct argument_row job_arguments[];
extern const struct argument_row why_arguments[];
extern const struct option_row why_options[];
extern const struct example_row why_examples[];
extern const struct option_row job_add_options[];
extern const struct option_row job_list_options[];
extern const struct option_row job_retry_options[];
extern const struct option_row job_take_options[];
extern const struct option_row job_extend_options[];
extern const struct option_row job_finish_options[];
extern const struct option_row job_fail_options[];
extern const struct option_row queue_purge_options[];
extern const struct example_row job_add_examples[];
extern const struct example_row job_list_examples[];
extern const struct example_row job_show_examples[];
extern const struct example_row job_cancel_examples[];
extern const struct example_row job_retry_examples[];
extern const struct example_row job_take_examples[];
extern const struct example_row job_extend_examples[];
extern const struct example_row job_finish_examples[];
extern const struct example_row job_fail_examples[];
extern const struct example_row queue_status_examples[];
extern const struct example_row queue_purge_examples[];

#endif
