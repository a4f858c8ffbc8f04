/*
 * Tiering onto an archive that has a bad day: requests that are refused, whose answer is lost, that
 * take long or for ever, and objects that come back short or with a wrong bit. Whatever happens, no
 * local copy goes before its object was read back and found right, nothing wrong is ever handed
 * out, and once the faults are over everything gets where it belongs.
 */
#include "engine/engine_private.h"

#include "archive/fault.h"
#include "base/hash.h"
#include "images/index.h"
#include "images/pack_path.h"

#include "engine_fixture.h"

#include <fcntl.h>
#include <unistd.h>

enum { IMAGES_MAX = 400, PACKS_MAX = 400 };

#define HEALTHY "skip=0"

struct kept {
    struct jini_id id;
    uint64_t seed;
};

static struct kept kept[IMAGES_MAX];
static unsigned kept_count;

static struct jini *open_over(const char *spec, uint64_t lease_ms)
{
    struct jini_options options;
    fixture_options(&options);
    snprintf(options.archive_url, sizeof(options.archive_url), "fault:%s:dir:archive", spec);
    options.background_lease_ms = lease_ms;
    options.pack_bytes_max = 64 * 1024;
    options.cache_image_bytes = 0; /* cold images come from the archive each time */
    options.trash_s = 0;
    return fixture_open_with(&options);
}

static struct archive *archive_of(struct jini *jini)
{
    struct jini_error error;
    CHECK_OK(archives_open(jini, &error));
    return jini->archives.handle->archive;
}

static void set_faults(struct jini *jini, const char *spec)
{
    struct jini_error error;
    fixture_must(archive_fault_set(archive_of(jini), spec, &error), spec, &error);
}

static void put_images(struct jini *jini, uint64_t user, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        CHECK_UINT(kept_count, <, IMAGES_MAX);
        struct kept *image = &kept[kept_count];
        image->seed = kept_count++;
        image->id = fixture_put(jini, user, image->seed);
    }
}

static int run_tiering(struct jini *jini, struct jini_archive_run *run)
{
    jini_request_init(run);
    run->flags = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT;
    return jini_archive_run(jini, run, NULL);
}

/* ---- What must hold ---- */

static size_t list_packs(struct jini *jini, struct index_pack packs[PACKS_MAX])
{
    struct store_txn *txn;
    size_t count;
    CHECK_OK(store_read_begin(jini->store, &txn));
    CHECK_OK(index_pack_list(txn, NULL, packs, PACKS_MAX, &count));
    store_read_end(txn);
    CHECK_UINT(count, <, PACKS_MAX);
    return count;
}

static int hash_piece(struct archive_request *request, struct slice piece)
{
    hash_stream_add(request->user, piece);
    return 0;
}

static void check_object(struct archive *inner, const struct index_pack *pack)
{
    char name[INDEX_OBJECT_NAME_MAX];
    index_object_name(pack, name);
    struct hash_stream *stream = hash_stream_new();
    struct archive_request get = {.operation = ARCHIVE_GET,
                                  .name = slice_of_text(name),
                                  .user = stream,
                                  .get = {.length = ARCHIVE_TO_END, .sink = hash_piece}};
    struct jini_error error;
    fixture_must(archive_run(inner, &get, &error), name, &error);
    struct hash128 hash = hash_stream_128(stream);
    hash_stream_free(stream);
    CHECK_UINT(get.bytes, ==, pack->file_bytes);
    CHECK(hash128_equal(&hash, &pack->object_hash));
}

/* Behind the faults, each pack that is said to be in the archive is there, whole. */
static unsigned check_objects(struct jini *jini)
{
    static struct index_pack packs[PACKS_MAX];
    struct archive *inner = archive_fault_inner(archive_of(jini));
    unsigned cold = 0;
    size_t count = list_packs(jini, packs);
    for (size_t i = 0; i < count; i++) {
        if (packs[i].state == INDEX_PACK_ARCHIVED || packs[i].state == INDEX_PACK_COLD)
            check_object(inner, &packs[i]);
        cold += packs[i].state == INDEX_PACK_COLD;
    }
    return cold;
}

static bool is_answer_of_a_bad_day(int status)
{
    return status == JINI_E_ARCHIVE || status == JINI_E_CORRUPT || status == JINI_E_TIMEOUT;
}

/* fixture_get() fails the case when it is handed wrong bytes. */
static void read_all(struct jini *jini)
{
    for (unsigned i = 0; i < kept_count; i++) {
        int status = fixture_get(jini, &kept[i].id, kept[i].seed);
        CHECK_OK(status);
    }
}

static void check_recovered(struct jini *jini)
{
    struct jini_archive_run run;
    struct jini_archive_status status;
    struct jini_error error;
    set_faults(jini, HEALTHY);
    CHECK_OK(run_tiering(jini, &run));
    read_all(jini);
    fixture_verify(jini);
    check_objects(jini);
    CHECK_OK(jini_archive_status(jini, &status, &error));
    CHECK_UINT(status.images_hot, ==, 0);
    CHECK_UINT(status.images_hot_archived, ==, 0);
}

/* ---- One kind, on every request ---- */

static void check_never_freed(const char *spec)
{
    struct jini *jini = open_over(HEALTHY, 300);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_archive_run run;
    put_images(jini, user, 8);
    set_faults(jini, spec);
    for (int i = 0; i < 3; i++) {
        int status = run_tiering(jini, &run);
        CHECK(is_answer_of_a_bad_day(status));
        CHECK_UINT(run.packs_freed, ==, 0);
        CHECK_UINT(run.packs_failed, >, 0);
    }
    CHECK_UINT(check_objects(jini), ==, 0);
    read_all(jini); /* from the local copies */
    check_recovered(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_flipped_bit_frees_nothing,
     "A pack whose object reads back with a wrong bit stays local, however often it is tried.")
{
    check_never_freed("every=1,kinds=flip,operations=get");
}

TEST(a_short_object_frees_nothing, "A pack whose object reads back short stays local.")
{
    check_never_freed("every=1,kinds=short,operations=get");
}

TEST(a_refused_put_frees_nothing, "A pack that the archive does not take stays local.")
{
    check_never_freed("every=1,kinds=refuse,operations=put");
}

TEST(a_lost_answer_frees_nothing,
     "A pack whose PUT was done and not answered is not believed to be in the archive.")
{
    check_never_freed("every=1,kinds=lost,operations=put");
}

TEST(an_archive_that_cannot_be_read_frees_nothing,
     "A pack that was taken and cannot be read back stays local.")
{
    check_never_freed("every=1,kinds=refuse,operations=get");
}

TEST(a_refused_question_frees_nothing,
     "An archive that does not say whether it still has what the run wrote is not relied on; a "
     "later run does not ask, it reads.")
{
    struct jini *jini = open_over(HEALTHY, 300);
    struct jini_archive_run run;
    put_images(jini, fixture_user(jini, "alice", "Premium"), 8);
    set_faults(jini, "every=1,kinds=refuse+lost,operations=head");
    CHECK(is_answer_of_a_bad_day(run_tiering(jini, &run)));
    CHECK_UINT(run.packs_freed, ==, 0);
    CHECK_UINT(run.packs_failed, >, 0);
    read_all(jini);
    check_recovered(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(an_archive_that_hangs_frees_nothing,
     "A request that is never answered ends at its deadline, and the pack stays local.")
{
    check_never_freed("every=1,kinds=hang,operations=put+get");
}

TEST(a_slow_archive_gets_everything, "Slow answers are waited for, and nothing fails by them.")
{
    struct jini *jini = open_over("every=1,kinds=delay,delay_ms=30", 30000);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_archive_run run;
    put_images(jini, user, 12);
    CHECK_OK(run_tiering(jini, &run));
    CHECK_UINT(run.packs_failed, ==, 0);
    CHECK_UINT(run.packs_freed, >, 0);
    read_all(jini);
    check_recovered(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- What rots later ---- */

/* Changes a byte in the middle of the only pack: of its object, or of its local file. */
static void rot(struct jini *jini, enum index_pack_state state, bool local)
{
    static struct index_pack packs[PACKS_MAX];
    char path[INDEX_OBJECT_NAME_MAX];
    char byte;
    CHECK_UINT(list_packs(jini, packs), ==, 1);
    CHECK_INT(packs[0].state, ==, state);
    if (local)
        pack_path(&packs[0].id, path);
    else
        index_object_name(&packs[0], path);
    int fd = open(harness_path(local ? "db/%s" : "db/archive/%s", path), O_RDWR | O_CLOEXEC);
    off_t middle = (off_t)packs[0].payload_bytes - 200;
    CHECK_INT(fd, >=, 0);
    CHECK_INT(pread(fd, &byte, 1, middle), ==, 1);
    byte ^= 1;
    CHECK_INT(pwrite(fd, &byte, 1, middle), ==, 1);
    close(fd);
}

static struct jini *open_with_an_archived_image(void)
{
    struct jini *jini = open_over(HEALTHY, 30000);
    struct jini_archive_run run;
    put_images(jini, fixture_user(jini, "alice", "Premium"), 1);
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW;
    CHECK_OK(jini_archive_run(jini, &run, NULL));
    return jini;
}

static int run_regularly(struct jini *jini, struct jini_archive_run *run)
{
    jini_request_init(run);
    return jini_archive_run(jini, run, NULL);
}

TEST(an_object_that_rots_before_freeing_costs_nothing,
     "Days after archiving an object is read once more before the local copy goes: one that rotted "
     "is archived anew from it.")
{
    struct jini *jini = open_with_an_archived_image();
    struct jini_archive_run run;
    rot(jini, INDEX_PACK_ARCHIVED, false);
    fixture_days_pass(8);
    CHECK_STATUS(run_regularly(jini, &run), JINI_E_ARCHIVE);
    CHECK_UINT(run.packs_freed, ==, 0);
    read_all(jini);
    CHECK_OK(run_regularly(jini, &run));
    CHECK_UINT(run.packs_archived, ==, 1);
    read_all(jini);
    fixture_days_pass(8);
    CHECK_OK(run_regularly(jini, &run));
    CHECK_UINT(run.packs_freed, ==, 1);
    check_recovered(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(an_object_is_not_given_up_for_a_damaged_file,
     "An object that comes back with a wrong bit stays the pack's, if the local copy is no better.")
{
    struct jini *jini = open_with_an_archived_image();
    struct jini_archive_run run;
    rot(jini, INDEX_PACK_ARCHIVED, true);
    fixture_days_pass(8);
    set_faults(jini, "every=1,kinds=flip,operations=get");
    CHECK_STATUS(run_regularly(jini, &run), JINI_E_CORRUPT);
    set_faults(jini, HEALTHY);
    read_all(jini); /* from the archive */
    CHECK_OK(run_regularly(jini, &run));
    CHECK_UINT(run.packs_freed, ==, 1);
    check_recovered(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void trash(struct jini *jini, const struct jini_id *id)
{
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = *id;
    CHECK_OK(jini_image_remove(jini, &remove, NULL));
}

TEST(answers_with_a_wrong_bit_are_no_damage,
     "Cold packs that are due to be rewritten, over an archive whose answers are wrong by a bit: "
     "nothing is taken for damaged and put apart, and all images are there when that is over.")
{
    struct jini *jini = open_over(HEALTHY, 30000);
    struct jini_archive_run run;
    put_images(jini, fixture_user(jini, "alice", "Premium"), 6);
    CHECK_OK(run_tiering(jini, &run));
    kept_count--;
    trash(jini, &kept[kept_count].id);
    set_faults(jini, "every=1,kinds=flip,operations=get");
    for (int i = 0; i < 3; i++)
        CHECK(is_answer_of_a_bad_day(run_tiering(jini, &run)) || run.request.status == JINI_E_IO);
    check_recovered(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
