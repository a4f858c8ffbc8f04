/* What the verbs of the ledger take: rows of the table (table.h). */
#ifndef JINI_CLI_TABLE_LEDGER_H
#define JINI_CLI_TABLE_LEDGER_H

#include "table.h"

extern const struct argument_row ledger_new_arguments[];
extern const struct argument_row ledger_id_arguments[];
extern const struct argument_row ledger_account_arguments[];
extern const struct argument_row ledger_any_account_arguments[];
extern const struct option_row ledger_account_create_options[];
extern const struct option_row ledger_transfer_create_options[];
extern const struct option_row ledger_transfer_list_options[];
extern const struct option_row ledger_balance_options[];
extern const struct example_row ledger_account_create_examples[];
extern const struct example_row ledger_account_show_examples[];
extern const struct example_row ledger_transfer_create_examples[];
extern const struct example_row ledger_transfer_show_examples[];
extern const struct example_row ledger_transfer_list_examples[];
extern const struct example_row ledger_balance_examples[];

#endif
