/* The function of this name that the shim hides: libc's, or that of whatever stands between. */
#ifndef FAULTS_REAL_H
#define FAULTS_REAL_H

#include <dlfcn.h>

#define REAL(function)                                                                             \
    (__extension__({                                                                               \
        static __typeof__(&(function)) real_address;                                               \
        if (!real_address)                                                                         \
            real_address = (__typeof__(&(function)))dlsym(RTLD_NEXT, #function);                   \
        real_address;                                                                              \
    }))

#endif
