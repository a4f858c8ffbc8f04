/*
 * Beside a process that was stopped while it has the write lock: what waits comes back in time, and
 * the engine closes.
 */
#include "engine/engine_private.h"

#include "engine_fixture.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

enum { INTERVAL_MS = 10, CLOSE_WAIT_MS = 200, PATIENCE_MS = 20000 };

/* ---- The other process ---- */

struct holder {
    _Atomic uint32_t begin;
    _Atomic uint32_t entered;
    _Atomic uint32_t open;
};

static void wait_for(const _Atomic uint32_t *number)
{
    while (!atomic_load(number))
        usleep(1000);
}

static int hold_the_lock(struct jini_txn *txn, void *argument)
{
    struct holder *holder = argument;
    atomic_store(&holder->entered, 1);
    wait_for(&holder->open);
    return jini_txn_put(txn, "held", 4, "x", 1);
}

static void holder_main(struct holder *holder)
{
    struct jini_options options;
    struct jini_write write;
    wait_for(&holder->begin);
    fixture_options(&options);
    snprintf(options.process_name, sizeof(options.process_name), "holder");
    struct jini *jini = fixture_open_with(&options);
    jini_request_init(&write);
    write.function = hold_the_lock;
    write.argument = holder;
    CHECK_OK(jini_write(jini, &write, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

struct scene {
    struct jini *jini;
    struct holder *holder;
    pid_t pid;
};

static struct jini *open_engine(uint32_t background)
{
    struct jini_options options;
    fixture_options(&options);
    options.background_run = background;
    options.background_interval_ms = INTERVAL_MS;
    options.store_close_wait_ms = CLOSE_WAIT_MS;
    return fixture_open_with(&options);
}

/* The other process is started first, without threads beside it, and opens the database later. */
static struct scene open_scene(void)
{
    struct scene scene;
    scene.holder = mmap(NULL, sizeof(*scene.holder), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(scene.holder != MAP_FAILED);
    fflush(NULL);
    scene.pid = fork();
    CHECK(scene.pid >= 0);
    if (scene.pid == 0) {
        holder_main(scene.holder);
        _exit(0);
    }
    scene.jini = open_engine(0);
    return scene;
}

static void stop_holder(struct scene *scene)
{
    int status;
    atomic_store(&scene->holder->begin, 1);
    wait_for(&scene->holder->entered);
    CHECK_INT(kill(scene->pid, SIGSTOP), ==, 0);
    CHECK_INT(waitpid(scene->pid, &status, WUNTRACED), ==, scene->pid);
    CHECK(WIFSTOPPED(status));
}

static void continue_holder(struct scene *scene)
{
    atomic_store(&scene->holder->open, 1);
    CHECK_INT(kill(scene->pid, SIGCONT), ==, 0);
    harness_wait_exit(scene->pid, 0);
}

static uint64_t now_ms(void)
{
    return fixture_boot_ns(NULL) / 1000000;
}

/* ---- Work that is due ---- */

static void admit(struct jini *jini, const struct jini_subject *subject, struct jini_admit *out)
{
    jini_request_init(out);
    out->subject = *subject;
    out->parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    fixture_must(jini_admit(jini, out, NULL), "admit", &out->request.error);
}

/* Due in a day: a job that nobody came back for, and a quota of an address that is over. */
static void leave_job(struct jini *jini)
{
    struct jini_admit admission;
    struct jini_subject user = {.kind = JINI_SUBJECT_USER,
                                .number = fixture_user(jini, "alice", "Free")};
    admit(jini, &user, &admission);
}

static void leave_quota(struct jini *jini)
{
    struct jini_admit admission;
    struct jini_settle settle;
    struct jini_subject address;
    CHECK_OK(jini_subject_parse_address("10.0.0.1", &address));
    admit(jini, &address, &admission);
    jini_request_init(&settle);
    settle.job_id = admission.job.id;
    CHECK_OK(jini_settle(jini, &settle, NULL));
}

/* Opens anew, with a background that finds what was left due and waits for the lock. */
static struct scene open_scene_with_due(void (*leave)(struct jini *jini))
{
    struct store_figures figures = {0};
    struct scene scene = open_scene();
    leave(scene.jini);
    CHECK_OK(jini_close(scene.jini, NULL, NULL));
    stop_holder(&scene);
    fixture_days_pass(2);
    scene.jini = open_engine(1);
    for (int i = 0; i < PATIENCE_MS && figures.queue_ops == 0; i++) {
        CHECK_OK(store_figures(scene.jini->store, &figures));
        usleep(1000);
    }
    CHECK_UINT(figures.queue_ops, >, 0);
    return scene;
}

static void check_closes(void (*leave)(struct jini *jini))
{
    struct scene scene = open_scene_with_due(leave);
    uint64_t begin_ms = now_ms();
    CHECK_OK(jini_close(scene.jini, NULL, NULL));
    CHECK_UINT(now_ms() - begin_ms, <, PATIENCE_MS / 2);
    continue_holder(&scene);
}

TEST(it_closes_while_jobs_are_given_up,
     "With a job to be given up, closing waits for the lock no longer than store.close_wait_ms.")
{
    check_closes(leave_job);
}

TEST(it_closes_while_quotas_are_cleaned,
     "With a quota row to be removed, closing waits for the lock no longer than "
     "store.close_wait_ms.")
{
    check_closes(leave_quota);
}

static void check_run_times_out(struct scene *scene)
{
    struct jini_archive_run run;
    jini_request_init(&run);
    run.request.timeout_ms = 300;
    uint64_t begin_ms = now_ms();
    CHECK_STATUS(jini_archive_run(scene->jini, &run, NULL), JINI_E_TIMEOUT);
    CHECK_UINT(now_ms() - begin_ms, <, PATIENCE_MS / 2);
    CHECK_TEXT(run.request.error.field, "request.timeout_ms");
    CHECK_OK(jini_close(scene->jini, NULL, NULL));
    continue_holder(scene);
}

TEST(a_run_behind_the_background_is_late,
     "An archive run comes back when its time is up, while the background waits for the lock.")
{
    struct scene scene = open_scene_with_due(leave_job);
    check_run_times_out(&scene);
}

TEST(a_run_without_its_lease_is_late,
     "An archive run comes back when its time is up, while it waits for the lock itself.")
{
    struct scene scene = open_scene();
    stop_holder(&scene);
    check_run_times_out(&scene);
}

static int put_x(struct jini_txn *txn, void *argument)
{
    (void)argument;
    return jini_txn_put(txn, "x", 1, "x", 1);
}

TEST(a_late_write_names_who_has_the_lock,
     "A write, and an archive run, that are late behind it name the stopped process by pid and "
     "name, and for how long it has had the lock.")
{
    struct scene scene = open_scene();
    struct jini_write write;
    struct jini_archive_run run;
    char who[64];
    stop_holder(&scene);
    snprintf(who, sizeof(who), "process %d (holder) has held the write lock for", (int)scene.pid);
    jini_request_init(&write);
    write.request.timeout_ms = 400;
    write.function = put_x;
    CHECK_STATUS(jini_write(scene.jini, &write, NULL), JINI_E_TIMEOUT);
    CHECK_TEXT(write.request.error.field, "request.timeout_ms");
    CHECK_CONTAINS(write.request.error.message, who);
    CHECK_CONTAINS(write.request.error.message, "400 ms");
    jini_request_init(&run);
    run.request.timeout_ms = 100;
    CHECK_STATUS(jini_archive_run(scene.jini, &run, NULL), JINI_E_TIMEOUT);
    CHECK_CONTAINS(run.request.error.message, who);
    CHECK_OK(jini_close(scene.jini, NULL, NULL));
    continue_holder(&scene);
}

/* ---- Everything under way ---- */

struct under_way {
    uv_loop_t loop;
    unsigned returned;
    unsigned closed;
    struct jini_write write;
    struct jini_user_add add;
    struct jini_login login;
    struct jini_image_put put;
    struct jini_archive_run run;
};

static void on_return(struct jini_request *request)
{
    struct under_way *all = request->data;
    CHECK_STATUS(request->status, JINI_E_CANCELLED);
    CHECK_UINT(all->closed, ==, 0);
    all->returned++;
}

static void on_closed(void *context)
{
    struct under_way *all = context;
    all->closed++;
}

/* A request of each kind that comes to write. */
static void submit_all(struct jini *jini, struct under_way *all, uint8_t *file, size_t length)
{
    jini_request_init(&all->write);
    all->write.request.data = all;
    all->write.function = put_x;
    CHECK_OK(jini_write(jini, &all->write, on_return));
    jini_request_init(&all->add);
    all->add.request.data = all;
    snprintf(all->add.user.username, sizeof(all->add.user.username), "bob");
    all->add.password = "correct horse";
    CHECK_OK(jini_user_add(jini, &all->add, on_return));
    jini_request_init(&all->login);
    all->login.request.data = all;
    all->login.login = "alice";
    all->login.password = "correct horse";
    CHECK_OK(jini_login(jini, &all->login, on_return));
    jini_request_init(&all->put);
    all->put.request.data = all;
    all->put.bytes = file;
    all->put.length = length;
    CHECK_OK(jini_image_put(jini, &all->put, on_return));
    jini_request_init(&all->run);
    all->run.request.data = all;
    CHECK_OK(jini_archive_run(jini, &all->run, on_return));
}

TEST(all_that_is_under_way_comes_back,
     "Closing brings back a write, a new user, a login, a put and an archive run as cancelled, and "
     "then ends on the attached loop.")
{
    static struct under_way all;
    struct scene scene = open_scene();
    struct png_request png = {64, 64, 1, "x", NULL};
    struct jini_password_set set;
    struct jini_error error;
    size_t length;
    uint8_t *file = png_make(&png, &length);
    jini_request_init(&set);
    set.user_id = fixture_user(scene.jini, "alice", "Free");
    set.password = "correct horse";
    CHECK_OK(jini_password_set(scene.jini, &set, NULL));
    stop_holder(&scene);
    CHECK_INT(uv_loop_init(&all.loop), ==, 0);
    CHECK_OK(jini_attach(scene.jini, &all.loop, &error));
    submit_all(scene.jini, &all, file, length);
    CHECK_OK(jini_close(scene.jini, on_closed, &all));
    uv_run(&all.loop, UV_RUN_DEFAULT);
    CHECK_UINT(all.closed, ==, 1);
    CHECK_UINT(all.returned, ==, 5);
    CHECK_INT(uv_loop_close(&all.loop), ==, 0);
    continue_holder(&scene);
    free(file);
}
