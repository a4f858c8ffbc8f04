/*
 * Backups: a copy of a database in use with all of its images, in a directory of its own.
 */
#ifndef JINI_BACKUP_H
#define JINI_BACKUP_H

#include <jini/archive.h>

#ifdef __cplusplus
extern "C" {
#endif

enum jini_backup_flag {
    JINI_BACKUP_DEEP = 1 << 0 /* read every byte back from the disk of the backup, also of what lay
                                 there before */
};

/*
 * Makes a backup in a directory, or brings the one that is there up to date: the records as of one
 * moment, each pack that lies on the local disk, and each object of the archive, wherever that is,
 * all of them checked while they are copied, and synced.
 *
 * The directory then is a database, whole by itself: its archive is the directory "archive" in it,
 * the default of archive.url. jini_verify() holds it against itself. To restore, put it, or a copy
 * of it, in the place of what was lost (not over it: what is left there goes aside), and have it
 * adopt its archive: until then it deletes nothing there, as no copy does (jini_archive_adopt()).
 * It shares nothing with its original, and
 * neither loses anything by what the other does. The options of the file jini.conf belong to the
 * machine, and are not copied.
 *
 * `path` names a directory that is not there, whose parent is, or that is empty; or a backup that
 * this database has made before, with folders of its own: no links, nothing that is mounted there,
 * and not those of the database or its archive. Of that one, packs and objects that do not change
 * any more are taken as they are, by name, length and footer (or, with JINI_BACKUP_DEEP, by every
 * byte), and what the records name no longer is deleted at the end. Until the new records have
 * their name, those of the backup before are there with all that they name: what ends early leaves
 * a backup as good as it was, and the next call goes on with what it has copied.
 *
 * Others put, read and remove images meanwhile. Tiering waits: a run of any process is
 * JINI_E_LOCKED, so that nothing is rewritten, freed or deleted for as long as this takes. As with
 * jini_copy() the pages of the data file are not used again while the records are copied, and that
 * part ends neither by jini_cancel() nor by jini_close().
 *
 * What is damaged or missing in the database is reported, and copied as it is unless the backup has
 * a better copy; then the result is JINI_E_CORRUPT, and all else is copied. So is what cannot be
 * read, with JINI_E_IO where that is all. Nothing is deleted from the backup then, and the next one
 * reads every byte of what is there before it is kept. The records are checked row by row, as
 * jini_verify() does, but not against the packs. After any problem the new ones get their name all
 * the same, and those of the backup before stay beside them as "data-before.mdb", until a backup
 * has none.
 * `report` and `progress` (phases "records", "packs", "objects", of bytes, of the records without a
 * total; and "check", of their rows) are called on a thread of the engine.
 *
 * Out: the counts of this call, also after an error.
 *   JINI_E_CORRUPT    see above: `problems` were reported, and `error` tells the first
 *   JINI_E_EXISTS     something else is in the directory
 *   JINI_E_CONFLICT   the directory has a backup of another database, or of a later state of this
 *                     one, or one that was opened and changed since; or the process was held up for
 *                     longer than background.lease_ms, and tiering took over: try again
 *   JINI_E_IN_USE     a process has the backup open as its database
 *   JINI_E_LOCKED     tiering was at it until the request's time was up; try again later
 *   JINI_E_BUSY       another backup to the same directory, or of this process, is under way
 *   JINI_E_INVALID    no path, or one in the directory of the database or of its archive, or a
 *                     folder in it that is theirs, a link, or where something is mounted
 *   JINI_E_NOT_FOUND  the parent of the directory is not there
 *   JINI_E_ARCHIVE    the archive does not answer
 *   JINI_E_FULL, JINI_E_IO, JINI_E_READ_ONLY (this one, or the file system of the backup),
 *   JINI_E_CANCELLED, JINI_E_TIMEOUT
 */
struct jini_backup {
    struct jini_request request;
    const char *path;
    uint32_t flags; /* enum jini_backup_flag */
    uint32_t reserved;
    jini_verify_fn *report;     /* may be NULL: kinds "pack_not_copied", "object_not_copied";
                                   "pack_missing", "object_missing": the backup alone has it;
                                   "pack_has_damage": tiering found a record damaged;
                                   "packs_unread": a folder of packs; and those of jini_verify()
                                   about rows */
    jini_progress_fn *progress; /* may be NULL */
    void *context;              /* of both */
    uint64_t record_bytes;
    uint64_t packs;         /* in the backup */
    uint64_t objects;       /* in its archive */
    uint64_t files_copied;  /* packs and objects */
    uint64_t bytes_copied;  /* of these */
    uint64_t files_kept;    /* of the backup before, and as good */
    uint64_t files_removed; /* of the backup before */
    uint64_t problems;
};
JINI_EXPORT int jini_backup(struct jini *jini, struct jini_backup *backup, jini_callback *callback);

#ifdef __cplusplus
}
#endif
#endif
