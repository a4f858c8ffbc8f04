/* The system's clock as a struct jini_clock, and short ways to ask any clock. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <jini/clock.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* CLOCK_REALTIME and CLOCK_BOOTTIME of this machine. Static. */
extern const struct jini_clock clock_system;

static inline uint64_t clock_wall_ns(const struct jini_clock *clock)
{
    return clock->wall_ns(clock->context);
}

static inline uint64_t clock_boot_ns(const struct jini_clock *clock)
{
    return clock->boot_ns(clock->context);
}

#endif
