/* A list of signed transactions, each as the HTTP request that will carry it (tools/bench/bench.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tools/bench/bench.h"

enum { VALID_MS = 20 * 3600 * 1000, ENVELOPE_MAX = LIMIT_TX_BYTES + 256 };

bool bench_list_open(struct bench_list *list, uint32_t room, size_t arena_room)
{
    memset(list, 0, sizeof *list);
    uint32_t slots = 16;
    while (slots < 2 * room)
        slots *= 2;
    list->room = room;
    list->arena_room = arena_room;
    list->index_mask = slots - 1;
    list->items = calloc(room, sizeof list->items[0]);
    list->index = calloc(slots, sizeof list->index[0]);
    list->arena = malloc(arena_room);
    if (list->items != NULL && list->index != NULL && list->arena != NULL)
        return true;
    bench_list_close(list);
    return false;
}

void bench_list_close(struct bench_list *list)
{
    free(list->items);
    free(list->index);
    free(list->arena);
    memset(list, 0, sizeof *list);
}

static uint32_t first_slot(const struct bench_list *list, const struct hash *id)
{
    uint32_t word;
    memcpy(&word, id->bytes, sizeof word); /* a hash is as good as its first bytes */
    return word & list->index_mask;
}

struct bench_transaction *bench_list_find(struct bench_list *list, const struct hash *id)
{
    for (uint32_t slot = first_slot(list, id); list->index[slot] != 0;
         slot = (slot + 1) & list->index_mask) {
        struct bench_transaction *item = &list->items[list->index[slot] - 1];
        if (hash_equal(&item->id, id))
            return item;
    }
    return NULL;
}

void bench_list_add(struct bench_list *list, const struct bench_world *world,
                    struct bench_wallet *sender, uint32_t validator,
                    const struct transaction_draft_action *actions, uint32_t count)
{
    static struct transaction_draft draft;
    static uint8_t envelope[ENVELOPE_MAX];
    struct transaction transaction;
    struct byte_writer writer;
    MUST(list->count < list->room && count <= LIMIT_ACTIONS_PER_TX);
    draft.genesis = world->genesis_id;
    draft.nonce = ++sender->nonce;
    draft.valid_until = timestamp_of(devnet_real_ms() + VALID_MS);
    draft.fee_limit = money_of(INT64_C(1000000000));
    draft.action_count = count;
    memcpy(draft.actions, actions, count * sizeof actions[0]);
    byte_writer_init(&writer, envelope, sizeof envelope);
    MUST(transaction_sign(&writer, &draft, &sender->secret));
    MUST(transaction_decode(&transaction, bytes_view_of(envelope, writer.size)) == CONTRACT_OK);

    uint8_t *place = list->arena + list->arena_used;
    const size_t left = list->arena_room - list->arena_used;
    int head = snprintf((char *)place, left,
                        "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\n"
                        "Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n\r\n",
                        writer.size);
    MUST(head > 0 && (size_t)head + writer.size < left);
    memcpy(place + head, envelope, writer.size);
    list->arena_used += (size_t)head + writer.size;

    struct bench_transaction *item = &list->items[list->count++];
    *item = (struct bench_transaction){.request = place,
                                       .size = (uint32_t)head + (uint32_t)writer.size,
                                       .validator = (uint16_t)validator,
                                       .actions = (uint16_t)count,
                                       .id = transaction.id};
    uint32_t slot = first_slot(list, &item->id);
    while (list->index[slot] != 0)
        slot = (slot + 1) & list->index_mask;
    list->index[slot] = list->count;
}
