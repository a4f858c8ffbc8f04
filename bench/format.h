/* Figures as people read them. */
#ifndef BENCH_FORMAT_H
#define BENCH_FORMAT_H

#include <stddef.h>

/*
 * "11.2 million/s", "104,000/s", "3.1 ms", "23.4 MiB", "0.82": by the unit, which is "s", "bytes",
 * "ratio", or something counted, that may end in "/s".
 */
enum { FORMAT_MAX = 64 };
const char *format_figure(double figure, const char *unit, char text[FORMAT_MAX]);

#endif
