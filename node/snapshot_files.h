/* Snapshots on disk (docs/spec/snapshot.md, "On disk").
 *
 * One directory per snapshot, named by its height in twenty digits, below a directory of their own
 * (HOME/snapshots); one file per part, each followed by a CRC-64 of its bytes, so that a flipped bit
 * is this node's own trouble and never looks like a lie to a peer. A directory gets its final name
 * when every part is synced; what goes by another name is unfinished. */
#ifndef FLEX_NODE_SNAPSHOT_FILES_H
#define FLEX_NODE_SNAPSHOT_FILES_H

#include "node/config.h"
#include "node/snapshot.h"

enum {
    SNAPSHOT_NAME_SIZE = 40,
    SNAPSHOT_PATH_SIZE = NODE_PATH_MAX + 2 * SNAPSHOT_NAME_SIZE,
    /* The last two, one that is still being fetched by somebody, one just made. */
    SNAPSHOT_KEPT_MAX = 4
};

/* "manifest", "epoch-00000", "chunk-00000". */
void snapshot_part_name(char out[SNAPSHOT_NAME_SIZE], enum snapshot_part_kind kind, uint32_t index);
/* The other way; false if it is no part's name. */
bool snapshot_part_of_name(const char *name, enum snapshot_part_kind *kind, uint32_t *index);
bool snapshot_path(char out[SNAPSHOT_PATH_SIZE], const char *parent, const char *name);
/* DIRECTORY/HEIGHT */
bool snapshot_height_path(char out[SNAPSHOT_PATH_SIZE], const char *directory, uint64_t height);

/* Writes beside, syncs if it is to be `durable`, renames. */
bool snapshot_part_write(const char *directory, enum snapshot_part_kind kind, uint32_t index,
                         struct bytes_view bytes, bool durable,
                         char problem[SNAPSHOT_PROBLEM_SIZE]);
enum snapshot_read { SNAPSHOT_READ_OK, SNAPSHOT_READ_ABSENT, SNAPSHOT_READ_DAMAGED };
/* *bytes is malloc'ed (free its data) if OK. DAMAGED: the checksum or size is wrong, or the disk
 * cannot be read. */
enum snapshot_read snapshot_part_read(const char *directory, enum snapshot_part_kind kind,
                                      uint32_t index, struct bytes_view *bytes);
void snapshot_bytes_free(struct bytes_view bytes);

/* The heights of the finished snapshots, ascending; at most SNAPSHOT_KEPT_MAX, the highest. */
uint32_t snapshot_heights(const char *directory, uint64_t heights[SNAPSHOT_KEPT_MAX]);
/* Removes a directory with the files in it; true if it is gone. */
bool snapshot_remove(const char *path);
/* Takes the snapshot's name away first, so that no half of one is ever found. */
bool snapshot_retire(const char *directory, uint64_t height);
/* A fresh, empty directory. */
bool snapshot_make_directory(const char *path, char problem[SNAPSHOT_PROBLEM_SIZE]);
/* Gives a directory with all its parts its final name, which must be free, and syncs the parent. */
bool snapshot_publish(const char *directory, const char *unfinished, uint64_t height,
                      char problem[SNAPSHOT_PROBLEM_SIZE]);

#endif
