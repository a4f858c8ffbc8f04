/* From rows of pixels to a PNG file in memory, by libpng. */
#ifndef RENDER_ENCODE_H
#define RENDER_ENCODE_H

#include "render/paint.h"

/*
 * Encodes a whole scene with `infotext` (UTF-8) as its text `parameters`: a tEXt chunk when Latin-1
 * has all its characters, else an iTXt, as Pillow chooses; and compressed as Pillow does by
 * default: level 6, filtered strategy, memory level 9, IDAT chunks of 64 KiB. JINI_E_NO_MEMORY;
 * `out` is then all zero.
 */
int render_encode(struct painter *painter, uint32_t height, const char *infotext,
                  struct render_image *out);

#endif
