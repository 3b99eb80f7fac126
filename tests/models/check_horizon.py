#!/usr/bin/env python3
"""The rolling horizon of coupled auctions against a model that was written apart from contracts/.

usage: check_horizon.py PROGRAM [CASES]

PROGRAM (test_coupled_horizon) plays random rounds and writes down what was placed, what each solution took and
what became of every order. From what was placed alone, this works out by docs/spec/coupled.md 17 which bids
each problem has, whether quantities keep the rules and are the best (by trying all of them), what binds, what
is left of links, and who is over. Exit 1 with the first difference.
"""
import itertools, os, subprocess, sys, tempfile

AND, OR, XOR, SUM, BLOCK, CONVERT = range(6)
AHEAD = 2
DEVICE_NODE = {"at-alice": "leaf", "at-bob": "f1", "at-carol": "f2"}


class Bid:
    def __init__(self, order, first, start, words):
        buy, interval, quantity, price, least, whole = map(int, words[:6])
        self.order, self.first, self.slot = order, first, start + interval
        self.buy, self.quantity, self.price, self.least, self.whole = buy, quantity, price, least, whole
        self.node = words[6] if buy else DEVICE_NODE[words[6]]
        self.open, self.traded = True, 0


class Link:
    def __init__(self, kind, quantity, num, den, members):
        self.kind, self.quantity, self.num, self.den, self.members = kind, quantity, num, den, members

    def holds(self, took):
        q = [took.get(m, 0) for m in self.members]
        on = sum(x > 0 for x in q)
        return {AND: on in (0, len(q)), OR: q[0] == 0 or on > 1, XOR: on < 2, SUM: sum(q) <= self.quantity,
                BLOCK: len(set(q)) == 1,
                CONVERT: self.kind == CONVERT and q[1] == q[0] * self.num // self.den}[self.kind]


class Case:
    def __init__(self, seed, capacity):
        self.seed, self.capacity, self.bids, self.links, self.closed = seed, capacity, {}, {}, set()
        self.forecast, self.rounds, self.tied, self.kept = None, 0, 0, 0

    def fail(self, *what):
        sys.exit("case %s: %s" % (self.seed, " ".join(map(str, what))))

    def flows(self, took):
        net = {}
        for order, q in took.items():
            b = self.bids[order]
            at = net.setdefault(b.slot, {"f1": 0, "f2": 0, "leaf": 0})
            at[b.node] += -q if b.buy else q
        a, b_, c = self.capacity
        return all(sum(n.values()) == 0 and abs(n["leaf"]) <= b_ and abs(n["leaf"] + n["f1"]) <= a
                   and abs(n["f2"]) <= c for n in net.values())

    def keeps(self, took):
        for order, q in took.items():
            b = self.bids[order]
            if not 0 <= q <= b.quantity or (q and (q < b.least or (b.whole and q != b.quantity))):
                return False
        firsts = {self.bids[o].first for o in took}
        return all(l.holds(took) for f in firsts for l in self.links[f]) and self.flows(took)

    def welfare(self, took):
        return sum((1 if self.bids[o].buy else -1) * self.bids[o].price * q for o, q in took.items())

    def problem(self, n):
        firsts = {}
        for b in self.bids.values():
            firsts.setdefault(b.first, []).append(b)
        out = []
        for f, all_bids in firsts.items():
            if max(b.slot for b in all_bids) <= n + AHEAD:
                out += [b.order for b in all_bids if b.open]
        return sorted(out)

    def best(self, orders):
        best = 0
        for q in itertools.product(*(range(self.bids[o].quantity + 1) for o in orders)):
            took = dict(zip(orders, q))
            if self.welfare(took) > best and self.keeps(took):
                best = self.welfare(took)
        return best

    def binding(self, n, took):
        bound, grown = {n}, True
        while grown:
            grown = False
            for f in {self.bids[o].first for o in took}:
                for l in self.links[f]:
                    if l.kind in (XOR, SUM) or (l.kind in (OR, CONVERT) and not took[l.members[0]]):
                        continue
                    on = {self.bids[m].slot for m in l.members if took[m] or
                          (l.kind == CONVERT and took[l.members[0]])}
                    if on & bound and not on <= bound:
                        bound |= on
                        grown = True
        return bound

    def over(self, first):
        """What is left of a portfolio's links, and of its bids, once some of them are over."""
        changed = True
        while changed:
            changed, left = False, []
            for l in self.links[first]:
                gone = [m for m in l.members if not self.bids[m].open]
                rest = [m for m in l.members if self.bids[m].open]
                if not gone:
                    left.append(l)
                    continue
                changed = True
                traded = sum(self.bids[m].traded for m in gone)
                if l.kind in (AND, BLOCK, CONVERT) or (l.kind == XOR and traded):
                    if l.kind != XOR and traded and rest:
                        self.fail("a tie is torn, portfolio", first)
                    for m in rest:
                        self.bids[m].open = False
                elif l.kind == OR and (l.members[0] in gone or traded):
                    pass
                elif l.kind == OR and len(rest) == 1:
                    self.bids[rest[0]].open = False
                elif l.kind == SUM and rest or len(rest) > 1:
                    left.append(Link(l.kind, l.quantity - traded, l.num, l.den, rest))
            self.links[first] = left

    def round(self, n, exact, took):
        self.rounds += 1
        if sorted(took) != self.problem(n):
            self.fail("round", n, "has", sorted(took), "not", self.problem(n))
        if not self.keeps(took):
            self.fail("round", n, "breaks a rule")
        best = self.best(sorted(took))
        if exact and self.welfare(took) != best:
            self.fail("round", n, "is worth", self.welfare(took), "not", best)
        if self.forecast is not None and self.forecast[0] == sorted(took):
            self.kept += 1
            if self.forecast[1] != best:
                self.fail("round", n, "could be worth", best, "and", self.forecast[1], "was forecast")
        bound = self.binding(n, took)
        self.tied += len(bound) > 1
        part = {o: q if self.bids[o].slot in bound else 0 for o, q in took.items()}
        rest = {o: q - part[o] for o, q in took.items()}
        for name, side in (("what binds", part), ("what is left", rest)):
            if not self.keeps(side):
                self.fail("round", n, name, "breaks a rule")
        if self.welfare(part) < 0:
            self.fail("round", n, "binds at a loss")
        for o, q in part.items():
            self.bids[o].traded += q
        self.close(n, bound)
        self.forecast = None
        if exact:
            self.forecast = (sorted(o for o in took if self.bids[o].open), self.welfare(rest))
        return bound

    def close(self, n, bound):
        self.closed |= bound
        touched = {b.first for b in self.bids.values() if b.slot in bound}
        for b in self.bids.values():
            if b.slot in bound:
                b.open = False
        for first in touched:
            self.over(first)


def play(lines):
    case, n, totals = None, 0, [0, 0, 0, 0]
    at = 0
    while at < len(lines):
        word, *rest = lines[at].split()
        at += 1
        if word == "case":
            if case:
                totals = [a + b for a, b in zip(totals, (1, case.rounds, case.tied, case.kept))]
            case = Case(rest[0], [int(x) for x in rest[1:]])
        elif word == "portfolio":
            start, first, count = map(int, rest)
            for i in range(count):
                case.bids[first + i] = Bid(first + i, first, start, lines[at].split()[1:])
                at += 1
            case.links[first] = []
            while at < len(lines) and lines[at].startswith("link"):
                kind, quantity, num, den, *members = map(int, lines[at].split()[1:])
                case.links[first].append(Link(kind, quantity, num, den, [first + m for m in members]))
                at += 1
        elif word == "round":
            n, exact, count = map(int, rest)
            took = {int(o): int(q) for o, q in (l.split()[1:] for l in lines[at:at + count])}
            at += count
            case.round(n, exact, took)
        elif word == "order":
            order, open_, traded, portfolio = map(int, rest)
            bid = case.bids[order]
            if bool(open_) != bid.open or traded != bid.traded:
                case.fail("after round", n, "order", order, "is", open_, traded, "not", int(bid.open), bid.traded)
            if order == bid.first and portfolio != any(b.open for b in case.bids.values() if b.first == order):
                case.fail("after round", n, "portfolio", order, "has" if portfolio else "lacks", "a record")
        elif word == "auction":
            slot, state = map(int, rest)
            standing = any(b.open for b in case.bids.values() if b.slot == slot)
            right = 0 if standing else 4 if slot in case.closed and state == 4 else 255
            if state != right:
                case.fail("after round", n, "auction", slot, "is", state, "not", right)
    return [a + b for a, b in zip(totals, (1, case.rounds, case.tied, case.kept))]


def main():
    program, cases = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "300"
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "trace")
        env = dict(os.environ, TURNS=cases, HORIZON_TRACE=path)
        subprocess.run([program], env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        totals = play(open(path).read().splitlines())
    print("horizon: %d cases, %d rounds, %d with ties over auctions, %d forecasts that nothing changed" %
          tuple(totals))
    if int(cases) >= 100 and not all(totals):
        sys.exit("the cases try too little")


main()
