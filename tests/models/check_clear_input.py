#!/usr/bin/env python3
"""flexclear on bad input: exit 2, one line "flexclear: WHERE: WHAT" on stderr, nothing on stdout.
And on input that looks odd but is legal.

check_clear_input.py FLEXCLEAR"""
import json
import subprocess
import sys

PROGRAM = sys.argv[1]
BID = {"id": "b", "agent": "a", "side": "buy", "quantity": "5", "price": "3"}
ASK = {"id": "s", "agent": "f", "side": "sell", "quantity": "5", "price": "2"}
TREE = [{"node": "R1", "parent": "R0", "capacity": "4"}]


def problem(mechanism="merit_order", bids=(BID, ASK), **more):
    return {"format": "flexclear/1", "mechanism": mechanism, "bids": list(bids), **more}


def without(item, key):
    return {k: v for k, v in item.items() if k != key}


def bid(**more):
    return [{**BID, **more}, ASK]


MANY = [{**BID, "id": f"b{i}", "agent": f"a{i}"} for i in range(21)]
BAD = [
    # (where the message must point, problem)
    ("line 1 column 1", ""), ("line 1 column 1", "\x00"), ("line 1 column 2", "{"),
    ("line 1 column 4", "{} x"), ("problem", "[]"), ("problem", "3"), ("format", "{}"),
    ("line 1 column 9", '{"a":1,"a":2}'), ("bids", without(problem(), "bids")),
    ("format", {**problem(), "format": "flexclear/2"}), ("format", {**problem(), "format": 1}),
    ("mechanism", without(problem(), "mechanism")), ("mechanism", problem("merit")),
    ("more", problem(more=1)), ("a?b??[31m", problem(**{"a\nb\r\x1b[31m": 1})),
    ("bids[0].c?", problem(bids=bid(**{"c\n": 1}))), ("problem", problem(**{"": 1})), ("bids", {**problem(), "bids": {}}),
    ("tie", problem(tie="random")), ("tie", problem(tie=None)),
    ("trade_price", problem(trade_price="best")), ("payments", problem(payments="vcg")),
    ("payments[0]", problem(payments=["free"])), ("payments[0]", problem(payments=[1])),
    ("payments[1]", problem(payments=["vcg", "vcg"])), ("excess", problem(excess="yes")),
    ("seed", problem(seed="")), ("seed", problem(seed="abc")), ("seed", problem(seed="zz")),
    ("seed", problem(seed="00" * 33)), ("seed", problem(seed=7)),
    ("seed", problem(bids=MANY, payments=["shapley"])), ("excess", problem(bids=MANY, excess=True)),
    ("links", problem(links=[{"type": "xor", "bids": ["b", "s"]}])),
    ("network", problem(network={})), ("lines", problem(lines=[1])), ("rows", problem(rows={})),
    ("rule", problem(rule="premium")), ("tree", problem(tree=[])),
    ("bids[0]", problem(bids=[3])), ("bids[0]", problem(bids=[[]])),
    ("bids[0].id", problem(bids=bid(id=""))), ("bids[0].id", problem(bids=bid(id=7))),
    ("bids[0].id", problem(bids=bid(id="x" * 129))), ("bids[0].id", problem(bids=bid(id="a\n"))),
    ("bids[0].id", problem(bids=bid(id="\x7f"))), ("bids[0].id", problem(bids=bid(id="\x85"))),
    ("bids[1].id", problem(bids=[BID, BID])), ("bids[0].agent", problem(bids=bid(agent=""))),
    ("bids[0].side", problem(bids=bid(side="both"))), ("bids[0].color", problem(bids=bid(color=1))),
    ("bids[0].quantity", problem(bids=bid(quantity=5))),
    ("bids[0].quantity", problem(bids=bid(quantity="-1"))),
    ("bids[0].quantity", problem(bids=bid(quantity="05"))),
    ("bids[0].quantity", problem(bids=bid(quantity="5.0"))),
    ("bids[0].quantity", problem(bids=bid(quantity=" 5"))),
    ("bids[0].quantity", problem(bids=bid(quantity=""))),
    ("bids[0].quantity", problem(bids=bid(quantity="9223372036854775808"))),
    ("bids[1].quantity", problem(bids=bid(quantity="9223372036854775807"))),
    ("bids[0].price", problem(bids=bid(price="-0"))), ("bids[0].price", problem(bids=bid(price="+1"))),
    ("bids[0].price", problem(bids=bid(price="9223372036854775807",
                                       quantity="9223372036854775800"))),
    ("bids[0].order", problem(bids=bid(order=-1))), ("bids[0].order", problem(bids=bid(order="1"))),
    ("bids[0].interval", problem(bids=bid(interval=4294967296))),
    ("bids[0].kind", problem(bids=bid(kind="market"))), ("bids[0].node", problem(bids=bid(node=1))),
    ("bids[0].carrier", problem(bids=bid(carrier="heat"))),
    ("bids[0].indivisible", problem(bids=bid(indivisible=1))),
    ("bids[0].indivisible", problem(bids=bid(indivisible=True))),
    ("bids[0].min_quantity", problem(bids=bid(min_quantity="1"))),
    ("bids[0].min_quantity", problem("continuous", bids=bid(min_quantity="6"))),
    ("bids[0].min_quantity", problem("continuous", bids=bid(min_quantity="-1"))),
    ("bids[0].kind", problem(bids=bid(kind="fill_and_kill"))),
    ("bids[0].kind", problem("ordered_demand", bids=bid(kind="all_or_none"))),
    ("bids[1].agent", problem("ordered_demand", bids=[BID, {**BID, "id": "c", "agent": "z"}])),
    ("bids[1].price", problem("ordered_demand", bids=[ASK, {**ASK, "id": "t", "order": 1,
                                                           "price": "1"}])),
    ("payments", problem("ordered_demand", payments=["uniform"])),
    ("payments", problem("one_sided", payments=["uniform"])),
    ("payments", problem("continuous", payments=["vcg"])),
    ("payments", problem("capacity", bids=[], rule="premium", tree=[], payments=["shapley"])),
    ("excess", problem("continuous", excess=True)),
    ("bids[1].side", problem("one_sided", bids=[BID, {**BID, "id": "c"}])),
    ("bids[1].agent", problem(bids=[BID, {**ASK, "agent": "a"}], payments=["vcg_sellers"])),
    ("rule", problem("capacity", bids=[], tree=TREE)), ("tree", problem("capacity", bids=[],
                                                                       rule="premium")),
    ("rule", problem("capacity", bids=[], tree=TREE, rule="lottery")),
    ("bids[0].node", problem("capacity", bids=[BID], tree=TREE, rule="premium")),
    ("bids[0].node", problem("capacity", bids=bid(node="R9"), tree=TREE, rule="premium")),
    ("bids[0].price", problem("capacity", bids=[{**BID, "node": "R1", "price": "-1"}], tree=TREE,
                              rule="premium")),
    ("tree[1].node", problem("capacity", bids=[], tree=TREE * 2, rule="premium")),
    ("tree[0].capacity", problem("capacity", bids=[], tree=[{"node": "R1"}], rule="premium")),
    ("tree[0].capacity", problem("capacity", bids=[], tree=[{"node": "R1", "capacity": "-1"}],
                                 rule="premium")),
    ("tree[0].size", problem("capacity", bids=[], tree=[{**TREE[0], "size": 1}], rule="premium")),
    ("tree", problem("capacity", bids=[], rule="premium",
                     tree=[{"node": "A", "parent": "B", "capacity": "1"},
                           {"node": "B", "parent": "A", "capacity": "1"}])),
]
NET = {"slack": "R0", "lines": [{"from": "R0", "to": "R1", "capacity": "4"}]}


def coupled(bids=None, network=NET, **more):
    bids = bids if bids is not None else [{**BID, "node": "R0"}, {**ASK, "node": "R1"}]
    return problem("coupled", bids=bids, network=network, **more)


def line(**more):
    return coupled(bids=[], network={**NET, "lines": [{**NET["lines"][0], **more}]})


def row(item):
    return coupled(network={**NET, "rows": [item]})


def link(*items):
    three = [{**BID, "id": i, "node": "R0"} for i in "xyz"]
    return coupled(bids=three + [{**ASK, "node": "R0"}], links=list(items))


def convert(a, b, **more):
    return {"type": "convert", "in": a, "out": b, "num": "1", "den": "1", **more}


LARGEST = str(2**63 - 1)
BAD += [
    ("network", problem("coupled", bids=[])), ("network", coupled(network=[])),
    ("network.slack", coupled(network={})), ("network.more", coupled(network={**NET, "more": 1})),
    ("network.lines", coupled(network={**NET, "lines": {}})),
    ("network.rows", coupled(network={**NET, "rows": {}})),
    ("network.lines[0].to", line(to="")), ("network.lines[0].from", line(**{"from": 3})),
    ("network.lines[0].to", line(to="R0")), ("network.lines[0].capacity", line(capacity="-1")),
    ("network.lines[0].capacity", line(capacity=4)), ("network.lines[0].r", line(r="1")),
    ("network.lines[0].carrier", line(carrier="")), ("network.lines[0]", coupled(
        network={**NET, "lines": [7]})),
    ("network.rows[0].coef", row({"op": "<=", "rhs": "1"})),
    ("network.rows[0].coef.R9", row({"coef": {"R9": "1"}, "op": "<=", "rhs": "1"})),
    ("network.rows[0].coef.R1", row({"coef": {"R1": 1}, "op": "<=", "rhs": "1"})),
    ("network.rows[0].coef.R1", row({"coef": {"R1": "9223372036854775808"}, "op": "<=",
                                     "rhs": "1"})),
    ("network.rows[0].op", row({"coef": {}, "op": "<", "rhs": "1"})),
    ("network.rows[0].rhs", row({"coef": {}, "op": "<="})),
    ("network.rows[0]", row({"coef": {"R1": "1"}, "op": "=", "rhs": "1000"})),
    ("network.rows[0]", row({"coef": {}, "op": ">=", "rhs": "1"})),
    ("bids[0].node", coupled(bids=[BID])), ("bids[0].node", coupled(bids=[{**BID, "node": "R9"}])),
    ("bids[0].carrier", coupled(bids=[{**BID, "node": "R0", "carrier": 1}])),
    ("bids[0].quantity", coupled(bids=[{**BID, "node": "R0", "quantity": LARGEST}])),
    ("bids[0].min_quantity", coupled(bids=[{**BID, "node": "R0", "min_quantity": "6"}])),
    ("links", coupled(links={})), ("links[0]", link("x")), ("links[0].type", link({"bids": []})),
    ("links[0].type", link({"type": "nor", "bids": ["x", "y"]})),
    ("links[0].bids", link({"type": "and"})), ("links[0].bids", link({"type": "xor", "bids": "x"})),
    ("links[0].bids", link({"type": "or", "bids": ["x"]})),
    ("links[0].bids", link({"type": "and", "bids": ["x", "x"]})),
    ("links[0].bids", link({"type": "and", "bids": ["x", "s"]})),
    ("links[0].bids[1]", link({"type": "and", "bids": ["x", "nobody"]})),
    ("links[0].bids[0]", link({"type": "and", "bids": [1, "x"]})),
    ("links[0].op", link({"type": "sum", "bids": ["x"], "quantity": "1"})),
    ("links[0].quantity", link({"type": "sum", "bids": ["x"], "op": "<="})),
    ("links[0].quantity", link({"type": "sum", "bids": ["x", "y"], "op": ">=", "quantity": "11"})),
    ("links[0].quantity", link({"type": "sum", "bids": ["x"], "op": "=", "quantity": "-1"})),
    ("links[0].op", link({"type": "and", "bids": ["x", "y"], "op": "<="})),
    # Sums that contradict each other, or the network.
    ("links[1]", link({"type": "sum", "bids": ["x", "y"], "op": "<=", "quantity": "1"},
                      {"type": "sum", "bids": ["x", "y"], "op": ">=", "quantity": "2"})),
    ("links[0]", link({"type": "sum", "bids": ["x", "y", "z"], "op": ">=", "quantity": "6"})),
    ("links[0].in", link({"type": "convert", "out": "x", "num": "1", "den": "1"})),
    ("links[0].out", link(convert("x", "q"))), ("links[0].den", link(convert("x", "y", den="0"))),
    ("links[0].num", link(convert("x", "y", num="-1"))),
    ("links[1].out", link(convert("x", "z"), convert("y", "z"))),
    ("links[0].in", link(convert("x", "y"), convert("y", "z"), convert("z", "x"))),
    ("links[1].in", link({"type": "block", "bids": ["x", "y"]}, convert("x", "y"))),
    ("links[0].bids", link(convert("x", "x"))),
    ("payments[0]", coupled(payments=["uniform"])),
    ("payments[1]", coupled(payments=["node", "node"])),
    ("payments[2]", coupled(payments=["node", "pay_as_bid", "node"])),
    ("excess", coupled(excess=True)), ("rule", coupled(rule="premium")),
    ("format", {"format": "flexclear-result/1", "welfare_neur": "0", "accepted": []}),
    ("lines", coupled(lines=NET["lines"])), ("tie", coupled(tie="no")), ("seed", coupled(seed="00")),
]
GOOD = [
    problem(bids=[]), problem("one_sided", bids=[]), problem("continuous", bids=[]),
    problem("ordered_demand", bids=[], payments=["vcg", "shapley"], excess=True),
    problem("capacity", bids=[], tree=[], rule="premium"),
    problem(bids=[], payments=["pay_as_bid", "uniform", "vcg", "vcg_sellers", "shapley"]),
    problem(links=[], lines=[], rows=[], tie="time", trade_price="resting", payments=[]),
    problem(bids=bid(id='quote " back \\ slash / ü', agent="é", node="x", carrier="el")),
    problem(bids=bid(quantity="0")), problem(bids=bid(price="-9223372036854775808")),
    problem(bids=MANY, payments=["shapley"], seed="00ff"),
    problem("capacity", bids=[{**BID, "node": "R0"}], tree=TREE, rule="first_come"),
    coupled(), coupled(bids=[]), coupled(bids=[], network={"slack": "R0"}, payments=["node"]),
    coupled(links=[], lines=[], rows=[], tree=[], excess=False, tie="pro_rata"),
    coupled(bids=[{**BID, "node": "R0", "carrier": "heat"}], payments=["pay_as_bid", "node"]),
    coupled(network={"slack": "R0", "lines": [
        {"from": "R0", "to": "R1", "capacity": LARGEST}] * 5},
        bids=[{**BID, "node": "R0", "price": "-" + LARGEST, "quantity": "1"},
              {**ASK, "node": "R0", "price": "-" + LARGEST, "quantity": "1"},
              {**BID, "id": "t", "node": "R1", "price": LARGEST, "quantity": "1"},
              {**ASK, "id": "u", "node": "R1", "price": LARGEST, "quantity": "1"}]),
    # Prices that all say the same, and as large as they can be.
    coupled(bids=[{**BID, "node": "R0", "price": "0"}, {**ASK, "node": "R1", "price": "0"}]),
    coupled(bids=[{**BID, "node": "R0", "price": LARGEST},
                  {**ASK, "node": "R1", "price": "-" + LARGEST}], payments=["node"]),
    row({"coef": {"R0": LARGEST, "R1": "-" + LARGEST}, "op": "<=", "rhs": LARGEST}),
    link({"type": "sum", "bids": ["x", "y"], "op": "=", "quantity": "3"}),
    link({"type": "and", "bids": ["x", "y"]}, {"type": "and", "bids": ["y", "z"]},
         {"type": "and", "bids": ["z", "x"]}),
]


def run(text, *arguments):
    return subprocess.run([PROGRAM, *arguments], input=text.encode(), capture_output=True,
                          check=False)


def main():
    for where, item in BAD:
        text = item if isinstance(item, str) else json.dumps(item)
        done = run(text)
        line = done.stderr.decode()
        if (done.returncode != 2 or done.stdout or line.count("\n") != 1
                or not line.startswith(f"flexclear: {where}: ")):
            sys.exit(f"{text}\nmust fail at {where}, got {done.returncode}: {line}{done.stdout}")
    for item in GOOD:
        done = run(json.dumps(item, ensure_ascii=False))
        ids = [b["id"] for b in item["bids"]]
        if (done.returncode != 0 or done.stderr
                or [a["id"] for a in json.loads(done.stdout)["accepted"]] != ids):
            sys.exit(f"{item}\nmust be cleared, got {done.returncode}: {done.stderr.decode()}")
    for arguments in (["--nothing"], ["a", "b"], ["--verify", "x"], ["/nowhere"], ["/"]):
        done = run("", *arguments)
        if done.returncode != 2 or done.stdout or not done.stderr:
            sys.exit(f"{arguments}: {done}")
    if run(json.dumps(problem()), "-").stdout != run(json.dumps(problem())).stdout:
        sys.exit("'-' is standard input")
    print(f"clear: {len(BAD)} bad problems refused at their place, {len(GOOD)} odd ones cleared")


main()
