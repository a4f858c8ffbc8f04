/* Paths of files. */
#include "base/path.h"

#include "base/alloc.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

char *path_absolute(const char *path)
{
    char folder[PATH_MAX];
    if (path[0] == '/')
        return base_strdup(path);
    if (!getcwd(folder, sizeof(folder)))
        return NULL;
    size_t bytes = strlen(folder) + 1 + strlen(path) + 1;
    char *absolute = base_malloc(bytes);
    if (absolute)
        snprintf(absolute, bytes, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, path);
    else
        errno = ENOMEM;
    return absolute;
}
