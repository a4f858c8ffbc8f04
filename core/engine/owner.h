/*
 * Who may delete from the archive.
 *
 * A database and its copies are of one lineage (store_home()) and name the same objects. What one
 * of them no longer needs, another may: so at most one of them deletes. Databases of different
 * lineages may share an archive, and do not meet in it.
 *
 *  1. A database that is not at home deletes nothing. By this, copies that were made as files are
 *     told from their original.
 *  2. Nor does one that has not the newest token of its lineage in the archive. By this, those are
 *     told apart that have the same home: a disk and its snapshot, a machine and its clone, a
 *     database and an older state of it that was put back in its place.
 *  3. A run takes a new token before it deletes anything, and looks before each object whether that
 *     still is the newest. So of two databases that have the same token, the one that deletes first
 *     goes on. The other one finds a newer one, deletes nothing, and says so: what it had let go of
 *     stays, and jini_archive_adopt() takes the archive over, by a new token and a new home. What
 *     is older than the last run that deleted has an older token and never deletes.
 *
 * What no software can tell apart, it does not: of a database and a clone that is equal in
 * everything, either may be the first to delete.
 *
 * A token in the archive is an object, of whose name everything is known:
 *
 *     owners/LINEAGE/GENERATION-TOKEN    id, 16 hexadecimal digits, id; ids as in jini_id_format()
 *
 * Its bytes are for people: "jini-owner 1", a line of the host and the directory that took it. The
 * newest is the one with the highest generation; of two with the same, none is. Under a name of
 * another form lies what a newer version has left, and nobody here deletes.
 *
 * Space META, key "archive", 56 bytes little-endian: version (u32), 1; why nothing is deleted (u32,
 * enum jini_keeping), as the last run found that meant to; the present token and the next one:
 * generation (u64), id. Generation 0: none. No row: the database has never deleted anything.
 *
 * A token is taken under the lease of tiering:
 *
 *     (1) look: the newest is the present one of the row, or the next   (2) row: a new next one
 *     (3) PUT it   (4) look: it is the newest   (5) row: it is the present one
 *     (6) DELETE the older ones
 *
 * Adopting does the same whatever (1) finds, and makes the home with (5): before that the database
 * deletes as little as it did. A crash anywhere leaves the newest one in the row. A next one whose
 * PUT has not been answered is put again before another one is made, so that none comes into the
 * archive later than a younger one of the same database.
 *
 * An archive that is full takes no token, and would stay full: there a run deletes the first object
 * while the present token is the newest, and tries again before the next.
 *
 * No compare and swap is needed, only that a LIST shows what was stored before it: of two databases
 * that take a token in the same instant each has put its own before it looks, so at least one sees
 * the other's. That one withdraws its own, and keeps all objects until its next run; it may be both
 * of them. A database that deletes while another one takes a token has looked a moment before:
 * the object whose DELETE was under way is lost to the other one, and no second one.
 */
#ifndef ENGINE_OWNER_H
#define ENGINE_OWNER_H

#include "store/store.h"

#include <jini/archive.h>

struct tiering_run;

struct owner_token {
    uint64_t generation; /* 0: none */
    struct jini_id id;
};

/* Part of a run of tiering. */
struct owner {
    enum jini_keeping keeping;
    struct jini_id lineage;
    struct owner_token token; /* that the run has taken */
};

/* Of a run that begins; under its lease, if it has one. Rule 1 alone. */
void owner_begin(struct jini *jini, struct owner *out);

/* What is known without asking the archive: rule 1, and what the last run found. */
enum jini_keeping owner_known(struct jini *jini);

/*
 * Asked right before an object is deleted. After 0 `keeping` of the run tells whether it may be;
 * once it may not, this holds for the rest of the run. Others: the archive did not answer, or the
 * lease was lost.
 */
int owner_may_delete(struct tiering_run *run, struct jini_error *error);

/*
 * The archive is this database's from now on, which is at home. JINI_E_FORMAT: a newer version owns
 * it. JINI_E_CONFLICT: another database takes it at this moment. Errors of the archive, of a write.
 */
int owner_adopt(struct tiering_run *run, struct jini_error *error);

/* For verify. JINI_E_CORRUPT: the row cannot be read. 0 also where there is none. */
int owner_check_row(struct store_txn *txn);

#endif
