/* The status board (board.h).
 *
 * Readiness is a function of a copied status, so that it can be tested without a node and two pages
 * can't disagree about it. It does not look at recent transactions: an idle market is a healthy
 * one.
 *
 * Deliberately absent: history. That is what /metrics is scraped for. */
#include "node/board.h"

#include <string.h>

#include "base/fatal.h"

void node_board_open(struct node_board *board)
{
    memset(board, 0, sizeof *board);
    MUST(pthread_mutex_init(&board->lock, NULL) == 0);
}

void node_board_close(struct node_board *board)
{
    MUST(pthread_mutex_destroy(&board->lock) == 0);
}

void node_board_write(struct node_board *board, const struct node_status *status)
{
    MUST(pthread_mutex_lock(&board->lock) == 0);
    board->status = *status;
    MUST(pthread_mutex_unlock(&board->lock) == 0);
}

void node_board_read(struct node_board *board, struct node_status *status)
{
    MUST(pthread_mutex_lock(&board->lock) == 0);
    *status = board->status;
    MUST(pthread_mutex_unlock(&board->lock) == 0);
}

const char *node_status_unready(const struct node_status *status, bool validator, uint32_t quorum)
{
    if (!status->started)
        return "the node is starting";
    if (status->stopping)
        return "the node is stopping";
    if (status->damaged_reads > 0)
        return "a record of the database is damaged: read the log, stop the node, run flexd check";
    if (status->journal_full)
        return "disk full: the vote journal cannot be written, no votes are cast; make room";
    if (status->store_full)
        return "disk or database map full: no block can be committed; make room";
    if (status->final_view > status->tip_view)
        return "syncing: a finalized block is not executed yet";
    if (validator && status->validators_up < quorum)
        return "fewer validators are connected than a quorum needs";
    return NULL;
}
