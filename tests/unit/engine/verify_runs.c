/* A verify beside other work: it holds up nobody, and there is one at a time. */
#include "engine_fixture.h"

#include "images/pack_path.h"

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

struct told {
    unsigned unreachable;
    unsigned missing;
    unsigned others;
};

static void count_problem(void *context, const struct jini_verify_problem *problem)
{
    struct told *told = context;
    told->unreachable += strcmp(problem->kind, "archive_unreachable") == 0;
    told->missing += strcmp(problem->kind, "pack_missing") == 0;
    told->others++;
}

static void lose_file(const struct jini_id *pack)
{
    char path[PACK_PATH_MAX];
    char whole[600];
    pack_path(pack, path);
    snprintf(whole, sizeof(whole), "%s/%s", fixture_db(), path);
    CHECK_INT(unlink(whole), ==, 0);
}

/* All of `packs` are looked at, of which one has lost its local file. */
static void verify_without_archive(unsigned packs)
{
    struct told told = {0};
    struct jini_verify verify;
    struct jini *jini = fixture_open();
    jini_request_init(&verify);
    verify.report = count_problem;
    verify.context = &told;
    fixture_must(jini_verify(jini, &verify, NULL), "verify", &verify.request.error);
    CHECK_UINT(verify.packs, ==, packs);
    CHECK_UINT(told.unreachable, ==, 1);
    CHECK_UINT(told.missing, ==, 1);
    CHECK_UINT(told.others, ==, 2);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_verify_without_its_archive_checks_the_rest,
     "Where the archive is gone, or something else stands in its place, a verify says so once and "
     "checks all that is not in it.")
{
    enum { COLD = 3 };
    char there[600];
    char gone[600];
    struct jini_image_place place;
    struct jini_error error;
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    for (uint64_t i = 0; i < COLD; i++) {
        fixture_put(jini, user, i);
        fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    }
    struct jini_id hot = fixture_put(jini, user, COLD); /* in the last pack */
    fixture_must(jini_image_locate(jini, &hot, &place, &error), "locate", &error);
    CHECK_OK(jini_close(jini, NULL, NULL));
    lose_file(&place.pack_id);
    snprintf(there, sizeof(there), "%s/archive", fixture_db());
    snprintf(gone, sizeof(gone), "%s/gone", fixture_db());
    CHECK(rename(there, gone) == 0);
    verify_without_archive(COLD + 1);
    FILE *file = fopen(there, "w");
    CHECK(file != NULL && fclose(file) == 0);
    verify_without_archive(COLD + 1);
}
