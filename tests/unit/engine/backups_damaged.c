/* Backups of databases in which something is damaged or missing: what was whole before stays. */
#include "images/pack_path.h"

#include "backing_up.h"
#include "plant.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void path_of_pack(struct jini *jini, const struct jini_id *image, const char *directory,
                         char out[512])
{
    char path[PACK_PATH_MAX];
    struct jini_image_place place = fixture_locate(jini, image);
    pack_path(&place.pack_id, path);
    snprintf(out, 512, "%s/%s", harness_path("%s", directory), path);
}

/* The path of the one object of the archive of "db". */
static void path_of_object(char out[512])
{
    glob_t found;
    CHECK_INT(glob(harness_path("db/archive/packs/*/*"), 0, NULL, &found), ==, 0);
    CHECK_UINT(found.gl_pathc, ==, 1);
    snprintf(out, 512, "%s", found.gl_pathv[0]);
    globfree(&found);
}

static void overwrite(const char *path, off_t offset)
{
    static const char rot[64] = "rot";
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_INT(pwrite(fd, rot, sizeof(rot), offset), ==, sizeof(rot));
    close(fd);
}

/* ---- Packs ---- */

TEST(damage_is_told_and_all_else_is_copied,
     "A pack that is damaged is named, and copied with what holds of it; all others are copied. A "
     "good copy from before stays, as does a pack that has an object in the archive.")
{
    char path[512];
    struct jini_error error;
    struct jini *jini = open_at("db");
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 2);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    put(jini, user, 2, 4);
    path_of_pack(jini, &images[0], "db", path);
    overwrite(path, 5000);
    struct jini_backup backup = back_up(jini, "copy", 0); /* from the archive */
    CHECK_UINT(backup.files_copied, ==, 3);
    check_backup("copy", 0, 4, false);
    path_of_pack(jini, &images[3], "db", path);
    overwrite(path, 5000); /* in the record of images[2] */
    struct jini_backup second = request_for(harness_path("damaged"));
    CHECK_STATUS(jini_backup(jini, &second, NULL), JINI_E_CORRUPT);
    CHECK_UINT(second.problems, ==, 1);
    CHECK_CONTAINS(second.request.error.message, "pack");
    CHECK_STATUS(jini_backup(jini, &second, NULL), JINI_E_CORRUPT); /* what it has is no better */
    CHECK_UINT(second.problems, ==, 1);
    CHECK_STATUS(try_backup(jini, "copy", &error), JINI_E_CORRUPT);
    check_backup("copy", 0, 4, false);
    struct jini *damaged = open_at("damaged");
    CHECK_OK(fixture_get(damaged, &images[0], 1));
    CHECK_OK(fixture_get(damaged, &images[3], 4));
    CHECK_STATUS(fixture_get(damaged, &images[2], 3), JINI_E_CORRUPT);
    CHECK_OK(jini_close(damaged, NULL, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(rot_in_the_backup_is_found,
     "With JINI_BACKUP_DEEP what has changed in the backup since it was made is copied anew.")
{
    char path[512];
    struct jini *jini = open_at("db");
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 2);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    back_up(jini, "copy", 0);
    path_of_pack(jini, &images[0], "copy", path);
    overwrite(path, 5000);
    CHECK_UINT(back_up(jini, "copy", 0).files_copied, ==, 0);
    CHECK_UINT(back_up(jini, "copy", JINI_BACKUP_DEEP).files_copied, ==, 1);
    CHECK_INT(truncate(path, 4096), ==, 0);
    CHECK_UINT(back_up(jini, "copy", 0).files_copied, ==, 1);
    check_backup("copy", 0, 2, false);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* Backs up to "copy", with one problem of a kind. */
static struct jini_backup back_up_with(struct jini *jini, int status, const char *kind)
{
    struct found found = {.kind = NULL};
    struct jini_backup backup = request_for(harness_path("copy"));
    backup.report = found_note;
    backup.context = &found;
    CHECK_STATUS(jini_backup(jini, &backup, NULL), status);
    CHECK_UINT(found.count, ==, 1);
    CHECK_TEXT(found.items[0].kind, kind);
    return backup;
}

static void read_from(const char *directory, const struct jini_id *image, uint64_t seed)
{
    struct jini *jini = open_at(directory);
    CHECK_OK(fixture_get(jini, image, seed));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_record_that_was_put_apart_is_a_problem,
     "Where tiering has rewritten a pack with a damaged record, the backup of before has the last "
     "good copy, and keeps it for as long as the damage is there.")
{
    char path[512];
    struct jini *jini = open_at("db");
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 3);
    fixture_tier(jini, 0, NULL);
    back_up(jini, "copy", 0);
    path_of_pack(jini, &images[0], "copy", path);
    char in_database[512];
    path_of_pack(jini, &images[0], "db", in_database);
    overwrite(in_database, 5000);
    purge(jini, &images[1]);
    fixture_days_pass(1);
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW;
    (void)jini_archive_run(jini, &run, NULL);
    CHECK_STATUS(fixture_get(jini, &images[0], 1), JINI_E_CORRUPT);
    CHECK_INT(access(in_database, F_OK), ==, -1);
    for (int i = 0; i < 2; i++) {
        struct jini_backup backup = back_up_with(jini, JINI_E_CORRUPT, "pack_has_damage");
        CHECK_UINT(backup.files_removed, ==, 0);
        CHECK_INT(access(path, F_OK), ==, 0);
    }
    purge(jini, &images[0]);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    CHECK_UINT(back_up(jini, "copy", 0).files_removed, >, 0);
    check_backup("copy", 2, 3, false);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(what_is_gone_from_the_database_is_a_problem,
     "A pack that the backup has already and the database no more is told, and stays; so is an "
     "object, and an archive that is gone as a whole ends the backup.")
{
    char path[512];
    struct jini_error error;
    struct jini *jini = open_at("db");
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 1);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    put(jini, user, 1, 2);
    CHECK_OK(jini_close(jini, NULL, NULL));
    jini = open_at("db");
    fixture_tier(jini, 0, NULL);
    back_up(jini, "copy", 0);
    path_of_pack(jini, &images[1], "db", path);
    CHECK_INT(rename(path, harness_path("away")), ==, 0);
    struct jini_backup backup = back_up_with(jini, JINI_E_CORRUPT, "pack_missing");
    CHECK_UINT(backup.packs + backup.objects, ==, 2);
    CHECK_INT(rename(harness_path("away"), path), ==, 0);
    CHECK_INT(rename(harness_path("db/archive/packs"), harness_path("away")), ==, 0);
    back_up_with(jini, JINI_E_CORRUPT, "object_missing");
    CHECK_INT(rename(harness_path("db/archive"), harness_path("gone")), ==, 0);
    CHECK_STATUS(try_backup(jini, "copy", &error), JINI_E_ARCHIVE);
    read_from("copy", &images[0], 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(what_cannot_be_read_is_no_damage,
     "An object that the archive cannot read is a problem of its own kind, and the result says so.")
{
    struct jini_options options;
    fixture_directory = harness_path("db");
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 1);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    CHECK_OK(jini_close(jini, NULL, NULL));
    fixture_options(&options);
    snprintf(options.archive_url, sizeof(options.archive_url),
             "fault:every=1,kinds=refuse,operations=get,status=E_IO:dir:archive");
    jini = fixture_open_with(&options);
    struct jini_backup backup = back_up_with(jini, JINI_E_IO, "object_not_copied");
    CHECK_UINT(backup.objects, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Records ---- */

TEST(damaged_records_do_not_take_the_place_of_good_ones,
     "A row that cannot be read, or disagrees, is a problem; the records of before are kept beside "
     "the new ones until there is none.")
{
    struct jini *jini = open_at("db");
    uint64_t user = fixture_user(jini, "ada", "Premium");
    put(jini, user, 0, 2);
    back_up(jini, "copy", 0);
    struct tuple key = plant_key_id(&images[0]);
    plant_row(jini, STORE_SPACE_IMAGES, &key, "rot", 3);
    put(jini, user, 2, 3);
    for (int i = 0; i < 2; i++) {
        struct jini_backup backup = request_for(harness_path("copy"));
        CHECK_STATUS(jini_backup(jini, &backup, NULL), JINI_E_CORRUPT);
        CHECK_UINT(backup.problems, >, 0);
        CHECK_INT(access(harness_path("copy/data-before.mdb"), F_OK), ==, 0);
    }
    read_from("copy", &images[2], 3); /* what was added since is there, too */
    CHECK_OK(jini_close(jini, NULL, NULL));
    CHECK_INT(mkdir(harness_path("before"), 0700), ==, 0);
    CHECK_INT(rename(harness_path("copy/data-before.mdb"), harness_path("before/data.mdb")), ==, 0);
    CHECK_INT(rename(harness_path("copy/packs"), harness_path("before/packs")), ==, 0);
    read_from("before", &images[0], 1);
}

TEST(records_of_before_go_when_all_is_well,
     "The first backup without a problem removes the records that were kept.")
{
    struct jini *jini = open_at("db");
    struct tuple key = plant_key_user(77, "row of nobody");
    put(jini, fixture_user(jini, "ada", "Premium"), 0, 2);
    back_up(jini, "copy", 0);
    plant_row(jini, STORE_SPACE_IMAGES, &key, "rot", 3);
    struct jini_backup backup = request_for(harness_path("copy"));
    CHECK_STATUS(jini_backup(jini, &backup, NULL), JINI_E_CORRUPT);
    CHECK_INT(access(harness_path("copy/data-before.mdb"), F_OK), ==, 0);
    plant_row(jini, STORE_SPACE_IMAGES, &key, NULL, 0);
    back_up(jini, "copy", 0);
    CHECK_INT(access(harness_path("copy/data-before.mdb"), F_OK), ==, -1);
    check_backup("copy", 0, 2, true);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_damaged_row_of_a_pack_keeps_the_records_before,
     "So do rows of packs and of what is shared that cannot be read.")
{
    static const enum store_space spaces[] = {STORE_SPACE_CONTENT, STORE_SPACE_PACKS};
    struct jini *jini = open_at("db");
    put(jini, fixture_user(jini, "ada", "Premium"), 0, 2);
    fixture_tier(jini, 0, NULL);
    struct jini_image_place place = fixture_locate(jini, &images[0]);
    struct tuple key = plant_key_id(&place.pack_id);
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        char name[32];
        snprintf(name, sizeof(name), "copy-%zu", i);
        back_up(jini, name, 0);
        plant_row(jini, spaces[i], &key, "rot", 3);
        struct jini_backup backup = request_for(harness_path("%s", name));
        CHECK_STATUS(jini_backup(jini, &backup, NULL), JINI_E_CORRUPT);
        CHECK_INT(access(harness_path("%s/data-before.mdb", name), F_OK), ==, 0);
        if (spaces[i] == STORE_SPACE_PACKS)
            break; /* it is gone by now */
        plant_row(jini, spaces[i], &key, NULL, 0);
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_fifo_in_place_of_a_pack_holds_up_nobody, "It is a pack that cannot be read.")
{
    char path[512];
    struct jini *jini = open_at("db");
    put(jini, fixture_user(jini, "ada", "Premium"), 0, 1);
    path_of_pack(jini, &images[0], "db", path);
    CHECK_OK(jini_close(jini, NULL, NULL));
    CHECK_INT(unlink(path), ==, 0);
    CHECK_INT(mkfifo(path, 0600), ==, 0);
    jini = open_at("db");
    back_up_with(jini, JINI_E_IO, "pack_not_copied");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_fifo_in_place_of_an_object_ends_no_backup, "It is an object that is damaged.")
{
    char path[512];
    struct jini *jini = open_at("db");
    put(jini, fixture_user(jini, "ada", "Premium"), 0, 1);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    path_of_object(path);
    CHECK_INT(unlink(path), ==, 0);
    CHECK_INT(mkfifo(path, 0600), ==, 0);
    struct jini_backup backup = back_up_with(jini, JINI_E_CORRUPT, "object_not_copied");
    CHECK_UINT(backup.objects, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
