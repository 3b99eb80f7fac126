"""Scenarios of links that carry too little, and of peers whose answers are not what was asked for."""
import json
import re
import shutil
import subprocess
import time

from cluster import Failure, wait_until
from nemesis_base import observers_of, refuses_to_vote, scenario


def offered(c):
    """Frames that the nodes have wanted to send so far, queued or dropped."""
    return sum(node.metric("frames_sent") + node.metric("frames_dropped") for node in c.nodes)


# An idle chain needs 1000 bytes a second on each link each way, the load here 9000.
STARVED, NARROW = 500, 4000


@scenario
def narrow_links(c):
    """10: links that carry half of what an idle chain needs, for 45 s: repeats and proofs must not
    pile up on each other. On links that carry half of what the load asks for the chain goes on; on
    wide ones at once."""
    c.start()
    c.load_goes_on("at first")
    memory = [node.anonymous_kb() for node in c.nodes]
    c.network.set_rate(STARVED, range(4))
    carried, begun = sum(c.network.carried.values()), time.monotonic()
    rounds = []
    for _ in range(3):
        before = offered(c)
        time.sleep(15)
        rounds.append(offered(c) - before)
    rate = (sum(c.network.carried.values()) - carried) / (time.monotonic() - begun) / 12
    print(f"  frames offered in 15 s each, on starved links: {rounds}; {rate:.0f} bytes/s a link")
    if rate > 1.3 * STARVED + 200:  # what was in the buffers when the links became narrow
        raise Failure(f"links of {STARVED} bytes/s carried {rate:.0f}: this test shows nothing")
    if rounds[2] > 1.5 * rounds[0] + 100:
        raise Failure(f"the nodes say more and more on links that carry less: {rounds} frames")
    grown = [node.anonymous_kb() - first for node, first in zip(c.nodes, memory)]
    if max(grown) > 50_000:
        raise Failure(f"O8: memory grew by {grown} KiB behind starved links")
    c.no_one_died()
    c.network.set_rate(NARROW, range(4))
    c.progress("on narrow links", blocks=10, seconds=90)
    c.load_goes_on("on narrow links", seconds=60)
    c.network.heal()
    c.load_goes_on("on wide links again", count=20)
    c.finish()


@scenario
def sync_from_liar(c):
    """36, 49: a node that was away hears first of a validator that claims the greatest height and
    answers with what others answered it, a bit flipped or cut short, or not at all; then it hears of
    the others too."""
    c.start()
    liar, victim = c.random.sample(c.nodes, 2)
    c.dishonest.add(c.keys[liar.index])
    honest = [node for node in c.nodes if node not in (liar, victim)]
    victim.kill()
    c.progress("with one away", blocks=80, nodes=honest, seconds=90)
    liar.kill()
    goal = max(node.height() for node in honest)
    peer = subprocess.Popen([c.helpers / "hostile", liar.home, "20",
                             str(c.random.randrange(10**9)), "liar"],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        c.network.block([victim.index], [node.index for node in honest])
        victim.start()
        time.sleep(6)
        c.network.heal()
        wait_until(60, f"{victim.name} at height {goal} beside a liar",
                   lambda: victim.height() >= goal)
        c.progress("with the one that was lied to", nodes=honest + [victim], seconds=40)
        said = [int(word) for word in peer.communicate(timeout=60)[0].split()]
    finally:
        peer.kill()
        peer.wait()
    strikes = sum(node.metric("strikes") for node in honest + [victim])
    print(f"  {said[1]} questions to the liar, {said[2]} spoilt answers, {strikes} strikes")
    if peer.returncode != 0 or said[2] < 1:
        raise Failure(f"the liar ended with {peer.returncode} and spoilt {said[2]} answers")
    c.no_one_died()
    c.allowed_broken.append(f" {liar.name} .*alarm: .*voting has stopped")
    liar.start()
    wait_until(60, f"{liar.name} follows again", lambda: liar.height() >= honest[0].height() - 2)
    c.finish(seconds=60, observers=observers_of(liar))


def ranges_from(node):
    """Of which validators ranges have led on: {index: how many}."""
    _, text = node.request("/metrics")
    found = re.findall(r'^flexd_sync_ranges\{peer="(\d+)"\} (\d+)$', text.decode(), re.M)
    peers = json.loads((node.home / "flexd.json").read_text())["peers"]
    return {node.cluster.keys.index(peers[int(peer)]["key"]): int(count) for peer, count in found}


def begins_anew(node):
    """Nothing that it knew of the chain is left, its votes included."""
    node.kill()
    for path in list(node.home.iterdir()):
        if path.name == "data" or re.fullmatch(r"journal(-\d+)?", path.name):
            shutil.rmtree(path)
    node.start()


@scenario
def sync_from_several(c):
    """36: a node with nothing gets all blocks of a peer 0.8 s away; then once more of the same peer and,
    from its first answer on, of two that are near: the far one holds nobody up, ranges are here
    before they are needed, and it takes less time."""
    c.start()
    c.progress("at first", blocks=260, seconds=180)
    far, victim = c.random.sample(c.nodes, 2)
    near = [node for node in c.nodes if node not in (far, victim)]
    c.network.set_delay(far.index, [victim.index], 0.4)  # a handshake of four times that passes
    goal = c.height()
    seconds = []
    for alone in (True, False):
        c.network.block([victim.index], [node.index for node in near])
        begins_anew(victim)
        begun = time.monotonic()
        if not alone:
            wait_until(60, "an answer of the far peer",
                       lambda: ranges_from(victim).get(far.index, 0) > 0)
            c.network.open_again([victim.index], [node.index for node in near])
        wait_until(90, f"{victim.name} at height {goal}", lambda: victim.height() >= goal)
        seconds.append(time.monotonic() - begun)
        taken, ahead = ranges_from(victim), victim.metric("sync_ranges_ahead")
        print(f"  {seconds[-1]:.1f} s for {goal} blocks, ranges by peer {taken}, {ahead} ahead")
        if alone and (set(taken) != {far.index} or ahead != 0):
            raise Failure("ranges of peers that were cut off, or ahead with nobody else to ask")
    if not any(node.index in taken for node in near) or far.index not in taken or ahead == 0:
        raise Failure("the ranges are not of several peers")
    if seconds[1] >= seconds[0]:
        raise Failure("several peers took longer than the slow one alone")
    if victim.metric("strikes") != 0:
        raise Failure("an honest peer was struck")
    c.network.heal()
    refuses_to_vote(c, victim, "journal")
    c.finish(observers=[victim.index])
