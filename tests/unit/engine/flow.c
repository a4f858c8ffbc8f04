/*
 * The main job, end to end: a user, an admission, an image, the archive, and the same bytes back.
 */
#include <jini/jini.h>

#include "harness.h"
#include "png.h"

#include <stdio.h>
#include <stdlib.h>

static struct jini *open_engine(void)
{
    struct jini_options options;
    struct jini_error error;
    struct jini *jini;
    jini_options_init(&options);
    options.create = 1;
    options.store_run_twice = 1;
    options.background_run = 0;
    options.password_memory_kib = 64;
    options.password_passes = 1;
    int status = jini_open(&jini, harness_path("db"), &options, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "jini_open: %s: %s", error.field, error.message);
    return jini;
}

static void check_request(struct jini_request *request, int status, const char *what)
{
    if (status)
        harness_fail(__FILE__, __LINE__, "%s: %s: %s: %s", what, jini_status_name(status),
                     request->error.field, request->error.message);
}

static uint64_t add_user(struct jini *jini, const char *name, const char *tier)
{
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "%s", name);
    snprintf(add.user.email, sizeof(add.user.email), "%s@example.com", name);
    snprintf(add.user.tier, sizeof(add.user.tier), "%s", tier);
    add.user.flags = JINI_USER_ACTIVE;
    add.password = "correct horse";
    check_request(&add.request, jini_user_add(jini, &add, NULL), "add");
    return add.user.id;
}

static int admit(struct jini *jini, uint64_t user, struct jini_admit *request)
{
    jini_request_init(request);
    request->subject.kind = JINI_SUBJECT_USER;
    request->subject.number = user;
    request->parameters.width = 64;
    request->parameters.height = 64;
    request->parameters.steps = 20;
    request->parameters.count = 1;
    request->prompt = "a lighthouse";
    return jini_admit(jini, request, NULL);
}

static enum jini_image_state state_of(struct jini *jini, const struct jini_id *id)
{
    struct jini_image_place place;
    struct jini_error error;
    CHECK_OK(jini_image_locate(jini, id, &place, &error));
    return place.state;
}

TEST(an_image_comes_back_from_every_tier,
     "An admitted image is stored, archived, freed and read back identical; verify finds nothing.")
{
    struct jini *jini = open_engine();
    struct jini_error error;
    uint64_t user = add_user(jini, "alice", "Premium");
    enum { IMAGES = 20 };
    uint8_t *files[IMAGES];
    size_t lengths[IMAGES];
    struct jini_id ids[IMAGES];
    for (int i = 0; i < IMAGES; i++) {
        char text[3000];
        memset(text, 'x', sizeof(text));
        snprintf(text, 200,
                 "prompt\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: %d, Size: 64x64", i);
        if (i % 2)
            text[strlen(text)] = ' ';
        text[sizeof(text) - 1] = '\0';
        struct png_request png = {64 + (unsigned)i, 64, (uint64_t)i, text, NULL};
        files[i] = png_make(&png, &lengths[i]);
        struct jini_admit request;
        check_request(&request.request, admit(jini, user, &request), "admit");
        struct jini_image_put put;
        jini_request_init(&put);
        put.bytes = files[i];
        put.length = lengths[i];
        put.user_id = user;
        put.job_id = request.job.id;
        put.flags = JINI_PUT_SETTLES;
        check_request(&put.request, jini_image_put(jini, &put, NULL), "put");
        ids[i] = put.image.id;
        CHECK_UINT(put.image.width, ==, 64 + i);
        CHECK_INT(put.image.seed, ==, i);
        struct jini_job job;
        CHECK_OK(jini_job_get(jini, &request.job.id, &job, &error));
        CHECK_INT(job.state, ==, JINI_JOB_COMPLETED);
    }
    for (int round = 0; round < 3; round++) {
        static uint8_t bytes[200000];
        for (int i = 0; i < IMAGES; i++) {
            struct jini_image_get get;
            jini_request_init(&get);
            get.id = ids[i];
            get.buffer = bytes;
            get.capacity = sizeof(bytes);
            check_request(&get.request, jini_image_get(jini, &get, NULL), "get");
            CHECK_UINT(get.length, ==, lengths[i]);
            CHECK_BYTES(bytes, files[i], lengths[i]);
            get.what = JINI_GET_METADATA;
            check_request(&get.request, jini_image_get(jini, &get, NULL), "metadata");
            CHECK_UINT(get.length, >, 0);
            size_t position = 0;
            struct jini_metadata_text text;
            CHECK_OK(jini_metadata_next(bytes, get.length, &position, &text));
            CHECK_BYTES(text.keyword, "parameters", 10);
            if (round == 2)
                CHECK_INT(state_of(jini, &ids[i]), ==, JINI_IMAGE_COLD);
        }
        struct jini_archive_run run;
        jini_request_init(&run);
        run.flags = JINI_TIERING_NOW | (round ? JINI_TIERING_FREE_HOT : 0);
        check_request(&run.request, jini_archive_run(jini, &run, NULL), "archive");
        struct jini_verify verify;
        jini_request_init(&verify);
        verify.flags = JINI_VERIFY_DEEP;
        check_request(&verify.request, jini_verify(jini, &verify, NULL), "verify");
        CHECK_UINT(verify.problems, ==, 0);
        CHECK_UINT(verify.images, ==, IMAGES);
    }
    struct jini_archive_status status;
    CHECK_OK(jini_archive_status(jini, &status, &error));
    CHECK_UINT(status.images_cold, ==, IMAGES);
    struct jini_list_cursor cursor = {0};
    struct jini_image list[64];
    size_t count;
    CHECK_OK(jini_image_list(jini, user, &cursor, list, 64, &count, &error));
    CHECK_UINT(count, ==, IMAGES);
    CHECK_INT(jini_id_compare(&list[0].id, &ids[IMAGES - 1]), ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
    for (int i = 0; i < IMAGES; i++)
        free(files[i]);
}

TEST(a_refusal_names_its_limit,
     "The sixth image of a minute is refused with the limit, its numbers and when to return.")
{
    struct jini *jini = open_engine();
    uint64_t user = add_user(jini, "bob", "Free");
    struct jini_admit request;
    for (int i = 0; i < 5; i++) {
        check_request(&request.request, admit(jini, user, &request), "admit");
        CHECK_UINT(request.answer.count, ==, 2);
        CHECK_UINT(request.answer.entries[0].remaining, ==, 4 - i);
        CHECK_UINT(request.answer.entries[1].remaining, ==, 29 - i);
        struct jini_settle settle;
        jini_request_init(&settle);
        settle.job_id = request.job.id;
        check_request(&settle.request, jini_settle(jini, &settle, NULL), "settle");
    }
    CHECK_STATUS(admit(jini, user, &request), JINI_E_LIMITED);
    CHECK_UINT(request.answer.decided, ==, 0);
    CHECK_UINT(request.answer.retry_after_ms, >, 0);
    CHECK_CONTAINS(request.request.error.message, "5 per 1 minute");
    struct jini_user found;
    struct jini_error error;
    struct jini_login login;
    jini_request_init(&login);
    login.login = "BOB@example.com";
    login.password = "correct horse";
    check_request(&login.request, jini_login(jini, &login, NULL), "login");
    login.password = "wrong";
    CHECK_STATUS(jini_login(jini, &login, NULL), JINI_E_DENIED);
    CHECK_OK(jini_user_get(jini, user, &found, &error));
    CHECK_TEXT(found.username, "bob");
    static char metrics[65536];
    size_t length;
    CHECK_OK(jini_metrics(jini, metrics, sizeof(metrics), &length, &error));
    CHECK_CONTAINS(metrics, "jini_limits_admitted_total 5");
    CHECK_OK(jini_close(jini, NULL, NULL));
}
