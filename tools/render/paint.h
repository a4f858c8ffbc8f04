/* From a scene to rows of pixels. */
#ifndef RENDER_PAINT_H
#define RENDER_PAINT_H

#include "render/scene.h"

/* The noises of one row, each a number a column. */
struct painter {
    const struct scene *scene;
    int32_t *clouds;
    int32_t *rock;
    int32_t *ground;
    int32_t *detail;
};

/* Borrows the scene. JINI_E_NO_MEMORY. */
int render_painter_init(struct painter *painter, const struct scene *scene);
void render_painter_free(struct painter *painter);

/* Paints row `y` of the picture into 3 * width bytes. Rows may be painted in any order. */
void render_painter_row(struct painter *painter, uint32_t y, uint8_t *pixels);

#endif
