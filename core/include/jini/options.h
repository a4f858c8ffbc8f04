/*
 * Options of an engine: one table of names, ranges and defaults, for code, the file DIR/jini.conf,
 * the environment (store.sync is JINI_STORE_SYNC) and the command line (--set store.sync=meta).
 *
 *     struct jini_options options;
 *     status = jini_options_read(&options, "data", &error);
 *     options.cpu_threads = 4;
 *     status = jini_open(&jini, "data", &options, &error);
 *
 * Options that jini_open() is given are all that counts: it reads file and environment only where
 * it is given none. So a program that begins with jini_options_init() uses neither, and may use
 * another archive than the command does.
 */
#ifndef JINI_OPTIONS_H
#define JINI_OPTIONS_H

#include <jini/clock.h>
#include <jini/error.h>
#include <jini/log.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { JINI_OPTION_TEXT_MAX = 512 };

/*
 * What a power loss may take; the option store.sync. A crash of processes takes nothing in any
 * mode. Processes that write with "full" and "meta" may have the database open at once; one with
 * "none" would take from the others what they promise, so that beside them it is refused with
 * JINI_E_LOCKED, and they beside it: a bulk import waits for the services, or uses their mode.
 */
enum jini_sync {
    JINI_SYNC_FULL, /* "full": nothing that was acknowledged */
    JINI_SYNC_META, /* "meta": the newest commits; the database stays whole */
    JINI_SYNC_NONE  /* "none": everything not yet written by the system; the database may be
                       damaged */
};

/*
 * What is answered where the table of rate limits cannot count a subject: it is full, or the disk
 * is and there is no table; the options limits.when_full and limits.when_full_anonymous.
 */
enum jini_when_full {
    JINI_WHEN_FULL_CLOSED, /* "closed": refuse with JINI_E_BUSY, without a table with JINI_E_FULL */
    JINI_WHEN_FULL_OPEN    /* "open": admit uncounted */
};

#define JINI_KIB(n) (UINT64_C(n) << 10)
#define JINI_MIB(n) (UINT64_C(n) << 20)
#define JINI_GIB(n) (UINT64_C(n) << 30)

/*
 * Writes are run twice by default in builds of the library that are for finding faults, those
 * without NDEBUG. What the caller's own build says does not matter: jini_options_init() and
 * jini_options_info() are the library's.
 */
#ifdef NDEBUG
#define JINI_RUN_TWICE 0
#else
#define JINI_RUN_TWICE 1
#endif

/*
 * NUMBER(member, name, default, least, most, text)   a whole number; bytes may be given as 64MiB
 * SWITCH(member, name, default, text)                "yes" or "no"
 * CHOICE(member, name, default, choices, text)       one of the words of `choices`, parted by |
 * TEXT(member, name, default, text)                  up to 511 bytes
 */
#define JINI_OPTION_MAP(NUMBER, SWITCH, CHOICE, TEXT)                                              \
    CHOICE(store_sync, "store.sync", JINI_SYNC_FULL, "full|meta|none",                             \
           "what a power loss may take: nothing; the newest commits; anything")                    \
    NUMBER(store_map_bytes, "store.map_bytes", 0, 0, JINI_GIB(65536),                              \
           "address space reserved at open; 0: 256 GiB, but at most store.map_bytes_max")          \
    NUMBER(store_map_bytes_max, "store.map_bytes_max", JINI_GIB(4096), JINI_MIB(1),                \
           JINI_GIB(65536), "the database never grows beyond this")                                \
    NUMBER(store_reserve_bytes, "store.reserve_bytes", JINI_MIB(16), 0, JINI_GIB(16),              \
           "disk and map kept for releases and deletions when all else is full")                   \
    NUMBER(store_readers_max, "store.readers_max", 256, 4, 512,                                    \
           "snapshots that this process may have open at once")                                    \
    NUMBER(store_queue_ops_max, "store.queue_ops_max", 16384, 16, 1048576,                         \
           "writes that may wait; more are refused as busy")                                       \
    NUMBER(store_queue_bytes_max, "store.queue_bytes_max", JINI_MIB(64), JINI_MIB(1),              \
           JINI_GIB(16), "bytes of the writes that may wait")                                      \
    NUMBER(store_batch_ops_max, "store.batch_ops_max", 1024, 1, 65536, "writes of one commit")     \
    NUMBER(store_batch_bytes_max, "store.batch_bytes_max", JINI_MIB(16), JINI_KIB(64),             \
           JINI_GIB(1), "bytes of one commit")                                                     \
    NUMBER(store_batch_run_ms, "store.batch_run_ms", 5, 1, 1000,                                   \
           "time that the writes of one commit may run, before it syncs")                          \
    NUMBER(store_gate_wait_ms, "store.gate_wait_ms", 1000, 1, 60000,                               \
           "how long growth of the map waits for running readers")                                 \
    NUMBER(store_migrate_wait_ms, "store.migrate_wait_ms", 10000, 0, 3600000,                      \
           "how long a migration waits for processes of an older version")                         \
    NUMBER(store_close_wait_ms, "store.close_wait_ms", 10000, 1, 600000,                           \
           "how long closing waits for the write lock, which a stopped process may keep")          \
    SWITCH(store_allow_unsafe_filesystem, "store.allow_unsafe_filesystem", 0,                      \
           "open on network and overlay filesystems, for one process at a time")                   \
    SWITCH(store_run_twice, "store.run_twice", JINI_RUN_TWICE,                                     \
           "run every write twice and compare, to find writes that are not repeatable")            \
    NUMBER(request_timeout_ms, "request.timeout_ms", 10000, 1, 3600000,                            \
           "how long a request may wait before work on it begins")                                 \
    NUMBER(cpu_threads, "cpu.threads", 0, 0, 256,                                                  \
           "threads for compression and images; 0: one per processor")                             \
    NUMBER(cpu_queue_max, "cpu.queue_max", 1024, 1, 1048576,                                       \
           "tasks that may wait for these threads")                                                \
    NUMBER(password_threads, "password.threads", 1, 1, 64, "threads that hash passwords")          \
    NUMBER(password_queue_max, "password.queue_max", 256, 1, 65536,                                \
           "logins that may wait; more are refused as busy")                                       \
    NUMBER(password_memory_kib, "password.memory_kib", 19456, 8, 1048576,                          \
           "memory of an argon2id hash (OWASP's least: 19456)")                                    \
    NUMBER(password_passes, "password.passes", 2, 1, 64,                                           \
           "passes of an argon2id hash; times its "                                                \
           "memory at most 4 GiB")                                                                 \
    NUMBER(cache_users, "cache.users", 262144, 16, 16777216,                                       \
           "users whose tier and limits this process keeps at hand (20 bytes each)")               \
    NUMBER(cache_image_bytes, "cache.image_bytes", JINI_MIB(64), 0, JINI_GIB(1024),                \
           "cold images that this process keeps at hand")                                          \
    NUMBER(limits_slots, "limits.slots", 262144, 64, 268435456,                                    \
           "subjects that the rate limits can count at once (64 bytes each, shared); a change "    \
           "holds once a process opens the database alone, and forgets nothing")                   \
    NUMBER(limits_slots_anonymous, "limits.slots_anonymous", 65536, 64, 268435456,                 \
           "the same for addresses of anonymous clients")                                          \
    CHOICE(limits_when_full, "limits.when_full", JINI_WHEN_FULL_CLOSED, "closed|open",             \
           "users, when the table of rate limits is full or missing: refuse, or admit uncounted")  \
    CHOICE(limits_when_full_anonymous, "limits.when_full_anonymous", JINI_WHEN_FULL_CLOSED,        \
           "closed|open", "the same for anonymous clients")                                        \
    NUMBER(limits_claim_wait_ms, "limits.claim_wait_ms", 20, 1, 1000,                              \
           "how long a new subject waits for a stopped process that holds its bucket")             \
    TEXT(anonymous_tier, "anonymous.tier", "Free", "the tier whose limits anonymous clients get")  \
    NUMBER(admission_lease_ms, "admission.lease_ms", 900000, 1000, UINT64_C(604800000),            \
           "lease of a job that nobody renews: then what it reserved is given back")               \
    NUMBER(keys_per_user_max, "keys.per_user_max", 100, 1, 10000,                                  \
           "keys that a user may have in use")                                                     \
    NUMBER(sessions_per_user_max, "sessions.per_user_max", 100, 1, 10000,                          \
           "sessions of a user; one more ends the one that expires first")                         \
    NUMBER(session_ttl_s, "session.ttl_s", 1209600, 1, UINT64_C(3153600000),                       \
           "how long a session lasts of which nothing else is said")                               \
    NUMBER(queue_ttl_ms, "queue.ttl_ms", 86400000, 1, UINT64_C(604800000),                         \
           "how long a job waits for a worker each time, before it is given up")                   \
    NUMBER(queue_lease_ms, "queue.lease_ms", 60000, 1, UINT64_C(604800000),                        \
           "lease of a job that a worker took and does not extend: then it goes back")             \
    NUMBER(queue_jobs_max, "queue.jobs_max", 100000, 1, 100000000,                                 \
           "jobs that may wait for workers; more are refused as busy")                             \
    NUMBER(queue_attempts_max, "queue.attempts_max", 3, 1, 1000,                                   \
           "how often a job is given to a worker before it fails")                                 \
    NUMBER(queue_retry_ms, "queue.retry_ms", 1000, 0, 3600000,                                     \
           "how long a job waits after its first attempt failed; twice as long after each other")  \
    NUMBER(queue_retry_max_ms, "queue.retry_max_ms", 300000, 0, 86400000, "but no longer")         \
    NUMBER(queue_aging_ms, "queue.aging_ms", 60000, 0, UINT64_C(604800000),                        \
           "a job that has waited for so long counts as of a priority higher by one; 0: no "       \
           "aging, so that low priorities may starve")                                             \
    NUMBER(queue_takes_max, "queue.takes_max", 1024, 1, 65536,                                     \
           "workers of this process that may wait for a job; more are refused as busy")            \
    NUMBER(decisions_kept, "decisions.kept", 65536, 64, 1048576,                                   \
           "refusals that jini_why() knows (512 bytes each, shared), for who makes the file; up "  \
           "to the next power of two")                                                             \
    NUMBER(payments_same_ms, "payments.same_ms", 10000, 0, 3600000,                                \
           "a second payment of a user for one price within this is the first one; 0: none is")    \
    NUMBER(payments_grace_s, "payments.grace_s", 259200, 0, UINT64_C(31536000),                    \
           "how long a tier stays when its period has ended and nobody pays on")                   \
    NUMBER(job_retention_s, "job.retention_s", 0, 0, UINT64_C(3153600000),                         \
           "how long ended jobs are kept, if no image of theirs is; 0: for ever")                  \
    NUMBER(job_retention_anonymous_s, "job.retention_anonymous_s", 86400, 0, UINT64_C(3153600000), \
           "the same for jobs of anonymous clients")                                               \
    NUMBER(image_bytes_max, "image.bytes_max", JINI_MIB(64), JINI_KIB(1), JINI_MIB(256),           \
           "the largest image")                                                                    \
    NUMBER(metadata_bytes_max, "metadata.bytes_max", JINI_MIB(8), JINI_KIB(1), JINI_MIB(16),       \
           "the most raw metadata of an image, inflated")                                          \
    NUMBER(pack_bytes_max, "pack.bytes_max", JINI_MIB(64), JINI_KIB(64), JINI_GIB(4),              \
           "a pack is sealed at this size")                                                        \
    NUMBER(pack_age_max_s, "pack.age_max_s", 3600, 1, 31536000, "or at this age")                  \
    NUMBER(pack_lost_s, "pack.lost_s", 2592000, 0, UINT64_C(3153600000),                           \
           "how long pack files that the index does not know are kept in packs/lost; 0: for ever") \
    NUMBER(pack_queue_bytes_max, "pack.queue_bytes_max", JINI_MIB(256), JINI_MIB(1), JINI_GIB(64), \
           "image bytes that may wait to be written")                                              \
    TEXT(archive_url, "archive.url", "dir:archive",                                                \
         "where sealed packs go: dir:PATH, relative to the database, or dir:///PATH")              \
    NUMBER(archive_reads_max, "archive.reads_max", 1024, 1, 4000,                                  \
           "reads of cold images that may wait for the archive; more are refused as busy")         \
    NUMBER(archive_read_bytes_max, "archive.read_bytes_max", JINI_MIB(16), JINI_MIB(1),            \
           JINI_GIB(64), "bytes of cold images that may be on their way from it at once")          \
    NUMBER(archive_age_min_s, "archive.age_min_s", 86400, 0, UINT64_C(3153600000),                 \
           "sealed packs are archived at this age")                                                \
    NUMBER(archive_hot_s, "archive.hot_s", 604800, 0, UINT64_C(3153600000),                        \
           "archived packs are freed locally at this age")                                         \
    NUMBER(trash_s, "trash.s", 604800, 0, UINT64_C(3153600000),                                    \
           "how long removed images can be brought back")                                          \
    NUMBER(events_keep_s, "events.keep_s", 604800, 0, UINT64_C(3153600000),                        \
           "how long events are kept, and longer while a consumer needs them; 0: for ever")        \
    NUMBER(events_keep_max_s, "events.keep_max_s", 2592000, 0, UINT64_C(3153600000),               \
           "when they go whatever consumers need; 0: never")                                       \
    NUMBER(events_bytes_max, "events.bytes_max", JINI_GIB(4), JINI_KIB(64), JINI_GIB(65536),       \
           "what the log may take of the database; the oldest go whatever consumers need")         \
    NUMBER(events_lease_ms, "events.lease_ms", 30000, 10, 86400000,                                \
           "for how long what a consumer takes is its own, unless it says")                        \
    NUMBER(events_held_max, "events.held_max", 4096, 1, 65536,                                     \
           "deliveries of one consumer that may be held or wait")                                  \
    NUMBER(events_dead_max, "events.dead_max", 4096, 1, 65536,                                     \
           "dead letters that are kept for one consumer; the oldest make room")                    \
    NUMBER(events_waits_max, "events.waits_max", 1024, 1, 65536,                                   \
           "requests of this process that may wait for events")                                    \
    SWITCH(background_run, "background.run", 1,                                                    \
           "take part in expiry, sealing, archiving and purging")                                  \
    NUMBER(background_interval_ms, "background.interval_ms", 1000, 10, 3600000,                    \
           "how often background work looks for something to do")                                  \
    NUMBER(background_queue_max, "background.queue_max", 16, 1, 1024,                              \
           "archive runs that may wait; more are refused as busy")                                 \
    NUMBER(background_lease_ms, "background.lease_ms", 30000, 100, 3600000,                        \
           "how long a stopped process keeps its background work")

#define JINI_OPTION_NUMBER_MEMBER(member, name, value, least, most, text) uint64_t member;
#define JINI_OPTION_SWITCH_MEMBER(member, name, value, text)              uint64_t member;
#define JINI_OPTION_CHOICE_MEMBER(member, name, value, choices, text)     uint64_t member;
/* With NUL. */
#define JINI_OPTION_TEXT_MEMBER(member, name, value, text) char member[JINI_OPTION_TEXT_MAX];

struct jini_options {
    uint32_t size;      /* of this struct; set by jini_options_init() */
    uint32_t create;    /* 1: make the database when there is none */
    uint32_t read_only; /* 1: look only; works on copies, and where nothing can be written while no
                           other process has the database open: see jini_open() */
    uint32_t reserved;
    const struct jini_clock *clock; /* NULL: the system's; else borrowed until close */
    jini_log_fn *log;               /* NULL: nothing is reported */
    void *log_context;
    enum jini_log_level log_level;
    char process_name[48]; /* shown to operators beside the pid; empty: the program's name */
    JINI_OPTION_MAP(JINI_OPTION_NUMBER_MEMBER, JINI_OPTION_SWITCH_MEMBER, JINI_OPTION_CHOICE_MEMBER,
                    JINI_OPTION_TEXT_MEMBER)
};

/* Fills in the defaults. */
#define jini_options_init(options) jini_options_init_as((options), sizeof(*(options)))
JINI_EXPORT void jini_options_init_as(struct jini_options *options, size_t size);

/*
 * Sets one option from text. JINI_E_INVALID: `error` names the option and the rule, and nothing
 * changes; an unknown name is answered with the nearest known one.
 */
JINI_EXPORT int jini_options_set(struct jini_options *options, const char *name, const char *value,
                                 struct jini_error *error);

/*
 * Reads a file of lines "name = value"; empty lines and lines that begin with # are passed over.
 * Errors name the line.
 *   JINI_E_NOT_FOUND  there is no such file; nothing changes
 *   JINI_E_INVALID    what stood before the line that is wrong has been set
 *   JINI_E_TOO_BIG    over 64 KiB
 */
JINI_EXPORT int jini_options_load(struct jini_options *options, const char *path,
                                  struct jini_error *error);

/*
 * Sets what the environment names: store.sync from JINI_STORE_SYNC, and so on. JINI_E_INVALID as
 * above.
 */
JINI_EXPORT int jini_options_environment(struct jini_options *options, struct jini_error *error);

/*
 * The defaults, above them what the file jini.conf of the directory sets, if there is one, above it
 * the environment: what jini_open() does where it is given no options. JINI_E_INVALID:
 * "directory" (NULL, empty or too long), or as above, as are JINI_E_TOO_BIG, JINI_E_IO and
 * JINI_E_NO_MEMORY.
 */
JINI_EXPORT int jini_options_read(struct jini_options *options, const char *directory,
                                  struct jini_error *error);

/* A row of the table, for help texts and bindings. Static. */
struct jini_option_info {
    const char *name;
    const char *kind;    /* "number", "switch", "choice" or "text" */
    const char *choices; /* of a choice, parted by |; else NULL */
    const char *text;
    const char *default_text;
    uint64_t default_number;
    uint64_t least; /* of a number */
    uint64_t most;
};

/* The row at `index`, from 0; NULL behind the last. Any thread. */
JINI_EXPORT const struct jini_option_info *jini_options_info(size_t index);

#ifdef __cplusplus
}
#endif
#endif
