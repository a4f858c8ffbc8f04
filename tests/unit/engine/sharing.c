/* Duplicates are found by a hash, and believed by their bytes. */
#include "images/index.h"
#include "plant.h"

/* Where an image lies, and the class of its pack. */
static struct index_content content_of(struct jini *jini, const struct jini_id *id)
{
    struct jini_image_place place = fixture_locate(jini, id);
    struct store_txn *txn;
    struct index_pack pack;
    struct index_location location;
    CHECK_OK(store_read_begin(jini->store, &txn));
    CHECK_OK(index_pack_get(txn, &place.pack_id, &pack));
    CHECK_OK(index_location_list(txn, &place.pack_id, NULL, &location, 1, &(size_t){0}));
    store_read_end(txn);
    CHECK(id_equal(&location.image, id));
    return (struct index_content){.tier_group = pack.tier_group,
                                  .expiry_day = pack.expiry_day,
                                  .length = location.original_length,
                                  .hash = location.original_hash,
                                  .pack = location.pack,
                                  .sequence = location.sequence};
}

static int op_put_content(struct store_txn *txn, void *argument)
{
    return index_content_put(txn, argument);
}

TEST(a_hash_that_agrees_is_not_believed,
     "When the hash of an image leads to a record of the same length with other bytes, each image "
     "keeps its own.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id older = fixture_put(jini, user, 1);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    struct jini_id younger = fixture_put(jini, user, 2);
    CHECK_OK(jini_close(jini, NULL, NULL)); /* seals it */
    jini = fixture_open();
    struct index_content first = content_of(jini, &older);
    struct index_content second = content_of(jini, &younger);
    CHECK_UINT(first.length, ==, second.length);
    CHECK(!id_equal(&first.pack, &second.pack));
    second.pack = first.pack;
    second.sequence = first.sequence;
    CHECK_OK(store_write(jini->store, op_put_content, &second));
    fixture_tier(jini, 0, NULL);
    CHECK_OK(fixture_get(jini, &older, 1));
    CHECK_OK(fixture_get(jini, &younger, 2));
    struct index_content after = content_of(jini, &younger);
    CHECK(!id_equal(&after.pack, &first.pack));
    CHECK_OK(jini_close(jini, NULL, NULL));
}
