"""The receiving half of ISO-TP for one peer (ISO 15765-2:2016, 9.3, 9.6 and 9.8): one message at a time.

Nothing is allocated from a claimed length: memory grows with the octets that came, and a message longer than
`message_length_max` is refused at its first frame. Consecutive frames are checked and taken in bulk, since a port hands
over all that waited in its buffer at once; whatever is unusual about a run is judged frame by frame.
"""

from __future__ import annotations

from typing import assert_never

from uptane.link.can_frame import CanFrame
from uptane.link.isotp_frame import (
    SEQUENCE_MODULO,
    ConsecutiveFrame,
    FirstFrame,
    FlowStatus,
    SingleFrame,
    flow_control,
    padded,
)
from uptane.link.isotp_values import (
    TIMEOUT_CR_MS,
    Effect,
    Fault,
    IsoTpSettings,
    LinkError,
    MessageReceived,
    SendFrames,
)
from uptane.moments import Instant, after

_RUN_MAX = 256  # frames judged at once: as many as a port hands over at a time
# The first octets of consecutive frames, from any sequence number on, for a whole run.
_HEADS = bytes(0x20 | number % SEQUENCE_MODULO for number in range(SEQUENCE_MODULO + _RUN_MAX))


class Receiver:
    """Receives from one peer; `can_id` is that of the flow control frames sent back."""

    def __init__(self, peer: int, settings: IsoTpSettings, *, can_id: int) -> None:
        self._peer = peer
        self._settings = settings
        self._flow = {status: self._flow_frame(status, can_id) for status in FlowStatus}
        self._deadline: Instant | None = None  # set while a message is being received
        self._octets = bytearray()
        self._length = 0
        self._frame_length = 8
        self._number = 1
        self._block_left = 0

    def deadline(self) -> Instant | None:
        """When to call `tick`."""
        return self._deadline

    def run(self, frames: list[bytes], at: int, now: Instant) -> int:
        """Take the consecutive frames that are as expected, from `at` on; return how many were taken.

        The last frame of a message or block is left to `take`, as is everything that is not as expected (then 0).
        """
        if self._deadline is None:
            return 0
        size = self._frame_length
        full = (self._length - len(self._octets) - 1) // (size - 1)
        count = min(len(frames) - at, self._block_left - 1, full, _RUN_MAX)
        if count < 1:
            return 0
        expected = frames[at : at + count]
        if set(map(len, expected)) != {size}:
            return 0
        blob = bytearray().join(expected)
        if blob[::size] != _HEADS[self._number : self._number + count]:
            return 0
        del blob[::size]  # the frames' first octets
        self._octets += blob
        self._number = (self._number + count) % SEQUENCE_MODULO
        self._block_left -= count
        self._deadline = after(now, TIMEOUT_CR_MS)
        return count

    def take(self, frame: SingleFrame | FirstFrame | ConsecutiveFrame, now: Instant, effects: list[Effect]) -> bool:
        """Take one frame; False when it is to be ignored (9.8.3, Table 23)."""
        if isinstance(frame, ConsecutiveFrame):
            return self._take_consecutive(frame, now, effects)
        if self._deadline is not None:
            self._lose(Fault.UNEXPECTED, effects)
        match frame:
            case SingleFrame(octets=octets):
                effects.append(MessageReceived(self._peer, octets, functional=False))
            case FirstFrame():
                self._begin(frame, now, effects)
            case _:
                assert_never(frame)
        return True

    def tick(self, now: Instant, effects: list[Effect]) -> None:
        """Give up on what did not come in time."""
        if self._deadline is not None and now >= self._deadline:
            self._lose(Fault.TIMEOUT_CR, effects)

    def _begin(self, first: FirstFrame, now: Instant, effects: list[Effect]) -> None:
        if first.length > self._settings.message_length_max:
            effects.append(SendFrames((self._flow[FlowStatus.OVERFLOW],), 0, 0))
            effects.append(LinkError(self._peer, Fault.TOO_LONG))
            return
        self._octets = bytearray(first.octets)
        self._length = first.length
        self._frame_length = first.frame_length
        self._number = 1
        self._continue(now, effects)

    def _take_consecutive(self, frame: ConsecutiveFrame, now: Instant, effects: list[Effect]) -> bool:
        left = self._length - len(self._octets)
        size = len(frame.frame)
        too_short = size <= left if left < self._frame_length else size < self._frame_length
        if self._deadline is None or too_short or size > self._frame_length:
            return False
        if frame.number != self._number:
            self._lose(Fault.WRONG_SEQUENCE, effects)
            return True
        self._octets += frame.frame[1 : 1 + left]
        self._number = (self._number + 1) % SEQUENCE_MODULO
        self._block_left -= 1
        self._deadline = after(now, TIMEOUT_CR_MS)
        if len(self._octets) == self._length:
            effects.append(MessageReceived(self._peer, bytes(self._octets), functional=False))
            self._stop()
        elif self._block_left == 0:
            self._continue(now, effects)
        return True

    def _continue(self, now: Instant, effects: list[Effect]) -> None:
        """Ask for the next block. A block size of 0 asks once for all: more frames than the message has."""
        self._block_left = self._settings.block_size or self._length
        self._deadline = after(now, TIMEOUT_CR_MS)
        effects.append(SendFrames((self._flow[FlowStatus.CONTINUE],), 0, 0))

    def _lose(self, fault: Fault, effects: list[Effect]) -> None:
        effects.append(LinkError(self._peer, fault))
        self._stop()

    def _stop(self) -> None:
        self._deadline = None
        self._octets = bytearray()
        self._length = 0

    def _flow_frame(self, status: FlowStatus, can_id: int) -> CanFrame:
        settings = self._settings
        data = flow_control(status, settings.block_size, settings.separation_us)
        return CanFrame(can_id, padded(data, settings.padding), settings.fd, settings.brs)
