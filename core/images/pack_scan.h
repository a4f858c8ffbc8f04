/*
 * Walking through a pack: to verify it, to find the end of what a crash left, to list it.
 *
 * A sealed pack is walked by its footer, so that a damaged record is still reported with its image.
 * Any other is walked from record to record. What does not hold there is one of two things, and
 * only the index can tell which: before `acknowledged_end`, the end of the last record that was
 * ever acknowledged, it is damage: it is reported and passed over. From there on it is the tail
 * that a crash tore or an appender is writing: the walk ends before it.
 *
 *     4096                    acknowledged_end        length
 *     | record | GAP | record | record | torn tail ... |
 *                                      ^ end
 */
#ifndef IMAGES_PACK_SCAN_H
#define IMAGES_PACK_SCAN_H

#include "images/pack_format.h"
#include "images/pack_source.h"

enum pack_part {
    PACK_PART_HEADER, /* the pack's header */
    PACK_PART_RECORD,
    PACK_PART_GAP, /* bytes in which no record is legible */
    PACK_PART_FOOTER
};

/*
 * One find, borrowed for the length of the callback. Parts other than records are reported when
 * damaged only.
 */
struct pack_scan_item {
    enum pack_part part;
    int status; /* 0, or JINI_E_CORRUPT */
    uint64_t offset;
    uint64_t length;
    const struct pack_entry *entry;  /* of a record, from its header or from the footer */
    const struct jini_error *damage; /* what failed; NULL when the status is 0 */
};

/* Another value than 0 ends the walk and is its result. */
typedef int pack_scan_fn(void *context, const struct pack_scan_item *item);

enum pack_scan_depth {
    PACK_SCAN_HEADERS,   /* the headers of the records; a payload may be damaged */
    PACK_SCAN_EVERYTHING /* every byte */
};

/* What the index knows of the pack. */
enum pack_state { PACK_STATE_UNKNOWN, PACK_STATE_OPEN, PACK_STATE_SEALED };

/* For `acknowledged_end`: whatever is there was acknowledged. */
#define PACK_ACKNOWLEDGED_ALL UINT64_MAX

struct pack_scan_options {
    enum pack_scan_depth depth;
    enum pack_state expected;  /* SEALED: a missing footer is damage, and nothing is a tail;
                                  UNKNOWN: the same, if at least the trailer is whole */
    uint64_t acknowledged_end; /* of a pack that is not sealed; 0: nothing was acknowledged */
};

enum pack_tail {
    PACK_TAIL_NONE,
    PACK_TAIL_RECORD, /* a record that is cut, or not wholly written */
    PACK_TAIL_ZERO,
    PACK_TAIL_GARBAGE,
    PACK_TAIL_FOOTER /* sealing was interrupted */
};

struct pack_scan_result {
    struct pack_header header; /* zero when it is damaged */
    bool header_damaged;
    bool sealed;
    uint32_t records; /* whole ones */
    uint32_t damaged; /* finds with a status */
    uint64_t payload_bytes;
    uint64_t end;    /* where the record area ends: a footer begins or would begin there */
    uint64_t length; /* of the file when the walk began */
    enum pack_tail tail;
};

/*
 * Walks through the pack once and calls `visit` (may be NULL) for every record and every damage, in
 * the order of their offsets. Damage is not an error of the walk: see `result`. Any thread; beside
 * an appender, give the end that was acknowledged when the walk begins. Needs up to 17 MiB of
 * memory (a record's largest metadata), and for a sealed pack its entries. JINI_E_FORMAT: a part is
 * of a newer version; nothing may be cut off. JINI_E_IO, JINI_E_NO_MEMORY: the walk could not go on
 * and says nothing about the pack.
 */
int pack_scan(const struct pack_source *source, const struct pack_scan_options *options,
              pack_scan_fn *visit, void *context, struct pack_scan_result *result,
              struct jini_error *error);

#endif
