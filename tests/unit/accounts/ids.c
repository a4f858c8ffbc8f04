/* User ids: blocks, draws, giving back. */
#include "accounts_fixture.h"

#include <pthread.h>

/* The next id that the counter gives. */
static uint64_t counter(struct world *world)
{
    uint8_t bytes[KEYS_ID_BYTES];
    struct tuple key;
    keys_counter(&key);
    CHECK_UINT(world_read(world, STORE_SPACE_USER_KEYS, &key, bytes, sizeof(bytes)), ==, 8);
    return load_le64(bytes);
}

static void set_counter(struct world *world, uint64_t next)
{
    uint8_t bytes[KEYS_ID_BYTES];
    struct tuple key;
    keys_counter(&key);
    store_le64(bytes, next);
    world_put(world, STORE_SPACE_USER_KEYS, &key, slice_of(bytes, sizeof(bytes)));
}

static int op_give_back(struct store_txn *txn, void *argument)
{
    return accounts_ids_give_back(txn, argument);
}

static uint64_t add_numbered(struct world *world, unsigned number)
{
    char name[24];
    snprintf(name, sizeof(name), "user%u", number);
    return world_add(world, name, "");
}

STORE_TEST(ids_grow_from_one, "Users get 1, 2, 3 and on, over the end of a block.")
{
    struct world world;
    world_open(&world, driver);
    for (unsigned i = 1; i <= 3 * ACCOUNTS_ID_BLOCK; i++) {
        CHECK_UINT(add_numbered(&world, i), ==, i);
        CHECK_UINT(counter(&world), ==,
                   (i + ACCOUNTS_ID_BLOCK - 1) / ACCOUNTS_ID_BLOCK * ACCOUNTS_ID_BLOCK + 1);
    }
    world_close(&world);
}

TEST(draws_in_flight_take_one_id_each, "Of many draws from an empty pool one takes a block.")
{
    struct accounts_ids ids;
    struct accounts_draw draws[4];
    accounts_ids_init(&ids);
    for (int i = 0; i < 4; i++) {
        accounts_ids_draw(&ids, &draws[i]);
        CHECK_UINT(draws[i].id, ==, 0);
        CHECK_UINT(draws[i].take, ==, i == 0 ? ACCOUNTS_ID_BLOCK : 1);
    }
    for (int i = 1; i < 4; i++)
        accounts_ids_settle(&ids, &draws[i], i == 1 ? 0 : JINI_E_BUSY);
    struct accounts_draw still;
    accounts_ids_draw(&ids, &still);
    CHECK_UINT(still.take, ==, 1);
    draws[0].taken = (struct accounts_id_range){100, 3};
    accounts_ids_settle(&ids, &draws[0], 0);
    for (uint64_t id = 101; id <= 102; id++) {
        accounts_ids_draw(&ids, &still);
        CHECK_UINT(still.id, ==, id);
        CHECK_UINT(still.take, ==, 0);
        accounts_ids_settle(&ids, &still, JINI_E_EXISTS);
    }
    accounts_ids_draw(&ids, &still);
    CHECK_UINT(still.id, ==, 0);
    CHECK_UINT(still.take, ==, ACCOUNTS_ID_BLOCK);
    accounts_ids_settle(&ids, &still, JINI_E_CANCELLED);
    accounts_ids_draw(&ids, &still); /* after a failure the next one takes the block */
    CHECK_UINT(still.take, ==, ACCOUNTS_ID_BLOCK);
    accounts_ids_settle(&ids, &still, JINI_E_FULL);
    struct accounts_id_range rest = accounts_ids_drain(&ids);
    CHECK_UINT(rest.count, ==, 0);
}

STORE_TEST(a_refused_user_takes_no_block, "The counter stands after a create that wrote nothing.")
{
    struct world world;
    world_open(&world, driver);
    set_counter(&world, 10);
    struct jini_user user = world_user("a b", "");
    CHECK_STATUS(world_create(&world, &user, NULL), JINI_E_INVALID);
    CHECK_UINT(counter(&world), ==, 10);
    CHECK_UINT(world_add(&world, "alice", ""), ==, 10);
    CHECK_UINT(counter(&world), ==, 10 + ACCOUNTS_ID_BLOCK);
    world_close(&world);
}

STORE_TEST(the_last_block_is_given_back, "A clean close leaves no gap; an older block stays one.")
{
    struct world world;
    world_open(&world, driver);
    add_numbered(&world, 1);
    add_numbered(&world, 2);
    struct accounts_id_range rest = accounts_ids_drain(&world.ids);
    CHECK_UINT(rest.first, ==, 3);
    CHECK_UINT(rest.count, ==, ACCOUNTS_ID_BLOCK - 2);
    CHECK_OK(store_write(world.store, op_give_back, &rest));
    CHECK_UINT(counter(&world), ==, 3);
    CHECK_OK(store_write(world.store, op_give_back, &rest)); /* once is enough */
    CHECK_UINT(counter(&world), ==, 3);
    CHECK_UINT(add_numbered(&world, 3), ==, 3);
    rest = accounts_ids_drain(&world.ids);
    CHECK_UINT(add_numbered(&world, 4), ==, 3 + ACCOUNTS_ID_BLOCK);
    CHECK_OK(store_write(world.store, op_give_back, &rest));
    CHECK_UINT(counter(&world), ==, 3 + 2 * ACCOUNTS_ID_BLOCK);
    struct accounts_id_range none = {0};
    CHECK_OK(store_write(world.store, op_give_back, &none));
    world_close(&world);
}

STORE_TEST(
    an_id_in_use_is_never_given_again,
    "A counter that fell behind is put behind the last user by the first who would get an id "
    "in use, from the counter or from a pool; nobody is written over.")
{
    struct world world;
    struct jini_user user;
    world_open(&world, driver);
    for (unsigned i = 1; i <= 5; i++)
        add_numbered(&world, i);
    struct accounts_id_range rest = accounts_ids_drain(&world.ids);
    set_counter(&world, 3);
    CHECK_UINT(add_numbered(&world, 6), ==, 6);
    CHECK_UINT(counter(&world), ==, 6 + ACCOUNTS_ID_BLOCK);
    CHECK_UINT(rest.first, ==, 6); /* of a process that goes on with it */
    atomic_store(&world.ids.state, rest.first << 16 | rest.count << 1);
    CHECK_UINT(add_numbered(&world, 7), ==, 6 + ACCOUNTS_ID_BLOCK);
    CHECK_UINT(counter(&world), ==, 7 + ACCOUNTS_ID_BLOCK);
    CHECK_UINT(add_numbered(&world, 8), ==, 7);
    for (uint64_t id = 1; id <= 5; id++) {
        char name[24];
        snprintf(name, sizeof(name), "user%u", (unsigned)id);
        CHECK_OK(world_get(&world, id, &user));
        CHECK_TEXT(user.username, name);
    }
    world_close(&world);
}

STORE_TEST(rows_of_no_user_move_no_counter,
           "The last user is looked for past the rows of others, and not past any number of them.")
{
    enum { FEW = 3, MANY = 1024 };
    struct world world;
    struct tuple key;
    world_open(&world, driver);
    CHECK_UINT(add_numbered(&world, 1), ==, 1);
    accounts_ids_drain(&world.ids);
    set_counter(&world, 1);
    for (unsigned i = 0; i < MANY; i++) {
        tuple_begin(&key);
        tuple_add_uint(&key, 1000 + i);
        tuple_add_text(&key, slice_of_text("q"));
        world_put(&world, STORE_SPACE_USERS, &key, slice_of("x", 1));
        if (i != FEW)
            continue;
        CHECK_UINT(add_numbered(&world, 2), ==, 2);
        accounts_ids_drain(&world.ids);
        set_counter(&world, 1);
    }
    struct jini_user user = world_user("carol", "");
    CHECK_STATUS(world_create(&world, &user, NULL), JINI_E_EXISTS);
    CHECK_TEXT(world.error.field, "id");
    CHECK_CONTAINS(world.error.message, "more than 1024 rows of no user");
    CHECK_UINT(counter(&world), ==, 1);
    world_close(&world);
}

STORE_TEST(a_damaged_counter_is_corrupt, "Zero, another length or too large a number give no ids.")
{
    struct world world;
    struct jini_user user = world_user("bob", "");
    struct tuple key;
    uint8_t bytes[100] = {1};
    keys_counter(&key);
    world_open(&world, driver);
    for (size_t length = 0; length < sizeof(bytes); length++) {
        if (length == KEYS_ID_BYTES)
            continue;
        world_put(&world, STORE_SPACE_USER_KEYS, &key, slice_of(bytes, length));
        CHECK_STATUS(world_create(&world, &user, NULL), JINI_E_CORRUPT);
    }
    set_counter(&world, 0);
    CHECK_STATUS(world_create(&world, &user, NULL), JINI_E_CORRUPT);
    set_counter(&world, ACCOUNTS_ID_MAX + 2);
    CHECK_STATUS(world_create(&world, &user, NULL), JINI_E_CORRUPT);
    set_counter(&world, ACCOUNTS_ID_MAX - 5);
    CHECK_STATUS(world_create(&world, &user, NULL), JINI_E_TOO_BIG);
    CHECK_TEXT(world.error.field, "id");
    set_counter(&world, ACCOUNTS_ID_MAX - ACCOUNTS_ID_BLOCK + 1);
    CHECK_OK(world_create(&world, &user, NULL));
    CHECK_UINT(counter(&world), ==, ACCOUNTS_ID_MAX + 1);
    for (unsigned i = 1; i < ACCOUNTS_ID_BLOCK; i++)
        add_numbered(&world, i);
    struct jini_user last;
    CHECK_OK(world_get(&world, ACCOUNTS_ID_MAX, &last));
    user = world_user("late", "");
    CHECK_STATUS(world_create(&world, &user, NULL), JINI_E_TOO_BIG);
    world_close(&world);
}

enum { THREADS = 4, DRAWS = 20000 };

static struct accounts_ids shared_ids;
static _Atomic uint64_t shared_counter = 1;
static _Atomic uint8_t given[THREADS * DRAWS * ACCOUNTS_ID_BLOCK];

/* Draws and settles; the counter stands for the store. */
static void *draw_many(void *argument)
{
    (void)argument;
    for (int i = 0; i < DRAWS; i++) {
        struct accounts_draw draw;
        accounts_ids_draw(&shared_ids, &draw);
        uint64_t id = draw.id;
        if (id == 0) {
            draw.taken.first = atomic_fetch_add(&shared_counter, draw.take);
            draw.taken.count = draw.take;
            id = draw.taken.first;
        }
        accounts_ids_settle(&shared_ids, &draw, 0);
        CHECK_UINT(atomic_fetch_add(&given[id], 1), ==, 0);
    }
    return NULL;
}

TEST(threads_never_share_an_id,
     "Draws at once give every id at most once, and nearly without gaps.")
{
    pthread_t threads[THREADS];
    accounts_ids_init(&shared_ids);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, draw_many, NULL), ==, 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    struct accounts_id_range rest = accounts_ids_drain(&shared_ids);
    CHECK_UINT(shared_counter - 1 - rest.count, ==, THREADS * DRAWS);
}
