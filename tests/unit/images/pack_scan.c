/* Walking through packs: damage, torn tails, and whatever else bytes can be. */
#include "images/pack_scan.h"

#include "pack_support.h"

#include "images/pack_footer.h"

/* A small pack, for loops over all of its bytes. */
static void make_small(int directory, struct support_pack *pack)
{
    static const size_t lengths[][2] = {{100, 0}, {0, 30}, {64, 64}, {1, 1}, {300, 5}};
    struct pack_file *file = support_create(directory);
    pack->id = pack_file_header(file)->pack;
    pack->count = sizeof(lengths) / sizeof(lengths[0]);
    for (unsigned i = 0; i < pack->count; i++) {
        pack->places[i] = support_append(file, lengths[i][0], lengths[i][1], &pack->images[i]);
        pack->ends[i] = pack_file_end(file);
    }
    pack->record_end = (size_t)pack_file_end(file);
    CHECK_OK(pack_file_seal(file, NULL));
    pack_file_close(file);
    pack->bytes = support_load(directory, &pack->id, &pack->length);
}

/* The record in whose bytes `at` lies, or -1. */
static int record_at(const struct support_pack *pack, size_t at)
{
    for (unsigned i = 0; i < pack->count; i++) {
        if (at >= pack->places[i].offset && at < pack->ends[i])
            return (int)i;
    }
    return -1;
}

struct found {
    const struct support_pack *pack;
    unsigned damaged;
    enum pack_part part;
    uint64_t offset;
    bool has_image;
    struct jini_id image;
    uint64_t last_offset;
};

static int note(void *context, const struct pack_scan_item *item)
{
    struct found *found = context;
    CHECK_UINT(item->offset, >=, found->last_offset);
    found->last_offset = item->part == PACK_PART_FOOTER ? 0 : item->offset;
    CHECK((item->status == 0) == (item->damage == NULL));
    if (item->status == 0) {
        CHECK_INT(item->part, ==, PACK_PART_RECORD);
        int index = record_at(found->pack, (size_t)item->offset);
        CHECK_INT(index, >=, 0);
        CHECK_UINT(item->offset, ==, found->pack->places[index].offset);
        CHECK_BYTES(&item->entry->image, &found->pack->images[index], JINI_ID_BYTES);
        return 0;
    }
    CHECK_STATUS(item->damage->code, JINI_E_CORRUPT);
    CHECK_CONTAINS(item->damage->message, "damaged at offset");
    found->damaged++;
    found->part = item->part;
    found->offset = item->offset;
    found->has_image = item->entry != NULL;
    if (item->entry)
        found->image = item->entry->image;
    return 0;
}

static struct pack_scan_result scan_noting(const struct support_pack *pack, struct slice bytes,
                                           enum pack_state expected, uint64_t acknowledged_end,
                                           struct found *found)
{
    memset(found, 0, sizeof(*found));
    found->pack = pack;
    struct pack_source source = pack_source_of_bytes(&pack->id, bytes);
    struct pack_scan_options options = {PACK_SCAN_EVERYTHING, expected, acknowledged_end};
    struct pack_scan_result result;
    CHECK_OK(pack_scan(&source, &options, note, found, &result, NULL));
    CHECK_UINT(found->damaged, ==, result.damaged);
    return result;
}

TEST(a_whole_pack_is_clean, "A walk through an undamaged pack reports its records, sealed or not.")
{
    int directory = support_directory();
    struct support_pack pack;
    struct found found;
    support_pack_make(directory, &pack);
    struct slice bytes = slice_of(pack.bytes, pack.length);
    struct pack_scan_result result = scan_noting(&pack, bytes, PACK_STATE_SEALED, 0, &found);
    CHECK(result.sealed && !result.header_damaged);
    CHECK_UINT(result.records, ==, pack.count);
    CHECK_UINT(result.damaged, ==, 0);
    CHECK_UINT(result.end, ==, pack.record_end);
    CHECK_UINT(result.header.tier_group, ==, 2);
    CHECK_UINT(result.header.expiry_day, ==, 20000);
    bytes.length = pack.record_end;
    result = scan_noting(&pack, bytes, PACK_STATE_OPEN, pack.record_end, &found);
    CHECK(!result.sealed);
    CHECK_UINT(result.records, ==, pack.count);
    CHECK_UINT(result.damaged, ==, 0);
    CHECK_INT(result.tail, ==, PACK_TAIL_NONE);
    free(pack.bytes);
    close(directory);
}

TEST(every_flipped_byte_of_a_sealed_pack_is_found,
     "Whichever byte changes, the walk reports damage, names the image it hit, and finds all "
     "others whole.")
{
    int directory = support_directory();
    struct support_pack pack;
    make_small(directory, &pack);
    size_t step = harness_step_of_sweep();
    for (size_t at = harness_random_below(step); at < pack.length; at += step) {
        struct found found;
        uint8_t before = pack.bytes[at];
        pack.bytes[at] ^= (uint8_t)(1 + harness_random_below(255));
        struct slice bytes = slice_of(pack.bytes, pack.length);
        struct pack_scan_result result = scan_noting(&pack, bytes, PACK_STATE_SEALED, 0, &found);
        int index = record_at(&pack, at);
        CHECK_UINT(result.damaged, >=, 1);
        CHECK_UINT(result.records, ==, index >= 0 ? pack.count - 1 : pack.count);
        if (index >= 0) {
            CHECK_UINT(result.damaged, ==, 1);
            CHECK_INT(found.part, ==, PACK_PART_RECORD);
            CHECK_UINT(found.offset, ==, pack.places[index].offset);
            CHECK_BYTES(&found.image, &pack.images[index], JINI_ID_BYTES);
        }
        CHECK((at < PACK_HEADER_BYTES) == result.header_damaged);
        CHECK((at < pack.record_end) == result.sealed);
        result = scan_noting(&pack, bytes, PACK_STATE_UNKNOWN, PACK_ACKNOWLEDGED_ALL, &found);
        CHECK(result.damaged > 0 || !result.sealed);
        pack.bytes[at] = before;
    }
    free(pack.bytes);
    close(directory);
}

TEST(every_flipped_byte_of_an_open_pack_is_found,
     "Before the acknowledged end damage is reported and passed over, and all other records are "
     "found.")
{
    int directory = support_directory();
    struct support_pack pack;
    make_small(directory, &pack);
    struct slice bytes = slice_of(pack.bytes, pack.record_end);
    size_t step = harness_step_of_sweep();
    for (size_t at = harness_random_below(step); at < pack.record_end; at += step) {
        struct found found;
        uint8_t before = pack.bytes[at];
        pack.bytes[at] ^= (uint8_t)(1 + harness_random_below(255));
        struct pack_scan_result result =
            scan_noting(&pack, bytes, PACK_STATE_OPEN, pack.record_end, &found);
        int index = record_at(&pack, at);
        CHECK_UINT(result.damaged, ==, 1);
        CHECK_UINT(result.records, ==, index >= 0 ? pack.count - 1 : pack.count);
        CHECK_UINT(result.end, ==, pack.record_end);
        CHECK_INT(result.tail, ==, PACK_TAIL_NONE);
        if (index >= 0)
            CHECK_UINT(found.offset, ==, pack.places[index].offset);
        pack.bytes[at] = before;
    }
    free(pack.bytes);
    close(directory);
}

TEST(flips_in_a_large_record_are_found, "A flipped byte in any block of a payload is found.")
{
    int directory = support_directory();
    struct support_pack pack;
    support_pack_make(directory, &pack);
    struct slice bytes = slice_of(pack.bytes, pack.length);
    for (int i = 0; i < 1500; i++) {
        struct found found;
        size_t at = (size_t)harness_random_below(pack.length);
        pack.bytes[at] ^= 0x40;
        CHECK_UINT(scan_noting(&pack, bytes, PACK_STATE_SEALED, 0, &found).damaged, >=, 1);
        pack.bytes[at] ^= 0x40;
    }
    free(pack.bytes);
    close(directory);
}

TEST(torn_tail_is_ignored,
     "A pack that was cut at any length keeps every record that is whole, and no more.")
{
    int directory = support_directory();
    struct support_pack pack;
    make_small(directory, &pack);
    size_t step = harness_step_of_sweep();
    for (size_t length = harness_random_below(step); length <= pack.record_end; length += step) {
        struct found found;
        unsigned whole = 0;
        while (whole < pack.count && pack.ends[whole] <= length)
            whole++;
        uint64_t end = whole ? pack.ends[whole - 1] : PACK_HEADER_BYTES;
        struct pack_scan_result result =
            scan_noting(&pack, slice_of(pack.bytes, length), PACK_STATE_OPEN, 0, &found);
        CHECK_UINT(result.records, ==, whole);
        CHECK_UINT(result.end, ==, end);
        CHECK_UINT(result.damaged, ==, length < PACK_HEADER_BYTES);
        CHECK((result.tail == PACK_TAIL_NONE) == (length <= end));
    }
    free(pack.bytes);
    close(directory);
}

TEST(a_tail_is_told_by_its_kind,
     "Zeros, garbage, a record without all of its payload and a cut footer are told apart.")
{
    int directory = support_directory();
    struct support_pack pack;
    make_small(directory, &pack);
    size_t length = pack.record_end + 10000;
    uint8_t *bytes = calloc(1, length);
    memcpy(bytes, pack.bytes, pack.record_end);
    struct pack_scan_result result = support_scan(&pack.id, bytes, length, PACK_STATE_OPEN, 0);
    CHECK_INT(result.tail, ==, PACK_TAIL_ZERO);
    CHECK_UINT(result.end, ==, pack.record_end);
    CHECK_UINT(result.length, ==, length);
    bytes[length - 1] = 1;
    result = support_scan(&pack.id, bytes, length, PACK_STATE_OPEN, 0);
    CHECK_INT(result.tail, ==, PACK_TAIL_GARBAGE);
    memcpy(bytes, pack.bytes, pack.length);
    result = support_scan(&pack.id, bytes, pack.length - 1, PACK_STATE_OPEN, 0);
    CHECK_INT(result.tail, ==, PACK_TAIL_FOOTER);
    CHECK(!result.sealed);
    memset(bytes + pack.record_end - 64, 0, 64);
    result = support_scan(&pack.id, bytes, pack.record_end, PACK_STATE_OPEN, 0);
    CHECK_INT(result.tail, ==, PACK_TAIL_RECORD);
    CHECK_UINT(result.end, ==, pack.ends[pack.count - 2]);
    free(bytes);
    free(pack.bytes);
    close(directory);
}

TEST(lost_acknowledged_bytes_are_damage,
     "A file that ends before the acknowledged end is reported as damaged.")
{
    int directory = support_directory();
    struct support_pack pack;
    make_small(directory, &pack);
    for (size_t length = 0; length < pack.record_end; length += 7) {
        struct found found;
        struct pack_scan_result result = scan_noting(&pack, slice_of(pack.bytes, length),
                                                     PACK_STATE_OPEN, pack.record_end, &found);
        CHECK_UINT(result.damaged, >=, 1);
        CHECK_UINT(result.end, >=, pack.record_end);
        CHECK_UINT(result.end % PACK_ALIGNMENT, ==, 0);
    }
    free(pack.bytes);
    close(directory);
}

TEST(a_wide_gap_is_passed_over,
     "Records behind a long stretch of garbage with false magics are still found.")
{
    int directory = support_directory();
    struct pack_file *file = support_create(directory);
    struct jini_id pack = pack_file_header(file)->pack;
    support_append(file, 100, 0, NULL);
    uint64_t begin = pack_file_end(file);
    for (int i = 0; i < 3; i++)
        support_append(file, 400000, 0, NULL);
    uint64_t end = pack_file_end(file);
    struct jini_id last;
    struct pack_place place = support_append(file, 500, 10, &last);
    uint64_t length = pack_file_end(file);
    pack_file_close(file);
    size_t bytes_length;
    uint8_t *bytes = support_load(directory, &pack, &bytes_length);
    for (uint64_t at = begin; at < end; at += 64)
        memcpy(bytes + at, harness_random_below(2) ? "JREC" : "JFTR", 4);
    struct pack_scan_result result = support_scan(&pack, bytes, length, PACK_STATE_OPEN, length);
    CHECK_UINT(result.records, ==, 2);
    CHECK_UINT(result.damaged, ==, 1);
    CHECK_UINT(result.end, ==, length);
    struct pack_source source = pack_source_of_bytes(&pack, slice_of(bytes, length));
    CHECK_OK(support_check(&source, &place, &last));
    free(bytes);
    close(directory);
}

/* Changes some bytes at random, in ways that files go wrong. */
static size_t mutate(uint8_t *bytes, size_t length)
{
    for (uint64_t n = 1 + harness_random_below(4); n > 0; n--) {
        size_t at = (size_t)harness_random_below(length);
        size_t from = (size_t)harness_random_below(length);
        size_t most = length - (at > from ? at : from);
        size_t count = (size_t)harness_random_below((most < 700 ? most : 700) + 1);
        switch (harness_random_below(5)) {
        case 0:
            bytes[at] ^= (uint8_t)(1 << harness_random_below(8));
            break;
        case 1:
            memset(bytes + at, 0, count);
            break;
        case 2:
            memmove(bytes + at, bytes + from, count);
            break;
        case 3:
            memmove(bytes + at / 64 * 64, bytes + from / 64 * 64, count / 64 * 64);
            break;
        default:
            length = 1 + at;
        }
    }
    return length;
}

TEST(mutated_packs_are_read_safely, "Whatever a file holds, the walk ends, and each record that it "
                                    "calls whole is one that was written.")
{
    int directory = support_directory();
    struct support_pack pack;
    make_small(directory, &pack);
    unsigned rounds = (unsigned)(20000 * harness_scale() / harness_step_of_sweep());
    for (unsigned i = 0; i < rounds; i++) {
        struct found found = {.pack = &pack};
        uint8_t *copy = malloc(pack.length);
        memcpy(copy, pack.bytes, pack.length);
        size_t length = mutate(copy, pack.length);
        uint8_t *exact = realloc(copy, length);
        struct pack_source source = pack_source_of_bytes(&pack.id, slice_of(exact, length));
        struct pack_scan_options options = {
            PACK_SCAN_EVERYTHING, (enum pack_state)harness_random_below(3),
            harness_random_below(2) ? PACK_ACKNOWLEDGED_ALL
                                    : harness_random_below(pack.length / 64 + 9) * 64};
        struct pack_scan_result result;
        CHECK_OK(pack_scan(&source, &options, note, &found, &result, NULL));
        CHECK_UINT(result.end % PACK_ALIGNMENT, ==, 0);
        for (unsigned r = 0; r < pack.count; r++) {
            int status = support_check(&source, &pack.places[r], &pack.images[r]);
            CHECK(status == 0 || status == JINI_E_CORRUPT);
        }
        free(exact);
    }
    free(pack.bytes);
    close(directory);
}

TEST(a_newer_record_stops_the_walk, "A record of a newer version is never taken for a torn tail.")
{
    int directory = support_directory();
    struct support_pack pack;
    make_small(directory, &pack);
    uint8_t *record = pack.bytes + pack.places[3].offset;
    store_le16(record + 4, 2);
    uint8_t place[24];
    memcpy(place, pack.id.bytes, 16);
    store_le64(place + 16, pack.places[3].offset);
    store_le64(record + 248, hash64_seeded(slice_of(record, 248), hash64(slice_of(place, 24))));
    struct pack_source source =
        pack_source_of_bytes(&pack.id, slice_of(pack.bytes, pack.record_end));
    struct pack_scan_options options = {PACK_SCAN_HEADERS, PACK_STATE_OPEN, 0};
    struct pack_scan_result result;
    struct jini_error error = {0};
    CHECK_STATUS(pack_scan(&source, &options, NULL, NULL, &result, &error), JINI_E_FORMAT);
    CHECK_CONTAINS(error.message, "newer");
    pack.bytes[pack.places[2].offset + 5] ^= 1;
    options.acknowledged_end = pack.record_end;
    CHECK_STATUS(pack_scan(&source, &options, NULL, NULL, &result, &error), JINI_E_FORMAT);
    free(pack.bytes);
    close(directory);
}

static int stop(void *context, const struct pack_scan_item *item)
{
    (void)item;
    return --*(int *)context == 0 ? 77 : 0;
}

TEST(a_visitor_ends_the_walk, "What a visitor returns is the result of the walk.")
{
    int directory = support_directory();
    struct support_pack pack;
    make_small(directory, &pack);
    for (size_t cut = 0; cut < 2; cut++) {
        size_t length = cut ? pack.record_end : pack.length;
        struct pack_source source = pack_source_of_bytes(&pack.id, slice_of(pack.bytes, length));
        struct pack_scan_options options = {PACK_SCAN_HEADERS, PACK_STATE_UNKNOWN, 0};
        struct pack_scan_result result;
        int left = 3;
        CHECK_INT(pack_scan(&source, &options, stop, &left, &result, NULL), ==, 77);
        CHECK_UINT(result.records, ==, 3);
    }
    free(pack.bytes);
    close(directory);
}

TEST(a_sealed_pack_lists_itself,
     "The footer alone tells every record, without a scan and without the database.")
{
    int directory = support_directory();
    struct support_pack pack;
    support_pack_make(directory, &pack);
    struct pack_source source = pack_source_of_bytes(&pack.id, slice_of(pack.bytes, pack.length));
    struct pack_contents contents;
    CHECK_OK(pack_contents_read(&source, &contents, NULL));
    CHECK_UINT(contents.count, ==, pack.count);
    CHECK_UINT(contents.footer_offset, ==, pack.record_end);
    for (unsigned i = 0; i < pack.count; i++) {
        CHECK_UINT(contents.entries[i].offset, ==, pack.places[i].offset);
        CHECK_UINT(contents.entries[i].sequence, ==, i);
        CHECK_BYTES(&contents.entries[i].image, &pack.images[i], JINI_ID_BYTES);
    }
    pack_contents_free(&contents);
    source.bytes.length = pack.record_end;
    CHECK_STATUS(pack_contents_read(&source, &contents, NULL), JINI_E_NOT_FOUND);
    source.bytes.length = pack.length;
    pack.bytes[pack.record_end + PACK_FOOTER_HEADER_BYTES + 3] ^= 1;
    CHECK_STATUS(pack_contents_read(&source, &contents, NULL), JINI_E_CORRUPT);
    CHECK(contents.entries == NULL);
    free(pack.bytes);
    close(directory);
}

TEST(a_walk_without_memory_is_an_error,
     "Whichever allocation fails, the walk says so and reports no damage.")
{
    int directory = support_directory();
    struct pack_file *file = support_create(directory);
    struct jini_id pack = pack_file_header(file)->pack;
    support_append(file, 100, 1 << 20, NULL);
    CHECK_OK(pack_file_seal(file, NULL));
    pack_file_close(file);
    int descriptor = support_open(directory, &pack);
    struct pack_source source = pack_source_of_file(&pack, descriptor);
    struct pack_scan_options options = {PACK_SCAN_EVERYTHING, PACK_STATE_SEALED, 0};
    bool failed = true;
    for (uint64_t nth = 1; failed; nth++) {
        CHECK_UINT(nth, <, 50);
        struct pack_scan_result result;
        harness_fail_allocation(nth);
        int status = pack_scan(&source, &options, NULL, NULL, &result, NULL);
        failed = harness_allocation_failed();
        harness_fail_allocation(0);
        CHECK_STATUS(status, failed ? JINI_E_NO_MEMORY : 0);
        CHECK_UINT(result.damaged, ==, 0);
    }
    close(descriptor);
    close(directory);
}
