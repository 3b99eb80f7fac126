/* Long options of flexd's commands, parsed strictly: an unknown one, a missing value, or one given
 * twice that may stand only once is an error with its name. */
#ifndef FLEX_NODE_OPTIONS_H
#define FLEX_NODE_OPTIONS_H

#include "node/config.h"

/* NULL or false where absent. Strings point into argv. */
struct flexd_options {
    const char *home;
    const char *name;
    const char *role;
    const char *listen_p2p;
    const char *listen_api;
    const char *genesis;
    const char *new_ca;
    const char *ca_certificate;
    const char *ca_key;
    const char *clock_offset_file;
    const char *log_level;
    const char *read_access;
    const char *node_key;
    const char *out;
    const char *from;
    uint32_t peer_count;
    struct p2p_peer_config peers[P2P_PEERS_MAX];
    bool json;
    bool quick;
    bool repair;
    bool keys;
    bool data;
    bool adopt;
};

/* The reason on stderr; with `json` also the one object {"error":{"code","reason"}} on stdout. */
void flexd_say_fault(const char *command, bool json, const char *code, const char *problem);

/* `allowed`: NULL-terminated names without dashes. On failure false, with the reason said. */
bool flexd_options_parse(struct flexd_options *options, const char *command,
                         const char *const *allowed, int count, char **arguments);

/* Whether the CA's files that are given, if any are, can be read: looked at before anything is made. */
bool flexd_ca_is_there(const struct flexd_options *options, char problem[NODE_PROBLEM_SIZE]);

#endif
