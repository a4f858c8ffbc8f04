/* See ledger_args.h. */
#include "ledger_args.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

int ledger_parse_id(struct command *command, const char *what, const char *text,
                    struct jini_id *out)
{
    struct jini_amount number;
    if (jini_id_parse(text, out) == 0)
        return 0;
    if (jini_amount_parse(text, &number) != 0)
        return command_fail(command, JINI_E_INVALID, what,
                            "\"%.200s\" is no id of the ledger: a UUID is one, and a number below "
                            "2^128",
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

int ledger_take_time(struct command *command, const char *option, uint64_t *out)
{
    const char *text = args_text(&command->args, option);
    struct tm parts = {0};
    char *end;
    *out = 0;
    if (!text)
        return 0;
    if (text[0] != '\0' && strspn(text, "0123456789") == strlen(text) && strlen(text) < 20) {
        *out = strtoull(text, NULL, 10);
        return 0;
    }
    end = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (!end)
        end = strptime(text, "%Y-%m-%d", &parts);
    if (end && (*end == '\0' || strcmp(end, "Z") == 0)) {
        time_t seconds = timegm(&parts);
        if (seconds >= 0) {
            *out = (uint64_t)seconds * UINT64_C(1000000000);
            return 0;
        }
    }
    return command_fail(command, JINI_E_INVALID, option,
                        "--%s: \"%.100s\" is no time: 2026-11-30T12:00:00Z is one, and so are "
                        "nanoseconds since 1970",
                        option, text);
}
