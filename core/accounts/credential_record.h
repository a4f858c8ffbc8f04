/* The record of a credential; its format stands in credentials.h. */
#ifndef ACCOUNTS_CREDENTIAL_RECORD_H
#define ACCOUNTS_CREDENTIAL_RECORD_H

#include "accounts/credentials.h"
#include "base/document.h"

enum { CREDENTIAL_RECORD_MAX = 512 };

struct credential_record {
    struct jini_credential credential;
    uint8_t digest[CRYPTO_DIGEST_BYTES];
    uint64_t epoch;
    struct document_rest rest;
};

/* JINI_E_CORRUPT, JINI_E_FORMAT. */
int credential_record_read(struct slice bytes, uint64_t id, struct credential_record *out);

/* JINI_E_TOO_BIG: with what a newer version stored it is longer than `out` can take. */
int credential_record_write(const struct credential_record *record, struct buffer *out);

/* Reads one from the store. JINI_E_NOT_FOUND, and as credential_record_read(). */
int credential_record_load(struct store_txn *txn, uint64_t id, struct credential_record *out);

#endif
