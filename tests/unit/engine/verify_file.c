/* Verify: the pages of a data file that is too large to be looked through at open. */
#include "found.h"

#include <fcntl.h>
#include <unistd.h>

enum { ROWS = 1500, ROW_BYTES = 1000, PAGE = 4096, SMALL_PAGES = 256 };

/* In one transaction, so that no page has an older copy elsewhere. */
static int op_fill(struct jini_txn *txn, void *argument)
{
    static const char value[ROW_BYTES] = {1};
    (void)argument;
    int status = 0;
    for (unsigned i = 0; status == 0 && i < ROWS; i++) {
        char key[32];
        int length = snprintf(key, sizeof(key), "planted-%04u", i);
        status = jini_txn_put(txn, key, (size_t)length, value, sizeof(value));
    }
    return status;
}

static void fill(void)
{
    struct jini_write write;
    struct jini *jini = fixture_open();
    jini_request_init(&write);
    write.function = op_fill;
    fixture_must(jini_write(jini, &write, NULL), "write", &write.request.error);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* Gives the page with this text another number than its own. */
static uint64_t damage_page_with(const char *text)
{
    static uint8_t page[PAGE];
    char path[600];
    snprintf(path, sizeof(path), "%s/data.mdb", fixture_db());
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK_INT(fd, >=, 0);
    for (uint64_t number = 0; pread(fd, page, PAGE, (off_t)(number * PAGE)) == PAGE; number++) {
        if (number < 2 || !memmem(page, PAGE, text, strlen(text)))
            continue;
        page[0] ^= 0xff;
        CHECK_INT(pwrite(fd, page, PAGE, (off_t)(number * PAGE)), ==, PAGE);
        CHECK_INT(close(fd), ==, 0);
        return number;
    }
    harness_fail(__FILE__, __LINE__, "no page has %s", text);
}

static struct found verify(void)
{
    struct found found;
    struct jini *jini = fixture_open();
    found_run(jini, NULL, 0, &found);
    CHECK_OK(jini_close(jini, NULL, NULL));
    return found;
}

TEST(a_damaged_page_of_a_large_file_is_found,
     "A page of the data file that is not what its place asks for is a problem that names it, in "
     "the caller's own rows too, and ends the check.")
{
    char name[48];
    fill();
    CHECK_UINT(verify().count, ==, 0);
    uint64_t page = damage_page_with("planted-0700");
    struct found found = verify();
    CHECK_UINT(page, >=, SMALL_PAGES / 2);
    CHECK_UINT(found.count, ==, 1);
    CHECK_TEXT(found.items[0].kind, "data_file_damaged");
    snprintf(name, sizeof(name), "page %llu of the data file", (unsigned long long)page);
    CHECK_CONTAINS(found.items[0].message, name);
}
