"""A chain of real flexd processes for the nemesis: homes, processes, faults, load, oracles.

The oracles (issue 3; tests/e2e/nemesis.py names them O1 to O9) trust nothing that a single node says:
they compare what all nodes export, replay one export offline, and read the vote journals.
"""
import http.client
import json
import mmap
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time

import ledger
from ports import free_ports
from proxy import Network

WORDS = ["kill_kind", "kill_countdown", "eio_syncs", "slow_sync_ms", "journal_errno",
         "store_errno", "no_disk_left", "clock_offset_ms", "injected", "monotonic_lag_ms",
         "map_full_puts", "map_full_commits"]
KILLS = {"before_append": 1, "torn_append": 2, "after_append": 3, "after_sync": 4, "after_send": 5,
         "before_commit": 6, "in_commit": 7, "after_commit": 8}
CLIENTS = ["load0", "load1", "load2", "load3"]
FDS_MAX, RSS_KB_MAX, JOURNAL_BYTES_MAX, LOG_BYTES_MAX = 256, 600_000, 64 << 20, 8 << 20


class Failure(Exception):
    pass


def wait_until(seconds, what, condition):
    limit = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > limit:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(0.05)


class Node:
    def __init__(self, cluster, index, home, api_port):
        self.cluster, self.index, self.home, self.api_port = cluster, index, home, api_port
        self.name = home.name
        self.process = None
        self.expected_down = False
        self.log_to = None  # a file for its log other than its own
        self.wrapper = []  # what flexd runs under
        self.tls = None  # an ssl.SSLContext, if its API speaks TLS
        self.injected_before = 0
        self.log_path = cluster.dir / f"{self.name}.log"
        self.control_path = cluster.dir / f"{self.name}.control"
        self.control_path.write_bytes(bytes(512))
        with open(self.control_path, "r+b") as file:
            self.control = mmap.mmap(file.fileno(), 512)

    def get_fault(self, word):
        return struct.unpack_from("<q", self.control, 8 * WORDS.index(word))[0]

    def set_faults(self, **words):
        for word, value in words.items():
            struct.pack_into("<q", self.control, 8 * WORDS.index(word), value)

    def clear_faults(self):
        self.injected_before += self.get_fault("injected")
        self.set_faults(**{word: 0 for word in WORDS})

    def injected(self):
        return self.injected_before + self.get_fault("injected")

    def start(self):
        environment = dict(os.environ, LD_PRELOAD=str(self.cluster.helpers / "faults.so"),
                           FAULTS_CONTROL=str(self.control_path))
        if self.cluster.plain:
            environment = dict(os.environ)
        with open(self.log_path, "ab") as log:
            to = log if self.log_to is None else self.log_to
            self.process = subprocess.Popen(
                [*self.wrapper, self.cluster.bin / "flexd", "start", "--home", self.home],
                stderr=to, stdout=to, env=environment)
        self.expected_down = False

    def try_start(self, wrapper=()):
        """For a start that must fail by itself: (exit code, what it said)."""
        try:
            done = subprocess.run(
                [*wrapper, self.cluster.bin / "flexd", "start", "--home", self.home],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
        except subprocess.TimeoutExpired as late:
            raise Failure(f"{self.name} was to refuse its start and runs: {late.stdout}") from None
        return done.returncode, done.stdout

    def is_up(self):
        return self.process is not None and self.process.poll() is None

    def exit_code(self, seconds=15):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end within {seconds} s") from None

    def signal(self, which):
        if self.is_up():
            self.process.send_signal(which)

    def kill(self):
        self.expected_down = True
        self.signal(signal.SIGKILL)
        self.exit_code()

    def terminate(self):
        self.expected_down = True
        self.signal(signal.SIGTERM)
        code = self.exit_code(20)
        if code != 0:
            raise Failure(f"{self.name} ended with {code} on SIGTERM")

    def request(self, path, body=None, timeout=3):
        """(status, bytes); (0, b"") if there was no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=timeout)
        if self.tls is not None:
            connection = http.client.HTTPSConnection("127.0.0.1", self.api_port, timeout=timeout,
                                                     context=self.tls)
        try:
            connection.request("GET" if body is None else "POST", path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def get(self, path):
        status, text = self.request(path)
        return json.loads(text) if status == 200 else None

    def status(self):
        return self.get("/v1/status") or {}

    def height(self):
        return int(self.status().get("height", -1))

    def metric(self, name):
        _, text = self.request("/metrics")
        found = re.search(rf"^flexd_{name} (\d+)$", text.decode(), re.M)
        return int(found.group(1)) if found else 0

    def anonymous_kb(self):
        """Memory of its own; what it maps of its database is the kernel's to take back."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+)", text).group(1))

    def log_lines(self, pattern):
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return [line for line in text.splitlines() if re.search(pattern, line)]


class Client(threading.Thread):
    """Sends transfers one after another and remembers those whose receipt it has seen."""

    def __init__(self, cluster, name, seed):
        super().__init__(daemon=True)
        self.cluster, self.name_id = cluster, name
        self.random = random.Random(f"{seed} {name}")
        self.nonce = 1
        self.acknowledged = []  # (id, height)
        self.ending = threading.Event()
        self.stuck = None

    def run(self):
        while not self.ending.is_set():
            try:
                self.one_transfer()
            except Failure as failure:
                self.stuck = str(failure)
                return

    def one_transfer(self):
        data = ledger.envelope(self.cluster.chain, self.name_id, self.nonce,
                               [ledger.transfer("dso", 1 + self.nonce % 7)], 12 * 3600000)
        tx_id = None
        begun = time.monotonic()
        posted_at = -100.0
        while True:
            node = self.random.choice(self.cluster.nodes[:self.cluster.load_nodes])
            now = time.monotonic()
            if now - posted_at > 2 and node.is_up():
                status, answer = node.request("/v1/transactions", data, timeout=2)
                if status == 202:
                    tx_id, posted_at = json.loads(answer)["id"], now
                elif status == 422 and json.loads(answer)["error"]["code"] not in (
                        self.cluster.refusals_expected):
                    raise Failure(f"{self.name_id}: {node.name} refuses a good transfer: {answer}")
            if tx_id is not None:
                found = node.get(f"/v1/transactions/{tx_id}") or {}
                if found.get("status") == "ok":
                    self.acknowledged.append((tx_id, int(found["height"])))
                    self.nonce += 1
                    return
                if found.get("status") == "failed":
                    raise Failure(f"{self.name_id}: a good transfer failed: {found}")
            if self.ending.is_set() and time.monotonic() - begun > self.cluster.drain_seconds:
                raise Failure(f"{self.name_id}: transfer {self.nonce} has no receipt after "
                              f"{time.monotonic() - begun:.0f} s")
            time.sleep(0.05)


class Cluster:
    """Context manager. On failure the directory with all logs stays."""

    def __init__(self, build, seed, validators=4, preload=True, keep=False):
        self.build = pathlib.Path(build).resolve()
        self.bin, self.helpers = self.build / "bin", self.build / "tests" / "e2e"
        self.seed, self.count, self.plain, self.keep = seed, validators, not preload, keep
        self.random = random.Random(seed)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="nemesis-"))
        self.network = Network()
        self.nodes, self.clients, self.keys, self.extra = [], [], [], []
        self.dishonest = set()  # public keys whose double votes are no fault of ours
        self.allowed_broken = []  # patterns of log lines that a scenario demands
        self.load_nodes = validators  # transfers go to the first so many
        self.drain_seconds = 40
        # What a node may say to a good transfer: it is in the chain, or the node lags.
        self.refusals_expected = {"tx_nonce_used", "tx_nonce_gap"}
        self.mounts = []
        self.processes = []  # of other kinds, which end with the cluster
        self.signers = []  # homes of signers: what they signed counts as votes, too
        self.log_bytes_max = LOG_BYTES_MAX

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.__exit__(Failure, None, None)
            raise
        return self

    def __exit__(self, kind, value, trace):
        for client in self.clients:
            client.ending.set()
        for node in self.nodes + self.extra:
            node.signal(signal.SIGCONT)
            node.signal(signal.SIGKILL)
            if node.process is not None:
                node.process.wait()
        for process in self.processes:
            process.kill()
            process.wait()
        self.network.stop()
        for mount in self.mounts:
            subprocess.run(["umount", mount], check=False)
        if kind is None and not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)
        return False

    def _flexd(self, *arguments):
        done = subprocess.run([self.bin / "flexd", *map(str, arguments)], capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"flexd {arguments[0]}: {done.stderr}")
        return done.stdout

    def link_port(self, dialler, target):
        return self.base + 2 * self.count + dialler * self.count + target

    def _make(self):
        n = self.count
        self.base = free_ports(2 * n + n * n)
        for i in range(n):
            home = self.dir / f"n{i}"
            ca = ["--new-ca", "nemesis"] if i == 0 else [
                "--ca-certificate", self.dir / "n0/tls/ca.pem", "--ca-key",
                self.dir / "n0/tls/ca.key"]
            made = json.loads(self._flexd(
                "init", "--home", home, "--name", f"n{i}", "--role", "validator", "--listen-p2p",
                f"127.0.0.1:{self.base + i}", "--listen-api", f"127.0.0.1:{self.base + n + i}",
                "--json", *ca))
            self.keys.append(made["key"])
            self.nodes.append(Node(self, i, home, self.base + n + i))
        genesis = ledger.genesis(self.keys)
        genesis["participants"] += [{"id": name, "key": ledger.public_key(
            ledger.secret_of(name)).hex(), "roles": ["aggregator"]} for name in CLIENTS]
        self.genesis_file = self.dir / "genesis.json"
        self.genesis_file.write_text(json.dumps(genesis))
        for i in range(n):
            peers = []
            for j in range(n):
                if i != j:
                    self.network.listen(i, j, self.link_port(i, j), self.base + j)
                    peers += ["--peer", f"{self.keys[j]}@127.0.0.1:{self.link_port(i, j)}"]
            self._flexd("join", "--home", self.dir / f"n{i}", "--genesis", self.genesis_file, *peers)

    def start(self, load=True):
        for node in self.nodes:
            node.start()
        self.wait_ready()
        self.chain_hex = self.nodes[0].status()["genesis"]
        self.chain = bytes.fromhex(self.chain_hex)
        if load:
            self._mint()
            for name in CLIENTS:
                self.clients.append(Client(self, name, self.seed))
                self.clients[-1].start()

    def _mint(self):
        for nonce, name in enumerate(CLIENTS, 1):
            data = ledger.envelope(self.chain, "bank", nonce,
                                   [ledger.mint(name, 10**9, f"receipt {name}")])
            status, answer = self.nodes[0].request("/v1/transactions", data)
            if status != 202:
                raise Failure(f"mint: {status} {answer}")
        for node in self.nodes:  # a node that lags refuses those that cannot pay as yet
            wait_until(20, f"minted tokens on {node.name}", lambda node=node: (node.get(
                f"/v1/accounts/{CLIENTS[-1]}") or {}).get("balance_ueur") == str(10**9))

    def wait_ready(self, nodes=None, seconds=25):
        for node in nodes or self.nodes:
            wait_until(seconds, f"{node.name} ready",
                       lambda node=node: node.request("/ready")[0] == 200)

    # --- what scenarios look at ------------------------------------------------------------------

    def live(self):
        return [node for node in self.nodes if node.is_up()]

    def height(self):
        return max([node.height() for node in self.live()] or [-1])

    def progress(self, what, blocks=3, seconds=30, nodes=None):
        """O6: every one of them commits `blocks` more than any had."""
        goal = self.height() + blocks
        for node in nodes or self.nodes:
            wait_until(seconds, f"O6 {what}: {node.name} at height {goal}",
                       lambda node=node: node.height() >= goal)

    def acknowledged(self):
        return sum(len(client.acknowledged) for client in self.clients)

    def load_goes_on(self, what, count=4, seconds=30):
        goal = self.acknowledged() + count
        wait_until(seconds, f"O6 {what}: {count} more transfers acknowledged",
                   lambda: self.acknowledged() >= goal or self.stuck())

    def stuck(self):
        """Raises if a client has met what it must not; never true."""
        for client in self.clients:
            if client.stuck:
                raise Failure(client.stuck)
        return False

    def no_one_died(self):
        for node in self.nodes:
            if not node.is_up() and not node.expected_down:
                raise Failure(f"{node.name} ended by itself with {node.process.returncode}")

    # --- the end of every scenario: heal, drain, compare -------------------------------------------

    def finish(self, seconds=40, observers=(), exports=None):
        """observers: indices of nodes that must follow without voting; the rest must vote.
        exports: the nodes whose export is replayed; one by chance if not said."""
        self.network.heal()
        for node in self.nodes:
            if not node.is_up():
                raise Failure(f"{node.name} is down at the end of the scenario")
        self.progress("after healing", seconds=seconds)
        for client in self.clients:
            client.ending.set()
        for client in self.clients:
            client.join(self.drain_seconds + 15)
            if client.is_alive() or client.stuck:
                raise Failure(f"O6: {client.stuck or client.name_id + ' hangs'}")
        for node in self.nodes:
            # A signer that has just come back is asked anew, which takes a moment.
            wait_until(30, f"{node.name}: voting is {node.index not in observers}",
                       lambda node=node: node.status().get("voting") == (node.index not in observers))
        self.check_bounds()
        top = self._check_one_chain()
        self._check_roots()
        for node in exports or [self.random.choice(self.nodes)]:
            self._export(node)
        for node in self.nodes:
            node.terminate()
        self._check_logs()
        self._check_votes()
        return top

    def _check_one_chain(self):
        """O1 and O5 from every node's own blocks."""
        reached = max([height for client in self.clients for _, height in client.acknowledged]
                      or [0])
        for node in self.nodes:
            wait_until(30, f"{node.name} at height {reached}",
                       lambda node=node: node.height() >= reached)
        top = min(node.height() for node in self.nodes)
        counts = {}
        parent = self.chain_hex
        for height in range(1, top + 1):
            blocks = [node.get(f"/v1/blocks/{height}") for node in self.nodes]
            for node, block in zip(self.nodes, blocks):
                if block is None:
                    raise Failure(f"O1: {node.name} has no block {height} below its tip")
                if block["id"] != blocks[0]["id"]:
                    raise Failure(f"O1: block {height} is {block['id']} on {node.name} and "
                                  f"{blocks[0]['id']} on {self.nodes[0].name}")
            if blocks[0]["header"]["parent_id"] != parent:
                raise Failure(f"O1: block {height} does not follow block {height - 1}")
            parent = blocks[0]["id"]
            for tx_id in blocks[0]["transactions"]:
                counts[tx_id] = counts.get(tx_id, 0) + 1
        for client in self.clients:
            for tx_id, height in client.acknowledged:
                if counts.get(tx_id, 0) != 1:
                    raise Failure(f"O5: acknowledged {tx_id} of {client.name_id} (height {height}) "
                                  f"is in the chain {counts.get(tx_id, 0)} times")
        if any(count != 1 for count in counts.values()):
            raise Failure("O5: a transaction is in the chain twice")
        return top

    def _check_roots(self):
        """O4: equal state roots wherever heights are equal."""
        def same():
            states = [node.status() for node in self.nodes]
            if len({state.get("height") for state in states}) != 1:
                return False
            if len({state.get("state_root") for state in states}) != 1:
                raise Failure("O4: state roots differ: " + str(states))
            return True
        wait_until(30, "all nodes at one height", same)

    def _flex(self, *arguments):
        done = subprocess.run([self.bin / "flex", *map(str, arguments)], capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"flex {' '.join(map(str, arguments[:4]))}: {done.stdout}{done.stderr}")
        return done.stdout

    def _export(self, node):
        """O4 and O7: a node's export, replayed offline from genesis with every signature."""
        out = self.dir / f"{node.name}-export"
        self._flex("--node", f"http://127.0.0.1:{node.api_port}", "audit", "export", "--dir", out)
        verified = json.loads(self._flex("audit", "verify", "--dir", out, "--genesis",
                                         self.genesis_file, "--json"))
        height = int(verified["height"])
        header = self.nodes[0].get(f"/v1/blocks/{height}")["header"]
        if not verified["ok"] or verified["state_root"] != header["state_root"]:
            raise Failure(f"O4: the export of {node.name} replays to {verified}")
        report = json.loads(self._flex("audit", "report", "--dir", out, "--genesis",
                                       self.genesis_file, "--json"))
        money = {key: int(report[key + "_ueur"])
                 for key in ("minted", "burned", "balances", "escrow", "fees")}
        if (money["balances"] + money["escrow"] + money["fees"] !=
                money["minted"] - money["burned"]
                or (self.clients and money["minted"] != 10**9 * len(CLIENTS))):
            raise Failure(f"O7: {money}")

    def check_bounds(self):
        """O8"""
        for node in self.nodes:
            pid = node.process.pid
            fds = len(os.listdir(f"/proc/{pid}/fd"))
            rss = int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(
                f"/proc/{pid}/status").read_text()).group(1))
            journal = sum(file.stat().st_size for file in (node.home / "journal").iterdir())
            log = node.log_path.stat().st_size
            limits = ((fds, FDS_MAX), (rss if not self.plain else 0, RSS_KB_MAX),
                      (journal, JOURNAL_BYTES_MAX), (log, self.log_bytes_max))
            if any(value > limit for value, limit in limits):
                raise Failure(f"O8: {node.name}: fds, RSS KiB, journal, log: {limits}")

    def _check_logs(self):
        for node in self.nodes + self.extra:
            for line in node.log_lines(r"> broken: |Sanitizer|FATAL|fatal|MUST"):
                if not any(re.search(allowed, line) for allowed in self.allowed_broken):
                    raise Failure(f"{node.name} logged: {line}")
            if not self.dishonest:
                for line in node.log_lines(r"evidence: validator"):
                    raise Failure(f"O9: {node.name} accuses an honest node: {line}")
            for line in node.log_lines(r"evidence: validator"):
                if not any(key in line for key in self.dishonest):
                    raise Failure(f"O9: {node.name} accuses an honest node: {line}")

    def _check_votes(self):
        """O3: no honest key signed two votes that exclude each other, in any journal of any node."""
        order = sorted(self.keys)
        votes = {}
        journals = [path for node in self.nodes for path in node.home.iterdir()
                    if re.fullmatch(r"journal(-\d+)?", path.name)]
        for path in journals + [path for home in self.signers for path in home.glob("votes/epoch-*")]:
            epoch = path.name.partition("-")[2] or "0"
            copy = self.dir / "-".join((path.parent.parent.name, path.parent.name, path.name))
            shutil.copytree(path, copy)
            done = subprocess.run([self.helpers / "journal_votes", copy, self.chain_hex, epoch],
                                  capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Failure(f"journal_votes {path}: {done.stderr}")
            for line in done.stdout.splitlines():
                _, kind, epoch, view, block, signer = line.split()
                if order[int(signer)] not in self.dishonest:
                    votes.setdefault((signer, epoch, int(view)), {}).setdefault(
                        int(kind), set()).add(block)
        if not votes:
            raise Failure("O3: no journal holds a vote")
        notarize, nullify, finalize = 0, 1, 2
        for (signer, _, view), kinds in votes.items():
            twice = any(len(kinds.get(kind, ())) > 1 for kind in (notarize, finalize))
            if twice or (nullify in kinds and finalize in kinds):
                raise Failure(f"O3: signer {signer} ({order[int(signer)]}) contradicts itself in "
                              f"view {view}: {kinds}")
