/* The result of a case: numbers in a JSON object, and what its demands say of them. */
#include "bench.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct bench_result {
    const struct bench_case *bench;
    bool quick;
    double value;
    bool has_figure;
    double figure;
    const char *figure_unit;
    double ceiling;
    const char *ceiling_what;
    double peer;
    const char *peer_what;
    double load; /* of the machine, before the case began */
    json_t *more;
    json_t *broken;
    bool misses; /* a peer */
};

struct bench_result *result_new(const struct bench_case *bench, const struct bench_options *options)
{
    struct bench_result *result = bench_alloc(1, sizeof(*result));
    result->bench = bench;
    result->quick = options->quick;
    result->more = json_object();
    result->broken = json_array();
    if (!result->more || !result->broken)
        bench_fail("out of memory");
    if (getloadavg(&result->load, 1) != 1)
        result->load = -1;
    return result;
}

void result_free(struct bench_result *result)
{
    json_decref(result->more);
    json_decref(result->broken);
    free(result);
}

bool result_is_broken(const struct bench_result *result)
{
    return json_array_size(result->broken) > 0;
}

void result_value(struct bench_result *result, double value)
{
    result->value = value;
}

void result_figure(struct bench_result *result, double figure, const char *unit)
{
    result->has_figure = true;
    result->figure = figure;
    result->figure_unit = unit;
}

void result_ceiling(struct bench_result *result, double figure, const char *what)
{
    result->ceiling = figure;
    result->ceiling_what = what;
}

void result_peer(struct bench_result *result, double figure, const char *what)
{
    result->peer = figure;
    result->peer_what = what;
}

void result_missing(struct bench_result *result, const char *name, const char *why)
{
    char field[64];
    snprintf(field, sizeof(field), "%s_missing", name);
    json_object_set_new(result->more, field, json_string(why));
    fprintf(stderr, "jini-bench: %s: measured without %s: %s\n", result->bench->name, name, why);
    result->misses = true;
}

/* JSON has no infinities; one that stands for "no figure" is null. */
static void set_number(json_t *object, const char *field, double number)
{
    json_object_set_new(object, field, isfinite(number) ? json_real(number) : json_null());
}

void result_number(struct bench_result *result, const char *field, double number)
{
    set_number(result->more, field, number);
}

void result_count(struct bench_result *result, const char *field, uint64_t number)
{
    json_object_set_new(result->more, field, json_integer((json_int_t)number));
}

void result_broken(struct bench_result *result, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    json_array_append_new(result->broken, json_string(text));
}

/*
 * Times, sizes and growths are better when they are small; everything that is a rate or a share,
 * when it is large.
 */
static bool small_is_good(const struct bench_result *result)
{
    return !result->has_figure && result->bench->demands[0].bound == BENCH_AT_MOST;
}

/* 1: as good as the other; 0.5: half as good. */
static double ratio_to(const struct bench_result *result, double other)
{
    double own = result->has_figure ? result->figure : result->value;
    return small_is_good(result) ? other / own : own / other;
}

static void add_other(const struct bench_result *result, json_t *object, const char *name,
                      double figure, const char *what)
{
    char field[32];
    if (!what)
        return;
    set_number(object, name, figure);
    snprintf(field, sizeof(field), "%s_what", name);
    json_object_set_new(object, field, json_string(what));
    snprintf(field, sizeof(field), "ratio_to_%s", name);
    set_number(object, field, ratio_to(result, figure));
}

static json_t *judge(const struct bench_result *result, const struct bench_demand *demand,
                     const json_t *object)
{
    const json_t *found = json_object_get(object, demand->field);
    if (!json_is_number(found) && !result->misses)
        bench_fail("the case has a demand on \"%s\", which it did not measure", demand->field);
    double measured = json_is_number(found) ? json_number_value(found) : NAN;
    bool met =
        demand->bound == BENCH_AT_LEAST ? measured >= demand->number : measured <= demand->number;
    return json_pack("{s:s, s:f, s:b}", "field", demand->field,
                     demand->bound == BENCH_AT_LEAST ? "at_least" : "at_most", demand->number,
                     "met", met);
}

static json_t *to_object(const struct bench_result *result)
{
    const struct bench_case *bench = result->bench;
    json_t *object = json_object();
    json_object_set_new(object, "bench", json_string(bench->name));
    set_number(object, "value", result->value);
    json_object_set_new(object, "unit", json_string(bench->unit));
    if (result->has_figure) {
        set_number(object, "figure", result->figure);
        json_object_set_new(object, "figure_unit", json_string(result->figure_unit));
    }
    add_other(result, object, "ceiling", result->ceiling, result->ceiling_what);
    add_other(result, object, "peer", result->peer, result->peer_what);
    json_object_update(object, result->more);
    json_t *targets = json_array();
    for (int i = 0; i < BENCH_DEMANDS_MAX && bench->demands[i].field; i++)
        json_array_append_new(targets, judge(result, &bench->demands[i], object));
    json_object_set_new(object, "targets", targets);
    if (result_is_broken(result))
        json_object_set(object, "broken", result->broken);
    json_object_set_new(object, "quick", json_boolean(result->quick));
    set_number(object, "load_average_before", result->load);
    return object;
}

char *result_json(struct bench_result *result)
{
    json_t *object = to_object(result);
    char *text = json_dumps(object, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
    json_decref(object);
    if (!text)
        bench_fail("out of memory");
    return text;
}

static void print_targets(const json_t *targets)
{
    size_t index;
    json_t *target;
    json_array_foreach(targets, index, target)
    {
        const json_t *least = json_object_get(target, "at_least");
        const json_t *number = least ? least : json_object_get(target, "at_most");
        printf("  %-28s %s %s %.6g\n", "target",
               json_string_value(json_object_get(target, "field")), least ? "at least" : "at most",
               json_number_value(number));
        printf("  %-28s %s\n", "", json_is_true(json_object_get(target, "met")) ? "met" : "missed");
    }
}

void result_print(struct bench_result *result)
{
    json_t *object = to_object(result);
    const char *field;
    json_t *value;
    printf("%s: %s\n", result->bench->name, result->bench->measures);
    json_object_foreach(object, field, value)
    {
        if (json_is_string(value))
            printf("  %-28s %s\n", field, json_string_value(value));
        else if (json_is_number(value))
            printf("  %-28s %.6g\n", field, json_number_value(value));
    }
    print_targets(json_object_get(object, "targets"));
    json_t *sentence;
    size_t index;
    json_array_foreach(result->broken, index, sentence)
    {
        printf("  %-28s %s\n", "BROKEN", json_string_value(sentence));
    }
    json_decref(object);
}
