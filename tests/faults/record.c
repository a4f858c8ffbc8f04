/* The recorder: from calls to records, and the state of a folder when a recording begins. */
#include "record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOG_DESCRIPTOR_MIN = 300, COPY_BYTES = 1 << 16, LINKED_MAX = 256 };

static int log_fd = -1;
static uint32_t log_recording;

/* The log's descriptor, high up so that programs which count theirs see no difference. */
static int open_log(struct fault_block *block)
{
    if (log_fd >= 0 && log_recording == block->recordings && fcntl(log_fd, F_GETFD) >= 0)
        return log_fd;
    int fd = open(block->log, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        fault_give_up("cannot open", block->log);
    if (log_fd >= 0)
        close(log_fd);
    log_fd = fcntl(fd, F_DUPFD_CLOEXEC, LOG_DESCRIPTOR_MIN);
    if (log_fd < 0)
        fault_give_up("cannot keep", block->log);
    close(fd);
    log_recording = block->recordings;
    return log_fd;
}

static void append_all(int fd, const void *data, size_t length)
{
    const char *from = data;
    while (length > 0) {
        ssize_t written = write(fd, from, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            fault_give_up("cannot write", "the log");
        from += written;
        length -= (size_t)written;
    }
}

/* Writes a record; `parts` hold its data, which may be longer than data_length. */
static void append(struct fault_record record, const char *name, const char *other_name,
                   const struct iovec *parts, int count)
{
    struct fault_block *block = fault_block();
    int fd = open_log(block);
    record.magic = FAULT_RECORD_MAGIC;
    record.process = (uint32_t)getpid();
    record.name_length = (uint32_t)strlen(name);
    record.other_name_length = (uint32_t)strlen(other_name);
    append_all(fd, &record, sizeof(record));
    append_all(fd, name, record.name_length);
    append_all(fd, other_name, record.other_name_length);
    uint64_t left = record.data_length;
    for (int i = 0; i < count && left > 0; i++) {
        size_t length = parts[i].iov_len < left ? parts[i].iov_len : (size_t)left;
        append_all(fd, parts[i].iov_base, length);
        left -= length;
    }
    block->log_length +=
        sizeof(record) + record.name_length + record.other_name_length + record.data_length;
}

bool record_begin(void)
{
    struct fault_block *block = fault_block();
    if (!block || !atomic_load_explicit(&block->recording, memory_order_acquire))
        return false;
    fault_inside = true;
    fault_lock();
    if (atomic_load(&block->recording))
        return true;
    fault_unlock();
    fault_inside = false;
    return false;
}

void record_end(void)
{
    int saved_errno = errno;
    fault_unlock();
    fault_inside = false;
    errno = saved_errno;
}

static bool is_recorded(const struct stat *info)
{
    return info->st_dev == fault_block()->device &&
           (S_ISREG(info->st_mode) || S_ISDIR(info->st_mode));
}

bool record_inode(int fd, struct stat *info)
{
    return fstat(fd, info) == 0 && is_recorded(info);
}

struct record_place record_place_of(int directory, const char *path)
{
    struct record_place place = {0};
    char parent[FAULT_PATH_MAX];
    struct stat info;
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    if (end - begin >= sizeof(place.name) || begin + 2 > sizeof(parent))
        return place;
    memcpy(place.name, path + begin, end - begin);
    memcpy(parent, path, begin);
    memcpy(parent + begin, ".", 2);
    if (fstatat(directory, parent, &info, 0) == 0 && is_recorded(&info))
        place.parent = info.st_ino;
    return place;
}

static void write_record(uint64_t inode, const struct iovec *parts, int count, uint64_t offset,
                         uint64_t length, uint16_t flags)
{
    append((struct fault_record){.kind = RECORD_WRITE,
                                 .flags = flags,
                                 .inode = inode,
                                 .offset = offset,
                                 .data_length = length},
           "", "", parts, count);
}

void record_write(uint64_t inode, const struct iovec *parts, int count, uint64_t offset,
                  uint64_t length, bool durable)
{
    write_record(inode, parts, count, offset, length, durable ? RECORD_FLAG_DURABLE : 0);
}

void record_size(const struct stat *info)
{
    if (is_recorded(info))
        append((struct fault_record){.kind = RECORD_SIZE,
                                     .inode = info->st_ino,
                                     .offset = (uint64_t)info->st_size},
               "", "", NULL, 0);
}

void record_zero(int fd, uint64_t offset, uint64_t length)
{
    struct stat info;
    if (record_inode(fd, &info))
        append(
            (struct fault_record){
                .kind = RECORD_ZERO, .inode = info.st_ino, .offset = offset, .length = length},
            "", "", NULL, 0);
}

void record_sync(int fd)
{
    struct fault_block *block = fault_block();
    struct stat info;
    if (!record_inode(fd, &info))
        return;
    for (uint32_t i = 0; i < block->mapped_count; i++) {
        /*
         * Stores through the mapping are synced with the file, and are seen nowhere else. A folder
         * may have the number of a file that was mapped and is gone.
         */
        if (block->mapped[i] == info.st_ino && S_ISREG(info.st_mode)) {
            record_contents(fd, 0, (uint64_t)info.st_size);
            record_size(&info);
            break;
        }
    }
    append((struct fault_record){.kind = RECORD_SYNC, .inode = info.st_ino}, "", "", NULL, 0);
}

void record_sync_all(void)
{
    append((struct fault_record){.kind = RECORD_SYNC_ALL}, "", "", NULL, 0);
}

void record_map(uint64_t inode)
{
    struct fault_block *block = fault_block();
    for (uint32_t i = 0; i < block->mapped_count; i++) {
        if (block->mapped[i] == inode)
            return;
    }
    errno = ENOSPC;
    if (block->mapped_count == FAULT_MAPPED_MAX)
        fault_give_up("too many", "mapped files");
    block->mapped[block->mapped_count++] = inode;
}

void record_new_file(const struct stat *info)
{
    if (is_recorded(info))
        append((struct fault_record){.kind = S_ISDIR(info->st_mode) ? RECORD_DIRECTORY_NEW
                                                                    : RECORD_FILE_NEW,
                                     .inode = info->st_ino,
                                     .mode = info->st_mode & 07777},
               "", "", NULL, 0);
}

void record_new_entry(const struct record_place *place, const struct stat *info, bool is_new)
{
    if (!place->parent || !is_recorded(info))
        return;
    if (is_new)
        record_new_file(info);
    append(
        (struct fault_record){.kind = RECORD_ENTRY, .parent = place->parent, .inode = info->st_ino},
        place->name, "", NULL, 0);
}

void record_remove(const struct record_place *place)
{
    if (place->parent)
        append((struct fault_record){.kind = RECORD_REMOVE, .parent = place->parent}, place->name,
               "", NULL, 0);
}

void record_rename(const struct record_place *from, const struct record_place *to, bool exchange)
{
    if (from->parent || to->parent)
        append((struct fault_record){.kind = exchange ? RECORD_EXCHANGE : RECORD_RENAME,
                                     .parent = from->parent,
                                     .other_parent = to->parent},
               from->name, to->name, NULL, 0);
}

void record_contents(int fd, uint64_t offset, uint64_t length)
{
    static char bytes[COPY_BYTES]; /* of whoever has the lock: each thread would pay for its own */
    struct stat info;
    int reader = fd;
    if (!record_inode(fd, &info))
        return;
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY) {
        /* Only then: closing any descriptor of a file drops the process's POSIX locks on it. */
        char path[64];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        reader = open(path, O_RDONLY | O_CLOEXEC);
    }
    for (uint64_t end = offset + length; offset < end;) {
        uint64_t left = end - offset;
        size_t piece = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);
        ssize_t taken = pread(reader, bytes, piece, (off_t)offset);
        if (taken < 0)
            fault_give_up("cannot read back", "a file");
        if (taken == 0)
            break;
        const struct iovec part = {bytes, (size_t)taken};
        record_write(info.st_ino, &part, 1, offset, (uint64_t)taken, false);
        offset += (uint64_t)taken;
    }
    if (reader != fd)
        close(reader);
}

/* Files of several names that a beginning recording has met; each is recorded once. */
static uint64_t linked[LINKED_MAX];
static size_t linked_count;

static bool was_met(const struct stat *info)
{
    if (!S_ISREG(info->st_mode) || info->st_nlink < 2)
        return false;
    for (size_t i = 0; i < linked_count; i++) {
        if (linked[i] == info->st_ino)
            return true;
    }
    errno = EMLINK;
    if (linked_count == LINKED_MAX)
        fault_give_up("cannot begin to record", "so many files of several names");
    linked[linked_count++] = info->st_ino;
    return false;
}

/* Records what stands in a directory: its names, and below them their files and directories. */
static void record_tree(int directory, const char *path)
{
    struct stat parent;
    DIR *stream = fdopendir(directory);
    if (!stream || fstat(directory, &parent) != 0)
        fault_give_up("cannot read", path);
    struct dirent *entry;
    while ((entry = readdir(stream))) {
        struct record_place place = {.parent = parent.st_ino};
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(place.name, sizeof(place.name), "%s", entry->d_name);
        if (fstatat(directory, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            fault_give_up("cannot look at", entry->d_name);
        if (!is_recorded(&info))
            continue;
        bool met = was_met(&info);
        record_new_entry(&place, &info, !met);
        if (met)
            continue;
        int fd = openat(directory, entry->d_name, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            fault_give_up("cannot open", entry->d_name);
        if (S_ISDIR(info.st_mode)) {
            record_tree(fd, entry->d_name);
            continue;
        }
        record_contents(fd, 0, (uint64_t)info.st_size);
        record_size(&info);
        close(fd);
    }
    closedir(stream);
}

void fault_record_start(const char *root, const char *log)
{
    struct fault_block *block = fault_block();
    struct stat info;
    char whole[FAULT_PATH_MAX];
    errno = ENOTCONN;
    if (!block)
        fault_give_up("fault_attach() comes before", "fault_record_start()");
    fault_inside = true;
    fault_lock();
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || !realpath(log, whole))
        fault_give_up("cannot make", log);
    close(fd);
    snprintf(block->log, sizeof(block->log), "%s", whole);
    block->log_length = 0;
    block->mapped_count = 0;
    linked_count = 0;
    block->recordings++;
    int directory = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0 || fstat(directory, &info) != 0)
        fault_give_up("cannot open", root);
    block->device = info.st_dev;
    append((struct fault_record){.kind = RECORD_ROOT, .inode = info.st_ino}, "", "", NULL, 0);
    record_tree(directory, root);
    record_sync_all();
    atomic_store_explicit(&block->recording, 1, memory_order_release);
    fault_unlock();
    fault_inside = false;
}

void fault_record_stop(void)
{
    if (!record_begin())
        return;
    atomic_store_explicit(&fault_block()->recording, 0, memory_order_release);
    record_end();
}

static bool is_mapped_here(uint64_t inode)
{
    const struct fault_block *block = fault_block();
    for (uint32_t i = 0; i < block->mapped_count; i++) {
        if (block->mapped[i] == inode)
            return true;
    }
    return false;
}

/*
 * Records what the shared mapping on a line of /proc/self/maps holds. From memory, not from the
 * file: closing any descriptor of a file drops the process's POSIX locks on it.
 */
static void record_mapping(const char *line)
{
    unsigned long begin;
    unsigned long end;
    unsigned long long offset;
    char rights[5];
    int path_at = 0;
    struct stat info;
    char path[FAULT_PATH_MAX];
    if (sscanf(line, "%lx-%lx %4s %llx %*s %*s %n", &begin, &end, rights, &offset, &path_at) < 4 ||
        strcmp(rights, "rw-s") != 0 || path_at == 0)
        return;
    snprintf(path, sizeof(path), "%.*s", (int)strcspn(line + path_at, "\n"), line + path_at);
    if (stat(path, &info) != 0 || !is_recorded(&info) || !is_mapped_here(info.st_ino) ||
        (uint64_t)info.st_size <= offset)
        return;
    uint64_t left = (uint64_t)info.st_size - offset;
    const struct iovec part = {(void *)begin, end - begin < left ? end - begin : (size_t)left};
    write_record(info.st_ino, &part, 1, offset, part.iov_len, RECORD_FLAG_MAPPED);
}

static void record_mappings(void)
{
    char line[FAULT_PATH_MAX + 256];
    if (fault_block()->mapped_count == 0)
        return;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps)
        fault_give_up("cannot read", "/proc/self/maps");
    while (fgets(line, sizeof(line), maps))
        record_mapping(line);
    fclose(maps);
}

void fault_mark(const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (!record_begin())
        return;
    record_mappings();
    append((struct fault_record){.kind = RECORD_MARK}, text, "", NULL, 0);
    record_end();
}
