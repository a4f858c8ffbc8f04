/* Checking data.mdb beside who writes to it. */
#include "fixture.h"

#include "store/lmdb_file.h"

#include <sys/syscall.h>

/* Writes while the file is checked: some commits at each read of the check. */
static struct store *committing;

static void commit_some(void)
{
    struct store *store = committing;
    static unsigned number;
    char key[16];
    char value[600];
    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    committing = NULL;
    for (int i = 0; i < 4; i++, number++) {
        snprintf(key, sizeof(key), "key %u", number * 7 % 200);
        fixture_put(store, key, value);
    }
    committing = store;
}

/* In the place of the C library's. */
ssize_t pread(int fd, void *to, size_t length, off_t offset)
{
    if (committing)
        commit_some();
    return (ssize_t)syscall(SYS_pread64, fd, to, length, offset);
}

TEST(commits_are_no_damage,
     "A small file is found whole, though commits come between any two pages that are read.")
{
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct jini_error error;
    int status = 0;
    for (int i = 0; i < 50 && status == 0; i++) {
        committing = store;
        status = lmdb_file_check(harness_path("db"), LMDB_CHECK_ROOTS, NULL, &error);
        committing = NULL;
    }
    if (status)
        harness_fail(__FILE__, __LINE__, "%s", error.message);
    store_close(store);
}
