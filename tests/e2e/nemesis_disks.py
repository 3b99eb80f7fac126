"""Scenarios of disks: logs that can't be written, full maps, readers that died, file systems and
files that may not be written or read."""
import errno
import json
import os
import shutil
import signal
import subprocess
import time

from cluster import Failure, wait_until
from nemesis_base import NotHere, refuses_to_vote, scenario, settle


# --- the log ---------------------------------------------------------------------------------------

@scenario
def log_disk_full(c):
    """30: logs that cannot be written, on a full disk and into a pipe that nobody reads any more, on
    all nodes: whoever reads the log has a problem, the chain has none."""
    full = open("/dev/full", "wb", buffering=0)
    reading, broken = os.pipe()
    os.close(reading)
    for node in c.nodes:
        node.log_to = full if node.index % 2 == 0 else broken
    try:
        c.start()
        c.load_goes_on("without logs", count=20)
        for a in range(4):  # each lost link is a line
            for b in range(a):
                c.network.reset(a, b)
        c.progress("without logs")
        c.no_one_died()
        for node in c.nodes:
            node.terminate()
            node.log_to = None
            node.start()
    finally:
        full.close()
        os.close(broken)
    c.wait_ready()
    c.finish()


@scenario
def log_reader_stuck(c):
    """30: the reader of the logs stops reading, and the pipe is full: lines are lost, and nothing waits
    for them; when it reads again it hears how many were lost."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while os.write(writing, bytes(4096)) > 0:
            pass
    except BlockingIOError:
        os.set_blocking(writing, True)
    for node in c.nodes:
        node.log_to = writing
    try:
        c.start()
        for a in range(4):  # each lost link is a line
            for b in range(a):
                c.network.reset(a, b)
        c.progress("with logs that nobody reads", blocks=10)
        c.load_goes_on("with logs that nobody reads", count=20)
        os.set_blocking(reading, False)
        heard = b""
        limit = time.monotonic() + 20
        while b"lines lost" not in heard:
            if time.monotonic() > limit:
                raise Failure(f"no node says that lines were lost: {heard[-300:]}")
            c.network.reset(*c.random.sample(range(4), 2))
            settle(c, 0.2, 0.5)
            try:
                heard += os.read(reading, 1 << 20).strip(b"\0")
            except BlockingIOError:
                pass
        c.no_one_died()
        for node in c.nodes:
            node.terminate()
            node.log_to = None
            node.start()
    finally:
        os.close(reading)
        os.close(writing)
    c.wait_ready()
    c.finish()


# --- the database's map ----------------------------------------------------------------------------

@scenario
def map_full(c):
    """31: MDB_MAP_FULL at a put and at a commit, then at every put until the map may not grow any
    more: grown in passing, then a wait, then all goes on, and no block is lost."""
    c.start()
    node = c.random.choice(c.nodes)
    others = [other for other in c.nodes if other is not node]
    for word in ("map_full_puts", "map_full_commits"):
        node.set_faults(**{word: 1})
        wait_until(20, f"{word} met", lambda word=word: node.get_fault(word) == 0)
        c.progress(f"after {word}")
    if len(node.log_lines(r"store: map full -> \d+ MiB")) != 2:
        raise Failure(f"{node.name} did not say twice that its map grows")
    node.set_faults(map_full_puts=10**9)
    wait_until(30, "the full store is noticed", lambda: node.metric("store_full") == 1)
    if node.request("/ready")[0] != 503 or node.height() < 0:
        raise Failure(f"{node.name} says that it is ready with a full map, or serves no reads")
    c.load_goes_on("beside a full map", count=20)
    c.progress("beside a full map", nodes=others)
    node.set_faults(map_full_puts=0)
    wait_until(20, "room is noticed", lambda: node.metric("store_full") == 0)
    c.wait_ready([node])
    c.no_one_died()
    c.finish()


def store_bytes(node):
    return (node.home / "data" / "data.mdb").stat().st_size


@scenario
def stale_readers(c):
    """32: other processes read the chain databases and are killed with their snapshots open. A slot
    that nobody frees keeps every page since, so the file would grow with each block for ever: it
    stops growing. One that lives is waited for."""
    c.start()
    c.progress("at first", blocks=20)
    holders = []
    try:
        for node in c.nodes:
            holders.append(subprocess.Popen([c.helpers / "hold_reader", node.home / "data"],
                                            stdout=subprocess.PIPE, text=True))
            if holders[-1].stdout.readline() != "held\n":
                raise Failure("a second process cannot read the database")
        begun = [store_bytes(node) for node in c.nodes]
        c.progress("with readers beside", blocks=40)
        held = [store_bytes(node) - first for node, first in zip(c.nodes, begun)]
    finally:
        for holder in holders:
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            holder.stdout.close()
    c.progress("after the readers died")
    begun = [store_bytes(node) for node in c.nodes]
    c.progress("after the readers died", blocks=120, seconds=60)
    freed = [store_bytes(node) - first for node, first in zip(c.nodes, begun)]
    print(f"  files grew by {held} bytes in 40 blocks with a reader, by {freed} in 120 after it died")
    if min(held) < 200_000:
        raise Failure("the living readers held no pages: this test shows nothing")
    if max(freed) > min(held) / 2:
        raise Failure(f"O8: databases grow by {freed} in 120 blocks after their readers died")
    c.no_one_died()
    c.finish()


# --- what may not be read or written ----------------------------------------------------------------

def refuses_to_start(c, node, what, words, wrapper=()):
    """Exit code and one clear sentence; the words are what an operator needs to find in it."""
    code, said = node.try_start(wrapper)
    last = said.strip().splitlines()[-1] if said.strip() else ""
    if code not in (1, 2) or any(word not in last for word in words):
        raise Failure(f"{node.name} with {what} ended with {code} and said: {said}")
    print(f"  {what}: exit {code}, {last[:200].replace(str(c.dir), '')}")


@scenario
def read_only_home(c):
    """35: the home's file system is mounted read-only: no start, a sentence that says so; nothing is
    lost, and once it is writable the node votes."""
    c.start()
    c.progress("at first")
    node = c.random.choice(c.nodes)
    before = node.height()
    node.kill()
    done = subprocess.run(["mount", "--bind", node.home, node.home], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise NotHere("a bind mount is not permitted here: " + done.stderr.strip())
    c.mounts.append(node.home)
    subprocess.run(["mount", "-o", "remount,ro,bind", node.home], check=True)
    refuses_to_start(c, node, "a read-only home", [str(node.home), "Read-only", "writable"])
    subprocess.run(["umount", node.home], check=True)
    c.mounts.remove(node.home)
    node.start()
    c.wait_ready([node])
    if node.height() < before:
        raise Failure(f"{node.name} was at {before} and is at {node.height()}")
    c.finish()


@scenario
def read_only_later(c):
    """35: the kernel turns the file system read-only under a running node, as ext4 does after an
    error: it stops and says why, at the journal and at the database, and goes on later."""
    c.start()
    c.allowed_broken += ["Read-only file system", "commit of block"]
    for word, codes in (("journal_errno", [-signal.SIGABRT]), ("store_errno", [1])):
        node = c.random.choice(c.nodes)
        node.expected_down = True
        node.set_faults(**{word: errno.EROFS})
        code = node.exit_code(30)
        if code not in codes or not node.log_lines("Read-only file system"):
            raise Failure(f"{node.name} with {word} EROFS ended with {code}: "
                          f"{node.log_lines('')[-3:]}")
        c.load_goes_on("with three nodes")
        node.clear_faults()
        node.start()
        c.wait_ready([node])
    c.finish()


# (path under the home, mode, what the message names)
FORBIDDEN = [
    ("flexd.json", 0o000, ["flexd.json", "Permission denied"]),
    ("genesis.json", 0o000, ["genesis.json", "Permission denied"]),
    ("node.key", 0o000, ["node.key", "Permission denied"]),
    ("node.key", 0o644, ["node.key", "chmod 600"]),
    ("tls/node.key", 0o000, ["node.key", "tls"]),
    (".", 0o500, ["Permission denied", "writable"]),
    ("data", 0o500, ["data", "Permission denied", "writable"]),
    ("data/data.mdb", 0o400, ["data", "Permission denied", "writable"]),
    ("journal", 0o000, ["journal", "Permission denied", "writable"]),
    ("journal/sign-state", 0o400, ["sign-state", "Permission denied", "writable"]),
    ("journal/NEWEST", 0o400, ["journal", "Permission denied", "writable"]),
]


@scenario
def wrong_permissions(c):
    """35: files and directories of a home that the node's user may not read or write: each start
    ends with the file's name and the reason; put right, the node votes as before."""
    wrapper = []
    if os.geteuid() == 0:  # root reads everything, unless it is without that power
        wrapper = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
        if subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode != 0:
            raise NotHere("setpriv may not drop capabilities here")
    c.start()
    c.progress("at first")
    node = c.random.choice(c.nodes)
    node.terminate()
    for name, mode, words in FORBIDDEN:
        path = node.home / name
        if path.name == "NEWEST":
            path = max((node.home / "journal").glob("journal-*"))
        was = path.stat().st_mode & 0o7777
        path.chmod(mode)
        try:
            refuses_to_start(c, node, f"mode {mode:04o} of {name}", words, wrapper)
        finally:
            path.chmod(was)
    node.start()
    c.wait_ready([node])
    c.finish()


@scenario
def skewed_mtimes(c):
    """35: file times of 1970 and of 2100, as a restored or mis-clocked file system has them: nothing
    rests on them."""
    c.start()
    c.progress("at first")
    for stamp in (0, 4102444800):
        node = c.random.choice(c.nodes)
        node.kill()
        for directory, _, files in os.walk(node.home):
            for name in files:
                os.utime(os.path.join(directory, name), (stamp, stamp))
        node.start()
        c.wait_ready([node])
        c.progress("with other file times")
    c.finish()
