/* Images that are stored coded: which, and that they come back whole or not at all. */
#include "cold_fixture.h"

#include "codec/codec.h"
#include "engine/tiering_private.h"
#include "images/pack_file.h"
#include "images/pack_path.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { GREYS = 4, WIDTH = 200, HEIGHT = 300, TEXT_BYTES = 3000 };

/* A picture of few greys, which is worth coding; its text is too long for the image's row. */
static uint8_t *make(uint64_t seed, size_t *length)
{
    static char text[TEXT_BYTES];
    memset(text, 'x', sizeof(text) - 1);
    struct png_request png = {WIDTH, HEIGHT, seed, text, NULL};
    return png_make_greys(&png, GREYS, length);
}

static struct jini_id put(struct jini *jini, uint64_t user, uint64_t seed)
{
    struct jini_image_put put;
    jini_request_init(&put);
    uint8_t *file = make(seed, &put.length);
    put.bytes = file;
    put.user_id = user;
    fixture_must(jini_image_put(jini, &put, NULL), "put", &put.request.error);
    CHECK_UINT(put.image.bytes, ==, put.length);
    free(file);
    return put.image.id;
}

/* Reads image or metadata; after 0 it must be the picture of the seed, and nothing behind it. */
static int get(struct jini *jini, const struct jini_id *id, uint64_t seed, enum jini_get_what what)
{
    enum { GUARD_BYTES = 64 };
    struct jini_image_get get;
    size_t length;
    uint8_t *file = make(seed, &length);
    uint8_t *room = malloc(length + GUARD_BYTES);
    memset(room + length, 0xa5, GUARD_BYTES);
    jini_request_init(&get);
    get.id = *id;
    get.what = what;
    get.buffer = room;
    get.capacity = length;
    int status = jini_image_get(jini, &get, NULL);
    if (status == 0 && what == JINI_GET_BYTES) {
        CHECK_UINT(get.length, ==, length);
        CHECK_BYTES(room, file, length);
    }
    if (status == 0 && what == JINI_GET_METADATA)
        CHECK_UINT(get.length, >, TEXT_BYTES - 1);
    for (int i = 0; i < GUARD_BYTES; i++)
        CHECK_UINT(room[length + (size_t)i], ==, 0xa5);
    free(room);
    free(file);
    return status;
}

static int get_both(struct jini *jini, const struct jini_id *id, uint64_t seed)
{
    int status = get(jini, id, seed, JINI_GET_BYTES);
    return status ? status : get(jini, id, seed, JINI_GET_METADATA);
}

static struct jini *open_engine(void)
{
    struct jini_options options;
    cold_options(&options);
    return fixture_open_with(&options);
}

static void check_coded(struct jini *jini, const struct jini_id *id)
{
    struct jini_image_place place = fixture_locate(jini, id);
    CHECK_TEXT(place.codec, "zstd");
    CHECK_UINT(place.stored_bytes, <, WIDTH * HEIGHT / 2);
}

/* ---- The way down and up ---- */

TEST(a_coded_image_comes_back_from_every_tier,
     "An image that compresses is stored coded, and read identical hot, rewritten, archived, cold "
     "by one GET and from the cache; verify finds nothing.")
{
    struct jini *jini = open_engine();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id id = put(jini, user, 1);
    struct jini_id neighbour = put(jini, user, 2);
    check_coded(jini, &id);
    CHECK_OK(get_both(jini, &id, 1));
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = neighbour;
    CHECK_OK(jini_image_remove(jini, &remove, NULL));
    struct jini_image_place before = fixture_locate(jini, &id);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    struct jini_image_place after = fixture_locate(jini, &id);
    CHECK_INT(jini_id_compare(&before.pack_id, &after.pack_id), !=, 0); /* rewritten */
    check_coded(jini, &id);
    CHECK_OK(get_both(jini, &id, 1));
    fixture_verify(jini);
    fixture_tier(jini, JINI_TIERING_FREE_HOT, NULL);
    CHECK_INT(fixture_locate(jini, &id).state, ==, JINI_IMAGE_COLD);
    uint64_t gets = cold_gets(jini);
    for (int i = 0; i < 3; i++)
        CHECK_OK(get_both(jini, &id, 1));
    CHECK_UINT(cold_gets(jini) - gets, ==, 1);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(what_does_not_compress_is_stored_as_it_is, "Noise is not coded.")
{
    struct jini *jini = open_engine();
    struct jini_id id = fixture_put(jini, 0, 1);
    struct jini_image image;
    struct jini_error error;
    CHECK_OK(jini_image_stat(jini, &id, &image, &error));
    CHECK_TEXT(fixture_locate(jini, &id).codec, "stored");
    CHECK_UINT(fixture_locate(jini, &id).stored_bytes, ==, image.bytes);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(without_memory_an_image_is_stored_as_it_is,
     "An image whose coding finds no memory, or no room within the bound, is stored all the same; "
     "what coding holds is given back.")
{
    struct jini *jini = open_engine();
    unsigned stored = 0;
    for (uint64_t nth = 1;; nth++) {
        harness_fail_allocation(nth);
        struct jini_image_put request;
        jini_request_init(&request);
        uint8_t *file = make(nth, &request.length);
        request.bytes = file;
        int status = jini_image_put(jini, &request, NULL);
        bool failed = harness_allocation_failed();
        harness_fail_allocation(0);
        free(file);
        CHECK(status == 0 || status == JINI_E_NO_MEMORY);
        if (status == 0) {
            CHECK_OK(get_both(jini, &request.image.id, nth));
            stored += strcmp(fixture_locate(jini, &request.image.id).codec, "stored") == 0;
        }
        CHECK_UINT(atomic_load(&jini->coding_bytes), ==, 0);
        if (!failed)
            break;
    }
    CHECK_UINT(stored, >, 0);
    atomic_store(&jini->coding_bytes, jini->options.pack_queue_bytes_max);
    struct jini_id id = put(jini, 0, 1000);
    CHECK_TEXT(fixture_locate(jini, &id).codec, "stored");
    CHECK_OK(get_both(jini, &id, 1000));
    CHECK_UINT(atomic_load(&jini->coding_bytes), ==, jini->options.pack_queue_bytes_max);
    atomic_store(&jini->coding_bytes, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* Puts the picture as it is, as a version that did not code has done. */
static struct jini_id put_uncoded(struct jini *jini, uint64_t user, uint64_t seed)
{
    atomic_store(&jini->coding_bytes, jini->options.pack_queue_bytes_max);
    struct jini_id id = put(jini, user, seed);
    atomic_store(&jini->coding_bytes, 0);
    CHECK_TEXT(fixture_locate(jini, &id).codec, "stored");
    return id;
}

TEST(a_coded_image_shares_with_an_uncoded_equal,
     "The same image, once coded and once not, is stored once, whichever came first; each owner "
     "reads it, also after the other one's was purged.")
{
    for (int coded_first = 0; coded_first < 2; coded_first++) {
        struct jini *jini = open_engine();
        char name[16];
        snprintf(name, sizeof(name), "user%d", coded_first);
        uint64_t user = fixture_user(jini, name, "Premium");
        uint64_t seed = 10 + (uint64_t)coded_first;
        struct jini_id first = (coded_first ? put : put_uncoded)(jini, user, seed);
        struct jini_id second = (coded_first ? put_uncoded : put)(jini, user, seed);
        fixture_tier(jini, JINI_TIERING_NOW, NULL);
        struct jini_image_place places[2] = {fixture_locate(jini, &first),
                                             fixture_locate(jini, &second)};
        CHECK_INT(jini_id_compare(&places[0].pack_id, &places[1].pack_id), ==, 0);
        CHECK_TEXT(places[0].codec, places[1].codec);
        CHECK_TEXT(places[0].codec, coded_first ? "zstd" : "stored");
        CHECK_OK(get_both(jini, &first, seed));
        CHECK_OK(get_both(jini, &second, seed));
        fixture_tier(jini, JINI_TIERING_FREE_HOT, NULL);
        struct jini_image_remove remove;
        jini_request_init(&remove);
        remove.id = first;
        CHECK_OK(jini_image_remove(jini, &remove, NULL));
        fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
        CHECK_STATUS(get(jini, &first, seed, JINI_GET_BYTES), JINI_E_NOT_FOUND);
        CHECK_OK(get_both(jini, &second, seed));
        fixture_verify(jini);
        CHECK_OK(jini_close(jini, NULL, NULL));
    }
}

/* ---- Damage ---- */

static struct index_location location_of(struct jini *jini, const struct jini_id *id)
{
    struct store_txn *txn;
    struct generations_image image;
    struct index_location location;
    CHECK_OK(store_read_begin(jini->store, &txn));
    CHECK_OK(generations_image_get(txn, id, &image, NULL));
    CHECK_OK(
        index_location_get(txn, &image.place.pack_id, image.place.pack_sequence, id, &location));
    store_read_end(txn);
    return location;
}

static void flip(const char *path, uint64_t offset)
{
    uint8_t byte;
    CHECK_INT(chmod(path, 0600), ==, 0);
    int file = open(path, O_RDWR | O_CLOEXEC);
    CHECK_INT(file, >=, 0);
    CHECK_INT(pread(file, &byte, 1, (off_t)offset), ==, 1);
    byte ^= 1;
    CHECK_INT(pwrite(file, &byte, 1, (off_t)offset), ==, 1);
    close(file);
}

static void note_object(void *context, const struct jini_tiering_event *event)
{
    if (event->step == JINI_TIERING_ARCHIVE)
        snprintf(context, 128, "%s", event->object);
}

/* Each part of the record with a wrong bit: its reader gets it whole or an error. */
static void damage_each_part(struct jini *jini, const struct jini_id *id, const char *path)
{
    struct index_location at = location_of(jini, id);
    uint64_t metadata = at.offset + pack_metadata_at(at.stored_length);
    uint64_t payload = at.offset + pack_payload_at(at.stored_length, at.metadata_stored_length);
    const struct {
        uint64_t offset;
        int bytes; /* what JINI_GET_BYTES answers: of a local record each part by itself is read */
        int metadata; /* and JINI_GET_METADATA */
    } parts[] = {
        {at.offset + 5, JINI_E_CORRUPT, JINI_E_CORRUPT},     /* header */
        {at.offset + 41, JINI_E_CORRUPT, JINI_E_CORRUPT},    /* the length in it */
        {metadata + 3, 0, JINI_E_CORRUPT},                   /* metadata */
        {payload, JINI_E_CORRUPT, 0},                        /* magic of the frame */
        {payload + at.stored_length / 2, JINI_E_CORRUPT, 0}, /* within it */
        {payload + at.stored_length - 1, JINI_E_CORRUPT, 0}, /* its end */
    };
    bool cold = fixture_locate(jini, id).state == JINI_IMAGE_COLD;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        flip(path, parts[i].offset);
        CHECK_STATUS(get(jini, id, 1, JINI_GET_BYTES), cold ? JINI_E_CORRUPT : parts[i].bytes);
        CHECK_STATUS(get(jini, id, 1, JINI_GET_METADATA),
                     cold ? JINI_E_CORRUPT : parts[i].metadata);
        flip(path, parts[i].offset);
    }
    CHECK_OK(get_both(jini, id, 1));
}

TEST(a_damaged_coded_record_gives_nothing,
     "A wrong bit in any part of a coded record, local or in the archive, is damage, and never an "
     "image.")
{
    char path[PACK_PATH_MAX];
    char object[128] = "";
    struct jini *jini = open_engine();
    struct jini_id id = put(jini, 0, 1);
    struct index_location location = location_of(jini, &id);
    pack_path(&location.pack, path);
    damage_each_part(jini, &id, harness_path("db/%s", path));
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT;
    run.report = note_object;
    run.report_context = object;
    fixture_must(jini_archive_run(jini, &run, NULL), "tiering", &run.request.error);
    damage_each_part(jini, &id, harness_path("db/archive/%s", object));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* A record whose own checksums hold, in a pack of its own, as somebody may have made it. */
struct forgery {
    struct index_location from;
    struct index_location to;
    struct index_pack pack;
};

static int op_forge(struct store_txn *txn, void *argument)
{
    const struct forgery *forgery = argument;
    int status = index_pack_put(txn, &forgery->pack);
    return status ? status : tiering_move_location(txn, &forgery->from, &forgery->to);
}

static void forge(struct jini *jini, const struct jini_id *id, struct slice payload,
                  struct pack_codec codec, uint64_t original_length)
{
    struct forgery forgery = {.from = location_of(jini, id)};
    struct pack_header header = {.pack = id_next(&jini->ids), .created_ns = 1};
    struct pack_input input = {.image = *id,
                               .payload = payload,
                               .codec = codec,
                               .original_length = original_length,
                               .original_hash = &forgery.from.original_hash};
    struct pack_prepared prepared = {0};
    struct pack_prepared *record = &prepared;
    struct pack_file *file;
    struct jini_error error;
    size_t appended;
    CHECK_OK(pack_prepare(&input, &prepared, &error));
    CHECK_OK(pack_file_create(jini->directory_fd, &header, &file, &error));
    CHECK_OK(pack_file_append(file, &record, 1, &appended, &error));
    uint64_t end = pack_file_end(file);
    CHECK_OK(pack_file_seal(file, &error));
    pack_file_close(file);
    forgery.to = forgery.from;
    forgery.to.pack = header.pack;
    forgery.to.sequence = prepared.record.sequence;
    forgery.to.offset = prepared.offset;
    forgery.to.stored_length = payload.length;
    forgery.to.original_length = original_length;
    forgery.to.codec_id = codec.id;
    forgery.to.codec_version = codec.version;
    forgery.to.metadata_stored_length = 0;
    forgery.pack = (struct index_pack){
        .id = header.pack,
        .state = INDEX_PACK_SEALED,
        .created_ms = 1,
        .sealed_ms = 1,
        .records = 1,
        .payload_bytes = end,
        .file_bytes = end + pack_footer_length(1) + PACK_TRAILER_BYTES,
    };
    pack_prepared_free(&prepared);
    CHECK_OK(store_write(jini->store, op_forge, &forgery));
}

static const struct pack_codec zstd = {CODEC_ZSTD, 1};

/* So many zeros as one frame. */
static size_t make_bomb(size_t zeros, uint8_t *room, size_t capacity)
{
    const struct codec *codec;
    struct jini_error error;
    struct buffer out = buffer_of(room, capacity);
    uint8_t *bytes = calloc(1, zeros);
    CHECK_OK(codec_find(CODEC_ZSTD, 1, &codec, &error));
    CHECK_OK(codec->encode(NULL, slice_of(bytes, zeros), 1, &out, &error));
    free(bytes);
    return out.length;
}

TEST(
    a_decompression_bomb_stays_small,
    "A frame that holds more than its record says, whatever it tells of itself, and one that holds "
    "other bytes, are damage; not a byte is written past the caller's buffer.")
{
    enum { BOMB_BYTES = 16 << 20 };
    static uint8_t frame[64 << 10];
    struct jini *jini = open_engine();
    struct jini_id id = put(jini, 0, 1);
    uint64_t length = location_of(jini, &id).original_length;
    size_t bomb = make_bomb(BOMB_BYTES, frame, sizeof(frame));
    forge(jini, &id, slice_of(frame, bomb), zstd, length);
    CHECK_STATUS(get(jini, &id, 1, JINI_GET_BYTES), JINI_E_CORRUPT);
    /* Its header tells 4 bytes of content size behind magic and descriptor: made to lie. */
    CHECK_UINT(load_le32(frame + 6), ==, BOMB_BYTES);
    store_le32(frame + 6, (uint32_t)length);
    forge(jini, &id, slice_of(frame, bomb), zstd, length);
    CHECK_STATUS(get(jini, &id, 1, JINI_GET_BYTES), JINI_E_CORRUPT);
    /* A frame of the right length and of zeros. */
    bomb = make_bomb(length, frame, sizeof(frame));
    forge(jini, &id, slice_of(frame, bomb), zstd, length);
    CHECK_STATUS(get(jini, &id, 1, JINI_GET_BYTES), JINI_E_CORRUPT);
    /* The index says that it is large: the room is too small, and nothing is decoded. */
    bomb = make_bomb(BOMB_BYTES, frame, sizeof(frame));
    forge(jini, &id, slice_of(frame, bomb), zstd, BOMB_BYTES);
    CHECK_STATUS(get(jini, &id, 1, JINI_GET_BYTES), JINI_E_TOO_BIG);
    /* A codec that only a newer version has. */
    forge(jini, &id, slice_of(frame, bomb), (struct pack_codec){77, 1}, length);
    CHECK_STATUS(get(jini, &id, 1, JINI_GET_BYTES), JINI_E_FORMAT);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
