"""A slow and lossy link for a fleet, without netem: two taps and a process that carries the frames from one to the other, later.

The operator's end gets the address that the bridge had, the far end becomes a port of the bridge. So every frame between the operator and
a host takes half of the round-trip time each way; hosts reach each other as before. Run in the operator's network as root:

    python -m tests.system.slow_link RTT LOSS SEED

RTT in seconds, LOSS in percent each way, the same SEED loses the same frames of the same traffic. It says `ready`, then takes lines
`MAC LOSS` on standard input: another loss for one host. It ends with its standard input.
"""

import collections
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import time

BRIDGE, GATEWAY = "bridge", "10.98.0.1"
NEAR, FAR = "operator", "far"
SET_INTERFACE, TAP, NO_PACKET_INFO = 0x400454CA, 0x0002, 0x1000
LARGEST = 1 << 16
MOST = 4096
"""Frames on their way in one direction; what comes above is lost, as in a router."""


def tap(name):
    """The file of a new tap."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, SET_INTERFACE, struct.pack("16sH22x", name.encode(), TAP | NO_PACKET_INFO))
    return fd


def plug():
    """Put both ends in their places; returns their files."""
    near, far = tap(NEAR), tap(FAR)
    for words in (f"address delete {GATEWAY}/24 dev {BRIDGE}", f"link set dev {FAR} master {BRIDGE} up", f"address add {GATEWAY}/24 dev {NEAR}", f"link set dev {NEAR} up"):
        subprocess.run(["ip", *words.split()], check=True)
    return near, far


class Line:
    """One direction. at: where a host's address stands in a frame, its destination (0) or its source (6)."""

    def __init__(self, source, target, at, delay, loss, chance):
        self.source, self.target, self.at, self.delay, self.loss, self.chance = source, target, at, delay, loss, chance
        self.special, self.queue = {}, collections.deque()

    def take(self):
        """All that waits at the source, each with the time at which it arrives."""
        while True:
            try:
                frame = os.read(self.source, LARGEST)
            except BlockingIOError:
                return
            loss = self.special.get(frame[self.at:self.at + 6], self.loss)
            if len(self.queue) < MOST and not (loss and self.chance.random() * 100 < loss):
                self.queue.append((time.monotonic() + self.delay, frame))

    def give(self, now):
        """What has arrived by now."""
        while self.queue and self.queue[0][0] <= now:
            try:
                os.write(self.target, self.queue.popleft()[1])
            except OSError:
                pass  # an end that is down takes nothing: the frame is lost


def carry(lines, orders):
    """Until `orders` ends."""
    while True:
        due = [line.queue[0][0] for line in lines if line.queue]
        ready = select.select([orders, *(line.source for line in lines)], [], [], max(0.0, min(due) - time.monotonic()) if due else None)[0]
        if orders in ready:
            said = os.read(orders, 4096).decode()
            if not said:
                return
            for mac, loss in map(str.split, said.splitlines()):
                for line in lines:
                    line.special[bytes.fromhex(mac.replace(":", ""))] = float(loss)
        for line in lines:
            line.take()
            line.give(time.monotonic())


def main(rtt, loss, seed):
    near, far = plug()
    chance = random.Random(seed)
    lines = [Line(near, far, 0, float(rtt) / 2, float(loss), chance), Line(far, near, 6, float(rtt) / 2, float(loss), chance)]
    print("ready", flush=True)
    carry(lines, sys.stdin.fileno())


if __name__ == "__main__":
    main(*sys.argv[1:])
