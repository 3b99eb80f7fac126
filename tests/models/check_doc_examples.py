#!/usr/bin/env python3
"""The examples in docs/spec run, and say what the programs say; the tests that it names are there.

usage: check_doc_examples.py FLEXCLEAR FLEXSETTLE

An example is a fenced block of JSON with a problem ("format": "flexclear/1" or "flexsettle/1"); the next
block of JSON is what the text claims of the answer: each key that stands there must be there, with that
value; of a list all elements, of an object the keys that are named. A problem that is refused is followed
by a block of text with the line that the program prints. Sections that promise an example and have none
fail, so that a rule cannot be added without its numbers.

What no program computes is a row of a test, and the text names it, as `test_file: test_name` or `test_name`:
each of them must be a test that exists.
"""

import json
import pathlib
import re
import subprocess
import sys

SPEC = pathlib.Path(__file__).resolve().parents[2] / "docs" / "spec"
FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.M | re.S)
# Sections whose rules a program computes: each has an example at least that runs.
PROMISED = {
    "clearing.md": ["1. The problem", "2. Merit order", "3. Ordered demand", "4. One-sided", "5. Continuous",
                    "6. Capacity", "7. Payments"],
    "market.md": ["2.1 Kinds of orders", "4. The batch", "4.2 The sequential book", "5. The call",
                  "7. Nobody trades with itself"],
    "auctions.md": ["4. Who trades how much", "5. What each agent pays"],
    "capacity.md": ["2. Capacity markets"],
    "delivery.md": ["10.2 Worked examples"],
}
# Of these documents each section has an example that runs or names a test, also one that is added later;
# but for those that promise nothing of their own.
RULED = {
    "clearing.md": ["8. Verification"],
    "market.md": [],
    "auctions.md": ["6. The record", "9. What it promises"],
    "capacity.md": [],
}
CITED = re.compile(r"`(test_\w+)(?:: (test_\w+))?`")


def differs(claimed, answer, where):
    """The first place where the answer is not what the text claims; None if there is none."""
    if isinstance(claimed, dict):
        if not isinstance(answer, dict):
            return f"{where}: {answer!r} is no object"
        if not claimed and answer:
            return f"{where}: the text says nothing is there, the program {answer!r}"
        for key, value in claimed.items():
            if key not in answer:
                return f"{where}.{key}: is not there"
            found = differs(value, answer[key], f"{where}.{key}")
            if found:
                return found
        return None
    if isinstance(claimed, list):
        if not isinstance(answer, list) or len(answer) != len(claimed):
            return f"{where}: {answer!r} is not of {len(claimed)} elements"
        for i, (a, b) in enumerate(zip(claimed, answer)):
            found = differs(a, b, f"{where}[{i}]")
            if found:
                return found
        return None
    same = type(claimed) is type(answer) and claimed == answer
    return None if same else f"{where}: the text says {claimed!r}, the program {answer!r}"


def section_of(text, at):
    """The title of the section or subsection at that place; empty before the first."""
    heads = [m for m in re.finditer(r"^###? (.*)$", text, re.M) if m.start() < at]
    return heads[-1].group(1) if heads else ""


def check_sections(name, text, run):
    """Each section that promises an example has one, and each that has rules has an example or a test."""
    for promised in PROMISED.get(name, []):
        if promised not in run:
            sys.exit(f"{name}: section {promised!r} has no example that runs")
    if name not in RULED:
        return
    shown = run | {section_of(text, m.start()) for m in CITED.finditer(text)}
    titles = re.findall(r"^###? (.*)$", text, re.M)
    for title in titles:
        if title not in shown and title not in RULED[name]:
            sys.exit(f"{name}: section {title!r} has neither an example that runs nor the name of a test")
    for title in RULED[name]:
        if title not in titles:
            sys.exit(f"{name}: there is no section {title!r}")


def check_one(program, problem, kind, claimed, where):
    done = subprocess.run([program, "-"], input=problem.encode(), capture_output=True)
    if kind == "text":
        line = done.stderr.decode().strip()
        if done.returncode != 2 or line != claimed.strip():
            sys.exit(f"{where}: must be refused by {claimed.strip()!r}, was {done.returncode}: {line!r}")
        return
    if done.returncode != 0:
        sys.exit(f"{where}: refused, {done.returncode}: {done.stderr.decode()}")
    found = differs(json.loads(claimed), json.loads(done.stdout), "result")
    if found:
        sys.exit(f"{where}: {found}")


def program_of(fence, programs):
    """The program that the block is a problem of, or None."""
    if fence.group(1) != "json":
        return None
    try:
        problem = json.loads(fence.group(2))
    except ValueError:
        return None
    return programs.get(problem.get("format")) if isinstance(problem, dict) else None


def check_document(path, programs):
    text = path.read_text()
    fences = list(FENCE.finditer(text))
    sections = set()
    for i, fence in enumerate(fences):
        program = program_of(fence, programs)
        if program is None:
            continue
        where = f"{path.name}:{text.count(chr(10), 0, fence.start()) + 1}"
        after = fences[i + 1] if i + 1 < len(fences) else None
        if after is None or after.group(1) not in ("json", "text") or program_of(after, programs):
            sys.exit(f"{where}: an example without a result")
        check_one(program, fence.group(2), after.group(1), after.group(2), where)
        sections.add(section_of(text, fence.start()))
        yield where
    check_sections(path.name, text, sections)


def tests_there_are():
    """Names of test programs, of scripts, and of all functions in them that begin with test_, these also
    as "program: function"."""
    root = SPEC.parents[1] / "tests"
    names = set()
    for path in [*root.rglob("*.c"), *root.rglob("*.py"), *root.rglob("*.sh")]:
        names.add(path.stem)
        if path.suffix != ".sh":
            functions = re.findall(r"\b(test_\w+)\(", path.read_text())
            names.update(functions)
            names.update(f"{path.stem}: {function}" for function in functions)
        if path.name.startswith("nemesis"):  # a scenario is a function of a cluster
            names.update("nemesis " + name for name in re.findall(r"^def (\w+)\(c\b", path.read_text(), re.M))
    return names


def check_citations(path, names):
    text = path.read_text()
    count = 0
    for match in CITED.finditer(text):
        name = match.group().strip("`")
        if name not in names:
            sys.exit(f"{path.name}:{text.count(chr(10), 0, match.start()) + 1}: there is no {name}")
        count += 1
    for match in re.finditer(r"nemesis ((?:`\w+`(?:, )?)+)", text):
        for name in re.findall(r"`(\w+)`", match.group(1)):
            if "nemesis " + name not in names:
                sys.exit(f"{path.name}: there is no scenario {name}")
            count += 1
    return count


def check_itself():
    """A check that cannot fail checks nothing."""
    assert differs({"a": "1"}, {"a": "1", "b": "2"}, "r") is None
    assert differs({"a": "1"}, {"a": "2"}, "r")
    assert differs({"a": 1}, {"a": True}, "r")
    assert differs({"a": {"b": "1"}}, {"a": {}}, "r")
    assert differs([{"a": "1"}], [{"a": "1"}, {"a": "1"}], "r")
    assert differs([{"a": "1"}], [{"a": "3"}], "r")
    assert differs({"a": {}}, {"a": {"0": "1"}}, "r")
    assert section_of("## 1\n### 1.1\nx\n", 12) == "1.1"


def main():
    check_itself()
    programs = {"flexclear/1": sys.argv[1], "flexsettle/1": sys.argv[2]}
    missing = [name for name in PROMISED if not (SPEC / name).exists()]
    if missing:
        sys.exit(f"missing: {missing}")
    count = sum(1 for path in sorted(SPEC.glob("*.md")) for _ in check_document(path, programs))
    names = tests_there_are()
    cited = sum(check_citations(path, names) for path in [*sorted(SPEC.glob("*.md")), SPEC.parent / "security.md"])
    print(f"doc examples: {count} run, and say what the programs say; {cited} tests are cited")


main()
