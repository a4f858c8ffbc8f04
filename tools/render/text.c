/* Reading UTF-8 character by character. */
#include "render/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The character at `*text`, which is moved past it; UINT32_MAX when the bytes are none. */
static uint32_t next_character(const char **text)
{
    const uint8_t *bytes = (const uint8_t *)*text;
    uint32_t value = bytes[0];
    unsigned more = value < 0x80 ? 0 : value < 0xC2 ? 9 : value < 0xE0 ? 1 : value < 0xF0 ? 2 : 3;
    if (more == 9 || value > 0xF4)
        return UINT32_MAX;
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    value &= more == 0 ? 0x7F : 0x3Fu >> more;
    for (unsigned i = 1; i <= more; i++) {
        if ((bytes[i] & 0xC0) != 0x80)
            return UINT32_MAX;
        value = value << 6 | (bytes[i] & 0x3F);
    }
    *text += more + 1;
    bool surrogate = value >= 0xD800 && value < 0xE000;
    return value < least[more] || value > 0x10FFFF || surrogate ? UINT32_MAX : value;
}

bool render_text_is_valid(const char *text)
{
    while (*text) {
        if (next_character(&text) == UINT32_MAX)
            return false;
    }
    return true;
}

int render_text_to_latin1(const char *text, char **out)
{
    *out = NULL;
    char *latin1 = malloc(strlen(text) + 1);
    if (!latin1)
        return JINI_E_NO_MEMORY;
    size_t length = 0;
    while (*text) {
        uint32_t character = next_character(&text);
        if (character > 0xFF) {
            free(latin1);
            return 0;
        }
        latin1[length++] = (char)character;
    }
    latin1[length] = '\0';
    *out = latin1;
    return 0;
}
