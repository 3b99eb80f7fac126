/* What flexd's commands other than `start` do (docs/spec/config.md, "Commands"). Each gets the
 * arguments after its own name and returns the process's exit code. */
#ifndef FLEX_NODE_COMMANDS_H
#define FLEX_NODE_COMMANDS_H

enum {
    FLEXD_DONE = 0,
    FLEXD_FAILED = 1,       /* refused or failed; the reason is on stderr */
    FLEXD_BAD_USAGE = 2,    /* usage, configuration, genesis or key file */
    FLEXD_ALREADY_RUNS = 3, /* another process runs this home */
    FLEXD_DAMAGED = 4,      /* data or journal is not what it was when it was written */
    FLEXD_NEW_RULES = 5     /* the next block is under rules that this program lacks */
};

int flexd_init(int count, char **arguments);
int flexd_join(int count, char **arguments);
int flexd_certificate(int count, char **arguments);
int flexd_solver_key(int count, char **arguments);
int flexd_rotate(int count, char **arguments);
int flexd_check(int count, char **arguments);
int flexd_backup(int count, char **arguments);
int flexd_restore(int count, char **arguments);
int flexd_start(int count, char **arguments);

#endif
