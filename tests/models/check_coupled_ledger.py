#!/usr/bin/env python3
"""Coupled auctions that the ledger's contracts have played, recomputed from their bytes alone.

check_coupled_ledger.py LEDGER_COUPLED [COUNT [SEED]]

The program prints what went in and what came out; the model of coupled_ledger_oracle.py must come to the same
verdict, first broken rule, claims, hash, cost and strikes for every proposal, the same best, and the same
money and deals. A campaign that never sees a verdict, a kind of problem or of outcome fails, too.
"""
import collections
import subprocess
import sys

sys.dont_write_bytecode = True
import coupled_ledger_oracle as oracle

NETWORK_FEE, MARKET_FEE, STRIKES_MAX, GAP_MAX = 1100, 700, 3, (1 << 63) - 1
BEST, NOT_BETTER, UNREADABLE, BROKEN = range(4)
TRAITS = {"best", "not better", "unreadable", "broken", "struck out", "deals", "gap 0", "row",
          "two carriers", "three carriers", "link", "nothing trades", "bid whose owner left"}
TRAITS_OF_MANY = TRAITS | {f"broken {rule}" for rule in range(oracle.BOUNDS, oracle.OVERFLOW)}


class Wrong(Exception):
    pass


def expect(what, found, wanted):
    if found != wanted:
        raise Wrong(f"{what}: the ledger says {found}, the model {wanted}")


class Auction:
    def __init__(self, seen):
        self.seen, self.orders, self.strikes, self.deals = seen, {}, {}, []
        self.solutions = self.wrong = 0
        self.problem = self.best = self.money = None

    def order(self, number, owner, side, price, quantity):
        self.orders[int(number)] = (owner, side == "0", int(price), int(quantity))

    def take_problem(self, text):
        self.data = bytes.fromhex(text)
        p = self.problem = oracle.read_problem(self.data)
        agents = {}
        for bid in p.bids:
            owner, buys, price, quantity = self.orders[bid.order]
            expect("bid", (bid.buy, bid.price), (buys, price))
            if bid.quantity not in (0, quantity) or agents.setdefault(owner, bid.agent) != bid.agent:
                raise Wrong(f"bid {bid.order} is not its order")
            self.seen["bid whose owner left"] += bid.quantity == 0
        expect("bids", len(p.bids), len(self.orders))
        self.seen["row"] += bool(p.rows)
        self.seen["link"] += bool(p.links)
        carriers = len({bid.place // p.nodes for bid in p.bids})
        self.seen["two carriers"] += carriers == 2
        self.seen["three carriers"] += carriers == 3

    def digest(self, text):
        expect("digest", text, oracle.tagged_hash("flex/problem/1", self.data).hex())

    def seed_is(self, text):
        self.seed = bytes.fromhex(text)

    def rank(self, data):
        """What is better comes first; (welfare, gap, hash) of the solution."""
        s = oracle.read_solution(self.problem, data)
        worth = oracle.welfare(self.problem, s)
        gap = oracle.bound(self.problem, s) - worth
        if gap < 0:
            raise Wrong("the bound is below the welfare")
        return -worth, min(gap, GAP_MAX), oracle.solution_hash(s, self.seed)

    def floor(self, text):
        data = bytes.fromhex(text)
        expect("the floor breaks",
               oracle.broken_rule(self.problem, oracle.read_solution(self.problem, data)), None)
        self.best = self.rank(data), data

    def best_is(self, welfare, neur, bound, gap):
        (negated, own_gap, _), _ = self.best
        expect("welfare", (int(welfare), int(neur)), divmod(-negated, 1000))
        expect("gap", int(gap), own_gap)
        if own_gap < GAP_MAX:
            expect("bound", int(bound), min(-(-(own_gap - negated) // 1000), GAP_MAX))

    def judge(self, data):
        """(verdict, broken rule, rank) by the model."""
        try:
            s = oracle.read_solution(self.problem, data)
        except oracle.Unreadable:
            return UNREADABLE, None, None
        rule = oracle.broken_rule(self.problem, s)
        if rule:
            return BROKEN, rule, None
        rank = self.rank(data)
        return (BEST if rank < self.best[0] else NOT_BETTER), None, rank

    def leaves_128_bits(self, data):
        """Might it? The ledger may say so only of numbers as large as that."""
        s = oracle.read_solution(self.problem, data)
        numbers = [n for table in s.node + s.row for n in table] + s.sum + [s.den]
        return max(map(abs, numbers)) > 1 << 60

    def propose(self, sender, error, cost, *rest):
        data = bytes.fromhex(rest[-1])
        if self.strikes.get(sender, 0) >= STRIKES_MAX:
            self.seen["struck out"] += 1
            expect("error", error, "too_many_strikes")
            return
        expect("error", error, "ok")
        said, rule, item, slot, worth, bound = map(int, rest[:6])
        verdict, broken, rank = self.judge(data)
        if (said, rule) == (BROKEN, oracle.OVERFLOW) and broken is None:
            if verdict == UNREADABLE or not self.leaves_128_bits(data):
                raise Wrong("overflow of small numbers")
            verdict = BROKEN
        else:
            expect("verdict", said, verdict)
            if broken:
                where = (item, slot) if broken[1] is not None else broken[1:]
                expect("rule", (rule, *where), broken)
            if rank:
                expect("claimed welfare", worth, -rank[0] // 1000)
                if rank[1] < GAP_MAX:
                    expect("claimed bound", bound, min(-(-(rank[1] - rank[0]) // 1000), GAP_MAX))
                expect("hash", rest[6], rank[2].hex())
        self.seen[("best", "not better", "unreadable", "broken")[verdict]] += 1
        self.seen[f"broken {rule}"] += verdict == BROKEN
        expect("cost", int(cost), NETWORK_FEE + (0 if verdict == BEST else MARKET_FEE))
        self.solutions += 1
        if verdict == BEST:
            self.best = rank, data
        if verdict in (UNREADABLE, BROKEN):
            self.strikes[sender] = self.strikes.get(sender, 0) + 1
            self.wrong += 1

    def final(self, text):
        expect("what clears", text, self.best[1].hex())

    def money_is(self, *fields):
        self.money = tuple(map(int, fields))

    def deal(self, *fields):
        self.deals.append(tuple(map(int, fields)))

    def end(self):
        if self.problem is None:
            return
        s = oracle.read_solution(self.problem, self.best[1])
        money, deals = oracle.outcome(self.problem, s)
        expect("money", self.money, (*money, len(deals), self.solutions, self.wrong))
        expect("deals", self.deals, deals)
        self.seen["deals"] += len(deals)
        self.seen["nothing trades"] += not deals
        self.seen["gap 0"] += self.best[0][1] == 0


KEYS = {"order": Auction.order, "problem": Auction.take_problem, "digest": Auction.digest,
        "seed": Auction.seed_is, "floor": Auction.floor, "best": Auction.best_is,
        "propose": Auction.propose, "final": Auction.final, "money": Auction.money_is,
        "deal": Auction.deal, "end": Auction.end}


def main():
    program = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    out = subprocess.run([program, str(count), str(seed)], stdout=subprocess.PIPE, text=True,
                         check=True).stdout
    seen = collections.Counter()
    faults = runs = 0
    auction = run = None
    for line in out.splitlines():
        key, *fields = line.split()
        if key == "run":
            run, auction, runs = fields[0], Auction(seen), runs + 1
        elif key != "#" and auction is not None:
            try:
                KEYS[key](auction, *fields)
            except (Wrong, AssertionError) as wrong:
                print(f"auction {run}: {key}: {wrong!r}", file=sys.stderr)
                faults, auction = faults + 1, None
    wanted = TRAITS_OF_MANY if count >= 300 else TRAITS if count >= 100 else set()
    never = sorted(trait for trait in wanted if not seen[trait])
    if never:
        print(f"never seen: {', '.join(never)}", file=sys.stderr)
    print(f"coupled auctions on the ledger: {runs} auctions, {sum(seen[v] for v in ('best', 'not better', 'unreadable', 'broken'))} "
          f"proposals, {seen['deals']} deals, {faults} differ")
    return 1 if faults or never or runs != count else 0


sys.exit(main())
