/* Filesystems and namespaces that a database may not, or may, be opened on. */
#include "fixture.h"
#include "small_disk.h"

#include "store/store_private.h"

TEST(filesystems_of_networks_are_known,
     "Every filesystem whose locks or shared memory cannot be trusted is known by its number, and "
     "those of local disks are not taken for one.")
{
    static const struct {
        uint32_t magic;
        const char *name;
    } rows[] = {
        {0x6969, "NFS"},      {0x517B, "SMB"},         {0xFE534D42, "SMB"},  {0xFF534D42, "CIFS"},
        {0x65735546, "FUSE"}, {0x794C7630, "overlay"}, {0x00C36400, "Ceph"}, {0x01021997, "9p"},
        {0x5346414F, "AFS"},  {0x6B414653, "AFS"},     {0x73757245, "Coda"}, {0x7461636F, "OCFS2"},
        {0x01161970, "GFS2"}, {0x0BD00BD0, "Lustre"},  {0x47504653, "GPFS"},
    };
    /* ext, XFS, btrfs, F2FS, ZFS, tmpfs */
    static const uint32_t local[] = {0xEF53,     0x58465342, 0x9123683E,
                                     0xF2F52010, 0x2FC12FC1, 0x01021994};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *name = directory_unsafe_filesystem(rows[i].magic);
        CHECK(name != NULL);
        CHECK_TEXT(name, rows[i].name);
    }
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
        CHECK(directory_unsafe_filesystem(local[i]) == NULL);
}

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
    CHECK_OK(store_verify(store, NULL, &error));
    store_tick(store);
    CHECK_OK(store_health(store, NULL));
    store_close(store);
}

/* ---- Looking on: where nothing can be written ---- */

struct owner {
    struct fixture_flag open;
    struct fixture_flag opened;
    struct fixture_flag close;
    struct fixture_flag closed;
};

/* Opens the database for writing and closes it, when told, again and again. */
static void open_when_told(void *argument)
{
    const struct owner *owner = argument;
    for (;;) {
        fixture_await(owner->open);
        struct store_options options = fixture_options(STORE_DRIVER_LMDB);
        options.process_name = "owner";
        struct store *store = fixture_open_with(&options);
        struct fixture_number one = {STORE_SPACE_APPLICATION, 1, 1};
        for (int i = 0; i < 3; i++)
            CHECK_OK(store_write(store, fixture_op_add, &one));
        fixture_raise(owner->opened);
        fixture_await(owner->close);
        store_close(store);
        fixture_raise(owner->closed);
    }
}

static void owner_opens(const struct owner *owner)
{
    fixture_raise(owner->open);
    fixture_await(owner->opened);
}

static void owner_closes(const struct owner *owner)
{
    fixture_raise(owner->close);
    fixture_await(owner->closed);
}

/* A database at db that a process of its own opens when told. */
static pid_t start_owner(struct owner *owner)
{
    *owner = (struct owner){fixture_flag(), fixture_flag(), fixture_flag(), fixture_flag()};
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    fixture_put(store, "a", "1");
    CHECK_OK(fixture_fill(store, 100, 1000, 100));
    store_close(store);
    return fixture_spawn(open_when_told, owner);
}

static struct store_options onlooker_options(const char *directory)
{
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    options.directory = directory;
    options.create = false;
    options.read_only = true;
    return options;
}

static void check_refused_beside(const char *directory, const struct owner *owner, pid_t pid)
{
    struct store_options options = onlooker_options(directory);
    struct jini_error error;
    char text[64];
    owner_opens(owner);
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_LOCKED);
    snprintf(text, sizeof(text), "process %d (owner)", (int)pid);
    CHECK_CONTAINS(error.message, text);
    owner_closes(owner);
}

static int count_entry(void *argument, struct slice key, struct slice value)
{
    (void)key;
    (void)value;
    ++*(unsigned *)argument;
    return 0;
}

/* What one that looks on can do while it is alone. */
static void check_reads(struct store *store)
{
    struct jini_error error;
    struct store_figures figures;
    unsigned count = 0;
    CHECK_TEXT(fixture_text(store, "a"), "1");
    CHECK_OK(store_each(store, STORE_SPACE_APPLICATION, slice_of(NULL, 0), slice_of(NULL, 0),
                        count_entry, &count));
    CHECK_UINT(count, >=, 1001);
    CHECK_OK(store_figures(store, &figures));
    CHECK_OK(store_verify(store, NULL, &error));
    store_tick(store);
    CHECK_OK(store_health(store, &error));
}

/* And after somebody has come. */
static void check_reads_nothing(struct store *store, struct store_txn *txn,
                                struct store_cursor *cursor)
{
    struct store_txn *other;
    struct jini_error error;
    uint8_t bytes[100];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct slice key = slice_of_text("a");
    CHECK_STATUS(store_get(txn, STORE_SPACE_APPLICATION, key, &value), JINI_E_POISONED);
    CHECK_STATUS(store_has(txn, STORE_SPACE_APPLICATION, key), JINI_E_POISONED);
    CHECK_STATUS(store_cursor_next(cursor, &value), JINI_E_POISONED);
    CHECK_STATUS(store_read_begin(store, &other), JINI_E_POISONED);
    CHECK_STATUS(store_verify(store, NULL, &error), JINI_E_POISONED);
    CHECK_STATUS(store_copy(store, "copy", STORE_COPY_PLAIN, &error), JINI_E_POISONED);
    CHECK_STATUS(store_health(store, &error), JINI_E_POISONED);
    CHECK_CONTAINS(error.message, "another process has opened");
}

static void check_looks_on(const char *directory, const struct owner *owner, bool closes_again)
{
    struct store_options options = onlooker_options(directory);
    struct store *store = fixture_open_with(&options);
    struct store_txn *txn;
    struct store_cursor cursor;
    check_reads(store);
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_OK(store_cursor_open(txn, STORE_SPACE_APPLICATION, slice_of(NULL, 0), slice_of(NULL, 0),
                               STORE_FORWARD, &cursor));
    CHECK_OK(store_cursor_next(&cursor, NULL));
    owner_opens(owner);
    if (closes_again)
        owner_closes(owner);
    check_reads_nothing(store, txn, &cursor);
    store_cursor_close(&cursor);
    store_read_end(txn);
    store_close(store);
    if (!closes_again)
        owner_closes(owner);
}

/* The tick finds it out too, where nothing is read. */
static void check_tick_finds_out(const char *directory, const struct owner *owner)
{
    struct store_options options = onlooker_options(directory);
    struct store *store = fixture_open_with(&options);
    store_tick(store);
    CHECK_OK(store_health(store, NULL));
    owner_opens(owner);
    store_tick(store);
    CHECK_STATUS(store_health(store, NULL), JINI_E_POISONED);
    owner_closes(owner);
    store_close(store);
}

static void mount_read_only(void)
{
    small_disk_namespace();
    CHECK(mkdir("seen", 0700) == 0);
    if (mount("db", "seen", NULL, MS_BIND, NULL) != 0 ||
        mount(NULL, "seen", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) != 0)
        harness_skip("this machine mounts no directory read-only for a test");
}

TEST(a_live_database_is_not_read_where_nothing_can_be_written,
     "Through a read-only mount a database opens while nobody else has it open, and is "
     "JINI_E_LOCKED beside a process that has. When one opens it later, every read from then on is "
     "refused, also in an open snapshot, and also when that process has gone again.")
{
    struct owner owner;
    pid_t pid = start_owner(&owner);
    mount_read_only();
    check_refused_beside(harness_path("seen"), &owner, pid);
    check_looks_on(harness_path("seen"), &owner, false);
    check_looks_on(harness_path("seen"), &owner, true);
    check_tick_finds_out(harness_path("seen"), &owner);
    fixture_kill(pid);
}

TEST(a_copy_without_a_table_of_processes_is_looked_at_too,
     "A data file alone, where nothing can be written, is read until a process opens it.")
{
    struct owner owner;
    for (int i = 0; i < 2; i++) {
        pid_t pid = start_owner(&owner);
        if (i == 0)
            mount_read_only();
        CHECK(unlink("db/processes") == 0 && unlink("db/lock.mdb") == 0);
        if (i == 1) /* or what a process left that was killed while it made it */
            close(open("db/processes", O_WRONLY | O_CREAT, 0600));
        check_looks_on(harness_path("seen"), &owner, i != 0);
        fixture_kill(pid);
    }
}

static const struct owner *comer; /* who opens the database beside the copy of a case */

static int copy_by_calls(struct driver_txn *reader, enum store_copy_form form, int fd)
{
    CHECK_INT(form, ==, STORE_COPY_PLAIN);
    if (comer)
        owner_opens(comer);
    return driver_lmdb.copy(reader, form, fd);
}

TEST(one_that_looks_on_copies_by_calls_only,
     "Where nothing can be written a copy of either form is made page by page, by calls that no "
     "writer can lead astray; one that a process comes to meanwhile is refused and leaves no file.")
{
    static const enum store_copy_form forms[] = {STORE_COPY_COMPACT, STORE_COPY_PLAIN};
    struct owner owner;
    struct jini_error error;
    pid_t pid = start_owner(&owner);
    mount_read_only();
    CHECK(mkdir("copied", 0700) == 0);
    for (int i = 0; i < 4; i++) {
        struct store_options options = onlooker_options(harness_path("seen"));
        struct store *store = fixture_open_with(&options);
        struct driver_ops ops = *store->ops;
        ops.copy = copy_by_calls;
        store->ops = &ops;
        comer = i >= 2 ? &owner : NULL;
        int status = store_copy(store, "copied/data.mdb", forms[i % 2], &error);
        CHECK_STATUS(status, comer ? JINI_E_POISONED : 0);
        store_close(store);
        if (!comer) {
            options = fixture_options(STORE_DRIVER_LMDB);
            options.directory = harness_path("copied");
            store = fixture_open_with(&options);
            check_reads(store);
            store_close(store);
            CHECK(unlink("copied/data.mdb") == 0);
        } else {
            owner_closes(&owner);
        }
        CHECK(access("copied/data.mdb", F_OK) != 0);
        CHECK(access("copied/data.mdb.jini-partial", F_OK) != 0);
    }
    fixture_kill(pid);
}

static int count_and_let_in(struct driver_txn *reader, enum store_space space, uint64_t *entries,
                            uint64_t *bytes)
{
    int status = driver_lmdb.count(reader, space, entries, bytes);
    owner_opens(comer);
    return status;
}

static int look_and_let_in(struct driver *driver, struct driver_txn *reader, bool walk_free_list,
                           struct driver_figures *out)
{
    int status = driver_lmdb.figures(driver, reader, walk_free_list, out);
    owner_opens(comer);
    return status;
}

TEST(numbers_that_one_who_looks_on_has_read_are_confirmed,
     "A count or figures that somebody comes beside are not answered, but refused like any read.")
{
    struct owner owner;
    pid_t pid = start_owner(&owner);
    mount_read_only();
    comer = &owner;
    for (int i = 0; i < 2; i++) {
        struct store_options options = onlooker_options(harness_path("seen"));
        struct store *store = fixture_open_with(&options);
        struct driver_ops ops = *store->ops;
        struct store_figures figures;
        uint64_t entries;
        CHECK_OK(store_count(store, STORE_SPACE_APPLICATION, &entries));
        CHECK_UINT(entries, >=, 1001);
        CHECK_OK(store_figures(store, &figures));
        ops.count = count_and_let_in;
        ops.figures = look_and_let_in;
        store->ops = &ops;
        if (i == 0) {
            CHECK_STATUS(store_count(store, STORE_SPACE_APPLICATION, &entries), JINI_E_POISONED);
            CHECK_UINT(entries, ==, 0);
        } else {
            CHECK_STATUS(store_figures(store, &figures), JINI_E_POISONED);
        }
        store_close(store);
        owner_closes(&owner);
    }
    fixture_kill(pid);
}

struct stranger {
    const struct owner *owner;
    pid_t owner_pid;
};

/* As a user with the right to read, and no other. */
static void look_on_as_nobody(void *argument)
{
    const struct stranger *stranger = argument;
    const char *db = harness_path("db");
    if (setgid(65534) != 0 || setuid(65534) != 0)
        _exit(77);
    if (access(db, R_OK | X_OK) != 0)
        _exit(77); /* a folder above it is closed to others */
    CHECK(access("db", W_OK) != 0);
    check_refused_beside(db, stranger->owner, stranger->owner_pid);
    check_looks_on(db, stranger->owner, false);
    check_tick_finds_out(db, stranger->owner);
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    struct jini_error error;
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_IO); /* for writing it is no way in */
}

TEST(a_user_who_may_only_read_reads_a_database_that_nobody_uses,
     "A user with no right but to read opens an idle database read-only, is JINI_E_LOCKED beside "
     "its owner, and reads nothing more once the owner has come.")
{
    struct owner owner;
    int status;
    if (geteuid() != 0)
        harness_skip("only root can become another user");
    pid_t pid = start_owner(&owner);
    CHECK(chmod(".", 0755) == 0 && chmod("db", 0755) == 0);
    CHECK(chmod("db/data.mdb", 0644) == 0 && chmod("db/processes", 0644) == 0);
    struct stranger stranger = {&owner, pid};
    pid_t child = fixture_spawn(look_on_as_nobody, &stranger);
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    fixture_kill(pid);
    if (WEXITSTATUS(status) == 77)
        harness_skip("this machine lets no other user read the files of a test");
    CHECK_INT(WEXITSTATUS(status), ==, 0);
}

TEST(what_a_user_may_not_read_is_told,
     "A user who may not even read the table of processes cannot tell whether he is alone, and is "
     "refused.")
{
    struct store_options options = onlooker_options(harness_path("db"));
    struct jini_error error;
    store_close(fixture_open(STORE_DRIVER_LMDB));
    CHECK(chmod(".", 0755) == 0 && chmod("db", 0755) == 0 && chmod("db/data.mdb", 0644) == 0);
    CHECK(chmod("db/processes", 0) == 0);
    if (geteuid() == 0 && seteuid(65534) != 0)
        harness_skip("root, and cannot become anybody else");
    CHECK_STATUS(fixture_refused(&options, &error), JINI_E_IO);
    CHECK_CONTAINS(error.message, "Permission denied");
    CHECK(seteuid(getuid()) == 0);
}

/* ---- Containers ---- */

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
