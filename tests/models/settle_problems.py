"""Problems for flexsettle: random ones that crowd around the edges of every rule, and real ones from
meter data. Nothing here knows a result."""
import csv
import random
from datetime import date, timedelta
from math import ceil, floor
from fractions import Fraction
from pathlib import Path

METHODS = ("schedule", "submeter", "baseline", "capacity_cap", "capacity_floor")
WINDOW = 8
GAP = 4
I64_MAX = 2**63 - 1


def texts(values):
    return [str(value) for value in values]


def around(dice, value, spread):
    return value + dice.randint(-spread, spread)


def clip(value):
    return max(-I64_MAX - 1, min(I64_MAX, value))


class Scale:
    """How large energies and prices are: toy numbers make ties, huge ones reach 64 bits."""

    def __init__(self, dice):
        kind = dice.choice(("toy", "house", "house", "house", "plant", "huge"))
        self.energy = {"toy": 6, "house": 3000, "plant": 10**9, "huge": 2**62}[kind]
        self.price = {"toy": 3000, "house": 400000, "plant": 10**9, "huge": 10**4}[kind]
        self.offset = dice.choice((0, 0, -1)) * self.energy // 2

    def reading(self, dice):
        """Net consumption; with an offset about half of it is export."""
        return clip(dice.randint(0, self.energy) * dice.choice((1, 1, 1, 2)) + self.offset)


def edge_of_credit(dice, contracted, tolerance, least):
    """A delivery at, or one watt-hour beside, where its credit changes; or anywhere."""
    at = [ceil(Fraction(tolerance * contracted, 1000)), ceil(Fraction(least * contracted, 1000)),
          contracted, 0, dice.randint(-contracted, 2 * contracted)]
    return around(dice, dice.choice(at), 1)


def random_baseline(dice, scale, count):
    highest = dice.randint(1, 6)
    days = highest + dice.choice((0, 1, 5))
    given = max(highest, days + dice.choice((-4, -1, 0, 0, 1, 7)))
    rows = []
    for _ in range(given):
        # Copies of earlier rows, also turned around, make equal sums.
        if rows and dice.random() < 0.35:
            rows.append(dice.choice(rows)[::-1])
        elif rows and dice.random() < 0.1:
            rows.append([0] * count)
        else:
            rows.append([scale.reading(dice) for _ in range(count)])
    windows = [[scale.reading(dice) for _ in range(WINDOW)] for _ in range(given)]
    actual = [scale.reading(dice) for _ in range(WINDOW)]
    if dice.random() < 0.5:
        # Right at the cap: the same window on every day, and a multiple of it today.
        permille = dice.choice((800, 1200, 799, 801, 1199, 1201, 1000, 1100))
        base = [dice.randint(0, scale.energy // 4) * 4 for _ in range(WINDOW)]
        windows = [base for _ in range(given)]
        actual = [clip(value * permille // 1000) for value in base]
    # Nothing to compare with, on one side or the other.
    if dice.random() < 0.1:
        actual = [0] * WINDOW
    elif dice.random() < 0.1:
        windows = [dice.choice(([0] * WINDOW, [0, 1, -1] * 2 + [0, 0])) for _ in range(given)]
    day = dice.randint(0, 400)
    candidates = []
    for row in rows:
        day += dice.randint(1, 3)
        candidates.append({"day": day, "wh": texts(row)})
    found = {"candidates": candidates, "candidate_window_wh": [texts(row) for row in windows],
             "actual_window_wh": texts(actual)}
    if (days, highest) != (10, 5) or dice.random() < 0.5:
        found.update(days=days, highest=highest)
    if dice.random() < 0.6:
        found["adjustment_permille"] = dice.choice((0, 1, 100, 200, 500, 1000))
    return found


def random_escrow(dice, price, contracted):
    cost = Fraction(price * sum(contracted), 1000)
    kind = dice.random()
    if kind < 0.7:
        return min(ceil(cost), I64_MAX)
    if kind < 0.8:
        return min(floor(cost), I64_MAX)
    if kind < 0.9:
        return min(ceil(cost) + dice.choice((1, 2, 1000, 750000)), I64_MAX)
    return min(dice.randint(0, ceil(cost)), I64_MAX)


def random_problem(dice, method):
    scale = Scale(dice)
    count = dice.choice((1, 1, 2, 3, 4, 4, 8)) if dice.random() < 0.97 else dice.choice((92, 96, 100))
    contracted = [dice.randint(1, max(1, scale.energy // dice.choice((1, 1, 2000)))) for _ in range(count)]
    tolerance = dice.choice((950, 950, 1000, 1, 0, dice.randint(0, 1000)))
    least = dice.choice((0, 0, 750, dice.randint(0, 1000)))
    price = dice.choice((0, dice.randint(0, scale.price), dice.randint(0, scale.price)))
    problem = {"format": "flexsettle/1", "method": method, "price": str(price),
               "contracted_wh": texts(contracted),
               "escrow_ueur": str(random_escrow(dice, price, contracted))}
    if (tolerance, least) != (950, 0) or dice.random() < 0.5:
        problem.update(tolerance_permille=tolerance, floor_permille=least)
    if dice.random() < 0.7:
        problem.update(penalty_price=str(dice.randint(0, scale.price)),
                       deposit_ueur=str(dice.choice((0, 7, dice.randint(0, 10**6), 10**15, I64_MAX))))
    wanted = [edge_of_credit(dice, c, tolerance, least) for c in contracted]
    direction = dice.choice(("up", "down"))
    if method == "baseline":
        problem["baseline"] = random_baseline(dice, scale, count)
        # Near what the later days read, so that credits are neither all nor nothing.
        near = dice.choice(problem["baseline"]["candidates"][-5:])["wh"]
        against = [int(value) for value in near]
    else:
        against = [scale.reading(dice) for _ in range(count)]
    if method.startswith("capacity"):
        problem["limit_wh"] = texts(against)
        sign = 1 if method == "capacity_cap" else -1
        actual = [l + sign * (c - d) for l, c, d in zip(against, contracted, wanted)]
        if dice.random() < 0.3:
            problem["direction"] = direction
    else:
        problem["direction"] = direction
        if method != "baseline":
            problem["reference_wh"] = texts(against)
        actual = [r - d if direction == "up" else r + d for r, d in zip(against, wanted)]
    problem["actual_wh"] = texts(clip(a) for a in actual)
    return problem


def random_problems(seed, count):
    dice = random.Random(seed)
    for at in range(count):
        yield f"seed {seed} problem {at}", random_problem(dice, METHODS[at % len(METHODS)])


# --- real meter data ---------------------------------------------------------------------------

PRICES = {"price": "287311", "penalty_price": "91207", "deposit_ueur": "40000"}


def escrow_of(contracted):
    return str(ceil(Fraction(int(PRICES["price"]) * sum(contracted), 1000)))


def problems_of_delivery(name, contracted, actual, reference, limit, baseline):
    """One delivery by every method and in both directions."""
    common = dict(PRICES, format="flexsettle/1", contracted_wh=texts(contracted),
                  actual_wh=texts(actual), escrow_ueur=escrow_of(contracted),
                  reference_wh=texts(reference), limit_wh=texts(limit), baseline=baseline)
    for method in METHODS:
        for direction in ("up", "down"):
            for least in (0, 750):
                yield (f"{name} {method} {direction} floor {least}",
                       dict(common, method=method, direction=direction, floor_permille=least))


def g0_profile(folder):
    """Two weeks of quarter hours of a shop, in Wh for 60 kW of connected load."""
    with open(folder / "simbench" / "LoadProfile_G0_two_weeks.csv", newline="") as file:
        rows = list(csv.reader(file, delimiter=";"))[1:]
    values = [floor(Fraction(row[1]) * 60000 / 4) for row in rows]
    return [values[at:at + 96] for at in range(0, len(values), 96)]


def g0_problems(folder):
    """Every two hours of the last working days and of the last weekend; comparable days are those of
    the same class in the rows before. The rows are an index (SOURCES.md), taken to start on Monday."""
    days = g0_profile(folder)
    weekday = [(date(2018, 1, 1) + timedelta(days=at)).weekday() < 5 for at in range(len(days))]
    for today in range(8, len(days)):
        alike = [at for at in range(today) if weekday[at] == weekday[today]]
        for start in range(WINDOW + GAP, 96, 8):
            span = slice(start, start + 8)
            window = slice(start - GAP - WINDOW, start - GAP)
            actual = days[today][span]
            baseline = {"days": 6, "highest": min(5, len(alike)),
                        "candidates": [{"day": at, "wh": texts(days[at][span])} for at in alike],
                        "candidate_window_wh": [texts(days[at][window]) for at in alike],
                        "actual_window_wh": texts(days[today][window])}
            contracted = [max(1, a // 9) for a in actual]
            yield from problems_of_delivery(f"G0 day {today} from {start}", contracted, actual,
                                            days[alike[-1]][span], [a - 60 for a in actual], baseline)


def opsd_readings(folder):
    """Wh per quarter hour from registers in kWh with three decimals, so exactly."""
    with open(folder / "opsd" / "residential4_registers_20160619_20.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    def steps(key):
        values = [int(Fraction(row[key]) * 1000) for row in rows]
        return [after - before for before, after in zip(values, values[1:])]
    net = [i - e for i, e in zip(steps("grid_import_kwh"), steps("grid_export_kwh"))]
    return net, steps("ev_kwh")


def opsd_problems(folder):
    """One real day with export at noon. It has no earlier days, so blocks of four hours stand in for
    them: 8 intervals of window, 4 of gap, 4 of delivery."""
    net, charging = opsd_readings(folder)
    for name, series in (("net", net), ("EV", charging)):
        blocks = [series[at:at + 16] for at in range(0, 96, 16)]
        for today in range(3, 6):
            actual = blocks[today][12:]
            before = blocks[:today]
            baseline = {"days": 4, "highest": 2, "adjustment_permille": 500,
                        "candidates": [{"day": at, "wh": texts(block[12:])}
                                       for at, block in enumerate(before)],
                        "candidate_window_wh": [texts(block[:8]) for block in before],
                        "actual_window_wh": texts(blocks[today][:8])}
            yield from problems_of_delivery(f"OPSD {name} block {today}", [150, 1, 90, 333], actual,
                                            before[-1][12:], [-20, 0, 40, -700], baseline)
        # The whole day as one delivery of 96 intervals, against itself six hours earlier.
        earlier = series[-24:] + series[:-24]
        contracted = [1 + abs(a - b) for a, b in zip(series, earlier)]
        same = {"days": 1, "highest": 1, "candidates": [{"day": 0, "wh": texts(earlier)}],
                "candidate_window_wh": [texts(series[:8])], "actual_window_wh": texts(series[:8])}
        yield from problems_of_delivery(f"OPSD {name} whole day", contracted, series, earlier,
                                        earlier, same)


def real_problems(folder):
    folder = Path(folder)
    yield from g0_problems(folder)
    yield from opsd_problems(folder)
