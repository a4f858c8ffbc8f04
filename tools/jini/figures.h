/*
 * Figures of the database as Prometheus text. Those of a process, which jini_metrics() gives as
 * well, are left out: the process would be this command, which has done nothing yet.
 */
#ifndef JINI_CLI_FIGURES_H
#define JINI_CLI_FIGURES_H

#include "command.h"

/*
 * FIGURES_ALL has images, packs and bytes by state too, for which it reads the rows of all images.
 */
enum figures_what { FIGURES_QUICK, FIGURES_ALL };

/* The figures, with NUL. To be freed. */
int figures_read(struct command *command, enum figures_what what, char **out);

/* The sample of that name in the text, labels included; 0 when it is not there. */
uint64_t figures_value(const char *metrics, const char *name);

/* Whether it is there. */
bool figures_has(const char *metrics, const char *name);

#endif
