/*
 * Names of objects, "packs/2026/01981c5e.pack".
 *
 * The rules are the least that every kind of store can hold without escaping, and they make it
 * impossible that a name leads out of a directory or looks like another one:
 *
 *   - 1 to 512 bytes of UTF-8, in 1 to 16 segments separated by '/'; no '/' at either end
 *   - a segment has 1 to 255 bytes and does not begin with '.', so "." and ".." are none, and names
 *     with a dot in front are left to the drivers
 *   - no control character (U+0000 to U+001F, U+007F to U+009F), no U+FFFE and U+FFFF (XML, in
 *     which S3 lists, cannot carry them), no '\'
 *   - the first segment is not "lost+found", which some file systems keep for themselves
 */
#ifndef ARCHIVE_NAME_H
#define ARCHIVE_NAME_H

#include "base/bytes.h"

#include <jini/error.h>

enum { ARCHIVE_NAME_MAX = 512, ARCHIVE_SEGMENT_MAX = 255, ARCHIVE_SEGMENTS_MAX = 16 };

/* A name in memory of its own, with NUL at its end. */
struct archive_name {
    size_t length; /* 0: none */
    char text[ARCHIVE_NAME_MAX + 1];
};

static inline struct slice archive_name_slice(const struct archive_name *name)
{
    return slice_of(name->text, name->length);
}

/* JINI_E_INVALID: `name` breaks a rule; `error` says which, and at which byte. */
int archive_name_check(struct slice name, struct jini_error *error);

/*
 * The same for the beginning of names: it may be empty and may end anywhere, also with '/', but not
 * inside a character.
 */
int archive_prefix_check(struct slice prefix, struct jini_error *error);

/* Copies a name that has been checked, or one of 0 bytes. */
void archive_name_set(struct archive_name *to, struct slice name);

/*
 * Takes the first segment off `rest`. False when nothing is left. Of a name that has been checked,
 * every segment is a valid file name.
 */
bool archive_name_next(struct slice *rest, struct slice *segment);

#endif
