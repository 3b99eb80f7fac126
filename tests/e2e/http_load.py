#!/usr/bin/env python3
"""What an honest wallet has of a node beside 5,000 slow clients, 10,000 connections and floods of valid and
of invalid transactions from one peer (fault scenarios 68 and 71): its order is final within twice the time
that it takes on the quiet node, measured in the same run; memory, descriptors and disk stay bounded.

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

SLOW, OPEN = 5000, 10000
LIMIT_FDS, LIMIT_RSS_KB, LIMIT_DISK = 800, 400_000, 256 << 20
RATIO_MAX = 2.0


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


def main(build, rounds):
    share = raise_limits()
    with Cluster(build, "http load", preload=False) as cluster:
        cluster.start(load=False)
        cluster._mint()
        node = cluster.nodes[0]
        valid = [ledger.envelope(cluster.chain, CLIENTS[1], n, [ledger.transfer("dso", 1)])
                 for n in range(1, 201)]
        nonce, quiet, pressed, worst = 1, [], [], (0, 0, 0)
        counts = multiprocessing.Array("q", 2)
        for _ in range(rounds):
            for _ in range(8):
                quiet.append(final_after(cluster, node, CLIENTS[0], nonce))
                nonce += 1
            ending = multiprocessing.Event()
            attackers = [
                multiprocessing.Process(target=slow_clients, args=(
                    node.api_port, int(SLOW * share), int(OPEN * share), counts, ending),
                                        daemon=True),
                multiprocessing.Process(target=flood, args=(node.api_port, valid, counts, ending),
                                        daemon=True)]
            for one in attackers:
                one.start()
            wait_until(30, "the table of connections is full",
                       lambda: node.metric("http_ended") > 500)
            before = counts[1]
            for _ in range(8):
                pressed.append(final_after(cluster, node, CLIENTS[0], nonce))
                nonce += 1
                worst = max(worst, bounds(node, "under attack"))
            posted, ended = counts[1] - before, node.metric("http_ended")
            ending.set()
            for one in attackers:
                one.terminate()
                one.join()
            if posted == 0 or ended < 500:
                raise Failure(f"the attack did not take place: {posted} posted, {ended} ended")
        a, b = statistics.median(quiet), statistics.median(pressed)
        print(f"  {int(SLOW * share)} slow clients, {int((SLOW + OPEN) * share)} connections, "
              f"{node.metric('http_ended')} ended by the node, {counts[1]} transactions of the flood")
        print(f"  an order is final in {1000 * a:.0f} ms quiet, {1000 * b:.0f} ms beside them: "
              f"ratio {b / a:.2f}; {worst[0]} descriptors, {worst[1]} KiB, {worst[2]} bytes on disk")
        if b > RATIO_MAX * a:
            raise Failure(f"ratio {b / a:.2f} is over {RATIO_MAX}")
        cluster.progress("after the attack")
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
