/*
 * Sealing the pack of a process that died.
 */
#ifndef IMAGES_PACK_RECOVER_H
#define IMAGES_PACK_RECOVER_H

#include "images/pack_scan.h"

/*
 * Cuts off what a crash left behind the last whole record, and seals. May be called again after a
 * crash in the middle, and on a pack that is sealed already: the result is the same bytes.
 *
 * `acknowledged_end` is the end of the last record of this pack that the index holds, read after
 * its process was seen dead; 0 if it holds none. What is damaged before it stays as it is, with its
 * entry in the footer if its header holds: `result->damaged` counts it, and a scan reports it for
 * ever. From it on, whole records are kept up to the first that is not.
 *
 * Durable when it returns 0. `result` tells what is in the pack.
 *   JINI_E_LOCKED     its process lives, or somebody recovers it: leave it alone
 *   JINI_E_NOT_FOUND  there is no such file; or it had no whole header and nothing was
 *                     acknowledged: the process died while it created it, and it has been removed
 *   JINI_E_FORMAT     a newer version wrote it: untouched
 *   JINI_E_INVALID    `acknowledged_end` is no multiple of 64
 *   JINI_E_FULL, JINI_E_IO, JINI_E_NO_MEMORY  try again; all records are as they were
 */
int pack_recover(int directory, const struct jini_id *pack, uint64_t acknowledged_end,
                 struct pack_scan_result *result, struct jini_error *error);

#endif
