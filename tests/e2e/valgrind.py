#!/usr/bin/env python3
"""One of four real nodes under valgrind: it votes, takes transfers, answers every kind of read, streams, and
stops, without an error of memcheck and without a definite leak.

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


def main(build):
    with Cluster(build, "valgrind", preload=False) as cluster:
        node = cluster.nodes[0]
        path = node.home / "flexd.json"
        config = json.loads(path.read_text())
        config["map_bytes"] = str(256 << 20)  # valgrind has no address space for the usual map
        path.write_text(json.dumps(config))
        node.wrapper = ["valgrind", "--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite",
                        "--show-leak-kinds=definite", f"--error-exitcode={FOUND}"]
        for one in cluster.nodes:
            one.start()
        cluster.wait_ready(seconds=90)
        if "memcheck" not in os.readlink(f"/proc/{node.process.pid}/exe"):
            raise Failure("the node does not run under valgrind")
        cluster.chain = bytes.fromhex(cluster.nodes[1].status()["genesis"])
        cluster._mint()
        for nonce in range(1, 6):
            data = ledger.envelope(cluster.chain, CLIENTS[0], nonce, [ledger.transfer("dso", 1)])
            status, answer = node.request("/v1/transactions", data, timeout=30)
            if status != 202:
                raise Failure(f"a transfer: {status} {answer}")
            found = "/v1/transactions/" + json.loads(answer)["id"]
            wait_until(60, "a final transfer",
                       lambda found=found: (node.get(found) or {}).get("status") == "ok")
        for read in READS:
            if node.request(read, timeout=30)[0] == 0:
                raise Failure(f"{read}: no answer")
        node.expected_down = True
        node.process.terminate()
        code = node.exit_code(90)
        if code != 0:
            print(node.log_path.read_text(errors="replace")[-6000:])
            raise Failure(f"flexd under valgrind ended with {code}")
        cluster.no_one_died()
    print("valgrind: no error, no leak")


if __name__ == "__main__":
    try:
        main(pathlib.Path(sys.argv[1]))
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")
