/* Making the infotext of a request that has been checked. */
#ifndef RENDER_INFOTEXT_H
#define RENDER_INFOTEXT_H

#include "render/render.h"

/* The caller frees `text`. JINI_E_NO_MEMORY; `text` is then NULL. */
int render_infotext_make(const struct render_request *request, char **text);

#endif
