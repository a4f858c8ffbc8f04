/*
 * The main of a fuzz target in builds without libFuzzer: runs every seed, then mutations of seeds
 * for some time. It knows nothing of coverage; it keeps targets building and catches what a little
 * noise catches.
 *
 *     fuzz-SUBJECT [--seconds N] [--artifacts PREFIX] [FILE or FOLDER]...
 *
 * A child does the work, on an input that stands in memory shared with its parent, so that the
 * parent can keep the input which killed it. JINI_TEST_SEED=N repeats a run.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { INPUT_MAX = 1 << 20, SEEDS_MAX = 4096, GROWN_MAX = 4096 };

/* The input at work, seen by parent and child. */
struct shared_input {
    size_t length;
    uint8_t bytes[INPUT_MAX];
};

struct seed_file {
    uint8_t *bytes;
    size_t length;
};

static struct shared_input *input;
static struct seed_file seeds[SEEDS_MAX];
static size_t seed_count;
static uint64_t random_state;

static uint64_t random_word(void)
{
    uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static size_t random_below(size_t bound)
{
    return bound ? (size_t)(random_word() % bound) : 0;
}

static void add_seed_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(2);
    }
    struct seed_file *seed = &seeds[seed_count];
    seed->bytes = malloc(INPUT_MAX);
    if (!seed->bytes)
        abort();
    seed->length = fread(seed->bytes, 1, INPUT_MAX, file);
    fclose(file);
    uint8_t *fitted = realloc(seed->bytes, seed->length ? seed->length : 1);
    seed->bytes = fitted ? fitted : seed->bytes;
    seed_count++;
}

static void add_seeds(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        perror(path);
        exit(2);
    }
    if (!S_ISDIR(info.st_mode)) {
        if (seed_count < SEEDS_MAX)
            add_seed_file(path);
        return;
    }
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.' && seed_count < SEEDS_MAX) {
            char name[4096];
            snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
            add_seed_file(name);
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static void erase(size_t at, size_t length)
{
    memmove(input->bytes + at, input->bytes + at + length, input->length - at - length);
    input->length -= length;
}

static void insert(size_t at, const uint8_t *bytes, size_t length)
{
    if (input->length + length > GROWN_MAX)
        return;
    memmove(input->bytes + at + length, input->bytes + at, input->length - at);
    memcpy(input->bytes + at, bytes, length);
    input->length += length;
}

static void mutate_once(void)
{
    static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff, '0', '9', ' ', '/', '-'};
    size_t at = random_below(input->length);
    uint8_t noise[16];
    uint64_t word = random_word();
    memcpy(noise, &word, sizeof(word));
    memset(noise + sizeof(word), edges[random_below(sizeof(edges))], sizeof(noise) - sizeof(word));
    size_t left = input->length - at;
    switch (random_below(left ? 7 : 1)) {
    case 0:
        insert(at, noise, random_below(sizeof(noise)));
        break;
    case 1:
        input->bytes[at] ^= (uint8_t)(1u << random_below(8));
        break;
    case 2:
        input->bytes[at] = edges[random_below(sizeof(edges))];
        break;
    case 3:
        input->bytes[at] = (uint8_t)(input->bytes[at] + random_below(9) - 4);
        break;
    case 4:
        erase(at, random_below(left < 16 ? left + 1 : 16));
        break;
    case 5:
        input->length = at;
        break;
    default:
        if (seed_count) {
            const struct seed_file *other = &seeds[random_below(seed_count)];
            size_t from = random_below(other->length);
            size_t length = random_below(other->length - from + 1);
            insert(at, other->bytes + from, length < 64 ? length : 64);
        }
    }
}

static void load(const struct seed_file *seed)
{
    memcpy(input->bytes, seed->bytes, seed->length);
    input->length = seed->length;
}

/* The target gets a copy of exactly its size, so that a sanitizer sees a read past its end. */
static void run_target(void)
{
    uint8_t *copy = malloc(input->length ? input->length : 1);
    if (!copy)
        abort();
    memcpy(copy, input->bytes, input->length);
    LLVMFuzzerTestOneInput(copy, input->length);
    free(copy);
}

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void work(double seconds)
{
    for (size_t i = 0; i < seed_count; i++) {
        load(&seeds[i]);
        run_target();
    }
    uint64_t runs = 0;
    for (double end = now_s() + seconds; now_s() < end;) {
        for (int i = 0; i < 64; i++, runs++) {
            input->length = 0;
            if (seed_count && random_below(16))
                load(&seeds[random_below(seed_count)]);
            for (size_t mutations = 1 + random_below(8); mutations > 0; mutations--)
                mutate_once();
            run_target();
        }
    }
    printf("%zu seeds and %" PRIu64 " mutations\n", seed_count, runs);
    fflush(stdout);
}

static int keep_input(const char *prefix, uint64_t seed)
{
    char path[4096];
    snprintf(path, sizeof(path), "%scrash-%" PRIu64, prefix, seed);
    FILE *file = fopen(path, "wb");
    if (file) {
        fwrite(input->bytes, 1, input->length, file);
        fclose(file);
    }
    fprintf(stderr, "the input is kept as %s; JINI_TEST_SEED=%" PRIu64 " repeats the run\n", path,
            seed);
    return 1;
}

int main(int argc, char **argv)
{
    double seconds = 0;
    const char *artifacts = "./";
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = strtod(argv[++i], NULL);
        else if (strcmp(argv[i], "--artifacts") == 0 && i + 1 < argc)
            artifacts = argv[++i];
        else
            add_seeds(argv[i]);
    }
    uint64_t seed;
    const char *text = getenv("JINI_TEST_SEED");
    if (text)
        seed = strtoull(text, NULL, 10);
    else if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        seed = (uint64_t)time(NULL);
    random_state = seed;
    input = mmap(NULL, sizeof(*input), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (input == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        return 2;
    }
    if (pid == 0) {
        work(seconds);
        exit(0);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return keep_input(artifacts, seed);
}
