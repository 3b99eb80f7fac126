/* Following the chain and believing nothing (tools/bench/bench.h): each block's certificate is verified
 * against the genesis set, its receipts are hashed and compared with the header's root, and only then do
 * its transactions count.
 *
 * A block that a later one finalized has no certificate of its own; it waits here for that one, whose
 * parents it must be. The set never changes during a load. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "consensus/header.h"
#include "contracts/ledger.h"
#include "crypto/merkle.h"
#include "tools/bench/bench.h"

enum { ANSWER_ROOM = 1024 * 1024, WAITING_MAX = 256, STATUS_OK = 200, STATUS_ABSENT = 404 };

/* A block whose receipts are hashed but that is not certified yet. */
struct waiting {
    struct block_header header;
    uint8_t *receipts; /* the stored list, a copy */
    size_t size;
};

struct bench_watch {
    struct bench_world *world;
    struct bench_http http;
    struct hash leaves[LIMIT_TX_PER_BLOCK + 1];
    struct waiting waiting[WAITING_MAX];
    uint32_t waiting_count;
};

struct bench_watch *bench_watch_open(struct bench_world *world)
{
    struct bench_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return NULL;
    watch->world = world;
    if (bench_http_open(&watch->http, world->devnet.nodes[0].api_port, ANSWER_ROOM, true))
        return watch;
    free(watch);
    return NULL;
}

void bench_watch_close(struct bench_watch *watch)
{
    for (uint32_t i = 0; i < watch->waiting_count; i++)
        free(watch->waiting[i].receipts);
    bench_http_close(&watch->http);
    free(watch);
}

static const char *check_receipts(struct bench_watch *watch, const struct block_header *header,
                                  struct bytes_view receipts)
{
    struct byte_reader reader;
    struct receipt receipt;
    struct hash root;
    byte_reader_init(&reader, receipts.data, receipts.size);
    const uint32_t count = byte_read_u32(&reader);
    if (reader.failed || count == 0 || count > LIMIT_TX_PER_BLOCK + 1)
        return "receipts that are none";
    for (uint32_t i = 0; i < count; i++) {
        struct bytes_view bytes = byte_read_sized(&reader, receipts.size);
        if (reader.failed || !codec_decode_all(&receipt_record, &receipt, bytes))
            return "a receipt that is none";
        receipt_leaf(&watch->leaves[i], &receipt);
    }
    merkle_root(&root, watch->leaves, count);
    return hash_equal(&root, &header->receipt_root) ? NULL : "receipts that are not the header's";
}

/* The transactions of a block that is final and verified. */
static int count_transactions(struct bench_list *list, const struct waiting *block, uint64_t now)
{
    struct byte_reader reader;
    struct receipt receipt;
    int found = 0;
    byte_reader_init(&reader, block->receipts, block->size);
    const uint32_t count = byte_read_u32(&reader);
    for (uint32_t i = 0; i < count; i++) {
        struct bytes_view bytes = byte_read_sized(&reader, block->size);
        MUST(codec_decode_all(&receipt_record, &receipt, bytes));
        struct bench_transaction *item = bench_list_find(list, &receipt.tx_id);
        if (item != NULL && item->final_ns == 0) {
            item->final_ns = now;
            item->status = receipt.status;
            found++;
        }
    }
    return found;
}

/* Takes the answer apart: the block waits at the end of the row. */
static const char *keep(struct bench_watch *watch, struct bytes_view *finality)
{
    struct byte_reader reader;
    if (watch->waiting_count == WAITING_MAX)
        return "a chain without certificates";
    struct waiting *block = &watch->waiting[watch->waiting_count];
    byte_reader_init(&reader, watch->http.bytes + watch->http.body, watch->http.length);
    struct bytes_view header = byte_read_sized(&reader, watch->http.length);
    *finality = byte_read_sized(&reader, watch->http.length);
    struct bytes_view receipts = byte_read_sized(&reader, watch->http.length);
    if (!byte_reader_done(&reader) || !block_header_decode(&block->header, header) ||
        block->header.height != watch->world->height + 1)
        return "an answer that is no block";
    if (watch->waiting_count > 0) {
        struct hash parent;
        block_header_id(&parent, &block[-1].header);
        if (!hash_equal(&parent, &block->header.parent_id))
            return "a block that is not its parent's child";
    }
    const char *why = check_receipts(watch, &block->header, receipts);
    if (why != NULL)
        return why;
    block->receipts = malloc(receipts.size);
    if (block->receipts == NULL)
        return "no memory";
    memcpy(block->receipts, receipts.data, receipts.size);
    block->size = receipts.size;
    watch->waiting_count++;
    return NULL;
}

/* Everything that waits is final with the certificate of its last block. */
static const char *finish(struct bench_watch *watch, struct bench_list *list,
                          struct bytes_view bytes, int *found)
{
    struct finality finality;
    const struct waiting *last = &watch->waiting[watch->waiting_count - 1];
    if (!finality_decode(&finality, bytes))
        return "a certificate that is none";
    const char *why =
        proof_certificate_problem(&watch->world->trust, &last->header, &finality.certificate);
    if (why != NULL)
        return why;
    const uint64_t now = bench_now_ns();
    for (uint32_t i = 0; i < watch->waiting_count; i++) {
        *found += count_transactions(list, &watch->waiting[i], now);
        free(watch->waiting[i].receipts);
    }
    watch->waiting_count = 0;
    return NULL;
}

int bench_watch_step(struct bench_watch *watch, struct bench_list *list, char problem[160])
{
    int found = 0;
    for (;;) {
        char path[64];
        struct bytes_view finality;
        snprintf(path, sizeof path, "/v1/blocks/%llu/receipts",
                 (unsigned long long)watch->world->height + 1);
        int status = bench_http_get(&watch->http, path);
        if (status == STATUS_ABSENT)
            return found;
        const char *why = status == STATUS_OK ? keep(watch, &finality) : "no answer";
        if (why == NULL) {
            watch->world->height++;
            if (finality.size > 0)
                why = finish(watch, list, finality, &found);
        }
        if (why != NULL) {
            snprintf(problem, 160, "block %llu: %s (HTTP %d)",
                     (unsigned long long)watch->world->height + 1, why, status);
            return -1;
        }
    }
}
