/* The rows of table_key.h. */
#include "table_key.h"

#define TEXT(name_, value_, text_)                                                                 \
    {                                                                                              \
        .name = (name_), .kind = VALUE_TEXT, .value = (value_), .text = (text_)                    \
    }

const struct argument_row key_user_arguments[] = {
    {"USER", ARGUMENT_ONE, VALUE_TEXT,
     "a user's id, name or email address; id:12 and name:12 say which"},
    {0}};
const struct argument_row key_arguments[] = {
    {"ID", ARGUMENT_MANY, VALUE_TEXT, "keys as they are listed, jk_ and twelve characters"}, {0}};
const struct argument_row session_arguments[] = {
    {"ID", ARGUMENT_ANY, VALUE_TEXT, "sessions as they are listed, js_ and twelve characters"},
    {0}};

const struct option_row key_add_options[] = {
    TEXT("name", "NAME", "what it is for, up to 64 bytes"),
    TEXT("limits", "TEXT", "rate limits of this key alone, up to two: \"30/minute\""),
    TEXT("expires", "TIME", "when it is over; 2026-12-01T12:00:00Z; never by default"),
    {0},
};
const struct option_row session_begin_options[] = {
    TEXT("name", "NAME", "the device, up to 64 bytes"),
    TEXT("expires", "TIME", "when it is over; session.ttl_s from now by default"),
    {0},
};
const struct option_row session_rm_options[] = {
    TEXT("user", "USER", "end all sessions of this user"), {0}};

const struct example_row key_add_examples[] = {
    {"jini key add alice --name 'build server' --limits 30/minute", "print a new key of hers"},
    {0}};
const struct example_row key_list_examples[] = {{"jini key list alice", "her keys"}, {0}};
const struct example_row key_rm_examples[] = {
    {"jini key rm jk_0f3k9w2mqa7c", "it admits nothing more, from the next request on"}, {0}};
const struct example_row session_begin_examples[] = {
    {"jini session begin alice --name laptop", "print a session, as a login does"}, {0}};
const struct example_row session_list_examples[] = {
    {"jini session list alice", "where she is logged in"}, {0}};
const struct example_row session_rm_examples[] = {
    {"jini session rm js_0f3k9w2mqa7c", "end one"},
    {"jini session rm --user alice", "end all of hers"},
    {0},
};
