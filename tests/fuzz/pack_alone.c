/*
 * Any bytes as a pack without a database (jini/packs.h): the walk ends, and what it calls whole
 * after it has looked at every byte can be read, in the length that was told.
 *
 * The first byte tells whether checksums are mended, and whether every byte is looked at. What
 * follows is the file; when mended, only what follows its header.
 */
#include "fuzz.h"
#include "pack_mend.h"

#include <jini/packs.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MEND = 1, DEEP = 2 };

struct walk {
    struct jini_pack *pack;
    bool deep;
    uint32_t records;
    uint32_t problems;
};

static int read_part(const struct walk *walk, const struct jini_pack_item *item,
                     enum jini_get_what what, size_t *length)
{
    struct jini_pack_read read = {.offset = item->offset, .sequence = item->sequence, .what = what};
    int status = jini_pack_read(walk->pack, &read, NULL);
    *length = read.length;
    if (status != JINI_E_TOO_BIG)
        return status;
    FUZZ_CHECK(read.length > 0);
    read.capacity = read.length;
    read.buffer = malloc(read.length);
    FUZZ_CHECK(read.buffer != NULL);
    status = jini_pack_read(walk->pack, &read, NULL);
    FUZZ_CHECK(read.length == *length);
    free(read.buffer);
    return status;
}

static int on_part(void *context, const struct jini_pack_item *item)
{
    struct walk *walk = context;
    size_t length;
    FUZZ_CHECK((item->status == 0) == (item->damage[0] == '\0'));
    FUZZ_CHECK(item->codec != NULL);
    walk->problems += item->status != 0;
    if (item->part != JINI_PACK_RECORD) {
        FUZZ_CHECK(item->status != 0);
        return 0;
    }
    walk->records += item->status == 0;
    int image = read_part(walk, item, JINI_GET_BYTES, &length);
    FUZZ_CHECK(image == 0 || image == JINI_E_CORRUPT || image == JINI_E_FORMAT);
    FUZZ_CHECK(image != 0 || item->status != 0 || length == item->bytes);
    int metadata = read_part(walk, item, JINI_GET_METADATA, &length);
    FUZZ_CHECK(metadata == 0 || metadata == JINI_E_CORRUPT || metadata == JINI_E_FORMAT);
    if (walk->deep && item->status == 0)
        FUZZ_CHECK(image == 0 && metadata == 0);
    return 0;
}

static void walk_through(const uint8_t *bytes, size_t length, bool deep)
{
    static int descriptor = -1;
    char path[32];
    struct walk walk = {.deep = deep};
    struct jini_pack_summary summary;
    if (descriptor < 0)
        descriptor = memfd_create("pack", MFD_CLOEXEC);
    FUZZ_CHECK(ftruncate(descriptor, 0) == 0);
    FUZZ_CHECK(pwrite(descriptor, bytes, length, 0) == (ssize_t)length);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", descriptor);
    int status = jini_pack_open(&walk.pack, path, NULL);
    FUZZ_CHECK((status == 0) == (walk.pack != NULL));
    if (status) {
        FUZZ_CHECK(status == JINI_E_CORRUPT || status == JINI_E_FORMAT);
        return;
    }
    status = jini_pack_each(walk.pack, deep ? JINI_PACK_DEEP : 0, on_part, &walk, &summary, NULL);
    FUZZ_CHECK(status == 0 || status == JINI_E_FORMAT);
    FUZZ_CHECK(summary.records == walk.records && summary.problems == walk.problems);
    FUZZ_CHECK(summary.file_bytes == length);
    jini_pack_close(walk.pack);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    if (length < 1)
        return 0;
    uint8_t how = data[0];
    size_t header_bytes = how & MEND ? PACK_HEADER_BYTES : 0;
    size_t total = header_bytes + length - 1;
    uint8_t *bytes = malloc(total ? total : 1);
    FUZZ_CHECK(bytes != NULL);
    if (how & MEND) {
        struct pack_header header = {.pack = pack_mend_id};
        pack_header_encode(&header, bytes);
    }
    if (length > 1)
        memcpy(bytes + header_bytes, data + 1, length - 1);
    if (how & MEND)
        pack_mend(bytes, total);
    walk_through(bytes, total, how & DEEP);
    free(bytes);
    return 0;
}
