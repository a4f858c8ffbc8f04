/*
 * Making, checking and copying data.mdb. The format stands in lmdb_file.h.
 *
 * The check reads beside live writers and takes no lock. A commit never touches the pages of the
 * commit before it, so damage is believed only while the newest meta page is still the one that the
 * walk began with. Where commits come faster than that, the roots alone are read, and if not even
 * that is done in time, what writes to the file has found it whole.
 */
#include "store/lmdb_file.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "store/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEADER = 16, /* of a page */
    NODE = 8,    /* header of a node */
    META_BYTES = 136,
    DATABASE_BYTES = 48,
    META_FREE = 24,
    META_MAIN = META_FREE + DATABASE_BYTES,
    META_LAST_PAGE = META_MAIN + DATABASE_BYTES,
    META_TRANSACTION = META_LAST_PAGE + 8,
    PAGE_MIN = 512,
    PAGE_MAX = 32768,
    KEY_MAX = 511,
    DEPTH_MAX = 32,
    SMALL_PAGES = 256, /* a file of up to so many pages is always checked in full */
    RETRIES = 8,
    CREATE_MAP_BYTES = 1 << 20,
};

enum { FLAG_BRANCH = 1, FLAG_LEAF = 2, FLAG_OVERFLOW = 4, FLAG_META = 8 };
enum { NODE_OVERFLOW = 1, NODE_DATABASE = 2, NODE_DUPLICATES = 4 };

static const uint64_t no_page = UINT64_MAX;

struct database {
    uint64_t root;
    unsigned depth;
    unsigned
        flags; /* LMDB's MDB_REVERSEKEY and the like; of the free list also those of the file */
    bool integer_keys;
    bool holds_databases;
    bool holds_free; /* values are lists of free pages */
    unsigned levels; /* how deep to go into it */
};

struct meta {
    uint32_t page_bytes;
    uint64_t last_page;
    uint64_t transaction;
    struct database free;
    struct database main;
};

struct walk {
    int fd;
    const char *path;
    struct jini_error *error;
    struct meta meta;
    uint64_t pages; /* of the commit, as far as the file has them */
    uint8_t *met;   /* a bit for each of them that was met */
    uint64_t met_count;
    uint64_t free_beyond; /* free pages found that lie beyond the end of the file */
    enum lmdb_check extent;
    bool hurries;                    /* of a small file too the roots alone are read */
    const struct store_watch *watch; /* or NULL */
    uint64_t watch_at;               /* `met_count` of the next look at it */
};

enum { WATCH_PAGES = 64 /* between two looks at the watch */ };

static int damaged(const struct walk *walk, uint64_t page, const char *what)
{
    return error_set(walk->error, JINI_E_CORRUPT, walk->path,
                     "page %llu of the data file is damaged (%s); restore a copy",
                     (unsigned long long)page, what);
}

static int cut_off(const struct walk *walk, uint64_t offset, size_t length)
{
    struct stat info;
    if (fstat(walk->fd, &info) != 0)
        return error_set_errno(walk->error, errno, walk->path, "cannot look at the data file");
    return error_set(walk->error, JINI_E_CORRUPT, walk->path,
                     "the data file ends at byte %llu, but must hold %zu bytes from byte %llu on; "
                     "it was cut: restore a copy",
                     (unsigned long long)info.st_size, length, (unsigned long long)offset);
}

/* Reads exactly `length` bytes. A file that ends before them is damaged. */
static int read_bytes(const struct walk *walk, uint64_t offset, void *to, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t n = pread(walk->fd, (char *)to + done, length - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(walk->error, errno, walk->path, "cannot read the data file");
        if (n == 0)
            return cut_off(walk, offset, length);
        done += (size_t)n;
    }
    return 0;
}

/* ---- Meta pages ---- */

static struct database parse_database(const uint8_t *bytes)
{
    return (struct database){.root = load_le64(bytes + 40),
                             .depth = load_le16(bytes + 6),
                             .flags = load_le16(bytes + 4)};
}

enum key_order { ORDER_BYTES, ORDER_INTEGER };

/*
 * How keys and values of a database are ordered. Jini's have one value to a key, ordered as bytes;
 * LMDB asserts, and ends the process, where pages do not have the order that the flags tell.
 */
static bool has_order(const struct database *database, enum key_order order)
{
    enum {
        REVERSE_KEY = 0x02,
        DUP_SORT = 0x04,
        INTEGER_KEY = 0x08,
        DUP_FIXED = 0x10,
        INTEGER_DUP = 0x20,
        REVERSE_DUP = 0x40,
        ALL = REVERSE_KEY | DUP_SORT | INTEGER_KEY | DUP_FIXED | INTEGER_DUP | REVERSE_DUP
    };
    return (database->flags & ALL) == (order == ORDER_INTEGER ? INTEGER_KEY : 0);
}

static int parse_meta(struct walk *walk, const uint8_t *page, uint64_t number, struct meta *out)
{
    const uint8_t *bytes = page + HEADER;
    if (!(load_le16(page + 10) & FLAG_META) || load_le32(bytes) != UINT32_C(0xBEEFC0DE))
        return damaged(walk, number, "it is no meta page of LMDB");
    if (load_le32(bytes + 4) != 1)
        return error_set(walk->error, JINI_E_FORMAT, walk->path,
                         "the data file is of LMDB format %u; this version reads format 1",
                         load_le32(bytes + 4));
    *out = (struct meta){
        .page_bytes = load_le32(bytes + META_FREE),
        .last_page = load_le64(bytes + META_LAST_PAGE),
        .transaction = load_le64(bytes + META_TRANSACTION),
        .free = parse_database(bytes + META_FREE),
        .main = parse_database(bytes + META_MAIN),
    };
    out->free.integer_keys = true;
    out->free.holds_free = true;
    out->main.holds_databases = true;
    if (!has_order(&out->free, ORDER_INTEGER) || !has_order(&out->main, ORDER_BYTES))
        return damaged(walk, number, "impossible flags");
    uint32_t size = out->page_bytes;
    if (size < PAGE_MIN || size > PAGE_MAX || (size & (size - 1)) != 0)
        return damaged(walk, number, "impossible page size");
    if (out->last_page < 1 || out->last_page > UINT64_C(1) << 46)
        return damaged(walk, number, "impossible number of pages");
    return 0;
}

static int read_meta(struct walk *walk, struct meta *out)
{
    uint8_t page[HEADER + META_BYTES];
    struct meta first;
    struct meta second;
    int status = read_bytes(walk, 0, page, sizeof(page));
    if (status == 0)
        status = parse_meta(walk, page, 0, &first);
    if (status == 0)
        status = read_bytes(walk, first.page_bytes, page, sizeof(page));
    if (status == 0)
        status = parse_meta(walk, page, 1, &second);
    if (status == 0 && first.page_bytes != second.page_bytes)
        status = damaged(walk, 1, "another page size than page 0");
    if (status == 0)
        *out = second.transaction > first.transaction ? second : first;
    return status;
}

/* ---- Trees ---- */

static int walk_tree(struct walk *walk, const struct database *database, uint64_t number,
                     unsigned depth);

static int check_header(const struct walk *walk, const struct database *database,
                        const uint8_t *page, uint64_t number, unsigned depth)
{
    uint32_t size = walk->meta.page_bytes;
    unsigned flags = load_le16(page + 10);
    uint32_t lower = load_le16(page + 12);
    uint32_t upper = load_le16(page + 14);
    if (load_le64(page) != number)
        return damaged(walk, number, "it carries another number");
    if (flags != (depth == database->depth ? FLAG_LEAF : FLAG_BRANCH))
        return damaged(walk, number, "not of the kind that its place asks for");
    if (lower <= HEADER || lower % 2 != 0 || lower > upper || upper > size)
        return damaged(walk, number, "impossible bounds");
    return 0;
}

/* The node at `index`; NULL when it does not lie inside its page. */
static const uint8_t *node_at(const struct walk *walk, const uint8_t *page, unsigned index,
                              size_t *room)
{
    uint32_t size = walk->meta.page_bytes;
    uint32_t offset = load_le16(page + HEADER + 2 * index);
    if (offset < load_le16(page + 14) || offset + NODE > size)
        return NULL;
    const uint8_t *node = page + offset;
    size_t key = load_le16(node + 6);
    if (key > KEY_MAX || offset + NODE + key > size)
        return NULL;
    *room = size - offset - NODE - key;
    return node;
}

static struct slice node_key(const uint8_t *node)
{
    return slice_of(node + NODE, load_le16(node + 6));
}

static bool in_order(const struct database *database, struct slice before, struct slice key)
{
    if (database->integer_keys)
        return before.length == 8 && key.length == 8 &&
               load_le64(before.data) < load_le64(key.data);
    return slice_compare(before, key) < 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool pages_exist(const struct walk *walk, uint64_t first, uint64_t count)
{
    return first > 1 && first <= walk->meta.last_page && count <= walk->meta.last_page - first + 1;
}

/*
 * A page stands in one place. One that is free and in use, or in use twice, makes LMDB end the
 * process when it writes; and pages that name each other could lead the walk on for years.
 */
static int meet_pages(struct walk *walk, uint64_t first, uint64_t count)
{
    for (uint64_t page = first; page < first + count; page++) {
        uint8_t bit = (uint8_t)(1u << page % 8);
        if (page >= walk->pages)
            return damaged(walk, page, "it lies behind the end of the file");
        if (walk->met[page / 8] & bit)
            return damaged(walk, page, "it is referred to more than once");
        walk->met[page / 8] |= bit;
    }
    walk->met_count += count;
    return 0;
}

static int forget_pages(struct walk *walk)
{
    base_free(walk->met);
    walk->met = base_calloc(1, walk->pages / 8 + 1);
    walk->met_count = 0;
    return walk->met ? 0 : error_set(walk->error, JINI_E_NO_MEMORY, walk->path, "out of memory");
}

/* A value of the database of free pages: counts its pages that lie beyond the end of the file. */
static int check_free_list(struct walk *walk, uint64_t page, const uint8_t *inline_data,
                           uint64_t offset, uint64_t length)
{
    enum { BLOCK = 512 };
    uint64_t ids[BLOCK];
    uint64_t count = 0; /* the first number; the others follow it */
    uint64_t before = walk->meta.last_page + 1;
    for (uint64_t at = 0; at <= count;) {
        uint64_t n = at == 0 ? 1 : count - at + 1 < BLOCK ? count - at + 1 : BLOCK;
        if ((at + n) * 8 > length)
            return damaged(walk, page, "a free list that is longer than its value");
        int status = 0;
        if (inline_data)
            memcpy(ids, inline_data + at * 8, n * 8);
        else
            status = read_bytes(walk, offset + at * 8, ids, n * 8);
        if (status)
            return status;
        if (at == 0)
            count = ids[0] < length ? ids[0] : length;
        for (uint64_t i = 0; at > 0 && i < n; i++) {
            if (ids[i] < 2 || ids[i] >= before)
                return damaged(walk, page, "a free list out of order");
            before = ids[i];
            if (ids[i] >= walk->pages)
                walk->free_beyond++;
            else
                status = meet_pages(walk, ids[i], 1);
            if (status)
                return status;
        }
        at += n;
    }
    return 0;
}

/* A value on pages of its own. */
static int check_overflow(struct walk *walk, const struct database *database, uint64_t page,
                          uint64_t first, uint64_t length)
{
    uint32_t size = walk->meta.page_bytes;
    uint64_t needed = (HEADER - 1 + length) / size + 1;
    uint8_t header[HEADER];
    if (!pages_exist(walk, first, needed))
        return damaged(walk, page, "a value on pages that do not exist");
    int status = read_bytes(walk, first * size, header, sizeof(header));
    if (status)
        return status;
    /* LMDB frees as many as it says here, more than are needed where a shorter value came later. */
    uint64_t count = load_le32(header + 12);
    if (load_le64(header) != first || load_le16(header + 10) != FLAG_OVERFLOW || count < needed ||
        !pages_exist(walk, first, count))
        return damaged(walk, first, "not the value page that another page refers to");
    status = meet_pages(walk, first, count);
    if (status)
        return status;
    if (database->holds_free && database->levels > 1)
        return check_free_list(walk, first, NULL, first * size + HEADER, length);
    return 0;
}

static int check_leaf_node(struct walk *walk, const struct database *database, uint64_t number,
                           const uint8_t *node, size_t room)
{
    uint64_t length = load_le16(node) | (uint64_t)load_le16(node + 2) << 16;
    unsigned flags = load_le16(node + 4);
    const uint8_t *data = node + NODE + load_le16(node + 6);
    if (flags & NODE_DUPLICATES)
        return damaged(walk, number, "a kind of value that is not used here");
    if (flags & NODE_OVERFLOW)
        return room < 8 ? damaged(walk, number, "a node that leaves its page")
                        : check_overflow(walk, database, number, load_le64(data), length);
    if (length > room)
        return damaged(walk, number, "a node that leaves its page");
    if (database->holds_free)
        return check_free_list(walk, number, data, 0, length);
    if (!database->holds_databases || !(flags & NODE_DATABASE))
        return 0;
    if (length != DATABASE_BYTES)
        return damaged(walk, number, "a space with an impossible record");
    struct database inner = parse_database(data);
    if (!has_order(&inner, ORDER_BYTES))
        return damaged(walk, number, "impossible flags");
    inner.levels = database->levels;
    return walk_tree(walk, &inner, inner.root, 1);
}

static int check_nodes(struct walk *walk, const struct database *database, const uint8_t *page,
                       uint64_t number, unsigned depth)
{
    unsigned count = (load_le16(page + 12) - HEADER) / 2u;
    bool leaf = depth == database->depth;
    struct slice before = {0};
    for (unsigned i = 0; i < count; i++) {
        size_t room;
        const uint8_t *node = node_at(walk, page, i, &room);
        if (!node)
            return damaged(walk, number, "a node that leaves its page");
        struct slice key = node_key(node);
        if (i > (leaf ? 0u : 1u) && !in_order(database, before, key))
            return damaged(walk, number, "keys out of order");
        before = key;
        int status;
        if (leaf) {
            status = check_leaf_node(walk, database, number, node, room);
        } else {
            uint64_t child = load_le16(node) | (uint64_t)load_le16(node + 2) << 16 |
                             (uint64_t)load_le16(node + 4) << 32;
            status = walk_tree(walk, database, child, depth + 1);
        }
        if (status)
            return status;
    }
    return 0;
}

static bool goes_on(struct walk *walk)
{
    const struct store_watch *watch = walk->watch;
    if (!watch || walk->met_count < walk->watch_at)
        return true;
    walk->watch_at = walk->met_count + WATCH_PAGES;
    return watch->goes_on(watch->context, walk->met_count, walk->pages);
}

/* Checks the page and what lies below it, as deep as the walk goes. The root has depth 1. */
static int walk_tree(struct walk *walk, const struct database *database, uint64_t number,
                     unsigned depth)
{
    uint32_t size = walk->meta.page_bytes;
    if (depth == 1 && number == no_page)
        return 0;
    if (database->depth < 1 || database->depth > DEPTH_MAX)
        return error_set(walk->error, JINI_E_CORRUPT, walk->path,
                         "a space of the data file has the impossible depth %u; restore a copy",
                         database->depth);
    if (!pages_exist(walk, number, 1))
        return damaged(walk, number, "it does not exist, but others refer to it");
    if (depth > database->levels)
        return 0;
    if (!goes_on(walk))
        return error_set(walk->error, JINI_E_CANCELLED, walk->path, "the check was ended");
    uint8_t *page = base_malloc(size);
    if (!page)
        return error_set(walk->error, JINI_E_NO_MEMORY, walk->path, "out of memory");
    int status = read_bytes(walk, number * size, page, size);
    if (status == 0)
        status = meet_pages(walk, number, 1);
    if (status == 0)
        status = check_header(walk, database, page, number, depth);
    if (status == 0)
        status = check_nodes(walk, database, page, number, depth);
    base_free(page);
    return status;
}

/* ---- The whole ---- */

/*
 * LMDB does not write pages at the end of the file that the commit took and freed again, so a file
 * may be shorter than its last page says; but then every page that is missing stands in the list of
 * free pages.
 */
static int check_length(struct walk *walk)
{
    struct stat info;
    if (fstat(walk->fd, &info) != 0)
        return error_set_errno(walk->error, errno, walk->path, "cannot look at the data file");
    uint64_t pages = walk->meta.last_page + 1;
    walk->pages = least(pages, (uint64_t)info.st_size / walk->meta.page_bytes);
    if (walk->pages == pages)
        return 0;
    struct database whole = walk->meta.free;
    whole.levels = DEPTH_MAX;
    int status = forget_pages(walk);
    if (status == 0)
        status = walk_tree(walk, &whole, whole.root, 1);
    if (status == 0 && walk->free_beyond < pages - walk->pages)
        return error_set(walk->error, JINI_E_CORRUPT, walk->path,
                         "the data file ends at byte %llu, but holds data up to byte %llu; it was "
                         "cut: restore a copy",
                         (unsigned long long)info.st_size,
                         (unsigned long long)pages * walk->meta.page_bytes);
    return status;
}

static int check_once(struct walk *walk)
{
    int status = read_meta(walk, &walk->meta);
    if (status)
        return status;
    bool small = walk->meta.last_page < SMALL_PAGES && !walk->hurries;
    bool all = walk->extent == LMDB_CHECK_ALL || small;
    walk->meta.main.levels = all ? DEPTH_MAX : 1;
    walk->meta.free.levels = walk->meta.main.levels;
    walk->free_beyond = 0;
    walk->watch_at = 0;
    status = check_length(walk);
    if (status == 0)
        status = forget_pages(walk);
    if (status == 0)
        status = walk_tree(walk, &walk->meta.free, walk->meta.free.root, 1);
    if (status == 0)
        status = walk_tree(walk, &walk->meta.main, walk->meta.main.root, 1);
    return status;
}

/* True when a commit came between, so that what the walk found may have been a page in change. */
static bool moved_on(struct walk *walk)
{
    struct meta now;
    struct jini_error ignored;
    struct jini_error *error = walk->error;
    uint64_t transaction = walk->meta.transaction;
    walk->error = &ignored;
    int status = read_meta(walk, &now);
    walk->error = error;
    return status == 0 && now.transaction != transaction;
}

static int too_fast(const struct walk *walk)
{
    return error_set(walk->error, JINI_E_BUSY, walk->path,
                     "commits come faster than the data file can be checked: try again");
}

static int check_file(const char *directory, struct walk *walk)
{
    char path[4200];
    snprintf(path, sizeof(path), "%s/data.mdb", directory);
    walk->path = path;
    walk->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (walk->fd < 0)
        return error_set_errno(walk->error, errno, path, "cannot open the data file");
    bool moves = true;
    int status = JINI_E_CORRUPT;
    for (int i = 0; i < RETRIES && status == JINI_E_CORRUPT && moves; i++) {
        walk->hurries = i >= RETRIES / 2;
        status = check_once(walk);
        moves = status == JINI_E_CORRUPT && moved_on(walk);
    }
    if (status == JINI_E_CORRUPT && moves)
        status = walk->extent == LMDB_CHECK_ALL ? too_fast(walk) : 0;
    close(walk->fd);
    base_free(walk->met);
    if (status == 0)
        error_clear(walk->error);
    return status;
}

int lmdb_file_check(const char *directory, enum lmdb_check extent, const struct store_watch *watch,
                    struct jini_error *error)
{
    struct walk walk = {.error = error, .extent = extent, .watch = watch};
    return check_file(directory, &walk);
}

/* ---- Creation ---- */

static int fill_new(const char *path, MDB_env *env, struct jini_error *error)
{
    MDB_txn *txn = NULL;
    MDB_dbi dbi;
    int code = mdb_env_set_maxdbs(env, STORE_SPACES);
    if (code == 0)
        code = mdb_env_set_mapsize(env, CREATE_MAP_BYTES);
    if (code == 0)
        code = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS, 0600);
    if (code == 0)
        code = mdb_txn_begin(env, NULL, 0, &txn);
    for (int i = 0; code == 0 && i < STORE_SPACES; i++)
        code = mdb_dbi_open(txn, store_space_name((enum store_space)i), MDB_CREATE, &dbi);
    if (code == 0)
        code = mdb_txn_commit(txn);
    else if (txn)
        mdb_txn_abort(txn);
    if (code == ENOMEM)
        return error_set(error, JINI_E_NO_MEMORY, path, "out of memory");
    if (code)
        return error_set_errno(error, code > 0 ? code : EIO, path, "cannot make the data file");
    return 0;
}

int lmdb_file_create(const char *directory, struct jini_error *error)
{
    char path[4200];
    char fresh[4220];
    snprintf(path, sizeof(path), "%s/data.mdb", directory);
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    struct stat info;
    if (stat(path, &info) == 0)
        return 0;
    unlink(fresh); /* of a process that was killed here */
    MDB_env *env;
    if (mdb_env_create(&env) != 0)
        return error_set(error, JINI_E_NO_MEMORY, path, "out of memory");
    int status = fill_new(fresh, env, error);
    mdb_env_close(env);
    if (status == 0 && rename(fresh, path) != 0)
        status = error_set_errno(error, errno, path, "cannot make the data file");
    if (status)
        unlink(fresh);
    return status;
}

/* ---- Copies ---- */

enum { COPY_BYTES = 1 << 20 };

static int write_all(int fd, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_from_errno(errno);
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

/*
 * Finds the meta page of a commit among the two. Each commit writes the one that the last but one
 * had written, so it may be gone, or change while it is read: what is read twice alike is whole.
 */
static int find_meta(struct walk *walk, uint64_t transaction, uint8_t bytes[META_BYTES],
                     struct meta *out)
{
    uint8_t page[HEADER + META_BYTES];
    uint8_t again[HEADER + META_BYTES];
    int status = read_bytes(walk, 0, page, sizeof(page));
    if (status == 0)
        status = parse_meta(walk, page, 0, out);
    uint64_t offset = transaction % 2 * out->page_bytes;
    if (status == 0)
        status = read_bytes(walk, offset, page, sizeof(page));
    if (status == 0)
        status = read_bytes(walk, offset, again, sizeof(again));
    if (status)
        return status;
    if (memcmp(page, again, sizeof(page)) != 0 ||
        load_le64(page + HEADER + META_TRANSACTION) != transaction)
        return DRIVER_MOVED_ON;
    memcpy(bytes, page + HEADER, META_BYTES);
    return parse_meta(walk, page, transaction % 2, out);
}

/*
 * Both meta pages of the copy are of the one commit; the other one counts as the commit before it,
 * so that LMDB takes the right one and overwrites the other.
 */
static int copy_metas(const struct walk *walk, const uint8_t bytes[META_BYTES],
                      const struct meta *meta, uint8_t *room, int target)
{
    size_t length = 2 * (size_t)meta->page_bytes;
    int status = read_bytes(walk, 0, room, length);
    if (status)
        return status;
    for (uint64_t i = 0; i < 2; i++) {
        uint8_t *at = room + i * meta->page_bytes + HEADER;
        memcpy(at, bytes, META_BYTES);
        store_le64(at + META_TRANSACTION, meta->transaction - (meta->transaction % 2 != i));
    }
    return write_all(target, room, length);
}

/* Up to the last page of the commit, or to where the file ends before it (see check_length()). */
static int copy_pages(const struct walk *walk, const struct meta *meta, uint8_t *room, int target)
{
    uint64_t at = 2 * (uint64_t)meta->page_bytes;
    uint64_t end = (meta->last_page + 1) * meta->page_bytes;
    while (at < end) {
        size_t wanted = end - at < COPY_BYTES ? (size_t)(end - at) : COPY_BYTES;
        ssize_t n = pread(walk->fd, room, wanted, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_from_errno(errno);
        if (n == 0)
            break;
        int status = write_all(target, room, (size_t)n);
        if (status)
            return status;
        at += (uint64_t)n;
    }
    return 0;
}

int lmdb_file_copy(int source, uint64_t transaction, int target)
{
    struct walk walk = {.fd = source, .path = "data.mdb"};
    struct meta meta = {0};
    uint8_t bytes[META_BYTES];
    int status = find_meta(&walk, transaction, bytes, &meta);
    if (status)
        return status;
    uint8_t *room = base_malloc(COPY_BYTES);
    if (!room)
        return JINI_E_NO_MEMORY;
    status = copy_metas(&walk, bytes, &meta, room, target);
    if (status == 0)
        status = copy_pages(&walk, &meta, room, target);
    base_free(room);
    return status;
}
