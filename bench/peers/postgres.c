/* See postgres.h. Values travel in PostgreSQL's binary forms. */
#include "peers/postgres.h"

#include <arpa/inet.h>
#include <endian.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

/* The types of pg_type.dat. */
enum {
    OID_INT2 = 21,
    OID_INT8 = 20,
    OID_UUID = 2950,
    OID_INT2_ARRAY = 1005,
    OID_INT8_ARRAY = 1016,
    OID_UUID_ARRAY = 2951
};

enum { BINARY = 1, UUID_BYTES = 16 };

struct postgres {
    struct postgres_server *server;
    PGconn *connection;
};

struct postgres_client {
    PGconn *connection;
};

static const char tables[] =
    "create table accounts (id uuid primary key, debits_pending bigint not null, debits_posted "
    "bigint not null, credits_pending bigint not null, credits_posted bigint not null, "
    "user_data_128 uuid, user_data_64 bigint not null, user_data_32 int not null, ledger int not "
    "null, code smallint not null, flags smallint not null, timestamp bigint not null) with "
    "(fillfactor = 50);"
    "create table transfers (id uuid not null, debit_account_id uuid not null, credit_account_id "
    "uuid not null, amount bigint not null, pending_id uuid, user_data_128 uuid, user_data_64 "
    "bigint not null, user_data_32 int not null, timeout int not null, ledger int not null, code "
    "smallint not null, flags smallint not null, timestamp bigint not null);"
    "create function make_transfer(new_id uuid, debit uuid, credit uuid, amount bigint, code "
    "smallint) returns boolean language plpgsql as $$ begin "
    "insert into transfers values (new_id, debit, credit, amount, null, null, 0, 0, 0, 1, code, 0, "
    "(extract(epoch from clock_timestamp()) * 1000000000)::bigint) on conflict do nothing; "
    "if not found then return false; end if; "
    "if debit < credit then "
    "update accounts a set debits_posted = a.debits_posted + make_transfer.amount where a.id = "
    "debit; "
    "if not found then raise 'no debit account'; end if; "
    "end if; "
    "update accounts a set credits_posted = a.credits_posted + make_transfer.amount where a.id = "
    "credit; "
    "if not found then raise 'no credit account'; end if; "
    "if debit > credit then "
    "update accounts a set debits_posted = a.debits_posted + make_transfer.amount where a.id = "
    "debit; "
    "if not found then raise 'no debit account'; end if; "
    "end if; "
    "return true; end $$;";

static const char indexes[] = "alter table transfers add primary key (id);"
                              "create index on transfers (debit_account_id, timestamp);"
                              "create index on transfers (credit_account_id, timestamp);"
                              "create index on transfers (code, timestamp);";

static const char batch_statement[] =
    "with given as (select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], "
    "$5::smallint[]) with ordinality as t (id, debit, credit, amount, code, place)), "
    "made as (insert into transfers select g.id, g.debit, g.credit, g.amount, null, null, 0, 0, "
    "0, 1, g.code, 0, $6 + g.place from given g join accounts d on d.id = g.debit join accounts c "
    "on c.id = g.credit on conflict (id) do nothing returning debit_account_id, credit_account_id, "
    "amount), "
    "sums as (select account, sum(debit)::bigint as debit, sum(credit)::bigint as credit from "
    "(select debit_account_id as account, amount as debit, 0 as credit from made union all "
    "select credit_account_id, 0, amount from made) s group by account), "
    "updated as (update accounts a set debits_posted = a.debits_posted + s.debit, credits_posted = "
    "a.credits_posted + s.credit from sums s where a.id = s.account) "
    "select count(*) from made";

/* ---- Statements ------------------------------------------------------------------------------ */

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

static uint64_t read_int8(const PGresult *result, int column)
{
    uint64_t big;
    if (PQgetlength(result, 0, column) != (int)sizeof(big))
        bench_fail("PostgreSQL answers with %d bytes", PQgetlength(result, 0, column));
    memcpy(&big, PQgetvalue(result, 0, column), sizeof(big));
    return be64toh(big);
}

/* ---- Writing binary forms -------------------------------------------------------------------- */

struct writer {
    uint8_t *at;
};

static void put(struct writer *writer, const void *bytes, size_t length)
{
    memcpy(writer->at, bytes, length);
    writer->at += length;
}

static void put_16(struct writer *writer, uint16_t number)
{
    uint16_t big = htons(number);
    put(writer, &big, sizeof(big));
}

static void put_32(struct writer *writer, uint32_t number)
{
    uint32_t big = htonl(number);
    put(writer, &big, sizeof(big));
}

static void put_64(struct writer *writer, uint64_t number)
{
    uint64_t big = htobe64(number);
    put(writer, &big, sizeof(big));
}

/* With their length before them, as fields of a row and elements of an array are. */
static void field_16(struct writer *writer, uint16_t number)
{
    put_32(writer, sizeof(number));
    put_16(writer, number);
}

static void field_32(struct writer *writer, uint32_t number)
{
    put_32(writer, sizeof(number));
    put_32(writer, number);
}

static void field_64(struct writer *writer, uint64_t number)
{
    put_32(writer, sizeof(number));
    put_64(writer, number);
}

static void field_uuid(struct writer *writer, const uint8_t id[UUID_BYTES])
{
    put_32(writer, UUID_BYTES);
    put(writer, id, UUID_BYTES);
}

static void field_account(struct writer *writer, uint32_t number)
{
    uint8_t id[TRANSFERS_ID_BYTES];
    transfers_account_id(number, id);
    field_uuid(writer, id);
}

static void field_null(struct writer *writer)
{
    put_32(writer, UINT32_MAX);
}

static void array_begin(struct writer *writer, uint32_t type, uint32_t count)
{
    put_32(writer, 1); /* dimensions */
    put_32(writer, 0); /* without nulls */
    put_32(writer, type);
    put_32(writer, count);
    put_32(writer, 1); /* the first index */
}

/* ---- Loading --------------------------------------------------------------------------------- */

enum { ROW_BYTES_MAX = 256, ACCOUNT_FIELDS = 12, TRANSFER_FIELDS = 13 };

static void write_account(struct writer *writer, uint32_t number, const struct transfer_sums *sums)
{
    put_16(writer, ACCOUNT_FIELDS);
    field_account(writer, number);
    field_64(writer, 0);
    field_64(writer, sums->debits);
    field_64(writer, 0);
    field_64(writer, sums->credits);
    field_null(writer);
    field_64(writer, 0);
    field_32(writer, 0);
    field_32(writer, TRANSFERS_LEDGER);
    field_16(writer, TRANSFERS_ACCOUNT_CODE);
    field_16(writer, 0);
    field_64(writer, number);
}

static void write_transfer(struct writer *writer, const struct transfer *transfer, uint64_t time)
{
    put_16(writer, TRANSFER_FIELDS);
    field_uuid(writer, transfer->id);
    field_account(writer, transfer->debit);
    field_account(writer, transfer->credit);
    field_64(writer, transfer->amount);
    field_null(writer);
    field_null(writer);
    field_64(writer, 0);
    field_32(writer, 0);
    field_32(writer, 0);
    field_32(writer, TRANSFERS_LEDGER);
    field_16(writer, transfer->code);
    field_16(writer, 0);
    field_64(writer, time);
}

static void copy_begin(PGconn *connection, const char *statement)
{
    static const uint8_t header[19] = "PGCOPY\n\377\r\n"; /* and zeros: no flags, no extension */
    PQclear(check(connection, PQexec(connection, statement), PGRES_COPY_IN));
    if (PQputCopyData(connection, (const char *)header, sizeof(header)) != 1)
        bench_fail("PostgreSQL: %s", PQerrorMessage(connection));
}

static void copy_rows(PGconn *connection, const uint8_t *rows, const struct writer *end)
{
    if (PQputCopyData(connection, (const char *)rows, (int)(end->at - rows)) != 1)
        bench_fail("PostgreSQL: %s", PQerrorMessage(connection));
}

static void copy_end(PGconn *connection)
{
    static const char trailer[2] = {'\377', '\377'};
    if (PQputCopyData(connection, trailer, sizeof(trailer)) != 1 ||
        PQputCopyEnd(connection, NULL) != 1)
        bench_fail("PostgreSQL: %s", PQerrorMessage(connection));
    PQclear(check(connection, PQgetResult(connection), PGRES_COMMAND_OK));
    while (PQgetResult(connection))
        continue;
}

/* What the history leaves is reckoned beside it, an account each. */
static void load_transfers(PGconn *connection, uint32_t accounts, uint64_t batches,
                           struct transfer_sums *sums)
{
    struct transfer *transfers = bench_alloc(TRANSFERS_BATCH, sizeof(*transfers));
    uint8_t *rows = bench_alloc(TRANSFERS_BATCH, ROW_BYTES_MAX);
    struct transfer_source source = transfers_of_history(accounts);
    copy_begin(connection, "copy transfers from stdin (format binary)");
    for (uint64_t batch = 0; batch < batches; batch++) {
        struct writer writer = {rows};
        transfers_next(&source, transfers_history_accounts(batch), transfers, TRANSFERS_BATCH);
        for (uint32_t i = 0; i < TRANSFERS_BATCH; i++) {
            write_transfer(&writer, &transfers[i], accounts + batch * TRANSFERS_BATCH + i);
            sums[transfers[i].debit].debits += transfers[i].amount;
            sums[transfers[i].credit].credits += transfers[i].amount;
        }
        copy_rows(connection, rows, &writer);
    }
    copy_end(connection);
    free(transfers);
    free(rows);
}

static void load_accounts(PGconn *connection, uint32_t count, const struct transfer_sums *sums)
{
    uint8_t row[ROW_BYTES_MAX];
    copy_begin(connection, "copy accounts from stdin (format binary)");
    for (uint32_t number = 1; number <= count; number++) {
        struct writer writer = {row};
        write_account(&writer, number, &sums[number]);
        copy_rows(connection, row, &writer);
    }
    copy_end(connection);
}

void postgres_load(const char *directory, uint32_t accounts, uint64_t batches, bool small)
{
    struct postgres_server *server = postgres_server_start(directory, POSTGRES_UNSYNCED, small);
    PGconn *connection = postgres_server_connect(server);
    uint32_t all = accounts + 2;
    struct transfer_sums *sums = bench_alloc(all + 1, sizeof(*sums));
    run(connection, "set client_min_messages = warning");
    run(connection, tables);
    load_transfers(connection, accounts, batches, sums);
    load_accounts(connection, all, sums);
    run(connection, indexes);
    run(connection, "vacuum (freeze, analyze)");
    run(connection, "checkpoint");
    PQfinish(connection);
    postgres_server_stop(server);
    free(sums);
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* A plan for the arrays at hand, rather than one for arrays of any length. */
static void prepare_batch(PGconn *connection)
{
    static const Oid types[] = {OID_UUID_ARRAY, OID_UUID_ARRAY, OID_UUID_ARRAY,
                                OID_INT8_ARRAY, OID_INT2_ARRAY, OID_INT8};
    run(connection, "set plan_cache_mode = force_custom_plan");
    PQclear(check(connection, PQprepare(connection, "batch", batch_statement, 6, types),
                  PGRES_COMMAND_OK));
}

struct postgres *postgres_open(const char *directory, bool small)
{
    struct postgres *postgres = bench_alloc(1, sizeof(*postgres));
    postgres->server = postgres_server_start(directory, POSTGRES_SYNCED, small);
    postgres->connection = postgres_server_connect(postgres->server);
    prepare_batch(postgres->connection);
    return postgres;
}

void postgres_close(struct postgres *postgres)
{
    PQfinish(postgres->connection);
    postgres_server_stop(postgres->server);
    free(postgres);
}

/* ---- Making transfers ------------------------------------------------------------------------ */

enum { ARRAY_HEADER_BYTES = 20, BATCH_ARRAYS = 5, BATCH_PARAMETERS };

static void write_array(struct writer *writer, int parameter, const struct transfer *transfers,
                        uint32_t count)
{
    static const uint32_t types[BATCH_ARRAYS] = {OID_UUID, OID_UUID, OID_UUID, OID_INT8, OID_INT2};
    array_begin(writer, types[parameter], count);
    for (uint32_t i = 0; i < count; i++) {
        if (parameter == 0)
            field_uuid(writer, transfers[i].id);
        else if (parameter == 1)
            field_account(writer, transfers[i].debit);
        else if (parameter == 2)
            field_account(writer, transfers[i].credit);
        else if (parameter == 3)
            field_64(writer, transfers[i].amount);
        else
            field_16(writer, transfers[i].code);
    }
}

/* The time of the first of a batch: the clock's, as that of a ledger. */
static uint64_t time_of(const struct transfer *transfer)
{
    uint64_t number;
    memcpy(&number, transfer->id, sizeof(number));
    return be64toh(number) & INT64_MAX;
}

void postgres_batch(void *context, const struct transfer *transfers, uint32_t count)
{
    struct postgres *postgres = context;
    static uint8_t arrays[BATCH_ARRAYS]
                         [ARRAY_HEADER_BYTES + TRANSFERS_BATCH * (UUID_BYTES + sizeof(uint32_t))];
    uint64_t time = htobe64(time_of(&transfers[0]));
    const char *values[BATCH_PARAMETERS];
    int lengths[BATCH_PARAMETERS];
    static const int formats[BATCH_PARAMETERS] = {BINARY, BINARY, BINARY, BINARY, BINARY, BINARY};
    for (int i = 0; i < BATCH_ARRAYS; i++) {
        struct writer writer = {arrays[i]};
        write_array(&writer, i, transfers, count);
        values[i] = (const char *)arrays[i];
        lengths[i] = (int)(writer.at - arrays[i]);
    }
    values[BATCH_ARRAYS] = (const char *)&time;
    lengths[BATCH_ARRAYS] = sizeof(time);
    PGresult *result = check(postgres->connection,
                             PQexecPrepared(postgres->connection, "batch", BATCH_PARAMETERS, values,
                                            lengths, formats, BINARY),
                             PGRES_TUPLES_OK);
    if (read_int8(result, 0) != count)
        bench_fail("PostgreSQL made %llu of %u transfers", (unsigned long long)read_int8(result, 0),
                   count);
    PQclear(result);
}

struct postgres_client *postgres_client_new(struct postgres *postgres)
{
    static const Oid types[] = {OID_UUID, OID_UUID, OID_UUID, OID_INT8, OID_INT2};
    struct postgres_client *client = bench_alloc(1, sizeof(*client));
    client->connection = postgres_server_connect(postgres->server);
    PQclear(check(
        client->connection,
        PQprepare(client->connection, "make", "select make_transfer($1, $2, $3, $4, $5)", 5, types),
        PGRES_COMMAND_OK));
    return client;
}

void postgres_client_free(struct postgres_client *client)
{
    PQfinish(client->connection);
    free(client);
}

void postgres_client_make(struct postgres_client *client, const struct transfer *transfer)
{
    uint8_t debit[TRANSFERS_ID_BYTES];
    uint8_t credit[TRANSFERS_ID_BYTES];
    uint64_t amount = htobe64(transfer->amount);
    uint16_t code = htons(transfer->code);
    const char *const values[] = {(const char *)transfer->id, (const char *)debit,
                                  (const char *)credit, (const char *)&amount, (const char *)&code};
    static const int lengths[] = {UUID_BYTES, UUID_BYTES, UUID_BYTES, sizeof(amount), sizeof(code)};
    static const int formats[] = {BINARY, BINARY, BINARY, BINARY, BINARY};
    transfers_account_id(transfer->debit, debit);
    transfers_account_id(transfer->credit, credit);
    PGresult *result =
        check(client->connection,
              PQexecPrepared(client->connection, "make", 5, values, lengths, formats, BINARY),
              PGRES_TUPLES_OK);
    if (PQgetlength(result, 0, 0) != 1 || *PQgetvalue(result, 0, 0) != 1)
        bench_fail("PostgreSQL did not make a transfer");
    PQclear(result);
}

void postgres_sums(void *context, struct transfer_sums *out)
{
    struct postgres *postgres = context;
    PGresult *result =
        check(postgres->connection,
              PQexecParams(postgres->connection,
                           "select sum(debits_posted)::bigint, sum(credits_posted)::bigint from "
                           "accounts",
                           0, NULL, NULL, NULL, NULL, BINARY),
              PGRES_TUPLES_OK);
    *out = (struct transfer_sums){read_int8(result, 0), read_int8(result, 1)};
    PQclear(result);
}
