/* What is known of an image by somebody who was told of it, and holding the database to that. */
#ifndef CRASH_KNOWN_H
#define CRASH_KNOWN_H

#include "engine_fixture.h"

struct known_image {
    struct jini_id id;
    uint64_t content;    /* the seed of its picture */
    uint64_t expires_ms; /* 0: kept */
    bool removing;       /* that was begun, and */
    bool removed;        /* acknowledged */
};

/* Stores the picture of a content as an import of the user's. */
static inline struct known_image known_store(struct jini *jini, uint64_t user, uint64_t content)
{
    struct png_request png = {64, 64, content, "made for a test", NULL};
    struct jini_image_put put;
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    put.user_id = user;
    fixture_must(jini_image_put(jini, &put, NULL), "put", &put.request.error);
    free(file);
    return (struct known_image){
        .id = put.image.id, .content = content, .expires_ms = put.image.expires_ms};
}

/* One that has expired meanwhile may be gone already. */
static inline void known_remove(struct jini *jini, const struct known_image *image)
{
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = image->id;
    int status = jini_image_remove(jini, &remove, NULL);
    if (status != JINI_E_NOT_FOUND || image->expires_ms == 0)
        fixture_must(status, "remove", &remove.request.error);
}

/*
 * Fails the case unless an image is there, with its bytes, or gone, as it must be. `collected`:
 * tiering has run since by the clock of now, so that what has expired is gone.
 */
static inline void known_check(struct jini *jini, const struct known_image *image, bool collected)
{
    bool expired = image->expires_ms && image->expires_ms <= fixture_wall_ns(NULL) / 1000000u;
    int status = fixture_get(jini, &image->id, image->content);
    if (image->removed || (expired && collected))
        CHECK_STATUS(status, JINI_E_NOT_FOUND);
    else if (!(status == JINI_E_NOT_FOUND && (image->removing || expired)))
        CHECK_STATUS(status, 0);
}

/* A user whose images expire after a day. */
static inline uint64_t known_guest(struct jini *jini, const char *name)
{
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "%s", name);
    add.user.flags = JINI_USER_ACTIVE;
    add.user.override_mask = JINI_ALLOWANCE_RETENTION;
    add.user.overrides.retention_days = 1;
    fixture_must(jini_user_add(jini, &add, NULL), "user", &add.request.error);
    return add.user.id;
}

#endif
