/* jini pack list and verify: what a pack holds, and whether it is whole, without its database. */
#include "verb_pack.h"

#include "layout.h"
#include "progress.h"
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

/* ---- Walking ---- */

int pack_walk(struct command *command, struct pack_walk *walk)
{
    struct stat info;
    const char *path = command_argument(command, 0);
    int status = jini_pack_open(&walk->pack, path, &command->error);
    if (status)
        return status;
    walk->file_bytes = stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
    if (walk->what)
        progress_begin(walk->what, NULL);
    status = jini_pack_each(walk->pack, walk->flags, walk->report, walk->context, &walk->summary,
                            &command->error);
    progress_end();
    jini_pack_close(walk->pack);
    return status;
}

int pack_walk_on(const struct pack_walk *walk, const struct jini_pack_item *item)
{
    progress_set(item->offset + item->length, walk->file_bytes, 0);
    progress_tick();
    return command_is_over() ? JINI_E_CANCELLED : 0;
}

/* ---- What is printed ---- */

static json_t *part_object(const char *type, const struct jini_pack_item *item)
{
    bool is_record = item->part == JINI_PACK_RECORD;
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:s?, s:o, s:o}", "type", type,
                     "part", jini_pack_part_name(item->part), "status",
                     jini_status_name(item->status), "offset", layout_number(item->offset),
                     "length", layout_number(item->length), "image_id", layout_id(&item->image_id),
                     "sequence", is_record ? layout_number(item->sequence) : json_null(), "bytes",
                     is_record ? layout_number(item->bytes) : json_null(), "stored_bytes",
                     is_record ? layout_number(item->stored_bytes) : json_null(), "codec",
                     is_record ? item->codec : NULL, "metadata_bytes",
                     is_record ? layout_number(item->metadata_bytes) : json_null(), "damage",
                     item->status ? layout_text(item->damage) : json_null());
}

static void print_total_in_words(const struct jini_pack_summary *summary)
{
    char id[JINI_ID_TEXT_MAX];
    char bytes[WORDS_NUMBER_MAX];
    char stored[WORDS_NUMBER_MAX];
    char file[WORDS_NUMBER_MAX];
    jini_id_format(&summary->pack_id, id);
    words_bytes(summary->bytes, bytes);
    words_bytes(summary->stored_bytes, stored);
    words_bytes(summary->file_bytes, file);
    output_info("pack %s, %s: %" PRIu32 " image%s, %s, stored as %s in a file of %s", id,
                summary->sealed ? "sealed" : "not sealed", summary->records,
                summary->records == 1 ? "" : "s", bytes, stored, file);
    if (summary->problems)
        output_line("%" PRIu32 " problem%s", summary->problems, summary->problems == 1 ? "" : "s");
}

static void conclude(struct command *command, const struct jini_pack_summary *summary)
{
    if (output_is_json())
        output_json(json_pack(
            "{s:s, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "type", "total", "pack_id",
            layout_id(&summary->pack_id), "created", layout_time(summary->created_ms), "sealed",
            (int)summary->sealed, "records", layout_number(summary->records), "problems",
            layout_number(summary->problems), "bytes", layout_number(summary->bytes),
            "stored_bytes", layout_number(summary->stored_bytes), "file_bytes",
            layout_number(summary->file_bytes)));
    else
        print_total_in_words(summary);
    if (summary->problems)
        command->exit_code = EXIT_PROBLEMS;
}

/* ---- list ---- */

struct listing {
    struct pack_walk walk;
    struct layout_list list;
};

static int on_listed(void *context, const struct jini_pack_item *item)
{
    struct listing *listing = context;
    layout_list_add(&listing->list, part_object("part", item));
    return pack_walk_on(&listing->walk, item);
}

int verb_pack_list(struct command *command)
{
    static const struct layout_column columns[] = {{"PART", "part", LAYOUT_PLAIN},
                                                   {"OFFSET", "offset", LAYOUT_PLAIN},
                                                   {"IMAGE", "image_id", LAYOUT_PLAIN},
                                                   {"BYTES", "bytes", LAYOUT_BYTES},
                                                   {"STORED", "stored_bytes", LAYOUT_BYTES},
                                                   {"CODEC", "codec", LAYOUT_PLAIN},
                                                   {"TEXTS", "metadata_bytes", LAYOUT_BYTES},
                                                   {"DAMAGE", "damage", LAYOUT_PLAIN}};
    struct listing listing = {.walk = {.report = on_listed, .context = &listing}};
    layout_list_begin(&listing.list, columns);
    int status = pack_walk(command, &listing.walk);
    layout_list_end(&listing.list, NULL);
    if (status == 0)
        conclude(command, &listing.walk.summary);
    return status;
}

/* ---- verify ---- */

static int on_verified(void *context, const struct jini_pack_item *item)
{
    const struct pack_walk *walk = context;
    if (item->status && output_is_json()) {
        output_json(part_object("problem", item));
    } else if (item->status) {
        char image[JINI_ID_TEXT_MAX] = "";
        if (item->part == JINI_PACK_RECORD)
            jini_id_format(&item->image_id, image);
        output_line("problem: %s at offset %" PRIu64 "%s%s: %s", jini_pack_part_name(item->part),
                    item->offset, image[0] != '\0' ? ", image " : "", image, item->damage);
    }
    if (item->status)
        output_flush();
    return pack_walk_on(walk, item);
}

int verb_pack_verify(struct command *command)
{
    struct pack_walk walk = {
        .what = "checking", .flags = JINI_PACK_DEEP, .report = on_verified, .context = &walk};
    int status = pack_walk(command, &walk);
    if (status)
        return status;
    conclude(command, &walk.summary);
    if (walk.summary.problems == 0)
        output_line("clean");
    return 0;
}
