"""Scenarios of time and of many restarts: stopped processes, clocks that stand still, hail."""
import signal
import time

from cluster import Failure, wait_until
from nemesis_base import scenario, settle


@scenario
def hailstorm(c):
    """18: three or four of four restart at once, again and again, faster than any view's time limit."""
    c.start()
    for _ in range(12):
        hit = c.random.sample(c.nodes, c.random.choice([3, 4]))
        for node in hit:
            if c.random.random() < 0.7:
                node.kill()
            else:
                node.terminate()
        for node in hit:
            settle(c, 0, 0.1)
            node.start()
        settle(c, 0, 0.6)
    c.wait_ready()
    c.load_goes_on("after the hail")
    c.finish()


@scenario
def pause_minute(c):
    """22: SIGSTOP for 60 s: longer than every time limit, heartbeat and back-off of the others."""
    c.start()
    node = c.random.choice(c.nodes)
    node.signal(signal.SIGSTOP)
    others = [other for other in c.nodes if other is not node]
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        c.progress("while one is stopped", nodes=others)
        settle(c)
    behind = c.height()
    node.signal(signal.SIGCONT)
    wait_until(30, f"{node.name} at height {behind}", lambda: node.height() >= behind)
    c.wait_ready([node])
    c.no_one_died()
    c.finish()


def stall(nodes, seconds):
    """Their monotonic clocks stand for that long while they run, and are behind by it for ever."""
    begun = time.monotonic()
    before = [node.get_fault("monotonic_lag_ms") for node in nodes]
    seen = [node.injected() for node in nodes]
    while time.monotonic() < begun + seconds:
        lag = int((time.monotonic() - begun) * 1000)
        for node, already in zip(nodes, before):
            node.set_faults(monotonic_lag_ms=already + lag)
        time.sleep(0.005)
    for node, count in zip(nodes, seen):
        if node.injected() < count + 5 * seconds:
            raise Failure(f"{node.name} hardly looked at its clock: this test shows nothing")


@scenario
def stalled_clock(c):
    """56: one node's monotonic clock stands for 12 s while it runs: its timers wait, it follows, the
    others go on; then all clocks stand for 8 s: nobody dies, and all goes on when they run."""
    c.start()
    node = c.random.choice(c.nodes)
    others = [other for other in c.nodes if other is not node]
    before = c.height()
    stall([node], 12)
    if c.height() < before + 10:
        raise Failure(f"three with running clocks went only from {before} to {c.height()}")
    wait_until(10, f"{node.name} follows behind its clock", lambda: node.height() >= before + 10)
    c.progress("with one clock behind", nodes=others)
    stall(c.nodes, 8)
    c.no_one_died()
    c.wait_ready()
    c.load_goes_on("after all clocks stood")
    c.finish()


@scenario
def migrated(c):
    """56: machines that are moved: processes stop, and their monotonic clocks have not gone on when
    they wake while the wall clock has: one for 20 s, then all for 10 s."""
    c.start()
    one = [c.random.choice(c.nodes)]
    for nodes, seconds in ((one, 20), (c.nodes, 10)):
        for node in nodes:
            node.signal(signal.SIGSTOP)
        time.sleep(seconds)
        for node in nodes:
            lag = node.get_fault("monotonic_lag_ms") + seconds * 1000
            node.set_faults(monotonic_lag_ms=lag)
            node.signal(signal.SIGCONT)
        c.wait_ready()
        c.load_goes_on(f"after {seconds} s that no timer has seen")
        c.no_one_died()
    c.finish()
