/* The rows of table_queue.h. */
#include "table_queue.h"

#include <jini/generations.h>

#define TEXT(name_, value_, text_)                                                                 \
    {                                                                                              \
        .name = (name_), .kind = VALUE_TEXT, .value = (value_), .text = (text_)                    \
    }
#define NUMBER(name_, least_, most_, text_)                                                        \
    {                                                                                              \
        .name = (name_), .kind = VALUE_NUMBER, .value = "N", .text = (text_), .least = (least_),   \
        .most = (most_)                                                                            \
    }
#define ATTEMPT NUMBER("attempt", 1, UINT32_MAX, "the number that came with the job")
#define LEASE   NUMBER("lease-ms", 1, UINT32_MAX, "the lease; queue.lease_ms by default")

static const char user_text[] = "a user's id, name or email address; id:12 and name:12 say which";

const struct argument_row queue_user_arguments[] = {{"USER", ARGUMENT_ONE, VALUE_TEXT, user_text},
                                                    {0}};
const struct argument_row job_list_arguments[] = {
    {"USER", ARGUMENT_OPTIONAL, VALUE_TEXT, user_text}, {0}};
const struct argument_row job_argument[] = {{"ID", ARGUMENT_ONE, VALUE_TEXT, "the id of a job"},
                                            {0}};
const struct argument_row job_arguments[] = {{"ID", ARGUMENT_MANY, VALUE_TEXT, "ids of jobs"}, {0}};

const struct argument_row why_arguments[] = {
    {"ID", ARGUMENT_OPTIONAL, VALUE_TEXT, "the id of a job, or of a refusal"}, {0}};
const struct option_row why_options[] = {
    NUMBER("last", 1, 65536, "list so many refusals, the newest first"),
    TEXT("user", "USER", "those of this user, with --last"),
    {0},
};
const struct example_row why_examples[] = {
    {"jini why 0192f6a4-8a0c-7bd2-a3b5-0f4a1c9be001", "why it was admitted, or refused"},
    {"jini why --last 20 --user alice", "what was refused to her"},
    {0},
};

const struct option_row job_add_options[] = {
    TEXT("model", "MODEL", "the model"),
    TEXT("prompt", "TEXT", "the prompt"),
    TEXT("negative", "TEXT", "the negative prompt"),
    NUMBER("width", 1, 65536, "of the images, in pixels; 512 by default"),
    NUMBER("height", 1, 65536, "the same"),
    NUMBER("steps", 1, UINT32_MAX, "steps; 20 by default"),
    NUMBER("count", 1, JINI_JOB_IMAGES_MAX, "images; 1 by default"),
    NUMBER("seed", -1, INT64_MAX, "the seed; by default the worker chooses it"),
    NUMBER("ttl-ms", 1, 604800000, "how long it waits for a worker; queue.ttl_ms by default"),
    TEXT("request-id", "ID", "a UUID: with the same one it is admitted once"),
    {0},
};
const struct option_row job_list_options[] = {
    {.name = "state",
     .kind = VALUE_CHOICE,
     .value = "STATE",
     .text = "those in this state alone; without a user, IN_QUEUE or IN_PROGRESS",
     .choices = "IN_QUEUE|IN_PROGRESS|COMPLETED|FAILED|CANCELLED|TIMED_OUT"},
    TEXT("model", "MODEL", "those of a model alone"),
    NUMBER("limit", 1, INT64_MAX, "no more than this many"),
    {0},
};
const struct option_row job_retry_options[] = {
    TEXT("request-id", "ID", "a UUID: with the same one it is admitted once"), {0}};
const struct option_row job_take_options[] = {
    TEXT("worker", "NAME", "the worker's name; that of this machine by default"),
    TEXT("models", "MODELS", "what it serves, parted by commas; all by default"),
    NUMBER("wait-ms", 0, UINT32_MAX, "how long to wait for a job; 0 by default"),
    LEASE,
    {0},
};
const struct option_row job_extend_options[] = {ATTEMPT, LEASE, {0}};
const struct option_row job_finish_options[] = {
    ATTEMPT,
    NUMBER("unused-credits", 0, INT64_MAX, "credits of its cost that are given back"),
    {0}};
const struct option_row job_fail_options[] = {
    ATTEMPT,
    TEXT("reason", "TEXT", "why, up to 256 bytes"),
    {.name = "retry", .text = "try again later, if it has attempts left"},
    {0},
};
const struct option_row queue_purge_options[] = {
    TEXT("user", "USER", "jobs of this user"),
    TEXT("model", "MODEL", "jobs of this model"),
    {.name = "all", .text = "all jobs that wait; needed where neither is given"},
    {0},
};

const struct example_row job_add_examples[] = {
    {"jini job add alice --model sdxl --prompt 'a lighthouse'", "a job for a worker"}, {0}};
const struct example_row job_list_examples[] = {
    {"jini job list", "what waits and what workers are at"},
    {"jini job list alice --state FAILED", "her jobs that failed"},
    {0},
};
const struct example_row job_show_examples[] = {
    {"jini job show 0192f6a4-8a0c-7bd2-a3b5-0f4a1c9be001", "all of a job"}, {0}};
const struct example_row job_cancel_examples[] = {
    {"jini job cancel 0192f6a4-8a0c-7bd2-a3b5-0f4a1c9be001", "end it now"}, {0}};
const struct example_row job_retry_examples[] = {
    {"jini job retry 0192f6a4-8a0c-7bd2-a3b5-0f4a1c9be001", "the same again, as a new job"}, {0}};
const struct example_row job_take_examples[] = {
    {"jini --json job take --models sdxl,flux --wait-ms 60000", "wait for work, for a minute"},
    {0}};
const struct example_row job_extend_examples[] = {
    {"jini job extend 0192f6a4-8a0c-7bd2-a3b5-0f4a1c9be001 --attempt 1", "still at it"}, {0}};
const struct example_row job_finish_examples[] = {
    {"jini job finish 0192f6a4-8a0c-7bd2-a3b5-0f4a1c9be001 --attempt 1", "done"}, {0}};
const struct example_row job_fail_examples[] = {
    {"jini job fail 0192f6a4-8a0c-7bd2-a3b5-0f4a1c9be001 --attempt 1 --retry --reason 'no memory'",
     "to be tried again"},
    {0},
};
const struct example_row queue_status_examples[] = {{"jini queue status", "what waits, by model"},
                                                    {0}};
const struct example_row queue_purge_examples[] = {
    {"jini queue purge --model sdxl", "cancel what waits for a model"}, {0}};
