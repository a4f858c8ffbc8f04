/*
 * Time, as the library asks for it. A caller (a test, a simulation) may put its own in the options.
 */
#ifndef JINI_CLOCK_H
#define JINI_CLOCK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Each function returns nanoseconds and may be called on any thread at any time.
 *
 *   wall_ns  since 1970-01-01T00:00:00Z; may jump both ways
 *   boot_ns  since boot, suspended time included (CLOCK_BOOTTIME); never runs backwards, and is the
 *            same for all processes of the machine
 */
struct jini_clock {
    uint64_t (*wall_ns)(void *context);
    uint64_t (*boot_ns)(void *context);
    void *context;
};

#ifdef __cplusplus
}
#endif
#endif
