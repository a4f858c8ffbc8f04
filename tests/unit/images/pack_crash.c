/*
 * Processes that are killed while they append, seal and recover. A kill takes nothing from the
 * system's memory, so that a place there does as well as a disk, and is quicker.
 */
#include "lives.h"
#include "pack_support.h"

#include <stdio.h>

enum { IMAGES_MAX = 200000, LIVES = 200, LIVES_PER_WORLD = 10, PACK_IMAGES = 24, BATCH_MAX = 5 };

/* A life ends after 1 to BATCHES batches, each of which is a piece of work. */
enum { BATCHES = 6 };

/* What a child tells when a sync has returned: one write() each, which a kill does not undo. */
struct acknowledged {
    struct jini_id pack;
    struct jini_id image;
    uint64_t offset;
    uint64_t end;
    uint32_t sequence;
    uint32_t reserved;
};

static struct acknowledged log_entries[IMAGES_MAX];
static unsigned log_count;

/* A kill may end the write of several entries between two pages; the torn one is cut off. */
static void log_load(void)
{
    int descriptor = open("log", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(descriptor >= 0);
    ssize_t length = read(descriptor, log_entries, sizeof(log_entries));
    CHECK_INT(length, >=, 0);
    log_count = (unsigned)((size_t)length / sizeof(log_entries[0]));
    CHECK_INT(ftruncate(descriptor, (int64_t)(log_count * sizeof(log_entries[0]))), ==, 0);
    close(descriptor);
}

static uint64_t acknowledged_end(const struct jini_id *pack)
{
    uint64_t end = 0;
    for (unsigned i = 0; i < log_count; i++) {
        if (id_equal(&log_entries[i].pack, pack) && log_entries[i].end > end)
            end = log_entries[i].end;
    }
    return end;
}

static int recover_one(void *context, const struct jini_id *pack)
{
    const int *directory = context;
    uint64_t end = acknowledged_end(pack);
    struct pack_scan_result result;
    struct jini_error error = {0};
    int status = pack_recover(*directory, pack, end, &result, &error);
    if (status == JINI_E_NOT_FOUND && end == 0)
        return 0;
    if (status)
        harness_fail(__FILE__, __LINE__, "recover: %s", error.message);
    CHECK_UINT(result.damaged, ==, 0);
    CHECK_UINT(result.end, >=, end);
    return 0;
}

static int child_random(uint64_t *state, int bound)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int)((*state >> 33) % (uint64_t)bound);
}

static void append_batch(struct pack_file *file, struct id_source *ids, uint64_t *random, int log)
{
    struct support_image images[BATCH_MAX];
    struct pack_prepared *records[BATCH_MAX];
    struct acknowledged entries[BATCH_MAX];
    int count = 1 + child_random(random, BATCH_MAX);
    for (int i = 0; i < count; i++) {
        entries[i] =
            (struct acknowledged){.pack = pack_file_header(file)->pack, .image = id_next(ids)};
        size_t length = (size_t)child_random(random, child_random(random, 4) ? 3000 : 300000);
        support_image_make(&images[i], &entries[i].image, length,
                           (size_t)child_random(random, 500));
        records[i] = &images[i].prepared;
    }
    size_t appended;
    uint64_t durable_end;
    CHECK_OK(pack_file_append(file, records, (size_t)count, &appended, NULL));
    CHECK_OK(pack_file_sync(file, &durable_end, NULL));
    for (int i = 0; i < count; i++) {
        entries[i].offset = records[i]->offset;
        entries[i].end = records[i]->offset + records[i]->length;
        entries[i].sequence = records[i]->record.sequence;
        CHECK_UINT(entries[i].end, <=, durable_end);
        support_image_free(&images[i]);
    }
    size_t bytes = (size_t)count * sizeof(entries[0]);
    CHECK_INT(write(log, entries, bytes), ==, (int64_t)bytes);
}

/*
 * Lives as an engine does: seals what its predecessor left, then appends to packs of its own, for
 * ever.
 */
static void child(int directory, uint64_t random, struct life *life)
{
    struct id_source ids;
    id_source_init(&ids, &clock_system);
    log_load();
    CHECK_OK(pack_path_walk(directory, recover_one, &directory, NULL, NULL));
    int log = open("log", O_WRONLY | O_APPEND | O_CLOEXEC);
    for (;;) {
        struct pack_header header = {.pack = id_next(&ids), .tier_group = 1};
        struct pack_file *file;
        CHECK_OK(pack_file_create(directory, &header, &file, NULL));
        while (pack_file_records(file) < PACK_IMAGES) {
            life_begin(life);
            append_batch(file, &ids, &random, log);
            life_end(life);
        }
        CHECK_OK(pack_file_seal(file, NULL));
        pack_file_close(file);
    }
}

static void check_acknowledged(int directory, unsigned from)
{
    for (unsigned i = from; i < log_count; i++) {
        const struct acknowledged *entry = &log_entries[i];
        int descriptor = support_open(directory, &entry->pack);
        CHECK(descriptor >= 0);
        struct pack_source source = pack_source_of_file(&entry->pack, descriptor);
        struct pack_place place = {entry->offset, entry->sequence};
        CHECK_OK(support_check(&source, &place, &entry->image));
        close(descriptor);
    }
}

static int check_sealed(void *context, const struct jini_id *pack)
{
    const int *directory = context;
    size_t length;
    uint8_t *bytes = support_load(*directory, pack, &length);
    struct pack_scan_result result = support_scan(pack, bytes, length, PACK_STATE_SEALED, 0);
    CHECK(result.sealed);
    CHECK_UINT(result.damaged, ==, 0);
    free(bytes);
    return 0;
}

TEST(acknowledged_images_survive_a_kill, "Whenever a process is killed, every image whose sync had "
                                         "returned is whole, and the packs can be sealed.")
{
    CHECK_INT(chdir(harness_fast_directory(256 << 20)), ==, 0);
    int directory = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK_INT(directory, >=, 0);
    unsigned count = LIVES * harness_scale() / (harness_sanitized() ? 3 : 1);
    struct lives lives = {
        .lives = count, .pieces = BATCHES, .done_min = count * 2, .middle_min = count / 3};
    while (lives_go_on(&lives, true)) {
        uint64_t seed = harness_random();
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0)
            child(directory, seed, lives.told);
        lives_kill(&lives, pid);
        unsigned known = log_count;
        log_load();
        check_acknowledged(directory, known);
        if (lives.lived % LIVES_PER_WORLD != 0)
            continue;
        CHECK_OK(pack_path_walk(directory, recover_one, &directory, NULL, NULL));
        check_acknowledged(directory, 0);
        CHECK_OK(pack_path_walk(directory, check_sealed, &directory, NULL, NULL));
        harness_remove("packs"); /* not while they are walked through */
        CHECK_INT(unlink("log"), ==, 0);
        log_count = 0;
    }
    lives_check(&lives);
    close(directory);
}
