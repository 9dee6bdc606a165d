"""What the simulated bus says of transfers, beside published figures for the same bus.

The published ones were computed from exact stuffing, for the identifiers of diagnosis and one direction. For FD they
switch the rate at the edges of the BRS bit and of the CRC delimiter; it is done at their sample points, which is a
nominal bit less and a data bit more. Frames with 29-bit identifiers were given 35 bits before the switch, which are 36:
there, only the data bit is left. So these are converted (`comparable`) before they are compared. Those with a
separation time are left out: it was counted from start to start of frames, and is from the end of one to the start of
the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final, NamedTuple

from sim.can_bus import CanBus
from sim.clock import NS_PER_MS, NS_PER_S, Clock
from sim.dice import stream
from uptane.link.bus_time import BusSpeed
from uptane.link.can_frame import CanFrame
from uptane.link.isotp import IsoTp
from uptane.link.isotp_values import (
    Effect,
    Event,
    FramesHeard,
    FramesSent,
    IsoTpSettings,
    MessageReceived,
    Send,
    SendFrames,
)

WITHIN: Final = 0.01
# Of whole transfers it is not published how a block's first frame, flow control and answer were counted.
TRANSFERS_WITHIN: Final = 0.02

FRAMES: Final = 2_000  # of random data: their mean is known to 0.05 %
BLOCKS: Final = 12
ASKED_ID: Final = {False: 0x7E0, True: 0x18DA_F110}
ANSWER_ID: Final = {False: 0x7E8, True: 0x18DA_10F1}
_FLOW_CONTROL: Final = 3  # the first four bits of its data


@dataclass(frozen=True, slots=True)
class BusFigure:
    """One figure: simulated, as published, and what that is by our definitions."""

    name: str
    unit: str
    simulated: float
    published: float
    comparable: float
    within: float = WITHIN

    @property
    def off(self) -> float:
        """How far simulated and comparable are apart, as a share."""
        return abs(self.simulated / self.comparable - 1)

    @property
    def met(self) -> bool:
        """Whether they are as close as they should be."""
        return self.off <= self.within


def figures() -> list[BusFigure]:
    """All of them; the same on any machine."""
    return [*classic_frames(), *fd_frames(), *transfers()]


# ------------------------------------------------------------------------------------- frames one after the other


def saturated(frames: Sequence[CanFrame], speed: BusSpeed, *, extended: bool) -> int:
    """How many ns the simulated bus needs for these frames of one node."""
    clock = Clock()
    bus = CanBus("figures", clock, speed, dice=Random(0), say=lambda _verb, _detail: None, extended=extended)
    sender = bus.attach("sender", lambda _: False, lambda _: None)
    bus.attach("receiver", lambda _: True, lambda _: None)
    sender.send(frames)
    while clock.step():
        pass
    assert sender.traffic.frames == len(frames)
    return clock.now_ns


def consecutive(count: int, length: int, *, extended: bool, fill: int | None = None) -> list[CanFrame]:
    """Consecutive frames of ISO-TP with random data, or with one octet over and over."""
    dice, fd = stream(1, "bus figures"), length > 8
    return [
        CanFrame(
            ANSWER_ID[extended],
            bytes([0x20 | number % 16]) + dice.randbytes(length - 1) if fill is None else bytes([fill]) * length,
            fd,
            fd,
        )
        for number in range(count)
    ]


def classic_frames() -> list[BusFigure]:
    """Bits of a frame, with the three after it, and what ISO-TP carries at 500 kbit/s."""
    result = []
    for extended, fill, bits, kb_per_s in (
        (False, None, 116.4, 30.06),
        (False, 0xFF, 125, 28.0),
        (False, 0x00, 126, 27.8),
        (True, None, 134.5, 26.03),
    ):
        frames = consecutive(FRAMES, 8, extended=extended, fill=fill)
        frame_ns = saturated(frames, BusSpeed(500_000), extended=extended) / len(frames)
        name = f"classic, {29 if extended else 11} bits, {'random' if fill is None else f'0x{fill:02X}'}"
        result += [
            BusFigure(name, "bits", frame_ns * 500_000 / NS_PER_S, bits, bits),
            BusFigure(name, "kB/s", 7e6 / frame_ns, kb_per_s, kb_per_s),
        ]
    return result


def fd_frames() -> list[BusFigure]:
    """What ISO-TP carries in frames of 64 octets, 63 of a message in each."""
    result = []
    for extended, nominal, data, kb_per_s in (
        (False, 500_000, 2_000_000, 181.6),
        (False, 500_000, 5_000_000, 355.6),
        (False, 1_000_000, 5_000_000, 434.1),
        (False, 1_000_000, 8_000_000, 613.4),
        (True, 500_000, 2_000_000, 165.4),
        (True, 500_000, 5_000_000, 298.3),
    ):
        frames = consecutive(FRAMES, 64, extended=extended)
        frame_ns = saturated(frames, BusSpeed(nominal, data), extended=extended) / len(frames)
        converted_ns = 63e6 / kb_per_s - _switching_ns(BusSpeed(nominal, data), extended=extended)
        name = f"FD {nominal // 1_000}k/{data // 1_000_000}M, {29 if extended else 11} bits, random"
        result.append(BusFigure(name, "kB/s", 63e6 / frame_ns, kb_per_s, 63e6 / converted_ns))
    return result


def _switching_ns(speed: BusSpeed, *, extended: bool) -> float:
    """What a published FD frame is too long."""
    return (1 - extended) * NS_PER_S / speed.nominal - NS_PER_S / speed.data


# -------------------------------------------------------------------------------- transfers: the shipping transport


class Link(NamedTuple):
    """A transfer as published: blocks of a message each, a turn of `turn_ms` after each.

    With a block size each flow control takes FLOW_MS longer.
    """

    speed: BusSpeed
    fd: bool
    block: int
    block_size: int
    turn_ms: int
    kb_per_s: float


FLOW_MS: Final = 1
LINKS: Final = (
    Link(BusSpeed(500_000), fd=False, block=4_095, block_size=0, turn_ms=2, kb_per_s=29.2),
    Link(BusSpeed(500_000), fd=False, block=4_095, block_size=8, turn_ms=2, kb_per_s=17.7),
    Link(BusSpeed(500_000), fd=False, block=130, block_size=0, turn_ms=10, kb_per_s=8.6),
    Link(BusSpeed(500_000), fd=False, block=4_095, block_size=0, turn_ms=150, kb_per_s=14.2),
    Link(BusSpeed(500_000, 2_000_000), fd=True, block=4_095, block_size=0, turn_ms=2, kb_per_s=162),
    Link(BusSpeed(500_000, 2_000_000), fd=True, block=130, block_size=0, turn_ms=10, kb_per_s=11.4),
    Link(BusSpeed(500_000, 5_000_000), fd=True, block=16_386, block_size=0, turn_ms=2, kb_per_s=338),
)


class Station:
    """One end of a transfer: the shipping ISO-TP, with 11-bit identifiers on the wire."""

    def __init__(self, bus: CanBus, clock: Clock, settings: IsoTpSettings, *, asks: bool) -> None:
        self._own, self.peer = (0, 1) if asks else (1, 0)
        self._sends, hears = (0x7E0, 0x7E8) if asks else (0x7E8, 0x7E0)
        self._from_peer = 0x1CDA_0000 | self._own << 8 | self.peer
        self._clock = clock
        self._flow_ns = FLOW_MS * NS_PER_MS if settings.block_size else 0
        self._machine = IsoTp(self._own, settings)
        self._controller = bus.attach("tester" if asks else "ecu", lambda can_id: can_id == hears, self._hear)
        self.received: Callable[[bytes], None] = lambda _: None

    def send(self, octets: bytes) -> None:
        """Begin a message."""
        self._give(Send(self.peer, octets))

    def _hear(self, frames: Sequence[CanFrame]) -> None:
        self._give(FramesHeard([frame._replace(can_id=self._from_peer) for frame in frames]))

    def _give(self, event: Event) -> None:
        for effect in self._machine.handle(event, self._clock.instant):
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        match effect:
            case SendFrames(frames=frames):
                delay_ns = self._flow_ns if frames[0].data[0] >> 4 == _FLOW_CONTROL else 0
                self._clock.after(delay_ns, partial(self._put, effect))
            case MessageReceived(octets=octets):
                self.received(octets)
            case _:
                pass

    def _put(self, run: SendFrames) -> None:
        frames = [frame._replace(can_id=self._sends) for frame in run.frames]
        sent = partial(self._give, FramesSent(run.ticket)) if run.ticket else None
        self._controller.send(frames, run.separation_us, sent)


def transferred_ns(link: Link) -> int:
    """How long BLOCKS blocks take on the simulated bus, from the first frame to the last answer."""
    clock, dice = Clock(), stream(2, "bus figures")
    bus = CanBus("figures", clock, link.speed, dice=Random(0), say=lambda _verb, _detail: None, extended=False)
    settings = IsoTpSettings(
        data_length=64 if link.fd else 8,
        fd=link.fd,
        brs=link.fd,
        block_size=link.block_size,
        message_length_max=max(4_095, link.block),
    )
    tester = Station(bus, clock, settings, asks=True)
    ecu = Station(bus, clock, settings, asks=False)
    ended: list[int] = []

    def ask(_answer: bytes = b"") -> None:
        ended.append(clock.now_ns)
        if len(ended) <= BLOCKS:
            tester.send(bytes([0x36, len(ended)]) + dice.randbytes(link.block - 2))

    tester.received = ask
    ecu.received = lambda block: clock.after(link.turn_ms * NS_PER_MS, partial(ecu.send, bytes([0x76, block[1]])))
    ask()
    while clock.step():
        pass
    assert len(ended) == BLOCKS + 1
    return ended[-1]


def transfers() -> list[BusFigure]:
    """TransferData of UDS in kB/s; the two octets before a block's data do not count."""
    result = []
    for link in LINKS:
        kb_per_s = BLOCKS * (link.block - 2) * 1e6 / transferred_ns(link)
        kind = f"FD {link.speed.nominal // 1_000}k/{link.speed.data // 1_000_000}M" if link.fd else "classic"
        name = f"{kind}, blocks of {link.block}, BS {link.block_size}, turn {link.turn_ms} ms"
        comparable = link.kb_per_s
        if link.fd:
            octets = link.block - 2
            frames = link.block / 63
            comparable = octets * 1e6 / (octets * 1e6 / comparable - frames * _switching_ns(link.speed, extended=False))
        result.append(BusFigure(name, "kB/s", kb_per_s, link.kb_per_s, comparable, TRANSFERS_WITHIN))
    return result
