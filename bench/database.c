/* See database.h. */
#include "database.h"

#include "engine.h"
#include "generations.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUILD_IN_FLIGHT = 4096, COPY_BYTES = 64 << 20, STEPS_MAX = 100 };

static char *path_of(const char *directory, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", directory, name) < 0)
        bench_fail("out of memory");
    return path;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

void database_remove(const char *path)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        bench_fail("cannot remove %s: %s", path, strerror(errno));
}

static void make_directory(const char *path)
{
    if (mkdir(path, 0700) != 0)
        bench_fail("cannot make %s: %s", path, strerror(errno));
}

char *database_fresh(const struct bench_options *options, const char *name)
{
    char *path = path_of(options->directory, name);
    database_remove(path);
    make_directory(path);
    return path;
}

/* ---- Building -------------------------------------------------------------------------------- */

struct build {
    struct jini *jini;
    uint64_t users;
    uint64_t next;
    const char *what;
};

/* The number of the next step, or 0 when all are done. */
static uint64_t next_number(struct build *build)
{
    if (build->next == build->users)
        return 0;
    uint64_t number = ++build->next;
    if (number % (build->users / STEPS_MAX + 1) == 0)
        bench_progress("%s: %d %%", build->what, (int)(100 * number / build->users));
    return number;
}

static void describe_user(struct jini_user *user, unsigned long long number)
{
    snprintf(user->username, sizeof(user->username), "user%09llu", number);
    snprintf(user->email, sizeof(user->email), "user%09llu@example.com", number);
    snprintf(user->first_name, sizeof(user->first_name), "Ada");
    snprintf(user->last_name, sizeof(user->last_name), "Lovelace");
    snprintf(user->tier, sizeof(user->tier), "Premium");
    user->flags = JINI_USER_ACTIVE;
}

static bool add_user(void *context, struct bench_flow_step *step)
{
    struct build *build = context;
    struct jini_user_add *add = (struct jini_user_add *)step->request;
    uint64_t number = next_number(build);
    if (number == 0)
        return false;
    describe_user(&add->user, number);
    step->status = jini_user_add(build->jini, add, step->callback);
    return true;
}

/*
 * What is kept is a copy without free pages: building leaves lists of them that are longer than any
 * that a database in use has, and LMDB rewrites those with each commit until they are used up.
 */
static void compact(struct jini *jini, const char *compacted)
{
    struct jini_error error;
    char *data = path_of(compacted, "data.mdb");
    bench_progress("copying without free pages");
    bench_check(jini_copy(jini, data, JINI_COPY_COMPACT, &error), &error, "copying");
    free(data);
}

static void build_options(struct jini_options *options, uint64_t users)
{
    bench_jini_options(options);
    options->store_sync = JINI_SYNC_NONE;
    options->store_batch_run_ms = 100;
    options->store_batch_ops_max = BUILD_IN_FLIGHT;
    options->request_timeout_ms = 600000;
    options->limits_slots = DATABASE_SLOTS_PER_USER * users;
    if (options->limits_slots < 262144)
        options->limits_slots = 262144;
}

/*
 * Ids come in blocks, and what is left of the last one lies below ids that were drawn singly. A few
 * users more, one after the other, take it up, so that every id from 1 on is somebody's.
 */
static void close_gaps(struct build *build)
{
    struct jini_user_add add;
    do {
        jini_request_init(&add);
        describe_user(&add.user, ++build->next);
        bench_check(jini_user_add(build->jini, &add, NULL), &add.request.error, "adding a user");
    } while (add.user.id < build->users);
}

static void build_users(const char *path, const char *compacted, uint64_t users)
{
    struct jini_options options;
    build_options(&options, users);
    struct build build = {bench_jini_open(path, &options), users, 0, "adding users"};
    struct bench_flow flow = {sizeof(struct jini_user_add), BUILD_IN_FLIGHT, add_user, &build};
    bench_flow_run(&flow);
    close_gaps(&build);
    compact(build.jini, compacted);
    bench_jini_close(build.jini);
}

/* Generations of one user follow each other faster than Premium lets people draw. */
static void lift_limits(struct jini *jini)
{
    struct jini_tier_set set;
    struct jini_error error;
    jini_request_init(&set);
    bench_check(jini_tier_get(jini, "Premium", &set.tier, &error), &error, "the tier");
    snprintf(set.tier.allowance.limits, sizeof(set.tier.allowance.limits),
             "1000000/minute; 1000000/day");
    bench_check(jini_tier_set(jini, &set, NULL), &set.request.error, "changing the tier");
}

static void build_generations(const char *path, const char *compacted, uint64_t users,
                              uint64_t count)
{
    struct jini_options options;
    build_options(&options, users);
    struct generations generations = {.jini = bench_jini_open(path, &options),
                                      .users = users,
                                      .count = count,
                                      .in_flight = BUILD_IN_FLIGHT};
    lift_limits(generations.jini);
    generations_run(&generations);
    compact(generations.jini, compacted);
    bench_jini_close(generations.jini);
}

/* ---- Keeping --------------------------------------------------------------------------------- */

static int open_file(const char *path, int flags)
{
    int descriptor = open(path, flags | O_CLOEXEC, 0600);
    if (descriptor < 0)
        bench_fail("cannot open %s: %s", path, strerror(errno));
    return descriptor;
}

static void sync_file(const char *path)
{
    int descriptor = open_file(path, O_RDONLY);
    if (fsync(descriptor) != 0)
        bench_fail("cannot sync %s: %s", path, strerror(errno));
    close(descriptor);
}

void database_sync(const char *path)
{
    char *data = path_of(path, "data.mdb");
    sync_file(data);
    free(data);
}

static void copy_file(const char *from_path, const char *to_path)
{
    int from = open_file(from_path, O_RDONLY);
    int to = open_file(to_path, O_WRONLY | O_CREAT | O_EXCL);
    ssize_t copied;
    do {
        copied = copy_file_range(from, NULL, to, NULL, COPY_BYTES, 0);
    } while (copied > 0);
    if (copied < 0 || fsync(to) != 0)
        bench_fail("cannot copy %s: %s", from_path, strerror(errno));
    close(to);
    close(from);
}

static bool exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

static void finish(const char *built, const char *compacted, const char *path)
{
    database_remove(built);
    if (rename(compacted, path) != 0)
        bench_fail("cannot rename %s: %s", compacted, strerror(errno));
    bench_progress("%s", "");
}

static char *prepared_path(const struct bench_options *options, const char *kind, uint64_t users)
{
    char name[128];
    snprintf(name, sizeof(name), "%s-%llu", kind, (unsigned long long)users);
    return path_of(options->directory, name);
}

char *database_users(const struct bench_options *options, uint64_t users)
{
    char *path = prepared_path(options, "users", users);
    if (!exists(path)) {
        char *built = database_fresh(options, "building");
        char *compacted = database_fresh(options, "building-compact");
        build_users(built, compacted, users);
        finish(built, compacted, path);
        free(compacted);
        free(built);
    }
    return path;
}

char *database_generations(const struct bench_options *options, uint64_t users,
                           uint64_t generations)
{
    char kind[64];
    snprintf(kind, sizeof(kind), "generations-%llu", (unsigned long long)generations);
    char *path = prepared_path(options, kind, users);
    if (!exists(path)) {
        char *from = database_users(options, users);
        char *built = database_clone(options, from, "building");
        char *compacted = database_fresh(options, "building-compact");
        build_generations(built, compacted, users, generations);
        finish(built, compacted, path);
        free(compacted);
        free(built);
        free(from);
    }
    return path;
}

/* All that a program has left of a file system in memory, whatever files it made. */
static void sync_filesystem(const char *path)
{
    int descriptor = open_file(path, O_RDONLY | O_DIRECTORY);
    if (syncfs(descriptor) != 0)
        bench_fail("cannot sync %s: %s", path, strerror(errno));
    close(descriptor);
}

char *database_prepared(const struct bench_options *options, const char *name,
                        database_build_fn *build, const void *context)
{
    char building[128];
    char *path = path_of(options->directory, name);
    if (!exists(path)) {
        snprintf(building, sizeof(building), "building-%s", name);
        char *built = database_fresh(options, building);
        build(built, context);
        sync_filesystem(built);
        if (rename(built, path) != 0)
            bench_fail("cannot rename %s: %s", built, strerror(errno));
        free(built);
    }
    return path;
}

char *database_clone(const struct bench_options *options, const char *prepared, const char *name)
{
    char *path = database_fresh(options, name);
    char *from = path_of(prepared, "data.mdb");
    char *to = path_of(path, "data.mdb");
    bench_progress("copying %s", prepared);
    copy_file(from, to);
    bench_progress("%s", "");
    free(to);
    free(from);
    return path;
}

static bool is_prepared(const char *name)
{
    static const char *const prefixes[] = {"users-", "generations-", "ledger-", "building"};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    return false;
}

void database_remove_prepared(const struct bench_options *options)
{
    DIR *directory = opendir(options->directory);
    if (!directory)
        bench_fail("cannot list %s: %s", options->directory, strerror(errno));
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (!is_prepared(entry->d_name))
            continue;
        char *path = path_of(options->directory, entry->d_name);
        database_remove(path);
        free(path);
    }
    closedir(directory);
}

void database_drop_caches(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory)
        bench_fail("cannot list %s: %s", path, strerror(errno));
    for (struct dirent *entry; (entry = readdir(directory));) {
        char *name = path_of(path, entry->d_name);
        struct stat info;
        if (stat(name, &info) == 0 && S_ISREG(info.st_mode)) {
            int descriptor = open_file(name, O_RDONLY);
            if (fdatasync(descriptor) != 0 ||
                posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED) != 0)
                bench_fail("the system keeps %s in memory", name);
            close(descriptor);
        }
        free(name);
    }
    closedir(directory);
}

uint64_t database_bytes(const char *path)
{
    struct stat info;
    char *data = path_of(path, "data.mdb");
    if (stat(data, &info) != 0)
        bench_fail("cannot look at %s: %s", data, strerror(errno));
    free(data);
    return (uint64_t)info.st_size;
}
