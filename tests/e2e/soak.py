#!/usr/bin/env python3
"""A network under load and random damage for as long as you like, with its growth on record.

    soak.py BUILD --minutes N [--seed S] [--samples FILE] [--keep]

Four validators behind proxies (cluster.py), four clients. One action after another, drawn from the
list below, damages the network, undoes it, and waits until every node has committed again. Node 0,
the steady one, is never restarted, so that what leaks in it has the whole time to show.

What must hold: after each action progress on all nodes within a bound (O6), and nobody has died;
all the time and at the end bounded memory, descriptors, journal, log and database (O8: limits below,
which do not grow with the minutes except where they say so); at the end one chain, every
acknowledged transfer in it once, no contradicting votes, equal roots, and the export of every single
node, re-executed offline from the genesis file (O1 to O5, O7, O9).

Exit code 0 and "soak: passed", or 1 and the line that runs the same actions again.
"""
import argparse
import errno
import json
import os
import signal
import statistics
import subprocess
import sys
import time

from cluster import KILLS, Cluster, Failure, wait_until
from nemesis_base import dies_of_fault, settle

SAMPLE_SECONDS = 5
# Of the steady node, between the second and the last fifth of all samples, however long that is.
MEMORY_GROWTH_KB_MAX, FDS_GROWTH_MAX = 24_000, 24
# Of every node. A block of a few transfers takes some pages of LMDB in eight tables.
DISK_BYTES_PER_BLOCK_MAX, DISK_BYTES_START = 8 << 10, 8 << 20
LOG_BYTES_PER_MINUTE_MAX = 1 << 20
ACTIONS = []


def action(function):
    ACTIONS.append(function)
    return function


def victim(c):
    return c.random.choice(c.nodes[1:])


@action
def kill(c):
    """a node is killed and started again"""
    node = victim(c)
    node.kill()
    settle(c, 0, 4)
    node.start()


@action
def kill_at_boundary(c):
    """a node dies at a write boundary of its vote journal"""
    node = victim(c)
    node.expected_down = True
    kind = KILLS[c.random.choice(sorted(KILLS))]
    node.set_faults(kill_countdown=c.random.randint(1, 30), kill_kind=kind)
    dies_of_fault(node, 60)
    node.clear_faults()
    settle(c, 0, 4)
    node.start()


@action
def stop(c):
    """a node is stopped cleanly and started again"""
    node = victim(c)
    node.terminate()
    settle(c, 0, 4)
    node.start()


@action
def kill_three(c):
    """three nodes are killed at once"""
    for node in c.nodes[1:]:
        node.kill()
    for node in c.random.sample(c.nodes[1:], 3):
        settle(c, 0, 1)
        node.start()


@action
def freeze(c):
    """a node is stopped by a signal for some seconds, sometimes the steady one"""
    node = c.random.choice(c.nodes)
    node.signal(signal.SIGSTOP)
    settle(c, 1, 10)
    node.signal(signal.SIGCONT)


@action
def isolate(c):
    """no link between one node and the others"""
    one = c.random.randrange(4)
    c.network.block([one], [i for i in range(4) if i != one])
    settle(c, 2, 8)


@action
def halves(c):
    """no link between two and two"""
    ids = c.random.sample(range(4), 4)
    c.network.block(ids[:2], ids[2:])
    settle(c, 2, 8)


@action
def mute(c):
    """one node hears and is not heard"""
    one = c.random.randrange(4)
    c.network.block([one], [i for i in range(4) if i != one], both=False)
    settle(c, 2, 8)


@action
def slow(c):
    """one node far away"""
    c.network.set_delay(c.random.randrange(4), range(4), c.random.uniform(0.1, 0.9))
    settle(c, 3, 10)


@action
def narrow(c):
    """links that carry less than what there is to say"""
    c.network.set_rate(c.random.randint(600, 5000), range(4))
    settle(c, 4, 12)


@action
def flapping(c):
    """links reset in the middle of frames"""
    for _ in range(c.random.randint(5, 30)):
        c.network.reset(*c.random.sample(range(4), 2))
        settle(c, 0, 0.2)


@action
def slow_disk(c):
    """one disk that takes long to sync"""
    node = c.random.choice(c.nodes)
    node.set_faults(slow_sync_ms=c.random.randint(100, 2000))
    settle(c, 3, 8)
    node.clear_faults()


@action
def full_disk(c):
    """one disk without room, and room again"""
    node = c.random.choice(c.nodes)
    node.set_faults(no_disk_left=1)
    settle(c, 2, 8)
    node.clear_faults()


@action
def full_journal(c):
    """no room for the vote journal, and room again"""
    node = c.random.choice(c.nodes)
    node.set_faults(journal_errno=errno.ENOSPC)
    settle(c, 2, 8)
    node.clear_faults()


@action
def failing_disk(c):
    """a node whose journal cannot be written stops, and starts again when it can"""
    node = victim(c)
    node.expected_down = True
    node.set_faults(journal_errno=c.random.choice([errno.EIO, errno.EROFS]))
    if node.exit_code(60) != -signal.SIGABRT:
        raise Failure(f"{node.name}: a failed write ended with {node.process.returncode}")
    node.clear_faults()
    node.start()


@action
def wrong_clock(c):
    """one wall clock off by up to an hour"""
    node = c.random.choice(c.nodes)
    node.set_faults(clock_offset_ms=c.random.randint(-3600000, 3600000))
    settle(c, 2, 6)
    node.clear_faults()


@action
def dead_reader(c):
    """a process that reads a database is killed"""
    node = c.random.choice(c.nodes)
    with subprocess.Popen([c.helpers / "hold_reader", node.home / "data"], stdout=subprocess.PIPE,
                          text=True) as holder:
        said = holder.stdout.readline()
        settle(c, 1, 4)
        holder.kill()
    if said != "held\n":
        raise Failure("a second process cannot read the database")


class Record:
    """Samples of what each node holds, and the limits on their growth."""

    def __init__(self, cluster, path):
        self.cluster, self.begun, self.last, self.rows = cluster, time.monotonic(), -99.0, []
        self.file = open(path, "w") if path else None
        self.log_before = {}

    def seconds(self):
        return time.monotonic() - self.begun

    def sample(self):
        if self.seconds() - self.last < SAMPLE_SECONDS:
            return
        self.last = self.seconds()
        for node in self.cluster.nodes:
            try:
                row = {
                    "seconds": round(self.last), "node": node.name,
                    "memory_kb": node.anonymous_kb(),
                    "fds": len(os.listdir(f"/proc/{node.process.pid}/fd")),
                    "journal": sum(file.stat().st_size
                                   for file in (node.home / "journal").iterdir()),
                    "database": (node.home / "data" / "data.mdb").stat().st_size,
                    "log": node.log_path.stat().st_size}
            except (OSError, AttributeError):  # down, or a file that goes while we look
                continue
            self.rows.append(row)
            if self.file is not None:
                self.file.write(json.dumps(row) + "\n")
                self.file.flush()

    def steady(self, what):
        return [row[what] for row in self.rows if row["node"] == self.cluster.nodes[0].name]

    def growth(self, what):
        """Of the steady node: median of the last fifth less that of the second."""
        values = self.steady(what)
        fifth = len(values) // 5
        if fifth < 1:
            raise Failure("the run was too short to show growth")
        return statistics.median(values[-fifth:]) - statistics.median(values[fifth:2 * fifth])

    def line(self):
        last = {}
        for row in self.rows:
            last[row["node"]] = row
        return " ".join(f"{name}:{row['memory_kb'] >> 10}MiB/{row['fds']}fd/"
                        f"{row['journal'] >> 10}+{row['database'] >> 10}KiB"
                        for name, row in sorted(last.items()))

    def check(self, height):
        memory, fds = self.growth("memory_kb"), self.growth("fds")
        disk = max(row["database"] for row in self.rows)
        per_block = (disk - DISK_BYTES_START) / max(height, 1)
        print(f"soak: the steady node grew by {memory:.0f} KiB and {fds:.0f} descriptors; largest "
              f"database {disk >> 10} KiB at {height} blocks; largest journal "
              f"{max(row['journal'] for row in self.rows) >> 10} KiB")
        if memory > MEMORY_GROWTH_KB_MAX or fds > FDS_GROWTH_MAX:
            raise Failure(f"O8: the steady node grew by {memory} KiB and {fds} descriptors")
        if per_block > DISK_BYTES_PER_BLOCK_MAX:
            raise Failure(f"O8: a database of {disk} bytes at {height} blocks")


def tend(c, record, seconds, what, condition):
    """Waits for it, and samples meanwhile."""
    def look():
        record.sample()
        return condition()
    wait_until(seconds, what, look)


def run_actions(c, record, minutes):
    done = {}
    while record.seconds() < 60 * minutes:
        chosen = c.random.choice(ACTIONS)
        name = chosen.__name__
        done[name] = done.get(name, 0) + 1
        chosen(c)
        c.network.heal()
        goal = c.height() + 3
        acknowledged = c.acknowledged() + 4
        for node in c.nodes:
            tend(c, record, 60, f"O6 after {name}: {node.name} at height {goal}",
                 lambda node=node: node.height() >= goal)
        tend(c, record, 60, f"O6 after {name}: transfers acknowledged",
             lambda: c.acknowledged() >= acknowledged or c.stuck())
        c.no_one_died()
        c.check_bounds()
        print(f"{int(record.seconds()) // 60:4}:{int(record.seconds()) % 60:02} {name:17} height "
              f"{c.height()} transfers {c.acknowledged()} {record.line()}", flush=True)
        settle(c, 0, 2)
    return done


def soak(c, minutes, samples):
    c.log_bytes_max = max(c.log_bytes_max, minutes * LOG_BYTES_PER_MINUTE_MAX)
    c.refusals_expected |= {"tx_expired", "tx_expiry_too_far"}  # by a wrong clock
    c.allowed_broken += ["journal: ", "commit of block"]
    c.start()
    record = Record(c, samples)
    done = run_actions(c, record, minutes)
    height = c.finish(seconds=90, exports=c.nodes)
    record.check(height)
    print(f"soak: {minutes:g} minutes, {sum(done.values())} actions of {len(done)} kinds, {height} "
          f"blocks, {c.acknowledged()} transfers acknowledged and found, every node's export "
          f"re-executed")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samples", help="file for the samples, a JSON object a line")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    if not 1 <= arguments.minutes <= 10080:
        parser.error("--minutes: 1 to 10080")
    cluster = Cluster(arguments.build, f"soak/{arguments.seed}", keep=arguments.keep)
    try:
        with cluster:
            soak(cluster, arguments.minutes, arguments.samples)
    except Failure as failure:
        print(f"soak: FAILED: {failure}")
        for node in cluster.nodes:
            for line in node.log_lines("")[-8:]:
                print(f"    {line}")
        print(f"soak: again: tests/e2e/soak.py {arguments.build} --minutes {arguments.minutes:g} "
              f"--seed {arguments.seed}   logs: {cluster.dir}")
        return 1
    print("soak: passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
