/* Checking a request, and the steps from it to a file. */
#include "render/render.h"

#include "render/encode.h"
#include "render/infotext.h"
#include "render/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void render_request_init(struct render_request *request)
{
    *request = (struct render_request){.seed = 1,
                                       .width = 512,
                                       .height = 512,
                                       .steps = 20,
                                       .prompt = "",
                                       .negative = "",
                                       .model = "landscape-v1"};
}

static int fail(struct jini_error *error, int code, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int fail(struct jini_error *error, int code, const char *field, const char *format, ...)
{
    if (!error)
        return code;
    memset(error, 0, sizeof(*error));
    error->code = code;
    snprintf(error->field, sizeof(error->field), "%s", field);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return code;
}

static int no_memory(struct jini_error *error)
{
    return fail(error, JINI_E_NO_MEMORY, "memory", "no memory for the picture: make a smaller one");
}

static int check_side(uint32_t pixels, const char *field, struct jini_error *error)
{
    if (pixels >= RENDER_SIDE_MIN && pixels <= RENDER_SIDE_MAX)
        return 0;
    return fail(error, JINI_E_INVALID, field, "%u pixels of %s are not between %d and %d", pixels,
                field, RENDER_SIDE_MIN, RENDER_SIDE_MAX);
}

static int check_text(const char *text, const char *field, struct jini_error *error)
{
    if (!text)
        return fail(error, JINI_E_INVALID, field, "the %s is missing: give \"\" for none", field);
    if (strnlen(text, RENDER_TEXT_BYTES_MAX + 1) > RENDER_TEXT_BYTES_MAX)
        return fail(error, JINI_E_INVALID, field, "the %s has more than %d bytes", field,
                    RENDER_TEXT_BYTES_MAX);
    if (!render_text_is_valid(text))
        return fail(error, JINI_E_INVALID, field, "the %s is not UTF-8", field);
    return 0;
}

static int check(const struct render_request *request, struct jini_error *error)
{
    if (error)
        memset(error, 0, sizeof(*error));
    int status = check_side(request->width, "width", error);
    if (!status)
        status = check_side(request->height, "height", error);
    if (!status && (request->steps < 1 || request->steps > RENDER_STEPS_MAX))
        status = fail(error, JINI_E_INVALID, "steps", "%u steps are not between 1 and %d",
                      request->steps, RENDER_STEPS_MAX);
    if (!status)
        status = check_text(request->prompt, "prompt", error);
    if (!status)
        status = check_text(request->negative, "negative", error);
    if (!status)
        status = check_text(request->model, "model", error);
    if (!status && request->model[0] == '\0')
        status = fail(error, JINI_E_INVALID, "model", "the model has no name");
    return status;
}

int render_infotext(const struct render_request *request, char **out, struct jini_error *error)
{
    *out = NULL;
    int status = check(request, error);
    if (status)
        return status;
    return render_infotext_make(request, out) ? no_memory(error) : 0;
}

int render_pixels(const struct render_request *request, uint8_t *pixels, struct jini_error *error)
{
    struct scene scene = {0};
    struct painter painter = {0};
    int status = check(request, error);
    if (status)
        return status;
    status = render_scene_init(&scene, request);
    if (!status)
        status = render_painter_init(&painter, &scene);
    for (uint32_t y = 0; y < request->height && !status; y++)
        render_painter_row(&painter, y, pixels + (size_t)y * request->width * 3);
    render_painter_free(&painter);
    render_scene_free(&scene);
    return status ? no_memory(error) : 0;
}

int render_image(const struct render_request *request, struct render_image *out,
                 struct jini_error *error)
{
    struct scene scene = {0};
    struct painter painter = {0};
    char *infotext = NULL;
    *out = (struct render_image){0};
    int status = check(request, error);
    if (status)
        return status;
    status = render_infotext_make(request, &infotext);
    if (!status)
        status = render_scene_init(&scene, request);
    if (!status)
        status = render_painter_init(&painter, &scene);
    if (!status)
        status = render_encode(&painter, request->height, infotext, out);
    render_painter_free(&painter);
    render_scene_free(&scene);
    free(infotext);
    return status ? no_memory(error) : 0;
}

void render_image_free(struct render_image *image)
{
    free(image->bytes);
    *image = (struct render_image){0};
}
