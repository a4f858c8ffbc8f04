/*
 * A copy in the place of a data file, for a database that nobody has open. The registry tells who
 * has, and its setup lock keeps everybody else from opening it until the copy has its name. Where
 * there was no data file, nobody can have had one open, and the name alone is not to be taken from
 * anybody.
 */
#include "store/store_private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fork.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_MAX_BYTES = 4200 };

struct replacement {
    const char *directory;
    const char *from;
    char path[PATH_MAX_BYTES]; /* of the data file */
    store_is_known_fn *is_known;
    void *context;
};

static int sync_directory(const char *directory, struct jini_error *error)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno, directory, "cannot open the directory");
    int failed = fsync(fd) != 0 ? errno : 0;
    close(fd);
    return failed ? error_set_errno(error, failed, directory, "cannot sync the directory") : 0;
}

static int make_first(const struct replacement *replacement, struct jini_error *error)
{
    /* A hard link refuses everywhere, as not each file system's rename does. */
    if (link(replacement->from, replacement->path) != 0 &&
        (errno == EEXIST || renameat2(AT_FDCWD, replacement->from, AT_FDCWD, replacement->path,
                                      RENAME_NOREPLACE) != 0))
        return error_set_errno(error, errno, replacement->path, "cannot give the copy its name");
    unlink(replacement->from);
    return sync_directory(replacement->directory, error);
}

/* Held under the setup lock, with this process in a slot. */
static int check_nobody(struct registry *registry, const char *directory, struct jini_error *error)
{
    struct store_process_info infos[STORE_PROCESSES_MAX];
    struct store_process self = registry_self(registry);
    size_t count = registry_list(registry, infos, STORE_PROCESSES_MAX);
    for (size_t i = 0; i < count; i++) {
        if (infos[i].process.slot != self.slot)
            return error_set(error, JINI_E_IN_USE, directory,
                             "process %d (%s) has this database open: its data file is not "
                             "replaced",
                             infos[i].pid, infos[i].name);
    }
    return 0;
}

static int replace_locked(const struct replacement *replacement, struct registry *registry,
                          struct jini_error *error)
{
    int status = check_nobody(registry, replacement->directory, error);
    if (status)
        return status;
    if (replacement->is_known && !replacement->is_known(replacement->context))
        return error_set(error, JINI_E_CONFLICT, replacement->path,
                         "somebody has changed it meanwhile");
    if (rename(replacement->from, replacement->path) != 0)
        return error_set_errno(error, errno, replacement->path, "cannot give the copy its name");
    return sync_directory(replacement->directory, error);
}

static int replace_known(const struct replacement *replacement, struct jini_error *error)
{
    const struct registry_options options = {
        .directory = replacement->directory,
        .process_name = "copying",
        .clock = &clock_system,
        .format_min = 1,
        .format_max = UINT32_MAX,
        .read_only = true,
    };
    struct registry *registry;
    int status = registry_open(&options, &registry, error);
    if (status)
        return status;
    if (registry_looks_on(registry))
        status = error_set(error, JINI_E_READ_ONLY, replacement->directory,
                           "the directory cannot be written");
    else
        status = registry_setup_begin(registry, error);
    if (status == 0) {
        status = replace_locked(replacement, registry, error);
        registry_setup_end(registry);
    }
    registry_close(registry);
    return status;
}

/* What this process has open is not to be opened again: it would lose its locks by that. */
static int replace(const struct replacement *replacement, struct jini_error *error)
{
    char *directory = base_strdup(replacement->directory);
    if (!directory)
        return error_set(error, JINI_E_NO_MEMORY, "store", "out of memory");
    const struct store claim = {.directory = directory, .fork_generation = fork_generation()};
    int status = directory_claim(&claim, error);
    if (status == 0) {
        status = replace_known(replacement, error);
        directory_release(&claim);
    }
    base_free(directory);
    return status;
}

int store_replace(const char *directory, const char *from, store_is_known_fn *is_known,
                  void *context, struct jini_error *error)
{
    struct stat info;
    struct replacement replacement = {
        .directory = directory, .from = from, .is_known = is_known, .context = context};
    int length = snprintf(replacement.path, sizeof(replacement.path), "%s/data.mdb", directory);
    if (length < 0 || (size_t)length >= sizeof(replacement.path))
        return error_set(error, JINI_E_INVALID, directory, "the path is too long");
    if (lstat(replacement.path, &info) == 0)
        return replace(&replacement, error);
    return errno == ENOENT ? make_first(&replacement, error)
                           : error_set_errno(error, errno, replacement.path, "cannot look at it");
}
