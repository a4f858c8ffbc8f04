/* Lists of images and their counts, against plain arrays. */
#include "records.h"

enum { USERS = 3, ITEMS_MAX = 3000, CURSORS = 4, PAGE = 16, OUT_MAX = 200 };

enum item_state { GONE, LISTED, TRASHED };

/* Of each user all images ever added: the index is the number in the list. */
static struct model {
    uint64_t count;
    enum item_state state[ITEMS_MAX];
    uint64_t serial[ITEMS_MAX]; /* of the image, over all users */
} users[USERS];

/* A listing that is under way. */
static struct walk {
    bool open;
    unsigned user;
    uint64_t below; /* numbers below this one are still to come */
    struct jini_list_cursor cursor;
} walks[CURSORS];

static uint64_t serial;
static struct jini_image listed[OUT_MAX];

static struct jini_id id_of(unsigned user, uint64_t number)
{
    return make_id(2, users[user].serial[number]);
}

static void add(struct store *store, unsigned user)
{
    struct model *model = &users[user];
    struct generations_image_new image = make_image(++serial, user + 1);
    CHECK_UINT(model->count, <, ITEMS_MAX);
    CHECK_OK(create_image(store, &image));
    model->serial[model->count] = serial;
    model->state[model->count++] = LISTED;
}

static void trash(struct store *store, unsigned user, uint64_t number)
{
    enum item_state *state = &users[user].state[number];
    static const int expected[] = {
        [GONE] = JINI_E_NOT_FOUND, [LISTED] = 0, [TRASHED] = JINI_E_CONFLICT};
    CHECK_STATUS(trash_image(store, id_of(user, number), 777000), expected[*state]);
    *state = *state == LISTED ? TRASHED : *state;
}

static void untrash(struct store *store, unsigned user, uint64_t number)
{
    enum item_state *state = &users[user].state[number];
    static const int expected[] = {
        [GONE] = JINI_E_NOT_FOUND, [LISTED] = JINI_E_CONFLICT, [TRASHED] = 0};
    CHECK_STATUS(untrash_image(store, id_of(user, number)), expected[*state]);
    *state = *state == TRASHED ? LISTED : *state;
}

static void delete (struct store *store, unsigned user, uint64_t number)
{
    enum item_state *state = &users[user].state[number];
    CHECK_STATUS(delete_image(store, id_of(user, number)), *state == GONE ? JINI_E_NOT_FOUND : 0);
    *state = GONE;
}

/* Reads on in a listing, which must give exactly the next listed images of the model. */
static void walk_on(struct store *store, struct walk *walk, size_t capacity)
{
    const struct model *model = &users[walk->user];
    if (!walk->open) {
        *walk = (struct walk){.open = true, .user = (unsigned)harness_random_below(USERS)};
        model = &users[walk->user];
        walk->below = model->count;
    }
    size_t count = list_images(store, walk->user + 1, &walk->cursor, listed, capacity);
    size_t expected = 0;
    while (expected < capacity && walk->below > 0) {
        walk->below--;
        if (model->state[walk->below] != LISTED)
            continue;
        struct jini_id id = id_of(walk->user, walk->below);
        CHECK_UINT(expected, <, count);
        CHECK_INT(jini_id_compare(&listed[expected].id, &id), ==, 0);
        expected++;
    }
    CHECK_UINT(count, ==, expected);
    if (count < capacity)
        walk->open = false;
}

/* Counts, and the rows of space LISTS: one for each page with a listed image, but the newest. */
static void check_rows(struct store *store)
{
    size_t pages = 0;
    for (unsigned user = 0; user < USERS; user++) {
        const struct model *model = &users[user];
        struct jini_usage expected = {0};
        struct jini_usage usage;
        uint64_t page_before = UINT64_MAX;
        for (uint64_t i = 0; i < model->count; i++) {
            uint64_t bytes = 100000 + model->serial[i];
            expected.images += model->state[i] == LISTED;
            expected.bytes += model->state[i] == LISTED ? bytes : 0;
            expected.trashed_images += model->state[i] == TRASHED;
            expected.trashed_bytes += model->state[i] == TRASHED ? bytes : 0;
            uint64_t page = i / PAGE;
            if (model->state[i] == LISTED && page != page_before &&
                page != (model->count - 1) / PAGE) {
                pages++;
                page_before = page;
            }
        }
        CHECK_OK(get_usage(store, user + 1, &usage));
        CHECK_INT(memcmp(&usage, &expected, sizeof(usage)), ==, 0);
    }
    CHECK_UINT(count_rows(store, STORE_SPACE_LISTS), ==, pages);
}

/* One random step; `adding` of 100 steps add, the others mostly remove. */
static void step(struct store *store, unsigned adding)
{
    unsigned user = (unsigned)harness_random_below(USERS);
    uint64_t what = harness_random_below(100);
    if (what < adding || users[user].count == 0) {
        if (users[user].count < ITEMS_MAX)
            add(store, user);
        return;
    }
    uint64_t number = harness_random_below(users[user].count);
    if (harness_random_below(2)) /* a run, so that whole pages empty */
        number = users[user].count - 1 - harness_random_below(users[user].count < 40 ? 1 : 40);
    switch (harness_random_below(4)) {
    case 0:
        trash(store, user, number);
        break;
    case 1:
        untrash(store, user, number);
        break;
    default:
        delete (store, user, number);
    }
}

STORE_TEST(
    lists_are_what_the_arrays_say,
    "Listings that go on while images are added, trashed, restored and deleted give each image "
    "that was there and still is once, newest first, and none that came later.")
{
    struct store *store = records_open(driver);
    memset(users, 0, sizeof(users));
    memset(walks, 0, sizeof(walks));
    serial = 0;
    for (unsigned i = 0; i < 4000 * harness_scale(); i++) {
        step(store, i / 500 % 2 == 0 ? 70 : 10);
        if (harness_random_below(4) == 0) {
            size_t capacity = harness_random_below(8) ? harness_random_below(30) : OUT_MAX;
            walk_on(store, &walks[harness_random_below(CURSORS)], capacity);
        }
        if (i % 200 == 199)
            check_rows(store);
    }
    check_rows(store);
    store_close(store);
}

STORE_TEST(a_full_page_moves_out_once,
           "16 images lie in the user's row; each 16 more cost one row.")
{
    struct store *store = records_open(driver);
    memset(users, 0, sizeof(users));
    for (uint64_t i = 0; i < 100; i++) {
        add(store, 0);
        CHECK_UINT(count_rows(store, STORE_SPACE_LISTS), ==, i / PAGE);
        CHECK_UINT(count_rows(store, STORE_SPACE_ACTIVITY), ==, 1);
    }
    store_close(store);
}

STORE_TEST(an_emptied_page_has_no_row,
           "The row of a page goes with its last image, and comes back with one.")
{
    struct store *store = records_open(driver);
    memset(users, 0, sizeof(users));
    for (int i = 0; i < 40; i++)
        add(store, 0);
    CHECK_UINT(count_rows(store, STORE_SPACE_LISTS), ==, 2);
    trash(store, 0, 5);
    for (uint64_t i = 0; i < 16; i++) {
        if (i != 5)
            delete (store, 0, i);
    }
    CHECK_UINT(count_rows(store, STORE_SPACE_LISTS), ==, 1);
    untrash(store, 0, 5);
    CHECK_UINT(count_rows(store, STORE_SPACE_LISTS), ==, 2);
    delete (store, 0, 5);
    CHECK_UINT(count_rows(store, STORE_SPACE_LISTS), ==, 1);
    /* The newest page, emptied before it is full, never gets a row. */
    for (uint64_t i = 32; i < 40; i++)
        delete (store, 0, i);
    for (uint64_t i = 40; i < 49; i++) {
        add(store, 0);
        if (i < 48)
            delete (store, 0, i);
    }
    CHECK_UINT(count_rows(store, STORE_SPACE_LISTS), ==, 1);
    check_rows(store);
    struct walk walk = {.open = true, .below = users[0].count};
    walk_on(store, &walk, OUT_MAX);
    store_close(store);
}

STORE_TEST(a_cursor_with_any_content_is_safe,
           "A cursor that nobody gave out lists from some place, or nothing.")
{
    struct store *store = records_open(driver);
    memset(users, 0, sizeof(users));
    for (int i = 0; i < 50; i++)
        add(store, 0);
    static const uint64_t places[] = {0, 1, 16, 17, 49, 50, 51, 1000, UINT64_MAX};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct jini_list_cursor cursor = {.next = places[i], .started = 1};
        uint64_t expected = places[i] < 50 ? places[i] : 50;
        CHECK_UINT(list_images(store, 1, &cursor, listed, OUT_MAX), ==, expected);
        CHECK_UINT(list_images(store, 1, &cursor, listed, OUT_MAX), ==, 0);
    }
    struct jini_list_cursor cursor = {0};
    CHECK_UINT(list_images(store, 1, &cursor, listed, 0), ==, 0);
    CHECK_UINT(list_images(store, 1, &cursor, listed, OUT_MAX), ==, 50);
    cursor = (struct jini_list_cursor){0};
    CHECK_UINT(list_images(store, 99, &cursor, listed, OUT_MAX), ==, 0);
    store_close(store);
}

static int run_many(struct store_txn *txn, struct call *call)
{
    for (uint64_t i = 1; i <= 100; i++) {
        struct generations_image_new image = make_image(i, 1);
        int status = generations_image_create(txn, &image, &call->error);
        struct generations_trash trash_it = {.id = image.image.id, .now_ms = 5, .purge_ms = 9};
        if (status == 0 && i % 3 == 0)
            status = generations_image_trash(txn, &trash_it, &call->error);
        if (status == 0 && i % 6 == 0)
            status = generations_image_untrash(txn, &image.image.id, &call->error);
        if (status == 0 && i % 10 == 0)
            status = generations_image_delete(txn, &image.image.id, NULL, &call->error);
        if (status)
            return status;
    }
    struct jini_list_cursor cursor = {0};
    size_t *count = call->out;
    return generations_image_list(txn, 1, &cursor, listed, OUT_MAX, count, &call->error);
}

STORE_TEST(changes_of_one_op_see_each_other,
           "Many changes in one op build on each other, and a list in it sees them.")
{
    struct store *store = records_open(driver);
    size_t count = 0;
    CHECK_OK(change(store, &(struct call){.run = run_many, .out = &count}));
    size_t expected = 0;
    for (int i = 1; i <= 100; i++)
        expected += i % 10 != 0 && (i % 3 != 0 || i % 6 == 0);
    CHECK_UINT(count, ==, expected);
    struct jini_list_cursor cursor = {0};
    CHECK_UINT(list_images(store, 1, &cursor, listed, OUT_MAX), ==, expected);
    store_close(store);
}

TEST(large_listings_come_in_any_portion, "A list of thousands is the same in portions of any size.")
{
    struct store *store = records_open(STORE_DRIVER_MEMORY);
    memset(users, 0, sizeof(users));
    for (int i = 0; i < 1000; i++)
        add(store, 0);
    for (uint64_t i = 0; i < 1000; i++) {
        if (harness_random_below(3))
            delete (store, 0, i);
    }
    static const size_t portions[] = {1, 7, 16, 63, 64, 65, 128, 199};
    for (size_t p = 0; p < sizeof(portions) / sizeof(portions[0]); p++) {
        struct walk walk = {.open = true, .below = users[0].count};
        while (walk.open)
            walk_on(store, &walk, portions[p]);
        CHECK_UINT(walk.below, ==, 0);
    }
    store_close(store);
}
