/* See counters.h. Each script does one thing so many times, on what those before it have left. */
#include "counters.h"

#include "database.h"
#include "engine.h"
#include "pictures.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GENERATIONS = 200, IMAGES = 32, USERS = 64, WRITES = 300, IMAGE_BYTES = 32 << 10 };

struct world {
    struct jini *jini;
    uint64_t user;
    uint64_t archive_puts;
    struct picture picture;
    struct jini_id jobs[GENERATIONS];
    struct jini_id images[IMAGES];
    uint8_t *buffer;
};

struct script {
    const char *name;
    unsigned operations;
    void (*run)(struct world *world, unsigned number);
};

/* ---- Allocations ---- */

static _Atomic uint64_t allocations;

static void *count_malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return malloc(size);
}

static void *count_calloc(size_t count, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return calloc(count, size);
}

static void *count_realloc(void *pointer, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return realloc(pointer, size);
}

void counters_begin(void)
{
    static const struct jini_allocator counting = {count_malloc, count_calloc, count_realloc, free};
    bench_check(jini_replace_allocator(&counting), NULL, "jini_replace_allocator");
}

/* ---- The scripts ---- */

static void add_user(struct world *world, unsigned number)
{
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "user%06u", number);
    snprintf(add.user.tier, sizeof(add.user.tier), "Premium");
    snprintf(add.user.overrides.limits, sizeof(add.user.overrides.limits),
             "1000000/minute; 1000000/day");
    add.user.override_mask = JINI_ALLOWANCE_LIMITS | JINI_ALLOWANCE_PARALLEL;
    add.user.flags = JINI_USER_ACTIVE;
    bench_check(jini_user_add(world->jini, &add, NULL), &add.request.error, "adding a user");
    world->user = add.user.id;
}

static void get_user(struct world *world, unsigned number)
{
    struct jini_user user;
    struct jini_error error;
    (void)number;
    bench_check(jini_user_get(world->jini, world->user, &user, &error), &error, "reading a user");
}

static void check_limit(struct world *world, unsigned number)
{
    struct jini_limit_answer answer;
    struct jini_error error;
    struct jini_limit_check check = {.subject = {.kind = JINI_SUBJECT_USER, .number = world->user},
                                     .cost = 1};
    (void)number;
    bench_check(jini_limit_check(world->jini, &check, &answer, &error), &error, "checking");
}

static int put_record(struct jini_txn *txn, void *argument)
{
    static const uint8_t value[64];
    const unsigned *number = argument;
    uint8_t key[4] = {(uint8_t)(*number >> 24), (uint8_t)(*number >> 16), (uint8_t)(*number >> 8),
                      (uint8_t)*number};
    return jini_txn_put(txn, key, sizeof(key), value, sizeof(value));
}

static void write_record(struct world *world, unsigned number)
{
    struct jini_write write;
    jini_request_init(&write);
    write.function = put_record;
    write.argument = &number;
    bench_check(jini_write(world->jini, &write, NULL), &write.request.error, "writing");
}

static void admit(struct world *world, unsigned number)
{
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = world->user};
    admit.parameters =
        (struct jini_parameters){.width = 1024, .height = 1024, .steps = 30, .count = 1};
    admit.prompt = "a lighthouse on a cliff at dusk";
    bench_check(jini_admit(world->jini, &admit, NULL), &admit.request.error, "admitting");
    world->jobs[number] = admit.job.id;
}

static void settle(struct world *world, unsigned number)
{
    struct jini_settle settle;
    jini_request_init(&settle);
    settle.job_id = world->jobs[number];
    bench_check(jini_settle(world->jini, &settle, NULL), &settle.request.error, "settling");
}

static void put_image(struct world *world, unsigned number)
{
    struct jini_image_put put;
    jini_request_init(&put);
    picture_number(&world->picture, number);
    put.bytes = world->picture.bytes;
    put.length = world->picture.length;
    put.user_id = world->user;
    bench_check(jini_image_put(world->jini, &put, NULL), &put.request.error, "putting");
    world->images[number] = put.image.id;
}

static void get_image(struct world *world, unsigned number)
{
    struct jini_image_get get;
    jini_request_init(&get);
    get.id = world->images[number];
    get.buffer = world->buffer;
    get.capacity = world->picture.length;
    bench_check(jini_image_get(world->jini, &get, NULL), &get.request.error, "getting");
}

static void archive(struct world *world, unsigned number)
{
    struct jini_archive_run run;
    (void)number;
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT;
    bench_check(jini_archive_run(world->jini, &run, NULL), &run.request.error, "archiving");
    world->archive_puts += run.packs_archived; /* an object each */
}

static const struct script scripts[] = {
    {"user_add", USERS, add_user},        {"user_get", WRITES, get_user},
    {"limit_check", WRITES, check_limit}, {"write", WRITES, write_record},
    {"admit", GENERATIONS, admit},        {"settle", GENERATIONS, settle},
    {"image_put", IMAGES, put_image},     {"image_get_hot", IMAGES, get_image},
    {"archive_run", 1, archive},          {"image_get_cold", IMAGES, get_image},
};

/* ---- Running them ---- */

static void begin(struct world *world, const char *path)
{
    struct jini_options jini_options;

    bench_jini_options(&jini_options);
    jini_options.store_sync = JINI_SYNC_NONE; /* commits are counted, and two syncs are one's */
    jini_options.store_run_twice = 0;
    jini_options.cpu_threads = 1;
    *world = (struct world){.jini = bench_jini_open(path, &jini_options)};
    picture_make(&world->picture, IMAGE_BYTES, 1);
    world->buffer = bench_alloc(1, world->picture.length);
}

static void end(struct world *world)
{
    bench_jini_close(world->jini);
    picture_free(&world->picture);
    free(world->buffer);
}

/* The counters of one script, per operation. */
static json_t *run_script(struct world *world, const struct script *script)
{
    struct bench_figures before;
    bench_figures(world->jini, &before);
    uint64_t allocated = atomic_load(&allocations);
    uint64_t puts = world->archive_puts;
    for (unsigned i = 0; i < script->operations; i++)
        script->run(world, i);
    allocated = atomic_load(&allocations) - allocated;
    struct bench_figures done = bench_figures_since(world->jini, &before);
    double n = script->operations;
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "commits", done.commits / n, "pages",
                     done.pages / n, "pack_syncs", done.pack_syncs / n, "archive_puts",
                     (double)(world->archive_puts - puts) / n, "archive_gets",
                     done.archive_gets / n, "allocations", (double)allocated / n);
}

static json_t *run_scripts(const struct bench_options *options)
{
    struct world world;
    json_t *all = json_object();
    char *path = database_fresh(options, "counters");
    begin(&world, path);
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
        json_object_set_new(all, scripts[i].name, run_script(&world, &scripts[i]));
    end(&world);
    database_remove(path);
    free(path);
    return all;
}

/* ---- Comparing ---- */

/*
 * Where a page splits depends on ids, and what threads of the archive allocate on their turns: by
 * an eighth of a whole run under load.
 */
static double tolerance(const char *counter, double wanted)
{
    if (strcmp(counter, "allocations") != 0)
        return 0.05;
    return wanted > 10 ? wanted / 5 : wanted > 2 ? wanted / 20 : 0.1;
}

/* How many counters differ; each is printed. */
static unsigned compare_script(const char *name, const json_t *expected, const json_t *found)
{
    const char *counter;
    json_t *value;
    unsigned differing = 0;
    json_object_foreach((json_t *)(uintptr_t)found, counter, value)
    {
        const json_t *wanted = json_object_get(expected, counter);
        double is = json_number_value(value);
        double was = json_number_value(wanted); /* 0 of none */
        if (wanted && fabs(is - was) <= tolerance(counter, was))
            continue;
        if (wanted)
            printf("%s: %s per operation: %.4g, was %.4g\n", name, counter, is, was);
        else
            printf("%s: %s per operation: %.4g, was not counted\n", name, counter, is);
        differing++;
    }
    return differing;
}

static int compare_all(const char *path, const json_t *found)
{
    json_error_t error;
    json_t *expected = json_load_file(path, 0, &error);
    if (!expected)
        bench_fail("%s: %s", path, error.text);
    unsigned differing = 0;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
        differing += compare_script(scripts[i].name, json_object_get(expected, scripts[i].name),
                                    json_object_get(found, scripts[i].name));
    json_decref(expected);
    if (differing)
        printf("%u counters differ from %s; if that is meant: jini-bench counters --write %s\n",
               differing, path, path);
    return differing ? 1 : 0;
}

static void print(FILE *file, const json_t *counters)
{
    json_dumpf(counters, file, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(4));
    fputc('\n', file);
}

static void write_file(const char *path, const json_t *counters)
{
    FILE *file = fopen(path, "w");
    if (!file)
        bench_fail("cannot write %s: %s", path, strerror(errno));
    print(file, counters);
    if (fclose(file) != 0)
        bench_fail("cannot write %s: %s", path, strerror(errno));
}

int counters_run(const struct bench_options *options, const char *compare, const char *write)
{
    json_t *found = run_scripts(options);
    int status = compare ? compare_all(compare, found) : 0;
    if (write)
        write_file(write, found);
    if (!compare && !write)
        print(stdout, found);
    json_decref(found);
    return status;
}
