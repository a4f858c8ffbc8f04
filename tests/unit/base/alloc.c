/* The replaceable heap. */
#include "base/alloc.h"

#include "harness.h"

#include <stdlib.h>

static int live;
static int calls;

static void *counting_malloc(size_t size)
{
    live++;
    calls++;
    return malloc(size);
}

static void *counting_calloc(size_t count, size_t size)
{
    live++;
    calls++;
    return calloc(count, size);
}

static void *counting_realloc(void *pointer, size_t size)
{
    live += pointer == NULL;
    calls++;
    return realloc(pointer, size);
}

static void counting_free(void *pointer)
{
    CHECK(pointer != NULL);
    live--;
    free(pointer);
}

TEST(a_replaced_heap_serves_everything,
     "After replacement every allocation and every free is the caller's.")
{
    static const struct jini_allocator counting = {counting_malloc, counting_calloc,
                                                   counting_realloc, counting_free};
    CHECK_OK(jini_replace_allocator(&counting));
    char *one = base_malloc(10);
    char *two = base_calloc(5, 5);
    char *three = base_strdup("three");
    char *four = base_realloc(NULL, 10);
    CHECK(one && two && three && four);
    four = base_realloc(four, 1000);
    CHECK_INT(live, ==, 4);
    CHECK_INT(calls, ==, 5);
    CHECK_TEXT(three, "three");
    for (int i = 0; i < 25; i++)
        CHECK_INT(two[i], ==, 0);
    base_free(one);
    base_free(two);
    base_free(three);
    base_free(four);
    base_free(NULL);
    CHECK_INT(live, ==, 0);
}

TEST(half_a_heap_is_refused,
     "An allocator without all four functions is refused and changes nothing.")
{
    const struct jini_allocator whole = {counting_malloc, counting_calloc, counting_realloc,
                                         counting_free};
    CHECK_STATUS(jini_replace_allocator(NULL), JINI_E_INVALID);
    for (int missing = 0; missing < 4; missing++) {
        struct jini_allocator part = whole;
        part.malloc = missing == 0 ? NULL : part.malloc;
        part.calloc = missing == 1 ? NULL : part.calloc;
        part.realloc = missing == 2 ? NULL : part.realloc;
        part.free = missing == 3 ? NULL : part.free;
        CHECK_STATUS(jini_replace_allocator(&part), JINI_E_INVALID);
    }
    base_free(base_malloc(1));
    CHECK_INT(calls, ==, 0);
}

TEST(a_failed_allocation_is_null,
     "Each function answers NULL when the heap has nothing, and only then.")
{
    void *kept = base_malloc(8);
    harness_fail_allocation(1);
    CHECK(base_malloc(8) == NULL);
    harness_fail_allocation(1);
    CHECK(base_calloc(2, 8) == NULL);
    harness_fail_allocation(1);
    CHECK(base_strdup("text") == NULL);
    harness_fail_allocation(1);
    CHECK(base_realloc(kept, 16) == NULL);
    CHECK(harness_allocation_failed());
    kept = base_realloc(kept, 16);
    CHECK(kept != NULL);
    base_free(kept);
    if (!harness_sanitized()) /* a sanitizer ends the process at such a request */
        CHECK(base_calloc(SIZE_MAX / 2, 4) == NULL);
}
