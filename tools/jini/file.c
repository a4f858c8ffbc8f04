/* Reading and listing files. */
#include "file.h"

#include "file_error.h"
#include "interrupt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_FIRST = 256 * 1024, DEPTH_MAX = 64 };

/* ---- Reading ---- */

static int too_big(const char *path, uint64_t bytes_max, struct jini_error *error)
{
    return file_error(error, JINI_E_TOO_BIG, path,
                      "it has more than the %llu bytes of image.bytes_max",
                      (unsigned long long)bytes_max);
}

/* Reads to the end into memory that grows up to bytes_max + 1, so that one byte too many is seen. */
static int read_all(int descriptor, const char *path, uint64_t bytes_max, size_t expected,
                    uint8_t **out, size_t *length, struct jini_error *error)
{
    size_t most = (size_t)bytes_max + 1;
    size_t capacity = expected + 1 < most ? expected + 1 : most;
    uint8_t *bytes = malloc(capacity);
    size_t filled = 0;
    while (bytes) {
        errno = EINTR;
        ssize_t taken = interrupt_wait_readable(descriptor)
                            ? read(descriptor, bytes + filled, capacity - filled)
                            : -1;
        if (taken < 0 && errno == EINTR && !interrupt_signal())
            continue;
        if (taken < 0) {
            int status = file_error_errno(error, errno, path, "cannot be read");
            free(bytes);
            return status;
        }
        filled += (size_t)taken;
        if (taken == 0 || filled > bytes_max)
            break;
        if (filled == capacity) {
            capacity = capacity < most / 2 ? capacity * 2 : most;
            uint8_t *grown = realloc(bytes, capacity);
            if (!grown)
                free(bytes);
            bytes = grown;
        }
    }
    if (!bytes)
        return file_error(error, JINI_E_NO_MEMORY, path, "out of memory");
    if (filled > bytes_max) {
        free(bytes);
        return too_big(path, bytes_max, error);
    }
    *out = bytes;
    *length = filled;
    return 0;
}

int file_read(const char *path, uint64_t bytes_max, uint8_t **out, size_t *length,
              struct jini_error *error)
{
    struct stat info;
    bool standard = strcmp(path, "-") == 0;
    *out = NULL;
    *length = 0;
    int descriptor = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0)
        return file_error_errno(error, errno, path, "cannot be opened");
    int status = 0;
    if (fstat(descriptor, &info) != 0)
        status = file_error_errno(error, errno, path, "cannot be read");
    else if (S_ISDIR(info.st_mode))
        status = file_error(error, JINI_E_INVALID, path, "it is a folder");
    else if (S_ISREG(info.st_mode) && (uint64_t)info.st_size > bytes_max)
        status = too_big(path, bytes_max, error);
    size_t expected = status == 0 && S_ISREG(info.st_mode) ? (size_t)info.st_size : READ_FIRST;
    if (status == 0)
        status = read_all(descriptor, path, bytes_max, expected, out, length, error);
    if (!standard)
        close(descriptor);
    return status;
}

/* ---- Listing ---- */

static int append(struct file_list *list, const char *path, struct jini_error *error)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        char **grown = realloc(list->paths, capacity * sizeof(*grown));
        if (!grown)
            return file_error(error, JINI_E_NO_MEMORY, path, "out of memory");
        list->paths = grown;
        list->capacity = capacity;
    }
    list->paths[list->count] = strdup(path);
    if (!list->paths[list->count])
        return file_error(error, JINI_E_NO_MEMORY, path, "out of memory");
    list->count++;
    return 0;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* By bytes, whatever the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_folder(struct file_list *list, const char *folder, enum file_depth depth, int level,
                      struct jini_error *error);

static int add_entry(struct file_list *list, const char *path, enum file_depth depth, int level,
                     struct jini_error *error)
{
    struct stat target;
    struct stat link;
    if (lstat(path, &link) != 0 || stat(path, &target) != 0)
        return append(list, path, error); /* why it cannot be read is said when it is read */
    if (S_ISDIR(link.st_mode) && depth == FILE_RECURSIVE)
        return add_folder(list, path, depth, level + 1, error);
    return S_ISREG(target.st_mode) ? append(list, path, error) : 0;
}

static int add_folder(struct file_list *list, const char *folder, enum file_depth depth, int level,
                      struct jini_error *error)
{
    struct dirent **entries;
    int status = 0;
    if (level > DEPTH_MAX)
        return file_error(error, JINI_E_TOO_BIG, folder, "folders are nested deeper than %d levels",
                          DEPTH_MAX);
    int count = scandir(folder, &entries, is_visible, by_name);
    if (count < 0)
        return file_error_errno(error, errno, folder, "cannot be listed");
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        size_t length = strlen(folder);
        const char *slash = length > 0 && folder[length - 1] == '/' ? "" : "/";
        if (status == 0 && asprintf(&path, "%s%s%s", folder, slash, entries[i]->d_name) < 0)
            status = file_error(error, JINI_E_NO_MEMORY, folder, "out of memory");
        else if (status == 0)
            status = add_entry(list, path, depth, level, error);
        free(path);
        free(entries[i]);
    }
    free(entries);
    return status;
}

bool file_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

int file_list_add(struct file_list *list, const char *path, enum file_depth depth,
                  struct jini_error *error)
{
    if (strcmp(path, "-") != 0 && file_is_folder(path))
        return add_folder(list, path, depth, 0, error);
    return append(list, path, error);
}

void file_list_free(struct file_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->paths[i]);
    free(list->paths);
    memset(list, 0, sizeof(*list));
}
