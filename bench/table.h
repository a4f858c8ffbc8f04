/*
 * The figures of all cases as Markdown: RESULTS/table.md, and the part of bench/README.md between
 * two marks.
 */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include <jansson.h>

/*
 * `whole`: "run", what machine_describe() says and how long it ran; "cases", the objects of the
 * cases.
 */
void table_write(const char *results, const json_t *whole);

/* Ends the process when the page lacks a mark. */
void table_into_page(const char *page, const json_t *whole);

#endif
