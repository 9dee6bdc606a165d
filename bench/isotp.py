"""ISO-TP: ours beside stock can-isotp, in one process and between two, and how much of a real bus a transfer fills.

The same messages (4095 octets, the longest without escape), block size and multicast on both sides. can-isotp is driven
the faster of its two ways: processed by its caller, without its threads. Each figure is the best of some runs, since
whatever else the machine does can only slow one down.
"""

from __future__ import annotations

import multiprocessing
import random
import select
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import isotp
from can.interfaces.udp_multicast import UdpMulticastBus

from uptane.link.bus_time import BusSpeed
from uptane.link.isotp import IsoTp
from uptane.link.isotp_values import (
    Effect,
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
from uptane.shell.can_port import CanPort, CanSettings, open_can_port

MESSAGE = bytes(at * 167 & 0xFF for at in range(4_095))  # no long runs of equal bits, no pattern that is never stuffed
BLOCK_SIZE = 64
ONE, OTHER = 0xF1, 0x01
RUNS = 3
IN_PROCESS_S = 0.5  # of each run
BETWEEN_MESSAGES = {False: 60, True: 300}  # classic, FD: about two seconds of can-isotp
BUS_MESSAGES = {False: 25, True: 120}  # about four seconds of a bus

FASTER_IN_PROCESS = 8.0
FASTER_BETWEEN = 2.0
BUS_SHARE = 95.0

SETTINGS = {
    False: IsoTpSettings(block_size=BLOCK_SIZE),
    True: IsoTpSettings(data_length=64, fd=True, brs=True, block_size=BLOCK_SIZE),
}
KINDS = {False: "classic", True: "CAN FD"}


class Failed(Exception):
    """A transfer that should have gone through did not."""


# ------------------------------------------------------------------------------------------------- in one process


def rate_of(send: Callable[[], None]) -> float:
    """Octets a second of calling `send`, which carries one MESSAGE from one end to the other."""
    send()
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < IN_PROCESS_S:
        send()
        count += 1
    return count * len(MESSAGE) / elapsed


def our_rate(*, fd: bool) -> float:
    """Two machines, the frames of each handed to the other as they come."""
    one, other = IsoTp(ONE, SETTINGS[fd]), IsoTp(OTHER, SETTINGS[fd])
    now = Instant(0)

    def send() -> None:
        received = None
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
                received = effect.octets
        if received != MESSAGE:
            raise Failed("ours, in process")

    return rate_of(send)


def peer_address(own: int, other: int) -> isotp.Address:
    """Our identifiers in can-isotp's terms."""
    return isotp.Address(
        isotp.AddressingMode.NormalFixed_29bits, target_address=other, source_address=own, physical_id=0x1CDA0000
    )


def peer_params(*, fd: bool) -> dict[str, Any]:
    """Our settings in can-isotp's terms."""
    params: dict[str, Any] = {"blocksize": BLOCK_SIZE, "stmin": 0, "tx_padding": 0xAA}
    return params | ({"can_fd": True, "tx_data_length": 64, "bitrate_switch": True} if fd else {})


def peer_rate(*, fd: bool) -> float:
    """can-isotp's TransportLayerLogic on both ends of two queues."""
    there: deque[isotp.CanMessage] = deque()
    back: deque[isotp.CanMessage] = deque()

    def end(
        own: int, other: int, inbox: deque[isotp.CanMessage], outbox: deque[isotp.CanMessage]
    ) -> isotp.TransportLayerLogic:
        return isotp.TransportLayerLogic(
            rxfn=lambda _timeout: inbox.popleft() if inbox else None,
            txfn=outbox.append,
            address=peer_address(own, other),
            params=peer_params(fd=fd),
        )

    one, other = end(ONE, OTHER, back, there), end(OTHER, ONE, there, back)

    def send() -> None:
        one.send(MESSAGE)
        while not other.available():
            one.process()
            other.process()
        if bytes(other.recv() or b"") != MESSAGE:
            raise Failed("can-isotp, in process")

    return rate_of(send)


# --------------------------------------------------------------------------------------------- between two processes


class Group(NamedTuple):
    """A bus of its own: nothing tells whether a multicast group is in use."""

    address: str
    port: int

    @classmethod
    def any(cls) -> Group:
        """One that nobody else is likely to have."""
        dice = random.SystemRandom()
        return cls(
            f"239.{dice.randint(1, 254)}.{dice.randint(0, 255)}.{dice.randint(1, 254)}", dice.randint(20000, 30000)
        )


class Node:
    """Our port and machine, and the loop that a shell would have."""

    def __init__(self, port: CanPort, own: int, *, fd: bool) -> None:
        self.port = port
        descriptor = port.fileno()
        assert descriptor is not None
        self._descriptor = descriptor
        self._machine = IsoTp(own, SETTINGS[fd])
        self.received = 0
        self.sent = 0

    def send(self, peer: int) -> None:
        """Begin to send a MESSAGE."""
        self._carry_out(list(self._machine.handle(Send(peer, MESSAGE), self._now())))

    def turn(self) -> None:
        """Wait for what comes next, and do it."""
        wake_ns = self.port.wake_ns()
        wait_s = 0.1 if wake_ns is None else min(0.1, max(0.0, (wake_ns - time.monotonic_ns()) / 1e9))
        select.select([self._descriptor], [], [], wait_s)
        tickets, frames = self.port.exchange()
        now = self._now()
        for ticket in tickets:
            self._carry_out(list(self._machine.handle(FramesSent(ticket), now)))
        if frames:
            self._carry_out(list(self._machine.handle(FramesHeard(frames), now)))
        deadline = self._machine.deadline()
        if deadline is not None and now >= deadline:
            self._carry_out(list(self._machine.handle(Tick(), now)))

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendFrames():
                    self.port.send(effect)
                case MessageReceived(octets=octets):
                    self.received += octets == MESSAGE
                case MessageSent():
                    self.sent += 1
                case LinkError(fault=fault):
                    raise Failed(f"ours, between processes: {fault.value}")

    @staticmethod
    def _now() -> Instant:
        return Instant(time.monotonic_ns() // 1_000_000)


class Transfer(NamedTuple):
    """What is to be sent how: so many messages over a bus of its own."""

    group: Group
    messages: int
    fd: bool
    paced: bool


def our_node(what: Transfer, own: int) -> Node:
    """Ours on the bus of a transfer."""
    options = {"port": what.group.port}
    settings = CanSettings("udp_multicast", what.group.address, fd=what.fd, paced=what.paced, options=options)
    return Node(open_can_port(settings, own), own, fd=what.fd)


def our_receiver(link: Connection, what: Transfer) -> None:
    """A process that receives it."""
    node = our_node(what, OTHER)
    link.send("ready")
    while node.received < what.messages:
        node.turn()
    link.send("done")


def peer_bus(what: Transfer) -> UdpMulticastBus:
    """The bus by stock python-can."""
    return UdpMulticastBus(what.group.address, port=what.group.port, hop_limit=0, fd=what.fd)


def peer_receiver(link: Connection, what: Transfer) -> None:
    """The same by can-isotp."""
    with peer_bus(what) as bus:
        stack = isotp.CanStack(bus, address=peer_address(OTHER, ONE), params=peer_params(fd=what.fd))
        link.send("ready")
        received = 0
        while received < what.messages:
            stack.process(rx_timeout=0.1)
            while (message := stack.recv()) is not None:
                received += message == MESSAGE
        link.send("done")


class Sending(NamedTuple):
    """What a transfer took: seconds of wall time, and of bus time in its data frames (0 where nobody counts)."""

    wall_s: float
    bus_s: float = 0.0


def send_ours(link: Connection, what: Transfer) -> Sending:
    """Send it, until the receiver says that it has it all."""
    node = our_node(what, ONE)
    start = time.perf_counter()
    for at in range(what.messages):
        node.send(OTHER)
        while node.sent <= at:
            node.turn()
    while not link.poll(0.001):
        node.turn()
    elapsed = time.perf_counter() - start
    node.port.close()
    return Sending(elapsed, node.port.sent.bus_ns / 1e9)


def send_peers(link: Connection, what: Transfer) -> Sending:
    """The same by can-isotp."""
    errors: list[Exception] = []
    with peer_bus(what) as bus:
        stack = isotp.CanStack(
            bus, address=peer_address(ONE, OTHER), params=peer_params(fd=what.fd), error_handler=errors.append
        )
        start = time.perf_counter()
        for _ in range(what.messages):
            stack.send(MESSAGE)
            while stack.transmitting():
                stack.process(rx_timeout=0.1)
            if errors:
                raise Failed(f"can-isotp, between processes: {errors[0]}")
        while not link.poll(0.001):
            stack.process(rx_timeout=0.0)
        return Sending(time.perf_counter() - start)


def between(*, ours: bool, fd: bool, paced: bool, count: int) -> Sending:
    """One transfer to a process of its own."""
    context = multiprocessing.get_context("spawn")
    link, far = context.Pipe()
    what = Transfer(Group.any(), count, fd, paced)
    receiver = context.Process(target=our_receiver if ours else peer_receiver, args=(far, what), daemon=True)
    receiver.start()
    try:
        if not link.poll(30.0):
            raise Failed("the receiving process does not start")
        link.recv()
        return send_ours(link, what) if ours else send_peers(link, what)
    finally:
        receiver.terminate()
        receiver.join()


# ----------------------------------------------------------------------------------------------------------- rows


def row(name: str, unit: str, ours: float, peer: float | None, *, aim: float) -> dict[str, object]:
    """One line of the table; `aim` is the ratio to the peer, or, where there is none, the figure itself."""
    ratio = None if peer is None else round(ours / peer, 2)
    return {
        "name": name,
        "unit": unit,
        "ours": round(ours, 2),
        "peer": None if peer is None else round(peer, 2),
        "peer_name": None if peer is None else "can-isotp",
        "ratio": ratio,
        "aim": f"at least {aim:g} {'%' if peer is None else 'x'}",
        "met": (ours if ratio is None else ratio) >= aim,
    }


def best(ours: Callable[[], float], peers: Callable[[], float]) -> tuple[float, float]:
    """The highest of some runs of each, taken in turns, so that a busy moment of the machine meets both."""
    runs = [(ours(), peers()) for _ in range(RUNS)]
    return max(mine for mine, _ in runs), max(theirs for _, theirs in runs)


def between_rate(*, ours: bool, fd: bool) -> float:
    """Octets a second between two processes, nothing pacing them."""
    count = BETWEEN_MESSAGES[fd]
    return count * len(MESSAGE) / between(ours=ours, fd=fd, paced=False, count=count).wall_s


def bus_share(*, fd: bool) -> float:
    """Percent of the wall time of a paced transfer that its data frames take at the bit rate."""
    taken = between(ours=True, fd=fd, paced=True, count=BUS_MESSAGES[fd])
    return 100 * taken.bus_s / taken.wall_s


def rows() -> list[dict[str, object]]:
    """All figures of this module, measured now; takes about a minute."""
    table = []
    for fd, kind in KINDS.items():
        ours, peer = best(partial(our_rate, fd=fd), partial(peer_rate, fd=fd))
        table.append(
            row(f"ISO-TP payload in one process, {kind}", "MB/s", ours / 1e6, peer / 1e6, aim=FASTER_IN_PROCESS)
        )
    for fd, kind in KINDS.items():
        ours, peer = best(partial(between_rate, ours=True, fd=fd), partial(between_rate, ours=False, fd=fd))
        table.append(
            row(f"ISO-TP payload between two processes, {kind}", "kB/s", ours / 1e3, peer / 1e3, aim=FASTER_BETWEEN)
        )
    speed = BusSpeed()
    buses = {
        False: f"classic bus of {speed.nominal // 1000} kbit/s",
        True: f"CAN FD bus of {speed.nominal // 1000} kbit/s and {speed.data // 1_000_000} Mbit/s",
    }
    for fd, bus in buses.items():
        share = max(bus_share(fd=fd) for _ in range(RUNS - 1))
        table.append(row(f"share of a {bus} that data frames fill", "%", share, None, aim=BUS_SHARE))
    return table


if __name__ == "__main__":
    for line in rows():
        print(line)
