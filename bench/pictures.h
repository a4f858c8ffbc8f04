/* PNG files of a wanted size that differ from each other: noise, and a text with a number. */
#ifndef BENCH_PICTURES_H
#define BENCH_PICTURES_H

#include <stddef.h>
#include <stdint.h>

struct picture {
    uint8_t *bytes;
    size_t length;
    size_t text_at; /* where the chunk with the number begins */
};

/* Makes a valid picture of about `length` bytes; to be freed by picture_free(). */
void picture_make(struct picture *picture, size_t length, uint64_t seed);
void picture_free(struct picture *picture);

/* Gives it another number: the bytes and their checksum change in one place. */
void picture_number(struct picture *picture, uint64_t number);

#endif
