/* Networks and the grid check (MFX II.A; market-rules 8; docs/spec/capacity.md).
 *
 * NULL is never valid. */
#ifndef FLEX_CONTRACTS_GRID_H
#define FLEX_CONTRACTS_GRID_H

#include "contracts/module.h"

/* contracts/network.c: networks, nodes, publications. */
extern const struct contract_module network_module;

#endif
