/* The control block: attaching to it, the plan, and the lock that gives calls one order. */
#include "control.h"
#include "real.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Thread_local bool fault_inside;

static _Atomic(struct fault_block *) attached;

/* Of fault_before(). */
static _Thread_local struct {
    uint32_t kinds; /* 0: there is none, or it runs */
    const char *pattern;
    fault_hook_fn *function;
    void *context;
} hook;

struct fault_block *fault_block(void)
{
    return atomic_load_explicit(&attached, memory_order_acquire);
}

void fault_give_up(const char *what, const char *path)
{
    fprintf(stderr, "libjini_fault: %s %s: %s\n", what, path, strerror(errno));
    _exit(99);
}

static struct fault_block *map_block(const char *path, int flags)
{
    bool was_inside = fault_inside;
    fault_inside = true;
    int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
    if (fd < 0 || ((flags & O_CREAT) && ftruncate(fd, sizeof(struct fault_block)) != 0))
        fault_give_up("cannot make", path);
    void *map = mmap(NULL, sizeof(struct fault_block), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        fault_give_up("cannot map", path);
    close(fd);
    fault_inside = was_inside;
    return map;
}

void fault_attach(const char *path)
{
    if (fault_block()) {
        errno = EALREADY;
        fault_give_up("cannot attach twice to", path);
    }
    struct fault_block *block = map_block(path, O_CREAT | O_EXCL);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    errno = pthread_mutex_init(&block->lock, &attributes);
    if (errno)
        fault_give_up("cannot make the lock in", path);
    pthread_mutexattr_destroy(&attributes);
    block->magic = FAULT_BLOCK_MAGIC;
    setenv("JINI_FAULT_FILE", path, 1);
    atomic_store_explicit(&attached, block, memory_order_release);
}

__attribute__((constructor)) static void find_real_functions(void)
{
    for (struct real_function *function = __start_real_functions; function < __stop_real_functions;
         function++)
        real_address(function);
}

__attribute__((constructor)) static void attach_by_environment(void)
{
    const char *path = getenv("JINI_FAULT_FILE");
    if (!path || !path[0])
        return;
    struct fault_block *block = map_block(path, 0);
    errno = EINVAL;
    if (block->magic != FAULT_BLOCK_MAGIC)
        fault_give_up("is no control block:", path);
    atomic_store_explicit(&attached, block, memory_order_release);
}

const char *fault_library(void)
{
    Dl_info info;
    if (dladdr((void *)fault_library, &info) == 0)
        fault_give_up("cannot find", "libjini_fault");
    return info.dli_fname;
}

static struct fault_block *block_or_end(const char *call)
{
    struct fault_block *block = fault_block();
    if (!block) {
        errno = ENOTCONN;
        fault_give_up("fault_attach() comes before", call);
    }
    return block;
}

bool fault_watching(void)
{
    const struct fault_block *block = fault_block();
    if (fault_inside)
        return false;
    if (hook.kinds)
        return true;
    if (!block)
        return false;
    return atomic_load_explicit(&block->kinds, memory_order_acquire) ||
           atomic_load_explicit(&block->recording, memory_order_acquire) ||
           atomic_load_explicit(&block->swallowing, memory_order_acquire) ||
           atomic_load_explicit(&block->boot, memory_order_acquire);
}

void fault_lock(void)
{
    struct fault_block *block = fault_block();
    int error = pthread_mutex_lock(&block->lock);
    if (error == EOWNERDEAD) {
        /* Its holder died, perhaps in the middle of a record, which is taken off. */
        bool was_inside = fault_inside;
        fault_inside = true;
        if (atomic_load(&block->recording) && truncate(block->log, (off_t)block->log_length) != 0)
            fault_give_up("cannot mend", block->log);
        fault_inside = was_inside;
        error = pthread_mutex_consistent(&block->lock);
    }
    errno = error;
    if (error)
        fault_give_up("cannot take", "the lock");
}

void fault_unlock(void)
{
    pthread_mutex_unlock(&fault_block()->lock);
}

static void copy_pattern(char to[FAULT_PATTERN_MAX], const char *from)
{
    int length = snprintf(to, FAULT_PATTERN_MAX, "%s", from ? from : "");
    errno = ENAMETOOLONG;
    if (length >= FAULT_PATTERN_MAX)
        fault_give_up("pattern", from);
}

void fault_inject(const struct fault_plan *plan)
{
    struct fault_block *block = block_or_end("fault_inject()");
    fault_inject_stop();
    block->effect = plan->effect;
    block->repeat = plan->repeat;
    block->error = plan->error;
    block->nth = plan->nth;
    copy_pattern(block->pattern, plan->pattern);
    atomic_store(&block->calls, 0);
    atomic_store(&block->injected, 0);
    atomic_store_explicit(&block->kinds, plan->kinds, memory_order_release);
}

void fault_inject_stop(void)
{
    atomic_store_explicit(&block_or_end("fault_inject_stop()")->kinds, 0, memory_order_release);
}

uint64_t fault_calls(void)
{
    return atomic_load(&block_or_end("fault_calls()")->calls);
}

uint64_t fault_injected(void)
{
    return atomic_load(&block_or_end("fault_injected()")->injected);
}

bool fault_loop(uint32_t kinds, uint64_t n, int error)
{
    struct fault_block *block = block_or_end("fault_loop()");
    bool last_failed = n == 1 || atomic_load(&block->injected) > 0;
    fault_inject_stop();
    if (!last_failed)
        return false;
    const struct fault_plan plan = {
        .kinds = kinds, .effect = FAULT_FAIL, .repeat = FAULT_ONCE, .error = error, .nth = n};
    fault_inject(&plan);
    return true;
}

void fault_swallow_syncs(const char *pattern)
{
    struct fault_block *block = block_or_end("fault_swallow_syncs()");
    atomic_store(&block->swallowing, 0);
    copy_pattern(block->swallow, pattern);
    if (pattern)
        atomic_store_explicit(&block->swallowing, 1, memory_order_release);
}

void fault_boot(uint64_t number)
{
    atomic_store_explicit(&block_or_end("fault_boot()")->boot, number, memory_order_release);
}

uint64_t fault_swallowed(void)
{
    return atomic_load(&block_or_end("fault_swallowed()")->swallowed);
}

void fault_path_of(int fd, char path[FAULT_PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, FAULT_PATH_MAX - 1);
    path[length > 0 ? length : 0] = '\0';
}

bool fault_matches(const char *pattern, const char *path)
{
    const char *slash = strrchr(path, '/');
    return fnmatch(pattern, path, 0) == 0 || (slash && fnmatch(pattern, slash + 1, 0) == 0);
}

static bool matches_fd(const char *pattern, int fd)
{
    char name[FAULT_PATH_MAX];
    if (pattern[0] == '\0')
        return true;
    if (fd < 0)
        return false;
    fault_path_of(fd, name);
    return fault_matches(pattern, name);
}

/* As it was given, or as a whole path. */
static bool matches_name(const char *pattern, int directory, const char *path)
{
    char folder[FAULT_PATH_MAX];
    char whole[2 * FAULT_PATH_MAX];
    if (pattern[0] == '\0' || fault_matches(pattern, path))
        return true;
    if (path[0] == '/')
        return false;
    if (directory != AT_FDCWD)
        fault_path_of(directory, folder);
    else if (!getcwd(folder, sizeof(folder)))
        return false;
    snprintf(whole, sizeof(whole), "%s/%s", folder, path);
    return fault_matches(pattern, whole);
}

void fault_before(uint32_t kinds, const char *pattern, fault_hook_fn *function, void *context)
{
    hook.kinds = function ? kinds : 0;
    hook.pattern = pattern ? pattern : "";
    hook.function = function;
    hook.context = context;
}

static void run_hook(void)
{
    uint32_t kinds = hook.kinds;
    hook.kinds = 0;
    hook.function(hook.context);
    hook.kinds = hook.function ? kinds : 0; /* it may have ended itself */
}

static void end_here(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* False for calls that the plan does not mean at all. */
static bool plan_counts(const struct fault_block *block, uint32_t kind)
{
    uint32_t kinds = block ? atomic_load_explicit(&block->kinds, memory_order_acquire) : 0;
    if (kinds && block->effect == FAULT_SHORT)
        kinds &= FAULT_WRITE | FAULT_READ;
    if (kinds && block->effect == FAULT_FLIP)
        kinds &= FAULT_WRITE;
    return kinds & kind;
}

static enum fault_verdict count_call(struct fault_block *block)
{
    uint64_t call = atomic_fetch_add(&block->calls, 1) + 1;
    if (call < block->nth || (call > block->nth && block->repeat == FAULT_ONCE))
        return VERDICT_PASS;
    atomic_fetch_add(&block->injected, 1);
    if (block->effect == FAULT_KILL)
        end_here();
    if (block->effect == FAULT_SHORT)
        return VERDICT_SHORT;
    if (block->effect == FAULT_FLIP)
        return VERDICT_FLIP;
    errno = block->error;
    return VERDICT_FAIL;
}

enum fault_verdict fault_decide(uint32_t kind, int fd)
{
    if (hook.kinds & kind && matches_fd(hook.pattern, fd))
        run_hook();
    struct fault_block *block = fault_block();
    bool meant = plan_counts(block, kind) && matches_fd(block->pattern, fd);
    return meant ? count_call(block) : VERDICT_PASS;
}

enum fault_verdict fault_decide_name(uint32_t kind, int directory, const char *path)
{
    if (hook.kinds & kind && matches_name(hook.pattern, directory, path))
        run_hook();
    struct fault_block *block = fault_block();
    bool meant = plan_counts(block, kind) && matches_name(block->pattern, directory, path);
    return meant ? count_call(block) : VERDICT_PASS;
}

enum fault_verdict fault_decide_names(uint32_t kind, int directory, const char *path,
                                      int other_directory, const char *other_path)
{
    if (hook.kinds & kind && (matches_name(hook.pattern, directory, path) ||
                              matches_name(hook.pattern, other_directory, other_path)))
        run_hook();
    struct fault_block *block = fault_block();
    bool meant =
        plan_counts(block, kind) && (matches_name(block->pattern, directory, path) ||
                                     matches_name(block->pattern, other_directory, other_path));
    return meant ? count_call(block) : VERDICT_PASS;
}

/* The last parts of `path`, as many as `pattern` has. */
static const char *last_parts(const char *path, const char *pattern)
{
    size_t slashes = 1;
    for (const char *at = pattern; *at; at++)
        slashes += *at == '/';
    const char *from = path + strlen(path);
    while (from > path && (slashes -= from[-1] == '/') > 0)
        from--;
    return from;
}

bool fault_swallows_path(const char *path, bool is_directory)
{
    struct fault_block *block = fault_block();
    char pattern[FAULT_PATTERN_MAX];
    if (!block || !atomic_load_explicit(&block->swallowing, memory_order_acquire))
        return false;
    snprintf(pattern, sizeof(pattern), "%s", block->swallow);
    size_t length = strlen(pattern);
    bool of_directories = length > 0 && pattern[length - 1] == '/';
    if (of_directories)
        pattern[length - 1] = '\0';
    return of_directories == is_directory &&
           fnmatch(pattern, last_parts(path, pattern), FNM_PATHNAME) == 0;
}

bool fault_swallows(int fd)
{
    struct fault_block *block = fault_block();
    char path[FAULT_PATH_MAX];
    struct stat info;
    if (!block || !atomic_load_explicit(&block->swallowing, memory_order_acquire))
        return false;
    int saved_errno = errno;
    fault_path_of(fd, path);
    bool matches = fstat(fd, &info) == 0 && fault_swallows_path(path, S_ISDIR(info.st_mode));
    if (matches)
        atomic_fetch_add(&block->swallowed, 1);
    errno = saved_errno;
    return matches;
}
