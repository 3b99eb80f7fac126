#!/usr/bin/env python3
"""Integrity at rest with real processes (docs/adr/0031, fault scenarios 26 to 28).

    integrity.py BUILD [--flips N] [--seed S] [--keep]

A chain of four validators runs under load and is stopped. Then, N times, a few random bits of one
node's database are flipped in a copy. `flexd check` must find them, or they must change nothing; a
node that is started on the copy must refuse to start, or give each answer of its HTTP API as the
undamaged node gives it, or an error in its place: never a wrong answer. At the end one damaged copy
is repaired, the chain goes on with it, and all nodes agree on every block.
"""
import argparse
import json
import random
import shutil
import subprocess
import sys
import time

from cluster import Cluster, Failure, wait_until

KINDS = ["participants", "accounts", "assets", "markets", "orders", "deals", "params", "supply",
         "validators", "proposals"]
DAMAGED = 4


def check(c, home, *options):
    done = subprocess.run([c.bin / "flexd", "check", "--home", home, "--json", *options],
                          capture_output=True, text=True, check=False)
    if done.returncode not in (0, DAMAGED):
        raise Failure(f"flexd check ended with {done.returncode}: {done.stderr}")
    return done.returncode, json.loads(done.stdout)


def crawl(node, questions):
    """Every question's (status, answer); status 0 where there was none."""
    return {path: node.request(path) for path in questions}


def questions_of(node):
    """What is asked: all blocks, all their transactions, all lists, proofs, an export."""
    height = node.height()
    paths = [f"/v1/{kind}?limit=1000" for kind in KINDS] + ["/v1/genesis"]
    for at in range(height + 2):
        paths.append(f"/v1/blocks/{at}")
        for tx_id in (node.get(f"/v1/blocks/{at}") or {}).get("transactions", []):
            paths.append(f"/v1/transactions/{tx_id}")
            if len(paths) % 7 == 0:
                paths.append(f"/v1/proofs/transaction/{tx_id}")
    paths.append("/v1/transactions/" + "12" * 32)
    for name in ("dso", "bank", "load0", "load1", "nobody"):
        paths += [f"/v1/accounts/{name}", f"/v1/proofs/pot/balance/{name}"]
    for at in range(1, height, 10):
        paths.append(f"/v1/export?from={at}&count=10")
    return paths


def flip(path, chance):
    """A few bits, all but one of them where something is written."""
    data = bytearray(path.read_bytes())
    for i in range(3):
        at = chance.randrange(len(data))
        while i > 0 and data[at] == 0:
            at = chance.randrange(len(data))
        data[at] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


class Copies:
    """One node's home with a database of our choice, and no journal: nothing is committed there."""

    def __init__(self, c, node):
        self.c, self.node = c, node
        self.good = c.dir / "good-data"
        shutil.copytree(node.home / "data", self.good)
        self.journal = c.dir / "journal-aside"
        (node.home / "journal").rename(self.journal)

    def place(self, source):
        for old in [self.node.home / "journal", *self.node.home.glob("data*")]:
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(source, self.node.home / "data")

    def put_back(self):
        shutil.rmtree(self.node.home / "journal", ignore_errors=True)
        self.journal.rename(self.node.home / "journal")

    def run(self, look):
        """What `look` says of the running node; None if it refuses to start."""
        self.node.start()
        self.node.expected_down = True
        limit = time.monotonic() + 20
        while self.node.is_up() and self.node.request("/health")[0] != 200:
            if time.monotonic() > limit:
                raise Failure(f"{self.node.name} neither answers nor ends")
            time.sleep(0.02)
        result = look(self.node) if self.node.is_up() else None
        if self.node.is_up():
            self.node.kill()
        return result


def compare(good, found):
    """Counts of right answers and of errors in the place of one; a wrong one ends the test."""
    right = refused = 0
    for path, (status, answer) in found.items():
        if (status, answer) == good[path]:
            right += 1
        elif status == 0 or status >= 500:
            refused += 1
        else:
            raise Failure(f"a wrong answer: {path} is {status} {answer[:200]}, "
                          f"not {good[path][0]} {good[path][1][:200]}")
    return right, refused


def try_flips(c, copies, chance, wanted):
    """Returns a data directory whose damage was found, for the repair."""
    paths = []
    good = copies.run(lambda node: (paths.extend(questions_of(node)), crawl(node, paths))[1])
    if good is None or sum(status == 200 for status, _ in good.values()) < len(paths) // 2:
        raise Failure("the undamaged copy does not answer")
    totals = {"harmless": 0, "found": 0, "refused to start": 0, "answers refused": 0}
    damaged = c.dir / "damaged-data"
    for number in range(wanted):
        copies.place(copies.good)
        flip(copies.node.home / "data" / "data.mdb", chance)
        code, report = check(c, copies.node.home)
        if code == DAMAGED and (report["store"]["result"] != "damaged" or
                                not report["store"]["first_findings"]):
            raise Failure(f"flips {number}: damaged, but nothing is named: {report}")
        if code == DAMAGED and not damaged.exists():
            shutil.copytree(copies.node.home / "data", damaged)
        found = copies.run(lambda node: crawl(node, paths))
        totals["found" if code == DAMAGED else "harmless"] += 1
        if found is None:
            totals["refused to start"] += 1
            if code != DAMAGED or copies.node.process.returncode != DAMAGED:
                raise Failure(f"flips {number}: the node ended with "
                              f"{copies.node.process.returncode}, and check with {code}")
            continue
        _, refused = compare(good, found)
        totals["answers refused"] += refused
        if refused and code != DAMAGED:
            raise Failure(f"flips {number}: answers are refused from a database that check calls good")
    if totals["found"] == 0 or not damaged.exists():
        raise Failure(f"no flip was found: {totals}")
    return damaged, len(paths), totals


def repair(c, copies, damaged):
    """The damaged database is made anew, the chain goes on with it, and all agree."""
    copies.place(damaged)
    before, _ = check(c, copies.node.home)
    code, report = check(c, copies.node.home, "--repair")
    again, _ = check(c, copies.node.home)
    if before != DAMAGED or code != 0 or again != 0 or "repair" not in report:
        raise Failure(f"repair: {before}, {code}, {again}: {report}")
    if not (copies.node.home / "data.damaged-1").is_dir():
        raise Failure("the damaged database was not kept")
    copies.put_back()
    for node in c.nodes:
        node.start()
    c.wait_ready()
    c.progress("after a repair")
    top = min(node.height() for node in c.nodes)
    for height in range(1, top + 1):
        ids = {node.get(f"/v1/blocks/{height}")["id"] for node in c.nodes}
        if len(ids) != 1:
            raise Failure(f"block {height} differs after a repair: {ids}")
    for node in c.nodes:
        node.terminate()
    for node in c.nodes:
        if check(c, node.home)[0] != 0:
            raise Failure(f"{node.name} is damaged at the end")
    return report["repair"]["height"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--flips", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    try:
        with Cluster(options.build, options.seed, preload=False, keep=options.keep) as c:
            c.start()
            c.load_goes_on("at first", count=40, seconds=60)
            for client in c.clients:
                client.ending.set()
            for client in c.clients:
                client.join()
            c.stuck()
            wait_until(20, "no transaction is pending",
                       lambda: c.nodes[0].metric("pending_transactions") == 0)
            for node in c.nodes:
                node.terminate()
            copies = Copies(c, c.nodes[0])
            copies.place(copies.good)
            damaged, asked, totals = try_flips(c, copies, random.Random(options.seed),
                                               options.flips)
            height = repair(c, copies, damaged)
    except Failure as failure:
        print(f"FAILED: {failure}\n  again: tests/e2e/integrity.py {options.build} --flips "
              f"{options.flips} --seed {options.seed} --keep")
        return 1
    print(f"integrity: {options.flips} flipped copies, {asked} questions each: " +
          ", ".join(f"{count} {what}" for what, count in totals.items()) +
          f"; repaired up to block {height}, and the chain went on")
    return 0


if __name__ == "__main__":
    sys.exit(main())
