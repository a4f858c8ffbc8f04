/* What a picture shows: everything that is decided once, before the first row is painted. */
#ifndef RENDER_SCENE_H
#define RENDER_SCENE_H

#include "render/noise.h"
#include "render/render.h"

#include <stdbool.h>

struct colour {
    int32_t red;
    int32_t green;
    int32_t blue;
};

enum render_ground { RENDER_LAKE, RENDER_MEADOW, RENDER_DUNES, RENDER_GROUNDS };

/* The light of an hour or a season. */
struct palette {
    const char *words[3]; /* of a prompt that ask for it */
    struct colour zenith;
    struct colour horizon;
    struct colour glow; /* around the sun, and the sun itself */
    struct colour cloud;
    struct colour far_rock; /* the haze of the farthest ridge */
    struct colour near_rock;
    struct colour ground;
    struct colour tree;
    int32_t stars; /* per mille of the sky's lattice */
    int32_t snow;  /* how far down snow lies, in 1/256 of the mountains' height */
};

enum { RENDER_RIDGES = 4, RENDER_HILLS = 3 };

/* Coordinates are those of noise.h. Heights grow downwards, as rows do. */
struct scene {
    const struct palette *palette;
    enum render_ground ground;
    uint32_t salt;
    struct noise_row row;
    int32_t shore; /* where the ground begins */
    int32_t sun_x;
    int32_t sun_y;
    int32_t sun_radius;
    int32_t clouds;                 /* how much of the noise is cloud, 0 to 256 */
    int32_t *ridges[RENDER_RIDGES]; /* the top of each ridge in every column, the farthest first */
    int32_t *hills[RENDER_HILLS];   /* the crests of the land, the farthest first; flat at a lake */
    int32_t *trees;                 /* the top of the tree line in every column */
    int32_t sky_end;                /* the first height at which a ridge stands in some column */
};

/* `request` is checked. JINI_E_NO_MEMORY. */
int render_scene_init(struct scene *scene, const struct render_request *request);

/* Takes a scene that is all zero. */
void render_scene_free(struct scene *scene);

#endif
