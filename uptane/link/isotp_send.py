"""The sending half of ISO-TP for one peer (ISO 15765-2:2016, 9.3, 9.6.5 and 9.8): one message at a time, in order.

Frames go out in runs of up to RUN_FRAMES_MAX, each confirmed by FramesSent before the next: so a slow bus holds back
its senders, and the wait for flow control begins when the frames have left, not when they were made.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from itertools import cycle, islice
from typing import assert_never

from uptane.link.can_frame import CanFrame
from uptane.link.isotp_frame import (
    SEQUENCE_MODULO,
    FlowControl,
    FlowStatus,
    first_frame,
    padded,
    single_frame,
    single_length_max,
)
from uptane.link.isotp_values import (
    QUEUE_MESSAGES_MAX,
    RUN_FRAMES_MAX,
    TIMEOUT_A_MS,
    TIMEOUT_BS_MS,
    Effect,
    Fault,
    IsoTpSettings,
    LinkError,
    MessageSent,
    SendFrames,
)
from uptane.moments import Instant, after

# The first octets of consecutive frames, from any sequence number on, for a whole run.
_HEADS = tuple(islice(cycle([bytes([0x20 | number]) for number in range(SEQUENCE_MODULO)]), 16 + RUN_FRAMES_MAX))


class _State(Enum):
    IDLE = auto()
    HANDED = auto()  # a run is with the port; its FramesSent is awaited
    WAITING = auto()  # a block is over; flow control is awaited


class Sender:
    """Sends to one peer. `peer` and `functional` name it in effects; `can_id` is that of its frames.

    Tickets are `ticket_base` plus multiples of `ticket_step`, so that several senders can share a port.
    """

    def __init__(
        self, peer: int, settings: IsoTpSettings, *, can_id: int, functional: bool, ticket_base: int, ticket_step: int
    ) -> None:
        self._peer = peer
        self._settings = settings
        self._can_id = can_id
        self._functional = functional
        self._ticket = ticket_base
        self._ticket_step = ticket_step
        self._queue: deque[bytes] = deque()
        self._state = _State.IDLE
        self._message = b""
        self._position = 0  # octets of the message made into frames
        self._number = 1  # sequence number of the next consecutive frame
        self._block_left = 0  # frames the peer takes before its next flow control; None of its business when 0
        self._separation_us = 0
        self._waits = 0
        self._early: FlowControl | None = None  # came before the port told us that our frames had left
        self._deadline: Instant | None = None

    def deadline(self) -> Instant | None:
        """When to call `tick`."""
        return self._deadline

    def send(self, octets: bytes, now: Instant, effects: list[Effect]) -> None:
        """Send `octets` (1 to 2**32 - 1), now or after what is queued."""
        assert octets
        assert not self._functional or len(octets) <= single_length_max(self._settings.data_length)
        if self._state is _State.IDLE:
            self._start(octets, now, effects)
        elif len(self._queue) < QUEUE_MESSAGES_MAX:
            self._queue.append(octets)
        else:
            effects.append(LinkError(self._peer, Fault.QUEUE_FULL))

    def sent(self, ticket: int, now: Instant, effects: list[Effect]) -> None:
        """The port says that the run with this ticket has left; late tickets of lost messages are passed over."""
        if self._state is not _State.HANDED or ticket != self._ticket:
            return
        if self._position == len(self._message):
            effects.append(MessageSent(self._peer, self._functional))
            self._next(now, effects)
        elif self._block_left:
            self._hand_run(now, effects)
        else:
            self._state = _State.WAITING
            self._deadline = after(now, TIMEOUT_BS_MS)
            if self._early is not None:
                self.flow(self._early, now, effects)

    def flow(self, flow: FlowControl, now: Instant, effects: list[Effect]) -> None:
        """A flow control frame of the peer; ignored when none is awaited (9.8.3, Table 23)."""
        if self._state is _State.HANDED and not self._block_left and self._position < len(self._message):
            self._early = flow
        if self._state is not _State.WAITING:
            return
        self._early = None
        if flow.status == FlowStatus.CONTINUE:
            self._waits = 0
            self._separation_us = flow.separation_us
            # A block size of 0 asks for no further flow control: more frames than any message has.
            self._block_left = flow.block_size or len(self._message)
            self._hand_run(now, effects)
        elif flow.status == FlowStatus.WAIT:
            self._waits += 1
            self._deadline = after(now, TIMEOUT_BS_MS)
            if self._waits > self._settings.wait_frames_max:
                self._lose(Fault.WAITED_TOO_OFTEN, now, effects)
        elif flow.status == FlowStatus.OVERFLOW:
            self._lose(Fault.PEER_OVERFLOW, now, effects)
        else:
            self._lose(Fault.INVALID_FLOW, now, effects)

    def tick(self, now: Instant, effects: list[Effect]) -> None:
        """Give up on what did not come in time."""
        if self._deadline is None or now < self._deadline:
            return
        match self._state:
            case _State.HANDED:
                self._lose(Fault.TIMEOUT_A, now, effects)
            case _State.WAITING:
                self._lose(Fault.TIMEOUT_BS, now, effects)
            case _State.IDLE:
                raise AssertionError("an idle sender waits for nothing")
            case _:
                assert_never(self._state)

    def _start(self, octets: bytes, now: Instant, effects: list[Effect]) -> None:
        settings = self._settings
        self._message = octets
        self._block_left = 0
        self._separation_us = 0
        self._waits = 0
        self._number = 1
        if len(octets) <= single_length_max(settings.data_length):
            self._position = len(octets)
            data = padded(single_frame(octets), settings.padding)
        else:
            data = first_frame(octets, settings.data_length)
            self._position = settings.data_length - (2 if len(octets) <= 0xFFF else 6)
        self._hand([CanFrame(self._can_id, data, settings.fd, settings.brs)], now, effects)

    def _hand_run(self, now: Instant, effects: list[Effect]) -> None:
        """Make the next consecutive frames: as many as the block, the message and a run allow."""
        settings, message, can_id = self._settings, self._message, self._can_id
        step = settings.data_length - 1
        start = self._position
        left = -(-(len(message) - start) // step)
        count = min(left, self._block_left, RUN_FRAMES_MAX)
        end = min(start + count * step, len(message))
        fd, brs, new = settings.fd, settings.brs, tuple.__new__
        # tuple.__new__ skips the argument handling of a NamedTuple: a third of the time of a transfer is spent here.
        frames = [
            new(CanFrame, (can_id, head + message[at : at + step], fd, brs))
            for head, at in zip(_HEADS[self._number : self._number + count], range(start, end, step), strict=True)
        ]
        if end == len(message):
            frames[-1] = CanFrame(can_id, padded(frames[-1].data, settings.padding), fd, brs)
        self._position = end
        self._number = (self._number + count) % SEQUENCE_MODULO
        self._block_left -= count
        self._hand(frames, now, effects)

    def _hand(self, frames: list[CanFrame], now: Instant, effects: list[Effect]) -> None:
        self._ticket += self._ticket_step
        self._state = _State.HANDED
        self._early = None
        separations_ms = -(-self._separation_us * len(frames) // 1_000)
        self._deadline = after(now, TIMEOUT_A_MS + separations_ms)
        effects.append(SendFrames(frames, self._ticket, self._separation_us))

    def _lose(self, fault: Fault, now: Instant, effects: list[Effect]) -> None:
        effects.append(LinkError(self._peer, fault))
        self._next(now, effects)

    def _next(self, now: Instant, effects: list[Effect]) -> None:
        self._state = _State.IDLE
        self._message = b""
        self._position = 0
        self._early = None
        self._deadline = None
        if self._queue:
            self._start(self._queue.popleft(), now, effects)
