#!/usr/bin/env python3
"""Order books on the ledger against models written apart from the contracts: every deal in its order, every
answer to a replacement, every order as it ended. Games of arrivals alone are put to flexclear and to its
oracle, too. Every trait that the rules name must have been seen.

check_book.py LEDGER_BOOK FLEXCLEAR [COUNT [SEED]]     COUNT games per mechanism
"""
import collections
import json
import subprocess
import sys
from fractions import Fraction

sys.dont_write_bytecode = True
import clear_oracle  # noqa: E402

OPTIONS = ("kind", "indivisible", "min")


class Book:
    """Orders by number; a move changes them as the rules say, in plain words and linear searches."""

    def __init__(self, game):
        self.game, self.orders, self.deals = game, {}, []
        self.seen = collections.Counter()

    def play(self):
        for move in self.game["moves"]:
            {"place": self.place, "cancel": self.cancel, "replace": self.replace,
             "end": self.end}[move["op"]](move)

    def place(self, move):
        order = dict(move, open=move["quantity"], status="open")
        self.orders[move["id"]] = order
        self.arrive(order)

    def cancel(self, move):
        order = self.orders[move["id"]]
        want = "ok" if order["status"] == "open" else "order_not_open"
        assert move["answer"] == want, (move, want)
        if want == "ok":
            order["status"] = "cancelled"
            self.seen["cancelled"] += 1

    def replace(self, move):
        order = self.orders[move["of"]]
        want = self.judge(order, move)
        assert move["answer"] == want, (move, order, want)
        self.seen["replace " + want] += 1
        if want != "ok":
            return
        if self.is_less(order, move):
            order["open"] -= order["quantity"] - move["quantity"]
            order["quantity"] = move["quantity"]
            assert "id" not in move, move
            self.seen["kept its time"] += 1
            return
        order["status"] = "cancelled"
        left = move["quantity"] - (order["quantity"] - order["open"])
        self.seen["replaced anew"] += 1
        if left < move["quantity"]:
            self.seen["replaced after a fill"] += 1
        self.place(dict(move, quantity=left, who=order["who"], side=order["side"]))

    @staticmethod
    def is_less(order, move):
        return (order["price"] == move["price"] and move["quantity"] < order["quantity"]
                and all(order[key] == move[key] for key in OPTIONS))

    def judge(self, order, move):
        if order["status"] != "open":
            return "order_not_open"
        left = move["quantity"] - (order["quantity"] - order["open"])
        if left <= 0:
            return "out_of_range"
        if all(order[key] == move[key] for key in OPTIONS + ("price", "quantity")):
            return "nothing_to_change"
        if self.is_less(order, move):
            return "ok" if move["quantity"] >= order["min"] else "out_of_range"
        return "ok" if left >= move["min"] else "out_of_range"

    # --- what orders ask for

    @staticmethod
    def least(order):
        if order["indivisible"] or order["kind"] == "all_or_none":
            return order["open"]
        return order["min"] if order["open"] == order["quantity"] else 0

    @staticmethod
    def worse(order):
        return -order["price"] if order["side"] == "buy" else order["price"]

    @staticmethod
    def cross(a, b):
        if a["side"] == b["side"]:
            return False
        bid, ask = (a, b) if a["side"] == "buy" else (b, a)
        return bid["price"] >= ask["price"]

    def open_orders(self, side=None):
        return [o for o in self.orders.values()
                if o["status"] == "open" and side in (None, o["side"])]

    def deal(self, a, b, quantity, price):
        bid, ask = (a, b) if a["side"] == "buy" else (b, a)
        assert bid["who"] != ask["who"] and ask["price"] <= price <= bid["price"]
        self.deals.append([bid["id"], ask["id"], quantity, price])
        for order in (a, b):
            order["open"] -= quantity
            assert order["open"] >= 0
            if order["open"] == 0:
                order["status"] = "filled"

    def walk(self, order, others):
        """Whom it would take, and how much; nothing if that is less than it takes."""
        left, plan = order["open"], []
        for other in others:
            take = min(left, other["open"])
            if take == 0 or not self.cross(order, other):
                continue
            if other["who"] == order["who"]:
                self.seen["passed over its own"] += 1
                continue
            if take < self.least(other):
                self.seen["passed over what asks for more"] += 1
                continue
            plan.append((other, take))
            left -= take
        got = order["open"] - left
        if got < self.least(order):
            self.seen["got less than it takes" if got else "met nobody"] += 1
            return []
        return plan

    def finish(self, order):
        """An order that may not rest ends with what it has."""
        if order["kind"] != "limit" and order["status"] == "open":
            self.seen["ended " + order["kind"]] += 1
            order["status"] = "cancelled"


class Sequential(Book):
    def arrive(self, order):
        others = [o for o in self.open_orders() if o["side"] != order["side"]]
        others.sort(key=lambda o: (self.worse(o), o["id"]))
        for other, take in self.walk(order, others):
            bid, ask = (order, other) if order["side"] == "buy" else (other, order)
            price = {"resting": other["price"], "bid": bid["price"], "ask": ask["price"],
                     "midpoint": (bid["price"] + ask["price"]) // 2}[self.game["trade_price"]]
            self.seen["price " + self.game["trade_price"]] += 1
            self.deal(order, other, take, price)
        self.finish(order)

    def end(self, _move):
        pass


class Batch(Book):
    height = None  # of the block that runs

    def arrive(self, order):
        pass

    def time(self, order):
        return order["height"], int(order["lot"]), order["id"]

    def priority(self, orders):
        return sorted(orders, key=lambda o: (self.worse(o),) + self.time(o))

    def let_in(self):
        """Who takes part: nobody who crosses an earlier order of its own."""
        out = set()
        for order in sorted(self.open_orders(), key=self.time):
            if any(self.cross(order, self.orders[other]) and
                   self.orders[other]["who"] == order["who"] for other in out):
                self.seen["sat out for its own"] += 1
            else:
                out.add(order["id"])
        return out

    def units(self, orders):
        return [o["price"] for o in self.priority(orders)
                for _ in range(o["open"] // self.game["step"])]

    def share(self, orders, volume):
        """How many steps each gets, best price first."""
        got, left = {o["id"]: 0 for o in orders}, volume
        ordered = self.priority(orders)
        for price in dict.fromkeys(o["price"] for o in ordered):
            level = [o for o in ordered if o["price"] == price]
            old = [o for o in level if o["height"] < self.height or self.game["tie"] == "time"]
            new = [o for o in level if o not in old]
            for order in old:
                got[order["id"]] = min(left, order["open"] // self.game["step"])
                left -= got[order["id"]]
            wants = {o["id"]: o["open"] // self.game["step"] for o in new}
            total = sum(wants.values())
            if total <= left:
                got.update(wants)
                left -= total
            elif left > 0:
                self.seen["pro rata"] += 1
                exact = {i: Fraction(q * left, total) for i, q in wants.items()}
                floors = {i: int(x) for i, x in exact.items()}
                extra = left - sum(floors.values())
                ranked = sorted(new, key=lambda o: (-(exact[o["id"]] - floors[o["id"]]),
                                                    self.time(o)))
                for order in ranked[:extra]:
                    floors[order["id"]] += 1
                got.update(floors)
                left = 0
        assert left == 0
        return got

    def call(self, ids):
        """Steps by order, and the price, of one call over those orders."""
        orders = [self.orders[i] for i in ids]
        bids = [o for o in orders if o["side"] == "buy"]
        asks = [o for o in orders if o["side"] == "sell"]
        volume = 0
        for bid, ask in zip(self.units(bids), self.units(asks)):
            if bid < ask:
                break
            volume += 1
        if volume == 0:
            return {}, None
        got = {**self.share(bids, volume), **self.share(asks, volume)}

        def supports(price):
            for o in orders:
                better = o["price"] > price if o["side"] == "buy" else o["price"] < price
                wants = o["open"] // self.game["step"]
                if o["price"] != price and got[o["id"]] != (wants if better else 0):
                    return False
            return True

        prices = [p for p in range(min(o["price"] for o in orders),
                                   max(o["price"] for o in orders) + 1) if supports(p)]
        return got, (prices[0] + prices[-1]) // 2

    def misfits(self, got, side):
        return [o for o in self.priority([self.orders[i] for i in got if got[i] > 0])
                if o["side"] == side and got[o["id"]] * self.game["step"] < self.least(o)]

    def pair(self, got, price):
        bids, asks = ([[o, got[o["id"]]] for o in
                       self.priority([self.orders[i] for i in got if got[i] > 0])
                       if o["side"] == side] for side in ("buy", "sell"))
        while bids:
            steps = min(bids[0][1], asks[0][1])
            self.deal(bids[0][0], asks[0][0], steps * self.game["step"], price)
            for side in (bids, asks):
                side[0][1] -= steps
                if side[0][1] == 0:
                    side.pop(0)
        assert not asks

    def end(self, move):
        self.height = move["height"]
        ids = self.let_in()
        touched = any(o["height"] == self.height for o in self.open_orders())
        touched = touched or self.reduced
        self.reduced = False
        if touched and any(o["kind"] != "limit" for o in self.open_orders()):
            self.seen["immediate"] += 1
        everybody = len(ids) == len(self.open_orders())
        if touched:
            got, price = self.call(ids)
            while True:
                misfits = self.misfits(got, "buy") or self.misfits(got, "sell")
                if not misfits:
                    break
                self.seen["sat out for getting less"] += 1
                everybody = False
                ids.remove(misfits[-1]["id"])
                got, price = self.call(ids)
            self.pair(got, price)
            if not everybody:
                self.match_rest()
            for order in self.open_orders():
                self.finish(order)

    def match_rest(self):
        for bid in self.priority(self.open_orders("buy")):
            for ask, take in self.walk(bid, self.priority(self.open_orders("sell"))):
                earlier = min(bid, ask, key=self.time)
                self.seen["matched after the call"] += 1
                self.deal(bid, ask, take, earlier["price"])

    reduced = False

    def replace(self, move):
        before = self.seen["kept its time"]
        super().replace(move)
        self.reduced = self.reduced or self.seen["kept its time"] > before


def play(program, mechanism, count, seed):
    done = subprocess.run([program, mechanism, str(count), str(seed)], capture_output=True,
                          text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(game, model):
    book = model(game)
    book.play()
    orders = {str(i): [o["quantity"], o["open"], o["status"]] for i, o in book.orders.items()}
    assert book.deals == game["deals"], (book.deals, game["deals"], json.dumps(game))
    assert orders == game["orders"], (orders, json.dumps(game))
    return book.seen


def flexclear_problem(game):
    """The orders of a game of arrivals, as flexclear and its oracle take them."""
    bids = [{"id": str(m["id"]), "agent": m["who"], "side": m["side"], "interval": 0,
             "quantity": str(m["quantity"]), "price": str(m["price"]), "kind": m["kind"],
             "indivisible": m["indivisible"], "min_quantity": str(m["min"])}
            for m in game["moves"] if m["op"] == "place"]
    return {"format": "flexclear/1", "mechanism": "continuous", "bids": bids,
            "trade_price": game["trade_price"], "payments": []}


def check_flexclear(program, game):
    problem = flexclear_problem(game)
    done = subprocess.run([program], input=json.dumps(problem), capture_output=True, text=True,
                          check=True)
    for result in (json.loads(done.stdout), clear_oracle.solve(problem)):
        trades = [[int(t["bid"]), int(t["ask"]), int(t["quantity"]), int(t["price"])]
                  for t in result["trades"]]
        assert trades == game["deals"], (trades, json.dumps(game))
        rest = {b["id"]: int(b["quantity"]) for b in result["book"]}
        still = {i: o[1] for i, o in game["orders"].items() if o[2] == "open"}
        assert rest == still, (rest, json.dumps(game))


TRAITS = {
    "batch": {"sat out for its own", "sat out for getting less", "matched after the call",
              "pro rata", "passed over its own", "passed over what asks for more"},
    "sequential": {"price resting", "price bid", "price ask", "price midpoint",
                   "passed over its own", "passed over what asks for more",
                   "got less than it takes"},
    "arrivals": set(),
}
BOTH = {"cancelled", "kept its time", "replaced anew", "replaced after a fill", "replace ok",
        "replace order_not_open", "replace out_of_range", "replace nothing_to_change",
        "ended all_or_none", "ended fill_and_kill"}


def main():
    ledger, flexclear = sys.argv[1:3]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 300
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    for mechanism, model in (("batch", Batch), ("sequential", Sequential),
                             ("arrivals", Sequential)):
        seen, deals = collections.Counter(), 0
        for game in play(ledger, mechanism, count, seed):
            seen.update(check(game, model))
            deals += len(game["deals"])
            if mechanism == "arrivals":
                check_flexclear(flexclear, game)
        wanted = TRAITS[mechanism] | (BOTH if mechanism != "arrivals" else set())
        missing = wanted - set(seen)
        assert count < 100 or not missing, (mechanism, missing)
        print(f"books, {mechanism}: {count} games and {deals} deals as the model has them")


main()
