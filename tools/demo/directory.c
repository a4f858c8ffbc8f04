/*
 * The directory of a run, DATA/demo, which a run may replace because a file says that it is a
 * demo's. Not while somebody has it open: demos are told by a lock on DATA, which each holds until
 * it ends, and other programs by the engine's list of live processes.
 */
#include "demo/demo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int cannot(const char *what, const char *path)
{
    fprintf(stderr, "jini-demo: cannot %s %s: %s\n", what, path, strerror(errno));
    return 1;
}

/* ---- Whether it may be replaced ---- */

static bool is_same(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

/* Whether the folder of `fd`, which is closed, is `own` or lies in it at any depth. */
static bool lies_in(int fd, const struct stat *own)
{
    struct stat at;
    struct stat below = {0};
    bool found = false;
    while (!found && fd >= 0 && fstat(fd, &at) == 0 && !is_same(&at, &below)) {
        found = is_same(&at, own);
        below = at;
        int above = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        close(fd);
        fd = above;
    }
    if (fd >= 0)
        close(fd);
    return found;
}

/*
 * Before anything is removed: DATA/demo goes with all that lies in it, so that no image of it can
 * be read; and closing the files of the database would drop its locks. 0 or the exit code.
 */
static int check_folder(const struct demo *demo)
{
    struct stat own;
    int fd = open(demo->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        fprintf(stderr, "jini-demo: cannot open the folder %s: %s\n", demo->folder,
                strerror(errno));
        return jini_status_exit_code(JINI_E_IO);
    }
    if (stat(demo->directory, &own) != 0) {
        close(fd);
        return 0;
    }
    if (!lies_in(fd, &own))
        return 0;
    fprintf(stderr,
            "jini-demo: %s is the demo's own database or lies in it, which this run replaces; give "
            "another --data, or move the folder\n",
            demo->folder);
    return 1;
}

/* One demo at a time: the lock is the process's, and goes with it. 0 or the exit code. */
static int claim(const char *data)
{
    int fd = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return cannot("open", data);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    int failed = errno;
    close(fd);
    errno = failed;
    if (failed != EWOULDBLOCK)
        return cannot("lock", data);
    fprintf(stderr,
            "jini-demo: another jini-demo is at work in %s; wait for its end, or give another "
            "--data\n",
            data);
    return jini_status_exit_code(JINI_E_LOCKED);
}

/* A process that has the database open, beside this one. False: there is none. */
static bool find_user(struct jini *jini, struct jini_process *out)
{
    struct jini_process processes[JINI_PROCESSES_MAX];
    size_t count = 0;
    jini_processes(jini, processes, JINI_PROCESSES_MAX, &count);
    for (size_t i = 0; i < count; i++) {
        *out = processes[i];
        if (out->pid != getpid())
            return true;
    }
    return false;
}

/* What is no database any more, or none yet, nobody can have open. 0 or the exit code. */
static int check_unused(const struct demo *demo)
{
    struct jini *jini;
    struct jini_options options;
    struct jini_error error;
    struct jini_process user;
    jini_options_init(&options);
    options.read_only = 1;
    options.background_run = 0;
    int status = jini_open(&jini, demo->directory, &options, &error);
    if (status == JINI_E_LOCKED || status == JINI_E_BUSY)
        return demo_fail("looking who has the database open", status, &error);
    if (status)
        return 0;
    bool used = find_user(jini, &user);
    jini_close(jini, NULL, NULL);
    if (!used)
        return 0;
    fprintf(stderr,
            "jini-demo: process %d (%s) has %s open, which this run replaces; wait for its end, or "
            "give another --data\n",
            (int)user.pid, user.name, demo->directory);
    return jini_status_exit_code(JINI_E_LOCKED);
}

/* ---- Making it anew ---- */

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static bool write_marker(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int remove_old(const struct demo *demo, const char *marker)
{
    struct stat info;
    if (stat(demo->directory, &info) != 0)
        return 0;
    if (stat(marker, &info) != 0) {
        fprintf(stderr, "jini-demo: %s is there and was not made by a demo; give another --data\n",
                demo->directory);
        return 1;
    }
    int code = check_unused(demo);
    if (code == 0)
        nftw(demo->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return code;
}

/* The originals that are rendered lie beside the database, and go with it. */
static bool make_originals(struct demo *demo)
{
    static char folder[4200];
    if (!demo->renders)
        return true;
    snprintf(folder, sizeof(folder), "%s/originals", demo->directory);
    demo->folder = folder;
    return mkdir(folder, 0700) == 0;
}

int demo_directory_prepare(struct demo *demo, const char *data)
{
    char marker[4200];
    snprintf(demo->directory, sizeof(demo->directory), "%s/demo", data);
    snprintf(marker, sizeof(marker), "%s/made-by-jini-demo", demo->directory);
    int code = demo->folder ? check_folder(demo) : 0;
    if (code == 0 && mkdir(data, 0700) != 0 && errno != EEXIST)
        code = cannot("create", data);
    if (code == 0)
        code = claim(data);
    if (code == 0)
        code = remove_old(demo, marker);
    if (code == 0 &&
        (mkdir(demo->directory, 0700) != 0 || !write_marker(marker) || !make_originals(demo)))
        code = cannot("create", demo->directory);
    return code;
}
