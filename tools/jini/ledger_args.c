/* See ledger_args.h. */
#include "ledger_args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_OF_S UINT64_C(1000000000)

int ledger_parse_id(struct command *command, const char *what, const char *text,
                    struct jini_id *out)
{
    struct jini_amount number;
    static const struct jini_id none;
    if (jini_id_parse(text, out) == 0 && jini_id_compare(out, &none) != 0)
        return 0;
    if (jini_amount_parse(text, &number) != 0 || (number.low | number.high) == 0)
        return command_fail(command, JINI_E_INVALID, what,
                            "\"%.200s\" is no id of the ledger: a UUID is one, and a number from "
                            "1 to 2^128 - 1",
                            text);
    for (int i = 0; i < 8; i++) {
        out->bytes[i] = (uint8_t)(number.high >> (56 - 8 * i));
        out->bytes[8 + i] = (uint8_t)(number.low >> (56 - 8 * i));
    }
    return 0;
}

int ledger_take_id(struct command *command, const char *option, struct jini_id *out)
{
    const char *text = args_text(&command->args, option);
    memset(out, 0, sizeof(*out));
    return text ? ledger_parse_id(command, option, text, out) : 0;
}

int ledger_take_own_id(struct command *command, struct jini_id *out)
{
    const char *text = command_argument(command, 0);
    if (text)
        return ledger_parse_id(command, "ID", text, out);
    jini_id_make(command->jini, out);
    return 0;
}

/* strptime() takes the 31st of any month, which timegm() makes the first of the next. */
static bool parse_date(const char *text, time_t *out)
{
    struct tm parts = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (!end)
        end = strptime(text, "%Y-%m-%d", &parts);
    if (!end || (*end != '\0' && strcmp(end, "Z") != 0))
        return false;
    int day = parts.tm_mday;
    *out = timegm(&parts);
    return parts.tm_mday == day;
}

static bool parse_time(const char *text, uint64_t *out)
{
    time_t seconds;
    if (text[0] != '\0' && strspn(text, "0123456789") == strlen(text)) {
        errno = 0;
        *out = strtoull(text, NULL, 10);
        return errno == 0;
    }
    if (!parse_date(text, &seconds) || seconds < 0 || (uint64_t)seconds > UINT64_MAX / NS_OF_S)
        return false;
    *out = (uint64_t)seconds * NS_OF_S;
    return true;
}

int ledger_take_time(struct command *command, const char *option, uint64_t *out)
{
    const char *text = args_text(&command->args, option);
    *out = 0;
    if (!text)
        return 0;
    if (parse_time(text, out) && *out > 0)
        return 0;
    return command_fail(command, JINI_E_INVALID, option,
                        "--%s: \"%.100s\" is no time after 1970 and before 2554: "
                        "2026-11-30T12:00:00Z is one, and so are nanoseconds since 1970",
                        option, text);
}
