/*
 * What a failure was about.
 */
#ifndef JINI_ERROR_H
#define JINI_ERROR_H

#include <jini/status.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { JINI_ERROR_FIELD_MAX = 64, JINI_ERROR_MESSAGE_MAX = 440 };

/*
 * Filled by the call that failed, never read by the library. `field` names the argument, option,
 * limit or path; `message` is one sentence that names the rule, the value and what to do. Both end
 * in NUL and hold valid UTF-8; a longer text is cut, a path in front: "…/db/data.mdb". All zero
 * after success.
 */
struct jini_error {
    int32_t code;            /* the status that was returned */
    uint32_t reserved;       /* zero */
    uint64_t retry_after_ms; /* when to come back: always for JINI_RETRY_AFTER; 0: not known */
    char field[JINI_ERROR_FIELD_MAX];
    char message[JINI_ERROR_MESSAGE_MAX];
};

#ifdef __cplusplus
}
#endif
#endif
