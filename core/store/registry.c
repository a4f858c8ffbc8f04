/*
 * Laying out, taking slots and judging who is alive; turns are in turn.c. The format stands in
 * registry.h.
 */
#include "store/registry_layout.h"

#include "base/alloc.h"
#include "base/crypto.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char magic[8] = {'J', 'I', 'N', 'I', 'P', 'R', 'O', 'C'};

enum { SETUP_WAIT_MS = 5000, SETUP_STEP_MS = 2 };

static int lock_byte(int fd, int command, short type, off_t byte)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    int failed;
    do {
        failed = fcntl(fd, command, &lock);
    } while (failed && errno == EINTR);
    return failed ? -errno : lock.l_type;
}

static off_t slot_byte(uint32_t slot)
{
    return (off_t)REGISTRY_SLOT_LOCK + slot;
}

bool registry_slot_taken(const struct registry *registry, uint32_t slot)
{
    if (registry->fd < 0)
        return false;
    return lock_byte(registry->fd, F_GETLK, F_WRLCK, slot_byte(slot)) != F_UNLCK;
}

bool registry_alive(struct registry *registry, struct store_process process)
{
    if (process.slot >= REGISTRY_SLOTS)
        return false;
    struct registry_slot *slot = &registry->map->slots[process.slot];
    if (atomic_load(&slot->incarnation) != process.incarnation)
        return false;
    if (process.slot == registry->self.slot)
        return process.incarnation == registry->self.incarnation;
    return registry_slot_taken(registry, process.slot);
}

static bool anybody_alive(const struct registry *registry)
{
    for (uint32_t i = 0; i < REGISTRY_SLOTS; i++) {
        if (registry_slot_taken(registry, i))
            return true;
    }
    return false;
}

/* The boot id as 16 bytes; all zero where the kernel does not tell. */
static void read_boot_id(uint8_t out[16])
{
    char text[64] = {0};
    struct jini_id id;
    memset(out, 0, 16);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (length >= 36) {
        text[36] = '\0';
        if (jini_id_parse(text, &id) == 0)
            memcpy(out, id.bytes, 16);
    }
}

static uint64_t read_pid_namespace(void)
{
    struct stat info;
    return stat("/proc/self/ns/pid", &info) == 0 ? (uint64_t)info.st_ino : 0;
}

static bool layout_valid(const struct registry_map *map, const uint8_t boot_id[16])
{
    return memcmp(map->header.magic, magic, sizeof(magic)) == 0 &&
           map->header.version == REGISTRY_VERSION && map->header.slots == REGISTRY_SLOTS &&
           memcmp(map->header.boot_id, boot_id, 16) == 0;
}

/* Why the file cannot be used although processes use it. */
static int refuse_layout(const struct registry *registry, struct jini_error *error)
{
    const struct registry_header *header = &registry->map->header;
    if (memcmp(header->magic, magic, sizeof(magic)) == 0 && header->version != REGISTRY_VERSION)
        return error_set(error, JINI_E_FORMAT, registry->path,
                         "processes of another version of Jini have this database open (theirs is "
                         "version %u of the registry, ours %d); stop them, or use their version",
                         header->version, REGISTRY_VERSION);
    return error_set(error, JINI_E_CORRUPT, registry->path,
                     "the registry is damaged while processes use it; stop them all, then open the "
                     "database again");
}

/* Held under byte 0, with nobody alive. */
static void lay_out(struct registry_map *map, const uint8_t boot_id[16], uint64_t pid_namespace)
{
    uint32_t incarnations[REGISTRY_SLOTS];
    crypto_random(incarnations, sizeof(incarnations));
    struct registry_header header = {.version = REGISTRY_VERSION, .slots = REGISTRY_SLOTS};
    header.openings = map->header.openings + 1; /* also of a damaged file: it must change */
    memcpy(header.magic, magic, sizeof(magic));
    memcpy(header.boot_id, boot_id, 16);
    header.pid_namespace = pid_namespace;
    for (uint32_t i = 0; i < REGISTRY_SLOTS; i++) {
        memset(&map->slots[i], 0, sizeof(map->slots[i]));
        atomic_store(&map->slots[i].incarnation, incarnations[i]);
    }
    memset((void *)map->change_words, 0, sizeof(map->change_words));
    memcpy(&map->header, &header, sizeof(header));
}

static int lock_setup(const struct registry *registry, struct jini_error *error)
{
    uint64_t end_ns = clock_boot_ns(registry->clock) + SETUP_WAIT_MS * NS_PER_MS;
    do {
        int result = lock_byte(registry->fd, F_SETLK, F_WRLCK, 0);
        if (result >= 0)
            return 0;
        if (result != -EAGAIN && result != -EACCES)
            return error_set_errno(error, -result, registry->path, "cannot lock the registry");
        struct timespec step = {.tv_nsec = SETUP_STEP_MS * 1000000L};
        nanosleep(&step, NULL);
    } while (clock_boot_ns(registry->clock) < end_ns);
    return error_set(
        error, JINI_E_BUSY, registry->path,
        "another process has been opening this database for over %d ms; is it stopped?",
        SETUP_WAIT_MS);
}

static void unlock_setup(const struct registry *registry)
{
    lock_byte(registry->fd, F_SETLK, F_UNLCK, 0);
}

int registry_setup_begin(struct registry *registry, struct jini_error *error)
{
    return registry->fd < 0 ? 0 : lock_setup(registry, error);
}

void registry_setup_end(struct registry *registry)
{
    if (registry->fd >= 0)
        unlock_setup(registry);
}

static int map_file(struct registry *registry, struct jini_error *error)
{
    struct stat info;
    if (fstat(registry->fd, &info) != 0)
        return error_set_errno(error, errno, registry->path, "cannot look at the registry");
    /*
     * Allocated and not only extended: a hole that is written to while the disk is full ends the
     * process.
     */
    int failed = posix_fallocate(registry->fd, 0, sizeof(struct registry_map));
    if (failed)
        return error_set_errno(error, failed, registry->path, "cannot allocate the registry");
    void *map = mmap(NULL, sizeof(struct registry_map), PROT_READ | PROT_WRITE, MAP_SHARED,
                     registry->fd, 0);
    if (map == MAP_FAILED)
        return error_set_errno(error, errno, registry->path, "cannot map the registry");
    registry->map = map;
    return 0;
}

static void fill_slot(struct registry *registry, const struct registry_options *options)
{
    struct registry_slot *slot = &registry->map->slots[registry->self.slot];
    uint32_t holder = registry->self.slot + 1;
    atomic_fetch_add(&registry->map->header.openings, 1);
    atomic_compare_exchange_strong(&registry->map->header.holder, &holder, REGISTRY_HOLDER_GONE);
    registry->self.incarnation = atomic_load(&slot->incarnation) + 1;
    if (registry->self.incarnation == 0)
        registry->self.incarnation = 1;
    atomic_store(&slot->ticket, 0);
    slot->pid = getpid();
    slot->format_min = options->format_min;
    slot->format_max = options->format_max;
    atomic_store(&slot->format_target, 0);
    slot->sync = options->read_only ? 0 : (uint32_t)options->sync + 1;
    slot->started_ns = clock_wall_ns(registry->clock);
    slot->wait_since_ns = 0;
    memset(slot->name, 0, sizeof(slot->name));
    strncpy(slot->name, options->process_name ? options->process_name : "", sizeof(slot->name) - 1);
    atomic_store(&slot->incarnation, registry->self.incarnation);
}

static int take_slot(struct registry *registry, const struct registry_options *options,
                     struct jini_error *error)
{
    for (uint32_t i = 0; i < REGISTRY_SLOTS; i++) {
        if (lock_byte(registry->fd, F_SETLK, F_WRLCK, slot_byte(i)) >= 0) {
            registry->self.slot = i;
            fill_slot(registry, options);
            return 0;
        }
    }
    return error_set(error, JINI_E_BUSY, registry->path,
                     "%d processes have this database open, which is the most there may be",
                     REGISTRY_SLOTS);
}

/*
 * What live processes migrate to. Each announces it in its own slot, so that one that ends or dies
 * takes back nothing of the others.
 */
static int check_targets(struct registry *registry, uint32_t format_max, struct jini_error *error)
{
    for (uint32_t i = 0; i < REGISTRY_SLOTS; i++) {
        const struct registry_slot *slot = &registry->map->slots[i];
        uint32_t target = atomic_load(&slot->format_target);
        if (target > format_max && i != registry->self.slot && registry_slot_taken(registry, i))
            return error_set(error, JINI_E_FORMAT, registry->path,
                             "the database is being migrated to format %u by process %d; this "
                             "version reads up to %u",
                             target, slot->pid, format_max);
    }
    return 0;
}

static const char *sync_name(uint32_t sync)
{
    static const char *const names[] = {"full", "meta", "none"};
    return sync < sizeof(names) / sizeof(names[0]) ? names[sync] : "damaged";
}

/*
 * Refuses to write without syncs beside a process that syncs, and the other way round. A commit of
 * mode `none` puts its meta page in the place of the last but one while its own pages may still be
 * on their way, so that the next of them may take the newest whole commit off the disk, whoever has
 * synced that. Modes `full` and `meta` go together: both sync the pages of a commit, and by that
 * the meta page before it, ahead of its own meta page, and LMDB uses no page again that one of the
 * last two commits refers to.
 */
static int check_sync(const struct registry *registry, const struct registry_options *options,
                      struct jini_error *error)
{
    for (uint32_t i = 0; i < REGISTRY_SLOTS && !options->read_only; i++) {
        const struct registry_slot *slot = &registry->map->slots[i];
        if (i == registry->self.slot || slot->sync == 0 || !registry_slot_taken(registry, i))
            continue;
        uint32_t theirs = slot->sync - 1;
        if ((theirs == STORE_SYNC_NONE) != (options->sync == STORE_SYNC_NONE))
            return error_set(error, JINI_E_LOCKED, "store.sync",
                             "process %d (%.*s) writes with store.sync=%s, beside which \"%s\" "
                             "cannot keep what a power loss may take; use its mode, or wait until "
                             "it has ended",
                             slot->pid, STORE_NAME_MAX, slot->name, sync_name(theirs),
                             sync_name(options->sync));
    }
    return 0;
}

/* Held under byte 0. */
static int join(struct registry *registry, const struct registry_options *options,
                struct jini_error *error)
{
    uint8_t boot_id[16];
    read_boot_id(boot_id);
    uint64_t pid_namespace = read_pid_namespace();
    bool alone = !anybody_alive(registry);
    if (!layout_valid(registry->map, boot_id)) {
        if (!alone)
            return refuse_layout(registry, error);
        lay_out(registry->map, boot_id, pid_namespace);
    }
    struct registry_header *header = &registry->map->header;
    if (header->pid_namespace != pid_namespace) {
        if (!alone)
            return error_set(error, JINI_E_LOCKED, registry->path,
                             "processes of another PID namespace (container) have this database "
                             "open; run them in one namespace, or stop them");
        header->pid_namespace = pid_namespace;
    }
    int status = take_slot(registry, options, error);
    /*
     * Looked at with the slot taken: whoever announces a target after this finds us among the
     * processes.
     */
    if (status == 0)
        status = check_targets(registry, options->format_max, error);
    return status ? status : check_sync(registry, options, error);
}

static int open_file(struct registry *registry, const struct registry_options *options,
                     struct jini_error *error)
{
    snprintf(registry->path, sizeof(registry->path), "%s/processes", options->directory);
    if (options->look_on)
        return onlooker_open(registry, error);
    registry->fd = open(registry->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (registry->fd < 0 && options->read_only && (errno == EROFS || errno == EACCES))
        return onlooker_open(registry, error);
    if (registry->fd < 0)
        return error_set_errno(error, errno, registry->path, "cannot open the registry");
    int status = lock_setup(registry, error);
    if (status)
        return status;
    status = map_file(registry, error);
    if (status == 0)
        status = join(registry, options, error);
    unlock_setup(registry);
    return status;
}

/* The registry of a store that nobody else can open. */
static int open_anonymous(struct registry *registry, const struct registry_options *options,
                          struct jini_error *error)
{
    void *map = mmap(NULL, sizeof(struct registry_map), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return error_set_errno(error, errno, "store", "cannot map the registry");
    registry->map = map;
    fill_slot(registry, options);
    return 0;
}

int registry_open(const struct registry_options *options, struct registry **out,
                  struct jini_error *error)
{
    *out = NULL;
    struct registry *registry = base_calloc(1, sizeof(*registry));
    if (!registry)
        return error_set(error, JINI_E_NO_MEMORY, "store", "out of memory");
    registry->fd = -1;
    registry->clock = options->clock;
    int status = options->directory ? open_file(registry, options, error)
                                    : open_anonymous(registry, options, error);
    if (status) {
        registry_close(registry);
        return status;
    }
    *out = registry;
    return 0;
}

void registry_close(struct registry *registry)
{
    if (!registry)
        return;
    if (registry->map)
        munmap(registry->map, sizeof(struct registry_map));
    if (registry->fd >= 0)
        close(registry->fd);
    base_free(registry);
}

struct store_process registry_self(const struct registry *registry)
{
    return registry->self;
}

_Atomic uint64_t *registry_shared_word(struct registry *registry, uint32_t index)
{
    JINI_ASSERT(index < STORE_SHARED_WORDS);
    return &registry->map->header.shared_words[index];
}

_Atomic uint64_t *registry_change_word(struct registry *registry, uint32_t index)
{
    JINI_ASSERT(index < STORE_CHANGE_WORDS);
    return &registry->map->change_words[index];
}

bool registry_file_present(const struct registry *registry)
{
    struct stat info;
    return registry->fd < 0 || (fstat(registry->fd, &info) == 0 && info.st_nlink > 0);
}

static bool describe(struct registry *registry, uint32_t index, struct store_process_info *out)
{
    struct registry_slot *slot = &registry->map->slots[index];
    struct store_process process = {index, atomic_load(&slot->incarnation)};
    if (!registry_alive(registry, process))
        return false;
    uint64_t now = clock_boot_ns(&clock_system);
    bool holds = atomic_load(&registry->map->header.holder) == index + 1;
    bool waits = !holds && atomic_load(&slot->ticket) != 0;
    uint64_t since = holds ? atomic_load(&registry->map->header.holder_since_ns)
                           : atomic_load(&slot->wait_since_ns);
    *out = (struct store_process_info){
        .process = process,
        .pid = slot->pid,
        .holds_write_lock = holds,
        .waits_for_write_lock = waits,
        .lock_ns = (holds || waits) && since < now ? now - since : 0,
        .started_ns = slot->started_ns,
        .format_version = slot->format_max,
    };
    memcpy(out->name, slot->name, sizeof(out->name) - 1);
    return true;
}

size_t registry_list(struct registry *registry, struct store_process_info *out, size_t capacity)
{
    size_t count = 0;
    for (uint32_t i = 0; i < REGISTRY_SLOTS && count < capacity; i++)
        count += describe(registry, i, &out[count]);
    return count;
}

bool registry_holder(struct registry *registry, struct store_process_info *out)
{
    uint32_t holder = atomic_load(&registry->map->header.holder);
    return holder != 0 && holder <= REGISTRY_SLOTS && describe(registry, holder - 1, out) &&
           out->holds_write_lock;
}

void registry_format_target(struct registry *registry, uint32_t format)
{
    atomic_store(&registry->map->slots[registry->self.slot].format_target, format);
}

bool registry_format_blocker(struct registry *registry, uint32_t format,
                             struct store_process_info *out)
{
    for (uint32_t i = 0; i < REGISTRY_SLOTS; i++) {
        if (i == registry->self.slot || !describe(registry, i, out))
            continue;
        const struct registry_slot *slot = &registry->map->slots[i];
        if (format < slot->format_min || format > slot->format_max)
            return true;
    }
    return false;
}
