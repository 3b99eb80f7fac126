/* The rules of membership, device registry, tokens and fees once more, as slowly and plainly as they
 * can be put: arrays of structs, linear searches, text names, and for a rollback a copy of the whole
 * world. It shares no code with contracts/, only the words: error numbers, action types, statuses. */
#ifndef FLEX_TESTS_SLOW_MODEL_H
#define FLEX_TESTS_SLOW_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum { SLOW_PEOPLE = 48, SLOW_DEVICES = 24, SLOW_PAIRS = 64, SLOW_MARKETS = 4, SLOW_USED = 4096 };
enum { SLOW_ACTIONS = 4, SLOW_VALIDATORS = 4, SLOW_NAME = 25 };

struct slow_person {
    char id[SLOW_NAME];
    unsigned key;
    unsigned roles;
    int status;
    uint64_t nonce;
    int64_t balance;
};

struct slow_device {
    char id[SLOW_NAME];
    char zone[SLOW_NAME];
    char owner[SLOW_NAME];
    char manager[SLOW_NAME];
    int64_t from;
    int64_t until;
    char asked_manager[SLOW_NAME];
    int64_t asked_from;
    int64_t asked_until;
    char asked_owner[SLOW_NAME];
    int status;
};

struct slow_model {
    int64_t fee_per_tx;
    int64_t fee_per_action;
    int64_t fee_period;
    int64_t lifetime;
    char operators[SLOW_VALIDATORS][SLOW_NAME];
    int64_t now;
    int64_t last_split;
    int64_t pool;
    int64_t minted;
    int64_t burned;
    uint64_t transactions;
    int people_count;
    struct slow_person people[SLOW_PEOPLE];
    int key_count; /* ever used */
    unsigned keys[SLOW_USED];
    int receipt_count;
    unsigned receipts[SLOW_USED];
    int device_count;
    struct slow_device devices[SLOW_DEVICES];
    int pair_count;
    struct {
        char device[SLOW_NAME];
        char market[SLOW_NAME];
    } pairs[SLOW_PAIRS];
    int market_count;
    struct {
        char id[SLOW_NAME];
        char zone[SLOW_NAME];
        bool closed;
    } markets[SLOW_MARKETS];
};

/* What the fields mean, by type: slow_model.c's table at each rule. */
struct slow_action {
    int type; /* enum action_type */
    char a[SLOW_NAME];
    char b[SLOW_NAME];
    int64_t x;
    int64_t y;
    int64_t z;
    unsigned n;
};

struct slow_transaction {
    unsigned key;
    uint64_t nonce;
    int64_t valid_until;
    int64_t fee_limit;
    int action_count;
    struct slow_action actions[SLOW_ACTIONS];
};

void slow_add_person(struct slow_model *model, const char *id, unsigned key, unsigned roles);
/* -1 if there is none. */
int slow_person_at(const struct slow_model *model, const char *id);
int slow_device_at(const struct slow_model *model, const char *id);
bool slow_is_enrolled(const struct slow_model *model, const char *device, const char *market);
/* The error number: of the TX_ group, or what the receipt says. */
int slow_transaction(struct slow_model *model, const struct slow_transaction *transaction);
void slow_end_block(struct slow_model *model);

#endif
