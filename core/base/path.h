/* Paths of files. */
#ifndef BASE_PATH_H
#define BASE_PATH_H

/*
 * The same path from the root, so that it means the same file when the process changes its working
 * directory. Nothing need be there, and symbolic links stay what they are. Ends with base_free().
 * NULL with errno: out of memory, or the working directory is gone.
 */
char *path_absolute(const char *path) __attribute__((malloc));

#endif
