"""What bringing an object into an ECU costs a classic CAN bus of 500 kbit/s: every frame, to the bit.

The requests and answers are uptane.link.uds', the frames uptane.link.isotp's with its default settings, both ends
played here; flow control, padding, stuff bits and the space between frames are counted. Nothing waits: this is the
bus, not the ECU.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from uptane.link.bus_time import BusSpeed, frame_ns
from uptane.link.isotp import IsoTp
from uptane.link.isotp_values import Effect, FramesHeard, FramesSent, IsoTpSettings, MessageReceived, Send, SendFrames
from uptane.link.uds import ROUTINE_DATA, download_data, encode_request, positive
from uptane.link.uds_objects import CheckOption, Place
from uptane.link.uds_values import (
    BLOCK_LENGTH_MAX,
    BLOCK_OVERHEAD,
    Download,
    Read,
    Request,
    Routine,
    StartRoutine,
    Transfer,
    TransferExit,
)
from uptane.moments import Instant

PRIMARY, SECONDARY = 0xF0, 0x21
SPEED = BusSpeed(nominal=500_000)
SETTINGS = IsoTpSettings()
NOW = Instant(0)
MILLISECOND_NS = 1e6


class Carried(NamedTuple):
    """Frames of both directions, and the milliseconds they occupy the bus."""

    frames: int
    bus_ms: float


class End(NamedTuple):
    """One end of the line."""

    machine: IsoTp
    address: int


def delivery(octets: bytes, place: Place, check: CheckOption | None) -> Carried:
    """Download an object in blocks as long as they may be, and have it checked if `check` says as what."""
    return _talk([*_download(octets, place), *([] if check is None else [_checking(check)])])


def checking(check: CheckOption) -> Carried:
    """Have something checked that was delivered before."""
    return _talk([_checking(check)])


def reading(did: int, octets: bytes) -> Carried:
    """Read what a data identifier holds."""
    return _talk([(Read(did), octets)])


def total(*parts: Carried) -> Carried:
    """Several one after the other."""
    return Carried(sum(part.frames for part in parts), sum(part.bus_ms for part in parts))


def _checking(check: CheckOption) -> tuple[Request, bytes]:
    return (StartRoutine(Routine.CHECK, bytes((check,))), ROUTINE_DATA)


def _download(octets: bytes, place: Place) -> Iterator[tuple[Request, bytes]]:
    """Requests and what the answers carry beside their echo."""
    yield Download(place.address, len(octets)), download_data(BLOCK_LENGTH_MAX)
    size = BLOCK_LENGTH_MAX - BLOCK_OVERHEAD
    for number, start in enumerate(range(0, len(octets), size), start=1):
        yield Transfer(number & 0xFF, octets[start : start + size]), b""
    yield TransferExit(), b""


def _talk(exchanges: list[tuple[Request, bytes]]) -> Carried:
    """Requests and their positive answers over a line with no one else on it."""
    primary, secondary = End(IsoTp(PRIMARY, SETTINGS), PRIMARY), End(IsoTp(SECONDARY, SETTINGS), SECONDARY)
    costs = []
    for request, data in exchanges:
        costs.append(_carry(primary, secondary, encode_request(request)))
        costs.append(_carry(secondary, primary, positive(request, data)))
    return total(*costs)


def _carry(here: End, there: End, octets: bytes) -> Carried:
    """One message from `here` to `there`, with the flow control that comes back."""
    frames, nanoseconds, arrived = 0, 0, b""
    todo: deque[tuple[End, End, Effect]] = deque(
        (here, there, effect) for effect in here.machine.handle(Send(there.address, octets), NOW)
    )
    while todo:
        one, other, effect = todo.popleft()
        if isinstance(effect, SendFrames):
            frames += len(effect.frames)
            nanoseconds += sum(frame_ns(frame, SPEED) for frame in effect.frames)
            todo.extend((other, one, it) for it in other.machine.handle(FramesHeard(effect.frames), NOW))
            if effect.ticket:
                todo.extend((one, other, it) for it in one.machine.handle(FramesSent(effect.ticket), NOW))
        elif isinstance(effect, MessageReceived):
            arrived = effect.octets
    assert arrived == octets
    return Carried(frames, nanoseconds / MILLISECOND_NS)
