/* The system calls by which the journal changes files. Tests put their own in its place, to cut
 * writes short and to fail syncs at every point; production code never does. */
#ifndef FLEX_STORAGE_FILE_IO_H
#define FLEX_STORAGE_FILE_IO_H

#include <sys/types.h>

struct file_io {
    ssize_t (*pwrite)(int fd, const void *data, size_t size, off_t offset);
    int (*fdatasync)(int fd);
    int (*fsync)(int fd);
};

/* Points to the real calls unless a test has replaced it. */
extern const struct file_io *storage_file_io;

#endif
