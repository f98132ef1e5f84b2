#!/usr/bin/env python3
"""Runs a command whose way to a service has a delay and loses packets: two network namespaces and a link between their TUN devices.

    link.py DELAY_MS LOSS COMMAND...    DELAY_MS is that of one way, LOSS a share; wants root and /dev/net/tun

The kernel's own TCP sends again what is lost, as over a real network (`tc ... netem` does the same, where the kernel has it). The
service, at http://10.99.0.2:8080, has four places and takes 50 ms for each request; what finds no place waits its turn.
"""

import asyncio
import ctypes
import fcntl
import os
import random
import struct
import subprocess
import sys
import threading
import time
from collections import deque

NEW_NETWORK = 0x40000000
TUNSETIFF = 0x400454CA
TUN, NO_HEADER = 0x0001, 0x1000
NEAR, FAR, PORT = "10.99.0.1", "10.99.0.2", 8080
PLACES, WORK_S = 4, 0.05


def ip(*args):
    subprocess.run(["ip", *args], check=True)


def namespace(address):
    """A new network for this process; the descriptor of its link."""
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "no new network namespace")
    link = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(link, TUNSETIFF, struct.pack("16sH22x", b"way0", TUN | NO_HEADER))
    ip("link", "set", "lo", "up")
    ip("address", "add", f"{address}/30", "dev", "way0")
    ip("link", "set", "way0", "up")
    return link


def carry(source, sink, delay_s, loss, seed):
    """Carries packets one way, in their order."""
    waiting, more = deque(), threading.Condition()
    draw = random.Random(seed)

    def take():
        while True:
            packet = os.read(source, 65536)
            if draw.random() < loss:
                continue
            with more:
                waiting.append((time.monotonic() + delay_s, packet))
                more.notify()

    def give():
        while True:
            with more:
                while not waiting:
                    more.wait()
                due, packet = waiting.popleft()
            time.sleep(max(0.0, due - time.monotonic()))
            os.write(sink, packet)

    for work in (take, give):
        threading.Thread(target=work, daemon=True).start()


async def serve(ready):
    places = asyncio.Semaphore(PLACES)

    async def one(reader, writer):
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                async with places:
                    await asyncio.sleep(WORK_S)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(one, FAR, PORT, backlog=1000)
    os.write(ready, b"!")
    await server.serve_forever()


def main():
    delay_s, loss, command = float(sys.argv[1]) / 1000, float(sys.argv[2]), sys.argv[3:]
    near = namespace(NEAR)
    go, told = os.pipe()
    client = os.fork()
    if client == 0:
        os.read(go, 1)
        os.execvp(command[0], command)
    far = namespace(FAR)
    server = os.fork()
    if server == 0:
        asyncio.run(serve(told))
    carry(near, far, delay_s, loss, 1)
    carry(far, near, delay_s, loss, 2)
    _, status = os.waitpid(client, 0)
    os.kill(server, 9)
    sys.exit(os.waitstatus_to_exitcode(status))


main()
