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

enum { STEPS_END = JINI_TIERING_EXPIRE + 1 };

/*
 * What was reported so far; the callback runs on a thread of the engine. The steps of a pack come
 * one after the other, each with all of its images, which are counted once.
 */
struct reports {
    bool dry_run;
    _Atomic uint64_t steps;
    _Atomic uint64_t bytes;
    struct jini_id pack_id; /* of the last step; all zero: none yet */
    uint64_t pack_images;   /* counted of it */
    uint64_t packs;
    uint64_t images;
    struct {
        uint64_t steps;
        uint64_t images;
        uint64_t bytes;
    } by_step[STEPS_END];
};

static const struct jini_id no_pack;

static void print_event(const struct jini_tiering_event *event)
{
    char bytes[WORDS_NUMBER_MAX];
    char pack[JINI_ID_TEXT_MAX] = "-";
    words_bytes(event->bytes, bytes);
    if (jini_id_compare(&event->pack_id, &no_pack) != 0)
        jini_id_format(&event->pack_id, pack);
    output_line("%-8s %-36s  %5" PRIu64 " image%s %10s  %s%s%s",
                jini_tiering_step_name(event->step), pack, event->images,
                event->images == 1 ? " " : "s", bytes, event->because,
                event->object[0] != '\0' ? "; in the archive as " : "", event->object);
}

static void count_event(struct reports *reports, const struct jini_tiering_event *event)
{
    uint64_t counted = 0;
    if (event->step > 0 && (int)event->step < STEPS_END) {
        reports->by_step[event->step].steps++;
        reports->by_step[event->step].images += event->images;
        reports->by_step[event->step].bytes += event->bytes;
    }
    if (jini_id_compare(&event->pack_id, &no_pack) == 0)
        return; /* images that expire lie in packs, which may have steps of their own */
    if (jini_id_compare(&event->pack_id, &reports->pack_id) == 0)
        counted = reports->pack_images;
    else
        reports->packs++;
    reports->pack_id = event->pack_id;
    reports->pack_images = event->images > counted ? event->images : counted;
    reports->images += reports->pack_images - counted;
}

static void on_event(void *context, const struct jini_tiering_event *event)
{
    struct reports *reports = context;
    count_event(reports, event);
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

static json_t *plan_total_object(const struct reports *reports)
{
    json_t *steps = json_object();
    for (int step = 1; step < STEPS_END; step++) {
        if (reports->by_step[step].steps)
            json_object_set_new(steps, jini_tiering_step_name((enum jini_tiering_step)step),
                                json_pack("{s:o, s:o, s:o}", "steps",
                                          layout_number(reports->by_step[step].steps), "images",
                                          layout_number(reports->by_step[step].images), "bytes",
                                          layout_number(reports->by_step[step].bytes)));
    }
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "type", "total", "steps",
                     layout_number(atomic_load(&reports->steps)), "packs",
                     layout_number(reports->packs), "images", layout_number(reports->images),
                     "by_step", steps);
}

static void print_plan_total(const struct reports *reports)
{
    uint64_t steps = atomic_load(&reports->steps);
    if (output_is_json()) {
        output_json(plan_total_object(reports));
        return;
    }
    if (steps == 0) {
        output_line("nothing is due");
        return;
    }
    output_line("%" PRIu64 " step%s on %" PRIu64 " pack%s with %" PRIu64 " image%s", steps,
                steps == 1 ? "" : "s", reports->packs, reports->packs == 1 ? "" : "s",
                reports->images, reports->images == 1 ? "" : "s");
    for (int step = 1; step < STEPS_END; step++) {
        char bytes[WORDS_NUMBER_MAX];
        uint64_t images = reports->by_step[step].images;
        words_bytes(reports->by_step[step].bytes, bytes);
        if (reports->by_step[step].steps)
            output_line("  %-8s %" PRIu64 " image%s, %s",
                        jini_tiering_step_name((enum jini_tiering_step)step), images,
                        images == 1 ? "" : "s", bytes);
    }
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
