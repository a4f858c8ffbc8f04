/* The main thread sleeps in poll() over two descriptors: requests that came back, and signals. */
#include "wait.h"

#include "interrupt.h"

#include <poll.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { TICK_MS = 100 };

static int descriptor = -1;
static bool signal_seen; /* the signal's descriptor stays readable and would end every sleep */
static void (*on_tick)(void);

int wait_begin(void)
{
    descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return descriptor < 0 ? JINI_E_IO : 0;
}

void wait_done(struct jini_request *request)
{
    uint64_t one = 1;
    __atomic_store_n(&request->data, request, __ATOMIC_RELEASE);
    ssize_t ignored = write(descriptor, &one, sizeof(one));
    (void)ignored; /* a counter that cannot be raised any more is readable already */
}

bool wait_is_done(const struct jini_request *request)
{
    return __atomic_load_n(&request->data, __ATOMIC_ACQUIRE) != NULL;
}

void wait_sleep(int timeout_ms)
{
    struct pollfd polled[2] = {{.fd = descriptor, .events = POLLIN},
                               {.fd = signal_seen ? -1 : interrupt_descriptor(), .events = POLLIN}};
    if (poll(polled, 2, timeout_ms) <= 0)
        return;
    if (polled[1].revents)
        signal_seen = true;
    uint64_t count;
    ssize_t ignored = read(descriptor, &count, sizeof(count));
    (void)ignored;
}

int wait_for(struct jini *jini, struct jini_request *request, int submitted)
{
    bool cancelled = false;
    if (submitted)
        return submitted;
    while (!wait_is_done(request)) {
        if (interrupt_signal() && !cancelled) {
            jini_cancel(jini, request);
            cancelled = true;
        }
        wait_sleep(on_tick ? TICK_MS : -1);
        if (on_tick)
            on_tick();
    }
    request->data = NULL;
    return request->status;
}

void wait_on_tick(void (*tick)(void))
{
    on_tick = tick;
}
