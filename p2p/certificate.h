/* What the transport needs to know about certificates beyond making them (p2p.h declares that): the
 * name that a node's certificate carries, and whether a set of files belongs together. */
#ifndef FLEX_P2P_CERTIFICATE_H
#define FLEX_P2P_CERTIFICATE_H

#include "crypto/sign.h"

/* Two labels of 32 hex digits, the suffix ".flexledger", NUL. */
enum { CERTIFICATE_NAME_SIZE = 32 + 1 + 32 + 11 + 1 };

/* The DNS name of the node with this key: a DNS label holds 63 characters and a key in hex has 64,
 * so the key is cut into two labels. */
void certificate_dns_name(char out[CERTIFICATE_NAME_SIZE], const struct public_key *node_key);

/* True if the certificate is under the CA, is valid now, carries the name of `node_key`, and the
 * key file holds its private key. Otherwise false, with the reason in `problem`: an operator learns
 * at start what would otherwise show as handshakes that fail on every other node. */
bool certificate_check(const char *ca_file, const char *certificate_file, const char *key_file,
                       const struct public_key *node_key, char problem[160]);

#endif
