/* Keys and sessions in admission. */
#ifndef ENGINE_CREDENTIALS_H
#define ENGINE_CREDENTIALS_H

#include "accounts/credentials.h"
#include "engine/engine_private.h"

/* Takes a text apart. JINI_E_DENIED: it is none. */
int credential_take(const char *text, struct credential_text *out, struct jini_error *error);

/* Whose it is, on a snapshot of its own; errors of credentials_check(). */
int credential_find(struct jini *jini, const struct credential_text *text,
                    struct jini_credential *out, struct jini_user *user, struct jini_error *error);

#endif
