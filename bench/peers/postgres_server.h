/*
 * A PostgreSQL 15 server of the benchmark's own, of Debian's programs: a cluster in a directory,
 * reached by a Unix socket in it and by nothing else. It ends with the process that started it.
 * PostgreSQL refuses root, so root runs it as the user "postgres".
 */
#ifndef PEERS_POSTGRES_SERVER_H
#define PEERS_POSTGRES_SERVER_H

#include <stdbool.h>

/* The settings that differ from the defaults, in words. */
#define POSTGRES_SETTINGS                                                                          \
    "shared_buffers 1 GB, max_wal_size 64 GB, min_wal_size 2 GB, checkpoint_timeout 1 hour, "      \
    "wal_buffers 64 MB, work_mem 64 MB, maintenance_work_mem 1 GB, autovacuum off, jit off"

struct pg_conn; /* PGconn of libpq-fe.h */
struct postgres_server;

/*
 * Why there can be no server in this directory or one in it, and what to do about it; NULL: there
 * can. Static.
 */
const char *postgres_server_missing(const char *directory);

enum postgres_sync { POSTGRES_SYNCED, POSTGRES_UNSYNCED };

/* Starts the server of a directory, whose cluster is made if the directory is empty. */
struct postgres_server *postgres_server_start(const char *directory, enum postgres_sync sync,
                                              bool small);

/* Shuts it down, with a checkpoint. */
void postgres_server_stop(struct postgres_server *server);

/* A connection, to be ended by PQfinish(). */
struct pg_conn *postgres_server_connect(struct postgres_server *server);

#endif
