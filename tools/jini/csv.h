/*
 * Reading comma-separated values, by RFC 4180: records end with CRLF or LF, fields may be quoted,
 * "" in quotes is a quote. A mark of UTF-8 at the beginning is passed over.
 */
#ifndef JINI_CLI_CSV_H
#define JINI_CLI_CSV_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { CSV_FIELDS_MAX = 32, CSV_RECORD_MAX = 8192 };

struct csv {
    FILE *file;
    uint64_t line; /* of the record that was read, where it begins; the first is 1 */

    /* Of that record. */
    unsigned count;
    char *fields[CSV_FIELDS_MAX];
    const char *wrong; /* why it is none; NULL: it is one. The next one can be read all the same */

    uint64_t lines; /* that were read */
    char bytes[CSV_RECORD_MAX];
};

void csv_begin(struct csv *csv, FILE *file);

/* Reads a record. False: there is no more, or the file cannot be read (ferror()). */
bool csv_next(struct csv *csv);

#endif
