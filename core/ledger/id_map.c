#include "ledger/id_map.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/id.h"

bool id_map_init(struct id_map *map, uint32_t count)
{
    uint32_t slots = 8;
    while (slots < 2 * count)
        slots *= 2;
    *map = (struct id_map){.slots = base_calloc(slots, sizeof(*map->slots)),
                           .used = base_malloc(count * sizeof(*map->used)),
                           .mask = slots - 1,
                           .count_max = count};
    return map->slots && map->used;
}

void id_map_free(struct id_map *map)
{
    base_free(map->slots);
    base_free(map->used);
    map->slots = NULL;
    map->used = NULL;
}

void id_map_clear(struct id_map *map)
{
    for (uint32_t i = 0; i < map->count; i++)
        map->slots[map->used[i]].value = 0;
    map->count = 0;
}

/* The slot of an id, or the free one that it would take. */
static struct id_slot *find(const struct id_map *map, const struct jini_id *id)
{
    uint32_t at = (uint32_t)hash64(slice_of(id->bytes, JINI_ID_BYTES)) & map->mask;
    while (map->slots[at].value != 0 && !id_equal(&map->slots[at].id, id))
        at = (at + 1) & map->mask;
    return &map->slots[at];
}

uint32_t id_map_get(const struct id_map *map, const struct jini_id *id)
{
    return find(map, id)->value;
}

uint32_t *id_map_at(struct id_map *map, const struct jini_id *id)
{
    struct id_slot *slot = find(map, id);
    if (slot->value == 0) {
        JINI_ASSERT(map->count < map->count_max);
        map->used[map->count++] = (uint32_t)(slot - map->slots);
        slot->id = *id;
    }
    return &slot->value;
}
