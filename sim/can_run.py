"""What is on the wire, as far as it is planned: frames that pass, then perhaps an attempt that fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import NamedTuple, TypeAlias

from sim.can_bits import Durations, write
from sim.can_controller import Controller, Job
from sim.can_errors import (
    Scene,
    Verdict,
    broken_off,
    collided,
    seen_wrong_by_all,
    seen_wrong_by_one,
    unacknowledged,
)
from sim.can_faults import Faults, Kind, Noise
from uptane.link.can_frame import CanFrame

Filter: TypeAlias = Callable[[str, CanFrame], CanFrame | None]


class Cause(Enum):
    """Why a frame does not simply pass."""

    ALONE = "unacknowledged"
    NOISE = "noise"
    FAULT = "wrong-bit"
    COLLISION = "collision"
    BROKEN_OFF = "broken-off"


class Wrong(NamedTuple):
    """A bit that is not what was sent: for one node, or for everybody."""

    bit: int
    node: str = ""

    def __str__(self) -> str:
        return f"bit={self.bit} at={self.node}" if self.node else f"bit={self.bit}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One frame, and what becomes of it; `victim` does not hear it."""

    verdict: Verdict
    cause: Cause
    victim: Controller | None = None
    wrong: Wrong | None = None


@dataclass(slots=True)
class Sender:
    """Who sends, of which job; what a reset controller was doing concerns it no longer."""

    controller: Controller
    job: Job
    life: int

    @property
    def lives(self) -> bool:
        """Whether it still is the one that began."""
        return self.controller.lives == self.life

    @property
    def frame(self) -> CanFrame:
        """Its next one."""
        return self.job.frames[self.job.at]


@dataclass
class Run:
    """Good frames of one job, one after the other, then perhaps an attempt that is no such frame."""

    sender: Sender
    starts_ns: list[int]
    ends_ns: list[int]
    attempt: Attempt | None = None  # at its end; with verdict.sent it is the only good frame, and somebody misses it
    begun_ns: int = 0  # the attempt
    endless: bool = False  # the attempt is made again and again, as long as nothing changes
    filter: Filter | None = None  # who stands in the middle when it begins
    also: list[Sender] = field(default_factory=list)  # who sends the very same frame at the same time
    losers: list[Sender] = field(default_factory=list)  # who tried to send another one with its identifier

    @property
    def passes(self) -> bool:
        """Whether the latest frame in it is a good one."""
        return self.attempt is None or self.attempt.verdict.sent

    @property
    def frame(self) -> CanFrame:
        """The latest one in it."""
        job, count = self.sender.job, len(self.ends_ns)
        return job.frames[job.at + count - (self.attempt is None)]

    @property
    def latest_ns(self) -> int:
        """When that begins."""
        return self.starts_ns[-1] if self.attempt is None else self.begun_ns

    def fails(self, attempt: Attempt) -> None:
        """That frame turns out not to be good."""
        self.begun_ns = self.latest_ns
        if self.attempt is None:
            del self.starts_ns[-1], self.ends_ns[-1]
        self.attempt = attempt

    @property
    def until_ns(self) -> int:
        """When the bus is free again."""
        if self.attempt is not None:
            return self.begun_ns + self.attempt.verdict.lasts_ns
        return self.ends_ns[-1]

    @cached_property
    def parties(self) -> tuple[Controller, ...]:
        """Who sends in it, and so does not receive."""
        return (self.sender.controller, *(each.controller for each in (*self.also, *self.losers)))


def first_difference(frames: Sequence[CanFrame], durations: Durations) -> tuple[int, list[bool]] | None:
    """The bit at which frames with one identifier differ, and which of them are recessive there."""
    written = [write(frame, extended=durations.extended).bits for frame in frames]
    for bit, values in enumerate(zip(*written, strict=False)):
        if len(set(values)) > 1:
            return bit, [value == 1 for value in values]
    return None


class Judge:
    """Decides what becomes of the next frame."""

    def __init__(self, controllers: Sequence[Controller], durations: Durations, faults: Faults, noise: Noise) -> None:
        self.controllers = controllers
        self.durations = durations
        self.faults = faults
        self.noise = noise

    def receivers(self, parties: Sequence[Controller], start_ns: int) -> list[Controller]:
        """Who takes part in a frame begun then, without sending it."""
        return [each for each in self.controllers if each.hears(start_ns) and each not in parties]

    def attempt(self, parties: Sequence[Controller], frame: CanFrame, now_ns: int) -> Attempt | None:
        """What becomes of a frame of the first of `parties`; None when it simply passes."""
        sender = parties[0]
        noisy = self.noise.hits(sender.node, now_ns)
        if not noisy and self.faults.good != 0 and self._answered(parties, now_ns):
            return None
        receivers = self.receivers(parties, now_ns)
        if noisy:
            scene = self.scene(sender, frame, receivers)
            wrong = Wrong(_place(scene, self.noise.where))
            return Attempt(seen_wrong_by_all(scene, wrong.bit), Cause.NOISE, wrong=wrong)
        if not receivers:
            return Attempt(unacknowledged(self.scene(sender, frame, ())), Cause.ALONE)
        return self._faulty(sender, frame, receivers)

    def alone(self, sender: Controller, frame: CanFrame) -> Attempt:
        """A frame that nobody acknowledged."""
        return Attempt(unacknowledged(self.scene(sender, frame, ())), Cause.ALONE)

    def broken_off(self, sender: Controller, frame: CanFrame, start_ns: int, now_ns: int) -> Attempt:
        """A frame begun at `start_ns` whose sender vanishes now."""
        scene = self.scene(sender, frame, self.receivers([sender], start_ns))
        bits = next(
            bit
            for bit in range(len(scene.written.bits) + 4)
            if scene.written.until(bit, self.durations) >= now_ns - start_ns
        )
        return Attempt(broken_off(scene, bits), Cause.BROKEN_OFF)

    def collision(self, winners: Sequence[Sender], losers: Sequence[Sender], bit: int, now_ns: int) -> Attempt | None:
        """Frames with one identifier that differ first at `bit`; None when the losers cannot disturb the winners."""
        parties = [each.controller for each in (*winners, *losers)]
        frame = winners[0].job.frames[winners[0].job.at]
        scene = self.scene(parties[0], frame, self.receivers(parties, now_ns))
        verdict = collided(scene, bit, loser_active=any(not each.controller.passive for each in losers))
        return None if verdict is None else Attempt(verdict, Cause.COLLISION)

    def scene(
        self,
        sender: Controller,
        frame: CanFrame,
        receivers: Sequence[Controller],
        victim: Controller | None = None,
    ) -> Scene:
        """A frame on the wire among these."""
        others = [each for each in receivers if each is not victim]
        return Scene(
            write(frame, extended=self.durations.extended),
            self.durations,
            sender_active=not sender.passive,
            receivers=bool(others),
            receivers_active=any(not each.passive for each in others),
            victim_active=victim is not None and not victim.passive,
        )

    def _answered(self, parties: Sequence[Controller], now_ns: int) -> bool:
        return any(each.hears(now_ns) and each not in parties for each in self.controllers)

    def _faulty(self, sender: Controller, frame: CanFrame, receivers: Sequence[Controller]) -> Attempt:
        fault = self.faults.next
        if fault.kind is Kind.LOSS:
            concerned = [each for each in receivers if each.accepts(frame.can_id)]
            victim = concerned[int(fault.whom * len(concerned))] if concerned else None
            return Attempt(self._passes(frame), Cause.FAULT, victim)
        return self._wrong_bit(sender, frame, receivers)

    def _wrong_bit(self, sender: Controller, frame: CanFrame, receivers: Sequence[Controller]) -> Attempt:
        """Half of the wrong bits are wrong for everybody, the others at one end of the wire."""
        fault, twice = self.faults.next, self.faults.next.kind is Kind.DUPLICATION
        if fault.whether < 0.5:
            scene = self.scene(sender, frame, receivers)
            wrong = Wrong(len(scene.written.bits) - 1 if twice else _place(scene, fault.where))
            return Attempt(seen_wrong_by_all(scene, wrong.bit), Cause.FAULT, wrong=wrong)
        victim = receivers[int(fault.whom * len(receivers))]
        scene = self.scene(sender, frame, receivers, victim)
        wrong = Wrong(len(scene.written.bits) - 2 if twice else _place(scene, fault.where), victim.node)
        verdict = seen_wrong_by_one(scene, wrong.bit)
        if verdict is None:
            return Attempt(self._passes(frame), Cause.FAULT, wrong=wrong)
        return Attempt(verdict, Cause.FAULT, victim, wrong)

    def _passes(self, frame: CanFrame) -> Verdict:
        return Verdict(self.durations.of_frame(frame), sent=True, heard=True)


def _place(scene: Scene, where: float) -> int:
    """A bit from the length code to the last but one; before, a wrong bit only looks like another arbitration."""
    first = scene.written.open
    return first + int(where * (len(scene.written.bits) - 1 - first))
