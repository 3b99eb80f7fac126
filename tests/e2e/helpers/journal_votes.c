/* journal_votes DIRECTORY GENESIS-HASH [EPOCH]: every vote that a vote journal knows of, one a line, for the
 * oracle that no honest key signs two votes that exclude each other:
 *
 *     WHOSE KIND EPOCH VIEW BLOCK SIGNER     WHOSE: own, peer, or cert for a signer of a certificate
 *
 * Opening a journal locks it and cuts a torn tail, so callers give a copy. A damaged journal is read
 * as far as it is whole. Deliberately absent: any judgement; nemesis.py has that. */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "storage/journal.h"

static void print_vote(const char *whose, uint8_t kind, uint64_t epoch, uint64_t view,
                       const struct hash *block, unsigned signer)
{
    char id[2 * HASH_SIZE + 1];
    hex_encode(id, block->bytes, HASH_SIZE);
    printf("%s %u %llu %llu %s %u\n", whose, kind, (unsigned long long)epoch,
           (unsigned long long)view, id, signer);
}

static bool print_entry(void *context, const struct journal_entry *entry)
{
    (void)context;
    const struct vote *vote = &entry->vote;
    const struct certificate *certificate = &entry->certificate;
    if (entry->type == JOURNAL_VOTE || entry->type == JOURNAL_PEER_VOTE) {
        print_vote(entry->type == JOURNAL_VOTE ? "own" : "peer", vote->kind, vote->epoch,
                   vote->view, &vote->block_id, vote->signer);
    } else if (entry->type == JOURNAL_CERTIFICATE) {
        for (uint32_t i = 0; i < certificate->count; i++) {
            print_vote("cert", certificate->kind, certificate->epoch, certificate->view,
                       &certificate->block_id, certificate->entries[i].signer);
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct journal *journal = NULL;
    char problem[160] = "";
    struct journal_config config = {.directory = argc > 1 ? argv[1] : ""};
    if (argc < 3 || argc > 4 || (argc == 4 && !uint64_from_text(&config.epoch, argv[3])) ||
        !hex_decode(config.genesis.bytes, HASH_SIZE, argv[2])) {
        return 2;
    }
    log_open(stderr, "journal_votes", LOG_BROKEN, false);
    const enum journal_result result = journal_open(&journal, &config, print_entry, NULL, problem);
    journal_close(journal);
    if (problem[0] != '\0') {
        fprintf(stderr, "%s\n", problem);
    }
    return result == JOURNAL_MISMATCH || result == JOURNAL_FAULT ? 1 : 0;
}
