/* The files of the images: rendered into a folder, or found in one. */
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

enum { FILE_BYTES_MAX = 64 << 20, PATH_BYTES_MAX = 8192, SEED_FIRST = 1000 };

static const char *const prompts[] = {
    "a lake at dawn, mist over the water, pine forest, highly detailed",
    "dunes at sunset, long shadows, warm light, wide angle",
    "a meadow under a night sky, stars, milky way, long exposure",
    "winter mountains, snow, clear morning, sharp focus",
    "the sea at dusk, calm waves, pastel colours, 35mm",
    "desert at night, moonlight, cinematic",
};

static struct demo_image *add_image(struct demo *demo, const char *name)
{
    size_t count = demo->image_count;
    if ((count & (count - 1)) == 0) {
        struct demo_image *grown = realloc(demo->images, sizeof(*grown) * (count ? count * 2 : 1));
        if (!grown)
            return NULL;
        demo->images = grown;
    }
    struct demo_image *image = &demo->images[demo->image_count];
    *image = (struct demo_image){.name = strdup(name), .status = 1};
    demo->image_count += image->name != NULL;
    return image->name ? image : NULL;
}

/* Most go to the tier that most of a service's images come from. */
static unsigned owner_of(size_t index, size_t count)
{
    size_t share = count / 8;
    return index < share ? 0 : index < 2 * share ? 1 : 2;
}

static int list_rendered(struct demo *demo)
{
    static const uint32_t sides[] = {256, 512, 384, 512, 320, 512, 448, 640};
    for (size_t i = 0; i < demo->render_count; i++) {
        char name[64];
        uint64_t seed = SEED_FIRST + i;
        snprintf(name, sizeof(name), "seed-%llu.png", (unsigned long long)seed);
        struct demo_image *image = add_image(demo, name);
        if (!image)
            return JINI_E_NO_MEMORY;
        image->owner = owner_of(i, demo->render_count);
        image->seed = seed;
        image->width = sides[seed % 8];
        image->height = sides[(seed / 3) % 8];
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
        status = add_image(demo, entry->d_name) ? 0 : JINI_E_NO_MEMORY;
    }
    closedir(folder);
    if (demo->image_count > 0)
        qsort(demo->images, demo->image_count, sizeof(*demo->images), by_name);
    for (size_t i = 0; i < demo->image_count; i++)
        demo->images[i].owner = i % 8 == 0 ? 0 : i % 8 == 1 ? 1 : 2;
    return status;
}

int demo_images_list(struct demo *demo)
{
    return demo->renders ? list_rendered(demo) : list_folder(demo);
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

static void path_of(const struct demo *demo, const struct demo_image *image,
                    char path[PATH_BYTES_MAX])
{
    snprintf(path, PATH_BYTES_MAX, "%s/%s", demo->folder, image->name);
}

int demo_image_read(const struct demo *demo, const struct demo_image *image, uint8_t **out,
                    size_t *length)
{
    char path[PATH_BYTES_MAX];
    path_of(demo, image, path);
    int failed = read_whole(path, out, length);
    if (failed == 0)
        return 0;
    free(*out);
    *out = NULL;
    if (failed == EFBIG)
        return JINI_E_TOO_BIG;
    fprintf(stderr, "jini-demo: cannot read %s: %s\n", path, strerror(failed));
    return JINI_E_IO;
}

static int write_whole(const char *path, const void *bytes, size_t length)
{
    FILE *file = fopen(path, "wbe");
    bool written = file && fwrite(bytes, 1, length, file) == length;
    if (file && fclose(file) != 0)
        written = false;
    if (!written)
        fprintf(stderr, "jini-demo: cannot write %s: %s\n", path, strerror(errno));
    return written ? 0 : JINI_E_IO;
}

static int render(const struct demo *demo, const struct demo_image *image)
{
    struct render_request request;
    struct render_image file;
    struct jini_error error;
    char path[PATH_BYTES_MAX];
    render_request_init(&request);
    request.seed = image->seed;
    request.width = image->width;
    request.height = image->height;
    request.prompt = prompts[image->seed % (sizeof(prompts) / sizeof(prompts[0]))];
    request.negative = "blurry, low quality";
    int status = render_image(&request, &file, &error);
    if (status) {
        fprintf(stderr, "jini-demo: %s: %s\n", error.field, error.message);
        return status;
    }
    path_of(demo, image, path);
    status = write_whole(path, file.bytes, file.length);
    render_image_free(&file);
    return status;
}

/* What admission asks for stands in the file. Sets the status of one that is refused for ever. */
static int probe(const struct demo *demo, struct demo_image *image)
{
    struct jini_image found;
    struct jini_error error;
    uint8_t *bytes;
    size_t length;
    int status = demo_image_read(demo, image, &bytes, &length);
    image->refused = status == JINI_E_TOO_BIG;
    if (status)
        return status;
    status = jini_image_probe(bytes, length, &found, &error);
    free(bytes);
    image->refused = status != 0;
    image->length = length;
    image->width = found.width;
    image->height = found.height;
    return status;
}

static void load_one(struct demo *demo, size_t index)
{
    struct demo_image *image = &demo->images[index];
    int status = demo->renders ? render(demo, image) : 0;
    if (status == 0)
        status = probe(demo, image);
    if (status) {
        image->status = status;
        return;
    }
    pthread_mutex_lock(&demo->lock);
    demo->bytes += image->length;
    struct demo_user *owner = &demo->users[image->owner];
    owner->images++;
    owner->width_most = image->width > owner->width_most ? image->width : owner->width_most;
    owner->height_most = image->height > owner->height_most ? image->height : owner->height_most;
    pthread_mutex_unlock(&demo->lock);
}

int demo_images_load(struct demo *demo)
{
    demo_parallel(demo, demo->renders ? "rendering" : "reading", demo->image_count, load_one);
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
        free(demo->images[i].name);
    free(demo->images);
}
