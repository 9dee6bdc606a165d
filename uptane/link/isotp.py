"""ISO-TP (ISO 15765-2:2016) for one ECU on one bus: messages of up to 4095 octets and more in CAN or CAN FD frames.

Sans-I/O, both directions at once (full duplex), each peer apart: one message is received and one sent at a time per
peer. A lost message is reported and forgotten; sending it again is the business of UDS above. With normal fixed
addressing only (can_frame.py). The halves are isotp_send.py and isotp_receive.py, the values isotp_values.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from operator import itemgetter
from typing import assert_never

from uptane.link.can_frame import FUNCTIONAL_TARGET, Address, CanFrame, address_of, can_id_of
from uptane.link.isotp_frame import FlowControl, SingleFrame, read_frame
from uptane.link.isotp_receive import Receiver
from uptane.link.isotp_send import Sender
from uptane.link.isotp_values import (
    Effect,
    Event,
    FramesHeard,
    FramesSent,
    IsoTpSettings,
    MessageReceived,
    Send,
    Tick,
)
from uptane.moments import Instant, earliest

_ADDRESSES = 0x100  # peers: as many as there are addresses, each holding at most one message and a short queue
_CAN_ID = itemgetter(0)  # of a CanFrame
_TICKET_STEP = 2 * _ADDRESSES  # a ticket modulo this names its sender: the address, and whether it is a group


class IsoTp:
    """The transport layer of the ECU with address `own` (0 to 255), a Machine[Event, Effect]."""

    def __init__(self, own: int, settings: IsoTpSettings, *, functional_target: int = FUNCTIONAL_TARGET) -> None:
        assert 0 <= own < _ADDRESSES
        self._own = own
        self._settings = settings
        self._functional_target = functional_target
        self._senders: dict[int, Sender] = {}  # by ticket modulo _TICKET_STEP
        self._receivers: dict[int, Receiver] = {}  # by the peer's address
        self.ignored = 0
        """Frames to us that the standard tells us to ignore: malformed, or of a kind not awaited."""

    def handle(self, event: Event, now: Instant) -> Sequence[Effect]:
        """Take one event; the effects are to be carried out in order."""
        effects: list[Effect] = []
        match event:
            case FramesHeard(frames=frames):
                self._hear(frames, now, effects)
            case FramesSent(ticket=ticket):
                sender = self._senders.get(ticket % _TICKET_STEP)
                if sender is not None:
                    sender.sent(ticket, now, effects)
            case Send(peer=peer, octets=octets, functional=functional):
                assert len(octets) <= self._settings.message_length_max
                self._sender(peer, functional=functional).send(octets, now, effects)
            case Tick():
                for half in self._halves():
                    half.tick(now, effects)
            case _:
                assert_never(event)
        return effects

    def deadline(self) -> Instant | None:
        """When the first of the timers of ISO 15765-2:2016 Table 16 runs out."""
        return earliest(*(half.deadline() for half in self._halves()))

    def _halves(self) -> Iterator[Receiver | Sender]:
        return chain(self._receivers.values(), self._senders.values())

    def _hear(self, frames: Sequence[CanFrame], now: Instant, effects: list[Effect]) -> None:
        """Give each stretch of frames with one identifier to its peer, in the order heard."""
        for can_id, stretch in groupby(frames, _CAN_ID):
            address = address_of(can_id)
            if address is None or address.source == self._own:
                continue
            if address.functional and address.target == self._functional_target:
                self._hear_group([frame[1] for frame in stretch], address.source, effects)
            elif not address.functional and address.target == self._own:
                self._hear_peer([frame[1] for frame in stretch], address.source, now, effects)

    def _hear_group(self, frames: list[bytes], peer: int, effects: list[Effect]) -> None:
        """Functional messages are single frames, apart from any message of the same peer to us alone (9.7)."""
        for data in frames:
            frame = read_frame(data)
            if isinstance(frame, SingleFrame):
                effects.append(MessageReceived(peer, frame.octets, functional=True))
            else:
                self.ignored += 1

    def _hear_peer(self, frames: list[bytes], peer: int, now: Instant, effects: list[Effect]) -> None:
        receiver = self._receivers.get(peer)
        if receiver is None:
            can_id = can_id_of(Address(peer, self._own))
            receiver = self._receivers[peer] = Receiver(peer, self._settings, can_id=can_id)
        at, count = 0, len(frames)
        while at < count:
            taken = receiver.run(frames, at, now)
            at += taken
            if taken:
                continue
            frame = read_frame(frames[at])
            at += 1
            if frame is None:
                self.ignored += 1
            elif isinstance(frame, FlowControl):
                sender = self._senders.get(peer)
                if sender is not None:
                    sender.flow(frame, now, effects)
            elif not receiver.take(frame, now, effects):
                self.ignored += 1

    def _sender(self, peer: int, *, functional: bool) -> Sender:
        assert 0 <= peer < _ADDRESSES
        key = peer + _ADDRESSES if functional else peer
        sender = self._senders.get(key)
        if sender is None:
            sender = self._senders[key] = Sender(
                peer,
                self._settings,
                can_id=can_id_of(Address(peer, self._own, functional)),
                functional=functional,
                ticket_base=key,
                ticket_step=_TICKET_STEP,
            )
        return sender
