"""Signed requests to a node's API, written from docs/spec/api.md alone: BIP340 and BLAKE2b in Python, so
that what the wallet and the node do with the same file of C is checked by something else."""
import hashlib
import http.client
import json
import os
import time

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
     0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8)


def double(a):
    x, y, z = a
    if y == 0 or z == 0:
        return (0, 1, 0)
    s = 4 * x * y * y % P
    m = 3 * x * x % P
    x3 = (m * m - 2 * s) % P
    return (x3, (m * (s - x3) - 8 * y**4) % P, 2 * y * z % P)


def add(a, b):
    if a[2] == 0:
        return b
    if b[2] == 0:
        return a
    z1, z2 = a[2] * a[2] % P, b[2] * b[2] % P
    u1, u2 = a[0] * z2 % P, b[0] * z1 % P
    s1, s2 = a[1] * z2 * b[2] % P, b[1] * z1 * a[2] % P
    if u1 == u2:
        return double(a) if s1 == s2 else (0, 1, 0)
    h, r = u2 - u1, s2 - s1
    h2 = h * h % P
    h3 = h * h2 % P
    x = (r * r - h3 - 2 * u1 * h2) % P
    return (x, (r * (u1 * h2 - x) - s1 * h3) % P, h * a[2] * b[2] % P)


def times_g(k):
    total, power = (0, 1, 0), (G[0], G[1], 1)
    while k:
        if k & 1:
            total = add(total, power)
        power = double(power)
        k >>= 1
    inverse = pow(total[2], -1, P)
    return total[0] * inverse * inverse % P, total[1] * inverse**3 % P


def tagged(tag, *parts):
    digest = hashlib.sha256(tag.encode()).digest()
    return hashlib.sha256(digest + digest + b"".join(parts)).digest()


def bip340_sign(secret, message):
    d = int.from_bytes(secret, "big")
    x, y = times_g(d)
    if y & 1:
        d = N - d
    public = x.to_bytes(32, "big")
    t = (d ^ int.from_bytes(tagged("BIP0340/aux", bytes(32)), "big")).to_bytes(32, "big")
    k = int.from_bytes(tagged("BIP0340/nonce", t, public, message), "big") % N
    rx, ry = times_g(k)
    if ry & 1:
        k = N - k
    r = rx.to_bytes(32, "big")
    e = int.from_bytes(tagged("BIP0340/challenge", r, public, message), "big") % N
    return r + ((k + e * d) % N).to_bytes(32, "big")


class Node:
    """A node as its unsigned routes describe it."""
    def __init__(self, api):
        self.host = api.removeprefix("http://")
        status = json.loads(self.ask("/v1/status")[1])
        self.genesis, self.key = bytes.fromhex(status["genesis"]), bytes.fromhex(status["key"])
        self.ahead_ms = int(status["time_ms"]) - time.time_ns() // 1000000

    def now_ms(self):
        return time.time_ns() // 1000000 + self.ahead_ms

    def ask(self, target, headers=None, method="GET", body=None):
        connection = http.client.HTTPConnection(self.host, timeout=20)
        connection.request(method, target, headers=headers or {}, body=body)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, text, dict(answer.getheaders())


class Wallet:
    def __init__(self, home):
        file = json.loads((home / "key.json").read_text())
        self.secret, self.public = bytes.fromhex(file["secret"]), bytes.fromhex(file["public_key"])

    def header(self, node, target, method="GET", time_ms=None, nonce=None, body=b"", key=None):
        """The Authorization header for one request to one node."""
        nonce = os.urandom(16) if nonce is None else nonce
        time_ms = node.now_ms() if time_ms is None else time_ms
        message = hashlib.blake2b(
            node.genesis + (key or node.key) + time_ms.to_bytes(8, "big") + nonce +
            len(method).to_bytes(2, "big") + method.encode() +
            len(target).to_bytes(2, "big") + target.encode() + len(body).to_bytes(4, "big") + body,
            digest_size=32, person=b"flex/read-req/1").digest()
        return {"Authorization":
                f'Flexledger key="{self.public.hex()}", time="{time_ms}", nonce="{nonce.hex()}", '
                f'signature="{bip340_sign(self.secret, message).hex()}"'}

    def get(self, node, target, method="GET"):
        return node.ask(target, self.header(node, target, method), method)
