/* One file: its durable bytes, the operations since, and what a loss may leave of both. */
#include "model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 1 << 30, HOLE_BYTES = 1 << 16 };

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

/* Applies the part of an operation that lies in [begin, end) of `bytes`. */
static void apply(const struct file_operation *operation, uint8_t *bytes, uint64_t begin,
                  uint64_t end)
{
    if (begin < operation->offset)
        begin = operation->offset;
    if (end > operation->offset + operation->length)
        end = operation->offset + operation->length;
    if (begin >= end)
        return;
    if (operation->data)
        memcpy(bytes + begin, operation->data + (begin - operation->offset), end - begin);
    else
        memset(bytes + begin, 0, end - begin);
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
        apply(&file->operations[i], file->bytes, 0, span);
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

/* Lets operation `index` have happened to each sector that it touches. */
static void raise_moments(const struct file_operation *operation, size_t *moments, size_t sectors,
                          size_t index)
{
    uint64_t end = operation->offset + operation->length;
    uint64_t s = operation->offset / SECTOR_BYTES;
    for (; s * SECTOR_BYTES < end && s < sectors; s++) {
        if (moments[s] < index + 1)
            moments[s] = index + 1;
    }
}

/*
 * The moment of each sector: how many of the operations have happened to it. Those up to the last
 * that was made durable by itself and touches it have.
 */
static size_t *choose_moments(const struct model_file *file, const struct chooser *chooser,
                              uint64_t key, size_t sectors)
{
    size_t *moments = calloc(sectors ? sectors : 1, sizeof(*moments));
    if (!moments)
        model_give_up("no memory for", "sectors");
    for (size_t s = 0; s < sectors; s++) {
        uint64_t begin = (uint64_t)s * SECTOR_BYTES;
        uint64_t index = chooser->grain_bytes ? begin / chooser->grain_bytes : 0;
        moments[s] = model_choose(chooser, key, index, file->operation_count);
    }
    for (size_t i = 0; i < file->operation_count; i++) {
        if (file->operations[i].durable)
            raise_moments(&file->operations[i], moments, sectors, i);
    }
    return moments;
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

static void write_image(int fd, const uint8_t *bytes, size_t length, uint64_t size)
{
    if (ftruncate(fd, (off_t)size) != 0)
        model_give_up("cannot size", "an image");
    if (length > size)
        length = (size_t)size;
    for (size_t at = 0; at < length; at += HOLE_BYTES) {
        size_t piece = length - at < HOLE_BYTES ? length - at : HOLE_BYTES;
        if (is_zero(bytes + at, piece))
            continue;
        if (pwrite(fd, bytes + at, piece, (off_t)at) != (ssize_t)piece)
            model_give_up("cannot write", "an image");
    }
}

static void apply_moments(const struct model_file *file, const size_t *moments, uint8_t *bytes,
                          size_t span)
{
    for (size_t i = 0; i < file->operation_count; i++) {
        const struct file_operation *operation = &file->operations[i];
        uint64_t end = operation->offset + operation->length;
        uint64_t s = operation->offset / SECTOR_BYTES;
        for (; s * SECTOR_BYTES < end && s * SECTOR_BYTES < span; s++) {
            uint64_t sector_end = (s + 1) * SECTOR_BYTES;
            if (i < moments[s])
                apply(operation, bytes, s * SECTOR_BYTES, sector_end < span ? sector_end : span);
        }
    }
}

void model_file_build(const struct model_file *file, const struct chooser *chooser, uint64_t key,
                      int fd)
{
    size_t span = span_of(file);
    uint8_t *bytes = calloc(span ? span : 1, 1);
    if (!bytes)
        model_give_up("no memory for", "an image");
    if (file->length)
        memcpy(bytes, file->bytes, file->length);
    if (file->operation_count > 0) {
        size_t sectors = (span + SECTOR_BYTES - 1) / SECTOR_BYTES;
        size_t *moments = choose_moments(file, chooser, key, sectors);
        apply_moments(file, moments, bytes, span);
        free(moments);
    }
    write_image(fd, bytes, span, choose_size(file, chooser, key));
    free(bytes);
}
