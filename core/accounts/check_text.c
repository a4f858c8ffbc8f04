/*
 * Names and addresses.
 *
 * A user name is what Django's UnicodeUsernameValidator takes: letters and numbers of any script,
 * and @ . + - _.
 *
 * An address is the dot-atom form of RFC 5322 (3.4.1) with the lengths of RFC 5321 (4.5.3.1) and
 * the UTF-8 of RFC 6531 in both parts. Quoted local parts, comments and address literals are
 * refused: they are next to unknown as addresses of people, and a danger in every program that the
 * address reaches later.
 */
#include "accounts/check_text.h"

#include "accounts/accounts.h"
#include "accounts/keys.h"
#include "base/error.h"
#include "base/text.h"

static int too_long(const char *field, size_t capacity, struct jini_error *error)
{
    return error_set(error, JINI_E_INVALID, field, "longer than %zu bytes; shorten it",
                     capacity - 1);
}

static int not_utf8(const char *field, struct jini_error *error)
{
    return error_set(error, JINI_E_INVALID, field, "not UTF-8; convert it");
}

/* The end of what every member is checked for first. */
static int check_bytes(const char *text, size_t capacity, const char *field, struct slice *out,
                       struct jini_error *error)
{
    size_t length = strnlen(text, capacity);
    *out = slice_of(text, length);
    if (length == capacity)
        return too_long(field, capacity, error);
    return text_is_utf8(*out) ? 0 : not_utf8(field, error);
}

/* A text that becomes a key must fit one when it is folded, which can make it longer. */
static int check_key(int status, const char *field, struct jini_error *error)
{
    if (status == JINI_E_TOO_BIG)
        return error_set(error, JINI_E_INVALID, field,
                         "too long when its compatibility characters are written out; use others");
    if (status)
        return error_set(error, status, field, "cannot be folded: %s", jini_status_text(status));
    return 0;
}

static bool is_word(const struct text_character *character, const char *also)
{
    if (character->kind == TEXT_LETTER || character->kind == TEXT_NUMBER)
        return true;
    return character->codepoint < 0x80 && strchr(also, (int)character->codepoint) != NULL;
}

/* Letters, numbers and the characters of `also`. */
static int check_word(struct slice text, const char *field, const char *also,
                      struct jini_error *error)
{
    struct text_character character;
    unsigned place = 0;
    while (text_take(&text, &character)) {
        place++;
        if (!is_word(&character, also))
            return error_set(error, JINI_E_INVALID, field,
                             "character %u is U+%04X; use letters, digits and %s", place,
                             (unsigned)character.codepoint, also);
    }
    if (place == 0)
        return error_set(error, JINI_E_INVALID, field, "empty; use letters, digits and %s", also);
    if (place > ACCOUNTS_CHARACTERS_MAX)
        return error_set(error, JINI_E_INVALID, field, "%u characters; use at most %d", place,
                         ACCOUNTS_CHARACTERS_MAX);
    return 0;
}

int check_username(const char *text, size_t capacity, struct jini_error *error)
{
    struct slice bytes;
    struct tuple key;
    int status = check_bytes(text, capacity, "username", &bytes, error);
    if (status == 0)
        status = check_word(bytes, "username", "@.+-_", error);
    return status ? status : check_key(keys_login(KEYS_NAME, text, &key), "username", error);
}

int check_tier_name(const char *text, size_t capacity, const char *field, struct jini_error *error)
{
    struct slice bytes;
    struct tuple key;
    int status = check_bytes(text, capacity, field, &bytes, error);
    if (status == 0)
        status = check_word(bytes, field, "-_", error);
    return status ? status : check_key(keys_tier(text, &key), field, error);
}

int check_person_name(const char *text, size_t capacity, const char *field,
                      struct jini_error *error)
{
    struct slice bytes;
    struct text_character character;
    unsigned place = 0;
    int status = check_bytes(text, capacity, field, &bytes, error);
    if (status)
        return status;
    while (text_take(&bytes, &character)) {
        bool separates_lines = character.codepoint == 0x2028 || character.codepoint == 0x2029;
        place++;
        if (character.kind == TEXT_CONTROL || separates_lines)
            return error_set(error, JINI_E_INVALID, field,
                             "character %u is the control character U+%04X; take it out", place,
                             (unsigned)character.codepoint);
    }
    if (place > ACCOUNTS_CHARACTERS_MAX)
        return error_set(error, JINI_E_INVALID, field, "%u characters; use at most %d", place,
                         ACCOUNTS_CHARACTERS_MAX);
    return 0;
}

static int bad_email(struct jini_error *error, const char *rule)
{
    return error_set(error, JINI_E_INVALID, "email",
                     "%s; an address is written name@domain, as alice@example.org", rule);
}

/* atext of RFC 5322, and what RFC 6531 adds but for what cannot be seen. */
static bool is_atom(const struct text_character *character)
{
    if (character->codepoint >= 0x80)
        return character->kind <= TEXT_SYMBOL;
    return character->kind == TEXT_LETTER || character->kind == TEXT_NUMBER ||
           strchr("!#$%&'*+-/=?^_`{|}~", (int)character->codepoint) != NULL;
}

static int check_local_part(struct slice text, struct jini_error *error)
{
    struct text_character character;
    if (text.length == 0)
        return bad_email(error, "nothing stands before the @");
    if (text.length > ACCOUNTS_LOCAL_PART_MAX)
        return bad_email(error, "more than 64 bytes stand before the @");
    bool dot = true;
    while (text_take(&text, &character)) {
        if (character.codepoint == '.' && dot)
            return bad_email(error, "a dot stands at the beginning or beside another dot");
        dot = character.codepoint == '.';
        if (!dot && !is_atom(&character))
            return bad_email(error, "a blank, quote, control or other character that has no place "
                                    "before the @");
    }
    return dot ? bad_email(error, "a dot stands right before the @") : 0;
}

/* A label of a domain as it is read from left to right. */
struct label {
    unsigned characters;
    bool hyphen_last;
    bool digits_only;
};

static int end_label(const struct label *label, struct jini_error *error)
{
    if (label->characters == 0)
        return bad_email(error, "a part of the domain between two dots is empty");
    if (label->characters > ACCOUNTS_LABEL_MAX)
        return bad_email(error, "a part of the domain has more than 63 characters");
    return label->hyphen_last ? bad_email(error, "a part of the domain ends in -") : 0;
}

static int check_domain(struct slice text, struct jini_error *error)
{
    const bool local = slice_equal(text, slice_of_text("localhost"));
    const struct label empty = {.digits_only = true};
    struct text_character character;
    struct label label = empty;
    unsigned dots = 0;
    while (text_take(&text, &character)) {
        if (character.codepoint == '.') {
            int status = end_label(&label, error);
            if (status)
                return status;
            label = empty;
            dots++;
            continue;
        }
        bool hyphen = character.codepoint == '-';
        if (character.kind > TEXT_NUMBER && !hyphen)
            return bad_email(error, "the domain has a character that is no letter, digit, - or .");
        if (hyphen && label.characters == 0)
            return bad_email(error, "a part of the domain begins with -");
        label.characters++;
        label.hyphen_last = hyphen;
        label.digits_only = label.digits_only && character.kind == TEXT_NUMBER;
    }
    int status = end_label(&label, error);
    if (status)
        return status;
    if (dots == 0 && !local)
        return bad_email(error, "the domain has no dot");
    return label.digits_only ? bad_email(error, "the domain ends in a number") : 0;
}

/* Folding must not bring in an @, as it does from the full-width form of it. */
static int check_folded_email(const char *text, struct jini_error *error)
{
    struct tuple key;
    int status = check_key(keys_login(KEYS_MAIL, text, &key), "email", error);
    if (status)
        return status;
    unsigned signs = 0;
    for (size_t i = 0; i < key.length; i++)
        signs += key.bytes[i] == '@';
    return signs == 1 ? 0 : bad_email(error, "a character stands for another @");
}

int check_email(const char *text, size_t capacity, struct jini_error *error)
{
    struct slice bytes;
    int status = check_bytes(text, capacity, "email", &bytes, error);
    if (status || bytes.length == 0)
        return status;
    const char *sign = strchr(text, '@');
    if (!sign || strchr(sign + 1, '@'))
        return bad_email(error, sign ? "more than one @" : "no @");
    size_t local_length = (size_t)(sign - text);
    status = check_local_part(slice_of(text, local_length), error);
    if (status == 0)
        status = check_domain(slice_of(sign + 1, bytes.length - local_length - 1), error);
    return status ? status : check_folded_email(text, error);
}
