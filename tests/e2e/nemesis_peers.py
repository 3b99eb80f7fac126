"""Hostile peers against real nodes on the port for links (fault scenarios 9 to 11; docs/spec/wire.md).

What a stranger has: a TCP connection; TLS without a certificate; a certificate of another CA, one that
has expired, or a member's without the member's node key. What a member has that has turned hostile: all
of it, and a link. The handshake below is written from wire.md alone, Ed25519 from RFC 8032.
"""
import hashlib
import json
import os
import resource
import socket
import ssl
import struct
import subprocess
import time

import ledger
from cluster import Failure, wait_until
from nemesis_base import NotHere, scenario

# --- Ed25519 (RFC 8032, 5.1.5 and 5.1.6), slow and short ------------------------------------------

Q = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, Q) % Q
BASE_Y = 4 * pow(5, -1, Q) % Q
BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202


def plus(a, b):
    x1, y1, x2, y2 = *a, *b
    t = D * x1 * x2 * y1 * y2 % Q
    return ((x1 * y2 + x2 * y1) * pow(1 + t, -1, Q) % Q, (y1 * y2 + x1 * x2) * pow(1 - t, -1, Q) % Q)


def multiple(factor):
    result, point = (0, 1), (BASE_X, BASE_Y)
    while factor:
        if factor & 1:
            result = plus(result, point)
        point, factor = plus(point, point), factor >> 1
    return ((result[0] & 1) << 255 | result[1]).to_bytes(32, "little")


class NodeKey:
    def __init__(self, home):
        digest = hashlib.sha512(bytes.fromhex((home / "node.key").read_text().strip())).digest()
        self.scalar = int.from_bytes(digest[:32], "little") & ~7 & (1 << 254) - 1 | 1 << 254
        self.prefix = digest[32:]
        self.public = multiple(self.scalar)

    def sign(self, message):
        def number(*parts):
            return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % L
        r = number(self.prefix, message)
        point = multiple(r)
        return point + ((r + number(point, self.public, message) * self.scalar) % L).to_bytes(
            32, "little")


# --- a link from wire.md ---------------------------------------------------------------------------

HELLO_BYTES, AUTH_BYTES = 4 + 2 + 1 + 32 * 4, 64


def hello(c, key, target, nonce, role=1):
    return struct.pack(">IHB", 0x464c5850, 1, role) + c.chain + key + target + nonce


def proof(c, key, own_nonce, peer, peer_nonce):
    body = struct.pack(">B", 1) + c.chain + key.public + peer + own_nonce + peer_nonce
    return key.sign(ledger.blake("flex/handshake/1", body))


def tls(c, node, certificate=None, timeout=4):
    """A TLS stream to a node's port for links; `certificate`: a directory with node.pem and node.key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        context.load_cert_chain(certificate / "node.pem", certificate / "node.key")
    raw = socket.create_connection(("127.0.0.1", c.base + node.index), timeout=timeout)
    return context.wrap_socket(raw)


def read_exactly(stream, size):
    """None if the other side ends the link first."""
    data = b""
    try:
        while len(data) < size:
            part = stream.recv(size - len(data))
            if not part:
                return None
            data += part
    except (ssl.SSLError, ConnectionError, socket.timeout):
        return None
    return data


def link(c, node, key, certificate, auth=None, nonce=None):
    """(stream, AUTH that was sent), or (None, why)."""
    try:
        stream = tls(c, node, certificate)
        nonce = nonce or os.urandom(32)
        stream.sendall(hello(c, key.public, bytes.fromhex(c.keys[node.index]), nonce))
        theirs = read_exactly(stream, HELLO_BYTES)
        if theirs is None:
            return None, "no HELLO"
        auth = auth or proof(c, key, nonce, theirs[39:71], theirs[-32:])
        stream.sendall(auth)
        if read_exactly(stream, AUTH_BYTES) is None:
            return None, "no AUTH"
        return stream, auth
    except (ssl.SSLError, ConnectionError, socket.timeout) as error:
        return None, str(error)


def must_fail(what, outcome):
    if outcome[0] is not None:
        raise Failure(f"{what} got in")
    print(f"  {what}: {outcome[1]}")


def issue(c, key_hex, ca, out, expired=False):
    c._flexd("certificate", "--ca-certificate", ca / "ca.pem", "--ca-key", ca / "ca.key",
             "--node-key", key_hex, "--out", out)
    if not expired:
        return out
    config = out / "ca.cnf"
    (out / "index.txt").write_text("")
    (out / "serial").write_text("0123\n")
    config.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={out}/index.txt\nserial={out}/serial\n"
                      f"new_certs_dir={out}\ndefault_md=sha256\npolicy=p\ncopy_extensions=copy\n"
                      "[p]\ncommonName=supplied\norganizationName=optional\n")
    for command in (
            ["openssl", "x509", "-x509toreq", "-copy_extensions", "copyall", "-in", out / "node.pem",
             "-signkey", out / "node.key", "-out", out / "node.csr"],
            ["openssl", "ca", "-batch", "-config", config, "-cert", ca / "ca.pem", "-keyfile",
             ca / "ca.key", "-in", out / "node.csr", "-startdate", "20200101000000Z", "-enddate",
             "20200201000000Z", "-notext", "-out", out / "expired.pem"]):
        try:
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                                  check=False)
        except FileNotFoundError:
            raise NotHere("openssl is not installed") from None
        if done.returncode != 0:
            raise Failure(f"{command[:2]}: {done.stderr}")
    (out / "expired.pem").replace(out / "node.pem")
    return out


def bounds(c, node, before):
    """Descriptors and memory stay within what they were, by and large."""
    c.check_bounds()
    grown = node.anonymous_kb() - before
    if grown > 64 * 1024:
        raise Failure(f"{node.name} has grown by {grown} KiB")
    return grown


@scenario
def intruders(c):
    """9, 10: no certificate, another CA's, an expired one, a member's without its key, a proof said
    before, a handshake that never ends: none of them gets in; a member that does it right does."""
    c.start()
    member, node = c.nodes[0], c.nodes[1]
    key, ca = NodeKey(member.home), c.nodes[0].home / "tls"
    c._flexd("init", "--home", c.dir / "others", "--name", "others", "--role", "audit", "--new-ca",
             "others")
    if key.public.hex() != c.keys[0]:
        raise Failure("RFC 8032 and libsodium differ")
    wait_until(20, "the node has all its links", lambda: node.metric("peers_up") == 3)
    member.kill()

    def alone():
        """While the node still holds a link of the member's, it refuses a second, however well made."""
        wait_until(20, "the node has seen the link end", lambda: node.metric("peers_up") == 2)

    alone()
    good = member.home / "tls"
    stream, auth = link(c, node, key, good)
    if stream is None:
        raise Failure(f"a member that does it right is refused: {auth}")
    strangers = node.metric("strikes")
    stream.close()
    alone()
    must_fail("no certificate", link(c, node, key, None))
    must_fail("another CA's certificate", link(c, node, key, issue(
        c, c.keys[0], c.dir / "others/tls", c.dir / "other-ca")))
    must_fail("an expired certificate", link(c, node, key, issue(
        c, c.keys[0], ca, c.dir / "expired", expired=True)))
    other = NodeKey(c.nodes[2].home)
    other.scalar, other.prefix = key.scalar, key.prefix  # member 2's name without member 2's key
    must_fail("another member's identity", link(c, node, other, good))
    must_fail("a proof said before", link(c, node, key, good, auth=auth))
    nonce = os.urandom(32)
    first = link(c, node, key, good, nonce=nonce)
    if first[0] is None:
        raise Failure(f"the member is shut out for others' tries: {first[1]}")
    first[0].close()
    alone()
    must_fail("a proof and its nonce said before", link(c, node, key, good, auth=first[1],
                                                         nonce=nonce))
    slow = tls(c, node, good, timeout=20)
    begun = time.monotonic()
    try:  # a byte at a time, for as long as the node lets it
        for byte in hello(c, key.public, bytes.fromhex(c.keys[1]), nonce):
            slow.sendall(bytes([byte]))
            time.sleep(0.1)
        raise Failure("a handshake of a byte at a time went through")
    except (ssl.SSLError, ConnectionError):
        print(f"  a slow handshake: ended after {time.monotonic() - begun:.1f} s")
    if node.metric("strikes") != strangers:
        raise Failure("strangers have cost a member strikes")
    member.start()
    c.wait_ready()
    c.finish()


@scenario
def ten_thousand(c):
    """9: 10,000 connections from strangers, hundreds of them held open at any time, some in the midst of
    TLS: few are kept, memory and descriptors stay, links of members are made meanwhile."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < 2048:
        raise NotHere(f"{limit} descriptors are too few")
    c.start()
    node = c.nodes[1]
    before = node.anonymous_kb()
    held, refused = [], 0
    for i in range(10000):
        try:
            held.append(socket.create_connection(("127.0.0.1", c.base + node.index), timeout=2))
            if i % 3 == 0:  # the head of a ClientHello that announces more
                held[-1].send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        except OSError:
            refused += 1
        if len(held) > 800:
            held.pop(0).close()
        if i % 2500 == 1250:
            for other in range(4):
                c.network.reset(node.index, other)
                c.network.reset(other, node.index)
    grown = bounds(c, node, before)
    c.progress("with strangers at the door", seconds=40)
    c.wait_ready()
    for one in held:
        one.close()
    print(f"  10000 connections, {refused} not taken: {grown} KiB more")
    c.finish()


def frame(data):
    return struct.pack(">I", len(data)) + data


def up_again(c, node, key, certificate, seconds=20):
    """A struck member is let in again after its ban."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        stream, why = link(c, node, key, certificate)
        if stream is not None:
            return stream
        time.sleep(0.2)
    raise Failure(f"the member does not get in again: {why}")


def flood(stream, frames, seconds):
    """How many went out before the node closed the link, or the time was up."""
    sent, limit = 0, time.monotonic() + seconds
    stream.settimeout(1)
    try:
        while time.monotonic() < limit:
            stream.sendall(frames[sent % len(frames)])
            sent += 1
            if sent % 200 == 0:  # what the node says is read, so that it does not wait for us
                stream.setblocking(False)
                try:
                    while stream.recv(1 << 16):
                        pass
                except (ssl.SSLWantReadError, BlockingIOError):
                    pass
                stream.settimeout(1)
    except (ssl.SSLError, ConnectionError, socket.timeout):
        pass
    return sent


@scenario
def flooding_peer(c):
    """10, 11: one member sends a frame over the limit, then invalid, then valid transactions as fast as it
    can: each lie is a strike and a growing ban of its key, memory stays, and honest clients' transfers
    are final all the while."""
    c.start()
    member, node = c.nodes[0], c.nodes[1]
    key, certificate = NodeKey(member.home), member.home / "tls"
    member.kill()
    c.load_nodes = 4
    c.progress("without the member", nodes=c.nodes[1:])
    before = node.anonymous_kb()

    stream = up_again(c, node, key, certificate)
    stream.sendall(struct.pack(">I", 1 << 31) + bytes(64))
    if read_exactly(stream, 1 << 20) is not None:
        raise Failure("a frame over the limit is taken")
    wait_until(10, "the strike", lambda: node.log_lines("a frame over the limit -> strike"))
    must_fail("the member just struck", link(c, node, key, certificate))

    sealed = [ledger.envelope(c.chain, "agg", nonce, [ledger.transfer("dso", 1)])
              for nonce in range(1, 40)]
    good = [b"\x0c" + struct.pack(">I", len(envelope)) + envelope for envelope in sealed]
    bad = [frame(data[:-70] + bytes([data[-70] ^ 1]) + data[-69:]) for data in good]
    for _ in range(3):
        stream = up_again(c, node, key, certificate)
        sent = flood(stream, bad, 5)
        print(f"  {sent} invalid transactions before the link was closed")
        stream.close()
    strikes = [line for line in node.log_lines("-> strike")]
    if len(strikes) < 4 or "shut out for" not in strikes[-1]:
        raise Failure(f"strikes: {strikes}")

    height = node.height()
    acknowledged = c.acknowledged()
    stream = up_again(c, node, key, certificate, seconds=60)
    sent = flood(stream, [frame(data) for data in good], 10)
    stream.close()
    print(f"  {sent} valid transactions in 10 s: {node.height() - height} blocks, "
          f"{c.acknowledged() - acknowledged} transfers of others meanwhile, "
          f"{bounds_of_running(c, node, before)} KiB more")
    if node.height() - height < 3 or c.acknowledged() - acknowledged < 3:
        raise Failure("honest clients were shut out by the flood")
    pending = json.loads(node.request("/v1/status")[1])["pending_transactions"]
    if pending > 4096:
        raise Failure(f"{pending} transactions wait")
    member.start()
    c.wait_ready(seconds=90)
    c.finish(seconds=90)


@scenario
def gossip_once(c):
    """11: a transaction crosses each link once: who takes it sends it to each validator, those who hear of
    it send it nowhere, and the same one posted again is not sent again."""
    c.start(load=False)
    data = [ledger.envelope(c.chain, "bank", nonce, [ledger.mint("dso", 5, f"receipt {nonce}")])
            for nonce in range(1, 31)]
    before = [node.metric("transactions_received") for node in c.nodes]
    for _ in range(3):
        for one in data:
            status, answer = c.nodes[0].request("/v1/transactions", one)
            if status != 202 and b"tx_nonce_used" not in answer:
                raise Failure(f"{status} {answer}")
    for node in c.nodes:
        wait_until(20, "all of them committed", lambda node=node: (node.get(
            "/v1/accounts/dso") or {}).get("balance_ueur") == str(5 * len(data)))
    after = [node.metric("transactions_received") for node in c.nodes]
    heard = [b - a for a, b in zip(before, after)]
    if heard != [0] + [len(data)] * 3:
        raise Failure(f"{len(data)} transactions were heard of {heard} times")
    c.finish()


def bounds_of_running(c, node, before):
    grown = node.anonymous_kb() - before
    descriptors = len(os.listdir(f"/proc/{node.process.pid}/fd"))
    if grown > 96 * 1024 or descriptors > 256:
        raise Failure(f"{node.name}: {grown} KiB more, {descriptors} descriptors")
    return grown



