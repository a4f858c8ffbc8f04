/*
 * The heap that the library uses. Replaced as a whole, before anything else is called.
 */
#ifndef JINI_ALLOCATOR_H
#define JINI_ALLOCATOR_H

#include <jini/status.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The same contracts as the C functions of these names. They are called on any thread. */
struct jini_allocator {
    void *(*malloc)(size_t size);
    void *(*calloc)(size_t count, size_t size);
    void *(*realloc)(void *pointer, size_t size);
    void (*free)(void *pointer);
};

/*
 * Replaces the heap of this process's copy of the library; third-party libraries keep their own.
 * The struct is copied. Call it before the first jini_open(), from one thread.
 * JINI_E_INVALID: a member is NULL; nothing changes.
 */
JINI_EXPORT int jini_replace_allocator(const struct jini_allocator *allocator);

#ifdef __cplusplus
}
#endif
#endif
