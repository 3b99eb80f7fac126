#!/usr/bin/env python3
"""Deals that the ledger's contracts have settled, with deposits and penalties, against the oracle.

check_ledger.py LEDGER_DEALS [COUNT [SEED]]
"""
import collections
import json
import subprocess
import sys
from fractions import Fraction
from math import ceil

sys.dont_write_bytecode = True
import settle_oracle as oracle

EVERY_TRAIT = {"schedule", "submeter", "baseline", "capacity_cap", "capacity_floor", "settled",
               "partial", "refunded", "penalty", "deposit used up", "no deposit", "up", "down"}


def deposit(problem):
    """What the offer had to lock: a price per kWh, or a share of its own, rounded up, times Wh."""
    rate = problem["rate"]
    per_kwh = int(rate["price"]) + ceil(Fraction(int(problem["price"]) * rate["permille"], 1000))
    return ceil(Fraction(per_kwh * sum(map(int, problem["contracted_wh"])), 1000))


def traits(problem, ledger):
    yield problem["method"]
    yield problem["direction"]
    yield ledger["state"]
    if int(problem["deposit_ueur"]) == 0:
        yield "no deposit"
    elif ledger["penalty_ueur"] > 0:
        yield "penalty"
        if ledger["penalty_ueur"] == int(problem["deposit_ueur"]):
            yield "deposit used up"


def judge(problem, ledger):
    """Names of what differs."""
    want = oracle.settle(problem)
    contracted = sum(map(int, problem["contracted_wh"]))
    credited = sum(map(int, want["credited_wh"]))
    expected = {
        "delivered_wh": sum(map(int, want["delivered_wh"])),
        "credited_wh": credited,
        "paid_ueur": int(want["paid_ueur"]),
        "refunded_ueur": int(want["refunded_ueur"]),
        "penalty_ueur": int(want["penalty_ueur"]),
        "state": "settled" if credited == contracted else "partial" if credited else "refunded",
    }
    wrong = [f"{key} is {ledger[key]}, the oracle says {expected[key]}"
             for key in expected if ledger[key] != expected[key]]
    if int(problem["deposit_ueur"]) != deposit(problem):
        wrong.append(f"the deposit is {problem['deposit_ueur']}, not {deposit(problem)}")
    if int(problem["escrow_ueur"]) != ceil(Fraction(int(problem["price"]) * contracted, 1000)):
        wrong.append(f"the escrow is {problem['escrow_ueur']}")
    return wrong


def main():
    program, count, seed = (sys.argv[1:] + ["300", "1"][len(sys.argv) - 2:])[:3]
    done = subprocess.run([program, count, seed], capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        sys.exit(f"check_ledger: exit {done.returncode}: {done.stderr}")
    seen = collections.Counter()
    lines = done.stdout.splitlines()
    if len(lines) != int(count):
        sys.exit(f"check_ledger: {len(lines)} deals instead of {count}")
    for line in lines:
        deal = json.loads(line)
        wrong = judge(deal["problem"], deal["ledger"])
        if wrong:
            print(line)
            sys.exit(f"check_ledger: {'; '.join(wrong)}")
        seen.update(traits(deal["problem"], deal["ledger"]))
    missing = EVERY_TRAIT - set(seen)
    if missing:
        sys.exit(f"check_ledger: the deals never had: {', '.join(sorted(missing))}")
    print(f"check_ledger: {len(lines)} deals on the ledger agree with the oracle; "
          + ", ".join(f"{seen[key]} {key}" for key in sorted(EVERY_TRAIT)))


main()
