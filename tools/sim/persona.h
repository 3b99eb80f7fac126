/* Byzantine validators. Each runs the production core and chain for its knowledge of the world, and
 * falsifies what leaves it, adds to it, or holds it back. It may sign anything with its own key, and
 * nothing with another's. One file each, persona_NAME.c. */
#ifndef FLEX_TOOLS_SIM_PERSONA_H
#define FLEX_TOOLS_SIM_PERSONA_H

#include "tools/sim/sim_internal.h"

struct sim_persona {
    const char *name;
    const char *text; /* what it does, for --help and docs */
    bool censors;     /* builds empty blocks */
    bool twins;       /* a second node runs with its key */
    /* A frame that its core wants sent. True: dealt with. NULL: all goes out as it is. */
    bool (*send)(struct sim *sim, struct sim_node *node, const struct sim_send *send);
    /* A frame that came. True: its core never hears of it. */
    bool (*hear)(struct sim *sim, struct sim_node *node, int from, struct bytes_view frame);
    /* Now and then. */
    void (*act)(struct sim *sim, struct sim_node *node);
    /* After its journal was read back, before its core starts. */
    void (*restarted)(struct sim *sim, struct sim_node *node);
};

extern const struct sim_persona sim_persona_silent, sim_persona_conflicter, sim_persona_equivocator,
    sim_persona_nuller, sim_persona_latecomer, sim_persona_withholder, sim_persona_liar,
    sim_persona_amnesiac, sim_persona_twin, sim_persona_censor, sim_persona_forger,
    sim_persona_flooder, sim_persona_ancestry, sim_persona_invalid, sim_persona_garbler,
    sim_persona_colluder, sim_persona_spammer, sim_persona_replacer;

const struct sim_persona *sim_persona_at(int index); /* NULL behind the last one */
int sim_persona_count(void);

/* --- what personas share (persona.c) ------------------------------------------------------------ */

enum message_type sim_send_type(const struct sim_send *send);
/* A vote with the node's own signature. */
void sim_persona_vote(struct sim *sim, const struct sim_node *node, struct vote *out, uint8_t kind,
                      uint64_t view, const struct hash *id);
/* To each other validator and the observer with that probability. */
void sim_persona_scatter(struct sim *sim, struct sim_node *node, struct bytes_view frame,
                         uint32_t permille);
void sim_persona_send_vote(struct sim *sim, struct sim_node *node, uint8_t kind, uint64_t view,
                           const struct hash *id, uint32_t permille);
/* The proposal in an outgoing frame; its body points into the frame. */
bool sim_persona_proposal(const struct sim_send *send, struct message_proposal *out);
/* Another valid block of the same view: another time, or without transactions. False if the chain can't. */
bool sim_persona_rebuild(struct sim *sim, struct sim_node *node, struct message_proposal *proposal,
                         bool empty, int64_t later_ms);
/* Signs the header as it is now. */
void sim_persona_resign(struct sim *sim, struct sim_node *node, struct message_proposal *proposal);
/* Encodes into the run's scratch; empty if it does not fit. */
struct bytes_view sim_persona_encode(struct sim *sim, const struct message_proposal *proposal);

#endif
