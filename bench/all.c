/*
 * See all.h. Each case runs as a child of its own, so that none finds memory, threads or caches of
 * another.
 */
#include "all.h"

#include "chart.h"
#include "child.h"
#include "machine.h"
#include "table.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { ARGUMENTS_MAX = 12, NUMBER_MAX = 32 };

/* Runs one case. NULL: it printed no object. `*failed` is set when it ended with an error. */
static json_t *run_case(const struct bench_options *options, const char *name, bool *failed)
{
    char seconds[NUMBER_MAX];
    char scale[NUMBER_MAX];
    snprintf(seconds, sizeof(seconds), "%g", options->seconds);
    snprintf(scale, sizeof(scale), "%g", options->scale);
    const char *arguments[ARGUMENTS_MAX] = {"jini-bench",
                                            "--json",
                                            "--keep",
                                            "--dir",
                                            options->directory,
                                            "--seconds",
                                            seconds,
                                            "--scale",
                                            scale,
                                            name,
                                            options->quick ? "--quick" : NULL};
    bool case_failed;
    char *text = child_output("/proc/self/exe", arguments, false, &case_failed);
    if (!text)
        bench_fail("cannot start a case");
    *failed |= case_failed;
    json_t *object = json_loads(text, 0, NULL);
    free(text);
    return object;
}

static void dump(const json_t *object, const char *directory, const char *name)
{
    char path[4200];
    snprintf(path, sizeof(path), "%s/%s.json", directory, name);
    if (json_dump_file(object, path, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) != 0)
        bench_fail("cannot write %s", path);
}

static void keep_case(const struct all_options *all, const json_t *object, const char *name)
{
    char path[4200];
    dump(object, all->results, name);
    snprintf(path, sizeof(path), "%s/%s.svg", all->results, name);
    chart_write(path, object);
}

static json_t *describe_run(const struct bench_options *options, json_t *commit)
{
    char day[16];
    time_t now = time(NULL);
    struct tm parts;
    strftime(day, sizeof(day), "%Y-%m-%d", gmtime_r(&now, &parts));
    json_t *run = machine_describe(options->directory);
    json_object_set_new(run, "day", json_string(day));
    json_object_set(run, "commit", commit);
    json_object_set_new(run, "seconds", json_real(options->seconds));
    json_object_set_new(run, "scale", json_real(options->scale));
    json_object_set_new(run, "quick", json_boolean(options->quick));
    return run;
}

int all_run(const struct bench_options *options, const struct all_options *all)
{
    bool failed = false;
    json_t *cases = json_array();
    json_t *commit = machine_commit(); /* before what is written makes the checkout another one */
    if (mkdir(all->results, 0755) != 0 && errno != EEXIST)
        bench_fail("cannot make %s: %s", all->results, strerror(errno));
    for (int i = 0; bench_cases[i]; i++) {
        const char *name = bench_cases[i]->name;
        printf("%s\n", name);
        fflush(stdout);
        json_t *object = run_case(options, name, &failed);
        if (!object)
            continue;
        json_object_set(object, "commit", commit);
        keep_case(all, object, name);
        json_array_append_new(cases, object);
    }
    json_t *whole = json_pack("{s:o, s:o}", "run", describe_run(options, commit), "cases", cases);
    dump(whole, all->results, "all");
    table_write(all->results, whole);
    if (all->readme)
        table_into_page(all->readme, whole);
    json_decref(whole);
    json_decref(commit);
    return failed ? 1 : 0;
}
