"""Coupled auctions on the ledger, written from docs/spec/coupled.md 2 to 5, 11, 13 and 14 with Python's own
integers and no line of the contracts: bytes of problems and solutions, rules, bound, hash, payments, deals.

For auctions of a few bids: the greatest value of a linked set is found by trying all its quantities.
"""
import hashlib
import itertools

I64 = 1 << 63
AND, OR, XOR, SUM, BLOCK, CONVERT = range(6)
AT_MOST, AT_LEAST = 0, 1
(BOUNDS, MINIMUM, INDIVISIBLE, ORDER, LINK, SUMS, CAPACITY, BALANCE, ROW, DENOMINATOR, SIGN,
 OVERFLOW) = range(1, 13)
SEARCHED_BIDS_MAX = 16


class Unreadable(Exception):
    pass


class Fields:
    """Plain data with named fields."""

    def __init__(self, **fields):
        self.__dict__.update(fields)


def tagged_hash(tag, data):
    return hashlib.blake2b(data, digest_size=32, person=tag.encode().ljust(16, b"\0")).digest()


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Unreadable
        self.at += count
        return self.data[self.at - count:self.at]

    def unsigned(self, count):
        return int.from_bytes(self.take(count), "big")

    def signed(self, count):
        return int.from_bytes(self.take(count), "big", signed=True)

    def varint(self):
        value = 0
        for place in range(10):
            byte = self.unsigned(1)
            value |= (byte & 127) << 7 * place
            if byte < 128:
                if byte == 0 and place > 0 or value >= 1 << 64:
                    raise Unreadable
                return value
        raise Unreadable

    def folded(self):
        value = self.varint()
        return -(value >> 1) - 1 if value & 1 else value >> 1


def wrap(value):
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def read_problem(data):
    r = Reader(data)
    p = Fields()
    (p.agents, p.slots, p.binding, p.nodes, p.carriers, lines, rows, links, bids) = (
        r.unsigned(2) for _ in range(9))
    coefs, members, rights = (r.unsigned(4) for _ in range(3))
    p.names = [r.take(24).rstrip(b"\0").decode() for _ in range(p.nodes + p.carriers)]
    p.places = p.nodes * p.carriers
    p.bids = []
    for _ in range(bids):
        bid = Fields(order=r.unsigned(8), quantity=r.signed(8), price=r.signed(8),
                     least=r.signed(8), agent=r.unsigned(2), slot=r.unsigned(1),
                     place=r.unsigned(2), step=r.unsigned(2))
        flags = r.unsigned(1)
        bid.buy, bid.whole = bool(flags & 1), bool(flags & 2)
        p.bids.append(bid)
    p.lines = [(r.unsigned(2), r.unsigned(2), r.signed(8)) for _ in range(lines)]
    heads = [(r.unsigned(2), r.unsigned(1), r.signed(8)) for _ in range(rows)]
    p.rows = []
    for count, op, right in heads:
        coefs -= count
        p.rows.append(Fields(op=op, right=[right] * p.slots,
                             coefs=[(r.unsigned(2), r.signed(8)) for _ in range(count)]))
    assert coefs == 0
    for _ in range(rights):
        row, slot = r.unsigned(2), r.unsigned(1)
        p.rows[row].right[slot] = r.signed(8)
    heads = [(r.unsigned(1), r.unsigned(1), r.unsigned(2), r.signed(8), r.signed(8), r.signed(8))
             for _ in range(links)]
    p.links = [Fields(type=kind, op=op, quantity=quantity, num=num, den=den,
                      bids=[r.unsigned(2) for _ in range(count)])
               for kind, op, count, quantity, num, den in heads]
    assert sum(len(link.bids) for link in p.links) == members and r.at == len(data)
    return p


def read_solution(p, data):
    r = Reader(data)
    s = Fields(accepted=[])
    for bid in p.bids:
        code = r.varint()
        if code >= I64 or code == 1 and bid.quantity == 0 or code > 1 and code - 1 == bid.quantity:
            raise Unreadable
        s.accepted.append(0 if code == 0 else bid.quantity if code == 1 else code - 1)
    s.flow = [[r.folded() for _ in p.lines] for _ in range(p.slots)]
    s.den = r.varint()
    if s.den >= I64:
        raise Unreadable
    s.node = []
    for _ in range(p.slots):
        s.node.append([])
        last = 0
        for _ in range(p.places):
            last = wrap(last + r.folded())
            s.node[-1].append(last)
    s.row = [[r.folded() for _ in p.rows] for _ in range(p.slots)]
    s.sum = [r.folded() if link.type == SUM else 0 for link in p.links]
    if r.at != len(data):
        raise Unreadable
    return s


# --- the rules ------------------------------------------------------------------------------------


def compare(op, left, right):
    return left <= right if op == AT_MOST else left >= right if op == AT_LEAST else left == right


def step_lists(p):
    """Bids of each buyer and interval that has more than one step."""
    buyers = {}
    for i, bid in enumerate(p.bids):
        if bid.buy:
            buyers.setdefault((bid.agent, bid.slot), []).append(i)
    return [bids for bids in buyers.values() if len({p.bids[i].step for i in bids}) > 1]


def steps_hold(p, bids, a):
    return not any(a[i] > 0 and p.bids[j].step < p.bids[i].step and a[j] < p.bids[j].quantity
                   for i in bids for j in bids)


def link_holds(link, a):
    x = [a[i] for i in link.bids]
    on = sum(value > 0 for value in x)
    if link.type == AND:
        return on in (0, len(x))
    if link.type == OR:
        return x[0] == 0 or on > 1
    if link.type == XOR:
        return on <= 1
    if link.type == SUM:
        return compare(link.op, sum(x), link.quantity)
    if link.type == BLOCK:
        return len(set(x)) == 1
    return x[1] == x[0] * link.num // link.den


def own_rule(bid, value):
    if not 0 <= value <= bid.quantity:
        return BOUNDS
    if 0 < value < bid.least:
        return MINIMUM
    if bid.whole and value not in (0, bid.quantity):
        return INDIVISIBLE
    return None


def sign_holds(op, multiplier):
    return multiplier >= 0 if op == AT_MOST else multiplier <= 0 if op == AT_LEAST else True


def injections(p, s):
    out = [[0] * p.places for _ in range(p.slots)]
    for bid, value in zip(p.bids, s.accepted):
        out[bid.slot][bid.place] += -value if bid.buy else value
    return out


def broken_rule(p, s):
    """(rule, item, slot) of the first broken one; item is None where the rule names no bid; or None."""
    for i, bid in enumerate(p.bids):
        if own_rule(bid, s.accepted[i]):
            return own_rule(bid, s.accepted[i]), i, 0
    if not all(steps_hold(p, bids, s.accepted) for bids in step_lists(p)):
        return ORDER, None, 0
    for sums, rule in ((False, LINK), (True, SUMS)):
        for k, link in enumerate(p.links):
            if (link.type == SUM) == sums and not link_holds(link, s.accepted):
                return rule, k, 0
    slots = range(p.slots)
    for t, (k, line) in itertools.product(slots, enumerate(p.lines)):
        if abs(s.flow[t][k]) > line[2]:
            return CAPACITY, k, t
    injected = injections(p, s)
    for t in slots:
        net = injected[t][:]
        for flow, (start, end, _) in zip(s.flow[t], p.lines):
            net[start] -= flow
            net[end] += flow
        for place, value in enumerate(net):
            if value != 0:
                return BALANCE, place, t
    for t, (k, row) in itertools.product(slots, enumerate(p.rows)):
        if not compare(row.op, sum(c * injected[t][n] for n, c in row.coefs), row.right[t]):
            return ROW, k, t
    if s.den < 1:
        return DENOMINATOR, 0, 0
    for t, (k, row) in itertools.product(slots, enumerate(p.rows)):
        if not sign_holds(row.op, s.row[t][k]):
            return SIGN, k, t
    for k, link in enumerate(p.links):
        if link.type == SUM and not sign_holds(link.op, s.sum[k]):
            return SIGN, k, 0
    return None


# --- worth ----------------------------------------------------------------------------------------


def prices(p, s):
    out = [row[:] for row in s.node]
    for t in range(p.slots):
        for multiplier, row in zip(s.row[t], p.rows):
            for place, value in row.coefs:
                out[t][place] -= multiplier * value
    return out


def is_searched(p, link):
    stepped = {i for bids in step_lists(p) for i in bids}
    lump = lambda bid: bid.quantity if bid.whole else max(1, bid.least)
    return (link.type == SUM and len(link.bids) <= SEARCHED_BIDS_MAX
            and not any(i in stepped or sum(i in other.bids for other in p.links) != 1
                        for i in link.bids)
            and any(lump(p.bids[i]) > 1 for i in link.bids))


def join(p, links):
    """Per bid the first one of its set: what these links and a buyer's steps join."""
    first = list(range(len(p.bids)))
    for bids in [link.bids for link in links] + step_lists(p):
        heads = {first[i] for i in bids}
        first = [min(heads) if head in heads else head for head in first]
    return first


def set_best(p, bids, links, reduced):
    steps = [steps for steps in step_lists(p) if steps[0] in bids]
    choices = [[v for v in range(p.bids[i].quantity + 1) if own_rule(p.bids[i], v) is None]
               for i in bids]
    best = 0
    for values in itertools.product(*choices):
        a = dict(zip(bids, values))
        if all(link_holds(link, a) for link in links) and all(steps_hold(p, x, a) for x in steps):
            best = max(best, sum(reduced[i] * a[i] for i in bids))
    return best


def bound(p, s):
    price = prices(p, s)
    total = sum(capacity * abs(s.node[t][end] - s.node[t][start])
                for t in range(p.slots) for start, end, capacity in p.lines)
    total += sum(s.row[t][k] * row.right[t]
                 for t in range(p.slots) for k, row in enumerate(p.rows))
    total += sum(nu * link.quantity for nu, link in zip(s.sum, p.links))
    reduced = []
    for i, bid in enumerate(p.bids):
        gain = price[bid.slot][bid.place] - bid.price * s.den
        nu = sum(n for n, link in zip(s.sum, p.links) if i in link.bids)
        reduced.append((-gain if bid.buy else gain) - nu)
    links = [link for link in p.links if link.type != SUM or is_searched(p, link)]
    first = join(p, links)
    for head in set(first):
        bids = [i for i in range(len(first)) if first[i] == head]
        own = [link for link in links if link.bids[0] in bids]
        total += set_best(p, bids, own, reduced)
    return -(-total // s.den)


def welfare(p, s):
    return sum((bid.price if bid.buy else -bid.price) * a for bid, a in zip(p.bids, s.accepted))


def solution_hash(s, seed):
    def table(values):
        return len(values).to_bytes(8, "big") + b"".join(v.to_bytes(8, "big", signed=True)
                                                         for v in values)

    flat = lambda rows: [value for row in rows for value in row]
    return tagged_hash("flex/coupled/1", seed + table(s.accepted) + table(flat(s.flow))
                       + s.den.to_bytes(8, "big") + table(flat(s.node)) + table(flat(s.row))
                       + table(s.sum))


# --- money ----------------------------------------------------------------------------------------


def charges(gain, need):
    """What each gaining set gives: floors, then one more by the largest remainder, then order."""
    gainers = [unit for unit in sorted(gain) if gain[unit] > 0]
    total = sum(gain[unit] for unit in gainers)
    out = {unit: need * gain[unit] // total for unit in gainers}
    missing = need - sum(out.values())
    for unit in sorted(gainers, key=lambda u: (-(need * gain[u] % total), u))[:missing]:
        out[unit] += 1
    return out


def payments(p, s):
    """What each bid gets, in neur over den, exactly."""
    price = prices(p, s)
    side = [-a if bid.buy else a for bid, a in zip(p.bids, s.accepted)]
    money = [price[bid.slot][bid.place] * x for bid, x in zip(p.bids, side)]
    worth = [bid.price * x * s.den for bid, x in zip(p.bids, side)]
    unit_of = join(p, p.links)
    gain = {}
    for unit, got, asked in zip(unit_of, money, worth):
        gain[unit] = gain.get(unit, 0) + got - asked
    need = sum(-g for g in gain.values() if g < 0) + sum(money)
    gives = charges(gain, need) if need > 0 else {}
    out = worth[:]
    for unit in gain:
        bids = [i for i in range(len(out)) if unit_of[i] == unit]
        own = [max(0, money[i] - worth[i]) for i in bids]
        left = max(0, gain[unit]) - gives.get(unit, 0)
        assert 0 <= left <= sum(own)
        so_far = 0
        for i, x in zip(bids, own):
            if x > 0:
                out[i] += left * (so_far + x) // sum(own) - left * so_far // sum(own)
                so_far += x
    return out


def rounded(p, s):
    """In ueur: differences of each participant's running total, each rounded down once."""
    so_far, out = {}, []
    for bid, value in zip(p.bids, payments(p, s)):
        before = so_far.get(bid.agent, 0)
        so_far[bid.agent] = before + value
        out.append((before + value) // (1000 * s.den) - before // (1000 * s.den))
    return out


def pairs(p, s, ueur):
    """(buy, sell, quantity, paid, got) of each deal, best price first in every interval and carrier."""
    group = lambda i: (p.bids[i].slot, p.bids[i].place // p.nodes)
    on = [i for i, value in enumerate(s.accepted) if value > 0]
    buys = sorted((i for i in on if p.bids[i].buy), key=lambda i: (group(i), -p.bids[i].price, i))
    sells = sorted((i for i in on if not p.bids[i].buy), key=lambda i: (group(i), p.bids[i].price, i))
    done = [0] * len(p.bids)

    def part(i, amount, step):
        whole = s.accepted[i]
        return amount * (done[i] + step) // whole - amount * done[i] // whole

    out = []
    while buys and sells:
        buy, sell = buys[0], sells[0]
        step = min(s.accepted[buy] - done[buy], s.accepted[sell] - done[sell])
        out.append((buy, sell, step, part(buy, max(0, -ueur[buy]), step),
                    part(sell, ueur[sell], step)))
        done[buy] += step
        done[sell] += step
        buys = buys[done[buy] == s.accepted[buy]:]
        sells = sells[done[sell] == s.accepted[sell]:]
    assert not buys and not sells
    return out


def outcome(p, s):
    """The record's money (bought, sold, given, surplus), and deals: orders, Wh, escrow, payment, added."""
    ueur = rounded(p, s)
    for bid, value, a in zip(p.bids, ueur, s.accepted):
        assert -value <= -(-bid.price * a // 1000) if bid.buy else value >= bid.price * a // 1000
    bought = sum(-u for u, bid in zip(ueur, p.bids) if bid.buy and u < 0)
    given = sum(u for u, bid in zip(ueur, p.bids) if bid.buy and u > 0)
    sold = sum(u for u, bid in zip(ueur, p.bids) if not bid.buy)
    made = pairs(p, s, ueur)
    net = bought - sold - given
    assert net >= 0
    over = sum(max(0, paid - got) for _, _, _, paid, got in made)
    deals = []
    for buy, sell, quantity, paid, got in made:
        kept = max(0, paid - got) * net // over if over else 0
        escrow = got + kept
        deals.append((p.bids[buy].order, p.bids[sell].order, quantity, escrow, got,
                      escrow - min(paid, escrow)))
    kept_all = sum(escrow - got for _, _, _, escrow, got, _ in deals)
    return (bought, sold, given, net - kept_all), deals
