/*
 * Power loss around what is given out as a file: a copy of a database in use, and an image that
 * `jini get -o` writes, new or in place of another file. What was acknowledged stands there whole;
 * before that a file is as it was, or as it will be, or not there.
 */
#include "engine_fixture.h"
#include "faults.h"
#include "powerloss.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MIXTURES = 4, FILE_BYTES_MAX = 1 << 20 };

/* A file that is made while the log is written. */
struct given_file {
    const char *path; /* below the recorded root */
    const char *mark; /* from which on it is there */
    bool replaces;    /* a file of before */
};

static const char before[] = "what stood there before";

static const struct given_file copied = {"copies/data.mdb", "copied", false};
static const struct given_file got = {"got/new.png", "got", false};
static const struct given_file replaced = {"got/old.png", "replaced", true};

static const char *root_path(const char *path)
{
    return harness_path("root/%s", path);
}

/* ---- What is recorded ---- */

static void run_get(const char *program, const char *id, const char *to, bool force)
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        setenv("LD_PRELOAD", fault_library(), 1);
        close(STDOUT_FILENO); /* it says what it wrote */
        CHECK_INT(open("/dev/null", O_WRONLY), ==, STDOUT_FILENO);
        execl(program, program, "get", "--db", fixture_db(), id, "-o", to,
              force ? "--force" : (char *)NULL, (char *)NULL);
        _exit(99);
    }
    harness_wait_exit(pid, 0);
}

/* The command, which is built beside this test. */
static const char *find_program(void)
{
    static char path[PATH_MAX + sizeof("jini")];
    CHECK_INT(readlink("/proc/self/exe", path, PATH_MAX), >, 0);
    memcpy(strrchr(path, '/') + 1, "jini", sizeof("jini"));
    return path;
}

static void write_before(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK_INT(write(fd, before, sizeof(before)), ==, sizeof(before));
    CHECK_INT(close(fd), ==, 0);
}

static struct jini_id make_database(void)
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id id = fixture_put(jini, user, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
    return id;
}

static void start_recording(const char *swallow)
{
    fault_attach(harness_path("control"));
    CHECK_INT(mkdir(harness_path("root"), 0700), ==, 0);
    CHECK_INT(mkdir(root_path("copies"), 0700), ==, 0);
    CHECK_INT(mkdir(root_path("got"), 0700), ==, 0);
    write_before(root_path(replaced.path));
    fault_record_start(harness_path("root"), harness_path("log"));
    fault_swallow_syncs(swallow);
}

static void stop_recording(const char *swallow)
{
    if (swallow)
        CHECK_UINT(fault_swallowed(), >, 0);
    fault_swallow_syncs(NULL);
    fault_record_stop();
}

static void record_copy(const char *swallow)
{
    struct jini_error error;
    make_database();
    start_recording(swallow);
    struct jini *jini = fixture_open();
    CHECK_OK(jini_copy(jini, root_path(copied.path), JINI_COPY_PLAIN, &error));
    fault_mark("%s", copied.mark);
    CHECK_OK(jini_close(jini, NULL, NULL));
    stop_recording(swallow);
}

static void record_gets(const char *swallow)
{
    char id[JINI_ID_TEXT_MAX];
    if (harness_sanitized())
        harness_skip("a sanitizer wants to be the first library, which LD_PRELOAD takes from it");
    const char *program = find_program();
    struct jini_id image = make_database();
    jini_id_format(&image, id);
    start_recording(swallow);
    run_get(program, id, root_path(got.path), false);
    fault_mark("%s", got.mark);
    run_get(program, id, root_path(replaced.path), true);
    fault_mark("%s", replaced.mark);
    stop_recording(swallow);
}

/* ---- What an image must hold ---- */

/* The bytes of a file, in one of two buffers; a length of SIZE_MAX when there is none. */
static const uint8_t *load(const char *path, size_t *length)
{
    static uint8_t buffers[2][FILE_BYTES_MAX];
    static unsigned turn;
    uint8_t *bytes = buffers[turn++ % 2];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *length = SIZE_MAX;
    if (fd < 0)
        return bytes;
    ssize_t got_bytes = read(fd, bytes, FILE_BYTES_MAX);
    CHECK_INT(got_bytes, >=, 0);
    CHECK_INT(got_bytes, <, FILE_BYTES_MAX);
    close(fd);
    *length = (size_t)got_bytes;
    return bytes;
}

static bool is_as_it_must_be(const char *image, const struct given_file *file, bool acknowledged)
{
    char path[PATH_MAX];
    size_t length;
    size_t wanted_length;
    snprintf(path, sizeof(path), "%s/%s", image, file->path);
    const uint8_t *bytes = load(path, &length);
    const uint8_t *wanted = load(root_path(file->path), &wanted_length);
    CHECK_UINT(wanted_length, <, FILE_BYTES_MAX);
    if (length == wanted_length && memcmp(bytes, wanted, length) == 0)
        return true;
    if (acknowledged)
        return false;
    if (file->replaces)
        return length == sizeof(before) && memcmp(bytes, before, length) == 0;
    return length == SIZE_MAX;
}

/* How many images have a file that is not as it must be. */
static unsigned look(const struct given_file *const *files, unsigned count)
{
    struct powerloss *loss = powerloss_open(harness_path("log"));
    bool acknowledged[2] = {false, false};
    unsigned images = 0;
    unsigned lost = 0;
    char image[600];
    snprintf(image, sizeof(image), "%s/image", harness_fast_directory(64 << 20));
    for (size_t cut = powerloss_first_cut(loss); cut <= powerloss_last_cut(loss); cut++) {
        const char *mark = powerloss_mark(loss, cut);
        for (unsigned i = 0; i < count; i++)
            acknowledged[i] |= mark && strcmp(mark, files[i]->mark) == 0;
        for (unsigned i = 0; i < MIXTURES; i++, images++) {
            powerloss_build(loss, cut, i < 2 ? i : harness_random(), image);
            for (unsigned f = 0; f < count; f++)
                lost += !is_as_it_must_be(image, files[f], acknowledged[f]);
        }
    }
    for (unsigned i = 0; i < count; i++)
        CHECK(acknowledged[i]);
    printf("     %u images, %u times something was lost\n", images, lost);
    powerloss_close(loss);
    return lost;
}

static const struct given_file *const copies[] = {&copied};
static const struct given_file *const gets[] = {&got, &replaced};

TEST(a_copy_survives_a_power_loss,
     "A copy of a database that was acknowledged is there, with all its bytes.")
{
    record_copy(NULL);
    CHECK_UINT(look(copies, 1), ==, 0);
}

TEST(a_file_from_get_survives_a_power_loss,
     "A file that `jini get` has written is there, with all its bytes; one that it replaces is old "
     "or new.")
{
    record_gets(NULL);
    CHECK_UINT(look(gets, 2), ==, 0);
}

#define PLANTED(name, record, files, count, pattern, sentence)                                     \
    TEST(name, sentence)                                                                           \
    {                                                                                              \
        record(pattern);                                                                           \
        CHECK_UINT(look(files, count), >, 0);                                                      \
    }

PLANTED(a_missing_sync_of_a_copy_is_caught, record_copy, copies, 1, "copies/*",
        "With the syncs of a copy left out, some image has lost it.")
PLANTED(a_missing_sync_of_the_folder_of_a_copy_is_caught, record_copy, copies, 1, "copies/",
        "With the syncs of its folder left out, some image has lost it.")
PLANTED(a_missing_sync_of_a_file_from_get_is_caught, record_gets, gets, 2, "got/*",
        "With the syncs of the files of `jini get` left out, some image has lost one.")
PLANTED(a_missing_sync_of_the_folder_of_get_is_caught, record_gets, gets, 2, "got/",
        "With the syncs of their folder left out, some image has lost one.")
