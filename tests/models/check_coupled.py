#!/usr/bin/env python3
"""flexclear `coupled` against glpsol and against a certificate check written apart from the C code.

For random problems of every kind: the welfare that glpsol finds for the same problem (a model written
here, all quantities whole numbers) is reached, the result keeps every rule, bound, gap, prices and
payments are what this file computes with Python's own integers, --verify agrees, and no mutated result
passes with a better claim.

check_coupled.py FLEXCLEAR [COUNT] [SEED] [--large]"""
import copy
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

PROGRAM = sys.argv[1]
NUMBERS = [int(a) for a in sys.argv[2:] if a.isdigit()]
COUNT = NUMBERS[0] if NUMBERS else 60
SEED = NUMBERS[1] if len(NUMBERS) > 1 else 1
LARGE = "--large" in sys.argv
FOLDER = Path(tempfile.mkdtemp(prefix="coupled-"))


def least(bid):
    whole = bid.get("indivisible") or bid.get("kind") == "all_or_none"
    return int(bid["quantity"]) if whole else max(1, int(bid.get("min_quantity", "0")))


def lump(bid):
    return least(bid) > 1


def sequences(problem):
    """Buyers' bids of one interval, by step, where there is more than one step."""
    found = {}
    for bid in problem["bids"]:
        if bid["side"] == "buy":
            steps = found.setdefault((bid["agent"], bid.get("interval", 0)), {})
            steps.setdefault(bid.get("order", 0), []).append(bid)
    return [[s[k] for k in sorted(s)] for s in found.values() if len(s) > 1]


def carrier(item):
    return item.get("carrier", "el")


def network_of(problem):
    network = problem["network"]
    nodes = {network["slack"]}
    for line in network.get("lines", []):
        nodes |= {line["from"], line["to"]}
    carriers = {"el"} | {carrier(i) for i in
                         network.get("lines", []) + network.get("rows", []) + problem["bids"]}
    return sorted(nodes), sorted(carriers)


def intervals(problem):
    return sorted({b.get("interval", 0) for b in problem["bids"]})


def terms(pairs):
    return " ".join(f"{'-' if c < 0 else '+'} {abs(c)} {v}" for c, v in pairs if c) or "+ 0 zero"


class Model:
    """The problem as a MIP in CPLEX's LP format."""

    def __init__(self, problem):
        self.rows, self.bounds, self.whole, self.binary = [], [], [], []
        self.problem = problem
        self.q = {b["id"]: f"q{i}" for i, b in enumerate(problem["bids"])}
        self.z = {}
        self.build()

    def row(self, pairs, op, right):
        self.rows.append(f" r{len(self.rows)}: {terms(pairs)} {op} {right}")

    def switch(self, name):
        self.binary.append(name)
        return name

    def on(self, bid):
        if bid["id"] not in self.z:
            z, q = self.switch("z" + self.q[bid["id"]]), self.q[bid["id"]]
            self.z[bid["id"]] = z
            if int(bid["quantity"]) == 0:
                self.row([(1, z)], "=", 0)
            self.row([(1, q), (-int(bid["quantity"]), z)], "<=", 0)
            self.row([(1, q), (-least(bid), z)], ">=", 0)
        return self.z[bid["id"]]

    def build(self):
        problem = self.problem
        ids = {b["id"]: b for b in problem["bids"]}
        for bid in problem["bids"]:
            self.bounds.append(f" 0 <= {self.q[bid['id']]} <= {bid['quantity']}")
            self.whole.append(self.q[bid["id"]])
            if lump(bid):
                self.on(bid)
        self.build_network()
        for link in problem.get("links", []):
            kind = link["type"]
            if kind == "convert":
                a, b = self.q[link["in"]], self.q[link["out"]]
                n, d = int(link["num"]), int(link["den"])
                self.row([(n, a), (-d, b)], ">=", 0)
                self.row([(n, a), (-d, b)], "<=", d - 1)
            elif kind == "sum":
                self.row([(1, self.q[i]) for i in link["bids"]], link["op"], link["quantity"])
            elif kind == "block":
                for i in link["bids"][1:]:
                    self.row([(1, self.q[link["bids"][0]]), (-1, self.q[i])], "=", 0)
            else:
                on = [self.on(ids[i]) for i in link["bids"]]
                if kind == "and":
                    for z in on[1:]:
                        self.row([(1, on[0]), (-1, z)], "=", 0)
                elif kind == "xor":
                    self.row([(1, z) for z in on], "<=", 1)
                else:
                    self.row([(1, z) for z in on[1:]] + [(-1, on[0])], ">=", 0)
        for number, steps in enumerate(sequences(problem)):
            for k in range(1, len(steps)):
                w = self.switch(f"w{number}_{k}")
                for bid in [b for s in steps[:k] for b in s]:
                    self.row([(1, self.q[bid["id"]]), (-int(bid["quantity"]), w)], ">=", 0)
                for bid in steps[k]:
                    self.row([(1, self.q[bid["id"]]), (-int(bid["quantity"]), w)], "<=", 0)

    def build_network(self):
        problem = self.problem
        nodes, carriers = network_of(problem)
        lines = problem["network"].get("lines", [])
        for t in intervals(problem):
            for k, line in enumerate(lines):
                self.bounds.append(f" -{line['capacity']} <= f{t}_{k} <= {line['capacity']}")
            for c in carriers:
                for node in nodes:
                    pairs = [(1 if b["side"] == "sell" else -1, self.q[b["id"]])
                             for b in problem["bids"]
                             if (b.get("interval", 0), carrier(b), b["node"]) == (t, c, node)]
                    for k, line in enumerate(lines):
                        if carrier(line) == c and node in (line["from"], line["to"]):
                            pairs.append((-1 if node == line["from"] else 1, f"f{t}_{k}"))
                    if pairs:
                        self.row(pairs, "=", 0)
            for item in problem["network"].get("rows", []):
                pairs = []
                for b in problem["bids"]:
                    if b.get("interval", 0) == t and carrier(b) == carrier(item):
                        sign = 1 if b["side"] == "sell" else -1
                        pairs.append((sign * int(item["coef"].get(b["node"], "0")),
                                      self.q[b["id"]]))
                self.row(pairs, item["op"], item["rhs"])

    def solve(self, seconds):
        objective = [(int(b["price"]) * (1 if b["side"] == "buy" else -1), self.q[b["id"]])
                     for b in self.problem["bids"]]
        text = ["Maximize", " obj: " + terms(objective), "Subject To", " r: + 0 zero >= -1",
                *self.rows, "Bounds", *self.bounds, "General", *(" " + v for v in self.whole),
                "Binary", *(" " + v for v in self.binary), "End"]
        path = FOLDER / "model.lp"
        path.write_text("\n".join(text) + "\n")
        # On some models glpsol's cuts end in its own assertions; without them it only takes longer.
        for more in (["--cuts"], []):
            done = subprocess.run(["glpsol", "--lp", path, "-o", FOLDER / "model.sol", *more,
                                   "--tmlim", str(seconds)], capture_output=True, text=True,
                                  check=False)
            if done.returncode == 0:
                break
        else:
            raise AssertionError(done.stdout + "\n".join(text))
        sol = (FOLDER / "model.sol").read_text()
        status = re.search(r"Status: +(.*)", sol).group(1)
        value = re.search(r"Objective: +obj = (\S+)", sol)
        return status, round(float(value.group(1)))


def keeps_rules(problem, result):
    """Every rule, read off the text of the spec."""
    q = {a["id"]: int(a["quantity"]) for a in result["accepted"]}
    assert [a["id"] for a in result["accepted"]] == [b["id"] for b in problem["bids"]]
    nodes, carriers = network_of(problem)
    lines = problem["network"].get("lines", [])
    for b in problem["bids"]:
        assert q[b["id"]] == 0 or least(b) <= q[b["id"]] <= int(b["quantity"])
    for steps in sequences(problem):
        for k, step in enumerate(steps):
            if any(q[b["id"]] for b in step):
                assert all(q[b["id"]] == int(b["quantity"]) for s in steps[:k] for b in s)
    for link in problem.get("links", []):
        got = [q[i] for i in link.get("bids", [])]
        on = sum(x > 0 for x in got)
        assert {"and": on in (0, len(got)), "xor": on <= 1, "block": len(set(got)) <= 1,
                "or": not got or got[0] == 0 or on > 1,
                "sum": {"<=": sum(got) <= int(link.get("quantity", 0)),
                        ">=": sum(got) >= int(link.get("quantity", 0)),
                        "=": sum(got) == int(link.get("quantity", 0))}[link.get("op", "=")],
                "convert": link["type"] != "convert" or q[link["out"]] ==
                q[link["in"]] * int(link["num"]) // int(link["den"])}[link["type"]], link
    for t in intervals(problem):
        flow = [int(f) for f in result["flow"][str(t)]] if lines else []
        assert all(abs(f) <= int(line["capacity"]) for f, line in zip(flow, lines))
        for c in carriers:
            injection = dict.fromkeys(nodes, 0)
            for b in problem["bids"]:
                if (b.get("interval", 0), carrier(b)) == (t, c):
                    injection[b["node"]] += q[b["id"]] * (1 if b["side"] == "sell" else -1)
            for item in problem["network"].get("rows", []):
                if carrier(item) == c:
                    left = sum(int(v) * injection[n] for n, v in item["coef"].items())
                    right = int(item["rhs"])
                    assert {"<=": left <= right, ">=": left >= right, "=": left == right}[item["op"]]
            for f, line in zip(flow, lines):
                if carrier(line) == c:
                    injection[line["from"]] -= f
                    injection[line["to"]] += f
            assert not any(injection.values())
    return q


def price_tables(problem, result):
    """pi and lambda of every (interval, carrier, node), as fractions."""
    duals = result["certificate"]["duals"]
    den = int(duals["den"])
    nodes, carriers = network_of(problem)
    pi, price = {}, {}
    for t in intervals(problem):
        for c in carriers:
            table = duals["node"] if c == "el" else duals["carrier_node"][c]
            said = result["node_price"] if c == "el" else result["carrier_price"][c]
            for n in nodes:
                pi[t, c, n] = Fraction(int(table[str(t)][n]), den)
                price[t, c, n] = pi[t, c, n]
                for k, item in enumerate(problem["network"].get("rows", [])):
                    if carrier(item) == c:
                        mu = Fraction(int(duals["row"][k][str(t)]), den)
                        price[t, c, n] -= mu * int(item["coef"].get(n, "0"))
                assert Fraction(said[str(t)][n]) == price[t, c, n]
    return den, pi, price


def joined(problem, sums):
    """Groups of bids that links (with or without sums) and steps join."""
    parent = {b["id"]: b["id"] for b in problem["bids"]}

    def find(i):
        while parent[i] != i:
            i = parent[i]
        return i
    for link in problem.get("links", []):
        if sums or link["type"] != "sum":
            bids = link.get("bids") or [link["in"], link["out"]]
            for i in bids[1:]:
                parent[find(i)] = find(bids[0])
    for steps in sequences(problem):
        bids = [b["id"] for s in steps for b in s]
        for i in bids[1:]:
            parent[find(i)] = find(bids[0])
    groups = {}
    for b in problem["bids"]:
        groups.setdefault(find(b["id"]), []).append(b)
    return list(groups.values())


def check_payments(problem, result, q, price):
    if "node" not in result["payments"]:
        return
    paid = result["payments"]["node"]
    welfare = int(result["welfare_neur"])
    at = {b["id"]: price[b.get("interval", 0), carrier(b), b["node"]] for b in problem["bids"]}
    sign = {b["id"]: 1 if b["side"] == "sell" else -1 for b in problem["bids"]}
    surplus = -sum(at[i] * sign[i] * q[i] for i in q)
    assert Fraction(paid["surplus_neur"]) == surplus
    gains = [sum((at[b["id"]] - int(b["price"])) * sign[b["id"]] * q[b["id"]] for b in group)
             for group in joined(problem, True)]
    losses, gained = -sum(g for g in gains if g < 0), sum(g for g in gains if g > 0)
    if welfare >= 0:
        assert Fraction(paid["make_whole_neur"]) == losses
        assert Fraction(paid["charged_neur"]) == max(0, losses - surplus) <= gained
        assert Fraction(paid["left_neur"]) == max(0, surplus - losses)
    for agent, ueur in paid["agents"].items():
        own = sum(-int(b["price"]) * sign[b["id"]] * q[b["id"]] for b in problem["bids"]
                  if b["agent"] == agent)
        # Whole before rounding, so short by under one after it.
        assert welfare < 0 or own + 1000 * int(ueur) > -1000
    total = sum(int(x) for x in paid["agents"].values())
    assert total == int(paid["balance_ueur"])
    assert 0 <= -(1000 * total + Fraction(paid["left_neur"])) < 1000 * max(1, len(paid["agents"]))


def check_bound(problem, result, den, pi, price):
    """Without linked sets and sums over lumps the bound is exact; with them it is held to lie under the
    relaxed one."""
    duals = result["certificate"]["duals"]
    total = Fraction(0)
    lines, rows = problem["network"].get("lines", []), problem["network"].get("rows", [])
    for t in intervals(problem):
        for line in lines:
            c = carrier(line)
            total += int(line["capacity"]) * abs(pi[t, c, line["to"]] - pi[t, c, line["from"]])
        for k, item in enumerate(rows):
            mu = int(duals["row"][k][str(t)])
            assert item["op"] == "=" or mu * (1 if item["op"] == "<=" else -1) >= 0
            total += Fraction(mu * int(item["rhs"]), den)
    sums = [link for link in problem.get("links", []) if link["type"] == "sum"]
    nu = {}
    for link, said in zip(sums, duals["sum"]):
        assert link["op"] == "=" or int(said) * (1 if link["op"] == "<=" else -1) >= 0
        total += Fraction(int(said) * int(link["quantity"]), den)
        for i in link["bids"]:
            nu[i] = nu.get(i, 0) + Fraction(int(said), den)
    lumps = {b["id"] for b in problem["bids"] if b.get("indivisible") or b.get("kind") == "all_or_none"
             or int(b.get("min_quantity", 0)) > 1}
    exact = not any(lumps & set(link["bids"]) for link in sums)
    for group in joined(problem, False):
        exact = exact and len(group) == 1
        for b in group:
            r = price[b.get("interval", 0), carrier(b), b["node"]] - int(b["price"])
            r = (r if b["side"] == "sell" else -r) - nu.get(b["id"], 0)
            total += max(0, r * int(b["quantity"]))
    bound = int(result["certificate"]["bound_neur"])
    ceiling = -((-total.numerator) // total.denominator)
    assert bound == ceiling if exact else bound <= ceiling


def run(arguments, text=None):
    return subprocess.run([PROGRAM, *arguments], input=text, capture_output=True, text=True,
                          check=False)


def verify(problem, result):
    (FOLDER / "problem.json").write_text(json.dumps(problem))
    (FOLDER / "result.json").write_text(json.dumps(result))
    return run(["--verify", FOLDER / "problem.json", FOLDER / "result.json"])


def mutate(rng, result):
    """One amount of the result changed; its path."""
    paths = []

    def walk(node, path):
        if isinstance(node, dict):
            for key in node:
                walk(node[key], path + [key])
        elif isinstance(node, list):
            for i, item in enumerate(node):
                walk(item, path + [i])
        elif isinstance(node, str) and re.fullmatch(r"-?\d+(/\d+)?", node) and path[-1] != "id":
            paths.append(path)
    walk(result, [])
    changed = copy.deepcopy(result)
    path = rng.choice(paths)
    node = changed
    for key in path[:-1]:
        node = node[key]
    value = Fraction(node[path[-1]]) + rng.choice([-1000, -7, -1, 1, 1, 2, 50])
    node[path[-1]] = str(value)
    return changed, path


def draw(rng, size):
    nodes = [f"R{i}" for i in range(rng.randint(1, 4 if size < 20 else 12))]
    flags = {k: rng.random() < 0.4 for k in ("links", "sums", "rows", "lumps", "steps", "heat")}
    most = 10 if size < 20 else 400
    slots = rng.choice([[0], [0], [0, 3], [0, 1, 2]])
    carriers = ["heat"] if rng.random() < 0.6 else ["heat", "gas", "cold"]
    agents = "abc" if rng.random() < 0.7 else "abcdefgh"
    bids = []
    for i in range(rng.randint(1, size)):
        side = rng.choice(["buy", "sell"])
        bid = {"id": f"b{i}", "agent": rng.choice(agents), "side": side, "node": rng.choice(nodes),
               "quantity": str(rng.randint(0 if rng.random() < 0.05 else 1, most)),
               "price": str(rng.randint(-20, 100) + (30 if side == "buy" else 0)),
               "interval": rng.choice(slots)}
        if flags["lumps"] and rng.random() < 0.3:
            bid["indivisible"] = rng.random() < 0.5
            bid["min_quantity"] = str(rng.randint(0, int(bid["quantity"])))
        if flags["steps"] and rng.random() < 0.5:
            bid["order"] = rng.randint(0, 2)
        if flags["heat"] and rng.random() < 0.3:
            bid["carrier"] = rng.choice(carriers)
        bids.append(bid)
    lines = [{"from": rng.choice(nodes[:i]), "to": nodes[i], "capacity": str(rng.randint(0, 2 * most))}
             for i in range(1, len(nodes))]
    if len(nodes) > 2 and rng.random() < 0.5:
        lines.append({"from": nodes[-1], "to": nodes[0], "capacity": str(rng.randint(0, most))})
    if flags["heat"]:
        lines += [{**line, "carrier": c} for c in carriers for line in lines[:rng.randint(1, 3)]
                  if "carrier" not in line]
    rows = []
    for _ in range(rng.randint(1, 2) if flags["rows"] else 0):
        op = rng.choice(["<=", "<=", ">="])
        right = rng.randint(0, 10 * most)
        rows.append({"coef": {n: str(rng.randint(-12, 12)) for n in nodes if rng.random() < 0.7},
                     "op": op, "rhs": str(right if op == "<=" else -right)})
        if flags["heat"] and rng.random() < 0.3:
            rows[-1]["carrier"] = carriers[0]
    links = draw_links(rng, bids, flags, most)
    return {"format": "flexclear/1", "mechanism": "coupled", "payments": ["node", "pay_as_bid"],
            "bids": bids, "links": links,
            "network": {"slack": nodes[0], "lines": lines, "rows": rows}}


def draw_links(rng, bids, flags, most):
    links, made = [], set()
    for _ in range(rng.randint(1, 1 + len(bids) // 4) if flags["links"] or flags["sums"] else 0):
        agent = rng.choice(bids)["agent"]
        own = [b["id"] for b in bids if b["agent"] == agent]
        if len(own) < 2:
            continue
        some = rng.sample(own, rng.randint(2, min(rng.choice([4, 4, 9]), len(own))))
        if flags["sums"] and rng.random() < 0.5:
            # Never what resting breaks, so that there always is a clearing.
            op = rng.choice(["<=", "<=", ">="])
            links.append({"type": "sum", "bids": some, "op": op,
                          "quantity": str(rng.randint(0, 2 * most) if op == "<=" else 0)})
        elif flags["links"] and flags["heat"] and rng.random() < 0.3 and some[1] not in made:
            if int(some[0][1:]) < int(some[1][1:]):
                made.add(some[1])
                links.append({"type": "convert", "in": some[0], "out": some[1],
                              "num": str(rng.randint(1, 7)), "den": str(rng.randint(1, 3))})
        elif flags["links"]:
            kind = rng.choice(["and", "or", "xor", "block"])
            links.append({"type": kind, "bids": some})
    return links


def check_one(rng, problem, seconds):
    text = json.dumps(problem)
    done = run(["--window", str(seconds)], text)
    if done.returncode != 0:
        # Circles of conversions through blocks are the only thing that this file draws wrong.
        assert done.returncode == 2 and ("conversion" in done.stderr), done.stderr + text
        return None
    result = json.loads(done.stdout)
    q = keeps_rules(problem, result)
    welfare = sum(int(b["price"]) * q[b["id"]] * (1 if b["side"] == "buy" else -1)
                  for b in problem["bids"])
    assert welfare == int(result["welfare_neur"])
    bound = int(result["certificate"]["bound_neur"])
    assert bound - welfare == int(result["certificate"]["gap_neur"]) >= 0
    den, pi, price = price_tables(problem, result)
    check_bound(problem, result, den, pi, price)
    check_payments(problem, result, q, price)
    plain = not problem["links"] and not problem["network"]["rows"] and not any(
        lump(b) for b in problem["bids"]) and not sequences(problem)
    assert not plain or bound == welfare, "a gap where none may be: " + text
    checked = verify(problem, result)
    assert checked.returncode == 0, checked.stderr + text
    for _ in range(4):
        changed, path = mutate(rng, result)
        said = verify(problem, changed)
        # Other multipliers may prove the very same bound; nothing else may change.
        other = said.returncode == 0 and path[:2] == ["certificate", "duals"]
        assert said.returncode == 4 or other, f"{path} passed\n{text}\n{json.dumps(changed)}"
    without = {k: v for k, v in result.items() if k not in ("flow", "proposed")}
    assert verify(problem, without).returncode == 0
    status, best = Model(problem).solve(seconds)
    assert bound >= best, f"the bound {bound} is under glpsol's {best}: {text}"
    if status.startswith("INTEGER OPTIMAL"):
        assert welfare == best or (LARGE and best - welfare <= best * 1e-3), \
            f"welfare {welfare}, glpsol {best}: {text}"
    return bound - welfare, welfare


def hostile():
    """Problems that somebody meant badly: a named error, or a clearing that says why it is no better."""
    a = {"id": "a", "agent": "d", "side": "buy", "node": "R", "quantity": "9", "price": "9"}
    b = {"id": "b", "agent": "e", "side": "sell", "node": "R", "quantity": "5", "price": "2"}
    c, d = {**b, "id": "c", "carrier": "heat"}, {**b, "id": "d", "carrier": "gas"}
    big = str(2**62 - 1)

    def problem(bids, links=(), **network):
        return {"format": "flexclear/1", "mechanism": "coupled", "bids": bids, "links": list(links),
                "network": {"slack": "R", **network}}

    def convert(x, y, num="1", den="1"):
        return {"type": "convert", "in": x, "out": y, "num": num, "den": den}

    def total(op, quantity, bids=("b", "c")):
        return {"type": "sum", "bids": list(bids), "op": op, "quantity": quantity}

    def row(coef, op, rhs):
        return {"coef": {"R": coef}, "op": op, "rhs": rhs}
    # A line that can't carry the power asked for, a ring of lines, prices all alike: 0 is a clearing.
    ring = [{"from": x, "to": y, "capacity": q} for x, y, q in
            [("R", "S", "0"), ("S", "T", "0"), ("T", "R", "0")]]
    fine = [problem([a, {**b, "node": "S"}], lines=ring), problem([{**a, "price": "2"}, b]),
            problem([{**a, "price": "0"}, {**b, "price": "0"}, {**b, "id": "z", "price": "0"}]),
            problem([a, b], rows=[row(str(2**63 - 1), "<=", str(2**63 - 1))] * 2),
            problem([{**a, "quantity": str(2**60)}, {**b, "quantity": str(2**60)}]),
            problem([a, b, c], [total("<=", "0"), total(">=", "0")])]
    for case in fine:
        done = run(["--window", "3"], json.dumps(case))
        assert done.returncode == 0, done.stderr + json.dumps(case)
        result = json.loads(done.stdout)
        keeps_rules(case, result)
        assert verify(case, result).returncode == 0
    assert json.loads(run([], json.dumps(fine[0])).stdout)["welfare_neur"] == "0"
    assert json.loads(run([], json.dumps(fine[1])).stdout)["certificate"]["gap_neur"] == "0"
    bad = [(problem([a, b, c], [convert("b", "c"), convert("c", "b")]), "conversion"),
           (problem([b, c, d], [convert("b", "c"), convert("c", "d"), convert("d", "b")]),
            "conversion"),
           (problem([a, b], [total("<=", "4", ["b"]), total(">=", "99", ["b"])]), "quantity"),
           (problem([a, b, c], [total("=", "3"), total("=", "4")]), ""),
           (problem([a, b], rows=[row("1", "=", "1")]), ""),
           (problem([a, b], rows=[row("2", ">=", "7"), row("2", "<=", "6")]), ""),
           (problem([a, {**b, "node": "nowhere"}]), "node"),
           (problem([a, b], [{"type": "xor", "bids": ["b", "b"]}]), "bid"),
           (problem([{**a, "quantity": big}, {**b, "quantity": big}]), "quantit"),
           (problem([{**a, "quantity": big, "price": str(2**63 - 1)}, b]), ""),
           (problem([a, b], rows=[row(str(2**63), "<=", "1")]), "coef"),
           (problem([a, b, c], [convert("b", "c", "1", "0")]), "den")]
    for case, word in bad:
        done = run(["--window", "3"], json.dumps(case))
        assert done.returncode == 2 and done.stderr.strip() and word in done.stderr, \
            f"{done.returncode} {done.stderr} {json.dumps(case)}"
    return len(fine) + len(bad)


def check_without_solver():
    """Who verifies links no solver and needs none; who clears without one gets the floor and why."""
    linked = subprocess.run(["ldd", PROGRAM], capture_output=True, text=True, check=True).stdout
    names = subprocess.run(["nm", "-D", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert "glpk" not in linked and "glp_" not in names, "flexclear links the solver"
    solver = Path(PROGRAM).parent / "flexsolve"
    linked = subprocess.run(["ldd", solver], capture_output=True, text=True, check=True).stdout
    assert "glpk" in linked, "this test could not see a solver if there were one"
    alone = FOLDER / "flexclear"
    shutil.copy(PROGRAM, alone)
    bids = [{"id": "b", "agent": "d", "side": "buy", "node": "R", "quantity": "9", "price": "9"},
            {"id": "s", "agent": "e", "side": "sell", "node": "R", "quantity": "5", "price": "2"},
            {"id": "t", "agent": "e", "side": "sell", "node": "R", "quantity": "6", "price": "1",
             "indivisible": True}]
    problem = {"format": "flexclear/1", "mechanism": "coupled", "bids": bids,
               "links": [{"type": "and", "bids": ["s", "t"]}], "network": {"slack": "R"}}
    (FOLDER / "problem.json").write_text(json.dumps(problem))
    result = json.loads(run([FOLDER / "problem.json"]).stdout)
    assert result["proposed"]["by"] == "solver" and result["welfare_neur"] == "69"
    (FOLDER / "result.json").write_text(json.dumps(result))
    done = subprocess.run([alone, "--verify", FOLDER / "problem.json", FOLDER / "result.json"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([alone, FOLDER / "problem.json"], capture_output=True, text=True,
                          check=False)
    floor = json.loads(done.stdout)
    assert done.returncode == 0 and floor["welfare_neur"] == "0"
    assert floor["proposed"] == {"by": "floor",
                                 "why": "there is no program flexsolve beside this one"}
    (FOLDER / "result.json").write_text(json.dumps(floor))
    assert verify(problem, floor).returncode == 0
    # A floor that passes itself off as better is found out.
    assert verify(problem, {**floor, "welfare_neur": "69"}).returncode == 4


def main():
    if shutil.which("glpsol") is None:
        sys.exit("check_coupled: no glpsol; run make deps")
    check_without_solver()
    meant_badly = hostile()
    rng = random.Random(SEED)
    gaps = relative = done = refused = 0
    for _ in range(COUNT):
        problem = draw(rng, 400 if LARGE else 12)
        outcome = check_one(rng, problem, 10)
        if outcome is None:
            refused += 1
            continue
        done += 1
        gaps += outcome[0] > 0
        relative = max(relative, outcome[0] / max(1, outcome[1]) if outcome[1] > 1000 else 0)
    assert done > refused
    shutil.rmtree(FOLDER)
    print(f"coupled: {done} problems reach glpsol's welfare, {gaps} with a gap (largest "
          f"{100 * relative:.3f} %), {4 * done} mutations found, {meant_badly} meant badly")


main()
