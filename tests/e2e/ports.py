#!/usr/bin/env python3
"""Ports on loopback for tests, reserved while they run. Usage: ports.py COUNT PID

Prints the first of COUNT ports in a row and keeps them for the process PID (a test's shell) until that
ends. They lie below the range that the kernel takes outgoing connections from, where a port may be
anybody's when a stopped node listens on it again. Reserved means: somebody holds an abstract Unix socket
named for the port, which nobody else can bind and which ends with its holder; the unit tests do the same
(tests/lib/p2p/ports.c)."""
import os
import random
import socket
import sys
import time

FIRST, END = 21000, 32000
reserved = []


def free_ports(count):
    """The first of so many ports in a row, this process's until it ends, also while nobody listens."""
    for _ in range(200):
        base = random.SystemRandom().randrange(FIRST, END - count)
        sockets, names = [], []
        try:
            for port in range(base, base + count):
                sockets.append(socket.socket())
                sockets[-1].bind(("127.0.0.1", port))
                names.append(socket.socket(socket.AF_UNIX))
                names[-1].bind(f"\0flexledger-port-{port}")
            reserved.extend(names)
            return base
        except OSError:
            for one in names:
                one.close()
        finally:
            for one in sockets:
                one.close()
    sys.exit(f"no {count} free ports in a row from {FIRST} to {END - 1}")


def main():
    count, pid = int(sys.argv[1]), int(sys.argv[2])
    print(free_ports(count), flush=True)
    if os.fork() > 0:
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    while os.path.exists(f"/proc/{pid}"):
        time.sleep(0.2)


if __name__ == "__main__":
    main()
