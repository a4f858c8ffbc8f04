/* What the demo prints: progress while it works, and a report at the end. */
#include "demo/demo.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

double demo_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int demo_fail(const char *what, int status, const struct jini_error *error)
{
    fprintf(stderr, "jini-demo: %s: %s: %s: %s\n", what, jini_status_name(status), error->field,
            error->message);
    return jini_status_exit_code(status);
}

void demo_title(const char *text)
{
    printf("\n%s\n", text);
    fflush(stdout);
}

void demo_progress(const struct demo *demo, const char *what, size_t done, size_t total)
{
    enum { WIDTH = 40 };
    if (!demo->terminal || total == 0)
        return;
    char bar[WIDTH + 1];
    size_t filled = done * WIDTH / total;
    memset(bar, '.', WIDTH);
    memset(bar, '#', filled);
    bar[WIDTH] = '\0';
    printf("\r  %-13s [%s] %zu of %zu ", what, bar, done, total);
    fflush(stdout);
}

void demo_progress_end(const struct demo *demo)
{
    if (demo->terminal)
        printf("\r%78s\r", "");
}

/* ---- Work on several threads ---- */

struct parallel {
    struct demo *demo;
    demo_work_fn *work;
    size_t total;
    _Atomic size_t next;
    _Atomic size_t done;
};

static void *parallel_main(void *argument)
{
    struct parallel *parallel = argument;
    size_t index;
    while ((index = atomic_fetch_add(&parallel->next, 1)) < parallel->total) {
        parallel->work(parallel->demo, index);
        atomic_fetch_add(&parallel->done, 1);
    }
    return NULL;
}

void demo_parallel(struct demo *demo, const char *what, size_t total, demo_work_fn *work)
{
    struct parallel parallel = {.demo = demo, .work = work, .total = total};
    pthread_t threads[DEMO_THREADS];
    int started = 0;
    while (started < DEMO_THREADS &&
           pthread_create(&threads[started], NULL, parallel_main, &parallel) == 0)
        started++;
    if (started == 0)
        parallel_main(&parallel);
    double said = demo_seconds();
    while (atomic_load(&parallel.done) < total) {
        struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
        nanosleep(&pause, NULL);
        size_t done = atomic_load(&parallel.done);
        demo_progress(demo, what, done, total);
        if (!demo->terminal && demo_seconds() - said > 2) {
            printf("  %s: %zu of %zu\n", what, done, total);
            fflush(stdout);
            said = demo_seconds();
        }
    }
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    demo_progress_end(demo);
}

/* ---- The report ---- */

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

static double per_second(double amount, double seconds)
{
    return seconds > 0 ? amount / seconds : 0;
}

void demo_new_refusals(struct demo *demo)
{
    for (unsigned u = 0; u < DEMO_USERS; u++) {
        struct demo_user *user = &demo->users[u];
        for (unsigned i = 0; i < user->reason_count; i++) {
            struct demo_reason *reason = &user->reasons[i];
            if (reason->count > reason->shown)
                printf("  %-8s %4llu refused  %s\n", user->name,
                       (unsigned long long)(reason->count - reason->shown), reason->example);
            reason->shown = reason->count;
        }
    }
}

static void report_refusals(const struct demo *demo)
{
    unsigned count = 0;
    for (unsigned u = 0; u < DEMO_USERS; u++) {
        const struct demo_user *user = &demo->users[u];
        count += user->reason_count;
        for (unsigned i = 0; i < user->reason_count; i++)
            printf("  %-8s %4llu refused  %s\n", user->name,
                   (unsigned long long)user->reasons[i].count, user->reasons[i].example);
    }
    if (count == 0)
        printf("  nothing: all limits had room\n");
}

static void report_users(const struct demo *demo)
{
    printf("\n  user      tier      images   stored  refusals       bytes\n");
    for (unsigned u = 0; u < DEMO_USERS; u++) {
        const struct demo_user *user = &demo->users[u];
        uint64_t refusals = 0;
        for (unsigned i = 0; i < user->reason_count; i++)
            refusals += user->reasons[i].count;
        printf("  %-8s  %-8s  %6llu   %6llu    %6llu  %7.1f MiB\n", user->name, user->tier,
               (unsigned long long)user->images, (unsigned long long)user->stored,
               (unsigned long long)refusals, mib(user->bytes));
    }
}

void demo_print_name(const char *name)
{
    for (; *name; name++) {
        if ((unsigned char)*name < 0x20 || *name == 0x7f)
            printf("\\x%02x", (unsigned)(unsigned char)*name);
        else
            putchar(*name);
    }
}

void demo_name_refused(const struct demo *demo)
{
    enum { NAMED_MAX = 20 };
    size_t count = demo_images_refused(demo);
    size_t named = 0;
    printf("%zu file%s refused: ", count, count == 1 ? " was" : "s were");
    for (size_t i = 0; i < demo->image_count && named < NAMED_MAX; i++) {
        const struct demo_image *image = &demo->images[i];
        if (!image->refused)
            continue;
        printf("%s", named++ ? ", " : "");
        demo_print_name(image->name);
        printf(" (%s)", jini_status_text(image->status));
    }
    if (named < count)
        printf(" and %zu more", count - named);
}

void demo_report(const struct demo *demo)
{
    const struct jini_archive_status *before = &demo->before;
    const struct jini_archive_status *after = &demo->after;
    uint64_t stored = demo->users[0].stored + demo->users[1].stored + demo->users[2].stored;
    demo_title("Report");
    report_users(demo);
    printf("\n  refused and why\n");
    report_refusals(demo);
    printf("\n  originals      %8.1f MiB in %llu images\n", mib(demo->bytes),
           (unsigned long long)stored);
    printf("  local packs    %8.1f MiB sealed, %.1f MiB after freeing\n",
           mib(demo->archived.bytes_archived), mib(after->bytes_local));
    printf("  archive        %8.1f MiB in %llu objects\n", mib(after->bytes_archived),
           (unsigned long long)demo->archived.packs_archived);
    printf("  images         %6llu hot before, %llu cold now\n",
           (unsigned long long)(before->images_hot + before->images_hot_archived),
           (unsigned long long)after->images_cold);
    printf("  admit + store  %8.1f MiB/s, %.0f images/s, each durable when it returned\n",
           per_second(mib(demo->bytes), demo->store_seconds),
           per_second((double)stored, demo->store_seconds));
    printf("  archive        %8.1f MiB/s, written, synced, read back and compared\n",
           per_second(mib(demo->archived.bytes_archived), demo->archive_seconds));
    printf("  cold reads     %8.1f MiB/s, %.0f images/s, each compared with its original\n",
           per_second(mib(demo->bytes), demo->read_seconds),
           per_second((double)stored, demo->read_seconds));
    printf("  verify         %llu users, %llu jobs, %llu images, %llu packs, %llu objects: "
           "%llu problems\n",
           (unsigned long long)demo->verified.users, (unsigned long long)demo->verified.jobs,
           (unsigned long long)demo->verified.images, (unsigned long long)demo->verified.packs,
           (unsigned long long)demo->verified.objects, (unsigned long long)demo->verified.problems);
}
