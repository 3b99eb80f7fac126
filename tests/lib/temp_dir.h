/* Directories for tests that write files, made fresh and removed with all that is in them. */
#ifndef FLEX_TESTS_TEMP_DIR_H
#define FLEX_TESTS_TEMP_DIR_H

#include <stddef.h>

enum { TEMP_PATH_SIZE = 256 };

void temp_dir_make(char out[TEMP_PATH_SIZE]);
void temp_dir_remove(const char *path);
/* Copies every file of one directory into another, which is emptied first. */
void temp_dir_copy(const char *from, const char *to);
/* Makes the directory empty. */
void temp_dir_empty(const char *path);

/* The whole of a file, malloc'ed; aborts the test if it can't be read. */
unsigned char *temp_file_read(const char *directory, const char *name, size_t *size);
void temp_file_write(const char *directory, const char *name, const void *data, size_t size);

/* Runs `body` in a forked child without core dumps; the exit status, or minus the signal. */
int temp_fork(void (*body)(void *context), void *context);

#endif
