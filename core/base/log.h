/* Handing records to the caller's log callback. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <jini/log.h>

struct log {
    jini_log_fn *callback; /* NULL: nothing is reported */
    void *context;
    enum jini_log_level level; /* the least that is reported */
};

/* A text is never NULL in a record: NULL means a number. */
static inline const char *log_text(const char *text)
{
    return text ? text : "";
}

#define LOG_TEXT(name, value)                                                                      \
    (struct jini_log_field)                                                                        \
    {                                                                                              \
        (name), log_text(value), 0                                                                 \
    }
#define LOG_NUMBER(name, value)                                                                    \
    (struct jini_log_field)                                                                        \
    {                                                                                              \
        (name), NULL, (int64_t)(value)                                                             \
    }

/* log_record(log, JINI_LOG_INFO, "store_map_grown", LOG_NUMBER("bytes", n)); at least one field. */
#define log_record(log, level, event, ...)                                                         \
    log_fields(log, level, event, (const struct jini_log_field[]){__VA_ARGS__},                    \
               sizeof((const struct jini_log_field[]){__VA_ARGS__}) /                              \
                   sizeof(struct jini_log_field))

static inline void log_fields(const struct log *log, enum jini_log_level level, const char *event,
                              const struct jini_log_field *fields, size_t field_count)
{
    if (log->callback && level >= log->level)
        log->callback(log->context, level, event, fields, field_count);
}

#endif
