/* See format.h. */
#include "format.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *format_time(double seconds, char text[FORMAT_MAX])
{
    if (seconds >= 1)
        snprintf(text, FORMAT_MAX, "%.3g s", seconds);
    else if (seconds >= 1e-3)
        snprintf(text, FORMAT_MAX, "%.3g ms", seconds * 1e3);
    else
        snprintf(text, FORMAT_MAX, "%.3g µs", seconds * 1e6);
    return text;
}

static const char *format_bytes(double bytes, const char *per, char text[FORMAT_MAX])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB"};
    int unit = 0;
    for (; bytes >= 1024 && unit < 3; unit++)
        bytes /= 1024;
    snprintf(text, FORMAT_MAX, "%.*f %s%s", bytes < 100 && unit > 0 ? 1 : 0, bytes, units[unit],
             per);
    return text;
}

/* Three digits that count, with commas between thousands. */
static const char *format_count(double count, const char *per, char text[FORMAT_MAX])
{
    if (count >= 1e6) {
        snprintf(text, FORMAT_MAX, "%.3g million%s", count / 1e6, per);
    } else if (count >= 1000) {
        double unit = pow(10, floor(log10(count)) - 2);
        unsigned long rounded = (unsigned long)(round(count / unit) * unit);
        snprintf(text, FORMAT_MAX, "%lu,%03lu%s", rounded / 1000, rounded % 1000, per);
    } else {
        snprintf(text, FORMAT_MAX, "%.3g%s", count, per);
    }
    return text;
}

const char *format_figure(double figure, const char *unit, char text[FORMAT_MAX])
{
    size_t length = strlen(unit);
    const char *per = length > 2 && strcmp(unit + length - 2, "/s") == 0 ? "/s" : "";
    if (!isfinite(figure))
        snprintf(text, FORMAT_MAX, "-");
    else if (strcmp(unit, "ratio") == 0)
        snprintf(text, FORMAT_MAX, "%.2f", figure);
    else if (strcmp(unit, "s") == 0)
        format_time(figure, text);
    else if (strncmp(unit, "bytes", 5) == 0)
        format_bytes(figure, per, text);
    else
        format_count(figure, per, text);
    return text;
}
