/* What the verbs of payments take: rows of the table (table.h). */
#ifndef JINI_CLI_TABLE_PAYMENTS_H
#define JINI_CLI_TABLE_PAYMENTS_H

#include "table.h"

extern const struct argument_row price_set_arguments[];
extern const struct argument_row price_arguments[];
extern const struct argument_row pay_intend_arguments[];
extern const struct argument_row pay_id_arguments[];
extern const struct argument_row pay_resolve_arguments[];
extern const struct argument_row pay_list_arguments[];
extern const struct argument_row pay_user_arguments[];
extern const struct argument_row import_arguments[];
extern const struct option_row price_set_options[];
extern const struct option_row pay_intend_options[];
extern const struct option_row pay_settle_options[];
extern const struct option_row pay_reason_options[];
extern const struct option_row pay_refund_options[];
extern const struct option_row pay_resolve_options[];
extern const struct option_row pay_cancel_options[];
extern const struct option_row pay_books_options[];
extern const struct option_row import_options[];
extern const struct example_row price_set_examples[];
extern const struct example_row price_list_examples[];
extern const struct example_row price_rm_examples[];
extern const struct example_row pay_intend_examples[];
extern const struct example_row pay_settle_examples[];
extern const struct example_row pay_fail_examples[];
extern const struct example_row pay_refund_examples[];
extern const struct example_row pay_dispute_examples[];
extern const struct example_row pay_resolve_examples[];
extern const struct example_row pay_show_examples[];
extern const struct example_row pay_list_examples[];
extern const struct example_row pay_cancel_examples[];
extern const struct example_row pay_books_examples[];
extern const struct example_row import_examples[];

#endif
