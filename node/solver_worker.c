/* The thread that has coupled auctions solved (node/solver_worker.h).
 *
 *   each turn (every SOLVER_TURN_MS):
 *     a new block? -> scan: auctions that take solutions get a run, as far as there are places;
 *                     those that don't any more lose theirs
 *     step all runs -> a transaction on its way? wait for it, or for the end of its life
 *                   -> else propose the best that some run has and the chain has not
 *
 * Invariants:
 *  1. At most one transaction of the key is on its way, so that nonces never cross and a chain that takes its
 *     time is not flooded. What gets better meanwhile is sent after it.
 *  2. A proposal is sent only while it is better than the best of the last committed block, so none is ever
 *     wrong, and one pays the market's fee only if somebody else's overtook it on the way.
 *  3. The lock is held for `call` alone, never over work.
 *
 * Deliberately absent: deciding which auctions are worth it; who enables a solver wants them solved. */
#include "node/solver_worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fatal.h"
#include "base/log.h"
#include "node/node.h"
#include "node/solver_run.h"
#include "node/solver_scan.h"

enum {
    SOLVER_TURN_MS = 50,
    SOLVER_PLACES = 4,      /* auctions that are solved at a time */
    SOLVER_RETRY_MS = 1000, /* after a refusal at the door */
    SOLVER_LABEL_SIZE = 80,
    /* A proposal that no block has taken by then never will be of use. */
    SOLVER_LIFETIME_MS = 60000
};

/* One auction at work. */
struct place {
    bool taken;
    struct solver_auction auction;  /* as of the last scan */
    struct coupled_problem problem; /* its counts alone */
    struct solver_run *run;         /* NULL: not to be solved; the place remembers that */
    struct coupled_claim sent;
    bool has_sent;
    bool open; /* seen by the last scan */
};

struct solver_worker {
    struct node *node;
    struct secret_key secret;
    struct public_key key;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
    bool call_out; /* the node has `call` and will answer it */
    struct node_call call;

    struct place places[SOLVER_PLACES];
    struct solver_auction found[SOLVER_SCAN_AUCTIONS_MAX];
    struct solver_account account;
    bool account_known;
    bool account_missed; /* and that was said */
    uint64_t height;
    bool on_its_way;
    bool answered;
    uint64_t nonce; /* of the transaction on its way */
    struct timestamp valid_until;
    uint64_t retry_at_ms;
    uint8_t envelope[LIMIT_TX_BYTES];
    uint8_t solution[LIMIT_SOLUTION_BYTES];
};

static void label_of(char out[SOLVER_LABEL_SIZE], const struct solver_auction *auction)
{
    char market[NAME_SIZE + 1];
    (void)snprintf(out, SOLVER_LABEL_SIZE, "auction %s %lld %s",
                   name_to_text(market, &auction->market), (long long)timestamp_ms(auction->start),
                   direction_names[auction->direction]);
}

static bool is_same(const struct solver_auction *a, const struct solver_auction *b)
{
    return name_compare(&a->market, &b->market) == 0 &&
           timestamp_compare(a->start, b->start) == 0 && a->direction == b->direction &&
           hash_equal(&a->record.problem, &b->record.problem);
}

static void leave(struct place *place)
{
    solver_run_free(place->run);
    memset(place, 0, sizeof *place);
}

static void take_place(struct solver_worker *worker, struct place *place,
                       const struct solver_auction *auction, const struct state_base *state)
{
    const struct node_config_solver *config = &worker->node->config.solver;
    char label[SOLVER_LABEL_SIZE];
    void *memory = NULL;
    label_of(label, auction);
    struct solver_run_options options = {
        .solver = {.program = config->program[0] != '\0' ? config->program : NULL,
                   .window_ms = config->seconds * 1000,
                   .memory_mb = config->memory_mb},
        .label = label,
        .metrics = &worker->node->metrics};
    *place = (struct place){.taken = true, .auction = *auction, .open = true};
    if (!solver_scan_problem(&place->problem, &memory, auction, state)) {
        log_line(LOG_UNUSUAL, "solver of %s: its problem can't be read -> left to the others",
                 label);
        return;
    }
    place->run = solver_run_create(&place->problem, memory, &options);
}

static void match_places(struct solver_worker *worker, uint32_t found,
                         const struct state_base *state)
{
    for (uint32_t i = 0; i < SOLVER_PLACES; i++)
        worker->places[i].open = false;
    for (uint32_t i = 0; i < found; i++) {
        struct place *room = NULL;
        struct place *mine = NULL;
        for (uint32_t k = 0; k < SOLVER_PLACES; k++) {
            struct place *place = &worker->places[k];
            if (place->taken && is_same(&place->auction, &worker->found[i]))
                mine = place;
            if (!place->taken)
                room = place;
        }
        if (mine != NULL) {
            mine->open = true;
            mine->auction.record = worker->found[i].record;
        } else if (room != NULL) {
            take_place(worker, room, &worker->found[i], state);
        }
    }
    for (uint32_t i = 0; i < SOLVER_PLACES; i++) {
        if (worker->places[i].taken && !worker->places[i].open)
            leave(&worker->places[i]);
    }
}

static void look_at_account(struct solver_worker *worker, const struct state_base *state)
{
    worker->account_known = solver_scan_account(&worker->account, &worker->key, state) &&
                            !name_is_empty(&worker->account.participant);
    if (!worker->account_known && !worker->account_missed) {
        char hex[2 * PUBLIC_KEY_SIZE + 1];
        hex_encode(hex, worker->key.bytes, PUBLIC_KEY_SIZE);
        log_line(LOG_UNUSUAL, "solver: no account has the key %s -> nothing can be proposed", hex);
    }
    worker->account_missed = !worker->account_known;
    if (worker->on_its_way && worker->account.nonce >= worker->nonce)
        worker->on_its_way = false;
}

/* What the last committed block says. */
static void scan(struct solver_worker *worker)
{
    struct node_status status;
    node_board_read(&worker->node->board, &status);
    if (!status.started || status.height == worker->height)
        return;
    struct store_snapshot *snapshot = store_snapshot_begin(worker->node->store);
    if (snapshot == NULL)
        return; /* all readers' places are taken: the next turn */
    const struct state_base *state = store_snapshot_base(snapshot);
    uint32_t found = 0;
    if (solver_scan_auctions(worker->found, &found, state)) {
        match_places(worker, found, state);
        if (found > 0 || worker->on_its_way || !worker->account_known)
            look_at_account(worker, state);
        worker->height = status.height;
    } else {
        log_line(LOG_UNUSUAL, "solver: the state at height %llu can't be read",
                 (unsigned long long)status.height);
        worker->height = status.height;
    }
    store_snapshot_end(snapshot);
}

/* Called by whoever took the transaction, or dropped it. */
static void call_done(struct node_call *call)
{
    struct solver_worker *worker = call->context;
    MUST(pthread_mutex_lock(&worker->lock) == 0);
    worker->call_out = false;
    MUST(pthread_cond_signal(&worker->wake) == 0);
    MUST(pthread_mutex_unlock(&worker->lock) == 0);
}

static bool has_answer(struct solver_worker *worker)
{
    MUST(pthread_mutex_lock(&worker->lock) == 0);
    bool out = worker->call_out;
    MUST(pthread_mutex_unlock(&worker->lock) == 0);
    return !out;
}

/* What was sent last has not arrived: it may be sent again. */
static void forget_sent(struct solver_worker *worker)
{
    for (uint32_t i = 0; i < SOLVER_PLACES; i++)
        worker->places[i].has_sent = false;
}

/* Looks after the transaction on its way. True if there is none any more. */
static bool follow(struct solver_worker *worker)
{
    if (!worker->on_its_way)
        return true;
    if (!worker->answered && has_answer(worker)) {
        const struct node_call *call = &worker->call;
        worker->answered = true;
        if (call->error != CONTRACT_OK || call->unavailable || call->overloaded) {
            log_line(LOG_UNUSUAL, "solver: the proposal was not taken: %s -> again in a second",
                     call->error != CONTRACT_OK ? contract_error_name(call->error)
                                                : "no transactions are taken now");
            worker->on_its_way = false;
            worker->retry_at_ms = node_clock_monotonic_ms() + SOLVER_RETRY_MS;
            forget_sent(worker);
        }
    } else if (worker->answered &&
               timestamp_compare(node_clock_wall(&worker->node->clock), worker->valid_until) > 0) {
        worker->on_its_way = false; /* no block may take it any more */
        forget_sent(worker);
    }
    return !worker->on_its_way;
}

/* False: it does not fit a transaction. */
static bool sign(struct solver_worker *worker, struct byte_writer *writer,
                 const struct place *place, const struct coupled_solution *solution)
{
    struct byte_writer bytes;
    struct duration life = worker->account.lifetime;
    byte_writer_init(&bytes, worker->solution, sizeof worker->solution);
    coupled_solution_encode(&bytes, &place->problem, solution);
    if (bytes.failed)
        return false;
    if (duration_ms(life) > 2 * SOLVER_LIFETIME_MS)
        life = duration_of(2 * SOLVER_LIFETIME_MS);
    /* Half of it: the block's clock may be behind this one. */
    life = duration_of(duration_ms(life) / 2);
    if (!timestamp_add(&worker->valid_until, node_clock_wall(&worker->node->clock), life))
        return false;
    const struct solution_propose propose = {.market = place->auction.market,
                                             .direction = place->auction.direction,
                                             .start = place->auction.start,
                                             .problem = place->auction.record.problem,
                                             .solution =
                                                 bytes_view_of(worker->solution, bytes.size)};
    struct transaction_draft *draft = calloc(1, sizeof *draft);
    if (draft == NULL)
        return false;
    draft->genesis = worker->node->genesis_hash;
    draft->nonce = worker->account.nonce + 1;
    draft->valid_until = worker->valid_until;
    draft->fee_limit = worker->account.fee;
    draft->action_count = 1;
    draft->actions[0].type = ACTION_SOLUTION_PROPOSE;
    draft->actions[0].record = &propose;
    byte_writer_init(writer, worker->envelope, sizeof worker->envelope);
    bool good = transaction_sign(writer, draft, &worker->secret);
    worker->nonce = draft->nonce;
    free(draft);
    return good;
}

static void propose(struct solver_worker *worker, struct place *place,
                    const struct coupled_solution *solution, const struct coupled_claim *claim)
{
    char label[SOLVER_LABEL_SIZE];
    struct byte_writer writer;
    label_of(label, &place->auction);
    place->sent = *claim;
    place->has_sent = true;
    if (!sign(worker, &writer, place, solution)) {
        log_line(LOG_UNUSUAL, "solver of %s: the solution does not fit a transaction", label);
        return;
    }
    struct node *node = worker->node;
    worker->call = (struct node_call){.done = call_done, .context = worker};
    struct node_event *event = inbox_admit_transaction(
        &node->inbox, INBOX_NO_PEER, &worker->call, bytes_view_of(worker->envelope, writer.size));
    if (event == NULL) {
        metric_add(&node->metrics.transactions_overload, 1);
        worker->retry_at_ms = node_clock_monotonic_ms() + SOLVER_RETRY_MS;
        place->has_sent = false;
        return;
    }
    MUST(pthread_mutex_lock(&worker->lock) == 0);
    worker->call_out = true;
    MUST(pthread_mutex_unlock(&worker->lock) == 0);
    worker->on_its_way = true;
    worker->answered = false;
    metric_add(&node->metrics.solver_proposals, 1);
    workers_transactions(node->workers, event);
    log_line(LOG_INFO, "solver of %s: proposed, gap %lld neur of %lld ueur", label,
             claim->gap > INT64_MAX ? -1LL : (long long)claim->gap,
             (long long)(claim->welfare / 1000));
}

static void propose_best(struct solver_worker *worker)
{
    if (!follow(worker) || !worker->account_known ||
        node_clock_monotonic_ms() < worker->retry_at_ms)
        return;
    for (uint32_t i = 0; i < SOLVER_PLACES; i++) {
        struct place *place = &worker->places[i];
        struct coupled_solution solution;
        struct coupled_claim claim;
        if (place->run == NULL || !solver_run_best(place->run, &solution, &claim) ||
            worker->height >= place->auction.record.closes_height ||
            !solver_scan_is_better(&place->auction.record, &claim))
            continue;
        bool told =
            place->has_sent && place->sent.welfare == claim.welfare && place->sent.gap == claim.gap;
        if (!told) {
            propose(worker, place, &solution, &claim);
            return;
        }
    }
}

static bool wait_turn(struct solver_worker *worker)
{
    struct timespec until;
    MUST(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_nsec += SOLVER_TURN_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    MUST(pthread_mutex_lock(&worker->lock) == 0);
    if (!worker->stopping) {
        int error = pthread_cond_timedwait(&worker->wake, &worker->lock, &until);
        MUST(error == 0 || error == ETIMEDOUT);
    }
    bool stopping = worker->stopping;
    MUST(pthread_mutex_unlock(&worker->lock) == 0);
    return !stopping;
}

static void *work(void *context)
{
    struct solver_worker *worker = context;
    (void)pthread_setname_np(pthread_self(), "flexd-solver");
    while (wait_turn(worker)) {
        scan(worker);
        for (uint32_t i = 0; i < SOLVER_PLACES; i++) {
            if (worker->places[i].run != NULL)
                (void)solver_run_step(worker->places[i].run, node_clock_monotonic_ms());
        }
        propose_best(worker);
    }
    for (uint32_t i = 0; i < SOLVER_PLACES; i++)
        leave(&worker->places[i]);
    return NULL;
}

static bool load_key(struct solver_worker *worker, char problem[NODE_PROBLEM_SIZE])
{
    const struct node_config *config = &worker->node->config;
    char path[NODE_PATH_MAX];
    if (!node_config_path(path, config, config->solver.key)) {
        (void)snprintf(problem, NODE_PROBLEM_SIZE, "the home's name is too long");
        return false;
    }
    if (!node_key_load(path, &worker->secret, problem))
        return false;
    if (!schnorr_public_key(&worker->key, &worker->secret)) {
        (void)snprintf(problem, NODE_PROBLEM_SIZE, "%.180s holds no key of the ledger", path);
        return false;
    }
    return true;
}

bool solver_worker_start(struct solver_worker **out, struct node *node,
                         char problem[NODE_PROBLEM_SIZE])
{
    *out = NULL;
    if (!node->config.solver.enabled)
        return true;
    struct solver_worker *worker = calloc(1, sizeof *worker);
    (void)snprintf(problem, NODE_PROBLEM_SIZE, "out of memory or threads");
    if (worker == NULL)
        return false;
    worker->node = node;
    pthread_condattr_t attributes;
    MUST(pthread_mutex_init(&worker->lock, NULL) == 0 && pthread_condattr_init(&attributes) == 0 &&
         pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
         pthread_cond_init(&worker->wake, &attributes) == 0 &&
         pthread_condattr_destroy(&attributes) == 0);
    if (load_key(worker, problem) && pthread_create(&worker->thread, NULL, work, worker) == 0) {
        *out = worker;
        return true;
    }
    solver_worker_free(worker);
    return false;
}

void solver_worker_stop(struct solver_worker *worker)
{
    if (worker == NULL)
        return;
    MUST(pthread_mutex_lock(&worker->lock) == 0);
    worker->stopping = true;
    MUST(pthread_cond_signal(&worker->wake) == 0);
    MUST(pthread_mutex_unlock(&worker->lock) == 0);
    MUST(pthread_join(worker->thread, NULL) == 0);
}

void solver_worker_free(struct solver_worker *worker)
{
    if (worker == NULL)
        return;
    MUST(!worker->call_out);
    secret_key_wipe(&worker->secret);
    (void)pthread_cond_destroy(&worker->wake);
    (void)pthread_mutex_destroy(&worker->lock);
    free(worker);
}
