/* Databases that name the same archive. */
#ifndef SHARED_ARCHIVE_H
#define SHARED_ARCHIVE_H

#include "engine_fixture.h"

#include <dirent.h>
#include <sys/stat.h>

/* Opens the database in a directory, with an archive that several may share or one of its own. */
static inline struct jini *shared_open(const char *directory, const char *archive_url)
{
    struct jini_options options;
    fixture_directory = harness_path("%s", directory);
    fixture_options(&options);
    size_t length = strlen(archive_url);
    CHECK_UINT(length, <, sizeof(options.archive_url));
    memcpy(options.archive_url, archive_url, length + 1);
    return fixture_open_with(&options);
}

static inline const char *shared_url(void)
{
    static char url[512];
    snprintf(url, sizeof(url), "dir:%s", harness_path("shared"));
    return url;
}

/* The records alone, as data.mdb of a new directory. */
static inline void shared_copy(struct jini *jini, const char *directory)
{
    struct jini_error error;
    char path[512];
    snprintf(path, sizeof(path), "%s", harness_path("%s", directory));
    CHECK_INT(mkdir(path, 0700), ==, 0);
    CHECK_OK(jini_copy(jini, harness_path("%s/data.mdb", directory), JINI_COPY_COMPACT, &error));
}

static inline void shared_purge(struct jini *jini, const struct jini_id *images, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct jini_image_remove remove;
        jini_request_init(&remove);
        remove.id = images[i];
        remove.flags = JINI_REMOVE_PURGE;
        CHECK_OK(jini_image_remove(jini, &remove, NULL));
    }
}

static inline struct jini_archive_status shared_status(struct jini *jini)
{
    struct jini_archive_status status;
    struct jini_error error;
    CHECK_OK(jini_archive_status(jini, &status, &error));
    return status;
}

/* How many files there are below a path; the path of one of them. */
static inline unsigned shared_files(const char *path, char one[1024])
{
    unsigned count = 0;
    DIR *directory = opendir(path);
    if (!directory)
        return 0;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char below[1024];
        if (entry->d_name[0] == '.')
            continue;
        CHECK((size_t)snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) < sizeof(below));
        if (entry->d_type == DT_DIR) {
            count += shared_files(below, one);
        } else {
            count++;
            if (one)
                memcpy(one, below, sizeof(below));
        }
    }
    closedir(directory);
    return count;
}

#endif
