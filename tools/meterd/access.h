/* Who may have which readings, and how they ask (docs/spec/meter.md 5; market-rules 9, privacy).
 *
 * A request is a canonical record, signed with the asker's key of the ledger over the ledger, the
 * service, a time and a nonce: it is good at one service, for a minute, once. */
#ifndef FLEX_TOOLS_METERD_ACCESS_H
#define FLEX_TOOLS_METERD_ACCESS_H

#include "tools/meterd/registry.h"

enum {
    ACCESS_NONCE_SIZE = 16,
    ACCESS_REQUEST_BYTES_MAX = 512,
    ACCESS_WINDOW_MS = 60000, /* how far a request's time may be from ours */
    ACCESS_SEEN_MAX = 100000, /* requests remembered at a time */
    ACCESS_ERASE_DAYS_MAX = 400
};

enum access_purpose { ACCESS_READ = 0, ACCESS_ERASE = 1 };
enum { ACCESS_PURPOSE_COUNT = 2 };
extern const char *const access_purpose_names[ACCESS_PURPOSE_COUNT];

struct access_request {
    uint8_t purpose;
    struct hash genesis;
    struct name service; /* the meter operator */
    struct name asker;
    struct name device;
    uint8_t meter;
    struct timestamp from;
    struct timestamp until;  /* not included; to erase, both are the starts of UTC days */
    struct timestamp before; /* only fingerprints posted before that; 0: any */
    uint64_t deal;           /* asks as its buyer or seller; 0: as owner, manager or regulator */
    struct timestamp time;
    uint8_t nonce[ACCESS_NONCE_SIZE];
    struct signature signature; /* BIP340 by the asker over H(METER_REQUEST, all before it) */
};
extern const struct codec_record access_request_record;

void access_request_message(struct hash *out, const struct access_request *request);
/* Signs, with a fresh nonce. False if the key can't. */
bool access_request_sign(struct access_request *request, const struct secret_key *secret);

enum access_verdict {
    ACCESS_GRANTED,
    ACCESS_MALFORMED,     /* not a canonical request */
    ACCESS_OTHER_LEDGER,  /* signed for another genesis */
    ACCESS_OTHER_SERVICE, /* signed for another meter operator */
    ACCESS_STALE,         /* its time is more than a minute from ours */
    ACCESS_UNKNOWN_ASKER, /* no active participant */
    ACCESS_BAD_SIGNATURE, /* not by the asker's key */
    ACCESS_REPLAYED,      /* answered before */
    ACCESS_BUSY,          /* too many requests at a time to remember them */
    ACCESS_NOT_PERMITTED, /* the ledger gives the asker no right to these readings */
    ACCESS_BAD_PERIOD,    /* none, or too long; to erase: not whole days, or not over */
    ACCESS_UNAVAILABLE,   /* no node proves who may */
    ACCESS_FAULT,         /* our disk */
    ACCESS_VERDICT_COUNT
};
/* The code that the answer carries; NULL for ACCESS_GRANTED. */
extern const char *const access_verdict_names[ACCESS_VERDICT_COUNT];
const char *access_verdict_reason(enum access_verdict verdict);
unsigned access_verdict_http(enum access_verdict verdict);

/* `now` is this machine's clock. A request that gets past its signature is remembered, whatever else is
 * against it. On ACCESS_GRANTED *out is the request. */
enum access_verdict access_check(struct meter_archive *archive,
                                 const struct meter_registry *registry, const struct hash *genesis,
                                 struct bytes_view bytes, struct timestamp now,
                                 struct access_request *out);

#endif
