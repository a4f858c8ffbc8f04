/* Rules for texts that people type: names of users and tiers, addresses, names of persons. */
#ifndef ACCOUNTS_CHECK_TEXT_H
#define ACCOUNTS_CHECK_TEXT_H

#include <jini/error.h>
#include <stddef.h>

/*
 * Each checks a member of `capacity` bytes and answers 0 or JINI_E_INVALID with `field` and the
 * rule in `error`; the two that become keys also JINI_E_NO_MEMORY. A member that does not end in
 * NUL within its capacity is too long.
 */
int check_username(const char *text, size_t capacity, struct jini_error *error);
int check_email(const char *text, size_t capacity, struct jini_error *error);
int check_person_name(const char *text, size_t capacity, const char *field,
                      struct jini_error *error);
int check_tier_name(const char *text, size_t capacity, const char *field, struct jini_error *error);

#endif
