/* Records for the caller's callback. */
#include "base/log.h"

#include "harness.h"

struct seen {
    int records;
    enum jini_log_level level;
    char event[32];
    size_t fields;
    char names[4][16];
    char texts[4][16];
    int64_t numbers[4];
};

static void take(void *context, enum jini_log_level level, const char *event,
                 const struct jini_log_field *fields, size_t field_count)
{
    struct seen *seen = context;
    seen->records++;
    seen->level = level;
    strncpy(seen->event, event, sizeof(seen->event) - 1);
    seen->fields = field_count;
    for (size_t i = 0; i < field_count && i < 4; i++) {
        strncpy(seen->names[i], fields[i].name, sizeof(seen->names[i]) - 1);
        strncpy(seen->texts[i], fields[i].text ? fields[i].text : "(number)",
                sizeof(seen->texts[i]) - 1);
        seen->numbers[i] = fields[i].number;
    }
}

TEST(a_record_arrives_with_its_fields, "Event, level and every named value reach the callback.")
{
    struct seen seen = {0};
    const struct log log = {take, &seen, JINI_LOG_INFO};
    const char *missing = NULL;
    log_record(&log, JINI_LOG_WARNING, "map_grown", LOG_NUMBER("bytes", 1 << 20),
               LOG_TEXT("path", "/x"), LOG_TEXT("why", missing));
    CHECK_INT(seen.records, ==, 1);
    CHECK_INT(seen.level, ==, JINI_LOG_WARNING);
    CHECK_TEXT(seen.event, "map_grown");
    CHECK_UINT(seen.fields, ==, 3);
    CHECK_TEXT(seen.names[0], "bytes");
    CHECK_TEXT(seen.texts[0], "(number)");
    CHECK_INT(seen.numbers[0], ==, 1 << 20);
    CHECK_TEXT(seen.texts[1], "/x");
    CHECK_TEXT(seen.texts[2], "");
}

TEST(records_below_the_level_are_dropped,
     "Only the wanted levels call back, and no callback is no failure.")
{
    struct seen seen = {0};
    const struct log log = {take, &seen, JINI_LOG_WARNING};
    log_record(&log, JINI_LOG_INFO, "quiet", LOG_NUMBER("n", 1));
    CHECK_INT(seen.records, ==, 0);
    log_record(&log, JINI_LOG_ERROR, "loud", LOG_NUMBER("n", 1));
    CHECK_INT(seen.records, ==, 1);
    const struct log nobody = {NULL, NULL, JINI_LOG_DEBUG};
    log_record(&nobody, JINI_LOG_ERROR, "unheard", LOG_NUMBER("n", 1));
}
