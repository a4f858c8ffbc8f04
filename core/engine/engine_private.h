/*
 * The inside of the engine, shared by its own files.
 *
 *   options.c    the table of options         open.c       opening, closing, health
 *   request.c    a request's way              loop.c       loops and completions
 *   explain.c    refusals in words            tasks.c      queues for threads
 *   workers.c    threads for CPU work         txn.c        the caller's transactions
 *   txn_calls.c  calls in them, and alone
 *   users.c      users and passwords          tiers.c      tiers
 *   allowance.c  what a subject may           plans.c      limits texts made ready
 *   rate*.c      rate limits                  admission.c  admit
 *   jobs.c       renewing and ending jobs     records.c    reading records, the trash
 *   puts.c       storing images               gets.c       reading images
 *   coding.c     coding before they are stored  stored.c  and decoding
 *   cold.c       records in the archive       cold_reads.c who waits for them
 *   archives.c   requests to the archive      owner.c      who may delete there
 *   background.c leased work
 *   tiering_*.c  a run of tiering             lease.c      leases
 *   verify*.c    checks of everything         metrics.c    figures
 *   packs.c           packs without a database
 *   backup*.c    copies with their images
 *   archive_status.c  how things are spread over the tiers
 *   jobs_due.c     jobs to be given up, and ended ones to be deleted
 *   queue*.c       jobs for workers         takes.c      workers that wait for them
 *   quota_clean.c  quota rows that are over
 *   ledger.c       accounts and transfers
 *   grants.c       credits
 *   credentials.c  keys and sessions
 *   why.c          what decisions stood on  facts.c, decisions.c  as it is kept
 *   prices.c       what money buys
 *   payments.c     payments: the calls, and payment_steps.c what each does
 *   subscriptions.c  tiers that were paid for
 *   due.c          what falls due in the engine itself
 *   events.c       the log of events
 *   consumers.c    who takes them, and what becomes of deliveries
 *   take.c         taking, and waiting for events
 *   waits.c        requests that wait for a commit of any process
 *   events_tend.c  the old end of the log, and figures
 */
#ifndef ENGINE_PRIVATE_H
#define ENGINE_PRIVATE_H

#include "accounts/accounts.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "codec/codec.h"
#include "engine/archives.h"
#include "engine/lease.h"
#include "engine/tasks.h"
#include "store/store.h"

#include <jini/engine.h>
#include <jini/generations.h>
#include <pthread.h>
#include <stdatomic.h>

struct workers;
struct loop;
struct appender;
struct background;
struct cache;
struct ledger_batch;
struct cold_reads;
struct pack_files;
struct plans;
struct rates;
struct waits;
struct takes;
struct decisions;

enum engine_state { ENGINE_OPEN, ENGINE_CLOSING };

/* X(enumerator, name in figures): what callers can ask for by a request. */
#define REQUEST_KIND_MAP(X)                                                                        \
    X(WRITE, "write")                                                                              \
    X(USER_ADD, "user_add")                                                                        \
    X(USER_SET, "user_set")                                                                        \
    X(PASSWORD_SET, "password_set")                                                                \
    X(LOGIN, "login")                                                                              \
    X(KEY_ADD, "key_add")                                                                          \
    X(SESSION_BEGIN, "session_begin")                                                              \
    X(CREDENTIAL_REVOKE, "credential_revoke")                                                      \
    X(TIER_SET, "tier_set")                                                                        \
    X(TIER_REMOVE, "tier_remove")                                                                  \
    X(LIMIT_RESET, "limit_reset")                                                                  \
    X(ADMIT, "admit")                                                                              \
    X(RENEW, "renew")                                                                              \
    X(SETTLE, "settle")                                                                            \
    X(RELEASE, "release")                                                                          \
    X(JOB_TAKE, "job_take")                                                                        \
    X(JOB_EXTEND, "job_extend")                                                                    \
    X(JOB_FINISH, "job_finish")                                                                    \
    X(JOB_FAIL, "job_fail")                                                                        \
    X(QUEUE_PURGE, "queue_purge")                                                                  \
    X(IMAGE_PUT, "image_put")                                                                      \
    X(IMAGE_GET, "image_get")                                                                      \
    X(IMAGE_REMOVE, "image_remove")                                                                \
    X(IMAGE_RESTORE, "image_restore")                                                              \
    X(ACCOUNTS_CREATE, "accounts_create")                                                          \
    X(TRANSFERS_CREATE, "transfers_create")                                                        \
    X(GRANT_ADD, "grant_add")                                                                      \
    X(GRANT_REFUND, "grant_refund")                                                                \
    X(GRANT_REVOKE, "grant_revoke")                                                                \
    X(COST_SET, "cost_set")                                                                        \
    X(EVENTS_APPEND, "events_append")                                                              \
    X(EVENTS_TAKE, "events_take")                                                                  \
    X(EVENTS_ADVANCE, "events_advance")                                                            \
    X(EVENTS_ACK, "events_ack")                                                                    \
    X(EVENTS_NACK, "events_nack")                                                                  \
    X(EVENTS_WAIT, "events_wait")                                                                  \
    X(CONSUMER_CREATE, "consumer_create")                                                          \
    X(CONSUMER_DELETE, "consumer_delete")                                                          \
    X(CONSUMER_SEEK, "consumer_seek")                                                              \
    X(DEAD_RESEND, "dead_resend")                                                                  \
    X(DEAD_DROP, "dead_drop")                                                                      \
    X(PRICE_SET, "price_set")                                                                      \
    X(PAYMENT_INTEND, "payment_intend")                                                            \
    X(PAYMENT_SETTLE, "payment_settle")                                                            \
    X(PAYMENT_FAIL, "payment_fail")                                                                \
    X(PAYMENT_REFUND, "payment_refund")                                                            \
    X(PAYMENT_DISPUTE, "payment_dispute")                                                          \
    X(PAYMENT_RESOLVE, "payment_resolve")                                                          \
    X(SUBSCRIPTION_CANCEL, "subscription_cancel")                                                  \
    X(ARCHIVE_RUN, "archive_run")                                                                  \
    X(VERIFY, "verify")                                                                            \
    X(BACKUP, "backup")

enum request_kind {
#define REQUEST_KIND_ENUM(name, text) REQUEST_##name,
    REQUEST_KIND_MAP(REQUEST_KIND_ENUM)
#undef REQUEST_KIND_ENUM
        REQUEST_KINDS
};

/*
 * An end is counted at its status without the sign; one that status.h does not have at the last
 * place.
 */
enum { REQUEST_STATUS_OTHER = 63, REQUEST_STATUSES = 64 };

#define REQUEST_STATUS_FITS(name, value, exit_code, http, retry, text)                             \
    _Static_assert((value) <= 0 && (value) > -REQUEST_STATUS_OTHER, "a counter is missing");
JINI_STATUS_MAP(REQUEST_STATUS_FITS)
#undef REQUEST_STATUS_FITS

struct jini {
    uint32_t fork_generation;
    _Atomic uint32_t state;                                  /* enum engine_state */
    _Atomic uint64_t active;                                 /* requests under way */
    _Atomic uint64_t ended[REQUEST_KINDS][REQUEST_STATUSES]; /* what was taken, by kind and end */
    _Atomic uint64_t jobs_removed;                           /* ended ones, by jobs_clean() */
    _Atomic uint64_t events_removed;                         /* by events_tend() */
    struct jini_options options;
    struct log log;
    const struct jini_clock *clock;
    char *directory;
    struct store *store;
    struct id_source ids;
    struct jini_id instance; /* of this opening */
    int directory_fd;
    struct workers *cpu;
    struct workers *passwords;
    struct workers *verifier;   /* one thread */
    struct workers *copier;     /* one, for backups */
    struct workers *opener;     /* one, for reads of an archive that is not open */
    _Atomic uint32_t verifying; /* a verify is under way */
    struct loop *own_loop;
    struct accounts_ids user_ids;
    struct codec_pool codecs;
    _Atomic uint64_t coding_bytes; /* see coding.h */
    struct pack_files *pack_files;
    struct cache *image_cache;
    struct cold_reads *cold_reads;
    struct appender *appender; /* NULL when opened read-only */
    struct background *background;
    struct lease_keeper lease_keeper;
    struct ledger_batch *ledger_batch; /* of the writer thread; NULL: not needed yet */
    struct plans *plans;
    struct rates *rates;
    struct waits *waits;
    struct takes *takes; /* NULL when opened read-only */
    struct decisions *decisions;

    struct archives archives;

    pthread_mutex_t loops_lock; /* guards `loops` */
    struct loop *loops;

    pthread_mutex_t idle_lock; /* with `idle`: active came down to 0 while closing */
    pthread_cond_t idle;
};

/* ---- request.c: a request's way -------------------------------------------------------------- */

typedef void request_step_fn(struct jini_request *request);

/* The op of a request, which is its argument; txn.h has the rules. */
struct jini_txn;
struct txn_effect;
typedef int txn_op_fn(struct jini_txn *txn, void *request);

/* What the engine keeps in `reserved` of a request that it has. */
struct request_state {
    struct jini *jini;
    jini_callback *callback; /* NULL: somebody waits */
    struct loop *loop;       /* where the callback runs */
    struct jini_request *next;
    txn_op_fn *op;
    request_step_fn *after;
    struct txn_effect *effects; /* of the last run of the op */
    void *work;      /* what the request keeps beside itself; freed before it is finished */
    uint64_t now_ms; /* wall time of the write */
    struct store_write write;
    struct worker_task task;
    uint64_t deadline_ns;
    uint32_t kind; /* enum request_kind */
    _Atomic uint32_t cancelled;
    _Atomic uint32_t finished; /* a futex */
    _Atomic uint32_t submitted;
};

_Static_assert(sizeof(struct request_state) <= sizeof(((struct jini_request *)0)->reserved),
               "the state of a request fits into what callers reserve");

static inline struct request_state *request_state(struct jini_request *request)
{
    return (struct request_state *)(void *)request->reserved;
}

/*
 * Takes a request from its caller. After 0 it is under way and ends by request_finish(), exactly
 * once; after an error it was never taken, and the error stands in it.
 */
int request_begin(struct jini *jini, struct jini_request *request, size_t size,
                  enum request_kind kind, jini_callback *callback);

/* 0, or JINI_E_INVALID: the struct is not of this library, or under way, and then not touched. */
int request_check(struct jini_request *request, size_t size);

/* On a loop thread: hands a request that is finished back to its caller. */
void request_deliver(struct jini_request *request);
bool request_is_delivered_here(const struct jini *jini); /* this thread is in such a callback */

/* Gives it up before anything was started: the caller gets `status` at once and no callback. */
int request_refuse(struct jini_request *request, int status);

/* Ends it, on any thread of the engine. The request may be gone when this returns. */
void request_finish(struct jini_request *request, int status);

/* The end of a submitting function: 0 with a callback; else waits and returns the result. */
int request_wait(struct jini_request *request);

/*
 * Queues `op` (its argument is the request) and then `after`, or request_finish() when NULL.
 * `after` runs on the writer thread, or for a write that was late or cancelled in the queue on the
 * engine's own loop, beside the writer. Where the queue is full the request's error says so.
 */
int request_write(struct jini_request *request, txn_op_fn *op, enum store_class class,
                  uint32_t bytes, request_step_fn *after);

/* The task of a request, made ready; `step` gets not 0 when the request was late or cancelled. */
struct worker_task *request_task(struct jini_request *request,
                                 void (*step)(struct worker_task *task, int status));

/* Runs it on a workers. Where the queue is full the request's error says so. */
int request_run_on(struct workers *workers, struct jini_request *request,
                   void (*step)(struct worker_task *task, int status));

/*
 * The same for a later step of a request whose number is bounded elsewhere: never JINI_E_BUSY, nor
 * is it late, since what it waited for is there.
 */
int request_continue_on(struct workers *workers, struct jini_request *request,
                        void (*step)(struct worker_task *task, int status));

static inline struct jini_request *request_of_task(struct worker_task *task)
{
    struct request_state *state =
        (struct request_state *)(void *)((char *)task - offsetof(struct request_state, task));
    return (struct jini_request *)(void *)((char *)state - offsetof(struct jini_request, reserved));
}

/* 0, or why nothing is taken any more: JINI_E_FORKED, JINI_E_CLOSED, JINI_E_POISONED. */
int engine_check(const struct jini *jini);

/* Opens a snapshot for a call that returns directly. `error` says what refuses it. */
int snapshot_begin(struct jini *jini, struct store_txn **out, struct jini_error *error);

/* ---- explain.c: refusals in words ------------------------------------------------------------ */

/* Fills in the error of a request that ends with `status` and says nothing of it yet. */
void explain_end(struct jini_request *request, int status);

/*
 * Says why the store gave a write back with `status`, which no op answered: the holder of the write
 * lock, what is full, or whatever else stands in its way now. `waited_ms` is the time that it had.
 * Clears the error where that is not known.
 */
void explain_write(struct jini *jini, int status, uint64_t waited_ms, struct jini_error *error);

/* Says why the queue of writes did not take the one of a request. */
void explain_queue(struct jini_request *request, int status);

/* JINI_E_READ_ONLY: what was asked for needs a database that is open for writing. */
int explain_read_only(struct jini_error *error);

/* 0, or JINI_E_INVALID ("flags"): some are none of those that are known. */
int check_flags(uint32_t flags, uint32_t known, struct jini_error *error);

/* 0, or JINI_E_INVALID: a text that must be given is NULL. */
int check_given(const char *text, const char *field, struct jini_error *error);

/* Says that a function of the caller's answered `status`, which it returns. */
int explain_function(struct jini_error *error, int status);

/* A read of a cold image that ended at its deadline; `asked`: its turn had come. */
void explain_late_read(struct jini_request *request, bool asked);

/* The name of a kind in figures; how long a request may wait. */
const char *request_kind_name(enum request_kind kind);
uint64_t request_timeout_ms(const struct jini *jini, const struct jini_request *request);

/* ---- loop.c ---------------------------------------------------------------------------------- */

int loop_start_own(struct jini *jini, struct jini_error *error);
void loop_stop_own(struct jini *jini);

/* The loop on which requests of this thread come back; the engine's own when it has none. */
struct loop *loop_of_thread(struct jini *jini);

/* True on a thread that must not block: one that runs a loop of the engine, or works for it. */
bool loop_thread_must_not_block(struct jini *jini);

/* True on a thread that some engine has made. */
bool loop_thread_is_an_engines(void);
void loop_mark_worker_thread(void);

/*
 * A request that will come back there is under way, or was refused after all. On the loop's thread,
 * if attached.
 */
void loop_hold(struct loop *loop);
void loop_release(struct loop *loop);

/* Has the loop deliver a request, which also releases it. Any thread. */
void loop_post(struct loop *loop, struct jini_request *request);

/* The attached loop of this thread, or NULL; how many loops are attached by anybody. */
struct loop *loop_attached(struct jini *jini);
uint32_t loop_attached_count(struct jini *jini);

/* Takes an attached loop out of its engine, which may go before the loop does. Any thread. */
void loop_forget(struct loop *loop);

/* Has a forgotten loop detach itself and then call back. Any thread; the last use of the loop. */
void loop_detach_and_call(struct loop *loop, jini_close_callback *callback, void *context);

/* ---- workers.c ------------------------------------------------------------------------------- */

struct workers_options {
    uint32_t threads;
    struct task_queue_options queue;
};
int workers_create(const struct workers_options *options, struct workers **out);

/* Ends what waits with JINI_E_CANCELLED, and the threads once what runs is done. Both take NULL. */
void workers_stop(struct workers *workers);
void workers_free(struct workers *workers);

/* Queues a task; errors of task_queue_put(). JINI_E_NO_MEMORY: no thread could be started. */
int workers_submit(struct workers *workers, struct worker_task *task, struct jini_error *error);

/* As task_queue_sweep(). */
void workers_sweep(struct workers *workers);
uint32_t workers_waiting(struct workers *workers);

/* ---- Others ---------------------------------------------------------------------------------- */

enum { MS_PER_DAY = 86400000 };

/* backup_place.c: the file that says that a directory is a backup. */
#define BACKUP_MARKER "jini-backup"

/* open.c: what the records of a database are, in this version. */
extern const struct store_format engine_format;

/*
 * verify.c: checks the rows of a copy of the store against each other, on the caller's thread and
 * until `asker` is cancelled. `verify` says where findings go, and has the counts and the error.
 */
struct jini_verify;
int verify_copy(struct jini *jini, struct store *copy, struct jini_request *asker,
                struct jini_verify *verify);

/*
 * options.c: 0, or JINI_E_INVALID: a member that code has set is outside of what the table allows.
 */
int options_check(const struct jini_options *options, struct jini_error *error);

/* gets.c: where the bytes of an image are, which follows from its pack. JINI_E_CORRUPT. */
struct generations_image;
int image_state(struct store_txn *txn, const struct generations_image *image,
                enum jini_image_state *out);

/* jobs.c */
int settle_job(struct store_txn *txn, struct jini *jini, const struct jini_id *id, uint32_t attempt,
               uint64_t unused, uint64_t now_ms, struct jini_job *out, struct jini_error *error);

/*
 * jobs_due.c: gives up the jobs whose lease is over. Any thread. Of a backlog it does a part, and
 * once the engine closes nothing; the next turn goes on with what is left.
 */
void jobs_expire(struct jini *jini);
void requests_sweep(struct jini *jini);

/* Deletes ended jobs that were kept for long enough; bounded as above. */
void jobs_clean(struct jini *jini);

/*
 * quota_clean.c: one slice of removing what addresses no longer count. The background thread only.
 */
void quotas_clean(struct jini *jini);

/* events_tend.c: removes events that were kept for long enough; bounded as above. */
void events_tend(struct jini *jini);
struct metrics_page;
void events_metrics(struct jini *jini, struct metrics_page *page);

/* ledger.c, of the background thread: pending transfers that are due expire. */
void ledger_tend(struct jini *jini);

/* In an op: jini->ledger_batch has room for so many events. JINI_E_NO_MEMORY. */
int ledger_memory(struct jini *jini, uint32_t count, struct jini_error *error);

/*
 * background.c: boot time by which a write of the background has to be done. A process that was
 * stopped with the write lock may keep it for ever, and whoever waits for the background with it.
 */
static inline uint64_t background_deadline(const struct jini *jini)
{
    return clock_boot_ns(jini->clock) + jini->options.background_lease_ms * NS_PER_MS;
}

int background_start(struct jini *jini, struct jini_error *error);
void background_sweep(struct jini *jini); /* as task_queue_sweep(); any engine */
void background_stop(struct jini *jini);
void background_free(struct jini *jini);

/*
 * allowance.c: limits texts for accounts. The first checks; the second stands in ops, where a text
 * that was checked when the request began is not checked again, since that may read a time zone's
 * file.
 */
int limits_text_check(const char *text, struct jini_error *error);
int limits_text_is_checked(const char *text, struct jini_error *error);

#endif
