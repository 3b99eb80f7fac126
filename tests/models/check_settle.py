#!/usr/bin/env python3
"""flexsettle against the oracle, field by field: the worked examples of docs/spec/delivery.md and of
--help, thousands of random problems, real meter data, and the command line.

check_settle.py FLEXSETTLE [PROBLEMS [SEED]]; SHARED_DATA=DIR for meter data from elsewhere
"""
import collections
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.dont_write_bytecode = True
import settle_oracle as oracle
import settle_problems as problems

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))


def run(program, text, *arguments):
    done = subprocess.run([program, *arguments], input=text.encode(), capture_output=True,
                          timeout=20, close_fds=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def expected(problem):
    try:
        return oracle.settle(problem), None
    except oracle.Refused as refusal:
        return None, str(refusal)


def judge(program, name, problem):
    """What of the program's answer differs from the oracle's; and the oracle's answer."""
    want, place = expected(problem)
    status, out, err = run(program, json.dumps(problem))
    if place is not None:
        good = (status == 2 and out == "" and err.startswith(f"flexsettle: {place}: ")
                and err.count("\n") == 1)
        return (None if good else f"{name}: refuse at {place}; got {status} {out}{err}"), want
    if status != 0 or err != "":
        return f"{name}: exit {status}: {err}", want
    got = json.loads(out)
    for key in [*want, *got]:
        if got.get(key) != want.get(key):
            return f"{name}: {key} is {got.get(key)}, the oracle says {want.get(key)}", want
    return None, want


def traits_of_baseline(problem):
    parameters = problem["baseline"]
    given, days = len(parameters["candidates"]), parameters.get("days", 10)
    highest = parameters.get("highest", 5)
    yield "more candidates than days" if given > days else "candidates within days"
    if given < days:
        yield "fewer candidates than days"
    sums = [sum(map(int, day["wh"])) for day in parameters["candidates"][-days:]]
    chosen = oracle.chosen_days(parameters)
    last = sums[min(chosen, key=lambda i: sums[i - max(0, given - days)]) - max(0, given - days)]
    if sums.count(last) > sum(1 for i in chosen if sums[i - max(0, given - days)] == last):
        yield "tie at the last place"
    if highest == given:
        yield "all candidates chosen"
    factor = oracle.adjustment(parameters, chosen)
    cap = problems.Fraction(parameters.get("adjustment_permille", 200), 1000)
    if cap > 0 and factor in (1 + cap, 1 - cap):
        yield "adjustment at its cap, " + ("up" if factor > 1 else "down")
    yield "adjusted" if factor != 1 else "not adjusted"


def traits(problem, want):
    """Which cases a problem stands for; each must occur, or the draw has gone blind."""
    yield problem["method"]
    if want is None:
        yield "refused"
        return
    contracted = [int(c) for c in problem["contracted_wh"]]
    credit = [int(k) for k in want["credited_wh"]]
    energy = [int(d) for d in want["delivered_wh"]]
    yield "full" if credit == contracted else "partial" if sum(credit) else "nothing"
    if any(0 < k < c for k, c in zip(credit, contracted)):
        yield "an interval in part"
    if any(d > c for d, c in zip(energy, contracted)):
        yield "over-delivery"
    if any(d < 0 for d in energy):
        yield "delivery against the direction"
    if any(k > d for k, d in zip(credit, energy)):
        yield "grace of the tolerance"
    if any(k == 0 < d for k, d in zip(credit, energy)):
        yield "under the floor"
    if any(int(r) < 0 for r in want["reference_wh"]):
        yield "reference of export"
    left = int(problem["escrow_ueur"]) - int(want["paid_ueur"])
    if credit == contracted and left > 0:
        yield "rounding to the fee pool" if left == 1 else "more in escrow than it costs"
    penalty, deposit = int(want["penalty_ueur"]), int(problem.get("deposit_ueur", "0"))
    if penalty > 0:
        yield "deposit used up" if penalty == deposit else "penalty within the deposit"
    if len(contracted) >= 92:
        yield f"{len(contracted)} intervals"
    if problem["method"] == "baseline":
        yield from traits_of_baseline(problem)


EVERY_TRAIT = {
    *problems.METHODS, "refused", "full", "partial", "nothing", "an interval in part",
    "over-delivery", "delivery against the direction", "grace of the tolerance", "under the floor",
    "reference of export", "rounding to the fee pool", "more in escrow than it costs",
    "deposit used up", "penalty within the deposit", "92 intervals", "96 intervals",
    "100 intervals", "more candidates than days", "candidates within days",
    "fewer candidates than days", "tie at the last place", "all candidates chosen",
    "adjustment at its cap, up", "adjustment at its cap, down", "adjusted", "not adjusted",
}


def judge_all(program, named):
    """Number of problems, seen traits; stops the check at the first difference."""
    seen = collections.Counter()
    count = 0
    with ThreadPoolExecutor(2) as pool:
        named = list(named)
        for (name, problem), (fault, want) in zip(
                named, pool.map(lambda item: judge(program, *item), named)):
            if fault is not None:
                print(json.dumps(problem))
                sys.exit(f"check_settle: {fault}")
            seen.update(set(traits(problem, want)))
            count += 1
    return count, seen


def check_random(program, count, seed):
    done, seen = judge_all(program, problems.random_problems(seed, count))
    missing = EVERY_TRAIT - set(seen)
    if missing:
        sys.exit(f"check_settle: the random problems never had: {', '.join(sorted(missing))}")
    rarest = min(seen, key=seen.get)
    print(f"check_settle: {done} random problems agree (seed {seed}), {len(seen)} kinds of case, "
          f"the rarest ('{rarest}') {seen[rarest]} times")


def check_real(program):
    if not DATA.is_dir():
        print("check_settle: ../shared/data is not here, so real meter data was NOT settled")
        return
    done, seen = judge_all(program, problems.real_problems(DATA))
    if not {"full", "partial", "nothing", "adjusted", "reference of export"} <= set(seen):
        sys.exit(f"check_settle: real data shows too little: {dict(seen)}")
    print(f"check_settle: {done} deliveries from real meter data agree (SimBench G0, OPSD): "
          f"{seen['full']} full, {seen['partial']} partial, {seen['nothing']} nothing")


def check_examples(program):
    """Each flexsettle/1 block of the specification is followed by the block of its result."""
    text = (ROOT / "docs" / "spec" / "delivery.md").read_text()
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    pairs = list(zip(blocks[::2], blocks[1::2]))
    for at, (problem, result) in enumerate(pairs):
        fault, want = judge(program, f"example {at + 1}", problem)
        if fault is not None or want != result:
            sys.exit(f"check_settle: example {at + 1} of docs/spec/delivery.md: {fault or want}")
    methods = {problem["method"] for problem, _ in pairs}
    if methods != set(problems.METHODS) or len(blocks) % 2 != 0:
        sys.exit(f"check_settle: docs/spec/delivery.md has examples of {methods} only")
    print(f"check_settle: {len(pairs)} worked examples of docs/spec/delivery.md hold")


def check_command_line(program):
    status, manual, err = run(program, "", "--help")
    example = re.search(r"echo '(.*?)' \| flexsettle\n(.*?)\(one line\)", manual, re.DOTALL)
    if status != 0 or err or not example:
        sys.exit("check_settle: --help is not what it should be")
    text, want = example.group(1), json.loads(example.group(2))
    scratch = Path(program).parent.parent / "check_settle.json"
    scratch.write_text(text)
    good = [("standard input", text, ()), ("a file", "", (str(scratch),)), ("-", text, ("-",))]
    for name, given, arguments in good:
        status, out, err = run(program, given, *arguments)
        if status != 0 or err or out.count("\n") != 1 or json.loads(out) != want:
            sys.exit(f"check_settle: the example of --help from {name}: {status} {out}{err}")
    scratch.unlink()
    bad = [("", ("/nowhere/at/all",), "/nowhere/at/all: No such file or directory"),
           ("", ("--nothing",), "--nothing: unknown option (flexsettle --help)"),
           ("", ("a", "b"), "b: one FILE is enough (flexsettle --help)"),
           ("", ("/",), "/: Is a directory"),
           ("\ufeff{}", (), "line 1 column 1: "),
           ("{", (), "line 1 column 2: "),
           ("{}", (), "format: missing"),
           (text.replace("price", "prise"), (), "prise: unknown key")]
    for given, arguments, words in bad:
        status, out, err = run(program, given, *arguments)
        if status != 2 or out or err.count("\n") != 1 or not err.startswith(f"flexsettle: {words}"):
            sys.exit(f"check_settle: {arguments} {given!r}: {status} {out}{err}")
    with open("/dev/full", "w") as full:
        done = subprocess.run([program], input=text.encode(), stdout=full, stderr=subprocess.PIPE)
    if done.returncode != 2 or b"flexsettle: standard output: " not in done.stderr:
        sys.exit(f"check_settle: a full disk goes unnoticed: {done}")
    print(f"check_settle: --help and its example, {len(bad) + 1} refusals of the command line")


def main():
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 2500
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 20161
    program = str(Path(sys.argv[1]).resolve())
    check_command_line(program)
    check_examples(program)
    check_random(program, count, seed)
    check_real(program)
    print("check_settle: passed")


if __name__ == "__main__":
    main()
