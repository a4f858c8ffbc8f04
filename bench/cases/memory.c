/*
 * memory: what the engine keeps in memory beside mapped pages and the caches that are configured.
 */
#include "cases/cases.h"
#include "database.h"
#include "engine.h"
#include "generations.h"
#include "peers/lmdb.h"
#include "pictures.h"
#include "small_writes.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    IMAGE_BYTES = 1 << 20,
    PUTS_IN_FLIGHT = 16,
    ADMISSIONS_IN_FLIGHT = 256,
    READERS = 4,
    SAMPLE_MS = 10,
    LOOKS_MAX = 16,
    CACHE_MOVED_MAX = 2 * IMAGE_BYTES,
    RAW_BATCH = 1024
};

/* ---- Anonymous memory of this process -------------------------------------------------------- */

/*
 * All pages that belong to no file: the heap, stacks, and what was written to of private mappings.
 */
static uint64_t anonymous_bytes(void)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    if (!file)
        bench_fail("/proc/self/smaps_rollup cannot be read");
    while (fgets(line, sizeof(line), file) && sscanf(line, "Anonymous: %llu kB", &kib) != 1)
        kib = 0;
    fclose(file);
    return kib * 1024;
}

enum phase { PHASE_MIXED, PHASE_HOT, PHASE_ARCHIVE, PHASE_COLD, PHASES };

struct sampler {
    struct jini *jini;
    _Atomic uint32_t phase;
    uint64_t most_of_phase[PHASES];
    pthread_t thread;
    _Atomic bool stopping;
    uint64_t before;      /* of the process, before the engine was opened */
    uint64_t most;        /* beyond that and the cache of images */
    uint64_t most_in_all; /* beyond `before` alone */
    uint64_t cache_at_most;
    uint64_t taken;   /* looks */
    uint64_t skipped; /* because the cache moved each time */
};

static uint64_t cache_bytes(const struct sampler *sampler)
{
    struct bench_figures figures;
    bench_figures(sampler->jini, &figures);
    return (uint64_t)figures.image_cache_bytes;
}

/*
 * The cache and the process cannot be read at one moment. Where the cache grew in between, what it
 * took would be counted as the engine's own, so such a look is taken again. The smaller of both
 * figures of the cache is subtracted.
 */
static bool look_once(const struct sampler *sampler, uint64_t *in_all, uint64_t *cache)
{
    uint64_t earlier = cache_bytes(sampler);
    *in_all = anonymous_bytes() - sampler->before;
    uint64_t later = cache_bytes(sampler);
    *cache = earlier < later ? earlier : later;
    return earlier + later - 2 * *cache <= CACHE_MOVED_MAX;
}

static void look(struct sampler *sampler)
{
    uint64_t in_all;
    uint64_t cache;
    int looks = 0;
    while (!look_once(sampler, &in_all, &cache)) {
        if (++looks == LOOKS_MAX) {
            sampler->skipped++;
            return;
        }
    }
    sampler->taken++;
    uint64_t beyond = in_all > cache ? in_all - cache : 0;
    uint64_t *of_phase = &sampler->most_of_phase[atomic_load(&sampler->phase)];
    *of_phase = beyond > *of_phase ? beyond : *of_phase;
    sampler->most = beyond > sampler->most ? beyond : sampler->most;
    sampler->most_in_all = in_all > sampler->most_in_all ? in_all : sampler->most_in_all;
    sampler->cache_at_most = cache > sampler->cache_at_most ? cache : sampler->cache_at_most;
}

static void *sample(void *argument)
{
    struct sampler *sampler = argument;
    while (!atomic_load(&sampler->stopping)) {
        look(sampler);
        bench_sleep(SAMPLE_MS / 1e3);
    }
    look(sampler);
    return NULL;
}

/* ---- The load -------------------------------------------------------------------------------- */

struct load {
    struct jini *jini;
    uint64_t users;
    uint64_t admissions;
    uint64_t images;
    uint64_t next_image;
    uint64_t random;
    _Atomic uint64_t stored; /* how many of `ids` are there to be read */
    struct jini_id *ids;
    struct picture pictures[PUTS_IN_FLIGHT];
    _Atomic bool ending;
};

static void *admit_all(void *argument)
{
    struct load *load = argument;
    struct generations generations = {.jini = load->jini,
                                      .users = load->users,
                                      .count = load->admissions,
                                      .in_flight = ADMISSIONS_IN_FLIGHT,
                                      .random = &load->random,
                                      .may_be_refused = true};
    generations_run(&generations);
    return NULL;
}

static bool put_next(void *context, struct bench_flow_step *step)
{
    struct load *load = context;
    struct jini_image_put *put = (struct jini_image_put *)step->request;
    struct picture *picture = &load->pictures[step->place];
    if (load->next_image == load->images)
        return false;
    picture_number(picture, load->next_image++);
    put->bytes = picture->bytes;
    put->length = picture->length;
    put->user_id = 1 + load->next_image % load->users;
    step->status = jini_image_put(load->jini, put, step->callback);
    return true;
}

static void *put_all(void *argument)
{
    struct load *load = argument;
    struct bench_flow flow = {sizeof(struct jini_image_put), PUTS_IN_FLIGHT, put_next, load};
    bench_flow_run(&flow);
    return NULL;
}

/* Finds the ids of images by the lists of the users who were given them. */
static void collect(struct load *load)
{
    struct jini_error error;
    uint64_t stored = 0;
    for (uint64_t user = 1; user <= load->users && stored < load->images; user++) {
        struct jini_list_cursor cursor = {0};
        struct jini_image image;
        size_t count;
        do {
            bench_check(jini_image_list(load->jini, user, &cursor, &image, 1, &count, &error),
                        &error, "listing images");
            if (count)
                load->ids[stored++] = image.id;
        } while (count && stored < load->images);
    }
    atomic_store(&load->stored, stored);
}

static void get_image(struct load *load, uint64_t number, uint8_t *buffer, size_t capacity)
{
    struct jini_image_get get;
    jini_request_init(&get);
    get.id = load->ids[number];
    get.buffer = buffer;
    get.capacity = capacity;
    bench_check(jini_image_get(load->jini, &get, NULL), &get.request.error, "getting");
}

/* Users and rate limits, until the others are done. */
static void *read_all(void *argument)
{
    struct load *load = argument;
    uint64_t random = (uint64_t)(uintptr_t)&random;
    while (!atomic_load(&load->ending)) {
        struct jini_user user;
        struct jini_error error;
        struct jini_limit_answer answer;
        uint64_t id = 1 + bench_random_below(&random, load->users);
        struct jini_limit_check check = {.subject = {.kind = JINI_SUBJECT_USER, .number = id},
                                         .cost = 1,
                                         .flags = JINI_CHECK_PEEK};
        bench_check(jini_user_get(load->jini, id, &user, &error), &error, "reading a user");
        int status = jini_limit_check(load->jini, &check, &answer, &error);
        if (status != JINI_E_LIMITED)
            bench_check(status, &error, "a check");
    }
    return NULL;
}

/* Admissions, puts and reads at once; then every image hot, through the archive, and cold. */
static void run_load(struct load *load, struct sampler *sampler)
{
    pthread_t readers[READERS];
    pthread_t admitting;
    pthread_t putting;
    size_t capacity = load->pictures[0].length;
    uint8_t *buffer = bench_alloc(1, capacity);
    for (int i = 0; i < READERS; i++)
        pthread_create(&readers[i], NULL, read_all, load);
    pthread_create(&admitting, NULL, admit_all, load);
    pthread_create(&putting, NULL, put_all, load);
    pthread_join(putting, NULL);
    pthread_join(admitting, NULL);
    collect(load);
    atomic_store(&sampler->phase, PHASE_HOT);
    for (uint64_t i = 0; i < load->stored; i++)
        get_image(load, i, buffer, capacity);
    atomic_store(&sampler->phase, PHASE_ARCHIVE);
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT;
    bench_check(jini_archive_run(load->jini, &run, NULL), &run.request.error, "archiving");
    atomic_store(&sampler->phase, PHASE_COLD);
    for (uint64_t i = 0; i < load->stored; i++)
        get_image(load, i, buffer, capacity);
    atomic_store(&load->ending, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    free(buffer);
}

/* ---- The peer: an LMDB program with a transaction of a thousand writes ----------------------- */

static uint64_t measure_raw(const struct bench_options *options)
{
    uint64_t *bytes = bench_share(sizeof(*bytes));
    char *path = database_fresh(options, "memory-raw");
    if (bench_fork() == 0) {
        struct small_source source = {.keys = SMALL_KEYS_RANDOM, .records = 1000000, .random = 1};
        struct small_write write;
        uint64_t before = anonymous_bytes();
        struct raw *raw = raw_open(path, RAW_UNSYNCED);
        unsigned space = raw_space(raw, "records");
        for (int batch = 0; batch < 10; batch++) {
            raw_begin(raw);
            for (int i = 0; i < RAW_BATCH; i++) {
                small_next(&source, &write);
                raw_put(raw, space, (struct raw_bytes){write.key, sizeof(write.key)},
                        (struct raw_bytes){write.value, sizeof(write.value)});
            }
            uint64_t now = anonymous_bytes();
            *bytes = now - before > *bytes ? now - before : *bytes;
            raw_commit(raw);
        }
        raw_close(raw);
        _exit(0);
    }
    bench_wait_children(1);
    database_remove(path);
    free(path);
    return *bytes;
}

static void measure(const struct bench_options *options, struct bench_result *result)
{
    static const char *const phases[PHASES] = {"most_mixed_bytes", "most_hot_reads_bytes",
                                               "most_archiving_bytes", "most_cold_reads_bytes"};
    struct jini_options jini_options;
    struct sampler sampler = {0};
    struct load load = {.users = bench_scaled(options, 100000, 1000),
                        .admissions = bench_scaled(options, 50000, 500),
                        .images = bench_scaled(options, 200, 20),
                        .random = 1};
    char *prepared = database_users(options, load.users);
    char *path = database_clone(options, prepared, "memory");
    uint64_t raw = measure_raw(options);
    load.ids = bench_alloc(load.images, sizeof(*load.ids));
    memset(load.ids, 1, load.images * sizeof(*load.ids));
    for (int i = 0; i < PUTS_IN_FLIGHT; i++)
        picture_make(&load.pictures[i], IMAGE_BYTES, (uint64_t)i);
    bench_progress("memory: a mixed load");
    sampler.before = anonymous_bytes();
    bench_jini_options(&jini_options);
    load.jini = bench_jini_open(path, &jini_options);
    sampler.jini = load.jini;
    uint64_t opened = anonymous_bytes() - sampler.before;
    pthread_create(&sampler.thread, NULL, sample, &sampler);
    run_load(&load, &sampler);
    atomic_store(&sampler.stopping, true);
    pthread_join(sampler.thread, NULL);
    result_value(result, (double)sampler.most);
    result_ceiling(result, (double)raw, "an LMDB program in a transaction of 1,024 writes");
    result_count(result, "with_image_cache_bytes", sampler.most_in_all);
    result_count(result, "image_cache_bytes", sampler.cache_at_most);
    result_count(result, "after_open_bytes", opened);
    for (int i = 0; i < PHASES; i++)
        result_count(result, phases[i], sampler.most_of_phase[i]);
    result_count(result, "images_read", load.stored);
    result_count(result, "looks", sampler.taken);
    result_count(result, "looks_skipped", sampler.skipped);
    bench_jini_close(load.jini);
    for (int i = 0; i < PUTS_IN_FLIGHT; i++)
        picture_free(&load.pictures[i]);
    free(load.ids);
    database_remove(path);
    free(path);
    free(prepared);
}

const struct bench_case case_memory = {
    .name = "memory",
    .measures = "memory of the engine beyond mapped pages and configured caches",
    .unit = "bytes",
    .target = "under 64 MiB",
    .method =
        "The most anonymous memory of the process (/proc/self/smaps_rollup: heap, stacks, written "
        "private pages), looked at every "
        "10 ms of a mixed load, less what the process had before jini_open() and less what "
        "lies in the cache of images. The "
        "other cache, of users (4 MiB), is counted in. The load: 256 admissions under way, "
        "16 images of 1 MiB under way, four "
        "threads that read users and peek at rate limits; then every image is read hot, "
        "archived, and read cold. The requests and "
        "buffers of the benchmark itself are made before or counted to the engine.",
    .demands = {{"value", BENCH_AT_MOST, 64.0 * 1024 * 1024}},
    .run = measure,
};
