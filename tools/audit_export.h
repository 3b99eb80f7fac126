/* Fetching an export from a node (tools/audit_tiles.h says what it looks like). */
#ifndef FLEX_TOOLS_AUDIT_EXPORT_H
#define FLEX_TOOLS_AUDIT_EXPORT_H

#include "tools/audit_tiles.h"

/* Writes blocks to an export; also used by tests, without a node. */
struct audit_writer {
    const char *directory;
    uint64_t height; /* of the last block written */
    int descriptor;  /* of the tile that is being written; -1 if none */
};

/* Continues an export of that chain, or begins one. Anything beyond the height that export.json
 * names is cut off: it is what an interrupted run left. */
bool audit_writer_open(struct audit_writer *out, const char *directory,
                       const struct genesis *genesis, char problem[AUDIT_PROBLEM_SIZE]);
/* Appends the next block. */
bool audit_writer_put(struct audit_writer *writer, const struct audit_block *block,
                      char problem[AUDIT_PROBLEM_SIZE]);
/* Syncs the tile and writes export.json. */
bool audit_writer_finish(struct audit_writer *writer, const struct genesis *genesis,
                         char problem[AUDIT_PROBLEM_SIZE]);
void audit_writer_close(struct audit_writer *writer);

struct cli;
/* `flex audit export`. */
int audit_export_run(struct cli *cli, const char *directory);

#endif
