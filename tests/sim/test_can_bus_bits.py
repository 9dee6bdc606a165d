"""The simulated bus, which plans whole runs of frames, against one that is simulated bit by bit (bit_bus.py)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.can_bus import CanBus
from sim.can_controller import Controller
from sim.can_faults import QUIET, BusFaults
from sim.can_run import Attempt, Judge, Wrong
from sim.clock import Clock
from tests.sim.bit_bus import BitBus
from uptane.link.bus_time import BusSpeed
from uptane.link.can_frame import CanFrame

BIT_NS = 2_000  # at 500 kbit/s
NODES = ("a", "b", "c", "d")
QUIET_BITS = 4_000  # after the last act: no script here has so much to send at its end


@dataclass(frozen=True)
class Send:
    """`then` is sent by the same node as soon as this has left."""

    node: str
    frames: tuple[CanFrame, ...]
    separation_bits: int = 0
    then: Send | None = None


@dataclass(frozen=True)
class Power:
    node: str
    on: bool


@dataclass(frozen=True)
class Noise:
    node: str
    bits: int


Script = list[tuple[int, Send | Power | Noise]]  # by bit, in the order of time


@dataclass
class Seen:
    """What happened, by node; times are bits."""

    passed: dict[str, list[tuple[int, CanFrame]]] = field(default_factory=lambda: {node: [] for node in NODES})
    heard: dict[str, list[CanFrame]] = field(default_factory=lambda: {node: [] for node in NODES})
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    errors: int = 0
    lines: list[str] = field(default_factory=list)


def until(script: Script) -> int:
    bits = sum(
        160 * len(frames_of(act)) + act.separation_bits * len(act.frames) for _, act in script if isinstance(act, Send)
    )
    noise = sum(act.bits for _, act in script if isinstance(act, Noise))
    return script[-1][0] + 2 * bits + noise + QUIET_BITS


def frames_of(act: Send) -> tuple[CanFrame, ...]:
    return act.frames + (frames_of(act.then) if act.then else ())


class Planned:
    """A run of the simulated bus."""

    def __init__(self, script: Script, faults: BusFaults = QUIET, seed: int = 1) -> None:
        self.seen = Seen()
        self.clock = Clock()
        self.bus = CanBus(
            "bus",
            self.clock,
            BusSpeed(500_000),
            dice=random.Random(seed),
            say=lambda verb, detail: self.seen.lines.append(f"{verb} {detail}"),
            faults=faults,
        )
        self.bus.monitor = self._monitor
        self.nodes = {node: self.bus.attach(node, lambda _: True, partial(self._hear, node)) for node in NODES}
        for bit, act in script:
            self.clock.at(bit * BIT_NS, partial(self._act, act))
        end_ns = until(script) * BIT_NS
        self.clock.at(end_ns, self.bus.changing)
        while (due := self.clock.next_ns()) is not None and due <= end_ns:
            self.clock.step()
        for name, node in self.nodes.items():
            self.seen.counts[name] = node.sending_errors, node.receiving_errors
            self.seen.errors += node.traffic.errors

    def _monitor(self, start_ns: int, end_ns: int, node: str, frame: CanFrame) -> None:
        assert start_ns % BIT_NS == end_ns % BIT_NS == 0
        self.seen.passed[node].append((end_ns // BIT_NS, frame))

    def _hear(self, node: str, frames: Sequence[CanFrame]) -> None:
        self.seen.heard[node] += frames

    def _act(self, act: Send | Power | Noise) -> None:
        match act:
            case Send(then=then):
                sent = None if then is None else partial(self._act, then)
                self.nodes[act.node].send(act.frames, 2 * act.separation_bits, sent)
            case Power(on=True):
                self.nodes[act.node].listening = True
            case Power():
                self.nodes[act.node].reset()
                self.nodes[act.node].listening = False
            case Noise():
                self.bus.disturb(act.bits * BIT_NS, act.node)


def bit_by_bit(script: Script, flips: dict[int, str]) -> Seen:
    bus = BitBus(list(NODES))
    bus.flips = flips

    def do(act: Send | Power | Noise) -> None:
        match act:
            case Send(then=then):
                sent = None if then is None else partial(do, then)
                bus.nodes[act.node].send(list(act.frames), act.separation_bits, sent)
            case Power(on=on):
                bus.nodes[act.node].power(on=on)
            case Noise():
                pass  # its wrong bits are among the flips

    for bit, act in script:
        bus.at(bit, partial(do, act))
    bus.run(until(script))
    seen = Seen(errors=len(bus.errors))
    for name, node in bus.nodes.items():
        seen.passed[name] = node.passed
        seen.heard[name] = [frame for _, frame in node.heard]
        seen.counts[name] = node.tec, node.rec
    return seen


def compare(script: Script, faults: BusFaults = QUIET, seed: int = 1, *, receiving: bool = True) -> Planned:
    with recorded_flips() as flips:
        planned = Planned(script, faults, seed)
    bits = bit_by_bit(script, flips)
    assert planned.seen.passed == bits.passed
    powered = {act.node for _, act in script if isinstance(act, Power)}
    for node in NODES:
        if node in powered:
            # It is told of a run at its end, and so of none during which its power went.
            rest = iter(bits.heard[node])
            assert all(frame in rest for frame in planned.seen.heard[node])
        else:
            assert planned.seen.heard[node] == bits.heard[node]
    for node in NODES:
        ours, theirs = planned.seen.counts[node], bits.counts[node]
        assert ours == theirs if receiving else ours[0] == theirs[0]
    return planned


@contextmanager
def recorded_flips() -> Iterator[dict[int, str]]:
    """Writes down which bits the simulated bus makes wrong for whom, by the time at which they are on the wire."""
    by_start: dict[int, Wrong] = {}
    decides = Judge.attempt

    def attempt(self: Judge, parties: Sequence[Controller], frame: CanFrame, now_ns: int) -> Attempt | None:
        result = decides(self, parties, frame, now_ns)
        by_start.pop(now_ns // BIT_NS, None)  # of two at one time the first has lost the arbitration
        if result is not None and result.wrong is not None:
            by_start[now_ns // BIT_NS] = result.wrong
        return result

    flips: dict[int, str] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Judge, "attempt", attempt)
        yield flips
    flips.update({start + wrong.bit: wrong.node for start, wrong in by_start.items()})


# ---------------------------------------------------------------------------------------------------------- scripts

OWN_IDS = {"a": 0x1CDA02F1, "b": 0x1CDAF102, "c": 0x0CF00400, "d": 0x1FFFFFFF}


def sends(nodes: Sequence[str], *, frames_max: int = 6, ids: Sequence[int] = ()) -> st.SearchStrategy[Send]:
    data = st.one_of(st.binary(max_size=8), st.sampled_from([bytes(8), b"\xff" * 8, b"\x55" * 8]))

    def of(node: str) -> st.SearchStrategy[Send]:
        frame = st.builds(
            CanFrame,
            st.sampled_from(ids or [OWN_IDS[node], OWN_IDS[node] ^ 0x400]),
            data,
            st.just(False),
            st.just(False),
        )
        frames = st.lists(frame, min_size=1, max_size=frames_max).map(tuple)
        separation = st.sampled_from([0, 0, 0, 50, 300])
        last = st.builds(Send, st.just(node), frames, separation)
        return st.builds(Send, st.just(node), frames, separation, st.one_of(st.none(), last))

    return st.sampled_from(nodes).flatmap(of)


def scripts(acts: st.SearchStrategy[Send | Power | Noise], *, gap_max: int, size_max: int) -> st.SearchStrategy[Script]:
    steps = st.lists(st.tuples(st.integers(0, gap_max), acts), min_size=1, max_size=size_max)

    def timed(gaps: list[tuple[int, Send | Power | Noise]]) -> Script:
        at, script = 100, []
        for more, act in gaps:
            at += more
            script.append((at, act))
        return script

    return steps.map(timed)


@settings(max_examples=40)
@given(script=scripts(sends(NODES), gap_max=400, size_max=8))
def test_frames_pass_when_and_as_bits_make_them(script: Script) -> None:
    planned = compare(script)
    assert not planned.seen.errors


@settings(max_examples=40)
@given(
    script=scripts(sends(NODES), gap_max=400, size_max=6), rate=st.sampled_from([0.1, 0.3]), seed=st.integers(0, 999)
)
def test_wrong_bits_cost_what_bits_make_them(script: Script, rate: float, seed: int) -> None:
    compare(script, BusFaults(corruption=rate / 2, duplication=rate / 2), seed)


@settings(max_examples=40)
@given(
    script=scripts(
        st.one_of(sends(["a"]), st.builds(Power, st.sampled_from(["b", "c", "d"]), st.booleans())),
        gap_max=700,
        size_max=8,
    )
)
def test_receivers_come_and_go(script: Script) -> None:
    compare(script)


@settings(max_examples=40)
@given(
    script=scripts(sends(NODES), gap_max=400, size_max=6),
    cut=st.integers(100, 2_000),
    node=st.sampled_from(NODES),
    back=st.integers(0, 200),
)
def test_a_sender_whose_power_fails_breaks_off_its_frame(script: Script, cut: int, node: str, back: int) -> None:
    acts = [(bit, act) for bit, act in script if act.node != node or bit < cut]
    acts += [(cut, Power(node, on=False)), (cut + back, Power(node, on=True))]
    compare(sorted(acts, key=lambda each: each[0]))


@settings(max_examples=25)
@given(
    script=scripts(sends(NODES, frames_max=3), gap_max=400, size_max=4),
    noisy=st.sampled_from(NODES),
    bits=st.integers(100, 6_000),
    seed=st.integers(0, 999),
)
def test_a_disturbed_node_falls_off_the_bus_and_comes_back(script: Script, noisy: str, bits: int, seed: int) -> None:
    acts: Script = [(50, Noise(noisy, bits)), *script]
    compare(acts, seed=seed)


@settings(max_examples=40)
@given(script=scripts(sends(["a", "b"], frames_max=4, ids=[0x1CDA02F1, 0x1CDA0302]), gap_max=150, size_max=6))
def test_frames_with_one_identifier_collide(script: Script) -> None:
    compare(script, receiving=False)  # a late node's flag may end in the middle of those of others


@pytest.mark.parametrize("others", [0, 1, 40])
def test_a_node_recovers_after_128_times_11_bits_whatever_others_send(others: int) -> None:
    frames = (CanFrame(OWN_IDS["b"], b"12345678"),) * others
    script: Script = [(50, Noise("a", 2_400)), (100, Send("a", (CanFrame(OWN_IDS["a"], b""),)))]
    if others:
        script.append((2_500, Send("b", frames)))
    planned = compare(script)
    assert [line for line in planned.seen.lines if "bus-o" in line] == ["bus-off a", "bus-on a"]
    assert planned.seen.passed["a"]


@pytest.mark.parametrize("offset", range(0, 180, 7))
def test_a_node_takes_part_after_11_quiet_bits(offset: int) -> None:
    """It comes while another is alone, at any bit of one of its attempts."""
    off: Script = [(10, Power(node, on=False)) for node in "bcd"]
    script: Script = [*off, (100, Send("a", (CanFrame(OWN_IDS["a"], b"1234"),))), (4_000 + offset, Power("b", on=True))]
    planned = compare(script)
    assert planned.seen.heard["b"]


@pytest.mark.parametrize("offset", range(20))
def test_a_node_that_comes_sends_after_11_quiet_bits(offset: int) -> None:
    reply = Send("b", (CanFrame(OWN_IDS["b"], b"1"),))
    script: Script = [
        (10, Power("b", on=False)),
        (90, Power("b", on=True)),
        (90, reply),
        (90 + offset, Send("a", (CanFrame(OWN_IDS["a"], b"1234"),))),
    ]
    compare(script)
