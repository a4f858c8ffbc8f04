/*
 * A small renderer that stands in for an image generator: it makes the same picture from the same
 * request, on every machine, in the time that one step of a real one takes. The pictures are
 * landscapes, whose PNG files compress like generated images do and carry an infotext as the
 * AUTOMATIC1111 web UI writes it.
 *
 * All arithmetic is on integers, so the pixels are the same everywhere. The bytes of the file are
 * the same wherever libpng and zlib are.
 */
#ifndef RENDER_RENDER_H
#define RENDER_RENDER_H

#include <jini/error.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RENDER_SIDE_MIN = 8,
    RENDER_SIDE_MAX = 8192,
    RENDER_STEPS_MAX = 1000,
    RENDER_TEXT_BYTES_MAX = 65536
};

/*
 * What to draw. Texts are UTF-8, end in NUL, are borrowed for the length of the call, and have at
 * most RENDER_TEXT_BYTES_MAX bytes. Every member changes the picture. Words of the prompt choose
 * among what can be drawn: night, dawn, dusk, sunset, winter, snow, desert; lake, sea, meadow,
 * dunes.
 */
struct render_request {
    uint64_t seed;
    uint32_t width;  /* pixels, RENDER_SIDE_MIN to RENDER_SIDE_MAX */
    uint32_t height; /* likewise */
    uint32_t steps;  /* 1 to RENDER_STEPS_MAX */
    const char *prompt;
    const char *negative; /* "" for none */
    const char *model;    /* a name, not empty */
};

/* Seed 1, 512 x 512, 20 steps, empty texts, a model's name. */
void render_request_init(struct render_request *request);

/* A PNG file in memory. */
struct render_image {
    uint8_t *bytes;
    size_t length;
};

/*
 * Draws and encodes one picture. `out` belongs to the caller and is freed by render_image_free().
 * Takes 100 bytes a column and the file's size in memory. Any thread, many at once. JINI_E_INVALID:
 * a member is out of its range; `error` (may be NULL) names it. JINI_E_NO_MEMORY. `out` is then all
 * zero.
 */
int render_image(const struct render_request *request, struct render_image *out,
                 struct jini_error *error);

/* Takes an image that is all zero. */
void render_image_free(struct render_image *image);

/*
 * The pixels alone: rows from the top, red, green and blue a byte each, 3 * width * height bytes.
 * Errors as above.
 */
int render_pixels(const struct render_request *request, uint8_t *pixels, struct jini_error *error);

/* The infotext of a request, which the caller frees by free(). Errors as above. */
int render_infotext(const struct render_request *request, char **out, struct jini_error *error);

#endif
