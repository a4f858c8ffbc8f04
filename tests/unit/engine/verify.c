/*
 * Verify: each kind of damage, planted behind the engine's back, is found and named; a busy
 * database has none.
 */
#include "found.h"
#include "plant.h"

#include "accounts/keys.h"
#include "accounts/user_record.h"
#include "generations/generations.h"
#include "images/index.h"
#include "images/pack_path.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

/* ---- What must be found ---- */

/* What a finding must name; members that are NULL or 0 are not asked for. */
struct expected {
    const char *kind;
    const char *field;
    const struct jini_id *image;
    const struct jini_id *job;
    const struct jini_id *pack;
    uint64_t user;
};

static bool names(const struct jini_id *wanted, const struct jini_id *named)
{
    return !wanted || jini_id_compare(wanted, named) == 0;
}

static void check_found(struct jini *jini, const struct expected *expected)
{
    static struct found found;
    found_run(jini, NULL, 0, &found);
    for (unsigned i = 0; i < found.count; i++) {
        if (strcmp(found.items[i].kind, expected->kind) == 0 &&
            strcmp(found.items[i].field, expected->field) == 0 &&
            names(expected->image, &found.items[i].image) &&
            names(expected->job, &found.items[i].job) &&
            names(expected->pack, &found.items[i].pack) &&
            (expected->user == 0 || expected->user == found.items[i].user))
            return;
    }
    found_print(&found);
    harness_fail(__FILE__, __LINE__, "no finding %s of %s", expected->kind, expected->field);
}

#define CHECK_FOUND(...) check_found(jini, &(struct expected){__VA_ARGS__})

/* ---- A small database ---- */

struct world {
    struct jini *jini;
    uint64_t user;
    struct jini_id images[4];
    struct jini_id job; /* runs */
    uint64_t job_expires_ms;
    struct jini_image image; /* images[0] */
    struct index_location location;
};

static struct jini_id admitted(struct jini *jini, uint64_t user, uint64_t *expires_ms)
{
    const struct generations_subject subject = {.user_id = user};
    struct jini_admit admit;
    struct store_txn *txn;
    struct generations_running running;
    jini_request_init(&admit);
    admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    admit.parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    fixture_must(jini_admit(jini, &admit, NULL), "admit", &admit.request.error);
    CHECK_OK(store_read_begin(jini->store, &txn));
    CHECK_OK(generations_running_get(txn, &subject, 0, &running, NULL));
    store_read_end(txn);
    *expires_ms = running.jobs[running.count - 1].expires_ms;
    return admit.job.id;
}

static void load_location(struct world *world)
{
    struct store_txn *txn;
    struct generations_image image;
    struct jini_error error;
    CHECK_OK(jini_image_stat(world->jini, &world->images[0], &world->image, &error));
    CHECK_OK(store_read_begin(world->jini->store, &txn));
    CHECK_OK(generations_image_get(txn, &world->images[0], &image, NULL));
    CHECK_OK(index_location_get(txn, &image.place.pack_id, image.place.pack_sequence,
                                &world->images[0], &world->location));
    store_read_end(txn);
}

static struct world make_world(void)
{
    struct world world = {.jini = fixture_open()};
    world.user = fixture_user(world.jini, "alice", "Free");
    for (uint64_t i = 0; i < 4; i++)
        world.images[i] = fixture_put(world.jini, world.user, i);
    world.job = admitted(world.jini, world.user, &world.job_expires_ms);
    load_location(&world);
    fixture_verify(world.jini);
    return world;
}

static struct tuple location_key(const struct index_location *location)
{
    struct tuple key = plant_key_id(&location->pack);
    tuple_add_uint(&key, location->sequence);
    tuple_add_id(&key, &location->image);
    return key;
}

static struct tuple text_key(const char *text)
{
    struct tuple key;
    tuple_begin(&key);
    tuple_add_text(&key, slice_of_text(text));
    return key;
}

static int op_put_location(struct store_txn *txn, void *argument)
{
    return index_location_put(txn, argument);
}

static void plant_location(struct jini *jini, const struct index_location *location)
{
    struct index_location copy = *location;
    CHECK_OK(store_write(jini->store, op_put_location, &copy));
}

/* ---- Locations and records ---- */

TEST(a_location_that_differs_from_its_record_is_found,
     "Each field of a location that its record contradicts is named with image and pack.")
{
    struct world world = make_world();
    struct jini *jini = world.jini;
    const struct index_location right = world.location;
    struct index_location wrong = right;
#define CHECK_FIELD(member, named)                                                                 \
    do {                                                                                           \
        wrong = right;                                                                             \
        wrong.member++;                                                                            \
        plant_location(jini, &wrong);                                                              \
        CHECK_FOUND(.kind = "location_differs_from_record", .field = (named),                      \
                    .image = &right.image, .pack = &right.pack);                                   \
    } while (0)
    CHECK_FIELD(stored_length, "stored_length");
    CHECK_FIELD(original_length, "original_length");
    CHECK_FIELD(original_hash.bytes[3], "original_hash");
    CHECK_FIELD(metadata_stored_length, "metadata_length");
    CHECK_FIELD(codec_version, "codec");
    wrong = right;
    wrong.offset += 64;
    plant_location(jini, &wrong);
    CHECK_FOUND(.kind = "location_without_record", .field = "offset", .image = &right.image);
    plant_location(jini, &right);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_location_of_no_record_is_found_in_sealed_packs_too,
     "A location whose sequence the pack does not have is found, and one of another image's bytes.")
{
    struct world world = make_world();
    struct jini *jini = world.jini;
    struct index_location beyond = world.location;
    beyond.sequence += 1000;
    plant_location(jini, &beyond);
    CHECK_FOUND(.kind = "location_without_record", .image = &beyond.image, .field = "offset");
    CHECK_FOUND(.kind = "location_twice", .image = &beyond.image, .field = "image");
    struct tuple key = location_key(&beyond);
    plant_row(jini, STORE_SPACE_LOCATIONS, &key, NULL, 0);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    load_location(&world);
    fixture_verify(jini);
    struct index_location other = world.location;
    other.original_hash.bytes[0]++;
    plant_location(jini, &other);
    CHECK_FOUND(.kind = "location_differs_from_record", .image = &other.image,
                .field = "original_hash");
    CHECK_FOUND(.kind = "image_differs_from_location", .image = &other.image, .field = "hash");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_damaged_location_hides_no_other,
     "A location that cannot be read is found, and so is one that differs behind it in the pack.")
{
    struct world world = make_world();
    struct jini *jini = world.jini;
    struct tuple key = location_key(&world.location);
    struct jini_id first = world.images[0];
    plant_row(jini, STORE_SPACE_LOCATIONS, &key, "rot", 3);
    world.images[0] = world.images[2];
    load_location(&world);
    world.location.codec_version++;
    plant_location(jini, &world.location);
    CHECK_FOUND(.kind = "location_damaged", .field = "row", .image = &first);
    CHECK_FOUND(.kind = "location_differs_from_record", .field = "codec",
                .image = &world.images[2]);
    key = text_key("no location");
    plant_row(jini, STORE_SPACE_LOCATIONS, &key, "", 0);
    CHECK_FOUND(.kind = "location_key_damaged", .field = "key");
    key = plant_key_id(&world.images[1]);
    plant_row(jini, STORE_SPACE_IMAGES, &key, NULL, 0);
    CHECK_FOUND(.kind = "location_without_image", .field = "image", .image = &world.images[1]);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Packs ---- */

TEST(damaged_rows_of_packs_are_found,
     "A row that cannot be read is named by its pack, and a key that names no pack is found.")
{
    struct world world = make_world();
    struct jini *jini = world.jini;
    struct jini_id pack = world.location.pack;
    struct tuple key = text_key("no pack");
    plant_row(jini, STORE_SPACE_PACKS, &key, "", 0);
    CHECK_FOUND(.kind = "pack_key_damaged", .field = "key");
    key = plant_key_id(&pack);
    plant_row(jini, STORE_SPACE_PACKS, &key, "rot", 3);
    CHECK_FOUND(.kind = "pack_row_damaged", .field = "row", .pack = &pack);
    plant_row(jini, STORE_SPACE_PACKS, &key, NULL, 0);
    CHECK_FOUND(.kind = "image_without_pack", .field = "pack", .pack = &pack);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- The due queue ---- */

TEST(a_file_without_row_is_a_finding_when_images_are_in_it,
     "A put that failed in its last step leaves a file that nobody names: no finding, however old. "
     "A lost row is one, and tiering leaves the file alone.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct png_request png = {64, 64, 1, "made for a test", NULL};
    struct jini_image_put put;
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    put.user_id = user;
    put.job_id = (struct jini_id){{1}};
    CHECK_STATUS(jini_image_put(jini, &put, NULL), JINI_E_NOT_FOUND);
    free(file);
    fixture_days_pass(1);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
    jini = fixture_open();
    fixture_days_pass(1);
    fixture_verify(jini);

    struct jini_id id = fixture_put(jini, user, 2);
    struct jini_image_place place = fixture_locate(jini, &id);
    CHECK_OK(jini_close(jini, NULL, NULL));
    jini = fixture_open();
    struct tuple key = plant_key_id(&place.pack_id);
    plant_row(jini, STORE_SPACE_PACKS, &key, NULL, 0);
    fixture_days_pass(1);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    char path[PACK_PATH_MAX];
    pack_path(&place.pack_id, path);
    CHECK_INT(access(harness_path("db/%s", path), F_OK), ==, 0);
    CHECK_UINT(find(jini, "file_without_row").count, ==, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_page_of_a_list_that_fails_can_be_asked_for_again,
     "An unreadable record fails a page: no image of it is counted, and the cursor stands.")
{
    enum { OLD = 3, NEW = 2 };
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id first = fixture_put(jini, user, 1);
    for (uint64_t i = 1; i < OLD; i++)
        fixture_put(jini, user, 1 + i);
    for (uint64_t i = 0; i < NEW; i++)
        fixture_put(jini, user, 10 + i);
    struct jini_image page[OLD + NEW];
    struct jini_error error;
    size_t count;
    struct tuple key = plant_key_id(&first);
    plant_row(jini, STORE_SPACE_IMAGES, &key, "rot", 3);
    struct jini_list_cursor cursor = {0};
    CHECK_STATUS(jini_image_list(jini, user, &cursor, page, OLD + NEW, &count, &error),
                 JINI_E_CORRUPT);
    CHECK_UINT(count, ==, 0);
    CHECK_OK(jini_image_list(jini, user, &cursor, page, NEW, &count, &error));
    CHECK_UINT(count, ==, NEW);
    CHECK_STATUS(jini_image_list(jini, user, &cursor, page, OLD, &count, &error), JINI_E_CORRUPT);
    CHECK_UINT(count, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(wrong_rows_of_the_due_queue_are_found,
     "Due rows of nothing, at another time, of no kind, and records without theirs are named.")
{
    struct world world = make_world();
    struct jini *jini = world.jini;
    struct jini_id nobody = {{1, 2, 3}};
    struct tuple key = plant_key_due("job", 77, &nobody);
    plant_row(jini, STORE_SPACE_QUEUE, &key, "", 0);
    CHECK_FOUND(.kind = "due_without_record", .field = "id", .job = &nobody);
    key = plant_key_due("purge", 77, &nobody);
    plant_row(jini, STORE_SPACE_QUEUE, &key, "", 0);
    CHECK_FOUND(.kind = "due_without_record", .field = "id", .image = &nobody);
    key = plant_key_due("job", world.job_expires_ms + 5, &world.job);
    plant_row(jini, STORE_SPACE_QUEUE, &key, "", 0);
    CHECK_FOUND(.kind = "due_differs", .field = "due_ms", .job = &world.job);
    key = plant_key_due("purge", world.image.expires_ms, &world.images[0]);
    plant_row(jini, STORE_SPACE_QUEUE, &key, "", 0);
    CHECK_FOUND(.kind = "due_differs", .field = "due_ms", .image = &world.images[0]);
    key = plant_key_due("nothing", 77, &nobody);
    plant_row(jini, STORE_SPACE_QUEUE, &key, "", 0);
    CHECK_FOUND(.kind = "due_key_damaged", .field = "key");
    key = plant_key_due("job", world.job_expires_ms, &world.job);
    plant_row(jini, STORE_SPACE_QUEUE, &key, NULL, 0);
    CHECK_FOUND(.kind = "job_not_due", .field = "expires_ms", .job = &world.job);
    CHECK_UINT(world.image.expires_ms, >, 0);
    key = plant_key_due("image", world.image.expires_ms, &world.images[0]);
    plant_row(jini, STORE_SPACE_QUEUE, &key, NULL, 0);
    CHECK_FOUND(.kind = "image_not_due", .field = "expires_ms", .image = &world.images[0]);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Jobs and running jobs ---- */

static int op_create(struct store_txn *txn, void *argument)
{
    return generations_job_create(txn, argument, NULL);
}

TEST(damaged_jobs_are_found,
     "Unreadable records, reservations and keys, lost prompts and prompts of no job are named.")
{
    struct world world = make_world();
    struct jini *jini = world.jini;
    static char prompt[2000];
    memset(prompt, 'x', sizeof(prompt));
    struct generations_job job = {
        .id = id_next(&jini->ids),
        .user_id = world.user,
        .parameters = {.width = 64, .height = 64, .steps = 20, .count = 1},
        .prompt = slice_of(prompt, sizeof(prompt)),
        .created_ms = 1,
        .reservation = slice_of_text("a reservation that is no reservation"),
    };
    CHECK_OK(store_write(jini->store, op_create, &job));
    CHECK_FOUND(.kind = "reservation_damaged", .field = "reservation", .job = &job.id);
    struct tuple key = plant_key_id(&job.id);
    tuple_add_text(&key, slice_of_text("p"));
    plant_row(jini, STORE_SPACE_JOBS, &key, NULL, 0);
    CHECK_FOUND(.kind = "job_without_prompt", .field = "prompt", .job = &job.id);
    struct jini_id nobody = {{1, 2, 3}};
    key = plant_key_id(&nobody);
    tuple_add_text(&key, slice_of_text("n"));
    plant_row(jini, STORE_SPACE_JOBS, &key, "dark", 4);
    CHECK_FOUND(.kind = "prompt_without_job", .field = "key", .job = &nobody);
    key = text_key("no job");
    plant_row(jini, STORE_SPACE_JOBS, &key, "", 0);
    CHECK_FOUND(.kind = "job_key_damaged", .field = "key");
    key = plant_key_id(&world.job);
    plant_row(jini, STORE_SPACE_JOBS, &key, "rot", 3);
    CHECK_FOUND(.kind = "job_damaged", .field = "record", .job = &world.job);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void plant_running(struct world *world, const struct jini_id *id, uint64_t expires_ms)
{
    uint8_t entry[24];
    struct tuple key = plant_key_user(world->user, "run");
    memcpy(entry, id->bytes, 16);
    store_le64(entry + 16, expires_ms);
    plant_row(world->jini, STORE_SPACE_ACTIVITY, &key, entry, sizeof(entry));
}

TEST(wrong_rows_of_running_jobs_are_found,
     "A row that is torn, misses a job, has one too many, an ended one or another time is named.")
{
    struct world world = make_world();
    struct jini *jini = world.jini;
    struct jini_id nobody = {{1, 2, 3}};
    struct tuple key = plant_key_user(world.user, "run");
    plant_running(&world, &nobody, 7);
    CHECK_FOUND(.kind = "running_without_job", .field = "id", .job = &nobody, .user = world.user);
    CHECK_FOUND(.kind = "job_not_running", .field = "flags", .job = &world.job);
    plant_running(&world, &world.job, world.job_expires_ms + 1);
    CHECK_FOUND(.kind = "running_differs", .field = "expires_ms", .job = &world.job);
    plant_row(jini, STORE_SPACE_ACTIVITY, &key, "rot", 3);
    CHECK_FOUND(.kind = "running_damaged", .field = "entries", .user = world.user);
    plant_running(&world, &world.job, world.job_expires_ms);
    struct jini_settle settle;
    jini_request_init(&settle);
    settle.job_id = world.job;
    CHECK_OK(jini_settle(jini, &settle, NULL));
    fixture_verify(jini);
    plant_running(&world, &world.job, world.job_expires_ms);
    CHECK_FOUND(.kind = "running_differs", .field = "state", .job = &world.job);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Users, lists, quotas ---- */

struct copied {
    struct tuple key;
    size_t length;
    uint8_t bytes[1024];
};

static void copy_row(struct jini *jini, const struct tuple *key, struct copied *out)
{
    struct store_txn *txn;
    struct buffer value = buffer_of(out->bytes, sizeof(out->bytes));
    out->key = *key;
    CHECK_OK(store_read_begin(jini->store, &txn));
    CHECK_OK(store_get(txn, STORE_SPACE_ACTIVITY, tuple_key(key), &value));
    store_read_end(txn);
    out->length = value.length;
}

TEST(lists_that_differ_from_the_records_are_found,
     "Listed images that are gone or trashed, unlisted ones, wrong counts and torn rows are named.")
{
    struct world world = make_world();
    struct jini *jini = world.jini;
    struct copied before;
    struct tuple tail = plant_key_user(world.user, "li");
    copy_row(jini, &tail, &before);
    struct jini_id late = fixture_put(jini, world.user, 99);
    plant_row(jini, STORE_SPACE_ACTIVITY, &tail, before.bytes, before.length);
    CHECK_FOUND(.kind = "image_not_listed", .field = "number", .image = &late, .user = world.user);
    plant_row(jini, STORE_SPACE_ACTIVITY, &tail, NULL, 0);
    CHECK_FOUND(.kind = "image_not_listed", .field = "number", .image = &world.images[3]);
    plant_row(jini, STORE_SPACE_ACTIVITY, &tail, "rot", 3);
    CHECK_FOUND(.kind = "list_damaged", .field = "tail", .user = world.user);
    plant_row(jini, STORE_SPACE_ACTIVITY, &tail, before.bytes, before.length);
    struct tuple key = plant_key_id(&world.images[1]);
    plant_row(jini, STORE_SPACE_IMAGES, &key, "rot", 3);
    CHECK_FOUND(.kind = "image_damaged", .field = "record", .image = &world.images[1]);
    plant_row(jini, STORE_SPACE_IMAGES, &key, NULL, 0);
    CHECK_FOUND(.kind = "list_without_record", .field = "ids", .image = &world.images[1]);
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = world.images[2];
    CHECK_OK(jini_image_remove(jini, &remove, NULL));
    plant_row(jini, STORE_SPACE_ACTIVITY, &tail, before.bytes, before.length);
    CHECK_FOUND(.kind = "list_differs", .field = "purge_ms", .image = &world.images[2]);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(damaged_pages_of_lists_are_found,
     "A full page that is torn, gone or stands behind the list's end is named with its user.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id first = fixture_put(jini, user, 0);
    for (uint64_t i = 1; i < 20; i++)
        fixture_put(jini, user, i);
    fixture_verify(jini);
    struct tuple page = plant_key_user(user, "i");
    tuple_add_uint(&page, 0);
    plant_row(jini, STORE_SPACE_LISTS, &page, "rot", 3);
    CHECK_FOUND(.kind = "list_damaged", .field = "page", .user = user);
    plant_row(jini, STORE_SPACE_LISTS, &page, NULL, 0);
    CHECK_FOUND(.kind = "image_not_listed", .field = "number", .image = &first);
    CHECK_FOUND(.kind = "list_miscounted", .field = "items", .user = user);
    static const uint8_t one[] = {0x82, 0x02, 0x01, 0x03, 0xc4, 0x10, 9, 9, 9, 9, 9,
                                  9,    9,    9,    9,    9,    9,    9, 9, 9, 9, 9};
    page = plant_key_user(user, "i");
    tuple_add_uint(&page, 50);
    plant_row(jini, STORE_SPACE_LISTS, &page, one, sizeof(one));
    CHECK_FOUND(.kind = "list_differs", .field = "page", .user = user);
    page = text_key("no page");
    plant_row(jini, STORE_SPACE_LISTS, &page, "", 0);
    CHECK_FOUND(.kind = "list_key_damaged", .field = "key");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(damaged_rows_of_users_are_found,
     "Each user whose record or quotas cannot be read is named, and hides no other user.")
{
    struct world world = make_world();
    struct jini *jini = world.jini;
    uint64_t second = fixture_user(jini, "bob", "Free");
    struct tuple key = plant_key_user(world.user, "q");
    plant_row(jini, STORE_SPACE_ACTIVITY, &key, "rot", 3);
    CHECK_FOUND(.kind = "quota_damaged", .field = "counters", .user = world.user);
    key = plant_key_user(0, "q");
    tuple_add_bytes(&key, slice_of_text("\x20\x01\x0d\xb8\x01\x01\x01\x01"));
    plant_row(jini, STORE_SPACE_ACTIVITY, &key, "rot", 3);
    CHECK_FOUND(.kind = "quota_damaged", .field = "counters");
    key = plant_key_user(world.user, "u");
    plant_row(jini, STORE_SPACE_USERS, &key, "rot", 3);
    key = plant_key_user(second, "u");
    plant_row(jini, STORE_SPACE_USERS, &key, "rot", 3);
    CHECK_FOUND(.kind = "user_damaged", .field = "record", .user = world.user);
    CHECK_FOUND(.kind = "user_damaged", .field = "record", .user = second);
    key = plant_key_user(second, "nothing");
    plant_row(jini, STORE_SPACE_USERS, &key, "", 0);
    plant_row(jini, STORE_SPACE_ACTIVITY, &key, "", 0);
    CHECK_FOUND(.kind = "user_key_damaged", .field = "key", .user = second);
    CHECK_FOUND(.kind = "activity_key_damaged", .field = "key", .user = second);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* Gives a user another name past the rule that no name is another user's address. */
static void plant_name(struct jini *jini, uint64_t user, const char *username)
{
    static struct user_record record;
    uint8_t bytes[USER_RECORD_MAX];
    uint8_t id[KEYS_ID_BYTES];
    struct buffer out = buffer_of(bytes, sizeof(bytes));
    struct store_txn *txn;
    struct tuple key;
    CHECK_OK(store_read_begin(jini->store, &txn));
    CHECK_OK(user_record_load(txn, user, &record));
    store_read_end(txn);
    CHECK_OK(keys_login(KEYS_NAME, record.user.username, &key));
    plant_row(jini, STORE_SPACE_USER_KEYS, &key, NULL, 0);
    snprintf(record.user.username, sizeof(record.user.username), "%s", username);
    CHECK_OK(keys_login(KEYS_NAME, username, &key));
    plant_row(jini, STORE_SPACE_USER_KEYS, &key, keys_id_value(user, id).data, sizeof(id));
    CHECK_OK(user_record_write(&record, &out));
    key = plant_key_user(user, "u");
    plant_row(jini, STORE_SPACE_USERS, &key, out.data, out.length);
}

static void change_email(struct jini *jini, uint64_t user, const char *email)
{
    struct jini_user_set set;
    jini_request_init(&set);
    set.user.id = user;
    set.fields = JINI_USER_FIELD_EMAIL;
    snprintf(set.user.email, sizeof(set.user.email), "%s", email);
    fixture_must(jini_user_set(jini, &set, NULL), "set", &set.request.error);
}

TEST(a_name_that_is_anothers_address_is_a_finding_of_its_own,
     "A pair of an older version opens, is named with both users, and goes with a change.")
{
    static struct found found;
    struct world world = make_world();
    struct jini *jini = world.jini;
    uint64_t second = fixture_user(jini, "bob", "Free");
    change_email(jini, world.user, "A@example.org");
    plant_name(jini, second, "a@example.org");
    CHECK_OK(jini_close(jini, NULL, NULL));
    jini = fixture_open();
    found_run(jini, NULL, 0, &found);
    CHECK_UINT(found.count, ==, 1);
    CHECK_TEXT(found.items[0].kind, "user_name_is_email_of_another");
    CHECK_TEXT(found.items[0].field, "username");
    CHECK_UINT(found.items[0].user, ==, second);
    CHECK_CONTAINS(found.items[0].message, "change the name of user 2 or the address of user 1");
    change_email(jini, world.user, "alice@example.org");
    found_run(jini, NULL, 0, &found);
    CHECK_UINT(found.count, ==, 0);
    /* A row of the index that is wrong is no such pair. */
    uint8_t id[KEYS_ID_BYTES];
    struct tuple key;
    CHECK_OK(keys_login(KEYS_MAIL, "a@example.org", &key));
    plant_row(jini, STORE_SPACE_USER_KEYS, &key, keys_id_value(world.user, id).data, sizeof(id));
    CHECK_FOUND(.kind = "user_not_found_by_name", .field = "username", .user = second);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(more_findings_than_are_kept_all_come,
     "A hundred damaged rows are a hundred reports, whatever a snapshot keeps back.")
{
    struct jini *jini = fixture_open();
    struct jini_verify request;
    uint64_t user = fixture_user(jini, "alice", "Free");
    uint8_t row[24 * 100];
    for (unsigned i = 0; i < 100; i++) {
        memset(row + i * 24, (int)i + 1, 24);
    }
    struct tuple key = plant_key_user(user, "run");
    plant_row(jini, STORE_SPACE_ACTIVITY, &key, row, sizeof(row));
    static struct found found;
    memset(&found, 0, sizeof(found));
    jini_request_init(&request);
    request.report = found_note;
    request.context = &found;
    CHECK_OK(jini_verify(jini, &request, NULL));
    CHECK_UINT(request.problems, ==, 100);
    CHECK_UINT(found.count, ==, FOUND_MAX);
    CHECK_UINT(found.items[40].job.bytes[0], ==, 41);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Beside other work ---- */

struct meeting {
    struct found found;
    sem_t scanning;
    sem_t stored;
};

/* Holds the scan of a pack up at its first finding until more was stored. */
static void on_damage(void *context, const struct jini_verify_problem *problem)
{
    struct meeting *meeting = context;
    found_note(&meeting->found, problem);
    if (meeting->found.count > 1)
        return;
    sem_post(&meeting->scanning);
    sem_wait(&meeting->stored);
}

struct storing {
    struct world *world;
    struct meeting *meeting;
};

static void *store_meanwhile(void *argument)
{
    const struct storing *storing = argument;
    sem_wait(&storing->meeting->scanning);
    for (uint64_t i = 0; i < 3; i++)
        fixture_put(storing->world->jini, storing->world->user, 500 + i);
    sem_post(&storing->meeting->stored);
    return NULL;
}

TEST(what_is_stored_during_a_scan_is_no_finding,
     "Images appended to a pack after its scan began are read again, and only the damage is told.")
{
    struct world world = make_world();
    static struct meeting meeting;
    struct storing storing = {&world, &meeting};
    struct jini_verify request;
    char path[PACK_PATH_MAX];
    pthread_t thread;
    pack_path(&world.location.pack, path);
    int file = openat(world.jini->directory_fd, path, O_WRONLY | O_CLOEXEC);
    CHECK_INT(file, >=, 0);
    CHECK_INT(pwrite(file, "rot", 3, (off_t)world.location.offset + 1500), ==, 3);
    close(file);
    sem_init(&meeting.scanning, 0, 0);
    sem_init(&meeting.stored, 0, 0);
    CHECK_INT(pthread_create(&thread, NULL, store_meanwhile, &storing), ==, 0);
    jini_request_init(&request);
    request.flags = JINI_VERIFY_DEEP;
    request.report = on_damage;
    request.context = &meeting;
    CHECK_OK(jini_verify(world.jini, &request, NULL));
    pthread_join(thread, NULL);
    CHECK_UINT(meeting.found.count, ==, 1);
    CHECK_TEXT(meeting.found.items[0].kind, "pack_damaged");
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}

struct worker {
    struct jini *jini;
    uint64_t user;
    unsigned seed;
    _Atomic bool *stop;
    _Atomic unsigned rounds;
};

static void *keep_busy(void *argument)
{
    struct worker *worker = argument;
    struct jini_id ring[8];
    for (uint64_t i = 0; !atomic_load(worker->stop); i++) {
        atomic_fetch_add(&worker->rounds, 1);
        uint64_t seed = worker->seed * 1000000u + i / 2; /* every picture twice: they are shared */
        struct jini_id image = fixture_put(worker->jini, worker->user, seed);
        if (i >= 8) {
            struct jini_image_remove remove;
            jini_request_init(&remove);
            remove.id = ring[i % 8];
            CHECK_OK(jini_image_remove(worker->jini, &remove, NULL));
        }
        ring[i % 8] = image;
        uint64_t expires_ms;
        struct jini_id job = admitted(worker->jini, worker->user, &expires_ms);
        struct jini_settle settle;
        jini_request_init(&settle);
        settle.job_id = job;
        CHECK_OK(jini_settle(worker->jini, &settle, NULL));
    }
    return NULL;
}

static void *keep_tiering(void *argument)
{
    struct worker *worker = argument;
    for (unsigned i = 0; !atomic_load(worker->stop); i++) {
        atomic_fetch_add(&worker->rounds, 1);
        struct jini_archive_run run;
        jini_request_init(&run);
        run.flags = JINI_TIERING_NOW | (i % 2 ? JINI_TIERING_FREE_HOT : 0);
        fixture_must(jini_archive_run(worker->jini, &run, NULL), "tiering", &run.request.error);
    }
    return NULL;
}

/*
 * A run of tiering seals what the others have just begun, so it may not end before they do: it is
 * not counted.
 */
static bool both_have_worked(struct worker workers[3], unsigned rounds)
{
    return atomic_load(&workers[0].rounds) >= rounds && atomic_load(&workers[1].rounds) >= rounds;
}

TEST(a_busy_database_has_no_findings,
     "Verify beside puts, removals, admissions and tiering of the same users finds nothing.")
{
    struct jini_options options;
    struct jini_tier_set set;
    struct jini_error error;
    _Atomic bool stop = false;
    pthread_t threads[3];
    struct worker workers[3];
    static struct found found;
    fixture_options(&options);
    options.trash_s = 0; /* what is removed is purged by the next run */
    struct jini *jini = fixture_open_with(&options);
    jini_request_init(&set);
    CHECK_OK(jini_tier_get(jini, "Premium", &set.tier, &error));
    snprintf(set.tier.allowance.limits, sizeof(set.tier.allowance.limits), "1000000/day");
    CHECK_OK(jini_tier_set(jini, &set, NULL));
    for (unsigned i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof(name), "user%u", i);
        workers[i] = (struct worker){
            .jini = jini, .user = fixture_user(jini, name, "Premium"), .seed = i, .stop = &stop};
    }
    for (unsigned i = 0; i < 3; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, i == 2 ? keep_tiering : keep_busy, &workers[i]),
                  ==, 0);
    for (unsigned round = 0; round < 12 || !both_have_worked(workers, 60 * harness_scale());
         round++) {
        found_run(jini, NULL, round % 2 ? JINI_VERIFY_DEEP : 0, &found);
        found_print(&found);
        CHECK_UINT(found.count, ==, 0);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
