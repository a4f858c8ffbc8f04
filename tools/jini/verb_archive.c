/* jini archive: what tiering would do, doing it, and how far it is. */
#include "command.h"
#include "layout.h"
#include "object.h"
#include "progress.h"
#include "words.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_END = JINI_TIERING_REGAIN + 1 };

struct step_sum {
    uint64_t steps;
    uint64_t images;
    uint64_t bytes;
};

/*
 * What was reported so far; the callback runs on a thread of the engine. The steps of a pack come
 * one after the other, each with all of its images, which are counted once.
 */
struct reports {
    bool dry_run;
    _Atomic uint64_t steps;
    const struct reports *plan; /* by which is told how far a run is; NULL: its steps are counted */
    struct jini_id pack_id;     /* of the last step; all zero: none yet */
    uint64_t pack_images;       /* counted of it */
    uint64_t packs;
    uint64_t images;
    struct step_sum by_step[STEPS_END];
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
    atomic_fetch_add(&reports->steps, 1);
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

/* ---- How far a run is ---- */

/*
 * What is done of a step, in bytes as the plan counts them. Duplicates and codecs are not foreseen:
 * fewer bytes are archived then than were planned, but as many images.
 */
static uint64_t done_of_step(const struct step_sum *done, const struct step_sum *plan)
{
    if (plan->images == 0)
        return done->bytes;
    if (done->images >= plan->images)
        return plan->bytes;
    return (uint64_t)((double)plan->bytes / (double)plan->images * (double)done->images);
}

/*
 * The bytes that are rewritten and those that are copied to the archive; where the plan has none of
 * them, those that are freed. What is rewritten without having been foreseen comes on top.
 */
static void show_run(const struct reports *reports)
{
    const struct step_sum *done = reports->by_step;
    if (!reports->plan) {
        progress_set(atomic_load(&reports->steps), 0, 0);
        return;
    }
    const struct step_sum *plan = reports->plan->by_step;
    uint64_t compacted = done[JINI_TIERING_COMPACT].bytes;
    uint64_t to_compact = plan[JINI_TIERING_COMPACT].bytes;
    uint64_t to_archive = plan[JINI_TIERING_ARCHIVE].bytes;
    if (to_compact + to_archive == 0) {
        progress_set(done[JINI_TIERING_FREE].bytes, plan[JINI_TIERING_FREE].bytes, 0);
        return;
    }
    uint64_t archived = done_of_step(&done[JINI_TIERING_ARCHIVE], &plan[JINI_TIERING_ARCHIVE]);
    progress_set(compacted + archived,
                 (compacted > to_compact ? compacted : to_compact) + to_archive, 0);
}

static void on_event(void *context, const struct jini_tiering_event *event)
{
    struct reports *reports = context;
    count_event(reports, event);
    show_run(reports);
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

/* ---- Packs that others append to ---- */

/* What the process of a pid is called; "" when it is gone. */
static const char *name_of(const struct jini_process *processes, size_t count, int32_t pid)
{
    for (size_t i = 0; i < count; i++) {
        if (processes[i].pid == pid)
            return processes[i].name;
    }
    return "";
}

/* [{"pid", "name"}] */
static json_t *in_use_by(struct command *command, const struct jini_archive_run *run)
{
    struct jini_process processes[JINI_PROCESSES_MAX];
    size_t count = 0;
    json_t *list = json_array();
    jini_processes(command->jini, processes, JINI_PROCESSES_MAX, &count);
    for (uint32_t i = 0; i < run->in_use_by_count; i++)
        json_array_append_new(list,
                              json_pack("{s:i, s:o}", "pid", (int)run->in_use_by[i], "name",
                                        layout_text(name_of(processes, count, run->in_use_by[i]))));
    return list;
}

/* "process 4711 (jini put), process 4712 (service)". To be freed; NULL: out of memory. */
static char *in_use_words(struct command *command, const struct jini_archive_run *run)
{
    size_t index;
    json_t *process;
    char *words = NULL;
    size_t length;
    FILE *stream = open_memstream(&words, &length);
    if (!stream)
        return NULL;
    json_t *list = in_use_by(command, run);
    json_array_foreach(list, index, process)
    {
        fprintf(stream, "%sprocess %" JSON_INTEGER_FORMAT " (%s)", index ? ", " : "",
                json_integer_value(json_object_get(process, "pid")),
                json_string_value(json_object_get(process, "name")));
    }
    json_decref(list);
    fclose(stream);
    return words;
}

/* Who asked for everything now is told what stays behind, and by whom. */
static void print_in_use(struct command *command, const struct jini_archive_run *run)
{
    if (run->packs_in_use == 0 || output_is_json() || !args_has(&command->args, "now"))
        return;
    char *words = in_use_words(command, run);
    if (run->flags & JINI_TIERING_DRY_RUN)
        output_line("in use    %" PRIu64 " packs; a run asks %s to seal them", run->packs_in_use,
                    words && words[0] != '\0' ? words : "its process");
    else
        output_line("in use    %" PRIu64 " packs, which only %s can seal; they stay as they are",
                    run->packs_in_use, words && words[0] != '\0' ? words : "its process");
    free(words);
}

/* ---- Totals ---- */

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

/* Adds what both totals say of packs in use; takes the object and prints it. */
static void print_total_object(struct command *command, const struct jini_archive_run *run,
                               json_t *total)
{
    if (total) {
        json_object_set_new(total, "packs_in_use", layout_number(run->packs_in_use));
        json_object_set_new(total, "in_use_by", in_use_by(command, run));
        if (!(run->flags & JINI_TIERING_DRY_RUN))
            json_object_set_new(total, "waited", json_boolean(run->waited));
    }
    output_json(total);
}

static void print_plan_total(struct command *command, const struct reports *reports,
                             const struct jini_archive_run *run)
{
    uint64_t steps = atomic_load(&reports->steps);
    if (output_is_json()) {
        print_total_object(command, run, plan_total_object(reports));
        return;
    }
    if (steps == 0) {
        output_line("nothing is due");
        return;
    }
    if (reports->packs == 0)
        output_line("%" PRIu64 " step%s", steps, steps == 1 ? "" : "s");
    else
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

static json_t *run_total_object(const struct jini_archive_run *run)
{
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o}", "type",
        "total", "packs_sealed", layout_number(run->packs_sealed), "packs_archived",
        layout_number(run->packs_archived), "packs_freed", layout_number(run->packs_freed),
        "packs_purged", layout_number(run->packs_purged), "packs_failed",
        layout_number(run->packs_failed), "images_archived", layout_number(run->images_archived),
        "images_purged", layout_number(run->images_purged), "bytes_archived",
        layout_number(run->bytes_archived), "bytes_freed", layout_number(run->bytes_freed),
        "objects_kept", layout_number(run->objects_kept), "keeping",
        jini_keeping_name((enum jini_keeping)run->keeping), "packs_set_aside",
        layout_number(run->packs_set_aside), "packs_dropped", layout_number(run->packs_dropped),
        "packs_regained", layout_number(run->packs_regained));
}

static void print_run_total(struct command *command, const struct jini_archive_run *run)
{
    char archived[WORDS_NUMBER_MAX];
    char freed[WORDS_NUMBER_MAX];
    if (output_is_json()) {
        print_total_object(command, run, run_total_object(run));
        return;
    }
    words_bytes(run->bytes_archived, archived);
    words_bytes(run->bytes_freed, freed);
    if (run->waited)
        output_info("waited    for another run; what that one did is not counted here");
    output_info("sealed    %" PRIu64 " packs", run->packs_sealed);
    output_info("archived  %" PRIu64 " packs, %" PRIu64 " images, %s", run->packs_archived,
                run->images_archived, archived);
    output_info("freed     %" PRIu64 " packs", run->packs_freed);
    output_info("purged    %" PRIu64 " packs, %" PRIu64 " images", run->packs_purged,
                run->images_purged);
    output_info("space     %s given back on the local disk", freed);
    if (run->packs_regained)
        output_line("regained  %" PRIu64 " packs whose files were gone or cut",
                    run->packs_regained);
    if (run->packs_set_aside)
        output_line("aside     %" PRIu64 " pack files that the index does not know, to packs/lost; "
                    "if they have images that are missing, put the data.mdb back that knows them",
                    run->packs_set_aside);
    if (run->packs_dropped)
        output_line("dropped   %" PRIu64 " pack files that were in packs/lost for long enough",
                    run->packs_dropped);
    if (run->packs_failed)
        output_line("failed    %" PRIu64 " packs; they stay as they are", run->packs_failed);
}

static void on_foreseen(void *context, const struct jini_tiering_event *event)
{
    struct reports *reports = context;
    count_event(reports, event);
    progress_set(atomic_load(&reports->steps), 0, 0);
}

/* One run, with its progress. */
static int wait_for_run(struct command *command, struct jini_archive_run *run)
{
    wait_on_tick(progress_tick);
    int status =
        command_wait(command, &run->request, jini_archive_run(command->jini, run, wait_done));
    wait_on_tick(NULL);
    progress_end();
    return status;
}

/*
 * Plans a run to know how much it has to do. Without a plan the progress has no end to show; only
 * who interrupts it ends the run.
 */
static int foresee(struct command *command, struct reports *plan, struct reports *reports)
{
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = flags_of(&command->args) | JINI_TIERING_DRY_RUN;
    run.report = on_foreseen;
    run.report_context = plan;
    progress_begin("planning", "steps");
    int status = wait_for_run(command, &run);
    if (status)
        return status == JINI_E_CANCELLED ? status : 0;
    if (plan->by_step[JINI_TIERING_COMPACT].bytes + plan->by_step[JINI_TIERING_ARCHIVE].bytes +
            plan->by_step[JINI_TIERING_FREE].bytes >
        0)
        reports->plan = plan;
    return 0;
}

/* What a run did not do, why, and how it is allowed to. */
static void say_what_is_kept(uint64_t objects, uint32_t keeping)
{
    if (objects > 0 && keeping != JINI_KEEPING_NOTHING)
        output_note("%" PRIu64 " object%s to go and stay: %s; \"jini archive adopt\" says that the "
                    "archive is this database's own",
                    objects, objects == 1 ? " is" : "s are",
                    jini_keeping_text((enum jini_keeping)keeping));
}

static int run_tiering(struct command *command, struct reports *reports)
{
    struct reports plan = {.dry_run = true};
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = flags_of(&command->args) | (reports->dry_run ? (unsigned)JINI_TIERING_DRY_RUN : 0);
    run.report = on_event;
    run.report_context = reports;
    int status = command_open(command);
    if (status == 0 && !reports->dry_run && progress_is_wanted())
        status = foresee(command, &plan, reports);
    if (status)
        return status;
    progress_begin(reports->dry_run ? "planning" : "archiving", reports->plan ? NULL : "steps");
    show_run(reports);
    status = wait_for_run(command, &run);
    if (status == JINI_E_LOCKED)
        return status;
    if (reports->dry_run && status == 0)
        print_plan_total(command, reports, &run);
    else if (!reports->dry_run)
        print_run_total(command, &run);
    print_in_use(command, &run);
    say_what_is_kept(run.objects_kept, run.keeping);
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

int verb_archive_init(struct command *command)
{
    const char *url = command->options.archive_url;
    int status = command_open(command);
    if (status == 0)
        status = jini_archive_init(command->jini, &command->error);
    if (status)
        return status;
    output_line("made the archive %s; \"jini archive run --now\" brings back what is on the local "
                "disk",
                url);
    output_json(json_pack("{s:o}", "archive", layout_text(url)));
    return 0;
}

int verb_archive_adopt(struct command *command)
{
    int status = command_open(command);
    if (status == 0)
        status = jini_archive_adopt(command->jini, &command->error);
    if (status)
        return status;
    output_line("the archive %s is this database's own now", command->options.archive_url);
    output_json(json_pack("{s:o}", "archive", layout_text(command->options.archive_url)));
    return 0;
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
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o}",
        "images_hot", layout_number(counts.images_hot), "images_hot_archived",
        layout_number(counts.images_hot_archived), "images_cold", layout_number(counts.images_cold),
        "images_trash", layout_number(counts.images_trash), "packs_open",
        layout_number(counts.packs_open), "packs_sealed", layout_number(counts.packs_sealed),
        "packs_archived", layout_number(counts.packs_archived), "packs_cold",
        layout_number(counts.packs_cold), "bytes_original", layout_number(counts.bytes_original),
        "bytes_local", layout_number(counts.bytes_local), "bytes_archived",
        layout_number(counts.bytes_archived), "bytes_cached", layout_number(counts.bytes_cached),
        "objects_due", layout_number(counts.objects_due), "keeping",
        jini_keeping_name((enum jini_keeping)counts.keeping), "packs_lost",
        layout_number(counts.packs_lost), "bytes_lost", layout_number(counts.bytes_lost)));
    say_what_is_kept(counts.objects_due, counts.keeping);
    return 0;
}
