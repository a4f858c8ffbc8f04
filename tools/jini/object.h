/* Records of the database as JSON objects, the same in every verb. NULL: out of memory. */
#ifndef JINI_CLI_OBJECT_H
#define JINI_CLI_OBJECT_H

#include <jansson.h>
#include <jini/jini.h>

/* The account. `overrides` has only the members that are overridden. */
json_t *object_user(const struct jini_user *user);

json_t *object_tier(const struct jini_tier *tier);

/*
 * limits, width_max, height_max, steps_max, parallel_max, retention_days: those that `mask` names.
 */
json_t *object_allowance(const struct jini_allowance *allowance, uint32_t mask);

json_t *object_usage(const struct jini_usage *usage);

/* With the place of its bytes: state, pack_id, stored_bytes, codec; null if the index has none. */
json_t *object_image(struct jini *jini, const struct jini_image *image);

json_t *object_job(const struct jini_job *job);

/* Who is counted: {"kind": "user", "id"} or {"kind": "address", "address"}. */
json_t *object_subject(const struct jini_subject *subject);

/* An entry of an answer: limit, kind, remaining, reset_ms, retry_after_ms, refused, shadow. */
json_t *object_limit(const struct jini_limit_entry *entry);

/* What a tier and a user's overrides allow together. */
void object_merge_allowance(const struct jini_user *user, const struct jini_tier *tier,
                            struct jini_allowance *out);

#endif
