/*
 * The bytes of the registry; private to registry.c, onlooker.c and turn.c. The format stands in
 * registry.h.
 */
#ifndef STORE_REGISTRY_LAYOUT_H
#define STORE_REGISTRY_LAYOUT_H

#include "base/clock.h"
#include "store/registry.h"

enum {
    REGISTRY_VERSION = 2,
    REGISTRY_SLOTS = STORE_PROCESSES_MAX,
    REGISTRY_SLOT_LOCK = 4096, /* the byte whose lock stands for slot 0 */
};

/* The holder died, and its slot has a new owner. */
#define REGISTRY_HOLDER_GONE UINT32_MAX

struct registry_header {
    char magic[8];
    uint32_t version;
    uint32_t slots;
    uint8_t boot_id[16];
    uint64_t pid_namespace;
    _Atomic uint64_t openings; /* grows with each slot that is taken */
    _Atomic uint64_t next_ticket;
    _Atomic uint32_t turn; /* a futex: changes whenever somebody leaves the queue */
    _Atomic uint32_t
        holder; /* slot + 1 of the process that writes; 0: nobody; or REGISTRY_HOLDER_GONE */
    _Atomic uint64_t holder_since_ns;
    _Atomic uint64_t shared_words[STORE_SHARED_WORDS];
};

struct registry_slot {
    _Atomic uint32_t incarnation;
    int32_t pid;
    _Atomic uint64_t ticket; /* 0: not in the queue */
    _Atomic uint64_t wait_since_ns;
    uint32_t format_min;
    uint32_t format_max;
    _Atomic uint32_t format_target; /* what it moves the database to; 0: nothing is announced */
    uint32_t sync;                  /* the store_sync of its commits, plus 1; 0: it makes none */
    uint64_t started_ns;
    char name[STORE_NAME_MAX];
    uint8_t reserved[256 - 48 - STORE_NAME_MAX];
};

struct registry_map {
    struct registry_header header;
    uint8_t reserved[4096 - sizeof(struct registry_header)];
    struct registry_slot slots[REGISTRY_SLOTS];
    _Atomic uint64_t change_words[STORE_CHANGE_WORDS];
};

_Static_assert(sizeof(struct registry_slot) == 256, "a slot is 256 bytes");
_Static_assert(offsetof(struct registry_map, slots) == 4096, "slots begin at 4096");
_Static_assert(offsetof(struct registry_map, change_words) == 20480, "change words begin at 20480");

struct registry {
    int fd; /* -1: anonymous */
    struct registry_map *map;
    struct store_process self;
    bool looks_on;                  /* no slot, and the map is not to be written */
    uint64_t openings;              /* when it began to look on */
    bool turn_broken;               /* writer thread only */
    const struct jini_clock *clock; /* of waits and of the day; processes compare the system's */
    char path[4096];
};

/* True while a live process other than this one has the slot. */
bool registry_slot_taken(const struct registry *registry, uint32_t slot);

/* onlooker.c: opens without a slot. JINI_E_LOCKED: a live process has one. */
int onlooker_open(struct registry *registry, struct jini_error *error);

#endif
