/*
 * One backup, shared by its parts:
 *
 *   backup.c         the request: who may make it, in which order
 *   backup_place.c   the directory: what it holds, and the records' way to their name
 *   backup_folders.c  whose its folders are
 *   backup_files.c   packs and objects: which, whence, and whether they hold
 *   backup_prune.c   what the records name no longer
 *
 *     DIR/jini-backup     what this is, see backup_place.c
 *     DIR/data.mdb        the records
 *     DIR/data-before.mdb those of before any problem was found in the database
 *     DIR/packs, archive  as in any database
 *     DIR/partial/        what is being copied; nothing in it counts
 *
 *  1. The lease of tiering is held from before the records are copied until all that they name is:
 *     what they name cannot go meanwhile. That it was is looked at before the records get their
 *     name.
 *  2. A file gets its name when it is whole and synced, and one of the same name is replaced only
 *     where it may have grown, or does not hold. So what DIR/data.mdb names is there at any time.
 *  3. Nothing is deleted before the new records are durable under their name, nor where there was
 *     any problem: what is damaged in the database may be whole in the backup before. Damaged
 *     records are no better than those before, which then stay beside them.
 *  4. An open pack is copied up to the end of its last record that the copied records name. It is
 *     open there, too, and the first run of tiering seals it.
 */
#ifndef ENGINE_BACKUP_PRIVATE_H
#define ENGINE_BACKUP_PRIVATE_H

#include "engine/engine_private.h"

#include "base/fork.h"
#include "base/hash.h"
#include "images/index.h"

#include <jini/backup.h>
#include <sys/stat.h>

enum { BACKUP_PATH_MAX = 4096, BACKUP_FULL_PATH_MAX = BACKUP_PATH_MAX + 256 };

/* What the file jini-backup says. */
struct backup_marker {
    struct jini_id id;
    uint64_t epoch;            /* of the lease that is named after it; 0: nothing was finished */
    bool is_damaged;           /* something in it may not hold */
    uint32_t count;            /* of `records` */
    struct hash128 records[2]; /* of what data.mdb may be */
};

struct backup {
    struct jini *jini;
    struct jini_backup *request;
    struct lease lease; /* of tiering */

    /* backup_place.c */
    struct fork_file directory; /* locked */
    char path[BACKUP_PATH_MAX];
    bool made;                   /* the directory was */
    struct backup_marker marker; /* as it stands there */
    uint64_t epoch;              /* of this backup */
    bool has_before;             /* records, of the backup before */
    struct hash128 before;       /* their hash */
    struct stat before_file;     /* and the file, as it was then */
    struct store *records;       /* those that were copied */
    struct hash128 records_hash;

    /* backup_files.c */
    bool was_damaged; /* the backup before: its files are read before they are kept */
    const char *phase;
    uint64_t done; /* bytes of the phase */
    uint64_t total;
    uint8_t *piece;
    struct hash_stream *hash;
    struct jini_error first_error; /* of what could not be copied */
};

enum { BACKUP_PIECE_BYTES = 1 << 20 };

bool backup_cancelled(const struct backup *backup);
void backup_progress(struct backup *backup, uint64_t bytes);

/* Something of the database that could not be copied as it should be: JINI_E_CORRUPT, JINI_E_IO. */
void backup_problem(struct backup *backup, const struct jini_verify_problem *problem, int status);

/* How often the database has counted this backup; 0: it does not know it. */
int backup_epoch(struct backup *backup, uint64_t *out, struct jini_error *error);

/* ---- backup_place.c ---- */

/* Makes or opens the directory, locks it, and looks whether it may be used. */
int backup_place_open(struct backup *backup, struct jini_error *error);

/* Writes down that something in the backup does not hold: then the next one reads every byte. */
int backup_place_note_damage(struct backup *backup, struct jini_error *error);

/* Copies the records, and opens the copy. */
int backup_place_stage(struct backup *backup, struct jini_error *error);

/* Syncs all directories, and gives the records their name. */
int backup_place_publish(struct backup *backup, struct jini_error *error);

/* Removes the records of before damage, where there are any. */
int backup_place_drop_before(struct backup *backup, struct jini_error *error);

/* Lets go of what is open; what is in DIR/partial goes, too. May be called at any point. */
void backup_place_close(struct backup *backup);

/* ---- backup_folders.c ---- */

/* JINI_E_INVALID: the directory, or a folder in it, is one of the database or of its archive. */
int backup_check_owners(const struct backup *backup, struct jini_error *error);

/*
 * JINI_E_INVALID: a folder of packs or objects leads elsewhere, by a link or since something is
 * mounted there.
 */
int backup_check_folders(const struct backup *backup, struct jini_error *error);

/* ---- backup_files.c, backup_prune.c ---- */

int backup_files_copy(struct backup *backup, struct jini_error *error);

/* Deletes the packs and objects that the records do not name. */
int backup_prune(struct backup *backup, struct jini_error *error);

/* The folder of the archive in a backup: that of an object is what its name says below it. */
#define BACKUP_ARCHIVE "archive"

/* Whether the records want a pack's file, and whether they want its object. */
bool backup_wants_file(const struct index_pack *pack);
bool backup_wants_object(const struct index_pack *pack);

#endif
