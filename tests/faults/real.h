/* The function of this name that the shim hides: libc's, or that of whatever stands between. */
#ifndef FAULTS_REAL_H
#define FAULTS_REAL_H

#include <dlfcn.h>

/*
 * One for each place that calls such a function. All are filled when the shim is loaded, so that
 * not every child has to look for them again; until then each is when it is wanted. Marked as used,
 * they are not taken apart by a compiler that sees which members are.
 */
struct real_function {
    const char *name;
    void *address;
};

static inline void *real_address(struct real_function *function)
{
    if (!function->address)
        function->address = dlsym(RTLD_NEXT, function->name);
    return function->address;
}

#define IN_REAL_FUNCTIONS __attribute__((section("real_functions"), used))

#define REAL(function)                                                                             \
    (__extension__({                                                                               \
        static struct real_function real_function IN_REAL_FUNCTIONS = {#function, NULL};           \
        (__typeof__(&(function)))real_address(&real_function);                                     \
    }))

/* What the linker calls the ends of that section. */
extern struct real_function __start_real_functions[];
extern struct real_function __stop_real_functions[];

#endif
