/* Where the images come from: a folder, or the renderer. */
#include "demo/demo.h"
#include "render/render.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RENDERED_FREE = 40, RENDERED_BASIC = 40, RENDERED_PREMIUM = 240, FILE_BYTES_MAX = 64 << 20 };

static const char *const prompts[] = {
    "a lake at dawn, mist over the water, pine forest, highly detailed",
    "dunes at sunset, long shadows, warm light, wide angle",
    "a meadow under a night sky, stars, milky way, long exposure",
    "winter mountains, snow, clear morning, sharp focus",
    "the sea at dusk, calm waves, pastel colours, 35mm",
    "desert at night, moonlight, cinematic",
};

static struct demo_image *add_image(struct demo *demo)
{
    size_t count = demo->image_count;
    if ((count & (count - 1)) == 0) {
        struct demo_image *grown = realloc(demo->images, sizeof(*grown) * (count ? count * 2 : 1));
        if (!grown)
            return NULL;
        demo->images = grown;
    }
    struct demo_image *image = &demo->images[demo->image_count++];
    memset(image, 0, sizeof(*image));
    image->status = 1;
    return image;
}

static int list_rendered(struct demo *demo)
{
    static const unsigned counts[DEMO_USERS] = {RENDERED_FREE, RENDERED_BASIC, RENDERED_PREMIUM};
    static const uint32_t sides[] = {256, 512, 384, 512, 320, 512, 448, 640};
    uint64_t seed = 1000;
    for (unsigned owner = 0; owner < DEMO_USERS; owner++) {
        for (unsigned i = 0; i < counts[owner]; i++, seed++) {
            struct demo_image *image = add_image(demo);
            if (!image)
                return JINI_E_NO_MEMORY;
            image->owner = owner;
            image->seed = seed;
            image->width = sides[seed % 8];
            image->height = sides[(seed / 3) % 8];
            snprintf(image->name, sizeof(image->name), "seed %llu", (unsigned long long)seed);
        }
    }
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct demo_image *)a)->name, ((const struct demo_image *)b)->name);
}

/* Every regular file of the folder; whether it is an image turns out when it is probed. */
static int list_folder(struct demo *demo)
{
    DIR *folder = opendir(demo->folder);
    if (!folder) {
        fprintf(stderr, "jini-demo: cannot open the folder %s: %s\n", demo->folder,
                strerror(errno));
        return JINI_E_IO;
    }
    struct dirent *entry;
    int status = 0;
    while (status == 0 && (entry = readdir(folder))) {
        struct stat info;
        if (entry->d_name[0] == '.' || fstatat(dirfd(folder), entry->d_name, &info, 0) != 0 ||
            !S_ISREG(info.st_mode))
            continue;
        struct demo_image *image = add_image(demo);
        if (!image || strlen(entry->d_name) >= sizeof(image->name))
            status = JINI_E_NO_MEMORY;
        else
            memcpy(image->name, entry->d_name, strlen(entry->d_name) + 1);
    }
    closedir(folder);
    if (demo->image_count > 0)
        qsort(demo->images, demo->image_count, sizeof(*demo->images), by_name);
    /* Most go to the tier that most of a service's images come from. */
    for (size_t i = 0; i < demo->image_count; i++)
        demo->images[i].owner = i % 8 == 0 ? 0 : i % 8 == 1 ? 1 : 2;
    return status;
}

int demo_images_list(struct demo *demo)
{
    return demo->folder ? list_folder(demo) : list_rendered(demo);
}

static int read_whole(const char *path, uint8_t **out, size_t *length)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int failed = fstat(fd, &info) ? errno : info.st_size > FILE_BYTES_MAX ? EFBIG : 0;
    *out = failed ? NULL : malloc(info.st_size ? (size_t)info.st_size : 1);
    if (!failed && !*out)
        failed = ENOMEM;
    for (*length = 0; !failed && *length < (size_t)info.st_size;) {
        ssize_t taken = read(fd, *out + *length, (size_t)info.st_size - *length);
        if (taken < 0 && errno != EINTR)
            failed = errno;
        if (taken == 0)
            break;
        if (taken > 0)
            *length += (size_t)taken;
    }
    close(fd);
    return failed;
}

static void load_file(struct demo *demo, struct demo_image *image)
{
    char path[8192];
    snprintf(path, sizeof(path), "%s/%s", demo->folder, image->name);
    int failed = read_whole(path, &image->bytes, &image->length);
    if (failed == EFBIG) {
        image->status = JINI_E_TOO_BIG;
        image->refused = true;
    } else if (failed) {
        fprintf(stderr, "jini-demo: cannot read %s: %s\n", path, strerror(failed));
        image->status = JINI_E_IO;
    }
}

static void render(struct demo_image *image)
{
    struct render_request request;
    struct render_image file;
    struct jini_error error;
    render_request_init(&request);
    request.seed = image->seed;
    request.width = image->width;
    request.height = image->height;
    request.prompt = prompts[image->seed % (sizeof(prompts) / sizeof(prompts[0]))];
    request.negative = "blurry, low quality";
    image->status = render_image(&request, &file, &error);
    if (image->status) {
        fprintf(stderr, "jini-demo: %s: %s\n", error.field, error.message);
        return;
    }
    image->status = 1;
    image->bytes = file.bytes;
    image->length = file.length;
}

static void load_one(struct demo *demo, size_t index)
{
    struct demo_image *image = &demo->images[index];
    struct jini_image probe;
    struct jini_error error;
    if (demo->folder)
        load_file(demo, image);
    else
        render(image);
    if (image->status != 1)
        return;
    int status = jini_image_probe(image->bytes, image->length, &probe, &error);
    image->admitted_width = probe.width;
    image->admitted_height = probe.height;
    if (status) {
        image->status = status;
        image->refused = true;
        return;
    }
    pthread_mutex_lock(&demo->lock);
    demo->bytes += image->length;
    demo->users[image->owner].images++;
    pthread_mutex_unlock(&demo->lock);
}

int demo_images_load(struct demo *demo)
{
    demo_parallel(demo, demo->folder ? "reading" : "rendering", demo->image_count, load_one);
    for (size_t i = 0; i < demo->image_count; i++) {
        const struct demo_image *image = &demo->images[i];
        if (image->status != 1 && !image->refused)
            return image->status;
    }
    if (demo_images_refused(demo) < demo->image_count)
        return 0;
    fprintf(stderr, "jini-demo: there is no image in the folder %s: %s\n", demo->folder,
            demo->image_count ? "all of its files were refused" : "it has no files");
    return JINI_E_NOT_FOUND;
}

size_t demo_images_refused(const struct demo *demo)
{
    size_t count = 0;
    for (size_t i = 0; i < demo->image_count; i++)
        count += demo->images[i].refused;
    return count;
}

void demo_images_free(struct demo *demo)
{
    for (size_t i = 0; i < demo->image_count; i++)
        free(demo->images[i].bytes);
    free(demo->images);
}
