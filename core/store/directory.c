/*
 * The directory of a database: one handle per process, no filesystem that cannot be trusted, and
 * entries that are durable.
 */
#include "store/store_private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fork.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* ---- One handle per process and directory ---- */

struct open_directory {
    dev_t device;
    ino_t inode;
    uint32_t fork_generation;
    const struct store *store;
    struct open_directory *next;
};

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static struct open_directory *open_directories;

/* A fork while another thread holds the lock would leave it held for ever in the child. */
static void lock_open(void)
{
    pthread_mutex_lock(&open_lock);
}

static void unlock_open(void)
{
    pthread_mutex_unlock(&open_lock);
}

__attribute__((constructor)) static void guard_forks(void)
{
    pthread_atfork(lock_open, unlock_open, unlock_open);
}

/* Entries of a parent process do not count: its handles are not ours. */
int directory_claim(const struct store *store, struct jini_error *error)
{
    struct stat info;
    if (stat(store->directory, &info) != 0)
        return error_set_errno(error, errno, store->directory, "cannot look at the directory");
    struct open_directory *entry = base_malloc(sizeof(*entry));
    if (!entry)
        return error_set(error, JINI_E_NO_MEMORY, "store", "out of memory");
    *entry = (struct open_directory){.device = info.st_dev,
                                     .inode = info.st_ino,
                                     .fork_generation = fork_generation(),
                                     .store = store};
    int status = 0;
    pthread_mutex_lock(&open_lock);
    for (struct open_directory *other = open_directories; other; other = other->next) {
        if (other->device == entry->device && other->inode == entry->inode &&
            other->fork_generation == entry->fork_generation)
            status = JINI_E_LOCKED;
    }
    if (status == 0) {
        entry->next = open_directories;
        open_directories = entry;
    }
    pthread_mutex_unlock(&open_lock);
    if (status) {
        base_free(entry);
        error_set(error, status, store->directory,
                  "this process has the database open already; share that handle");
    }
    return status;
}

void directory_release(const struct store *store)
{
    pthread_mutex_lock(&open_lock);
    for (struct open_directory **link = &open_directories; *link; link = &(*link)->next) {
        struct open_directory *entry = *link;
        if (entry->store == store && entry->fork_generation == store->fork_generation) {
            *link = entry->next;
            base_free(entry);
            break;
        }
    }
    pthread_mutex_unlock(&open_lock);
}

/* ---- The directory ---- */

static const struct {
    long magic;
    const char *name;
} unsafe_filesystems[] = {
    {NFS_SUPER_MAGIC, "NFS"},   {SMB_SUPER_MAGIC, "SMB"},   {SMB2_SUPER_MAGIC, "SMB"},
    {CIFS_SUPER_MAGIC, "CIFS"}, {FUSE_SUPER_MAGIC, "FUSE"}, {OVERLAYFS_SUPER_MAGIC, "overlay"},
    {CEPH_SUPER_MAGIC, "Ceph"}, {V9FS_MAGIC, "9p"},         {AFS_FS_MAGIC, "AFS"},
    {AFS_SUPER_MAGIC, "AFS"},   {CODA_SUPER_MAGIC, "Coda"}, {OCFS2_SUPER_MAGIC, "OCFS2"},
    {0x01161970, "GFS2"},       {0x0BD00BD0, "Lustre"},     {0x47504653, "GPFS"},
};

/* Compared as 32 bits: where f_type is signed, the larger of these numbers are negative. */
const char *directory_unsafe_filesystem(uint32_t magic)
{
    for (size_t i = 0; i < sizeof(unsafe_filesystems) / sizeof(unsafe_filesystems[0]); i++) {
        if (magic == (uint32_t)unsafe_filesystems[i].magic)
            return unsafe_filesystems[i].name;
    }
    return NULL;
}

static int check_filesystem(const struct store *store, struct jini_error *error)
{
    struct statfs info;
    if (statfs(store->directory, &info) != 0)
        return error_set_errno(error, errno, store->directory, "cannot look at the filesystem");
    const char *name = directory_unsafe_filesystem((uint32_t)info.f_type);
    if (!name || store->options.allow_unsafe_filesystem)
        return 0;
    return error_set(error, JINI_E_UNSUPPORTED, store->directory,
                     "the directory lies on a filesystem (%s) whose shared memory and locks cannot "
                     "be trusted; use a local disk, or set store.allow_unsafe_filesystem for a "
                     "single process",
                     name);
}

static bool has_data_file(const struct store *store)
{
    char path[4200];
    struct stat info;
    snprintf(path, sizeof(path), "%s/data.mdb", store->directory);
    return stat(path, &info) == 0 || errno != ENOENT;
}

int directory_prepare(const struct store *store, struct jini_error *error)
{
    struct stat info;
    bool create = store->options.create && !store->options.read_only;
    if (stat(store->directory, &info) == 0) {
        if (!S_ISDIR(info.st_mode))
            return error_set(error, JINI_E_INVALID, store->directory, "not a directory");
    } else if (errno == ENOTDIR) {
        return error_set(error, JINI_E_INVALID, store->directory,
                         "a part of it is not a directory");
    } else if (errno != ENOENT) {
        return error_set_errno(error, errno, store->directory, "cannot look at the directory");
    } else if (!create) {
        return error_set(error, JINI_E_NOT_FOUND, store->directory,
                         "there is no database; create one first");
    } else if (mkdir(store->directory, 0700) != 0 && errno != EEXIST) {
        return error_set_errno(error, errno, store->directory, "cannot create the directory");
    }
    if (!create && !has_data_file(store))
        return error_set(error, JINI_E_NOT_FOUND, store->directory,
                         "the directory holds no database; create one first");
    return check_filesystem(store, error);
}

/*
 * Makes the entries of data.mdb in the directory, and of the directory in the one above, durable.
 * Done at every opening, not only by who made them: that one may have been killed before it came to
 * it.
 */
int directory_sync(const struct store *store, struct jini_error *error)
{
    int status = 0;
    int directory = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return error_set_errno(error, errno, store->directory, "cannot open the directory");
    if (fsync(directory) != 0)
        status = error_set_errno(error, errno, store->directory, "cannot sync the directory");
    int above = status ? -1 : openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(directory);
    if (above < 0)
        return status; /* one that may not be read was not made by us */
    if (fsync(above) != 0)
        status =
            error_set_errno(error, errno, store->directory, "cannot sync the directory above it");
    close(above);
    return status;
}
