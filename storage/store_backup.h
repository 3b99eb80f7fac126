/* A copy of a chain database while a node has it open. */
#ifndef FLEX_STORAGE_STORE_BACKUP_H
#define FLEX_STORAGE_STORE_BACKUP_H

#include "storage/store.h"

/* Writes one consistent version of the database in `directory` into the new file `out` (mode 0600) and
 * syncs it; free pages are left out. Holds up nobody: the copy is a reader of its own process, though
 * what it reads is not reused meanwhile, so the database may grow. ABSENT: there is no database. CORRUPT:
 * its pages do not add up. FULL: no room for the copy. FAULT with the reason in `problem` otherwise; what
 * was written stays then, and is no backup. */
enum store_result store_backup(const char *directory, const char *out, char problem[160]);

#endif
