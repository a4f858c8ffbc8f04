/* Files and objects that nothing refers to: what a crash left, or an attempt that was given up. */
#include "engine/tiering_private.h"

#include "base/error.h"
#include "images/pack_path.h"
#include "images/pack_write.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { ORPHAN_AGE_MS = 3600 * 1000, WALKS_MAX = 64 };

struct collecting {
    struct tiering_run *run;
    struct jini_error *error;
};

/*
 * True while some process writes the file. Its age proves nothing: a process that was stopped between append and commit
 * gives the file its row when it goes on.
 */
static bool is_written(const struct jini *jini, const struct jini_id *id)
{
    char path[PACK_PATH_MAX];
    pack_path(id, path);
    int descriptor = openat(jini->directory_fd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (descriptor < 0)
        return errno != ENOENT;
    int status = pack_lock(descriptor, path, NULL);
    close(descriptor);
    return status != 0;
}

/* A file without a row, or of a pack that is COLD: left by a crash. Young ones may be about to get their row. */
static int collect_file(void *context, const struct jini_id *id)
{
    const struct collecting *collecting = context;
    struct tiering_run *run = collecting->run;
    struct index_pack pack;
    int status = tiering_load_pack(run, id, &pack);
    if (status == JINI_E_NOT_FOUND) {
        uint64_t now = clock_wall_ns(run->jini->clock) / NS_PER_MS;
        if (id_time_ms(id) + ORPHAN_AGE_MS > now || is_written(run->jini, id))
            return 0;
        /* Whoever wrote it may have committed its row just before letting go of it. */
        status = tiering_load_pack(run, id, &pack);
        if (status != JINI_E_NOT_FOUND)
            return status;
        pack = (struct index_pack){.id = *id};
        return tiering_remove_file(run, &pack, collecting->error);
    }
    if (status == JINI_E_CORRUPT || status == JINI_E_FORMAT)
        return 0; /* a row that cannot be read may mean the file */
    if (status == 0 && pack.state == INDEX_PACK_COLD)
        return tiering_remove_file(run, &pack, collecting->error);
    return status;
}

/* An object that no row names: of an attempt that was given up while its PUT was under way. */
static int collect_object(struct archive_request *list, const struct archive_entry *entry)
{
    struct tiering_run *run = list->user;
    struct jini_id id;
    struct jini_id attempt;
    struct index_pack pack;
    if (index_object_parse(entry->name, &id, &attempt) != 0)
        return 0; /* not ours */
    int status = tiering_load_pack(run, &id, &pack);
    bool named = status == 0 && id_equal(&pack.attempt, &attempt);
    uint64_t now = clock_wall_ns(run->jini->clock) / NS_PER_MS;
    if (named || (status && status != JINI_E_NOT_FOUND) ||
        id_time_ms(&attempt) + ORPHAN_AGE_MS > now || run->orphan_count == TIERING_ORPHANS_MAX)
        return 0;
    struct index_pack *orphan = &run->orphans[run->orphan_count++];
    *orphan = (struct index_pack){.id = id, .attempt = attempt};
    return 0;
}

/* A walk holds a bounded number of names; more orphans take more walks, and what is left the next run. */
static int collect_objects(struct tiering_run *run, struct jini_error *error)
{
    int status = tiering_open_archive(run, error);
    for (int walk = 0; status == 0 && walk < WALKS_MAX; walk++) {
        run->orphan_count = 0;
        status = archive_walk(run->archive, slice_of_text("packs/"), collect_object, run, error);
        for (size_t i = 0; status == 0 && i < run->orphan_count; i++)
            status = tiering_delete_object(run, &run->orphans[i], error);
        if (status == 0 && run->orphan_count < TIERING_ORPHANS_MAX)
            break;
        if (status == 0)
            status = lease_renew(&run->lease);
    }
    return status;
}

int tiering_collect(struct tiering_run *run, struct jini_error *error)
{
    struct collecting collecting = {run, error};
    int status = pack_path_walk(run->jini->directory_fd, collect_file, &collecting, NULL, error);
    return status ? status : collect_objects(run, error);
}
