/* The end of a process whose library is wrong: say where, and leave a core. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void assert_failed(const char *expression, const char *file, int line)
{
    char message[512];
    int length = snprintf(message, sizeof(message), "jini: assertion failed: %s, at %s:%d\n",
                          expression, file, line);
    if (length > 0) {
        size_t bytes = (size_t)length < sizeof(message) ? (size_t)length : sizeof(message) - 1;
        ssize_t written = write(STDERR_FILENO, message, bytes);
        (void)written;
    }
    abort();
}
