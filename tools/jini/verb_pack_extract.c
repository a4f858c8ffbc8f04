/* jini pack extract: images out of a pack, each for itself: what fails does not keep the others. */
#include "verb_pack.h"

#include "file.h"
#include "image_file.h"
#include "layout.h"
#include "progress.h"
#include "words.h"
#include "worst.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* An image that was asked for by its id. */
struct asked {
    struct jini_id id;
    bool found;
};

struct extraction {
    struct pack_walk walk;
    const char *folder;
    enum file_replace replace;
    struct asked *asked;
    size_t asked_count; /* 0: all of them */
    size_t parts;
    size_t failed;
    struct worst worst;
    uint64_t images; /* written */
    uint64_t bytes;
};

/* What has come of a record. */
struct outcome {
    const struct jini_pack_item *item;
    char *image_path; /* NULL: not written */
    char *texts_path;
    uint64_t bytes;
    char media_type[JINI_MEDIA_TYPE_MAX];
    struct jini_error error;
};

/* ---- Reports ---- */

static json_t *outcome_object(const struct outcome *outcome)
{
    const struct jini_pack_item *item = outcome->item;
    json_t *object =
        json_pack("{s:s, s:o, s:o, s:s}", "part", jini_pack_part_name(item->part), "offset",
                  layout_number(item->offset), "image_id", layout_id(&item->image_id), "status",
                  jini_status_name(outcome->error.code));
    if (object && outcome->image_path) {
        layout_set_path(object, "file", outcome->image_path);
        json_object_set_new(object, "bytes", layout_number(outcome->bytes));
        json_object_set_new(object, "media_type", layout_text(outcome->media_type));
    }
    if (object && outcome->texts_path)
        layout_set_path(object, "texts_file", outcome->texts_path);
    if (object && outcome->error.code)
        json_object_set_new(object, "error", output_error_object(&outcome->error));
    return object;
}

static void print_path(const char *path, uint64_t bytes)
{
    char size[WORDS_NUMBER_MAX];
    words_bytes(bytes, size);
    if (path)
        output_info("%s  %s", path, size);
}

/* Counts and prints what has come of a part, or of an id that was asked for. */
static void conclude_part(struct extraction *extraction, const struct outcome *outcome)
{
    extraction->parts++;
    if (outcome->image_path) {
        extraction->images++;
        extraction->bytes += outcome->bytes;
    }
    if (outcome->error.code) {
        extraction->failed++;
        worst_add(&extraction->worst, extraction->parts, outcome->error.code, &outcome->error);
    }
    if (output_is_json()) {
        output_json(outcome_object(outcome));
    } else {
        print_path(outcome->image_path, outcome->bytes);
        if (outcome->error.code)
            output_error(&outcome->error);
    }
    output_flush();
}

/* ---- One record ---- */

/* Reads a part of the record into memory that the caller frees. */
static int read_part(const struct extraction *extraction, const struct jini_pack_item *item,
                     enum jini_get_what what, void **out, size_t *length, struct jini_error *error)
{
    struct jini_pack_read read = {.offset = item->offset, .sequence = item->sequence, .what = what};
    *out = NULL;
    *length = 0;
    int status = jini_pack_read(extraction->walk.pack, &read, error);
    if (status != JINI_E_TOO_BIG)
        return status; /* of no bytes at all, 0 */
    read.buffer = malloc(read.length);
    read.capacity = read.length;
    if (!read.buffer) {
        memset(error, 0, sizeof(*error));
        error->code = JINI_E_NO_MEMORY;
        return error->code;
    }
    status = jini_pack_read(extraction->walk.pack, &read, error);
    if (status) {
        free(read.buffer);
        return status;
    }
    *out = read.buffer;
    *length = read.length;
    return 0;
}

/* Writes FOLDER/ID.EXTENSION; its path, to be freed, or NULL with the reason in `error`. */
static char *write_beside(const struct extraction *extraction, const struct jini_id *id,
                          const char *extension, const void *bytes, size_t length,
                          struct jini_error *error)
{
    char name[JINI_ID_TEXT_MAX];
    char *path = NULL;
    jini_id_format(id, name);
    if (asprintf(&path, "%s/%s.%s", extraction->folder, name, extension) < 0) {
        error->code = JINI_E_NO_MEMORY;
        return NULL;
    }
    if (file_write(path, bytes, length, extraction->replace, error) == 0)
        return path;
    free(path);
    return NULL;
}

static void extract_image(const struct extraction *extraction, struct outcome *outcome)
{
    void *bytes;
    size_t length;
    struct jini_image probe;
    struct jini_error ignored;
    struct jini_error *error = &outcome->error;
    if (read_part(extraction, outcome->item, JINI_GET_BYTES, &bytes, &length, error) != 0)
        return;
    jini_image_probe(bytes, length, &probe,
                     &ignored); /* what is no image is written all the same */
    snprintf(outcome->media_type, sizeof(outcome->media_type), "%s", probe.media_type);
    outcome->bytes = length;
    outcome->image_path =
        write_beside(extraction, &outcome->item->image_id, image_file_extension(probe.media_type),
                     bytes, length, error);
    free(bytes);
}

/* Its texts may be whole where the image is not. */
static void extract_texts(const struct extraction *extraction, struct outcome *outcome)
{
    void *metadata;
    size_t length;
    size_t texts_length = 0;
    struct jini_error error;
    int status =
        read_part(extraction, outcome->item, JINI_GET_METADATA, &metadata, &length, &error);
    char *texts = status == 0 ? image_file_texts(metadata, length, &texts_length) : NULL;
    if (texts && texts_length > 0)
        outcome->texts_path =
            write_beside(extraction, &outcome->item->image_id, "txt", texts, texts_length, &error);
    free(texts);
    free(metadata);
    if (outcome->error.code == 0) /* that of the image says more */
        outcome->error = error;
}

static void take_damage(struct outcome *outcome)
{
    const struct jini_pack_item *item = outcome->item;
    outcome->error.code = item->status;
    snprintf(outcome->error.field, sizeof(outcome->error.field), "pack");
    snprintf(outcome->error.message, sizeof(outcome->error.message), "%s", item->damage);
}

/* ---- The walk ---- */

static bool is_wanted(const struct extraction *extraction, const struct jini_pack_item *item)
{
    bool wanted = extraction->asked_count == 0;
    for (size_t i = 0; i < extraction->asked_count && item->part == JINI_PACK_RECORD; i++) {
        struct asked *asked = &extraction->asked[i];
        if (jini_id_compare(&asked->id, &item->image_id) == 0)
            asked->found = wanted = true;
    }
    return wanted;
}

static int on_part(void *context, const struct jini_pack_item *item)
{
    struct extraction *extraction = context;
    struct outcome outcome = {.item = item};
    if (is_wanted(extraction, item)) {
        if (item->status) {
            take_damage(&outcome);
        } else {
            extract_image(extraction, &outcome);
            extract_texts(extraction, &outcome);
        }
        conclude_part(extraction, &outcome);
        free(outcome.image_path);
        free(outcome.texts_path);
    }
    return pack_walk_on(&extraction->walk, item);
}

static void miss(struct extraction *extraction, const struct asked *asked)
{
    struct jini_pack_item item = {.part = JINI_PACK_RECORD, .image_id = asked->id};
    struct outcome outcome = {.item = &item, .error = {.code = JINI_E_NOT_FOUND}};
    jini_id_format(&asked->id, outcome.error.field);
    snprintf(outcome.error.message, sizeof(outcome.error.message),
             "the pack has no record under this id; an image that shares the bytes of another lies "
             "under the id of that one");
    conclude_part(extraction, &outcome);
}

/* ---- The verb ---- */

static int take_ids(struct command *command, struct extraction *extraction)
{
    size_t count = command->args.positional_count - 1;
    extraction->asked = calloc(count + 1, sizeof(*extraction->asked));
    if (!extraction->asked)
        return command_fail(command, JINI_E_NO_MEMORY, "IMAGE", "out of memory");
    extraction->asked_count = count;
    for (size_t i = 0; i < count; i++) {
        int status =
            command_parse_id(command, command_argument(command, i + 1), &extraction->asked[i].id);
        if (status)
            return status;
    }
    return 0;
}

static int make_folder(struct command *command, const char *folder)
{
    if (!folder)
        return command_fail(command, JINI_E_INVALID, "output", "-o FOLDER is needed");
    if (mkdir(folder, 0777) == 0 || (errno == EEXIST && file_is_folder(folder)))
        return 0;
    return command_fail(command, errno == ENOENT ? JINI_E_NOT_FOUND : JINI_E_IO, "output",
                        "the folder %.200s cannot be made: %s", folder, strerror(errno));
}

static int finish(struct command *command, struct extraction *extraction)
{
    char size[WORDS_NUMBER_MAX];
    for (size_t i = 0; i < extraction->asked_count; i++) {
        if (!extraction->asked[i].found)
            miss(extraction, &extraction->asked[i]);
    }
    words_bytes(extraction->bytes, size);
    output_info("%" PRIu64 " image%s, %s, in %s", extraction->images,
                extraction->images == 1 ? "" : "s", size, extraction->folder);
    if (extraction->failed == 0)
        return 0;
    return worst_conclude(&extraction->worst, extraction->failed, extraction->parts,
                          "parts were not read", &command->error);
}

int verb_pack_extract(struct command *command)
{
    struct extraction extraction = {
        .walk = {.what = "extracting", .report = on_part, .context = &extraction},
        .folder = args_text(&command->args, "output"),
        .replace = args_has(&command->args, "force") ? FILE_REPLACE : FILE_KEEP};
    int status = take_ids(command, &extraction);
    if (status == 0)
        status = make_folder(command, extraction.folder);
    if (status == 0)
        status = pack_walk(command, &extraction.walk);
    if (status == 0)
        status = finish(command, &extraction);
    free(extraction.asked);
    return status;
}
