/* The rows of a file of payments, read and checked; verb_import.c writes them. */
#ifndef JINI_CLI_IMPORT_ROWS_H
#define JINI_CLI_IMPORT_ROWS_H

#include "command.h"

/* A payment, as the file has it. */
struct import_row {
    struct jini_id id;
    uint64_t user_id;
    uint64_t amount;
    uint64_t at_ms;
    uint64_t line;
};

enum { IMPORT_ROWS_MAX = 10 * 1000 * 1000 };

struct import_rows {
    struct jini_currency currency;
    const char *price; /* NULL: by the amount */
    struct import_row *rows;
    size_t count;
    size_t capacity;
    uint64_t bad; /* rows that were told to be wrong */
};

/*
 * Reads a file, and tells each row that is wrong by its line, field and rule. 0 also where there
 * are such. The header is "id,user,amount,date", in any order. JINI_E_INVALID: it is another, or
 * there are too many rows; JINI_E_NOT_FOUND, JINI_E_IO: the file. To be freed after any of them.
 */
int import_rows_read(struct command *command, const char *path, struct import_rows *rows);
void import_rows_free(struct import_rows *rows);

/* Tells that a row is wrong. */
void import_rows_tell(struct import_rows *rows, uint64_t line, const char *field, const char *rule);

#endif
