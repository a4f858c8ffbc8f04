/* Reading lists: the tail first, then the pages of space LISTS from the newest to the oldest. */
#include "generations/generations_private.h"

#include "base/error.h"

/* Where the ids of one call go. */
struct reading {
    struct jini_id *out;
    size_t capacity;
    size_t count;
    uint64_t next; /* items of this number and above have been passed */
};

static void take_page(struct reading *reading, const struct list_page *page, uint64_t number)
{
    uint64_t first = number * LIST_PAGE_ITEMS;
    for (unsigned slot = LIST_PAGE_ITEMS; slot-- > 0;) {
        if (!(page->mask & 1u << slot) || first + slot >= reading->next)
            continue;
        if (reading->count == reading->capacity)
            return;
        reading->out[reading->count++] = page->ids[slot];
        reading->next = first + slot;
    }
}

/* The number of the page that a key of space LISTS ends in. */
static int page_number(struct slice key, uint64_t user_id, uint64_t *out)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element element;
    uint64_t user;
    if (tuple_next_uint(&reader, &user) != 0 || user != user_id ||
        tuple_next(&reader, &element) != 0 || element.type != TUPLE_TEXT ||
        tuple_next_uint(&reader, out) != 0 || reader.rest.length != 0)
        return JINI_E_CORRUPT;
    return 0;
}

static int take_pages(struct reading *reading, struct store_cursor *cursor, uint64_t user_id)
{
    uint8_t bytes[LIST_ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    while (reading->count < reading->capacity) {
        int status = store_cursor_next(cursor, &value);
        if (status == JINI_E_NOT_FOUND) {
            reading->next = 0;
            return 0;
        }
        uint64_t number = 0;
        struct list_page page;
        if (status == 0)
            status = page_number(cursor->key, user_id, &number);
        if (status == 0)
            status = list_page_read(buffer_slice(&value), &page);
        if (status)
            return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
        take_page(reading, &page, number);
    }
    return 0;
}

static int read_pages(struct store_txn *txn, uint64_t user_id, enum user_list_kind kind,
                      uint64_t end_page, struct reading *reading)
{
    struct tuple low;
    struct tuple high;
    key_list_page(&low, user_id, kind, 0);
    key_list_page(&high, user_id, kind, end_page);
    struct store_cursor cursor;
    int status = store_cursor_open(txn, STORE_SPACE_LISTS, tuple_key(&low), tuple_key(&high),
                                   STORE_BACKWARD, &cursor);
    if (status)
        return status;
    status = take_pages(reading, &cursor, user_id);
    store_cursor_close(&cursor);
    return status;
}

int list_read(struct store_txn *txn, uint64_t user_id, enum user_list_kind kind,
              struct jini_list_cursor *cursor, struct jini_id *out, size_t capacity, size_t *count,
              struct jini_error *error)
{
    *count = 0;
    struct list_tail tail;
    int status = list_load(txn, user_id, kind, &tail, error);
    if (status)
        return status;
    struct reading reading = {.out = out, .capacity = capacity, .next = tail.added};
    if (cursor->started && cursor->next < tail.added)
        reading.next = cursor->next;
    uint64_t tail_page = list_tail_page(tail.added);
    take_page(&reading, &tail.page, tail_page);
    if (reading.count < capacity && reading.next > 0) {
        uint64_t end_page = (reading.next - 1) / LIST_PAGE_ITEMS + 1;
        status =
            read_pages(txn, user_id, kind, end_page < tail_page ? end_page : tail_page, &reading);
        if (status)
            return user_row_failed(error, status, "list", user_id);
    }
    cursor->next = reading.next;
    cursor->started = 1;
    *count = reading.count;
    return 0;
}
