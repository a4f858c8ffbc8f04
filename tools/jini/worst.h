/* Of the failures of a command that goes on after each: the one that it ends with. */
#ifndef JINI_CLI_WORST_H
#define JINI_CLI_WORST_H

#include <jini/error.h>
#include <stddef.h>

/* Begins all zero: nothing failed. */
struct worst {
    size_t index; /* of what failed, in the order of the command line */
    int status;   /* 0: nothing failed */
    struct jini_error error;
};

/*
 * Takes a failure into account. What says that the machine or the database needs attention
 * outweighs what is about one file or image alone; among equals the first of the command line
 * counts.
 */
void worst_add(struct worst *worst, size_t index, int status, const struct jini_error *error);

/*
 * The status to end with. Its error in `out` says "3 of 5 files were not stored; the first because:
 * ...", with "files were not stored" as `what`.
 */
int worst_conclude(const struct worst *worst, size_t failed, size_t total, const char *what,
                   struct jini_error *out);

#endif
