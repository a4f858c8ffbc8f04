/* From 128 bits to a number that is not 0, for as many as it was made for. */
#ifndef LEDGER_ID_MAP_H
#define LEDGER_ID_MAP_H

#include <jini/id.h>
#include <stdbool.h>

struct id_slot {
    struct jini_id id;
    uint32_t value; /* 0: free */
};

struct id_map {
    struct id_slot *slots;
    uint32_t *used; /* which slots are taken: those are cleared, however many there are */
    uint32_t mask;
    uint32_t count;
    uint32_t count_max;
};

/* Makes room for `count` ids. False: out of memory. */
bool id_map_init(struct id_map *map, uint32_t count);
void id_map_free(struct id_map *map);
void id_map_clear(struct id_map *map);

/* The value of an id, for the caller to set: 0 where it is new. */
uint32_t *id_map_at(struct id_map *map, const struct jini_id *id);

/* The value of an id, 0 where it is not there. */
uint32_t id_map_get(const struct id_map *map, const struct jini_id *id);

#endif
