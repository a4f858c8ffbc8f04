/* Checks of what a user has beside the records: the lists, and the row of running jobs. */
#include "generations/check_private.h"

#include "base/id.h"

/* A longer list is not counted: that would keep its snapshot for too long. */
enum { COUNTED_PAGES_MAX = 4096 };

static struct check_place place_of(const char *kind, const char *field, enum user_list_kind list,
                                   const struct jini_id *id, uint64_t user_id)
{
    struct check_place place = {.kind = kind, .field = field, .user_id = user_id};
    if (list == LIST_JOBS)
        place.job = id;
    else
        place.image = id;
    return place;
}

static const char *list_name(enum user_list_kind kind)
{
    return kind == LIST_IMAGES ? "images" : "jobs";
}

/* ---- From a record to its list ---- */

/* A full page; empty when there is no row. */
static int load_page(struct store_txn *txn, uint64_t user_id, enum user_list_kind kind,
                     uint64_t number, struct list_page *out)
{
    struct tuple key;
    uint8_t bytes[LIST_ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    memset(out, 0, sizeof(*out));
    key_list_page(&key, user_id, kind, number);
    int status = store_get(txn, STORE_SPACE_LISTS, tuple_key(&key), &value);
    if (status == 0)
        return list_page_read(buffer_slice(&value), out);
    return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
}

int check_is_listed(const struct generations_check *check, const struct check_item *item)
{
    struct list_tail tail;
    if (item->user_id == 0)
        return 0;
    int status = list_load(check->txn, item->user_id, item->kind, &tail, NULL);
    if (status)
        return check_is_damage(status) ? 0 : status;
    uint64_t number = item->number / LIST_PAGE_ITEMS;
    struct list_page page = tail.page;
    if (item->number < tail.added && number != list_tail_page(tail.added))
        status = load_page(check->txn, item->user_id, item->kind, number, &page);
    if (status && status != JINI_E_NOT_FOUND)
        return check_is_damage(status) ? 0 : status;
    unsigned slot = (unsigned)(item->number % LIST_PAGE_ITEMS);
    if (item->number < tail.added && (page.mask & 1u << slot) != 0 &&
        id_equal(&page.ids[slot], item->id))
        return 0;
    const struct check_place place =
        place_of(item->kind == LIST_IMAGES ? "image_not_listed" : "job_not_listed", "number",
                 item->kind, item->id, item->user_id);
    check_report(check, &place, "the list of %s of user %llu does not have it at its number %llu",
                 list_name(item->kind), (unsigned long long)item->user_id,
                 (unsigned long long)item->number);
    return 0;
}

/* ---- From a list to its records ---- */

/* What a record says of its place in a list. */
struct listed {
    uint64_t user_id;
    uint64_t number;
    bool hidden; /* in the trash */
};

static int load_listed(struct store_txn *txn, enum user_list_kind kind, const struct jini_id *id,
                       struct listed *out)
{
    if (kind == LIST_JOBS) {
        struct loaded_job job;
        int status = job_load(txn, id, &job, NULL);
        if (status == 0)
            *out = (struct listed){job.row.user_id, job.row.number, false};
        return status;
    }
    struct loaded_image image;
    int status = image_load(txn, id, &image, NULL);
    if (status == 0)
        *out = (struct listed){image.row.user_id, image.row.number, image.row.purge_ms != 0};
    return status;
}

static int check_listed(const struct generations_check *check, const struct check_item *item)
{
    struct listed found;
    struct check_place place =
        place_of("list_without_record", "ids", item->kind, item->id, item->user_id);
    int status = load_listed(check->txn, item->kind, item->id, &found);
    if (status == JINI_E_NOT_FOUND) {
        check_report(check, &place, "the list of %s names at number %llu what is not there",
                     list_name(item->kind), (unsigned long long)item->number);
    } else if (status == 0 && (found.user_id != item->user_id || found.number != item->number)) {
        place.kind = "list_differs";
        place.field = "number";
        check_report(check, &place,
                     "the list of %s has it at number %llu; its record says user %llu, number %llu",
                     list_name(item->kind), (unsigned long long)item->number,
                     (unsigned long long)found.user_id, (unsigned long long)found.number);
    } else if (status == 0 && found.hidden) {
        place.kind = "list_differs";
        place.field = "purge_ms";
        check_report(check, &place, "the list of images has it, and it is in the trash");
    }
    return check_is_damage(status) || status == JINI_E_NOT_FOUND ? 0 : status;
}

static int check_items(const struct generations_check *check, uint64_t user_id,
                       enum user_list_kind kind, const struct list_page *page, uint64_t number)
{
    int status = 0;
    for (unsigned slot = 0; status == 0 && slot < LIST_PAGE_ITEMS; slot++) {
        if (!(page->mask & 1u << slot))
            continue;
        const struct check_item item = {kind, user_id, number * LIST_PAGE_ITEMS + slot,
                                        &page->ids[slot]};
        status = check_listed(check, &item);
    }
    return status;
}

/*
 * Counts the items on the full pages. JINI_E_TOO_BIG: they are too many. JINI_E_CORRUPT: a page is
 * damaged.
 */
static int count_items(struct store_txn *txn, uint64_t user_id, enum user_list_kind kind,
                       uint64_t *out)
{
    struct tuple low;
    struct tuple high;
    struct store_cursor cursor;
    uint8_t bytes[LIST_ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct list_page page;
    *out = 0;
    key_list_page(&low, user_id, kind, 0);
    key_list_page(&high, user_id, kind, UINT64_MAX);
    int status = store_cursor_open(txn, STORE_SPACE_LISTS, tuple_key(&low), tuple_key(&high),
                                   STORE_FORWARD, &cursor);
    if (status)
        return status;
    uint32_t pages = 0;
    while (status == 0 && (status = store_cursor_next(&cursor, &value)) == 0) {
        status = list_page_read(buffer_slice(&value), &page);
        *out += (uint64_t)__builtin_popcount(page.mask);
        if (status == 0 && ++pages == COUNTED_PAGES_MAX)
            status = JINI_E_TOO_BIG;
    }
    store_cursor_close(&cursor);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static int check_list(const struct generations_check *check, uint64_t user_id,
                      enum user_list_kind kind)
{
    struct list_tail tail;
    int status = list_load(check->txn, user_id, kind, &tail, NULL);
    if (check_is_damage(status)) {
        const struct check_place place = {
            .kind = "list_damaged", .field = "tail", .user_id = user_id};
        check_report(check, &place, "the row of the list of %s cannot be read (%s)",
                     list_name(kind), jini_status_name(status));
        return 0;
    }
    uint64_t full = 0;
    if (status == 0)
        status = check_items(check, user_id, kind, &tail.page, list_tail_page(tail.added));
    if (status == 0)
        status = count_items(check->txn, user_id, kind, &full);
    if (status)
        return check_is_damage(status) || status == JINI_E_TOO_BIG ? 0 : status;
    uint64_t items = full + (uint64_t)__builtin_popcount(tail.page.mask);
    if (items != tail.counts.items) {
        const struct check_place place = {
            .kind = "list_miscounted", .field = "items", .user_id = user_id};
        check_report(check, &place, "%llu %s are listed; the count says %llu",
                     (unsigned long long)items, list_name(kind),
                     (unsigned long long)tail.counts.items);
    }
    return 0;
}

int generations_check_images_of(const struct generations_check *check, uint64_t user_id)
{
    return check_list(check, user_id, LIST_IMAGES);
}

int generations_check_jobs_of(const struct generations_check *check, uint64_t user_id)
{
    return check_list(check, user_id, LIST_JOBS);
}

/* ---- Full pages ---- */

static bool read_page_key(struct slice key, uint64_t *user_id, enum user_list_kind *kind,
                          uint64_t *number)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element name;
    if (tuple_next_uint(&reader, user_id) != 0 || tuple_next(&reader, &name) != 0 ||
        tuple_next_uint(&reader, number) != 0)
        return false;
    for (int one = LIST_IMAGES; one <= LIST_JOBS; one++) {
        struct tuple same;
        *kind = (enum user_list_kind)one;
        key_list_page(&same, *user_id, *kind, *number);
        if (slice_compare(tuple_key(&same), key) == 0)
            return true;
    }
    return false;
}

int generations_check_page(const struct generations_check *check, struct slice key)
{
    uint64_t user_id;
    uint64_t number;
    enum user_list_kind kind;
    struct list_page page;
    struct list_tail tail;
    int status = store_has(check->txn, STORE_SPACE_LISTS, key);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    struct check_place place = {.kind = "list_key_damaged", .field = "key"};
    if (!read_page_key(key, &user_id, &kind, &number)) {
        check_report(check, &place, STORE_STRAY_KEY, key.length);
        return 0;
    }
    place = (struct check_place){.kind = "list_damaged", .field = "page", .user_id = user_id};
    status = load_page(check->txn, user_id, kind, number, &page);
    if (check_is_damage(status))
        check_report(check, &place, "page %llu of the list of %s cannot be read (%s)",
                     (unsigned long long)number, list_name(kind), jini_status_name(status));
    if (status)
        return check_is_damage(status) ? 0 : status;
    status = list_load(check->txn, user_id, kind, &tail, NULL);
    if (status == 0 && number >= list_tail_page(tail.added)) {
        place.kind = "list_differs";
        check_report(check, &place, "page %llu of the list of %s stands behind its end",
                     (unsigned long long)number, list_name(kind));
        return 0;
    }
    if (status && !check_is_damage(status))
        return status;
    return check_items(check, user_id, kind, &page, number);
}

/* ---- Running jobs ---- */

static bool counts_for(const struct job_row *row, const struct generations_subject *subject)
{
    return job_row_runs(row) && row->user_id == subject->user_id &&
           (row->user_id != 0 || slice_equal(row->address, subject->address));
}

static int check_runs(const struct generations_check *check,
                      const struct generations_subject *subject,
                      const struct generations_running_job *running)
{
    struct loaded_job job;
    struct check_place place = {.kind = "running_without_job",
                                .field = "id",
                                .job = &running->id,
                                .user_id = subject->user_id};
    int status = job_load(check->txn, &running->id, &job, NULL);
    if (status == JINI_E_NOT_FOUND)
        check_report(check, &place, "the row of running jobs names a job that is not there");
    if (status)
        return check_is_damage(status) || status == JINI_E_NOT_FOUND ? 0 : status;
    place.kind = "running_differs";
    if (generations_job_ended((enum jini_job_state)job.row.state)) {
        place.field = "state";
        check_report(check, &place, "the row of running jobs has a job that is %s",
                     jini_job_state_name((enum jini_job_state)job.row.state));
    } else if (!counts_for(&job.row, subject)) {
        place.field = subject->user_id ? "user_id" : "address";
        check_report(check, &place,
                     "the row of running jobs has a job that does not count for this %s",
                     subject->user_id ? "user" : "address");
    } else if (job.row.expires_ms != running->expires_ms) {
        place.field = "expires_ms";
        check_report(check, &place, "the row of running jobs says %llu; the job's record says %llu",
                     (unsigned long long)running->expires_ms,
                     (unsigned long long)job.row.expires_ms);
    }
    return 0;
}

int generations_check_running(const struct generations_check *check,
                              const struct generations_subject *subject)
{
    struct generations_running running;
    int status = generations_running_get(check->txn, subject, 0, &running, NULL);
    if (check_is_damage(status)) {
        const struct check_place place = {
            .kind = "running_damaged", .field = "entries", .user_id = subject->user_id};
        check_report(check, &place, "the row of running jobs is no list of 1 to %d entries",
                     GENERATIONS_RUNNING_MAX);
    }
    if (status)
        return check_is_damage(status) ? 0 : status;
    for (uint32_t i = 0; status == 0 && i < running.count; i++)
        status = check_runs(check, subject, &running.jobs[i]);
    return status;
}
