/* What the verbs of archive, packs, verify and backups take: rows of the table (table.h). */
#ifndef JINI_CLI_TABLE_ARCHIVE_H
#define JINI_CLI_TABLE_ARCHIVE_H

#include "table.h"

extern const struct argument_row pack_arguments[];
extern const struct argument_row pack_extract_arguments[];
extern const struct option_row pack_extract_options[];
extern const struct example_row pack_list_examples[];
extern const struct example_row pack_verify_examples[];
extern const struct example_row pack_extract_examples[];
extern const struct option_row archive_options[];
extern const struct example_row archive_plan_examples[];
extern const struct example_row archive_run_examples[];
extern const struct example_row archive_init_examples[];
extern const struct example_row archive_adopt_examples[];
extern const struct example_row archive_status_examples[];
extern const struct option_row verify_options[];
extern const struct example_row verify_examples[];
extern const struct argument_row backup_arguments[];
extern const struct option_row backup_options[];
extern const struct example_row backup_examples[];

#endif
