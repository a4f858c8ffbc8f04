/* The library's heap: jini_replace_allocator() decides where it comes from. */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <jini/allocator.h>

void *base_malloc(size_t size) __attribute__((malloc));
void *base_calloc(size_t count, size_t size) __attribute__((malloc));
void *base_realloc(void *pointer, size_t size);
char *base_strdup(const char *text) __attribute__((malloc));

/* Takes NULL. */
void base_free(void *pointer);

#endif
