/* Reading the SPEC of a fault archive, and deciding by it. Pure functions. */
#include "archive/fault.h"

#include "base/error.h"

static const char *const kind_names[FAULT_KINDS] = {"pass", "refuse", "lost", "short",
                                                    "flip", "delay",  "hang"};

enum { COUNT_MAX = 1000000000, DELAY_MS_MAX = 60000, STATUS_LAST = -64 };

static int invalid(struct jini_error *error, struct slice key, const char *rule)
{
    return error_set(error, JINI_E_INVALID, "fault", "fault: \"%.*s\" %s",
                     (int)(key.length < 32 ? key.length : 32), (const char *)key.data, rule);
}

/* Takes what stands before the next `separator` off `rest`. */
static struct slice take(struct slice *rest, char separator)
{
    const uint8_t *end = rest->length ? memchr(rest->data, separator, rest->length) : NULL;
    size_t length = end ? (size_t)(end - rest->data) : rest->length;
    size_t taken = end ? length + 1 : length;
    struct slice first = slice_of(rest->data, length);
    *rest = taken ? slice_of(rest->data + taken, rest->length - taken) : *rest;
    return first;
}

static bool is(struct slice text, const char *expected)
{
    return slice_equal(text, slice_of_text(expected));
}

static bool parse_number(struct slice text, uint64_t *out)
{
    uint64_t value = 0;
    if (text.length == 0)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        unsigned digit = (unsigned)text.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value))
            return false;
    }
    *out = value;
    return true;
}

static bool find_kind(struct slice text, enum fault_kind *out)
{
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        if (is(text, kind_names[kind])) {
            *out = (enum fault_kind)kind;
            return true;
        }
    }
    return false;
}

static bool parse_kinds(struct slice text, struct fault_plan *plan)
{
    plan->kinds = 0;
    do {
        enum fault_kind kind;
        if (!find_kind(take(&text, '+'), &kind) || kind == FAULT_PASS)
            return false;
        plan->kinds |= UINT32_C(1) << kind;
    } while (text.length > 0);
    return true;
}

static bool parse_script(struct slice text, struct fault_plan *plan)
{
    plan->script_count = 0;
    do {
        enum fault_kind kind;
        if (plan->script_count == FAULT_SCRIPT_MAX || !find_kind(take(&text, '+'), &kind))
            return false;
        plan->script[plan->script_count++] = (uint8_t)kind;
    } while (text.length > 0);
    return true;
}

static bool parse_operations(struct slice text, struct fault_plan *plan)
{
    plan->operations = 0;
    do {
        struct slice name = take(&text, '+');
        int found = 0;
        while (found < ARCHIVE_OPERATIONS &&
               !is(name, archive_operation_name((enum archive_operation)found)))
            found++;
        if (found == ARCHIVE_OPERATIONS)
            return false;
        plan->operations |= UINT32_C(1) << found;
    } while (text.length > 0);
    return true;
}

static bool parse_status(struct slice text, struct fault_plan *plan)
{
    for (int status = -1; status >= STATUS_LAST; status--) {
        if (is(text, jini_status_name(status)) && !is(text, "E_UNKNOWN")) {
            plan->status = status;
            return true;
        }
    }
    return false;
}

/* A number of `least` to `most`. */
static int parse_bounded(struct slice key, struct slice text, uint64_t least, uint64_t most,
                         uint64_t *out, struct jini_error *error)
{
    if (parse_number(text, out) && *out >= least && *out <= most)
        return 0;
    return error_set(error, JINI_E_INVALID, "fault", "fault: %.*s takes a number of %llu to %llu",
                     (int)key.length, (const char *)key.data, (unsigned long long)least,
                     (unsigned long long)most);
}

static int parse_pair(struct slice key, struct slice value, struct fault_plan *plan,
                      struct jini_error *error)
{
    if (is(key, "seed"))
        return parse_bounded(key, value, 0, UINT64_MAX, &plan->seed, error);
    if (is(key, "every"))
        return parse_bounded(key, value, 1, COUNT_MAX, &plan->every, error);
    if (is(key, "rate"))
        return parse_bounded(key, value, 1, 1000, &plan->rate, error);
    if (is(key, "skip"))
        return parse_bounded(key, value, 0, COUNT_MAX, &plan->skip, error);
    if (is(key, "delay_ms"))
        return parse_bounded(key, value, 0, DELAY_MS_MAX, &plan->delay_ms, error);
    if (is(key, "kinds"))
        return parse_kinds(value, plan)
                   ? 0
                   : invalid(error, key,
                             "takes refuse, lost, short, flip, delay, hang, joined by '+'");
    if (is(key, "script"))
        return parse_script(value, plan)
                   ? 0
                   : invalid(error, key, "takes up to 256 kinds or \"pass\", joined by '+'");
    if (is(key, "operations"))
        return parse_operations(value, plan)
                   ? 0
                   : invalid(error, key, "takes put, get, head, list, delete, joined by '+'");
    if (is(key, "status"))
        return parse_status(value, plan)
                   ? 0
                   : invalid(error, key, "takes the name of a status that is a failure, as E_IO");
    return invalid(
        error, key,
        "is no key; there are seed, every, rate, skip, script, kinds, operations, status, "
        "delay_ms");
}

int fault_plan_parse(struct slice spec, struct fault_plan *out, struct jini_error *error)
{
    *out = (struct fault_plan){.seed = 1,
                               .delay_ms = 10,
                               .status = JINI_E_ARCHIVE,
                               .kinds = UINT32_C(1) << FAULT_REFUSE,
                               .operations = (UINT32_C(1) << ARCHIVE_OPERATIONS) - 1};
    error_clear(error);
    while (spec.length > 0) {
        struct slice value = take(&spec, ',');
        struct slice key = take(&value, '=');
        int status = parse_pair(key, value, out, error);
        if (status != 0)
            return status;
    }
    if ((out->every > 0) + (out->rate > 0) + (out->script_count > 0) > 1)
        return error_set(error, JINI_E_INVALID, "fault",
                         "fault: give one of every, rate and script, not several");
    return 0;
}

/* splitmix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators"). */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static bool fits(enum fault_kind kind, enum archive_operation operation)
{
    return operation == ARCHIVE_GET || (kind != FAULT_SHORT && kind != FAULT_FLIP);
}

/* One of the kinds of the plan that fit the operation. */
static enum fault_kind draw_kind(const struct fault_plan *plan, enum archive_operation operation,
                                 uint64_t *state)
{
    enum fault_kind fitting[FAULT_KINDS];
    unsigned count = 0;
    for (int kind = FAULT_PASS + 1; kind < FAULT_KINDS; kind++) {
        if (plan->kinds >> kind & 1 && fits((enum fault_kind)kind, operation))
            fitting[count++] = (enum fault_kind)kind;
    }
    return count ? fitting[draw(state) % count] : FAULT_PASS;
}

enum fault_kind fault_plan_decide(const struct fault_plan *plan, enum archive_operation operation,
                                  uint64_t number, uint64_t *drawn)
{
    uint64_t state = plan->seed;
    state = draw(&state) ^ number;
    *drawn = draw(&state);
    if (number < plan->skip)
        return FAULT_PASS;
    number -= plan->skip;
    if (plan->script_count > 0) {
        enum fault_kind kind = number < plan->script_count ? plan->script[number] : FAULT_PASS;
        return fits(kind, operation) ? kind : FAULT_PASS;
    }
    bool hit = plan->every ? (number + 1) % plan->every == 0 : draw(&state) % 1000 < plan->rate;
    return hit ? draw_kind(plan, operation, &state) : FAULT_PASS;
}
