/*
 * Assertions that stay on in release builds. They state what cannot be false unless this library is
 * wrong; bytes that come from a disk, a network or a caller are checked with errors instead.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

void assert_failed(const char *expression, const char *file, int line)
    __attribute__((noreturn, cold));

#define JINI_ASSERT(expression)                                                                    \
    (__builtin_expect(!!(expression), 1) ? (void)0 : assert_failed(#expression, __FILE__, __LINE__))

#endif
