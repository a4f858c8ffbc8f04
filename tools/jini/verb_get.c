/* jini get: image bytes, or the texts that an image carries. */
#include "command.h"
#include "file.h"
#include "image_file.h"
#include "layout.h"
#include "object.h"
#include "progress.h"
#include "words.h"
#include "worst.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct target {
    const char *output; /* "-": standard output */
    bool folder;
    enum file_replace replace;
};

/* Reads an image, or its metadata, into memory that the caller frees. */
static int read_image(struct command *command, const struct jini_id *id, enum jini_get_what what,
                      void **out, size_t *length, struct jini_image *image)
{
    struct jini_image_get get;
    jini_request_init(&get);
    *out = NULL;
    *length = 0;
    int status = jini_image_stat(command->jini, id, image, &command->error);
    if (status)
        return status;
    get.id = *id;
    get.what = what;
    get.capacity = (size_t)(what == JINI_GET_BYTES ? image->bytes : image->metadata_bytes);
    get.buffer = malloc(get.capacity ? get.capacity : 1);
    if (!get.buffer)
        return command_fail(command, JINI_E_NO_MEMORY, "image", "out of memory");
    status = command_wait(command, &get.request, jini_image_get(command->jini, &get, wait_done));
    if (status) {
        free(get.buffer);
        return status;
    }
    *out = get.buffer;
    *length = get.length;
    *image = get.image;
    return 0;
}

/* ---- Where to ---- */

/* The path of an image's file. To be freed; NULL: out of memory. */
static char *path_of(const struct target *target, const struct jini_image *image,
                     const char *extension)
{
    char id[JINI_ID_TEXT_MAX];
    char *path = NULL;
    if (!target->folder)
        return strdup(target->output);
    jini_id_format(&image->id, id);
    if (asprintf(&path, "%s/%s.%s", target->output, id, extension) < 0)
        return NULL;
    return path;
}

static int write_out(struct command *command, const struct target *target,
                     const struct jini_image *image, const void *bytes, size_t length,
                     const char *extension)
{
    if (strcmp(target->output, "-") == 0) {
        output_raw(bytes, length);
        return 0;
    }
    char *path = path_of(target, image, extension);
    if (!path)
        return command_fail(command, JINI_E_NO_MEMORY, "output", "out of memory");
    int status = file_write(path, bytes, length, target->replace, &command->error);
    if (status == 0 && output_is_json()) {
        json_t *object = object_image(command->jini, image);
        if (object)
            layout_set_path(object, "file", path);
        output_json(object);
    } else if (status == 0) {
        char size[WORDS_NUMBER_MAX];
        words_bytes(length, size);
        output_info("%s  %s", path, size);
    }
    free(path);
    return status;
}

static int get_bytes(struct command *command, const struct target *target, const struct jini_id *id)
{
    struct jini_image image;
    void *bytes;
    size_t length;
    int status = read_image(command, id, JINI_GET_BYTES, &bytes, &length, &image);
    if (status)
        return status;
    status =
        write_out(command, target, &image, bytes, length, image_file_extension(image.media_type));
    free(bytes);
    return status;
}

/* ---- Metadata ---- */

static json_t *texts_as_json(const void *metadata, size_t length)
{
    json_t *texts = json_array();
    struct jini_metadata_text part;
    size_t position = 0;
    while (length && jini_metadata_next(metadata, length, &position, &part) == 0)
        json_array_append_new(texts,
                              json_pack("{s:o, s:o, s:o}", "keyword",
                                        layout_bytes_as_text(part.keyword, part.keyword_length),
                                        "bytes", layout_number(part.length), "text",
                                        layout_bytes_as_text(part.bytes, part.length)));
    return texts;
}

static int find_text(struct command *command, const struct jini_image *image, const void *metadata,
                     size_t length, const char *keyword, struct jini_metadata_text *out)
{
    size_t position = 0;
    while (length && jini_metadata_next(metadata, length, &position, out) == 0) {
        if (out->keyword_length == strlen(keyword) &&
            memcmp(out->keyword, keyword, out->keyword_length) == 0)
            return 0;
    }
    if (image->texts_omitted > 0)
        return command_fail(command, JINI_E_NOT_FOUND, "keyword",
                            "no text \"%.100s\" is at hand, and %u texts of the file are not: they "
                            "are over a bound on their number and length, or broken; get the file "
                            "itself for them",
                            keyword, image->texts_omitted);
    return command_fail(command, JINI_E_NOT_FOUND, "keyword",
                        "the image carries no text \"%.100s\"; --metadata alone shows all",
                        keyword);
}

static int print_metadata(struct command *command, const struct target *target,
                          const struct jini_image *image, const void *metadata, size_t length)
{
    const char *keyword = args_text(&command->args, "keyword");
    bool standard = strcmp(target->output, "-") == 0;
    if (keyword) {
        struct jini_metadata_text part;
        int status = find_text(command, image, metadata, length, keyword, &part);
        return status ? status : write_out(command, target, image, part.bytes, part.length, "txt");
    }
    if (standard && output_is_json()) {
        output_json(json_pack("{s:o, s:o, s:o}", "id", layout_id(&image->id), "texts",
                              texts_as_json(metadata, length), "texts_omitted",
                              layout_number(image->texts_omitted)));
        return 0;
    }
    size_t together_length = 0;
    char *together = image_file_texts(metadata, length, &together_length);
    if (!together)
        return command_fail(command, JINI_E_NO_MEMORY, "metadata", "out of memory");
    int status = 0;
    if (standard && output_is_terminal())
        output_text(together);
    else
        status = write_out(command, target, image, together, together_length, "txt");
    free(together);
    return status;
}

static int get_metadata(struct command *command, const struct target *target,
                        const struct jini_id *id)
{
    struct jini_image image;
    void *metadata;
    size_t length;
    int status = read_image(command, id, JINI_GET_METADATA, &metadata, &length, &image);
    if (status)
        return status;
    status = print_metadata(command, target, &image, metadata, length);
    free(metadata);
    return status;
}

/* ---- The verb ---- */

/* True when bytes as they are go to standard output, where a line between them would spoil them. */
static bool is_raw(const struct command *command, const struct target *target)
{
    bool metadata = args_has(&command->args, "metadata");
    return strcmp(target->output, "-") == 0 && (!metadata || args_has(&command->args, "keyword"));
}

static int check_target(struct command *command, struct target *target)
{
    const struct args *args = &command->args;
    const char *given = args_text(args, "output");
    bool metadata = args_has(args, "metadata");
    target->output = given ? given : "-";
    target->folder = strcmp(target->output, "-") != 0 && file_is_folder(target->output);
    target->replace = args_has(args, "force") ? FILE_REPLACE : FILE_KEEP;
    if (args_has(args, "keyword") && !metadata)
        return command_fail(command, JINI_E_INVALID, "keyword", "--keyword needs --metadata");
    if (is_raw(command, target) && output_is_terminal())
        return command_fail(command, JINI_E_INVALID, "output",
                            "bytes are not written to a terminal; give -o FILE, or a pipe");
    if (args->positional_count > 1 && !target->folder && strcmp(target->output, "-") != 0)
        return command_fail(command, JINI_E_INVALID, "output",
                            "several images need a folder that is there, not \"%.100s\"",
                            target->output);
    if (args->positional_count > 1 && !target->folder && !metadata)
        return command_fail(command, JINI_E_INVALID, "output",
                            "several images in a row cannot be told apart; give -o FOLDER");
    return 0;
}

/* One of several images that could not be got. */
static void report_failure(const struct command *command, const struct target *target,
                           const char *id)
{
    struct jini_error error = command->error;
    if (output_is_json() && !is_raw(command, target)) {
        output_json(json_pack("{s:o, s:s, s:o}", "id", layout_text(id), "status",
                              jini_status_name(error.code), "error", output_error_object(&error)));
        return;
    }
    snprintf(error.field, sizeof(error.field), "%s", id);
    output_error(&error);
}

static int get_one(struct command *command, const struct target *target, const char *text)
{
    struct jini_id id;
    int status = command_parse_id(command, text, &id);
    if (status)
        return status;
    return args_has(&command->args, "metadata") ? get_metadata(command, target, &id)
                                                : get_bytes(command, target, &id);
}

/* Each for itself: what fails does not keep the others. */
static int get_several(struct command *command, const struct target *target, size_t count)
{
    struct worst worst = {0};
    size_t failed = 0;
    progress_begin("getting", "images");
    wait_on_tick(progress_tick);
    for (size_t i = 0; i < count && !command_is_over(); i++) {
        const char *text = command_argument(command, i);
        int status = get_one(command, target, text);
        if (status && !command_is_over()) {
            failed++;
            worst_add(&worst, i, status, &command->error);
            report_failure(command, target, text);
        }
        output_flush();
        progress_set(i + 1, count, 0);
        progress_tick();
    }
    wait_on_tick(NULL);
    progress_end();
    if (failed == 0)
        return 0;
    return worst_conclude(&worst, failed, count, "images were not read", &command->error);
}

int verb_get(struct command *command)
{
    struct target target;
    size_t count = command->args.positional_count;
    int status = check_target(command, &target);
    if (status == 0)
        status = command_open(command);
    if (status)
        return status;
    return count == 1 ? get_one(command, &target, command_argument(command, 0))
                      : get_several(command, &target, count);
}
