/* The figures may be set by any thread; only the main thread draws. */
#include "progress.h"

#include "output.h"
#include "words.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { DRAW_EVERY_MS = 100, BAR_COLUMNS = 24, COLUMNS_LEAST = 60, LINE_MAX_BYTES = 256 };

static struct {
    const char *what; /* NULL: there is no bar */
    const char *unit;
    pthread_mutex_t phase_lock;
    char phase[32];
    uint64_t started_ms;
    uint64_t drawn_ms;
    _Atomic uint64_t done;
    _Atomic uint64_t total;
    _Atomic uint64_t bytes;
} progress = {.phase_lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void progress_begin(const char *what, const char *unit)
{
    progress.what = what;
    progress.unit = unit;
    progress.started_ms = now_ms();
    progress.drawn_ms = 0;
    progress_phase("");
    progress_set(0, 0, 0);
}

void progress_phase(const char *phase)
{
    pthread_mutex_lock(&progress.phase_lock);
    snprintf(progress.phase, sizeof(progress.phase), "%s", phase);
    pthread_mutex_unlock(&progress.phase_lock);
}

void progress_set(uint64_t done, uint64_t total, uint64_t bytes)
{
    atomic_store(&progress.done, done);
    atomic_store(&progress.total, total);
    atomic_store(&progress.bytes, bytes);
}

uint64_t progress_elapsed_ms(void)
{
    return now_ms() - progress.started_ms;
}

static unsigned terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

static void draw_bar(uint64_t done, uint64_t total, char out[BAR_COLUMNS + 5])
{
    uint64_t filled = total ? (done < total ? done : total) * BAR_COLUMNS / total : 0;
    out[0] = '\0';
    if (total == 0 || terminal_columns() < COLUMNS_LEAST)
        return;
    char *to = out;
    *to++ = '[';
    for (uint64_t i = 0; i < BAR_COLUMNS; i++)
        *to++ = i < filled ? '#' : '.';
    *to++ = ']';
    *to++ = ' ';
    *to++ = ' ';
    *to = '\0';
}

static void draw(void)
{
    char line[LINE_MAX_BYTES];
    char bar[BAR_COLUMNS + 5];
    char of[32] = "";
    char bytes[2 * WORDS_NUMBER_MAX + 16] = "";
    uint64_t done = atomic_load(&progress.done);
    uint64_t total = atomic_load(&progress.total);
    uint64_t moved = atomic_load(&progress.bytes);
    uint64_t elapsed_ms = progress_elapsed_ms();
    draw_bar(done, total, bar);
    if (total)
        snprintf(of, sizeof(of), " of %" PRIu64, total);
    if (moved && elapsed_ms) {
        char sum[WORDS_NUMBER_MAX];
        char rate[WORDS_NUMBER_MAX];
        words_bytes(moved, sum);
        words_bytes((uint64_t)((double)moved * 1000 / (double)elapsed_ms), rate);
        snprintf(bytes, sizeof(bytes), ", %s, %s/s", sum, rate);
    }
    pthread_mutex_lock(&progress.phase_lock);
    int length = snprintf(line, sizeof(line), "%s%s%s  %s%" PRIu64 "%s %s%s", progress.what,
                          progress.phase[0] != '\0' ? " " : "", progress.phase, bar, done, of,
                          progress.unit, bytes);
    pthread_mutex_unlock(&progress.phase_lock);
    unsigned columns = terminal_columns();
    if (length > 0 && (unsigned)length >= columns && columns > 1 && columns < sizeof(line))
        line[columns - 1] = '\0'; /* a line that wraps cannot be erased */
    output_progress(line);
}

void progress_tick(void)
{
    uint64_t now = now_ms();
    if (!progress.what || !output_shows_progress() || now - progress.drawn_ms < DRAW_EVERY_MS)
        return;
    progress.drawn_ms = now;
    draw();
}

void progress_end(void)
{
    progress.what = NULL;
    output_progress(NULL);
}
