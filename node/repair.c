/* Making a database anew from a damaged one (repair.h; docs/operator.md, "A damaged database").
 *
 *   child                              parent
 *   damaged database -> LMDB -> pipe -> decode -> signatures, execution, roots, certificate -> new one
 *
 * A child reads, because LMDB may crash on a damaged page; the parent then sees the end of the pipe and
 * stops at the last good block. State, tree, receipts and indexes are not copied but computed, so that
 * it does not matter which of them was damaged.
 *
 * Invariants:
 *  1. A block goes into the new database only under a certificate of its epoch's validators, its own or
 *     a later one's; what no certificate covers is left to the others.
 *  2. The damaged database is never written to and never deleted. It is moved aside by the last step, when
 *     the new one is whole and synced; a crash before that leaves the home as it was, but for
 *     data.repair, which the next repair empties.
 *  3. Both databases are locked meanwhile.
 *
 * Deliberately absent: the vote journal. Nothing that is lost there can be computed, and a validator that
 * guesses what it signed may sign twice. */
#include "node/repair.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/log.h"
#include "node/chain.h"
#include "storage/store_salvage.h"

static const char new_name[] = "data.repair";
enum { KEPT_MAX = 100 }; /* damaged databases that one home keeps */
enum { BLOCK_BYTES_MAX = 3 * 4 + BLOCK_HEADER_SIZE + FINALITY_BYTES_MAX + LIMIT_BLOCK_BODY_BYTES };

struct repair {
    const struct node_config *config;
    struct hash genesis_hash;
    struct store *store;
    struct chain *chain;
    /* Executed, and not covered by a certificate yet. */
    struct block_header waiting[LIMIT_VIEW_WINDOW];
    uint32_t waiting_count;
    struct block_header last; /* the highest that was executed */
    bool has_last;
    uint8_t *buffer; /* BLOCK_BYTES_MAX */
    struct node_repair *out;
};

static bool stop(struct repair *repair, uint64_t height, const char *why)
{
    snprintf(repair->out->stopped, sizeof repair->out->stopped, "block %llu: %s",
             (unsigned long long)height, why);
    return false;
}

/* --- the parent: good blocks into the new database ------------------------------------------- */

/* NULL if `finality` makes the block final under the validators of its epoch. */
static const char *finality_problem(const struct repair *repair, const struct block_header *header,
                                    const struct finality *finality)
{
    struct validator_set set;
    struct block_header last = *header;
    struct hash id;
    chain_next_validators(repair->chain, &set);
    if (!finality_follow(&last, finality->headers))
        return "the headers behind its certificate do not follow it";
    block_header_id(&id, &last);
    if (!hash_equal(&finality->certificate.block_id, &id) ||
        finality->certificate.kind != VOTE_FINALIZE ||
        finality->certificate.epoch != header->epoch || finality->certificate.view != last.view)
        return "its certificate is another block's";
    return certificate_verify(&finality->certificate, &repair->genesis_hash, &set)
               ? NULL
               : "its certificate does not hold";
}

static bool commit(struct repair *repair, const struct block_header *header,
                   const struct finality *finality)
{
    for (uint32_t i = 0; i < repair->waiting_count; i++) {
        enum store_result result = chain_commit(repair->chain, &repair->waiting[i], NULL);
        if (result != STORE_OK)
            return stop(repair, repair->waiting[i].height, store_result_text(result));
    }
    repair->waiting_count = 0;
    enum store_result result =
        finality->ends_epoch ? chain_commit_boundary(repair->chain, header, &finality->certificate,
                                                     finality->headers)
                             : chain_commit(repair->chain, header, &finality->certificate);
    return result == STORE_OK || stop(repair, header->height, store_result_text(result));
}

static bool take_block(struct repair *repair, const struct salvaged_block *block)
{
    const struct store_tip *tip = chain_tip(repair->chain);
    const uint64_t height = tip->height + repair->waiting_count + 1;
    struct block_header header;
    struct hash id;
    if (!block_header_decode(&header, block->header) || header.height != height)
        return stop(repair, height, "its header is damaged");
    block_header_id(&id, &header);
    /* What this node kept without its witness, it had a right to. */
    if (!chain_add_final_body(repair->chain, &header, block->body, false, timestamp_of(INT64_MAX)))
        return stop(repair, height, "its body is not the one that its header names");
    const enum bft_verdict verdict = chain_execute(repair->chain, &id);
    if (verdict == BFT_VERDICT_NOT_YET)
        return stop(repair, height, "it is under newer rules than this flexd has");
    if (verdict != BFT_VERDICT_VALID)
        return stop(repair, height, "executing it does not lead to the roots in its header");
    if (block->certificate.size == 0) {
        if (repair->waiting_count == LIMIT_VIEW_WINDOW)
            return stop(repair, height, "too many blocks without a certificate");
        repair->waiting[repair->waiting_count++] = header;
        return true;
    }
    struct finality finality;
    if (!finality_decode(&finality, block->certificate))
        return stop(repair, height, "its certificate is damaged");
    const char *problem = finality_problem(repair, &header, &finality);
    return problem == NULL ? commit(repair, &header, &finality) : stop(repair, height, problem);
}

static bool read_all(int fd, uint8_t *out, size_t size)
{
    size_t done = 0;
    while (done < size) {
        const ssize_t got = read(fd, out + done, size - done);
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

/* One part of a block, u32 length first, behind what the buffer holds. */
static bool read_part(struct repair *repair, int fd, size_t *used, struct bytes_view *part)
{
    uint8_t bytes[4];
    struct byte_reader reader;
    if (!read_all(fd, bytes, sizeof bytes))
        return false;
    byte_reader_init(&reader, bytes, sizeof bytes);
    const size_t size = byte_read_u32(&reader);
    if (size > BLOCK_BYTES_MAX - *used || !read_all(fd, repair->buffer + *used, size))
        return false;
    *part = bytes_view_of(repair->buffer + *used, size);
    *used += size;
    return true;
}

static void take_blocks(struct repair *repair, int fd)
{
    struct salvaged_block block;
    bool good = true;
    while (good) {
        size_t used = 0;
        if (!read_part(repair, fd, &used, &block.header) ||
            !read_part(repair, fd, &used, &block.certificate) ||
            !read_part(repair, fd, &used, &block.body)) {
            (void)stop(repair, chain_tip(repair->chain)->height + repair->waiting_count + 1,
                       "it cannot be read, or there is none");
            break;
        }
        good = take_block(repair, &block);
    }
    repair->out->height = chain_tip(repair->chain)->height;
}

/* --- the child: whatever can be read ----------------------------------------------------------- */

static bool write_part(int fd, struct bytes_view part)
{
    uint8_t bytes[4];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    byte_write_u32(&writer, (uint32_t)part.size);
    const struct bytes_view pieces[] = {bytes_view_of(bytes, sizeof bytes), part};
    for (size_t i = 0; i < 2; i++) {
        size_t done = 0;
        while (done < pieces[i].size) {
            const ssize_t wrote = write(fd, pieces[i].data + done, pieces[i].size - done);
            if (wrote <= 0)
                return false;
            done += (size_t)wrote;
        }
    }
    return true;
}

static bool send_block(void *context, const struct salvaged_block *block)
{
    const int fd = *(const int *)context;
    return write_part(fd, block->header) && write_part(fd, block->certificate) &&
           write_part(fd, block->body);
}

/* The reading end of a pipe from a child that reads the old database; -1 if there is none. */
static int start_reader(const char *old_path, pid_t *child)
{
    int ends[2];
    if (pipe(ends) != 0)
        return -1;
    (void)fflush(NULL);
    *child = fork();
    if (*child == 0) {
        (void)close(ends[0]);
        store_salvage(old_path, send_block, &ends[1]);
        _exit(0);
    }
    (void)close(ends[1]);
    if (*child < 0) {
        (void)close(ends[0]);
        return -1;
    }
    return ends[0];
}

/* --- the whole --------------------------------------------------------------------------------- */

static bool refuse(char problem[NODE_PROBLEM_SIZE], const char *what)
{
    snprintf(problem, NODE_PROBLEM_SIZE, "%s", what);
    return false;
}

/* What a repair that did not end has left behind. */
static void empty_new(const char *new_path)
{
    static const char *const files[] = {"data.mdb", "lock.mdb", "in-use"};
    char path[NODE_PATH_MAX + 16];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", new_path, files[i]);
        (void)unlink(path);
    }
}

static bool open_new(struct repair *repair, const struct genesis *genesis, const char *new_path,
                     char problem[NODE_PROBLEM_SIZE])
{
    char fault[160] = "";
    const struct store_config store = {.directory = new_path,
                                       .map_bytes = repair->config->map_bytes,
                                       .map_bytes_max = repair->config->map_bytes_max,
                                       .map_bytes_step = repair->config->map_bytes_step,
                                       .genesis = repair->genesis_hash};
    empty_new(new_path);
    const enum store_result result = store_open(&repair->store, &store);
    if (result != STORE_OK)
        return refuse(problem, store_result_text(result));
    const struct chain_backend backend = chain_backend_of_store(repair->store);
    repair->chain = chain_open(genesis, &backend, fault);
    repair->buffer = malloc(BLOCK_BYTES_MAX);
    if (repair->chain == NULL || repair->buffer == NULL)
        return refuse(problem, fault[0] != '\0' ? fault : "out of memory");
    return true;
}

/* HOME/data becomes HOME/data.damaged-N, the new one HOME/data. */
static bool swap(struct repair *repair, const char *old_path, const char *new_path,
                 char problem[NODE_PROBLEM_SIZE])
{
    for (int i = 1; i <= KEPT_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, "data.damaged-%d", i);
        if (!node_config_path(repair->out->kept, repair->config, name))
            return refuse(problem, "the home's name is too long");
        if (access(repair->out->kept, F_OK) == 0)
            continue;
        const int home = open(repair->config->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const bool done = home >= 0 && rename(old_path, repair->out->kept) == 0 &&
                          rename(new_path, old_path) == 0 && fsync(home) == 0;
        if (home >= 0)
            (void)close(home);
        return done || refuse(problem, strerror(errno));
    }
    return refuse(problem, "there are too many damaged databases in the home already");
}

static bool run(struct repair *repair, const struct genesis *genesis, const char *old_path,
                const char *new_path, char problem[NODE_PROBLEM_SIZE])
{
    pid_t child = -1;
    /* Before anything is opened: the child must not have the new database's environment. */
    const int fd = start_reader(old_path, &child);
    if (fd < 0)
        return refuse(problem, "no process to read the old database with");
    const bool opened = open_new(repair, genesis, new_path, problem);
    if (opened)
        take_blocks(repair, fd);
    (void)close(fd);
    (void)waitpid(child, NULL, 0);
    chain_close(repair->chain);
    store_close(repair->store);
    free(repair->buffer);
    if (!opened)
        return false;
    if (repair->out->height == 0)
        return refuse(problem,
                      "no block can be recovered from it: move HOME/data away, and the next "
                      "start fetches everything from the others");
    return swap(repair, old_path, new_path, problem);
}

bool node_repair(struct node_repair *out, const struct node_config *config,
                 const struct genesis *genesis, const struct hash *genesis_hash,
                 char problem[NODE_PROBLEM_SIZE])
{
    char old_path[NODE_PATH_MAX];
    char new_path[NODE_PATH_MAX];
    char lock_path[NODE_PATH_MAX];
    memset(out, 0, sizeof *out);
    struct repair *repair = calloc(1, sizeof *repair);
    if (repair == NULL || !node_config_path(old_path, config, "data") ||
        !node_config_path(new_path, config, new_name) ||
        !node_config_path(lock_path, config, "data/in-use")) {
        free(repair);
        return refuse(problem, "out of memory, or the home's name is too long");
    }
    repair->config = config;
    repair->genesis_hash = *genesis_hash;
    repair->out = out;
    bool runs = false;
    const int home_lock = node_home_take(config, &runs, problem);
    if (home_lock < 0) {
        free(repair);
        return false;
    }
    const int lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool done = false;
    if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0)
        (void)refuse(problem, "another process runs this home; stop it first");
    else
        done = run(repair, genesis, old_path, new_path, problem);
    if (lock >= 0)
        (void)close(lock);
    (void)close(home_lock);
    free(repair);
    return done;
}
