/*
 * Limit texts: no input harms the parser, and what it takes reads back from its canonical text as
 * the same list, in rules that limit_check() holds to as well.
 */
#include "limits/algorithm.h"
#include "limits/text.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_limit(const struct limit *limit)
{
    struct limit copy = *limit;
    struct algorithm prepared;
    char human[LIMIT_HUMAN_MAX];
    JINI_ASSERT(limit_check(&copy, NULL) == 0);
    JINI_ASSERT(memcmp(&copy, limit, sizeof(copy)) == 0);
    JINI_ASSERT(limit_is_quota(limit) || algorithm_prepare(limit, &prepared, NULL) == 0);
    JINI_ASSERT(limit_human(limit, human) == strlen(human));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct limit_list list;
    struct limit_list again;
    struct jini_error error;
    uint8_t text[LIMIT_TEXT_MAX];
    struct buffer out = buffer_of(text, sizeof(text) - 1);
    if (limit_parse(slice_of(data, size), &list, &error) != 0) {
        JINI_ASSERT(list.count == 0 && error.field[0] != '\0' && error.message[0] != '\0');
        return 0;
    }
    JINI_ASSERT(list.count >= 1 && list.count <= LIMITS_MAX);
    for (uint32_t i = 0; i < list.count; i++)
        check_limit(&list.limits[i]);
    JINI_ASSERT(limit_format(&list, &out) == 0);
    JINI_ASSERT(limit_parse(buffer_slice(&out), &again, &error) == 0);
    JINI_ASSERT(memcmp(&again, &list, sizeof(list)) == 0);
    return 0;
}
