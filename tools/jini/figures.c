/* Choosing among the families of jini_metrics(), and adding those that follow from other calls. */
#include "figures.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

enum { METRICS_FIRST = 64 * 1024, METRICS_TRIES = 4 };

/* What all processes of the database see alike. */
static const char *const families[] = {
    "jini_store_map_bytes",
    "jini_store_used_bytes",
    "jini_store_free_pages",
    "jini_store_readers",
    "jini_store_oldest_reader_lag_commits",
    "jini_store_full",
    "jini_store_reserve_errno",
    "jini_processes",
    "jini_write_lock_held_seconds",
    "jini_write_lock_waiting_seconds",
    "jini_limits_table",
    "jini_limits_admitted_total",
    "jini_limits_refused_total",
    "jini_limits_uncounted_total",
    "jini_limits_full_total",
    "jini_limits_busy_total",
    "jini_limits_slots_taken_total",
    "jini_limits_corrupt_slots_total",
    "jini_limits_claims_broken_total",
    "jini_limits_slots",
    "jini_limits_slots_live",
    "jini_events",
    "jini_events_bytes",
    "jini_events_consumer_lag_events",
    "jini_events_consumer_lag_milliseconds",
    "jini_events_consumer_held",
    "jini_events_consumer_dead",
    "jini_events_consumer_lost_total",
};

static int read_metrics(struct command *command, char **out)
{
    size_t capacity = METRICS_FIRST;
    int status = JINI_E_TOO_BIG;
    *out = NULL;
    for (int i = 0; status == JINI_E_TOO_BIG && i < METRICS_TRIES; i++) {
        size_t needed = 0;
        free(*out);
        *out = malloc(capacity);
        if (!*out)
            return command_fail(command, JINI_E_NO_MEMORY, "metrics", "out of memory");
        status = jini_metrics(command->jini, *out, capacity, &needed, &command->error);
        capacity = needed + 1024;
    }
    if (status) {
        free(*out);
        *out = NULL;
    }
    return status;
}

static bool is_of_database(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (strlen(families[i]) == length && memcmp(families[i], name, length) == 0)
            return true;
    }
    return false;
}

/* Copies the families of the database. Each opens with its line "# HELP NAME ...". */
static void choose(const char *metrics, FILE *out)
{
    static const char head[] = "# HELP ";
    bool chosen = false;
    for (const char *line = metrics; *line;) {
        const char *end = strchrnul(line, '\n');
        if (strncmp(line, head, sizeof(head) - 1) == 0) {
            const char *name = line + sizeof(head) - 1;
            chosen = is_of_database(name, strcspn(name, " \n"));
        }
        if (chosen)
            fprintf(out, "%.*s\n", (int)(end - line), line);
        line = *end ? end + 1 : end;
    }
}

static void add_disk(const struct command *command, FILE *out)
{
    struct statvfs disk;
    if (statvfs(command->directory, &disk) != 0)
        return;
    fprintf(out,
            "# HELP jini_disk_bytes Size of the filesystem of the database.\n"
            "# TYPE jini_disk_bytes gauge\njini_disk_bytes %" PRIu64 "\n"
            "# HELP jini_disk_free_bytes Bytes of it that are free.\n"
            "# TYPE jini_disk_free_bytes gauge\njini_disk_free_bytes %" PRIu64 "\n",
            (uint64_t)disk.f_blocks * disk.f_frsize, (uint64_t)disk.f_bavail * disk.f_frsize);
}

static void add_states(const struct jini_archive_status *counts, FILE *out)
{
    const struct {
        const char *label;
        uint64_t value;
    } rows[] = {
        {"images{state=\"hot\"}", counts->images_hot},
        {"images{state=\"hot_archived\"}", counts->images_hot_archived},
        {"images{state=\"cold\"}", counts->images_cold},
        {"images{state=\"trash\"}", counts->images_trash},
        {"packs{state=\"open\"}", counts->packs_open},
        {"packs{state=\"sealed\"}", counts->packs_sealed},
        {"packs{state=\"archived\"}", counts->packs_archived},
        {"packs{state=\"cold\"}", counts->packs_cold},
        {"image_bytes{place=\"original\"}", counts->bytes_original},
        {"image_bytes{place=\"local\"}", counts->bytes_local},
        {"image_bytes{place=\"archive\"}", counts->bytes_archived},
    };
    static const char *const heads[] = {
        [0] = "# HELP jini_images Images by state.\n# TYPE jini_images gauge\n",
        [4] = "# HELP jini_packs Packs by state.\n# TYPE jini_packs gauge\n",
        [8] = "# HELP jini_image_bytes Bytes of images as they were put, of local packs, and of "
              "objects in the "
              "archive.\n# TYPE jini_image_bytes gauge\n",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *head = i < sizeof(heads) / sizeof(heads[0]) ? heads[i] : NULL;
        fprintf(out, "%sjini_%s %" PRIu64 "\n", head ? head : "", rows[i].label, rows[i].value);
    }
}

int figures_read(struct command *command, enum figures_what what, char **out)
{
    char *metrics;
    size_t length = 0;
    struct jini_archive_status counts;
    *out = NULL;
    int status = read_metrics(command, &metrics);
    if (status)
        return status;
    if (what == FIGURES_ALL)
        status = jini_archive_status(command->jini, &counts, &command->error);
    FILE *stream = status == 0 ? open_memstream(out, &length) : NULL;
    if (stream) {
        choose(metrics, stream);
        add_disk(command, stream);
        if (what == FIGURES_ALL)
            add_states(&counts, stream);
    }
    free(metrics);
    if (status)
        return status;
    if (stream && fclose(stream) == 0)
        return 0;
    free(*out);
    *out = NULL;
    return command_fail(command, JINI_E_NO_MEMORY, "metrics", "out of memory");
}

/* The text behind the name of a sample; NULL: there is none. */
static const char *find_sample(const char *metrics, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = metrics; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == ' ')
            return line + length + 1;
    }
    return NULL;
}

uint64_t figures_value(const char *metrics, const char *name)
{
    const char *value = find_sample(metrics, name);
    return value ? strtoull(value, NULL, 10) : 0;
}

bool figures_has(const char *metrics, const char *name)
{
    return find_sample(metrics, name) != NULL;
}
