/* Images over their whole life: shared, expired, removed, rewritten, read beside all of that. */
#include "engine/engine_private.h"

#include "codec/codec.h"
#include "images/index.h"

#include "engine_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

/* The first location of the pack that an image lies in. */
static struct index_location first_location(struct jini *jini, const struct jini_id *image)
{
    struct jini_image_place place = fixture_locate(jini, image);
    struct index_location location;
    struct store_txn *txn;
    size_t count;
    CHECK_OK(store_read_begin(jini->store, &txn));
    CHECK_OK(index_location_list(txn, &place.pack_id, NULL, &location, 1, &count));
    store_read_end(txn);
    CHECK_UINT(count, ==, 1);
    return location;
}

TEST(a_workflow_of_two_mebibytes_is_kept,
     "Raw metadata far over what a record holds is kept compressed beside its image, and comes "
     "back verbatim, hot and cold.")
{
    enum { WORKFLOW = 2 << 20 };
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    char *workflow = malloc(WORKFLOW + 1);
    for (size_t i = 0; i < WORKFLOW; i++)
        workflow[i] = "{\"nodes\": [1, 2], \"links\": []}\n"[harness_random_below(31)];
    workflow[WORKFLOW] = '\0';
    struct png_request png = {32, 32, 1, "p\nSteps: 1, Sampler: X, Seed: 42, Size: 32x32",
                              workflow};
    struct jini_image_put put;
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    put.user_id = user;
    fixture_must(jini_image_put(jini, &put, NULL), "put", &put.request.error);
    CHECK_INT(put.image.seed, ==, 42);
    CHECK_UINT(put.image.metadata_bytes, >, WORKFLOW);
    uint8_t *metadata = malloc(put.image.metadata_bytes);
    for (int round = 0; round < 2; round++) {
        struct index_location location = first_location(jini, &put.image.id);
        CHECK_UINT(location.metadata_codec_id, ==, CODEC_ZSTD);
        CHECK_UINT(location.metadata_original_length, ==, put.image.metadata_bytes);
        CHECK_UINT(location.metadata_stored_length, <, put.image.metadata_bytes / 4 * 3);
        struct jini_image_get get;
        jini_request_init(&get);
        get.id = put.image.id;
        get.what = JINI_GET_METADATA;
        CHECK_STATUS(jini_image_get(jini, &get, NULL), JINI_E_TOO_BIG);
        CHECK_UINT(get.length, ==, put.image.metadata_bytes);
        get.buffer = metadata;
        get.capacity = get.length;
        fixture_must(jini_image_get(jini, &get, NULL), "metadata", &get.request.error);
        size_t position = 0;
        struct jini_metadata_text text;
        CHECK_OK(jini_metadata_next(metadata, get.length, &position, &text));
        CHECK_OK(jini_metadata_next(metadata, get.length, &position, &text));
        CHECK_UINT(text.keyword_length, ==, 8);
        CHECK_BYTES(text.keyword, "workflow", 8);
        CHECK_UINT(text.length, ==, WORKFLOW);
        CHECK_BYTES(text.bytes, workflow, WORKFLOW);
        CHECK_STATUS(jini_metadata_next(metadata, get.length, &position, &text), JINI_E_NOT_FOUND);
        fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    }
    free(metadata);
    free(file);
    free(workflow);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static struct jini_image stat_of(struct jini *jini, const struct jini_id *id)
{
    struct jini_image image;
    struct jini_error error;
    fixture_must(jini_image_stat(jini, id, &image, &error), "stat", &error);
    return image;
}

static uint64_t bytes_local(struct jini *jini)
{
    struct jini_archive_status status;
    struct jini_error error;
    CHECK_OK(jini_archive_status(jini, &status, &error));
    return status.bytes_local;
}

TEST(open_packs_count_as_local,
     "The local bytes have those of an open pack, as far as it is written.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    CHECK_UINT(bytes_local(jini), ==, 0);
    struct jini_id first = fixture_put(jini, user, 1);
    uint64_t one = bytes_local(jini);
    CHECK_UINT(one, >, stat_of(jini, &first).bytes);
    struct jini_id second = fixture_put(jini, user, 2);
    uint64_t two = bytes_local(jini);
    CHECK_UINT(two, >, one + stat_of(jini, &second).bytes);
    CHECK_OK(jini_close(jini, NULL, NULL)); /* seals */
    jini = fixture_open();
    CHECK_UINT(bytes_local(jini), >, two);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(duplicates_of_one_class_are_stored_once,
     "The same file put by several users of a class takes the room of one once packs are "
     "rewritten, and lives as "
     "long as any of them.")
{
    enum { COPIES = 12 };
    struct jini *jini = fixture_open();
    struct jini_id ids[COPIES];
    for (int i = 0; i < COPIES; i++) {
        char name[16];
        snprintf(name, sizeof(name), "user%d", i);
        ids[i] = fixture_put(jini, fixture_user(jini, name, "Premium"), 7);
    }
    struct jini_archive_run run;
    fixture_tier(jini, JINI_TIERING_NOW, &run);
    struct jini_archive_status status;
    struct jini_error error;
    CHECK_OK(jini_archive_status(jini, &status, &error));
    CHECK_UINT(status.images_hot_archived, ==, COPIES);
    CHECK_UINT(status.bytes_archived, <, 3 * status.bytes_original / COPIES);
    for (int i = 0; i < COPIES - 1; i++) {
        struct jini_image_remove remove;
        jini_request_init(&remove);
        remove.id = ids[i];
        CHECK_OK(jini_image_remove(jini, &remove, NULL));
    }
    fixture_days_pass(8);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    CHECK_OK(fixture_get(jini, &ids[COPIES - 1], 7));
    for (int i = 0; i < COPIES - 1; i++)
        CHECK_STATUS(fixture_get(jini, &ids[i], 7), JINI_E_NOT_FOUND);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void check_same(const struct jini_image *a, const struct jini_image *b)
{
    CHECK_BYTES(a, b, offsetof(struct jini_image, media_type) + sizeof(a->media_type));
}

TEST(sharing_does_not_show,
     "What an owner sees of an image stays what it was when the image was put, also when it shares "
     "the archived bytes of somebody who was there before.")
{
    struct jini *jini = fixture_open();
    struct jini_id older = fixture_put(jini, fixture_user(jini, "bob", "Premium"), 7);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    uint64_t alice = fixture_user(jini, "alice", "Premium");
    struct jini_id younger = fixture_put(jini, alice, 7);
    struct jini_id other = fixture_put(jini, alice, 8);
    CHECK_OK(jini_close(jini, NULL, NULL)); /* seals */
    jini = fixture_open();
    struct jini_image before[2] = {stat_of(jini, &younger), stat_of(jini, &other)};
    fixture_tier(jini, 0, NULL);
    struct jini_image_place place = fixture_locate(jini, &younger);
    struct jini_image_place shared = fixture_locate(jini, &older);
    CHECK_INT(jini_id_compare(&place.pack_id, &shared.pack_id), ==, 0);
    CHECK_INT(place.state, ==, JINI_IMAGE_HOT_ARCHIVED);
    CHECK_INT(fixture_locate(jini, &other).state, ==, JINI_IMAGE_HOT);
    struct jini_image after[2] = {stat_of(jini, &younger), stat_of(jini, &other)};
    check_same(&after[0], &before[0]);
    check_same(&after[1], &before[1]);
    struct jini_list_cursor cursor = {0};
    struct jini_image list[2];
    struct jini_error error;
    size_t count;
    CHECK_OK(jini_image_list(jini, alice, &cursor, list, 2, &count, &error));
    CHECK_UINT(count, ==, 2);
    check_same(&list[1], &before[0]);
    check_same(&list[0], &before[1]);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(one_run_moves_what_many_openings_left,
     "Small packs of several openings, with duplicates among them, are merged, shared, archived "
     "and freed by one run, "
     "packs that the run itself makes included.")
{
    enum { OPENINGS = 3, EACH = 3 };
    struct jini_id ids[OPENINGS][EACH];
    uint64_t user = 0;
    for (int i = 0; i < OPENINGS; i++) {
        struct jini *jini = fixture_open();
        user = user ? user : fixture_user(jini, "alice", "Premium");
        for (uint64_t seed = 0; seed < EACH; seed++)
            ids[i][seed] = fixture_put(jini, user, seed);
        CHECK_OK(jini_close(jini, NULL, NULL));
        if (i > 0)
            continue;
        /*
         * The first pack has been looked through before the others are there to be merged with it.
         */
        jini = fixture_open();
        fixture_tier(jini, JINI_TIERING_NOW, NULL);
        CHECK_OK(jini_close(jini, NULL, NULL));
    }
    struct jini *jini = fixture_open();
    struct jini_archive_run run;
    struct jini_archive_status status;
    struct jini_error error;
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run);
    CHECK_UINT(run.images_archived, ==, (OPENINGS - 1) * EACH);
    CHECK_OK(jini_archive_status(jini, &status, &error));
    CHECK_UINT(status.images_cold, ==, OPENINGS * EACH);
    CHECK_UINT(status.packs_sealed + status.packs_open + status.packs_archived, ==, 0);
    CHECK_UINT(status.bytes_archived, <, status.bytes_original);
    for (int i = 0; i < OPENINGS; i++) {
        for (uint64_t seed = 0; seed < EACH; seed++)
            CHECK_OK(fixture_get(jini, &ids[i][seed], seed));
    }
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(duplicates_in_several_packs_are_stored_once,
     "The same files in several packs, each too large to be merged, take the room of one after one "
     "run that archives "
     "and frees.")
{
    enum { OPENINGS = 4, EACH = 4 };
    struct jini_options options;
    struct jini_archive_run run;
    struct jini_archive_status status;
    struct jini_error error;
    uint64_t user = 0;
    fixture_options(&options);
    options.pack_bytes_max = 64 * 1024;
    for (int i = 0; i < OPENINGS; i++) {
        struct jini *jini = fixture_open_with(&options);
        user = user ? user : fixture_user(jini, "alice", "Premium");
        for (uint64_t seed = 0; seed < EACH; seed++)
            fixture_put(jini, user, seed);
        CHECK_OK(jini_close(jini, NULL, NULL));
    }
    struct jini *jini = fixture_open_with(&options);
    CHECK_OK(jini_archive_status(jini, &status, &error));
    CHECK_UINT(status.packs_sealed, ==, OPENINGS);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run);
    CHECK_OK(jini_archive_status(jini, &status, &error));
    CHECK_UINT(status.images_cold, ==, OPENINGS * EACH);
    CHECK_UINT(status.bytes_archived, <, 2 * status.bytes_original / OPENINGS);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void count_steps(void *context, const struct jini_tiering_event *event)
{
    unsigned *steps = context;
    CHECK(event->step >= JINI_TIERING_SEAL && event->step <= JINI_TIERING_REGAIN);
    CHECK(event->because[0] != '\0');
    steps[event->step]++;
}

TEST(a_dry_run_foresees_every_step, "A dry run reports that a pack would be sealed, archived and "
                                    "freed, with reasons, and changes nothing.")
{
    struct jini *jini = fixture_open();
    struct jini_id id = fixture_put(jini, fixture_user(jini, "alice", "Premium"), 1);
    unsigned steps[JINI_TIERING_REGAIN + 1] = {0};
    struct jini_archive_run run;
    struct jini_archive_status status;
    struct jini_error error;
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT | JINI_TIERING_DRY_RUN;
    run.report = count_steps;
    run.report_context = steps;
    fixture_must(jini_archive_run(jini, &run, NULL), "plan", &run.request.error);
    CHECK_UINT(steps[JINI_TIERING_SEAL], ==, 1);
    CHECK_UINT(steps[JINI_TIERING_ARCHIVE], ==, 1);
    CHECK_UINT(steps[JINI_TIERING_FREE], ==, 1);
    CHECK_OK(jini_archive_status(jini, &status, &error));
    CHECK_UINT(status.packs_open, ==, 1);
    CHECK_UINT(status.images_hot, ==, 1);
    CHECK_OK(fixture_get(jini, &id, 1));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

struct cancelling {
    struct jini *jini;
    struct jini_archive_run *run;
    unsigned archived;
};

static void cancel_after_first(void *context, const struct jini_tiering_event *event)
{
    struct cancelling *cancelling = context;
    if (event->step == JINI_TIERING_ARCHIVE && ++cancelling->archived == 1)
        jini_cancel(cancelling->jini, &cancelling->run->request);
}

TEST(a_run_that_is_cancelled_ends_between_packs,
     "jini_cancel() ends a run after the pack that it is at; the next run does the rest.")
{
    struct jini *jini = fixture_open();
    struct jini_archive_run run;
    struct cancelling cancelling = {jini, &run, 0};
    fixture_put(jini, fixture_user(jini, "fay", "Free"), 1);
    fixture_put(jini, fixture_user(jini, "bob", "Basic"), 2);
    fixture_put(jini, fixture_user(jini, "pia", "Premium"), 3);
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW;
    run.report = cancel_after_first;
    run.report_context = &cancelling;
    CHECK_STATUS(jini_archive_run(jini, &run, NULL), JINI_E_CANCELLED);
    CHECK_UINT(run.packs_archived, ==, 1);
    fixture_tier(jini, JINI_TIERING_NOW, &run);
    CHECK_UINT(run.packs_archived, ==, 2);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(expiry_of_a_free_image_takes_no_premium_bytes,
     "When a Free image expires, the same bytes of a Premium user stay, in every tier.")
{
    struct jini *jini = fixture_open();
    struct jini_id free_image = fixture_put(jini, fixture_user(jini, "fay", "Free"), 7);
    struct jini_id premium = fixture_put(jini, fixture_user(jini, "pia", "Premium"), 7);
    struct jini_image image;
    struct jini_error error;
    CHECK_OK(jini_image_stat(jini, &free_image, &image, &error));
    CHECK_UINT(image.expires_ms, >, 0);
    CHECK_OK(jini_image_stat(jini, &premium, &image, &error));
    CHECK_UINT(image.expires_ms, ==, 0);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    fixture_days_pass(29);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    CHECK_OK(fixture_get(jini, &free_image, 7));
    fixture_days_pass(3);
    struct jini_archive_run run;
    fixture_tier(jini, JINI_TIERING_NOW, &run);
    CHECK_UINT(run.images_purged, ==, 1);
    CHECK_UINT(run.packs_purged, ==, 1);
    CHECK_STATUS(fixture_get(jini, &free_image, 7), JINI_E_NOT_FOUND);
    CHECK_OK(fixture_get(jini, &premium, 7));
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    CHECK_OK(fixture_get(jini, &premium, 7));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_purged_image_leaves_no_copy, "After its time in the trash an image can be found in no file, "
                                    "local or archived; before, it can come back.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct png_request png = {64, 64, 99, "made for a test", NULL};
    size_t length;
    uint8_t *file = png_make(&png, &length);
    struct jini_id doomed = fixture_put(jini, user, 99);
    struct jini_id others[5];
    for (uint64_t i = 0; i < 5; i++)
        others[i] = fixture_put(jini, user, 200 + i);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    CHECK(harness_tree_holds(harness_path("db"), file + 200, 1000));
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = doomed;
    CHECK_OK(jini_image_remove(jini, &remove, NULL));
    CHECK_STATUS(fixture_get(jini, &doomed, 99), JINI_E_NOT_FOUND);
    CHECK_OK(jini_image_restore(jini, &remove, NULL));
    CHECK_OK(fixture_get(jini, &doomed, 99));
    CHECK_OK(jini_image_remove(jini, &remove, NULL));
    CHECK_STATUS(jini_image_remove(jini, &remove, NULL), JINI_E_NOT_FOUND);
    fixture_days_pass(8);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    CHECK_STATUS(jini_image_restore(jini, &remove, NULL), JINI_E_NOT_FOUND);
    CHECK(!harness_tree_holds(harness_path("db"), file + 200, 1000));
    for (uint64_t i = 0; i < 5; i++)
        CHECK_OK(fixture_get(jini, &others[i], 200 + i));
    fixture_verify(jini);
    free(file);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void trash(struct jini *jini, const struct jini_id *id)
{
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = *id;
    CHECK_OK(jini_image_remove(jini, &remove, NULL));
}

TEST(a_purged_image_leaves_no_copy_of_its_double,
     "The bytes of an image that was put twice, into two packs with others, are in no file after "
     "both were purged.")
{
    enum { PACKS = 2, OTHERS = 10 };
    struct png_request png = {64, 64, 99, "made for a test", NULL};
    size_t length;
    uint8_t *file = png_make(&png, &length);
    struct jini_options options;
    struct jini *jini = NULL;
    uint64_t user = 0;
    fixture_options(&options);
    options.pack_bytes_max = 64 * 1024; /* so that neither pack is small, and merged */
    struct jini_id doomed[PACKS];
    struct jini_id others[PACKS][OTHERS];
    for (unsigned i = 0; i < PACKS; i++) {
        jini = fixture_open_with(&options);
        if (i == 0)
            user = fixture_user(jini, "alice", "Premium");
        doomed[i] = fixture_put(jini, user, 99);
        for (unsigned j = 0; j < OTHERS; j++)
            others[i][j] = fixture_put(jini, user, 200 + i * OTHERS + j);
        CHECK_OK(jini_close(jini, NULL, NULL)); /* seals */
    }
    jini = fixture_open_with(&options);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    CHECK(harness_tree_holds(harness_path("db/packs"), file + 200, 1000));
    CHECK(harness_tree_holds(harness_path("db/archive"), file + 200, 1000));
    for (unsigned i = 0; i < PACKS; i++)
        trash(jini, &doomed[i]);
    fixture_days_pass(8);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    CHECK(!harness_tree_holds(harness_path("db/packs"), file + 200, 1000));
    CHECK(!harness_tree_holds(harness_path("db/archive"), file + 200, 1000));
    for (unsigned i = 0; i < PACKS; i++) {
        for (unsigned j = 0; j < OTHERS; j++)
            CHECK_OK(fixture_get(jini, &others[i][j], 200 + i * OTHERS + j));
    }
    fixture_verify(jini);
    free(file);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(rewriting_keeps_the_age_of_images,
     "Cold images whose pack is rewritten for a purge are cold again after the same run, without "
     "being asked for.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id doomed = fixture_put(jini, user, 1);
    struct jini_id kept = fixture_put(jini, user, 2);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    trash(jini, &doomed);
    fixture_days_pass(8);
    struct jini_archive_run run;
    fixture_tier(jini, 0, &run);
    CHECK_UINT(run.images_purged, ==, 1);
    CHECK_UINT(run.packs_archived, ==, 1);
    CHECK_UINT(run.packs_freed, ==, 1);
    CHECK_INT(fixture_locate(jini, &kept).state, ==, JINI_IMAGE_COLD);
    CHECK_OK(fixture_get(jini, &kept, 2));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

struct hammer {
    struct jini *jini;
    struct jini_id *ids;
    unsigned count;
    _Atomic bool stop;
    _Atomic uint64_t reads;
};

static void *read_all_the_time(void *argument)
{
    struct hammer *hammer = argument;
    for (unsigned i = 0; !atomic_load(&hammer->stop); i++) {
        unsigned index = i * 7 % hammer->count;
        int status = fixture_get(hammer->jini, &hammer->ids[index], index);
        if (status)
            harness_fail(__FILE__, __LINE__, "a reader got %s", jini_status_name(status));
        atomic_fetch_add(&hammer->reads, 1);
    }
    return NULL;
}

TEST(readers_meet_no_error_beside_tiering, "Readers beside sealing, sharing, rewriting, archiving "
                                           "and freeing get every image, every time.")
{
    enum { IMAGES = 60, READERS = 3 };
    struct jini_options options;
    fixture_options(&options);
    options.pack_bytes_max = 64 * 1024;
    options.cache_image_bytes = 64 * 1024;
    options.trash_s = 0;
    struct jini *jini = fixture_open_with(&options);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    static struct jini_id ids[IMAGES];
    for (uint64_t i = 0; i < IMAGES; i++)
        ids[i] = fixture_put(jini, user, i);
    struct hammer hammer = {.jini = jini, .ids = ids, .count = IMAGES};
    pthread_t threads[READERS];
    for (int i = 0; i < READERS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, read_all_the_time, &hammer), ==, 0);
    for (unsigned round = 0; round < 6; round++) {
        for (uint64_t i = 0; i < 10; i++) {
            struct jini_image_remove remove;
            jini_request_init(&remove);
            remove.id = fixture_put(jini, user, 1000 + i);
            fixture_put(jini, user, i);
            CHECK_OK(jini_image_remove(jini, &remove, NULL));
        }
        fixture_tier(jini, JINI_TIERING_NOW | (round % 2 ? JINI_TIERING_FREE_HOT : 0), NULL);
    }
    atomic_store(&hammer.stop, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_UINT(atomic_load(&hammer.reads), >, IMAGES);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

struct come_back {
    struct jini_image_put put;
    uint8_t *file;
    _Atomic unsigned times;
};

static void count_return(struct jini_request *request)
{
    struct come_back *back = request->data;
    atomic_fetch_add(&back->times, 1);
}

static bool all_came_back(struct come_back *backs, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (atomic_load(&backs[i].times) == 0)
            return false;
    }
    return true;
}

TEST(puts_that_are_cancelled_come_back_once, "Puts that are cancelled again and again, wherever "
                                             "they are, come back once: stored, or not at all.")
{
    enum { PUTS = 48 };
    static struct come_back backs[PUTS];
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    for (uint64_t i = 0; i < PUTS; i++) {
        struct png_request png = {64, 64, i, "made for a test", NULL};
        struct jini_image_put *put = &backs[i].put;
        jini_request_init(put);
        backs[i].file = png_make(&png, &put->length);
        put->bytes = backs[i].file;
        put->user_id = user;
        put->request.data = &backs[i];
        CHECK_OK(jini_image_put(jini, put, count_return));
        if (i % 3 == 0)
            jini_cancel(jini, &put->request);
    }
    while (!all_came_back(backs, PUTS)) {
        for (unsigned i = 0; i < PUTS; i += 2) {
            if (atomic_load(&backs[i].times) == 0)
                jini_cancel(jini, &backs[i].put.request);
        }
    }
    usleep(20000);
    uint64_t stored = 0;
    for (unsigned i = 0; i < PUTS; i++) {
        int status = backs[i].put.request.status;
        CHECK_UINT(atomic_load(&backs[i].times), ==, 1);
        CHECK(status == 0 || status == JINI_E_CANCELLED);
        stored += status == 0;
        free(backs[i].file);
    }
    struct jini_usage usage;
    struct jini_error error;
    CHECK_OK(jini_usage_get(jini, user, &usage, &error));
    CHECK_UINT(usage.images, ==, stored);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(bytes_that_are_no_image_are_refused,
     "What is no image, or too large, is refused by name and leaves nothing.")
{
    struct jini_options options;
    fixture_options(&options);
    options.image_bytes_max = 5000;
    struct jini *jini = fixture_open_with(&options);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    static uint8_t bytes[6000] = "this is a text";
    struct jini_image_put put;
    jini_request_init(&put);
    put.bytes = bytes;
    put.user_id = user;
    put.length = 0;
    CHECK_STATUS(jini_image_put(jini, &put, NULL), JINI_E_NOT_IMAGE);
    put.bytes = NULL;
    put.length = 100;
    CHECK_STATUS(jini_image_put(jini, &put, NULL), JINI_E_NOT_IMAGE);
    put.bytes = bytes;
    put.length = 100;
    CHECK_STATUS(jini_image_put(jini, &put, NULL), JINI_E_NOT_IMAGE);
    put.length = 6000;
    CHECK_STATUS(jini_image_put(jini, &put, NULL), JINI_E_TOO_BIG);
    CHECK_TEXT(put.request.error.field, "image.bytes_max");
    put.length = 100;
    put.user_id = 12345;
    memcpy(bytes, "GIF89a\1\0\1\0\0\0\0;", 14);
    put.length = 14;
    CHECK_STATUS(jini_image_put(jini, &put, NULL), JINI_E_NOT_FOUND);
    put.user_id = user;
    put.flags = JINI_PUT_SETTLES;
    CHECK_STATUS(jini_image_put(jini, &put, NULL), JINI_E_INVALID);
    CHECK_TEXT(put.request.error.field, "job_id");
    struct jini_list_cursor cursor = {0};
    struct jini_image list[4];
    size_t count;
    struct jini_error error;
    CHECK_OK(jini_image_list(jini, user, &cursor, list, 4, &count, &error));
    CHECK_UINT(count, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_get_of_nothing_that_there_is_is_refused,
     "An unknown `what`, and a capacity without a buffer, are JINI_E_INVALID by their names.")
{
    struct jini *jini = fixture_open();
    uint8_t bytes[16];
    struct jini_image_get get;
    jini_request_init(&get);
    get.id = fixture_put(jini, fixture_user(jini, "alice", "Free"), 1);
    get.what = JINI_GET_METADATA + 1;
    get.buffer = bytes;
    get.capacity = sizeof(bytes);
    CHECK_STATUS(jini_image_get(jini, &get, NULL), JINI_E_INVALID);
    CHECK_TEXT(get.request.error.field, "what");
    get.what = JINI_GET_BYTES;
    get.buffer = NULL;
    CHECK_STATUS(jini_image_get(jini, &get, NULL), JINI_E_INVALID);
    CHECK_TEXT(get.request.error.field, "buffer");
    CHECK_OK(jini_close(jini, NULL, NULL));
}
