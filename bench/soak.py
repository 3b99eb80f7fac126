#!/usr/bin/env python3
"""A network at 80 % of what it carries, for a while: is anything growing but the ledger?

    bench/soak.py BUILD --minutes N [--rate R] [--accounts N] [--orders N] [--share 0.8] [--out FILE]

First a short run finds the rate that goes in, unless --rate names what the load is to be; then flexbench posts
`share` of it, and writes a line every five seconds (flexbench --series). Compared are the second fifth of the
lines and the last one: the first fifth fills caches. Exit 1, with the figures, unless

    every transaction was carried out, none was refused or lost (flexbench's own exit code)
    the last fifth carries at least 95 % of the load
    anonymous memory has grown by at most MEMORY_GROWTH_KB plus 5 %, whatever the length of the run
    open descriptors are at most DESCRIPTORS_GROWTH more
    the median of the lines' p50 and p99 is at most LATENCY_FACTOR times what it was, plus LATENCY_SLACK_MS
    bytes on disk per transaction in the last fifth are at most DISK_FACTOR times those of the second

Latency counts from when a transaction was due, so a network that falls behind shows it. `--check FILE` judges a
series that is there, without a network; tests/e2e/test_bench_soak.py feeds it good and bad ones."""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile

MEMORY_GROWTH_KB = 4096
DESCRIPTORS_GROWTH = 8
LATENCY_FACTOR = 2.0
LATENCY_SLACK_MS = 50.0
DISK_FACTOR = 1.5
LINES_LEAST = 20  # a minute and a half


def median(lines, key):
    return statistics.median(float(line[key]) for line in lines)


def disk_per_transaction(lines):
    """Bytes that the files grew by, for each transaction between the first and the last of the lines."""
    transactions = 0.0
    for before, line in zip(lines, lines[1:]):
        transactions += float(line["tx_per_s"]) * (float(line["second"]) - float(before["second"]))
    grown = float(lines[-1]["disk_bytes"]) - float(lines[0]["disk_bytes"])
    return grown / transactions if transactions > 0 else 0.0


def judge(lines, rate):
    """What is wrong with a series (a list of sentences), and its figures."""
    if len(lines) < LINES_LEAST:
        return [f"only {len(lines)} lines: too short to judge"], {}
    fifth = len(lines) // 5
    early, late = lines[fifth:2 * fifth], lines[-fifth:]
    figures = {}
    for key in ("tx_per_s", "p50_ms", "p99_ms", "anon_kb", "mapped_kb", "descriptors"):
        figures[key] = [median(early, key), median(late, key)]
    figures["disk_bytes_per_tx"] = [round(disk_per_transaction(part), 1) for part in (early, late)]
    wrong = []
    if rate and figures["tx_per_s"][1] < 0.95 * rate:
        wrong.append(f"{figures['tx_per_s'][1]:.0f} of {rate} transactions a second at the end")
    before, after = figures["anon_kb"]
    if after > 1.05 * before + MEMORY_GROWTH_KB:
        wrong.append(f"anonymous memory grew from {before:.0f} to {after:.0f} KiB")
    before, after = figures["descriptors"]
    if after > before + DESCRIPTORS_GROWTH:
        wrong.append(f"open descriptors grew from {before:.0f} to {after:.0f}")
    for key in ("p50_ms", "p99_ms"):
        before, after = figures[key]
        if after > LATENCY_FACTOR * before + LATENCY_SLACK_MS:
            wrong.append(f"{key} grew from {before:.1f} to {after:.1f}")
    before, after = figures["disk_bytes_per_tx"]
    if before <= 0 or after > DISK_FACTOR * before:
        wrong.append(f"disk per transaction went from {before} to {after} bytes")
    return wrong, figures


def read(path):
    with open(path, newline="", encoding="ascii") as file:
        return list(csv.DictReader(file))


def flexbench(build, *arguments):
    print("soak: flexbench", *arguments, file=sys.stderr)
    done = subprocess.run([os.path.join(build, "bin", "flexbench"), *map(str, arguments), "--json"],
                          stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"soak: flexbench ended with {done.returncode}: {done.stdout}")
    return json.loads(done.stdout)


def run(arguments, series):
    load = ["--accounts", arguments.accounts, "--orders", arguments.orders]
    rate = arguments.rate
    if not rate:
        most = flexbench(arguments.build, *load, "--seconds", 20)["tx_per_s"]
        rate = max(1, int(arguments.share * most))
        print(f"soak: {most:.0f} transactions a second go in; the load is {rate}", file=sys.stderr)
    result = flexbench(arguments.build, *load, "--seconds", max(1, int(60 * arguments.minutes)),
                       "--rate", rate, "--series", series)
    return rate, result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.8)
    parser.add_argument("--accounts", type=int, default=100000)
    parser.add_argument("--orders", type=int, default=10000)
    parser.add_argument("--out")
    parser.add_argument("--check", metavar="FILE")
    arguments = parser.parse_args()
    rate, result = arguments.rate, {}
    if arguments.check:
        lines = read(arguments.check)
    else:
        path = arguments.out or tempfile.mktemp(prefix="flex-soak-", suffix=".csv")
        rate, result = run(arguments, path)
        lines = read(path)
        print(f"soak: every line is in {path}", file=sys.stderr)
    wrong, figures = judge(lines, rate)
    print(json.dumps({"rate": rate, "lines": len(lines), "early_and_late": figures, "whole": result}))
    for sentence in wrong:
        print(f"soak: FAILED: {sentence}")
    if not wrong:
        print("soak: nothing grew but the ledger")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
