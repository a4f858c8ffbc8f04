/*
 * Value noise. The mixers are those of splitmix64 (Steele, Lea, Flood 2014) and MurmurHash3
 * (Appleby).
 */
#include "render/noise.h"

#include <string.h>

enum { FRACTION_BITS = 16 };

uint32_t noise_hash(uint32_t x, uint32_t y, uint32_t salt)
{
    uint32_t h = x * UINT32_C(0x9E3779B1) ^ y * UINT32_C(0x85EBCA77) ^ salt;
    h = (h ^ h >> 16) * UINT32_C(0x85EBCA6B);
    h = (h ^ h >> 13) * UINT32_C(0xC2B2AE35);
    return h ^ h >> 16;
}

uint64_t noise_mix(uint64_t value)
{
    value += UINT64_C(0x9E3779B97F4A7C15);
    value = (value ^ value >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ value >> 27) * UINT64_C(0x94D049BB133111EB);
    return value ^ value >> 31;
}

uint64_t noise_mix_text(uint64_t value, const char *text)
{
    for (; *text; text++)
        value = noise_mix(value ^ (uint8_t)*text);
    return noise_mix(value);
}

/* (3 t^2 - 2 t^3) * 256 for t = i / 256, so that the noise has no visible edges at its knots. */
static const uint16_t weights[256] = {
    0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   1,   1,   1,   1,   2,   2,   2,   3,   3,
    4,   4,   4,   5,   5,   6,   6,   7,   7,   8,   9,   9,   10,  11,  11,  12,  13,  13,  14,
    15,  16,  16,  17,  18,  19,  20,  20,  21,  22,  23,  24,  25,  26,  27,  28,  29,  30,  31,
    32,  33,  34,  35,  36,  37,  38,  40,  41,  42,  43,  44,  45,  46,  48,  49,  50,  51,  53,
    54,  55,  56,  58,  59,  60,  61,  63,  64,  65,  67,  68,  69,  71,  72,  74,  75,  76,  78,
    79,  81,  82,  83,  85,  86,  88,  89,  90,  92,  93,  95,  96,  98,  99,  101, 102, 104, 105,
    107, 108, 110, 111, 113, 114, 116, 117, 119, 120, 122, 123, 125, 126, 128, 129, 130, 132, 133,
    135, 136, 138, 139, 141, 142, 144, 145, 147, 148, 150, 151, 153, 154, 156, 157, 159, 160, 162,
    163, 165, 166, 167, 169, 170, 172, 173, 175, 176, 177, 179, 180, 181, 183, 184, 186, 187, 188,
    190, 191, 192, 194, 195, 196, 197, 199, 200, 201, 202, 204, 205, 206, 207, 209, 210, 211, 212,
    213, 214, 216, 217, 218, 219, 220, 221, 222, 223, 224, 225, 226, 227, 228, 229, 230, 231, 232,
    233, 234, 235, 235, 236, 237, 238, 239, 239, 240, 241, 242, 242, 243, 244, 245, 245, 246, 246,
    247, 248, 248, 249, 249, 250, 250, 251, 251, 251, 252, 252, 253, 253, 253, 254, 254, 254, 254,
    255, 255, 255, 255, 255, 255, 255, 255, 255};

void noise_octave(const struct noise_row *row, const struct noise_cell *cell, uint32_t y,
                  uint32_t amplitude, int32_t *out)
{
    uint32_t advance =
        (uint32_t)(((uint64_t)row->step << FRACTION_BITS) / NOISE_UNIT / cell->width);
    if (advance > 1 << FRACTION_BITS)
        advance = 1 << FRACTION_BITS;
    uint64_t place = ((uint64_t)y << FRACTION_BITS) / NOISE_UNIT / cell->height;
    uint32_t line = (uint32_t)(place >> FRACTION_BITS);
    uint32_t below = weights[place >> (FRACTION_BITS - 8) & 255];
    uint32_t knots = (uint32_t)((uint64_t)row->width * advance >> FRACTION_BITS) + 2;
    for (uint32_t i = 0; i < knots; i++) {
        uint32_t value = noise_hash(i, line, cell->salt) >> 16;
        if (below > 0) {
            uint32_t lower = noise_hash(i, line + 1, cell->salt) >> 16;
            value = (value * (256 - below) + lower * below) >> 8;
        }
        row->lattice[i] = (uint32_t)((uint64_t)value * amplitude >> 16);
    }
    if (advance == 1 << FRACTION_BITS) {
        for (uint32_t x = 0; x < row->width; x++)
            out[x] += (int32_t)row->lattice[x];
        return;
    }
    uint32_t position = 0;
    for (uint32_t x = 0; x < row->width; x++) {
        const uint32_t *knot = row->lattice + (position >> FRACTION_BITS);
        uint32_t beside = weights[position >> (FRACTION_BITS - 8) & 255];
        out[x] += (int32_t)((knot[0] * (256 - beside) + knot[1] * beside) >> 8);
        position += advance;
    }
}

void noise_fractal(const struct noise_row *row, struct noise_cell cell, uint32_t y,
                   uint32_t amplitude, unsigned octaves, int32_t *out)
{
    memset(out, 0, row->width * sizeof(*out));
    for (unsigned i = 0; i < octaves; i++) {
        noise_octave(row, &cell, y, amplitude, out);
        cell.width = cell.width > 1 ? cell.width / 2 : 1;
        cell.height = cell.height > 1 ? cell.height / 2 : 1;
        cell.salt = noise_hash(cell.salt, i, 0x5EED);
        amplitude /= 2;
    }
}
