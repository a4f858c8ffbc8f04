/* The rows of table_credits.h. */
#include "table_credits.h"

#include <jini/grants.h>

#define TEXT(name_, value_, text_)                                                                 \
    {                                                                                              \
        .name = (name_), .kind = VALUE_TEXT, .value = (value_), .text = (text_)                    \
    }
#define PRICE(name_, text_)                                                                        \
    {                                                                                              \
        .name = (name_), .kind = VALUE_NUMBER, .value = "N", .text = (text_),                      \
        .most = JINI_COST_MAX                                                                      \
    }

const struct argument_row grant_add_arguments[] = {
    {"USER", ARGUMENT_ONE, VALUE_TEXT, "a user name, an email address or an id"},
    {"CREDITS", ARGUMENT_ONE, VALUE_TEXT, "how many, 1 or more"},
    {0}};
const struct argument_row grant_user_arguments[] = {
    {"USER", ARGUMENT_ONE, VALUE_TEXT, "a user name, an email address or an id"}, {0}};
const struct argument_row grant_refund_arguments[] = {
    {"JOB", ARGUMENT_ONE, VALUE_TEXT, "the id of the job"},
    {"CREDITS", ARGUMENT_OPTIONAL, VALUE_TEXT, "how many; all that it drew by default"},
    {0}};
const struct argument_row grant_revoke_arguments[] = {
    {"ID", ARGUMENT_ONE, VALUE_TEXT, "the id of the grant, a UUID or a number"}, {0}};
const struct argument_row cost_arguments[] = {
    {"MODEL", ARGUMENT_ONE, VALUE_TEXT,
     "the model's name; \"\" for all that have no entry of their own"},
    {0}};

const struct option_row grant_add_options[] = {
    TEXT("id", "ID", "the grant's, a UUID or a number: with the same one it is granted once"),
    {.name = "promotional", .text = "a present; without it they were paid for"},
    {.name = "priority",
     .kind = VALUE_NUMBER,
     .value = "N",
     .text = "0 to 255: of several grants the smallest is drawn first; 0 by default",
     .most = JINI_PRIORITY_MAX},
    TEXT("effective", "TIME", "not drawn before; 2026-12-01T12:00:00Z"),
    TEXT("expires", "TIME", "what is left then is gone; never by default"),
    TEXT("source", "ID", "where it comes from, as a payment"),
    {0},
};
const struct option_row cost_set_options[] = {
    PRICE("per-image", "thousandths of a credit for each image"),
    PRICE("per-step", "for each image and step"),
    PRICE("per-megapixel", "for each image and million of pixels"),
    PRICE("per-megapixel-step", "for each image, million of pixels and step"),
    {0},
};

const struct example_row grant_add_examples[] = {
    {"jini grant add alice 500", "five hundred credits that do not expire"},
    {"jini grant add alice 50 --promotional --expires 2026-12-31", "a present until new year"},
    {0},
};
const struct example_row grant_list_examples[] = {
    {"jini grant list alice", "her credits, in the order in which they are drawn"}, {0}};
const struct example_row grant_refund_examples[] = {
    {"jini grant refund 019b7c1e-0000-7000-8000-000000000000 2", "two of its credits"}, {0}};
const struct example_row grant_revoke_examples[] = {
    {"jini grant revoke 7", "what is left of grant 7"}, {0}};
const struct example_row cost_set_examples[] = {
    {"jini cost set sdxl --per-image 1000", "one credit an image"},
    {"jini cost set \"\" --per-megapixel-step 50",
     "1.31 credits for 1024 x 1024 pixels in 25 steps, by any other model"},
    {0},
};
const struct example_row cost_list_examples[] = {{"jini cost list", "what generations cost"}, {0}};
const struct example_row cost_rm_examples[] = {
    {"jini cost rm sdxl", "it costs what the entry of \"\" says, or nothing"}, {0}};
