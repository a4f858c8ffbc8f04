/* A database and a copy of it that name the same archive. */
#include "shared_archive.h"

#include <unistd.h>

enum { IMAGES = 4 };

/* Images that are in the archive alone, and a copy of their records. */
static struct jini *make_original(const char *archive_url, struct jini_id images[IMAGES])
{
    struct jini *jini = shared_open("original", archive_url);
    uint64_t user = fixture_user(jini, "ada", "Premium");
    for (uint64_t i = 0; i < IMAGES; i++)
        images[i] = fixture_put(jini, user, i + 1);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    shared_copy(jini, "copy");
    return jini;
}

static void check_all_there(struct jini *jini, const struct jini_id *images, unsigned from)
{
    for (unsigned i = from; i < IMAGES; i++)
        CHECK_OK(fixture_get(jini, &images[i], i + 1));
    fixture_verify(jini);
}

TEST(a_copy_deletes_nothing_from_an_archive_that_it_shares,
     "Whatever a copy of a database removes and rewrites, one image or all, its original has all "
     "that it had; the copy says what it keeps, and deletes it once it has adopted the archive. "
     "From then on the original deletes nothing.")
{
    struct jini_id images[IMAGES];
    struct jini_archive_run run;
    struct jini_error error;
    struct jini *original = make_original(shared_url(), images);
    struct jini *copy = shared_open("copy", shared_url());
    CHECK_UINT(shared_status(original).keeping, ==, JINI_KEEPING_NOTHING);
    CHECK_UINT(shared_status(copy).keeping, ==, JINI_KEEPING_COPY);
    for (unsigned purged = 1; purged <= IMAGES; purged += IMAGES - 1) {
        shared_purge(copy, purged == 1 ? images : images + 1, purged == 1 ? 1 : IMAGES - 1);
        fixture_tier(copy, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run);
        CHECK_UINT(run.objects_kept, >=, 1);
        CHECK_UINT(run.keeping, ==, JINI_KEEPING_COPY);
        CHECK_UINT(shared_status(copy).objects_due, ==, run.objects_kept);
        check_all_there(copy, images, purged);
        check_all_there(original, images, 0);
    }
    CHECK_OK(jini_archive_adopt(copy, &error));
    CHECK_UINT(shared_status(copy).keeping, ==, JINI_KEEPING_NOTHING);
    shared_purge(original, images, 1);
    fixture_tier(original, JINI_TIERING_NOW, &run);
    fixture_days_pass(2); /* an orphan's object may be on its way */
    fixture_tier(original, JINI_TIERING_NOW, &run);
    CHECK_UINT(run.keeping, ==, JINI_KEEPING_TAKEN);
    CHECK_UINT(run.objects_kept, >=, 1);
    CHECK_UINT(shared_status(original).keeping, ==, JINI_KEEPING_TAKEN);
    fixture_tier(copy, JINI_TIERING_NOW, &run);
    CHECK_UINT(run.objects_kept, ==, 0);
    CHECK_UINT(shared_status(copy).objects_due, ==, 0);
    CHECK_OK(jini_close(copy, NULL, NULL));
    CHECK_OK(jini_close(original, NULL, NULL));
}

TEST(an_original_stays_one,
     "A database that was closed, moved and opened again deletes from its archive.")
{
    struct jini_id images[IMAGES];
    struct jini *original = make_original(shared_url(), images);
    CHECK_OK(jini_close(original, NULL, NULL));
    CHECK_INT(rename(harness_path("original"), harness_path("moved")), ==, 0);
    original = shared_open("moved", shared_url());
    CHECK_UINT(shared_status(original).keeping, ==, JINI_KEEPING_NOTHING);
    shared_purge(original, images, IMAGES);
    fixture_tier(original, JINI_TIERING_NOW, NULL);
    fixture_days_pass(2);
    fixture_tier(original, JINI_TIERING_NOW, NULL);
    CHECK_UINT(shared_status(original).objects_due, ==, 0);
    CHECK_UINT(shared_files(harness_path("shared/packs"), NULL), ==, 0);
    fixture_verify(original);
    CHECK_OK(jini_close(original, NULL, NULL));
}

TEST(a_copy_is_one_wherever_its_archive_lies,
     "In a copy's own directory there may be a copy of the archive, or the archive itself by a "
     "link or a mount: it deletes nothing there before it has adopted it, and then both go on.")
{
    struct jini_id images[IMAGES];
    struct jini_archive_run run;
    struct jini_error error;
    struct jini *original = make_original("dir:archive", images);
    CHECK_INT(symlink("../original/archive", harness_path("copy/archive")), ==, 0);
    struct jini *copy = shared_open("copy", "dir:archive");
    shared_purge(copy, images, IMAGES);
    fixture_tier(copy, JINI_TIERING_NOW, &run);
    CHECK_UINT(run.keeping, ==, JINI_KEEPING_COPY);
    check_all_there(original, images, 0);
    CHECK_OK(jini_close(copy, NULL, NULL));

    CHECK_INT(unlink(harness_path("copy/archive")), ==, 0);
    harness_copy(harness_path("original/archive"), harness_path("copy/archive"));
    copy = shared_open("copy", "dir:archive");
    CHECK_UINT(shared_status(copy).keeping, ==, JINI_KEEPING_COPY);
    CHECK_OK(jini_archive_adopt(copy, &error));
    fixture_days_pass(2);
    fixture_tier(copy, JINI_TIERING_NOW, &run);
    CHECK_UINT(run.keeping, ==, JINI_KEEPING_NOTHING);
    CHECK_UINT(shared_files(harness_path("copy/archive/packs"), NULL), ==, 0);
    CHECK_OK(jini_close(copy, NULL, NULL));
    check_all_there(original, images, 0);
    shared_purge(original, images, IMAGES);
    fixture_tier(original, JINI_TIERING_NOW, &run);
    CHECK_UINT(run.keeping, ==, JINI_KEEPING_NOTHING);
    CHECK_UINT(shared_files(harness_path("original/archive/packs"), NULL), ==, 0);
    CHECK_OK(jini_close(original, NULL, NULL));
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

TEST(an_archive_that_is_not_there_is_not_adopted,
     "A database that has objects in an archive says what to do where there is none, and is a copy "
     "as before. Making it anew adopts it.")
{
    struct jini_id images[IMAGES];
    struct jini_error error;
    CHECK_OK(jini_close(make_original(shared_url(), images), NULL, NULL));
    struct jini *copy = shared_open("copy", "dir:archive");
    CHECK_STATUS(jini_archive_adopt(copy, &error), JINI_E_ARCHIVE);
    CHECK_CONTAINS(error.message, "jini archive init");
    CHECK_UINT(shared_status(copy).keeping, ==, JINI_KEEPING_COPY);
    CHECK_OK(jini_archive_init(copy, &error));
    CHECK_UINT(shared_status(copy).keeping, ==, JINI_KEEPING_NOTHING);
    CHECK_OK(jini_close(copy, NULL, NULL));
}

TEST(a_database_is_at_home_wherever_its_process_goes,
     "A database that was opened by a relative path deletes from its archive, and adopts it, after "
     "the process has changed its directory.")
{
    struct jini_archive_run run;
    struct jini_options options;
    struct jini_error error;
    fixture_directory = "relative";
    fixture_options(&options);
    snprintf(options.archive_url, sizeof(options.archive_url), "%s", shared_url());
    struct jini *jini = fixture_open_with(&options);
    struct jini_id image = fixture_put(jini, fixture_user(jini, "ada", "Premium"), 1);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    CHECK_INT(chdir("/"), ==, 0);
    shared_purge(jini, &image, 1);
    fixture_tier(jini, JINI_TIERING_NOW, &run);
    CHECK_UINT(run.keeping, ==, JINI_KEEPING_NOTHING);
    CHECK_UINT(shared_files(harness_path("shared/packs"), NULL), ==, 0);
    CHECK_OK(jini_archive_adopt(jini, &error));
    CHECK_UINT(shared_status(jini).keeping, ==, JINI_KEEPING_NOTHING);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
