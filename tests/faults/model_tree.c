/* Directories: their durable names, the changes since, and what a loss may leave of both. */
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct object *model_tree_find(const struct tree *tree, uint64_t inode)
{
    struct object *object = tree->buckets[inode % TREE_BUCKETS];
    while (object && object->inode != inode)
        object = object->next;
    return object;
}

struct object *model_tree_add(struct tree *tree, uint64_t inode, uint64_t key, bool is_directory)
{
    struct object *object = calloc(1, sizeof(*object));
    if (!object)
        model_give_up("no memory for", "an object");
    struct object **bucket = &tree->buckets[inode % TREE_BUCKETS];
    *object = (struct object){
        .next = *bucket, .inode = inode, .key = key, .mode = 0700, .is_directory = is_directory};
    *bucket = object;
    return object;
}

void model_tree_free(struct tree *tree)
{
    for (size_t i = 0; i < TREE_BUCKETS; i++) {
        while (tree->buckets[i]) {
            struct object *object = tree->buckets[i];
            tree->buckets[i] = object->next;
            model_file_free(&object->file);
            free(object->entries);
            free(object);
        }
    }
    free(tree->operations);
}

static struct name_operation *add_operation(struct tree *tree, uint64_t sequence,
                                            struct object *directory, const char *name)
{
    tree->operations = model_grow(tree->operations, &tree->operation_capacity,
                                  tree->operation_count + 1, sizeof(tree->operations[0]));
    struct name_operation *operation = &tree->operations[tree->operation_count++];
    *operation = (struct name_operation){.sequence = sequence, .directory = directory};
    snprintf(operation->name, sizeof(operation->name), "%s", name);
    return operation;
}

void model_tree_name(struct tree *tree, uint64_t sequence, struct object *directory,
                     const char *name, struct object *object)
{
    add_operation(tree, sequence, directory, name)->object = object;
}

/* What a name stands for when every operation has happened. */
static struct object *object_now(const struct tree *tree, const struct object *directory,
                                 const char *name)
{
    for (size_t i = tree->operation_count; i > 0; i--) {
        const struct name_operation *operation = &tree->operations[i - 1];
        if (operation->directory == directory && strcmp(operation->name, name) == 0)
            return operation->object;
    }
    for (size_t i = 0; i < directory->entry_count; i++) {
        if (strcmp(directory->entries[i].name, name) == 0)
            return directory->entries[i].object;
    }
    return NULL;
}

void model_tree_rename(struct tree *tree, uint64_t sequence, struct object *from, const char *name,
                       struct object *to, const char *new_name, bool exchange)
{
    struct object *moved = from ? object_now(tree, from, name) : NULL;
    struct object *other = to ? object_now(tree, to, new_name) : NULL;
    errno = ENOENT;
    if (to && !moved)
        model_give_up("nothing is known of what was renamed to", new_name);
    if (moved == other)
        return; /* two names of one file: rename() does nothing */
    if (to)
        model_tree_name(tree, sequence, to, new_name, moved);
    if (to && exchange)
        tree->operations[tree->operation_count - 1].renames_away = true;
    if (from) {
        struct name_operation *away = add_operation(tree, sequence, from, name);
        away->object = exchange ? other : NULL;
        away->renames_away = true;
    }
}

static void set_entry(struct object *directory, const char *name, struct object *object)
{
    size_t i = 0;
    while (i < directory->entry_count && strcmp(directory->entries[i].name, name) != 0)
        i++;
    if (object) {
        directory->entries = model_grow(directory->entries, &directory->entry_capacity, i + 1,
                                        sizeof(directory->entries[0]));
        snprintf(directory->entries[i].name, sizeof(directory->entries[i].name), "%s", name);
        directory->entries[i].object = object;
        directory->entry_count += i == directory->entry_count;
    } else if (i < directory->entry_count) {
        directory->entries[i] = directory->entries[--directory->entry_count];
    }
}

/* NULL: the names of all directories. */
void model_tree_sync_names(struct tree *tree, const struct object *directory)
{
    size_t kept = 0;
    for (size_t i = 0; i < tree->operation_count; i++) {
        const struct name_operation *operation = &tree->operations[i];
        if (!directory || operation->directory == directory)
            set_entry(operation->directory, operation->name, operation->object);
        else
            tree->operations[kept++] = *operation;
    }
    tree->operation_count = kept;
}

void model_tree_sync_all(struct tree *tree)
{
    model_tree_sync_names(tree, NULL);
    for (size_t i = 0; i < TREE_BUCKETS; i++) {
        for (struct object *object = tree->buckets[i]; object; object = object->next)
            model_file_sync(&object->file);
    }
}

static uint64_t name_key(const struct name_operation *operation)
{
    uint64_t key = operation->directory->key;
    for (const char *c = operation->name; *c; c++)
        key = key * 31 + (uint8_t)*c;
    return key;
}

static bool same_name(const struct name_operation *a, const struct name_operation *b)
{
    return a->directory == b->directory && strcmp(a->name, b->name) == 0;
}

/* Lets this operation and all earlier ones on the same name have happened. */
static bool apply_up_to(struct tree *tree, size_t index)
{
    bool changed = false;
    for (size_t i = 0; i <= index; i++) {
        struct name_operation *operation = &tree->operations[i];
        if (!operation->applied && same_name(operation, &tree->operations[index])) {
            operation->applied = true;
            changed = true;
        }
    }
    return changed;
}

/* A rename that took the old name away has given the new one: true when that changed anything. */
static bool couple_renames(struct tree *tree)
{
    bool changed = false;
    for (size_t i = 0; i < tree->operation_count; i++) {
        const struct name_operation *away = &tree->operations[i];
        if (!away->renames_away || !away->applied)
            continue;
        for (size_t j = 0; j < tree->operation_count; j++) {
            if (j != i && tree->operations[j].sequence == away->sequence)
                changed |= apply_up_to(tree, j);
        }
    }
    return changed;
}

/* Chooses for every name how many of its changes have happened. */
static void choose_names(struct tree *tree, const struct chooser *chooser)
{
    for (size_t i = 0; i < tree->operation_count; i++)
        tree->operations[i].applied = false;
    for (size_t i = 0; i < tree->operation_count; i++) {
        uint64_t key = name_key(&tree->operations[i]);
        /*
         * With whole files as the grain all names share one moment, as a journal would give them.
         */
        size_t taken =
            model_choose(chooser, chooser->grain_bytes ? key : 0, 1, tree->operation_count);
        tree->operations[i].applied = i < taken;
    }
    while (couple_renames(tree))
        continue;
}

static void build_object(const struct tree *tree, const struct chooser *chooser,
                         struct object *object, const char *path);

static void build_entry(const struct tree *tree, const struct chooser *chooser, const char *folder,
                        const struct entry *entry)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/%s", folder, entry->name);
    errno = ENAMETOOLONG;
    if (length >= (int)sizeof(path))
        model_give_up("cannot make", entry->name);
    if (entry->object->built) {
        /* A directory has one place, whatever half of a rename there is. */
        if (!entry->object->is_directory && link(entry->object->built, path) != 0)
            model_give_up("cannot link", path);
        return;
    }
    build_object(tree, chooser, entry->object, path);
}

static void build_directory(const struct tree *tree, const struct chooser *chooser,
                            const struct object *directory, const char *path)
{
    struct object names = {.is_directory = true};
    for (size_t i = 0; i < directory->entry_count; i++)
        set_entry(&names, directory->entries[i].name, directory->entries[i].object);
    for (size_t i = 0; i < tree->operation_count; i++) {
        const struct name_operation *operation = &tree->operations[i];
        if (operation->applied && operation->directory == directory)
            set_entry(&names, operation->name, operation->object);
    }
    if (mkdir(path, 0700) != 0)
        model_give_up("cannot make", path);
    for (size_t i = 0; i < names.entry_count; i++)
        build_entry(tree, chooser, path, &names.entries[i]);
    free(names.entries);
}

static void build_object(const struct tree *tree, const struct chooser *chooser,
                         struct object *object, const char *path)
{
    object->built = strdup(path);
    if (!object->built)
        model_give_up("no memory for", path);
    if (object->is_directory) {
        build_directory(tree, chooser, object, path);
        return;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, object->mode | 0600);
    if (fd < 0)
        model_give_up("cannot make", path);
    model_file_build(&object->file, chooser, object->key, fd);
    close(fd);
}

void model_tree_build(struct tree *tree, const struct chooser *chooser, const char *target)
{
    choose_names(tree, chooser);
    build_object(tree, chooser, tree->root, target);
    for (size_t i = 0; i < TREE_BUCKETS; i++) {
        for (struct object *object = tree->buckets[i]; object; object = object->next) {
            free(object->built);
            object->built = NULL;
        }
    }
}
