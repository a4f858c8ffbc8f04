/*
 * What a driver of the store must do. The store above it queues, batches, checks bounds, gives
 * stamps and keeps readers away while a map is resized; a driver keeps ordered bytes in
 * transactions.
 *
 * A driver promises: snapshot isolation for readers; one writer at a time, over all processes; a
 * commit is wholly there or not at all, and durable as its sync mode says when commit returns; keys
 * order by memcmp, then length.
 */
#ifndef STORE_DRIVER_H
#define STORE_DRIVER_H

#include "store/store.h"

/* Answers of a driver beside the public codes: they never leave the store. */
enum {
    DRIVER_CODES = -1000,
    DRIVER_MAP_FULL = -1001,    /* the map is too small: grow it and run the batch again */
    DRIVER_MAP_RESIZED = -1002, /* another process has grown it: adopt its size */
    DRIVER_TXN_FULL = -1003,    /* too many pages in one transaction: run a smaller batch */
    DRIVER_MOVED_ON = -1004     /* commits have gone over what a copy needed: begin it anew */
};

struct driver;
struct driver_txn;
struct driver_cursor;

struct driver_figures {
    uint64_t map_bytes;
    uint64_t used_bytes;
    uint64_t free_pages;
    uint64_t page_bytes;
    uint32_t readers;
    uint64_t oldest_reader_lag;
};

struct driver_ops {
    /*
     * Makes the database unless it is there. One process at a time; the caller syncs the directory.
     */
    int (*create)(const struct store_options *options, struct jini_error *error);
    /* `unseen`: without a table of readers, which cannot be written. */
    int (*open)(const struct store_options *options, bool unseen, struct driver **out,
                struct jini_error *error);
    void (*close)(struct driver *driver);

    /*
     * Makes what is missing of the spaces. Called once, with the write lock held, unless read-only.
     */
    int (*create_spaces)(struct driver *driver, struct jini_error *error);
    bool (*has_spaces)(struct driver *driver);

    /*
     * A reader is made once and then begun and ended many times, by one thread at a time.
     * JINI_E_BUSY: the table that all processes share is full.
     */
    int (*reader_new)(struct driver *driver, struct driver_txn **out);
    int (*reader_begin)(struct driver_txn *reader);
    void (*reader_end)(struct driver_txn *reader);
    void (*reader_free)(struct driver_txn *reader);

    int (*write_begin)(struct driver *driver, struct driver_txn **out);
    int (*write_commit)(struct driver_txn *txn); /* ends the transaction, also when it fails */
    void (*write_abort)(struct driver_txn *txn);

    /* `value` is borrowed until the next write of the transaction. */
    int (*get)(struct driver_txn *txn, enum store_space space, struct slice key,
               struct slice *value);
    int (*put)(struct driver_txn *txn, enum store_space space, struct slice key,
               struct slice value);
    int (*remove)(struct driver_txn *txn, enum store_space space, struct slice key);

    /*
     * A cursor is positioned by seek and moved by step; both answer with the entry, borrowed, or
     * JINI_E_NOT_FOUND. Seek finds the first key at or after `key`, or with `after` the first one
     * behind it; backward, the last key before `key`, or with an empty `key` the last of all. A
     * write invalidates the position.
     */
    int (*cursor_open)(struct driver_txn *txn, enum store_space space, struct driver_cursor **out);
    int (*cursor_seek)(struct driver_cursor *cursor, struct slice key,
                       enum store_direction direction, bool after, struct slice *found_key,
                       struct slice *found_value);
    int (*cursor_step)(struct driver_cursor *cursor, enum store_direction direction,
                       struct slice *found_key, struct slice *found_value);
    void (*cursor_close)(struct driver_cursor *cursor);

    /* How many entries a space has; cheap. */
    int (*count)(struct driver_txn *txn, enum store_space space, uint64_t *entries,
                 uint64_t *bytes);

    /*
     * Resizes the map; 0 adopts the size that another process chose. No transaction is open in this
     * process. The map may become larger than asked for, never smaller than what is in it.
     * JINI_E_NO_MEMORY: nothing changed. After any other error there is no map any more.
     */
    int (*resize)(struct driver *driver, uint64_t map_bytes);
    uint64_t (*map_bytes)(const struct driver *driver); /* any thread, also during a resize */

    int (*data_file)(const struct driver *driver); /* its descriptor, borrowed; -1: in memory */

    /* `reader` is begun. Takes no lock. DRIVER_MAP_RESIZED, DRIVER_MOVED_ON. */
    int (*copy)(struct driver_txn *reader, enum store_copy_form form, int fd);

    /* Checks every page in use. A snapshot is open. JINI_E_CANCELLED: the watch ended it. */
    int (*verify)(const struct store_options *options, const struct store_watch *watch,
                  struct jini_error *error);
    int (*clear_stale_readers)(struct driver *driver);

    /* Cheap; free_pages only when `walk_free_list`. `reader` is begun. */
    int (*figures)(struct driver *driver, struct driver_txn *reader, bool walk_free_list,
                   struct driver_figures *out);
};

extern const struct driver_ops driver_lmdb;
extern const struct driver_ops driver_memory;

/* The name of a space in LMDB. */

#endif
