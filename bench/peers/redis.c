/* See redis.h. */
#include "peers/redis.h"

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "/usr/bin/redis-check-rdb"

enum { START_WAIT_MS = 10000, SHA_CHARACTERS = 40 };

struct redis {
    pid_t pid;
    char socket[96];
    char sha[SHA_CHARACTERS + 1];
};

struct redis_client {
    redisContext *context;
    const struct redis *redis;
};

static const char script[] = "local n = redis.call('INCR', KEYS[1])\n"
                             "if n == 1 then redis.call('PEXPIRE', KEYS[1], 60000) end\n"
                             "return n";

const char *redis_missing(void)
{
    return access(PROGRAM, X_OK) == 0 ? NULL
                                      : "Redis is not installed; apt-get install redis-tools";
}

/* In a child. Nothing is written to the disk. */
static void run(const struct redis *redis, const char *directory)
{
    int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere < 0 || dup2(nowhere, STDOUT_FILENO) < 0)
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl(PROGRAM, "redis-server", "--port", "0", "--unixsocket", redis->socket, "--save", "",
          "--appendonly", "no", "--dir", directory, (char *)NULL);
    _exit(127);
}

static redisReply *check(redisContext *context, void *reply)
{
    redisReply *answer = reply;
    if (!answer)
        bench_fail("Redis: %s", context->errstr);
    if (answer->type == REDIS_REPLY_ERROR)
        bench_fail("Redis: %s", answer->str);
    return answer;
}

static redisContext *try_to_connect(const struct redis *redis)
{
    redisContext *context = redisConnectUnix(redis->socket);
    if (context && context->err == 0)
        return context;
    if (context)
        redisFree(context);
    return NULL;
}

static void load_script(struct redis *redis, redisContext *context)
{
    redisReply *reply = check(context, redisCommand(context, "SCRIPT LOAD %s", script));
    if (reply->type != REDIS_REPLY_STRING || reply->len != SHA_CHARACTERS)
        bench_fail("Redis did not load a script");
    memcpy(redis->sha, reply->str, SHA_CHARACTERS);
    freeReplyObject(reply);
}

struct redis *redis_start(const char *directory)
{
    struct redis *redis = bench_alloc(1, sizeof(*redis));
    redisContext *context = NULL;
    int status;
    int length = snprintf(redis->socket, sizeof(redis->socket), "%s/redis.sock", directory);
    if (length < 0 || (size_t)length >= sizeof(redis->socket))
        bench_fail("the path %s is too long for a socket; name a shorter one by --dir", directory);
    redis->pid = bench_fork();
    if (redis->pid == 0)
        run(redis, directory);
    for (unsigned waited_ms = 0; !context && waited_ms < START_WAIT_MS; waited_ms++) {
        if (waitpid(redis->pid, &status, WNOHANG) == redis->pid)
            bench_fail("Redis did not start");
        bench_sleep(0.001);
        context = try_to_connect(redis);
    }
    if (!context)
        bench_fail("Redis has not started within %d s", START_WAIT_MS / 1000);
    load_script(redis, context);
    redisFree(context);
    return redis;
}

void redis_stop(struct redis *redis)
{
    int status;
    kill(redis->pid, SIGTERM);
    while (waitpid(redis->pid, &status, 0) < 0 && errno == EINTR)
        ;
    free(redis);
}

struct redis_client *redis_client_new(struct redis *redis)
{
    struct redis_client *client = bench_alloc(1, sizeof(*client));
    client->redis = redis;
    client->context = try_to_connect(redis);
    if (!client->context)
        bench_fail("cannot connect to Redis");
    return client;
}

void redis_client_free(struct redis_client *client)
{
    redisFree(client->context);
    free(client);
}

bool redis_client_limit(struct redis_client *client, uint64_t user, uint64_t most)
{
    redisReply *reply =
        check(client->context, redisCommand(client->context, "EVALSHA %s 1 limit:%llu",
                                            client->redis->sha, (unsigned long long)user));
    bool within = reply->type == REDIS_REPLY_INTEGER && (uint64_t)reply->integer <= most;
    freeReplyObject(reply);
    return within;
}
