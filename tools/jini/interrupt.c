/* The signal handlers. What they touch is lock-free and async-signal-safe. */
#include "interrupt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static atomic_int first_signal;
static int descriptor = -1;

static void on_signal(int number)
{
    int saved = errno;
    int none = 0;
    if (!atomic_compare_exchange_strong(&first_signal, &none, number))
        _exit(128 + number);
    uint64_t one = 1;
    ssize_t ignored = write(descriptor, &one, sizeof(one));
    (void)ignored;
    errno = saved;
}

void interrupt_install(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction old;
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
}

int interrupt_signal(void)
{
    return atomic_load(&first_signal);
}

int interrupt_descriptor(void)
{
    return descriptor;
}

bool interrupt_wait_readable(int readable)
{
    struct pollfd polled[2] = {{.fd = descriptor, .events = POLLIN},
                               {.fd = readable, .events = POLLIN}};
    while (!interrupt_signal()) {
        int ready = poll(polled, 2, -1);
        if (ready < 0 && errno != EINTR)
            return true; /* reading will say what is wrong */
        if (ready > 0 && polled[1].revents)
            return !interrupt_signal();
    }
    return false;
}
