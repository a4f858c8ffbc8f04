/*
 * Lists of what a user has. An item has a number, in the order of adding; 16 numbers are a page.
 *
 *  1. The newest page lies in the tail, beside the user's other rows, so that adding touches no
 *     leaf that its transaction does not touch anyway. The 17th item moves it to space LISTS as it
 *     stands: a list costs one more leaf for 16 items.
 *  2. A number is never used again, so an item that comes back finds its place, and a cursor that
 *     says "below this number" stays right whatever happens between two calls.
 *  3. Removed items leave their page; a page without items has no row. So a list is read without
 *     skipping.
 */
#include "generations/generations_private.h"

#include "base/error.h"

static const char *list_name(enum user_list_kind kind)
{
    return kind == LIST_IMAGES ? "list of images" : "list of jobs";
}

int list_load(struct store_txn *txn, uint64_t user_id, enum user_list_kind kind,
              struct list_tail *out, struct jini_error *error)
{
    memset(out, 0, sizeof(*out));
    if (user_id == 0)
        return 0;
    struct tuple key;
    key_list_tail(&key, user_id, kind);
    uint8_t bytes[LIST_ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    int status = store_get(txn, STORE_SPACE_ACTIVITY, tuple_key(&key), &value);
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (status == JINI_E_TOO_BIG)
        status = JINI_E_CORRUPT;
    if (status == 0)
        status = list_tail_read(buffer_slice(&value), out);
    return status ? user_row_failed(error, status, list_name(kind), user_id) : 0;
}

int list_edit_begin(struct store_txn *txn, uint64_t user_id, enum user_list_kind kind,
                    struct list_edit *edit, struct jini_error *error)
{
    edit->user_id = user_id;
    edit->kind = kind;
    edit->page_changed = false;
    return list_load(txn, user_id, kind, &edit->tail, error);
}

void list_edit_add(struct list_edit *edit, const struct jini_id *id, uint64_t *number)
{
    struct list_tail *tail = &edit->tail;
    *number = tail->added;
    if (edit->user_id == 0)
        return;
    JINI_ASSERT(!edit->page_changed);
    unsigned slot = (unsigned)(tail->added % LIST_PAGE_ITEMS);
    if (slot == 0 && tail->page.mask != 0) {
        edit->page_changed = true;
        edit->page_number = list_tail_page(tail->added);
        edit->page = tail->page;
        edit->page.rest = (struct layout_rest){.lost = false};
    }
    if (slot == 0)
        tail->page.mask = 0;
    tail->added++;
    tail->page.mask |= 1u << slot;
    tail->page.ids[slot] = *id;
}

/*
 * Reads the page of an item into the edit, unless it is the tail's. A page that has no row is
 * empty.
 */
static int open_page(struct store_txn *txn, struct list_edit *edit, uint64_t number,
                     struct list_page **out, struct jini_error *error)
{
    JINI_ASSERT(!edit->page_changed);
    *out = &edit->tail.page;
    uint64_t page = number / LIST_PAGE_ITEMS;
    if (number >= edit->tail.added)
        return user_row_failed(error, JINI_E_CORRUPT, list_name(edit->kind), edit->user_id);
    if (page == list_tail_page(edit->tail.added))
        return 0;
    struct tuple key;
    key_list_page(&key, edit->user_id, edit->kind, page);
    uint8_t bytes[LIST_ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    int status = store_get(txn, STORE_SPACE_LISTS, tuple_key(&key), &value);
    if (status == JINI_E_NOT_FOUND)
        memset(&edit->page, 0, sizeof(edit->page));
    else if (status == 0)
        status = list_page_read(buffer_slice(&value), &edit->page);
    if (status == JINI_E_TOO_BIG)
        status = JINI_E_CORRUPT;
    if (status && status != JINI_E_NOT_FOUND)
        return user_row_failed(error, status, list_name(edit->kind), edit->user_id);
    edit->page_changed = true;
    edit->page_number = page;
    *out = &edit->page;
    return 0;
}

int list_edit_remove(struct store_txn *txn, struct list_edit *edit, uint64_t number,
                     const struct jini_id *id, struct jini_error *error)
{
    struct list_page *page;
    if (edit->user_id == 0)
        return 0;
    int status = open_page(txn, edit, number, &page, error);
    if (status)
        return status;
    unsigned slot = (unsigned)(number % LIST_PAGE_ITEMS);
    if (!(page->mask & 1u << slot) || jini_id_compare(&page->ids[slot], id) != 0)
        return user_row_failed(error, JINI_E_CORRUPT, list_name(edit->kind), edit->user_id);
    page->mask &= ~(1u << slot);
    return 0;
}

int list_edit_restore(struct store_txn *txn, struct list_edit *edit, uint64_t number,
                      const struct jini_id *id, struct jini_error *error)
{
    struct list_page *page;
    if (edit->user_id == 0)
        return 0;
    int status = open_page(txn, edit, number, &page, error);
    if (status)
        return status;
    unsigned slot = (unsigned)(number % LIST_PAGE_ITEMS);
    if (page->mask & 1u << slot)
        return user_row_failed(error, JINI_E_CORRUPT, list_name(edit->kind), edit->user_id);
    page->mask |= 1u << slot;
    page->ids[slot] = *id;
    return 0;
}

static bool change_count(uint64_t *count, uint64_t before, uint64_t after)
{
    return *count >= before && !__builtin_add_overflow(*count - before, after, count);
}

int list_edit_count(struct list_edit *edit, const struct list_counts *before,
                    const struct list_counts *after, struct jini_error *error)
{
    struct list_counts *counts = &edit->tail.counts;
    if (edit->user_id == 0)
        return 0;
    if (change_count(&counts->items, before->items, after->items) &&
        change_count(&counts->bytes, before->bytes, after->bytes) &&
        change_count(&counts->trashed_items, before->trashed_items, after->trashed_items) &&
        change_count(&counts->trashed_bytes, before->trashed_bytes, after->trashed_bytes))
        return 0;
    return user_row_failed(error, JINI_E_CORRUPT, list_name(edit->kind), edit->user_id);
}

static int write_page(struct store_txn *txn, const struct list_edit *edit, struct jini_error *error)
{
    struct tuple key;
    key_list_page(&key, edit->user_id, edit->kind, edit->page_number);
    if (edit->page.mask == 0)
        return store_delete(txn, STORE_SPACE_LISTS, tuple_key(&key));
    uint8_t bytes[LIST_ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    int status = list_page_write(&edit->page, &value);
    if (status)
        return user_row_failed(error, status, list_name(edit->kind), edit->user_id);
    return store_put(txn, STORE_SPACE_LISTS, tuple_key(&key), buffer_slice(&value));
}

int list_edit_write(struct store_txn *txn, const struct list_edit *edit, struct jini_error *error)
{
    if (edit->user_id == 0)
        return 0;
    uint8_t bytes[LIST_ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    int status = list_tail_write(&edit->tail, &value);
    if (status)
        return user_row_failed(error, status, list_name(edit->kind), edit->user_id);
    if (edit->page_changed) {
        status = write_page(txn, edit, error);
        if (status)
            return status;
    }
    struct tuple key;
    key_list_tail(&key, edit->user_id, edit->kind);
    return store_put(txn, STORE_SPACE_ACTIVITY, tuple_key(&key), buffer_slice(&value));
}
