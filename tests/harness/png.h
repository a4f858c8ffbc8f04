/*
 * PNG files for tests, made without any library: grey noise in stored deflate blocks, and texts.
 * The same request gives the same bytes.
 */
#ifndef HARNESS_PNG_H
#define HARNESS_PNG_H

#include <stddef.h>
#include <stdint.h>

struct png_request {
    uint32_t width;
    uint32_t height;
    uint64_t seed;
    const char *parameters; /* tEXt "parameters"; NULL: none */
    const char *workflow;   /* tEXt "workflow"; NULL: none */
};

/* The file, to be freed by free(); its length to `length`. Ends the process when out of memory. */
uint8_t *png_make(const struct png_request *request, size_t *length);

/* The same with noise of so many greys (1 to 256): the fewer, the better the file compresses. */
uint8_t *png_make_greys(const struct png_request *request, unsigned greys, size_t *length);

#endif
