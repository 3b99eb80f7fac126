#!/usr/bin/env python3
"""flexclear on as many bids as it takes, and on one more.

usage: check_clear_large.py FLEXCLEAR

10^6 bids in merit order must be cleared as a merge of the two sorted sides says, and one bid more is
refused by name.
"""

import json
import random
import subprocess
import sys
import tempfile

BIDS = 1000000


def write(file, bids):
    file.write('{"format":"flexclear/1","mechanism":"merit_order","bids":[')
    for i, (buys, quantity, price) in enumerate(bids):
        file.write(f'{"," if i else ""}{{"id":"b{i}","agent":"a{i % 50000}",'
                   f'"side":"{"buy" if buys else "sell"}","quantity":"{quantity}",'
                   f'"price":"{price}"}}')
    file.write("]}")
    file.flush()


def merged(bids):
    """Volume and welfare of the two sides, best first, until they no longer cross."""
    buys = sorted(((p, q) for b, q, p in bids if b), reverse=True)
    sells = sorted((p, q) for b, q, p in bids if not b)
    i = j = volume = welfare = 0
    buy_rest, sell_rest = buys[0][1], sells[0][1]
    while buys[i][0] >= sells[j][0]:
        step = min(buy_rest, sell_rest)
        volume += step
        welfare += step * (buys[i][0] - sells[j][0])
        buy_rest -= step
        sell_rest -= step
        if buy_rest == 0:
            i += 1
            if i == len(buys):
                break
            buy_rest = buys[i][1]
        if sell_rest == 0:
            j += 1
            if j == len(sells):
                break
            sell_rest = sells[j][1]
    return volume, welfare


def main():
    random.seed(1)
    bids = [(i % 2 == 1, random.randint(1, 10000), random.randint(0, 10**6)) for i in range(BIDS)]
    with tempfile.NamedTemporaryFile("w") as file:
        write(file, bids)
        done = subprocess.run([sys.argv[1], file.name], capture_output=True)
        if done.returncode != 0:
            sys.exit(f"refused: {done.stderr.decode()}")
        result = json.loads(done.stdout)
        want = merged(bids)
        if (int(result["quantity"]), int(result["welfare_neur"])) != want:
            sys.exit(f"{result['quantity']} {result['welfare_neur']} instead of {want}")
        if len(result["accepted"]) != BIDS:
            sys.exit(f"{len(result['accepted'])} bids in the result")
    with tempfile.NamedTemporaryFile("w") as file:
        write(file, bids + [bids[0]])
        done = subprocess.run([sys.argv[1], file.name], capture_output=True)
        line = done.stderr.decode().strip()
        if done.returncode != 2 or done.stdout or "more than 1000000 bids" not in line:
            sys.exit(f"{BIDS + 1} bids: {done.returncode} {line!r}")
    print(f"clear: {BIDS} bids cleared as a merge says, one more refused by name")


main()
