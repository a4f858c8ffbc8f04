/* A program of somebody else: what it needs of the library, it finds by an installation alone. */
#include <jini/id.h>
#include <jini/status.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Bears the name of a function inside the library, which must not be in its way. */
bool text_is_utf8(const char *text)
{
    return text[0] == '\xff';
}

int main(void)
{
    static const char text[] = "01890a5d-ac96-774b-bcce-b302099a8057";
    struct jini_id id;
    char again[JINI_ID_TEXT_MAX];
    if (jini_id_parse(text, &id) != JINI_OK)
        return 1;
    jini_id_format(&id, again);
    if (strcmp(text, again) != 0 || text_is_utf8(text))
        return 1;
    printf("%s\n", jini_status_name(JINI_E_BUSY));
    return 0;
}
