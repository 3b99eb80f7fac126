#!/usr/bin/env python3
"""The surveillance report against a model of its own (docs/spec/surveillance.md 4 and 5).

Makes random markets with the real contracts (market_export), lets flex verify the export and print
the order events as CSV and the report as JSON, and recomputes from the events alone, in fractions:
firm requests and offers, trades, HHI, residual supply indices and pivotal suppliers, for each book and
market, with and without a list of owners. Pages of events must make up the whole.

Usage: check_surveillance.py BUILD [SEEDS]
"""
import collections
import csv
import fractions
import io
import json
import math
import os
import subprocess
import sys
import tempfile


def flex(build, directory, *words):
    run = subprocess.run([os.path.join(build, "bin/flex"), "audit", *words, "--dir", directory,
                          "--genesis", os.path.join(directory, "genesis.json")],
                         capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"flex audit {words}: exit {run.returncode}\n{run.stderr}")
    return run.stdout


def events_of(build, directory):
    rows = list(csv.DictReader(io.StringIO(flex(build, directory, "orders", "--csv"))))
    paged, after = [], "0"
    while True:
        page = json.loads(flex(build, directory, "orders", "--after", after, "--limit", "97", "--json"))
        paged += page["items"]
        if "next" not in page:
            break
        after = page["next"]
    assert [r["number"] for r in rows] == [r["number"] for r in paged], "pages differ from the whole"
    assert [int(r["number"]) for r in rows] == list(range(1, len(rows) + 1))
    return rows


def orders_of(rows):
    """What became of each order: a plain replay."""
    orders = {}
    for row in rows:
        number = int(row["order"])
        quantity = int(row["quantity_wh"])
        if row["kind"] == "new":
            orders[number] = dict(row, placed=quantity, traded=0, withdrawn=0, expired=0)
            continue
        order = orders[number]
        gone = {"trade": "traded", "cancel": "withdrawn", "replace": "withdrawn", "expire": "expired"}
        order[gone[row["kind"]]] += quantity
        left = order["placed"] - order["traded"] - order["withdrawn"] - order["expired"]
        assert left == int(row["open_wh"]) >= 0, row
    return orders.values()


def hhi(quantities):
    total = sum(quantities)
    if total == 0:
        return None
    return math.floor(sum(fractions.Fraction(q, total) ** 2 for q in quantities) * 10000)


def rsi(supply, without, demand):
    return None if demand == 0 else math.floor(fractions.Fraction(supply - without, demand) * 1000)


def expected(orders, owners):
    """By (market, direction, start), and (market, all)."""
    books = collections.defaultdict(list)
    for order in orders:
        books[order["market"], order["direction"], order["period_start_ms"]].append(order)
        books[order["market"], "all", None].append(order)
    for key, members in books.items():
        offered, traded = collections.Counter(), collections.Counter()
        requested = 0
        for order in members:
            firm = order["placed"] - order["withdrawn"]
            if order["side"] == "buy":
                requested += firm
                continue
            owner = owners.get(order["participant"], order["participant"])
            offered[owner] += firm
            traded[owner] += order["traded"]
        supply = sum(offered.values())
        ranked = sorted(offered.values(), reverse=True) + [0, 0, 0]
        yield key, {
            "requested_wh": requested, "offered_wh": supply, "traded_wh": sum(traded.values()),
            "hhi_offered": hhi(offered.values()), "hhi_traded": hhi(traded.values()),
            "rsi_permille": rsi(supply, ranked[0], requested),
            "rsi3_permille": rsi(supply, sum(ranked[:3]), requested),
            "pivotal": sum(1 for q in offered.values()
                           if q > 0 and requested > 0 and supply - q < requested),
            "suppliers": sum(1 for o in offered if offered[o] > 0 or traded[o] > 0)}


def compare(build, directory, orders, owners):
    words = ["report", "--json"]
    if owners:
        path = os.path.join(directory, "owners.csv")
        with open(path, "w", encoding="ascii") as out:
            out.write("participant,owner\n" + "".join(f"{p},{o}\n" for p, o in owners.items()))
        words += ["--owners", path]
    report = json.loads(flex(build, directory, *words))
    told = {(r["market"], r["direction"], r.get("period_start_ms")): r for r in report["concentration"]}
    seen = 0
    for key, wanted in expected(orders, owners):
        row = told.pop(key)
        for name, value in wanted.items():
            found = None if row.get(name) is None else int(row[name])
            if found != value:
                sys.exit(f"{directory} {key} {name}: flex says {found}, the model {value}")
            seen += 1
    assert not told, f"books that the model does not know: {list(told)}"
    return seen


def main():
    build = sys.argv[1]
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    figures = 0
    for seed in range(1, seeds + 1):
        with tempfile.TemporaryDirectory(prefix="flex-surveil-") as directory:
            export = os.path.join(directory, "export")
            subprocess.run([os.path.join(build, "tests/models/market_export"), export, str(seed)],
                           check=True)
            rows = events_of(build, export)
            orders = list(orders_of(rows))
            kinds = collections.Counter(r["kind"] for r in rows)
            assert set(kinds) == {"new", "trade", "cancel", "replace", "expire"}, kinds
            figures += compare(build, export, orders, {})
            figures += compare(build, export, orders, {"agg-0": "holding", "agg-3": "holding",
                                                       "agg-5": "agg-1"})
    print(f"surveillance: {seeds} random markets, {figures} figures agree with the model")


if __name__ == "__main__":
    main()
