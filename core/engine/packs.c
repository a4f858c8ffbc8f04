/*
 * Packs as files of their own: jini/packs.h. No engine is open, and nothing of the file is believed
 * that no checksum proves; what is read twice may have changed in between, so that each reading
 * checks its lengths anew.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "codec/codec.h"
#include "codec/image.h"
#include "images/pack_part.h"
#include "images/pack_read.h"
#include "images/pack_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <jini/packs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ID_TEXT_LENGTH = JINI_ID_TEXT_MAX - 1 };

struct jini_pack {
    struct pack_source source;
};

/* ---- Opening ---- */

static int read_header_id(const struct pack_source *file, uint64_t length, struct jini_id *out,
                          struct jini_error *error)
{
    uint8_t bytes[PACK_HEADER_BYTES];
    struct pack_header header;
    size_t there = length < sizeof(bytes) ? (size_t)length : sizeof(bytes);
    int status = pack_source_read(file, 0, bytes, there, error);
    if (status == 0)
        status = pack_header_decode(slice_of(bytes, there), NULL, &header, error);
    *out = header.pack;
    return status;
}

static int read_trailer_id(const struct pack_source *file, uint64_t length, struct jini_id *out,
                           struct jini_error *error)
{
    uint8_t bytes[PACK_TRAILER_BYTES];
    struct pack_trailer trailer;
    if (length < sizeof(bytes))
        return JINI_E_CORRUPT;
    uint64_t at = length - sizeof(bytes);
    int status = pack_source_read(file, at, bytes, sizeof(bytes), error);
    if (status == 0)
        status = pack_trailer_decode(slice_of(bytes, sizeof(bytes)), NULL, at, &trailer, error);
    *out = trailer.pack;
    return status;
}

/* "<id>.pack" of a local pack, "<id>-<attempt>.pack" of an object. */
static int read_name_id(const char *path, struct jini_id *out)
{
    char text[JINI_ID_TEXT_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (strlen(name) <= ID_TEXT_LENGTH ||
        (name[ID_TEXT_LENGTH] != '.' && name[ID_TEXT_LENGTH] != '-'))
        return JINI_E_CORRUPT;
    memcpy(text, name, ID_TEXT_LENGTH);
    text[ID_TEXT_LENGTH] = '\0';
    return jini_id_parse(text, out) == 0 ? 0 : JINI_E_CORRUPT;
}

static int find_id(struct pack_source *file, const char *path, struct jini_error *error)
{
    uint64_t length;
    int status = pack_source_length(file, &length, error);
    if (status == 0)
        status = read_header_id(file, length, &file->pack, error);
    if (status == JINI_E_CORRUPT)
        status = read_trailer_id(file, length, &file->pack, error);
    if (status == JINI_E_CORRUPT)
        status = read_name_id(path, &file->pack);
    if (status == JINI_E_CORRUPT)
        return error_set(error, status, path,
                         "it neither begins nor ends as a pack, nor has the name of one: nothing "
                         "tells the id that its records are checked by");
    if (status == 0)
        error_clear(error);
    return status;
}

static int open_file(const char *path, int *out, struct jini_error *error)
{
    struct stat info;
    *out = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return error_set_errno(error, errno, path, "it cannot be opened");
    int status = 0;
    if (fstat(fd, &info) != 0)
        status = error_set_errno(error, errno, path, "it cannot be looked at");
    else if (!S_ISREG(info.st_mode))
        status = error_set(error, JINI_E_INVALID, path, "it is no regular file");
    if (status)
        close(fd);
    *out = fd;
    return status;
}

int jini_pack_open(struct jini_pack **out, const char *path, struct jini_error *error)
{
    static const struct jini_id unknown;
    int fd;
    *out = NULL;
    error_clear(error);
    int status = open_file(path, &fd, error);
    if (status)
        return status;
    struct jini_pack *pack = base_calloc(1, sizeof(*pack));
    if (!pack) {
        close(fd);
        return error_set(error, JINI_E_NO_MEMORY, path, "out of memory");
    }
    pack->source = pack_source_of_file(&unknown, fd);
    status = find_id(&pack->source, path, error);
    if (status)
        jini_pack_close(pack);
    else
        *out = pack;
    return status;
}

void jini_pack_close(struct jini_pack *pack)
{
    if (!pack)
        return;
    close(pack->source.descriptor);
    base_free(pack);
}

/* ---- Reading ---- */

/* What is wanted of a record. */
struct wanted {
    const struct pack_source *source;
    struct pack_place place;
    enum jini_get_what what;
    struct pack_record record;
    const struct codec *codec;
};

static size_t original_length(const struct wanted *wanted)
{
    return wanted->what == JINI_GET_METADATA ? wanted->record.metadata_original_length
                                             : (size_t)wanted->record.original_length;
}

static size_t stored_length(const struct wanted *wanted)
{
    return wanted->what == JINI_GET_METADATA ? wanted->record.metadata_stored_length
                                             : (size_t)wanted->record.stored_length;
}

/* Reads the header of the record, and finds its codec. */
static int look(struct wanted *wanted, struct jini_error *error)
{
    int status = pack_read_record(wanted->source, &wanted->place, &wanted->record, error);
    if (status)
        return status;
    const struct pack_record *record = &wanted->record;
    const struct pack_codec *codec =
        wanted->what == JINI_GET_METADATA ? &record->metadata_codec : &record->codec;
    if (!pack_all_zero(record->key_id, sizeof(record->key_id)))
        return error_set(error, JINI_E_FORMAT, "pack",
                         "record %u is encrypted, which this version cannot read",
                         record->sequence);
    return codec_find(codec->id, codec->version, &wanted->codec, error);
}

static int decode(const struct wanted *wanted, struct slice stored, struct buffer *out,
                  struct jini_error *error)
{
    const struct pack_record *record = &wanted->record;
    struct jini_error found;
    error_clear(&found);
    int status = wanted->codec->decode(NULL, stored, original_length(wanted), out, &found);
    if (status == JINI_E_CORRUPT)
        return pack_corrupt(error, &wanted->source->pack, wanted->place.offset,
                            "record %u cannot be decoded: %s", record->sequence, found.message);
    if (status)
        return error_set(error, status, found.field, "%s", found.message);
    /* Of metadata there is no such hash. */
    struct hash128 hash = hash128(buffer_slice(out));
    if (wanted->what == JINI_GET_BYTES && !hash128_equal(&hash, &record->original_hash))
        return pack_corrupt(error, &wanted->source->pack, wanted->place.offset,
                            "what record %u decodes to is not the original", record->sequence);
    return 0;
}

/* Reads what was looked at, as it was put. */
static int read_original(struct wanted *wanted, struct buffer *out, struct jini_error *error)
{
    size_t length = stored_length(wanted);
    uint8_t *stored = base_malloc(length ? length : 1);
    if (!stored)
        return error_set(error, JINI_E_NO_MEMORY, "pack", "no memory for %zu bytes; try later",
                         length);
    int status = wanted->what == JINI_GET_METADATA
                     ? pack_read_metadata(wanted->source, &wanted->place, stored, length,
                                          &wanted->record, error)
                     : pack_read_payload(wanted->source, &wanted->place, stored, length,
                                         &wanted->record, error);
    if (status == 0)
        status = decode(wanted, slice_of(stored, stored_length(wanted)), out, error);
    base_free(stored);
    return status;
}

/* The same into memory of its own, which is to be freed. */
static int read_alone(struct wanted *wanted, struct buffer *out, struct jini_error *error)
{
    size_t length = original_length(wanted);
    uint8_t *bytes = base_malloc(length ? length : 1);
    *out = buffer_of(bytes, length);
    if (!bytes)
        return error_set(error, JINI_E_NO_MEMORY, "pack", "no memory for %zu bytes; try later",
                         length);
    int status = read_original(wanted, out, error);
    if (status) {
        base_free(bytes);
        *out = buffer_of(NULL, 0);
    }
    return status;
}

static int check_room(struct jini_pack_read *read, size_t length, struct jini_error *error)
{
    read->length = length;
    if (length <= read->capacity)
        return 0;
    return error_set(error, JINI_E_TOO_BIG, "capacity", "%zu bytes are needed", length);
}

/* Metadata that is not stored beside the image, as the image has it. */
static int read_from_image(struct wanted *wanted, struct jini_pack_read *read,
                           struct jini_error *error)
{
    struct buffer image;
    wanted->what = JINI_GET_BYTES;
    int status = look(wanted, error);
    if (status == 0)
        status = read_alone(wanted, &image, error);
    if (status)
        return status;
    struct codec_image *probe = base_malloc(sizeof(*probe));
    if (!probe)
        status = error_set(error, JINI_E_NO_MEMORY, "pack", "out of memory");
    else
        status = codec_image_probe(buffer_slice(&image), CODEC_PROBE_DEFAULT, probe, error);
    if (status == 0)
        status = check_room(read, probe->metadata_bytes, error);
    if (status == 0) {
        struct buffer out = buffer_of(read->buffer, read->capacity);
        status = codec_image_metadata(probe, &out, error);
    }
    if (status == JINI_E_NOT_IMAGE) {
        error_clear(error);
        status = 0; /* nor has it any texts */
    }
    base_free(probe);
    base_free(image.data);
    return status;
}

int jini_pack_read(struct jini_pack *pack, struct jini_pack_read *read, struct jini_error *error)
{
    struct wanted wanted = {.source = &pack->source,
                            .place = {read->offset, read->sequence},
                            .what = (enum jini_get_what)read->what};
    read->length = 0;
    error_clear(error);
    if (read->what != JINI_GET_BYTES && read->what != JINI_GET_METADATA)
        return error_set(error, JINI_E_INVALID, "what", "%u is none of enum jini_get_what",
                         read->what);
    int status = look(&wanted, error);
    if (status == 0 && wanted.what == JINI_GET_METADATA && original_length(&wanted) == 0)
        return read_from_image(&wanted, read, error);
    if (status == 0)
        status = check_room(read, original_length(&wanted), error);
    if (status)
        return status;
    struct buffer out = buffer_of(read->buffer, read->length);
    return read_original(&wanted, &out, error);
}

/* ---- Walking ---- */

struct walk {
    const struct pack_source *source;
    bool deep;
    jini_pack_fn *report;
    void *context;
    struct jini_pack_summary *out;
    struct jini_error *error;
    struct pack_scan_result scanned;
    bool was_sealed; /* its footer is damaged, so that it is walked as one that is not */
};

const char *jini_pack_part_name(enum jini_pack_part part)
{
    static const char *const names[] = {"unknown", "record", "header", "gap", "footer", "tail"};
    return part >= JINI_PACK_RECORD && part <= JINI_PACK_TAIL ? names[part] : names[0];
}

static int tell(struct walk *walk, const struct jini_pack_item *item)
{
    struct jini_pack_summary *out = walk->out;
    if (item->status) {
        out->problems++;
    } else {
        out->records++;
        out->bytes += item->bytes;
        out->stored_bytes += item->stored_bytes;
    }
    return walk->report ? walk->report(walk->context, item) : 0;
}

/* Decodes a part of a record that is coded, to see that it can be. */
static int check_part(const struct walk *walk, const struct pack_entry *entry,
                      enum jini_get_what what, struct jini_error *error)
{
    struct wanted wanted = {
        .source = walk->source, .place = {entry->offset, entry->sequence}, .what = what};
    struct buffer original;
    int status = look(&wanted, error);
    bool as_it_is = wanted.codec && wanted.codec->id == CODEC_STORED &&
                    original_length(&wanted) == stored_length(&wanted);
    if (status || as_it_is)
        return status;
    status = read_alone(&wanted, &original, error);
    if (status == 0)
        base_free(original.data);
    return status;
}

static int check_record(const struct walk *walk, const struct pack_entry *entry,
                        struct jini_error *error)
{
    const struct codec *codec;
    if (!walk->deep)
        return codec_find(entry->codec.id, entry->codec.version, &codec, error);
    int status = check_part(walk, entry, JINI_GET_BYTES, error);
    return status ? status : check_part(walk, entry, JINI_GET_METADATA, error);
}

static const char *codec_name(const struct pack_codec *id)
{
    const struct codec *codec;
    return codec_find(id->id, id->version, &codec, NULL) == 0 ? codec->name : "unknown";
}

static int tell_record(struct walk *walk, struct jini_pack_item *item,
                       const struct pack_entry *entry)
{
    struct jini_error error;
    error_clear(&error);
    item->part = JINI_PACK_RECORD;
    item->image_id = entry->image;
    item->bytes = entry->original_length;
    item->stored_bytes = entry->stored_length;
    item->metadata_bytes = entry->metadata_original_length;
    item->sequence = entry->sequence;
    item->codec = codec_name(&entry->codec);
    if (item->status == 0)
        item->status = check_record(walk, entry, &error);
    if (item->status && !status_is_damage(item->status)) {
        if (walk->error)
            *walk->error = error;
        return item->status;
    }
    if (error.code)
        item->damage = error.message;
    return tell(walk, item);
}

static int tell_tail(struct walk *walk, uint64_t offset)
{
    char damage[JINI_ERROR_MESSAGE_MAX];
    uint64_t length = walk->scanned.length - offset;
    snprintf(damage, sizeof(damage),
             "the pack is not sealed, and no record is legible in its last %llu bytes, from offset "
             "%llu on: they are being written, a crash tore them, or they are damaged",
             (unsigned long long)length, (unsigned long long)offset);
    struct jini_pack_item item = {.part = JINI_PACK_TAIL,
                                  .status = JINI_E_CORRUPT,
                                  .offset = offset,
                                  .length = length,
                                  .codec = "",
                                  .damage = damage};
    return tell(walk, &item);
}

static int on_part(void *context, const struct pack_scan_item *found)
{
    struct walk *walk = context;
    struct jini_pack_item item = {.status = found->status,
                                  .offset = found->offset,
                                  .length = found->length,
                                  .codec = "",
                                  .damage = found->damage ? found->damage->message : ""};
    bool may_be_torn = !walk->scanned.sealed && !walk->was_sealed;
    switch (found->part) {
    case PACK_PART_RECORD:
        return tell_record(walk, &item, found->entry);
    case PACK_PART_HEADER:
        item.part = JINI_PACK_HEADER;
        break;
    case PACK_PART_FOOTER:
        walk->was_sealed = true;
        item.part = JINI_PACK_FOOTER;
        break;
    case PACK_PART_GAP:
        if (may_be_torn && found->offset + found->length == walk->scanned.length)
            return tell_tail(walk, found->offset);
        item.part = JINI_PACK_GAP;
        break;
    }
    return tell(walk, &item);
}

int jini_pack_each(struct jini_pack *pack, uint32_t flags, jini_pack_fn *report, void *context,
                   struct jini_pack_summary *out, struct jini_error *error)
{
    struct walk walk = {.source = &pack->source,
                        .deep = flags & JINI_PACK_DEEP,
                        .report = report,
                        .context = context,
                        .out = out,
                        .error = error};
    /* Nobody says where the acknowledged end is: what is legible behind damage is told as well. */
    const struct pack_scan_options options = {.depth = walk.deep ? PACK_SCAN_EVERYTHING
                                                                 : PACK_SCAN_HEADERS,
                                              .expected = PACK_STATE_UNKNOWN,
                                              .acknowledged_end = PACK_ACKNOWLEDGED_ALL};
    *out = (struct jini_pack_summary){.pack_id = pack->source.pack};
    error_clear(error);
    if (flags & ~(uint32_t)JINI_PACK_DEEP)
        return error_set(error, JINI_E_INVALID, "flags", "%#x holds an unknown flag", flags);
    int status = pack_scan(walk.source, &options, on_part, &walk, &walk.scanned, error);
    if (status == 0 && walk.scanned.tail == PACK_TAIL_FOOTER && !walk.was_sealed)
        status = tell_tail(&walk, walk.scanned.end);
    out->created_ms = walk.scanned.header.created_ns / NS_PER_MS;
    out->sealed = walk.scanned.sealed;
    out->file_bytes = walk.scanned.length;
    return status;
}
