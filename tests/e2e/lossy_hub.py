#!/usr/bin/env python3
"""lossy_hub.py DELAY_MS LOSS_PERCENT CUT-FILE NAMESPACE...: an Ethernet hub between network namespaces that
delays every frame, loses some, and none of it with the kernel's help: no bridge, no netem, only /dev/net/tun.

Each namespace gets a TAP device `eth0`, whose other end is here. Frames to and from the namespaces whose
numbers CUT-FILE lists (none if it is not there) are lost. What is lost is by a fixed seed; each frame waits
DELAY_MS, give or take a tenth. Prints "ready". Runs until it is killed; the devices end with it.
"""
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454ca, 0x0002, 0x1000
QUEUE_MAX = 20000  # frames on their way; more are lost, as on any link


def open_tap(name, namespace):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", name, "netns", namespace, "name", "eth0"], check=True)
    return fd


def main():
    delay, loss, cut_file = float(sys.argv[1]) / 1000, float(sys.argv[2]) / 100, sys.argv[3]
    dice = random.Random(40)
    taps = [open_tap(f"fxtap{os.getpid()}-{i}"[:15], name) for i, name in enumerate(sys.argv[4:])]
    print("ready", flush=True)
    waiting, count, cut, cut_read = [], 0, set(), 0.0
    while True:
        now = time.monotonic()
        if now - cut_read > 0.1:
            cut_read = now
            try:
                with open(cut_file, encoding="ascii") as file:
                    cut = {int(word) for word in file.read().split()}
            except FileNotFoundError:
                cut = set()
        timeout = max(0.0, min(0.1, waiting[0][0] - now)) if waiting else 0.1
        for fd in select.select(taps, [], [], timeout)[0]:
            try:
                data = os.read(fd, 65536)
            except OSError:
                continue  # not up yet
            for to, other in enumerate(taps):
                lost = {to, taps.index(fd)} & cut or dice.random() < loss
                if other != fd and not lost and len(waiting) < QUEUE_MAX:
                    count += 1
                    at = time.monotonic() + delay * dice.uniform(0.9, 1.1)
                    heapq.heappush(waiting, (at, count, other, data))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, fd, data = heapq.heappop(waiting)
            try:
                os.write(fd, data)
            except OSError:
                pass  # its device is down: the frame is lost


main()
