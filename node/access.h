/* Who may be told what: the rules of read access by role (market-rules 2; D2.3 4.2.5; docs/spec/api.md,
 * "Who sees what"; ADR 0038).
 *
 * Everything here is a function of the reader, the state and the record; HTTP stands in api_access.c. What
 * no rule names, only a regulator sees. NULL is never valid, except where it says so. */
#ifndef FLEX_NODE_ACCESS_H
#define FLEX_NODE_ACCESS_H

#include "contracts/events.h"
#include "node/config.h"
#include "storage/overlay.h"

/* What a route asks of its reader, on a node that gives reads by role. */
enum access_route {
    ACCESS_UNSAID = 0, /* no route is */
    ACCESS_PUBLIC,     /* nothing: no signature, the same answer for all */
    ACCESS_ENVELOPE,   /* nothing: what is sent is itself signed */
    ACCESS_MEMBERS,    /* a participant's signature; the same answer for all */
    ACCESS_SCOPED,     /* the same, and what is answered depends on whose */
    ACCESS_REGULATOR   /* a regulator's signature */
};
enum { ACCESS_ROUTE_KINDS = 6 };
extern const char *const access_route_names[ACCESS_ROUTE_KINDS];

/* A reader. */
struct access {
    bool all; /* the node is open, or it is a regulator */
    struct public_key key;
    struct name who;
    uint32_t roles;       /* none of who is suspended */
    struct timestamp now; /* the last block's: delegations of devices begin and end */
    const struct node_config *config;
};

/* A reader of an open node: sees all. */
struct access access_open(void);
/* Who has that key now. False if nobody has, or the state can't be read. */
bool access_resolve(struct access *out, const struct node_config *config,
                    const struct state_base *base, struct timestamp now,
                    const struct public_key *key);
/* May the reader use such a route at all? */
bool access_may_use(const struct access *access, enum access_route route);

/* A record of the state. `value.data` NULL: the record is absent, and the question is whether its absence
 * may be told; then only the key speaks. */
bool access_record(const struct access *access, const struct state_base *base, enum state_kind kind,
                   struct bytes_view key, struct bytes_view value);
/* Has any rule been written for that kind; a test asks it of all. */
bool access_has_rule(enum state_kind kind);
bool access_order(const struct access *access, const struct state_base *base,
                  const struct order_record *order);
bool access_deal(const struct access *access, const struct state_base *base,
                 const struct deal_record *deal);
bool access_order_id(const struct access *access, const struct state_base *base, uint64_t id);
bool access_deal_id(const struct access *access, const struct state_base *base, uint64_t id);
bool access_is(const struct access *access, const struct name *who);
/* Is the reader a grid operator that looks after that zone (flexd.json, "read_zones")? */
bool access_zone(const struct access *access, const struct name *zone);
/* The same of a market: by its zone, or because it operates the network that the market trades. */
bool access_market_zone(const struct access *access, const struct state_base *base,
                        const struct name *market);

/* access_events.c: one event of a receipt. */
bool access_event(const struct access *access, const struct state_base *base, uint8_t type,
                  struct bytes_view record);
bool access_has_event_rule(uint8_t type);

/* False if the record isn't there or isn't one: then nothing is said of it. */
bool access_read(const struct state_base *base, const struct state_key *key,
                 const struct codec_record *codec, void *record);
/* A pot's parties see it. */
bool access_pot(const struct access *access, const struct state_base *base, enum pot_kind kind,
                const struct name *participant, uint64_t id);

#endif
