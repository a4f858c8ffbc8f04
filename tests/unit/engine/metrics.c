/*
 * Figures: the text is Prometheus text (exposition format 0.0.4), and says what an operator has to
 * know.
 */
#include "engine_fixture.h"

#include <ctype.h>
#include <math.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 17, FAMILIES_MAX = 256 };

/* A metric with its HELP and TYPE, and what its samples added up to. */
struct family {
    char name[96];
    char type[16];
    unsigned samples;
    double last_bucket;
    double last_bound;
    double infinite; /* the bucket +Inf */
    double count;
    bool has_infinite;
    bool has_sum;
    bool has_count;
};

struct page {
    char text[TEXT_MAX];
    struct family families[FAMILIES_MAX];
    unsigned count;
};

static struct page page;

static size_t name_length(const char *text)
{
    size_t length = 0;
    if (!isalpha((unsigned char)text[0]) && text[0] != '_')
        return 0;
    while (isalnum((unsigned char)text[length]) || text[length] == '_' || text[length] == ':')
        length++;
    return length;
}

/* HELP comes first and opens a family that was not there yet; TYPE follows for the same name. */
static void parse_comment(const char *line)
{
    char kind[8];
    char name[96];
    int used = 0;
    CHECK_INT(sscanf(line, "# %7s %95s %n", kind, name, &used), ==, 2);
    CHECK_UINT(name_length(name), ==, strlen(name));
    CHECK(line[used] != '\0');
    if (strcmp(kind, "HELP") == 0) {
        for (unsigned i = 0; i < page.count; i++)
            CHECK(strcmp(page.families[i].name, name) != 0);
        CHECK_UINT(page.count, <, FAMILIES_MAX);
        struct family *family = &page.families[page.count++];
        *family = (struct family){.last_bound = -INFINITY};
        snprintf(family->name, sizeof(family->name), "%s", name);
        return;
    }
    CHECK_TEXT(kind, "TYPE");
    CHECK_UINT(page.count, >, 0);
    struct family *family = &page.families[page.count - 1];
    CHECK_TEXT(name, family->name);
    CHECK(family->type[0] == '\0' && family->samples == 0);
    snprintf(family->type, sizeof(family->type), "%s", line + used);
    CHECK(strcmp(family->type, "counter") == 0 || strcmp(family->type, "gauge") == 0 ||
          strcmp(family->type, "histogram") == 0);
}

/* `{name="value",...}`; the value of le goes to `bound`. */
static const char *parse_labels(const char *at, double *bound)
{
    CHECK_INT(*at++, ==, '{');
    for (;;) {
        size_t length = name_length(at);
        CHECK_UINT(length, >, 0);
        bool is_bound = length == 2 && memcmp(at, "le", 2) == 0;
        at += length;
        CHECK_INT(*at++, ==, '=');
        CHECK_INT(*at++, ==, '"');
        if (is_bound)
            *bound = strncmp(at, "+Inf", 4) == 0 ? INFINITY : strtod(at, NULL);
        while (*at && *at != '"')
            at += *at == '\\' && at[1] ? 2 : 1;
        CHECK_INT(*at++, ==, '"');
        if (*at == '}')
            return at + 1;
        CHECK_INT(*at++, ==, ',');
    }
}

static void add_to_histogram(struct family *family, const char *suffix, double bound, double value)
{
    if (strcmp(suffix, "_bucket") == 0) {
        CHECK(bound > family->last_bound);
        CHECK(value >= family->last_bucket);
        family->last_bound = bound;
        family->last_bucket = value;
        family->has_infinite = isinf(bound);
        family->infinite = value;
    } else if (strcmp(suffix, "_sum") == 0) {
        family->has_sum = true;
    } else {
        CHECK_TEXT(suffix, "_count");
        family->has_count = true;
        family->count = value;
    }
}

static void parse_sample(const char *line)
{
    CHECK_UINT(page.count, >, 0);
    struct family *family = &page.families[page.count - 1];
    char name[128];
    size_t length = name_length(line);
    CHECK_UINT(length, <, sizeof(name));
    CHECK_UINT(length, >=, strlen(family->name));
    memcpy(name, line, length);
    name[length] = '\0';
    CHECK_INT(strncmp(name, family->name, strlen(family->name)), ==, 0);
    const char *at = line + length;
    double bound = -INFINITY;
    if (*at == '{')
        at = parse_labels(at, &bound);
    CHECK_INT(*at++, ==, ' ');
    char *end;
    double value = strtod(at, &end);
    CHECK(end != at && *end == '\0');
    CHECK(isfinite(value) && value >= 0);
    family->samples++;
    const char *suffix = name + strlen(family->name);
    if (strcmp(family->type, "histogram") == 0)
        add_to_histogram(family, suffix, bound, value);
    else
        CHECK_TEXT(suffix, "");
    if (strcmp(family->type, "counter") == 0)
        CHECK(strstr(family->name, "_total") != NULL);
}

static void parse_page(void)
{
    size_t length = strlen(page.text);
    CHECK_UINT(length, >, 0);
    CHECK_INT(page.text[length - 1], ==, '\n');
    static char copy[TEXT_MAX];
    memcpy(copy, page.text, length + 1);
    page.count = 0;
    for (char *line = copy, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        if (line[0] == '#')
            parse_comment(line);
        else
            parse_sample(line);
    }
    for (unsigned i = 0; i < page.count; i++) {
        const struct family *family = &page.families[i];
        CHECK(family->type[0] != '\0');
        if (strcmp(family->type, "histogram") != 0)
            continue;
        CHECK(family->has_infinite && family->has_sum && family->has_count);
        CHECK(family->infinite == family->count);
    }
}

static void take(struct jini *jini)
{
    size_t length;
    struct jini_error error;
    CHECK_OK(jini_metrics(jini, page.text, sizeof(page.text), &length, &error));
    CHECK_UINT(length, ==, strlen(page.text));
    parse_page();
}

static const struct family *find(const char *name)
{
    for (unsigned i = 0; i < page.count; i++) {
        if (strcmp(page.families[i].name, name) == 0)
            return &page.families[i];
    }
    harness_fail(__FILE__, __LINE__, "there is no metric %s", name);
    return NULL;
}

/* The value of the sample that begins with these words, which must be there. */
static double value_of(const char *sample)
{
    char wanted[160];
    snprintf(wanted, sizeof(wanted), "\n%s ", sample);
    const char *at = strstr(page.text, wanted);
    if (!at)
        harness_fail(__FILE__, __LINE__, "there is no sample %s", sample);
    return strtod(at + strlen(wanted), NULL);
}

static int put_value(struct jini_txn *txn, void *argument)
{
    return jini_txn_put(txn, argument, strlen(argument), "value", 5);
}

static int write_key(struct jini *jini, const char *key)
{
    struct jini_write write;
    char copy[64];
    snprintf(copy, sizeof(copy), "%s", key);
    jini_request_init(&write);
    write.function = put_value;
    write.argument = copy;
    return jini_write(jini, &write, NULL);
}

TEST(figures_are_prometheus_text,
     "A fresh and a used engine write text that a strict reader takes.")
{
    struct jini *jini = fixture_open();
    take(jini);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id id = fixture_put(jini, user, 1);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    CHECK_OK(fixture_get(jini, &id, 1));
    take(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(what_operators_need_is_there,
     "Map, pages, readers, commits, queue, locks and requests are told.")
{
    static const struct {
        const char *name;
        const char *type;
    } wanted[] = {
        {"jini_store_map_bytes", "gauge"},
        {"jini_store_used_bytes", "gauge"},
        {"jini_store_free_pages", "gauge"},
        {"jini_store_readers", "gauge"},
        {"jini_store_oldest_reader_lag_commits", "gauge"},
        {"jini_store_commit_seconds", "histogram"},
        {"jini_store_batch_ops", "histogram"},
        {"jini_store_pages_per_op", "gauge"},
        {"jini_write_lock_held_seconds", "gauge"},
        {"jini_write_lock_waiting_seconds", "gauge"},
        {"jini_store_lock_wait_microseconds_total", "counter"},
        {"jini_store_queue_ops", "gauge"},
        {"jini_requests_total", "counter"},
        {"jini_requests_active", "gauge"},
    };
    struct jini *jini = fixture_open();
    CHECK_OK(write_key(jini, "a"));
    take(jini);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        CHECK_TEXT(find(wanted[i].name)->type, wanted[i].type);
    CHECK(value_of("jini_store_used_bytes") > 0);
    CHECK(value_of("jini_store_map_bytes") >= value_of("jini_store_used_bytes"));
    CHECK(value_of("jini_store_commit_seconds_count") >= 1);
    CHECK(value_of("jini_store_pages_per_op") > 0);
    CHECK(value_of("jini_processes") == 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(requests_are_counted_by_kind_and_status,
     "Each request that was taken is counted once, under its kind, with the status of its end.")
{
    struct jini *jini = fixture_open();
    take(jini);
    CHECK(value_of("jini_requests_total{kind=\"write\",status=\"OK\"}") == 0);
    CHECK_OK(write_key(jini, "a"));
    CHECK_OK(write_key(jini, "b"));
    CHECK_STATUS(write_key(jini, ""), JINI_E_INVALID);
    fixture_user(jini, "alice", "Free");
    struct jini_settle settle;
    jini_request_init(&settle);
    CHECK_STATUS(jini_settle(jini, &settle, NULL), JINI_E_NOT_FOUND);
    struct jini_admit admit;
    jini_request_init(&admit);
    CHECK_STATUS(jini_admit(jini, &admit, NULL), JINI_E_INVALID);
    take(jini);
    CHECK(value_of("jini_requests_total{kind=\"write\",status=\"OK\"}") == 2);
    CHECK(value_of("jini_requests_total{kind=\"write\",status=\"E_INVALID\"}") == 1);
    CHECK(value_of("jini_requests_total{kind=\"user_add\",status=\"OK\"}") == 1);
    CHECK(value_of("jini_requests_total{kind=\"settle\",status=\"E_NOT_FOUND\"}") == 1);
    CHECK(value_of("jini_requests_total{kind=\"admit\",status=\"E_INVALID\"}") == 1);
    CHECK(value_of("jini_requests_total{kind=\"admit\",status=\"OK\"}") == 0);
    /* A blocking request is counted down a moment after its caller goes on. */
    for (int i = 0; i < 1000 && value_of("jini_requests_active") > 0; i++) {
        usleep(1000);
        take(jini);
    }
    CHECK(value_of("jini_requests_active") == 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static int answer_oddly(struct jini_txn *txn, void *argument)
{
    (void)txn;
    return *(int *)argument;
}

TEST(a_status_of_the_callers_own_is_counted_apart,
     "A function may end with a status that the table does not have; it is counted as unknown.")
{
    struct jini *jini = fixture_open();
    static int odd[] = {-63, -1000, INT32_MIN};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct jini_write write;
        jini_request_init(&write);
        write.function = answer_oddly;
        write.argument = &odd[i];
        CHECK_INT(jini_write(jini, &write, NULL), ==, odd[i]);
    }
    take(jini);
    CHECK(value_of("jini_requests_total{kind=\"write\",status=\"E_UNKNOWN\"}") == 3);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(the_writes_of_commits_add_up,
     "The histogram of writes by commit counts those that were committed, in its sum as in its "
     "buckets: none that failed, and none of a batch that wrote nothing.")
{
    struct jini *jini = fixture_open();
    int nothing = 0;
    take(jini);
    double commits = value_of("jini_store_batch_ops_count");
    double ones = value_of("jini_store_batch_ops_bucket{le=\"1\"}");
    double writes = value_of("jini_store_batch_ops_sum");
    double all = value_of("jini_store_ops_total");
    for (int i = 0; i < 3; i++) {
        struct jini_write write;
        jini_request_init(&write);
        write.function = answer_oddly;
        write.argument = &nothing;
        CHECK_OK(write_key(jini, "a"));
        CHECK_STATUS(write_key(jini, ""), JINI_E_INVALID);
        CHECK_OK(jini_write(jini, &write, NULL));
    }
    take(jini);
    CHECK(value_of("jini_store_ops_total") == all + 9);
    CHECK(value_of("jini_store_batch_ops_count") == commits + 3);
    CHECK(value_of("jini_store_batch_ops_bucket{le=\"1\"}") == ones + 3);
    CHECK(value_of("jini_store_batch_ops_sum") == writes + 3);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

struct inside {
    struct jini *jini;
    unsigned runs;
};

static int look_from_inside(struct jini_txn *txn, void *argument)
{
    struct inside *inside = argument;
    (void)txn;
    inside->runs++;
    take(inside->jini);
    return 0;
}

static int look_behind_commits(struct jini_txn *txn, void *argument)
{
    struct inside *inside = argument;
    for (int i = 0; i < 7; i++)
        CHECK_OK(write_key(inside->jini, "a"));
    return look_from_inside(txn, argument);
}

TEST(a_reader_is_seen_with_its_lag,
     "A snapshot that is open counts as a reader, with its lag in commits; when it has ended, "
     "neither is left.")
{
    struct jini *jini = fixture_open();
    struct inside inside = {.jini = jini};
    CHECK_OK(jini_read(jini, look_behind_commits, &inside, NULL));
    CHECK_UINT(inside.runs, ==, 1);
    CHECK(value_of("jini_store_readers") == 1);
    CHECK(value_of("jini_store_oldest_reader_lag_commits") == 7);
    take(jini);
    CHECK(value_of("jini_store_readers") == 0);
    CHECK(value_of("jini_store_oldest_reader_lag_commits") == 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(the_writer_is_named,
     "While a process writes, its pid stands beside how long it holds the lock.")
{
    struct jini *jini = fixture_open();
    struct inside inside = {.jini = jini};
    struct jini_write write;
    jini_request_init(&write);
    write.function = look_from_inside;
    write.argument = &inside;
    CHECK_OK(jini_write(jini, &write, NULL));
    char sample[96];
    snprintf(sample, sizeof(sample), "jini_write_lock_held_seconds{pid=\"%d\"}", (int)getpid());
    CHECK(value_of(sample) >= 0);
    CHECK(value_of("jini_requests_active") == 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_short_buffer_is_told_what_is_needed,
     "Too little room is JINI_E_TOO_BIG with the length, nothing behind the room is touched.")
{
    struct jini *jini = fixture_open();
    struct jini_error error;
    char few[16];
    size_t length;
    memset(few, 'x', sizeof(few));
    CHECK_STATUS(jini_metrics(jini, few, 8, &length, &error), JINI_E_TOO_BIG);
    CHECK_UINT(length, >, 1000);
    CHECK_TEXT(error.field, "capacity");
    CHECK_INT(few[7], ==, '\0');
    CHECK_INT(few[8], ==, 'x');
    CHECK_STATUS(jini_metrics(jini, NULL, 0, &length, &error), JINI_E_TOO_BIG);
    CHECK_UINT(length, >, 1000);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
