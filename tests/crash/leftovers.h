/*
 * What is left on disk and in the archive, against what the rows of packs name. Call it after a run
 * of tiering to which orphans were due; then nothing else may be there, but packs of puts that were
 * not acknowledged, set aside.
 */
#ifndef CRASH_LEFTOVERS_H
#define CRASH_LEFTOVERS_H

#include "engine_fixture.h"

#include <ftw.h>
#include <sys/stat.h>

static uint64_t leftovers_seen;

static int leftovers_count_file(const char *path, const struct stat *info, int type,
                                struct FTW *where)
{
    (void)path;
    (void)info;
    (void)where;
    leftovers_seen += type == FTW_F;
    return 0;
}

static uint64_t leftovers_files(const char *folder)
{
    char path[700];
    snprintf(path, sizeof(path), "%s/%s", fixture_db(), folder);
    leftovers_seen = 0;
    nftw(path, leftovers_count_file, 16, FTW_PHYS);
    return leftovers_seen;
}

static inline void leftovers_check(struct jini *jini)
{
    struct jini_archive_status status;
    struct jini_error error;
    CHECK_OK(jini_archive_status(jini, &status, &error));
    uint64_t local = status.packs_open + status.packs_sealed + status.packs_archived;
    CHECK_UINT(leftovers_files("packs"), ==, local + status.packs_lost);
    CHECK_UINT(leftovers_files("archive/packs"), ==, status.packs_archived + status.packs_cold);
}

#endif
