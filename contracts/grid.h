/* Networks, and the check that what is matched stays within what they can carry (MFX II.A; market-rules
 * 8; docs/spec/capacity.md).
 *
 * What a seller promises loads the grid between its device and the root: regulation down, or a floor, is
 * import; regulation up is export. A market that names a network lets nothing trade that some node on
 * that path cannot carry any more in some quarter hour of the delivery period, with all that was sold
 * there before, in whatever market.
 *
 * Whoever matches opens the grid for one delivery period, admits the offers in their priority, books what
 * was traded, and closes it. NULL is never valid. */
#ifndef FLEX_CONTRACTS_GRID_H
#define FLEX_CONTRACTS_GRID_H

#include "contracts/module.h"

/* The tree of a market's network, and what is left of its nodes in one direction over one delivery
 * period. One at a time, in the ledger's memory. */
struct grid;
struct grid *grid_create(void); /* NULL if memory ran out */
void grid_destroy(struct grid *grid);
struct grid *ledger_grid(struct ledger *ledger);

enum { GRID_PLACE_NONE = -1 };

/* Where an unpublished quarter hour leaves a node: the check of other markets holds against limits that
 * were published, and a capacity market sells nothing that was not. */
enum grid_unpublished { GRID_UNPUBLISHED_IS_FREE, GRID_UNPUBLISHED_IS_CLOSED };

/* Loads the tree; nothing of its figures yet. A market without a network has an empty one, which limits
 * nobody. */
void grid_open(struct contract_call *call, struct grid *grid, const struct market_create *terms,
               struct timestamp start, enum direction direction, enum grid_unpublished unpublished);
/* Adds to the nodes' records what was booked since it was opened. */
void grid_close(struct contract_call *call, struct grid *grid);

struct name grid_network(const struct grid *grid);
uint32_t grid_count(const struct grid *grid);
struct name grid_name(const struct grid *grid, int32_t place);
int32_t grid_parent(const struct grid *grid, int32_t place);
/* Where the device's path begins: at its node, or else its feeder; GRID_PLACE_NONE: at neither. */
int32_t grid_place(const struct grid *grid, const struct device_record *device);
/* At which of the network's nodes it stands, by the same rule, without loading them; false: at none. */
bool grid_node_of(const struct contract_call *call, const struct name *network,
                  const struct device_record *device, struct name *node);
/* Whether it stands at any. */
bool grid_has_device(const struct contract_call *call, const struct name *network,
                     const struct device_record *device);

/* What is left at one node, in whole steps of the market's quantity and at most `most`. */
struct energy grid_left(struct contract_call *call, struct grid *grid, int32_t place,
                        struct energy most);
/* What is left on the path from there, and holds it for whoever asks: what the next one finds is less by
 * that. Less than `least`, or less than a step: nothing, and nothing is held. `limiter` is the first node
 * on the path that left less than was wanted, GRID_PLACE_NONE if none did. */
struct energy grid_admit(struct contract_call *call, struct grid *grid, int32_t place,
                         struct energy wanted, struct energy least, int32_t *limiter);
/* Forgets who was admitted and has not traded. */
void grid_forget(struct grid *grid);
/* Books what was traded, of what was admitted or was just found to be left. */
void grid_sell(struct grid *grid, int32_t place, struct energy traded);

/* Whether an order of that market loads the grid at all: a cap only ever unloads it, and what answers a
 * call was booked with the reservation. */
bool grid_is_loaded_by(const struct market_create *terms, const struct order_record *order);

/* The network of that name; and if it is the sender's, who still is a DSO: NOT_PERMITTED, UNKNOWN_NETWORK. */
bool network_read(const struct contract_call *call, const struct name *id,
                  struct network_record *out);
enum contract_error network_require_own(const struct contract_call *call, const struct name *id,
                                        struct network_record *out);

/* The methods of contracts/network_lines.c: what coupled auctions know of a network. */
enum contract_error network_line_apply(struct contract_call *call, const void *record);
enum contract_error network_row_apply(struct contract_call *call, const void *record);

/* contracts/network.c: networks, nodes, publications. */
extern const struct contract_module network_module;

#endif
