/* Tokens of an archive; the rules and the formats stand in owner.h. */
#include "engine/owner.h"

#include "base/error.h"
#include "engine/tiering_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ROW_BYTES = 56,
    ROW_VERSION = 1,
    TOKEN_BYTES = 24, /* in the row */
    PREFIX_BYTES = 7 + 36 + 1,
    NAME_BYTES = PREFIX_BYTES + 16 + 1 + 36,
    HOST_MAX = 64,
    TEXT_MAX = 640,
    OLDER_MAX = 8 /* deleted by one run; there are more only after many crashes */
};

static const char row_key[] = "archive";

#define GENERATION_MAX (UINT64_C(1) << 62) /* never reached: what has it is damaged */

const char *jini_keeping_name(enum jini_keeping keeping)
{
    static const char *const names[] = {"nothing", "copy", "unknown", "taken"};
    return keeping >= JINI_KEEPING_NOTHING && keeping <= JINI_KEEPING_TAKEN ? names[keeping]
                                                                            : "unknown";
}

const char *jini_keeping_text(enum jini_keeping keeping)
{
    switch (keeping) {
    case JINI_KEEPING_NOTHING:
        return "the archive is this database's own";
    case JINI_KEEPING_COPY:
        return "this database is a copy, or was moved to another disk or machine, and its original "
               "may need them";
    case JINI_KEEPING_TAKEN:
        return "another database of the same origin, or a later state of this one, has deleted "
               "from the archive or adopted it";
    default:
        return "whether this database is the original cannot be known";
    }
}

static bool is_equal(const struct owner_token *a, const struct owner_token *b)
{
    return a->generation == b->generation && id_equal(&a->id, &b->id);
}

/* ---- The row ---- */

struct row {
    enum jini_keeping keeping;
    struct owner_token present;
    struct owner_token next;
};

static struct owner_token load_token(const uint8_t *bytes)
{
    struct owner_token token = {.generation = load_le64(bytes)};
    memcpy(token.id.bytes, bytes + 8, JINI_ID_BYTES);
    return token;
}

static void store_token(uint8_t *bytes, const struct owner_token *token)
{
    store_le64(bytes, token->generation);
    memcpy(bytes + 8, token->id.bytes, JINI_ID_BYTES);
}

static int read_row(struct store_txn *txn, struct row *out)
{
    uint8_t bytes[ROW_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    *out = (struct row){0};
    int status = store_get(txn, STORE_SPACE_META, slice_of_text(row_key), &value);
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (status == JINI_E_TOO_BIG || (status == 0 && value.length != ROW_BYTES))
        return JINI_E_CORRUPT;
    if (status)
        return status;
    struct row row = {(enum jini_keeping)load_le32(bytes + 4), load_token(bytes + 8),
                      load_token(bytes + 8 + TOKEN_BYTES)};
    if (load_le32(bytes) != ROW_VERSION || load_le32(bytes + 4) > JINI_KEEPING_TAKEN ||
        row.present.generation > GENERATION_MAX || row.next.generation > GENERATION_MAX)
        return JINI_E_CORRUPT;
    *out = row;
    return 0;
}

static int load_row(struct jini *jini, struct row *out)
{
    struct store_txn *txn;
    *out = (struct row){0};
    int status = store_read_begin(jini->store, &txn);
    if (status)
        return status;
    status = read_row(txn, out);
    store_read_end(txn);
    return status;
}

int owner_check_row(struct store_txn *txn)
{
    struct row row;
    return read_row(txn, &row);
}

struct change {
    const struct row *row;
    bool makes_home;
};

static int op_write(struct store_txn *txn, void *argument)
{
    const struct change *change = argument;
    uint8_t bytes[ROW_BYTES];
    store_le32(bytes, ROW_VERSION);
    store_le32(bytes + 4, (uint32_t)change->row->keeping);
    store_token(bytes + 8, &change->row->present);
    store_token(bytes + 8 + TOKEN_BYTES, &change->row->next);
    int status =
        store_put(txn, STORE_SPACE_META, slice_of_text(row_key), slice_of(bytes, sizeof(bytes)));
    return status == 0 && change->makes_home ? store_make_home(txn) : status;
}

static int write_row(const struct tiering_run *run, const struct change *change,
                     struct jini_error *error)
{
    int status = tiering_write(run, op_write, (void *)(uintptr_t)change);
    return status ? error_set(error, status, "archive", "%s", jini_status_text(status)) : 0;
}

/* ---- Tokens in the archive ---- */

/* Without a token: the prefix of all of them. */
static void name_of(const struct jini_id *lineage, const struct owner_token *token,
                    char out[NAME_BYTES + 1])
{
    char first[JINI_ID_TEXT_MAX];
    char second[JINI_ID_TEXT_MAX];
    jini_id_format(lineage, first);
    snprintf(out, NAME_BYTES + 1, "owners/%s/", first);
    if (!token)
        return;
    jini_id_format(&token->id, second);
    snprintf(out + PREFIX_BYTES, NAME_BYTES + 1 - PREFIX_BYTES, "%016llx-%s",
             (unsigned long long)token->generation, second);
}

/* False for a name that name_of() would not write. */
static bool parse(const struct jini_id *lineage, struct slice name, struct owner_token *out)
{
    char text[NAME_BYTES + 1];
    char again[NAME_BYTES + 1];
    if (name.length != NAME_BYTES)
        return false;
    memcpy(text, name.data, NAME_BYTES);
    text[NAME_BYTES] = '\0';
    out->generation = strtoull(text + PREFIX_BYTES, NULL, 16);
    if (jini_id_parse(text + PREFIX_BYTES + 17, &out->id) != 0)
        return false;
    name_of(lineage, out, again);
    return strcmp(text, again) == 0 && out->generation > 0 && out->generation < GENERATION_MAX;
}

/* What one look into the archive has found. */
struct sight {
    const struct jini_id *lineage;
    struct owner_token newest; /* generation 0: there is none */
    bool is_shared;            /* by another of the same generation */
    bool is_newer;             /* some name is none of this version's */
    uint32_t older_count;
    struct owner_token older[OLDER_MAX];
};

static void add_older(struct sight *sight, const struct owner_token *token)
{
    if (token->generation > 0 && sight->older_count < OLDER_MAX)
        sight->older[sight->older_count++] = *token;
}

static int see(struct archive_request *list, const struct archive_entry *entry)
{
    struct sight *sight = list->user;
    struct owner_token token;
    if (!parse(sight->lineage, entry->name, &token)) {
        sight->is_newer = true;
    } else if (token.generation > sight->newest.generation) {
        add_older(sight, &sight->newest);
        sight->newest = token;
        sight->is_shared = false;
    } else {
        sight->is_shared |= token.generation == sight->newest.generation;
        add_older(sight, &token);
    }
    return 0;
}

static int look(const struct tiering_run *run, struct sight *out, struct jini_error *error)
{
    char prefix[NAME_BYTES + 1];
    *out = (struct sight){.lineage = &run->owner.lineage};
    name_of(out->lineage, NULL, prefix);
    return archives_walk(run->jini, &run->request->request, slice_of_text(prefix), see, out, error);
}

static bool is_newest(const struct sight *sight, const struct owner_token *token)
{
    return !sight->is_shared && !sight->is_newer && is_equal(&sight->newest, token);
}

/* Durable after 0. That it is there already tells of an earlier PUT: its name has no other. */
static int put(const struct tiering_run *run, const struct owner_token *token,
               struct jini_error *error)
{
    char name[NAME_BYTES + 1];
    char host[HOST_MAX + 1] = "";
    char text[TEXT_MAX];
    gethostname(host, HOST_MAX);
    snprintf(text, sizeof(text), "jini-owner 1\n%s:%.512s\n", host, run->jini->directory);
    struct archive_extent extent = archive_memory(text, strlen(text));
    name_of(&run->owner.lineage, token, name);
    struct archive_request request = {.operation = ARCHIVE_PUT,
                                      .name = slice_of_text(name),
                                      .deadline_ns = archives_deadline(run->jini, extent.length),
                                      .put = {&extent, 1}};
    int status = tiering_ask(run, &request, error);
    return status == JINI_E_EXISTS ? 0 : status;
}

static int delete_token(const struct tiering_run *run, const struct owner_token *token)
{
    struct jini_error ignored;
    char name[NAME_BYTES + 1];
    name_of(&run->owner.lineage, token, name);
    struct archive_request request = {.operation = ARCHIVE_DELETE,
                                      .name = slice_of_text(name),
                                      .deadline_ns = archives_deadline(run->jini, 0)};
    return tiering_ask(run, &request, &ignored);
}

/* ---- Deleting nothing ---- */

/* From here on the run keeps everything; others are told without a look into the archive. */
static int keep(struct tiering_run *run, struct row *row, enum jini_keeping keeping,
                struct jini_error *error)
{
    struct change change = {.row = row};
    run->owner.keeping = row->keeping = keeping;
    return write_row(run, &change, error);
}

/*
 * An archive without a token is nobody's yet, and the first who deletes makes it its own. Unless it
 * has had one: then the archive was made anew, or another one is mounted in its place.
 */
static enum jini_keeping judge(const struct sight *sight, const struct row *row)
{
    if (sight->is_newer)
        return JINI_KEEPING_UNKNOWN;
    if (sight->newest.generation == 0)
        return row->present.generation == 0 ? JINI_KEEPING_NOTHING : JINI_KEEPING_UNKNOWN;
    return is_newest(sight, &row->present) || is_newest(sight, &row->next) ? JINI_KEEPING_NOTHING
                                                                           : JINI_KEEPING_TAKEN;
}

/* ---- Taking a token ---- */

static uint64_t generation_after(const struct sight *sight, const struct row *row)
{
    uint64_t last = sight->newest.generation;
    last = row->present.generation > last ? row->present.generation : last;
    return (row->next.generation > last ? row->next.generation : last) + 1;
}

/* Another database has put a token at the same time. A name that was deleted is not used again. */
static int withdraw(struct tiering_run *run, struct row *row, struct jini_error *error)
{
    if (delete_token(run, &row->next) == 0)
        row->next = (struct owner_token){0};
    return keep(run, row, JINI_KEEPING_TAKEN, error);
}

/* Steps (2) to (6). */
static int take(struct tiering_run *run, struct row *row, bool makes_home, struct sight *sight,
                struct jini_error *error)
{
    struct change change = {.row = row};
    row->next = (struct owner_token){generation_after(sight, row), id_next(&run->jini->ids)};
    int status = write_row(run, &change, error);
    if (status == 0)
        status = put(run, &row->next, error);
    if (status == 0)
        status = look(run, sight, error);
    if (status)
        return status;
    if (!is_newest(sight, &row->next))
        return withdraw(run, row, error);
    *row = (struct row){.present = row->next};
    change.makes_home = makes_home;
    status = write_row(run, &change, error);
    if (status)
        return status;
    run->owner.keeping = JINI_KEEPING_NOTHING;
    run->owner.token = row->present;
    for (uint32_t i = 0; i < sight->older_count; i++)
        (void)delete_token(run, &sight->older[i]); /* one that stays means nothing */
    return 0;
}

/* A next one that a run before this has left: it is in the archive after 0. */
static int finish_next(struct tiering_run *run, struct row *row, const struct sight *sight,
                       struct jini_error *error)
{
    if (row->next.generation == 0)
        return 0;
    int status = is_newest(sight, &row->next) ? 0 : put(run, &row->next, error);
    if (status == 0)
        row->present = row->next;
    return status;
}

static int claim(struct tiering_run *run, struct jini_error *error)
{
    struct row row;
    struct sight sight;
    int status = load_row(run->jini, &row);
    if (status_is_damage(status)) {
        run->owner.keeping = JINI_KEEPING_UNKNOWN;
        return 0;
    }
    if (status)
        return error_set(error, status, "archive", "%s", jini_status_text(status));
    status = look(run, &sight, error);
    if (status)
        return status;
    enum jini_keeping keeping = judge(&sight, &row);
    if (keeping)
        return keep(run, &row, keeping, error);
    status = finish_next(run, &row, &sight, error);
    if (status == 0)
        status = take(run, &row, false, &sight, error);
    /* Where there is no room for a token, the object that goes makes some for the next try. */
    return status == JINI_E_FULL ? 0 : status;
}

int owner_may_delete(struct tiering_run *run, struct jini_error *error)
{
    struct row row;
    struct sight sight;
    if (run->owner.keeping)
        return 0;
    if (run->owner.token.generation == 0)
        return claim(run, error);
    int status = look(run, &sight, error);
    if (status || is_newest(&sight, &run->owner.token))
        return status;
    status = load_row(run->jini, &row);
    if (status)
        return error_set(error, status, "archive", "%s", jini_status_text(status));
    return keep(run, &row, JINI_KEEPING_TAKEN, error);
}

int owner_adopt(struct tiering_run *run, struct jini_error *error)
{
    struct row row;
    struct sight sight;
    int status = load_row(run->jini, &row);
    if (status && !status_is_damage(status))
        return error_set(error, status, "archive", "%s", jini_status_text(status));
    status = look(run, &sight, error);
    if (status == 0 && sight.is_newer)
        status = error_set(error, JINI_E_FORMAT, "archive",
                           "what lies in the archive under \"owners\" tells that a newer version "
                           "owns it; use that one");
    if (status == 0)
        status = take(run, &row, true, &sight, error);
    if (status == 0 && run->owner.keeping)
        status = error_set(error, JINI_E_CONFLICT, "archive",
                           "another database takes the archive over at this moment; see that it "
                           "is not in use, and try again");
    return status;
}

/* ---- Without the archive ---- */

void owner_begin(struct jini *jini, struct owner *out)
{
    struct store_home home;
    int status = store_home(jini->store, &home);
    *out = (struct owner){.lineage = home.lineage};
    if (status || home.place == STORE_PLACE_UNKNOWN)
        out->keeping = JINI_KEEPING_UNKNOWN;
    else if (home.place == STORE_PLACE_OTHER)
        out->keeping = JINI_KEEPING_COPY;
}

enum jini_keeping owner_known(struct jini *jini)
{
    struct owner owner;
    struct row row;
    owner_begin(jini, &owner);
    if (owner.keeping)
        return owner.keeping;
    return load_row(jini, &row) == 0 ? row.keeping : JINI_KEEPING_UNKNOWN;
}
