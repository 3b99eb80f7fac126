/* A home that was put back from a backup casts no vote before the chain has passed everything that its
 * former life can have voted for (docs/spec/config.md, "Backup and restore"; ADR 60). */
#ifndef FLEX_NODE_RESTORED_H
#define FLEX_NODE_RESTORED_H

#include "base/units.h"
#include "node/config.h"

/* Blocks of a time so long after the restore prove that the views before it are over: the honest
 * clocks may be 500 ms apart [C-NOTARIZE.TIME], the restoring machine's by the rest. */
enum { RESTORED_MARGIN_MS = 60000 };

enum restored_state {
    RESTORED_NO,     /* there is no mark */
    RESTORED_PASSED, /* the chain is past it; the caller may remove it */
    RESTORED_WAITS,  /* no votes with this key */
    RESTORED_FAULT   /* the mark cannot be read: as if it waited */
};

/* Before anything else is put into the home. False with the reason. */
bool restored_mark(const struct node_config *config, struct timestamp now,
                   char problem[NODE_PROBLEM_SIZE]);
/* `tip` is the time of the newest final block here. `text` says what to do where votes wait. */
enum restored_state restored_look(const struct node_config *config, struct timestamp tip,
                                  char text[NODE_PROBLEM_SIZE]);
/* Durably. False with the reason. */
bool restored_forget(const struct node_config *config, char problem[NODE_PROBLEM_SIZE]);

#endif
