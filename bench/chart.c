/* See chart.h. The plot is an SVG of rectangles and text, 720 units wide. */
#include "chart.h"

#include "bench.h"
#include "format.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    BARS_MAX = 4,
    WIDTH = 720,
    LEFT = 90,
    BAR_HEIGHT = 26,
    BAR_STEP = 48,
    TOP = 52,
    WIDEST = 420
};

struct bar {
    const char *label;
    const char *what;
    const char *colour;
    double figure;
};

struct chart {
    const char *unit;
    unsigned count;
    struct bar bars[BARS_MAX];
};

static void add(struct chart *chart, struct bar bar)
{
    if (isfinite(bar.figure) && bar.figure >= 0)
        chart->bars[chart->count++] = bar;
}

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

/* The first demand, in the unit of the bars: one on a ratio speaks of a share of the peer. */
static double target_of(const json_t *object, bool has_figure)
{
    const json_t *target = json_array_get(json_object_get(object, "targets"), 0);
    double number = number_of(target, "at_least");
    if (!isfinite(number))
        number = number_of(target, "at_most");
    return has_figure ? number * number_of(object, "peer") : number;
}

static void fill(struct chart *chart, const json_t *object)
{
    bool has_figure = json_object_get(object, "figure") != NULL;
    chart->unit = text_of(object, has_figure ? "figure_unit" : "unit");
    add(chart,
        (struct bar){"Jini", "", "#2b6cb0", number_of(object, has_figure ? "figure" : "value")});
    add(chart, (struct bar){"target", "", "#d69e2e", target_of(object, has_figure)});
    add(chart,
        (struct bar){"peer", text_of(object, "peer_what"), "#718096", number_of(object, "peer")});
    add(chart, (struct bar){"machine", text_of(object, "ceiling_what"), "#a0aec0",
                            number_of(object, "ceiling")});
}

static void write_escaped(FILE *file, const char *text)
{
    for (; *text; text++) {
        if (*text == '<' || *text == '>' || *text == '&')
            fprintf(file, "&#%d;", *text);
        else
            fputc(*text, file);
    }
}

static void write_text(FILE *file, int x, int y, const char *style, const char *text)
{
    fprintf(file, "<text x=\"%d\" y=\"%d\" %s>", x, y, style);
    write_escaped(file, text);
    fputs("</text>\n", file);
}

static void write_bar(FILE *file, const struct chart *chart, unsigned index, double largest)
{
    const struct bar *bar = &chart->bars[index];
    char figure[FORMAT_MAX];
    int y = TOP + (int)index * BAR_STEP;
    int width = largest > 0 ? (int)(bar->figure / largest * WIDEST) : 0;
    write_text(file, LEFT - 10, y + 18, "text-anchor=\"end\"", bar->label);
    fprintf(file, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\"/>\n", LEFT, y,
            width < 1 ? 1 : width, BAR_HEIGHT, bar->colour);
    write_text(file, LEFT + width + 8, y + 18, "font-weight=\"bold\"",
               format_figure(bar->figure, chart->unit, figure));
    write_text(file, LEFT, y + BAR_HEIGHT + 13, "font-size=\"11\" fill=\"#4a5568\"", bar->what);
}

void chart_write(const char *path, const json_t *object)
{
    struct chart chart = {0};
    double largest = 0;
    fill(&chart, object);
    for (unsigned i = 0; i < chart.count; i++)
        largest = chart.bars[i].figure > largest ? chart.bars[i].figure : largest;
    FILE *file = fopen(path, "w");
    if (!file)
        bench_fail("cannot write %s: %s", path, strerror(errno));
    int height = TOP + (int)chart.count * BAR_STEP + 8;
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "height=\"%d\" font-family=\"sans-serif\" font-size=\"14\">\n"
            "<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n",
            WIDTH, height, WIDTH, height, WIDTH, height);
    write_text(file, 16, 28, "font-size=\"18\" font-weight=\"bold\"", text_of(object, "bench"));
    for (unsigned i = 0; i < chart.count; i++)
        write_bar(file, &chart, i, largest);
    fputs("</svg>\n", file);
    if (fclose(file) != 0)
        bench_fail("cannot write %s: %s", path, strerror(errno));
}
