/*
 * Finding the pairs of an infotext by hand, in one pass: a regular expression engine could be made
 * to crawl.
 */
#include "codec/infotext.h"

enum { PAIRS_MIN = 3 };

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r') || (byte >= 0x1C && byte <= 0x1F);
}

static bool is_word(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= 'a' && byte <= 'z') || byte == '_' || byte >= 0x80;
}

static bool is_key(uint8_t byte)
{
    return is_word(byte) || byte == ' ' || byte == '-' || byte == '/';
}

static struct slice strip(struct slice text)
{
    while (text.length > 0 && is_space(text.data[0]))
        text = slice_of(text.data + 1, text.length - 1);
    while (text.length > 0 && is_space(text.data[text.length - 1]))
        text.length--;
    return text;
}

/*
 * The next "key:". All of a key lies in one run of key characters that a colon ends, and starts at
 * the run's first letter, so each run is looked at once. `value` is the position after the colon.
 */
static bool find_key(struct slice line, struct slice *key, size_t *value)
{
    size_t position = 0;
    while (position < line.length) {
        size_t begin = position;
        while (position < line.length && is_key(line.data[position]))
            position++;
        size_t end = position++;
        if (end == line.length || line.data[end] != ':')
            continue;
        while (begin < end && !is_word(line.data[begin]))
            begin++;
        if (end - begin < 2)
            continue;
        *key = slice_of(line.data + begin, end - begin);
        *value = end + 1;
        return true;
    }
    return false;
}

/*
 * The end of the quoted value that begins at `begin`, if a comma or the end of the line follows it;
 * else 0.
 */
static size_t quoted_end(struct slice line, size_t begin)
{
    if (begin >= line.length || line.data[begin] != '"')
        return 0;
    size_t position = begin + 1;
    while (position < line.length && line.data[position] != '"')
        position += line.data[position] == '\\' ? 2 : 1;
    if (position >= line.length || position == begin + 1)
        return 0;
    position++;
    return position == line.length || line.data[position] == ',' ? position : 0;
}

bool codec_infotext_next(struct slice *line, struct codec_infotext_pair *out)
{
    *out = (struct codec_infotext_pair){0};
    size_t begin;
    if (!find_key(*line, &out->key, &begin)) {
        *line = slice_of(NULL, 0);
        return false;
    }
    while (begin < line->length && is_space(line->data[begin]))
        begin++;
    size_t end = quoted_end(*line, begin);
    if (end == 0) {
        end = begin;
        while (end < line->length && line->data[end] != ',')
            end++;
    }
    out->value = slice_of(line->data + begin, end - begin);
    size_t next = end < line->length ? end + 1 : end;
    *line = slice_of(line->data + next, line->length - next);
    return true;
}

static bool parse_number(struct slice text, uint64_t *out)
{
    if (text.length >= 2 && text.data[0] == '"' && text.data[text.length - 1] == '"')
        text = slice_of(text.data + 1, text.length - 2);
    text = strip(text);
    uint64_t number = 0;
    for (size_t i = 0; i < text.length; i++) {
        uint8_t digit = (uint8_t)(text.data[i] - '0');
        if (digit > 9 || number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *out = number;
    return text.length > 0;
}

bool codec_infotext_seed(struct slice text, uint64_t *out)
{
    *out = 0;
    struct slice line = strip(text);
    for (size_t i = line.length; i > 0; i--) {
        if (line.data[i - 1] == '\n') {
            line = slice_of(line.data + i, line.length - i);
            break;
        }
    }
    bool found = false;
    unsigned pairs = 0;
    struct codec_infotext_pair pair;
    while (codec_infotext_next(&line, &pair)) {
        pairs++;
        uint64_t seed;
        if (slice_equal(pair.key, slice_of_text("Seed")) && strip(pair.value).length > 0) {
            found = parse_number(pair.value, &seed);
            *out = found ? seed : 0;
        }
    }
    if (pairs >= PAIRS_MIN && found)
        return true;
    *out = 0;
    return false;
}
