/* Handles that may do less: inherited through fork, read-only, opened twice, poisoned. */
#include "engine_fixture.h"

#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

static uint64_t user_with_password(struct jini *jini)
{
    struct jini_password_set set;
    uint64_t user = fixture_user(jini, "alice", "Premium");
    jini_request_init(&set);
    set.user_id = user;
    set.password = "correct horse";
    CHECK_OK(jini_password_set(jini, &set, NULL));
    return user;
}

static void on_return(struct jini_request *request)
{
    (void)request;
}

static int read_nothing(struct jini_txn *txn, void *argument)
{
    (void)txn;
    (void)argument;
    return 0;
}

static int put_x(struct jini_txn *txn, void *argument)
{
    (void)argument;
    return jini_txn_put(txn, "x", 1, "x", 1);
}

static void set_name(char *to, const char *name)
{
    memcpy(to, name, strlen(name) + 1);
}

/* What is refused because the handle only reads says so by one field everywhere. */
static void check_error(const struct jini_error *error, int expected)
{
    CHECK_INT(error->code, ==, expected);
    if (expected == JINI_E_READ_ONLY)
        CHECK_TEXT(error->field, "read_only");
}

/* Submits a request of each kind, filled in so far that only the handle can refuse it. */
#define CHECK_REQUEST(type, function, expected, ...)                                               \
    do {                                                                                           \
        struct type of_kind;                                                                       \
        jini_request_init(&of_kind);                                                               \
        __VA_ARGS__;                                                                               \
        CHECK_STATUS(function(jini, &of_kind, NULL), expected);                                    \
        CHECK_INT(of_kind.request.status, ==, expected);                                           \
        check_error(&of_kind.request.error, expected);                                             \
    } while (0)

static void check_writing(struct jini *jini, int expected, uint64_t user, const struct jini_id *id)
{
    struct png_request png = {16, 16, 7, "x", NULL};
    size_t length;
    uint8_t *file = png_make(&png, &length);
    CHECK_REQUEST(jini_write, jini_write, expected, of_kind.function = put_x);
    CHECK_REQUEST(jini_user_add, jini_user_add, expected, set_name(of_kind.user.username, "zoe"));
    CHECK_REQUEST(jini_user_set, jini_user_set, expected, of_kind.user.id = user,
                  of_kind.fields = JINI_USER_FIELD_REVOKE);
    CHECK_REQUEST(jini_password_set, jini_password_set, expected, of_kind.user_id = user,
                  of_kind.password = "a longer one");
    CHECK_REQUEST(jini_tier_set, jini_tier_set, expected, set_name(of_kind.tier.name, "Gold"));
    CHECK_REQUEST(jini_tier_remove, jini_tier_remove, expected, set_name(of_kind.name, "Basic"));
    CHECK_REQUEST(jini_limit_reset, jini_limit_reset, expected,
                  of_kind.subject.kind = JINI_SUBJECT_USER, of_kind.subject.number = user);
    CHECK_REQUEST(jini_admit, jini_admit, expected, of_kind.subject.kind = JINI_SUBJECT_USER,
                  of_kind.subject.number = user,
                  of_kind.parameters = ((struct jini_parameters){
                      .width = 64, .height = 64, .steps = 1, .count = 1}));
    CHECK_REQUEST(jini_renew, jini_renew, expected, of_kind.job_id = *id,
                  of_kind.state = JINI_JOB_IN_PROGRESS);
    CHECK_REQUEST(jini_settle, jini_settle, expected, of_kind.job_id = *id);
    CHECK_REQUEST(jini_release, jini_release, expected, of_kind.job_id = *id,
                  of_kind.state = JINI_JOB_FAILED);
    CHECK_REQUEST(jini_image_put, jini_image_put, expected, of_kind.bytes = file,
                  of_kind.length = length, of_kind.user_id = user);
    CHECK_REQUEST(jini_image_remove, jini_image_remove, expected, of_kind.id = *id);
    CHECK_REQUEST(jini_image_remove, jini_image_restore, expected, of_kind.id = *id);
    CHECK_REQUEST(jini_archive_run, jini_archive_run, expected, );
    CHECK_REQUEST(jini_login, jini_login, expected, of_kind.login = "alice",
                  of_kind.password = "correct horse");
    free(file);
    struct jini_limit_check check = {.subject = {.kind = JINI_SUBJECT_USER, .number = user},
                                     .cost = 1};
    struct jini_limit_answer answer;
    struct jini_limit_usage usage[4];
    struct jini_error error;
    size_t count;
    CHECK_STATUS(jini_limit_check(jini, &check, &answer, &error), expected);
    check_error(&error, expected);
    CHECK_STATUS(jini_limit_check(jini, &check, &answer, NULL), expected);
    CHECK_STATUS(jini_limit_refund(jini, &answer, &error), expected);
    check_error(&error, expected);
    CHECK_STATUS(jini_limit_top(jini, usage, 4, &count, &error), expected);
    check_error(&error, expected);
}

static void check_reading(struct jini *jini, int expected, uint64_t user, const struct jini_id *id)
{
    static char text[1 << 17];
    static struct jini_tier tiers[JINI_TIERS_MAX];
    static struct jini_process processes[JINI_PROCESSES_MAX];
    static struct jini_image images[4];
    static struct jini_job jobs[4];
    static struct jini_user users[4];
    struct jini_usage usage;
    struct jini_archive_status status;
    struct jini_list_cursor cursor = {0};
    struct jini_list_cursor job_cursor = {0};
    struct jini_error error;
    size_t count;
    CHECK_STATUS(jini_read(jini, read_nothing, NULL, &error), expected);
    CHECK_STATUS(jini_user_get(jini, user, users, &error), expected);
    CHECK_STATUS(jini_user_find(jini, "alice", users, &error), expected);
    CHECK_STATUS(jini_user_list(jini, 0, users, 4, &count, &error), expected);
    CHECK_STATUS(jini_tier_get(jini, "Free", tiers, &error), expected);
    CHECK_STATUS(jini_tier_list(jini, tiers, JINI_TIERS_MAX, &count, &error), expected);
    CHECK_STATUS(jini_image_stat(jini, id, images, &error), expected);
    CHECK_STATUS(jini_image_list(jini, user, &cursor, images, 4, &count, &error), expected);
    CHECK_STATUS(jini_job_list(jini, user, &job_cursor, jobs, 4, &count, &error), expected);
    CHECK_STATUS(jini_usage_get(jini, user, &usage, &error), expected);
    CHECK_STATUS(jini_archive_status(jini, &status, &error), expected);
    CHECK_STATUS(jini_metrics(jini, text, sizeof(text), &count, &error), expected);
    CHECK_STATUS(jini_processes(jini, processes, JINI_PROCESSES_MAX, &count), expected);
    static uint8_t bytes[1 << 16];
    CHECK_REQUEST(jini_image_get, jini_image_get, expected, of_kind.id = *id,
                  of_kind.buffer = bytes, of_kind.capacity = sizeof(bytes));
    CHECK_REQUEST(jini_verify, jini_verify, expected, );
}

TEST(an_inherited_handle_is_refused_everywhere, "In a child every function answers JINI_E_FORKED "
                                                "for its parent's handle, and it can open anew.")
{
    struct jini *jini = fixture_open();
    struct jini_error error;
    uint64_t user = user_with_password(jini);
    struct jini_id id = fixture_put(jini, user, 1);
    pid_t child = fork();
    if (child == 0) {
        uv_loop_t loop;
        uv_loop_init(&loop);
        check_writing(jini, JINI_E_FORKED, user, &id);
        check_reading(jini, JINI_E_FORKED, user, &id);
        CHECK_STATUS(jini_health(jini, &error), JINI_E_FORKED);
        CHECK_STATUS(jini_attach(jini, &loop, &error), JINI_E_FORKED);
        CHECK_STATUS(jini_detach(jini), JINI_E_FORKED);
        CHECK_STATUS(jini_copy(jini, harness_path("copy"), JINI_COPY_PLAIN, &error), JINI_E_FORKED);
        struct jini_job job;
        CHECK_STATUS(jini_job_get(jini, &id, &job, &error), JINI_E_FORKED);
        CHECK_STATUS(jini_job_prompts(jini, &id, NULL, 0, NULL, 0, &error), JINI_E_FORKED);
        struct jini_write write;
        jini_request_init(&write);
        write.function = put_x;
        CHECK_STATUS(jini_write(jini, &write, on_return), JINI_E_FORKED);
        jini_cancel(jini, &write.request);
        CHECK_OK(jini_close(jini, NULL, NULL));
        struct jini *own = fixture_open();
        CHECK_OK(fixture_get(own, &id, 1));
        fixture_user(own, "bob", "Free");
        CHECK_OK(jini_close(own, NULL, NULL));
        _exit(0);
    }
    harness_wait_exit(child, 0);
    struct jini_user found;
    CHECK_OK(jini_user_find(jini, "bob", &found, &error));
    fixture_user(jini, "carol", "Free");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_read_only_handle_only_reads,
     "Opened read-only every writing function answers JINI_E_READ_ONLY, and all reading ones work.")
{
    struct jini *jini = fixture_open();
    uint64_t user = user_with_password(jini);
    struct jini_id id = fixture_put(jini, user, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
    struct jini_options options;
    struct jini_error error;
    fixture_options(&options);
    options.create = 0;
    options.read_only = 1;
    jini = fixture_open_with(&options);
    check_writing(jini, JINI_E_READ_ONLY, user, &id);
    check_reading(jini, 0, user, &id);
    CHECK_OK(fixture_get(jini, &id, 1));
    CHECK_OK(jini_health(jini, &error));
    CHECK_OK(jini_copy(jini, harness_path("copy.mdb"), JINI_COPY_COMPACT, &error));
    CHECK_OK(jini_copy(jini, harness_path("plain.mdb"), JINI_COPY_PLAIN, &error));
    CHECK_STATUS(jini_copy(jini, harness_path("plain.mdb"), JINI_COPY_PLAIN, &error),
                 JINI_E_EXISTS);
    CHECK_STATUS(jini_copy(jini, harness_path("other"), (enum jini_copy_form)7, &error),
                 JINI_E_INVALID);
    CHECK_STATUS(jini_copy(jini, NULL, JINI_COPY_PLAIN, &error), JINI_E_INVALID);
    CHECK_OK(jini_close(jini, NULL, NULL));
    options.read_only = 1;
    options.create = 1;
    fixture_directory = harness_path("none");
    CHECK_STATUS(jini_open(&jini, fixture_directory, &options, &error), JINI_E_NOT_FOUND);
    CHECK(jini == NULL);
}

/* ---- Calls that block ---- */

struct blocking {
    struct jini *jini;
    _Atomic int copied;
    _Atomic int opened;
    _Atomic uint32_t returned;
};

static void try_to_block(struct blocking *blocking)
{
    struct jini_options options;
    struct jini_error error;
    struct jini *other;
    fixture_options(&options);
    atomic_store(&blocking->copied,
                 jini_copy(blocking->jini, harness_path("copy"), JINI_COPY_PLAIN, &error));
    int status = jini_open(&other, harness_path("other"), &options, &error);
    CHECK(status != 0 || jini_close(other, NULL, NULL) == 0);
    atomic_store(&blocking->opened, status);
}

static void block_in_callback(struct jini_request *request)
{
    struct blocking *blocking = request->data;
    try_to_block(blocking);
    atomic_store(&blocking->returned, 1);
}

static int block_in_transaction(struct jini_txn *txn, void *argument)
{
    (void)txn;
    try_to_block(argument);
    return 0;
}

static void submit_blocking(struct blocking *blocking, struct jini_write *write)
{
    jini_request_init(write);
    write->request.data = blocking;
    write->function = read_nothing;
    CHECK_OK(jini_write(blocking->jini, write, block_in_callback));
}

TEST(a_loop_does_not_wait_for_a_copy_or_an_open,
     "jini_copy() is refused on an attached loop, in callbacks and in transactions, jini_open() on "
     "the engine's threads; on a thread of the caller's both work.")
{
    struct blocking blocking = {.jini = fixture_open()};
    struct jini_write write;
    struct jini_error error;
    uv_loop_t loop;
    submit_blocking(&blocking, &write);
    while (!atomic_load(&blocking.returned))
        usleep(1000);
    CHECK_STATUS(blocking.copied, JINI_E_ON_LOOP);
    CHECK_STATUS(blocking.opened, JINI_E_ON_LOOP);
    jini_request_init(&write);
    write.function = block_in_transaction;
    write.argument = &blocking;
    CHECK_OK(jini_write(blocking.jini, &write, NULL));
    CHECK_STATUS(blocking.copied, JINI_E_ON_LOOP);
    CHECK_STATUS(blocking.opened, JINI_E_ON_LOOP);
    CHECK_INT(uv_loop_init(&loop), ==, 0);
    CHECK_OK(jini_attach(blocking.jini, &loop, &error));
    try_to_block(&blocking);
    CHECK_STATUS(blocking.copied, JINI_E_ON_LOOP);
    CHECK_OK(blocking.opened);
    CHECK_OK(jini_detach(blocking.jini));
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&loop), ==, 0);
    try_to_block(&blocking);
    CHECK_OK(blocking.copied);
    CHECK_OK(blocking.opened);
    CHECK_OK(jini_close(blocking.jini, NULL, NULL));
}

static int fork_and_open(struct jini_txn *txn, void *argument)
{
    struct blocking *blocking = argument;
    (void)txn;
    pid_t child = fork();
    if (child == 0) {
        try_to_block(blocking);
        _exit(blocking->copied == JINI_E_FORKED && blocking->opened == 0 ? 0 : 1);
    }
    harness_wait_exit(child, 0);
    return 0;
}

TEST(a_child_of_an_engines_thread_may_block,
     "A child that was forked on a thread of an engine is no thread of it, and opens anew.")
{
    if (harness_sanitized())
        harness_skip("other threads may hold a lock of the sanitizer's when a thread forks");
    struct blocking blocking = {.jini = fixture_open()};
    struct jini_write write;
    jini_request_init(&write);
    write.function = fork_and_open;
    write.argument = &blocking;
    CHECK_OK(jini_write(blocking.jini, &write, NULL));
    CHECK_OK(jini_close(blocking.jini, NULL, NULL));
}

TEST(one_process_opens_once, "A second open in one process is JINI_E_LOCKED, by whatever path.")
{
    struct jini *jini = fixture_open();
    struct jini *second;
    struct jini_options options;
    struct jini_error error;
    fixture_options(&options);
    CHECK_STATUS(jini_open(&second, fixture_db(), &options, &error), JINI_E_LOCKED);
    CHECK(second == NULL);
    CHECK(error.message[0] != '\0');
    CHECK_STATUS(jini_open(&second, harness_path("db/../db/."), &options, &error), JINI_E_LOCKED);
    CHECK_INT(symlink("db", "link"), ==, 0);
    CHECK_STATUS(jini_open(&second, "link", &options, &error), JINI_E_LOCKED);
    options.read_only = 1;
    CHECK_STATUS(jini_open(&second, fixture_db(), &options, &error), JINI_E_LOCKED);
    fixture_user(jini, "alice", "Free");
    CHECK_OK(jini_close(jini, NULL, NULL));
    CHECK_OK(jini_close(fixture_open(), NULL, NULL));
}

TEST(a_place_without_a_database_is_told, "Opening nothing, a file, or no path says which it was.")
{
    struct jini *jini;
    struct jini_options options;
    struct jini_error error;
    fixture_options(&options);
    options.create = 0;
    CHECK_STATUS(jini_open(&jini, fixture_db(), &options, &error), JINI_E_NOT_FOUND);
    CHECK_STATUS(jini_open(&jini, "", &options, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "path");
    CHECK_STATUS(jini_open(&jini, NULL, &options, &error), JINI_E_INVALID);
    CHECK(jini == NULL);
}

TEST(a_poisoned_engine_only_closes, "After an impossible state every function answers "
                                    "JINI_E_POISONED with the reason; close works.")
{
    struct jini *jini = fixture_open();
    struct jini_error error;
    uint64_t user = user_with_password(jini);
    struct jini_id id = fixture_put(jini, user, 1);
    CHECK_INT(unlink(harness_path("db/processes")), ==, 0);
    for (int i = 0; i < 1000 && jini_health(jini, &error) == 0; i++)
        usleep(10000);
    CHECK_STATUS(jini_health(jini, &error), JINI_E_POISONED);
    CHECK_CONTAINS(error.message, "processes");
    check_writing(jini, JINI_E_POISONED, user, &id);
    check_reading(jini, JINI_E_POISONED, user, &id);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
