/* What is explained beside the verbs: the notation of limits, by its grammar in jini/limits.h. */
#include "command.h"
#include "help.h"

#include <string.h>

static const struct help_row limit_rows[] = {
    {"LIMIT; LIMIT; ...",
     "up to 8 limits, parted by ; or , or |. Letter case and spaces do not matter, but in the name "
     "of a time zone. Each limit is AMOUNT/[M] UNIT [HOW] [shadow]; \"per\" may stand for the "
     "stroke"},
    {"AMOUNT/UNIT",
     "so many in each second, minute, hour, day, month or year: 5/minute, 30 per day. A period "
     "below an hour is a rate limit, counted in memory that all processes share and forgotten at "
     "reboot; an hour or more is a quota, a durable count that admissions charge"},
    {"AMOUNT/M UNITs", "a period of M units: 100/15 minutes, 500/3 months"},
    {"(no HOW)",
     "the period begins with the first hit and holds a fixed time; a month is then 30 days and a "
     "year 360"},
    {"sliding",
     "rate limits: never more than AMOUNT in any stretch of the period: 30/minute sliding"},
    {"gcra [burst B]", "rate limits: evenly spaced, period divided by AMOUNT apart, of which up to "
                       "B may come at once "
                       "(1 by default): 60/minute gcra burst 10"},
    {"calendar [ZONE]",
     "quotas: one hour, day, month or year as the calendar has it, in ZONE, a name such as "
     "Europe/Berlin; UTC by default: 30/day calendar Europe/Berlin"},
    {"anchor [ZONE]", "quotas: days, months or years counted from the moment at which the user was "
                      "added, at the same "
                      "time of the day: 1000/month anchor"},
    {"shadow", "counted and shown, never refuses: to try a limit out: 3/second shadow"},
    {0},
};

static const char limit_text[] =
    "The option --limits takes a text of rate limits and quotas, as \"5/minute; 30/day calendar "
    "Europe/Berlin; 9/second gcra burst 20\". A request must fit into each of them. The verbs of "
    "\"limit\" take rate limits only.";

const struct help_topic help_topics[] = {
    {"limits", "the notation of rate limits and quotas", limit_text, limit_rows},
    {0},
};

const struct help_topic *help_find_topic(const char *name)
{
    for (const struct help_topic *topic = help_topics; topic->name; topic++) {
        if (strcmp(topic->name, name) == 0)
            return topic;
    }
    return NULL;
}
