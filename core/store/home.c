/*
 * The home of a database: the file that it was made in, or that was made its home later. It is
 * known by the machine, by the file's inode number, and by the time when the file was born: all go
 * with a file that is moved within its file system, and a copy that was made as a file has others.
 * They are taken from the file that is open, once: later its name may lead elsewhere, or nowhere.
 *
 * What is copied below the files has the same three: a snapshot of a disk, an image of a file
 * system, a clone of a machine. So has an older state of the file that was written over it. Who
 * uses this needs something else beside it (engine/owner.h).
 *
 * Space META, key "home", little-endian: version (u32), 1; zero (u32); lineage (16 bytes), made
 * with the database and the same in all its copies; machine (16 bytes), a digest of
 * /etc/machine-id, which is not to be shown (machine-id(5)); number (u64); birth in nanoseconds
 * since 1970 (u64). Of machine and birth zero stands for what is not known; the two are compared
 * where both sides know them.
 *
 * Only the making of a database, and store_make_home(), write the row. Earlier versions gave one of
 * 16 bytes to whoever opened first, a copy too: such a row counts as none.
 */
#include "store/store_private.h"

#include "base/crypto.h"
#include "base/error.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static const char home_key[] = "home";
static const char machine_path[] = "/etc/machine-id";

enum { HOME_BYTES = 56, HOME_BYTES_EARLIER = 16, HOME_VERSION = 1, MACHINE_DIGITS = 32 };

struct home {
    struct jini_id lineage;
    struct store_file file;
};

/* ---- The file that is open ---- */

/* A machine has an id of 32 hexadecimal digits, or none that could be relied on. */
static void find_machine(uint8_t out[STORE_MACHINE_BYTES])
{
    static const char purpose[] = "jini: the home of a database\n";
    char text[sizeof(purpose) - 1 + MACHINE_DIGITS + 1];
    uint8_t digest[CRYPTO_DIGEST_BYTES];
    char *digits = text + sizeof(purpose) - 1;
    FILE *file = fopen(machine_path, "re");
    if (!file)
        return;
    memcpy(text, purpose, sizeof(purpose) - 1);
    size_t length = fread(digits, 1, MACHINE_DIGITS, file);
    fclose(file);
    digits[length] = '\0';
    if (strspn(digits, "0123456789abcdef") != MACHINE_DIGITS)
        return;
    crypto_digest(slice_of(text, sizeof(text) - 1), digest);
    memcpy(out, digest, STORE_MACHINE_BYTES);
}

void home_find(struct store *store)
{
    struct store_file *file = &store->file;
    struct statx info;
    struct stat plain;
    int fd = store->ops->data_file(store->driver);
    *file = (struct store_file){0};
    if (fd < 0) /* in memory, which has no copies */
        return;
    find_machine(file->machine);
    if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &info) == 0) {
        file->number = info.stx_ino;
        if (info.stx_mask & STATX_BTIME)
            file->born_ns = (uint64_t)info.stx_btime.tv_sec * NS_PER_S + info.stx_btime.tv_nsec;
    } else if (fstat(fd, &plain) == 0) { /* where a sandbox does not know the other call */
        file->number = plain.st_ino;
    }
}

static bool is_known(const uint8_t machine[STORE_MACHINE_BYTES])
{
    static const uint8_t unknown[STORE_MACHINE_BYTES];
    return memcmp(machine, unknown, STORE_MACHINE_BYTES) != 0;
}

static bool is_same_file(const struct store_file *a, const struct store_file *b)
{
    if (is_known(a->machine) && is_known(b->machine) &&
        memcmp(a->machine, b->machine, STORE_MACHINE_BYTES) != 0)
        return false;
    if (a->born_ns != 0 && b->born_ns != 0 && a->born_ns != b->born_ns)
        return false;
    return a->number == b->number;
}

/* ---- The row ---- */

static int read_row(struct store_txn *txn, struct home *out)
{
    uint8_t bytes[HOME_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    *out = (struct home){0};
    int status = store_get(txn, STORE_SPACE_META, slice_of_text(home_key), &value);
    if (status == 0 && value.length == HOME_BYTES_EARLIER)
        return JINI_E_NOT_FOUND;
    if (status == JINI_E_TOO_BIG || (status == 0 && value.length != HOME_BYTES) ||
        (status == 0 && load_le32(bytes) != HOME_VERSION))
        return JINI_E_CORRUPT;
    if (status)
        return status;
    memcpy(out->lineage.bytes, bytes + 8, JINI_ID_BYTES);
    memcpy(out->file.machine, bytes + 24, STORE_MACHINE_BYTES);
    out->file.number = load_le64(bytes + 40);
    out->file.born_ns = load_le64(bytes + 48);
    return 0;
}

static int write_row(struct store_txn *txn, const struct home *home)
{
    uint8_t bytes[HOME_BYTES] = {0};
    store_le32(bytes, HOME_VERSION);
    memcpy(bytes + 8, home->lineage.bytes, JINI_ID_BYTES);
    memcpy(bytes + 24, home->file.machine, STORE_MACHINE_BYTES);
    store_le64(bytes + 40, home->file.number);
    store_le64(bytes + 48, home->file.born_ns);
    return store_put(txn, STORE_SPACE_META, slice_of_text(home_key),
                     slice_of(bytes, sizeof(bytes)));
}

int store_home(struct store *store, struct store_home *out)
{
    struct store_txn *txn;
    struct home home;
    *out = (struct store_home){.place = STORE_PLACE_UNKNOWN};
    int status = store_read_begin(store, &txn);
    if (status)
        return status;
    status = read_row(txn, &home);
    store_read_end(txn);
    if (status == 0)
        *out = (struct store_home){
            .place = is_same_file(&home.file, &store->file) ? STORE_PLACE_HOME : STORE_PLACE_OTHER,
            .lineage = home.lineage};
    return status == JINI_E_NOT_FOUND || status_is_damage(status) ? 0 : status;
}

int store_home_check(struct store_txn *txn)
{
    struct home home;
    int status = read_row(txn, &home);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

int store_make_home(struct store_txn *txn)
{
    struct home home;
    int status = read_row(txn, &home); /* of which the lineage stays, if it can be read */
    if (status && status != JINI_E_NOT_FOUND && !status_is_damage(status))
        return status;
    home.file = txn->store->file;
    return write_row(txn, &home);
}

int home_create(struct store_txn *txn, const struct jini_id *lineage)
{
    const struct home home = {.lineage = *lineage, .file = txn->store->file};
    return write_row(txn, &home);
}
