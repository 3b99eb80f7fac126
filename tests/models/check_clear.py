#!/usr/bin/env python3
"""flexclear against the slow model, on random small problems of every mechanism: the whole result,
key by key. Also what must hold whatever the numbers: nobody loses, VCG gives no reason to lie, a
better price never trades less, the place in the list means nothing where the rule says so; and that
--verify finds every change.

check_clear.py FLEXCLEAR [COUNT] [SEED]     COUNT problems per mechanism"""
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import clear_oracle  # noqa: E402

PROGRAM = sys.argv[1]
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 120
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 1
PAYMENTS = ["pay_as_bid", "uniform", "vcg", "vcg_sellers", "shapley"]


def run(problem):
    text = problem if isinstance(problem, str) else json.dumps(problem)
    done = subprocess.run([PROGRAM], input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"exit {done.returncode}: {done.stderr}\n{text}")
    return json.loads(done.stdout)


def compare(problem):
    got, want = run(problem), clear_oracle.solve(problem)
    if got != want:
        for key in sorted(set(got) | set(want)):
            if got.get(key) != want.get(key):
                print(f"{key}\n  flexclear {got.get(key)}\n  model     {want.get(key)}")
        raise AssertionError("differs on " + json.dumps(problem))
    return got


def draw_bid(rng, i, agent, side, most=6, low=-2, high=9):
    # Prices that are no multiples of 1000 neur, so that every rounding shows.
    return {"id": f"b{i}", "agent": agent, "side": side,
            "quantity": str(rng.randint(0 if rng.random() < 0.05 else 1, most)),
            "price": str(rng.randint(low, high) * rng.choice([1, 1, 7, 137]))}


def draw_auction(rng, mechanism):
    intervals = rng.choice([[0], [0], [3, 1], [0, 1, 4294967295]])
    buyers = ["dso"] if mechanism == "ordered_demand" else ["dso", "brp"]
    # Above 0 prices keep the buyers' utility positive; below it the fallbacks have work.
    low = rng.choice([-9, -9, -2, 0, 1])
    bids = []
    for i in range(rng.randint(0, 9)):
        buys = rng.random() < 0.45
        agent = rng.choice(buyers) if buys else rng.choice(["f1", "f2", "f3"])
        bid = draw_bid(rng, i, agent, "buy" if buys else "sell", low=low)
        bid["interval"] = rng.choice(intervals)
        if mechanism == "ordered_demand" and buys:
            bid["order"] = rng.randint(0, 3)
        bids.append(bid)
    if mechanism == "ordered_demand":
        give_rising_steps(rng, bids)
    return {"format": "flexclear/1", "mechanism": mechanism,
            "tie": rng.choice(["time", "pro_rata"]), "bids": bids}


def give_rising_steps(rng, bids):
    """Sellers' steps such that no later one is cheaper."""
    for agent in ("f1", "f2", "f3"):
        prices = sorted({int(b["price"]) for b in bids if b["agent"] == agent})
        for b in bids:
            if b["agent"] == agent:
                b["order"] = 2 * prices.index(int(b["price"])) + rng.randint(0, 1)


def draw_one_sided(rng):
    bids, i = [], 0
    # Few prices make many vectors of equal cost, among which the rule must choose.
    dearest = rng.choice([0, 1, 9])
    for interval in rng.choice([[0], [0], [2, 7]]):
        group = []
        if rng.random() < 0.95:
            request = draw_bid(rng, i, "dso", "buy", most=14, low=1)
            request["price"] = str(rng.randint(0, 12))
            if rng.random() < 0.2:
                request["min_quantity"] = str(rng.randint(0, int(request["quantity"])))
            if rng.random() < 0.1:
                request["indivisible"] = True
            group.append(request)
            i += 1
        for _ in range(rng.randint(0, 5)):
            bid = draw_bid(rng, i, rng.choice(["f1", "f2", "f3"]), "sell", low=-1)
            bid["price"] = str(rng.randint(-1, dearest))
            if rng.random() < 0.4:
                bid["indivisible"] = True
            elif rng.random() < 0.5:
                bid["min_quantity"] = str(rng.randint(0, int(bid["quantity"])))
            elif rng.random() < 0.2:
                bid["kind"] = rng.choice(["all_or_none", "fill_and_kill"])
            group.append(bid)
            i += 1
        for bid in group:
            bid["interval"] = interval
        bids += group
    rng.shuffle(bids)
    return {"format": "flexclear/1", "mechanism": "one_sided", "bids": bids}


def draw_continuous(rng):
    bids = []
    for i in range(rng.randint(0, 24)):
        bid = draw_bid(rng, i, rng.choice("abcd"), rng.choice(["buy", "sell"]), low=0)
        bid["interval"] = rng.choice([0, 0, 5])
        if rng.random() < 0.25:
            bid["indivisible"] = True
        if rng.random() < 0.3:
            bid["min_quantity"] = str(rng.randint(0, int(bid["quantity"])))
        if rng.random() < 0.3:
            bid["kind"] = rng.choice(["all_or_none", "fill_and_kill"])
        bids.append(bid)
    return {"format": "flexclear/1", "mechanism": "continuous", "bids": bids,
            "trade_price": rng.choice(["resting", "bid", "ask", "midpoint"]),
            "payments": ["pay_as_bid"]}


def draw_capacity(rng):
    names = ["R1", "R2", "R3", "R4", "R5"]
    tree = []
    for k, name in enumerate(names):
        entry = {"node": name, "capacity": str(rng.randint(0, 16))}
        if k > 0 or rng.random() < 0.5:
            entry["parent"] = rng.choice(names[:k] + ["R0"])
        tree.append(entry)
    rng.shuffle(tree)
    roots = [e["parent"] for e in tree if e.get("parent") == "R0"][:1]
    bids = []
    for i in range(rng.randint(0, 14)):
        bid = draw_bid(rng, i, rng.choice("abcd"), "buy" if rng.random() < 0.7 else "sell",
                       most=9, low=0)
        bid["node"] = rng.choice(names + roots)
        bid["interval"] = rng.choice([0, 0, 1])
        if rng.random() < 0.3:
            bid["indivisible"] = True
        elif rng.random() < 0.4:
            bid["min_quantity"] = str(rng.randint(0, int(bid["quantity"])))
        bids.append(bid)
    return {"format": "flexclear/1", "mechanism": "capacity", "bids": bids, "tree": tree,
            "rule": rng.choice(["premium", "premium", "first_come", "highest_demand"]),
            "payments": ["pay_as_bid", "uniform"]}


def check_nobody_loses(problem, result):
    """Exactly in neur, so after rounding by less than 1 ueur."""
    worth = {}
    got = {a["id"]: int(a["quantity"]) for a in result["accepted"]}
    for b in problem["bids"]:
        sign = 1 if b["side"] == "buy" else -1
        worth[b["agent"]] = worth.get(b["agent"], 0) + sign * int(b["price"]) * got[b["id"]]
    for name in ("pay_as_bid", "uniform", "vcg"):
        for agent, paid in result["payments"].get(name, {}).get("agents", {}).items():
            if problem["mechanism"] == "one_sided" and name == "vcg":
                continue  # its allocation prefers quantity to welfare, so VCG promises nothing
            assert worth[agent] + 1000 * int(paid) > -1000, (name, agent, problem)


def check_seed_tables(problem, result):
    """D2.3 tables 3-6 and 3-9: one buyer's VCG payment is minus the sellers' cost; Shapley and
    uniform balance before rounding, so after it by less than 1 ueur per agent."""
    pays = result["payments"]
    agents = len({b["agent"] for b in problem["bids"]})
    for name in ("uniform", "shapley"):
        if name in pays:
            assert -agents <= int(pays[name]["balance_ueur"]) <= 0, (name, problem)
    if "shapley" in pays and agents:
        total = sum(int(v) for v in pays["shapley"]["values"].values())
        assert 0 <= int(result["welfare_neur"]) - total < agents, problem
    buyers = {b["agent"] for b in problem["bids"] if b["side"] == "buy"}
    if len(buyers) == 1 and "vcg" in pays:
        got = {a["id"]: int(a["quantity"]) for a in result["accepted"]}
        cost = sum(int(b["price"]) * got[b["id"]] for b in problem["bids"] if b["side"] == "sell")
        # Negative prices let sellers be paid by... nobody: without the buyer nothing trades.
        assert int(pays["vcg"]["agents"][next(iter(buyers))]) == (-cost) // 1000, problem


def check_auctions(rng):
    for mechanism in ("merit_order", "ordered_demand"):
        for _ in range(COUNT):
            problem = draw_auction(rng, mechanism)
            names = [p for p in PAYMENTS if mechanism == "merit_order" or p != "uniform"]
            problem["payments"] = rng.sample(names, rng.randint(0, len(names)))
            problem["excess"] = rng.random() < 0.2
            result = compare(problem)
            check_nobody_loses(problem, result)
            check_seed_tables(problem, result)


def check_others(rng):
    for _ in range(COUNT):
        problem = draw_one_sided(rng)
        names = [p for p in PAYMENTS if p != "uniform"]
        problem["payments"] = rng.sample(names, rng.randint(0, len(names)))
        problem["excess"] = rng.random() < 0.1
        result = compare(problem)
        check_nobody_loses(problem, result)
        check_seed_tables(problem, result)
        compare(draw_continuous(rng))
        compare(draw_capacity(rng))


def check_truthfulness(rng):
    """Under VCG no agent gains by another price than its own; exactly in neur, so with rounding
    both ways by less than 2 ueur."""
    for _ in range(COUNT // 2):
        problem = draw_auction(rng, "merit_order")
        problem["payments"] = ["vcg"]
        if not problem["bids"]:
            continue
        liar = rng.choice(problem["bids"])["agent"]
        lie = json.loads(json.dumps(problem))
        for b in lie["bids"]:
            if b["agent"] == liar and rng.random() < 0.8:
                b["price"] = str(int(b["price"]) + rng.randint(-300, 300))

        def gain(asked, problem=problem, liar=liar):
            result = run(asked)
            got = {a["id"]: int(a["quantity"]) for a in result["accepted"]}
            true = sum((1 if b["side"] == "buy" else -1) * int(b["price"]) * got[b["id"]]
                       for b in problem["bids"] if b["agent"] == liar)
            return true + 1000 * int(result["payments"]["vcg"]["agents"][liar])

        assert gain(lie) < gain(problem) + 1000, (liar, problem, lie)


def check_monotonicity(rng):
    """Who bids a better price trades no less for it, and all together no less either, but in ordered
    demand, where it is welfare that grows. There only the buyer's bids, since a seller's steps must go
    on rising; in one_sided the offers."""
    sides = {"merit_order": ("buy", "sell"), "ordered_demand": ("buy",), "one_sided": ("sell",)}
    for mechanism, sides_of in sides.items():
        for _ in range(COUNT // 2):
            one_sided = mechanism == "one_sided"
            problem = draw_one_sided(rng) if one_sided else draw_auction(rng, mechanism)
            able = [b for b in problem["bids"] if b["side"] in sides_of]
            if not able:
                continue
            better = rng.choice(able)
            before = run(problem)
            step = rng.randint(1, 6)
            better["price"] = str(int(better["price"]) + (step if better["side"] == "buy" else -step))
            after = run(problem)
            got = [next(int(a["quantity"]) for a in result["accepted"] if a["id"] == better["id"])
                   for result in (before, after)]
            assert got[0] <= got[1], (better, got, problem)
            if mechanism != "ordered_demand":
                assert int(before["quantity"]) <= int(after["quantity"]), (better, problem)


def check_order_independence(rng):
    """With pro rata ties, money per agent and what is accepted at other prices than the marginal
    one don't depend on the place in the list."""
    for _ in range(COUNT // 2):
        problem = draw_auction(rng, "merit_order")
        problem["payments"] = ["vcg"]
        first = run(problem)
        rng.shuffle(problem["bids"])
        second = run(problem)
        for key in ("welfare_neur", "quantity", "price", "price_interval"):
            assert first[key] == second[key], (key, problem)


def check_estimate(rng):
    """Agents that never trade change nobody's Shapley value, but make it one that is estimated: it
    must be near the exact one, add up, and follow from the seed alone."""
    for _ in range(3):
        problem = draw_auction(rng, "merit_order")
        problem["payments"] = ["shapley"]
        exact = run(problem)["payments"]["shapley"]["values"]
        problem["bids"] = problem["bids"] + [
            {"id": f"n{i}", "agent": f"nobody{i}", "side": "buy", "quantity": "0", "price": "1"}
            for i in range(21)]
        problem["seed"] = f"{rng.getrandbits(256):064x}"
        result = run(problem)
        shapley = result["payments"]["shapley"]
        error = int(shapley["estimate"]["error_neur"])
        values = {a: int(v) for a, v in shapley["values"].items()}
        assert error == -(-int(result["welfare_neur"]) // 16)
        assert all(abs(values[a] - int(v)) <= error + 1 for a, v in exact.items()), problem
        assert all(values[f"nobody{i}"] == 0 for i in range(21)), problem
        assert 0 <= int(result["welfare_neur"]) - sum(values.values()) < len(values), problem
        assert run(problem) == result
    # Sellers of the same thing at rising prices: who comes first gets more, so the mean over
    # drawn orders depends on the draw.
    bids = [{"id": "r", "agent": "dso", "side": "buy", "quantity": "5000", "price": "9000"}]
    bids += [{"id": f"s{i}", "agent": f"f{i}", "side": "sell", "quantity": "5000",
              "price": str(1000 * i)} for i in range(24)]
    problem = {"format": "flexclear/1", "mechanism": "merit_order", "bids": bids,
               "payments": ["shapley"]}
    drawn = [run({**problem, "seed": seed})["payments"]["shapley"]["values"]
             for seed in ("00", "01")]
    assert drawn[0] != drawn[1]


def check_verify(rng):
    def change(value):
        """One random leaf of the result, changed."""
        if isinstance(value, dict) and value:
            key = rng.choice(sorted(value))
            return {**value, key: change(value[key])}
        if isinstance(value, list) and value:
            k = rng.randrange(len(value))
            return value[:k] + [change(value[k])] + value[k + 1:]
        if isinstance(value, bool):
            return not value
        if isinstance(value, str) and value.lstrip("-").isdigit():
            return str(int(value) + rng.choice([-1, 1]))
        return "else"

    with tempfile.TemporaryDirectory() as folder:
        problem_path, result_path = Path(folder, "problem"), Path(folder, "result")
        for _ in range(max(20, COUNT // 4)):
            problem = rng.choice([lambda: draw_auction(rng, "merit_order"),
                                  lambda: draw_one_sided(rng), lambda: draw_continuous(rng),
                                  lambda: draw_capacity(rng)])()
            result = run(problem)
            problem_path.write_text(json.dumps(problem))
            for good, text in ((True, json.dumps(result)), (False, json.dumps(change(result))),
                               (False, json.dumps({**result, "more": "1"})), (False, "{")):
                result_path.write_text(text)
                done = subprocess.run([PROGRAM, "--verify", str(problem_path), str(result_path)],
                                      capture_output=True, text=True, check=False)
                assert done.returncode == (0 if good else 4), (text, problem, done.stderr)
                assert good == (done.stderr == "") and done.stdout == "", done
        problem_path.write_text("{}")
        done = subprocess.run([PROGRAM, "--verify", str(problem_path), str(result_path)],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 2, done


def main():
    rng = random.Random(SEED)
    for check in (check_auctions, check_others, check_truthfulness, check_monotonicity,
                  check_order_independence, check_estimate, check_verify):
        check(rng)
        print(f"clear: {check.__name__} passed ({COUNT} per mechanism, seed {SEED})", flush=True)


if __name__ == "__main__":
    main()
