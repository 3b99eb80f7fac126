#!/usr/bin/env python3
"""Makes what the end-to-end tests need, from the specification alone and with nothing of ours:
a genesis file, and signed transactions (BIP340 in plain Python, far too slow for anything else).

Being written differently is the point: an encoding that only our own C code can read fails here.

  ledger.py genesis KEY...                  genesis.json for those validator keys, on stdout
"""
import hashlib
import json
import struct
import sys
import time

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
     0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8)


def add(a, b):
    if a is None:
        return b
    if b is None:
        return a
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    if a == b:
        slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P) % P
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P) % P
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


DOUBLES = [G]  # G, 2 G, 4 G, ...
while len(DOUBLES) < 256:
    DOUBLES.append(add(DOUBLES[-1], DOUBLES[-1]))


def times_g(factor):
    result = None
    for bit, point in enumerate(DOUBLES):
        if factor >> bit & 1:
            result = add(result, point)
    return result


def tagged(tag, data):
    digest = hashlib.sha256(tag.encode()).digest()
    return hashlib.sha256(digest + digest + data).digest()


def blake(tag, data):
    return hashlib.blake2b(data, digest_size=32, person=tag.encode().ljust(16, b"\0")).digest()


def public_key(secret):
    return times_g(secret)[0].to_bytes(32, "big")


def schnorr(secret, message):
    point = times_g(secret)
    scalar = secret if point[1] % 2 == 0 else N - secret
    masked = scalar ^ int.from_bytes(tagged("BIP0340/aux", bytes(32)), "big")
    key = point[0].to_bytes(32, "big")
    nonce = int.from_bytes(tagged("BIP0340/nonce", masked.to_bytes(32, "big") + key + message),
                           "big") % N
    commitment = times_g(nonce)
    if commitment[1] % 2:
        nonce = N - nonce
    x = commitment[0].to_bytes(32, "big")
    challenge = int.from_bytes(tagged("BIP0340/challenge", x + key + message), "big") % N
    return x + ((nonce + challenge * scalar) % N).to_bytes(32, "big")


def secret_of(name):
    return int.from_bytes(hashlib.sha256(b"test wallet " + name.encode()).digest(), "big") % N


def wire_name(text):
    return text.encode().ljust(24, b"\0")


def envelope(chain, sender, nonce, actions, valid_for_ms=3600000):
    """actions: list of (type, record bytes)."""
    secret = secret_of(sender)
    valid_until = int(time.time() * 1000) + valid_for_ms
    body = struct.pack(">H", 1) + chain + public_key(secret)
    body += struct.pack(">Qqq", nonce, valid_until, 10**9) + bytes(32)
    body += struct.pack(">B", len(actions))
    for kind, record in actions:
        body += struct.pack(">BH", kind, len(record)) + record
    signature = schnorr(secret, blake("flex/tx-sign/1", body))
    return struct.pack(">I", len(body)) + body + signature + struct.pack(">I", 0)


def mint(to, ueur, receipt):
    return 20, wire_name(to) + struct.pack(">q", ueur) + hashlib.sha256(receipt.encode()).digest()


def transfer(to, ueur):
    return 22, wire_name(to) + struct.pack(">q", ueur)


def genesis(keys):
    roles = {"operator": ["market_operator"], "bank": ["treasurer"], "dso": ["dso"],
             "agg": ["aggregator"]}
    return {
        "chain": "e2e", "time_ms": str(int(time.time() * 1000) - 60000), "simulated_time": False,
        "delta_ms": 200, "block_interval_ms": 100, "max_idle_ms": 1000, "exec_budget_ms": 300,
        "timeout_cap_ms": 10000, "backoff_permille": 1300,
        "params": {
            "fee_per_tx_ueur": "100", "fee_per_action_ueur": "10", "fee_per_deal_ueur": "0",
            "fee_period_ms": "3600000", "tx_lifetime_ms": "86400000",
            "validators": [{"key": key, "operator": "operator"} for key in sorted(keys)]},
        "participants": [{"id": name, "key": public_key(secret_of(name)).hex(), "roles": role}
                         for name, role in roles.items()]}


def main(arguments):
    command = arguments[0]
    if command == "genesis":
        json.dump(genesis(arguments[1:]), sys.stdout)
        return
    out, chain, sender, nonce = arguments[1], bytes.fromhex(arguments[2]), arguments[3], arguments[4]
    if command == "mint":
        actions = [mint(arguments[5], int(arguments[6]), arguments[7])]
    elif command == "transfer":
        actions = [transfer(arguments[5], int(arguments[6]))]
    else:
        sys.exit("ledger.py: no such command: " + command)
    with open(out, "wb") as file:
        file.write(envelope(chain, sender, int(nonce), actions))


if __name__ == "__main__":
    main(sys.argv[1:])
