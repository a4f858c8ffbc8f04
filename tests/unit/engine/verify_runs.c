/* A verify beside other work: it holds up nobody, and there is one at a time. */
#include "engine_fixture.h"

#include <stdatomic.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000 };

/* A verify that stops at its first progress until it is let go on. */
struct held {
    struct jini_verify verify;
    _Atomic int entered;
    _Atomic int go_on;
    _Atomic int came_back;
};

static void hold(void *context, const char *phase, uint64_t done, uint64_t total)
{
    struct held *held = context;
    (void)phase;
    (void)done;
    (void)total;
    atomic_store(&held->entered, 1);
    while (!atomic_load(&held->go_on))
        usleep(1000);
}

static void on_return(struct jini_request *request)
{
    _Atomic int *came_back = request->data;
    atomic_store(came_back, 1);
}

static void wait_for(const _Atomic int *flag)
{
    for (int i = 0; i < PATIENCE_MS && !atomic_load(flag); i++)
        usleep(1000);
    CHECK_INT(*flag, ==, 1);
}

static void begin(struct jini *jini, struct held *held)
{
    memset(held, 0, sizeof(*held));
    jini_request_init(&held->verify);
    held->verify.request.data = &held->came_back;
    held->verify.progress = hold;
    held->verify.context = held;
    CHECK_OK(jini_verify(jini, &held->verify, on_return));
    wait_for(&held->entered);
}

static struct jini *open_with_one_thread(void)
{
    struct jini_options options;
    fixture_options(&options);
    options.cpu_threads = 1;
    return fixture_open_with(&options);
}

TEST(a_put_goes_on_beside_a_verify,
     "With a single thread for CPU work, an image is stored while a verify is under way.")
{
    static struct held held;
    struct png_request png = {64, 64, 2, "made for a test", NULL};
    struct jini_image_put put;
    _Atomic int stored = 0;
    struct jini *jini = open_with_one_thread();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    fixture_put(jini, user, 1);
    begin(jini, &held);
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    put.user_id = user;
    put.request.data = &stored;
    CHECK_OK(jini_image_put(jini, &put, on_return));
    wait_for(&stored);
    CHECK_OK(put.request.status);
    atomic_store(&held.go_on, 1);
    wait_for(&held.came_back);
    CHECK_OK(held.verify.request.status);
    CHECK_UINT(held.verify.problems, ==, 0);
    free(file);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(one_verify_runs_at_a_time,
     "A second verify is refused as JINI_E_BUSY, in words, until the first has come back.")
{
    static struct held held;
    struct jini_verify second;
    struct jini *jini = open_with_one_thread();
    fixture_put(jini, fixture_user(jini, "alice", "Premium"), 1);
    begin(jini, &held);
    jini_request_init(&second);
    CHECK_STATUS(jini_verify(jini, &second, NULL), JINI_E_BUSY);
    CHECK_CONTAINS(second.request.error.message, "another verify");
    atomic_store(&held.go_on, 1);
    wait_for(&held.came_back);
    for (int i = 0; i < 50; i++)
        fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
