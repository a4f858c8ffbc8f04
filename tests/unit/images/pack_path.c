/* Where packs lie. */
#include "images/pack_path.h"

#include "pack_support.h"

TEST(a_path_follows_from_the_id, "The month is that of the id, in UTC, and every id has a path.")
{
    struct jini_id id;
    char path[PACK_PATH_MAX];
    CHECK_OK(jini_id_parse("018cc251-f3ff-7000-8000-0123456789ab", &id));
    pack_path(&id, path);
    CHECK_TEXT(path, "packs/2023-12/018cc251-f3ff-7000-8000-0123456789ab.pack");
    CHECK_OK(jini_id_parse("018cc251-f400-7000-8000-0123456789ab", &id));
    pack_path(&id, path);
    CHECK_TEXT(path, "packs/2024-01/018cc251-f400-7000-8000-0123456789ab.pack");
    memset(&id, 0xFF, sizeof(id));
    pack_path(&id, path);
    CHECK_TEXT(path, "packs/10889-08/ffffffff-ffff-ffff-ffff-ffffffffffff.pack");
    memset(&id, 0, sizeof(id));
    pack_path(&id, path);
    CHECK_TEXT(path, "packs/1970-01/00000000-0000-0000-0000-000000000000.pack");
}

struct walked {
    struct jini_id ids[64];
    unsigned count;
};

static int collect(void *context, const struct jini_id *pack)
{
    struct walked *walked = context;
    CHECK_UINT(walked->count, <, 64);
    walked->ids[walked->count++] = *pack;
    return 0;
}

static bool contains(const struct walked *walked, const struct jini_id *id)
{
    for (unsigned i = 0; i < walked->count; i++) {
        if (id_equal(&walked->ids[i], id))
            return true;
    }
    return false;
}

TEST(every_pack_is_met, "A walk meets the packs of all months, and counts what is no pack.")
{
    struct walked walked = {0};
    uint64_t strange;
    int directory = support_directory();
    CHECK_OK(pack_path_walk(directory, collect, &walked, &strange, NULL));
    CHECK_UINT(walked.count, ==, 0);
    struct jini_id ids[40];
    for (int i = 0; i < 40; i++) {
        ids[i] = support_id();
        ids[i].bytes[1] = (uint8_t)harness_random();
        support_save(directory, &ids[i], (const uint8_t *)"x", 1);
    }
    CHECK_OK(pack_path_walk(directory, collect, &walked, &strange, NULL));
    CHECK_UINT(walked.count, ==, 40);
    CHECK_UINT(strange, ==, 0);
    for (int i = 0; i < 40; i++)
        CHECK(contains(&walked, &ids[i]));
    char path[PACK_PATH_MAX];
    pack_path(&ids[0], path);
    CHECK_OK(pack_path_remove(directory, &ids[0], NULL));
    CHECK_OK(pack_path_sync(directory, &ids[0], NULL));
    CHECK_STATUS(pack_path_remove(directory, &ids[0], NULL), JINI_E_NOT_FOUND);
    static const char *const others[] = {
        "packs/readme", "packs/2024-01",
        "packs/2024-01/018cc251-f3ff-7000-8000-0123456789ab.pack" /* of another month */,
        "packs/2024-01/018cc251-f400-7000-8000-0123456789ab.pack.tmp",
        "packs/2024-01/018CC251-f400-7000-8000-0123456789ab.pack"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        bool is_directory = i == 1;
        if (is_directory && mkdirat(directory, others[i], 0700) != 0)
            CHECK_INT(errno, ==, EEXIST);
        if (!is_directory)
            close(openat(directory, others[i], O_CREAT | O_WRONLY, 0600));
    }
    walked.count = 0;
    CHECK_OK(pack_path_walk(directory, collect, &walked, &strange, NULL));
    CHECK_UINT(walked.count, ==, 39);
    CHECK_UINT(strange, ==, 4);
    close(directory);
}

static int refuse(void *context, const struct jini_id *pack)
{
    (void)context;
    (void)pack;
    return JINI_E_CANCELLED;
}

TEST(a_walk_can_be_ended, "What the callback returns ends the walk and is its result.")
{
    int directory = support_directory();
    struct jini_id id = support_id();
    support_save(directory, &id, (const uint8_t *)"x", 1);
    CHECK_STATUS(pack_path_walk(directory, refuse, NULL, NULL, NULL), JINI_E_CANCELLED);
    close(directory);
}

TEST(an_unwritable_directory_is_named,
     "Where nothing can be created, the error names the directory.")
{
    int directory = support_directory();
    struct jini_id id = support_id();
    struct jini_error error = {0};
    CHECK(fchmod(directory, 0500) == 0);
    uid_t user = geteuid();
    if (user == 0)
        CHECK(seteuid(65534) == 0);
    int status = pack_path_prepare(directory, &id, &error);
    CHECK(seteuid(user) == 0);
    CHECK_STATUS(status, JINI_E_IO);
    CHECK_CONTAINS(error.message, "packs");
    close(directory);
}
