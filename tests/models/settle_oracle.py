"""What a delivery is worth, from the words of market-rules 9 and nothing else.

Written apart from contracts/ on purpose: fractions where the contracts use pairs of integers, sorting
where they count ranks, no limits of word length until the very end. settle(problem) takes a
flexsettle/1 problem as parsed JSON and returns the flexsettle-result/1 object; it raises Refused where
a number does not fit 64 bits or the escrow is too small. It does not check a problem's form.
"""
from fractions import Fraction
from math import ceil, floor

REFERENCE_METHODS = ("schedule", "submeter", "baseline")


class Refused(Exception):
    """No result. The message opens with the place that flexsettle has to name."""


def integers(texts):
    return [int(text) for text in texts]


def fits(place, values):
    for at, value in enumerate(values):
        if not -(2**63) <= value < 2**63:
            raise Refused(f"{place}[{at}]")
    return values


def chosen_days(parameters):
    """Indices of the days that make the mean: highest sums first, of equal ones the later day."""
    sums = [sum(integers(day["wh"])) for day in parameters["candidates"]]
    counting = range(len(sums))[-parameters.get("days", 10):]
    by_rank = sorted(counting, key=lambda i: (sums[i], i), reverse=True)
    return by_rank[: parameters.get("highest", 5)]


def floored_means(rows):
    return [floor(Fraction(sum(column), len(column))) for column in zip(*rows)]


def adjustment(parameters, days):
    """The factor by which the same day moves the mean."""
    if "actual_window_wh" not in parameters:
        return Fraction(1)
    actual = sum(integers(parameters["actual_window_wh"]))
    windows = parameters["candidate_window_wh"]
    mean = sum(floored_means([integers(windows[i]) for i in days]))
    if actual <= 0 or mean <= 0:
        return Fraction(1)
    cap = Fraction(parameters.get("adjustment_permille", 200), 1000)
    return min(max(Fraction(actual, mean), 1 - cap), 1 + cap)


def baseline(parameters):
    days = chosen_days(parameters)
    factor = adjustment(parameters, days)
    rows = [integers(parameters["candidates"][i]["wh"]) for i in days]
    return [floor(mean * factor) for mean in floored_means(rows)]


def references(problem):
    if problem["method"] == "baseline":
        return baseline(problem["baseline"])
    if problem["method"] in REFERENCE_METHODS:
        return integers(problem["reference_wh"])
    return []


def delivered(problem, reference):
    actual = integers(problem["actual_wh"])
    if problem["method"] in REFERENCE_METHODS:
        sign = 1 if problem["direction"] == "up" else -1
        return [sign * (r - a) for r, a in zip(reference, actual)]
    contracted = integers(problem["contracted_wh"])
    limit = integers(problem["limit_wh"])
    over = 1 if problem["method"] == "capacity_cap" else -1
    return [c - max(0, over * (a - l)) for c, a, l in zip(contracted, actual, limit)]


def credited(contracted, energy, tolerance, least):
    share = Fraction(energy, contracted)
    if share >= tolerance:
        return contracted
    if share < least:
        return 0
    return max(0, min(energy, contracted))


def settle(problem):
    contracted = integers(problem["contracted_wh"])
    reference = fits("reference_wh", references(problem))
    energy = fits("actual_wh", delivered(problem, reference))
    tolerance = Fraction(problem.get("tolerance_permille", 950), 1000)
    least = Fraction(problem.get("floor_permille", 0), 1000)
    credit = [credited(c, d, tolerance, least) for c, d in zip(contracted, energy)]
    price = Fraction(int(problem["price"]), 1000)  # micro-euro per Wh
    penalty_price = Fraction(int(problem.get("penalty_price", "0")), 1000)
    escrow = int(problem["escrow_ueur"])
    paid = floor(sum(price * k for k in credit))
    if paid > escrow:
        raise Refused("escrow_ueur")
    missing = sum(c - k for c, k in zip(contracted, credit))
    penalty = min(ceil(penalty_price * missing), int(problem.get("deposit_ueur", "0")))
    return {
        "format": "flexsettle-result/1",
        "reference_wh": [str(r) for r in reference],
        "delivered_wh": [str(d) for d in energy],
        "credited_wh": [str(k) for k in credit],
        "paid_ueur": str(paid),
        "refunded_ueur": str(0 if credit == contracted else escrow - paid),
        "penalty_ueur": str(penalty),
    }
