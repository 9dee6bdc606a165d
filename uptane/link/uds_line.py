"""A client's end of one bus: requests in, answers out, ISO-TP in between; a Machine.

Per ECU one exchange is under way at most. The time an answer may take begins when the request has left the bus. A
session that an ECU was asked into is kept by tester-present messages while its owner is busy elsewhere, but not for
ever: an owner that forgot it loses it to S3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias, assert_never

from uptane.link.isotp import IsoTp
from uptane.link.isotp_values import (
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
from uptane.link.uds import encode_request
from uptane.link.uds_values import POSITIVE_OFFSET, PRIMARY_ADDRESS, S3_MS, Present, Service, Session
from uptane.moments import Instant, after, earliest

KEEP_EVERY_MS: Final = 2_000  # between messages of a session: two may be lost before S3
KEEP_MAX_MS: Final = (
    30_000  # without a request of its owner; the longest work between two is a call to the time service
)
assert 2 * KEEP_EVERY_MS < S3_MS

_KEEP: Final = encode_request(Present(quiet=True))


class Request(NamedTuple):
    """Send `octets` to the ECU with `address`; answer within `answer_ms` of its last frame. None: only listen on."""

    ticket: int
    address: int
    octets: bytes | None
    answer_ms: int


class Answered(NamedTuple):
    """What the request with this ticket got; None for nothing."""

    ticket: int
    octets: bytes | None


Event: TypeAlias = Request | FramesHeard | FramesSent | Tick
Effect: TypeAlias = SendFrames | Answered


@dataclass(slots=True)
class _Peer:
    """One ECU: the exchange under way, if any, and the session it was asked into."""

    ticket: int | None = None
    answer_ms: int = 0
    request: bytes = b""
    give_up: Instant | None = None  # set when the request has left
    early: bytes | None = None  # a message that came while nobody listened: the answer right behind a "pending"
    keep_at: Instant | None = None  # the next tester present; None in the default session
    keep_until: Instant | None = None


class UdsLine:
    """The exchanges of the client with address `own` on one bus, a Machine[Event, Effect]."""

    def __init__(self, settings: IsoTpSettings, own: int = PRIMARY_ADDRESS) -> None:
        self._isotp = IsoTp(own, settings)
        self._peers: dict[int, _Peer] = {}

    def handle(self, event: Event, now: Instant) -> Sequence[Effect]:
        """Take one event; the effects are to be carried out in order."""
        effects: list[Effect] = []
        match event:
            case Request():
                self._request(event, now, effects)
            case FramesHeard() | FramesSent():
                self._pass(event, now, effects)
            case Tick():
                self._pass(event, now, effects)
                for address, peer in self._peers.items():
                    self._expire(address, peer, now, effects)
            case _:
                assert_never(event)
        return effects

    def deadline(self) -> Instant | None:
        """When an answer is overdue, a session is to be kept, or ISO-TP wants to be woken."""
        own = (at for peer in self._peers.values() for at in (peer.give_up, peer.keep_at))
        return earliest(self._isotp.deadline(), *own)

    def _request(self, event: Request, now: Instant, effects: list[Effect]) -> None:
        peer = self._peers.setdefault(event.address, _Peer())
        assert peer.ticket is None, "one exchange with an ECU at a time"
        peer.ticket, peer.answer_ms = event.ticket, event.answer_ms
        if peer.keep_at is not None:
            peer.keep_at, peer.keep_until = after(now, KEEP_EVERY_MS), after(now, KEEP_MAX_MS)
        if event.octets is not None:
            peer.early, peer.give_up, peer.request = None, None, event.octets
            self._pass(Send(event.address, event.octets), now, effects)
        elif peer.early is not None:
            self._answer(peer, peer.early, effects)
        else:
            peer.give_up = after(now, event.answer_ms)

    def _pass(self, event: Send | FramesHeard | FramesSent | Tick, now: Instant, effects: list[Effect]) -> None:
        """Let ISO-TP handle `event`, and take what it has to say."""
        for effect in self._isotp.handle(event, now):
            match effect:
                case SendFrames():
                    effects.append(effect)
                case MessageSent(peer=address, functional=functional):
                    peer = self._peers[address]
                    if not functional and peer.ticket is not None and peer.give_up is None:
                        peer.give_up = after(now, peer.answer_ms)
                case MessageReceived(peer=address, octets=octets):
                    self._received(address, octets, now, effects)
                case LinkError(peer=address, fault=fault):
                    known = self._peers.get(address)
                    # A lost answer is as good as none; a lost request was not heard. A lost tester present is neither.
                    if known is not None and known.ticket is not None and (fault.of_sending or known.give_up):
                        self._answer(known, None, effects)
                case _:
                    assert_never(effect)

    def _received(self, address: int, octets: bytes, now: Instant, effects: list[Effect]) -> None:
        peer = self._peers.get(address)
        if peer is None:
            return  # nobody asked it anything
        self._note_session(peer, octets, now)
        if peer.ticket is None:
            peer.early = octets
        else:
            self._answer(peer, octets, effects)

    def _note_session(self, peer: _Peer, octets: bytes, now: Instant) -> None:
        """Begin to keep a session when the ECU confirms it; stop when it is left or the ECU restarts."""
        service = octets[0] - POSITIVE_OFFSET
        if service == Service.SESSION and len(octets) > 1:
            default = octets[1] == Session.DEFAULT
            peer.keep_at = None if default else after(now, KEEP_EVERY_MS)
            peer.keep_until = None if default else after(now, KEEP_MAX_MS)
        elif service == Service.RESET:
            peer.keep_at = peer.keep_until = None

    def _answer(self, peer: _Peer, octets: bytes | None, effects: list[Effect]) -> None:
        assert peer.ticket is not None
        effects.append(Answered(peer.ticket, octets))
        peer.ticket = peer.give_up = peer.early = None

    def _expire(self, address: int, peer: _Peer, now: Instant, effects: list[Effect]) -> None:
        if peer.give_up is not None and now >= peer.give_up:
            self._answer(peer, None, effects)
        if peer.keep_at is None or now < peer.keep_at:
            return
        if peer.keep_until is not None and now >= peer.keep_until:
            peer.keep_at = peer.keep_until = None
            return
        peer.keep_at = after(now, KEEP_EVERY_MS)
        if peer.ticket is None:  # an exchange under way keeps the session by itself
            self._pass(Send(address, _KEEP), now, effects)
