/* The rules for names of objects. */
#include "archive/name.h"

#include "base/error.h"
#include "base/text.h"

static int invalid(struct jini_error *error, size_t position, const char *rule)
{
    return error_set(error, JINI_E_INVALID, "name", "byte %zu of the object's name: %s", position,
                     rule);
}

/* The rules for characters. The bytes are UTF-8, so each pattern below is one character. */
static int check_characters(struct slice name, struct jini_error *error)
{
    for (size_t i = 0; i < name.length; i++) {
        uint8_t byte = name.data[i];
        uint8_t second = i + 1 < name.length ? name.data[i + 1] : 0;
        uint8_t third = i + 2 < name.length ? name.data[i + 2] : 0;
        if (byte < 0x20 || byte == 0x7F || (byte == 0xC2 && second < 0xA0))
            return invalid(error, i, "control characters are not allowed");
        if (byte == '\\')
            return invalid(error, i, "a backslash is not allowed; segments are separated by '/'");
        if (byte == 0xEF && second == 0xBF && third >= 0xBE)
            return invalid(error, i, "U+FFFE and U+FFFF are not allowed");
    }
    return 0;
}

/* The rules for segments; `open_end`: the last one may be cut short, also to nothing. */
static int check_segments(struct slice name, bool open_end, struct jini_error *error)
{
    size_t begin = 0;
    unsigned segments = 0;
    while (begin <= name.length) {
        const uint8_t *slash =
            begin < name.length ? memchr(name.data + begin, '/', name.length - begin) : NULL;
        size_t end = slash ? (size_t)(slash - name.data) : name.length;
        bool cut = open_end && !slash;
        if (end == begin && !cut)
            return invalid(error, begin,
                           "a segment is empty; '/' only stands between two segments");
        if (end > begin && name.data[begin] == '.')
            return invalid(error, begin, "a segment begins with '.'");
        if (end - begin > ARCHIVE_SEGMENT_MAX)
            return invalid(error, begin, "a segment is longer than 255 bytes");
        if (++segments > ARCHIVE_SEGMENTS_MAX)
            return invalid(error, begin, "there are more than 16 segments");
        begin = end + 1;
    }
    return 0;
}

static int check(struct slice name, bool open_end, struct jini_error *error)
{
    static const struct slice lost = {(const uint8_t *)"lost+found", 10};
    error_clear(error);
    if (name.length > ARCHIVE_NAME_MAX)
        return error_set(error, JINI_E_INVALID, "name",
                         "the object's name has %zu bytes; at most %d are allowed", name.length,
                         ARCHIVE_NAME_MAX);
    if (!text_is_utf8(name))
        return error_set(error, JINI_E_INVALID, "name",
                         "the object's name is not UTF-8, or holds a NUL");
    int status = check_characters(name, error);
    if (status == 0)
        status = check_segments(name, open_end, error);
    if (status == 0 && slice_has_prefix(name, lost) &&
        (name.length > lost.length ? name.data[lost.length] == '/' : !open_end))
        status = invalid(error, 0, "\"lost+found\" belongs to the file system");
    return status;
}

int archive_name_check(struct slice name, struct jini_error *error)
{
    return check(name, false, error);
}

int archive_prefix_check(struct slice prefix, struct jini_error *error)
{
    return check(prefix, true, error);
}

void archive_name_set(struct archive_name *to, struct slice name)
{
    JINI_ASSERT(name.length <= ARCHIVE_NAME_MAX);
    if (name.length)
        memcpy(to->text, name.data, name.length);
    to->text[name.length] = '\0';
    to->length = name.length;
}

bool archive_name_next(struct slice *rest, struct slice *segment)
{
    *segment = slice_of(rest->data, 0);
    if (rest->length == 0)
        return false;
    const uint8_t *slash = memchr(rest->data, '/', rest->length);
    size_t length = slash ? (size_t)(slash - rest->data) : rest->length;
    size_t taken = slash ? length + 1 : length;
    *segment = slice_of(rest->data, length);
    *rest = slice_of(rest->data + taken, rest->length - taken);
    return true;
}
