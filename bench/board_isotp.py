"""How fast ISO-TP is on a board: ours and the kernel's, over one SocketCAN bus between two processes; and ours alone.

A script for the Python of an installed package, which has nothing of this folder:

    board_isotp.py alone                 ours, both ends in one process, no bus
    board_isotp.py ours vcan0            between two processes, on a SocketCAN bus of its own
    board_isotp.py kernel vcan0          the same by the kernel's socket (can-isotp)

Each prints a number: octets of payload a second.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import NoReturn, Protocol

from uptane.link.isotp import IsoTp
from uptane.link.isotp_values import (
    Effect,
    Event,
    FramesHeard,
    FramesSent,
    IsoTpSettings,
    LinkError,
    MessageReceived,
    MessageSent,
    Send,
    SendFrames,
    Tick,
)
from uptane.moments import Instant
from uptane.shell.can_port import CanSettings, open_can_port

MESSAGE = bytes(at * 167 & 0xFF for at in range(4_095))
SETTINGS = IsoTpSettings(block_size=64)
ONE, OTHER = 0xF1, 0x01
MESSAGES = 60
ALONE_S = 5.0
DONE_S = 300.0
BASE, EFF = 0x1CDA_0000, 0x8000_0000
SOL_CAN_ISOTP, OPTS, RECV_FC = 106, 1, 2  # linux/can/isotp.h
WAIT_TX_DONE, NO_GAP = 0x400, 0xFFFF_FFFF


class End(Protocol):
    """One end of the line."""

    def send(self) -> None:
        """Send a MESSAGE; over when it has gone."""
        ...

    def receive(self) -> None:
        """Wait for one."""
        ...


class Ours:
    """Our port and machine, and the loop that a shell would have."""

    def __init__(self, channel: str, own: int) -> None:
        self._port = open_can_port(CanSettings("socketcan", channel, paced=False), own)
        descriptor = self._port.fileno()
        assert descriptor is not None
        self._descriptor = descriptor
        self._machine = IsoTp(own, SETTINGS)
        self._sent = self._received = 0

    def send(self) -> None:
        """Send a MESSAGE; over when it has gone."""
        self._handle(Send(OTHER, MESSAGE))
        before = self._sent
        while self._sent == before:
            self._turn()

    def receive(self) -> None:
        """Wait for one."""
        before = self._received
        while self._received == before:
            self._turn()

    def _turn(self) -> None:
        wake_ns, due = self._port.wake_ns(), self._machine.deadline()
        wait_s = 0.1 if wake_ns is None else min(0.1, max(0.0, (wake_ns - time.monotonic_ns()) / 1e9))
        select.select([self._descriptor], [], [], wait_s)
        tickets, frames = self._port.exchange()
        events: list[Event] = [FramesSent(ticket) for ticket in tickets]
        if frames:
            events.append(FramesHeard(frames))
        if due is not None and time.monotonic_ns() // 1_000_000 >= due:
            events.append(Tick())
        for event in events:
            self._handle(event)

    def _handle(self, event: Event) -> None:
        for effect in list(self._machine.handle(event, Instant(time.monotonic_ns() // 1_000_000))):
            match effect:
                case SendFrames():
                    self._port.send(effect)
                case MessageReceived(octets=octets):
                    self._received += octets == MESSAGE
                case MessageSent():
                    self._sent += 1
                case LinkError(fault=fault):
                    sys.exit(f"ours: {fault.value}")


class Kernels:
    """The same by can-isotp, as quick as it can be made: no gap, and `send` waits until all has been sent."""

    def __init__(self, channel: str, own: int) -> None:
        peer = ONE + OTHER - own
        self._line = socket.socket(socket.AF_CAN, socket.SOCK_DGRAM, socket.CAN_ISOTP)
        self._line.setsockopt(SOL_CAN_ISOTP, OPTS, struct.pack("=IIBBBB", WAIT_TX_DONE, NO_GAP, 0, 0xCC, 0xCC, 0))
        self._line.setsockopt(SOL_CAN_ISOTP, RECV_FC, bytes([SETTINGS.block_size, 0, 0]))
        self._line.bind((channel, EFF | BASE | own << 8 | peer, EFF | BASE | peer << 8 | own))

    def send(self) -> None:
        """Send a MESSAGE; over when it has gone."""
        self._line.send(MESSAGE)

    def receive(self) -> None:
        """Wait for one."""
        assert self._line.recv(8_192) == MESSAGE


def alone() -> float:
    """Two machines, the frames of each handed to the other as they come."""
    one, other, now = IsoTp(ONE, SETTINGS), IsoTp(OTHER, SETTINGS), Instant(0)
    count, began = 0, time.process_time()
    while (took := time.process_time() - began) < ALONE_S:
        todo: deque[tuple[IsoTp, IsoTp, Effect]] = deque(
            (one, other, it) for it in one.handle(Send(OTHER, MESSAGE), now)
        )
        while todo:
            here, there, effect = todo.popleft()
            if isinstance(effect, SendFrames):
                todo.extend((there, here, it) for it in there.handle(FramesHeard(effect.frames), now))
                if effect.ticket:
                    todo.extend((here, there, it) for it in here.handle(FramesSent(effect.ticket), now))
            elif isinstance(effect, MessageReceived):
                assert effect.octets == MESSAGE
                count += 1
    return count * len(MESSAGE) / took


def between(opened: Callable[[str, int], End], channel: str) -> float:
    """Octets a second from this process to a child."""
    sender, receiver = opened(channel, ONE), opened(channel, OTHER)
    done_in, done_out = os.pipe()
    if (child := os.fork()) == 0:
        _receive(receiver, done_out)
    os.close(done_out)
    try:
        began = time.perf_counter()
        for _ in range(MESSAGES):
            sender.send()
        readable, _, _ = select.select([done_in], [], [], DONE_S)
        if not readable or os.read(done_in, 4) != b"done":
            sys.exit("the receiving process has not got them all")
        return MESSAGES * len(MESSAGE) / (time.perf_counter() - began)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _receive(receiver: End, done: int) -> NoReturn:
    """A child's whole life."""
    status = 1
    try:
        for _ in range(MESSAGES):
            receiver.receive()
        status = os.write(done, b"done") - 4
    finally:
        os._exit(status)


def main() -> None:
    """Do what was asked for and print it."""
    match sys.argv[1:]:
        case ["alone"]:
            found = alone()
        case ["ours", channel]:
            found = between(Ours, channel)
        case ["kernel", channel]:
            found = between(Kernels, channel)
        case _:
            sys.exit(__doc__)
    sys.stdout.write(f"{found}\n")


if __name__ == "__main__":
    main()
