/*
 * The home of a database: the file that it was made in, or that was made its home later. It is
 * known by its inode number, which goes with a file that is moved and is another in every copy.
 *
 * Space META, key "home": the number (u64, little-endian). A database without the row, as every one
 * was once, gets it from the first who opens it for writing.
 */
#include "store/store_private.h"

#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

static const char home_key[] = "home";

enum { HOME_BYTES = 8, PATH_MAX_BYTES = 4096 };

/* 0 or an errno. A store in memory is at home anywhere. */
static int find_number(const struct store *store, uint64_t *out)
{
    char path[PATH_MAX_BYTES + 16];
    struct stat info;
    *out = 0;
    if (!store->directory)
        return 0;
    snprintf(path, sizeof(path), "%s/data.mdb", store->directory);
    if (stat(path, &info) != 0)
        return errno;
    *out = info.st_ino;
    return 0;
}

static int read_row(struct store_txn *txn, uint64_t *out)
{
    uint8_t bytes[HOME_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    int status = store_get(txn, STORE_SPACE_META, slice_of_text(home_key), &value);
    if (status == JINI_E_TOO_BIG || (status == 0 && value.length != HOME_BYTES))
        return JINI_E_CORRUPT;
    *out = status == 0 ? load_le64(bytes) : 0;
    return status;
}

int store_is_home(struct store *store, bool *out)
{
    struct store_txn *txn;
    uint64_t number;
    uint64_t home;
    *out = false;
    int failed = find_number(store, &number);
    if (failed)
        return error_from_errno(failed);
    int status = store_read_begin(store, &txn);
    if (status)
        return status;
    status = read_row(txn, &home);
    store_read_end(txn);
    if (status == 0 || status == JINI_E_NOT_FOUND)
        *out = status == JINI_E_NOT_FOUND || home == number;
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

int store_make_home(struct store_txn *txn)
{
    uint8_t bytes[HOME_BYTES];
    uint64_t number;
    int failed = find_number(txn->store, &number);
    if (failed)
        return error_from_errno(failed);
    store_le64(bytes, number);
    return store_put(txn, STORE_SPACE_META, slice_of_text(home_key),
                     slice_of(bytes, sizeof(bytes)));
}

static int op_first_home(struct store_txn *txn, void *argument)
{
    uint64_t home;
    (void)argument;
    int status = read_row(txn, &home);
    return status == JINI_E_NOT_FOUND ? store_make_home(txn) : status;
}

int home_prepare(struct store *store, struct jini_error *error)
{
    struct store_txn *txn;
    uint64_t home;
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
