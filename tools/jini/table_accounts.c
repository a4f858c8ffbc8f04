/* The rows of table_accounts.h. */
#include "table_accounts.h"

#include <jini/accounts.h>
#include <jini/generations.h>
#include <jini/limits.h>

#define NUMBER_OPTION(name_, value_, least_, most_, text_)                                         \
    {                                                                                              \
        .name = (name_), .kind = VALUE_NUMBER, .value = (value_), .text = (text_),                 \
        .least = (least_), .most = (most_)                                                         \
    }
#define BOUND_OPTION(kind_, name_, most_, text_)                                                   \
    {                                                                                              \
        .name = (name_), .kind = (kind_), .value = "N", .text = (text_), .most = (most_)           \
    }

/* What a tier allows and a user's overrides replace. */
#define ALLOWANCE_OPTIONS(number_kind)                                                             \
    {.name = "limits",                                                                             \
     .kind = VALUE_TEXT,                                                                           \
     .value = "TEXT",                                                                              \
     .text =                                                                                       \
         "rate limits and quotas, \"5/minute; 30/day\"; \"jini help limits\" has the notation"},   \
        BOUND_OPTION(number_kind, "width-max", 65536, "widest image, in pixels; 0: no bound"),     \
        BOUND_OPTION(number_kind, "height-max", 65536, "highest image, in pixels; 0: no bound"),   \
        BOUND_OPTION(number_kind, "steps-max", 100000, "most steps; 0: no bound"),                 \
        BOUND_OPTION(number_kind, "parallel-max", 10000,                                           \
                     "most jobs at once, of 256 that anyone may have; 0: no bound"),               \
        BOUND_OPTION(number_kind, "retention-days", 36500,                                         \
                     "days that images are kept; 0: for ever")

const struct argument_row user_argument[] = {
    {"USER", ARGUMENT_ONE, VALUE_TEXT,
     "a user's id, name or email address; id:12 and name:12 say which"},
    {0}};
const struct argument_row subject_argument[] = {
    {"USER", ARGUMENT_OPTIONAL, VALUE_TEXT,
     "a user's id, name or email address; id:12 and name:12 say which"},
    {0}};
const struct argument_row tier_argument[] = {
    {"NAME", ARGUMENT_ONE, VALUE_TEXT, "the name of the tier"}, {0}};
/* ---- user ---- */

const struct argument_row user_add_arguments[] = {
    {"NAME", ARGUMENT_OPTIONAL, VALUE_TEXT,
     "the user name, 1 to 150 letters, digits and @ . + - _; without it one is made from --email"},
    {0}};
const struct option_row user_add_options[] = {
    {.name = "email", .kind = VALUE_TEXT, .value = "ADDRESS", .text = "the email address"},
    {.name = "tier", .kind = VALUE_TEXT, .value = "TIER", .text = "the tier; Free by default"},
    {.name = "password", .text = "ask for a password on the terminal"},
    {.name = "password-stdin", .text = "read the password from the first line of standard input"},
    {.name = "password-hash",
     .kind = VALUE_TEXT,
     .value = "HASH",
     .text = "import a hash: argon2id, or Django's pbkdf2_sha256"},
    {.name = "first-name", .kind = VALUE_TEXT, .value = "TEXT", .text = "the first name"},
    {.name = "last-name", .kind = VALUE_TEXT, .value = "TEXT", .text = "the last name"},
    {.name = "staff", .text = "may use the administration"},
    {0},
};
const struct example_row user_add_examples[] = {
    {"jini user add alice --email alice@example.org --tier Premium",
     "a user without a password: none fits until one is set"},
    {"jini user add bob --password", "asks for the password, without echo"},
    {"pass show bob | jini user add bob --password-stdin", "takes it from a program"},
    {0},
};
const struct example_row user_show_examples[] = {
    {"jini user show alice", "by name"},
    {"jini user show 17 --json", "by id, for programs"},
    {0},
};
const struct option_row user_list_options[] = {
    NUMBER_OPTION("limit", "N", 1, INT64_MAX, "at most so many users"),
    NUMBER_OPTION("after", "ID", 0, INT64_MAX, "begin behind the user of this id"),
    {0},
};
const struct example_row user_list_examples[] = {
    {"jini user list", "all users, by id"},
    {"jini user list --after 100 --limit 50", "the fifty behind user 100"},
    {0},
};
const struct option_row user_set_options[] = {
    {.name = "username", .kind = VALUE_TEXT, .value = "NAME", .text = "a new user name"},
    {.name = "email",
     .kind = VALUE_TEXT,
     .value = "ADDRESS",
     .text = "an address, or \"\" for none"},
    {.name = "first-name", .kind = VALUE_TEXT, .value = "TEXT", .text = "the first name"},
    {.name = "last-name", .kind = VALUE_TEXT, .value = "TEXT", .text = "the last name"},
    {.name = "tier", .kind = VALUE_TEXT, .value = "TIER", .text = "another tier"},
    {.name = "staff",
     .kind = VALUE_CHOICE,
     .value = "yes|no",
     .choices = "yes|no",
     .text = "may use the administration"},
    ALLOWANCE_OPTIONS(VALUE_NUMBER_OR_TIER),
    {.name = "no-limits", .text = "no rate limits and no quotas for this user"},
    {.name = "clear-overrides", .text = "take all overrides away first"},
    {.name = "revoke", .text = "end all sessions of the user"},
    {0},
};
const struct example_row user_set_examples[] = {
    {"jini user set alice --tier Basic", "another tier, from the next request on"},
    {"jini user set alice --limits '10/minute; 100/day' --parallel-max 2",
     "overrides for one user"},
    {"jini user set alice --parallel-max tier", "the tier's value again"},
    {0},
};
const struct option_row user_passwd_options[] = {
    {.name = "password-stdin", .text = "read the password from the first line of standard input"},
    {.name = "none", .text = "take the password away: none fits any more"},
    {0},
};
const struct example_row user_passwd_examples[] = {
    {"jini user passwd alice", "asks twice, without echo"},
    {"jini user passwd alice --password-stdin < secret.txt", "takes the first line"},
    {0},
};
const struct example_row user_disable_examples[] = {
    {"jini user disable alice", "no login and no generation from now on"}, {0}};
const struct example_row user_enable_examples[] = {
    {"jini user enable alice", "the account works again"}, {0}};

/* ---- tier ---- */

const struct option_row tier_set_options[] = {
    ALLOWANCE_OPTIONS(VALUE_NUMBER),
    NUMBER_OPTION("queue-priority", "N", 0, JINI_QUEUE_PRIORITY_MAX,
                  "of jobs that wait for a worker, the higher go first"),
    NUMBER_OPTION("price-minor", "N", 0, 1000000000000,
                  "price of a period in the smallest unit: 1500 is EUR 15.00"),
    {.name = "currency", .kind = VALUE_TEXT, .value = "CODE", .text = "ISO 4217, EUR"},
    {.name = "no-limits", .text = "take rate limits and quotas away: nothing is counted"},
    {.name = "create", .text = "add the tier, which must not be there yet"},
    {0},
};
const struct example_row tier_list_examples[] = {{"jini tier list", "all tiers"}, {0}};
const struct example_row tier_show_examples[] = {{"jini tier show Free", "one tier"}, {0}};
const struct example_row tier_set_examples[] = {
    {"jini tier set Studio --create --limits '120/minute; 5000/day' --price-minor 4900",
     "a new tier"},
    {"jini tier set Free --retention-days 14", "change one value, keep the others"},
    {0},
};
const struct example_row tier_rm_examples[] = {
    {"jini tier rm Studio", "refused while users have it"}, {0}};

/* ---- limit ---- */

const struct option_row limit_check_options[] = {
    {.name = "address",
     .kind = VALUE_TEXT,
     .value = "IP",
     .text = "an anonymous client instead of a user"},
    NUMBER_OPTION("cost", "N", 1, UINT32_MAX, "how many units; 1 by default"),
    {.name = "limits",
     .kind = VALUE_TEXT,
     .value = "TEXT",
     .text = "rate limits to count by, instead of the subject's own"},
    {.name = "scope",
     .kind = VALUE_TEXT,
     .value = "NAME",
     .text = "with --limits: count apart under this name"},
    {0},
};
const struct option_row limit_reset_options[] = {
    {.name = "address",
     .kind = VALUE_TEXT,
     .value = "IP",
     .text = "an anonymous client instead of a user"},
    {.name = "limits",
     .kind = VALUE_TEXT,
     .value = "TEXT",
     .text = "what was checked by these rate limits, instead of the subject's own"},
    {.name = "scope",
     .kind = VALUE_TEXT,
     .value = "NAME",
     .text = "what was counted apart under this name"},
    {0},
};
const struct option_row limit_top_options[] = {
    NUMBER_OPTION("limit", "N", 1, JINI_LIMIT_TOP_MAX, "how many; 10 by default"), {0}};
const struct example_row limit_check_examples[] = {
    {"jini limit check alice", "charge one unit of each rate limit"},
    {"jini limit check --address 203.0.113.7 --limits 5/minute --scope api/login",
     "a limit of your own, for a client's address"},
    {0},
};
const struct example_row limit_peek_examples[] = {
    {"jini limit peek alice", "what is left, without charging"},
    {"jini limit peek alice --cost 10 --json", "would ten units fit?"},
    {0},
};
const struct example_row limit_reset_examples[] = {
    {"jini limit reset alice", "all of the limits is there again"},
    {"jini limit reset --address 203.0.113.7 --limits 5/minute --scope api/login",
     "a limit of your own, as it was checked"},
    {0},
};
const struct example_row limit_top_examples[] = {
    {"jini limit top --limit 20", "the twenty nearest to their limit"}, {0}};
