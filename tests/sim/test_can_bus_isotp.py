"""ISO-TP cannot tell whether the bus hands it each frame at its end or all of a run at theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.can_bus import CanBus
from sim.can_faults import QUIET, BusFaults
from sim.clock import NS_PER_MS, NS_PER_S, Clock
from uptane.link.bus_time import BusSpeed
from uptane.link.can_frame import CanFrame
from uptane.link.isotp import IsoTp
from uptane.link.isotp_values import Event, FramesHeard, FramesSent, IsoTpSettings, Send, SendFrames, Tick


@dataclass(frozen=True)
class Message:
    when_us: int
    sender: int
    peer: int
    length: int


@dataclass(frozen=True)
class Urgent:
    """Frames of somebody else, more urgent than all of an update, and less."""

    when_us: int
    can_id: int
    count: int


@dataclass
class World:
    acts: Sequence[Message | Urgent]
    settings: IsoTpSettings
    faults: BusFaults
    one_by_one: bool
    seen: list[tuple[int, int, str]] = field(default_factory=list)
    wire: list[tuple[int, int, str, CanFrame]] = field(default_factory=list)
    steps: int = 0

    def run(self) -> None:
        self.clock = Clock()
        self.bus = CanBus(
            "bus",
            self.clock,
            BusSpeed(500_000, 2_000_000),
            dice=Random(7),
            say=lambda _verb, _detail: None,
            faults=self.faults,
        )
        if self.one_by_one:
            self.bus.filter = lambda _, frame: frame  # who stands in the middle of the wire is told frame by frame
        self.bus.monitor = lambda *seen: self.wire.append(seen)
        self.machines = [IsoTp(own, self.settings) for own in range(3)]
        self.nodes = [
            self.bus.attach(f"ecu{own}", partial(self._accepts, own), partial(self._hear, own)) for own in range(3)
        ]
        self.other = self.bus.attach("other", lambda _: False, lambda _: None)
        dice = Random(9)
        for act in self.acts:
            if isinstance(act, Message):
                event = Send(act.peer, dice.randbytes(act.length))
                self.clock.at(act.when_us * 1_000, partial(self._give, act.sender, event))
            else:
                frames = [CanFrame(act.can_id, b"12345678")] * act.count
                self.clock.at(act.when_us * 1_000, partial(self.other.send, frames))
        while (due := self.clock.next_ns()) is not None and due < 20 * NS_PER_S:
            self.clock.step()
            self.steps += 1

    def _accepts(self, own: int, can_id: int) -> bool:
        return can_id >> 8 & 0xFF == own

    def _hear(self, own: int, frames: Sequence[CanFrame]) -> None:
        self._give(own, FramesHeard(frames))

    def _give(self, own: int, event: Event) -> None:
        machine = self.machines[own]
        if isinstance(event, Tick):
            deadline = machine.deadline()
            if deadline is None or self.clock.instant < deadline:
                return
        for effect in machine.handle(event, self.clock.instant):
            if isinstance(effect, SendFrames):
                sent = partial(self._give, own, FramesSent(effect.ticket)) if effect.ticket else None
                self.nodes[own].send(effect.frames, effect.separation_us, sent)
            else:
                self.seen.append((self.clock.now_ns, own, repr(effect)))
        deadline = machine.deadline()
        if deadline is not None:
            self.clock.at(max(self.clock.now_ns, deadline * NS_PER_MS), partial(self._give, own, Tick()))


messages = st.builds(
    Message,
    st.integers(0, 200_000),
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from([1, 7, 8, 62, 200, 1_000, 4_095]),
).filter(lambda message: message.sender != message.peer)
urgents = st.builds(Urgent, st.integers(0, 400_000), st.sampled_from([0x0CF00400, 0x1FFFFFFF]), st.integers(1, 5))
kinds = st.sampled_from(
    [
        IsoTpSettings(),
        IsoTpSettings(block_size=8),
        IsoTpSettings(separation_us=300),
        IsoTpSettings(separation_us=2_000, block_size=0),
        IsoTpSettings(data_length=64, fd=True, brs=True),
        IsoTpSettings(data_length=64, fd=True, brs=True, separation_us=100),
    ]
)
rates = st.sampled_from([QUIET, BusFaults(0.003, 0.003, 0.003), BusFaults(0.02, 0.02, 0.02), BusFaults(loss=0.01)])


@settings(max_examples=60)
@given(acts=st.lists(st.one_of(messages, messages, urgents), min_size=1, max_size=8), kind=kinds, faults=rates)
def test_runs_are_as_frames_one_by_one(acts: list[Message | Urgent], kind: IsoTpSettings, faults: BusFaults) -> None:
    runs, frames = (World(acts, kind, faults, one_by_one) for one_by_one in (False, True))
    runs.run()
    frames.run()
    assert runs.wire == frames.wire
    assert runs.seen == frames.seen


def test_runs_cost_far_fewer_events() -> None:
    acts = [Message(0, 0, 1, 4_095), Message(0, 2, 1, 4_095)]
    runs, frames = (World(acts, IsoTpSettings(), QUIET, one_by_one) for one_by_one in (False, True))
    runs.run()
    frames.run()
    assert runs.steps * 5 < frames.steps
