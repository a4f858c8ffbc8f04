/*
 * The file of the table of rate limits, from outside: its format stands in
 * core/limits/table_file.c.
 */
#ifndef LIMITS_FILE_H
#define LIMITS_FILE_H

#include "harness.h"

#include "base/hash.h"

#include <fcntl.h>
#include <unistd.h>

/* Makes the table of another start of the machine out of it, as one is after a reboot. */
static inline void limits_file_reboot(const char *path)
{
    enum { HEADER_BYTES = 88, CHECKSUM = 16, BOOT_ID = 32 };
    uint8_t header[HEADER_BYTES];
    int file = open(path, O_RDWR);
    CHECK_INT(pread(file, header, sizeof(header), 0), ==, sizeof(header));
    header[BOOT_ID] ^= 1;
    memset(header + CHECKSUM, 0, sizeof(uint64_t));
    uint64_t checksum = hash64(slice_of(header, sizeof(header)));
    memcpy(header + CHECKSUM, &checksum, sizeof(checksum));
    CHECK_INT(pwrite(file, header, sizeof(header), 0), ==, sizeof(header));
    close(file);
}

#endif
