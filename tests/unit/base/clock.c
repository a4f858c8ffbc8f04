/* The system's clocks. */
#include "base/clock.h"

#include "harness.h"

#include <time.h>

TEST(the_system_clock_tells_time,
     "Wall time is that of the machine, and boot time never runs backwards.")
{
    time_t before = time(NULL);
    uint64_t wall_ns = clock_wall_ns(&clock_system);
    time_t after = time(NULL);
    CHECK_UINT(wall_ns / NS_PER_S, >=, before - 1);
    CHECK_UINT(wall_ns / NS_PER_S, <=, after + 1);
    uint64_t last_ns = clock_boot_ns(&clock_system);
    CHECK_UINT(last_ns, >, 0);
    for (int i = 0; i < 10000; i++) {
        uint64_t now_ns = clock_boot_ns(&clock_system);
        CHECK_UINT(now_ns, >=, last_ns);
        last_ns = now_ns;
    }
}
