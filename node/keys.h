/* The node's key file: an Ed25519 seed as 64 hex digits and a newline, mode 0600. */
#ifndef FLEX_NODE_KEYS_H
#define FLEX_NODE_KEYS_H

#include "crypto/sign.h"

enum { NODE_PROBLEM_SIZE = 256 };

/* Makes a new key and writes it; the file must not exist. False with the reason in `problem`. */
bool node_key_create(const char *path, struct secret_key *seed, char problem[NODE_PROBLEM_SIZE]);
/* Reads it; refuses a file that others than its owner may read. The caller wipes the seed. */
bool node_key_load(const char *path, struct secret_key *seed, char problem[NODE_PROBLEM_SIZE]);

#endif
