/*
 * Writing figures as Prometheus text: what metrics.c and the parts that have figures of their own
 * share.
 */
#ifndef ENGINE_METRICS_H
#define ENGINE_METRICS_H

#include "engine/engine_private.h"

/* Text that goes on counting when it no longer fits. */
struct metrics_page {
    char *text;
    size_t capacity;
    size_t length;
};

void metrics_add(struct metrics_page *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The HELP and TYPE lines of "jini_" name, and a figure without labels behind them. */
void metrics_head(struct metrics_page *page, const char *name, const char *type, const char *help);
void metrics_number(struct metrics_page *page, const char *name, const char *type, const char *help,
                    uint64_t value);

#endif
