/* Which state follows which. */
#include "generations/generations.h"

#include "harness.h"

#include <stdio.h>

static const enum jini_job_state job_states[] = {
    JINI_JOB_IN_QUEUE, JINI_JOB_IN_PROGRESS, JINI_JOB_COMPLETED,
    JINI_JOB_FAILED,   JINI_JOB_CANCELLED,   JINI_JOB_TIMED_OUT,
};

/* One line for each state: 'x' under each state that may follow it. */
static const char *const job_table[] = {
    /* queue progress completed failed cancelled timed_out */
    "xx.xxx", /* IN_QUEUE */
    ".xxxxx", /* IN_PROGRESS */
    "......", /* COMPLETED */
    "......", /* FAILED */
    "......", /* CANCELLED */
    "......", /* TIMED_OUT */
};

TEST(jobs_change_as_the_table_says, "Of all pairs of job states exactly those of the table are "
                                    "changes; the others name both states.")
{
    for (unsigned from = 0; from < 6; from++) {
        for (unsigned to = 0; to < 6; to++) {
            struct jini_error error = {0};
            int status = generations_job_check_change(job_states[from], job_states[to], &error);
            if (job_table[from][to] == 'x') {
                CHECK_OK(status);
                continue;
            }
            CHECK_STATUS(status, JINI_E_CONFLICT);
            CHECK_CONTAINS(error.message, jini_job_state_name(job_states[from]));
            CHECK_CONTAINS(error.message, jini_job_state_name(job_states[to]));
        }
    }
}

TEST(ended_jobs_are_those_without_a_next_state, "A job has ended when no state can follow.")
{
    for (unsigned from = 0; from < 6; from++) {
        bool ends = strchr(job_table[from], 'x') == NULL;
        CHECK(generations_job_ended(job_states[from]) == ends);
    }
}

TEST(unknown_states_lead_nowhere, "A value that is no state is refused and named UNKNOWN.")
{
    static const int unknown[] = {-1, 0, 7, 31, 32, 33, 1000};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        enum jini_job_state job = (enum jini_job_state)unknown[i];
        CHECK_TEXT(jini_job_state_name(job), "UNKNOWN");
        CHECK_STATUS(generations_job_check_change(JINI_JOB_IN_QUEUE, job, NULL), JINI_E_CONFLICT);
        CHECK_STATUS(generations_job_check_change(job, JINI_JOB_FAILED, NULL), JINI_E_CONFLICT);
        enum jini_image_state image = (enum jini_image_state)(unknown[i] == 7 ? 5 : unknown[i]);
        CHECK_TEXT(jini_image_state_name(image), "UNKNOWN");
        CHECK_STATUS(generations_image_check_change(JINI_IMAGE_HOT, image, NULL), JINI_E_CONFLICT);
        CHECK_STATUS(generations_image_check_change(image, JINI_IMAGE_HOT, NULL), JINI_E_CONFLICT);
    }
}

TEST(an_image_never_loses_its_only_copy, "Between HOT and COLD an image is in both places.")
{
    static const enum jini_image_state states[] = {JINI_IMAGE_HOT, JINI_IMAGE_HOT_ARCHIVED,
                                                   JINI_IMAGE_COLD, JINI_IMAGE_TRASH};
    static const char *const table[] = {
        /* hot hot_archived cold trash */
        "xx..", /* HOT */
        "xxx.", /* HOT_ARCHIVED */
        ".xx.", /* COLD */
        "....", /* TRASH: not a place */
    };
    for (unsigned from = 0; from < 4; from++) {
        for (unsigned to = 0; to < 4; to++) {
            int expected = table[from][to] == 'x' ? 0 : JINI_E_CONFLICT;
            struct jini_error error = {0};
            CHECK_STATUS(generations_image_check_change(states[from], states[to], &error),
                         expected);
            if (expected == 0)
                continue;
            CHECK_CONTAINS(error.message, jini_image_state_name(states[from]));
            CHECK_CONTAINS(error.message, jini_image_state_name(states[to]));
        }
    }
}

TEST(states_are_named_as_runpod_names_them, "The names of states are pinned.")
{
    static const char *const names[] = {"IN_QUEUE", "IN_PROGRESS", "COMPLETED",
                                        "FAILED",   "CANCELLED",   "TIMED_OUT"};
    for (unsigned i = 0; i < 6; i++)
        CHECK_TEXT(jini_job_state_name(job_states[i]), names[i]);
    CHECK_TEXT(jini_image_state_name(JINI_IMAGE_HOT), "HOT");
    CHECK_TEXT(jini_image_state_name(JINI_IMAGE_HOT_ARCHIVED), "HOT_ARCHIVED");
    CHECK_TEXT(jini_image_state_name(JINI_IMAGE_COLD), "COLD");
    CHECK_TEXT(jini_image_state_name(JINI_IMAGE_TRASH), "TRASH");
}
