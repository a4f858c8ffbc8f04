/* Choosing light, ground, sun, ridges and trees from a request. */
#include "render/scene.h"

#include <stdlib.h>
#include <string.h>

static const struct palette palettes[] = {
    {{"noon", "day", "summer"},
     {58, 116, 190},
     {190, 214, 232},
     {255, 246, 214},
     {244, 247, 250},
     {158, 182, 206},
     {74, 84, 76},
     {96, 128, 58},
     {34, 58, 36},
     0,
     70},
    {{"dawn", "sunrise", "morning"},
     {84, 110, 168},
     {250, 206, 176},
     {255, 226, 176},
     {252, 214, 206},
     {190, 164, 182},
     {86, 72, 88},
     {112, 118, 72},
     {44, 48, 52},
     0,
     90},
    {{"dusk", "sunset", "evening"},
     {46, 42, 94},
     {246, 140, 84},
     {255, 202, 122},
     {236, 130, 112},
     {156, 92, 110},
     {50, 34, 54},
     {78, 62, 52},
     {24, 20, 32},
     2,
     60},
    {{"night", "moon", "stars"},
     {10, 14, 38},
     {48, 66, 110},
     {228, 234, 250},
     {70, 84, 120},
     {40, 54, 92},
     {14, 20, 36},
     {24, 36, 44},
     {6, 10, 18},
     14,
     100},
    {{"winter", "snow", "ice"},
     {120, 156, 192},
     {226, 234, 240},
     {255, 250, 236},
     {250, 252, 254},
     {186, 202, 218},
     {92, 104, 122},
     {206, 216, 226},
     {44, 60, 66},
     0,
     230},
    {{"desert", "dunes", "golden"},
     {92, 150, 196},
     {246, 224, 180},
     {255, 240, 196},
     {252, 238, 218},
     {214, 176, 148},
     {138, 84, 58},
     {206, 158, 96},
     {82, 74, 44},
     0,
     0},
};

static const char *const ground_words[RENDER_GROUNDS][3] = {
    {"lake", "sea", "water"}, {"meadow", "grass", "field"}, {"dunes", "desert", "sand"}};

static bool any_word(const char *prompt, const char *const words[3])
{
    for (int i = 0; i < 3; i++) {
        if (strstr(prompt, words[i]))
            return true;
    }
    return false;
}

/* A number from `least` to `most`, another for every `what`. */
static int32_t choose(const struct scene *scene, uint32_t what, int32_t least, int32_t most)
{
    return least + (int32_t)(noise_hash(what, 77, scene->salt) % (uint32_t)(most - least + 1));
}

static void choose_light(struct scene *scene, const char *prompt)
{
    size_t count = sizeof(palettes) / sizeof(palettes[0]);
    scene->palette = &palettes[choose(scene, 1, 0, (int32_t)count - 1)];
    for (size_t i = 0; i < count; i++) {
        if (any_word(prompt, palettes[i].words)) {
            scene->palette = &palettes[i];
            break;
        }
    }
    scene->ground = (enum render_ground)choose(scene, 2, 0, RENDER_GROUNDS - 1);
    for (int i = 0; i < RENDER_GROUNDS; i++) {
        if (any_word(prompt, ground_words[i])) {
            scene->ground = (enum render_ground)i;
            break;
        }
    }
}

/*
 * The tops of a ridge: noise of its own, far ridges smooth and high, near ones rough. `height` is
 * the picture's in scene coordinates.
 */
static void raise_ridge(struct scene *scene, int layer, int32_t height)
{
    struct noise_cell cell = {.width = (uint32_t)choose(scene, 10 + (uint32_t)layer, 700, 1500),
                              .height = 1,
                              .salt = noise_hash((uint32_t)layer, 3, scene->salt)};
    int32_t relief = (scene->ground == RENDER_DUNES ? 3 : 5) * height / 24;
    int32_t *tops = scene->ridges[layer];
    noise_fractal(&scene->row, cell, 0, (uint32_t)(relief >> 4), 7, tops);
    int32_t foot = scene->shore - (RENDER_RIDGES - 1 - layer) * height / 28;
    for (uint32_t x = 0; x < scene->row.width; x++)
        tops[x] = foot - (tops[x] - (relief >> 6)) * (20 - 3 * layer);
}

static int64_t clamp_column(const struct scene *scene, int64_t x)
{
    return x < 0 ? 0 : x < scene->row.width ? x : scene->row.width - 1;
}

/* The crests of the land before the ridges: long waves, lower and larger the nearer they are. */
static void raise_hill(struct scene *scene, int hill, int32_t height)
{
    int32_t *crests = scene->hills[hill];
    int32_t wave = height / (44 - 12 * hill) * (scene->ground == RENDER_DUNES ? 2 : 1);
    if (scene->ground == RENDER_LAKE)
        wave = 0;
    int32_t foot = scene->shore + (height - scene->shore) / 100 * hill * 28;
    struct noise_cell cell = {.width = (uint32_t)choose(scene, 20 + (uint32_t)hill, 900, 1700),
                              .height = 1,
                              .salt = noise_hash((uint32_t)hill, 4, scene->salt)};
    noise_fractal(&scene->row, cell, 0, 4096, 2, crests);
    for (uint32_t x = 0; x < scene->row.width; x++)
        crests[x] = foot - (crests[x] - 3072) * (wave / 256) / 16;
}

/* A fir of a height around a middle: its outline steps in and out as branches do. */
static void plant_tree(struct scene *scene, int64_t middle, int32_t height, uint32_t salt)
{
    int32_t half = height / 4;
    int64_t step = scene->row.step;
    int64_t first = middle > half ? (middle - half) / step : 0;
    int32_t foot = scene->hills[0][clamp_column(scene, middle / step)] + height / 16;
    for (int64_t x = first; x < scene->row.width && x * step < middle + half; x++) {
        int64_t distance = x * step > middle ? x * step - middle : middle - x * step;
        if (distance >= half)
            continue;
        int64_t top = (int64_t)height * (half - distance) / half;
        int64_t branch = height / 14 + 1;
        int64_t into = top % branch;
        top -= into * 2 -
               (int64_t)(noise_hash((uint32_t)(x * step / 1024), salt, 9) % 256) * branch / 512;
        int32_t place = foot - (int32_t)top;
        if (scene->trees[x] > place)
            scene->trees[x] = place;
    }
}

static void plant_trees(struct scene *scene, int32_t height)
{
    int64_t across = (int64_t)scene->row.width * scene->row.step;
    int32_t count = scene->ground == RENDER_DUNES ? 0 : choose(scene, 30, 20, 90);
    int32_t tallest = height / choose(scene, 31, 7, 14);
    int64_t gap_begin = across * choose(scene, 32, 10, 45) / 100;
    int64_t gap_end = gap_begin + across * choose(scene, 33, 15, 40) / 100;
    for (uint32_t x = 0; x < scene->row.width; x++)
        scene->trees[x] = INT32_MAX;
    for (int32_t i = 0; i < count; i++) {
        uint32_t salt = noise_hash((uint32_t)i, 5, scene->salt);
        int64_t middle = across * (salt % 1024) / 1024;
        int32_t size = tallest / 3 + (int32_t)((salt >> 10) % (uint32_t)(tallest * 2 / 3 + 1));
        bool gap = middle > gap_begin && middle < gap_end;
        plant_tree(scene, middle, gap ? size / 4 : size, salt);
    }
}

/* Rows above it are sky alone and need no other noise. */
static void find_sky_end(struct scene *scene)
{
    scene->sky_end = scene->shore;
    for (uint32_t x = 0; x < scene->row.width; x++) {
        for (int i = 0; i < RENDER_RIDGES; i++) {
            if (scene->ridges[i][x] < scene->sky_end)
                scene->sky_end = scene->ridges[i][x];
        }
        if (scene->trees[x] < scene->sky_end)
            scene->sky_end = scene->trees[x];
        if (scene->hills[0][x] < scene->sky_end)
            scene->sky_end = scene->hills[0][x];
    }
    scene->sky_end -= 2 * (int32_t)scene->row.step;
}

int render_scene_init(struct scene *scene, const struct render_request *request)
{
    memset(scene, 0, sizeof(*scene));
    uint32_t longer = request->width > request->height ? request->width : request->height;
    uint64_t mixed = noise_mix(request->seed);
    mixed = noise_mix_text(mixed, request->prompt);
    mixed = noise_mix_text(mixed, request->negative);
    mixed = noise_mix_text(mixed, request->model);
    mixed = noise_mix(mixed ^ request->steps);
    scene->salt = (uint32_t)(mixed ^ mixed >> 32);
    scene->row.width = request->width;
    scene->row.step = NOISE_SCENE * NOISE_UNIT / longer;
    size_t numbers = request->width + 3;
    scene->row.lattice = malloc(numbers * sizeof(uint32_t) * (2 + RENDER_RIDGES + RENDER_HILLS));
    if (!scene->row.lattice)
        return JINI_E_NO_MEMORY;
    int32_t *room = (int32_t *)(scene->row.lattice + numbers);
    for (int i = 0; i < RENDER_RIDGES; i++, room += numbers)
        scene->ridges[i] = room;
    for (int i = 0; i < RENDER_HILLS; i++, room += numbers)
        scene->hills[i] = room;
    scene->trees = room;
    int32_t height = (int32_t)(request->height * scene->row.step);
    int32_t across = (int32_t)(request->width * scene->row.step);
    choose_light(scene, request->prompt);
    scene->shore = height / 100 * choose(scene, 3, 52, 66);
    scene->sun_x = across / 100 * choose(scene, 4, 15, 85);
    scene->sun_y = height / 100 * choose(scene, 5, 10, 40);
    scene->sun_radius = NOISE_UNIT * choose(scene, 6, 70, 150);
    scene->clouds = choose(scene, 7, 90, 190);
    for (int i = 0; i < RENDER_RIDGES; i++)
        raise_ridge(scene, i, height);
    for (int i = 0; i < RENDER_HILLS; i++)
        raise_hill(scene, i, height);
    plant_trees(scene, height);
    find_sky_end(scene);
    return 0;
}

void render_scene_free(struct scene *scene)
{
    free(scene->row.lattice);
    memset(scene, 0, sizeof(*scene));
}
