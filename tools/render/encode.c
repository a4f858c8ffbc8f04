/*
 * libpng leaves by longjmp when something fails. So all that changes while it is at work lives in a
 * struct that the caller of the function with setjmp() owns, and that function has no variable of
 * its own.
 */
#include "render/encode.h"

#include "render/text.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

enum {
    COMPRESSION_LEVEL = 6,
    MEMORY_LEVEL = 9,
    STRATEGY_FILTERED = 1, /* Z_FILTERED */
    IDAT_BYTES = 65536
};

struct encoder {
    png_structp png;
    png_infop info;
    struct painter *painter;
    uint32_t height;
    uint32_t y;
    png_bytep row;
    png_text text;
    uint8_t *bytes;
    size_t length;
    size_t capacity;
};

static void fail(png_structp png, png_const_charp message)
{
    (void)message;
    png_longjmp(png, 1);
}

static void ignore_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void append(png_structp png, png_bytep data, size_t length)
{
    struct encoder *encoder = png_get_io_ptr(png);
    if (length > encoder->capacity - encoder->length) {
        size_t capacity = encoder->capacity + encoder->capacity / 2 + length + IDAT_BYTES;
        uint8_t *bytes = realloc(encoder->bytes, capacity);
        if (!bytes)
            png_error(png, "out of memory");
        encoder->bytes = bytes;
        encoder->capacity = capacity;
    }
    memcpy(encoder->bytes + encoder->length, data, length);
    encoder->length += length;
}

static void flush(png_structp png)
{
    (void)png;
}

/* 0, or -1 when libpng gave up; the bytes so far are the encoder's. */
static int run(struct encoder *encoder)
{
    if (setjmp(png_jmpbuf(encoder->png)))
        return -1;
    png_set_write_fn(encoder->png, encoder, append, flush);
    png_set_compression_level(encoder->png, COMPRESSION_LEVEL);
    png_set_compression_mem_level(encoder->png, MEMORY_LEVEL);
    png_set_compression_strategy(encoder->png, STRATEGY_FILTERED);
    png_set_compression_buffer_size(encoder->png, IDAT_BYTES);
    png_set_filter(encoder->png, PNG_FILTER_TYPE_BASE, PNG_ALL_FILTERS);
    png_set_IHDR(encoder->png, encoder->info, encoder->painter->scene->row.width, encoder->height,
                 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_BASE,
                 PNG_FILTER_TYPE_BASE);
    png_set_text(encoder->png, encoder->info, &encoder->text, 1);
    png_write_info(encoder->png, encoder->info);
    for (encoder->y = 0; encoder->y < encoder->height; encoder->y++) {
        render_painter_row(encoder->painter, encoder->y, encoder->row);
        png_write_row(encoder->png, encoder->row);
    }
    png_write_end(encoder->png, NULL);
    return 0;
}

static int set_text(struct encoder *encoder, const char *infotext, char **latin1)
{
    static char keyword[] = "parameters";
    static char empty[] = "";
    int status = render_text_to_latin1(infotext, latin1);
    if (status)
        return status;
    encoder->text.key = keyword;
    if (*latin1) {
        encoder->text.compression = PNG_TEXT_COMPRESSION_NONE;
        encoder->text.text = *latin1;
        encoder->text.text_length = strlen(*latin1);
        return 0;
    }
    encoder->text.compression = PNG_ITXT_COMPRESSION_NONE;
    encoder->text.text = (char *)infotext; /* libpng copies it */
    encoder->text.itxt_length = strlen(infotext);
    encoder->text.lang = empty;
    encoder->text.lang_key = empty;
    return 0;
}

int render_encode(struct painter *painter, uint32_t height, const char *infotext,
                  struct render_image *out)
{
    struct encoder encoder = {.painter = painter, .height = height};
    char *latin1 = NULL;
    *out = (struct render_image){0};
    int status = set_text(&encoder, infotext, &latin1);
    if (status)
        return status;
    status = JINI_E_NO_MEMORY;
    encoder.row = malloc((size_t)painter->scene->row.width * 3);
    encoder.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, fail, ignore_warning);
    encoder.info = encoder.png ? png_create_info_struct(encoder.png) : NULL;
    if (encoder.row && encoder.info && run(&encoder) == 0) {
        *out = (struct render_image){encoder.bytes, encoder.length};
        encoder.bytes = NULL;
        status = 0;
    }
    png_destroy_write_struct(&encoder.png, &encoder.info);
    free(encoder.bytes);
    free(encoder.row);
    free(latin1);
    return status;
}
