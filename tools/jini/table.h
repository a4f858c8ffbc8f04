/*
 * The table of verbs. One row says all of a verb: parsing, help, completion, the man page and the
 * errors about wrong use follow from it.
 */
#ifndef JINI_CLI_TABLE_H
#define JINI_CLI_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct command;

/* Does the work of a verb. 0, or a status, with the reason in the command. */
typedef int verb_fn(struct command *command);

/* What an option or argument takes; decides how it is checked and completed. */
enum value_kind {
    VALUE_NONE, /* a flag */
    VALUE_TEXT,
    VALUE_NUMBER,         /* a whole number from `least` to `most` */
    VALUE_NUMBER_OR_TIER, /* the same, or the word "tier" */
    VALUE_CHOICE,         /* one of `choices` */
    VALUE_FILE,
    VALUE_DIRECTORY,
    VALUE_SETTING /* NAME=VALUE of the table of options in jini/options.h */
};

struct option_row {
    const char *name; /* without the dashes; NULL ends a list */
    char letter;      /* 0: none */
    enum value_kind kind;
    const char *value; /* how the value is called, "FILE" */
    const char *text;
    const char *choices; /* "yes|no" */
    int64_t least;
    int64_t most;
};

enum argument_count { ARGUMENT_ONE, ARGUMENT_OPTIONAL, ARGUMENT_MANY, ARGUMENT_ANY };

struct argument_row {
    const char *name; /* "USER"; NULL ends a list */
    enum argument_count count;
    enum value_kind kind;
    const char *text;
};

struct example_row {
    const char *command; /* NULL ends a list */
    const char *text;
};

struct verb {
    const char *name; /* "user add"; NULL ends the table */
    const char *summary;
    const char *text; /* paragraphs, parted by an empty line */
    const struct argument_row *arguments;
    const struct option_row *options;
    const struct example_row *examples; /* one at least */
    verb_fn *run;
};

/* What is said about several verbs as a group: "user". */
struct verb_group {
    const char *name; /* NULL ends the list */
    const char *summary;
};

extern const struct verb table_verbs[];
extern const struct verb_group table_groups[];
extern const struct option_row table_globals[];

/* The verb of one word, or of two; NULL: there is none. `second` may be NULL. */
const struct verb *table_find(const char *first, const char *second);

/* The group of that name, or NULL. */
const struct verb_group *table_find_group(const char *name);

/* The last word of a verb's name: "add" of "user add". */
const char *table_last_word(const struct verb *verb);

/* True for the verbs of a group. */
int table_is_in_group(const struct verb *verb, const char *group);

/* The verbs' functions, each in the file of its group. */
verb_fn verb_init, verb_user_add, verb_user_show, verb_user_list, verb_user_set, verb_user_passwd,
    verb_user_disable, verb_user_enable, verb_tier_list, verb_tier_show, verb_tier_set,
    verb_tier_rm, verb_limit_check, verb_limit_peek, verb_limit_reset, verb_limit_top, verb_put,
    verb_get, verb_ls, verb_show, verb_rm, verb_restore, verb_archive_plan, verb_archive_run,
    verb_archive_init, verb_archive_adopt, verb_archive_status, verb_pack_list, verb_pack_verify,
    verb_pack_extract, verb_account_create, verb_account_show, verb_transfer_create,
    verb_transfer_show, verb_transfer_list, verb_balance, verb_grant_add, verb_grant_list,
    verb_grant_refund, verb_grant_revoke, verb_cost_set, verb_cost_rm, verb_cost_list,
    verb_price_set, verb_price_rm, verb_price_list, verb_pay_intend, verb_pay_settle, verb_pay_fail,
    verb_pay_refund, verb_pay_dispute, verb_pay_resolve, verb_pay_show, verb_pay_list,
    verb_pay_cancel, verb_pay_books, verb_import_payments, verb_job_add, verb_job_list,
    verb_job_show, verb_job_cancel, verb_job_retry, verb_job_take, verb_job_extend, verb_job_finish,
    verb_job_fail, verb_queue_status, verb_queue_purge, verb_key_add, verb_key_list, verb_key_rm,
    verb_session_begin, verb_session_list, verb_session_rm, verb_why, verb_events_tail,
    verb_events_consumers, verb_events_create, verb_events_rm, verb_events_replay, verb_events_dead,
    verb_verify, verb_stat, verb_backup, verb_options, verb_help;

#endif
