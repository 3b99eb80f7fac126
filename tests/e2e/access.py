#!/usr/bin/env python3
"""Read access by role on real processes: every route of /openapi.json against every role, by a table
that a new route must stand in; what is not one's own leaves no trace; nothing signed counts twice.

Usage: access.py BUILD"""
import http.client
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from signed import Node, Wallet

ROLES = ["regulator", "operator", "dso", "agg-a", "agg-b", "meters", "treasurer"]
STREAMS_OF_ONE = 8  # api.streams
ALL = set(ROLES)


class Failure(Exception):
    pass


class World:
    def __init__(self, build):
        self.bin = pathlib.Path(build).resolve() / "bin"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="flex-e2e-access-", dir="/tmp"))
        self.net = self.dir / "net"
        self.apis = []

    def flex(self, *words, home=None, node=None, code=0):
        options = (["--home", self.net / "wallets" / home] if home else []) + \
                  (["--node", node or self.apis[0]] if self.apis else [])
        done = subprocess.run([self.bin / "flex", *options, *words], capture_output=True, text=True,
                              check=False, cwd=self.dir)
        if done.returncode != code:
            raise Failure(f"flex {words}: exit {done.returncode}: {done.stderr}{done.stdout}")
        return done

    def sealed(self, home, *words):
        """With a passphrase on a pipe, which can be read once."""
        options = ["--home", self.net / "wallets" / home, "--node", self.apis[0], "--json"]
        with tempfile.TemporaryFile() as pipe:
            pipe.write(b"a passphrase\n")
            pipe.seek(0)
            done = subprocess.run([self.bin / "flex", *options, *words, "--passphrase-fd",
                                   str(pipe.fileno())], capture_output=True, text=True,
                                  pass_fds=[pipe.fileno()], stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise Failure(f"flex {words}: exit {done.returncode}: {done.stderr}{done.stdout}")
        return json.loads(done.stdout)

    def act(self, home, *words):
        return json.loads(self.flex("--json", *words, home=home).stdout)

    def start(self):
        self.flex("devnet", "start", "--dir", self.net,
                  *([] if self.net.exists() else ["--simulated-time", "2025-01-15T08:00:00Z"]))
        status = json.loads(self.flex("devnet", "status", "--dir", self.net, "--json").stdout)
        self.apis = [node["api"] for node in status["nodes"]]

    def stop(self):
        self.flex("devnet", "stop", "--dir", self.net)

    def trade(self):
        """A deal of dso's with agg-a, and a request of dso's that nobody has answered."""
        ids = {}
        for who in ROLES:
            if who not in ("regulator", "treasurer"):
                ids[who] = self.act("treasurer", "token", "mint", "--to", who, "--amount", "10",
                                    "--reference", who)["id"]
        self.act("operator", "market", "create", "west", "--zone", "west", "--opens", "2025-01-01",
                 "--closes", "2026-01-01", "--price-max", "2")
        self.flex("meter", "new-key", "--out", "bat.meter")
        meter = json.loads((self.dir / "bat.meter").read_text())["public_key"]
        self.act("agg-a", "asset", "register", "bat", "--type", "storage", "--max-power-w", "10000",
                 "--connection-w", "11000", "--grid-node", "n1", "--feeder", "f1", "--zone", "west",
                 "--meter-key", meter)
        self.act("dso", "asset", "prequalify", "bat")
        self.act("agg-a", "asset", "enrol", "bat", "--market", "west")
        (self.dir / "plan").write_text("500 500 500 500\n")
        at = ["--market", "west", "--direction", "up", "--quantity-wh", "4000"]
        self.act("agg-a", "order", "offer", *at, "--start", "2025-01-15T11:00Z", "--price", "0.20",
                 "--device", "bat", "--schedule", "plan")
        self.act("dso", "order", "request", *at, "--start", "2025-01-15T11:00Z", "--price", "0.30")
        self.act("dso", "order", "request", *at, "--start", "2025-01-15T12:00Z", "--price", "0.10")
        return ids

    def by_role(self):
        for config in self.net.glob("nodes/*/flexd.json"):
            values = json.loads(config.read_text())
            values["read_access"] = "role"
            values["read_zones"] = [{"participant": "dso", "zone": "west"}]
            config.write_text(json.dumps(values))


def items(*ids, of):
    """Who sees which records of a list, exactly."""
    return {"list": {role: set(ids) if role in of else set() for role in ROLES}}


def rows(**counts):
    return {"rows": {role: counts.get(role.replace("-", "_"), 0) for role in ROLES}}


def only(*roles, otherwise=404):
    return {"status": {role: 200 if role in roles else otherwise for role in ROLES}}


def table(ids, commitment, key):
    """Route -> (what to ask, what each role gets). A route of the node's that is not here fails."""
    all_of = {"list": {role: None for role in ROLES}}  # 200 for all, with the same items
    own = {"list": {role: set(ROLES) if role == "regulator" else {role} for role in ROLES}}
    own["list"]["regulator"] = None
    nothing = items(of=[])
    near = ["regulator", "operator", "dso", "agg-a"]
    orders = items(of=[])
    orders["list"].update({"regulator": {"1", "2", "3"}, "operator": {"1", "2", "3"},
                           "dso": {"2", "3"}, "agg-a": {"1"}})
    people = items(of=[])
    people["list"] = {role: None if role in ("regulator", "operator") else {role} for role in ROLES}
    for_all, nobody = only(*ROLES), only()
    return {
        "/v1/transactions/{id}": ("/v1/transactions/" + ids["agg-a"],
                                  only("regulator", "treasurer", "agg-a")),
        "/v1/accounts": ("/v1/accounts", own),
        "/v1/accounts/{name}": ("/v1/accounts/agg-a", only("regulator", "agg-a")),
        "/v1/participants": ("/v1/participants", people),
        "/v1/participants/{id}": ("/v1/participants/agg-a", only("regulator", "operator", "agg-a")),
        "/v1/proposals": ("/v1/proposals", all_of),
        "/v1/proposals/{id}": ("/v1/proposals/1", nobody),
        "/v1/validators": ("/v1/validators", all_of),
        "/v1/validators/{id}": ("/v1/validators/" + "0" * 64, nobody),
        "/v1/evidence_records": ("/v1/evidence_records", all_of),
        "/v1/evidence_records/{id}": ("/v1/evidence_records/x", nobody),
        "/v1/assets": ("/v1/assets", items("bat", of=near + ["meters"])),
        "/v1/assets/{id}": ("/v1/assets/bat", only(*near, "meters")),
        "/v1/aliases": ("/v1/aliases", nothing),
        "/v1/aliases/{id}": ("/v1/aliases/bat", nobody),
        "/v1/commitments": ("/v1/commitments?limit=1", items(commitment, of=near)),
        "/v1/commitments/{id}": ("/v1/commitments/" + commitment, only(*near)),
        "/v1/enrolments": ("/v1/enrolments", items("bat/west", of=near)),
        "/v1/enrolments/{id}": ("/v1/enrolments/bat/west", only(*near)),
        "/v1/markets": ("/v1/markets", all_of),
        "/v1/markets/{id}": ("/v1/markets/west", for_all),
        "/v1/orders": ("/v1/orders", orders),
        "/v1/orders/{id}": ("/v1/orders/1", only("regulator", "operator", "agg-a")),
        "/v1/deals": ("/v1/deals", items("1", of=near)),
        "/v1/deals/{id}": ("/v1/deals/1", only(*near)),
        "/v1/auctions": ("/v1/auctions", nothing),
        "/v1/auctions/{id}": ("/v1/auctions/west/1736938800000/up", nobody),
        "/v1/coupled_auctions": ("/v1/coupled_auctions", nothing),
        "/v1/coupled_auctions/{id}": ("/v1/coupled_auctions/west/1736938800000/up", nobody),
        "/v1/coupled_pages": ("/v1/coupled_pages", all_of),
        "/v1/coupled_pages/{id}": ("/v1/coupled_pages/west/1736938800000/up/problem/0", nobody),
        "/v1/portfolios": ("/v1/portfolios", nothing),
        "/v1/portfolios/{id}": ("/v1/portfolios/1", nobody),
        "/v1/network_lines": ("/v1/network_lines", all_of),
        "/v1/network_lines/{id}": ("/v1/network_lines/grid/l1", nobody),
        "/v1/network_rows": ("/v1/network_rows", all_of),
        "/v1/network_rows/{id}": ("/v1/network_rows/grid/v1", nobody),
        "/v1/networks": ("/v1/networks", all_of),
        "/v1/networks/{id}": ("/v1/networks/grid", nobody),
        "/v1/network_nodes": ("/v1/network_nodes", all_of),
        "/v1/network_nodes/{id}": ("/v1/network_nodes/grid/root", nobody),
        "/v1/capacities": ("/v1/capacities", all_of),
        "/v1/capacities/{id}": ("/v1/capacities/grid/root/1736942400000", nobody),
        "/v1/allocations": ("/v1/allocations", nothing),
        "/v1/allocations/{id}": ("/v1/allocations/1", nobody),
        "/v1/forecasts": ("/v1/forecasts", nothing),
        "/v1/forecasts/{id}": ("/v1/forecasts/agg-a/x/1736942400000/1", nobody),
        "/v1/dispatches": ("/v1/dispatches", nothing),
        "/v1/dispatches/{id}": ("/v1/dispatches/bat/1736942400000/0", nobody),
        "/v1/batches": ("/v1/batches", all_of),
        "/v1/batches/{id}": ("/v1/batches/meters/x/1736942400000", nobody),
        "/v1/notes/{date}": ("/v1/notes/2025-01-14", nobody),
        "/v1/digests": ("/v1/digests", all_of),
        "/v1/digests/{id}": ("/v1/digests/1", nobody),
        "/v1/params": ("/v1/params", all_of),
        "/v1/supply": ("/v1/supply", all_of),
        "/v1/keys/{key}": ("/v1/keys/" + key, only("regulator", "operator", "agg-a")),
        "/v1/proofs/{kind}/{id}": ("/v1/proofs/pot/balance/agg-a", only("regulator", "agg-a")),
        "/v1/proofs/{kind}": ("/v1/proofs/supply", for_all),
        "/v1/blocks/{height}": ("/v1/blocks/1", for_all),
        "/v1/blocks/{height}/receipts": ("/v1/blocks/1/receipts", only("regulator", otherwise=403)),
        "/v1/export": ("/v1/export?from=1&count=1", only("regulator", otherwise=403)),
        "/v1/order-events": ("/v1/order-events", rows(regulator=5, operator=5, dso=3, agg_a=2)),
        "/v1/trades": ("/v1/trades", rows(regulator=1, operator=1, dso=1, agg_a=1)),
        "/v1/fees": ("/v1/fees", rows(regulator=7, operator=1, dso=3, agg_a=3)),
        "/v1/movements": ("/v1/movements", None),  # checked by owner below
        "/v1/depth/{market}": ("/v1/depth/west", only("regulator", "operator", "dso", otherwise=403)),
        "/v1/snapshots": ("/v1/snapshots", for_all),
        "/v1/snapshots/{height}/{part}": ("/v1/snapshots/1/manifest", {
            "status": {role: 404 if role == "regulator" else 403 for role in ROLES}}),
        "/v1/evidence": ("/v1/evidence", for_all),
        "/v1/genesis": ("/v1/genesis", for_all),
        "/v1/events": ("/v1/events?from=1", None),  # streams, below
    }


PUBLIC = ["/v1/status", "/health", "/ready", "/metrics", "/openapi.json"]


def check_route(node, wallets, url, expected):
    status, _, headers = node.ask(url)
    if status != 401 or not headers.get("WWW-Authenticate", "").startswith("Flexledger genesis="):
        raise Failure(f"{url} without a signature: {status} {headers}")
    same = None
    for role in ROLES:
        status, text, _ = wallets[role].get(node, url)
        if "status" in expected:
            if status != expected["status"][role]:
                raise Failure(f"{url} as {role}: {status} {text[:200]}")
            continue
        if status != 200:
            raise Failure(f"{url} as {role}: {status} {text[:200]}")
        answer = json.loads(text)
        if "rows" in expected and len(answer["items"]) != expected["rows"][role]:
            raise Failure(f"{url} as {role}: {len(answer['items'])} rows: {text[:400]}")
        if "list" not in expected:
            continue
        seen, wanted = [item["id"] for item in answer["items"]], expected["list"][role]
        if wanted is not None and set(seen) != wanted:
            raise Failure(f"{url} as {role}: {seen}, not {wanted}")
        if wanted is None:
            same = same or seen
            if seen != same:
                raise Failure(f"{url} as {role}: {seen}, others {same}")
        limited = expected["list"]["agg-b"] is not None and role != "regulator"
        if answer.get("filtered", False) != limited:
            raise Failure(f"{url} as {role}: filtered {answer.get('filtered')}")
        if "next" in answer and "limit" not in url:
            raise Failure(f"{url} as {role}: goes on: {answer['next']}")


def check_every_route(node, wallets, ids):
    first = json.loads(wallets["regulator"].get(node, "/v1/commitments?limit=1")[1])["items"][0]
    rules = table(ids, first["id"], wallets["agg-a"].public.hex())
    paths = json.loads(node.ask("/openapi.json")[1])["paths"]
    routes = {path for path, methods in paths.items() if "get" in methods}
    if routes != set(rules) | set(PUBLIC):
        raise Failure(f"routes without a row, or rows without a route: {routes ^ (set(rules) | set(PUBLIC))}")
    for path in PUBLIC:
        if node.ask(path)[0] != 200:
            raise Failure(f"{path} needs no signature")
    if paths["/v1/transactions"]["post"]["x-read-access"] != "envelope" or \
            node.ask("/v1/transactions", method="POST", body=b"x")[0] not in (400, 405):
        raise Failure("a transaction is signed by itself")
    for url, expected in rules.values():
        if expected is not None:
            check_route(node, wallets, url, expected)


def check_no_trace(node, wallets, foreign):
    """What one may not see is as what is not there: the same status, the same bytes."""
    pairs = [("/v1/orders/1", "/v1/orders/99"), ("/v1/deals/1", "/v1/deals/99"),
             ("/v1/accounts/agg-a", "/v1/accounts/nobody"), ("/v1/assets/bat", "/v1/assets/tab"),
             ("/v1/participants/dso", "/v1/participants/xyz"),
             ("/v1/enrolments/bat/west", "/v1/enrolments/bat/east"),
             ("/v1/proofs/pot/balance/agg-a", "/v1/proofs/pot/balance/nobody"),
             ("/v1/proofs/order/1", "/v1/proofs/order/99"),
             ("/v1/proofs/deal/1", "/v1/proofs/deal/99"),
             ("/v1/proofs/asset/bat", "/v1/proofs/asset/tab"),
             ("/v1/proofs/participant/dso", "/v1/proofs/participant/xyz"),
             ("/v1/keys/" + wallets["dso"].public.hex(), "/v1/keys/" + "2" * 64),
             ("/v1/proofs/key/" + wallets["dso"].public.hex(), "/v1/proofs/key/" + "2" * 64)]
    for there, absent in pairs:
        one, other = wallets["agg-b"].get(node, there), wallets["agg-b"].get(node, absent)
        if one[0] != 404 or one[:2] != other[:2]:
            raise Failure(f"{there}: {one[:2]}, {absent}: {other[:2]}")
    # A transaction of others', and none.
    found = json.loads(wallets["regulator"].get(node, "/v1/transactions/" + foreign)[1])
    block = "/v1/blocks/" + found["height"]
    if foreign not in json.loads(wallets["regulator"].get(node, block)[1])["transactions"]:
        raise Failure(f"{block} lacks {foreign}")
    for prefix in ("/v1/transactions/", "/v1/proofs/transaction/"):
        one = wallets["agg-b"].get(node, prefix + foreign)
        other = wallets["agg-b"].get(node, prefix + "3" * 64)
        if one[0] != 404 or one[:2] != other[:2]:
            raise Failure(f"{prefix}: {one[:2]}, {other[:2]}")
    if foreign in json.loads(wallets["agg-b"].get(node, block)[1])["transactions"]:
        raise Failure("ids of others' transactions in a block")
    # What is proven absent to its own key: agg-b has no receipt of that kind, and may know it.
    own = "/v1/proofs/participant/agg-b"
    if wallets["agg-b"].get(node, own)[0] != 200:
        raise Failure("one's own proof")
    # A page of one's own ends where it ends, whatever others have behind it.
    answer = json.loads(wallets["agg-a"].get(node, "/v1/accounts?limit=1")[1])
    if [item["id"] for item in answer["items"]] != ["agg-a"] or "next" in answer:
        raise Failure(f"a page of one: {answer}")
    for role in ROLES:
        moves = json.loads(wallets[role].get(node, "/v1/movements?limit=1000")[1])["items"]
        others = {row["participant"] for row in moves} - {role}
        if (role == "regulator") != bool(others):
            raise Failure(f"movements as {role}: of {others}")


def check_depth(world, node, wallets):
    """Sums to the operator; to the grid operator none that one or two others are behind."""
    told = json.loads(wallets["operator"].get(node, "/v1/depth/west")[1])["items"]
    if [(one["direction"], one["buy_wh"], one["sell_wh"]) for one in told] != [("up", "4000", "0")]:
        raise Failure(f"depth: {told}")
    if world.act("operator", "market", "depth", "west")["items"] != told:
        raise Failure("flex market depth")
    world.flex("market", "depth", "west", home="agg-b", code=1)
    if json.loads(wallets["dso"].get(node, "/v1/depth/west")[1])["items"]:
        raise Failure("a sum of one")
    for role in ("dso", "agg-a"):
        if wallets[role].get(node, "/v1/depth/nowhere")[0] != 403:
            raise Failure("a market that is not there")
    for role in ("operator", "regulator"):
        if wallets[role].get(node, "/v1/depth/nowhere")[0] != 404:
            raise Failure(f"a market that is not there, as {role}")
    world.flex("market", "depth", "nowhere", home="operator", code=1)


def check_paging(node, wallets):
    """Sealed places: they go on, for their reader alone."""
    seen, url = [], "/v1/order-events?limit=1"
    while True:
        answer = json.loads(wallets["dso"].get(node, url)[1])
        seen += [(row["height"], row["position"], row["event"]) for row in answer["items"]]
        if "next" not in answer:
            break
        place = answer["next"]
        if not place.startswith("S-"):
            raise Failure(f"a place that tells something: {place}")
        url = "/v1/order-events?limit=1&cursor=" + place
        if wallets["agg-a"].get(node, url)[0] != 400 or \
                wallets["dso"].get(node, "/v1/trades?limit=1&cursor=" + place)[0] != 400:
            raise Failure("a sealed place that others can use")
    whole = json.loads(wallets["dso"].get(node, "/v1/order-events")[1])["items"]
    if seen != [(row["height"], row["position"], row["event"]) for row in whole] or len(seen) != 3:
        raise Failure(f"pages of one: {seen}")


def refused(node, url, headers, code, method="GET"):
    status, text, answer = node.ask(url, headers, method)
    if method == "HEAD":
        if status != 401:
            raise Failure(f"HEAD: {status}")
        return
    if status != 401 or json.loads(text)["error"]["code"] != code or \
            "WWW-Authenticate" not in answer:
        raise Failure(f"{url}: {status} {text}, not {code}")


def check_signatures(node, other, wallets):
    url, wallet = "/v1/accounts", wallets["agg-a"]
    header = wallet.header(node, url)
    if node.ask(url, header)[0] != 200:
        raise Failure("a good request")
    for _ in range(3):
        refused(node, url, header, "signature_replayed")
    refused(node, url, {}, "signature_required")
    for text in ("Basic eDp5", "Flexledger", header["Authorization"] + " ",
                 header["Authorization"].replace("key=", "key = "),
                 header["Authorization"].upper()):
        refused(node, url, {"Authorization": text}, "signature_malformed")
    fresh = wallet.header(node, url)
    refused(node, url + "?limit=5", fresh, "signature_wrong")
    refused(node, url + "?", fresh, "signature_wrong")
    refused(node, "/v1/deals", fresh, "signature_wrong")
    refused(node, url, fresh, "signature_wrong", method="HEAD")
    # Another node's: it is worth nothing here, and still good there.
    refused(other, url, fresh, "signature_wrong")
    if node.ask(url, fresh)[0] != 200:
        raise Failure("what was refused elsewhere is spent here")
    if node.ask(url, wallet.header(node, url, "HEAD"), "HEAD")[0] != 200:
        raise Failure("HEAD")
    for apart in (-31000, 31000, -10**9):
        refused(node, url, wallet.header(node, url, time_ms=node.now_ms() + apart),
                "signature_clock")
    if node.ask(url, wallet.header(node, url, time_ms=node.now_ms() + 15000))[0] != 200:
        raise Failure("a clock that is a little ahead")
    # A key that is nobody's looks like a signature that is wrong.
    stranger = Wallet.__new__(Wallet)
    stranger.secret = bytes(31) + b"\3"
    stranger.public = bytes.fromhex("f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9")
    refused(node, url, stranger.header(node, url), "signature_wrong")
    if node.ask("/v1/accounts", {**wallet.header(node, url), "Content-Length": "3"}, body=b"abc")[0] != 400:
        raise Failure("a body that nobody signed")


def read_stream(node, wallet, wanted, target="/v1/events?from=1"):
    """The first `wanted` blocks of a stream."""
    connection = http.client.HTTPConnection(node.host, timeout=20)
    connection.request("GET", target, headers=wallet.header(node, target))
    answer = connection.getresponse()
    blocks = []
    while len(blocks) < wanted:
        line = answer.readline()
        if not line:
            break
        if line.startswith(b"data: "):
            blocks.append(json.loads(line[6:]))
    connection.close()
    return blocks


def check_streams(world, node, wallets):
    height = int(json.loads(node.ask("/v1/status")[1])["height"])
    refused(node, "/v1/events?from=1", {}, "signature_required")
    seen = {role: read_stream(node, wallets[role], height) for role in ROLES}
    for role, blocks in seen.items():
        if [int(block["height"]) for block in blocks] != list(range(1, height + 1)):
            raise Failure(f"stream of {role}: {[block['height'] for block in blocks]}")
        if any(block.get("filtered", False) != (role != "regulator") for block in blocks):
            raise Failure(f"stream of {role}: filtered")
    kinds = {role: sorted({event["type"] for block in blocks for event in block["events"]})
             for role, blocks in seen.items()}
    if "deal_matched" in kinds["agg-b"] or "order_placed" in kinds["meters"] or \
            "deal_matched" not in kinds["agg-a"] or "deal_matched" not in kinds["operator"] or \
            "token_moved" not in kinds["agg-b"]:
        raise Failure(f"events: {kinds}")
    text = json.dumps(seen["agg-b"])
    for foreign in ("agg-a", "dso", "bat"):
        if f'"{foreign}"' in text:
            raise Failure(f"agg-b's stream names {foreign}: {text[:600]}")
    whole = {tx for block in seen["regulator"] for tx in block["transactions"]}
    parts = set()
    for role in ROLES:
        if role != "regulator":
            parts |= {tx for block in seen[role] for tx in block["transactions"]}
    if parts != whole or seen["agg-b"] == seen["regulator"]:
        raise Failure("every transaction is its sender's, and no more than all are told")


def check_stream_limit(node, wallets):
    """A key has as many streams at once as the node gives to one; another key has its own."""
    def begin(wallet):
        connection = http.client.HTTPConnection(node.host, timeout=20)
        connection.request("GET", "/v1/events", headers=wallet.header(node, "/v1/events"))
        answer = connection.getresponse()
        return connection, answer.status, b"" if answer.status == 200 else answer.read()

    held, limit = [], time.monotonic() + 20
    while len(held) < STREAMS_OF_ONE and time.monotonic() < limit:
        one = begin(wallets["agg-b"])  # a stream that it has just left may still have its place
        if one[1] == 200:
            held.append(one)
    if len(held) != STREAMS_OF_ONE:
        raise Failure(f"{len(held)} streams of one key")
    refusal = begin(wallets["agg-b"])
    if refusal[1] != 429 or json.loads(refusal[2])["error"]["code"] != "too_many_streams":
        raise Failure(f"one stream more than a key has: {refusal[1:]}")
    if (other := begin(wallets["agg-a"]))[1] != 200:
        raise Failure(f"another key's stream: {other[1:]}")
    for one in held + [refusal, other]:
        one[0].close()


def check_wallet(world):
    """flex signs by itself, and says what to do where it can't."""
    if [one["id"] for one in world.act("agg-b", "account", "list")["items"]] != ["agg-b"]:
        raise Failure("flex account list")
    if not world.act("agg-a", "deal", "show", "1")["proof_verified"]:
        raise Failure("flex deal show")
    world.act("agg-a", "token", "transfer", "--to", "agg-b", "--amount", "0.5")
    world.flex("deal", "show", "1", home="agg-b", code=1)
    reserves = world.act("agg-b", "token", "reserves")
    if sum(int(held) for held in reserves["held_ueur"].values()) != int(reserves["exists_ueur"]):
        raise Failure(f"reserves: {reserves}")
    world.flex("audit", "export", "--dir", "export", home="agg-a", code=1)
    world.act("regulator", "audit", "export", "--dir", "export")
    world.flex("audit", "verify", "--dir", "export", "--genesis", world.net / "genesis.json")
    empty = world.net / "wallets" / "nobody"
    empty.mkdir()
    told = world.flex("account", "list", home="nobody", code=1).stderr
    if "signature_required" not in told or "key.json" not in told:
        raise Failure(f"no word of what to do: {told}")


def check_sealed_key(world):
    """A key behind a passphrase signs reads and a transaction, and asks once."""
    home = world.net / "wallets" / "zoe"
    home.mkdir()
    shutil.copy(world.net / "genesis.json", home)
    key = world.sealed("zoe", "key", "new")["public_key"]
    world.act("operator", "participant", "register", "zoe", "--roles", "prosumer", "--key", key)
    world.act("treasurer", "token", "mint", "--to", "zoe", "--amount", "2", "--reference", "zoe")
    if world.sealed("zoe", "account", "show")["balance_ueur"] != "2000000":
        raise Failure("zoe's account")
    if not world.sealed("zoe", "token", "transfer", "--to", "agg-a", "--amount",
                        "0.5")["proof_verified"]:
        raise Failure("zoe's transfer")


def check_suspended(world, node, wallets):
    """A right that ends, ends at once; what is one's own stays."""
    world.act("operator", "participant", "status", "dso", "suspended")
    if wallets["dso"].get(node, "/v1/depth/west")[0] != 403 or \
            wallets["dso"].get(node, "/v1/deals/1")[0] != 200 or \
            json.loads(wallets["dso"].get(node, "/v1/assets")[1])["items"]:
        raise Failure("a suspended grid operator")


def run(build):
    world = World(build)
    try:
        world.start()
        ids = world.trade()
        if world.flex("account", "list", home="agg-b").stdout.count("\n") < len(ROLES):
            raise Failure("an open node tells all")
        world.stop()
        world.by_role()
        world.start()
        wallets = {role: Wallet(world.net / "wallets" / role) for role in ROLES}
        nodes = [Node(api) for api in world.apis]
        for node in (nodes[0], nodes[-1]):  # a validator and the audit node
            check_every_route(node, wallets, ids)
        node = nodes[0]
        check_no_trace(node, wallets, ids["dso"])
        check_depth(world, node, wallets)
        check_paging(node, wallets)
        check_signatures(node, nodes[1], wallets)
        check_streams(world, node, wallets)
        check_stream_limit(node, wallets)
        check_wallet(world)
        check_sealed_key(world)
        check_suspended(world, node, wallets)
        print(f"read access: every route as {len(ROLES)} roles on a validator and an audit node")
    finally:
        try:
            world.stop()
        except Failure:
            pass
        shutil.rmtree(world.dir, ignore_errors=True)


if __name__ == "__main__":
    try:
        run(sys.argv[1])
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")
