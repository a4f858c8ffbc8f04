/* Packs without their database: what is told and read of whole, cut and damaged ones. */
#include "../images/pack_support.h"
#include "codec/codec.h"
#include "engine_fixture.h"

enum { TEXT_BYTES = 3000, TOLD_MAX = 16 };

/* ---- Walking ---- */

struct told {
    struct jini_pack *pack;
    size_t count;
    struct jini_pack_item items[TOLD_MAX];
    char damage[TOLD_MAX][JINI_ERROR_MESSAGE_MAX];
    struct jini_pack_summary summary;
};

static int on_part(void *context, const struct jini_pack_item *item)
{
    struct told *told = context;
    CHECK_UINT(told->count, <, TOLD_MAX);
    CHECK((item->status == 0) == (item->damage[0] == '\0'));
    CHECK(item->status == 0 ? item->part == JINI_PACK_RECORD : item->part != 0);
    snprintf(told->damage[told->count], sizeof(told->damage[0]), "%s", item->damage);
    told->items[told->count++] = *item;
    return 0;
}

static void walk(const char *path, uint32_t flags, struct told *told)
{
    struct jini_error error;
    memset(told, 0, sizeof(*told));
    fixture_must(jini_pack_open(&told->pack, path, &error), "open", &error);
    fixture_must(jini_pack_each(told->pack, flags, on_part, told, &told->summary, &error), "each",
                 &error);
    CHECK_UINT(told->summary.records + told->summary.problems, ==, told->count);
}

static void end(struct told *told)
{
    jini_pack_close(told->pack);
}

static const struct jini_pack_item *find(const struct told *told, const struct jini_id *image)
{
    for (size_t i = 0; i < told->count; i++) {
        const struct jini_pack_item *item = &told->items[i];
        if (item->part == JINI_PACK_RECORD && jini_id_compare(&item->image_id, image) == 0)
            return item;
    }
    return NULL;
}

static int read_part(struct told *told, const struct jini_pack_item *item, enum jini_get_what what,
                     uint8_t **out, size_t *length)
{
    struct jini_error error;
    struct jini_pack_read read = {.offset = item->offset, .sequence = item->sequence, .what = what};
    int status = jini_pack_read(told->pack, &read, &error);
    if (status == 0)
        CHECK_UINT(read.length, ==, 0);
    read.capacity = read.length;
    read.buffer = malloc(read.length + 1);
    if (status == JINI_E_TOO_BIG)
        status = jini_pack_read(told->pack, &read, &error);
    CHECK_INT(error.code, ==, status);
    *out = read.buffer;
    *length = read.length;
    return status;
}

/* ---- Packs of an engine ---- */

static struct jini_id put(struct jini *jini, const struct png_request *png)
{
    struct jini_image_put put;
    jini_request_init(&put);
    uint8_t *file = png_make_greys(png, 4, &put.length);
    put.bytes = file;
    fixture_must(jini_image_put(jini, &put, NULL), "put", &put.request.error);
    free(file);
    return put.image.id;
}

/* What the pack gives is what the engine gives. */
static void check_same(struct jini *jini, struct told *told, const struct jini_id *id,
                       enum jini_get_what what)
{
    const struct jini_pack_item *item = find(told, id);
    uint8_t *bytes;
    size_t length;
    CHECK(item != NULL && item->status == 0);
    CHECK_OK(read_part(told, item, what, &bytes, &length));
    uint8_t *expected = malloc(length + 1);
    struct jini_image_get get;
    jini_request_init(&get);
    get.id = *id;
    get.what = what;
    get.buffer = expected;
    get.capacity = length;
    CHECK_OK(jini_image_get(jini, &get, NULL));
    CHECK_UINT(get.length, ==, length);
    CHECK_BYTES(bytes, expected, length);
    free(expected);
    free(bytes);
}

static void path_of(struct jini *jini, const struct jini_id *image, char *out, size_t capacity)
{
    char path[PACK_PATH_MAX];
    struct jini_image_place place = fixture_locate(jini, image);
    pack_path(&place.pack_id, path);
    snprintf(out, capacity, "%s/%s", fixture_db(), path);
}

TEST(images_of_an_engine_are_read_without_it,
     "Of an open pack and of a sealed one all images are told, and they and their metadata, beside "
     "the image or in it, are read as the engine gives them.")
{
    static char text[TEXT_BYTES];
    char path[4096];
    struct told told;
    memset(text, 'x', sizeof(text) - 1);
    struct jini *jini = fixture_open();
    struct jini_id images[] = {put(jini, &(struct png_request){200, 300, 1, text, NULL}),
                               put(jini, &(struct png_request){200, 300, 2, "short", NULL}),
                               put(jini, &(struct png_request){1, 1, 3, NULL, NULL})};
    path_of(jini, &images[0], path, sizeof(path));
    for (int sealed = 0; sealed < 2; sealed++) {
        if (sealed)
            fixture_tier(jini, JINI_TIERING_NOW, NULL);
        walk(path, JINI_PACK_DEEP, &told);
        CHECK_UINT(told.summary.records, ==, 3);
        CHECK_UINT(told.summary.problems, ==, 0);
        CHECK_UINT(told.summary.sealed, ==, sealed);
        CHECK_UINT(told.summary.created_ms, >, 0);
        CHECK_TEXT(find(&told, &images[0])->codec, "zstd");
        CHECK_UINT(find(&told, &images[0])->metadata_bytes, >, TEXT_BYTES - 1);
        CHECK_UINT(find(&told, &images[1])->metadata_bytes, ==, 0);
        for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
            check_same(jini, &told, &images[i], JINI_GET_BYTES);
            check_same(jini, &told, &images[i], JINI_GET_METADATA);
        }
        end(&told);
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Damage ---- */

/* A sealed pack below the case's directory; its path to `path`. */
static void make(struct support_pack *pack, char *path, size_t capacity)
{
    char relative[PACK_PATH_MAX];
    int directory = support_directory();
    support_pack_make(directory, pack);
    close(directory);
    pack_path(&pack->id, relative);
    snprintf(path, capacity, "%s/%s", harness_directory(), relative);
}

static void write_at(const char *path, uint64_t offset, const void *bytes, size_t length)
{
    int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    CHECK(descriptor >= 0);
    CHECK_INT(pwrite(descriptor, bytes, length, (off_t)offset), ==, (int64_t)length);
    close(descriptor);
}

/* Whether the byte at `offset` belongs to the record. */
static bool lies_in(const struct support_pack *pack, unsigned record, uint64_t offset)
{
    return offset >= pack->places[record].offset && offset < pack->ends[record];
}

TEST(a_wrong_byte_costs_one_record_at_most,
     "Wherever a byte of a sealed pack is wrong, that is told with its place, and every record "
     "that it is not in is told as whole and read.")
{
    enum { STEP = 97 };
    struct support_pack pack;
    struct told told;
    char path[4096];
    make(&pack, path, sizeof(path));
    for (size_t at = harness_random() % STEP; at < pack.length; at += STEP) {
        uint8_t wrong = pack.bytes[at] ^ 0x10;
        write_at(path, at, &wrong, 1);
        walk(path, JINI_PACK_DEEP, &told);
        /* A footer that is not legible is told as such, and as bytes without a record. */
        CHECK_UINT(told.summary.problems, >=, 1);
        CHECK_UINT(told.summary.problems, <=, at < pack.record_end ? 1 : 2);
        for (unsigned i = 0; i < pack.count; i++) {
            const struct jini_pack_item *item = find(&told, &pack.images[i]);
            uint8_t *bytes;
            size_t length;
            bool hit = lies_in(&pack, i, at);
            CHECK(item != NULL && (item->status == 0) != hit);
            CHECK_UINT(item->offset, ==, pack.places[i].offset);
            if (hit)
                continue;
            CHECK_OK(read_part(&told, item, JINI_GET_BYTES, &bytes, &length));
            CHECK_UINT(length, ==, item->bytes);
            free(bytes);
        }
        end(&told);
        write_at(path, at, &pack.bytes[at], 1);
    }
    free(pack.bytes);
}

TEST(of_a_cut_pack_what_is_whole_is_told,
     "Wherever a pack ends, the records before that are told as whole; where one is cut, that is a "
     "problem.")
{
    enum { STEP = 89 };
    struct support_pack pack;
    struct told told;
    char path[4096];
    make(&pack, path, sizeof(path));
    size_t cuts[] = {0, PACK_HEADER_BYTES, pack.record_end, pack.length - 1};
    for (size_t i = 0; i < pack.length / STEP; i++) {
        size_t cut = i < sizeof(cuts) / sizeof(cuts[0]) ? cuts[i] : i * STEP;
        unsigned whole = 0;
        bool between = cut == PACK_HEADER_BYTES;
        for (unsigned r = 0; r < pack.count; r++) {
            whole += pack.ends[r] <= cut;
            between |= pack.ends[r] == cut;
        }
        write_at(path, 0, pack.bytes, pack.length);
        CHECK_INT(truncate(path, (off_t)cut), ==, 0);
        walk(path, JINI_PACK_DEEP, &told);
        CHECK_UINT(told.summary.sealed, ==, 0);
        CHECK_UINT(told.summary.records, ==, whole);
        CHECK_UINT(told.summary.problems, ==, between ? 0 : 1);
        end(&told);
    }
    free(pack.bytes);
}

TEST(metadata_is_read_where_the_image_is_damaged,
     "A wrong byte in the payload costs the image alone; one in the metadata, the metadata alone.")
{
    enum { RECORD = 2 };
    struct support_pack pack;
    struct told told;
    char path[4096];
    uint8_t *bytes;
    size_t length;
    make(&pack, path, sizeof(path));
    for (int payload = 0; payload < 2; payload++) {
        walk(path, 0, &told);
        struct jini_pack_item item = *find(&told, &pack.images[RECORD]);
        size_t at = (size_t)(item.offset + pack_metadata_at(item.stored_bytes)) +
                    (payload ? item.metadata_bytes : 0);
        uint8_t wrong = pack.bytes[at] ^ 1;
        write_at(path, at, &wrong, 1);
        CHECK_STATUS(read_part(&told, &item, JINI_GET_BYTES, &bytes, &length),
                     payload ? JINI_E_CORRUPT : 0);
        free(bytes);
        CHECK_STATUS(read_part(&told, &item, JINI_GET_METADATA, &bytes, &length),
                     payload ? 0 : JINI_E_CORRUPT);
        free(bytes);
        end(&told);
        write_at(path, at, &pack.bytes[at], 1);
    }
    free(pack.bytes);
}

/* ---- Records that lie about themselves ---- */

static void append(struct pack_file *file, const struct pack_input *input)
{
    struct pack_prepared prepared = {0};
    struct pack_prepared *records[1] = {&prepared};
    size_t appended;
    CHECK_OK(pack_prepare(input, &prepared, NULL));
    CHECK_OK(pack_file_append(file, records, 1, &appended, NULL));
    pack_prepared_free(&prepared);
}

TEST(what_decodes_to_something_else_is_damage,
     "A record whose checksums hold and that does not decode, or not to the original, is told as "
     "damaged by a walk through every byte, and one of a newer codec by any; all others are read.")
{
    static const uint8_t zeros[1000];
    uint8_t coded[1000];
    struct buffer out = buffer_of(coded, sizeof(coded));
    const struct codec *zstd;
    CHECK_OK(codec_find(CODEC_ZSTD, 1, &zstd, NULL));
    CHECK_OK(zstd->encode(NULL, slice_of(zeros, sizeof(zeros)), CODEC_LEVEL_DEFAULT, &out, NULL));
    struct hash128 right = hash128(slice_of(zeros, sizeof(zeros)));
    struct hash128 wrong = hash128(slice_of(zeros, 1));
    const struct pack_codec one = {CODEC_ZSTD, 1};
    const struct pack_codec newer = {99, 1};
    const struct slice frame = buffer_slice(&out);
    const struct slice noise = slice_of("noise", 5);
    const struct pack_input inputs[] = {
        {.codec = one, .payload = frame, .original_length = 1000, .original_hash = &right},
        {.codec = one, .payload = frame, .original_length = 1000, .original_hash = &wrong},
        {.codec = one, .payload = frame, .original_length = 999, .original_hash = &right},
        {.codec = one, .payload = noise, .original_length = 1000, .original_hash = &right},
        {.codec = newer, .payload = noise, .original_length = 1000, .original_hash = &right},
        {.payload = noise,
         .metadata = noise,
         .metadata_codec = one,
         .metadata_original_length = PACK_METADATA_BYTES_MAX}};
    static const int deep[] = {
        0, JINI_E_CORRUPT, JINI_E_CORRUPT, JINI_E_CORRUPT, JINI_E_FORMAT, JINI_E_CORRUPT};
    char path[4096];
    char relative[PACK_PATH_MAX];
    struct told told;
    int directory = support_directory();
    struct pack_file *file = support_create(directory);
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        append(file, &inputs[i]);
    CHECK_OK(pack_file_seal(file, NULL));
    pack_path(&pack_file_header(file)->pack, relative);
    snprintf(path, sizeof(path), "%s/%s", harness_directory(), relative);
    for (uint32_t flags = 0; flags <= JINI_PACK_DEEP; flags++) {
        walk(path, flags, &told);
        CHECK_UINT(told.count, ==, sizeof(inputs) / sizeof(inputs[0]));
        for (size_t i = 0; i < told.count; i++) {
            uint8_t *bytes;
            size_t length;
            int image = i == 5 ? 0 : deep[i];
            int shallow = deep[i] == JINI_E_FORMAT ? JINI_E_FORMAT : 0;
            CHECK_STATUS(told.items[i].status, flags ? deep[i] : shallow);
            CHECK_STATUS(read_part(&told, &told.items[i], JINI_GET_BYTES, &bytes, &length), image);
            free(bytes);
            CHECK_STATUS(read_part(&told, &told.items[i], JINI_GET_METADATA, &bytes, &length),
                         deep[i]);
            free(bytes);
        }
        CHECK_TEXT(told.items[0].codec, "zstd");
        CHECK_TEXT(told.items[4].codec, "unknown");
        end(&told);
    }
    pack_file_close(file);
    close(directory);
}

/* ---- Opening ---- */

TEST(the_id_comes_from_beginning_end_or_name,
     "A pack is read under any name while header or trailer holds, else under its own; what is "
     "none is refused, and what is newer, too.")
{
    static const uint8_t rot[8] = "rot";
    struct support_pack support;
    struct jini_pack *pack;
    struct jini_error error;
    struct told told;
    char path[4096];
    const char *other = harness_path("other");
    make(&support, path, sizeof(path));
    write_at(path, 0, rot, sizeof(rot));
    CHECK_INT(link(path, other), ==, 0);
    walk(other, JINI_PACK_DEEP, &told);
    CHECK_UINT(told.summary.records, ==, support.count);
    CHECK_INT(jini_id_compare(&told.summary.pack_id, &support.id), ==, 0);
    end(&told);
    write_at(path, support.length - 64, rot, sizeof(rot));
    walk(path, JINI_PACK_DEEP, &told);
    CHECK_UINT(told.summary.records, ==, support.count);
    CHECK_UINT(told.summary.problems, ==, 2);
    end(&told);
    CHECK_STATUS(jini_pack_open(&pack, other, &error), JINI_E_CORRUPT);
    CHECK(pack == NULL && strstr(error.message, "neither begins nor ends as a pack"));
    struct pack_header header = {.pack = support.id};
    uint8_t bytes[PACK_HEADER_BYTES];
    pack_header_encode(&header, bytes);
    store_le32(bytes + 8, PACK_VERSION + 1);
    store_le64(bytes + sizeof(bytes) - 8, hash64(slice_of(bytes, sizeof(bytes) - 8)));
    write_at(path, 0, bytes, sizeof(bytes));
    CHECK_STATUS(jini_pack_open(&pack, path, &error), JINI_E_FORMAT);
    free(support.bytes);
}

TEST(what_is_no_file_is_refused,
     "Folders, pipes and missing files are no packs, and nothing waits.")
{
    struct jini_pack *pack;
    struct jini_error error;
    CHECK_STATUS(jini_pack_open(&pack, harness_path("none"), &error), JINI_E_NOT_FOUND);
    CHECK_STATUS(jini_pack_open(&pack, harness_directory(), &error), JINI_E_INVALID);
    CHECK_INT(mkfifo(harness_path("pipe"), 0600), ==, 0);
    CHECK_STATUS(jini_pack_open(&pack, harness_path("pipe"), &error), JINI_E_INVALID);
    CHECK(pack == NULL);
    jini_pack_close(NULL);
}

static int stop(void *context, const struct jini_pack_item *item)
{
    (void)item;
    ++*(int *)context;
    return 7;
}

TEST(wrong_use_is_refused_and_a_walk_ends_when_asked,
     "Unknown flags and parts are named, a place without a record is damage, and what the callback "
     "answers ends the walk.")
{
    struct support_pack support;
    struct jini_pack *pack;
    struct jini_error error;
    struct jini_pack_summary summary;
    uint8_t room[200];
    char path[4096];
    int calls = 0;
    make(&support, path, sizeof(path));
    CHECK_OK(jini_pack_open(&pack, path, &error));
    CHECK_STATUS(jini_pack_each(pack, 2, NULL, NULL, &summary, &error), JINI_E_INVALID);
    CHECK_OK(jini_pack_each(pack, 0, NULL, NULL, &summary, &error));
    CHECK_UINT(summary.records, ==, support.count);
    CHECK_INT(jini_pack_each(pack, 0, stop, &calls, &summary, &error), ==, 7);
    CHECK_INT(calls, ==, 1);
    struct jini_pack_read read = {
        .offset = PACK_HEADER_BYTES, .what = 2, .buffer = room, .capacity = sizeof(room)};
    CHECK_STATUS(jini_pack_read(pack, &read, &error), JINI_E_INVALID);
    read.what = JINI_GET_BYTES;
    CHECK_OK(jini_pack_read(pack, &read, &error));
    CHECK_UINT(read.length, ==, 100);
    read.sequence = 1;
    CHECK_STATUS(jini_pack_read(pack, &read, &error), JINI_E_CORRUPT);
    read.offset = UINT64_MAX - 63;
    CHECK_STATUS(jini_pack_read(pack, &read, &error), JINI_E_CORRUPT);
    CHECK_UINT(read.length, ==, 0);
    jini_pack_close(pack);
    free(support.bytes);
}
