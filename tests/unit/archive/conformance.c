/* Conformance of drivers: objects and ranges. */
#include "conformance.h"

#include "base/alloc.h"

#define KIB 1024u
#define MIB (1024u * 1024u)

/* A GET of a range into a buffer. */
static int get_range(struct archive *archive, const char *name, uint64_t offset, uint64_t length,
                     struct slice room, struct archive_request *request)
{
    *request = (struct archive_request){.operation = ARCHIVE_GET,
                                        .name = slice_of_text(name),
                                        .get = {.offset = offset,
                                                .length = length,
                                                .buffer = (uint8_t *)(uintptr_t)room.data,
                                                .capacity = room.length}};
    return archive_run(archive, request, NULL);
}

static int put_extents(struct archive *archive, const char *name,
                       const struct archive_extent *extents, uint32_t count,
                       struct archive_request *request)
{
    *request = (struct archive_request){.operation = ARCHIVE_PUT,
                                        .name = slice_of_text(name),
                                        .put = {.extents = extents, .extent_count = count}};
    return archive_run(archive, request, NULL);
}

/* Storing and reading. */

CONFORMS(what_was_put_is_read, "An object's bytes come back as they were given.")
{
    CHECK_OK(test_put_text(archive, "packs/2026/a.pack", "hello"));
    check_text(archive, "packs/2026/a.pack", "hello");
}

CONFORMS(object_of_no_bytes_is_an_object,
         "An object may be empty; it is read, looked at and listed.")
{
    char buffer[1];
    size_t length = 1;
    uint64_t size = 1;
    CHECK_OK(test_put(archive, "empty", "", 0));
    CHECK_OK(test_get(archive, "empty", buffer, 1, &length));
    CHECK_UINT(length, ==, 0);
    CHECK_OK(test_head(archive, "empty", &size));
    CHECK_UINT(size, ==, 0);
    CHECK_TEXT(test_list(archive, "")->text, "empty");
    struct archive_request request;
    CHECK_OK(put_extents(archive, "no-extents", NULL, 0, &request));
    CHECK_UINT(request.size, ==, 0);
}

CONFORMS(sizes_around_pieces_come_back,
         "Sizes around powers of two, where pieces end, come back whole.")
{
    static const size_t sizes[] = {1,         4 * KIB - 1,   4 * KIB,    256 * KIB - 1,
                                   256 * KIB, 256 * KIB + 1, 512 * KIB,  MIB - 1,
                                   MIB,       MIB + 1,       3 * MIB + 7};
    uint8_t *buffer = test_memory(4 * MIB);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint8_t *bytes = make_bytes(sizes[i], i);
        char object[32];
        size_t length;
        snprintf(object, sizeof(object), "size/%zu", sizes[i]);
        CHECK_OK(test_put(archive, object, bytes, sizes[i]));
        CHECK_OK(test_get(archive, object, buffer, 4 * MIB, &length));
        CHECK_UINT(length, ==, sizes[i]);
        CHECK_BYTES(buffer, bytes, length);
    }
}

CONFORMS(bytes_of_any_value_are_kept,
         "Bodies are bytes: NUL, newline and 0xFF are nothing special.")
{
    uint8_t bytes[512];
    uint8_t buffer[512];
    size_t length;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    CHECK_OK(test_put(archive, "all", bytes, sizeof(bytes)));
    CHECK_OK(test_get(archive, "all", buffer, sizeof(buffer), &length));
    CHECK_UINT(length, ==, sizeof(bytes));
    CHECK_BYTES(buffer, bytes, length);
}

CONFORMS(extents_are_joined,
         "A body of many pieces of memory and of files is stored as one, in order.")
{
    uint8_t *bytes = make_bytes(MIB, 5);
    int fd = make_file(harness_path("body"), bytes, MIB);
    struct archive_extent extents[64];
    uint8_t *expected = test_memory(8 * MIB);
    uint8_t *buffer = test_memory(8 * MIB);
    size_t size = 0;
    for (unsigned i = 0; i < 64; i++) {
        size_t offset = harness_random_below(MIB);
        size_t bound = i % 8 == 0 ? MIB - offset : 2000;
        size_t length = harness_random_below((MIB - offset < bound ? MIB - offset : bound) + 1);
        extents[i] = harness_random_below(2) ? archive_file(fd, offset, length)
                                             : archive_memory(bytes + offset, length);
        memcpy(expected + size, bytes + offset, length);
        size += length;
    }
    struct archive_request request;
    CHECK_OK(put_extents(archive, "joined", extents, 64, &request));
    CHECK_UINT(request.size, ==, size);
    size_t length;
    CHECK_OK(test_get(archive, "joined", buffer, 8 * MIB, &length));
    CHECK_UINT(length, ==, size);
    CHECK_BYTES(buffer, expected, size);
    struct hash128 checksum = hash128(slice_of(expected, size));
    CHECK(hash128_equal(&request.checksum, &checksum));
}

CONFORMS(file_extents_leave_the_position,
         "Reading a body from a file does not move the file's position.")
{
    int fd = make_file(harness_path("body"), "0123456789", 10);
    struct archive_extent extent = archive_file(fd, 2, 5);
    struct archive_request request;
    CHECK_INT(lseek(fd, 7, SEEK_SET), ==, 7);
    CHECK_OK(put_extents(archive, "part", &extent, 1, &request));
    CHECK_INT(lseek(fd, 0, SEEK_CUR), ==, 7);
    check_text(archive, "part", "23456");
}

CONFORMS(checksum_is_of_the_bytes,
         "PUT and GET give the XXH3-128 of what was stored and delivered.")
{
    uint8_t *bytes = make_bytes(600 * KIB, 9);
    uint8_t *buffer = test_memory(600 * KIB);
    struct archive_extent extent = archive_memory(bytes, 600 * KIB);
    struct archive_request request;
    struct hash128 whole = hash128(slice_of(bytes, 600 * KIB));
    struct hash128 part = hash128(slice_of(bytes + 1000, 300 * KIB));
    CHECK_OK(put_extents(archive, "sum", &extent, 1, &request));
    CHECK(hash128_equal(&request.checksum, &whole));
    CHECK_UINT(request.size, ==, 600 * KIB);
    CHECK_OK(get_range(archive, "sum", 0, ARCHIVE_TO_END, slice_of(buffer, 600 * KIB), &request));
    CHECK(hash128_equal(&request.checksum, &whole));
    CHECK_OK(get_range(archive, "sum", 1000, 300 * KIB, slice_of(buffer, 600 * KIB), &request));
    CHECK(hash128_equal(&request.checksum, &part));
    CHECK_UINT(request.bytes, ==, 300 * KIB);
    CHECK_UINT(request.size, ==, 600 * KIB);
}

CONFORMS(existing_name_is_never_replaced,
         "A PUT on a name in use answers EXISTS and changes nothing.")
{
    CHECK_OK(test_put_text(archive, "a/b", "first"));
    CHECK_STATUS(test_put_text(archive, "a/b", "second"), JINI_E_EXISTS);
    CHECK_STATUS(test_put_text(archive, "a/b", "first"), JINI_E_EXISTS);
    CHECK_STATUS(test_put(archive, "a/b", "", 0), JINI_E_EXISTS);
    check_text(archive, "a/b", "first");
    CHECK_UINT(test_list(archive, "")->count, ==, 1);
}

CONFORMS(file_that_ends_early_stores_nothing,
         "A body from a file that is too short is refused as CORRUPT.")
{
    int fd = make_file(harness_path("body"), "0123456789", 10);
    struct archive_extent extents[2] = {archive_memory("x", 1), archive_file(fd, 5, 6)};
    struct archive_request request;
    CHECK_STATUS(put_extents(archive, "short", extents, 2, &request), JINI_E_CORRUPT);
    CHECK_CONTAINS(request.error.message, "piece 1");
    uint64_t size;
    CHECK_STATUS(test_head(archive, "short", &size), JINI_E_NOT_FOUND);
    CHECK_UINT(test_list(archive, "")->count, ==, 0);
}

CONFORMS(unreadable_file_stores_nothing,
         "A body from a closed descriptor fails and leaves no object.")
{
    int fd = make_file(harness_path("body"), "0123456789", 10);
    struct archive_extent extent = archive_file(fd, 0, 10);
    struct archive_request request;
    close(fd);
    CHECK_STATUS(put_extents(archive, "closed", &extent, 1, &request), JINI_E_IO);
    CHECK_UINT(test_list(archive, "")->count, ==, 0);
}

CONFORMS(malformed_bodies_are_refused,
         "A body that is nowhere, too long or in too many pieces is refused at submit.")
{
    struct archive_request request;
    struct archive_extent nowhere = {.kind = ARCHIVE_EXTENT_MEMORY, .length = 1};
    CHECK_STATUS(put_extents(archive, "n", &nowhere, 1, &request), JINI_E_INVALID);
    nowhere = archive_file(-1, 0, 1);
    CHECK_STATUS(put_extents(archive, "n", &nowhere, 1, &request), JINI_E_INVALID);
    struct archive_extent huge[2] = {archive_file(0, 0, ARCHIVE_OBJECT_BYTES_MAX),
                                     archive_file(0, 0, 1)};
    CHECK_STATUS(put_extents(archive, "n", huge, 2, &request), JINI_E_TOO_BIG);
    huge[0].length = UINT64_MAX;
    CHECK_STATUS(put_extents(archive, "n", huge, 1, &request), JINI_E_TOO_BIG);
    nowhere = archive_file(0, INT64_MAX, 1);
    CHECK_STATUS(put_extents(archive, "n", &nowhere, 1, &request), JINI_E_INVALID);
    CHECK_STATUS(put_extents(archive, "n", &nowhere, ARCHIVE_EXTENTS_MAX + 1, &request),
                 JINI_E_INVALID);
}

CONFORMS(bad_names_are_refused_by_every_operation, "No operation takes a name that breaks a rule.")
{
    static const char *const names[] = {"", "../a", "/a", "a/../b", "a//b", ".tmp/x", "a\nb"};
    char buffer[8];
    size_t length;
    uint64_t size;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        CHECK_STATUS(test_put_text(archive, names[i], "x"), JINI_E_INVALID);
        CHECK_STATUS(test_get(archive, names[i], buffer, 8, &length), JINI_E_INVALID);
        CHECK_STATUS(test_head(archive, names[i], &size), JINI_E_INVALID);
        CHECK_STATUS(test_delete(archive, names[i]), JINI_E_INVALID);
        struct jini_error error;
        if (names[i][0])
            CHECK_STATUS(test_walk(archive, slice_of_text(names[i]), collect_name, NULL, &error),
                         JINI_E_INVALID);
    }
    CHECK_INT(access("../a", F_OK), ==, -1);
}

CONFORMS(names_at_the_limits_are_kept,
         "The longest, deepest and strangest names that are allowed come back.")
{
    char longest[ARCHIVE_NAME_MAX + 1];
    memset(longest, 'n', ARCHIVE_NAME_MAX);
    longest[255] = longest[256 + 200] = '/';
    longest[ARCHIVE_NAME_MAX] = '\0';
    const char *names[] = {longest,
                           "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16",
                           "\xc3\xa9 caf\xc3\xa9",
                           "a%2F..%2Fb",
                           "-rf",
                           "*?[x]",
                           "emoji/\xf0\x9f\x98\x80",
                           "q\"uo'te",
                           "~",
                           "A"};
    enum { COUNT = sizeof(names) / sizeof(names[0]) };
    for (unsigned i = 0; i < COUNT; i++)
        CHECK_OK(test_put_text(archive, names[i], names[i]));
    for (unsigned i = 0; i < COUNT; i++)
        check_text(archive, names[i], names[i]);
    CHECK_UINT(test_list(archive, "")->count, ==, COUNT);
    CHECK_TEXT(test_list(archive, "n")->text, longest);
}

CONFORMS(names_are_bytes,
         "Names that differ in case or in the form of an accent are different objects.")
{
    CHECK_OK(test_put_text(archive, "Pack", "upper"));
    CHECK_OK(test_put_text(archive, "pack", "lower"));
    CHECK_OK(test_put_text(archive, "e\xcc\x81", "two"));
    CHECK_OK(test_put_text(archive, "\xc3\xa9", "one"));
    check_text(archive, "Pack", "upper");
    check_text(archive, "pack", "lower");
    check_text(archive, "e\xcc\x81", "two");
    check_text(archive, "\xc3\xa9", "one");
}

CONFORMS(object_below_an_object_changes_nothing,
         "A name below an object, or above one, is refused as CONFLICT or stands beside it.")
{
    CHECK_OK(test_put_text(archive, "a", "object"));
    CHECK_OK(test_put_text(archive, "b/c", "deep"));
    int below = test_put_text(archive, "a/x", "below");
    int above = test_put_text(archive, "b", "above");
    CHECK(below == 0 || below == JINI_E_CONFLICT);
    CHECK(above == 0 || above == JINI_E_CONFLICT);
    check_text(archive, "a", "object");
    check_text(archive, "b/c", "deep");
    uint64_t size;
    CHECK_STATUS(test_head(archive, "a/x", &size), below ? JINI_E_NOT_FOUND : 0);
    CHECK_STATUS(test_head(archive, "b", &size), above ? JINI_E_NOT_FOUND : 0);
}

/* Ranges. */

CONFORMS(missing_object_is_not_found, "GET and HEAD of what is not there answer NOT_FOUND.")
{
    char buffer[8];
    size_t length;
    uint64_t size;
    CHECK_OK(test_put_text(archive, "dir/object", "x"));
    CHECK_STATUS(test_get(archive, "nothing", buffer, 8, &length), JINI_E_NOT_FOUND);
    CHECK_STATUS(test_get(archive, "no/thing", buffer, 8, &length), JINI_E_NOT_FOUND);
    CHECK_STATUS(test_get(archive, "dir", buffer, 8, &length), JINI_E_NOT_FOUND);
    CHECK_STATUS(test_get(archive, "dir/object/x", buffer, 8, &length), JINI_E_NOT_FOUND);
    CHECK_STATUS(test_head(archive, "nothing", &size), JINI_E_NOT_FOUND);
    CHECK_STATUS(test_head(archive, "dir", &size), JINI_E_NOT_FOUND);
}

CONFORMS(ranges_are_exact, "Any range inside an object delivers these bytes and no others.")
{
    enum { SIZE = 700 * 1024 };
    uint8_t *bytes = make_bytes(SIZE, 3);
    uint8_t *buffer = test_memory(SIZE + 1);
    CHECK_OK(test_put(archive, "r", bytes, SIZE));
    for (int i = 0; i < 200; i++) {
        uint64_t offset = harness_random_below(SIZE);
        uint64_t length = 1 + harness_random_below(i % 4 ? 300 : SIZE - offset);
        if (length > SIZE - offset)
            length = SIZE - offset;
        bool to_end = harness_random_below(8) == 0;
        uint64_t expected = to_end ? SIZE - offset : length;
        struct archive_request request;
        buffer[expected] = 0x5A;
        CHECK_OK(get_range(archive, "r", offset, to_end ? ARCHIVE_TO_END : length,
                           slice_of(buffer, SIZE), &request));
        CHECK_UINT(request.bytes, ==, expected);
        CHECK_BYTES(buffer, bytes + offset, expected);
        CHECK_UINT(buffer[expected], ==, 0x5A);
    }
}

CONFORMS(range_past_the_end_is_corrupt,
         "A range that the object does not have in full answers CORRUPT.")
{
    static const struct {
        uint64_t offset;
        uint64_t length;
        int status;
    } rows[] = {{0, 10, 0},
                {9, 1, 0},
                {0, 11, JINI_E_CORRUPT},
                {9, 2, JINI_E_CORRUPT},
                {10, 1, JINI_E_CORRUPT},
                {1000, 5, JINI_E_CORRUPT},
                {0, ARCHIVE_TO_END, 0},
                {9, ARCHIVE_TO_END, 0},
                {10, ARCHIVE_TO_END, JINI_E_CORRUPT},
                {11, ARCHIVE_TO_END, JINI_E_CORRUPT},
                {INT64_MAX, ARCHIVE_TO_END, JINI_E_CORRUPT}};
    char buffer[16];
    struct archive_request request;
    CHECK_OK(test_put_text(archive, "ten", "0123456789"));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        CHECK_STATUS(get_range(archive, "ten", rows[i].offset, rows[i].length,
                               slice_of(buffer, sizeof(buffer)), &request),
                     rows[i].status);
    CHECK_CONTAINS(request.error.message, "ten");
}

CONFORMS(malformed_ranges_are_refused,
         "A range of no bytes, or one that no object can have, is refused at submit.")
{
    char buffer[16] = {0};
    struct slice room = slice_of(buffer, sizeof(buffer));
    struct archive_request request;
    CHECK_STATUS(get_range(archive, "x", 0, 0, room, &request), JINI_E_INVALID);
    CHECK_STATUS(get_range(archive, "x", UINT64_MAX, 1, room, &request), JINI_E_INVALID);
    CHECK_STATUS(get_range(archive, "x", INT64_MAX, 1, room, &request), JINI_E_INVALID);
    CHECK_STATUS(get_range(archive, "x", 0, UINT64_MAX - 1, room, &request), JINI_E_INVALID);
    CHECK_STATUS(get_range(archive, "x", 0, 17, room, &request), JINI_E_TOO_BIG);
    CHECK_STATUS(get_range(archive, "x", 0, 1, slice_of(NULL, 0), &request), JINI_E_INVALID);
    request.get.sink = gate_sink;
    request.get.buffer = (uint8_t *)buffer;
    request.get.capacity = sizeof(buffer);
    CHECK_STATUS(archive_run(archive, &request, NULL), JINI_E_INVALID);
}

CONFORMS(buffer_is_never_overrun,
         "An object larger than the buffer answers TOO_BIG and writes nothing behind it.")
{
    char buffer[12];
    struct archive_request request;
    memset(buffer, '#', sizeof(buffer));
    CHECK_OK(test_put_text(archive, "ten", "0123456789"));
    CHECK_STATUS(get_range(archive, "ten", 0, ARCHIVE_TO_END, slice_of(buffer, 9), &request),
                 JINI_E_TOO_BIG);
    CHECK_BYTES(buffer + 9, "###", 3);
    CHECK_OK(get_range(archive, "ten", 0, ARCHIVE_TO_END, slice_of(buffer, 10), &request));
    CHECK_BYTES(buffer, "0123456789##", 12);
}

/* What a sink saw. */
struct seen {
    uint8_t *bytes;
    size_t length;
    size_t stop_after;
    unsigned calls;
};

static int see(struct archive_request *request, struct slice piece)
{
    struct seen *seen = request->user;
    seen->calls++;
    memcpy(seen->bytes + seen->length, piece.data, piece.length);
    seen->length += piece.length;
    return seen->stop_after && seen->length >= seen->stop_after ? JINI_E_CONFLICT : 0;
}

CONFORMS(sink_gets_every_byte_in_order, "Pieces handed to a sink join to the range.")
{
    enum { SIZE = 5 * 1024 * 1024 + 3 };
    uint8_t *bytes = make_bytes(SIZE, 8);
    struct seen seen = {.bytes = test_memory(SIZE)};
    CHECK_OK(test_put(archive, "s", bytes, SIZE));
    struct archive_request request = {.operation = ARCHIVE_GET,
                                      .name = slice_of_text("s"),
                                      .user = &seen,
                                      .get = {.offset = 5, .length = SIZE - 10, .sink = see}};
    CHECK_OK(archive_run(archive, &request, NULL));
    CHECK_UINT(seen.length, ==, SIZE - 10);
    CHECK_BYTES(seen.bytes, bytes + 5, SIZE - 10);
    struct hash128 checksum = hash128(slice_of(bytes + 5, SIZE - 10));
    CHECK(hash128_equal(&request.checksum, &checksum));
}

CONFORMS(sink_ends_the_request,
         "A status from the sink ends the GET with it, and no further piece comes.")
{
    enum { SIZE = 5 * 1024 * 1024 };
    uint8_t *bytes = make_bytes(SIZE, 8);
    struct seen seen = {.bytes = test_memory(SIZE), .stop_after = 1};
    CHECK_OK(test_put(archive, "s", bytes, SIZE));
    struct archive_request request = {.operation = ARCHIVE_GET,
                                      .name = slice_of_text("s"),
                                      .user = &seen,
                                      .get = {.length = ARCHIVE_TO_END, .sink = see}};
    CHECK_STATUS(archive_run(archive, &request, NULL), JINI_E_CONFLICT);
    CHECK_UINT(seen.calls, ==, 1);
}

/* Looking and deleting. */

CONFORMS(head_tells_size_and_time, "HEAD gives the size of an object and when it was stored.")
{
    uint64_t before_ms = clock_wall_ns(&clock_system) / NS_PER_MS;
    CHECK_OK(test_put_text(archive, "h", "0123456789"));
    uint64_t after_ms = clock_wall_ns(&clock_system) / NS_PER_MS;
    struct archive_request request = {.operation = ARCHIVE_HEAD, .name = slice_of_text("h")};
    CHECK_OK(archive_run(archive, &request, NULL));
    CHECK_UINT(request.size, ==, 10);
    CHECK_UINT(request.modified_ms + 2000, >=, before_ms);
    CHECK_UINT(request.modified_ms, <=, after_ms + 2000);
}

CONFORMS(deleted_object_is_gone,
         "After a DELETE the object is neither read nor looked at nor listed.")
{
    char buffer[8];
    size_t length;
    uint64_t size;
    CHECK_OK(test_put_text(archive, "d/one", "1"));
    CHECK_OK(test_put_text(archive, "d/two", "2"));
    CHECK_OK(test_delete(archive, "d/one"));
    CHECK_STATUS(test_get(archive, "d/one", buffer, 8, &length), JINI_E_NOT_FOUND);
    CHECK_STATUS(test_head(archive, "d/one", &size), JINI_E_NOT_FOUND);
    CHECK_TEXT(test_list(archive, "")->text, "d/two");
}

CONFORMS(deleting_what_is_not_there_is_done,
         "DELETE of an object that does not exist answers 0, again and again.")
{
    CHECK_OK(test_delete(archive, "never"));
    CHECK_OK(test_delete(archive, "never/was/here"));
    CHECK_OK(test_put_text(archive, "once", "1"));
    CHECK_OK(test_delete(archive, "once"));
    CHECK_OK(test_delete(archive, "once"));
    CHECK_OK(test_put_text(archive, "deep/down", "1"));
    CHECK_OK(test_delete(archive, "deep"));
    check_text(archive, "deep/down", "1");
}

struct slow_reader {
    struct gate gate;
    struct seen seen;
};

static int slow_see(struct archive_request *request, struct slice piece)
{
    struct slow_reader *reader = request->user;
    memcpy(reader->seen.bytes + reader->seen.length, piece.data, piece.length);
    reader->seen.length += piece.length;
    gate_pass(&reader->gate);
    return 0;
}

CONFORMS(reader_outlives_the_object,
         "A GET that has begun delivers the whole object although it is deleted meanwhile.")
{
    enum { SIZE = 3 * 1024 * 1024 };
    uint8_t *bytes = make_bytes(SIZE, 4);
    struct slow_reader reader = {.gate = GATE_INITIALIZER, .seen = {.bytes = test_memory(SIZE)}};
    CHECK_OK(test_put(archive, "o", bytes, SIZE));
    struct archive_request request = {.operation = ARCHIVE_GET,
                                      .name = slice_of_text("o"),
                                      .user = &reader,
                                      .get = {.length = ARCHIVE_TO_END, .sink = slow_see}};
    CHECK_OK(archive_submit(archive, &request));
    gate_await(&reader.gate, 1);
    CHECK_OK(test_delete(archive, "o"));
    gate_open(&reader.gate);
    CHECK_OK(archive_wait(archive, &request));
    CHECK_UINT(reader.seen.length, ==, SIZE);
    CHECK_BYTES(reader.seen.bytes, bytes, SIZE);
}

/* Lasting. */

CONFORMS(objects_outlive_the_archive,
         "What was stored is there when the archive is opened again, by two at once.")
{
    CHECK_OK(test_put_text(archive, "kept/one", "1"));
    struct archive *second = NULL;
    CHECK_OK(archive_open(subject_url, NULL, &second, NULL));
    check_text(second, "kept/one", "1");
    CHECK_OK(test_put_text(second, "kept/two", "2"));
    archive_close(second);
    check_text(archive, "kept/two", "2");
}

/* Any sequence of operations against what should be there. */

enum { MODEL_NAMES = 40, MODEL_STEPS = 600 };

struct model {
    struct {
        bool present;
        bool used;
        uint64_t key;
        size_t size;
    } objects[MODEL_NAMES];
};

static void model_name(unsigned i, char name[32])
{
    snprintf(name, 32, i % 3 == 0 ? "m/%u" : i % 3 == 1 ? "m/s%u/x" : "t%u", i);
}

static void model_step(struct archive *archive, struct model *model, uint8_t *buffer)
{
    unsigned i = (unsigned)harness_random_below(MODEL_NAMES);
    size_t length = 0;
    uint64_t size = 0;
    char name[32];
    model_name(i, name);
    switch (harness_random_below(4)) {
    case 0:
        if (!model->objects[i].used) {
            model->objects[i].key = harness_random();
            model->objects[i].size = harness_random_below(3000);
        }
        fill_bytes(buffer, model->objects[i].size, model->objects[i].key);
        if (model->objects[i].used && !model->objects[i].present)
            return; /* names are not used again */
        CHECK_STATUS(test_put(archive, name, buffer, model->objects[i].size),
                     model->objects[i].present ? JINI_E_EXISTS : 0);
        model->objects[i].present = model->objects[i].used = true;
        break;
    case 1:
        CHECK_STATUS(test_get(archive, name, buffer, 3000, &length),
                     model->objects[i].present ? 0 : JINI_E_NOT_FOUND);
        if (model->objects[i].present) {
            uint8_t *bytes = make_bytes(model->objects[i].size, model->objects[i].key);
            CHECK_UINT(length, ==, model->objects[i].size);
            CHECK_BYTES(buffer, bytes, length);
        }
        break;
    case 2:
        CHECK_STATUS(test_head(archive, name, &size),
                     model->objects[i].present ? 0 : JINI_E_NOT_FOUND);
        break;
    default:
        if (harness_random_below(3) != 0)
            return;
        CHECK_OK(test_delete(archive, name));
        model->objects[i].used = true;
        model->objects[i].present = false;
    }
}

CONFORMS(any_sequence_agrees_with_a_model,
         "Random operations answer as a table in memory does, and list the same.")
{
    static struct model model;
    uint8_t *buffer = test_memory(4096);
    for (unsigned step = 0; step < MODEL_STEPS * harness_scale(); step++) {
        model_step(archive, &model, buffer);
        if (step % 50 != 0)
            continue;
        uint64_t bytes = 0;
        unsigned count = 0;
        for (unsigned i = 0; i < MODEL_NAMES; i++) {
            count += model.objects[i].present;
            bytes += model.objects[i].present ? model.objects[i].size : 0;
        }
        const struct test_names *names = test_list(archive, "");
        CHECK_UINT(names->count, ==, count);
        CHECK_UINT(names->bytes, ==, bytes);
    }
}

/* Out of memory. */

static int use_everything(void)
{
    struct archive *archive = NULL;
    struct archive_options options = test_options(ARCHIVE_CREATE);
    char buffer[16];
    size_t length;
    static struct test_names names;
    memset(&names, 0, sizeof(names));
    int status = archive_open(subject_url, &options, &archive, NULL);
    if (status == 0)
        status = test_put_text(archive, "a/b", "object");
    if (status == 0 || status == JINI_E_EXISTS)
        status = test_get(archive, "a/b", buffer, sizeof(buffer), &length);
    if (status == 0)
        status = test_walk(archive, slice_of(NULL, 0), collect_name, &names, NULL);
    if (status == 0)
        CHECK_TEXT(names.text, "a/b");
    archive_close(archive);
    return status;
}

CONFORMS(failed_allocation_is_an_answer,
         "Whichever allocation fails, the call says so, and the next try works.")
{
    bool failed = true;
    (void)archive;
    for (uint64_t nth = 1; failed; nth++) {
        CHECK_UINT(nth, <, 1000);
        harness_fail_allocation(nth);
        int status = use_everything();
        failed = harness_allocation_failed();
        harness_fail_allocation(0);
        /* An allocation that only one more thread needed may fail unseen. */
        CHECK(status == 0 || (failed && status == JINI_E_NO_MEMORY));
        CHECK_OK(use_everything());
    }
}
