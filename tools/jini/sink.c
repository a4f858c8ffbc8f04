/* See sink.h. */
#include "sink.h"

#include "interrupt.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1 << 16 };

static uint8_t buffer[BUFFER_BYTES];
static size_t buffered;

/* Waits until standard output takes bytes, or has something to say about why it does not. */
static int wait_until_taken(void)
{
    for (;;) {
        bool signalled = interrupt_signal() != 0;
        struct pollfd polled[2] = {
            {.fd = STDOUT_FILENO, .events = POLLOUT},
            {.fd = signalled ? -1 : interrupt_descriptor(), .events = POLLIN}};
        int ready = poll(polled, 2, signalled ? SINK_PATIENCE_MS : -1);
        if (ready > 0 && polled[0].revents)
            return 0;
        if (ready == 0)
            return ETIMEDOUT;
        if (ready < 0 && errno != EINTR)
            return errno;
    }
}

/*
 * A pipe that takes anything takes PIPE_BUF bytes without blocking, where no signal would be seen.
 */
static int write_all(const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        int failed = wait_until_taken();
        if (failed)
            return failed;
        ssize_t taken = write(STDOUT_FILENO, bytes, length < PIPE_BUF ? length : PIPE_BUF);
        if (taken < 0 && errno != EINTR && errno != EAGAIN)
            return errno;
        if (taken > 0) {
            bytes += taken;
            length -= (size_t)taken;
        }
    }
    return 0;
}

bool sink_is_empty(void)
{
    return buffered == 0;
}

int sink_flush(void)
{
    size_t length = buffered;
    buffered = 0;
    return write_all(buffer, length);
}

int sink_write(const void *bytes, size_t length)
{
    if (length > BUFFER_BYTES - buffered) {
        int failed = sink_flush();
        if (failed)
            return failed;
    }
    if (length > BUFFER_BYTES)
        return write_all(bytes, length);
    memcpy(buffer + buffered, bytes, length);
    buffered += length;
    return 0;
}
