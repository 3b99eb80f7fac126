#!/usr/bin/env python3
"""Four real nodes under valgrind, all of them: they vote, take transfers by turns, answer every kind of read,
one of them stops and comes back under the same journal and database, and all stop without an error of
memcheck and without a definite leak.

Usage: valgrind.py BUILD"""
import json
import os
import pathlib
import sys

import ledger
from cluster import CLIENTS, Cluster, Failure, wait_until

FOUND = 99
READS = ["/health", "/ready", "/metrics", "/openapi.json", "/v1/status", "/v1/participants",
         "/v1/accounts/dso", "/v1/orders", "/v1/blocks/1", "/v1/movements", "/v1/genesis",
         "/v1/proofs/participant/dso", "/v1/proofs/block/1", "/v1/export?from=1&count=2", "/v1/none",
         "/v1/status%4"]


def under_valgrind(node):
    path = node.home / "flexd.json"
    config = json.loads(path.read_text())
    config["map_bytes"] = str(256 << 20)  # valgrind has no address space for the usual map
    path.write_text(json.dumps(config))
    node.wrapper = ["valgrind", "--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite",
                    "--show-leak-kinds=definite", f"--error-exitcode={FOUND}"]


def stop(node):
    node.expected_down = True
    node.process.terminate()
    code = node.exit_code(180)
    if code != 0:
        print(node.log_path.read_text(errors="replace")[-6000:])
        raise Failure(f"{node.name} under valgrind ended with {code}")


def transfers(cluster, first, count):
    """Each through another node, and final at that node."""
    for nonce in range(first, first + count):
        node = cluster.nodes[nonce % len(cluster.nodes)]
        data = ledger.envelope(cluster.chain, CLIENTS[0], nonce, [ledger.transfer("dso", 1)])
        status, answer = 0, b""

        def posted():
            nonlocal status, answer
            status, answer = node.request("/v1/transactions", data, timeout=30)
            return status == 202
        wait_until(60, f"transfer {nonce} taken", posted)
        found = "/v1/transactions/" + json.loads(answer)["id"]
        wait_until(120, f"transfer {nonce} final",
                   lambda: (node.get(found) or {}).get("status") == "ok")


def main(build):
    with Cluster(build, "valgrind", preload=False) as cluster:
        for node in cluster.nodes:
            under_valgrind(node)
            node.start()
        cluster.wait_ready(seconds=240)
        for node in cluster.nodes:
            if "memcheck" not in os.readlink(f"/proc/{node.process.pid}/exe"):
                raise Failure(f"{node.name} does not run under valgrind")
        cluster.chain = bytes.fromhex(cluster.nodes[1].status()["genesis"])
        cluster._mint()
        transfers(cluster, 1, 4)
        for node in cluster.nodes:
            for read in READS:
                if node.request(read, timeout=60)[0] == 0:
                    raise Failure(f"{node.name}: {read}: no answer")
        back = cluster.nodes[2]
        stop(back)
        back.start()
        cluster.wait_ready([back], seconds=240)
        transfers(cluster, 5, 4)
        for node in cluster.nodes:
            stop(node)
        cluster.no_one_died()
    print("valgrind: four nodes, no error, no leak")


if __name__ == "__main__":
    try:
        main(pathlib.Path(sys.argv[1]))
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")
