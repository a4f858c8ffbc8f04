/* Payloads as JSON (RFC 8259): checking those of applications, writing those of the engine. */
#ifndef EVENTS_JSON_H
#define EVENTS_JSON_H

#include "base/bytes.h"

enum { JSON_DEPTH_MAX = 32 };

/* Whether the text is one object, in UTF-8, without NUL. */
bool json_is_object(struct slice text);

/* Appends a string with its quotes; what is no UTF-8 becomes U+FFFD. */
void json_add_text(struct buffer *out, struct slice text);
void json_add_uint(struct buffer *out, uint64_t number);

/* Appends a document as an object; empty bytes are "{}". JINI_E_CORRUPT. */
int json_add_document(struct buffer *out, struct slice document);

#endif
