/*
 * The file of options: no text harms the reader, what it refuses it explains, and what it takes
 * keeps the ranges of the table.
 */
#include "fuzz.h"

#include "base/assert.h"

#include <jini/options.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One file for the whole run; each input replaces what it holds. */
static const char *write_input(const uint8_t *data, size_t size)
{
    static char path[] = "/tmp/jini-fuzz-options-XXXXXX";
    static char opened[64];
    static int fd = -1;
    if (fd < 0) {
        fd = mkstemp(path);
        JINI_ASSERT(fd >= 0 && unlink(path) == 0);
        snprintf(opened, sizeof(opened), "/proc/self/fd/%d", fd);
    }
    JINI_ASSERT(ftruncate(fd, 0) == 0);
    JINI_ASSERT(pwrite(fd, data, size, 0) == (ssize_t)size);
    return opened;
}

static void check_row(const struct jini_options *options, const struct jini_option_info *info,
                      size_t offset)
{
    const char *member = (const char *)options + offset;
    uint64_t number;
    if (strcmp(info->kind, "text") == 0) {
        JINI_ASSERT(memchr(member, '\0', JINI_OPTION_TEXT_MAX));
        return;
    }
    memcpy(&number, member, sizeof(number));
    if (info->choices) {
        uint64_t count = 1;
        for (const char *c = info->choices; *c; c++)
            count += *c == '|';
        JINI_ASSERT(number < count);
    } else {
        JINI_ASSERT(number >= info->least && number <= info->most);
    }
}

static void check_options(const struct jini_options *options)
{
#define OFFSET(member, ...) offsetof(struct jini_options, member),
    static const size_t offsets[] = {JINI_OPTION_MAP(OFFSET, OFFSET, OFFSET, OFFSET)};
#undef OFFSET
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
        check_row(options, jini_options_info(i), offsets[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jini_options options;
    struct jini_error error;
    jini_options_init(&options);
    int status = jini_options_load(&options, write_input(data, size), &error);
    JINI_ASSERT(status == 0 || status == JINI_E_INVALID || status == JINI_E_TOO_BIG);
    JINI_ASSERT(error.code == status);
    JINI_ASSERT((status == 0) == (error.message[0] == '\0'));
    check_options(&options);
    return 0;
}
