"""Octets into an ECU by 34, 36, 37: metadata into RAM, an image into the other slot. A lost frame costs a block.

Blocks start at the length the server offers, halve when one is lost and grow again. A long block that is lost is not
sent again: whether it was taken is asked (image) or all begins anew with shorter ones (object). A short block is sent
again with the same counter, which the ECU takes once. Image transfers resume where the status says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from uptane.errors import LinkFailure
from uptane.link.uds_client import Denied, Need, Silent, Unsafe, download, finish_transfer, put_block, read_status
from uptane.link.uds_objects import Place
from uptane.link.uds_values import BLOCK_LENGTH_MAX, BLOCK_OVERHEAD, Nrc
from uptane.machine import Workflow
from uptane.model.ids import EcuId

BLOCK_MIN: Final = 126  # octets: with service and counter 19 frames of classic CAN, 3 of FD
REPEAT_MAX: Final = 8  # of one short block: at 1 % loss per frame one in 700,000 fails
FAILURES_MAX: Final = 12  # begun anew without one block arriving in between; each costs about a second
GROW_AFTER: Final = 16  # blocks in a row without loss before they double

# What a source needs is between it and whoever runs the workflow.
Source: TypeAlias = Callable[[int, int], Workflow[Any, bytes]]
"""Gives `length` octets from `offset` on; asked in ascending order, again after a loss."""


class Blocks:
    """How many octets go into the next block to one ECU; kept over transfers, since a bad line stays bad."""

    def __init__(self) -> None:
        self._limit = BLOCK_LENGTH_MAX - BLOCK_OVERHEAD
        self._size = self._limit
        self._streak = 0
        self.growing = True
        """Whether blocks may grow again; not within an object, which begins anew whenever a long block is lost."""

    @property
    def size(self) -> int:
        """Octets of the next block, service and counter not counted: 1 to 4093."""
        return min(self._size, self._limit)

    @property
    def short(self) -> bool:
        """Whether blocks are so short that a lost one is best sent again."""
        return self.size <= BLOCK_MIN

    def offered(self, block_length_max: int) -> None:
        """The server takes Transfer requests of at most `block_length_max` octets (3 or more)."""
        self._limit = block_length_max - BLOCK_OVERHEAD
        assert self._limit > 0

    def arrived(self) -> None:
        """A block was acknowledged."""
        self._streak += 1
        if self.growing and self._streak >= GROW_AFTER and self._size < self._limit:
            self._size = min(2 * self._size, self._limit)
            self._streak = 0

    def lost(self) -> None:
        """A block was not acknowledged."""
        self._size = max(self.size // 2, min(BLOCK_MIN, self._limit))
        self._streak = 0


def from_octets(octets: bytes) -> Source:
    """A source that has all octets at hand."""

    def source(offset: int, length: int) -> Workflow[Need, bytes]:
        yield from ()
        return octets[offset : offset + length]

    return source


def deliver(ecu: EcuId, place: Place, octets: bytes, blocks: Blocks) -> Workflow[Need, None]:
    """Put `octets` into the ECU's RAM, from the beginning; begun anew after a loss, at most FAILURES_MAX times.

    Raises:
        Silent: too much was lost.
        Denied, Rejected: the ECU refuses.
    """
    blocks.growing = False
    try:
        for _ in range(FAILURES_MAX):
            if (yield from _deliver_once(ecu, place, octets, blocks)):
                yield from finish_transfer(ecu)
                return
    finally:
        blocks.growing = True
    raise Silent(f"{ecu}: {place.object.name} could not be delivered, {FAILURES_MAX} times begun")


def _deliver_once(ecu: EcuId, place: Place, octets: bytes, blocks: Blocks) -> Workflow[Need, bool]:
    """Send all of an object; whether all of it was acknowledged."""
    blocks.offered((yield from download(ecu, place.address, len(octets))))
    try:
        return (yield from _move(ecu, from_octets(octets), (0, len(octets)), blocks)) == len(octets)
    except Denied as refusal:
        if refusal.nrc not in _OUT_OF_STEP:
            raise
        return False


def send_image(ecu: EcuId, size: int, source: Source, blocks: Blocks) -> Workflow[Need, None]:
    """Put an image of `size` octets into the other slot, from where the status says it stands.

    Raises:
        Silent: too much was lost; what arrived stays, and the next call goes on there.
        Unsafe: the vehicle is no longer in a safe state.
        Denied, Rejected: the ECU refuses.
    """
    failures = 0
    offset = (yield from read_status(ecu)).next_offset
    while failures < FAILURES_MAX:
        if offset > size:
            raise LinkFailure(f"{ecu} says it holds {offset} octets of an image of {size}")
        if offset == size:
            return
        blocks.offered((yield from download(ecu, offset, size - offset)))
        try:
            reached = yield from _move(ecu, source, (offset, size), blocks)
        except Denied as refusal:
            if isinstance(refusal, Unsafe) or refusal.nrc not in _OUT_OF_STEP:
                raise
            reached = offset
        if reached == size:
            yield from finish_transfer(ecu)
            return
        failures = 0 if reached > offset else failures + 1
        offset = (yield from read_status(ecu)).next_offset
    raise Silent(f"{ecu}: no block arrived, {FAILURES_MAX} times begun")


def _move(ecu: EcuId, source: Source, span: tuple[int, int], blocks: Blocks) -> Workflow[Need, int]:
    """Send blocks from `span` start to its end; how far they were acknowledged: short of the end after a loss."""
    offset, end = span
    counter = 1
    while offset < end:
        octets = yield from source(offset, min(blocks.size, end - offset))
        if not (yield from _put(ecu, counter, octets, blocks)):
            blocks.lost()
            return offset
        offset += len(octets)
        counter = (counter + 1) & 0xFF
    return offset


def _put(ecu: EcuId, counter: int, octets: bytes, blocks: Blocks) -> Workflow[Need, bool]:
    """Send one block, a short one several times; whether it was acknowledged."""
    for _ in range(REPEAT_MAX if blocks.short else 1):
        if (yield from put_block(ecu, counter, octets)):
            blocks.arrived()
            return True
    return False


# The two ends disagree on where the transfer stands: begin anew where the ECU says.
_OUT_OF_STEP: Final = frozenset({Nrc.SEQUENCE, Nrc.BLOCK_COUNTER, Nrc.SUSPENDED})
