/* An engine whose disk is full: what is refused, what still works, and how room comes back. */
#include "engine/engine_private.h"

#include "engine_fixture.h"
#include "full.h"
#include "small_disk.h"

#include <fcntl.h>
#include <unistd.h>

enum { DISK_KIB = 26 * 1024, IMAGES_MAX = 4000, SIDE = 256 };

static int put(struct jini *jini, uint64_t user, uint64_t seed, struct jini_id *id)
{
    struct png_request png = {SIDE, SIDE, seed, "made for a test", NULL};
    struct jini_image_put put;
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    put.user_id = user;
    int status = jini_image_put(jini, &put, NULL);
    if (status == JINI_E_FULL)
        CHECK(put.request.error.message[0] != '\0');
    free(file);
    *id = put.image.id;
    return status;
}

/* Puts images until the disk takes no more; returns how many. */
static unsigned fill(struct jini *jini, uint64_t user, struct jini_id *ids)
{
    unsigned count = 0;
    while (count < IMAGES_MAX) {
        int status = put(jini, user, count, &ids[count]);
        if (status == JINI_E_FULL)
            return count;
        CHECK_OK(status);
        count++;
    }
    harness_fail(__FILE__, __LINE__, "the disk is never full");
    return 0;
}

TEST(purging_gives_room_back_on_a_full_disk,
     "Puts are refused while there is room for rewriting a pack: images that are purged then give "
     "their room back, and puts go on.")
{
    static struct jini_id ids[IMAGES_MAX];
    struct jini_options options;
    small_disk_mount(harness_path("disk"), DISK_KIB);
    fixture_directory = "disk/db";
    fixture_options(&options);
    options.pack_bytes_max = 1 << 20;
    options.archive_age_min_s = 365 * 86400;
    struct jini *jini = fixture_open_with(&options);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    unsigned count = fill(jini, user, ids);
    CHECK(count > 20);
    for (unsigned i = 0; i < count; i++) {
        struct jini_image_remove remove;
        jini_request_init(&remove);
        remove.id = ids[i];
        if (i % 2 == 0)
            CHECK_OK(jini_image_remove(jini, &remove, NULL));
    }
    fixture_days_pass(8);
    struct jini_archive_run run;
    fixture_tier(jini, 0, &run);
    CHECK_UINT(run.images_purged, ==, (count + 1) / 2);
    CHECK_UINT(run.packs_failed, ==, 0);
    struct jini_id more[10];
    for (unsigned i = 0; i < 10; i++)
        CHECK_OK(put(jini, user, 10000 + i, &more[i]));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(what_is_removed_for_good_gives_room_at_once,
     "On a disk that is full, where all packs are due for an archive on the same disk, one run "
     "after removing all images for good, those in the trash too, gives their room back and "
     "archives nothing.")
{
    static struct jini_id ids[IMAGES_MAX];
    struct jini_options options;
    small_disk_mount(harness_path("disk"), DISK_KIB);
    fixture_directory = "disk/db";
    fixture_options(&options);
    options.pack_bytes_max = 1 << 20;
    options.archive_age_min_s = 0;
    struct jini *jini = fixture_open_with(&options);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    unsigned count = fill(jini, user, ids);
    for (unsigned i = 0; i < count; i++) {
        struct jini_image_remove remove;
        jini_request_init(&remove);
        remove.id = ids[i];
        if (i % 2 == 0)
            CHECK_OK(jini_image_remove(jini, &remove, NULL));
        remove.flags = JINI_REMOVE_PURGE;
        CHECK_OK(jini_image_remove(jini, &remove, NULL));
    }
    struct jini_archive_run run;
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run);
    CHECK_UINT(run.images_purged, ==, count);
    CHECK_UINT(run.packs_archived + run.packs_failed, ==, 0);
    CHECK_UINT(fill(jini, user, ids), >, count * 3 / 4);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_full_store_lets_tiering_run, "Down to the reserve, new users are refused, and what gives "
                                    "room back goes on: expiry, freeing, purging.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id id = fixture_put(jini, user, 1);
    struct jini_id kept = fixture_put(jini, user, 2);
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = id;
    CHECK_OK(jini_image_remove(jini, &remove, NULL));
    fixture_days_pass(8);
    full_begin(jini);
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "bob");
    CHECK_STATUS(jini_user_add(jini, &add, NULL), JINI_E_FULL);
    struct jini_archive_run run;
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run);
    CHECK_UINT(run.images_purged, ==, 1);
    CHECK_UINT(run.packs_freed, >, 0);
    CHECK_OK(fixture_get(jini, &kept, 2));
    full_end(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* Takes all room of the disk but so many pages. */
static void take_room(unsigned pages_left)
{
    static const uint8_t page[4096] = {1};
    const char *path = harness_path("disk/filler");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    off_t length = 0;
    while (write(fd, page, sizeof(page)) == sizeof(page))
        length += sizeof(page);
    CHECK_INT(ftruncate(fd, length - (off_t)(pages_left * sizeof(page))), ==, 0);
    close(fd);
}

TEST(who_only_reads_needs_no_room,
     "A copy on a disk without room for the files that processes share is read all the same.")
{
    struct jini_options options;
    struct jini_error error;
    small_disk_mount(harness_path("disk"), DISK_KIB);
    fixture_directory = "disk/db";
    struct jini *jini = fixture_open();
    struct jini_id id = fixture_put(jini, fixture_user(jini, "alice", "Premium"), 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
    fixture_options(&options);
    options.read_only = 1;
    for (unsigned pages = 0; pages < 40; pages++) {
        unlink(harness_path("disk/db/processes"));
        unlink(harness_path("disk/db/lock.mdb"));
        take_room(pages);
        jini = fixture_open_with(&options);
        CHECK_OK(fixture_get(jini, &id, 1));
        CHECK_OK(jini_close(jini, NULL, &error));
    }
}
