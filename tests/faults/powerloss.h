/*
 * What a power loss may leave of a folder that faults.h recorded.
 *
 * A cut is a number of records: the machine stopped after so many of them. The image of a cut holds
 *
 *   - every effect that a completed sync covers: fsync and fdatasync make the bytes and the size of
 *     their file durable, fsync of a directory its names, a write to an O_SYNC or O_DSYNC
 *     descriptor its own range;
 *   - of later writes any subset that a disk may have reached: each sector of 512 bytes holds what
 *     the page cache held at some moment since the last sync of that file, and sectors choose their
 *     moments alone;
 *   - one of the sizes that the file had since then; what was not written below it is zeros;
 *   - each later creation, link, rename and unlink or not, as long as its directory was not synced.
 *     A rename that is there for the old name is there for the new one, unless only the old
 *     directory was synced. A file or directory whose own name is not durable is gone, also when it
 *     was synced itself: POSIX asks for fsync of the directory, and some file systems need it.
 *
 * Moments are chosen by sector, page, 64 KiB or file, as the seed says, since a loss that tears
 * everything everywhere never shows an update that is there beside one that is not.
 *
 * What is not modelled: symbolic links, owners, times, extended attributes, disks that lie about
 * syncs, and writes by calls that faults.h does not see.
 */
#ifndef POWERLOSS_H
#define POWERLOSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct powerloss;

/* Reads a log. Ends the program with a message when it is no whole log. */
struct powerloss *powerloss_open(const char *log);
void powerloss_close(struct powerloss *loss);

/*
 * Cuts go from the first, which is the folder as it stood when the recording began, to the last:
 * everything.
 */
size_t powerloss_first_cut(const struct powerloss *loss);
size_t powerloss_last_cut(const struct powerloss *loss);

/*
 * The text of fault_mark() when the record before cut `cut` is a mark, else NULL. A mark binds
 * every cut from its own on: what was acknowledged before the machine stopped.
 */
const char *powerloss_mark(const struct powerloss *loss, size_t cut);

/*
 * False when the record before cut `cut` is no call, but what a mapping held when the next mark was
 * put: the machine may stop there, but no otherwise than at the mark.
 */
bool powerloss_is_event(const struct powerloss *loss, size_t cut);

/* Whether the record before cut `cut` made something durable. */
bool powerloss_is_sync(const struct powerloss *loss, size_t cut);

/*
 * Whether every image of cut `cut` is one of the next cut, too: what is between makes nothing
 * durable. As marks bind all later cuts, no more than such an image can be wrong there.
 */
bool powerloss_is_covered(const struct powerloss *loss, size_t cut);

/* One line about the record before cut `cut`, for messages. In a static buffer. */
const char *powerloss_describe(const struct powerloss *loss, size_t cut);

/* Seeds with a meaning of their own; every other is a random choice. */
enum { POWERLOSS_NOTHING_MORE = 0, POWERLOSS_EVERYTHING = 1 };

/*
 * Makes `target`, which is emptied if it exists, the image of a cut. Rising cuts are cheap; a lower
 * cut than the one before begins again. Ends the program with a message when the image cannot be
 * written.
 */
void powerloss_build(struct powerloss *loss, size_t cut, uint64_t seed, const char *target);

#endif
