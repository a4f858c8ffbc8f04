/* Verify: rows that no store of ours writes, as a file from elsewhere may have them. */
#include "found.h"
#include "plant.h"

#include "../store/raw.h"
#include "store/store.h"

enum { LONG_KEY = 500 };

static const char *const spaces[] = {
#define SPACE_NAME(name, number, text) [number] = text,
    STORE_SPACE_MAP(SPACE_NAME)
#undef SPACE_NAME
};

/* Every space but those of the store and of the caller. */
static bool is_checked(size_t space)
{
    return space != STORE_SPACE_META && space != STORE_SPACE_APPLICATION;
}

/* Puts a key longer than any behind the rows of a space. */
static void damage(size_t space)
{
    uint8_t key[LONG_KEY];
    memset(key, 0xfe, sizeof(key));
    raw_put(fixture_db(), spaces[space], slice_of(key, sizeof(key)), slice_of("x", 1));
}

static unsigned times_named(const struct found *found, const char *space)
{
    char words[64];
    unsigned times = 0;
    snprintf(words, sizeof(words), "the space \"%s\" cannot be read to the end", space);
    for (unsigned i = 0; i < found->count; i++)
        times += strstr(found->items[i].message, words) != NULL;
    return times;
}

TEST(a_row_that_cannot_be_read_ends_the_check_of_its_space_alone,
     "With a key longer than any in every space a verify comes to its end, names each space once, "
     "and finds what is wrong before those rows.")
{
    static struct found found;
    struct jini *jini = fixture_open();
    struct jini_id image = fixture_put(jini, fixture_user(jini, "alice", "Premium"), 1);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    fixture_verify(jini);
    struct tuple image_key = plant_key_id(&image);
    plant_row(jini, STORE_SPACE_IMAGES, &image_key, NULL, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
    for (size_t i = 0; i < STORE_SPACES; i++) {
        if (is_checked(i) && i != STORE_SPACE_PACKS) /* without which no archive can be opened */
            damage(i);
    }
    jini = fixture_open();
    found_run(jini, "space_damaged", 0, &found);
    for (size_t i = 0; i < STORE_SPACES; i++)
        CHECK_UINT(times_named(&found, spaces[i]), ==, is_checked(i) && i != STORE_SPACE_PACKS);
    CHECK_UINT(find(jini, "location_without_image").count, ==, 1);
    CHECK_UINT(find(jini, "archive_unreachable").count, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
    damage(STORE_SPACE_PACKS);
    jini = fixture_open();
    found_run(jini, "space_damaged", 0, &found);
    CHECK_UINT(times_named(&found, "packs"), ==, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
