/*
 * The home of a database: the file that it was made in, or that was made its home later. It is
 * known by its inode number and the time when it was born: both go with a file that is moved, and
 * are others in every copy. On new file systems alike, numbers alone would be alike; where a file
 * system knows no such time it is 0, and they have to do.
 *
 * Space META, key "home": the number and the time in nanoseconds (u64 each, little-endian). A
 * database without the row, as every one was once, gets it from the first who opens it for writing.
 */
#include "store/store_private.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static const char home_key[] = "home";

enum { HOME_BYTES = 16, PATH_MAX_BYTES = 4096 };

struct home {
    uint64_t number;
    uint64_t born_ns;
};

/* 0 or an errno. A store in memory is at home anywhere. */
static int find_home(const struct store *store, struct home *out)
{
    char path[PATH_MAX_BYTES + 16];
    struct statx info;
    *out = (struct home){0};
    if (!store->directory)
        return 0;
    snprintf(path, sizeof(path), "%s/data.mdb", store->directory);
    if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &info) != 0)
        return errno;
    out->number = info.stx_ino;
    if (info.stx_mask & STATX_BTIME)
        out->born_ns = (uint64_t)info.stx_btime.tv_sec * NS_PER_S + info.stx_btime.tv_nsec;
    return 0;
}

static int read_row(struct store_txn *txn, struct home *out)
{
    uint8_t bytes[HOME_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    int status = store_get(txn, STORE_SPACE_META, slice_of_text(home_key), &value);
    if (status == JINI_E_TOO_BIG || (status == 0 && value.length != HOME_BYTES))
        return JINI_E_CORRUPT;
    if (status == 0)
        *out = (struct home){load_le64(bytes), load_le64(bytes + 8)};
    return status;
}

int store_is_home(struct store *store, bool *out)
{
    struct store_txn *txn;
    struct home here;
    struct home home;
    *out = false;
    int failed = find_home(store, &here);
    if (failed)
        return error_from_errno(failed);
    int status = store_read_begin(store, &txn);
    if (status)
        return status;
    status = read_row(txn, &home);
    store_read_end(txn);
    if (status == 0)
        *out = home.number == here.number && home.born_ns == here.born_ns;
    else if (status == JINI_E_NOT_FOUND)
        *out = true;
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

int store_make_home(struct store_txn *txn)
{
    uint8_t bytes[HOME_BYTES];
    struct home here;
    int failed = find_home(txn->store, &here);
    if (failed)
        return error_from_errno(failed);
    store_le64(bytes, here.number);
    store_le64(bytes + 8, here.born_ns);
    return store_put(txn, STORE_SPACE_META, slice_of_text(home_key),
                     slice_of(bytes, sizeof(bytes)));
}

static int op_first_home(struct store_txn *txn, void *argument)
{
    struct home home;
    (void)argument;
    int status = read_row(txn, &home);
    return status == JINI_E_NOT_FOUND ? store_make_home(txn) : status;
}

int home_prepare(struct store *store, struct jini_error *error)
{
    struct store_txn *txn;
    struct home home;
    int status = store_read_begin(store, &txn);
    if (status)
        return error_complete(error, status, "home", "cannot read the home of the database");
    status = read_row(txn, &home);
    store_read_end(txn);
    if (status != JINI_E_NOT_FOUND || store->options.read_only)
        return 0; /* what is damaged is told where it matters */
    status = store_write_at_open(store, op_first_home, NULL, error);
    if (status == 0 || status == JINI_E_FULL) /* then the next one notes it */
        return 0;
    return error_complete(error, status, "home", "cannot note the home of the database");
}
