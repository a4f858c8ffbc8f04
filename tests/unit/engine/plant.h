/* Writing straight into an engine's store, past all that keeps its rows whole. */
#ifndef PLANT_H
#define PLANT_H

#include "engine/engine_private.h"

#include "base/tuple.h"
#include "engine_fixture.h"
#include "store/store.h"

struct plant {
    enum store_space space;
    struct tuple key;
    const void *value; /* NULL: the row is deleted */
    size_t length;
};

static int op_plant(struct store_txn *txn, void *argument)
{
    const struct plant *plant = argument;
    if (!plant->value)
        return store_delete(txn, plant->space, tuple_key(&plant->key));
    return store_put(txn, plant->space, tuple_key(&plant->key),
                     slice_of(plant->value, plant->length));
}

static inline void plant_row(struct jini *jini, enum store_space space, const struct tuple *key,
                             const void *value, size_t length)
{
    struct plant plant = {space, *key, value, length};
    CHECK_OK(store_write(jini->store, op_plant, &plant));
}

static int op_plant_home(struct store_txn *txn, void *argument)
{
    (void)argument;
    return store_make_home(txn);
}

/* A copy of a database stands for it from now on, as what was copied below the files does. */
static inline void plant_home(struct jini *jini)
{
    CHECK_OK(store_write(jini->store, op_plant_home, NULL));
}

static inline struct tuple plant_key_id(const struct jini_id *id)
{
    struct tuple key;
    tuple_begin(&key);
    tuple_add_id(&key, id);
    return key;
}

static inline struct tuple plant_key_user(uint64_t user, const char *row)
{
    struct tuple key;
    tuple_begin(&key);
    tuple_add_uint(&key, user);
    tuple_add_text(&key, slice_of_text(row));
    return key;
}

static inline struct tuple plant_key_due(const char *kind, uint64_t due_ms,
                                         const struct jini_id *id)
{
    struct tuple key;
    tuple_begin(&key);
    tuple_add_text(&key, slice_of_text(kind));
    tuple_add_uint(&key, due_ms);
    tuple_add_id(&key, id);
    return key;
}

#endif
