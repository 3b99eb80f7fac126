#!/usr/bin/env python3
"""Verifies the frozen digest from the text of docs/spec/digest.md and encoding.md alone, with none of the
C code: hashes of Python's library, Ed25519 as RFC 8032 writes it. The genesis hash is taken from the
origin line. Exit 0 if everything holds, and if a note with any changed vote does not."""
import base64
import hashlib
import json
import struct
import sys

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def point_add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def point_mul(n, p):
    q = (0, 1, 1, 0)
    while n:
        if n & 1:
            q = point_add(q, p)
        p, n = point_add(p, p), n >> 1
    return q


def point_of(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * ROOT % P
    if (x * x - x2) % P:
        raise ValueError("no point")
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519_good(key, message, signature):
    s = int.from_bytes(signature[32:], "little")
    if s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    a = point_mul(s, BASE)
    b = point_add(point_of(signature[:32]), point_mul(h, point_of(key)))
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def h(tag, data):
    return hashlib.blake2b(data, digest_size=32, person=tag.encode().ljust(16, b"\0")).digest()


def must(condition, what):
    if not condition:
        raise ValueError(what)


def header(data):
    must(len(data) == 268, "header size")
    names = "version genesis epoch height view parent_view parent_id time tx receipt state log next_set"
    out = dict(zip(names.split(), struct.unpack(">I32sQQQQ32sq32s32s32s32s32s", data)))
    out["id"] = h("flex/block-id/1", data)
    return out


def read_set(data):
    count = struct.unpack_from(">I", data)[0]
    must(len(data) == 4 + 56 * count, "set size")
    return [(data[4 + 56 * i : 36 + 56 * i], data[36 + 56 * i : 60 + 56 * i].rstrip(b"\0")) for i in range(count)]


def set_hash(members):
    body = b"".join(key + name.ljust(24, b"\0") for key, name in members)
    return h("flex/val-set/1", struct.pack(">I", len(members)) + body)


def check_votes(members, block, votes):
    message = h("flex/vote/1", b"simplex1/" + b"\2" + block["genesis"] + struct.pack(">QQ", block["epoch"], block["view"]) + block["id"])
    must(len(votes) >= len(members) - (len(members) - 1) // 3, "quorum")
    must(sorted(set(i for i, _ in votes)) == [i for i, _ in votes], "order")
    must(all(ed25519_good(members[i][0], message, s) for i, s in votes), "a vote's signature")


def check_note(note, members, witness):
    text, lines = note.rsplit("\n\n", 1)
    text += "\n"
    rows = [row.split(" ") for row in text.split("\n")[4:-1]]
    raw = [[row[0]] + [base64.b64decode(part, validate=True) for part in row[1:]] for row in rows]
    for row in [row for row in raw if row[0] == "epoch"]:
        boundary, certificate = header(row[1]), row[3]
        must(not row[4:], "descendants are not in this example")
        count = struct.unpack_from(">I", certificate, 49)[0]
        entries = [(certificate[53 + 65 * i], certificate[54 + 65 * i : 118 + 65 * i]) for i in range(count)]
        check_votes(members, boundary, entries)
        members = read_set(row[2])
        must(boundary["next_set"] == set_hash(members), "next set")
    blocks = [header(row[1]) for row in raw if row[0] != "epoch"]
    last, following = blocks[:2]
    for parent, child in zip(blocks, blocks[1:]):
        must(child["parent_id"] == parent["id"] and child["height"] == parent["height"] + 1, "link")
    days = [block["time"] // 86400000 for block in (last, following)]
    must(days[0] < days[1], "midnight")
    head = text.split("\n")[:4]
    must(head[0].split("/")[2] == following["genesis"].hex(), "origin")
    must(head[1] == str(following["height"]) and base64.b64decode(head[2]) == following["log"], "size and root")
    votes, cosigned = [], 0
    for line in lines.splitlines():
        dash, name, data = line.split(" ")
        data = base64.b64decode(data, validate=True)
        if name == witness[0]:
            must(data[:4] == hashlib.sha256(name.encode() + b"\n\4" + witness[1]).digest()[:4], "witness's key id")
            stamp = struct.unpack(">Q", data[4:12])[0]
            message = f"cosignature/v1\ntime {stamp}\n{text}".encode()
            must(ed25519_good(witness[1], message, data[12:]), "cosignature")
            cosigned += 1
            continue
        ids = [hashlib.sha256(n + b"\n\xffflexledger/finalize/1" + key).digest()[:4] for key, n in members]
        must(dash == "\u2014" and data[:4] in ids and len(data) == 68, "a vote's line")
        votes.append((ids.index(data[:4]), data[4:]))
    check_votes(members, blocks[-1], votes)
    return head[3], len(votes), cosigned


folder = sys.argv[1]
genesis = json.load(open(f"{folder}/genesis.json"))
first = [(bytes.fromhex(v["key"]), v["operator"].encode()) for v in genesis["params"]["validators"]]
name, key_id, key = open(f"{folder}/witness.txt").read().strip().split("+", 2)
witness = name, base64.b64decode(key)[1:]
must(hashlib.sha256(name.encode() + b"\n\4" + witness[1]).digest()[:4].hex() == key_id, "key id")
note = open(f"{folder}/2025-01-16.note", encoding="utf-8").read()
day, votes, cosigned = check_note(note, first, witness)
at = note.index("\u2014 ") + 40
try:
    check_note(note[:at] + ("A" if note[at] != "A" else "B") + note[at + 1 :], first, witness)
except ValueError:
    print(f"{day}: {votes} votes and {cosigned} cosignature hold, as the specification says them")
else:
    sys.exit("a changed vote was not noticed")
