/* The states of jobs and images, and which follows which. Pure. */
#include "generations/generations.h"

#include "base/error.h"

struct state_row {
    const char *name;
    uint32_t next; /* bit n: state n may follow */
};

enum {
    JOB_ENDS = 1u << JINI_JOB_FAILED | 1u << JINI_JOB_CANCELLED | 1u << JINI_JOB_TIMED_OUT,
};

/*
 * Whoever finds a job completed that it left in the queue takes it through IN_PROGRESS, so that
 * every completed job has a start. A job that has not ended may stay as it is, with a new lease.
 */
static const struct state_row job_states[] = {
    [JINI_JOB_IN_QUEUE] = {"IN_QUEUE",
                           JOB_ENDS | 1u << JINI_JOB_IN_QUEUE | 1u << JINI_JOB_IN_PROGRESS},
    [JINI_JOB_IN_PROGRESS] = {"IN_PROGRESS",
                              JOB_ENDS | 1u << JINI_JOB_IN_PROGRESS | 1u << JINI_JOB_COMPLETED},
    [JINI_JOB_COMPLETED] = {"COMPLETED", 0},
    [JINI_JOB_FAILED] = {"FAILED", 0},
    [JINI_JOB_CANCELLED] = {"CANCELLED", 0},
    [JINI_JOB_TIMED_OUT] = {"TIMED_OUT", 0},
};

/*
 * HOT_ARCHIVED to HOT: the copy in the archive was found damaged and is made anew. COLD to
 * HOT_ARCHIVED: the bytes were brought back.
 */
static const struct state_row image_states[] = {
    [JINI_IMAGE_HOT] = {"HOT", 1u << JINI_IMAGE_HOT | 1u << JINI_IMAGE_HOT_ARCHIVED},
    [JINI_IMAGE_HOT_ARCHIVED] = {"HOT_ARCHIVED", 1u << JINI_IMAGE_HOT |
                                                     1u << JINI_IMAGE_HOT_ARCHIVED |
                                                     1u << JINI_IMAGE_COLD},
    [JINI_IMAGE_COLD] = {"COLD", 1u << JINI_IMAGE_COLD | 1u << JINI_IMAGE_HOT_ARCHIVED},
    [JINI_IMAGE_TRASH] = {"TRASH", 0},
};

static const struct state_row *find(const struct state_row *rows, size_t count, unsigned state)
{
    static const struct state_row unknown = {"UNKNOWN", 0};
    return state < count && rows[state].name ? &rows[state] : &unknown;
}

static const struct state_row *job_state(enum jini_job_state state)
{
    return find(job_states, sizeof(job_states) / sizeof(job_states[0]), state);
}

static const struct state_row *image_state(enum jini_image_state state)
{
    return find(image_states, sizeof(image_states) / sizeof(image_states[0]), state);
}

const char *jini_job_state_name(enum jini_job_state state)
{
    return job_state(state)->name;
}

const char *jini_image_state_name(enum jini_image_state state)
{
    return image_state(state)->name;
}

bool generations_job_ended(enum jini_job_state state)
{
    return job_state(state)->next == 0;
}

static int check(const struct state_row *from, const struct state_row *to, bool allowed,
                 const char *what, struct jini_error *error)
{
    if (allowed)
        return 0;
    if (from == to)
        return error_set(error, JINI_E_CONFLICT, "state", "the %s is %s already", what, from->name);
    return error_set(error, JINI_E_CONFLICT, "state",
                     "the %s is %s and cannot become %s: read it again", what, from->name,
                     to->name);
}

int generations_job_check_change(enum jini_job_state from, enum jini_job_state to,
                                 struct jini_error *error)
{
    const struct state_row *row = job_state(from);
    bool allowed = (unsigned)to < 32 && (row->next & 1u << to) != 0;
    return check(row, job_state(to), allowed, "job", error);
}

int generations_image_check_change(enum jini_image_state from, enum jini_image_state to,
                                   struct jini_error *error)
{
    const struct state_row *row = image_state(from);
    bool allowed = (unsigned)to < 32 && (row->next & 1u << to) != 0;
    return check(row, image_state(to), allowed, "image", error);
}
