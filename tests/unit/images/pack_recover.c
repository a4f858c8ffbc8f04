/* Sealing the packs of processes that died. */
#include "images/pack_recover.h"

#include "pack_support.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

/*
 * The length to cut at after this one: every one from the footer on, and some before. The walk
 * itself is tested at every length in memory.
 */
static size_t next_length(const struct support_pack *pack, size_t length)
{
    if (length >= pack->record_end)
        return length + 1;
    bool in_payload = length > pack->places[2].offset + 300 && length + 300 < pack->ends[2];
    size_t next = length + (in_payload ? 997 : 13);
    return next < pack->record_end ? next : pack->record_end;
}

TEST(an_interrupted_seal_is_done_again, "A sealed pack that was cut at any length is sealed again, "
                                        "and from the footer on gets the same bytes.")
{
    int directory = support_directory();
    struct support_pack pack;
    support_pack_make(directory, &pack);
    CHECK_OK(pack_path_remove(directory, &pack.id, NULL));
    for (size_t length = PACK_HEADER_BYTES; length <= pack.length;
         length = next_length(&pack, length)) {
        support_save(directory, &pack.id, pack.bytes, length);
        unsigned whole = 0;
        while (whole < pack.count && pack.ends[whole] <= length)
            whole++;
        struct pack_scan_result result;
        struct jini_error error = {0};
        for (int again = 0; again < (length % 4 ? 1 : 2); again++) {
            int status = pack_recover(directory, &pack.id, 0, &result, &error);
            if (status)
                harness_fail(__FILE__, __LINE__, "%zu bytes: %s", length, error.message);
            CHECK(result.sealed);
            CHECK_UINT(result.records, ==, whole);
            CHECK_UINT(result.damaged, ==, 0);
        }
        size_t sealed_length;
        uint8_t *sealed = support_load(directory, &pack.id, &sealed_length);
        result = support_scan(&pack.id, sealed, sealed_length, PACK_STATE_SEALED, 0);
        CHECK_UINT(result.records, ==, whole);
        CHECK_UINT(result.damaged, ==, 0);
        if (whole == pack.count) {
            CHECK_UINT(sealed_length, ==, pack.length);
            CHECK_BYTES(sealed, pack.bytes, pack.length);
        }
        free(sealed);
    }
    free(pack.bytes);
    close(directory);
}

TEST(a_torn_footer_is_written_anew,
     "A footer of which any sectors did not reach the disk is replaced by a whole one.")
{
    int directory = support_directory();
    struct pack_file *file = support_create(directory);
    struct jini_id pack = pack_file_header(file)->pack;
    for (int i = 0; i < 30; i++)
        support_append(file, 50 + (size_t)i, 0, NULL);
    size_t record_end = (size_t)pack_file_end(file);
    CHECK_OK(pack_file_seal(file, NULL));
    pack_file_close(file);
    size_t length;
    uint8_t *bytes = support_load(directory, &pack, &length);
    uint8_t *torn = malloc(length);
    for (int round = 0; round < 150; round++) {
        memcpy(torn, bytes, length);
        for (size_t at = record_end / 512 * 512; at < length; at += 512) {
            size_t from = at < record_end ? record_end : at;
            size_t to = at + 512 < length ? at + 512 : length;
            if (harness_random_below(2))
                memset(torn + from, 0, to - from);
        }
        support_save(directory, &pack, torn, length);
        struct pack_scan_result result;
        CHECK_OK(pack_recover(directory, &pack, record_end, &result, NULL));
        CHECK_UINT(result.records, ==, 30);
        size_t sealed_length;
        uint8_t *sealed = support_load(directory, &pack, &sealed_length);
        CHECK_UINT(sealed_length, ==, length);
        CHECK_BYTES(sealed, bytes, length);
        free(sealed);
    }
    free(torn);
    free(bytes);
    close(directory);
}

TEST(acknowledged_records_behind_damage_are_kept,
     "Damage before the acknowledged end cuts nothing off: the records behind it stay, and the "
     "damage is reported for ever.")
{
    int directory = support_directory();
    struct support_pack pack;
    support_pack_make(directory, &pack);
    for (unsigned hit = 0; hit < pack.count; hit++) {
        for (int header = 0; header < 2; header++) {
            uint8_t *copy = malloc(pack.record_end);
            memcpy(copy, pack.bytes, pack.record_end);
            uint64_t at = header ? pack.places[hit].offset + 20 : pack.ends[hit] - 1;
            copy[at] ^= 1;
            support_save(directory, &pack.id, copy, pack.record_end);
            struct pack_scan_result result;
            CHECK_OK(pack_recover(directory, &pack.id, pack.record_end, &result, NULL));
            CHECK_UINT(result.records, ==, pack.count - 1);
            CHECK_UINT(result.damaged, ==, 1);
            size_t length;
            uint8_t *sealed = support_load(directory, &pack.id, &length);
            CHECK_BYTES(sealed, copy, pack.record_end);
            result = support_scan(&pack.id, sealed, length, PACK_STATE_SEALED, 0);
            CHECK(result.sealed);
            CHECK_UINT(result.records, ==, pack.count - 1);
            CHECK_UINT(result.damaged, ==, 1);
            struct pack_source source = pack_source_of_bytes(&pack.id, slice_of(sealed, length));
            for (unsigned i = 0; i < pack.count; i++) {
                if (i != hit)
                    CHECK_OK(support_check(&source, &pack.places[i], &pack.images[i]));
            }
            free(sealed);
            free(copy);
        }
    }
    free(pack.bytes);
    close(directory);
}

TEST(lost_acknowledged_bytes_are_sealed_as_damage,
     "A file that is shorter than what was acknowledged is sealed with the rest, and the loss "
     "stays visible.")
{
    int directory = support_directory();
    struct support_pack pack;
    support_pack_make(directory, &pack);
    for (size_t length = 0; length < pack.record_end; length += 501) {
        support_save(directory, &pack.id, pack.bytes, length);
        struct pack_scan_result result;
        CHECK_OK(pack_recover(directory, &pack.id, pack.record_end, &result, NULL));
        CHECK_UINT(result.damaged, >=, 1);
        size_t sealed_length;
        uint8_t *sealed = support_load(directory, &pack.id, &sealed_length);
        struct pack_scan_result again =
            support_scan(&pack.id, sealed, sealed_length, PACK_STATE_SEALED, 0);
        CHECK(again.sealed);
        CHECK_UINT(again.records, ==, result.records);
        CHECK_UINT(again.damaged, >=, 1);
        free(sealed);
    }
    free(pack.bytes);
    close(directory);
}

TEST(a_file_without_a_header_is_removed, "What is left of a process that died while it created a "
                                         "pack goes; with anything acknowledged it stays.")
{
    int directory = support_directory();
    struct support_pack pack;
    support_pack_make(directory, &pack);
    static const size_t lengths[] = {0, 1, 512, PACK_HEADER_BYTES - 1};
    struct pack_scan_result result;
    struct jini_error error = {0};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        support_save(directory, &pack.id, pack.bytes, lengths[i]);
        CHECK_STATUS(pack_recover(directory, &pack.id, 0, &result, &error), JINI_E_NOT_FOUND);
        CHECK_CONTAINS(error.message, "removed");
        CHECK_INT(support_open(directory, &pack.id), <, 0);
        CHECK_STATUS(pack_recover(directory, &pack.id, 0, &result, NULL), JINI_E_NOT_FOUND);
    }
    uint8_t *bytes = malloc(pack.record_end);
    memcpy(bytes, pack.bytes, pack.record_end);
    bytes[17] ^= 1;
    support_save(directory, &pack.id, bytes, pack.record_end);
    CHECK_OK(pack_recover(directory, &pack.id, 0, &result, NULL));
    CHECK(result.header_damaged);
    CHECK_UINT(result.records, ==, pack.count);
    free(bytes);
    free(pack.bytes);
    close(directory);
}

TEST(the_pack_of_a_living_process_is_left_alone,
     "Nobody recovers a pack while its process lives; when it is gone, anybody may.")
{
    int directory = support_directory();
    struct pack_file *file = support_create(directory);
    struct jini_id pack = pack_file_header(file)->pack;
    support_append(file, 100, 0, NULL);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        struct pack_scan_result result;
        struct jini_error error = {0};
        CHECK_STATUS(pack_recover(directory, &pack, 0, &result, &error), JINI_E_LOCKED);
        _exit(0);
    }
    harness_wait_exit(pid, 0);
    struct pack_scan_result result;
    CHECK_STATUS(pack_recover(directory, &pack, 0, &result, NULL), JINI_E_LOCKED);
    pack_file_close(file);
    CHECK_OK(pack_recover(directory, &pack, 0, &result, NULL));
    CHECK_UINT(result.records, ==, 1);
    close(directory);
}

/* Writes a pack, forks a child that outlives it, tells both pids, and waits to be killed. */
static void write_and_fork(int directory, const struct jini_id *id, int answer)
{
    struct pack_header header = support_header();
    header.pack = *id;
    struct pack_file *file;
    CHECK_OK(pack_file_create(directory, &header, &file, NULL));
    support_append(file, 100, 0, NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK_STATUS(pack_file_sync(file, NULL, NULL), JINI_E_FORKED);
        pack_file_close(file);
        pid = getpid();
        CHECK_INT(write(answer, &pid, sizeof(pid)), ==, (int)sizeof(pid));
    }
    for (;;)
        pause();
}

TEST(a_child_does_not_hold_the_pack_of_a_dead_parent,
     "A pack is recovered once its process is dead, while a child of that process lives on.")
{
    int directory = support_directory();
    struct jini_id id = support_id();
    struct pack_scan_result result;
    int answers[2];
    CHECK_INT(pipe(answers), ==, 0);
    fflush(NULL);
    pid_t parent = fork();
    CHECK(parent >= 0);
    if (parent == 0)
        write_and_fork(directory, &id, answers[1]);
    pid_t child;
    CHECK_INT(read(answers[0], &child, sizeof(child)), ==, (int)sizeof(child));
    CHECK_STATUS(pack_recover(directory, &id, 0, &result, NULL), JINI_E_LOCKED);
    int how;
    CHECK_INT(kill(parent, SIGKILL), ==, 0);
    CHECK_INT(waitpid(parent, &how, 0), ==, parent);
    CHECK_OK(pack_recover(directory, &id, 0, &result, NULL));
    CHECK_UINT(result.records, ==, 1);
    CHECK_INT(kill(child, 0), ==, 0);
    CHECK_INT(kill(child, SIGKILL), ==, 0);
    close(answers[0]);
    close(answers[1]);
    close(directory);
}

TEST(a_newer_pack_is_not_touched, "A pack of a newer version keeps every byte.")
{
    int directory = support_directory();
    struct support_pack pack;
    support_pack_make(directory, &pack);
    store_le32(pack.bytes + 8, 2);
    store_le64(pack.bytes + 4088, hash64(slice_of(pack.bytes, 4088)));
    support_save(directory, &pack.id, pack.bytes, pack.record_end + 10);
    struct pack_scan_result result;
    CHECK_STATUS(pack_recover(directory, &pack.id, 0, &result, NULL), JINI_E_FORMAT);
    size_t length;
    uint8_t *bytes = support_load(directory, &pack.id, &length);
    CHECK_UINT(length, ==, pack.record_end + 10);
    CHECK_BYTES(bytes, pack.bytes, length);
    free(bytes);
    free(pack.bytes);
    CHECK_STATUS(pack_recover(directory, &pack.id, 100, &result, NULL), JINI_E_INVALID);
    close(directory);
}

TEST(recovery_without_memory_changes_nothing,
     "Whichever allocation fails, the recovery says so, and the next one succeeds.")
{
    int directory = support_directory();
    struct support_pack pack;
    support_pack_make(directory, &pack);
    bool failed = true;
    for (uint64_t nth = 1; failed; nth++) {
        CHECK_UINT(nth, <, 50);
        support_save(directory, &pack.id, pack.bytes, pack.record_end + 5);
        struct pack_scan_result result;
        harness_fail_allocation(nth);
        int status = pack_recover(directory, &pack.id, pack.record_end, &result, NULL);
        failed = harness_allocation_failed();
        harness_fail_allocation(0);
        CHECK_STATUS(status, failed ? JINI_E_NO_MEMORY : 0);
        CHECK_OK(pack_recover(directory, &pack.id, pack.record_end, &result, NULL));
        CHECK_UINT(result.records, ==, pack.count);
        CHECK_UINT(result.damaged, ==, 0);
    }
    free(pack.bytes);
    close(directory);
}
