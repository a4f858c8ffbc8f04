/* Change words: caches of what is stored, kept true over all processes. */
#include "fixture.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { WORD = 77 };

struct marked {
    uint32_t word;
    uint32_t words; /* how many, from `word` on */
    uint64_t value;
    int status;
    size_t bytes; /* beside the number, to make the file grow */
};

static int op_marked(struct store_txn *txn, void *argument)
{
    static const uint8_t zeros[STORE_VALUE_MAX];
    const struct marked *marked = argument;
    for (uint32_t i = 0; i < marked->words; i++)
        store_mark_changed(txn, marked->word + i);
    if (marked->status)
        return marked->status;
    for (uint64_t i = 0; i < marked->bytes / sizeof(zeros); i++) {
        uint8_t key[8];
        CHECK_OK(store_put(txn, STORE_SPACE_JOBS, fixture_number_key(key, i),
                           slice_of(zeros, sizeof(zeros))));
    }
    return fixture_put_number(txn, STORE_SPACE_APPLICATION, marked->word, marked->value);
}

static void write_marked(struct store *store, uint64_t value)
{
    struct marked marked = {WORD, 1, value, 0, 0};
    CHECK_OK(store_write(store, op_marked, &marked));
}

STORE_TEST(a_word_moves_with_each_change,
           "A commit moves the words that its ops marked, and no other.")
{
    struct store *store = fixture_open(driver);
    CHECK_UINT(store_change_word(store, WORD) & 1, ==, 0);
    for (uint64_t i = 0; i < 10; i++) {
        uint64_t before = store_change_word(store, WORD);
        uint64_t other = store_change_word(store, WORD + 1);
        write_marked(store, i);
        CHECK_UINT(store_change_word(store, WORD), ==, before + 2);
        CHECK_UINT(store_change_word(store, WORD + 1), ==, other);
    }
    uint64_t before = store_change_word(store, WORD);
    fixture_put(store, "unmarked", "1");
    CHECK_UINT(store_change_word(store, WORD), ==, before);
    store_close(store);
}

STORE_TEST(a_failed_op_moves_no_word, "An op that marks a word, fails and is alone moves nothing.")
{
    struct store *store = fixture_open(driver);
    uint64_t before = store_change_word(store, WORD);
    struct marked marked = {WORD, 1, 1, JINI_E_CONFLICT, 0};
    CHECK_STATUS(store_write(store, op_marked, &marked), JINI_E_CONFLICT);
    CHECK_UINT(store_change_word(store, WORD), ==, before);
    store_close(store);
}

STORE_TEST(many_marks_move_all_words,
           "More marks than a commit keeps apart move every word, and leave all of them even.")
{
    struct store *store = fixture_open(driver);
    struct marked marked = {0, 600, 1, 0, 0};
    CHECK_OK(store_write(store, op_marked, &marked));
    for (uint32_t i = 0; i < STORE_CHANGE_WORDS; i++)
        CHECK_UINT(store_change_word(store, i), ==, 2);
    marked.words = 3;
    CHECK_OK(store_write(store, op_marked, &marked));
    CHECK_UINT(store_change_word(store, 2), ==, 4);
    CHECK_UINT(store_change_word(store, 3), ==, 2);
    store_close(store);
}

/* A cache as the header of the store describes it. */
struct cache {
    bool filled;
    uint64_t word;
    uint64_t value;
    uint64_t hits;
    uint64_t odd;
};

/* Fills the cache or, while its word stands, compares it with the store. */
static void use_cache(struct store *store, struct cache *cache)
{
    uint64_t word = store_change_word(store, WORD);
    uint64_t value = fixture_number(store, WORD);
    if (word & 1) {
        cache->odd++;
        cache->filled = false;
        return;
    }
    if (!cache->filled || cache->word != word) {
        *cache = (struct cache){true, word, value, cache->hits, cache->odd};
        return;
    }
    if (store_change_word(store, WORD) != word)
        return;
    CHECK_UINT(cache->value, ==, value);
    cache->hits++;
}

struct user {
    struct store *store;
    _Atomic bool stop;
    struct cache cache;
};

static void *use_all_the_time(void *argument)
{
    struct user *user = argument;
    while (!atomic_load(&user->stop))
        use_cache(user->store, &user->cache);
    return NULL;
}

STORE_TEST(a_cache_is_true_while_its_word_stands,
           "With a writer and readers in threads, a copy whose word stands equals what is stored.")
{
    struct store *store = fixture_open(driver);
    struct user users[3] = {{.store = store}, {.store = store}, {.store = store}};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, use_all_the_time, &users[i]) == 0);
    for (uint64_t i = 1; i <= 1000; i++)
        write_marked(store, i);
    for (int i = 0; i < 3; i++) {
        atomic_store(&users[i].stop, true);
        pthread_join(threads[i], NULL);
    }
    store_close(store);
}

/* ---- Writers that are killed ---- */

struct actors {
    struct fixture_flag ready;
    struct fixture_flag go;
    struct fixture_flag inherit;
    struct fixture_flag end;
};

/* Dies of SIGXFSZ while LMDB writes its pages: between the two settings of its words. */
static void die_in_commit(void *argument)
{
    struct actors *actors = argument;
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct stat info;
    fixture_raise(actors->ready);
    fixture_await(actors->go);
    CHECK(stat("db/data.mdb", &info) == 0);
    struct rlimit limit = {(rlim_t)info.st_size, (rlim_t)info.st_size};
    signal(SIGXFSZ, SIG_DFL);
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    struct marked marked = {WORD, 1, 666, 0, 4 << 20};
    (void)store_write(store, op_marked, &marked);
}

static void wait_killed(pid_t pid, int signal_number)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == signal_number);
}

static void open_and_wait(void *argument)
{
    struct actors *actors = argument;
    fixture_await(actors->inherit);
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    fixture_raise(actors->ready);
    fixture_await(actors->end);
    store_close(store);
}

TEST(
    a_writer_killed_in_the_middle_leaves_its_word_odd_until_the_next,
    "Readers read through an odd word; the next writer of any process sets it right, also when the "
    "dead one's place has a new owner.")
{
    struct actors actors = {fixture_flag(), fixture_flag(), fixture_flag(), fixture_flag()};
    struct cache cache = {0};
    store_close(fixture_open(STORE_DRIVER_LMDB));
    pid_t doomed = fixture_spawn(die_in_commit, &actors);
    pid_t heir = fixture_spawn(open_and_wait, &actors);
    fixture_await(actors.ready);
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    write_marked(store, 1);
    use_cache(store, &cache);
    CHECK(cache.filled);
    uint64_t before = store_change_word(store, WORD);
    fixture_raise(actors.go);
    wait_killed(doomed, SIGXFSZ);
    CHECK_UINT(store_change_word(store, WORD), ==, before + 1);
    use_cache(store, &cache);
    CHECK(!cache.filled);
    CHECK_UINT(fixture_number(store, WORD), ==, 1);

    fixture_raise(actors.inherit); /* the heir gets the slot of the dead */
    fixture_await(actors.ready);
    CHECK_UINT(store_change_word(store, WORD) & 1, ==, 1);
    fixture_put(store, "unmarked", "1");
    CHECK_UINT(store_change_word(store, WORD), ==, before + 2);
    use_cache(store, &cache);
    CHECK(cache.filled);
    fixture_raise(actors.end);
    harness_wait_exit(heir, 0);
    write_marked(store, 2);
    CHECK_UINT(store_change_word(store, WORD), ==, before + 4);
    store_close(store);
}

static void write_until_killed(void *argument)
{
    (void)argument;
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    for (uint64_t i = (uint64_t)getpid() << 32;; i++)
        write_marked(store, i);
}

/* Starts writers and kills them, two at a time, so that one takes over from the other. */
static void kill_writers(void *argument)
{
    const unsigned *rounds = argument;
    pid_t pids[2] = {fixture_spawn(write_until_killed, NULL),
                     fixture_spawn(write_until_killed, NULL)};
    for (unsigned i = 0; i < *rounds; i++) {
        struct timespec pause = {.tv_nsec = (long)harness_random_below(15000000)};
        nanosleep(&pause, NULL);
        fixture_kill(pids[i % 2]);
        pids[i % 2] = fixture_spawn(write_until_killed, NULL);
    }
    fixture_kill(pids[0]);
    fixture_kill(pids[1]);
}

TEST(
    caches_stay_true_while_writers_are_killed,
    "Over hundreds of writers killed at random, a copy never differs from the store while its even "
    "word stands, and the next writer leaves no word odd.")
{
    unsigned rounds = (harness_sanitized() ? 30 : 150) * harness_scale();
    store_close(fixture_open(STORE_DRIVER_LMDB));
    pid_t killer = fixture_spawn(kill_writers, &rounds);
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    struct cache cache = {0};
    int status;
    while (waitpid(killer, &status, WNOHANG) == 0) {
        for (int i = 0; i < 100; i++)
            use_cache(store, &cache);
    }
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    printf("     %" PRIu64 " hits, %" PRIu64 " times odd\n", cache.hits, cache.odd);
    CHECK_UINT(cache.hits, >, 0);
    fixture_put(store, "unmarked", "1");
    for (uint32_t i = 0; i < STORE_CHANGE_WORDS; i++)
        CHECK_UINT(store_change_word(store, i) & 1, ==, 0);
    store_close(store);
}
