/* See sqlite.h. */
#include "peers/sqlite.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sqlite {
    sqlite3 *database;
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *insert;
    sqlite3_stmt *update;
    struct transfer_sums *sums; /* of a batch, by account */
    uint32_t accounts;
};

static const char tables[] =
    "create table accounts (id blob primary key, debits_pending integer not null, debits_posted "
    "integer not null, credits_pending integer not null, credits_posted integer not null, "
    "user_data_128 blob, user_data_64 integer not null, user_data_32 integer not null, ledger "
    "integer not null, code integer not null, flags integer not null, timestamp integer not null) "
    "without rowid;"
    "create table transfers (id blob primary key, debit_account_id blob not null, "
    "credit_account_id blob not null, amount integer not null, pending_id blob, user_data_128 "
    "blob, user_data_64 integer not null, user_data_32 integer not null, timeout integer not null, "
    "ledger integer not null, code integer not null, flags integer not null, timestamp integer not "
    "null) without rowid;";

static const char indexes[] = "create index by_debit on transfers (debit_account_id, timestamp);"
                              "create index by_credit on transfers (credit_account_id, timestamp);"
                              "create index by_code on transfers (code, timestamp);";

static const char insert_statement[] =
    "insert into transfers select ?1, ?2, ?3, ?4, null, null, 0, 0, 0, 1, ?5, 0, ?6 where exists "
    "(select 1 from accounts where id = ?2) and exists (select 1 from accounts where id = ?3) on "
    "conflict do nothing";

/* Of what is known to be right. */
static const char load_statement[] =
    "insert into transfers values (?1, ?2, ?3, ?4, null, null, 0, 0, 0, 1, ?5, 0, ?6)";

static const char update_statement[] =
    "update accounts set debits_posted = debits_posted + ?2, credits_posted = credits_posted + ?3 "
    "where id = ?1";

/* ---- Statements ------------------------------------------------------------------------------ */

static void check(const struct sqlite *sqlite, int code)
{
    if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW)
        bench_fail("SQLite: %s", sqlite3_errmsg(sqlite->database));
}

static void run(const struct sqlite *sqlite, const char *statements)
{
    check(sqlite, sqlite3_exec(sqlite->database, statements, NULL, NULL, NULL));
}

static sqlite3_stmt *prepare(const struct sqlite *sqlite, const char *statement)
{
    sqlite3_stmt *out;
    check(sqlite, sqlite3_prepare_v3(sqlite->database, statement, -1, SQLITE_PREPARE_PERSISTENT,
                                     &out, NULL));
    return out;
}

static void step(const struct sqlite *sqlite, sqlite3_stmt *statement)
{
    check(sqlite, sqlite3_step(statement));
    check(sqlite, sqlite3_reset(statement));
}

static uint64_t number(const struct sqlite *sqlite, const char *query)
{
    sqlite3_stmt *statement = prepare(sqlite, query);
    check(sqlite, sqlite3_step(statement));
    uint64_t found = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return found;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static struct sqlite *open_database(const char *directory)
{
    struct sqlite *sqlite = bench_alloc(1, sizeof(*sqlite));
    char path[4200];
    snprintf(path, sizeof(path), "%s/ledger.sqlite", directory);
    if (sqlite3_open(path, &sqlite->database) != SQLITE_OK)
        bench_fail("SQLite cannot open %s", path);
    run(sqlite, "pragma cache_size = -1000000; pragma temp_store = memory;");
    return sqlite;
}

static void prepare_all(struct sqlite *sqlite)
{
    sqlite->begin = prepare(sqlite, "begin immediate");
    sqlite->commit = prepare(sqlite, "commit");
    sqlite->insert = prepare(sqlite, insert_statement);
    sqlite->update = prepare(sqlite, update_statement);
}

struct sqlite *sqlite_open(const char *directory)
{
    struct sqlite *sqlite = open_database(directory);
    run(sqlite, "pragma journal_mode = wal; pragma synchronous = full;"
                "pragma wal_autocheckpoint = 0;");
    prepare_all(sqlite);
    sqlite->accounts = (uint32_t)number(sqlite, "select count(*) from accounts");
    sqlite->sums = bench_alloc(sqlite->accounts + 1, sizeof(*sqlite->sums));
    return sqlite;
}

void sqlite_close(struct sqlite *sqlite)
{
    sqlite3_finalize(sqlite->begin);
    sqlite3_finalize(sqlite->commit);
    sqlite3_finalize(sqlite->insert);
    sqlite3_finalize(sqlite->update);
    if (sqlite3_close(sqlite->database) != SQLITE_OK)
        bench_fail("SQLite cannot close");
    free(sqlite->sums);
    free(sqlite);
}

void sqlite_checkpoint(struct sqlite *sqlite)
{
    run(sqlite, "pragma wal_checkpoint(truncate)");
}

/* ---- Making transfers ------------------------------------------------------------------------ */

static void insert(struct sqlite *sqlite, const struct transfer *transfer, uint64_t time)
{
    uint8_t debit[TRANSFERS_ID_BYTES];
    uint8_t credit[TRANSFERS_ID_BYTES];
    transfers_account_id(transfer->debit, debit);
    transfers_account_id(transfer->credit, credit);
    sqlite3_bind_blob(sqlite->insert, 1, transfer->id, TRANSFERS_ID_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob(sqlite->insert, 2, debit, TRANSFERS_ID_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob(sqlite->insert, 3, credit, TRANSFERS_ID_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(sqlite->insert, 4, transfer->amount);
    sqlite3_bind_int(sqlite->insert, 5, transfer->code);
    sqlite3_bind_int64(sqlite->insert, 6, (sqlite3_int64)time);
    step(sqlite, sqlite->insert);
    if (sqlite3_changes(sqlite->database) != 1)
        bench_fail("SQLite did not make a transfer");
}

static void update(struct sqlite *sqlite, uint32_t account)
{
    uint8_t id[TRANSFERS_ID_BYTES];
    struct transfer_sums *sums = &sqlite->sums[account];
    if (sums->debits == 0 && sums->credits == 0)
        return;
    transfers_account_id(account, id);
    sqlite3_bind_blob(sqlite->update, 1, id, sizeof(id), SQLITE_STATIC);
    sqlite3_bind_int64(sqlite->update, 2, (sqlite3_int64)sums->debits);
    sqlite3_bind_int64(sqlite->update, 3, (sqlite3_int64)sums->credits);
    step(sqlite, sqlite->update);
    *sums = (struct transfer_sums){0};
}

static uint64_t time_of(const struct transfer *transfer)
{
    uint64_t time = 0;
    for (int i = 0; i < 8; i++)
        time = time << 8 | transfer->id[i];
    return time;
}

void sqlite_batch(void *context, const struct transfer *transfers, uint32_t count)
{
    struct sqlite *sqlite = context;
    step(sqlite, sqlite->begin);
    for (uint32_t i = 0; i < count; i++) {
        insert(sqlite, &transfers[i], time_of(&transfers[i]));
        sqlite->sums[transfers[i].debit].debits += transfers[i].amount;
        sqlite->sums[transfers[i].credit].credits += transfers[i].amount;
    }
    for (uint32_t i = 0; i < count; i++) {
        update(sqlite, transfers[i].debit);
        update(sqlite, transfers[i].credit);
    }
    step(sqlite, sqlite->commit);
}

void sqlite_sums(void *context, struct transfer_sums *out)
{
    struct sqlite *sqlite = context;
    out->debits = number(sqlite, "select sum(debits_posted) from accounts");
    out->credits = number(sqlite, "select sum(credits_posted) from accounts");
}

/* ---- Loading --------------------------------------------------------------------------------- */

static void add_accounts(struct sqlite *sqlite, uint32_t count)
{
    uint8_t id[TRANSFERS_ID_BYTES];
    sqlite3_stmt *statement =
        prepare(sqlite, "insert into accounts values (?1, 0, 0, 0, 0, null, 0, 0, 1, 1, 0, ?2)");
    for (uint32_t account = 1; account <= count; account++) {
        transfers_account_id(account, id);
        sqlite3_bind_blob(statement, 1, id, sizeof(id), SQLITE_STATIC);
        sqlite3_bind_int64(statement, 2, account);
        step(sqlite, statement);
    }
    sqlite3_finalize(statement);
}

void sqlite_load(const char *directory, uint32_t accounts, uint64_t batches)
{
    struct sqlite *sqlite = open_database(directory);
    struct transfer *transfers = bench_alloc(TRANSFERS_BATCH, sizeof(*transfers));
    struct transfer_source source = transfers_of_history(accounts);
    run(sqlite, "pragma journal_mode = off; pragma synchronous = off;");
    run(sqlite, tables);
    prepare_all(sqlite);
    sqlite->accounts = accounts + 2;
    sqlite->sums = bench_alloc(sqlite->accounts + 1, sizeof(*sqlite->sums));
    add_accounts(sqlite, sqlite->accounts);
    sqlite3_finalize(sqlite->insert);
    sqlite->insert = prepare(sqlite, load_statement);
    for (uint64_t batch = 0; batch < batches; batch++) {
        transfers_next(&source, transfers_history_accounts(batch), transfers, TRANSFERS_BATCH);
        sqlite_batch(sqlite, transfers, TRANSFERS_BATCH);
    }
    run(sqlite, indexes);
    run(sqlite, "analyze");
    free(transfers);
    sqlite_close(sqlite);
}
