/*
 * Painting one row: sky, ridges from the farthest to the nearest, trees, ground, grain. Weights are
 * in 1/256. The sky is smooth and the land is rough, as in a generated picture, and that sets what
 * its PNG weighs.
 */
#include "render/paint.h"

#include <stdlib.h>
#include <string.h>

enum { GRAIN_REACH = 3 };

/* A row under way: what is the same in all its columns. */
struct line {
    int32_t y; /* scene coordinate */
    uint32_t number;
    struct colour sky;
    int32_t water_y; /* what the lake mirrors here */
    struct colour water;
};

static int32_t clamp(int32_t value, int32_t least, int32_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* Floor of value / 2^bits, also for negative ones, whose shift C leaves to the compiler. */
static int32_t shift_down(int32_t value, unsigned bits)
{
    return (int32_t)(((uint32_t)value + UINT32_C(0x80000000)) >> bits) -
           (int32_t)(UINT32_C(0x80000000) >> bits);
}

static struct colour mix(struct colour from, struct colour to, int32_t weight)
{
    int32_t rest = 256 - weight;
    return (struct colour){(from.red * rest + to.red * weight) / 256,
                           (from.green * rest + to.green * weight) / 256,
                           (from.blue * rest + to.blue * weight) / 256};
}

static struct colour shade(struct colour colour, int32_t light)
{
    return (struct colour){colour.red + light, colour.green + light, colour.blue + light};
}

/* How much of the pixel at `y` lies below `edge`, so that outlines have no stairs. */
static int32_t covered(const struct scene *scene, int32_t y, int32_t edge)
{
    int32_t step = (int32_t)scene->row.step;
    int32_t below = y - edge + step / 2;
    if (below <= 0)
        return 0;
    return below >= step ? 256 : below * 256 / step;
}

static struct colour sky_at(const struct scene *scene, int32_t y)
{
    const struct palette *palette = scene->palette;
    int32_t down = clamp(y / (scene->shore / 256 + 1), 0, 256);
    return mix(palette->zenith, palette->horizon, down * down / 256 / 2 + down / 2);
}

static struct colour add_sun(const struct scene *scene, struct colour sky, int32_t x, int32_t y)
{
    int32_t dx = (x - scene->sun_x) / 64;
    int32_t dy = (y - scene->sun_y) / 64;
    uint32_t distance = (uint32_t)(dx * dx) + (uint32_t)(dy * dy);
    uint32_t radius = (uint32_t)scene->sun_radius / 64;
    uint32_t area = radius * radius;
    struct colour glow = scene->palette->glow;
    /* It ends where it would be one step in a hundred, so that the sky beyond is even. */
    int32_t near = (int32_t)(area * 600 / (distance + area * 3)) - 10;
    if (near <= 0)
        return sky;
    sky = mix(sky, glow, near);
    if (distance > area)
        return sky;
    return mix(sky, shade(glow, 12), clamp((int32_t)((area - distance) * 2048 / area), 0, 256));
}

static struct colour add_stars(const struct scene *scene, struct colour sky, uint32_t x, uint32_t y)
{
    uint32_t hash = noise_hash(x, y, scene->salt ^ 0x57A2);
    if ((int32_t)(hash % 4096) >= scene->palette->stars)
        return sky;
    return mix(sky, (struct colour){255, 250, 240}, (int32_t)(hash >> 24));
}

static struct colour add_clouds(const struct painter *painter, struct colour sky, uint32_t x)
{
    int32_t density = painter->clouds[x] + painter->scene->clouds - 290;
    if (density <= 0)
        return sky;
    struct colour cloud = shade(painter->scene->palette->cloud, -density / 6);
    return mix(sky, cloud, clamp(density * 3, 0, 220));
}

/*
 * Roughness of the land, in 1/256; each channel has some of its own, as the grain of a photograph
 * has.
 */
static struct colour grain(const struct painter *painter, struct colour colour, uint32_t x,
                           int32_t strength)
{
    const int32_t *detail = painter->detail + x;
    int32_t all = detail[0] * 3;
    colour.red += (all + detail[1] - 512) * strength / 1024;
    colour.green += (all + detail[2] - 512) * strength / 1024;
    colour.blue += (all + detail[3] - 512) * strength / 1024;
    return colour;
}

/*
 * On which side the sun stands of a column: from -256, far to the left, to 256, far to the right.
 */
static int32_t sun_side(const struct scene *scene, uint32_t x)
{
    return clamp((scene->sun_x - (int32_t)(x * scene->row.step)) / 512, -256, 256);
}

/* A column of a ridge: haze by its layer, relief by the noise, snow above a line. */
static struct colour rock_at(const struct painter *painter, int layer, int32_t y, uint32_t x)
{
    const struct scene *scene = painter->scene;
    const struct palette *palette = scene->palette;
    int32_t top = scene->ridges[layer][x];
    int32_t near = 256 * (layer + 1) / RENDER_RIDGES;
    struct colour rock = mix(palette->far_rock, palette->near_rock, near * near / 256);
    uint32_t beside = x > 2 ? x - 3 : x;
    int32_t relief = (painter->rock[x] - painter->rock[beside]) * sun_side(scene, x) / 128;
    int32_t deep = (y - top) / (scene->shore / 1024 + 1);
    int32_t snow = palette->snow - deep * 2 + (painter->rock[x] - 128) / 2 - layer * 24;
    if (snow > 0)
        rock =
            mix(rock, (struct colour){236, 240, 248}, clamp(snow * 4, 0, 200) * (320 - near) / 320);
    struct colour lit =
        grain(painter, shade(rock, clamp(relief * near / 160, -60, 60)), x, near / 4);
    return mix(lit, palette->horizon, clamp(deep / 3 - 20, 0, 90) * (300 - near) / 300);
}

static struct colour lake_at(const struct painter *painter, const struct line *line, uint32_t x)
{
    const struct scene *scene = painter->scene;
    int32_t ripple = painter->ground[x] - 128;
    int32_t depth = line->y - scene->shore;
    int32_t mirrored = line->water_y + shift_down(ripple * (depth / 64 + 64), 4);
    struct colour water = line->water;
    for (int layer = 0; layer < RENDER_RIDGES; layer++) {
        if (mirrored > scene->ridges[layer][x]) {
            int32_t near = 256 * (layer + 1) / RENDER_RIDGES;
            water = mix(scene->palette->far_rock, scene->palette->near_rock, near * near / 256);
        }
    }
    if (mirrored > scene->trees[x])
        water = scene->palette->tree;
    water = mix(water, scene->palette->zenith, 60 + clamp(depth / 4096, 0, 60));
    water = grain(painter, shade(water, ripple * 3 / 8 - 8), x, 40);
    int32_t off = ((int32_t)(x * scene->row.step) - scene->sun_x) / 256;
    int32_t glitter = ripple * 5 - (off < 0 ? -off : off) * 3 / 2 + 60;
    return glitter > 0 ? mix(water, scene->palette->glow, clamp(glitter, 0, 200)) : water;
}

/* Light on a crest: the side that falls off towards the sun has more of it. */
static int32_t slope_light(const struct scene *scene, const int32_t *crests, uint32_t x)
{
    uint32_t left = x > 2 ? x - 3 : 0;
    uint32_t right = x + 3 < scene->row.width ? x + 3 : scene->row.width - 1;
    int32_t fall = (crests[right] - crests[left]) * 24 / (int32_t)scene->row.step;
    return clamp(fall, -64, 64) * sun_side(scene, x) / 128;
}

static struct colour land_at(const struct painter *painter, const struct line *line, uint32_t x)
{
    const struct scene *scene = painter->scene;
    const struct palette *palette = scene->palette;
    int hill = RENDER_HILLS - 1;
    while (hill > 0 && line->y < scene->hills[hill][x])
        hill--;
    int32_t near = 256 * (hill + 1) / RENDER_HILLS;
    int32_t deep = clamp((line->y - scene->hills[hill][x]) / 2048, 0, 64);
    int32_t wave = painter->ground[x] - 124;
    struct colour ground = mix(mix(palette->ground, palette->horizon, 80), palette->ground, near);
    int32_t light = slope_light(scene, scene->hills[hill], x) * (80 - deep) / 80 + 12 - deep / 2;
    int32_t contrast = 96 + (ground.red + ground.green + ground.blue) / 4;
    light = light * contrast / 256;
    if (scene->ground == RENDER_DUNES)
        return grain(painter, shade(ground, light + wave * contrast / 1200), x,
                     contrast * near / 1024);
    struct colour grass = shade(ground, light + wave * contrast / 900);
    grass.red += wave / 8;
    uint32_t hash = noise_hash(x, line->number, scene->salt ^ 0xF10);
    if (hash % 1024 < 5 && wave > 10)
        return mix(grass, palette->glow, 120);
    return grain(painter, grass, x, contrast * near / 512);
}

static struct colour sky_pixel(const struct painter *painter, const struct line *line, uint32_t x)
{
    const struct scene *scene = painter->scene;
    struct colour colour = add_sun(scene, line->sky, (int32_t)(x * scene->row.step), line->y);
    if (scene->palette->stars)
        colour = add_stars(scene, colour, x, line->number);
    return add_clouds(painter, colour, x);
}

/* Sky and ridges: the nearest that covers the pixel, then the edges of those before it. */
static struct colour above_at(const struct painter *painter, const struct line *line, uint32_t x)
{
    const struct scene *scene = painter->scene;
    if (line->y < scene->sky_end)
        return sky_pixel(painter, line, x);
    int layer = RENDER_RIDGES - 1;
    while (layer >= 0 && covered(scene, line->y, scene->ridges[layer][x]) < 256)
        layer--;
    struct colour colour =
        layer >= 0 ? rock_at(painter, layer, line->y, x) : sky_pixel(painter, line, x);
    for (layer++; layer < RENDER_RIDGES; layer++) {
        int32_t cover = covered(scene, line->y, scene->ridges[layer][x]);
        if (cover > 0)
            colour = mix(colour, rock_at(painter, layer, line->y, x), cover);
    }
    return colour;
}

static struct colour pixel_at(const struct painter *painter, const struct line *line, uint32_t x)
{
    const struct scene *scene = painter->scene;
    if (line->y < scene->sky_end)
        return above_at(painter, line, x);
    struct colour colour = {0};
    int32_t ground = covered(scene, line->y, scene->hills[0][x]);
    if (ground < 256)
        colour = above_at(painter, line, x);
    if (ground > 0)
        colour = mix(colour,
                     scene->ground == RENDER_LAKE ? lake_at(painter, line, x)
                                                  : land_at(painter, line, x),
                     ground);
    int32_t foot = scene->hills[0][x] + (int32_t)scene->row.step * 2;
    int32_t tree = line->y > foot ? 0 : covered(scene, line->y, scene->trees[x]);
    return tree > 0 ? mix(colour, grain(painter, scene->palette->tree, x, 48), tree) : colour;
}

/* Makes the noises of a row that it needs. */
static void make_noise(struct painter *painter, const struct line *line)
{
    const struct scene *scene = painter->scene;
    uint32_t y = (uint32_t)line->y;
    uint32_t salt = scene->salt;
    const struct noise_row *row = &scene->row;
    if (line->y < scene->shore)
        noise_fractal(row, (struct noise_cell){1100, 330, salt ^ 0xC10D}, y, 128, 5,
                      painter->clouds);
    if (line->y < scene->sky_end)
        return;
    if (line->y < scene->shore)
        noise_fractal(row, (struct noise_cell){260, 200, salt ^ 0x20CC}, y, 128, 5, painter->rock);
    uint32_t depth = line->y > scene->shore ? (uint32_t)(line->y - scene->shore) / 1024 : 0;
    struct noise_cell ground = {600, 160, salt ^ 0x62D};
    if (scene->ground == RENDER_LAKE)
        ground = (struct noise_cell){160 + depth * 2, 10 + depth / 6, salt ^ 0x62D};
    else if (scene->ground == RENDER_DUNES)
        ground = (struct noise_cell){420, 40, salt ^ 0x62D};
    noise_fractal(row, ground, y, 128, 4, painter->ground);
    memset(painter->detail, 0, row->width * sizeof(int32_t));
    noise_octave(row, &(struct noise_cell){1, 1, salt ^ 0xDE7A}, y, 256, painter->detail);
    for (uint32_t i = 0; i < GRAIN_REACH; i++)
        painter->detail[row->width + i] = painter->detail[row->width / 2 + i];
}

int render_painter_init(struct painter *painter, const struct scene *scene)
{
    memset(painter, 0, sizeof(*painter));
    size_t width = scene->row.width + GRAIN_REACH;
    painter->clouds = calloc(width * 4, sizeof(int32_t));
    if (!painter->clouds)
        return JINI_E_NO_MEMORY;
    painter->rock = painter->clouds + width;
    painter->ground = painter->rock + width;
    painter->detail = painter->ground + width;
    painter->scene = scene;
    return 0;
}

void render_painter_free(struct painter *painter)
{
    free(painter->clouds);
    memset(painter, 0, sizeof(*painter));
}

void render_painter_row(struct painter *painter, uint32_t y, uint8_t *pixels)
{
    const struct scene *scene = painter->scene;
    struct line line = {.y = (int32_t)(y * scene->row.step), .number = y};
    line.sky = sky_at(scene, line.y);
    line.water_y = 2 * scene->shore - line.y;
    line.water = sky_at(scene, line.water_y > 0 ? line.water_y : 0);
    make_noise(painter, &line);
    for (uint32_t x = 0; x < scene->row.width; x++) {
        struct colour colour = pixel_at(painter, &line, x);
        *pixels++ = (uint8_t)clamp(colour.red, 0, 255);
        *pixels++ = (uint8_t)clamp(colour.green, 0, 255);
        *pixels++ = (uint8_t)clamp(colour.blue, 0, 255);
    }
}
