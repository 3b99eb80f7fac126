#!/usr/bin/env python3
"""Joining by snapshot, and pruning, with real processes and a real load (docs/spec/snapshot.md;
fault scenarios 36, 49, 60, 63).

Four validators make snapshots while clients send transfers. One of them is replaced by a liar, which
offers the others' snapshots and one that nobody has, and hands out parts with a flipped bit or none.
A fifth node starts from an empty home with "sync": "snapshot", is killed in the middle, twice, goes
on, and ends with the state root of the others. Then the validators prune, while a node is fetching;
what is gone is answered with the first height that is there.

Usage: snapshot.py BUILD [--seed N] [--keep]
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

import ledger
from cluster import Cluster, Failure, Node, wait_until

BULK_TRANSACTIONS, BULK_MINTS = 90, 128
EVERY = 40  # blocks between two snapshots


def configure(home, **values):
    path = home / "flexd.json"
    config = json.loads(path.read_text())
    config.update(values)
    path.write_text(json.dumps(config))


def grow_state(c):
    """Enough records for a dozen chunks: receipts of mints, which nobody ever removes."""
    first = len(c.clients) + 1
    for i in range(BULK_TRANSACTIONS):
        nonce = first + i
        data = ledger.envelope(c.chain, "bank", nonce, [
            ledger.mint("agg", 1, f"bulk {i} {j}") for j in range(BULK_MINTS)])
        wait_until(20, f"bulk transaction {i}", lambda data=data: c.nodes[0].request(
            "/v1/transactions", data)[0] in (202, 422))
    wait_until(60, "the bulk is in the state", lambda: (c.nodes[0].get(
        "/v1/accounts/agg") or {}).get("balance_ueur") == str(BULK_TRANSACTIONS * BULK_MINTS))


def add_node(c, name, **config):
    """A node that is in no set; everybody lists it as a peer, so the others start again."""
    home = c.dir / name
    p2p, api = c.spare_ports.pop(), c.spare_ports.pop()
    made = json.loads(c._flexd(
        "init", "--home", home, "--name", name, "--role", "validator", "--listen-p2p",
        f"127.0.0.1:{p2p}", "--listen-api", f"127.0.0.1:{api}", "--json", "--ca-certificate",
        c.dir / "n0/tls/ca.pem", "--ca-key", c.dir / "n0/tls/ca.key"))
    peers = []
    for i in range(c.count):
        peers += ["--peer", f"{c.keys[i]}@127.0.0.1:{c.base + i}"]
        c._flexd("join", "--home", c.dir / f"n{i}", "--peer", f"{made['key']}@127.0.0.1:{p2p}")
    c._flexd("join", "--home", home, "--genesis", c.genesis_file, *peers)
    configure(home, **config)
    node = Node(c, c.count + len(c.extra), home, api)
    c.extra.append(node)
    return node


def snapshots(node):
    return [int(item["height"]) for item in (node.get("/v1/snapshots") or {"items": []})["items"]]


def parts_on_disk(node):
    return len(list((node.home / "snapshots" / "incoming").glob("chunk-*")))


def is_loaded(node):
    return node.log_lines(r"sync: state of block \d+ loaded")


def joins_beside_a_liar(c, node):
    liar = c.nodes[3]
    liar.kill()
    c.load_nodes = 3  # nobody answers at the liar's API
    peer = subprocess.Popen([c.helpers / "hostile", liar.home, "45", str(c.seed), "liar"],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        c.progress("beside a liar", nodes=c.nodes[:3], seconds=40)
        kills = 0
        for wanted in (2, 6):
            node.start()
            wait_until(60, f"{wanted} chunks on disk", lambda wanted=wanted: parts_on_disk(node) >=
                       wanted or is_loaded(node))
            if not is_loaded(node):
                node.kill()
                kills += 1
        node.start()
        wait_until(90, "the state is loaded", lambda: is_loaded(node))
        wait_until(60, "the newcomer is ready", lambda: node.request("/ready")[0] == 200)
        c.load_goes_on("while a node joins", seconds=40)
        goal = c.height()
        wait_until(40, f"the newcomer at height {goal}", lambda: node.height() >= goal)
        peer.terminate()
    finally:
        peer.kill()
        peer.wait()
    resumed = node.log_lines(r"sync: [1-9]\d* of \d+ chunks of block \d+ are here already")
    lies = node.log_lines(r"sync: peer [0-9a-f]+: .* -> asked for nothing more")
    slow = node.log_lines(r"sync: peer [0-9a-f]+ did not deliver in time")
    print(f"  killed {kills} times, resumed {len(resumed)} times, lies {len(lies)}, slow {len(slow)}")
    if kills == 0 or len(resumed) < kills:
        raise Failure(f"killed {kills} times while fetching, resumed {len(resumed)} times")
    liar_key = c.keys[3][:12]
    if not any(liar_key in line for line in lies + slow):
        raise Failure("the liar was never caught")
    for line in lies:
        if liar_key not in line:
            raise Failure(f"an honest peer is called a liar: {line}")
    liar.start()
    c.load_nodes = 4


def same_roots(nodes):
    def same():
        states = [node.status() for node in nodes]
        if len({state.get("height") for state in states}) != 1:
            return False
        if len({state.get("state_root") for state in states}) != 1:
            raise Failure("state roots differ: " + str(states))
        return states[0].get("state_root")
    return wait_until(40, "all at one height", same)


def operators_tools(c, node):
    """flex snapshot list, fetch, verify, create; and one flipped byte."""
    url = f"http://127.0.0.1:{c.nodes[0].api_port}"
    listed = json.loads(c._flex("--node", url, "--json", "snapshot", "list"))["items"]
    if not listed:
        raise Failure("flex snapshot list shows none")
    out = c.dir / "fetched"
    c._flex("--node", url, "snapshot", "fetch", "--dir", out, "--genesis", c.genesis_file)
    verified = json.loads(c._flex("snapshot", "verify", "--dir", out, "--genesis", c.genesis_file,
                                  "--json"))
    if not verified["ok"] or int(verified["entries"]) < BULK_TRANSACTIONS * BULK_MINTS:
        raise Failure(f"flex snapshot verify: {verified}")
    chunk = out / "chunk-00001"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 3] ^= 1
    chunk.write_bytes(data)
    spoilt = subprocess.run([c.bin / "flex", "snapshot", "verify", "--dir", out, "--genesis",
                             c.genesis_file], capture_output=True, text=True, check=False)
    if spoilt.returncode != 4 or "chunk-00001" not in spoilt.stderr:
        raise Failure(f"a flipped byte: exit {spoilt.returncode}: {spoilt.stderr}")
    before = snapshots(node)
    made = json.loads(c._flex("snapshot", "create", "--dir", node.home, "--json"))
    if int(made["height"]) in before or int(made["height"]) not in snapshots(node):
        raise Failure(f"flex snapshot create made {made}, {before} -> {snapshots(node)}")


def pruned_answers(c, node):
    """The newcomer has no block below its snapshot: it says so, and what is recent is proven."""
    first = int(node.status()["first_block"])
    status, text = node.request("/v1/blocks/1")
    if status != 410 or f"from {first} on" not in text.decode():
        raise Failure(f"block 1 of a joined node: {status} {text}")
    done = subprocess.run([c.bin / "flex", "--node", f"http://127.0.0.1:{node.api_port}", "audit",
                           "export", "--dir", c.dir / "no-export"], capture_output=True, text=True,
                          check=False)
    if done.returncode != 1 or f"from {first} on" not in done.stderr or "audit node" not in done.stderr:
        raise Failure(f"audit export of a joined node: {done.returncode} {done.stderr}")
    proof = c.dir / "balance.proof"
    c._flex("--node", f"http://127.0.0.1:{node.api_port}", "proof", "get", "pot", "balance/agg",
            "--out", proof, "--genesis", c.genesis_file)
    c._flex("proof", "verify", proof, "--genesis", c.genesis_file)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    with Cluster(options.build, options.seed, preload=False, keep=options.keep) as c:
        c.spare_ports = [c.base + 2 * c.count + i * c.count + i for i in range(c.count)]
        for i in range(c.count):
            configure(c.dir / f"n{i}", snapshot_blocks=str(EVERY))
        newcomer = add_node(c, "joiner", sync="snapshot", snapshot_blocks=str(EVERY))
        try:
            c.start()
            grow_state(c)
            settled = c.height()
            wait_until(60, "two snapshots of the grown state", lambda: all(
                len([h for h in snapshots(node) if h > settled]) >= 2 for node in c.nodes))
            print(f"  snapshots at {snapshots(c.nodes[0])}, height {c.height()}")
            c.load_goes_on("beside snapshots")
            joins_beside_a_liar(c, newcomer)
            wait_until(40, "the fourth validator follows again",
                       lambda: c.nodes[3].height() >= c.nodes[0].height() - 2)
            for client in c.clients:
                client.ending.set()
            for client in c.clients:
                client.join(60)
                if client.is_alive() or client.stuck:
                    raise Failure(client.stuck or "a client hangs")
            root = same_roots(c.nodes + [newcomer])
            operators_tools(c, newcomer)
            pruned_answers(c, newcomer)
            c.allowed_broken.append(" n3 .*alarm: .*voting has stopped")
            c._check_logs()
            for node in c.nodes + [newcomer]:
                node.terminate()
            print(f"snapshot: joined under load beside a liar, root {root[:16]} on all")
        except BaseException:
            print("directory:", c.dir)
            for node in c.nodes + c.extra:
                if node.log_path.exists():
                    print(f"--- {node.name}")
                    print("\n".join(node.log_path.read_text(errors="replace").splitlines()[-25:]))
            raise


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")
