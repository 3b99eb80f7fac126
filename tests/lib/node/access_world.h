/* A state of a few records and the readers of every role, for the rules of read access: one device of
 * anna's that a retailer manages and an aggregator sells, in a zone that one of two grid operators looks
 * after. */
#ifndef FLEX_TESTS_LIB_NODE_ACCESS_WORLD_H
#define FLEX_TESTS_LIB_NODE_ACCESS_WORLD_H

#include "node/access.h"

enum {
    WORLD_ANNA,     /* prosumer: owns the device */
    WORLD_BOB,      /* prosumer: has nothing to do with it */
    WORLD_RETAILER, /* manages it */
    WORLD_AGG,      /* sells with it */
    WORLD_DSO,      /* buys; looks after its zone */
    WORLD_DSO2,     /* looks after another, and operates the network "grid" */
    WORLD_OPERATOR, /* of the markets */
    WORLD_METERS,   /* meter operator */
    WORLD_TREASURER,
    WORLD_REGULATOR,
    WORLD_SUSPENDED, /* has all roles, and is suspended */
    WORLD_READERS
};
extern const char *const access_readers[WORLD_READERS];
enum { WORLD_RECORDS_MAX = 160, WORLD_VALUE_BYTES = 4096 };

struct access_world {
    struct state_base base;
    struct node_config config;
    uint32_t count;
    struct {
        enum state_kind kind;
        struct state_key key;
        uint8_t value[WORLD_VALUE_BYTES];
        size_t size;
    } records[WORLD_RECORDS_MAX];
};

void access_world_make(struct access_world *world);
/* Gives every field that may not be empty a value, so that a record of zeros encodes. */
void access_world_fill(const struct codec_record *codec, void *record);
struct name access_name(const char *text);
struct public_key access_key(const char *reader);
/* Puts a record at the id, as people write it. */
void access_world_put(struct access_world *world, enum state_kind kind, const char *id,
                      const void *record);
void access_world_put_key(struct access_world *world, enum state_kind kind,
                          const struct state_key *key, const void *record);
struct access access_world_reader(const struct access_world *world, int reader);
/* The first record of a kind; NULL if there is none. */
const struct state_key *access_world_find(const struct access_world *world, enum state_kind kind,
                                          struct bytes_view *value);

#endif
