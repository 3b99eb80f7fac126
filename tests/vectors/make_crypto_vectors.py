#!/usr/bin/env python3
"""Makes hash_domains.csv, merkle.csv, state_tree.csv and state_proof.csv from the text of
docs/spec/encoding.md and state.md.

It shares nothing with the C code: hashing is Python's own BLAKE2b, trees are built by the recursive
definitions. The files are frozen; run it to see that it still makes the very same bytes:
    python3 tests/vectors/make_crypto_vectors.py /tmp/vectors && diff -r /tmp/vectors tests/vectors
"""
import hashlib
import pathlib
import struct
import sys

DOMAINS = ["block-id", "tx-id", "tx-leaf", "witness", "receipt", "log-leaf", "merkle", "st-key",
           "st-value", "st-leaf", "st-node", "genesis", "val-set", "vote", "tx-sign", "handshake",
           "reading", "read-sign", "schedule", "ord-tie", "key-proof", "snapshot", "meter-req",
           "alias", "alias-req",
           "coupled",
           "series", "sheet", "file-sign",
           "read-req"]


def tagged(domain, *parts):
    return hashlib.blake2b(b"".join(parts), digest_size=32,
                           person=f"flex/{domain}/1".encode()).digest()


def counted(i):
    return struct.pack(">Q", i)


def hash_rows():
    yield "domain,tag,message,digest"
    messages = [b"", b"abc", bytes(range(256))]
    for number, domain in enumerate(DOMAINS):
        for message in messages:
            yield f"{number},flex/{domain}/1,{message.hex()},{tagged(domain, message).hex()}"


def root(leaves):
    if not leaves:
        return bytes(32)
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return tagged("merkle", root(leaves[:k]), root(leaves[k:]))


def path(index, leaves):
    if len(leaves) == 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if index < k:
        return path(index, leaves[:k]) + [root(leaves[k:])]
    return path(index - k, leaves[k:]) + [root(leaves[:k])]


def subproof(m, leaves, whole):
    n = len(leaves)
    if m == n:
        return [] if whole else [root(leaves)]
    k = 1
    while 2 * k < n:
        k *= 2
    if m <= k:
        return subproof(m, leaves[:k], whole) + [root(leaves[k:])]
    return subproof(m - k, leaves[k:], False) + [root(leaves[:k])]


def merkle_rows():
    yield "what,count,number,hashes"
    leaves = [tagged("log-leaf", counted(i)) for i in range(1000)]
    for count in list(range(18)) + [31, 32, 33, 100, 130, 1000]:
        yield f"root,{count},0,{root(leaves[:count]).hex()}"
    for index, count in [(0, 1), (0, 7), (6, 7), (5, 8), (99, 130), (999, 1000)]:
        yield f"path,{count},{index},{b''.join(path(index, leaves[:count])).hex()}"
    for old, count in [(1, 2), (3, 7), (4, 7), (6, 8), (64, 130), (999, 1000)]:
        yield f"prefix,{count},{old},{b''.join(subproof(old, leaves[:count], True)).hex()}"


def state_root(entries, depth=0):
    if not entries:
        return bytes(32)
    if len(entries) == 1:
        return tagged("st-leaf", *entries[0])
    sides = [[], []]
    for entry in entries:
        sides[entry[0][depth // 8] >> (7 - depth % 8) & 1].append(entry)
    return tagged("st-node", state_root(sides[0], depth + 1), state_root(sides[1], depth + 1))


def state_rows():
    yield "entries,without every,root"
    entries = [(tagged("st-key", counted(i)), tagged("st-value", counted(i))) for i in range(1000)]
    for count in [0, 1, 2, 3, 4, 10, 100, 1000]:
        yield f"{count},0,{state_root(entries[:count]).hex()}"
    yield f"1000,3,{state_root([e for i, e in enumerate(entries) if i % 3 != 0]).hex()}"
    yield f"100,2,{state_root([e for i, e in enumerate(entries[:100]) if i % 2 != 0]).hex()}"


def state_proof(entries, key, depth=0):
    """Siblings from the root downwards, and what stands where the key's path ends."""
    if not entries:
        return [], bytes([0])
    if len(entries) == 1:
        return [], bytes([1]) + entries[0][0] + entries[0][1]
    sides = [[], []]
    for entry in entries:
        sides[entry[0][depth // 8] >> (7 - depth % 8) & 1].append(entry)
    way = key[depth // 8] >> (7 - depth % 8) & 1
    siblings, end = state_proof(sides[way], key, depth + 1)
    return [state_root(sides[1 - way], depth + 1)] + siblings, end


def proof_rows():
    yield "entries,key,proof"
    entries = [(tagged("st-key", counted(i)), tagged("st-value", counted(i))) for i in range(1000)]
    for count, number in [(0, 0), (1, 0), (1, 1), (2, 1), (2, 5), (10, 3), (10, 11), (10, 12),
                          (1000, 7), (1000, 999), (1000, 1000), (1000, 1003)]:
        siblings, end = state_proof(entries[:count], tagged("st-key", counted(number)))
        proof = struct.pack(">H", len(siblings)) + b"".join(siblings) + end
        yield f"{count},{number},{proof.hex()}"


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for name, rows in (("hash_domains", hash_rows()), ("merkle", merkle_rows()),
                       ("state_tree", state_rows()), ("state_proof", proof_rows())):
        (folder / f"{name}.csv").write_text("\n".join(rows) + "\n")


main()
