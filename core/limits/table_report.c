/*
 * What the table tells about itself: counters, occupancy, and who uses most. All of it is read
 * while others write.
 */
#include "limits/table_internal.h"

#include <arpa/inet.h>
#include <jini/status.h>
#include <stdio.h>

enum { EXAMINED_BUCKETS_MAX = 4096 };

static int view_of(struct table *table, struct table_view **out)
{
    *out = NULL;
    return table_is_forked(table) ? JINI_E_FORKED : table_view_of(table, out);
}

int table_counters(struct table *table, struct table_counters *out)
{
    struct table_view *view;
    uint64_t sums[COUNTERS] = {0};
    memset(out, 0, sizeof(*out));
    int status = view_of(table, &view);
    out->missing = atomic_load_explicit(&table->missing, memory_order_relaxed);
    if (status)
        return status;
    for (unsigned s = 0; s < TABLE_COUNTER_SHARDS; s++) {
        for (unsigned c = 0; c < COUNTERS; c++)
            sums[c] += atomic_load_explicit(&view->shards[s].counts[c], memory_order_relaxed);
    }
    *out = (struct table_counters){
        .admitted = sums[COUNTER_ADMITTED],
        .refused = sums[COUNTER_REFUSED],
        .uncounted = sums[COUNTER_UNCOUNTED],
        .full = sums[COUNTER_FULL],
        .busy = sums[COUNTER_BUSY],
        .taken = sums[COUNTER_TAKEN],
        .corrupt = sums[COUNTER_CORRUPT],
        .broken = sums[COUNTER_BROKEN],
        .missing = out->missing,
    };
    return 0;
}

/* What one slot says at one moment; false when it counts nobody now. */
struct sighting {
    uint64_t state;
    struct slot_description subject;
};

/*
 * A slot gets its description before its tag, and its tag before its state. So when the tag is the
 * same after the description was read as before, and the state is somebody's, the description is
 * that tag's.
 */
static bool sight(const struct slot *slot, const struct slot_details *details, uint64_t now_ns,
                  struct sighting *out)
{
    uint64_t words[SLOT_DETAIL_WORDS];
    out->state = atomic_load(&slot->state);
    uint64_t tag = atomic_load(&slot->tag);
    if (tag == 0 || !algorithm_is_owned(out->state))
        return false;
    for (unsigned i = 0; i < SLOT_DETAIL_WORDS; i++)
        words[i] = atomic_load(&details->words[i]);
    out->subject = slot_described(words);
    return atomic_load(&slot->tag) == tag && algorithm_is_owned(atomic_load(&slot->state)) &&
           algorithm_is_possible(out->state, out->subject.period_ms, now_ns) &&
           algorithm_expiry_ns(out->state, out->subject.period_ms) > now_ns;
}

int table_occupancy(struct table *table, enum table_region region, struct table_occupancy *out)
{
    struct table_view *view;
    memset(out, 0, sizeof(*out));
    if (region >= TABLE_REGIONS)
        return JINI_E_INVALID;
    int status = view_of(table, &view);
    if (status)
        return status;
    const struct table_view_region *of = &view->regions[region];
    uint64_t now_ns = clock_boot_ns(table->clock);
    uint64_t examined =
        of->bucket_count < EXAMINED_BUCKETS_MAX ? of->bucket_count : EXAMINED_BUCKETS_MAX;
    uint64_t live = 0;
    for (uint64_t i = 0; i < examined; i++) {
        uint64_t b = i * of->bucket_count / examined;
        for (unsigned s = 0; s < TABLE_BUCKET_SLOTS; s++) {
            struct sighting sighting;
            live += sight(&of->buckets[b].slots[s], &of->details[b * TABLE_BUCKET_SLOTS + s],
                          now_ns, &sighting);
        }
    }
    out->slots = (uint64_t)of->bucket_count * TABLE_BUCKET_SLOTS;
    out->examined = examined * TABLE_BUCKET_SLOTS;
    out->live = live * of->bucket_count / examined;
    return 0;
}

/* The top list: a heap with the smallest share first, then sorted. */

static bool entry_of(const struct sighting *sighting, uint64_t now_ns, struct table_entry *out)
{
    struct algorithm prepared;
    struct algorithm_outcome outcome;
    struct limit limit = {.amount = sighting->subject.amount,
                          .period_ms = sighting->subject.period_ms,
                          .burst = sighting->subject.burst};
    memset(out, 0, sizeof(*out));
    if (!algorithm_kind_of(sighting->state, &limit.algorithm) ||
        algorithm_prepare(&limit, &prepared, NULL) != 0)
        return false;
    algorithm_peek(sighting->state, &prepared, now_ns, 0, &outcome);
    uint64_t all = limit.algorithm == LIMIT_GCRA ? limit.burst : limit.amount;
    out->subject = sighting->subject;
    out->algorithm = limit.algorithm;
    out->remaining = outcome.remaining;
    out->used = all > outcome.remaining ? all - outcome.remaining : 0;
    out->reset_ns = outcome.reset_ns;
    return true;
}

/*
 * True when `a` has used a smaller share than `b`, or the same of less. Amounts have less than 32
 * bits.
 */
static bool is_less(const struct table_entry *a, const struct table_entry *b)
{
    uint64_t a_all = a->used + a->remaining;
    uint64_t b_all = b->used + b->remaining;
    uint64_t left = a->used * (b_all ? b_all : 1);
    uint64_t right = b->used * (a_all ? a_all : 1);
    return left != right ? left < right : a->used < b->used;
}

static void swap_entries(struct table_entry *a, struct table_entry *b)
{
    struct table_entry kept = *a;
    *a = *b;
    *b = kept;
}

static void sift_down(struct table_entry *heap, size_t count)
{
    size_t at = 0;
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
            if (is_less(&heap[child], &heap[least]))
                least = child;
        }
        if (least == at)
            return;
        swap_entries(&heap[at], &heap[least]);
        at = least;
    }
}

static void sift_up(struct table_entry *heap, size_t at)
{
    while (at > 0 && is_less(&heap[at], &heap[(at - 1) / 2])) {
        swap_entries(&heap[at], &heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static void offer(struct table_entry *heap, size_t *count, size_t capacity,
                  const struct table_entry *entry)
{
    if (*count < capacity) {
        heap[*count] = *entry;
        sift_up(heap, (*count)++);
    } else if (capacity > 0 && is_less(&heap[0], entry)) {
        heap[0] = *entry;
        sift_down(heap, *count);
    }
}

int table_top(struct table *table, enum table_region region, struct table_entry *out,
              size_t capacity, size_t *count)
{
    struct table_view *view;
    *count = 0;
    if (region >= TABLE_REGIONS || capacity > TABLE_TOP_MAX)
        return JINI_E_INVALID;
    int status = view_of(table, &view);
    if (status)
        return status;
    const struct table_view_region *of = &view->regions[region];
    uint64_t now_ns = clock_boot_ns(table->clock);
    for (uint64_t b = 0; b < of->bucket_count; b++) {
        for (unsigned s = 0; s < TABLE_BUCKET_SLOTS; s++) {
            struct sighting sighting;
            struct table_entry entry;
            if (sight(&of->buckets[b].slots[s], &of->details[b * TABLE_BUCKET_SLOTS + s], now_ns,
                      &sighting) &&
                entry_of(&sighting, now_ns, &entry))
                offer(out, count, capacity, &entry);
        }
    }
    /* The smallest goes to the end, again and again. */
    for (size_t left = *count; left > 1; left--) {
        swap_entries(&out[0], &out[left - 1]);
        sift_down(out, left - 1);
    }
    return 0;
}

/* Subjects as text. */

static void name_text(const struct slot_description *subject, const char *kind, struct buffer *text)
{
    size_t kept = subject->value_length < SLOT_VALUE_MAX ? subject->value_length : SLOT_VALUE_MAX;
    buffer_append(text, kind, strlen(kind));
    if (subject->value_length > 0)
        buffer_append_byte(text, ' ');
    for (size_t i = 0; i < kept; i++) {
        uint8_t byte = subject->value[i];
        buffer_append_byte(text, byte > ' ' && byte < 0x7F ? byte : '?');
    }
    if (subject->value_length > SLOT_VALUE_MAX)
        buffer_append(text, "...", 3);
}

static void number_text(const struct slot_description *subject, struct buffer *text)
{
    char number[32];
    int length = snprintf(number, sizeof(number), "user %llu",
                          (unsigned long long)load_le64(subject->value));
    buffer_append(text, number, (size_t)length);
}

static void address_text(const struct slot_description *subject, struct buffer *text)
{
    char address[INET6_ADDRSTRLEN] = "";
    uint8_t bytes[16] = {0};
    bool narrow = subject->kind == TABLE_IPV4;
    memcpy(bytes, subject->value, narrow ? 4 : 8);
    inet_ntop(narrow ? AF_INET : AF_INET6, bytes, address, sizeof(address));
    buffer_append(text, "ip ", 3);
    buffer_append(text, address, strlen(address));
    if (!narrow)
        buffer_append(text, "/64", 3);
}

static void key_text(const struct slot_description *subject, struct buffer *text)
{
    static const char digits[] = "0123456789abcdef";
    buffer_append(text, "key ", 4);
    for (size_t i = 0; i < SLOT_VALUE_MAX && i < subject->value_length; i++) {
        buffer_append_byte(text, (uint8_t)digits[subject->value[i] >> 4]);
        buffer_append_byte(text, (uint8_t)digits[subject->value[i] & 15]);
    }
}

size_t table_subject_text(const struct slot_description *subject, char text[TABLE_SUBJECT_TEXT_MAX])
{
    struct buffer out = buffer_of(text, TABLE_SUBJECT_TEXT_MAX - 1);
    switch (subject->kind) {
    case TABLE_USER:
        number_text(subject, &out);
        break;
    case TABLE_API_KEY:
        key_text(subject, &out);
        break;
    case TABLE_IPV4:
    case TABLE_IPV6:
        address_text(subject, &out);
        break;
    case TABLE_TIER:
        name_text(subject, "tier", &out);
        break;
    case TABLE_MODEL:
        name_text(subject, "model", &out);
        break;
    case TABLE_GLOBAL:
        name_text(subject, "global", &out);
        break;
    default:
        name_text(subject, "unknown", &out);
    }
    JINI_ASSERT(!out.overflow);
    text[out.length] = '\0';
    return out.length;
}
