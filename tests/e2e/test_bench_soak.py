#!/usr/bin/env python3
"""The judge of bench/soak.py on series that are flat, and on ones of which a single thing grows: a check
that passes everything would pass the soak too. No network is started. Usage: test_bench_soak.py"""

import csv
import os
import subprocess
import sys
import tempfile

SOAK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench", "soak.py")
KEYS = ["second", "tx_per_s", "p50_ms", "p99_ms", "anon_kb", "mapped_kb", "descriptors", "disk_bytes", "height"]
LINES = 120


def line(i, **other):
    values = {"second": 5.0 * (i + 1), "tx_per_s": 500 + i % 3, "p50_ms": 10 + i % 5, "p99_ms": 30 + i % 7,
              "anon_kb": 90000 + 500 * (i % 4), "mapped_kb": 100000 + 1000 * i, "descriptors": 60 + i % 3,
              "disk_bytes": 10**8 + 5 * 500 * 1000 * i, "height": 50 * i}
    values.update(other)
    return values


def judged(make, rate=500):
    with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="", encoding="ascii") as file:
        writer = csv.DictWriter(file, KEYS)
        writer.writeheader()
        writer.writerows(make(i) for i in range(LINES))
        file.flush()
        done = subprocess.run([SOAK, "none", "--check", file.name, "--rate", str(rate)], check=False,
                              stdout=subprocess.PIPE, text=True)
    return done.returncode, done.stdout


CASES = [
    ("flat", line, None),
    ("a first fifth that fills caches", lambda i: line(i, anon_kb=min(90000, 30000 + 3000 * i), p99_ms=900 if i < 9 else 30), None),
    ("memory leaks a fifth of a megabyte a line", lambda i: line(i, anon_kb=90000 + 200 * i), "anonymous memory"),
    ("descriptors leak", lambda i: line(i, descriptors=60 + i // 4), "descriptors"),
    ("latency creeps", lambda i: line(i, p50_ms=10 + 2 * i), "p50_ms"),
    ("only the slowest get slower", lambda i: line(i, p99_ms=30 + 3 * i), "p99_ms"),
    ("the ledger takes more and more for each", lambda i: line(i, disk_bytes=10**8 + 30000 * i * i), "disk per"),
    ("it falls behind", lambda i: line(i, tx_per_s=500 - i), "transactions a second"),
]


def main():
    failures = 0
    for name, make, wanted in CASES:
        code, text = judged(make)
        good = code == 0 if wanted is None else code == 1 and f"FAILED: " in text and wanted in text and text.count("FAILED") == 1
        if not good:
            failures += 1
            print(f"FAILED: {name}: exit {code}: {text}")
    code, text = judged(lambda i: line(i), rate=600)
    if code != 1:
        failures += 1
        print(f"FAILED: a load that was not reached passes: {text}")
    print(f"bench_soak: {len(CASES) + 1} series judged, {failures} wrongly")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
