/* Reading a log, and playing it up to a cut. */
#include "powerloss.h"

#include "control.h"
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct powerloss {
    const uint8_t *log;
    size_t log_length;
    const uint8_t **records; /* where each begins */
    size_t count;
    size_t capacity;
    size_t first_cut;
    struct tree tree; /* after `played` records */
    size_t played;
};

static struct fault_record header_of(const uint8_t *at)
{
    struct fault_record record;
    memcpy(&record, at, sizeof(record));
    return record;
}

static const char *copy_name(const uint8_t *from, size_t length, char to[512])
{
    if (length > 511)
        length = 511;
    memcpy(to, from, length);
    to[length] = '\0';
    return to;
}

static uint64_t body_length(const struct fault_record *record)
{
    return (uint64_t)record->name_length + record->other_name_length + record->data_length;
}

static void index_records(struct powerloss *loss, const char *path)
{
    size_t at = 0;
    while (at < loss->log_length) {
        size_t left = loss->log_length - at;
        errno = EBADMSG;
        if (left < sizeof(struct fault_record))
            model_give_up("a cut record ends", path);
        struct fault_record record = header_of(loss->log + at);
        if (record.magic != FAULT_RECORD_MAGIC || body_length(&record) > left - sizeof(record))
            model_give_up("no whole record stands in", path);
        loss->records =
            model_grow(loss->records, &loss->capacity, loss->count + 1, sizeof(loss->records[0]));
        loss->records[loss->count++] = loss->log + at;
        if (record.kind == RECORD_SYNC_ALL && loss->first_cut == 0)
            loss->first_cut = loss->count;
        at += sizeof(record) + body_length(&record);
    }
    if (loss->first_cut == 0)
        model_give_up("no beginning stands in", path);
}

struct powerloss *powerloss_open(const char *path)
{
    struct stat info;
    struct powerloss *loss = calloc(1, sizeof(*loss));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (!loss || fd < 0 || fstat(fd, &info) != 0)
        model_give_up("cannot open", path);
    loss->log_length = (size_t)info.st_size;
    void *map = mmap(NULL, loss->log_length, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        model_give_up("cannot map", path);
    close(fd);
    loss->log = map;
    index_records(loss, path);
    return loss;
}

void powerloss_close(struct powerloss *loss)
{
    if (!loss)
        return;
    model_tree_free(&loss->tree);
    munmap((void *)loss->log, loss->log_length);
    free(loss->records);
    free(loss);
}

size_t powerloss_first_cut(const struct powerloss *loss)
{
    return loss->first_cut;
}

size_t powerloss_last_cut(const struct powerloss *loss)
{
    return loss->count;
}

const char *powerloss_mark(const struct powerloss *loss, size_t cut)
{
    static _Thread_local char text[512];
    if (cut == 0 || cut > loss->count)
        return NULL;
    const uint8_t *at = loss->records[cut - 1];
    struct fault_record record = header_of(at);
    if (record.kind != RECORD_MARK)
        return NULL;
    return copy_name(at + sizeof(record), record.name_length, text);
}

bool powerloss_is_event(const struct powerloss *loss, size_t cut)
{
    return cut == 0 || cut > loss->count ||
           !(header_of(loss->records[cut - 1]).flags & RECORD_FLAG_MAPPED);
}

bool powerloss_is_sync(const struct powerloss *loss, size_t cut)
{
    if (cut == 0 || cut > loss->count)
        return false;
    struct fault_record record = header_of(loss->records[cut - 1]);
    return record.kind == RECORD_SYNC || record.kind == RECORD_SYNC_ALL ||
           (record.flags & RECORD_FLAG_DURABLE);
}

bool powerloss_is_covered(const struct powerloss *loss, size_t cut)
{
    return cut < loss->count && !powerloss_is_sync(loss, cut + 1);
}

const char *powerloss_describe(const struct powerloss *loss, size_t cut)
{
    static const char *const kinds[] = {"",       "root",   "new file", "new directory", "entry",
                                        "remove", "rename", "exchange", "write",         "size",
                                        "zero",   "sync",   "sync all", "mark"};
    static _Thread_local char text[1200];
    char name[512];
    char other[512];
    if (cut == 0 || cut > loss->count)
        return "nothing";
    const uint8_t *at = loss->records[cut - 1];
    struct fault_record record = header_of(at);
    const uint8_t *names = at + sizeof(record);
    bool known = record.kind < sizeof(kinds) / sizeof(kinds[0]);
    bool durable = record.flags & RECORD_FLAG_DURABLE;
    snprintf(text, sizeof(text), "%zu: %s%s inode %llu, %llu bytes at %llu %s %s", cut,
             known ? kinds[record.kind] : "?", durable ? " (durable)" : "",
             (unsigned long long)record.inode, (unsigned long long)record.data_length,
             (unsigned long long)record.offset, copy_name(names, record.name_length, name),
             copy_name(names + record.name_length, record.other_name_length, other));
    return text;
}

static struct object *find_named(const struct tree *tree, uint64_t inode, const char *name)
{
    struct object *object = model_tree_find(tree, inode);
    errno = ENOENT;
    if (!object)
        model_give_up("nothing is known of what was linked to", name);
    return object;
}

/* Names come and go in directories that belong to the tree; others are passed over. */
static void play_name(struct powerloss *loss, const struct fault_record *record,
                      const uint8_t *names)
{
    struct tree *tree = &loss->tree;
    char name[512];
    char other[512];
    copy_name(names, record->name_length, name);
    copy_name(names + record->name_length, record->other_name_length, other);
    struct object *parent = model_tree_find(tree, record->parent);
    struct object *to = model_tree_find(tree, record->other_parent);
    if (record->kind == RECORD_RENAME || record->kind == RECORD_EXCHANGE)
        model_tree_rename(tree, loss->played, parent, name, to, other,
                          record->kind == RECORD_EXCHANGE);
    else if (parent && record->kind == RECORD_REMOVE)
        model_tree_name(tree, loss->played, parent, name, NULL);
    else if (parent)
        model_tree_name(tree, loss->played, parent, name, find_named(tree, record->inode, name));
}

static void play_sync(struct tree *tree, struct object *object)
{
    if (object->is_directory)
        model_tree_sync_names(tree, object);
    else
        model_file_sync(&object->file);
}

static void play(struct powerloss *loss)
{
    struct tree *tree = &loss->tree;
    const uint8_t *at = loss->records[loss->played];
    struct fault_record record = header_of(at);
    const uint8_t *names = at + sizeof(record);
    const uint8_t *data = names + record.name_length + record.other_name_length;
    struct object *object = model_tree_find(tree, record.inode);
    switch (record.kind) {
    case RECORD_ROOT:
        tree->root = model_tree_add(tree, record.inode, loss->played, true);
        break;
    case RECORD_FILE_NEW:
    case RECORD_DIRECTORY_NEW:
        object =
            model_tree_add(tree, record.inode, loss->played, record.kind == RECORD_DIRECTORY_NEW);
        object->mode = record.mode;
        break;
    case RECORD_WRITE:
        if (object)
            model_file_write(&object->file, record.offset, data, record.data_length,
                             record.flags & RECORD_FLAG_DURABLE);
        break;
    case RECORD_SIZE:
        if (object)
            model_file_resize(&object->file, record.offset);
        break;
    case RECORD_ZERO:
        if (object)
            model_file_zero(&object->file, record.offset, record.length);
        break;
    case RECORD_SYNC:
        if (object)
            play_sync(tree, object);
        break;
    case RECORD_SYNC_ALL:
        model_tree_sync_all(tree);
        break;
    case RECORD_MARK:
        break;
    default:
        play_name(loss, &record, names);
    }
    loss->played++;
}

static int remove_path(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

void powerloss_build(struct powerloss *loss, size_t cut, uint64_t seed, const char *target)
{
    errno = ERANGE;
    if (cut < loss->first_cut || cut > loss->count)
        model_give_up("no such cut of", "the log");
    if (cut < loss->played) {
        model_tree_free(&loss->tree);
        memset(&loss->tree, 0, sizeof(loss->tree));
        loss->played = 0;
    }
    while (loss->played < cut)
        play(loss);
    if (nftw(target, remove_path, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        model_give_up("cannot empty", target);
    struct chooser chooser = model_chooser(seed);
    model_tree_build(&loss->tree, &chooser, target);
}
