/*
 * Cold images behind an archive whose calls of the system do not return, as on a network file
 * system that is gone. This program defines those calls, and holds them where a test says so.
 */
#include "cold_fixture.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static struct {
    _Atomic bool opening; /* open() of the archive does not return */
    _Atomic bool reading; /* nor pread() by the threads of the archive */
    _Atomic bool hot;     /* nor by those for CPU work */
    _Atomic unsigned held;
} stuck;

static void hold(const _Atomic bool *as_long_as)
{
    if (!atomic_load(as_long_as))
        return;
    atomic_fetch_add(&stuck.held, 1);
    while (atomic_load(as_long_as))
        usleep(1000);
    atomic_fetch_sub(&stuck.held, 1);
}

static bool on_thread(const char *wanted)
{
    char name[16] = "";
    prctl(PR_GET_NAME, name, 0, 0, 0);
    return strcmp(name, wanted) == 0;
}

ssize_t pread(int descriptor, void *to, size_t length, off_t offset)
{
    if (on_thread("jini-archive"))
        hold(&stuck.reading);
    if (on_thread("jini-cpu"))
        hold(&stuck.hot);
    return syscall(SYS_pread64, descriptor, to, length, offset);
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int mode = va_arg(arguments, int);
    va_end(arguments);
    const char *name = strrchr(path, '/');
    if (name && strcmp(name, "/archive") == 0)
        hold(&stuck.opening);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static void wait_until_held(unsigned count)
{
    while (atomic_load(&stuck.held) < count)
        usleep(1000);
}

enum { READS = 4 };

static struct cold_get_later reads[READS];

TEST(deadlines_reach_reads_whose_archive_hangs,
     "While all threads of the archive are held by the system, reads end at their deadlines, "
     "whether a thread reads for them or they wait for one; and images are read when that is over.")
{
    struct jini_id ids[READS];
    struct jini_options options;
    cold_options(&options);
    struct jini *jini = fixture_open_with(&options);
    cold_images(jini, 0, ids, READS);
    atomic_store(&stuck.reading, true);
    for (unsigned i = 0; i < READS; i++)
        CHECK_OK(cold_submit(jini, &reads[i], &ids[i], i, 60));
    cold_wait_for(jini, "jini_archive_reads 4");
    wait_until_held(2);
    cold_seconds_pass(61);
    for (unsigned i = 0; i < READS; i++) {
        CHECK_STATUS(cold_result(&reads[i]), JINI_E_TIMEOUT);
        CHECK_TEXT(reads[i].get.request.error.field, "request.timeout_ms");
        CHECK_CONTAINS(reads[i].get.request.error.message, "waited for the archive for 60000 ms");
    }
    CHECK_UINT(atomic_load(&stuck.held), ==, 2);
    atomic_store(&stuck.reading, false);
    for (unsigned i = 0; i < READS; i++)
        CHECK_OK(fixture_get(jini, &ids[i], i));
    cold_wait_for(jini, "jini_archive_read_bytes 0");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_get_that_hangs_keeps_no_later_reader,
     "A read that came to a GET which never ends goes on with another one when the deadline of "
     "those for whom that was sent has passed.")
{
    struct jini_id id;
    struct jini_options options;
    cold_options(&options);
    struct jini *jini = fixture_open_with(&options);
    cold_images(jini, 0, &id, 1);
    atomic_store(&stuck.reading, true);
    CHECK_OK(cold_submit(jini, &reads[0], &id, 0, 60));
    wait_until_held(1);
    CHECK_OK(cold_submit(jini, &reads[1], &id, 0, 0));
    cold_wait_for(jini, "jini_archive_reads 2");
    cold_seconds_pass(61);
    CHECK_STATUS(cold_result(&reads[0]), JINI_E_TIMEOUT);
    wait_until_held(2);
    atomic_store(&stuck.reading, false);
    CHECK_OK(cold_result(&reads[1]));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(bytes_that_arrived_in_time_are_handed_out,
     "A record that came in time is handed out, also when no thread looks at it before the "
     "deadline of its read.")
{
    struct jini_id cold;
    struct jini_options options;
    cold_options(&options);
    options.cpu_threads = 1;
    struct jini *jini = fixture_open_with(&options);
    cold_images(jini, 0, &cold, 1);
    struct jini_id hot = fixture_put(jini, 0, 1);
    cold_faults(jini, "every=1,kinds=delay,delay_ms=30000,operations=get");
    CHECK_OK(cold_submit(jini, &reads[0], &cold, 0, 60));
    cold_wait_for(jini, "jini_archive_reads 1");
    atomic_store(&stuck.hot, true);
    CHECK_OK(cold_submit(jini, &reads[1], &hot, 1, 0));
    wait_until_held(1);
    cold_seconds_pass(31);
    cold_wait_for(jini, "jini_cpu_queue 1");
    cold_seconds_pass(61);
    atomic_store(&stuck.hot, false);
    CHECK_OK(cold_result(&reads[0]));
    CHECK_OK(cold_result(&reads[1]));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* With images in an archive that this process has not opened, and whose opening does not return. */
static struct jini *open_over_a_closed_archive(struct jini_id *cold, struct jini_id *hot)
{
    struct jini_options options;
    cold_options(&options);
    options.cpu_threads = 2;
    struct jini *jini = fixture_open_with(&options);
    cold_images(jini, 0, cold, READS);
    *hot = fixture_put(jini, 0, 100);
    CHECK_OK(jini_close(jini, NULL, NULL));
    jini = fixture_open_with(&options);
    atomic_store(&stuck.opening, true);
    return jini;
}

TEST(an_archive_whose_opening_hangs_holds_up_cold_reads_alone,
     "While the archive is being opened and the system hangs in that, hot images are read and put; "
     "cold reads wait for it, end when cancelled or late, and go on when it is open.")
{
    struct jini_id ids[READS];
    struct jini_id hot;
    static struct cold_get_later later;
    struct jini *jini = open_over_a_closed_archive(ids, &hot);
    for (unsigned i = 0; i < READS; i++)
        CHECK_OK(cold_submit(jini, &reads[i], &ids[i], i, i == 1 ? 60 : 0));
    cold_wait_for(jini, "jini_archive_reads 4");
    wait_until_held(1);
    CHECK_OK(cold_submit(jini, &later, &hot, 100, 0));
    CHECK_OK(cold_result(&later));
    fixture_put(jini, 0, 101);
    jini_cancel(jini, &reads[0].get.request);
    CHECK_STATUS(cold_result(&reads[0]), JINI_E_CANCELLED);
    cold_seconds_pass(61);
    CHECK_STATUS(cold_result(&reads[1]), JINI_E_TIMEOUT);
    CHECK_CONTAINS(reads[1].get.request.error.message, "waited for the archive for 60000 ms");
    CHECK_UINT(atomic_load(&stuck.held), ==, 1);
    CHECK_UINT(atomic_load(&reads[2].times), ==, 0);
    atomic_store(&stuck.opening, false);
    for (unsigned i = 2; i < READS; i++)
        CHECK_OK(cold_result(&reads[i]));
    for (unsigned i = 0; i < READS; i++)
        CHECK_OK(fixture_get(jini, &ids[i], i));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void *close_it(void *argument)
{
    CHECK_OK(jini_close(argument, NULL, NULL));
    return NULL;
}

TEST(closing_hands_back_reads_that_wait_for_the_archive_to_be_opened,
     "Closing hands back the reads that wait for an archive whose opening hangs, and waits for "
     "nothing but that call of the system.")
{
    struct jini_id ids[READS];
    struct jini_id hot;
    pthread_t thread;
    struct jini *jini = open_over_a_closed_archive(ids, &hot);
    for (unsigned i = 0; i < READS; i++)
        CHECK_OK(cold_submit(jini, &reads[i], &ids[i], i, 0));
    cold_wait_for(jini, "jini_archive_reads 4");
    wait_until_held(1);
    CHECK_INT(pthread_create(&thread, NULL, close_it, jini), ==, 0);
    for (unsigned i = 0; i < READS; i++)
        CHECK_STATUS(cold_result(&reads[i]), JINI_E_CANCELLED);
    atomic_store(&stuck.opening, false);
    pthread_join(thread, NULL);
}

TEST(reads_of_an_archive_that_is_not_there_say_so,
     "Where the archive cannot be opened, all reads that wait for it answer as of the archive, and "
     "it is tried anew by the next one.")
{
    char there[600];
    char gone[600];
    struct jini_id ids[READS];
    struct jini_id hot;
    struct jini *jini = open_over_a_closed_archive(ids, &hot);
    for (unsigned i = 0; i < READS; i++)
        CHECK_OK(cold_submit(jini, &reads[i], &ids[i], i, 0));
    cold_wait_for(jini, "jini_archive_reads 4");
    wait_until_held(1);
    snprintf(there, sizeof(there), "%s/archive", fixture_db());
    snprintf(gone, sizeof(gone), "%s/gone", fixture_db());
    CHECK(rename(there, gone) == 0);
    atomic_store(&stuck.opening, false);
    for (unsigned i = 0; i < READS; i++)
        CHECK_STATUS(cold_result(&reads[i]), JINI_E_ARCHIVE);
    CHECK(rename(gone, there) == 0);
    CHECK_OK(fixture_get(jini, &ids[0], 0));
    CHECK_OK(jini_close(jini, NULL, NULL));
}
