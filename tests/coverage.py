#!/usr/bin/env python3
"""Line coverage per module, from what an instrumented build (gcc --coverage) has left behind.

    coverage.py BUILD        prints a table; writes BUILD/coverage.txt: every file, its lines that
                             nothing executed

A line counts once, whoever compiled or ran it: headers' lines are merged over all objects, and an
object that never ran counts with all its lines. gcov reads the files; nothing else is needed.
Deliberately absent: branches. At -O0 gcc counts those of every sanity check and every ?: alike.
"""
import collections
import json
import pathlib
import subprocess
import sys

MODULES = ["base", "crypto", "consensus", "contracts", "storage", "p2p", "solver", "node", "tools",
           "tools/sim"]


def module_of(path):
    """The longest name in MODULES that the path begins with; None for tests and system headers."""
    fits = [module for module in MODULES if path.startswith(module + "/")]
    return max(fits, key=len) if fits else None


def counts_of(note, sources):
    """{(file, line): count} of one object."""
    done = subprocess.run(["gcov", "--json-format", "--stdout", note.resolve()], cwd=sources,
                          capture_output=True, text=True, check=False)
    if done.returncode != 0 or not done.stdout.strip():
        sys.exit(f"coverage: gcov cannot read {note}: {done.stderr.strip()}")
    counts = collections.Counter()
    for document in done.stdout.splitlines():
        for file in json.loads(document)["files"]:
            for line in file["lines"]:
                counts[file["file"], line["line_number"]] += line["count"]
    return counts


def ranges(lines):
    """"3-5 9" for [3, 4, 5, 9]."""
    parts = []
    for line in lines:
        if parts and parts[-1][1] == line - 1:
            parts[-1][1] = line
        else:
            parts.append([line, line])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def share(covered, lines):
    return f"{100 * covered / lines:5.1f} %" if lines else "  0 lines"


def main():
    build, sources = pathlib.Path(sys.argv[1]), pathlib.Path.cwd()
    notes = sorted((build / "obj").rglob("*.gcno"))
    if not any((build / "obj").rglob("*.gcda")):
        sys.exit("coverage: nothing has been run in " + str(build))
    total = collections.Counter()
    seen = set()
    for note in notes:
        for place, count in counts_of(note, sources).items():
            if module_of(place[0]):
                seen.add(place)
                total[place] += count
    files = collections.defaultdict(list)
    for path, line in sorted(seen):
        files[path].append((line, total[path, line] > 0))
    with open(build / "coverage.txt", "w") as report:
        for path, lines in files.items():
            covered = sum(ran for _, ran in lines)
            missed = ranges([line for line, ran in lines if not ran])
            report.write(f"{share(covered, len(lines))} {path}: {missed or 'all'}\n")
    print(f"{'module':12} {'files':>6} {'lines':>7} {'run':>7}")
    every = [0, 0, 0]
    for module in MODULES:
        mine = [lines for path, lines in files.items() if module_of(path) == module]
        lines = sum(len(file) for file in mine)
        covered = sum(ran for file in mine for _, ran in file)
        if not mine:
            continue
        every = [a + b for a, b in zip(every, (len(mine), lines, covered))]
        print(f"{module:12} {len(mine):6} {lines:7} {covered:7} {share(covered, lines)}")
    print(f"{'all':12} {every[0]:6} {every[1]:7} {every[2]:7} {share(every[2], every[1])}")
    print(f"coverage: lines that nothing ran: {build}/coverage.txt")


if __name__ == "__main__":
    main()
