/*
 * The directory driver, "dir:PATH": objects as files below one directory.
 *
 *     dir:///srv/archive, dir:/srv/archive    an absolute path
 *     dir:archive, dir:./archive              relative to the working directory when it is opened
 *
 * Format of the directory:
 *
 *     PATH/.jini-archive         the 15 bytes "jini-archive 1\n"; 1 is the version of the format
 *     PATH/.tmp/<32 hex digits>  an object that is being written
 *     PATH/a/b/c                 the object "a/b/c": its bytes and nothing else
 *
 * The writer of a temporary holds an exclusive flock() on it; one that nobody has locked is left
 * over from a crash and means nothing. A forked child inherits the lock: until it is gone too, what
 * its dead parent left there keeps its room, and nothing else waits for it.
 *
 * Any tool may copy the directory while it is in use. The whole directory lies on one file system.
 * Several processes may have it open at once, also of several machines where the file system
 * carries flock() between them; the age that a temporary must have before it is collected guards
 * where it does not.
 *
 * Invariants:
 *
 * 1. A file gets its final name only by renaming or linking that fails where the name exists, and
 *    only after fdatasync() of the file.
 * 2. An answer that says "durable" (PUT: 0 and JINI_E_EXISTS; DELETE: 0) is given only after
 *    fsync() of the directory that holds the name, and, once for each directory and process, of
 *    all directories above it.
 * 3. Paths are walked segment by segment from the root's descriptor and never through a symbolic
 *    link, so no name leads out of the root, whatever somebody puts below it.
 * 4. Directories are made and never removed, so a walk that has begun cannot lose its ground.
 * 5. After a failed fsync() of a directory the kernel may call a later one good although nothing
 *    was written: PUT and DELETE then answer JINI_E_POISONED until the archive is opened anew.
 * 6. What is open is what the path names: when the root was renamed, or something else mounted
 *    there or put in its place, every request answers JINI_E_POISONED.
 *
 * Of this header, other files of the driver use what follows; nothing else does.
 */
#ifndef ARCHIVE_DIR_H
#define ARCHIVE_DIR_H

#include "archive/pool.h"

#define DIR_MARKER      ".jini-archive"
#define DIR_MARKER_TEXT "jini-archive 1\n"
#define DIR_TEMPORARIES ".tmp"

enum {
    DIR_MODE = 0750,
    DIR_FILE_MODE = 0640,
    DIR_SETTLED = 256,      /* directories remembered as durable up to the root */
    DIR_COLLECT_MAX = 1024, /* temporaries looked at when the archive is opened */
    DIR_SHOWN_BYTES = 160,  /* of a path or a name in a message, so that its end is not cut off */
    DIR_TEMPORARY_NAME_BYTES = 33 /* 32 hexadecimal digits and NUL */
};

struct dir {
    struct archive archive;
    struct pool pool;
    char *path;                      /* of the root, from "/" */
    char shown[DIR_SHOWN_BYTES + 1]; /* the same as it was given, cut for messages */
    int root;
    _Atomic bool poisoned;
    pthread_mutex_t settled_lock;
    struct hash128 settled[DIR_SETTLED]; /* hashes of directories' names, by their first byte */
};

/* Where an object stands or would stand: an open directory and a file name in it. */
struct dir_place {
    int fd;
    bool made; /* some directory on the way is new */
    char leaf[ARCHIVE_SEGMENT_MAX + 1];
};

enum dir_walk { DIR_WALK_EXISTING, DIR_WALK_MAKE };

/*
 * Opens the directory of an object; the caller closes `out->fd`, which is -1 after a failure.
 * JINI_E_NOT_FOUND: there is no such directory (EXISTING). JINI_E_CONFLICT: a segment is an object
 * (MAKE).
 */
int dir_walk(struct dir *dir, struct slice name, enum dir_walk how, struct dir_place *out,
             struct jini_error *error);

/*
 * Makes what happened to a name in `place` durable: its directory, and those above unless this
 * process has seen to them before. A failed sync poisons the driver.
 */
int dir_settle(struct dir *dir, struct slice name, const struct dir_place *place,
               struct jini_error *error);

/* JINI_E_POISONED after a failed sync of a directory. */
int dir_check_poisoned(struct dir *dir, struct jini_error *error);

/* Writes all of `bytes` at `offset`; returns an errno. */
int dir_write(int fd, struct slice bytes, uint64_t offset);

/* For "%.*s" of a name in a message. */
static inline int dir_shown_length(struct slice name)
{
    return (int)(name.length < DIR_SHOWN_BYTES ? name.length : DIR_SHOWN_BYTES);
}

/* The error of a system call about an object. */
int dir_failed(const struct dir *dir, int saved_errno, struct slice name, const char *what,
               struct jini_error *error);

/* A temporary file, open for writing and locked. */
struct dir_temporary {
    int fd;     /* -1: none */
    int folder; /* DIR_TEMPORARIES */
    char name[DIR_TEMPORARY_NAME_BYTES];
};

int dir_temporary_make(struct dir *dir, struct dir_temporary *out, struct jini_error *error);

/*
 * Gives the temporary its final name; JINI_E_EXISTS: the name is in use. Not durable before the
 * directory is synced.
 */
int dir_temporary_publish(struct dir *dir, struct dir_temporary *temporary, int parent,
                          const char *leaf, struct jini_error *error);

/* Closes the temporary, and removes it unless it was published. */
void dir_temporary_end(struct dir_temporary *temporary);

/* Removes the temporaries of processes that died. */
void dir_collect(struct dir *dir);

/* The operations; each runs on a thread of the pool. */
int dir_put(struct dir *dir, struct pool_worker *worker, struct archive_request *request);
int dir_get(struct dir *dir, struct pool_worker *worker, struct archive_request *request);
int dir_head(struct dir *dir, struct archive_request *request);
int dir_list(struct dir *dir, struct archive_request *request);
int dir_delete(struct dir *dir, struct archive_request *request);

#endif
