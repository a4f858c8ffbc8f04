/* Comparing what a user names with what lies in the directory of the database. */
#include "guard.h"

#include <dirent.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

static const char *guarded; /* NULL: nothing yet */

void guard_begin(const char *directory)
{
    guarded = directory;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool guard_is_directory(const struct stat *info)
{
    struct stat own;
    return guarded && S_ISDIR(info->st_mode) && stat(guarded, &own) == 0 && is_same(info, &own);
}

/*
 * The files that are locked lie in the directory itself. They are looked at anew each time: other
 * processes make and replace some of them.
 */
bool guard_is_file(const struct stat *info)
{
    bool found = false;
    DIR *folder = guarded && S_ISREG(info->st_mode) ? opendir(guarded) : NULL;
    const struct dirent *entry;
    while (folder && !found && (entry = readdir(folder))) {
        struct stat own;
        found = fstatat(dirfd(folder), entry->d_name, &own, 0) == 0 && is_same(info, &own);
    }
    if (folder)
        closedir(folder);
    return found;
}

/* True when the path without links, which is cut from its end, is or lies below the directory. */
static bool lies_inside(char *path)
{
    for (;;) {
        struct stat info;
        if (stat(path, &info) == 0 && guard_is_directory(&info))
            return true;
        char *slash = strrchr(path, '/');
        if (!slash || path[1] == '\0')
            return false;
        slash[slash == path ? 1 : 0] = '\0';
    }
}

bool guard_holds(const char *path)
{
    struct stat info;
    if (!guarded)
        return false;
    if (stat(path, &info) == 0 && guard_is_file(&info))
        return true;
    /* Both what a link points to and the folder in which the link itself stands. */
    char *copy = strdup(path);
    char *target = realpath(path, NULL);
    char *folder = copy ? realpath(dirname(copy), NULL) : NULL;
    bool inside = (target && lies_inside(target)) || (folder && lies_inside(folder));
    free(copy);
    free(target);
    free(folder);
    return inside;
}
