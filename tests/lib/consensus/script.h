/* Scripted runs of a cluster: a short text says what happens to whom and when, nothing happens by
 * chance, and what the nodes do comes back as text (tests/sim/scenarios/README.md lists the words). */
#ifndef FLEX_TESTS_SCRIPT_H
#define FLEX_TESTS_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bft_effect;
struct cluster;
struct node;
struct wire;

enum {
    SCRIPT_DELAY_MS = 10, /* of every message */
    SCRIPT_RULES = 64,
    SCRIPT_TWINS = 4,
    SCRIPT_LINES_AT_ONCE = 64,
    SCRIPT_WORDS = 24,
    SCRIPT_TEXT = 200
};

struct script {
    uint32_t mutants; /* enum bft_mutant, in every core that is not faulty */
    const char *text; /* commands, one a line; NUL-terminated */
    char *story;      /* out: the trace, NUL-terminated; the caller frees */
    size_t story_size;
    bool over;
    uint64_t sent; /* messages since the last `split` or `sent-below` */
    /* What the network loses: messages of that kind from one set of nodes to another. */
    struct script_rule {
        int kind;
        uint32_t from, to;
    } rules[SCRIPT_RULES];
    uint32_t rule_count;
    /* Second hosts, numbered behind the validators, and whose keys they run. */
    uint32_t twin_count;
    int twin_of[SCRIPT_TWINS];
    uint32_t differs; /* nodes whose execution comes to another state */
    /* What a faulty leader sends instead of its block, and to whom. */
    int lie;
    int liar;
    uint32_t lie_to;
    /* What happened in this millisecond: equal lines of several nodes become one. */
    struct script_happening {
        uint32_t nodes;
        char text[SCRIPT_TEXT];
    } happenings[SCRIPT_LINES_AT_ONCE];
    uint32_t happening_count;
    uint64_t happening_ms;
};

/* Runs the script, whose `text` is set. False: a command is wrong, an oracle fired or a demand of the
 * script was not met; the story's last line says which. */
bool script_run(struct script *script);

/* --- what the cluster asks (cluster.c, shell.c, persona.c) -------------------------------------- */

void script_begin(struct cluster *cluster);
void script_epoch(struct cluster *cluster, int node);
void script_line(struct cluster *cluster, uint64_t offset);
bool script_is_over(const struct cluster *cluster);
bool script_passes(struct cluster *cluster, const struct wire *wire, int to);
bool script_send(struct cluster *cluster, int node, struct wire *wire);
bool script_differs(const struct cluster *cluster, const struct node *node);
void script_trace(struct cluster *cluster, int node, const struct bft_effect *effect);

#endif
