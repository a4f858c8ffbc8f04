/* image-get: hot images, beside pread and the same checksum. */
#include "cases/cases.h"
#include "database.h"
#include "engine.h"
#include "peers/disk.h"
#include "pictures.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IMAGE_BYTES = 1 << 20, IMAGES = 64 };

struct gallery {
    struct jini *jini;
    int plain; /* the same images, one behind the other */
    size_t length;
    struct jini_id ids[IMAGES];
    struct disk_hash hashes[IMAGES];
    uint8_t *buffer;
    uint64_t random;
};

/* Puts the images, and writes them into a plain file. */
static void hang(struct gallery *gallery, const char *path)
{
    struct picture picture;
    char file[4200];
    snprintf(file, sizeof(file), "%s/plain", path);
    gallery->plain = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (gallery->plain < 0)
        bench_fail("cannot make %s: %s", file, strerror(errno));
    picture_make(&picture, IMAGE_BYTES, 1);
    gallery->length = picture.length;
    gallery->buffer = bench_alloc(1, picture.length);
    for (uint64_t i = 0; i < IMAGES; i++) {
        struct jini_image_put put;
        jini_request_init(&put);
        picture_number(&picture, i);
        put.bytes = picture.bytes;
        put.length = picture.length;
        bench_check(jini_image_put(gallery->jini, &put, NULL), &put.request.error, "putting");
        gallery->ids[i] = put.image.id;
        gallery->hashes[i] = disk_hash(picture.bytes, picture.length);
        if (pwrite(gallery->plain, picture.bytes, picture.length, (off_t)(i * picture.length)) !=
            (ssize_t)picture.length)
            bench_fail("cannot write %s: %s", file, strerror(errno));
    }
    picture_free(&picture);
}

static void get(struct gallery *gallery, uint64_t number)
{
    struct jini_image_get request;
    jini_request_init(&request);
    request.id = gallery->ids[number];
    request.buffer = gallery->buffer;
    request.capacity = gallery->length;
    bench_check(jini_image_get(gallery->jini, &request, NULL), &request.request.error, "getting");
}

static void read_plain(struct gallery *gallery, uint64_t number)
{
    disk_read(gallery->plain, gallery->buffer, gallery->length, number * gallery->length);
    struct disk_hash hash = disk_hash(gallery->buffer, gallery->length);
    if (hash.low != gallery->hashes[number].low || hash.high != gallery->hashes[number].high)
        bench_fail("the plain file is damaged");
}

static void read_unchecked(struct gallery *gallery, uint64_t number)
{
    disk_read(gallery->plain, gallery->buffer, gallery->length, number * gallery->length);
}

/* Bytes per second. */
static double run(struct gallery *gallery, void (*read_one)(struct gallery *, uint64_t),
                  double seconds)
{
    uint64_t images = 0;
    uint64_t begin = bench_now_ns();
    uint64_t end = begin + (uint64_t)(seconds * 1e9);
    while (bench_now_ns() < end || images == 0) {
        read_one(gallery, bench_random_below(&gallery->random, IMAGES));
        images++;
    }
    return (double)images * (double)gallery->length / ((double)(bench_now_ns() - begin) / 1e9);
}

static void check_bytes(struct gallery *gallery)
{
    for (uint64_t i = 0; i < IMAGES; i++) {
        get(gallery, i);
        struct disk_hash hash = disk_hash(gallery->buffer, gallery->length);
        if (hash.low != gallery->hashes[i].low || hash.high != gallery->hashes[i].high)
            bench_fail("image %llu came back changed", (unsigned long long)i);
    }
}

static void measure(const struct bench_options *options, struct bench_result *result)
{
    struct jini_options jini_options;
    struct bench_series ratios = {0}, rates = {0}, plain = {0}, unchecked = {0};
    struct gallery gallery = {.random = 1};
    char *path = database_fresh(options, "image-get");
    bench_jini_options(&jini_options);
    gallery.jini = bench_jini_open(path, &jini_options);
    hang(&gallery, path);
    check_bytes(&gallery);
    for (unsigned round = 0; round < bench_rounds(options); round++) {
        bench_progress("image-get: round %u", round + 1);
        series_add(&rates, run(&gallery, get, options->seconds));
        series_add(&plain, run(&gallery, read_plain, options->seconds));
        series_add(&unchecked, run(&gallery, read_unchecked, options->seconds / 4));
        series_add(&ratios, rates.values[round] / plain.values[round]);
    }
    bench_jini_close(gallery.jini);
    close(gallery.plain);
    free(gallery.buffer);
    database_remove(path);
    free(path);
    result_value(result, series_median(&ratios));
    result_figure(result, series_median(&rates), "bytes/s");
    result_ceiling(result, series_median(&unchecked), "pread of the same bytes without a checksum");
    result_peer(result, series_median(&plain), "pread of the same bytes, and XXH3-128 of them");
    result_number(result, "ratio_least", series_least(&ratios));
    result_number(result, "ratio_most", series_most(&ratios));
    result_number(result, "images_per_s", series_median(&rates) / (double)gallery.length);
}

const struct bench_case case_image_get = {
    .name = "image-get",
    .measures = "hot images of 1 MiB",
    .unit = "ratio",
    .target = "0.8 of pread of the same bytes with the same checksum",
    .method = "jini_image_get() by one thread, of 64 images in the page cache, drawn at random: "
              "the record is read on a snapshot, "
              "the bytes from the pack, and checked against the checksum made when they were put. "
              "The plain program reads "
              "the same bytes from one file by pread and computes XXH3-128 by the entry point that "
              "uses the CPU's widest "
              "vectors.",
    .demands = {{"value", BENCH_AT_LEAST, 0.8}},
    .run = measure,
};
