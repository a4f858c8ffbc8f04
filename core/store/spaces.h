/*
 * The spaces of the store: who keeps what under which keys. A number is pinned for ever. Adding a
 * space needs no migration; it is made at the next open.
 */
#ifndef STORE_SPACES_H
#define STORE_SPACES_H

/* X(name, number, name in LMDB): the owning module describes keys and values in its header. */
#define STORE_SPACE_MAP(X)                                                                         \
    X(META, 0, "meta")               /* store: format, stamp, migration, home */                   \
    X(APPLICATION, 1, "application") /* the caller's own records */                                \
    X(LEASES, 2, "leases")           /* engine: background work */                                 \
    X(USERS, 3, "users")             /* accounts */                                                \
    X(USER_KEYS, 4, "user_keys")     /* accounts: user name and email to user */                   \
    X(TIERS, 5, "tiers")             /* accounts */                                                \
    X(JOBS, 6, "jobs")               /* generations */                                             \
    X(IMAGES, 7, "images")           /* generations */                                             \
    X(LISTS, 8, "lists")             /* generations: full pages of a user's lists */               \
    X(QUEUE, 9, "queue")             /* engine: what falls due, by time */                         \
    X(PACKS, 10, "packs")            /* images */                                                  \
    X(LOCATIONS, 11, "locations")    /* images: where each image's bytes lie */                    \
    X(CONTENT, 12, "content")        /* images: hash to location, for duplicates */                \
    X(ORPHANS, 13, "orphans")        /* images: objects in the archive that are to go, by time */  \
    X(LEDGER_ACCOUNTS, 14, "ledger_accounts") /* ledger: accounts, and their newest postings */    \
    X(TRANSFERS, 15, "transfers")             /* ledger: blocks of events */                       \
    X(TRANSFER_IDS, 16, "transfer_ids")       /* ledger: id to time */                             \
    X(POSTINGS, 17, "postings")               /* ledger: which events have a field's value */      \
    X(PENDING, 18, "pending")     /* ledger: pending transfers, and when they expire */            \
    X(PRICES, 19, "prices")       /* ledger: what generations cost */                              \
    X(REQUESTS, 20, "requests")   /* generations: admitted requests, for a day */                  \
    X(EVENTS, 21, "events")       /* events: the log */                                            \
    X(CONSUMERS, 22, "consumers") /* events: who takes them, and how far they came */              \
    X(WAITING, 23, "waiting")     /* generations: jobs for workers, in their order */              \
    X(ACTIVITY, 24, "activity") /* limits, generations, ledger: what admissions write of a user */ \
    X(PAYMENTS, 25, "payments") /* ledger: payments, and their providers' references */

/* What a check says where the store cannot give a row: the name of the space, and of the status. */
#define STORE_SPACE_DAMAGED                                                                        \
    "row: the rows of the space \"%s\" cannot be read to the end (%s); those behind the damage "   \
    "were not checked"

/* What a check says of a key that nobody keeps there; its length follows as a size_t. */
#define STORE_STRAY_KEY "%zu bytes that are no key of this space"

enum store_space {
#define STORE_SPACE_ENUM(name, number, text) STORE_SPACE_##name = (number),
    STORE_SPACE_MAP(STORE_SPACE_ENUM)
#undef STORE_SPACE_ENUM
        STORE_SPACES
};

#endif
