/* The replaceable heap. */
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static struct jini_allocator heap = {malloc, calloc, realloc, free};

int jini_replace_allocator(const struct jini_allocator *allocator)
{
    if (!allocator || !allocator->malloc || !allocator->calloc || !allocator->realloc ||
        !allocator->free)
        return JINI_E_INVALID;
    heap = *allocator;
    return 0;
}

void *base_malloc(size_t size)
{
    return heap.malloc(size);
}

void *base_calloc(size_t count, size_t size)
{
    return heap.calloc(count, size);
}

void *base_realloc(void *pointer, size_t size)
{
    return heap.realloc(pointer, size);
}

char *base_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = heap.malloc(bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

void base_free(void *pointer)
{
    if (pointer)
        heap.free(pointer);
}
