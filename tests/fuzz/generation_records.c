/*
 * Rows of jobs, images and lists: whatever the bytes are, they are refused, or what is written from
 * what was read is read as the same again, byte for byte. The first byte of the input chooses the
 * kind of row.
 */
#include "generations/generations_private.h"

#include "fuzz.h"

#include <jini/status.h>

/* Holds every kind of row, also one whose fields of a newer version were kept. */
enum { WRITTEN_MAX = 1 << 15 };

static void check_refusal(int status)
{
    FUZZ_CHECK(status == JINI_E_CORRUPT);
}

/* Too many fields of a newer version are the only reason why what was read cannot be written. */
static bool written(int status, const struct layout_rest *rest)
{
    FUZZ_CHECK(status == 0 || (status == JINI_E_FORMAT && rest->lost));
    return status == 0;
}

static void same(const struct buffer *first, const struct buffer *second)
{
    FUZZ_CHECK(slice_equal(buffer_slice(first), buffer_slice(second)));
}

static void fuzz_job(struct slice bytes, struct buffer *first, struct buffer *second)
{
    static const struct jini_id id = {{1}};
    struct job_row row;
    struct jini_job shown;
    int status = job_row_read(bytes, &row);
    if (status) {
        check_refusal(status);
        return;
    }
    job_row_show(&row, &id, &shown);
    FUZZ_CHECK(shown.images <= JINI_JOB_IMAGES_MAX);
    FUZZ_CHECK(shown.prompt_bytes < JINI_PROMPT_MAX && shown.negative_bytes < JINI_PROMPT_MAX);
    FUZZ_CHECK(memchr(shown.error, '\0', sizeof(shown.error)));
    FUZZ_CHECK(memchr(shown.parameters.model, '\0', sizeof(shown.parameters.model)));
    if (!written(job_row_write(&row, first), &row.rest))
        return;
    FUZZ_CHECK(first->length <= JOB_ROW_BYTES_MAX);
    FUZZ_CHECK(job_row_read(buffer_slice(first), &row) == 0);
    FUZZ_CHECK(job_row_write(&row, second) == 0);
    same(first, second);
}

static void fuzz_image(struct slice bytes, struct buffer *first, struct buffer *second)
{
    static const struct jini_id id = {{1}};
    struct image_row row;
    struct jini_image shown;
    int status = image_row_read(bytes, &row);
    if (status) {
        check_refusal(status);
        return;
    }
    image_row_show(&row, &id, &shown);
    FUZZ_CHECK(memchr(shown.media_type, '\0', sizeof(shown.media_type)));
    FUZZ_CHECK(!(shown.flags & JINI_IMAGE_TRASHED) == !row.purge_ms);
    if (!written(image_row_write(&row, first), &row.rest))
        return;
    FUZZ_CHECK(first->length <= IMAGE_ROW_BYTES_MAX);
    FUZZ_CHECK(image_row_read(buffer_slice(first), &row) == 0);
    FUZZ_CHECK(image_row_write(&row, second) == 0);
    same(first, second);
}

static void fuzz_tail(struct slice bytes, struct buffer *first, struct buffer *second)
{
    struct list_tail tail;
    int status = list_tail_read(bytes, &tail);
    if (status) {
        check_refusal(status);
        return;
    }
    if (!written(list_tail_write(&tail, first), &tail.page.rest))
        return;
    FUZZ_CHECK(first->length <= LIST_ROW_BYTES_MAX);
    FUZZ_CHECK(list_tail_read(buffer_slice(first), &tail) == 0);
    FUZZ_CHECK(list_tail_write(&tail, second) == 0);
    same(first, second);
}

static void fuzz_page(struct slice bytes, struct buffer *first, struct buffer *second)
{
    struct list_page page;
    int status = list_page_read(bytes, &page);
    if (status) {
        check_refusal(status);
        return;
    }
    FUZZ_CHECK(page.mask != 0 && page.mask >> LIST_PAGE_ITEMS == 0);
    if (!written(list_page_write(&page, first), &page.rest))
        return;
    FUZZ_CHECK(first->length <= LIST_ROW_BYTES_MAX);
    FUZZ_CHECK(list_page_read(buffer_slice(first), &page) == 0);
    FUZZ_CHECK(list_page_write(&page, second) == 0);
    same(first, second);
}

static void fuzz_running(struct slice bytes, struct buffer *first)
{
    static struct generations_running_job jobs[GENERATIONS_RUNNING_MAX];
    uint32_t count;
    int status = running_row_read(bytes, jobs, &count);
    if (status) {
        check_refusal(status);
        FUZZ_CHECK(count == 0);
        return;
    }
    FUZZ_CHECK(count > 0 && count <= GENERATIONS_RUNNING_MAX);
    running_row_write(jobs, count, first);
    FUZZ_CHECK(slice_equal(buffer_slice(first), bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    static uint8_t bytes[2][WRITTEN_MAX];
    struct buffer first = buffer_of(bytes[0], sizeof(bytes[0]));
    struct buffer second = buffer_of(bytes[1], sizeof(bytes[1]));
    if (length == 0)
        return 0;
    struct slice row = slice_of(data + 1, length - 1);
    switch (data[0] % 5) {
    case 0:
        fuzz_job(row, &first, &second);
        break;
    case 1:
        fuzz_image(row, &first, &second);
        break;
    case 2:
        fuzz_tail(row, &first, &second);
        break;
    case 3:
        fuzz_page(row, &first, &second);
        break;
    default:
        fuzz_running(row, &first);
    }
    return 0;
}
