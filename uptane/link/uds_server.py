"""The server's half of UDS (ISO 14229-1:2020, ISO 14229-2): who may ask for what, when, and in which order.

A machine between ISO-TP and the ECU. It judges sessions, the interlock, the one client, transfers and their block
counters, and says "pending" while an answer waits; what an update means is the ECU's, which is asked by `Do` and
answers with `Answer`, one task at a time. Any node on the bus may be hostile: nothing here believes a source address
further than to keep clients apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from uptane.errors import Check
from uptane.link.uds import ROUTINE_DATA, download_data, negative, parse_request, positive, session_data
from uptane.link.uds_objects import IMAGE_ADDRESSES, LENGTH_MAX, CheckOption, place_of
from uptane.link.uds_tasks import (
    NORMAL,
    Answer,
    Asked,
    BeginImage,
    BeginObject,
    Dependencies,
    Do,
    Effect,
    EndTransfer,
    Erase,
    Event,
    Interlock,
    Misused,
    Opened,
    PrepareRestart,
    Reply,
    Restart,
    Task,
    Tick,
    Traffic,
    Verify,
    WriteBlock,
)
from uptane.link.uds_values import (
    BLOCK_LENGTH_MAX,
    P2_MS,
    P2_STAR_MS,
    S3_MS,
    Communication,
    Download,
    DtcSetting,
    Nrc,
    OpenSession,
    Present,
    Read,
    Refused,
    Request,
    Reset,
    Routine,
    Session,
    StartRoutine,
    Transfer,
    TransferExit,
    is_quiet,
    service_of,
)
from uptane.moments import SECOND_MS, Instant, after, earliest

PENDING_AFTER_MS = P2_MS // 2  # half for us, half for the bus
PENDING_AGAIN_MS = P2_STAR_MS // 2
INTERLOCK_CHECK_MS = SECOND_MS  # while the vehicle's normal messages are silenced
_CHECK_OPTIONS = {int(option): option for option in CheckOption}
# What a group may be asked. A negative answer with one of these codes is not sent to a group (ISO 14229-1, 7.5.6).
_FOR_GROUPS = (OpenSession, Present, Read, Communication, DtcSetting)
_UNSAID_TO_GROUPS = {Nrc.SERVICE, Nrc.SUBFUNCTION, Nrc.RANGE, Nrc.SERVICE_SESSION, Nrc.SUBFUNCTION_SESSION}
# After these the vehicle must not stay silenced: the update has failed.
_FAILURES = {Nrc.DOWNLOAD, Nrc.SUSPENDED, Nrc.PROGRAMMING}


class _Misuse(Refused):
    """A refusal that is reported."""

    def __init__(self, nrc: Nrc, check: Check) -> None:
        super().__init__(nrc)
        self.check = check


@dataclass(slots=True)
class _Transfer:
    left: int
    next_counter: int = 1
    last_counter: int | None = None


@dataclass(slots=True)
class _Waiting:
    """A request whose answer the ECU owes; `said_pending`: then it is answered even if no answer was wanted."""

    request: Request
    peer: int
    deadline: Instant
    said_pending: bool = False


class UdsServer:
    """The server of one ECU, a Machine[Event, Effect].

    `interlock` says at the moment of asking whether reprogramming is safe; `read` gives the octets of a data
    identifier, or None.
    """

    def __init__(self, interlock: Callable[[], Interlock], read: Callable[[int], bytes | None]) -> None:
        self._interlock = interlock
        self._read = read
        self._session = Session.DEFAULT
        self._holder: int | None = None
        self._session_end: Instant | None = None
        self._traffic = NORMAL
        self._traffic_check: Instant | None = None
        self._transfer: _Transfer | None = None
        self._exited = False  # the latest request ended a transfer; the same again is acknowledged again
        self._waiting: _Waiting | None = None
        self._effects: list[Effect] = []

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        """Take one event; the effects are to be carried out in order."""
        self._effects = []
        match event:
            case Asked(peer=peer, octets=octets, functional=functional):
                self._ask(peer, octets, now, functional=functional)
            case Answer(nrc=nrc):
                self._answer(nrc, now)
            case Tick():
                self._tick(now)
            case _:
                assert_never(event)
        return self._effects

    def deadline(self) -> Instant | None:
        """When "pending" is due, the session ends, or the interlock is looked at again."""
        waiting = self._waiting.deadline if self._waiting is not None else None
        return earliest(waiting, self._session_end, self._traffic_check)

    # -------------------------------------------------------------------------------------------------- requests

    def _ask(self, peer: int, octets: bytes, now: Instant, *, functional: bool) -> None:
        try:
            request = parse_request(octets)
            if functional and not isinstance(request, _FOR_GROUPS):
                return
            self._keep_session(peer, now)
            self._serve(request, peer, now)
        except Refused as refused:
            if isinstance(refused, _Misuse):
                self._effects.append(Misused(refused.check))
            if not (functional and refused.nrc in _UNSAID_TO_GROUPS):
                self._effects.append(Reply(peer, negative(octets[0] if octets else 0, refused.nrc)))

    def _serve(self, request: Request, peer: int, now: Instant) -> None:
        """Answer at once, or ask the ECU."""
        match request:
            case Read(did=did):
                self._say(request, peer, self._value(did))
                return
            case Present():
                self._say(request, peer)
                return
            case _:
                self._one_at_a_time(request, peer)
        exited, self._exited = self._exited, False
        match request:
            case OpenSession(session=session):
                self._open(session, peer, now)
                self._say(request, peer, session_data(session))
            case Reset():
                self._in_session(Session.PROGRAMMING)
                self._safe()
                self._do(PrepareRestart(), request, peer, now)
            case Communication() | DtcSetting():
                self._silence(request, now)
                self._say(request, peer)
            case StartRoutine():
                self._routine(request, peer, now)
            case Download():
                self._do(self._download(request), request, peer, now)
            case Transfer():
                self._block(request, peer, now)
            case TransferExit():
                self._exit(request, peer, now, again=exited)
            case _:
                assert_never(request)

    def _one_at_a_time(self, request: Request, peer: int) -> None:
        """One client holds the session, and one task is under way."""
        if self._holder not in {None, peer}:
            raise _Misuse(Nrc.BUSY, Check.LINK_BUSY)
        if self._waiting is not None:
            same = self._waiting.peer == peer and self._waiting.request == request
            raise Refused(Nrc.PENDING if same else Nrc.BUSY)

    def _in_session(self, *sessions: Session) -> None:
        if self._session not in sessions:
            raise _Misuse(Nrc.SERVICE_SESSION, Check.LINK_SESSION)

    def _safe(self) -> None:
        word = self._interlock()
        if word is Interlock.SAFE:
            return
        self._restore_traffic()
        raise _Misuse(Nrc.MOVING if word is Interlock.MOVING else Nrc.CONDITIONS, Check.LINK_INTERLOCK)

    def _value(self, did: int) -> bytes:
        value = self._read(did)
        if value is None:
            raise Refused(Nrc.RANGE)
        return value

    def _silence(self, request: Communication | DtcSetting, now: Instant) -> None:
        """Change what the vehicle's normal life sees of this ECU; restoring it is never refused for being unsafe."""
        self._in_session(Session.PROGRAMMING, Session.EXTENDED)
        if isinstance(request, Communication):
            traffic = Traffic(request.control == 0, self._traffic.faults)
        else:
            traffic = Traffic(self._traffic.messages, request.on)
        if traffic != NORMAL:
            self._safe()
        self._traffic_check = None if traffic == NORMAL else after(now, INTERLOCK_CHECK_MS)
        self._set_traffic(traffic)

    def _routine(self, request: StartRoutine, peer: int, now: Instant) -> None:
        match request.routine:
            case Routine.PRECONDITIONS:
                self._safe()
                self._say(request, peer, ROUTINE_DATA)
            case Routine.ERASE:
                self._in_session(Session.PROGRAMMING)
                self._safe()
                self._transfer = None
                self._do(Erase(), request, peer, now)
            case Routine.DEPENDENCIES:
                self._in_session(Session.PROGRAMMING, Session.EXTENDED)
                self._do(Dependencies(), request, peer, now)
            case Routine.CHECK:
                self._check(request, peer, now)
            case _:
                assert_never(request.routine)

    def _check(self, request: StartRoutine, peer: int, now: Instant) -> None:
        option = _CHECK_OPTIONS.get(request.option[0])
        if option is None:
            raise Refused(Nrc.RANGE)
        if option is CheckOption.IMAGE:
            self._in_session(Session.PROGRAMMING)
            self._safe()
        self._in_session(Session.PROGRAMMING, Session.EXTENDED)
        if self._transfer is not None:
            raise _Misuse(Nrc.SEQUENCE, Check.LINK_SEQUENCE)
        self._do(Verify(option), request, peer, now)
        if option is CheckOption.EVERYTHING:  # 100,000 images take longer than P2, in which nothing else is done
            self._say_pending(now)

    # ------------------------------------------------------------------------------------------------- transfers

    def _download(self, request: Download) -> BeginImage | BeginObject:
        self._transfer = None
        if request.address in IMAGE_ADDRESSES:
            self._in_session(Session.PROGRAMMING)
            self._safe()
            return BeginImage(request.address, request.size)
        self._in_session(Session.PROGRAMMING, Session.EXTENDED)
        place = place_of(request.address)
        if place is None or request.size > LENGTH_MAX[place.object]:
            raise _Misuse(Nrc.RANGE, Check.LINK_RANGE)
        return BeginObject(place, request.size)

    def _block(self, request: Transfer, peer: int, now: Instant) -> None:
        transfer = self._transfer
        if transfer is None:
            raise _Misuse(Nrc.SEQUENCE, Check.LINK_SEQUENCE)
        if request.counter == transfer.last_counter:
            self._say(request, peer)  # our acknowledgement was lost; the octets are written once
            return
        if request.counter != transfer.next_counter:
            raise _Misuse(Nrc.BLOCK_COUNTER, Check.LINK_SEQUENCE)
        if len(request.octets) > transfer.left:
            raise _Misuse(Nrc.RANGE, Check.LINK_RANGE)
        self._do(WriteBlock(request.octets), request, peer, now)

    def _exit(self, request: TransferExit, peer: int, now: Instant, *, again: bool) -> None:
        if again:
            self._exited = True
            self._say(request, peer)
            return
        if self._transfer is None or self._transfer.left:
            raise _Misuse(Nrc.SEQUENCE, Check.LINK_SEQUENCE)
        self._do(EndTransfer(), request, peer, now)

    # --------------------------------------------------------------------------------------------------- answers

    def _do(self, task: Task, request: Request, peer: int, now: Instant) -> None:
        assert self._waiting is None
        self._waiting = _Waiting(request, peer, after(now, PENDING_AFTER_MS))
        self._session_end = None
        self._effects.append(Do(task))

    def _answer(self, nrc: Nrc | None, now: Instant) -> None:
        waiting = self._waiting
        assert waiting is not None
        self._waiting = None
        self._keep_session(waiting.peer, now)
        if nrc is not None:
            self._failed(waiting.request, nrc)
            self._effects.append(Reply(waiting.peer, negative(service_of(waiting.request), nrc)))
            return
        data = self._succeeded(waiting.request)
        if waiting.said_pending or not is_quiet(waiting.request):
            self._effects.append(Reply(waiting.peer, positive(waiting.request, data)))
        if isinstance(waiting.request, Reset):
            self._restore_traffic()
            self._effects.append(Restart())

    def _succeeded(self, request: Request) -> bytes:
        """Move on; return what follows the echo."""
        match request:
            case Download(size=size):
                self._transfer = _Transfer(size)
                return download_data(BLOCK_LENGTH_MAX)
            case Transfer(counter=counter, octets=octets):
                assert self._transfer is not None
                self._transfer.left -= len(octets)
                self._transfer.last_counter = counter
                self._transfer.next_counter = (counter + 1) & 0xFF
                return b""
            case TransferExit():
                self._transfer = None
                self._exited = True
                return b""
            case StartRoutine():
                return ROUTINE_DATA
            case _:
                return b""

    def _failed(self, request: Request, nrc: Nrc) -> None:
        if isinstance(request, Transfer | TransferExit):
            self._transfer = None
        if nrc in _FAILURES:
            self._restore_traffic()

    def _say(self, request: Request, peer: int, data: bytes = b"") -> None:
        if not is_quiet(request):
            self._effects.append(Reply(peer, positive(request, data)))

    def _say_pending(self, now: Instant) -> None:
        """Once more "pending", before whatever the ECU is about to do."""
        waiting = self._waiting
        assert waiting is not None
        waiting.said_pending = True
        waiting.deadline = after(now, PENDING_AGAIN_MS)
        self._effects.insert(0, Reply(waiting.peer, negative(service_of(waiting.request), Nrc.PENDING)))

    # --------------------------------------------------------------------------------------------- session, timers

    def _open(self, session: Session, peer: int, now: Instant) -> None:
        if session is Session.PROGRAMMING:
            self._safe()
        self._transfer = None
        self._session = session
        if session is Session.DEFAULT:
            self._holder = None
            self._session_end = None
            self._restore_traffic()
        else:
            self._holder = peer
            self._session_end = after(now, S3_MS)
        self._effects.append(Opened(session, peer))

    def _keep_session(self, peer: int, now: Instant) -> None:
        """Any request of the holder keeps the session; nobody else's does."""
        if self._holder == peer and self._waiting is None:
            self._session_end = after(now, S3_MS)

    def _tick(self, now: Instant) -> None:
        if self._waiting is not None and now >= self._waiting.deadline:
            self._say_pending(now)
        if self._session_end is not None and now >= self._session_end:
            assert self._holder is not None
            self._open(Session.DEFAULT, self._holder, now)
        if self._traffic_check is not None and now >= self._traffic_check:
            self._traffic_check = after(now, INTERLOCK_CHECK_MS)
            if self._interlock() is not Interlock.SAFE:
                self._restore_traffic()

    def _restore_traffic(self) -> None:
        self._traffic_check = None
        self._set_traffic(NORMAL)

    def _set_traffic(self, traffic: Traffic) -> None:
        if traffic != self._traffic:
            self._traffic = traffic
            self._effects.append(traffic)
