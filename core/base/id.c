/* UUIDv7 ids and their text form. */
#include "base/id.h"

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/fork.h"

enum { FRACTION_BITS = 12, POOL_IDS = 64, POOL_BYTES = POOL_IDS * 8 };

/*
 * Random bytes are drawn in blocks: one system call for 64 ids. A child drops what its parent drew.
 */
static _Thread_local struct {
    uint8_t bytes[POOL_BYTES];
    uint32_t left;
    uint32_t fork_generation;
} pool;

static uint64_t random_word(void)
{
    uint32_t generation = fork_generation();
    if (pool.left == 0 || pool.fork_generation != generation) {
        crypto_random(pool.bytes, sizeof(pool.bytes));
        pool.left = sizeof(pool.bytes);
        pool.fork_generation = generation;
    }
    pool.left -= 8;
    uint64_t word = load_le64(pool.bytes + pool.left);
    store_le64(pool.bytes + pool.left, 0);
    return word;
}

void id_source_init(struct id_source *source, const struct jini_clock *clock)
{
    source->clock = clock;
    atomic_init(&source->last, 0);
}

struct jini_id id_next(struct id_source *source)
{
    uint64_t now_ns = clock_wall_ns(source->clock);
    uint64_t fraction = (now_ns % NS_PER_MS << FRACTION_BITS) / NS_PER_MS;
    uint64_t now = now_ns / NS_PER_MS << FRACTION_BITS | fraction;
    uint64_t last = atomic_load_explicit(&source->last, memory_order_relaxed);
    uint64_t time;
    do {
        time = now > last ? now : last + 1;
    } while (!atomic_compare_exchange_weak_explicit(&source->last, &last, time,
                                                    memory_order_relaxed, memory_order_relaxed));
    struct jini_id id;
    uint64_t milliseconds = time >> FRACTION_BITS;
    uint64_t high = milliseconds << 16 | UINT64_C(7) << 12 | (time & ((1u << FRACTION_BITS) - 1));
    uint64_t low = UINT64_C(2) << 62 | random_word() >> 2;
    store_be64(id.bytes, high);
    store_be64(id.bytes + 8, low);
    return id;
}

uint64_t id_time_ms(const struct jini_id *id)
{
    return load_be64(id->bytes) >> 16;
}

bool id_is_zero(const struct jini_id *id)
{
    return load_be64(id->bytes) == 0 && load_be64(id->bytes + 8) == 0;
}

int jini_id_compare(const struct jini_id *a, const struct jini_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static bool dash_follows(int byte)
{
    return byte == 3 || byte == 5 || byte == 7 || byte == 9;
}

void jini_id_format(const struct jini_id *id, char text[JINI_ID_TEXT_MAX])
{
    static const char digits[] = "0123456789abcdef";
    char *to = text;
    for (int i = 0; i < JINI_ID_BYTES; i++) {
        *to++ = digits[id->bytes[i] >> 4];
        *to++ = digits[id->bytes[i] & 15];
        if (dash_follows(i))
            *to++ = '-';
    }
    *to = '\0';
}

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

int jini_id_parse(const char *text, struct jini_id *out)
{
    struct jini_id id;
    memset(out, 0, sizeof(*out));
    if (!text)
        return JINI_E_INVALID;
    for (int i = 0; i < JINI_ID_BYTES; i++) {
        int high = digit_value(text[0]);
        int low = high < 0 ? -1 : digit_value(text[1]);
        if (low < 0)
            return JINI_E_INVALID;
        id.bytes[i] = (uint8_t)(high << 4 | low);
        text += 2;
        if (dash_follows(i) && *text++ != '-')
            return JINI_E_INVALID;
    }
    if (*text != '\0')
        return JINI_E_INVALID;
    *out = id;
    return 0;
}
