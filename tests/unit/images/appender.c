/*
 * The queue before the packs: what waited too long is handed back, and what is appended is sealed
 * at the end.
 */
#include "images/appender.h"

#include "pack_support.h"

#include <pthread.h>
#include <stdatomic.h>

enum { RECORD_BYTES = 2000, ITEMS = 4 };

struct entry {
    struct appender_item item;
    struct support_image image;
    _Atomic uint32_t cancelled;
    _Atomic uint32_t done;
    _Atomic uint32_t *gate; /* waited for in done(); NULL: none */
    int status;
};

struct scene {
    struct store *store;
    struct id_source ids;
    struct appender *appender;
    int directory;
    _Atomic uint32_t gate;
    struct entry entries[ITEMS];
};

static const struct store_format format = {.version = 1, .version_min = 1};

static void begin(struct scene *scene)
{
    struct jini_error error;
    struct store_options options;
    *scene = (struct scene){.directory = support_directory()};
    store_options_init(&options);
    options.driver = STORE_DRIVER_MEMORY;
    options.format = &format;
    CHECK_OK(store_open(&options, &scene->store, &error));
    id_source_init(&scene->ids, &clock_system);
    struct appender_options appender = {
        .store = scene->store,
        .directory = scene->directory,
        .clock = &clock_system,
        .ids = &scene->ids,
        .instance = support_id(),
        .pack_bytes_max = 1 << 20,
        .pack_age_max_ms = 3600000,
        .queue_bytes_max = 1 << 20,
    };
    CHECK_OK(appender_new(&appender, &scene->appender, &error));
}

static void end(struct scene *scene)
{
    appender_stop(scene->appender);
    appender_free(scene->appender);
    for (int i = 0; i < ITEMS; i++)
        if (scene->entries[i].item.record)
            support_image_free(&scene->entries[i].image);
    store_close(scene->store);
    close(scene->directory);
}

static void on_done(struct appender_item *item, int status)
{
    struct entry *entry = (struct entry *)item;
    entry->status = status;
    atomic_store(&entry->done, 1);
    while (entry->gate && !atomic_load(entry->gate))
        usleep(1000);
}

static struct entry *prepare(struct scene *scene, int number)
{
    struct entry *entry = &scene->entries[number];
    struct jini_id id = support_id();
    support_image_make(&entry->image, &id, RECORD_BYTES, 0);
    entry->item.record = &entry->image.prepared;
    entry->item.done = on_done;
    entry->item.cancelled = &entry->cancelled;
    return entry;
}

static void submit(struct scene *scene, struct entry *entry)
{
    CHECK_OK(appender_submit(scene->appender, &entry->item));
}

static void wait_for(const _Atomic uint32_t *flag)
{
    while (!atomic_load(flag))
        usleep(1000);
}

static bool is_named(struct scene *scene, const struct jini_id *id)
{
    struct store_txn *txn;
    struct index_pack pack;
    CHECK_OK(store_read_begin(scene->store, &txn));
    int status = index_pack_get(txn, id, &pack);
    store_read_end(txn);
    return status == 0;
}

static bool has_file(const struct scene *scene, const struct jini_id *id)
{
    uint64_t bytes;
    return pack_path_bytes(scene->directory, id, &bytes, NULL) == 0;
}

TEST(what_waited_too_long_is_not_written,
     "Behind a batch that takes its time, a late item ends with JINI_E_TIMEOUT, a cancelled one "
     "with JINI_E_CANCELLED, and others are appended.")
{
    struct scene scene;
    begin(&scene);
    struct entry *first = prepare(&scene, 0);
    first->gate = &scene.gate;
    submit(&scene, first);
    wait_for(&first->done);
    struct entry *late = prepare(&scene, 1);
    struct entry *cancelled = prepare(&scene, 2);
    struct entry *patient = prepare(&scene, 3);
    late->item.deadline_ns = clock_boot_ns(&clock_system) + NS_PER_MS;
    patient->item.deadline_ns = clock_boot_ns(&clock_system) + 600 * NS_PER_S;
    submit(&scene, late);
    submit(&scene, cancelled);
    submit(&scene, patient);
    atomic_store(&cancelled->cancelled, 1);
    usleep(2000);
    atomic_store(&scene.gate, 1);
    for (int i = 1; i < ITEMS; i++)
        wait_for(&scene.entries[i].done);
    CHECK_OK(first->status);
    CHECK_STATUS(late->status, JINI_E_TIMEOUT);
    CHECK_STATUS(cancelled->status, JINI_E_CANCELLED);
    CHECK_OK(patient->status);
    CHECK_UINT(patient->image.prepared.record.sequence, ==,
               first->image.prepared.record.sequence + 1);
    appender_release(scene.appender, &first->item);
    appender_release(scene.appender, &patient->item);
    end(&scene);
}

TEST(a_pack_is_held_until_its_last_item_is_released,
     "appender_holds() is true from the first record until the pack is sealed; a pack that the "
     "index never named gets no row by sealing, and its file goes.")
{
    struct scene scene;
    begin(&scene);
    struct entry *entry = prepare(&scene, 0);
    submit(&scene, entry);
    wait_for(&entry->done);
    CHECK_OK(entry->status);
    struct jini_id pack = entry->item.pack.id;
    struct jini_id other = support_id();
    CHECK(appender_holds(scene.appender, &pack));
    CHECK(!appender_holds(scene.appender, &other));
    appender_release(scene.appender, &entry->item);
    CHECK_OK(appender_seal(scene.appender, NULL));
    CHECK(!appender_holds(scene.appender, &pack));
    CHECK(!is_named(&scene, &pack));
    CHECK(!has_file(&scene, &pack));
    end(&scene);
}

static bool holds_for(const struct scene *scene, const struct jini_id *pack, unsigned ms)
{
    while (ms-- > 0 && appender_holds(scene->appender, pack))
        usleep(1000);
    return appender_holds(scene->appender, pack);
}

TEST(an_ask_is_not_lost_behind_ones_own,
     "A pack that another process has asked for is sealed, though this one asks the others before "
     "its thread has looked; its own asking alone seals nothing here.")
{
    enum { WHILE_MS = 50, LONG_MS = 10000 };
    struct scene scene;
    begin(&scene);
    _Atomic uint64_t *asks = store_shared_word(scene.store, STORE_SHARED_SEALS);
    struct entry *first = prepare(&scene, 0);
    struct entry *second = prepare(&scene, 1);
    struct entry *third = prepare(&scene, 2);
    submit(&scene, first);
    wait_for(&first->done);
    struct jini_id pack = first->item.pack.id;
    appender_ask_others(scene.appender);
    submit(&scene, second); /* has the thread look */
    wait_for(&second->done);
    appender_release(scene.appender, &first->item);
    appender_release(scene.appender, &second->item);
    CHECK(holds_for(&scene, &pack, WHILE_MS));
    third->gate = &scene.gate; /* holds the thread meanwhile */
    submit(&scene, third);
    wait_for(&third->done);
    atomic_fetch_add(asks, 1);
    appender_ask_others(scene.appender);
    appender_release(scene.appender, &third->item);
    atomic_store(&scene.gate, 1);
    CHECK(!holds_for(&scene, &pack, LONG_MS));
    end(&scene);
}

static void *release_later(void *argument)
{
    struct scene *scene = argument;
    usleep(200000);
    appender_release(scene->appender, &scene->entries[0].item);
    return NULL;
}

TEST(stopping_waits_for_what_is_not_released,
     "appender_stop() returns after the last item was released, without burning a core meanwhile.")
{
    struct scene scene;
    pthread_t thread;
    struct timespec before;
    struct timespec after;
    begin(&scene);
    submit(&scene, prepare(&scene, 0));
    wait_for(&scene.entries[0].done);
    CHECK_INT(pthread_create(&thread, NULL, release_later, &scene), ==, 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    appender_stop(scene.appender);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    pthread_join(thread, NULL);
    CHECK(!appender_holds(scene.appender, &scene.entries[0].item.pack.id));
    long used_us =
        (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
    CHECK_INT(used_us, <, 100000);
    struct entry *refused = prepare(&scene, 1);
    CHECK_STATUS(appender_submit(scene.appender, &refused->item), JINI_E_CLOSED);
    end(&scene);
}
