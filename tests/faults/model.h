/*
 * Files and directories as a disk holds them: what is durable, and what has been asked for since.
 */
#ifndef FAULTS_MODEL_H
#define FAULTS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SECTOR_BYTES = 512 };

void *model_grow(void *items, size_t *capacity, size_t count, size_t item_bytes);
void model_give_up(const char *what, const char *path) __attribute__((noreturn));

/*
 * How an image is chosen. Values are drawn by key, so that they do not depend on the order of
 * drawing.
 */
struct chooser {
    uint64_t seed;
    uint32_t grain_bytes; /* of one choice within a file; 0: the whole file */
    uint32_t nothing;     /* of 16 choices, so many take nothing more than what is durable, */
    uint32_t everything;  /* and so many take all; the others any number between */
};
struct chooser model_chooser(uint64_t seed);

/* How many of the first `count` operations have happened. `key` and `index` name the choice. */
size_t model_choose(const struct chooser *chooser, uint64_t key, uint64_t index, size_t count);

/* One operation on a file that is not durable as a whole. */
struct file_operation {
    uint64_t offset;
    uint64_t length;     /* of bytes that are written, or zeroed when `data` is NULL */
    const uint8_t *data; /* in the log */
    uint64_t size_after;
    bool durable; /* its own range is synced */
};

struct model_file {
    uint8_t *bytes; /* durable; what lies between `length` and `size` is zeros */
    size_t length;
    size_t capacity;
    uint64_t size;     /* durable */
    uint64_t size_now; /* after all operations */
    struct file_operation *operations;
    size_t operation_count;
    size_t operation_capacity;
};

void model_file_write(struct model_file *file, uint64_t offset, const uint8_t *data,
                      uint64_t length, bool durable);
void model_file_zero(struct model_file *file, uint64_t offset, uint64_t length);
void model_file_resize(struct model_file *file, uint64_t size);
void model_file_sync(struct model_file *file);
void model_file_free(struct model_file *file);

/* Writes the file as a loss may leave it to a new descriptor. `key` names the file. */
void model_file_build(const struct model_file *file, const struct chooser *chooser, uint64_t key,
                      int fd);

/* A file or a directory. */
struct object {
    struct object *next; /* in its bucket */
    uint64_t inode;
    uint64_t key; /* the number of the record that made it: unlike inodes, never used again */
    uint32_t mode;
    bool is_directory;
    struct model_file file;
    struct entry *entries; /* durable names of a directory */
    size_t entry_count;
    size_t entry_capacity;
    char *built; /* the path of this object in the image at work, or NULL */
};

struct entry {
    char name[256];
    struct object *object;
};

/* One change of one name that is not durable. A rename is two. */
struct name_operation {
    uint64_t sequence; /* the number of the record */
    struct object *directory;
    char name[256];
    struct object *object; /* NULL: the name is gone */
    bool renames_away;     /* holds only when the other half of its rename does */
    bool applied;          /* in the image at work */
};

enum { TREE_BUCKETS = 1024 };

struct tree {
    struct object *buckets[TREE_BUCKETS]; /* the newest object of an inode comes first */
    struct object *root;
    struct name_operation *operations; /* in order */
    size_t operation_count;
    size_t operation_capacity;
};

struct object *model_tree_find(const struct tree *tree, uint64_t inode);
struct object *model_tree_add(struct tree *tree, uint64_t inode, uint64_t key, bool is_directory);
void model_tree_name(struct tree *tree, uint64_t sequence, struct object *directory,
                     const char *name, struct object *object);
void model_tree_rename(struct tree *tree, uint64_t sequence, struct object *from, const char *name,
                       struct object *to, const char *new_name, bool exchange);
void model_tree_sync_names(struct tree *tree, const struct object *directory);
void model_tree_sync_all(struct tree *tree);
void model_tree_free(struct tree *tree);

/* Writes the tree as a loss may leave it below `target`, which must not exist. */
void model_tree_build(struct tree *tree, const struct chooser *chooser, const char *target);

#endif
