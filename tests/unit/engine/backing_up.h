/* What the cases of backups share: a database, images in it by number, and backups beside it. */
#ifndef BACKING_UP_H
#define BACKING_UP_H

#include "engine/engine_private.h"

#include "found.h"

enum { IMAGES = 8 };

static struct jini_id images[IMAGES];

static inline struct jini *open_at(const char *directory)
{
    fixture_directory = harness_path("%s", directory);
    return fixture_open();
}

static inline struct jini_backup request_for(const char *path)
{
    struct jini_backup backup;
    jini_request_init(&backup);
    backup.path = path;
    backup.report = fixture_problem;
    return backup;
}

static inline struct jini_backup back_up(struct jini *jini, const char *directory, uint32_t flags)
{
    struct jini_backup backup = request_for(harness_path("%s", directory));
    backup.flags = flags;
    fixture_must(jini_backup(jini, &backup, NULL), "backup", &backup.request.error);
    CHECK_UINT(backup.problems, ==, 0);
    return backup;
}

static inline int try_backup(struct jini *jini, const char *directory, struct jini_error *error)
{
    struct jini_backup backup = request_for(harness_path("%s", directory));
    int status = jini_backup(jini, &backup, NULL);
    *error = backup.request.error;
    return status;
}

static inline void put(struct jini *jini, uint64_t user, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        images[i] = fixture_put(jini, user, i + 1);
}

static inline void check_images(struct jini *jini, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        CHECK_OK(fixture_get(jini, &images[i], i + 1));
    fixture_verify(jini);
}

/* A database by itself, with the images of a range, and as good after tiering has run in it. */
static inline void check_backup(const char *directory, unsigned from, unsigned to, bool tier)
{
    struct jini *jini = open_at(directory);
    check_images(jini, from, to);
    if (tier) {
        fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
        check_images(jini, from, to);
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
    fixture_directory = NULL;
}

static inline void purge(struct jini *jini, const struct jini_id *image)
{
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = *image;
    remove.flags = JINI_REMOVE_PURGE;
    CHECK_OK(jini_image_remove(jini, &remove, NULL));
}

#endif
