/* Time, children, medians and complaints. */
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void bench_fail(const char *format, ...)
{
    va_list arguments;
    fputs("jini-bench: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

void bench_progress(const char *format, ...)
{
    va_list arguments;
    if (!isatty(STDERR_FILENO))
        return;
    fputs("\r\033[K", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fflush(stderr);
}

uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

void bench_sleep(double seconds)
{
    struct timespec time = {.tv_sec = (time_t)seconds,
                            .tv_nsec = (long)((seconds - floor(seconds)) * 1e9)};
    nanosleep(&time, NULL);
}

int bench_fork(void)
{
    pid_t child = fork();
    if (child < 0)
        bench_fail("fork: %s", strerror(errno));
    if (child == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

void bench_fail_if_child_ended(void)
{
    int status;
    if (waitpid(-1, &status, WNOHANG) > 0)
        bench_fail("a process ended before its time");
}

void bench_wait_children(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        int status;
        if (wait(&status) < 0 || status != 0)
            bench_fail("a process failed");
    }
}

void *bench_share(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        bench_fail("mmap: %s", strerror(errno));
    return memory;
}

void *bench_alloc(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory)
        bench_fail("out of memory for %zu x %zu bytes", count, size);
    return memory;
}

uint64_t bench_scaled(const struct bench_options *options, uint64_t full, uint64_t least)
{
    double scaled = (double)full * options->scale;
    return scaled < (double)least ? least : (uint64_t)scaled;
}

unsigned bench_rounds(const struct bench_options *options)
{
    return options->quick ? BENCH_ROUNDS_QUICK : BENCH_ROUNDS;
}

void series_add(struct bench_series *series, double value)
{
    if (series->count == sizeof(series->values) / sizeof(series->values[0]))
        bench_fail("a series has room for no more rounds");
    series->values[series->count++] = value;
}

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

double series_median(const struct bench_series *series)
{
    struct bench_series sorted = *series;
    if (sorted.count == 0)
        return 0;
    qsort(sorted.values, sorted.count, sizeof(sorted.values[0]), by_size);
    unsigned middle = sorted.count / 2;
    return sorted.count % 2 ? sorted.values[middle]
                            : (sorted.values[middle - 1] + sorted.values[middle]) / 2;
}

double series_least(const struct bench_series *series)
{
    double least = series->count ? series->values[0] : 0;
    for (unsigned i = 1; i < series->count; i++)
        least = series->values[i] < least ? series->values[i] : least;
    return least;
}

double series_most(const struct bench_series *series)
{
    double most = series->count ? series->values[0] : 0;
    for (unsigned i = 1; i < series->count; i++)
        most = series->values[i] > most ? series->values[i] : most;
    return most;
}
