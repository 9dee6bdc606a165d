"""The attacker on a bus: a tester that asks, a puppet that answers in an ECU's place, a tap that reads along.

All three are real nodes: they speak ISO-TP and UDS with the shipping machines, win and lose arbitration like anybody,
and hear what a controller hears. What a man in the middle of the wire does besides is `CanBus.filter`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from primary.needs import Note, Perform
from primary.tasks import Tasks
from sim.can_bus import CanBus
from sim.can_controller import Controller
from sim.clock import NS_PER_MS, NS_PER_S, Clock
from sim.primary_node import FAST, FD_BUS
from uptane.errors import MarqueError
from uptane.link import isotp_values, uds_line
from uptane.link.can_frame import CanFrame, address_of
from uptane.link.isotp import IsoTp
from uptane.link.isotp_values import (
    FramesHeard,
    FramesSent,
    IsoTpSettings,
    MessageReceived,
    Send,
    SendFrames,
    Tick,
)
from uptane.link.uds_client import Ask, Listen
from uptane.link.uds_line import Answered, Request, UdsLine
from uptane.link.uds_objects import Object, place_of
from uptane.machine import Workflow
from uptane.model.ids import EcuId

ResultT = TypeVar("ResultT")
Step = Callable[[], bool]

WORK_S_MAX: Final = 3_600  # for one piece of work of an attacker; the longest, a whole flash, takes some seconds


class _Line:
    """One UDS client on one bus, with its controller and its alarm."""

    def __init__(self, clock: Clock, bus: CanBus, own: int, done: Callable[[Answered], None]) -> None:
        self._clock, self._done = clock, done
        self._machine = UdsLine(FAST if bus.name.endswith(FD_BUS) else IsoTpSettings(), own)
        self._can = bus.attach(
            f"attacker.{own:02x}",
            lambda can_id: (found := address_of(can_id)) is not None and found.target == own,
            lambda frames: self.give(FramesHeard(frames)),
        )

    def give(self, event: uds_line.Event) -> None:
        for effect in self._machine.handle(event, self._clock.instant):
            if isinstance(effect, Answered):
                self._done(effect)
            else:
                send(self._can, effect, lambda ticket: self.give(FramesSent(ticket)))
        self._alarm()

    def _alarm(self) -> None:
        deadline = self._machine.deadline()
        if deadline is not None:
            self._clock.at(max(deadline * NS_PER_MS, self._clock.now_ns), self._woken)

    def _woken(self) -> None:
        deadline = self._machine.deadline()
        if deadline is not None and deadline <= self._clock.instant:
            self.give(Tick())

    def leave(self) -> None:
        """Unplug."""
        self._can.reset()
        self._can.listening = False


def send(can: Controller, run: SendFrames, sent: Callable[[int], None]) -> None:
    """Put a run of frames on the bus; `sent` is told its ticket when the last one has left."""
    if can.listening:
        can.send(run.frames, run.separation_us, (lambda: sent(run.ticket)) if run.ticket else None)


class Tester:
    """A UDS client of the attacker's on all buses of a vehicle, under any source address: a tester's, or the Primary's.

    `places` says on which bus and under which address an ECU is; `step` lets the world go on by one event.
    """

    def __init__(
        self,
        clock: Clock,
        buses: Mapping[str, CanBus],
        places: Mapping[EcuId, tuple[str, int]],
        *,
        own: int,
        step: Step,
    ) -> None:
        self._clock, self._places, self._step = clock, places, step
        self._answers: list[Answered] = []
        self._lines = {name: _Line(clock, bus, own, self._answers.append) for name, bus in buses.items()}

    def do(self, work: Workflow[Any, ResultT]) -> ResultT | MarqueError:
        """Run a workflow of uptane/link to its end, while the world goes on; what it raised, if it raised."""
        tasks: Tasks[ResultT] = Tasks(work)
        self._answers.clear()
        self._carry(tasks.start(self._clock.instant))
        end = self._clock.now_ns + WORK_S_MAX * NS_PER_S
        while tasks.outcome is None and self._clock.now_ns < end:
            deadline = tasks.deadline()
            if deadline is not None and deadline <= self._clock.instant:
                self._carry(tasks.tick(self._clock.instant))
            elif self._answers:
                answer = self._answers.pop(0)
                self._carry(tasks.done(answer.ticket, answer.octets, self._clock.instant))
            else:
                if deadline is not None:
                    self._clock.at(deadline * NS_PER_MS, lambda: None)
                assert self._step(), "nothing will ever happen again"
        assert tasks.outcome is not None, "the attacker waits for ever"
        return tasks.outcome[0]

    def _carry(self, effects: Sequence[object]) -> None:
        for effect in effects:
            if isinstance(effect, Note):
                continue
            assert isinstance(effect, Perform), effect
            need = effect.need
            assert isinstance(need, Ask | Listen), need
            bus, address = self._places[need.ecu]
            octets = need.octets if isinstance(need, Ask) else None
            self._lines[bus].give(Request(effect.ticket, address, octets, need.answer_ms))

    def leave(self) -> None:
        """Unplug from every bus."""
        for line in self._lines.values():
            line.leave()


class Puppet:
    """Answers requests in the place of an ECU; `answer` gives the reply to a request, None for none."""

    def __init__(self, clock: Clock, bus: CanBus, address: int, answer: Callable[[bytes], bytes | None]) -> None:
        self.address = address
        self.answer = answer
        self._clock = clock
        self._isotp = IsoTp(address, IsoTpSettings())
        self._can = bus.attach(
            f"puppet.{address:02x}",
            lambda can_id: (found := address_of(can_id)) is not None and found.target == address,
            lambda frames: self._give(FramesHeard(frames)),
        )

    def _give(self, event: isotp_values.Event) -> None:
        for effect in self._isotp.handle(event, self._clock.instant):
            match effect:
                case SendFrames():
                    send(self._can, effect, lambda ticket: self._give(FramesSent(ticket)))
                case MessageReceived(peer=peer, octets=octets):
                    reply = self.answer(octets)
                    if reply is not None:
                        self._give(Send(peer, reply))
                case _:
                    pass
        deadline = self._isotp.deadline()
        if deadline is not None:
            self._clock.at(max(deadline * NS_PER_MS, self._clock.now_ns), self._woken)

    def _woken(self) -> None:
        deadline = self._isotp.deadline()
        if deadline is not None and deadline <= self._clock.instant:
            self._give(Tick())

    def leave(self) -> None:
        """Unplug."""
        self._can.reset()
        self._can.listening = False


class Tap:
    """Reads along on a bus: every whole message, with who sent it to whom."""

    def __init__(self, bus: CanBus) -> None:
        self.messages: list[tuple[int, int, bytes]] = []
        """Source, target, octets."""
        self._partial: dict[tuple[int, int], tuple[int, bytearray]] = {}
        self._can = bus.attach("attacker.tap", lambda _can_id: True, self._hear)

    def _hear(self, frames: Sequence[CanFrame]) -> None:
        for frame in frames:
            self._take(frame)

    def _take(self, frame: CanFrame) -> None:
        """One frame of ISO 15765-2; flow control is nothing to him who only listens."""
        address, data = address_of(frame.can_id), frame.data
        if address is None or not data:
            return
        way, kind = (address.source, address.target), data[0] >> 4
        if kind == 0:
            length, start = (data[0] & 15, 1) if data[0] & 15 else (data[1], 2)
            self.messages.append((*way, bytes(data[start : start + length])))
        elif kind == 1:
            self._partial[way] = (int.from_bytes(data[:2]) & 0xFFF, bytearray(data[2:]))
        elif kind == 2 and way in self._partial:
            length, octets = self._partial[way]
            octets += data[1:]
            if len(octets) >= length:
                del self._partial[way]
                self.messages.append((*way, bytes(octets[:length])))

    def objects(self) -> Iterator[tuple[Object, bytes]]:
        """What was delivered into the RAM of ECUs, whole, in order: 34 to an object's address, 36, 37."""
        coming: dict[tuple[int, int], tuple[Object, bytearray]] = {}
        for *way, octets in self.messages:
            key = (way[0], way[1])
            if octets[:1] == b"\x34" and len(octets) > 6:
                place = place_of(int.from_bytes(octets[3:7]))
                coming.pop(key, None)
                if place is not None:
                    coming[key] = (place.object, bytearray())
            elif octets[:1] == b"\x36" and key in coming:
                coming[key][1].extend(octets[2:])
            elif octets[:1] == b"\x37" and key in coming:
                item, held = coming.pop(key)
                yield item, bytes(held)

    def between(self, source: int, target: int) -> list[bytes]:
        """What this source said to this target, in order."""
        return [octets for said_by, said_to, octets in self.messages if (said_by, said_to) == (source, target)]
