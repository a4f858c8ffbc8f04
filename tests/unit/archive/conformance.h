/*
 * The suite that every driver must pass. CONFORMS defines a case once and registers it for each
 * driver; the case gets an open, empty archive, and `subject_url` to open it again. A new driver
 * adds a line here.
 */
#ifndef ARCHIVE_CONFORMANCE_H
#define ARCHIVE_CONFORMANCE_H

#include "support.h"

static const char *subject_url;

static inline void run_subject(const char *url, void (*body)(struct archive *))
{
    struct archive_statistics statistics;
    subject_url = url;
    struct archive *archive = test_open(url);
    body(archive);
    archive_statistics(archive, &statistics);
    CHECK_UINT(statistics.outstanding, ==, 0);
    archive_close(archive);
}

/* One thread and a queue of two: what waits can be known. */
static inline struct archive *open_narrow(void)
{
    struct archive_options options = test_options(ARCHIVE_OPEN_EXISTING);
    struct archive *archive = NULL;
    options.threads = 1;
    options.queue_max = 2;
    CHECK_OK(archive_open(subject_url, &options, &archive, NULL));
    return archive;
}

#define CONFORMS(name, sentence)                                                                   \
    static void name(struct archive *archive);                                                     \
    TEST(dir_##name, sentence)                                                                     \
    {                                                                                              \
        run_subject("dir:archive", name);                                                          \
    }                                                                                              \
    TEST(fault_##name, sentence)                                                                   \
    {                                                                                              \
        run_subject("fault::dir:archive", name);                                                   \
    }                                                                                              \
    static void name(struct archive *archive)

#endif
