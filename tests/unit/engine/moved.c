/*
 * Reading an image whose bytes are moved, or lost, between the steps of the read. Another process,
 * the mover, has put it and rewrites and frees its pack whenever the reader is about to open one.
 */
#include "engine_fixture.h"
#include "faults.h"

#include <sys/wait.h>
#include <unistd.h>

enum { NEIGHBOURS = 20 };

/* ---- The mover ---- */

struct mover {
    struct jini *jini;
    struct jini_id image;
    struct jini_id neighbours[NEIGHBOURS];
    unsigned removed;
};

/* Rewrites the pack of the image, which loses a neighbour. */
static void rewrite(struct mover *mover)
{
    struct jini_image_remove remove;
    CHECK_UINT(mover->removed, <, NEIGHBOURS);
    jini_request_init(&remove);
    remove.id = mover->neighbours[mover->removed++];
    CHECK_OK(jini_image_remove(mover->jini, &remove, NULL));
    fixture_tier(mover->jini, 0, NULL);
}

static void archive_and_free(struct mover *mover)
{
    struct jini_archive_run run;
    fixture_tier(mover->jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run);
    CHECK_UINT(run.packs_freed, ==, 1);
}

/* Answers each byte when what it asks for is done. */
static void move(int in, int out)
{
    struct mover mover = {0};
    struct jini_options options;
    char wish;
    fixture_options(&options);
    options.trash_s = 0;
    mover.jini = fixture_open_with(&options);
    uint64_t user = fixture_user(mover.jini, "alice", "Premium");
    mover.image = fixture_put(mover.jini, user, 1);
    for (uint64_t i = 0; i < NEIGHBOURS; i++)
        mover.neighbours[i] = fixture_put(mover.jini, user, 100 + i);
    CHECK_OK(jini_close(mover.jini, NULL, NULL)); /* seals */
    mover.jini = fixture_open_with(&options);
    CHECK_INT(write(out, &mover.image, sizeof(mover.image)), ==, sizeof(mover.image));
    while (read(in, &wish, 1) == 1) {
        if (wish == 'r')
            rewrite(&mover);
        else if (wish == 'f')
            archive_and_free(&mover);
        else
            fixture_tier(mover.jini, JINI_TIERING_NOW, NULL);
        CHECK_INT(write(out, &wish, 1), ==, 1);
    }
    CHECK_OK(jini_close(mover.jini, NULL, NULL));
}

/* ---- The reader ---- */

struct scene {
    struct jini *jini;
    struct jini_id image;
    pid_t mover;
    int to;
    int from;
    unsigned opens; /* of packs, by the reader */
    unsigned logged;
};

static void count_log(void *context, enum jini_log_level level, const char *event,
                      const struct jini_log_field *fields, size_t field_count)
{
    struct scene *scene = context;
    (void)level;
    (void)fields;
    (void)field_count;
    scene->logged += strcmp(event, "image_local_copy_damaged") == 0;
}

static void begin(struct scene *scene)
{
    int to[2];
    int from[2];
    *scene = (struct scene){0};
    CHECK_INT(pipe(to), ==, 0);
    CHECK_INT(pipe(from), ==, 0);
    fflush(NULL);
    scene->mover = fork();
    if (scene->mover == 0) {
        close(to[1]);
        move(to[0], from[1]);
        _exit(0);
    }
    close(to[0]);
    close(from[1]);
    scene->to = to[1];
    scene->from = from[0];
    size_t length = sizeof(scene->image);
    CHECK_INT(read(scene->from, &scene->image, length), ==, length);
    struct jini_options options;
    fixture_options(&options);
    options.log = count_log;
    options.log_context = scene;
    options.log_level = JINI_LOG_ERROR;
    scene->jini = fixture_open_with(&options);
}

static void ask(struct scene *scene, char wish)
{
    CHECK_INT(write(scene->to, &wish, 1), ==, 1);
    CHECK_INT(read(scene->from, &wish, 1), ==, 1);
}

/* Reads the image with `meanwhile` before each opening of a pack. */
static int read_beside(struct scene *scene, fault_hook_fn *meanwhile)
{
    fault_before(FAULT_OPEN, "*.pack", meanwhile, scene);
    int status = fixture_get(scene->jini, &scene->image, 1);
    fault_before(0, NULL, NULL, NULL);
    return status;
}

static void end(struct scene *scene)
{
    CHECK_OK(jini_close(scene->jini, NULL, NULL));
    close(scene->to);
    harness_wait_exit(scene->mover, 0);
    close(scene->from);
}

static void rewrite_then_free(void *context)
{
    struct scene *scene = context;
    ask(scene, scene->opens++ == 0 ? 'r' : 'f');
}

TEST(a_reader_follows_two_moves,
     "A pack that is rewritten before a reader opens it, and archived and freed before the reader "
     "opens the new one, costs it a look more and no error.")
{
    struct scene scene;
    begin(&scene);
    CHECK_OK(read_beside(&scene, rewrite_then_free));
    CHECK_UINT(scene.opens, ==, 2);
    fixture_verify(scene.jini);
    end(&scene);
}

static void rewrite_always(void *context)
{
    struct scene *scene = context;
    scene->opens++;
    ask(scene, 'r');
}

TEST(a_reader_does_not_follow_for_ever,
     "An image that is moved before every opening ends its reader as busy, and can be read then.")
{
    enum { PLACES_MAX = 16 }; /* of engine/gets.c */
    struct scene scene;
    begin(&scene);
    CHECK_STATUS(read_beside(&scene, rewrite_always), JINI_E_BUSY);
    CHECK_UINT(scene.opens, ==, PLACES_MAX);
    CHECK_OK(fixture_get(scene.jini, &scene.image, 1));
    end(&scene);
}

static void count_open(void *context)
{
    struct scene *scene = context;
    scene->opens++;
}

TEST(a_lost_pack_is_damage,
     "A pack that the index names and nobody finds is told as damage after two looks.")
{
    struct scene scene;
    begin(&scene);
    harness_remove(harness_path("db/packs"));
    CHECK_STATUS(read_beside(&scene, count_open), JINI_E_CORRUPT);
    CHECK_UINT(scene.opens, ==, 2);
    end(&scene);
}

TEST(a_lost_local_copy_is_read_from_the_archive,
     "When the local copy of an archived pack is lost, its object serves reads, and a log says so.")
{
    struct scene scene;
    begin(&scene);
    ask(&scene, 'a');
    harness_remove(harness_path("db/packs"));
    CHECK_OK(read_beside(&scene, count_open));
    CHECK_UINT(scene.opens, ==, 2);
    CHECK_UINT(scene.logged, ==, 1);
    end(&scene);
}
