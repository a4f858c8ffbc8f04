/*
 * The control block that all attached processes share, and the log's format. Internal to
 * tests/faults.
 *
 * A log is a row of records, each a struct fault_record followed by the bytes of its name, of its
 * second name and of its data. Records stand in the order in which the calls took effect: the lock
 * of the block is held from before a call until its record is written. A process that is killed
 * between the two leaves a call without a record, so a program under record is not to be killed.
 *
 * Files and directories are named by inode. A number that comes back after its file was deleted is
 * a new file: its FILE_NEW or DIRECTORY_NEW record says so.
 */
#ifndef FAULTS_CONTROL_H
#define FAULTS_CONTROL_H

#include "faults.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

enum { FAULT_PATTERN_MAX = 256, FAULT_PATH_MAX = 1024, FAULT_MAPPED_MAX = 64 };

#define FAULT_BLOCK_MAGIC  UINT64_C(0x4a464c5442303032)
#define FAULT_RECORD_MAGIC UINT32_C(0x3152464a)

struct fault_block {
    uint64_t magic;
    pthread_mutex_t lock; /* robust; held over every recorded call */

    /* The plan. `kinds` is 0 while there is none and is set last. */
    _Atomic uint32_t kinds;
    uint32_t effect;
    uint32_t repeat;
    int32_t error;
    uint64_t nth;
    char pattern[FAULT_PATTERN_MAX];
    _Atomic uint64_t calls;
    _Atomic uint64_t injected;

    /* The recording. */
    _Atomic uint32_t recording;
    uint32_t recordings; /* begun so far: tells a process that its descriptor is of an older log */
    dev_t device;
    uint64_t log_length; /* bytes of whole records */
    char log[FAULT_PATH_MAX];
    uint32_t mapped_count;
    uint64_t mapped[FAULT_MAPPED_MAX]; /* inodes of files that are mapped shared and writable */

    _Atomic uint32_t swallowing;
    char swallow[FAULT_PATTERN_MAX];
    _Atomic uint64_t swallowed;

    _Atomic uint64_t boot; /* 0: the machine's own */
};

enum fault_record_kind {
    RECORD_ROOT = 1,      /* inode: the recorded folder */
    RECORD_FILE_NEW,      /* inode, mode: a new, empty file without a name */
    RECORD_DIRECTORY_NEW, /* inode, mode: a new, empty directory without a name */
    RECORD_ENTRY,         /* parent, name: now names inode */
    RECORD_REMOVE,        /* parent, name: is gone */
    RECORD_RENAME,        /* parent, name becomes other_parent, other name */
    RECORD_EXCHANGE,      /* the two names change places */
    RECORD_WRITE,         /* inode, offset, data; FLAG_DURABLE: and that range is synced */
    RECORD_SIZE,          /* inode: has the size `offset` now */
    RECORD_ZERO,          /* inode: `length` bytes at offset are zeros now */
    RECORD_SYNC,          /* inode: a file's bytes and size, or a directory's names, are durable */
    RECORD_SYNC_ALL,      /* everything is */
    RECORD_MARK           /* name: the text of fault_mark() */
};

enum {
    RECORD_FLAG_DURABLE = 1,
    RECORD_FLAG_MAPPED = 2 /* of a write: no call, but what a mapping held when a mark was put */
};

struct fault_record {
    uint32_t magic;
    uint16_t kind;
    uint16_t flags;
    uint32_t mode;
    uint32_t process;
    uint64_t inode;
    uint64_t parent;
    uint64_t other_parent;
    uint64_t offset;
    uint64_t length;
    uint32_t name_length;
    uint32_t other_name_length;
    uint64_t data_length;
};

/* Says what failed, with errno, and ends the program. */
void fault_give_up(const char *what, const char *path) __attribute__((noreturn));

/* The block of this process, or NULL. */
struct fault_block *fault_block(void);

/* True on a thread that is inside the recorder, whose own calls go straight through. */
extern _Thread_local bool fault_inside;

/* True when a call has to be looked at. */
bool fault_watching(void);

void fault_lock(void);
void fault_unlock(void);

/* What the plan wants of this call, which is counted. */
enum fault_verdict { VERDICT_PASS, VERDICT_FAIL, VERDICT_SHORT, VERDICT_FLIP };
enum fault_verdict fault_decide(uint32_t kind, int fd); /* -1: of no descriptor */

/* The same of a call on a name below `directory`, which is as openat() takes it. */
enum fault_verdict fault_decide_name(uint32_t kind, int directory, const char *path);

/* Of two names, one of which the plan may mean. */
enum fault_verdict fault_decide_names(uint32_t kind, int directory, const char *path,
                                      int other_directory, const char *other_path);

/* Whether the sync of this descriptor is to be swallowed; counts it. */
bool fault_swallows(int fd);

/* The same of a path, without counting. */
bool fault_swallows_path(const char *path, bool is_directory);

/* The path of a descriptor, or "". */
void fault_path_of(int fd, char path[FAULT_PATH_MAX]);

/* True when `pattern` matches the whole of `path` or its last part. */
bool fault_matches(const char *pattern, const char *path);

#endif
