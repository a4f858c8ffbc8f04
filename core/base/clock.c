/* The clocks of the operating system. */
#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec time;
    clock_gettime(id, &time);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

static uint64_t system_wall_ns(void *context)
{
    (void)context;
    return read_clock(CLOCK_REALTIME);
}

static uint64_t system_boot_ns(void *context)
{
    (void)context;
    return read_clock(CLOCK_BOOTTIME);
}

const struct jini_clock clock_system = {system_wall_ns, system_boot_ns, NULL};
