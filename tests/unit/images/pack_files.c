/* The cache of packs that are open for reading. */
#include "images/pack_files.h"

#include "pack_support.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { PACKS = 12 };

struct world {
    int directory;
    struct pack_files *files;
    struct jini_id packs[PACKS];
    struct jini_id images[PACKS];
    struct pack_place places[PACKS];
};

static void make_world(struct world *world, unsigned capacity)
{
    memset(world, 0, sizeof(*world));
    world->directory = support_directory();
    for (int i = 0; i < PACKS; i++) {
        struct pack_file *file = support_create(world->directory);
        world->packs[i] = pack_file_header(file)->pack;
        world->places[i] = support_append(file, 1000, 10, &world->images[i]);
        pack_file_close(file);
    }
    CHECK_OK(pack_files_new(world->directory, capacity, &world->files, NULL));
}

static void free_world(struct world *world)
{
    pack_files_free(world->files);
    close(world->directory);
}

static const struct pack_source *acquire(struct world *world, int pack)
{
    const struct pack_source *source;
    CHECK_OK(pack_files_acquire(world->files, &world->packs[pack], &source, NULL));
    CHECK_OK(support_check(source, &world->places[pack], &world->images[pack]));
    return source;
}

static void touch(struct world *world, int pack)
{
    pack_files_release(world->files, acquire(world, pack));
}

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    DIR *names = opendir("/proc/self/fd");
    CHECK(names);
    while (readdir(names))
        count++;
    closedir(names);
    return count;
}

TEST(the_oldest_idle_one_goes, "At its bound the cache closes the pack that was idle for longest.")
{
    struct world world;
    make_world(&world, 3);
    unsigned before = open_descriptors();
    for (int i = 0; i < 3; i++)
        touch(&world, i);
    touch(&world, 0);
    CHECK_UINT(pack_files_stats(world.files).hits, ==, 1);
    touch(&world, 3); /* closes 1 */
    CHECK_UINT(open_descriptors(), ==, before + 3);
    touch(&world, 0);
    touch(&world, 2);
    CHECK_UINT(pack_files_stats(world.files).hits, ==, 3);
    touch(&world, 1);
    struct pack_files_stats stats = pack_files_stats(world.files);
    CHECK_UINT(stats.hits, ==, 3);
    CHECK_UINT(stats.misses, ==, 5);
    CHECK_UINT(stats.open, ==, 3);
    CHECK_UINT(stats.held, ==, 0);
    free_world(&world);
    CHECK_UINT(open_descriptors(), ==, before - 1);
}

TEST(a_held_one_stays_open,
     "What somebody holds is not closed; with all held, the next is told to wait.")
{
    struct world world;
    make_world(&world, 3);
    const struct pack_source *held[4];
    for (int i = 0; i < 3; i++)
        held[i] = acquire(&world, i);
    CHECK(acquire(&world, 2) == held[2]);
    pack_files_release(world.files, held[2]);
    struct jini_error error = {0};
    const struct pack_source *source = held[0];
    CHECK_STATUS(pack_files_acquire(world.files, &world.packs[3], &source, &error), JINI_E_BUSY);
    CHECK(source == NULL);
    CHECK_CONTAINS(error.message, "in use");
    CHECK_OK(support_check(held[0], &world.places[0], &world.images[0]));
    pack_files_release(world.files, held[1]);
    held[3] = acquire(&world, 3);
    CHECK_UINT(pack_files_stats(world.files).held, ==, 3);
    CHECK_UINT(pack_files_stats(world.files).open, ==, 3);
    pack_files_release(world.files, held[0]);
    pack_files_release(world.files, held[2]);
    pack_files_release(world.files, held[3]);
    free_world(&world);
}

TEST(a_forgotten_pack_is_given_out_no_more, "After a pack was removed and forgotten its holder can "
                                            "finish, nobody else gets it, and its space is freed.")
{
    struct world world;
    make_world(&world, 3);
    touch(&world, 1);
    const struct pack_source *held = acquire(&world, 0);
    unsigned before = open_descriptors();
    for (int i = 0; i < 2; i++) {
        CHECK_OK(pack_path_remove(world.directory, &world.packs[i], NULL));
        pack_files_forget(world.files, &world.packs[i]);
        pack_files_forget(world.files, &world.packs[i]);
    }
    CHECK_UINT(open_descriptors(), ==, before - 1);
    const struct pack_source *source;
    for (int i = 0; i < 2; i++)
        CHECK_STATUS(pack_files_acquire(world.files, &world.packs[i], &source, NULL),
                     JINI_E_NOT_FOUND);
    CHECK_OK(support_check(held, &world.places[0], &world.images[0]));
    pack_files_release(world.files, held);
    CHECK_UINT(open_descriptors(), ==, before - 2);
    CHECK_UINT(pack_files_stats(world.files).open, ==, 0);
    for (int i = 2; i < PACKS; i++)
        touch(&world, i);
    free_world(&world);
}

TEST(files_that_others_removed_are_closed,
     "The timer finds idle descriptors of files that are gone.")
{
    struct world world;
    make_world(&world, 5);
    for (int i = 0; i < 4; i++)
        touch(&world, i);
    const struct pack_source *held = acquire(&world, 2);
    for (int i = 1; i < 3; i++)
        CHECK_OK(pack_path_remove(world.directory, &world.packs[i], NULL));
    CHECK_UINT(pack_files_drop_removed(world.files), ==, 1);
    pack_files_release(world.files, held);
    CHECK_UINT(pack_files_drop_removed(world.files), ==, 1);
    CHECK_UINT(pack_files_drop_removed(world.files), ==, 0);
    CHECK_UINT(pack_files_stats(world.files).open, ==, 2);
    free_world(&world);
}

TEST(a_damaged_header_is_no_hindrance,
     "Images are read from a pack whose own header is damaged, and not from a newer one.")
{
    struct world world;
    make_world(&world, 2);
    size_t length;
    uint8_t *bytes = support_load(world.directory, &world.packs[0], &length);
    bytes[20] ^= 1;
    support_save(world.directory, &world.packs[0], bytes, length);
    touch(&world, 0);
    bytes[20] ^= 1;
    store_le32(bytes + 8, 2);
    store_le64(bytes + 4088, hash64(slice_of(bytes, 4088)));
    support_save(world.directory, &world.packs[1], bytes, length);
    const struct pack_source *source;
    for (int i = 0; i < 5; i++)
        CHECK_STATUS(pack_files_acquire(world.files, &world.packs[1], &source, NULL),
                     JINI_E_FORMAT);
    free(bytes);
    CHECK_UINT(pack_files_stats(world.files).open, ==, 1);
    free_world(&world);
}

TEST(bad_capacity_and_no_memory,
     "A capacity out of range is refused, and a failed allocation leaves nothing.")
{
    struct pack_files *files;
    CHECK_STATUS(pack_files_new(-1, 0, &files, NULL), JINI_E_INVALID);
    CHECK_STATUS(pack_files_new(-1, 65537, &files, NULL), JINI_E_INVALID);
    for (uint64_t nth = 1; nth <= 3; nth++) {
        harness_fail_allocation(nth);
        CHECK_STATUS(pack_files_new(-1, 8, &files, NULL), JINI_E_NO_MEMORY);
        CHECK(files == NULL);
    }
    harness_fail_allocation(0);
    CHECK_OK(pack_files_new(-1, 65536, &files, NULL));
    pack_files_free(files);
    pack_files_free(NULL);
}

/*
 * Readers of random packs, one thread that removes packs and puts them back, and one that asks for
 * the figures.
 */

enum { READERS = 6, CAPACITY = 4 };

struct hammer {
    struct world world;
    atomic_bool stop;
    atomic_uint reads;
    uint8_t *bytes[PACKS];
    size_t lengths[PACKS];
};

static void *read_packs(void *argument)
{
    struct hammer *hammer = argument;
    struct world *world = &hammer->world;
    uint32_t state = (uint32_t)(uintptr_t)&state;
    while (!atomic_load(&hammer->stop)) {
        state = state * 1664525 + 1013904223;
        int pack = (int)(state >> 16) % PACKS;
        const struct pack_source *source;
        int status = pack_files_acquire(world->files, &world->packs[pack], &source, NULL);
        if (status == JINI_E_BUSY || status == JINI_E_NOT_FOUND)
            continue;
        CHECK_OK(status);
        CHECK_OK(support_check(source, &world->places[pack], &world->images[pack]));
        pack_files_release(world->files, source);
        atomic_fetch_add(&hammer->reads, 1);
    }
    return NULL;
}

/* Puts a pack back as a new file, so that a reader never sees half of it. */
static void put_back(struct hammer *hammer, int pack)
{
    char path[PACK_PATH_MAX];
    pack_path(&hammer->world.packs[pack], path);
    int descriptor = openat(hammer->world.directory, "new", O_CREAT | O_TRUNC | O_WRONLY, 0600);
    CHECK_INT(write(descriptor, hammer->bytes[pack], hammer->lengths[pack]), ==,
              (int64_t)hammer->lengths[pack]);
    close(descriptor);
    CHECK_INT(renameat(hammer->world.directory, "new", hammer->world.directory, path), ==, 0);
}

TEST(threads_share_the_cache,
     "Readers, removals and forgetting from many threads never mix up packs or pass the bound.")
{
    static struct hammer hammer;
    struct world *world = &hammer.world;
    make_world(world, CAPACITY);
    for (int i = 0; i < PACKS; i++)
        hammer.bytes[i] = support_load(world->directory, &world->packs[i], &hammer.lengths[i]);
    pthread_t threads[READERS];
    for (int i = 0; i < READERS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, read_packs, &hammer), ==, 0);
    for (int i = 0; i < 2000; i++) {
        int pack = (int)harness_random_below(PACKS);
        CHECK_OK(pack_path_remove(world->directory, &world->packs[pack], NULL));
        pack_files_forget(world->files, &world->packs[pack]);
        put_back(&hammer, pack);
        struct pack_files_stats stats = pack_files_stats(world->files);
        CHECK_UINT(stats.open, <=, CAPACITY);
        CHECK_UINT(stats.held, <=, CAPACITY);
        if (i % 64 == 0)
            pack_files_drop_removed(world->files);
    }
    atomic_store(&hammer.stop, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_UINT(pack_files_stats(world->files).held, ==, 0);
    CHECK_UINT(pack_files_drop_removed(world->files), ==, 0);
    CHECK_UINT(atomic_load(&hammer.reads), >, 0);
    for (int i = 0; i < PACKS; i++)
        free(hammer.bytes[i]);
    free_world(world);
}
