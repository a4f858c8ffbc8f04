/* See table.h. */
#include "table.h"

#include "bench.h"
#include "format.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char mark_begin[] = "<!-- figures: rewritten by jini-bench all --readme -->\n";
static const char mark_end[] = "<!-- end of figures -->\n";

enum { PAGE_BYTES_MAX = 1 << 20 };

static double number_of(const json_t *object, const char *field)
{
    const json_t *value = json_object_get(object, field);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static const char *text_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "";
}

static void write_run(FILE *file, const json_t *run)
{
    char memory[FORMAT_MAX];
    fprintf(
        file,
        "%s, %lld cores (%s), %s of memory, Linux %s, %s; compiler %s; commit %s, %s, rounds of "
        "%g s, scale %g%s.\n\n",
        json_is_true(json_object_get(run, "virtual_machine")) ? "A virtual machine" : "A machine",
        json_integer_value(json_object_get(run, "cores")), text_of(run, "architecture"),
        format_figure(number_of(run, "memory_bytes"), "bytes", memory), text_of(run, "kernel"),
        text_of(run, "filesystem"), text_of(run, "compiler"), text_of(run, "commit"),
        text_of(run, "day"), number_of(run, "seconds"), number_of(run, "scale"),
        json_is_true(json_object_get(run, "quick")) ? ". A SMOKE TEST: these figures mean nothing"
                                                    : "");
}

/* ---- The table ------------------------------------------------------------------------------- */

/* "104,000/s (0.82)": the figure of another, and how Jini's compares to it. */
static void write_other(FILE *file, const json_t *object, const char *name)
{
    char figure[FORMAT_MAX];
    char ratio[32];
    const char *unit = text_of(object, json_object_get(object, "figure") ? "figure_unit" : "unit");
    double number = number_of(object, name);
    snprintf(ratio, sizeof(ratio), "ratio_to_%s", name);
    if (isfinite(number))
        fprintf(file, " %s (%.2f) |", format_figure(number, unit, figure),
                number_of(object, ratio));
    else
        fputs(" |", file);
}

static bool all_met(const json_t *object)
{
    size_t index;
    json_t *target;
    json_array_foreach(json_object_get(object, "targets"), index, target)
    {
        if (!json_is_true(json_object_get(target, "met")))
            return false;
    }
    return true;
}

/* Nothing where the peer that it is about was missing. */
static void write_field(FILE *file, const json_t *object, const char *field)
{
    if (json_object_get(object, field))
        fprintf(file, "; %s %.3g", field, number_of(object, field));
    else
        fprintf(file, "; %s not measured", field);
}

static void write_measured(FILE *file, const struct bench_case *bench, const json_t *object)
{
    char figure[FORMAT_MAX];
    size_t index;
    json_t *target;
    fprintf(file, " **%s**",
            format_figure(number_of(object, "value"), text_of(object, "unit"), figure));
    json_array_foreach(json_object_get(object, "targets"), index, target)
    {
        const char *field = text_of(target, "field");
        if (strcmp(field, "value") != 0)
            write_field(file, object, field);
    }
    for (int i = 0; i < BENCH_SHOWN_MAX && bench->shown[i]; i++)
        write_field(file, object, bench->shown[i]);
    fputs(" |", file);
}

static void write_syncs(FILE *file, const json_t *object)
{
    if (!json_object_get(object, "syncs_per_s")) {
        fputs(" |", file);
        return;
    }
    fprintf(file, " %.0f / %.0f / %.0f |", number_of(object, "syncs_per_s"),
            number_of(object, "peer_syncs_per_s"), number_of(object, "disk_syncs_per_s"));
}

static void write_table(FILE *file, const json_t *cases)
{
    size_t index;
    json_t *object;
    fputs("| case | at least | measured | | machine (ratio) | peer (ratio) | syncs/s: Jini, peer, "
          "disk alone |\n| --- | --- | --- | --- | --- | --- | --- |\n",
          file);
    json_array_foreach(cases, index, object)
    {
        const struct bench_case *bench = bench_case_find(text_of(object, "bench"));
        fprintf(file, "| `%s` | %s |", bench->name, bench->target);
        write_measured(file, bench, object);
        fprintf(file, " %s |", all_met(object) ? "met" : "missed");
        write_other(file, object, "ceiling");
        write_other(file, object, "peer");
        write_syncs(file, object);
        fputc('\n', file);
    }
    fputc('\n', file);
}

/* ---- Each case ------------------------------------------------------------------------------- */

static bool stands_in_table(const char *field)
{
    static const char *const fields[] = {"bench",     "unit",    "figure_unit", "ceiling_what",
                                         "peer_what", "targets", "quick",       "broken"};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (strcmp(field, fields[i]) == 0)
            return true;
    }
    return false;
}

static void write_case(FILE *file, const json_t *object)
{
    const struct bench_case *bench = bench_case_find(text_of(object, "bench"));
    fprintf(file, "### %s\n\n%s\n\n", bench->name, bench->method);
    if (json_object_get(object, "ceiling"))
        fprintf(file, "The machine: %s. ", text_of(object, "ceiling_what"));
    if (json_object_get(object, "peer"))
        fprintf(file, "The peer: %s. ", text_of(object, "peer_what"));
    fprintf(file, "[Plot](results/%s.svg).\n\n", bench->name);
    const char *field;
    json_t *value;
    const char *separator = "";
    json_object_foreach((json_t *)(uintptr_t)object, field, value)
    {
        if (stands_in_table(field) || !json_is_number(value))
            continue;
        fprintf(file, "%s`%s` %.5g", separator, field, json_number_value(value));
        separator = ", ";
    }
    fputs(".\n\n", file);
}

static void write_page(FILE *file, const json_t *whole)
{
    const json_t *cases = json_object_get(whole, "cases");
    size_t index;
    json_t *object;
    write_run(file, json_object_get(whole, "run"));
    write_table(file, cases);
    json_array_foreach(cases, index, object)
    {
        write_case(file, object);
    }
}

void table_write(const char *results, const json_t *whole)
{
    char path[4200];
    snprintf(path, sizeof(path), "%s/table.md", results);
    FILE *file = fopen(path, "w");
    if (!file)
        bench_fail("cannot write %s: %s", path, strerror(errno));
    write_run(file, json_object_get(whole, "run"));
    write_table(file, json_object_get(whole, "cases"));
    if (fclose(file) != 0)
        bench_fail("cannot write %s: %s", path, strerror(errno));
}

static char *read_page(const char *path)
{
    char *text = bench_alloc(PAGE_BYTES_MAX + 1, 1);
    FILE *file = fopen(path, "r");
    if (!file)
        bench_fail("cannot read %s: %s", path, strerror(errno));
    size_t length = fread(text, 1, PAGE_BYTES_MAX, file);
    if (ferror(file) || length == PAGE_BYTES_MAX)
        bench_fail("%s cannot be read, or is longer than 1 MiB", path);
    fclose(file);
    return text;
}

void table_into_page(const char *page, const json_t *whole)
{
    char *text = read_page(page);
    char *begin = strstr(text, mark_begin);
    char *end = begin ? strstr(begin, mark_end) : NULL;
    if (!end)
        bench_fail("%s lacks the line \"%.*s\" or, behind it, \"%.*s\"", page,
                   (int)strlen(mark_begin) - 1, mark_begin, (int)strlen(mark_end) - 1, mark_end);
    char temporary[4200];
    snprintf(temporary, sizeof(temporary), "%s.tmp", page);
    FILE *file = fopen(temporary, "w");
    if (!file)
        bench_fail("cannot write %s: %s", temporary, strerror(errno));
    begin += strlen(mark_begin);
    fwrite(text, 1, (size_t)(begin - text), file);
    fputc('\n', file);
    write_page(file, whole);
    fputs(end, file);
    if (fclose(file) != 0 || rename(temporary, page) != 0)
        bench_fail("cannot write %s: %s", page, strerror(errno));
    free(text);
}
