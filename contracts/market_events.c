/* Names and rules of the regulator's queries (contracts/market_events.h).
 *
 * One place, so that an audit of an export and the API of a node cannot come to call the same event by
 * two names.
 *
 * Deliberately absent: state. Who wants an order's terms beside its number brings them. */
#include "contracts/market_events.h"

#include "base/fatal.h"

const char *const order_event_names[ORDER_EVENT_KINDS] = {"new",     "trade",  "cancel",
                                                          "replace", "expire", "grant"};
const char *const market_fee_names[MARKET_FEE_KINDS] = {"transaction", "deal", "split", "clearing"};

bool market_event_decode(union market_event *out, bool *broken, uint8_t type,
                         struct bytes_view record)
{
    *broken = false;
    bool told = type >= EVENT_ORDER_PLACED && type <= EVENT_FEES_SPLIT;
    if (!told && type != EVENT_ORDER_REDUCED && type != EVENT_ALLOCATED) {
        return false; /* digests, proposals, epochs, publications: no part of a market's book */
    }
    const struct codec_record *codec = event_codec(type);
    MUST(codec != NULL && codec->struct_size <= sizeof *out);
    *broken = !codec_decode_all(codec, out, record);
    return !*broken;
}

bool market_event_is_fee(const struct event_token_moved *moved, enum market_fee_kind *kind,
                         uint64_t *deal)
{
    bool of_deal = moved->from.kind == POT_DEAL_ESCROW || moved->from.kind == POT_DEAL_DEPOSIT;
    *kind = of_deal ? MARKET_FEE_DEAL : MARKET_FEE_CLEARING;
    *deal = of_deal ? moved->from.id : 0;
    return moved->to.kind == POT_FEES;
}

bool order_may_rest(const struct order_record *order)
{
    return order->options.kind == ORDER_LIMIT;
}

/* Does the new order stand where the cancelled one stood? */
static bool replaces(const struct order_record *old, const struct order_record *new)
{
    return old->side == new->side &&
           old->direction ==
               new->direction &&timestamp_compare(old->period_start, new->period_start) == 0 &&
           name_compare(&old->market, &new->market) == 0 &&
           name_compare(&old->participant, &new->participant) == 0 &&
           name_compare(&old->device, &new->device) == 0;
}

void order_changes_pair(struct order_change *changes, size_t count)
{
    MUST(count <= MARKET_CHANGES_MAX);
    for (size_t i = 0; i < count; i++) {
        struct order_change *gone = &changes[i];
        if (gone->kind != ORDER_EVENT_CANCEL) {
            continue;
        }
        for (size_t j = 0; j < count; j++) {
            struct order_change *placed = &changes[j];
            if (placed->kind == ORDER_EVENT_NEW && placed->other == 0 &&
                placed->order != gone->order && replaces(gone->placed, placed->placed)) {
                gone->kind = ORDER_EVENT_REPLACE;
                gone->other = placed->order;
                placed->other = gone->order;
                break;
            }
        }
    }
}
