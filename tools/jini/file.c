/* Reading and listing files. */
#include "file.h"

#include "file_error.h"
#include "guard.h"
#include "interrupt.h"
#include "output.h"

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

/*
 * Reads to the end into memory that grows up to bytes_max + 1, so that one byte too many is seen.
 */
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

static int of_database(const char *path, struct jini_error *error)
{
    return file_error(
        error, JINI_E_INVALID, path,
        "it belongs to the database itself, of which no file is read or written by its name");
}

/* What can be read is a regular file, and none of the database. */
static int check_kind(const char *path, const struct stat *info, struct jini_error *error)
{
    if (S_ISDIR(info->st_mode))
        return file_error(error, JINI_E_INVALID, path, "it is a folder");
    if (!S_ISREG(info->st_mode))
        return file_error(error, JINI_E_INVALID, path,
                          "it is a pipe, a socket or a device, not a file; - reads standard input");
    return 0;
}

/*
 * Opens a file that was looked at before. Should a file of the database have taken its place
 * meanwhile, the descriptor stays open: closing it is what would drop the locks.
 */
static int open_file(const char *path, int *out, struct stat *info, struct jini_error *error)
{
    *out = -1;
    int status = stat(path, info) != 0 ? file_error_errno(error, errno, path, "cannot be opened")
                                       : check_kind(path, info, error);
    if (status)
        return status;
    if (guard_holds(path))
        return of_database(path, error);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (descriptor < 0)
        return file_error_errno(error, errno, path, "cannot be opened");
    status = fstat(descriptor, info) != 0 ? file_error_errno(error, errno, path, "cannot be read")
                                          : check_kind(path, info, error);
    if (status == 0 && guard_is_file(info))
        return of_database(path, error);
    if (status)
        close(descriptor);
    else
        *out = descriptor;
    return status;
}

int file_read(const char *path, uint64_t bytes_max, uint8_t **out, size_t *length,
              struct jini_error *error)
{
    struct stat info;
    bool standard = strcmp(path, "-") == 0;
    int descriptor = STDIN_FILENO;
    int status = 0;
    *out = NULL;
    *length = 0;
    if (!standard)
        status = open_file(path, &descriptor, &info, error);
    else if (fstat(descriptor, &info) != 0)
        status = file_error_errno(error, errno, path, "cannot be read");
    else if (S_ISDIR(info.st_mode))
        status = file_error(error, JINI_E_INVALID, path, "it is a folder");
    if (status)
        return status;
    if (S_ISREG(info.st_mode) && (uint64_t)info.st_size > bytes_max)
        status = too_big(path, bytes_max, error);
    size_t expected = S_ISREG(info.st_mode) ? (size_t)info.st_size : READ_FIRST;
    if (status == 0)
        status = read_all(descriptor, path, bytes_max, expected, out, length, error);
    if (!standard)
        close(descriptor);
    return status;
}

int file_check_target(const char *path, struct jini_error *error)
{
    return guard_holds(path) ? of_database(path, error) : 0;
}

/* ---- Listing ---- */

static int no_memory(const char *path, struct jini_error *error)
{
    return file_error(error, JINI_E_NO_MEMORY, path, "out of memory");
}

/* Adds an entry; `failure`, or NULL, is copied. */
static int append(struct file_list *list, const char *path, const struct jini_error *failure,
                  struct jini_error *error)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        struct file_entry *grown = realloc(list->entries, capacity * sizeof(*grown));
        if (!grown)
            return no_memory(path, error);
        list->entries = grown;
        list->capacity = capacity;
    }
    struct file_entry entry = {.path = strdup(path)};
    if (entry.path && failure)
        entry.failure = malloc(sizeof(*entry.failure));
    if (!entry.path || (failure && !entry.failure)) {
        free(entry.path);
        return no_memory(path, error);
    }
    if (failure)
        *entry.failure = *failure;
    list->entries[list->count++] = entry;
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

/* What a walk meets. */
static int add_entry(struct file_list *list, const char *path, enum file_depth depth, int level,
                     struct jini_error *error)
{
    struct stat target;
    struct stat link;
    if (lstat(path, &link) != 0 || stat(path, &target) != 0)
        return append(list, path, NULL, error); /* why it cannot be read is said when it is read */
    bool followed = S_ISREG(target.st_mode) || depth == FILE_RECURSIVE;
    if (followed && (guard_is_directory(&target) || guard_is_file(&target))) {
        output_note("passed over %s: it belongs to the database itself", path);
        return 0;
    }
    if (S_ISDIR(link.st_mode) && depth == FILE_RECURSIVE)
        return add_folder(list, path, depth, level + 1, error);
    if (S_ISREG(target.st_mode))
        return append(list, path, NULL, error);
    if (!S_ISDIR(target.st_mode))
        output_note("passed over %s: it is a pipe, a socket or a device", path);
    return 0;
}

static int add_entries(struct file_list *list, const char *folder, struct dirent **entries,
                       int count, enum file_depth depth, int level, struct jini_error *error)
{
    int status = 0;
    size_t length = strlen(folder);
    const char *slash = length > 0 && folder[length - 1] == '/' ? "" : "/";
    for (int i = 0; status == 0 && i < count; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s%s%s", folder, slash, entries[i]->d_name) < 0)
            return no_memory(folder, error);
        status = add_entry(list, path, depth, level, error);
        free(path);
    }
    return status;
}

static int add_folder(struct file_list *list, const char *folder, enum file_depth depth, int level,
                      struct jini_error *error)
{
    struct dirent **entries = NULL;
    struct jini_error failure;
    if (level > DEPTH_MAX) {
        file_error(&failure, JINI_E_TOO_BIG, folder, "folders are nested deeper than %d levels",
                   DEPTH_MAX);
        return append(list, folder, &failure, error);
    }
    int count = scandir(folder, &entries, is_visible, by_name);
    if (count < 0) {
        file_error_errno(&failure, errno, folder, "cannot be listed");
        return append(list, folder, &failure, error);
    }
    int status = add_entries(list, folder, entries, count, depth, level, error);
    for (int i = 0; i < count; i++)
        free(entries[i]);
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
    struct jini_error failure;
    if (strcmp(path, "-") == 0 || !file_is_folder(path))
        return append(list, path, NULL, error);
    if (!guard_holds(path))
        return add_folder(list, path, depth, 0, error);
    of_database(path, &failure);
    return append(list, path, &failure, error);
}

void file_list_free(struct file_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->entries[i].path);
        free(list->entries[i].failure);
    }
    free(list->entries);
    memset(list, 0, sizeof(*list));
}
