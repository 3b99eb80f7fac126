/* What people call a record of the chain database, for logs and findings: "state balance/dso",
 * "body of block 17", "tree node of depth 3 at a0". Never fails: a key that is none of the table's is
 * printed in hex. */
#ifndef FLEX_STORAGE_RECORD_NAME_H
#define FLEX_STORAGE_RECORD_NAME_H

#include "base/bytes.h"

enum { RECORD_NAME_SIZE = 192 };

void record_name(char out[RECORD_NAME_SIZE], const char *table, struct bytes_view key);

#endif
