/*
 * What the library reports while it works. It prints nothing itself: a callback in the options gets
 * each record, on whatever thread it arises, and must not call back into the engine.
 */
#ifndef JINI_LOG_H
#define JINI_LOG_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum jini_log_level { JINI_LOG_DEBUG, JINI_LOG_INFO, JINI_LOG_WARNING, JINI_LOG_ERROR };

/*
 * One named value of a record. `text` is NULL for a number. Borrowed for the length of the
 * callback.
 */
struct jini_log_field {
    const char *name;
    const char *text;
    int64_t number;
};

/*
 * `event` is a fixed, snake-case name that tools may match on ("store_map_grown"); the fields carry
 * what varies. Passwords, hashes, prompts and addresses never stand in a record.
 */
typedef void jini_log_fn(void *context, enum jini_log_level level, const char *event,
                         const struct jini_log_field *fields, size_t field_count);

#ifdef __cplusplus
}
#endif
#endif
