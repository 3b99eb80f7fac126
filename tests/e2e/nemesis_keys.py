"""Scenarios of keys: signers in processes of their own (docs/spec/signer.md).

Some validators keep their key in flexsignd. Signers and nodes are killed, stopped and put back; the
oracle O3 reads the journals of nodes and signers alike.
"""
import json
import shutil
import signal
import subprocess
import time

from cluster import Failure, wait_until
from nemesis_base import scenario, settle


class Signer:
    """flexsignd with the key that `node`, which is down, had until now."""

    def __init__(self, c, node):
        self.c, self.node, self.process = c, node, None
        self.home = c.dir / f"{node.name}-signer"
        self.socket = c.dir / f"{node.name}.socket"
        self.log_path = c.dir / f"{node.name}-signer.log"
        made = self.run("init", "--node-home", node.home)
        path = node.home / "flexd.json"
        config = json.loads(path.read_text())
        config["signer"] = {"socket": str(self.socket), "key": made["key"]}
        path.write_text(json.dumps(config))
        if (node.home / "node.key").exists():
            raise Failure("the node can still vote by its own key")
        (node.home / "node.key.moved").unlink()
        c.signers.append(self.home)

    def command(self, *arguments):
        return ["sh", "-c", 'exec "$0" "$@" 3<<X\ncorrect horse\nX',
                str(self.c.bin / "flexsignd"), *map(str, arguments), "--home", str(self.home),
                "--passphrase-fd", "3"]

    def run(self, *arguments):
        done = subprocess.run([*self.command(*arguments), "--json"], capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            raise Failure(f"flexsignd {arguments[0]}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command("start", "--socket", self.socket),
                                            stdout=log, stderr=log)
        self.c.processes.append(self.process)
        # What its node says of it may still be of the one before.
        wait_until(60, f"{self.node.name}'s signer answers", lambda: self.process.poll() is not None
                   or subprocess.run([self.c.bin / "flexsignd", "status", "--socket", self.socket],
                                     capture_output=True, check=False).returncode == 0)

    def kill(self, which=signal.SIGKILL):
        self.process.send_signal(which)
        self.process.wait(10)

    def waits_for(self, up):
        wait_until(20, f"{self.node.name}: signer_up {up}",
                   lambda: self.node.metric("signer_up") == up)


def with_signers(c, count):
    signers = [Signer(c, node) for node in c.nodes[:count]]
    for signer in signers:
        signer.start()
    c.start()
    for signer in signers:
        signer.waits_for(1)
    c.progress("with signers")
    return signers


def votes_again(c, node, seconds=40):
    wait_until(seconds, f"{node.name} votes again", lambda: node.status().get("voting"))


@scenario
def signer_killed(c):
    """65: a signer dies at random moments: its node follows without voting, says so, and votes again as
    soon as the signer is back; nothing is signed twice."""
    signers = with_signers(c, 4)
    for turn in range(6):
        signer = c.random.choice(signers)
        settle(c, 0.0, 0.7)
        signer.kill()
        if turn == 0:
            wait_until(20, "the node says what it lacks", lambda signer=signer: "signer" in
                       signer.node.status().get("refusal", ""))
            c.progress("without one signer", nodes=c.nodes)
        signer.start()
        signer.waits_for(1)
        votes_again(c, signer.node)
    print(f"  {sum(s.node.metric('signer_losses') for s in signers)} losses, "
          f"{sum(s.node.metric('signer_votes') for s in signers)} votes signed")
    c.finish()


@scenario
def signer_hung(c):
    """65: a signer that is stopped holds its node's loop for one deadline and no longer."""
    signer = with_signers(c, 1)[0]
    signer.process.send_signal(signal.SIGSTOP)
    signer.waits_for(0)
    c.progress("beside a hung signer", nodes=c.nodes)
    if signer.node.status().get("voting"):
        raise Failure("a node votes whose signer hangs")
    lost = signer.node.metric("signer_losses")
    c.progress("for a while", blocks=10, nodes=c.nodes)
    if signer.node.metric("signer_losses") != lost:
        raise Failure("the hung signer was asked for votes again")
    signer.process.send_signal(signal.SIGCONT)
    signer.waits_for(1)
    votes_again(c, signer.node)
    c.finish()


@scenario
def signer_and_node_killed(c):
    """65, 24: node and signer die at random moments, one, the other, or both at once."""
    signers = with_signers(c, 4)
    for _ in range(8):
        signer = c.random.choice(signers)
        settle(c, 0.0, 0.8)
        which = c.random.randrange(3)
        if which != 0:
            signer.kill()
        if which != 1:
            signer.node.kill()
        settle(c, 0.0, 0.3)
        if which != 1:
            signer.node.start()
        if which != 0:
            signer.start()
        c.wait_ready([signer.node])
        signer.waits_for(1)
        votes_again(c, signer.node)
    c.finish()


@scenario
def signer_old_node(c):
    """24: a node is put back to an old copy while its signer goes on: what it might contradict is not
    signed, whatever the node remembers; beside it a copy of the node runs on the same signer."""
    signer = with_signers(c, 1)[0]
    node = signer.node
    node.kill()
    for part in ("journal", "data"):
        shutil.copytree(node.home / part, c.dir / "old" / part)
    node.start()
    c.wait_ready([node])
    votes_again(c, node)
    c.progress("a later day", blocks=6)
    for turn in range(3):
        node.kill()
        for part in ("journal", "data"):
            shutil.rmtree(node.home / part)
            shutil.copytree(c.dir / "old" / part, node.home / part)
        node.start()
        settle(c)
        if turn == 0:
            c.progress("with an old node on its signer", blocks=2)
    c.allowed_broken.append(f" {node.name} .*alarm: .*voting has stopped")
    wait_until(60, "it votes or says why not", lambda: node.status().get("voting")
               or node.status().get("refusal"))
    c.finish(observers=[] if node.status().get("voting") else [node.index])


@scenario
def signer_without_state(c):
    """24: a signer whose record of votes is gone does not start and says what to do; its node follows."""
    signer = with_signers(c, 1)[0]
    signer.kill()
    shutil.rmtree(signer.home / "votes")
    signer.start()
    if signer.process.wait(30) != 2 or "replace it" not in signer.log_path.read_text():
        raise Failure(f"it should refuse: {signer.log_path.read_text()}")
    c.signers.remove(signer.home)
    c.progress("without that signer", nodes=c.nodes)
    c.finish(observers=[signer.node.index])


def ca_of(c, name):
    """Another consortium CA, in a directory of its own."""
    home = c.dir / name
    c._flexd("init", "--home", home, "--name", name, "--role", "audit", "--new-ca", name)
    return home / "tls"


def issue(c, node, ca, authorities):
    """A fresh certificate under `ca` for a node that runs, which then trusts all of `authorities`."""
    out = c.dir / f"{node.name}-{time.monotonic_ns()}"
    c._flexd("certificate", "--ca-certificate", ca / "ca.pem", "--ca-key", ca / "ca.key",
             "--node-key", node.status()["key"], "--out", out)
    for name in ("node.key", "node.pem"):
        (out / name).replace(node.home / "tls" / name)
    trust(node, authorities)


def trust(node, authorities):
    (node.home / "tls" / "ca.pem").write_text("".join(
        (ca / "ca.pem").read_text() for ca in authorities))


def reload(node):
    done = len(list(node.log_lines("p2p reload > every link is made anew")))
    node.signal(signal.SIGHUP)
    wait_until(30, f"{node.name} has made its links anew", lambda: len(list(node.log_lines(
        "p2p reload > every link is made anew"))) > done)


@scenario
def certificates_rotated(c):
    """71: the consortium's CA is replaced while all nodes run and load goes on: trust both, new
    certificates, trust the new one alone; finality goes on, and the old CA's certificates get nobody in."""
    c.start()
    c.progress("at first")
    old, new = c.dir / "old-ca", ca_of(c, "newca")
    shutil.copytree(c.nodes[0].home / "tls", old)
    for node in c.nodes:
        trust(node, [old, new])
        reload(node)
        c.progress(f"{node.name} trusts both", blocks=1)
    for node in c.nodes:
        issue(c, node, new, [old, new])
        reload(node)
        c.progress(f"{node.name} under the new CA", blocks=1)
    for node in c.nodes:
        trust(node, [new])
        reload(node)
        c.progress(f"{node.name} trusts the new CA alone", blocks=1)
    c.load_goes_on("under the new CA")
    for node in c.nodes:
        wait_until(20, f"{node.name} is linked to all", lambda node=node:
                   node.metric("peers_up") == len(c.nodes) - 1)
    # A node that comes back with its old certificate is refused by all; what it has is not changed
    # by a reload that cannot work.
    node = c.random.choice(c.nodes)
    out = c.dir / "stale"
    c._flexd("certificate", "--ca-certificate", old / "ca.pem", "--ca-key", old / "ca.key",
             "--node-key", node.status()["key"], "--out", out)
    keep = {name: (node.home / "tls" / name).read_bytes() for name in ("node.key", "node.pem")}
    for name in keep:
        (out / name).replace(node.home / "tls" / name)
    node.signal(signal.SIGHUP)
    wait_until(20, "a reload is refused", lambda: list(node.log_lines("reload: .*nothing has changed")))
    if node.metric("peers_up") != len(c.nodes) - 1:
        raise Failure("a refused reload cost a link")
    for name, content in keep.items():
        (node.home / "tls" / name).write_bytes(content)
    for one in c.nodes:
        if one.process.pid is None or not one.is_up():
            raise Failure(f"{one.name} was restarted")
    c.finish()


def vote_latency(c, signers):
    """Mean microseconds that a vote waited for its signer."""
    waited = sum(s.node.metric("signer_wait_us") for s in signers)
    votes = sum(s.node.metric("signer_votes") for s in signers)
    return waited // max(1, votes), votes


@scenario
def signer_load(c):
    """What a vote costs more with a signer, under load, and that no honest signer refuses anything."""
    signers = with_signers(c, 4)
    time.sleep(8)
    mean, votes = vote_latency(c, signers)
    refusals = sum(s.node.metric("signer_refusals") for s in signers)
    if votes < 50 or refusals != 0:
        raise Failure(f"{votes} votes, {refusals} refusals")
    print(f"  {votes} votes waited {mean} us for their signers on average")
    c.finish()

