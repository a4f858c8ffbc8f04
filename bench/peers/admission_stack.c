/* See admission_stack.h. */
#include "peers/admission_stack.h"

#include "bench.h"
#include "peers/postgres_server.h"
#include "peers/redis.h"

#include <arpa/inet.h>
#include <endian.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { OID_INT8 = 20, OID_UUID = 2950, UUID_BYTES = 16, BINARY = 1, LIMIT = 1000000 };

struct admission_stack {
    struct postgres_server *postgres;
    struct redis *redis;
};

struct admission_client {
    PGconn *connection;
    struct redis_client *redis;
    uint32_t number;
    uint64_t next;
};

static PGresult *check(PGconn *connection, PGresult *result, ExecStatusType wanted)
{
    if (PQresultStatus(result) != wanted)
        bench_fail("PostgreSQL: %s", PQerrorMessage(connection));
    return result;
}

static void run(PGconn *connection, const char *statements)
{
    PQclear(check(connection, PQexec(connection, statements), PGRES_COMMAND_OK));
}

static const char tables[] =
    "create table tiers (name text primary key, width int, height int, steps int, parallel int,"
    "    quota bigint);"
    "insert into tiers values ('Premium', 1024, 1024, 200, 1000000, 100000000);"
    "create table users (id bigint primary key, tier text not null, active boolean not null,"
    "    credits bigint not null, reserved bigint not null, running int not null,"
    "    used bigint not null, day date not null) with (fillfactor = 50);"
    "create table jobs (id uuid primary key, user_id bigint not null, width int, height int,"
    "    steps int, count int, seed bigint, prompt text, cost bigint, state text,"
    "    created timestamptz);"
    "create index on jobs (user_id, created);"
    "create table events (id bigserial primary key, type text, user_id bigint, subject uuid,"
    "    at timestamptz);";

static const char function[] =
    "create function admit(p_user bigint, p_job uuid, p_seed bigint) returns boolean"
    " language plpgsql as $$ begin"
    "  update users u set running = running + 1, credits = credits - 1, reserved = reserved + 1,"
    "      used = case when day = current_date then used else 0 end + 1, day = current_date"
    "    from tiers t where u.id = p_user and t.name = u.tier and u.active"
    "      and u.running < t.parallel and u.credits >= 1 and 1024 <= t.width and 1024 <= t.height"
    "      and 30 <= t.steps"
    "      and case when day = current_date then used else 0 end < t.quota;"
    "  if not found then return false; end if;"
    "  insert into jobs values (p_job, p_user, 1024, 1024, 30, 1, p_seed,"
    "    'a lighthouse on a cliff at dusk, oil on canvas, highly detailed', 1, 'IN_QUEUE', now());"
    "  insert into events (type, user_id, subject, at)"
    "    values ('job.admitted', p_user, p_job, now());"
    "  return true; end $$;";

static void load(PGconn *connection, uint64_t users)
{
    char insert[256];
    run(connection, tables);
    run(connection, function);
    snprintf(insert, sizeof(insert),
             "insert into users select n, 'Premium', true, 1000000000000, 0, 0, 0, current_date "
             "from generate_series(1, %llu) n",
             (unsigned long long)users);
    run(connection, insert);
    run(connection, "vacuum analyze");
}

static char *make_directory(const char *directory, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", directory, name) < 0 || mkdir(path, 0711) != 0)
        bench_fail("cannot make a directory %s in %s", name, directory);
    return path;
}

const char *admission_stack_missing(const char *directory)
{
    const char *why = postgres_server_missing(directory);
    return why ? why : redis_missing();
}

struct admission_stack *admission_stack_new(const char *directory, uint64_t users, bool small)
{
    struct admission_stack *stack = bench_alloc(1, sizeof(*stack));
    char *cluster = make_directory(directory, "postgresql");
    struct postgres_server *loading = postgres_server_start(cluster, POSTGRES_UNSYNCED, small);
    PGconn *connection = postgres_server_connect(loading);
    load(connection, users);
    PQfinish(connection);
    postgres_server_stop(loading);
    stack->postgres = postgres_server_start(cluster, POSTGRES_SYNCED, small);
    stack->redis = redis_start(directory);
    free(cluster);
    return stack;
}

void admission_stack_free(struct admission_stack *stack)
{
    redis_stop(stack->redis);
    postgres_server_stop(stack->postgres);
    free(stack);
}

struct admission_client *admission_client_new(struct admission_stack *stack, uint32_t number)
{
    static const Oid types[] = {OID_INT8, OID_UUID, OID_INT8};
    struct admission_client *client = bench_alloc(1, sizeof(*client));
    client->number = number;
    client->connection = postgres_server_connect(stack->postgres);
    client->redis = redis_client_new(stack->redis);
    PQclear(check(client->connection,
                  PQprepare(client->connection, "admit", "select admit($1, $2, $3)", 3, types),
                  PGRES_COMMAND_OK));
    return client;
}

void admission_client_free(struct admission_client *client)
{
    redis_client_free(client->redis);
    PQfinish(client->connection);
    free(client);
}

/* Ids of a client grow, as ids of version 7 do. */
void admission_client_admit(struct admission_client *client, uint64_t user)
{
    uint64_t words[UUID_BYTES / 8] = {htobe64(++client->next), htobe64(client->number)};
    uint64_t seed = htobe64(client->next);
    uint64_t id = htobe64(user);
    const char *const values[] = {(const char *)&id, (const char *)words, (const char *)&seed};
    static const int lengths[] = {sizeof(id), UUID_BYTES, sizeof(seed)};
    static const int formats[] = {BINARY, BINARY, BINARY};
    if (!redis_client_limit(client->redis, user, LIMIT))
        bench_fail("Redis refused a request");
    PGresult *result =
        check(client->connection,
              PQexecPrepared(client->connection, "admit", 3, values, lengths, formats, BINARY),
              PGRES_TUPLES_OK);
    if (PQgetlength(result, 0, 0) != 1 || *PQgetvalue(result, 0, 0) != 1)
        bench_fail("PostgreSQL did not admit a job");
    PQclear(result);
}
