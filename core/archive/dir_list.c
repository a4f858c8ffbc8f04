/*
 * Listing objects of the directory driver in the order of their names' bytes.
 *
 * A directory's entries come in any order, and there may be more of them than memory. So a
 * directory is read whole, and the first ENTRIES_KEPT names after the cursor are kept; what is kept
 * is sorted, handed out, directories being entered on the way, and if more is wanted the directory
 * is read again from there. A page costs one reading of each directory that it touches and of those
 * above, and bounded memory.
 *
 * "a/b" comes after "a-b" and before "a0", so a directory is sorted as its name with '/' behind it.
 */
#include "archive/dir.h"

#include "base/alloc.h"
#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENTRIES_KEPT = 512, ENTRIES_READ = 2 * ENTRIES_KEPT, ENTRIES_FIRST = 32, CHECK_EVERY = 256 };

/* An entry of a directory: its name, with '/' behind that of a directory. */
struct entry {
    uint16_t length;
    char name[ARCHIVE_SEGMENT_MAX + 1];
};

static struct slice entry_name(const struct entry *entry)
{
    return slice_of(entry->name, entry->length);
}

static bool entry_is_directory(const struct entry *entry)
{
    return entry->name[entry->length - 1] == '/';
}

static int compare_entries(const void *a, const void *b)
{
    return slice_compare(entry_name(a), entry_name(b));
}

/* The entries of one directory that come next. */
struct batch {
    struct entry *entries;
    size_t count;
    size_t capacity;
    bool dropped;      /* there are more behind the last one */
    struct entry last; /* of the batch before; length 0: none */
};

/* One directory on the way down. */
struct level {
    int fd;
    size_t path_length; /* of its name in `path` below, with '/' at its end; 0: the root */
    size_t next;        /* the entry to come to next */
    struct batch batch;
};

struct walk {
    struct dir *dir;
    struct archive_request *request;
    struct slice prefix;
    struct archive_name cursor; /* as it was when the request began */
    char path[ARCHIVE_NAME_MAX + ARCHIVE_SEGMENT_MAX + 2];
    unsigned depth; /* levels in use */
    struct level levels[ARCHIVE_SEGMENTS_MAX];
};

static int compare_with_prefix(struct slice name, struct slice prefix)
{
    size_t length = name.length < prefix.length ? name.length : prefix.length;
    return slice_compare(slice_of(name.data, length), slice_of(prefix.data, length));
}

/* Whether `name`, or for a directory something in it, is wanted. */
static bool is_wanted(const struct walk *walk, struct slice name, bool directory)
{
    struct slice cursor = archive_name_slice(&walk->cursor);
    if (!directory)
        return slice_has_prefix(name, walk->prefix) && slice_compare(name, cursor) > 0;
    if (compare_with_prefix(name, walk->prefix) != 0)
        return false;
    return slice_has_prefix(cursor, name) || slice_compare(name, cursor) > 0;
}

/* Keeps the first entries only. */
static void trim(struct batch *batch)
{
    qsort(batch->entries, batch->count, sizeof(batch->entries[0]), compare_entries);
    if (batch->count > ENTRIES_KEPT) {
        batch->count = ENTRIES_KEPT;
        batch->dropped = true;
    }
}

static int keep(struct batch *batch, const struct entry *entry)
{
    if (batch->dropped &&
        slice_compare(entry_name(entry), entry_name(&batch->entries[ENTRIES_KEPT - 1])) > 0)
        return 0;
    if (batch->count == batch->capacity) {
        size_t capacity = batch->capacity ? 2 * batch->capacity : ENTRIES_FIRST;
        struct entry *entries = base_realloc(batch->entries, capacity * sizeof(*entries));
        if (!entries)
            return JINI_E_NO_MEMORY;
        batch->entries = entries;
        batch->capacity = capacity;
    }
    batch->entries[batch->count++] = *entry;
    if (batch->count == ENTRIES_READ)
        trim(batch);
    return 0;
}

/* True for an entry that stands for an object or for a directory of objects. */
static bool classify(struct level *level, const struct dirent *found, struct entry *entry)
{
    size_t length = strlen(found->d_name);
    unsigned char type = found->d_type;
    struct stat info;
    if (length == 0 || length > ARCHIVE_SEGMENT_MAX || found->d_name[0] == '.')
        return false;
    if (type == DT_UNKNOWN && fstatat(level->fd, found->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0)
        type = S_ISDIR(info.st_mode) ? DT_DIR : S_ISREG(info.st_mode) ? DT_REG : DT_UNKNOWN;
    if (type != DT_REG && type != DT_DIR)
        return false;
    memcpy(entry->name, found->d_name, length);
    if (type == DT_DIR)
        entry->name[length++] = '/';
    entry->length = (uint16_t)length;
    return true;
}

/* Adds an entry to the batch of the directory, if it is wanted. */
static int consider(struct walk *walk, struct level *level, const struct dirent *found)
{
    struct entry entry;
    struct batch *batch = &level->batch;
    if (!classify(level, found, &entry))
        return 0;
    if (batch->last.length > 0 && slice_compare(entry_name(&entry), entry_name(&batch->last)) <= 0)
        return 0;
    memcpy(walk->path + level->path_length, entry.name, entry.length);
    struct slice name = slice_of(walk->path, level->path_length + entry.length);
    bool directory = entry_is_directory(&entry);
    if (!is_wanted(walk, name, directory))
        return 0;
    /* What somebody else put there under a name that no object can have is none; so is a tree too
     * deep. */
    if (directory ? archive_prefix_check(name, NULL) != 0 : archive_name_check(name, NULL) != 0)
        return 0;
    return keep(batch, &entry);
}

static int read_entries(struct walk *walk, struct level *level, DIR *stream)
{
    struct archive_request *request = walk->request;
    const struct dirent *found;
    int status = 0;
    unsigned seen = 0;
    for (errno = 0; (found = readdir(stream)) != NULL; errno = 0) {
        status = consider(walk, level, found);
        if (status == 0 && ++seen % CHECK_EVERY == 0)
            status = archive_interrupted(&walk->dir->archive, request);
        if (status != 0)
            return status;
    }
    return errno ? dir_failed(walk->dir, errno, request->name, "listing", &request->error) : 0;
}

/* Fills the level's batch with what comes after its `last`. */
static int fill_batch(struct walk *walk, struct level *level)
{
    struct batch *batch = &level->batch;
    batch->count = 0;
    batch->dropped = false;
    level->next = 0;
    int status = archive_interrupted(&walk->dir->archive, walk->request);
    if (status != 0)
        return status;
    int fd = openat(level->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (!stream) {
        int saved_errno = errno;
        if (fd >= 0)
            close(fd);
        return dir_failed(walk->dir, saved_errno, walk->request->name, "listing",
                          &walk->request->error);
    }
    status = read_entries(walk, level, stream);
    closedir(stream);
    if (status == 0 && batch->count > 0) {
        trim(batch);
        batch->last = batch->entries[batch->count - 1];
    }
    return status;
}

static void leave_level(struct walk *walk)
{
    struct level *level = &walk->levels[--walk->depth];
    close(level->fd);
    base_free(level->batch.entries);
    memset(level, 0, sizeof(*level));
}

/* Goes down into a directory whose name, with '/', is the first `path_length` bytes of the path. */
static int enter_level(struct walk *walk, int parent, const struct entry *entry, size_t path_length)
{
    JINI_ASSERT(walk->depth < ARCHIVE_SEGMENTS_MAX);
    struct level *level = &walk->levels[walk->depth];
    char name[ARCHIVE_SEGMENT_MAX + 1];
    memcpy(name, entry->name, entry->length);
    name[entry->length - 1] = '\0';
    memset(level, 0, sizeof(*level));
    level->path_length = path_length;
    level->fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (level->fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return 0; /* it went away */
    if (level->fd < 0)
        return dir_failed(walk->dir, errno, walk->request->name, "listing", &walk->request->error);
    walk->depth++;
    return fill_batch(walk, level);
}

static int give(struct walk *walk, const struct level *level, const struct entry *entry)
{
    struct archive_request *request = walk->request;
    struct stat info;
    char name[ARCHIVE_SEGMENT_MAX + 1];
    memcpy(name, entry->name, entry->length);
    name[entry->length] = '\0';
    if (fstatat(level->fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT
                   ? 0
                   : dir_failed(walk->dir, errno, request->name, "listing", &request->error);
    if (request->entries == request->list.entries_max) {
        request->more = true;
        return 0;
    }
    memcpy(walk->path + level->path_length, entry->name, entry->length);
    struct archive_entry object = {.name = slice_of(walk->path, level->path_length + entry->length),
                                   .size = (uint64_t)info.st_size,
                                   .modified_ms = (uint64_t)info.st_mtim.tv_sec * 1000 +
                                                  (uint64_t)info.st_mtim.tv_nsec / NS_PER_MS};
    return archive_give_entry(request, &object);
}

/* Handles the next entry of the lowest level, or leaves the level when there is none. */
static int step(struct walk *walk)
{
    struct level *level = &walk->levels[walk->depth - 1];
    if (level->next == level->batch.count) {
        if (level->batch.dropped)
            return fill_batch(walk, level);
        leave_level(walk);
        return 0;
    }
    const struct entry *entry = &level->batch.entries[level->next++];
    if (!entry_is_directory(entry))
        return give(walk, level, entry);
    size_t path_length = level->path_length + entry->length;
    memcpy(walk->path + level->path_length, entry->name, entry->length);
    return enter_level(walk, level->fd, entry, path_length);
}

int dir_list(struct dir *dir, struct archive_request *request)
{
    static const struct entry root = {.length = 2, .name = "./"};
    struct walk *walk = base_calloc(1, sizeof(*walk));
    if (!walk)
        return JINI_E_NO_MEMORY;
    walk->dir = dir;
    walk->request = request;
    walk->prefix = request->name;
    if (request->list.cursor)
        archive_name_set(&walk->cursor, archive_name_slice(request->list.cursor));
    int status = enter_level(walk, dir->root, &root, 0);
    while (status == 0 && walk->depth > 0 && !request->more)
        status = step(walk);
    while (walk->depth > 0)
        leave_level(walk);
    base_free(walk);
    return status;
}
