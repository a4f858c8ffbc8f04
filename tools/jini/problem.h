/*
 * What verify and backup find wrong.
 */
#ifndef JINI_CLI_PROBLEM_H
#define JINI_CLI_PROBLEM_H

#include <jini/archive.h>

/* Prints a problem. The `report` of a request: any thread. */
void problem_print(void *context, const struct jini_verify_problem *problem);

#endif
