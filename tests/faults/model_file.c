/* One file: its durable bytes, the operations since, and what a loss may leave of both. */
#include "model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 1 << 30, PIECE_BYTES = 1 << 16 };

void model_give_up(const char *what, const char *path)
{
    fprintf(stderr, "powerloss: %s %s: %s\n", what, path, strerror(errno));
    exit(99);
}

void *model_grow(void *items, size_t *capacity, size_t count, size_t item_bytes)
{
    if (count <= *capacity)
        return items;
    size_t wanted = *capacity ? *capacity * 2 : 16;
    if (wanted < count)
        wanted = count;
    void *grown = realloc(items, wanted * item_bytes);
    if (!grown)
        model_give_up("no memory for", "the model");
    *capacity = wanted;
    return grown;
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

struct chooser model_chooser(uint64_t seed)
{
    static const uint32_t grains[] = {SECTOR_BYTES, SECTOR_BYTES, 4096, 1 << 16, 0, 0};
    uint64_t word = mix(seed * UINT64_C(0x9e3779b97f4a7c15) + 1);
    struct chooser chooser = {.seed = word};
    chooser.grain_bytes = grains[word % (sizeof(grains) / sizeof(grains[0]))];
    chooser.nothing = (uint32_t)(word >> 16) % 15;
    chooser.everything = (uint32_t)(word >> 32) % (16 - chooser.nothing);
    if (seed <= 1) { /* POWERLOSS_NOTHING_MORE and POWERLOSS_EVERYTHING */
        chooser.nothing = seed == 0 ? 16 : 0;
        chooser.everything = seed == 0 ? 0 : 16;
    }
    return chooser;
}

size_t model_choose(const struct chooser *chooser, uint64_t key, uint64_t index, size_t count)
{
    uint64_t word = mix(mix(chooser->seed ^ mix(key + 1)) + index);
    uint32_t sixteenth = word & 15;
    if (sixteenth < chooser->nothing)
        return 0;
    if (sixteenth < chooser->nothing + chooser->everything)
        return count;
    return (size_t)((word >> 4) % (count + 1));
}

static void add_operation(struct model_file *file, struct file_operation operation)
{
    file->operations = model_grow(file->operations, &file->operation_capacity,
                                  file->operation_count + 1, sizeof(operation));
    file->operations[file->operation_count++] = operation;
    file->size_now = operation.size_after;
}

void model_file_write(struct model_file *file, uint64_t offset, const uint8_t *data,
                      uint64_t length, bool durable)
{
    uint64_t end = offset + length;
    errno = EFBIG;
    if (end > FILE_BYTES_MAX)
        model_give_up("a write beyond", "1 GiB");
    add_operation(file,
                  (struct file_operation){.offset = offset,
                                          .length = length,
                                          .data = data,
                                          .size_after = end > file->size_now ? end : file->size_now,
                                          .durable = durable});
}

void model_file_zero(struct model_file *file, uint64_t offset, uint64_t length)
{
    add_operation(file, (struct file_operation){
                            .offset = offset, .length = length, .size_after = file->size_now});
}

void model_file_resize(struct model_file *file, uint64_t size)
{
    struct file_operation operation = {.offset = size, .size_after = size};
    if (size < file->size_now)
        operation.length = file->size_now - size;
    if (size != file->size_now)
        add_operation(file, operation);
}

/* Applies the part of an operation that lies in [begin, end), which `bytes` hold. */
static void apply(const struct file_operation *operation, uint64_t begin, uint64_t end,
                  uint8_t *bytes)
{
    uint64_t from = begin > operation->offset ? begin : operation->offset;
    uint64_t to = operation->offset + operation->length;
    if (to > end)
        to = end;
    if (from >= to)
        return;
    if (operation->data)
        memcpy(bytes + (from - begin), operation->data + (from - operation->offset), to - from);
    else
        memset(bytes + (from - begin), 0, to - from);
}

/* Bytes that the file may hold: up to the end of the last written one. */
static size_t span_of(const struct model_file *file)
{
    uint64_t span = file->length;
    for (size_t i = 0; i < file->operation_count; i++) {
        const struct file_operation *operation = &file->operations[i];
        if (operation->data && operation->offset + operation->length > span)
            span = operation->offset + operation->length;
    }
    return (size_t)span;
}

void model_file_sync(struct model_file *file)
{
    size_t span = span_of(file);
    file->bytes = model_grow(file->bytes, &file->capacity, span, 1);
    if (span > file->length)
        memset(file->bytes + file->length, 0, span - file->length);
    file->length = span;
    for (size_t i = 0; i < file->operation_count; i++)
        apply(&file->operations[i], 0, span, file->bytes);
    if (file->length > file->size_now)
        file->length = (size_t)file->size_now;
    file->size = file->size_now;
    file->operation_count = 0;
}

void model_file_free(struct model_file *file)
{
    free(file->bytes);
    free(file->operations);
}

static bool touches(const struct file_operation *operation, uint64_t begin, uint64_t end)
{
    return operation->offset < end && operation->offset + operation->length > begin;
}

static bool covers(const struct file_operation *operation, uint64_t begin, uint64_t end)
{
    return operation->offset <= begin && operation->offset + operation->length >= end;
}

/*
 * The moment of a sector: how many of the operations have happened to it. Those up to the last that
 * was made durable by itself and touches it have.
 */
static size_t choose_moment(const struct model_file *file, const struct chooser *chooser,
                            uint64_t key, uint64_t begin)
{
    uint64_t index = chooser->grain_bytes ? begin / chooser->grain_bytes : 0;
    size_t moment = model_choose(chooser, key, index, file->operation_count);
    for (size_t i = file->operation_count; i > moment; i--) {
        const struct file_operation *operation = &file->operations[i - 1];
        if (operation->durable && touches(operation, begin, begin + SECTOR_BYTES))
            return i;
    }
    return moment;
}

/*
 * Brings a sector, of which `bytes` hold what is durable, to a moment. What has been written
 * before the last operation that covers it all is not seen.
 */
static void apply_up_to(const struct model_file *file, size_t moment, uint64_t begin, uint64_t end,
                        uint8_t *bytes)
{
    size_t first = moment;
    while (first > 0 && !covers(&file->operations[first - 1], begin, end))
        first--;
    for (size_t i = first > 0 ? first - 1 : 0; i < moment; i++)
        apply(&file->operations[i], begin, end, bytes);
}

/* One of the sizes since the last sync, and no smaller than what was made durable by itself. */
static uint64_t choose_size(const struct model_file *file, const struct chooser *chooser,
                            uint64_t key)
{
    /* With whole files as the grain the size belongs to the moment of the bytes. */
    uint64_t index = chooser->grain_bytes ? UINT64_MAX : 0;
    size_t taken = model_choose(chooser, key, index, file->operation_count);
    uint64_t size = taken ? file->operations[taken - 1].size_after : file->size;
    for (size_t i = taken; i < file->operation_count; i++) {
        const struct file_operation *operation = &file->operations[i];
        if (operation->durable && operation->offset + operation->length > size)
            size = operation->offset + operation->length;
    }
    return size;
}

static bool is_zero(const uint8_t *bytes, size_t length)
{
    return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

/* Fills `piece` with [begin, end) of the file, sector for sector as a loss may leave it. */
static void build_piece(const struct model_file *file, const struct chooser *chooser, uint64_t key,
                        uint64_t begin, uint64_t end, uint8_t *piece)
{
    uint64_t durable = file->length < end ? file->length : end;
    memset(piece, 0, end - begin);
    if (durable > begin)
        memcpy(piece, file->bytes + begin, durable - begin);
    for (uint64_t at = begin; file->operation_count > 0 && at < end; at += SECTOR_BYTES) {
        uint64_t sector_end = at + SECTOR_BYTES < end ? at + SECTOR_BYTES : end;
        apply_up_to(file, choose_moment(file, chooser, key, at), at, sector_end,
                    piece + (at - begin));
    }
}

void model_file_build(const struct model_file *file, const struct chooser *chooser, uint64_t key,
                      int fd)
{
    uint8_t piece[PIECE_BYTES];
    uint64_t size = choose_size(file, chooser, key);
    uint64_t span = span_of(file);
    if (ftruncate(fd, (off_t)size) != 0)
        model_give_up("cannot size", "an image");
    if (span > size)
        span = size;
    for (uint64_t at = 0; at < span; at += PIECE_BYTES) {
        size_t length = span - at < PIECE_BYTES ? (size_t)(span - at) : PIECE_BYTES;
        build_piece(file, chooser, key, at, at + length, piece);
        if (!is_zero(piece, length) && pwrite(fd, piece, length, (off_t)at) != (ssize_t)length)
            model_give_up("cannot write", "an image");
    }
}
