/*
 * The ring of refusals.
 *
 * decisions.shm, in the byte order of the machine:
 *
 *        0  8   "JINIWHY\0"
 *        8  4   version, 1
 *       12  4   bytes of a slot, 512
 *       16  8   number of slots, a power of two
 *       24  8   checksum: XXH3-64 of the 24 bytes before it
 *       64  8   the number of the next decision; grows with each that is begun
 *     4096      slots
 *
 * A slot; decision n has slot n modulo their number:
 *
 *        0  8   state: 2n + 1 while decision n is written, 2n + 2 when it is there; 0: none was
 *        8  8   checksum: XXH3-64 of the number n and of the bytes behind
 *       16  16  id
 *       32  8   time_ms
 *       40  4   status
 *       44  4   kind of the subject
 *       48  8   its number
 *       56  16  its address
 *       72  16  width, height, steps, count
 *       88  48  model, with NUL
 *      136  48  field, with NUL
 *      184  128 message, with NUL
 *      312  2   length of the facts
 *      314      facts (facts.h), and zeros
 *
 * Invariants
 *  1. Who writes takes the slot over, whatever stands there: a writer that was killed leaves its
 *     state odd until the next one comes to it, a whole round later. Nobody waits.
 *  2. A reader takes a slot whose state is even, stood still while it was copied, and whose
 *     checksum fits: so of two writers that meet in one, a round apart, one is believed or none.
 *     Words are read and written one by one, atomically.
 *  3. The file is made under another name, wholly allocated, and takes its place under a lock of
 *     the directory. One that is damaged is replaced so; who has the old one open writes on there.
 *     Whatever stands in it, each byte is checked before it is used, and no offset comes from it.
 */
#include "engine/decisions.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/text.h"
#include "engine/facts.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    VERSION = 1,
    SLOTS_OFFSET = 4096,
    SLOT_WORDS = DECISIONS_SLOT_BYTES / 8,
    STATE_WORD = 0,
    CHECK_WORD = 1,
    BODY_WORD = 2,
    BODY_BYTES = (SLOT_WORDS - BODY_WORD) * 8,
    FACTS_OFFSET = 314 - 16,
    FACTS_BYTES = BODY_BYTES - FACTS_OFFSET,
    ROOM_SHARE = 4,
    RETRY_MS = 1000, /* after the file could not be made */
};

/* Of the counter, which may hold anything: what fits into a state. */
#define NUMBER_MASK (UINT64_MAX >> 2)

static const char format_magic[8] = "JINIWHY";

struct header {
    char magic[8];
    uint32_t version;
    uint32_t slot_bytes;
    uint64_t slots;
    uint64_t checksum;
    uint8_t reserved[32];
    _Atomic uint64_t next;
};
_Static_assert(offsetof(struct header, checksum) == 24, "the header is as written above");
_Static_assert(offsetof(struct header, next) == 64, "the header is as written above");

struct slot {
    _Atomic uint64_t words[SLOT_WORDS];
};
_Static_assert(sizeof(struct slot) == DECISIONS_SLOT_BYTES, "a slot is as written above");

struct ring {
    struct header *header;
    struct slot *slots;
    uint64_t count; /* read once: whatever becomes of the file */
};

struct decisions {
    char path[4200];
    char directory[4100];
    uint64_t kept;
    pthread_mutex_t lock; /* of opening */
    _Atomic(struct ring *) ring;
    uint64_t retry_ns;
};

/* ---- The file ---- */

static uint64_t header_checksum(const struct header *header)
{
    return hash64(slice_of(header, offsetof(struct header, checksum)));
}

static uint64_t file_bytes(uint64_t slots)
{
    return SLOTS_OFFSET + slots * DECISIONS_SLOT_BYTES;
}

static bool header_is_right(const struct header *header, off_t size)
{
    return memcmp(header->magic, format_magic, sizeof(format_magic)) == 0 &&
           header->checksum == header_checksum(header) && header->version == VERSION &&
           header->slot_bytes == DECISIONS_SLOT_BYTES && header->slots >= DECISIONS_LEAST &&
           header->slots <= DECISIONS_MOST && (header->slots & (header->slots - 1)) == 0 &&
           size >= 0 && (uint64_t)size == file_bytes(header->slots);
}

static struct ring *map_file(int file, uint64_t slots)
{
    struct ring *ring = base_calloc(1, sizeof(*ring));
    if (!ring)
        return NULL;
    void *base = mmap(NULL, file_bytes(slots), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (base == MAP_FAILED) {
        base_free(ring);
        return NULL;
    }
    madvise(base, file_bytes(slots), MADV_RANDOM);
    ring->header = base;
    ring->slots = (struct slot *)(void *)((uint8_t *)base + SLOTS_OFFSET);
    ring->count = slots;
    return ring;
}

static void unmap(struct ring *ring)
{
    if (!ring)
        return;
    munmap(ring->header, file_bytes(ring->count));
    base_free(ring);
}

/* The ring that stands at the path. NULL: none that can be used; `missing`: none at all. */
static struct ring *open_file(const char *path, bool *missing)
{
    struct header header;
    struct stat info;
    struct ring *ring = NULL;
    int file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    *missing = file < 0 && errno == ENOENT;
    if (file < 0)
        return NULL;
    if (fstat(file, &info) == 0 && S_ISREG(info.st_mode) &&
        pread(file, &header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
        header_is_right(&header, info.st_size))
        ring = map_file(file, header.slots);
    close(file);
    return ring;
}

static uint64_t power_of_two(uint64_t kept)
{
    uint64_t slots = DECISIONS_LEAST;
    while (slots < kept && slots < DECISIONS_MOST)
        slots *= 2;
    return slots;
}

static bool has_room(const char *directory, uint64_t bytes)
{
    struct statvfs disk;
    return statvfs(directory, &disk) == 0 &&
           (uint64_t)disk.f_bavail * disk.f_frsize / ROOM_SHARE >= bytes;
}

/* Allocated, so that no write to it can fail for want of room; then it takes its place. */
static bool make_file(const struct decisions *decisions)
{
    char path[4220];
    struct header header = {.version = VERSION, .slot_bytes = DECISIONS_SLOT_BYTES};
    snprintf(path, sizeof(path), "%s.new", decisions->path);
    memcpy(header.magic, format_magic, sizeof(header.magic));
    header.slots = power_of_two(decisions->kept);
    header.checksum = header_checksum(&header);
    if (!has_room(decisions->directory, file_bytes(header.slots)))
        return false;
    unlink(path); /* what a process that was killed has left */
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return false;
    bool made = posix_fallocate(file, 0, (off_t)file_bytes(header.slots)) == 0 &&
                pwrite(file, &header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
                rename(path, decisions->path) == 0;
    close(file);
    if (!made)
        unlink(path);
    return made;
}

/* Under a lock of the directory, so that two processes do not replace each other's. */
static struct ring *make_ring(const struct decisions *decisions)
{
    bool missing;
    struct ring *ring = NULL;
    int directory = open(decisions->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return NULL;
    if (flock(directory, LOCK_EX | LOCK_NB) == 0) {
        ring = open_file(decisions->path, &missing);
        if (!ring && make_file(decisions))
            ring = open_file(decisions->path, &missing);
    }
    close(directory);
    return ring;
}

static uint64_t now_ns(void)
{
    return clock_boot_ns(&clock_system);
}

/* NULL: there is none. With `make` one is made. */
static struct ring *ring_of(struct decisions *decisions, bool make)
{
    struct ring *ring = atomic_load(&decisions->ring);
    bool missing;
    if (ring)
        return ring;
    pthread_mutex_lock(&decisions->lock);
    ring = atomic_load(&decisions->ring);
    if (!ring)
        ring = open_file(decisions->path, &missing);
    if (!ring && make && now_ns() >= decisions->retry_ns) {
        ring = make_ring(decisions);
        decisions->retry_ns = now_ns() + RETRY_MS * NS_PER_MS;
    }
    atomic_store(&decisions->ring, ring);
    pthread_mutex_unlock(&decisions->lock);
    return ring;
}

struct decisions *decisions_new(const char *directory, uint64_t kept)
{
    struct decisions *decisions = base_calloc(1, sizeof(*decisions));
    if (!decisions)
        return NULL;
    decisions->kept = kept;
    snprintf(decisions->directory, sizeof(decisions->directory), "%s", directory);
    snprintf(decisions->path, sizeof(decisions->path), "%s/decisions.shm", directory);
    pthread_mutex_init(&decisions->lock, NULL);
    return decisions;
}

void decisions_free(struct decisions *decisions)
{
    if (!decisions)
        return;
    unmap(atomic_load(&decisions->ring));
    pthread_mutex_destroy(&decisions->lock);
    base_free(decisions);
}

/* ---- Slots ---- */

static uint64_t slot_checksum(uint64_t number, const uint64_t body[SLOT_WORDS - BODY_WORD])
{
    uint64_t bytes[1 + SLOT_WORDS - BODY_WORD];
    bytes[0] = number;
    memcpy(bytes + 1, body, BODY_BYTES);
    return hash64(slice_of(bytes, sizeof(bytes)));
}

/* Text in a field of `room` bytes, cut, with zeros behind. */
static void put_text(uint8_t *to, size_t room, const char *text)
{
    text_copy_utf8((char *)to, room, text);
}

static void encode(const struct jini_decision *decision, uint8_t body[BODY_BYTES])
{
    struct buffer facts = buffer_of(body + FACTS_OFFSET, FACTS_BYTES);
    memset(body, 0, BODY_BYTES);
    memcpy(body, decision->id.bytes, JINI_ID_BYTES);
    store_le64(body + 16, decision->time_ms);
    store_le32(body + 24, (uint32_t)decision->status);
    store_le32(body + 28, decision->subject.kind);
    store_le64(body + 32, decision->subject.number);
    memcpy(body + 40, decision->subject.address, sizeof(decision->subject.address));
    store_le32(body + 56, decision->width);
    store_le32(body + 60, decision->height);
    store_le32(body + 64, decision->steps);
    store_le32(body + 68, decision->count);
    put_text(body + 72, JINI_WHY_MODEL_MAX, decision->model);
    put_text(body + 120, JINI_WHY_MODEL_MAX, decision->field);
    put_text(body + 168, JINI_WHY_MESSAGE_MAX, decision->message);
    if (facts_write(decision, &facts) != 0)
        facts.length = 0;
    if (facts.length < FACTS_BYTES)
        memset(body + FACTS_OFFSET + facts.length, 0, FACTS_BYTES - facts.length);
    store_le16(body + 296, (uint16_t)facts.length);
}

static bool get_text(const uint8_t *from, size_t room, char *out)
{
    const uint8_t *end = memchr(from, 0, room);
    if (!end || !text_is_utf8(slice_of(from, (size_t)(end - from))))
        return false;
    memcpy(out, from, (size_t)(end - from) + 1);
    return true;
}

static bool decode(const uint8_t body[BODY_BYTES], struct jini_decision *out)
{
    size_t length = load_le16(body + 296);
    memset(out, 0, sizeof(*out));
    out->decided = JINI_LIMITS_MAX;
    memcpy(out->id.bytes, body, JINI_ID_BYTES);
    out->time_ms = load_le64(body + 16);
    out->status = (int32_t)load_le32(body + 24);
    out->subject.kind = load_le32(body + 28);
    out->subject.number = load_le64(body + 32);
    memcpy(out->subject.address, body + 40, sizeof(out->subject.address));
    out->width = load_le32(body + 56);
    out->height = load_le32(body + 60);
    out->steps = load_le32(body + 64);
    out->count = load_le32(body + 68);
    return out->status < 0 &&
           (out->subject.kind == JINI_SUBJECT_USER || out->subject.kind == JINI_SUBJECT_ADDRESS) &&
           get_text(body + 72, JINI_WHY_MODEL_MAX, out->model) &&
           get_text(body + 120, JINI_WHY_MODEL_MAX, out->field) &&
           get_text(body + 168, JINI_WHY_MESSAGE_MAX, out->message) && length <= FACTS_BYTES &&
           (length == 0 || facts_read(slice_of(body + FACTS_OFFSET, length), out) == 0);
}

bool decisions_add(struct decisions *decisions, const struct jini_decision *decision, bool may_make)
{
    uint64_t body[SLOT_WORDS - BODY_WORD];
    struct ring *ring = ring_of(decisions, may_make);
    if (!ring)
        return false;
    encode(decision, (uint8_t *)body);
    uint64_t number = atomic_fetch_add(&ring->header->next, 1) & NUMBER_MASK;
    _Atomic uint64_t *words = ring->slots[number % ring->count].words;
    uint64_t mine = 2 * number + 1;
    atomic_store(&words[STATE_WORD], mine);
    /* Each after the state, which a reader of any of them looks at again. */
    atomic_store_explicit(&words[CHECK_WORD], slot_checksum(number, body), memory_order_release);
    for (unsigned i = BODY_WORD; i < SLOT_WORDS; i++)
        atomic_store_explicit(&words[i], body[i - BODY_WORD], memory_order_release);
    atomic_compare_exchange_strong(&words[STATE_WORD], &mine, mine + 1);
    return true;
}

static bool read_slot(struct slot *slot, struct jini_decision *out)
{
    uint64_t body[SLOT_WORDS - BODY_WORD];
    uint64_t state = atomic_load(&slot->words[STATE_WORD]);
    if (state == 0 || state % 2 != 0)
        return false;
    uint64_t checksum = atomic_load_explicit(&slot->words[CHECK_WORD], memory_order_acquire);
    for (unsigned i = BODY_WORD; i < SLOT_WORDS; i++)
        body[i - BODY_WORD] = atomic_load_explicit(&slot->words[i], memory_order_acquire);
    return atomic_load(&slot->words[STATE_WORD]) == state &&
           checksum == slot_checksum(state / 2 - 1, body) && decode((const uint8_t *)body, out);
}

static bool is_wanted(const struct jini_decision *decision, const struct decisions_wanted *wanted)
{
    bool of_user = wanted->user_id == 0 || (decision->subject.kind == JINI_SUBJECT_USER &&
                                            decision->subject.number == wanted->user_id);
    return of_user && (!wanted->id || jini_id_compare(&decision->id, wanted->id) == 0);
}

size_t decisions_list(struct decisions *decisions, const struct decisions_wanted *wanted,
                      struct jini_decision *out, size_t capacity)
{
    struct ring *ring = ring_of(decisions, false);
    size_t count = 0;
    if (!ring)
        return 0;
    uint64_t next = atomic_load(&ring->header->next);
    for (uint64_t i = 1; i <= ring->count && count < capacity; i++) {
        struct slot *slot = &ring->slots[(next - i) % ring->count];
        if (read_slot(slot, &out[count]) && is_wanted(&out[count], wanted))
            count++;
    }
    return count;
}
