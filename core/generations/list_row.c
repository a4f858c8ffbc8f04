/*
 * The rows of a list, the tail beside the user's other rows and the full pages in space LISTS, as
 * documents of the same fields. The numbers of a page's items follow from its own number, so a page
 * is a mask and the ids of the items that are there, in the order of their numbers.
 */
#include "generations/generations_private.h"

/* What a document of either kind says. */
struct list_row {
    uint64_t added;
    uint64_t items;
    uint64_t bytes;
    uint64_t trashed_items;
    uint64_t trashed_bytes;
    uint32_t mask;
    struct slice ids;
};

enum { IDS_BYTES_MAX = LIST_PAGE_ITEMS * JINI_ID_BYTES };

/* No list gets there; it keeps numbers apart from overflow whatever a row says. */
#define ADDED_MAX                   (UINT64_C(1) << 56)

#define LIST(kind, member, longest) LAYOUT(struct list_row, kind, member, longest)

/* Space USERS, key (uint user, text "li" or "lj"). Numbers are pinned. */
static const struct layout_field tail_fields[] = {
    [1] = LIST(UINT64, added, 0),          [2] = LIST(UINT32, mask, 0),
    [3] = LIST(BYTES, ids, IDS_BYTES_MAX), [4] = LIST(UINT64, items, 0),
    [5] = LIST(UINT64, bytes, 0),          [6] = LIST(UINT64, trashed_items, 0),
    [7] = LIST(UINT64, trashed_bytes, 0),
};

/* Space LISTS, key (uint user, text "i" or "j", uint page). Numbers are pinned. */
static const struct layout_field page_fields[] = {
    [2] = LIST(UINT32, mask, 0),
    [3] = LIST(BYTES, ids, IDS_BYTES_MAX),
};

static const struct layout tail_layout = {tail_fields,
                                          sizeof(tail_fields) / sizeof(tail_fields[0])};
static const struct layout page_layout = {page_fields,
                                          sizeof(page_fields) / sizeof(page_fields[0])};

static int spread(const struct list_row *row, struct list_page *out)
{
    if (row->mask >> LIST_PAGE_ITEMS != 0 ||
        row->ids.length != (size_t)__builtin_popcount(row->mask) * JINI_ID_BYTES)
        return JINI_E_CORRUPT;
    out->mask = row->mask;
    const uint8_t *from = row->ids.data;
    for (unsigned i = 0; i < LIST_PAGE_ITEMS; i++) {
        if (!(row->mask & 1u << i))
            continue;
        memcpy(out->ids[i].bytes, from, JINI_ID_BYTES);
        from += JINI_ID_BYTES;
    }
    return 0;
}

static void gather(const struct list_page *page, uint8_t ids[IDS_BYTES_MAX], struct list_row *out)
{
    uint8_t *to = ids;
    for (unsigned i = 0; i < LIST_PAGE_ITEMS; i++) {
        if (!(page->mask & 1u << i))
            continue;
        memcpy(to, page->ids[i].bytes, JINI_ID_BYTES);
        to += JINI_ID_BYTES;
    }
    out->mask = page->mask;
    out->ids = slice_of(ids, (size_t)(to - ids));
}

/* Bits of slots whose numbers were given. */
static uint32_t used_slots(uint64_t added)
{
    if (added == 0)
        return 0;
    return (2u << (added - 1) % LIST_PAGE_ITEMS) - 1;
}

static bool tail_sound(const struct list_tail *tail)
{
    uint64_t items;
    return tail->added <= ADDED_MAX && (tail->page.mask & ~used_slots(tail->added)) == 0 &&
           tail->counts.items >= (uint64_t)__builtin_popcount(tail->page.mask) &&
           !__builtin_add_overflow(tail->counts.items, tail->counts.trashed_items, &items) &&
           items <= tail->added;
}

int list_tail_read(struct slice document, struct list_tail *out)
{
    struct list_row row = {0};
    memset(out, 0, sizeof(*out));
    int status = layout_read(&tail_layout, document, &row, &out->page.rest);
    if (status)
        return status;
    out->added = row.added;
    out->counts = (struct list_counts){row.items, row.bytes, row.trashed_items, row.trashed_bytes};
    status = spread(&row, &out->page);
    if (status == 0 && !tail_sound(out))
        status = JINI_E_CORRUPT;
    return status;
}

int list_tail_write(const struct list_tail *tail, struct buffer *out)
{
    if (!tail_sound(tail))
        return JINI_E_CORRUPT;
    uint8_t ids[IDS_BYTES_MAX];
    struct list_row row = {
        .added = tail->added,
        .items = tail->counts.items,
        .bytes = tail->counts.bytes,
        .trashed_items = tail->counts.trashed_items,
        .trashed_bytes = tail->counts.trashed_bytes,
    };
    gather(&tail->page, ids, &row);
    return layout_write(&tail_layout, &row, &tail->page.rest, out);
}

int list_page_read(struct slice document, struct list_page *out)
{
    struct list_row row = {0};
    memset(out, 0, sizeof(*out));
    int status = layout_read(&page_layout, document, &row, &out->rest);
    if (status)
        return status;
    return row.mask ? spread(&row, out) : JINI_E_CORRUPT;
}

int list_page_write(const struct list_page *page, struct buffer *out)
{
    JINI_ASSERT(page->mask != 0);
    uint8_t ids[IDS_BYTES_MAX];
    struct list_row row = {0};
    gather(page, ids, &row);
    return layout_write(&page_layout, &row, &page->rest, out);
}
