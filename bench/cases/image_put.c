/* image-put: durable images, beside a plain sequential write of the same bytes. */
#include "cases/cases.h"
#include "database.h"
#include "engine.h"
#include "peers/disk.h"
#include "pictures.h"

#include <stdio.h>
#include <stdlib.h>

enum { IMAGE_BYTES = 1 << 20, IN_FLIGHT = 16, IMAGES_PER_SECOND = 200 };

struct putting {
    struct jini *jini;
    uint64_t user;
    uint64_t images;
    uint64_t next;
    uint64_t number; /* of all images so far: each is another */
    struct picture pictures[IN_FLIGHT];
};

static bool put_next(void *context, struct bench_flow_step *step)
{
    struct putting *putting = context;
    struct jini_image_put *put = (struct jini_image_put *)step->request;
    struct picture *picture = &putting->pictures[step->place];
    if (putting->next == putting->images)
        return false;
    putting->next++;
    picture_number(picture, ++putting->number);
    put->bytes = picture->bytes;
    put->length = picture->length;
    put->user_id = putting->user;
    step->status = jini_image_put(putting->jini, put, step->callback);
    return true;
}

static uint64_t add_user(struct jini *jini)
{
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "painter");
    snprintf(add.user.tier, sizeof(add.user.tier), "Premium");
    add.user.flags = JINI_USER_ACTIVE;
    bench_check(jini_user_add(jini, &add, NULL), &add.request.error, "adding a user");
    return add.user.id;
}

/* Puts all images of a round; seconds. */
static double put_all(struct putting *putting)
{
    struct bench_flow flow = {sizeof(struct jini_image_put), IN_FLIGHT, put_next, putting};
    putting->next = 0;
    uint64_t begin = bench_now_ns();
    bench_flow_run(&flow);
    return (double)(bench_now_ns() - begin) / 1e9;
}

static void measure(const struct bench_options *options, struct bench_result *result)
{
    struct jini_options jini_options;
    struct disk_piece pieces[IN_FLIGHT];
    struct bench_series ratios = {0}, rates = {0}, plain = {0}, single = {0}, syncs = {0};
    struct bench_series plain_syncs = {0}, disk = {0};
    struct putting putting = {.images = (uint64_t)(IMAGES_PER_SECOND * options->seconds)};
    char *path = database_fresh(options, "image-put");
    bench_jini_options(&jini_options);
    putting.jini = bench_jini_open(path, &jini_options);
    putting.user = add_user(putting.jini);
    for (int i = 0; i < IN_FLIGHT; i++) {
        picture_make(&putting.pictures[i], IMAGE_BYTES, (uint64_t)i + 1);
        pieces[i] = (struct disk_piece){putting.pictures[i].bytes, putting.pictures[i].length};
    }
    double bytes = (double)putting.images * (double)putting.pictures[0].length;
    for (unsigned round = 0; round < bench_rounds(options); round++) {
        struct bench_figures before;
        bench_progress("image-put: round %u", round + 1);
        bench_figures(putting.jini, &before);
        double jini_s = put_all(&putting);
        struct bench_figures done = bench_figures_since(putting.jini, &before);
        double synced = done.pack_syncs + done.commits * BENCH_SYNCS_PER_COMMIT;
        double plain_s = disk_write_s(path, pieces, IN_FLIGHT, putting.images, (uint64_t)synced);
        double single_s = disk_write_s(path, pieces, IN_FLIGHT, putting.images, 1);
        series_add(&rates, bytes / jini_s);
        series_add(&plain, bytes / plain_s);
        series_add(&single, bytes / single_s);
        series_add(&ratios, plain_s / jini_s);
        series_add(&syncs, synced / jini_s);
        series_add(&plain_syncs, synced / plain_s);
        series_add(&disk, disk_syncs_per_s(path, options->seconds / 4));
    }
    bench_jini_close(putting.jini);
    database_remove(path);
    free(path);
    result_value(result, series_median(&ratios));
    result_figure(result, series_median(&rates), "bytes/s");
    result_ceiling(result, series_median(&single),
                   "pwrite of the same bytes, one fdatasync at the end");
    result_peer(result, series_median(&plain),
                "pwrite of the same bytes, as many fdatasyncs as Jini made");
    result_number(result, "ratio_least", series_least(&ratios));
    result_number(result, "ratio_most", series_most(&ratios));
    result_number(result, "images_per_s",
                  series_median(&rates) / (double)putting.pictures[0].length);
    result_number(result, "syncs_per_s", series_median(&syncs));
    result_number(result, "peer_syncs_per_s", series_median(&plain_syncs));
    result_number(result, "disk_syncs_per_s", series_median(&disk));
    for (int i = 0; i < IN_FLIGHT; i++)
        picture_free(&putting.pictures[i]);
}

const struct bench_case case_image_put = {
    .name = "image-put",
    .measures = "PNG images of 1 MiB, durable",
    .unit = "ratio",
    .target = "0.7 of the disk's plain sequential write with the same number of syncs",
    .method = "jini_image_put() with 16 images under way, each another: every image is looked at "
              "(chunks and their checksums), hashed, "
              "appended to a pack, synced, and committed with its record and its place in the "
              "index. The plain program "
              "writes the same bytes into one file by pwrite, and calls fdatasync as often as Jini "
              "did: the syncs of "
              "packs, and two for each commit. Those of sealing packs and of directories are not "
              "counted to it.",
    .demands = {{"value", BENCH_AT_LEAST, 0.7}},
    .run = measure,
};
