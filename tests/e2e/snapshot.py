#!/usr/bin/env python3
"""Joining by snapshot, and pruning, with real processes and a real load (docs/spec/snapshot.md;
fault scenarios 36, 49, 60, 63).

Four validators make snapshots while clients send transfers. One of them is replaced by a liar, which
offers the others' snapshots and one that nobody has, and hands out parts with a flipped bit or none.
A fifth node starts from an empty home with "sync": "snapshot", is killed in the middle, twice, goes
on, and ends with the state root of the others. Then the validators prune, while a node is fetching;
what is gone is answered with the first height that is there. What is above is proven in the history log.

Usage: snapshot.py BUILD [--part join|prune|all] [--seed N] [--keep]
"""
import argparse
import json
import os
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
    try:
        names = os.listdir(node.home / "snapshots" / "incoming")
    except FileNotFoundError:  # not begun, or just published
        return 0
    return len([name for name in names if name.startswith("chunk-")])


def is_loaded(node):
    return node.log_lines(r"sync: state of block \d+ loaded")


def caught(node):
    return node.log_lines(r"sync: peer [0-9a-f]+: .* -> asked for nothing more|"
                          r"sync: peer [0-9a-f]+ did not deliver in time")


def kill_in_the_middle(node, wanted):
    """Kills it as soon as so many chunks are on disk; 0 if it was faster than this loop."""
    limit = time.monotonic() + 60
    while parts_on_disk(node) < wanted and not is_loaded(node):
        if time.monotonic() > limit:
            raise Failure(f"{wanted} chunks on disk: not within 60 s")
        time.sleep(0.001)
    if is_loaded(node):
        return 0
    node.kill()
    return 1


def meets_the_liar_first(c, node):
    """So that it is met at all: with nobody else to ask, the newcomer finds the liar out and waits."""
    peers = json.loads((node.home / "flexd.json").read_text())["peers"]
    configure(node.home, peers=[peer for peer in peers if peer["key"] == c.keys[3]])
    node.start()
    wait_until(60, "the liar is found out", lambda: caught(node))
    if is_loaded(node):
        raise Failure("a state came from the liar alone")
    node.kill()
    configure(node.home, peers=peers)


def joins_beside_a_liar(c, node):
    liar = c.nodes[3]
    liar.kill()
    c.load_nodes = 3  # nobody answers at the liar's API
    peer = subprocess.Popen([c.helpers / "hostile", liar.home, "90", str(c.seed), "liar"],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        c.progress("beside a liar", nodes=c.nodes[:3], seconds=40)
        meets_the_liar_first(c, node)
        kills = 0
        for wanted in (2, 6):
            if not node.is_up():
                node.start()
            kills += kill_in_the_middle(node, wanted)
        if not node.is_up():
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
    lies = caught(node)
    print(f"  killed {kills} times, resumed {len(resumed)} times, liar caught {len(lies)} times")
    if kills == 0 or len(resumed) < kills:
        raise Failure(f"killed {kills} times while fetching, resumed {len(resumed)} times")
    liar_key = c.keys[3][:12]
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
    walked = json.loads(c._flex("token", "reserves", "--snapshot", out, "--genesis",
                                c.genesis_file, "--json"))
    at_node = json.loads(c._flex("--node", url, "token", "reserves", "--verify", "--genesis",
                                 c.genesis_file, "--json"))
    for told in (walked, at_node):
        held = sum(int(amount) for amount in told["held_ueur"].values())
        if held != int(told["exists_ueur"]) or int(told["walk"]["exists_ueur"]) == 0 or \
           int(told["walk"]["pots"]) == 0 or int(told["walk"]["receipts"]) == 0:
            raise Failure(f"flex token reserves: {told}")
    if not at_node["proof_verified"] or walked["walk"]["exists_ueur"] != walked["exists_ueur"]:
        raise Failure(f"flex token reserves: {at_node}, {walked}")
    chunk = out / "chunk-00001"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 3] ^= 1
    chunk.write_bytes(data)
    spoilt = subprocess.run([c.bin / "flex", "snapshot", "verify", "--dir", out, "--genesis",
                             c.genesis_file], capture_output=True, text=True, check=False)
    if spoilt.returncode != 4 or "chunk-00001" not in spoilt.stderr:
        raise Failure(f"a flipped byte: exit {spoilt.returncode}: {spoilt.stderr}")
    spoilt = subprocess.run([c.bin / "flex", "token", "reserves", "--snapshot", out, "--genesis",
                             c.genesis_file], capture_output=True, text=True, check=False)
    if spoilt.returncode != 4 or "chunk-00001" not in spoilt.stderr:
        raise Failure(f"reserves, a flipped byte: exit {spoilt.returncode}: {spoilt.stderr}")
    before = snapshots(node)
    made = json.loads(c._flex("snapshot", "create", "--dir", node.home, "--json"))
    if int(made["height"]) in before or int(made["height"]) not in snapshots(node):
        raise Failure(f"flex snapshot create made {made}, {before} -> {snapshots(node)}")


def pruned_answers(c, node):
    """The newcomer has no block below its snapshot: it says so, and what is recent is proven."""
    first = int(node.status()["first_block"])
    for path in ("/v1/blocks/1", "/v1/order-events", "/v1/trades?from_height=1",
                 "/v1/fees?cursor=1-0"):
        status, text = node.request(path)
        if status != 410 or f"from {first} on" not in text.decode():
            raise Failure(f"{path} of a joined node: {status} {text}")
    status, text = node.request(f"/v1/fees?from_height={first}")
    if status != 200 or b'"items"' not in text:
        raise Failure(f"fees from block {first} on: {status} {text}")
    done = subprocess.run([c.bin / "flex", "--node", f"http://127.0.0.1:{node.api_port}", "audit",
                           "export", "--dir", c.dir / "no-export"], capture_output=True, text=True,
                          check=False)
    if done.returncode != 1 or f"from {first} on" not in done.stderr or "audit node" not in done.stderr:
        raise Failure(f"audit export of a joined node: {done.returncode} {done.stderr}")
    proof = c.dir / "balance.proof"
    c._flex("--node", f"http://127.0.0.1:{node.api_port}", "proof", "get", "pot", "balance/agg",
            "--out", proof, "--genesis", c.genesis_file)
    c._flex("proof", "verify", proof, "--genesis", c.genesis_file)


def proves_from(c, node, first, out="block.proof"):
    """A joined node proves, in the history log, the block that it began with and all above, and says of
    what is below where to ask; its proofs verify from the genesis."""
    url = f"http://127.0.0.1:{node.api_port}"
    tip = node.height()
    wanted = [("block", str(height)) for height in (first, first + 1, (first + tip) // 2, tip - 1)]
    wanted += [("log", f"{first}/{tip}"), ("log", f"{first + 1}/{tip - 1}"),
               ("log", f"{first}/{first}")]
    proof = c.dir / out
    for kind, name in wanted:
        c._flex("--node", url, "proof", "get", kind, name, "--out", proof, "--genesis",
                c.genesis_file)
        c._flex("proof", "verify", proof, "--genesis", c.genesis_file)
    c._flex("--node", url, "block", "show", str(first + 1), "--genesis", c.genesis_file)
    for path in (f"block/{first - 1}", "block/1", f"log/{first - 1}/{tip}"):
        status, text = node.request(f"/v1/proofs/{path}")
        if status != 410 or f"from {first} on" not in text.decode() or b"audit node" not in text:
            raise Failure(f"proof {path} of a joined node: {status} {text}")


def has_the_note(c, node):
    """The last digest, whose day ended after the snapshot."""
    items = wait_until(40, "a day is over", lambda: node.get("/v1/digests")["items"])
    day = time.strftime("%Y-%m-%d", time.gmtime(int(items[-1]["id"]) * 86400))
    note = c.dir / "day.note"
    c._flex("--node", f"http://127.0.0.1:{node.api_port}", "audit", "digest", "get", day, "--out",
            note, "--genesis", c.genesis_file)
    c._flex("audit", "digest", "verify", note, "--genesis", c.genesis_file)


def returns_to_the_vote(c):
    """Data lost, journal kept: by snapshot back to the vote. Both lost: back as an observer, for others
    hold votes of its key that it cannot account for (C-ROLLBACK.REFUSE)."""
    kept, lost = c.nodes[1], c.nodes[2]
    for node, gone in ((kept, ["data", "snapshots"]), (lost, ["data", "snapshots", "journal"])):
        node.terminate()
        for name in gone:
            shutil.rmtree(node.home / name)
        configure(node.home, sync="snapshot")
        node.start()
        wait_until(60, f"{node.name} has loaded a state", lambda node=node: is_loaded(node))
        wait_until(60, f"{node.name} ready", lambda node=node: node.request("/ready")[0] == 200)
    wait_until(40, "the one with its journal votes", lambda: kept.status().get("voting"))
    c.allowed_broken.append(f" {lost.name} .*alarm: .*voting has stopped")
    wait_until(40, "the one without it does not", lambda: lost.status().get("voting") is False
               and "refusal" in lost.status())
    c.progress("with one observer", nodes=c.nodes, seconds=40)


def survives_a_check(c, node):
    node.terminate()
    c._flexd("check", "--home", node.home)
    node.start()
    wait_until(40, "the joined node is ready again", lambda: node.request("/ready")[0] == 200)


def join_and_vote(options):
    """Scenarios 36, 49, 60."""
    with Cluster(options.build, options.seed, preload=False, keep=options.keep) as c:
        c.spare_ports = [c.base + 2 * c.count + i * c.count + i for i in range(c.count)]
        for i in range(c.count):
            configure(c.dir / f"n{i}", snapshot_blocks=str(EVERY))
        newcomer = add_node(c, "joiner", sync="snapshot", snapshot_blocks=str(EVERY))
        with told(c):
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
            c.allowed_broken.append(" n3 .*alarm: .*voting has stopped")
            for client in c.clients:
                client.ending.set()
            for client in c.clients:
                client.join(60)
                if client.is_alive() or client.stuck:
                    raise Failure(client.stuck or "a client hangs")
            root = same_roots(c.nodes + [newcomer])
            operators_tools(c, newcomer)
            pruned_answers(c, newcomer)
            began = int(newcomer.status()["first_block"]) - 1
            proves_from(c, newcomer, began)
            survives_a_check(c, newcomer)
            proves_from(c, newcomer, began)
            returns_to_the_vote(c)
            same_roots(c.nodes + [newcomer])
            c._check_logs()
            for node in c.nodes + [newcomer]:
                node.terminate()
            print(f"snapshot: joined under load beside a liar, root {root[:16]} on all")


class told:
    """On a failure: where everything is, and the ends of the logs."""

    def __init__(self, cluster):
        self.cluster = cluster

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print("directory:", self.cluster.dir)
            for node in self.cluster.nodes + self.cluster.extra:
                if node.log_path.exists():
                    print(f"--- {node.name}")
                    lines = node.log_path.read_text(errors="replace").splitlines()
                    print("\n".join(lines[-25:]))
        return False


def advance_clock(c, days):
    beside = c.dir / "offset.new"
    beside.write_text(str(days * 86400000))
    beside.rename(c.dir / "offset")


def prune_while_one_fetches(options):
    """Scenario 63. Two months pass at once on a simulated clock; the bodies that a node in the middle of
    joining will need stay, all older ones go, and both are told."""
    real = ledger.genesis
    ledger.genesis = lambda keys: dict(real(keys), simulated_time=True)
    with Cluster(options.build, options.seed, preload=False, keep=options.keep) as c:
        ledger.genesis = real
        c.spare_ports = [c.base + 2 * c.count + i * c.count + i for i in range(c.count)]
        advance_clock(c, 0)
        pruning = {"snapshot_blocks": "20", "clock_offset_file": str(c.dir / "offset")}
        late = add_node(c, "late", sync="snapshot", **pruning)
        old = add_node(c, "old", **pruning)
        for i in range(c.count):
            configure(c.dir / f"n{i}", keep_days=61, keep_blocks="10", **pruning)
        with told(c):
            c.start(load=False)
            grow_state(c)
            settled = c.height()
            wait_until(90, "two snapshots of the grown state", lambda: all(
                len([h for h in snapshots(node) if h > settled]) >= 2 for node in c.nodes))
            late.start()
            wait_until(40, "a few chunks are on disk", lambda: parts_on_disk(late) >= 2)
            late.kill()
            began = int(re.search(r"snapshot of block (\d+)", late.log_lines("-> fetched")[0])[1])
            if any(node.status()["first_block"] != "1" for node in c.nodes):
                raise Failure("pruned before its time")
            advance_clock(c, 62)
            c.progress("after two months", blocks=45, seconds=100)
            for node in c.nodes:
                wait_until(30, f"{node.name} prunes",
                           lambda node=node: int(node.status()["first_block"]) > 1)
            # Whom it had not asked for a part before it died knew of no fetch, and holds nothing for it.
            floors = {node.name: int(node.status()["first_block"]) for node in c.nodes}
            holds = [node.name for node in c.nodes if began in snapshots(node)]
            if not holds or any(floors[name] > began + 1 for name in holds):
                raise Failure(f"what {late.name} has begun ({began}) is gone: {floors}, {holds}")
            print(f"  fetching from {began}, which {len(holds)} hold, bodies from "
                  f"{sorted(floors.values())}, height {c.height()}")
            late.start()
            wait_until(60, "the late one is loaded", lambda: is_loaded(late))
            if f"state of block {began} loaded" not in is_loaded(late)[-1]:
                raise Failure(f"it did not go on with {began}: {is_loaded(late)}")
            wait_until(60, "the late one is ready", lambda: late.request("/ready")[0] == 200)
            old.start()  # it replays, and is told that nobody has the beginning any more
            wait_until(40, "the old one is told", lambda: old.log_lines(
                r"peer [0-9a-f]+ has blocks from \d+ on only"))
            old.terminate()
            root = same_roots(c.nodes + [late])
            status, text = c.nodes[0].request("/v1/blocks/2")
            if status != 410 or b"pruned" not in text:
                raise Failure(f"a pruned block: {status} {text}")
            pruned_answers(c, c.nodes[0])
            proves_from(c, late, began)
            has_the_note(c, late)
            for node in c.nodes + [late]:
                node.terminate()
                c._flexd("check", "--home", node.home)
            c._check_logs()
            print(f"snapshot: pruned to {sorted(floors.values())} while one fetched, root "
                  f"{root[:16]} on all")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", default="all", choices=["join", "prune", "all"])
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    for part in {"join": [join_and_vote], "prune": [prune_while_one_fetches],
                 "all": [join_and_vote, prune_while_one_fetches]}[options.part]:
        part(options)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")
