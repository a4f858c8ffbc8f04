/*
 * Writing to a pack: gathers pieces into few large pwritev() calls, and starts the disk on what was
 * written while the next piece is copied. Used by pack_file and pack_recover alone.
 */
#ifndef IMAGES_PACK_WRITE_H
#define IMAGES_PACK_WRITE_H

#include "base/bytes.h"

#include <jini/error.h>
#include <sys/uio.h>

/*
 * A write is handed to the kernel when PACK_WRITE_BYTES are gathered. The disk is then told to
 * begin, unless less than PACK_WRITE_REST is to come: a sync follows soon, and begins it all by
 * itself with fewer requests. Pieces of 512 KiB were the best of 128 KiB to 1 MiB, measured with
 * records of 1 MiB.
 */
enum { PACK_WRITE_BYTES = 512 * 1024, PACK_WRITE_REST = 1024 * 1024, PACK_WRITE_PIECES = 64 };

struct pack_writer {
    int descriptor;
    int failed_errno;  /* of the first failure; what follows is not written */
    uint64_t offset;   /* of the file: everything below it is written */
    uint64_t gathered; /* bytes that wait */
    uint64_t end;      /* where this writing will end */
    uint64_t started;  /* the disk has been told to write the pages below */
    unsigned count;
    struct iovec pieces[PACK_WRITE_PIECES];
};

/*
 * Begins to write the bytes of the file from `offset` to `end`, after whatever the writer did
 * before.
 */
void pack_writer_begin(struct pack_writer *writer, int descriptor, uint64_t offset, uint64_t end);

/* Adds bytes, which are borrowed until the next flush. */
void pack_writer_add(struct pack_writer *writer, struct slice bytes);

/* Writes what is gathered. */
void pack_writer_flush(struct pack_writer *writer);

/* Tells that the file is about to be cut to this length. */
void pack_writer_cut(struct pack_writer *writer, uint64_t length);

/* fdatasync(). 0, or -1 with errno. */
int pack_writer_sync(int descriptor);

/*
 * Takes the lock of the one who may write to a pack; it goes when the descriptor is closed for the
 * last time. JINI_E_LOCKED: somebody has it.
 */
int pack_lock(int descriptor, const char *path, struct jini_error *error);

#endif
