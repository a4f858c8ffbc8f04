/*
 * Calls of the engine inside of transactions of the caller's: what commits together, what is
 * undone, and what comes after the commit.
 */
#include "plant.h"

#include "generations/generations.h"

#include <pthread.h>
#include <stdio.h>

static int write_with(struct jini *jini, struct jini_write *write, jini_txn_fn *function,
                      void *argument)
{
    jini_request_init(write);
    write->function = function;
    write->argument = argument;
    return jini_write(jini, write, NULL);
}

static struct jini_id admit(struct jini *jini, uint64_t user)
{
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    admit.parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    fixture_must(jini_admit(jini, &admit, NULL), "admit", &admit.request.error);
    return admit.job.id;
}

static int state_of(struct jini *jini, const struct jini_id *id)
{
    struct jini_job job;
    struct jini_error error;
    CHECK_OK(jini_job_get(jini, id, &job, &error));
    return (int)job.state;
}

static struct jini_user user_of(struct jini *jini, uint64_t id)
{
    struct jini_user user;
    struct jini_error error;
    CHECK_OK(jini_user_get(jini, id, &user, &error));
    return user;
}

static uint64_t rate_left(struct jini *jini, uint64_t user)
{
    struct jini_limit_check check = {.subject = {.kind = JINI_SUBJECT_USER, .number = user},
                                     .flags = JINI_CHECK_PEEK};
    struct jini_limit_answer answer;
    struct jini_error error;
    CHECK_OK(jini_limit_check(jini, &check, &answer, &error));
    return answer.entries[0].remaining;
}

/* ---- Together ---- */

/* The caller's own record, a change of a user and the end of a job; `answer` is the function's. */
struct together {
    struct jini_user_set set;
    struct jini_settle settle;
    int answer;
};

static int do_together(struct jini_txn *txn, void *argument)
{
    struct together *together = argument;
    CHECK_OK(jini_txn_put(txn, "bill", 4, "paid", 4));
    CHECK_OK(jini_txn_user_set(txn, &together->set));
    CHECK_OK(jini_txn_settle(txn, &together->settle));
    CHECK_INT(together->settle.job.state, ==, JINI_JOB_COMPLETED);
    return together->answer;
}

static int get_bill(struct jini_txn *txn, void *argument)
{
    char value[8];
    size_t length;
    (void)argument;
    return jini_txn_get(txn, "bill", 4, value, sizeof(value), &length);
}

TEST(they_commit_together_or_not_at_all,
     "A record of the caller's, a change of a user and a settlement are all there, or when the "
     "function fails after them none is, under store.run_twice.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Free");
    struct jini_id job = admit(jini, user);
    struct together together;
    struct jini_write write;
    jini_request_init(&together.set);
    together.set.user.id = user;
    together.set.fields = JINI_USER_FIELD_TIER | JINI_USER_FIELD_REVOKE;
    snprintf(together.set.user.tier, sizeof(together.set.user.tier), "premium");
    jini_request_init(&together.settle);
    together.settle.job_id = job;
    together.answer = JINI_E_CONFLICT;
    CHECK_STATUS(write_with(jini, &write, do_together, &together), JINI_E_CONFLICT);
    CHECK_TEXT(user_of(jini, user).tier, "Free");
    CHECK_UINT(user_of(jini, user).revocation_epoch, ==, 0);
    CHECK_INT(state_of(jini, &job), ==, JINI_JOB_IN_QUEUE);
    CHECK_STATUS(jini_read(jini, get_bill, NULL, NULL), JINI_E_NOT_FOUND);
    together.answer = 0;
    CHECK_OK(write_with(jini, &write, do_together, &together));
    CHECK_TEXT(user_of(jini, user).tier, "Premium");
    CHECK_UINT(user_of(jini, user).revocation_epoch, ==, 1);
    CHECK_UINT(together.set.user.revocation_epoch, ==, 1);
    CHECK_INT(state_of(jini, &job), ==, JINI_JOB_COMPLETED);
    CHECK_OK(jini_read(jini, get_bill, NULL, NULL));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

struct giving_back {
    struct jini_release release;
    int answer;
};

static int do_release(struct jini_txn *txn, void *argument)
{
    struct giving_back *back = argument;
    CHECK_OK(jini_txn_release(txn, &back->release));
    return back->answer;
}

TEST(rate_limits_go_back_after_the_commit,
     "What a release inside of a transaction gives back of rate limits is given back once, when it "
     "has committed, and not at all when it is undone.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Free");
    struct jini_id job = admit(jini, user);
    struct giving_back back;
    struct jini_write write;
    admit(jini, user);
    CHECK_UINT(rate_left(jini, user), ==, 3);
    jini_request_init(&back.release);
    back.release.job_id = job;
    back.release.state = JINI_JOB_FAILED;
    back.release.reason = "the worker is gone";
    back.answer = JINI_E_CONFLICT;
    CHECK_STATUS(write_with(jini, &write, do_release, &back), JINI_E_CONFLICT);
    CHECK_UINT(rate_left(jini, user), ==, 3);
    CHECK_INT(state_of(jini, &job), ==, JINI_JOB_IN_QUEUE);
    back.answer = 0;
    CHECK_OK(write_with(jini, &write, do_release, &back));
    CHECK_UINT(rate_left(jini, user), ==, 4);
    CHECK_INT(state_of(jini, &job), ==, JINI_JOB_FAILED);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- One that fails ---- */

static int op_create(struct store_txn *txn, void *argument)
{
    return generations_job_create(txn, argument, NULL);
}

/* Its reservation is of no version that there is: settling it fails after a first write. */
static struct jini_id plant_damaged_job(struct jini *jini, uint64_t user)
{
    struct generations_job job = {
        .id = id_next(&jini->ids),
        .user_id = user,
        .parameters = {.width = 64, .height = 64, .steps = 20, .count = 1},
        .prompt = slice_of_text(""),
        .negative = slice_of_text(""),
        .created_ms = 1,
        .reservation = slice_of_text("rotten"),
    };
    CHECK_OK(store_write(jini->store, op_create, &job));
    return job.id;
}

struct tolerant {
    struct jini_user_add add;
    struct jini_settle settle;
    int settled;
};

static int go_on_after_failures(struct jini_txn *txn, void *argument)
{
    struct tolerant *tolerant = argument;
    CHECK_STATUS(jini_txn_user_add(txn, &tolerant->add), JINI_E_EXISTS);
    CHECK_TEXT(tolerant->add.request.error.field, "username");
    tolerant->settled = jini_txn_settle(txn, &tolerant->settle);
    return jini_txn_put(txn, "bill", 4, "paid", 4);
}

TEST(a_call_that_fails_leaves_nothing,
     "A function may go on after a call that failed: nothing of the call is there, even where it "
     "failed after it wrote.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Free");
    struct jini_id job = plant_damaged_job(jini, user);
    struct tolerant tolerant;
    struct jini_write write;
    jini_request_init(&tolerant.add);
    snprintf(tolerant.add.user.username, sizeof(tolerant.add.user.username), "Alice");
    jini_request_init(&tolerant.settle);
    tolerant.settle.job_id = job;
    CHECK_OK(write_with(jini, &write, go_on_after_failures, &tolerant));
    CHECK_STATUS(tolerant.settled, JINI_E_CORRUPT);
    CHECK_INT(state_of(jini, &job), ==, JINI_JOB_IN_QUEUE);
    CHECK_OK(jini_read(jini, get_bill, NULL, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static int find_nobody(struct jini_txn *txn, void *argument)
{
    struct jini_user user;
    (void)argument;
    return jini_txn_user_find(txn, "nobody", &user, NULL);
}

static int settle_nothing(struct jini_txn *txn, void *argument)
{
    return jini_txn_settle(txn, argument);
}

TEST(the_error_of_a_call_is_that_of_the_whole,
     "A function that answers with the status of a call that failed has that call's error.")
{
    struct jini *jini = fixture_open();
    struct jini_settle settle;
    struct jini_write write;
    struct jini_error error;
    CHECK_STATUS(jini_read(jini, find_nobody, NULL, &error), JINI_E_NOT_FOUND);
    CHECK_TEXT(error.field, "login");
    CHECK_CONTAINS(error.message, "\"nobody\"");
    CHECK_STATUS(write_with(jini, &write, find_nobody, NULL), JINI_E_NOT_FOUND);
    CHECK_TEXT(write.request.error.field, "login");
    jini_request_init(&settle);
    CHECK_STATUS(write_with(jini, &write, settle_nothing, &settle), JINI_E_NOT_FOUND);
    CHECK_TEXT(write.request.error.field, settle.request.error.field);
    CHECK_TEXT(write.request.error.message, settle.request.error.message);
    CHECK_STATUS(settle.request.status, JINI_E_NOT_FOUND);
    settle.request.size--;
    CHECK_STATUS(write_with(jini, &write, settle_nothing, &settle), JINI_E_INVALID);
    CHECK_TEXT(settle.request.error.field, "request");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static int do_without_nobody(struct jini_txn *txn, void *argument)
{
    (void)find_nobody(txn, argument);
    return 0;
}

TEST(what_a_function_makes_good_leaves_no_error,
     "A function that answers 0 although a call in it failed leaves the error clear.")
{
    struct jini *jini = fixture_open();
    struct jini_write write;
    struct jini_error error;
    CHECK_OK(jini_read(jini, do_without_nobody, NULL, &error));
    CHECK_INT(error.code, ==, 0);
    CHECK_TEXT(error.message, "");
    CHECK_OK(write_with(jini, &write, do_without_nobody, NULL));
    CHECK_INT(write.request.error.code, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- A snapshot ---- */

struct all_calls {
    struct jini_user_add add;
    struct jini_user_set set;
    struct jini_tier_set tier;
    struct jini_tier_remove tier_remove;
    struct jini_renew renew;
    struct jini_settle settle;
    struct jini_release release;
    struct jini_image_remove image;
};

static void check_refused(int status, const struct jini_request *request)
{
    CHECK_STATUS(status, JINI_E_READ_ONLY);
    CHECK_STATUS(request->status, JINI_E_READ_ONLY);
    CHECK_TEXT(request->error.field, "txn");
    CHECK_CONTAINS(request->error.message, "jini_write()");
}

static int write_on_a_snapshot(struct jini_txn *txn, void *argument)
{
    struct all_calls *all = argument;
    check_refused(jini_txn_user_add(txn, &all->add), &all->add.request);
    check_refused(jini_txn_user_set(txn, &all->set), &all->set.request);
    check_refused(jini_txn_tier_set(txn, &all->tier), &all->tier.request);
    check_refused(jini_txn_tier_remove(txn, &all->tier_remove), &all->tier_remove.request);
    check_refused(jini_txn_renew(txn, &all->renew), &all->renew.request);
    check_refused(jini_txn_settle(txn, &all->settle), &all->settle.request);
    check_refused(jini_txn_release(txn, &all->release), &all->release.request);
    check_refused(jini_txn_image_remove(txn, &all->image), &all->image.request);
    check_refused(jini_txn_image_restore(txn, &all->image), &all->image.request);
    return 0;
}

TEST(a_snapshot_takes_no_call_that_writes,
     "On a snapshot each call that writes is JINI_E_READ_ONLY, and says where it belongs.")
{
    static struct all_calls all;
    struct jini *jini = fixture_open();
    jini_request_init(&all.add);
    jini_request_init(&all.set);
    jini_request_init(&all.tier);
    jini_request_init(&all.tier_remove);
    jini_request_init(&all.renew);
    jini_request_init(&all.settle);
    jini_request_init(&all.release);
    jini_request_init(&all.image);
    CHECK_OK(jini_read(jini, write_on_a_snapshot, &all, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- What each does ---- */

struct accounts {
    uint64_t user;
    struct jini_user_set set;
    struct jini_user_add add;
    struct jini_user_add other;
    struct jini_tier_set tier;
    struct jini_tier_remove remove;
};

/* Everything sees what the transaction wrote before it. */
static int change_accounts(struct jini_txn *txn, void *argument)
{
    struct accounts *a = argument;
    static struct jini_tier tiers[JINI_TIERS_MAX];
    struct jini_tier tier;
    struct jini_user users[4];
    struct jini_error error;
    size_t count;
    CHECK_OK(jini_txn_tier_set(txn, &a->tier));
    CHECK_OK(jini_txn_tier_get(txn, "GOLD", &tier, &error));
    CHECK_UINT(tier.price_minor, ==, 2500);
    CHECK_OK(jini_txn_tier_list(txn, tiers, JINI_TIERS_MAX, &count, &error));
    CHECK_UINT(count, ==, 4);
    CHECK_OK(jini_txn_user_set(txn, &a->set));
    CHECK_OK(jini_txn_user_get(txn, a->user, users, &error));
    CHECK_TEXT(users[0].tier, "Gold");
    CHECK_OK(jini_txn_user_add(txn, &a->add));
    CHECK_OK(jini_txn_user_add(txn, &a->other));
    CHECK_UINT(a->add.user.id, !=, a->other.user.id);
    CHECK_OK(jini_txn_user_find(txn, "BOB@example.com", users, &error));
    CHECK_UINT(users[0].id, ==, a->add.user.id);
    CHECK_OK(jini_txn_user_list(txn, 0, users, 4, &count, &error));
    CHECK_UINT(count, ==, 3);
    CHECK_STATUS(jini_txn_user_get(txn, 999, users, &error), JINI_E_NOT_FOUND);
    CHECK_CONTAINS(error.message, "999");
    CHECK_STATUS(jini_txn_tier_get(txn, "none", &tier, NULL), JINI_E_NOT_FOUND);
    CHECK_STATUS(jini_txn_tier_remove(txn, &a->remove), JINI_E_IN_USE);
    return 0;
}

TEST(accounts_change_inside,
     "Tiers and users are added, changed and read within one transaction, and a user who was added "
     "there logs in.")
{
    static struct accounts a;
    struct jini *jini = fixture_open();
    struct jini_password_set password;
    struct jini_write write;
    a.user = fixture_user(jini, "alice", "Free");
    jini_request_init(&a.tier);
    a.tier.tier = (struct jini_tier){.name = "Gold", .currency = "EUR", .price_minor = 2500};
    snprintf(a.tier.tier.allowance.limits, JINI_LIMITS_TEXT_MAX, "9/minute; 9/day calendar");
    jini_request_init(&a.set);
    a.set.user.id = a.user;
    a.set.fields = JINI_USER_FIELD_TIER;
    snprintf(a.set.user.tier, sizeof(a.set.user.tier), "gold");
    jini_request_init(&a.add);
    snprintf(a.add.user.username, sizeof(a.add.user.username), "bob");
    snprintf(a.add.user.email, sizeof(a.add.user.email), "bob@example.com");
    a.add.user.flags = JINI_USER_ACTIVE;
    a.add.password_hash =
        "pbkdf2_sha256$1000$4ab1XyzQ$Z/i7WL3/OyShFOd1wS7sEn1sErdtwk6b8z1oynxtQoU=";
    jini_request_init(&a.other);
    snprintf(a.other.user.username, sizeof(a.other.user.username), "carol");
    jini_request_init(&a.remove);
    snprintf(a.remove.name, sizeof(a.remove.name), "Gold");
    CHECK_OK(write_with(jini, &write, change_accounts, &a));
    struct jini_login login;
    jini_request_init(&login);
    login.login = "bob";
    login.password = "s3cret-pw";
    CHECK_OK(jini_login(jini, &login, NULL));
    CHECK_UINT(login.user.id, ==, a.add.user.id);
    CHECK_UINT(fixture_user(jini, "dave", "Free"), >, 0);
    jini_request_init(&password);
    password.user_id = a.other.user.id;
    password.password = "correct horse";
    CHECK_OK(jini_password_set(jini, &password, NULL));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static int add_inside(struct jini_txn *txn, void *argument)
{
    return jini_txn_user_add(txn, argument);
}

static int set_inside(struct jini_txn *txn, void *argument)
{
    return jini_txn_user_set(txn, argument);
}

TEST(
    what_needs_more_than_records_is_refused_inside,
    "A password, a name to be made and a time zone are refused by name; overrides that have a zone "
    "already stay as they are.")
{
    struct jini *jini = fixture_open();
    struct jini_user_add add;
    struct jini_user_set set;
    struct jini_write write;
    jini_request_init(&add);
    snprintf(add.user.email, sizeof(add.user.email), "bob@example.com");
    CHECK_STATUS(write_with(jini, &write, add_inside, &add), JINI_E_INVALID);
    CHECK_TEXT(write.request.error.field, "username");
    snprintf(add.user.username, sizeof(add.user.username), "bob");
    add.password = "correct horse";
    CHECK_STATUS(write_with(jini, &write, add_inside, &add), JINI_E_INVALID);
    CHECK_TEXT(write.request.error.field, "password");
    jini_request_init(&set);
    set.user.id = fixture_user(jini, "alice", "Free");
    set.fields = JINI_USER_FIELD_OVERRIDES;
    set.override_fields = JINI_ALLOWANCE_LIMITS;
    set.user.override_mask = JINI_ALLOWANCE_LIMITS;
    snprintf(set.user.overrides.limits, JINI_LIMITS_TEXT_MAX, "9/day calendar Europe/Berlin");
    CHECK_STATUS(write_with(jini, &write, set_inside, &set), JINI_E_INVALID);
    CHECK_TEXT(write.request.error.field, "overrides.limits");
    CHECK_CONTAINS(write.request.error.message, "Europe/Berlin");
    CHECK_OK(jini_user_set(jini, &set, NULL));
    set.override_fields = JINI_ALLOWANCE_WIDTH;
    set.user.override_mask = JINI_ALLOWANCE_WIDTH;
    set.user.overrides.width_max = 640;
    CHECK_OK(write_with(jini, &write, set_inside, &set));
    CHECK_TEXT(set.user.overrides.limits, "9/day calendar Europe/Berlin");
    CHECK_UINT(set.user.overrides.width_max, ==, 640);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

struct images {
    uint64_t user;
    struct jini_id job;
    struct jini_renew renew;
    struct jini_image_remove image;
};

static int move_images(struct jini_txn *txn, void *argument)
{
    struct images *images = argument;
    struct jini_list_cursor cursor = {0};
    struct jini_image image;
    struct jini_image_place place;
    struct jini_usage usage;
    struct jini_error error;
    struct jini_job job;
    struct jini_id ids[4];
    char prompt[32];
    size_t count;
    CHECK_OK(jini_txn_image_remove(txn, &images->image));
    CHECK_STATUS(jini_txn_image_remove(txn, &images->image), JINI_E_NOT_FOUND);
    CHECK_OK(jini_txn_image_stat(txn, &images->image.id, &image, &error));
    CHECK(image.flags & JINI_IMAGE_TRASHED);
    CHECK_OK(jini_txn_image_locate(txn, &images->image.id, &place, &error));
    CHECK_INT(place.state, ==, JINI_IMAGE_TRASH);
    CHECK_OK(jini_txn_usage_get(txn, images->user, &usage, &error));
    CHECK_UINT(usage.images, ==, 0);
    CHECK_UINT(usage.trashed_images, ==, 1);
    CHECK_OK(jini_txn_image_list(txn, images->user, &cursor, &image, 1, &count, &error));
    CHECK_UINT(count, ==, 0);
    CHECK_OK(jini_txn_image_restore(txn, &images->image));
    CHECK_OK(jini_txn_image_stat(txn, &images->image.id, &image, &error));
    CHECK(!(image.flags & JINI_IMAGE_TRASHED));
    CHECK_OK(jini_txn_renew(txn, &images->renew));
    CHECK_OK(jini_txn_job_get(txn, &images->job, &job, &error));
    CHECK_INT(job.state, ==, JINI_JOB_IN_PROGRESS);
    CHECK_OK(jini_txn_job_prompts(txn, &images->job, prompt, sizeof(prompt), NULL, 0, &error));
    CHECK_TEXT(prompt, "");
    CHECK_OK(jini_txn_job_images(txn, &images->job, ids, 4, &count, &error));
    CHECK_UINT(count, ==, 0);
    cursor = (struct jini_list_cursor){0};
    CHECK_OK(jini_txn_job_list(txn, images->user, &cursor, &job, 1, &count, &error));
    CHECK_UINT(count, ==, 1);
    return jini_txn_image_remove(txn, &images->image);
}

TEST(images_move_inside, "An image goes to the trash and comes back within one transaction, which "
                         "sees each step; jobs, lists and usage are read there.")
{
    struct jini *jini = fixture_open();
    struct images images = {.user = fixture_user(jini, "alice", "Premium")};
    struct jini_write write;
    struct jini_usage usage;
    struct jini_error error;
    images.job = admit(jini, images.user);
    jini_request_init(&images.renew);
    images.renew.job_id = images.job;
    images.renew.state = JINI_JOB_IN_PROGRESS;
    jini_request_init(&images.image);
    images.image.id = fixture_put(jini, images.user, 1);
    CHECK_OK(write_with(jini, &write, move_images, &images));
    CHECK_OK(jini_usage_get(jini, images.user, &usage, &error));
    CHECK_UINT(usage.trashed_images, ==, 1);
    CHECK_OK(jini_image_restore(jini, &images.image, NULL));
    CHECK_OK(fixture_get(jini, &images.image.id, 1));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Many at once ---- */

enum { STORM_THREADS = 4, STORM_WRITES = 60 };

struct storm {
    struct jini *jini;
    uint64_t user;
    uint64_t seed;
    unsigned done;
};

struct step {
    struct storm *storm;
    int answer;
};

/* The caller's count and the user's last name move together. */
static int count_up(struct jini_txn *txn, void *argument)
{
    const struct step *step = argument;
    struct jini_user_set set;
    uint64_t count = 0;
    size_t length;
    int status = jini_txn_get(txn, "count", 5, &count, sizeof(count), &length);
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    count++;
    jini_request_init(&set);
    set.user.id = step->storm->user;
    set.fields = JINI_USER_FIELD_LAST_NAME;
    snprintf(set.user.last_name, sizeof(set.user.last_name), "%u", (unsigned)count);
    status = jini_txn_user_set(txn, &set);
    if (status == 0)
        status = jini_txn_put(txn, "count", 5, &count, sizeof(count));
    return status ? status : step->answer;
}

static void *storm_main(void *argument)
{
    struct storm *storm = argument;
    struct jini_write write;
    for (unsigned i = 0; i < STORM_WRITES; i++) {
        struct step step = {storm, storm->seed >> i % 64 & 1 ? JINI_E_CONFLICT : 0};
        CHECK_STATUS(write_with(storm->jini, &write, count_up, &step), step.answer);
        storm->done += step.answer == 0;
    }
    return NULL;
}

static int get_count(struct jini_txn *txn, void *argument)
{
    size_t length;
    return jini_txn_get(txn, "count", 5, argument, sizeof(uint64_t), &length);
}

TEST(those_that_fail_leave_the_others_alone,
     "Of transactions of four threads that share commits, half of which fail at their end, the "
     "others hold, with their records and calls in step.")
{
    static struct storm storms[STORM_THREADS];
    pthread_t threads[STORM_THREADS];
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Free");
    uint64_t count = 0;
    uint64_t done = 0;
    char text[24];
    for (unsigned t = 0; t < STORM_THREADS; t++) {
        storms[t] = (struct storm){.jini = jini, .user = user, .seed = harness_random()};
        CHECK_INT(pthread_create(&threads[t], NULL, storm_main, &storms[t]), ==, 0);
    }
    for (unsigned t = 0; t < STORM_THREADS; t++) {
        pthread_join(threads[t], NULL);
        done += storms[t].done;
    }
    CHECK_OK(jini_read(jini, get_count, &count, NULL));
    CHECK_UINT(count, ==, done);
    snprintf(text, sizeof(text), "%u", (unsigned)done);
    CHECK_TEXT(user_of(jini, user).last_name, text);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
