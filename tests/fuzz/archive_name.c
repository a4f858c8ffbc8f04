/*
 * Names of objects: whatever the bytes are, they are refused, or they name a file below the root,
 * the name comes back from a listing, and it follows the rules that name.h states.
 */
#include "archive/archive.h"

#include "fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_PER_ARCHIVE = 64 };

static char root[PATH_MAX];
static struct archive *archive;
static unsigned names;

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static void remove_archive(void)
{
    archive_close(archive);
    archive = NULL;
    if (root[0])
        nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    root[0] = '\0';
}

/*
 * A new archive now and then, so that directories do not pile up. In memory, where there is a place
 * for that.
 */
static void open_archive(void)
{
    static bool registered;
    char url[PATH_MAX + 8];
    struct archive_options options;
    if (archive && names++ < NAMES_PER_ARCHIVE)
        return;
    if (!registered)
        atexit(remove_archive);
    registered = true;
    remove_archive();
    names = 0;
    snprintf(root, sizeof(root), "%s/jini-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    FUZZ_CHECK(mkdtemp(root));
    snprintf(url, sizeof(url), "dir:%s", root);
    archive_options_init(&options);
    options.mode = ARCHIVE_CREATE;
    options.threads = 1;
    FUZZ_CHECK(archive_open(url, &options, &archive, NULL) == 0);
}

static int same_name(struct archive_request *request, const struct archive_entry *entry)
{
    const struct slice *name = request->user;
    FUZZ_CHECK(slice_equal(entry->name, *name));
    FUZZ_CHECK(entry->size == name->length);
    return 0;
}

static unsigned list_one(struct slice name)
{
    struct archive_request request = {.operation = ARCHIVE_LIST,
                                      .name = name,
                                      .user = &name,
                                      .list = {.entry = same_name, .entries_max = 2}};
    FUZZ_CHECK(archive_run(archive, &request, NULL) == 0);
    return request.entries;
}

/* The object lies at root/name and nowhere else. */
static void check_place(struct slice name)
{
    char path[PATH_MAX];
    char resolved[PATH_MAX];
    struct stat info;
    size_t length = strlen(root);
    memcpy(path, root, length);
    path[length] = '/';
    memcpy(path + length + 1, name.data, name.length);
    path[length + 1 + name.length] = '\0';
    FUZZ_CHECK(lstat(path, &info) == 0 && S_ISREG(info.st_mode));
    FUZZ_CHECK(realpath(path, resolved) && strcmp(resolved, path) == 0);
}

static void round_trip(struct slice name)
{
    struct archive_extent extent = archive_memory(name.data, name.length);
    struct archive_request request = {
        .operation = ARCHIVE_PUT, .name = name, .put = {.extents = &extent, .extent_count = 1}};
    open_archive();
    FUZZ_CHECK(list_one(name) == 0);
    int status = archive_run(archive, &request, NULL);
    FUZZ_CHECK(status == 0 || status == JINI_E_CONFLICT); /* a directory of an earlier input */
    if (status != 0)
        return;
    check_place(name);
    FUZZ_CHECK(list_one(name) == 1);
    request.operation = ARCHIVE_DELETE;
    FUZZ_CHECK(archive_run(archive, &request, NULL) == 0);
    FUZZ_CHECK(list_one(name) == 0);
}

static void check_segments(struct slice name)
{
    struct slice rest = name;
    struct slice segment;
    size_t length = 0;
    unsigned count = 0;
    while (archive_name_next(&rest, &segment)) {
        FUZZ_CHECK(segment.length > 0 && segment.length <= ARCHIVE_SEGMENT_MAX);
        FUZZ_CHECK(segment.data[0] != '.');
        FUZZ_CHECK(!memchr(segment.data, '/', segment.length));
        FUZZ_CHECK(!memchr(segment.data, '\0', segment.length));
        length += segment.length;
        count++;
    }
    FUZZ_CHECK(count >= 1 && count <= ARCHIVE_SEGMENTS_MAX);
    FUZZ_CHECK(length + count - 1 == name.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct slice name = slice_of(data, length);
    struct jini_error error;
    int status = archive_name_check(name, &error);
    FUZZ_CHECK(status == error.code);
    FUZZ_CHECK(status == 0 || status == JINI_E_INVALID);
    if (status != 0)
        return 0;
    /*
     * Every beginning of a name is a prefix, or is cut inside a character, or ends before a rule is
     * met.
     */
    FUZZ_CHECK(archive_prefix_check(name, NULL) == 0);
    check_segments(name);
    round_trip(name);
    return 0;
}
