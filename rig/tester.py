"""A tester on the bus that talks to one ECU and waits for its answers: UDS as docs/wire.md tells it, and as it forbids.

Everything blocks, and everything that is received, lost or refused is in the journal. Requests of uptane/link/uds.py's
kind are values; whatever else somebody may send is octets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, assert_never

from rig.bus import Bus, Station
from rig.settings import EcuSettings
from uptane.codec.oer import Oer
from uptane.crypto import Sha2, valid
from uptane.errors import BY_CODE, Check, LinkFailure, Rejected
from uptane.link import uds_client
from uptane.link.can_frame import FUNCTIONAL_TARGET, Address, CanFrame, can_id_of, data_length_at_least
from uptane.link.isotp_values import FramesHeard, FramesSent, IsoTpSettings, SendFrames, Tick
from uptane.link.uds_client import ANSWER_MS, Ask, Denied, Listen, Need, Pause, Silent
from uptane.link.uds_line import Answered, Request, UdsLine
from uptane.link.uds_objects import CheckOption, Object, Place, Status
from uptane.link.uds_transfer import Blocks, deliver
from uptane.link.uds_values import NEGATIVE, Did, Nrc, Service, Session
from uptane.machine import Workflow
from uptane.model.limits import REPORT_LENGTH_MAX
from uptane.model.reports import EcuReport
from uptane.model.signed import PublicKey
from uptane.moments import Instant
from uptane.shell.can_port import CanPort
from uptane.verify.threshold import Verifier, accept_from, opened

ResultT = TypeVar("ResultT")

FD_DATA_LENGTH = 64
PENDING_MS = uds_client.PENDING_MS
VERIFIER = Verifier(Oer(), valid, Sha2())
BOOT_POLL_MS = 100  # between two questions to an ECU that may be booting

_MS_NS = 1_000_000


class Line:
    """The machine and the port of one tester address; a Member of its bus."""

    def __init__(self, bus: Bus, own: int) -> None:
        self.bus, self.own = bus, own
        fd = bus.settings.fd
        self._isotp = IsoTpSettings(FD_DATA_LENGTH, fd=True, brs=True) if fd else IsoTpSettings()
        self.station: Station = bus.join(own)
        self._port = CanPort(self.station, bus.settings, own)
        self._machine = UdsLine(self._isotp, own)
        self.answers: list[Answered] = []
        bus.add(self)

    def reset(self) -> None:
        """Forget whatever is under way, as after the power of the other end was cut."""
        self._port = CanPort(self.station, self.bus.settings, self.own)
        self._machine = UdsLine(self._isotp, self.own)
        self.answers.clear()

    def give(self, event: Request | FramesHeard | FramesSent | Tick) -> None:
        """One event, and what follows from it."""
        now = Instant(time.monotonic_ns() // _MS_NS)
        for effect in self._machine.handle(event, now):
            match effect:
                case SendFrames():
                    self._port.send(effect)
                case Answered():
                    self.answers.append(effect)
                case _:
                    assert_never(effect)

    def send_frames(self, frames: Sequence[CanFrame], separation_us: int = 0) -> None:
        """Frames as they are, good or not."""
        self._port.send(SendFrames(frames, 0, separation_us))

    def step(self) -> None:
        """As of Member."""
        try:
            exchange = self._port.exchange()
        except LinkFailure as failure:
            self.bus.journal.note("channel", str(failure))
            return
        for ticket in exchange.tickets:
            self.give(FramesSent(ticket))
        if exchange.frames:
            self.give(FramesHeard(exchange.frames))
        deadline = self._machine.deadline()
        if deadline is not None and deadline * _MS_NS <= time.monotonic_ns():
            self.give(Tick())

    def wake_ns(self) -> int | None:
        """As of Member."""
        deadline = self._machine.deadline()
        wakes = [self._port.wake_ns(), None if deadline is None else deadline * _MS_NS]
        known = [wake for wake in wakes if wake is not None]
        return min(known) if known else None

    def close(self) -> None:
        """Leave the bus."""
        self.bus.remove(self, self.station)


class Tester:
    """A tester with the address `own` that talks to `ecu`; `key` is what the ECU signs its reports with, if known."""

    __test__ = False  # its name is a workshop's, not pytest's

    def __init__(self, bus: Bus, ecu: EcuSettings, key: PublicKey | None, own: int | None = None) -> None:
        self.bus, self.ecu, self.key = bus, ecu, key
        self.own = ecu.tester if own is None else own
        self.line = Line(bus, self.own)
        self.line.station.listen_to = ecu.address
        self.blocks = Blocks()
        self._ticket = 0
        self.answer_ms = ANSWER_MS + ecu.tolerance_ms
        self.pending: list[int] = []
        """Milliseconds between the "pending" answers to the latest request, and before the first."""

    def close(self) -> None:
        """Leave the bus."""
        self.line.close()

    def reset(self) -> None:
        """Forget what is under way: the ECU has restarted, or lost its power."""
        self.line.reset()
        self.blocks = Blocks()

    # ------------------------------------------------------------------------------------------------ exchanges

    def message(self, octets: bytes | None, answer_ms: int | None = None) -> bytes | None:
        """Send a message (None: only listen) and wait for one; None when none came in time."""
        self._ticket += 1
        ticket = self._ticket
        address = self.ecu.address
        self.line.answers.clear()
        self.line.give(Request(ticket, address, octets, self.answer_ms if answer_ms is None else answer_ms))
        self.bus.pump(lambda: any(answer.ticket == ticket for answer in self.line.answers))
        answer = next(answer.octets for answer in self.line.answers if answer.ticket == ticket)
        if octets and answer and octets[0] == Service.TRANSFER and answer[:2] == bytes((0x76, octets[1])):
            self.bus.journal.octets(len(octets) - 2)
        return answer

    def ask(self, octets: bytes, answer_ms: int | None = None) -> bytes:
        """Send a request as it is; the final answer, "pending" waited out. Raises Silent when none comes."""
        self.pending = []
        began_ns = time.monotonic_ns()
        answer = self.message(octets, answer_ms)
        while answer is not None and len(answer) == 3 and answer[0] == NEGATIVE and answer[2] == Nrc.PENDING:
            now_ns = time.monotonic_ns()
            self.pending.append((now_ns - began_ns) // _MS_NS)
            began_ns = now_ns
            answer = self.message(None, PENDING_MS)
        if answer is None:
            raise Silent(f"{self.ecu.ecu} does not answer {octets[:8].hex(' ')}")
        return answer

    def nrc(self, octets: bytes) -> int | None:
        """Send a request as it is; the code of a refusal, None when it was obeyed. Raises Silent."""
        answer = self.ask(octets)
        return answer[2] if len(answer) == 3 and answer[0] == NEGATIVE else None

    def run(self, workflow: Workflow[Need, ResultT]) -> ResultT:
        """Carry out a workflow of uds_client.py or uds_transfer.py. Raises Silent, Denied, Rejected, LinkFailure."""
        answer: Any = None
        while True:
            try:
                need = workflow.send(answer)
            except StopIteration as done:
                result: ResultT = done.value
                return result
            match need:
                case Ask(octets=octets, answer_ms=answer_ms):
                    answer = self.message(octets, answer_ms + self.ecu.tolerance_ms)
                case Listen(answer_ms=answer_ms):
                    answer = self.message(None, answer_ms + self.ecu.tolerance_ms)
                case Pause(duration_ms=duration_ms):
                    self.idle(duration_ms)
                    answer = None
                case _:
                    assert_never(need)

    def idle(self, duration_ms: int) -> None:
        """Let time pass; a session that is held is kept."""
        self.bus.pump(lambda: False, time.monotonic_ns() + duration_ms * _MS_NS)

    def until(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until `done`, asked again and again. Raises Silent after `seconds`."""
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise Silent(f"{self.ecu.ecu}: {what} did not come within {seconds:.0f} s")
            self.idle(BOOT_POLL_MS)

    def frames(self, *data: bytes, functional: bool = False, idle_ms: int = 0) -> None:
        """Put frames on the bus as they are (0 to 8 octets, on FD up to 64), then let `idle_ms` pass."""
        target = FUNCTIONAL_TARGET if functional else self.ecu.address
        can_id = can_id_of(Address(target, self.own, functional))
        fd = self.bus.settings.fd
        padded = [each.ljust(data_length_at_least(len(each)), b"\xaa") for each in data]
        self.line.send_frames([CanFrame(can_id, each, fd, fd) for each in padded])
        self.idle(idle_ms)

    # ------------------------------------------------------------------------------------------- what it can do

    def session(self, session: Session) -> None:
        """Open a session. Raises Silent, Denied."""
        self.run(uds_client.open_session(self.ecu.ecu, session))

    def leave(self) -> None:
        """Back to the default session, whether or not the ECU answers."""
        self.run(uds_client.close_session(self.ecu.ecu))

    def status(self) -> Status:
        """DID FD00."""
        return self.run(uds_client.read_status(self.ecu.ecu))

    def read(self, did: Did) -> bytes:
        """Any DID. Raises Silent, Denied."""
        answer = self.ask(bytes((Service.READ,)) + did.to_bytes(2))
        if answer[:1] == bytes((NEGATIVE,)):
            raise Denied(self.ecu.ecu, Service.READ, answer[-1])
        return answer[3:]

    def refusal(self) -> Check | None:
        """The check that refused something last (DID FD03)."""
        return BY_CODE.get(int.from_bytes(self.read(Did.REFUSAL)))

    def report(self) -> EcuReport:
        """The signed report, verified under the ECU's key where that is known. Raises Rejected, Silent."""
        octets = self.run(uds_client.read_report(self.ecu.ecu))
        envelope = opened(VERIFIER, octets, REPORT_LENGTH_MAX)
        if self.key is None:
            parsed = VERIFIER.codec.parse(envelope.payload)
            if not isinstance(parsed, EcuReport):
                raise Rejected(Check.KIND, f"{type(parsed).__name__}, expected a report")
            return parsed
        return accept_from(VERIFIER, envelope, self.key, EcuReport, check=Check.REPORT_SIGNATURE).value

    def deliver(self, place: Object, octets: bytes) -> None:
        """34, 36, 37 of an object. Raises Silent, Denied, Rejected."""
        self.run(deliver(self.ecu.ecu, Place(place), octets, self.blocks))

    def check(self, option: CheckOption, done: Callable[[Status], bool] = lambda _status: False) -> None:
        """31 01 0202; `done` judges a lost answer by the status. Raises Silent, Denied, Rejected."""
        self.run(uds_client.check(self.ecu.ecu, option, done))

    def hand(self, place: Object, octets: bytes) -> None:
        """Deliver an object and have it checked. Raises Silent, Denied, Rejected."""
        self.deliver(place, octets)
        self.check(CheckOption(place))

    def answers(self) -> bool:
        """Whether the ECU answers a question now."""
        return self.message(bytes((Service.READ,)) + Did.ECU.to_bytes(2), self.answer_ms) is not None

    def awake(self, seconds: float | None = None) -> None:
        """Wait until the ECU answers. Raises Silent."""
        self.until(self.answers, self.ecu.restart_s if seconds is None else seconds, "an answer")


@contextmanager
def plugged_in(bus: Bus, ecu: EcuSettings, key: PublicKey | None, own: int | None = None) -> Iterator[Tester]:
    """A tester for a while."""
    tester = Tester(bus, ecu, key, own)
    try:
        yield tester
    finally:
        tester.close()
