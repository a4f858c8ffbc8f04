/* What verbs share with each other. */
#ifndef JINI_CLI_VERB_H
#define JINI_CLI_VERB_H

#include "command.h"

#include <jansson.h>

enum { EXIT_PROBLEMS = 1 }; /* what was to be checked is damaged */

/* verb_user.c: lists users behind the id `after`, at most `limit`. The database is open. */
int verb_print_users(struct command *command, uint64_t after, uint64_t limit);

/* verb_ls.c: adds prompts, and ids of images, to an object of a job. */
int verb_add_prompts(struct command *command, const struct jini_job *job, json_t *object);
int verb_add_images(struct command *command, const struct jini_job *job, json_t *object);

#endif
