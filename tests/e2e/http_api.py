#!/usr/bin/env python3
"""The HTTP API against bad requests, too many of them, web pages and stale certificates, on real nodes
(docs/spec/api.md, "Limits"; fault scenario 71).

Usage: http_api.py BUILD"""
import http.client
import json
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import time
import warnings

import ledger
from cluster import CLIENTS, Cluster, Failure, wait_until

HOST = b"Host: 127.0.0.1\r\n"
GET = b"GET /v1/status HTTP/1.1\r\n" + HOST
POST = b"POST /v1/transactions HTTP/1.1\r\n" + HOST
# What is sent, the status, and the error's code where the answer is ours ("" where it is
# libmicrohttpd's, before anything of ours is called; 0: the connection is closed).
ROWS = [
    ("plain", GET + b"\r\n", 200, None),
    ("HTTP/1.0", b"GET /v1/status HTTP/1.0\r\n\r\n", 200, None),
    ("% at the end", b"GET /v1/status% HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_target"),
    ("%4 at the end", b"GET /v1/status%4 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_target"),
    ("%zz", b"GET /v1/%zz HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_target"),
    ("%41 at the end", b"GET /v1/status%41 HTTP/1.1\r\n" + HOST + b"\r\n", 404, "not_found"),
    ("% at the end of a query", b"GET /v1/orders?limit=1% HTTP/1.1\r\n" + HOST + b"\r\n", 400,
     "bad_target"),
    ("an escaped NUL", b"GET /v1/status%00x HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_target"),
    ("a byte over ASCII", b"GET /v1/\xff HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_target"),
    ("absolute form", b"GET http://127.0.0.1/v1/status HTTP/1.1\r\n" + HOST + b"\r\n", 400,
     "bad_target"),
    ("2048 bytes", b"GET /" + b"a" * 2047 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 404, "not_found"),
    ("2049 bytes", b"GET /" + b"a" * 2048 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "uri_too_long"),
    ("20 kB", b"GET /" + b"a" * 20480 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "uri_too_long"),
    ("20 kB of query", b"GET /v1/orders?after=" + b"%41" * 6800 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
     414, "uri_too_long"),
    ("64 kB", b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, ""),
    ("64 kB of header", GET + b"X: " + b"y" * 65536 + b"\r\n\r\n", 431, ""),
    ("64 headers", GET + b"X: y\r\n" * 63 + b"\r\n", 200, None),
    ("65 headers", GET + b"X: y\r\n" * 64 + b"\r\n", 431, "too_many_headers"),
    ("no Host", b"GET /v1/status HTTP/1.1\r\n\r\n", 400, ""),
    ("two Hosts", GET + HOST + b"\r\n", 400, "duplicate_header"),
    ("a Host with a blank", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "bad_host"),
    ("a Host with a path", b"GET / HTTP/1.1\r\nHost: 127.0.0.1/v1\r\n\r\n", 400, "bad_host"),
    ("an open bracket", b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "bad_host"),
    ("IPv6 and a port", b"GET /health HTTP/1.1\r\nHost: [::1]:8400\r\n\r\n", 200, None),
    ("localhost", b"GET /health HTTP/1.1\r\nHost: LocalHost:1\r\n\r\n", 200, None),
    ("another's name", b"GET / HTTP/1.1\r\nHost: rebound.example\r\n\r\n", 421, "wrong_host"),
    ("two lengths", POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400,
     "duplicate_header"),
    ("length and chunks", POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
     b"0\r\n\r\n", 400, "bad_framing"),
    ("chunks in HTTP/1.0", b"POST /v1/transactions HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"
     b"0\r\n\r\n", 400, "bad_framing"),
    ("another coding", POST + b"Transfer-Encoding: gzip\r\n\r\nabc", 501, "bad_framing"),
    ("chunked twice", POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 501,
     "bad_framing"),
    ("a negative length", POST + b"Content-Length: -3\r\n\r\nabc", 400, ""),
    ("a length with zeros", POST + b"Content-Length: 003\r\n\r\nabc", 400, "bad_framing"),
    ("a length of 5 MB", POST + b"Content-Length: 5000000\r\n\r\n", 413, "body_too_large"),
    ("a length of 2^70", POST + b"Content-Length: 1180591620717411303424\r\n\r\n", 413, ""),
    ("a name and a blank", POST + b"Content-Length : 3\r\n\r\nabc", 400, "bad_header"),
    ("chunks", POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 400,
     "tx_malformed"),
    ("no chunk size", POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", 400, ""),
    ("a body over the limit", POST + b"Content-Length: 1500000\r\n\r\n" + bytes(1500000), 400,
     "tx_oversized"),
    ("a body for a GET", GET + b"Content-Length: 3\r\n\r\nabc", 400, "bad_request"),
    ("an unknown method", b"BREW /v1/status HTTP/1.1\r\n" + HOST + b"\r\n", 405,
     "method_not_allowed"),
    ("HTTP/2.0", b"GET /v1/status HTTP/2.0\r\n" + HOST + b"\r\n", 505, ""),
    ("no version", b"GET /v1/status\r\n\r\n", 400, ""),
    ("no request", b"\x16\x03\x01\x02\x00\r\n\r\n\r\n", 0, ""),
    ("continue", POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", 400,
     "tx_malformed"),
]


def raw(port, sent, source="127.0.0.1"):
    """(status, headers, body) of the one answer, interim ones skipped."""
    with socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0)) as s:
        s.settimeout(10)
        try:
            s.sendall(sent)
        except ConnectionError:
            pass  # refused before all was sent; the answer is there all the same
        answer = http.client.HTTPResponse(s)
        try:
            answer.begin()
        except (http.client.HTTPException, OSError) as error:
            return 0, {}, repr(error).encode()
        return answer.status, answer.headers, answer.read()


def request(node, path, source="127.0.0.1", method="GET", headers=None, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=10,
                                            source_address=(source, 0))
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def check(good, what):
    if not good:
        raise Failure(what)


def bad_requests(node):
    for what, sent, status, code in ROWS:
        got, headers, body = raw(node.api_port, sent)
        check(got == status, f"{what}: {got} {body[:200]}")
        if code is not None and code != "":
            check(headers["Content-Type"] == "application/json", f"{what}: {headers}")
            check(json.loads(body)["error"]["code"] == code, f"{what}: {body}")
    print(f"  {len(ROWS)} requests, each answered by its name")


def pipelined(node):
    """Answers come in the order of the questions, however many stand in the pipe."""
    count = 400
    sent = b"".join(b"GET /v1/blocks/%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % (10**6 + i)
                    if i % 2 else b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    for i in range(count))
    with socket.create_connection(("127.0.0.1", node.api_port), timeout=20) as s:
        s.sendall(sent)
        stream = s.makefile("rb")
        for i in range(count):
            status = int(stream.readline().split()[1])
            length = 0
            while (line := stream.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            stream.read(length)
            check(status == (404 if i % 2 else 200), f"answer {i} of a pipe: {status}")
    # One that is refused for its framing is the last that its connection serves.
    with socket.create_connection(("127.0.0.1", node.api_port), timeout=10) as s:
        s.sendall(POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET +
                  b"\r\n")
        everything = b""
        while part := s.recv(65536):
            everything += part
        check(everything.count(b"\r\nDate: ") == 1, f"smuggled: {everything}")
    print(f"  {count} requests in one pipe, answered in their order")


def endless_body(node):
    """A body that never ends costs no memory, and ends after 4 MiB."""
    with socket.create_connection(("127.0.0.1", node.api_port), timeout=10) as s:
        s.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
        sent = 0
        try:
            while sent < 512:
                s.sendall(chunk)
                sent += 1
        except OSError:
            pass
        check(sent < 512, "a body of 32 MiB was read to its end")


def is_closed(s):
    """The other side has ended a connection on which it had nothing to say."""
    s.setblocking(False)
    try:
        return s.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def crowded(node):
    """Beyond 448 connections a new one ends the oldest that has no whole request, and no other: those that
    are younger, and one whose answer is on its way, are served."""
    ended = node.metric("http_ended")
    with socket.create_connection(("127.0.0.1", node.api_port), timeout=20) as stream:
        stream.sendall(b"GET /v1/events HTTP/1.1\r\n" + HOST + b"\r\n")
        check(stream.recv(15) == b"HTTP/1.1 200 OK", "a stream before the crowd")
        half = []
        for _ in range(500):  # each is known to the node before the next one comes
            half.append(socket.create_connection(("127.0.0.1", node.api_port), timeout=20))
            half[-1].sendall(GET + b"\r\n")
            check(half[-1].recv(65536)[:15] == b"HTTP/1.1 200 OK", "a connection more is not served")
            half[-1].sendall(GET)
        wait_until(20, "a crowd ends some", lambda: node.metric("http_ended") - ended >= 500 - 448)
        gone = [i for i, s in enumerate(half) if is_closed(s)]
        check(len(gone) >= 50 and gone == list(range(len(gone))) and len(gone) < 100, f"ended: {gone}")
        for s in half[-5:]:
            s.setblocking(True)
            s.sendall(b"\r\n")
            check(s.recv(15) == b"HTTP/1.1 200 OK", "a younger one is not served")
        check(not is_closed(stream), "a stream was ended for a crowd")
        for s in half:
            s.close()
    print(f"  in a crowd the {len(gone)} oldest without a request ended")


def limited_by_address(limited, unlimited):
    """limited: 40 a second, 40 at once, on loopback, too."""
    kept = http.client.HTTPConnection("127.0.0.1", limited.api_port, timeout=10,
                                      source_address=("127.0.0.2", 0))
    answers = []
    for _ in range(120):
        kept.request("GET", "/health")
        answer = kept.getresponse()
        answers.append((answer.status, answer.headers, answer.read()))
    kept.close()
    good = [a for a in answers if a[0] == 200]
    refused = [a for a in answers if a[0] == 429]
    check(len(good) >= 40 and len(refused) > 0 and len(good) + len(refused) == 120,
          f"{len(good)} answers, {len(refused)} refusals")
    check(json.loads(refused[-1][2])["error"]["code"] == "rate_limited", str(refused[-1]))
    seconds = int(refused[-1][1]["Retry-After"])
    check(1 <= seconds <= 2, f"Retry-After {seconds}")
    check(request(limited, "/health", "127.0.0.3")[0] == 200, "another address has to wait, too")
    time.sleep(seconds)
    check(request(limited, "/health", "127.0.0.2")[0] == 200, "not served after Retry-After")
    check(all(request(unlimited, "/health", "127.0.0.2")[0] == 200 for _ in range(120)),
          "loopback is limited by default")
    # New connections have a bucket of twice that; beyond it they are closed unread.
    many = [socket.create_connection(("127.0.0.1", limited.api_port), timeout=10,
                                     source_address=("127.0.0.4", 0)) for _ in range(400)]
    wait_until(20, "one of 400 connections of one address is closed", lambda: any(map(is_closed, many)))
    for s in many:
        s.close()
    check(request(limited, "/health", "127.0.0.3")[0] == 200, "another address has to wait, too")
    check(limited.metric("http_limited") >= len(refused), "flexd_http_limited")
    print(f"  one address: {len(good)} served, {len(refused)} to come back; others are")


def limited_by_key(cluster, node):
    """node: one transaction a second of one key, three at once."""
    first = ledger.envelope(cluster.chain, CLIENTS[0], 1, [ledger.transfer("dso", 1)])
    sent = [first] + [ledger.envelope(cluster.chain, CLIENTS[0], n, [ledger.transfer("dso", 1)])
                      for n in range(2, 8)]
    others = ledger.envelope(cluster.chain, CLIENTS[1], 1, [ledger.transfer("dso", 1)])
    answers = [request(node, "/v1/transactions", method="POST", body=data) for data in sent]
    refused = [a for a in answers if a[0] == 429]
    check([a[0] for a in answers[:3]] == [202] * 3 and refused, str(answers))
    check(json.loads(refused[0][2])["error"]["code"] == "rate_limited" and
          int(refused[0][1]["Retry-After"]) >= 1, str(refused[0]))
    check(request(node, "/v1/transactions", method="POST", body=others)[0] == 202,
          "another key has to wait, too")
    identity = json.loads(answers[0][2])["id"]
    wait_until(20, "the first is final", lambda: (node.get(f"/v1/transactions/{identity}") or {})
               .get("status") == "ok")
    # What others play again takes nothing of its sender's.
    time.sleep(3)
    for _ in range(10):
        status, _, body = request(node, "/v1/transactions", method="POST", body=first)
        check(status == 422, f"a replay: {status} {body}")
    last = sent[-1] if answers[-1][0] == 429 else ledger.envelope(
        cluster.chain, CLIENTS[0], 8, [ledger.transfer("dso", 1)])
    status, _, body = request(node, "/v1/transactions", method="POST", body=last)
    check(status == 202, f"replays have emptied the bucket: {status} {body}")
    print("  one key: three taken, the rest to come back; replays cost its owner nothing")


def open_stream(node, source):
    """(status, body, the connection, which stays open if there is a stream)."""
    kept = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=10,
                                      source_address=(source, 0))
    kept.request("GET", "/v1/events")
    answer = kept.getresponse()
    return answer, answer.fp.readline() if answer.status == 200 else answer.read(), kept


def limited_streams(limited, unlimited):
    """limited: three event streams of one address, loopback's, too."""
    held = [open_stream(limited, "127.0.0.5") for _ in range(3)]
    check([one[0].status for one in held] == [200] * 3 and
          all(one[0].headers["Content-Type"] == "text/event-stream" for one in held), str(held))
    answer, body, _ = open_stream(limited, "127.0.0.5")
    check(answer.status == 429 and answer.headers["Retry-After"] == "15" and
          json.loads(body)["error"]["code"] == "too_many_streams", f"{answer.status} {body}")
    check(limited.metric("http_streams") == 3, f"flexd_http_streams: {limited.metric('http_streams')}")
    check(open_stream(limited, "127.0.0.6")[0].status == 200, "another address is shut out, too")
    held[0][2].close()
    # Its place is seen to be free when the node next speaks to it, which a block or a refusal makes it do.
    wait_until(20, "the place of a stream that ended",
               lambda: open_stream(limited, "127.0.0.5")[0].status == 200)
    many = [open_stream(unlimited, "127.0.0.5") for _ in range(64)]
    check(all(one[0].status == 200 for one in many), "loopback's streams are counted by default")
    answer, body, _ = open_stream(unlimited, "127.0.0.5")
    check(answer.status == 503 and json.loads(body)["error"]["code"] == "busy",
          f"{answer.status} {body}")
    for one in held + many:
        one[2].close()
    print("  event streams: three of one address, and others' beside them")


def web_pages(allowing, other):
    """allowing: of https://desk.example alone."""
    ask = {"Origin": "https://desk.example", "Access-Control-Request-Method": "GET",
           "Access-Control-Request-Headers": "authorization"}
    status, headers, body = request(allowing, "/v1/status", method="OPTIONS", headers=ask)
    check(status == 204 and body == b"" and
          headers["Access-Control-Allow-Origin"] == "https://desk.example" and
          "Authorization" in headers["Access-Control-Allow-Headers"] and
          headers["Vary"] == "Origin", f"{status} {headers}")
    status, headers, _ = request(allowing, "/v1/status",
                                 headers={"Origin": "https://desk.example"})
    check(status == 200 and headers["Access-Control-Allow-Origin"] == "https://desk.example" and
          "WWW-Authenticate" in headers["Access-Control-Expose-Headers"], str(headers))
    for node, origin in ((allowing, "https://other.example"), (allowing, "null"),
                         (allowing, "https://desk.example.evil"), (other, "https://desk.example")):
        status, headers, _ = request(node, "/v1/status", headers={"Origin": origin})
        check(status == 200 and headers["Access-Control-Allow-Origin"] is None, str(headers))
        status, headers, _ = request(node, "/v1/status", method="OPTIONS",
                                     headers=dict(ask, Origin=origin))
        check(status == 405 and headers["Access-Control-Allow-Methods"] is None, str(headers))
    check(request(allowing, "/health", headers={"Host": "api.example:1"})[0] == 200, "api.hosts")
    check(request(allowing, "/health", headers={"Host": "www.example"})[0] == 421, "api.hosts")
    print("  web pages: one origin may read, no other")


# --- TLS ------------------------------------------------------------------------------------------

def make_certificate(folder, name, serial):
    """A CA of its own kind for one name: certificate and key files."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "30", "-subj", f"/CN={name}", "-set_serial", str(serial), "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", folder / f"{name}.key", "-out",
         folder / f"{name}.pem"], capture_output=True, text=True, check=False)
    check(done.returncode == 0, done.stderr)
    return folder / f"{name}.pem", folder / f"{name}.key"


def trust(*files):
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    for file in files:
        context.load_verify_locations(file)
    return context


def shake_hands(node, oldest=None, newest=None):
    """(version, the certificate's bytes), or the error's text."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = oldest or ssl.TLSVersion.TLSv1
    context.maximum_version = newest or ssl.TLSVersion.TLSv1_3
    try:
        with socket.create_connection(("127.0.0.1", node.api_port), timeout=10) as plain, \
                context.wrap_socket(plain) as s:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            check(s.recv(65536).startswith(b"HTTP/1.1 200"), "no answer over TLS")
            return s.version(), s.getpeercert(True)
    except (ssl.SSLError, ConnectionError) as error:
        return None, str(error)


def versions(node, strict):
    """node: TLS 1.2 and 1.3; strict: 1.3 alone."""
    two, three = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    check(shake_hands(node, three)[0] == "TLSv1.3", "TLS 1.3")
    check(shake_hands(node, two, two)[0] == "TLSv1.2", "TLS 1.2")
    warnings.simplefilter("ignore", DeprecationWarning)
    check(shake_hands(node, None, ssl.TLSVersion.TLSv1_1)[0] is None, "TLS 1.1 was spoken")
    check(shake_hands(strict, three)[0] == "TLSv1.3", "TLS 1.3 alone")
    check(shake_hands(strict, two, two)[0] is None, "TLS 1.2 was spoken, against tls_min")
    with socket.create_connection(("127.0.0.1", node.api_port), timeout=10) as s:
        s.sendall(GET + b"\r\n")
        check(not s.recv(65536).startswith(b"HTTP"), "plain HTTP where TLS is spoken")


def wallet(cluster, node, *options):
    return subprocess.run([cluster.bin / "flex", "--node", f"https://127.0.0.1:{node.api_port}",
                           "--timeout", "10s", *options, "node", "status", "--json"],
                          capture_output=True, text=True, check=False,
                          env={"HOME": str(cluster.dir), "PATH": "/usr/bin:/bin"})


def wallets(cluster, node, ca, other):
    done = wallet(cluster, node, "--ca", ca)
    check(done.returncode == 0, f"--ca: {done.stderr}{done.stdout}")
    for options, code, said in (([], 3, "ertificate"), (["--ca", other], 3, "ertificate"),
                                (["--ca", cluster.dir / "none.pem"], 2, "bad_ca")):
        done = wallet(cluster, node, *options)
        check(done.returncode == code and said in done.stdout + done.stderr,
              f"{options}: {done.returncode} {done.stderr}{done.stdout}")


def reload(cluster, node, first, second):
    """A stream that began under one certificate goes on while the next one is served."""
    live = node.home / "tls" / "api.pem", node.home / "tls" / "api.key"
    context = trust(first[0])
    with socket.create_connection(("127.0.0.1", node.api_port), timeout=30) as plain, \
            context.wrap_socket(plain, server_hostname="127.0.0.1") as s:
        s.sendall(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        stream = s.makefile("rb")
        check(stream.readline().startswith(b"HTTP/1.1 200"), "a stream over TLS")
        before = shake_hands(node)[1]
        live[0].write_bytes(first[0].read_bytes()[:200])  # half a file
        node.signal(signal.SIGHUP)
        wait_until(10, "a refused certificate", lambda: node.log_lines("the certificate stays"))
        check(shake_hands(node)[1] == before, "half a certificate replaced a whole one")
        live[0].write_bytes(second[0].read_bytes())  # not this key's
        node.signal(signal.SIGHUP)
        wait_until(10, "a pair that is none",
                   lambda: len(node.log_lines("the certificate stays")) == 2)
        check(shake_hands(node)[1] == before, "a certificate without its key was taken")
        live[1].write_bytes(second[1].read_bytes())
        node.signal(signal.SIGHUP)
        wait_until(10, "the new certificate", lambda: shake_hands(node)[1] != before)
        node.tls = trust(first[0], second[0])
        seen = 0
        while seen < 3:
            line = stream.readline()
            check(line != b"", "the stream ended with its certificate")
            seen += b"data:" in line
    print("  TLS: versions, wallets, and a new certificate under a stream that goes on")


def wrong_pair(cluster, node, first, second):
    """A node whose certificate and key don't belong together doesn't start."""
    node.terminate()
    (node.home / "tls/api.key").write_bytes(first[1].read_bytes())
    code, said = node.try_start()
    check(code == 1 and "api.certificate" in said, f"{code}: {said}")
    (node.home / "tls/api.key").write_bytes(second[1].read_bytes())
    node.start()
    cluster.wait_ready([node])


def configure(node, **api):
    path = node.home / "flexd.json"
    config = json.loads(path.read_text())
    config["api"] = api
    path.write_text(json.dumps(config))


def main(build):
    with Cluster(build, "http", preload=False) as cluster:
        secure, limited, web, plain = cluster.nodes
        first = make_certificate(cluster.dir / "pki", "first", 1)
        second = make_certificate(cluster.dir / "pki", "second", 2)
        for node in (secure, web):
            (node.home / "tls/api.pem").write_bytes(first[0].read_bytes())
            (node.home / "tls/api.key").write_bytes(first[1].read_bytes())
        configure(secure, certificate="tls/api.pem", key="tls/api.key")
        configure(limited, limit_loopback=True, address_rate=40, address_burst=40, key_rate=1,
                  key_burst=3, streams=3)
        configure(web, origins=["https://desk.example"], hosts=["api.example"])
        secure.tls = trust(first[0])
        cluster.start(load=False)
        cluster._mint()
        bad_requests(plain)
        pipelined(plain)
        endless_body(plain)
        crowded(plain)
        limited_by_address(limited, plain)
        time.sleep(1.1)
        limited_by_key(cluster, limited)
        limited_streams(limited, plain)
        web_pages(web, plain)
        web.terminate()
        configure(web, certificate="tls/api.pem", key="tls/api.key", tls_min="1.3")
        web.tls = trust(first[0])
        web.start()
        cluster.wait_ready([web])
        versions(secure, web)
        wallets(cluster, secure, first[0], second[0])
        reload(cluster, secure, first, second)
        wrong_pair(cluster, secure, first, second)
        cluster.no_one_died()
        for node in cluster.nodes:
            node.terminate()
        cluster._check_logs()
    print("http: requests, limits, web pages and TLS hold")


if __name__ == "__main__":
    try:
        main(pathlib.Path(sys.argv[1]))
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")
