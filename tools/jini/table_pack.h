/* What the verbs of packs take: rows of the table (table.h). */
#ifndef JINI_CLI_TABLE_PACK_H
#define JINI_CLI_TABLE_PACK_H

#include "table.h"

extern const struct argument_row pack_arguments[];
extern const struct argument_row pack_extract_arguments[];
extern const struct option_row pack_extract_options[];
extern const struct example_row pack_list_examples[];
extern const struct example_row pack_verify_examples[];
extern const struct example_row pack_extract_examples[];

#endif
