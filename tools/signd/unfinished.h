/* An init of a signer's home that has begun and not ended (docs/spec/signer.md 5).
 *
 * HOME/unfinished is there from before anything else is made until key.json is durable, and names the node's
 * home whose key is being moved. While it is there nothing has been signed with what is in HOME: key.json is
 * not there, or nobody has started the signer since. So what it stands for can be taken back, and only that. */
#ifndef FLEX_TOOLS_SIGND_UNFINISHED_H
#define FLEX_TOOLS_SIGND_UNFINISHED_H

#include "base/files.h"
#include "node/config.h"

/* Durable before it returns. `node_home`: absolute, or "" if the key is a new one. False with the reason. */
bool unfinished_begin(const char *home, const char *node_home, char problem[NODE_PROBLEM_SIZE]);
/* What is in HOME counts from here on. True also if there is no mark; false with errno. */
bool unfinished_end(const char *home);

enum unfinished_result { UNFINISHED_NONE, UNFINISHED_FOUND, UNFINISHED_FAULT };
/* *node_home as in unfinished_begin; UNFINISHED_FAULT with the reason. */
enum unfinished_result unfinished_read(const char *home, char node_home[FILES_PATH_SIZE],
                                       char problem[NODE_PROBLEM_SIZE]);
/* Removes what an init has made, puts the node's key back where it was, then removes the mark. May be killed
 * anywhere and done again. The caller holds both homes. False with the reason; the mark is still there. */
bool unfinished_take_back(const char *home, const char *node_home, char problem[NODE_PROBLEM_SIZE]);

/* HOME/node.key and the name that it is moved to. False if a name is too long. */
bool unfinished_names(char from[FILES_PATH_SIZE], char to[FILES_PATH_SIZE], const char *node_home);

#endif
