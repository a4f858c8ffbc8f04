/*
 * The fault driver: a request is handed on to the archive behind, unchanged, changed or not at all.
 *
 * 1. Each request holds one slot, from submit until just before its callback. There are
 *    `queue_max` slots, plus the requests that the archive behind can run at once.
 * 2. A slot is HELD (refuse, delay, hang: the thread of this driver sees to it) or INNER (the
 *    archive behind has it).
 * 3. The locks order: this driver's, then the locks of the archive behind. Callbacks come with
 *    neither held.
 */
#include "archive/fault.h"

#include "archive/driver.h"
#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

enum slot_state { SLOT_FREE, SLOT_HELD, SLOT_INNER };

enum {
    EXTRA_SLOTS = 4,
    HOLD_STACK_BYTES = 256 * 1024,
    LOOK_MS =
        10 /* between two looks at deadlines: the clock may be a caller's, which wakes nobody */
};

struct slot {
    struct archive_request inner;
    struct archive_request *outer;
    struct fault *fault;
    enum slot_state state;
    enum fault_kind kind;
    int answer; /* of refuse and lost */
    uint64_t drawn;
    uint64_t due_ns;          /* HELD: refuse, delay */
    uint64_t keep;            /* short: bytes still to be delivered */
    bool begun;               /* a piece has come */
    bool ended;               /* short: the cut was reached */
    uint64_t passed;          /* bytes delivered through the sink */
    struct hash_stream *hash; /* of what was delivered, when that is changed */
};

struct fault {
    struct archive archive;
    struct archive *behind;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct fault_plan plan;
    uint64_t number; /* of the next request */
    uint64_t counts[FAULT_KINDS];
    bool has_thread;
    bool stopping;
    bool closing;
    pthread_t thread;
    uint32_t slot_count;
    struct slot *slots;
};

static struct fault *fault_of(struct archive *archive)
{
    JINI_ASSERT(archive->driver == &archive_fault_driver);
    return (struct fault *)archive;
}

/* Changing what a GET delivers. */

static void flip_bit(struct slot *slot, uint8_t *byte)
{
    *byte ^= (uint8_t)(1u << (slot->drawn >> 32 & 7));
}

static int pass_on(struct slot *slot, struct slice piece)
{
    if (piece.length == 0)
        return 0;
    if (slot->hash)
        hash_stream_add(slot->hash, piece);
    slot->passed += piece.length;
    return archive_give_piece(slot->outer, piece);
}

/* The piece with one bit wrong, in three parts, since it is not ours to write to. */
static int pass_flipped(struct slot *slot, struct slice piece)
{
    size_t place = (size_t)(slot->drawn % piece.length);
    uint8_t wrong = piece.data[place];
    flip_bit(slot, &wrong);
    int status = pass_on(slot, slice_of(piece.data, place));
    if (status == 0)
        status = pass_on(slot, slice_of(&wrong, 1));
    if (status == 0)
        status = pass_on(slot, slice_of(piece.data + place + 1, piece.length - place - 1));
    return status;
}

static int sink(struct archive_request *request, struct slice piece)
{
    struct slot *slot = request->user;
    bool first = !slot->begun;
    slot->begun = true;
    if (piece.length == 0 || slot->ended)
        return 0;
    if (slot->kind == FAULT_FLIP && first)
        return pass_flipped(slot, piece);
    if (slot->kind == FAULT_SHORT && first)
        slot->keep = slot->drawn % piece.length;
    if (slot->kind == FAULT_SHORT) {
        slot->ended = true;
        return pass_on(slot, slice_of(piece.data, (size_t)slot->keep));
    }
    return pass_on(slot, piece);
}

static int cut_off(struct archive_request *outer)
{
    return error_set(&outer->error, JINI_E_CORRUPT, "name",
                     "the object ends before the range that was asked for (injected)");
}

/* What a GET that the archive behind has done shall have delivered. */
static int change_result(struct slot *slot)
{
    struct archive_request *outer = slot->outer;
    struct archive_get *get = &outer->get;
    if (slot->kind == FAULT_SHORT) {
        uint64_t kept = get->sink ? slot->passed : outer->bytes ? slot->drawn % outer->bytes : 0;
        if (outer->bytes > 0)
            outer->size = get->offset + kept;
        outer->bytes = kept;
        if (get->length != ARCHIVE_TO_END || (get->offset > 0 && kept == 0))
            return cut_off(outer);
    } else if (outer->bytes > 0 && get->buffer) {
        flip_bit(slot, &get->buffer[slot->drawn % outer->bytes]);
    }
    outer->checksum = get->sink ? hash_stream_128(slot->hash)
                                : hash128(slice_of(get->buffer, (size_t)outer->bytes));
    return 0;
}

/* Slots. */

static void copy_result(const struct archive_request *from, struct archive_request *to)
{
    to->more = from->more;
    to->entries = from->entries;
    to->size = from->size;
    to->bytes = from->bytes;
    to->modified_ms = from->modified_ms;
    to->checksum = from->checksum;
    to->error = from->error;
}

static void free_slot(struct fault *fault, struct slot *slot)
{
    pthread_mutex_lock(&fault->lock);
    slot->outer->internal.driver = NULL;
    slot->outer = NULL;
    slot->state = SLOT_FREE;
    pthread_mutex_unlock(&fault->lock);
}

static int injected(struct archive_request *outer, int status)
{
    return error_set(&outer->error, status, "archive", "%s (injected)", jini_status_text(status));
}

/* The archive behind has finished. */
static void inner_done(struct archive_request *inner)
{
    struct slot *slot = inner->user;
    struct fault *fault = slot->fault;
    struct archive_request *outer = slot->outer;
    enum fault_kind kind = slot->kind;
    int status = inner->status;
    copy_result(inner, outer);
    if (status == 0 && (kind == FAULT_SHORT || kind == FAULT_FLIP))
        status = change_result(slot);
    else if (kind == FAULT_LOST && status != JINI_E_CANCELLED && status != JINI_E_TIMEOUT)
        status = injected(outer, slot->answer);
    free_slot(fault, slot);
    archive_complete(&fault->archive, outer, status);
}

static int give_entry(struct archive_request *inner, const struct archive_entry *entry)
{
    struct slot *slot = inner->user;
    /* The archive behind counts and moves the cursor. */
    return slot->outer->list.entry(slot->outer, entry);
}

static void prepare_inner(struct slot *slot)
{
    struct archive_request *outer = slot->outer;
    struct archive_request *inner = &slot->inner;
    inner->operation = outer->operation;
    inner->name = outer->name;
    inner->deadline_ns = outer->deadline_ns;
    inner->done = inner_done;
    inner->user = slot;
    if (outer->operation == ARCHIVE_PUT)
        inner->put = outer->put;
    if (outer->operation == ARCHIVE_LIST) {
        inner->list = outer->list;
        inner->list.entry = give_entry;
    }
    if (outer->operation == ARCHIVE_GET) {
        inner->get = outer->get;
        if (outer->get.sink)
            inner->get.sink = sink;
    }
}

static int hand_on(struct slot *slot)
{
    prepare_inner(slot);
    int status = archive_submit(slot->fault->behind, &slot->inner);
    if (status != 0)
        slot->outer->error = slot->inner.error;
    return status;
}

/* The thread that sees to the requests that are held. */

/* Whether it is time for a held slot; `status`: what to answer, or 0 to hand it on. */
static bool is_due(struct fault *fault, struct slot *slot, uint64_t now_ns, int *status)
{
    struct archive_request *outer = slot->outer;
    *status = archive_interrupted(&fault->archive, outer);
    if (*status != 0)
        return true;
    if (fault->stopping) {
        *status =
            error_set(&outer->error, JINI_E_CANCELLED, "archive", "the archive is being closed");
        return true;
    }
    if (slot->kind == FAULT_HANG || now_ns < slot->due_ns)
        return false;
    if (slot->kind == FAULT_REFUSE)
        *status = injected(outer, slot->answer);
    return true;
}

/* Ends or hands on one held slot that is due; false when there is none. Takes and gives back the
 * lock. */
static bool release_one(struct fault *fault)
{
    uint64_t now_ns = clock_boot_ns(fault->archive.options.clock);
    for (uint32_t i = 0; i < fault->slot_count; i++) {
        struct slot *slot = &fault->slots[i];
        int status = 0;
        if (slot->state != SLOT_HELD || !is_due(fault, slot, now_ns, &status))
            continue;
        struct archive_request *outer = slot->outer;
        slot->state = SLOT_INNER; /* nobody else's from here on */
        if (status == 0)
            status = hand_on(slot);
        pthread_mutex_unlock(&fault->lock);
        if (status != 0) {
            free_slot(fault, slot);
            archive_complete(&fault->archive, outer, status);
        }
        pthread_mutex_lock(&fault->lock);
        return true;
    }
    return false;
}

static bool holds_any(const struct fault *fault)
{
    for (uint32_t i = 0; i < fault->slot_count; i++) {
        if (fault->slots[i].state == SLOT_HELD)
            return true;
    }
    return false;
}

static void *hold(void *argument)
{
    struct fault *fault = argument;
    pthread_setname_np(pthread_self(), "jini-fault");
    pthread_mutex_lock(&fault->lock);
    while (!fault->closing) {
        if (release_one(fault))
            continue;
        if (!holds_any(fault)) {
            pthread_cond_wait(&fault->wake, &fault->lock);
            continue;
        }
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * (long)NS_PER_MS;
        until.tv_sec += until.tv_nsec / (long)NS_PER_S;
        until.tv_nsec %= (long)NS_PER_S;
        pthread_cond_timedwait(&fault->wake, &fault->lock, &until);
    }
    pthread_mutex_unlock(&fault->lock);
    return NULL;
}

static int start_thread(struct fault *fault)
{
    pthread_attr_t attributes;
    sigset_t blocked;
    sigset_t before;
    if (fault->has_thread)
        return 0;
    if (pthread_attr_init(&attributes) != 0)
        return JINI_E_NO_MEMORY;
    sigfillset(&blocked);
    pthread_attr_setstacksize(&attributes, HOLD_STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    fault->has_thread = pthread_create(&fault->thread, &attributes, hold, fault) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return fault->has_thread ? 0 : JINI_E_NO_MEMORY;
}

/* The driver. */

static struct slot *take_slot(struct fault *fault)
{
    for (uint32_t i = 0; i < fault->slot_count; i++) {
        if (fault->slots[i].state == SLOT_FREE)
            return &fault->slots[i];
    }
    return NULL;
}

/* Decides, under the lock, what happens to a request. */
static int begin(struct fault *fault, struct slot *slot, struct archive_request *request)
{
    enum fault_kind kind = FAULT_PASS;
    if (fault->plan.operations >> request->operation & 1)
        kind = fault_plan_decide(&fault->plan, request->operation, fault->number++, &slot->drawn);
    bool changes = kind == FAULT_SHORT || kind == FAULT_FLIP;
    if (changes && request->get.sink && !slot->hash)
        slot->hash = hash_stream_new();
    if (changes && request->get.sink && !slot->hash)
        return JINI_E_NO_MEMORY;
    if (slot->hash)
        hash_stream_reset(slot->hash);
    bool held = kind == FAULT_REFUSE || kind == FAULT_DELAY || kind == FAULT_HANG;
    uint64_t delay_ns = kind == FAULT_DELAY ? fault->plan.delay_ms * NS_PER_MS : 0;
    if (held && start_thread(fault) != 0)
        return JINI_E_NO_MEMORY;
    slot->fault = fault;
    slot->outer = request;
    slot->kind = kind;
    slot->answer = fault->plan.status;
    slot->begun = false;
    slot->ended = false;
    slot->keep = 0;
    slot->passed = 0;
    slot->due_ns = clock_boot_ns(fault->archive.options.clock) + delay_ns;
    slot->state = held ? SLOT_HELD : SLOT_INNER;
    request->internal.driver = slot;
    return 0;
}

static int fault_submit(struct archive *archive, struct archive_request *request)
{
    struct fault *fault = fault_of(archive);
    pthread_mutex_lock(&fault->lock);
    struct slot *slot = take_slot(fault);
    int status = slot ? begin(fault, slot, request)
                      : error_set(&request->error, JINI_E_BUSY, "queue_max",
                                  "%u requests wait for the archive already", fault->slot_count);
    if (status != 0) {
        pthread_mutex_unlock(&fault->lock);
        return status;
    }
    enum fault_kind kind = slot->kind;
    if (slot->state == SLOT_HELD)
        pthread_cond_signal(&fault->wake);
    else
        status = hand_on(slot); /* under the lock: a cancel finds the request submitted */
    if (status == 0) {
        fault->counts[kind]++;
    } else {
        request->internal.driver = NULL;
        slot->state = SLOT_FREE;
    }
    pthread_mutex_unlock(&fault->lock);
    return status;
}

static void fault_cancel(struct archive *archive, struct archive_request *request)
{
    struct fault *fault = fault_of(archive);
    pthread_mutex_lock(&fault->lock);
    struct slot *slot = request->internal.driver;
    if (slot && slot->state == SLOT_INNER)
        archive_cancel(fault->behind, &slot->inner);
    pthread_cond_signal(&fault->wake);
    pthread_mutex_unlock(&fault->lock);
}

static void fault_stop(struct archive *archive)
{
    struct fault *fault = fault_of(archive);
    pthread_mutex_lock(&fault->lock);
    fault->stopping = true;
    pthread_cond_signal(&fault->wake);
    pthread_mutex_unlock(&fault->lock);
    archive_stop(fault->behind);
}

static void fault_close(struct archive *archive)
{
    struct fault *fault = fault_of(archive);
    bool forked = archive_is_forked(archive);
    if (!forked) {
        pthread_mutex_lock(&fault->lock);
        fault->closing = true;
        pthread_cond_signal(&fault->wake);
        pthread_mutex_unlock(&fault->lock);
        if (fault->has_thread)
            pthread_join(fault->thread, NULL);
        pthread_cond_destroy(&fault->wake);
        pthread_mutex_destroy(&fault->lock);
    }
    archive_close(fault->behind);
    for (uint32_t i = 0; i < fault->slot_count; i++)
        hash_stream_free(fault->slots[i].hash);
    base_free(fault->slots);
}

static int fault_open(struct archive *archive, const char *rest, struct jini_error *error)
{
    struct fault *fault = fault_of(archive);
    const char *colon = strchr(rest, ':');
    if (!colon || strncmp(colon + 1, "fault:", 6) == 0)
        return error_set(error, JINI_E_INVALID, "archive",
                         "write fault:SPEC:URL, with the URL of an archive that does exist");
    int status = fault_plan_parse(slice_of(rest, (size_t)(colon - rest)), &fault->plan, error);
    if (status != 0)
        return status;
    fault->slot_count = archive->options.queue_max + EXTRA_SLOTS;
    fault->slots = base_calloc(fault->slot_count, sizeof(*fault->slots));
    if (!fault->slots)
        return error_set(error, JINI_E_NO_MEMORY, "archive", "out of memory");
    status = archive_open(colon + 1, &archive->options, &fault->behind, error);
    if (status != 0) {
        base_free(fault->slots);
        return status;
    }
    pthread_mutex_init(&fault->lock, NULL);
    pthread_cond_init(&fault->wake, NULL);
    return 0;
}

const struct archive_driver archive_fault_driver = {.scheme = "fault",
                                                    .size = sizeof(struct fault),
                                                    .open = fault_open,
                                                    .submit = fault_submit,
                                                    .cancel = fault_cancel,
                                                    .stop = fault_stop,
                                                    .close = fault_close};

int archive_fault_set(struct archive *archive, const char *spec, struct jini_error *error)
{
    struct fault *fault = fault_of(archive);
    struct fault_plan plan;
    int status = fault_plan_parse(slice_of_text(spec), &plan, error);
    if (status != 0)
        return status;
    pthread_mutex_lock(&fault->lock);
    fault->plan = plan;
    fault->number = 0;
    pthread_mutex_unlock(&fault->lock);
    return 0;
}

void archive_fault_counts(struct archive *archive, uint64_t counts[FAULT_KINDS])
{
    struct fault *fault = fault_of(archive);
    pthread_mutex_lock(&fault->lock);
    memcpy(counts, fault->counts, sizeof(fault->counts));
    pthread_mutex_unlock(&fault->lock);
}

struct archive *archive_fault_inner(struct archive *archive)
{
    return fault_of(archive)->behind;
}
