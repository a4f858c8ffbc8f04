/* Signals: futexes on words of the registry, which all processes have mapped. */
#include "store/registry.h"
#include "store/store_private.h"

#include "base/clock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Of a process that looks on: nobody writes then, and it can wake itself by nothing. */
enum { ONLOOKER_LOOK_MS = 100 };

/* The kernel waits on 32 bits: the lower ones, which change with each signal. */
static uint32_t *low_half(_Atomic uint64_t *word)
{
    return (uint32_t *)(void *)word + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 1 : 0);
}

static void fire(_Atomic uint64_t *word)
{
    atomic_fetch_add(word, 1);
    syscall(SYS_futex, low_half(word), FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

void store_signal(struct store_txn *txn, uint32_t word)
{
    JINI_ASSERT(word >= STORE_SHARED_SIGNALS && word < STORE_SHARED_WORDS);
    txn->signals |= 1u << word;
}

void store_signal_now(struct store *store, uint32_t word)
{
    if (!registry_looks_on(store->registry))
        fire(store_shared_word(store, word));
}

void signal_fire(struct store *store, uint32_t signals)
{
    for (uint32_t word = STORE_SHARED_SIGNALS; word < STORE_SHARED_WORDS; word++) {
        if (signals & 1u << word)
            fire(registry_shared_word(store->registry, word));
    }
}

void signal_fire_all(struct store *store)
{
    signal_fire(store, UINT32_MAX);
}

uint32_t store_signal_seen(struct store *store, uint32_t word)
{
    return (uint32_t)atomic_load(store_shared_word(store, word));
}

void store_signal_wait(struct store *store, uint32_t word, uint32_t seen, uint64_t wait_ms)
{
    uint64_t most_ms = registry_looks_on(store->registry) ? ONLOOKER_LOOK_MS : STORE_SIGNAL_LOOK_MS;
    if (wait_ms > most_ms)
        wait_ms = most_ms;
    const struct timespec timeout = {.tv_sec = (time_t)(wait_ms / 1000),
                                     .tv_nsec = (long)(wait_ms % 1000 * NS_PER_MS)};
    syscall(SYS_futex, low_half(store_shared_word(store, word)), FUTEX_WAIT, seen, &timeout, NULL,
            0);
}
