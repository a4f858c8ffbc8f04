/* See machine.h. */
#include "machine.h"

#include "bench.h"
#include "child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Magic numbers of statfs(2), which its manual page lists. */
static const char *filesystem_name(const char *directory)
{
    static const struct {
        unsigned long magic;
        const char *name;
    } known[] = {{0xef53, "ext4"},      {0x58465342, "xfs"},     {0x9123683e, "btrfs"},
                 {0x01021994, "tmpfs"}, {0x794c7630, "overlay"}, {0x2fc12fc1, "zfs"},
                 {0xf2f52010, "f2fs"}};
    struct statfs info;
    if (statfs(directory, &info) != 0)
        return "unknown";
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].magic == (unsigned long)info.f_type)
            return known[i].name;
    }
    return "unknown";
}

static bool is_virtual(void)
{
    char line[4096];
    bool found = false;
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && !found && fgets(line, sizeof(line), file))
        found = strncmp(line, "flags", 5) == 0 && strstr(line, " hypervisor") != NULL;
    if (file)
        fclose(file);
    return found;
}

json_t *machine_commit(void)
{
    static const char *const describe[] = {"git",         "describe",    "--always", "--dirty",
                                           "--abbrev=40", "--exclude=*", NULL};
    bool failed;
    char *text = child_output("git", describe, true, &failed);
    if (text)
        text[strcspn(text, "\n")] = '\0';
    json_t *commit = json_string(failed ? "unknown" : text);
    free(text);
    return commit;
}

json_t *machine_describe(const char *directory)
{
    struct utsname name;
    struct sysinfo memory;
    if (uname(&name) != 0 || sysinfo(&memory) != 0)
        bench_fail("the system does not say what it is");
    /* The version without what a distributor put behind it. */
    name.release[strcspn(name.release, "-+")] = '\0';
    return json_pack("{s:i, s:I, s:s, s:s, s:s, s:b, s:s}", "cores",
                     (int)sysconf(_SC_NPROCESSORS_ONLN), "memory_bytes",
                     (json_int_t)memory.totalram * memory.mem_unit, "architecture", name.machine,
                     "kernel", name.release, "filesystem", filesystem_name(directory),
                     "virtual_machine", is_virtual(), "compiler", __VERSION__);
}
