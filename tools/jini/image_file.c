#include "image_file.h"

#include <jini/images.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *image_file_extension(const char *media_type)
{
    static const char *const types[][2] = {
        {"image/png", "png"}, {"image/jpeg", "jpg"},  {"image/webp", "webp"},
        {"image/gif", "gif"}, {"image/avif", "avif"},
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(media_type, types[i][0]) == 0)
            return types[i][1];
    }
    return "bin";
}

char *image_file_texts(const void *metadata, size_t length, size_t *texts_length)
{
    char *text = NULL;
    FILE *stream = open_memstream(&text, texts_length);
    struct jini_metadata_text part;
    size_t position = 0;
    while (stream && length && jini_metadata_next(metadata, length, &position, &part) == 0) {
        fprintf(stream, "%.*s: %zu bytes\n", (int)part.keyword_length, part.keyword, part.length);
        fwrite(part.bytes, 1, part.length, stream);
        fputc('\n', stream);
    }
    if (stream && fclose(stream) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
