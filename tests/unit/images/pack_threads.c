/* Packs that are read, synced and walked through while they grow. */
#include "pack_support.h"

#include "images/pack_files.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { READERS = 3, IMAGES_MAX = 4000, PACK_IMAGES = 100, BATCH = 4 };

struct published {
    struct jini_id pack;
    struct jini_id image;
    struct pack_place place;
    size_t length;
};

struct stage {
    int directory;
    struct pack_files *files;
    struct published images[IMAGES_MAX];
    atomic_uint count; /* images that readers may ask for: their sync has returned */
    atomic_uint reads;
    atomic_uint walks;
    atomic_bool stop;
    /* The pack that grows, for the thread that syncs. */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct pack_file *growing;
    uint64_t wanted_end;
    uint64_t durable_end;
};

static void read_one(struct stage *stage, const struct published *image, unsigned how)
{
    const struct pack_source *source;
    CHECK_OK(pack_files_acquire(stage->files, &image->pack, &source, NULL));
    if (how % 2 == 0) {
        CHECK_OK(support_check(source, &image->place, &image->image));
    } else {
        uint8_t *bytes = malloc(2 * image->length + 1);
        size_t from = how % (image->length + 1);
        struct pack_record record;
        CHECK_OK(pack_read_range(source, &image->place, from, bytes, image->length - from, &record,
                                 NULL));
        support_fill(&image->image, 1, bytes + image->length, image->length);
        CHECK_BYTES(bytes, bytes + image->length + from, image->length - from);
        free(bytes);
    }
    pack_files_release(stage->files, source);
    atomic_fetch_add(&stage->reads, 1);
}

static void *read_images(void *argument)
{
    struct stage *stage = argument;
    uint32_t state = (uint32_t)(uintptr_t)&state;
    while (!atomic_load(&stage->stop)) {
        unsigned count = atomic_load(&stage->count);
        state = state * 1664525 + 1013904223;
        if (count > 0)
            read_one(stage, &stage->images[(state >> 8) % count], state >> 16);
    }
    return NULL;
}

/* Walks through the newest pack, whatever its appender is doing. */
static void *walk_packs(void *argument)
{
    struct stage *stage = argument;
    while (!atomic_load(&stage->stop)) {
        unsigned count = atomic_load(&stage->count);
        if (count == 0)
            continue;
        const struct published *newest = &stage->images[count - 1];
        const struct pack_source *source;
        CHECK_OK(pack_files_acquire(stage->files, &newest->pack, &source, NULL));
        struct pack_record record;
        CHECK_OK(pack_read_record(source, &newest->place, &record, NULL));
        struct pack_scan_options options = {
            PACK_SCAN_EVERYTHING, PACK_STATE_OPEN,
            newest->place.offset +
                pack_record_length(record.stored_length, record.metadata_stored_length)};
        struct pack_scan_result result;
        CHECK_OK(pack_scan(source, &options, NULL, NULL, &result, NULL));
        CHECK_UINT(result.damaged, ==, 0);
        CHECK_UINT(result.records, >, newest->place.sequence);
        pack_files_release(stage->files, source);
        atomic_fetch_add(&stage->walks, 1);
    }
    return NULL;
}

/* Syncs the growing pack whenever more is wanted than is durable. */
static void *sync_packs(void *argument)
{
    struct stage *stage = argument;
    pthread_mutex_lock(&stage->mutex);
    while (!atomic_load(&stage->stop)) {
        if (!stage->growing || stage->wanted_end <= stage->durable_end) {
            pthread_cond_wait(&stage->changed, &stage->mutex);
            continue;
        }
        struct pack_file *file = stage->growing;
        uint64_t end;
        pthread_mutex_unlock(&stage->mutex);
        CHECK_OK(pack_file_sync(file, &end, NULL));
        pthread_mutex_lock(&stage->mutex);
        stage->durable_end = end;
        pthread_cond_broadcast(&stage->changed);
    }
    pthread_mutex_unlock(&stage->mutex);
    return NULL;
}

/* Appends a batch while the one before it is synced; returns when the one before is durable. */
static void append_batch(struct stage *stage, struct pack_file *file, unsigned at)
{
    struct support_image images[BATCH];
    struct pack_prepared *records[BATCH];
    for (unsigned i = 0; i < BATCH; i++) {
        struct published *image = &stage->images[at + i];
        image->pack = pack_file_header(file)->pack;
        image->image = support_id();
        image->length = (size_t)harness_random_below(harness_random_below(8) ? 4000 : 300000);
        support_image_make(&images[i], &image->image, image->length, 40);
        records[i] = &images[i].prepared;
    }
    size_t appended;
    CHECK_OK(pack_file_append(file, records, BATCH, &appended, NULL));
    for (unsigned i = 0; i < BATCH; i++) {
        stage->images[at + i].place =
            (struct pack_place){records[i]->offset, records[i]->record.sequence};
        support_image_free(&images[i]);
    }
    pthread_mutex_lock(&stage->mutex);
    while (stage->durable_end < stage->wanted_end)
        pthread_cond_wait(&stage->changed, &stage->mutex);
    atomic_store(&stage->count, at);
    stage->wanted_end = pack_file_end(file);
    pthread_cond_broadcast(&stage->changed);
    pthread_mutex_unlock(&stage->mutex);
}

static void fill_pack(struct stage *stage, unsigned at)
{
    struct pack_file *file = support_create(stage->directory);
    pthread_mutex_lock(&stage->mutex);
    stage->growing = file;
    stage->wanted_end = 0;
    stage->durable_end = 0;
    pthread_mutex_unlock(&stage->mutex);
    for (unsigned i = 0; i < PACK_IMAGES; i += BATCH)
        append_batch(stage, file, at + i);
    pthread_mutex_lock(&stage->mutex);
    while (stage->durable_end < stage->wanted_end)
        pthread_cond_wait(&stage->changed, &stage->mutex);
    stage->growing = NULL;
    pthread_mutex_unlock(&stage->mutex);
    atomic_store(&stage->count, at + PACK_IMAGES);
    CHECK_OK(pack_file_seal(file, NULL));
    pack_file_close(file);
}

TEST(readers_do_not_notice_the_appender, "Beside appending, syncing and sealing, every read of an "
                                         "acknowledged image and every walk succeeds.")
{
    static struct stage stage;
    stage.directory = support_directory();
    CHECK_OK(pack_files_new(stage.directory, READERS + 2, &stage.files, NULL));
    pthread_mutex_init(&stage.mutex, NULL);
    pthread_cond_init(&stage.changed, NULL);
    pthread_t readers[READERS];
    pthread_t walker;
    pthread_t syncer;
    for (int i = 0; i < READERS; i++)
        CHECK_INT(pthread_create(&readers[i], NULL, read_images, &stage), ==, 0);
    CHECK_INT(pthread_create(&walker, NULL, walk_packs, &stage), ==, 0);
    CHECK_INT(pthread_create(&syncer, NULL, sync_packs, &stage), ==, 0);
    unsigned packs = harness_sanitized() ? 8 : 20;
    for (unsigned pack = 0; pack < packs; pack++)
        fill_pack(&stage, pack * PACK_IMAGES);
    atomic_store(&stage.stop, true);
    pthread_mutex_lock(&stage.mutex);
    pthread_cond_broadcast(&stage.changed);
    pthread_mutex_unlock(&stage.mutex);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    pthread_join(walker, NULL);
    pthread_join(syncer, NULL);
    printf("     %u images, %u reads, %u walks\n", packs * PACK_IMAGES, atomic_load(&stage.reads),
           atomic_load(&stage.walks));
    CHECK_UINT(atomic_load(&stage.reads), >, 0);
    CHECK_UINT(atomic_load(&stage.walks), >, 0);
    pack_files_free(stage.files);
    close(stage.directory);
}
