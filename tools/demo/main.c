/*
 * jini-demo [OPTION]... [FOLDER]: what the engine exists for, on real images.
 *
 * Three users on the tiers Free, Basic and Premium ask for more images than their tiers allow. What
 * is refused is counted and explained; then an operator lifts, user by user, just what refused,
 * which holds for the very next request, and the rest is stored. All images then go to the archive,
 * their local copies are freed, and each is read back and compared with its original. In the end a
 * user pays, and is refunded.
 */
#include "demo/demo.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RATE_MAX = 8388606, /* the largest amount of a fixed window */
    RENDER_COUNT_MAX = 100000
};

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
    return status ? demo_fail("opening the database", status, &error) : 0;
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
            return demo_fail("adding a user", status, &add.request.error);
        status = jini_tier_get(demo->jini, users[i].tier, &tier, &error);
        if (status)
            return demo_fail("reading a tier", status, &error);
        demo->users[i].name = users[i].name;
        demo->users[i].tier = users[i].tier;
        demo->users[i].id = add.user.id;
        demo->users[i].width_max = tier.allowance.width_max;
        demo->users[i].height_max = tier.allowance.height_max;
        if (sscanf(tier.allowance.limits, "%llu/minute; %llu/day", &demo->users[i].per_minute,
                   &demo->users[i].per_day) != 2) {
            fprintf(stderr,
                    "jini-demo: tier %s has other limits than a new database gives it: %s\n",
                    users[i].tier, tier.allowance.limits);
            return 1;
        }
        printf("  %-4s user %-3llu %-8s limits \"%s\"", users[i].name,
               (unsigned long long)add.user.id, users[i].tier, tier.allowance.limits);
        print_bounds(&tier.allowance);
        printf("\n");
    }
    return 0;
}

static unsigned long long larger(unsigned long long a, unsigned long long b)
{
    return a > b ? a : b;
}

static bool is_over(uint32_t most, uint32_t max)
{
    return max != 0 && most > max;
}

/*
 * Lifts for one user just what refused it: first the rate limit, then the quota, with the bounds on
 * size that its images do not keep to. As many as the user has images are enough, and no limit
 * becomes lower than it was.
 */
static int lift(struct demo *demo, unsigned index, unsigned round)
{
    const struct demo_user *user = &demo->users[index];
    unsigned long long most = user->images < RATE_MAX ? user->images : RATE_MAX;
    unsigned long long per_minute = larger(most, user->per_minute);
    unsigned long long per_day = round == 0 ? 0 : user->images;
    struct jini_user_set set;
    if (user->stored == user->images)
        return 0;
    jini_request_init(&set);
    set.user.id = user->id;
    set.fields = JINI_USER_FIELD_OVERRIDES;
    set.user.override_mask = JINI_ALLOWANCE_LIMITS;
    if (is_over(user->width_most, user->width_max))
        set.user.override_mask |= JINI_ALLOWANCE_WIDTH;
    if (is_over(user->height_most, user->height_max))
        set.user.override_mask |= JINI_ALLOWANCE_HEIGHT;
    char *text = set.user.overrides.limits;
    snprintf(text, sizeof(set.user.overrides.limits), "%llu/minute; %llu/day", per_minute,
             larger(per_day, user->per_day));
    int status = jini_user_set(demo->jini, &set, NULL);
    if (status)
        return demo_fail("lifting limits", status, &set.request.error);
    printf("  the operator gives %s, for the next request on: limits \"%s\"", user->name, text);
    if (set.user.override_mask & JINI_ALLOWANCE_WIDTH)
        print_bound("width", set.user.overrides.width_max);
    if (set.user.override_mask & JINI_ALLOWANCE_HEIGHT)
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
        printf("  %zu image%s not admitted yet:\n", left, left == 1 ? " is" : "s are");
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
        return demo_fail("reading the archive's status", status, &error);
    jini_request_init(&demo->archived);
    demo->archived.flags = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT;
    demo->archived.report = on_step;
    status = jini_archive_run(demo->jini, &demo->archived, NULL);
    if (status)
        return demo_fail("archiving", status, &demo->archived.request.error);
    demo->archive_seconds = demo_seconds() - begin;
    return 0;
}

/* Runs a line of the shell and waits for it; its exit status. */
static int run_command(const char *line)
{
    const char *const arguments[] = {"sh", "-c", line, NULL};
    pid_t child;
    int status;
    if (posix_spawnp(&child, "sh", NULL, NULL, (char *const *)(uintptr_t)arguments, environ) != 0 ||
        waitpid(child, &status, 0) != child)
        return -1;
    return status;
}

/* What is read back next must come from the archive, all of it. */
static int check_cold(struct demo *demo)
{
    struct jini_error error;
    uint64_t stored = demo->users[0].stored + demo->users[1].stored + demo->users[2].stored;
    if (demo->before_reading && run_command(demo->before_reading) != 0) {
        fprintf(stderr, "jini-demo: the command failed: %s\n", demo->before_reading);
        return 1;
    }
    int status = jini_archive_status(demo->jini, &demo->after, &error);
    if (status)
        return demo_fail("reading the archive's status", status, &error);
    uint64_t hot = demo->after.images_hot + demo->after.images_hot_archived;
    if (demo->after.images_cold == stored && hot == 0)
        return 0;
    fprintf(stderr, "jini-demo: of %llu images %llu are cold and %llu hot; all should be cold\n",
            (unsigned long long)stored, (unsigned long long)demo->after.images_cold,
            (unsigned long long)hot);
    return 1;
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
        return demo_fail("verifying", status, &demo->verified.request.error);
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
    demo_title(demo->renders ? "2. Images from the built-in renderer"
                             : "2. Images from the folder");
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
    if (code == 0)
        code = check_cold(demo);
    if (code)
        return code;
    demo_title("5. Every image read back from the archive and compared");
    begin = demo_seconds();
    code = demo_read_back(demo) ? 1 : 0;
    demo->read_seconds = demo_seconds() - begin;
    if (code)
        return code;
    printf("  all identical, in %.1f s\n", demo->read_seconds);
    demo_title("6. Money: a user pays, is upgraded, runs out of credits, and is refunded");
    code = demo_money(demo);
    if (code)
        return code;
    demo_title("7. Records, ledger, packs and archive held against each other");
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

static const char usage[] =
    "usage: jini-demo [--data DIR] [--images N] [--before-reading COMMAND] [FOLDER]\n";

static void print_help(void)
{
    printf(
        "%s"
        "Takes the images of FOLDER, or renders some, through a new database in DIR/demo.\n\n"
        "  --data DIR                where to work; ./data by default\n"
        "  --images N                render so many; %d by default\n"
        "  --before-reading COMMAND  run this when all is in the archive and nothing read back:\n"
        "                            one that damages something shows that it is found\n",
        usage, DEMO_IMAGES);
}

/* Reads the command line. False: it is wrong. */
static bool parse(int argc, char **argv, struct demo *demo, const char **data)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (argv[i][0] != '-') {
            if (demo->folder)
                return false;
            demo->folder = argv[i];
            continue;
        }
        if (!value)
            return false;
        if (strcmp(argv[i], "--data") == 0)
            *data = value;
        else if (strcmp(argv[i], "--before-reading") == 0)
            demo->before_reading = value;
        else if (strcmp(argv[i], "--images") == 0)
            demo->render_count = strtoul(value, NULL, 10);
        else
            return false;
        i++;
    }
    demo->renders = demo->folder == NULL;
    return demo->render_count > 0 && demo->render_count <= RENDER_COUNT_MAX;
}

int main(int argc, char **argv)
{
    struct demo demo = {.terminal = isatty(STDOUT_FILENO), .render_count = DEMO_IMAGES};
    const char *data = "./data";
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        print_help();
        return 0;
    }
    if (!parse(argc, argv, &demo, &data)) {
        fputs(usage, stderr);
        return 2;
    }
    pthread_mutex_init(&demo.lock, NULL);
    int code = demo_directory_prepare(&demo, data);
    if (code == 0)
        code = run(&demo);
    int closed = jini_close(demo.jini, NULL, NULL);
    conclude(&demo, code == 0 && closed == 0);
    demo_images_free(&demo);
    return code ? code : jini_status_exit_code(closed);
}
