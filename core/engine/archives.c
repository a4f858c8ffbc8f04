/* The archive of an engine: opened by the first who needs it, since most processes never do. */
#include "engine/engine_private.h"

#include "archive/archive.h"
#include "base/error.h"

#include <stdio.h>

/*
 * "dir:archive" means a directory beside the database's own files, wherever the process was started; also as the inner
 * archive of "fault:...:dir:archive".
 */
static int resolve_url(const struct jini *jini, char *out, size_t capacity,
                       struct jini_error *error)
{
    const char *url = jini->options.archive_url;
    const char *scheme = strncmp(url, "dir:", 4) == 0 ? url : NULL;
    for (const char *inner = strstr(url, ":dir:"); inner; inner = strstr(inner + 1, ":dir:"))
        scheme = inner + 1;
    int length;
    if (scheme && scheme[4] != '/')
        length = snprintf(out, capacity, "%.*s%s/%s", (int)(scheme + 4 - url), url, jini->directory,
                          scheme + 4);
    else
        length = snprintf(out, capacity, "%s", url);
    if (length < 0 || (size_t)length >= capacity)
        return error_set(error, JINI_E_INVALID, "archive.url", "the path is too long");
    return 0;
}

int engine_archive(struct jini *jini, struct archive **out, struct jini_error *error)
{
    int status = 0;
    *out = NULL;
    pthread_mutex_lock(&jini->archive_lock);
    if (!jini->archive) {
        char url[ARCHIVE_URL_MAX];
        struct archive_options options;
        archive_options_init(&options);
        options.clock = jini->clock;
        options.mode = jini->options.read_only ? ARCHIVE_OPEN_EXISTING : ARCHIVE_CREATE;
        status = resolve_url(jini, url, sizeof(url), error);
        if (status == 0)
            status = archive_open(url, &options, &jini->archive, error);
    }
    *out = jini->archive;
    pthread_mutex_unlock(&jini->archive_lock);
    return status;
}
