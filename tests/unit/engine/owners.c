/* Which of several databases of one origin may delete from their archive: the tokens of owner.h. */
#include "engine/tiering_private.h"

#include "archive/fault.h"
#include "found.h"
#include "plant.h"
#include "shared_archive.h"

#include <pthread.h>
#include <unistd.h>

/* ---- What the tests do and ask ---- */

/* An image in a pack of its own, in the archive alone. */
static struct jini_id add_image(struct jini *jini, uint64_t seed)
{
    static const char name[] = "ada";
    struct jini_user user;
    struct jini_error error;
    if (jini_user_find(jini, name, &user, &error) != 0)
        user.id = fixture_user(jini, name, "Premium");
    struct jini_id image = fixture_put(jini, user.id, seed);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    return image;
}

static unsigned objects(void)
{
    return shared_files(harness_path("shared/packs"), NULL);
}

static unsigned tokens(char one[1024])
{
    return shared_files(harness_path("shared/owners"), one);
}

/* Removes an image for good and runs; returns why its object stays. */
static enum jini_keeping purge_one(struct jini *jini, const struct jini_id *image)
{
    struct jini_archive_run run;
    unsigned before = objects();
    shared_purge(jini, image, 1);
    fixture_tier(jini, JINI_TIERING_NOW, &run);
    CHECK_UINT(objects(), ==, before - (run.keeping == JINI_KEEPING_NOTHING));
    CHECK_UINT(shared_status(jini).keeping, ==, run.keeping);
    CHECK((run.objects_kept > 0) == (run.keeping != JINI_KEEPING_NOTHING));
    return (enum jini_keeping)run.keeping;
}

/* What a clone of the disk is: the same records, which lie at home. */
static struct jini *clone_of(struct jini *jini, const char *directory, const char *url)
{
    shared_copy(jini, directory);
    struct jini *clone = shared_open(directory, url);
    plant_home(clone);
    CHECK_UINT(shared_status(clone).keeping, ==, JINI_KEEPING_NOTHING);
    return clone;
}

static void adopt(struct jini *jini)
{
    struct jini_error error;
    fixture_must(jini_archive_adopt(jini, &error), "adopt", &error);
    CHECK_UINT(shared_status(jini).keeping, ==, JINI_KEEPING_NOTHING);
}

/* ---- One database ---- */

TEST(a_run_that_deletes_takes_a_new_token,
     "An archive has no token before something is deleted; after each run that deletes it has one, "
     "another than before. A run that deletes nothing leaves it.")
{
    struct jini *jini = shared_open("db", shared_url());
    struct jini_id images[3];
    char before[1024] = "";
    for (unsigned i = 0; i < 3; i++)
        images[i] = add_image(jini, i + 1);
    CHECK_UINT(tokens(NULL), ==, 0);
    for (unsigned i = 0; i < 3; i++) {
        char after[1024];
        CHECK_INT(purge_one(jini, &images[i]), ==, JINI_KEEPING_NOTHING);
        CHECK_UINT(tokens(after), ==, 1);
        CHECK(strcmp(before, after) != 0);
        memcpy(before, after, sizeof(before));
        add_image(jini, 10 + i);
        CHECK_UINT(tokens(after), ==, 1);
        CHECK_TEXT(after, before);
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

enum work { RUN, ADOPT };

struct interrupted {
    bool met; /* the request that was to fail */
    int status;
};

/* Work with an archive of which the request of this number fails. */
static struct interrupted interrupt(enum work work, unsigned number, const char *kind)
{
    char url[1024];
    int length = snprintf(url, sizeof(url), "fault:script=");
    for (unsigned i = 0; i < number; i++)
        length += snprintf(url + length, sizeof(url) - (size_t)length, "pass+");
    snprintf(url + length, sizeof(url) - (size_t)length, "%s:%s", kind, shared_url());
    struct jini *jini = shared_open("db", url);
    struct jini_archive_run run;
    struct jini_error error;
    uint64_t counts[FAULT_KINDS] = {0};
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW;
    int status =
        work == ADOPT ? jini_archive_adopt(jini, &error) : jini_archive_run(jini, &run, NULL);
    if (jini->archives.handle)
        archive_fault_counts(jini->archives.handle->archive, counts);
    CHECK_OK(jini_close(jini, NULL, NULL));
    return (struct interrupted){counts[FAULT_REFUSE] + counts[FAULT_LOST] > 0, status};
}

TEST(an_owner_stays_one_wherever_it_is_interrupted,
     "Whichever request of a run to the archive is not done, or is done and not answered, the "
     "database deletes on with the next run, and one token is left.")
{
    static const char *const kinds[] = {"refuse", "lost"};
    struct jini *jini = shared_open("db", shared_url());
    struct jini_id image = add_image(jini, 1);
    for (unsigned i = 0; i < 2; i++) {
        bool met = true;
        for (unsigned number = 0; met; number++) {
            struct jini_id other = add_image(jini, 2);
            shared_purge(jini, &image, 1);
            CHECK_OK(jini_close(jini, NULL, NULL));
            met = interrupt(RUN, number, kinds[i]).met;
            jini = shared_open("db", shared_url());
            fixture_tier(jini, JINI_TIERING_NOW, NULL);
            CHECK_UINT(objects(), ==, 1);
            CHECK_INT(purge_one(jini, &other), ==, JINI_KEEPING_NOTHING);
            CHECK_UINT(tokens(NULL), ==, 1);
            image = add_image(jini, 1);
            CHECK(met || number >= 5); /* look, PUT, look, DELETE of the token, of the object */
        }
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(an_adoption_that_is_interrupted_is_repeated,
     "Whichever request of an adoption fails, a copy that was told so deletes nothing, although it "
     "has the token of its original, and adopts by doing it again.")
{
    struct jini *original = shared_open("original", shared_url());
    struct jini_id images[3];
    for (unsigned i = 0; i < 3; i++)
        images[i] = add_image(original, i + 1);
    CHECK_INT(purge_one(original, &images[0]), ==, JINI_KEEPING_NOTHING);
    shared_copy(original, "made");
    struct interrupted adoption = {.met = true};
    for (unsigned number = 0; adoption.met; number++) {
        harness_remove(harness_path("db"));
        harness_copy(harness_path("made"), harness_path("db"));
        adoption = interrupt(ADOPT, number, number % 2 ? "lost" : "refuse");
        struct jini *copy = shared_open("db", shared_url());
        CHECK_UINT(shared_status(copy).keeping, ==,
                   adoption.status ? JINI_KEEPING_COPY : JINI_KEEPING_NOTHING);
        adopt(copy);
        CHECK_UINT(tokens(NULL), ==, 1);
        CHECK_OK(jini_close(copy, NULL, NULL));
        CHECK(adoption.met || number >= 4); /* look, PUT, look, DELETE */
    }
    struct jini *copy = shared_open("db", shared_url());
    CHECK_INT(purge_one(copy, &images[1]), ==, JINI_KEEPING_NOTHING);
    CHECK_INT(purge_one(original, &images[2]), ==, JINI_KEEPING_TAKEN);
    CHECK_OK(jini_close(copy, NULL, NULL));
    CHECK_OK(jini_close(original, NULL, NULL));
}

/* The path of the next token in the row of a database. */
static void next_token(struct jini *jini, const char *like, char out[1024])
{
    uint8_t bytes[56];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct store_txn *txn;
    struct jini_id id;
    char text[JINI_ID_TEXT_MAX];
    CHECK_OK(store_read_begin(jini->store, &txn));
    CHECK_OK(store_get(txn, STORE_SPACE_META, slice_of_text("archive"), &value));
    store_read_end(txn);
    memcpy(id.bytes, bytes + 40, JINI_ID_BYTES);
    jini_id_format(&id, text);
    snprintf(out, 1024, "%.*s/%016llx-%s", (int)(strrchr(like, '/') - like), like,
             (unsigned long long)load_le64(bytes + 32), text);
}

TEST(
    a_token_that_comes_late_is_the_databases_own,
    "A PUT of a token that was not answered may be done much later, after another run, which could "
    "not store one either: the database finds its own token and goes on.")
{
    char present[1024];
    char late[1024];
    char url[1024];
    struct jini_archive_run run;
    struct jini *jini = shared_open("db", shared_url());
    struct jini_id images[2] = {add_image(jini, 1), add_image(jini, 2)};
    CHECK_INT(purge_one(jini, &images[0]), ==, JINI_KEEPING_NOTHING);
    CHECK_UINT(tokens(present), ==, 1);
    shared_purge(jini, &images[1], 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
    snprintf(url, sizeof(url), "fault:every=1,operations=put:%s", shared_url());
    jini = shared_open("db", url);
    for (unsigned i = 0; i < 2; i++) {
        jini_request_init(&run);
        CHECK_STATUS(jini_archive_run(jini, &run, NULL), JINI_E_ARCHIVE);
        CHECK_UINT(objects(), ==, 1);
        if (i == 0)
            next_token(jini, present, late);
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
    FILE *file = fopen(late, "w");
    CHECK(file && fclose(file) == 0);
    jini = shared_open("db", shared_url());
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    CHECK_UINT(shared_status(jini).keeping, ==, JINI_KEEPING_NOTHING);
    CHECK_UINT(objects(), ==, 0);
    CHECK_UINT(tokens(NULL), ==, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_full_archive_is_made_room_in,
     "Where no token can be stored for want of room, an object goes all the same, and a token is "
     "taken as soon as there is room. Nothing goes while another database owns the archive.")
{
    char url[1024];
    struct jini *one = shared_open("one", shared_url());
    struct jini_id images[4];
    for (unsigned i = 0; i < 4; i++)
        images[i] = add_image(one, i + 1);
    CHECK_INT(purge_one(one, &images[0]), ==, JINI_KEEPING_NOTHING);
    struct jini *two = clone_of(one, "two", shared_url());
    CHECK_OK(jini_close(one, NULL, NULL));
    snprintf(url, sizeof(url), "fault:script=pass+refuse,status=E_FULL:%s", shared_url());
    one = shared_open("one", url);
    char before[1024];
    char after[1024];
    CHECK_UINT(tokens(before), ==, 1);
    CHECK_INT(purge_one(one, &images[1]), ==, JINI_KEEPING_NOTHING);
    CHECK_UINT(tokens(after), ==, 1);
    CHECK_TEXT(after, before);
    CHECK_INT(purge_one(one, &images[2]), ==, JINI_KEEPING_NOTHING);
    CHECK_UINT(tokens(after), ==, 1);
    CHECK(strcmp(after, before) != 0);
    CHECK_OK(jini_close(two, NULL, NULL));
    snprintf(url, sizeof(url), "fault:every=1,operations=put,status=E_FULL:%s", shared_url());
    two = shared_open("two", url);
    CHECK_INT(purge_one(two, &images[3]), ==, JINI_KEEPING_TAKEN);
    CHECK_OK(jini_close(two, NULL, NULL));
    CHECK_OK(jini_close(one, NULL, NULL));
}

/* ---- Several ---- */

TEST(of_two_with_one_token_the_first_that_deletes_goes_on,
     "The other one deletes nothing, run after run, until it adopts the archive, and then the "
     "first does not. What each still has stays readable.")
{
    struct jini *one = shared_open("one", shared_url());
    struct jini_id images[6];
    for (unsigned i = 0; i < 6; i++)
        images[i] = add_image(one, i + 1);
    CHECK_INT(purge_one(one, &images[0]), ==, JINI_KEEPING_NOTHING);
    struct jini *two = clone_of(one, "two", shared_url());
    CHECK_INT(purge_one(two, &images[1]), ==, JINI_KEEPING_NOTHING);
    CHECK_INT(purge_one(one, &images[2]), ==, JINI_KEEPING_TAKEN);
    CHECK_INT(purge_one(one, &images[3]), ==, JINI_KEEPING_TAKEN);
    fixture_verify(two);
    CHECK_INT(purge_one(two, &images[4]), ==, JINI_KEEPING_NOTHING);
    adopt(one);
    CHECK_INT(purge_one(two, &images[5]), ==, JINI_KEEPING_TAKEN);
    CHECK_OK(fixture_get(one, &images[5], 6));
    fixture_days_pass(2);
    fixture_tier(one, JINI_TIERING_NOW, NULL);
    CHECK_UINT(objects(), ==, 1); /* what was let go of while another one owned it */
    CHECK_OK(jini_close(two, NULL, NULL));
    CHECK_OK(jini_close(one, NULL, NULL));
}

TEST(a_snapshot_that_is_older_than_the_last_deletion_deletes_nothing,
     "Also one that was made before the archive had any token.")
{
    struct jini *one = shared_open("one", shared_url());
    struct jini_id images[3] = {add_image(one, 1), add_image(one, 2), add_image(one, 3)};
    struct jini *first = clone_of(one, "first", shared_url());
    CHECK_INT(purge_one(one, &images[0]), ==, JINI_KEEPING_NOTHING);
    struct jini *second = clone_of(one, "second", shared_url());
    CHECK_INT(purge_one(one, &images[1]), ==, JINI_KEEPING_NOTHING);
    CHECK_INT(purge_one(first, &images[2]), ==, JINI_KEEPING_TAKEN);
    CHECK_INT(purge_one(second, &images[2]), ==, JINI_KEEPING_TAKEN);
    CHECK_OK(fixture_get(one, &images[2], 3));
    fixture_verify(one);
    CHECK_OK(jini_close(second, NULL, NULL));
    CHECK_OK(jini_close(first, NULL, NULL));
    CHECK_OK(jini_close(one, NULL, NULL));
}

TEST(databases_of_different_origin_share_an_archive,
     "Each deletes what is its own there, and has a token of its own.")
{
    struct jini *one = shared_open("one", shared_url());
    struct jini *two = shared_open("two", shared_url());
    struct jini_id images[2] = {add_image(one, 1), add_image(one, 2)};
    struct jini_id others[2] = {add_image(two, 3), add_image(two, 4)};
    for (unsigned i = 0; i < 2; i++) {
        CHECK_INT(purge_one(one, &images[i]), ==, JINI_KEEPING_NOTHING);
        CHECK_INT(purge_one(two, &others[i]), ==, JINI_KEEPING_NOTHING);
    }
    CHECK_UINT(tokens(NULL), ==, 2);
    CHECK_OK(jini_close(two, NULL, NULL));
    CHECK_OK(jini_close(one, NULL, NULL));
}

/* A run on another thread. */
struct running {
    pthread_t thread;
    struct jini *jini;
    struct jini_archive_run run;
    int status;
};

static void *run_main(void *argument)
{
    struct running *running = argument;
    jini_request_init(&running->run);
    running->run.flags = JINI_TIERING_NOW;
    running->status = jini_archive_run(running->jini, &running->run, NULL);
    return NULL;
}

static void start(struct running *running, struct jini *jini)
{
    running->jini = jini;
    CHECK_INT(pthread_create(&running->thread, NULL, run_main, running), ==, 0);
}

static enum jini_keeping finish(struct running *running)
{
    CHECK_INT(pthread_join(running->thread, NULL), ==, 0);
    CHECK_OK(running->status);
    return (enum jini_keeping)running->run.keeping;
}

/* Long enough for a run of another database. */
static unsigned delay_ms(void)
{
    return harness_sanitized() ? 10000 : 2000;
}

/* Waits until the archive has had a fault of this kind. */
static void wait_for_fault(struct jini *jini, enum fault_kind kind)
{
    uint64_t counts[FAULT_KINDS] = {0};
    while (counts[kind] == 0) {
        struct archive_handle *handle = archives_find(jini);
        usleep(1000);
        if (!handle)
            continue;
        archive_fault_counts(handle->archive, counts);
        archives_release(handle);
    }
}

TEST(of_two_in_the_same_instant_at_most_one_deletes,
     "Of two databases that have the same token, one looks; before its own is in the archive, the "
     "other one takes a token and deletes. The first then finds that, deletes nothing, and leaves "
     "nothing that keeps the other one from going on.")
{
    char url[1024];
    struct running running;
    struct jini *one = shared_open("one", shared_url());
    struct jini_id images[4];
    for (unsigned i = 0; i < 4; i++)
        images[i] = add_image(one, i + 1);
    CHECK_INT(purge_one(one, &images[0]), ==, JINI_KEEPING_NOTHING);
    snprintf(url, sizeof(url), "fault:script=pass+delay,delay_ms=%u:%s", delay_ms(), shared_url());
    struct jini *two = clone_of(one, "two", url);
    shared_purge(two, &images[1], 1);
    start(&running, two);
    wait_for_fault(two, FAULT_DELAY);
    CHECK_INT(purge_one(one, &images[2]), ==, JINI_KEEPING_NOTHING);
    CHECK_INT(finish(&running), ==, JINI_KEEPING_TAKEN);
    CHECK_UINT(tokens(NULL), ==, 1);
    CHECK_OK(fixture_get(one, &images[1], 2));
    CHECK_INT(purge_one(one, &images[3]), ==, JINI_KEEPING_NOTHING);
    CHECK_INT(purge_one(two, &images[3]), ==, JINI_KEEPING_TAKEN);
    CHECK_OK(jini_close(two, NULL, NULL));
    CHECK_OK(jini_close(one, NULL, NULL));
}

TEST(who_loses_the_archive_in_the_middle_of_a_run_stops_deleting,
     "A run that has taken its token and has deleted finds before the next object that another "
     "database has taken a newer one.")
{
    char url[1024];
    struct running running;
    struct jini *one = shared_open("one", shared_url());
    struct jini_id images[4];
    for (unsigned i = 0; i < 4; i++)
        images[i] = add_image(one, i + 1);
    struct jini *two = clone_of(one, "two", shared_url());
    CHECK_OK(jini_close(one, NULL, NULL));
    snprintf(url, sizeof(url), "fault:script=pass+pass+pass+delay,delay_ms=%u:%s", delay_ms(),
             shared_url());
    one = shared_open("one", url);
    shared_purge(one, images, 3);
    start(&running, one);
    wait_for_fault(one, FAULT_DELAY); /* the DELETE of its first object */
    adopt(two);
    CHECK_INT(finish(&running), ==, JINI_KEEPING_TAKEN);
    CHECK_UINT(objects(), ==, 3);
    fixture_days_pass(2);
    fixture_tier(one, JINI_TIERING_NOW, NULL);
    CHECK_UINT(objects(), ==, 3);
    CHECK_UINT(shared_status(one).objects_due, ==, 3);
    CHECK_OK(jini_close(two, NULL, NULL));
    CHECK_OK(jini_close(one, NULL, NULL));
}

/* ---- What cannot be known ---- */

/* A row of META; of no bytes: takes it away. */
static void plant_meta(struct jini *jini, const char *name, const char *bytes, size_t length)
{
    struct plant plant = {
        .space = STORE_SPACE_META, .value = length ? bytes : NULL, .length = length};
    plant.key.length = strlen(name);
    memcpy(plant.key.bytes, name, plant.key.length);
    CHECK_OK(store_write(jini->store, op_plant, &plant));
}

TEST(what_tells_the_owner_may_be_damaged_or_missing,
     "A database whose row of its home is missing or damaged, or whose row of its token is "
     "damaged, deletes nothing and says that it cannot know whether it may, and verify names what "
     "is damaged; adopting mends it.")
{
    static const char too_high[56] = {1, [15] = 0x7f};
    static const struct {
        const char *name;
        const char *bytes;
        size_t length;
        const char *problem;
    } rows[] = {{"home", "", 0, NULL},
                {"home", "rot", 3, "home_damaged"},
                {"archive", "rot", 3, "owner_damaged"},
                {"archive", too_high, 56, "owner_damaged"}};
    struct found found;
    struct jini *jini = shared_open("db", shared_url());
    struct jini_id image = add_image(jini, 1);
    CHECK_INT(purge_one(jini, &image), ==, JINI_KEEPING_NOTHING);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        image = add_image(jini, 2);
        plant_meta(jini, rows[i].name, rows[i].bytes, rows[i].length);
        CHECK_INT(purge_one(jini, &image), ==, JINI_KEEPING_UNKNOWN);
        CHECK_OK(jini_close(jini, NULL, NULL));
        jini = shared_open("db", shared_url());
        CHECK_UINT(shared_status(jini).keeping, ==, JINI_KEEPING_UNKNOWN);
        found_run(jini, NULL, 0, &found);
        CHECK_UINT(found.count, ==, rows[i].problem ? 1 : 0);
        if (rows[i].problem)
            CHECK_TEXT(found.items[0].kind, rows[i].problem);
        adopt(jini);
        fixture_days_pass(2);
        fixture_tier(jini, JINI_TIERING_NOW, NULL);
        CHECK_UINT(objects(), ==, 0);
        fixture_verify(jini);
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

struct logged {
    unsigned records;
    char keeping[16];
    char message[256];
};

static void on_log(void *context, enum jini_log_level level, const char *event,
                   const struct jini_log_field *fields, size_t count)
{
    struct logged *logged = context;
    if (strcmp(event, "objects_kept") != 0)
        return;
    logged->records++;
    CHECK_INT(level, ==, JINI_LOG_WARNING);
    CHECK_UINT(count, ==, 3);
    CHECK_INT(fields[0].number, ==, 1);
    snprintf(logged->keeping, sizeof(logged->keeping), "%s", fields[1].text);
    snprintf(logged->message, sizeof(logged->message), "%s", fields[2].text);
}

TEST(a_run_logs_what_it_keeps_and_why,
     "A run that lets objects be which nothing needs says how many, and in words why.")
{
    struct jini_options options;
    struct logged logged = {0};
    struct jini *jini = shared_open("db", shared_url());
    struct jini_id images[2] = {add_image(jini, 1), add_image(jini, 2)};
    CHECK_OK(jini_close(jini, NULL, NULL));
    fixture_options(&options);
    snprintf(options.archive_url, sizeof(options.archive_url), "%s", shared_url());
    options.log = on_log;
    options.log_context = &logged;
    jini = fixture_open_with(&options);
    CHECK_INT(purge_one(jini, &images[0]), ==, JINI_KEEPING_NOTHING);
    CHECK_UINT(logged.records, ==, 0);
    fixture_days_pass(1);
    fixture_tier(jini, JINI_TIERING_NOW, NULL); /* its orphan row goes */
    plant_meta(jini, "home", "rot", 3);
    CHECK_INT(purge_one(jini, &images[1]), ==, JINI_KEEPING_UNKNOWN);
    CHECK_UINT(logged.records, ==, 1);
    CHECK_TEXT(logged.keeping, "unknown");
    CHECK_CONTAINS(logged.message, "cannot be known");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(an_archive_without_its_token_is_not_known,
     "Where the archive has had a token and has none, it was made anew, or another one is in its "
     "place: nothing is deleted before it is adopted, or the right one is back.")
{
    struct jini *jini = shared_open("db", shared_url());
    struct jini_id images[3] = {add_image(jini, 1), add_image(jini, 2), add_image(jini, 3)};
    CHECK_INT(purge_one(jini, &images[0]), ==, JINI_KEEPING_NOTHING);
    CHECK_INT(rename(harness_path("shared/owners"), harness_path("owners")), ==, 0);
    CHECK_INT(purge_one(jini, &images[1]), ==, JINI_KEEPING_UNKNOWN);
    CHECK_INT(rename(harness_path("owners"), harness_path("shared/owners")), ==, 0);
    CHECK_INT(purge_one(jini, &images[2]), ==, JINI_KEEPING_NOTHING);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(names_that_are_no_tokens_keep_everything,
     "Where a token should be there may be what a newer version has left, or rubbish: nothing is "
     "deleted, and the archive is not adopted either.")
{
    static const char *const names[] = {
        "x",
        "0000000000000000-00000000-0000-7000-8000-000000000000",
        "ffffffffffffffff-00000000-0000-7000-8000-000000000000",
        "00000000000000fF-00000000-0000-7000-8000-000000000000",
        "+00000000000000f-00000000-0000-7000-8000-000000000000",
        "00000000000000ff-00000000-0000-7000-8000-00000000000g",
        "00000000000000ff-00000000-0000-7000-8000-0000000000000",
    };
    struct jini *jini = shared_open("db", shared_url());
    struct jini_id image = add_image(jini, 1);
    char token[1024];
    struct jini_error error;
    CHECK_INT(purge_one(jini, &image), ==, JINI_KEEPING_NOTHING);
    CHECK_UINT(tokens(token), ==, 1);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[1024];
        snprintf(path, sizeof(path), "%.*s/%s", (int)(strrchr(token, '/') - token), token,
                 names[i]);
        FILE *file = fopen(path, "w");
        CHECK(file && fclose(file) == 0);
        image = add_image(jini, 2);
        CHECK_INT(purge_one(jini, &image), ==, JINI_KEEPING_UNKNOWN);
        CHECK_STATUS(jini_archive_adopt(jini, &error), JINI_E_FORMAT);
        CHECK_INT(unlink(path), ==, 0);
    }
    image = add_image(jini, 3);
    CHECK_INT(purge_one(jini, &image), ==, JINI_KEEPING_NOTHING);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Many ---- */

enum { KEPT = 4200, KEPT_AT_ONCE = 100, FOREIGN = 3 };

struct orphans {
    struct index_orphan rows[KEPT_AT_ONCE];
};

static int op_put_orphans(struct store_txn *txn, void *argument)
{
    const struct orphans *orphans = argument;
    for (size_t i = 0; i < KEPT_AT_ONCE; i++)
        CHECK_OK(index_orphan_put(txn, &orphans->rows[i]));
    return 0;
}

/* An object without bytes, in the month of the packs that are there. */
static void plant_object(const struct index_orphan *orphan)
{
    char name[INDEX_OBJECT_NAME_MAX];
    const struct index_pack pack = {.id = orphan->pack, .attempt = orphan->attempt};
    index_object_name(&pack, name);
    FILE *file = fopen(harness_path("shared/%s", name), "w");
    CHECK(file && fclose(file) == 0);
}

static struct index_orphan new_orphan(struct jini *jini)
{
    return (struct index_orphan){1, id_next(&jini->ids), id_next(&jini->ids)};
}

TEST(however_many_objects_are_kept_they_are_known,
     "A run tells how many objects stay, and verify counts none of them as unknown.")
{
    struct jini *jini = shared_open("db", shared_url());
    struct jini_archive_run run;
    struct jini_verify verify;
    add_image(jini, 1);
    for (unsigned i = 0; i < KEPT; i += KEPT_AT_ONCE) {
        struct orphans orphans;
        for (unsigned j = 0; j < KEPT_AT_ONCE; j++) {
            orphans.rows[j] = new_orphan(jini);
            plant_object(&orphans.rows[j]);
        }
        CHECK_OK(store_write(jini->store, op_put_orphans, &orphans));
    }
    for (unsigned i = 0; i < FOREIGN; i++) {
        struct index_orphan foreign = new_orphan(jini);
        plant_object(&foreign);
    }
    plant_meta(jini, "home", "", 0);
    fixture_tier(jini, JINI_TIERING_NOW, &run);
    CHECK_UINT(run.objects_kept, ==, KEPT);
    CHECK_UINT(shared_status(jini).objects_due, ==, KEPT);
    jini_request_init(&verify);
    CHECK_OK(jini_verify(jini, &verify, NULL));
    CHECK_UINT(verify.objects_unknown, ==, FOREIGN);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
