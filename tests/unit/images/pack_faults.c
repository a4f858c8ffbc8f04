/*
 * Packs on a disk that fails. The calls that reach the disk are replaced in this program: the nth
 * of them fails.
 */
#include "pack_support.h"

#include "images/pack_files.h"

#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static unsigned calls_left; /* 0: none fails */
static unsigned in_row;     /* that many calls fail, from the nth on */
static bool call_failed;
static const char *only; /* NULL: any of the calls */
static const char *failed_call;
static unsigned syncs; /* calls of fdatasync() */
static unsigned directory_syncs;
static void (*while_opening)(void); /* runs once in the next openat() */

static bool fails(const char *call)
{
    if (calls_left == 0 || (only && strcmp(only, call) != 0))
        return false;
    if (calls_left > 1) {
        calls_left--;
        return false;
    }
    if (--in_row == 0)
        calls_left = 0;
    call_failed = true;
    failed_call = call;
    errno = EIO;
    return true;
}

static void fail_calls(unsigned nth, unsigned count, const char *call)
{
    calls_left = nth;
    in_row = count;
    call_failed = false;
    only = call;
}

static void fail_call(unsigned nth, const char *call)
{
    fail_calls(nth, 1, call);
}

ssize_t pwritev(int descriptor, const struct iovec *pieces, int count, off_t offset)
{
    if (fails("pwritev"))
        return -1;
    return syscall(SYS_pwritev, descriptor, pieces, count, offset, 0);
}

ssize_t pread(int descriptor, void *to, size_t length, off_t offset)
{
    if (fails("pread"))
        return -1;
    return syscall(SYS_pread64, descriptor, to, length, offset);
}

int fdatasync(int descriptor)
{
    syncs++;
    return fails("fdatasync") ? -1 : (int)syscall(SYS_fdatasync, descriptor);
}

int fsync(int descriptor)
{
    directory_syncs++;
    return fails("fsync") ? -1 : (int)syscall(SYS_fsync, descriptor);
}

int ftruncate(int descriptor, off_t length)
{
    return fails("ftruncate") ? -1 : (int)syscall(SYS_ftruncate, descriptor, length);
}

int mkdirat(int directory, const char *path, mode_t mode)
{
    return fails("mkdirat") ? -1 : (int)syscall(SYS_mkdirat, directory, path, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
    if (fails("openat"))
        return -1;
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    int descriptor = (int)syscall(SYS_openat, directory, path, flags, mode);
    if (while_opening) {
        void (*run)(void) = while_opening;
        while_opening = NULL;
        run();
    }
    return descriptor;
}

enum { IMAGES = 6 };

/* A life of a pack, as far as the disk lets it come. */
struct life {
    struct jini_id pack;
    struct jini_id images[IMAGES];
    struct pack_place places[IMAGES];
    unsigned appended;
    unsigned acknowledged; /* images below the last end that a sync answered */
    uint64_t acknowledged_end;
    bool sealed;
};

static int append_one(struct pack_file *file, struct life *life, size_t length)
{
    struct support_image image;
    struct jini_id id = support_id();
    support_image_make(&image, &id, length, 20);
    struct pack_prepared *records[1] = {&image.prepared};
    size_t appended;
    int status = pack_file_append(file, records, 1, &appended, NULL);
    CHECK((status == 0) == (appended == 1));
    if (appended) {
        life->images[life->appended] = id;
        life->places[life->appended++] =
            (struct pack_place){image.prepared.offset, image.prepared.record.sequence};
    }
    support_image_free(&image);
    return status;
}

static int live(int directory, struct life *life)
{
    memset(life, 0, sizeof(*life));
    struct pack_header header = support_header();
    struct pack_file *file;
    life->pack = header.pack;
    int status = pack_file_create(directory, &header, &file, NULL);
    for (int i = 0; !status && i < IMAGES; i++) {
        status = append_one(file, life, (size_t)(i % 3) * 600000 + 5);
        uint64_t end;
        if (!status && i % 2 == 1)
            status = pack_file_sync(file, &end, NULL);
        if (!status && i % 2 == 1) {
            life->acknowledged = life->appended;
            life->acknowledged_end = end;
        }
    }
    if (!status)
        status = pack_file_seal(file, NULL);
    life->sealed = !status;
    if (status == JINI_E_POISONED) {
        CHECK_STATUS(append_one(file, life, 10), JINI_E_POISONED);
        CHECK_STATUS(pack_file_sync(file, NULL, NULL), JINI_E_POISONED);
        CHECK_STATUS(pack_file_seal(file, NULL), JINI_E_POISONED);
    }
    pack_file_close(file);
    return status;
}

/* Recovers on a disk that is well again, and checks all that was acknowledged. */
static void check_life(int directory, const struct life *life)
{
    struct pack_scan_result result;
    struct jini_error error = {0};
    int status = pack_recover(directory, &life->pack, life->acknowledged_end, &result, &error);
    if (life->acknowledged == 0 && status == JINI_E_NOT_FOUND)
        return;
    if (status)
        harness_fail(__FILE__, __LINE__, "recover after a failed %s: %s", failed_call,
                     error.message);
    CHECK_UINT(result.damaged, ==, 0);
    CHECK_UINT(result.records, >=, life->acknowledged);
    CHECK_UINT(result.end, >=, life->acknowledged_end);
    int descriptor = support_open(directory, &life->pack);
    struct pack_source source = pack_source_of_file(&life->pack, descriptor);
    for (unsigned i = 0; i < life->acknowledged; i++)
        CHECK_OK(support_check(&source, &life->places[i], &life->images[i]));
    close(descriptor);
}

TEST(every_failed_call_is_told,
     "Whichever call of the disk fails, it is reported, and what was acknowledged stays.")
{
    int directory = support_directory();
    unsigned nth = 0;
    do {
        struct life life;
        fail_call(++nth, NULL);
        CHECK_UINT(nth, <, 200);
        int status = live(directory, &life);
        calls_left = 0;
        CHECK((status != 0) == call_failed);
        CHECK(life.sealed == !call_failed);
        check_life(directory, &life);
    } while (call_failed);
    CHECK_UINT(nth, >, 20);
    close(directory);
}

TEST(a_failed_sync_ends_the_pack, "After a failed sync nothing more is taken, and what it should "
                                  "have synced is not acknowledged.")
{
    int directory = support_directory();
    for (unsigned nth = 1; nth <= 4; nth++) {
        struct life life;
        fail_call(nth, "fdatasync");
        CHECK_STATUS(live(directory, &life), JINI_E_POISONED);
        calls_left = 0;
        CHECK(call_failed);
        CHECK_UINT(life.acknowledged, ==, 2 * (nth - 1));
        check_life(directory, &life);
    }
    for (unsigned nth = 1; nth <= 3; nth++) {
        struct life life;
        fail_call(nth, "fsync");
        CHECK_STATUS(live(directory, &life), JINI_E_POISONED);
        calls_left = 0;
        CHECK(call_failed);
        CHECK_UINT(life.acknowledged, ==, 0);
    }
    close(directory);
}

TEST(nothing_is_acknowledged_unsynced, "The first sync takes the file and its directories to the "
                                       "disk, later ones the file, and so does a recovery.")
{
    int directory = support_directory();
    struct life life = {0};
    struct pack_file *file = support_create(directory);
    CHECK_OK(append_one(file, &life, 100));
    CHECK_UINT(syncs + directory_syncs, ==, 0);
    CHECK_OK(pack_file_sync(file, NULL, NULL));
    CHECK_UINT(syncs, ==, 1);
    CHECK_UINT(directory_syncs, ==, 3);
    CHECK_OK(append_one(file, &life, 100));
    CHECK_OK(pack_file_sync(file, NULL, NULL));
    CHECK_OK(pack_file_seal(file, NULL));
    CHECK_UINT(syncs, ==, 3);
    CHECK_UINT(directory_syncs, ==, 3);
    struct jini_id pack = pack_file_header(file)->pack;
    pack_file_close(file);
    struct pack_scan_result result;
    CHECK_OK(pack_recover(directory, &pack, 0, &result, NULL));
    CHECK_UINT(syncs, ==, 4);
    CHECK_UINT(directory_syncs, ==, 6);
    close(directory);
}

static struct {
    int directory;
    struct jini_id pack;
    struct pack_files *files;
} removal;

static void remove_it(void)
{
    CHECK_OK(pack_path_remove(removal.directory, &removal.pack, NULL));
    pack_files_forget(removal.files, &removal.pack);
}

TEST(a_pack_removed_while_it_is_opened_is_not_kept,
     "Who opens a pack in the instant in which it is removed can read it, and the cache forgets it "
     "after.")
{
    struct support_pack pack;
    removal.directory = support_directory();
    support_pack_make(removal.directory, &pack);
    removal.pack = pack.id;
    CHECK_OK(pack_files_new(removal.directory, 4, &removal.files, NULL));
    while_opening = remove_it;
    const struct pack_source *source;
    CHECK_OK(pack_files_acquire(removal.files, &pack.id, &source, NULL));
    CHECK_OK(support_check(source, &pack.places[2], &pack.images[2]));
    pack_files_release(removal.files, source);
    CHECK_UINT(pack_files_stats(removal.files).open, ==, 0);
    CHECK_STATUS(pack_files_acquire(removal.files, &pack.id, &source, NULL), JINI_E_NOT_FOUND);
    pack_files_free(removal.files);
    free(pack.bytes);
    close(removal.directory);
}

TEST(a_failed_append_is_cut_off, "After a failed append the next one follows the last whole "
                                 "record; if cutting fails too, none does.")
{
    int directory = support_directory();
    struct life life = {0};
    struct pack_file *file = support_create(directory);
    life.pack = pack_file_header(file)->pack;
    CHECK_OK(append_one(file, &life, 100));
    fail_call(1, "pwritev");
    CHECK_STATUS(append_one(file, &life, 100), JINI_E_IO);
    CHECK_OK(append_one(file, &life, 100));
    fail_call(2, "pwritev");
    CHECK_STATUS(append_one(file, &life, 600000), JINI_E_IO);
    CHECK_OK(append_one(file, &life, 100));
    CHECK_OK(pack_file_sync(file, &life.acknowledged_end, NULL));
    life.acknowledged = life.appended;
    CHECK_UINT(life.acknowledged, ==, 3);
    fail_calls(2, 2, NULL);
    CHECK_STATUS(append_one(file, &life, 600000), JINI_E_POISONED);
    CHECK_TEXT(failed_call, "ftruncate");
    CHECK_STATUS(append_one(file, &life, 100), JINI_E_POISONED);
    pack_file_close(file);
    check_life(directory, &life);
    close(directory);
}

TEST(a_failed_recovery_can_be_repeated,
     "Whichever call fails in a recovery, the next one finds all records as they were.")
{
    int directory = support_directory();
    struct support_pack pack;
    support_pack_make(directory, &pack);
    unsigned nth = 0;
    do {
        support_save(directory, &pack.id, pack.bytes, pack.record_end + 77);
        struct pack_scan_result result;
        fail_call(++nth, NULL);
        CHECK_UINT(nth, <, 200);
        int status = pack_recover(directory, &pack.id, pack.record_end, &result, NULL);
        calls_left = 0;
        CHECK((status != 0) == call_failed);
        CHECK_OK(pack_recover(directory, &pack.id, pack.record_end, &result, NULL));
        CHECK_UINT(result.records, ==, pack.count);
        size_t length;
        uint8_t *bytes = support_load(directory, &pack.id, &length);
        CHECK_UINT(length, ==, pack.length);
        CHECK_BYTES(bytes, pack.bytes, length);
        free(bytes);
    } while (call_failed);
    free(pack.bytes);
    close(directory);
}

TEST(a_failed_read_is_no_damage,
     "A read that fails is reported as such: nobody takes the image for lost.")
{
    int directory = support_directory();
    struct support_pack pack;
    support_pack_make(directory, &pack);
    struct pack_files *files;
    CHECK_OK(pack_files_new(directory, 2, &files, NULL));
    static uint8_t buffer[70000];
    unsigned nth = 0;
    do {
        const struct pack_source *source;
        struct pack_record record;
        fail_call(++nth, NULL);
        CHECK_UINT(nth, <, 50);
        int status = pack_files_acquire(files, &pack.id, &source, NULL);
        if (!status) {
            status =
                pack_read_payload(source, &pack.places[2], buffer, sizeof(buffer), &record, NULL);
            if (!status)
                status =
                    pack_read_range(source, &pack.places[2], 60000, buffer, 9000, &record, NULL);
            struct pack_scan_options options = {PACK_SCAN_EVERYTHING, PACK_STATE_SEALED, 0};
            struct pack_scan_result result = {0};
            if (!status)
                status = pack_scan(source, &options, NULL, NULL, &result, NULL);
            CHECK_UINT(result.damaged, ==, 0);
            pack_files_release(files, source);
        }
        calls_left = 0;
        pack_files_forget(files, &pack.id);
        CHECK_STATUS(status, call_failed ? JINI_E_IO : 0);
    } while (call_failed);
    CHECK_UINT(nth, >, 10);
    pack_files_free(files);
    free(pack.bytes);
    close(directory);
}
