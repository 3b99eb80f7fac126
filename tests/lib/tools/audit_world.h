/* A market in memory whose blocks go straight into an export: the daemon's own chain code, four
 * validators that sign whatever is built, any number of people. Tests of the audit plant their
 * patterns with it, and the bench makes its long chain. Anything unexpected aborts. */
#ifndef FLEX_TESTS_AUDIT_WORLD_H
#define FLEX_TESTS_AUDIT_WORLD_H

#include "contracts/genesis.h"
#include "contracts/ledger.h"
#include "storage/store.h"

enum { AUDIT_WORLD_PEOPLE_MAX = 4096 };

struct audit_world;

/* A chain that begins on 2025-01-15 00:00 UTC with `treasurer`, `operator` and `dso`; fees of
 * 1000 ueur per transaction and action. Continues no export: `directory` is new. */
struct audit_world *audit_world_create(const char *directory);
void audit_world_destroy(struct audit_world *world);
const struct genesis *audit_world_genesis(const struct audit_world *world);
const struct store_tip *audit_world_tip(const struct audit_world *world);
struct state_view *audit_world_view(struct audit_world *world);

/* Queues a registration by `operator` with a key of its own. */
void audit_world_add(struct audit_world *world, const char *id, uint32_t roles);
/* Queues a mint by `treasurer`. */
void audit_world_mint(struct audit_world *world, const char *to, int64_t ueur);
/* Queues one transaction with one action, or with several. */
void audit_world_send(struct audit_world *world, const char *who, uint8_t type, const void *record);
void audit_world_send_all(struct audit_world *world, const char *who,
                          const struct transaction_draft_action *actions, uint32_t count);
/* Builds, certifies, commits and exports one block of what is queued, `ms` after the last one. Every
 * transaction in it must have succeeded. */
void audit_world_turn(struct audit_world *world, int64_t ms);
/* The same, with a block at exactly that time. */
void audit_world_turn_at(struct audit_world *world, int64_t time_ms);
/* Writes export.json; further turns may follow, and another finish. */
void audit_world_finish(struct audit_world *world);

struct name audit_world_name(const char *text);

#endif
