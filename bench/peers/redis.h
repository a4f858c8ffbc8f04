/*
 * A Redis server of the benchmark's own, of Debian's redis-tools, whose redis-check-rdb is the
 * server by another name: installing it starts nothing. It keeps nothing on the disk, is reached by
 * a Unix socket in its directory and by nothing else, and ends with the process that started it.
 * Errors end the process.
 */
#ifndef PEERS_REDIS_H
#define PEERS_REDIS_H

#include <stdbool.h>
#include <stdint.h>

/* Why there can be none, and what to do about it; NULL: there can. Static. */
const char *redis_missing(void);

struct redis;
struct redis *redis_start(const char *directory);
void redis_stop(struct redis *redis);

/* One connection of many, each for a thread of its own. */
struct redis_client;
struct redis_client *redis_client_new(struct redis *redis);
void redis_client_free(struct redis_client *client);

/* A rate limit in one call: counts a request of a user in the window of a minute that is open. */
#define REDIS_LIMIT "one call of a script that increments the user's count of this minute"
bool redis_client_limit(struct redis_client *client, uint64_t user, uint64_t most);

#endif
