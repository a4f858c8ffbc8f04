/* Writing the log, one record after each call. All of these are called with the lock held. */
#ifndef FAULTS_RECORD_H
#define FAULTS_RECORD_H

#include "control.h"

#include <sys/stat.h>
#include <sys/uio.h>

/* True while a recording runs; then the caller holds the lock until its record is written. */
bool record_begin(void);
void record_end(void);

/*
 * The inode of a descriptor when it is a regular file or directory of the recorded device; else
 * false.
 */
bool record_inode(int fd, struct stat *info);

/* A name as the directory that holds it and the last part of the path. */
struct record_place {
    uint64_t parent; /* 0: not on the recorded device, or no such directory */
    char name[256];
};
struct record_place record_place_of(int directory, const char *path);

void record_write(uint64_t inode, const struct iovec *parts, int count, uint64_t offset,
                  uint64_t length, bool durable);
void record_size(const struct stat *info);
void record_zero(int fd, uint64_t offset, uint64_t length);
void record_sync(int fd);
void record_sync_all(void);

/* From now on a sync of this file records first what it holds. */
void record_map(uint64_t inode);

void record_new_entry(const struct record_place *place, const struct stat *info, bool is_new);
void record_new_file(const struct stat *info);
void record_remove(const struct record_place *place);
void record_rename(const struct record_place *from, const struct record_place *to, bool exchange);

/* Records a range of a file, as it is now, as writes that are not synced. */
void record_contents(int fd, uint64_t offset, uint64_t length);

#endif
