/* Records that are copied to another pack: whole ones whole, damaged ones as they are. */
#include "images/pack_copy.h"

#include "pack_support.h"

enum { PAYLOAD = 70000, METADATA = 300 };

/* An image in a pack, its location, and its record as it stands there. */
struct scene {
    int directory;
    struct jini_id image;
    struct index_location location;
    uint8_t *pack;
    size_t length;
};

static struct scene make_scene(size_t metadata_length)
{
    struct scene scene = {.directory = support_directory()};
    struct pack_file *file = support_create(scene.directory);
    struct jini_id pack = pack_file_header(file)->pack;
    struct pack_record record;
    support_append(file, 100, 0, NULL);
    struct pack_place place = support_append(file, PAYLOAD, metadata_length, &scene.image);
    CHECK_OK(pack_file_seal(file, NULL));
    pack_file_close(file);
    scene.pack = support_load(scene.directory, &pack, &scene.length);
    struct pack_source source = pack_source_of_bytes(&pack, slice_of(scene.pack, scene.length));
    CHECK_OK(pack_read_record(&source, &place, &record, NULL));
    scene.location = (struct index_location){
        .pack = pack,
        .image = scene.image,
        .sequence = place.sequence,
        .offset = place.offset,
        .stored_length = record.stored_length,
        .original_length = record.original_length,
        .original_hash = record.original_hash,
        .metadata_stored_length = record.metadata_stored_length,
        .metadata_original_length = record.metadata_original_length,
    };
    return scene;
}

static void end_scene(struct scene *scene)
{
    free(scene->pack);
    close(scene->directory);
}

static void read_copy(const struct scene *scene, struct pack_copy *copy)
{
    CHECK_OK(pack_copy_alloc(&scene->location, copy, NULL));
    memcpy(copy->bytes, scene->pack + scene->location.offset, copy->length);
}

static uint8_t *record_of(const struct scene *scene)
{
    return scene->pack + scene->location.offset;
}

/* Appends the copy to a new pack and seals it. What the new pack holds, as the old one before. */
static struct scene append(struct scene *old, struct pack_copy *copy)
{
    struct scene scene = *old;
    struct pack_file *file = support_create(scene.directory);
    struct pack_prepared *record = &copy->prepared;
    size_t appended;
    scene.location.pack = pack_file_header(file)->pack;
    CHECK_OK(pack_file_append(file, &record, 1, &appended, NULL));
    scene.location.offset = record->offset;
    scene.location.sequence = record->record.sequence;
    CHECK_OK(pack_file_seal(file, NULL));
    pack_file_close(file);
    scene.pack = support_load(scene.directory, &scene.location.pack, &scene.length);
    return scene;
}

static int check(const struct scene *scene, const struct hash128 *body)
{
    struct pack_copy found;
    read_copy(scene, &found);
    int status = pack_copy_check(&found, &scene->location, body, NULL);
    pack_copy_free(&found);
    return status;
}

static unsigned count_damage(const struct scene *scene)
{
    return support_scan(&scene->location.pack, scene->pack, scene->length, PACK_STATE_SEALED, 0)
        .damaged;
}

/* The image reads back from the new pack, which is whole. */
static void check_whole(struct scene *old, struct pack_copy *copy)
{
    struct scene new = append(old, copy);
    struct pack_source source =
        pack_source_of_bytes(&new.location.pack, slice_of(new.pack, new.length));
    const struct pack_place place = {new.location.offset, new.location.sequence};
    CHECK_OK(check(&new, NULL));
    CHECK_OK(support_check(&source, &place, &new.image));
    CHECK_UINT(count_damage(&new), ==, 0);
    free(new.pack);
}

TEST(a_whole_record_is_copied, "Payload and metadata of a record come back from the new pack, and "
                               "its table and padding are made anew.")
{
    static const uint64_t rot[] = {UINT64_MAX, PACK_RECORD_HEADER_BYTES + 3};
    struct scene scene = make_scene(METADATA);
    for (int i = 0; i < 3; i++) {
        struct pack_copy copy;
        read_copy(&scene, &copy);
        uint64_t at = i < 2 ? rot[i] : copy.length - 1;
        if (at != UINT64_MAX)
            copy.bytes[at] ^= 1;
        CHECK_OK(pack_copy_take(&copy, &scene.location, NULL));
        check_whole(&scene, &copy);
        pack_copy_free(&copy);
    }
    end_scene(&scene);
}

TEST(a_record_that_does_not_hold_is_not_taken,
     "A wrong bit in header, metadata or payload, and a location that means another record, are "
     "JINI_E_CORRUPT.")
{
    struct scene scene = make_scene(METADATA);
    const uint64_t places[] = {20, pack_metadata_at(PAYLOAD), pack_payload_at(PAYLOAD, METADATA)};
    struct pack_copy copy;
    read_copy(&scene, &copy);
    for (int i = 0; i < 3; i++) {
        copy.bytes[places[i]] ^= 1;
        CHECK_STATUS(pack_copy_take(&copy, &scene.location, NULL), JINI_E_CORRUPT);
        CHECK(pack_copy_is_named(&copy, &scene.location) == (i > 0));
        copy.bytes[places[i]] ^= 1;
    }
    struct index_location other = scene.location;
    other.sequence++;
    CHECK_STATUS(pack_copy_take(&copy, &other, NULL), JINI_E_CORRUPT);
    other = scene.location;
    other.original_hash.bytes[0] ^= 1;
    CHECK_STATUS(pack_copy_take(&copy, &other, NULL), JINI_E_CORRUPT);
    CHECK(!pack_copy_is_named(&copy, &other));
    pack_copy_free(&copy);
    other.stored_length = UINT64_C(1) << 40;
    CHECK_STATUS(pack_copy_alloc(&other, &copy, NULL), JINI_E_CORRUPT);
    end_scene(&scene);
}

TEST(a_damaged_record_is_copied_as_it_is,
     "Behind its new header stands what stood behind the old one, it does not hold there either, "
     "and a copy that differs is found.")
{
    struct scene scene = make_scene(METADATA);
    struct pack_copy copy;
    size_t body = (size_t)pack_payload_at(PAYLOAD, METADATA) + PAYLOAD - PACK_RECORD_HEADER_BYTES;
    record_of(&scene)[pack_payload_at(PAYLOAD, METADATA) + 66000] ^= 1;
    read_copy(&scene, &copy);
    pack_copy_take_damaged(&copy, &scene.location);
    CHECK(copy.damaged);
    struct scene new = append(&scene, &copy);
    CHECK_BYTES(record_of(&new) + PACK_RECORD_HEADER_BYTES,
                record_of(&scene) + PACK_RECORD_HEADER_BYTES, body);
    CHECK_OK(check(&new, &copy.body));
    CHECK_STATUS(check(&new, NULL), JINI_E_CORRUPT);
    CHECK_UINT(count_damage(&new), ==, 1);
    record_of(&new)[pack_payload_at(PAYLOAD, METADATA)] ^= 1;
    CHECK_STATUS(check(&new, &copy.body), JINI_E_CORRUPT);
    pack_copy_free(&copy);
    free(new.pack);
    end_scene(&scene);
}

TEST(an_illegible_header_is_made_anew,
     "What the index knows takes the place of a header that is not legible: without metadata the "
     "record is whole, with some these are damaged and the payload is not.")
{
    struct scene scene = make_scene(0);
    struct pack_copy copy;
    record_of(&scene)[20] ^= 1;
    read_copy(&scene, &copy);
    pack_copy_take_damaged(&copy, &scene.location);
    CHECK(!copy.damaged);
    check_whole(&scene, &copy);
    pack_copy_free(&copy);
    end_scene(&scene);

    scene = make_scene(METADATA);
    memset(record_of(&scene), 0, PACK_RECORD_HEADER_BYTES);
    read_copy(&scene, &copy);
    pack_copy_take_damaged(&copy, &scene.location);
    CHECK(copy.damaged);
    struct scene new = append(&scene, &copy);
    struct pack_source source =
        pack_source_of_bytes(&new.location.pack, slice_of(new.pack, new.length));
    const struct pack_place place = {new.location.offset, new.location.sequence};
    struct pack_record record;
    static uint8_t bytes[PAYLOAD];
    CHECK_OK(check(&new, &copy.body));
    CHECK_OK(pack_read_payload(&source, &place, bytes, PAYLOAD, &record, NULL));
    CHECK_BYTES(bytes, record_of(&scene) + pack_payload_at(PAYLOAD, METADATA), PAYLOAD);
    CHECK_STATUS(pack_read_metadata(&source, &place, bytes, PAYLOAD, &record, NULL),
                 JINI_E_CORRUPT);
    pack_copy_free(&copy);
    free(new.pack);
    end_scene(&scene);
}
