/* jini archive: what tiering would do, doing it, and how far it is. */
#include "command.h"
#include "layout.h"
#include "object.h"
#include "progress.h"
#include "words.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* What was reported so far; the callback runs on a thread of the engine. */
struct reports {
    bool dry_run;
    _Atomic uint64_t steps;
    _Atomic uint64_t bytes;
    uint64_t images;
};

static void print_event(const struct jini_tiering_event *event)
{
    char bytes[WORDS_NUMBER_MAX];
    char pack[JINI_ID_TEXT_MAX];
    words_bytes(event->bytes, bytes);
    jini_id_format(&event->pack_id, pack);
    output_line("%-8s %s  %5" PRIu64 " image%s %10s  %s%s%s", jini_tiering_step_name(event->step),
                pack, event->images, event->images == 1 ? " " : "s", bytes, event->because,
                event->object[0] != '\0' ? "  -> " : "", event->object);
}

static void on_event(void *context, const struct jini_tiering_event *event)
{
    struct reports *reports = context;
    reports->images += event->images;
    atomic_fetch_add(&reports->steps, 1);
    atomic_fetch_add(&reports->bytes, event->bytes);
    progress_set(atomic_load(&reports->steps), 0, atomic_load(&reports->bytes));
    if (!output_is_json()) {
        print_event(event);
    } else {
        const char *object = event->object[0] != '\0' ? event->object : NULL;
        output_json(json_pack("{s:s, s:s, s:o, s:o, s:o, s:s?, s:s}", "type", "step", "step",
                              jini_tiering_step_name(event->step), "pack_id",
                              layout_id(&event->pack_id), "images", layout_number(event->images),
                              "bytes", layout_number(event->bytes), "object", object, "because",
                              event->because));
    }
    output_flush();
}

static uint32_t flags_of(const struct args *args)
{
    return (args_has(args, "now") ? (unsigned)JINI_TIERING_NOW : 0) |
           (args_has(args, "free-hot") ? (unsigned)JINI_TIERING_FREE_HOT : 0);
}

static void print_plan_total(const struct reports *reports)
{
    char bytes[WORDS_NUMBER_MAX];
    uint64_t steps = atomic_load(&reports->steps);
    words_bytes(atomic_load(&reports->bytes), bytes);
    if (output_is_json())
        output_json(json_pack("{s:s, s:o, s:o, s:o}", "type", "total", "steps",
                              layout_number(steps), "images", layout_number(reports->images),
                              "bytes", layout_number(atomic_load(&reports->bytes))));
    else if (steps == 0)
        output_line("nothing is due");
    else
        output_line("%" PRIu64 " step%s, %" PRIu64 " image%s, %s", steps, steps == 1 ? "" : "s",
                    reports->images, reports->images == 1 ? "" : "s", bytes);
}

static void print_run_total(const struct jini_archive_run *run)
{
    char archived[WORDS_NUMBER_MAX];
    char freed[WORDS_NUMBER_MAX];
    if (output_is_json()) {
        output_json(json_pack(
            "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "type", "total", "packs_sealed",
            layout_number(run->packs_sealed), "packs_archived", layout_number(run->packs_archived),
            "packs_freed", layout_number(run->packs_freed), "packs_purged",
            layout_number(run->packs_purged), "packs_failed", layout_number(run->packs_failed),
            "images_archived", layout_number(run->images_archived), "images_purged",
            layout_number(run->images_purged), "bytes_archived", layout_number(run->bytes_archived),
            "bytes_freed", layout_number(run->bytes_freed)));
        return;
    }
    words_bytes(run->bytes_archived, archived);
    words_bytes(run->bytes_freed, freed);
    output_info("sealed    %" PRIu64 " packs", run->packs_sealed);
    output_info("archived  %" PRIu64 " packs, %" PRIu64 " images, %s", run->packs_archived,
                run->images_archived, archived);
    output_info("freed     %" PRIu64 " packs", run->packs_freed);
    output_info("purged    %" PRIu64 " packs, %" PRIu64 " images", run->packs_purged,
                run->images_purged);
    output_info("space     %s given back on the local disk", freed);
    if (run->packs_failed)
        output_line("failed    %" PRIu64 " packs; they stay as they are", run->packs_failed);
}

static int run_tiering(struct command *command, struct reports *reports)
{
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = flags_of(&command->args) | (reports->dry_run ? (unsigned)JINI_TIERING_DRY_RUN : 0);
    run.report = on_event;
    run.report_context = reports;
    int status = command_open(command);
    if (status)
        return status;
    progress_begin(reports->dry_run ? "planning" : "archiving", "steps");
    wait_on_tick(progress_tick);
    status = command_wait(command, &run.request, jini_archive_run(command->jini, &run, wait_done));
    wait_on_tick(NULL);
    progress_end();
    if (status == JINI_E_LOCKED)
        return status;
    if (reports->dry_run && status == 0)
        print_plan_total(reports);
    else if (!reports->dry_run)
        print_run_total(&run);
    return status;
}

int verb_archive_plan(struct command *command)
{
    struct reports reports = {.dry_run = true};
    return run_tiering(command, &reports);
}

int verb_archive_run(struct command *command)
{
    struct reports reports = {.dry_run = false};
    return run_tiering(command, &reports);
}

int verb_archive_status(struct command *command)
{
    struct jini_archive_status counts;
    int status = command_open(command);
    if (status == 0)
        status = jini_archive_status(command->jini, &counts, &command->error);
    if (status)
        return status;
    layout_object(json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "images_hot",
        layout_number(counts.images_hot), "images_hot_archived",
        layout_number(counts.images_hot_archived), "images_cold", layout_number(counts.images_cold),
        "images_trash", layout_number(counts.images_trash), "packs_open",
        layout_number(counts.packs_open), "packs_sealed", layout_number(counts.packs_sealed),
        "packs_archived", layout_number(counts.packs_archived), "packs_cold",
        layout_number(counts.packs_cold), "bytes_original", layout_number(counts.bytes_original),
        "bytes_local", layout_number(counts.bytes_local), "bytes_archived",
        layout_number(counts.bytes_archived), "bytes_cached", layout_number(counts.bytes_cached)));
    return 0;
}
