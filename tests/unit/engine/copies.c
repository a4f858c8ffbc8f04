/* A database and a copy of it that name the same archive. */
#include "engine_fixture.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IMAGES = 4 };

/* Opens the database in a directory, with an archive that several may share or one of its own. */
static struct jini *open_at(const char *directory, const char *archive_url)
{
    struct jini_options options;
    fixture_directory = harness_path("%s", directory);
    fixture_options(&options);
    snprintf(options.archive_url, sizeof(options.archive_url), "%s", archive_url);
    return fixture_open_with(&options);
}

static const char *shared_url(void)
{
    static char url[512];
    snprintf(url, sizeof(url), "dir:%s", harness_path("shared"));
    return url;
}

/* Images that are in the archive alone, and a copy of their records. */
static struct jini *make_original(const char *archive_url, struct jini_id images[IMAGES])
{
    struct jini_error error;
    struct jini *jini = open_at("original", archive_url);
    uint64_t user = fixture_user(jini, "ada", "Premium");
    for (uint64_t i = 0; i < IMAGES; i++)
        images[i] = fixture_put(jini, user, i + 1);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    CHECK_INT(mkdir(harness_path("copy"), 0700), ==, 0);
    CHECK_OK(jini_copy(jini, harness_path("copy/data.mdb"), JINI_COPY_COMPACT, &error));
    return jini;
}

static void purge(struct jini *jini, const struct jini_id *images, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct jini_image_remove remove;
        jini_request_init(&remove);
        remove.id = images[i];
        remove.flags = JINI_REMOVE_PURGE;
        CHECK_OK(jini_image_remove(jini, &remove, NULL));
    }
}

static struct jini_archive_status status_of(struct jini *jini)
{
    struct jini_archive_status status;
    struct jini_error error;
    CHECK_OK(jini_archive_status(jini, &status, &error));
    return status;
}

static void check_all_there(struct jini *jini, const struct jini_id *images, unsigned from)
{
    for (unsigned i = from; i < IMAGES; i++)
        CHECK_OK(fixture_get(jini, &images[i], i + 1));
    fixture_verify(jini);
}

TEST(a_copy_deletes_nothing_from_an_archive_that_it_shares,
     "Whatever a copy of a database removes and rewrites, one image or all, its original has all "
     "that it had; the copy says what it keeps, and deletes it once the archive is its own.")
{
    struct jini_id images[IMAGES];
    struct jini_archive_run run;
    struct jini_error error;
    struct jini *original = make_original(shared_url(), images);
    struct jini *copy = open_at("copy", shared_url());
    CHECK_UINT(status_of(original).keeps_objects, ==, 0);
    CHECK_UINT(status_of(copy).keeps_objects, ==, 1);
    for (unsigned purged = 1; purged <= IMAGES; purged += IMAGES - 1) {
        purge(copy, purged == 1 ? images : images + 1, purged == 1 ? 1 : IMAGES - 1);
        fixture_tier(copy, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run);
        CHECK_UINT(run.objects_kept, >=, 1);
        CHECK_UINT(status_of(copy).objects_due, ==, run.objects_kept);
        check_all_there(copy, images, purged);
        check_all_there(original, images, 0);
    }
    CHECK_OK(jini_archive_adopt(copy, &error));
    CHECK_UINT(status_of(copy).keeps_objects, ==, 0);
    fixture_tier(copy, JINI_TIERING_NOW, &run);
    CHECK_UINT(run.objects_kept, ==, 0);
    fixture_days_pass(2); /* an orphan's object may be on its way */
    fixture_tier(copy, JINI_TIERING_NOW, &run);
    CHECK_UINT(status_of(copy).objects_due, ==, 0);
    CHECK_OK(jini_close(copy, NULL, NULL));
    CHECK_OK(jini_close(original, NULL, NULL));
}

TEST(an_original_stays_one,
     "A database that was closed, moved and opened again deletes from its archive; so does a copy "
     "from one in its own directory.")
{
    struct jini_id images[IMAGES];
    struct jini *original = make_original(shared_url(), images);
    CHECK_OK(jini_close(original, NULL, NULL));
    CHECK_INT(rename(harness_path("original"), harness_path("moved")), ==, 0);
    original = open_at("moved", shared_url());
    CHECK_UINT(status_of(original).keeps_objects, ==, 0);
    purge(original, images, IMAGES);
    fixture_tier(original, JINI_TIERING_NOW, NULL);
    fixture_days_pass(2);
    fixture_tier(original, JINI_TIERING_NOW, NULL);
    CHECK_UINT(status_of(original).objects_due, ==, 0);
    fixture_verify(original);
    CHECK_OK(jini_close(original, NULL, NULL));

    struct jini *copy = open_at("copy", "dir:archive");
    CHECK_UINT(status_of(copy).keeps_objects, ==, 0);
    CHECK_OK(jini_close(copy, NULL, NULL));
    copy = open_at("copy", "dir:../shared");
    CHECK_UINT(status_of(copy).keeps_objects, ==, 1);
    CHECK_OK(jini_close(copy, NULL, NULL));
    CHECK_INT(symlink("../shared", harness_path("copy/linked")), ==, 0);
    copy = open_at("copy", "dir:linked");
    CHECK_UINT(status_of(copy).keeps_objects, ==, 1);
    CHECK_OK(jini_close(copy, NULL, NULL));
}

TEST(who_only_reads_adopts_nothing, "An archive is adopted by who may write.")
{
    struct jini_id images[IMAGES];
    struct jini_options options;
    struct jini_error error;
    CHECK_OK(jini_close(make_original(shared_url(), images), NULL, NULL));
    fixture_options(&options);
    options.read_only = 1;
    struct jini *jini = fixture_open_with(&options);
    CHECK_STATUS(jini_archive_adopt(jini, &error), JINI_E_READ_ONLY);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
