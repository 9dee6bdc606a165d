"""A client and an ECU on one bus under virtual time: UdsLine and ISO-TP here, ISO-TP and UdsServer there, and a fake
ECU with a slot behind it. Frames are lost as the dice say."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from uptane.link.can_frame import CanFrame
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
from uptane.link.uds_client import Ask, Listen, Pause
from uptane.link.uds_line import Answered, Request, UdsLine
from uptane.link.uds_objects import Object, Status, encode_refusal, encode_status
from uptane.link.uds_server import UdsServer
from uptane.link.uds_tasks import (
    Answer,
    Asked,
    BeginImage,
    BeginObject,
    Do,
    EndTransfer,
    Erase,
    Interlock,
    PrepareRestart,
    Reply,
    Restart,
    Verify,
    WriteBlock,
)
from uptane.link.uds_tasks import Tick as ServerTick
from uptane.link.uds_values import Did, Nrc
from uptane.machine import Workflow
from uptane.model.ids import EcuId
from uptane.model.reports import EcuState, Outcome
from uptane.moments import Instant, earliest

ADDRESS = 0x21
ECU = EcuId("brake")
FRAME_MS = 1  # of a run of frames on this bus, whatever its length


@dataclass
class FakeEcu:
    """Takes objects and one image; says what it holds."""

    interlock: Interlock = Interlock.SAFE
    slot: bytearray = field(default_factory=bytearray)
    size: int = 0
    objects: dict[int, bytes] = field(default_factory=dict)
    erases: int = 0
    restarts: int = 0
    writes: int = 0
    state: EcuState = EcuState.IDLE
    refusal: int = 0
    refuse: dict[type, tuple[Nrc, int]] = field(default_factory=dict)
    slow: int = 0
    _object: int = 0
    _ram: bytearray = field(default_factory=bytearray)
    _image: bool = False

    def do(self, task: Any) -> Nrc | None:
        if type(task) in self.refuse:
            nrc, self.refusal = self.refuse[type(task)]
            return nrc
        match task:
            case BeginObject(place=place):
                self._object, self._ram, self._image = place.address, bytearray(), False
            case BeginImage(offset=offset):
                if offset != len(self.slot):
                    return Nrc.RANGE
                self._image = True
            case WriteBlock(octets=octets):
                self.writes += 1
                (self.slot if self._image else self._ram).extend(octets)
            case EndTransfer():
                if not self._image:
                    self.objects[self._object] = bytes(self._ram)
            case Erase():
                self.erases += 1
                self.slot.clear()
            case Verify():
                if self._image or self.slot:
                    self.state = EcuState.PREPARED
            case PrepareRestart():
                self.restarts += 1
        return None

    def read(self, did: int) -> bytes | None:
        if did == Did.STATUS:
            return encode_status(
                Status(self.state, Outcome.NONE, 0, True, 1, 0, 7, len(self.slot), b"e" * 32, None, 3, None)
            )
        return {Did.REFUSAL: encode_refusal(self.refusal), Did.NONCE: b"n" * 16, Did.REPORT: b"r" * 300}.get(Did(did))


class Bench:
    """One client, one ECU. `loss` is the share of frames that vanish; `deaf` a filter on frames that do."""

    def __init__(
        self, ecu: FakeEcu, *, loss: float = 0.0, seed: int = 1, settings: IsoTpSettings | None = None
    ) -> None:
        settings = settings or IsoTpSettings()
        self.ecu = ecu
        self.now = Instant(0)
        self.frames = 0
        self.lose: Callable[[CanFrame], bool] | None = None
        self._loss, self._dice = loss, Random(seed)
        self._line = UdsLine(settings)
        self._isotp = IsoTp(ADDRESS, settings)
        self._server = UdsServer(lambda: ecu.interlock, ecu.read)
        self._mail: deque[tuple[Instant, Callable[[], None]]] = deque()
        self._answers: dict[int, bytes | None] = {}
        self._owed: Instant | None = None

    def run(self, workflow: Workflow[Any, Any]) -> Any:
        """Run the workflow to its end; its result."""
        answer: Any = None
        ticket = 0
        while True:
            try:
                need = workflow.send(answer)
            except StopIteration as end:
                return end.value
            ticket += 1
            if isinstance(need, Pause):
                self.wait(need.duration_ms)
                answer = None
                continue
            assert isinstance(need, Ask | Listen)
            octets = need.octets if isinstance(need, Ask) else None
            self._client(self._line.handle(Request(ticket, ADDRESS, octets, need.answer_ms), self.now))
            self._until(lambda: bool(self._answers), None)
            answer = self._answers.pop(ticket)

    def at(self, ms: int, act: Callable[[], None]) -> None:
        """Do `act` when that time has come."""
        self._mail.append((Instant(ms), act))
        self._mail = deque(sorted(self._mail, key=lambda letter: letter[0]))

    def wait(self, duration_ms: int) -> None:
        end = self.now + duration_ms
        self._until(lambda: self.now >= end, end)

    def _until(self, done: Callable[[], bool], end: int | None) -> None:
        for _ in range(1_000_000):
            if done():
                return
            due = earliest(
                self._mail[0][0] if self._mail else None,
                self._line.deadline(),
                self._isotp.deadline(),
                self._server.deadline(),
                self._owed,
                None if end is None else Instant(end),
            )
            assert due is not None, "nothing will ever happen"
            self.now = max(self.now, due)
            while self._mail and self._mail[0][0] <= self.now:
                self._mail.popleft()[1]()
            if self._owed is not None and self._owed <= self.now:
                self._owed = None
                self._serve(self._server.handle(self._answer, self.now))
            self._client(self._line.handle(Tick(), self.now))
            self._transport(self._isotp.handle(Tick(), self.now))
            if (deadline := self._server.deadline()) is not None and deadline <= self.now:
                self._serve(self._server.handle(ServerTick(), self.now))
        raise AssertionError("never done")

    def _client(self, effects: Any) -> None:
        for effect in effects:
            if isinstance(effect, Answered):
                self._answers[effect.ticket] = effect.octets
            else:
                self._post(effect, self._to_ecu, lambda sent: self._client(self._line.handle(sent, self.now)))

    def _to_ecu(self, heard: FramesHeard) -> None:
        self._transport(self._isotp.handle(heard, self.now))

    def _to_client(self, heard: FramesHeard) -> None:
        self._client(self._line.handle(heard, self.now))

    def _post(self, run: SendFrames, to: Callable[[FramesHeard], None], sent: Callable[[FramesSent], None]) -> None:
        self.frames += len(run.frames)
        kept = [frame for frame in run.frames if not self._is_lost(frame)]
        at = Instant(self.now + FRAME_MS)
        self.at(at, lambda: to(FramesHeard(kept)))
        if run.ticket:
            self.at(at, lambda: sent(FramesSent(run.ticket)))

    def _is_lost(self, frame: CanFrame) -> bool:
        return self._dice.random() < self._loss or (self.lose is not None and self.lose(frame))

    def _transport(self, effects: Any) -> None:
        for effect in effects:
            match effect:
                case SendFrames():
                    self._post(
                        effect, self._to_client, lambda sent: self._transport(self._isotp.handle(sent, self.now))
                    )
                case MessageReceived(peer=peer, octets=octets, functional=functional):
                    self._serve(self._server.handle(Asked(peer, octets, functional), self.now))
                case MessageSent() | LinkError():
                    pass

    def _serve(self, effects: Any) -> None:
        for effect in effects:
            match effect:
                case Reply(peer=peer, octets=octets):
                    self._transport(self._isotp.handle(Send(peer, octets), self.now))
                case Do(task=task):
                    self._answer = Answer(self.ecu.do(task))
                    self._owed = Instant(self.now + self.ecu.slow)
                case Restart():
                    self._server = UdsServer(lambda: self.ecu.interlock, self.ecu.read)
                case _:
                    pass


TARGETS = Object.DIRECTOR_TARGETS << 24
