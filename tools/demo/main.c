/*
 * jini-demo [--data DIR] [FOLDER]: what the engine exists for, on real images.
 *
 * Three users on the tiers Free, Basic and Premium ask for more images than their tiers allow. What
 * is refused is counted and explained; then an operator lifts, user by user, just what refused,
 * which holds for the very next request, and the rest is stored. All images then go to the archive,
 * their local copies are freed, and each is read back and compared with its original.
 */
#include "demo/demo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const char *what, int status, const struct jini_error *error)
{
    fprintf(stderr, "jini-demo: %s: %s: %s: %s\n", what, jini_status_name(status), error->field,
            error->message);
    return jini_status_exit_code(status);
}

/* --- The directory: DATA/demo, which a run may replace because it says that it is a demo's --- */

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static bool write_marker(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* The files of the database must not be read as images: closing them would drop its locks. */
static bool is_own_directory(const struct demo *demo)
{
    struct stat folder;
    struct stat own;
    return demo->folder && stat(demo->folder, &folder) == 0 && stat(demo->directory, &own) == 0 &&
           folder.st_dev == own.st_dev && folder.st_ino == own.st_ino;
}

static int prepare_directory(struct demo *demo, const char *data)
{
    char marker[4200];
    struct stat info;
    snprintf(demo->directory, sizeof(demo->directory), "%s/demo", data);
    snprintf(marker, sizeof(marker), "%s/made-by-jini-demo", demo->directory);
    if (is_own_directory(demo)) {
        fprintf(stderr, "jini-demo: %s is the demo's own database, not a folder of images\n",
                demo->folder);
        return 1;
    }
    if (stat(demo->directory, &info) == 0) {
        if (stat(marker, &info) != 0) {
            fprintf(stderr,
                    "jini-demo: %s is there and was not made by a demo; give another --data\n",
                    demo->directory);
            return 1;
        }
        nftw(demo->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
    if ((mkdir(data, 0700) != 0 && errno != EEXIST) || mkdir(demo->directory, 0700) != 0 ||
        !write_marker(marker)) {
        fprintf(stderr, "jini-demo: cannot create %s: %s\n", demo->directory, strerror(errno));
        return 1;
    }
    return 0;
}

/* ---- The steps ---- */

static int open_database(struct demo *demo)
{
    struct jini_options options;
    struct jini_error error;
    jini_options_init(&options);
    options.create = 1;
    options.background_run = 0; /* this run does the moving itself, so that it can be watched */
    int status = jini_options_environment(&options, &error);
    if (status == 0)
        status = jini_open(&demo->jini, demo->directory, &options, &error);
    return status ? fail("opening the database", status, &error) : 0;
}

static void print_bound(const char *name, uint32_t bound)
{
    if (bound)
        printf(", %s up to %u", name, bound);
    else
        printf(", %s without bound", name);
}

/* What a tier or overrides allow beside their limits, each value of it. */
static void print_bounds(const struct jini_allowance *allowance)
{
    print_bound("width", allowance->width_max);
    print_bound("height", allowance->height_max);
    print_bound("steps", allowance->steps_max);
    print_bound("jobs at once", allowance->parallel_max);
    if (allowance->retention_days)
        printf(", kept %u days", allowance->retention_days);
    else
        printf(", kept for ever");
}

static int add_users(struct demo *demo)
{
    static const struct {
        const char *name;
        const char *tier;
    } users[DEMO_USERS] = {{"fay", "Free"}, {"ben", "Basic"}, {"pia", "Premium"}};
    for (unsigned i = 0; i < DEMO_USERS; i++) {
        struct jini_user_add add;
        struct jini_tier tier;
        struct jini_error error;
        jini_request_init(&add);
        snprintf(add.user.username, sizeof(add.user.username), "%s", users[i].name);
        snprintf(add.user.email, sizeof(add.user.email), "%s@example.com", users[i].name);
        snprintf(add.user.tier, sizeof(add.user.tier), "%s", users[i].tier);
        add.user.flags = JINI_USER_ACTIVE;
        add.password = "correct horse battery staple";
        int status = jini_user_add(demo->jini, &add, NULL);
        if (status)
            return fail("adding a user", status, &add.request.error);
        status = jini_tier_get(demo->jini, users[i].tier, &tier, &error);
        if (status)
            return fail("reading a tier", status, &error);
        demo->users[i].name = users[i].name;
        demo->users[i].tier = users[i].tier;
        demo->users[i].id = add.user.id;
        printf("  %-4s user %-3llu %-8s limits \"%s\"", users[i].name,
               (unsigned long long)add.user.id, users[i].tier, tier.allowance.limits);
        print_bounds(&tier.allowance);
        printf("\n");
    }
    return 0;
}

/*
 * Lifts for one user just what refused it: first the rate limit, then the quota, with the bounds on
 * size.
 */
static int lift(struct demo *demo, unsigned index, unsigned round)
{
    static const char *const limits[DEMO_USERS][2] = {
        {"1000/minute; 30/day", "1000/minute; 5000/day"},
        {"1000/minute; 30/day", "1000/minute; 5000/day"},
        {"1000/minute; 2000/day", "5000/minute; 50000/day"}};
    const struct demo_user *user = &demo->users[index];
    struct jini_user_set set;
    if (user->stored == user->images)
        return 0;
    jini_request_init(&set);
    set.user.id = user->id;
    set.fields = JINI_USER_FIELD_OVERRIDES;
    set.user.override_mask = JINI_ALLOWANCE_LIMITS | JINI_ALLOWANCE_WIDTH | JINI_ALLOWANCE_HEIGHT;
    const char *text = limits[index][round == 0 ? 0 : 1];
    snprintf(set.user.overrides.limits, sizeof(set.user.overrides.limits), "%s", text);
    int status = jini_user_set(demo->jini, &set, NULL);
    if (status)
        return fail("lifting limits", status, &set.request.error);
    printf("  the operator gives %s, for the next request on: limits \"%s\"", user->name, text);
    print_bound("width", set.user.overrides.width_max);
    print_bound("height", set.user.overrides.height_max);
    printf("; the rest stays as the tier has it\n");
    return 0;
}

static int store_all(struct demo *demo)
{
    double begin = demo_seconds();
    double operator_seconds = 0;
    size_t left = demo_submit(demo);
    for (unsigned round = 0; left > 0 && round < DEMO_ROUNDS; round++) {
        double lifting = demo_seconds();
        printf("  %zu images are not admitted yet:\n", left);
        demo_new_refusals(demo);
        for (unsigned i = 0; i < DEMO_USERS; i++) {
            int code = lift(demo, i, round);
            if (code)
                return code;
        }
        operator_seconds += demo_seconds() - lifting;
        left = demo_submit(demo);
    }
    demo->store_seconds = demo_seconds() - begin - operator_seconds;
    if (left > 0) {
        fprintf(stderr, "jini-demo: %zu images were never admitted\n", left);
        return 1;
    }
    size_t refused = demo_images_refused(demo);
    if (refused == 0) {
        printf("  every image is stored\n");
        return 0;
    }
    printf("  %zu of %zu files are stored; ", demo->image_count - refused, demo->image_count);
    demo_name_refused(demo);
    printf("\n");
    return 0;
}

static void on_step(void *context, const struct jini_tiering_event *event)
{
    char id[JINI_ID_TEXT_MAX];
    (void)context;
    jini_id_format(&event->pack_id, id);
    printf("  %-8s %s  %6.1f MiB, %llu images: %s\n", jini_tiering_step_name(event->step), id,
           (double)event->bytes / (1 << 20), (unsigned long long)event->images, event->because);
    fflush(stdout);
}

static int archive_all(struct demo *demo)
{
    struct jini_error error;
    double begin = demo_seconds();
    int status = jini_archive_status(demo->jini, &demo->before, &error);
    if (status)
        return fail("reading the archive's status", status, &error);
    jini_request_init(&demo->archived);
    demo->archived.flags = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT;
    demo->archived.report = on_step;
    status = jini_archive_run(demo->jini, &demo->archived, NULL);
    if (status)
        return fail("archiving", status, &demo->archived.request.error);
    demo->archive_seconds = demo_seconds() - begin;
    status = jini_archive_status(demo->jini, &demo->after, &error);
    return status ? fail("reading the archive's status", status, &error) : 0;
}

static void on_problem(void *context, const struct jini_verify_problem *problem)
{
    (void)context;
    printf("  PROBLEM %s: %s\n", problem->kind, problem->message);
}

static int verify_all(struct demo *demo)
{
    jini_request_init(&demo->verified);
    demo->verified.flags = JINI_VERIFY_DEEP;
    demo->verified.report = on_problem;
    int status = jini_verify(demo->jini, &demo->verified, NULL);
    if (status)
        return fail("verifying", status, &demo->verified.request.error);
    printf("  %llu images, %llu packs, %llu objects, %.1f MiB read: %llu problems\n",
           (unsigned long long)demo->verified.images, (unsigned long long)demo->verified.packs,
           (unsigned long long)demo->verified.objects,
           (double)demo->verified.bytes_read / (1 << 20),
           (unsigned long long)demo->verified.problems);
    return demo->verified.problems ? 1 : 0;
}

static int run(struct demo *demo)
{
    demo_title("1. A database, and three users");
    printf("  %s\n", demo->directory);
    int code = open_database(demo);
    if (code == 0)
        code = add_users(demo);
    if (code)
        return code;
    demo_title(demo->folder ? "2. Images from the folder" : "2. Images from the built-in renderer");
    double begin = demo_seconds();
    int status = demo_images_list(demo);
    if (status == 0)
        status = demo_images_load(demo);
    if (status)
        return jini_status_exit_code(status);
    demo->render_seconds = demo_seconds() - begin;
    printf("  %zu images, %.1f MiB, in %.1f s\n", demo->image_count - demo_images_refused(demo),
           (double)demo->bytes / (1 << 20), demo->render_seconds);
    demo_title("3. Admission and storage");
    code = store_all(demo);
    if (code)
        return code;
    demo_title("4. To the archive, and local copies freed");
    code = archive_all(demo);
    if (code)
        return code;
    demo_title("5. Every image read back from the archive and compared");
    begin = demo_seconds();
    code = demo_read_back(demo) ? 1 : 0;
    demo->read_seconds = demo_seconds() - begin;
    if (code)
        return code;
    printf("  all identical, in %.1f s\n", demo->read_seconds);
    demo_title("6. Records, packs and archive held against each other");
    code = verify_all(demo);
    demo_report(demo);
    return code;
}

static void conclude(const struct demo *demo, bool whole)
{
    printf("\n%s", whole ? "Nothing was lost" : "The demo FAILED");
    if (whole && demo_images_refused(demo)) {
        printf(" of what was stored; ");
        demo_name_refused(demo);
    }
    printf(".\n");
}

int main(int argc, char **argv)
{
    struct demo demo = {.terminal = isatty(STDOUT_FILENO)};
    const char *data = "./data";
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            printf("usage: jini-demo [--data DIR] [FOLDER]\n"
                   "Takes the images of FOLDER, or renders some, through a new database in "
                   "DIR/demo.\n");
            return 0;
        }
        if (strcmp(argv[i], "--data") == 0 && i + 1 < argc) {
            data = argv[++i];
        } else if (argv[i][0] == '-' || demo.folder) {
            fprintf(stderr, "usage: jini-demo [--data DIR] [FOLDER]\n");
            return 2;
        } else {
            demo.folder = argv[i];
        }
    }
    pthread_mutex_init(&demo.lock, NULL);
    int code = prepare_directory(&demo, data);
    if (code == 0)
        code = run(&demo);
    int closed = jini_close(demo.jini, NULL, NULL);
    conclude(&demo, code == 0 && closed == 0);
    demo_images_free(&demo);
    return code ? code : jini_status_exit_code(closed);
}
