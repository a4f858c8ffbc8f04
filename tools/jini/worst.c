/* See worst.h. */
#include "worst.h"

#include <stdbool.h>
#include <stdio.h>

/*
 * How much a status says about more than the one thing: above 0 the machine or the database needs
 * attention, 0 is about the thing, as in a refusal.
 */
static int gravity(int status)
{
    static const int grave[] = {JINI_E_BUSY,      JINI_E_TIMEOUT,      JINI_E_NO_MEMORY,
                                JINI_E_READ_ONLY, JINI_E_FULL,         JINI_E_IO,
                                JINI_E_CORRUPT,   JINI_E_UNREPEATABLE, JINI_E_POISONED};
    for (size_t i = 0; i < sizeof(grave) / sizeof(grave[0]); i++) {
        if (grave[i] == status)
            return (int)i + 1;
    }
    return 0;
}

static bool is_worse(const struct worst *worst, size_t index, int status)
{
    int before = gravity(worst->status);
    int now = gravity(status);
    if (worst->status == 0 || now != before)
        return worst->status == 0 || now > before;
    return index < worst->index;
}

void worst_add(struct worst *worst, size_t index, int status, const struct jini_error *error)
{
    if (is_worse(worst, index, status))
        *worst = (struct worst){index, status, *error};
}

int worst_conclude(const struct worst *worst, size_t failed, size_t total, const char *what,
                   struct jini_error *out)
{
    *out = worst->error;
    snprintf(out->message, sizeof(out->message), "%zu of %zu %s; the %s because: %.300s", failed,
             total, what, gravity(worst->status) ? "worst" : "first", worst->error.message);
    return worst->status;
}
