/* Filesystems and namespaces that a database may not, or may, be opened on. */
#include "fixture.h"
#include "small_disk.h"

TEST(
    an_overlay_filesystem_is_refused_unless_forced,
    "On an overlay filesystem opening is JINI_E_UNSUPPORTED, until the caller takes it on himself.")
{
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    struct jini_error error;
    small_disk_mount("disk", 64 * 1024);
    CHECK(mkdir("disk/upper", 0700) == 0 && mkdir("disk/work", 0700) == 0);
    CHECK(mkdir("disk/lower", 0700) == 0 && mkdir("disk/merged", 0700) == 0);
    if (mount("overlay", "disk/merged", "overlay", 0,
              "lowerdir=disk/lower,upperdir=disk/upper,workdir=disk/work") != 0)
        harness_skip("this machine mounts no overlay for a test");
    options.directory = harness_path("disk/merged/db");
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_UNSUPPORTED);
    CHECK_CONTAINS(error.message, "overlay");
    CHECK_CONTAINS(error.message, "store.allow_unsafe_filesystem");
    options.allow_unsafe_filesystem = true;
    struct store *store = fixture_open_with(&options);
    fixture_put(store, "a", "1");
    store_close(store);
}

TEST(read_only_media_are_read,
     "A database on a filesystem that is mounted read-only opens read-only.")
{
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    struct jini_error error;
    small_disk_mount("disk", 64 * 1024);
    options.directory = harness_path("disk/db");
    struct store *store = fixture_open_with(&options);
    fixture_put(store, "a", "1");
    CHECK_OK(fixture_fill(store, 0, 1000, 100));
    store_close(store);
    CHECK(mount(NULL, "disk", NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
    int status = fixture_refused(&options, &error);
    CHECK(status == JINI_E_READ_ONLY);
    options.read_only = true;
    store = fixture_open_with(&options);
    CHECK_TEXT(fixture_text(store, "a"), "1");
    struct fixture_pair pair = fixture_pair("a", "2");
    CHECK_STATUS(store_write(store, fixture_op_put, &pair), JINI_E_READ_ONLY);
    struct store_figures figures;
    CHECK_OK(store_figures(store, &figures));
    CHECK_OK(store_verify(store, &error));
    store_tick(store);
    CHECK_OK(store_health(store, NULL));
    store_close(store);
}

struct elsewhere {
    struct fixture_flag ready;
    struct fixture_flag end;
};

static void open_and_wait(void *argument)
{
    struct elsewhere *elsewhere = argument;
    store_close(fixture_open(STORE_DRIVER_LMDB));
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    fixture_raise(elsewhere->ready);
    fixture_await(elsewhere->end);
    store_close(store);
}

/* Returns the exit code of a process that tries to open from a PID namespace of its own. */
static int open_in_a_namespace(void)
{
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    struct jini_error error;
    int status;
    if (unshare(CLONE_NEWPID) != 0)
        return 77;
    pid_t inside = fork();
    if (inside == 0) {
        CHECK_STATUS(fixture_refused(&options, &error), JINI_E_LOCKED);
        CHECK_CONTAINS(error.message, "PID namespace");
        _exit(0); /* the leak checker does not work in here */
    }
    CHECK(inside > 0 && waitpid(inside, &status, 0) == inside);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

TEST(a_container_beside_the_host_is_refused,
     "While a process of another PID namespace has the database open, opening is JINI_E_LOCKED.")
{
    struct elsewhere elsewhere = {fixture_flag(), fixture_flag()};
    int status;
    pid_t pid = fixture_spawn(open_and_wait, &elsewhere);
    fixture_await(elsewhere.ready);
    fflush(NULL);
    pid_t container = fork();
    if (container == 0)
        _exit(open_in_a_namespace());
    CHECK(waitpid(container, &status, 0) == container && WIFEXITED(status));
    fixture_raise(elsewhere.end);
    harness_wait_exit(pid, 0);
    if (WEXITSTATUS(status) == 77)
        harness_skip("this machine allows no PID namespace of a test's own");
    CHECK_INT(WEXITSTATUS(status), ==, 0);
    store_close(fixture_open(STORE_DRIVER_LMDB));
}
