#!/usr/bin/env python3
"""What an honest wallet has of a node beside 5,000 slow clients, 10,000 connections and floods of valid and
of invalid transactions from one peer (fault scenarios 68 and 71): its order is final within twice the time
that it takes on the quiet node, measured in the same run; memory, descriptors and disk stay bounded. Then
the same beside a flood over the link of one member that has turned hostile, quiet and flooded by turns: its
own node is down for both, so what a silent leader costs is in both.

Usage: http_load.py BUILD [--rounds N]"""
import argparse
import json
import multiprocessing
import os
import pathlib
import resource
import select
import socket
import statistics
import sys
import time

import ledger
from cluster import CLIENTS, Cluster, Failure, wait_until
from nemesis_peers import NodeKey, flood as flood_link, frame, link

SLOW, OPEN = 5000, 10000
LIMIT_FDS, LIMIT_RSS_KB, LIMIT_DISK = 800, 400_000, 256 << 20
RATIO_MAX, ORDERS = 2.0, 8
TRANSACTIONS = b"\x0c"  # a frame's type; bundles of one here (docs/spec/wire.md)


def raise_limits():
    """Descriptors for all connections at once; where the machine gives fewer, it is said, and scaled."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SLOW + OPEN + 512
    if hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (ValueError, PermissionError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            share = (hard - 512) / (SLOW + OPEN)
            print(f"  SCALED DOWN to {share:.0%}: ulimit -Hn is {hard}, {wanted} are wanted")
            return share
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    return 1.0


def dial(port):
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex(("127.0.0.1", port))
    return one


def slow_clients(port, slow, idle, counts, ending):
    """slow: a byte of a request now and then, and again as soon as it is ended; idle: nothing at all."""
    os.nice(15)
    request = b"POST /v1/transactions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\n"
    pool = [(dial(port), i < slow) for i in range(slow + idle)]
    at = 0
    while not ending.is_set():
        for _ in range(100):
            at = (at + 1) % len(pool)
            one, dribbles = pool[at]
            try:
                if dribbles:
                    one.send(request[at % len(request):][:1] or b"x")
                if one.recv(256) == b"":
                    raise ConnectionError
            except BlockingIOError:
                continue
            except OSError:
                one.close()
                pool[at] = (dial(port), dribbles)
                counts[0] += 1
        time.sleep(0.05)
    for one, _ in pool:
        one.close()


def flood(port, valid, counts, ending):
    """One peer that posts as fast as it is answered: its own good transactions over and over, and others
    with a bad signature, cut short, or of random bytes."""
    os.nice(15)
    turn = 0
    while not ending.is_set():
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
                while not ending.is_set():
                    turn += 1
                    good = valid[turn % len(valid)]
                    spoilt = bytearray(good)
                    spoilt[-30] ^= 1 + turn % 255
                    body = (good, bytes(spoilt), good[:turn % len(good)], os.urandom(600))[turn % 4]
                    s.sendall(b"POST /v1/transactions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                              b"Content-Length: %d\r\n\r\n" % len(body) + body)
                    if not s.recv(65536):
                        break
                    counts[1] += 1
                    time.sleep(0.002)
        except OSError:
            time.sleep(0.05)


def flood_of_member(cluster, member, node, frames, counts, ending):
    """A member's link, full of its frames; after a strike it comes back as soon as it is let in."""
    os.nice(15)
    key, certificate = NodeKey(member.home), member.home / "tls"
    while not ending.is_set():
        stream, _ = link(cluster, node, key, certificate)
        if stream is None:
            time.sleep(0.1)
            continue
        while not ending.is_set():
            sent = flood_link(stream, frames, 0.5)
            counts[2] += sent
            if sent == 0:
                break
        stream.close()


def final_after(cluster, node, client, nonce):
    """Seconds from posting a transfer until the node has its receipt."""
    data = ledger.envelope(cluster.chain, client, nonce, [ledger.transfer("dso", 1)])
    begun = time.monotonic()
    status, answer = node.request("/v1/transactions", data, timeout=10)
    if status != 202:
        raise Failure(f"an honest order: {status} {answer}")
    path = "/v1/transactions/" + json.loads(answer)["id"]
    while True:
        status, answer = node.request(path, timeout=10)
        if status == 200 and json.loads(answer)["status"] == "ok":
            return time.monotonic() - begun
        if time.monotonic() - begun > 30:
            raise Failure(f"an honest order is not final after 30 s: {status} {answer}")
        time.sleep(0.01)


def bounds(node, what):
    pid = node.process.pid
    fds = len(os.listdir(f"/proc/{pid}/fd"))
    disk = sum(file.stat().st_size for file in node.home.rglob("*") if file.is_file())
    rss = node.anonymous_kb()
    if fds > LIMIT_FDS or rss > LIMIT_RSS_KB or disk > LIMIT_DISK:
        raise Failure(f"{what}: {fds} descriptors, {rss} KiB, {disk} bytes on disk")
    return fds, rss, disk


def under(cluster, node, attacks, rounds, first_nonce, counts):
    """Orders by turns on the quiet node and beside the attacks: seconds of each, the worst bounds, how many
    the attackers sent while orders were under way."""
    quiet, pressed, worst, sent, nonce = [], [], (0, 0, 0), [0] * len(counts), first_nonce
    for _ in range(rounds):
        for _ in range(ORDERS):
            quiet.append(final_after(cluster, node, CLIENTS[0], nonce))
            nonce += 1
        ended = node.metric("http_ended")
        ending = multiprocessing.Event()
        attackers = [multiprocessing.Process(target=attack, args=(*arguments, counts, ending),
                                             daemon=True) for attack, *arguments in attacks]
        for one in attackers:
            one.start()
        wait_until(30, "the table of connections is full",
                   lambda: node.metric("http_ended") > ended + 500)
        before = list(counts)
        for _ in range(ORDERS):
            pressed.append(final_after(cluster, node, CLIENTS[0], nonce))
            nonce += 1
            worst = max(worst, bounds(node, "under attack"))
        sent = [a + now - then for a, now, then in zip(sent, counts, before)]
        ending.set()
        for one in attackers:
            one.terminate()
            one.join()
    return quiet, pressed, worst, sent, nonce


def judge(what, quiet, pressed, worst):
    a, b = statistics.median(quiet), statistics.median(pressed)
    print(f"  {what}: an order is final in {1000 * a:.0f} ms quiet, {1000 * b:.0f} ms beside them: "
          f"ratio {b / a:.2f}; {worst[0]} descriptors, {worst[1]} KiB, {worst[2]} bytes on disk")
    if b > RATIO_MAX * a:
        raise Failure(f"{what}: ratio {b / a:.2f} is over {RATIO_MAX}")


def main(build, rounds):
    share = raise_limits()
    with Cluster(build, "http load", preload=False) as cluster:
        cluster.start(load=False)
        cluster._mint()
        node, member = cluster.nodes[0], cluster.nodes[3]
        valid = [ledger.envelope(cluster.chain, CLIENTS[1], n, [ledger.transfer("dso", 1)])
                 for n in range(1, 201)]
        counts = multiprocessing.Array("q", 3)
        slow = (slow_clients, node.api_port, int(SLOW * share), int(OPEN * share))
        quiet, pressed, worst, sent, nonce = under(
            cluster, node, [slow, (flood, node.api_port, valid)], rounds, 1, counts)
        if sent[1] == 0:
            raise Failure("the flood over HTTP did not take place")
        print(f"  {int(SLOW * share)} slow clients, {int((SLOW + OPEN) * share)} connections, "
              f"{node.metric('http_ended')} ended by the node, {sent[1]} transactions of the flood")
        judge("slow clients and a flood over HTTP", quiet, pressed, worst)
        cluster.progress("after the attack")

        member.kill()
        good = [frame(TRANSACTIONS + frame(ledger.envelope(cluster.chain, CLIENTS[2], n,
                                                           [ledger.transfer("dso", 1)])))
                for n in range(1, 401)]
        spoilt = bytearray(good[-1])
        spoilt[-70] ^= 1
        quiet, pressed, worst, sent, _ = under(
            cluster, node, [slow, (flood_of_member, cluster, member, node, good + [bytes(spoilt)])],
            rounds, nonce, counts)
        if sent[2] < 100 or not node.log_lines("-> strike"):
            raise Failure(f"the member's flood did not take place: {sent[2]} frames")
        print(f"  {sent[2]} transactions over the member's link, "
              f"{len(node.log_lines('-> strike'))} strikes")
        judge("slow clients and a member's flood", quiet, pressed, worst)
        member.start()
        cluster.wait_ready(seconds=90)
        cluster.progress("after the member's attack")
        cluster.no_one_died()
        for other in cluster.nodes:
            other.terminate()
        cluster._check_logs()
    print("http load: honest orders hold")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    try:
        main(options.build, options.rounds)
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")
