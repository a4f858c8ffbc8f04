/* The files that images and their texts are written to. */
#ifndef JINI_CLI_IMAGE_FILE_H
#define JINI_CLI_IMAGE_FILE_H

#include <stddef.h>

/* "png" of "image/png"; "bin" for what is none of the types. Static. */
const char *image_file_extension(const char *media_type);

/*
 * All texts of raw metadata as one text: a line with keyword and length before each. To be freed;
 * NULL: out of memory.
 */
char *image_file_texts(const void *metadata, size_t length, size_t *texts_length);

#endif
