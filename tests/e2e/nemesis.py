#!/usr/bin/env python3
"""The nemesis: real flexd processes under load, real faults, and what must hold afterwards.

    nemesis.py BUILD --list
    nemesis.py BUILD --scenario NAME[,NAME...]|all [--seed S] [--repeat N] [--keep]

A scenario is a function below. It starts a chain of four validators whose links run through proxies
(proxy.py), with four clients that send transfers all the while, does its damage, heals, and calls
`finish`, which checks (cluster.py):

  O1 one chain: the same block at each height on all nodes    O5 acknowledged = in the chain, once
  O3 no honest key ever signed two excluding votes            O6 progress within a bound after healing
  O4 equal roots, and an export that replays to them          O7 money is conserved
  O8 fds, memory, journal and logs bounded                    O9 nobody honest is accused

The seed chooses victims, moments and counts; the kernel's scheduling stays what it is. A failure
prints one line that runs the same again, and leaves homes and logs in place. All traffic is on the
loopback interface. Links are cut by a proxy and not by tc netem, because netem is a kernel module
that is missing on many machines (this test must not depend on it).
"""
import argparse
import errno
import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import time

from cluster import KILLS, Cluster, Failure, Node, wait_until
from nemesis_base import (SCENARIOS, NotHere, dies_of_fault, newest_segment, observers_of,
                          refuses_to_vote, scenario, settle)
import nemesis_clocks
import nemesis_disks
import nemesis_keys
import nemesis_links
import nemesis_peers
from ports import free_ports

# --- crashes ---------------------------------------------------------------------------------------

@scenario
def kill_at_boundaries(c):
    """15, 20: one node at a time dies before, in and after an append, after a sync, after a send; before,
    in and after a commit of its chain database."""
    c.start()
    for kind in c.random.sample(sorted(KILLS), len(KILLS)):
        node = c.random.choice(c.nodes)
        node.expected_down = True
        node.set_faults(kill_countdown=c.random.randint(1, 30), kill_kind=KILLS[kind])
        dies_of_fault(node)
        node.clear_faults()
        settle(c, 0, 0.8)
        node.start()
        c.wait_ready([node])
        c.no_one_died()
    c.load_goes_on("after so many kills")
    c.finish()


@scenario
def kill_all_at_boundaries(c):
    """16, 17: every node dies at a boundary of its own at about the same time, twice."""
    c.start()
    for _ in range(2):
        settle(c)
        for node in c.nodes:
            node.expected_down = True
            kind = c.random.choice(sorted(KILLS))
            node.set_faults(kill_countdown=c.random.randint(1, 4), kill_kind=KILLS[kind])
        # The last ones may wait for a quorum that is gone: then the plug is pulled for them.
        limit = time.monotonic() + 6
        while c.live() and time.monotonic() < limit:
            time.sleep(0.05)
        for node in c.nodes:
            node.kill()
            node.clear_faults()
        for node in c.nodes:
            node.start()
        c.wait_ready()
    c.load_goes_on("after two power cuts")
    c.finish()


@scenario
def kill_cluster(c):
    """17: kill -9 of the whole cluster at a random moment, three times, restarted in any order."""
    c.start()
    for _ in range(3):
        settle(c)
        for node in c.nodes:
            node.expected_down = True
            node.signal(signal.SIGKILL)
        for node in c.random.sample(c.nodes, len(c.nodes)):
            node.exit_code()
            node.start()
        c.wait_ready()
    c.load_goes_on("after three power cuts")
    c.finish()


@scenario
def crash_loop(c):
    """19: a node that dies again and again while it starts, then lives."""
    c.start()
    node = c.random.choice(c.nodes)
    node.kill()
    for _ in range(8):
        node.expected_down = True
        kind = c.random.choice(sorted(KILLS))
        node.set_faults(kill_countdown=c.random.randint(1, 2), kill_kind=KILLS[kind])
        node.start()
        node.expected_down = True
        if c.random.random() < 0.5:
            settle(c, 0, 0.15)
            node.kill()
        else:
            dies_of_fault(node)
        node.clear_faults()
    node.start()
    c.wait_ready([node])
    c.finish()


@scenario
def rolling_restart(c):
    """18, 23: each node in turn faster than a view's time limit, kill -9 and SIGTERM under load."""
    c.start()
    for turn in range(8):
        node = c.nodes[turn % len(c.nodes)]
        if c.random.random() < 0.5:
            node.kill()
        else:
            node.terminate()
        node.start()
        settle(c, 0, 0.4)
    c.wait_ready()
    c.load_goes_on("after a rolling restart")
    c.finish()


@scenario
def pause(c):
    """22: SIGSTOP for 6 s (pause_minute: for 60): stale timers, dead links, then all at once."""
    c.start()
    node = c.random.choice(c.nodes)
    node.signal(signal.SIGSTOP)
    others = [other for other in c.nodes if other is not node]
    c.progress("while one is stopped", nodes=others)
    time.sleep(6)
    node.signal(signal.SIGCONT)
    c.wait_ready([node])
    for node in c.nodes:  # all stop: nobody may think that time has been standing still
        node.signal(signal.SIGSTOP)
    time.sleep(3)
    for node in c.nodes:
        node.signal(signal.SIGCONT)
    c.no_one_died()
    c.finish()


# --- network ---------------------------------------------------------------------------------------

@scenario
def partition(c):
    """4: two and two, nobody commits; three and one, three commit; both heal."""
    c.start()
    ids = c.random.sample(range(4), 4)
    c.network.block(ids[:2], ids[2:])
    time.sleep(1)
    before = c.height()
    time.sleep(7)
    if c.height() > before + 1:
        raise Failure(f"O1: two of four went on from {before} to {c.height()}")
    c.network.heal()
    c.progress("after a split of two and two")
    c.network.block(ids[:1], ids[1:])
    c.progress("three of four", nodes=[c.nodes[i] for i in ids[1:]])
    time.sleep(4)
    c.network.heal()
    c.progress("after the fourth is back")
    c.finish()


@scenario
def one_way(c):
    """5: what one node says reaches nobody, while it hears all; then the other way round."""
    c.start()
    node = c.random.randrange(4)
    others = [i for i in range(4) if i != node]
    for sources, targets in (([node], others), (others, [node])):
        c.network.block(sources, targets, both=False)
        c.progress("with one deaf or mute", nodes=[c.nodes[i] for i in others])
        time.sleep(5)
        c.network.heal()
        c.progress("after it hears and speaks again")
    c.finish()


@scenario
def slow_links(c):
    """3, 14: one slow node, then all links far slower than the configured delay, then normal."""
    c.start()
    c.network.set_delay(c.random.randrange(4), range(4), 0.7)
    c.progress("with one slow node", nodes=None, seconds=40)
    for node in range(4):
        c.network.set_delay(node, range(4), 1.2)
    c.progress("with slow links", blocks=2, seconds=90)
    c.network.heal()
    c.load_goes_on("after the delay")
    c.finish()


@scenario
def flapping_links(c):
    """9, 11: connections reset in the middle of frames, all over the place, for eight seconds."""
    c.start()
    limit = time.monotonic() + 8
    while time.monotonic() < limit:
        a, b = c.random.sample(range(4), 2)
        if c.random.random() < 0.3:
            c.network.refuse(a, b)
        else:
            c.network.reset(a, b)
        settle(c, 0, 0.2)
    c.network.heal()
    c.progress("after flapping")
    c.finish()


# --- disks -----------------------------------------------------------------------------------------

@scenario
def slow_disk(c):
    """33: one disk that takes 1 to 5 s to sync; the other three go on, and so does it later."""
    c.start()
    node = c.random.choice(c.nodes)
    node.set_faults(slow_sync_ms=c.random.randint(1000, 5000))
    others = [other for other in c.nodes if other is not node]
    c.progress("with one slow disk", blocks=10, nodes=others, seconds=40)
    c.load_goes_on("with one slow disk", seconds=40)
    node.clear_faults()
    c.wait_ready([node])
    c.finish()


@scenario
def sync_fails(c):
    """29: fdatasync of the journal says EIO once, and would work the second time: abort, no vote."""
    c.start()
    node = c.random.choice(c.nodes)
    c.allowed_broken += ["journal"]
    node.expected_down = True
    node.set_faults(eio_syncs=1)
    code = node.exit_code(20)
    if code != -signal.SIGABRT or node.get_fault("eio_syncs") != 0:
        raise Failure(f"{node.name}: a failed sync ended with {code}, not an abort")
    node.clear_faults()
    c.load_goes_on("with three nodes")
    node.start()
    c.wait_ready([node])
    c.finish()


@scenario
def journal_disk_full(c):
    """30: no room for the vote journal: no votes and no transactions, reads go on, then room and all
    goes on in the same process; a stop and a start in between change nothing."""
    c.start()
    node = c.random.choice(c.nodes)
    others = [other for other in c.nodes if other is not node]
    node.set_faults(journal_errno=errno.ENOSPC)
    wait_until(20, "the full journal is noticed", lambda: node.metric("journal_full") == 1)
    status, answer = node.request("/ready")
    if status != 503 or b"journal" not in answer or node.status().get("voting"):
        raise Failure(f"{node.name} without room for votes says {status} {answer}")
    status, answer = node.request("/v1/transactions", b"x" * 300)
    if status != 503 or b"not_accepting" not in answer:
        raise Failure(f"{node.name} takes transactions without room for votes: {status} {answer}")
    if not node.get("/v1/blocks/1") or node.request("/v1/transactions/" + "0" * 64)[0] != 404:
        raise Failure(f"{node.name} serves no reads while its journal waits")
    c.progress("beside a full journal", blocks=10, nodes=others)
    node.clear_faults()
    wait_until(20, "room is noticed", lambda: node.metric("journal_full") == 0)
    c.wait_ready([node])
    c.no_one_died()
    node.set_faults(journal_errno=errno.ENOSPC)
    wait_until(20, "the full journal is noticed again", lambda: node.metric("journal_full") == 1)
    node.terminate()  # it can be stopped while it waits, and waits again when it is started
    node.start()
    wait_until(20, "the journal is still full", lambda: node.metric("journal_full") == 1)
    node.clear_faults()
    c.wait_ready([node])
    c.finish()


@scenario
def store_full(c):
    """30, 31: the chain database's disk is full: no transactions, no commits, reads go on; then room."""
    c.start()
    node = c.random.choice(c.nodes)
    node.set_faults(no_disk_left=1)
    wait_until(20, "the full store is noticed", lambda: node.metric("store_full") == 1)
    if node.request("/ready")[0] != 503:
        raise Failure(f"{node.name} says that it is ready with a full disk")
    status, answer = node.request("/v1/transactions", b"x" * 300)
    if status != 503 or b"not_accepting" not in answer:
        raise Failure(f"{node.name} takes transactions with a full disk: {status} {answer}")
    if node.height() < 0:
        raise Failure(f"{node.name} does not serve reads with a full disk")
    others = [other for other in c.nodes if other is not node]
    c.progress("with one full disk", blocks=20, nodes=others)
    frozen = node.height()
    settle(c)
    if node.height() != frozen:
        raise Failure(f"{node.name} commits with a full disk")
    node.clear_faults()
    wait_until(20, "room is noticed", lambda: node.metric("store_full") == 0)
    c.wait_ready([node])
    for node in c.nodes:  # everybody's disk is full: nobody commits, nobody dies
        node.set_faults(no_disk_left=1)
    # Two that wait are enough to stop the chain, and the others may then have nothing to commit.
    wait_until(30, "two nodes notice",
               lambda: sum(node.metric("store_full") for node in c.nodes) >= 2)
    time.sleep(2)
    for node in c.nodes:
        node.clear_faults()
    c.no_one_died()
    c.finish()


@scenario
def store_write_fails(c):
    """30: a write of the database is cut off by a full disk: wait or stop, nothing lost either way."""
    c.start()
    node = c.random.choice(c.nodes)
    c.allowed_broken += ["commit of block"]
    node.set_faults(store_errno=errno.ENOSPC)
    node.expected_down = True
    wait_until(20, "the failing write", lambda: node.get_fault("injected") > 0)
    settle(c)
    if not node.is_up() and node.process.returncode != 1:
        raise Failure(f"{node.name}: a failed write ended with {node.process.returncode}")
    c.load_goes_on("without its disk")
    node.clear_faults()
    if not node.is_up():
        node.start()
    c.wait_ready([node])
    c.finish()


@scenario
def small_disk(c):
    """30: a home on a file system of 80 MiB that somebody fills, then empties."""
    node = c.random.choice(c.nodes)
    aside = c.dir / "aside"
    node.home.rename(aside)
    node.home.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", node.home],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotHere("mounting a tmpfs is not permitted here: " + done.stderr.strip())
    c.mounts.append(node.home)
    shutil.copytree(aside, node.home, dirs_exist_ok=True)
    c.start()
    node.expected_down = True
    filler = node.home / "filler"
    with open(filler, "wb") as file:
        try:
            while True:
                file.write(bytes(65536))
                file.flush()
        except OSError:
            pass
    others = [other for other in c.nodes if other is not node]
    c.progress("with one full file system", blocks=10, nodes=others)
    wait_until(20, "the full disk is noticed", lambda: node.request("/ready")[0] == 503)
    filler.unlink()
    c.wait_ready([node])
    c.finish()


@scenario
def journal_deleted(c):
    """24: all segments are gone, sign-state is there; after another start it still knows."""
    c.start()
    c.progress("at first")
    first = c.random.choice(c.nodes)
    first.kill()
    for segment in (first.home / "journal").glob("journal-*"):
        segment.unlink()
    first.start()
    refuses_to_vote(c, first, "missing")
    first.kill()
    first.start()
    refuses_to_vote(c, first, "")
    c.finish(observers=[first.index])


@scenario
def journal_directory_deleted(c):
    """24: nothing is left of the journal. With the database in place the node itself sees that it has
    lost it, and does not vote in this epoch, after another start neither; without the database it
    learns from its peers what it has said (C-ROLLBACK.REFUSE)."""
    c.start()
    c.progress("at first")
    node = c.random.choice(c.nodes)
    node.kill()
    shutil.rmtree(node.home / "journal")
    node.start()
    refuses_to_vote(c, node, "missing")
    node.kill()
    node.start()
    refuses_to_vote(c, node, "missing")
    node.kill()
    (node.home / "votes-lost").unlink()
    (node.home / "votes-lost").mkdir()  # a note that cannot be read counts
    node.start()
    refuses_to_vote(c, node, "missing")
    node.kill()
    (node.home / "votes-lost").rmdir()
    shutil.rmtree(node.home / "journal")
    shutil.rmtree(node.home / "data")
    node.start()
    refuses_to_vote(c, node, "")
    c.finish(observers=[node.index])


@scenario
def old_disk(c):
    """24: journal and database of an earlier day, whole and consistent: only the peers know better."""
    c.start()
    c.progress("at first")
    node = c.random.choice(c.nodes)
    node.kill()
    for part in ("journal", "data"):
        shutil.copytree(node.home / part, c.dir / "old" / part)
    node.start()
    c.wait_ready([node])
    c.progress("a later day")
    node.kill()
    for part in ("journal", "data"):
        shutil.rmtree(node.home / part)
        shutil.copytree(c.dir / "old" / part, node.home / part)
    node.start()
    refuses_to_vote(c, node, "")
    c.finish(observers=[node.index])


@scenario
def journal_torn_tail(c):
    """26: garbage, zeros and half a record at the end of the journal: cut, and the node votes on."""
    c.start()
    c.progress("at first")
    for tail in ("garbage", "zeros", "half"):
        node = c.random.choice(c.nodes)
        node.kill()
        segment = newest_segment(node)
        size = c.random.randint(1, 5000)
        with open(segment, "ab") as file:
            if tail == "garbage":
                file.write(c.random.randbytes(size))
            elif tail == "zeros":
                file.write(bytes(size))
            else:
                file.write(bytes([0, 0, 0, 114, 1, 0, 0, 0]) + c.random.randbytes(20))
        node.start()
        c.wait_ready([node])
        wait_until(10, f"{node.name} cut the tail", lambda: node.log_lines("torn tail"))
        c.progress(f"with {tail} cut off")
    c.finish()


@scenario
def journal_flipped_byte(c):
    """27: one bit in the middle of the journal: no vote ever again, and the reason in the log."""
    c.start()
    c.progress("at first", blocks=8)
    node = c.random.choice(c.nodes)
    node.kill()
    segment = newest_segment(node)
    data = bytearray(segment.read_bytes())
    at = c.random.randint(len(data) // 4, len(data) // 2)
    data[at] ^= 1 << c.random.randrange(8)
    segment.write_bytes(data)
    node.start()
    refuses_to_vote(c, node, "damaged")
    c.finish(observers=[node.index])


@scenario
def database_flipped_bytes(c):
    """28: bits of the database's pages: the start refuses by name, or what is damaged is never served;
    a fresh database is synced from the peers."""
    c.start()
    c.progress("at first", blocks=8)
    node = c.random.choice(c.nodes)
    c.allowed_broken += ["checksum", "commit of block", "store", "chain", "alarm", "execut",
                         "not started"]
    node.kill()
    path = node.home / "data" / "data.mdb"
    data = bytearray(path.read_bytes())
    for _ in range(40):
        at = c.random.randrange(8192, len(data))
        data[at] ^= 1 << c.random.randrange(8)
    path.write_bytes(data)
    node.expected_down = True
    node.start()
    node.expected_down = True
    time.sleep(4)
    if node.is_up():  # no damaged record has been read so far, or the node serves what is whole
        node.kill()
    elif node.process.returncode not in (4, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGSEGV):
        raise Failure(f"{node.name} ended with {node.process.returncode} on a damaged database")
    if node.process.returncode in (-signal.SIGSEGV, -signal.SIGBUS):
        print(f"  note: LMDB died of signal {-node.process.returncode} on a damaged page")
    shutil.rmtree(node.home / "data")
    node.start()
    c.wait_ready([node], seconds=40)
    c.finish()


# --- clocks ----------------------------------------------------------------------------------------

HOUR_MS, TEN_YEARS_MS = 3600000, 3652 * 86400000


@scenario
def clock_jumps(c):
    """53: one wall clock jumps an hour and ten years, both ways; three go on, then it is right again."""
    c.start()
    node = c.random.choice(c.nodes)
    others = [other for other in c.nodes if other is not node]
    c.refusals_expected |= {"tx_expired", "tx_expiry_too_far"}
    for jump in c.random.sample([HOUR_MS, -HOUR_MS, TEN_YEARS_MS, -TEN_YEARS_MS], 4):
        node.set_faults(clock_offset_ms=jump)
        c.progress(f"with one clock off by {jump} ms", nodes=others)
        time.sleep(3)
        node.clear_faults()
        c.progress(f"after one clock was off by {jump} ms")
        c.no_one_died()
    c.finish()


@scenario
def clock_step(c):
    """53, 54: every clock steps forward an hour at once, under load: no timer waits for the wall."""
    c.start()
    for node in c.nodes:
        node.set_faults(clock_offset_ms=HOUR_MS)
    c.progress("after a step of an hour")
    for a in range(4):
        for b in range(a):
            c.network.reset(a, b)
    c.progress("with new links under the new time")
    c.no_one_died()
    c.finish()


@scenario
def clock_back(c):
    """53: every clock steps back an hour at once. Blocks must not go back in time, so the chain may wait;
    nobody dies, links that are made meanwhile stay, and all goes on when the clocks are right again."""
    c.start()
    c.load_goes_on("at first")
    for node in c.nodes:
        node.set_faults(clock_offset_ms=-HOUR_MS)
    for a in range(4):
        for b in range(a):
            c.network.reset(a, b)
    time.sleep(6)
    c.no_one_died()
    for node in c.nodes:
        if node.height() < 0:
            raise Failure(f"{node.name} does not answer after its clock went back")
        wait_until(10, f"{node.name} has its links again",
                   lambda node=node: node.metric("peers_up") == 3)
        node.clear_faults()
    c.load_goes_on("with right clocks")
    c.finish()


# --- keys, contradiction, hostile peers ------------------------------------------------------------

@scenario
def twin(c):
    """25: a copy of a home runs on ports of its own beside the original, which its peers take turns
    to believe. One key of four is dishonest then: the chain stays one."""
    c.start()
    node = c.random.choice(c.nodes)
    c.dishonest.add(c.keys[node.index])
    node.kill()
    home = c.dir / "twin"
    shutil.copytree(node.home, home)
    text = (home / "flexd.json").read_text()
    for role in ("p2p", "api"):
        port = free_ports(1)
        old = c.base + node.index + (4 if role == "api" else 0)
        text = text.replace(f"127.0.0.1:{old}\"", f"127.0.0.1:{port}\"", 1)
    (home / "flexd.json").write_text(text)
    other = Node(c, node.index, home, port)
    c.extra.append(other)
    node.start()
    other.start()
    c.allowed_broken.append(f" {node.name} .*alarm: .*voting has stopped")
    honest = [each for each in c.nodes if each is not node]
    for _ in range(3):
        c.progress("with twins", nodes=honest)
        settle(c)
    other.kill()
    # Whichever of the two is left may have learned that it is not alone, and refuse to vote: right.
    c.progress("without the twin")
    c.finish(observers=observers_of(node))


@scenario
def contradiction(c):
    """52: one node's state differs by a micro-euro: it stops voting and executing, says why, serves
    reads; the others go on. Its database is thrown away, and it follows the chain again."""
    c.start()
    c.load_goes_on("at first")
    node = c.random.choice(c.nodes)
    node.kill()
    subprocess.run([c.helpers / "spoil_state", node.home / "data", "dso"], check=True)
    c.allowed_broken.append(f" {node.name} .*(executes differently|voting has stopped)")
    node.start()
    # It may learn so from a notarized block first, or from a final one: the first reason stays.
    wait_until(30, f"{node.name} notices", lambda: any(
        reason in node.status().get("refusal", "")
        for reason in ("executes differently", "execution or state differs")))
    wait_until(30, f"{node.name} halts", lambda: node.log_lines("is final but executes differently"))
    frozen = node.height()
    others = [other for other in c.nodes if other is not node]
    c.progress("beside a node that differs", blocks=5, nodes=others)
    c.load_goes_on("beside a node that differs")
    if node.height() != frozen or node.status()["voting"] or node.metric("alarms") < 1:
        raise Failure(f"{node.name} goes on from {frozen} to {node.height()} on a state of its own")
    if node.get(f"/v1/blocks/{frozen}") is None or node.request("/ready")[0] != 503:
        raise Failure(f"{node.name} does not serve reads, or says that it is ready")
    node.terminate()
    shutil.rmtree(node.home / "data")
    node.start()
    c.wait_ready([node])
    c.finish()


@scenario
def contradiction_of_two(c):
    """52: the same difference on two of four, more than may be wrong: no block has a quorum, so nobody
    commits, and nothing forks. With right databases on the two the chain goes on where it stood."""
    c.start()
    c.load_goes_on("at first")
    wrong = c.random.sample(c.nodes, 2)
    for node in wrong:
        node.kill()
    for node in wrong:
        subprocess.run([c.helpers / "spoil_state", node.home / "data", "dso"], check=True)
        c.allowed_broken.append(f" {node.name} .*(executes differently|voting has stopped)")
        node.start()
    wait_until(20, "all links are up",
               lambda: all(node.metric("peers_up") == 3 for node in c.nodes))
    time.sleep(2)
    before = [node.height() for node in c.nodes]
    views = [int(node.status()["view"]) for node in c.nodes]
    time.sleep(8)
    after = [node.height() for node in c.nodes]
    if after != before or min(before) < 0:
        raise Failure(f"O1: with two states of two nodes each the heights went {before} to {after}")
    # One that was killed a block behind the others finds that block final, and halts; then two are left
    # to vote, and no view can end.
    halted = [node.name for node in wrong if node.log_lines("executes differently here -> halted")]
    if not halted and max(int(node.status()["view"]) for node in c.nodes) <= max(views):
        raise Failure(f"views stand still at {views}: the nodes do not even try")
    for node in wrong:
        node.terminate()
        shutil.rmtree(node.home / "data")
        node.start()
    c.wait_ready()
    c.load_goes_on("with right databases", seconds=60)
    c.finish(seconds=60)


@scenario
def hostile_validator(c):
    """37, 39, 44, 45, 46, 49, 50: one validator's key in the hands of a program that lies, forges and floods."""
    c.start()
    node = c.random.choice(c.nodes)
    c.dishonest.add(c.keys[node.index])
    others = [other for other in c.nodes if other is not node]
    c.load_goes_on("at first")
    node.kill()
    peer = subprocess.Popen([c.helpers / "hostile", node.home, "15", str(c.random.randrange(10**9))],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        c.progress("beside a hostile validator", blocks=6, nodes=others, seconds=40)
        c.load_goes_on("beside a hostile validator", seconds=40)
        said = [int(word) for word in peer.communicate(timeout=40)[0].split()]
    finally:
        peer.kill()
        peer.wait()
    if peer.returncode != 0 or said[0] < 500:
        raise Failure(f"the hostile peer ended with {peer.returncode} and said {said} frames")
    c.no_one_died()
    strikes = sum(other.metric("strikes") for other in others)
    evidence = sum(other.metric("evidence") for other in others)
    if strikes == 0 or evidence == 0:
        raise Failure(f"{said[0]} hostile frames, {strikes} strikes, {evidence} proofs")
    print(f"  {said[0]} hostile frames, {said[1]} lies in answer: {strikes} strikes, "
          f"{evidence} proofs of double votes")
    # Its own journal knows nothing of what was said in its name: the honest program refuses to vote.
    c.allowed_broken.append(f" {node.name} .*alarm: .*voting has stopped")
    node.start()
    wait_until(60, f"{node.name} follows again", lambda: node.height() >= others[0].height() - 2)
    c.finish(seconds=60, observers=observers_of(node))


@scenario
def everyday(c):
    """The one scenario without injected faults, which the thread sanitizer runs (make tsan): load,
    reads and a stream, links cut, a node killed and one stopped."""
    c.start()
    stream = http.client.HTTPConnection("127.0.0.1", c.nodes[0].api_port, timeout=30)
    stream.request("GET", "/v1/events?from=1")
    for path in ("/v1/accounts", "/v1/participants", "/v1/blocks/1", "/metrics", "/openapi.json",
                 "/v1/proofs/pot/balance/dso", "/v1/export?from=1&count=5", "/v1/nothing"):
        for node in c.nodes:
            if node.request(path, timeout=10)[0] not in (200, 404, 503):
                raise Failure(f"{node.name} does not answer {path}")
    c.network.reset(0, 1)
    c.network.reset(2, 3)
    c.nodes[1].kill()
    c.load_goes_on("with three nodes", seconds=60)
    c.nodes[1].start()
    c.nodes[0].terminate()
    c.nodes[0].start()
    c.wait_ready(seconds=60)
    stream.close()
    c.finish(seconds=60)


@scenario
def strangers(c):
    """9: on the port for peers, connections that say nothing, that say HTTP, and that break off."""
    c.start()
    node = c.random.choice(c.nodes)
    held = []
    try:
        for i in range(300):
            held.append(socket.create_connection(("127.0.0.1", c.base + node.index), timeout=2))
            held[-1].send([b"", b"GET / HTTP/1.1\r\n\r\n", c.random.randbytes(500)][i % 3])
            if i % 5 == 0:
                held.pop().close()
        for other in range(4):
            c.network.reset(node.index, other)
        c.progress("with strangers at the door")
        c.wait_ready()
    finally:
        for one in held:
            one.close()
    c.finish()


@scenario
def small_map(c):
    """31: the database's map is as small as it can be and grows under load, on every node at once."""
    for node in c.nodes:
        path = node.home / "flexd.json"
        config = json.loads(path.read_text())
        config["map_bytes"] = str(256 * 1024)
        path.write_text(json.dumps(config))
    c.start()
    for node in c.nodes:
        wait_until(60, f"{node.name}'s database outgrows its first map", lambda node=node: (
            node.home / "data" / "data.mdb").stat().st_size > 256 * 1024)
    c.load_goes_on("with a larger map")
    c.no_one_died()
    c.finish()


@scenario
def half_open_clients(c):
    """71: more half-open HTTP connections than a node takes: whole requests are answered all the same."""
    c.start()
    node = c.random.choice(c.nodes)
    held = []
    try:
        for i in range(700):
            held.append(socket.create_connection(("127.0.0.1", node.api_port), timeout=2))
            held[-1].send([b"", b"GET /v1/sta", b"POST /v1/transactions HTTP/1.1\r\nHost: x\r\n"
                           b"Content-Length: 9\r\n\r\nabc"][i % 3])
        slowest = 0.0
        for _ in range(20):
            begun = time.monotonic()
            status, _ = node.request("/v1/status", timeout=5)
            slowest = max(slowest, time.monotonic() - begun)
            if status != 200:
                raise Failure(f"{node.name} answers {status} beside half-open connections")
        if slowest > 2:
            raise Failure(f"{node.name} took {slowest:.1f} s beside half-open connections")
    finally:
        for one in held:
            one.close()
    c.finish()


def run(build, name, seed, keep, plain):
    print(f"{name} (seed {seed})", flush=True)
    cluster = Cluster(build, f"{name}/{seed}", preload=not plain, keep=keep)
    begun = time.monotonic()
    try:
        with cluster:
            SCENARIOS[name](cluster)
            injected = sum(node.injected() for node in cluster.nodes)
            print(f"  passed in {time.monotonic() - begun:.0f} s: "
                  f"{cluster.acknowledged()} transfers acknowledged, {injected} faults injected",
                  flush=True)
        return True
    except NotHere as reason:
        print(f"  NOT RUN: {reason}")
        shutil.rmtree(cluster.dir, ignore_errors=True)
        return None
    except Failure as failure:
        print(f"  FAILED: {failure}")
        for node in cluster.nodes + cluster.extra:
            for line in node.log_lines("")[-8:]:
                print(f"    {line}")
        print(f"  again: tests/e2e/nemesis.py {build} --scenario {name} --seed {seed}   "
              f"logs: {cluster.dir}", flush=True)
        return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--scenario", default="all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--plain", action="store_true", help="without faults.so, for sanitizers")
    arguments = parser.parse_args()
    if arguments.list:
        for name, function in SCENARIOS.items():
            print(f"{name:28} {' '.join(function.__doc__.split())}")
        return 0
    names = list(SCENARIOS) if arguments.scenario == "all" else arguments.scenario.split(",")
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        parser.error(f"no such scenario: {', '.join(unknown)}")
    results = [run(arguments.build, name, arguments.seed + turn, arguments.keep, arguments.plain)
               for turn in range(arguments.repeat) for name in names]
    print(f"nemesis: {results.count(True)} scenarios passed, {results.count(False)} failed, "
          f"{results.count(None)} not run here")
    return 1 if False in results or True not in results else 0


if __name__ == "__main__":
    sys.exit(main())
