/*
 * The text that the AUTOMATIC1111 web UI writes beside a picture: the prompt, a line with the
 * negative prompt when there is one, and a line of pairs.
 */
#include "render/infotext.h"

#include "render/noise.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All that is written besides the request's texts is shorter than this. */
enum { FIXED_BYTES = 512, ESCAPE_BYTES = 6 };

/* Text under construction, in room that was sized for the longest that it can become. */
struct draft {
    char *text;
    size_t length;
    size_t capacity;
};

static void add(struct draft *draft, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct draft *draft, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length =
        vsnprintf(draft->text + draft->length, draft->capacity - draft->length, format, arguments);
    va_end(arguments);
    if (length > 0 && (size_t)length < draft->capacity - draft->length)
        draft->length += (size_t)length;
}

static void add_json_string(struct draft *draft, const char *text)
{
    add(draft, "\"");
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\')
            add(draft, "\\%c", byte);
        else if (byte == '\n')
            add(draft, "\\n");
        else if (byte == '\r')
            add(draft, "\\r");
        else if (byte == '\t')
            add(draft, "\\t");
        else if (byte < 0x20)
            add(draft, "\\u%04x", byte);
        else
            add(draft, "%c", byte);
    }
    add(draft, "\"");
}

/* A value is quoted when a comma, a line's end or a colon in it would end the pair. */
static void add_pair(struct draft *draft, const char *key, const char *value)
{
    add(draft, ", %s: ", key);
    if (strpbrk(value, ",\n:"))
        add_json_string(draft, value);
    else
        add(draft, "%s", value);
}

/* The ten digits that stand for the model's file: a hash of its name, as there is no file. */
static uint64_t model_hash(const char *model)
{
    return noise_mix_text(0, model) & UINT64_C(0xFFFFFFFFFF);
}

/* Takes white space off both ends, in place. */
static void strip(char *text)
{
    static const char spaces[] = " \t\n\v\f\r";
    size_t begin = strspn(text, spaces);
    size_t length = strlen(text);
    while (length > begin && strchr(spaces, text[length - 1]))
        length--;
    memmove(text, text + begin, length - begin);
    text[length - begin] = '\0';
}

int render_infotext_make(const struct render_request *request, char **text)
{
    struct draft draft = {.capacity = FIXED_BYTES + strlen(request->prompt) +
                                      strlen(request->negative) +
                                      ESCAPE_BYTES * strlen(request->model)};
    *text = NULL;
    draft.text = malloc(draft.capacity);
    if (!draft.text)
        return JINI_E_NO_MEMORY;
    draft.text[0] = '\0';
    add(&draft, "%s", request->prompt);
    if (request->negative[0])
        add(&draft, "\nNegative prompt: %s", request->negative);
    add(&draft, "\nSteps: %" PRIu32 ", Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: %" PRIu64,
        request->steps, request->seed);
    add(&draft, ", Size: %" PRIu32 "x%" PRIu32 ", Model hash: %010" PRIx64, request->width,
        request->height, model_hash(request->model));
    add_pair(&draft, "Model", request->model);
    add(&draft, ", Version: v1.8.0");
    strip(draft.text);
    *text = draft.text;
    return 0;
}
