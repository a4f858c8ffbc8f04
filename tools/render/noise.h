/* Value noise on a lattice of hashed numbers, a row at a time, in integers. */
#ifndef RENDER_NOISE_H
#define RENDER_NOISE_H

#include <stdint.h>

/*
 * Scene units: the longer side of every picture is NOISE_SCENE units, so that the same scene fits
 * any size. A coordinate has 8 fractional bits.
 */
enum { NOISE_SCENE = 4096, NOISE_UNIT = 256 };

/* 32 well-mixed bits of three numbers. */
uint32_t noise_hash(uint32_t x, uint32_t y, uint32_t salt);

/* 64 well-mixed bits of 64, and of a text on top of them. */
uint64_t noise_mix(uint64_t value);
uint64_t noise_mix_text(uint64_t value, const char *text);

/* The pixels of a row, and room for a row of the lattice. */
struct noise_row {
    uint32_t width;
    uint32_t step;     /* scene coordinates from one pixel to the next */
    uint32_t *lattice; /* width + 3 numbers */
};

/* The lattice of one octave. */
struct noise_cell {
    uint32_t width; /* scene units from knot to knot */
    uint32_t height;
    uint32_t salt;
};

/*
 * Adds one octave at height `y` (a scene coordinate) to `out`: numbers from 0 to `amplitude`.
 * A cell narrower than a pixel is taken as one pixel wide.
 */
void noise_octave(const struct noise_row *row, const struct noise_cell *cell, uint32_t y,
                  uint32_t amplitude, int32_t *out);

/*
 * Writes `octaves` octaves to `out`, each with half the cell and half the amplitude of the one
 * before. The sum lies between 0 and twice `amplitude`, its mean is `amplitude` less that of the
 * octave left out.
 */
void noise_fractal(const struct noise_row *row, struct noise_cell cell, uint32_t y,
                   uint32_t amplitude, unsigned octaves, int32_t *out);

#endif
