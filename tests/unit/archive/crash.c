/*
 * Kill at any moment. A child puts and deletes objects with several threads and logs what was
 * acknowledged; the parent kills it, and checks promise by promise what it finds. A kill takes
 * nothing from the system's memory, so that a place there does as well as a disk, and is quicker.
 */
#include "lives.h"
#include "support.h"

#include <dirent.h>
#include <sys/mman.h>

enum {
    LIVES = 200,
    WRITERS = 3,
    OBJECTS = 4096, /* a life's objects, more than it can write */
    PIECES = 40,    /* a life ends after 1 to so many puts and deletes */
    SIZE_MAX_BYTES = 200000
};

enum state { STATE_NONE, STATE_PUT, STATE_DELETING, STATE_DELETED };

/* Shared with the child: what it was told, object by object. Survives the child. */
struct log {
    _Atomic uint8_t states[WRITERS][OBJECTS];
};

struct child_writer {
    struct archive *archive;
    struct log *log;
    struct life *life;
    unsigned round;
    unsigned index;
};

static void object_name(unsigned round, unsigned writer, unsigned object, char name[64])
{
    snprintf(name, 64, "r%u/w%u/%u/%u", round, writer, object % 4, object);
}

static size_t object_size(unsigned round, unsigned writer, unsigned object)
{
    uint64_t draw;
    fill_bytes(&draw, sizeof(draw), round * 7919u + writer * 104729u + object);
    return object % 5 == 0 ? draw % SIZE_MAX_BYTES : draw % 5000;
}

static void object_bytes(unsigned round, unsigned writer, unsigned object, uint8_t *bytes)
{
    fill_bytes(bytes, object_size(round, writer, object),
               ((uint64_t)round << 40) + ((uint64_t)writer << 32) + object);
}

static void *write_on(void *argument)
{
    struct child_writer *writer = argument;
    uint8_t *bytes = malloc(SIZE_MAX_BYTES);
    char name[64];
    for (unsigned i = 0; i < OBJECTS; i++) {
        object_name(writer->round, writer->index, i, name);
        object_bytes(writer->round, writer->index, i, bytes);
        life_begin(writer->life);
        CHECK_OK(
            test_put(writer->archive, name, bytes, object_size(writer->round, writer->index, i)));
        atomic_store(&writer->log->states[writer->index][i], STATE_PUT);
        life_end(writer->life);
        if (i % 3 != 2)
            continue;
        object_name(writer->round, writer->index, i - 1, name);
        life_begin(writer->life);
        atomic_store(&writer->log->states[writer->index][i - 1], STATE_DELETING);
        CHECK_OK(test_delete(writer->archive, name));
        atomic_store(&writer->log->states[writer->index][i - 1], STATE_DELETED);
        life_end(writer->life);
    }
    free(bytes);
    return NULL;
}

static void run_child(struct log *log, struct life *life, unsigned round)
{
    struct archive_options options = test_options(ARCHIVE_CREATE);
    struct child_writer writers[WRITERS];
    pthread_t threads[WRITERS];
    struct archive *archive = NULL;
    options.threads = 4;
    CHECK_OK(archive_open("dir:archive", &options, &archive, NULL));
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct child_writer){archive, log, life, round, i};
        CHECK_INT(pthread_create(&threads[i], NULL, write_on, &writers[i]), ==, 0);
    }
    for (;;)
        pause();
}

/* What stands under a name is the whole object of that name. */
static int check_listed(struct archive_request *request, const struct archive_entry *entry)
{
    unsigned round;
    unsigned writer;
    unsigned part;
    unsigned object;
    char name[64] = {0};
    CHECK_UINT(entry->name.length, <, sizeof(name));
    memcpy(name, entry->name.data, entry->name.length);
    CHECK_INT(sscanf(name, "r%u/w%u/%u/%u", &round, &writer, &part, &object), ==, 4);
    CHECK_UINT(entry->size, ==, object_size(round, writer, object));
    ++*(unsigned *)request->user;
    return 0;
}

static void check_object(struct archive *archive, unsigned round, unsigned writer, unsigned object,
                         enum state state)
{
    static uint8_t expected[SIZE_MAX_BYTES];
    static uint8_t bytes[SIZE_MAX_BYTES];
    size_t length;
    char name[64];
    object_name(round, writer, object, name);
    int status = test_get(archive, name, bytes, sizeof(bytes), &length);
    if (state == STATE_PUT)
        CHECK_OK(status);
    else if (state == STATE_DELETED)
        CHECK_STATUS(status, JINI_E_NOT_FOUND);
    else
        CHECK(status == 0 || status == JINI_E_NOT_FOUND);
    if (status != 0)
        return;
    object_bytes(round, writer, object, expected);
    CHECK_UINT(length, ==, object_size(round, writer, object));
    CHECK_BYTES(bytes, expected, length);
}

static unsigned count_temporaries(void)
{
    unsigned count = 0;
    struct dirent *entry;
    DIR *stream = opendir("archive/.tmp");
    while (stream && (entry = readdir(stream)) != NULL)
        count += entry->d_name[0] != '.';
    if (stream)
        closedir(stream);
    return count;
}

/* Opens what a killed child left, and checks it; gives how many temporaries there were. */
static unsigned verify(const struct log *log, unsigned round, unsigned *acknowledged)
{
    struct archive_options options = test_options(ARCHIVE_CREATE);
    struct archive *archive = NULL;
    struct archive_statistics statistics;
    unsigned listed = 0;
    unsigned present = 0;
    unsigned left = count_temporaries();
    char prefix[32];
    options.temporary_age_ms = 0;
    CHECK_OK(archive_open("dir:archive", &options, &archive, NULL));
    archive_statistics(archive, &statistics);
    CHECK_UINT(statistics.temporaries_collected, ==, left);
    CHECK_UINT(count_temporaries(), ==, 0);
    snprintf(prefix, sizeof(prefix), "r%u/", round);
    CHECK_OK(test_walk(archive, slice_of_text(prefix), check_listed, &listed, NULL));
    for (unsigned w = 0; w < WRITERS; w++) {
        unsigned i = 0;
        for (; i < OBJECTS && atomic_load(&log->states[w][i]) != STATE_NONE; i++) {
            enum state state = atomic_load(&log->states[w][i]);
            check_object(archive, round, w, i, state);
            present += state == STATE_PUT;
        }
        if (i < OBJECTS)
            check_object(archive, round, w, i, STATE_NONE); /* the one that it was at */
    }
    CHECK_UINT(listed, >=, present);
    CHECK_UINT(listed, <=, present + 2 * WRITERS);
    *acknowledged += present;
    archive_close(archive);
    return left;
}

TEST(killed_process_loses_nothing, "After kill -9 at any moment every acknowledged object is "
                                   "whole, every acknowledged delete stands, no part of an "
                                   "object is seen, and leftovers are collected.")
{
    struct log *log =
        mmap(NULL, sizeof(*log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const unsigned count = LIVES * harness_scale() / (harness_sanitized() ? 2 : 1);
    struct lives lives = {
        .lives = count, .pieces = PIECES, .done_min = count * 8, .middle_min = count / 3};
    unsigned acknowledged = 0;
    unsigned leftovers = 0;
    CHECK(log != MAP_FAILED);
    CHECK_INT(chdir(harness_fast_directory(256 << 20)), ==, 0);
    while (lives_go_on(&lives, leftovers >= count / 10)) {
        unsigned round = lives.lived;
        memset(log, 0, sizeof(*log));
        fflush(NULL);
        pid_t child = fork();
        if (child == 0)
            run_child(log, lives.told, round);
        lives_kill(&lives, child);
        leftovers += verify(log, round, &acknowledged);
    }
    printf("     %u objects there, %u temporaries left and collected\n", acknowledged, leftovers);
    lives_check(&lives);
    CHECK_UINT(acknowledged, >=, count * 4);
    CHECK_UINT(leftovers, >=, count / 10);
}
