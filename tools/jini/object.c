/* From the structs of the public headers to JSON. */
#include "object.h"

#include "layout.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Takes `value` over; a member that cannot be made makes the whole object NULL. */
static void set(json_t **object, const char *name, json_t *value)
{
    if (*object && json_object_set_new(*object, name, value) != 0) {
        json_decref(*object);
        *object = NULL;
    } else if (!*object) {
        json_decref(value);
    }
}

/* ---- Accounts ---- */

json_t *object_allowance(const struct jini_allowance *allowance, uint32_t mask)
{
    json_t *object = json_object();
    if (mask & JINI_ALLOWANCE_LIMITS)
        set(&object, "limits", layout_text(allowance->limits));
    if (mask & JINI_ALLOWANCE_WIDTH)
        set(&object, "width_max", layout_number(allowance->width_max));
    if (mask & JINI_ALLOWANCE_HEIGHT)
        set(&object, "height_max", layout_number(allowance->height_max));
    if (mask & JINI_ALLOWANCE_STEPS)
        set(&object, "steps_max", layout_number(allowance->steps_max));
    if (mask & JINI_ALLOWANCE_PARALLEL)
        set(&object, "parallel_max", layout_number(allowance->parallel_max));
    if (mask & JINI_ALLOWANCE_RETENTION)
        set(&object, "retention_days", layout_number(allowance->retention_days));
    return object;
}

json_t *object_user(const struct jini_user *user)
{
    json_t *object = json_object();
    set(&object, "id", layout_number(user->id));
    set(&object, "username", layout_text(user->username));
    set(&object, "email", layout_text(user->email));
    set(&object, "first_name", layout_text(user->first_name));
    set(&object, "last_name", layout_text(user->last_name));
    set(&object, "tier", layout_text(user->tier));
    set(&object, "tier_until", layout_time(user->tier_until_ms));
    set(&object, "active", json_boolean(user->flags & JINI_USER_ACTIVE));
    set(&object, "staff", json_boolean(user->flags & JINI_USER_STAFF));
    set(&object, "created", layout_time(user->created_ms));
    set(&object, "last_login", layout_time(user->last_login_ms));
    set(&object, "revocation_epoch", layout_number(user->revocation_epoch));
    set(&object, "overrides", object_allowance(&user->overrides, user->override_mask));
    return object;
}

json_t *object_tier(const struct jini_tier *tier)
{
    json_t *object = json_object();
    set(&object, "name", layout_text(tier->name));
    set(&object, "price_minor", layout_number(tier->price_minor));
    set(&object, "currency", layout_text(tier->currency));
    set(&object, "queue_priority", layout_number(tier->queue_priority));
    json_t *allowance = object_allowance(&tier->allowance, JINI_ALLOWANCE_ALL);
    if (!object || !allowance || json_object_update(object, allowance) != 0) {
        json_decref(object);
        object = NULL;
    }
    json_decref(allowance);
    return object;
}

void object_merge_allowance(const struct jini_user *user, const struct jini_tier *tier,
                            struct jini_allowance *out)
{
    const struct jini_allowance *over = &user->overrides;
    uint32_t mask = user->override_mask;
    *out = tier->allowance;
    if (mask & JINI_ALLOWANCE_LIMITS)
        memcpy(out->limits, over->limits, sizeof(out->limits));
    if (mask & JINI_ALLOWANCE_WIDTH)
        out->width_max = over->width_max;
    if (mask & JINI_ALLOWANCE_HEIGHT)
        out->height_max = over->height_max;
    if (mask & JINI_ALLOWANCE_STEPS)
        out->steps_max = over->steps_max;
    if (mask & JINI_ALLOWANCE_PARALLEL)
        out->parallel_max = over->parallel_max;
    if (mask & JINI_ALLOWANCE_RETENTION)
        out->retention_days = over->retention_days;
}

json_t *object_usage(const struct jini_usage *usage)
{
    json_t *object = json_object();
    set(&object, "images", layout_number(usage->images));
    set(&object, "bytes", layout_number(usage->bytes));
    set(&object, "trashed_images", layout_number(usage->trashed_images));
    set(&object, "trashed_bytes", layout_number(usage->trashed_bytes));
    set(&object, "jobs", layout_number(usage->jobs));
    return object;
}

/* ---- Images and jobs ---- */

static json_t *hash_text(const uint8_t hash[16])
{
    char text[33];
    for (int i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    return json_string(text);
}

json_t *object_image(struct jini *jini, const struct jini_image *image)
{
    struct jini_image_place place;
    struct jini_error ignored;
    json_t *object = json_object();
    bool seeded = image->flags & JINI_IMAGE_HAS_SEED;
    bool located = jini_image_locate(jini, &image->id, &place, &ignored) == 0;
    const char *state = jini_image_state_name(place.state);
    set(&object, "id", layout_id(&image->id));
    set(&object, "job_id", layout_id(&image->job_id));
    set(&object, "user_id", layout_number(image->user_id));
    set(&object, "created", layout_time(image->created_ms));
    set(&object, "expires", layout_time(image->expires_ms));
    set(&object, "state", located ? layout_text(state) : json_null());
    set(&object, "media_type", layout_text(image->media_type));
    set(&object, "width", layout_number(image->width));
    set(&object, "height", layout_number(image->height));
    set(&object, "bytes", layout_number(image->bytes));
    set(&object, "stored_bytes", located ? layout_number(place.stored_bytes) : json_null());
    set(&object, "codec", located ? layout_text(place.codec) : json_null());
    set(&object, "metadata_bytes", layout_number(image->metadata_bytes));
    set(&object, "seed", seeded ? json_integer((json_int_t)image->seed) : json_null());
    set(&object, "texts_omitted", layout_number(image->texts_omitted));
    set(&object, "came_damaged", json_boolean(image->flags & JINI_IMAGE_DAMAGED));
    set(&object, "hash", hash_text(image->hash));
    set(&object, "pack_id", layout_id(&place.pack_id));
    return object;
}

json_t *object_job(const struct jini_job *job)
{
    const struct jini_parameters *parameters = &job->parameters;
    json_t *object = json_object();
    json_t *inner = json_object();
    set(&inner, "model", layout_text(parameters->model));
    set(&inner, "width", layout_number(parameters->width));
    set(&inner, "height", layout_number(parameters->height));
    set(&inner, "steps", layout_number(parameters->steps));
    set(&inner, "count", layout_number(parameters->count));
    set(&inner, "seed", json_integer((json_int_t)parameters->seed));
    set(&inner, "guidance", json_real((double)parameters->guidance_millionths / 1e6));
    set(&object, "id", layout_id(&job->id));
    set(&object, "user_id", layout_number(job->user_id));
    set(&object, "state", layout_text(jini_job_state_name(job->state)));
    set(&object, "created", layout_time(job->created_ms));
    set(&object, "started", layout_time(job->started_ms));
    set(&object, "finished", layout_time(job->finished_ms));
    /* The lease of a job that is over says nothing any more. */
    set(&object, "expires", layout_time(job->finished_ms ? 0 : job->expires_ms));
    set(&object, "kept_until", layout_time(job->kept_until_ms));
    set(&object, "cost_credits", layout_number(job->cost_credits));
    if (job->flags & JINI_JOB_FOR_WORKERS) {
        set(&object, "priority", layout_number(job->priority));
        set(&object, "attempt", layout_number(job->attempt));
        set(&object, "attempts_max", layout_number(job->attempts_max));
        set(&object, "delayed", json_boolean(job->flags & JINI_JOB_DELAYED));
        set(&object, "worker", job->worker[0] != '\0' ? layout_text(job->worker) : json_null());
    }
    set(&object, "images", layout_number(job->images));
    set(&object, "error", job->error[0] != '\0' ? layout_text(job->error) : json_null());
    set(&object, "parameters", inner);
    return object;
}

/* ---- Limits ---- */

json_t *object_subject(const struct jini_subject *subject)
{
    static const char *const kinds[] = {"unknown", "user",  "api_key", "address",
                                        "tier",    "model", "global"};
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint32_t kind = subject->kind <= JINI_SUBJECT_GLOBAL ? subject->kind : 0;
    json_t *object = json_object();
    set(&object, "kind", json_string(kinds[kind]));
    if (kind == JINI_SUBJECT_ADDRESS) {
        char text[INET6_ADDRSTRLEN] = "";
        if (memcmp(subject->address, mapped, sizeof(mapped)) == 0)
            inet_ntop(AF_INET, subject->address + 12, text, sizeof(text));
        else
            inet_ntop(AF_INET6, subject->address, text, sizeof(text));
        set(&object, "address", json_string(text));
    } else {
        set(&object, "id", layout_number(subject->number));
    }
    return object;
}

json_t *object_limit(const struct jini_limit_entry *entry)
{
    char words[128];
    json_t *object = json_object();
    jini_limit_describe(entry, words, sizeof(words));
    set(&object, "limit", layout_text(words));
    set(&object, "kind", json_string(entry->flags & JINI_LIMIT_QUOTA ? "quota" : "rate"));
    set(&object, "amount", layout_number(entry->amount));
    set(&object, "remaining", layout_number(entry->remaining));
    set(&object, "reset_ms", layout_number(entry->reset_ms));
    set(&object, "retry_after_ms", layout_number(entry->retry_after_ms));
    set(&object, "shadow", json_boolean(entry->flags & JINI_LIMIT_SHADOW));
    set(&object, "refused", json_boolean(entry->flags & JINI_LIMIT_REFUSED));
    return object;
}
