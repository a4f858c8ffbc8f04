/* The archive of an engine: opened by the first who needs it, since most processes never do. */
#include "engine/engine_private.h"

#include "archive/archive.h"
#include "base/error.h"
#include "images/index.h"

#include <stdio.h>

enum { OTHER_REQUESTS_MAX = 64 }; /* that wait for it at once beside reads: tiering, verify */

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

enum { FOUND_OBJECT = 1 };

static int find_object(void *context, const struct index_pack *pack)
{
    (void)context;
    bool archived = pack->state == INDEX_PACK_ARCHIVED || pack->state == INDEX_PACK_COLD;
    return archived ? FOUND_OBJECT : 0;
}

/*
 * An archive is made for the first object only. Later an empty place is a disk that is not mounted, or a wrong URL, and
 * must not be taken for the archive.
 */
static int open_archive(struct jini *jini, struct jini_error *error)
{
    char url[ARCHIVE_URL_MAX];
    struct archive_options options;
    int found = index_pack_each(jini->store, find_object, NULL);
    if (found < 0)
        return error_set(error, found, "archive", "%s", jini_status_text(found));
    bool in_use = found == FOUND_OBJECT;
    archive_options_init(&options);
    options.clock = jini->clock;
    options.queue_max = (uint32_t)jini->options.archive_reads_max + OTHER_REQUESTS_MAX;
    options.mode = jini->options.read_only || in_use ? ARCHIVE_OPEN_EXISTING : ARCHIVE_CREATE;
    int status = resolve_url(jini, url, sizeof(url), error);
    return status ? status : archive_open(url, &options, &jini->archive, error);
}

int engine_archive(struct jini *jini, struct archive **out, struct jini_error *error)
{
    int status = 0;
    *out = NULL;
    pthread_mutex_lock(&jini->archive_lock);
    if (!jini->archive)
        status = open_archive(jini, error);
    *out = jini->archive;
    pthread_mutex_unlock(&jini->archive_lock);
    return status;
}
