/* What the files of checks share. */
#ifndef GENERATIONS_CHECK_PRIVATE_H
#define GENERATIONS_CHECK_PRIVATE_H

#include "generations/check.h"
#include "generations/generations_private.h"

/* Where a finding stands; members that do not apply are zero. */
struct check_place {
    const char *kind;
    const char *field;
    const struct jini_id *job;
    const struct jini_id *image;
    uint64_t user_id;
};

void check_report(const struct generations_check *check, const struct check_place *place,
                  const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Damage is a finding and not a failure of the check. */
static inline bool check_is_damage(int status)
{
    return status == JINI_E_CORRUPT || status == JINI_E_FORMAT;
}

/* An item of a list, as its record says. */
struct check_item {
    enum user_list_kind kind;
    uint64_t user_id;
    uint64_t number;
    const struct jini_id *id;
};

/* Reports an item that does not stand at its number. */
int check_is_listed(const struct generations_check *check, const struct check_item *item);

/* Reports a job for workers that the rows of the queue do not have (check_waiting.c). */
int check_waits(const struct generations_check *check, const struct jini_id *id,
                const struct job_row *row);

/* A key that is none of its space, unless its row is gone by now. */
int check_stray_key(const struct generations_check *check, enum store_space space, struct slice key,
                    const char *kind);

#endif
