/* Runs cases one by one: fork, run in a fresh directory, collect. */
#include "harness_private.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jini/allocator.h>
#include <jini/status.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MEMORY_BYTES_MIN (UINT64_C(256) << 20) /* as in cli.py */

enum { EXIT_SKIPPED = 77, CASE_SECONDS = 300, SANITIZED_FACTOR = 5 };

static struct harness_case *first_case;
static struct harness_case **last_link = &first_case;
static const char *current_name = "";
static char directory[256];
static const char memory_root[] = "/dev/shm";
static bool is_in_memory; /* the directory of the case */
static uint64_t seed;
static uint64_t random_state;

harness_runner *harness_faulty_runner;
static struct harness_told *told; /* NULL: nobody asks */

void harness_register(struct harness_case *test)
{
    *last_link = test;
    last_link = &test->next;
}

const char *harness_directory(void)
{
    return directory;
}

/* In memory, where a case that asks for it makes its fast directory. */
static const char *memory_directory(void)
{
    static char path[sizeof(directory) + sizeof(memory_root)];
    const char *name = strrchr(directory, '/');
    snprintf(path, sizeof(path), "%s%s", memory_root, name ? name : "/jini-test");
    return path;
}

static bool memory_has(uint64_t bytes)
{
    struct statvfs info;
    return statvfs(memory_root, &info) == 0 && (uint64_t)info.f_bavail * info.f_frsize >= bytes;
}

const char *harness_fast_directory(uint64_t free_bytes_min)
{
    static char on_disk[sizeof(directory) + 8];
    if (!is_in_memory && memory_has(free_bytes_min) &&
        (mkdir(memory_directory(), 0700) == 0 || errno == EEXIST))
        return memory_directory();
    snprintf(on_disk, sizeof(on_disk), "%s/fast", directory);
    if (mkdir(on_disk, 0700) != 0 && errno != EEXIST)
        harness_fail(__FILE__, __LINE__, "cannot make %s", on_disk);
    return on_disk;
}

const char *harness_path(const char *format, ...)
{
    static _Thread_local char paths[8][512];
    static _Thread_local unsigned turn;
    char *path = paths[turn++ % 8];
    int length = snprintf(path, sizeof(paths[0]), "%s/", directory);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path + length, sizeof(paths[0]) - (size_t)length, format, arguments);
    va_end(arguments);
    return path;
}

uint64_t harness_seed(void)
{
    return seed;
}

uint64_t harness_random(void)
{
    uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t harness_random_below(uint64_t bound)
{
    return bound ? harness_random() % bound : 0;
}

unsigned harness_scale(void)
{
    const char *text = getenv("JINI_TEST_SCALE");
    long scale = text ? strtol(text, NULL, 10) : 1;
    return scale >= 1 && scale <= 100000 ? (unsigned)scale : 1;
}

bool harness_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return true;
#else
    return false;
#endif
#else
    return false;
#endif
}

void harness_skip(const char *reason)
{
    printf("skip %s: %s\n", current_name, reason);
    fflush(stdout);
    _exit(EXIT_SKIPPED);
}

void harness_fail(const char *file, int line, const char *format, ...)
{
    char message[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s:%d: %s failed: %s\n    JINI_TEST_SEED=%" PRIu64 " repeats it\n", file, line,
            current_name, message, seed);
    fflush(stderr);
    fflush(stdout);
    if (told) { /* no process of the case waits for what another will not do any more */
        atomic_store(&told->failed, true);
        kill(0, SIGKILL);
    }
    _exit(1);
}

void harness_told_crash(void)
{
    if (told)
        atomic_store(&told->crashed, true);
}

void harness_check_status(const char *file, int line, const char *call, int status, int expected)
{
    if (status != expected)
        harness_fail(file, line, "%s answers %s (%d), not %s", call, jini_status_name(status),
                     status, jini_status_name(expected));
}

/* The heap whose nth allocation fails. */

static struct harness_heap own_heap;
static struct harness_heap *heap_plan = &own_heap; /* or that of all processes of a case */

static bool heap_fails(void)
{
    uint64_t left = atomic_load(&heap_plan->left);
    while (left > 0) {
        if (atomic_compare_exchange_weak(&heap_plan->left, &left, left - 1)) {
            if (left == 1)
                atomic_store(&heap_plan->failed, true);
            return left == 1;
        }
    }
    return false;
}

static void *heap_malloc(size_t size)
{
    return heap_fails() ? NULL : malloc(size);
}

static void *heap_calloc(size_t count, size_t size)
{
    return heap_fails() ? NULL : calloc(count, size);
}

static void *heap_realloc(void *pointer, size_t size)
{
    return heap_fails() ? NULL : realloc(pointer, size);
}

void harness_fail_allocation(uint64_t nth)
{
    static const struct jini_allocator heap = {heap_malloc, heap_calloc, heap_realloc, free};
    static bool installed;
    if (!installed) {
        CHECK_OK(jini_replace_allocator(&heap));
        installed = true;
    }
    heap_plan->planned = nth;
    atomic_store(&heap_plan->failed, false);
    atomic_store(&heap_plan->left, nth);
}

bool harness_allocation_failed(void)
{
    return atomic_load(&heap_plan->failed);
}

uint64_t harness_allocations(void)
{
    return heap_plan->planned - atomic_load(&heap_plan->left);
}

void harness_wait_exit(int pid, int code)
{
    int status;
    pid_t waited;
    do {
        waited = waitpid(pid, &status, 0);
    } while (waited < 0 && errno == EINTR);
    CHECK_INT(waited, ==, pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
        harness_told_crash();
    if (WIFSIGNALED(status))
        harness_fail(__FILE__, __LINE__, "child %d died of signal %d", pid, WTERMSIG(status));
    CHECK_INT(WEXITSTATUS(status), ==, code);
}

/* What nftw() looks for; cases run one at a time. */
static struct {
    const void *bytes;
    size_t length;
} wanted_bytes;

static int look_into(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)where;
    if (type != FTW_F || info->st_size < (off_t)wanted_bytes.length)
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *map =
        fd < 0 ? MAP_FAILED : mmap(NULL, (size_t)info->st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (fd >= 0)
        close(fd);
    if (map == MAP_FAILED)
        return 0;
    void *found = memmem(map, (size_t)info->st_size, wanted_bytes.bytes, wanted_bytes.length);
    munmap(map, (size_t)info->st_size);
    return found != NULL;
}

bool harness_tree_holds(const char *path, const void *bytes, size_t length)
{
    wanted_bytes.bytes = bytes;
    wanted_bytes.length = length;
    return nftw(path, look_into, 16, FTW_PHYS) == 1;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

void harness_remove(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Where nftw() copies from and to; cases run one at a time. */
static struct {
    size_t from_length;
    const char *to;
} copying;

static int copy_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    char to[4096];
    (void)where;
    snprintf(to, sizeof(to), "%s%s", copying.to, path + copying.from_length);
    if (type == FTW_D)
        return mkdir(to, info->st_mode & 07777);
    int source = open(path, O_RDONLY | O_CLOEXEC);
    int target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, info->st_mode & 07777);
    off_t left = info->st_size;
    ssize_t copied = 1;
    while (left > 0 && copied > 0) {
        copied = copy_file_range(source, NULL, target, NULL, (size_t)left, 0);
        left -= copied;
    }
    if (source >= 0)
        close(source);
    if (target >= 0)
        close(target);
    return left == 0 ? 0 : -1;
}

void harness_copy(const char *from, const char *to)
{
    copying.from_length = strlen(from);
    copying.to = to;
    if (nftw(from, copy_entry, 16, FTW_PHYS) != 0)
        harness_fail(__FILE__, __LINE__, "cannot copy %s to %s", from, to);
}

static void make_directory(void)
{
    const char *named = getenv("JINI_TEST_TMPDIR");
    const char *base = named ? named : getenv("TMPDIR");
    /* What a disk does to a test is seen without a sanitizer, which waits for it long enough. */
    is_in_memory = !named && harness_sanitized() && memory_has(MEMORY_BYTES_MIN);
    if (is_in_memory)
        base = memory_root;
    snprintf(directory, sizeof(directory), "%s/jini-test-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(directory)) {
        perror(directory);
        exit(1);
    }
}

int harness_run_case(const struct harness_case *test, const struct harness_around *around)
{
    make_directory();
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    if (pid == 0) {
        setpgid(0, 0);
        /*
         * LMDB wants megabytes of zeros whenever a database is opened. Mapped, they are there and
         * cost nothing; glibc would rather fill what was freed before, once something was.
         */
        mallopt(M_MMAP_THRESHOLD, 128 << 10);
        current_name = test->name;
        random_state = seed;
        alarm(CASE_SECONDS * (harness_sanitized() ? SANITIZED_FACTOR : 1) * harness_scale());
        if (chdir(directory) != 0)
            harness_fail(__FILE__, __LINE__, "cannot enter %s", directory);
        if (around) {
            told = around->told;
            heap_plan = &told->heap;
            around->before(around->context);
        }
        test->run();
        fflush(stdout);
        exit(0);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    kill(-pid, SIGKILL); /* whatever the case left running */
    if (around)
        around->behind(around->context);
    if (!getenv("JINI_TEST_KEEP")) {
        nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        nftw(memory_directory(), remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
    if (around)
        return status;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    fprintf(stderr, "%s died of signal %d (%s)\n    JINI_TEST_SEED=%" PRIu64 " repeats it\n",
            test->name, WTERMSIG(status), strsignal(WTERMSIG(status)), seed);
    return 1;
}

uint64_t harness_step_of_sweep(void)
{
    return harness_sanitized() && harness_scale() == 1 ? 13 : 1;
}

uint64_t harness_step_of_long_sweep(void)
{
    return harness_sanitized() || harness_scale() > 1 ? harness_step_of_sweep() : 3;
}

void harness_keep_heap(void)
{
    mallopt(M_TOP_PAD, 16 << 20);
}

static int run_case(const struct harness_case *test)
{
    return harness_run_case(test, NULL);
}

/* The subject of a case is the name of its file. */
static bool has_subject(const struct harness_case *test, const char *subject)
{
    const char *name = strrchr(test->file, '/') ? strrchr(test->file, '/') + 1 : test->file;
    size_t length = strlen(subject);
    return strncmp(name, subject, length) == 0 && strcmp(name + length, ".c") == 0;
}

/* Names are those of subjects and of cases. */
static bool wanted(const struct harness_case *test, int count, char **names)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], test->name) == 0 || has_subject(test, names[i]))
            return true;
    }
    return count == 0;
}

int main(int argc, char **argv)
{
    const char *text = getenv("JINI_TEST_SEED");
    if (text)
        seed = strtoull(text, NULL, 10);
    else if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        seed = (uint64_t)time(NULL);
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (struct harness_case *test = first_case; test; test = test->next)
            printf("%s: %s\n", test->name, test->sentence);
        return 0;
    }
    harness_runner *run = run_case;
    if (argc > 1 && strcmp(argv[1], "--faulty") == 0) {
        random_state = seed;
        run = harness_faulty_runner;
        argc--;
        argv++;
    }
    if (!run) {
        fprintf(stderr, "this test is not linked with faults\n");
        return 1;
    }
    unsigned passed = 0;
    unsigned failed = 0;
    unsigned skipped = 0;
    for (struct harness_case *test = first_case; test; test = test->next) {
        if (!wanted(test, argc - 1, argv + 1))
            continue;
        struct timespec begin;
        struct timespec end;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        int code = run(test);
        clock_gettime(CLOCK_MONOTONIC, &end);
        double ms =
            (double)(end.tv_sec - begin.tv_sec) * 1e3 + (double)(end.tv_nsec - begin.tv_nsec) / 1e6;
        passed += code == 0;
        skipped += code == EXIT_SKIPPED;
        failed += code != 0 && code != EXIT_SKIPPED;
        printf("%s %s (%.0f ms)\n",
               code == 0              ? "ok  "
               : code == EXIT_SKIPPED ? "skip"
                                      : "FAIL",
               test->name, ms);
        if (code != 0 && code != EXIT_SKIPPED)
            printf("     %s\n", test->sentence);
    }
    printf("%u passed, %u failed, %u skipped; seed %" PRIu64 "\n", passed, failed, skipped, seed);
    if (passed + failed + skipped == 0) {
        fprintf(stderr, "no such case\n");
        return 1;
    }
    return failed ? 1 : passed == 0 ? EXIT_SKIPPED : 0;
}
