/*
 * Input and output that fails on request, and a record of it.
 *
 * The library libjini_fault stands between a program and libc: it defines open(), pwrite(),
 * fsync(), rename() and their siblings, and is linked before libc (see README.md). Until a control
 * block is attached every call goes straight through.
 *
 * Failing calls. fault_inject() lets the nth call of the chosen kinds fail; a test runs its subject
 * with n = 1, 2, 3, ... until a run ends without an injected failure:
 *
 *     for (uint64_t n = 1; fault_loop(FAULT_ALL_WRITING, n, ENOSPC); n++)
 *         check_subject();
 *
 * Meeting a moment. fault_before() has a function of the test run just before the chosen calls.
 *
 * Recording. fault_record_start() writes every change below a folder into a log, with all syncs, in
 * one order over all threads and processes; powerloss.h builds from it what a power loss may leave.
 *
 * The control block is a file that is mapped shared: children made by fork() keep it, and those
 * made by exec attach themselves when JINI_FAULT_FILE names it.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a call does. One bit each. */
enum fault_kind {
    FAULT_OPEN = 1 << 0,    /* open, openat, creat, mkstemp, mkostemp */
    FAULT_WRITE = 1 << 1,   /* write, pwrite, writev, pwritev, pwritev2, copy_file_range */
    FAULT_SYNC = 1 << 2,    /* fsync, fdatasync, syncfs, msync, sync_file_range */
    FAULT_SIZE = 1 << 3,    /* truncate, ftruncate, fallocate, posix_fallocate */
    FAULT_RENAME = 1 << 4,  /* rename, renameat, renameat2 */
    FAULT_LINK = 1 << 5,    /* link, linkat */
    FAULT_UNLINK = 1 << 6,  /* unlink, unlinkat, rmdir, remove */
    FAULT_MKDIR = 1 << 7,   /* mkdir, mkdirat */
    FAULT_CLOSE = 1 << 8,   /* close; the descriptor is closed all the same, as Linux does */
    FAULT_MAP = 1 << 9,     /* mmap of a file, shared and writable */
    FAULT_READ = 1 << 10,   /* read, pread, readv, preadv */
    FAULT_CREATE = 1 << 11, /* of FAULT_OPEN those that may create or empty a file */
    FAULT_ALL_WRITING = (1 << 10) - 1,
    FAULT_ALL = (1 << 12) - 1,
    /* Those after which another process finds something else than before; for kills. */
    FAULT_ALL_CHANGING = FAULT_CREATE | FAULT_WRITE | FAULT_SIZE | FAULT_RENAME | FAULT_LINK |
                         FAULT_UNLINK | FAULT_MKDIR
};

enum fault_effect {
    FAULT_FAIL,  /* nothing is done; the call answers `error` */
    FAULT_SHORT, /* half of the bytes are written or read; calls of other kinds do not count */
    FAULT_FLIP, /* a bit of what is written is wrong, and the call answers well; of writes of memory
                    only: all other calls do not count, and copy_file_range passes */
    FAULT_KILL  /* nothing is done; the process is killed as by kill -9 */
};

enum fault_repeat {
    FAULT_ONCE,        /* the nth call only */
    FAULT_FROM_THEN_ON /* the nth and all later ones: a disk that stays full */
};

struct fault_plan {
    uint32_t kinds; /* of enum fault_kind */
    enum fault_effect effect;
    enum fault_repeat repeat;
    int error;    /* an errno, for FAULT_FAIL */
    uint64_t nth; /* 1 is the next call that counts */
    const char
        *pattern; /* of fnmatch(3), for the whole path or its last part; NULL: any. Copied. */
};

/*
 * Makes a control block at `path` and attaches this process and its later children. Ends the
 * program with a message when it cannot: a test without its faults proves nothing. Once a process.
 */
void fault_attach(const char *path);

/* The path of this library, for LD_PRELOAD of a program that is not linked with it. Static. */
const char *fault_library(void);

/* Sets the plan for all attached processes, and its counters to zero. */
void fault_inject(const struct fault_plan *plan);
void fault_inject_stop(void);

/* The calls that the plan counted, and those that it changed, since fault_inject(). */
uint64_t fault_calls(void);
uint64_t fault_injected(void);

/*
 * For loops over n: answers false when the run before this one (n - 1) ended without an injected
 * failure, which stops injecting; else sets a plan that lets call n of `kinds` fail with `error`
 * once, and answers true.
 */
bool fault_loop(uint32_t kinds, uint64_t n, int error);

/*
 * From now on `function` runs before each call of `kinds` that this thread makes on a path that
 * matches `pattern` (borrowed; as in a plan): what happens between two steps of the subject. Its
 * own calls, and those of other threads, go straight through. NULL ends it. Needs no control block.
 */
typedef void fault_hook_fn(void *context);
void fault_before(uint32_t kinds, const char *pattern, fault_hook_fn *function, void *context);

/*
 * Records every change of files and directories at or below `root` into the file `log`, which is
 * made anew and must lie elsewhere. What stands below `root` now counts as durable. One recording
 * at a time.
 */
void fault_record_start(const char *root, const char *log);
void fault_record_stop(void);

/*
 * Puts a mark into the log: "acknowledged 17". Nothing when nothing is recorded. Files that this
 * process has changed by stores through a shared mapping, which nothing else sees before they are
 * synced, are recorded before it as they are now, unsynced.
 */
void fault_mark(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Plants a missing sync: from now on fsync, fdatasync, msync, and the sync in a write to an O_SYNC
 * or O_DSYNC descriptor do nothing and succeed, for paths that match `pattern`. NULL ends it.
 * fault_swallowed() counts them.
 *
 * The pattern is matched with as many of the last parts of a path as it has itself, part by part: a
 * '*' never reaches over a '/'. One that ends in '/' is of directories only, every other of files
 * only, so that each kind of file and of directory can be planted alone: "db/packs/" is one
 * directory, "db/packs/" followed by a star and '/' the months in it.
 */
void fault_swallow_syncs(const char *pattern);
uint64_t fault_swallowed(void);

/*
 * From now on /proc/sys/kernel/random/boot_id tells of start `number` of the machine, as it is
 * after a power loss; 0: of the one that it is in.
 */
void fault_boot(uint64_t number);

#endif
