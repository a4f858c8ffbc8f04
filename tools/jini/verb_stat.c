/* jini stat: the figures of the database as a summary, and the processes that have it open. */
#include "command.h"
#include "figures.h"
#include "holder.h"
#include "layout.h"
#include "words.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Figures ---- */

/* Every sample as a member of an object. */
static json_t *metrics_object(const char *metrics)
{
    json_t *object = json_object();
    for (const char *line = metrics; object && *line;) {
        const char *end = strchrnul(line, '\n');
        const char *value = memrchr(line, ' ', (size_t)(end - line));
        if (*line != '#' && value && value > line) {
            char name[256];
            snprintf(name, sizeof(name), "%.*s", (int)(value - line), line);
            double number = strtod(value + 1, NULL);
            bool whole = number >= 0 && number < 9e15 && number == (double)(int64_t)number;
            json_object_set_new(object, name,
                                whole ? json_integer((json_int_t)number) : json_real(number));
        }
        line = *end ? end + 1 : end;
    }
    return object;
}

static void print_share(const char *name, uint64_t used, uint64_t all)
{
    char used_text[WORDS_NUMBER_MAX];
    char all_text[WORDS_NUMBER_MAX];
    words_bytes(used, used_text);
    words_bytes(all, all_text);
    output_line("%-12s %s of %s (%.1f %%)", name, used_text, all_text,
                all ? 100.0 * (double)used / (double)all : 0.0);
}

/* Who reads only has no part in the table, and so no figures of it. */
static void print_limits(const char *metrics)
{
    if (!figures_has(metrics, "jini_limits_table"))
        return;
    if (figures_value(metrics, "jini_limits_table") == 0) {
        output_line("%-12s NO TABLE: the log says why (limits_table_missing); limits.when_full "
                    "answers until there is one",
                    "rate limits");
        return;
    }
    output_line("%-12s %" PRIu64 " of %" PRIu64 " slots in use for users, %" PRIu64 " of %" PRIu64
                " for addresses",
                "rate limits",
                figures_value(metrics, "jini_limits_slots_live{region=\"authenticated\"}"),
                figures_value(metrics, "jini_limits_slots{region=\"authenticated\"}"),
                figures_value(metrics, "jini_limits_slots_live{region=\"anonymous\"}"),
                figures_value(metrics, "jini_limits_slots{region=\"anonymous\"}"));
    output_line("%-12s %" PRIu64 " admitted, %" PRIu64 " refused by rate limits", "",
                figures_value(metrics, "jini_limits_admitted_total"),
                figures_value(metrics, "jini_limits_refused_total"));
}

static void print_events(const char *metrics)
{
    char bytes[WORDS_NUMBER_MAX];
    words_bytes(figures_value(metrics, "jini_events_bytes"), bytes);
    output_line("%-12s %" PRIu64 " in the log, %s; \"jini events consumers\" tells who is behind",
                "events", figures_value(metrics, "jini_events"), bytes);
}

static void print_figures(const char *metrics)
{
    print_share("map", figures_value(metrics, "jini_store_used_bytes"),
                figures_value(metrics, "jini_store_map_bytes"));
    output_line("%-12s %" PRIu64 " that can be used again", "free pages",
                figures_value(metrics, "jini_store_free_pages"));
    output_line("%-12s %" PRIu64 " open, the oldest %" PRIu64 " commits behind", "snapshots",
                figures_value(metrics, "jini_store_readers"),
                figures_value(metrics, "jini_store_oldest_reader_lag_commits"));
    char free_text[WORDS_NUMBER_MAX];
    words_bytes(figures_value(metrics, "jini_disk_free_bytes"), free_text);
    output_line(
        "%-12s %s free%s", "disk", free_text,
        figures_value(metrics, "jini_store_full")
            ? ": FULL, down to the reserve; deletions and releases work, new work is refused"
            : "");
    int reserve_errno = (int)figures_value(metrics, "jini_store_reserve_errno");
    if (reserve_errno)
        output_line("%-12s NONE (%s): nothing is kept back for releases on a full disk", "reserve",
                    strerror(reserve_errno));
    print_limits(metrics);
    print_events(metrics);
}

/* ---- Processes ---- */

static const char *lock_state(const struct jini_process *process)
{
    if (process->holds_write_lock)
        return "holds";
    return process->waits_for_write_lock ? "waits" : "none";
}

static json_t *process_object(const struct jini_process *process)
{
    return json_pack("{s:i, s:o, s:o, s:s, s:o, s:b}", "pid", (int)process->pid, "name",
                     layout_text(process->name), "started", layout_time(process->started_ms),
                     "write_lock", lock_state(process), "lock_ms", layout_number(process->lock_ms),
                     "stopped", holder_is_stopped(process->pid));
}

static void print_holder(const struct jini_process *processes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct jini_process *process = &processes[i];
        char span[WORDS_NUMBER_MAX];
        if (!process->holds_write_lock)
            continue;
        words_span_ms(process->lock_ms, span);
        bool stopped = holder_is_stopped(process->pid);
        output_line("%-12s process %" PRId32 " (%s) holds it for %s%s", "write lock", process->pid,
                    process->name, span, stopped ? "; IT IS STOPPED: continue or kill it" : "");
        return;
    }
    output_line("%-12s free", "write lock");
}

static void print_processes(const struct jini_process *processes, size_t count)
{
    static const struct layout_column columns[] = {
        {"PID", "pid", LAYOUT_PLAIN},        {"NAME", "name", LAYOUT_PLAIN},
        {"STARTED", "started", LAYOUT_TIME}, {"WRITE LOCK", "write_lock", LAYOUT_PLAIN},
        {"FOR", "lock_ms", LAYOUT_SPAN},     {"STOPPED", "stopped", LAYOUT_PLAIN},
    };
    struct layout_list list;
    layout_list_begin(&list, columns);
    for (size_t i = 0; i < count; i++)
        layout_list_add(&list, process_object(&processes[i]));
    layout_list_end(&list, NULL);
}

static json_t *stat_object(struct command *command, const struct jini_process *processes,
                           size_t count, const char *metrics)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, process_object(&processes[i]));
    json_t *object = json_object();
    layout_set_path(object, "path", command->directory);
    json_object_set_new(object, "version", json_string(jini_version()));
    json_object_set_new(object, "processes", list);
    json_object_set_new(object, "metrics", metrics_object(metrics));
    return object;
}

int verb_stat(struct command *command)
{
    struct jini_process processes[JINI_PROCESSES_MAX];
    size_t count = 0;
    char *metrics;
    bool prometheus = args_has(&command->args, "prometheus");
    int status = command_open(command);
    if (status == 0)
        status = figures_read(command, prometheus ? FIGURES_ALL : FIGURES_QUICK, &metrics);
    if (status)
        return status;
    if (prometheus && !output_is_json()) {
        output_raw(metrics, strlen(metrics));
        free(metrics);
        return 0;
    }
    status = jini_processes(command->jini, processes, JINI_PROCESSES_MAX, &count);
    if (status) {
        free(metrics);
        return command_fail(command, status, "processes", "%s", jini_status_text(status));
    }
    if (output_is_json()) {
        output_json(stat_object(command, processes, count, metrics));
    } else {
        output_line("%-12s %s", "database", command->directory);
        print_figures(metrics);
        print_holder(processes, count);
        output_line("%s", "");
        print_processes(processes, count);
    }
    free(metrics);
    return 0;
}
