/* The figures may be set by any thread; only the main thread draws and tells. */
#include "progress.h"

#include "output.h"
#include "words.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    DRAW_EVERY_MS = 100,
    TELL_EVERY_MS = 5000,
    BAR_COLUMNS = 24,
    COLUMNS_LEAST = 60,
    FIGURES_MAX_BYTES = 256,
    LINE_MAX_BYTES = 512
};

static struct {
    const char *what; /* NULL: there is no bar */
    const char *unit;
    pthread_mutex_t phase_lock;
    char phase[32];
    uint64_t started_ms;
    uint64_t drawn_ms; /* or told */
    uint64_t tell_every_ms;
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
    const char *every = getenv("JINI_PROGRESS_MS");
    progress.what = what;
    progress.unit = unit;
    progress.started_ms = now_ms();
    progress.tell_every_ms = every ? strtoull(every, NULL, 10) : TELL_EVERY_MS;
    progress.drawn_ms = output_shows_progress() ? 0 : progress.started_ms;
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

/* "50 of 100 files, 20.0 MiB, 12.3 MiB/s"; "20.0 MiB of 40.0 MiB, 12.3 MiB/s". */
static void put_figures(uint64_t done, uint64_t total, char out[FIGURES_MAX_BYTES])
{
    uint64_t moved = progress.unit ? atomic_load(&progress.bytes) : done;
    uint64_t elapsed_ms = progress_elapsed_ms();
    char sum[WORDS_NUMBER_MAX];
    char all[WORDS_NUMBER_MAX];
    char rate[WORDS_NUMBER_MAX];
    char of[WORDS_NUMBER_MAX + 8] = "";
    char speed[WORDS_NUMBER_MAX + 8] = "";
    words_bytes(moved, sum);
    words_bytes(total, all);
    words_bytes(elapsed_ms ? (uint64_t)((double)moved * 1000 / (double)elapsed_ms) : 0, rate);
    if (moved && elapsed_ms)
        snprintf(speed, sizeof(speed), ", %s/s", rate);
    if (!progress.unit) {
        if (total)
            snprintf(of, sizeof(of), " of %s", all);
        snprintf(out, FIGURES_MAX_BYTES, "%s%s%s", sum, of, speed);
        return;
    }
    if (total)
        snprintf(of, sizeof(of), " of %" PRIu64, total);
    snprintf(out, FIGURES_MAX_BYTES, "%" PRIu64 "%s %s%s%s%s", done, of, progress.unit,
             moved ? ", " : "", moved ? sum : "", speed);
}

/* The whole line, with or without a bar; its length. */
static int put_line(const char *bar, char out[LINE_MAX_BYTES])
{
    char figures[FIGURES_MAX_BYTES];
    put_figures(atomic_load(&progress.done), atomic_load(&progress.total), figures);
    pthread_mutex_lock(&progress.phase_lock);
    int length = snprintf(out, LINE_MAX_BYTES, "%s%s%s  %s%s", progress.what,
                          progress.phase[0] != '\0' ? " " : "", progress.phase, bar, figures);
    pthread_mutex_unlock(&progress.phase_lock);
    return length;
}

static void draw(void)
{
    char line[LINE_MAX_BYTES];
    char bar[BAR_COLUMNS + 5];
    draw_bar(atomic_load(&progress.done), atomic_load(&progress.total), bar);
    int length = put_line(bar, line);
    unsigned columns = terminal_columns();
    if (length > 0 && (unsigned)length >= columns && columns > 1 && columns < sizeof(line))
        line[columns - 1] = '\0'; /* a line that wraps cannot be erased */
    output_progress(line);
}

bool progress_is_wanted(void)
{
    return output_shows_progress() || output_tells_progress();
}

void progress_tick(void)
{
    char line[LINE_MAX_BYTES];
    uint64_t now = now_ms();
    bool draws = output_shows_progress();
    if (!progress.what || !progress_is_wanted() ||
        now - progress.drawn_ms < (draws ? DRAW_EVERY_MS : progress.tell_every_ms))
        return;
    progress.drawn_ms = now;
    if (draws) {
        draw();
        return;
    }
    put_line("", line);
    output_note("%s", line);
}

void progress_end(void)
{
    if (progress.what && output_shows_progress())
        draw();
    progress.what = NULL;
    output_progress(NULL);
}
