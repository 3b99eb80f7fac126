"""A slow model of clearing, written from docs/spec/clearing.md and not from the code: quantities are
expanded into single units or enumerated whole, coalitions and orders of arrival are all tried, and
fractions stay fractions until the one rounding. solve(problem) gives the whole result."""
from fractions import Fraction
from itertools import permutations, product
from math import floor


def with_defaults(bid):
    out = {"min_quantity": "0", "indivisible": False, "order": 0, "interval": 0, "kind": "limit"}
    out.update(bid)
    for key in ("quantity", "price", "min_quantity"):
        out[key] = int(out[key])
    return out


def is_whole(bid):
    return bid["indivisible"] or bid["kind"] == "all_or_none"


def by_interval(bids):
    groups = {}
    for bid in bids:
        groups.setdefault(bid["interval"], []).append(bid)
    return sorted(groups.items())


# --- merit order: the k-th best unit of demand against the k-th best unit of supply

def units(bids, sign):
    """(price, bid) per unit, best first; equal prices in time order."""
    out = []
    for bid in bids:
        out += [bid] * bid["quantity"]
    return sorted(out, key=lambda b: sign * b["price"])  # sorted() is stable


def share(bids, volume, sign, tie):
    """Quantities of one side that trades `volume` in merit order."""
    got = {b["id"]: 0 for b in bids}
    for price in sorted({b["price"] for b in bids}, key=lambda p: sign * p):
        level = [b for b in bids if b["price"] == price]
        total = sum(b["quantity"] for b in level)
        part = min(total, volume)
        volume -= part
        if tie == "time" or part == total:
            for b in level:
                got[b["id"]] = min(part, b["quantity"])
                part -= got[b["id"]]
        else:
            exact = [Fraction(b["quantity"] * part, total) for b in level]
            give = [floor(x) for x in exact]
            order = sorted(range(len(level)), key=lambda i: (give[i] - exact[i], i))
            for i in order[: part - sum(give)]:
                give[i] += 1
            for b, g in zip(level, give):
                got[b["id"]] = g
    return got


def clear_merit(bids, tie):
    buys = [b for b in bids if b["side"] == "buy"]
    sells = [b for b in bids if b["side"] == "sell"]
    pairs = list(zip(units(buys, -1), units(sells, 1)))
    volume = sum(1 for b, s in pairs if b["price"] >= s["price"])
    got = share(buys, volume, -1, tie)
    got.update(share(sells, volume, 1, tie))
    if volume == 0:
        return got, None
    low = max(s["price"] for s in sells if got[s["id"]] > 0)
    low = max([low] + [b["price"] for b in buys if got[b["id"]] < b["quantity"]])
    high = min(b["price"] for b in buys if got[b["id"]] > 0)
    high = min([high] + [s["price"] for s in sells if got[s["id"]] < s["quantity"]])
    return got, (low, high)


# --- ordered demand: every volume is tried

def clear_ordered(bids, tie):
    buys = [b for b in bids if b["side"] == "buy"]
    sells = [b for b in bids if b["side"] == "sell"]
    queue = []
    for step in sorted({b["order"] for b in buys}):
        queue += units([b for b in buys if b["order"] == step], -1)
    supply = units(sells, 1)
    best, volume = 0, 0
    for k in range(1, min(len(queue), len(supply)) + 1):
        welfare = sum(q["price"] - s["price"] for q, s in zip(queue[:k], supply[:k]))
        if welfare >= best:
            best, volume = welfare, k
    got = {b["id"]: 0 for b in bids}
    left = volume
    for step in sorted({b["order"] for b in buys}):
        level = [b for b in buys if b["order"] == step]
        part = min(left, sum(b["quantity"] for b in level))
        got.update(share(level, part, -1, tie))
        left -= part
    sold = share(sells, volume, 1, tie)
    for key in {(s["agent"], s["price"]) for s in sells}:  # eq. 3-8 among equals of one agent
        mine = [s for s in sells if (s["agent"], s["price"]) == key]
        part = sum(sold[s["id"]] for s in mine)
        for s in sorted(mine, key=lambda s: s["order"]):
            sold[s["id"]] = min(part, s["quantity"])
            part -= sold[s["id"]]
    got.update(sold)
    return got, None


# --- one-sided: every vector of quantities is tried

def clear_one_sided(bids, _tie):
    got = {b["id"]: 0 for b in bids}
    requests = [b for b in bids if b["side"] == "buy"]
    if not requests:
        return got, None
    request = requests[0]
    offers = [b for b in bids if b["side"] == "sell" and b["price"] <= request["price"]]
    choices = []
    for b in offers:
        least = b["quantity"] if is_whole(b) else b["min_quantity"]
        choices.append([x for x in range(b["quantity"] + 1) if x == 0 or x >= least])
    best = None
    for vector in product(*choices):
        total = sum(vector)
        if total > request["quantity"]:
            continue
        cost = sum(x * b["price"] for x, b in zip(vector, offers))
        if best is None or (total, -cost, vector) > best:
            best = (total, -cost, vector)
    need = request["quantity"] if is_whole(request) else request["min_quantity"]
    if best[0] >= need:
        got[request["id"]] = best[0]
        for x, b in zip(best[2], offers):
            got[b["id"]] = x
    return got, None


CALLS = {"merit_order": clear_merit, "ordered_demand": clear_ordered,
         "one_sided": clear_one_sided}


def clear_all(problem, bids):
    got, prices = {}, {}
    for interval, group in by_interval(bids):
        part, price = CALLS[problem["mechanism"]](group, problem.get("tie", "time"))
        got.update(part)
        if price is not None:
            prices[interval] = price
    return got, prices


def welfare_of(bids, got):
    return sum((1 if b["side"] == "buy" else -1) * b["price"] * got[b["id"]] for b in bids)


class Game:
    def __init__(self, problem, bids):
        self.problem, self.bids, self.known = problem, bids, {}

    def value(self, agents):
        key = frozenset(agents)
        if key not in self.known:
            mine = [b for b in self.bids if b["agent"] in key]
            self.known[key] = welfare_of(mine, clear_all(self.problem, mine)[0])
        return self.known[key]

    def shapley(self, agents):
        total = {a: 0 for a in agents}
        count = 0
        for order in permutations(agents):
            count += 1
            for k, a in enumerate(order):
                total[a] += self.value(order[: k + 1]) - self.value(order[:k])
        return {a: Fraction(total[a], count) for a in agents}


def rounded(neur):
    agents = {a: floor(Fraction(x) / 1000) for a, x in neur.items()}
    return {"agents": {a: str(x) for a, x in agents.items()},
            "balance_ueur": str(sum(agents.values()))}


def pay_auction(name, problem, bids, agents, got, prices, game):
    worth = {a: welfare_of([b for b in bids if b["agent"] == a], got) for a in agents}
    everyone = game.value(agents)
    marginal = {a: everyone - game.value([x for x in agents if x != a]) for a in agents}
    if name == "pay_as_bid":
        if problem["mechanism"] != "one_sided":
            return rounded({a: -worth[a] for a in agents})
        neur = {a: 0 for a in agents}
        for _, group in by_interval(bids):
            for b in group:
                if b["side"] == "sell" and got[b["id"]]:
                    buyer = next(x["agent"] for x in group if x["side"] == "buy")
                    neur[b["agent"]] += b["price"] * got[b["id"]]
                    neur[buyer] -= b["price"] * got[b["id"]]
        return rounded(neur)
    if name == "uniform":
        neur = {a: 0 for a in agents}
        for b in bids:
            if got[b["id"]]:
                low, high = prices[b["interval"]]
                sign = -1 if b["side"] == "buy" else 1
                neur[b["agent"]] += sign * ((low + high) // 2) * got[b["id"]]
        return rounded(neur)
    if name == "vcg":
        return rounded({a: marginal[a] - worth[a] for a in agents})
    if name == "vcg_sellers":
        buyers = {b["agent"] for b in bids if b["side"] == "buy"}
        neur = {a: marginal[a] - worth[a] for a in agents if a not in buyers}
        total = sum(neur.values())
        utility = sum(worth[a] for a in buyers)
        mixed = any(worth[a] > 0 for a in buyers) and any(worth[a] < 0 for a in buyers)
        if total > utility or mixed or (utility == 0 and total != 0):
            other = "uniform" if problem["mechanism"] == "merit_order" else "pay_as_bid"
            out = pay_auction(other, problem, bids, agents, got, prices, game)
            out["fallback"] = other
            return out
        for a in buyers:
            neur[a] = -Fraction(total * worth[a], utility) if utility else 0
        return rounded({a: neur[a] for a in agents})
    values = game.shapley(agents)
    out = rounded({a: values[a] - worth[a] for a in agents})
    out["values"] = {a: str(floor(values[a])) for a in agents}
    return out


def solve_auction(problem, bids, agents):
    got, prices = clear_all(problem, bids)
    game = Game(problem, bids)
    welfare = welfare_of(bids, got)
    quantity = sum(got[b["id"]] for b in bids if b["side"] == "buy")
    out = {"welfare_neur": str(welfare), "quantity": str(quantity)}
    if problem["mechanism"] == "merit_order":
        out["price"] = {str(t): str((a + b) // 2) for t, (a, b) in prices.items()}
        out["price_interval"] = {str(t): [str(a), str(b)] for t, (a, b) in prices.items()}
    if problem["mechanism"] == "one_sided":
        out["certificate"] = {"bound_neur": str(welfare), "gap_neur": "0",
                              "bound_quantity": str(quantity), "gap_quantity": "0",
                              "proven": True}
    out["payments"] = {name: pay_auction(name, problem, bids, agents, got, prices, game)
                       for name in problem.get("payments", [])}
    if problem.get("excess"):
        values = game.shapley(agents)
        out["excess"] = []
        for mask in range(1, 2 ** len(agents)):
            group = [a for i, a in enumerate(agents) if mask >> i & 1]
            excess = game.value(group) - sum(values[a] for a in group)
            out["excess"].append({"agents": group, "excess_neur": str(floor(excess))})
    return out, got


# --- continuous: a list of resting orders, looked through from the start each time

def solve_continuous(problem, bids, agents):
    book, trades, got = [], [], {b["id"]: 0 for b in bids}
    neur = {a: 0 for a in agents}

    def fills(order):
        sign = 1 if order["side"] == "buy" else -1
        other = [r for r in book if r["side"] != order["side"]
                 and r["interval"] == order["interval"]
                 and sign * r["price"] <= sign * order["price"]]
        other.sort(key=lambda r: sign * r["price"])  # stable: time within a price
        left, out = order["quantity"], []
        for r in other:
            rest = r["quantity"] - got[r["id"]]
            take = min(left, rest)
            if take == 0 or r["agent"] == order["agent"]:
                continue
            if r["indivisible"] and take != r["quantity"]:
                continue
            if got[r["id"]] == 0 and take < r["min_quantity"]:
                continue
            out.append((r, take))
            left -= take
        return out

    for order in bids:
        if order["quantity"] == 0:
            continue
        wanted = fills(order)
        total = sum(take for _, take in wanted)
        least = order["quantity"] if is_whole(order) else order["min_quantity"]
        if total < least:
            wanted = []
        for r, take in wanted:
            bid, ask = (order, r) if order["side"] == "buy" else (r, order)
            price = {"resting": r["price"], "bid": bid["price"], "ask": ask["price"],
                     "midpoint": (bid["price"] + ask["price"]) // 2}[
                         problem.get("trade_price", "resting")]
            got[r["id"]] += take
            got[order["id"]] += take
            neur[bid["agent"]] -= price * take
            neur[ask["agent"]] += price * take
            trades.append({"bid": bid["id"], "ask": ask["id"], "quantity": str(take),
                           "price": str(price)})
        book = [r for r in book if got[r["id"]] < r["quantity"]]
        if order["kind"] == "limit" and got[order["id"]] < order["quantity"]:
            book.append(order)
    resting = {r["id"] for r in book}
    out = {"welfare_neur": str(welfare_of(bids, got)),
           "quantity": str(sum(got[b["id"]] for b in bids if b["side"] == "buy")),
           "trades": trades,
           "book": [{"id": b["id"], "quantity": str(b["quantity"] - got[b["id"]])}
                    for b in bids if b["id"] in resting],
           "payments": {name: rounded(neur) for name in problem.get("payments", [])}}
    return out, got


# --- capacity

def solve_capacity(problem, bids, agents):
    tree = {e["node"]: e for e in problem["tree"]}

    def path(node):
        while node in tree:
            yield node
            node = tree[node].get("parent")

    got = {b["id"]: 0 for b in bids}
    tables = {"buy": {}, "sell": {}}
    rule = problem["rule"]
    for interval, group in by_interval(bids):
        for side in ("buy", "sell"):
            walk = [b for b in group if b["side"] == side and b["quantity"] > 0]
            if rule == "premium":
                walk.sort(key=lambda b: -b["price"])
            if rule == "highest_demand":
                walk.sort(key=lambda b: -b["quantity"])
            left = {n: int(tree[n]["capacity"]) for n in tree}
            accepted = {n: [] for n in tree}
            refused = {n: [] for n in tree}
            for b in walk:
                room = min([left[n] for n in path(b["node"])] + [b["quantity"]])
                need = b["quantity"] if is_whole(b) else max(1, b["min_quantity"])
                if room < need:
                    culprit = [n for n in path(b["node"]) if left[n] < need][0]
                    refused[culprit].append(b["price"])
                    continue
                got[b["id"]] = room
                for n in path(b["node"]):
                    left[n] -= room
                    accepted[n].append(b["price"])
                if room < b["quantity"]:
                    refused[[n for n in path(b["node"]) if left[n] == 0][0]].append(b["price"])
            prices = {}
            for n in tree:
                fitting = [p for p in refused[n] if accepted[n] and p <= min(accepted[n])]
                prices[n] = max(fitting, default=0)
            tables[side][interval] = prices
    total = sum(got.values())
    out = {"welfare_neur": str(sum(b["price"] * got[b["id"]] for b in bids)),
           "quantity": str(total), "payments": {}}
    if rule == "premium":
        def text(side):
            return {str(t): {n: str(p) for n, p in prices.items()}
                    for t, prices in tables[side].items()}
        out["constraint_price"] = text("buy")
        if any(b["side"] == "sell" for b in bids):
            out["constraint_price_export"] = text("sell")
    for name in problem.get("payments", []):
        neur = {a: 0 for a in agents}
        for b in bids if rule == "premium" else []:
            price = b["price"]
            if name == "uniform":
                price = max([tables[b["side"]][b["interval"]][n] for n in path(b["node"])] + [0])
            neur[b["agent"]] -= price * got[b["id"]]
        out["payments"][name] = rounded(neur)
    return out, got


def solve(problem):
    bids = [with_defaults(b) for b in problem["bids"]]
    agents = list(dict.fromkeys(b["agent"] for b in bids))
    kind = {"continuous": solve_continuous, "capacity": solve_capacity}
    out, got = kind.get(problem["mechanism"], solve_auction)(problem, bids, agents)
    out["format"] = "flexclear-result/1"
    out["accepted"] = [{"id": b["id"], "quantity": str(got[b["id"]])} for b in bids]
    return out
