/* Reads scripts and tells stories; see script.h, and tests/sim/scenarios/README.md for the words. A
 * command is parsed when its time has come; a wrong one fails the run, it is never passed over. */
#include "tests/lib/consensus/script.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tests/lib/consensus/cluster_internal.h"

enum { SCRIPT_STORY_MAX = 1 << 20, SCRIPT_ALL = -1, LIE_NONE = 0 };

static const char *const kinds[] = {"proposal",     "notarize",      "nullify",      "finalize",
                                    "notarization", "nullification", "finalization", "answer"};
enum { KIND_PROPOSAL, KIND_VOTE, KIND_CERTIFICATE = 4, KIND_ANSWER = 7, KIND_COUNT };
static const char *const lies[] = {"truth", "twin",     "state", "future",
                                   "past",  "ancestry", "loop",  "oversize"};
enum {
    LIE_TWIN = 1,
    LIE_STATE,
    LIE_FUTURE,
    LIE_PAST,
    LIE_ANCESTRY,
    LIE_LOOP,
    LIE_OVERSIZE,
    LIE_COUNT
};

static const char *const demands[] = {"height",       "stop-at", "epoch",
                                      "not-finalize", "vote",    "refuse"};
enum {
    MUST_HEIGHT,
    MUST_STOP_AT,
    MUST_EPOCH,
    MUST_NOT_FINALIZE,
    MUST_VOTE,
    MUST_REFUSE,
    MUST_COUNT
};

struct words {
    int count;
    char *word[SCRIPT_WORDS];
    char line[256];
};

/* --- the story -------------------------------------------------------------------------------- */

static void script_put(struct script *script, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void script_put(struct script *script, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(script->story + script->story_size, SCRIPT_STORY_MAX - script->story_size,
                         format, arguments);
    va_end(arguments);
    MUST(size >= 0 && (size_t)size < SCRIPT_STORY_MAX - script->story_size);
    script->story_size += (size_t)size;
}

static void script_flush(struct script *script)
{
    for (uint32_t i = 0; i < script->happening_count; i++) {
        script_put(script, "%6llu ", (unsigned long long)script->happening_ms);
        for (int node = 0; node < CLUSTER_NODES; node++)
            if (script->happenings[i].nodes >> node & 1)
                script_put(script, " v%d", node);
        script_put(script, ": %s\n", script->happenings[i].text);
    }
    script->happening_count = 0;
}

static void script_tell(struct cluster *cluster, int node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void script_tell(struct cluster *cluster, int node, const char *format, ...)
{
    struct script *script = cluster->config.script;
    char text[SCRIPT_TEXT];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (script->happening_ms != cluster->now_ms)
        script_flush(script);
    script->happening_ms = cluster->now_ms;
    uint32_t i = 0;
    while (i < script->happening_count && strcmp(script->happenings[i].text, text) != 0)
        i++;
    if (i == SCRIPT_LINES_AT_ONCE) {
        script_flush(script);
        i = 0;
    }
    if (i == script->happening_count) {
        script->happenings[i].nodes = 0;
        memcpy(script->happenings[i].text, text, sizeof text);
        script->happening_count++;
    }
    script->happenings[i].nodes |= 1u << node;
}

/* "3a" is the first block of view 3 that anybody built, "3b" the second one. */
static const char *script_block(const struct cluster *cluster, const struct hash *id)
{
    static char names[2][32];
    static uint32_t turn;
    char *name = names[turn++ % 2]; /* two in one line */
    int block = cluster_block_find(cluster, id);
    if (block < 0)
        return hash_equal(id, &cluster->genesis) ? "genesis" : "unknown";
    int twins = 0;
    for (int i = 0; i < block; i++)
        twins += cluster->blocks[i].header.view == cluster->blocks[block].header.view;
    (void)snprintf(name, sizeof names[0], "%llu%c",
                   (unsigned long long)cluster->blocks[block].header.view,
                   twins < 26 ? 'a' + twins : '?');
    return name;
}

void script_trace(struct cluster *cluster, int node, const struct bft_effect *effect)
{
    unsigned long long view = effect->view, height = effect->height;
    if (effect->kind == BFT_PERSIST_VOTE && effect->vote.kind == VOTE_NULLIFY)
        script_tell(cluster, node, "vote to nullify view %llu",
                    (unsigned long long)effect->vote.view);
    else if (effect->kind == BFT_PERSIST_VOTE)
        script_tell(cluster, node, "vote to %s block %s", kinds[KIND_VOTE + effect->vote.kind],
                    script_block(cluster, &effect->vote.block_id));
    else if (effect->kind == BFT_PERSIST_CERTIFICATE)
        script_tell(cluster, node, "%s of view %llu",
                    kinds[KIND_CERTIFICATE + effect->certificate->kind],
                    (unsigned long long)effect->certificate->view);
    else if (effect->kind == BFT_BUILD)
        script_tell(cluster, node, "lead view %llu, build height %llu on %s", view, height,
                    script_block(cluster, &effect->block_id));
    else if (effect->kind == BFT_SEND_GET_BLOCK)
        script_tell(cluster, node, "ask for block %s", script_block(cluster, &effect->block_id));
    else if (effect->kind == BFT_SEND_GET_RANGE)
        script_tell(cluster, node, "ask for heights from %llu", height);
    else if (effect->kind == BFT_DECIDE)
        script_tell(cluster, node, "DECIDE height %llu: block %s", height,
                    script_block(cluster, &effect->block_id));
    else if (effect->kind == BFT_EVIDENCE)
        script_tell(cluster, node, "EVIDENCE against v%u",
                    cluster->config.epochs[effect->vote.epoch].first + effect->vote.signer);
    else if (effect->kind == BFT_STRIKE)
        script_tell(cluster, node, "STRIKE against v%d: %s", effect->reply_to, effect->text);
    else if (effect->kind == BFT_ALARM)
        script_tell(cluster, node, "ALARM: %s", effect->text);
}

void script_epoch(struct cluster *cluster, int node)
{
    uint32_t epoch = cluster_epoch_after(cluster, cluster->node[node].height);
    script_tell(cluster, node, "enter epoch %u, %s", epoch,
                cluster_index_of(cluster, epoch, node) >= 0 ? "vote" : "follow");
}

/* --- words ------------------------------------------------------------------------------------ */

static void script_split(struct words *words, const char *text)
{
    size_t size = strcspn(text, "#\n");
    memset(words, 0, sizeof *words);
    MUST(size < sizeof words->line);
    memcpy(words->line, text, size);
    char *rest = NULL;
    for (char *word = strtok_r(words->line, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        MUST(words->count < SCRIPT_WORDS);
        words->word[words->count++] = word;
    }
}

static void script_bad(struct cluster *cluster, const char *what, const char *word)
{
    cluster_fail(cluster, false, "the script is wrong: %s: %s", what,
                 word != NULL ? word : "(none)");
}

/* The word's index among names. */
static int script_choice(struct cluster *cluster, const char *const *names, int count,
                         const char *word)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], word) == 0)
            return i;
    script_bad(cluster, "unknown word", word);
    return 0;
}

static int64_t script_number(struct cluster *cluster, const char *word)
{
    char *end = NULL;
    long long value = strtoll(word, &end, 10);
    if (*word == '\0' || *end != '\0')
        script_bad(cluster, "no number", word);
    return value;
}

/* Nodes from word `at` on, up to `stop` or the end; *at is left behind `stop`. */
static uint32_t script_nodes(struct cluster *cluster, const struct words *words, int *at,
                             const char *stop)
{
    uint32_t nodes = 0;
    if (*at < words->count && strcmp(words->word[*at], "to") == 0)
        (*at)++;
    for (; *at < words->count; (*at)++) {
        const char *word = words->word[*at];
        if (stop != NULL && strcmp(word, stop) == 0) {
            (*at)++;
            break;
        }
        if (strcmp(word, "all") == 0) {
            nodes |= (1u << cluster->nodes) - 1;
            continue;
        }
        int64_t node = word[0] == 'v' ? script_number(cluster, word + 1) : -1;
        if (node < 0 || node >= (int64_t)cluster->nodes)
            script_bad(cluster, "no node", word);
        else
            nodes |= 1u << node;
    }
    if (nodes == 0)
        script_bad(cluster, "no nodes are named", words->word[0]);
    return nodes;
}

static struct hash script_block_named(struct cluster *cluster, const char *name)
{
    for (int i = 0; i < cluster->block_count; i++)
        if (strcmp(script_block(cluster, &cluster->blocks[i].id), name) == 0)
            return cluster->blocks[i].id;
    struct hash invented;
    if (strcmp(name, "invented") != 0)
        script_bad(cluster, "no block", name);
    hash_bytes(&invented, HASH_DOMAIN_TX_LEAF, name, strlen(name));
    return invented;
}

/* --- the network ------------------------------------------------------------------------------ */

static int script_kind_of(const struct wire *wire)
{
    if (wire->type == MESSAGE_PROPOSAL)
        return KIND_PROPOSAL;
    if (wire->type == MESSAGE_VOTE)
        return KIND_VOTE + wire->vote.kind;
    if (wire->type == MESSAGE_CERTIFICATE)
        return KIND_CERTIFICATE + wire->certificate.kind;
    return wire->type == MESSAGE_BLOCK || wire->type == MESSAGE_RANGE ? KIND_ANSWER : KIND_COUNT;
}

bool script_passes(struct cluster *cluster, const struct wire *wire, int to)
{
    struct script *script = cluster->config.script;
    script->sent++;
    for (uint32_t i = 0; i < script->rule_count; i++) {
        const struct script_rule *rule = &script->rules[i];
        if ((rule->kind == SCRIPT_ALL || rule->kind == script_kind_of(wire)) &&
            (rule->from >> wire->from & 1) != 0 && (rule->to >> to & 1) != 0)
            return false;
    }
    return true;
}

static void script_rule(struct cluster *cluster, int kind, uint32_t from, uint32_t to)
{
    struct script *script = cluster->config.script;
    MUST(script->rule_count < SCRIPT_RULES);
    script->rules[script->rule_count++] =
        (struct script_rule){.kind = kind, .from = from, .to = to};
}

/* lose KIND|everything FROM... to TO... */
static void command_lose(struct cluster *cluster, const struct words *words, int at)
{
    int kind = SCRIPT_ALL;
    if (strcmp(words->word[at], "everything") != 0)
        kind = script_choice(cluster, kinds, KIND_COUNT, words->word[at]);
    at++;
    uint32_t from = script_nodes(cluster, words, &at, "to");
    script_rule(cluster, kind, from, script_nodes(cluster, words, &at, NULL));
}

/* split A... | B...: neither side hears the other. */
static void command_split(struct cluster *cluster, const struct words *words, int at)
{
    cluster->config.script->sent = 0;
    uint32_t one = script_nodes(cluster, words, &at, "|");
    uint32_t other = script_nodes(cluster, words, &at, NULL);
    script_rule(cluster, SCRIPT_ALL, one, other);
    script_rule(cluster, SCRIPT_ALL, other, one);
}

static void script_scatter(struct cluster *cluster, struct wire *wire, uint32_t to)
{
    for (uint32_t i = 0; i < cluster->nodes; i++)
        if (to >> i & 1)
            cluster_send(cluster, wire, (int)i);
    wire_release(wire);
}

/* --- what faulty nodes say -------------------------------------------------------------------- */

/* vote vN notarize|nullify|finalize VIEW BLOCK|- TO... */
static void command_vote(struct cluster *cluster, const struct words *words, int at)
{
    int node = (int)script_number(cluster, words->word[at] + 1);
    int kind = script_choice(cluster, kinds + KIND_VOTE, VOTE_KIND_COUNT, words->word[at + 1]);
    struct wire *wire = wire_new(node, MESSAGE_VOTE);
    wire->vote.kind = (uint8_t)kind;
    wire->vote.view = (uint64_t)script_number(cluster, words->word[at + 2]);
    if (kind != VOTE_NULLIFY)
        wire->vote.block_id = script_block_named(cluster, words->word[at + 3]);
    persona_sign(cluster, node, &wire->vote);
    at += 4;
    script_scatter(cluster, wire, script_nodes(cluster, words, &at, NULL));
}

/* certificate vN notarization|... VIEW BLOCK|- SIGNER... to TO...: with the faulty node's own signature
 * under every name, as it has no other. */
static void command_certificate(struct cluster *cluster, const struct words *words, int at)
{
    int node = (int)script_number(cluster, words->word[at] + 1);
    struct wire *wire = wire_new(node, MESSAGE_CERTIFICATE);
    struct certificate *certificate = &wire->certificate;
    struct vote vote = {.kind = (uint8_t)script_choice(cluster, kinds + KIND_CERTIFICATE,
                                                       VOTE_KIND_COUNT, words->word[at + 1]),
                        .view = (uint64_t)script_number(cluster, words->word[at + 2])};
    if (vote.kind != VOTE_NULLIFY)
        vote.block_id = script_block_named(cluster, words->word[at + 3]);
    persona_sign(cluster, node, &vote);
    certificate->kind = vote.kind;
    certificate->view = vote.view;
    certificate->epoch = vote.epoch;
    certificate->block_id = vote.block_id;
    for (at += 4; at < words->count && strcmp(words->word[at], "to") != 0; at++)
        certificate->entries[certificate->count++] =
            (struct certificate_entry){.signer = (uint8_t)script_number(cluster, words->word[at]),
                                       .signature = vote.signature};
    at++;
    script_scatter(cluster, wire, script_nodes(cluster, words, &at, NULL));
}

/* relay vN notarization|... VIEW BLOCK|- SIGNER... to TO...: a true certificate, late: each of the signers
 * must have cast that vote. */
static void command_relay(struct cluster *cluster, const struct words *words, int at)
{
    int node = (int)script_number(cluster, words->word[at] + 1);
    struct wire *wire = wire_new(node, MESSAGE_CERTIFICATE);
    struct certificate *certificate = &wire->certificate;
    certificate->kind = (uint8_t)script_choice(cluster, kinds + KIND_CERTIFICATE, VOTE_KIND_COUNT,
                                               words->word[at + 1]);
    certificate->epoch = cluster_epoch_of(cluster, node);
    certificate->view = (uint64_t)script_number(cluster, words->word[at + 2]) % CLUSTER_VIEWS;
    if (certificate->kind != VOTE_NULLIFY)
        certificate->block_id = script_block_named(cluster, words->word[at + 3]);
    const struct cluster_seen *seen = &cluster->seen[certificate->epoch];
    for (at += 4; at < words->count && strcmp(words->word[at], "to") != 0; at++) {
        struct vote vote = {.kind = certificate->kind,
                            .view = certificate->view,
                            .block_id = certificate->block_id};
        int signer = (int)script_number(cluster, words->word[at]);
        if (signer < 0 || signer >= (int)cluster->config.validators ||
            !seen->has_vote[signer][vote.kind][vote.view] ||
            !hash_equal(&seen->voted[signer][vote.kind][vote.view], &vote.block_id)) {
            script_bad(cluster, "never cast that vote", words->word[at]);
            break;
        }
        persona_sign(cluster, signer, &vote);
        certificate->entries[certificate->count++] =
            (struct certificate_entry){.signer = vote.signer, .signature = vote.signature};
    }
    at++;
    script_scatter(cluster, wire, script_nodes(cluster, words, &at, NULL));
}

/* status vN HEIGHT TO...: a peer that boasts of a height. */
static void command_status(struct cluster *cluster, const struct words *words, int at)
{
    int node = (int)script_number(cluster, words->word[at] + 1);
    struct wire *wire = wire_new(node, MESSAGE_STATUS);
    uint64_t height = (uint64_t)script_number(cluster, words->word[at + 1]);
    wire->status =
        (struct message_status){.view = height + 1, .final_view = height, .final_height = height};
    at += 2;
    script_scatter(cluster, wire, script_nodes(cluster, words, &at, NULL));
}

static void script_falsify(struct cluster *cluster, struct block_header *header, int lie)
{
    if (lie == LIE_FUTURE)
        header->time = timestamp_of(timestamp_ms(header->time) + 600000);
    if (lie == LIE_PAST)
        header->time = timestamp_of(1);
    if (lie == LIE_LOOP)
        header->parent_view = header->view;
    if (lie == LIE_ANCESTRY) {
        header->parent_view = 0;
        header->parent_id = cluster->genesis;
        header->height = 1;
    }
    struct hash parent;
    hash_bytes(&header->tx_root, HASH_DOMAIN_TX_LEAF, lies[lie], strlen(lies[lie]));
    if (cluster_parent_state(cluster, header, &parent))
        cluster_state_root(&header->state_root, &parent, &header->tx_root);
    if (lie == LIE_STATE)
        header->state_root.bytes[0] ^= 1;
}

bool script_send(struct cluster *cluster, int node, struct wire *wire)
{
    struct script *script = cluster->config.script;
    if (wire->type != MESSAGE_PROPOSAL || script->lie == LIE_NONE || script->liar != node)
        return false;
    struct wire *other = wire_new(node, MESSAGE_PROPOSAL);
    other->proposal = malloc(sizeof *other->proposal);
    MUST(other->proposal != NULL);
    *other->proposal = *wire->proposal;
    script_falsify(cluster, &other->proposal->header, script->lie);
    other->block = cluster_block_of(cluster, &other->proposal->header);
    other->header = other->proposal->header;
    other->oversized = script->lie == LIE_OVERSIZE;
    other->proposal->vote.block_id = cluster->blocks[other->block].id;
    persona_sign(cluster, node, &other->proposal->vote);
    script_tell(cluster, node, "propose block %s, but to some block %s (%s)",
                script_block(cluster, &cluster->blocks[wire->block].id),
                script_block(cluster, &cluster->blocks[other->block].id), lies[script->lie]);
    for (uint32_t i = 0; i < cluster->nodes; i++)
        cluster_send(cluster, script->lie_to >> i & 1 ? other : wire, (int)i);
    wire_release(other);
    return true;
}

/* lie vN WHICH TO... */
static void command_lie(struct cluster *cluster, const struct words *words, int at)
{
    struct script *script = cluster->config.script;
    script->liar = (int)script_number(cluster, words->word[at] + 1);
    script->lie = script_choice(cluster, lies, LIE_COUNT, words->word[at + 1]);
    at += 2;
    script->lie_to = script->lie == LIE_NONE ? 0 : script_nodes(cluster, words, &at, NULL);
}

bool script_differs(const struct cluster *cluster, const struct node *node)
{
    return (cluster->config.script->differs >> (node - cluster->node) & 1) != 0;
}

/* --- life and demands ------------------------------------------------------------------------- */

static void script_life(struct cluster *cluster, const char *command, int node)
{
    struct node *self = &cluster->node[node];
    if (strcmp(command, "kill") == 0) {
        shell_stop(cluster, node);
    } else if (strcmp(command, "start") == 0) {
        shell_start(cluster, node);
    } else if (strcmp(command, "forget") == 0) { /* its vote journal is gone */
        for (size_t i = 0; i < self->journal_count; i++)
            free(self->journal[i].certificate);
        self->journal_count = 0;
    } else if (strcmp(command, "copy") == 0) {
        shell_copy(cluster, node);
    } else if (strcmp(command, "restore") == 0) {
        shell_restore(cluster, node);
    } else if (strcmp(command, "faulty") == 0) {
        self->persona = PERSONA_SCRIPTED;
    } else if (strcmp(command, "differ") == 0) {
        cluster->config.script->differs |= 1u << node;
    } else {
        script_bad(cluster, "unknown command", command);
    }
}

/* Does the node meet it? `number` is the demand's, if it has one. */
static bool script_meets(const struct cluster *cluster, int node, int demand, uint64_t number)
{
    struct bft_view_status status;
    const struct node *self = &cluster->node[node];
    bft_status(self->core, &status);
    switch (demand) {
    case MUST_HEIGHT:
        return self->height >= number;
    case MUST_STOP_AT:
        return self->height == number;
    case MUST_EPOCH:
        return cluster_epoch_of(cluster, node) == number;
    case MUST_NOT_FINALIZE: /* a view of its epoch */
        return number < CLUSTER_VIEWS &&
               !cluster->seen[status.epoch].has_vote[node][VOTE_FINALIZE][number];
    case MUST_VOTE:
        return status.voting;
    default:
        return !status.voting;
    }
}

/* must DEMAND [N] vN... */
static void command_must(struct cluster *cluster, const struct words *words, int at)
{
    const int demand = script_choice(cluster, demands, MUST_COUNT, words->word[at++]);
    uint64_t number = 0;
    if (demand < MUST_VOTE && at < words->count)
        number = (uint64_t)script_number(cluster, words->word[at++]);
    uint32_t nodes = script_nodes(cluster, words, &at, NULL);
    for (int i = 0; i < (int)cluster->nodes; i++)
        if ((nodes >> i & 1) != 0 && !script_meets(cluster, i, demand, number))
            cluster_fail(cluster, false, "v%d does not meet: must %s (height %llu)", i,
                         demands[demand], (unsigned long long)cluster->node[i].height);
}

/* sent-below N: messages to one node each, lost ones too, since the last split or such demand. */
static void command_sent_below(struct cluster *cluster, const struct words *words, int at)
{
    uint64_t bound = (uint64_t)script_number(cluster, words->word[at]);
    if (cluster->config.script->sent >= bound)
        cluster_fail(cluster, false, "%llu messages were sent, bound %llu",
                     (unsigned long long)cluster->config.script->sent, (unsigned long long)bound);
    cluster->config.script->sent = 0;
}

static void command_clock(struct cluster *cluster, const struct words *words, int at)
{
    int64_t skew_ms = script_number(cluster, words->word[at++]);
    uint32_t nodes = script_nodes(cluster, words, &at, NULL);
    for (uint32_t i = 0; i < cluster->nodes; i++)
        if (nodes >> i & 1)
            cluster->node[i].skew_ms = skew_ms;
}

void script_line(struct cluster *cluster, uint64_t offset)
{
    static const struct {
        const char *name;
        int words;
        void (*run)(struct cluster *cluster, const struct words *words, int at);
    } commands[] = {{"lose", 4, command_lose},   {"split", 3, command_split},
                    {"vote", 5, command_vote},   {"certificate", 7, command_certificate},
                    {"relay", 7, command_relay}, {"status", 3, command_status},
                    {"lie", 2, command_lie},     {"must", 2, command_must},
                    {"clock", 2, command_clock}, {"sent-below", 1, command_sent_below}};
    struct script *script = cluster->config.script;
    struct words words;
    script_split(&words, script->text + offset);
    script_flush(script);
    script_put(script, "%6llu  ->", (unsigned long long)cluster->now_ms);
    for (int i = 2; i < words.count; i++)
        script_put(script, " %s", words.word[i]);
    script_put(script, "\n");
    const char *command = words.word[2];
    if (strcmp(command, "heal") == 0) {
        script->rule_count = 0;
        return;
    }
    if (strcmp(command, "end") == 0) {
        script->over = true;
        return;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, command) != 0)
            continue;
        if (words.count < 3 + commands[i].words)
            script_bad(cluster, "too short", command);
        else
            commands[i].run(cluster, &words, 3);
        return;
    }
    int at = 3;
    uint32_t nodes = script_nodes(cluster, &words, &at, NULL);
    for (int i = 0; i < (int)cluster->nodes; i++)
        if (nodes >> i & 1)
            script_life(cluster, command, i);
}

/* --- a run ------------------------------------------------------------------------------------ */

bool script_is_over(const struct cluster *cluster)
{
    return cluster->config.script->over;
}

static bool script_is_header(const char *word)
{
    return strcmp(word, "validators") == 0 || strcmp(word, "epoch") == 0 ||
           strcmp(word, "twin") == 0;
}

/* validators N; epoch HEIGHT vFIRST COUNT; twin vN. False: what it says is not possible. */
static bool script_header(struct script *script, struct cluster_config *config,
                          const struct words *words)
{
    unsigned number[3] = {0, 0, 0};
    for (int i = 1; i < words->count && i < 4; i++)
        number[i - 1] = (unsigned)strtoul(words->word[i] + (words->word[i][0] == 'v'), NULL, 10);
    if (strcmp(words->word[0], "validators") == 0) {
        config->validators = number[0];
        config->epochs[0].count = number[0];
        return number[0] >= LIMIT_VALIDATORS_MIN && number[0] <= LIMIT_VALIDATORS;
    }
    if (strcmp(words->word[0], "twin") == 0) {
        script->twin_of[script->twin_count] = (int)number[0];
        return number[0] < config->validators && ++script->twin_count < SCRIPT_TWINS;
    }
    uint32_t at = number[0] == 0 ? 0 : config->epoch_count;
    if (at == CLUSTER_EPOCHS)
        return false;
    config->epoch_count = at + 1;
    config->epochs[at] =
        (struct cluster_epoch){.boundary = number[0], .first = number[1], .count = number[2]};
    return number[2] >= LIMIT_VALIDATORS_MIN && number[1] + number[2] <= config->validators;
}

/* The lines before the first `at`: who takes part. */
static bool script_headers(struct script *script, struct cluster_config *config)
{
    const char *line = script->text;
    for (size_t size = 0; *line != '\0'; line += size + (line[size] != '\0')) {
        struct words words;
        size = strcspn(line, "\n");
        script_split(&words, line);
        if (words.count > 0 && script_is_header(words.word[0]) &&
            !script_header(script, config, &words))
            return false;
    }
    return true;
}

void script_begin(struct cluster *cluster)
{
    const struct script *script = cluster->config.script;
    bool ends = false;
    const char *line = script->text;
    for (size_t size = 0; *line != '\0'; line += size + (line[size] != '\0')) {
        size = strcspn(line, "\n");
        struct words words;
        script_split(&words, line);
        if (words.count > 0 && script_is_header(words.word[0]))
            continue;
        if (words.count > 0 && (words.count < 3 || strcmp(words.word[0], "at") != 0)) {
            script_bad(cluster, "not `at TIME COMMAND`", words.word[0]);
            return;
        }
        if (words.count == 0)
            continue;
        ends = ends || strcmp(words.word[2], "end") == 0;
        struct event event = {.kind = EVENT_SCRIPT, .number = (uint64_t)(line - script->text)};
        cluster_at(cluster, &event, (uint64_t)script_number(cluster, words.word[1]));
    }
    if (!ends)
        script_bad(cluster, "there is no command", "end");
}

bool script_run(struct script *script)
{
    struct cluster_result result;
    struct cluster_config config = {.validators = 4,
                                    .epoch_count = 1,
                                    .epochs = {{.count = 4}},
                                    .mutants = script->mutants,
                                    .script = script};
    script->twin_count = 0;
    script->story = malloc(SCRIPT_STORY_MAX);
    MUST(script->story != NULL);
    script->story[0] = '\0';
    if (!script_headers(script, &config)) {
        script_put(script, "FAILED: the script is wrong: validators, epochs or twins\n");
        return false;
    }
    cluster_run(&config, &result);
    script_flush(script);
    if (result.failure[0] != '\0')
        script_put(script, "FAILED: %s\n", result.failure);
    return script->over && result.failure[0] == '\0';
}
